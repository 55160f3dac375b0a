"""Entries about sessions that change their node."""

from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import AccountEntry, BusEntry, Serial, SessionEntry
from xmppd.cluster.entries.stanzas import Delivered

SessionKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""The key by which a session is found that can be resumed; a hash, by which it cannot be."""

NodeName = Annotated[str, Meta(max_length=300)]
"""The id of a node as text; may be empty."""

Handled = Annotated[int, Meta(ge=0, lt=1 << 32)]
"""A count of stanzas (:xep:`0198`)."""


class Resume(AccountEntry, tag="vr", frozen=True):
    """A client resumes a session of the account at the sender; answered by :class:`Offered` or
    :class:`NotHere`.

    Attributes:
        key: Of the session.
        h: The count of stanzas that its client has got.
    """

    key: SessionKey
    h: Handled

    @property
    def about(self) -> str:
        """Nothing: what was sent before is not waited for, and comes later to the session."""
        return ""


class NotHere(BusEntry, tag="vn", frozen=True):
    """The session is not at the node.

    Attributes:
        handled: The number of its client's stanzas that were handled, if it has ended lately.
        at: The node to which it has moved lately; empty if it has not.
    """

    handled: Handled | None = None
    at: NodeName = ""


class Offered(SessionEntry, tag="vo", frozen=True):
    """A session of the sender is in the store, where the other node may take it. As a question it
    asks that node to do so, and is answered when it has, or has not.

    Attributes:
        key: Of the session.
        count: Of the presences that it has sent.
    """

    key: SessionKey
    count: Serial

    @property
    def about(self) -> str:
        """Nothing: what comes from the session's node behind this is not to wait for it."""
        return ""


class Adopted(SessionEntry, tag="va", frozen=True):
    """The session is at the sender now; answered by :class:`KnownAt` when the other node has passed
    on what has come for it, or by :class:`SessionOver` if it has ended meanwhile.

    Attributes:
        key: Of the session.
        whole: Whether it goes on; if not, it could not be read, and has ended.
    """

    key: SessionKey
    whole: bool = True

    @property
    def about(self) -> str:
        """Nothing: what was sent before comes behind."""
        return ""


class KnownAt(BusEntry, tag="vk", frozen=True):
    """The nodes that know of the session's account: if it becomes unavailable before it was
    introduced there by its new node, they hear that all the same.

    Attributes:
        nodes: Their ids.
    """

    nodes: list[NodeName]


class SessionOver(BusEntry, tag="ve", frozen=True):
    """The session has ended while it was moved."""


class PassedOn(BusEntry, tag="vp", frozen=True):
    """A stanza for a session that is at the other node now, and was at the sender when it was sent
    there. Lists and interceptors have seen it.

    Attributes:
        delivered: The stanza.
        counted_at: The node by whose number of copies it is counted; empty if it is not.
    """

    delivered: Delivered
    counted_at: NodeName = ""

    @property
    def about(self) -> str:
        """Nothing: it is before what comes behind, such as the answer to :class:`Behind
        <xmppd.cluster.entries.stanzas.Behind>`.
        """
        return ""


__all__ = ["Adopted", "KnownAt", "NotHere", "Offered", "PassedOn", "Resume", "SessionOver"]
