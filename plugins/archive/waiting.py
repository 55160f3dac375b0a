"""Messages that wait for an account, and are in its archive as well (OA-1)."""

from collections.abc import AsyncIterator, Awaitable, Callable

from xmppd.stanza import JID, Message
from xmppd.store.errors import StoreError
from xmppd.store.offline import OfflineMessage, OfflineStore

from .archive import Archive
from .routed import STANZA_ID

WAITING_PER_TURN = 50


class WaitingMessages:
    """Forgets stored messages that are in the archive, for a client that reads that (OA-4), and
    what was taken back. Whatever comes later, or is not in the archive, waits on.

    Args:
        archive: Has the messages.
        offline: Has those that wait.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(
        self, archive: Archive, offline: OfflineStore, next_turn: Callable[[], Awaitable[None]]
    ) -> None:
        self.archive = archive
        self.offline = offline
        self.next_turn = next_turn

    async def forget(self, account: JID) -> None:
        """Forget what is in the archive by now: whoever asks that next is told of it. If the store
        fails they are sent it, with the same ids.
        """
        bare = account.bare
        try:
            async for waiting in self._pages(bare):
                positions = {
                    position: each.id
                    for each in waiting
                    if (position := self._position(bare, each.stanza)) is not None
                }
                archived = await self.archive.entries.at(bare, positions)
                if archived:
                    numbers = [positions[each.position] for each in archived]
                    await self.offline.delete_offline(bare, numbers)
        except StoreError:
            return  # which the store has logged

    async def take_back(self, account: str, position: int) -> None:
        """Forget a message that its author has taken back: what says so waits behind it (AR-10).

        Args:
            account: Bare JID of its recipient.
            position: Of the message, in the archive.

        Raises:
            StoreError: The store cannot be read or written.
        """
        id = self.archive.id_of(account, position).encode()
        async for waiting in self._pages(account):
            for each in waiting:
                if id in each.stanza and self._position(account, each.stanza) == position:
                    await self.offline.delete_offline(account, (each.id,))
                    return

    async def _pages(self, account: str) -> AsyncIterator[list[OfflineMessage]]:
        """What waits for an account, some in each turn."""
        last = 0
        while waiting := await self.offline.offline_messages(
            account, after=last, limit=WAITING_PER_TURN
        ):
            if last:
                await self.next_turn()
            last = waiting[-1].id
            yield waiting

    def _position(self, account: str, stanza: bytes) -> int | None:
        """The position that a stored message has in the archive, by the id it was given."""
        try:
            tree = Message.from_bytes(stanza).payload.tree
        except ValueError:
            return None
        for child in tree.iterfind(STANZA_ID):
            if child.get("by") == account:
                return self.archive.position_of(account, child.get("id", ""))
        return None


__all__ = ["WaitingMessages"]
