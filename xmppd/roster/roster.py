"""One account's roster: its contacts, and the broadcasts and pushes to them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from xmppd.cluster.entries.presence import Apart
from xmppd.privacy.privacy_list import UNKNOWN, Standing
from xmppd.privacy.session_privacy import Audience, Contact, SessionPrivacy
from xmppd.roster.broadcasts import Broadcasts, Copies
from xmppd.roster.shared_groups import SharedGroups, mark
from xmppd.roster.subscription import SUBSCRIBED, SUBSCRIBED_TO
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Presence, escape, ns
from xmppd.store.rosters import RosterData, RosterItem


class Roster:
    """The contacts of one account, in memory while it is needed.

    Attributes:
        account: Bare JID of its owner.
        items: By the contact's JID as text.
        version: Of the last push or result that the owner was sent; rises with every change.
        reading: The number of times that it was read again, since another node had changed it.
        unstored: The contacts that have changed and are not stored yet, and how often.
    """

    def __init__(
        self,
        account: JID,
        data: RosterData,
        routing_table: RoutingTable,
        shared_groups: SharedGroups,
        broadcasts: Broadcasts,
    ) -> None:
        self.account = account
        self.items = {item.jid: item for item in data.items}
        self.version = data.version
        self.reading = 0
        self.unstored: Counter[str] = Counter()
        self.routing_table = routing_table
        self.shared_groups = shared_groups
        self.broadcasts = broadcasts
        self._subscribers: tuple[Contact, ...] | None = None
        self._foreign: tuple[JID, ...] = ()
        self._standings: dict[str, Standing] | None = None
        self._groups = shared_groups.groups
        self._as_it_is = object()

    @property
    def subscribers(self) -> tuple[Contact, ...]:
        """The contacts on this server that see this account; kept until anything of the roster
        changes.
        """
        if self._groups is not self.shared_groups.groups:
            self._forget()
        if self._subscribers is None:
            seen_by = [
                JID.prepared(i.jid) for i in self.items.values() if i.subscription in SUBSCRIBED
            ]
            local = self.routing_table.is_local
            self._subscribers = tuple((jid.bare, jid.wire) for jid in seen_by if local(jid))
            foreign = (jid for jid in seen_by if not local(jid))
            self._foreign = tuple(sorted(foreign, key=lambda jid: jid.domain))
        return self._subscribers

    @property
    def subscribed_to(self) -> Iterator[JID]:
        """The contacts that this account sees, shared groups included."""
        for item in self.items.values():
            if item.subscription in SUBSCRIBED_TO:
                yield JID.prepared(item.jid)
        for bare in self.shared_groups.items(self.account.bare):
            if bare not in self.items or self.items[bare].subscription not in SUBSCRIBED_TO:
                yield JID.prepared(bare)

    @property
    def requests(self) -> Iterator[RosterItem]:
        """The subscription requests that the owner has not answered yet."""
        return (item for item in self.items.values() if not visible(item))

    @property
    def count(self) -> int:
        """The number of the owner's contacts."""
        return len(self.items) - sum(1 for _ in self.requests)

    def audience(self, privacy: SessionPrivacy | None) -> Audience:
        """The subscribers that hear the broadcasts of a session with this privacy (RO-1)."""
        contacts = self.subscribers
        if privacy is None:
            return Audience(contacts, self._foreign, ())
        return privacy.audience(contacts, self._foreign, self._as_it_is)

    def viewers(self) -> Iterator[JID]:
        """All accounts that may see this one; those through shared groups only while they are
        online.
        """
        for bare in self.viewers_here():
            yield JID.prepared(bare)
        yield from self.viewers_elsewhere

    def viewers_here(self) -> list[str]:
        """The bare JIDs of those of this server."""
        here = [bare for bare, _ in self.subscribers]
        if self.shared_groups.groups:
            here.extend(self._watchers(self.routing_table.users))
        return here

    @property
    def viewers_elsewhere(self) -> tuple[JID, ...]:
        """Those of other servers."""
        return self.audience(None).elsewhere

    def standing(self, jid: JID) -> Standing:
        """A JID's subscription and groups, those of shared groups included."""
        if self._groups is not self.shared_groups.groups:
            self._forget()
        if self._standings is None:
            self._standings = {item.jid: (item.subscription, item.groups) for item in self.shown()}
        standings = self._standings
        return standings.get(jid.full) or standings.get(jid.bare, UNKNOWN)

    def standing_of(self, item: RosterItem | None) -> Standing:
        """A contact's subscription and groups according to this item."""
        if item is None:
            return UNKNOWN
        shared = self.shared_groups.items(self.account.bare).get(item.jid)
        item = with_shared(item, shared)
        return item.subscription, item.groups

    def may_be_seen_by(self, viewer: JID) -> bool:
        """Whether the viewer may see this account's presence (PM-5)."""
        if viewer.bare == self.account.bare or self.is_subscribed(viewer):
            return True
        return self.shared_groups.sees(viewer.bare, self.account.bare)

    def is_subscribed(self, viewer: JID) -> bool:
        """Whether the owner itself lets the viewer see its presence."""
        item = self.items.get(viewer.bare)
        return item is not None and item.subscription in SUBSCRIBED

    def sees(self, contact: JID) -> bool:
        """Whether the owner itself is subscribed to the contact."""
        item = self.items.get(contact.bare)
        return item is not None and item.subscription in SUBSCRIBED_TO

    def set(self, jid: str, item: RosterItem | None) -> None:
        """Have a contact in memory as it is from now on; None if it is none any more."""
        if item is None:
            self.remove(jid)
        else:
            self.put(item)

    def put(self, item: RosterItem) -> None:
        """Add or replace a contact in memory."""
        self.items[item.jid] = item
        self._forget()

    def remove(self, jid: str) -> None:
        """Remove a contact from memory."""
        self.items.pop(jid, None)
        self._forget()

    def _forget(self) -> None:
        """Forget all that was computed from the roster before a change."""
        self._subscribers = self._standings = None
        self._groups = self.shared_groups.groups
        self._as_it_is = object()

    def broadcast(
        self, presence: Presence, session: LocalClientSession, *, newcomer: bool = False
    ) -> Copies:
        """Send a presence to all subscribers and the account's own resources
        (:rfc:`6121#section-4.4.2`).

        The presence becomes bytes once; each contact costs one splice, and all resources of a
        contact share its bytes. Beyond a thousand contacts it takes several turns of the reactor.
        Each other node with contacts gets one copy.

        Args:
            presence: From a session of the account.
            session: That session.
            newcomer: Whether it is its first one: those at other nodes have to be looked for, and
                are told then.
        """
        privacy = session.privacy
        contacts = self._contacts(privacy)
        interest, broadcasts = self.routing_table.interest, self.broadcasts
        crosses = (interest.elsewhere or interest.known_at) and not newcomer
        is_long = len(contacts) + len(self._foreign) > broadcasts.contacts_per_slice
        is_last = presence is session.presence  # then the session has its bytes already
        around = session.presence_around_to if is_last else presence.around_to()
        if is_long or broadcasts.under_way(self.account.bare):
            return self._broadcast_in_slices(
                presence, around, contacts, session, crosses=bool(crosses)
            )
        copies = self._tell(presence, around, contacts)
        if crosses:
            copies += self._tell_nodes(presence, session)
        if self._foreign:
            copies += self._tell_elsewhere(presence, around, self.audience(privacy).elsewhere)
        return copies + self._tell_apart_and_own(presence, around, privacy)

    async def _broadcast_in_slices(
        self,
        presence: Presence,
        around: tuple[bytes, bytes],
        contacts: tuple[Contact, ...],
        session: LocalClientSession,
        *,
        crosses: bool,
    ) -> int:
        """Send it to all who were contacts at its beginning, also if its session has left
        meanwhile: an "unavailable" follows, so that each contact hears one for one. But nobody who
        has ceased to be a contact is told that the account is available.
        """
        size = self.broadcasts.contacts_per_slice
        privacy = session.privacy
        async with self.broadcasts.turn(self.account.bare):
            copies = self._tell_nodes(presence, session) if crosses else 0
            for start in range(0, len(contacts), size):
                told = contacts[start : start + size]
                if start:
                    await self.broadcasts.next_turn()
                    if presence.type is None:
                        told = self._still(told, privacy)
                copies += self._tell(presence, around, told)
            copies += await self._tell_elsewhere_in_slices(presence, around, privacy)
            return copies + self._tell_apart_and_own(presence, around, privacy)

    async def _tell_elsewhere_in_slices(
        self, presence: Presence, around: tuple[bytes, bytes], privacy: SessionPrivacy | None
    ) -> int:
        size = self.broadcasts.contacts_per_slice
        elsewhere = self.audience(privacy).elsewhere
        copies = 0
        for start in range(0, len(elsewhere), size):
            await self.broadcasts.next_turn()
            told = elsewhere[start : start + size]
            if presence.type is None:
                now = frozenset(self.audience(privacy).elsewhere)
                told = tuple(jid for jid in told if jid in now)
            copies += self._tell_elsewhere(presence, around, told)
        return copies

    def _still(
        self, contacts: tuple[Contact, ...], privacy: SessionPrivacy | None
    ) -> tuple[Contact, ...]:
        now = frozenset(self._contacts(privacy))
        return tuple(contact for contact in contacts if contact in now)

    def _contacts(self, privacy: SessionPrivacy | None) -> tuple[Contact, ...]:
        """The addressees of a broadcast: subscribers, and viewers through a shared group (RO-3)."""
        contacts = self.audience(privacy).contacts
        if not self.shared_groups.groups:
            return contacts
        watchers = self._watchers(self.routing_table.users)
        if privacy is not None:
            watchers = (bare for bare in watchers if privacy.shows_to_watcher(bare))
        return contacts + tuple((bare, JID.prepared(bare).wire) for bare in watchers)

    def _watchers(self, online: Mapping[str, object]) -> Iterator[str]:
        """Those of these accounts that see this one through a shared group alone."""
        for bare in self.shared_groups.watchers(self.account.bare, online):
            item = self.items.get(bare)
            if bare != self.account.bare and (item is None or item.subscription not in SUBSCRIBED):
                yield bare

    def _tell(
        self, presence: Presence, around: tuple[bytes, bytes], contacts: tuple[Contact, ...]
    ) -> int:
        head, tail = around
        copies = 0
        users = self.routing_table.users
        for bare, wire in contacts:
            routes = users.get(bare)
            if routes is not None:
                data = head + wire + tail
                here = routes.available_here
                copies += len(here)
                for session in here:
                    session.deliver(presence, data)
        return copies

    def _tell_nodes(self, presence: Presence, session: LocalClientSession) -> int:
        """Send it to people at other nodes; a goodbye to all who may have been shown the session
        there.
        """
        interest = self.routing_table.interest
        if presence.type is None:
            listeners = self.listeners(session.privacy)
            return interest.tell(session, presence, *listeners)
        interest.say_goodbye(session, presence, self.own_and_viewers())
        return 0

    def listeners(self, privacy: SessionPrivacy | None) -> tuple[list[str], list[Apart]]:
        """The accounts here and at other nodes that hear a session's broadcasts: the owner, its
        contacts, and its viewers through shared groups; and those of whom a rule names a resource.
        """
        audience = self.audience(privacy)
        people = [self.account.bare, *(bare for bare, _ in audience.contacts)]
        apart = list(audience.apart)
        if self.shared_groups.groups:
            for bare in self._watchers(self.routing_table.elsewhere):
                if privacy is None or privacy.shows_to_watcher(bare):
                    people.append(bare)
                elif privacy.tells_apart(bare):
                    apart.append(bare)
        if privacy is None or not apart:
            return people, []
        return people, [privacy.told_apart(bare) for bare in apart]

    def own_and_viewers(self) -> list[str]:
        """The owner and all accounts of ours that may have been shown its sessions."""
        people = [self.account.bare, *(bare for bare, _ in self.subscribers)]
        if self.shared_groups.groups:
            people.extend(self._watchers(self.routing_table.elsewhere))
            people.extend(sorted(self.shared_groups.named_watchers(self.account.bare)))
        return people

    def _tell_apart_and_own(
        self, presence: Presence, around: tuple[bytes, bytes], privacy: SessionPrivacy | None
    ) -> int:
        copies = 0
        if privacy is not None:
            copies += self._tell_apart(presence, around, privacy, self.audience(privacy).apart)
        head, tail = around
        own = self.routing_table.available_here(self.account.bare)
        for session in own:
            session.deliver(presence, head + session.jid.wire + tail)
        return copies + len(own)

    def tell_elsewhere(self, presence: Presence, privacy: SessionPrivacy | None) -> int:
        """Send a presence to the subscribers on other servers."""
        around = presence.around_to()
        return self._tell_elsewhere(presence, around, self.audience(privacy).elsewhere)

    def _tell_elsewhere(
        self, presence: Presence, around: tuple[bytes, bytes], contacts: tuple[JID, ...]
    ) -> int:
        """Send it to contacts on other servers: all of one server in a row, so that they leave
        together.
        """
        head, tail = around
        for domain, there in groupby(contacts, key=attrgetter("domain")):
            route = self.routing_table.way_to(domain)
            if route is not None:
                for jid in there:
                    route.deliver(presence.addressed(jid), head + jid.wire + tail)
        return len(contacts)

    def _tell_apart(
        self,
        presence: Presence,
        around: tuple[bytes, bytes],
        privacy: SessionPrivacy,
        apart: Iterable[str],
    ) -> int:
        """Send it to those contacts' resources that may see it, where a rule names a resource."""
        head, tail = around
        copies = 0
        if self.shared_groups.groups:
            online = self.routing_table.users
            watchers = (bare for bare in self._watchers(online) if privacy.tells_apart(bare))
            apart = (*apart, *watchers)
        for bare in apart:
            for session in self.routing_table.available_here(bare):
                if privacy.shows_to(session.jid):
                    session.deliver(presence, head + session.jid.wire + tail)
                    copies += 1
        return copies

    @property
    def version_text(self) -> str:
        """The ``ver`` of :rfc:`6121#section-2.6`: changes with the roster and with shared
        groups.
        """
        return self._version_text(self.shared_groups.items(self.account.bare))

    def _version_text(self, shared: Mapping[str, RosterItem]) -> str:
        return f"{self.version}-{mark(shared)}" if shared else str(self.version)

    def shown(self) -> Iterator[RosterItem]:
        """The contacts that the owner's clients see: not those that are only a request (RO-12)."""
        shared = self.shared_groups.items(self.account.bare)
        for item in self.items.values():
            if visible(item):
                yield with_shared(item, shared.pop(item.jid, None))
        yield from shared.values()

    def push_contacts(self, jids: Sequence[str]) -> None:
        """Push contacts as they are now, or that they are gone, to the owner's interested
        resources.

        The last push has the roster's version; those before it have versions that were passed over
        on the way there, so that a client that is cut off between them is given the whole roster
        (RO-17).
        """
        shared = self.shared_groups.items(self.account.bare)
        last = self.version
        for number, jid in enumerate(jids, 1 - len(jids)):
            self.version = last + number
            own, brought = self.items.get(jid), shared.get(jid)
            if own is not None and visible(own):
                item = item_bytes(with_shared(own, brought))
            elif brought is not None:
                item = item_bytes(brought)
            else:
                item = f"<item jid='{escape(jid)}' subscription='remove'/>".encode()
            self._push(item, self._version_text(shared))

    def _push(self, item: bytes, version: str) -> None:
        query = b"<query xmlns='%b' ver='%b'>%b</query>" % (
            ns.ROSTER.encode(), version.encode(), item,
        )  # fmt: skip
        for session in self.routing_table.sessions_here(self.account.bare):
            if session.interested:
                push_id = f"push-{self.version}"
                push = IQ.make(session.jid, self.account, query, id=push_id, type="set")
                session.deliver(push, push.wire())


def visible(item: RosterItem) -> bool:
    """Whether the item is more than a request that waits (:rfc:`6121#appendix-A.1`)."""
    if item.pending_in is None or item.subscription != "none":
        return True
    return bool(item.ask or item.approved or item.name or item.groups)


def with_shared(item: RosterItem, shared: RosterItem | None) -> RosterItem:
    """A contact that is in the roster and in a shared group: the sum of both."""
    if shared is None:
        return item
    both = {item.subscription, shared.subscription} - {"none"}
    subscription = both.pop() if len(both) == 1 else "both"
    groups = tuple(dict.fromkeys(item.groups + shared.groups))
    return RosterItem(item.jid, item.name, groups, subscription, ask=item.ask)


def item_bytes(item: RosterItem) -> bytes:
    """A contact as it stands in a roster result or push (:rfc:`6121#section-2.1.2`)."""
    text = f"<item jid='{escape(item.jid)}' subscription='{item.subscription}'"
    if item.name:
        text += f" name='{escape(item.name)}'"
    if item.ask:
        text += " ask='subscribe'"
    if item.approved:
        text += " approved='true'"
    if not item.groups:
        return f"{text}/>".encode()
    groups = "".join(f"<group>{escape(group)}</group>" for group in item.groups)
    return f"{text}>{groups}</item>".encode()
