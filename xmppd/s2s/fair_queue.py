"""FairQueue: a number of tasks at a time, and a fair share of them for everybody."""

from collections.abc import Hashable

from twisted.internet.defer import Deferred


class FairQueue:
    """Lets a number of tasks begin; the others wait, and those on whose behalf they wait take
    turns.

    Args:
        at_once: The number of tasks at a time.
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
        """The number of tasks that wait on one's behalf."""
        return len(self._lines.get(who, ()))

    async def begin(self, what: Hashable, on_behalf_of: str) -> None:
        """Wait for a turn; a task that begins has to :meth:`end`. Cancelling gives the place up.

        Args:
            what: The task; no two that wait are equal.
            on_behalf_of: On whose behalf it waits.
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
        """Let a task that still waits begin with the turn of another as well, whichever comes
        first.
        """
        if what in self._waiting and what not in self._lines.get(who, ()):
            self._lines.setdefault(who, {})[what] = None
            self._wanted_by.setdefault(what, []).append(who)

    def end(self) -> None:
        """End a task, and begin the next: of the one that has waited longest since its last
        turn.
        """
        self._begun -= 1
        if self._lines:
            who, line = next(iter(self._lines.items()))
            turn = self._take(next(iter(line)))
            if who in self._lines:
                self._lines[who] = self._lines.pop(who)
            self._begun += 1
            turn.callback(None)

    def _take(self, what: Hashable) -> Deferred[None]:
        """Take it out of all lines."""
        for who in self._wanted_by.pop(what):
            line = self._lines[who]
            del line[what]
            if not line:
                del self._lines[who]
        return self._waiting.pop(what)
