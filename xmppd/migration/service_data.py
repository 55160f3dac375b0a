"""ServiceData: what is kept of no account, such as rooms, as it is written when a server moves."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import ClassVar

from xmppd.events import Undo


class ServiceData(ABC):
    """One kind of data of services, written into a file beside the accounts, and taken from there.

    Attributes:
        file: Its name.
    """

    file: ClassVar[str] = ""

    @abstractmethod
    def written(self) -> AsyncIterator[bytes]:
        """All there is, one thing in each line, without line breaks in it."""

    @abstractmethod
    async def take(self, line: bytes) -> None:
        """Take one of the lines; nobody is told, and what is there already stays as it is.

        Raises:
            ValueError: It cannot be taken.
            StanzaError: It is there already, or cannot be kept.
            StoreError: The database cannot be written.
        """


class ServiceDataTable:
    """The place of data of services."""

    def __init__(self) -> None:
        self._by_file: dict[str, ServiceData] = {}

    def put(self, part: ServiceData, owner: str) -> Undo:
        """Have a kind of data come along.

        Raises:
            ValueError: Another part has a file of that name.
        """
        if part.file in self._by_file:
            raise ValueError(f"there are data in {part.file} already")
        self._by_file[part.file] = part

        def take_out() -> None:
            del self._by_file[part.file]

        return take_out

    def all(self) -> list[ServiceData]:
        """All kinds, by the names of their files."""
        return [self._by_file[name] for name in sorted(self._by_file)]


__all__ = ["ServiceData", "ServiceDataTable"]
