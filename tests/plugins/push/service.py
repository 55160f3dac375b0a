"""A push service as the server sees it, and people with phones."""

from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.config.config import Config
from xmppd.stanza import ns
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"
SERVICE = "push.capulet.lit"
NS = "urn:xmpp:push:0"
PUBSUB = "http://jabber.org/protocol/pubsub"
OPTIONS = (
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    f"<value>{PUBSUB}#publish-options</value></field>"
    "<field var='secret'><value>eruio234</value></field></x>"
)
BODY = "<body>Wherefore?</body>"
TYPING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
INACTIVE = "<inactive xmlns='urn:xmpp:csi:0'/>"
ACK = f"<a xmlns='{ns.STREAM_MANAGEMENT}' h='{{}}'/>"
MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>"
GAP_S = 5.0
LATE_S = 20.0
PLUGINS = ("push", "disco", "client_state", "carbons")


def enable_request(node: str = "phone", jid: str = SERVICE, inside: str = "") -> str:
    """What registers a service."""
    named = f" jid='{jid}'" if jid else ""
    named += f" node='{node}'" if node else ""
    return f"<enable xmlns='{NS}'{named}>{inside}</enable>"


def enable(client: Client, node: str = "phone", jid: str = SERVICE, inside: str = "") -> str:
    """Register a service; how that was answered."""
    return condition(ask(client, "set", enable_request(node, jid, inside)))


def disable(client: Client, jid: str = SERVICE, node: str = "") -> str:
    """Forget it; how that was answered."""
    named = f" jid='{jid}'" if jid else ""
    named += f" node='{node}'" if node else ""
    return condition(ask(client, "set", f"<disable xmlns='{NS}'{named}/>"))


def message(
    to: str = JULIET, children: str = BODY, kind: str | None = "chat", id: str = "m"
) -> str:
    """A message as a client writes it."""
    written = "" if kind is None else f" type='{kind}'"
    return f"<message to='{to}'{written} id='{id}'>{children}</message>"


class Notification:
    """A notification that the service was sent.

    Attributes:
        id: Of the request.
        sender: In whose name it came.
        node: It was published to.
        fields: Of its summary.
        wire: All of it.
    """

    def __init__(self, wire: str) -> None:
        self.wire = wire
        request = ElementTree.fromstring(wire)
        publish = request.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}publish")
        assert publish is not None, wire
        self.id, self.sender = request.get("id", ""), request.get("from", "")
        self.node = publish.get("node")
        self.fields = dict(map(_field, publish.iter("{jabber:x:data}field")))
        assert self.fields.pop("FORM_TYPE") == "urn:xmpp:push:summary"
        self.body = self.fields.get("last-message-body")
        self.count = int(self.fields.get("message-count", -1))


def _field(field: Element) -> tuple[str, str]:
    return field.get("var", ""), field.findtext("{jabber:x:data}value") or ""


class PushService:
    """The service, which takes what it is sent, refuses it, or says nothing.

    Attributes:
        answer: What it answers: a type of error and its condition; empty for a result; None for
            nothing.
        accepts: The names in which it takes notifications; empty for all.
    """

    def __init__(self, *houses: House, domain: str = SERVICE) -> None:
        self.domain = domain
        self.ends = [(house, Elsewhere(house, domain)) for house in houses]
        self.answer: str | None = ""
        self.accepts: tuple[str, ...] = ()
        self.heard_at: list[int] = []

    def heard(self) -> list[Notification]:
        """The notifications that came since the last look; each is answered."""
        found: list[Notification] = []
        while new := [(number, wire) for number, (_, end) in enumerate(self.ends)
                      for wire in end.heard() if wire.startswith("<iq")]:  # fmt: skip
            for number, wire in new:
                told = Notification(wire)
                self.heard_at.append(number)
                found.append(told)
                self._answer(self.ends[number][1], told)
        return found

    def bodies(self) -> list[str | None]:
        """What these said of texts."""
        return [told.body for told in self.heard()]

    def _answer(self, end: Elsewhere, told: Notification) -> None:
        envelope = f"from='{self.domain}' to='{told.sender}' id='{told.id}'"
        answer = self.answer
        if self.accepts and told.sender not in self.accepts:
            answer = "auth forbidden"
        if answer:
            kind, condition = answer.split()
            end.send(
                f"<iq {envelope} type='error'><error type='{kind}'>"
                f"<{condition} xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
            )
        elif answer is not None:
            end.send(f"<iq {envelope} type='result'/>")


def config(*plugins: str, **push: object) -> Config:
    """The configuration with this table ``[push]``."""
    return house_config(DOMAIN, push=push, plugins={"load": plugins or PLUGINS})


class PushCase(SynchronousTestCase):
    """Romeo writes to Juliet, who has a phone and sometimes a desk."""

    settings: Mapping[str, object] = {}
    plugins: tuple[str, ...] = PLUGINS

    def setUp(self) -> None:
        both = {"juliet": "both"}
        self.house = House(
            config=config(*self.plugins, **self.settings),
            plugins=self.plugins,
            romeo=both,
            juliet={"romeo": "both"},
        )
        self.service = PushService(self.house)
        (self.romeo,) = self.house.connect("romeo")

    def phone(self, node: str = "phone", resource: str = "phone") -> Client:
        """A phone of Juliet's that has registered a service; it acknowledges nothing by itself."""
        (phone,) = self.house.connect(f"juliet/{resource}")
        self.resume_id = phone.enable()
        self.assertEqual(enable(phone, node), "result")
        self.ack(phone)
        phone.raw()
        return phone

    def ack(self, client: Client) -> None:
        """Have it acknowledge all it was sent."""
        client.raw()
        management = client.session.management
        assert management is not None
        client.send(ACK.format(management.sent))

    def back(self, phone: Client) -> Client:
        """The phone's client resumes its session, having got all that was sent before."""
        management = phone.session.management
        assert management is not None
        again = self.house.logged_in("juliet")
        self.assertIn("<resumed", again.resume(self.resume_id, management.sent)[0])
        return again

    def away(self) -> None:
        """Juliet has a phone, which has logged out in an orderly way."""
        phone = self.phone()
        phone.send("<presence type='unavailable'/></stream:stream>")
        self.assertTrue(phone.closed)
        self.romeo.raw()

    def asleep(self) -> Client:
        """Juliet has a phone whose connection is lost."""
        phone = self.phone()
        phone.abort()
        self.wait(0)
        self.assertTrue(phone.session.detached)
        return phone

    def send(self, children: str = BODY, kind: str | None = "chat", id: str = "m") -> None:
        """Romeo sends Juliet something."""
        self.romeo.send(message(JULIET, children, kind, id))

    def wait(self, seconds: float) -> None:
        """Let time pass, in steps of a second."""
        whole, rest = divmod(seconds, 1)
        for step in [1.0] * int(whole) + [rest]:
            self.house.clock.advance(step)
