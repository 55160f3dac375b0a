"""Conversations: a bus made of one conversation with each other node, whatever carries these."""

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from typing_extensions import override

from xmppd.cluster.bus import Bus, Outcome, Take, Traffic, Unreachable
from xmppd.cluster.conversation import (
    ACKNOWLEDGE_AFTER_S,
    Conversation,
    ConversationState,
    Terms,
)
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entry_decoder import EntryDecoder
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId
from xmppd.cluster.outbox import FrameWindow
from xmppd.stanza import Later


@dataclass(frozen=True)
class BusSettings:
    """What a bus goes by.

    Attributes:
        domains: That the service serves.
        window: How much may be under way to each node.
        acknowledge_after_s: An acknowledgement waits for so long for a frame to go with; 0 sends
            it at the end of the turn.
    """

    domains: tuple[str, ...]
    window: FrameWindow = FrameWindow()  # noqa: RUF009  # it is frozen
    acknowledge_after_s: float = ACKNOWLEDGE_AFTER_S


class Conversations(Bus):
    """What a node has with all others; a subclass has it carried.

    Args:
        membership: Knows which nodes are in, and whether this one may speak.
        clock: The reactor's.
        at_end_of_turn: Calls a function when this turn of the reactor ends.
        settings: What it goes by.

    Attributes:
        decoder: Unpacks and checks entries.
        way: What carries the conversations, in a word.
    """

    way = "none"

    def __init__(
        self,
        membership: Membership,
        clock: IReactorTime,
        at_end_of_turn: Callable[[Callable[[], None]], object],
        settings: BusSettings,
    ) -> None:
        self.membership = membership
        self.clock = clock
        self.decoder = EntryDecoder(settings.domains)
        self._taker: Take | None = None
        self._at_end_of_turn = at_end_of_turn
        self._with: dict[NodeId, Conversation] = {}
        self._terms = Terms(
            self._take,
            lambda: membership.speaks and self._taker is not None,
            self.decoder,
            at_end_of_turn,
            clock,
            settings.window,
            settings.acknowledge_after_s,
        )

    @property
    def take(self) -> Take:
        """Takes what other nodes send; until it is there, what comes waits."""
        assert self._taker is not None, "somebody takes what comes"
        return self._taker

    @take.setter
    def take(self, take: Take) -> None:
        self._taker = take
        self._at_end_of_turn(self.go_on)

    def begun(self, conversation: Conversation) -> None:
        """Have a conversation that begins carried."""
        raise NotImplementedError

    def conversation(self, node: NodeId) -> Conversation | None:
        """The conversation with a node; None if it is not in."""
        found = self._with.get(node)
        if found is None and self.membership.is_in(node) and node != self.membership.id:
            found = self._with[node] = Conversation(node, self._terms)
            self.begun(found)
        return found

    @override
    def tell(self, node: NodeId, entry: BusEntry) -> None:
        conversation = self._with.get(node) or self.conversation(node)
        if conversation is not None:
            conversation.tell(entry)

    @override
    async def ask(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        conversation = self.conversation(node)
        if conversation is None:
            raise Unreachable(f"node {node} is not running")
        return await conversation.ask(entry, within_s)

    @override
    def is_full(self, node: NodeId) -> bool:
        conversation = self._with.get(node)
        return conversation is not None and conversation.is_full

    @override
    def room(self, node: NodeId) -> Later:
        conversation = self._with.get(node)
        return None if conversation is None else conversation.room()

    @override
    async def settled(self, node: NodeId) -> None:
        conversation = self._with.get(node)
        if conversation is not None:
            await conversation.settled()

    @override
    def take_back(self, node: NodeId) -> list[BusEntry]:
        conversation = self._with.pop(node, None)
        return [] if conversation is None else conversation.take_back()

    def go_on(self) -> None:
        """Handle what came while this node was not allowed to speak."""
        for conversation in tuple(self._with.values()):
            conversation.go_on()

    def states(self) -> dict[NodeId, ConversationState]:
        """The state of each conversation."""
        return {node: conversation.state() for node, conversation in self._with.items()}

    @override
    def traffic(self) -> list[Traffic]:
        for node in self.membership.nodes.values():
            self.conversation(node.id)
        return [self._traffic(node, state) for node, state in self.states().items()]

    def _traffic(self, node: NodeId, state: ConversationState) -> Traffic:
        """What is under way to a node, and by what."""
        return Traffic(
            node,
            self.way,
            0.0,
            0,
            state.entries,
            state.bytes,
            state.fullness,
            state.lag_s,
            state.dropped,
            state.unhandled,
            "",
        )

    def _take(self, sender: NodeId, entry: BusEntry) -> Outcome:
        assert self._taker is not None, "nothing is taken before"
        return self._taker(sender, entry)


__all__ = ["BusSettings", "Conversations"]
