"""Arrivals: presence between nodes, as the node with the viewers takes it."""

from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from xmppd.cluster.bus import Outcome
from xmppd.cluster.entries.entry import MAX_ACCOUNTS
from xmppd.cluster.entries.presence import Apart, Arrived, Gone, Here, SentPresence, Shows, Telling
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import Location, NodeId
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.presence.moved_presence import MovedAway, MovedPresence
from xmppd.presence.presence_manager import PresenceManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionClosed
from xmppd.stanza import JID, Presence

ACCOUNTS_PER_SLICE = 1_000
"""Some 2 ms of looking through what they saw."""


class Arrivals:
    """Shows people here who comes, changes and goes at other nodes, and tells newcomers there who
    is here.

    Args:
        presences: Those of sessions here, and what these were shown.
        moved: Sessions that have gone to another node.
        clock: Tells when a lost node has been gone for long enough.
        next_turn: Waits for the next turn of the reactor.
        grace_s: The time in which people of a lost node may come back unnoticed.
    """

    def __init__(
        self,
        presences: PresenceManager,
        moved: MovedPresence,
        clock: IReactorTime,
        next_turn: Callable[[], Awaitable[None]],
        grace_s: float,
    ) -> None:
        self.clock = clock
        self.next_turn = next_turn
        self.grace_s = grace_s
        self.presences = presences
        self.moved = moved
        self.rosters = presences.rosters
        self.routing_table = presences.routing_table
        self.interest = self.routing_table.interest
        self.sightings = presences.introductions.sightings

    def put_in(self, entries: EntryHandler) -> None:
        """Handle what concerns presence."""
        entries.put(Telling, self.told)
        entries.put(Arrived, self.arrived)
        entries.put(Gone, self.gone)
        entries.put(Shows, self.shows)

    def told(self, sender: NodeId, entry: Telling) -> Outcome:
        """Take a presence for people here."""
        sent = entry.sent
        if entry.directed:
            for address in entry.to:
                self._hand(sender, sent, JID.prepared(address))
        elif sent.type is not None:
            self._say_goodbye(sender, sent, entry.to, entry.apart)
        elif self._show(sender, sent, entry.to, entry.apart):
            self.interest.note(sent.account, Location(sender, sent.serial))
        return None

    def _hand(self, node: NodeId, sent: SentPresence, to: JID) -> None:
        """Deliver directed presence to a session here, or to all of an account."""
        presence = sent.stanza().addressed(to)
        reached = self.presences.reached(to)
        for session in reached:
            session.deliver(presence, presence.wire())
            if sent.type is not None:
                session.seen.pop(sent.session, None)  # its client believes that it is gone
        if sent.type is not None:
            self.sightings.withdraw(to.full, sent.session)
        elif reached:
            self.sightings.handed(to.full, sent.session, node)

    def arrived(self, sender: NodeId, entry: Arrived) -> Outcome:
        """Take a newcomer: show it, and answer whom it may see."""
        users = self.routing_table.users
        unread = [bare for bare in entry.see if bare in users and not self.rosters.loaded(bare)]
        return self._answer_behind(unread, sender, entry) if unread else self._answer(sender, entry)

    async def _answer_behind(self, unread: list[str], sender: NodeId, entry: Arrived) -> Here:
        for bare in unread:
            await self.rosters.roster(JID.prepared(bare))
        return self._answer(sender, entry)

    def _answer(self, sender: NodeId, entry: Arrived) -> Here:
        viewer, users = JID.prepared(entry.viewer), self.routing_table.users
        named = (each.account for each in entry.apart)
        people = dict.fromkeys((*entry.tell, *named, *entry.see))
        here = [bare for bare in people if bare in users]
        for bare in here if entry.serial else ():
            self.interest.know(bare, sender)
        if here and entry.serial:
            self.interest.note(viewer.bare, Location(sender, entry.serial))
        watchers: list[str] = []
        if entry.everybody:
            found = self.rosters.shared_groups.watchers(viewer.bare, users)
            watchers = [bare for bare in found if bare not in people][:MAX_ACCOUNTS]
            for bare in watchers:
                self.interest.know(bare, sender)
        if entry.sent is not None:
            self._show(sender, entry.sent, (*entry.tell, *watchers), entry.apart)
        for address in entry.directed:
            self.sightings.handed_on(address, entry.viewer, sender)
        seen = [sent for bare in entry.see for sent in self._seen_by(viewer, bare)]
        return Here(seen, [bare for bare in people if bare not in users], watchers)

    def _seen_by(self, viewer: JID, bare: str) -> Iterable[SentPresence]:
        """The presences of an account here that a viewer may see."""
        roster = self.rosters.loaded(bare)
        if roster is not None and roster.may_be_seen_by(viewer):
            for session in self.presences.shown(bare, viewer):
                if session.presence is not None:
                    yield SentPresence.of(session.presence, session.serial, session.count)

    def gone(self, sender: NodeId, entry: Gone) -> Outcome:
        """Take note that an account has left a node."""
        self.interest.unnote(entry.account, Location(sender, entry.serial))
        return None

    def shows(self, sender: NodeId, entry: Shows) -> Outcome:
        """Show the sessions of an account that are here to somebody."""
        return self.presences.show_own(JID.prepared(entry.account), JID.prepared(entry.viewer))

    def _show(
        self, node: NodeId, sent: SentPresence, to: Iterable[str], apart: Iterable[Apart]
    ) -> bool:
        """Show a presence to people here for whom it is news.

        Returns:
            Whether some of them are here.
        """
        if self.presences.introductions.is_replaced(sent):
            return False
        presence = sent.stanza()
        head, tail = presence.around_to()
        mark, own = self.sightings.mark(node, sent), sent.account
        users = self.routing_table.users
        somebody = False
        for bare in to:
            routes = users.get(bare)
            if routes is None:
                continue
            somebody = True
            data = b""
            for session in routes.available_here:
                if self._is_news(session, presence, sent, mark):
                    if bare == own:
                        data = head + session.jid.wire + tail
                    elif not data:  # which all sessions of a contact share
                        data = head + JID.prepared(bare).wire + tail
                    session.deliver(presence, data)
        for each in apart:
            for session in self.routing_table.available_here(each.account):
                somebody = True
                if each.shows_to(session.jid.full) and self._is_news(session, presence, sent, mark):
                    session.deliver(presence, head + session.jid.wire + tail)
        return somebody

    def _is_news(
        self, session: LocalClientSession, presence: Presence, sent: SentPresence, mark: int
    ) -> bool:
        if session.privacy is not None and not session.privacy.lets_in(presence):
            return False
        return self.sightings.shows(session, sent, mark)

    def _say_goodbye(
        self, node: NodeId, sent: SentPresence, to: Iterable[str], apart: Iterable[Apart]
    ) -> None:
        """Take back a session from those here to whom it was shown, or who were sent directed
        presence.
        """
        gone = sent.stanza()
        mark, users = self.sightings.mark(node, sent), self.routing_table.users
        told: set[LocalClientSession] = set()
        for address in to:
            handed = self.sightings.withdraw(address, sent.session)
            if address not in users and not handed:
                continue
            jid = JID.prepared(address)
            for session in self.presences.reached(jid):
                handed_now = handed and session not in told
                if self.sightings.hides(session, sent, mark, handed=handed_now):
                    told.add(session)
                    self.sightings.withdraw(session.jid.full, sent.session)
                    named = session.jid if jid.bare == sent.account else jid
                    session.deliver(gone, gone.addressed(named).wire())
        for each in apart:
            for session in self.routing_table.available_here(each.account):
                sees = each.shows_to(session.jid.full)
                if not sees and self.sightings.hides(session, sent, mark):
                    session.deliver(gone, gone.addressed(session.jid).wire())

    def closed(self, event: SessionClosed) -> None:
        """Forget what directed presence a session that has ended was handed."""
        jid = event.session.jid
        if jid.full in self.routing_table.bound:
            return  # it has been taken up again (CL-100)
        self.sightings.closed(jid.full)
        if jid.bare not in self.routing_table.users:
            self.sightings.closed(jid.bare)

    # -- a node that is lost ----------------------------------------------------------------------

    def lost(self, node: NodeId) -> None:
        """Take note that a node is lost, or has left: after the grace whoever was seen there, and
        has not come back, is gone (CL-36).
        """
        self.interest.forget_knowing(node)
        self.clock.callLater(self.grace_s, self._mourn, node, self.moved.lost(node))

    def look_for_nodes(self, membership: Membership) -> None:
        """Take note of nodes that were lost while this one was stopped."""
        for node in self.sightings.nodes:
            if not membership.is_in(node):
                self.lost(node)

    def _mourn(self, node: NodeId, moved: Iterable[MovedAway]) -> None:
        Deferred.fromCoroutine(self._say_goodbyes_of(node, moved))  # it never fails

    async def _say_goodbyes_of(self, node: NodeId, moved: Iterable[MovedAway]) -> None:
        """Show all that are still seen at a lost node as gone, in slices; also at other nodes those
        that have gone there from here (CL-103).
        """
        users = self.routing_table.users
        for number, bare in enumerate(tuple(users), 1):
            for session in self.routing_table.available_here(bare):
                for full in self.sightings.lost(session, node):
                    self._show_as_gone(session, JID.prepared(full))
            if number % ACCOUNTS_PER_SLICE == 0:
                await self.next_turn()
        for address, full in self.sightings.handed_by(node):
            self._take_back(JID.prepared(address), JID.prepared(full))
        self.sightings.forget_node(node)
        for each in moved:
            await self.moved.say_goodbye(each)

    def _take_back(self, to: JID, sender: JID) -> None:
        """Take back directed presence, unless its sender is seen again."""
        if not self.routing_table.is_local(to):
            self.routing_table.route(Presence.make(to, sender, type="unavailable"))
            return
        for session in self.presences.reached(to):
            if sender.full not in session.seen:
                self._show_as_gone(session, sender)

    def _show_as_gone(self, session: LocalClientSession, sender: JID) -> None:
        gone = Presence.make(session.jid, sender, type="unavailable")
        session.deliver(gone, gone.wire(), ours=True)


__all__ = ["ACCOUNTS_PER_SLICE", "Arrivals"]
