"""A room as it is kept in the store, and what may change of it."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from xmppd.stanza import JID

from .config import RoomConfig
from .ranks import Role, RoomAffiliation


class Affiliated(Struct, frozen=True):
    """What a person, or a whole domain, is to a room.

    Attributes:
        jid: Bare JID, or domain.
        affiliation: What it is.
        nick: The nick that is kept for them; empty if there is none.
        reason: Why, in the words of who made them so (RM-5).
        actor: Bare JID of who made them so; empty if nobody has said.
        version: That of the lists since when they are so.
    """

    jid: str
    affiliation: RoomAffiliation
    nick: str = ""
    reason: str = ""
    actor: str = ""
    version: int = 0


class RoomFollower(Struct, frozen=True):
    """Somebody with an account here who has a room among their own, affiliated with it or not.

    Attributes:
        nick: Theirs in the room; empty if they have not said.
        wants_all: Whether they want to be told of all that is said there.
    """

    nick: str = ""
    wants_all: bool = False


class AffiliationChange(Struct, frozen=True):
    """What somebody has become.

    Attributes:
        version: Of the lists since then.
        jid: Bare JID, or domain.
        affiliation: What they were from then on.
    """

    version: int
    jid: str
    affiliation: RoomAffiliation


class Hat(Struct, frozen=True):
    """A hat of a room (:xep:`0317`).

    Attributes:
        uri: By which it is known.
        title: For people.
        hue: Its colour, as an angle in degrees; None if it has none.
        people: Bare JIDs of who has it.
    """

    uri: str
    title: str
    hue: float | None = None
    people: tuple[str, ...] = ()


class KeptOccupant(Struct, frozen=True):
    """A session that was in a room (RM-60).

    Attributes:
        session: Its full JID.
        nick: Its own there.
        role: What it was.
        presence: What its client said last, in bytes.
        number: Rises with each session that enters the room.
        node: Where it is; empty if it is of another server, and so at none.
    """

    session: str
    nick: str
    role: Role
    presence: bytes
    number: int
    node: str = ""


class KeptRoom(Struct, frozen=True):
    """A room with all that belongs to it but what was said there.

    Attributes:
        jid: Its bare JID.
        config: How it is configured.
        key: With which ids of occupants are made.
        created: When, in seconds since 1970.
        creator: Bare JID of who made it; empty if nobody of ours did.
        locked: Whether its owner has yet to say how it is to be (RM-24).
        subject: The message that set it, in bytes; empty if none did.
        version: Of its lists: the number of changes so far.
        affiliated: Its lists.
        hats: Its hats.
        occupants: Who was in when that was last kept.
    """

    jid: JID
    config: RoomConfig
    key: bytes
    created: float
    creator: str = ""
    locked: bool = False
    subject: bytes = b""
    version: int = 0
    affiliated: tuple[Affiliated, ...] = ()
    hats: tuple[Hat, ...] = ()
    occupants: tuple[KeptOccupant, ...] = ()


class RoomChange(Struct, frozen=True):
    """What is to be kept of a room from now on; all of it or nothing. None stays as it is.

    Attributes:
        config: How it is configured.
        locked: Whether its owner has yet to say how it is to be.
        subject: The message that set it, in bytes; empty if it was taken back.
        affiliated: Who is something else from now on, each with a new version of the lists; who is
            NONE is in no list any more.
        noted: Who has another nick or reason, and is what they were.
        hats: Hats that are new or others, with all who have them.
        no_hats: The URIs of hats that there are no more.
        card: The card, in bytes; empty if it has none any more.
        came: Sessions that are in, or say something else.
        left: Full JIDs of those that are not in any more.
        empty: Whether nobody is in but those who came.
    """

    config: RoomConfig | None = None
    locked: bool | None = None
    subject: bytes | None = None
    affiliated: tuple[Affiliated, ...] = ()
    noted: tuple[Affiliated, ...] = ()
    hats: tuple[Hat, ...] = ()
    no_hats: tuple[str, ...] = ()
    card: bytes | None = None
    came: tuple[KeptOccupant, ...] = ()
    left: tuple[str, ...] = ()
    empty: bool = False


class Destroyed(Struct, frozen=True):
    """A room that is no more, but says where its people went (RM-55).

    Attributes:
        forward: The bare JID of another room.
        reason: In the words of its owner.
    """

    forward: str
    reason: str = ""


def heir(affiliated: Iterable[Affiliated]) -> Affiliated | None:
    """The owner of a room whose owners are all gone, who was its oldest admin; None if there is an
    owner still, or no admin either.
    """
    admins: list[Affiliated] = []
    for each in affiliated:
        if each.affiliation is RoomAffiliation.OWNER:
            return None
        if each.affiliation is RoomAffiliation.ADMIN:
            admins.append(each)
    oldest = min(admins, key=lambda admin: (admin.version, admin.jid), default=None)
    return None if oldest is None else replace(oldest, affiliation=RoomAffiliation.OWNER)


__all__ = [
    "Affiliated",
    "AffiliationChange",
    "Destroyed",
    "Hat",
    "KeptOccupant",
    "KeptRoom",
    "RoomChange",
    "RoomFollower",
    "heir",
]
