"""A schedule: what happens in one simulation, made from a seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from tests.simulation.steps import (
    Block,
    Break,
    Cut,
    Drain,
    Hide,
    Kill,
    LogIn,
    NewPassword,
    Pause,
    RedisAway,
    RedisEmpty,
    RedisFailsOver,
    RedisSlow,
    Rename,
    Resume,
    Show,
    Start,
    Step,
    Subscription,
    Vanish,
    Write,
)

NAMES = ("a", "b", "c")
PEOPLE = ("romeo", "juliet", "nurse")
DOMAIN = "montague.lit"
KINDS = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")
STEPS = 30


@dataclass(frozen=True)
class Conditions:
    """Under what a schedule is played.

    Attributes:
        links: Whether nodes have wires of their own; otherwise all goes by Redis.
        frames_s: The times that something may be under way between nodes; one of them is chosen
            for each frame.
        store_s: The most that a way to the database takes.
    """

    links: bool = True
    frames_s: tuple[float, ...] = (0.001, 0.01, 0.1)
    store_s: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """What happens in a simulation.

    Attributes:
        seed: It was made from this; it also decides how long everything is under way.
        conditions: Under which it is played.
        steps: In their order.
    """

    seed: int
    conditions: Conditions
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, seed: int, *, moves: bool = False) -> "Schedule":
        """The schedule that a seed makes.

        Args:
            seed: Of all choices.
            moves: Whether sessions move: nodes are drained, and clients come back elsewhere.
        """
        return _Maker(seed, moves=moves).schedule()

    def without(self, *indexes: int) -> "Schedule":
        """The same without some steps."""
        left = [step for index, step in enumerate(self.steps) if index not in indexes]
        return replace(self, steps=tuple(left))

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {self.conditions}"]
        lines += [f"  {step}" for step in self.steps]
        return "\n".join(lines)


class _Maker:
    """Makes one: by its seed it decides which kinds of steps there are at all, so that many
    schedules have few kinds, and some have all.
    """

    def __init__(self, seed: int, *, moves: bool) -> None:
        self.seed = seed
        self.random = Random(seed)  # it is to be the same each time
        self.moves = moves
        self.at = 0.0
        self.clients: list[str] = []
        self.resumable: set[int] = set()
        self.messages = 0
        self.texts = 0

    def schedule(self) -> Schedule:
        random = self.random
        conditions = Conditions(
            links=random.random() < 0.7,
            frames_s=random.choice(((0.001, 0.01, 0.1), (0.001, 0.1, 1.0), (0.001, 0.1, 1.0, 3.0))),
            store_s=random.choice((0.0, 0.0, 0.05, 0.5)),
        )
        kinds: list[Callable[[], Step]] = [self.log_in] * 5 + [self.show] * 3
        kinds += [self.hide] + [self.break_] * 2
        for more in (
            [self.write] * 8,
            [self.subscribe] * 4,
            [self.block, self.rename],
            [self.vanish, *[self.resume] * 3],
            [self.new_password],
        ):
            if random.random() < 0.5:
                kinds += more
        for faults in (
            [self.kill, self.start],
            [self.pause],
            [self.cut] * 2,
            [self.away],
            [self.slow, self.fail_over, self.empty],
        ):
            if random.random() < 0.25:
                kinds += faults
        if self.moves:
            kinds += [*[self.lose] * 2, *[self.resume_elsewhere] * 6, *[self.drain] * 2]
        steps = [self.log_in() for _ in range(3)]
        while len(steps) < STEPS:
            self.at += random.choice((0.001, 0.1, 1.0, 5.0)) * random.random()
            steps.append(random.choice(kinds)())
        return Schedule(self.seed, conditions, tuple(steps))

    def log_in(self) -> Step:
        name, resource = self.random.choice(PEOPLE), self.random.choice("112")
        managed = self.random.random() < 0.4
        number = len(self.clients)
        self.clients.append(f"{name}@{DOMAIN}/{resource}")
        if managed:
            self.resumable.add(number)
        return LogIn(self.at, number, self.clients[-1], self.node(), managed)

    def node(self) -> str:
        return self.random.choice(NAMES)

    def client(self) -> int:
        """One of those that came lately."""
        return self.random.randrange(max(0, len(self.clients) - 6), len(self.clients))

    def show(self) -> Step:
        self.texts += 1
        return Show(self.at, self.client(), f"s{self.texts}")

    def hide(self) -> Step:
        return Hide(self.at, self.client())

    def break_(self) -> Step:
        return Break(self.at, self.client())

    def write(self) -> Step:
        self.messages += 1
        to = f"{self.random.choice(PEOPLE)}@{DOMAIN}"
        if self.random.random() < 0.3:
            to = self.clients[self.client()]
        return Write(self.at, self.client(), to, self.messages)

    def subscribe(self) -> Step:
        kind = self.random.choice(KINDS)
        return Subscription(self.at, self.client(), kind, self.random.choice(PEOPLE))

    def block(self) -> Step:
        blocks = self.random.random() < 0.6
        return Block(self.at, self.client(), self.random.choice(PEOPLE), blocks)

    def rename(self) -> Step:
        name = self.random.choice(("Ann", "Bea", "Cal", ""))
        return Rename(self.at, self.client(), self.random.choice(PEOPLE), name)

    def vanish(self) -> Step:
        return Vanish(self.at, self.client())

    def resume(self) -> Step:
        return Resume(self.at, self.client(), "")

    def sleeper(self) -> int:
        """One of those that came lately, and may come back to its session."""
        lately = range(max(0, len(self.clients) - 6), len(self.clients))
        able = [number for number in lately if number in self.resumable]
        return self.random.choice(able or lately)

    def lose(self) -> Step:
        kind = self.random.choice((Vanish, Break))
        return kind(self.at, self.sleeper())

    def resume_elsewhere(self) -> Step:
        return Resume(self.at, self.sleeper(), self.node())

    def drain(self) -> Step:
        return Drain(self.at, self.node(), self.random.choice((0.5, 5.0, 20.0)))

    def new_password(self) -> Step:
        return NewPassword(self.at, self.random.choice(PEOPLE), self.node())

    def kill(self) -> Step:
        return Kill(self.at, self.node())

    def start(self) -> Step:
        return Start(self.at, self.node())

    def pause(self) -> Step:
        return Pause(self.at, self.node(), self.random.choice((1.0, 3.0, 8.0)))

    def cut(self) -> Step:
        one, other = self.random.sample(NAMES, 2)
        return Cut(self.at, one, other, self.random.choice((0.5, 3.0, 15.0)))

    def away(self) -> Step:
        some = self.random.choice((NAMES, NAMES, (self.node(),)))
        return RedisAway(self.at, some, self.random.choice((0.5, 3.0, 12.0)))

    def slow(self) -> Step:
        return RedisSlow(self.at, self.random.choice((1.0, 5.0)))

    def empty(self) -> Step:
        return RedisEmpty(self.at)

    def fail_over(self) -> Step:
        return RedisFailsOver(self.at, self.random.choice((0.1, 1.0, 5.0)))


__all__ = ["DOMAIN", "NAMES", "PEOPLE", "Conditions", "Schedule"]
