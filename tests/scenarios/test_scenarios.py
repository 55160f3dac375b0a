"""Every scenario beside this file, in memory."""

from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.scenarios.script import MemoryStage, Mismatch, Play, title
from xmppd.testing.client import done

SCENARIOS = sorted(Path(__file__).parent.glob("*.txt"))


class ScenarioTests(SynchronousTestCase):
    """One test for each file, named after it."""


def _test_of(path: Path) -> Callable[[ScenarioTests], None]:
    def test(self: ScenarioTests) -> None:
        done(Play(MemoryStage()).run(path.read_text(encoding="utf-8")))

    test.__doc__ = title(path)
    return test


for _path in SCENARIOS:
    setattr(ScenarioTests, f"test_{_path.stem}", _test_of(_path))


class RunnerTests(SynchronousTestCase):
    def play(self, text: str) -> None:
        """Play a scenario of one account."""
        done(Play(MemoryStage()).run(f"Account romeo\nRomeo is romeo/1\n{text}"))

    def test_something_else(self) -> None:
        """A scenario fails if something else, more or less was received."""
        for received in (" nothing", ":\n  <presence/>", ":\n  <message type='*'/>"):
            self.assertRaises(
                Mismatch,
                self.play,
                f"Romeo comes online\nRomeo sends:\n  <message/>\nRomeo receives{received}",
            )

    def test_no_step(self) -> None:
        """A line that is no step is told by its number."""
        error = self.assertRaises(ValueError, self.play, "Romeo dances")
        self.assertIn("line 3", str(error))
