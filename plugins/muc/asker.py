"""RoomAsker: asks rooms in the name of their service, which owns them all (RM-7)."""

from collections.abc import Mapping

from msgspec import Struct

from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import (
    JID,
    Condition,
    Element,
    Message,
    StanzaError,
    Tree,
    child,
    element,
    escape,
    ns,
    qname,
)
from xmppd.stanza.xml import local_name

from .announcements import announce
from .config_form import changes_form
from .names import MUC_ADMIN, MUC_OWNER
from .ranks import Role, RoomAffiliation
from .service import RoomService
from .state import Destroyed, KeptRoom
from .tables import KIND
from .written_room import read_room, written

_ITEM = qname(MUC_ADMIN, "item")
_TEXT = qname(ns.STANZA_ERRORS, "text")
_CONDITIONS = {each.tag: each for each in Condition}


class Seen(Struct, frozen=True):
    """Somebody in a room.

    Attributes:
        nick: Their nick.
        jid: Of a session.
        affiliation: What they are to the room.
        role: What they are in it.
    """

    nick: str
    jid: str
    affiliation: str
    role: str


class MakeRoom(Struct, frozen=True):
    """A room that is to be made, for the node that has the name.

    Attributes:
        line: It, as it is written to files.
    """

    line: bytes


class RoomMade(Struct, frozen=True):
    """The answer to that."""


class RoomAsker:
    """Asks rooms, at whatever node they are, as clients ask them.

    Args:
        services: By domain.
        messages: Lead to the node that has a room.
    """

    def __init__(self, services: Mapping[str, RoomService], messages: PluginMessages) -> None:
        self.services = services
        self.messages = messages

    def service(self, room: JID) -> RoomService:
        """The service of a room.

        Raises:
            StanzaError: ITEM_NOT_FOUND: it cannot be a room of ours.
        """
        found = self.services.get(room.domain)
        if found is None or room.local is None or not room.is_bare:
            text = f"{room} is not a room; rooms are at {', '.join(self.services)}"
            raise StanzaError(Condition.ITEM_NOT_FOUND, text)
        return found

    async def make(self, room: KeptRoom) -> None:
        """Make a room.

        Raises:
            StanzaError: CONFLICT: there is one of this name.
        """
        self.service(room.jid)
        await self.messages.ask((KIND, room.jid.bare), MakeRoom(written(room)), RoomMade)

    async def take(self, asked: MakeRoom) -> RoomMade:
        """Make a room here.

        Raises:
            StanzaError: CONFLICT: there is one of this name.
        """
        room = read_room(asked.line)
        rooms, name = self.service(room.jid).hall.rooms, room.jid.bare
        if rooms.loaded.get(name) is not None:
            raise StanzaError(Condition.CONFLICT, f"room {name} already exists")
        try:
            await rooms.create(room)
        finally:
            await rooms.settle(name)
        return RoomMade()

    async def occupants(self, room: JID) -> list[Seen]:
        """Who is in a room."""
        found = []
        for role in (Role.MODERATOR, Role.PARTICIPANT, Role.VISITOR):
            query = element(MUC_ADMIN, "query")
            child(query, "item", role=role.value)
            for item in (await self._ask(room, "get", query)).iter(_ITEM):
                words = (item.get(name, "") for name in ("nick", "jid", "affiliation", "role"))
                found.append(Seen(*words))
        return found

    async def affiliate(
        self, room: JID, person: JID, affiliation: RoomAffiliation, reason: str
    ) -> None:
        """Have somebody be something to a room."""
        query = element(MUC_ADMIN, "query")
        item = child(query, "item", jid=person.full, affiliation=affiliation.value)
        child(item, "reason", reason)
        await self._ask(room, "set", query)

    async def kick(self, room: JID, nick: str, reason: str) -> None:
        """Have somebody leave a room."""
        query = element(MUC_ADMIN, "query")
        child(child(query, "item", nick=nick, role=Role.NONE.value), "reason", reason)
        await self._ask(room, "set", query)

    async def configure(self, room: JID, values: Mapping[str, list[str]]) -> None:
        """Have a room be configured otherwise, by the names of fields."""
        query = element(MUC_OWNER, "query")
        query.append(changes_form(values))
        await self._ask(room, "set", query)

    async def destroy(self, room: JID, where: Destroyed) -> None:
        """Have a room be no more."""
        query = element(MUC_OWNER, "query")
        ending = child(query, "destroy", **({"jid": where.forward} if where.forward else {}))
        child(ending, "reason", where.reason)
        await self._ask(room, "set", query)

    async def announce(self, service: str, text: str) -> None:
        """Have all rooms of a service say something in which somebody is.

        Raises:
            StanzaError: It is too long.
        """
        host = self.services[service]
        said = Message.make(
            None, host.jid, f"<body>{escape(text)}</body>".encode(), type="groupchat"
        )
        await announce(self.messages, host.jid, host.hall, said)

    async def _ask(self, room: JID, kind: str, query: Element) -> Tree:
        """Ask a room; returns its answer.

        Raises:
            StanzaError: It refuses, or does not answer.
        """
        answer = await self.service(room).ask(room, kind, query)
        if answer is None:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, f"{room} does not answer")
        if answer.type == "error":
            raise _refusal(answer.payload.tree)
        return answer.payload.tree


def _refusal(answer: Tree) -> StanzaError:
    """The error of a room, as it has raised it."""
    found = answer.find("error")
    conditions = [
        _CONDITIONS[local_name(each.tag)]
        for each in (() if found is None else found)
        if local_name(each.tag) in _CONDITIONS
    ]
    text = None if found is None else found.findtext(_TEXT)
    return StanzaError(conditions[0] if conditions else Condition.UNDEFINED_CONDITION, text)


__all__ = ["MakeRoom", "RoomAsker", "RoomMade", "Seen"]
