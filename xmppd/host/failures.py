"""Failures: mistakes of the program itself, each told with its traceback once, and then counted."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twisted.logger import LogEvent
from twisted.python.failure import Failure

COUNTED_EACH_S = 60.0
"""A failure that repeats has a line at most so often, with a count in place of its traceback."""

FORGOTTEN_S = 3_600.0
"""One that has not happened for so long is told with its traceback again."""

MAX_FAILURES = 200
"""Of more, the one that has not happened for the longest time is forgotten."""

Key = tuple[object, ...]


@dataclass(slots=True)
class RepeatedFailure:
    """A failure at one place of the program.

    Attributes:
        event: Its latest event, without the exception, whose traceback keeps much alive.
        error: The exception, as Python names it.
        count: How often it has happened since it was forgotten.
        last: When it has happened last, on the steady clock.
        untold: How often it has happened since its last line.
        told: When that was.
    """

    event: LogEvent
    error: str
    count: int
    last: float
    untold: int
    told: float

    @property
    def owner(self) -> str:
        """The plugin whose part has failed; empty if the event names none."""
        return str(self.event.get("owner", ""))


class Failures:
    """The failures of the last hour; whatever else is logged passes as it is.

    Args:
        seconds: The steady clock.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._known: dict[Key, RepeatedFailure] = {}
        self._due = 0.0

    def told(self, event: LogEvent) -> Iterator[LogEvent]:
        """The events that are to be logged now that this one has happened.

        Those of failures that repeat have a field ``repeated``, and no traceback.
        """
        now = self._seconds()
        if now >= self._due:
            yield from self._counts(now)
        if "log_failure" not in event or self._is_new(event, now):
            yield event

    def recent(self) -> tuple[RepeatedFailure, ...]:
        """Those of the last hour, the latest at the end."""
        self._forget(self._seconds())
        return tuple(self._known.values())

    def _is_new(self, event: LogEvent, now: float) -> bool:
        self._forget(now)
        key = _key(event)
        bare, error = _bare(event)
        known = self._known.pop(key, None)
        if known is None:
            if len(self._known) >= MAX_FAILURES:
                del self._known[next(iter(self._known))]
            self._known[key] = RepeatedFailure(bare, error, 1, now, 0, now)
            return True
        self._known[key] = known
        known.event, known.error, known.last = bare, error, now
        known.count += 1
        known.untold += 1
        self._due = min(self._due, known.told + COUNTED_EACH_S)
        return False

    def _counts(self, now: float) -> Iterator[LogEvent]:
        """An event for each failure that has repeated and was not told for a minute."""
        due = now + COUNTED_EACH_S
        for known in self._known.values():
            if known.untold and now >= known.told + COUNTED_EACH_S:
                event = {**known.event, "repeated": known.untold}
                known.untold, known.told = 0, now
                yield event
            elif known.untold:
                due = min(due, known.told + COUNTED_EACH_S)
        self._due = due

    def _forget(self, now: float) -> None:
        for key, known in tuple(self._known.items()):
            if now - known.last < FORGOTTEN_S:
                break
            del self._known[key]


def _bare(event: LogEvent) -> tuple[LogEvent, str]:
    """An event without its exception, and that as Python names it."""
    failure: Failure = event["log_failure"]
    error = f"{failure.type.__name__ if failure.type else 'error'}: {failure.getErrorMessage()}"
    return {key: value for key, value in event.items() if key != "log_failure"}, error


def _key(event: LogEvent) -> Key:
    """What two events of one failure have in common: the sentence, and where it was raised."""
    failure: Failure = event["log_failure"]
    frames = failure.frames
    where = (frames[-1][1], frames[-1][2]) if frames else ()
    return event.get("log_format"), event.get("owner"), failure.type, where


__all__ = ["COUNTED_EACH_S", "FORGOTTEN_S", "MAX_FAILURES", "Failures", "RepeatedFailure"]
