"""A client connected here."""

from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.session.backlog import Backlog
from xmppd.session.client_state import MAX_HELD_BYTES, news_of
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.session import Connection
from xmppd.stanza import JID, Presence, Stanza

NOWHERE = (b"", b"")


class LocalClientSession:
    """One resource of an account, at the end of a wire of ours.

    Attributes:
        id: The stream's id, for logs.
        jid: ``domain/id`` until a resource is bound, then the full JID.
        account: Bare JID, once authenticated.
        bound: Whether a resource is bound.
        presence: The last available presence; None while unavailable.
        presence_around_to: The same as bytes before and behind an address.
        priority: Of that presence.
        interested: It asked for its roster: changes are pushed to it (RFC 6121 §2.1.6).
        privacy: The list in force for it, and whether it is invisible; None if nothing is (PL-8).
        carbons: It wants copies of what the account's other resources send and get (:xep:`0280`).
        flooded: Offline messages went to it since it became available.
        software: What its client calls itself in its presence; empty if it does not say.
        since: When its stream was opened, in seconds since 1970.
        closed: Its wire is gone or going.
        inactive: Its client has said that nobody looks at it (:xep:`0352`).
        settled: It was told who is here when it became available, so that what comes is news.
        backlog: What waits while its wire is full, or its client inactive; else None.
    """

    __slots__ = (
        "account",
        "backlog",
        "bound",
        "carbons",
        "closed",
        "connection",
        "flooded",
        "id",
        "inactive",
        "interceptors",
        "interested",
        "jid",
        "presence",
        "presence_around_to",
        "priority",
        "privacy",
        "settled",
        "since",
        "software",
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
        self.presence: Presence | None = None
        self.presence_around_to = NOWHERE
        self.priority = 0
        self.privacy: SessionPrivacy | None = None
        self.software = ""
        self.backlog: Backlog | None = None
        self.bound = self.interested = self.carbons = self.flooded = self.closed = False
        self.inactive = self.settled = False

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Hand a stanza to the client (SE-3): False when its wire is gone, or its owner does not
        want it and the sender is owed an answer (SE-2).
        """
        if self.closed:
            return False
        if self.privacy is not None and not self.privacy.lets_in(stanza):
            return isinstance(stanza, Presence)
        if self.interceptors.outgoing[stanza.__class__]:
            seen = self.interceptors.go_out(stanza, self.jid)
            if seen is None:
                return True
            wire = seen.wire()
        if self.backlog is not None:
            self._keep(stanza, wire, self.backlog)
            return True
        self.connection.write(wire)
        return True

    def deliver_ours(self, stanza: Stanza, wire: bytes) -> bool:
        """Hand a stanza of the server's own making to the client, in whosever name it speaks: no
        list is asked.
        """
        privacy, self.privacy = self.privacy, None
        try:
            return self.deliver(stanza, wire)
        finally:
            self.privacy = privacy

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
        while backlog and not backlog.full:
            self.connection.write(backlog.take())
        if not backlog.full and not self._holds:
            self.backlog = None

    def _keep(self, stanza: Stanza, wire: bytes, backlog: Backlog) -> None:
        news = news_of(stanza, self.jid) if self._holds else None
        if not backlog.full and (news is None or self._holds_much(backlog)):
            self._write_all(backlog, wire)
            return
        backlog.add(stanza, wire, news)
        if backlog.full and backlog.size_bytes > self.connection.max_queued_bytes:
            self.connection.give_up()

    # -- a client that nobody looks at ----------------------------------------------------------

    def rest(self, *, inactive: bool) -> None:
        """The client says whether anybody looks at it (CS-1)."""
        self.inactive = inactive
        self._hold_or_write()

    def settle(self) -> None:
        """It was told who is here: from now on presence is news, and may wait (CS-3)."""
        self.settled = True
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
            self._write_all(backlog)
            if not backlog.full:
                self.backlog = None

    def _holds_much(self, backlog: Backlog) -> bool:
        return backlog.size_bytes > min(MAX_HELD_BYTES, self.connection.max_queued_bytes // 2)

    def _write_all(self, backlog: Backlog, wire: bytes = b"") -> None:
        """What waits, and what comes behind it, in one write: the radio is woken once (CS-2)."""
        waiting = [backlog.take() for _ in range(len(backlog))]
        if waiting or wire:
            self.connection.write(b"".join((*waiting, wire)))

    def take_unread(self) -> list[Stanza]:
        """What waited when the wire was lost."""
        backlog, self.backlog = self.backlog, None
        return [] if backlog is None else backlog.stanzas()
