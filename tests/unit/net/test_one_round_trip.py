"""Logins that bring along stream management, carbons and client state: one round trip to online."""

from xml.etree.ElementTree import Element

from tests.unit.net.logins import BIND, HEADER, LAPTOP, Answer, agent, authenticate
from tests.unit.net.test_fast import TokenCase, by_token
from xmppd.net.bind2 import NS as BIND2
from xmppd.stanza import ns
from xmppd.stanza.carbon import CARBONS
from xmppd.testing import Client
from xmppd_plugins.client_state import NS as CSI

SM = ns.STREAM_MANAGEMENT
ENABLE = f"<enable xmlns='{SM}' resume='true'/>"
ROMEO = "romeo@montague.lit"


def bind(*inline: str) -> str:
    """Bind 2, and what comes with it."""
    return f"<bind xmlns='{BIND2}'><tag>Balcony</tag>{''.join(inline)}</bind>"


def resume(id: str, h: int) -> str:
    """Ask for an earlier session."""
    return f"<resume xmlns='{SM}' previd='{id}' h='{h}'/>"


def message(text: str, to: str = ROMEO) -> str:
    """A message that says something."""
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


class InlineCase(TokenCase):
    """Romeo's phone has a token; Juliet is a friend at her laptop."""

    def setUp(self) -> None:
        super().setUp()
        for plugin in ("carbons", "client_state"):
            self.house.plugins.load(plugin)
        self.token_now = self.token()
        self.juliet = self.house.bind("juliet", "laptop")

    def come(self, *inline: str, behind: str = "") -> tuple[Client, Answer]:
        """Header, login by the token and more in one piece, as a phone does it."""
        client = self.house.stranger(encrypted=True)
        client.send(HEADER + by_token(self.token_now, *inline) + behind)
        return client, Answer(client.raw())

    def online(self) -> tuple[Client, str]:
        """Romeo, who acknowledges; and the id of his session."""
        client, answer = self.come(bind(ENABLE), behind="<presence/>")
        return client, self.inside(answer, "enabled").attrib["id"]

    def inside(self, answer: Answer, name: str) -> Element:
        """An element of stream management in the success."""
        found = answer["success"].find(f".//{{{SM}}}{name}")
        assert found is not None, str(answer)
        return found


class EnableTests(InlineCase):
    """What comes with Bind 2."""

    def test_all_at_once(self) -> None:
        """In one round trip: bound, counted, copied, and not looked at."""
        client, answer = self.come(
            bind(ENABLE, f"<enable xmlns='{CARBONS}'/>", f"<inactive xmlns='{CSI}'/>")
        )
        self.assertEqual(answer.names, ["features", "success", "features"])
        session = client.session
        self.assertEqual(answer.identifier, session.jid.full)
        self.assertEqual(self.inside(answer, "enabled").get("resume"), "true")
        self.assertTrue(session.carbons)
        self.assertTrue(session.inactive)

    def test_counted_from_here(self) -> None:
        """What follows the login is counted, both ways."""
        client, _ = self.online()
        client.send(f"<r xmlns='{SM}'/>")
        self.assertIn(b" h='1'/>", client.raw())

    def test_first_presence(self) -> None:
        """A client that nobody looks at is told all the same who is here when it comes."""
        self.juliet.send("<presence/>")
        other = self.house.connect("romeo/other")[0]
        client, _ = self.come(bind(f"<inactive xmlns='{CSI}'/>"))
        client.send("<presence/>")
        self.assertIn(f"from='{ROMEO}/other'".encode(), client.raw())
        other.send("<presence><show>away</show></presence>")
        self.assertEqual(client.raw(), b"")


class ResumeTests(InlineCase):
    """Coming back."""

    def test_resumed(self) -> None:
        """Instead of a resource it has its session, and behind the features what it missed."""
        client, id = self.online()
        jid = client.session.jid
        client.lose()
        self.juliet.send(message("a", jid.full))
        client, answer = self.come(resume(id, 0), bind(ENABLE))
        self.assertEqual(answer.names[:3], ["features", "success", "features"])
        self.assertEqual(answer.identifier, jid.full)
        self.assertEqual(self.inside(answer, "resumed").get("h"), "1")
        self.assertIsNone(answer["success"].find(f"{{{BIND2}}}bound"))
        self.assertEqual(
            [one.findtext("body") for one in answer.elements[3:] if one.tag == "message"], ["a"]
        )
        self.assertEqual(client.session.jid, jid)

    def test_silent(self) -> None:
        """Nobody hears of it, and it is let in like anybody else who has logged in."""
        self.juliet.send(f"<presence to='{ROMEO}' type='subscribe'/><presence/>")
        client, id = self.online()
        client.send("<presence to='juliet@montague.lit' type='subscribed'/>")
        client.lose()
        self.juliet.raw()
        client, _ = self.come(resume(id, 0))
        self.assertEqual(self.juliet.received(), [])
        crowd = self.house.server.crowd
        self.assertNotIn(client.handler, crowd.strangers)
        self.assertFalse(crowd.admission.is_in_progress(client.handler))

    def test_wire_that_seems_alive(self) -> None:
        """The old connection is told that the session goes on elsewhere."""
        old, id = self.online()
        new, answer = self.come(resume(id, 0))
        self.inside(answer, "resumed")
        self.assertIn(b"<conflict", old.raw())
        self.juliet.send(message("b"))
        self.assertIn(b"<body>b</body>", new.raw())

    def test_failed(self) -> None:
        """Of a session that is over it learns what was handled, and has another at once."""
        client, id = self.online()
        jid = client.session.jid
        client.send(message("c", "juliet@montague.lit") + "</stream:stream>")
        client, answer = self.come(resume(id, 0), bind(ENABLE))
        self.assertEqual(self.inside(answer, "failed").get("h"), "2")
        self.inside(answer, "enabled")
        self.assertEqual(answer.identifier, jid.full)

    def test_failed_without_bind(self) -> None:
        """Who does not ask for a resource as well may bind one, as after any login."""
        _, answer = self.come(resume("what", 0))
        self.assertIsNone(self.inside(answer, "failed").get("h"))
        self.assertEqual(answer.identifier, ROMEO)
        self.assertIsNotNone(answer.elements[-1].find(f"{{{ns.BIND}}}bind"))

    def test_somebody_elses(self) -> None:
        """Another account's session looks like none."""
        juliet = self.house.connect("juliet")[0]
        id = juliet.enable()
        _, answer = self.come(resume(id, 0))
        self.assertIsNone(self.inside(answer, "failed").get("h"))
        self.assertFalse(juliet.closed)

    def test_too_much(self) -> None:
        """Who says to have got what it was never sent is told so, and its session is unharmed."""
        client, id = self.online()
        client.lose()
        _, answer = self.come(resume(id, 7))
        self.assertEqual(answer.stream_error, "undefined-condition")
        _, answer = self.come(resume(id, 0))
        self.inside(answer, "resumed")

    def test_who_it_is(self) -> None:
        """The session belongs to the login that took it up."""
        client, id = self.online()
        client.lose()
        client = self.house.stranger(encrypted=True)
        client.send(HEADER + authenticate(None, resume(id, 0), agent=agent(LAPTOP)))
        login = client.session.login
        assert login is not None
        self.assertEqual((login.agent.id, login.mechanism), (LAPTOP, "PLAIN"))

    def test_asked_twice(self) -> None:
        """Of two that are asked for, one is resumed."""
        client, id = self.online()
        client.lose()
        _, answer = self.come(resume(id, 0), resume(id, 0), BIND)
        self.assertEqual(len(answer["success"].findall(f"{{{SM}}}resumed")), 1)
