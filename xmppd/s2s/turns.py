"""Turns: so many at once, and whoever wants much does not keep others from having a little."""

from collections import deque

from twisted.internet.defer import Deferred


class Turns:
    """Lets so many begin; the others wait, and are let in by turns of those for whom they wait.

    Args:
        at_once: How many.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._begun = 0
        self._waiting: dict[str, deque[Deferred[None]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def begin(self, on_behalf_of: str) -> None:
        """Wait for a turn; what begins must :meth:`end`. Cancelling it gives the place up."""
        if self._begun < self.at_once:
            self._begun += 1
            return
        turn: Deferred[None] = Deferred()
        self._waiting.setdefault(on_behalf_of, deque()).append(turn)
        try:
            await turn
        except BaseException:
            self._forget(on_behalf_of, turn)
            raise

    def end(self) -> None:
        """It is over: the next one's turn, of whoever has waited longest since his last."""
        self._begun -= 1
        if self._waiting:
            who = next(iter(self._waiting))
            line = self._waiting.pop(who)
            turn = line.popleft()
            if line:
                self._waiting[who] = line
            self._begun += 1
            turn.callback(None)

    def _forget(self, who: str, turn: Deferred[None]) -> None:
        line = self._waiting.get(who)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[who]
