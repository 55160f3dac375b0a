"""XEP-0430: Inbox. What each account speaks of with whom, and what it has not read.

``entries`` keeps a row for each conversation, ``unread`` moves it on with each message, ``inbox``
has those beside that are kept elsewhere, and ``requests`` shows them.
"""

from twisted.internet.interfaces import IReactorTime

from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.host.turns import Turns
from xmppd.message.muting import Muting
from xmppd.message.unread_counts import UnreadCounts
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtUnload, Part
from xmppd.store.sql import Database, Tables
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.expiry import Expiry

from .entries import InboxEntries, metadata
from .inbox import AccountInbox
from .requests import NS, IQInboxHandler
from .unread import UnreadMessages


def plug(
    database: Database,
    archive: Archive,
    expiry: Expiry,
    counts: UnreadCounts,
    muting: Muting,
    turns: Turns,
    clock: IReactorTime,
) -> list[Part]:
    """The parts of this feature."""
    conversations = InboxEntries(database)
    unread = UnreadMessages(archive, conversations, clock, turns.next)
    inbox = AccountInbox(unread, muting)
    counts.count = inbox.to_be_told
    expiry.behind.append(conversations.expire)

    async def stop() -> None:
        counts.count = None
        expiry.behind.remove(conversations.expire)
        await unread.moved.close()

    return [
        Tables(metadata),
        AtUnload(stop),
        unread,
        Offer(unread),
        Offer(inbox),
        IQInboxHandler(inbox),
        Says(DiscoInfo(features=(NS,)), Of.ACCOUNT),
    ]
