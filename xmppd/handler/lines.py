"""What is done for an account one after the other: its messages stay in order."""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred

from xmppd.clocks import UNKNOWN

GRACE_S = 10.0
"""How long somebody who has bound a resource may take to become available, and still get what was
stored meanwhile before what comes later."""


class Line:
    """Those that wait for their turn with one account.

    Attributes:
        waiting: What to call when it is their turn; None if nobody has ever waited.
        taken: Somebody has the turn.
        passing: Turns are being given; who gives his back meanwhile need not see to the next.
        awaited: Somebody has become available, and was not given yet what is stored.
        hurried_until: On the clock: somebody is about to become available, to whom that applies.
    """

    waiting: deque[Deferred[None]] | None = None
    taken = passing = awaited = False
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
        if not line.taken:
            line.taken = True
            return None
        if line.waiting is None:
            line.waiting = deque()
        turn = Deferred[None]()
        line.waiting.append(turn)
        return turn

    def leave(self, account: str) -> None:
        """Let the next one have its turn."""
        line = self.open[account]
        line.taken = False
        if line.passing:
            return
        if line.waiting:
            line.passing = True
            while line.waiting and not line.taken:
                line.taken = True
                line.waiting.popleft().callback(None)
            line.passing = False
        if not line.taken and not line.awaited and self._seconds() >= line.hurried_until:
            del self.open[account]

    def await_flood(self, account: str) -> None:
        """Somebody has become available: until it was flooded, what comes goes behind."""
        self.open.setdefault(account, Line()).awaited = True

    def hurry(self, account: str) -> None:
        """Something was stored for somebody who is about to become available."""
        line = self.open.setdefault(account, Line())
        line.hurried_until = self._seconds() + GRACE_S

    def is_hurried(self, account: str) -> bool:
        """Whether that was a moment ago."""
        line = self.open.get(account)
        return line is not None and self._seconds() < line.hurried_until

    def nobody_comes(self, account: str) -> None:
        """Whoever was about to become available, or was, has left."""
        line = self.open.get(account)
        if line is not None:
            line.awaited, line.hurried_until = False, UNKNOWN
            if not line.taken and not line.passing:
                del self.open[account]
