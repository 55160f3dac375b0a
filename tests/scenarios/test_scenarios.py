"""Every scenario beside this file, in memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.scenarios.script import MemoryStage, Mismatch, NodesStage, Play, Stage, title
from xmppd.testing.client import done

PLUGINS = ("muc",)
"""There are rooms; who is in none does not notice."""

SCENARIOS = sorted(Path(__file__).parent.glob("*.txt"))


class ScenarioTests(SynchronousTestCase):
    """One test for each file, named after it."""


class ScenariosOnNodesTests(SynchronousTestCase):
    """The same, with everybody at another of three nodes."""


class ScenariosOnTwoNodesTests(SynchronousTestCase):
    """The same, with some of them at one node."""


def _test_of(path: Path, stage: Callable[[], Stage]) -> Callable[[SynchronousTestCase], None]:
    def test(self: SynchronousTestCase) -> None:
        done(Play(stage()).run(path.read_text(encoding="utf-8")))

    test.__doc__ = title(path)
    return test


for _path in SCENARIOS:
    for _tests, _stage in (
        (ScenarioTests, partial(MemoryStage, plugins=PLUGINS)),
        (ScenariosOnNodesTests, partial(NodesStage, plugins=PLUGINS)),
        (
            ScenariosOnTwoNodesTests,
            partial(NodesStage, plugins=PLUGINS, names=("a", "b"), first=1),
        ),
    ):
        setattr(_tests, f"test_{_path.stem}", _test_of(_path, _stage))


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
