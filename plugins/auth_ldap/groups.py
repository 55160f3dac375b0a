"""DirectoryGroups: groups of a directory as shared groups here (AU-5)."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.roster.contact_names import check_group_name
from xmppd.stanza import StanzaError
from xmppd.store.accounts import AccountStore
from xmppd.store.shared_groups import SharedGroup

from .connection import Found, LDAPConnection, LDAPEntry, Wanted
from .directory import LDAPAway, LDAPDirectory
from .provider import accounts_named, accounts_of
from .settings import AuthLDAPSettings

PAGE_SIZE = 500
"""Entries of one answer."""

LONGEST_S = 300.0
"""The time that all pages of one question may take."""

PREFIX = "ldap:"
"""The names of shared groups begin with it that come from a directory, and no others."""

_RANGE = re.compile(r";range=\d{1,9}-(\d{1,9}|\*)")
_SEPARATOR = re.compile(rb"\s*(?<!\\)([,=+])\s*")
_log = Logger()


class TooMany(Exception):
    """An error: what a directory has is more than is taken over; the text is a clause."""


class _Part(NamedTuple):
    """Some of the members of a group.

    Attributes:
        values: As the entry names them.
        after: The number of the next one; None if these are the last.
    """

    values: Sequence[bytes]
    after: int | None


_NOTHING = _Part((), None)


class DirectoryGroups:
    """Has a shared group for each group of the directory, with those of its members who have an
    account: that is, who have logged in once.

    Who sees a group, and under which name, an administrator may change: only its members are the
    directory's. If not all can be read, nothing changes.

    Args:
        settings: Where they are.
        directory: Is asked.
        changes: Changes shared groups.
        accounts: Knows who has one.
        domains: Those whose people the directory knows.
        clock: The reactor's.
    """

    def __init__(
        self,
        settings: AuthLDAPSettings,
        directory: LDAPDirectory,
        changes: SharedGroupChanges,
        accounts: AccountStore,
        domains: tuple[str, ...],
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._changes = changes
        self._accounts = accounts
        self._domains = domains
        self._clock = clock

    async def follow(self) -> None:
        """Read all groups, and change the shared groups whose members have changed."""
        try:
            found = await self._found()
        except (LDAPAway, TooMany) as error:
            _log.warn("groups of the directory were not updated: {why}", why=str(error))
            return
        for name in [name for name in self._changes.groups.groups if name.startswith(PREFIX)]:
            if name not in found:
                await self._changes.delete(name)
                _log.info("group {name} is no longer in the directory", name=name)
        for name, members in found.items():
            known = self._changes.groups.groups.get(name)
            display = name.removeprefix(PREFIX)
            if known is None:
                await self._changes.save(SharedGroup(name, display, members))
            elif known.members != members:
                await self._changes.save(
                    SharedGroup(name, known.display_name, members, known.visible_to, known.groups)
                )

    async def _found(self) -> dict[str, tuple[str, ...]]:
        """The members of each group, by the name that it has here."""
        settings = self._settings
        people = await self._people() if settings.member == "entry" else {}
        found: dict[str, tuple[str, ...]] = {}
        wanted = Wanted(
            settings.group_base,
            settings.group_having,
            (settings.group_name_attribute, settings.member_attribute),
        )
        for entry in await self._all(wanted, settings.max_groups, "max_groups"):
            name = _name(entry, settings.group_name_attribute)
            if name is None:
                continue
            members = self._members(await self._values(entry), people)
            there = [account for account in members if await self._accounts.exists(account)]
            found[PREFIX + name] = tuple(there)
        return found

    async def _values(self, entry: LDAPEntry) -> Sequence[bytes]:
        """The members as the entry names them. A directory that gives only so many values at once
        says which these are (``member;range=0-1499``), and is asked for the next ones.
        """
        attribute, limit = self._settings.member_attribute, self._settings.max_group_people
        part = _part(entry, attribute)
        values = list(part.values)
        while part.after is not None:
            wanted = f"{attribute};range={part.after}-*"

            async def read(asked: LDAPConnection, wanted: str = wanted) -> LDAPEntry | None:
                return await asked.attribute(entry.dn, wanted)

            more = await self._directory.ask(read)
            before, part = part.after, _NOTHING if more is None else _part(more, attribute)
            if part.after is not None and part.after <= before:
                raise TooMany(f"the directory does not say how many members {entry.dn!r} has")
            values += part.values
            if len(values) > limit:
                raise TooMany(
                    f"a group has more members than auth_ldap.max_group_people allows ({limit})"
                )
        return values

    def _members(
        self, values: Sequence[bytes], people: Mapping[bytes, frozenset[str]]
    ) -> list[str]:
        if self._settings.member == "name":
            return sorted(accounts_named(values, self._settings.name, self._domains))
        return sorted({each for dn in values for each in people.get(key_of(dn), ())})

    async def _people(self) -> dict[bytes, frozenset[str]]:
        """The accounts of everybody, by the names of their entries."""
        settings = self._settings
        wanted = Wanted(settings.base, settings.having, (settings.name_attribute,))
        everybody = await self._all(wanted, settings.max_group_people, "max_group_people")
        return {
            key_of(entry.dn): accounts_of(entry, settings, self._domains) for entry in everybody
        }

    async def _all(self, wanted: Wanted, limit: int, limit_name: str) -> list[LDAPEntry]:
        """All entries, page by page, on one connection: its server knows where it was."""

        async def read(asked: LDAPConnection) -> list[LDAPEntry]:
            entries: list[LDAPEntry] = []
            cookie = b""
            while True:
                page = await self._page(asked, wanted, cookie)
                entries += page.entries
                if len(entries) > limit:
                    raise TooMany(
                        f"the directory has more than auth_ldap.{limit_name} allows ({limit})"
                    )
                if not page.cookie:
                    return entries
                cookie = page.cookie

        return await self._directory.ask(read, within_s=LONGEST_S)

    def _page(self, asked: LDAPConnection, wanted: Wanted, cookie: bytes) -> "Deferred[Found]":
        page = Deferred.fromCoroutine(asked.page(wanted, PAGE_SIZE, cookie))
        return page.addTimeout(self._settings.timeout_s, self._clock)


def key_of(dn: bytes) -> bytes:
    """The name of an entry as it is compared: a directory gives it as it was written (AU-6)."""
    return _SEPARATOR.sub(rb"\1", dn.strip()).lower()


def _name(entry: LDAPEntry, attribute: str) -> str | None:
    """The name of a group; None if it cannot be one in a roster."""
    for value in entry.attributes.get(attribute.lower(), ()):
        try:
            name = value.decode()
            check_group_name(PREFIX + name)
        except (UnicodeDecodeError, StanzaError) as error:
            _log.warn("skipped group {dn} of the directory: {why}", dn=entry.dn, why=error)
            return None
        return name
    return None


def _part(entry: LDAPEntry, attribute: str) -> _Part:
    """The members that an entry has, and where those begin that it did not give."""
    whole = attribute.lower()
    for name, values in entry.attributes.items():
        found = _RANGE.fullmatch(name.removeprefix(whole)) if name.startswith(whole) else None
        if found is not None:
            return _Part(values, None if found[1] == "*" else int(found[1]) + 1)
    return _Part(entry.attributes.get(whole, ()), None)


__all__ = ["LONGEST_S", "PAGE_SIZE", "PREFIX", "DirectoryGroups", "TooMany", "key_of"]
