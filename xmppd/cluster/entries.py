"""Entries: what one node says to another, one struct for each kind.

They are packed by msgspec as arrays that begin with a tag. What comes from another node is checked
against the types of the fields when it is unpacked
(:class:`~xmppd.cluster.entry_decoder.EntryDecoder`): an address is :data:`JIDText` or
:data:`OurJIDText`, a list of accounts :data:`Accounts`.
"""

from collections.abc import Hashable
from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from xmppd.stanza import IQ, JID, Message, Payload, Presence, Stanza
from xmppd.stanza.delay import Stamped, StampedUnread, Unread
from xmppd.stanza.jid import MAX_ADDRESS_BYTES

PROTOCOL = 1
"""The version of these entries; nodes of this and of the one before speak to each other."""

MAX_ACCOUNTS = 10_000
"""The accounts that one entry may name."""

MAX_KIND = 32
"""The characters that the kind of a thing may have."""

MAX_MESSAGE_KIND = 200
"""The characters that the name of a plugin's kind of messages may have."""

MAX_THING = 8_192
"""The characters that the name of a thing may have: two addresses, with room."""

Serial = Annotated[int, Meta(ge=0)]
"""A number that only rises."""

JIDText = Annotated[str, Meta(max_length=MAX_ADDRESS_BYTES, extra={"jid": "any"})]
"""A prepared JID as text."""

OurJIDText = Annotated[str, Meta(max_length=MAX_ADDRESS_BYTES, extra={"jid": "ours"})]
"""A prepared JID as text, of an account or session of a domain that is served here."""

Accounts = Annotated[list[str], Meta(max_length=MAX_ACCOUNTS)]
"""Bare JIDs that are looked up, and mean nothing if they are not found."""

KINDS: tuple[type[Stanza], ...] = (Message, Presence, IQ)
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_PRESENCE = _NUMBERS[Presence]

StanzaKind = Annotated[int, Meta(ge=0, lt=len(KINDS))]
"""Index in :data:`KINDS`."""


def _tells(kind: int, type: str | None) -> bool:
    """Whether a stanza says that its sender is available, or not any more."""
    return kind == _PRESENCE and type in (None, "unavailable")


class BusEntry(
    Struct, array_like=True, frozen=True, tag=True, tag_field="of", forbid_unknown_fields=True
):
    """Something that a node says to another.

    Attributes:
        about: The account, or thing, that it concerns: entries about the same are handled one after
            the other. Empty if that does not matter.
        newest: Of those that wait for a node and have this in common only the newest is sent, since
            it says all that the others said. None if none says less than another.
    """

    @property
    def about(self) -> str:
        """Nothing."""
        return ""

    @property
    def newest(self) -> Hashable:
        """None."""
        return None


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


class StanzaMark:
    """What a node knows of a stanza that its bytes do not say; bits."""

    OURS = 1
    """It is the server's, in another's name: no list is asked."""
    STAMPED = 2
    """It is a message that has our stamp."""
    AGAIN = 4
    """It is a message that a session has had before, and given back."""


_PAYLOADS: dict[int, type[Payload]] = {
    0: Payload,
    StanzaMark.STAMPED: Stamped,
    StanzaMark.AGAIN: Unread,
    StanzaMark.STAMPED | StanzaMark.AGAIN: StampedUnread,
}


def _marks(payload: Payload, *, ours: bool) -> int:
    stamped = isinstance(payload, Stamped)
    return StanzaMark.OURS * ours | StanzaMark.STAMPED * stamped | StanzaMark.AGAIN * payload.again


def _payload(marks: int) -> type[Payload]:
    return _PAYLOADS[marks & ~StanzaMark.OURS]


Marks = Annotated[int, Meta(ge=0, le=7)]


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
        marks: Of :class:`StanzaMark`.
        copies: If a session gives a message back, the number by which the other node counts those
            that had it; else 0.
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
            _marks(payload, ours=ours),
            copies,
        )

    def stanza(self) -> Stanza:
        """The stanza again, without parsing it."""
        kind, payload = KINDS[self.kind], _payload(self.marks)(self.raw)
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
        marks: Of :class:`StanzaMark`.
        copies: If several sessions of the account have a message, the number by which this node
            counts them; else 0.
    """

    session: OurJIDText
    kind: StanzaKind
    sender: JIDText
    id: str | None
    type: str | None
    wire: bytes
    marks: Marks = 0
    copies: Annotated[int, Meta(ge=0)] = 0

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
        return cls(session.full, kind, sender, stanza.id, stanza.type, wire, marks, copies)

    @property
    def ours(self) -> bool:
        """Whether it is the server's, in another's name."""
        return bool(self.marks & StanzaMark.OURS)

    def stanza(self) -> Stanza:
        """The stanza again, without parsing it; its address is that in the bytes."""
        kind, sender = KINDS[self.kind], JID.prepared(self.sender)
        return kind.from_wire(sender, self.id, self.type, self.wire, _payload(self.marks))


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
    passed on to.

    Attributes:
        account: Bare JID.
        passed_on: How often this was passed on already.
    """

    account: OurJIDText
    passed_on: Annotated[int, Meta(ge=0)] = 0

    @property
    def about(self) -> str:
        """The account."""
        return self.account


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


# -- membership -----------------------------------------------------------------------------------


class Renew(BusEntry, tag="lease?", frozen=True):
    """Redis does not answer the sender: its lease is to be renewed for it."""


class LeaseState(Enum):
    """What became of a lease that another node was asked to renew."""

    RENEWED = "renewed"
    FENCED = "fenced"
    AWAY = "away"
    """Redis does not answer that node either."""
    UNKNOWN = "unknown"


class LeaseRenewed(BusEntry, tag="lease", frozen=True):
    """The answer to :class:`Renew`."""

    state: LeaseState


class TryAddress(BusEntry, tag="nt", frozen=True):
    """The sender has just joined: does its address lead to it?"""


class AddressTried(BusEntry, tag="na", frozen=True):
    """The answer to :class:`TryAddress`.

    Attributes:
        trouble: Why it does not; empty if it does.
    """

    trouble: str


# -- the sessions of an account -------------------------------------------------------------------


class SessionEntry(BusEntry, frozen=True):
    """What concerns one session of an account.

    Attributes:
        session: Its full JID.
        serial: When it was entered in the directory.
    """

    session: OurJIDText
    serial: int

    @property
    def about(self) -> str:
        """Its account."""
        return self.session.partition("/")[0]


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


class AccountEntry(BusEntry, frozen=True):
    """What concerns an account.

    Attributes:
        account: Bare JID.
    """

    account: OurJIDText

    @property
    def about(self) -> str:
        """The account."""
        return self.account


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


# -- things that live once ------------------------------------------------------------------------


class TakeUp(BusEntry, tag="ct", frozen=True):
    """A thing is to be taken up there; the answer is :class:`OwnedAt`.

    Attributes:
        kind: Of the thing.
        name: Its own.
        token: That the board has given it there; 0 if it is to ask for one.
        state: What is not to be forgotten of it, if it comes from the sender.
    """

    kind: Annotated[str, Meta(max_length=MAX_KIND)]
    name: Annotated[str, Meta(max_length=MAX_THING)]
    token: int = 0
    state: bytes | None = None

    @property
    def about(self) -> str:
        """The thing."""
        return f"{self.kind} {self.name}"


class OwnedAt(BusEntry, tag="co", frozen=True):
    """Who has a thing.

    Attributes:
        owner: That node, as text; empty if it is nobody's, and not taken up where this is said.
    """

    owner: str


# -- components -----------------------------------------------------------------------------------


MAX_CONNECTIONS = 1_000
"""Of one component to one node."""


class ComponentAt(BusEntry, tag="x", frozen=True):
    """The connections of a component that a node has.

    Attributes:
        domain: Of the component.
        numbers: Each connection's own.
    """

    domain: JIDText
    numbers: Annotated[list[int], Meta(max_length=MAX_CONNECTIONS)]

    @property
    def about(self) -> str:
        """The component."""
        return self.domain


# -- what is stored of accounts -------------------------------------------------------------------


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


# -- messages of plugins --------------------------------------------------------------------------


class PluginTold(BusEntry, tag="rt", frozen=True):
    """A message of a plugin for the nodes of an account.

    Attributes:
        account: That account.
        kind: ``plugin.Name``.
        data: The message, packed.
    """

    account: OurJIDText
    kind: Annotated[str, Meta(max_length=MAX_MESSAGE_KIND)]
    data: bytes

    @property
    def about(self) -> str:
        """The account."""
        return self.account


class PluginAsked(BusEntry, tag="ra", frozen=True):
    """A message of a plugin for the node that has a thing; the answer is :class:`PluginAnswer` or
    :class:`PluginRefusal`, or None: it is elsewhere.

    Attributes:
        thing: Its kind and name.
        kind: ``plugin.Name``.
        data: The message, packed.
    """

    thing: tuple[
        Annotated[str, Meta(max_length=MAX_KIND)], Annotated[str, Meta(max_length=MAX_THING)]
    ]
    kind: Annotated[str, Meta(max_length=MAX_MESSAGE_KIND)]
    data: bytes

    @property
    def about(self) -> str:
        """The thing, whose messages come in order."""
        return f"said {' '.join(self.thing)}"


class PluginAnswer(BusEntry, tag="rs", frozen=True):
    """What a plugin answers.

    Attributes:
        data: The answer, packed.
    """

    data: bytes


class PluginRefusal(BusEntry, tag="rr", frozen=True):
    """Why a plugin does not do it.

    Attributes:
        condition: Name of a stanza error.
        text: For people.
    """

    condition: str
    text: str | None


# -- presence -------------------------------------------------------------------------------------


class SentPresence(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A presence that a session has sent.

    Attributes:
        session: Its full JID.
        serial: When it was entered in the directory.
        count: Of its presences: of two of one session the one with the higher count is the later.
        id: Of the presence.
        type: ``unavailable``, or None.
        raw: Its payload, without addresses.
    """

    session: OurJIDText
    serial: Serial
    count: Serial
    id: str | None
    type: Literal["unavailable"] | None
    raw: bytes

    @classmethod
    def of(cls, presence: Presence, serial: int, count: int) -> "SentPresence":
        """The presence as it crosses."""
        raw = presence.payload.without_to().raw
        gone: Literal["unavailable"] | None = None if presence.type is None else "unavailable"
        return cls(presence.sender.full, serial, count, presence.id, gone, raw)

    @property
    def account(self) -> str:
        """Bare JID of its sender."""
        return self.session.partition("/")[0]

    def stanza(self) -> Presence:
        """The presence again, without an address and without parsing it."""
        sender = JID.prepared(self.session)
        return Presence(None, sender, self.id, self.type, Payload(self.raw))


class Apart(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A contact of whom not all resources may see a presence.

    Attributes:
        account: Bare JID.
        shown: Whether resources in general may.
        but: The full JIDs of those for which it is the other way round.
    """

    account: str
    shown: bool
    but: Accounts

    def shows_to(self, jid: str) -> bool:
        """Whether this resource may see it."""
        return self.shown != (jid in self.but)

    def opposite(self) -> "Apart":
        """The same, of those resources that may not."""
        return Apart(self.account, not self.shown, self.but)


class Telling(BusEntry, tag="pt", frozen=True):
    """A presence for people at the other node.

    Attributes:
        sent: The presence.
        to: Their bare JIDs; full ones of single sessions that were sent directed presence.
        apart: Those of whom not all resources may see it; of a goodbye, those of whom some still
            see the session.
        directed: Whether the client itself has named the address.
    """

    sent: SentPresence
    to: Accounts
    apart: list[Apart] = []
    directed: bool = False

    @property
    def about(self) -> str:
        """The account of its sender."""
        return self.sent.account

    @property
    def newest(self) -> Hashable:
        """The session, and those who are told."""
        return None if self.apart else (self.sent.session, self.directed, tuple(self.to))


class Arrived(BusEntry, tag="pa", frozen=True):
    """A session that looks for people at the other node; answered by :class:`Here`.

    Attributes:
        viewer: Its full JID.
        serial: When it was entered in the directory.
        sent: Its presence; None if it is shown to nobody.
        tell: Bare JIDs of those to whom it is shown.
        apart: Those of whom not all resources may see it.
        see: Bare JIDs of those whose presence it wants to see.
        everybody: Whether it is also shown to all accounts there that see it by a shared group.
    """

    viewer: JIDText
    serial: Serial
    sent: SentPresence | None
    tell: Accounts
    apart: list[Apart]
    see: Accounts
    everybody: bool = False

    @property
    def about(self) -> str:
        """The account of the session."""
        return self.viewer.partition("/")[0]


class Here(BusEntry, tag="ph", frozen=True):
    """The sessions that somebody who looked for them may see, as they are when this is sent.

    Attributes:
        sent: The last presence of each.
        absent: Bare JIDs of those looked for that have no session at the node.
        watchers: Bare JIDs of those there who see the newcomer by a shared group.
    """

    sent: list[SentPresence]
    absent: Accounts
    watchers: Accounts = []


class Gone(BusEntry, tag="pg", frozen=True):
    """An account has no session at the node any more.

    Attributes:
        account: Bare JID.
        serial: The highest that a session of it has had there.
    """

    account: OurJIDText
    serial: Serial

    @property
    def about(self) -> str:
        """The account."""
        return self.account


class Shows(BusEntry, tag="ps", frozen=True):
    """The sessions of an account that are at the node are to be shown to somebody from now on, or
    not any more.

    Attributes:
        account: Bare JID.
        viewer: Bare JID, of any server.
        here: Whether they are shown.
    """

    account: OurJIDText
    viewer: JIDText
    here: bool

    @property
    def about(self) -> str:
        """The account."""
        return self.account


# -- other servers --------------------------------------------------------------------------------


class ServerLost(BusEntry, tag="rl", frozen=True):
    """Another server cannot be reached any more.

    Attributes:
        local: By this domain of ours.
        remote: That server's domain.
    """

    local: OurJIDText
    remote: JIDText


AnyEntry = (
    Asking
    | Answered
    | Routed
    | Delivered
    | MessagesWait
    | Behind
    | Secure
    | WhoHas
    | Having
    | CommandGiven
    | CommandMore
    | CommandUnread
    | CommandReplies
    | Renew
    | LeaseRenewed
    | TryAddress
    | AddressTried
    | Sibling
    | SiblingGone
    | Unbind
    | LongestDetached
    | DetachedSession
    | LeftBehind
    | EndAccount
    | StreamsEnded
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
    | Gone
    | Shows
    | RosterStored
    | ListsStored
    | GroupsStored
)
__all__ = [
    "KINDS",
    "MAX_ACCOUNTS",
    "MAX_REPLIES",
    "PROTOCOL",
    "AccountEntry",
    "Accounts",
    "AddressTried",
    "Answered",
    "AnyEntry",
    "Apart",
    "Arrived",
    "Asking",
    "Behind",
    "BusEntry",
    "CommandGiven",
    "CommandMore",
    "CommandReplies",
    "CommandUnread",
    "ComponentAt",
    "Delivered",
    "DetachedSession",
    "EndAccount",
    "Gone",
    "GroupsStored",
    "Having",
    "Here",
    "JIDText",
    "LeaseRenewed",
    "LeaseState",
    "LeftBehind",
    "ListsStored",
    "LongestDetached",
    "MessagesWait",
    "OurJIDText",
    "OwnedAt",
    "PluginAnswer",
    "PluginAsked",
    "PluginRefusal",
    "PluginTold",
    "Renew",
    "RosterStored",
    "Routed",
    "Secure",
    "SentPresence",
    "ServerLost",
    "SessionEntry",
    "Shows",
    "Sibling",
    "SiblingGone",
    "StanzaKind",
    "StanzaMark",
    "StreamsEnded",
    "TakeUp",
    "Telling",
    "TryAddress",
    "Unbind",
    "Way",
    "WhoHas",
]
