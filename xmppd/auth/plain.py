"""PLAIN: the password itself, for clients that have nothing better (:rfc:`4616`)."""

from xmppd.auth.base import AuthProvider, Exchange
from xmppd.auth.message import (
    account_of,
    admit,
    check_authzid,
    malformed,
    not_authorized,
    text_of,
)


class PlainMechanism:
    """One message: ``[authzid] NUL authcid NUL password``."""

    binding = ""

    def __init__(self, exchange: Exchange, provider: AuthProvider) -> None:
        self.account: str | None = None
        self._domain = exchange.domain
        self._provider = provider

    async def step(self, response: bytes) -> bytes:
        """Check the password; nothing more is said on success."""
        authzid, username, password = _parts(text_of(response))
        account = account_of(username, self._domain)
        check_authzid(authzid, account)
        if not await self._provider.check_password(account, password):
            raise not_authorized(account)
        self.account = await admit(self._provider, account)
        return b""


def _parts(message: str) -> tuple[str, str, str]:
    parts = message.split("\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise malformed("not an authzid, a user name and a password")
    return parts[0], parts[1], parts[2]
