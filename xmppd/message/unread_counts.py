"""UnreadCounts: how many messages accounts have not read, for whoever tells somebody that."""

from collections.abc import Awaitable, Callable


class UnreadCounts:
    """Asks whoever counts the unread messages of accounts, if somebody does.

    Attributes:
        count: Counts those of an account, by its bare JID; None if nobody does.
        readers: Called with the bare JID of an account that has read something, by another way than
            a message.
    """

    def __init__(self) -> None:
        self.count: Callable[[str], Awaitable[int]] | None = None
        self.readers: list[Callable[[str], Awaitable[None]]] = []

    async def has_read(self, account: str) -> None:
        """Tell that an account, a bare JID, has read something."""
        for tell in self.readers:
            await tell(account)

    async def of(self, account: str) -> int | None:
        """The number of messages that an account, a bare JID, has not read; None if nobody counts.

        Raises:
            StoreError: It cannot be read.
        """
        return None if self.count is None else await self.count(account)
