"""LocalClientSession: the session of a client that is connected here."""

from collections.abc import Callable, Iterable, Iterator

from twisted.internet.defer import Deferred

from xmppd.auth.login import Login
from xmppd.host.clocks import UNKNOWN
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.session.backlog import Backlog, Waiting
from xmppd.session.client_state import MAX_HELD_BYTES, news_of
from xmppd.session.detached import Detached
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.pulls import Pulls
from xmppd.session.session import Connection
from xmppd.session.stream_management import StreamManagement
from xmppd.stanza import IQ, JID, Later, Message, Presence, Stanza, StreamCondition, StreamError
from xmppd.stanza.delay import Stamped, Stood, delayed, stamped
from xmppd.stanza.stanza import Capabilities
from xmppd.stanza.xml import read_all

NOWHERE = (b"", b"")
_KINDS: dict[str, type[Stanza]] = {kind.name: kind for kind in (Message, IQ)}


class LocalClientSession:
    """One resource of an account, with its connection here; some outlive their connection (RS-4).

    Attributes:
        id: The stream's id, for logs.
        jid: ``domain/id`` until a resource is bound, then the full JID.
        account: Bare JID, once authenticated.
        login: How its client logged in; None until then.
        bound: Whether a resource is bound.
        presence: The last available presence; None while unavailable.
        presence_around_to: The same as bytes before and behind an address.
        priority: Of that presence.
        interested: Whether it has asked for its roster, so that changes are pushed to it (RFC 6121
            §2.1.6).
        privacy: The list in force for it, and whether it is invisible; None if there is neither
            (PL-8).
        flooded: Whether it was sent offline messages since it became available.
        capabilities: Those of its client, from its presence; None if it does not say.
        since: The time when its stream was opened, in seconds since 1970.
        serial: When it was entered in the directory (:class:`~xmppd.cluster.node.Location`); 0 on a
            single node.
        count: Of the presences that it has sent.
        seen: The sessions of other nodes that it was shown, by full JID (:class:`Sightings
            <xmppd.presence.sightings.Sightings>`).
        closed: Whether it has ended, or is about to.
        awaited_until: The time on the clock up to which messages wait for it to become available.
        detached: Whether its connection is lost, and its client may resume it on another one.
        moving: Whether another node may have it by now, or this one has it from there and has yet
            to say so (CL-100).
        connection: Its connection; while it is detached, :class:`~xmppd.session.detached.Detached`.
        wants: What its client has switched on that followers of messages go by, such as
            ``carbons``; siblings on other nodes are told.
        inactive: Whether its client has said that its user does not look at it (:xep:`0352`).
        settled: Whether it was sent the presence of its contacts when it became available, so that
            later ones are news.
        unclaimed: The states of parts that are not here now, such as a plugin that is being
            reloaded (RS-9), by name; None if there are none.
        backlog: The stanzas that wait while its connection is full or lost, or its client inactive;
            else None.
        management: The stanzas that its client has not acknowledged (:xep:`0198`); None without
            stream management.
        pulls: The stanzas that its client has asked for and is being sent; None if it never has.
    """

    __slots__ = (
        "account",
        "awaited_until",
        "backlog",
        "bound",
        "capabilities",
        "client",
        "closed",
        "connection",
        "count",
        "detached",
        "flooded",
        "id",
        "inactive",
        "interceptors",
        "interested",
        "jid",
        "login",
        "management",
        "moving",
        "presence",
        "presence_around_to",
        "priority",
        "privacy",
        "pulls",
        "seen",
        "serial",
        "settled",
        "since",
        "unclaimed",
        "wants",
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
        self.priority = self.serial = self.count = 0
        self.awaited_until = 0.0
        self.privacy: SessionPrivacy | None = None
        self.seen: dict[str, int] = {}
        self.capabilities: Capabilities | None = None
        self.client = ""
        self.unclaimed: dict[str, bytes] | None = None
        self.wants: frozenset[str] = frozenset()
        self.backlog: Backlog | None = None
        self.management: StreamManagement | None = None
        self.pulls: Pulls | None = None
        self.bound = self.interested = self.flooded = False
        self.closed = self.detached = self.inactive = self.settled = self.moving = False

    @property
    def device(self) -> str:
        """The id of its client; empty if that has not said."""
        return self.login.agent.id if self.login is not None else ""

    @property
    def software(self) -> str:
        """The URI of its client's software, from its presence; empty if it does not say."""
        return "" if self.capabilities is None else self.capabilities.software

    @property
    def agent(self) -> str:
        """The name of its client: as it said when it logged in, else as its service discovery
        has it, else the URI.
        """
        said = self.login.agent.software if self.login is not None else ""
        return said or self.client or self.software

    def deliver(
        self, stanza: Stanza, wire: bytes, *, ours: bool = False, seen: bool = False
    ) -> bool:
        """Deliver a stanza to the client (SE-3): False if its connection is gone, or if its list
        denies a stanza that has to be answered (SE-2). One that is ``ours`` is denied by no list
        (PL-1); one that interceptors have ``seen`` at another node is not shown to those here.
        """
        if self.closed:
            return False
        if self.privacy is not None and not ours and not self.privacy.lets_in(stanza):
            return self._denied(stanza)
        if self.interceptors.outgoing[stanza.__class__] and not seen:
            changed = self.interceptors.go_out(stanza, self.jid)
            if changed is None:
                return True
            wire = changed.wire()
        if self.backlog is not None:
            self._keep(stanza, wire, self.backlog)
        elif self.management is not None:
            self._send((stanza, wire, self.management.now()), self.management)
        else:
            self.connection.write(wire)
        return True

    def deliver_bytes(self, kind: type[Stanza], wire: bytes) -> bool:
        """Deliver the bytes of a stanza that nobody has to see or keep; False if somebody has, or
        the connection is gone: then it is to be delivered as a stanza.
        """
        interceptors = self.interceptors
        if (
            self.closed
            or self.backlog is not None
            or self.management is not None
            or self.privacy is not None
            or interceptors.outgoing[kind]
        ):
            return False
        self.connection.write(wire)
        return True

    def _denied(self, stanza: Stanza) -> bool:
        """Whether nobody has to be told that the list has denied it."""
        if isinstance(stanza, Presence):
            self.interceptors.denied += 1
            return True
        return False

    def become_unavailable(self) -> None:
        """Forget its presence, so that its next one will be a first one, and whom it saw."""
        self.presence = None
        self.seen.clear()
        self.presence_around_to = NOWHERE
        self.flooded = self.settled = False
        self._hold_or_write()

    # -- a client that reads slowly -------------------------------------------------------------

    def wire_is_full(self) -> None:
        """Let later stanzas wait here, where they can be taken back (SE-11)."""
        if self.backlog is not None:
            self.backlog.full = True
        elif not self.closed:
            self.backlog = Backlog()

    def wire_is_free(self) -> None:
        """Write stanzas that wait, until the connection is full again."""
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
        if self.pulls is not None:
            self.pulls.go_on()

    def _keep(self, stanza: Stanza, wire: bytes, backlog: Backlog) -> None:
        management = self.management
        came = UNKNOWN if management is None else management.now()
        news = news_of(stanza, self.jid) if self._holds else None
        if not backlog.full and (news is None or self._holds_much(backlog)):
            self._write_all((*backlog.take_all(), (stanza, wire, came)))
            return
        before = len(backlog)
        backlog.add(stanza, wire, came=came, news=news)
        if len(backlog) <= before and isinstance(stanza, Presence):
            self.interceptors.outdated += before + 1 - len(backlog)
        if management is not None:
            if self.detached and management.waits is not None:
                management.waits(stanza)
            self._check_room(management)
        if backlog.full and backlog.load.exceeds(self.connection.max_queued_bytes):
            self.connection.abort()

    # -- a client that asks for much --------------------------------------------------------------

    def pull(self, stanzas: Iterator[Stanza]) -> Deferred[bool]:
        """Write stanzas that the client has asked for as fast as it reads, one by one as they are
        made, so that they never wait in memory (SE-13).

        Args:
            stanzas: Addressed, or to nobody yet; they are the server's, so no list is asked.

        Returns:
            An awaitable until all of them are written, for an answer behind them: False if the
            connection is lost before that.
        """
        if self.pulls is None:
            self.pulls = Pulls(self._write_pulled, self._has_room)
        over = self.pulls.add(stanzas)
        if self.closed or self.detached:
            self.pulls.end()
        return over

    def room_to_pull(self) -> Later:
        """An awaitable until the client may ask for more to pull; None if it may now."""
        return None if self.pulls is None else self.pulls.when_room()

    def _write_pulled(self, stanza: Stanza) -> None:
        if stanza.to is not None:
            self.deliver(stanza, stanza.wire(), ours=True)
            return
        head, tail = stanza.around_to()
        wire = head + self.jid.wire + tail
        if not self.deliver_bytes(stanza.__class__, wire):
            self.deliver(stanza.addressed(self.jid), wire, ours=True)

    def _has_room(self) -> bool:
        backlog = self.backlog
        return not self.closed and not (backlog is not None and backlog.full)

    def end_pulls(self) -> None:
        """Give up what has not been pulled, since the connection is gone: a client that comes back
        asks for it again.
        """
        if self.pulls is not None:
            self.pulls.end()

    # -- a client that is inactive --------------------------------------------------------------

    def rest(self, *, inactive: bool) -> None:
        """Take what the client says about its state, active or inactive (CS-1)."""
        self.inactive = inactive
        self._hold_or_write()

    def settle(self) -> None:
        """Note that it was sent the presence of its contacts: later presence is news, and may wait
        (CS-3).
        """
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
        """Write all that waits in one turn, so in one send: the radio is woken once (CS-2)."""
        management, write = self.management, self.connection.write
        if management is None:
            for _, wire, _ in waiting:
                write(wire)
        else:
            management.send_all(waiting, write, ask=self._holds)
            self._check_room(management)

    def unread(self) -> list[Waiting]:
        """The stanzas that the client has not acknowledged, and those that wait, in order."""
        unread = [] if self.management is None else self.management.unacknowledged()
        return unread if self.backlog is None else unread + self.backlog.waiting()

    def unread_since(self, moment: float) -> Iterator[tuple[int, Waiting]]:
        """Those of them that came since then, the newest first, each with the count of handled
        stanzas by which its client has it; 0 if it was not sent yet.
        """
        if self.backlog is not None:
            yield from ((0, waiting) for waiting in self.backlog.since(moment))
        if self.management is not None:
            yield from self.management.since(moment)

    def stood(self) -> dict[Stanza, Stood]:
        """The positions of messages in the queue of a session that ends."""
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
        """Take the unread stanzas out of a session that ends, or that is resumed."""
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

    def wait_again(self, first: Iterable[Waiting]) -> None:
        """Let these stanzas wait before those that do, while there is no connection."""
        later = () if self.backlog is None else self.backlog.waiting()
        self.backlog = Backlog()
        for stanza, wire, came in (*first, *later):
            self.backlog.add(stanza, wire, came=came)

    def take_waiting(self) -> list[Waiting]:
        """Take the stanzas that wait, while there is no connection."""
        waiting = [] if self.backlog is None else self.backlog.waiting()
        self.backlog = Backlog()
        return waiting

    # -- a client that acknowledges, and may come back ------------------------------------------

    def _send(self, waiting: Waiting, management: StreamManagement) -> None:
        management.send(waiting, self.connection.write)
        self._check_room(management)

    def _check_room(self, management: StreamManagement) -> None:
        """End a session whose queue is too long; its messages are routed again (RS-3)."""
        if not management.has_room(self.backlog):
            self.connection.close(
                StreamError(
                    StreamCondition.RESOURCE_CONSTRAINT, "too many stanzas are unacknowledged"
                )
            )

    def detach(self, connection: Detached) -> None:
        """Go on without a connection: stanzas wait from now on, as for a slow reader."""
        self.connection = connection
        self.detached = True
        if self.management is not None:
            self.management.forget_asked()
        self.wire_is_full()
        self.end_pulls()

    def resume(self, connection: Connection, stamp: Callable[[float], float]) -> None:
        """Go on with another connection, which counts as full until all that comes first is
        written.

        Unacknowledged stanzas wait before all that came since, and messages get their time.

        Args:
            connection: The new one.
            stamp: Converts a time of the steady clock to seconds since 1970.
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
    """The messages and requests among the bytes written to a client at once."""
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
    """A stanza that waited for a connection; a message says since when."""
    stanza, wire, came = waiting
    if came == UNKNOWN or not isinstance(stanza, Message) or isinstance(stanza.payload, Stamped):
        return stanza, wire
    seconds = stamp(came)
    return stamped(stanza, domain, seconds), delayed(wire, domain, seconds)
