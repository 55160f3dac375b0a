"""Inline features: negotiated inside of a login, to spare a round trip for each."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from twisted.logger import Logger

from xmppd.events import OWNER, Undo
from xmppd.stanza import Tree
from xmppd.store.errors import StoreError
from xmppd.stream.stream_feature import Advertised, Negotiation, ready_joined

_log = Logger()


class InlinePlace(Enum):
    """The element in which a client asks for a feature.

    Attributes:
        AUTHENTICATE: In ``<authenticate/>`` of :xep:`0388`: taken before a resource is bound, which
            is left out if the session has one afterwards.
        BIND: In ``<bind/>`` of :xep:`0386`: taken when the resource is bound. The session can be
            reached from then on, so nothing here may wait.
    """

    AUTHENTICATE = auto()
    BIND = auto()


InlineTaken = Callable[[Negotiation, Tree], bytes | Awaitable[bytes]]


def _nothing(negotiation: Negotiation) -> None:
    """Do nothing, as most features once the answers are written."""


@dataclass(frozen=True, eq=False)
class InlineFeature:
    """One feature that is negotiated inline.

    Attributes:
        place: The element that it stands in.
        advertise: Its element in the ``<inline/>`` of that place, ready or made for each stream;
            empty bytes if it has nothing to offer just now.
        elements: ``{namespace}name`` of the elements that ask for it, and the functions that take
            them; their results stand in ``<success/>``, or in ``<bound/>``. A second element is
            ignored.
        written: Called when it was taken, once ``<success/>`` and the stream's new features are
            written: what it writes to the stream comes behind them.
    """

    place: InlinePlace
    advertise: Advertised
    elements: tuple[tuple[str, InlineTaken], ...]
    written: Callable[[Negotiation], None] = _nothing


def bind_feature(var: str, *elements: tuple[str, InlineTaken]) -> InlineFeature:
    """A feature that :xep:`0386` lists by the name it has for :xep:`0030`."""
    return InlineFeature(InlinePlace.BIND, f"<feature var='{var}'/>".encode(), elements)


class InlineFeatures:
    """The inline features, in the order in which they are taken."""

    def __init__(self) -> None:
        self._rows: dict[InlinePlace, tuple[InlineFeature, ...]] = dict.fromkeys(InlinePlace, ())
        self._pieces: dict[InlinePlace, tuple[Advertised, ...]] = dict.fromkeys(InlinePlace, ())

    def put(self, part: InlineFeature, owner: str) -> Undo:
        """Add a feature behind all others.

        A plugin's that fails is left out of a login, which goes on; one of ours ends it.
        """
        place = part.place
        mine = part if owner == OWNER else _harmless(part, owner)
        self._become(place, (*self._rows[place], mine))

        def take_out() -> None:
            self._become(place, tuple(row for row in self._rows[place] if row is not mine))

        return take_out

    def _become(self, place: InlinePlace, rows: tuple[InlineFeature, ...]) -> None:
        self._rows[place] = rows
        self._pieces[place] = ready_joined(row.advertise for row in rows)

    def advertised(self, place: InlinePlace, negotiation: Negotiation) -> bytes:
        """The content of the ``<inline/>`` of a place."""
        return b"".join(
            [
                piece if isinstance(piece, bytes) else piece(negotiation)
                for piece in self._pieces[place]
            ]
        )

    def asked(
        self, place: InlinePlace, tree: Tree
    ) -> Iterator[tuple[InlineFeature, InlineTaken, Tree]]:
        """The features that a client asks for, with the functions that take their elements, and
        these.
        """
        for row in self._rows[place]:
            for tag, taken in row.elements:
                element = tree.find(tag)
                if element is not None:
                    yield row, taken, element


def _harmless(part: InlineFeature, owner: str) -> InlineFeature:
    """The feature of a plugin, wrapped so that its failing ends no login."""

    def advertise(negotiation: Negotiation) -> bytes:
        try:
            return part.advertise(negotiation)  # type: ignore[operator]  # it is not ready
        except Exception:
            return _failed(owner)

    def written(negotiation: Negotiation) -> None:
        try:
            part.written(negotiation)
        except Exception:
            _failed(owner)

    elements = tuple((tag, _taken(taken, owner)) for tag, taken in part.elements)
    ready = isinstance(part.advertise, bytes)
    return replace(
        part,
        advertise=part.advertise if ready else advertise,
        elements=elements,
        written=written,
    )


def _taken(taken: InlineTaken, owner: str) -> InlineTaken:
    async def finish(later: Awaitable[bytes]) -> bytes:
        try:
            return await later
        except StoreError:
            return b""  # the store has logged it
        except Exception:
            return _failed(owner)

    def take(negotiation: Negotiation, element: Tree) -> bytes | Awaitable[bytes]:
        try:
            answer = taken(negotiation, element)
        except Exception:
            return _failed(owner)
        return finish(answer) if isinstance(answer, Awaitable) else answer

    return take


def _failed(owner: str) -> bytes:
    """The result of a feature that has failed: nothing."""
    _log.failure("{owner} failed in a login", owner=owner)
    return b""
