"""A cable between a server and its PostgreSQL that may fall silent: nobody is told."""

import os
import socket
from contextlib import suppress
from threading import Event, Thread

from sqlalchemy import URL, make_url


class DatabaseCable:
    """Leads from a port of the loopback interface to PostgreSQL.

    Args:
        url: Of a database there, by whatever way PostgreSQL itself can be reached.

    Attributes:
        url: Of the same database, by this cable.
        connections: How many have been made by it.
    """

    def __init__(self, url: str) -> None:
        self._there = make_url(url)
        self._silent = Event()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        port = self._listener.getsockname()[1]
        here = self._there.set(host="127.0.0.1", port=port, query={})
        self.url = here.render_as_string(hide_password=False)
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on everything is swallowed, in both directions, and nobody is told."""
        self._silent.set()

    def mend(self) -> None:
        """New connections come through; those that there were stay silent."""
        self._silent = Event()

    def take_away(self) -> None:
        """Nothing is left of it."""
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                self.connections += 1
                there = _connected(self._there)
                self._ends += [here, there]
                silent = self._silent
                for source, sink in ((here, there), (there, here)):
                    Thread(target=_pass_on, args=(source, sink, silent), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, silent: Event) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            if not silent.is_set():
                sink.sendall(data)
        if not silent.is_set():
            sink.shutdown(socket.SHUT_WR)


def _connected(url: URL) -> socket.socket:
    host = url.query.get("host") or url.host or "127.0.0.1"
    assert isinstance(host, str), "one server is enough"
    port = url.port or int(os.environ.get("PGPORT", "5432"))
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    end = socket.socket(socket.AF_UNIX)
    end.connect(f"{host}/.s.PGSQL.{port}")
    return end
