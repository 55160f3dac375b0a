"""Reads the tables of ejabberd, and those of MongooseIM, which are nearly the same."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from xmppd.migration import elements
from xmppd.migration.elements import KeptItem, KeptMessage, KeptRule, sound
from xmppd.migration.person import Person, SourceError
from xmppd.migration.readers import ejabberd
from xmppd.migration.readers.ejabberd import MATCHES, EjabberdReader
from xmppd.migration.readers.erlang_terms import ErlangValue
from xmppd.migration.readers.sql_source import (
    LONG_ROWS_AT_ONCE,
    ROWS_AT_ONCE,
    Row,
    SQLSource,
    pages,
    sound_text,
)
from xmppd.stanza import Tree
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import ScramKeys

_SUBSCRIPTIONS = {"B": "both", "T": "to", "F": "from", "N": "none"}
_ASKS = {"S": "subscribe", "U": "unsubscribe", "B": "both", "O": "out", "I": "in", "N": "none"}
_TYPES = {"n": "", "j": "jid", "g": "group", "s": "subscription"}
_ACTIONS = {"a": "allow", "d": "deny"}
_AFFILIATIONS = {"o": "owner", "p": "publisher", "u": "publish-only", "m": "member", "c": "outcast"}
_KEY_NAMES = ("stored_key", "server_key", "salt")
_TRUE = (True, 1, "1", "t", "true", b"\1")

_BESIDE = {
    "sr_group": "shared groups",
    "muc_registered": "registered nicks",
    "mix_channel": "channels of MIX",
    "mix_pam": "channels that people have joined",
    "push_session": "registrations for push",
    "motd": "messages of the day",
    "mam_message": "archived messages, which MongooseIM stores in its own format",
    "pubsub_nodes": "nodes, which MongooseIM stores in its own format",
}
"""The tables that have more than people, or what cannot be read of them."""


class EjabberdSQL(EjabberdReader):
    """The people in such tables.

    Args:
        source: A database, as :class:`~xmppd.migration.readers.sql_source.SQLSource` has it.
        host: The domain of everybody, if no table says it; empty if that was not said.
    """

    def __init__(self, source: Path, host: str = "") -> None:
        self._sql = SQLSource(source)
        self._host = host
        self._host_column = ""

    def close(self) -> None:
        """Be done with it."""
        self._sql.close()

    def left_behind(self) -> list[str]:
        """What there is beside people."""
        sql = self._sql
        found = [
            f"rooms of {host}: {count}"
            for host, count in self._by_host("SELECT host, COUNT(*) FROM muc_room", "muc_room")
        ] + [
            f"nodes of {host}: {count}"
            for host, count in self._by_host(
                "SELECT host, COUNT(*) FROM pubsub_node WHERE host NOT LIKE '%@%'", "pubsub_node"
            )
        ]
        for table, name in _BESIDE.items():
            if sql.has(table):
                ((count,),) = sql.rows(f"SELECT COUNT(*) FROM {table}")
                found.append(f"{name}: {count}")
        return found

    def _by_host(self, asked: str, table: str) -> list[tuple[str, int]]:
        """How many each has."""
        if not self._sql.has(table) or "host" not in self._sql.columns(table):
            return []
        rows = self._sql.rows(f"{asked} GROUP BY host ORDER BY host")
        return [(str(host), int(str(count))) for host, count in rows]

    def names(self) -> Iterator[tuple[str, str]]:
        """Those who have an account, then those who have a roster only."""
        columns = self._sql.columns("users")
        if "username" not in columns:
            raise SourceError('the database has no table "users" of ejabberd or MongooseIM')
        self._host_column = next((c for c in ("server_host", "server") if c in columns), "")
        if self._host_column:
            asked = "SELECT {host} FROM users UNION SELECT {host} FROM rosterusers ORDER BY 1"
            hosts = [str(h) for (h,) in self._sql.rows(asked.format(host=self._host_column))]
        elif self._host:
            hosts = [self._host]
        else:
            raise SourceError("these tables do not name the accounts' domain: use --host DOMAIN")
        for host in hosts:
            for table, which in (
                ("users", ""),
                ("rosterusers", f"AND username NOT IN (SELECT username FROM users{self._of()})"),
            ):
                for (name,) in pages(partial(self._names, table, which, host)):
                    yield str(name), host

    def _names(self, table: str, which: str, host: str, last: Row | None) -> Sequence[Row]:
        return self._sql.rows(
            f"SELECT DISTINCT username FROM {table} WHERE username > :after {which}"
            f"{self._of(' AND')} ORDER BY username LIMIT {ROWS_AT_ONCE}",
            after="" if last is None else last[0],
            domain=host,
        )

    def _of(self, word: str = " WHERE") -> str:
        """That a row is of the domain, if rows say it."""
        return f"{word} {self._host_column} = :domain" if self._host_column else ""

    def _rows(self, table: str, person: Person, *columns: str, order: str = "") -> Sequence[Row]:
        """What a table has of somebody."""
        if not self._sql.has(table):
            return ()
        return self._sql.rows(
            f"SELECT {self._sql.chosen(table, columns)} FROM {table} "
            f"WHERE username = :name{self._of(' AND')} {order}",
            name=person.name,
            domain=person.domain,
        )

    # -- what somebody has ------------------------------------------------------------------------

    def take_account(self, person: Person) -> None:
        """Take the password, or its keys, and when somebody was there last."""
        for password, server, salt, iterations, details, created in self._rows(
            "users", person, "password", "serverkey", "salt", "iterationcount", "pass_details",
            "created_at",
        ):  # fmt: skip
            try:
                if details:
                    person.keys += _mongoose_keys(str(details))
                elif int(str(iterations or 0)) > 0:
                    person.keys.append(
                        ejabberd.keys_of(
                            str(password), str(server), str(salt), int(str(iterations))
                        )
                    )
                else:
                    person.password = sound_text(password)
            except ValueError as error:
                person.left_out.append(f"password: {error}")
            person.created = ejabberd.moment(created)
        last = self._rows("last", person, "seconds", "state")
        for seconds, status in sound(person.left_out, "last", last, _last):
            person.last_seen, person.status = seconds, status

    def take_contacts(self, person: Person) -> None:
        """Take the roster."""
        groups: dict[str, list[str]] = {}
        for jid, group in self._rows("rostergroups", person, "jid", "grp"):
            groups.setdefault(str(jid), []).append(str(group))
        columns = ("jid", "nick", "subscription", "ask", "askmessage")
        rows = self._rows("rosterusers", person, *columns)
        contacts = sound(person.left_out, "rosterusers", rows, partial(_contact, groups))
        person.contacts += contacts

    def take_small(self, person: Person) -> None:
        """Take what is not long."""
        notes = person.left_out
        person.data += sound(notes, "vcard", self._rows("vcard", person, "vcard"), _xml)
        rows = self._rows("private_storage", person, "data", "namespace")
        kept = list(sound(notes, "private_storage", rows, _xml))
        person.data += [elements.private(kept)] if kept else []
        lists = self._rows("privacy_list", person, "id", "name")
        if lists:
            default = [str(n) for (n,) in self._rows("privacy_default_list", person, "name")]
            found = {str(name): list(self._rules(person, id)) for id, name in lists}
            person.data.append(elements.privacy(default[0] if default else None, found))
        rows = self._rows("archive_prefs", person, "def", "always", "never")
        person.data += sound(notes, "archive_prefs", rows, _preferences)

    def _rules(self, person: Person, id: object) -> Iterator[KeptRule]:
        matches = ("match_all", *(f"match_{kind.replace('-', '_')}" for kind in MATCHES))
        rows = self._sql.rows(
            f"SELECT t, value, action, ord, {', '.join(matches)} FROM privacy_list_data "
            "WHERE id = :id ORDER BY ord",
            id=id,
        )
        return sound(person.left_out, "privacy_list_data", rows, _rule)

    def waiting(self, person: Person) -> Iterator[Tree]:
        """The messages that wait."""
        notes, domain = person.left_out, person.domain
        if self._sql.has("spool"):
            rows = self._long("spool", person, "seq", "xml", "created_at")
            yield from sound(notes, "spool", rows, partial(_waiting, domain, ejabberd.moment))
        if self._sql.has("offline_message"):
            rows = self._long("offline_message", person, "id", "packet", "timestamp")
            convert = partial(_waiting, domain, _seconds)
            yield from sound(notes, "offline_message", rows, convert)

    def _long(self, table: str, person: Person, id: str, *columns: str) -> Iterator[Row]:
        """Many rows in the order of their numbers, which come first."""
        return pages(
            lambda last: self._sql.rows(
                f"SELECT {', '.join((id, *columns))} FROM {table} WHERE username = :name"
                f"{self._of(' AND')} AND {id} > :after ORDER BY {id} LIMIT {LONG_ROWS_AT_ONCE}",
                name=person.name,
                domain=person.domain,
                after=0 if last is None else last[0],
            )
        )

    def long(self, person: Person) -> Iterator[Tree]:
        """Nodes and the archive."""
        sql = self._sql
        if sql.has("pubsub_node"):
            jid = f"{person.name}@{person.domain}"
            for number, name in sql.rows(
                "SELECT nodeid, node FROM pubsub_node WHERE host = :jid ORDER BY nodeid", jid=jid
            ):
                yield self._node(person, number, str(name))
                rows = sql.rows(
                    "SELECT itemid, publisher, payload FROM pubsub_item WHERE nodeid = :number "
                    "ORDER BY modification",
                    number=number,
                )
                yield from elements.items(
                    str(name), sound(person.left_out, "pubsub_item", rows, _item)
                )
        if sql.has("archive"):
            kept = pages(partial(self._archived, person))
            yield from elements.archives(sound(person.left_out, "archive", kept, _archived))

    def _node(self, person: Person, number: object, name: str) -> Tree:
        sql = self._sql
        rows = sql.rows("SELECT name, val FROM pubsub_node_option WHERE nodeid = :n", n=number)
        options = dict(sound(person.left_out, "pubsub_node_option", rows, _option))
        roles: dict[str, str] = {}
        follows: list[str] = []
        for jid, role, subscriptions in sql.rows(
            "SELECT jid, affiliation, subscriptions FROM pubsub_state WHERE nodeid = :n", n=number
        ):
            if role in _AFFILIATIONS:
                roles[str(jid)] = _AFFILIATIONS[str(role)]
            if any(each.partition(":")[0] == "s" for each in str(subscriptions).split(",")):
                follows.append(str(jid))
        return ejabberd.node(name, options, roles, follows)

    def _archived(self, person: Person, last: Row | None) -> Sequence[Row]:
        return self._sql.rows(
            f"SELECT timestamp, id, xml FROM archive WHERE username = :name{self._of(' AND')} "
            "AND (timestamp > :at OR (timestamp = :at AND id > :id)) "
            f"ORDER BY timestamp, id LIMIT {LONG_ROWS_AT_ONCE}",
            name=person.name,
            domain=person.domain,
            at=-1 if last is None else last[0],
            id=-1 if last is None else last[1],
        )


# --- what is in the rows --------------------------------------------------------------------------


def _mongoose_keys(details: str) -> list[ScramKeys]:
    """Keys as MongooseIM has them: as JSON, or in two older forms.

    Raises:
        ValueError: There are none.
    """
    found = list(_of_details(details))
    keys = [
        ejabberd.keys_of(stored, server, salt, iterations)
        for stored, server, salt, iterations in found
        if len(stored) in (28, 44, 88)  # in base64; those of SHA-224 and SHA-384 are not known here
    ]
    if not keys:
        raise ValueError("the keys use an unknown hash")
    return keys


def _of_details(details: str) -> Iterator[tuple[str, str, str, int]]:
    head, *rest = details.split(",")
    if head == "==SCRAM==" and len(rest) == 4:
        yield rest[0], rest[1], rest[2], int(rest[3])
    elif head == "==MULTI_SCRAM==" and rest:
        for each in rest[1:]:
            salt, stored, server = each.lstrip("=").partition("=")[2].lstrip("=").split("|")
            yield stored, server, salt, int(rest[0])
    else:
        value = json.loads(details)
        if not isinstance(value, dict):
            raise ValueError("the keys have an unknown format")
        for each in value.values():
            if isinstance(each, dict):
                stored, server, salt = (str(each.get(name)) for name in _KEY_NAMES)
                yield stored, server, salt, int(value.get("iteration_count", 0))


def _last(row: Row) -> tuple[float, str]:
    return float(str(row[0])), sound_text(row[1] or "")


def _contact(groups: Mapping[str, list[str]], row: Row) -> RosterItem:
    jid, name, subscription, ask, asks = (sound_text("" if v is None else v) for v in row)
    asks = asks.strip("\0")
    return ejabberd.contact(
        jid,
        name,
        _SUBSCRIPTIONS.get(subscription.strip(), "none"),
        _ASKS.get(ask.strip(), "none"),
        map(sound_text, groups.get(jid, ())),
        asks,
    )


def _xml(row: Row) -> Tree:
    return elements.parsed(sound_text(row[0]))


def _rule(row: Row) -> KeptRule:
    type, value, action, order, everything, *kinds = row
    if type not in _TYPES or action not in _ACTIONS:
        raise ValueError("the type or action is invalid")
    wanted = () if everything in _TRUE else zip(MATCHES, kinds, strict=True)
    chosen = [kind for kind, is_meant in wanted if is_meant in _TRUE]
    place = int(float(str(order)))
    return KeptRule(_TYPES[str(type)], sound_text(value), _ACTIONS[str(action)], place, chosen)


def _preferences(row: Row) -> Tree:
    always, never = (ejabberd.addresses(ejabberd.term(sound_text(v))) for v in row[1:])
    return elements.preferences(sound_text(row[0]), always, never)


def _seconds(microseconds: object) -> float:
    return int(str(microseconds)) / 1e6


def _waiting(domain: str, when: Callable[[object], float | None], row: Row) -> Tree:
    message = elements.parsed(sound_text(row[1]))
    came = when(row[2])
    if came is not None:
        elements.stamp(message, domain, came)
    return message


def _archived(row: Row) -> KeptMessage:
    return elements.kept(elements.parsed(sound_text(row[2])), int(str(row[0])))


def _option(row: Row) -> tuple[str, ErlangValue]:
    return sound_text(row[0]), ejabberd.term(sound_text(row[1]))


def _item(row: Row) -> KeptItem:
    id, publisher, payload = row
    written = sound_text(payload)
    return KeptItem(
        sound_text(id), sound_text(publisher), elements.parsed(written) if written else None
    )


__all__ = ["EjabberdSQL"]
