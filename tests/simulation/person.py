"""A client in a simulation: what it says, and what it has heard."""

import re
from xml.etree import ElementTree

from tests.simulation.simulated_time import DriftingClock
from xmppd.stanza import ns
from xmppd.testing.client import Client

BLOCKING = "urn:xmpp:blocking"
_HEADER = re.compile(rb"<\?xml [^>]*\?>|</?stream:stream[^>]*>")
_STANZAS = frozenset(("message", "presence", "iq"))


class Heard:
    """A presence that came.

    Attributes:
        sender: Full JID.
        text: The status in it; None if it is a goodbye.
    """

    def __init__(self, sender: str, text: str | None) -> None:
        self.sender = sender
        self.text = text


class Person:
    """One client, with all its connections to one session after the other.

    Attributes:
        number: Of the client, in its schedule.
        account: Bare JID.
        full: Its full JID.
        node: The id of the node that it is connected to, as text.
        client: Its connection.
        came_at: When its session began; None before that.
        ended_at: When its connection broke first; None if it has not.
        gone: Whether it has no session any more, as far as it can know.
        deaf: Whether nothing comes through to it any more, and it does not know.
        sees: Who is available, by full JID, with the status.
        ghosts: Goodbyes of those whom it did not see.
        got: The number of each message that came, with the sender, and when, in order.
        bounced: The numbers of its own messages that came back.
        acknowledged: The numbers of its own messages that the server has taken over.
        id: By which its session may be resumed; empty if it may not.
    """

    def __init__(self, number: int, full: str, node: str, client: Client, *, managed: bool) -> None:
        self.number = number
        self.full = full
        self.account = full.partition("/")[0]
        self.node = node
        self.client = client
        self.managed = managed
        self.came_at: float | None = None
        self.ended_at: float | None = None
        self.gone = self.deaf = False
        self.sees: dict[str, str] = {}
        self.ghosts: list[str] = []
        self.got: list[tuple[int, float]] = []
        self.bounced: set[int] = set()
        self.acknowledged: set[int] = set()
        self.id = ""
        self.resumed = 0
        self._is_cut_off = False
        self._handled = 0
        self._unacknowledged: list[tuple[str, int]] = []
        self._sent_before = 0
        self._counts = False
        self._is_counted = False
        self._first = ""

    def __str__(self) -> str:
        return f"{self.full} (client {self.number})"

    # -- to the server ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Bind a resource."""
        resource = self.full.partition("/")[2]
        self._say(
            f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'><resource>{resource}</resource>"
            "</bind></iq>"
        )

    def say(self, stanza: str, message: int = -1) -> None:
        """Send a stanza, which the server has to acknowledge if it counts them."""
        if self._is_counted:
            self._unacknowledged.append((stanza, message))
            self._say(f"{stanza}<r xmlns='{ns.STREAM_MANAGEMENT}'/>")
        else:
            self._say(stanza)

    def resume(self, node: str, client: Client) -> None:
        """Take up the session by another connection."""
        self.node, self.client = node, client
        self.deaf = self._is_cut_off = False
        self._counts = self._is_counted = False
        self._say(
            f"<resume xmlns='{ns.STREAM_MANAGEMENT}' previd='{self.id}' h='{self._handled}'/>"
        )

    def _say(self, text: str) -> None:
        if not (self.deaf or self.client.transport.lost):
            self.process.happen(self._arrive, self.client, text.encode())

    def _arrive(self, client: Client, data: bytes) -> None:
        if not client.transport.lost:
            client.handler.dataReceived(data)

    def hang_up(self) -> None:
        """Have the connection break, which the server sees when its process can."""
        self.process.happen(self.client.transport.abortConnection)

    @property
    def process(self) -> DriftingClock:
        """That of the node."""
        clock = self.client.house.clock
        assert isinstance(clock, DriftingClock), "it is a node's"
        return clock

    # -- from the server --------------------------------------------------------------------------

    @property
    def has_something(self) -> bool:
        """Whether something has come."""
        return self.client.transport.io.tell() > 0

    @property
    def has_news(self) -> bool:
        """Whether something has come, or the connection was lost just now."""
        if self.gone:
            return False
        transport = self.client.transport
        return transport.io.tell() > 0 or (transport.lost and not self._is_cut_off)

    def listen(self, now: float) -> None:
        """Read what has come, and answer it; then see whether the connection is gone."""
        while self.has_something:
            data = self.client.transport.take()
            if self.deaf:
                break
            is_end = b"</stream:stream>" in data
            text = _HEADER.sub(b"", data)
            wrapped = b"<s xmlns='%b' xmlns:stream='%b'>%b</s>"
            for element in ElementTree.fromstring(
                wrapped % (ns.CLIENT.encode(), ns.STREAM.encode(), text)
            ):
                self._hear(element, now)
            if is_end:
                self.hang_up()
        if self.client.transport.lost and not self.deaf:
            self._disconnected(now)

    def _disconnected(self, now: float) -> None:
        self._is_cut_off = True
        if self.ended_at is None:
            self.ended_at = now
        self._counts = self._is_counted = False
        if not self.id:
            self.gone = True

    @property
    def ready(self) -> bool:
        """Whether the client believes that it has a session and a connection."""
        is_bound = self.came_at is not None and self._counts == self.managed
        return is_bound and not self.gone and not self.client.transport.lost

    def _hear(self, element: ElementTree.Element, now: float) -> None:
        namespace, _, name = element.tag[1:].partition("}")
        if namespace == ns.STREAM_MANAGEMENT:
            self._hear_of_counts(element, name, now)
            return
        if name not in _STANZAS:
            return
        if self._counts:
            self._handled += 1
        if name == "iq":
            self._hear_iq(element, now)
        elif name == "presence":
            self._hear_presence(element)
        elif element.get("type") == "error":
            self.bounced.add(int(element.get("id", "m0")[1:]))
        else:
            self.got.append((int(element.get("id", "m0")[1:]), now))

    def _hear_iq(self, iq: ElementTree.Element, now: float) -> None:
        kind, id = iq.get("type"), iq.get("id", "")
        if kind == "get" or (kind == "set" and len(iq)):
            sender = iq.get("from", "")
            to = f" to='{sender}'" if sender else ""
            self.say(f"<iq type='result'{to} id='{id}'/>")
        elif id == "bind":
            self._bound(iq, now)

    def _bound(self, iq: ElementTree.Element, now: float) -> None:
        if iq.get("type") != "result":
            self.gone = True
            self.hang_up()
            return
        self.came_at = now
        if self.managed:
            self._say(f"<enable xmlns='{ns.STREAM_MANAGEMENT}' resume='true'/>")
            self._is_counted = True
            self._unacknowledged.clear()
            self._sent_before = 0
            return
        self._begun()

    def _begun(self) -> None:
        self.say(f"<iq type='get' id='roster'><query xmlns='{ns.ROSTER}'/></iq>")
        self.say(f"<iq type='get' id='blocked'><blocklist xmlns='{BLOCKING}'/></iq>")
        if self._first:
            self.say(self._first)

    def present(self, text: str) -> None:
        """Send presence, as soon as there is a session."""
        presence = f"<presence><status>{text}</status></presence>"
        if self.came_at is None or (self.managed and not self._counts):
            self._first = presence
        else:
            self.say(presence)

    def _hear_presence(self, presence: ElementTree.Element) -> None:
        sender, kind = presence.get("from", ""), presence.get("type")
        if kind is None:
            self.sees[sender] = presence.findtext(f"{{{ns.CLIENT}}}status") or ""
        elif kind == "unavailable":
            if sender == self.full:
                self.sees.clear()
            elif self.sees.pop(sender, None) is None and not self.resumed:
                self.ghosts.append(sender)

    def _hear_of_counts(self, element: ElementTree.Element, name: str, now: float) -> None:
        if name == "enabled":
            self.id = element.get("id", "")
            self._counts = True
            self._handled = 0
            self._begun()
        elif name == "r":
            self._say(f"<a xmlns='{ns.STREAM_MANAGEMENT}' h='{self._handled}'/>")
        elif name == "a":
            self._acknowledged(int(element.get("h", "0")))
        elif name == "resumed":
            self._acknowledged(int(element.get("h", "0")))
            self.resumed += 1
            self._counts = self._is_counted = True
            again, self._unacknowledged = self._unacknowledged, []
            for stanza, message in again:
                self.say(stanza, message)
        elif name == "failed":
            if element.get("h") is not None:
                self._acknowledged(int(element.get("h", "0")))
            self.id = ""
            self.gone = True
            self.hang_up()

    def _acknowledged(self, h: int) -> None:
        for _ in range(h - self._sent_before):
            _, message = self._unacknowledged.pop(0)
            if message >= 0:
                self.acknowledged.add(message)
        self._sent_before = h


__all__ = ["Person"]
