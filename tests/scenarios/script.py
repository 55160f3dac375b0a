"""Scenarios: text that says who sends what and who receives it, and the runner that plays it.

::

    # Title: a sentence a user understands
    Account romeo: juliet both
    Romeo is romeo/orchard
    Romeo comes online
    Juliet sends:
      <message to='romeo@montague.lit'/>
    Romeo receives:
      <message from='juliet@montague.lit/1' to='romeo@montague.lit'/>
    Juliet receives nothing

``receives`` names all that came since the actor was last looked at, in order; an attribute or a
text ``*`` stands for any. ``comes online`` binds, fetches the roster, sends presence, and waits
until everybody has heard; what came meanwhile is not looked at. Further steps: ``binds`` (with no
more said), ``is cut off``, ``closes the stream``, ``is disconnected``, ``30 seconds pass``.

What plays it is a stage: one house in memory, or several that are one service; one over sockets has
the same three methods.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.nodes import Nodes

_STEP = re.compile(
    r"(?P<actor>[A-Z]\S*) (?:is (?P<jid>[a-z]\S*/\S+)|(?P<verb>comes online|binds|sends:|receives:"
    r"|receives nothing|is cut off|closes the stream|is disconnected))"
)
_ACCOUNT = re.compile(r"Account (?P<name>\S+?)(?:: (?P<contacts>.*))?")
_PASS = re.compile(r"(?P<seconds>\d+) seconds pass")


class Actor(Protocol):
    """Somebody on a stage."""

    async def bind(self) -> None:
        """Connect, log in and bind."""

    async def send(self, text: str) -> None:
        """Send XML."""

    async def received(self) -> list[str]:
        """Every stanza that came since this was asked last; waits until there can be no more."""

    async def abort(self) -> None:
        """The network breaks."""

    async def disconnected(self) -> bool:
        """Whether the server closed the stream."""


class Stage(Protocol):
    """A server and the actors before it."""

    @property
    def is_ordered(self) -> bool:
        """Whether presence of a session comes in order with what else its account says. Between
        nodes it has a way of its own, and does not wait for the store as a subscription does.
        """

    async def account(self, name: str, contacts: dict[str, str]) -> None:
        """Add an account with a roster."""

    def actor(self, name: str, resource: str) -> Actor:
        """Somebody who will log in to this account with this resource."""

    async def wait(self, seconds: float) -> None:
        """Let time pass."""


class MemoryActor:
    """A client of a house in memory."""

    def __init__(self, house: House, name: str, resource: str) -> None:
        self.house, self.name, self.resource = house, name, resource
        self.client: Client | None = None

    @property
    def _here(self) -> Client:
        assert self.client is not None, f"{self.name} is not connected"
        return self.client

    async def bind(self) -> None:
        self.client = self.house.bind(self.name, self.resource)

    async def send(self, text: str) -> None:
        self._here.send(text)

    async def received(self) -> list[str]:
        return [] if self.client is None else self.client.received()

    async def abort(self) -> None:
        self._here.abort()

    async def disconnected(self) -> bool:
        return self._here.closed


class MemoryStage:
    """A house in memory; nothing here ever waits."""

    is_ordered = True

    def __init__(self, domain: str = "montague.lit", plugins: tuple[str, ...] = ()) -> None:
        self.house = House(config=house_config(domain), domain=domain, plugins=plugins)

    async def account(self, name: str, contacts: dict[str, str]) -> None:
        self.house.add(name, contacts)

    def actor(self, name: str, resource: str) -> Actor:
        return MemoryActor(self.house, name, resource)

    async def wait(self, seconds: float) -> None:
        self.house.clock.advance(seconds)


class NodesStage:
    """Several houses in memory that are one service; each actor comes to the next of them.

    Args:
        first: The number of the house to which the first actor comes.
    """

    is_ordered = True  # the store never waits

    def __init__(
        self,
        domain: str = "montague.lit",
        plugins: tuple[str, ...] = (),
        names: tuple[str, ...] = ("a", "b", "c"),
        first: int = 0,
    ) -> None:
        self.nodes = Nodes(*names, domain=domain, plugins=plugins, late_directory=True)
        self._next = cycle([*names[first:], *names[:first]])

    async def account(self, name: str, contacts: dict[str, str]) -> None:
        next(iter(self.nodes.houses.values())).add(name, contacts)

    def actor(self, name: str, resource: str) -> Actor:
        return MemoryActor(self.nodes[next(self._next)], name, resource)

    async def wait(self, seconds: float) -> None:
        self.nodes.clock.advance(seconds)
        self.nodes.settle()


@dataclass(frozen=True)
class Step:
    """One line of a scenario, with the XML indented below it."""

    number: int
    line: str
    xml: str


class Mismatch(AssertionError):
    """An actor received something else."""


def title(path: Path) -> str:
    """The first line: what the scenario shows."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()


def steps(text: str) -> Iterator[Step]:
    """The steps of a scenario's text."""
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    while lines:
        number, line = lines.pop(0)
        below = []
        while lines and lines[0][1][0].isspace():
            below.append(lines.pop(0)[1].strip())
        yield Step(number, line.strip(), "".join(below))


class Play:
    """A scenario on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.actors: dict[str, Actor] = {}

    async def run(self, text: str) -> None:
        """Play all steps.

        Raises:
            Mismatch: Somebody received something else.
            ValueError: A step is none.
        """
        for step in steps(text):
            await self._step(step)

    async def _step(self, step: Step) -> None:
        if found := _ACCOUNT.fullmatch(step.line):
            contacts = (found["contacts"] or "").split(",")
            pairs = [contact.split() for contact in contacts if contact]
            await self.stage.account(found["name"], dict(pairs))
        elif found := _PASS.fullmatch(step.line):
            await self.stage.wait(float(found["seconds"]))
        elif found := _STEP.fullmatch(step.line):
            if found["jid"]:
                name, _, resource = found["jid"].partition("/")
                self.actors[found["actor"]] = self.stage.actor(name, resource)
            else:
                await self._act(self.actors[found["actor"]], found["verb"], step)
        else:
            raise ValueError(f"line {step.number} is no step: {step.line}")

    async def _act(self, actor: Actor, verb: str, step: Step) -> None:
        match verb:
            case "comes online":
                await actor.bind()
                await actor.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")
                await actor.send("<presence/>")
                for other in self.actors.values():
                    await other.received()
            case "binds":
                await actor.bind()
            case "sends:":
                await actor.send(step.xml)
            case "is cut off":
                await actor.abort()
            case "closes the stream":
                await actor.send("</stream:stream>")
            case "is disconnected":
                if not await actor.disconnected():
                    raise Mismatch(f"line {step.number}: {step.line}: it is not")
            case _:
                expected, got = elements(step.xml), elements("".join(await actor.received()))
                if not self.stage.is_ordered:
                    expected.sort(key=is_of_session)
                    got.sort(key=is_of_session)
                compare(step, expected, got)


def elements(xml: str) -> list[ElementTree.Element]:
    """Stanzas as a client reads them."""
    return list(ElementTree.fromstring(f"<s xmlns:stream='{ns.STREAM}'>{xml}</s>"))


def is_of_session(stanza: ElementTree.Element) -> bool:
    """Whether it is presence of a session, and no subscription."""
    return stanza.tag == "presence" and "/" in stanza.get("from", "")


def compare(
    step: Step, expected: list[ElementTree.Element], got: list[ElementTree.Element]
) -> None:
    """Hold what came against what should have.

    Raises:
        Mismatch: They differ.
    """
    if len(expected) != len(got) or not all(map(alike, expected, got)):
        texts = "\n  ".join(ElementTree.tostring(one, encoding="unicode") for one in got)
        raise Mismatch(f"line {step.number}: {step.line}\n{step.xml}\nbut received:\n  {texts}")


def alike(expected: ElementTree.Element, got: ElementTree.Element) -> bool:
    """Whether an element is what was expected, where ``*`` is anything."""
    return (
        expected.tag == got.tag
        and expected.attrib.keys() == got.attrib.keys()
        and all(value in ("*", got.attrib[key]) for key, value in expected.attrib.items())
        and (expected.text or "").strip() in ("*", (got.text or "").strip())
        and len(expected) == len(got)
        and all(map(alike, expected, got))
    )
