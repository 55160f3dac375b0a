"""What the value of a form's field may be, and how it is read and written (:xep:`0004`, §3.3)."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import Enum

from xmppd.stanza.jid import JID


class FieldKind(ABC):
    """How the value of a field is read and written.

    Attributes:
        type: As in :xep:`0004`, §3.3.
        options: What a list lets one choose from.
    """

    type: str = "text-single"
    options: tuple[str, ...] = ()

    @abstractmethod
    def read(self, values: Sequence[str]) -> object:
        """The value.

        Raises:
            ValueError: It is none.
        """

    @abstractmethod
    def write(self, value: object) -> tuple[str, ...]:
        """How it is written."""


class FlagField(FieldKind):
    """True or false."""

    type = "boolean"

    def read(self, values: Sequence[str]) -> bool:
        """Whether it is true."""
        if values not in (["0"], ["1"], ["false"], ["true"]):
            raise ValueError("must be 0, 1, false or true")
        return values[0] in ("1", "true")

    def write(self, value: object) -> tuple[str, ...]:
        """1 or 0."""
        return ("1" if value else "0",)


class LineField(FieldKind):
    """Text on one line.

    Args:
        type: Another one where nobody may look over one's shoulder.
    """

    def __init__(self, type: str = "text-single") -> None:
        self.type = type

    def read(self, values: Sequence[str]) -> str:
        """The text; empty if nothing is said."""
        if len(values) > 1:
            raise ValueError("must have only one value")
        return values[0] if values else ""

    def write(self, value: object) -> tuple[str, ...]:
        """The text itself."""
        return (str(value),)


class CountField(FieldKind):
    """A number, or a word for as many as there may be, which is None.

    Args:
        least: The smallest that it may be.
        most: The greatest.
        endless: That word; empty if it is always a number.
        options: What one may choose from, if it is a list.
    """

    def __init__(
        self, least: int, most: int, endless: str = "", options: Iterable[str] = ()
    ) -> None:
        self.least = least
        self.most = most
        self.endless = endless
        self.options = tuple(options)
        self.type = "list-single" if self.options else "text-single"

    def read(self, values: Sequence[str]) -> int | None:
        """The number."""
        text = values[0] if len(values) == 1 else ""
        if text and text == self.endless:
            return None
        ok = text.isascii() and text.isdecimal() and len(text) <= len(str(self.most))
        if not ok or not self.least <= int(text) <= self.most:
            also = f", or the word {self.endless}" if self.endless else ""
            raise ValueError(f"must be a number from {self.least} to {self.most}{also}")
        return int(text)

    def write(self, value: object) -> tuple[str, ...]:
        """The number, or the word."""
        return (self.endless if value is None else str(value),)


class ChoiceField(FieldKind):
    """One of several words.

    Args:
        words: The values of an enumeration.
    """

    type = "list-single"

    def __init__(self, words: Iterable[Enum]) -> None:
        self._by_word = {str(each.value): each for each in words}
        self.options = tuple(self._by_word)

    def read(self, values: Sequence[str]) -> Enum | frozenset[Enum]:
        """The member."""
        return self._member(values[0] if len(values) == 1 else "")

    def _member(self, word: str) -> Enum:
        if word not in self._by_word:
            raise ValueError(f"must be one of {', '.join(self.options)}")
        return self._by_word[word]

    def write(self, value: object) -> tuple[str, ...]:
        """Its word."""
        assert isinstance(value, Enum), "it is a choice"
        return (str(value.value),)


class ChoicesField(ChoiceField):
    """Several of those words, which are a set."""

    type = "list-multi"

    def read(self, values: Sequence[str]) -> frozenset[Enum]:
        """The members."""
        return frozenset(self._member(value) for value in values)

    def write(self, value: object) -> tuple[str, ...]:
        """Their words, in the order of the options."""
        assert isinstance(value, frozenset), "they are choices"
        return tuple(word for word, each in self._by_word.items() if each in value)


class LinesField(FieldKind):
    """Several texts."""

    type = "text-multi"

    def read(self, values: Sequence[str]) -> tuple[str, ...]:
        """The texts, but for empty ones."""
        return tuple(value for value in values if value)

    def write(self, value: object) -> tuple[str, ...]:
        """The texts themselves."""
        assert isinstance(value, tuple), "they are texts"
        return value


class AddressesField(LinesField):
    """Several JIDs."""

    type = "jid-multi"

    def read(self, values: Sequence[str]) -> tuple[str, ...]:
        """The JIDs, prepared."""
        return tuple(JID.parse(value).full for value in values if value)


__all__ = [
    "AddressesField",
    "ChoiceField",
    "ChoicesField",
    "CountField",
    "FieldKind",
    "FlagField",
    "LineField",
    "LinesField",
]
