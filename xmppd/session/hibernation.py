"""Sessions that outlive the server: saved when it stops, taken up when it starts (RS-9)."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from secrets import token_hex
from typing import NamedTuple

from msgspec import Struct, msgpack
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.clocks import UNKNOWN, Clocks, Note
from xmppd.session.away import Away
from xmppd.session.backlog import Backlog, Waiting
from xmppd.session.interceptor_manager import KINDS
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.session.session_state import SessionState
from xmppd.session.sleepers import Sleepers
from xmppd.session.stream_management import StreamManagement
from xmppd.stanza import JID, Message, Presence, Stanza
from xmppd.stanza.delay import Stamped, Stored, as_stamped
from xmppd.store.base import SavedSession, SessionStore, StoreError

_KINDS = {kind.name.encode(): kind for kind in KINDS}
_log = Logger()


class SavedStanza(Struct, array_like=True):
    """One that the client has not got.

    Attributes:
        wire: Its bytes.
        came: When, in seconds since 1970; None if nobody noted it.
        addressed: Whether it was for this session, and not for several.
        stamped: Whether it says when it came.
        copied: Whether the account's other resources have got their copies (:xep:`0280`).
    """

    wire: bytes
    came: float | None
    addressed: bool
    stamped: bool
    copied: bool


class Shell(Struct, frozen=True):
    """A session without its parts.

    Attributes:
        jid: Full JID.
        saved: When that was.
        left_s: How long it sleeps from then on.
        presence: Its last available presence.
        unacknowledged: What the client was sent.
        waiting: What it was not sent yet.
        state: What parts of the server want to know, by their names.
    """

    jid: str
    since: float
    address: str
    encrypted: bool
    software: str
    interested: bool
    flooded: bool
    carbons: bool
    settled: bool
    presence: bytes | None
    saved: Note
    left_s: float
    max_s: float
    handled: int
    sent: int
    unacknowledged: list[SavedStanza]
    waiting: list[SavedStanza]
    state: dict[str, bytes]


class Lost(NamedTuple):
    """A session that was taken up, and then the server was killed.

    Attributes:
        key: What it was found by.
        jid: Its full JID.
        unread: What it had not read when it was saved.
    """

    key: bytes
    jid: JID
    unread: list[Waiting]


class Hibernation:
    """Saves sessions, and takes them up again.

    Args:
        store: Where they are kept.
        sessions: All that there are.
        sleepers: Those that can be resumed.
        clocks: Tell the time.
        read_account: Reads what has to be in memory for everybody who is online.
        given: Offline messages that a session was given, and that are still in the store.
        finish: Waits until all that sessions had not read when they ended has found its place.

    Attributes:
        states: Who wants something saved of each session, by name.
    """

    def __init__(
        self,
        store: SessionStore,
        sessions: SessionManager,
        sleepers: Sleepers,
        clocks: Clocks,
        read_account: Callable[[JID], Awaitable[None]],
        given: Callable[[LocalClientSession], Sequence[int]],
        finish: Callable[[], Awaitable[None]],
    ) -> None:
        self.store = store
        self.sessions = sessions
        self.sleepers = sleepers
        self.clocks = clocks
        self.read_account = read_account
        self.given = given
        self.finish = finish
        self.states: dict[str, SessionState] = {}
        self._restored: dict[bytes, LocalClientSession] = {}
        self._started: float | None = None

    # -- when the server stops --------------------------------------------------------------------

    async def save(self) -> None:
        """Keep every session whose client may come back; they all sleep by now.

        A server that never started knows of none, and what is kept is left as it is.
        """
        if self._started is None:
            return
        saved: list[SavedSession] = []
        theirs: dict[str, list[int]] = {}
        for session in self.sleepers.resumable():
            management = session.management
            if management is not None and management.key is not None:
                data = msgpack.encode(self._shell(session, management))
                saved.append(SavedSession(management.key, session.jid.bare, data))
                theirs.setdefault(session.jid.bare, []).extend(self._out_of_store(session))
        await self.store.save_sessions(saved, theirs=theirs)
        if saved:
            _log.info("{count} sessions were saved", count=len(saved))

    def _out_of_store(self, session: LocalClientSession) -> set[int]:
        """Offline messages that it has: they are its own from now on."""
        payloads = (stanza.payload for stanza, _, _ in session.unread())
        unread = {payload.number for payload in payloads if isinstance(payload, Stored)}
        return unread.union(self.given(session))

    def _shell(self, session: LocalClientSession, management: StreamManagement) -> Shell:
        states = ((name, state.dump(session)) for name, state in self.states.items())
        backlog = session.backlog
        return Shell(
            jid=session.jid.full,
            since=session.since,
            address=session.connection.address,
            encrypted=session.connection.encrypted,
            software=session.software,
            interested=session.interested,
            flooded=session.flooded,
            carbons=session.carbons,
            settled=session.settled,
            presence=None if session.presence is None else session.presence.wire(),
            saved=self.clocks.note(),
            left_s=self.sleepers.left_s(session),
            max_s=management.max_s,
            handled=management.handled,
            sent=management.sent,
            unacknowledged=self._saved(management.unacknowledged()),
            waiting=[] if backlog is None else self._saved(backlog.waiting()),
            state={name: data for name, data in states if data is not None},
        )

    # -- when it starts ---------------------------------------------------------------------------

    async def load(self) -> list[Lost]:
        """Take up the sessions of an orderly stop: they sleep for the time that they have left.

        Returns:
            What is left of sessions of which nobody knows what became, since the server was killed.
        """
        lost = []
        for saved in await self.store.take_sessions():
            shell = msgpack.decode(saved.data, type=Shell)
            if saved.taken:
                queue = [*shell.unacknowledged, *shell.waiting]
                unread = list(self._waiting(queue, saved.account))
                lost.append(Lost(saved.key, JID.parse(shell.jid), unread))
            else:
                await self._restore(saved.key, shell)
        self._started = self.clocks.seconds()
        if self._restored:
            _log.info("{count} sessions were taken up", count=len(self._restored))
        return lost

    async def _restore(self, key: bytes, shell: Shell) -> None:
        jid = JID.parse(shell.jid)
        session = LocalClientSession(
            token_hex(8), jid, NOBODY, self.sessions.interceptors, shell.since
        )
        session.account = jid.to_bare()
        session.bound = True
        session.software = shell.software
        session.interested = shell.interested
        session.flooded = shell.flooded
        session.carbons = shell.carbons
        session.settled = shell.settled
        if shell.presence is not None:
            presence = Presence.from_bytes(shell.presence)
            session.presence = presence
            session.presence_around_to = presence.around_to()
            session.priority = presence.priority
            presence.payload.forget_trees()
        session.backlog = Backlog()
        for stanza, wire, came in self._waiting(shell.waiting, jid.bare):
            session.backlog.add(stanza, wire, came=came)
        self.sessions.restore(session)
        self.sleepers.restore(
            session,
            self._management(key, shell),
            shell.address,
            encrypted=shell.encrypted,
            left_s=shell.left_s - self.clocks.since_s(shell.saved),
        )
        self._restored[key] = session
        await self.read_account(session.account)
        for name, data in shell.state.items():
            if name in self.states:
                self.states[name].load(session, data)

    def _management(self, key: bytes, shell: Shell) -> StreamManagement:
        management = StreamManagement(
            self.sleepers.limits.queue, self.clocks.seconds, key=key, max_s=shell.max_s
        )
        management.restore(
            self._waiting(shell.unacknowledged, JID.parse(shell.jid).bare),
            handled=shell.handled,
            sent=shell.sent,
        )
        return management

    # -- its stanzas ------------------------------------------------------------------------------

    def _saved(self, waiting: Iterable[Waiting]) -> list[SavedStanza]:
        return [
            SavedStanza(
                wire,
                None if came == UNKNOWN else self.clocks.stamp(came),
                addressed=stanza.to is not None,
                stamped=isinstance(stanza.payload, Stamped),
                copied=stanza.payload.copied_for is not None,
            )
            for stanza, wire, came in waiting
        ]

    def _waiting(self, saved: Iterable[SavedStanza], account: str) -> Iterator[Waiting]:
        for each in saved:
            kind = _KINDS[each.wire[1 : each.wire.index(b" ")]]
            stanza: Stanza = kind.from_bytes(each.wire)
            if isinstance(stanza, Message) and each.stamped:
                stanza = as_stamped(stanza)
            if not each.addressed:
                stanza = stanza.for_several()
            if each.copied:
                stanza.payload.copied_for = account
            stanza.payload.forget_trees()
            came = UNKNOWN if each.came is None else self.clocks.moment(each.came)
            yield stanza, each.wire, came

    # -- while it runs ----------------------------------------------------------------------------

    def sweep(self) -> None:
        """Forget what was saved of sessions that hold nothing of it any more.

        They have ended, or their clients have acknowledged all of it.
        """
        settled = [key for key, session in self._restored.items() if self._is_settled(session)]
        for key in settled:
            del self._restored[key]
        if settled:
            Deferred.fromCoroutine(self._forget(settled)).addErrback(_failed)

    async def _forget(self, keys: list[bytes]) -> None:
        await self.finish()
        await self.store.forget_sessions(keys)

    def _is_settled(self, session: LocalClientSession) -> bool:
        started = self._started or 0.0
        return session.closed or all(came > started for _, _, came in session.unread())


def _failed(failure: Failure) -> None:
    if not failure.check(StoreError):  # which the store has logged
        _log.failure("what was saved of sessions cannot be forgotten", failure)


def _nobody_to_give_up() -> None:
    """A session that is being taken up has not been lost yet."""


NOBODY = Away("", 0, 0.0, lambda: 0.0, _nobody_to_give_up, encrypted=False)
"""What a session has for a connection until it sleeps on."""
