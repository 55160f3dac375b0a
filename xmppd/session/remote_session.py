"""RemoteSession: a session of an account with one here, that is on another node."""

from xmppd.cluster.bus import Bus
from xmppd.cluster.entries import Delivered
from xmppd.cluster.node import Location
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.stanza import JID, Presence, Stanza

NOWHERE = (b"", b"")


class RemoteSession:
    """A session on another node, as that node describes it; delivering to it is one entry.

    Attributes:
        jid: Full JID.
        location: Its node and serial.
        presence: The last available presence; None while it is unavailable.
        presence_around_to: The same as bytes before and behind an address.
        priority: Of that presence.
        interested: Whether it asked for the roster.
        privacy: The privacy in force for it; None if there is none.
        closed: Whether it has ended.
    """

    __slots__ = (
        "bus",
        "closed",
        "interested",
        "jid",
        "location",
        "presence",
        "presence_around_to",
        "priority",
        "privacy",
    )

    def __init__(self, jid: JID, location: Location, bus: Bus) -> None:
        self.jid = jid
        self.location = location
        self.bus = bus
        self.presence: Presence | None = None
        self.presence_around_to = NOWHERE
        self.priority = 0
        self.interested = False
        self.privacy: SessionPrivacy | None = None
        self.closed = False

    def deliver(self, stanza: Stanza, wire: bytes, *, ours: bool = False) -> bool:
        """Send it to the node of the session, where lists and interceptors see it."""
        if self.closed:
            return False
        self.bus.tell(self.location.node, Delivered.of(stanza, wire, self.jid, ours=ours))
        return True


__all__ = ["RemoteSession"]
