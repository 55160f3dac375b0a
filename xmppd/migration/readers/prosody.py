"""Reads what Prosody keeps: its data directory, or its database in SQLite."""

import json
import mmap
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

from xmppd.migration import elements, pie
from xmppd.migration.elements import KeptItem, KeptMessage
from xmppd.migration.person import Person, SourceError
from xmppd.migration.readers.lua_data import LuaData
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

    def hosts(self) -> list[str]:
        """The domains that have accounts."""

    def users(self, host: str) -> Iterator[str]:
        """Those who have an account."""

    def rooms(self) -> dict[str, int]:
        """How many rooms each domain has that has some."""

    def value(self, host: str, store: str, user: str) -> Table:
        """A value; empty if there is none."""

    def entries(self, host: str, store: str, user: str) -> Iterator[Table]:
        """A list, each entry with ``when``, ``key``, ``with`` and its element as ``tree``."""


class ProsodyReader:
    """The people of a Prosody.

    Args:
        source: Its data directory, or a file of SQLite.
    """

    def __init__(self, source: Path) -> None:
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
            raise SourceError("no accounts of Prosody are there: name its data_path")
        for host in hosts:
            for user in self._storage.users(host):
                yield from self._person(host, user)

    def left_behind(self) -> list[str]:
        """What there is beside people."""
        return [f"rooms of {host}: {count}" for host, count in self._storage.rooms().items()]

    def _person(self, host: str, user: str) -> Iterator[Person]:
        person = Person(user, host)
        self._take_account(person)
        self._take_contacts(person)
        storage = self._storage
        blocked = [str(jid) for jid in storage.value(host, "blocklist", user) if jid is not False]
        if blocked:
            person.data.append(elements.blocklist(blocked))
        card = storage.value(host, "vcard", user)
        kept = storage.value(host, "private", user).values()
        data = [tree_of(each) for each in kept if isinstance(each, Mapping)]
        person.data += [tree_of(card)] if card else []
        person.data += [elements.private(data)] if data else []
        yield from elements.in_parts(person, self._long(person), self._waiting(person))

    def _take_account(self, person: Person) -> None:
        account = self._storage.value(person.domain, "accounts", person.name)
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
        roster = self._storage.value(person.domain, "roster", person.name)
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
        for entry in self._storage.entries(person.domain, "offline", person.name):
            message = _tree(entry)
            elements.stamp(message, person.domain, _when(entry))
            yield message

    def _long(self, person: Person) -> Iterator[Tree]:
        """Nodes and the archive."""
        host, user, storage = person.domain, person.name, self._storage
        for name, node in storage.value(host, "pep", user).items():
            if isinstance(name, str) and isinstance(node, Mapping):
                yield _node(name, node)
                yield from elements.items(
                    name, map(_published, storage.entries(host, f"pep_{name}", user))
                )
        yield from elements.archives(
            KeptMessage(_tree(entry), round(_when(entry) * 1e6))
            for entry in storage.entries(host, "archive", user)
        )


class ProsodyFiles:
    """Files of Lua, each read as data only.

    Args:
        directory: That has a directory for each domain.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

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

    def value(self, host: str, store: str, user: str) -> Table:
        """A value."""
        path = self._path(host, store, user, "dat")
        found = _read(path)
        return found if isinstance(found, dict) else {}

    def entries(self, host: str, store: str, user: str) -> Iterator[Table]:
        """A list."""
        path = self._path(host, store, user, "list")
        if not path.exists():
            return
        try:
            with path.open("rb") as file:
                if not path.stat().st_size:
                    return
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    for entry in LuaData(data).items():
                        if isinstance(entry, dict):
                            table: dict[object, object] = {**entry}  # type: ignore[dict-item]
                            yield table | {"tree": tree_of(table)}
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise SourceError(f"{path}, {error}") from error

    def _path(self, host: str, store: str, user: str, end: str) -> Path:
        folder = _coded(store).replace("%5f", "_")
        return self._directory / _coded(host) / folder / f"{_coded(user)}.{end}"


def _coded(name: str) -> str:
    """A name as it stands in Prosody's paths: all but ASCII letters and digits as ``%xx``."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02x}"
        for byte in name.encode()
    )


def _read(path: Path) -> object:
    """The value in a file; None if there is none."""
    if not path.exists():
        return None
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SourceError(f"{path} has more than {MAX_FILE_BYTES} bytes")
        return LuaData(path.read_bytes()).value()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise SourceError(f"{path}, {error}") from error


class ProsodySQL:
    """The tables ``prosody`` and ``prosodyarchive`` in a file of SQLite.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None

    def hosts(self) -> list[str]:
        """The domains that have accounts."""
        asked = "SELECT DISTINCT host FROM prosody WHERE store = 'accounts' ORDER BY host"
        return [str(host) for (host,) in self._rows(asked)]

    def users(self, host: str) -> Iterator[str]:
        """Those who have an account."""
        after = ""
        asked = (
            "SELECT DISTINCT user FROM prosody WHERE host = ? AND user > ? AND store = 'accounts' "
            "ORDER BY user LIMIT 1000"
        )
        while names := [str(name) for (name,) in self._rows(asked, host, after)]:
            yield from names
            after = names[-1]

    def rooms(self) -> dict[str, int]:
        """How many rooms each domain has that has some."""
        asked = (
            "SELECT host, COUNT(DISTINCT user) FROM prosody WHERE store = 'config' "
            "GROUP BY host ORDER BY host"
        )
        return {str(host): int(str(count)) for host, count in self._rows(asked)}

    def value(self, host: str, store: str, user: str) -> Table:
        """A value, of a row for each of its keys."""
        asked = "SELECT key, type, value FROM prosody WHERE host = ? AND user = ? AND store = ?"
        found: dict[object, object] = {}
        for key, type, text in self._rows(asked, host, user, store):
            value = self._value(str(type), str(text))
            if key == "":
                found.update(value.items() if isinstance(value, dict) else ())
            else:
                found[key] = value
        return found

    def entries(self, host: str, store: str, user: str) -> Iterator[Table]:
        """A list, some entries at a time."""
        after: object = 0
        asked = (
            'SELECT sort_id, key, "when", "with", type, value FROM prosodyarchive '
            "WHERE host = ? AND user = ? AND store = ? AND sort_id > ? ORDER BY sort_id LIMIT 100"
        )
        while rows := self._rows(asked, host, user, store, after):
            for number, key, when, peer, type, text in rows:
                entry: dict[object, object] = {"key": key, "when": when, "with": peer}
                try:
                    is_xml = type == "xml"
                    entry["tree"] = elements.parsed(str(text)) if is_xml else self._tree(str(text))
                except ValueError as error:
                    raise SourceError(f"{self._path}, sort_id {number}: {error}") from error
                yield entry
            after = rows[-1][0]

    def _tree(self, text: str) -> Tree:
        value = self._value("json", text)
        if not isinstance(value, dict):
            raise ValueError("it is no element")
        return tree_of(value)

    def _value(self, type: str, text: str) -> object:
        try:
            if type == "json":
                return _plain(json.loads(text))
            return (
                float(text) if type == "number" else text == "true" if type == "boolean" else text
            )
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self._path}: a value cannot be read ({error})") from error

    def _rows(self, asked: str, *values: object) -> list[tuple[object, ...]]:
        try:
            if self._opened is None:
                url = f"file:{quote(str(self._path))}?mode=ro"
                self._opened = sqlite3.connect(url, uri=True, check_same_thread=False)
            return self._opened.execute(asked, values).fetchall()
        except sqlite3.Error as error:
            raise SourceError(f"{self._path} is no database of Prosody ({error})") from error


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
