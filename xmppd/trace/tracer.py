"""Tracer: the passages that one administrator wants to see."""

from collections import deque
from collections.abc import Iterator

from msgspec import field
from twisted.internet.defer import Deferred

from xmppd.command.reply import Row
from xmppd.stanza import JID
from xmppd.trace.passage import Passage, Step
from xmppd.trace.scrub import shown

MAX_QUEUED_STEPS = 5_000


class TraceRow(Row, frozen=True, kw_only=True):
    """A stanza, or a stage that it came to.

    Attributes:
        took_us: The microseconds that the stage took.
        waited: Whether the stanza had to wait there.
        says: What happened, in one sentence.
    """

    stanza: int
    stage: str | None = None
    code: str
    sender: str | None = field(name="from", default=None)
    to: str | None = None
    took_us: int | None = None
    waited: bool = False
    says: str


class Tracer:
    """Takes the passages that concern an address, until they are read.

    Args:
        address: A full JID, an account for all its sessions, or a domain for all its accounts.
        bodies: Whether to show the texts of users.

    Attributes:
        dropped: The number of passages without room since the last were read.
    """

    def __init__(self, address: JID, *, bodies: bool = False) -> None:
        self.address = address
        self.bodies = bodies
        self.dropped = 0
        self._queue: deque[Passage] = deque()
        self._queued_steps = 0
        self._ended = False
        self._more: Deferred[None] | None = None

    def concerns(self, jid: JID | None) -> bool:
        """Whether it is the address, or belongs to it."""
        if jid is None:
            return False
        address = self.address
        if address.resource is not None:
            return jid.full == address.full
        if address.local is not None:
            return jid.bare == address.bare
        return jid.domain == address.domain

    def wants(self, step: Step) -> bool:
        """Whether the address sends this, is its addressee, or gets it."""
        stanza = step.stanza
        concerned = (stanza.sender, stanza.to, step.session)
        return any(map(self.concerns, concerned))

    def take(self, passage: Passage) -> None:
        """Keep a passage that has ended, if it is wanted and there is room."""
        if not any(map(self.wants, passage.steps)):
            return
        if self._queued_steps + len(passage.steps) > MAX_QUEUED_STEPS and self._queue:
            self.dropped += 1
            return
        self._queue.append(passage)
        self._queued_steps += len(passage.steps)
        self._wake()

    def stop(self) -> None:
        """Stop: there will be no more passages."""
        self._ended = True
        self._wake()

    async def next(self) -> Passage | None:
        """The next passage; None if there will be none."""
        while not self._queue:
            if self._ended:
                return None
            self._more = Deferred()
            await self._more
        passage = self._queue.popleft()
        self._queued_steps -= len(passage.steps)
        return passage

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)

    def rows(self, passage: Passage) -> Iterator[TraceRow]:
        """The rows of a passage: all stages, and the deliveries that are wanted."""
        stanza = passage.stanza
        to = "" if stanza.to is None else f" to {stanza.to}"
        xml = shown(stanza, bodies=self.bodies)
        yield TraceRow(
            stanza=passage.number,
            code="stanza",
            sender=stanza.sender.full,
            to=None if stanza.to is None else stanza.to.full,
            says=f"#{passage.number} {stanza.name} from {stanza.sender}{to}: {xml}",
        )
        for step in passage.steps:
            if step.session is None or self.wants(step):
                yield _row(passage, step)
        if passage.omitted:
            says = f"  {passage.omitted} further steps are not shown"
            yield TraceRow(stanza=passage.number, code="omitted", says=says)


def _row(passage: Passage, step: Step) -> TraceRow:
    took = "" if step.took_us is None else f"{step.took_us} µs"
    waited = ", waited" if step.waited else ""
    to = step.session or step.stanza.to
    return TraceRow(
        stanza=passage.number,
        stage=step.stage,
        code=step.code,
        sender=step.stanza.sender.full,
        to=None if to is None else to.full,
        took_us=step.took_us,
        waited=step.waited,
        says=f"{took:>10}  {'  ' * step.depth}{step.stage}: {step.says}{waited}",
    )


__all__ = ["TraceRow", "Tracer"]
