"""Devices that log in by the letter of what clients do, and keep what they read by its id."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tests.integration.people import PASSWORD
from tests.integration.raw_client import QuickClient
from tests.unit.login.logins import authenticate, plain
from xmppd.stanza import ns
from xmppd.stanza.result import MAM, STANZA_ID
from xmppd.stanza.rsm import RSM
from xmppd.testing.process import ServerProcess

_ROOT = f"<s xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'>".encode()
_STANZAS = tuple(f"{{{ns.CLIENT}}}{name}" for name in ("message", "presence", "iq"))
_SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
CARBONS = "<enable xmlns='urn:xmpp:carbons:2'/>"


class Device:
    """One device of an account, over all of its logins.

    Args:
        server: Where it goes.
        address: Bare JID.

    Attributes:
        messages: What it has read, by id, in the order in which it came first.
        again: How often something came that it had already.
        strangers: What came without an id.
        last: The id of the newest message that it knows.
    """

    def __init__(self, server: ServerProcess, address: str) -> None:
        self.server = server
        self.address = address
        self.name = address.partition("@")[0]
        self.messages: dict[str, str] = {}
        self.again = 0
        self.strangers: list[str] = []
        self.last: str | None = None
        self._handled = self._asked = 0
        self._managed = False
        self._resumable = ""
        self.client: QuickClient

    # -- logins -----------------------------------------------------------------------------------

    def bind2(self) -> Element:
        """SASL2 with Bind 2, carbons and stream management inside (Conversations, Dino)."""
        inside = f"<tag>phone</tag>{CARBONS}<enable {_SM} resume='true'/>"
        return self._authenticate(f"<bind xmlns='urn:xmpp:bind:0'>{inside}</bind>")

    def sasl2(self) -> None:
        """SASL2, then the binding of RFC 6120 and stream management (Gajim, Monal)."""
        self._authenticate("")
        self.send(f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'/></iq>")
        self.sync()
        self.send(f"<enable {_SM} resume='true'/>")
        self._handled, self._managed = 0, True
        self.sync()

    def resume(self) -> Element:
        """SASL2 with a resumption inside of it."""
        return self._authenticate(f"<resume {_SM} previd='{self._resumable}' h='{self._handled}'/>")

    def _authenticate(self, inline: str) -> Element:
        self.client = QuickClient(self.server)
        self.client.send(self.client.header)
        self.client.until(b"</stream:features>")
        self.client.send(authenticate(plain(self.name, PASSWORD), inline).encode())
        success = ElementTree.fromstring(_ROOT + self.client.until(b"</success>") + b"</s>")[0]
        enabled = success.find(f".//{{{ns.STREAM_MANAGEMENT}}}enabled")
        self._managed = success.find(f".//{{{ns.STREAM_MANAGEMENT}}}resumed") is not None
        if not self._managed:  # else the features are those of before
            self.client.until(b"</stream:features>")
        if enabled is not None:
            self._handled, self._managed = 0, True
            self._resumable = enabled.attrib["id"]
        return success

    def vanish(self) -> None:
        """Be gone without a word."""
        self.client.close()

    def leave(self) -> None:
        """Say goodbye, and be gone on return."""
        self.client.send(b"<presence type='unavailable'/></stream:stream>")
        self.client.until(b"</stream:stream>")
        self.client.close()

    # -- stanzas ----------------------------------------------------------------------------------

    def send(self, *stanzas: str) -> None:
        """Send these at once."""
        self.client.send("".join(stanzas).encode())

    def say(self, to: str, *bodies: str) -> None:
        """Say something, and wait until it was handled."""
        for body in bodies:
            self.send(f"<message to='{to}' type='chat'><body>{body}</body></message>")
        self.sync()

    def sync(self) -> list[Element]:
        """All that has come until the server answers a ping; it is acknowledged."""
        self._asked += 1
        word = f"sync{self._asked}'".encode()
        self.send(
            f"<iq type='get' id='sync{self._asked}' to='{self.server.domain}'>"
            f"<ping xmlns='{ns.PING}'/></iq>"
        )
        data = self.client.until(word) + self.client.until(b">")
        came = list(ElementTree.fromstring(_ROOT + data + b"</s>"))
        for each in came:
            if each.tag in _STANZAS:
                self._handled += 1
                self._read(each)
            elif each.tag == f"{{{ns.STREAM_MANAGEMENT}}}enabled":
                self._handled, self._resumable = 0, each.attrib["id"]
        if self._managed:
            self.send(f"<a {_SM} h='{self._handled}'/>")
        return came

    def _read(self, stanza: Element) -> None:
        """Keep a message that is one, or is inside of a result."""
        inner = stanza.find(f".//{_STANZAS[0]}")
        message = stanza if inner is None else inner
        body = message.findtext(f"{{{ns.CLIENT}}}body")
        if message.tag != _STANZAS[0] or body is None:
            return
        own = [
            each.attrib["id"]
            for each in message.iterfind(f"{{{STANZA_ID}}}stanza-id")
            if each.get("by") == self.address
        ]
        if len(own) != 1:
            self.strangers.append(body)
            return
        self.again += own[0] in self.messages
        self.messages.setdefault(own[0], body)
        if inner is None:
            self.last = own[0]

    # -- the archive ------------------------------------------------------------------------------

    def ask(self, form: str = "", page: str = "") -> Element:
        """The answer to a query, whose results have been read before it."""
        self.send(
            f"<iq type='set' id='mam'><query xmlns='{MAM}' queryid='q'>{form}"
            f"<set xmlns='{RSM}'><max>3</max>{page}</set></query></iq>"
        )
        [answer] = [each for each in self.sync() if each.get("id") == "mam"]
        return answer

    def catch_up(self, last: str | None) -> None:
        """Read the archive behind the last known message, page by page."""
        while True:
            answer = self.ask(page="" if last is None else f"<after>{last}</after>")
            fin = answer[0]
            assert fin.tag == f"{{{MAM}}}fin", ElementTree.tostring(answer)
            last = fin.findtext(f".//{{{RSM}}}last") or last
            if fin.get("complete") == "true":
                self.last = last
                return

    @property
    def read(self) -> list[str]:
        """All that it has read, each once."""
        return sorted(self.messages.values())
