"""Reads what ``ejabberdctl dump`` has written."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from xmppd.migration import elements
from xmppd.migration.elements import KeptItem, KeptMessage, KeptRule, sound
from xmppd.migration.person import Person, Remarks, SourceError
from xmppd.migration.readers import ejabberd
from xmppd.migration.readers.ejabberd import MATCHES, EjabberdReader, address, text, xml
from xmppd.migration.readers.erlang_terms import (
    MAX_TERM_BYTES,
    Atom,
    ErlangTerm,
    ErlangValue,
    terms_of,
    value_of,
)
from xmppd.stanza import Tree
from xmppd.store.rosters import RosterItem

MAX_PERSON_BYTES = 16 << 20
"""Of somebody's records of one table, where all of them are in memory."""

MAX_ITEMS = 100_000
"""Of one node."""

OWNED = (
    "passwd", "last_activity", "roster", "vcard", "private_storage", "privacy", "archive_prefs",
    "offline_msg", "archive_msg",
)  # fmt: skip
"""The tables whose records have somebody's name first."""

PASSED_OVER = (
    "vcard_search", "roster_version", "pubsub_index", "pubsub_orphan", "caps_features", "schema",
    "acl", "config", "captcha", "bosh", "session", "s2s", "route", "oauth_token", "oauth_client",
    "last_stamp", "mod_register_ip", "access", "local_config", "temporarily_blocked",
)  # fmt: skip
"""The tables that say nothing that is worth a word here."""

# In a file without a name, which is gone with its connection: so it is not in memory.
_SHELF = """
CREATE TABLE record (domain TEXT, name TEXT, kind TEXT, at INTEGER, size INTEGER, line INTEGER)
"""
_SHELVED = "CREATE INDEX by_owner ON record (domain, name, kind, at)"
_OF_NODE = "\0node"
"""In the place of a domain: what belongs to a node, by its number."""

Fields = Mapping[str, ErlangValue]
T = TypeVar("T")


class _Record(NamedTuple):
    at: int
    size: int
    line: int


class EjabberdDump(EjabberdReader):
    """The people in a dump. It has one table after the other, so all of it is looked at before the
    first person, and where each has something is written down beside.

    Args:
        source: The file.
    """

    def __init__(self, source: Path) -> None:
        self._path = source
        self._shelf: sqlite3.Connection | None = None
        self._file = -1
        self._attributes: dict[str, list[str]] = {}
        self._others: Counter[str] = Counter()
        self._remarks = Remarks()

    def close(self) -> None:
        """Be done with it."""
        if self._shelf is not None:
            self._shelf.close()
            os.close(self._file)
            self._shelf = None

    def left_behind(self) -> list[str]:
        """What there is beside people."""
        found = [f"{kind}: {count}" for kind, count in sorted(self._others.items())]
        return found + self._remarks.all()

    def names(self) -> Iterator[tuple[str, str]]:
        """Those who have an account, or a roster."""
        try:
            self._open()
        except OSError as error:
            raise SourceError(f"{self._path} cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise SourceError(f"{self._path}, {error}") from error
        except sqlite3.Error as error:
            raise SourceError(
                f"the temporary file beside {self._path} cannot be written ({error})"
            ) from error
        assert self._shelf is not None, "it was just made"
        yield from self._shelf.execute(
            "SELECT DISTINCT name, domain FROM record WHERE kind IN ('passwd', 'roster') "
            "ORDER BY domain, name"
        )

    def take_account(self, person: Person) -> None:
        """Take the password, or its keys, and when somebody was there last."""
        for value in self._few(person, "passwd", lambda fields: fields["password"]):
            try:
                match value:
                    case ("scram", stored, server, salt, *_, int(iterations)):
                        person.keys.append(
                            ejabberd.keys_of(text(stored), text(server), text(salt), iterations)
                        )
                    case _:
                        person.password = text(value)
            except ValueError as error:
                person.left_out.append(f"password: {error}")
        for seconds, status in self._few(person, "last_activity", _last):
            person.last_seen, person.status = seconds, status

    def take_contacts(self, person: Person) -> None:
        """Take the roster."""
        person.contacts += self._few(person, "roster", _contact)

    def take_small(self, person: Person) -> None:
        """Take what is not long."""
        person.data += self._few(person, "vcard", lambda fields: xml(fields["vcard"]))
        kept = list(self._few(person, "private_storage", lambda fields: xml(fields["xml"])))
        person.data += [elements.private(kept)] if kept else []
        person.data += self._few(person, "privacy", _privacy)
        person.data += self._few(person, "archive_prefs", _preferences)

    def waiting(self, person: Person) -> Iterator[Tree]:
        """The messages that wait."""
        return self._each(person, "offline_msg", partial(_message, person.domain))

    def long(self, person: Person) -> Iterator[Tree]:
        """Nodes and the archive."""
        nodes = list(self._few(person, "pubsub_node", _node))
        for number, name, options in nodes:
            roles: dict[str, str] = {}
            follows: list[str] = []
            for jid, role, subscriptions in self._of_node(person, number, "pubsub_state", _state):
                roles |= {jid: role} if role != "none" else {}
                follows += [jid] * ("subscribed" in subscriptions)
            yield ejabberd.node(name, options, roles, follows)
            yield from elements.items(name, self._items(person, number))
        yield from elements.archives(self._each(person, "archive_msg", _archived))

    def _items(self, person: Person, number: int) -> Iterator[KeptItem]:
        """The items of a node, the oldest first; the table has no order."""
        kind = "pubsub_item"

        def placed(record: _Record) -> tuple[int, _Record]:
            return self._converted(kind, _modified, record), record

        records = self._records(_OF_NODE, str(number), kind)
        all_placed = sound(person.left_out, kind, records, placed)
        found = sorted(islice(all_placed, MAX_ITEMS))
        if next(all_placed, None) is not None:
            person.left_out.append(f"{kind}: more than {MAX_ITEMS} items are in one node")
        convert = partial(self._converted, kind, _item)
        return sound(person.left_out, kind, (record for _, record in found), convert)

    # -- the file ---------------------------------------------------------------------------------

    def _open(self) -> None:
        """Look at all of it once."""
        self._file = os.open(self._path, os.O_RDONLY)
        self._shelf = sqlite3.connect("", check_same_thread=False)
        self._shelf.execute(_SHELF)
        with self._path.open("rb") as file:
            insert = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)"
            self._shelf.executemany(insert, self._placed(terms_of(file)))
        self._shelf.execute(_SHELVED)
        if "passwd" not in self._attributes and "roster" not in self._attributes:
            raise ValueError("line 1: not a dump of ejabberd with accounts: see ejabberdctl dump")

    def _placed(self, terms: Iterator[ErlangTerm]) -> Iterator[tuple[str, str, str, int, int, int]]:
        """What is worth reading, each with whose it is."""
        for number, term in enumerate(terms):
            if term.data is None:
                self._remarks.append(
                    f"line {term.line}: a record of more than {MAX_TERM_BYTES} bytes"
                )
                continue
            try:
                if not number:
                    self._attributes = _attributes(value_of(term.data))
                    continue
                owner = self._owner(term.data)
            except ValueError as error:
                if not number:
                    raise ValueError(f"line {term.line}: {error}") from error
                self._remarks.append(f"line {term.line}: {error}")
                continue
            if owner is not None:
                yield *owner, term.offset, len(term.data), term.line

    def _owner(self, data: bytes) -> tuple[str, str, str] | None:
        """Whose a record is, and of which table."""
        kind = ""
        match value_of(data, 2):
            case (Atom() as kind, (user, server, *_)) if kind in OWNED:
                return text(server), text(user), str(kind)
            case ("pubsub_node", ((user, server, _), _)):
                return text(server), text(user), "pubsub_node"
            case ("pubsub_item" | "pubsub_state" as kind, (_, int(number))):
                return _OF_NODE, str(number), str(kind)
            case ("pubsub_node", (host, _)):
                self._others[f"nodes of {text(host)}"] += 1
            case ("muc_room", (_, host)):
                self._others[f"rooms of {text(host)}"] += 1
            case (Atom() as kind, *_) if kind not in PASSED_OVER:
                self._others[f"records of {kind}"] += 1
        return None

    def _each(self, person: Person, kind: str, convert: Callable[[Fields], T]) -> Iterator[T]:
        found = self._records(person.domain, person.name, kind)
        return sound(person.left_out, kind, found, partial(self._converted, kind, convert))

    def _few(self, person: Person, kind: str, convert: Callable[[Fields], T]) -> Iterator[T]:
        """What comes of records of which all are in memory."""
        found = self._bounded(person, kind, self._records(person.domain, person.name, kind))
        return sound(person.left_out, kind, found, partial(self._converted, kind, convert))

    def _bounded(self, person: Person, kind: str, records: Iterator[_Record]) -> Iterator[_Record]:
        size = 0
        for record in records:
            size += record.size
            if size > MAX_PERSON_BYTES:
                person.left_out.append(
                    f"{kind}: line {record.line}: more than {MAX_PERSON_BYTES} bytes of records"
                )
                return
            yield record

    def _of_node(
        self, person: Person, number: int, kind: str, convert: Callable[[Fields], T]
    ) -> Iterator[T]:
        found = self._bounded(person, kind, self._records(_OF_NODE, str(number), kind))
        return sound(person.left_out, kind, found, partial(self._converted, kind, convert))

    def _records(self, domain: str, name: str, kind: str) -> Iterator[_Record]:
        assert self._shelf is not None, "names come first"
        asked = (
            "SELECT at, size, line FROM record WHERE domain = ? AND name = ? AND kind = ? "
            "ORDER BY at"
        )
        yield from map(_Record._make, self._shelf.execute(asked, (domain, name, kind)))

    def _converted(self, kind: str, convert: Callable[[Fields], T], record: _Record) -> T:
        try:
            value = value_of(os.pread(self._file, record.size, record.at))
            names = self._attributes.get(kind, [])
            if not isinstance(value, tuple) or len(value) != len(names) + 1:
                raise ValueError("the fields of the record are not those of its table")
            return convert(dict(zip(names, value[1:], strict=True)))
        except (KeyError, ValueError) as error:
            why = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"line {record.line}: {why}") from error


# --- what is in it --------------------------------------------------------------------------------


def _attributes(head: ErlangValue) -> dict[str, list[str]]:
    """The fields of each table, as the head of the file names them."""
    found: dict[str, list[str]] = {}
    match head:
        case ("tables", [*tables]):
            for name, about in ejabberd.pairs(tables):
                for key, value in ejabberd.pairs(about):
                    if key == "attributes" and isinstance(value, list):
                        found[str(name)] = [str(each) for each in value]
            return found
    raise ValueError("not a dump of ejabberd: see ejabberdctl dump")


def _last(fields: Fields) -> tuple[float, str]:
    seconds = fields["timestamp"]
    if not isinstance(seconds, int):
        raise ValueError("a value is not a time")
    return float(seconds), text(fields["status"])


def _contact(fields: Fields) -> RosterItem:
    groups, asks = fields["groups"], fields["askmessage"]
    return ejabberd.contact(
        address(fields["jid"]),
        text(fields["name"]),
        str(fields["subscription"]),
        str(fields["ask"]),
        [text(each) for each in groups] if isinstance(groups, list) else (),
        text(asks) if isinstance(asks, bytes) else "",
    )


def _privacy(fields: Fields) -> Tree:
    default = fields["default"]
    return elements.privacy(
        None if isinstance(default, Atom) else text(default),
        {
            text(name): [_rule(each) for each in items] if isinstance(items, list) else []
            for name, items in ejabberd.pairs(fields["lists"])
        },
    )


def _rule(item: ErlangValue) -> KeptRule:
    match item:
        case ("listitem", Atom() as type, value, Atom() as action, int(order), everything, *kinds):
            wanted = () if everything == "true" else zip(MATCHES, kinds, strict=False)
            chosen = [kind for kind, is_meant in wanted if is_meant == "true"]
            if type == "none":
                return KeptRule("", "", action, order, chosen)
            of = address(value) if type == "jid" else text(value) if type == "group" else str(value)
            return KeptRule(type, of, action, order, chosen)
    raise ValueError("a value is not an item of a privacy list")


def _preferences(fields: Fields) -> Tree:
    always, never = (ejabberd.addresses(fields[name]) for name in ("always", "never"))
    return elements.preferences(str(fields["default"]), always, never)


def _message(domain: str, fields: Fields) -> Tree:
    message = xml(fields["packet"])
    elements.stamp(message, domain, ejabberd.microseconds(fields["timestamp"]) / 1e6)
    return message


def _archived(fields: Fields) -> KeptMessage:
    return elements.kept(xml(fields["packet"]), ejabberd.microseconds(fields["timestamp"]))


def _node(fields: Fields) -> tuple[int, str, dict[str, ErlangValue]]:
    match fields["nodeid"], fields["id"]:
        case (_, name), int(number):
            options = {str(key): value for key, value in ejabberd.pairs(fields["options"])}
            return number, text(name), options
    raise ValueError("a value is not a PubSub node")


def _state(fields: Fields) -> tuple[str, str, list[str]]:
    match fields["stateid"], fields["subscriptions"]:
        case (jid, _), [*subscriptions]:
            words = [str(word) for word, _ in ejabberd.pairs(subscriptions)]
            return address(jid), str(fields["affiliation"]), words
    raise ValueError("a value is not an affiliation")


def _modified(fields: Fields) -> int:
    match fields["modification"]:
        case (at, _):
            return ejabberd.microseconds(at)
    raise ValueError("a value is not a time")


def _item(fields: Fields) -> KeptItem:
    match fields["itemid"], fields["modification"], fields["payload"]:
        case (id, _), (_, publisher), [*payload]:
            return KeptItem(text(id), address(publisher), xml(payload[0]) if payload else None)
    raise ValueError("a value is not an item")


__all__ = ["EjabberdDump"]
