"""Nodes, items and subscriptions, as values and as they are in memory where they are served."""

from dataclasses import dataclass, field
from enum import Enum

from msgspec import Struct

from xmppd.stanza import JID

from .access import Affiliation
from .config import NodeConfig

AROUND_BYTES = 64
"""What an item takes beside its payload and its id, in an answer and in the store, nearly."""


class NodeName(Struct, frozen=True):
    """Which node is meant.

    Attributes:
        host: The JID of the account or service that has it.
        node: Its name there.
    """

    host: str
    node: str

    @property
    def thing(self) -> str:
        """Its name among things that live once."""
        return f"{self.host} {self.node}"


class NodeItem(Struct, frozen=True):
    """An item of a node.

    Attributes:
        position: Rises with each item of the node.
        id: Its own among the node's.
        publisher: Bare JID.
        published: Seconds since 1970.
        payload: One element as bytes; empty if it has none.
    """

    position: int
    id: str
    publisher: str
    published: float
    payload: bytes


FIRST = NodeName("", "")
"""Before the names of all nodes."""


class ItemHead(Struct, frozen=True):
    """An item of a node without what is in it.

    Attributes:
        position: Rises with each item of the node.
        id: Its own among the node's.
        publisher: Bare JID.
        published: Seconds since 1970.
        size: As of :attr:`NewItem.size`.
    """

    position: int
    id: str
    publisher: str
    published: float
    size: int


class NewItem(Struct, frozen=True):
    """An item that is about to be published.

    Attributes:
        id: Its own among the node's.
        publisher: Bare JID.
        published: Seconds since 1970.
        payload: One element as bytes; empty if it has none.
        expires: When its time is over, in seconds since 1970; None for never.
    """

    id: str
    publisher: str
    published: float
    payload: bytes
    expires: float | None = None

    @property
    def size(self) -> int:
        """What it takes: its payload, its id, and what is written around them, in bytes."""
        return len(self.payload) + len(self.id.encode()) + AROUND_BYTES

    def at(self, position: int) -> NodeItem:
        """The same when it has its place."""
        return NodeItem(position, self.id, self.publisher, self.published, self.payload)


class FollowState(Enum):
    """The state of a subscription (:xep:`0060`, §4.2)."""

    NONE = "none"
    PENDING = "pending"
    SUBSCRIBED = "subscribed"


class FollowOptions(Struct, frozen=True, omit_defaults=True):
    """What a subscriber wants (:xep:`0060`, §16.4.2).

    Attributes:
        deliver: To be told just now.
        include_body: To be told in words as well, as far as there are any.
        show_values: To be told while a client shows itself so: ``online``, or as presence says;
            however it does, if there are none.
    """

    deliver: bool = True
    include_body: bool = False
    show_values: tuple[str, ...] = ()


USUAL_OPTIONS = FollowOptions()


class Follow(Struct, frozen=True):
    """A subscription.

    Attributes:
        jid: Who is told: a bare or a full JID.
        state: Whether an owner has yet to approve it.
        options: What its owner wants.
        expires: When it ends, in seconds since 1970; None for never.
    """

    jid: str
    state: FollowState = FollowState.SUBSCRIBED
    options: FollowOptions = USUAL_OPTIONS
    expires: float | None = None

    def is_over(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now


@dataclass(slots=True)
class NodeState:
    """A node as it is in memory where it is served.

    Attributes:
        name: Its own.
        config: How it is configured.
        created: Seconds since 1970.
        creator: Bare JID.
        affiliations: By bare JID; who is not in it has none.
        follows: Subscriptions by the JID that is told.
    """

    name: NodeName
    config: NodeConfig
    created: float
    creator: str
    affiliations: dict[str, Affiliation] = field(default_factory=dict)
    follows: dict[str, Follow] = field(default_factory=dict)

    def affiliation(self, who: JID) -> Affiliation:
        """What somebody is to it."""
        return self.affiliations.get(who.bare, Affiliation.NONE)

    def is_subscribed(self, who: JID, now: float) -> bool:
        """Whether somebody, or their account, has a subscription that holds."""
        for jid in (who.full, who.bare):
            follow = self.follows.get(jid)
            if follow is not None and follow.state is FollowState.SUBSCRIBED:
                return not follow.is_over(now)
        return False

    @property
    def owners(self) -> list[str]:
        """The bare JIDs of its owners."""
        return [jid for jid, each in self.affiliations.items() if each is Affiliation.OWNER]


__all__ = [
    "FIRST",
    "Follow",
    "FollowOptions",
    "FollowState",
    "ItemHead",
    "NewItem",
    "NodeItem",
    "NodeName",
    "NodeState",
]
