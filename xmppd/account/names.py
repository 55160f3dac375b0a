"""Names that a stranger cannot make an account of."""

from collections.abc import Callable, Iterator
from urllib.parse import unquote

from msgspec.structs import astuple

from xmppd.auth.provider import Passwords
from xmppd.config.config import Config
from xmppd.stanza import JID
from xmppd.stanza.guests import is_guest
from xmppd.stanza.jid import prepare_local
from xmppd.store.base import AccountStore


class Names:
    """Knows which names are not to be had (RG-1), whatever the store says of them.

    Who runs the server makes any account, but one of a guest's name.

    Args:
        store: Where names of accounts that were removed are kept.
        passwords: Tells who had such an account.
        config: As it is just now.
        wall_clock: Seconds since 1970.
    """

    def __init__(
        self,
        store: AccountStore,
        passwords: Passwords,
        config: Callable[[], Config],
        wall_clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.passwords = passwords
        self.config = config
        self.wall_clock = wall_clock

    async def may_register(self, account: JID, password: str) -> bool:
        """Whether a stranger who wants this password may have this name, if nobody has it.

        Raises:
            ValueError: The password cannot be one.
        """
        return not self._is_reserved(account) and await self._is_free(account.bare, password)

    async def keep(self, account: JID) -> None:
        """The account is about to be removed: keep strangers from its name for a while."""
        reserved_s = self.config().registration.removed_names_reserved_s
        if reserved_s:
            now = self.wall_clock()
            await self.store.reserve_name(account.bare, until=now + reserved_s, now=now)

    def _is_reserved(self, account: JID) -> bool:
        config = self.config()
        return (
            is_guest(account.bare)
            or (account.local or "") in map(prepare_local, config.registration.reserved_names)
            or account in map(JID.parse, config.admins)
            or account in _contacts(config)
        )

    async def _is_free(self, account: str, password: str) -> bool:
        """Whether nobody had it lately; who knows the last password is not somebody else."""
        former = await self.store.former_account(account)
        if former is None or former.until <= self.wall_clock():
            return True
        return former.key is not None and await self.passwords.match(former.key, password)


def _contacts(config: Config) -> Iterator[JID]:
    """The accounts that people are told to write to."""
    for addresses in astuple(config.contact):
        for uri in addresses:
            kind, _, address = uri.partition(":")
            if kind.lower() == "xmpp":
                try:
                    yield JID.parse(unquote(address.partition("?")[0])).to_bare()
                except ValueError:
                    continue


__all__ = ["Names"]
