"""Messages that wait for an account, and that its client reads in the archive instead (OA-4)."""

from collections.abc import Awaitable, Callable

from xmppd.stanza import JID, Message
from xmppd.store.errors import StoreError
from xmppd.store.offline import OfflineStore

from .archive import Archive
from .routed import STANZA_ID

WAITING_PER_TURN = 50


class WaitingMessages:
    """Forgets stored messages that are in the archive, for a client that reads that. Whatever comes
    later, or is not in the archive, waits on.

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
        bare, last = account.bare, 0
        try:
            while waiting := await self.offline.offline_messages(
                bare, after=last, limit=WAITING_PER_TURN
            ):
                if last:
                    await self.next_turn()
                last = waiting[-1].id
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
