"""Two servers in one process that speak with each other over loopback."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.integration.towns import Authority, Map, Town, heard
from xmppd.s2s.foreign_routes import StreamState
from xmppd.testing import Client

STRICT: Mapping[str, object] = {"require_tls": True, "require_valid_certificate": True}
BY_DNS: Mapping[str, object] = {"require_tls": True, "require_valid_certificate": False}
IN_CLEAR: Mapping[str, object] = {"require_tls": False, "require_valid_certificate": False}


class Towns(TestCase):
    """Verona and Mantua."""

    timeout = 30

    def setUp(self) -> None:
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
