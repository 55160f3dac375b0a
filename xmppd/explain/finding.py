"""Finding: one sentence of an explanation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found, for people and for programs.

    Attributes:
        code: What programs know it by.
        says: The sentence, without its full stop.
        rule: Where it is written: in docs/pipeline.md, or in an RFC; empty for a mere fact.
        hinders: Whether nothing gets past it.
        decides: Whether the outcome follows from it; so it is with one finding of each explanation.
    """

    code: str
    says: str
    rule: str = ""
    hinders: bool = False
    decides: bool = False


def listed(names: list[str]) -> str:
    """Names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(count: int, one: str, more: str = "") -> str:
    """A number of things as a sentence has them."""
    return f"1 {one}" if count == 1 else f"{count} {more or f'{one}s'}"


__all__ = ["Finding", "counted", "listed"]
