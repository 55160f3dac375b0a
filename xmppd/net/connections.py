"""Connections of clients: their limits, their counts and the silent ones."""

from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from xmppd.auth.hashed_token import HASHED_TOKEN
from xmppd.cluster.membership import Membership
from xmppd.config.config import StreamSettings
from xmppd.handler.presence_update_handler import SessionAvailable
from xmppd.host.machine import Descriptors
from xmppd.host.metrics import Histogram
from xmppd.net.connection_handler import ConnectionHandler, shared_preparing
from xmppd.net.login_queue import LoginQueue
from xmppd.net.wire_counts import WireCounts
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import SessionResumed
from xmppd.session.session_manager import SessionBound
from xmppd.stanza import Condition, StanzaError, StreamCondition, StreamError

LOGINS = ("password", "token", "resumed")
"""The kinds of logins: by a password or certificate, by a token, and to resume a session."""

LOGIN_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Connections:
    """All connections of clients, from whichever endpoint.

    One sweep over all of them looks for the silent (CH-4); no connection has a timer of its own.

    Args:
        limits: Of connections.
        clock: The reactor's.
        descriptors: The number of connections there may be, of all kinds together.
        membership: Says whether anything may be taken from a wire now.
        lateness: Each tells how late some part of the server is, in seconds.

    Attributes:
        login_queue: Says which connections may log in now.
        preparing: The time that preparing addresses has taken for all of them together (CH-7).
        traffic: Counts what those carried that are gone, and the errors of all.
        on_closed: Called with each that is gone.
        handlers: Those of all connections.
        unauthenticated: Those that have not bound a resource.
        silent: Those that have not sent anything, the oldest first.
        on_sweep: Called by the same sweep, for sessions that have no connection.
        login_s: The time that logins have taken, by kind.
    """

    def __init__(
        self,
        settings: StreamSettings,
        clock: IReactorTime,
        descriptors: Descriptors,
        membership: Membership,
        *lateness: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.descriptors = descriptors
        self.membership = membership
        self.login_queue = LoginQueue[ConnectionHandler](clock, lateness, self._logged_in)
        self.preparing = shared_preparing()
        self.traffic = WireCounts()
        self.on_closed: Callable[[ConnectionHandler], None] = lambda handler: None
        self.handlers: set[ConnectionHandler] = set()
        self.unauthenticated: set[ConnectionHandler] = set()
        self.silent: dict[ConnectionHandler, None] = {}
        self.login_s = {kind: Histogram(*LOGIN_BOUNDS_S) for kind in LOGINS}
        self._addresses: Counter[str] = Counter()
        self._counted: dict[ConnectionHandler, str] = {}
        self.on_sweep: tuple[Callable[[], None], ...] = ()
        self._empty: Deferred[None] | None = None
        self._sweep = LoopingCall(self.sweep)
        self._sweep.clock = clock

    def use(self, settings: StreamSettings) -> None:
        """Take other limits; connections that exist stay."""
        self.settings = settings

    def start(self) -> None:
        """Begin to look after connections."""
        shortest_s = min(self.settings.negotiation_timeout_s, self.settings.idle_timeout_s)
        self._sweep.start(min(15.0, max(1.0, shortest_s / 4)), now=False)

    def stop(self) -> None:
        """Look after connections no more, and let nobody log in."""
        if self._sweep.running:
            self._sweep.stop()
        self.login_queue.stop()

    def close(self, error: StreamError) -> Deferred[None]:
        """Close every stream, each told why; done when the last connection is gone."""
        self.stop()
        empty = self._empty = Deferred[None]()
        for handler in self.handlers:
            handler.stream_handler.hear_no_more()
        for handler in tuple(self.handlers):
            handler.close(error)
        self._tell_if_empty()
        return empty

    def reset(self) -> None:
        """Close every stream, since this node may not act for now, or any more.

        Clients are to look for another node, or to come back; nobody else is told before this node
        may act again, and resumes what can be resumed (CL-65).
        """
        error = StreamError(
            StreamCondition.RESET, "this node of the service is out of action; reconnect"
        )
        for handler in tuple(self.handlers):
            handler.close(error, by_accident=True)

    def opened(self, handler: ConnectionHandler) -> None:
        """Count a new connection; when there is no room, the oldest silent one is closed. There is
        no room either when connections have all the files they may open (CH-9); if none is silent
        then, the new one is closed.
        """
        self.handlers.add(handler)
        self.unauthenticated.add(handler)
        fits = self.descriptors.have_room_for(handler.descriptor)
        if self.silent and not (
            fits and len(self.unauthenticated) <= self.settings.max_unauthenticated
        ):
            longest = next(iter(self.silent))
            del self.silent[longest]
            longest.transport.abortConnection()
        elif not fits:
            handler.transport.abortConnection()
        self.silent[handler] = None

    def admit(self, handler: ConnectionHandler) -> Deferred[None] | None:
        """Count a connection for its address, which is known with its first bytes, and let it log
        in.

        Returns:
            An awaitable while the server has enough to do (SC-11); that time does not count as
            negotiation.

        Raises:
            StreamError: POLICY_VIOLATION: there are too many from there; RESOURCE_CONSTRAINT: there
                are too many unauthenticated ones.
        """
        self.silent.pop(handler, None)
        if len(self.unauthenticated) > self.settings.max_unauthenticated:
            raise self.login_queue.refusal()
        address = handler.address
        if self._addresses[address] >= self.settings.max_streams_per_address:
            raise StreamError(
                StreamCondition.POLICY_VIOLATION, "too many streams from your address"
            )
        self._addresses[address] += 1
        self._counted[handler] = address
        turn = self.login_queue.begin(handler)
        return None if turn is None else turn.addCallback(self._let_in, handler)

    def _let_in(self, _: None, handler: ConnectionHandler) -> None:
        handler.opened_at = self.clock.seconds()

    def step_back(self, session: LocalClientSession) -> Deferred[None] | None:
        """Let logins by token go before a full login that is about to be bound.

        Returns:
            An awaitable, as :meth:`admit`; it fails with a StanzaError when its stream was closed
            for waiting too long.
        """
        handler = session.connection
        if not isinstance(handler, ConnectionHandler):
            return None
        turn = self.login_queue.step_back(handler)
        return (
            None
            if turn is None
            else turn.addCallbacks(
                self._let_in, self._refused, callbackArgs=(handler,), errbackArgs=(handler,)
            )
        )

    def _refused(self, failure: Failure, handler: ConnectionHandler) -> None:
        error = failure.value
        assert isinstance(error, StreamError), "that is what it gives up with"
        handler.close(error)
        raise StanzaError(Condition.RESOURCE_CONSTRAINT, error.text)

    def greet(self, handler: ConnectionHandler) -> None:
        """Note that a connection is authenticated, and that its login is complete."""
        self.unauthenticated.discard(handler)
        self.login_queue.end(handler)
        handler.go_first()

    def bound(self, event: SessionBound) -> None:
        """Note that a client has bound a resource; its login goes on."""
        handler = event.session.connection
        if isinstance(handler, ConnectionHandler):
            self.unauthenticated.discard(handler)
            if not self.login_queue.is_in_progress(handler):
                handler.go_first()

    def arrived(self, event: SessionAvailable) -> None:
        """Note that a login is complete: all contacts have been told."""
        handler = event.session.connection
        if isinstance(handler, ConnectionHandler):
            login = event.session.login
            is_token = login is not None and login.mechanism in HASHED_TOKEN
            self._took(handler, "token" if is_token else "password")
            self.login_queue.end(handler)
            self._logged_in(handler)

    def _took(self, handler: ConnectionHandler, kind: str) -> None:
        """Note how long a login has taken from its turn on; later presences are none."""
        if self.login_queue.is_in_progress(handler):
            self.login_s[kind].observe(self.clock.seconds() - handler.opened_at)

    def resumed(self, event: SessionResumed) -> None:
        """Note that a login is complete which has resumed a session: no contact is told."""
        handler = event.session.connection
        if isinstance(handler, ConnectionHandler):
            self.unauthenticated.discard(handler)
            self._took(handler, "resumed")
            self.login_queue.end(handler)
            self._logged_in(handler)

    def _logged_in(self, handler: ConnectionHandler) -> None:
        """Note that a login is over, or takes too long; sessions online are served before
        logins.
        """
        if handler.stream_handler.established:
            handler.go_first()

    def closed(self, handler: ConnectionHandler) -> None:
        """Forget a connection that is gone."""
        self.handlers.discard(handler)
        self.on_closed(handler)
        self.traffic.gone.add(handler.counts)
        self.unauthenticated.discard(handler)
        self.silent.pop(handler, None)
        self.login_queue.end(handler)
        address = self._counted.pop(handler, None)
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._empty is not None and not self.handlers:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def sweep(self) -> None:
        """Close streams that take too long to log in or do not answer, and ping silent ones."""
        now = self.clock.seconds()
        settings = self.settings
        for handler in tuple(self.unauthenticated):
            if (
                now - handler.opened_at > settings.negotiation_timeout_s
                and not self.login_queue.refuse(handler)
            ):
                _close_late(handler, "the login took too long")
        for handler in tuple(self.handlers):
            silent_s = now - handler.received_at
            if silent_s > settings.idle_timeout_s:
                self.check_silent(handler, silent_s)
        for look in self.on_sweep:
            look()

    def check_silent(self, handler: ConnectionHandler, silent_s: float) -> None:
        """Ping a connection that has been silent for so long, and end it if it does not answer."""
        if not handler.pinged and handler.stream_handler.established:
            handler.pinged = True
            handler.stream_handler.ping()
        elif silent_s > self.settings.idle_timeout_s + self.settings.ping_timeout_s:
            _close_late(handler, "no answer to a ping")


def _close_late(handler: ConnectionHandler, text: str) -> None:
    handler.close(StreamError(StreamCondition.CONNECTION_TIMEOUT, text))
