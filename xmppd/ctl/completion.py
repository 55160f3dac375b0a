"""Completion: the words that may stand where the cursor is in a command line of xmppctl (CR-2)."""

import shlex
from collections.abc import Iterable

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.kinds import Flag

COMMON = ("--config", "--data", "--help", "--json")
_WITH_VALUE = ("--config", "--data")


def words_of(line: str) -> list[str]:
    """The words of a line behind the program's name; the last one is being written, and may be
    empty.
    """
    reader = shlex.shlex(line, posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.commenters = True, ""
    words = []
    try:
        words += list(reader)
    except ValueError:
        words += line.split()  # a quotation that is not closed
    if not line or line[-1].isspace():
        words.append("")
    return words[1:]


def completions(words: list[str], descriptions: Iterable[Description]) -> list[str]:
    """What the last word may be, of those that begin as it does.

    Args:
        words: Of the line; the last one is being written.
        descriptions: Of all commands that it may be.
    """
    *before, current = words
    known = list(descriptions)
    command = next((about for about in known if before[: _length(about)] == _words(about)), None)
    if command is None:
        named = [word for word in _without_options(before, ()) if word]
        place = len(named)
        found = {
            _words(about)[place]
            for about in known
            if len(_words(about)) > place and _words(about)[:place] == named
        }
    else:
        found = set(_of_command(command, before[_length(command) :], current))
    if current.startswith("-"):
        found |= {*COMMON} - set(before)
    return sorted(word for word in found if word.startswith(current))


def _of_command(command: Description, before: list[str], current: str) -> Iterable[str]:
    """What may stand behind the words of a command."""
    options = {each.name: each for each in command.arguments if each.name.startswith("--")}
    last = options.get(before[-1]) if before else None
    if last is not None and not isinstance(last.kind, Flag) and not last.secret:
        return last.kind.choices
    if current.startswith("-"):
        secret = ("--stdin",) if any(each.secret for each in command.arguments) else ()
        named = [name for name, each in options.items() if not each.secret]
        return [name for name in named if name not in before or options[name].most > 1] + [*secret]
    asked = [each for each in command.arguments if not (each.name.startswith("--") or each.secret)]
    place = len(_without_options(before, options.values()))
    return asked[min(place, len(asked) - 1)].kind.choices if asked else ()


def _without_options(words: list[str], options: Iterable[Argument]) -> list[str]:
    """The words that are no option, nor the value of one."""
    valued = {*_WITH_VALUE, *(each.name for each in options if not isinstance(each.kind, Flag))}
    pairs = zip(["", *words], words, strict=False)
    return [word for previous, word in pairs if word[:1] != "-" and previous not in valued]


def _words(about: Description) -> list[str]:
    return about.name.split()


def _length(about: Description) -> int:
    return len(_words(about))


__all__ = ["completions", "words_of"]
