"""PresenceSubscribeHandler: subscribe, subscribed, unsubscribe and unsubscribed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from twisted.internet.defer import DeferredLock

from xmppd.events import Events
from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster import Roster, visible
from xmppd.roster.roster_manager import RosterManager
from xmppd.roster.subscription import (
    RECEIVED,
    SENT,
    SUBSCRIBED,
    Move,
    State,
    farewells,
    in_state,
    state_of,
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
        self._turns: dict[frozenset[str], DeferredLock] = {}

    async def process(self, presence: Presence) -> None:
        """Take a subscription stanza of an account here, or of one elsewhere.

        Raises:
            StanzaError: BAD_REQUEST: it has no addressee; NOT_ALLOWED: to oneself, or by a
                guest; RESOURCE_CONSTRAINT: the roster is full, or too many requests wait there;
                REMOTE_SERVER_NOT_FOUND, or another error of the route: the request cannot leave.
        """
        if presence.to is None:
            raise StanzaError(Condition.BAD_REQUEST, "a subscription is asked of somebody")
        sender, to = presence.sender.to_bare(), presence.to.to_bare()
        bare = presence.addressed(to, sender)
        if to.local is None and self.routing_table.is_local(to):
            self._from_the_server(bare)  # PS-1
        elif sender.bare == to.bare:
            raise StanzaError(Condition.NOT_ALLOWED, "an account sees itself without asking")
        else:
            async with self._turn(sender, to):
                await self._both_sides(bare, sender, to)

    def agreed(self, one: JID, other: JID) -> None:
        """Let two accounts see each other from now on, and send both the other's presence at once
        (PS-8).
        """
        for subscriber, contact in ((one, other), (other, one)):
            self.events.fire(Subscribed(subscriber, contact))
            self.presences.send_presences(contact, subscriber)

    async def remove(self, account: JID, contact: JID) -> None:
        """Remove a contact and end both subscriptions (:rfc:`6121#section-2.5`, RO-11).

        Raises:
            StanzaError: ITEM_NOT_FOUND: it is none; NOT_ACCEPTABLE: a shared group brings it.
        """
        async with self._turn(account, contact):
            roster = await self.rosters.roster(account)
            item = roster.items.get(contact.full)
            if item is None:
                shared = contact.full in roster.shared_groups.items(account.bare)
                raise StanzaError(Condition.NOT_ACCEPTABLE if shared else Condition.ITEM_NOT_FOUND)
            for kind in farewells(item):
                await self._end(account, contact, kind)
            await self.rosters.remove(roster, contact.full)

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

    @asynccontextmanager
    async def _turn(self, one: JID, other: JID) -> AsyncIterator[None]:
        """A context in which no other stanza between these two is handled."""
        pair = frozenset((one.bare, other.bare))
        turn = self._turns.setdefault(pair, DeferredLock())
        await turn.acquire()
        try:
            yield
        finally:
            turn.release()
            if not turn.locked and self._turns.get(pair) is turn:
                del self._turns[pair]

    async def _both_sides(self, presence: Presence, sender: JID, to: JID) -> None:
        if not self.routing_table.is_local(sender) or await self._sent(presence, sender, to):
            await self._pass_on(presence, sender, to)

    def _from_the_server(self, presence: Presence) -> None:
        if presence.type == "subscribe" and presence.to is not None:
            self.presences.deliver(Presence.make(presence.sender, presence.to, type="unsubscribed"))

    async def _sent(self, presence: Presence, sender: JID, to: JID, *, push: bool = True) -> bool:
        """Change the sender's side; returns whether the stanza goes on to the contact (PS-3)."""
        await self.rosters.check_owner(sender)
        roster = await self.rosters.roster(sender)
        kind = presence.type or ""
        item = roster.items.get(to.bare)
        move = SENT[kind][state_of(item)]
        if kind == "unsubscribed" and _was_seen(item):
            self._hide(roster, to)
        await self._moved(roster, to, item, move, approves=_approves(kind, item, move), push=push)
        return move.passes

    def _hide(self, roster: Roster, viewer: JID) -> None:
        """Show the account as gone to a viewer that loses its subscription (PS-9).

        Not so if a shared group still shows it. It is sent before anything waits: a session that
        leaves meanwhile would tell its subscribers, and the viewer is none any more.
        """
        if not roster.shared_groups.sees(viewer.bare, roster.account.bare):
            self.presences.send_unavailable(roster.account, viewer)
        self.events.fire(Unsubscribed(viewer, roster.account))

    async def _moved(
        self,
        roster: Roster,
        contact: JID,
        item: RosterItem | None,
        move: Move,
        *,
        pending: bytes | None = None,
        approves: bool | None = None,
        push: bool = True,
        before_push: Callable[[], None] | None = None,
    ) -> None:
        """Bring the contact's item into its new state, saved and pushed if that changed (PS-12)."""
        if item is None:
            if move.state is State.NONE and not approves:
                return
            if pending is not None:
                pending = _with_room(roster, contact, pending)
        after = in_state(item or RosterItem(contact.bare), move.state, pending)
        if approves is not None:
            after = replace(after, approved=approves)
        if item is not None and not visible(item) and after == RosterItem(contact.bare):
            # A request that is over leaves nothing behind.
            await self.rosters.remove(roster, contact.bare, push=False)
            if before_push is not None:
                before_push()
        elif after != item:
            await self.rosters.save(roster, after, push=push, before_push=before_push)

    async def _pass_on(self, presence: Presence, sender: JID, to: JID) -> None:
        """Pass it on to the contact: to another server, or to its own side of this one (PS-4)."""
        if not self.routing_table.is_local(to):
            self._leave(presence, sender, to)
        elif await self.accounts.exists(to.bare):
            await self._received(presence, sender, to)
        elif presence.type == "subscribe":  # :rfc:`6121#section-3.1.3`
            await self._answer(to, sender, "unsubscribed")

    def _leave(self, presence: Presence, sender: JID, to: JID) -> None:
        """Send it to another server, with the presence behind an approval (PS-8)."""
        if not self.routing_table.route(presence) and presence.type == "subscribe":
            raise self.routing_table.unreached(presence)  # PR-17
        if presence.type == "subscribed" and self.routing_table.is_local(sender):
            self._show_presence(to, sender)

    async def _received(self, presence: Presence, sender: JID, to: JID) -> None:
        kind = presence.type or ""
        if kind == "subscribe" and await self.presences.privacy_lists.denies(to, "other", sender):
            return  # PL-3
        roster = await self.rosters.roster(to)
        item = roster.items.get(sender.bare)
        if kind == "subscribe" and (_was_seen(item) or (item is not None and item.approved)):
            await self._agree(roster, sender, to, item)  # PS-6
            return
        move = RECEIVED[kind][state_of(item)]
        if kind == "subscribe":
            await self._moved(roster, sender, item, move, pending=_kept(presence), push=False)
            if move.passes:
                self.presences.deliver(presence)
            return
        if kind == "unsubscribe" and _was_seen(item):
            self._hide(roster, sender)
        tell = partial(self.presences.deliver_to_interested, presence)
        await self._moved(roster, sender, item, move, before_push=tell)  # §3.1.6
        if move.passes and kind == "subscribed" and self.routing_table.is_local(sender):
            self._show_presence(to, sender)

    async def _agree(self, roster: Roster, sender: JID, to: JID, item: RosterItem | None) -> None:
        """Answer a request that was agreed to before it came (:rfc:`6121#section-3.4`)."""
        if item is not None and item.subscription not in SUBSCRIBED:
            seen = "both" if item.subscription == "to" else "from"
            await self.rosters.save(
                roster, replace(item, subscription=seen, approved=False, pending_in=None)
            )
        await self._answer(to, sender, "subscribed")

    async def _answer(self, account: JID, to: JID, kind: str) -> None:
        answer = Presence.make(to, account, type=kind)
        if self.routing_table.is_local(to):
            await self._received(answer, account, to)
        else:
            self._leave(answer, account, to)

    def _show_presence(self, subscriber: JID, contact: JID) -> None:
        """Send the contact's presence to its new subscriber at once (PS-8)."""
        self.events.fire(Subscribed(subscriber, contact))
        self.presences.send_presences(contact, subscriber)


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
        raise StanzaError(Condition.RESOURCE_CONSTRAINT, "too many requests wait there")
    free_bytes = MAX_REQUESTS_BYTES - sum(size for _, size in waiting)
    if has_share(sum(of_domain), len(pending), free_bytes):
        return pending
    return _bare(stranger, roster.account)


def _was_seen(item: RosterItem | None) -> bool:
    return item is not None and item.subscription in SUBSCRIBED


def _approves(kind: str, item: RosterItem | None, move: Move) -> bool | None:
    """Whether the stanza approves in advance, takes that back, or neither (None)."""
    if kind == "subscribed":
        return not move.passes and not _was_seen(item)
    return False if kind == "unsubscribed" else None


__all__ = ["TYPES", "PresenceSubscribeHandler", "Subscribed", "Unsubscribed"]
