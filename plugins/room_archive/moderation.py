"""XEP-0425: Moderated Message Retraction. What should not have been said is taken back for all."""

from secrets import token_hex

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.message.worth import ENCRYPTED
from xmppd.stanza import IQ, JID, Condition, Message, StanzaError, Tree, escape, qname
from xmppd_plugins.archive.entries import ArchiveEntry
from xmppd_plugins.archive.retractions import RETRACT
from xmppd_plugins.archive.routed import read_back
from xmppd_plugins.muc.effects import Effect
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.names import OCCUPANT_ID
from xmppd_plugins.muc.privileges import RolePrivilege, check_role
from xmppd_plugins.muc.room import Room

from .memory import RoomArchive
from .retractions import RoomRetractions

MODERATE = "urn:xmpp:message-moderate:1"
OLD_MODERATE = "urn:xmpp:message-moderate:0"
OLD_RETRACT = "urn:xmpp:message-retract:0"
FASTEN = "urn:xmpp:fasten:0"
MAX_REASON_BYTES = 4_096
_NO_TEXT = "only messages with a text can be removed"


def check_reason(reason: str) -> None:
    """Let somebody say why.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is too long.
    """
    if len(reason.encode()) > MAX_REASON_BYTES:
        text = f"a reason may have at most {MAX_REASON_BYTES} bytes"
        raise StanzaError(Condition.NOT_ACCEPTABLE, text)


class Moderation:
    """Takes back what others have said, for moderators (RM-44).

    Args:
        hall: Knows who is what to a room.
        memory: Keeps what is said.
        retractions: Leave tombstones.
    """

    def __init__(self, hall: Hall, memory: RoomArchive, retractions: RoomRetractions) -> None:
        self.hall = hall
        self.memory = memory
        self.retractions = retractions

    async def moderate(self, room: Room, actor: JID, id: str, reason: str) -> None:
        """Take something back: when it is gone from the archive, all are told.

        Args:
            room: Where it was said.
            actor: Full JID of who wants that.
            id: That the room has given it.
            reason: Why, for all; it may be empty.

        Raises:
            StanzaError: FORBIDDEN: only moderators may; ITEM_NOT_FOUND: there is no such message;
                NOT_ALLOWED: it has no text; NOT_ACCEPTABLE: the reason is too long.
            StoreError: It could not be written; nobody is told then.
        """
        check_role(self.hall.standing(room, actor), RolePrivilege.MODERATE, room.config)
        check_reason(reason)
        entry = await self.retractions.find(room, id)
        if entry is None or entry.position < self.memory.begins(room):
            self._take_back_unkept(room, actor, id, reason)
            return
        if entry.is_tombstone:
            return
        if not says_something(entry):
            raise StanzaError(Condition.NOT_ALLOWED, _NO_TEXT)
        await self.take_back(room, actor, entry, reason)

    async def take_back(self, room: Room, actor: JID, entry: ArchiveEntry, reason: str) -> None:
        """Take back an entry of a room's archive, and tell all.

        Raises:
            StoreError: It could not be written; nobody is told then.
        """
        by = self._by(room, actor)
        said = _said(room, self.memory.id_at(room, entry.position), by, reason)
        more = f"<moderated xmlns='{MODERATE}'{by}</moderated>{_reason(reason)}".encode()
        position = self.memory.archive.positions.next()
        await self.retractions.bury(room, entry, said.id or "", position, more)
        self._tell(room, actor, said)

    def _take_back_unkept(self, room: Room, actor: JID, id: str, reason: str) -> None:
        """Take back what only the room's memory has, since it has no archive."""
        found = room.history.find(id)
        if found is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "no message here has this id")
        if not _has_text(found.message.payload.tree):
            raise StanzaError(Condition.NOT_ALLOWED, _NO_TEXT)
        room.history.forget(id)
        self._tell(room, actor, _said(room, id, self._by(room, actor), reason))

    def _tell(self, room: Room, actor: JID, said: Message) -> None:
        given = self.memory.remember(room, said, actor, said.payload.tree)
        self.hall.tell(room, [Effect(given, tuple(room.sessions.values()))])

    def _by(self, room: Room, actor: JID) -> str:
        """Who does it, as attribute and child; whoever is not in has no nick."""
        nick = self.hall.nick(room, actor)
        by = f" by='{escape(f'{room.jid.full}/{nick}')}'" if nick else ""
        id = self.hall.occupant_id(room, actor)
        return f"{by}><occupant-id xmlns='{OCCUPANT_ID}' id='{id}'/>"


def _said(room: Room, id: str, by: str, reason: str) -> Message:
    """What all are told, also in the way that older clients know."""
    why = _reason(reason)
    told = (
        f"<retract xmlns='{RETRACT}' id='{id}'>"
        f"<moderated xmlns='{MODERATE}'{by}</moderated>{why}</retract>"
        f"<apply-to xmlns='{FASTEN}' id='{id}'><moderated xmlns='{OLD_MODERATE}'{by}"
        f"<retract xmlns='{OLD_RETRACT}'/>{why}</moderated></apply-to>"
    )
    return Message.make(None, room.jid, told.encode(), id=token_hex(8), type="groupchat")


def _reason(reason: str) -> str:
    return f"<reason>{escape(reason)}</reason>" if reason else ""


def says_something(entry: ArchiveEntry) -> bool:
    """Whether it has a text, encrypted or not."""
    try:
        return _has_text(read_back(entry.stanza or b"").payload.tree)
    except (ValueError, KeyError):
        return False


def _has_text(tree: Tree) -> bool:
    return bool(tree.findtext("body")) or any(child.tag in ENCRYPTED for child in tree)


class IQModerateHandler(IQHandler):
    """Take something back for a moderator (:xep:`0425`, §4)."""

    query = qname(MODERATE, "moderate")
    to = To.ENTITIES

    def __init__(self, moderation: Moderation) -> None:
        self.moderation = moderation

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        tree = iq.payload.tree[0]
        if tree.find(qname(RETRACT, "retract")) is None:
            raise StanzaError(Condition.BAD_REQUEST, "a moderation request must retract something")
        room = self.moderation.hall.found(asked.address)
        reason = tree.findtext(qname(MODERATE, "reason")) or ""
        await self.moderation.moderate(room, iq.sender, tree.get("id", ""), reason)


class IQOldModerateHandler(IQHandler):
    """The same, as older clients ask for it."""

    query = qname(FASTEN, "apply-to")
    to = To.ENTITIES

    def __init__(self, moderation: Moderation) -> None:
        self.moderation = moderation

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        tree = iq.payload.tree[0]
        moderate = tree.find(qname(OLD_MODERATE, "moderate"))
        if moderate is None or moderate.find(qname(OLD_RETRACT, "retract")) is None:
            raise StanzaError(Condition.BAD_REQUEST, "a moderation request must retract something")
        room = self.moderation.hall.found(asked.address)
        reason = moderate.findtext(qname(OLD_MODERATE, "reason")) or ""
        await self.moderation.moderate(room, iq.sender, tree.get("id", ""), reason)


__all__ = [
    "MODERATE",
    "OLD_MODERATE",
    "IQModerateHandler",
    "IQOldModerateHandler",
    "Moderation",
    "check_reason",
    "says_something",
]
