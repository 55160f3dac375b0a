"""The limit of what a peer may send, as a bucket of tokens: a rate, and a burst on top of it."""


class TokenBucket:
    """A bucket that fills at a steady rate up to its size; tokens taken beyond are waited for.

    Args:
        per_s: Tokens a second; 0 for no limit at all.
        burst: The number that it holds.
    """

    __slots__ = ("_at", "_level", "burst", "per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s = per_s
        self.burst = burst
        self._level = burst
        self._at = 0.0

    def take(self, tokens: float, now: float) -> float:
        """Take tokens, at a time in seconds.

        Returns:
            Seconds to wait before more is taken; 0 for none.
        """
        if not self.per_s:
            return 0.0
        self._level = min(self.burst, self._level + (now - self._at) * self.per_s) - tokens
        self._at = now
        return 0.0 if self._level >= 0 else -self._level / self.per_s
