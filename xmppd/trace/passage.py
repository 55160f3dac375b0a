"""Passage: the way of one stanza, with all that followed from it."""

from dataclasses import dataclass, field

from xmppd.stanza import JID, Stanza

MAX_STEPS = 500


@dataclass(slots=True)
class Step:
    """One stage that a stanza came to.

    Attributes:
        stage: Its name.
        depth: How many stages stand above it.
        stanza: What it was handed.
        session: The session that it was for, where a stanza leaves.
        code: How it ended: ``done``, ``arrived``, ``delivered``, ``copied``, ``stored``,
            ``nobody``, ``dropped``, ``changed``, ``skipped``, ``refused`` or ``failed``.
        says: The same for people.
        took_us: How long that took, what stands below it and what it waited for included.
        waited: Whether it had to wait.
    """

    stage: str
    depth: int
    stanza: Stanza
    session: JID | None = None
    code: str = ""
    says: str = ""
    took_us: int | None = None
    waited: bool = False


@dataclass(slots=True, eq=False)
class Passage:
    """All steps, in the order in which they began.

    Attributes:
        number: Counts the passages.
        stanza: With which it began.
        steps: At most :data:`MAX_STEPS`.
        omitted: How many more there were.
        over: Nothing belongs to it any more.
    """

    number: int
    stanza: Stanza
    steps: list[Step] = field(default_factory=list)
    omitted: int = 0
    over: bool = False

    def add(self, step: Step) -> None:
        """One more step, if there is room."""
        if len(self.steps) < MAX_STEPS:
            self.steps.append(step)
        else:
            self.omitted += 1


__all__ = ["Passage", "Step"]
