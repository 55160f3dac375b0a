"""Kinds of arguments: their checks, their fields in a form, and their words in a shell."""

import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from msgspec import Struct

from xmppd.command.refused import Refused
from xmppd.stanza import JID, Condition
from xmppd.stanza.date_time import microseconds_of
from xmppd.stanza.jid import prepare_domain
from xmppd.stanza.phrases import either

MAX_TEXT_LENGTH = 10_000
MAX_DOCUMENT_LENGTH = 200_000
MAX_DIGITS = 18

Value: TypeAlias = str | bool | int | JID
_YES, _NO = ("1", "true"), ("0", "false")
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Surface:
    """The place where a command is given.

    Attributes:
        domains: Those that are served here.
        short_names: Whether an account of the first domain may be named without it.
    """

    domains: tuple[str, ...]
    short_names: bool = False


class ArgumentKind(Struct, frozen=True):
    """A kind of arguments; this one takes any text.

    Attributes:
        optional: Whether none has to be given, also where the name has no dashes.
    """

    optional: ClassVar[bool] = False

    def check(self, key: str, given: object, surface: Surface) -> Value:
        """Check a given value.

        Args:
            key: The argument's name.
            given: The value from the shell's socket or a form.
            surface: The place where it was given.

        Raises:
            Refused: It is not of this kind.
        """
        if not isinstance(given, str) or len(given) > MAX_TEXT_LENGTH:
            raise wrong(key)
        return self.read(key, given, surface)

    def of_json(self, key: str, given: object) -> str | bool:
        """A value of JSON as it would be given elsewhere, for :meth:`check`.

        Raises:
            Refused: It is of another type.
        """
        if not isinstance(given, str):
            raise wrong(key)
        return given

    @property
    def schema(self) -> dict[str, object]:
        """What JSON Schema says of its values."""
        return {"type": "string", "maxLength": MAX_TEXT_LENGTH}

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The value of a text.

        Raises:
            Refused: It has none.
        """
        return text

    @property
    def field(self) -> str:
        """The type of its field in a form (:xep:`0004`, §3.3)."""
        return "text-single"

    @property
    def fields(self) -> str:
        """The type of its field where several may be given."""
        return "text-multi"

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values; empty for any."""
        return ()

    @property
    def listed(self) -> tuple[str, str]:
        """The command that lists what there is, and the column of its rows that has it; both empty
        if none does.
        """
        return "", ""


class Text(ArgumentKind, frozen=True):
    """Text for people."""


class Hidden(ArgumentKind, frozen=True):
    """Text that may hold a secret: it is not written down."""


class Document(Hidden, frozen=True):
    """What is in a file of whoever gives the command, such as a configuration. A shell is told the
    name of the file, and reads it.
    """

    def check(self, key: str, given: object, surface: Surface) -> Value:
        """The text, which may be long."""
        if not isinstance(given, str) or len(given) > MAX_DOCUMENT_LENGTH:
            raise wrong(key)
        return given

    @property
    def field(self) -> str:
        """A field of several lines."""
        return "text-multi"

    @property
    def schema(self) -> dict[str, object]:
        """A long text."""
        return {"type": "string", "maxLength": MAX_DOCUMENT_LENGTH}


class Secret(ArgumentKind, frozen=True):
    """A password: asked for, and never shown, logged, or written on a command line."""

    @property
    def field(self) -> str:
        """A field that hides its text."""
        return "text-private"

    @property
    def schema(self) -> dict[str, object]:
        """A text that is not shown."""
        return {**super().schema, "format": "password", "writeOnly": True}


class Flag(ArgumentKind, frozen=True):
    """Yes or no."""

    def check(self, key: str, given: object, surface: Surface) -> Value:
        """A value as it is from the shell, or as words from a form."""
        if isinstance(given, bool):
            return given
        if given not in (*_YES, *_NO):
            raise wrong(key)
        return given in _YES

    def of_json(self, key: str, given: object) -> str | bool:
        """True or false."""
        if not isinstance(given, bool):
            raise wrong(key)
        return given

    @property
    def schema(self) -> dict[str, object]:
        """True or false."""
        return {"type": "boolean"}

    @property
    def field(self) -> str:
        """A box to tick."""
        return "boolean"


class Number(ArgumentKind, frozen=True):
    """A whole number.

    Attributes:
        min: At least.
        max: At most.
        unit: The unit, such as ``s``; empty if the argument's name has it.
    """

    min: int
    max: int
    unit: str = ""

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The number."""
        is_short = len(text) <= MAX_DIGITS  # Python refuses to read a very long number
        is_number = is_short and text.isascii() and text.isdecimal()
        if not (is_number and self.min <= int(text) <= self.max):
            unit = f" {self.unit}" if self.unit else ""
            raise Refused(
                f"{key} must be a number from {self.min} to {self.max}{unit}", Condition.BAD_REQUEST
            )
        return int(text)

    def of_json(self, key: str, given: object) -> str | bool:
        """A whole number, which JSON may write as 1.0."""
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise wrong(key)
        if abs(given) > 10**MAX_DIGITS or given != int(given):
            raise wrong(key)
        return str(int(given))

    @property
    def schema(self) -> dict[str, object]:
        """A number within its limits."""
        return {"type": "integer", "minimum": self.min, "maximum": self.max}


class Duration(ArgumentKind, frozen=True):
    """A time, as a number with its unit: ``s``, ``m``, ``h`` or ``d``; its value is in seconds.

    Attributes:
        max_s: At most.
    """

    max_s: int

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The seconds."""
        found = _DURATION.fullmatch(text)
        seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
        if not 0 < seconds <= self.max_s:
            most = f"{self.max_s // 86_400}d" if self.max_s >= 86_400 else f"{self.max_s}s"
            raise Refused(f"{key} must be a duration such as 12h or 90d, at most {most}")
        return seconds

    @property
    def schema(self) -> dict[str, object]:
        """A number and its unit."""
        return {"type": "string", "pattern": f"^{_DURATION.pattern}$"}


class Moment(ArgumentKind, frozen=True):
    """A date and time (:xep:`0082`), as it is written."""

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The same text."""
        try:
            microseconds_of(text)
        except ValueError as error:
            raise Refused(
                f"{key} must be a time such as 2026-10-31T12:00:00Z", Condition.BAD_REQUEST
            ) from error
        return text

    @property
    def schema(self) -> dict[str, object]:
        """A date and time."""
        return {"type": "string", "format": "date-time"}


class Choice(ArgumentKind, frozen=True):
    """One of a few words."""

    of: tuple[str, ...]

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The word."""
        if text not in self.of:
            raise Refused(f"{key} must be {either(self.of)}", Condition.BAD_REQUEST)
        return text

    @property
    def schema(self) -> dict[str, object]:
        """One of them."""
        return {"type": "string", "enum": list(self.of)}

    @property
    def field(self) -> str:
        """A list to choose from."""
        return "list-single"

    @property
    def choices(self) -> tuple[str, ...]:
        """The words."""
        return self.of


class AnyOf(Choice, frozen=True):
    """Any of a few words; all, if none is given."""

    optional: ClassVar[bool] = True


class Address(ArgumentKind, frozen=True):
    """Any address: of an account, a session or a domain."""

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The address, prepared; where short names are understood, one without a dot or an @ is
        that of an account in the first domain.
        """
        name, slash, resource = text.partition("/")
        is_short = surface.short_names and "@" not in name and "." not in name
        if is_short and name not in surface.domains:
            text = f"{name}@{surface.domains[0]}{slash}{resource}"
        return address(text)

    @property
    def field(self) -> str:
        """An address."""
        return "jid-single"

    @property
    def fields(self) -> str:
        """The type of a field for several addresses."""
        return "jid-multi"


class AccountName(Address, frozen=True):
    """The name of an account here, which may exist or not."""

    @property
    def listed(self) -> tuple[str, str]:
        """All accounts."""
        return "user list", "account"

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The bare JID; the first domain may be left out where short names are understood."""
        short = surface.short_names and "@" not in text
        jid = address(f"{text}@{surface.domains[0]}" if short else text)
        if jid.local is not None and not jid.is_bare:
            raise Refused(f'"{text}" has a resource; write the account as "{jid.bare}"')
        if jid.local is None:
            raise Refused(
                f'"{text}" is not an account address; write it as "romeo@{surface.domains[0]}"'
            )
        if jid.domain not in surface.domains:
            raise Refused(f"this server does not serve {jid.domain}", Condition.ITEM_NOT_FOUND)
        return jid


class DomainName(ArgumentKind, frozen=True):
    """A domain.

    Attributes:
        ours: Whether it is one that is served here.
    """

    ours: bool = True

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The domain, prepared."""
        try:
            domain = prepare_domain(text)
        except ValueError as error:
            raise Refused(f'"{text}" is not a domain ({error})', Condition.BAD_REQUEST) from error
        if self.ours and domain not in surface.domains:
            raise Refused(f"this server does not serve {domain}", Condition.ITEM_NOT_FOUND)
        return domain


class FileName(Text, frozen=True):
    """The path of a file that the server reads: only who is at its machine may name one."""


def why_unread(error: Exception) -> str:
    """Why a named file could not be taken, in a sentence."""
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} does not exist"
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read ({error.strerror})"
    return str(error)


class OptionName(Text, frozen=True):
    """The name of an option of the configuration, or of a table; all, if none is given."""

    optional: ClassVar[bool] = True


class GroupName(Text, frozen=True):
    """The name of a shared group."""

    @property
    def listed(self) -> tuple[str, str]:
        """Those there are."""
        return "group list", "group"


class PluginName(Text, frozen=True):
    """The name of a plugin."""

    @property
    def listed(self) -> tuple[str, str]:
        """Those there are."""
        return "plugin list", "plugin"


def address(text: str) -> JID:
    """An address.

    Raises:
        Refused: It is no address.
    """
    try:
        return JID.parse(text)
    except ValueError as error:
        raise Refused(f'"{text}" is not an address ({error})', Condition.BAD_REQUEST) from error


def wrong(key: str) -> Refused:
    """The error for a value that is not of its kind."""
    return Refused(f"{key} is of the wrong kind, or too long", Condition.BAD_REQUEST, argument=key)
