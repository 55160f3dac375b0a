"""A way between two processes that a test can cut: nothing gets through, and nobody is told."""

import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Flag, auto
from multiprocessing.connection import wait
from threading import Event, Thread

LOOK_S = 0.02


class Direction(Flag):
    """Which bytes: those to the target, or those that come back."""

    FORTH = auto()
    BACK = auto()
    BOTH = FORTH | BACK


NOTHING = Direction(0)


class CutProxy(Thread):
    """Passes on what comes to a port of its own.

    Args:
        target: The port where it goes; asked when there is a connection.

    Attributes:
        port: Its own.
        connections: So many were made.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.connections = 0
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._other_ends: dict[socket.socket, socket.socket] = {}
        self._targets: set[socket.socket] = set()
        self._stopped = Event()
        self._cut = NOTHING

    def run(self) -> None:
        """Pass on what comes, until it is stopped."""
        was_cut = NOTHING
        while not self._stopped.is_set():
            if was_cut and not self._cut:
                self._close_all()
            was_cut = self._cut
            ends = [end for end in self._other_ends if not was_cut & self._direction(end)]
            for sock in wait([self._listening, *ends], LOOK_S):  # any number of descriptors
                if sock is self._listening:
                    self._accept()
                elif sock in self._other_ends:
                    self._pass_on(sock)
        self._close_all()
        self._listening.close()

    def cut(self, direction: Direction = Direction.BOTH) -> None:
        """Let nothing through: connections stay, new ones are taken, and say nothing."""
        self._cut = direction

    def mend(self) -> None:
        """Let all through again; connections of before are closed."""
        self._cut = NOTHING

    def stop(self) -> None:
        """Close everything."""
        self._stopped.set()
        self.join()

    def _accept(self) -> None:
        here = self._listening.accept()[0]
        self.connections += 1
        if self._cut == Direction.BOTH:
            self._other_ends[here] = here
            return
        try:
            there = socket.create_connection(("127.0.0.1", self._target()))
        except OSError:
            here.close()
            return
        self._other_ends[here], self._other_ends[there] = there, here
        self._targets.add(there)

    def _direction(self, end: socket.socket) -> Direction:
        return Direction.BACK if end in self._targets else Direction.FORTH

    def _pass_on(self, sock: socket.socket) -> None:
        other = self._other_ends[sock]
        try:
            data = sock.recv(65_536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in {sock, other}:
            del self._other_ends[end]
            self._targets.discard(end)
            end.close()

    def _close_all(self) -> None:
        for end in tuple(self._other_ends):
            with suppress(OSError):
                end.close()
        self._other_ends.clear()
        self._targets.clear()
