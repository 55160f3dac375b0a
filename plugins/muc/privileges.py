"""Who may do what in a room: a table for roles, one for affiliations, one for changes of them.

What may not be done is refused by a :class:`~xmppd.stanza.error.StanzaError` that says what is
missing. A service administrator is an owner wherever these ask for a standing (RM-7).
"""

from collections.abc import Callable, Mapping
from enum import Enum

from xmppd.stanza import JID, Condition, ErrorType, StanzaError

from .config import AllowPM, RoomConfig
from .ranks import Role, RoomAffiliation, RoomStanding

_OUTCAST, _NONE = RoomAffiliation.OUTCAST, RoomAffiliation.NONE
_MEMBER, _ADMIN, _OWNER = RoomAffiliation.MEMBER, RoomAffiliation.ADMIN, RoomAffiliation.OWNER

# -- what a role lets an occupant do --------------------------------------------------------------


class RolePrivilege(Enum):
    """What a role lets an occupant do (:xep:`0045`, §5.1.1); its value says it."""

    __hash__ = object.__hash__  # as that of Rank

    HEAR = "be in the room and hear what is said"
    SEE = "see the presence of others"
    BE_SEEN = "have its presence shown to others"
    CHANGE_STATUS = "have others see its show and status"
    CHANGE_NICK = "change its nick"
    PRIVATE_MESSAGE = "send private messages"
    INVITE = "invite"
    SPEAK = "speak to all"
    SUBJECT = "change the subject"
    KICK = "kick"
    VOICE = "grant and revoke voice"
    MODERATE = "retract the messages of others"
    ANSWER = "answer requests for voice"


Cell = Callable[[RoomConfig], bool]

_MODERATORS_ONLY = (RolePrivilege.KICK, RolePrivilege.VOICE, RolePrivilege.MODERATE)


def _yes(config: RoomConfig) -> bool:
    return True


def _no(config: RoomConfig) -> bool:
    return False


def _shown(role: Role) -> Cell:
    return lambda config: role in config.presencebroadcast


def _private(*among: AllowPM) -> Cell:
    return lambda config: config.allowpm in among


def _invites(config: RoomConfig) -> bool:
    return config.allowinvites or not config.membersonly


def _subject(config: RoomConfig) -> bool:
    return config.changesubject


def _visitor_status(config: RoomConfig) -> bool:
    return config.allow_visitor_status


def _nick(config: RoomConfig) -> bool:
    return not config.lock_nicks


def _visitor_nick(config: RoomConfig) -> bool:
    return _nick(config) and (config.allow_visitor_nickchange or not config.moderatedroom)


_PM_VISITOR = _private(AllowPM.ANYONE)
_PM_PARTICIPANT = _private(AllowPM.ANYONE, AllowPM.PARTICIPANTS)
_PM_MODERATOR = _private(AllowPM.ANYONE, AllowPM.PARTICIPANTS, AllowPM.MODERATORS)

# fmt: off
BY_ROLE: Mapping[RolePrivilege, Mapping[Role, Cell]] = {
    privilege: dict(zip(Role, cells, strict=True)) for privilege, cells in {
        #                               none visitor          participant      moderator
        RolePrivilege.HEAR:            (_no, _yes,            _yes,            _yes),
        RolePrivilege.SEE:             (_no, _yes,            _yes,            _yes),
        RolePrivilege.BE_SEEN:         (_no, *map(_shown, (Role.VISITOR, Role.PARTICIPANT,
                                                                         Role.MODERATOR))),
        RolePrivilege.CHANGE_STATUS:   (_no, _visitor_status, _yes,            _yes),
        RolePrivilege.CHANGE_NICK:     (_no, _visitor_nick,   _nick,           _nick),
        RolePrivilege.PRIVATE_MESSAGE: (_no, _PM_VISITOR,     _PM_PARTICIPANT, _PM_MODERATOR),
        RolePrivilege.INVITE:          (_no, _no,             _invites,        _yes),
        RolePrivilege.SPEAK:           (_no, _no,             _yes,            _yes),
        RolePrivilege.SUBJECT:         (_no, _no,             _subject,        _yes),
        RolePrivilege.KICK:            (_no, _no,             _no,             _yes),
        RolePrivilege.VOICE:           (_no, _no,             _no,             _yes),
        RolePrivilege.MODERATE:        (_no, _no,             _no,             _yes),
        RolePrivilege.ANSWER:          (_no, _no,             _no,             _yes),
    }.items()
}
# fmt: on
"""What each role may do in a room that is configured so."""


def may(role: Role, privilege: RolePrivilege, config: RoomConfig) -> bool:
    """Whether an occupant may do something in this role."""
    return BY_ROLE[privilege][role](config)


def check_role(standing: RoomStanding, privilege: RolePrivilege, config: RoomConfig) -> None:
    """Let an occupant do something; admins and owners need not be in to moderate.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is not in the room, or nicks are locked; NOT_ALLOWED: it is
            a visitor that keeps its nick; FORBIDDEN: its role does not let it.
    """
    if privilege in _MODERATORS_ONLY and standing.affiliation.leads:
        return
    if may(standing.role, privilege, config):
        return
    if privilege in _MODERATORS_ONLY:
        raise StanzaError(Condition.FORBIDDEN, f"only moderators may {privilege.value}")
    if standing.role is Role.NONE:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "enter the room first")
    if privilege is RolePrivilege.CHANGE_NICK:
        if config.lock_nicks:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "nicks cannot be changed in this room")
        raise StanzaError(Condition.NOT_ALLOWED, "visitors may not change their nick here")
    raise StanzaError(
        Condition.FORBIDDEN, f"a {standing.role.value} may not {privilege.value} here"
    )


def sees_jids(standing: RoomStanding, config: RoomConfig) -> bool:
    """Whether somebody is shown the JIDs of occupants (§4.2)."""
    return not config.is_anonymous or standing.role is Role.MODERATOR or standing.affiliation.leads


# -- what an affiliation gives and lets do --------------------------------------------------------


def first_role(affiliation: RoomAffiliation, config: RoomConfig) -> Role:
    """The role with which somebody enters; NONE: they may not."""
    if affiliation is _OUTCAST or (affiliation is _NONE and config.membersonly):
        return Role.NONE
    if affiliation.leads:
        return Role.MODERATOR
    if affiliation is _NONE and config.moderatedroom:
        return Role.VISITOR
    return Role.PARTICIPANT


def role_after(
    role: Role, before: RoomAffiliation, affiliation: RoomAffiliation, config: RoomConfig
) -> Role:
    """The role of an occupant when its affiliation has changed (RM-6); NONE: it has to leave."""
    first = first_role(affiliation, config)
    if first is Role.NONE:
        return first
    choose = max if affiliation.is_above(before) else min
    return choose(role, first, key=lambda each: each.height)


def role_under(
    role: Role, affiliation: RoomAffiliation, before: RoomConfig, now: RoomConfig
) -> Role:
    """The role of an occupant when the room is configured otherwise; NONE: it has to leave (§8)."""
    first = first_role(affiliation, now)
    if first is Role.NONE:
        return first
    if before.moderatedroom and not now.moderatedroom and role is Role.VISITOR:
        return Role.PARTICIPANT
    if now.moderatedroom and not before.moderatedroom and role is Role.PARTICIPANT:
        return min(role, first, key=lambda each: each.height)
    return role


def check_enter(affiliation: RoomAffiliation, config: RoomConfig) -> None:
    """Let in who may enter, whatever password and nick they bring.

    Raises:
        StanzaError: FORBIDDEN: they are banned; REGISTRATION_REQUIRED: only members may.
    """
    if affiliation is _OUTCAST:
        raise StanzaError(Condition.FORBIDDEN, "you are banned from this room")
    if affiliation is _NONE and config.membersonly:
        raise StanzaError(Condition.REGISTRATION_REQUIRED, "only members may enter this room")


def check_password(affiliation: RoomAffiliation, config: RoomConfig, password: str | None) -> None:
    """Let in who knows the password; owners need it as well.

    Raises:
        StanzaError: NOT_AUTHORIZED: it is missing, or another one.
    """
    if config.passwordprotectedroom and password != config.roomsecret:
        text = "this room has a password" if password is None else "wrong password"
        raise StanzaError(Condition.NOT_AUTHORIZED, text)


def check_not_full(affiliation: RoomAffiliation, config: RoomConfig, occupants: int) -> None:
    """Let in as many as the room takes; admins and owners always.

    Args:
        affiliation: Of one more.
        config: Of the room.
        occupants: How many there are.

    Raises:
        StanzaError: SERVICE_UNAVAILABLE, of type wait.
    """
    if config.maxusers is not None and occupants >= config.maxusers and not affiliation.leads:
        raise StanzaError(
            Condition.SERVICE_UNAVAILABLE,
            f"there are {config.maxusers} people in this room, the maximum",
            type=ErrorType.WAIT,
        )


def check_owner(affiliation: RoomAffiliation) -> None:
    """Let an owner configure or destroy the room, or edit the lists of admins and owners.

    Raises:
        StanzaError: FORBIDDEN: they are none.
    """
    if affiliation is not _OWNER:
        raise StanzaError(Condition.FORBIDDEN, "only owners may do that")


def check_register(affiliation: RoomAffiliation) -> None:
    """Let somebody register with the room.

    Raises:
        StanzaError: FORBIDDEN: they are banned.
    """
    if affiliation is _OUTCAST:
        raise StanzaError(Condition.FORBIDDEN, "you are banned from this room")


def may_read_archive(standing: RoomStanding, config: RoomConfig) -> bool:
    """Whether somebody may read what was said in a room (RM-46)."""
    if standing.affiliation is _OUTCAST:
        return False
    is_open = not config.membersonly and not config.passwordprotectedroom
    return is_open or standing.affiliation.is_above(_NONE) or standing.role is not Role.NONE


def check_archive(standing: RoomStanding, config: RoomConfig) -> None:
    """Let somebody read the room's archive (RM-46).

    Raises:
        StanzaError: FORBIDDEN.
    """
    if not may_read_archive(standing, config):
        raise StanzaError(
            Condition.FORBIDDEN, "only members and occupants may read this room's archive"
        )


# -- lists ----------------------------------------------------------------------------------------


def check_read_list(
    actor: RoomStanding, wanted: RoomAffiliation | Role, config: RoomConfig
) -> None:
    """Let somebody read the list of who has an affiliation or a role.

    Raises:
        StanzaError: FORBIDDEN.
    """
    if actor.affiliation is _OUTCAST:
        is_allowed = False
    elif actor.affiliation.leads:
        is_allowed = True
    elif isinstance(wanted, Role):
        is_allowed = wanted is not Role.MODERATOR and actor.role is Role.MODERATOR
    elif wanted is _MEMBER:
        is_allowed = actor.affiliation is _MEMBER and (
            not config.is_anonymous or actor.role in config.getmemberlist
        )
    else:
        is_allowed = wanted.leads and not config.is_anonymous and actor.role is not Role.NONE
    if not is_allowed:
        raise StanzaError(
            Condition.FORBIDDEN,
            f"you may not list those whose affiliation or role is {wanted.value}",
        )


class By(Enum):
    """Who may change an affiliation into another one."""

    NOBODY = "nothing to change"
    ADMIN = "admins and owners"
    OWNER = "owners"


_A, _O, _X = By.ADMIN, By.OWNER, By.NOBODY

# fmt: off
CHANGES: Mapping[RoomAffiliation, Mapping[RoomAffiliation, By]] = {
    before: dict(zip(RoomAffiliation, cells, strict=True)) for before, cells in {
        # to      outcast none member admin owner
        _OUTCAST: (_X,     _A,  _A,    _O,   _O),
        _NONE:    (_A,     _X,  _A,    _O,   _O),
        _MEMBER:  (_A,     _A,  _X,    _O,   _O),
        _ADMIN:   (_O,     _O,  _O,    _X,   _O),
        _OWNER:   (_O,     _O,  _O,    _O,   _X),
    }.items()
}
# fmt: on
"""Who may change one affiliation (rows) into another (columns)."""


def check_affiliation_change(
    actor: RoomAffiliation,
    before: RoomAffiliation,
    wanted: RoomAffiliation,
    *,
    is_self: bool = False,
    is_last_owner: bool = False,
) -> None:
    """Let somebody change an affiliation.

    Args:
        actor: Theirs.
        before: That of whom they change it.
        wanted: What it is to be.
        is_self: Whether it is their own.
        is_last_owner: Whether there is no other owner.

    Raises:
        StanzaError: CONFLICT: they would ban themselves, or leave the room without an owner;
            FORBIDDEN: only others may give this affiliation; NOT_ALLOWED: it is taken from an admin
            or owner by who is no owner.
    """
    if not actor.leads:
        raise StanzaError(Condition.FORBIDDEN, "only admins and owners may change affiliations")
    if is_self and wanted is _OUTCAST:
        raise StanzaError(Condition.CONFLICT, "you cannot ban yourself")
    if actor is not _OWNER and wanted.leads:
        raise StanzaError(Condition.FORBIDDEN, f"only owners may make someone {wanted.value}")
    if actor is not _OWNER and CHANGES[before][wanted] is By.OWNER:
        raise StanzaError(
            Condition.NOT_ALLOWED, f"only owners may change the affiliation of an {before.value}"
        )
    if is_last_owner and before is _OWNER and wanted is not _OWNER:
        raise StanzaError(
            Condition.CONFLICT, "a room needs an owner; make someone else an owner first"
        )


def check_affiliated(who: JID, wanted: RoomAffiliation) -> None:
    """Let a person be anything, a whole domain only a member or an outcast (RM-1).

    Raises:
        StanzaError: NOT_ACCEPTABLE.
    """
    if who.local is None and wanted.leads:
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"a whole domain ({who.bare}) cannot be {wanted.value}"
        )


# -- changes of roles -----------------------------------------------------------------------------


def check_role_change(
    actor: RoomStanding, target: RoomStanding, wanted: Role, *, is_self: bool = False
) -> None:
    """Let somebody change the role of an occupant (§8, §9).

    Args:
        actor: What they are.
        target: What the occupant is.
        wanted: What its role is to be; NONE: it is kicked.
        is_self: Whether it is they themselves.

    Raises:
        StanzaError: FORBIDDEN: they are not in a position to change roles so; NOT_ALLOWED: not
            those of this occupant.
    """
    if wanted is Role.NONE and is_self:
        return
    if actor.role is not Role.MODERATOR and not actor.affiliation.leads:
        raise StanzaError(Condition.FORBIDDEN, "only moderators may change roles")
    if wanted is Role.NONE:
        _check_kick(actor, target)
    elif wanted is Role.MODERATOR or target.role is Role.MODERATOR:
        _check_moderator(actor, target, wanted)
    elif wanted is Role.VISITOR and target.affiliation.leads:
        raise StanzaError(Condition.NOT_ALLOWED, "the voice of admins and owners cannot be revoked")


def _check_kick(actor: RoomStanding, target: RoomStanding) -> None:
    if target.affiliation.is_above(actor.affiliation):
        raise StanzaError(Condition.NOT_ALLOWED, "this user's affiliation is higher than yours")
    is_equal = target.affiliation is actor.affiliation and target.role is Role.MODERATOR
    if is_equal and not actor.affiliation.leads:
        raise StanzaError(Condition.NOT_ALLOWED, "you cannot kick another moderator")


def _check_moderator(actor: RoomStanding, target: RoomStanding, wanted: Role) -> None:
    if wanted is Role.VISITOR and not actor.affiliation.leads:
        raise StanzaError(Condition.NOT_ALLOWED, "the voice of moderators cannot be revoked")
    if not actor.affiliation.leads and wanted is not target.role:
        if target.affiliation.is_above(actor.affiliation):
            raise StanzaError(Condition.NOT_ALLOWED, "this user's affiliation is higher than yours")
        raise StanzaError(
            Condition.FORBIDDEN, "only admins and owners may add or remove moderators"
        )
    if target.affiliation.leads and wanted is not Role.MODERATOR:
        raise StanzaError(Condition.NOT_ALLOWED, "admins and owners are always moderators")


__all__ = [
    "BY_ROLE",
    "CHANGES",
    "By",
    "RolePrivilege",
    "check_affiliated",
    "check_affiliation_change",
    "check_archive",
    "check_enter",
    "check_not_full",
    "check_owner",
    "check_password",
    "check_read_list",
    "check_register",
    "check_role",
    "check_role_change",
    "first_role",
    "may",
    "may_read_archive",
    "role_after",
    "role_under",
    "sees_jids",
]
