"""What waits for another server: in order, and never without end."""

from collections import deque
from dataclasses import dataclass

from xmppd.session.backlog import cost_bytes
from xmppd.stanza import Stanza


@dataclass(frozen=True)
class OutboxLimits:
    """How much may wait for one domain on behalf of another.

    Attributes:
        stanzas: So many.
        bytes: Altogether, what keeping them costs included.
        age_s: No stanza longer than that.
    """

    stanzas: int
    bytes: int
    age_s: float


class Outbox:
    """Stanzas that have not left yet.

    Attributes:
        limits: How much may wait.
        size_bytes: How much does.
    """

    __slots__ = ("_waiting", "limits", "size_bytes")

    def __init__(self, limits: OutboxLimits) -> None:
        self.limits = limits
        self.size_bytes = 0
        self._waiting: deque[tuple[float, Stanza, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, stanza: Stanza, wire: bytes, now: float) -> bool:
        """Let a stanza wait behind all others; False if there is no room."""
        size = self.size_bytes + cost_bytes(stanza, wire)
        if len(self._waiting) >= self.limits.stanzas or size > self.limits.bytes:
            return False
        stanza.payload.forget_trees()
        self._waiting.append((now, stanza, wire))
        self.size_bytes = size
        return True

    def take(self) -> bytes:
        """The bytes of the next one, which waits no more."""
        return self._pop()[1]

    def take_expired(self, now: float) -> list[Stanza]:
        """Those that have waited too long."""
        expired = []
        while self._waiting and now - self._waiting[0][0] > self.limits.age_s:
            expired.append(self._pop()[0])
        return expired

    def take_all(self) -> list[Stanza]:
        """Everything, in order."""
        return [self._pop()[0] for _ in range(len(self._waiting))]

    def _pop(self) -> tuple[Stanza, bytes]:
        _, stanza, wire = self._waiting.popleft()
        self.size_bytes -= cost_bytes(stanza, wire)
        return stanza, wire
