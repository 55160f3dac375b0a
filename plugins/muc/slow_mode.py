"""SlowMode: the time from one message of somebody to their next (:xep:`0500`)."""


class SlowMode:
    """Remembers who in a room has said something a moment ago, whatever their nick (RM-42)."""

    __slots__ = ("_spoke",)

    def __init__(self) -> None:
        self._spoke: dict[str, float] = {}  # who spoke last is last

    def __len__(self) -> int:
        return len(self._spoke)

    def speak(self, person: str, now: float, every_s: float) -> float:
        """Have somebody say something, if it is time.

        Args:
            person: Bare JID.
            now: The moment.
            every_s: The time from one message to the next.

        Returns:
            The seconds that they have to wait for that; 0 if they may.
        """
        left_s = self._spoke.get(person, now - every_s) + every_s - now
        if left_s > 0:
            return left_s
        self._spoke.pop(person, None)
        self._spoke[person] = now
        while next(iter(self._spoke.values())) <= now - every_s:
            del self._spoke[next(iter(self._spoke))]
        return 0.0


__all__ = ["SlowMode"]
