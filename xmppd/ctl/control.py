"""Control: the server's side of xmppctl, a socket in the data directory that only its owner may
use.
"""

import os
import socket
import struct
from collections import ChainMap
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from pwd import getpwuid

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

from xmppd.command.command import Description
from xmppd.command.command_context import SHELL, CommandContext
from xmppd.command.command_table import CommandTable
from xmppd.command.exit_status import DONE
from xmppd.command.refused import Refused, failed
from xmppd.ctl.completion import completions, place_of
from xmppd.ctl.protocol import (
    MAX_REQUEST_BYTES,
    Answer,
    ControlRequest,
    badness,
    head_of,
    line_of,
)
from xmppd.ctl.reading import ask_secret, read

MAX_CONNECTIONS = 16
_PEER = struct.Struct("3i")
_log = Logger()


@implementer(IPushProducer)
class ControlProtocol(LineOnlyReceiver):
    """The protocol of one xmppctl: a command at a time, and no more rows than it reads.

    Args:
        factory: Knows the commands and all connections.
    """

    transport: Server
    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST_BYTES

    def __init__(self, factory: "Control") -> None:
        self.control = factory
        self.busy = False
        self._actor = SHELL
        self._gone = self._endless = False
        self._work: Deferred[None]
        self._room: Deferred[None] | None = None
        self._context: CommandContext | None = None

    def connectionMade(self) -> None:
        """Admit the server's own user, and root."""
        uid = peer_uid(self.transport.getHandle())
        self._actor = replace(SHELL, name=user_name(uid))
        if not may_command(uid):
            self._refuse(0, "only root and the user that the server runs as may do this")
        elif not self.control.admits(self):
            self._refuse(0, f"{MAX_CONNECTIONS} other commands are running; try again later")
        else:
            self.transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Finish its command without answering; one that has no end is stopped."""
        self.control.forget(self)
        self._gone = True
        if self._context is not None:
            self._context.listening = False
        if self._endless:
            self._work.cancel()
        self.resumeProducing()

    def lineReceived(self, line: bytes) -> None:
        """Take a request."""
        if self._gone:
            return
        try:
            request = json.decode(line, type=ControlRequest)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(0, f"invalid request ({error})")
            return
        if self.busy:
            self._refuse(request.id, "send one command at a time")
            return
        self.busy = True
        self._work = Deferred.fromCoroutine(self._answer(request))

    def lineLengthExceeded(self, line: bytes) -> None:
        """Close, since no request is so long."""
        self._refuse(0, f"a request may have at most {MAX_REQUEST_BYTES} bytes")

    async def _answer(self, request: ControlRequest) -> None:
        try:
            last = Answer(request.id, done=True, status=await self._run(request))
        except CancelledError:
            return
        except Refused as error:
            last = refusal(request.id, error)
        except Exception:
            _log.failure("xmppctl's {command} failed", command=request.command)
            last = refusal(request.id, failed())
        self.busy = self._endless = False
        self._send(last)

    async def _run(self, request: ControlRequest) -> int:
        """Answer a request; returns the status to end with."""
        table = self.control.commands
        if request.complete:
            words = request.words or [""]
            place = place_of(words, self.control.descriptions.values())
            for word in await completions(table, self._actor, place, words[-1]):
                self._send(Answer(request.id, note=word))
            return DONE
        name, given = request.command, request.arguments
        if request.words is not None:
            asked = read(request, self.control.descriptions)
            if isinstance(asked, Answer):
                self._send(asked)
                return DONE
            name, given = asked.about.name, asked.given
            if name not in table.commands:
                self._send(Answer(request.id, elsewhere=True))
                return DONE
            if asked.secret is not None:
                await table.check_before_secret(asked.about, given, self._actor)
                self._send(ask_secret(request, asked))
                return DONE
        command, context = table.asked(name, given, self._actor)
        if request.words is not None:
            self._send(Answer(request.id, head=head_of(command.about, command.rows)))
        self._context = context
        worst = DONE
        self._endless = command.about.answers == "stream"
        async with aclosing(table.replies(command, context)) as found:
            async for reply in found:
                if self._room is not None:
                    await self._room
                line = line_of(reply)
                worst = max(worst, badness(command.about, line))
                if isinstance(line, str):
                    self._send(Answer(request.id, note=line))
                else:
                    self._send(Answer(request.id, row=line))
        return worst

    def give_way(self) -> None:
        """Close an idle connection, since another needs its place."""
        self._refuse(
            0,
            "the server closed this connection, because it was idle and others were "
            "waiting; try again",
        )

    def _send(self, answer: Answer) -> None:
        if not self._gone:
            self.transport.write(json.encode(answer) + b"\n")

    def _refuse(self, id: int, why: str) -> None:
        self._send(refusal(id, Refused(why)))
        self._gone = True
        self.resumeProducing()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    # -- xmppctl reads more slowly than we write ------------------------------------------------

    def pauseProducing(self) -> None:
        """Write no more rows for now."""
        if self._room is None and not self._gone:
            self._room = Deferred()

    def resumeProducing(self) -> None:
        """Go on writing rows."""
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """Stop, since nothing is read any more."""
        self.resumeProducing()


class Control(ServerFactory):
    """Makes a ControlProtocol for each xmppctl, up to a number.

    Args:
        commands: The table of commands.
        others: Descriptions of those that need no server, and are done elsewhere.

    Attributes:
        commands: The table of commands.
        descriptions: Of all commands that xmppctl has, by name, as they are just now.
        admitted: Those that may give commands, the oldest first.
    """

    noisy = False

    def __init__(self, commands: CommandTable, others: Iterable[Description] = ()) -> None:
        self.commands = commands
        self.admitted: dict[ControlProtocol, None] = {}
        self.descriptions = ChainMap(commands.descriptions, {about.name: about for about in others})

    def admits(self, connection: ControlProtocol) -> bool:
        """Admit a connection, in place of the oldest idle one if there is no room; returns whether
        it is.
        """
        if len(self.admitted) >= MAX_CONNECTIONS:
            idle = next((other for other in self.admitted if not other.busy), None)
            if idle is None:
                return False
            self.forget(idle)
            idle.give_way()
        self.admitted[connection] = None
        return True

    def forget(self, connection: ControlProtocol) -> None:
        """Forget a connection that is gone, or about to be."""
        self.admitted.pop(connection, None)

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        """Make the protocol for a new connection."""
        return ControlProtocol(self)


def refusal(id: int, error: Refused) -> Answer:
    """The line that says that a request is refused."""
    return Answer(
        id, error=str(error), code=error.code, argument=error.argument, status=error.status
    )


def listen(reactor: IReactorUNIX, path: Path, factory: Control) -> IListeningPort:
    """Listen on a socket that only its owner may use; one that a crash left is replaced.

    Raises:
        OSError: It cannot be made there.
    """
    path.unlink(missing_ok=True)
    return reactor.listenUNIX(str(path), factory, mode=0o600)


def may_command(uid: int) -> bool:
    """Whether this user may give commands: the server's own, and root."""
    return uid in (0, os.geteuid())


@lru_cache(MAX_CONNECTIONS)
def user_name(uid: int) -> str:
    """The name of a user of this machine, or the number of one without a name."""
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    uid: int = _PEER.unpack(credentials)[1]
    return uid


__all__ = [
    "Control",
    "ControlProtocol",
    "listen",
    "may_command",
    "peer_uid",
    "refusal",
    "user_name",
]
