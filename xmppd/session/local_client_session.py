"""A client connected here."""

from xmppd.auth.login import Login
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.session.backlog import Backlog
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
        closed: Its wire is gone or going.
        backlog: What waits while its wire is full; None while it is not.
    """

    __slots__ = (
        "account",
        "backlog",
        "bound",
        "closed",
        "connection",
        "flooded",
        "id",
        "interceptors",
        "interested",
        "jid",
        "login",
        "presence",
        "presence_around_to",
        "priority",
        "privacy",
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
        self.login: Login | None = None
        self.presence: Presence | None = None
        self.presence_around_to = NOWHERE
        self.priority = 0
        self.privacy: SessionPrivacy | None = None
        self.software = ""
        self.backlog: Backlog | None = None
        self.bound = self.interested = self.flooded = self.closed = False

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
        if not backlog.full:
            self.backlog = None

    def _keep(self, stanza: Stanza, wire: bytes, backlog: Backlog) -> None:
        backlog.add(stanza, wire)
        if backlog.size_bytes > self.connection.max_queued_bytes:
            self.connection.give_up()

    def take_unread(self) -> list[Stanza]:
        """What waited when the wire was lost."""
        backlog, self.backlog = self.backlog, None
        return [] if backlog is None else backlog.stanzas()
