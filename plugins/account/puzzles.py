"""Puzzles: what a browser works for a second before it may register (ON-6): no pictures to read."""

import hmac
from collections.abc import Callable
from hashlib import sha256
from secrets import token_bytes, token_urlsafe

BITS = 15
"""A good answer makes a digest with so many noughts before: one of 32,768 does."""

GOOD_S = 600.0
"""The time within which a puzzle has to be solved."""

MAX_SOLVED = 10_000
"""Puzzles that were solved within that time; with more, nobody registers for a while."""


class Puzzles:
    """Made without keeping them, and each good for once.

    Args:
        seconds: The steady clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._key = token_bytes(32)
        self._solved: dict[str, float] = {}

    def make(self) -> str:
        """A new one."""
        said = f"{self._seconds():.0f}.{token_urlsafe(12)}"
        return f"{said}.{self._mark(said)}"

    def take(self, puzzle: str, answer: str) -> bool:
        """Whether this solves a puzzle of ours, in time, and for the first time."""
        said, _, mark = puzzle.rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(said).encode()):
            return False
        now, made = self._seconds(), float(said.partition(".")[0])
        for old in [old for old, until in self._solved.items() if until <= now]:
            del self._solved[old]
        if now - made >= GOOD_S or puzzle in self._solved or len(self._solved) >= MAX_SOLVED:
            return False
        if not solves(puzzle, answer):
            return False
        self._solved[puzzle] = made + GOOD_S
        return True

    def _mark(self, said: str) -> str:
        return hmac.digest(self._key, said.encode(), "sha256").hex()


def solves(puzzle: str, answer: str) -> bool:
    """Whether an answer is good."""
    digest = sha256(f"{puzzle}:{answer}".encode()).digest()
    return int.from_bytes(digest[:4]) >> (32 - BITS) == 0


__all__ = ["BITS", "GOOD_S", "MAX_SOLVED", "Puzzles", "solves"]
