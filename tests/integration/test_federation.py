"""Two servers, and people on both: xmppd with xmppd, and xmppd with prosody."""

import asyncio

from tests.integration.federation import FederatedServer, FederationCase, Server, World
from tests.integration.people import PATIENCE_S, Person, befriend, people

MONTAGUE, CAPULET = "montague.lit", "capulet.lit"


async def want_tunes(person: Person) -> None:
    """Have somebody's client say that it wants to know what others hear."""
    for name in ("xep_0060", "xep_0163", "xep_0118"):
        person.register_plugin(name)
    wanted = "http://jabber.org/protocol/tune"
    person["xep_0163"].add_interest(wanted)
    features: set[str] = set()
    while f"{wanted}+notify" not in features:  # slixmpp adds it some time later
        await asyncio.sleep(0)
        info = await person["xep_0030"].get_info(local=True)
        features = set(info["features"])
    await person["xep_0115"].update_caps()
    await person.catch_up()


async def told(person: Person, publisher: Person, title: str) -> None:
    """Wait until somebody is told of a song, after others."""
    while title not in str(await person.expect("message", sender=publisher.boundjid.bare)):
        pass


class XmppdTests(FederationCase):
    """What people do all day, between two xmppd that believe each other's certificates."""

    proof = "certificate"

    @classmethod
    def populate(cls, world: World) -> None:
        world.xmppd(MONTAGUE)
        world.xmppd(CAPULET)

    @property
    def ours(self) -> FederatedServer:
        """Romeo's server."""
        server = self.world.servers[MONTAGUE]
        assert isinstance(server, FederatedServer)
        return server

    @property
    def theirs(self) -> Server:
        """Juliet's."""
        return self.world.servers[CAPULET]

    async def couple(self) -> tuple[Person, Person]:
        """Romeo on our side, Juliet on theirs."""
        return await self.arrive("romeo", self.ours), await self.arrive("juliet", self.theirs)

    @people
    async def test_friends(self) -> None:
        """Two on different servers become friends, see each other come and go, and talk."""
        romeo, juliet = await self.couple()
        await befriend(romeo, juliet)
        romeo.say(juliet.boundjid.bare, "to whoever you are")
        await juliet.expect("message", body="to whoever you are", sender=romeo.boundjid)
        juliet.say(romeo.boundjid.full, "to this very client")
        await romeo.expect("message", body="to this very client", sender=juliet.boundjid)
        romeo.send_presence(pshow="away", pstatus="at the Friar's")
        await juliet.expect("presence", type="away", status="at the Friar's")
        juliet.send_presence(pshow="dnd", pstatus="at the ball")
        await romeo.expect("presence", type="dnd", status="at the ball")
        await romeo.leave()
        await juliet.expect("presence", type="unavailable", sender=romeo.boundjid)
        romeo = await self.again(romeo)
        await juliet.expect("presence", type="available", sender=romeo.boundjid)
        await romeo.expect("presence", type="dnd", sender=juliet.boundjid)
        await juliet.lose()
        await romeo.expect("presence", type="unavailable", sender=juliet.boundjid)
        juliet = await self.again(juliet)
        await romeo.expect("presence", type="available", sender=juliet.boundjid)

    @people
    async def test_published(self) -> None:
        """What one publishes the other is told, since the client wants it; and it is sent what was
        published before, when it comes.
        """
        romeo, juliet = await self.couple()
        for person in (romeo, juliet):
            await want_tunes(person)
        await befriend(romeo, juliet)
        for publisher, other in ((romeo, juliet), (juliet, romeo)):
            title = f"the song of {publisher.boundjid.user}"
            await publisher["xep_0118"].publish_tune(title=title)
            await told(other, publisher, title)
        await juliet.leave()
        await romeo.expect("presence", type="unavailable", sender=juliet.boundjid)
        await romeo["xep_0118"].publish_tune(title="while you slept")
        juliet = await self.again(juliet)
        await want_tunes(juliet)
        await told(juliet, romeo, "while you slept")

    @people
    async def test_not_wanted(self) -> None:
        """Whose client does not want to know is told nothing, though the two are friends."""
        romeo, juliet = await self.couple()
        await befriend(romeo, juliet)
        for name in ("xep_0060", "xep_0163", "xep_0118"):
            romeo.register_plugin(name)
        await romeo["xep_0118"].publish_tune(title="Heart's ease")
        romeo.say(juliet.boundjid.bare, "did you hear it?")
        await juliet.expect("message", body="did you hear it?", sender=romeo.boundjid)
        self.assertEqual([str(each) for each in juliet.inbox if each.name == "message"], [])

    @people
    async def test_parting(self) -> None:
        """Who may no longer look sees the other leave, and who no longer looks does too."""
        romeo, juliet = await self.couple()
        await befriend(romeo, juliet)
        juliet.send_presence_subscription(romeo.boundjid.bare, ptype="unsubscribed")
        await romeo.expect("presence", type="unsubscribed", sender=juliet.boundjid.bare)
        await romeo.expect("presence", type="unavailable", sender=juliet.boundjid)
        juliet.send_presence_subscription(romeo.boundjid.bare, ptype="unsubscribe")
        await romeo.expect("presence", type="unsubscribe", sender=juliet.boundjid.bare)
        await juliet.expect("presence", type="unavailable", sender=romeo.boundjid)

    @people
    async def test_questions(self) -> None:
        """Clients and servers ask each other, and are answered."""
        romeo, juliet = await self.couple()
        for asking, asked in ((romeo, juliet), (juliet, romeo)):
            for address in (asked.boundjid, asked.boundjid.domain):
                await asking["xep_0199"].ping(address, timeout=PATIENCE_S)

    @people
    async def test_nobody(self) -> None:
        """A message to an account that the other server does not have comes back."""
        romeo, juliet = await self.couple()
        for sender, domain in ((romeo, CAPULET), (juliet, MONTAGUE)):
            sender.say(f"nobody@{domain}", "hello?")
            error = await sender.expect("message", type="error")
            self.assertEqual(error["error"]["condition"], "service-unavailable")

    @people
    async def test_order(self) -> None:
        """What one says to another arrives complete and in order, both ways at once."""
        romeo, juliet = await self.couple()
        for number in range(200):
            romeo.say(juliet.boundjid.full, str(number))
            juliet.say(romeo.boundjid.full, str(number))
        for hearer in (romeo, juliet):
            for number in range(200):
                message = await hearer.expect("message")
                self.assertEqual(message["body"], str(number))

    @people
    async def test_listed(self) -> None:
        """The administrator sees the streams, both ways, and what proves who is there."""
        romeo, juliet = await self.couple()
        romeo.say(juliet.boundjid.full, "hear")
        await juliet.expect("message")
        juliet.say(romeo.boundjid.full, "hear")
        await romeo.expect("message")
        streams = self.ours.streams(CAPULET)
        directions = {stream["direction"] for stream in streams}
        self.assertIn(directions, ({"in", "out"}, {"both"}))  # one is enough, by XEP-0288
        for stream in streams:
            self.assertEqual(stream["security"], f"TLSv1.3, {self.proof}")
            self.assertEqual(stream["queued_stanzas"], 0)


class ProsodyTests(XmppdTests):
    """The same between xmppd and prosody, each by SASL EXTERNAL."""

    @classmethod
    def populate(cls, world: World) -> None:
        world.xmppd(MONTAGUE)
        world.prosody(CAPULET)


class ProsodyDialbackTests(XmppdTests):
    """The same with certificates that nobody believes: dialback proves who is there."""

    proof = "dialback"

    @classmethod
    def populate(cls, world: World) -> None:
        world.xmppd(MONTAGUE, believed=False, require_valid_certificate=False)
        world.prosody(CAPULET, believed=False, secure=False)


class DialbackTests(XmppdTests):
    """The same between two xmppd."""

    proof = "dialback"

    @classmethod
    def populate(cls, world: World) -> None:
        for domain in (MONTAGUE, CAPULET):
            world.xmppd(domain, believed=False, require_valid_certificate=False)


class ProsodyDirectTLSTests(XmppdTests):
    """The same where DNS leads to the doors with direct TLS (XEP-0368)."""

    @classmethod
    def populate(cls, world: World) -> None:
        for server in (world.xmppd(MONTAGUE), world.prosody(CAPULET)):
            world.publish(server, direct_tls=True)
