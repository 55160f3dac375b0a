"""The socket of xmppctl, from the server's side."""

import os
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from msgspec import json
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from xmppd.ctl.commands import WITHOUT_SERVER
from xmppd.ctl.control import MAX_CONNECTIONS, Control, listen, may_command
from xmppd.ctl.protocol import MAX_REQUEST_BYTES, Answer, AnswerHead
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.trace import trace
from xmppd.trace.tracer import Tracer


class Asker(LineOnlyReceiver):
    """Somebody at the other end."""

    delimiter = b"\n"
    MAX_LENGTH = 1_000_000

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.last: Deferred[Answer] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self._awaited: dict[int, Deferred[None]] = {}

    def answered(self, count: int) -> Deferred[None]:
        """When so many answers have come."""
        answered: Deferred[None] = Deferred()
        if len(self.answers) >= count:
            answered.callback(None)
        else:
            self._awaited[count] = answered
        return answered

    def lineReceived(self, line: bytes) -> None:
        answer = json.decode(line, type=Answer)
        self.answers.append(answer)
        awaited = self._awaited.pop(len(self.answers), None)
        if awaited is not None:
            awaited.callback(None)
        if answer.done or answer.error is not None:
            last, self.last = self.last, Deferred()
            last.callback(answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class ControlTests(TestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={})
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        self.path = directory / "xmppctl.sock"
        self.path.write_text("left by a crash")
        self.control = Control(self.house.server.commands, WITHOUT_SERVER)
        self.port = listen(reactor, self.path, self.control)  # type: ignore[arg-type]
        self.addCleanup(self.port.stopListening)

    async def asker(self) -> Asker:
        endpoint = UNIXClientEndpoint(reactor, str(self.path))
        asker: Asker = await endpoint.connect(Factory.forProtocol(Asker))
        self.addCleanup(lambda: asker.lost)
        self.addCleanup(asker.transport.loseConnection)  # type: ignore[union-attr]
        return asker

    async def ask(self, asker: Asker, request: bytes) -> Answer:
        last = asker.last
        asker.sendLine(request)
        return await last

    def test_mode(self) -> None:
        """Only its owner may open the socket."""
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_who(self) -> None:
        """Only the server's own user and root may give commands."""
        self.assertTrue(may_command(0))
        self.assertTrue(may_command(os.geteuid()))
        self.assertFalse(may_command(54_321))

    async def test_round_trip(self) -> None:
        """Rows come with the id of their request, then the end; and then the next request."""
        asker = await self.asker()
        for id in (7, 8):
            request = b'{"id":%d,"command":"user list"}' % id
            self.assertEqual(await self.ask(asker, request), Answer(id, done=True))
        self.assertEqual([answer.id for answer in asker.answers], [7, 7, 8, 8])
        row = asker.answers[0].row
        assert row is not None
        self.assertEqual(row["account"], "romeo@montague.lit")

    async def test_words(self) -> None:
        """The words of a command line are read here, those of a plugin's command like all others:
        what its rows are comes first.
        """
        await self.house.plugins.load("example_greeter")
        asker = await self.asker()
        answer = await self.ask(asker, b'{"words":["user","list","--state","disabled"]}')
        self.assertTrue(answer.done)
        head = AnswerHead("table", ("disabled_until",), "no account was found")
        self.assertEqual(asker.answers[0].head, head)
        answer = await self.ask(asker, b'{"words":["greeting","change","Good morrow"]}')
        self.assertTrue(answer.done)
        self.assertIn("now get this greeting", asker.answers[-2].note or "")
        answer = await self.ask(asker, b'{"words":["user","liste"]}')
        self.assertEqual((answer.code, answer.status), ("bad-request", 2))
        self.assertIn("try: xmppctl user list", answer.error or "")

    async def test_secret(self) -> None:
        """A secret is asked for before anything is done."""
        asker = await self.asker()
        await self.ask(asker, b'{"words":["user","add","paris","--stdin"]}')
        self.assertEqual(asker.answers[0], Answer(0, secret="password", from_stdin=True))
        await self.ask(asker, b'{"words":["user","add","paris"],"secret":"rose"}')
        self.assertEqual(asker.answers[-2].note, "paris@montague.lit was added")

    async def test_secret_in_vain(self) -> None:
        """Nobody is asked for the password of an account that could not get it."""
        asker = await self.asker()
        for words, why in (
            (b'["user","add","@x"]', '"@x" is not'),
            (b'["user","add","paris@elsewhere.lit","--stdin"]', "does not serve elsewhere.lit"),
            (b'["user","add","romeo"]', "romeo@montague.lit already exists"),
            (b'["user","password","paris"]', "paris@montague.lit does not exist"),
        ):
            with self.subTest(words):
                answer = await self.ask(asker, b'{"words":' + words + b"}")
                self.assertIn(why, answer.error or "")
        self.assertEqual([each for each in asker.answers if each.secret], [])
        await self.ask(asker, b'{"words":["user","password","romeo"]}')
        self.assertEqual(asker.answers[-2].secret, "password")

    async def test_elsewhere(self) -> None:
        """What needs no server is left to xmppctl, and help is written for its terminal."""
        asker = await self.asker()
        await self.ask(asker, b'{"words":["config","check"]}')
        self.assertTrue(asker.answers[0].elsewhere)
        await self.ask(asker, b'{"words":["user","--help"],"width":50}')
        text = asker.answers[-2].help or ""
        self.assertIn("enable disabled accounts", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 50)

    async def test_completed(self) -> None:
        """Accounts, domains and plugins that there are complete a word."""
        done(self.house.store.accounts.create_account("rosaline@montague.lit", []))
        asker = await self.asker()
        for words, found in (
            (b'["user","delete","ro"]', ["romeo@montague.lit", "rosaline@montague.lit"]),
            (b'["user","list","--domain",""]', ["montague.lit"]),
            (b'["user","cou"]', ["count"]),
            (b'["plugin","unload","muc_w"]', []),
        ):
            asker.answers.clear()
            await self.ask(asker, b'{"complete":true,"words":%b}' % words)
            self.assertEqual([answer.note for answer in asker.answers[:-1]], found)

    async def test_refused(self) -> None:
        """A command that is unknown, not for a server, or cannot be done is answered."""
        asker = await self.asker()
        for request, why in (
            (b'{"command":"dance"}', "unknown command"),
            (b'{"command":"config check"}', "unknown command"),
            (b'{"command":"user delete","arguments":{"account":"nobody"}}', "does not exist"),
        ):
            answer = await self.ask(asker, request)
            self.assertIn(why, answer.error or "")

    async def test_no_request(self) -> None:
        """What is no request, not UTF-8, or too large is answered, and ends the connection."""
        for line in (
            b"",
            b"null",
            b"hello",
            b'{"command":1}',
            b'{"command":"status\xff"}',
            b'{"command":"status","arguments":{"x":"\xed\xa0\x80"}}',
            b'{"command":"\\ud800"}',
            b"[" * 100_000,
            b"[" * (MAX_REQUEST_BYTES + 1),
        ):
            asker = await self.asker()
            answer = await self.ask(asker, line)
            self.assertIn("request", answer.error or "")
            await asker.lost

    async def test_our_bug(self) -> None:
        """A bug is logged with its trace, and xmppctl is told where to look."""
        self.patch(self.house.store.accounts, "accounts", None)
        answer = await self.ask(await self.asker(), b'{"command":"user list"}')
        self.assertIn("log", answer.error or "")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    async def test_too_many(self) -> None:
        """So many may give commands at once, and no more."""
        self.patch(trace, "MAX_TRACERS", MAX_CONNECTIONS)
        for _ in range(MAX_CONNECTIONS):
            request = b'{"command":"trace","arguments":{"address":"montague.lit"}}'
            await self.begin(await self.asker(), request)
        one_more = await self.asker()
        self.assertIn("other commands", (await one_more.last).error or "")
        await one_more.lost

    async def test_idle(self) -> None:
        """Connections that give no command lock nobody out: the oldest makes way."""
        askers = [await self.asker() for _ in range(MAX_CONNECTIONS)]
        for asker in askers:
            await self.ask(asker, b'{"command":"session list"}')
        farewells = [asker.last for asker in askers[:3]]
        for farewell in farewells:
            answer = await self.ask(await self.asker(), b'{"command":"session list"}')
            self.assertTrue(answer.done)
            self.assertIn("because it was idle", (await farewell).error or "")
        for asker in askers[:3]:
            await asker.lost
        self.assertEqual(len(self.control.admitted), MAX_CONNECTIONS)

    async def test_slow_reader(self) -> None:
        """Who does not read gets no more rows until they do; nothing is lost."""
        for number in range(5_000):
            done(
                self.house.store.accounts.create_account(f"{'n' * 500}{number:04}@montague.lit", [])
            )
        asker = await self.asker()
        asker.transport.pauseProducing()  # type: ignore[union-attr]
        last = asker.last
        asker.sendLine(b'{"command":"user list"}')
        other = await self.asker()
        await self.ask(other, b'{"command":"session list"}')
        self.assertEqual(asker.answers, [])
        asker.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertTrue((await last).done)
        self.assertEqual(len(asker.answers), 5_002)

    async def test_stream(self) -> None:
        """A command without end answers as things happen, and ends with whoever gave it."""
        (romeo,) = self.house.connect("romeo")
        asker = await self.asker()
        await self.begin(asker, b'{"command":"trace","arguments":{"address":"montague.lit"}}')
        self.assertEqual(len(self.house.traces.tracers), 1)
        romeo.send("<presence/>")
        await asker.answered(2)
        row = asker.answers[1].row
        assert row is not None
        self.assertEqual((row["code"], row["from"]), ("stanza", "romeo@montague.lit/1"))
        asker.transport.loseConnection()  # type: ignore[union-attr]
        await self.until(lambda: not self.control.admitted)
        self.assertEqual(self.house.traces.tracers, [])

    async def test_stream_to_nobody(self) -> None:
        """Who asks for a stream, does not read it and goes away holds up nothing."""
        (romeo,) = self.house.connect("romeo")
        asker = await self.asker()
        await self.begin(asker, b'{"command":"trace","arguments":{"address":"montague.lit"}}')
        asker.transport.pauseProducing()  # type: ignore[union-attr]
        (tracer,) = self.house.traces.tracers
        assert isinstance(tracer, Tracer)
        while not tracer.dropped:
            romeo.send("<presence/>")
            await self.turn()
        asker.transport.abortConnection()  # type: ignore[union-attr]
        await self.until(lambda: not self.control.admitted)
        self.assertEqual(self.house.traces.tracers, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def begin(self, asker: Asker, request: bytes) -> None:
        """Give a command, and wait for its first answer."""
        asker.sendLine(request)
        await asker.answered(1)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the reactor turn until it is so."""
        while not condition():
            await self.turn()

    async def turn(self) -> None:
        """Let the reactor turn once."""
        await deferLater(reactor, 0, lambda: None)
