"""UserData: what is kept of an account, as it is written when its owner moves (:xep:`0227`)."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection
from typing import ClassVar

from xmppd.events import Undo
from xmppd.stanza import JID, Tree


class UserData(ABC):
    """One kind of data of accounts, written as elements of a ``<user/>``, and taken from these.

    Attributes:
        tags: The names of its elements, spelled ``{namespace}name``.
    """

    tags: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def written(self, account: JID) -> AsyncIterator[bytes]:
        """What an account has, in pieces of whole or partial elements, in a fixed order.

        Args:
            account: Bare JID.
        """

    @abstractmethod
    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Take one of the elements; nobody is told. A long one may come in several parts.

        Args:
            account: Bare JID, which exists.
            tree: With all names spelled ``{namespace}name``, those of ``jabber:client`` too.

        Returns:
            What was left out, and why: a few words each.

        Raises:
            ValueError: It cannot be taken.
            StanzaError: It cannot be kept.
            StoreError: The database cannot be written.
        """


class UserDataTable:
    """The place of user data."""

    def __init__(self) -> None:
        self._by_tag: dict[str, UserData] = {}

    def put(self, part: UserData, owner: str) -> Undo:
        """Have a kind of data come along.

        Raises:
            ValueError: Another part has elements of that name.
        """
        for tag in part.tags:
            if tag in self._by_tag:
                raise ValueError(f"there are user data in elements {tag} already")
        self._by_tag.update(dict.fromkeys(part.tags, part))

        def take_out() -> None:
            for tag in part.tags:
                del self._by_tag[tag]

        return take_out

    def of(self, tag: str) -> UserData | None:
        """What takes elements of this name; None if nothing does."""
        return self._by_tag.get(tag)

    def all(self) -> list[UserData]:
        """All kinds, in an order that does not depend on when they were put there."""
        return list(dict.fromkeys(self._by_tag[tag] for tag in sorted(self._by_tag)))


__all__ = ["UserData", "UserDataTable"]
