"""One connection of HTTP, by byte."""

from functools import partial

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from tests.unit.web.web_case import WebCase
from xmppd.testing.web import WebClient
from xmppd.web import request_reader
from xmppd.web.request import BodyLost, BodyStream, HTTPResponse, said

GET = b"GET /hello HTTP/1.1\r\nHost: montague.lit\r\n\r\n"


def with_headers(*lines: bytes) -> bytes:
    """A request with further headers."""
    return GET[:-2] + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


class RequestTests(WebCase):
    def test_answer(self) -> None:
        """A request is answered, with the headers that every answer has (HT-9)."""
        answer = self.client.get("/hello?a=b")
        self.assertEqual((answer.status, answer.text), (200, "/hello\n"))
        self.assertEqual(self.asked[0].query, "a=b")
        self.assertEqual(self.asked[0].address, "192.0.2.1")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer")
        self.assertEqual(answer.headers["Date"], "Tue, 14 Nov 2023 22:13:20 GMT")
        self.assertNotIn("Server", answer.headers)

    def test_torn_at_every_byte(self) -> None:
        """However the bytes of requests are cut, they are the same requests."""
        form = b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: 5\r\n\r\nwords"
        chunks = (
            b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;a=b\r\nwo\r\n3\r\nrds\r\n0\r\nX: y\r\n\r\n"
        )
        stream = GET + form + chunks + b"\r\n" + GET
        for step in (1, 2, 3, 7, 1000):
            client = WebClient(self.house)
            for at in range(0, len(stream), step):
                client.send(stream[at : at + step])
            texts = [client.answer().text for _ in range(4)]
            self.assertEqual(texts, ["/hello\n", "/form words\n", "/form words\n", "/hello\n"])

    def test_same_head_again(self) -> None:
        """Whoever asks again with the same head, but for a length, is understood as before, torn or
        not.
        """
        said = (b"words", b"w", b"a" * 300, b"", b"words")
        requests = [
            b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: %d\r\n"
            b"X-Number: 1\r\n\r\n%b" % (len(each), each)
            for each in said
        ]
        stream = b"".join(requests)
        for step in (1, 7, 64, 1_000):
            client = WebClient(self.house)
            for at in range(0, len(stream), step):
                client.send(stream[at : at + step])
            for each in said:
                self.assertEqual(client.answer().text, f"/form {each.decode()}".rstrip() + "\n")
                asked = self.asked.pop(0)
                self.assertEqual(asked.body, each)
                self.assertEqual(asked.header("x-number"), "1")

    def test_secrets(self) -> None:
        """A head with a secret in it is not kept in memory."""
        form = b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: 1\r\n"
        request = form + b"%b: swordfish\r\n\r\nw"
        for name, is_known in ((b"Cookie", False), (b"authorization", False), (b"X-Fish", True)):
            self.client.send(request % name)
            self.assertEqual(self.client.answer().status, 200)
            kept = [parts for parts in request_reader._known if name + b": swordfish" in parts[1]]
            self.assertEqual(len(kept), is_known)

    def test_many_heads(self) -> None:
        """Of heads that differ the newest are known, and no more than so many (HT-5)."""
        self.patch(request_reader, "_known", {})
        self.patch(request_reader, "MAX_KNOWN_HEADS", 3)
        form = (
            b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: 1\r\nX-Fish: %d\r\n\r\nw"
        )
        for number in range(10):
            self.client.send(form % number)
            self.assertEqual(self.client.answer().status, 200)
        kept = [parts[1].strip() for parts in request_reader._known]
        self.assertEqual(kept, [b"X-Fish: 7", b"X-Fish: 8", b"X-Fish: 9"])

    def test_head(self) -> None:
        """HEAD is answered as GET is, without the body."""
        self.client.ask("HEAD", "/hello")
        answer = self.client.answer(has_body=False)
        self.assertEqual((answer.status, answer.headers["Content-Length"]), (200, "7"))
        self.assertEqual(self.client.raw(), b"")

    def test_keep_alive(self) -> None:
        """A connection serves one request after the other, until the client wants no more."""
        for _ in range(3):
            self.assertEqual(self.client.get("/hello").status, 200)
        self.assertFalse(self.client.closed)
        answer = self.client.get("/hello", {"Connection": "close"})
        self.assertEqual(answer.headers["Connection"], "close")
        self.assertTrue(self.client.closed)

    def test_old_version(self) -> None:
        """HTTP/1.0 is answered, and closed behind that."""
        self.client.send(GET.replace(b"1.1", b"1.0"))
        self.assertEqual(self.client.answer().status, 200)
        self.assertTrue(self.client.closed)

    def test_in_order(self) -> None:
        """Requests that come at once are answered in their order, whoever is done first (HT-6)."""
        self.client.ask("GET", "/later")
        self.client.ask("GET", "/later")
        self.client.ask("GET", "/hello")
        self.waiting[1].callback(said(200, "second"))
        self.assertEqual(self.client.raw(), b"")
        self.waiting[0].callback(said(200, "first"))
        texts = [self.client.answer().text for _ in range(3)]
        self.assertEqual(texts, ["first\n", "second\n", "/hello\n"])

    def test_too_many_at_once(self) -> None:
        """Of requests that come at once, eight wait; the others are not even read (HT-6)."""
        ask = b"GET /later HTTP/1.1\r\nHost: montague.lit\r\n\r\n"
        self.client.send(ask * 20)
        self.assertEqual(len(self.waiting), 8)
        self.assertEqual(self.client.transport.producerState, "paused")
        self.waiting[0].callback(said(200, "first"))
        self.assertEqual(len(self.waiting), 9)
        for number in range(1, 20):
            self.waiting[number].callback(said(200, str(number)))
        texts = [self.client.answer().text for _ in range(20)]
        self.assertEqual(texts, ["first\n", *(f"{number}\n" for number in range(1, 20))])
        self.assertEqual(self.client.transport.producerState, "producing")

    def test_gone(self) -> None:
        """Who is to answer hears when nobody waits for it any more."""
        self.client.ask("GET", "/later")
        gone: list[object] = []
        self.asked[0].gone.then(partial(gone.append, None))
        self.client.transport.abortConnection()
        self.assertEqual(gone, [None])
        self.asked[0].gone.then(partial(gone.append, "late"))
        self.assertEqual(gone, [None, "late"])
        self.waiting[0].callback(said(200, "too late"))

    def test_pieces(self) -> None:
        """An answer may come in pieces: with its length, or in chunks if nobody knows that."""
        answer = self.client.get("/pieces?13")
        self.assertEqual((answer.headers["Content-Length"], answer.text), ("13", "one two three"))
        answer = self.client.get("/pieces")
        self.assertEqual(answer.headers["Transfer-Encoding"], "chunked")
        self.assertEqual(answer.text, "one two three")

    def test_slow_reader(self) -> None:
        """A large answer waits for a client that reads slowly, and goes on when it does."""
        self.client.handler.pauseProducing()
        self.client.ask("GET", "/pieces?13")
        self.assertTrue(self.client.raw().endswith(b"\r\n\r\none "))
        self.client.handler.resumeProducing()
        self.assertEqual(self.client.raw(), b"two three")

    def test_broken(self) -> None:
        """A handler that fails is a 500 for who asked, and nobody else notices; a page of another
        origin may read that as well.
        """
        answer = self.client.get("/broken")
        self.assertEqual(answer.status, 500)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.client.get("/hello").status, 200)

    def test_split_answer(self) -> None:
        """An answer whose header has a line break is not sent."""
        self.client.ask("GET", "/later")
        self.waiting[0].callback(HTTPResponse(200, b"", (("Location", "/a\r\nSet-Cookie: b"),)))
        self.assertEqual(self.client.answer().status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class RefusalTests(WebCase):
    """Everything that is no request, or not for us."""

    def refusal(self, data: bytes) -> tuple[int, bool]:
        """The status that these bytes get, and whether the connection is closed behind it."""
        client = WebClient(self.house)
        client.send(data)
        return client.answer().status, client.closed

    def test_no_requests(self) -> None:
        """What may be read in two ways, or is not HTTP/1.1, is refused and closed (HT-5)."""
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /hello\r\n\r\n",
            b"nonsense\r\n\r\n",
            GET.replace(
                b"\r\n\r\n", b"\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"),
            GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"),
            GET.replace(b"\r\n\r\n", b"\r\nContent-Length: -3\r\n\r\n"),
            GET.replace(b"\r\n", b"\n"),
            GET.replace(b"\r\n\r\n", b"\r\n folded: yes\r\n\r\n"),
            GET.replace(b"Host:", b"Host :"),
            GET.replace(b"montague.lit", b"montague\0.lit"),
            GET.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ):
            with self.subTest(data=data):
                self.assertEqual(self.refusal(data), (400, True))
        self.assertEqual(self.asked, [])

    def test_other_lengths(self) -> None:
        """A head that was right is not with what is no length in it (HT-5)."""
        form = b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: %b\r\n\r\nwords"
        self.assertEqual(self.refusal(form % b"5"), (200, False))
        for length in (b"-5", b"+5", b"0x5", b"5,5", b"5 5", b"", b"9" * 30, b"\xb2"):
            with self.subTest(length=length):
                self.assertEqual(self.refusal(form % length), (400, True))
        doubled = form.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(self.refusal(doubled % b"5"), (400, True))
        self.assertEqual(self.refusal(form % b"9999999"), (413, True))

    def test_targets(self) -> None:
        """A path that might mean one thing here and another there is refused (HT-2)."""
        for target in (
            b"/below/../hello", b"/below/%2e%2e/hello", b"/./hello", b"//hello", b"/below//hello",
            b"/hello%00", b"/%u002e%u002e/", b"/below%2fhello", b"/below%5chello", b"/bel\\low",
            b"/hello%", b"/hello%zz", b"/hello%ff", b"http://montague.lit/hello", b"*", b"hello",
            b"/hello#there", b"/hello%0a",
        ):  # fmt: skip
            with self.subTest(target=target):
                self.assertEqual(self.refusal(GET.replace(b"/hello", target))[0], 400)
        self.assertEqual(self.asked, [])

    def test_double_encoding(self) -> None:
        """A path is decoded once: what is encoded twice leads nowhere that it would not say."""
        self.assertEqual(self.client.get("/%2568ello").status, 404)
        self.assertEqual(self.client.get("/%68ello").status, 200)
        self.assertEqual(self.client.get("/below/..%20/%C3%A9%25%F0%9F%8C%B9").status, 200)
        self.assertEqual(self.asked[-1].path, "/below/.. /é%🌹")

    def test_hosts(self) -> None:
        """A request names exactly one host, which is served here (HT-3)."""
        for hosts, status in (
            (b"Host: MONTAGUE.lit:5443", 200),
            (b"Host: capulet.lit", 421),
            (b"Host: 192.0.2.1", 421),
            (b"Host: montague.lit\r\nHost: montague.lit", 400),
            (b"Host:", 400),
            (b"X: y", 400),
            (b"Host: a@montague.lit", 400),
        ):
            with self.subTest(hosts=hosts):
                self.assertEqual(self.refusal(GET.replace(b"Host: montague.lit", hosts))[0], status)

    def test_connect(self) -> None:
        """Nobody is passed on to anywhere."""
        self.assertEqual(
            self.refusal(b"CONNECT a.lit:1 HTTP/1.1\r\nHost: a.lit\r\n\r\n"), (400, True)
        )

    def test_deny_by_default(self) -> None:
        """What no part serves is not there, and a part says who may come (HT-1)."""
        self.assertEqual(self.client.get("/").status, 404)
        self.assertEqual(self.client.get("/below").status, 404)
        self.assertEqual(self.client.get("/below/a/b").status, 200)
        self.assertEqual(self.client.get("/closed").status, 403)
        self.assertEqual([request.path for request in self.asked], ["/below/a/b"])

    def test_sites(self) -> None:
        """A listener serves what it says; numbers are there by whatever name it is asked."""
        self.assertEqual(self.client.get("/numbers").status, 404)
        scraper = WebClient(self.house, serve=("metrics",), host="127.0.0.1:9100")
        self.assertEqual(scraper.get("/numbers").status, 200)
        self.assertEqual(WebClient(self.house, serve=("metrics",)).get("/hello").status, 404)

    def test_methods(self) -> None:
        """An unknown method is told those that there are."""
        answer = self.client.post("/hello", b"")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))
        self.client.ask("OPTIONS", "/hello")
        self.assertEqual(self.client.answer().headers["Allow"], "GET, HEAD, OPTIONS")

    def test_unwanted_body(self) -> None:
        """A body where none is taken is refused before it is read."""
        self.assertEqual(self.client.get("/hello", {"Content-Length": "3"}).status, 413)
        self.assertTrue(self.client.closed)

    def test_preflight(self) -> None:
        """A browser that asks for a page of another origin is told what is allowed, without
        further ado.
        """
        self.client.ask("OPTIONS", "/form", headers={"Origin": "https://capulet.lit"})
        answer = self.client.answer()
        self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (204, "*"))
        self.assertEqual(answer.headers["Access-Control-Allow-Methods"], "POST, OPTIONS")
        self.assertEqual(answer.headers["Access-Control-Max-Age"], "7200")
        self.assertEqual(self.client.get("/form").headers["Access-Control-Allow-Origin"], "*")


class LimitTests(WebCase):
    settings = {"max_head_bytes": 1_000, "max_body_bytes": 100, "max_connections_per_address": 3}

    def test_head(self) -> None:
        """A head is held to its limit while it comes, however long its headers are (HT-4)."""
        padding = b"x" * (1_000 - len(GET) - 7)
        whole = GET.replace(b"\r\n\r\n", b"\r\nX: " + padding + b"y\r\n\r\n")
        self.assertEqual(len(whole), 1_000 - 1)
        self.client.send(whole)
        self.assertEqual(self.client.answer().status, 200)
        for data in (
            whole.replace(b"y", b"yyy"),
            b"GET /" + b"a" * 1_001,
            GET[:-2] + b"A: b\r\n" * 200,
        ):
            client = WebClient(self.house)
            client.send(data)
            self.assertEqual(client.answer().status, 431)
            self.assertTrue(client.closed)
            client.transport.abortConnection()

    def test_chunks(self) -> None:
        """Neither trailers nor what is said between chunks may be longer than a head."""
        head = b"PUT /upload/ HTTP/1.1\r\nHost: montague.lit\r\nTransfer-Encoding: chunked\r\n\r\n"
        for data in (b"3;" + b"x" * 2_000, b"3\r\nabc\r\n0\r\n", b"0\r\nX: " + b"y" * 2_000):
            client = WebClient(self.house)
            client.send(head)
            for at in range(0, len(data), 100):
                client.send(data[at : at + 100])
            if len(data) > 1_000:
                self.assertEqual(client.answer().status, 431)
            client.transport.abortConnection()

    def test_many_small_chunks(self) -> None:
        """A large body in small chunks is no large head."""
        self.client.send(
            b"PUT /upload/ HTTP/1.1\r\nHost: montague.lit\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(500):
            self.client.send(b"4;a=b\r\n\r\n\r\n\r\n")
        self.client.send(b"0\r\n\r\n")
        self.assertEqual(self.client.answer().text, "2000 bytes\n")

    def test_small_body(self) -> None:
        """A small body has a limit, whether its length is told or not."""
        self.assertEqual(self.client.post("/form", b"x" * 100).status, 200)
        self.assertEqual(self.client.post("/form", b"x" * 101).status, 413)
        client = WebClient(self.house)
        chunk = b"41\r\n" + b"x" * 65 + b"\r\n"
        client.send(
            b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nTransfer-Encoding: chunked\r\n\r\n"
            + 2 * chunk
        )
        self.assertEqual(client.answer().status, 413)
        self.assertTrue(client.closed)

    def test_refused_while_it_comes(self) -> None:
        """Who sends on, however much, can read why a body is refused: that is not dropped by
        closing before a few seconds are over (HT-6).
        """
        self.client.send(
            b"POST /form HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: 200000\r\n\r\n"
        )
        self.client.send(b"x" * 100_000)
        self.assertEqual(self.client.answer().status, 413)
        transport = self.client.transport
        self.assertEqual((transport.ended, transport.lost), (True, False))
        self.assertEqual(transport.producerState, "paused")
        self.house.clock.advance(2.9)
        self.assertFalse(transport.lost)
        self.house.clock.advance(0.1)
        self.assertTrue(transport.lost)

    def test_length_required(self) -> None:
        """A body whose end nobody tells is refused."""
        self.client.send(b"POST /form HTTP/1.1\r\nHost: montague.lit\r\n\r\n")
        self.assertEqual(self.client.answer().status, 411)

    def test_address(self) -> None:
        """One address has so many connections, and then no more before one is closed."""
        clients = [WebClient(self.house, "203.0.113.9") for _ in range(4)]
        for client in clients[:3]:
            self.assertEqual(client.get("/hello").status, 200)
        clients[3].ask("GET", "/hello")
        self.assertTrue(clients[3].closed)
        clients[0].transport.abortConnection()
        self.assertEqual(WebClient(self.house, "203.0.113.9").get("/hello").status, 200)


class UploadTests(WebCase):
    head = b"PUT /upload/ HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: %d\r\n%b\r\n"

    def test_pieces(self) -> None:
        """A large body is handed on piece by piece, as it comes."""
        self.client.send(self.head % (11, b"") + b"O Romeo")
        self.assertEqual(self.uploaded, [b"O Romeo"])
        self.assertEqual(self.asked[0].stream.length, 11)
        self.client.send(b" Rom" + GET)
        self.assertEqual(self.client.answer().text, "11 bytes\n")
        self.assertEqual(self.client.answer().text, "/hello\n")

    def test_continue(self) -> None:
        """A client that waits to be told whether its body is wanted is told so, or refused."""
        self.client.send(self.head % (3, b"Expect: 100-continue\r\n"))
        self.assertEqual(self.client.raw(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.client.send(b"abc")
        self.assertEqual(self.client.answer().status, 201)
        self.client.send(self.head % (3, b"Expect: 200-maybe\r\n"))
        self.assertEqual(self.client.answer().status, 417)

    def test_back_pressure(self) -> None:
        """A client that sends faster than the handler reads is read no more until it has."""
        self.client.send(
            b"PUT /slow HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: 99999\r\n\r\n"
        )
        stream = self.asked[0].stream
        self.client.send(b"x" * 60_000)
        self.assertEqual(self.client.transport.producerState, "producing")
        self.client.send(b"x" * 10_000)
        self.assertEqual(self.client.transport.producerState, "paused")
        self.client.send(b"x" * 29_999)  # what Twisted's TLS still has
        self.assertEqual(len(self.successResultOf(read(stream))), 60_000)
        self.assertEqual(self.client.transport.producerState, "producing")
        self.assertEqual(len(self.successResultOf(read(stream))), 10_000)
        self.assertEqual(len(self.successResultOf(read(stream))), 29_999)
        self.assertEqual(self.successResultOf(read(stream)), b"")

    def test_cut_off(self) -> None:
        """Who reads a body is told that the rest of it will not come."""
        self.client.send(self.head % (10, b"") + b"abc")
        self.client.transport.abortConnection()
        failure = self.failureResultOf(read(self.asked[0].stream))
        failure.trap(BodyLost)

    def test_bad_chunk(self) -> None:
        """A body that cannot be read to its end is refused."""
        self.client.send(
            b"PUT /upload/ HTTP/1.1\r\nHost: montague.lit\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\nzz\r\n"
        )
        self.assertEqual(self.client.answer().status, 400)
        self.assertTrue(self.client.closed)


class TimeTests(WebCase):
    def test_head(self) -> None:
        """A head that does not end is answered so after some time, counted from its first byte."""
        for byte in (b"G", b"E", b"T", b" ", b"/", b"h"):
            self.client.send(byte)
            self.house.clock.advance(2)
        self.house.clock.advance(2)
        self.assertEqual(self.client.answer().status, 408)
        self.assertTrue(self.client.closed)

    def test_body(self) -> None:
        """So is a body of which nothing more comes; one that comes slowly takes its time."""
        self.client.send(UploadTests.head % (10, b""))
        for _ in range(5):
            self.house.clock.advance(20)
            self.client.send(b"x")
        self.house.clock.pump([2] * 16)
        self.assertEqual(self.client.answer().status, 408)

    def test_idle(self) -> None:
        """A connection on which nothing is asked is closed; one that waits for an answer is not."""
        waiting = WebClient(self.house)
        waiting.ask("GET", "/later")
        self.client.get("/hello")
        self.house.clock.pump([2] * 36)
        self.assertFalse(self.client.closed)
        self.house.clock.pump([2] * 2)
        self.assertTrue(self.client.closed)
        self.assertFalse(waiting.closed)

    def test_reader(self) -> None:
        """A client that does not read its answer is cut off."""
        self.client.handler.pauseProducing()
        self.client.ask("GET", "/pieces")
        self.house.clock.pump([2] * 16)
        self.assertTrue(self.client.transport.lost)


class UpgradeTests(WebCase):
    def test_http_2(self) -> None:
        """Who would like HTTP/2 better is answered as it can be, and goes on (HT-7)."""
        for _ in range(2):
            answer = self.client.get("/hello", {"Upgrade": "h2c", "Connection": "Upgrade"})
            self.assertEqual(answer.status, 200)

    def test_body(self) -> None:
        """A request with a body may not ask for another protocol: it would be read as one."""
        smuggled = b"GET /hello HTTP/1.1\r\nHost: montague.lit\r\n\r\n"
        for kind in ("h2c", "websocket"):
            client = WebClient(self.house)
            headers = {"Upgrade": kind, "Connection": "Upgrade"}
            self.assertEqual(client.post("/form", smuggled, headers).status, 400)
            self.assertTrue(client.closed)
        self.assertEqual(self.asked, [])

    def test_other(self) -> None:
        """Another protocol than a path speaks is not spoken: the answer is the last one."""
        answer = self.client.get("/hello", {"Upgrade": "irc", "Connection": "Upgrade"})
        self.assertEqual(answer.status, 200)
        self.assertTrue(self.client.closed)


class ProxyTests(WebCase):
    settings = {"trusted_proxies": ["192.0.2.0/24", "2001:db8::1"]}

    def seen(self, peer: str, **headers: str) -> tuple[str, bool]:
        client = WebClient(self.house, peer)
        client.get("/hello", {name.replace("_", "-"): value for name, value in headers.items()})
        return self.asked[-1].address, self.asked[-1].encrypted

    def test_believed(self) -> None:
        """A trusted proxy says who asks: the last one in its list that is no such proxy (HT-11)."""
        told = "203.0.113.66, 198.51.100.7, 192.0.2.5"
        seen = self.seen("192.0.2.1", X_Forwarded_For=told, X_Forwarded_Proto="https")
        self.assertEqual(seen, ("198.51.100.7", True))

    def test_not_believed(self) -> None:
        """Anybody else may say what they like."""
        seen = self.seen("198.51.100.7", X_Forwarded_For="203.0.113.1", X_Forwarded_Proto="https")
        self.assertEqual(seen, ("198.51.100.7", False))

    def test_nonsense(self) -> None:
        """What is no address ends the list."""
        seen = self.seen("192.0.2.1", X_Forwarded_For="203.0.113.1, unknown, 192.0.2.9")
        self.assertEqual(seen, ("192.0.2.9", False))

    def test_not_counted(self) -> None:
        """A proxy speaks for many, and has as many connections as it likes."""
        for _ in range(200):
            self.assertEqual(WebClient(self.house, "192.0.2.1").get("/hello").status, 200)


class StopTests(WebCase):
    def test_stop(self) -> None:
        """At a stop, what is under way is answered, and all else is closed."""
        idle = WebClient(self.house)
        idle.get("/hello")
        self.client.ask("GET", "/later")
        closing = self.house.server.http_connections.close()
        self.assertTrue(idle.closed)
        self.waiting[0].callback(said(200, "last words"))
        answer = self.client.answer()
        self.assertEqual((answer.text, answer.headers["Connection"]), ("last words\n", "close"))
        self.client.transport.abortConnection()
        self.successResultOf(closing)

    def test_silent_ones_give_way(self) -> None:
        """Where too many ask nothing, the one that has been so for longest is cut off (HT-14)."""
        connections = self.house.server.http_connections
        connections.use(replace(connections.settings, max_silent_connections=3))
        asking = WebClient(self.house)
        asking.ask("GET", "/later")
        clients = [WebClient(self.house, f"203.0.113.{number}") for number in range(5)]
        self.assertEqual([each.closed for each in clients], [True, True, False, False, False])
        self.assertFalse(asking.closed)


def read(stream: BodyStream) -> Deferred[bytes]:
    """The next piece of a body."""
    return Deferred.fromCoroutine(stream.read())
