"""The server's side of xmppctl: a socket in the data directory that only its owner may use."""

import os
import socket
import struct
from contextlib import aclosing
from pathlib import Path

from msgspec import DecodeError, json
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IPushProducer,
    IReactorUNIX,
)
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.internet.unix import Server
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.ctl.command import Desk, replies
from xmppd.ctl.commands import TABLE
from xmppd.ctl.protocol import MAX_REQUEST_BYTES, Answer, Refused, Request

MAX_CONNECTIONS = 16
_PEER = struct.Struct("3i")
_log = Logger()


@implementer(IPushProducer)
class ControlProtocol(LineOnlyReceiver):
    """One xmppctl: a command at a time, and no more rows than it reads.

    Args:
        factory: Knows the desk, and how many there are of us.
    """

    transport: Server
    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST_BYTES

    def __init__(self, factory: "Control") -> None:
        self.control = factory
        self._busy = self._gone = self._endless = False
        self._work: Deferred[None]
        self._room: Deferred[None] | None = None

    def connectionMade(self) -> None:
        """Let in who owns the server, and root."""
        self.control.connections += 1
        if not may_command(peer_uid(self.transport.getHandle())):
            self._refuse(0, "only the user that the server runs as, and root, may do this")
        elif self.control.connections > MAX_CONNECTIONS:
            self._refuse(0, f"{MAX_CONNECTIONS} others are giving commands; try again later")
        else:
            self.transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The command it gave is done without telling; one that has no end is given up."""
        self.control.connections -= 1
        self._gone = True
        if self._endless:
            self._work.cancel()
        self.resumeProducing()

    def lineReceived(self, line: bytes) -> None:
        """A request."""
        if self._gone:
            return
        try:
            request = json.decode(line, type=Request)
        except DecodeError as error:
            self._refuse(0, f"this is no request ({error})")
            return
        if self._busy:
            self._refuse(request.id, "one command at a time")
            return
        self._busy = True
        self._work = Deferred.fromCoroutine(self._answer(request))

    def lineLengthExceeded(self, line: bytes) -> None:
        """Nobody asks so much."""
        self._refuse(0, f"a request has at most {MAX_REQUEST_BYTES} bytes")

    async def _answer(self, request: Request) -> None:
        try:
            await self._run(request)
            last = Answer(request.id, done=True)
        except CancelledError:
            return
        except Refused as error:
            last = Answer(request.id, error=str(error))
        except Exception:
            _log.failure("xmppctl's {command} failed", command=request.command)
            last = Answer(request.id, error="this failed; the server's log has the reason")
        self._busy = self._endless = False
        self._send(last)

    async def _run(self, request: Request) -> None:
        command = TABLE.get(request.command)
        if command is None or command.needs == "file":
            raise Refused(f'the server knows no command "{request.command}"')
        _log.info("xmppctl: {command}", command=request.command)
        self._endless = command.answers == "stream"
        async with aclosing(replies(command, self.control.desk, request.arguments)) as found:
            async for reply in found:
                if self._room is not None:
                    await self._room
                if isinstance(reply, str):
                    self._send(Answer(request.id, note=reply))
                else:
                    self._send(Answer(request.id, row=reply))

    def _send(self, answer: Answer) -> None:
        if not self._gone:
            self.transport.write(json.encode(answer) + b"\n")

    def _refuse(self, id: int, why: str) -> None:
        self._send(Answer(id, error=why))
        self._gone = True
        self.resumeProducing()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    # -- xmppctl reads more slowly than we write ------------------------------------------------

    def pauseProducing(self) -> None:
        """No more rows for the moment."""
        if self._room is None and not self._gone:
            self._room = Deferred()

    def resumeProducing(self) -> None:
        """Go on."""
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """Nobody reads any more."""
        self.resumeProducing()


class Control(ServerFactory):
    """Makes a ControlProtocol for each xmppctl.

    Attributes:
        desk: What commands work with.
        connections: How many there are.
    """

    noisy = False

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.connections = 0

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        """Somebody is there."""
        return ControlProtocol(self)


def listen(reactor: IReactorUNIX, path: Path, factory: Control) -> IListeningPort:
    """Listen on a socket that only its owner may use; one that a crash left is replaced.

    Raises:
        OSError: It cannot be made there.
    """
    path.unlink(missing_ok=True)
    return reactor.listenUNIX(str(path), factory, mode=0o600)


def may_command(uid: int) -> bool:
    """Whether this user may give commands: whoever the server runs as, and root."""
    return uid in (0, os.geteuid())


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    uid: int = _PEER.unpack(credentials)[1]
    return uid


__all__ = ["Control", "ControlProtocol", "listen", "may_command", "peer_uid"]
