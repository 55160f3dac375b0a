"""What a login costs over sockets, step by step, in one process: CPU of the server's end only.

    python -m bench.login                      # by PLAIN, in the clear and with STARTTLS
    python -m bench.in_turn ../parent sockets  # in turn with the xmppd of another checkout

Clients connect to a port in the hub, and take each step together: what they send has come before
the hub has its turns, and those are what is measured. So no more is in it than the server's Python,
OpenSSL and the system calls; what those of a login cost by themselves, ``bench.floor`` tells.
"""

import select
import socket
import ssl
import sys
from collections.abc import Iterator
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IListeningPort

from bench.compare import machine, table
from bench.ours import plugins
from bench.tls import KEYS, NAME, Loop, client_context, cost_s, write_certificate
from bench.where import AFTERWARDS_S, LOGIN, said_by
from xmppd.config.config import DomainSettings, ListenSettings, TLSSettings
from xmppd.events import OWNER
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.epoll_hub import Hub
from xmppd.net.tls import TLS
from xmppd.stanza import ns
from xmppd.stream.starttls import starttls_feature
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House

CLIENTS = 100
RUNS = 7
STARTTLS = b"<starttls xmlns='%b'/>" % ns.TLS.encode()


class SocketLogins:
    """Clients that log in, and leave, all of them a step at a time.

    Args:
        starttls: Whether they speak TLS.
    """

    def __init__(self, *, starttls: bool) -> None:
        self.starttls = starttls
        self.loop = Loop()
        self.house = House(NAME, plugins=plugins(archives=False), clock=self.loop)
        self.names = [f"u{number}" for number in range(CLIENTS)]
        for name in self.names:
            done(self.house.server.passwords.create(self.house.jid(name).bare, PASSWORD))
        listeners = self.house.server.listeners
        with TemporaryDirectory(prefix="xmppd-bench-") as directory:
            file = write_certificate(Path(directory), next(iter(KEYS)))
            domain = DomainSettings(name=NAME, certificate=str(file))
            listeners.tls = TLS(TLSSettings(), (domain,))
        self.house.server.stream_features.put(starttls_feature(required=False), OWNER)
        listener = listeners.listener(
            ListenSettings(endpoint="", kind="client", tls="starttls" if starttls else "none")
        )
        ports: list[IListeningPort] = []
        endpoint = EPollServerEndpoint(self.loop, 0, interface="127.0.0.1")
        endpoint.listen(listener).addCallback(ports.append)
        address = ports[0].getHost()
        assert isinstance(address, IPv4Address), "it listens on 127.0.0.1"
        self.port = address.port
        self.hub = Hub.of(self.loop)
        self.context = client_context()

    def steps(self) -> Iterator[tuple[str, float]]:
        """Each step, and its CPU time in seconds for all of them."""
        clients: list[socket.socket] = [
            socket.create_connection(("127.0.0.1", self.port)) for _ in self.names
        ]
        yield "a connection is made", self._served()
        (header, opened), *others = LOGIN
        if self.starttls:
            yield "the first header, and starttls", self._said(clients, [opened + STARTTLS])
            wrapped = [self._wrapped(client) for client in clients]
            yield "the handshake", self._hands_shaken(wrapped)
            clients = [*wrapped]
        yield header, self._said(clients, [opened])
        for title, said in others:
            words = [said_by(name, said) for name in self.names]
            yield title, self._said(clients, words)
        for client in clients:
            client.close()
        yield "the connection is gone", self._served()

    def _said(self, clients: list[socket.socket], words: list[bytes]) -> float:
        """What it costs the server that all say this."""
        for number, client in enumerate(clients):
            client.sendall(words[number % len(words)])
        spent_s = self._served()
        for client in clients:
            client.recv(65_536)
        return spent_s

    def _served(self) -> float:
        """The CPU time of the turns of the hub, until nothing is left to do."""
        spent_s = cost_s(partial(self.loop.advance, 0))
        while select.select([self.hub.fileno()], [], [], 0)[0]:
            spent_s += cost_s(self.hub.doRead)
            spent_s += cost_s(partial(self.loop.advance, 0))
        return spent_s

    def _wrapped(self, client: socket.socket) -> ssl.SSLSocket:
        client.setblocking(False)
        return self.context.wrap_socket(client, do_handshake_on_connect=False, server_hostname=NAME)

    def _hands_shaken(self, clients: list[ssl.SSLSocket]) -> float:
        spent_s, left = 0.0, clients
        while left:
            left = [client for client in left if not _is_done(client)]
            spent_s += self._served()
        for client in clients:
            client.setblocking(True)
        return spent_s

    def costs(self, runs: int = RUNS) -> dict[str, float]:
        """What each step costs, in microseconds: the least of some runs; and all until presence."""
        least: dict[str, float] = {}
        for run in range(runs + 1):
            for step, spent_s in self.steps():
                if run:  # in the first one passwords are hashed
                    step_us = spent_s / len(self.names) * 1e6
                    least[step] = min(step_us, least.get(step, inf))
            self.loop.advance(AFTERWARDS_S)
        return least


def _is_done(client: ssl.SSLSocket) -> bool:
    """Make one step of the handshake."""
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def socket_login_costs() -> dict[str, float]:
    """What each step of a login costs over sockets, in the clear and with STARTTLS, and all of
    it.
    """
    found: dict[str, float] = {}
    for way, starttls in (("clear", False), ("STARTTLS", True)):
        costs = SocketLogins(starttls=starttls).costs()
        found |= {f"{way}: {step}": each_us for step, each_us in costs.items()}
        *login, _, _ = costs.values()
        found[f"{way}: all until the first presence"] = sum(login)
    return found


def main() -> int:
    """Print what each step costs."""
    print(f"{machine()}\n")
    rows = [[step, f"{each_us:.1f}"] for step, each_us in socket_login_costs().items()]
    print(table(["step of a login over sockets", "CPU, µs, least"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
