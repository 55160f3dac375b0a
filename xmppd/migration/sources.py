"""The kinds of sources from which people move in."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from xmppd.migration.person import Person
from xmppd.migration.readers.prosody import ProsodyReader
from xmppd.migration.readers.xep0227 import XEP0227Reader

SOURCES: Mapping[str, Callable[[Path], Iterator[Person]]] = {
    "xep0227": lambda source: XEP0227Reader(source).people(),
    "prosody": lambda source: ProsodyReader(source).people(),
}
"""What reads each: its people, one after the other."""

__all__ = ["SOURCES"]
