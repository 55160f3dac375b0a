"""Followers: they are told of each message of an account, at its sender's or its recipient's
end.
"""

from collections.abc import Awaitable, Collection, Coroutine, Sequence
from typing import Any, ClassVar, NamedTuple

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.events import Undo
from xmppd.message.decision import ELSEWHERE, MATCH, Cell, Decision
from xmppd.message.worth import fate
from xmppd.session.session import Session
from xmppd.stanza import JID, Later, Message, Tree
from xmppd.stanza.copy_count import Copies
from xmppd.stanza.fate import Fate
from xmppd.store.errors import StoreError

ON_ITS_WAY = Decision(Cell.HANDED_ON, ELSEWHERE)
"""The decision about a message as its sender's end sees it, whatever its addressee."""

ANSWERED = Decision(Cell.DELIVERED, MATCH)
"""The decision about an error by which the server answers."""

_log = Logger()


class Course(Struct, eq=False, weakref=True):
    """The course of one message, at one of its ends: the same object when it is prepared and when
    it is followed. If the message is bounced meanwhile, or all its sessions have just ended, it is
    not followed; so a follower that remembers something between the two does that in a
    ``WeakKeyDictionary``.

    Attributes:
        message: As this end has it; a follower that prepares it may put another one here, with the
            same addresses.
        tree: Of the message, to look at: only its bytes are kept with it.
        account: The account at this end, a bare JID of ours.
        decision: About the message.
        is_sent: Whether this is the sender's end, and not that of the account it is for.
        got: The sessions of the account that it was delivered to.
        copies: The count of the account's sessions that have it; a follower that delivers another
            copy adds it. None if no session has it that could give it back (SE-12).
    """

    message: Message
    tree: Tree
    account: str
    decision: Decision
    is_sent: bool = False
    got: tuple[Session, ...] = ()
    copies: Copies | None = None

    @property
    def fate(self) -> Fate:
        """What becomes of it beside its delivery: each follower reads its column (AR-7)."""
        return self.message.payload.fate or fate(self.message, self.tree)

    @property
    def is_again(self) -> bool:
        """Whether this end has followed the message before: a session had it, and gave it back
        when it ended (SE-12).
        """
        return self.message.payload.again


class Remark(NamedTuple):
    """A sentence of a follower about a message that is explained.

    Attributes:
        code: Its name for programs.
        says: The sentence, without its full stop.
        rule: Its rule, where that is written; empty for a mere fact.
    """

    code: str
    says: str
    rule: str = ""


class Sought(NamedTuple):
    """A message that was sent, and that an administrator looks for.

    Attributes:
        sender: Who has sent it; with a resource or without.
        to: The account that it is for.
        id: That its sender has given it.
    """

    sender: JID
    to: JID
    id: str

    def is_it(self, message: Message) -> bool:
        """Whether it is this message."""
        sender = message.sender
        return message.id == self.id and self.sender.full in (sender.bare, sender.full)


class Follower:
    """Follows messages of accounts, and is not asked for others.

    A message is followed at two ends: that of the account that sends it, as soon as its own list
    lets it out, and that of the account it is for. One to the own account has the latter only. No
    follower is asked about a message that is bounced, nor a second time at the sender's end when a
    session gives back a message that it had not read (SE-12). Nothing here waits but
    :meth:`room` and :meth:`secure`.

    Attributes:
        of_all: Whether it follows the messages of all accounts; else those that it names by
            :meth:`Followers.watch`.
    """

    of_all: ClassVar[bool] = False

    def room(self) -> Later:
        """Wait until it has room for another message, before one is accepted from its sender; None
        if it has.

        Raises:
            StoreError: It has none, and the sender is told to try again.
        """
        return None

    def prepare(self, course: Course) -> None:
        """Look at a message before it is delivered, stored or copied; its bytes may be changed.

        Raises:
            StoreError: It has to be stored, and cannot be: it is accepted by nobody.
        """

    def follow(self, course: Course) -> None:
        """Follow a message: at its sender's end it is on its way, at the recipient's it was
        delivered, stored or dropped.
        """

    def secure(self, account: str) -> Later:
        """Store what it has yet to store of messages that an account has sent: only then is a
        client of the account told that they were handled (:xep:`0198`).

        Returns:
            Something to wait for; None if all is stored.

        Raises:
            StoreError: It cannot be stored now. It is asked again, and the client is told later.
        """
        return None

    async def explain(self, course: Course) -> Sequence[Remark]:
        """Say what it would do with a message that was not sent, and do nothing.

        It is asked about every message that is explained, of any account; ``got`` are the sessions
        that would get it.
        """
        return ()

    async def locate(self, sought: Sought) -> Sequence[Remark]:
        """Say what it knows of a message that was sent: where it is, and what became of it."""
        return ()


class AccountFollowers(NamedTuple):
    """The followers of an account.

    Attributes:
        preparing: Those of them that prepare messages.
        following: Those that follow them.
        securing: Those that store something of them.
        limiting: Those that may have no room for another message.
    """

    preparing: tuple[Follower, ...]
    following: tuple[Follower, ...]
    securing: tuple[Follower, ...]
    limiting: tuple[Follower, ...]


class Followers:
    """The place of followers, and for each account those that are asked.

    Args:
        domains: Ours.

    Attributes:
        of_all: The followers of the messages of every account; None if there are none.
        of: The followers of an account by its bare JID: those of all, and its own. Only
            accounts that some follower watches are in it, so that for any other a message costs
            one look-up, however many followers there are.
    """

    def __init__(self, domains: Collection[str]) -> None:
        self.domains = domains
        self.of_all: AccountFollowers | None = None
        self.of: dict[str, AccountFollowers] = {}
        self._owners: dict[Follower, str] = {}
        self._watched: dict[Follower, set[str]] = {}

    def put(self, part: Follower, owner: str) -> Undo:
        """Add a follower behind all others; returns a function that takes it out again."""
        self._owners[part] = owner
        self._refresh()

        def take_out() -> None:
            del self._owners[part]
            self._watched.pop(part, None)
            self._refresh()

        return take_out

    def watch(self, follower: Follower, account: str) -> None:
        """Let it follow the messages of an account, a bare JID, as well."""
        watched = self._watched.setdefault(follower, set())
        if account not in watched:
            watched.add(account)
            self._refresh_account(account)

    def unwatch(self, follower: Follower, account: str) -> None:
        """Let it follow them no more."""
        watched = self._watched.get(follower, set())
        if account in watched:
            watched.remove(account)
            self._refresh_account(account)

    def _refresh(self) -> None:
        self.of_all = _asked([each for each in self._owners if each.of_all])
        for account in set(self.of).union(*self._watched.values()):
            self._refresh_account(account)

    def _refresh_account(self, account: str) -> None:
        named = {each for each, accounts in self._watched.items() if account in accounts}
        asked = _asked([each for each in self._owners if each.of_all or each in named])
        if asked is None or named.isdisjoint(self._owners):
            self.of.pop(account, None)
        else:
            self.of[account] = asked

    def all(self) -> tuple[Follower, ...]:
        """All followers, in the order in which they are asked."""
        return tuple(self._owners)

    # -- the way of a message ---------------------------------------------------------------------

    def sent(self, message: Message, asked: AccountFollowers) -> None:
        """Tell the followers of its sender's account that a message is on its way."""
        sender, to = message.sender, message.to
        ours = sender.domain in self.domains and sender.local is not None
        if ours and to is not None and to.bare != sender.bare:
            course = Course(message, message.payload.tree, sender.bare, ON_ITS_WAY, True)
            if asked.preparing:
                self.prepare(course, asked)
            self.follow(course, asked)

    def answered(self, error: Message) -> None:
        """Tell the followers of its sender's account that the server has answered a message with an
        error.
        """
        to = error.to
        asked = None if to is None else self.of.get(to.bare, self.of_all)
        if to is None or asked is None or to.local is None or to.domain not in self.domains:
            return
        course = Course(error, error.payload.tree, to.bare, ANSWERED)
        self.prepare(course, asked)
        self.follow(course, asked)

    def room(self, asked: AccountFollowers) -> Later:
        """Wait until each follower has room for another message; None if each has.

        Raises:
            StoreError: One has none.
        """
        for follower in asked.limiting:
            later = follower.room()
            if later is not None:
                return later
        return None

    def prepare(self, course: Course, asked: AccountFollowers) -> None:
        """Let each follower prepare it.

        Raises:
            StoreError: It is accepted by nobody.
        """
        for follower in asked.preparing:
            try:
                follower.prepare(course)
            except StoreError:
                raise
            except Exception:
                self._failed(follower, course)

    def follow(self, course: Course, asked: AccountFollowers) -> None:
        """Let each follower follow it."""
        for follower in asked.following:
            try:
                follower.follow(course)
            except Exception:
                self._failed(follower, course)

    def secure(self, account: str) -> Later:
        """Have each follower of an account, a bare JID, store what the account has sent."""
        asked = self.of.get(account, self.of_all)
        if asked is None or not asked.securing:
            return None
        waiting: list[Coroutine[Any, Any, None]] = []
        for follower in asked.securing:
            try:
                later = follower.secure(account)
            except Exception as error:
                later = _failing(error)
            if later is not None:
                waiting.append(self._stored(follower, later))
        if len(waiting) == 1:
            return waiting[0]
        return self._all_stored(waiting) if waiting else None

    async def _stored(self, follower: Follower, later: Awaitable[None]) -> None:
        """Wait until a follower has stored what it has to; a bug of it keeps no client waiting."""
        try:
            await later
        except StoreError:
            raise
        except Exception:
            owner = self._owners.get(follower, "a plugin that was taken out")
            _log.failure("{owner} failed to store messages", owner=owner)

    async def _all_stored(self, waiting: list[Coroutine[Any, Any, None]]) -> None:
        """Wait for all of them, also if one fails."""
        error: StoreError | None = None
        for work in [Deferred.fromCoroutine(each) for each in waiting]:
            try:
                await work
            except StoreError as failure:
                error = failure
        if error is not None:
            raise error

    async def explain(self, course: Course) -> list[Remark]:
        """The remarks of each follower about a message that was not sent."""
        remarks: list[Remark] = []
        for follower in self.all():
            try:
                remarks += await follower.explain(course)
            except Exception:
                self._failed(follower, course)
        return remarks

    async def locate(self, sought: Sought) -> list[Remark]:
        """What each follower knows of a message that was sent."""
        remarks: list[Remark] = []
        for follower in self.all():
            try:
                remarks += await follower.locate(sought)
            except Exception:
                owner = self._owners.get(follower, "a plugin that was taken out")
                _log.failure("{owner} failed to look for a message", owner=owner)
        return remarks

    def _failed(self, follower: Follower, course: Course) -> None:
        """Log the failure of a follower, which costs no message."""
        owner = self._owners.get(follower, "a plugin that was taken out")
        _log.failure("{owner} failed on {message}", owner=owner, message=course.message)


async def _failing(error: Exception) -> None:
    raise error


def _asked(followers: Sequence[Follower]) -> AccountFollowers | None:
    """The followers that have something to do; None if there are none."""
    if not followers:
        return None
    return AccountFollowers(
        tuple(each for each in followers if type(each).prepare is not Follower.prepare),
        tuple(each for each in followers if type(each).follow is not Follower.follow),
        tuple(each for each in followers if type(each).secure is not Follower.secure),
        tuple(each for each in followers if type(each).room is not Follower.room),
    )
