"""RoomService: the rooms at a domain of their own (:xep:`0045`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xmppd.components.service import ANSWER_S, Service
from xmppd.components.service_domains import ServiceDomains
from xmppd.disco.disco import DiscoAnswer
from xmppd.disco.info import DiscoIdentity, DiscoQuestion
from xmppd.handler.iq_handler import IQHandler
from xmppd.handler.presence_subscribe_handler import TYPES as SUBSCRIPTIONS
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    Later,
    Message,
    Presence,
    Stanza,
    StanzaError,
    dump,
    ns,
    qname,
)
from xmppd.stanza.names import namespace_of
from xmppd.stanza.stanza import error_bytes
from xmppd_plugins.disco import INFO, ITEMS

from .absent import AbsentOccupants
from .announcements import announce
from .card import IQRoomCardHandler
from .command_requests import NS as COMMANDS
from .command_requests import IQRoomCommandHandler
from .disco import SERVICE, IQRoomItemsHandler, room_info
from .entry import RoomEntry
from .errands import RoomErrands
from .hall import Hall
from .names import JOIN, MUC, SUBDOMAIN
from .register import IQRoomRegisterHandler
from .requests import IQRoomAdminHandler, IQRoomOwnerHandler
from .roll import RoomRoll
from .room import Room
from .search import IQChannelSearchHandler
from .talk import RoomTalk
from .unique import IQUniqueNameHandler
from .way import RoomAccepted, RoomWay, node_of
from .word_search import IQWordSearchHandler

IDENTITY = DiscoIdentity("conference", "text", "Rooms")
_PING = qname(ns.PING, "ping")
_OF_ACCOUNTS = frozenset(
    ("vcard-temp", "urn:ietf:params:xml:ns:vcard-4.0", "http://jabber.org/protocol/pubsub")
)
"""Namespaces of requests that an occupant's account answers."""


@dataclass(frozen=True)
class PresenceToRooms:
    """Somebody has sent presence to a service of rooms, and to no room.

    Attributes:
        service: The service.
        presence: As it came.
    """

    service: JID
    presence: Presence


class RoomService(Service):
    """Rooms at ``conference.`` and a domain of ours.

    What is sent to one room waits in one line, whoever has sent it; the rooms do not wait for each
    other. A room lives at one node of the service, which gets what comes for it elsewhere.

    Args:
        services: Its place.
        domain: That of the accounts.
        hall: Where the rooms are.
        messages: Lead to other nodes.

    Attributes:
        unsaid: Called with a room that no node has, and a session that wanted to leave it.
    """

    def __init__(
        self, services: ServiceDomains, domain: str, hall: Hall, messages: PluginMessages
    ) -> None:
        super().__init__(
            services,
            SUBDOMAIN + domain,
            IDENTITY,
            IQRoomOwnerHandler(hall),
            IQRoomAdminHandler(hall),
            IQRoomItemsHandler(hall),
            registration := IQRoomRegisterHandler(hall),
            IQUniqueNameHandler(),
            IQChannelSearchHandler(hall),
            IQWordSearchHandler(hall),
            IQRoomCardHandler(hall),
            room_commands := IQRoomCommandHandler(hall),
        )
        self.hall = hall
        self.messages = messages
        self.unsaid: Callable[[str, JID], None] = _nobody_says
        self.room_commands = room_commands
        self.way = RoomWay(hall.rooms, messages, services.clock)
        self.entry = RoomEntry(hall)
        self.talk = RoomTalk(hall, RoomErrands(hall, registration))
        table, clock = self._iq_router.routing_table, services.clock
        self.absent = AbsentOccupants(hall, self.jid.full, self.in_line, self._ping, clock)
        self.roll = RoomRoll(self.absent, table, messages, clock)

    def line(self, stanza: Stanza) -> str:
        to = stanza.to
        return stanza.sender.bare if to is None or to.local is None else to.bare

    # -- whose is it ------------------------------------------------------------------------------

    def stanza_received(self, stanza: Stanza) -> Later:
        to = stanza.to
        if to is None or to.local is None:
            return super().stanza_received(stanza)
        if isinstance(stanza, IQ) and not stanza.answerable and self._answered(stanza):
            return None
        if to.bare in self.hall.rooms.loaded:
            return self._receive_here(stanza, to.bare)
        return self._find_and_receive(stanza, to.bare)

    def _answered(self, answer: IQ) -> bool:
        """Whether it is for a request that this node has sent."""
        return self._iq_router.requests.answered(answer)

    async def _find_and_receive(self, stanza: Stanza, name: str) -> None:
        try:
            if await self.way.pass_on(name, stanza):
                return
        except StanzaError:
            if isinstance(stanza, Presence) and stanza.type == "unavailable":
                self.unsaid(name, stanza.sender)  # nobody would say it again
            raise
        try:
            later = self._receive_here(stanza, name)
            if later is not None:
                await later
        finally:
            await self.hall.rooms.settle(name)

    def _receive_here(self, stanza: Stanza, name: str) -> Later:
        room = self.hall.rooms.loaded[name]
        later = self._take(room, stanza)
        if later is None and room is not None and room.sessions:
            return None
        return self._settle_behind(name, later)

    async def _settle_behind(self, name: str, later: Later) -> None:
        try:
            if later is not None:
                await later
        finally:
            await self.hall.rooms.settle(name)

    def take_over(self, stanza: Stanza) -> RoomAccepted:
        """Take what another node has got for a room that is here.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: too much waits.
        """
        if not self.deliver(stanza, stanza.wire()):
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT, "too many requests are waiting for this room"
            )
        return RoomAccepted()

    # -- its work ---------------------------------------------------------------------------------

    def _take(self, room: Room | None, stanza: Stanza) -> Later:
        session = None if room is None else room.sessions.get(stanza.sender.full)
        if room is not None and session is not None:
            session.heard, session.unanswered = self.hall.clocks.seconds(), 0
            self.roll.is_at(room, session, node_of(stanza))
        match stanza:
            case Presence() | Message() if stanza.type == "error":
                if room is not None:
                    self.absent.came_back(room, stanza)
                return None
            case Presence() if stanza.type in SUBSCRIPTIONS:
                return self.presence(stanza)
            case Presence():
                return self.entry.take_presence(room, stanza)
            case Message():
                return self.talk.take_message(room, stanza)
        return super().stanza_received(stanza)

    def message(self, message: Message) -> Later:
        """Have all rooms say what an administrator has to say to them (RM-78).

        Raises:
            StanzaError: FORBIDDEN: it is of somebody else; SERVICE_UNAVAILABLE: it is not for all.
        """
        if message.type != "groupchat":
            return super().message(message)
        if not self.hall.is_admin(message.sender):
            raise StanzaError(Condition.FORBIDDEN, "only administrators may send to all rooms")
        return announce(self.messages, self.jid, self.hall, message)

    def presence(self, presence: Presence) -> Later:
        if presence.type not in SUBSCRIPTIONS:
            self.hall.events.fire(PresenceToRooms(self.jid, presence))
        return super().presence(presence)

    def resource_request(self, iq: IQ) -> Later:
        """Have a request answered by who is in a room under a nick, or in their name (RM-53)."""
        to = iq.to
        room = None if to is None else self.hall.rooms.loaded.get(to.bare)
        session = None if room is None else room.sessions.get(iq.sender.full)
        tag = iq.payload.tree[0].tag
        if to is None or room is None or session is None:
            # What the XEP says of service discovery (§6.6) is not what it says of all else.
            looks = namespace_of(tag) in (INFO, ITEMS)
            condition = Condition.BAD_REQUEST if looks else Condition.NOT_ACCEPTABLE
            raise StanzaError(condition, "enter the room first")
        asked = room.occupant(to.resource or "")
        if asked is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "no occupant has this nick")
        if tag == _PING and asked is session.occupant:
            self.send(iq.result())  # RM-34
        else:
            of_account = namespace_of(tag) in _OF_ACCOUNTS
            other = asked.person if of_account else asked.shown.jid
            self.pass_on(iq, other, session.occupant.jid)
        return None

    def _answering(self, *, entity: bool) -> Iterator[IQHandler]:
        if entity:
            yield from self.hall.handlers.values()
        yield from super()._answering(entity=entity)

    async def _ping(self, session: JID, room: JID) -> IQ | None:
        requests = self._iq_router.requests
        ping = f"<ping xmlns='{ns.PING}'/>".encode()
        return await requests.ask(session, room, ping, timeout_s=ANSWER_S, send=self.send)

    def stopped(self) -> None:
        """Look after nobody any more."""
        self.absent.stop()
        self.roll.stop()

    def refusal(self, stanza: Stanza, error: StanzaError) -> Stanza:
        """An error from a room says which room it is, and to whom it would not let in, what it was
        asked (RM-10).
        """
        to = stanza.to
        if to is None or to.local is None:
            return super().refusal(stanza, error)
        made = error_bytes(error).replace(b"<error ", b"<error by='%b' " % to.to_bare().wire, 1)
        is_join = isinstance(stanza, Presence) and stanza.payload.tree.find(JOIN) is not None
        children = [f"<x xmlns='{MUC}'/>".encode(), made] if is_join else [made]
        return stanza.make(stanza.sender, to, *children, id=stanza.id, type="error")

    async def ask(self, room: JID, kind: str, query: Element) -> IQ | None:
        """Ask a room in the name of the service; None if it does not answer."""
        requests = self._iq_router.requests
        return await requests.ask(
            room, self.jid, dump(query), timeout_s=ANSWER_S, type=kind, send=self.send
        )

    # -- disco ------------------------------------------------------------------------------------

    def says(self, question: DiscoQuestion) -> DiscoAnswer:
        if question.entity.local is None:
            return None if question.node else SERVICE
        room = self.hall.rooms.loaded.get(question.entity.bare)
        if room is None:
            return None
        if question.node == COMMANDS or question.node in self.hall.room_commands:
            return self.room_commands.says(room, question)
        return room_info(room, question, self.hall.told(room))


def _nobody_says(room: str, session: JID) -> None:
    """Do nothing: there are no other nodes yet."""


__all__ = ["PresenceToRooms", "RoomService"]
