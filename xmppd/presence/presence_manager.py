"""PresenceManager: the presence of accounts, their last presence, and who may see it."""

from collections.abc import Awaitable, Collection, Iterable

from twisted.internet.defer import Deferred

from xmppd.cluster.entries.presence import SentPresence, Shows
from xmppd.cluster.node import NodeId
from xmppd.events import Events
from xmppd.host.clocks import Clocks
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.presence.introductions import Introductions
from xmppd.presence.last_presences import LastPresences
from xmppd.presence.remote_presences import RemotePresences
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.privacy.session_privacy import NOTIFICATIONS, SessionPrivacy
from xmppd.roster.roster import Roster
from xmppd.roster.subscription import was_seen
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import JID, Later, Presence, escape
from xmppd.store.accounts import AccountStore
from xmppd.store.cache import Cache
from xmppd.store.last_presences import LastPresence, PresenceStore
from xmppd.store.rosters import RosterItem

MAX_DEPARTURES = 10_000
"""Accounts that left lately, whose time of leaving is known by the steady clock."""


class PresenceManager:
    """Answers probes, and keeps each account's last presence.

    Attributes:
        introductions: To people at other nodes.
        directed: The addressees of directed presence.
        remote: The presences of contacts elsewhere that sessions were sent.
        last_presences: Of accounts that are away.
        privacy_lists: Those that hide accounts.
        stanzas: The number of probes that have come to it.
    """

    def __init__(
        self,
        introductions: Introductions,
        accounts: AccountStore,
        store: PresenceStore,
        privacy_lists: PrivacyListManager,
        events: Events,
        clocks: Clocks,
    ) -> None:
        self.introductions = introductions
        self.rosters = rosters = introductions.rosters
        self.routing_table = rosters.routing_table
        self.accounts = accounts
        self.last_presences = LastPresences(store, shared=introductions.directory.shared)
        self.privacy_lists = privacy_lists
        self.stanzas = 0
        self.clocks = clocks
        self._departures: Cache[tuple[LastPresence, float]] = Cache(MAX_DEPARTURES)
        self.directed = DirectedPresences()
        self.remote = RemotePresences(self.routing_table, rosters, self.directed, events)

    def deliver_everywhere(self, presence: Presence) -> Later:
        """Deliver an addressed presence, to a full JID or to each available resource (RT-6), on
        whichever nodes they are.
        """
        to = presence.to
        if (
            self.introductions.directory.shared
            and to is not None
            and presence.type in NOTIFICATIONS
        ):
            sender = self.routing_table.bound.get(presence.sender.full)
            if isinstance(sender, LocalClientSession) and self.routing_table.is_local(to):
                return self._direct(presence, sender, to)
        self.deliver(presence)
        return None

    def _direct(self, presence: Presence, sender: LocalClientSession, to: JID) -> Later:
        reached = self.reached(to)
        for session in reached:
            session.deliver(presence, presence.wire())
        if reached and to.resource is not None:
            return None
        return self.introductions.direct(sender, presence, to)

    def deliver(self, presence: Presence) -> None:
        """Deliver an addressed presence to those who are here, or to whom a way is known."""
        to = presence.to
        if to is None:
            return
        if to.resource is not None or not self.routing_table.is_local(to):
            self.routing_table.route(presence)
            return
        available = self.routing_table.available(to.bare)
        wire = presence.wire()
        for session in available:
            session.deliver(presence, wire)
        if not available:
            self.routing_table.pass_on(presence)

    def deliver_from_elsewhere(self, presence: Presence) -> Later:
        """Deliver a presence from another server or a component, available or not (RP-1)."""
        to = presence.to
        self.remote.deliver(presence)
        if to is None or not self.introductions.directory.shared:
            return None
        if not self.routing_table.is_local(to):
            return None
        return self.introductions.pass_to_nodes(presence, to)

    async def can_see(self, viewer: JID, account: JID) -> bool:
        """Whether the account lets the viewer see its presence (PM-5), whichever resources are
        here.
        """
        if self.routing_table.is_local(viewer) and viewer.bare == account.bare:
            return True
        if not (await self.rosters.roster(account)).may_be_seen_by(viewer):
            return False
        return not await self.privacy_lists.denies(account, "presence-out", viewer)

    async def who_may_be_seen(self, viewer: JID, accounts: Collection[str]) -> set[str]:
        """Those of these accounts of ours that let the viewer see their presence, as
        :meth:`can_see` says of one; the store is asked once or twice, however many they are.
        """
        if not accounts:
            return set()
        seen = await self.rosters.who_may_be_seen(viewer, accounts)
        return seen - await self.privacy_lists.who_denies(seen, "presence-out", viewer)

    def shows(self, session: Session, viewer: JID) -> bool:
        """Whether a session shows itself to this viewer, who may see its account (PL-6). An
        invisible one does to the addressees of its directed presence.
        """
        privacy = session.privacy
        if privacy is None or privacy.shows_to(viewer):
            return True
        return privacy.invisible and self.directed.knows(session.jid, viewer)

    def shown(self, account: str, viewer: JID) -> tuple[LocalClientSession, ...]:
        """The available sessions of an account, connected here, that show themselves to this
        viewer; each node speaks for its own.
        """
        available = self.routing_table.available_here(account)
        for session in available:
            if session.privacy is not None:
                return tuple(each for each in available if self.shows(each, viewer))
        return available

    def seems_gone(self, account: str) -> bool:
        """Whether all of the account's resources are away or invisible."""
        return all(
            session.privacy is not None and session.privacy.invisible
            for session in self.routing_table.available(account)
        )

    def _addresses(self, session: Session, viewer: JID) -> tuple[JID, ...]:
        """The addresses of a viewer that are sent a session's presence; none if it may not see
        it.
        """
        privacy = session.privacy
        if privacy is not None and viewer.is_bare and privacy.tells_apart(viewer.bare):
            theirs = self.routing_table.available_here(viewer.bare)
            return tuple(other.jid for other in theirs if self.shows(session, other.jid))
        return (viewer,) if self.shows(session, viewer) else ()

    async def last_presence(self, account: JID) -> LastPresence | None:
        """The account's last presence; None if it was never here."""
        return (await self.last_presences.find([account.bare])).get(account.bare)

    def left(self, account: JID, status: str | None) -> Later:
        """Save that the account's last resource has gone now (PM-3)."""
        last = LastPresence(self.clocks.wall_clock(), status or None)
        self._departures[account.bare] = last, self.clocks.seconds()
        return self._keep(account, last)

    def absent_s(self, account: JID, last: LastPresence) -> float:
        """How long the account has been away; if it left lately, by the steady clock.

        Args:
            account: Bare JID.
            last: Its last presence.
        """
        if account.bare in self._departures:
            departure, moment = self._departures[account.bare]
            if departure == last:
                return self.clocks.seconds() - moment
        return max(0.0, self.clocks.wall_clock() - last.seen)

    async def _keep(self, account: JID, last: LastPresence) -> None:
        """Save a last presence, but not a guest's (BI-4)."""
        if await self.accounts.exists(account.bare):
            await self.last_presences.save(account.bare, last)

    def greet(self, session: Session, contacts: tuple[JID, ...]) -> Later:
        """Send a session that became available the presence of its contacts, as if it had probed
        all of them.

        Of contacts online it is the presence they last sent; the last presences of the others take
        one query for all of them (PM-7). Contacts elsewhere are probed (RP-5). More than a thousand
        contacts take several turns (CH-8).
        """
        if len(contacts) > self.rosters.broadcasts.contacts_per_slice:
            return self._greet_in_slices(session, contacts)
        absent: list[str] = []
        unread: list[JID] = []
        elsewhere: list[JID] = []
        for contact in contacts:
            if not self.routing_table.is_local(contact):
                elsewhere.append(contact)
            elif not self.shown(contact.bare, session.jid):
                if not self._is_silent(contact.bare):
                    absent.append(contact.bare)
            elif not self._tell(session, contact.bare):
                unread.append(contact)
        if elsewhere:
            self.remote.probe(session, elsewhere)
        return self._tell_later(session, absent, unread) if absent or unread else None

    async def _greet_in_slices(self, session: Session, contacts: tuple[JID, ...]) -> None:
        """Greet in slices; a contact whose presence changes between two of them sends it itself."""
        broadcasts = self.rosters.broadcasts
        size = broadcasts.contacts_per_slice
        for start in range(0, len(contacts), size):
            if start:
                await broadcasts.next_turn()
            if session.presence is None:
                return
            later = self.greet(session, contacts[start : start + size])
            if later is not None:
                await later

    def look_elsewhere_again(self, session: LocalClientSession) -> None:
        """Probe contacts elsewhere after a restart, and tell them that the session is still here,
        since their servers may have taken ours for lost (RP-9).
        """
        roster = self.rosters.loaded(session.jid.bare)
        if roster is None or session.presence is None:
            return
        elsewhere = [jid for jid in roster.subscribed_to if not self.routing_table.is_local(jid)]
        if elsewhere:
            self.remote.probe(session, elsewhere)
        roster.tell_elsewhere(session.presence, session.privacy)
        if self.introductions.directory.shared:
            self.introductions.come_back(session)

    def ask_again(self, session: Session, contact: JID) -> None:
        """Repeat requests that another server has not answered, since they may have been lost
        (PS-14). The first session of an account that becomes available does so.
        """
        if self.routing_table.is_local(contact):
            return
        if session.privacy is not None and not session.privacy.lets("other", contact):
            return
        account = session.jid.to_bare()
        if self.routing_table.available(account.bare) == (session,):
            self.routing_table.route(Presence.make(contact, account, type="subscribe"))

    def _tell(self, session: Session, contact: str) -> bool:
        """Send a session the presence of a contact that is here; False if its roster is not in
        memory.
        """
        theirs = self.rosters.loaded(contact)
        if theirs is None:
            return False
        if theirs.may_be_seen_by(session.jid):
            for other in self.shown(contact, session.jid):
                tell(session, other)
        return True

    def _is_silent(self, contact: str) -> bool:
        """Whether an absent contact is known to have left no status (PM-7, PM-9)."""
        if not self.last_presences.knows(contact):
            return False
        last = self.last_presences.known(contact)
        return last is None or last.status is None

    async def _tell_later(self, session: Session, absent: list[str], unread: list[JID]) -> None:
        """Send the last presences of absent contacts, and the presence of those whose rosters were
        not read. A contact that comes meanwhile has sent its presence itself, so nobody hears it
        twice.
        """
        for contact in unread:
            await self.rosters.roster(contact)
            if session.presence is None:
                return
            self._tell(session, contact.bare)
        found = await self.last_presences.find(absent)
        left = {bare: last for bare, last in found.items() if last.status is not None}
        seen = await self.who_may_be_seen(session.jid, left)
        for bare, last in left.items():
            if bare in seen and session.presence is not None and not self.shown(bare, session.jid):
                gone = unavailable(session.jid, JID.prepared(bare), last)
                session.deliver(gone.for_several(), gone.wire())

    def handle_probe(self, probe: Presence, *, elsewhere: bool = True) -> Later:
        """Answer a probe for an account of ours (:rfc:`6121#section-4.3.2`, PM-6).

        Args:
            probe: The probe.
            elsewhere: Whether the account may have sessions on other nodes that are to be seen.
        """
        self.stanzas += 1
        account, prober = probe.to, probe.sender
        if account is None:
            return None
        account = account.to_bare()
        if elsewhere and self.introductions.directory.shared:
            return self._answer_everywhere(probe, prober, account)
        roster, lists = self.rosters.loaded(account.bare), self.privacy_lists.loaded(account.bare)
        if lists is None or lists.default_name is not None:
            return self._answer_stranger(prober, account)
        if roster is None or not roster.may_be_seen_by(prober):
            return self._answer_stranger(prober, account)
        shown = self.shown(account.bare, prober)
        if not shown and not self.last_presences.knows(account.bare):
            return self._answer_later(prober, account)
        last = None if shown else self.last_presences.known(account.bare)
        self._answer(prober, account, shown, last)
        return None

    async def _answer_everywhere(self, probe: Presence, prober: JID, account: JID) -> None:
        """Answer with what each other node says of its own sessions, then with what is here."""
        found = await self.introductions.ask(prober, account)
        if not found:
            later = self.handle_probe(probe, elsewhere=False)
            if later is not None:
                await later
            return
        for node, sent in found:
            self._answer_for(node, sent, prober)
        for session in self.shown(account.bare, prober):
            self._answer(prober, account, (session,), None)

    def _answer_for(self, node: NodeId, sent: SentPresence, prober: JID) -> None:
        """Give a prober the presence of a session at another node, also if it has it already."""
        sightings, presence = self.introductions.sightings, sent.stanza().addressed(prober)
        viewer = self.routing_table.bound.get(prober.full)
        if not isinstance(viewer, LocalClientSession):
            self.routing_table.route(presence)
            sightings.handed(prober.full, sent.session, node)
        elif sightings.answers(viewer, sent, sightings.mark(node, sent)):
            viewer.deliver(presence, presence.wire())

    async def _answer_stranger(self, prober: JID, account: JID) -> None:
        """Answer a prober that may not see the account, or whose right has to be read from the
        store.
        """
        if await self.privacy_lists.denies(account, "other", prober):
            return  # PL-3
        if not await self._may_probe(prober, account):
            self.deliver(Presence.make(prober.to_bare(), account, type="unsubscribed"))
        elif self.shown(account.bare, prober) or await self.can_see(prober, account):
            await self._answer_later(prober, account)

    async def _answer_later(self, prober: JID, account: JID) -> None:
        last = await self.last_presence(account)
        self._answer(prober, account, self.shown(account.bare, prober), last)

    def _answer(
        self, prober: JID, account: JID, shown: tuple[Session, ...], last: LastPresence | None
    ) -> None:
        for session in shown:
            if session.presence is not None:
                self.deliver(session.presence.addressed(prober))
        if not shown and (last is not None or not self.routing_table.is_local(prober)):
            self.deliver(unavailable(prober, account, last))

    async def _may_probe(self, prober: JID, account: JID) -> bool:
        """Whether the prober may see the account, whatever that hides just now."""
        if not await self.accounts.exists(account.bare):
            return False
        if self.routing_table.is_local(prober) and prober.bare == account.bare:
            return True
        return (await self.rosters.roster(account)).may_be_seen_by(prober)

    def send_presences(self, account: JID, to: JID) -> Later:
        """Send the account's available presences to a contact that may see them now (PS-8); each
        node those of its own sessions.
        """
        own = self.show_own(account, to)
        if not self.introductions.directory.shared:
            return own
        shows = Shows(account.bare, to.bare)
        others = self.introductions.tell_nodes_with(account.bare, shows)
        return one_by_one(own, others) if own is not None or others is not None else None

    def show_own(self, account: JID, to: JID) -> Later:
        """Send the presences of the account's sessions here to a contact."""
        here = self.routing_table.available_here(account.bare)
        for session in here:
            if session.presence is not None:
                for address in self._addresses(session, to):
                    self._deliver_here(session.presence.addressed(address), address)
        if here and self.introductions.directory.shared and self.routing_table.is_local(to):
            showing = (self._show_elsewhere(session, to.bare) for session in here)
            return one_by_one(*map(Deferred.fromCoroutine, showing))
        return None

    async def _show_elsewhere(self, session: LocalClientSession, bare: str) -> None:
        """Introduce a session to a contact's sessions on other nodes."""
        privacy = session.privacy
        if privacy is not None and privacy.tells_apart(bare):
            await self.introductions.meet(session, apart=[privacy.told_apart(bare)])
        elif privacy is None or privacy.shows_to(JID.prepared(bare)):
            await self.introductions.meet(session, tell=[bare])

    def show_contact(self, session: LocalClientSession, contact: JID) -> None:
        """Send a session's presence to a contact that may see it again."""
        if session.presence is not None:
            self._deliver_here(session.presence.addressed(contact), contact)
            session.count += 1
            self.routing_table.interest.tell(session, session.presence, [contact.bare])

    def hide_own(self, account: JID, to: JID) -> None:
        """Send "unavailable" of the account's sessions here to a contact that may not see them any
        more (PM-8). Directed presence to it ends with that.
        """
        for session in self.routing_table.available_here(account.bare):
            gone = Presence.make(None, session.jid, type="unavailable")
            knows = self._addresses(session, to)
            self.say_goodbye(gone, (*knows, *self.directed.pop_contact(session.jid, to)))
            self.routing_table.interest.say_goodbye(session, gone, [to.bare])

    def follow_contact(self, roster: Roster, contact: str, before: RosterItem | None) -> None:
        """Show the account's sessions here to a contact whom another node has let see them, or hide
        them from one that may not any more (CL-142).
        """
        account, to, now = roster.account, JID.prepared(contact), roster.items.get(contact)
        if self.rosters.shared_groups.sees(to.bare, account.bare):
            return
        if was_seen(before) and not was_seen(now):
            self.hide_own(account, to)
        elif was_seen(now) and not was_seen(before):
            showing = self.show_own(account, to)
            if showing is not None:
                Deferred.fromCoroutine(showing)  # it never fails

    def hide_from(self, viewer: JID, contacts: Collection[str]) -> None:
        """Show to the viewer's sessions here those of contacts at other nodes as gone, without
        waiting for these nodes.
        """
        for session in self.routing_table.available_here(viewer.bare):
            for full in [full for full in session.seen if full.partition("/")[0] in contacts]:
                del session.seen[full]
                gone = Presence.make(viewer.to_bare(), JID.prepared(full), type="unavailable")
                session.deliver(gone, gone.wire())

    def _deliver_here(self, presence: Presence, to: JID) -> None:
        """Deliver a presence to sessions here, or to somebody elsewhere."""
        if not self.routing_table.is_local(to):
            self.routing_table.route(presence)
            return
        wire = presence.wire()
        for session in self.reached(to):
            session.deliver(presence, wire)

    def deliver_to_interested(self, presence: Presence) -> None:
        """Deliver a subscription stanza to the resources that have asked for the roster
        (:rfc:`6121#section-3.1.6`).
        """
        if presence.to is not None:
            wire = presence.wire()
            for session in self.routing_table.sessions(presence.to.bare):
                if session.interested:
                    session.deliver(presence, wire)

    def say_goodbye(
        self,
        gone: Presence,
        receivers: Iterable[JID],
        broadcast: Roster | None = None,
        privacy: SessionPrivacy | None = None,
    ) -> None:
        """Send each addressee once that a session is gone (DP-4).

        Args:
            gone: Of type ``unavailable``, from the session.
            receivers: The addressees of its directed presence.
            broadcast: The roster whose contacts have heard it already; None if none have.
            privacy: The list that kept some of them from hearing it.
        """
        told: set[Session] = set()
        receivers = tuple(receivers)
        for receiver in receivers:
            heard = broadcast is not None and hears(broadcast, privacy, receiver)
            farewell = gone.addressed(receiver)
            if not self.routing_table.is_local(receiver):
                if not heard:
                    self.routing_table.route(farewell)
                continue
            for session in self.reached(receiver):
                if session not in told and not (heard and session.presence is not None):
                    told.add(session)
                    session.deliver(farewell, farewell.wire())
        sender = self.routing_table.bound.get(gone.sender.full)
        if isinstance(sender, LocalClientSession):
            local, bound = self.routing_table.is_local, self.routing_table.bound
            ours = [
                jid.full
                for jid in receivers
                if local(jid) and not isinstance(bound.get(jid.full), LocalClientSession)
            ]
            self.routing_table.interest.say_goodbye(sender, gone, ours)

    def reached(self, receiver: JID) -> tuple[LocalClientSession, ...]:
        """The sessions here that a presence to this address of ours reaches."""
        if receiver.resource is None:
            return self.routing_table.available_here(receiver.bare)
        session = self.routing_table.bound.get(receiver.full)
        return (session,) if isinstance(session, LocalClientSession) else ()


async def one_by_one(*works: Awaitable[object] | None) -> None:
    """Wait for all that is to be waited for."""
    for work in works:
        if work is not None:
            await work


def hears(roster: Roster, privacy: SessionPrivacy | None, viewer: JID) -> bool:
    """Whether a viewer hears the broadcasts of a session of the roster's owner."""
    return roster.may_be_seen_by(viewer) and (privacy is None or privacy.shows_to(viewer))


def tell(session: Session, other: Session) -> None:
    """Send one session the presence of another."""
    if other.presence is not None:
        head, tail = other.presence_around_to
        session.deliver(other.presence, head + session.jid.wire + tail)


def unavailable(to: JID, sender: JID, last: LastPresence | None) -> Presence:
    """The unavailable presence of an account that is away, with the status it left, if any."""
    text = None if last is None else last.status
    status = () if text is None else (f"<status>{escape(text)}</status>".encode(),)
    return Presence.make(to, sender, *status, type="unavailable")
