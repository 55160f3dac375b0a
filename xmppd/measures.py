"""Measures: the metrics of the server's own stages (ME-1 to ME-4).

A stage counts where something happens, by one addition; here its counts get a name, and are read
when somebody asks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from xmppd.auth.hashed_token import HASHED_TOKEN
from xmppd.auth.mechanisms import MECHANISMS
from xmppd.cluster.bus import Bus
from xmppd.cluster.membership import Membership
from xmppd.components.component_stream import ComponentStream
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.host.loop_watch import LoopWatch
from xmppd.host.metrics import Label, Metric
from xmppd.host.stage_samples import StageSamples
from xmppd.login.authentication import OTHER, OUTCOMES, Authentication
from xmppd.login.resumption import OUTCOMES as RESUMPTIONS
from xmppd.login.resumption import Resumption
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.connections import LOGINS, Connections
from xmppd.net.epoll_connection import EPollConnection
from xmppd.net.epoll_hub import Hub
from xmppd.net.epoll_tls import ClearConnection, TLSConnection
from xmppd.presence.broadcast_counts import BroadcastCounts
from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster import Roster
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.s2s.foreign_routes import ForeignRoutes
from xmppd.s2s.incoming_stream import IncomingStream
from xmppd.s2s.outgoing_connections import OutgoingConnections
from xmppd.s2s.outgoing_stream import OutgoingStream
from xmppd.s2s.server_stream import ServerStream
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.peer_counts import PeerCounts
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import IQ, Condition, Message, Presence, StreamCondition
from xmppd.store.store import Store
from xmppd.store.watched import OPERATIONS
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.stream.stream_parser import StreamParser
from xmppd.web.http_connections import HTTPConnections
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.web_socket_wire import WebSocketWire

_DIRECTION = Label("direction", ("in", "out"))
_STATUSES = frozenset(map(str, range(100, 600)))

STAGES: Mapping[str, tuple[type, ...]] = {
    "EPollConnection": (Hub, EPollConnection, ClearConnection, TLSConnection),
    "IncomingStream": (ServerStream, IncomingStream),
    **{
        kind.__name__: (kind,)
        for kind in (
            ConnectionHandler,
            StreamParser,
            StanzaHandler,
            ComponentStream,
            PacketRouter,
            MessageRouter,
            OfflineMessageStrategy,
            PresenceRouter,
            PresenceUpdateHandler,
            PresenceSubscribeHandler,
            PresenceManager,
            Roster,
            IQRouter,
            RoutingTable,
            LocalClientSession,
        )
    },
}
"""The stages on the way of a stanza, with their classes, in the order in which it comes to them."""


def session_metrics(sessions: SessionManager) -> Iterator[Metric]:
    """Sessions and what waits in them."""
    states = ("available", "bound", "detached")

    waits = {"readers": 0, "stanzas": 0}  # as of the one walk over all sessions, which comes first

    def by_state() -> Mapping[tuple[str, ...], int]:
        available = bound = detached = waits["readers"] = waits["stanzas"] = 0
        for session in sessions.sessions.values():
            if session.detached:
                detached += 1
            elif session.presence is not None:
                available += 1
            else:
                bound += 1
            backlog = session.backlog
            if backlog is not None:
                waits["readers"] += backlog.full and not session.detached
                waits["stanzas"] += len(backlog)
        return dict(zip([(state,) for state in states], (available, bound, detached), strict=True))

    yield Metric(
        "sessions",
        "Sessions of clients: available ones have sent presence, bound ones have not, detached "
        "ones have lost their connection and may be resumed.",
        "gauge",
        by_state,
        labels=(Label("state", states),),
    )
    yield Metric(
        "slow_readers",
        "Sessions whose clients read more slowly than the server writes to them.",
        "gauge",
        lambda: waits["readers"],
    )
    yield Metric(
        "backlog_stanzas",
        "Stanzas that wait for clients that read slowly, are inactive or detached.",
        "gauge",
        lambda: waits["stanzas"],
    )


class Carried:
    """The sums over all connections, each of which counts for itself.

    Args:
        xmpp: The connections of clients, servers and components, each by its kind.
        outgoing: Those that we have made to servers.
        http: Those of HTTP.

    Attributes:
        sums: By kind, as of the latest look.
    """

    def __init__(
        self,
        xmpp: Mapping[str, Connections],
        outgoing: OutgoingConnections,
        http: HTTPConnections,
    ) -> None:
        self.xmpp, self.outgoing, self.http = xmpp, outgoing, http
        self.sums: Mapping[str, PeerCounts] = {}

    def look(self) -> Mapping[str, PeerCounts]:
        """Add them up: one walk over all connections for a scrape."""
        found = {
            kind: each.traffic.with_those(handler.counts for handler in each.handlers)
            for kind, each in self.xmpp.items()
        }
        outgoing = self.outgoing
        found["server"].add(
            outgoing.traffic.with_those(handler.counts for handler in outgoing.handlers)
        )
        self.sums = {**found, "http": self.http.traffic.gone}
        return self.sums


def connection_metrics(carried: Carried) -> Iterator[Metric]:
    """Connections of every kind, and what they carry."""
    xmpp, outgoing, http = carried.xmpp, carried.outgoing, carried.http
    kinds = (*xmpp, "http")
    states = ("unauthenticated", "established", "silent", "busy")
    ended = [each.traffic.ended for each in xmpp.values()]
    ended += [outgoing.traffic.ended, http.traffic.ended]

    def by_state() -> Mapping[tuple[str, ...], int]:
        counts: dict[tuple[str, ...], int] = {}
        for kind, connections in xmpp.items():
            strangers = len(connections.unauthenticated)
            counts[kind, "unauthenticated"] = strangers
            counts[kind, "established"] = len(connections.handlers) - strangers
        counts["http", "silent"] = len(http.silent)
        counts["http", "busy"] = len(http.connections) - len(http.silent)
        return counts

    def in_bytes() -> Mapping[tuple[str, ...], int]:
        counts: dict[tuple[str, ...], int] = {}
        for kind, part in carried.look().items():  # before the others, which go by it
            counts[kind, "in"], counts[kind, "out"] = part.came_bytes, part.went_bytes
        return counts

    def errors() -> Mapping[tuple[str, ...], int]:
        return {
            (condition.value,): sum(each[condition] for each in ended)
            for condition in StreamCondition
        }

    yield Metric(
        "connections",
        "Open connections. One of HTTP is silent while no request is in progress; a WebSocket "
        "counts both as a connection of HTTP and as one of a client.",
        "gauge",
        by_state,
        labels=(Label("kind", kinds), Label("state", states)),
    )
    yield Metric(
        "traffic",
        "Bytes of streams and of HTTP, without TLS and the frames of WebSocket.",
        "counter",
        in_bytes,
        "bytes",
        labels=(Label("kind", kinds), _DIRECTION),
    )
    yield Metric(
        "stream_errors",
        "Streams that this server has ended with an error.",
        "counter",
        errors,
        labels=(Label("condition", [condition.value for condition in StreamCondition]),),
    )
    yield Metric(
        "websockets",
        "Open streams over WebSocket.",
        "gauge",
        lambda: sum(map(_is_web_socket, xmpp["client"].handlers)),
    )


def _is_web_socket(handler: ConnectionHandler) -> bool:
    return isinstance(handler.transport, WebSocketWire)


def stanza_metrics(
    carried: Carried, router: PacketRouter, broadcasts: BroadcastCounts
) -> Iterator[Metric]:
    """Stanzas, errors, and the fan-out of presence."""
    interceptors = router.interceptors
    peers, kinds = ("client", "server", "component"), (Message, Presence, IQ)

    def passed() -> Mapping[tuple[str, ...], int]:
        counts: dict[tuple[str, ...], int] = {}
        found = carried.sums
        for peer in peers:
            for kind in kinds:
                counts[peer, kind.name, "in"] = found[peer].came[kind.place]
                counts[peer, kind.name, "out"] = found[peer].went[kind.place]
        return counts

    yield Metric(
        "stanzas",
        "Stanzas that clients, servers and components have sent (in) or been sent (out).",
        "counter",
        passed,
        labels=(Label("peer", peers), Label("kind", [kind.name for kind in kinds]), _DIRECTION),
    )
    yield Metric(
        "slowed",
        "How often the server slowed a connection down, because it sent too fast.",
        "counter",
        lambda: {(peer,): found.slowed for peer, found in carried.sums.items() if peer in peers},
        labels=(Label("peer", peers),),
    )
    yield Metric(
        "stanza_errors",
        "Errors with which stanzas were answered.",
        "counter",
        lambda: {(condition.tag,): router.errors[condition] for condition in Condition},
        labels=(Label("condition", [condition.tag for condition in Condition]),),
    )
    yield Metric(
        "presence_broadcasts",
        "Presences that were sent to all of an account's contacts.",
        "counter",
        lambda: broadcasts.broadcasts,
    )
    yield Metric(
        "presence_copies",
        "Copies of presence broadcasts, one for each recipient.",
        "counter",
        lambda: broadcasts.copies,
    )
    yield Metric(
        "presence_withheld",
        "Presences that were not sent: denied by a privacy list; outdated by a newer one while "
        "they waited; repeated, since they said nothing new.",
        "counter",
        lambda: {
            ("denied",): interceptors.denied,
            ("outdated",): interceptors.outdated,
            ("repeated",): broadcasts.repeated,
        },
        labels=(Label("reason", ("denied", "outdated", "repeated")),),
    )


def stage_metrics(
    carried: Carried,
    router: PacketRouter,
    offline: OfflineMessageStrategy,
    updating: PresenceUpdateHandler,
    subscribing: PresenceSubscribeHandler,
    samples: StageSamples,
) -> Iterator[Metric]:
    """The stages: what has come to each, and how long it was at work."""

    def came() -> Mapping[tuple[str, ...], int]:
        sums = carried.sums
        by_peer = {peer: sum(sums[peer].came) for peer in ("client", "server", "component")}
        counts = {
            "ConnectionHandler": sum(by_peer.values()),
            "StanzaHandler": by_peer["client"],
            "IncomingStream": by_peer["server"],
            "ComponentStream": by_peer["component"],
            "PacketRouter": router.stanzas,
            "MessageRouter": router.message_router.stanzas,
            "OfflineMessageStrategy": offline.stanzas,
            "PresenceRouter": router.presence_router.stanzas,
            "PresenceUpdateHandler": updating.stanzas,
            "PresenceSubscribeHandler": subscribing.stanzas,
            "PresenceManager": updating.presences.stanzas,
            "Roster": updating.broadcast_counts.broadcasts,
            "IQRouter": router.iq_router.stanzas,
            "RoutingTable": router.routing_table.stanzas,
            "LocalClientSession": sum(sums["client"].went[:3]),
        }
        return {(stage,): count for stage, count in counts.items()}

    yield Metric(
        "stage_stanzas",
        "Stanzas that have reached a stage; for the Roster these are broadcasts, for the "
        "PresenceManager probes, and for the LocalClientSession stanzas written to clients.",
        "counter",
        came,
        labels=(Label("stage", STAGES),),
    )
    yield Metric(
        "stage",
        "Processor time of a stage, including what it calls, except other stages; sampled every "
        "20 ms of processor time.",
        "counter",
        lambda: {(stage,): spent_s for stage, spent_s in samples.seconds().items()},
        "seconds",
        labels=(Label("stage", samples.seen),),
    )


def login_metrics(
    connections: Connections, authentication: Authentication, resumption: Resumption
) -> Iterator[Metric]:
    """Logins, how they end and how long they take."""
    mechanisms = (*MECHANISMS, *HASHED_TOKEN, OTHER)

    def logins() -> Mapping[tuple[str, ...], int]:
        return dict(authentication.outcomes.items())

    yield Metric(
        "logins",
        "Logins that have succeeded or failed; a failure with a mechanism that was not offered has "
        "the mechanism other.",
        "counter",
        logins,
        labels=(Label("mechanism", mechanisms), Label("result", OUTCOMES)),
    )
    yield Metric(
        "login",
        "The time from a login's turn to its end: all contacts notified, or the session resumed.",
        "histogram",
        lambda: {(kind,): took_s for kind, took_s in connections.login_s.items()},
        "seconds",
        labels=(Label("kind", LOGINS),),
    )
    yield Metric(
        "resumptions",
        "Requests to resume a session: resumed; gone, so that the client must bind again; or "
        "refused.",
        "counter",
        lambda: {(outcome,): resumption.outcomes[outcome] for outcome in RESUMPTIONS},
        labels=(Label("result", RESUMPTIONS),),
    )


def loop_metrics(watch: LoopWatch, reactor: object) -> Iterator[Metric]:
    """How busy the loop is."""

    def of_hub(name: str) -> Callable[[], float]:
        return lambda: getattr(Hub.known(reactor), name, 0)

    yield Metric(
        "loop_late",
        "How late the loop was, measured every other second.",
        "histogram",
        lambda: watch.late_s,
        "seconds",
    )
    yield Metric("turns", "Turns in which ready sockets were served.", "counter", of_hub("turns"))
    yield Metric(
        "turn",
        "The time that turns have taken; its rate is the share of time in which the loop works.",
        "counter",
        of_hub("busy_s"),
        "seconds",
    )
    yield Metric(
        "queued",
        "Bytes that wait for peers which read slowly.",
        "gauge",
        of_hub("queued_bytes"),
        "bytes",
    )


def store_metrics(store: Store) -> Iterator[Metric]:
    """Calls of the database."""
    watched = store.watched
    yield Metric(
        "store",
        "The time that calls of the database take, including the wait for their turn.",
        "histogram",
        lambda: {(operation,): took_s for operation, took_s in watched.took_s.items()},
        "seconds",
        labels=(Label("operation", OPERATIONS),),
    )
    yield Metric(
        "store_failures",
        "Calls of the database that have failed.",
        "counter",
        lambda: {(operation,): watched.failures[operation] for operation in OPERATIONS},
        labels=(Label("operation", OPERATIONS),),
    )
    yield Metric(
        "store_queue",
        "Calls of the database that are under way or wait.",
        "gauge",
        lambda: watched.under_way,
    )


def node_metrics(membership: Membership, bus: Bus) -> Iterator[Metric]:
    """The other nodes of the service, and what is under way to them."""
    yield Metric(
        "cluster_nodes",
        "Nodes that belong to the service now, including this one.",
        "gauge",
        lambda: len(membership.nodes) + 1,
    )
    yield Metric(
        "cluster_queued_entries",
        "Entries for other nodes that those nodes have not handled yet.",
        "gauge",
        lambda: sum(each.entries for each in bus.traffic()),
    )
    yield Metric(
        "cluster_lag",
        "How long the oldest entry for another node has waited to be handled.",
        "gauge",
        lambda: max((each.lag_s for each in bus.traffic()), default=0.0),
        "seconds",
    )


def server_metrics(routes: ForeignRoutes) -> Iterator[Metric]:
    """Streams with other servers."""
    states = ("open", "negotiating")
    outgoing = routes.outgoing_connections

    def streams() -> Mapping[tuple[str, ...], int]:
        counts: dict[tuple[str, ...], int] = {
            (way, state): 0 for way in ("in", "out") for state in states
        }
        for stream in routes.streams():
            way = "out" if isinstance(stream, OutgoingStream) else "in"
            counts[way, "open" if stream.carries or stream.accepted else "negotiating"] += 1
        return counts

    yield Metric(
        "s2s_streams",
        "Streams with other servers; the direction is that of the connection.",
        "gauge",
        streams,
        labels=(_DIRECTION, Label("state", states)),
    )
    yield Metric(
        "s2s_queued_stanzas",
        "Stanzas that wait for a stream with another server.",
        "gauge",
        lambda: sum(len(pair.backlog) for pair in routes.pairs.values()),
    )
    yield Metric(
        "s2s_attempts",
        "Attempts to connect to other servers.",
        "counter",
        lambda: {
            ("reached",): outgoing.reached,
            ("failed",): outgoing.tried - outgoing.reached,
        },
        labels=(Label("result", ("reached", "failed")),),
    )


def web_metrics(connections: HTTPConnections, doors: HTTPDoors) -> Iterator[Metric]:
    """Requests by HTTP, and listeners."""
    yield Metric(
        "http_requests",
        "Requests that were answered; the route of a request for an unknown path is -.",
        "counter",
        lambda: dict(connections.answers.items()),
        labels=(Label("route", doors.paths.known), Label("status", _STATUSES)),
    )
    yield Metric(
        "doors_open",
        "Listeners that are open.",
        "gauge",
        lambda: sum(bool(endpoint.where) for endpoint in doors.endpoints),
    )


def certificate_metric(
    domains: Sequence[str], expires: Callable[[str], float | None], now: Callable[[], float]
) -> Metric:
    """The time for which certificates are still good.

    Args:
        domains: All that are served.
        expires: When a domain's certificate ends.
        now: Tells the time of day.
    """

    def left() -> Mapping[tuple[str, ...], float]:
        found = {domain: expires(domain) for domain in domains}
        return {(domain,): end - now() for domain, end in found.items() if end is not None}

    return Metric(
        "certificate_expires",
        "The time until a domain's certificate expires.",
        "gauge",
        left,
        "seconds",
        labels=(Label("domain", domains),),
    )
