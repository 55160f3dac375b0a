"""Person: somebody who moves, as every reader says it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from xmppd.stanza import Tree
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import ScramKeys

MAX_REMARKS = 50
"""Of one person, or of a source: a damaged one may have any number."""


class Remarks(list[str]):
    """What could not be read, and why, a few words each; of many, the first ones and their number.

    Args:
        remarks: The first ones.
    """

    def __init__(self, remarks: Iterable[str] = ()) -> None:
        super().__init__()
        self._more = 0
        self += remarks

    def append(self, remark: str) -> None:
        """Say one more."""
        if len(self) < MAX_REMARKS:
            super().append(remark)
        else:
            self._more += 1

    def __iadd__(self, remarks: Iterable[str]) -> Self:  # type: ignore[misc, override]  # of texts
        for each in remarks:
            self.append(each)
        if isinstance(remarks, Remarks):
            self._more += remarks._more
        return self

    def taken(self) -> "Remarks":
        """All that was said so far, which is not said again."""
        taken = Remarks()
        taken += self
        self.clear()
        self._more = 0
        return taken

    def all(self) -> list[str]:
        """All that is said."""
        return [*self, *([f"and {self._more} more"] if self._more else [])]


@dataclass(slots=True)
class Person:
    """An account of another server, or a part of one: what is long comes in several, one behind
    another.

    Addresses are as the source has them: whoever takes the person prepares them (IM-5).

    Attributes:
        name: The local part of the address.
        domain: The domain.
        begins: Whether this is the first part of the person.
        ends: Whether it is the last one.
        password: In clear; None if it is not known.
        keys: Keys of the password.
        contacts: The roster, with requests that wait for an answer.
        messages: Those that wait, oldest first: each a ``<message/>`` with its stamp.
        data: All else, as elements that stand in a ``<user/>`` of :xep:`0227`.
        created: When the account was made, in seconds since 1970; None if that is not known.
        last_seen: When somebody of it left last, likewise.
        status: With what words.
        disabled: Whether nobody may log in.
        disabled_until: Until when, in seconds since 1970; None for as long as nobody enables it.
        left_out: What the reader could not read, and why: a few words each.
    """

    name: str
    domain: str
    begins: bool = True
    ends: bool = True
    password: str | None = None
    keys: list[ScramKeys] = field(default_factory=list)
    contacts: list[RosterItem] = field(default_factory=list)
    messages: list[Tree] = field(default_factory=list)
    data: list[Tree] = field(default_factory=list)
    created: float | None = None
    last_seen: float | None = None
    status: str | None = None
    disabled: bool = False
    disabled_until: float | None = None
    left_out: Remarks = field(default_factory=Remarks)


class SourceError(Exception):
    """An error: a source cannot be read; the text says where and what to do."""


__all__ = ["Person", "Remarks", "SourceError"]
