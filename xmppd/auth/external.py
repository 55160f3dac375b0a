"""EXTERNAL: the client's TLS certificate names its account.

Spec: :rfc:`4422#appendix-A`, :xep:`0178`
"""

from xmppd.auth.base import AuthProvider, Exchange, SASLError
from xmppd.auth.message import address_of, admit, text_of
from xmppd.stanza import JID


class ExternalMechanism:
    """One message: the authorization identity, empty if the certificate leaves no choice."""

    binding = ""

    def __init__(self, exchange: Exchange, provider: AuthProvider) -> None:
        self.account: str | None = None
        self._accounts = certified_accounts(exchange)
        self._provider = provider

    async def step(self, response: bytes) -> bytes:
        """Take the account that the client asks for out of those that the certificate names."""
        account = self._chosen(text_of(response))
        self.account = await admit(self._provider, account)
        return b""

    def _chosen(self, authzid: str) -> str:
        if not authzid:
            if len(self._accounts) != 1:
                raise SASLError(
                    "invalid-authzid", "The certificate does not name exactly one account."
                )
            return self._accounts[0]
        account = address_of(authzid)
        if account not in self._accounts:
            raise SASLError("invalid-authzid", "The certificate does not name this account.")
        return account


def certified_accounts(exchange: Exchange) -> tuple[str, ...]:
    """The accounts at the stream's domain that the client's certificate names, each once."""
    accounts: dict[str, None] = {}
    for address in exchange.certificate_addresses:
        try:
            jid = JID.parse(address)
        except ValueError:
            continue
        if jid.local is not None and jid.is_bare and jid.domain == exchange.domain:
            accounts[jid.bare] = None
    return tuple(accounts)
