"""Sealing: what is kept in the store, and is of no use to whoever has nothing but the store."""

import hmac
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Sealing:
    """Encrypts with this installation's secret; for each purpose with another key.

    Args:
        secret: This installation's own; the same on every node, and over restarts.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, purpose: str, data: bytes) -> bytes:
        """Encrypt something."""
        nonce = token_bytes(_NONCE_BYTES)
        return nonce + self._cipher(purpose).encrypt(nonce, data, None)

    def unseal(self, purpose: str, sealed: bytes) -> bytes | None:
        """What was sealed for this purpose; None if it was not, or with another secret."""
        try:
            return self._cipher(purpose).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None

    def _cipher(self, purpose: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, f"sealing\0{purpose}".encode(), "sha256"))


__all__ = ["Sealing"]
