"""RemoteSession: a session of an account with one here, that is on another node."""

from xmppd.cluster.bus import Bus
from xmppd.cluster.entries.accounts import Sibling
from xmppd.cluster.entries.stanzas import Delivered
from xmppd.cluster.node import Location
from xmppd.privacy.privacy_list import UNKNOWN, Standing
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.stanza import JID, Payload, Presence, Stanza

NOWHERE = (b"", b"")


class NoContacts:
    """The contacts of a session on another node: none is asked for, since no list is here."""

    def standing(self, jid: JID) -> Standing:
        """Unknown."""
        return UNKNOWN


class RemoteSession:
    """A session on another node, as that node describes it; delivering to it is one entry.

    Attributes:
        jid: Full JID.
        location: Its node and serial.
        presence: The last available presence; None while it is unavailable.
        presence_around_to: The same as bytes before and behind an address.
        priority: Of that presence.
        interested: Whether it asked for the roster.
        privacy: Its active list by name, and whether it is invisible; None if there is neither.
            The list itself is asked at its node.
        wants: What its client has switched on that followers of messages go by.
        closed: Whether it has ended.
        awaited_until: The time on the clock up to which messages wait for it to become available.
    """

    __slots__ = (
        "awaited_until",
        "bus",
        "closed",
        "interested",
        "jid",
        "location",
        "presence",
        "presence_around_to",
        "priority",
        "privacy",
        "wants",
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
        self.wants: frozenset[str] = frozenset()
        self.closed = False
        self.awaited_until = 0.0

    @property
    def serial(self) -> int:
        """When it was entered in the directory."""
        return self.location.serial

    @classmethod
    def described(cls, location: Location, bus: Bus, entry: Sibling) -> "RemoteSession":
        """The session that is described."""
        session = cls(JID.prepared(entry.session), location, bus)
        session.describe(entry)
        return session

    def describe(self, entry: Sibling) -> None:
        """Take what its node says of it."""
        self.presence, self.presence_around_to = None, NOWHERE
        if entry.presence is not None:
            payload = Payload(entry.presence)
            self.presence = Presence(None, self.jid, entry.presence_id, None, payload)
            self.presence_around_to = self.presence.around_to()
        self.priority = entry.priority
        self.interested = entry.interested
        self.privacy = None
        if entry.active is not None or entry.invisible:
            self.privacy = SessionPrivacy(
                self.jid.to_bare(),
                NoContacts(),
                None,
                active=entry.active,
                invisible=entry.invisible,
            )
        self.wants = frozenset(entry.wants)

    def deliver(self, stanza: Stanza, wire: bytes, *, ours: bool = False) -> bool:
        """Send it to the node of the session, where lists and interceptors see it."""
        if self.closed or self._has_to_wait(stanza):
            return False
        self.bus.tell(self.location.node, Delivered.of(stanza, wire, self.jid, ours=ours))
        return True

    def _has_to_wait(self, stanza: Stanza) -> bool:
        """Whether it is for this session alone, its sender waits for room on the way, and there is
        none (:meth:`~xmppd.routing.routing_table.RoutingTable.find_way`).
        """
        return (
            self.bus.is_full(self.location.node)
            and stanza.to is not None
            and waits_for_room(stanza)
        )


def waits_for_room(stanza: Stanza) -> bool:
    """Whether a stanza's sender waits while too much is under way to another node: not for answers,
    and not for what has come from another node, since these are caused by handling that.
    """
    return stanza.__class__ is not Presence and stanza.answerable and not stanza.payload.passed_on


__all__ = ["RemoteSession", "waits_for_room"]
