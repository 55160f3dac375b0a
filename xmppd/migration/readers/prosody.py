"""Reads what Prosody keeps: its data directory, or its database."""

import json
import mmap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from xmppd.migration import elements, pie
from xmppd.migration.elements import KeptItem, KeptMessage
from xmppd.migration.person import Person, Remarks, SourceError
from xmppd.migration.readers.lua_data import LuaData
from xmppd.migration.readers.sql_source import (
    LONG_ROWS_AT_ONCE,
    ROWS_AT_ONCE,
    Row,
    SQLSource,
    pages,
)
from xmppd.stanza import Tree, ns, qname
from xmppd.stanza.xml import write
from xmppd.store.rosters import RosterItem

MAX_FILE_BYTES = 64 << 20
"""Of a file with one value; those with a list of items may have any."""

Table = Mapping[object, object]

_SUBSCRIPTIONS = ("none", "to", "from", "both")
_NODE_FIELDS = {"persist": "persist_items"}


class ProsodyStorage(Protocol):
    """Where Prosody keeps things: by host, store and user."""

    def close(self) -> None:
        """Be done with it."""

    def hosts(self) -> list[str]:
        """The domains that have accounts."""

    def users(self, host: str) -> Iterator[str]:
        """Those who have an account."""

    def rooms(self) -> dict[str, int]:
        """How many rooms each domain has that has some."""

    def value(self, host: str, store: str, user: str, notes: Remarks) -> Table:
        """A value; empty if there is none. What cannot be read is noted."""

    def entries(self, host: str, store: str, user: str, notes: Remarks) -> Iterator[Table]:
        """A list, each entry with ``when``, ``key``, ``with`` and its element as ``tree``."""


class ProsodyReader:
    """The people of a Prosody.

    Args:
        source: Its data directory, or a database.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._storage: ProsodyStorage = (
            ProsodyFiles(source) if source.is_dir() else ProsodySQL(source)
        )

    def people(self) -> Iterator[Person]:
        """All of them.

        Raises:
            SourceError: Something cannot be read; the text says where.
        """
        hosts = self._storage.hosts()
        if not hosts:
            raise SourceError(f"{self._source} has no accounts of Prosody: name its data_path")
        for host in hosts:
            for user in self._storage.users(host):
                yield from self._person(host, user)

    def close(self) -> None:
        """Be done with it."""
        self._storage.close()

    def left_behind(self) -> list[str]:
        """What there is beside people."""
        return [f"rooms of {host}: {count}" for host, count in self._storage.rooms().items()]

    def _person(self, host: str, user: str) -> Iterator[Person]:
        person = Person(user, host)
        self._take_account(person)
        self._take_contacts(person)
        blocked = [str(jid) for jid in self._value(person, "blocklist") if jid is not False]
        if blocked:
            person.data.append(elements.blocklist(blocked))
        card = self._value(person, "vcard")
        kept = self._value(person, "private").values()
        data = [tree_of(each) for each in kept if isinstance(each, Mapping)]
        person.data += [tree_of(card)] if card else []
        person.data += [elements.private(data)] if data else []
        yield from elements.in_parts(person, self._long(person), self._waiting(person))

    def _take_account(self, person: Person) -> None:
        account = self._value(person, "accounts")
        password = account.get("password")
        if isinstance(password, str):
            person.password = password
        elif "stored_key" in account:
            try:
                stored, server = (
                    bytes.fromhex(str(account.get(key))) for key in ("stored_key", "server_key")
                )
                salt, rounds = str(account.get("salt")).encode(), account.get("iteration_count")
                count = int(rounds) if isinstance(rounds, int | float) else 0
                person.keys.append(pie.keys_of(stored, server, salt, count))
            except ValueError as error:
                person.left_out.append(f"password: {error}")
        person.disabled = account.get("disabled") is True
        created = account.get("created")
        person.created = float(created) if isinstance(created, int | float) else None

    def _take_contacts(self, person: Person) -> None:
        roster = self._value(person, "roster")
        own = roster.get(False)
        pending = own.get("pending") if isinstance(own, Mapping) else None
        asking = {str(jid): each for jid, each in (pending or {}).items()}
        for jid, item in roster.items():
            if isinstance(jid, str) and isinstance(item, Mapping):
                person.contacts.append(_contact(jid, item, asking.pop(jid, None)))
        person.contacts += [
            RosterItem(jid, pending_in=_presence_of(e)) for jid, e in asking.items()
        ]

    def _waiting(self, person: Person) -> Iterator[Tree]:

        def stamped(entry: Table) -> Tree:
            message = _tree(entry)
            elements.stamp(message, person.domain, _when(entry))
            return message

        entries = self._entries(person, "offline")
        return elements.sound(person.left_out, "offline", entries, stamped)

    def _long(self, person: Person) -> Iterator[Tree]:
        """Nodes and the archive."""
        for name, node in self._value(person, "pep").items():
            if isinstance(name, str) and isinstance(node, Mapping):
                yield _node(name, node)
                published = map(_published, self._entries(person, f"pep_{name}"))
                yield from elements.items(name, published)
        entries = self._entries(person, "archive")
        yield from elements.archives(elements.sound(person.left_out, "archive", entries, _archived))

    def _value(self, person: Person, store: str) -> Table:
        return self._storage.value(person.domain, store, person.name, person.left_out)

    def _entries(self, person: Person, store: str) -> Iterator[Table]:
        return self._storage.entries(person.domain, store, person.name, person.left_out)


class ProsodyFiles:
    """Files of Lua, each read as data only.

    Args:
        directory: That has a directory for each domain.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def close(self) -> None:
        """Be done with it: each file is closed where it ends."""

    def hosts(self) -> list[str]:
        """The domains that have accounts."""
        found = sorted(self._directory.glob("*/accounts"))
        return [unquote(each.parent.name) for each in found]

    def users(self, host: str) -> Iterator[str]:
        """Those who have an account."""
        for path in sorted((self._directory / _coded(host) / "accounts").glob("*.dat")):
            yield unquote(path.stem)

    def rooms(self) -> dict[str, int]:
        """How many rooms each domain has that has some."""
        found = Counter(path.parent.parent.name for path in self._directory.glob("*/config/*.dat"))
        return {unquote(host): count for host, count in sorted(found.items())}

    def value(self, host: str, store: str, user: str, notes: Remarks) -> Table:
        """A value."""
        path = self._path(host, store, user, "dat")
        try:
            found = _read(path)
        except ValueError as error:
            notes.append(f"{path}, {error}")
            return {}
        return found if isinstance(found, dict) else {}

    def entries(self, host: str, store: str, user: str, notes: Remarks) -> Iterator[Table]:
        """A list."""
        path = self._path(host, store, user, "list")
        if not path.exists():
            return
        try:
            with path.open("rb") as file:
                if not path.stat().st_size:
                    return
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield from _items(path, LuaData(data), notes)
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error

    def _path(self, host: str, store: str, user: str, end: str) -> Path:
        folder = _coded(store).replace("%5f", "_")
        return self._directory / _coded(host) / folder / f"{_coded(user)}.{end}"


def _coded(name: str) -> str:
    """A name as it stands in Prosody's paths: all but ASCII letters and digits as ``%xx``."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02x}"
        for byte in name.encode()
    )


def _items(path: Path, data: LuaData, notes: Remarks) -> Iterator[Table]:
    """The entries of a list; one that cannot be read is noted."""
    while True:
        try:
            for entry in data.items():
                if isinstance(entry, dict):
                    table: dict[object, object] = {**entry}  # type: ignore[dict-item]
                    yield table | {"tree": tree_of(table)}
            return
        except ValueError as error:
            notes.append(f"{path}, {error}")
            if not data.skip_item():
                return


def _read(path: Path) -> object:
    """The value in a file; None if there is none.

    Raises:
        ValueError: It cannot be read as one.
        SourceError: The file cannot be read at all.
    """
    if not path.exists():
        return None
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"the file has more than {MAX_FILE_BYTES} bytes")
        return LuaData(path.read_bytes()).value()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error


class ProsodySQL:
    """The tables ``prosody`` and ``prosodyarchive``.

    Args:
        source: A database, as :class:`~xmppd.migration.readers.sql_source.SQLSource` has it.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._sql = SQLSource(source)

    def close(self) -> None:
        """Be done with it."""
        self._sql.close()

    def hosts(self) -> list[str]:
        """The domains that have accounts."""
        if not self._sql.columns("prosody"):
            raise SourceError(
                f'{self._source} is not a database of Prosody: the table "prosody" is missing'
            )
        asked = "SELECT DISTINCT host FROM prosody WHERE store = 'accounts' ORDER BY host"
        return [str(host) for (host,) in self._sql.rows(asked)]

    def users(self, host: str) -> Iterator[str]:
        """Those who have an account."""
        asked = (
            'SELECT DISTINCT "user" FROM prosody WHERE host = :host AND "user" > :after '
            f"AND store = 'accounts' ORDER BY \"user\" LIMIT {ROWS_AT_ONCE}"
        )
        for (name,) in pages(
            lambda last: self._sql.rows(asked, host=host, after=last[0] if last else "")
        ):
            yield str(name)

    def rooms(self) -> dict[str, int]:
        """How many rooms each domain has that has some."""
        asked = (
            "SELECT host, COUNT(DISTINCT \"user\") FROM prosody WHERE store = 'config' "
            "GROUP BY host ORDER BY host"
        )
        return {str(host): int(str(count)) for host, count in self._sql.rows(asked)}

    def value(self, host: str, store: str, user: str, notes: Remarks) -> Table:
        """A value, of a row for each of its keys."""
        asked = (
            'SELECT "key", "type", "value" FROM prosody '
            'WHERE host = :host AND "user" = :user AND store = :store'
        )
        found: dict[object, object] = {}
        for key, type, text in self._sql.rows(asked, host=host, user=user, store=store):
            try:
                value = self._value(str(type), str(text))
            except ValueError as error:
                notes.append(f"{store}, key {str(key)!r}: {error}")
                continue
            if key == "":
                found.update(value.items() if isinstance(value, dict) else ())
            else:
                found[key] = value
        return found

    def entries(self, host: str, store: str, user: str, notes: Remarks) -> Iterator[Table]:
        """A list, some entries at a time."""
        if not self._sql.has("prosodyarchive"):
            return
        asked = (
            'SELECT sort_id, "key", "when", "with", "type", "value" FROM prosodyarchive '
            'WHERE host = :host AND "user" = :user AND store = :store AND sort_id > :after '
            f"ORDER BY sort_id LIMIT {LONG_ROWS_AT_ONCE}"
        )

        def page(last: Row | None) -> Sequence[Row]:
            after = last[0] if last else 0
            return self._sql.rows(asked, host=host, user=user, store=store, after=after)

        for number, key, when, peer, type, text in pages(page):
            entry: dict[object, object] = {"key": key, "when": when, "with": peer}
            try:
                is_xml = type == "xml"
                entry["tree"] = elements.parsed(str(text)) if is_xml else self._tree(str(text))
            except ValueError as error:
                notes.append(f"{store}, sort_id {number}: {error}")
                continue
            yield entry

    def _tree(self, text: str) -> Tree:
        value = self._value("json", text)
        if not isinstance(value, dict):
            raise ValueError("not an element")
        return tree_of(value)

    def _value(self, type: str, text: str) -> object:
        if type == "boolean":
            return text == "true"
        try:
            return (
                _plain(json.loads(text))
                if type == "json"
                else float(text)
                if type == "number"
                else text
            )
        except RecursionError as error:
            raise ValueError("too many levels of values") from error


def _plain(value: object) -> object:
    """A table as Lua has it: lists with numbers as keys, and keys that JSON cannot have."""
    if isinstance(value, list):
        return {number: _plain(each) for number, each in enumerate(value, 1)}
    if not isinstance(value, dict):
        return value
    found: dict[object, object] = {}
    for key, each in value.items():
        if key == "__array" and isinstance(each, list):
            found.update((number, _plain(one)) for number, one in enumerate(each, 1))
        elif key == "__hash" and isinstance(each, list):
            keys = (one for one in each[::2] if not isinstance(one, list | dict))
            found.update(zip(keys, map(_plain, each[1::2]), strict=False))
        else:
            found[key] = _plain(each)
    return found


# --- what is in it -------------------------------------------------------------------------------


def tree_of(table: Table, namespace: str = ns.CLIENT) -> Tree:
    """The element that a table of Prosody stands for.

    Args:
        table: Has ``name``, ``attr``, and the children by number.
        namespace: Of the element around it.
    """
    name, attr = table.get("name"), table.get("attr")
    attributes = {str(k): str(v) for k, v in attr.items()} if isinstance(attr, Mapping) else {}
    namespace = attributes.pop("xmlns", namespace)
    for each in ("stamp", "stamp_legacy") if "when" in table else ():
        attributes.pop(each, None)
    tree = Tree(qname(namespace, str(name)), {_attribute(k): v for k, v in attributes.items()})
    last: Tree | None = None
    number = 1
    while (inner := table.get(number)) is not None:
        if isinstance(inner, Mapping):
            last = tree_of(inner, namespace)
            tree.append(last)
        elif last is None:
            tree.text = (tree.text or "") + str(inner)
        else:
            last.tail = (last.tail or "") + str(inner)
        number += 1
    return tree


def _attribute(name: str) -> str:
    if name.startswith("xml:"):
        return qname(ns.XML, name[4:])
    namespace, separator, local = name.partition("\1")
    return qname(namespace, local) if separator else name


def _tree(entry: Table) -> Tree:
    tree = entry["tree"]
    assert isinstance(tree, Tree), "every entry has one"
    return tree


def _when(entry: Table) -> float:
    when = entry.get("when")
    return float(when) if isinstance(when, int | float) else 0.0


def _archived(entry: Table) -> KeptMessage:
    return elements.kept(_tree(entry), round(_when(entry) * 1e6))


def _contact(jid: str, item: Table, request: object) -> RosterItem:
    subscription, groups = item.get("subscription"), item.get("groups")
    names = groups if isinstance(groups, Mapping) else {}
    return RosterItem(
        jid,
        str(item.get("name") or ""),
        tuple(sorted(str(name) for name in names)),
        str(subscription) if subscription in _SUBSCRIPTIONS else "none",
        ask=item.get("ask") == "subscribe",
        pending_in=None if request is None else _presence_of(request),
        approved=item.get("approved") is True,
    )


def _presence_of(found: object) -> bytes:
    """The request of a contact; older versions only say that there is one."""
    if isinstance(found, Mapping) and found.get("name") == "presence":
        return write(tree_of(found))
    return write(elements.made(ns.CLIENT, "presence", type="subscribe"))


def _published(entry: Table) -> KeptItem:
    return KeptItem(str(entry.get("key")), str(entry.get("with") or ""), _tree(entry))


def _node(name: str, node: Table) -> Tree:
    config, affiliations = node.get("config"), node.get("affiliations")
    subscribers = node.get("subscribers")
    fields = {
        _NODE_FIELDS.get(str(key), str(key)): (_value(value),)
        for key, value in (config.items() if isinstance(config, Mapping) else ())
        if isinstance(value, str | bool | int | float)
    }
    return elements.node(
        name,
        fields,
        {str(k): str(v) for k, v in affiliations.items()}
        if isinstance(affiliations, Mapping)
        else {},
        _names(subscribers),
    )


def _names(table: object) -> Iterable[str]:
    return map(str, table) if isinstance(table, Mapping) else ()


def _value(value: str | bool | float) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


__all__ = ["ProsodyFiles", "ProsodyReader", "ProsodySQL", "tree_of"]
