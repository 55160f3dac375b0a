"""KeyKindStore: what kinds of keys accounts have brought from other servers (AU-16)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, Select, bindparam, exists, select

from xmppd.store.accounts import accounts
from xmppd.store.columns import digest
from xmppd.store.database import Database
from xmppd.store.items import Item, ItemStore, delete_item, save_item
from xmppd.store.scram_keys import ScramKeys, scram_keys

HASHES = ("SHA-1", "SHA-256", "SHA-512")
MAX_KINDS = 64
"""Of the keys of a domain; more are like one of these."""

NS = "urn:xmppd:key-kinds"

_other = scram_keys.alias()
_WITHOUT: Select[bytes] = (
    select(accounts.c.owner)
    .where(
        accounts.c.domain == bindparam("domain"),
        exists().where(scram_keys.c.owner == accounts.c.owner),
        ~exists().where(_other.c.owner == accounts.c.owner, _other.c.hash == bindparam("hash")),
    )
    .limit(1)
)


class KeyKind(NamedTuple):
    """What can be seen of a key before its owner has proved anything.

    Attributes:
        hash: Its hash.
        iterations: Rounds of PBKDF2; 0 says that an account has no such key, but others.
        salt_bytes: The length of its salt.
    """

    hash: str
    iterations: int = 0
    salt_bytes: int = 0


class KeyKindStore:
    """The kinds of keys that accounts have brought to each domain.

    Args:
        database: Keeps them.
        items: The same, as values of the domain.
    """

    def __init__(self, database: Database, items: ItemStore) -> None:
        self._database = database
        self._items = items
        self._known: Mapping[str, frozenset[KeyKind]] = {}

    def missing(self, domain: str) -> frozenset[str]:
        """The hashes of which some accounts of a domain have no key, though they have others."""
        return frozenset(kind.hash for kind in self._of(domain) if not kind.iterations)

    def of(self, domain: str, hash: str) -> Sequence[KeyKind]:
        """The kinds of keys of a hash that accounts have brought, in order."""
        return sorted(kind for kind in self._of(domain) if kind.hash == hash and kind.iterations)

    def _of(self, domain: str) -> frozenset[KeyKind]:
        return self._known.get(domain, frozenset())

    async def load(self, domains: Collection[str], *, forgets: bool = False) -> None:
        """Read what other nodes, or an earlier run, have noted.

        Args:
            domains: Those that are served.
            forgets: Whether a hash is looked for that by now all accounts of a domain have.
        """
        known = {}
        for domain in domains:
            found = await self._items.get_items(domain, NS)
            known[domain] = frozenset(map(_kind, found))
            for kind in [each for each in known[domain] if forgets and not each.iterations]:
                wanted = {"domain": digest(domain), "hash": kind.hash}
                if not await self._database.read(_WITHOUT, wanted):
                    forget = partial(delete_item, account=domain, namespace=NS, key=_key(kind))
                    await self._database.write(forget)
                    known[domain] -= {kind}
        self._known = known

    def note(
        self, connection: Connection, domain: str, keys: Iterable[ScramKeys]
    ) -> frozenset[KeyKind]:
        """Note the kinds of the keys that an account has brought, in the transaction that opens it;
        returns those that are new, for :meth:`learn`.
        """
        kinds = {KeyKind(key.hash, key.iterations, len(key.salt)) for key in keys}
        there = {kind.hash for kind in kinds}
        known = self._of(domain)
        new = {KeyKind(hash) for hash in HASHES if there and hash not in there}
        if len(known) < MAX_KINDS:
            new |= kinds
        for kind in new - known:
            save_item(connection, domain, Item(NS, _key(kind), b"1"))
        return frozenset(new - known)

    def learn(self, domain: str, kinds: Collection[KeyKind]) -> None:
        """Know kinds that were noted."""
        if kinds:
            self._known = {**self._known, domain: self._of(domain) | frozenset(kinds)}


def _key(kind: KeyKind) -> str:
    return " ".join(map(str, kind))


def _kind(key: str) -> KeyKind:
    hash, iterations, salt_bytes = key.split(" ")
    return KeyKind(hash, int(iterations), int(salt_bytes))


__all__ = ["HASHES", "MAX_KINDS", "KeyKind", "KeyKindStore"]
