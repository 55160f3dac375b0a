"""ComponentConnections: the connections of components."""

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.connections import Connections
from xmppd.session.session import Connection


class ComponentConnections(Connections):
    """All connections of components. Silent ones are not pinged (CO-9)."""

    def authenticated(self, connection: Connection) -> None:
        """Note that a component is authenticated."""
        if isinstance(connection, ConnectionHandler):
            self.unauthenticated.discard(connection)
            self.login_queue.end(connection)
            connection.go_first()

    def check_silent(self, handler: ConnectionHandler, silent_s: float) -> None:
        """Write to it, so that the kernel finds out about a broken network."""
        if handler.stream_handler.established:
            handler.stream_handler.ping()
