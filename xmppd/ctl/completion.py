"""Completion: the words that may stand where the cursor is in a command line of xmppctl (CR-2)."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.command_context import Actor
from xmppd.command.command_table import CommandTable
from xmppd.command.kinds import ArgumentKind, DomainName, Flag
from xmppd.command.reply import Row, columns_of
from xmppd.ctl.command_line import STDIN

COMMON = ("--columns", "--config", "--data", "--help", "--json", "--wide")
_WITH_VALUE = ("--columns", "--config", "--data")

MAX_WORDS = 200
"""Offered at a time."""

MAX_ROWS = 10_000
"""Of a list that are looked at for words to offer."""


@dataclass
class WordPlace:
    """The place of a word.

    Attributes:
        words: That may stand there.
        kind: Of the argument whose place it is; None if it is none's.
    """

    words: set[str] = field(default_factory=set)
    kind: ArgumentKind | None = None


def place_of(words: Sequence[str], descriptions: Iterable[Description]) -> WordPlace:
    """What may stand in the place of the last word.

    Args:
        words: Of the line; the last one is being written.
        descriptions: Of all commands that it may be.
    """
    *before, current = words
    known = list(descriptions)
    command = next((about for about in known if before[: _length(about)] == _words(about)), None)
    if command is None:
        named = [word for word in _without_options(before, ()) if word]
        at = len(named)
        place = WordPlace(
            {
                _words(about)[at]
                for about in known
                if len(_words(about)) > at and _words(about)[:at] == named
            }
        )
    else:
        place = _in_command(command, before[_length(command) :], current)
    if current.startswith("-"):
        place.words |= {*COMMON} - set(before)
    return place


async def completions(
    table: CommandTable, actor: Actor, place: WordPlace, current: str
) -> list[str]:
    """The words that may stand in a place, of those that begin as the one that is being written.

    Args:
        table: The commands that know what there is.
        actor: Who asks.
        place: The place.
        current: The word that is being written.
    """
    found = set(place.words)
    if place.kind is not None:
        found.update(place.kind.choices)
        if isinstance(place.kind, DomainName) and place.kind.ours:
            found.update(table.domains)
        found.update(await _listed(table, actor, place.kind, current))
    return sorted(word for word in found if word.startswith(current))[:MAX_WORDS]


async def _listed(table: CommandTable, actor: Actor, kind: ArgumentKind, current: str) -> list[str]:
    """The values that a command lists, of those that begin as the word that is being written."""
    name, column = kind.listed
    if name not in table.commands:
        return []
    found = list[str]()
    seen = 0
    replies = table.replies(*table.asked(name, {}, actor))
    async with aclosing(replies):
        async for reply in replies:
            seen += 1
            if isinstance(reply, Row):
                value = str(columns_of(reply)[column])
                found += [value] if value.startswith(current) else []
            if len(found) >= MAX_WORDS or seen >= MAX_ROWS:
                break
    return found


def _in_command(command: Description, before: list[str], current: str) -> WordPlace:
    """What may stand behind the words of a command."""
    options = {each.name: each for each in command.arguments if each.name.startswith("--")}
    last = options.get(before[-1]) if before else None
    if last is not None and not isinstance(last.kind, Flag) and not last.secret:
        return WordPlace(kind=last.kind)
    if current.startswith("-"):
        secret = {STDIN} if any(each.secret for each in command.arguments) else set[str]()
        named = [name for name, each in options.items() if not each.secret]
        free = {name for name in named if name not in before or options[name].most > 1}
        return WordPlace(free | secret)
    asked = [each for each in command.arguments if not (each.name.startswith("--") or each.secret)]
    at = len(_without_options(before, options.values()))
    if not asked or (at >= len(asked) and asked[-1].most == 1):
        return WordPlace()
    return WordPlace(kind=asked[min(at, len(asked) - 1)].kind)


def _without_options(words: list[str], options: Iterable[Argument]) -> list[str]:
    """The words that are no option, nor the value of one."""
    valued = {*_WITH_VALUE, *(each.name for each in options if not isinstance(each.kind, Flag))}
    pairs = zip(["", *words], words, strict=False)
    return [word for previous, word in pairs if word[:1] != "-" and previous not in valued]


def _words(about: Description) -> list[str]:
    return about.name.split()


def _length(about: Description) -> int:
    return len(_words(about))


__all__ = ["MAX_WORDS", "WordPlace", "completions", "place_of"]
