"""Reads what Openfire keeps: its database, or the script of the one that it brings."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from xmppd.auth.keys import keys_match, password_forms
from xmppd.migration import elements, pie
from xmppd.migration.elements import KeptItem, KeptMessage, sound
from xmppd.migration.person import Person, Remarks, SourceError
from xmppd.migration.readers import openfire_password
from xmppd.migration.readers.hsqldb_script import tables_of
from xmppd.migration.readers.openfire_password import opened
from xmppd.migration.readers.sql_source import (
    LONG_ROWS_AT_ONCE,
    ROWS_AT_ONCE,
    Row,
    SQLSource,
    is_database,
    pages,
    sound_text,
)
from xmppd.stanza import Tree, ns, qname
from xmppd.stanza.xml import write
from xmppd.store.foreign_database import URL_SUFFIX
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import ScramKeys

PASSWORDS_TRIED = 20
"""Of encrypted passwords, to see whether ``passwordKey`` opens them."""

WRONG_KEY = (
    "passwordKey in ofProperty does not decrypt the passwords in ofUser. Openfire 5.1 and later "
    "also need its file conf/security.xml: copy it beside the source. If the key belongs to "
    "another Openfire, remove passwordKey from ofProperty: accounts without SCRAM keys then get no "
    "password here"
)

SUBSCRIPTIONS = {0: "none", 1: "to", 2: "from", 3: "both"}
REMOVED = -1
ASKED = 0
ASKS = 1

_CARD = "vcard-temp"
_BESIDE = {
    "ofMucRoom": "rooms",
    "ofGroup": "groups, which may be shared",
    "ofMucMember": "members of rooms",
    "ofSecurityAuditLog": "lines of the audit log",
    "ofUserProp": "properties of people",
}
"""The tables that have more than people, or what there is no place for."""


class OpenfireReader:
    """The people of an Openfire. A row that cannot be read is left out, with a note.

    Args:
        source: A database, as :class:`~xmppd.migration.readers.sql_source.SQLSource` has it; or the
            script of HSQLDB, or its directory ``embedded-db``.
        host: The domain of everybody, if the properties do not say it; empty if that was not said.
    """

    def __init__(self, source: Path, host: str = "") -> None:
        self._source = source / "openfire.script" if source.is_dir() else source
        self._host = host
        self._sql = SQLSource(source)
        self._remarks = Remarks()
        self._keys: list[bytes] = []

    def people(self) -> Iterator[Person]:
        """All of them.

        Raises:
            SourceError: Something cannot be read; the text says where.
        """
        self._open()
        properties = dict(self._properties())
        domain = self._host or properties.get("xmpp.domain", "")
        if not domain:
            raise SourceError("the properties do not name the domain: use --host DOMAIN")
        if "passwordKey" in properties:
            self._keys += openfire_password.keys_of(properties["passwordKey"], self._salt())
            self._check_keys()
        for row in pages(self._users):
            yield from self._person(domain, row)

    def close(self) -> None:
        """Be done with it."""
        self._sql.close()

    def left_behind(self) -> list[str]:
        """What there is beside people."""
        found = []
        for table, name in _BESIDE.items():
            if self._sql.has(table):
                ((count,),) = self._sql.rows(f"SELECT COUNT(*) FROM {table}")
                found.append(f"{name}: {count}")
        return found + self._remarks.all()

    # -- the source -------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._source.suffix == ".script":
            try:
                self._sql = SQLSource(self._source, tables_of(self._source, self._remarks))
            except OSError as error:
                raise SourceError(
                    f"{self._source} cannot be read ({error.strerror or error})"
                ) from error
            except ValueError as error:
                raise SourceError(f"{self._source}: {error}") from error
        elif os.access(self._source, os.R_OK) and not is_database(self._source):
            raise SourceError(
                f"{self._source} is not data of Openfire; name the file openfire.script, its "
                f"directory embedded-db, a file *.xml, or a file *{URL_SUFFIX} with the URL of the "
                "database"
            )
        if "username" not in self._sql.columns("ofUser"):
            raise SourceError(f"{self._source} has no table ofUser of Openfire")

    def _properties(self) -> Iterator[tuple[str, str]]:
        if self._sql.columns("ofProperty"):
            for name, value in self._sql.rows(
                "SELECT name, propValue FROM ofProperty "
                "WHERE name IN ('xmpp.domain', 'passwordKey')"
            ):
                yield str(name), str(value)

    def _users(self, last: Row | None) -> Sequence[Row]:
        columns = (
            "username", "plainPassword", "encryptedPassword", "storedKey", "serverKey", "salt",
            "iterations", "creationDate", "name", "email",
        )  # fmt: skip
        return self._sql.rows(
            f"SELECT {self._sql.chosen('ofUser', columns)} FROM ofUser WHERE username > :after "
            f"ORDER BY username LIMIT {ROWS_AT_ONCE}",
            after="" if last is None else last[0],
        )

    def _salt(self) -> bytes | None:
        """The salt of keys, if the file with it is beside the source, or where Openfire has it."""
        beside = self._source.parent
        for path in (beside, beside.parent / "conf"):
            file = path / openfire_password.FILE
            try:
                if file.exists():
                    return openfire_password.salt_in(file)
            except OSError as error:
                raise SourceError(f"{file} cannot be read ({error.strerror or error})") from error
            except ValueError as error:
                raise SourceError(f"{file}, {error}") from error
        return None

    def _check_keys(self) -> None:
        """Look whether a key opens passwords before anybody is taken, and keep that: a wrong one
        makes other passwords of them, and people would be locked out.

        Where keys of SCRAM are known as well, one of these passwords has to have them. Elsewhere a
        wrong key is told by what comes out: it is mostly not padded, nor a password at all.

        Raises:
            SourceError: It does not.
        """
        if "encryptedpassword" not in self._sql.columns("ofUser"):
            return
        if rows := self._encrypted("storedKey IS NOT NULL"):
            right = [key for key in self._keys if any(_has_keys(key, row) for row in rows)]
        elif rows := self._encrypted("storedKey IS NULL"):
            most = len(rows) / 2
            right = [key for key in self._keys if sum(_opens(key, row) for row in rows) > most]
        else:
            return
        if not right:
            raise SourceError(WRONG_KEY)
        self._keys = right[:1]

    def _encrypted(self, also: str) -> Sequence[Row]:
        """Some rows that have an encrypted password."""
        has_keys = "storedkey" in self._sql.columns("ofUser")
        if not has_keys and also == "storedKey IS NOT NULL":
            return ()
        columns = ("encryptedPassword", "storedKey", "serverKey", "salt", "iterations")
        return self._sql.rows(
            f"SELECT {self._sql.chosen('ofUser', columns)} FROM ofUser WHERE encryptedPassword "
            f"IS NOT NULL {f'AND {also}' if has_keys else ''} LIMIT {PASSWORDS_TRIED}"
        )

    # -- what somebody has ------------------------------------------------------------------------

    def _person(self, domain: str, row: Row) -> Iterator[Person]:
        name, plain, encrypted, *keys, created, full_name, email = row
        person = Person(str(name), domain, created=_seconds(created))
        notes = person.left_out
        try:
            if keys[0]:
                person.keys.append(_keys(keys))
            elif plain:
                person.password = sound_text(plain)
            elif encrypted and self._keys:
                person.password = opened(str(encrypted), self._keys[0])
            elif encrypted:
                notes.append("the password is encrypted, and no key decrypts it")
        except ValueError as error:
            notes.append(f"password: {error}")
        person.disabled, person.disabled_until = self._lockout(person)
        for status, at in sound(
            notes, "ofPresence", self._rows("ofPresence", person, "offlinePresence", "offlineDate"),
            _last,
        ):  # fmt: skip
            person.last_seen, person.status = at, status
        person.contacts += self._contacts(person)
        cards = list(sound(notes, "ofVCard", self._rows("ofVCard", person, "vcard"), _xml))
        person.data += cards or _card(full_name, email)
        kept = list(sound(notes, "ofPrivate", self._rows("ofPrivate", person, "privateData"), _xml))
        person.data += [elements.private(kept)] if kept else []
        lists = self._rows("ofPrivacyList", person, "list", "name", "isDefault")
        person.data += [_privacy(notes, lists)] if lists else []
        yield from elements.in_parts(person, self._long(person), self._waiting(person))

    def _rows(self, table: str, person: Person, *columns: str) -> Sequence[Row]:
        if not self._sql.has(table):
            return ()
        return self._sql.rows(
            f"SELECT {self._sql.chosen(table, columns)} FROM {table} WHERE username = :name",
            name=person.name,
        )

    def _lockout(self, person: Person) -> tuple[bool, float | None]:
        """Whether the account is locked, and until when; None for as long as nobody unlocks it."""
        rows = self._rows("ofUserFlag", person, "name", "endTime")
        ends = [end for name, end in rows if name == "lockout"]
        return bool(ends), _seconds(ends[0]) if ends and ends[0] else None

    def _contacts(self, person: Person) -> Iterator[RosterItem]:
        groups: dict[object, list[str]] = {}
        if self._sql.has("ofRosterGroups"):
            for number, group in self._sql.rows(
                "SELECT g.rosterID, g.groupName FROM ofRosterGroups g JOIN ofRoster r "
                "ON g.rosterID = r.rosterID WHERE r.username = :name ORDER BY g.rank",
                name=person.name,
            ):
                groups.setdefault(number, []).append(str(group))
        columns = ("rosterID", "jid", "nick", "stanza", "sub", "ask", "recv")
        rows = self._rows("ofRoster", person, *columns)

        def convert(row: Row) -> RosterItem | None:
            number, jid, nick, stanza, *states = row
            name, request = sound_text(nick or ""), sound_text(stanza or "")
            return contact(sound_text(jid), name, states, groups.get(number, ()), request)

        return (each for each in sound(person.left_out, "ofRoster", rows, convert) if each)

    def _waiting(self, person: Person) -> Iterator[Tree]:
        """The messages that wait."""
        if not self._sql.has("ofOffline"):
            return iter(())
        rows = pages(
            lambda last: self._sql.rows(
                "SELECT messageID, stanza, creationDate FROM ofOffline WHERE username = :name "
                f"AND messageID > :after ORDER BY messageID LIMIT {LONG_ROWS_AT_ONCE}",
                name=person.name,
                after=-1 if last is None else last[0],
            )
        )
        return sound(person.left_out, "ofOffline", rows, partial(_message, person.domain))

    def _long(self, person: Person) -> Iterator[Tree]:
        """Nodes, and the archive of the plugin Monitoring."""
        jid = f"{person.name}@{person.domain}"
        if self._sql.has("ofPubsubNode"):
            yield from self._nodes(person, jid)
        if self._sql.has("ofMessageArchive"):
            found = pages(partial(self._archived, jid))
            kept = sound(person.left_out, "ofMessageArchive", found, _archived)
            yield from elements.archives(kept)

    def _nodes(self, person: Person, jid: str) -> Iterator[Tree]:
        for (name, *config) in self._sql.rows(
            f"SELECT nodeID, {self._sql.chosen('ofPubsubNode', tuple(_FIELDS))} FROM ofPubsubNode "
            "WHERE serviceID IN (:jid, :name) AND nodeID <> '' ORDER BY nodeID",
            jid=jid, name=person.name,
        ):  # fmt: skip
            fields = {
                field: (str(value),)
                for field, value in zip(_FIELDS.values(), config, strict=True)
                if value not in (None, "")
            }
            yield elements.node(str(name), fields, {}, ())
            rows = self._sql.rows(
                "SELECT id, jid, payload FROM ofPubsubItem WHERE serviceID IN (:jid, :name) "
                "AND nodeID = :node ORDER BY creationDate",
                jid=jid,
                name=person.name,
                node=name,
            )
            published = sound(person.left_out, "ofPubsubItem", rows, _item)
            yield from elements.items(str(name), published)

    def _archived(self, jid: str, last: Row | None) -> Sequence[Row]:
        columns = ("stanza", "body", "fromJID", "fromJIDResource", "toJID", "toJIDResource")
        return self._sql.rows(
            f"SELECT sentDate, messageID, {self._sql.chosen('ofMessageArchive', columns)} "
            "FROM ofMessageArchive WHERE (fromJID = :jid OR toJID = :jid) "
            "AND (sentDate > :at OR (sentDate = :at AND messageID > :id)) "
            f"ORDER BY sentDate, messageID LIMIT {LONG_ROWS_AT_ONCE}",
            jid=jid,
            at=-1 if last is None else last[0],
            id=-1 if last is None else last[1],
        )


_FIELDS = {
    "accessModel": "access_model",
    "publisherModel": "publish_model",
    "persistItems": "persist_items",
    "maxItems": "max_items",
}


def contact(
    jid: str, name: str, states: Sequence[object], groups: Sequence[str], request: str = ""
) -> RosterItem | None:
    """A contact as Openfire says it; None if it is to be removed.

    Args:
        jid: Its address.
        name: As the account calls it.
        states: Of the subscription, of what was asked, and of what it asks.
        groups: Those that it is in.
        request: The presence with which it asks, if that was kept.

    Raises:
        ValueError: A state is no number, or the request is none.
    """
    subscription, ask, asks = (int(str(state)) for state in states)
    if subscription == REMOVED:
        return None
    presence = elements.made(ns.CLIENT, "presence", type="subscribe")
    if request:
        presence = elements.parsed(request)
    return RosterItem(
        jid,
        name,
        tuple(dict.fromkeys(filter(None, groups))),
        SUBSCRIPTIONS.get(subscription, "none"),
        ask=ask == ASKED,
        pending_in=write(presence) if asks == ASKS else None,
    )


def card(name: str, email: str) -> list[Tree]:
    """A card for somebody who has none; none, if there is nothing to put into one."""
    found = elements.made(_CARD, "vCard")
    if name:
        found.append(_text("FN", name))
    if email:
        found.append(elements.made(_CARD, "EMAIL", (_text("USERID", email),)))
    return [found] if len(found) else []


def _card(name: object, email: object) -> list[Tree]:
    try:
        return card(sound_text(name or ""), sound_text(email or ""))
    except ValueError:
        return []


def _text(name: str, text: str) -> Tree:
    tree = elements.made(_CARD, name)
    tree.text = text
    return tree


def _seconds(date: object) -> float | None:
    """The seconds since 1970 of a date in milliseconds, with noughts before; None without one."""
    try:
        return int(str(date)) / 1e3
    except ValueError:
        return None


def _keys(row: Sequence[object]) -> ScramKeys:
    stored, server, salt = (pie.base64_bytes(str(each)) for each in row[:3])
    return pie.keys_of(stored, server, salt, int(str(row[3] or 0)))


def _has_keys(key: bytes, row: Row) -> bool:
    """Whether a password is opened, and is that of the keys beside it."""
    try:
        password, keys = opened(str(row[0]), key), _keys(row[1:5])
        return any(keys_match(keys, form) for form in password_forms(password))
    except ValueError:
        return False


def _opens(key: bytes, row: Row) -> bool:
    try:
        opened(str(row[0]), key)
    except ValueError:
        return False
    return True


def _xml(row: Row) -> Tree:
    return elements.parsed(sound_text(row[0]))


def _last(row: Row) -> tuple[str | None, float | None]:
    presence = elements.parsed(sound_text(row[0])) if row[0] else None
    status = None if presence is None else presence.findtext(qname(ns.CLIENT, "status"))
    return status, _seconds(row[1])


def _message(domain: str, row: Row) -> Tree:
    message = elements.parsed(sound_text(row[1]))
    at = _seconds(row[2])
    if at is not None:
        elements.stamp(message, domain, at)
    return message


def _privacy(notes: Remarks, rows: Sequence[Row]) -> Tree:
    """Lists as Openfire keeps them: each as it was set."""
    query = elements.made(elements.PRIVACY, "query")
    for name, is_default, tree in sound(notes, "ofPrivacyList", rows, _list):
        if is_default:
            query.append(elements.made(elements.PRIVACY, "default", name=name))
        query.append(tree)
    return query


def _list(row: Row) -> tuple[str, bool, Tree]:
    tree, name = _xml(row), sound_text(row[1])
    for each in tree.iter():
        each.tag = qname(elements.PRIVACY, each.tag.rpartition("}")[2])
    tree.set("name", name)
    return name, row[2] in (1, True, "1"), tree


def _item(row: Row) -> KeptItem:
    written = sound_text(row[2] or "")
    return KeptItem(
        sound_text(row[0]), sound_text(row[1]), elements.parsed(written) if written else None
    )


def _archived(row: Row) -> KeptMessage:
    at, _, stanza, body, sender, sender_resource, to, to_resource = row
    if stanza:
        message = elements.parsed(sound_text(stanza))
    elif body:
        message = elements.made(ns.CLIENT, "message", type="chat")
        text = elements.made(ns.CLIENT, "body")
        text.text = sound_text(body)
        message.append(text)
    else:
        raise ValueError("the message has neither stanza nor body")
    for name, jid, resource in (("from", sender, sender_resource), ("to", to, to_resource)):
        if message.get(name) is None:
            message.set(name, f"{jid}/{resource}" if resource else str(jid))
    return elements.kept(message, int(str(at)) * 1_000)


__all__ = ["OpenfireReader", "card", "contact"]
