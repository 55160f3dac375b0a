"""A client connected here."""

from collections.abc import Callable, Iterable, Iterator

from xmppd.auth.login import Login
from xmppd.host.clocks import UNKNOWN
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.session.backlog import Backlog, Waiting
from xmppd.session.client_state import MAX_HELD_BYTES, news_of
from xmppd.session.detached import Detached
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.session import Connection
from xmppd.session.stream_management import StreamManagement
from xmppd.stanza import IQ, JID, Message, Presence, Stanza, StreamCondition, StreamError
from xmppd.stanza.delay import Stamped, Stood, delayed, stamped
from xmppd.stanza.xml import read_all

NOWHERE = (b"", b"")
_KINDS: dict[str, type[Stanza]] = {kind.name: kind for kind in (Message, IQ)}


class LocalClientSession:
    """One resource of an account, at the end of a wire of ours; some outlive their wire (RS-4).

    Attributes:
        id: The stream's id, for logs.
        jid: ``domain/id`` until a resource is bound, then the full JID.
        account: Bare JID, once authenticated.
        login: How it was proved that it is this account's; None until then.
        bound: Whether a resource is bound.
        presence: The last available presence; None while unavailable.
        presence_around_to: The same as bytes before and behind an address.
        priority: Of that presence.
        interested: It asked for its roster: changes are pushed to it (RFC 6121 §2.1.6).
        privacy: The list in force for it, and whether it is invisible; None if nothing is (PL-8).
        flooded: Offline messages went to it since it became available.
        software: What its client calls itself in its presence; empty if it does not say.
        since: When its stream was opened, in seconds since 1970.
        closed: It has ended, or is about to.
        detached: Its wire is lost, and its client may come back on another one.
        connection: Its wire; while it is detached, :class:`~xmppd.session.detached.Detached`.
        inactive: Its client has said that nobody looks at it (:xep:`0352`).
        settled: It was told who is here when it became available, so that what comes is news.
        unclaimed: What parts that are not here now, such as a plugin that is about to be read anew,
            know of it (RS-9), by name; None if nothing.
        backlog: What waits while its wire is full or lost, or its client inactive; else None.
        management: What its client has not acknowledged (:xep:`0198`); None if it never does.
    """

    __slots__ = (
        "account",
        "backlog",
        "bound",
        "closed",
        "connection",
        "detached",
        "flooded",
        "id",
        "inactive",
        "interceptors",
        "interested",
        "jid",
        "login",
        "management",
        "presence",
        "presence_around_to",
        "priority",
        "privacy",
        "settled",
        "since",
        "software",
        "unclaimed",
    )

    def __init__(
        self,
        id: str,
        jid: JID,
        connection: Connection,
        interceptors: InterceptorManager,
        since: float,
    ) -> None:
        self.id = id
        self.jid = jid
        self.connection = connection
        self.interceptors = interceptors
        self.since = since
        self.account: JID | None = None
        self.login: Login | None = None
        self.presence: Presence | None = None
        self.presence_around_to = NOWHERE
        self.priority = 0
        self.privacy: SessionPrivacy | None = None
        self.software = ""
        self.unclaimed: dict[str, bytes] | None = None
        self.backlog: Backlog | None = None
        self.management: StreamManagement | None = None
        self.bound = self.interested = self.flooded = False
        self.closed = self.detached = self.inactive = self.settled = False

    def deliver(self, stanza: Stanza, wire: bytes, *, ours: bool = False) -> bool:
        """Hand a stanza to the client (SE-3): False when its wire is gone, or its owner does not
        want it and the sender is owed an answer (SE-2). What is ``ours`` to say is not asked of
        lists (PL-1).
        """
        if self.closed:
            return False
        if self.privacy is not None and not ours and not self.privacy.lets_in(stanza):
            return isinstance(stanza, Presence)
        if self.interceptors.outgoing[stanza.__class__]:
            seen = self.interceptors.go_out(stanza, self.jid)
            if seen is None:
                return True
            wire = seen.wire()
        if self.backlog is not None:
            self._keep(stanza, wire, self.backlog)
        elif self.management is not None:
            self._send((stanza, wire, self.management.now()), self.management)
        else:
            self.connection.write(wire)
        return True

    def become_unavailable(self) -> None:
        """It has no presence any more, and its next one will be a first one."""
        self.presence = None
        self.presence_around_to = NOWHERE
        self.flooded = self.settled = False
        self._hold_or_write()

    # -- a client that reads slowly -------------------------------------------------------------

    def wire_is_full(self) -> None:
        """Let what comes from now on wait here, where it can be taken back (SE-11)."""
        if self.backlog is not None:
            self.backlog.full = True
        elif not self.closed:
            self.backlog = Backlog()

    def wire_is_free(self) -> None:
        """Write what waits, until the wire is full again."""
        backlog = self.backlog
        if backlog is None:
            return
        backlog.full = False
        management = self.management
        while backlog and not backlog.full and not self.closed:
            if management is None:
                self.connection.write(backlog.take())
            else:
                self._send(backlog.take_waiting(), management)
        if not backlog.full and not self._holds:
            self.backlog = None

    def _keep(self, stanza: Stanza, wire: bytes, backlog: Backlog) -> None:
        management = self.management
        came = UNKNOWN if management is None else management.now()
        news = news_of(stanza, self.jid) if self._holds else None
        if not backlog.full and (news is None or self._holds_much(backlog)):
            self._write_all((*backlog.take_all(), (stanza, wire, came)))
            return
        backlog.add(stanza, wire, came=came, news=news)
        if management is not None:
            self._check_room(management)
        if backlog.full and backlog.load.exceeds(self.connection.max_queued_bytes):
            self.connection.abort()

    # -- a client that nobody looks at ----------------------------------------------------------

    def rest(self, *, inactive: bool) -> None:
        """The client says whether anybody looks at it (CS-1)."""
        self.inactive = inactive
        self._hold_or_write()

    def settle(self) -> None:
        """It was told who is here: from now on presence is news, and may wait (CS-3)."""
        self.settled = True
        if self.inactive:
            self._hold_or_write()

    @property
    def _holds(self) -> bool:
        return self.inactive and self.settled

    def _hold_or_write(self) -> None:
        backlog = self.backlog
        if self._holds:
            if backlog is None and not self.closed:
                self.backlog = Backlog(full=False)
        elif backlog is not None and not backlog.full:
            self._write_all(backlog.take_all())
            if not backlog.full:
                self.backlog = None

    def _holds_much(self, backlog: Backlog) -> bool:
        return backlog.size_bytes > min(MAX_HELD_BYTES, self.connection.max_queued_bytes // 2)

    def _write_all(self, waiting: tuple[Waiting, ...]) -> None:
        """In one turn, so in one send: the radio is woken once (CS-2)."""
        management, write = self.management, self.connection.write
        if management is None:
            for _, wire, _ in waiting:
                write(wire)
        else:
            management.send_all(waiting, write, ask=self._holds)
            self._check_room(management)

    def unread(self) -> list[Waiting]:
        """What the client has not acknowledged, and what waits, in order."""
        unread = [] if self.management is None else self.management.unacknowledged()
        return unread if self.backlog is None else unread + self.backlog.waiting()

    def unread_since(self, moment: float) -> Iterator[tuple[int, Waiting]]:
        """What of that came since then, the newest first.

        With each comes the count of handled stanzas by which its client has it; 0 if it was not
        sent yet.
        """
        if self.backlog is not None:
            yield from ((0, waiting) for waiting in self.backlog.since(moment))
        if self.management is not None:
            yield from self.management.since(moment)

    def stood(self) -> dict[Stanza, Stood]:
        """Where messages stand in the queue of a session that ends."""
        management = self.management
        if management is None:
            return {}
        key, held = management.key or b"", management.held
        return {
            stanza: Stood(held.get(stanza), key, position)
            for position, (stanza, _, _) in self.unread_since(UNKNOWN)
            if isinstance(stanza, Message)
        }

    def take_unread(self) -> list[Waiting]:
        """The same, of a session that ends, or begins anew with what its client has."""
        unread = self.unread()
        if self.management is None:
            unread = [
                (stanza, piece, UNKNOWN)
                for piece in self.connection.take_unsent()
                for stanza in stanzas_in(piece)
            ] + unread
        self.backlog = None
        if self.management is not None:
            self.management.forget_unacknowledged()
        return unread

    # -- a client that acknowledges, and may come back ------------------------------------------

    def _send(self, waiting: Waiting, management: StreamManagement) -> None:
        management.send(waiting, self.connection.write)
        self._check_room(management)

    def _check_room(self, management: StreamManagement) -> None:
        """End what grows without end: what is in the queue finds another place (RS-3)."""
        if not management.has_room(self.backlog):
            self.connection.close(
                StreamError(StreamCondition.RESOURCE_CONSTRAINT, "too much is unacknowledged")
            )

    def detach(self, connection: Detached) -> None:
        """Go on without a wire: what comes from now on waits, as it does for a slow reader."""
        self.connection = connection
        self.detached = True
        if self.management is not None:
            self.management.forget_asked()
        self.wire_is_full()

    def resume(self, connection: Connection, stamp: Callable[[float], float]) -> None:
        """Go on with another wire, which counts as full until all that comes first is written.

        What the client has not acknowledged waits before all that came since, and messages say how
        long.

        Args:
            connection: The wire.
            stamp: Says of a moment on the steady clock when that was, in seconds since 1970.
        """
        again = Backlog()
        held = {} if self.management is None else self.management.held
        for waiting in self.take_unread():
            stanza, wire = _late(waiting, self.jid.domain, stamp)
            if waiting[0] in held:
                held[stanza] = held.pop(waiting[0])
            again.add(stanza, wire, came=waiting[2])
        self.backlog = again
        self.connection = connection
        self.detached = self.inactive = False  # a resumed stream begins as active (:xep:`0352`)


def stanzas_in(piece: bytes) -> list[Stanza]:
    """The messages and requests in what was written to a client at once."""
    try:
        return [
            _KINDS[tree.tag].from_tree(tree, JID.prepared(tree.get("from", "")))
            for tree in read_all(piece)
            if tree.tag in _KINDS
        ]
    except ValueError:
        return []  # nothing of ours, or nothing whole


def longest_detached(sessions: Iterable[LocalClientSession]) -> LocalClientSession | None:
    """The one of these that has been detached longest; None if none is detached."""
    since = {s: s.connection.since for s in sessions if isinstance(s.connection, Detached)}
    return min(since, key=since.__getitem__, default=None)


def _late(waiting: Waiting, domain: str, stamp: Callable[[float], float]) -> tuple[Stanza, bytes]:
    """What waited for a wire; a message says since when."""
    stanza, wire, came = waiting
    if came == UNKNOWN or not isinstance(stanza, Message) or isinstance(stanza.payload, Stamped):
        return stanza, wire
    seconds = stamp(came)
    return stamped(stanza, domain, seconds), delayed(wire, domain, seconds)
