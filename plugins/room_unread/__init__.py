"""Unread messages in rooms: each room is a conversation in the inbox (XEP-0430) too.

``followers`` keeps which rooms an account has among its own, by its bookmarks and their lists, and
``reading`` up to where it has read them. ``conversations`` counts what is unread when it is asked.
"""

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import AccountRemoved
from xmppd.events import Events, On
from xmppd.host.turns import Turns
from xmppd.message.unread_counts import UnreadCounts
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd.store.sql import Database, Tables
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.ids import first_at
from xmppd_plugins.bookmarks import Bookmarks
from xmppd_plugins.inbox.inbox import AccountInbox
from xmppd_plugins.inbox.unread import UnreadMessages
from xmppd_plugins.muc.entry import EnteredRoom
from xmppd_plugins.muc.hall import Hall, ListsChanged
from xmppd_plugins.muc.talk import SaidToAll

from .conversations import RoomConversations
from .followers import FollowerChanged, FollowerGone, RoomFollowers
from .reading import RoomReading, RoomWasRead
from .table import FollowerTable, metadata


def plug(
    hall: Hall,
    archive: Archive,
    unread: UnreadMessages,
    inbox: AccountInbox,
    bookmarks: Bookmarks,
    counts: UnreadCounts,
    messages: PluginMessages,
    database: Database,
    events: Events,
    turns: Turns,
    clock: IReactorTime,
) -> list[Part]:
    """The parts of this plugin."""
    table = FollowerTable(database)

    def present() -> int:
        next_one = first_at(int(hall.clocks.wall_clock() * 1_000_000))
        return max(next_one - 1, archive.positions.last)

    followers = RoomFollowers(hall, bookmarks, table, messages, present, turns.next)
    reading = RoomReading(table, unread, counts, messages, events, clock)
    inbox.others = RoomConversations(hall, archive, followers, reading, turns.next)
    bookmarks.listeners.append(followers.look)
    hall.rooms.furnish.append(followers.furnish)

    async def furnish_all() -> None:
        for room in tuple(hall.rooms.loaded.values()):
            if room is not None:
                await followers.furnish(room)

    async def stop() -> None:
        inbox.others = None
        bookmarks.listeners.remove(followers.look)
        hall.rooms.furnish.remove(followers.furnish)
        followers.stop()
        await reading.noted.close()

    return [
        Tables(metadata),
        AtLoad(furnish_all),
        AtUnload(stop),
        On(EnteredRoom, followers.entered),
        On(ListsChanged, followers.lists_changed),
        On(AccountRemoved, followers.removed),
        On(SaidToAll, reading.said),
        Tell(FollowerChanged, followers.take),
        Tell(FollowerGone, followers.forget),
        Tell(RoomWasRead, reading.was_read),
    ]
