"""The kinds of sources from which people move in."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from xmppd.migration.person import Person
from xmppd.migration.readers.ejabberd_dump import EjabberdDump
from xmppd.migration.readers.ejabberd_sql import EjabberdSQL
from xmppd.migration.readers.openfire import OpenfireReader
from xmppd.migration.readers.openfire_xml import OpenfireXMLReader
from xmppd.migration.readers.prosody import ProsodyReader
from xmppd.migration.readers.sql_source import is_database
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

    def close(self) -> None:
        """Be done with it."""


def _ejabberd(path: Path, host: str) -> Source:
    return EjabberdSQL(path, host) if is_database(path) else EjabberdDump(path)


def _openfire(path: Path, host: str) -> Source:
    is_xml = path.suffix == ".xml"
    return OpenfireXMLReader(path, host) if is_xml else OpenfireReader(path, host)


SOURCES: Mapping[str, Callable[[Path, str], Source]] = {
    "xep0227": lambda path, _: XEP0227Reader(path),
    "prosody": lambda path, _: ProsodyReader(path),
    "ejabberd": _ejabberd,
    "mongooseim": EjabberdSQL,
    "openfire": _openfire,
}
"""What reads each: a file or directory, of people of a domain that it may not say itself."""

__all__ = ["SOURCES", "Source"]
