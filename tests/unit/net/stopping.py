"""A server whose reactor stops with a client connected: ``python stopping.py REACTOR``.

It prints what the client hears and what the protocol is told.
"""

import socket
import sys

from twisted.application.reactors import installReactor


def main() -> None:
    """Run until the client is there, then stop."""
    from twisted.internet import reactor

    from tests.unit.net.peer import Recorder, Service, dial, everything
    from xmppd.net.epoll_endpoint import EPollServerEndpoint
    from xmppd.net.epoll_hub import Hub

    def made(server: Recorder) -> None:
        reactor.callLater(0, last_words, server)

    def last_words(server: Recorder) -> None:
        server.transport.write(b"goodbye")
        reactor.stop()

    clients: list[socket.socket] = []
    service = Service(made=made)
    listening = EPollServerEndpoint(reactor, 0, "127.0.0.1").listen(service)
    listening.addCallback(lambda port: clients.append(dial(port.getHost().port)))
    reactor.run()
    print(everything(clients[0]), service.all[0].calls, Hub.exists(reactor))


if __name__ == "__main__":
    installReactor(sys.argv[1])
    main()
