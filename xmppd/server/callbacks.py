"""What stages below call back of stages above."""

from functools import partial

from xmppd.cluster.entries.routes import ServerLost
from xmppd.events import OWNER, On
from xmppd.nodes.foreign_owners import ForeignOwners
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.server.wiring import Wiring
from xmppd.session.session import Route
from xmppd.stanza import JID


def call_back(server: Wiring) -> None:
    """Give stages below the functions of stages above."""
    membership = server.cluster.membership
    server.commands.address_of = partial(_address_of, server)
    membership.on_isolation = server.drain.isolated
    server.store.write_while(lambda: membership.speaks, membership.voice)
    membership.listen(server.events.fire)
    server.cluster.claims.highest_token = server.store.claim_tokens.highest_token
    server.cluster.bus.take = server.entry_handler.take
    server.routing_table.siblings.absent += (
        server.roster_manager.forget,
        server.privacy_lists.forget,
    )
    server.node_loss.forget = (server.routing_table.siblings.lost, server.arrivals.lost)
    server.roster_manager.on_reread = server.presence_manager.follow_contact
    server.locations.on_reentered = server.presence_manager.introductions.greet_anew
    server.packet_router.on_taken_back = server.held_messages.find_places
    if server.cluster.directory.shared:
        server.resumption.others = server.moves
        server.held_messages.origin_of = server.routing_table.origins.of
    server.drain.hand_over = server.moves.hand_over
    server.saved_sessions.copy_counts = server.routing_table.copy_counts
    server.authentication.on_failed = server.traffic_history.note
    server.http_connections.on_sweep += (
        server.loop_watch.look,
        server.traffic_history.look,
        server.rates.look,
    )
    if server.cluster.directory.shared or any(
        "console" in listen.sites for listen in server.config.listen
    ):
        server.http_connections.on_sweep += (server.live.look,)
    server.client_connections.on_sweep = (
        server.resumable_sessions.sweep,
        server.held_messages.sweep,
        server.offline_message_flood.sweep,
        server.locations.sweep,
        server.presence_manager.introductions.sweep,
        server.certificate_ends.look,
    )
    if server.config.s2s.enabled:
        server.routing_table.foreign = _foreign(server)
        server.routing_table.foreign_error = server.foreign_routes.unreached


def _foreign(server: Wiring) -> Route:
    """The route to other servers: from here, or from the node that has the pair of domains."""
    cluster = server.cluster
    if not cluster.directory.shared:
        return server.foreign_routes
    owners = ForeignOwners(
        server.foreign_routes, cluster.claims, server.packet_router, server.events
    )
    cluster.claims.put(owners, OWNER)
    server.entry_handler.put(ServerLost, owners.told)
    server.events.put(On(RemoteServerLost, owners.server_lost), OWNER)
    return owners


def _address_of(server: Wiring, jid: JID) -> str:
    session = server.session_manager.session(jid)
    return "" if session is None else session.connection.address
