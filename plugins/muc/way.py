"""RoomWay: the way of a stanza to the node that has its room (RM-70)."""

from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from msgspec import Struct
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from xmppd.cluster.node import NodeId
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import IQ, Condition, Message, Payload, Presence, Stanza, StanzaError

from .rooms import Rooms
from .tables import KIND

WAIT_S = 5.0
"""How long a stanza waits for a room that no node has."""

NOBODY_HAS_IT = "the node with this room does not answer; try again"

T = TypeVar("T")
_KINDS: dict[str, type[Stanza]] = {kind.name: kind for kind in (Message, Presence, IQ)}


class ForRoom(Struct, frozen=True):
    """A stanza for the node that has a room.

    Attributes:
        kind: Such as ``message``.
        wire: Its bytes, with its sender and addressee.
        node: Where its sender is; empty if that is of another server.
    """

    kind: str
    wire: bytes
    node: str = ""

    def stanza(self) -> Stanza:
        """The stanza again, which knows where it comes from."""
        stanza = _KINDS[self.kind].from_bytes(self.wire)
        if not self.node:
            return stanza
        payload = FromNode(stanza.payload.raw, stanza.payload.to, stanza.payload.tree)
        payload.node = NodeId.parse(self.node)
        return stanza.__class__(stanza.to, stanza.sender, stanza.id, stanza.type, payload)


class RoomAccepted(Struct, frozen=True):
    """The answer to that: it waits there for its turn."""


class FromNode(Payload):
    """The payload of a stanza that has come from another node.

    Attributes:
        node: That one; None in what is made of such a payload.
    """

    __slots__ = ("node",)
    node: NodeId | None


def node_of(stanza: Stanza) -> NodeId | None:
    """The other node where the sender of a stanza is; None if it is here, or of another server."""
    payload = stanza.payload
    return payload.node if isinstance(payload, FromNode) else None


class RoomWay:
    """Passes on what is for rooms at other nodes.

    Args:
        rooms: Those that are here.
        messages: Lead to other nodes.
        clock: The reactor's.
    """

    def __init__(self, rooms: Rooms, messages: PluginMessages, clock: IReactorTime) -> None:
        self.rooms = rooms
        self.messages = messages
        self.clock = clock
        self.table = rooms.teller.routing_table

    async def pass_on(self, name: str, stanza: Stanza) -> bool:
        """Have the node take a stanza that has its room, whichever that is when it arrives; returns
        whether that is another one.

        If a node is lost before it has said that it took a stanza, the next one gets it.

        Raises:
            StanzaError: What was raised there; or REMOTE_SERVER_TIMEOUT: none takes it in time.
        """
        node = node_of(stanza) or self.table.membership.id
        is_ours = self.table.is_local(stanza.sender)
        entry = ForRoom(stanza.name, stanza.wire(), str(node) if is_ours else "")
        return await self.send(name, entry)

    async def send(self, name: str, entry: Struct) -> bool:
        """The same with a message to whoever has a room, which answers :class:`RoomAccepted`."""
        until = self.clock.seconds() + WAIT_S
        while True:
            owner = await self._within(until, self.rooms.owner(name))
            if owner == self.table.membership.id:
                return False
            try:
                await self.messages.ask((KIND, name), entry, RoomAccepted)
            except StanzaError as error:
                is_gone = not self.table.membership.is_in(owner)
                if error.condition is not Condition.REMOTE_SERVER_TIMEOUT or not is_gone:
                    raise
            else:
                return True

    def _within(self, until: float, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        """Wait for something that goes on behind that time."""
        waiting = Deferred[T]()

        def over(result: T | Failure) -> None:
            if not waiting.called:
                waiting.callback(result)

        def too_late(failure: Failure) -> NoReturn:
            failure.trap(defer.TimeoutError)
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, NOBODY_HAS_IT)

        Deferred.fromCoroutine(work).addBoth(over)
        left_s = max(0.0, until - self.clock.seconds())
        return waiting.addTimeout(left_s, self.clock).addErrback(too_late)


__all__ = ["WAIT_S", "ForRoom", "FromNode", "RoomAccepted", "RoomWay", "node_of"]
