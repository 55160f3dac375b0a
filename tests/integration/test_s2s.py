"""Two servers in one process that speak with each other over loopback."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import TestCase

from tests.integration.towns import Authority, Map, Town, heard, soon, srv_name, xmpp_address
from xmppd.net import connection_handler
from xmppd.s2s.foreign_routes import StreamState
from xmppd.testing.client import Client

STRICT: Mapping[str, object] = {"require_tls": True, "require_valid_certificate": True}
BY_DNS: Mapping[str, object] = {"require_tls": True, "require_valid_certificate": False}
BY_DNS_ONLY: Mapping[str, object] = {"require_valid_certificate": False}
IN_CLEAR: Mapping[str, object] = {"require_tls": False, "require_valid_certificate": False}


class Towns(TestCase):
    """Verona and Mantua."""

    timeout = 30

    def setUp(self) -> None:
        self.patch(connection_handler, "TURN_S", 10.0)  # what is said here is heard at once
        self.directory = Path(self.mktemp())
        self.authority = Authority(self.directory)
        self.roads = Map()

    async def town(
        self,
        s2s: Mapping[str, object],
        *domains: Mapping[str, str] | str,
        tls: str = "starttls",
        epoll: bool = True,
    ) -> Town:
        """A town whose door is open."""
        trust = {"authorities": str(self.authority.file), **s2s}
        town = Town(self.roads, domains, trust, tls=tls, epoll=epoll, romeo={}, juliet={})
        self.addCleanup(town.close)
        await town.open()
        return town

    async def say(self, speaker: Client, text: str, listener: Client) -> str:
        """What comes of saying something to somebody in another town."""
        assert listener.jid is not None
        speaker.send(f"<message to='{listener.jid.full}'><body>{text}</body></message>")
        (stanza,) = await heard(listener)
        return stanza

    async def converse(self, verona: Town, mantua: Town) -> None:
        """A message there, and one back."""
        romeo, juliet = verona.bind("romeo"), mantua.bind("juliet")
        there = await self.say(romeo, "O wert thou", juliet)
        self.assertIn(f"from='romeo@{verona.domain}/1'", there)
        self.assertIn("<body>O wert thou</body>", there)
        back = await self.say(juliet, "Ay me", romeo)
        self.assertIn(f"from='juliet@{mantua.domain}/1'", back)

    def rows(self, town: Town) -> Sequence[StreamState]:
        """The streams of a town over which something may go."""
        return [row for row in town.server.foreign_routes.state() if row.state == "open"]


class ConversationTests(Towns):
    async def test_dialback_in_the_clear(self) -> None:
        """Without certificates two servers prove themselves by calling each other back."""
        verona = await self.town(IN_CLEAR, "verona.lit", tls="none")
        mantua = await self.town(IN_CLEAR, "mantua.lit", tls="none")
        await self.converse(verona, mantua)

    async def test_dialback_under_tls(self) -> None:
        """Certificates that nobody has signed for the domain do for TLS; dialback does the rest."""
        other = Authority(self.directory, "another")
        verona = await self.town(BY_DNS, other.sign("verona.lit"))
        mantua = await self.town(BY_DNS, other.sign("mantua.lit"))
        await self.converse(verona, mantua)
        (row,) = self.rows(verona)
        self.assertEqual(row.security, "TLSv1.3, dialback")

    async def test_certificates(self) -> None:
        """With valid certificates nobody calls back, and one connection carries both directions."""
        for epoll in (True, False):
            with self.subTest(epoll=epoll):
                verona = await self.town(STRICT, self.authority.sign("verona.lit"), epoll=epoll)
                mantua = await self.town(STRICT, self.authority.sign("mantua.lit"), epoll=epoll)
                self.roads.asked.clear()
                await self.converse(verona, mantua)
                self.assertEqual(self.roads.asked, ["mantua.lit"])
                (row,) = self.rows(verona)
                self.assertEqual((row.direction, row.security), ("both", "TLSv1.3, certificate"))

    async def test_direct_tls(self) -> None:
        """TLS may begin with the first byte."""
        verona = await self.town(STRICT, self.authority.sign("verona.lit"), tls="direct")
        mantua = await self.town(STRICT, self.authority.sign("mantua.lit"), tls="direct")
        await self.converse(verona, mantua)

    async def test_names(self) -> None:
        """A domain may be named by its XMPP address or its service, and be in any script."""
        for domain, name in (
            ("mantua.lit", xmpp_address("mantua.lit")),
            ("mantua.lit", srv_name("mantua.lit")),
            ("bücher.example", None),
        ):
            with self.subTest(domain=domain):
                names = () if name is None else (name,)
                verona = await self.town(STRICT, self.authority.sign("verona.lit"))
                mantua = await self.town(STRICT, self.authority.sign(domain, *names))
                await self.converse(verona, mantua)

    async def test_several_domains(self) -> None:
        """Domains of one server share the connection to another (XEP-0220, §2.6)."""
        sign = self.authority.sign
        verona = await self.town(STRICT, sign("verona.lit"), sign("padua.lit"))
        mantua = await self.town(BY_DNS, sign("mantua.lit"))
        romeo, friar = verona.bind("romeo"), verona.bind("friar@padua.lit")
        juliet = mantua.bind("juliet")
        await self.say(romeo, "one", juliet)
        there = await self.say(friar, "two", juliet)
        self.assertIn("from='friar@padua.lit/1'", there)
        self.assertEqual(self.roads.asked.count("mantua.lit"), 1)
        self.assertEqual({row.local for row in self.rows(verona)}, {"verona.lit", "padua.lit"})


class PolicyTests(Towns):
    """What becomes of a message to Mantua, whose certificate is not as it should be."""

    async def answer(self, verona: Town) -> str:
        """What Romeo hears of what he says to Juliet."""
        romeo = verona.bind("romeo")
        romeo.send("<message to='juliet@mantua.lit' id='m'><body>hi</body></message>")
        (stanza,) = await heard(romeo)
        return stanza

    async def test_certificates_that_do_not_do(self) -> None:
        """Where a valid certificate is required, any other is refused, and the sender knows why."""
        sign = self.authority.sign
        other = Authority(self.directory, "another")
        for certificate, why in (
            (sign("mantua.lit", x509.DNSName("verona.lit")), "the certificate is for other names"),
            (other.sign("mantua.lit"), "the certificate is invalid"),
        ):
            with self.subTest(why):
                verona = await self.town(STRICT, sign("verona.lit"))
                mantua = await self.town(BY_DNS, certificate)
                answer = await self.answer(verona)
                self.assertIn("remote-server-timeout", answer)
                self.assertIn(why, answer)
                while mantua.server.foreign_routes.state():
                    await soon()

    async def test_certificate_of_the_caller(self) -> None:
        """So is one who calls us: its dialback is not even looked into."""
        other = Authority(self.directory, "another")
        verona = await self.town(BY_DNS, other.sign("verona.lit"))
        await self.town(STRICT, self.authority.sign("mantua.lit"))
        self.assertIn("not-authorized", await self.answer(verona))
        self.assertEqual(self.roads.asked, ["mantua.lit"])

    async def test_exception(self) -> None:
        """One domain may be let in where others are not."""
        other = Authority(self.directory, "another")
        trusting = {**STRICT, "domain": [{"name": "verona.lit", **BY_DNS_ONLY}]}
        verona = await self.town(BY_DNS, other.sign("verona.lit"))
        mantua = await self.town(trusting, self.authority.sign("mantua.lit"))
        await self.converse(verona, mantua)

    async def test_no_tls(self) -> None:
        """Where TLS is required, nothing is said in the clear."""
        verona = await self.town(BY_DNS, self.authority.sign("verona.lit"))
        await self.town(IN_CLEAR, "mantua.lit", tls="none")
        self.assertIn("the other server offers no TLS", await self.answer(verona))

    async def test_not_found(self) -> None:
        """There is no such server."""
        verona = await self.town(STRICT, self.authority.sign("verona.lit"))
        self.assertIn("remote-server-not-found", await self.answer(verona))

    async def test_nobody_listens(self) -> None:
        """There is one, but nobody answers there."""
        verona = await self.town(STRICT, self.authority.sign("verona.lit"))
        mantua = await self.town(STRICT, self.authority.sign("mantua.lit"))
        await mantua.close()
        self.assertIn("remote-server-timeout", await self.answer(verona))


class LossTests(Towns):
    async def test_server_restarts(self) -> None:
        """When a server comes back, the next message reaches it by a new stream."""
        verona = await self.town(STRICT, self.authority.sign("verona.lit"))
        mantua = await self.town(STRICT, self.authority.sign("mantua.lit"))
        await self.converse(verona, mantua)
        await mantua.close()
        for _ in range(100):
            if not self.rows(verona):
                break
            await soon()
        self.assertEqual(self.rows(verona), [])
        again = await self.town(STRICT, self.authority.sign("mantua.lit"))
        await self.converse(verona, again)

    async def test_load(self) -> None:
        """A thousand messages each way arrive, each once, in their order."""
        verona = await self.town(STRICT, self.authority.sign("verona.lit"))
        mantua = await self.town(STRICT, self.authority.sign("mantua.lit"))
        romeo, juliet = verona.bind("romeo"), mantua.bind("juliet")
        expected = [f"<body>{number}</body>" for number in range(1_000)]
        for body in expected:
            romeo.send(f"<message to='juliet@mantua.lit/1'>{body}</message>")
            juliet.send(f"<message to='romeo@verona.lit/1'>{body}</message>")
        for client in (romeo, juliet):
            stanzas = await heard(client, len(expected))
            bodies = [s[s.index("<body>") : s.index("</message>")] for s in stanzas]
            self.assertEqual(bodies, expected)
