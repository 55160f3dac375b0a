"""Parts of sentences: what depends on how many things there are."""

from collections.abc import Sequence


def counted(count: float, one: str, more: str = "") -> str:
    """A number of things: ``1 message``, ``2 messages``.

    Args:
        count: How many.
        one: The word for one of them.
        more: That for several, if it is not the first with an "s".
    """
    return f"1 {one}" if count == 1 else f"{count:.15g} {more or f'{one}s'}"


def listed(names: Sequence[str]) -> str:
    """Names, of which there is at least one: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def either(names: Sequence[str]) -> str:
    """Names, one of which is meant: ``a, b or c``."""
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} or {names[-1]}"


def or_rather(name: str) -> str:
    """What is put behind a wrong name if a known one is near it; a stop may follow."""
    return f' (did you mean "{name}"?)'


__all__ = ["counted", "either", "listed", "or_rather"]
