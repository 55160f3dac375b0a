"""Questions to name servers that lie, stammer, keep silent or never come to an end."""

import struct
from collections.abc import Callable, Iterator
from typing import cast

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTCP,
    IReactorUDP,
    ITCPTransport,
    IUDPTransport,
)
from twisted.internet.protocol import DatagramProtocol, Protocol, ServerFactory
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.name_server import port_of
from xmppd.resolve.question import (
    MAX_RECORDS,
    IResolverReactor,
    NoAnswer,
    NoSuchName,
    Question,
    shortened,
)

NAME = "xmpp.montague.lit"
SECONDS, MOMENT = 10.0, 0.05
"""How long an answer may take, and how long it is waited for where none comes."""

RESPONSE, TRUNCATED = 0x8180, 0x8380

Answers = Callable[[bytes, bool], Iterator[bytes]]
"""Of a question's bytes, and of whether it came by TCP: the bytes of what is said to it."""


def say(
    question: bytes,
    records: int = 0,
    *,
    flags: int = RESPONSE,
    id: bytes | None = None,
    record: bytes = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\xc0\x00\x02\x01",
) -> bytes:
    """An answer with so many records, each for 192.0.2.1."""
    header = struct.pack(">HHHHH", flags, 1, records, 0, 0)
    return (id or question[:2]) + header + question[12:] + record * records


class Datagrams(DatagramProtocol):
    """The door for questions that come by UDP."""

    noisy = False

    def __init__(self, liar: "Liar") -> None:
        self.liar = liar

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self.liar.asked.append(False)
        for answer in self.liar.answers(datagram, False):
            cast(IUDPTransport, self.transport).write(answer, cast(tuple[str, int], addr))


class Liar(ServerFactory[Protocol]):
    """A name server that answers with whatever bytes it is told to.

    Args:
        answers: What it says.

    Attributes:
        asked: Whether each question came by TCP.
    """

    noisy = False

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[bool] = []
        self.wires: list[Protocol] = []
        self._ports: list[IListeningPort] = []
        while not self._ports:
            udp = cast(IReactorUDP, reactor).listenUDP(0, Datagrams(self), "127.0.0.1", 512)
            try:
                tcp = cast(IReactorTCP, reactor).listenTCP(
                    port_of(udp), cast(ServerFactory, self), interface="127.0.0.1"
                )
            except CannotListenError:
                udp.stopListening()
            else:
                self._ports = [udp, tcp]
        self.address = ("127.0.0.1", port_of(self._ports[0]))

    def stop(self) -> Deferred[list[object]]:
        """Listen no longer, and end what is connected."""
        for wire in self.wires:
            cast(ITCPTransport, wire.transport).abortConnection()
        ports = [cast(Deferred[object], maybeDeferred(port.stopListening)) for port in self._ports]
        return gatherResults(ports)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        wire = Wire(self)
        self.wires.append(wire)
        return wire


class Wire(Protocol):
    """A connection with a question on it."""

    def __init__(self, liar: Liar) -> None:
        self.liar = liar
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > 2 and len(self.data) == 2 + int.from_bytes(self.data[:2], "big"):
            self.liar.asked.append(True)
            assert self.transport is not None
            for answer in self.liar.answers(self.data[2:], True):
                self.transport.write(len(answer).to_bytes(2, "big") + answer)


class HostileCase(TestCase):
    """Whatever a name server does, a question ends, and leaves nothing behind."""

    def liar(self, answers: Answers) -> Liar:
        liar = Liar(answers)
        self.addCleanup(liar.stop)
        return liar

    async def ask(self, *liars: Liar, within_s: float = SECONDS) -> int:
        """How many records come of it."""
        question = Question(cast(IResolverReactor, reactor), NAME, dns.A)
        return len(await question.ask([liar.address for liar in liars], (within_s,)))

    async def assert_no_answer(self, text: str, *liars: Liar, within_s: float = SECONDS) -> None:
        asked = Deferred.fromCoroutine(self.ask(*liars, within_s=within_s))
        error = cast(Exception, await self.assertFailure(asked, NoAnswer))
        self.assertIn(text, str(error))


class LongTests(HostileCase):
    async def test_truncated_for_ever(self) -> None:
        """One that says that its answer is cut short by TCP as well is asked by TCP once."""
        liar = self.liar(lambda question, tcp: iter([say(question, flags=TRUNCATED)]))
        await self.assert_no_answer("even over TCP", liar)
        self.assertEqual(liar.asked, [False, True])

    async def test_next_server(self) -> None:
        """Then the next one is asked."""
        liar = self.liar(lambda question, tcp: iter([say(question, flags=TRUNCATED)]))
        honest = self.liar(lambda question, tcp: iter([say(question, 1)]))
        self.assertEqual(await self.ask(liar, honest), 1)

    async def test_many_records(self) -> None:
        """Of an answer with thousands of records some are read."""

        def answers(question: bytes, tcp: bool) -> Iterator[bytes]:
            yield say(question, 4_000) if tcp else say(question, flags=TRUNCATED)

        self.assertEqual(await self.ask(self.liar(answers)), MAX_RECORDS)

    async def test_silent_by_tcp(self) -> None:
        """One that takes the connection and says nothing is waited for no longer than by UDP."""
        liar = self.liar(
            lambda question, tcp: iter([] if tcp else [say(question, flags=TRUNCATED)])
        )
        await self.assert_no_answer("no answer", liar, within_s=MOMENT)

    async def test_half_an_answer(self) -> None:
        """So is one that begins to say something."""
        liar = self.liar(
            lambda question, tcp: iter([b"" if tcp else say(question, flags=TRUNCATED)])
        )
        await self.assert_no_answer("no answer", liar, within_s=MOMENT)

    async def test_no_tcp(self) -> None:
        """One that cannot be connected to by TCP has no answer."""
        liar = self.liar(lambda question, tcp: iter([say(question, flags=TRUNCATED)]))
        await maybeDeferred(liar._ports[1].stopListening)
        await self.assert_no_answer("refused", liar)


class WrongTests(HostileCase):
    async def test_answers_to_something_else(self) -> None:
        """What has another id, another question or is no answer is not heard; the right one is."""

        def answers(question: bytes, tcp: bool) -> Iterator[bytes]:
            other = bytes([question[0] ^ 1, question[1]])
            yield b""
            yield b"\x00"
            yield question
            yield say(question, 2, id=other)
            yield say(question.replace(b"montague", b"capulets"), 3)
            yield say(question[:-3] + b"\x1c\x00\x01", 4)
            yield say(question, 1)
            yield say(question, 5)

        self.assertEqual(await self.ask(self.liar(answers)), 1)

    async def test_only_wrong_ones(self) -> None:
        """When the right one does not come there is no answer."""
        liar = self.liar(lambda question, tcp: iter([say(question, 1, id=b"\x00\x00")] * 50))
        await self.assert_no_answer("no answer", liar, within_s=MOMENT)

    async def test_unreadable(self) -> None:
        """An answer that cannot be read is none, and the next server is asked."""
        loop = b"\xc0\x1f" * 20
        for record in (loop, b"\xff" * 30, b"\x40" * 30):
            with self.subTest(record):
                liar = self.liar(lambda question, tcp, r=record: iter([say(question, 3, record=r)]))  # type: ignore[misc]
                honest = self.liar(lambda question, tcp: iter([say(question, 1)]))
                self.assertLessEqual(await self.ask(liar, honest), 1)

    async def test_several_questions(self) -> None:
        """Nobody has asked several things at once."""
        liar = self.liar(
            lambda question, tcp: iter([say(question, 1)[:4] + b"\xff\xff" + say(question, 1)[6:]])
        )
        await self.assert_no_answer("several questions", liar)

    async def test_lame(self) -> None:
        """One that does not want to, or cannot, is asked once; the next one may know."""
        for code in (1, 2, 4, 5, 9):
            with self.subTest(code):
                lame = self.liar(
                    lambda question, tcp, c=code: iter([say(question, flags=RESPONSE | c)])  # type: ignore[misc]
                )
                honest = self.liar(lambda question, tcp: iter([say(question, 1)]))
                self.assertEqual(await self.ask(lame, honest), 1)
                self.assertEqual(lame.asked, [False])
                await self.assert_no_answer("DNS says", lame)

    async def test_no_such_name(self) -> None:
        """That there is no such name is an answer: nobody else is asked."""
        first = self.liar(lambda question, tcp: iter([say(question, flags=RESPONSE | 3)]))
        second = self.liar(lambda question, tcp: iter([say(question, 1)]))
        asked = Deferred.fromCoroutine(self.ask(first, second))
        await self.assertFailure(asked, NoSuchName)
        self.assertEqual(second.asked, [])

    async def test_nobody_there(self) -> None:
        """Where nobody listens, that is known before the time is over."""
        liar = self.liar(lambda question, tcp: iter(()))
        await maybeDeferred(liar._ports[0].stopListening)
        await self.assert_no_answer("no name server is configured", liar)

    async def test_no_address(self) -> None:
        """A name server whose address is none cannot be asked."""
        question = Question(cast(IResolverReactor, reactor), NAME, dns.A)
        asked = Deferred.fromCoroutine(question.ask([("nonsense", 53)], (SECONDS,)))
        await self.assertFailure(asked, NoAnswer)


class EndTests(HostileCase):
    async def test_given_up(self) -> None:
        """Whoever waits no longer leaves neither socket nor timer behind, by UDP or TCP."""
        for by_tcp in (False, True):
            heard: Deferred[None] = Deferred()

            def answers(
                question: bytes, tcp: bool, by_tcp: bool = by_tcp, heard: Deferred[None] = heard
            ) -> Iterator[bytes]:
                if tcp == by_tcp:
                    heard.callback(None)
                elif by_tcp:
                    yield say(question, flags=TRUNCATED)

            liar = self.liar(answers)
            question = Question(cast(IResolverReactor, reactor), NAME, dns.A)
            asked = Deferred.fromCoroutine(question.ask([liar.address], (60,)))
            await heard
            asked.cancel()
            await self.assertFailure(asked, CancelledError)


class AnyBytesTests(SynchronousTestCase):
    @given(st.binary(max_size=200), st.integers(0, 65_535))
    @example(b"\xc0\x0c" * 50, 9)
    def test_any_bytes(self, data: bytes, records: int) -> None:
        """Whatever bytes come, they are an answer, none, or cannot be read."""
        question = Question(cast(IResolverReactor, reactor), NAME, dns.SRV)
        wire = question.wire
        answer = wire[:2] + struct.pack(">HHHHH", RESPONSE, 1, records, 9, 9) + wire[12:] + data
        for heard in (data, answer):
            try:
                message = question.heard(heard)
            except NoAnswer:
                continue
            if message is not None:
                self.assertLessEqual(len(message.answers), MAX_RECORDS)

    def test_shortened(self) -> None:
        """An answer says that it has no more records than are read, and no further sections."""
        data = struct.pack(">HHHHHH", 7, RESPONSE, 1, 4_000, 5, 6) + b"rest"
        expected = struct.pack(">HHHHHH", 7, RESPONSE, 1, MAX_RECORDS, 0, 0) + b"rest"
        self.assertEqual(shortened(data), expected)
