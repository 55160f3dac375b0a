"""The kinds of arguments: how each is checked, asked for in a form, and written in a shell."""

from argparse import ArgumentParser
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from xmppd.command.refused import Refused
from xmppd.stanza import JID, Condition
from xmppd.stanza.jid import prepare_domain

MAX_TEXT_LENGTH = 10_000

Value: TypeAlias = str | bool | int | JID
_YES, _NO = ("1", "true"), ("0", "false")


@dataclass(frozen=True, slots=True)
class Surface:
    """Where a command is given.

    Attributes:
        domains: Those that are served here.
        short_names: Whether an account of the first domain may be named without it.
    """

    domains: tuple[str, ...]
    short_names: bool = False


class ArgumentKind(Struct, frozen=True, tag=True):
    """What an argument may be: any text, if a kind says nothing else."""

    def check(self, key: str, given: object, surface: Surface) -> Value:
        """The value that was given.

        Args:
            key: The argument's name.
            given: What came by the shell's socket or in a form.
            surface: Where it was given.

        Raises:
            Refused: It is none of this kind.
        """
        if not isinstance(given, str) or len(given) > MAX_TEXT_LENGTH:
            raise wrong(key)
        return self.read(key, given, surface)

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The value that a text stands for.

        Raises:
            Refused: It stands for none.
        """
        return text

    @property
    def field(self) -> str:
        """The type of its field in a form (:xep:`0004`, §3.3)."""
        return "text-single"

    @property
    def fields(self) -> str:
        """The same where several may be given."""
        return "text-multi"

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values; empty for any."""
        return ()

    def add(self, parser: ArgumentParser, name: str, help: str, most: int) -> None:
        """Have a command line understand it.

        Args:
            parser: Of the command.
            name: With two dashes it may be left out.
            help: For people.
            most: How many may be given.
        """
        choices = self.choices or None
        if most == 1:
            parser.add_argument(name, choices=choices, help=help)
        elif name.startswith("--"):
            parser.add_argument(name, choices=choices, help=help, action="append")
        else:
            parser.add_argument(name, choices=choices, help=help, nargs="+")


class Text(ArgumentKind, frozen=True):
    """Words of people."""


class Secret(ArgumentKind, frozen=True):
    """A password: asked for, and never shown, logged, or written on a command line."""

    @property
    def field(self) -> str:
        """What is typed is hidden."""
        return "text-private"

    def add(self, parser: ArgumentParser, name: str, help: str, most: int) -> None:
        """Command lines stand in the list of processes; so it comes by standard input."""
        parser.add_argument(
            "--stdin",
            f"--{name.removeprefix('--')}-stdin",
            action="store_true",
            help=f"read the {name.removeprefix('--')} from standard input",
        )


class Flag(ArgumentKind, frozen=True):
    """Yes or no."""

    def check(self, key: str, given: object, surface: Surface) -> Value:
        """The shell says it as it is, a form in words."""
        if isinstance(given, bool):
            return given
        if given not in (*_YES, *_NO):
            raise wrong(key)
        return given in _YES

    @property
    def field(self) -> str:
        """A box to tick."""
        return "boolean"

    def add(self, parser: ArgumentParser, name: str, help: str, most: int) -> None:
        """Whoever names it says yes."""
        parser.add_argument(name, action="store_true", help=help)


class Number(ArgumentKind, frozen=True):
    """A whole number.

    Attributes:
        min: At least.
        max: At most.
        unit: What is counted, such as ``s``; empty if the argument's name says it.
    """

    min: int
    max: int
    unit: str = ""

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The number."""
        if not (text.isascii() and text.isdecimal() and self.min <= int(text) <= self.max):
            unit = f" {self.unit}" if self.unit else ""
            raise Refused(
                f"{key} is a number from {self.min} to {self.max}{unit}", Condition.BAD_REQUEST
            )
        return int(text)


class Choice(ArgumentKind, frozen=True):
    """One of a few words."""

    of: tuple[str, ...]

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The word."""
        if text not in self.of:
            raise Refused(f"{key} is one of {', '.join(self.of)}", Condition.BAD_REQUEST)
        return text

    @property
    def field(self) -> str:
        """A list to choose from."""
        return "list-single"

    @property
    def choices(self) -> tuple[str, ...]:
        """The words."""
        return self.of


class Address(ArgumentKind, frozen=True):
    """Any address: of somebody, of a session, or of a domain."""

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The address, prepared."""
        return address(key, text)

    @property
    def field(self) -> str:
        """An address."""
        return "jid-single"

    @property
    def fields(self) -> str:
        """Some addresses."""
        return "jid-multi"


class AccountName(Address, frozen=True):
    """An account here, which there may or may not be."""

    def read(self, key: str, text: str, surface: Surface) -> Value:
        """The bare JID; the first domain may be left out where short names are understood."""
        short = surface.short_names and "@" not in text
        jid = address(key, f"{text}@{surface.domains[0]}" if short else text)
        why = f'"{text}" is no account of {", ".join(surface.domains)}'
        if jid.local is None or not jid.is_bare:
            raise Refused(why)
        if jid.domain not in surface.domains:
            raise Refused(why, Condition.ITEM_NOT_FOUND)
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
            raise Refused(f"{key} is no domain ({error})", Condition.BAD_REQUEST) from error
        if self.ours and domain not in surface.domains:
            raise Refused(f"{domain} is not served here", Condition.ITEM_NOT_FOUND)
        return domain


class GroupName(Text, frozen=True):
    """The name of a shared group."""


class PluginName(Text, frozen=True):
    """The name of a plugin."""


AnyKind: TypeAlias = (
    Text
    | Secret
    | Flag
    | Number
    | Choice
    | Address
    | AccountName
    | DomainName
    | GroupName
    | PluginName
)
"""All of them, so that a description can be read back from the shell's socket."""


def address(key: str, text: str) -> JID:
    """An address.

    Raises:
        Refused: It cannot be one.
    """
    try:
        return JID.parse(text)
    except ValueError as error:
        raise Refused(f"{key} is no address ({error})", Condition.BAD_REQUEST) from error


def wrong(key: str) -> Refused:
    """What was given cannot be an argument of its kind."""
    return Refused(f"{key} is of the wrong kind, or too long", Condition.BAD_REQUEST)
