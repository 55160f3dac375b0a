"""What sessions see of other servers: who is there, and that each of them leaves once."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import OWNER, On
from xmppd.presence import remote_presences
from xmppd.presence.remote_presences import RemotePresence
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.stanza import ns
from xmppd.stanza.stanza import Capabilities
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House

ROMEO, JULIET, NURSE = "romeo@montague.lit", "juliet@capulet.lit", "nurse@capulet.lit"


def presence(sender: str, to: str, kind: str = "", inside: str = "") -> str:
    """A presence as it is written here."""
    kind = f" type='{kind}'" if kind else ""
    end = f">{inside}</presence>" if inside else "/>"
    return f"<presence from='{sender}' to='{to}'{kind}{end}"


def gone(sender: str, to: str) -> str:
    """A goodbye."""
    return presence(sender, to, "unavailable")


class RemoteTests(SynchronousTestCase):
    """Romeo sees Juliet and her nurse, who are elsewhere; Benvolio is here."""

    def setUp(self) -> None:
        self.house = House(
            "montague.lit", romeo={JULIET: "both", NURSE: "to"}, benvolio={"romeo": "both"}
        )
        self.elsewhere = Elsewhere(self.house)

    def connect(self, name: str = "romeo") -> Client:
        """Somebody who is available; what was told of that is not looked at."""
        (client,) = self.house.connect(name)
        self.elsewhere.heard()
        return client

    def assert_got(self, client: Client, *stanzas: str) -> None:
        """Just these came."""
        self.assertEqual(client.received(), list(stanzas))


class GreetingTests(RemoteTests):
    def test_probes(self) -> None:
        """The first session of an account asks all contacts elsewhere that it may see (PU-13)."""
        self.house.connect("romeo")
        self.assertEqual(
            self.elsewhere.heard(),
            [
                presence(f"{ROMEO}/1", JULIET),
                presence(ROMEO, JULIET, "probe"),
                presence(ROMEO, NURSE, "probe"),
            ],
        )

    def test_second_session(self) -> None:
        """The second one is told what the first one knows, and nobody is asked again (RP-5)."""
        self.connect("romeo/1")
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO, inside="<show>away</show>"))
        self.elsewhere.send(presence(f"{JULIET}/cell", ROMEO))
        self.elsewhere.send(gone(f"{JULIET}/cell", ROMEO))
        second = self.house.bind("romeo", "2")
        second.send("<presence/>")
        self.assertEqual(self.elsewhere.heard(), [presence(f"{ROMEO}/2", JULIET)])
        self.assertIn(
            presence(f"{JULIET}/balcony", f"{ROMEO}/2", inside="<show>away</show>"),
            second.received(),
        )
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        self.assert_got(second, gone(f"{JULIET}/balcony", ROMEO))

    def test_second_session_before_the_answer(self) -> None:
        """Who comes while contacts are being asked hears the answer like the first one."""
        self.connect("romeo/1")
        second = self.connect("romeo/2")
        last = presence(JULIET, ROMEO, "unavailable", "<status>detached</status>")
        self.elsewhere.send(last)
        self.assert_got(second, last)

    def test_comes_back(self) -> None:
        """Who was the only one, and comes back, asks again: nothing was kept meanwhile."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        romeo.send("<presence type='unavailable'/>")
        self.elsewhere.heard()
        romeo.send("<presence/>")
        self.assertIn(presence(ROMEO, JULIET, "probe"), self.elsewhere.heard())

    def test_no_ghosts(self) -> None:
        """Who left while a session was not available is not shown by it to another one (RP-8)."""
        first = self.connect("romeo/1")
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        first.send("<presence type='unavailable'/>")
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        first.send("<presence/>")
        second = self.house.bind("romeo", "2")
        second.send("<presence/>")
        self.assertNotIn("balcony", "".join(second.received()))
        first.raw()
        self.elsewhere.lose("capulet.lit")
        self.assert_got(first)

    def test_list_in_force(self) -> None:
        """What a session knows for which a list is in force is not all that another may see."""
        house = House("montague.lit", plugins=("privacy_lists",), romeo={JULIET: "both"})
        elsewhere = Elsewhere(house)
        first = house.bind("romeo", "1")
        first.send(
            f"<iq type='set' id='1'><query xmlns='jabber:iq:privacy'><list name='l'>"
            f"<item type='jid' value='{JULIET}' action='deny' order='1'><presence-in/></item>"
            "</list></query></iq>"
            "<iq type='set' id='2'><query xmlns='jabber:iq:privacy'><active name='l'/></query></iq>"
            "<presence/>"
        )
        elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.assertNotIn("balcony", "".join(first.received()))
        elsewhere.heard()
        house.bind("romeo", "2").send("<presence/>")
        self.assertIn(presence(ROMEO, JULIET, "probe"), elsewhere.heard())

    def test_request_is_repeated(self) -> None:
        """A request that another server has not answered goes there again at login (PS-14)."""
        again = presence(ROMEO, "friar@verona.lit", "subscribe")
        first = self.connect("romeo/1")
        first.send("<presence to='friar@verona.lit' type='subscribe'/>")
        self.assertEqual(self.elsewhere.heard(), [again])
        self.house.connect("romeo/2")
        self.assertNotIn(again, self.elsewhere.heard())
        for session in tuple(self.house.server.session_manager.sessions.values()):
            session.connection.close()
        self.elsewhere.heard()
        self.house.connect("romeo/3")
        self.assertIn(again, self.elsewhere.heard())

    def test_long_presence(self) -> None:
        """What is too long to be kept is asked for again."""
        self.patch(remote_presences, "MAX_KEPT_BYTES", 500)
        self.connect("romeo/1")
        self.elsewhere.send(presence(f"{JULIET}/a", ROMEO, inside=f"<status>{'x' * 400}</status>"))
        self.elsewhere.send(presence(f"{NURSE}/a", ROMEO, inside=f"<status>{'x' * 400}</status>"))
        second = self.house.bind("romeo", "2")
        second.send("<presence/>")
        self.assertEqual(
            self.elsewhere.heard(),
            [presence(f"{ROMEO}/2", JULIET), presence(ROMEO, NURSE, "probe")],
        )
        self.assertIn(f"{JULIET}/a", "".join(second.received()))


class SeenTests(RemoteTests):
    def test_all_sessions(self) -> None:
        """Presence to an account reaches its available sessions, to a resource that one (RP-1)."""
        first, second = self.connect("romeo/1"), self.connect("romeo/2")
        idle = self.house.bind("romeo", "3")
        for client in (first, second):
            client.raw()
        here = presence(f"{JULIET}/balcony", ROMEO)
        self.elsewhere.send(here)
        self.assert_got(first, here)
        self.assert_got(second, here)
        self.assert_got(idle)
        there = presence(f"{JULIET}/balcony", f"{ROMEO}/3")
        self.elsewhere.send(there)
        self.assert_got(first)
        self.assert_got(idle, there)

    def test_slow_reader(self) -> None:
        """Of what somebody tells all, a client that reads slowly gets the newest (SE-11)."""
        romeo = self.connect()
        romeo.stop_reading()
        for show in ("away", "xa", "dnd"):
            said = presence(f"{JULIET}/1", ROMEO, inside=f"<show>{show}</show>")
            self.elsewhere.send(said)
        romeo.read_on()
        self.assert_got(romeo, said)

    def test_stranger(self) -> None:
        """Of somebody who is no contact it is directed presence, and delivered (RP-2)."""
        romeo = self.connect()
        here = presence("paris@verona.lit/1", ROMEO)
        self.elsewhere.send(here)
        self.assert_got(romeo, here)

    def test_nobody(self) -> None:
        """To whom is not here, or does not exist, or to the server, it vanishes."""
        for to in (ROMEO, f"{ROMEO}/9", "nobody@montague.lit", "montague.lit"):
            self.elsewhere.send(presence(f"{JULIET}/balcony", to))
        self.assertEqual(self.elsewhere.heard(), [])

    def test_goodbye_once(self) -> None:
        """A goodbye of whom a session does not see, or sees no more, is not delivered (RP-3)."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        romeo.raw()
        goodbye = gone(f"{JULIET}/balcony", ROMEO)
        self.elsewhere.send(goodbye)
        self.elsewhere.send(goodbye)
        self.assert_got(romeo, goodbye)

    def test_told_twice(self) -> None:
        """Who told account and session says goodbye to both: that is one goodbye."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.elsewhere.send(presence(f"{JULIET}/balcony", f"{ROMEO}/1"))
        romeo.raw()
        self.elsewhere.send(gone(f"{JULIET}/balcony", f"{ROMEO}/1"))
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        self.assert_got(romeo, gone(f"{JULIET}/balcony", f"{ROMEO}/1"))

    def test_answers(self) -> None:
        """That a contact is away is the answer to a probe, and is delivered once."""
        romeo = self.connect()
        answer = presence(NURSE, ROMEO, "unavailable", "<status>at the market</status>")
        self.elsewhere.send(answer)
        self.elsewhere.send(answer)
        self.assert_got(romeo, answer)

    def test_asked_by_a_client(self) -> None:
        """Whoever asks for somebody itself is given the answer; and cannot ask for too many."""
        self.patch(remote_presences, "MAX_SEEN", 3)
        romeo = self.connect()
        for name in ("paris", "friar"):
            romeo.send(f"<presence to='{name}@verona.lit' type='probe'/>")
            probe = presence(f"{ROMEO}/1", f"{name}@verona.lit", "probe")
            self.assertEqual(self.elsewhere.heard(), [probe])
        answer = presence("paris@verona.lit", f"{ROMEO}/1", "unavailable", "<status>-</status>")
        self.elsewhere.send(answer)
        self.elsewhere.send(gone("friar@verona.lit", f"{ROMEO}/1"))
        self.assert_got(romeo, answer)

    def test_rooms(self) -> None:
        """Who has left a room, and the rest, still hears the room say so."""
        romeo = self.connect()
        romeo.send("<presence to='balcony@rooms.capulet.lit/romeo'/>")
        self.elsewhere.send(presence("balcony@rooms.capulet.lit/romeo", f"{ROMEO}/1"))
        romeo.send("<presence type='unavailable'/>")
        romeo.raw()
        goodbye = gone("balcony@rooms.capulet.lit/romeo", f"{ROMEO}/1")
        self.elsewhere.send(goodbye)
        self.assert_got(romeo, goodbye)

    def test_transit(self) -> None:
        """What a component tells somebody elsewhere goes there."""
        Elsewhere(self.house, "jokes.montague.lit")
        here = presence("jokes.montague.lit", f"{JULIET}/balcony")
        self.elsewhere.send(here)
        self.assertEqual(self.elsewhere.heard(), [here])

    def test_limits(self) -> None:
        """Strangers may be so many; contacts, and rooms that a session went to, come on top."""
        self.patch(remote_presences, "MAX_SEEN", 5)
        self.patch(remote_presences, "MAX_SEEN_WITH_UNEXPECTED", 2)
        romeo = self.connect()
        romeo.send("<presence to='balcony@rooms.capulet.lit/romeo'/>")
        for number in range(3):
            self.elsewhere.send(presence(f"paris@verona.lit/{number}", ROMEO))
        self.elsewhere.send(presence("balcony@rooms.capulet.lit/tybalt", f"{ROMEO}/1"))
        for number in range(3):
            self.elsewhere.send(presence(f"{JULIET}/{number}", ROMEO))
        seen = (
            "paris@verona.lit/0", "paris@verona.lit/1", "balcony@rooms.capulet.lit/tybalt",
            f"{JULIET}/0", f"{JULIET}/1",
        )  # fmt: skip
        got = romeo.received()
        self.assertEqual(len(got), 5)
        for sender, stanza in zip(seen, got, strict=True):
            self.assertIn(f"from='{sender}'", stanza)
        self.elsewhere.send(gone("paris@verona.lit/2", ROMEO))
        self.assert_got(romeo)
        self.elsewhere.send(gone("paris@verona.lit/1", ROMEO))
        self.elsewhere.send(presence(f"{JULIET}/2", ROMEO))
        self.assertIn(f"{JULIET}/2", "".join(romeo.received()))


class EventTests(RemoteTests):
    """Who listens hears of all presence that comes from elsewhere."""

    CAPS = "<c xmlns='http://jabber.org/protocol/caps' node='urn:x' ver='abc' hash='sha-1'/>"

    def setUp(self) -> None:
        super().setUp()
        self.heard: list[RemotePresence] = []
        self.house.server.events.put(On(RemotePresence, self.heard.append), OWNER)

    def test_available(self) -> None:
        """It is told whom a contact told, and what the contact's software can do (XEP-0115)."""
        self.connect()
        self.elsewhere.send(presence(f"{JULIET}/b", ROMEO, inside=self.CAPS))
        (event,) = self.heard
        self.assertEqual(event.account.full, ROMEO)
        self.assertEqual(event.presence.sender.full, f"{JULIET}/b")
        self.assertEqual(event.presence.capabilities, Capabilities("urn:x", "abc", "sha-1"))

    def test_gone(self) -> None:
        """And that the contact has gone, which says nothing of any software."""
        self.connect()
        for stanza in (presence(f"{JULIET}/b", ROMEO), gone(f"{JULIET}/b", ROMEO)):
            self.elsewhere.send(stanza)
        self.assertEqual([event.presence.type for event in self.heard], [None, "unavailable"])
        self.assertEqual([event.presence.capabilities for event in self.heard], [None, None])

    def test_once(self) -> None:
        """Once for an account, however many of its sessions there are; also if there is none."""
        self.elsewhere.send(presence(f"{JULIET}/b", ROMEO))
        self.connect("romeo/1")
        self.connect("romeo/2")
        self.elsewhere.send(presence(f"{JULIET}/b", ROMEO))
        self.elsewhere.send(presence(f"{NURSE}/b", f"{ROMEO}/2"))
        self.assertEqual([event.account.full for event in self.heard], [ROMEO] * 3)


class LostTests(RemoteTests):
    def test_lost(self) -> None:
        """Everybody there leaves, once, for each session that saw them; others stay (RP-6)."""
        first, second = self.connect("romeo/1"), self.connect("romeo/2")
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.elsewhere.send(presence(f"{NURSE}/1", f"{ROMEO}/2"))
        self.elsewhere.send(presence("friar@verona.lit/cell", ROMEO))
        for client in (first, second):
            client.raw()
        self.elsewhere.lose("capulet.lit")
        self.assert_got(first, gone(f"{JULIET}/balcony", f"{ROMEO}/1"))
        self.assert_got(
            second, gone(f"{JULIET}/balcony", f"{ROMEO}/2"), gone(f"{NURSE}/1", f"{ROMEO}/2")
        )
        self.elsewhere.lose("capulet.lit")
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        self.assert_got(first)

    def test_back(self) -> None:
        """What comes from there later is true again; and who logs in asks anew."""
        romeo = self.connect("romeo/1")
        here = presence(f"{JULIET}/balcony", ROMEO)
        self.elsewhere.send(here)
        self.elsewhere.lose("capulet.lit")
        romeo.raw()
        self.elsewhere.send(here)
        self.assert_got(romeo, here)
        self.house.connect("romeo/2")
        self.assertIn(presence(ROMEO, JULIET, "probe"), self.elsewhere.heard())

    def test_other_pair(self) -> None:
        """A server that is lost to one domain of ours is not lost to another."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        romeo.raw()
        self.house.server.events.fire(RemoteServerLost("capulet.lit", "capulet.lit"))
        self.assert_got(romeo)


class ListTests(RemoteTests):
    """Privacy lists hold for people elsewhere as for those here."""

    def setUp(self) -> None:
        self.house = House("montague.lit", plugins=("blocking",), romeo={JULIET: "both"})
        self.elsewhere = Elsewhere(self.house)
        self.romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.romeo.raw()

    def block(self, verb: str = "block") -> list[str]:
        """Romeo blocks Juliet, or lets her be; the presence that he got."""
        self.romeo.send(
            f"<iq type='set' id='b'><{verb} xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/>"
            f"</{verb}></iq>"
        )
        return [stanza for stanza in self.romeo.received() if stanza.startswith("<presence")]

    def test_block(self) -> None:
        """Whoever is blocked sees the session leave, and is seen to leave (PL-7)."""
        self.assertEqual(self.block(), [gone(f"{JULIET}/balcony", f"{ROMEO}/1")])
        self.assertEqual(self.elsewhere.heard(), [gone(f"{ROMEO}/1", JULIET)])
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.elsewhere.send(presence(JULIET, ROMEO, "probe"))
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        self.assert_got(self.romeo)
        self.assertEqual(self.elsewhere.heard(), [])
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.elsewhere.heard(), [])

    def test_login(self) -> None:
        """Of whom nothing may come in nothing is asked; nor is a request repeated to them."""
        self.romeo.send("<presence to='nurse@capulet.lit' type='subscribe'/>")
        self.romeo.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            "<item jid='capulet.lit'/></block></iq>"
        )
        self.romeo.abort()
        self.elsewhere.heard()
        self.house.connect("romeo")
        self.assertEqual(self.elsewhere.heard(), [])

    def test_unblock(self) -> None:
        """Who is blocked no more sees the session, and is asked."""
        self.block()
        self.elsewhere.heard()
        self.assertEqual(self.block("unblock"), [])
        self.assertEqual(
            self.elsewhere.heard(),
            [presence(f"{ROMEO}/1", JULIET), presence(ROMEO, JULIET, "probe")],
        )
        here = presence(f"{JULIET}/balcony", ROMEO)
        self.elsewhere.send(here)
        self.assert_got(self.romeo, here)


class SubscriptionTests(RemoteTests):
    def test_unsubscribed(self) -> None:
        """A contact that says so, also in answer to a probe, is seen no more (RP-7)."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        romeo.raw()
        over = presence(JULIET, ROMEO, "unsubscribed")
        self.elsewhere.send(over)
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        got = romeo.received()
        self.assertEqual(got[:2], [gone(f"{JULIET}/balcony", f"{ROMEO}/1"), over])
        self.assertIn(f"<item jid='{JULIET}' subscription='from'", got[2])
        self.assertEqual(len(got), 3)

    def test_goodbye_before(self) -> None:
        """Whichever comes first, the goodbye or the end of the subscription: it is one goodbye."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.elsewhere.send(gone(f"{JULIET}/balcony", ROMEO))
        romeo.raw()
        self.elsewhere.send(presence(JULIET, ROMEO, "unsubscribed"))
        self.assertNotIn("unavailable", "".join(romeo.received()))

    def test_removed(self) -> None:
        """Whoever removes a contact sees it leave, whatever its server says (RO-11)."""
        romeo = self.connect()
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        romeo.raw()
        romeo.send(
            f"<iq type='set' id='x'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='{JULIET}' subscription='remove'/></query></iq>"
        )
        self.assertIn(gone(f"{JULIET}/balcony", f"{ROMEO}/1"), romeo.received())
        self.assertEqual(
            self.elsewhere.heard(),
            [
                presence(ROMEO, JULIET, "unsubscribe"),
                gone(f"{ROMEO}/1", JULIET),
                presence(ROMEO, JULIET, "unsubscribed"),
            ],
        )
