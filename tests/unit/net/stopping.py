"""A server whose reactor stops with a client connected: ``python -m tests.unit.net.stopping``.

It prints what the client hears, what the protocol is told, and the hubs that are left. The reactor
is the one that the environment variable ``XMPPD_TEST_REACTOR`` names.
"""

import os
import socket
import sys

from twisted.application.reactors import installReactor
from twisted.internet.interfaces import IListeningPort

installReactor(os.environ["XMPPD_TEST_REACTOR"])

from tests.unit.net.peer import Recorder, Service, clock, dial, everything, port_number  # noqa: E402
from xmppd.net.epoll_endpoint import EPollServerEndpoint  # noqa: E402
from xmppd.net.epoll_hub import Hub  # noqa: E402


def say_goodbye(server: Recorder) -> None:
    """Write, and stop before anything could leave."""
    server.transport.write(b"goodbye")
    clock.stop()


def main() -> None:
    """Run until the client is there, then stop."""
    clients: list[socket.socket] = []

    def connect(port: IListeningPort) -> None:
        clients.append(dial(port_number(port)))

    service = Service(made=lambda server: clock.callLater(0, say_goodbye, server))
    EPollServerEndpoint(clock, 0, "127.0.0.1").listen(service).addCallback(connect)
    clock.run()
    heard = everything(clients[0])
    hubs = [reader for reader in clock.getReaders() if isinstance(reader, Hub)]
    sys.stdout.write(f"{heard!r} {service.all[0].calls} {hubs}\n")


if __name__ == "__main__":
    main()
