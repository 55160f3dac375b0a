"""IQs: to the server, to an account, to a session; and the requests of our own."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import OWNER
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.router.iq_router import DuplicateHandler
from xmppd.stanza import IQ, JID, Condition, StanzaError, qname
from xmppd.testing.house import House

DOMAIN = "montague.lit"
QUERY = b"<q xmlns='q'/>"


class Echo(IQHandler):
    """Answers what it was asked; a set fails in one way or the other."""

    query = qname("echo", "echo")
    to = To.SERVER | To.OWN_ACCOUNT | To.ACCOUNTS

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        return b"<echo xmlns='echo'/>"

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        if iq.id == "refuse":
            raise StanzaError(Condition.FORBIDDEN)
        raise RuntimeError("a bug")


class IQTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={}, juliet={})
        self.leave = self.house.server.iq_router.put(Echo(), OWNER)
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def ask(self, to: str | None, query: str, kind: str = "get", id: str = "1") -> str:
        """What a request of Romeo's is answered with."""
        to = "" if to is None else f" to='{to}'"
        self.romeo.send(f"<iq{to} type='{kind}' id='{id}'>{query}</iq>")
        return "".join(self.romeo.received())

    def test_who_answers(self) -> None:
        """The server answers for itself and for accounts (IQ-4, IQ-9), in the name asked."""
        for to, sender in (
            (None, f"romeo@{DOMAIN}"), (DOMAIN, DOMAIN), (f"romeo@{DOMAIN}", f"romeo@{DOMAIN}"),
            (f"juliet@{DOMAIN}", f"juliet@{DOMAIN}"),
        ):  # fmt: skip
            with self.subTest(to=to):
                self.assertEqual(
                    self.ask(to, "<echo xmlns='echo'/>"),
                    f"<iq from='{sender}' to='romeo@{DOMAIN}/1' type='result' id='1'>"
                    "<echo xmlns='echo'/></iq>",
                )

    def test_nobody_answers(self) -> None:
        """What nobody knows, or nobody is there for, is service-unavailable (IQ-10, IQ-16)."""
        for to in (
            None, DOMAIN, f"romeo@{DOMAIN}", f"juliet@{DOMAIN}", f"nobody@{DOMAIN}",
            f"juliet@{DOMAIN}/gone", f"nobody@{DOMAIN}/gone",
        ):  # fmt: skip
            with self.subTest(to=to):
                answer = self.ask(to, "<q xmlns='q'/>")
                self.assertIn("type='error'", answer)
                self.assertIn("<service-unavailable ", answer)
        self.assertIn("<service-unavailable ", self.ask(f"nobody@{DOMAIN}", "<echo xmlns='echo'/>"))

    def test_to_a_session(self) -> None:
        """A full JID gets the request itself, and its answer finds its way back (IQ-11)."""
        self.assertEqual(self.ask(f"juliet@{DOMAIN}/1", "<q xmlns='q'/>"), "")
        (request,) = self.juliet.received()
        self.assertEqual(
            request,
            f"<iq from='romeo@{DOMAIN}/1' to='juliet@{DOMAIN}/1' type='get' id='1'>"
            "<q xmlns='q'/></iq>",
        )
        self.juliet.send(f"<iq to='romeo@{DOMAIN}/1' type='result' id='1'/>")
        self.assertEqual(
            self.romeo.received(),
            [f"<iq from='juliet@{DOMAIN}/1' to='romeo@{DOMAIN}/1' type='result' id='1'/>"],
        )

    def test_wrong_requests(self) -> None:
        """A request has a type, an id and one child (SI-5, IQ-7)."""
        for text in (
            "<iq type='get' id='1'/>",
            "<iq type='get' id='1'><a xmlns='a'/><b xmlns='b'/></iq>",
            "<iq type='get'><a xmlns='a'/></iq>",
            "<iq type='ask' id='1'><a xmlns='a'/></iq>",
            "<iq id='1'><a xmlns='a'/></iq>",
        ):
            with self.subTest(text=text):
                self.romeo.send(text)
                self.assertIn("<bad-request ", "".join(self.romeo.received()))

    def test_answers_are_not_answered(self) -> None:
        """A result or an error that nobody waits for is dropped (IQ-15)."""
        for to in (DOMAIN, f"juliet@{DOMAIN}", f"nobody@{DOMAIN}/x", "elsewhere.lit"):
            for kind in ("result", "error"):
                self.assertEqual(self.ask(to, "", kind), "")
        self.assertEqual(self.juliet.received(), [])

    def test_failures(self) -> None:
        """A refusal is told; a bug is logged, and told as one (IQ-12, IQ-17)."""
        echo = "<echo xmlns='echo'/>"
        self.assertIn("<forbidden ", self.ask(None, echo, "set", "refuse"))
        self.assertIn("<internal-server-error ", self.ask(None, echo, "set"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIn("type='result'", self.ask(None, echo))

    def test_handlers(self) -> None:
        """Two for one query are an error; one that is taken out answers no more (IQ-13)."""
        router = self.house.server.iq_router
        self.assertRaises(DuplicateHandler, router.put, Echo(), OWNER)
        self.assertIn("type='result'", self.ask(None, "<echo xmlns='echo'/>"))
        self.leave()
        self.assertIn("<service-unavailable ", self.ask(None, "<echo xmlns='echo'/>"))


class RequestTests(SynchronousTestCase):
    """What the server asks (IQ-5, IQ-14)."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={}, juliet={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.answers: list[IQ | None] = []

    def ask(self, to: str) -> str:
        """Ask; the id of the request."""
        requests = self.house.server.requests
        asked = requests.ask(JID.parse(to), JID.parse(DOMAIN), QUERY, timeout_s=10)
        asked.addCallback(self.answers.append)
        text = "".join(self.romeo.received())
        return text.partition("id='")[2].partition("'")[0]

    def test_answered(self) -> None:
        """The answer reaches who asked, result or error, once."""
        for kind in ("result", "error"):
            id = self.ask(f"romeo@{DOMAIN}/1")
            for _ in range(2):
                self.romeo.send(f"<iq to='{DOMAIN}' type='{kind}' id='{id}'/>")
        self.assertEqual([answer and answer.type for answer in self.answers], ["result", "error"])
        self.assertEqual(self.romeo.received(), [])

    def test_only_by_who_was_asked(self) -> None:
        """Neither another sender with this id, nor another id, answers."""
        id = self.ask(f"romeo@{DOMAIN}/1")
        self.juliet.send(f"<iq to='{DOMAIN}' type='result' id='{id}'/>")
        self.romeo.send(f"<iq to='{DOMAIN}' type='result' id='x{id}'/>")
        self.assertEqual(self.answers, [])
        self.romeo.send(f"<iq to='{DOMAIN}' type='result' id='{id}'/>")
        self.assertEqual(len(self.answers), 1)

    def test_nobody(self) -> None:
        """Who is not there is not waited for; who is silent, for a limited time."""
        self.ask(f"nobody@{DOMAIN}/1")
        self.assertEqual(self.answers, [None])
        self.ask(f"romeo@{DOMAIN}/1")
        self.house.clock.advance(9)
        self.assertEqual(self.answers, [None])
        self.house.clock.advance(1)
        self.assertEqual(self.answers, [None, None])
        self.assertEqual(self.house.server.requests._pending, {})

    def test_shutdown(self) -> None:
        """At shutdown nobody is waited for any more."""
        self.ask(f"romeo@{DOMAIN}/1")
        self.house.server.requests.stop()
        self.assertEqual(self.answers, [None])
