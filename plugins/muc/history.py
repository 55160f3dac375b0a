"""RoomHistory: what was said in a room last, for who enters (RM-45)."""

from collections import deque
from typing import NamedTuple

from xmppd.stanza import JID, Message, Tree, escape, ns, qname
from xmppd.stanza.date_time import exact_date_time, microseconds_of
from xmppd.stanza.pulled import Pulled

from .names import MUC

_HISTORY = qname(MUC, "history")


class SaidInRoom(NamedTuple):
    """Something that was said.

    Attributes:
        id: That the room has given it.
        microseconds: When, since 1970.
        message: As all were told it; to nobody.
    """

    id: str
    microseconds: int
    message: Message

    def shown(self, room: JID) -> Message:
        """It as who enters is shown it."""
        said, stamp = self.message, exact_date_time(self.microseconds)
        delay = f"<delay xmlns='{ns.DELAY}' from='{escape(room.full)}' stamp='{stamp}'/>"
        payload = Pulled(said.with_child(delay.encode()).payload.raw)
        return Message(None, said.sender, said.id, said.type, payload)


class HistoryRequest(NamedTuple):
    """What who enters wants of it (:xep:`0045`, §7.2.15).

    Attributes:
        most: The messages, at most.
        characters: The characters of all of them, at most; None for any number.
        since: Only what was said then or later, in microseconds since 1970.
    """

    most: int
    characters: int | None = None
    since: int = 0

    @classmethod
    def of(cls, join: Tree, most: int, now: float) -> "HistoryRequest":
        """What an element ``<x/>`` asks for; what is no number or time says nothing.

        Args:
            join: The element.
            most: The messages that the room shows at most.
            now: In seconds since 1970.
        """
        found = join.find(_HISTORY)
        if found is None:
            return cls(most)
        wanted, seconds = _number(found, "maxstanzas"), _number(found, "seconds")
        try:
            since = microseconds_of(found.get("since", ""))
        except ValueError:
            since = 0
        if seconds is not None:
            since = max(since, int((now - seconds) * 1_000_000))
        most = most if wanted is None else min(most, wanted)
        return cls(0 if seconds == 0 else most, _number(found, "maxchars"), since)


def _number(found: Tree, name: str) -> int | None:
    text = (found.get(name) or "").strip()
    return int(text) if text.isascii() and text.isdigit() else None


class RoomHistory:
    """The last messages of a room, in memory.

    Args:
        room: Bare JID of the room.
    """

    __slots__ = ("_said", "room")

    def __init__(self, room: JID) -> None:
        self.room = room
        self._said: deque[SaidInRoom] = deque()

    def add(self, said: Message, id: str, microseconds: int, most: int) -> None:
        """Remember what is said.

        Args:
            said: To nobody yet, with its id.
            id: That the room has given it.
            microseconds: Since 1970.
            most: So many messages are remembered.
        """
        self._said.append(SaidInRoom(id, microseconds, said))
        while len(self._said) > most:
            self._said.popleft()

    def find(self, id: str) -> SaidInRoom | None:
        """What the room has given an id, if it is remembered."""
        return next((each for each in self._said if each.id == id), None)

    def forget(self, id: str) -> None:
        """Forget something that was taken back."""
        self._said = deque(each for each in self._said if each.id != id)

    def shown(self, wanted: HistoryRequest) -> list[Message]:
        """What is shown to who enters, the oldest first."""
        found: list[Message] = []
        left = wanted.characters
        for said in reversed(self._said):
            if len(found) >= wanted.most or said.microseconds < wanted.since:
                break
            message = said.shown(self.room)
            if left is not None:
                left -= len(message.wire().decode())
                if left < 0:
                    break
            found.append(message)
        return found[::-1]


__all__ = ["HistoryRequest", "RoomHistory", "SaidInRoom"]
