"""Fate: what a message is worth to those who keep, copy, announce or count messages (AR-7)."""

from enum import Enum

from msgspec import Struct


class OfflineFate(Enum):
    """Whether it waits for an account that is away (OM-3, OS-1)."""

    KEPT = "kept"
    DROPPED = "dropped"
    REFUSED = "refused, since its sender does not want it kept"


class CarbonFate(Enum):
    """Whether the account's other sessions get a copy (CA-4, CA-5)."""

    NO = "not copied"
    SENT = "copied if the account sends it, or if it comes from a bare JID"
    YES = "copied"
    AS_ANSWERED = "copied if what it answers was copied"


class PushFate(Enum):
    """Whether somebody who does not look is told of it by push."""

    NO = "not pushed"
    MESSAGE = "pushed as a message"
    CALL = "pushed as a call, at once"
    CALL_OVER = "pushed, since a call is over"
    BADGE = "pushed without any text, since a count has changed"


class UnreadFate(Enum):
    """What it does to the number of unread messages."""

    SAME = "leaves it"
    MORE = "counts"
    READ = "says what its sender has read"


class Fate(Struct, frozen=True):
    """What becomes of a message beside its delivery: a row of the table in
    :mod:`xmppd.message.worth`.

    Attributes:
        says: What the message is, in words.
        archive: Whether archives take it.
        offline: Whether it waits for an account that is away.
        carbon: Whether it is copied.
        push: Whether it is pushed.
        unread: What it does to the number of unread messages.
    """

    says: str
    archive: bool
    offline: OfflineFate
    carbon: CarbonFate
    push: PushFate
    unread: UnreadFate
