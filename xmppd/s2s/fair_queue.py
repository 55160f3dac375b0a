"""Turns: so many at once, and whoever wants much does not keep others from having a little."""

from collections.abc import Hashable

from twisted.internet.defer import Deferred


class FairQueue:
    """Lets so many begin; the others wait, and are let in by turns of those for whom they wait.

    Args:
        at_once: How many.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._begun = 0
        self._waiting: dict[Hashable, Deferred[None]] = {}
        self._lines: dict[str, dict[Hashable, None]] = {}
        self._wanted_by: dict[Hashable, list[str]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting_for(self, who: str) -> int:
        """How many wait on somebody's behalf."""
        return len(self._lines.get(who, ()))

    async def begin(self, what: Hashable, on_behalf_of: str) -> None:
        """Wait for a turn; what begins must :meth:`end`. Cancelling it gives the place up.

        Args:
            what: No two that wait are equal.
            on_behalf_of: Who wants it.
        """
        if self._begun < self.at_once:
            self._begun += 1
            return
        turn = self._waiting[what] = Deferred()
        self.want(what, on_behalf_of)
        try:
            await turn
        except BaseException:
            self._take(what)
            raise

    def want(self, what: Hashable, who: str) -> None:
        """Somebody else wants it too, if it waits still: it begins with whose turn comes first."""
        if what in self._waiting and what not in self._lines.get(who, ()):
            self._lines.setdefault(who, {})[what] = None
            self._wanted_by.setdefault(what, []).append(who)

    def end(self) -> None:
        """It is over: the next one's turn, of whoever has waited longest since his last."""
        self._begun -= 1
        if self._lines:
            who, line = next(iter(self._lines.items()))
            turn = self._take(next(iter(line)))
            if who in self._lines:
                self._lines[who] = self._lines.pop(who)
            self._begun += 1
            turn.callback(None)

    def _take(self, what: Hashable) -> Deferred[None]:
        """Out of all lines."""
        for who in self._wanted_by.pop(what):
            line = self._lines[who]
            del line[what]
            if not line:
                del self._lines[who]
        return self._waiting.pop(what)
