"""The form by which a room is configured (:xep:`0045`, §10.2), and the codes of a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct
from twisted.logger import Logger

from xmppd.stanza import JID, Condition, Element, StanzaError, Tree
from xmppd.stanza.form import Field, form, submission, values_of
from xmppd.stanza.form_field import (
    AddressesField,
    ChoiceField,
    ChoicesField,
    CountField,
    FieldKind,
    FlagField,
    LineField,
)

from .config import EVERYBODY, AllowPM, RoomConfig, Whois
from .ranks import Role

ROOM_CONFIG = "http://jabber.org/protocol/muc#roomconfig"
PREFIX = "muc#roomconfig_"
MAX_HISTORY = "muc#maxhistoryfetch"

MAX_OCCUPANTS = 10_000
"""The most that a room takes which limits them at all."""

MAX_SLOW_S = 86_400
MAX_FETCHED = 100
MAX_NAMED = 10
"""Unknown fields that the log names."""

ARCHIVE_NAMES = ("muc#roomconfig_mam", "mam")
"""What clients call the field for the archive, beside the name that it has here."""

CHANGED = 104
_CODES = {"enablelogging": (171, 170), "whois": (173, 172), "show_unavailable_members": (103, 102)}
"""Status codes of fields that have some of their own: when it is no longer so, and when it is."""

_OFFERED = tuple(map(str, (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, MAX_OCCUPANTS)))
_ROLES = [role for role in Role if role in EVERYBODY]
_log = Logger()


@dataclass(frozen=True)
class RoomField:
    """A field of the form.

    Attributes:
        name: Of the attribute.
        label: For people.
        kind: How its value is read and written.
        var: Its name on the wire; empty for the attribute's with the usual prefix.
    """

    name: str
    label: str
    kind: FieldKind
    var: str = ""

    @property
    def written_var(self) -> str:
        """Its name on the wire."""
        return self.var or PREFIX + self.name

    def field(self, value: object) -> Field:
        """The line of a form, with its present value."""
        kind = self.kind
        return Field(
            self.written_var, self.label, kind.type, options=kind.options, values=kind.write(value)
        )


_FIELDS = (
    RoomField("roomname", "Name", LineField()),
    RoomField("roomdesc", "Description", LineField()),
    RoomField("lang", "Language", LineField()),
    RoomField("pubsub", "PubSub node of the room", LineField()),
    RoomField("contactjid", "Contact addresses", AddressesField()),
    RoomField("persistentroom", "Room stays when it is empty", FlagField()),
    RoomField("publicroom", "Room is listed publicly", FlagField()),
    RoomField("membersonly", "Only members may enter", FlagField()),
    RoomField("allow_registration", "Registration makes someone a member at once", FlagField()),
    RoomField("moderatedroom", "Room is moderated: new occupants have no voice", FlagField()),
    RoomField("passwordprotectedroom", "Room has a password", FlagField()),
    RoomField("roomsecret", "Password", LineField("text-private")),
    RoomField("whois", "Who may see real addresses", ChoiceField(Whois)),
    RoomField("changesubject", "Participants may change the subject", FlagField()),
    RoomField("allowinvites", "Members may invite others", FlagField()),
    RoomField("allow_voice_requests", "Visitors may request voice", FlagField()),
    RoomField("allow_visitor_status", "Visitors may show a status", FlagField()),
    RoomField("allow_visitor_nickchange", "Visitors may change their nick", FlagField()),
    RoomField("allowpm", "Who may send private messages", ChoiceField(AllowPM)),
    RoomField("presencebroadcast", "Roles whose presence is sent", ChoicesField(_ROLES)),
    RoomField(
        "maxusers",
        "Maximum number of occupants",
        CountField(1, MAX_OCCUPANTS, "none", (*_OFFERED, "none")),
    ),
    RoomField("getmemberlist", "Who may read the member list", ChoicesField(_ROLES)),
    RoomField("enablelogging", "Conversations are logged publicly", FlagField()),
    RoomField("mam", "Conversations are archived", FlagField(), f"{PREFIX}enablearchiving"),
    RoomField(
        "maxhistoryfetch",
        "Maximum number of history messages at entry",
        CountField(0, MAX_FETCHED),
        MAX_HISTORY,
    ),
    RoomField(
        "slow_mode_duration",
        "Minimum seconds between messages of an occupant",
        CountField(0, MAX_SLOW_S),
    ),
    RoomField("show_unavailable_members", "Absent members are shown", FlagField()),
    RoomField("lock_nicks", "Occupants may not change their nick", FlagField()),
    RoomField("hats", "Occupants may have hats", FlagField()),
    RoomField(
        "tell_affected", "Absent users are notified when their affiliation changes", FlagField()
    ),
    RoomField("mentions", "Absent users are notified when they are mentioned", FlagField()),
)
_ADMINS = RoomField("roomadmins", "Admins", AddressesField())
_OWNERS = RoomField("roomowners", "Owners", AddressesField())
_BY_VAR = {each.written_var: each for each in (*_FIELDS, _ADMINS, _OWNERS)}
_BY_VAR.update((var, _BY_VAR[f"{PREFIX}enablearchiving"]) for var in ARCHIVE_NAMES)


class FilledForm(Struct, frozen=True):
    """What a form says.

    Attributes:
        config: The configuration that it makes.
        admins: All bare JIDs of admins; None if it does not say.
        owners: All those of owners; None if it does not say.
    """

    config: RoomConfig
    admins: tuple[str, ...] | None = None
    owners: tuple[str, ...] | None = None


def config_fields(config: RoomConfig) -> list[Field]:
    """The lines of a form for all that is configured."""
    return [each.field(getattr(config, each.name)) for each in _FIELDS]


def config_form(
    room: JID, config: RoomConfig, admins: Sequence[str], owners: Sequence[str]
) -> Element:
    """The form to fill in, with the present values."""
    lists = (_ADMINS.field(tuple(admins)), _OWNERS.field(tuple(owners)))
    fields = (*config_fields(config), *lists)
    return form(ROOM_CONFIG, f"Configuration of {room.bare}", "", *fields)


def filled_form(config: RoomConfig, answer: Tree | Element) -> FilledForm:
    """The configuration with what a form says; what it does not say stays (RM-57).

    Raises:
        StanzaError: BAD_REQUEST: it is no such form; NOT_ACCEPTABLE: a value is none, as the text
            says, or there is to be a password and none is given; CONFLICT: nobody is left as owner.
    """
    changes: dict[str, object] = {}
    unknown: list[str] = []
    for var, values in values_of(answer, ROOM_CONFIG).items():
        field = _BY_VAR.get(var)
        if field is None:
            unknown.append(var[:100])
        else:
            changes[field.name] = _read(field, values)
    if unknown:
        named = ", ".join(unknown[:MAX_NAMED])
        _log.info(
            "unknown fields in a room's form, {number} in all: {named}",
            number=len(unknown),
            named=named,
        )
    admins, owners = _people(_ADMINS, changes), _people(_OWNERS, changes)
    if owners == ():
        raise StanzaError(Condition.CONFLICT, "a room needs an owner")
    return FilledForm(_with_password(config, changes), admins, owners)


def changes_form(values: Mapping[str, Sequence[str]]) -> Element:
    """A form that is filled in with values of some fields, by the names of attributes.

    Raises:
        StanzaError: NOT_ACCEPTABLE: there is no such field.
    """
    fields = {each.name: each for each in _FIELDS}
    for name in values:
        if name not in fields:
            text = f"unknown field {name}; use one of {', '.join(fields)}"
            raise StanzaError(Condition.NOT_ACCEPTABLE, text)
    lines = [Field(fields[name].written_var, values=tuple(value)) for name, value in values.items()]
    return submission(ROOM_CONFIG, *lines)


def _read(field: RoomField, values: Sequence[str]) -> object:
    try:
        return field.kind.read(values)
    except ValueError as error:
        text = f"{field.written_var} {error}"
        raise StanzaError(Condition.NOT_ACCEPTABLE, text) from error


def _people(field: RoomField, changes: dict[str, object]) -> tuple[str, ...] | None:
    """The bare JIDs of people in a list, each once."""
    if field.name not in changes:
        return None
    listed = changes.pop(field.name)
    assert isinstance(listed, tuple), "must be addresses"
    found = [JID.prepared(each) for each in listed]
    for jid in found:
        if jid.local is None:
            text = f"{field.written_var} must contain accounts, but {jid} is not one"
            raise StanzaError(Condition.NOT_ACCEPTABLE, text)
    return tuple(dict.fromkeys(jid.bare for jid in found))


def _with_password(config: RoomConfig, changes: dict[str, object]) -> RoomConfig:
    """The changed configuration, whose password and the flag for it go together."""
    if changes.get("roomsecret") and "passwordprotectedroom" not in changes:
        changes["passwordprotectedroom"] = True
    changed = msgspec.structs.replace(config, **changes)
    if not changed.passwordprotectedroom:
        return msgspec.structs.replace(changed, roomsecret="")
    if not changed.roomsecret:
        text = f"{PREFIX}roomsecret is missing: the room needs its password"
        raise StanzaError(Condition.NOT_ACCEPTABLE, text)
    return changed


def codes_of_change(before: RoomConfig, now: RoomConfig) -> tuple[int, ...]:
    """The status codes by which occupants are told that a room is configured otherwise
    (:xep:`0045`, §10.2.1, RM-20); none if it is not.
    """
    codes = [] if now.avatarhash == before.avatarhash else [CHANGED]
    for field in _FIELDS:
        value = getattr(now, field.name)
        if value != getattr(before, field.name):
            off, on = _CODES.get(field.name, (CHANGED, CHANGED))
            codes.append(off if value in (False, Whois.MODERATORS) else on)
    return tuple(sorted(set(codes)))


__all__ = [
    "CHANGED",
    "MAX_FETCHED",
    "MAX_OCCUPANTS",
    "MAX_SLOW_S",
    "ROOM_CONFIG",
    "FilledForm",
    "changes_form",
    "codes_of_change",
    "config_fields",
    "config_form",
    "filled_form",
]
