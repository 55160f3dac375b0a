"""A client that chats, comes back as real ones do, and writes down all that it sees.

It is written for these tests: expat reads each byte, and nothing in between makes up for anything.
"""

import asyncio
import ssl
import time
from base64 import b64encode
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Protocol
from xml.etree.ElementTree import Element

from bench.kills import Stream
from tests.faults.history import Heard, History, Mark, Message, Seen, Stay
from xmppd.stanza import ns

PASSWORD = "a rose"
LOGIN_S = 30.0
SILENCE_S = 12.0
"""A client that has asked, and has heard nothing for so long, looks for another node."""

PAUSE_S = (0.05, 0.3)
"""Between two messages."""

PRESENCES = 0.1
"""So many of the things that a client says are presences."""

STANZAS = ("message", "presence", "iq")
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
DELAY = "{urn:xmpp:delay}delay"
INVISIBLE = "<iq type='set' id='inv'><invisible xmlns='urn:xmpp:invisible:1' probe='true'/></iq>"
BLOCK = "<iq type='set' id='blk'><block xmlns='urn:xmpp:blocking'><item jid='{}'/></block></iq>"
_ANY = ssl.create_default_context()
_ANY.check_hostname = False
_ANY.verify_mode = ssl.CERT_NONE


class LoginFailed(Exception):
    """This login came to nothing; there will be another one."""


@dataclass(frozen=True)
class Role:
    """Who somebody is.

    Attributes:
        name: Of the account, and of the resource unless that has one of its own.
        home: The node where it comes in at first.
        resource: Of the client.
        is_invisible: Nobody sees it.
        manages: It has XEP-0198, and may so resume.
        blocks: Accounts that it wants to know nothing of.
    """

    name: str
    home: str
    resource: str = ""
    is_invisible: bool = False
    manages: bool = True
    blocks: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """Bare JID."""
        return f"{self.name}@localhost"

    @property
    def jid(self) -> str:
        """Full JID."""
        return f"{self.account}/{self.resource or self.name}"


class Company(Protocol):
    """Those whom a client is with.

    Attributes:
        random: Chooses what they say.
        history: What has happened to them.
        calm: Whether they say nothing new.
    """

    random: Random
    history: History
    calm: bool

    def port(self, node: str) -> int:
        """Where a node is to be reached."""

    def next_node(self, client: "Client") -> str:
        """Where a client tries next."""

    def listeners(self, client: "Client") -> list[Role]:
        """Whom a client may write to."""


class Client:
    """Somebody who comes back after each cut, and what there was to see.

    Args:
        crowd: With whom.
        role: Who it is.

    Attributes:
        node: Where it is, or will try next.
        is_online: Whether presence was sent on the present stream.
        is_away: Whether it is to stay away.
        refused: Why logins came to nothing.
    """

    def __init__(self, crowd: Company, role: Role) -> None:
        self.crowd = crowd
        self.role = role
        self.node = role.home
        self.is_online = self.is_away = False
        self.refused: list[str] = []
        self.stay: Stay | None = None
        self._previd = ""
        self._received = self._handled = self._presences = self._stays = 0
        self._numbers: dict[str, int] = {}
        self._waiting: deque[tuple[str, Message | None]] = deque()
        self._asked: deque[int] = deque()
        self._acknowledged_h = 0
        self._heard_at = 0.0
        self._stream: Stream | None = None

    # -- coming and going -----------------------------------------------------------------------

    async def live(self) -> None:
        """Come, and come back."""
        random = self.crowd.random
        while True:
            if self.is_away:
                await asyncio.sleep(0.05)
                continue
            try:
                await self._connect()
            except (OSError, EOFError, TimeoutError, ssl.SSLError, LoginFailed) as error:
                self.refused.append(f"{self.node}: {error or type(error).__name__}")
                await asyncio.sleep(0.2)
            self.node = self.crowd.next_node(self)
            await asyncio.sleep(random.choice((0, 0.05, 0.3)))

    async def _connect(self) -> None:
        port = self.crowd.port(self.node)
        async with asyncio.timeout(LOGIN_S):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=_ANY, server_hostname="localhost"
            )
        stream = Stream(reader, writer)
        try:
            async with asyncio.timeout(LOGIN_S):
                await self._log_in(stream)
            self._stream, self.is_online = stream, True
            await self._listen(stream)
        finally:
            self._stream, self.is_online = None, False
            writer.transport.abort()

    def go_away(self) -> None:
        """Be gone without a word, until :meth:`come_back`."""
        self.is_away = True
        if self._stream is not None:
            self._stream.writer.transport.abort()

    def come_back(self) -> None:
        """Be there again."""
        self.is_away = False

    def break_off(self) -> None:
        """Lose the connection."""
        if self._stream is not None:
            self._stream.writer.transport.abort()

    async def _log_in(self, stream: Stream) -> None:
        stream.open()
        await self._await(stream, "features")
        proof = b64encode(f"\0{self.role.name}\0{PASSWORD}".encode()).decode()
        stream.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{proof}</auth>")
        await self._await(stream, "success")
        stream.open()
        await self._await(stream, "features")
        if not await self._resume(stream):
            await self._begin(stream)

    async def _resume(self, stream: Stream) -> bool:
        if not self._previd:
            return False
        stream.send(f"<resume {SM} previd='{self._previd}' h='{self._received}'/>")
        answer = await self._await(stream, "resumed", "failed")
        if answer.get("h") is not None:
            self._handled_until(int(answer.attrib["h"]))
        if answer.tag.endswith("}failed"):
            self._previd = ""
            return False
        assert self.stay is not None
        self.stay.resumed += 1
        self.stay.settled = max(self.stay.settled, self._received)
        self._asked.clear()
        for text, _ in self._waiting:
            stream.send(text)
        stream.send(f"<r {SM}/>")
        return True

    async def _begin(self, stream: Stream) -> None:
        """A new session; what the former one did not get rid of is said again."""
        resource = self.role.resource or self.role.name
        stream.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource></bind>"
            "</iq>"
        )
        bound = await self._await(stream, "iq")
        if bound.get("type") != "result":
            raise LoginFailed("not bound")
        if self.stay is not None:
            self.stay.ended = self._heard_at
        self._stays += 1
        self._received = self._handled = self._presences = self._acknowledged_h = 0
        self._asked.clear()
        again = [message for _, message in self._waiting if message is not None]
        texts = [text for text, message in self._waiting if message is not None]
        self._waiting.clear()
        self.stay = Stay(
            self.role.jid, self._stays, time.monotonic(), is_resumable=self.role.manages
        )
        self.crowd.history.stays.append(self.stay)
        if self.role.manages:
            stream.send(f"<enable {SM} resume='true'/>")
            self._previd = (await self._await(stream, "enabled")).get("id", "")
            self._received = 0
        self._say(stream, f"<iq type='get' id='ros'><query xmlns='{ns.ROSTER}'/></iq>")
        if self._stays == 1:
            for jid in self.role.blocks:
                self._say(stream, BLOCK.format(jid))
        if self.role.is_invisible:
            self._say(stream, INVISIBLE)
        self._tell_presence(stream)
        for message, text in zip(again, texts, strict=True):
            message.is_repeated = True
            self._say(stream, text, message)

    async def _await(self, stream: Stream, *names: str) -> Element:
        while True:
            element = await stream.next()
            if element is None:
                raise EOFError("closed")
            name = element.tag.rpartition("}")[2]
            if name in names:
                return element
            if name in STANZAS:
                self._take(stream, element)  # it is bound, and others know
            elif name in ("failure", "error"):
                raise LoginFailed("/".join(child.tag.rpartition("}")[2] for child in element))

    # -- what it gets ---------------------------------------------------------------------------

    async def _listen(self, stream: Stream) -> None:
        self._heard_at = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    element = await stream.next()
            except TimeoutError:
                self.refused.append(f"{self.node}: silent")
                return
            if element is None:
                return
            if not element.tag.endswith("}error"):  # one that says that it is over
                self._heard_at = time.monotonic()
            self._take(stream, element)

    def _take(self, stream: Stream, element: Element) -> None:
        name = element.tag.rpartition("}")[2]
        self._received += name in STANZAS
        if name == "message":
            self._hear(element)
        elif name == "presence":
            self._see(element)
        elif name == "iq" and element.get("type") == "get":
            self._say(stream, f"<iq type='result' id='{element.get('id')}' to='localhost'/>")
        elif name == "r":
            self._acknowledge(stream)
        elif name == "a":
            self._handled_until(int(element.attrib["h"]))
            if self._asked and self.stay is not None:
                self.stay.settled = self._asked.popleft()
        elif name == "error":
            self.refused.append(f"{self.node}: {[each.tag for each in element]}")

    def _hear(self, element: Element) -> None:
        id, stay = element.get("id", ""), self.stay
        assert stay is not None
        message = self.crowd.history.messages.get(id)
        if message is None:
            return
        if element.get("type") == "error":
            message.is_bounced = True
            return
        is_late = element.find(DELAY) is not None
        stay.heard.append(Heard(id, time.monotonic(), self._received, is_late))

    def _see(self, element: Element) -> None:
        who, type, stay = element.get("from", ""), element.get("type"), self.stay
        assert stay is not None
        if type not in (None, "unavailable") or who == stay.who or "/" not in who:
            return
        mark: Mark | None = None
        if type is None:
            first, _, second = element.findtext(f"{{{ns.CLIENT}}}status", "").partition(".")
            mark = int(first), int(second)
        stay.seen.append(Seen(who, mark, time.monotonic()))

    def _acknowledge(self, stream: Stream) -> None:
        stream.send(f"<a {SM} h='{self._received}'/>")
        self._acknowledged_h = self._received

    def _handled_until(self, h: int) -> None:
        while self._handled < h and self._waiting:
            _, message = self._waiting.popleft()
            self._handled += 1
            if message is not None:
                message.is_safe = True

    # -- what it says ---------------------------------------------------------------------------

    def _say(self, stream: Stream, text: str, message: Message | None = None) -> None:
        if self.role.manages:
            self._waiting.append((text, message))
        stream.send(text)

    def _tell_presence(self, stream: Stream) -> None:
        self._presences += 1
        mark = (self._stays, self._presences)
        assert self.stay is not None
        self.stay.said = None if self.role.is_invisible else mark
        self._say(stream, f"<presence><status>{mark[0]}.{mark[1]}</status></presence>")

    def ask(self) -> None:
        """Ask what was handled, having said what was received."""
        if self._stream is not None and self.is_online and self.role.manages:
            self._acknowledge(self._stream)
            self._asked.append(self._acknowledged_h)
            self._stream.send(f"<r {SM}/>")
        elif self._stream is not None and self.is_online:
            self._stream.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")

    @property
    def is_quiet(self) -> bool:
        """Whether all that it has said was handled."""
        return not self._waiting

    async def talk(self) -> None:
        """Write to others, and tell them what there is to tell."""
        random = self.crowd.random
        while True:
            await asyncio.sleep(random.uniform(*PAUSE_S))
            stream = self._stream
            if stream is None or not self.is_online or len(self._waiting) > 300:
                continue
            if not self.crowd.calm:
                if random.random() < PRESENCES:
                    self._tell_presence(stream)
                elif self.role.manages:
                    self._write_to(stream, random.choice(self.crowd.listeners(self)))
            if self.crowd.calm or random.random() < 0.6:
                self.ask()

    def _write_to(self, stream: Stream, other: Role) -> None:
        to = other.jid if self.crowd.random.random() < 0.3 else other.account
        number = self._numbers[other.account] = self._numbers.get(other.account, -1) + 1
        id = f"{self.role.jid}:{other.name}-{number}"
        message = Message(id, self.role.jid, to, self.node, number, time.monotonic())
        self.crowd.history.messages[id] = message
        self._say(
            stream,
            f"<message to='{to}' type='chat' id='{id}'><body>{number}</body></message>",
            message,
        )
