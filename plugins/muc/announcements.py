"""Announcements: what an administrator says in all rooms of a service at once (RM-78)."""

from collections.abc import Mapping
from functools import partial
from secrets import token_hex

from msgspec import Struct
from twisted.logger import Logger

from xmppd.components.internal_component import InternalComponent
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import JID, Condition, Message, StanzaError
from xmppd.store.errors import StoreError

from .effects import Effect
from .hall import Hall
from .names import is_forged

_log = Logger()


class Announce(Struct, frozen=True):
    """Something that is to be said in all rooms of a service.

    Attributes:
        service: Its domain.
        wire: The message, from the service and to nobody.
    """

    service: str
    wire: bytes


async def announce(messages: PluginMessages, service: JID, hall: Hall, said: Message) -> None:
    """Have all rooms of a service say something in which somebody is, wherever they are.

    Args:
        messages: Lead to other nodes.
        service: The service.
        hall: The rooms.
        said: By an administrator.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it has no text; POLICY_VIOLATION: it is too long.
    """
    if not said.payload.tree.findtext("body"):
        raise StanzaError(Condition.NOT_ACCEPTABLE, "an announcement needs a text")
    if len(said.payload.raw) > hall.settings.max_message_bytes:
        text = f"a message may have at most {hall.settings.max_message_bytes} bytes"
        raise StanzaError(Condition.POLICY_VIOLATION, text)
    left = said.without_children(lambda child: is_forged(child, service.full))
    id, payload = said.id or token_hex(8), left.payload.without_to()
    made = Message(None, service, id, "groupchat", payload)
    ours = JID.parse(min(hall.commands.domains))  # a service is no account
    await messages.tell_all(ours, Announce(service.full, made.wire()))


class Announcements:
    """Says in the rooms that are here what is announced.

    Args:
        hall: The rooms.
        services: Those by whose lines they are spoken to, by domain.
    """

    def __init__(self, hall: Hall, services: Mapping[str, InternalComponent]) -> None:
        self.hall = hall
        self.services = services

    async def take(self, announced: Announce) -> None:
        """Say it in each room of a service in which somebody is, in its turn."""
        service, said = self.services[announced.service], Message.from_bytes(announced.wire)
        for name, room in tuple(self.hall.rooms.loaded.items()):
            if room is not None and room.jid.domain == announced.service and room.sessions:
                await service.in_line(name, partial(self._say, name, said))

    async def _say(self, name: str, said: Message) -> None:
        room, memory = self.hall.rooms.loaded.get(name), self.hall.rooms.memory
        if room is None:
            return
        own = said.with_sender(room.jid)
        try:
            waiting = memory.space()
            if waiting is not None:
                await waiting
            given = memory.remember(room, own, room.jid, own.payload.tree)
        except StoreError:
            _log.warn(
                "{room} did not get an announcement, because it could not be stored", room=name
            )
            return
        self.hall.tell(room, [Effect(given, tuple(room.sessions.values()))])


__all__ = ["Announce", "Announcements", "announce"]
