"""XEP-0490: Message Displayed Synchronization. What one device has shown is read for all.

Clients publish that in a node of their account, which ``plugins/pep`` keeps and tells to their
others. Here the account's inbox follows it, and what push services were told is cleared (UN-3).
"""

from xmppd.message.unread_counts import UnreadCounts
from xmppd.plugin.place import AtUnload, Part
from xmppd.stanza import JID, parse, qname
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.inbox.unread import UnreadMessages
from xmppd_plugins.pep.faces import NodeFaces
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import NodeItem, NodeName

NODE = "urn:xmpp:mds:displayed:0"
MAX_ITEMS = 10
"""The newest items, which are looked at when one is published."""

_ID = qname("urn:xmpp:sid:0", "stanza-id")


class DisplayedSync:
    """Reads conversations up to what was published as displayed.

    Args:
        requests: Lead to the node.
        archive: Knows whose ids these are.
        unread: The inbox.
        counts: Those who want to know that something was read.
    """

    def __init__(
        self,
        requests: PubSubRequests,
        archive: Archive,
        unread: UnreadMessages,
        counts: UnreadCounts,
    ) -> None:
        self.store = requests.store
        self.archive = archive
        self.unread = unread
        self.counts = counts

    async def changed(self, account: JID) -> None:
        """Take what was published, if it is news."""
        owner = account.bare
        is_news = False
        await self.unread.flush()
        for item in await self.store.items.page(NodeName(owner, NODE), MAX_ITEMS):
            position = self._position(owner, item)
            conversation = await self.unread.conversations.one(owner, item.id)
            if position and conversation is not None and position > conversation.displayed:
                await self.unread.read(owner, item.id, position)
                is_news = True
        if is_news:
            await self.counts.has_read(owner)

    def _position(self, owner: str, item: NodeItem) -> int | None:
        """The position that an item names in its owner's archive; None if it names none."""
        if not item.payload:
            return None
        for stanza_id in parse(item.payload).iterfind(_ID):
            if stanza_id.get("by") == owner:
                return self.archive.position_of(owner, stanza_id.get("id") or "")
        return None


def plug(
    requests: PubSubRequests,
    faces: NodeFaces,
    archive: Archive,
    unread: UnreadMessages,
    counts: UnreadCounts,
) -> list[Part]:
    """The parts of this feature."""
    faces.changed[NODE] = DisplayedSync(requests, archive, unread, counts).changed

    def stop() -> None:
        del faces.changed[NODE]

    return [AtUnload(stop)]
