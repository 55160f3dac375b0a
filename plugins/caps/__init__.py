"""XEP-0115, XEP-0390: Entity Capabilities. A hash stands for all that a software can do."""

from xmppd.disco.disco import Disco, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.handler.presence_update_handler import PresenceChanged, SessionAvailable
from xmppd.host.clocks import Clocks
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import Part
from xmppd.plugin.plugin_manager import PluginsChanged
from xmppd.presence.presence_manager import PresenceManager
from xmppd.presence.remote_presences import RemotePresence
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.requests import Requests
from xmppd.session.session_manager import SessionClosed
from xmppd.store.sql import Database, Tables
from xmppd.stream.stream_feature import Stream, StreamFeature

from .clients import ClientCapabilities
from .server import NS, ServerCapabilities
from .tables import VerifiedHashes, metadata
from .verification import CAPS_2


def plug(
    disco: Disco,
    database: Database,
    requests: Requests,
    presences: PresenceManager,
    clocks: Clocks,
) -> list[Part]:
    """The parts of this feature; the plugin disco answers for the node."""
    server = ServerCapabilities(disco)
    clients = ClientCapabilities(requests, VerifiedHashes(database), presences, clocks)
    return [
        Tables(metadata),
        StreamFeature(server.advertise, needs=Stream.AUTHENTICATED),
        Says(DiscoInfo(features=(NS, CAPS_2))),
        Says(answer=server.say, nodes=True),
        On(PluginsChanged, server.forget),
        Offer(clients),
        clients.state(),
        On(SessionAvailable, clients.available),
        On(PresenceChanged, clients.presence_changed),
        On(SessionClosed, clients.closed),
        On(RemotePresence, clients.remote),
        On(RemoteServerLost, clients.lost),
    ]
