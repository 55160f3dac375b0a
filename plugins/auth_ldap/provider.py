"""LDAPAuthProvider: passwords of people in a directory."""

from collections.abc import Sequence
from math import floor
from secrets import token_hex

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from xmppd.auth.base import AuthProvider, SASLError
from xmppd.stanza import JID

from .connection import SUCCESS, Found, LDAPConnection, LDAPEntry, Wanted
from .directory import LDAPAway, LDAPDirectory
from .settings import AuthLDAPSettings

_log = Logger()


class LDAPAuthProvider(AuthProvider):
    """Finds somebody's entry, and has the directory try the password there.

    Somebody who is not there costs the same questions, and each refusal comes at the same time
    after its question.

    Args:
        settings: How people are found.
        reading: Finds entries.
        trying: Tries passwords.
        clock: The reactor's.
    """

    name = "ldap"

    def __init__(
        self,
        settings: AuthLDAPSettings,
        reading: LDAPDirectory,
        trying: LDAPDirectory,
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._reading = reading
        self._trying = trying
        self._clock = clock

    async def check_password(self, account: str, password: str) -> bool:
        """Whether the directory takes this password for the person's.

        Raises:
            SASLError: ``temporary-auth-failure``: it does not answer.
        """
        if not password:  # with which a directory may let anybody in (AU-1)
            return False
        began = self._clock.seconds()
        try:
            is_right = await self._is_right(account, password)
        except LDAPAway as error:
            raise SASLError(
                "temporary-auth-failure", "The server cannot check passwords at the moment."
            ) from error
        if not is_right:
            await self._until_refused(began)
        return is_right

    async def _is_right(self, account: str, password: str) -> bool:
        dn = await self._entry_of(account)
        if dn is None:
            nobody = f"{self._settings.name_attribute}={token_hex(16)},{self._settings.base}"
            await self._trying.ask(lambda asked: asked.bind(nobody, token_hex(16)))
            return False
        return await self._trying.ask(lambda asked: asked.bind(dn, password)) == SUCCESS

    async def _entry_of(self, account: str) -> bytes | None:
        """The name of the one entry that is the account's."""
        jid = JID.parse(account)
        wanted = Wanted(
            self._settings.base,
            self._settings.having,
            (self._settings.name_attribute,),
            (
                self._settings.name_attribute,
                account if self._settings.name == "address" else jid.local or "",
            ),
        )

        async def find(asked: LDAPConnection) -> Found:
            return await asked.search(wanted, 2)

        entries = (await self._reading.ask(find)).entries
        if len(entries) > 1:
            _log.warn("the directory has several entries for {account}", account=account)
            return None
        for entry in entries:
            if account in accounts_of(entry, self._settings, (jid.domain,)):
                return entry.dn
        return None

    async def _until_refused(self, began: float) -> None:
        """Wait for the time at which refusals are told, so that it says nothing."""
        step_s = self._settings.refusal_s
        if step_s:
            passed_s = self._clock.seconds() - began
            left_s = (floor(passed_s / step_s) + 1) * step_s - passed_s
            await deferLater(self._clock, left_s)


def accounts_of(
    entry: LDAPEntry, settings: AuthLDAPSettings, domains: tuple[str, ...]
) -> frozenset[str]:
    """The accounts whose name an entry has; a directory may call more names equal than we do."""
    values = entry.attributes.get(settings.name_attribute.lower(), ())
    return accounts_named(values, settings.name, domains)


def accounts_named(values: Sequence[bytes], kind: str, domains: tuple[str, ...]) -> frozenset[str]:
    """The accounts of these domains that have these names.

    Args:
        values: Of an attribute.
        kind: ``user`` or ``address``.
        domains: Which.
    """
    found = set()
    for value in values:
        for domain in domains:
            try:
                text = value.decode()
                jid = JID.parse(text) if kind == "address" else JID.of(text, domain)
            except ValueError:  # nor can any account have that name
                continue
            if jid.local and jid.domain == domain:
                found.add(jid.bare)
    return frozenset(found)


__all__ = ["LDAPAuthProvider", "accounts_named", "accounts_of"]
