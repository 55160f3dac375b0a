"""What may happen in a simulation: each kind of step is a value that does itself in a world."""

from dataclasses import dataclass
from typing import Protocol

from tests.simulation.person import BLOCKING, Person
from xmppd.stanza import ns


class Playground(Protocol):
    """The part of a world that steps use."""

    def log_in(self, client: int, full: str, node: str, *, managed: bool) -> None:
        """A client connects to a node."""

    def person(self, client: int) -> Person | None:
        """The client of this number, if it has a session and a connection."""

    def resume(self, client: int, node: str) -> None:
        """A client comes back to its session."""

    def new_password(self, name: str, node: str) -> None:
        """An account gets another password."""

    def kill(self, node: str) -> None:
        """A process is gone."""

    def start(self, node: str) -> None:
        """A process begins."""

    def pause(self, node: str, for_s: float) -> None:
        """A process stands still."""

    def drain(self, node: str, for_s: float) -> None:
        """A node hands over all that it has, and takes clients again."""

    def set_time_of_day(self, node: str, by_s: float) -> None:
        """A machine's time of day is set."""

    def cut(self, one: str, other: str, for_s: float) -> None:
        """Nothing comes from one node to another."""

    def redis_away(self, nodes: tuple[str, ...], for_s: float) -> None:
        """Redis does not answer these nodes."""

    def redis_slow(self, for_s: float) -> None:
        """Redis takes its time."""

    def redis_empty(self) -> None:
        """Redis has lost everything."""

    def redis_fails_over(self, lost_s: float) -> None:
        """Another Redis takes over, which lacks what was written lately."""

    def jid(self, name: str) -> str:
        """The bare JID of a name."""

    def note_change(self, person: Person, whom: str) -> None:
        """Note that an account changes what another one may see."""

    def note_sent(self, person: Person, number: int, to: str) -> None:
        """Note that a message is about to be sent."""


@dataclass(frozen=True)
class Step:
    """Something that happens.

    Attributes:
        at: When, in seconds.
    """

    at: float

    def play(self, world: Playground) -> None:
        """Have it happen; nothing does if it is about a client that is not there."""
        raise NotImplementedError


@dataclass(frozen=True)
class LogIn(Step):
    """A client connects to a node, and sends its first presence."""

    client: int
    full: str
    node: str
    managed: bool

    def play(self, world: Playground) -> None:
        """Connect."""
        world.log_in(self.client, self.full, self.node, managed=self.managed)


@dataclass(frozen=True)
class OfClient(Step):
    """Something that a client does."""

    client: int

    def play(self, world: Playground) -> None:
        """Do it, if the client is there."""
        person = world.person(self.client)
        if person is not None:
            self.do(person, world)

    def do(self, person: Person, world: Playground) -> None:
        """Do it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Show(OfClient):
    """It sends presence, with a status that nobody else has."""

    text: str

    def do(self, person: Person, world: Playground) -> None:
        """Send presence."""
        person.present(self.text)


@dataclass(frozen=True)
class Hide(OfClient):
    """It becomes unavailable, and stays connected."""

    def do(self, person: Person, world: Playground) -> None:
        """Send presence."""
        person.say("<presence type='unavailable'/>")


@dataclass(frozen=True)
class Break(OfClient):
    """Its connection breaks, which both sides see."""

    def do(self, person: Person, world: Playground) -> None:
        """Break it."""
        person.hang_up()


@dataclass(frozen=True)
class Vanish(OfClient):
    """Nothing comes through to it any more, or from it, and nobody sees that; then it resumes."""

    def do(self, person: Person, world: Playground) -> None:
        """Hear and say nothing."""
        if person.id:
            person.deaf = True


@dataclass(frozen=True)
class Resume(Step):
    """It comes back to its session, if its connection is gone or nothing comes through any more.

    Attributes:
        client: Its number.
        node: At which it comes back; empty for the one that it was at.
    """

    client: int
    node: str

    def play(self, world: Playground) -> None:
        """Come back."""
        world.resume(self.client, self.node)


@dataclass(frozen=True)
class Write(OfClient):
    """It sends a message."""

    to: str
    number: int

    def do(self, person: Person, world: Playground) -> None:
        """Send it."""
        world.note_sent(person, self.number, self.to)
        person.say(
            f"<message to='{self.to}' type='chat' id='m{self.number}'><body>{self.number}</body>"
            "</message>",
            self.number,
        )


@dataclass(frozen=True)
class Subscription(OfClient):
    """It asks to see somebody, lets somebody see it, or takes either back."""

    kind: str
    whom: str

    def do(self, person: Person, world: Playground) -> None:
        """Send it."""
        world.note_change(person, self.whom)
        person.say(f"<presence to='{world.jid(self.whom)}' type='{self.kind}'/>")


@dataclass(frozen=True)
class Block(OfClient):
    """It blocks somebody, or not any more."""

    whom: str
    blocks: bool

    def do(self, person: Person, world: Playground) -> None:
        """Ask for it."""
        world.note_change(person, self.whom)
        word = "block" if self.blocks else "unblock"
        person.say(
            f"<iq type='set' id='{word}'><{word} xmlns='{BLOCKING}'>"
            f"<item jid='{world.jid(self.whom)}'/></{word}></iq>"
        )


@dataclass(frozen=True)
class Rename(OfClient):
    """It gives a contact another name, or removes it."""

    whom: str
    name: str

    def do(self, person: Person, world: Playground) -> None:
        """Ask for it."""
        world.note_change(person, self.whom)
        what = f"name='{self.name}'" if self.name else "subscription='remove'"
        person.say(
            f"<iq type='set' id='item'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='{world.jid(self.whom)}' {what}/></query></iq>"
        )


@dataclass(frozen=True)
class NewPassword(Step):
    """An administrator gives an account another password."""

    name: str
    node: str

    def play(self, world: Playground) -> None:
        """Give it."""
        world.new_password(self.name, self.node)


@dataclass(frozen=True)
class Kill(Step):
    """A process is gone from one moment to the next."""

    node: str

    def play(self, world: Playground) -> None:
        """Kill it."""
        world.kill(self.node)


@dataclass(frozen=True)
class Start(Step):
    """A process begins, unless it runs."""

    node: str

    def play(self, world: Playground) -> None:
        """Start it."""
        world.start(self.node)


@dataclass(frozen=True)
class Pause(Step):
    """A process stands still for a while."""

    node: str
    for_s: float

    def play(self, world: Playground) -> None:
        """Stop it."""
        world.pause(self.node, self.for_s)


@dataclass(frozen=True)
class Drain(Step):
    """A node hands over all that it has, and takes clients again after a while."""

    node: str
    for_s: float

    def play(self, world: Playground) -> None:
        """Drain it."""
        world.drain(self.node, self.for_s)


@dataclass(frozen=True)
class SetTimeOfDay(Step):
    """A machine's time of day is set forward, or back."""

    node: str
    by_s: float

    def play(self, world: Playground) -> None:
        """Set it."""
        world.set_time_of_day(self.node, self.by_s)


@dataclass(frozen=True)
class Cut(Step):
    """Nothing comes from one node to another for a while."""

    one: str
    other: str
    for_s: float

    def play(self, world: Playground) -> None:
        """Cut the wire."""
        world.cut(self.one, self.other, self.for_s)


@dataclass(frozen=True)
class RedisAway(Step):
    """Redis does not answer some nodes for a while."""

    nodes: tuple[str, ...]
    for_s: float

    def play(self, world: Playground) -> None:
        """Take it away."""
        world.redis_away(self.nodes, self.for_s)


@dataclass(frozen=True)
class RedisSlow(Step):
    """Redis takes its time for a while."""

    for_s: float

    def play(self, world: Playground) -> None:
        """Slow it down."""
        world.redis_slow(self.for_s)


@dataclass(frozen=True)
class RedisEmpty(Step):
    """Redis is started anew, with nothing in it."""

    def play(self, world: Playground) -> None:
        """Empty it."""
        world.redis_empty()


@dataclass(frozen=True)
class RedisFailsOver(Step):
    """A replica takes the place of Redis, and lacks what was written last."""

    lost_s: float

    def play(self, world: Playground) -> None:
        """Roll it back."""
        world.redis_fails_over(self.lost_s)
