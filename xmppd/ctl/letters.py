"""Letters: how wide a text is drawn in a terminal, cut or folded to a width.

A letter of East Asian scripts is two cells wide, and a mark above another letter none. The tables
for that are read only when a text goes beyond ASCII, since most do not.
"""

import re
from collections.abc import Iterable

CUT = "…"

_BREAK = re.compile(r" (?![^(]{0,11}\))")
"""A blank where a line may end: not one in short parentheses, such as those of an age."""


def width_of(text: str) -> int:
    """The cells that a text takes; it has no character that is not printable."""
    if text.isascii():
        return len(text)
    from wcwidth import width

    return width(text)


def cut(text: str, width: int) -> str:
    """A text in so many cells at most: what is too much is left out of its middle, since an address
    tells most at its ends.
    """
    if width_of(text) <= width:
        return text
    if width <= 1:
        return CUT[:width]
    letters = _letters(text)
    tail = _taken(reversed(letters), (width - 1) // 2)
    head = _taken(letters, width - 1 - sum(map(width_of, tail)))
    return "".join((*head, CUT, *reversed(tail)))


def begun(text: str, width: int) -> str:
    """The beginning of a text that goes on, in so many cells at most."""
    return "".join((*_taken(_letters(text), width - 1), CUT))


def padded(text: str, width: int) -> str:
    """A text with blanks behind it, so that it takes so many cells."""
    return text + " " * (width - width_of(text))


def folded(text: str, width: int) -> list[str]:
    """A text in lines of so many cells at most, folded between words; a wider word is cut."""
    lines, line, used = list[str](), list[str](), 0
    for whole in _BREAK.split(text):
        word = cut(whole, width)
        wide = width_of(word)
        if line and used + 1 + wide > width:
            lines.append(" ".join(line).rstrip())
            line, used = [], 0
        used += wide + (1 if line else 0)
        line.append(word)
    return [*lines, " ".join(line).rstrip()]


def _letters(text: str) -> list[str]:
    """The letters, each with the marks that belong to it."""
    if text.isascii():
        return list(text)
    from wcwidth import iter_graphemes

    return list(iter_graphemes(text))


def _taken(letters: Iterable[str], width: int) -> list[str]:
    """As many of the first letters as have room."""
    taken, left = list[str](), width
    for letter in letters:
        left -= width_of(letter)
        if left < 0:
            break
        taken.append(letter)
    return taken


__all__ = ["CUT", "begun", "cut", "folded", "padded", "width_of"]
