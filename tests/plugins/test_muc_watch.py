"""A watch for people of ours in rooms of other servers."""

import re
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.muc.halls import codes
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House
from xmppd_plugins.muc_watch import ANSWER_S, BETWEEN_S, FIRST_S, MOST_S

MUC = "http://jabber.org/protocol/muc"
ROOMS = "rooms.verona.lit"
CRYPT = f"crypt@{ROOMS}/Romeo"
INFO = "http://jabber.org/protocol/disco#info"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


class WatchCase(SynchronousTestCase):
    """Romeo is in a room of another server, or believes so."""

    def setUp(self) -> None:
        self.house = House(plugins=("disco", "muc_watch"))
        self.house.add("romeo", {})
        self.elsewhere = Elsewhere(self.house)
        self.romeo = self.come("romeo")

    def come(self, name: str, to: str = CRYPT) -> Client:
        """A client that has entered a room elsewhere."""
        (client,) = self.house.connect(name)
        client.send(f"<presence to='{to}'><x xmlns='{MUC}'/></presence>")
        self.elsewhere.heard()
        client.raw()
        return client

    def lose(self) -> None:
        self.elsewhere.lose(ROOMS)

    def asked(self, what: str) -> list[str]:
        """The requests of a kind that went there, each as it is."""
        return [each for each in self.elsewhere.heard() if what in each]

    def answer(self, request: str, inner: str, kind: str = "result") -> None:
        """Answer a request from there."""
        id, to = (re.findall(f" {name}=['\"]([^'\"]+)", request)[0] for name in ("id", "to"))
        sender = re.findall(" from=['\"]([^'\"]+)", request)[0]
        self.elsewhere.send(f"<iq type='{kind}' id='{id}' from='{to}' to='{sender}'>{inner}</iq>")

    def back(self, category: str = "conference") -> None:
        """The server is back when it is asked."""
        (asked,) = self.asked("disco#info")
        identity = f"<identity category='{category}' type='text'/>"
        self.answer(asked, f"<query xmlns='{INFO}'>{identity}</query>")

    def refuse(self, request: str, condition: str) -> None:
        """Answer a request with an error."""
        inner = f"<error type='cancel'><{condition} xmlns='{STANZAS}'/></error>"
        self.answer(request, inner, "error")


class WatchTests(WatchCase):
    def pass_time(self, seconds: float) -> None:
        """Let time pass, in which Romeo's client shows that it is there."""
        for _ in range(int(seconds / FIRST_S)):
            self.romeo.send(" ")
            self.house.clock.advance(FIRST_S)

    def ping(self) -> str:
        """The request by which it is asked whether Romeo is in."""
        self.lose()
        self.house.clock.advance(FIRST_S)
        self.back()
        self.house.clock.advance(BETWEEN_S)
        (asked,) = self.asked("urn:xmpp:ping")
        self.assertIn(f"to='{CRYPT}'", asked.replace('"', "'"))
        self.assertIn("from='romeo@", asked.replace('"', "'"))
        return asked

    def test_out(self) -> None:
        """Who is not in any more is told so when the server is back (RM-36)."""
        self.refuse(self.ping(), "not-acceptable")
        (told,) = self.romeo.received()
        self.assertIn(f"from='{CRYPT}'", told)
        self.assertIn("type='unavailable'", told)
        self.assertEqual(codes(told), {110, 333})
        self.romeo.send("<presence type='unavailable'/>")
        self.assertEqual(self.asked("presence"), [], "there is nobody to say goodbye to")

    def test_in(self) -> None:
        """Who is in, or of whom the answer does not say, hears nothing (RM-36)."""
        self.answer(self.ping(), "")
        for condition in ("service-unavailable", "item-not-found", "remote-server-timeout"):
            self.refuse(self.ping(), condition)
        self.ping()
        self.house.clock.advance(ANSWER_S)
        self.assertNotIn("presence", "".join(self.romeo.received()))

    def test_lost_for_long(self) -> None:
        """A server is asked again, at longer and longer times (RM-36)."""
        self.lose()
        self.lose()
        waited, times = FIRST_S, 0
        while waited < MOST_S:
            self.pass_time(waited)
            (asked,) = self.asked("disco#info")
            self.refuse(asked, "remote-server-timeout")
            waited, times = waited * 2, times + 1
        self.assertEqual(times, 6)
        self.pass_time(MOST_S)
        self.back()
        self.house.clock.advance(BETWEEN_S)
        self.assertEqual(len(self.asked("urn:xmpp:ping")), 1)

    def test_nobody(self) -> None:
        """Nobody is asked where nobody of ours may be, or is any more (RM-36)."""
        self.elsewhere.lose("other.lit")
        self.lose()
        self.house.clock.advance(FIRST_S)
        (asked,) = self.asked("disco#info")
        self.assertIn(ROOMS, asked)
        self.romeo.send(f"<presence type='unavailable' to='{CRYPT}'/>")
        self.house.clock.advance(ANSWER_S)
        self.elsewhere.heard()
        self.house.clock.advance(MOST_S)
        self.assertEqual(self.elsewhere.heard(), [])

    def test_no_rooms(self) -> None:
        """Other servers' people are not asked, but for those of rooms (RM-36)."""
        self.lose()
        self.house.clock.advance(FIRST_S)
        self.back("server")
        self.house.clock.advance(60)
        self.assertEqual(self.elsewhere.heard(), [])

    def test_left_meanwhile(self) -> None:
        """Who has left before they are asked for, or before the answer, hears nothing (RM-36)."""
        asked = self.ping()
        self.romeo.send(f"<presence type='unavailable' to='{CRYPT}'/>")
        self.refuse(asked, "not-acceptable")
        self.assertEqual(self.romeo.received(), [])

    def test_rate(self) -> None:
        """No more than five are asked for in a second (RM-36)."""
        for number in range(10):
            name = f"guest{number}"
            self.house.add(name)
            self.come(name, f"crypt@{ROOMS}/{name}")
        self.lose()
        self.house.clock.advance(FIRST_S)
        self.back()
        counts = []
        for _ in range(3):
            self.house.clock.pump([0.1] * 10)
            counts.append(len(self.asked("urn:xmpp:ping")))
        self.assertEqual(sum(counts), 11)
        self.assertLessEqual(max(counts), 5)

    def test_limit(self) -> None:
        """So many servers are watched at once (RM-36)."""
        self.patch(import_module("xmppd_plugins.muc_watch"), "MAX_WATCHED", 1)
        self.romeo.send(f"<presence to='attic@other.lit/Romeo'><x xmlns='{MUC}'/></presence>")
        self.elsewhere.heard()
        self.lose()
        self.elsewhere.lose("other.lit")
        self.house.clock.advance(FIRST_S)
        self.back()
