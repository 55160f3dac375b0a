"""Two hundred people in every state of a subscription, made by protocol on somebody else's server,
move here, log in with their old password and find everything.
"""

import socket
import ssl
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, NamedTuple, Self
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.integration.ejabberd import Ejabberd
from tests.integration.people import Home
from tests.integration.prosody import Prosody
from tests.integration.test_moving import DOMAIN, MODULES, MovingCase
from tests.unit.auth.support import ScramClient
from xmppd.testing.signing_authority import SigningAuthority

PAIRS = 100
PATIENCE_S = 120.0
HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='{DOMAIN}' version='1.0' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
SASL, TLS = "urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-tls"
CLIENT = "{jabber:client}"
PUBSUB = "http://jabber.org/protocol/pubsub"
BOOKMARKS = (
    "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference "
    "jid='{}@conference.example'/></storage></query>"
)
NODE = (
    f"<pubsub xmlns='{PUBSUB}'><publish node='urn:news'><item id='1'>"
    "<entry xmlns='urn:news'>{}</entry></item></publish></pubsub>"
)


class State(NamedTuple):
    """What somebody's roster says of the other one (RFC 6121, appendix A).

    Attributes:
        subscription: As in a roster.
        out: Whether they wait for an answer.
        asked: Whether they are asked.
    """

    subscription: str
    out: bool = False
    asked: bool = False

    @property
    def mirrored(self) -> "State":
        """The same from the other side."""
        other = {"to": "from", "from": "to"}.get(self.subscription, self.subscription)
        return State(other, self.asked, self.out)


STATES = (
    State("none"), State("none", out=True), State("none", asked=True),
    State("none", out=True, asked=True), State("to"), State("to", asked=True), State("from"),
    State("from", out=True), State("both"),
)  # fmt: skip


class Someone:
    """A person with one connection, whose client shows each element.

    Args:
        name: Of the account.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.password = f"pass{name} møøn"
        self.inbox: list[ElementTree.Element] = []

    @property
    def address(self) -> str:
        """The bare JID."""
        return f"{self.name}@{DOMAIN}"

    def connect(self, port: int) -> Self:
        """Connect, and begin TLS."""
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._open()
        self.send(f"<starttls xmlns='{TLS}'/>")
        self._next()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket, server_hostname=DOMAIN)
        self._open()
        return self

    def _open(self) -> None:
        self._parser: Any = ElementTree.XMLPullParser(("start", "end"))
        self._depth = 0
        self._waiting: list[ElementTree.Element] = []
        self.send(HEADER)
        self.features = self._next()

    def send(self, text: str) -> None:
        """Send."""
        self._socket.sendall(text.encode())

    def _next(self) -> ElementTree.Element:
        while not self._waiting:
            data = self._socket.recv(65_536)
            assert data, f"{self.name}: the server closed the connection"
            self._parser.feed(data)
            for event, element in self._parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "end" and self._depth == 1:
                    self._waiting.append(element)
        return self._waiting.pop(0)

    def register(self) -> None:
        """Make the account, in band."""
        self.ask(
            "set",
            f"<query xmlns='jabber:iq:register'><username>{self.name}</username>"
            f"<password>{self.password}</password></query>",
        )

    def log_in(self, mechanism: str) -> Self:
        """Prove who it is, and bind."""
        scram = ScramClient(
            mechanism.removeprefix("SCRAM-"), username=self.name, password=self.password
        )
        is_plain = mechanism == "PLAIN"
        first = f"\0{self.name}\0{self.password}".encode() if is_plain else scram.first()
        self.send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{_base64(first)}</auth>")
        answer = self._next()
        if not is_plain and answer.tag == f"{{{SASL}}}challenge":
            final = scram.final(b64decode(answer.text or ""))
            self.send(f"<response xmlns='{SASL}'>{_base64(final)}</response>")
            answer = self._next()
        assert answer.tag == f"{{{SASL}}}success", (self.name, ElementTree.tostring(answer))
        self._open()
        self.ask("set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")
        return self

    def ask(self, type: str, payload: str, to: str = "") -> str:
        """The answer to a request; what else comes is kept."""
        addressed = f" to='{to}'" if to else ""
        self.send(f"<iq type='{type}' id='q'{addressed}>{payload}</iq>")
        while True:
            came = self._next()
            if came.tag == f"{CLIENT}iq" and came.get("id") == "q":
                text = ElementTree.tostring(came, encoding="unicode")
                assert came.get("type") == "result" or "urn:xmpp:ping" in payload, text
                return text
            self.inbox.append(came)

    def presence(self, type: str, to: "Someone") -> None:
        """Send presence to somebody; on return the server has taken it."""
        self.send(f"<presence type='{type}' to='{to.address}'/>")
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until the server has handled what was sent."""
        self.ask("get", "<ping xmlns='urn:xmpp:ping'/>")

    def leave(self) -> None:
        """Be gone; on return the server knows."""
        self.send("<presence type='unavailable'/></stream:stream>")
        while self._socket.recv(65_536):
            continue
        self._socket.close()

    def contact(self, other: "Someone") -> State:
        """What the roster and those who ask say of somebody."""
        roster = ElementTree.fromstring(self.ask("get", "<query xmlns='jabber:iq:roster'/>"))
        found = [each for each in roster[0] if each.get("jid") == other.address]
        self.send("<presence/>")
        self.catch_up()
        asked = any(
            each.tag == f"{CLIENT}presence" and each.get("type") == "subscribe"
            for each in self.inbox
        )
        if not found:
            return State("none", asked=asked)
        item = found[0]
        return State(item.get("subscription", ""), item.get("ask") == "subscribe", asked)

    @property
    def texts(self) -> str:
        """All that came unasked."""
        return "".join(ElementTree.tostring(each, encoding="unicode") for each in self.inbox)


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def pairs() -> list[tuple[Someone, Someone, State]]:
    """Everybody, two by two, and what the first one's roster says of the second."""
    names = [f"{'ж' if number % 5 else 'n'}{number:03}" for number in range(2 * PAIRS)]
    people = [Someone(name) for name in names]
    return [
        (people[2 * number], people[2 * number + 1], STATES[number % len(STATES)])
        for number in range(PAIRS)
    ]


def live(port: int, one: Someone, other: Someone, state: State) -> None:
    """Two people have something of everything, and are in this state."""
    for each in (one, other):
        each.connect(port).log_in("PLAIN")
        each.ask("get", "<query xmlns='jabber:iq:roster'/>")
        each.send("<presence/>")
        each.ask("set", f"<vCard xmlns='vcard-temp'><FN>é {each.name}</FN></vCard>")
        each.ask("set", BOOKMARKS.format(f"room-of-{each.name}"))
        each.ask("set", NODE.format(f"news of {each.name}"))
        each.ask(
            "set", f"<block xmlns='urn:xmpp:blocking'><item jid='foe@{each.name}.lit'/></block>"
        )
    one.ask(
        "set",
        f"<query xmlns='jabber:iq:roster'><item jid='{other.address}' name='Ø'>"
        "<group>Fair</group></item></query>",
    )
    for who, whom, is_answered, is_asked in (
        (one, other, state.subscription in ("to", "both"), state.out),
        (other, one, state.subscription in ("from", "both"), state.asked),
    ):
        if is_answered or is_asked:
            who.presence("subscribe", whom)
            whom.catch_up()
        if is_answered:
            whom.presence("subscribed", who)
            who.catch_up()
    one.leave()
    body = escape(f"for <{one.name}>")
    other.send(f"<message to='{one.address}' type='chat' id='m'><body>{body}</body></message>")
    other.catch_up()
    other.leave()


class ManyTests(MovingCase):
    """Two hundred people."""

    def assert_found(self, one: Someone, other: Someone, state: State) -> None:
        """Somebody has it all."""
        with self.subTest(one.name, state=state):
            self.assertEqual(one.contact(other), state)
            for asked, part in (
                ("<vCard xmlns='vcard-temp'/>", f"é {one.name}"),
                (BOOKMARKS.partition("<conf")[0] + "</storage></query>", f"room-of-{one.name}@"),
                (f"<pubsub xmlns='{PUBSUB}'><items node='urn:news'/></pubsub>",
                 f"news of {one.name}"),
                ("<blocklist xmlns='urn:xmpp:blocking'/>", f"foe@{one.name}.lit"),
            ):  # fmt: skip
                self.assertIn(part, one.ask("get", asked))

    def check_all(self, mechanism: str) -> None:
        """Everybody logs in here and has everything."""
        for one, other, state in pairs():
            for each in (one, other):
                each.connect(self.server.port).log_in(mechanism)
            self.assert_found(one, other, state)
            self.assert_found(other, one, state.mirrored)
            self.assertIn(f"for &lt;{one.name}&gt;", one.texts)
            one.inbox.clear()
            for each in (one, other):
                each.ask("set", "<query xmlns='urn:xmpp:mam:2'/>")
                self.assertIn(f"for &lt;{one.name}&gt;", each.texts)
                each.leave()

    def there(self) -> tuple[Path, SigningAuthority]:
        """The directory of the other server, and who signs for it."""
        there = self.directory / "there"
        there.mkdir()
        return there, SigningAuthority(self.directory, "authority")

    def populate(self, server: Home) -> None:
        """Have everybody live there."""
        for one, other, state in pairs():
            live(server.port, one, other, state)

    def assert_whole(self, said: list[str]) -> None:
        """All have come, and nothing was left behind."""
        self.assertEqual(len([line for line in said if line.endswith("was imported")]), 2 * PAIRS)
        self.assertEqual([line for line in said if "but" in line or "agree" in line], [])

    def test_prosody(self) -> None:
        """From the files of Debian's prosody, with passwords in clear."""
        there, authority = self.there()
        modules = MODULES.replace('"carbons"', '"carbons", "register"')
        prosody = Prosody(
            there, DOMAIN, authority=authority, signer=authority, dns=("127.0.0.1", 53),
            settings=f"{modules}\nallow_registration = true\n",
        )  # fmt: skip
        prosody.start()
        try:
            for one, other, _ in pairs():
                for each in (one, other):
                    each.connect(prosody.port).register()
                    each._socket.close()
            self.populate(prosody)
        finally:
            prosody.stop()
        self.assert_whole(self.bring("prosody", there / "data"))
        self.check_all("SCRAM-SHA-256")

    def test_ejabberd(self) -> None:
        """From a dump of Debian's ejabberd, with hashed passwords."""
        there, authority = self.there()
        ejabberd, dump = Ejabberd(there, DOMAIN, authority=authority), self.directory / "dump.txt"
        ejabberd.start()
        try:
            for one, other, _ in pairs():
                for each in (one, other):
                    ejabberd.add_user(each.name, each.password)
            self.populate(ejabberd)
            ejabberd.do("dump", file=str(dump))
        finally:
            ejabberd.stop()
        self.assert_whole(self.bring("ejabberd", dump))
        self.check_all("SCRAM-SHA-1")


__all__ = ["ManyTests"]
