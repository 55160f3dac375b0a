"""Entries about accounts: their sessions, and what is stored of them."""

from collections.abc import Hashable

from xmppd.cluster.entries.entry import AccountEntry, BusEntry, Serial, SessionEntry


class Sibling(SessionEntry, tag="s", frozen=True):
    """A session of the sender, for a node with another session of the account.

    Attributes:
        presence: The payload of its last available presence; None while it is unavailable.
        presence_id: The ``id`` of that.
        priority: Of that presence.
        interested: Whether it asked for the roster.
        active: The name of its active privacy list; None if it has none.
        invisible: Whether it is.
        wants: What its client has switched on that followers of messages go by.
        asks: Whether its login asks for the sessions of the other node in return.
    """

    presence: bytes | None = None
    presence_id: str | None = None
    priority: int = 0
    interested: bool = False
    active: str | None = None
    invisible: bool = False
    wants: tuple[str, ...] = ()
    asks: bool = False

    @property
    def newest(self) -> Hashable:
        """The session: an older description of it is out of date."""
        return self.session


class SiblingGone(SessionEntry, tag="sg", frozen=True):
    """A session of the sender has ended, or its login has failed.

    Attributes:
        last: Whether the account has no other one there, and nobody logs in to it there.
    """

    last: bool = False


class Unbind(SessionEntry, tag="su", frozen=True):
    """A session that another has replaced, or that makes room for another, is to end; and each that
    was entered before it under the same JID.

    Attributes:
        condition: Of the stream error that its client is told.
        text: For its user.
    """

    condition: str
    text: str


class WhoIsThere(AccountEntry, tag="sw", frozen=True):
    """Asks for an account's sessions at the node, to explain something; the answer is
    :class:`SessionsThere`.
    """


class SessionsThere(BusEntry, tag="st", frozen=True):
    """The sessions of an account at a node, which are to be described to nobody else.

    Attributes:
        sessions: As siblings are told of them.
    """

    sessions: list[Sibling]


class LongestDetached(AccountEntry, tag="sl", frozen=True):
    """Which session of the account has been detached longest?"""


class DetachedSession(SessionEntry, tag="sd", frozen=True):
    """The answer.

    Attributes:
        for_s: The time for which it has been detached, in seconds.
    """

    for_s: float


class LeftBehind(AccountEntry, tag="sb", frozen=True):
    """A client logs in, and sessions that it has left behind are to end.

    Attributes:
        device: Its id.
    """

    device: str


class EndAccount(AccountEntry, tag="se", frozen=True):
    """The streams of an account are to end; the answer is :class:`StreamsEnded`.

    Attributes:
        condition: Of the stream error that its clients are told.
        text: For its user.
        device: The public id of a client, if only its streams end; empty for all.
        removed: Whether the account is gone, and nothing of it is to be remembered.
    """

    condition: str
    text: str
    device: str = ""
    removed: bool = False


class StreamsEnded(BusEntry, tag="sn", frozen=True):
    """Streams have ended.

    Attributes:
        streams: The number of them.
        by_password: Whether a client among them had logged in by a password, so that it may return.
    """

    streams: int
    by_password: bool = False


class RosterStored(AccountEntry, tag="ar", frozen=True):
    """An account's roster has been changed in the store.

    Attributes:
        version: That it has now.
    """

    version: Serial

    @property
    def newest(self) -> Hashable:
        """The account: who reads it has all that was stored before."""
        return self.account


class ListsStored(AccountEntry, tag="al", frozen=True):
    """An account's privacy lists have been changed in the store; answered when those that are in
    force at the node are the new ones.
    """


class GroupsStored(BusEntry, tag="ag", frozen=True):
    """The shared groups have been changed in the store. All nodes read them; when they have, each
    shows its people the difference.

    Attributes:
        show: Whether all have read them.
    """

    show: bool

    @property
    def about(self) -> str:
        """The groups."""
        return "groups"


__all__ = [
    "DetachedSession",
    "EndAccount",
    "GroupsStored",
    "LeftBehind",
    "ListsStored",
    "LongestDetached",
    "RosterStored",
    "SessionsThere",
    "Sibling",
    "SiblingGone",
    "StreamsEnded",
    "Unbind",
    "WhoIsThere",
]
