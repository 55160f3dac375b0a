"""Clients by WebSocket, from the handshake to the end, in memory."""

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Opcode

from tests.unit.web.web_case import WebCase
from tests.unit.web.web_socket_client import HANDSHAKE, WebSocketClient
from xmppd.stanza import StreamCondition, StreamError, ns
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient
from xmppd.web.web_socket_framing import FRAMING

CLOSE = f"<close xmlns='{FRAMING}'/>"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class SocketCase(SynchronousTestCase):
    """Romeo comes by WebSocket, Juliet by TCP; they are contacts."""

    def setUp(self) -> None:
        self.house = House(
            config=house_config("montague.lit"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.romeo = WebSocketClient(self.house)

    def meet(self) -> None:
        """Both are online, and have been told so."""
        self.romeo.log_in("romeo")
        self.romeo.say("<presence xmlns='jabber:client'/>")
        (self.juliet,) = self.house.connect("juliet")
        self.romeo.heard()
        self.juliet.raw()


class HandshakeTests(WebCase):
    def status(self, **others: str) -> int:
        """What a handshake gets that differs in some headers; those that are empty are left out."""
        headers = {**HANDSHAKE, **{name.replace("_", "-"): each for name, each in others.items()}}
        client = WebClient(self.house)
        client.ask("GET", "/ws", headers={name: each for name, each in headers.items() if each})
        answer = client.answer()
        if answer.status != 101:
            self.assertTrue(client.closed or not headers["Upgrade"] or not headers["Connection"])
        return answer.status

    def test_taken(self) -> None:
        """A client that asks as it has to gets its WebSocket, at either path (WS-8)."""
        for path in ("/ws", "/xmpp-websocket"):
            client = WebClient(self.house)
            client.ask("GET", path, headers=HANDSHAKE)
            answer = client.answer()
            self.assertEqual(answer.status, 101)
            self.assertEqual(answer.headers["Sec-WebSocket-Protocol"], "xmpp")
            self.assertEqual(answer.headers["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    def test_refused(self) -> None:
        """One that asks otherwise is told in a sentence, and nothing is taken over."""
        self.assertEqual(self.status(Sec_WebSocket_Protocol=""), 400)
        self.assertEqual(self.status(Sec_WebSocket_Protocol="soap"), 400)
        self.assertEqual(self.status(Sec_WebSocket_Version="8"), 400)
        self.assertEqual(self.status(Sec_WebSocket_Key="c2hvcnQ="), 400)
        self.assertEqual(self.status(Sec_WebSocket_Key="!"), 400)
        self.assertEqual(self.status(Upgrade="", Connection=""), 400)
        self.assertEqual(self.status(Connection="close"), 400)
        self.assertEqual(self.status(Upgrade="irc"), 400)
        self.assertEqual(self.status(Content_Length="3"), 400)
        self.assertEqual(self.client.post("/ws", b"", HANDSHAKE).status, 400)
        self.assertEqual(self.status(Sec_WebSocket_Protocol="soap, xmpp"), 101)

    def test_origins(self) -> None:
        """Pages of all origins may be clients, unless the configuration names some."""
        self.assertEqual(self.status(Origin="https://any.example"), 101)
        sockets = self.house.server.web_sockets
        sockets.use(type(sockets.web)(origins=("https://web.montague.lit",)))
        self.assertEqual(self.status(Origin="https://any.example"), 403)
        self.assertEqual(self.status(Origin="https://web.montague.lit"), 101)
        self.assertEqual(self.status(), 101)

    def test_third_request(self) -> None:
        """A connection may have served other requests before."""
        self.assertEqual(self.client.get("/hello").status, 200)
        self.assertEqual(self.client.get("/hello").status, 200)
        self.client.ask("GET", "/ws", headers=HANDSHAKE)
        self.assertEqual(self.client.answer().status, 101)


class TalkTests(SocketCase):
    def test_header(self) -> None:
        """A stream begins with <open/> on both sides, and its features declare their namespaces."""
        self.romeo.open()
        opened, features = self.romeo.heard()
        self.assertTrue(opened.startswith(f"<open xmlns='{FRAMING}' id='"), opened)
        self.assertIn(" from='montague.lit' version='1.0' xml:lang='en'/>", opened)
        self.assertTrue(features.startswith(f"<stream:features xmlns:stream='{ns.STREAM}'>"))
        self.assertNotIn("starttls", features)

    def test_chat(self) -> None:
        """Two people talk, and see each other come and go, however each of them is connected."""
        self.meet()
        self.romeo.say(
            "<message xmlns='jabber:client' to='juliet@montague.lit'><body>O</body></message>"
        )
        (heard,) = self.juliet.received()
        self.assertEqual(
            heard,
            "<message from='romeo@montague.lit/1' to='juliet@montague.lit'>"
            "<body>O</body></message>",
        )
        self.juliet.send("<message to='romeo@montague.lit/1'><body>Ay me</body></message>")
        self.assertEqual(
            self.romeo.heard(),
            [
                (
                    "<message xmlns='jabber:client' from='juliet@montague.lit/1'"
                    " to='romeo@montague.lit/1'><body>Ay me</body></message>"
                )
            ],
        )
        self.romeo.say(CLOSE)
        self.assertIn("type='unavailable'", self.juliet.received()[0])

    def test_one_element_each(self) -> None:
        """Every element has a frame of its own, requests for acknowledgements too (WS-3)."""
        self.meet()
        self.romeo.say(f"<enable {SM} resume='true'/>")
        self.romeo.heard()
        for number in range(3):
            self.juliet.send(f"<message to='romeo@montague.lit/1' id='{number}'><body/></message>")
        for each in self.romeo.heard():
            self.assertEqual(each.count("<message") + each.count("<r "), 1, each)


class RefusalTests(SocketCase):
    def after(self, data: bytes) -> tuple[list[str], int | None]:
        """What comes when a message, these bytes and another message are sent; and the close
        code.
        """
        self.meet()
        before = "<message xmlns='jabber:client' to='juliet@montague.lit'><body>1</body></message>"
        first = self.romeo.framed(before)
        self.romeo.send(first + data + self.romeo.framed(before.replace("1", "2")))
        bodies = [each for each in self.juliet.received() if "<body>" in each]
        self.assertEqual(len(bodies), 1, bodies)
        came = self.romeo.came()
        texts = [bytes(each.data).decode() for each in came if each.opcode is Opcode.TEXT]
        codes = [
            int.from_bytes(bytes(each.data)[:2]) for each in came if each.opcode is Opcode.CLOSE
        ]
        return texts, codes[0] if codes else None

    def refusal(self, data: bytes) -> tuple[str, int | None]:
        texts, code = self.after(data)
        self.assertEqual(texts[-1], CLOSE)
        return texts[-2].split(f" xmlns='{ns.STREAM_ERRORS}'")[0].rpartition("<")[2], code

    def test_elements(self) -> None:
        """Two elements in a frame, half of one, a closing tag, a second <open/>: the stream ends
        with the error that fits; what was before it is delivered, and nothing after.
        """
        message = "<message xmlns='jabber:client' to='juliet@montague.lit'><body/></message>"
        for text, condition in (
            (message + message, "bad-format"),
            (message[:-3], "bad-format"),
            ("</stream:stream>", "bad-format"),
            (
                f"<open xmlns='{FRAMING}' to='montague.lit' version='1.0'/>",
                "unsupported-stanza-type",
            ),
            ("<!DOCTYPE x>", "restricted-xml"),
            ("words", "bad-format"),
        ):
            with self.subTest(text=text):
                self.setUp()
                self.assertEqual(self.refusal(self.romeo.framed(text)), (condition, 1000))

    def test_frames(self) -> None:
        """A frame that is none ends the stream and says with which code."""
        for data, condition, code in (
            (b"\x82\x81mask\0", "bad-format", 1003),
            (b"\x81\x01x", "bad-format", 1002),
            (b"\x81\x81\0\0\0\0\xff", "bad-format", 1007),
            (b"\x81\xff\0\0\0\0\0\x10\0\0mask", "policy-violation", 1009),
            (b"\x89\x80mask" * 11, "policy-violation", 1008),
            (b"\x01\x80mask" + b"\0\x80mask" * 65, "policy-violation", 1008),
        ):
            with self.subTest(code=code):
                self.setUp()
                self.assertEqual(self.refusal(data), (condition, code))

    def test_old_client(self) -> None:
        """A client that begins as over TCP is told how it has to."""
        self.romeo.say("<stream:stream xmlns='jabber:client' to='montague.lit'>")
        opened, error, closed = self.romeo.heard()
        self.assertIn("<open ", opened)
        self.assertIn("RFC 7395", error)
        self.assertEqual(closed, CLOSE)

    def test_before_login(self) -> None:
        """Before login the limit is the one that TCP has, held against what a head tells."""
        self.romeo.open()
        self.romeo.heard()
        self.romeo.send(b"\x81\xfe" + (10_241).to_bytes(2) + b"mask")
        self.assertIn("policy-violation", self.romeo.heard()[0])


class EndTests(SocketCase):
    def enable(self) -> str:
        """Switch stream management on; returns the id of the session."""
        self.romeo.say(f"<enable {SM} resume='true'/>")
        return self.romeo.heard()[0].partition(" id='")[2].partition("'")[0]

    def test_client_closes(self) -> None:
        """<close/> is answered with ours, then with a close frame; then the connection ends
        (WS-10).
        """
        self.meet()
        self.romeo.say(CLOSE)
        came = self.romeo.came()
        self.assertEqual([each.opcode for each in came][-2:], [Opcode.TEXT, Opcode.CLOSE])
        self.assertFalse(self.romeo.transport.lost)
        self.romeo.send(b"".join(self.romeo.frames.data_to_send()))
        self.assertTrue(self.romeo.transport.lost)

    def test_client_says_nothing_more(self) -> None:
        """A client that does not answer our close frame is not waited for."""
        self.meet()
        self.romeo.say(CLOSE)
        self.house.clock.pump([1] * 6)
        self.assertTrue(self.romeo.transport.lost)

    def test_accident(self) -> None:
        """Whose connection is lost, by a close frame or without, may come back to the session."""
        for by_frame in (True, False):
            self.setUp()
            self.meet()
            self.enable()
            if by_frame:
                self.romeo.frames.send_close(1001)
                self.romeo.send(b"".join(self.romeo.frames.data_to_send()))
            else:
                self.romeo.transport.abortConnection()
            self.assertTrue(self.romeo.transport.lost)
            self.assertEqual(self.juliet.received(), [])
            self.assertFalse(self.romeo.stanza_handler.session.closed)

    def test_stop(self) -> None:
        """A server that stops says why, and does not wait for ever (WS-7)."""
        self.meet()
        stopping = self.house.stop()
        texts = self.romeo.heard()
        self.assertIn("system-shutdown", texts[-2])
        self.assertEqual(texts[-1], CLOSE)
        self.house.clock.pump([1] * 10)
        self.successResultOf(stopping)

    def test_elsewhere(self) -> None:
        """A client that is sent to another node is told its URL by <close/> alone, and may come
        back to its session there (WS-13).
        """
        self.meet()
        error = StreamError(StreamCondition.SEE_OTHER_HOST, other_url="https://b.montague.lit")
        self.romeo.connection.close(error, by_accident=True)
        [text] = self.romeo.heard()
        self.assertEqual(
            text,
            CLOSE.replace("/>", " see-other-uri='wss://b.montague.lit/ws'/>"),
        )

    def test_resume_over_tcp(self) -> None:
        """A session that lost its WebSocket goes on over TCP, and nothing is lost or doubled."""
        self.meet()
        id = self.enable()
        self.juliet.send("<message to='romeo@montague.lit/1' id='a'><body>1</body></message>")
        self.romeo.transport.abortConnection()
        self.juliet.send("<message to='romeo@montague.lit/1' id='b'><body>2</body></message>")
        again = self.house.logged_in("romeo")
        came = again.resume(id, 0)
        self.assertEqual([each.count("id='a'") for each in came].count(1), 1)
        self.assertEqual([each.count("id='b'") for each in came].count(1), 1)
        for each in came:
            self.assertNotIn("jabber:client", each)

    def test_resume_over_web_socket(self) -> None:
        """The other way round as well: what was sent over TCP comes again in frames."""
        (juliet, romeo) = self.house.connect("juliet", "romeo/2")
        id = romeo.enable()
        juliet.send("<message to='romeo@montague.lit/2' id='a'><body>1</body></message>")
        romeo.abort()
        self.romeo.open()
        self.romeo.stanza_handler.authenticated(self.house.jid("romeo"))
        self.romeo.connection.restart()
        self.romeo.open()
        self.romeo.heard()
        self.romeo.say(f"<resume {SM} previd='{id}' h='0'/>")
        came = self.romeo.heard()
        self.assertIn("<resumed ", came[0])
        (message,) = [each for each in came if "id='a'" in each]
        self.assertTrue(message.startswith("<message xmlns='jabber:client' from='juliet@"), message)


class QuietTests(SocketCase):
    def test_ping(self) -> None:
        """A client to whom nothing was written is sent a ping frame, before proxies cut the
        connection; any answer will do (WS-11).
        """
        self.meet()
        for _ in range(5):
            self.house.clock.pump([2] * 26)
            self.assertEqual([each.opcode for each in self.romeo.came()], [Opcode.PING])
            self.romeo.send(b"".join(self.romeo.frames.data_to_send()))
        self.assertFalse(self.romeo.transport.lost)

    def test_no_answer(self) -> None:
        """One that does not answer is taken for gone, and may come back to its session."""
        self.meet()
        self.house.clock.pump([2] * 60)
        self.assertIn("connection-timeout", "".join(self.romeo.heard()))
        self.assertTrue(self.romeo.connection.by_accident)

    def test_their_ping(self) -> None:
        """A ping of the client is answered with what it has."""
        self.meet()
        self.romeo.frames.send_ping(b"are you there?")
        self.romeo.send(b"".join(self.romeo.frames.data_to_send()))
        (pong,) = self.romeo.came()
        self.assertEqual((pong.opcode, bytes(pong.data)), (Opcode.PONG, b"are you there?"))


class SameTests(SynchronousTestCase):
    """What one says by TCP and another by WebSocket is the same to whoever hears it."""

    stanzas = (
        "<message{ns} to='juliet@montague.lit' id='1'><body>it's &lt;so&gt; ❤</body></message>",
        "<message{ns} to='juliet@montague.lit/1' type='chat'><x xmlns='u'><a b='c'/></x></message>",
        "<presence{ns} to='juliet@montague.lit'><show>away</show></presence>",
        "<iq{ns} to='juliet@montague.lit/1' type='get' id='q'><query xmlns='u'/></iq>",
        "<p:message xmlns:p='jabber:client' to='juliet@montague.lit'><p:body/></p:message>",
        "<message{ns} to='juliet@montague.lit'><body/><x xmlns='h'><b xmlns='i'/></x></message>",
    )

    def house(self) -> tuple[House, Client]:
        house = House(config=house_config("montague.lit"), romeo={}, juliet={})
        (juliet,) = house.connect("juliet")
        return house, juliet

    def by_tcp(self) -> bytes:
        """What Juliet gets when Romeo speaks over TCP."""
        house, juliet = self.house()
        romeo = house.bind("romeo")
        for stanza in self.stanzas:
            romeo.send(stanza.format(ns=""))
        return juliet.raw()

    def by_web_socket(self, step: int) -> bytes:
        """The same when he speaks by WebSocket, torn into pieces of so many bytes."""
        house, juliet = self.house()
        romeo = WebSocketClient(house)
        romeo.log_in("romeo")
        data = romeo.framed(*(each.format(ns=" xmlns='jabber:client'") for each in self.stanzas))
        for at in range(0, len(data), step):
            romeo.send(data[at : at + step])
        return juliet.raw()

    def test_same(self) -> None:
        """Byte by byte, whatever pieces they come in."""
        expected = self.by_tcp()
        self.assertEqual(expected.count(b"from='romeo@montague.lit/1'"), len(self.stanzas))
        for step in (1, 2, 3, 5, 7, 64, 100_000):
            self.assertEqual(self.by_web_socket(step), expected)
