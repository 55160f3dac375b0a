"""One question to name servers: by UDP, and once by TCP if the answer is too long for that."""

import struct
from collections.abc import Sequence
from secrets import randbelow

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    ITCPTransport,
    IUDPTransport,
)
from twisted.internet.protocol import DatagramProtocol, Factory, connectionDone
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

MAX_RECORDS = 64
"""Records of an answer that are read: the owner of a name in DNS may give it thousands."""

MAX_DATAGRAM_BYTES = 8_192
"""Longer than any answer to a question that does not ask for more than 512 bytes."""

_HEADER = struct.Struct(">HHHHHH")
_UNREADABLE = (EOFError, ValueError, IndexError, struct.error)

WORDS = {dns.ESERVER: "SERVFAIL", dns.EREFUSED: "REFUSED", dns.EFORMAT: "FORMERR"}


class LookupFailed(Exception):
    """A question without a usable answer; the text says why."""


class NoSuchName(LookupFailed):
    """An answer of DNS that there are no such records."""


class NoAnswer(LookupFailed):
    """No answer of DNS; another time there may be one."""


class _Silence(NoAnswer):
    """No answer in time: the same server may be asked again."""


class IResolverReactor(IReactorTCP, IReactorUDP, IReactorTime):
    """The interfaces of a reactor that a question needs."""


class Question:
    """A question for the records of one type that one name has.

    It needs one descriptor at a time. Each try is limited in time, and cancelling :meth:`ask` ends
    it at once.

    Args:
        reactor: Sends it.
        name: Such as ``xmpp.example.org``.
        type: Of records, as :mod:`twisted.names.dns` numbers them.
    """

    def __init__(self, reactor: IResolverReactor, name: str, type: int) -> None:
        self._reactor = reactor
        self._type = type
        message = dns.Message(randbelow(65_536), recDes=1)
        message.addQuery(name, type)
        self._name = _normal(message.queries[0])
        self._wire = message.toStr()

    async def ask(
        self, servers: Sequence[tuple[str, int]], timeouts_s: Sequence[float]
    ) -> list[object]:
        """The records, including those of the name that this one is an alias of.

        Servers are asked in turn; one that has answered, even nonsense, is not asked again.

        Args:
            servers: IP addresses and ports.
            timeouts_s: How long each server may take, the first time, the second …

        Raises:
            NoSuchName: There is no such name.
            NoAnswer: None of them has said.
        """
        why: NoAnswer = NoAnswer("no answer from DNS")
        left = list(servers)
        for timeout_s in timeouts_s:
            for server in tuple(left):
                try:
                    return self._records(await self._ask(server, timeout_s))
                except _Silence as silence:
                    why = silence
                except NoAnswer as failure:
                    why = failure
                    left.remove(server)
        raise why

    async def _ask(self, server: tuple[str, int], timeout_s: float) -> dns.Message:
        """One server's answer, whole or cut to :data:`MAX_RECORDS`."""
        try:
            message = await self._by_udp(server, timeout_s)
            if message.trunc:
                message = await self._by_tcp(server, timeout_s)
        except (ConnectError, CannotListenError, OSError) as error:
            raise NoAnswer(f"DNS cannot be reached: {error}") from None
        except DeferredTimeoutError:
            raise _Silence("no answer from DNS") from None
        if message.trunc:
            raise NoAnswer("the DNS answer is truncated, even over TCP")
        return message

    async def _by_udp(self, server: tuple[str, int], timeout_s: float) -> dns.Message:
        datagram = _Datagram(self, server)
        interface = "::" if ":" in server[0] else ""
        port = self._reactor.listenUDP(0, datagram, interface, MAX_DATAGRAM_BYTES)
        try:
            return await datagram.answer.addTimeout(timeout_s, self._reactor)
        finally:
            port.stopListening()

    async def _by_tcp(self, server: tuple[str, int], timeout_s: float) -> dns.Message:
        kind = TCP6ClientEndpoint if ":" in server[0] else TCP4ClientEndpoint
        connection = _Connection(self)
        await kind(self._reactor, *server, timeout_s).connect(_Only(connection))
        try:
            return await connection.answer.addTimeout(timeout_s, self._reactor)
        finally:
            connection.abort()

    def _records(self, message: dns.Message) -> list[object]:
        if message.rCode == dns.ENAME:
            raise NoSuchName("no such name")
        if message.rCode != dns.OK:
            raise NoAnswer(f"DNS says {WORDS.get(message.rCode, 'no')}")
        return [answer.payload for answer in message.answers if answer.type == self._type]

    @property
    def wire(self) -> bytes:
        """The question's bytes."""
        return self._wire

    def heard(self, data: bytes) -> dns.Message | None:
        """Read an answer; None if it is one to something else.

        Raises:
            NoAnswer: It cannot be read.
        """
        if len(data) < _HEADER.size or data[:2] != self._wire[:2] or not data[2] & 0x80:
            return None
        message = dns.Message()
        try:
            message.fromStr(shortened(data))
        except _UNREADABLE as error:
            raise NoAnswer(f"the DNS answer is malformed: {error}") from None
        for query in message.queries:
            if (query.type, _normal(query)) != (self._type, self._name):
                return None
        return message


class _Answer(Deferred[dns.Message]):
    """The answer that is waited for; bytes that come after it, or after the end, are ignored."""

    def take(self, question: Question, data: bytes) -> None:
        """Take bytes that came."""
        if self.called:
            return
        try:
            message = question.heard(data)
        except NoAnswer as failure:
            self.errback(failure)
        else:
            if message is not None:
                self.callback(message)

    def fail(self, why: str) -> None:
        """Fail, since no answer will come."""
        if not self.called:
            self.errback(NoAnswer(why))


class _Datagram(DatagramProtocol):
    """A socket that accepts datagrams of one name server only."""

    transport: IUDPTransport
    noisy = False

    def __init__(self, question: Question, server: tuple[str, int]) -> None:
        self.answer = _Answer()
        self._question = question
        self._server = server

    def startProtocol(self) -> None:
        try:
            self.transport.connect(*self._server)
            self.transport.write(self._question.wire, None)
        except (OSError, ValueError) as error:
            self.answer.fail(f"DNS cannot be reached: {error}")

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self.answer.take(self._question, datagram)

    def connectionRefused(self) -> None:
        self.stopProtocol()

    def stopProtocol(self) -> None:
        # Reactors that poll close a socket that has an error, and say no more of it than this.
        self.answer.fail("DNS cannot be reached: no name server is configured")


class _Only(Factory):
    """A factory of one connection."""

    noisy = False

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> "_Connection":
        return self._connection


class _Connection(Int16StringReceiver):
    """A connection for one question and one answer."""

    transport: ITCPTransport

    def __init__(self, question: Question) -> None:
        self.answer = _Answer()
        self._question = question

    def connectionMade(self) -> None:
        self.sendString(self._question.wire)  # type: ignore[no-untyped-call]

    def stringReceived(self, string: bytes) -> None:
        self.answer.take(self._question, string)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.answer.fail("the DNS server closed the connection")

    def abort(self) -> None:
        """Close the connection, since nothing waits for it any more."""
        self.transport.abortConnection()


def _normal(query: dns.Query) -> bytes:
    return query.name.name.rstrip(b".").lower()


def shortened(data: bytes) -> bytes:
    """An answer whose header says that it has no more than :data:`MAX_RECORDS` records.

    The others are not even decoded: in Python that takes 20 microseconds each.
    """
    id, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    if questions > 1:
        raise NoAnswer("the DNS answer has several questions")
    header = _HEADER.pack(id, flags, questions, min(answers, MAX_RECORDS), 0, 0)
    return header + data[_HEADER.size :]


__all__ = [
    "MAX_RECORDS",
    "IResolverReactor",
    "LookupFailed",
    "NoAnswer",
    "NoSuchName",
    "Question",
    "shortened",
]
