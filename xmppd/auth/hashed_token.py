"""The HT mechanisms: one message each way, by which both sides prove that they know a token.

Spec: :xep:`0484`, draft-schmaus-kitten-sasl-ht
"""

import hmac
from dataclasses import dataclass

from xmppd.auth.base import AuthProvider, Exchange, SASLError
from xmppd.auth.keys import ALGORITHMS
from xmppd.auth.message import account_of, admit, malformed, not_authorized, text_of
from xmppd.auth.tokens import KeptToken, Tokens

_BINDINGS = {"EXPR": "tls-exporter", "ENDP": "tls-server-end-point", "NONE": ""}
_HASHES = ("SHA-256", "SHA-512")

HASHED_TOKEN: dict[str, tuple[str, str]] = {
    f"HT-{hash}-{suffix}": (hash, binding)
    for hash in _HASHES
    for suffix, binding in _BINDINGS.items()
}
"""Every mechanism of the family: its hash, and the type of its channel binding."""


def usable(names: tuple[str, ...], exchange: Exchange) -> tuple[str, ...]:
    """The configured mechanisms that a stream may use, under TLS only."""
    if not exchange.encrypted:
        return ()
    return tuple(
        name
        for name in names
        if not HASHED_TOKEN[name][1] or HASHED_TOKEN[name][1] in exchange.bindings
    )


@dataclass(frozen=True)
class Claim:
    """The data that a client sends beside its proof.

    Attributes:
        device: The client's device.
        count: The number of uses of the token, as the client says; None if it does not.
    """

    device: str
    count: int | None


class HashedTokenMechanism:
    """One message: ``authcid NUL HMAC(token, "Initiator" binding)``; ours has "Responder".

    Args:
        name: Of the mechanism.
        exchange: The stream.
        provider: Says whether the account may log in.
        tokens: Has the tokens of the device.
        claim: The data beside the proof.
    """

    def __init__(
        self,
        name: str,
        exchange: Exchange,
        provider: AuthProvider,
        tokens: Tokens,
        claim: Claim,
    ) -> None:
        self.account: str | None = None
        self._name = name
        hash, self.binding = HASHED_TOKEN[name]
        self._algorithm = ALGORITHMS[hash]
        self._data = exchange.bindings[self.binding] if self.binding else b""
        self._domain = exchange.domain
        self._provider = provider
        self._tokens = tokens
        self._claim = claim

    async def step(self, response: bytes) -> bytes:
        """Check the proof, count it, and prove that we know the token too."""
        username, found, proof = response.partition(b"\0")
        if not username or not found:
            raise malformed("not a user name and a hash")
        account = account_of(text_of(username), self._domain)
        held = await self._held(account, proof)
        if held is None:
            raise not_authorized(account)
        if held.ended:
            raise SASLError("credentials-expired", "This token is no longer valid.")
        await admit(self._provider, account)
        if not await self._tokens.redeem(account, self._claim.device, held, self._claim.count):
            raise not_authorized(account)
        self.account = account
        return self._hash(held.text, b"Responder")

    async def _held(self, account: str, proof: bytes) -> KeptToken | None:
        """The token that the proof is made with; all are compared, also after one has been
        found.
        """
        found = None
        for held in await self._tokens.held(account, self._claim.device, self._name):
            if hmac.compare_digest(self._hash(held.text, b"Initiator"), proof):
                found = held
        return found

    def _hash(self, token: str, role: bytes) -> bytes:
        return hmac.digest(token.encode(), role + self._data, self._algorithm)
