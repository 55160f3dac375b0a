"""What nodes of the service say to each other of nodes of a host: each to who serves that."""

from msgspec import Struct


class AskNode(Struct, frozen=True):
    """A request about a node, for who serves it.

    Attributes:
        host: JID of the account or service that has it.
        node: Its name there.
        asker: Full JID.
        kind: The type of the iq.
        query: Its child.
    """

    host: str
    node: str
    asker: str
    kind: str
    query: bytes


class NodeReply(Struct, frozen=True):
    """The answer: the child of the result; empty if it has none."""

    data: bytes


class Approval(Struct, frozen=True):
    """What an owner says to who wants to subscribe, for who serves the node.

    Attributes:
        host: JID of the account or service that has the node.
        node: Its name there.
        owner: Full JID of who says it.
        jid: Of who wants to subscribe.
        allowed: Whether they may.
    """

    host: str
    node: str
    owner: str
    jid: str
    allowed: bool


class AskPending(Struct, frozen=True):
    """An owner wants to see again what waits for approval, for who serves the node.

    Attributes:
        host: JID of the account or service that has the node.
        node: Its name there.
        owner: Full JID of who wants it.
    """

    host: str
    node: str
    owner: str


class Departed(Struct, frozen=True):
    """Somebody is gone for good, for who serves a node that they had to do with.

    Attributes:
        host: JID of the account or service that has the node.
        node: Its name there.
        jid: A bare JID; or a full one, if only that is gone.
    """

    host: str
    node: str
    jid: str


class Overdue(Struct, frozen=True):
    """The time of something in a node is over, for who serves that.

    Attributes:
        host: JID of the account or service that has the node.
        node: Its name there.
    """

    host: str
    node: str


NodeMessage = Approval | AskPending | Departed | Overdue
"""What may be said to who serves a node, beside requests."""

__all__ = ["Approval", "AskNode", "AskPending", "Departed", "NodeMessage", "NodeReply", "Overdue"]
