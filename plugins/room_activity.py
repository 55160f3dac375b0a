"""XEP-0502: MUC Activity Indicator. How much is said in a room is shown to who looks for one.

What is said is counted by hours, and the last day's full hours are told (RM-73). The counts are in
memory, and begin anew with the room.
"""

from collections import deque
from weakref import WeakKeyDictionary

from xmppd.events import On
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import AtUnload, Part
from xmppd.stanza import qname
from xmppd.stanza.form import Field
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.talk import SaidToAll

NAME = "{urn:xmpp:muc-activity}message-activity"
HOUR_S = 3_600
HOURS = 24

_REPLACE = qname("urn:xmpp:message-correct:0", "replace")


class HourlyCounts:
    """What was counted in each of the last hours.

    Args:
        hour: The one in which it begins.
    """

    __slots__ = ("_counts", "_first", "_hour")

    def __init__(self, hour: int) -> None:
        self._first = self._hour = hour
        self._counts: deque[int] = deque((0,), HOURS + 1)

    def _go_on(self, hour: int) -> None:
        for _ in range(min(hour - self._hour, HOURS + 1)):
            self._counts.append(0)
        self._hour = max(self._hour, hour)

    def add(self, hour: int) -> None:
        """Count one more."""
        self._go_on(hour)
        self._counts[-1] += 1

    def per_hour(self, hour: int) -> float | None:
        """The mean of the full hours of the last day; None if there is none yet."""
        self._go_on(hour)
        hours = min(self._hour - self._first, HOURS)
        return sum(tuple(self._counts)[:-1]) / hours if hours else None


class RoomActivity:
    """Counts what is said in rooms that everybody may enter.

    Args:
        clocks: Tell the time.
    """

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks
        self._counts: WeakKeyDictionary[Room, HourlyCounts] = WeakKeyDictionary()

    def hear(self, event: SaidToAll) -> None:
        """Count a message with a text that is no correction."""
        tree = event.tree
        if tree.findtext("body") and tree.find(_REPLACE) is None:
            self._of(event.room).add(self._hour())

    def field(self, room: Room) -> Field | None:
        """What is told of a room; None of one that not everybody finds and may enter, and of one
        of which nothing is known yet.
        """
        config = room.config
        is_open = not config.membersonly and not config.passwordprotectedroom
        if not (config.persistentroom and config.publicroom and is_open):
            return None
        rate = self._of(room).per_hour(self._hour())
        return None if rate is None else Field(NAME, "Messages per hour", values=(f"{rate:.2f}",))

    def _of(self, room: Room) -> HourlyCounts:
        found = self._counts.get(room)
        if found is None:
            found = self._counts[room] = HourlyCounts(self._hour())
        return found

    def _hour(self) -> int:
        return int(self.clocks.seconds() // HOUR_S)


def plug(hall: Hall) -> list[Part]:
    """The parts of this feature."""
    activity = RoomActivity(hall.clocks)
    hall.fields.append(activity.field)

    def stop() -> None:
        hall.fields.remove(activity.field)

    return [AtUnload(stop), On(SaidToAll, activity.hear)]
