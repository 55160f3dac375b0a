"""XEP-0045: Multi-User Chat. Rooms at ``conference.`` and each domain.

``service.py`` finds the room that a stanza is for; ``entry.py`` lets people in and out, and
``talk.py`` takes what they say. Who is in and as what is in ``room.py``, which does nothing itself:
what is to be told it returns, as ``effects.py`` has it, and ``teller.py`` tells it.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from xmppd.cluster.claims import Claims
from xmppd.command.command_table import CommandTable
from xmppd.components.service_domains import ServiceDomains
from xmppd.host.clocks import Clocks
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.place import AtUnload, Part
from xmppd.store.sql import Database, Tables

from .hall import Hall
from .rooms import Rooms
from .service import ForRoom, RoomAccepted, RoomService, stanza_for
from .settings import RoomSettings
from .store import RoomStore
from .tables import metadata
from .teller import RoomTeller

SWEEP_S = 60.0


def sweeping(rooms: Rooms, clock: IReactorTime) -> AtUnload:
    """Forgetting rooms in which nobody is, until the plugin goes."""
    call = LoopingCall(lambda: Deferred.fromCoroutine(rooms.forget_empty()))
    call.clock = clock
    call.start(SWEEP_S, now=False)
    return AtUnload(call.stop)


def plug(
    database: Database,
    services: ServiceDomains,
    commands: CommandTable,
    messages: PluginMessages,
    claims: Claims,
    clocks: Clocks,
    clock: IReactorTime,
    settings: RoomSettings,
) -> list[Part]:
    """The parts of this plugin."""
    rooms = Rooms(RoomStore(database), claims, clocks.seconds, settings)
    teller = RoomTeller(services.packet_router)
    hall = Hall(rooms, teller, commands, settings, clocks)
    hosts = {
        host.jid.domain: host
        for host in (
            RoomService(services, domain, hall, messages) for domain in sorted(commands.domains)
        )
    }

    def take(entry: ForRoom) -> RoomAccepted:
        stanza = stanza_for(entry)
        assert stanza.to is not None, "it is for a room"
        return hosts[stanza.to.domain].take_over(stanza)

    return [Tables(metadata), rooms, Tell(ForRoom, take), *hosts.values(), sweeping(rooms, clock)]
