"""Extras of a binding: what stands in ``<bound/>`` though no client has asked for it
(:xep:`0386`).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from twisted.logger import Logger

from xmppd.events import Undo
from xmppd.store.errors import StoreError
from xmppd.stream.stream_feature import Negotiation

_log = Logger()


@dataclass(frozen=True, eq=False)
class BoundExtra:
    """Something that every ``<bound/>`` has.

    Attributes:
        around: Is entered before a resource is bound, and left behind that. Entering may wait; what
            it gives is called once the session can be reached, and makes the element without
            waiting. Leaving does not wait.
    """

    around: Callable[[Negotiation], AbstractAsyncContextManager[Callable[[], bytes]]]


class BoundExtras:
    """The extras, in the order in which they stand there. One that fails is left out."""

    def __init__(self) -> None:
        self._rows: tuple[tuple[BoundExtra, str], ...] = ()

    def put(self, part: BoundExtra, owner: str) -> Undo:
        """Add an extra behind all others."""
        row = part, owner
        self._rows += (row,)

        def take_out() -> None:
            self._rows = tuple(each for each in self._rows if each is not row)

        return take_out

    @asynccontextmanager
    async def around(self, negotiation: Negotiation) -> AsyncIterator[Callable[[], bytes]]:
        """All extras around one binding."""
        async with AsyncExitStack() as stack:
            made: list[tuple[Callable[[], bytes], str]] = []
            for part, owner in self._rows:
                try:
                    made.append((await stack.enter_async_context(part.around(negotiation)), owner))
                except StoreError:
                    pass  # which the store has logged
                except Exception:
                    _failed(owner)

            def extras() -> bytes:
                return b"".join([_called(make, owner) for make, owner in made])

            yield extras


def _called(make: Callable[[], bytes], owner: str) -> bytes:
    try:
        return make()
    except Exception:
        _failed(owner)
        return b""


def _failed(owner: str) -> None:
    _log.failure("{owner} failed while a resource was bound", owner=owner)
