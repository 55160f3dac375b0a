"""What goes wrong between servers: certificates, DNS, liars, crashes and cut cables."""

from tests.integration.cable import Cable
from tests.integration.federation import FederatedServer, FederationCase, World
from tests.integration.people import Person, people
from tests.integration.raw_server import RawServer

OWNER, THEIRS = "montague.lit", "capulet.lit"


class FailureCase(FederationCase):
    """Romeo's server is an xmppd."""

    @property
    def ours(self) -> FederatedServer:
        """It."""
        return self.xmppd(OWNER)

    def xmppd(self, domain: str) -> FederatedServer:
        """One of the servers."""
        server = self.world.servers[domain]
        assert isinstance(server, FederatedServer)
        return server

    async def returned(self, sender: Person, to: str) -> str:
        """Why a message comes back."""
        sender.say(to, "is there anybody?")
        error = await sender.expect("message", type="error")
        condition: str = error["error"]["condition"]
        return condition

    def outcomes(self, remote: str) -> str:
        """What came of all steps, as ``xmppctl s2s why`` tells it."""
        return "\n".join(step["outcome"] for step in self.ours.steps(remote))


class CertificateTests(FailureCase):
    """Prosody shows certificates that prove nothing."""

    @classmethod
    def populate(cls, world: World) -> None:
        world.xmppd(OWNER)
        world.prosody("expired.lit", days=-1, secure=False)
        world.prosody("other.lit", named="verona.lit", secure=False)
        world.prosody("strange.lit", believed=False, secure=False)

    async def refuse(self, domain: str, flaw: str) -> None:
        """Nothing goes there; its sender is told, and the administrator can see why."""
        romeo = await self.arrive("romeo", self.ours)
        self.assertEqual(await self.returned(romeo, f"juliet@{domain}"), "remote-server-timeout")
        self.assertIn(flaw, self.outcomes(domain))

    @people
    async def test_expired(self) -> None:
        """A certificate that has expired proves nothing."""
        await self.refuse("expired.lit", "certificate is invalid")

    @people
    async def test_another_domain(self) -> None:
        """A certificate for another domain proves nothing."""
        await self.refuse("other.lit", "certificate is for other names")

    @people
    async def test_strange_authority(self) -> None:
        """A certificate that an unknown authority has signed proves nothing."""
        await self.refuse("strange.lit", "certificate is invalid")


class LiarTests(FailureCase):
    """Somebody says to be who he is not."""

    @classmethod
    def populate(cls, world: World) -> None:
        world.xmppd(OWNER, require_valid_certificate=False)
        world.xmppd(THEIRS)

    def stranger(self, name: str, *, days: float = 5, certified: str = "tybalt.lit") -> RawServer:
        """A stream in somebody's name, with a certificate for somebody."""
        certificate = self.world.authority.issue(certified, days=days)
        stream = RawServer(self.ours.s2s_port, name, OWNER, certificate)
        self.addCleanup(stream.close)
        return stream

    def message(self, sender: str) -> str:
        """A message to somebody here."""
        return f"<message from='{sender}' to='romeo@{OWNER}'><body>come out</body></message>"

    def test_external(self) -> None:
        """Whoever has a certificate speaks for its domain, and for no other."""
        tybalt = self.stranger("tybalt.lit")
        self.assertIn(b"EXTERNAL", tybalt.features)
        self.assertEqual(tybalt.external("tybalt.lit"), "success")
        tybalt.send(self.message(f"juliet@{THEIRS}"))
        self.assertIn(b"invalid-from", tybalt.rest())

    def test_stolen_name(self) -> None:
        """A certificate for one domain does not prove another."""
        liar = self.stranger(THEIRS)
        self.assertNotIn(b"EXTERNAL", liar.features)
        self.assertEqual(liar.external(THEIRS), "not-authorized")

    def test_expired(self) -> None:
        """A certificate that has expired proves nothing."""
        tybalt = self.stranger("tybalt.lit", days=-1)
        self.assertNotIn(b"EXTERNAL", tybalt.features)
        self.assertEqual(tybalt.external("tybalt.lit"), "not-authorized")

    def test_dialback(self) -> None:
        """The real server is asked, and does not know the key."""
        liar = self.stranger(THEIRS)
        answer = liar.dialback("0123456789abcdef")
        self.assertIn(b"type='invalid'", answer.replace(b'"', b"'"))

    def test_unproved(self) -> None:
        """Who has proved nothing is not heard."""
        liar = self.stranger(THEIRS)
        liar.send(self.message(f"juliet@{THEIRS}"))
        self.assertRegex(liar.rest(), b"not-authorized|invalid-from")

    def test_in_the_clear(self) -> None:
        """Without TLS there is nothing to say."""
        liar = RawServer(self.ours.s2s_port, THEIRS, OWNER, tls=False)
        self.addCleanup(liar.close)
        self.assertIn(b"<required/>", liar.features)
        liar.send(self.message(f"juliet@{THEIRS}"))
        self.assertRegex(liar.rest(), b"not-authorized|policy-violation|invalid-from")


class WeatherTests(FailureCase):
    """Servers and cables break."""

    @classmethod
    def populate(cls, world: World) -> None:
        world.xmppd(OWNER, idle_timeout_s=1.0)
        world.xmppd(THEIRS)

    @people
    async def test_unknown_domain(self) -> None:
        """A message to a domain that does not exist comes back, and why is known."""
        romeo = await self.arrive("romeo", self.ours)
        condition = await self.returned(romeo, "juliet@nowhere.lit")
        self.assertEqual(condition, "remote-server-not-found")
        self.assertIn("no such name", self.outcomes("nowhere.lit"))

    @people
    async def test_dns_wrong(self) -> None:
        """Where DNS leads nowhere messages come back, until it is mended."""
        romeo = await self.arrive("romeo", self.ours)
        mantua = self.world.xmppd("mantua.lit")
        self.world.publish(mantua, port=1)
        juliet = await self.arrive("juliet", mantua)
        condition = await self.returned(romeo, juliet.boundjid.full)
        self.assertEqual(condition, "remote-server-timeout")
        self.assertIn("refused", self.outcomes("mantua.lit"))
        self.world.publish(mantua)
        self.ours.tell("s2s close", domain="mantua.lit")
        romeo.say(juliet.boundjid.full, "now")
        await juliet.expect("message", body="now")

    @people
    async def test_killed_and_back(self) -> None:
        """A server that was killed is spoken with again when it is back."""
        romeo, juliet = (
            await self.arrive("romeo", self.ours),
            await self.arrive("juliet", self.xmppd(THEIRS)),
        )
        romeo.say(juliet.boundjid.full, "before")
        await juliet.expect("message", body="before")
        theirs = self.xmppd(THEIRS)
        theirs.kill()
        condition = await self.returned(romeo, juliet.boundjid.bare)
        self.assertEqual(condition, "remote-server-timeout")
        theirs.start()
        self.world.publish(theirs)
        self.ours.tell("s2s close", domain=THEIRS)
        juliet = await self.again(juliet)
        romeo.say(juliet.boundjid.full, "after")
        await juliet.expect("message", body="after")

    @people
    async def test_cut_cable(self) -> None:
        """A connection that nobody has closed, and that leads nowhere, is not used for ever."""
        verona = self.world.xmppd("verona.lit")
        cable = await Cable(verona.s2s_port).lay()
        try:
            self.world.publish(verona, port=cable.begin)
            romeo = await self.arrive("romeo", self.ours)
            juliet = await self.arrive("juliet", verona)
            romeo.say(juliet.boundjid.full, "before")
            await juliet.expect("message", body="before")
            cable.cut()
            await self.until(lambda: not self.ours.streams("verona.lit"))
            cable.mend()
            romeo.say(juliet.boundjid.full, "after")
            await juliet.expect("message", body="after")
            self.assertEqual(cable.connections, 2)
        finally:
            await cable.take_away()
