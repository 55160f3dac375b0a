"""SCRAM: both sides prove that they know the password, and neither says it.

Spec: :rfc:`5802`, :rfc:`7677`, :xep:`0474`
"""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable

from xmppd.auth.base import AuthProvider, BindingRefused, Exchange, Mechanism, SASLError
from xmppd.auth.keys import ALGORITHMS
from xmppd.auth.message import account_of, admit, check_authzid, malformed, not_authorized, text_of
from xmppd.store.scram_keys import ScramKeys

# The grammar of RFC 5802 §7. An extension has a letter that the RFC has not given a meaning to;
# so a mandatory extension ("m"), none of which we know, is outside of our grammar.
_EXTENSIONS = r"(?:,[A-Zbdf-hj-loqtuw-z]=[^,\0]+)*"
_NONCE = r"r=(?P<nonce>[!-+\--~]+)"
_CLIENT_FIRST = re.compile(
    r"(?P<gs2_header>(?P<flag>[ny]|p=(?P<binding>[A-Za-z0-9.\-]+)),(?:a=(?P<authzid>[^,\0]+))?,)"
    rf"(?P<bare>n=(?P<username>[^,\0]+),{_NONCE}{_EXTENSIONS})"
)
_CLIENT_FINAL = re.compile(
    rf"(?P<without_proof>c=(?P<binding>[^,]+),{_NONCE}{_EXTENSIONS}),p=(?P<proof>[^,]+)"
)
_ESCAPED = re.compile("=(2C|3D)?")


def scram(hash: str, *, plus: bool = False) -> Callable[[Exchange, AuthProvider], Mechanism]:
    """A factory of SCRAM exchanges with this hash, with channel binding if ``plus``."""

    def begin(exchange: Exchange, provider: AuthProvider) -> Mechanism:
        return ScramMechanism(hash, exchange, provider, plus=plus)

    return begin


class ScramMechanism:
    """The server in one exchange: client-first, server-first, client-final, server-final.

    Args:
        hash: ``SHA-1``, ``SHA-256`` or ``SHA-512``.
        exchange: The stream.
        provider: Has the keys.
        plus: Whether the client asked for channel binding by the mechanism's name.
        nonce: What we add to the client's nonce; random unless a test vector has its own.
    """

    def __init__(
        self,
        hash: str,
        exchange: Exchange,
        provider: AuthProvider,
        *,
        plus: bool = False,
        nonce: str = "",
    ) -> None:
        self.account: str | None = None
        self.binding = ""
        self._hash = hash
        self._algorithm = ALGORITHMS[hash]
        self._exchange = exchange
        self._provider = provider
        self._plus = plus
        self._server_nonce = nonce or secrets.token_urlsafe(24)
        self._next = self._client_first

    async def step(self, response: bytes) -> bytes:
        """Answer client-first with server-first, and client-final with server-final."""
        step, self._next = self._next, self._over
        return await step(text_of(response))

    async def _client_first(self, message: str) -> bytes:
        first = _CLIENT_FIRST.fullmatch(message)
        if first is None:
            raise malformed("not a client-first-message")
        self._check_flag(first["flag"])
        # What the client must repeat in client-final, so that nobody changed it on the way.
        self._channel = first["gs2_header"].encode() + self._binding_data(first["binding"])
        self.binding = first["binding"] or ""
        self._tried = account_of(_unescaped(first["username"]), self._exchange.domain)
        check_authzid(_unescaped(first["authzid"] or ""), self._tried)

        self._keys = await self._provider.scram_keys(self._tried, self._hash)
        self._nonce = first["nonce"] + self._server_nonce
        server_first = self._server_first(self._keys)
        self._auth_message = f"{first['bare']},{server_first},"
        self._next = self._client_final
        return server_first.encode()

    async def _client_final(self, message: str) -> bytes:
        final = _CLIENT_FINAL.fullmatch(message)
        if final is None:
            raise malformed("not a client-final-message")
        binding, proof = _decoded(final["binding"]), _decoded(final["proof"])
        auth_message = (self._auth_message + final["without_proof"]).encode()
        if not (
            hmac.compare_digest(final["nonce"], self._nonce)
            and hmac.compare_digest(binding, self._channel)
            and self._proves(proof, auth_message)
        ):
            raise not_authorized(self._tried)
        self.account = await admit(self._provider, self._tried)
        signature = hmac.digest(self._keys.server_key, auth_message, self._algorithm)
        return b"v=" + b64encode(signature)

    async def _over(self, message: str) -> bytes:
        raise SASLError(
            "malformed-request", "The client sent more messages than the mechanism has."
        )

    def _check_flag(self, flag: str) -> None:
        """Refuse a channel binding flag that does not agree with ours (§6)."""
        if flag == "y" and any(name.endswith("-PLUS") for name in self._exchange.offered):
            # The -PLUS mechanisms were taken out of our list on the way.
            raise BindingRefused("This server does support channel binding.")
        if flag.startswith("p") is not self._plus:
            raise malformed("inconsistent with the mechanism's channel binding")

    def _binding_data(self, binding: str | None) -> bytes:
        if binding is None:
            return b""
        if binding not in self._exchange.bindings:
            raise BindingRefused("This type of channel binding is not supported.")
        return self._exchange.bindings[binding]

    def _server_first(self, keys: ScramKeys) -> str:
        message = f"r={self._nonce},s={b64encode(keys.salt).decode()},i={keys.iterations}"
        if self._exchange.offered:
            message += f",h={downgrade_protection_hash(self._exchange, self._algorithm)}"
        return message

    def _proves(self, proof: bytes, auth_message: bytes) -> bool:
        """Whether the proof is ClientKey XOR ClientSignature (§3)."""
        signature = hmac.digest(self._keys.stored_key, auth_message, self._algorithm)
        if len(proof) != len(signature):
            return False
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        stored_key = hashlib.new(self._algorithm, client_key).digest()
        return hmac.compare_digest(stored_key, self._keys.stored_key)


def downgrade_protection_hash(exchange: Exchange, algorithm: str) -> str:
    """The hash that tells the client whether it saw the lists that we sent (:xep:`0474#hash`)."""
    offer = "\x1e".join(sorted(exchange.offered))
    if exchange.offered_bindings:
        offer += "\x1f" + "\x1e".join(sorted(exchange.offered_bindings))
    return b64encode(hashlib.new(algorithm, offer.encode()).digest()).decode()


def _unescaped(saslname: str) -> str:
    def unescape(escaped: re.Match[str]) -> str:
        if escaped[1] is None:
            raise malformed("not well escaped")
        return "," if escaped[1] == "2C" else "="

    return _ESCAPED.sub(unescape, saslname)


def _decoded(text: str) -> bytes:
    """Base64 in its one canonical form, so that no second text means the same."""
    try:
        decoded = b64decode(text, validate=True)
    except ValueError as error:
        raise malformed("not base64 where it should be") from error
    if b64encode(decoded).decode() != text:
        raise malformed("not base64 where it should be")
    return decoded
