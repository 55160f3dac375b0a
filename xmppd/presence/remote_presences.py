"""Presence of addresses on other servers: what each session was sent, until it sees them leave."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xmppd.events import OWNER, Events, On
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.roster.roster_manager import ContactChanged, RosterManager
from xmppd.roster.subscription import SUBSCRIBED_TO
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionClosed
from xmppd.stanza import JID, Presence

MAX_SEEN = 10_000
MAX_SEEN_WITH_UNEXPECTED = 1_000
"""Unexpected senders are seen while a session sees fewer, so that they take no room of expected
ones."""

MAX_KEPT_BYTES = 1 << 20
"""Of a contact's presence; a longer one is not kept, and the contact is probed when it is
needed."""


@dataclass(frozen=True, slots=True)
class RemotePresence:
    """A presence from elsewhere, available or not, has come for an account of ours or a session of
    it. Its sender need be no contact.

    Attributes:
        account: Bare JID of the addressee; there need be no such account.
        presence: The presence; its capabilities are
            :attr:`~xmppd.stanza.stanza.Presence.capabilities`.
    """

    account: JID
    presence: Presence


@dataclass(slots=True)
class SeenPresence:
    """An address elsewhere that a session sees as available.

    Attributes:
        jid: Its address; a full JID, but for gateways.
        presence: Its last presence; None if that is not kept.
        broadcast: Whether it was sent to the account, and so to each of its available sessions.
        in_person: Whether it was sent to this session's full JID.
    """

    jid: JID
    presence: Presence | None = None
    broadcast: bool = False
    in_person: bool = False


class SeenPresences:
    """The addresses elsewhere that one session sees.

    Attributes:
        probed: Contacts that were probed since the session is available, and whether they have
            answered. Their presences here are all there is to know.
    """

    __slots__ = ("_by_domain", "_kept_bytes", "count", "probed")

    def __init__(self) -> None:
        self.probed: dict[str, bool] = {}
        self.count = 0
        self._by_domain: dict[str, dict[str, SeenPresence]] = {}
        self._kept_bytes = 0

    def __iter__(self) -> Iterator[SeenPresence]:
        for seen in self._by_domain.values():
            yield from seen.values()

    def of(self, jid: JID) -> SeenPresence | None:
        """The presence of this address, if it is seen."""
        return self._by_domain.get(jid.domain, {}).get(jid.full)

    def of_contact(self, contact: JID) -> list[SeenPresence]:
        """All addresses of a contact that are seen."""
        seen = self._by_domain.get(contact.domain, {}).values()
        return [seen_presence for seen_presence in seen if seen_presence.jid.bare == contact.bare]

    def of_domain(self, domain: str) -> list[SeenPresence]:
        """All addresses of a server that are seen."""
        return list(self._by_domain.get(domain, {}).values())

    def add(self, jid: JID) -> SeenPresence:
        """Add an address that was not seen before."""
        seen_presence = self._by_domain.setdefault(jid.domain, {})[jid.full] = SeenPresence(jid)
        self.count += 1
        return seen_presence

    def keep(self, seen_presence: SeenPresence, presence: Presence | None) -> None:
        """Keep the newest presence of an address, if there is room for it."""
        self._kept_bytes -= _size_bytes(seen_presence.presence)
        if self._kept_bytes + _size_bytes(presence) > MAX_KEPT_BYTES:
            presence = None
        self._kept_bytes += _size_bytes(presence)
        seen_presence.presence = presence

    def pop(self, jid: JID) -> bool:
        """Forget an address; returns whether it was seen."""
        seen = self._by_domain.get(jid.domain, {})
        seen_presence = seen.pop(jid.full, None)
        if seen_presence is None:
            return False
        if not seen:
            del self._by_domain[jid.domain]
        self.count -= 1
        self._kept_bytes -= _size_bytes(seen_presence.presence)
        return True

    def has_answered(self, jid: JID) -> bool:
        """Note that a contact has sent presence; returns whether that is its first answer to a
        probe.
        """
        waiting = self.probed.get(jid.bare) is False
        if waiting:
            self.probed[jid.bare] = True
        return waiting

    def forget_probes(self, domain: str) -> None:
        """Forget that contacts of this server were probed."""
        for bare in [bare for bare in self.probed if JID.prepared(bare).domain == domain]:
            del self.probed[bare]

    @property
    def is_empty(self) -> bool:
        """Whether no address is seen, and none was probed."""
        return not self._by_domain and not self.probed


class RemotePresences:
    """Delivers presence from other servers to our sessions (RP-1 to RP-8).

    The addresses that a session sees are kept with it, so that each "available" is followed by one
    "unavailable", also when their server is lost.
    """

    def __init__(
        self,
        routing_table: RoutingTable,
        rosters: RosterManager,
        directed: DirectedPresences,
        events: Events,
    ) -> None:
        self.routing_table = routing_table
        self.rosters = rosters
        self.directed = directed
        self.events = events
        self._seen: dict[Session, SeenPresences] = {}
        events.put(On(RemoteServerLost, self.lost), OWNER)
        events.put(On(ContactChanged, self.contact_changed), OWNER)
        events.put(On(SessionClosed, self.closed), OWNER)

    # -- what comes from there --------------------------------------------------------------------

    def deliver(self, presence: Presence) -> None:
        """Deliver a presence from elsewhere, available or not, to its addressee (RP-1).

        From our side there is no difference between broadcast and directed presence
        (:rfc:`6121#section-4.6.4`).
        """
        to = presence.to
        if to is None or not self.routing_table.is_local(to):
            self.routing_table.route(presence)  # from a component to somebody elsewhere
            return
        wire = presence.wire()
        told = presence.for_several() if to.is_bare else presence
        for session in self._reached(to):
            if session.privacy is not None and not session.privacy.lets_in(presence):
                continue
            if self._notes(session, presence, in_person=not to.is_bare):
                session.deliver(told, wire)
        self.events.fire(RemotePresence(to.to_bare(), presence))
        presence.payload.forget_trees()  # it may be kept for long

    def _reached(self, to: JID) -> tuple[LocalClientSession, ...]:
        if to.resource is None:
            return self.routing_table.available_here(to.bare)
        return tuple(s for s in self.routing_table.sessions_here(to.bare) if s.jid == to)

    def _notes(self, session: Session, presence: Presence, *, in_person: bool) -> bool:
        """Note the presence that a session is about to see; returns whether it is to see it."""
        own = self._seen.setdefault(session, SeenPresences())
        is_answer = own.has_answered(presence.sender)
        if presence.type == "unavailable":
            return own.pop(presence.sender) or (is_answer and presence.sender.is_bare)  # RP-3
        seen_presence = own.of(presence.sender)
        if seen_presence is None:
            if not self._has_room(own, session, presence.sender):
                return False  # RP-4
            seen_presence = own.add(presence.sender)
        if in_person:
            seen_presence.in_person = True
        else:
            seen_presence.broadcast = True
            own.keep(seen_presence, presence if self._sees(session.jid, presence.sender) else None)
        return True

    def _has_room(self, own: SeenPresences, session: Session, sender: JID) -> bool:
        if own.count < MAX_SEEN_WITH_UNEXPECTED:
            return True
        expected = self._sees(session.jid, sender) or self.directed.has_told(session.jid, sender)
        return expected and own.count < MAX_SEEN

    def _sees(self, account: JID, contact: JID) -> bool:
        """Whether the account is subscribed to the contact."""
        roster = self.rosters.loaded(account.bare)
        return roster is not None and roster.sees(contact)

    def asked(self, sender: JID, contact: JID) -> None:
        """Note that a client has probed a contact elsewhere itself, and waits for the answer
        (PR-12).
        """
        session = self.routing_table.bound.get(sender.full)
        if session is not None:
            probed = self._seen.setdefault(session, SeenPresences()).probed
            if contact.bare in probed or len(probed) < MAX_SEEN:
                probed[contact.bare] = False

    # -- what a newcomer is told ------------------------------------------------------------------

    def probe(self, session: Session, contacts: Iterable[JID]) -> None:
        """Give a session that became available the presence of contacts elsewhere (RP-5). Those
        that another resource of the account sees are not probed again (:rfc:`6121#section-4.3.1`).
        """
        own = self._seen.setdefault(session, SeenPresences())
        known = self._known_to_others(session)
        forgotten = {seen.jid.bare for seen in known if seen.broadcast and seen.presence is None}
        told: set[str] = set()
        for contact in contacts:
            if session.privacy is not None and not session.privacy.lets("presence-in", contact):
                continue
            answered = known.probed.get(contact.bare)
            if answered is None or contact.bare in forgotten:
                answered = False
                probe = Presence.make(contact.to_bare(), session.jid.to_bare(), type="probe")
                self.routing_table.route(probe)
            else:
                told.add(contact.bare)
            own.probed[contact.bare] = answered
        for seen in list(known) if told else ():
            if seen.presence is not None and seen.jid.bare in told:
                self._show(session, own, seen.presence)

    def _known_to_others(self, session: Session) -> SeenPresences:
        """The presences of contacts that another resource of the account sees. A resource does not
        count if its list may hide contacts that this one may see.
        """
        for other in self.routing_table.available_here(session.jid.bare):
            own = self._seen.get(other)
            if other is not session and other.privacy is None and own and own.probed:
                return own
        return SeenPresences()

    def _show(self, session: Session, own: SeenPresences, said: Presence) -> None:
        if session.privacy is not None and not session.privacy.lets_in(said):
            return
        seen_presence = own.of(said.sender) or own.add(said.sender)
        seen_presence.broadcast = True
        own.keep(seen_presence, said)
        presence = said.addressed(session.jid)
        session.deliver(presence.for_several(), presence.wire())

    def note(self, session: Session, presence: Presence) -> None:
        """Note a presence that the node which had this session before has shown it."""
        self._notes(session, presence, in_person=presence.to is not None)

    def restore(self, session: Session, seen_presences: Iterable[SeenPresence]) -> None:
        """Let a restored session see the addresses that it saw before the restart."""
        own = self._seen.setdefault(session, SeenPresences())
        for seen in seen_presences:
            seen_presence = own.add(seen.jid)
            seen_presence.broadcast, seen_presence.in_person = seen.broadcast, seen.in_person
            own.keep(seen_presence, seen.presence)

    def seen_by(self, session: Session, contact: JID | None = None) -> list[SeenPresence]:
        """All addresses that a session sees, or those of one contact."""
        own = self._seen.get(session)
        if own is None:
            return []
        return list(own) if contact is None else own.of_contact(contact)

    # -- "unavailable" ----------------------------------------------------------------------------

    def lost(self, event: RemoteServerLost) -> None:
        """Show everybody on a lost server as gone to each session that saw them (RP-6)."""
        for session, own in self._watching(event.local_domain):
            own.forget_probes(event.remote_domain)
            self._say_goodbye(session, own, own.of_domain(event.remote_domain))

    def _watching(self, domain: str) -> list[tuple[Session, SeenPresences]]:
        return [watch for watch in self._seen.items() if watch[0].jid.domain == domain]

    def hide(self, account: JID, contact: JID) -> None:
        """Show a contact as gone to the account, without waiting for its server (RP-7)."""
        for session in self.routing_table.sessions_here(account.bare):
            own = self._seen.get(session)
            if own is not None:
                own.probed.pop(contact.bare, None)
                self._say_goodbye(session, own, own.of_contact(contact))

    def contact_changed(self, change: ContactChanged) -> None:
        """Show a contact as gone if the change ended the account's subscription."""
        if change.before is None or change.before.subscription not in SUBSCRIBED_TO:
            return
        contact = JID.prepared(change.jid)
        if not change.roster.sees(contact) and not self.routing_table.is_local(contact):
            self.hide(change.roster.account, contact)

    def say_goodbye(self, session: Session, seen_presences: Iterable[SeenPresence]) -> None:
        """Show these as gone to a session whose list denies them from now on."""
        own = self._seen.get(session)
        if own is not None:
            self._say_goodbye(session, own, seen_presences)

    def _say_goodbye(
        self, session: Session, own: SeenPresences, seen_presences: Iterable[SeenPresence]
    ) -> None:
        for seen_presence in seen_presences:
            if own.pop(seen_presence.jid):
                gone = Presence.make(session.jid, seen_presence.jid, type="unavailable")
                session.deliver(gone, gone.wire(), ours=True)

    # -- the end ----------------------------------------------------------------------------------

    def forget_seen(self, session: Session) -> None:
        """Forget what an unavailable session saw, except what is sent to itself alone (RP-8)."""
        own = self._seen.get(session)
        if own is None:
            return
        own.probed.clear()
        for seen_presence in list(own):
            seen_presence.broadcast = False
            own.keep(seen_presence, None)
            if not seen_presence.in_person:
                own.pop(seen_presence.jid)
        if own.is_empty:
            del self._seen[session]

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that has ended, and all that it saw."""
        self._seen.pop(event.session, None)


def _size_bytes(presence: Presence | None) -> int:
    return 0 if presence is None else len(presence.payload.raw)
