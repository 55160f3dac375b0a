"""XEP-0045: Multi-User Chat. Rooms at ``conference.`` and each domain.

``service.py`` finds the room that a stanza is for; ``entry.py`` lets people in and out, and
``talk.py`` takes what they say. Who is in and as what is in ``room.py``, which does nothing itself:
what is to be told it returns, as ``effects.py`` has it, and ``teller.py`` tells it.
"""

from collections.abc import Mapping
from functools import partial

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import AccountRemoved
from xmppd.cluster.claims import Claims
from xmppd.cluster.membership import NodeLost
from xmppd.command.command_table import CommandTable
from xmppd.components.service_domains import ServiceDomains
from xmppd.events import Events, On
from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Metric
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd.plugin.plugin_manager import PluginUnloads
from xmppd.plugin.repeatedly import repeatedly
from xmppd.presence.presence_manager import PresenceManager
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.session.session_manager import SessionMoved
from xmppd.stanza import JID
from xmppd.store.sql import Database, Tables

from .announcements import Announce, Announcements
from .asker import MakeRoom, RoomAsker
from .commands import RoomCommands
from .departures import Departures, PersonGone
from .explain import RoomExplanations
from .goodbyes import Goodbyes
from .guests import RollAnswer, RoomGuests, SessionAt
from .hall import Hall
from .hat_commands import commands_for_hats
from .memory import RoomMemory
from .pages import PAGES
from .roll import RollCall
from .room_data import RoomData
from .rooms import Rooms
from .service import RoomService
from .settings import RoomSettings
from .snapshot import Snapshot
from .store import RoomStore
from .tables import metadata
from .teller import RoomTeller
from .way import ForRoom, RoomAccepted, RoomWay

SWEEP_S = 60.0


async def look_after(hosts: Mapping[str, RoomService], rooms: Rooms) -> None:
    """Put rooms away in which nobody is, and look after who is silent."""
    for name in rooms.long_empty():
        host = hosts[JID.prepared(name).domain]
        await host.in_line(name, partial(rooms.put_away, name))
    for host in hosts.values():
        host.absent.ask_silent()


def metrics(rooms: Rooms) -> list[Metric]:
    """The metrics of rooms."""

    def loaded() -> float:
        return sum(room is not None for room in rooms.loaded.values())

    def sessions() -> float:
        return sum(len(room.sessions) for room in rooms.loaded.values() if room is not None)

    return [
        Metric("muc_rooms", "Rooms that are in memory.", "gauge", loaded),
        Metric("muc_sessions", "Sessions that are in rooms.", "gauge", sessions),
    ]


def plug(
    database: Database,
    services: ServiceDomains,
    presences: PresenceManager,
    commands: CommandTable,
    messages: PluginMessages,
    claims: Claims,
    clocks: Clocks,
    clock: IReactorTime,
    events: Events,
    settings: RoomSettings,
) -> list[Part]:
    """The parts of this plugin."""
    teller = RoomTeller(services.packet_router)
    memory = RoomMemory(clocks)
    snapshot = Snapshot(RoomStore(database), teller.routing_table, clock)
    rooms = Rooms(snapshot, memory, claims, teller, clocks.seconds, settings)
    hall = Hall(rooms, commands, settings, clocks, events)
    hall.room_commands |= {command.node: command for command in commands_for_hats(hall)}
    hosts = {
        host.jid.domain: host
        for host in (
            RoomService(services, domain, hall, messages) for domain in sorted(commands.domains)
        )
    }

    def take(entry: ForRoom) -> RoomAccepted:
        stanza = entry.stanza()
        return hosts[stanza.to.domain if stanza.to else ""].take_over(stanza)

    asker, departures = RoomAsker(hosts, messages), Departures(hosts)

    async def removed(event: AccountRemoved) -> None:
        await messages.tell_all(event.account, PersonGone(event.account.bare))

    def leave(event: PluginUnloads) -> None:
        if event.name == __name__.rpartition(".")[2] and not snapshot.is_shared:
            rooms.close_all()

    guests = RoomGuests(hosts, RoomWay(rooms, messages, clock), presences.directed)
    goodbyes = Goodbyes(guests.is_in, guests.say_gone, clock)
    for host in hosts.values():
        host.unsaid = goodbyes.unsaid
    rooms.node_gone = guests.grace_is_over
    rooms.taken_up = lambda room: hosts[room.jid.domain].roll.taken_up(room)
    of_rooms = RoomCommands(asker, rooms.store, clocks.wall_clock)
    return [
        Tables(metadata),
        AtUnload(snapshot.stop),
        AtUnload(goodbyes.stop),
        rooms,
        Offer(hall),
        AtLoad(lambda: None if snapshot.is_shared else rooms.take_up_occupied(hosts)),
        Tell(ForRoom, take),
        Tell(RollCall, guests.call),
        Tell(RollAnswer, guests.are_out),
        Tell(SessionAt, guests.is_at),
        On(SessionMoved, guests.moved),
        On(NodeLost, guests.node_lost),
        Tell(MakeRoom, asker.take),
        Tell(PersonGone, departures.take),
        Tell(Announce, Announcements(hall, hosts).take),
        On(AccountRemoved, removed),
        *hosts.values(),
        *(On(RemoteServerLost, host.absent.server_lost) for host in hosts.values()),
        On(PluginUnloads, leave),
        repeatedly(partial(look_after, hosts, rooms), SWEEP_S, clock),
        *of_rooms.commands(),
        RoomData(of_rooms),
        RoomExplanations(asker, rooms.store).command(),
        *PAGES,
        *metrics(rooms),
    ]
