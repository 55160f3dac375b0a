"""PresenceSubscribeHandler: subscribe, subscribed, unsubscribe and unsubscribed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from xmppd.events import Events
from xmppd.host.locks import Locks
from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster import Roster, visible
from xmppd.roster.roster_manager import Change, Decide, RosterManager
from xmppd.roster.subscription import (
    RECEIVED,
    SENT,
    Move,
    State,
    farewells,
    in_state,
    mutual,
    state_of,
    was_seen,
)
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Condition, Presence, StanzaError
from xmppd.store.accounts import AccountStore
from xmppd.store.offline import has_share
from xmppd.store.rosters import RosterItem

TYPES = frozenset(SENT)
MAX_REQUESTS = 500
"""Of addresses that are no contacts, waiting in one roster; they take no room of the contacts."""

SMALL_SHARE = 10
"""Requests that any domain may have waiting, while there is room; more only as its share."""

MAX_REQUEST_BYTES = 4_096
"""A longer request is kept without its further content."""

MAX_REQUESTS_BYTES = 262_144
"""Of all requests that wait in one roster: their owner gets them at each login. Beyond that, or
beyond its domain's share of it, a request is kept without its further content."""


@dataclass(frozen=True, slots=True)
class SubscriptionAsked:
    """Somebody asks to see the contact's presence, and the contact has not answered yet."""

    subscriber: JID
    contact: JID


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The contact lets the subscriber see its presence from now on."""

    subscriber: JID
    contact: JID


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The subscriber does not see the contact's presence any more."""

    subscriber: JID
    contact: JID


class PresenceSubscribeHandler:
    """Moves both rosters through :mod:`xmppd.roster.subscription`'s table (PS-1 to PS-10).

    The stanzas between two accounts are handled one after the other, so that their rosters agree
    whichever store answers first.

    Attributes:
        agrees: Whether a contact has agreed to a request beforehand, which says so itself, as that
            of somebody who was invited does; a plugin may put its own here.
        stanzas: The number that have come to it.
    """

    def __init__(
        self,
        routing_table: RoutingTable,
        rosters: RosterManager,
        presences: PresenceManager,
        accounts: AccountStore,
        events: Events,
    ) -> None:
        self.routing_table = routing_table
        self.rosters = rosters
        self.presences = presences
        self.accounts = accounts
        self.events = events
        self.agrees: Callable[[Presence], Awaitable[bool]] = does_not_agree
        self.stanzas = 0
        self._turns = Locks()

    async def process(self, presence: Presence) -> None:
        """Take a subscription stanza of an account here, or of one elsewhere.

        Raises:
            StanzaError: BAD_REQUEST: it has no addressee; NOT_ALLOWED: to oneself, or by a
                guest; RESOURCE_CONSTRAINT: the roster is full, or too many requests wait there;
                REMOTE_SERVER_NOT_FOUND, or another error of the route: the request cannot leave.
        """
        self.stanzas += 1
        if presence.to is None:
            raise StanzaError(
                Condition.BAD_REQUEST, 'a subscription request must have an address in "to"'
            )
        sender, to = presence.sender.to_bare(), presence.to.to_bare()
        bare = presence.addressed(to, sender)
        if to.local is None and self.routing_table.is_local(to):
            self._from_the_server(bare)  # PS-1
        elif sender.bare == to.bare:
            raise StanzaError(Condition.NOT_ALLOWED, "an account cannot subscribe to itself")
        else:
            async with self._turns.held(frozenset((sender.bare, to.bare))):
                await self._both_sides(bare, sender, to)

    async def agreed(self, one: JID, other: JID) -> None:
        """Let two accounts see each other from now on, and send both the other's presence at once
        (PS-8).
        """
        for subscriber, contact in ((one, other), (other, one)):
            await self._show_presence(subscriber, contact)

    async def befriend(self, one: JID, other: JID) -> None:
        """Make two accounts of ours contacts of each other, which see each other.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: one of their rosters is full; neither is changed.
        """
        pairs = ((one, other), (other, one))
        async with self._turns.held(frozenset((one.bare, other.bare))):
            for account, contact in pairs:
                roster = await self.rosters.roster(account)
                self.rosters.check_room(roster, _friend(contact, roster.items.get(contact.bare)))
            for account, contact in pairs:
                roster = await self.rosters.roster(account)
                befriended = partial(_befriended, contact)
                await self.rosters.change(roster, contact.bare, befriended)
        await self.agreed(one, other)

    async def remove(self, account: JID, contact: JID) -> None:
        """Remove a contact and end both subscriptions (:rfc:`6121#section-2.5`, RO-11).

        Raises:
            StanzaError: ITEM_NOT_FOUND: it is none; NOT_ACCEPTABLE: a shared group brings it.
        """
        async with self._turns.held(frozenset((account.bare, contact.bare))):
            roster = await self.rosters.roster(account)
            item = roster.items.get(contact.full)
            if item is None:
                shared = contact.full in roster.shared_groups.items(account.bare)
                raise StanzaError(Condition.NOT_ACCEPTABLE if shared else Condition.ITEM_NOT_FOUND)
            await self._find(Presence.make(contact, account, type="unsubscribe"))
            for kind in farewells(item):
                await self._end(account, contact, kind)
            left = await self.rosters.change(roster, contact.full, _removed)
            if was_seen(left):  # it was let see the account on another node meanwhile
                self._hide(roster, contact)
            for kind in () if left is None else farewells(left):
                await self._end(account, contact, kind)

    async def _end(self, account: JID, contact: JID, kind: str) -> None:
        """Tell the contact that a subscription ends; the owner's side is about to be removed."""
        presence = Presence.make(contact, account, type=kind)
        if await self._sent(presence, account, contact, push=False):
            await self._pass_on(presence, account, contact)

    def failed(self, error: Presence) -> None:
        """Take an error for a request or probe of an account to a contact elsewhere.

        A contact that cannot be reached is away; a request goes on waiting, and its sender is told.
        """
        account, contact = error.to, error.sender.to_bare()
        roster = None if account is None else self.rosters.loaded(account.bare)
        item = None if roster is None else roster.items.get(contact.bare)
        if account is None or item is None:
            return
        self.presences.remote.hide(account, contact)
        if item.ask:
            self.presences.deliver_to_interested(error)

    async def _both_sides(self, presence: Presence, sender: JID, to: JID) -> None:
        half = presence.payload.passed_on or not self.routing_table.is_local(sender)
        if not half:
            await self._find(presence)
        if half or await self._sent(presence, sender, to):
            await self._pass_on(presence, sender, to)

    async def _find(self, presence: Presence) -> None:
        """Find out where the contact's side is, before the sender's is changed, and wait for what
        was sent it before, if it was at another node then: if that cannot be done, neither side is
        changed (CL-143).

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: it cannot.
        """
        await self._find_way(presence)
        waiting = None if presence.to is None else self.routing_table.wait_for_way(presence.to.bare)
        if waiting is not None:
            await waiting

    async def _find_way(self, presence: Presence) -> None:
        finding = self.routing_table.find_way(presence)
        if finding is not None:
            await finding

    def _from_the_server(self, presence: Presence) -> None:
        if presence.type == "subscribe" and presence.to is not None:
            self.presences.deliver(Presence.make(presence.sender, presence.to, type="unsubscribed"))

    async def _sent(self, presence: Presence, sender: JID, to: JID, *, push: bool = True) -> bool:
        """Change the sender's side; returns whether the stanza goes on to the contact (PS-3)."""
        await self.rosters.check_owner(sender)
        roster = await self.rosters.roster(sender)
        kind = presence.type or ""
        moves = SENT[kind]

        def decide(item: RosterItem | None) -> Change | None:
            move = moves[state_of(item)]
            approves = _approves(kind, item, move)
            return _moved(roster, to, item, move, approves=approves, push=push)

        hides = kind == "unsubscribed"
        before = await self._decided(roster, to, decide, hides=hides)
        return moves[state_of(before)].passes

    async def _decided(
        self,
        roster: Roster,
        contact: JID,
        decide: Decide,
        *,
        hides: bool,
        before_push: Callable[[], None] | None = None,
    ) -> RosterItem | None:
        """Have a contact moved to another state; returns it as it was before.

        Args:
            roster: Of the one side.
            contact: The other side.
            decide: Says where it is moved.
            hides: Whether the contact does not see the account any more.
            before_push: Called when a change is stored, before its owner is told.
        """
        seen = hides and was_seen(roster.items.get(contact.bare))
        if seen:
            self._hide(roster, contact)
        before = await self.rosters.change(roster, contact.bare, decide, before_push=before_push)
        if hides and not seen and was_seen(before):  # it was let see it on another node
            self._hide(roster, contact)
        return before

    def _is_shown(self, account: JID, viewer: JID) -> bool:
        """Whether a shared group shows an account to a viewer, whatever its roster says."""
        return self.rosters.shared_groups.sees(viewer.bare, account.bare)

    def _hide(self, roster: Roster, viewer: JID) -> None:
        """Show the account as gone to a viewer that loses its subscription (PS-9).

        Not so if a shared group still shows it. It is sent before anything waits: a session that
        leaves meanwhile would tell its subscribers, and the viewer is none any more.
        """
        if not self._is_shown(roster.account, viewer):
            self.presences.hide_own(roster.account, viewer)
        self.events.fire(Unsubscribed(viewer, roster.account))

    async def _pass_on(self, presence: Presence, sender: JID, to: JID) -> None:
        """Pass it on to the contact: to another server, or to its own side of this one (PS-4)."""
        if not self.routing_table.is_local(to):
            await self._leave(presence, sender, to)
        elif await self.accounts.exists(to.bare):
            await self._reach(presence, sender, to)

    async def _leave(self, presence: Presence, sender: JID, to: JID) -> None:
        """Send it to another server, with the presence behind an approval (PS-8)."""
        if not self.routing_table.route(presence) and presence.type == "subscribe":
            raise self.routing_table.unreached(presence)  # PR-17
        if presence.type == "subscribed" and self.routing_table.is_local(sender):
            await self._show_presence(to, sender)

    async def _reach(self, presence: Presence, sender: JID, to: JID) -> None:
        """Move the contact's side, at the node where the contact is; here if it is nowhere (CL-45),
        or if that is not known any more: the sender's side is changed already (CL-143). Nor does it
        wait for other nodes, which may wait until what they have sent here was handled.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: it cannot be found out where to ask the contact;
                whoever asks can do so again.
        """
        try:
            await self._find_way(presence)
        except StanzaError:
            if presence.type == "subscribe":
                raise
        if not self.routing_table.pass_on(presence):
            await self._received(presence, sender, to)
        elif presence.type == "unsubscribe" and not self._is_shown(to, sender):
            self.presences.hide_from(sender, (to.bare,))

    async def _received(self, presence: Presence, sender: JID, to: JID) -> None:
        kind = presence.type or ""
        if kind == "subscribe":
            await self._asked(presence, sender, to)
            return
        roster = await self.rosters.roster(to)
        moves = RECEIVED[kind]

        def decide(item: RosterItem | None) -> Change | None:
            return _moved(roster, sender, item, moves[state_of(item)])

        tell = partial(self.presences.deliver_to_interested, presence)  # §3.1.6
        hides = kind == "unsubscribe"
        before = await self._decided(roster, sender, decide, hides=hides, before_push=tell)
        passes = moves[state_of(before)].passes
        if passes and kind == "subscribed" and self.routing_table.is_local(sender):
            await self._show_presence(to, sender)

    async def _asked(self, request: Presence, sender: JID, to: JID) -> None:
        """Take a request to see the account; one that was agreed to before it came is answered
        (PS-6).
        """
        if await self.presences.privacy_lists.denies(to, "other", sender):
            return  # PL-3
        roster = await self.rosters.roster(to)
        agrees = not was_seen(roster.items.get(sender.bare)) and await self.agrees(request)
        moves, pending = RECEIVED["subscribe"], _kept(request)

        def decide(item: RosterItem | None) -> Change | None:
            if was_seen(item):
                return None
            if agrees or (item is not None and item.approved):
                return Change(_agreed(item or RosterItem(sender.bare)))
            return _moved(roster, sender, item, moves[state_of(item)], pending=pending, push=False)

        before = await self.rosters.change(roster, sender.bare, decide)
        if agrees or was_seen(before) or (before is not None and before.approved):
            await self._answer(to, sender, "subscribed")
        elif moves[state_of(before)].passes:
            self.presences.deliver(request)
            self.events.fire(SubscriptionAsked(sender, to))

    async def _answer(self, account: JID, to: JID, kind: str) -> None:
        answer = Presence.make(to, account, type=kind)
        if self.routing_table.is_local(to):
            await self._reach(answer, account, to)
        else:
            await self._leave(answer, account, to)

    async def _show_presence(self, subscriber: JID, contact: JID) -> None:
        """Send the contact's presence to its new subscriber at once (PS-8)."""
        self.events.fire(Subscribed(subscriber, contact))
        showing = self.presences.send_presences(contact, subscriber)
        if showing is not None:
            await showing


def _moved(
    roster: Roster,
    contact: JID,
    item: RosterItem | None,
    move: Move,
    *,
    pending: bytes | None = None,
    approves: bool | None = None,
    push: bool = True,
) -> Change | None:
    """The contact's item in its new state, if that is another one (PS-12)."""
    if item is None:
        if move.state is State.NONE and not approves:
            return None
        if pending is not None:
            pending = _with_room(roster, contact, pending)
    after = in_state(item or RosterItem(contact.bare), move.state, pending)
    if approves is not None:
        after = replace(after, approved=approves)
    if item is not None and not visible(item) and after == RosterItem(contact.bare):
        return Change(None, push=False)  # a request that is over leaves nothing behind
    return None if after == item else Change(after, push=push)


async def does_not_agree(request: Presence) -> bool:
    """Leave every request to its addressee."""
    return False


def _friend(contact: JID, item: RosterItem | None) -> RosterItem:
    return mutual(item or RosterItem(contact.bare))


def _befriended(contact: JID, item: RosterItem | None) -> Change:
    return Change(_friend(contact, item))


def _removed(item: RosterItem | None) -> Change | None:
    """The contact's end, once neither side sees the other."""
    return Change(None)


def _agreed(item: RosterItem) -> RosterItem:
    """A contact that was agreed to before it asked (:rfc:`6121#section-3.4`)."""
    seen = "both" if item.subscription == "to" else "from"
    return replace(item, subscription=seen, approved=False, pending_in=None)


def _kept(request: Presence) -> bytes:
    """The request as it waits for its answer, at each login of its addressee."""
    wire = request.wire()
    return _bare(request.sender, request.to) if len(wire) > MAX_REQUEST_BYTES else wire


def _bare(sender: JID, to: JID | None) -> bytes:
    return Presence.make(to, sender, type="subscribe").wire()


def _with_room(roster: Roster, stranger: JID, pending: bytes) -> bytes:
    """A new request, with as much content as there is room for it and in the share of its domain
    (PS-15).

    Raises:
        StanzaError: RESOURCE_CONSTRAINT: there is none.
    """
    waiting = [
        (JID.prepared(item.jid).domain, len(item.pending_in or b"")) for item in roster.requests
    ]
    of_domain = [size for domain, size in waiting if domain == stranger.domain]
    free = MAX_REQUESTS - len(waiting)
    if free < 1 or (len(of_domain) >= SMALL_SHARE and not has_share(len(of_domain), 1, free)):
        raise StanzaError(Condition.RESOURCE_CONSTRAINT, "too many requests are waiting there")
    free_bytes = MAX_REQUESTS_BYTES - sum(size for _, size in waiting)
    if has_share(sum(of_domain), len(pending), free_bytes):
        return pending
    return _bare(stranger, roster.account)


def _approves(kind: str, item: RosterItem | None, move: Move) -> bool | None:
    """Whether the stanza approves in advance, takes that back, or neither (None)."""
    if kind == "subscribed":
        return not move.passes and not was_seen(item)
    return False if kind == "unsubscribed" else None


__all__ = ["TYPES", "PresenceSubscribeHandler", "Subscribed", "Unsubscribed", "does_not_agree"]
