"""Changes of privacy: viewers that may no longer see a session see it leave; others see it
return.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from xmppd.cluster.bus import ask_all
from xmppd.cluster.entries.accounts import ListsStored
from xmppd.events import Events
from xmppd.presence.presence_manager import PresenceManager, one_by_one, tell
from xmppd.privacy.privacy_list import Kind, PrivacyList, Standing
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.roster.roster import Roster
from xmppd.roster.roster_manager import ContactChanged, RosterManager
from xmppd.roster.subscription import SUBSCRIBED
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import JID, Condition, Later, Presence, StanzaError

ASK_S = 5.0
"""The time for which a client that changes a list waits for the account's other nodes."""


@dataclass(frozen=True, slots=True)
class PrivacySwitched:
    """Another list decides from now on which viewers see a session; those that hear its broadcasts
    have been told.
    """

    session: Session


class PrivacyChanges:
    """Changes lists, or the list in force for a session; then shows what follows from it (PL-7).

    The lists are stored first. A session and its contacts see each other come or leave in one go; a
    long broadcast of the account is finished before that.
    """

    def __init__(
        self,
        lists: PrivacyListManager,
        rosters: RosterManager,
        presences: PresenceManager,
        routing_table: RoutingTable,
        events: Events,
    ) -> None:
        self.lists = lists
        self.rosters = rosters
        self.presences = presences
        self.routing_table = routing_table
        self.events = events

    # -- an account's lists -----------------------------------------------------------------------

    async def save(self, account: JID, changed: PrivacyList) -> None:
        """Add or replace a list."""
        await self.lists.save(account, changed)
        await self._renew(account)

    async def remove(self, account: JID, name: str, *, by: Session | None) -> None:
        """Remove a list.

        Args:
            account: Bare JID.
            name: Of the list.
            by: The session that asks; None for an administrator, who need not mind whom it is in
                force for.

        Raises:
            StanzaError: CONFLICT: it is in force for another session than the one that asks.
        """
        known = await self.lists.lists(account)
        known.found(name)
        self._check_unused(account, name, by, is_default=known.default_name == name)
        await self.lists.remove(account, name)
        await self._renew(account)

    async def set_default(self, account: JID, name: str | None, *, by: Session | None) -> None:
        """Make a list the default one, or decline any.

        Args:
            account: Bare JID.
            name: Of the list; None for no list.
            by: As for :meth:`remove`.

        Raises:
            StanzaError: CONFLICT: the present one is in force for another session.
        """
        known = await self.lists.lists(account)
        if name is not None:
            known.found(name)
        if known.default_name not in (None, name):
            self._check_unused(account, None, by, is_default=True)
        await self.lists.set_default(account, name)
        await self._renew(account)

    async def block(self, account: JID, jids: Iterable[JID], *, by_client: bool = True) -> None:
        """Deny these JIDs everything.

        Args:
            account: Bare JID.
            jids: Those that are blocked.
            by_client: Whether a client asks for it: then it is that request which is told to the
                others, in place of the change (:xep:`0191`, §3.3).
        """
        await self.lists.block(account, jids, by_client=by_client)
        await self._renew(account)

    async def unblock(
        self, account: JID, jids: Iterable[JID] | None, *, by_client: bool = True
    ) -> None:
        """Take these JIDs, or all (None), out of the blocklist; as :meth:`block`."""
        await self.lists.unblock(account, jids, by_client=by_client)
        await self._renew(account)

    def _check_unused(
        self, account: JID, name: str | None, by: Session | None, *, is_default: bool
    ) -> None:
        if by is None:
            return
        for session in self.routing_table.sessions(account.bare):
            active = active_list(session)
            in_force = is_default if active is None else active == name
            if in_force and session is not by:
                raise StanzaError(Condition.CONFLICT, "the list is active for another resource")

    async def _renew(self, account: JID) -> None:
        """Put the lists in force for the account's sessions, on all nodes (CL-46)."""
        await self.renew(account)
        nodes = await self.routing_table.nodes_to_tell(account.bare)
        if nodes:
            await ask_all(self.routing_table.bus, nodes, ListsStored(account.bare), ASK_S)

    async def renew(self, account: JID) -> None:
        """Put the lists in force for the account's sessions that are here."""
        await self._ready(account)
        waiting = []
        for session in self.routing_table.sessions_here(account.bare):
            switching = self._switch(session, self._in_force(session, active_list(session)))
            waiting.append(switching)
        await one_by_one(*waiting)

    # -- a session --------------------------------------------------------------------------------

    async def activate(self, session: LocalClientSession, name: str | None) -> None:
        """Make a list the active one of a session, or decline any (:xep:`0016`, §2.4).

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none of this name.
        """
        await self._ready(session.jid)
        if name is not None:
            (await self.lists.lists(session.jid)).found(name)
        switching = self._switch(session, self._in_force(session, name))
        if switching is not None:
            await switching

    async def hide(self, session: LocalClientSession, *, probes: bool) -> None:
        """Make a session invisible (:xep:`0186`, §3.1).

        Those that saw it see it leave, and if they see no other session of the account, the time is
        kept as that of its last presence.
        """
        account = session.jid.to_bare()
        await self._ready(account)
        was_seen = session.presence is not None and not is_invisible(session)
        hidden = self.lists.in_force(
            account, active=active_list(session), invisible=True, probes=probes
        )
        switching = self._switch(session, hidden)
        if switching is not None:
            await switching
        if was_seen and self.presences.seems_gone(account.bare):
            later = self.presences.left(account, None)
            if later is not None:
                await later

    async def show(self, session: LocalClientSession) -> bool:
        """Make an invisible session visible: as one that has not sent presence yet (§3.2).

        Addressees of its directed presence still have to be told when it leaves.

        Returns:
            Whether it was available while it was invisible.
        """
        await self._ready(session.jid)
        hidden = session.privacy
        if hidden is None or not hidden.invisible:
            return False
        was_available = session.presence is not None
        if was_available:
            self._withdraw(session, hidden)
        session.privacy = self.lists.in_force(session.jid.to_bare(), active=hidden.active)
        self.routing_table.siblings.tell(session)
        return was_available

    def _withdraw(self, session: LocalClientSession, hidden: SessionPrivacy) -> None:
        gone = Presence.make(None, session.jid, type="unavailable")
        roster = self.rosters.loaded(session.jid.bare)
        if roster is not None:
            copies = roster.broadcast(gone, session)  # to the account's own resources alone
            assert isinstance(copies, int), "the account is quiet"
        session.become_unavailable()
        self.presences.remote.forget_seen(session)
        self.routing_table.refresh(session)

    async def _ready(self, account: JID) -> None:
        """Read the lists, and wait until the account's earlier broadcasts have ended."""
        await self.lists.lists(account)
        broadcasts = self.rosters.broadcasts
        while broadcasts.under_way(account.bare):
            await broadcasts.quiet(account.bare)

    def _in_force(self, session: Session, active: str | None) -> SessionPrivacy | None:
        old = session.privacy
        return self.lists.in_force(
            session.jid.to_bare(),
            active=active,
            invisible=is_invisible(session),
            probes=old is None or old.probes,
        )

    # -- what follows -----------------------------------------------------------------------------

    def _switch(self, session: LocalClientSession, new: SessionPrivacy | None) -> Later:
        """Put this in force, and tell every viewer for whom that makes a difference."""
        old, roster = session.privacy, self.rosters.loaded(session.jid.bare)
        self._put_in_force(session, new)
        self.routing_table.siblings.tell(session)
        later = None if roster is None else self._switch_elsewhere(session, roster, old, new)
        self.events.fire(PrivacySwitched(session))
        return later

    def _put_in_force(self, session: Session, new: SessionPrivacy | None) -> None:
        old = session.privacy
        roster = self.rosters.loaded(session.jid.bare)
        self._hide_remote(session, new)
        if roster is None or session.presence is None:
            session.privacy = new
            self._say_goodbye(session, (), new)
            return
        lost = [jid for jid in self._lookers(roster) if shows(old, jid) and not shows(new, jid)]
        won = [jid for jid in self._lookers(roster) if shows(new, jid) and not shows(old, jid)]
        seen = list(self._seen_by(session, roster))
        for other in seen:
            if lets(old, "presence-in", other.jid) and not lets(new, "presence-in", other.jid):
                gone = Presence.make(session.jid, other.jid, type="unavailable")
                session.deliver(gone, gone.wire(), ours=True)
        session.privacy = new
        self._say_goodbye(session, lost, new)
        for jid in won:
            self.presences.deliver(session.presence.addressed(jid))
        for other in seen:
            if lets(new, "presence-in", other.jid) and not lets(old, "presence-in", other.jid):
                tell(session, other)
        if old is not None:
            self._show_remote(session, roster.subscribed_to, old, new)

    # -- people at other nodes --------------------------------------------------------------------

    def _switch_elsewhere(
        self,
        session: LocalClientSession,
        roster: Roster,
        old: SessionPrivacy | None,
        new: SessionPrivacy | None,
    ) -> Later:
        """Tell the viewers at other nodes, and show the session those there as it sees them now."""
        interest = self.routing_table.interest
        if session.presence is None or not (interest.elsewhere or interest.known_at):
            return None
        people, apart = roster.listeners(old)
        told, told_apart = roster.listeners(new)
        named = dict.fromkeys(each.account for each in told_apart)
        saw = dict.fromkeys((*people, *(each.account for each in apart)))
        see = dict.fromkeys(told)
        other = [each for each in told_apart if each not in apart]
        gone = Presence.make(None, session.jid, type="unavailable")
        lost = [bare for bare in saw if bare not in see and bare not in named]
        interest.say_goodbye(session, gone, lost, other)
        won = [bare for bare in see if bare not in saw]
        won_apart = [each for each in other if each.account not in people]
        won_apart += [each.opposite() for each in apart if each.account in see]
        interest.tell(session, session.presence, won, won_apart)
        self._hide_from(session, new)
        seen = [
            contact.bare
            for contact in roster.subscribed_to
            if contact.bare in interest.elsewhere and old is not None and may_win(old, new, contact)
        ]
        return self._see(session, seen) if seen else None

    async def _see(self, session: LocalClientSession, contacts: list[str]) -> None:
        await self.presences.introductions.meet(session, see=contacts)

    def _hide_from(self, session: LocalClientSession, new: SessionPrivacy | None) -> None:
        """Show sessions of other nodes as gone that a session may not see any more."""
        for full in tuple(session.seen):
            jid = JID.prepared(full)
            if not lets(new, "presence-in", jid):
                del session.seen[full]
                gone = Presence.make(session.jid, jid, type="unavailable")
                session.deliver(gone, gone.wire(), ours=True)

    def _hide_remote(self, session: Session, new: SessionPrivacy | None) -> None:
        """Show addresses elsewhere as gone, if a session saw them and may not see them any more."""
        seen = self.presences.remote.seen_by(session)
        denied = [
            seen_presence
            for seen_presence in seen
            if not lets(new, "presence-in", seen_presence.jid)
        ]
        self.presences.remote.say_goodbye(session, denied)

    def _show_remote(
        self,
        session: Session,
        contacts: Iterable[JID],
        old: SessionPrivacy,
        new: SessionPrivacy | None,
    ) -> None:
        """Show contacts elsewhere that a session may see again, or probe them."""
        won = [
            contact
            for contact in contacts
            if not self.routing_table.is_local(contact) and may_win(old, new, contact)
        ]
        if won:
            self.presences.remote.probe(session, won)

    def _lookers(self, roster: Roster) -> Iterator[JID]:
        """The viewers of an account; of those here each resource that is available."""
        for viewer in roster.viewers():
            if self.routing_table.is_local(viewer):
                here = self.routing_table.available_here(viewer.bare)
                yield from (other.jid for other in here)
            else:
                yield viewer

    def _seen_by(self, session: Session, roster: Roster) -> Iterator[Session]:
        """The sessions of contacts here that a session sees, or that sent it directed presence."""
        knows = self.presences.directed.knows
        for contact in roster.subscribed_to:
            theirs = self.rosters.loaded(contact.bare)
            may_see = theirs is not None and theirs.may_be_seen_by(session.jid)
            for other in self.routing_table.sessions_here(contact.bare):
                shown = other.presence is not None and self.presences.shows(other, session.jid)
                if (may_see and shown) or knows(other.jid, session.jid):
                    yield other

    def _say_goodbye(
        self, session: Session, lost: Iterable[JID], new: SessionPrivacy | None
    ) -> None:
        """Send "unavailable" to those that saw the session by its roster, and to its addressees."""
        gone = Presence.make(None, session.jid, type="unavailable")
        directed = self.presences.directed
        hides = new is not None and new.invisible and session.presence is not None
        told = [
            jid
            for jid in directed.receivers(session.jid)
            if hides or not lets(new, "presence-out", jid)
        ]
        for jid in told:
            directed.withdrawn(session.jid, jid)
        self.presences.say_goodbye(gone, (*lost, *told))

    def contact_changed(self, change: ContactChanged) -> None:
        """Follow a contact to other groups or another subscription, which lists may name."""
        roster, jid = change.roster, JID.prepared(change.jid)
        for session in self.routing_table.sessions_here(roster.account.bare):
            privacy = session.privacy
            if privacy is None or privacy.rules is None or not privacy.rules.needs_roster:
                continue
            if session.presence is not None and roster.items.get(change.jid) != change.before:
                self._contact_moved(session, privacy, change, jid)

    def _contact_moved(
        self,
        session: LocalClientSession,
        privacy: SessionPrivacy,
        change: ContactChanged,
        contact: JID,
    ) -> None:
        before, now = privacy.as_if(_Was(change.roster.standing_of(change.before))), privacy
        saw = change.before is not None and change.before.subscription in SUBSCRIBED
        if saw and change.roster.is_subscribed(contact) and session.presence is not None:
            if shows(before, contact) and not shows(now, contact):
                gone = Presence.make(None, session.jid, type="unavailable")
                self.presences.say_goodbye(gone, (contact,))
            elif shows(now, contact) and not shows(before, contact):
                self.presences.show_contact(session, contact)
        if not self.routing_table.is_local(contact):
            self._hide_remote(session, now)
            if change.roster.sees(contact):
                self._show_remote(session, (contact,), before, now)
            return
        if contact.bare in self.routing_table.elsewhere:
            self._hide_from(session, now)
            if change.roster.sees(contact) and may_win(before, now, contact):
                Deferred.fromCoroutine(self._see(session, [contact.bare]))  # it never fails
        theirs = self.rosters.loaded(contact.bare)
        if theirs is None or not theirs.may_be_seen_by(session.jid):
            return
        for other in self.presences.shown(contact.bare, session.jid):
            was = before.lets("presence-in", other.jid)
            if was and not now.lets("presence-in", other.jid):
                gone = Presence.make(session.jid, other.jid, type="unavailable")
                session.deliver(gone, gone.wire(), ours=True)
            elif not was and now.lets("presence-in", other.jid):
                tell(session, other)


class _Was:
    """A contact before a change."""

    def __init__(self, was: Standing) -> None:
        self.was = was

    def standing(self, jid: JID) -> Standing:
        """The standing of the contact before; no other is asked for."""
        return self.was


def active_list(session: Session) -> str | None:
    """The name of a session's active list; None if it has none."""
    return None if session.privacy is None else session.privacy.active


def is_invisible(session: Session) -> bool:
    """Whether a session is invisible (:xep:`0186`)."""
    return session.privacy is not None and session.privacy.invisible


def lets(privacy: SessionPrivacy | None, kind: Kind, jid: JID) -> bool:
    """Whether the privacy in force lets this pass."""
    return privacy is None or privacy.lets(kind, jid)


def may_win(old: SessionPrivacy, new: SessionPrivacy | None, contact: JID) -> bool:
    """Whether a session may see a contact from now on, or some of its resources, and did not
    before.
    """
    denied = not old.lets("presence-in", contact) or old.tells_apart(contact.bare)
    return denied and lets(new, "presence-in", contact)


def shows(privacy: SessionPrivacy | None, viewer: JID) -> bool:
    """Whether the privacy in force shows a session to this viewer."""
    return privacy is None or privacy.shows_to(viewer)
