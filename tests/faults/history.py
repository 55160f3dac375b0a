"""What happened to everybody while something went wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Mark = tuple[int, int]
"""Which presence it is: the number of its sender's stay, and its own number in that."""


@dataclass
class Message:
    """One that somebody sent.

    Attributes:
        sender: Full JID.
        to: As it was written: a bare or a full JID.
        node: Where its sender was.
        number: Of those of this sender to that account.
        sent_at: By the steady clock.
        is_safe: Its sender was told that it was handled.
        is_repeated: Its sender could not resume, and sent it again.
        is_bounced: It came back as an error.
    """

    id: str
    sender: str
    to: str
    node: str
    number: int
    sent_at: float
    is_safe: bool = False
    is_repeated: bool = False
    is_bounced: bool = False

    def __str__(self) -> str:
        again = ", and said again" if self.is_repeated else ""
        return f"{self.id} (to {self.to}, sent at node {self.node} at {self.sent_at:.2f}{again})"


@dataclass
class Heard:
    """A message that came.

    Attributes:
        count: The number of stanzas that had come in this stay by then, by XEP-0198.
        is_late: It has waited, and says so (XEP-0203).
    """

    id: str
    at: float
    count: int
    is_late: bool


@dataclass
class Seen:
    """A presence that came: of whom, and which one; None that they are gone."""

    who: str
    mark: Mark | None
    at: float


@dataclass
class Stay:
    """One session of a client: from binding until its client has given it up.

    Attributes:
        who: Full JID.
        number: Of the stays of this client.
        said: The last presence it sent; None if others may not see any.
        heard: The messages that came, in their order.
        seen: The presences that came, in their order.
        resumed: How often it was.
        settled: As many of the stanzas that came the server knows to be received: it has answered
            to what was sent behind the acknowledgement.
        is_resumable: Whether its server keeps it while its client has no connection.
        ended: When its client last heard of it, once it is given up; None while it lasts.
    """

    who: str
    number: int
    began: float
    is_resumable: bool = True
    said: Mark | None = None
    heard: list[Heard] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    resumed: int = 0
    settled: int = 0
    ended: float | None = None

    def seen_of(self, who: str) -> list[Seen]:
        """What was seen of a full JID."""
        return [seen for seen in self.seen if seen.who == who]


class History:
    """All of it.

    Args:
        sees: For each account those whose presence it may see.

    Attributes:
        messages: By id.
        stays: In the order in which they began.
    """

    def __init__(self, sees: Mapping[str, frozenset[str]]) -> None:
        self.sees = sees
        self.messages: dict[str, Message] = {}
        self.stays: list[Stay] = []

    def of(self, who: str) -> list[Stay]:
        """The stays of a full JID."""
        return [stay for stay in self.stays if stay.who == who]

    @property
    def everybody(self) -> Iterator[str]:
        """The full JIDs that there were."""
        yield from dict.fromkeys(stay.who for stay in self.stays)

    def delays_s(self) -> list[float]:
        """How long each message was under way, the shortest first; where it came first."""
        first: dict[str, float] = {}
        for stay in self.stays:
            for heard in stay.heard:
                first[heard.id] = min(heard.at, first.get(heard.id, heard.at))
        return sorted(at - self.messages[id].sent_at for id, at in first.items())


def bare(jid: str) -> str:
    """The account."""
    return jid.partition("/")[0]
