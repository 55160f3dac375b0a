"""What is done for an account one after the other: its messages stay in order."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from xmppd.host.clocks import UNKNOWN

T = TypeVar("T")


class Line:
    """Those that wait for their turn with one account.

    Attributes:
        waiting: What to call when it is their turn; None if nobody has ever waited.
        holder: Whoever has the turn; None if nobody has.
        writes: How many messages are being stored.
        written: What to call when none is any more; None if nobody waits for that.
        passing: Turns are being given; who gives his back meanwhile need not see to the next.
        awaited: Somebody has become available, and was not given yet what is stored.
        hurried_until: On the clock: somebody is about to become available, to whom that applies.
    """

    waiting: deque[Deferred[None]] | None = None
    holder: object | None = None
    writes = 0
    written: Deferred[None] | None = None
    passing = awaited = False
    hurried_until = UNKNOWN


class Lines:
    """Turns by account; an account of which nothing is stored just now, or about to be read, has
    no line, and what comes for it need not wait.

    Args:
        seconds: The clock's time.

    Attributes:
        open: The lines there are, by bare JID.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.open: dict[str, Line] = {}
        self._seconds = seconds

    def join(self, account: str) -> Deferred[None] | None:
        """Go behind all others, and :meth:`leave` when it is done.

        Returns:
            What to wait for until it is one's turn; None if that is now.
        """
        line = self.open.get(account)
        if line is None:
            line = self.open[account] = Line()
        if line.holder is None:
            line.holder = object()
            return None
        if line.waiting is None:
            line.waiting = deque()
        turn = Deferred[None]()
        line.waiting.append(turn)
        return turn

    def leave(self, account: str, holder: object | None) -> None:
        """Let the next one have its turn, if this one has it still."""
        line = self.open.get(account)
        if line is None or line.holder is not holder:
            return
        line.holder = None
        if line.passing:
            return
        if line.waiting:
            line.passing = True
            while line.waiting and line.holder is None:
                line.holder = object()
                line.waiting.popleft().callback(None)
            line.passing = False
        idle = not (line.holder or line.writes or line.awaited)  # no call: each login comes by here
        if idle and self._seconds() >= line.hurried_until:
            del self.open[account]

    def _close_if_idle(self, account: str, line: Line) -> None:
        idle = line.holder is None and not line.writes and not line.awaited and not line.passing
        if idle and self._seconds() >= line.hurried_until:
            self.open.pop(account, None)

    def writes(self, account: str, write: Deferred[T]) -> Deferred[T]:
        """Something is being stored; whoever reads waits for it by :meth:`written`."""
        line = self.open[account]
        line.writes += 1
        return write.addBoth(self._has_written, account, line)

    def _has_written(self, result: T, account: str, line: Line) -> T:
        line.writes -= 1
        if not line.writes:
            written, line.written = line.written, None
            if written is not None:
                written.callback(None)
            self._close_if_idle(account, line)
        return result

    def written(self, account: str) -> Deferred[None]:
        """What to wait for until nothing is being stored any more."""
        line = self.open[account]
        if line.written is None:
            line.written = Deferred()
        return line.written

    def await_flood(self, account: str) -> None:
        """Somebody has become available: until it was flooded, what comes goes behind."""
        self.open.setdefault(account, Line()).awaited = True

    def hurry(self, account: str, until: float) -> None:
        """Something was stored for somebody who is about to become available, until this moment."""
        line = self.open.setdefault(account, Line())
        line.hurried_until = max(line.hurried_until, until)

    def is_hurried(self, account: str) -> bool:
        """Whether somebody still is, or a message is just being stored."""
        line = self.open.get(account)
        return line is not None and (line.writes > 0 or self._seconds() < line.hurried_until)

    def nobody_comes(self, account: str) -> None:
        """Whoever was about to become available, or was, has left."""
        line = self.open.get(account)
        if line is not None:
            line.awaited, line.hurried_until = False, UNKNOWN
            self._close_if_idle(account, line)
