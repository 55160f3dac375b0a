"""FaultTable: the faults that are asked for, and which of them concerns what happens now."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from xmppd.command.argument import Arguments
from xmppd.command.refused import Refused
from xmppd.session.peer_counts import Peer
from xmppd.stanza import JID, Condition

MAX_FAULTS = 1_000
"""Those that are there at a time."""

DIRECTIONS = ("got", "sent")
"""What a client got, and what it sent."""

POINTS = ("before", "inside", "behind")
"""Those of an element at which something may go wrong."""

_NAME = re.compile(r"<([\w.\-]+:)?([\w.\-]+)")


@dataclass(frozen=True)
class Match:
    """The elements that somebody means.

    Attributes:
        direction: One of :data:`DIRECTIONS`; empty for both.
        element: The name of the element, without a prefix; empty for any.
        containing: What its XML contains; empty for anything.
    """

    direction: str = ""
    element: str = ""
    containing: str = ""

    def fits(self, direction: str, xml: str) -> bool:
        """Whether an element is one of them."""
        return (
            self.direction in ("", direction)
            and self.element in ("", name_of(xml))
            and self.containing in xml
        )

    def __str__(self) -> str:
        """As part of a sentence."""
        what = f"<{self.element}/>" if self.element else "element"
        said = f' with "{self.containing}"' if self.containing else ""
        verb = f" that it {self.direction or 'got or sent'}"
        return f"{what}{said}{verb}"


def matched(arguments: Arguments) -> Match:
    """The elements that the arguments of a command mean."""
    return Match(*map(arguments.text, ("direction", "element", "containing")))


def name_of(xml: str) -> str:
    """The name of an element without its prefix; empty if this is none."""
    found = _NAME.match(xml)
    return found[2] if found else ""


@dataclass(eq=False)
class Fault:
    """One fault that was asked for.

    Attributes:
        name: Of its kind.
        whom: The address that it concerns: a session, an account or a domain; empty for all.
        says: The same for people.
        match: The elements at which it happens.
        at: One of :data:`POINTS` of such an element.
        left: How often it happens yet; None until it is cleared.
        condition: With which something is refused; empty for never an answer.
        text: What somebody is told beside that.
        delay_s: By which something is late.
        since: The time from which on it holds, in seconds since 1970.
        number: Given by the table.
    """

    name: str
    whom: str
    says: str
    match: Match = field(default_factory=Match)
    at: str = "before"
    left: int | None = None
    condition: str = ""
    text: str = ""
    delay_s: float = 0.0
    since: float = 0.0
    number: int = 0

    def concerns(self, names: Iterable[str]) -> bool:
        """Whether somebody of these names is concerned."""
        return not self.whom or self.whom in names


def names_of(peer: Peer) -> tuple[str, ...]:
    """The addresses by which a peer is meant. A domain means whoever serves it, a component or
    another server, and none of the accounts of ours.
    """
    return (peer.session, peer.account) if peer.account else (peer.session,)


class FaultTable:
    """All faults, in the order in which they were asked for.

    Attributes:
        faults: Those that are there.
    """

    max_faults = MAX_FAULTS

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._numbers = count(1)

    def add(self, fault: Fault) -> Fault:
        """Add one.

        Raises:
            Refused: There are too many.
        """
        if len(self.faults) >= self.max_faults:
            raise Refused(
                f"{self.max_faults} faults are active; clear some", Condition.RESOURCE_CONSTRAINT
            )
        self.faults.append(self.numbered(fault))
        return fault

    def numbered(self, fault: Fault) -> Fault:
        """Give a fault its number."""
        fault.number = next(self._numbers)
        return fault

    def clear(self, whom: JID | None = None) -> list[Fault]:
        """Take out all, or those that concern an address or a session of it; returns them."""
        gone = [each for each in self.faults if whom is None or belongs(each.whom, whom)]
        self.faults = [each for each in self.faults if each not in gone]
        return gone

    def found(self, names: Iterable[str], *kinds: str) -> Iterator[Fault]:
        """The faults of these kinds that concern somebody."""
        for fault in tuple(self.faults):
            if fault.name in kinds and fault.concerns(names):
                yield fault

    def first(self, names: Iterable[str], *kinds: str) -> Fault | None:
        """The first of them."""
        return next(self.found(names, *kinds), None)

    def happens(self, fault: Fault) -> None:
        """Note that it happens: one that has happened often enough is not there any more."""
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0 and fault in self.faults:
                self.faults.remove(fault)


def belongs(whom: str, address: JID) -> bool:
    """Whether an address is this one, a session of it, or at this domain."""
    if address.local is None:
        return whom.partition("/")[0].rpartition("@")[2] == address.domain
    return whom == address.full or whom.startswith(f"{address.full}/")
