"""What the house sees of a session and of its wire: here the ring closes.

Both are Protocols. The session room implements the one, :mod:`xmppd.net` the other; other nodes and
other servers are sessions too, with the same ``deliver``.
"""

from typing import Protocol

from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.stanza import JID, Presence, Stanza, StreamError


class Connection(Protocol):
    """One wire, as the session at its end sees it.

    Attributes:
        encrypted: Whether TLS is on.
    """

    encrypted: bool

    @property
    def address(self) -> str:
        """The peer's IP address."""

    @property
    def silent_s(self) -> float:
        """Seconds since its peer last said something."""

    @property
    def tls_version(self) -> str:
        """Such as ``TLSv1.3``; empty without TLS."""

    @property
    def max_queued_bytes(self) -> int:
        """How much may wait for its peer."""

    def write(self, data: bytes) -> None:
        """Send one element, whole, now or when there is room (CH-11).

        What is written in one turn of the reactor leaves in one send.
        """

    def unsent(self) -> list[bytes]:
        """What was written and has not left, as it was written."""

    def take_unsent(self) -> list[bytes]:
        """Stanzas of that which wait for its peer to read: they need not be sent any more."""

    def abort(self) -> None:
        """Cut it off: its peer does not read. Its session is gone on return."""

    def close(self, error: StreamError | None = None) -> None:
        """End the stream, with an error if one is given. Its session is gone on return."""


class Route(Protocol):
    """Where a stanza can be handed out: a session here, a session on another node, a component."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Hand a stanza out.

        Args:
            stanza: The shared value; its address may be missing, where many get the same.
            wire: The finished bytes, addressed.

        Returns:
            Whether it has been accepted; False means that there is nobody there any more.
        """


class Session(Route, Protocol):
    """A client's resource, here or on another node.

    Attributes:
        jid: Full JID.
        presence: The last available presence; None while it is unavailable.
        presence_around_to: That presence as bytes before and behind an address.
        priority: Of that presence.
        interested: Whether it asked for the roster and so gets its changes.
        privacy: What is in force for it; None if nothing is.
        closed: Whether it has ended, or is about to: it takes nothing any more.
    """

    jid: JID
    presence: Presence | None
    presence_around_to: tuple[bytes, bytes]
    priority: int
    interested: bool
    privacy: SessionPrivacy | None
    closed: bool

    def deliver(self, stanza: Stanza, wire: bytes, *, ours: bool = False) -> bool:
        """The same.

        Args:
            stanza: As above.
            wire: As above.
            ours: The server says it in somebody's name: no list is asked (PL-1).
        """
