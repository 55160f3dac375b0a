"""XEP-0186: Invisible Command."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.plugins.test_privacy_lists import denied, presences, use
from xmppd.testing.client import Client
from xmppd.testing.house import House

NS = "urn:xmpp:invisible:1"
JULIET = "juliet@montague.lit/1"
LAST = "<query xmlns='jabber:iq:last'/>"
ITEMS = "<query xmlns='http://jabber.org/protocol/disco#items'/>"


def invisible(client: Client, probe: str = "") -> str:
    """Become invisible; how that was answered."""
    attribute = f" probe='{probe}'" if probe else ""
    return condition(ask(client, "set", f"<invisible xmlns='{NS}'{attribute}/>"))


def visible(client: Client) -> None:
    """Become visible."""
    client.send(f"<iq type='set' id='v'><visible xmlns='{NS}'/></iq>")


class InvisibleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("invisible", "privacy_lists", "disco", "last_activity", "ping"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")
        self.clear()

    def clear(self) -> None:
        for client in (self.romeo, self.juliet, self.tybalt):
            client.raw()

    def seen(self, client: Client) -> list[tuple[str | None, str]]:
        return presences(client.received())

    def test_disco(self) -> None:
        """The server says that it knows the command (§4)."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        answer = ask(self.juliet, "get", info, "montague.lit")
        self.assertIn(NS, [feature.get("var") for feature in answer[0]])

    def test_leave(self) -> None:
        """Who becomes invisible is seen to leave, also by those they told in person (§3.1)."""
        self.juliet.send("<presence to='tybalt@montague.lit'/>")
        self.clear()
        self.assertEqual(invisible(self.juliet), "result")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "unavailable")])
        self.assertEqual(self.seen(self.tybalt), [(JULIET, "unavailable")])
        self.assertEqual(invisible(self.juliet), "result")
        self.assertEqual(self.seen(self.romeo), [])

    def test_no_broadcast(self) -> None:
        """Presence is not broadcast, and neither is the goodbye (§3.1.1, 1 and 9)."""
        invisible(self.juliet)
        self.clear()
        self.juliet.send("<presence><show>dnd</show></presence>")
        self.juliet.send("<presence type='unavailable'/>")
        self.assertEqual(self.seen(self.romeo), [])

    def test_directed(self) -> None:
        """Directed presence is delivered, and the goodbye to those alone (§3.1.1, 2 and 9)."""
        invisible(self.juliet)
        self.clear()
        self.juliet.send("<presence to='romeo@montague.lit'/>")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "here")])
        self.juliet.send("<presence type='unavailable'/>")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "unavailable")])
        self.assertEqual(self.seen(self.tybalt), [])

    def test_lost(self) -> None:
        """Who is told in person hears the goodbye also when the connection is lost."""
        invisible(self.juliet)
        self.juliet.send("<presence to='romeo@montague.lit/1'/>")
        self.clear()
        self.juliet.abort()
        self.assertEqual(self.seen(self.romeo), [(JULIET, "unavailable")])

    def test_in(self) -> None:
        """Presence, messages and requests come in; messages and requests go out (4 to 7)."""
        invisible(self.juliet)
        self.clear()
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.seen(self.juliet), [("romeo@montague.lit/1", "here")])
        for to in ("juliet@montague.lit", JULIET):
            self.romeo.send(f"<message type='chat' to='{to}'><body>x</body></message>")
        self.romeo.send(f"<iq type='get' id='p' to='{JULIET}'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(len(self.juliet.received()), 3)
        self.romeo.raw()
        self.juliet.send("<message to='romeo@montague.lit'><body>x</body></message>")
        self.juliet.send("<iq type='result' id='p' to='romeo@montague.lit/1'/>")
        self.assertEqual(len(self.romeo.received()), 2)

    def test_probes(self) -> None:
        """At first presence contacts are told of only if that was asked for (3)."""
        for probe, told in (("", False), ("false", False), ("0", False), ("true", True)):
            with self.subTest(probe=probe):
                self.juliet.abort()
                self.juliet = self.house.bind("juliet")
                invisible(self.juliet, probe)
                self.clear()
                self.juliet.send("<presence/>")
                names = [name for name, _ in self.seen(self.juliet)]
                self.assertEqual("romeo@montague.lit/1" in names, told)
                self.assertEqual(self.seen(self.romeo), [])

    def test_bad_probe(self) -> None:
        """A boolean that is none is refused; nobody makes somebody else invisible."""
        self.assertEqual(invisible(self.juliet, "maybe"), "bad-request")
        self.assertEqual(self.seen(self.romeo), [])
        for element in ("invisible", "visible"):
            answer = ask(self.romeo, "set", f"<{element} xmlns='{NS}'/>", "juliet@montague.lit")
            self.assertEqual(condition(answer), "forbidden")

    def test_as_if_away(self) -> None:
        """The account seems to be away since the session went invisible (8)."""
        self.house.clock.advance(100)
        invisible(self.juliet)
        self.house.clock.advance(50)
        self.clear()
        answer = ask(self.romeo, "get", LAST, "juliet@montague.lit")
        self.assertEqual(answer[0].get("seconds"), "50")
        self.assertEqual(len(ask(self.romeo, "get", ITEMS, "juliet@montague.lit")[0]), 0)
        self.romeo.raw()
        self.romeo.send("<presence type='probe' to='juliet@montague.lit'/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit", "unavailable")])
        self.juliet.abort()
        self.house.clock.advance(50)
        answer = ask(self.romeo, "get", LAST, "juliet@montague.lit")
        self.assertEqual(answer[0].get("seconds"), "100")

    def test_other_resource(self) -> None:
        """Another resource that is visible answers for the account, and alone (8)."""
        (other,) = self.house.connect("juliet/2")
        invisible(self.juliet)
        self.clear()
        items = ask(self.romeo, "get", ITEMS, "juliet@montague.lit")[0]
        self.assertEqual([item.get("jid") for item in items], ["juliet@montague.lit/2"])
        self.romeo.send("<presence type='probe' to='juliet@montague.lit'/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/2", "here")])
        self.house.clock.advance(10)
        other.abort()
        self.house.clock.advance(10)
        self.romeo.raw()
        answer = ask(self.romeo, "get", LAST, "juliet@montague.lit")
        self.assertEqual(answer[0].get("seconds"), "10")

    def test_own_resources(self) -> None:
        """The account's other resources see it all the same."""
        (other,) = self.house.connect("juliet/2")
        invisible(self.juliet)
        other.raw()
        self.juliet.send("<presence><show>xa</show></presence>")
        self.assertEqual(self.seen(other), [(JULIET, "here")])
        visible(self.juliet)
        self.assertEqual(self.seen(other), [(JULIET, "unavailable")])

    def test_login_of_others(self) -> None:
        """Who comes later is not told of somebody invisible."""
        invisible(self.juliet)
        self.romeo.abort()
        romeo = self.house.bind("romeo")
        romeo.send("<presence/>")
        self.assertNotIn((JULIET, "here"), self.seen(romeo))

    def test_visible(self) -> None:
        """Who becomes visible is as one that has not sent presence yet (§3.2)."""
        invisible(self.juliet)
        self.clear()
        visible(self.juliet)
        self.assertEqual(self.seen(self.romeo), [])
        self.romeo.send("<presence type='probe' to='juliet@montague.lit'/>")
        self.assertNotIn((JULIET, "here"), self.seen(self.romeo))
        self.juliet.raw()
        self.juliet.send("<presence/>")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "here")])
        self.assertIn(("romeo@montague.lit/1", "here"), self.seen(self.juliet))
        visible(self.juliet)
        self.assertEqual(self.seen(self.romeo), [])

    def test_visible_owes_a_goodbye(self) -> None:
        """Who was told in person while invisible still hears the goodbye, once (§3.2)."""
        invisible(self.juliet)
        self.juliet.send("<presence to='tybalt@montague.lit'/>")
        self.juliet.send("<presence to='romeo@montague.lit'/>")
        visible(self.juliet)
        self.clear()
        self.juliet.send("<presence/>")
        self.clear()
        self.juliet.send("<presence type='unavailable'/>")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "unavailable")])
        self.assertEqual(self.seen(self.tybalt), [(JULIET, "unavailable")])

    def test_session(self) -> None:
        """It holds for this session alone, and not for the next one (§2)."""
        (other,) = self.house.connect("juliet/2")
        invisible(self.juliet)
        self.clear()
        other.send("<presence><show>away</show></presence>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/2", "here")])
        self.juliet.abort()
        self.house.connect("juliet")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "here")])

    def test_with_a_list(self) -> None:
        """A list is in force beside it, and stays when the session is visible again."""
        use(self.juliet, denied("presence-out"))
        invisible(self.juliet)
        self.clear()
        self.juliet.send("<presence to='romeo@montague.lit'/>")
        self.assertIn("not-acceptable", self.juliet.received()[0])
        visible(self.juliet)
        self.juliet.send("<presence/>")
        self.assertEqual(self.seen(self.romeo), [])
        use(self.juliet, "<item action='allow' order='1'/>")
        self.assertEqual(self.seen(self.romeo), [(JULIET, "here")])
