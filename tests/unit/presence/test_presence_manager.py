"""Who is here, who may ask, and who is owed a goodbye."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.support import next_turn
from xmppd.presence.directed_presences import MAX_PER_SESSION, DirectedPresences
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.last_presences import LastPresence
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"


class GreetingTests(SynchronousTestCase):
    """A newcomer with more contacts than one turn of the reactor has time for (CH-8)."""

    def setUp(self) -> None:
        names = [f"n{number}" for number in range(7)]
        self.house = House(
            DOMAIN,
            juliet=dict.fromkeys(names, "both"),
        )
        for name in names:
            self.house.add(name, {"juliet": "both"})
        self.contacts = self.house.connect(*names)
        self.house.server.broadcasts.contacts_per_slice = 3
        self.juliet = self.house.bind("juliet")

    def heard(self) -> list[str]:
        """Of whom Juliet hears."""
        trees = map(ElementTree.fromstring, self.juliet.received())
        return [
            ("-" if tree.get("type") else "") + (tree.get("from") or "").partition("@")[0]
            for tree in trees
        ]

    def turns(self) -> list[list[str]]:
        """The same for each turn of the reactor."""
        found = []
        for _ in range(8):
            next_turn(self.house.clock)
            found.append(self.heard())
        return [turn for turn in found if turn]

    def test_slices(self) -> None:
        """It hears of a few in each turn, and of all in the end."""
        self.juliet.send("<presence/>")
        *_, first, second, third = [self.heard(), *self.turns()]
        self.assertEqual([len(first), len(second), len(third)], [4, 3, 1])
        self.assertEqual(first.pop(0), "juliet")
        self.assertEqual(sorted(first + second + third), [f"n{n}" for n in range(7)])

    def test_meanwhile(self) -> None:
        """Who leaves amid it is not shown as here; if the newcomer leaves, that is all."""
        self.juliet.send("<presence/>")
        next_turn(self.house.clock)
        while len(self.heard()) < 3:
            next_turn(self.house.clock)
        self.contacts[6].send("<presence type='unavailable'/>")
        heard = [name for turn in self.turns() for name in turn]
        self.assertNotIn("n6", heard)
        self.juliet.send("<presence type='unavailable'/>")
        self.house.clock.advance(0)
        self.heard()
        self.juliet.send("<presence/>")
        while len(self.heard()) < 3:
            next_turn(self.house.clock)
        self.juliet.abort()
        self.house.clock.advance(0)
        self.assertEqual(list(self.house.server.session_manager.local_sessions(JULIET)), [])


class ProbeTests(SynchronousTestCase):
    """Probes (RFC 6121 §4.3)."""

    def setUp(self) -> None:
        self.house = House(
            DOMAIN, romeo={"juliet": "from"}, juliet={"romeo": "to"}, nurse={}, tybalt={}
        )

    def probe(self, name: str, to: str = ROMEO) -> list[str]:
        """What somebody's probe is answered with."""
        (client,) = self.house.connect(name)
        client.send(f"<presence type='probe' to='{to}'/>")
        return client.received()

    def test_allowed(self) -> None:
        """A subscriber is told of each available resource, and of no other (PM-7)."""
        self.house.connect("romeo/a", "romeo/b")
        self.house.bind("romeo", "c")
        self.assertEqual(
            self.probe("juliet"),
            [f"<presence from='{ROMEO}/{one}' to='{JULIET}/1'/>" for one in "ab"],
        )

    def test_absent(self) -> None:
        """Of who is away, a subscriber is told the last status; if there is none, that it left."""
        self.assertEqual(self.probe("juliet"), [])
        last_presences = self.house.server.presence_manager.last_presences
        done(last_presences.save(ROMEO, LastPresence(1.0, "bye & <bye>")))
        status = "bye &amp; &lt;bye&gt;"
        (answer,) = self.probe("juliet")
        self.assertEqual(
            answer,
            f"<presence from='{ROMEO}' to='{JULIET}/1' type='unavailable'>"
            f"<status>{status}</status></presence>",
        )

    def test_not_allowed(self) -> None:
        """A stranger learns nothing, not even whether there is such an account (PM-6)."""
        self.house.connect("romeo")
        for to in (ROMEO, f"{ROMEO}/1", f"nobody@{DOMAIN}"):
            bare = to.partition("/")[0]
            self.assertEqual(
                self.probe("nurse", to),
                [f"<presence from='{bare}' to='nurse@{DOMAIN}' type='unsubscribed'/>"],
            )

    def test_oneself(self) -> None:
        """An account sees itself."""
        self.assertEqual(self.probe("romeo"), [f"<presence from='{ROMEO}/1' to='{ROMEO}/1'/>"])

    def test_a_greeting_asks_too(self) -> None:
        """Who stands in a roster whose owner does not stand in theirs is told nothing."""
        house = House(DOMAIN, romeo={}, juliet={"romeo": "both", "tybalt": "to"}, tybalt={})
        house.connect("romeo")
        done(
            house.server.presence_manager.last_presences.save(
                f"tybalt@{DOMAIN}", LastPresence(1.0, "secret")
            )
        )
        juliet = house.bind("juliet")
        juliet.send("<presence/>")
        self.assertEqual(juliet.received(), [f"<presence from='{JULIET}/1' to='{JULIET}/1'/>"])


class UnavailableTests(SynchronousTestCase):
    """However somebody goes, it is told once."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={"juliet": "both"}, juliet={"romeo": "both"}, nurse={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def goodbyes(self, client: Client) -> list[str]:
        """From whom unavailable presence came."""
        return [
            stanza.partition("from='")[2].partition("'")[0]
            for stanza in client.received()
            if "type='unavailable'" in stanza
        ]

    def test_never_available(self) -> None:
        """Who never said that it is here leaves unheard (§4.5.2)."""
        self.house.bind("romeo", "2").abort()
        self.assertEqual(self.juliet.received(), [])

    def test_asked_then_lost(self) -> None:
        """Who said goodbye and hangs up then is not heard twice."""
        self.romeo.send("<presence type='unavailable'/>")
        self.romeo.abort()
        self.assertEqual(self.goodbyes(self.juliet), [f"{ROMEO}/1"])

    def test_negotiation_never_ends(self) -> None:
        """Who is lost before it is bound leaves nothing behind."""
        stranger = self.house.unauthenticated()
        stranger.open(DOMAIN)
        stranger.abort()
        self.house.logged_in("romeo").abort()
        self.assertEqual(len(self.house.server.routing_table.bound), 2)

    def test_shutdown(self) -> None:
        """At shutdown everybody is told why, and nobody is left behind (BOOT-4)."""
        stopped = self.house.stop()
        for client in (self.romeo, self.juliet):
            data = client.raw()
            self.assertIn(b"<system-shutdown ", data)
            client.send("</stream:stream>")
        self.successResultOf(stopped)
        self.assertEqual(self.house.server.routing_table.bound, {})

    def test_last_presence(self) -> None:
        """The last resource that goes leaves the time and its status; others do not (PU-9)."""
        (phone,) = self.house.connect("romeo/phone")
        phone.send("<presence type='unavailable'><status>battery</status></presence>")
        self.assertEqual(done(self.house.store.presences.last_presence([ROMEO])), {})
        self.house.clock.advance(7)
        self.romeo.send("<presence type='unavailable'><status>night</status></presence>")
        last = done(self.house.store.presences.last_presence([ROMEO]))[ROMEO]
        self.assertEqual(last, LastPresence(self.house.wall_clock(), "night"))

    def test_private_goodbye_of_the_hidden(self) -> None:
        """Who is not available and told in private is not heard of twice after being seen."""
        hidden = self.house.bind("nurse")
        hidden.send(f"<presence to='{JULIET}'/><presence to='{JULIET}/1'/>")
        hidden.abort()
        self.assertEqual(self.goodbyes(self.juliet), [f"nurse@{DOMAIN}/1"])

    def test_taken_back(self) -> None:
        """Who was told goodbye in private is owed none (DP-3)."""
        self.house.add("tybalt")
        (nurse,) = self.house.connect("nurse")
        nurse.send(f"<presence to='{JULIET}'/><presence to='{JULIET}' type='unavailable'/>")
        nurse.abort()
        self.assertEqual(self.goodbyes(self.juliet), [f"nurse@{DOMAIN}/1"])

    def test_a_right_that_ends(self) -> None:
        """Who loses the right to see is told goodbye once, also where it was told in private."""
        self.romeo.send(f"<presence to='{JULIET}/1'><show>dnd</show></presence>")
        self.romeo.send(f"<presence to='{JULIET}' type='unsubscribed'/>")
        self.assertEqual(self.goodbyes(self.juliet), [f"{ROMEO}/1"])
        self.romeo.abort()
        self.assertEqual(self.goodbyes(self.juliet), [])

    def test_errors(self) -> None:
        """A presence error reaches a resource, and vanishes at a bare JID (PR-14, PR-16)."""
        self.romeo.send(f"<presence to='{JULIET}' type='error'/>")
        self.assertEqual(self.juliet.received(), [])
        self.romeo.send(f"<presence to='{JULIET}/1' type='error'/>")
        self.assertEqual(len(self.juliet.received()), 1)
        self.assertEqual(self.romeo.received(), [])

    def test_unknown_type(self) -> None:
        """A presence of a type that is none is refused (SI-3)."""
        self.romeo.send("<presence type='invisible'/>")
        self.assertIn("<bad-request ", "".join(self.romeo.received()))
        self.assertEqual(self.juliet.received(), [])

    def test_nobody_learns(self) -> None:
        """Directed presence to nobody vanishes (PR-10)."""
        self.romeo.send(f"<presence to='nobody@{DOMAIN}'/><presence to='nobody@{DOMAIN}/x'/>")
        self.assertEqual(self.romeo.received(), [])


class DirectedPresenceTests(SynchronousTestCase):
    def test_limit(self) -> None:
        """One session tells so many in private and no more; goodbyes make room (DP-2)."""
        directed, sender = DirectedPresences(), JID.parse("a@x/1")
        friends = [JID.parse(f"f{number}@x") for number in range(MAX_PER_SESSION)]
        for friend in friends:
            directed.sent(sender, friend)
        directed.sent(sender, friends[0])
        error = self.assertRaises(StanzaError, directed.sent, sender, JID.parse("g@x"))
        self.assertIs(error.condition, Condition.RESOURCE_CONSTRAINT)
        directed.withdrawn(sender, friends[1])
        directed.sent(sender, JID.parse("g@x"))
        self.assertEqual(len(directed.pop(sender)), MAX_PER_SESSION)
        self.assertEqual(directed.pop(sender), ())

    def test_whole_addresses(self) -> None:
        """Addresses are compared whole, never by a part of their text (DP-5)."""
        directed, sender = DirectedPresences(), JID.parse("a@x/1")
        directed.sent(sender, JID.parse("xbob@d"))
        self.assertFalse(directed.knows(sender, JID.parse("bob@d")))
        self.assertTrue(directed.knows(sender, JID.parse("xbob@d/any")))
