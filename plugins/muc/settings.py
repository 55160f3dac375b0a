"""The table ``[muc]`` of the configuration."""

from typing import Annotated, Literal

from xmppd.config.section import Mark, Section
from xmppd.stanza import JID
from xmppd.stanza.jid import prepare_domain


class RoomSettings(Section, frozen=True):
    """``[muc]``: rooms at ``conference.`` and each domain.

    Attributes:
        create: Who may make rooms: ``admins``, those with an account here (``local``), or ``all``.
        instant: Whether a new room is open at once, and not locked until its owner has said how it
            is to be.
        admins: Bare JIDs that act as owners of all rooms, beside the server's administrators.
        max_rooms_per_account: How many rooms somebody may own by having made them.
        max_listed_per_room: How many people and domains the lists of a room have, bans among them.
        max_message_bytes: The largest message to a room.
        messages_per_s: How many messages an occupant may send a second; 0 for no limit.
        burst_messages: How many at once on top of that.
        large_room_occupants: From how many on the presence of those who say nothing is not shown.
        lost_server_s: How long occupants from a server that cannot be reached stay.
        keep_destroyed: Whether the archive of a room stays when that is destroyed, for
            administrators; a new room of its name begins behind it.
        blocked_domains: Domains whose people enter no room.
        forward_destroyed_s: How long it is told where people went to from a room that is destroyed.
    """

    create: Literal["admins", "local", "all"] = "local"
    instant: bool = False
    admins: tuple[str, ...] = ()
    max_rooms_per_account: int = 100
    max_listed_per_room: int = 10_000
    max_message_bytes: int = 65_536
    messages_per_s: Annotated[float, Mark.MAY_BE_ZERO] = 5.0
    burst_messages: int = 10
    large_room_occupants: int = 1_000
    lost_server_s: float = 60.0
    keep_destroyed: bool = False
    blocked_domains: tuple[str, ...] = ()
    forward_destroyed_s: float = 2_592_000.0

    def __post_init__(self) -> None:
        for domain in self.blocked_domains:
            try:
                prepared = prepare_domain(domain)
            except ValueError as error:
                text = f"blocked_domains: {domain!r} is not a domain ({error})"
                raise ValueError(text) from error
            if prepared != domain:
                raise ValueError(f"blocked_domains: write {prepared} instead of {domain}")
        for admin in self.admins:
            try:
                jid = JID.parse(admin)
            except ValueError as error:
                raise ValueError(f"admins: {admin!r} is not an address ({error})") from error
            if jid.full != admin or jid.local is None or not jid.is_bare:
                raise ValueError(f"admins: write the bare JID {jid.bare} instead of {admin}")


__all__ = ["RoomSettings"]
