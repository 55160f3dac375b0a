"""What a client may negotiate inside of its login, to spare a round trip for each."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from xmppd.stanza import Tree
from xmppd.stream.stream_feature import Negotiation


class InlinePlace(Enum):
    """Where a client asks for it.

    Attributes:
        AUTHENTICATE: In ``<authenticate/>`` of :xep:`0388`: taken before a resource is bound, which
            nobody does any more if the session has one afterwards.
        BIND: In ``<bind/>`` of :xep:`0386`: taken when the resource is bound. The session can be
            reached from then on, so nothing here may wait.
    """

    AUTHENTICATE = auto()
    BIND = auto()


InlineTaken = Callable[[Negotiation, Tree], bytes | Awaitable[bytes]]


def _nothing(negotiation: Negotiation) -> None:
    """What most features do when all is said."""


@dataclass(frozen=True, eq=False)
class InlineFeature:
    """One feature that is negotiated inline.

    Attributes:
        place: Where.
        advertise: Its element in the ``<inline/>`` of that place; empty bytes if it has nothing to
            offer just now.
        elements: ``{namespace}name`` of the elements that ask for it, and who takes them; what they
            return stands in ``<success/>``, or in ``<bound/>`` there. Who asks twice is heard once.
        written: Called when it was taken, once ``<success/>`` and the stream's new features are
            written: what it writes to the stream comes behind them.
    """

    place: InlinePlace
    advertise: Callable[[Negotiation], bytes]
    elements: tuple[tuple[str, InlineTaken], ...]
    written: Callable[[Negotiation], None] = _nothing


def bind_feature(var: str, *elements: tuple[str, InlineTaken]) -> InlineFeature:
    """A feature that :xep:`0386` lists by the name it has for :xep:`0030`."""
    data = f"<feature var='{var}'/>".encode()
    return InlineFeature(InlinePlace.BIND, lambda negotiation: data, elements)


class InlineFeatures:
    """All of them, in the order in which they are taken."""

    def __init__(self) -> None:
        self._rows: dict[InlinePlace, tuple[InlineFeature, ...]] = dict.fromkeys(InlinePlace, ())

    def add(self, feature: InlineFeature) -> None:
        """Offer one more, after all others."""
        self._rows[feature.place] += (feature,)

    def remove(self, feature: InlineFeature) -> None:
        """Offer it no more."""
        rows = self._rows[feature.place]
        self._rows[feature.place] = tuple(row for row in rows if row is not feature)

    def advertised(self, place: InlinePlace, negotiation: Negotiation) -> bytes:
        """What stands in the ``<inline/>`` of a place."""
        return b"".join(row.advertise(negotiation) for row in self._rows[place])

    def asked(
        self, place: InlinePlace, tree: Tree
    ) -> Iterator[tuple[InlineFeature, InlineTaken, Tree]]:
        """Those that a client asks for, who takes its elements, and these."""
        for row in self._rows[place]:
            for tag, taken in row.elements:
                element = tree.find(tag)
                if element is not None:
                    yield row, taken, element
