"""Sessions and connections, as the rest of the server sees them. Both are Protocols: the session
room implements the one, :mod:`xmppd.net` the other. Components and other servers are routes too,
with the same ``deliver``.
"""

from typing import Protocol

from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.session.peer_counts import PeerCounts
from xmppd.stanza import JID, Presence, Stanza, StreamError


class Connection(Protocol):
    """A connection, as its session sees it.

    Attributes:
        encrypted: Whether TLS is on.
        counts: What it has carried.
        why: The reason for which it has ended; empty while it has not.
    """

    encrypted: bool
    counts: PeerCounts
    why: str

    @property
    def address(self) -> str:
        """The peer's IP address."""

    @property
    def silent_s(self) -> float:
        """The seconds since its peer last sent something."""

    @property
    def tls_version(self) -> str:
        """Such as ``TLSv1.3``; empty without TLS."""

    @property
    def max_queued_bytes(self) -> int:
        """The limit of what may wait for its peer."""

    def write(self, data: bytes) -> None:
        """Send one element, whole, now or when there is room (CH-11).

        What is written in one turn of the reactor leaves in one send.
        """

    def unsent(self) -> list[bytes]:
        """The pieces that were written and have not left, as they were written."""

    def take_unsent(self) -> list[bytes]:
        """Take back the stanzas among these: they need not be sent any more."""

    def abort(self) -> None:
        """Cut it off, since its peer does not read. Its session is gone on return."""

    def close(self, error: StreamError | None = None) -> None:
        """End the stream, with an error if one is given. Its session is gone on return."""


class Route(Protocol):
    """A destination of stanzas: a session, a component, or another server."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza.

        Args:
            stanza: The shared value; its address may be missing, if several sessions get the same.
            wire: The finished bytes, addressed.

        Returns:
            Whether it has been accepted; False if the destination is gone.
        """


class Session(Route, Protocol):
    """A client's resource, here or on another node.

    Attributes:
        jid: Full JID.
        presence: The last available presence; None while it is unavailable.
        presence_around_to: That presence as bytes before and behind an address.
        priority: Of that presence.
        interested: Whether it asked for the roster and so gets its changes.
        privacy: The privacy in force for it; None if there is none.
        wants: What its client has switched on that followers of messages go by.
        closed: Whether it has ended, or is about to: it takes nothing any more.
        awaited_until: The time on the clock up to which stored messages, and those behind them,
            wait for it to become available (MR-7); 0 if none ever did.
    """

    jid: JID
    presence: Presence | None
    presence_around_to: tuple[bytes, bytes]
    priority: int
    interested: bool
    privacy: SessionPrivacy | None
    wants: frozenset[str]
    closed: bool
    awaited_until: float

    @property
    def serial(self) -> int:
        """When it was entered in the directory (:class:`~xmppd.cluster.node.Location`); 0 on a
        single node.
        """

    def deliver(self, stanza: Stanza, wire: bytes, *, ours: bool = False) -> bool:
        """Deliver a stanza.

        Args:
            stanza: As above.
            wire: As above.
            ours: Whether it is the server's in another's name: no list is asked (PL-1).
        """
