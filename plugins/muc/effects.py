"""What is told of what happens in a room: stanzas, each with those who get it.

Nothing here knows a wire: a stanza is in the name of an occupant, or of the room, and to nobody
yet. It becomes bytes once, and each recipient costs one splice.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from xmppd.stanza import JID, Message, Presence, Stanza, escape

from .names import MUC_USER, OCCUPANT_ID
from .occupant import Occupant, OccupantSession
from .ranks import Role, RoomAffiliation
from .state import Affiliated, Destroyed

GONE = "unavailable"
OWN = 110
AFFECTED = 101


class Effect(NamedTuple):
    """A stanza to nobody yet, and the sessions that get it."""

    stanza: Stanza
    recipients: Collection[OccupantSession]


class Onlookers(NamedTuple):
    """Those who are told of an occupant.

    Attributes:
        own: Its own sessions.
        knowing: The sessions of those who are shown JIDs.
        others: All others that see it.
    """

    own: Sequence[OccupantSession]
    knowing: Sequence[OccupantSession]
    others: Sequence[OccupantSession]


class RoomItem(NamedTuple):
    """What is said of an occupant (:xep:`0045`, §18.4).

    Attributes:
        affiliation: What they are to the room.
        role: What they are in it.
        nick: Their new nick, if they change it.
        actor: The nick of whoever has done it to them.
        reason: What for.
        beside: What is said besides, as XML.
    """

    affiliation: RoomAffiliation
    role: Role = Role.NONE
    nick: str = ""
    actor: str = ""
    reason: str = ""
    beside: str = ""

    def xml(self, jid: JID | None = None, *, role: bool = True) -> str:
        """The element, with a JID for those who may see it, and with the role or without it."""
        head = f"<item affiliation='{self.affiliation.value}'"
        if role:
            head += f" role='{self.role.value}'"
        if jid is not None:
            head += f" jid='{escape(jid.full)}'"
        if self.nick:
            head += f" nick='{escape(self.nick)}'"
        inner = f"<actor nick='{escape(self.actor)}'/>" if self.actor else ""
        if self.reason:
            inner += f"<reason>{escape(self.reason)}</reason>"
        return f"{head}>{inner}</item>" if inner else f"{head}/>"


def user(inner: str = "", codes: Iterable[int] = ()) -> bytes:
    """The element in which a room speaks (``muc#user``)."""
    inner += "".join(f"<status code='{code}'/>" for code in codes)
    text = f"<x xmlns='{MUC_USER}'>{inner}</x>" if inner else f"<x xmlns='{MUC_USER}'/>"
    return text.encode()


def occupant_id(occupant: Occupant) -> bytes:
    """The element by which others know an occupant again."""
    return f"<occupant-id xmlns='{OCCUPANT_ID}' id='{occupant.id}'/>".encode()


def view(
    occupant: Occupant,
    said: Presence,
    item: RoomItem,
    codes: Iterable[int] = (),
    jid: JID | None = None,
    extra: str = "",
) -> Presence:
    """A presence of an occupant as the room shows it.

    Args:
        occupant: Theirs.
        said: What their client has said.
        item: What the room says of them.
        codes: What it says besides.
        jid: Of the session, for those who may see it.
        extra: More of what the room says, as XML.
    """
    shown = user(item.xml(jid) + item.beside + extra, codes) + occupant_id(occupant)
    hats = b"" if said.type else occupant.hats
    return said.with_child(shown + hats).with_sender(occupant.jid)


def presences(
    session: OccupantSession,
    said: Presence,
    item: RoomItem,
    onlookers: Onlookers,
    codes: Sequence[int] = (),
    extra: str = "",
) -> list[Effect]:
    """A presence of an occupant, for all who are told of it.

    Args:
        session: Its session.
        said: What its client has said, or what is said in its place.
        item: What the room says of it.
        onlookers: Who is told.
        codes: For all of them.
        extra: For all of them, as XML.
    """
    told = []
    for recipients, more, jid in (
        (onlookers.own, (OWN,), session.jid),
        (onlookers.knowing, (), session.jid),
        (onlookers.others, (), None),
    ):
        if recipients:
            seen = view(session.occupant, said, item, (*more, *codes), jid, extra)
            told.append(Effect(seen, recipients))
    return told


def destroyed(where: Destroyed, password: str = "") -> str:
    """What a room says last, as XML: where its people go, with the password there."""
    head = f"<destroy jid='{escape(where.forward)}'" if where.forward else "<destroy"
    inner = f"<reason>{escape(where.reason)}</reason>" if where.reason else ""
    if password:
        inner += f"<password>{escape(password)}</password>"
    return f"{head}>{inner}</destroy>" if inner else f"{head}/>"


def affected(room: JID, change: Affiliated) -> Message:
    """What somebody is told who has become something to a room while not in (code 101)."""
    who = JID.prepared(change.jid)
    item = RoomItem(change.affiliation, reason=change.reason)
    return Message.make(who, room, user(item.xml(who), (AFFECTED,)))


def notice(room: JID, codes: Iterable[int], inner: str = "") -> Message:
    """A message in which the room tells of a change."""
    return Message.make(None, room, user(inner, codes), type="groupchat")


__all__ = [
    "GONE",
    "OWN",
    "Effect",
    "Onlookers",
    "RoomItem",
    "affected",
    "destroyed",
    "notice",
    "occupant_id",
    "presences",
    "user",
    "view",
]
