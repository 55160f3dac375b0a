"""Lines: an account's messages are stored and read one after the other, and stay in order."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from xmppd.host.clocks import UNKNOWN

T = TypeVar("T")


class Turn(Deferred[None]):
    """Fired when it is somebody's turn.

    Attributes:
        passes: Whether that may be while another one has stepped aside.
        holder: As whom it has the turn then.
    """

    def __init__(self, holder: object, *, passes: bool) -> None:
        super().__init__()
        self.holder = holder
        self.passes = passes


class Line:
    """The line of one account: those that wait for their turn.

    Attributes:
        waiting: Fired when it is their turn; None if none has ever waited.
        ahead: The number of the first of them that go ahead of all others.
        holder: The one that has the turn; None if none has.
        aside: Whether one that has had the turn waits for something, and lets those have it that
            come from other nodes.
        writes: The number of messages that are being stored.
        written: Fired when none is any more; None if that is not waited for.
        passing: Whether turns are being given, so that one that ends meanwhile need not give the
            next.
        awaited: Whether a session has become available and was not given the stored messages yet.
        hurried_until: The time on the clock up to which a session may become available and get
            them.
    """

    waiting: deque[Turn] | None = None
    ahead = 0
    holder: object | None = None
    writes = 0
    written: Deferred[None] | None = None
    aside = passing = awaited = False
    hurried_until = UNKNOWN

    def wait(self, turn: Turn, *, ahead: bool) -> Turn:
        """Have one wait, behind all others or those only that go ahead."""
        if self.waiting is None:
            self.waiting = deque()
        if ahead:
            self.waiting.insert(self.ahead, turn)
            self.ahead += 1
        else:
            self.waiting.append(turn)
        return turn

    def next(self) -> Turn | None:
        """Take out the next one that may have the turn."""
        for index, turn in enumerate(self.waiting or ()):
            if turn.passes or not self.aside:
                assert self.waiting is not None, "it is in there"
                del self.waiting[index]
                self.ahead -= index < self.ahead
                return turn
        return None


class Lines:
    """The lines of accounts. An account whose messages are not being stored or read has none, and
    its messages need not wait.

    Args:
        seconds: The clock's time.

    Attributes:
        open: The lines, by bare JID.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.open: dict[str, Line] = {}
        self._seconds = seconds

    def join(
        self, account: str, *, passes: bool = False, ahead: bool = False
    ) -> Deferred[None] | None:
        """Go behind all others, and :meth:`leave` when it is done.

        Args:
            account: Bare JID.
            passes: Whether it comes from another node, which may wait for it: then it does not wait
                for who has stepped aside.
            ahead: Whether it goes behind those only that do so too.

        Returns:
            An awaitable until it is one's turn; None if that is now.
        """
        line = self.open.get(account)
        if line is None:
            line = self.open[account] = Line()
        if line.holder is None and (passes or not line.aside):
            line.holder = object()
            return None
        return line.wait(Turn(object(), passes=passes), ahead=ahead)

    def leave(self, account: str, holder: object | None) -> None:
        """Give the turn to the next, if this one still has it."""
        line = self.open.get(account)
        if line is None or line.holder is not holder:
            return
        line.holder = None
        if line.passing:
            return
        if line.waiting:
            line.passing = True
            while line.holder is None and (turn := line.next()) is not None:
                line.holder = turn.holder
                turn.callback(None)
            line.passing = False
        idle = not (line.holder or line.writes or line.awaited or line.aside)  # no call: each login
        if idle and self._seconds() >= line.hurried_until:
            del self.open[account]

    def step_aside(self, account: str, holder: object | None) -> None:
        """Let those have the turn that come from other nodes, until one comes back."""
        line = self.open[account]
        line.aside = True
        self.leave(account, holder)

    def come_back(self, account: str, holder: object | None) -> Deferred[None] | None:
        """Have the turn again, behind those only that go ahead.

        Returns:
            An awaitable until it is one's turn; None if that is now.
        """
        line = self.open[account]
        line.aside = False
        if line.holder is None:
            line.holder = holder
            return None
        back = line.wait(Turn(holder, passes=False), ahead=True)
        line.ahead -= 1  # later ones go ahead of this one, too
        return back

    def _close_if_idle(self, account: str, line: Line) -> None:
        is_held = line.holder or line.writes or line.awaited or line.passing or line.aside
        if not is_held and self._seconds() >= line.hurried_until:
            self.open.pop(account, None)

    def writes(self, account: str, write: Deferred[T]) -> Deferred[T]:
        """Note that a message is being stored; readers wait for it by :meth:`written`."""
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
        """An awaitable until no message is being stored any more."""
        line = self.open[account]
        if line.written is None:
            line.written = Deferred()
        return line.written

    def await_flood(self, account: str) -> None:
        """Note that a session has become available: messages wait until it was flooded."""
        self.open.setdefault(account, Line()).awaited = True

    def hurry(self, account: str, until: float) -> None:
        """Note that a message was stored for a session that may become available until this
        moment.
        """
        line = self.open.setdefault(account, Line())
        line.hurried_until = max(line.hurried_until, until)

    def is_hurried(self, account: str) -> bool:
        """Whether a session still may, or a message is being stored."""
        line = self.open.get(account)
        return line is not None and (line.writes > 0 or self._seconds() < line.hurried_until)

    def nobody_comes(self, account: str) -> None:
        """Note that the session which was awaited, or about to become available, has left."""
        line = self.open.get(account)
        if line is not None:
            line.awaited, line.hurried_until = False, UNKNOWN
            self._close_if_idle(account, line)
