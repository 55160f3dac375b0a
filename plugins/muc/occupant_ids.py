"""Ids of occupants (:xep:`0421`): the same for an account whatever its nick, and telling nothing
of it.

Each room has a key of its own, which is kept with it and goes where it goes.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import digest
from secrets import token_bytes

from xmppd.stanza import JID

KEY_BYTES = sha256().digest_size


def new_key() -> bytes:
    """The key of a new room."""
    return token_bytes(KEY_BYTES)


def occupant_id(key: bytes, room: JID, person: JID) -> str:
    """The id of an account in a room, of 43 characters (RM-43).

    Args:
        key: Of the room.
        room: Its address.
        person: Any address of the account.
    """
    said = digest(key, f"{room.bare}\0{person.bare}".encode(), "sha256")
    return urlsafe_b64encode(said).rstrip(b"=").decode()


__all__ = ["KEY_BYTES", "new_key", "occupant_id"]
