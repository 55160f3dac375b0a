"""How a server ends: all it has is closed, saved or handed over, or else it is forgotten."""

from contextlib import suppress

from twisted.internet import defer
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from xmppd.host.stop_limits import StopLimits, until
from xmppd.server.wiring import Wiring
from xmppd.stanza import StreamCondition, StreamError

SETTLE_S = 2.0
"""A node that leaves waits so long for others to handle what it has told them."""

_log = Logger()


async def close_all(server: Wiring, began: float) -> None:
    """Close all streams, and save sessions and messages."""
    error = StreamError(StreamCondition.SYSTEM_SHUTDOWN)
    server.jobs.stop()
    server.live.stop()
    server.foreign_routes.give_back()
    await until(server.clock, StopLimits.CLIENTS, began, server.client_connections.close(error))
    await until(server.clock, StopLimits.STANZAS, began, _finish_stanzas(server))
    await until(server.clock, StopLimits.PEERS, began, _close_peers(server, error))
    await until(server.clock, StopLimits.WEB, began, server.http_connections.close())
    await until(server.clock, StopLimits.SESSIONS, began, _save_sessions(server))
    await until(server.clock, StopLimits.NODES, began, _leave_nodes(server))
    server.requests.stop()
    server.stored_messages.stop()


async def _save_sessions(server: Wiring) -> None:
    """Save the sessions that no other node has taken, and what the graphs go by."""
    await server.moves.offers.finish()
    await server.saved_sessions.save()
    await server.live.keep_last()


async def _leave_nodes(server: Wiring) -> None:
    """Leave the other nodes, when they have handled what they were told, or do not for some
    time.
    """
    bus, membership = server.cluster.bus, server.cluster.membership
    nodes = [node.id for node in membership.nodes.values()]
    settling = gatherResults([Deferred.fromCoroutine(bus.settled(id)) for id in nodes])
    settling.addTimeout(SETTLE_S, server.clock)
    with suppress(defer.TimeoutError):
        await settling
    may_act = membership.speaks
    await membership.leave()
    if may_act and not membership.fenced:  # nobody does in its place what it has begun
        server.store.write_to_the_end()


async def _finish_stanzas(server: Wiring) -> None:
    """Wait for clients' stanzas under way, until unread ones have been routed again and until
    messages that senders asked about are safe.
    """
    await server.resumable_sessions.at_rest()
    await server.broadcasts.finish()
    await server.packet_router.finish()
    await server.held_messages.at_rest()


async def _close_peers(server: Wiring, error: StreamError) -> None:
    """Close streams of components and servers at the same time: none keeps the other
    waiting.
    """
    components = server.components.connections.close(error)
    called = Deferred.fromCoroutine(server.foreign_routes.close(error))
    callers = server.server_connections.close(error)
    for closed in (components, called, callers):
        await closed


def say_what_is_lost(server: Wiring, not_stored_before: int) -> None:
    """Log how many stanzas are lost since the stop began."""
    router = server.packet_router
    count = router.not_stored - not_stored_before + router.homeless
    if count:
        _log.error(
            "stanzas that were neither delivered nor stored, because the database failed or was "
            "too slow: {count}; their senders were notified where possible",
            count=count,
        )


def forget_all(server: Wiring) -> None:
    """Close all streams, and forget all else: nobody is told anything, and nothing is written."""
    server.store.abandon()
    server.jobs.stop()
    close_wires(server)
    for connections in (
        server.client_connections,
        server.server_connections,
        server.components.connections,
    ):
        connections.stop()
    server.http_connections.stop()
    server.http_connections.abort()
    server.foreign_routes.stop()


def close_wires(server: Wiring) -> None:
    """Close all streams at once, since this node may not act (CL-65)."""
    for connections in (
        server.client_connections,
        server.server_connections,
        server.components.connections,
        server.foreign_routes.outgoing_connections,
    ):
        connections.reset()
