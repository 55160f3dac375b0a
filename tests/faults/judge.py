"""The judge: what each client should have seen, beside what it has."""

from collections import Counter
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from math import inf

from tests.faults.history import History, Mark, Seen, Stay, bare

READ_S = 1.0
"""So much sooner than a client itself another one may read that it is gone: one loop reads all."""

UNDER_WAY_S = 2.0
"""So long a goodbye may be on its way, while its sender is back already."""

WRITTEN_S = 3.0
"""A node that knew only for so long that a client has a message may not have written that down."""


class Excuse(Enum):
    """What a fault may cause."""

    DOUBLED = "a message that its receiver has not acknowledged comes to its next session, too"
    LATE = "a message that has waited comes behind later ones, and says that it has waited"
    REPLACED = "a session that another one of its client replaces is told to be gone"
    AGAIN = "a presence is told once more"


class Judge:
    """Compares what was sent with what came.

    Args:
        history: What happened.
        grace_s: How long a client may be away unnoticed, whose session may be resumed.
        excuses: What this fault may cause.
    """

    def __init__(
        self, history: History, grace_s: float, excuses: frozenset[Excuse] = frozenset()
    ) -> None:
        self.history = history
        self.grace_s = grace_s
        self.excuses = excuses

    def verdict(self) -> list[str]:
        """All that is wrong."""
        return [*self.missing(), *self.doubled(), *self.disordered(), *self.badly_seen()]

    def missing(self) -> Iterator[str]:
        """What has not come, and may still come."""
        yield from self._lost()
        yield from self._not_shown()

    # -- messages -------------------------------------------------------------------------------

    def _lost(self) -> Iterator[str]:
        """Messages that were acknowledged to their sender, and that nobody has."""
        heard = {heard.id for stay in self.history.stays for heard in stay.heard}
        for message in self.history.messages.values():
            if message.is_safe and not message.is_bounced and message.id not in heard:
                yield f"nobody has heard {message}, which its sender was acknowledged"

    def doubled(self) -> Iterator[str]:
        """Messages that came to the same client once more.

        One that its sender sent twice may come twice. One that was not acknowledged may come to the
        next session of its client, if the fault excuses that.
        """
        for who in self.history.everybody:
            had: dict[str, Stay] = {}
            surely_had: set[str] = set()
            for stay in self.history.of(who):
                for heard in stay.heard:
                    id = heard.id
                    if id in had and not self._may_come_again(id, had[id], stay, surely_had):
                        yield (
                            f"{who} has heard {self.history.messages[id]} twice, in its stays"
                            f" {had[id].number} and {stay.number}"
                        )
                    had[id] = stay
                surely_had |= set(_settled(stay))

    def _may_come_again(self, id: str, before: Stay, now: Stay, surely_had: set[str]) -> bool:
        if self.history.messages[id].is_repeated:
            return True
        return Excuse.DOUBLED in self.excuses and before is not now and id not in surely_had

    def disordered(self) -> Iterator[str]:
        """Messages that came behind later ones of the same sender, the first time they came.

        Those to another client of this account, which is gone, may come behind.
        """
        for who in self.history.everybody:
            had: set[str] = set()
            for stay in self.history.of(who):
                last: dict[str, int] = {}
                for heard in stay.heard:
                    message = self.history.messages[heard.id]
                    behind = last.get(message.sender, -1)
                    is_excused = heard.is_late and Excuse.LATE in self.excuses
                    is_excused |= "/" in message.to and message.to != who
                    if message.number < behind and message.id not in had and not is_excused:
                        delay = ", with a delay" if heard.is_late else ""
                        yield (
                            f"{who} has heard {message} at {heard.at:.2f}{delay}, in its stay"
                            f" {stay.number}, behind number {behind}"
                        )
                    last[message.sender] = max(behind, message.number)
                    had.add(heard.id)

    def not_told(self, gone: str) -> list[str]:
        """Who sees a client that has been gone for long."""
        present = [stay for stay in self.history.stays if stay.ended is None]
        seen = {stay.who: stay.seen_of(gone) for stay in present}
        return [
            f"{viewer} still sees {gone}"
            for viewer, marks in seen.items()
            if marks and marks[-1].mark is not None and viewer != gone
        ]

    # -- presence -------------------------------------------------------------------------------

    def _not_shown(self) -> Iterator[str]:
        """Clients that others should see, and do not, or not as they are; or that are gone."""
        present = {stay.who: stay for stay in self.history.stays if stay.ended is None}
        for viewer in present.values():
            for who in self.history.everybody:
                if who == viewer.who or bare(who) not in self.history.sees[bare(viewer.who)]:
                    continue
                seen = viewer.seen_of(who)
                shown = seen[-1].mark if seen else None
                said = present[who].said if who in present else None
                if shown != said:
                    yield f"{viewer.who} sees {who} as {_text(shown)}, who is {_text(said)}"

    def badly_seen(self) -> Iterator[str]:
        """Presences that a client should not have seen: of somebody who hides, in a wrong order,
        once more, or that somebody is gone who has not been away for long.
        """
        for stay in self.history.stays:
            for who, count in Counter(seen.who for seen in stay.seen).items():
                if bare(who) not in self.history.sees[bare(stay.who)]:
                    yield f"{stay.who} has seen {who}, who hides, {count} times"
                else:
                    yield from self._sequence(stay, who)

    def _sequence(self, stay: Stay, who: str) -> Iterator[str]:
        last: Mark | None = None
        before: Mark = (-1, -1)
        gone: Seen | None = None
        for seen in stay.seen_of(who):
            if seen.mark is None:
                if last is None:
                    yield f"{stay.who} was told twice, or too early, that {who} is gone"
                gone = seen
            else:
                if seen.mark < before:
                    yield f"{stay.who} has seen {who} at {seen.mark} behind {before}"
                if seen.mark == last and Excuse.AGAIN not in self.excuses:
                    yield f"{stay.who} has seen {who} at {seen.mark} twice"
                if gone is not None and not self._was_gone(who, gone, seen.mark):
                    yield f"{stay.who} was told that {who} is gone, who was not"
                gone = None
                before = max(before, seen.mark)
            last = seen.mark

    def _was_gone(self, who: str, gone: Seen, back: Mark) -> bool:
        """Whether somebody who is back was away for long enough to be told gone."""
        stays = self.history.of(who)
        for stay, following in pairwise(stays):
            if following.number > back[0] or stay.ended is None:
                break
            least_s = self.grace_s if stay.is_resumable else -READ_S
            if stay.ended + least_s <= gone.at <= following.began + UNDER_WAY_S:
                return True
        return Excuse.REPLACED in self.excuses and back[0] > stays[0].number


def _settled(stay: Stay) -> Iterator[str]:
    """The messages of which a node knew in time that its client has them."""
    until = inf if stay.ended is None else stay.ended - WRITTEN_S
    for heard in stay.heard:
        if heard.count <= stay.settled and heard.at < until:
            yield heard.id


def _text(mark: Mark | None) -> str:
    return "gone" if mark is None else f"at {mark}"
