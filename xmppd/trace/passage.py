"""Passage: the way of one stanza, with all stanzas that followed from it."""

from dataclasses import dataclass, field
from time import perf_counter

from xmppd.stanza import JID, Stanza

MAX_STEPS = 500


@dataclass(slots=True)
class Step:
    """One stage that a stanza came to.

    Attributes:
        stage: Its name.
        depth: The number of stages above it.
        stanza: The stanza that it was handed.
        session: The session that it was for, where a stanza leaves.
        code: Its outcome: ``done``, ``arrived``, ``delivered``, ``copied``, ``stored``,
            ``nobody``, ``followed``, ``dropped``, ``changed``, ``skipped``, ``refused`` or
            ``failed``.
        says: The same for people.
        began_us: The time from the beginning of the passage.
        took_us: The time it took, with the stages below it and all waiting.
        waited: Whether it had to wait.
    """

    stage: str
    depth: int
    stanza: Stanza
    session: JID | None = None
    code: str = ""
    says: str = ""
    began_us: int = 0
    took_us: int | None = None
    waited: bool = False


@dataclass(slots=True, eq=False)
class Passage:
    """All steps, in the order in which they began.

    Attributes:
        number: Counts the passages.
        stanza: The one with which it began.
        began_s: When, on a clock of its own.
        steps: At most :data:`MAX_STEPS`.
        omitted: The number of further steps.
        over: Whether it has ended.
    """

    number: int
    stanza: Stanza
    began_s: float = field(default_factory=perf_counter)
    steps: list[Step] = field(default_factory=list)
    omitted: int = 0
    over: bool = False

    def add(self, step: Step) -> None:
        """Add a step that begins now, if there is room."""
        step.began_us = round((perf_counter() - self.began_s) * 1e6)
        if len(self.steps) < MAX_STEPS:
            self.steps.append(step)
        else:
            self.omitted += 1


__all__ = ["Passage", "Step"]
