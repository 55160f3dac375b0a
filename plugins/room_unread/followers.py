"""RoomFollowers: who has which rooms among their own."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.account.accounts import AccountRemoved
from xmppd.host.locks import Locks
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import JID, StanzaError
from xmppd.stanza.guests import is_guest
from xmppd.store.errors import StoreError
from xmppd_plugins.bookmarks import Bookmark, Bookmarks
from xmppd_plugins.muc.entry import EnteredRoom
from xmppd_plugins.muc.hall import Hall, ListsChanged
from xmppd_plugins.muc.names import SUBDOMAIN
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.state import RoomFollower
from xmppd_plugins.notification_settings import setting_of

from .table import MAX_FOLLOWERS, FollowerTable

MAX_ROOMS = 1_000
"""Of one service with which an account is affiliated."""

MAX_KNOWN = 50_000
"""Accounts of which it is known that their rooms are kept; others are looked at again."""

MAX_WAITING = 10_000
"""Accounts that wait to be looked at; others are when they enter a room the next time, or ask."""

_log = Logger()


class FollowerChanged(Struct, frozen=True):
    """An account follows rooms otherwise than before, for all nodes.

    Attributes:
        account: Its bare JID.
        rooms: Their bare JIDs.
    """

    account: str
    rooms: tuple[str, ...]


class FollowerGone(Struct, frozen=True):
    """An account is gone, for all nodes.

    Attributes:
        account: Its bare JID.
    """

    account: str


class RoomFollowers:
    """Keeps which rooms accounts follow: those with which they are affiliated, and those that they
    have bookmarked so that their clients enter them (RM-80).

    Args:
        hall: Where the rooms are.
        bookmarks: Of accounts.
        table: Keeps it.
        messages: Tell other nodes.
        present: Gives the position up to which all was said by now.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(
        self,
        hall: Hall,
        bookmarks: Bookmarks,
        table: FollowerTable,
        messages: PluginMessages,
        present: Callable[[], int],
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.hall = hall
        self.bookmarks = bookmarks
        self.table = table
        self.messages = messages
        self.present = present
        self.next_turn = next_turn
        self._locks = Locks()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, int] = OrderedDict()  # since when, as a position
        self._is_looking = False

    def services(self) -> Collection[str]:
        """The domains of rooms here."""
        return {SUBDOMAIN + domain for domain in self.hall.commands.domains}

    # -- in the rooms that are here ---------------------------------------------------------------

    async def furnish(self, room: Room) -> None:
        """Have a room know who follows it."""
        for account, follower in (await self.table.followers(room.jid.full)).items():
            room.follow(account, follower)

    async def take(self, change: FollowerChanged) -> None:
        """Have the rooms that are here know who follows them now."""
        for name in change.rooms:
            if self.hall.rooms.loaded.get(name) is None:
                continue
            follower = await self.table.one(name, change.account)
            room = self.hall.rooms.loaded.get(name)
            if room is not None and (
                follower is None
                or change.account in room.followers
                or len(room.followers) < MAX_FOLLOWERS
            ):
                room.follow(change.account, follower)

    def forget(self, gone: FollowerGone) -> None:
        """Have the rooms that are here forget who is gone."""
        self._known.pop(gone.account, None)
        for room in self.hall.rooms.loaded.values():
            if room is not None and gone.account in room.followers:
                room.follow(gone.account, None)

    # -- who follows what -------------------------------------------------------------------------

    def entered(self, event: EnteredRoom) -> None:
        """Look which rooms somebody follows, if that was not done before."""
        self._look_soon(event.session.to_bare(), again=False)

    def lists_changed(self, event: ListsChanged) -> None:
        """Look which rooms those follow now who are something else to one."""
        for person in event.people:
            self._look_soon(person, again=True)

    async def removed(self, event: AccountRemoved) -> None:
        """Have all nodes forget an account that is gone; what is kept of it goes with it."""
        await self.messages.tell_all(event.account, FollowerGone(event.account.bare))

    def _look_soon(self, account: JID, *, again: bool) -> None:
        name = account.bare
        if (
            account.local is None
            or account.domain not in self.hall.commands.domains
            or name in self._waiting
            or (name in self._known and not again)
        ):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._known.pop(name, None)  # it is looked at when it asks, or enters a room again
            return
        self._waiting[name] = self.present()
        if not self._is_looking:
            self._is_looking = True
            Deferred.fromCoroutine(self._look_at_all()).addErrback(_failed)

    async def _look_at_all(self) -> None:
        """Look at those who wait, one in a turn."""
        try:
            await self.next_turn()
            while self._waiting:
                name, since = self._waiting.popitem(last=False)
                try:
                    await self._look_at(JID.prepared(name), since)
                except StoreError:  # which was logged
                    self._known.pop(name, None)
                await self.next_turn()
        finally:
            self._is_looking = False

    def stop(self) -> None:
        """Look at nobody any more."""
        self._waiting.clear()

    async def know(self, account: JID) -> None:
        """Have it be kept which rooms an account follows, if it is not yet.

        Raises:
            StoreError: It cannot be.
        """
        name = account.bare
        if name in self._waiting or name not in self._known:
            since = self._waiting.pop(name, None)
            await self._look_at(account, self.present() if since is None else since)

    async def look(self, account: JID) -> None:
        """Keep which rooms an account follows now.

        Raises:
            StoreError: It cannot be kept.
        """
        await self._look_at(account, self.present())

    async def _look_at(self, account: JID, since: int) -> None:
        async with self._locks.held(account.bare):
            if not is_guest(account.bare):
                await self._look(account, since)

    async def _look(self, account: JID, since: int) -> None:
        name = account.bare
        before = await self.table.followed(name)  # first: what is added meanwhile is not gone
        now = await self._followed(account, before)
        new = {room: now[room] for room in now if now[room] != before.get(room)}
        gone = [room for room in before if room not in now]
        if new or gone:
            await self.table.change(name, new, gone, since)
            await self.messages.tell_all(account, FollowerChanged(name, (*new, *gone)))
        self._known[name] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _followed(
        self, account: JID, before: dict[str, RoomFollower]
    ) -> dict[str, RoomFollower]:
        """What an account follows by its bookmarks and the lists of rooms."""
        found = {name: RoomFollower() for name in await self._own_rooms(account)}
        try:
            bookmarks = await self.bookmarks.all(account)
        except StanzaError:  # they are too large to be read: what they were counts
            return {**found, **before}
        for address, bookmark in bookmarks.items():
            room = self._room(address)
            if room in found or (room and bookmark.autojoin):
                found[room] = _follower(bookmark)
        return found

    async def _own_rooms(self, account: JID) -> list[str]:
        """The rooms with which an account is affiliated, by bare JID."""
        store = self.hall.rooms.store
        return [
            name
            for service in self.services()
            for name, _ in await store.rooms_of(service, account, MAX_ROOMS)
        ]

    def _room(self, address: str) -> str:
        """The bare JID of a room here; empty if it is none."""
        try:
            room = JID.parse(address)
        except ValueError:
            return ""  # a client's own affair
        return room.bare if room.local is not None and room.domain in self.services() else ""


def _follower(bookmark: Bookmark) -> RoomFollower:
    return RoomFollower(bookmark.nick or "", setting_of(bookmark) == "always")


def _failed(failure: Failure) -> None:
    """Log a bug: failures of the store were logged."""
    _log.failure("the rooms that an account follows could not be stored", failure)


__all__ = ["FollowerChanged", "FollowerGone", "RoomFollowers"]
