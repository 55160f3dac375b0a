"""xmppctl trace, over a house in memory."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.command.command_context import SHELL
from xmppd.command.refused import Refused
from xmppd.ctl.protocol import Line, line_of
from xmppd.testing.house import House
from xmppd.trace.trace import MAX_TRACERS
from xmppd.trace.tracer import Tracer


class TraceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={})
        self.office = Office(self.house)
        (self.romeo,) = self.house.connect("romeo")
        self.answers: list[Line] = []

    def begin(self, **given: object) -> Deferred[None]:
        """Somebody traces everything."""
        given = {"address": "montague.lit", **given}

        async def read() -> None:
            table = self.office.table
            async for reply in table.replies(*table.asked("trace", given, SHELL)):
                self.answers.append(line_of(reply))

        return Deferred.fromCoroutine(read())

    def test_stanzas(self) -> None:
        """It ends after so many stanzas."""
        reading = self.begin(stanzas="2")
        for _ in range(3):
            self.romeo.send("<presence/>")
        self.successResultOf(reading)
        codes = [row["code"] for row in self.answers if not isinstance(row, str)]
        self.assertEqual(codes.count("stanza"), 2)

    def test_seconds(self) -> None:
        """It ends after so many seconds."""
        reading = self.begin(seconds="5")
        self.assertNoResult(reading)
        self.house.clock.advance(5)
        self.successResultOf(reading)
        self.assertEqual(self.house.traces.tracers, [])

    def test_refused(self) -> None:
        """What is no number, and one tracer too many, is refused."""
        for seconds in ("0", "x", "-1", "86401"):
            failure = self.failureResultOf(self.begin(seconds=seconds), Refused)
            self.assertIn("seconds must be a number", str(failure.value))
        reading = [self.begin() for _ in range(MAX_TRACERS)]
        self.failureResultOf(self.begin(), Refused)
        self.house.clock.advance(86_400)
        for one in reading:
            self.successResultOf(one)

    def test_lost(self) -> None:
        """What could not be read in time is counted."""
        reading = self.begin(seconds="5")
        (tracer,) = self.house.traces.tracers
        assert isinstance(tracer, Tracer)
        tracer.dropped = 3
        self.romeo.send("<presence/>")
        self.assertIn("left out 3 stanzas", str(self.answers[-1]))
        self.house.clock.advance(5)
        self.successResultOf(reading)
