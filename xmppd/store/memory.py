"""A store that forgets: for tests, and for trying things out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter

from typing_extensions import override

from xmppd.host.clocks import wall_clock
from xmppd.store.base import (
    AccountExists,
    AccountInfo,
    Credentials,
    Damaged,
    Device,
    FormerAccount,
    Fragment,
    HeldMessage,
    Item,
    LastPresence,
    NoSuchAccount,
    OfflineMessage,
    Quarantined,
    QuotaExceeded,
    Record,
    RosterData,
    RosterItem,
    SavedSession,
    ScramKeys,
    SharedGroup,
    Shares,
    StanzaPlace,
    Store,
    Token,
    Use,
    check_room,
    roster_version_step,
    with_token,
    within,
)
from xmppd.store.quarantine import MAX_QUARANTINED, MAX_QUARANTINED_BYTES, in_a_line


@dataclass(slots=True)
class _Belongings:
    """All that belongs to one name, whether it is an account or not."""

    roster: dict[str, RosterItem] = field(default_factory=dict)
    roster_version: int = 0
    offline: dict[int, OfflineMessage] = field(default_factory=dict)
    shares: dict[int, tuple[str, ...]] = field(default_factory=dict)
    used: defaultdict[str, Use] = field(default_factory=lambda: defaultdict(Use))
    last: LastPresence | None = None
    items: dict[tuple[str, str], bytes] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)

    def keep(
        self, message: OfflineMessage, sender: str | None = None, sender_domain: str | None = None
    ) -> None:
        """Add a message, and count it as its sender's and its sender's domain's."""
        self.offline[message.id] = message
        senders = () if sender is None else (sender,)
        self.shares[message.id] = (
            "",
            *senders,
            *(() if not sender_domain else ("@" + sender_domain,)),
        )
        self._count(message, 1)

    def place(self, place: StanzaPlace) -> None:
        """Note where a message stands, if it is there."""
        if place.number in self.offline:
            self.offline[place.number] = replace(
                self.offline[place.number], key=place.key, position=place.position
            )

    def forget(self, id: int) -> None:
        """Drop a message, if it is there."""
        message = self.offline.pop(id, None)
        if message is not None:
            self._count(message, -1)
            del self.shares[id]

    def _count(self, message: OfflineMessage, sign: int) -> None:
        for share in self.shares[message.id]:
            old = self.used[share]
            self.used[share] = Use(old.count + sign, old.bytes + sign * len(message.stanza))


class MemoryStore(Store):
    """Everything in dictionaries; a :class:`~xmppd.store.base.Store` like any other.

    Args:
        now: Tells the time in seconds since 1970.
    """

    writes_in_order = True

    def __init__(self, now: Callable[[], float] = wall_clock) -> None:
        self._now = now
        self._accounts: dict[str, tuple[Credentials, float]] = {}
        self._former: dict[str, FormerAccount] = {}
        self._belongings: dict[str, _Belongings] = {}
        self._shared_groups: dict[str, SharedGroup] = {}
        self._offline_id = self._held_number = 0
        self._sessions: dict[bytes, SavedSession] = {}
        self._held: dict[int, HeldMessage] = {}
        self._quarantine: dict[int, tuple[Quarantined, Record]] = {}
        self._quarantine_number = 0

    @override
    async def open(self) -> None:
        """There is nothing to prepare."""

    @override
    async def close(self) -> None:
        """There is nothing to write."""

    @override
    async def credentials(self, account: str) -> Credentials | None:
        found = self._accounts.get(account)
        return found[0] if found else None

    @override
    async def exists(self, account: str) -> bool:
        return account in self._accounts

    @override
    async def create_account(self, account: str, keys: Sequence[ScramKeys]) -> None:
        if account in self._accounts:
            raise AccountExists(account)
        self._accounts[account] = (Credentials(account, _by_hash(keys)), self._now())
        self._former.pop(account, None)
        self._forget_belongings(account)

    @override
    async def set_keys(self, account: str, keys: Sequence[ScramKeys]) -> None:
        self._change(account, lambda old: replace(old, keys=_by_hash(keys)))
        self._end_devices(account)

    @override
    async def add_key(self, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]) -> bool:
        found = self._accounts.get(account)
        if found is None or found[0].keys != known:
            return False
        self._change(account, lambda old: replace(old, keys={**old.keys, key.hash: key}))
        return True

    @override
    async def delete_account(self, account: str) -> None:
        if account not in self._accounts:
            raise NoSuchAccount(account)
        del self._accounts[account]
        self._forget_belongings(account)

    @override
    async def reserve_name(self, account: str, *, until: float, now: float) -> None:
        known = await self.credentials(account)
        key = None if known is None else next(iter(known.keys.values()), None)
        self._former = {name: each for name, each in self._former.items() if each.until > now}
        self._former[account] = FormerAccount(until, key)

    @override
    async def former_account(self, account: str) -> FormerAccount | None:
        return self._former.get(account)

    @override
    async def set_disabled(self, account: str, disabled: bool) -> None:
        self._change(account, lambda old: replace(old, disabled=disabled))
        if disabled:
            self._end_devices(account)

    @override
    async def set_locked(self, account: str, until: float) -> None:
        self._change(account, lambda old: replace(old, locked_until=until))

    @override
    async def accounts(
        self, domain: str, *, after: str = "", limit: int = 1000
    ) -> list[AccountInfo]:
        page = sorted(name for name in self._of_domain(domain) if name > after)[:limit]
        return [self._info(name) for name in page]

    @override
    async def count_accounts(self, domain: str) -> int:
        return len(self._of_domain(domain))

    @override
    async def roster(self, account: str) -> RosterData:
        mine = self._belonging(account)
        items = sorted(mine.roster.values(), key=attrgetter("jid"))
        return RosterData(mine.roster_version, tuple(items))

    @override
    async def save_roster_items(self, account: str, items: Sequence[RosterItem]) -> int:
        mine = self._belonging(account)
        if items:
            mine.roster.update((item.jid, item) for item in items)
            mine.roster_version += roster_version_step()
        return mine.roster_version

    @override
    async def delete_roster_item(self, account: str, jid: str) -> int:
        mine = self._belonging(account)
        if mine.roster.pop(jid, None):
            mine.roster_version += roster_version_step()
        return mine.roster_version

    @override
    async def raise_roster_version(self, account: str) -> int:
        mine = self._belonging(account)
        mine.roster_version += roster_version_step()
        return mine.roster_version

    @override
    async def shared_groups(self) -> list[SharedGroup]:
        return sorted(self._shared_groups.values(), key=attrgetter("name"))

    @override
    async def save_shared_group(self, group: SharedGroup) -> None:
        members = tuple(dict.fromkeys(group.members))
        self._shared_groups[group.name] = replace(group, members=members)

    @override
    async def delete_shared_group(self, name: str) -> None:
        self._shared_groups.pop(name, None)

    @override
    async def store_offline(
        self,
        account: str,
        stanza: bytes,
        *,
        sender: str,
        sender_domain: str | None = None,
        stored: float,
        max_messages: int,
        max_bytes: int,
        place: StanzaPlace | None = None,
    ) -> int:
        mine = self._belonging(account)
        used = await self.offline_use(account, sender, sender_domain)
        check_room(used, len(stanza), max_messages=max_messages, max_bytes=max_bytes)
        self._offline_id += 1
        message = OfflineMessage(self._offline_id, stanza, stored)
        if place is not None:
            message = replace(message, key=place.key, position=place.position)
            if place.held:
                self._held.pop(place.number, None)
        mine.keep(message, sender, sender_domain)
        return message.id

    @override
    async def offline_use(self, account: str, sender: str, sender_domain: str | None) -> Shares:
        used = self._belonging(account).used
        of_domain = Use() if sender_domain is None else used["@" + sender_domain]
        return Shares(used[""], used[sender], of_domain)

    @override
    async def offline_messages(
        self, account: str, *, after: int = 0, limit: int | None = None
    ) -> list[OfflineMessage]:
        waiting = self._belonging(account).offline.values()
        return [message for message in waiting if message.id > after][:limit]

    @override
    async def delete_offline(self, account: str, ids: Iterable[int]) -> None:
        for id in ids:
            self._belonging(account).forget(id)

    @override
    async def last_presence(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        found = ((account, self._belonging(account).last) for account in accounts)
        return {account: last for account, last in found if last}

    @override
    async def save_last_presence(self, account: str, last: LastPresence) -> None:
        self._belonging(account).last = last

    @override
    async def devices(self, account: str) -> list[Device]:
        found = self._belonging(account).devices.values()
        return sorted(found, key=attrgetter("last_seen", "id"), reverse=True)

    @override
    async def device(self, account: str, id: str) -> Device | None:
        return self._belonging(account).devices.get(id)

    @override
    async def add_token(
        self, account: str, device: Device, token: Token, *, max_devices: int
    ) -> None:
        mine = self._belonging(account)
        mine.devices[device.id] = with_token(mine.devices.get(device.id), device, token)
        kept = within(await self.devices(account), max_devices)
        mine.devices = {each.id: each for each in kept}

    @override
    async def use_token(
        self, account: str, id: str, nonce: bytes, count: int | None, seen: float
    ) -> bool:
        devices = self._belonging(account).devices
        used = devices[id].used(nonce, count, seen) if id in devices else None
        if used is not None:
            devices[id] = used
        return used is not None

    @override
    async def end_token(self, account: str, id: str) -> None:
        devices = self._belonging(account).devices
        if id in devices:
            devices[id] = devices[id].without_current()

    @override
    async def end_device(self, account: str, id: str) -> bool:
        devices = self._belonging(account).devices
        if id not in devices or not devices[id].tokens:
            return False
        devices[id] = devices[id].ended()
        return True

    @override
    async def get_item(self, account: str, namespace: str, key: str) -> bytes | None:
        return self._belonging(account).items.get((namespace, key))

    @override
    async def get_items(self, account: str, namespace: str) -> dict[str, bytes]:
        items = self._belonging(account).items
        return {key: value for (space, key), value in items.items() if space == namespace}

    @override
    async def set_item(
        self,
        account: str,
        namespace: str,
        key: str,
        value: bytes | None,
        *,
        max_items: int,
        max_bytes: int,
    ) -> None:
        items = self._belonging(account).items
        others = {name: old for name, old in items.items() if name != (namespace, key)}
        if value is not None:
            others[namespace, key] = value
            size = sum(len(name[1].encode()) + len(kept) for name, kept in others.items())
            if len(others) > max_items or size > max_bytes:
                raise QuotaExceeded(account)
        self._belonging(account).items = others

    @override
    async def save_sessions(
        self, sessions: Sequence[SavedSession], *, theirs: Mapping[str, Sequence[int]]
    ) -> None:
        self._sessions = {session.key: session for session in sessions}
        self._held.clear()
        for account, ids in theirs.items():
            await MemoryStore.delete_offline(self, account, ids)

    @override
    async def saved_sessions(self) -> list[SavedSession]:
        return list(self._sessions.values())

    @override
    async def take_up_sessions(
        self, *, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
    ) -> list[int]:
        numbers = await MemoryStore.hold_messages(self, held, arrived=())
        for message in lost:
            self._add_offline(message)
        self._sessions.clear()
        return numbers

    @override
    async def place_messages(self, places: Sequence[StanzaPlace]) -> None:
        for place in places:
            if place.held and place.number in self._held:
                self._held[place.number] = replace(
                    self._held[place.number], key=place.key, position=place.position
                )
            elif not place.held:
                for mine in self._belongings.values():
                    mine.place(place)

    @override
    async def hold_messages(
        self, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        for number in arrived:
            self._held.pop(number, None)
        numbers = []
        for message in messages:
            self._held_number += 1
            self._held[self._held_number] = replace(message, number=self._held_number)
            numbers.append(self._held_number)
        return numbers

    @override
    async def recover_messages(self) -> list[HeldMessage]:
        recovered = [self._add_offline(held) for held in self._held.values()]
        self._held.clear()
        return recovered

    def _add_offline(self, held: HeldMessage) -> HeldMessage:
        self._offline_id += 1
        message = OfflineMessage(self._offline_id, held.stanza, held.came, held.key, held.position)
        self._belonging(held.account).keep(message)
        return replace(held, number=self._offline_id)

    @override
    async def set_aside(self, account: str, damaged: Sequence[Damaged]) -> list[Quarantined]:
        moved = []
        for each in damaged:
            known = [
                record for entry, record in self._quarantine.values() if entry.account == account
            ]
            if not self._is_as_it_was(account, each.record) or each.record in known:
                continue
            kind, name, size_bytes = _described(each.record)
            self._quarantine_number += 1
            entry = Quarantined(
                self._quarantine_number,
                kind,
                account,
                in_a_line(name),
                each.reason,
                self._now(),
                size_bytes,
            )
            self._quarantine[entry.number] = entry, each.record
            moved.append(entry)
            await self._remove(account, each)
        while (
            len(self._quarantine) > MAX_QUARANTINED
            or self._quarantine_bytes > MAX_QUARANTINED_BYTES
        ):
            del self._quarantine[min(self._quarantine)]
        return moved

    @override
    async def quarantined(
        self, *, account: str = "", after: int = 0, limit: int = 1000
    ) -> list[Quarantined]:
        found = [
            entry
            for entry, _ in self._quarantine.values()
            if entry.number > after and account in ("", entry.account)
        ]
        return found[:limit]

    @override
    async def quarantined_fields(self, number: int) -> dict[str, object] | None:
        found = self._quarantine.get(number)
        if found is None:
            return None
        record = found[1]
        return {each.name: getattr(record, each.name) for each in fields(record)}

    @override
    async def forget_quarantined(self, numbers: Sequence[int]) -> int:
        return sum(self._quarantine.pop(number, None) is not None for number in numbers)

    @override
    async def count_quarantined(self) -> int:
        return len(self._quarantine)

    @property
    def _quarantine_bytes(self) -> int:
        return sum(entry.size_bytes for entry, _ in self._quarantine.values())

    def _is_as_it_was(self, account: str, record: Record) -> bool:
        """Whether nothing else has taken the record's place."""
        mine = self._belonging(account)
        match record:
            case OfflineMessage():
                return mine.offline.get(record.id) == record
            case RosterItem():
                return mine.roster.get(record.jid) == record
            case Item():
                return mine.items.get((record.namespace, record.key)) == record.value
            case SavedSession():
                kept = self._sessions.get(record.key)
                return kept is not None and kept.data == record.data
            case Fragment():
                return True

    async def _remove(self, account: str, damaged: Damaged) -> None:
        mine = self._belonging(account)
        match damaged.record:
            case OfflineMessage(id=id):
                await MemoryStore.delete_offline(self, account, [id])
            case RosterItem() as item if damaged.field == "pending_in":
                mine.roster[item.jid] = replace(item, pending_in=None)
                mine.roster_version += roster_version_step()
            case RosterItem(jid=jid):
                del mine.roster[jid]
                mine.roster_version += roster_version_step()
            case Item() as item:
                del mine.items[item.namespace, item.key]
            case SavedSession(key=key):
                del self._sessions[key]

    def _belonging(self, account: str) -> _Belongings:
        """What belongs to the name."""
        return self._belongings.setdefault(account, _Belongings())

    def _forget_belongings(self, account: str) -> None:
        self._belongings.pop(account, None)
        self._sessions = {k: each for k, each in self._sessions.items() if each.account != account}
        self._held = {k: each for k, each in self._held.items() if each.account != account}
        self._quarantine = {
            k: each for k, each in self._quarantine.items() if each[0].account != account
        }
        for group in list(self._shared_groups.values()):
            members = tuple(member for member in group.members if member != account)
            self._shared_groups[group.name] = replace(group, members=members)

    def _end_devices(self, account: str) -> None:
        mine = self._belonging(account)
        mine.devices = {id: device.ended() for id, device in mine.devices.items()}

    def _change(self, account: str, change: Callable[[Credentials], Credentials]) -> None:
        try:
            old, created = self._accounts[account]
        except KeyError:
            raise NoSuchAccount(account) from None
        self._accounts[account] = (change(old), created)

    def _of_domain(self, domain: str) -> list[str]:
        return [name for name in self._accounts if name.rpartition("@")[2] == domain]

    def _info(self, account: str) -> AccountInfo:
        known, created = self._accounts[account]
        last = self._belonging(account).last
        return AccountInfo(
            account, created, known.disabled, known.locked_until, last.seen if last else None
        )


def _described(record: Record) -> tuple[str, str, int]:
    """What an administrator calls a record, its name, and its size in bytes."""
    match record:
        case OfflineMessage():
            return "offline message", str(record.id), len(record.stanza)
        case RosterItem():
            return "contact", record.jid, len(record.pending_in or b"")
        case Item():
            return "item", f"{record.namespace}, {record.key}", len(record.value)
        case SavedSession():
            return "saved session", record.key.hex(), len(record.data)
        case Fragment():
            return record.kind, record.name, len(record.data)


def _by_hash(keys: Sequence[ScramKeys]) -> dict[str, ScramKeys]:
    return {key.hash: key for key in keys}


__all__ = ["MemoryStore"]
