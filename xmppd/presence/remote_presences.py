"""Who is here on other servers, as far as our sessions were told, and so is to be seen leaving."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xmppd.events import OWNER, Events, On
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.roster.roster_manager import ContactChanged, RosterManager
from xmppd.roster.subscription import SUBSCRIBED_TO
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionClosed
from xmppd.stanza import JID, Presence

MAX_SEEN = 10_000
MAX_SEEN_WITH_STRANGERS = 1_000
"""Strangers may come while a session sees fewer; so they take no room of who is expected."""

MAX_KEPT_BYTES = 1 << 20
"""Of what contacts said; what is more is not kept, and asked for again when it is needed."""


@dataclass(frozen=True, slots=True)
class RemotePresence:
    """Somebody elsewhere has told an account of ours, or a session of it, that they are available,
    with what their client can do, or that they are gone. It need be no contact.

    Attributes:
        account: Bare JID of whom they told; there need be no such account.
        presence: What they said; its capabilities are
            :attr:`~xmppd.stanza.stanza.Presence.capabilities`.
    """

    account: JID
    presence: Presence


@dataclass(slots=True)
class SeenPresence:
    """Somebody elsewhere who told a session that they are available.

    Attributes:
        jid: Who; a full JID, but for gateways.
        presence: What they said last; None if that is not kept.
        broadcast: They told the account, and so each of its available sessions.
        in_person: They told this session by its full JID.
    """

    jid: JID
    presence: Presence | None = None
    broadcast: bool = False
    in_person: bool = False


class SeenPresences:
    """What one session sees of other servers.

    Attributes:
        probed: Contacts that were asked since the session is available, and whether they have said
            anything since. What was heard of them is all there is to know.
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
        """What is seen of this address."""
        return self._by_domain.get(jid.domain, {}).get(jid.full)

    def of_contact(self, contact: JID) -> list[SeenPresence]:
        """All that is seen of a contact."""
        seen = self._by_domain.get(contact.domain, {}).values()
        return [seen_presence for seen_presence in seen if seen_presence.jid.bare == contact.bare]

    def of_domain(self, domain: str) -> list[SeenPresence]:
        """All that is seen of a server."""
        return list(self._by_domain.get(domain, {}).values())

    def add(self, jid: JID) -> SeenPresence:
        """Somebody who was not seen before."""
        seen_presence = self._by_domain.setdefault(jid.domain, {})[jid.full] = SeenPresence(jid)
        self.count += 1
        return seen_presence

    def keep(self, seen_presence: SeenPresence, presence: Presence | None) -> None:
        """Keep what was said, if there is room for it, instead of what was said before."""
        self._kept_bytes -= _size_bytes(seen_presence.presence)
        if self._kept_bytes + _size_bytes(presence) > MAX_KEPT_BYTES:
            presence = None
        self._kept_bytes += _size_bytes(presence)
        seen_presence.presence = presence

    def pop(self, jid: JID) -> bool:
        """See somebody no more; whether they were seen."""
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
        """Take note that a contact says something; whether it was asked and had not yet."""
        waiting = self.probed.get(jid.bare) is False
        if waiting:
            self.probed[jid.bare] = True
        return waiting

    def forget_probes(self, domain: str) -> None:
        """Nothing is known of this server any more."""
        for bare in [bare for bare in self.probed if JID.prepared(bare).domain == domain]:
            del self.probed[bare]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is seen, and nobody asked."""
        return not self._by_domain and not self.probed


class RemotePresences:
    """Hands presence of other servers' people to our sessions (RP-1 to RP-8).

    What a session sees is kept with the session, so that each "available" it was told is followed
    by one "unavailable", also when their server is lost.
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
        """Hand out somebody's presence, available or not, to whom it is addressed (RP-1).

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

    def _reached(self, to: JID) -> tuple[Session, ...]:
        if to.resource is None:
            return self.routing_table.available(to.bare)
        return tuple(s for s in self.routing_table.sessions(to.bare) if s.jid == to)

    def _notes(self, session: Session, presence: Presence, *, in_person: bool) -> bool:
        """Note what a session is about to see; whether it is to see it."""
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
        if own.count < MAX_SEEN_WITH_STRANGERS:
            return True
        expected = self._sees(session.jid, sender) or self.directed.has_told(session.jid, sender)
        return expected and own.count < MAX_SEEN

    def _sees(self, account: JID, contact: JID) -> bool:
        """Whether the account is subscribed to the contact."""
        roster = self.rosters.loaded(account.bare)
        return roster is not None and roster.sees(contact)

    def asked(self, sender: JID, contact: JID) -> None:
        """A client asks for somebody elsewhere by itself: it waits for the answer (PR-12)."""
        session = self.routing_table.bound.get(sender.full)
        if session is not None:
            probed = self._seen.setdefault(session, SeenPresences()).probed
            if contact.bare in probed or len(probed) < MAX_SEEN:
                probed[contact.bare] = False

    # -- what a newcomer is told ------------------------------------------------------------------

    def probe(self, session: Session, contacts: Iterable[JID]) -> None:
        """Tell a session that became available of contacts elsewhere (RP-5).

        Those that another resource of the account knows are not asked again
        (:rfc:`6121#section-4.3.1`).
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
        """What another resource of the account knows of contacts.

        A list in force for it may hide what this one may see: such a resource does not count.
        """
        for other in self.routing_table.available(session.jid.bare):
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

    def restore(self, session: Session, seen_presences: Iterable[SeenPresence]) -> None:
        """Let a session that outlived the server see what it saw before."""
        own = self._seen.setdefault(session, SeenPresences())
        for seen in seen_presences:
            seen_presence = own.add(seen.jid)
            seen_presence.broadcast, seen_presence.in_person = seen.broadcast, seen.in_person
            own.keep(seen_presence, seen.presence)

    def seen_by(self, session: Session, contact: JID | None = None) -> list[SeenPresence]:
        """All that a session sees, or what it sees of one contact."""
        own = self._seen.get(session)
        if own is None:
            return []
        return list(own) if contact is None else own.of_contact(contact)

    # -- goodbyes ---------------------------------------------------------------------------------

    def lost(self, event: RemoteServerLost) -> None:
        """A server is gone: so is everybody there, for each session that saw them (RP-6)."""
        for session, own in self._watching(event.local_domain):
            own.forget_probes(event.remote_domain)
            self._say_goodbye(session, own, own.of_domain(event.remote_domain))

    def _watching(self, domain: str) -> list[tuple[Session, SeenPresences]]:
        return [watch for watch in self._seen.items() if watch[0].jid.domain == domain]

    def hide(self, account: JID, contact: JID) -> None:
        """The account sees the contact no more, whatever the contact's server has yet to say of it
        (RP-7).
        """
        for session in self.routing_table.sessions(account.bare):
            own = self._seen.get(session)
            if own is not None:
                own.probed.pop(contact.bare, None)
                self._say_goodbye(session, own, own.of_contact(contact))

    def contact_changed(self, change: ContactChanged) -> None:
        """If that ended the account's subscription, the contact is seen no more."""
        if change.before is None or change.before.subscription not in SUBSCRIBED_TO:
            return
        contact = JID.prepared(change.jid)
        if not change.roster.sees(contact) and not self.routing_table.is_local(contact):
            self.hide(change.roster.account, contact)

    def say_goodbye(self, session: Session, seen_presences: Iterable[SeenPresence]) -> None:
        """Let a session see these leave: what is in force for it from now on denies them."""
        own = self._seen.get(session)
        if own is not None:
            self._say_goodbye(session, own, seen_presences)

    def _say_goodbye(
        self, session: Session, own: SeenPresences, seen_presences: Iterable[SeenPresence]
    ) -> None:
        for seen_presence in seen_presences:
            if own.pop(seen_presence.jid):
                gone = Presence.make(session.jid, seen_presence.jid, type="unavailable")
                session.deliver_ours(gone, gone.wire())

    # -- the end ----------------------------------------------------------------------------------

    def forget_seen(self, session: Session) -> None:
        """A session became unavailable: it sees no more than it is told in person (RP-8)."""
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
        """A session is gone, and with it what it saw."""
        self._seen.pop(event.session, None)


def _size_bytes(presence: Presence | None) -> int:
    return 0 if presence is None else len(presence.payload.raw)
