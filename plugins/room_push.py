"""Push for private group chats: members who are away are notified of new messages.

That is a room for members only in which everybody knows everybody. Of others those are told who
want to be told of all (XEP-0492), and else only of mentions, by ``plugins/room_mentions``. Nothing
is sent to any session (RM-61).
"""

from collections import OrderedDict

from xmppd.events import On
from xmppd.message.muting import Muting
from xmppd.plugin.place import Part
from xmppd.stanza import Later
from xmppd_plugins.muc.entry import EnteredRoom
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.news import ReadRoom, is_news
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.talk import SaidToAll
from xmppd_plugins.push.notice import Notice, beginning
from xmppd_plugins.push.triggers import PushTriggers

AGAIN_S = 300.0
"""The time in which an account is told of one room once, unless it has seen what was said."""
MAX_TOLD = 50_000
"""Of whom that is known; those told first are told again."""


class RoomPush:
    """Has the push services of those told who are not in.

    Args:
        hall: Where the rooms are.
        triggers: Know who has push services.
        muting: Knows who does not want to be told of which room.
    """

    def __init__(self, hall: Hall, triggers: PushTriggers, muting: Muting) -> None:
        self.hall = hall
        self.triggers = triggers
        self.muting = muting
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def hear(self, event: SaidToAll) -> Later:
        """Look for those who are to be told of a message."""
        room = event.room
        is_group = room.config.membersonly and not room.config.is_anonymous
        if not (is_group or room.followers) or not room.away or not is_news(event.tree):
            return None
        due = [
            each.jid
            for each in self.hall.away(room)
            if each.jid in self.triggers.accounts
            and (is_group or _wants_all(room, each.jid))
            and self._is_due(room, each.jid)
        ]
        return self._tell(event, due) if due else None

    def _is_due(self, room: Room, account: str) -> bool:
        """Whether an account was not told of a room for long; it is noted that it is now."""
        key, now = (room.jid.full, account), self.hall.clocks.seconds()
        told = self._told.get(key)
        if told is not None and now - told < AGAIN_S:
            return False
        self._told[key] = now
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return True

    def entered(self, event: EnteredRoom) -> None:
        """Note that somebody has seen what they were told of: what is said next is news again."""
        self._told.pop((event.room.jid.full, event.session.bare), None)

    def read(self, event: ReadRoom) -> None:
        """The same of somebody who has displayed it."""
        self._told.pop((event.room, event.account), None)

    async def _tell(self, event: SaidToAll, accounts: list[str]) -> None:
        include = self.triggers.publisher.settings.include
        notice = Notice(
            text=True,
            counts=True,
            sender="" if include == "nothing" else event.said.sender.full,
            body=beginning(event.tree) if include == "body" else "",
        )
        for account in accounts:
            if event.room.jid.full not in await self.muting.of(account):
                await self.triggers.announce(account, notice)


def _wants_all(room: Room, account: str) -> bool:
    follower = room.followers.get(account)
    return follower is not None and follower.wants_all


def plug(hall: Hall, triggers: PushTriggers, muting: Muting) -> list[Part]:
    """The parts of this feature."""
    push = RoomPush(hall, triggers, muting)
    return [On(SaidToAll, push.hear), On(EnteredRoom, push.entered), On(ReadRoom, push.read)]
