"""Link: the connection to one other node, which is made again whenever it breaks."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refusal
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.conversation import Carrier, Conversation
from xmppd.cluster.link_protocol import LinkHello, LinkProtocol
from xmppd.cluster.node import Node, NodeId

RETRY_FIRST_S = 0.1
RETRY_MOST_S = 5.0
LOG_EVERY_S = 60.0

_log = Logger()


class LinkState(NamedTuple):
    """The state of a link, for people.

    Attributes:
        linked: Whether there is a connection.
        detoured: Whether there is none, and frames go another way.
        silent_s: Seconds since anything was heard.
        reconnects: So often it was lost.
        trouble: Why there is none; empty if there is one, or none was tried.
    """

    linked: bool
    detoured: bool
    silent_s: float
    reconnects: int
    trouble: str


class Link:
    """The connection to one other node. Both dial while there is none; if that makes two, the one
    that was dialled by the node with the smaller name stays (CL-87).

    Args:
        node: The other.
        ours: This node.
        conversation: What they have with each other.
        dial: Makes a connection with a node: its protocol, and when that is connected.
        clock: The reactor's.

    Attributes:
        connection: None while there is none.
        heard_at: The moment of the last bytes of an earlier connection, or of the beginning.
        refused: Whether nothing listens at its address.
    """

    def __init__(
        self,
        node: Node,
        ours: NodeId,
        conversation: Conversation,
        dial: Callable[[Node], tuple[LinkProtocol, "Deferred[None]"]],
        clock: IReactorTime,
    ) -> None:
        self.node = node
        self.ours = ours
        self.conversation = conversation
        self.clock = clock
        self.connection: LinkProtocol | None = None
        self.heard_at = clock.seconds()
        self.refused = False
        self._dial = dial
        self._attempt: LinkProtocol | None = None
        self._dialling: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._retry_s = self._retry_first_s
        self._reconnects = 0
        self._trouble = ""
        self._told_at = -LOG_EVERY_S
        self._stopped = False

    @property
    def silent_s(self) -> float:
        """Seconds since anything was heard."""
        heard_at = self.heard_at if self.connection is None else self.connection.heard_at
        return self.clock.seconds() - heard_at

    @property
    def is_dialling(self) -> bool:
        """Whether a connection is being made from here."""
        return self._attempt is not None

    def state(self) -> LinkState:
        """Its present state."""
        linked = self.connection is not None
        detoured = not linked and self.conversation.carrier is not None
        return LinkState(linked, detoured, self.silent_s, self._reconnects, self._trouble)

    def dial(self) -> None:
        """Make a connection, if there is none under way."""
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._retry = None
        if self.connection is self._attempt is None and not self._stopped:
            self._attempt, self._dialling = self._dial(self.node)
            self._dialling.addCallbacks(self._connected, self._not_connected)

    def dial_soon(self) -> None:
        """Do so unless it is the other node that is just being connected."""
        self._retry = self.clock.callLater(0, self.dial)

    def look(self, lease_s: float) -> None:
        """Find out whether the other node is still there."""
        if self.connection is not None:
            self.connection.look(lease_s)

    def take_detour(self, detour: Callable[[Conversation], Carrier]) -> None:
        """Have the frames carried in another way, until there is a connection again (CL-88)."""
        if self.conversation.carrier is None:
            _log.warn("entries for node {node} go through Redis for now", node=self.node.id)
            self.conversation.carry(detour(self.conversation))

    def opened(self, connection: LinkProtocol, hello: LinkHello) -> None:
        """Take a connection on which both have greeted.

        Raises:
            BadFrame: The other node has handled what was never sent.
        """
        self.conversation.acknowledge(hello.handled)
        if connection is self._attempt:
            self._attempt = None
        before = self.connection
        if before is not None and not self._gives_way(before, connection):
            before.doubt()  # the other node has dialled, as if there were none
            connection.close("there is a connection already")
            return
        self.connection = connection
        self.refused = False
        self._retry_s = self._retry_first_s
        if before is not None:
            before.close("there is another connection")
        if self._trouble:
            self._trouble = ""
            _log.info("connected to node {node}", node=self.node.id)
        self.conversation.carry(connection)

    def closed(self, connection: LinkProtocol, why: str) -> None:
        """Note that a connection is gone: then another one is made."""
        if connection is self._attempt:
            self._attempt = None
            self._failed(why)
        elif connection is self.connection:
            self.connection = None
            self.heard_at = connection.heard_at
            self.conversation.carry(None)
            self._reconnects += 1
            self._failed(why)

    def stop(self, why: str) -> None:
        """Close it for good."""
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._dialling is not None:
            self._dialling.cancel()
        for connection in (self._attempt, self.connection):
            if connection is not None:
                connection.close(why)

    @property
    def _retry_first_s(self) -> float:
        """The time until we dial again; that of the node with the smaller name is up first."""
        return RETRY_FIRST_S if self.ours.name < self.node.id.name else 2 * RETRY_FIRST_S

    def _gives_way(self, before: LinkProtocol, now: LinkProtocol) -> bool:
        """Whether a connection makes way for another one."""
        if (before.dialled is None) == (now.dialled is None):
            return True  # who has dialled again knows that the one before is broken
        smaller_is_ours = self.ours.name < self.node.id.name
        return smaller_is_ours == (now.dialled is not None)

    def _connected(self, _: None) -> None:
        self._dialling = None

    def _not_connected(self, failure: Failure) -> None:
        self._dialling = self._attempt = None
        if not self._stopped:
            self.refused = failure.check(Refusal) is not None
            self._failed(failure.getErrorMessage())

    def _failed(self, why: str) -> None:
        """Log why there is no connection, once in a while, and dial again later."""
        if self._stopped or self.connection is not None:
            return
        now = self.clock.seconds()
        if now - self._told_at >= LOG_EVERY_S or not self._trouble:
            self._told_at = now
            _log.warn("not connected to node {node}: {why}", node=self.node.id, why=why)
        self._trouble = why
        if self._retry is None:
            self._retry = self.clock.callLater(self._retry_s, self.dial)
            self._retry_s = min(2 * self._retry_s, RETRY_MOST_S)


__all__ = ["Link", "LinkState"]
