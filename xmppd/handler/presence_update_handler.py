"""PresenceUpdateHandler: available and unavailable presence without an address."""

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass

from xmppd.config.config import PresenceSettings
from xmppd.events import Events
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.presence.broadcast_counts import BroadcastCounts
from xmppd.presence.presence_manager import PresenceManager, one_by_one, tell
from xmppd.presence.privacy_changes import is_invisible
from xmppd.roster.broadcasts import Copies
from xmppd.roster.roster import Roster
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, Condition, Later, Presence, StanzaError
from xmppd.store.errors import StoreError


@dataclass(frozen=True, slots=True)
class SessionAvailable:
    """A session sent its first available presence."""

    session: LocalClientSession


@dataclass(frozen=True, slots=True)
class SessionUnavailable:
    """An available session has sent "unavailable", or was lost."""

    session: LocalClientSession


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """An available session sent another available presence."""

    session: LocalClientSession


class PresenceUpdateHandler:
    """Changes the state, then broadcasts, then sends a new session all that waits for it (PU-1 to
    PU-9).

    Attributes:
        settings: Whether repeated presence is suppressed (PU-16).
        stanzas: The number that have come to it.
    """

    def __init__(
        self,
        sessions: SessionManager,
        presences: PresenceManager,
        flood: OfflineMessageFlood,
        broadcast_counts: BroadcastCounts,
        events: Events,
        settings: PresenceSettings,
    ) -> None:
        self.settings = settings
        self.sessions = sessions
        self.presences = presences
        self.rosters = presences.rosters
        self.routing_table = presences.routing_table
        self.siblings = self.routing_table.siblings
        self.flood = flood
        self.broadcast_counts = broadcast_counts
        self.events = events
        self.stanzas = 0

    def use(self, settings: PresenceSettings) -> None:
        """Take other settings."""
        self.settings = settings

    def process(self, presence: Presence) -> Later:
        """Take a session's own presence, available or unavailable.

        Raises:
            StanzaError: BAD_REQUEST: its priority is invalid.
        """
        self.stanzas += 1
        session = self.sessions.session(presence.sender)
        if session is None or session.account is None:
            return None
        roster = self.rosters.loaded(session.account.bare)
        if roster is None:
            return self._load_and_update(presence, session, session.account)
        return self._update(presence, session, roster)

    def broadcast(
        self,
        presence: Presence,
        session: LocalClientSession,
        roster: Roster,
        *,
        newcomer: bool = False,
    ) -> Copies:
        """Send it to the contacts and the own sessions; returns how many copies that made."""
        session.count += 1
        copies = roster.broadcast(presence, session, newcomer=newcomer)
        if not isinstance(copies, int):
            return self._count_later(presence, session, copies)
        self.broadcast_counts.count(session, presence, copies)
        return copies

    async def _count_later(
        self, presence: Presence, session: LocalClientSession, telling: Awaitable[int]
    ) -> int:
        copies = await telling
        self.broadcast_counts.count(session, presence, copies)
        return copies

    async def _load_and_update(
        self, presence: Presence, session: LocalClientSession, account: JID
    ) -> None:
        """Read the roster, then update; a session that ends meanwhile still has to be told as
        unavailable.
        """
        later = self._update(presence, session, await self.rosters.roster(account))
        if later is not None:
            await later

    def _update(self, presence: Presence, session: LocalClientSession, roster: Roster) -> Later:
        if presence.type == "unavailable":
            return self._unavailable(presence, session, roster)
        if session.closed:
            return None  # PU-1
        if self.rosters.broadcasts.under_way(roster.account.bare):
            return self._update_in_turn(presence, session, roster.account)
        return self._available(presence, session, roster)

    async def _update_in_turn(
        self, presence: Presence, session: LocalClientSession, account: JID
    ) -> None:
        """Update when all earlier broadcasts have ended; the state waits as well (PU-15).

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: too many of the account's resources wait already.
        """
        broadcasts = self.rosters.broadcasts
        while broadcasts.under_way(account.bare):
            if broadcasts.is_full(account.bare):
                raise StanzaError(
                    Condition.RESOURCE_CONSTRAINT, "too many presences are waiting already"
                )
            await broadcasts.quiet(account.bare)
        await self._load_and_update(presence, session, account)

    def _available(self, presence: Presence, session: LocalClientSession, roster: Roster) -> Later:
        try:
            priority = presence.priority
        except ValueError as error:
            raise StanzaError(Condition.BAD_REQUEST, str(error)) from error
        last = session.presence
        newcomer = last is None
        if self.settings.suppress_repeated and last and last.payload.raw == presence.payload.raw:
            self.broadcast_counts.repeated += 1
            return self.flood.flood(session)
        session.presence = presence
        session.presence_around_to = presence.around_to()
        session.priority = priority
        session.capabilities = presence.capabilities or session.capabilities
        presence.payload.forget_trees()
        if newcomer:
            self.routing_table.refresh(session)
        if self.siblings.nodes:
            self.siblings.tell(session)
        copies = self.broadcast(presence, session, roster, newcomer=newcomer)
        if not isinstance(copies, int):
            self.flood.expect(session)
            return self._go_on_after(copies, presence, session, roster, newcomer=newcomer)
        return self._go_on(session, roster, newcomer=newcomer)

    async def _go_on_after(
        self,
        telling: Awaitable[int],
        presence: Presence,
        session: LocalClientSession,
        roster: Roster,
        *,
        newcomer: bool,
    ) -> None:
        """Go on after a long broadcast, unless the session has left during it."""
        await telling
        if session.presence is presence:
            following = self._go_on(session, roster, newcomer=newcomer)
            if following is not None:
                await following

    def _go_on(self, session: LocalClientSession, roster: Roster, *, newcomer: bool) -> Later:
        if not newcomer:
            self.events.fire(PresenceChanged(session))
            return self.flood.flood(session)
        self.events.fire(SessionAvailable(session))
        return self._greet(session, roster)

    def _greet(self, session: LocalClientSession, roster: Roster) -> Later:
        """Send a session all that waits for its first presence (PU-12 to PU-14)."""
        for other in self.routing_table.available_here(session.jid.bare):
            if other is not session:
                tell(session, other)
        for item in roster.items.values():
            if item.pending_in is not None:
                request = Presence.from_bytes(item.pending_in)
                session.deliver(request, request.wire())
            if item.ask:
                self.presences.ask_again(session, JID.prepared(item.jid))
        probes = session.privacy is None or session.privacy.probes
        contacts = tuple(roster.subscribed_to) if probes else ()
        later = None
        if self.presences.introductions.directory.shared:
            later = self._show_everybody(session, roster, contacts)
        elif probes:
            later = self.presences.greet(session, contacts)
        if later is not None:
            self.flood.expect(session)
            return self._settle_after(later, session)
        session.settle()
        return self.flood.flood(session)

    async def _show_everybody(
        self, session: LocalClientSession, roster: Roster, contacts: tuple[JID, ...]
    ) -> None:
        """Send a session the presence of contacts that are here, while other nodes send theirs;
        behind that, last presences of those that are nowhere.
        """
        table = self.routing_table
        introducing = self.presences.introductions.introduce(session, roster, contacts)
        unknown = {
            jid.bare for jid in contacts if table.is_local(jid) and jid.bare not in table.users
        }
        known = tuple(jid for jid in contacts if jid.bare not in unknown)
        greeting = self.presences.greet(session, known)
        if greeting is not None:
            await greeting
        unknown -= await introducing
        if session.presence is not None:
            nowhere = tuple(JID.prepared(bare) for bare in unknown if bare not in table.users)
            greeting = self.presences.greet(session, nowhere)
            if greeting is not None:
                await greeting

    async def _settle_after(self, later: Awaitable[None], session: LocalClientSession) -> None:
        with suppress(StoreError):  # then it is not sent the last presences of contacts
            await later
        if session.presence is not None:
            session.settle()
        flooding = self.flood.flood(session)
        if flooding is not None:
            await flooding

    def _unavailable(
        self, presence: Presence, session: LocalClientSession, roster: Roster
    ) -> Later:
        was_available = session.presence is not None
        session.become_unavailable()
        self.routing_table.refresh(session)
        self.siblings.tell(session)
        self.presences.remote.forget_seen(session)
        copies = self.broadcast(presence, session, roster) if was_available else 0
        if was_available and not session.closed:
            session.deliver(presence, presence.addressed(session.jid).wire())
        self.presences.say_goodbye(
            presence,
            self.presences.directed.pop(session.jid),
            broadcast=roster if was_available else None,
            privacy=session.privacy,
        )
        if not was_available or session.account is None:
            return None
        self.events.fire(SessionUnavailable(session))
        if is_invisible(session) or not self.presences.seems_gone(session.jid.bare):
            return None if isinstance(copies, int) else one_by_one(copies)
        leaving = self.presences.left(session.account, presence.payload.tree.findtext("status"))
        return leaving if isinstance(copies, int) else one_by_one(copies, leaving)
