"""Questions and answers between nodes, and the union of all entries."""

from xmppd.cluster.entries.accounts import (
    DetachedSession,
    EndAccount,
    GroupsStored,
    LeftBehind,
    ListsStored,
    LongestDetached,
    RosterStored,
    SessionsThere,
    Sibling,
    SiblingGone,
    StreamsEnded,
    Unbind,
    WhoIsThere,
)
from xmppd.cluster.entries.bosh import BoshAnswered, BoshAsked, BoshGone
from xmppd.cluster.entries.commands import CommandGiven, CommandMore, CommandReplies, CommandUnread
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.membership import (
    AddressTried,
    CountSessions,
    LeaseRenewed,
    Renew,
    SessionCount,
    Swept,
    TryAddress,
)
from xmppd.cluster.entries.moves import (
    Adopted,
    KnownAt,
    NotHere,
    Offered,
    PassedOn,
    Resume,
    SessionOver,
)
from xmppd.cluster.entries.presence import Arrived, Gone, Here, Shows, Telling
from xmppd.cluster.entries.readings import ReadingsGiven, ReadingsWanted
from xmppd.cluster.entries.routes import ComponentAt, ServerLost
from xmppd.cluster.entries.stanzas import (
    Behind,
    Delivered,
    DeliveredToMany,
    Having,
    MessagesWait,
    Routed,
    Secure,
    WhoHas,
)
from xmppd.cluster.entries.things import (
    OwnedAt,
    PluginAnswer,
    PluginAsked,
    PluginRefusal,
    PluginTold,
    TakeUp,
)

PROTOCOL = 1
"""The version of these entries; nodes of this and of the one before speak to each other."""


class Asking(BusEntry, tag="?", frozen=True):
    """An entry that is answered."""

    number: int
    entry: "AnyEntry"


class Answered(BusEntry, tag="!", frozen=True):
    """The answer to a question.

    Attributes:
        number: Of the question.
        entry: None if all there is to say is that it is done.
        refusal: Why it was not done; empty if it was.
    """

    number: int
    entry: "AnyEntry | None" = None
    refusal: str = ""


AnyEntry = (
    Asking
    | Answered
    | Routed
    | Delivered
    | DeliveredToMany
    | MessagesWait
    | Behind
    | Secure
    | WhoHas
    | Having
    | BoshAsked
    | BoshAnswered
    | BoshGone
    | CommandGiven
    | CommandMore
    | CommandUnread
    | CommandReplies
    | Renew
    | LeaseRenewed
    | TryAddress
    | AddressTried
    | ReadingsWanted
    | ReadingsGiven
    | CountSessions
    | SessionCount
    | Swept
    | Sibling
    | SiblingGone
    | Unbind
    | WhoIsThere
    | SessionsThere
    | LongestDetached
    | DetachedSession
    | LeftBehind
    | EndAccount
    | StreamsEnded
    | Resume
    | NotHere
    | Offered
    | Adopted
    | KnownAt
    | SessionOver
    | PassedOn
    | ComponentAt
    | TakeUp
    | OwnedAt
    | ServerLost
    | PluginTold
    | PluginAsked
    | PluginAnswer
    | PluginRefusal
    | Telling
    | Arrived
    | Here
    | Shows
    | Gone
    | RosterStored
    | ListsStored
    | GroupsStored
)


__all__ = ["PROTOCOL", "Answered", "AnyEntry", "Asking"]
