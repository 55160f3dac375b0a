"""One account's roster: who may know, and how they are told."""

from collections.abc import Iterator

from xmppd.roster.shared_groups import SharedGroups
from xmppd.roster.subscription import SUBSCRIBED, SUBSCRIBED_TO
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import IQ, JID, Presence, escape, ns
from xmppd.store.base import RosterData, RosterItem


class Roster:
    """The contacts of one account, in memory while it is needed.

    Attributes:
        account: Bare JID of its owner.
        items: By the contact's JID as text.
        version: Rises with every change.
    """

    def __init__(
        self,
        account: JID,
        data: RosterData,
        routing_table: RoutingTable,
        shared_groups: SharedGroups,
    ) -> None:
        self.account = account
        self.items = {item.jid: item for item in data.items}
        self.version = data.version
        self.routing_table = routing_table
        self.shared_groups = shared_groups
        self._subscribers: tuple[tuple[str, bytes], ...] | None = None
        self._foreign: tuple[JID, ...] = ()

    @property
    def subscribers(self) -> tuple[tuple[str, bytes], ...]:
        """Contacts of ours that see this account: bare JID and its escaped bytes; kept."""
        if self._subscribers is None:
            seen_by = [
                JID.parse(i.jid) for i in self.items.values() if i.subscription in SUBSCRIBED
            ]
            local = self.routing_table.is_local
            self._subscribers = tuple((jid.bare, jid.wire) for jid in seen_by if local(jid))
            self._foreign = tuple(jid for jid in seen_by if not local(jid))
        return self._subscribers

    @property
    def subscribed_to(self) -> Iterator[JID]:
        """Contacts this account sees, shared groups included."""
        for item in self.items.values():
            if item.subscription in SUBSCRIBED_TO:
                yield JID.parse(item.jid)
        for bare in self.shared_groups.items(self.account.bare):
            if bare not in self.items or self.items[bare].subscription not in SUBSCRIBED_TO:
                yield JID.parse(bare)

    @property
    def requests(self) -> Iterator[RosterItem]:
        """What strangers have asked, and the owner has not answered yet."""
        return (item for item in self.items.values() if not visible(item))

    @property
    def count(self) -> int:
        """How many contacts the owner has."""
        return len(self.items) - sum(1 for _ in self.requests)

    def may_be_seen_by(self, viewer: JID) -> bool:
        """Whether this account's presence is the viewer's to know (PM-5)."""
        if viewer.bare == self.account.bare or self.is_subscribed(viewer):
            return True
        return self.shared_groups.sees(viewer.bare, self.account.bare)

    def is_subscribed(self, viewer: JID) -> bool:
        """Whether the owner itself lets the viewer see its presence."""
        item = self.items.get(viewer.bare)
        return item is not None and item.subscription in SUBSCRIBED

    def put(self, item: RosterItem) -> None:
        """Add or replace a contact in memory."""
        self.items[item.jid] = item
        self._subscribers = None

    def drop(self, jid: str) -> None:
        """Remove a contact from memory."""
        self.items.pop(jid, None)
        self._subscribers = None

    def broadcast(self, presence: Presence) -> int:
        """Tell everybody who may know, and the account's own resources (:rfc:`6121#section-4.4.2`).

        The presence becomes bytes once; each contact costs one splice, and all resources of a
        contact share its bytes.

        Returns:
            How many copies that made.
        """
        head, tail = presence.around_to()
        copies = 0
        users = self.routing_table.users
        for bare, wire in self.subscribers:
            routes = users.get(bare)
            if routes is not None:
                data = head + wire + tail
                for session in routes.available:
                    session.deliver(presence, data)
                    copies += 1
        for jid in self._foreign:
            self.routing_table.route(presence.addressed(jid))
        if self.shared_groups.groups:
            copies += self._broadcast_to_groups(presence)
        own = self.routing_table.available(self.account.bare)
        for session in own:
            session.deliver(presence, head + session.jid.wire + tail)
        return copies + len(self._foreign) + len(own)

    def _broadcast_to_groups(self, presence: Presence) -> int:
        head, tail = presence.around_to()
        copies = 0
        for bare in self.shared_groups.online_watchers(self.account.bare):
            item = self.items.get(bare)
            if bare == self.account.bare or (item is not None and item.subscription in SUBSCRIBED):
                continue
            data = head + JID.parse(bare).wire + tail
            for session in self.routing_table.available(bare):
                session.deliver(presence, data)
                copies += 1
        return copies

    @property
    def version_text(self) -> str:
        """The ``ver`` of :rfc:`6121#section-2.6`: changes with the roster and what groups add."""
        shared = self.shared_groups.version(self.account.bare)
        return f"{self.version}-{shared}" if shared else str(self.version)

    def shown(self) -> Iterator[RosterItem]:
        """What the owner gets to see: never a contact that is no more than a request (RO-12)."""
        shared = self.shared_groups.items(self.account.bare)
        for item in self.items.values():
            if visible(item):
                yield with_shared(item, shared.pop(item.jid, None))
        yield from shared.values()

    def push(self, before: RosterItem | None, item: RosterItem) -> None:
        """Tell the owner's interested resources of a change (:rfc:`6121#section-2.1.6`).

        A contact that is no more than a request from now on leaves the roster that they see.
        """
        if visible(item) or (before is not None and visible(before)):
            self.push_contact(item.jid)

    def push_contact(self, jid: str) -> None:
        """Tell the owner's interested resources how a contact stands now, or that it is gone."""
        own = self.items.get(jid)
        shared = self.shared_groups.items(self.account.bare).get(jid)
        if own is not None and visible(own):
            self._push(item_bytes(with_shared(own, shared)))
        elif shared is not None:
            self._push(item_bytes(shared))
        else:
            self._push(f"<item jid='{escape(jid)}' subscription='remove'/>".encode())

    def _push(self, item: bytes) -> None:
        query = b"<query xmlns='%b' ver='%b'>%b</query>" % (
            ns.ROSTER.encode(), self.version_text.encode(), item,
        )  # fmt: skip
        for session in self.routing_table.connected(self.account.bare):
            if session.interested:
                push_id = f"push-{self.version}"
                push = IQ.make(session.jid, self.account, query, id=push_id, type="set")
                session.deliver(push, push.wire())


def visible(item: RosterItem) -> bool:
    """Whether the item is more than somebody's request that waits (:rfc:`6121#appendix-A.1`)."""
    if item.pending_in is None or item.subscription != "none":
        return True
    return bool(item.ask or item.approved or item.name or item.groups)


def with_shared(item: RosterItem, shared: RosterItem | None) -> RosterItem:
    """A contact of one's own who is in a shared group as well: the sum of both."""
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
