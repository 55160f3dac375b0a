"""Two nodes that speak to each other, on wires that a test cuts, and answers that it delays."""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from xmppd.cluster.bus import Outcome
from xmppd.cluster.conversation import Conversation, Terms
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.stanzas import Routed
from xmppd.cluster.entry_decoder import EntryDecoder
from xmppd.cluster.node import NodeId
from xmppd.cluster.outbox import FrameWindow

A, B = NodeId("a", 1), NodeId("b", 1)
DOMAIN = "montague.lit"
WINDOW = FrameWindow()


def message(id: object, raw: bytes = b"<message/>", to: str = f"juliet@{DOMAIN}") -> Routed:
    """A message, known by its id."""
    return Routed(0, to, f"romeo@{DOMAIN}/1", str(id), None, raw)


def presence(id: object, sender: str = "romeo") -> Routed:
    """A presence, of which the next one of its sender says all that it does."""
    return Routed(1, f"juliet@{DOMAIN}", f"{sender}@{DOMAIN}/1", str(id), None, b"<presence/>")


def name(entry: BusEntry) -> str:
    """What tells one entry of a test from another."""
    assert isinstance(entry, Routed)
    return entry.id or ""


class Wire:
    """Carries frames to the other end, when the test lets it."""

    def __init__(self, there: "End") -> None:
        self.there = there
        self.frames: deque[bytes] = deque()
        self.sent = 0

    def send(self, frame: bytes) -> None:
        """Take a frame."""
        self.frames.append(frame)
        self.sent += 1

    def deliver(self) -> None:
        """Let the next frame arrive."""
        self.there.conversation.receive(self.frames.popleft())


class End:
    """One end of a conversation.

    Attributes:
        begun: What was begun to be handled, in order.
        slow: Whether an entry is handled when the test says so only.
        waiting: Those that are.
        outcome: Of others.
        speaks: Whether the node may act.
    """

    def __init__(
        self, other: NodeId, clock: Clock, window: FrameWindow, acknowledge_after_s: float
    ) -> None:
        self.begun: list[BusEntry] = []
        self.slow: Callable[[BusEntry], bool] = lambda entry: False
        self.waiting: list[Deferred[BusEntry | None]] = []
        self.outcome: BusEntry | Exception | Callable[[BusEntry], Outcome] | None = None
        self.speaks = True
        self.turn_ends: list[Callable[[], None]] = []
        terms = Terms(
            self.take, lambda: self.speaks, EntryDecoder([DOMAIN]), self.turn_ends.append, clock,
            window, acknowledge_after_s,
        )  # fmt: skip
        self.conversation = Conversation(other, terms)
        self.wire: Wire

    def take(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Handle an entry."""
        self.begun.append(entry)
        if self.slow(entry):
            waiting = Deferred[BusEntry | None]()
            self.waiting.append(waiting)
            return waiting
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(entry) if callable(self.outcome) else self.outcome

    def end_turn(self) -> None:
        """End this turn of its reactor."""
        ends, self.turn_ends[:] = list(self.turn_ends), []
        for end in ends:
            end()

    @property
    def names(self) -> list[str]:
        """What was begun to be handled."""
        return [name(entry) for entry in self.begun]


class Pair:
    """Two nodes that are connected."""

    def __init__(self, window: FrameWindow = WINDOW, acknowledge_after_s: float = 0.02) -> None:
        self.clock = Clock()
        self.a = End(B, self.clock, window, acknowledge_after_s)
        self.b = End(A, self.clock, window, acknowledge_after_s)
        self.wires: list[Wire] = []
        self.connect()

    def connect(self) -> None:
        """Connect them by new wires."""
        for here, there in ((self.a, self.b), (self.b, self.a)):
            here.wire = Wire(there)
            self.wires.append(here.wire)
            here.conversation.carry(here.wire)

    def cut(self) -> None:
        """Lose all that is under way; nothing carries frames any more."""
        for end in (self.a, self.b):
            end.conversation.carry(None)
        self.wires.clear()

    def settle(self) -> None:
        """Let all that is under way arrive, but what waits for a clock."""
        while True:
            for end in (self.a, self.b):
                end.end_turn()
            under_way = [wire for wire in self.wires if wire.frames]
            if not under_way:
                return
            for wire in under_way:
                wire.deliver()
