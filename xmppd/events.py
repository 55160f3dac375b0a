"""Events: values that are fired after something has happened, each a frozen dataclass beside its
code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.stanza import Later

E = TypeVar("E")
Undo = Callable[[], None]
"""Takes out of its place what was put there."""

OWNER = "xmppd"
"""The owner of the server's own parts; a plugin's parts are owned by its name."""

_log = Logger()


@dataclass(frozen=True)
class On(Generic[E]):
    """Calls the listener with every event of a kind.

    Attributes:
        event: The kind.
        listener: A function, or a coroutine function if it has to wait; it is not waited for.
    """

    event: type[E]
    listener: Callable[[E], Later]


class Events:
    """The listeners of each kind of event. A listener may look, not touch; when it fails, that is
    logged.

    A listener that has to wait is a coroutine function: it starts at once, and is not waited for.
    """

    def __init__(self) -> None:
        self._listeners: dict[type, tuple[tuple[On[Any], str], ...]] = {}

    def put(self, part: On[E], owner: str) -> Undo:
        """Call the listener with every event of its kind from now on, after all others."""
        kind, row = part.event, (part, owner)
        self._listeners[kind] = (*self._listeners.get(kind, ()), row)

        def take_out() -> None:
            kept = tuple(known for known in self._listeners.pop(kind, ()) if known is not row)
            if kept:
                self._listeners[kind] = kept

        return take_out

    def fire(self, event: object) -> None:
        """Call all listeners of this kind of event."""
        for part, owner in self._listeners.get(type(event), ()):
            try:
                later = part.listener(event)
            except Exception:
                _failed(Failure(), owner, event)
            else:
                if later is not None:
                    Deferred.fromCoroutine(later).addErrback(_failed, owner, event)


def _failed(failure: Failure, owner: str, event: object) -> None:
    _log.failure("{owner} failed on {event}", failure, owner=owner, event=event.__class__.__name__)
