"""Locations: the places in the directory of the sessions that are here."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.bus import ask_all
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.directory import (
    AccountClosed,
    DirectoryAway,
    Entered,
    ResourceTaken,
    TooManySessions,
)
from xmppd.cluster.entries.accounts import (
    DetachedSession,
    LeftBehind,
    LongestDetached,
    SessionsThere,
    Unbind,
    WhoIsThere,
)
from xmppd.cluster.node import Location, NodeId
from xmppd.events import OWNER, Events, On
from xmppd.routing.lately import Lately
from xmppd.routing.siblings import MEET_S, Siblings
from xmppd.session.local_client_session import LocalClientSession, longest_detached
from xmppd.session.remote_session import RemoteSession
from xmppd.session.session_manager import (
    REPLACED,
    SessionClosed,
    SessionManager,
    renamed,
    taken,
    too_many,
)
from xmppd.stanza import JID, Condition, Later, StanzaError, StreamCondition, StreamError

PATIENCE_S = 10.0
"""The time for which a login waits for a directory that does not answer."""

LATE_S = 60.0
"""The time in which a node that has not answered in time still may, before it is asked again."""

RETRY_S = 1.0

COMPARED_PER_S = 0.01 / 60
"""The part of all sessions here that is compared with the directory in a second."""

MAX_UNTIDY = 100_000
"""Accounts of which a place could not be given back. Beyond these the oldest is forgotten."""

MAKES_ROOM = StreamError(
    StreamCondition.CONFLICT,
    "ended to make way for a new session of the account (sessions.max_per_account)",
)
_log = Logger()
CLOSED = StreamError(StreamCondition.RESET, "the account has just been changed; log in again")


class Locations:
    """Enters sessions in the directory before anything of their account is read, and gives their
    places back when they end (CL-21, CL-22).

    Args:
        cluster: The directory, and the way to other nodes.
        siblings: The other sessions of accounts.
        sessions: Those that are here.
        events: Tell of sessions that end.
        clock: Tells for how long a login has waited.

    Attributes:
        disagreements: How often the directory had another place for a session here, or none.
        on_reentered: Called with a session that the directory had lost, and has entered anew: other
            nodes may have taken it for gone, so it greets anew.
    """

    def __init__(
        self,
        cluster: Cluster,
        siblings: Siblings,
        sessions: SessionManager,
        events: Events,
        clock: IReactorTime,
    ) -> None:
        self.membership = cluster.membership
        self.id = cluster.membership.id
        self.directory = cluster.directory
        self.bus = cluster.bus
        self.siblings = siblings
        self.sessions = sessions
        self.clock = clock
        self.disagreements = 0
        self.on_reentered: Callable[[LocalClientSession], Later] = _nothing_to_do
        self._lately_entered = Lately[LocalClientSession](clock.seconds)
        self._lately_left = Lately[str](clock.seconds)
        self._entered: dict[LocalClientSession, JID] = {}
        self._void: dict[str, dict[str, int]] = {}
        self._leaving: dict[str, set[Deferred[None]]] = {}
        self._untidy: dict[str, None] = {}
        self._unentered: dict[LocalClientSession, None] = {}
        self._unmet: dict[LocalClientSession, None] = {}
        self._tidying: Deferred[None] | None = None
        self._to_compare: list[str] = []
        self._compared_at = clock.seconds()
        if self.directory.shared:
            events.put(On(SessionClosed, self.closed), OWNER)

    # -- a login ----------------------------------------------------------------------------------

    def enter(
        self, session: LocalClientSession, jid: JID, device: str = ""
    ) -> Awaitable[JID] | None:
        """Enter a session that is about to be bound, and meet its siblings.

        Its login is under way until :meth:`settle` is called, whatever comes of this.

        Args:
            session: Authenticated, not yet bound.
            jid: The full JID that its client asked for.
            device: The id of its client, if sessions that this has left behind are to end.

        Returns:
            Something to wait for that gives the full JID which it may have; None on a single node,
            where the SessionManager decides that. It fails with a StanzaError:
            RESOURCE_CONSTRAINT if the account has as many sessions as it may, or the directory does
            not answer; CONFLICT if another session has the JID and keeps it; NOT_AUTHORIZED if the
            session has ended meanwhile.
        """
        if not self.directory.shared:
            return None
        self.siblings.arriving[jid.bare] += 1
        return self._enter(session, jid, device)

    async def _enter(self, session: LocalClientSession, wanted: JID, device: str) -> JID:
        await self.left(wanted.bare)
        jid, entered = await self._decided(session, wanted, device)
        session.serial = entered.serial
        self._entered[session] = jid
        self._lately_entered.note(session)
        nodes = self._nodes(entered.others)
        asking = []
        replaced = entered.others.get(jid.resource or "")
        if replaced is not None:
            asking.append(self._unbind(replaced, jid.full, REPLACED))
        if self._is_void(jid, session.serial):
            session.connection.close(REPLACED)
        else:
            asking.append(self._meet_in_time(session, jid, nodes))
            if device:
                asking.append(self._end_left_behind(nodes, jid.bare, device))
        for work in [Deferred.fromCoroutine(each) for each in asking]:
            await work
        if session.closed:
            raise StanzaError(Condition.NOT_AUTHORIZED)
        return jid

    async def _decided(
        self, session: LocalClientSession, jid: JID, device: str
    ) -> tuple[JID, Entered]:
        """The directory's decision, and the JID that it is about."""
        settings = self.sessions.settings
        until = self.clock.seconds() + PATIENCE_S
        while not session.closed:
            try:
                return jid, await self.directory.enter(
                    jid, conflict=settings.conflict, max_sessions=settings.max_per_account
                )
            except DirectoryAway as error:
                self._tidy_later(jid.bare)
                if self.clock.seconds() + RETRY_S > until:
                    raise StanzaError(
                        Condition.RESOURCE_CONSTRAINT,
                        "your other sessions could not be found; try again later",
                    ) from error
                await deferLater(self.clock, RETRY_S)
            except AccountClosed as error:
                session.connection.close(CLOSED)
                raise StanzaError(Condition.NOT_AUTHORIZED) from error
            except (ResourceTaken, TooManySessions) as error:
                if device:
                    nodes = self._nodes(places_of(error))
                    await self._end_left_behind(nodes, jid.bare, device)
                    device = ""
                elif isinstance(error, TooManySessions):
                    await self._make_room(jid.bare, error)
                elif self._has_nobody(jid, error.holder):
                    await self._give_back(jid, error.holder.serial)
                elif settings.conflict == "rename":
                    jid = renamed(jid)
                else:
                    raise taken() from error
        raise StanzaError(Condition.NOT_AUTHORIZED)

    def _nodes(self, places: Mapping[str, Location]) -> list[NodeId]:
        """The other nodes with these sessions of an account; all, if the directory may not have all
        of its sessions just now.
        """
        nodes = dict.fromkeys(location.node for location in places.values())
        if not self.membership.complete:
            nodes.update(dict.fromkeys(self._everybody()))
        nodes.pop(self.id, None)
        return list(nodes)

    def _has_nobody(self, jid: JID, location: Location) -> bool:
        """Whether a place is that of an earlier attempt of this login, whose answer was lost."""
        return self.siblings.arriving[jid.bare] == 1 and self._is_unknown(jid, location)

    def _is_unknown(self, jid: JID, location: Location) -> bool:
        """Whether a place is at this node, and no session here is known to have it."""
        here = self.sessions.local_sessions(jid.bare)
        return location.node == self.id and all(each.serial != location.serial for each in here)

    async def _end_left_behind(self, nodes: Iterable[NodeId], account: str, device: str) -> None:
        """Have sessions end on other nodes that a client has left behind (LI-5)."""
        await ask_all(self.bus, nodes, LeftBehind(account, device), MEET_S)

    async def _make_room(self, account: str, error: TooManySessions) -> None:
        """End the session of an account that has been detached longest, wherever it is (RS-8).

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: none is detached.
        """
        answers = await ask_all(
            self.bus, self._nodes(error.others), LongestDetached(account), MEET_S
        )
        answers[self.id] = self.longest_detached(account)
        found = [(answer, node) for node, answer in answers.items()
                 if isinstance(answer, DetachedSession)]  # fmt: skip
        if not found:
            raise too_many(self.sessions.settings.max_per_account) from error
        longest, node = max(found, key=lambda each: each[0].for_s)
        await self._unbind(Location(node, longest.serial), longest.session, MAKES_ROOM)

    def longest_detached(self, account: str) -> DetachedSession | None:
        """The session here that has been detached longest; None if none is detached."""
        session = longest_detached(self.sessions.local_sessions(account))
        if session is None:
            return None
        return DetachedSession(session.jid.full, session.serial, session.connection.silent_s)

    async def _unbind(self, location: Location, full: str, error: StreamError) -> None:
        """End a session, here or on another node, and wait until its place is free; 2 s at most."""
        if location.node == self.id:
            await self.end(full, location.serial, error)
            return
        entry = Unbind(full, location.serial, error.condition.value, error.text or "")
        await ask_all(self.bus, (location.node,), entry, MEET_S)

    async def end(self, full: str, serial: int, error: StreamError) -> None:
        """End the session of a JID that was entered then, and any earlier one.

        One whose place is not known here yet is no session either, when that is known (CL-21).
        """
        bare = full.partition("/")[0]
        self._note_void(bare, full, serial)
        self.siblings.table.note_left(bare, serial)
        arriving = [session for session, jid in self._entered.items() if jid.full == full]
        bound = self.sessions.local_sessions(bare)
        for session in (*arriving, *[each for each in bound if each.jid.full == full]):
            if session.serial <= serial:
                session.connection.close(error)
        await self.left(bare)

    def _note_void(self, account: str, full: str, serial: int) -> None:
        """Note that a place is no session's, for answers about this account under way."""
        if self.siblings.arriving[account]:
            void = self._void.setdefault(account, {})
            void[full] = max(serial, void.get(full, 0))

    def _is_void(self, jid: JID, serial: int) -> bool:
        return serial <= self._void.get(jid.bare, {}).get(jid.full, 0)

    def settle(self, session: LocalClientSession) -> None:
        """Note that a login is over: its session can be reached from now on, or its place is given
        back.
        """
        jid = self._entered.pop(session, None)
        assert session.account is not None, "it has logged in"
        bare = session.account.bare
        self._over(bare)
        if jid is not None and not session.bound:
            self._unentered.pop(session, None)
            self._leave(jid, session.serial)
        elif jid is not None and session.id in self.sessions.sessions:
            self.siblings.settle(session)
            if session in self._unentered:
                self.sweep()
        self.siblings.forget_absent(bare)

    def _over(self, account: str) -> None:
        """Note that nothing is asked for one of the account's sessions any more."""
        self.siblings.arriving[account] -= 1
        if not self.siblings.arriving[account]:
            del self.siblings.arriving[account]
            self._void.pop(account, None)

    # -- a session --------------------------------------------------------------------------------

    def closed(self, event: SessionClosed) -> None:
        """Give back the place of a session that has ended; that of one which goes on at another
        node is not here any more.
        """
        self._unentered.pop(event.session, None)
        self._unmet.pop(event.session, None)
        if event.moved_to is None:
            self._leave(event.session.jid, event.session.serial)
        else:
            self._tidy_later(event.session.jid.bare)  # it may not be known there that it has moved
            self.siblings.forget_absent(event.session.jid.bare)

    async def restore(self, session: LocalClientSession) -> None:
        """Enter a session of before a restart, which nobody is told of, and let it meet its
        siblings; one whose place is another's by now ends. If the directory does not answer, that
        is done later.
        """
        if not self.directory.shared:
            return
        try:
            await self.reassert(session)
            await self._meet(session)
        except DirectoryAway:
            self._unentered[session] = None
            return
        self._unentered.pop(session, None)

    async def _meet_in_time(
        self, session: LocalClientSession, jid: JID, nodes: Collection[NodeId]
    ) -> None:
        """Let a session meet its siblings before its login goes on, or later those that do not
        answer in time (CL-141).
        """
        if not await self.siblings.meet(session, jid, nodes, MEET_S):
            Deferred.fromCoroutine(self._meet_late(session, jid, nodes))  # it never fails

    async def _meet_late(
        self, session: LocalClientSession, jid: JID, nodes: Collection[NodeId]
    ) -> None:
        if await self.siblings.meet(session, jid, nodes, LATE_S):
            self.siblings.has_met_late(jid.bare)
        elif not session.closed:
            self._unmet[session] = None

    async def _meet(self, session: LocalClientSession) -> None:
        """Let a session meet its siblings, as the directory knows them just now."""
        others = await self.directory.sessions_of(session.jid.bare)
        nodes = self._nodes(others)
        if nodes and session.id in self.sessions.sessions:
            meeting = self._meet_late(session, session.jid, nodes)
            Deferred.fromCoroutine(meeting)  # it never fails
            self.siblings.settle(session)

    def after_loss(self) -> None:
        """Do again what was done lately, since the directory may have lost what it knew, and nobody
        had noticed (CL-140): sessions meet siblings that they were not told of, and places that
        were given back may be there again.
        """
        for account in self._lately_left.all():
            self._tidy_later(account)
        for session in self._lately_entered.all():
            if session.bound and session.id in self.sessions.sessions:
                self._unmet[session] = None
        self.sweep()

    @contextmanager
    def arriving(self, account: str) -> Iterator[None]:
        """While a session of an account is about to be here: this node is told what others change
        of it (CL-44).
        """
        self.siblings.arriving[account] += 1
        try:
            yield
        finally:
            self._over(account)
            self.siblings.forget_absent(account)

    async def move_here(self, session: LocalClientSession, former: NodeId) -> None:
        """Have a session that was at another node be at this one, with its serial. If the directory
        does not answer, that is done later; if the place is another's, the session ends.
        """
        place = Location(former, session.serial)
        try:
            is_here = await self.directory.move(session.jid, place)
            session.moving = False
            if not is_here:
                await self.reassert(session)
        except DirectoryAway:
            session.moving = False
            self._unentered[session] = None

    async def meet(self, session: LocalClientSession) -> None:
        """Let a session that has moved here meet its siblings."""
        try:
            others = await self.directory.sessions_of(session.jid.bare)
        except DirectoryAway:
            others = {str(id): Location(id, 0) for id in self._everybody()}
        await self._meet_in_time(session, session.jid, self._nodes(others))
        if session.id in self.sessions.sessions:
            self.siblings.settle(session)

    def _everybody(self) -> Iterator[NodeId]:
        return (node.id for node in self.membership.nodes.values())

    async def reassert(self, session: LocalClientSession, *, rebuild: bool = False) -> None:
        """Say again that a session is here (CL-25): the directory may have lost it, or another node
        may have replaced it and died before it could say so.

        A session whose place is another's ends.

        Args:
            session: Bound here.
            rebuild: Whether the directory was empty.

        Raises:
            DirectoryAway: The directory does not answer.
        """
        if session.moving:
            return  # who has it is being found out
        if not session.bound:
            self._unentered[session] = None  # done as soon as its login is over
            return
        jid, before = session.jid, session.serial
        self.siblings.arriving[jid.bare] += 1
        try:
            entered = await self.directory.reassert(jid, before, rebuild=rebuild)
            is_void = self._is_void(jid, entered.serial)
        except ResourceTaken as error:
            self._is_refused(session, error.holder)
            return
        except DirectoryAway:
            self._tidy_later(jid.bare)  # it may have another place by now, which is not known here
            raise
        finally:
            self._over(jid.bare)
        replaced = entered.others.get(jid.resource or "")
        if replaced is not None:
            await self._unbind(replaced, jid.full, REPLACED)
        if session.id not in self.sessions.sessions:
            self._leave(jid, entered.serial)
        elif is_void:
            session.connection.close(REPLACED)
        elif entered.serial != before:
            await self._reentered(session, entered.serial)

    def _is_refused(self, session: LocalClientSession, holder: Location) -> None:
        """End a session whose place is another's; it may also be its own, by an answer that was
        lost, or that of a login under way, which ends it.
        """
        self.disagreements += 1
        if self._is_unknown(session.jid, holder):
            self._tidy_later(session.jid.bare)
        else:
            session.connection.close(REPLACED)

    async def _reentered(self, session: LocalClientSession, serial: int) -> None:
        """Note the new place of a session here."""
        before, session.serial = session.serial, serial
        self.siblings.tell(session)
        if before:
            self.disagreements += 1
            later = self.on_reentered(session)
            if later is not None:
                await later

    async def look(self, account: str) -> tuple[RemoteSession, ...]:
        """The sessions of an account on other nodes, as these describe them just now; later changes
        are not told. A node that does not answer has none.

        Raises:
            DirectoryAway: The directory does not answer.
        """
        nodes = self._nodes(await self.directory.sessions_of(account))
        answers = await ask_all(self.bus, nodes, WhoIsThere(account), MEET_S)
        return tuple(
            RemoteSession.described(Location(node, each.serial), self.bus, each)
            for node, answer in answers.items()
            if isinstance(answer, SessionsThere)
            for each in answer.sessions
        )

    # -- places that are given back ---------------------------------------------------------------

    def _leave(self, jid: JID, serial: int) -> None:
        """Give a place back, if it is still that of this session (CL-22)."""
        self.siblings.part(jid, serial)
        self._lately_left.note(jid.bare)
        leaving = Deferred.fromCoroutine(self._give_back(jid, serial))
        if not leaving.called:
            self._leaving.setdefault(jid.bare, set()).add(leaving)
            leaving.addBoth(self._gone, jid.bare, leaving)

    async def _give_back(self, jid: JID, serial: int) -> None:
        try:
            await self.directory.leave(jid, serial)
        except DirectoryAway:
            self._tidy_later(jid.bare)

    def _gone(self, _: object, account: str, leaving: Deferred[None]) -> None:
        under_way = self._leaving[account]
        under_way.discard(leaving)
        if not under_way:
            del self._leaving[account]

    async def left(self, account: str) -> None:
        """Wait until the places of the account's sessions that have ended here are free."""
        for leaving in tuple(self._leaving.get(account, ())):
            await leaving

    def _tidy_later(self, account: str) -> None:
        """Look later for places of the account here that no session has."""
        self._untidy.pop(account, None)
        if len(self._untidy) >= MAX_UNTIDY:
            del self._untidy[next(iter(self._untidy))]
        self._untidy[account] = None

    def sweep(self) -> None:
        """See to it that the directory has what is here: places that could not be given back, or
        entered, in time, and some of all sessions, so that in the end each is looked at (CL-25).
        """
        if self.directory.shared and self._tidying is None:
            self._tidying = Deferred.fromCoroutine(self._tidy_all())
            self._tidying.addErrback(_failed).addBoth(self._tidied)

    async def _tidy_all(self) -> None:
        with suppress(DirectoryAway):
            for account in tuple(self._untidy):
                await self.tidy(account)
            for session in tuple(self._unentered):
                if session.bound:
                    await self.restore(session)
            for session in tuple(self._unmet):
                if session.bound:
                    await self._meet(session)
                    self._unmet.pop(session, None)
            for session in self._some():
                await self.reassert(session)

    def _tidied(self, _: object) -> None:
        self._tidying = None

    def _some(self) -> list[LocalClientSession]:
        """The next sessions that are compared with the directory: a hundredth of all in a minute,
        and one at least.
        """
        sessions, now = self.sessions.sessions, self.clock.seconds()
        count = max(1, ceil(len(sessions) * COMPARED_PER_S * (now - self._compared_at)))
        self._compared_at = now
        if not self._to_compare:
            self._to_compare = list(sessions)
        some = [sessions.get(id) for id in self._to_compare[-count:]]
        del self._to_compare[-count:]
        return [session for session in some if session is not None and session.serial]

    async def tidy(self, account: str) -> None:
        """Give back places of an account here that no session has. A session whose place is another
        one than is known here has that from now on: an answer was lost.

        Raises:
            DirectoryAway: The directory does not answer.
        """
        places = await self.directory.sessions_of(account)
        if self.siblings.arriving[account]:
            return  # it may have a place that is not known here yet
        here = {each.jid.resource: each for each in self.sessions.local_sessions(account)}
        for resource, location in places.items():
            session = here.get(resource)
            if location.node != self.id or (session and session.serial == location.serial):
                continue
            if session is not None and not session.moving and session.serial < location.serial:
                await self._reentered(session, location.serial)
            else:
                await self.directory.leave(JID.prepared(f"{account}/{resource}"), location.serial)
        self._untidy.pop(account, None)


def places_of(refusal: ResourceTaken | TooManySessions) -> Mapping[str, Location]:
    """The sessions for which the directory refuses another one."""
    return refusal.others if isinstance(refusal, TooManySessions) else {"": refusal.holder}


def _failed(failure: Failure) -> None:
    _log.failure("the directory could not be maintained", failure)


def _nothing_to_do(session: LocalClientSession) -> None:
    """Do nothing: nobody has to hear of it."""


__all__ = ["Locations"]
