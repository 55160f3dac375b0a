"""How a session is, or why it has ended."""

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.session.ended_sessions import KEPT_S, MAX_ENDED, EndedSessions
from xmppd.session.session_manager import SessionClosed
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config

ROMEO = "romeo@verona.lit/orchard"


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("verona.lit", romeo={}, juliet={})
        self.office = Office(self.house)

    def told(self, jid: str = ROMEO) -> list[tuple[str, str]]:
        rows = self.office.rows("explain session", jid=jid)
        return [(str(row["code"]), str(row["says"])) for row in rows]

    def connect(self) -> Client:
        (romeo,) = self.house.connect("romeo/orchard")
        return romeo

    def test_there(self) -> None:
        """One that is there is told with its address."""
        self.connect()
        ((code, says),) = self.told()
        self.assertEqual(code, "there")
        self.assertIn("has been connected from 192.0.2.1 since", says)

    def test_closed_by_client(self) -> None:
        """A client that has closed its stream in good order."""
        romeo = self.connect()
        romeo.send("</stream:stream>")
        ((code, says),) = self.told()
        self.assertEqual(code, "ended")
        self.assertIn("the client closed the stream; it was connected from 192.0.2.1", says)

    def test_lost(self) -> None:
        """A connection that was lost."""
        self.connect().handler.connectionLost(Failure(ConnectionLost()))
        self.assertIn("the connection was lost", self.told()[0][1])

    def test_conflict(self) -> None:
        """A loop of two clients with one resource shows as such: each was replaced."""
        for _ in range(3):
            self.connect()
        found = self.told("romeo@verona.lit")
        self.assertEqual([code for code, _ in found], ["there", "ended", "ended"])
        self.assertIn("conflict: another session took this resource", found[1][1])
        self.connect()
        found = self.told("romeo@verona.lit")
        self.assertEqual([code for code, _ in found][:2], ["there", "conflicts"])
        self.assertIn(f"{ROMEO} was taken by another session 3 times", found[1][1])
        self.assertIn("clients at 192.0.2.1 want the same resource", found[1][1])

    def test_by_an_administrator(self) -> None:
        """One that an administrator has ended, with the reason that was given."""
        self.connect()
        self.office.says("session end", jid=[ROMEO], reason="out with you")
        self.assertIn("not-authorized: out with you", self.told()[0][1])

    def test_does_not_read(self) -> None:
        """A client that did not read what it was sent."""
        config = house_config("verona.lit", stream={"max_queued_bytes": 20_000})
        self.house = House("verona.lit", config=config, romeo={}, juliet={})
        self.office = Office(self.house)
        romeo, (juliet,) = self.connect(), self.house.connect("juliet")
        romeo.handler.pauseProducing()
        text = f"<message to='{ROMEO}' type='chat'><body>{'x' * 500}</body></message>"
        juliet.send(text)
        ((_, there), (code, waits)) = self.told()
        self.assertIn("has been connected", there)
        self.assertEqual(
            (code, waits),
            ("reads_slowly", "1 stanza waiting for it, because the client reads slowly."),
        )
        juliet.send(text * 50)
        self.assertIn("the client read too slowly", self.told()[0][1])

    def test_did_not_come_back(self) -> None:
        """A session that might have been resumed: it is detached at first, then it has ended."""
        romeo = self.connect()
        romeo.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        romeo.handler.connectionLost(Failure(ConnectionLost()))
        ((code, says),) = self.told()
        self.assertEqual(code, "detached")
        self.assertRegex(says, r"may resume within \d+ s")
        self.house.clock.pump([15.0] * 60)
        self.assertIn("the connection was lost and the client did not resume", self.told()[0][1])

    def test_an_hour(self) -> None:
        """After an hour nothing is known of it any more."""
        romeo = self.connect()
        romeo.send("</stream:stream>")
        self.house.clock.advance(KEPT_S - 1)
        self.assertEqual(len(self.told()), 1)
        self.house.clock.advance(2)
        self.assertIn(
            "had none within the last hour", self.office.refusal("explain session", jid=ROMEO)
        )

    def test_bounded(self) -> None:
        """Of very many that have ended, the last are kept."""
        ended, event = EndedSessions(lambda: 5.0), SessionClosed(self.connect().session)
        for _ in range(MAX_ENDED + 5):
            ended.closed(event)
        self.assertEqual(len(ended.of(ROMEO)), MAX_ENDED)
