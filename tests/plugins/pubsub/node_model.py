"""What a node has and lets people do, as a few lines say it that know nothing of how it is done."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import settings


class Posted(NamedTuple):
    """An item."""

    id: str
    words: str


@dataclass
class NodeModel:
    """A node.

    Attributes:
        most: How many items it keeps.
        full: What becomes of a further one.
        access: Its access model.
        publish: Its publish model.
        items: In their order.
        affiliations: Of those who have one, beside its owner.
        subscribed: Who is told.
        pending: Who is to be told when the owner has said so.
        known: What each person may know by now.
    """

    most: int
    full: str = "discard-oldest"
    access: str = "open"
    publish: str = "publishers"
    items: list[Posted] = field(default_factory=list)
    affiliations: dict[str, str] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    known: dict[str, set[str]] = field(default_factory=dict)

    def reads(self, who: str) -> bool:
        """Whether somebody who is no owner may read it."""
        affiliation = self.affiliations.get(who, "none")
        if affiliation in ("outcast", "publish-only"):
            return False
        if affiliation in ("publisher", "member"):
            return True
        return self.access == "open" or (self.access == "authorize" and who in self.subscribed)

    def publishes(self, who: str) -> bool:
        """Whether somebody may publish."""
        affiliation = self.affiliations.get(who, "none")
        if affiliation in ("publisher", "publish-only"):
            return True
        if affiliation == "outcast":
            return False
        return self.publish == "open" or (self.publish == "subscribers" and who in self.subscribed)

    def post(self, *posted: Posted) -> bool:
        """Take what is published; returns whether there was room."""
        ids = {each.id for each in posted}
        left = [each for each in self.items if each.id not in ids]
        after = [*left, *posted]
        if self.full == "reject" and len(after) > self.most:
            return False
        self.items = after[-self.most :]
        self.note(posted)
        return True

    def note(self, items: Iterable[Posted]) -> None:
        """Everybody who may read may know these now."""
        for who, words in self.known.items():
            if self.reads(who):
                words.update(each.words for each in items)

    def ask_in(self, who: str) -> None:
        """Take somebody who wants to be told, if they may; or have them wait for the owner."""
        affiliation = self.affiliations.get(who, "none")
        if who in self.pending:
            return
        if self.access == "authorize" and affiliation == "none" and who not in self.subscribed:
            self.pending.add(who)
        elif self.reads(who):
            self.subscribed.add(who)

    def ask_out(self, who: str) -> None:
        """Forget somebody who does not want to be told any more."""
        self.subscribed.discard(who)
        self.pending.discard(who)

    def approve(self, who: str, allowed: bool) -> None:
        """Take what the owner says to who waits."""
        if who in self.pending:
            self.pending.discard(who)
            if allowed:
                self.subscribed.add(who)
        self.note(self.items)

    def shut_out(self, *people: str) -> None:
        """Forget those who may not read any more."""
        for who in people:
            if not self.reads(who):
                self.ask_out(who)
        self.note(self.items)


def examples(few: int) -> int:
    """How many are tried: a few by default, and many by ``make fuzz``."""
    return max(few, settings().max_examples // 20)
