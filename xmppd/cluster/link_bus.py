"""LinkBus: the bus of nodes that have connections with each other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest
from hmac import digest as hmac_digest
from itertools import count
from typing import NamedTuple, Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from xmppd.cluster.bus import Take, Traffic, Unreachable
from xmppd.cluster.conversation import FORESEEN, Carrier, Conversation, ConversationState
from xmppd.cluster.conversations import BusSettings, Conversations
from xmppd.cluster.entries.any_entry import PROTOCOL
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entry_decoder import MAX_REASON_LENGTH
from xmppd.cluster.link import Link, LinkState
from xmppd.cluster.link_door import LinkDoor
from xmppd.cluster.link_protocol import (
    LinkAnswer,
    LinkEnd,
    LinkHello,
    LinkProtocol,
    LinkQuestion,
    LinkSecurity,
)
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import Node, NodeId

LOOK_EVERY_S = 0.5
"""How often it is looked who is silent, and who has come or gone."""

_log = Logger()


@dataclass(frozen=True)
class LinkSettings:
    """What links go by.

    Attributes:
        dial: Connects a protocol with a node.
        security: TLS; None for connections in the clear.
        secret: That all nodes share.
        lease_s: Who is silent for so long is cut off.
    """

    dial: Callable[[Node, LinkProtocol], "defer.Deferred[None]"]
    security: LinkSecurity | None
    secret: bytes
    lease_s: float


class Detour(Protocol):
    """Another way between nodes."""

    def start(self) -> None:
        """Begin to take what comes."""

    async def stop(self) -> None:
        """Take no more."""

    def carrier(self, conversation: Conversation) -> Carrier:
        """Carries the frames of a conversation until it has another carrier."""

    def forget(self, node: NodeId) -> None:
        """Carry nothing more to a node."""


class _Asked(NamedTuple):
    """A question beside all that has an order.

    Attributes:
        node: Which is asked.
        connection: By which it was asked; None while the one that takes its place is being made.
        question: As it was.
        answer: Fired with the answer.
    """

    node: NodeId
    connection: LinkProtocol | None
    question: LinkQuestion
    answer: "defer.Deferred[LinkAnswer]"


class LinkBus(Conversations, LinkEnd):
    """A bus whose conversations go by a connection with each other node.

    Args:
        membership: Knows which nodes are in, and whether this one may speak.
        clock: The reactor's.
        at_end_of_turn: Calls a function when this turn of the reactor ends.
        settings: What the bus goes by.
        links: What connections go by.

    Attributes:
        door: The factory for those who come in.
        detour: The other way to a node that is in, and to which the link is dead; None if there
            is none.
        take_beside: Takes what others ask beside all that has an order, whether this node may act
            or not.
    """

    take_beside: Take

    def __init__(
        self,
        membership: Membership,
        clock: IReactorTime,
        at_end_of_turn: Callable[[Callable[[], None]], None],
        settings: BusSettings,
        links: LinkSettings,
    ) -> None:
        super().__init__(membership, clock, at_end_of_turn, settings)
        self.settings = links
        self.security = links.security
        self.detour: Detour | None = None
        self.door = LinkDoor(lambda: LinkProtocol(self, clock), clock)
        self._links: dict[NodeId, Link] = {}
        self._connections: set[LinkProtocol] = set()
        self._stopped = False
        self._no_connections: defer.Deferred[None] | None = None
        self._asked: dict[int, _Asked] = {}
        self._questions = count(1)
        self._looking = LoopingCall(self.look)
        self._looking.clock = clock

    # -- for the service --------------------------------------------------------------------------

    def start(self) -> None:
        """Connect with all other nodes, now and whenever one comes."""
        if self.detour is not None:
            self.detour.start()
        self._looking.start(LOOK_EVERY_S).addErrback(_log_failure)

    async def stop(self) -> None:
        """Close all connections for good, and wait until they are gone."""
        self._stopped = True
        if self._looking.running:
            self._looking.stop()
        for link in self._links.values():
            link.stop(f"node {self.membership.id} stops")
        for stranger in tuple(self.door.strangers):
            stranger.abort("this node stops")
        for node in tuple(self._with):
            self.take_back(node)
        for connection in tuple(self._connections):
            connection.abort("this node stops")
        if self.detour is not None:
            await self.detour.stop()
        if self._connections:
            self._no_connections = defer.Deferred()
            await self._no_connections

    def look(self) -> None:
        """Find out who has come, who has gone, and who is silent."""
        for node in self.membership.nodes.values():
            self.conversation(node.id)
        for id, link in tuple(self._links.items()):
            if self.membership.is_in(id):
                link.look(self.settings.lease_s)
                if self.detour is not None and self.dead(id):
                    link.take_detour(self.detour.carrier)
            else:
                del self._links[id]
                link.stop(f"node {id} no longer belongs to the service")

    def linked(self, node: NodeId) -> bool:
        """Whether there is a connection with this node."""
        link = self._links.get(node)
        return link is not None and link.connection is not None

    def dead(self, node: NodeId) -> bool:
        """Whether nothing was heard from this node for the time of a lease."""
        link = self._links.get(node)
        return link is None or link.silent_s >= self.settings.lease_s

    def refuses(self, node: NodeId) -> bool:
        """Whether nothing listens at the address of this node: its process is gone."""
        link = self._links.get(node)
        return link is not None and link.refused

    def link_states(self) -> dict[NodeId, LinkState]:
        """The state of each link."""
        return {node: link.state() for node, link in self._links.items()}

    @override
    def _traffic(self, node: NodeId, state: ConversationState) -> Traffic:
        traffic, link = super()._traffic(node, state), self._links.get(node)
        if link is None:
            return traffic
        at = link.state()
        return traffic._replace(
            way="link" if at.linked else "detour" if at.detoured else "none",
            silent_s=at.silent_s,
            reconnects=at.reconnects,
            trouble=at.trouble,
        )

    async def ask_beside(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        """Ask a node something that has no order, and that it answers even while it may not act.

        Raises:
            Unreachable: There is no connection, or it was lost, or there was no answer in time, or
                it says why there is none.
        """
        link = self._links.get(node)
        if link is None or link.connection is None:
            raise Unreachable(f"there is no connection with node {node}")
        number = next(self._questions)
        question = LinkQuestion(number, entry)  # type: ignore[arg-type]  # it is one of them
        answer = defer.Deferred[LinkAnswer]()
        answer.addTimeout(within_s, self.clock)
        self._asked[number] = _Asked(node, link.connection, question, answer)
        link.connection.say(question)
        try:
            got = await answer
        except defer.TimeoutError as error:
            raise Unreachable(f"node {node} did not answer in {within_s:g} s") from error
        finally:
            del self._asked[number]
        if got.refusal:
            raise Unreachable(got.refusal)
        return got.entry

    # -- conversations ----------------------------------------------------------------------------

    @override
    def begun(self, conversation: Conversation) -> None:
        node = self.membership.nodes[conversation.node.name]
        link = self._links[node.id] = Link(
            node, self.membership.id, conversation, self._dial, self.clock
        )
        if not self._stopped:  # whoever stops may still have something to say
            link.dial_soon()

    @override
    def take_back(self, node: NodeId) -> list[BusEntry]:
        link = self._links.pop(node, None)
        if link is not None:
            link.stop(f"node {node} is gone")
        if self.detour is not None:
            self.detour.forget(node)
        return super().take_back(node)

    def _dial(self, node: Node) -> tuple[LinkProtocol, "defer.Deferred[None]"]:
        connection = LinkProtocol(self, self.clock, node)
        return connection, self.settings.dial(node, connection)

    # -- connections ------------------------------------------------------------------------------

    @override
    def hello(self, to: NodeId) -> LinkHello:
        ours, conversation = self.membership.id, self._with.get(to)
        handled = 0 if conversation is None else conversation.handled
        return LinkHello(PROTOCOL, *ours, *to, handled, self._proof(ours, to))

    @override
    def refusal(self, hello: LinkHello, certificate: str) -> str:
        sender, receiver = hello.sender, hello.receiver
        if not compare_digest(hello.proof, self._proof(sender, receiver)):
            return "the peer does not know the secret of this service"
        if abs(hello.protocol - PROTOCOL) > 1:
            return (
                f"the peer uses protocol version {hello.protocol}, and node {self.membership.id} "
                f"version {PROTOCOL}"
            )
        if receiver != self.membership.id:
            return f"the peer wants node {receiver}, but this is {self.membership.id}"
        if not self.membership.is_in(sender):
            return f"node {sender} does not belong to the service"
        if self.membership.nodes[sender.name].certificate != certificate:
            return f"node {sender} does not have the certificate that the directory names"
        return ""

    def _proof(self, sender: NodeId, receiver: NodeId) -> bytes:
        return hmac_digest(self.settings.secret, f"link {sender} {receiver}".encode(), "sha256")

    @override
    def made(self, connection: LinkProtocol) -> None:
        self._connections.add(connection)

    @override
    def opened(self, connection: LinkProtocol, hello: LinkHello) -> None:
        self.door.greeted(connection)
        if self.conversation(hello.sender) is not None:
            self._links[hello.sender].opened(connection, hello)
            self._ask_again(hello.sender, None)

    @override
    def heard(self, connection: LinkProtocol, frame: bytes) -> None:
        assert connection.node is not None, "it has greeted"
        conversation = self._with.get(connection.node)
        if conversation is not None:
            conversation.receive(frame)

    @override
    def closed(self, connection: LinkProtocol, why: str) -> None:
        self.door.closed(connection, why)
        node = connection.dialled.id if connection.dialled is not None else connection.node
        link = None if node is None else self._links.get(node)
        if link is not None:
            link.closed(connection, why)
        if node is not None:
            self._ask_again(node, connection, why)

    @override
    def gone(self, connection: LinkProtocol) -> None:
        self._connections.discard(connection)
        waiting = self._no_connections
        if not self._connections and waiting is not None:
            self._no_connections = None
            waiting.callback(None)

    # -- questions beside -------------------------------------------------------------------------

    def _ask_again(self, node: NodeId, lost: LinkProtocol | None, why: str = "") -> None:
        """Ask by the present connection what a lost one, or none, has carried; nodes that dial each
        other at the same time have two for a moment, of which one stays (CL-87).
        """
        link = self._links.get(node)
        connection = None if link is None else link.connection
        for number, asked in tuple(self._asked.items()):
            if asked.node != node or asked.connection not in (None, lost):
                continue
            if connection is not None:
                self._asked[number] = asked._replace(connection=connection)
                connection.say(asked.question)
            elif link is not None and link.is_dialling:
                self._asked[number] = asked._replace(connection=None)
            elif not asked.answer.called:
                asked.answer.errback(Unreachable(f"the connection was lost: {why}"))

    @override
    def asked(self, connection: LinkProtocol, question: LinkQuestion) -> None:
        assert connection.node is not None, "it has greeted"
        self.decoder.check(question.entry)
        defer.Deferred.fromCoroutine(
            self._answer_beside(connection, connection.node, question)
        ).addErrback(_log_failure)

    async def _answer_beside(
        self, connection: LinkProtocol, sender: NodeId, question: LinkQuestion
    ) -> None:
        try:
            outcome = self.take_beside(sender, question.entry)
            entry = await outcome if isinstance(outcome, Awaitable) else outcome
        except FORESEEN as error:
            why = str(error)[:MAX_REASON_LENGTH]
            connection.say(LinkAnswer(question.number, None, why))
        else:
            connection.say(LinkAnswer(question.number, entry))  # type: ignore[arg-type]

    @override
    def answered(self, connection: LinkProtocol, answer: LinkAnswer) -> None:
        if answer.entry is not None:
            self.decoder.check(answer.entry)
        asked = self._asked.get(answer.number)
        if asked is not None and asked.node == connection.node and not asked.answer.called:
            asked.answer.callback(answer)


def _log_failure(failure: Failure) -> None:
    _log.failure("links between nodes failed", failure)


__all__ = ["LinkBus", "LinkSettings"]
