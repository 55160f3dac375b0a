"""SavedSessions: saved when the server stops, restored when it starts (RS-9)."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from secrets import token_hex
from typing import NamedTuple, Protocol

from msgspec import MsgspecError, Struct, msgpack
from twisted.logger import Logger

from xmppd.auth.login import Login
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId
from xmppd.events import OWNER, Undo
from xmppd.host.clocks import UNKNOWN, Note
from xmppd.session.backlog import Backlog, Waiting
from xmppd.session.detached import Detached
from xmppd.session.interceptor_manager import KINDS
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import ResumableSessions
from xmppd.session.session_state import Put, SessionState
from xmppd.session.stream_management import WRAP, StreamManagement
from xmppd.stanza import JID, Message, Presence, Stanza
from xmppd.stanza.copy_count import Copies, CopiesElsewhere
from xmppd.stanza.delay import Stamped, Stored, as_stamped
from xmppd.stanza.stanza import capabilities
from xmppd.store.errors import StoreError
from xmppd.store.kind import Fragment
from xmppd.store.readable import readable
from xmppd.store.sessions import SavedSession, SessionStore

_KINDS = {kind.name.encode(): kind for kind in KINDS}
_log = Logger()


class SavedStanza(Struct, array_like=True):
    """A stanza that the client has not got.

    Attributes:
        wire: Its bytes.
        came: Its time, in seconds since 1970; None if that is not known.
        addressed: Whether it was for this session, and not for several.
        stamped: Whether it has a delay stamp.
        copies: If other sessions of the account have it: a number that all of those have in common,
            and their count.
        counted_at: The node that knows them by this number, if the session is saved for another
            one; empty if all that have it are saved together.
    """

    wire: bytes
    came: float | None
    addressed: bool
    stamped: bool
    copies: tuple[int, int] | None
    counted_at: str = ""


class Queue(Struct, frozen=True):
    """The stanzas that others have sent to a session.

    Attributes:
        jid: Full JID.
        unacknowledged: The stanzas that the client was sent.
        waiting: The stanzas that it was not sent yet.
    """

    jid: str
    unacknowledged: list[SavedStanza]
    waiting: list[SavedStanza]


class Positions(Struct, frozen=True):
    """The positions of a queue's stanzas.

    Attributes:
        positions: For each of the unacknowledged stanzas the ``h`` that covers it.
    """

    positions: list[int]


class Shell(Queue, frozen=True):
    """A session without its queue.

    Attributes:
        saved: The time of that.
        left_s: The time for which it may be resumed from then on.
        presence: Its last available presence.
        positions: For each of the unacknowledged stanzas the ``h`` that covers it.
        outstanding: The number that was sent behind the last one that was acknowledged.
        state: The states of parts of the server, by their names.
        login: How its client logged in.
    """

    since: float
    address: str
    encrypted: bool
    capabilities: tuple[str, str, str, int] | None
    interested: bool
    flooded: bool
    settled: bool
    presence: bytes | None
    saved: Note
    left_s: float
    max_s: float
    handled: int
    sent: int
    positions: list[int]
    outstanding: int
    state: dict[str, bytes]
    login: Login | None = None


Placed = tuple[int, Waiting]
"""A stanza of a queue, and its position there."""


@dataclass(frozen=True, slots=True)
class _Queued(Fragment):
    """A stanza of a saved session's queue.

    Attributes:
        saved: As it was saved.
        jid: Full JID of the session.
        position: The count of handled stanzas by which its client has it; 0 if it was not sent.
    """

    saved: SavedStanza
    jid: JID
    position: int


class _Whole(NamedTuple):
    """A session that can go on.

    Attributes:
        shell: As it was saved.
        jid: Full JID.
        presence: Its last available presence.
        puts: Put the states of parts of the server on it.
    """

    shell: Shell
    jid: JID
    presence: Presence | None
    puts: list[Put]


class Lost(NamedTuple):
    """A session that cannot go on, since something of it cannot be read.

    Attributes:
        key: The key by which it could be resumed.
        jid: Its full JID.
        unread: The stanzas it had not read when it was saved; with each the count of handled ones
            by which its client has it, 0 if it was not sent.
    """

    key: bytes
    jid: JID
    unread: list[Placed]


class CountsCopies(Protocol):
    """Names the counts of an account's sessions that have a message (CL-15)."""

    def number(self, copies: Copies) -> None:
        """Give a count a number, by which other nodes may speak of it."""

    def elsewhere(self, account: str, node: NodeId, number: int) -> Copies:
        """The count of a message that another node has decided about."""

    def get(self, number: int) -> Copies | None:
        """The count of this number; None if it is not known any more."""


class SavedSessions:
    """Saves sessions, and restores them.

    Args:
        store: Keeps them.
        membership: Tells which node this is: each saves its own.
        resumable_sessions: Those that can be resumed.
        read_account: Reads the roster and lists of an account, which are in memory while it is
            online.
        given: The offline messages that a session was given, and that are still in the store.

    Attributes:
        copy_counts: Names the counts of messages in a session that is saved for another node; None
            on a single node.
    """

    copy_counts: CountsCopies | None = None

    def __init__(
        self,
        store: SessionStore,
        membership: Membership,
        resumable_sessions: ResumableSessions,
        read_account: Callable[[JID], Awaitable[None]],
        given: Callable[[LocalClientSession], Collection[int]],
    ) -> None:
        self.store = store
        self.membership = membership
        self.sessions = resumable_sessions.sessions
        self.resumable_sessions = resumable_sessions
        self.clocks = resumable_sessions.clocks
        self.read_account = read_account
        self.given = given
        self._states: dict[str, tuple[SessionState, str]] = {}
        self._started = False
        self._copies: dict[tuple[str, int], Copies] = {}

    def put(self, part: SessionState, owner: str) -> Undo:
        """Save this state of each session, too. What is known of them when it is taken out, they
        keep for the next one of its name.

        Raises:
            ValueError: Something is saved under this name already.
        """
        if part.name in self._states:
            raise ValueError(f"{part.name} is taken")
        self._states[part.name] = part, owner
        for session in tuple(self.sessions.sessions.values()):
            data = session.unclaimed.pop(part.name, None) if session.unclaimed else None
            if data is not None:
                self._loaded(part.name, data)(session)

        def take_out() -> None:
            for session in tuple(self.sessions.sessions.values()):
                data = self._dumped(part.name, session) if session.bound else None
                if data is not None:
                    session.unclaimed = {**(session.unclaimed or {}), part.name: data}
            del self._states[part.name]

        return take_out

    # -- when the server stops --------------------------------------------------------------------

    async def save(self) -> None:
        """Save every session that may be resumed; all are detached by now. A server that never
        started has none, and leaves saved ones as they are. A session that cannot be saved is
        logged.
        """
        if not self._started:
            return
        saved: list[SavedSession] = []
        theirs: dict[str, list[int]] = {}
        for session in self.resumable_sessions.resumable():
            management = session.management
            if management is not None and management.key is not None:
                data = msgpack.encode(self._shell(session, management))
                saved.append(SavedSession(management.key, session.jid.bare, data))
                theirs.setdefault(session.jid.bare, []).extend(self.out_of_store(session))
        try:
            await self.store.save_sessions(str(self.membership.id), saved, theirs=theirs)
        except StoreError:
            if not saved:
                return
            unread = sum(
                len(list(session.unread())) for session in self.resumable_sessions.resumable()
            )
            _log.error(
                "sessions that were not saved: {count}, unacknowledged stanzas: {unread}; messages "
                "that the server acknowledged to their senders still arrive",
                count=len(saved), unread=unread,
            )  # fmt: skip
            return
        if saved:
            _log.info("saved sessions: {count}", count=len(saved))

    def saved_one(self, session: LocalClientSession, key: bytes) -> SavedSession:
        """A detached session as it is saved for another node, while this one goes on."""
        assert session.management is not None, "it can be resumed"
        shell = self._shell(session, session.management, goes_on=True)
        return SavedSession(key, session.jid.bare, msgpack.encode(shell), str(self.membership.id))

    def out_of_store(self, session: LocalClientSession) -> set[int]:
        """The offline messages that a session has, which belong to it from now on."""
        payloads = (stanza.payload for stanza, _, _ in session.unread())
        unread = {payload.kept.number for payload in payloads if isinstance(payload, Stored)}
        return unread.union(self.given(session))

    def _shell(
        self,
        session: LocalClientSession,
        management: StreamManagement,
        *,
        goes_on: bool = False,
    ) -> Shell:
        states = ((name, self._dumped(name, session)) for name in self._states)
        backlog, known = session.backlog, session.capabilities
        return Shell(
            jid=session.jid.full,
            since=session.since,
            address=session.connection.address,
            encrypted=session.connection.encrypted,
            capabilities=(
                None if known is None else (known.node, known.ver, known.hash, known.edition)
            ),
            interested=session.interested,
            flooded=session.flooded,
            settled=session.settled,
            presence=None if session.presence is None else session.presence.wire(),
            saved=self.clocks.note(),
            left_s=self.resumable_sessions.left_s(session),
            max_s=management.max_s,
            handled=management.handled,
            sent=management.sent,
            unacknowledged=self._saved(management.unacknowledged(), goes_on=goes_on),
            positions=management.positions(),
            outstanding=management.outstanding,
            waiting=[] if backlog is None else self._saved(backlog.waiting(), goes_on=goes_on),
            state={name: data for name, data in states if data is not None}
            | (session.unclaimed or {}),
            login=session.login,
        )

    def _dumped(self, name: str, session: LocalClientSession) -> bytes | None:
        part, owner = self._states[name]
        try:
            return part.dump(session)
        except Exception:
            if owner == OWNER:
                raise
            _failed(name, owner)
            return None

    # -- when it starts ---------------------------------------------------------------------------

    async def load(self) -> list[Lost]:
        """Restore the sessions of an orderly stop, detached, for the time that they have left.

        The saved copies stay in the store, and belong to this node.

        Returns:
            The sessions that cannot go on, as far as they can be read.
        """
        lost: list[Lost] = []
        count = 0
        node = str(self.membership.id)
        former = {each for each in await self.store.nodes() if self.membership.is_heir_of(each)}
        await self.store.adopt_sessions(node, former - {node})
        sessions = await self.store.saved_sessions(node)
        while sessions:
            count += len(sessions)
            for saved in sessions:
                lost += await self._take_up(saved)
            sessions = await self.store.saved_sessions(node, after=sessions[-1].key)
        self._copies.clear()
        self._started = True
        if count:
            _log.info("restored sessions: {count}", count=count - len(lost))
        return lost

    async def take(
        self, key: bytes, account: JID, offered_by: NodeId | None = None
    ) -> list[Lost] | None:
        """Restore one session that a node which is gone has saved, detached.

        Args:
            key: Of the session.
            account: Whose it must be (RS-6).
            offered_by: A node that has it, and gives it to this one.

        Returns:
            The session, if it cannot go on, as far as it can be read; None if there is none, or
            another node was faster.
        """
        saved = await self.store.saved_session(key)
        if saved is None or saved.account != account.bare:
            return None
        if offered_by is not None:
            if saved.node != str(offered_by):
                return None  # it has been taken back, or by yet another one
            if not await self.store.take_session(saved, str(self.membership.id)):
                return None
        else:
            if not self.is_gone(saved.node):
                await self.membership.refresh()  # it may have left a moment ago
            if not await self._is_ours_now(saved):
                return None
        lost = await self._take_up(saved)
        self._copies.clear()
        return lost

    async def give_up(self, node: str) -> list[Lost] | None:
        """Read some of the sessions that a node has saved which is gone and will not come back; no
        other node takes these up any more.

        Returns:
            These, as far as they can be read; None if none are left, or others do the same.
        """
        page = await self.store.saved_sessions(node)
        ours = [saved for saved in page if await self._is_ours_now(saved)]
        lost = [each for saved in ours for each in await self._read_queue(saved)]
        self._copies.clear()
        return lost if ours else None

    def is_gone(self, node: str) -> bool:
        """Whether a node that has saved sessions is neither this one nor in."""
        try:
            return node != str(self.membership.id) and not self.membership.is_in(NodeId.parse(node))
        except ValueError:
            return True  # no node is called so

    async def _is_ours_now(self, saved: SavedSession) -> bool:
        """Have a session be this node's, unless its own one is in, or another was faster."""
        here = str(self.membership.id)
        return self.is_gone(saved.node) and await self.store.take_session(saved, here)

    async def _take_up(self, saved: SavedSession) -> list[Lost]:
        """Restore a session, or return it as far as it can be read."""
        wholes = await readable(self.store, saved.account, [saved], self._whole)
        if not wholes:
            return await self._read_queue(saved)
        for queue, jid in await readable(self.store, saved.account, [saved], _queue_of):
            unacknowledged, waiting = await self._stanzas(saved, queue, jid, instead=_nothing)
            await self._restore(saved.key, wholes[0], unacknowledged, waiting)
        return []

    async def _read_queue(self, saved: SavedSession) -> list[Lost]:
        """A session that cannot go on, with what can be read of its queue."""
        lost = []
        for queue, jid in await readable(self.store, saved.account, [saved], _queue_of):
            unacknowledged, waiting = await self._stanzas(saved, queue, jid)
            lost.append(Lost(saved.key, jid, [*unacknowledged, *waiting]))
        return lost

    async def _stanzas(
        self,
        saved: SavedSession,
        queue: Queue,
        jid: JID,
        instead: Callable[[_Queued], Placed] | None = None,
    ) -> tuple[list[Placed], list[Placed]]:
        """The stanzas of a queue that can be read: those that were sent, and those that were not.

        Args:
            saved: The session.
            queue: Of this session.
            jid: Its address.
            instead: Makes a placeholder for one that was sent and cannot be read.
        """
        account = saved.account
        sent = _queued(queue.unacknowledged, jid, _positions_of(saved))
        unsent = _queued(queue.waiting, jid)
        return (
            await readable(self.store, account, sent, self._placed, instead=instead),
            await readable(self.store, account, unsent, self._placed),
        )

    async def _restore(
        self, key: bytes, whole: _Whole, unacknowledged: list[Placed], waiting: list[Placed]
    ) -> None:
        shell, jid, presence, puts = whole
        unclaimed = {name: data for name, data in shell.state.items() if name not in self._states}
        session = LocalClientSession(
            token_hex(8), jid, NOBODY, self.sessions.interceptors, shell.since
        )
        session.account = jid.to_bare()
        session.bound = True
        if shell.capabilities is not None:
            session.capabilities = capabilities(*shell.capabilities)
        session.login = shell.login
        session.interested = shell.interested
        session.flooded = shell.flooded
        session.settled = shell.settled
        session.unclaimed = unclaimed or None
        if presence is not None:
            session.presence = presence
            session.presence_around_to = presence.around_to()
            session.priority = presence.priority
            presence.payload.forget_trees()
        session.backlog = Backlog()
        for _, (stanza, wire, came) in waiting:
            session.backlog.add(stanza, wire, came=came)
        management = StreamManagement(
            self.resumable_sessions.settings, self.clocks.seconds, key=key, max_s=shell.max_s
        )
        management.restore(
            [each for _, each in unacknowledged],
            shell.positions,
            handled=shell.handled,
            sent=shell.sent,
            outstanding=shell.outstanding,
        )
        self.sessions.restore(session)
        self.resumable_sessions.restore(
            session,
            management,
            shell.address,
            encrypted=shell.encrypted,
            left_s=shell.left_s - self.clocks.since_s(shell.saved),
        )
        await self.read_account(session.account)
        for put in puts:
            put(session)

    def _whole(self, saved: SavedSession) -> _Whole:
        """The parts of a session that it cannot go on without: all but the stanzas of its queue.

        Raises:
            ValueError: Something of it cannot be read, or makes no sense; a part of the server may
                raise another error.
        """
        shell = msgpack.decode(saved.data, type=Shell)
        jid = _address(shell.jid, saved)
        if not all(map(isfinite, (shell.since, *shell.saved[:2], shell.left_s, shell.max_s))):
            raise ValueError("the times are invalid")
        if not (0 <= shell.handled < WRAP and 0 <= shell.sent < WRAP):
            raise ValueError("the counters are invalid")
        if len(shell.positions) != len(shell.unacknowledged) or not 0 <= shell.outstanding < WRAP:
            raise ValueError("nobody knows what its client has acknowledged")
        presence = None if shell.presence is None else Presence.from_bytes(shell.presence)
        if presence is not None:
            _check(presence)
        known = [name for name in shell.state if name in self._states]
        puts = [self._loaded(name, shell.state[name]) for name in known]
        return _Whole(shell, jid, presence, puts)

    def _loaded(self, name: str, data: bytes) -> Put:
        """A function that puts a saved state on a session; a plugin's that fails puts nothing
        there.
        """
        part, owner = self._states[name]
        if owner == OWNER:
            return part.load(data)

        def put(session: LocalClientSession) -> None:
            try:
                load(session)
            except Exception:
                _failed(name, owner)

        try:
            load = part.load(data)
        except Exception:
            _failed(name, owner)
            return lambda session: None
        return put

    # -- its stanzas ------------------------------------------------------------------------------

    def _saved(self, waiting: Iterable[Waiting], *, goes_on: bool) -> list[SavedStanza]:
        saved = []
        for stanza, wire, came in waiting:
            copies, counted_at = stanza.payload.copies, ""
            if copies is not None and goes_on and self.copy_counts is not None:
                counted_at = self.counted_at(copies)
            saved.append(
                SavedStanza(
                    wire,
                    None if came == UNKNOWN else self.clocks.stamp(came),
                    addressed=stanza.to is not None,
                    stamped=isinstance(stanza.payload, Stamped),
                    copies=(copies.number, 1) if copies and counted_at else _saved_copies(copies),
                    counted_at=counted_at,
                )
            )
        return saved

    def counted_at(self, copies: Copies) -> str:
        """The node that knows a count by its number."""
        if isinstance(copies, CopiesElsewhere):
            return str(copies.node)
        if not copies.number and self.copy_counts is not None:
            self.copy_counts.number(copies)
        return str(self.membership.id)

    def counted(self, account: str, number: int, counted_at: str) -> Copies | None:
        """The count that a node knows by a number.

        Raises:
            ValueError: No node is called so.
        """
        node = NodeId.parse(counted_at)
        if self.copy_counts is None:
            return None
        if node == self.membership.id:
            return self.copy_counts.get(number)
        return self.copy_counts.elsewhere(account, node, number)

    def _placed(self, queued: _Queued) -> Placed:
        """A stanza that waited.

        Raises:
            ValueError: It cannot be read.
        """
        saved = queued.saved
        kind = _KINDS[saved.wire[1 : saved.wire.index(b" ")]]
        stanza: Stanza = kind.from_bytes(saved.wire)
        if isinstance(stanza, Message) and saved.stamped:
            stanza = as_stamped(stanza)
        if not saved.addressed:
            stanza = stanza.for_several()
        if saved.copies is not None and saved.counted_at:
            number, _ = saved.copies
            stanza.payload.copies = self.counted(queued.jid.bare, number, saved.counted_at)
        elif saved.copies is not None:
            number, left = saved.copies
            copies = self._copies.setdefault((queued.jid.bare, number), Copies("", left))
            copies.account = queued.jid.bare
            stanza.payload.copies = copies
        stanza.payload.forget_trees()
        if saved.came is not None and not isfinite(saved.came):
            raise ValueError("the time is invalid")
        came = UNKNOWN if saved.came is None else self.clocks.moment(saved.came)
        return queued.position, (stanza, saved.wire, came)


def _nobody_to_close() -> None:
    """Do nothing: a session that is being restored cannot be given up yet."""


NOBODY = Detached("", 0, 0.0, lambda: 0.0, _nobody_to_close, encrypted=False)
"""The connection of a session that is being restored, until it is detached again."""


def _saved_copies(copies: Copies | None) -> tuple[int, int] | None:
    return None if copies is None else (id(copies), copies.left)


def _positions_of(saved: SavedSession) -> list[int]:
    """The positions of the unacknowledged stanzas; none if they cannot be read."""
    try:
        return msgpack.decode(saved.data, type=Positions).positions
    except MsgspecError:
        return []


def _queued(saved: Sequence[SavedStanza], jid: JID, positions: Sequence[int] = ()) -> list[_Queued]:
    if len(positions) != len(saved):
        positions = [0] * len(saved)  # they were not sent, or that is unknown
    return [
        _Queued("stanza of a saved session", jid.full, each.wire, each, jid, position)
        for each, position in zip(saved, positions, strict=True)
    ]


def _nothing(queued: _Queued) -> Placed:
    """The placeholder of a stanza that was sent, since its client may have counted it."""
    empty = Message.make(queued.jid, JID.parse(queued.jid.domain), type="headline")
    return queued.position, (empty, empty.wire(), UNKNOWN)


def _queue_of(saved: SavedSession) -> tuple[Queue, JID]:
    """The queue and the address of a session, whatever else of it cannot be read.

    Raises:
        ValueError: Not even these can be read.
    """
    queue = msgpack.decode(saved.data, type=Queue)
    return queue, _address(queue.jid, saved)


def _address(text: str, saved: SavedSession) -> JID:
    jid = JID.parse(text)
    if jid.resource is None or jid.bare != saved.account:
        raise ValueError("the stanza is not for the account")
    return jid


def _failed(name: str, owner: str) -> None:
    _log.failure("{owner} failed on the state {name} of a session", owner=owner, name=name)


def _check(presence: Presence) -> None:
    """Whether a presence may be that of a session.

    Raises:
        ValueError: It is not an available one, or has an invalid priority.
    """
    if presence.type is not None or not -128 <= presence.priority <= 127:
        raise ValueError("the presence is not available presence")
