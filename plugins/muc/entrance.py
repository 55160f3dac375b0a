"""Entrance: what a session that enters a room has yet to be shown."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from xmppd.stanza import JID, Presence, Stanza

MAX_MESSAGES = 1_000
"""Messages that wait behind an entrance; older ones are left to the archive."""


class Entrance:
    """Shows a room to a session as fast as it reads: first the occupants as they are when it is
    their turn, then what was asked for, then what happened meanwhile (RM-21).

    What an occupant does before it was shown is seen when it is; what it does later waits, and only
    the last of it.

    Args:
        occupants: Their JIDs at the room, in order; the session's own is the last.
        show: Makes the presence of one; None if it is not to be seen any more.
        before: Shown before them.
        behind: Made when all occupants are shown: history and subject.
        over: Called when nothing is left: from now on the session is told at once.
    """

    __slots__ = (
        "_before",
        "_behind",
        "_known",
        "_messages",
        "_number",
        "_over",
        "_show",
        "_stanzas",
        "_then",
        "_unseen",
    )

    def __init__(
        self,
        occupants: Iterable[JID],
        show: Callable[[JID], Presence | None],
        before: Iterable[Stanza],
        behind: Callable[[], Iterable[Stanza]],
        over: Callable[[], None],
    ) -> None:
        # By address as text: that of a text is hashed without a call.
        self._unseen = {occupant.full: occupant for occupant in occupants}
        self._known = set(self._unseen)  # was shown, or is about to be
        self._show = show
        self._before = before
        self._behind = behind
        self._over = over
        self._then: OrderedDict[str | int, Stanza] = OrderedDict()
        self._number = self._messages = 0
        self._stanzas = self._draw()

    def add(self, stanza: Stanza) -> None:
        """Take something that the session is told while it enters."""
        occupant = stanza.sender.full
        if not isinstance(stanza, Presence):
            self._add_message(stanza)
        elif occupant in self._unseen:
            if stanza.type == "unavailable":
                del self._unseen[occupant]
                self._known.discard(occupant)
        else:
            self._then.pop(occupant, None)
            if stanza.type != "unavailable" or occupant in self._known:
                self._then[occupant] = stanza

    def _add_message(self, stanza: Stanza) -> None:
        if self._messages >= MAX_MESSAGES:
            oldest = next(key for key in self._then if isinstance(key, int))
            del self._then[oldest]
        else:
            self._messages += 1
        self._then[self._number] = stanza
        self._number += 1

    def end(self) -> None:
        """Show nothing more, since the session has left."""
        self._unseen.clear()
        self._then.clear()
        self._before, self._behind, self._over = (), tuple, _nothing

    def stanzas(self) -> Iterator[Stanza]:
        """All of it that is left, each made when it is drawn; to nobody yet."""
        return self._stanzas

    def _draw(self) -> Iterator[Stanza]:
        yield from self._before
        unseen, show = self._unseen, self._show
        for full in tuple(unseen):  # to look for the first of what is left costs more each time
            occupant = unseen.pop(full, None)
            if occupant is not None:
                presence = show(occupant)
                if presence is not None:
                    yield presence
        yield from self._behind()
        while self._then:
            key, stanza = self._then.popitem(last=False)
            if isinstance(key, int):
                self._messages -= 1
            elif stanza.type == "unavailable":
                self._known.discard(key)
            else:
                self._known.add(key)
            yield stanza
        self._over()


def _nothing() -> None:
    """Do nothing: the session is not there any more."""


__all__ = ["MAX_MESSAGES", "Entrance"]
