"""Events by themselves."""

from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import OWNER, Events, On


@dataclass(frozen=True)
class Sunrise:
    """It is day."""

    hour: int


@dataclass(frozen=True)
class Sunset:
    """It is night."""


class EventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events = Events()
        self.heard: list[object] = []

    def test_kinds(self) -> None:
        """A listener hears of its kind of event only, in the order they happen."""
        self.events.put(On(Sunrise, self.heard.append), OWNER)
        for event in (Sunrise(5), Sunset(), Sunrise(6)):
            self.events.fire(event)
        self.assertEqual(self.heard, [Sunrise(5), Sunrise(6)])

    def test_order(self) -> None:
        """Listeners hear in the order they came."""
        self.events.put(On(Sunset, lambda event: self.heard.append(1)), OWNER)
        self.events.put(On(Sunset, lambda event: self.heard.append(2)), OWNER)
        self.events.fire(Sunset())
        self.assertEqual(self.heard, [1, 2])

    def test_off(self) -> None:
        """One that is gone hears no more; the same one of another plugin does."""
        lark = self.events.put(On(Sunset, self.heard.append), "lark")
        nightingale = self.events.put(On(Sunset, self.heard.append), "nightingale")
        lark()
        self.events.fire(Sunset())
        self.assertEqual(self.heard, [Sunset()])
        nightingale()
        self.events.fire(Sunset())
        self.assertEqual(self.heard, [Sunset()])

    def test_off_while_hearing(self) -> None:
        """A listener that leaves while it listens disturbs nobody."""

        def once(event: Sunset) -> None:
            leave()
            self.heard.append(1)

        leave = self.events.put(On(Sunset, once), OWNER)
        self.events.put(On(Sunset, self.heard.append), OWNER)
        self.events.fire(Sunset())
        self.events.fire(Sunset())
        self.assertEqual(self.heard, [1, Sunset(), Sunset()])

    def test_waiting(self) -> None:
        """A listener that waits is not waited for, and goes on when it can."""
        dawn: Deferred[None] = Deferred()

        async def listen(event: Sunset) -> None:
            await dawn
            self.heard.append("day")

        self.events.put(On(Sunset, listen), OWNER)
        self.events.put(On(Sunset, self.heard.append), OWNER)
        self.events.fire(Sunset())
        self.assertEqual(self.heard, [Sunset()])
        dawn.callback(None)
        self.assertEqual(self.heard, [Sunset(), "day"])

    def test_failing(self) -> None:
        """One that fails, at once or later, is logged by name, and the others hear."""
        dawn: Deferred[None] = Deferred()

        def fail(event: Sunset) -> None:
            raise LookupError

        async def fail_later(event: Sunset) -> None:
            await dawn
            raise LookupError

        for listener in (fail, fail_later, self.heard.append):
            self.events.put(On(Sunset, listener), "lark")
        with capturedLogs() as logged:
            self.events.fire(Sunset())
            dawn.callback(None)
        self.assertEqual(self.heard, [Sunset()])
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 2)
        lines = [formatEvent(event) for event in logged if "log_failure" in event]
        self.assertEqual(lines, ["lark failed on Sunset"] * 2)
