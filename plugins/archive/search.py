"""Search: messages of an archive by the ids that their senders have given them."""

from collections.abc import Awaitable, Callable, Sequence

from xmppd.message.follower import Follower, Remark, Sought
from xmppd.routing.routing_table import RoutingTable

from .archive import Archive
from .entries import ArchiveEntry, Selection
from .retractions import is_called

MAX_SEARCHED = 1_000
"""Messages of a conversation among which one is looked for, the latest."""

PER_TURN = 100


class ArchiveSearch(Follower):
    """Says in which archives a message is; it follows none.

    Args:
        archive: Has them.
        routing_table: Knows which accounts are ours.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(
        self,
        archive: Archive,
        routing_table: RoutingTable,
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.archive = archive
        self.routing_table = routing_table
        self.next_turn = next_turn

    async def locate(self, sought: Sought) -> Sequence[Remark]:
        remarks = []
        for owner, peer in {sought.sender: sought.to, sought.to: sought.sender}.items():
            if owner.local is None or not self.routing_table.is_local(owner):
                continue
            entry = await self.find(owner.bare, peer.bare, sought.id, sought.sender.bare)
            if entry is not None:
                id = self.archive.id_of(owner.bare, entry.position)
                says = f"the message is in the archive of {owner.bare} as {id}"
                if entry.is_tombstone:
                    says += ", but its sender has retracted it"
                remarks.append(Remark("archived", says, "AR-2"))
        return remarks

    async def find(self, owner: str, peer: str, id: str, sender: str) -> ArchiveEntry | None:
        """The last message to which its sender has given an id; None if it is not among the last
        ones of its conversation.

        Args:
            owner: Bare JID of the archive's owner.
            peer: Bare JID of whom the conversation is with; full, of an occupant of a room.
            id: The id.
            sender: Bare JID of the sender.
        """
        selection = Selection(peer=peer)
        for _ in range(MAX_SEARCHED // PER_TURN):
            found = await self.archive.entries.page(owner, selection, PER_TURN, backwards=True)
            for entry in found:
                if entry.stanza is not None and is_called(entry.stanza, id, sender):
                    return entry
            if len(found) < PER_TURN:
                break
            selection = Selection(peer=peer, before=found[-1].position)
            await self.next_turn()
        return None


__all__ = ["ArchiveSearch"]
