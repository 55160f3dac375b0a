"""Why: what a command has found out, as an outcome and what it follows from."""

from collections.abc import Mapping
from dataclasses import dataclass

from xmppd.console.shown import Heard
from xmppd.pages import cells

QUESTIONS: Mapping[str, str] = {
    "explain presence": "Presence",
    "explain message": "A message",
    "explain login": "A login",
    "explain session": "A session",
    "s2s why": "Another server",
    "explain room": "A room",
    "explain event": "An event",
}
"""The commands that explain, as far as they are there, each with the name of its question."""

_NO = (" not ", " no ", "nobody", "nothing", "never", "refused", "cannot", "unavailable")
"""Words of an outcome that nobody hopes for."""


@dataclass(frozen=True, slots=True)
class WhyStep:
    """A step on the way to the outcome.

    Attributes:
        mark: ``ok``, ``stop`` for what decides, or ``fact``.
        code: Its name.
        says: The sentence.
        rule: By which it is so; empty for a mere fact.
    """

    mark: str
    code: str
    says: str
    rule: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out.

    Attributes:
        outcome: First of all.
        good: Whether it is what people hope for.
        rule: The one that decides; empty if nobody says.
        steps: What it follows from.
    """

    outcome: str
    good: bool
    rule: str
    steps: tuple[WhyStep, ...]


def verdict(answer: Heard) -> Verdict | None:
    """The verdict; None if nothing was found out."""
    steps = [_step(row) for row in answer.rows]
    steps += [WhyStep("fact", "", cells.text(note), "") for note in answer.notes]
    if not steps:
        return None
    first = steps[0]
    decides = next((step for step in steps if step.mark == "stop"), first)
    good = not any(word in f" {first.says.lower()} " for word in _NO)
    return Verdict(first.says, good, decides.rule, tuple(steps[1:] or steps))


def _step(row: Mapping[str, object]) -> WhyStep:
    if "says" not in row:  # a step on the way to another server
        outcome = str(row.get("outcome") or "")
        says = " ".join(str(row.get(key) or "") for key in ("step", "what")) + f": {outcome}"
        mark = "stop" if any(word in outcome for word in ("fail", "refus", "no ")) else "ok"
        return WhyStep(mark, str(row.get("at") or ""), cells.text(says), "")
    rule = str(row.get("rule") or "")
    says = cells.text(row["says"]).replace(f" ({rule})", "") if rule else cells.text(row["says"])
    mark = "stop" if row.get("decides") else "ok" if rule else "fact"
    return WhyStep(mark, str(row.get("code") or ""), says, rule)


__all__ = ["QUESTIONS", "Verdict", "WhyStep", "verdict"]
