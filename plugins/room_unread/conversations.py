"""RoomConversations: the rooms of an account, as its inbox shows them."""

from collections.abc import Awaitable, Callable, Sequence

from xmppd.stanza import JID
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.entries import Selection
from xmppd_plugins.archive.ids import first_at
from xmppd_plugins.inbox.entries import InboxEntry
from xmppd_plugins.inbox.inbox import OtherConversation, OtherConversations
from xmppd_plugins.inbox.unread import MAX_COUNTED
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.privileges import may_read_archive
from xmppd_plugins.muc.ranks import Role, RoomAffiliation, RoomStanding

from .followers import RoomFollowers
from .reading import RoomReading
from .table import FollowedRoom

LOOKED_AT = 20
"""Messages at the end of a room among which the last one is looked for that says something."""


class RoomConversations(OtherConversations):
    """Counts what is unread in rooms when somebody asks, and not before: so nothing is written for
    those who follow a room when something is said there (RM-81).

    Args:
        hall: Where the rooms are.
        archive: Has what was said.
        followers: Know who follows which rooms.
        reading: Knows what was read.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(
        self,
        hall: Hall,
        archive: Archive,
        followers: RoomFollowers,
        reading: RoomReading,
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.hall = hall
        self.archive = archive
        self.followers = followers
        self.reading = reading
        self.next_turn = next_turn

    async def of(self, account: str, *, told_only: bool = False) -> Sequence[OtherConversation]:
        await self.followers.know(JID.prepared(account))
        await self.reading.noted.flush()
        found: list[OtherConversation] = []
        for followed in await self.reading.table.shown(account):
            if self._is_shown(account, followed) and (not told_only or _tells_all(followed)):
                if found:
                    await self.next_turn()
                entry = await self._entry(followed)
                if entry is not None:
                    found.append(OtherConversation(entry, followed.mentions))
        return found

    async def displayed(self, account: str, peer: str, id: str) -> bool:
        return await self.reading.displayed(account, peer, id)

    def _is_shown(self, account: str, followed: FollowedRoom) -> bool:
        """Whether a room has an archive, and the account may read it without being in."""
        config, affiliation = followed.config, followed.affiliation
        if self.hall.is_admin(JID.prepared(account)):
            affiliation = RoomAffiliation.OWNER
        may = may_read_archive(RoomStanding(affiliation, Role.NONE), config)
        return may and config.mam and config.persistentroom

    async def _entry(self, followed: FollowedRoom) -> InboxEntry | None:
        """A room as a conversation; None if nothing was said there."""
        name, entries = followed.name, self.archive.entries
        begins = 0
        if self.hall.settings.keep_destroyed:  # what is before is of another room
            begins = first_at(int(followed.created * 1_000_000))
        newest = await entries.page(name, Selection(after=begins - 1), LOOKED_AT, backwards=True)
        if not newest:
            return None
        last = newest[0].position
        spoken = next((each.position for each in newest if each.speaks), 0)
        displayed = max(followed.displayed, begins - 1)
        unread = 0
        if last > displayed:
            unread = await entries.count_speaking(name, displayed, MAX_COUNTED)
        return InboxEntry(name, last, spoken, displayed, unread, name)


def _tells_all(followed: FollowedRoom) -> bool:
    """Whether the account is told of all that is said in a room, not only of mentions (RM-61)."""
    is_group = followed.config.membersonly and not followed.config.is_anonymous
    return followed.wants_all or is_group


__all__ = ["RoomConversations"]
