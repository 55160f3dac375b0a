"""Finding: one sentence of an explanation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding, for people and for programs.

    Attributes:
        code: Its name for programs.
        says: The sentence, without its full stop.
        rule: Its rule, in docs/pipeline.md or in an RFC; empty for a mere fact.
        hinders: Whether it stops everything.
        decides: Whether the outcome follows from it; so it is with one finding of each explanation.
    """

    code: str
    says: str
    rule: str = ""
    hinders: bool = False
    decides: bool = False


__all__ = ["Finding"]
