"""PushTriggers: when somebody who does not look is told, and when not."""

from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure as Trouble

from xmppd.account.accounts import AccountRemoved
from xmppd.handler.presence_subscribe_handler import SubscriptionAsked
from xmppd.message.follower import Course, Follower, Followers, Remark, Sought
from xmppd.message.muting import Muting
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import SessionDetached, StanzaWaits
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionBound, SessionClosed
from xmppd.session.session_state import Put, SessionState
from xmppd.stanza import IQ, JID, StanzaError
from xmppd.stanza.fate import UnreadFate
from xmppd.store.errors import StoreError

from .notice import ASKED, SEEN, Notice, is_dismissed, notice_of
from .publisher import Publisher
from .registrations import Registration, device_of, want, wants_of

MAX_CACHED = 10_000
"""Accounts whose registrations are known without asking the store."""

MAX_TOLD = 50_000
"""Messages of which it is known that a service was told."""

REGISTERED = b"registered"

SAME_TURN_S = 0.005
"""What is delivered so soon after a message was followed may be a copy of it."""

_log = Logger()


class WatchedSession(Struct, eq=False):
    """A session whose client has yet to acknowledge a message.

    Attributes:
        registration: Its device's.
        notice: Of the last such message.
        last: When that came, by the steady clock.
        call: Looks whether they were acknowledged.
    """

    registration: Registration
    notice: Notice
    last: float
    call: IDelayedCall


class RegistrationsChanged(Struct, frozen=True):
    """Some registration of an account is another, for all nodes.

    Attributes:
        account: Bare JID.
    """

    account: str


class Announced(Struct, frozen=True):
    """Sessions of an account, at whichever nodes, may sleep over something.

    Attributes:
        account: Bare JID.
        notice: What it is.
        keys: Of the registrations whose devices have sessions.
    """

    account: str
    notice: Notice
    keys: tuple[bytes, ...]


class SeenElsewhere(Struct, frozen=True):
    """An account has seen its messages.

    Attributes:
        account: Bare JID.
    """

    account: str


class PushTriggers(Follower):
    """Decides which registrations are told of a message: at the node that decides about that, and
    for sessions at their own nodes (PN-1 to PN-3).

    Args:
        publisher: Tells their services.
        followers: Tell of the messages of accounts with registrations.
        routing_table: Knows the sessions of accounts.
        messages: Carry what nodes have to say to each other.
        muting: Knows what accounts do not want to be told of.

    Attributes:
        accounts: The bare JIDs of those that have registrations.
    """

    def __init__(
        self,
        publisher: Publisher,
        followers: Followers,
        routing_table: RoutingTable,
        messages: PluginMessages,
        muting: Muting,
    ) -> None:
        self.publisher = publisher
        self.registrations = publisher.registrations
        self.followers = followers
        self.routing_table = routing_table
        self.messages = messages
        self.muting = muting
        self.clock = publisher.requests.clock
        self.accounts: set[str] = set()
        self._changes = 0
        self._cached: OrderedDict[str, tuple[Registration, ...]] = OrderedDict()
        self._watched: dict[LocalClientSession, dict[bytes, WatchedSession]] = {}
        self._seeing: dict[str, bool] = {}  # and whether that is to be done once more
        self._told: set[int] = set()
        self._told_before: set[int] = set()

    # -- registrations -----------------------------------------------------------------------------

    async def load(self) -> None:
        """Find out which accounts have registrations, and which sessions are of their devices."""
        for account in await self.registrations.accounts():
            self.accounts.add(account)
            self.followers.watch(self, account)
        for session in self._sessions_here():
            await self.bound(SessionBound(session))

    def _sessions_here(self) -> list[LocalClientSession]:
        bound = self.routing_table.bound.values()
        return [session for session in bound if isinstance(session, LocalClientSession)]

    async def changed(self, account: str) -> None:
        """Have all nodes know that some registration of an account is another."""
        await self.messages.tell_all(JID.prepared(account), RegistrationsChanged(account))

    async def take_change(self, change: RegistrationsChanged) -> None:
        """Read the registrations of an account again."""
        account = change.account
        self._changes += 1
        self._cached.pop(account, None)
        found = await self.of(account)
        if found:
            self.accounts.add(account)
            self.followers.watch(self, account)
        else:
            self.accounts.discard(account)
            self.followers.unwatch(self, account)
        self._mark(account, found)

    async def of(self, account: str) -> tuple[Registration, ...]:
        """The registrations of an account."""
        cached = self._cached.get(account)
        if cached is None:
            changes = self._changes
            cached = await self.registrations.of(account)
            if changes == self._changes:  # else this may be what was there before
                self._cached[account] = cached
                if len(self._cached) > MAX_CACHED:
                    self._cached.popitem(last=False)
        return cached

    def _mark(self, account: str, registrations: Sequence[Registration]) -> None:
        """Let all nodes of an account know which of its sessions here are of devices with
        registrations (PN-2).
        """
        wanting = wants_of(registrations)
        for session in self.routing_table.sessions_here(account):
            mark = want(device_of(session))
            if (mark in wanting) != (mark in session.wants):
                self.routing_table.siblings.want(session, mark, wanted=mark in wanting)

    async def bound(self, event: SessionBound) -> None:
        """Find the registrations of a session's device."""
        account = event.session.jid.bare
        if account in self.accounts:
            self._mark(account, await self.of(account))

    def state(self) -> SessionState:
        """Whether a session is of a device with registrations, after a restart as well, and at
        another node.
        """

        def dump(session: LocalClientSession) -> bytes | None:
            return REGISTERED if want(device_of(session)) in session.wants else None

        def load(data: bytes) -> Put:
            if data != REGISTERED:
                raise ValueError("nobody knows whether its device has registrations")
            return self._restored

        return SessionState("push", dump, load)

    def _restored(self, session: LocalClientSession) -> None:
        mark = want(device_of(session))
        if mark not in session.wants:
            self.routing_table.siblings.want(session, mark, wanted=True)

    async def removed(self, event: AccountRemoved) -> None:
        """Forget an account that is gone."""
        if event.account.bare in self.accounts:
            await self.changed(event.account.bare)

    # -- messages ----------------------------------------------------------------------------------

    def follow(self, course: Course) -> None:
        account, sender = course.account, course.message.sender.bare
        if sender == account or course.is_sent:
            if course.fate.unread is UnreadFate.READ:
                self._start(self.see(account))
            return
        notice = notice_of(course, self.publisher.settings.include)
        if notice is not None:
            self._start(self.announce(account, notice, course))
        elif course.message.sender.local is None:
            self._start(self._dismiss(course))

    async def _dismiss(self, course: Course) -> None:
        """End registrations that their service does not want any more."""
        for registration in await self.of(course.account):
            if is_dismissed(course, registration):
                await self.publisher.end(registration, "the push service ended the registration")

    def asked(self, event: SubscriptionAsked) -> None:
        """Tell of a request to see an account's presence."""
        account = event.contact.bare
        if account in self.accounts:
            self._start(self.announce(account, ASKED))

    def waits(self, event: StanzaWaits) -> None:
        """Tell of a request that waits for a session that sleeps."""
        stanza, session = event.stanza, event.session
        account = session.jid.bare
        if (
            account in self.accounts
            and isinstance(stanza, IQ)
            and stanza.answerable
            and stanza.sender.local is not None
            and stanza.sender.bare != account
        ):
            self._start(self._wake(session, ASKED))

    async def _wake(self, session: LocalClientSession, notice: Notice) -> None:
        for registration in await self.of(session.jid.bare):
            if registration.want in session.wants:
                self.publisher.tell(registration, notice)

    async def announce(self, account: str, notice: Notice, course: Course | None = None) -> None:
        """Tell of something all registrations of an account that were not told of it before.

        Args:
            account: Bare JID.
            notice: What it is.
            course: Of the message that it is of; None if it is of none that is for the account.
        """
        found = await self.of(account)
        if course is not None and await self._is_muted(course):
            return
        if course is not None and course.is_again:
            found = tuple([each for each in found if not self._was_told(course, each)])
        await self._tell(account, found, notice, course)

    async def _is_muted(self, course: Course) -> bool:
        """Whether the account does not want to be told of a message (PN-8)."""
        muted = (await self.muting.of(course.account)).get(course.message.sender.bare)
        return muted is not None and muted.covers(course.tree, course.account)

    async def _tell(
        self,
        account: str,
        registrations: Sequence[Registration],
        notice: Notice,
        course: Course | None = None,
    ) -> None:
        """Tell the services of devices without a session at once; the others' sessions are looked
        at by their nodes (PN-3).
        """
        watching: list[bytes] = []
        elsewhere = False
        for registration in registrations:
            sessions = self._sessions(account, registration)
            if not sessions:
                self.publisher.tell(registration, notice)
            else:
                watching.append(registration.key)
                elsewhere = elsewhere or any(map(_is_elsewhere, sessions))
            if course is not None and not any(map(_forgets, sessions)):
                self._note_told(course, registration)
        announced = Announced(account, notice, tuple(watching))
        if elsewhere:
            await self.messages.tell(JID.prepared(account), announced)
        elif watching:
            await self.take(announced)

    def _sessions(self, account: str, registration: Registration) -> list[Session]:
        """The sessions of a registration's device, on all nodes."""
        mark, sessions = registration.want, self.routing_table.sessions(account)
        return [session for session in sessions if mark in session.wants]

    async def take(self, announced: Announced) -> None:
        """Look at the account's sessions here: to those that sleep it is told at once; those that
        are connected have to acknowledge it in time.
        """
        for registration in await self.of(announced.account):
            if registration.key in announced.keys:
                for session in self._sessions(announced.account, registration):
                    if isinstance(session, LocalClientSession):
                        self._look_at(session, registration, announced.notice)

    def _was_told(self, course: Course, registration: Registration) -> bool:
        """Whether a message that is followed again was told; one without an id is not known."""
        told = _subject(course, registration)
        return not course.message.id or told in self._told or told in self._told_before

    def _note_told(self, course: Course, registration: Registration) -> None:
        if len(self._told) >= MAX_TOLD // 2:
            self._told_before, self._told = self._told, set()
        self._told.add(_subject(course, registration))

    # -- sessions ----------------------------------------------------------------------------------

    def _look_at(
        self, session: LocalClientSession, registration: Registration, notice: Notice
    ) -> None:
        if session.detached:
            self.publisher.tell(registration, notice)
        elif session.management is not None and not notice.cleared:
            self._watch(session, registration, notice)

    def _watch(
        self, session: LocalClientSession, registration: Registration, notice: Notice
    ) -> None:
        theirs = self._watched.setdefault(session, {})
        now, key = self.clock.seconds(), registration.key
        watched = theirs.get(key)
        if watched is not None:
            watched.last, watched.notice = now, notice
            return
        unacked_s = self.publisher.settings.unacked_s
        call = self.clock.callLater(unacked_s, self._check, session, key)
        theirs[key] = WatchedSession(registration, notice, now, call)

    def _check(self, session: LocalClientSession, key: bytes) -> None:
        """Tell of a message that was not acknowledged in time; look again later if a newer one has
        time left.
        """
        watched = self._watched[session][key]
        oldest, late_at = oldest_unread(session), self.publisher.settings.unacked_s
        if oldest is None or oldest > watched.last + SAME_TURN_S:
            self._forget(session, key)
            return
        left_s = oldest + late_at - self.clock.seconds()
        if session.detached or session.closed or left_s <= 0:
            self._forget(session, key)
            self.publisher.tell(watched.registration, watched.notice)
        else:
            watched.call = self.clock.callLater(left_s, self._check, session, key)

    def _forget(self, session: LocalClientSession, key: bytes) -> None:
        theirs = self._watched[session]
        watched = theirs.pop(key)
        if watched.call.active():
            watched.call.cancel()
        if not theirs:
            del self._watched[session]

    def detached(self, event: SessionDetached) -> None:
        """Tell of what a session has not acknowledged, unless its client is back at once."""
        if event.session in self._watched:
            self.clock.callLater(0, self._fell_asleep, event.session)

    def _fell_asleep(self, session: LocalClientSession) -> None:
        if session.detached:
            self._check_all(session)

    def closed(self, event: SessionClosed) -> None:
        """Tell of what a session has not acknowledged, since it has ended; but not if its client
        goes on with it at another node.
        """
        if event.moved_to is None:
            self._check_all(event.session)
        else:
            self._forget_all(event.session)

    def _check_all(self, session: LocalClientSession) -> None:
        for key, watched in tuple(self._watched.get(session, {}).items()):
            watched.call.cancel()
            self._check(session, key)

    def _forget_all(self, session: LocalClientSession) -> None:
        for key in tuple(self._watched.get(session, {})):
            self._forget(session, key)

    # -- seen elsewhere ----------------------------------------------------------------------------

    async def see(self, account: str) -> None:
        """Tell nobody of what an account has seen by now, and clear what was told (PN-3); once at a
        time for an account, however often it says so.
        """
        if account not in self.accounts:
            return
        if account in self._seeing:
            self._seeing[account] = True
            return
        self._seeing[account] = True
        try:
            while self._seeing[account]:  # what was seen meanwhile is told with the next
                self._seeing[account] = False
                await self.messages.tell(JID.prepared(account), SeenElsewhere(account))
                await self._tell(account, await self.registrations.seen(account), SEEN)
        finally:
            del self._seeing[account]

    async def take_seen(self, seen: SeenElsewhere) -> None:
        """Forget what sessions here have not acknowledged, and what waits to be told."""
        for registration in await self.of(seen.account):
            self.publisher.forget(registration)
        for session in self.routing_table.sessions_here(seen.account):
            self._forget_all(session)

    def stop(self) -> None:
        """Tell nobody anything any more."""
        for session in tuple(self._watched):
            self._forget_all(session)
        self.publisher.stop()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that no message waits for."""
        Deferred.fromCoroutine(work).addErrback(_failed)

    async def explain(self, course: Course) -> Sequence[Remark]:
        if course.is_sent or course.message.sender.bare == course.account:
            return ()
        if notice_of(course, "nothing") is None:
            return ()
        if await self._is_muted(course):
            says = f"{course.account} has muted the conversation, so push services get nothing"
            return [Remark("muted", says, "PN-8")]
        return [self._remark(course.account, each) for each in await self.of(course.account)]

    async def locate(self, sought: Sought) -> Sequence[Remark]:
        remarks, account = [], sought.to.bare
        for each in await self.of(account) if account in self.accounts else ():
            told = _key(each, sought.sender.bare, sought.id)
            watching = [
                session.jid.full
                for session in self.routing_table.sessions_here(account)
                if each.key in self._watched.get(session, {})
            ]
            if watching:
                says = (
                    f"{each.service} gets a notification if {watching[0]} does not acknowledge "
                    "the message"
                )
                remarks.append(Remark("pushed_late", says, "PN-3"))
            elif told in self._told or told in self._told_before:
                says = f"{each.service} was notified, or the device acknowledged the message first"
                remarks.append(Remark("pushed", says, "PN-3"))
        return remarks

    def _remark(self, account: str, registration: Registration) -> Remark:
        service, sessions = registration.service, self._sessions(account, registration)
        if not sessions:
            return Remark(
                "pushed", f"{service} gets a notification, because a device is offline", "PN-3"
            )
        name = sessions[0].jid.full
        if isinstance(sessions[0], LocalClientSession) and sessions[0].detached:
            return Remark(
                "pushed",
                f"{service} gets a notification, because {name} is in the background",
                "PN-3",
            )
        late_s = self.publisher.settings.unacked_s
        says = (
            f"{service} gets a notification if {name} does not acknowledge the message within "
            f"{late_s:g} s"
        )
        return Remark("pushed_late", says, "PN-3")


def oldest_unread(session: LocalClientSession) -> float | None:
    """When the first stanza came that a session's client has not acknowledged, by the steady clock;
    news that wait because nobody looks do not count (CS-4). None if there is none.
    """
    management, backlog = session.management, session.backlog
    unread = [] if management is None else management.unacknowledged()
    if not unread and backlog is not None and backlog.full:
        unread = backlog.waiting()
    return unread[0][2] if unread else None


def _is_elsewhere(session: Session) -> bool:
    return not isinstance(session, LocalClientSession)


def _forgets(session: Session) -> bool:
    """Whether nobody can tell what a session's client has got (:xep:`0198`)."""
    return isinstance(session, LocalClientSession) and session.management is None


def _subject(course: Course, registration: Registration) -> int:
    """The key of a message that a registration was told of."""
    return _key(registration, course.message.sender.bare, course.message.id or "")


def _key(registration: Registration, sender: str, id: str) -> int:
    return hash((registration.account, registration.key, sender, id))


def _failed(failure: Trouble) -> None:
    """Log a bug, which costs a notification; failures of the store were logged."""
    if not failure.check(StoreError, StanzaError):
        _log.failure("a notification was not sent", failure)


__all__ = [
    "Announced",
    "PushTriggers",
    "RegistrationsChanged",
    "SeenElsewhere",
    "oldest_unread",
]
