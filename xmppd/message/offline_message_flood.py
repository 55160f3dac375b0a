"""OfflineMessageFlood: delivers stored messages to an available session, and forgets them when they
arrived.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from math import inf

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.stanzas import MessagesWait
from xmppd.cluster.node import Location
from xmppd.config.config import StreamSettings
from xmppd.host.clocks import UNKNOWN
from xmppd.message.lines import Lines
from xmppd.routing.lately import Lately
from xmppd.routing.requests import Requests
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import SessionResumed
from xmppd.session.session_manager import SessionClosed
from xmppd.stanza import IQ, JID, Later, Message, Stanza, ns
from xmppd.stanza.delay import Stored, note_stored, out_of_store
from xmppd.store.errors import StoreError
from xmppd.store.offline import OfflineMessage, OfflineStore
from xmppd.store.readable import set_aside, sift

MESSAGES_PER_SLICE = 50
BYTES_PER_SLICE = 65_536
"""Of stored messages, or one message: some 4 ms of reading in one turn (CH-8)."""

GRACE_S = 10.0
"""The time that a session with a resource may take to become available, after a message was stored
meanwhile, and still get that before later ones."""

_log = Logger()
_PING = f"<ping xmlns='{ns.PING}'/>".encode()


class OfflineMessageFlood:
    """Delivers offline messages with the first presence that wants them (:xep:`0160`, PU-14).

    They are deleted only when the client has acknowledged them, or answered a ping sent behind
    them: a client that answers has read all that came before. So a connection that dies halfway
    loses nothing. Messages that come for the account meanwhile go behind them, by the account's
    line.

    A node takes the messages that it gives to its sessions, so that however many resources come at
    once, on however many nodes, each message is given to one of them (ST-9).

    Attributes:
        lines: Of all accounts whose messages are being stored or read.
    """

    def __init__(
        self,
        store: OfflineStore,
        requests: Requests,
        next_turn: Callable[[], Awaitable[None]],
        settings: StreamSettings,
    ) -> None:
        self.store = store
        self.requests = requests
        self.next_turn = next_turn
        self.routing_table = requests.routing_table
        self._takes = self.routing_table.directory.shared
        self.settings = settings
        self.lines = Lines(requests.clock.seconds)
        self._lately_stored = Lately[str](requests.clock.seconds)
        self._given: dict[str, dict[LocalClientSession, set[int]]] = {}
        self._dry: set[LocalClientSession] = set()
        self._cut_short: set[str] = set()
        self._taken: set[str] = set()  # accounts with messages taken that no session has got yet

    def use(self, settings: StreamSettings) -> None:
        """Take another time to wait for an answer, from the next ping on."""
        self.settings = settings

    def expect(self, session: LocalClientSession) -> None:
        """Note that a session is available: before it was flooded it gets no later messages."""
        if not session.flooded and session.account is not None and _wants(session):
            self.lines.await_flood(session.account.bare)

    def flood(self, session: LocalClientSession) -> Later:
        """Flood a session whose priority is not negative, once for as long as it is available.

        A message that one resource was given is given to no other while that may answer.
        """
        if session.flooded or session.account is None or session.priority < 0:
            return None
        return self.in_turn(session.account)

    async def in_turn(
        self, account: JID, work: Callable[[], object] | None = None, *, passes: bool = False
    ) -> None:
        """Flood sessions that have become available, behind messages that are being stored or read.

        Args:
            account: Of these sessions.
            work: Called then, before any later message.
            passes: Whether another node has said so, and may wait for it.
        """
        turn = self.lines.join(account.bare, passes=passes)
        if turn is not None:
            await turn
        holder = self.lines.open[account.bare].holder
        try:
            await self.catch_up(account)
            if work is not None:
                work()
        finally:
            self.lines.leave(account.bare, holder)

    async def when_stored(
        self, account: JID, work: Callable[[], Awaitable[None]], *, passes: bool = False
    ) -> None:
        """Call a function when all messages that came for the account until now have been stored;
        later ones wait until it has returned.

        Args:
            account: The account.
            work: What is called.
            passes: Whether another node has asked for it, and may wait for it.
        """
        bare = account.bare
        turn = self.lines.join(bare, passes=passes)
        if turn is not None:
            await turn
        holder = self.lines.open[bare].holder
        try:
            if self.lines.open[bare].writes:
                await self.lines.written(bare)
            await work()
        finally:
            self.lines.leave(bare, holder)

    async def catch_up(self, account: JID) -> None:
        """Flood sessions that have become available and were not flooded yet. The caller has the
        turn.
        """
        bare = account.bare
        finished = False
        while not finished:
            newcomers = [
                session
                for session in self.routing_table.available_here(bare)
                if not (session.flooded or session.closed or session.priority < 0)
            ]
            if not newcomers:
                break
            for each in newcomers:
                each.flooded = True
            if self.lines.open[bare].writes:
                await self.lines.written(bare)
            try:
                first = await (
                    self._take(bare)
                    if self._takes
                    else self.store.offline_messages(bare, limit=MESSAGES_PER_SLICE)
                )
                finished = not first or await self._give_all(first, newcomers, account)
            except StoreError:
                self._dry.update(newcomers)
                finished = True
            self.lines.open[bare].hurried_until = UNKNOWN
        self.lines.open[bare].awaited = False
        if bare in self._taken and bare not in self._cut_short:
            await self._give_back(account)  # since nobody here gets it

    def storing(self, account: JID) -> None:
        """Note that a message is about to be stored: no session has got all of them."""
        here = self.routing_table.available_here(account.bare)
        for session in here:
            session.flooded = False
        if not here:
            self._hurry(account.bare)

    async def stored(self, account: JID) -> None:
        """Flood sessions that have become available while a message was stored, at this node."""
        await self._flood_or_wait(account)

    async def tell_of_stored(self, account: JID) -> None:
        """Tell the other nodes that a message was stored: a session may have become available there
        meanwhile.
        """
        here = self.routing_table.available_here(account.bare)
        if not any(map(_wants, here)):
            self._lately_stored.note(account.bare)
            await self.tell_others((account.bare,))

    async def wait_here(self, account: JID) -> None:
        """Flood sessions here, since another node has stored messages or given them back."""
        self.storing(account)
        await self._flood_or_wait(account, passes=True)

    async def tell_others(self, accounts: Collection[str], *, again: bool = False) -> None:
        """Tell the other nodes of accounts that messages wait (CL-51).

        Args:
            accounts: Bare JIDs.
            again: Whether another node has told us, so that they are told for the last time.
        """
        table = self.routing_table
        try:
            nodes = await table.directory.nodes_of(accounts)
        except DirectoryAway:  # whoever has a session of theirs knows it without
            everywhere = tuple(Location(node.id, 0) for node in table.membership.nodes.values())
            nodes = dict.fromkeys(accounts, everywhere)
        for account, locations in nodes.items():
            for node, _ in locations:
                table.bus.tell(node, MessagesWait(account, again))

    async def after_loss(self) -> None:
        """Tell the other nodes again of messages that were stored lately: the directory may have
        lost who was there, and nobody had noticed (CL-140).
        """
        accounts = self._lately_stored.all()
        if accounts:
            await self.tell_others(accounts)

    async def _flood_or_wait(self, account: JID, *, passes: bool = False) -> None:
        """Flood sessions here, or wait for those that may be about to become available."""
        if self.routing_table.available_here(account.bare):
            await self.in_turn(account, passes=passes)
            return
        until = self.requests.clock.seconds() + GRACE_S
        for session in self.routing_table.sessions(account.bare):
            session.awaited_until = session.awaited_until or until
        self._hurry(account.bare)

    def _hurry(self, account: str) -> None:
        """Note that sessions, wherever they are, may be about to become available. Each is waited
        for once: else others could have everything stored that is for a session which never does.
        """
        now = self.requests.clock.seconds()
        for session in self.routing_table.sessions(account):
            until = session.awaited_until or now + GRACE_S
            if now < until:
                self.lines.hurry(account, until)

    def holds_back(self, to: JID) -> bool:
        """Whether a resource is about to become available, and has yet to be given earlier
        messages.
        """
        session = self.routing_table.bound.get(to.full)
        return (
            session is not None
            and session.presence is None
            and self.lines.is_hurried(to.bare)
            and self.requests.clock.seconds() < (session.awaited_until or inf)
        )

    # -- giving -----------------------------------------------------------------------------------

    async def _give_all(
        self, first: list[OfflineMessage], newcomers: list[LocalClientSession], account: JID
    ) -> bool:
        """Give all stored messages to one of the sessions that are still here, a slice in each
        turn.

        Args:
            first: The oldest of the stored messages.
            newcomers: The sessions that were not flooded yet.
            account: Of these sessions.

        Returns:
            False if it has left meanwhile, and others may have all of it at once.
        """
        bare = account.bare
        session: LocalClientSession | None = None
        ids: list[int] = []
        try:
            async for few in self._slices(first, bare):
                session = session or _chosen(newcomers)
                if session is None or session.closed:
                    for each in newcomers:
                        each.flooded = False
                    return session is None or self._is_cut_short(session, bare)
                messages, damaged = sift(few, _read)
                if damaged:
                    await set_aside(self.store, bare, damaged)
                ids += self._give(messages, session, bare)
            return True
        finally:
            if session is not None and ids and not session.closed:
                self._ask(session, account, ids)

    async def _slices(
        self, stored: list[OfflineMessage], account: str
    ) -> AsyncIterator[list[OfflineMessage]]:
        """The stored messages, in order: in each turn as many as it has time for."""
        begun = False
        while stored:
            for few in _sliced(stored):
                if begun:
                    await self.next_turn()
                begun = True
                yield few
            stored = await self.store.offline_messages(
                account, holder=self._node, after=stored[-1].id, limit=MESSAGES_PER_SLICE
            )
        self._taken.discard(account)  # a session has got all

    @property
    def _node(self) -> str:
        """Whose the messages are that sessions here are given; nobody's if there is no other."""
        return str(self.routing_table.membership.id)

    async def _take(self, account: str) -> list[OfflineMessage]:
        """Take the messages that wait; returns the first of them."""
        self._taken.add(account)
        first = await self.store.take_offline(account, self._node, limit=MESSAGES_PER_SLICE)
        if not first:
            self._taken.discard(account)
        return first

    async def _give_back(self, account: JID) -> None:
        """Give back what was taken and no session here has got, and have the sessions at other
        nodes take it. The caller has the turn.
        """
        bare = account.bare
        given = set[int]().union(*self._given.get(bare, {}).values())
        try:
            await self.store.give_back(bare, self._node, kept=given)
        except StoreError:
            return  # the next sweep tries it again
        self._taken.discard(bare)
        await self.tell_others((bare,))

    def _is_cut_short(self, session: LocalClientSession, account: str) -> bool:
        """Whether the rest has to wait until it is known which of the first ones have arrived."""
        if session not in self._given.get(account, {}):
            return False
        self._cut_short.add(account)
        return True

    def _give(
        self,
        messages: Iterable[tuple[int, Message]],
        session: LocalClientSession,
        account: str,
    ) -> list[int]:
        """Give messages to a session, except those that another resource may have."""
        given = self._given.setdefault(account, {})
        taken = set[int]().union(*given.values())
        ids = []
        for id, message in messages:
            if id in taken:
                continue
            having = self._having(message, session)
            if having is None:
                session.deliver(message, message.wire())
                ids.append(id)
            else:
                _note_stored(having, message.payload.origin, id)
                given.setdefault(having, set()).add(id)
                self._ask(having, JID.prepared(account), [id])
        if ids:
            given.setdefault(session, set()).update(ids)
        elif not given:
            del self._given[account]
        return ids

    def _having(self, message: Message, session: LocalClientSession) -> LocalClientSession | None:
        """The session here that has had a stored message by another way, since a node was lost
        (CL-53); if there is none, this session is noted to have it.
        """
        origin, origins = message.payload.origin, self.routing_table.origins
        if not origin:
            return None
        for other in self.routing_table.sessions_here(session.jid.bare):
            if origins.has_had(origin, other):
                return other
        origins.is_new(origin, session)
        return None

    def _ask(self, session: LocalClientSession, account: JID, ids: list[int]) -> None:
        server = JID.parse(account.domain)
        timeout_s = self.settings.ping_timeout_s
        if session.management is not None:  # its ping waits with the messages for it to come back
            timeout_s += session.management.max_s
        answer = self.requests.ask(session.jid, server, _PING, timeout_s=timeout_s)
        answer.addCallback(self._answered, session, account, ids)

    def _answered(
        self, answer: IQ | None, session: LocalClientSession, account: JID, ids: list[int]
    ) -> None:
        still_given = self._still_given(session, account).intersection(ids)
        if still_given:
            self._settle(session, account, still_given if answer else (), still_given)

    # -- afterwards -------------------------------------------------------------------------------

    def given(self, session: LocalClientSession) -> Collection[int]:
        """The messages that a session was flooded with and has not acknowledged yet, if it ever
        does.
        """
        if session.management is None or session.account is None:
            return ()
        return self._still_given(session, session.account)

    def acknowledged(self, session: LocalClientSession, stanzas: Sequence[Stanza]) -> None:
        """Forget those of the acknowledged messages that a client was flooded with."""
        if session.account is None or session.account.bare not in self._given:
            return
        numbers = {each.payload.kept.number for each in stanzas if isinstance(each.payload, Stored)}
        arrived = numbers & self._still_given(session, session.account)
        if arrived:
            self._settle(session, session.account, arrived, arrived)

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that has ended, whose answer is not waited for any more."""
        session = event.session
        self._dry.discard(session)
        if session.account is None:
            return
        bare = session.account.bare
        if bare in self.lines.open and not self.routing_table.sessions(bare):
            self.lines.nobody_comes(bare)
        given = self._still_given(session, session.account)
        if given and event.moved_to is not None:
            self._settle(session, session.account, (), set(given))  # what it has is not stored
        elif given:
            unread = {
                stanza.payload.kept.number
                for stanza, _, _ in session.unread()
                if isinstance(stanza.payload, Stored)
            }
            arrived = set() if session.management is None else given - unread
            self._settle(session, session.account, arrived, set(given))

    def resumed(self, event: SessionResumed) -> Later:
        """Flood a session that was resumed, if messages were stored while it was detached."""
        return self.flood(event.session)

    def sweep(self) -> None:
        """Flood sessions whose messages could not be read when they came, and give back those that
        could not be given back, since the store failed.
        """
        dry, self._dry = self._dry, set()
        for session in dry:
            session.flooded = False
        again = {session.account.bare: session.account for session in dry if session.account}
        again |= {bare: JID.prepared(bare) for bare in self._taken - self._cut_short}
        for account in again.values():
            Deferred.fromCoroutine(self.in_turn(account)).addErrback(self._failed, account)

    def _still_given(self, session: LocalClientSession, account: JID) -> set[int]:
        return self._given.get(account.bare, {}).get(session, set())

    def _settle(
        self,
        session: LocalClientSession,
        account: JID,
        arrived: Collection[int],
        given: Collection[int],
    ) -> None:
        """Forget the messages that have arrived, of those that a session was given; the others stay
        stored, for another resource or another day.
        """
        work = Deferred.fromCoroutine(self._forget(session, account, arrived, given))
        work.addErrback(self._failed, account)

    async def _forget(
        self,
        session: LocalClientSession,
        account: JID,
        arrived: Collection[int],
        given: Collection[int],
    ) -> None:
        try:
            if arrived:
                await self.store.delete_offline(account.bare, arrived)
        finally:
            self._take_from(session, account, given)
        here = self.routing_table.available_here(account.bare)
        others = [each for each in here if each is not session]
        missed = account.bare in self._cut_short
        self._cut_short.discard(account.bare)
        if missed or len(arrived) < len(given):
            if self._takes:
                self._taken.add(account.bare)
            for other in others:
                other.flooded = False
            if others or account.bare in self._taken:
                await self.in_turn(account)

    def _take_from(self, session: LocalClientSession, account: JID, given: Collection[int]) -> None:
        by_session = self._given.get(account.bare, {})
        rest = by_session.get(session, set())
        rest.difference_update(given)
        if not rest:
            by_session.pop(session, None)
        if not by_session:
            self._given.pop(account.bare, None)

    def _failed(self, failure: Failure, account: JID) -> None:
        if not failure.check(StoreError):  # which the store has logged
            _log.failure(
                "messages of {account} could not be delivered from the store",
                failure,
                account=account,
            )


def _note_stored(session: LocalClientSession, origin: str, id: int) -> None:
    """Note that a message which a session may still have to acknowledge is a stored one: should it
    end before, that waits for another.
    """
    for stanza, _, _ in session.unread():
        if isinstance(stanza, Message) and stanza.payload.origin == origin:
            note_stored(stanza, id)


def _read(message: OfflineMessage) -> tuple[int, Message]:
    stored = out_of_store(message.stanza, message.id)
    stored.payload.origin = message.origin
    return message.id, stored


def _sliced(messages: Iterable[OfflineMessage]) -> Iterator[list[OfflineMessage]]:
    """Slices, each of as many messages as one turn has time for."""
    few: list[OfflineMessage] = []
    size_bytes = 0
    for message in messages:
        if few and size_bytes + len(message.stanza) > BYTES_PER_SLICE:
            yield few
            few, size_bytes = [], 0
        few.append(message)
        size_bytes += len(message.stanza)
    if few:
        yield few


def _chosen(sessions: Iterable[LocalClientSession]) -> LocalClientSession | None:
    """A session that is still here, preferably not a detached one; None if none is."""
    still_here = sorted(filter(_wants, sessions), key=lambda each: each.detached)
    return still_here[0] if still_here else None


def _wants(session: LocalClientSession) -> bool:
    return session.presence is not None and session.priority >= 0 and not session.closed
