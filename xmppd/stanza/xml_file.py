"""Files of XML, element by element."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from xmppd.stanza.xml import Tree

BYTES_PER_READ = 65_536


def elements_of(path: Path) -> Iterator[tuple[Tree, Tree]]:
    """The elements of a file, each when it ends, with the one that it is in; the root is in one
    without a name.

    Whoever has read an element removes it from there, so that a large file needs little memory.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no XML, or its end is missing.
    """
    parser: XMLPullParser[Tree] = XMLPullParser(("start", "end"))
    opened: list[Tree] = [Element("")]
    with path.open("rb") as file:
        try:
            while data := file.read(BYTES_PER_READ):
                parser.feed(data)
                for event, element in parser.read_events():  # type: ignore[misc]  # of these two
                    assert isinstance(element, Tree), "it was asked for these"
                    if event == "end":
                        opened.pop()
                        yield element, opened[-1]
                        continue
                    if len(opened) == 1:
                        opened[0].append(element)
                    opened.append(element)
            parser.close()
        except ParseError as error:
            raise ValueError(f"it is no XML, or not whole: {error}") from error


__all__ = ["elements_of"]
