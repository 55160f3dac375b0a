"""The kinds of sources from which people move in."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from xmppd.migration.person import Person
from xmppd.migration.readers.ejabberd_dump import EjabberdDump
from xmppd.migration.readers.prosody import ProsodyReader
from xmppd.migration.readers.xep0227 import XEP0227Reader


class Source(Protocol):
    """What people move out of."""

    def people(self) -> Iterator[Person]:
        """The people, one after the other.

        Raises:
            SourceError: Something cannot be read; the text says where.
        """

    def left_behind(self) -> list[str]:
        """What there is beside people and is not taken, when all people have been read: a few words
        each.
        """


SOURCES: Mapping[str, Callable[[Path], Source]] = {
    "xep0227": XEP0227Reader,
    "prosody": ProsodyReader,
    "ejabberd": EjabberdDump,
}
"""What reads each."""

__all__ = ["SOURCES", "Source"]
