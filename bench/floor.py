"""The floor: the system calls of a login and of a relay, and next to nothing else.

    python -m bench.floor PORT

Answers a login by PLAIN with what it has ready, then passes on what comes: a presence to all
others, anything else to the other one of a pair. It reads no XML, knows nobody, and is one bare
loop around an epoll: what it costs no server in Python can do without.
"""

import re
import select
import socket
import sys
from base64 import b64decode
from collections import deque

from bench.ours import ROOT, python, python_version
from bench.server import HOST, Server

READ_BYTES = 65_536
SCENARIOS = ("login", "chat", "ping", "presence")
NOT_SERVED = ("--starttls", "--managed", "--mechanism")

BIND = b"urn:ietf:params:xml:ns:xmpp-bind"
HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber."
    b"org/streams' id='0123456789abcdef' from='p.test' version='1.0' xml:lang='en'>"
)
ANSWERS = (
    HEADER + b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    b"<mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></success>",
    HEADER + b"<stream:features><bind xmlns='%b'/></stream:features>" % BIND,
    b"<iq type='result' id='bind'><bind xmlns='%b'><jid>u@p.test/r</jid></bind></iq>" % BIND,
    b"<iq type='result' id='roster'><query xmlns='jabber:iq:roster'/></iq>",
    b"<presence from='u@p.test/r' to='u@p.test/r'/>",
)
"""What is said to what a client says, one after the other: its last is its presence."""

_NUMBER = re.compile(rb"(\d+)\0")


class Floor(Server):
    """The floor as a server under measurement."""

    name = "floor"
    usual_port = 16_222

    def serves(self, load: str) -> bool:
        """Whether the scenario does nothing that it cannot."""
        words = load.split()
        return words[0] in SCENARIOS and not set(words) & set(NOT_SERVED)

    @property
    def keeps_accounts(self) -> bool:
        """Nobody has to be made known to it."""
        return False

    def check_installed(self) -> None:
        """It is here."""

    def version(self) -> str:
        """What it is, and the Python it runs on."""
        return f"floor: canned answers and a relay on {python_version()}"

    def configure(self) -> None:
        """It has nothing to configure."""

    def command(self) -> list[str]:
        """Run this module, by the interpreter that runs xmppd."""
        return [python(), "-m", "bench.floor", str(self.port)]

    def environment(self) -> dict[str, str]:
        """This checkout."""
        return {"PYTHONPATH": str(ROOT)}


class Connection:
    """One client."""

    __slots__ = ("answers", "number", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.answers = deque(ANSWERS)
        self.number = 0

    def take(self, data: bytes, everybody: "dict[int, Connection]") -> None:
        """Take what has come: answer it while it logs in, and pass it on afterwards."""
        if self.answers:
            if data.startswith(b"<auth"):
                plain = b64decode(data.partition(b">")[2].partition(b"<")[0])
                self.number = int((_NUMBER.search(plain) or [b"", b"0"])[1])
                everybody[self.number] = self
            self.socket.send(self.answers.popleft())
        elif data.startswith(b"<presence"):
            for other in everybody.values():
                other.socket.send(data)
        else:
            everybody[self.number ^ 1].socket.send(data)


def serve(port: int) -> None:
    """Serve until the process is ended."""
    door = socket.create_server((HOST, port), backlog=4_096)
    epoll = select.epoll()
    epoll.register(door, select.EPOLLIN)
    connections: dict[int, Connection] = {}
    everybody: dict[int, Connection] = {}
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == door.fileno():
                connected, _ = door.accept()
                connected.setblocking(False)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                epoll.register(connected, select.EPOLLIN)
                connections[connected.fileno()] = Connection(connected)
                continue
            connection = connections[descriptor]
            try:
                data = connection.socket.recv(READ_BYTES)
                if data and data != b"</stream:stream>":
                    connection.take(data, everybody)
                    continue
            except OSError:
                pass  # a peer that is gone, or does not read: here that is nobody's concern
            epoll.unregister(descriptor)
            del connections[descriptor]
            if everybody.get(connection.number) is connection:
                del everybody[connection.number]
            connection.socket.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
