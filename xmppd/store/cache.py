"""Cache: answers of a moment ago."""

from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Answers by name, the oldest of which makes room for a new one.

    Args:
        max_answers: The number that is kept.
    """

    def __init__(self, max_answers: int) -> None:
        self._max_answers = max_answers
        self._answers: dict[str, V] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, name: str) -> bool:
        return name in self._answers

    def __getitem__(self, name: str) -> V:
        return self._answers[name]

    def __setitem__(self, name: str, answer: V) -> None:
        if len(self._answers) >= self._max_answers and name not in self._answers:
            del self._answers[next(iter(self._answers))]
        self._answers[name] = answer

    def forget(self, name: str) -> None:
        """Forget an answer, so that it is asked for again."""
        self._answers.pop(name, None)


__all__ = ["Cache"]
