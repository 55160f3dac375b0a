"""Argument and Arguments: what a command needs to know, and the values it was given."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from xmppd.command.kinds import ArgumentKind, Flag, Hidden, Secret, Surface, Text, Value, wrong
from xmppd.command.refused import Refused
from xmppd.stanza import JID, Condition
from xmppd.stanza.phrases import counted

MANY = 1_000


class Argument(Struct, frozen=True):
    """An argument of a command.

    Attributes:
        name: As on the command line: with two dashes it may be left out.
        help: For people.
        kind: Checks its values.
        most: The number that may be given; :data:`MANY` where it does not matter.
        scope: What its actor must have beside the scope of the command; empty for nothing.
        unless: The key of a flag in place of which it stands: one of both has to be given.
    """

    name: str
    help: str
    kind: ArgumentKind = Text()
    most: int = 1
    scope: str = ""
    unless: str = ""

    @property
    def key(self) -> str:
        """Its name in a request."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def required(self) -> bool:
        """Whether it is required, whatever else is given."""
        return not (self.name.startswith("--") or self.kind.optional or self.unless)

    @property
    def secret(self) -> bool:
        """Whether it is never shown."""
        return isinstance(self.kind, Secret)

    @property
    def schema(self) -> dict[str, object]:
        """What JSON Schema says of what may be given."""
        if self.most == 1:
            return {**self.kind.schema, "description": self.help}
        least = {"minItems": 1} if self.required else {}
        return {
            "type": "array",
            "items": self.kind.schema,
            "maxItems": self.most,
            **least,
            "description": self.help,
        }

    @property
    def hidden(self) -> bool:
        """Whether it is not written down."""
        return isinstance(self.kind, Secret | Hidden)


DRY_RUN = Argument("--dry-run", "show what would happen, but change nothing", Flag())
"""An argument of every command that ends something (CR-13)."""


class Arguments:
    """The values of a command's arguments, checked.

    Args:
        wanted: The command's arguments.
        given: The values.
        surface: The place where they were given.

    Raises:
        Refused: One is missing, unknown, too much, or of another kind.
    """

    def __init__(
        self, wanted: Sequence[Argument], given: Mapping[str, object], surface: Surface
    ) -> None:
        self._surface = surface
        self._values: dict[str, tuple[Value, ...]] = {}
        known = {argument.key: argument for argument in wanted}
        for key in given:
            if key not in known:
                raise _blamed(key, f"unknown argument {key}")
        for key, argument in known.items():
            if key in given:
                self._values[key] = _checked(argument, given[key], surface)
            elif argument.required:
                raise _blamed(key, f"{key} is missing")
        for key, argument in known.items():
            if argument.unless and self.given(key) is self.flag(argument.unless):
                raise _blamed(key, f"either {key} or {argument.unless} has to be given")

    def given(self, key: str) -> bool:
        """Whether there was such an argument."""
        return key in self._values

    def is_set(self, key: str) -> bool:
        """Whether there was such an argument, and no flag that says no."""
        return self._values.get(key, (False,)) != (False,)

    def text(self, key: str, default: str = "") -> str:
        """A text, or the default if it was not given."""
        return next(iter(self.texts(key)), default)

    def texts(self, key: str) -> list[str]:
        """All texts that were given."""
        return [value for value in self._values.get(key, ()) if isinstance(value, str)]

    def number(self, key: str, default: int) -> int:
        """A whole number, or the default if it was not given."""
        (value,) = self._values.get(key, (default,))
        return value if isinstance(value, int) else default

    def flag(self, key: str) -> bool:
        """Whether the flag was set."""
        return self._values.get(key) == (True,)

    def jid(self, key: str) -> JID:
        """The address that was given.

        Raises:
            ValueError: It was not given.
        """
        (jid,) = self.jids(key)
        return jid

    def jids(self, key: str) -> list[JID]:
        """The addresses that were given, each once."""
        found = [value for value in self._values.get(key, ()) if isinstance(value, JID)]
        return list(dict.fromkeys(found))

    def domains(self, key: str) -> tuple[str, ...]:
        """The domain that was given, or all that are served here."""
        return tuple(self.texts(key)) or self._surface.domains


def _blamed(key: str, sentence: str) -> Refused:
    return Refused(sentence, Condition.BAD_REQUEST, argument=key)


def _checked(argument: Argument, given: object, surface: Surface) -> tuple[Value, ...]:
    """The values of an argument; one that may be given more than once may come without a list."""
    values = given if isinstance(given, list) and argument.most > 1 else [given]
    try:
        if len(values) > argument.most:
            raise Refused(f"{argument.key} may be given at most {counted(argument.most, 'time')}")
        if not values and argument.required:
            raise wrong(argument.key)
        return tuple(argument.kind.check(argument.key, value, surface) for value in values)
    except Refused as error:
        error.argument = argument.key
        raise
