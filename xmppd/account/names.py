"""Names: those for which no account can be registered by a client."""

from collections.abc import Callable, Iterator
from urllib.parse import unquote

from msgspec.structs import astuple

from xmppd.auth.provider import Passwords
from xmppd.config.config import ContactSettings, RegistrationSettings
from xmppd.stanza import JID
from xmppd.stanza.guests import is_guest
from xmppd.stanza.jid import prepare_local
from xmppd.store.former_accounts import FormerAccountStore


class Names:
    """The names that cannot be registered (RG-1), also if no account has them. An administrator may
    make any account, except one with a guest's name.

    Args:
        store: Keeps the names of removed accounts.
        passwords: Tells whether a password was that of such an account.
        admins: The accounts of administrators.
        settings: The reserved names, and the time for which those of removed accounts are.
        contacts: The contact addresses.
        wall_clock: Seconds since 1970.
    """

    def __init__(
        self,
        store: FormerAccountStore,
        passwords: Passwords,
        admins: tuple[JID, ...],
        settings: RegistrationSettings,
        contacts: ContactSettings,
        wall_clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.passwords = passwords
        self.wall_clock = wall_clock
        self.use_admins(admins)
        self.use(settings)
        self.use_contacts(contacts)

    def use(self, settings: RegistrationSettings) -> None:
        """Go by other settings from now on."""
        self._reserved = frozenset(map(prepare_local, settings.reserved_names))
        self._removed_s = settings.removed_names_reserved_s

    def use_admins(self, admins: tuple[JID, ...]) -> None:
        """Take other administrators."""
        self._admins = frozenset(admins)

    def use_contacts(self, contacts: ContactSettings) -> None:
        """Take other contact addresses, whose names are reserved."""
        self._contacts = frozenset(_accounts(contacts))

    async def may_register(self, account: JID, password: str) -> bool:
        """Whether a client that registers with this password may have this name, if it is free.

        Raises:
            ValueError: The password cannot be one.
        """
        return not self.is_reserved(account) and await self._is_free(account.bare, password)

    async def keep(self, account: JID) -> None:
        """Reserve the name of an account that is about to be removed for a while."""
        if self._removed_s:
            now = self.wall_clock()
            await self.store.reserve_name(account.bare, until=now + self._removed_s, now=now)

    def is_reserved(self, account: JID) -> bool:
        """Whether nobody may register this name, whether it is free or not."""
        return (
            is_guest(account.bare)
            or (account.local or "") in self._reserved
            or account in self._admins
            or account in self._contacts
        )

    async def _is_free(self, account: str, password: str) -> bool:
        """Whether no removed account had the name lately, or the password is that account's."""
        former = await self.store.former_account(account)
        if former is None or former.until <= self.wall_clock():
            return True
        return former.key is not None and await self.passwords.match(former.key, password)


def _accounts(contacts: ContactSettings) -> Iterator[JID]:
    """The accounts of the contact addresses."""
    for addresses in astuple(contacts):
        for uri in addresses:
            kind, _, address = uri.partition(":")
            if kind.lower() == "xmpp":
                try:
                    yield JID.parse(unquote(address.partition("?")[0])).to_bare()
                except ValueError:
                    continue


__all__ = ["Names"]
