"""StageSamples: in which stage the processor is, looked at now and again."""

import signal
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FrameType, FunctionType

EACH_S = 0.02
"""The time of the processor from one look to the next: a stanza costs no more for being watched."""

OTHER = "other"
"""What is in no stage: timers, handshakes, threads of the database."""


class StageSamples:
    """Looks at what is being done whenever the process has used the processor for :data:`EACH_S`.

    Args:
        stages: The classes of each stage.

    Attributes:
        seen: How often each stage was found at work, with all that it calls which is no stage.
    """

    def __init__(self, stages: Mapping[str, Iterable[type]]) -> None:
        self.seen = dict.fromkeys((*stages, OTHER), 0)
        self._stage_of = {
            code: name for name, kinds in stages.items() for kind in kinds for code in _codes(kind)
        }

    def start(self) -> None:
        """Begin to look, from the main thread."""
        signal.signal(signal.SIGPROF, self.look)
        signal.siginterrupt(signal.SIGPROF, False)  # what waits goes on waiting
        signal.setitimer(signal.ITIMER_PROF, EACH_S, EACH_S)

    def stop(self) -> None:
        """Look no more; a signal that is under way ends nothing."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def look(self, signum: int, frame: FrameType | None) -> None:
        """Count the stage that is at work in a frame, or has called it."""
        stage_of = self._stage_of
        while frame is not None:
            stage = stage_of.get(frame.f_code)
            if stage is not None:
                self.seen[stage] += 1
                return
            frame = frame.f_back
        self.seen[OTHER] += 1

    def seconds(self) -> Mapping[str, float]:
        """The time of the processor that each stage has taken, as far as it was looked at."""
        return {stage: count * EACH_S for stage, count in self.seen.items()}


def _codes(kind: type) -> Iterator[CodeType]:
    for member in vars(kind).values():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if isinstance(function, FunctionType):
            yield function.__code__


__all__ = ["EACH_S", "OTHER", "StageSamples"]
