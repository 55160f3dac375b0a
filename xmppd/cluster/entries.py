"""Entries: what one node says to another, one struct for each kind.

They are packed by msgspec as arrays that begin with a tag.
"""

from msgspec import Struct

from xmppd.stanza import IQ, JID, Message, Payload, Presence, Stanza

PROTOCOL = 1
"""The version of these entries; nodes of this and of the one before speak to each other."""

KINDS: tuple[type[Stanza], ...] = (Message, Presence, IQ)
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


class BusEntry(Struct, array_like=True, frozen=True, tag=True, tag_field="of"):
    """Something that a node says to another.

    Attributes:
        about: The account, or thing, that it concerns: entries about the same are handled one after
            the other. Empty if that does not matter.
    """

    @property
    def about(self) -> str:
        """Nothing."""
        return ""


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


# -- stanzas --------------------------------------------------------------------------------------


class Routed(BusEntry, tag="m", frozen=True):
    """A stanza for somebody at the other node.

    Attributes:
        kind: Index in :data:`KINDS`.
        to: Prepared JID.
        sender: Prepared JID.
        id: Its ``id``.
        type: Its ``type``.
        raw: Its payload, without addresses.
        way: How it is to be routed there, one of :class:`Way`'s numbers.
        passed_on: How often it was passed on already, this time not included.
    """

    kind: int
    to: str
    sender: str
    id: str | None
    type: str | None
    raw: bytes
    way: int = 0
    passed_on: int = 0

    @property
    def about(self) -> str:
        """The account or domain that it is for."""
        return self.to.partition("/")[0]

    @classmethod
    def of(cls, stanza: Stanza, to: JID, way: int) -> "Routed":
        """The entry for a stanza."""
        payload = stanza.payload.without_to()
        return cls(
            _NUMBERS[stanza.__class__],
            to.full,
            stanza.sender.full,
            stanza.id,
            stanza.type,
            payload.raw,
            way,
            payload.passed_on,
        )

    def stanza(self) -> Stanza:
        """The stanza again, without parsing it."""
        kind, payload = KINDS[self.kind], Payload(self.raw)
        payload.passed_on = self.passed_on + 1
        to, sender = JID.prepared(self.to), JID.prepared(self.sender)
        return kind(to, sender, self.id, self.type, payload)


class Delivered(BusEntry, tag="d", frozen=True):
    """A stanza for exactly one session at the other node.

    Attributes:
        session: Its full JID.
        kind: Index in :data:`KINDS`.
        sender: Prepared JID.
        id: Its ``id``.
        type: Its ``type``.
        wire: The finished bytes, addressed.
        ours: Whether it is the server's in another's name.
    """

    session: str
    kind: int
    sender: str
    id: str | None
    type: str | None
    wire: bytes
    ours: bool = False

    @property
    def about(self) -> str:
        """The account of the session."""
        return self.session.partition("/")[0]

    @classmethod
    def of(cls, stanza: Stanza, wire: bytes, session: JID, *, ours: bool) -> "Delivered":
        """The entry for a stanza and its bytes."""
        kind, sender = _NUMBERS[stanza.__class__], stanza.sender.full
        return cls(session.full, kind, sender, stanza.id, stanza.type, wire, ours)

    def stanza(self) -> Stanza:
        """The stanza again, without parsing it; its address is that in the bytes."""
        kind, sender = KINDS[self.kind], JID.prepared(self.sender)
        return kind.from_wire(sender, self.id, self.type, self.wire)


class Way:
    """The ways by which a :class:`Routed` stanza goes on at the node that gets it."""

    ACCOUNT = 0
    """To an account, or one of its sessions, as the node of its oldest session decides."""
    COMPONENT = 1
    """To the component that is connected there."""
    FOREIGN = 2
    """To another server."""


# -- commands -------------------------------------------------------------------------------------

MAX_REPLIES = 100
"""Replies of a command in one entry."""

Column = str | int | float | bool | list[str] | None


class CommandGiven(BusEntry, tag="c", frozen=True):
    """A command of an administrator, for what is at the other node; the answer is
    :class:`CommandReplies`.

    Attributes:
        number: Names it in what follows.
        name: Its words.
        given: The values of its arguments, as they were given.
    """

    number: int
    name: str
    given: dict[str, str | bool | list[str]]


class CommandMore(BusEntry, tag="cm", frozen=True):
    """Asks for further replies of a command; answered as the command."""

    number: int


class CommandUnread(BusEntry, tag="cu", frozen=True):
    """Nobody reads the replies of a command any more."""

    number: int


class CommandReplies(BusEntry, tag="cr", frozen=True):
    """Some replies of a command, in order.

    Attributes:
        replies: Rows by column, and sentences.
        done: Whether these were the last.
        refusal: Why it was refused; empty if it was not.
        condition: The stanza error of a refusal.
    """

    replies: list[dict[str, Column] | str]
    done: bool
    refusal: str = ""
    condition: str = ""


AnyEntry = (
    Asking
    | Answered
    | Routed
    | Delivered
    | CommandGiven
    | CommandMore
    | CommandUnread
    | CommandReplies
)
__all__ = [
    "KINDS",
    "MAX_REPLIES",
    "PROTOCOL",
    "Answered",
    "AnyEntry",
    "Asking",
    "BusEntry",
    "CommandGiven",
    "CommandMore",
    "CommandReplies",
    "CommandUnread",
    "Delivered",
    "Routed",
    "Way",
]
