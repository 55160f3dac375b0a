"""SeenRecord: what clients got and sent, element by element, and who waits for one."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime

from xmppd.command.refused import Refused
from xmppd.session.peer_counts import Peer
from xmppd.stanza import JID, Condition, ns

from .table import Match, belongs, name_of, names_of

MAX_ELEMENTS = 20_000
"""Those that are kept; the oldest go first."""

MAX_BYTES = 32 << 20
"""Of all that are kept, as text."""

MAX_WAITING = 100
"""Those who wait at a time."""

SECRET_NAMESPACES = (
    ns.SASL,
    "urn:xmpp:sasl:2",
    "urn:xmpp:fast:0",
    "jabber:iq:register",
    "jabber:iq:auth",
)
_TEXT = re.compile(r">[^<>]+<")
_TOKEN = re.compile(r"(\btoken=)('[^']*'|\"[^\"]*\")")


class Peered(Protocol):
    """A connection, of which it is known who is at its other end, once that is known."""

    @property
    def peer(self) -> Peer:
        """Who that is, or was."""


@dataclass(frozen=True, slots=True)
class SeenElement:
    """One element that was on a wire.

    Attributes:
        number: Counts all of them.
        at: The time, in seconds since 1970.
        direction: Whether the client got it or sent it.
        xml: As it was written, but for secrets.
        wire: The connection.
    """

    number: int
    at: float
    direction: str
    xml: str
    wire: Peered

    def is_of(self, address: JID) -> bool:
        """Whether this was somebody's, or that of one of somebody's sessions."""
        return any(belongs(name, address) for name in names_of(self.wire.peer) if name)


class SeenRecord:
    """What was on the wires lately.

    Args:
        clock: The reactor's.
        wall_clock: The time of day.

    Attributes:
        elements: The oldest first.
    """

    max_elements, max_bytes, max_waiting = MAX_ELEMENTS, MAX_BYTES, MAX_WAITING

    def __init__(self, clock: IReactorTime, wall_clock: Callable[[], float]) -> None:
        self.elements: deque[SeenElement] = deque()
        self._clock = clock
        self._wall_clock = wall_clock
        self._numbers = count(1)
        self._bytes = 0
        self._waiting: set[defer.Deferred[None]] = set()

    def add(self, wire: Peered, direction: str, xml: str) -> None:
        """Keep one more, and let those look who wait."""
        xml = without_secrets(xml)
        self.elements.append(
            SeenElement(next(self._numbers), self._wall_clock(), direction, xml, wire)
        )
        self._bytes += len(xml)
        while len(self.elements) > self.max_elements or self._bytes > self.max_bytes:
            self._bytes -= len(self.elements.popleft().xml)
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            each.callback(None)

    def found(self, address: JID, match: Match, after: int = 0) -> Iterator[SeenElement]:
        """The elements of somebody that are meant, with higher numbers than this."""
        for element in tuple(self.elements):
            if (
                element.number > after
                and match.fits(element.direction, element.xml)
                and element.is_of(address)
            ):
                yield element

    async def wait(self, address: JID, match: Match, after: int, seconds: float) -> SeenElement:
        """The first of them, which may be there already or yet to come.

        Raises:
            Refused: There is none in time, or too many wait.
        """
        until = self._clock.seconds() + seconds
        while True:
            element = next(self.found(address, match, after), None)
            if element is not None:
                return element
            if len(self._waiting) >= self.max_waiting:
                raise Refused(
                    f"{self.max_waiting} other commands are waiting for elements",
                    Condition.RESOURCE_CONSTRAINT,
                )
            more: defer.Deferred[None] = defer.Deferred()
            self._waiting.add(more)
            try:
                await more.addTimeout(until - self._clock.seconds(), self._clock)
            except defer.TimeoutError as error:
                raise Refused(
                    f"{address} had no {match} within {seconds:g} s", code="timeout"
                ) from error
            finally:
                self._waiting.discard(more)


def without_secrets(xml: str) -> str:
    """An element without what proves who somebody is."""
    offers = name_of(xml) == "features"
    if offers or not any(namespace in xml for namespace in SECRET_NAMESPACES):
        return xml
    return _TOKEN.sub(r"\1'…'", _TEXT.sub(">…<", xml))
