"""Services with handlers, disco and more, under domains of their own."""

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.components import internal_component
from xmppd.components.service import ANSWER_S, Service
from xmppd.disco.disco import DiscoAnswer, Says
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.events import On
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Later,
    Message,
    Presence,
    Stanza,
    StanzaError,
    ns,
)
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House

DOMAIN = "stage.montague.lit"
BALCONY = f"balcony@{DOMAIN}"
INFO, ITEMS = (f"http://jabber.org/protocol/disco#{what}" for what in ("info", "items"))
IDENTITY = DiscoIdentity("conference", "text", "The stage")


class Bow(IQHandler):
    """Answers for the service, at once or later, and for its entities."""

    query = "{urn:bow}bow"
    to = To.SERVER | To.ENTITIES
    features = ("urn:bow",)

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.curtain: Deferred[None] = Deferred()

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        self.asked.append(asked)
        if iq.id == "bug":
            raise ZeroDivisionError
        return b"<bowed xmlns='urn:bow'/>"

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        await self.curtain
        if iq.id == "bug":
            raise ZeroDivisionError
        if iq.id == "no":
            raise StanzaError(Condition.NOT_ALLOWED)


class Stage(Service):
    """Has one entity, and repeats what it is told."""

    def message(self, message: Message) -> Later:
        assert message.to is not None
        self.send(message.addressed(message.sender, message.to))
        return None

    def says(self, question: DiscoQuestion) -> DiscoAnswer:
        if question.node:
            return DiscoInfo(features=("urn:node",)) if question.node == "n" else None
        if question.entity.local is None:
            return DiscoInfo(items=(DiscoItem(JID.parse(BALCONY), "Balcony"),))
        if question.entity.local == "balcony":
            return DiscoInfo((DiscoIdentity("conference", "text", "Balcony"),))
        return None


class ServiceCase(SynchronousTestCase):
    """A house with a service."""

    kind: type[Service] = Stage

    def setUp(self) -> None:
        self.house = House(plugins=("disco", "ping"), romeo={}, juliet={})
        self.bow = Bow()
        services = self.house.server.service_domains
        self.stage = self.kind(services, DOMAIN, IDENTITY, self.bow)
        self.undo = services.put(self.stage, "stage")
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.romeo.raw()

    def ask(
        self, query: str, to: str = DOMAIN, kind: str = "get", client: Client | None = None,
        id: str = "1",
    ) -> str:  # fmt: skip
        """What a request is answered."""
        client = client or self.romeo
        client.send(f"<iq type='{kind}' id='{id}' to='{to}'>{query}</iq>")
        return "".join(client.received())

    def disco(self, what: str = INFO, to: str = DOMAIN, node: str = "") -> str:
        """What disco says."""
        named = f" node='{node}'" if node else ""
        return self.ask(f"<query xmlns='{what}'{named}/>", to)


class RequestTests(ServiceCase):
    """Requests to the service."""

    def test_own(self) -> None:
        """Its own handler answers for it, and is told who asks of whom."""
        answer = self.ask("<bow xmlns='urn:bow'/>")
        self.assertIn(f"from='{DOMAIN}'", answer)
        self.assertIn("<bowed", answer)
        self.assertIn("<bowed", self.ask("<bow xmlns='urn:bow'/>", BALCONY))
        self.assertEqual([asked.address.full for asked in self.bow.asked], [DOMAIN, BALCONY])
        self.assertIs(self.bow.asked[0].session, self.romeo.session)
        self.assertFalse(self.bow.asked[0].server)

    def test_ping(self) -> None:
        """Ping is answered by the server's handler, for the service alone."""
        self.assertIn("type='result'", self.ask("<ping xmlns='urn:xmpp:ping'/>"))
        self.assertIn("<service-unavailable", self.ask("<ping xmlns='urn:xmpp:ping'/>", BALCONY))
        self.house.server.iq_router.handlers.pop("{urn:xmpp:ping}ping")
        self.assertIn("<service-unavailable", self.ask("<ping xmlns='urn:xmpp:ping'/>"))

    def test_unknown(self) -> None:
        """What nobody answers is unavailable: of the server, of the service, of a resource."""
        self.assertIn("<service-unavailable", self.ask("<query xmlns='jabber:iq:roster'/>"))
        self.assertIn("<service-unavailable", self.ask("<what xmlns='urn:what'/>"))
        self.assertIn("<service-unavailable", self.ask("<bow xmlns='urn:bow'/>", f"{BALCONY}/x"))
        self.assertIn("<bad-request", self.ask("<a xmlns='b'/><a xmlns='b'/>"))

    def test_failing(self) -> None:
        """A bug is logged and told as one, at once or later."""
        self.assertIn("<internal-server-error", self.ask("<bow xmlns='urn:bow'/>", id="bug"))
        self.bow.curtain.callback(None)
        answer = self.ask("<bow xmlns='urn:bow'/>", kind="set", id="bug")
        self.assertIn("<internal-server-error", answer)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertIn("<not-allowed", self.ask("<bow xmlns='urn:bow'/>", kind="set", id="no"))

    def test_waiting(self) -> None:
        """While one waits, its sender's other stanzas stay behind it, and nobody else's do."""
        self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", kind="set"), "")
        self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", id="2"), "")
        self.romeo.send(f"<message to='{DOMAIN}' id='3'><body>x</body></message>")
        self.assertEqual(self.romeo.received(), [])
        self.assertIn("<bowed", self.ask("<bow xmlns='urn:bow'/>", client=self.juliet))
        self.bow.curtain.callback(None)
        answers = self.romeo.received()
        self.assertEqual([answer.partition(" id='")[2][0] for answer in answers], ["1", "2", "3"])
        self.assertEqual((self.stage._held, self.stage._held_bytes), (0, 0))

    def test_too_many_wait(self) -> None:
        """Behind one that waits only so many of its account do; others have their room."""
        self.patch(internal_component, "MAX_PER_LINE", 2)
        for id in "123":
            self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", kind="set", id=id), "")
        self.assertIn("<service-unavailable", self.ask("<bow xmlns='urn:bow'/>", id="4"))
        self.assertIn("<bowed", self.ask("<bow xmlns='urn:bow'/>", client=self.juliet))
        self.bow.curtain.callback(None)
        self.assertEqual(len(self.romeo.received()), 3)
        self.assertIn("<bowed", self.ask("<bow xmlns='urn:bow'/>"))

    def test_goodbye(self) -> None:
        """A goodbye arrives, however many wait: if it was lost, nobody would say it again."""
        self.patch(internal_component, "MAX_PER_LINE", 1)
        heard: list[Presence] = []
        self.patch(self.stage, "presence", heard.append)
        self.romeo.send(f"<presence to='{BALCONY}/romeo'/>")
        for id in "12":
            self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", kind="set", id=id), "")
        self.romeo.abort()
        self.bow.curtain.callback(None)
        self.assertEqual([presence.type for presence in heard], [None, "unavailable"])

    def test_gone(self) -> None:
        """Whoever waits for an answer when the service goes is told; then nobody is there."""
        self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", kind="set"), "")
        self.undo()
        self.assertIn("<service-unavailable", "".join(self.romeo.received()))
        self.assertIn("<remote-server-not-found", self.ask("<bow xmlns='urn:bow'/>"))

    def test_other_server_is_lost(self) -> None:
        """A server that the service cannot reach is lost for the service alone."""
        elsewhere, lost = Elsewhere(self.house), list[RemoteServerLost]()
        self.house.server.events.put(On(RemoteServerLost, lost.append), "stage")
        elsewhere.send(f"<presence from='nurse@capulet.lit/1' to='{self.romeo.jid}'/>")
        self.romeo.raw()
        elsewhere.lose("capulet.lit", DOMAIN)
        self.assertEqual(self.romeo.received(), [])
        self.assertEqual(lost, [RemoteServerLost(DOMAIN, "capulet.lit")])
        elsewhere.lose("capulet.lit")
        self.assertIn("unavailable", "".join(self.romeo.received()))

    def test_unseen(self) -> None:
        """When the service goes, whoever saw an entity of it sees that leave, once."""
        for nick in "ab":
            seen = Presence.make(self.romeo.jid, JID.parse(f"{BALCONY}/{nick}"))
            self.stage.send(seen)
        gone = Presence.make(self.romeo.jid, JID.parse(f"{BALCONY}/a"), type="unavailable")
        self.patch(self.stage, "stopped", lambda: self.stage.send(gone))
        self.romeo.raw()
        self.undo()
        goodbyes = self.romeo.received()
        self.assertEqual([text.count("type='unavailable'") for text in goodbyes], [1, 1])


class Dressers(Stage):
    """A stage whose resources are people, and whose entities have a line each."""

    def line(self, stanza: Stanza) -> str:
        assert stanza.to is not None
        return stanza.to.bare

    def resource_request(self, iq: IQ) -> Later:
        assert iq.to is not None and iq.to.resource is not None
        person = JID.parse(iq.to.resource)
        self.pass_on(iq, person, JID.parse(f"{BALCONY}/somebody"))
        return None


class LineTests(ServiceCase):
    """A service that says which stanzas wait behind which."""

    kind = Dressers

    def test_entity(self) -> None:
        """What waits at an entity holds up everybody there, in order, and nobody elsewhere."""
        self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", BALCONY, kind="set"), "")
        self.assertEqual(self.ask("<bow xmlns='urn:bow'/>", BALCONY, client=self.juliet), "")
        self.assertIn("<bowed", self.ask("<bow xmlns='urn:bow'/>", id="2"))
        self.bow.curtain.callback(None)
        self.assertIn("<bowed", "".join(self.juliet.received()))
        self.assertEqual(self.stage._lines, {})


class PassOnTests(ServiceCase):
    """Requests that somebody else answers."""

    kind = Dressers

    def pass_on(self, id: str = "1", whom: str = "juliet@montague.lit/1") -> str:
        """What a request to a resource is answered at once."""
        return self.ask("<who xmlns='urn:who'/>", f"{BALCONY}/{whom}", id=id)

    def asked(self) -> str:
        """The id of the request that Juliet's client got."""
        (request,) = self.juliet.received()
        self.assertIn(f"from='{BALCONY}/somebody'", request)
        self.assertIn("<who", request)
        return request.partition(" id='")[2].partition("'")[0]

    def answer(self, kind: str, child: str) -> str:
        """What the asker gets when Juliet's client answers."""
        id = self.asked()
        self.juliet.send(f"<iq type='{kind}' id='{id}' to='{BALCONY}/somebody'>{child}</iq>")
        (answer,) = self.romeo.received()
        self.assertIn(f"from='{BALCONY}/juliet@montague.lit/1' to='{self.romeo.jid}'", answer)
        self.assertIn(f"type='{kind}' id='7'", answer)
        return answer

    def test_answered(self) -> None:
        """The answer comes from the address that was asked; meanwhile the line goes on."""
        self.assertEqual(self.pass_on("7"), "")
        self.romeo.send(f"<message to='{BALCONY}'><body>x</body></message>")
        self.assertIn("<body>x", "".join(self.romeo.received()))
        self.assertIn("<me", self.answer("result", "<me xmlns='urn:who'/>"))

    def test_refused(self) -> None:
        """So does an error."""
        self.pass_on("7")
        error = f"<error type='auth'><forbidden xmlns='{ns.STANZA_ERRORS}'/></error>"
        self.assertIn("<forbidden", self.answer("error", error))

    def test_account(self) -> None:
        """An account may be asked, which is answered for by the server."""
        self.assertIn("<service-unavailable", self.pass_on(whom="juliet@montague.lit"))
        self.assertIn("<service-unavailable", self.pass_on(whom="juliet@montague.lit/2"))
        self.assertEqual(self.juliet.received(), [])

    def test_silent(self) -> None:
        """Whoever asks somebody who does not answer is told in time, or when the service goes."""
        self.pass_on()
        self.house.clock.advance(ANSWER_S)
        self.assertIn("<remote-server-timeout", "".join(self.romeo.received()))
        self.pass_on()
        self.undo()
        self.assertIn("<service-unavailable", "".join(self.romeo.received()))
        self.juliet.received()

    def test_too_many(self) -> None:
        """Of one account only so many wait."""
        self.patch(internal_component, "MAX_APART", 2)
        self.assertEqual(self.pass_on() + self.pass_on(), "")
        self.assertIn("<resource-constraint", self.pass_on())
        self.house.clock.advance(ANSWER_S)
        self.romeo.raw()
        self.assertEqual(self.pass_on(), "")

    def test_too_many_of_all(self) -> None:
        """Of all accounts together no more wait than a service holds, however many ask."""
        self.patch(internal_component, "MAX_WAITING", 3)
        self.assertEqual(self.pass_on() + self.pass_on(), "")
        self.assertIn("<resource-constraint", self.pass_on())
        self.house.clock.advance(ANSWER_S)
        self.romeo.raw()
        self.assertEqual(self.pass_on(), "")
        self.undo()
        self.assertEqual((self.stage._held, self.stage._held_bytes, self.stage._apart), (0, 0, {}))


class DiscoTests(ServiceCase):
    """What disco says of it."""

    def test_item(self) -> None:
        """It is an item of the server."""
        self.assertIn(f"jid='{DOMAIN}' name='The stage'", self.disco(ITEMS, "montague.lit"))

    def test_info(self) -> None:
        """It says what it is, and what it and the server do for it; nothing else."""
        said = self.disco()
        self.assertIn("category='conference'", said)
        for feature in ("urn:bow", "urn:xmpp:ping", INFO, ITEMS):
            self.assertIn(f"var='{feature}'", said)
        self.assertNotIn("jabber:iq:roster", said)
        self.assertNotIn("urn:bow", self.disco(to="montague.lit"))

    def test_items(self) -> None:
        """It has entities, each of which says what it is; others are not there."""
        self.assertIn(f"jid='{BALCONY}'", self.disco(ITEMS))
        said = self.disco(to=BALCONY)
        self.assertIn("name='Balcony'", said)
        for feature in ("urn:bow", INFO, ITEMS):
            self.assertIn(f"var='{feature}'", said)
        self.assertNotIn("urn:xmpp:ping", said)
        self.assertIn("<item-not-found", self.disco(to=f"crypt@{DOMAIN}"))

    def test_nodes(self) -> None:
        """So it is with nodes."""
        for to in (DOMAIN, BALCONY):
            self.assertIn("urn:node", self.disco(to=to, node="n"))
            self.assertIn("<item-not-found", self.disco(to=to, node="m"))

    def test_half_way(self) -> None:
        """One that fails to say what it is leaves nothing behind."""
        services, before = self.house.server.service_domains, dict(self.house.server.disco._rows)

        class Mute(Stage):
            def said(self) -> Iterator[Says]:
                yield from super().said()
                raise ZeroDivisionError

        mute = Mute(services, "mute.montague.lit", IDENTITY)
        self.assertRaises(ZeroDivisionError, services.put, mute, "stage")
        self.assertEqual(self.house.server.disco._rows, before)
        self.assertNotIn("mute.montague.lit", self.house.server.routing_table.components)

    def test_taken_out(self) -> None:
        """When it goes, nothing of it is left."""
        rows = self.house.server.disco._rows
        self.assertIn(DOMAIN, rows)
        self.undo()
        self.assertNotIn(DOMAIN, rows)
        self.assertNotIn(DOMAIN, self.disco(ITEMS, "montague.lit"))


class PlainTests(ServiceCase):
    """A service that takes neither messages nor presence."""

    kind = Service

    def test_message(self) -> None:
        """A message is refused, and an error is not answered."""
        self.romeo.send(f"<message to='{DOMAIN}'><body>x</body></message>")
        self.assertIn("<service-unavailable", "".join(self.romeo.received()))
        self.romeo.send(f"<message to='{DOMAIN}' type='error'><body>x</body></message>")
        self.assertEqual(self.romeo.received(), [])

    def test_presence(self) -> None:
        """A subscription is denied, and other presence means nothing."""
        self.romeo.send(f"<presence to='{DOMAIN}'/>")
        self.assertEqual(self.romeo.received(), [])
        self.romeo.send(f"<presence to='{DOMAIN}' type='subscribe'/>")
        self.assertIn("subscription='none'", "".join(self.romeo.received()))

    def test_no_entities(self) -> None:
        """It has no entities."""
        self.assertIn("<item-not-found", self.disco(to=BALCONY))
