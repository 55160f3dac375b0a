"""ComponentSession: the session of a component that is connected here."""

from itertools import count

from twisted.internet.defer import Deferred, succeed

from xmppd.cluster.node import NodeId
from xmppd.components.component_elsewhere import lot
from xmppd.session.backlog import Backlog, Waiting
from xmppd.session.session import Connection
from xmppd.stanza import JID, Stanza

_numbers = count()


class ComponentSession:
    """One of a component's connections (CO-7).

    Attributes:
        jid: The component's domain.
        connection: Writes to the component.
        number: Tells it from the component's other ones at this node.
        lot: Tells it from all other ones of the service.
        closed: Whether its connection is gone or closing.
        backlog: The stanzas that wait while its connection is full; None while it is not.
    """

    __slots__ = ("_awaited", "backlog", "closed", "connection", "jid", "lot", "number")

    def __init__(self, jid: JID, connection: Connection, node: NodeId) -> None:
        self.jid = jid
        self.connection = connection
        self.number = next(_numbers)
        self.lot = lot(node, self.number)
        self.closed = False
        self.backlog: Backlog | None = None
        self._awaited: list[Deferred[None]] = []

    def free(self) -> Deferred[None]:
        """Fires when nothing waits here, or the connection is gone."""
        if self.backlog is None:
            return succeed(None)
        free: Deferred[None] = Deferred()
        self._awaited.append(free)
        return free

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza to the component."""
        if self.closed:
            return False
        if self.backlog is None:
            self.connection.write(wire)
            return True
        self.backlog.add(stanza, wire)
        if self.backlog.load.exceeds(self.connection.max_queued_bytes):
            self.connection.abort()
        return True

    def wire_is_full(self) -> None:
        """Let later stanzas wait here, where they can be taken back."""
        if self.backlog is not None:
            self.backlog.full = True
        elif not self.closed:
            self.backlog = Backlog()

    def wire_is_free(self) -> None:
        """Write stanzas that wait, until the connection is full again."""
        backlog = self.backlog
        if backlog is None:
            return
        backlog.full = False
        while backlog and not backlog.full:
            self.connection.write(backlog.take())
        if not backlog.full:
            self.backlog = None
            self._tell_awaited()

    def take_unread(self) -> list[Waiting]:
        """Take the stanzas that waited when the connection was lost, in order."""
        backlog, self.backlog = self.backlog, None
        self._tell_awaited()
        return [] if backlog is None else backlog.waiting()

    def _tell_awaited(self) -> None:
        awaited, self._awaited = self._awaited, []
        for free in awaited:
            free.callback(None)
