"""Entries with a stanza, and about messages that are under way."""

from collections.abc import Hashable
from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import Accounts, BusEntry, JIDText, OurJIDText, OurJIDTexts
from xmppd.stanza import IQ, JID, Message, Payload, Presence, Stanza
from xmppd.stanza.delay import Stamped, StampedUnread, Unread
from xmppd.stanza.stanza import Archived

MAX_ORIGIN_LENGTH = 200
"""Of the name of a node, its generation and a number."""

KINDS: tuple[type[Stanza], ...] = (Message, Presence, IQ)
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_PRESENCE = _NUMBERS[Presence]

StanzaKind = Annotated[int, Meta(ge=0, lt=len(KINDS))]
"""Index in :data:`KINDS`."""


def _tells(kind: int, type: str | None) -> bool:
    """Whether a stanza says that its sender is available, or not any more."""
    return kind == _PRESENCE and type in (None, "unavailable")


class StanzaMark:
    """What a node knows of a stanza that its bytes do not say; bits."""

    OURS = 1
    """It is the server's, in another's name: no list is asked."""
    STAMPED = 2
    """It is a message that has our stamp."""
    AGAIN = 4
    """It is a message that a session has had before, and given back."""
    ADDRESSED = 8
    """Its address is written in its bytes already."""


_PAYLOADS: dict[int, type[Payload]] = {
    0: Payload,
    StanzaMark.STAMPED: Stamped,
    StanzaMark.AGAIN: Unread,
    StanzaMark.STAMPED | StanzaMark.AGAIN: StampedUnread,
}


def _marks(payload: Payload, *, ours: bool) -> int:
    if payload.__class__ is Payload:
        return StanzaMark.OURS if ours else 0
    stamped = isinstance(payload, Stamped)
    return StanzaMark.OURS * ours | StanzaMark.STAMPED * stamped | StanzaMark.AGAIN * payload.again


def _payload(marks: int) -> type[Payload]:
    return _PAYLOADS[marks & (StanzaMark.STAMPED | StanzaMark.AGAIN)]


Marks = Annotated[int, Meta(ge=0, le=15)]

Origin = Annotated[str, Meta(max_length=MAX_ORIGIN_LENGTH)]
"""By which a message is known that comes once more."""


class Routed(BusEntry, tag="m", frozen=True):
    """A stanza for somebody at the other node.

    Attributes:
        kind: Index in :data:`KINDS`.
        to: Prepared JID.
        sender: Prepared JID.
        id: Its ``id``.
        type: Its ``type``.
        raw: Its payload, without its sender, and without an address unless its marks say so.
        way: How it is to be routed there, one of :class:`Way`'s numbers.
        passed_on: How often it was passed on already, this time not included.
        marks: Of :class:`StanzaMark`.
        copies: If a session gives a message back, the number by which the other node counts those
            that had it; else 0.
        archived: A message's position in the archive at its sender's end; 0 if it has none.
        origin: The node that has passed a message on first, and its number there.
    """

    kind: StanzaKind
    to: JIDText
    sender: JIDText
    id: str | None
    type: str | None
    raw: bytes
    way: Annotated[int, Meta(ge=0, le=4)] = 0
    passed_on: Annotated[int, Meta(ge=0)] = 0
    marks: Marks = 0
    copies: Annotated[int, Meta(ge=0)] = 0
    archived: Annotated[int, Meta(ge=0)] = 0
    origin: Origin = ""

    @property
    def about(self) -> str:
        """The account or domain that it is for."""
        return self.to.partition("/")[0]

    @property
    def newest(self) -> Hashable:
        """From whom to whom, if it says whether somebody is available."""
        return (self.sender, self.to) if _tells(self.kind, self.type) else None

    @classmethod
    def of(
        cls, stanza: Stanza, to: JID, way: int, *, ours: bool = False, copies: int = 0
    ) -> "Routed":
        """The entry for a stanza."""
        payload = stanza.payload
        marks = _marks(payload, ours=ours)
        if payload.to is to is not None:
            marks |= StanzaMark.ADDRESSED
        else:
            payload = payload.without_to()
        return cls(
            _NUMBERS[stanza.__class__],
            to.full,
            stanza.sender.full,
            stanza.id,
            stanza.type,
            payload.raw,
            way,
            payload.passed_on,
            marks,
            copies,
            0 if payload.archived is None else payload.archived.position,
            payload.origin,
        )

    def stanza(self) -> Stanza:
        """The stanza again, without parsing it."""
        to, sender, marks = JID.prepared(self.to), JID.prepared(self.sender), self.marks
        payload = _payload(marks)(self.raw, to if marks & StanzaMark.ADDRESSED else None)
        payload.passed_on = self.passed_on + 1
        payload.origin = self.origin
        if self.archived:
            payload.archived = Archived(self.archived)
        return KINDS[self.kind](to, sender, self.id, self.type, payload)


class Delivered(BusEntry, tag="d", frozen=True):
    """A stanza for exactly one session at the other node.

    Attributes:
        session: Its full JID.
        kind: Index in :data:`KINDS`.
        sender: Prepared JID.
        id: Its ``id``.
        type: Its ``type``.
        wire: The finished bytes, addressed.
        marks: Of :class:`StanzaMark`.
        copies: If several sessions of the account have a message, the number by which this node
            counts them; else 0.
        origin: Of a message that the node which sends this has not got first; else empty.
    """

    session: OurJIDText
    kind: StanzaKind
    sender: JIDText
    id: str | None
    type: str | None
    wire: bytes
    marks: Marks = 0
    copies: Annotated[int, Meta(ge=0)] = 0
    origin: Origin = ""

    @property
    def about(self) -> str:
        """The account of the session."""
        return self.session.partition("/")[0]

    @property
    def newest(self) -> Hashable:
        """From whom to which session, if it says whether somebody is available."""
        return (self.sender, self.session) if _tells(self.kind, self.type) else None

    @classmethod
    def of(cls, stanza: Stanza, wire: bytes, session: JID, *, ours: bool) -> "Delivered":
        """The entry for a stanza and its bytes."""
        kind, sender, payload = _NUMBERS[stanza.__class__], stanza.sender.full, stanza.payload
        copies = 0 if payload.copies is None else payload.copies.number
        marks = _marks(payload, ours=ours)
        id, type, origin = stanza.id, stanza.type, payload.origin
        return cls(session.full, kind, sender, id, type, wire, marks, copies, origin)

    @property
    def ours(self) -> bool:
        """Whether it is the server's, in another's name."""
        return bool(self.marks & StanzaMark.OURS)

    def stanza(self) -> Stanza:
        """The stanza again, without parsing it; its address is that in the bytes."""
        kind, sender = KINDS[self.kind], JID.prepared(self.sender)
        stanza = kind.from_wire(sender, self.id, self.type, self.wire, _payload(self.marks))
        stanza.payload.origin = self.origin
        return stanza


class DeliveredToMany(BusEntry, tag="dt", frozen=True):
    """A stanza for many sessions at the other node.

    Attributes:
        sessions: Their full JIDs.
        kind: Index in :data:`KINDS`.
        sender: Prepared JID.
        id: Its ``id``.
        type: Its ``type``.
        raw: Its payload, without addresses.
    """

    sessions: OurJIDTexts
    kind: StanzaKind
    sender: JIDText
    id: str | None
    type: str | None
    raw: bytes

    @property
    def about(self) -> str:
        """The account, or room, that says it."""
        return self.sender.partition("/")[0]

    @classmethod
    def of(cls, stanza: Stanza, sessions: list[str]) -> "DeliveredToMany":
        """The entry for a stanza, whoever it is addressed to."""
        kind, raw = _NUMBERS[stanza.__class__], stanza.payload.without_to().raw
        return cls(sessions, kind, stanza.sender.full, stanza.id, stanza.type, raw)

    def stanza(self) -> Stanza:
        """The stanza again, without an address and without parsing it."""
        sender = JID.prepared(self.sender)
        return KINDS[self.kind](None, sender, self.id, self.type, Payload(self.raw))


class MessagesWait(BusEntry, tag="w", frozen=True):
    """Messages wait in the store for an account with a session at the other node.

    Attributes:
        account: Bare JID.
        again: Whether its session had just left the node that was told first.
    """

    account: OurJIDText
    again: bool = False

    @property
    def about(self) -> str:
        """The account."""
        return self.account

    @property
    def newest(self) -> Hashable:
        """All that waits is looked for at once."""
        return self.account, self.again


class Way:
    """The ways by which a :class:`Routed` stanza goes on at the node that gets it."""

    ACCOUNT = 0
    """To an account, or one of its sessions, as the node of its oldest session decides."""
    COMPONENT = 1
    """To the component that is connected there."""
    FOREIGN = 2
    """To another server."""
    ANSWER = 3
    """To the node itself, whose request it answers."""
    HERE = 4
    """Presence from another server, to those sessions of an account that are there."""


class Behind(BusEntry, tag="mb", frozen=True):
    """Answered when all that was sent before about an account has been handled, also where it was
    passed on to. Nothing waits for it in turn: three nodes that ask each other at the same time
    would wait for one another.

    Attributes:
        account: Bare JID.
        passed_on: How often this was passed on already.
    """

    account: OurJIDText
    passed_on: Annotated[int, Meta(ge=0)] = 0


class Secure(BusEntry, tag="ms", frozen=True):
    """Answered when messages are safe that a session has sent: what is not acknowledged is in the
    store, also where it was passed on to. It is not done if that cannot be said in time.

    Attributes:
        sender: Of the messages.
        age_s: The time since the first of them.
        accounts: Bare JIDs of those they were for; none if those were too many to be counted.
        passed_on: How often this was passed on already.
    """

    sender: JIDText
    age_s: float
    accounts: Accounts
    passed_on: Annotated[int, Meta(ge=0)] = 0


class WhoHas(BusEntry, tag="mw", frozen=True):
    """Asks for the sessions of an account, since the directory is away; answered by
    :class:`Having`.

    Attributes:
        account: Bare JID.
    """

    account: str

    @property
    def about(self) -> str:
        """The account."""
        return self.account


class Having(BusEntry, tag="mh", frozen=True):
    """The sessions of an account at a node.

    Attributes:
        serials: Theirs; none if there are no sessions.
    """

    serials: list[int]


__all__ = [
    "KINDS",
    "Behind",
    "Delivered",
    "DeliveredToMany",
    "Having",
    "Marks",
    "MessagesWait",
    "Routed",
    "Secure",
    "StanzaKind",
    "StanzaMark",
    "Way",
    "WhoHas",
]
