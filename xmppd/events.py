"""Events: after it happened, you may know. An event is a frozen dataclass beside its code."""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.stanza import Later

E = TypeVar("E")
Listener = Callable[[Any], Later]
Undo = Callable[[], None]
"""Takes out again what was put in a place."""

_log = Logger()


class Events:
    """Who wants to hear of what. A listener may look, not touch; when it fails, that is logged.

    A listener that has to wait is a coroutine function: it starts at once, and nobody waits for it.
    """

    def __init__(self) -> None:
        self._listeners: dict[type, tuple[tuple[Listener, str], ...]] = {}

    def on(self, kind: type[E], listener: Callable[[E], Later], *, plugin: str = "xmppd") -> None:
        """Call the listener with every event of this kind from now on.

        Args:
            kind: The event's class.
            listener: Called after all others.
            plugin: Whose it is, for the log.
        """
        self._listeners[kind] = (*self._listeners.get(kind, ()), (listener, plugin))

    def off(self, kind: type[E], listener: Callable[[E], Later], *, plugin: str = "xmppd") -> None:
        """Call it no more."""
        gone = (listener, plugin)
        kept = tuple(known for known in self._listeners.pop(kind, ()) if known != gone)
        if kept:
            self._listeners[kind] = kept

    def fire(self, event: object) -> None:
        """Tell everybody who wants to hear of this kind of event."""
        for listener, plugin in self._listeners.get(type(event), ()):
            try:
                later = listener(event)
            except Exception:
                _failed(Failure(), plugin, event)
            else:
                if later is not None:
                    Deferred.fromCoroutine(later).addErrback(_failed, plugin, event)


def _failed(failure: Failure, plugin: str, event: object) -> None:
    _log.failure(
        "{plugin} failed on {event}", failure, plugin=plugin, event=event.__class__.__name__
    )
