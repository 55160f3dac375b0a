"""Shared groups: accounts that see each other without asking, as in Openfire. They stay symbolic:
visibility is looked up in the group, never written into a roster. What everybody sees is seen by
every account, and not by guests or other servers (RO-19).
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza.guests import is_guest
from xmppd.store.rosters import RosterItem
from xmppd.store.shared_groups import SharedGroup, SharedGroupStore

EVERYBODY = "everybody"


class SharedGroups:
    """All shared groups, by name and by member.

    Attributes:
        groups: By name.
    """

    def __init__(self, store: SharedGroupStore, routing_table: RoutingTable) -> None:
        self.store = store
        self.routing_table = routing_table
        self.groups: dict[str, SharedGroup] = {}
        self._of: dict[str, list[SharedGroup]] = {}

    async def load(self) -> None:
        """Read all groups from the store."""
        self._take({group.name: group for group in await self.store.shared_groups()})

    async def save(self, group: SharedGroup) -> None:
        """Add or replace a group."""
        await self.store.save_shared_group(group)
        self._take({**self.groups, group.name: group})

    async def delete(self, name: str) -> None:
        """Remove a group."""
        await self.store.delete_shared_group(name)
        self._take({known: group for known, group in self.groups.items() if known != name})

    def as_it_is(self) -> "SharedGroups":
        """A snapshot of all groups."""
        kept = SharedGroups(self.store, self.routing_table)
        kept.groups, kept._of = self.groups, self._of
        return kept

    def online_viewers(self) -> set[str]:
        """Bare JIDs of the accounts online that have a shared group in their roster."""
        online = self.routing_table.users
        if any(group.visible_to == EVERYBODY for group in self.groups.values()):
            return {account for account in online if not is_guest(account)}
        concerned = {name for group in self.groups.values() for name in (group.name, *group.groups)}
        members = (self.groups[name].members for name in concerned if name in self.groups)
        return {member for group in members for member in group if member in online}

    def _take(self, groups: dict[str, SharedGroup]) -> None:
        self.groups = groups
        self._of = {}
        for group in groups.values():
            for member in group.members:
                self._of.setdefault(member, []).append(group)

    def _seen_by(self, viewer: str, groups: Iterable[SharedGroup]) -> Iterator[SharedGroup]:
        """Those of the groups that this account has in its roster."""
        own = {group.name for group in self._of.get(viewer, ())}
        is_account = self._is_account(viewer)
        for group in groups:
            if (
                (group.visible_to == EVERYBODY and is_account)
                or group.name in own
                or not own.isdisjoint(group.groups)
            ):
                yield group

    def _is_account(self, bare: str) -> bool:
        """Whether this may be an account of this server: no guest, and none elsewhere (RO-19)."""
        _, at, domain = bare.rpartition("@")
        return bool(at) and domain in self.routing_table.domains and not is_guest(bare)

    def sees(self, viewer: str, account: str) -> bool:
        """Whether a group lets the viewer see the account's presence."""
        return any(True for _ in self.showing(viewer, account))

    def showing(self, viewer: str, account: str) -> Iterator[SharedGroup]:
        """The groups that let the viewer see the account's presence."""
        if viewer != account:
            yield from self._seen_by(viewer, self._of.get(account, ()))

    def items(self, viewer: str) -> dict[str, RosterItem]:
        """The items that shared groups add to this account's roster, by bare JID."""
        if not self.groups:
            return {}
        names: dict[str, list[str]] = {}
        for group in self._seen_by(viewer, self.groups.values()):
            for member in group.members:
                if member != viewer:
                    names.setdefault(member, []).append(group.display_name)
        return {
            member: RosterItem(
                member,
                groups=tuple(shown),
                subscription="both" if self.sees(member, viewer) else "to",
            )
            for member, shown in names.items()
        }

    def watchers(self, account: str, online: Mapping[str, object]) -> Iterable[str]:
        """Those of these accounts that see this one through a group; perhaps it is one of them.

        Args:
            account: Bare JID.
            online: By bare JID.
        """
        if self.shown_to_everybody(account):
            return [watcher for watcher in online if not is_guest(watcher)]
        return [watcher for watcher in self.named_watchers(account) if watcher in online]

    def shown_to_everybody(self, account: str) -> bool:
        """Whether a group lets all accounts see this one."""
        return any(group.visible_to == EVERYBODY for group in self._of.get(account, ()))

    def named_watchers(self, account: str) -> set[str]:
        """All members of groups that see this account, wherever they are; perhaps it is one of
        them.
        """
        watchers: set[str] = set()
        for group in self._of.get(account, ()):
            watchers.update(group.members)
            for name in group.groups:
                if name in self.groups:
                    watchers.update(self.groups[name].members)
        return watchers


def mark(items: Mapping[str, RosterItem]) -> str:
    """A mark of the items that groups add to a roster."""
    return blake2b(repr(sorted(items.items())).encode(), digest_size=8).hexdigest()
