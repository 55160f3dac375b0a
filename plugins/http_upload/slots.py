"""Slots: the right to upload one file, as a signed sentence; nothing is stored for it (HU-2)."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from secrets import token_bytes
from typing import Literal

from msgspec import DecodeError, Struct, ValidationError, msgpack

Purpose = Literal["message", "profile", "ephemeral", "permanent"]

ID_BYTES = 16
SIGNATURE_BYTES = 32
SLOT_S = 300.0
MAX_TOKEN_CHARACTERS = 4_096


class Slot(Struct, frozen=True, array_like=True):
    """What somebody may upload.

    Attributes:
        id: Of the file, in the URL.
        owner: Bare JID of the account.
        name: Of the file, for people.
        size: Its bytes.
        type: Its media type; empty if it is not known.
        purpose: What it is for.
        until: The upload has to begin before this moment, in seconds since 1970.
        expires: The file is gone then, in seconds since 1970; None if it is kept.
    """

    id: bytes
    owner: str
    name: str
    size: int
    type: str
    purpose: Purpose
    until: float
    expires: float | None


class WrongToken(ValueError):
    """An error: nobody here has signed this, or it is too late."""


class SlotSigner:
    """Makes the token of a slot, and reads it.

    Args:
        key: Of this service; all nodes have the same.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._decoder = msgpack.Decoder(Slot)

    def token(self, slot: Slot) -> str:
        """The token that is shown when the file is uploaded."""
        said = msgpack.encode(slot)
        return urlsafe_b64encode(self._signature(said) + said).decode().rstrip("=")

    def slot(self, token: str, now: float) -> Slot:
        """What a token is good for.

        Raises:
            WrongToken: It is none of ours, or no longer good.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise WrongToken("the token is too long")
        try:
            data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raise WrongToken("not a token") from None
        signature, said = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(said)):
            raise WrongToken("this server did not sign the token")
        try:
            slot = self._decoder.decode(said)
        except (DecodeError, ValidationError):
            raise WrongToken("the token is from another version of this server") from None
        if slot.until < now:
            raise WrongToken("the slot has expired: ask for another one")
        return slot

    def _signature(self, said: bytes) -> bytes:
        return hmac.digest(self._key, b"xmppd slot 1" + said, sha256)


def new_id() -> bytes:
    """An id that nobody guesses."""
    return token_bytes(ID_BYTES)


__all__ = ["ID_BYTES", "Purpose", "Slot", "SlotSigner", "WrongToken", "new_id"]
