"""Person: somebody who moves, as every reader says it."""

from dataclasses import dataclass, field

from xmppd.stanza import Tree
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import ScramKeys


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
    left_out: list[str] = field(default_factory=list)


class SourceError(Exception):
    """An error: a source cannot be read; the text says where and what to do."""


__all__ = ["Person", "SourceError"]
