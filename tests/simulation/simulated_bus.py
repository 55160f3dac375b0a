"""What simulated nodes say to each other: under way for a while, cut, and lost with a node."""

from collections.abc import Callable
from random import Random

from twisted.internet import defer
from twisted.internet.defer import Deferred
from typing_extensions import override

from tests.simulation.simulated_time import DriftingClock, SimulatedTime
from xmppd.cluster.bus import Unreachable
from xmppd.cluster.conversation import Conversation
from xmppd.cluster.conversations import BusSettings, Conversations
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.membership import Renew
from xmppd.cluster.frame import BadFrame
from xmppd.cluster.leases import LeasedMembership
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId

DIAL_AFTER_S = 0.2


class Wires:
    """The wires between all nodes.

    Args:
        time: The true one.
        random: Decides how long each frame is under way.
        longest_s: The time that one may be.

    Attributes:
        ends: The node at each end, while its process is there.
        broken: Why nothing comes from one name to another; a wire may be cut for several reasons.
    """

    def __init__(self, time: SimulatedTime, random: Random, longest_s: tuple[float, ...]) -> None:
        self.time = time
        self.random = random
        self.longest_s = longest_s
        self.ends: dict[NodeId, SimulatedBus] = {}
        self.broken: dict[tuple[str, str], int] = {}
        self._broken_at: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[NodeId, NodeId], float] = {}
        self._epochs: dict[tuple[str, str], int] = {}

    def delay_s(self) -> float:
        """How long something is under way."""
        return self.random.choice(self.longest_s) * self.random.random()

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing comes from one to the other."""
        return self.broken.get((one, other), 0) > 0

    def cut(self, one: str, other: str) -> None:
        """Have nothing come from one to the other; what is under way is lost."""
        pair = one, other
        if not self.is_cut(*pair):
            self._broken_at[pair] = self.time.now
            self._epochs[pair] = self._epochs.get(pair, 0) + 1
        self.broken[pair] = self.broken.get(pair, 0) + 1

    def mend(self, one: str, other: str) -> None:
        """Take away one reason for which the wire is cut; with the last one it is whole."""
        self.broken[one, other] -= 1
        if not self.is_cut(one, other):
            self._greet(one, other)
            self._greet(other, one)

    def carry(self, sender: NodeId, to: NodeId, frame: bytes) -> None:
        """Have a frame arrive, behind those before it."""
        if self.is_cut(sender.name, to.name):
            return
        pair = sender, to
        when = max(self._last.get(pair, 0.0), self.time.now + self.delay_s())
        self._last[pair] = when
        epoch = self._epochs.get((sender.name, to.name), 0)
        self.time.at(when, self._arrive, sender, to, frame, epoch)

    def _arrive(self, sender: NodeId, to: NodeId, frame: bytes, epoch: int) -> None:
        there = self.ends.get(to)
        if there is not None and self._epochs.get((sender.name, to.name), 0) == epoch:
            there.process.happen(there.arrive, sender, frame)

    def dial_again(self, sender: NodeId, to: NodeId) -> None:
        """Lose what is under way, and begin anew in a moment."""
        pair = sender.name, to.name
        self._epochs[pair] = self._epochs.get(pair, 0) + 1
        self.time.after(DIAL_AFTER_S, self._greet, *pair)

    def _greet(self, one: str, other: str) -> None:
        for id, end in tuple(self.ends.items()):
            if id.name == one:
                end.greet(other)

    def silent_for_s(self, one: str, other: NodeId) -> float:
        """For how long nothing has come from a node."""
        end = self.ends.get(other)
        if end is None:
            return self.time.now
        if self.is_cut(other.name, one):
            return self.time.now - self._broken_at[other.name, one]
        return self.time.now - end.process.stopped_since if end.process.stopped else 0.0


class SimulatedBus(Conversations):
    """One node's end of the wires.

    Args:
        wires: All of them.
        membership: The node's.
        process: Its clock.
        settings: What it goes by.
    """

    way = "simulated"

    def __init__(
        self, wires: Wires, membership: Membership, process: DriftingClock, settings: BusSettings
    ) -> None:
        super().__init__(membership, process, self._at_end_of_this_turn, settings)
        self.wires = wires
        self.process = process
        self.id = membership.id
        wires.ends[self.id] = self

    def _at_end_of_this_turn(self, call: Callable[[], None]) -> None:
        self.process.callLater(0, call)

    @override
    def begun(self, conversation: Conversation) -> None:
        conversation.carry(SimulatedCarrier(self, conversation.node))

    def arrive(self, sender: NodeId, frame: bytes) -> None:
        """Take a frame of another node."""
        conversation = self.conversation(sender)
        try:
            if conversation is None:
                raise BadFrame("it is not known here yet")
            conversation.receive(frame)
        except BadFrame:
            self.wires.dial_again(sender, self.id)

    def greet(self, name: str) -> None:
        """Send again what a node has not acknowledged, since there is a wire again."""
        for node in tuple(self._with):
            if node.name == name:
                self.process.happen(self._carry_again, node)

    def _carry_again(self, node: NodeId) -> None:
        conversation = self._with.get(node)
        if conversation is not None:
            self.begun(conversation)


class SimulatedCarrier:
    """Carries the frames of one node to one other."""

    def __init__(self, bus: SimulatedBus, node: NodeId) -> None:
        self.bus = bus
        self.node = node

    def send(self, frame: bytes) -> None:
        """Have a frame arrive later."""
        self.bus.wires.carry(self.bus.id, self.node, frame)


class SimulatedLinks:
    """What a node's membership knows by its wires, where there are some beside Redis."""

    def __init__(self, wires: Wires, membership: LeasedMembership, process: DriftingClock) -> None:
        self.wires = wires
        self.membership = membership
        self.process = process

    def linked(self, node: NodeId) -> bool:
        """Whether there is a wire."""
        name = self.membership.id.name
        is_cut = self.wires.is_cut(name, node.name) or self.wires.is_cut(node.name, name)
        return node in self.wires.ends and not is_cut

    def dead(self, node: NodeId) -> bool:
        """Whether nothing has come from there for the time of a lease."""
        silent_s = self.wires.silent_for_s(self.membership.id.name, node)
        return silent_s >= self.membership.lease_s

    def refuses(self, node: NodeId) -> bool:
        """Whether its process is gone."""
        return node not in self.wires.ends

    async def ask_beside(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        """Ask another node to renew our lease."""
        answer = Deferred[BusEntry | None]()
        if self.linked(node) and isinstance(entry, Renew):
            self.wires.time.after(self.wires.delay_s(), self._ask, node, entry, answer)
        answer.addTimeout(within_s, self.process)
        try:
            return await answer
        except defer.TimeoutError as error:
            raise Unreachable(f"node {node} does not answer") from error

    def _ask(self, node: NodeId, entry: Renew, answer: Deferred[BusEntry | None]) -> None:
        there = self.wires.ends.get(node)
        if there is not None:
            there.process.happen(self._answer, there, entry, answer)

    def _answer(self, there: SimulatedBus, entry: Renew, answer: Deferred[BusEntry | None]) -> None:
        membership = there.membership
        assert isinstance(membership, LeasedMembership), "all have a lease here"
        renewing = Deferred.fromCoroutine(membership.renew_for(self.membership.id, entry))
        renewing.addCallback(self._come_back, there, answer)

    def _come_back(
        self, found: BusEntry, there: SimulatedBus, answer: Deferred[BusEntry | None]
    ) -> None:
        if self.linked(there.id):
            self.wires.time.after(
                self.wires.delay_s(), self.process.happen, self._take, answer, found
            )

    def _take(self, answer: Deferred[BusEntry | None], found: BusEntry) -> None:
        if not answer.called:
            answer.callback(found)
