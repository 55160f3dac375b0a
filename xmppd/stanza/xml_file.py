"""Files of XML, element by element: however long one is, it needs little memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.etree.ElementTree import Element
from xml.parsers import expat

from xmppd.stanza.xml import Tree

BYTES_PER_READ = 65_536
MAX_DEPTH = 200
"""Of elements in one another."""

MAX_NAMES = 1_000
"""Of elements that are known."""

MAX_HELD_ELEMENTS = 500_000
"""Where the bytes that may be held have a limit: a short element is longer in memory."""


class XMLStep(NamedTuple):
    """The start or the end of an element.

    Attributes:
        is_end: Which of the two.
        element: With its attributes; at its end with all that is in it.
        around: The element that it is in; the root is in one without a name.
        line: Of the file, from 1.
        offset: In the file, in bytes.
    """

    is_end: bool
    element: Tree
    around: Tree
    line: int
    offset: int


class XMLFile:
    """A file of XML. Nothing outside of it is fetched, and no entities are made: a document type is
    refused.

    An element is in the one around it when it has ended; whoever has read one removes it there.

    Args:
        path: Of the file.
        max_held_bytes: The length of what may be read without :meth:`release`; None for any.
    """

    def __init__(self, path: Path, max_held_bytes: int | None = None) -> None:
        self.path = path
        self._max_held_bytes = max_held_bytes
        self._released = 0
        self._held_elements = 0
        self._names: dict[str, str] = {}
        self._steps: list[XMLStep] = []
        self._opened: list[Tree] = [Element("")]
        self._last: Tree | None = None
        self._parser = parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse_doctype

    def steps(self) -> Iterator[XMLStep]:
        """All starts and ends, in order.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no XML, its end is missing, or more is in it than may be; the text
                begins with the line.
        """
        with self.path.open("rb") as file:
            try:
                while data := file.read(BYTES_PER_READ):
                    self._parser.Parse(data, False)
                    self._check_unread(file.tell())
                    yield from self._taken()
                self._parser.Parse(b"", True)
            except expat.ExpatError as error:
                why = expat.ErrorString(error.code)
                raise ValueError(
                    f"line {error.lineno}: malformed or incomplete XML: {why}"
                ) from error
            yield from self._taken()

    def release(self, offset: int) -> None:
        """Count what may be held from here on, since all before was taken."""
        self._released = offset
        self._held_elements = 0

    def _taken(self) -> list[XMLStep]:
        steps, self._steps = self._steps, []
        return steps

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._opened) > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} levels of elements")
        self._check_held()
        self._held_elements += 1
        if self._max_held_bytes is not None and self._held_elements > MAX_HELD_ELEMENTS:
            self._refuse(f"one element contains more than {MAX_HELD_ELEMENTS} elements")
        element = Element(self._spelled(name), {_spelled(k): v for k, v in attributes.items()})
        self._note(False, element)
        self._opened.append(element)
        self._last = None

    def _end(self, name: str) -> None:
        element = self._opened.pop()
        self._opened[-1].append(element)
        self._note(True, element)
        self._last = element

    def _text(self, text: str) -> None:
        self._check_held()
        if self._last is None:
            self._opened[-1].text = (self._opened[-1].text or "") + text
        else:
            self._last.tail = (self._last.tail or "") + text

    def _note(self, is_end: bool, element: Tree) -> None:
        parser = self._parser
        line, offset = parser.CurrentLineNumber, parser.CurrentByteIndex
        self._steps.append(XMLStep(is_end, element, self._opened[-1], line, offset))

    def _check_held(self) -> None:
        most = self._max_held_bytes
        if most is not None and self._parser.CurrentByteIndex - self._released > most:
            self._refuse(f"an element is longer than {most} bytes")

    def _check_unread(self, offset: int) -> None:
        """Refuse a tag or a comment that is longer than anything may be, before it is whole."""
        most = self._max_held_bytes
        if most is not None and offset - self._parser.CurrentByteIndex > most:
            self._refuse(f"a tag or a comment is longer than {most} bytes")

    def _spelled(self, name: str) -> str:
        """A name as all elements of it have it: one text, not one for each."""
        spelled = self._names.get(name)
        if spelled is None:
            spelled = _spelled(name)
            if len(self._names) < MAX_NAMES:
                self._names[name] = spelled
        return spelled

    def _refuse_doctype(self, *_: object) -> None:
        self._refuse("the file has a document type, which is not allowed")

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"line {self._parser.CurrentLineNumber}: {why}")


def _spelled(name: str) -> str:
    return "{" + name if "}" in name else name


def elements_of(path: Path) -> Iterator[tuple[Tree, Tree]]:
    """The elements of a file, each when it ends, with the one that it is in; the root is in one
    without a name.

    Whoever has read an element removes it from there, so that a large file needs little memory.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no XML, or its end is missing.
    """
    for step in XMLFile(path).steps():
        if step.is_end:
            yield step.element, step.around


__all__ = ["XMLFile", "XMLStep", "elements_of"]
