"""OfferedCommand: a command that a page offers, for what it is about or for each of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from xmppd.command.argument import Argument
from xmppd.command.command import Command
from xmppd.command.kinds import AccountName, Address
from xmppd.console.shown import Act

MAX_QUOTED = 1_000
"""Values that were written into addresses lately."""

_NO_OTHER_NAMES: Mapping[str, str] = {}


@dataclass
class OfferedCommand:
    """A command that a page offers, for what it is about or for each of many rows.

    Attributes:
        command: It.
        title: On its button.
        href: Of its form, with nothing filled in.
        back: Where its form leads back to.
        about: What the page is about.
        at_once: Whether its button gives it, without a form.
    """

    command: Command
    title: str
    href: str
    back: str
    about: str
    at_once: bool = False

    def __post_init__(self) -> None:
        self._keys = [argument.key for argument in self.command.about.arguments]
        first = next(iter(self.command.about.arguments), None)
        self._of_page = first.key if self.about and first and is_account(first) else ""
        self._end = f"back={quote_plus(self.back)}"

    def told(
        self, row: Mapping[str, Any], takes: Mapping[str, str] = _NO_OTHER_NAMES
    ) -> dict[str, str]:
        """What is known of its arguments already.

        Args:
            row: What the row has, by column.
            takes: The columns that arguments take which have another name.
        """
        told = {}
        for key in self._keys:
            value = row.get(takes.get(key, key))
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                told[key] = str(value)
        if self._of_page and self._of_page not in told:
            told[self._of_page] = self.about
        return told

    def act(self, row: Mapping[str, Any], takes: Mapping[str, str] = _NO_OTHER_NAMES) -> Act | None:
        """The button; None if the command would be refused."""
        told = self.told(row, takes)
        if self.command.why_not(told):
            return None
        filled = "".join(f"{key}={quoted(value)}&" for key, value in told.items())
        danger = self.command.about.effect == "ends"
        return Act(self.title, f"{self.href}?{filled}{self._end}", danger, self.at_once)


@lru_cache(maxsize=MAX_QUOTED)
def quoted(value: str) -> str:
    """A value in an address; a table has each in several."""
    return quote_plus(value)


def is_account(argument: Argument) -> bool:
    """Whether an argument is somebody's address."""
    return isinstance(argument.kind, AccountName | Address)


__all__ = ["MAX_QUOTED", "OfferedCommand", "is_account", "quoted"]
