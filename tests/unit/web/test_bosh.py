"""Clients by BOSH, in memory."""

from itertools import permutations
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.web.bosh_client import CREATE, BoshClient, answer, waits
from xmppd.stanza import StreamCondition, StreamError, ns
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient
from xmppd.web.bosh_body import HTTPBIND, BadBody, read_body

MESSAGE = (
    "<message xmlns='jabber:client' to='juliet@montague.lit' id='{id}'><body>{id}</body></message>"
)


class BoshCase(SynchronousTestCase):
    """Romeo comes by BOSH, Juliet by TCP; they are contacts."""

    def setUp(self) -> None:
        self.house = House(
            config=house_config("montague.lit"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.romeo = BoshClient(self.house)

    def meet(self) -> Client:
        """Both are online; the other one."""
        self.romeo.log_in("romeo")
        (juliet,) = self.house.connect("juliet")
        self.romeo.said("", "<presence xmlns='jabber:client'/>")
        juliet.raw()
        return juliet

    def sweep(self, seconds: int) -> None:
        """Let time pass."""
        self.house.clock.pump([2] * (seconds // 2))


class CreationTests(BoshCase):
    def test_terms(self) -> None:
        """The first answer says what was agreed on, and the features of the stream (BO-2)."""
        created = self.romeo.create("to='montague.lit' wait='600' hold='9' ver='1.6'")
        for name, value in (
            ("wait", "60"), ("hold", "1"), ("requests", "2"), ("inactivity", "60"),
            ("polling", "5"), ("maxpause", "120"), ("ver", "1.6"), ("ack", "1001"),
            ("from", "montague.lit"), ("{urn:xmpp:xbosh}version", "1.0"),
        ):  # fmt: skip
            self.assertEqual(created.get(name), value, name)
        self.assertEqual(len(created.get("sid") or ""), 32)
        self.assertTrue(created.get("authid"))
        self.assertEqual(created.names, [f"{{{ns.STREAM}}}features"])

    def test_version(self) -> None:
        """The lower version is spoken."""
        self.assertEqual(self.romeo.create("to='montague.lit' ver='1.99'").get("ver"), "1.11")

    def test_refused(self) -> None:
        """Who asks otherwise is told why, in a body."""
        for attributes, condition in (
            ("to='capulet.lit'", "host-unknown"),
            ("to='@'", "host-unknown"),
            ("", "improper-addressing"),
            ("to='montague.lit' sid=''", "item-not-found"),
            ("to='montague.lit' sid='1234'", "item-not-found"),
        ):
            with self.subTest(attributes=attributes):
                self.assertEqual(BoshClient(self.house).said(attributes).condition, condition)
        self.assertEqual(self.house.server.bosh_sessions.sessions, {})

    def test_rids(self) -> None:
        """A session begins with a number that leaves room for those that follow."""
        for rid in (0, -1, 2**53, 2**53 - 1, 2**53 - 1_000_000):
            self.assertEqual(self.romeo.said(CREATE, rid=rid).condition, "bad-request")
        for body in ("<body/>", f"<body xmlns='{HTTPBIND}' to='montague.lit'/>", "words", ""):
            if body:
                self.assertEqual(answer(self.romeo.raw(body)).condition, "bad-request")
        self.assertEqual(self.romeo.raw("").answer().status, 200)


class TalkTests(BoshCase):
    def test_chat(self) -> None:
        """Two people talk; what is said to him comes by the request that waits."""
        juliet = self.meet()
        poll = self.romeo.ask()
        self.assertTrue(waits(poll))
        juliet.send("<message to='romeo@montague.lit/1' id='1'><body>Ay me</body></message>")
        self.assertEqual(answer(poll).names, ["{jabber:client}message"])
        sent = self.romeo.ask("", MESSAGE.format(id="2"))
        self.assertEqual(len(juliet.received()), 1)
        self.assertTrue(waits(sent))
        self.romeo.ask()
        self.assertEqual(answer(sent).names, [])

    def test_one_answer(self) -> None:
        """What is said in one turn leaves in one body (BO-5)."""
        juliet = self.meet()
        poll = self.romeo.ask()
        both = "<message to='romeo@montague.lit/1'><body>{}</body></message>"
        juliet.send(both.format(1) + both.format(2))
        self.assertEqual(len(answer(poll).names), 2)

    def test_wait(self) -> None:
        """A request on which nothing is said is answered with nothing after a while."""
        self.meet()
        poll = self.romeo.ask()
        self.sweep(58)
        self.assertTrue(waits(poll))
        self.sweep(4)
        self.assertEqual(answer(poll).names, [])

    def test_any_order(self) -> None:
        """Requests are taken in the order of their numbers, whatever their connections do; none is
        taken twice (BO-4).
        """
        random = Random(4)
        expected = [str(number) for number in range(20)]
        juliet = self.meet()
        first = self.romeo.rid + 1
        waiting = [(first + at, MESSAGE.format(id=at)) for at in range(20)]
        while waiting:
            ready = waiting[:2]
            random.shuffle(ready)
            for rid, content in ready:
                self.romeo.ask("", content, rid=rid)
                if random.random() < 0.5:
                    self.romeo.ask("", content, rid=rid)
            waiting = waiting[2:]
        bodies = [each.partition("<body>")[2].partition("<")[0] for each in juliet.received()]
        self.assertEqual([each for each in bodies if each], expected)

    def test_same_answer(self) -> None:
        """A request that comes again gets the same bytes, and is not taken again (BO-3)."""
        juliet = self.meet()
        self.romeo.ask("", MESSAGE.format(id="a"))
        rid = self.romeo.rid
        self.romeo.ask()
        again = answer(self.romeo.ask("", MESSAGE.format(id="a"), rid=rid))
        self.assertIsNone(again.condition)
        self.assertEqual(answer(self.romeo.ask(rid=rid)).data, again.data)
        self.assertEqual(len([each for each in juliet.received() if "<body>" in each]), 1)

    def test_repeat_of_open(self) -> None:
        """One that comes again while it waits takes the place of the older."""
        juliet = self.meet()
        older = self.romeo.ask()
        newer = self.romeo.ask(rid=self.romeo.rid)
        self.assertEqual(answer(older).get("type"), "error")
        juliet.send("<message to='romeo@montague.lit/1'><body>1</body></message>")
        self.assertEqual(answer(newer).names, ["{jabber:client}message"])

    def test_polling(self) -> None:
        """Who lets no request wait is answered at once, and may not ask too often (BO-6)."""
        self.romeo.create("to='montague.lit' wait='60' hold='0'")
        self.assertIsNone(self.romeo.said().condition)
        self.sweep(6)
        self.assertIsNone(self.romeo.said().condition)
        self.assertEqual(self.romeo.said().condition, "policy-violation")


class BadTests(BoshCase):
    def test_out_of_window(self) -> None:
        """A number that is too low or too high ends the session."""
        for step in (3, -10, 2**40):
            self.setUp()
            self.meet()
            rid = self.romeo.rid + step
            self.assertEqual(self.romeo.said(rid=rid).condition, "item-not-found")
            self.assertEqual(self.romeo.said().condition, "item-not-found")

    def test_contents(self) -> None:
        """Text, half an element, two bodies, a DTD: the stream ends, with what was wrong."""
        for content in (
            "words", "<message>", "</body><body>", "<!DOCTYPE x>", "<message/></stream:stream>",
            MESSAGE.format(id="1") + "<message",
        ):  # fmt: skip
            with self.subTest(content=content):
                self.setUp()
                self.meet()
                ended = self.romeo.said("", content)
                self.assertIsNotNone(ended.condition)

    def test_too_large(self) -> None:
        """A body is no larger than a stanza may be: before login, that is little."""
        self.romeo.create()
        ended = self.romeo.said("", f"<message xmlns='jabber:client'>{'x' * 20_000}</message>")
        self.assertEqual(ended.condition, "policy-violation")

    def test_many_elements(self) -> None:
        """A body has 256 elements at most (BO-1)."""
        self.meet()
        ended = self.romeo.said("", "<presence xmlns='jabber:client'/>" * 257)
        self.assertEqual(ended.condition, "remote-stream-error")
        self.assertIn(b"policy-violation", ended.data)

    def test_pause(self) -> None:
        """A client may be quiet for some time, and not for longer than we allow."""
        self.meet()
        poll = self.romeo.ask()
        self.romeo.ask("pause='110'")
        self.assertIsNone(answer(poll).condition)
        self.sweep(100)
        self.assertIsNone(
            answer(self.romeo.ask("", MESSAGE.format(id=1))).condition
        ) if False else None
        self.assertIn(self.romeo.sid, self.house.server.bosh_sessions.sessions)
        self.assertEqual(self.romeo.said("pause='121'").condition, "policy-violation")


class EndTests(BoshCase):
    def test_terminate(self) -> None:
        """Who says goodbye is gone at once, what they said with it comes first (BO-8)."""
        juliet = self.meet()
        ended = self.romeo.said("type='terminate'", MESSAGE.format(id="bye"))
        self.assertEqual(ended.condition, "")
        heard = juliet.received()
        self.assertIn("bye", heard[0])
        self.assertIn("type='unavailable'", heard[1])

    def test_inactive(self) -> None:
        """Who asks no more was lost by accident, and may come back over TCP (BO-7)."""
        juliet = self.meet()
        enabled = self.romeo.said("", f"<enable xmlns='{ns.STREAM_MANAGEMENT}' resume='true'/>")
        id = enabled.tree[0].get("id", "")
        self.sweep(70)
        self.assertEqual(self.house.server.bosh_sessions.sessions, {})
        juliet.send("<message to='romeo@montague.lit/1' id='m'><body>late</body></message>")
        again = self.house.logged_in("romeo")
        self.assertIn("late", "".join(again.resume(id, 0)))

    def test_lost_connection(self) -> None:
        """One whose request was cut off is not waited for longer than one who does not ask."""
        self.meet()
        poll = self.romeo.ask()
        self.sweep(20)
        poll.transport.abortConnection()
        self.sweep(58)
        self.assertIn(self.romeo.sid, self.house.server.bosh_sessions.sessions)
        self.sweep(6)
        self.assertEqual(self.house.server.bosh_sessions.sessions, {})

    def test_stop(self) -> None:
        """A server that stops answers every request that waits, with the reason."""
        self.meet()
        poll = self.romeo.ask()
        stopping = self.house.stop()
        ended = answer(poll)
        self.assertEqual(ended.condition, "remote-stream-error")
        self.assertIn(b"system-shutdown", ended.data)
        self.house.clock.pump([1] * 20)
        self.successResultOf(stopping)

    def test_elsewhere(self) -> None:
        """A client that is sent to another node is told its URL (XEP-0124, section 17.2)."""
        self.meet()
        poll = self.romeo.ask()
        [session] = self.house.server.bosh_sessions.sessions.values()
        error = StreamError(StreamCondition.SEE_OTHER_HOST, other_url="https://b.montague.lit")
        assert session.handler is not None
        session.handler.close(error, by_accident=True)
        ended = answer(poll)
        self.assertEqual(ended.condition, "see-other-uri")
        self.assertIn(b"<uri>https://b.montague.lit/bosh</uri>", ended.data)

    def test_slow(self) -> None:
        """What waits for a client that does not ask waits in the session, as over TCP."""
        juliet = self.meet()
        text = "<message to='romeo@montague.lit/1'><body>" + "x" * 10_000 + "</body></message>"
        for _ in range(20):
            juliet.send(text)
        self.assertLess(self.romeo.session._out_bytes, 100_000)
        seen = 0
        for _ in range(10):
            seen += len(self.romeo.said().names) if seen < 20 else 0
        self.assertEqual(seen, 20)


class BodyTests(SynchronousTestCase):
    def test_spellings(self) -> None:
        """However its tag is written, a body says the same."""
        begin = f"<body xmlns='{HTTPBIND}' xmlns:xmpp='urn:xmpp:xbosh' rid='1'"
        for tag in (
            f"{begin} xml:lang='en' xmpp:restart='true'>",
            f'{begin} xml:lang="en"\n xmpp:restart = "true" >',
            begin.replace("'1'", "'&#49;'") + " xml:lang='en' xmpp:restart='true'>",
            begin.replace(":xmpp=", ":x=") + " xml:lang='en' x:restart='true'>",
        ):
            with self.subTest(tag=tag):
                body = read_body(f" {tag}<a/></body>\n".encode())
                self.assertEqual(body.content, b"<a/>")
                expected = {"rid": "1", "xml:lang": "en", "xmpp:restart": "true"}
                self.assertEqual(body.attributes, expected)

    def test_plain(self) -> None:
        """With nothing but the attributes of a poll, in whichever order and quotes."""
        attributes = (f"xmlns='{HTTPBIND}'", 'rid="12"', "sid='a.b'")
        for order in permutations(attributes):
            for end, content in (("/>", b""), (" />", b""), ("><a/></body>", b"<a/>")):
                body = read_body(f"<body {' '.join(order)}{end}".encode())
                self.assertEqual(body.content, content)
                self.assertEqual(body.attributes, {"rid": "12", "sid": "a.b"})

    def test_declaration(self) -> None:
        """BO-1: A body may declare that it is XML, in UTF-8 and in nothing else."""
        body = f"<body xmlns='{HTTPBIND}' rid='1'><a/></body>"
        for said in (
            "<?xml version='1.0'?>",
            '<?xml version="1.0" encoding="UTF-8"?>\r\n',
            "<?xml version = '1.0' encoding='utf-8' standalone='yes' ?>",
        ):
            self.assertEqual(read_body(f"{said}{body}".encode()), read_body(body.encode()))
        for said in (
            "<?xml?>", "<?xml version='2.0'?>", "<?xml version='1.0' encoding='UTF-16'?>",
            "<?xml version='1.0'?>" * 2, "<?xml-stylesheet version='1.0'?>", "<!-- -->",
        ):  # fmt: skip
            self.assertRaises(BadBody, read_body, f"{said}{body}".encode())

    def test_none(self) -> None:
        """What is no body is none."""
        for data in (
            b"", b"<body", b"<body>", b"<body/>", b"<a/>", b"<!DOCTYPE a><body/>",
            f"<body xmlns='{HTTPBIND}' rid='1' rid='2'/>".encode(),
            f"<body xmlns='{HTTPBIND}' xmlns='{HTTPBIND}' rid='1' sid='2'/>".encode(),
            b"<body rid='1' rid='1' sid='2'/>",
            b"<body xmlns='u' rid='1' sid='2'/>",
            f"<body xmlns='{HTTPBIND}' rid='1'/>x".encode(),
            f"<body xmlns='{HTTPBIND}' rid='&x;'/>".encode(),
            f"<body xmlns='{HTTPBIND}' a='".encode() + b"x" * 9_000 + b"&lt;'/>",
        ):  # fmt: skip
            with self.subTest(data=data[:60]), self.assertRaises(BadBody):
                read_body(data)


class OriginTests(SynchronousTestCase):
    def test_reload(self) -> None:
        """Whose pages may be clients holds from the next request on."""
        house = House("montague.lit")
        page = {"Origin": "https://web.montague.lit"}
        allowed = "Access-Control-Allow-Origin"
        self.assertEqual(WebClient(house).post("/bosh", b"", page).headers[allowed], "*")
        for origins, answered in (((page["Origin"],), page["Origin"]), ((), None)):
            house.reload(house_config("montague.lit", web={"origins": origins}))
            answer = WebClient(house).post("/bosh", b"", page)
            self.assertEqual(answer.headers[allowed], answered)
