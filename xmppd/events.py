"""Events: after it happened, you may know. An event is a frozen dataclass beside its code."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.logger import Logger

E = TypeVar("E")
_log = Logger()


class Events:
    """Who wants to hear of what. A listener may look, not touch; when it fails, that is logged."""

    def __init__(self) -> None:
        self._listeners: dict[type, tuple[Callable[[Any], None], ...]] = defaultdict(tuple)

    def on(self, kind: type[E], listener: Callable[[E], None]) -> None:
        """Call the listener with every event of this kind from now on."""
        self._listeners[kind] += (listener,)

    def off(self, kind: type[E], listener: Callable[[E], None]) -> None:
        """Call it no more."""
        self._listeners[kind] = tuple(known for known in self._listeners[kind] if known != listener)

    def fire(self, event: object) -> None:
        """Tell everybody who wants to hear of this kind of event."""
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:
                _log.failure("{listener} failed on {event}", listener=listener, event=event)
