"""Rooms as they are written to a file, a line of JSON for each, and read again."""

from msgspec import Struct, json
from msgspec.structs import replace

from xmppd.stanza import JID
from xmppd.stanza.form import submission

from .config import RoomConfig
from .config_form import ROOM_CONFIG, config_fields, filled_form
from .nicks import check_nick
from .occupant_ids import KEY_BYTES, new_key
from .state import Affiliated, Hat, KeptRoom


class WrittenRoom(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A room in a file: all of :class:`~xmppd_plugins.muc.state.KeptRoom` but who is in.

    Attributes:
        room: Its bare JID.
        config: How it is configured.
        key: With which ids of occupants are made; a new one if it is empty.
        created: When, in seconds since 1970.
        creator: Bare JID of who made it.
        locked: Whether its owner has yet to say how it is to be.
        subject: The message that set it, in bytes.
        version: Of its lists.
        affiliated: Its lists.
        hats: Its hats.
    """

    room: str
    config: RoomConfig = RoomConfig()
    key: bytes = b""
    created: float = 0.0
    creator: str = ""
    locked: bool = False
    subject: bytes = b""
    version: int = 0
    affiliated: tuple[Affiliated, ...] = ()
    hats: tuple[Hat, ...] = ()


_decoder = json.Decoder(WrittenRoom)


def written(room: KeptRoom) -> bytes:
    """A room as it is written."""
    return json.encode(
        WrittenRoom(
            room.jid.bare,
            room.config,
            room.key,
            room.created,
            room.creator,
            room.locked,
            room.subject,
            room.version,
            room.affiliated,
            room.hats,
        )
    )


def read_room(line: bytes) -> KeptRoom:
    """A room that was written so.

    Raises:
        ValueError: It is none, as the text says.
        StanzaError: A field of its configuration has no such value.
    """
    found = _decoder.decode(line)
    jid = JID.parse(found.room)
    if jid.local is None or not jid.is_bare:
        raise ValueError(f"{found.room} is not the address of a room")
    if found.key and len(found.key) != KEY_BYTES:
        raise ValueError(f"a room's key must have {KEY_BYTES} bytes")
    return KeptRoom(
        jid,
        filled_form(RoomConfig(), submission(ROOM_CONFIG, *config_fields(found.config))).config,
        found.key or new_key(),
        found.created,
        found.creator,
        found.locked,
        found.subject,
        found.version,
        tuple(map(_checked, found.affiliated)),
        found.hats,
    )


def _checked(each: Affiliated) -> Affiliated:
    nick = check_nick(each.nick) if each.nick else ""
    return replace(each, jid=JID.parse(each.jid).bare, nick=nick)


__all__ = ["WrittenRoom", "read_room", "written"]
