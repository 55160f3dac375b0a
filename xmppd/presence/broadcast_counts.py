"""Fan-out of presence: how much the broadcasts of each account cost, over the last minutes."""

from collections import deque
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import Presence

MINUTES = 10
MAX_NAMES_PER_MINUTE = 300
OTHERS = "(others)"


@dataclass(slots=True)
class Sum:
    """The cost of the broadcasts of one name.

    Attributes:
        broadcasts: The number of presences.
        copies: The number of stanzas they became.
        bytes: The size of these together, without the addresses of their recipients.
    """

    broadcasts: int = 0
    copies: int = 0
    bytes: int = 0

    def add(self, broadcasts: int, copies: int, bytes: int) -> None:
        """Add one broadcast."""
        self.broadcasts += broadcasts
        self.copies += copies
        self.bytes += bytes

    def add_all(self, other: "Sum") -> None:
        """Add the broadcasts of another name."""
        self.add(other.broadcasts, other.copies, other.bytes)


class Sums:
    """The sums by name, of the names with the largest ones.

    When there are twice :data:`MAX_NAMES_PER_MINUTE`, the smaller half goes into one sum of all
    others. The total stays exact; a name may lack its broadcasts from when it was among the
    smaller.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Sum] = {}

    def add(self, name: str, copies: int, bytes: int) -> None:
        """One broadcast more of this name."""
        caused = self.by_name.get(name)
        if caused is None:
            if len(self.by_name) >= 2 * MAX_NAMES_PER_MINUTE:
                self._prune()
            caused = self.by_name[name] = Sum()
        caused.broadcasts += 1  # as add, without the call: it is twice each broadcast's
        caused.copies += copies
        caused.bytes += bytes

    def _prune(self) -> None:
        others = self.by_name.pop(OTHERS, Sum())
        ranked = sorted(self.by_name.items(), key=lambda item: item[1].copies, reverse=True)
        for _, small in ranked[MAX_NAMES_PER_MINUTE:]:
            others.add_all(small)
        self.by_name = dict(ranked[:MAX_NAMES_PER_MINUTE])
        self.by_name[OTHERS] = others


class Minute:
    """The broadcasts of one minute.

    Attributes:
        number: Of the minute.
        accounts: By bare JID.
        software: By the node of its capabilities; empty for clients that do not tell.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.accounts = Sums()
        self.software = Sums()


class BroadcastCounts:
    """The counts of all broadcasts over the last :data:`MINUTES`, each counted once.

    Attributes:
        broadcasts: The number of them since the start.
        copies: The number of stanzas they became.
        repeated: Those that were withheld, since they said nothing new.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.broadcasts = self.copies = self.repeated = 0
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)

    def count(self, session: LocalClientSession, presence: Presence, copies: int) -> None:
        """Count one broadcast of a session's presence.

        Args:
            session: Its sender.
            presence: The presence that was sent.
            copies: The number of sessions and of addresses elsewhere that it went to.
        """
        self.broadcasts += 1
        self.copies += copies
        session.connection.counts.fan_out += copies - 1
        number = self._now()
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(Minute(number))
        minute, size = self._minutes[-1], copies * presence.size
        minute.accounts.add(session.jid.bare, copies, size)
        known = session.capabilities
        minute.software.add("" if known is None else known.software, copies, size)

    def accounts(self, minutes: int) -> dict[str, Sum]:
        """The sums by bare JID, over this minute and those before it."""
        return self._added([minute.accounts for minute in self._recent(minutes)])

    def software(self, minutes: int) -> dict[str, Sum]:
        """The sums by client software, over this minute and those before it."""
        return self._added([minute.software for minute in self._recent(minutes)])

    def _now(self) -> int:
        return int(self.clock.seconds() // 60)

    def _recent(self, minutes: int) -> list[Minute]:
        oldest = self._now() - minutes
        return [minute for minute in self._minutes if minute.number > oldest]

    def _added(self, parts: list[Sums]) -> dict[str, Sum]:
        total: dict[str, Sum] = {}
        for part in parts:
            for name, caused in part.by_name.items():
                total.setdefault(name, Sum()).add_all(caused)
        return total


__all__ = ["MAX_NAMES_PER_MINUTE", "MINUTES", "OTHERS", "BroadcastCounts", "Sum"]
