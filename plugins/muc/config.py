"""The configuration of a room (:xep:`0045`, §10)."""

from enum import Enum

from msgspec import Struct

from .ranks import Role

EVERYBODY = frozenset((Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR))
"""The roles of all occupants."""


class Whois(Enum):
    """Who sees the JIDs of occupants (§4.2)."""

    MODERATORS = "moderators"
    ANYONE = "anyone"


class AllowPM(Enum):
    """Who may send private messages (§7.5)."""

    ANYONE = "anyone"
    PARTICIPANTS = "participants"
    MODERATORS = "moderators"
    NONE = "none"


class RoomConfig(Struct, frozen=True, omit_defaults=True):
    """The configuration of a room; each attribute is the field of its name.

    Attributes:
        roomname: For people.
        roomdesc: For people.
        lang: Of what is said there.
        pubsub: The address of a node that belongs to the room.
        contactjid: Whom to ask: bare JIDs.
        persistentroom: Whether it stays when nobody is in it.
        publicroom: Whether it is listed for everybody.
        membersonly: Whether only members enter.
        moderatedroom: Whether who has no affiliation enters without voice.
        passwordprotectedroom: Whether who enters needs the password.
        roomsecret: That password.
        whois: Who sees JIDs.
        changesubject: Whether participants may change the subject.
        allowinvites: Whether members may invite into a room for members only.
        allow_voice_requests: Whether visitors may ask for voice.
        allow_visitor_status: Whether others see what visitors say of their being available.
        allow_visitor_nickchange: Whether visitors may change their nick.
        allow_registration: Whether who registers becomes a member at once also where that gives
            entry or voice, and is otherwise asked for (RM-59).
        allowpm: Who may send private messages.
        presencebroadcast: The roles whose presence is shown to others.
        maxusers: How many occupants the room takes; None: any number.
        getmemberlist: The roles in which members may read the members' list.
        enablelogging: Whether what is said is logged where others can read it.
        mam: Whether the room has an archive (:xep:`0313`).
        maxhistoryfetch: How many messages of before are sent at most to who enters.
        slow_mode_duration: The seconds from one message of an occupant to its next
            (:xep:`0500`).
        show_unavailable_members: Whether members who are not in are shown.
        lock_nicks: Whether occupants keep the nick with which they have entered.
        hats: Whether occupants wear hats (:xep:`0317`).
        avatarhash: Of the avatar in its card (:xep:`0486`); empty if there is none. It has no
            field in the form, but follows from the card.
        tell_affected: Whether an account of ours is told what it has become to the room while it
            is not in.
        mentions: Whether who is mentioned while not in is told (:xep:`0452`).
    """

    roomname: str = ""
    roomdesc: str = ""
    lang: str = ""
    pubsub: str = ""
    contactjid: tuple[str, ...] = ()
    persistentroom: bool = False
    publicroom: bool = True
    membersonly: bool = False
    moderatedroom: bool = False
    passwordprotectedroom: bool = False
    roomsecret: str = ""
    whois: Whois = Whois.MODERATORS
    changesubject: bool = False
    allowinvites: bool = False
    allow_voice_requests: bool = True
    allow_visitor_status: bool = True
    allow_visitor_nickchange: bool = False
    allow_registration: bool = False
    allowpm: AllowPM = AllowPM.ANYONE
    presencebroadcast: frozenset[Role] = EVERYBODY
    maxusers: int | None = 1_000
    getmemberlist: frozenset[Role] = frozenset((Role.MODERATOR,))
    enablelogging: bool = False
    mam: bool = True
    maxhistoryfetch: int = 20
    slow_mode_duration: int = 0
    show_unavailable_members: bool = False
    lock_nicks: bool = False
    hats: bool = True
    tell_affected: bool = True
    mentions: bool = True
    avatarhash: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether only moderators see JIDs."""
        return self.whois is Whois.MODERATORS


__all__ = ["EVERYBODY", "AllowPM", "RoomConfig", "Whois"]
