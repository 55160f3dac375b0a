"""Handlers of wokkel inside the server find what they find behind a socket."""

from xmppd.components.wokkel_bridge import WokkelComponent

# isort: split
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.protocols.jabber.xmlstream import TimeoutError as NoAnswer
from twisted.words.protocols.jabber.xmlstream import toResponse
from twisted.words.xish.domish import Element
from wokkel.generic import Request
from wokkel.ping import PingClientProtocol
from wokkel.subprotocols import IQHandlerMixin, XMPPHandler
from wokkel.xmppim import AvailablePresence, MessageProtocol, PresenceProtocol

from xmppd.testing.house import House

DOMAIN = "bridge.montague.lit"


class Handler(XMPPHandler, IQHandlerMixin):
    """A handler as wokkel's users write them; what it does is given by the test."""

    iqHandlers = {"/iq[@type='get']/x[@xmlns='u']": "onX"}

    def __init__(self) -> None:
        super().__init__()
        self.states: list[str] = []
        self.heard: list[Element] = []
        self.answer: Callable[[Element], Any] = lambda iq: None

    def connectionMade(self) -> None:
        self.states.append("made")

    def connectionInitialized(self) -> None:
        self.states.append("initialized")
        self.xmlstream.addObserver("/message", self.heard.append)
        self.xmlstream.addObserver("/presence", self.heard.append)
        self.xmlstream.addObserver("/iq[@type='get']/x[@xmlns='u']", self.handleRequest)
        self.xmlstream.addObserver("/iq[@type='get']/y[@xmlns='u']", self.onPlain)

    def connectionLost(self, reason: Any) -> None:
        reason.trap(ConnectionDone)
        self.states.append("lost")
        super().connectionLost(reason)

    def onX(self, iq: Element) -> Any:
        return self.answer(iq)

    def onPlain(self, iq: Element) -> None:
        self.answer(iq)


class Question(Request):
    """Something that is asked of Romeo."""

    childURI, childName = "u", "question"

    def __init__(self) -> None:
        super().__init__(recipient=JID("romeo@montague.lit/1"))

    def toElement(self) -> Element:
        element: Element = super().toElement()
        element.addElement(("u", "question"))
        return element


class BridgeCase(SynchronousTestCase):
    """A house with a handler in it."""

    def setUp(self) -> None:
        self.house = House(romeo={}, juliet={})
        self.handler = Handler()
        self.component = self.made(DOMAIN, self.handler)
        self.undo = self.house.server.service_domains.put(self.component, "bridge")
        (self.romeo,) = self.house.connect("romeo")

    def made(self, domain: str, *handlers: XMPPHandler) -> WokkelComponent:
        """A component of this house."""
        return WokkelComponent(self.house.server.packet_router, self.house.clock, domain, *handlers)

    def ask(self, child: str, kind: str = "get") -> str:
        self.romeo.send(f"<iq to='{DOMAIN}' type='{kind}' id='1'>{child}</iq>")
        return "".join(self.romeo.received())


class LifeTests(BridgeCase):
    """Coming and going (CO-12)."""

    def test_states(self) -> None:
        """A handler is connected, initialized, and in the end told that it is not any more."""
        self.assertEqual(self.handler.states, ["made", "initialized"])
        self.assertIs(self.handler.parent, self.component.manager)
        self.undo()
        self.assertEqual(self.handler.states, ["made", "initialized", "lost"])

    def test_later(self) -> None:
        """A handler that is added later is brought up to date."""
        late = Handler()
        late.setHandlerParent(self.component.manager)
        self.assertEqual(late.states, ["made", "initialized"])
        late.disownHandlerParent(self.component.manager)

    def test_queue(self) -> None:
        """What a handler says before it is connected is kept for then."""
        component = self.made("early.montague.lit")
        handler = Handler()
        handler.setHandlerParent(component.manager)
        message = Element((None, "message"))
        message["to"] = "romeo@montague.lit"
        handler.send(message)
        self.assertEqual(self.romeo.received(), [])
        self.house.server.service_domains.put(component, "early")
        self.assertIn("from='early.montague.lit'", self.romeo.received()[0])

    def test_stranded_questions(self) -> None:
        """Who waits for an answer when the component goes is told."""
        asked = self.handler.request(Question())
        self.undo()
        self.failureResultOf(asked, ConnectionDone)


class SeeingTests(BridgeCase):
    """What handlers see."""

    def test_as_sent(self) -> None:
        """Names, namespaces, attributes and text are those that were sent."""
        self.romeo.send(
            f"<message to='a@{DOMAIN}/b' xml:lang='en' type='chat'><body>1 &lt; 2</body>"
            "<f xmlns='u' xmlns:p='v' p:q='w'>x<p:g/>y</f></message>"
        )
        (message,) = self.handler.heard
        self.assertEqual(message.uri, "jabber:component:accept")
        self.assertEqual(
            (message["from"], message["to"]), ("romeo@montague.lit/1", f"a@{DOMAIN}/b")
        )
        self.assertEqual(message["type"], "chat")
        self.assertEqual(message[("http://www.w3.org/XML/1998/namespace", "lang")], "en")
        self.assertEqual(str(message.body), "1 < 2")
        self.assertEqual(message.body.uri, "jabber:component:accept")
        self.assertEqual((message.f.uri, message.f["v", "q"]), ("u", "w"))
        self.assertEqual([str(child) for child in message.f.children if isinstance(child, str)],
                         ["x", "y"])  # fmt: skip
        self.assertEqual(message.f.g.uri, "v")

    def test_back_as_it_came(self) -> None:
        """An element that came may be sent back, and stays in its namespaces."""
        self.romeo.send(
            f"<message to='{DOMAIN}'><body>a</body><f xmlns='u'><g xmlns='v'/></f></message>"
        )
        (message,) = self.handler.heard
        message["to"], message["from"] = message["from"], message["to"]
        self.handler.send(message)
        (answer,) = self.romeo.received()
        self.assertIn("<body>a</body><f xmlns='u'><g xmlns='v'/></f>", answer)
        self.assertNotIn("jabber:component", answer)


class AnswerTests(BridgeCase):
    """What is answered, whatever handlers do."""

    def test_result(self) -> None:
        """What a handler returns is in the result, now or later."""
        self.assertIn("type='result'", self.ask("<x xmlns='u'/>"))
        later: Deferred[Element] = Deferred()
        self.handler.answer = lambda iq: later
        self.assertEqual(self.ask("<x xmlns='u'/>"), "")
        later.callback(Element(("u", "z")))
        self.assertIn("<z xmlns='u'/>", self.romeo.received()[0])

    def test_refused(self) -> None:
        """What a handler refuses is refused, with its reason."""

        def refuse(iq: Element) -> None:
            raise StanzaError("forbidden")

        self.handler.answer = refuse
        self.assertIn("<forbidden ", self.ask("<x xmlns='u'/>"))

    def test_bug(self) -> None:
        """A bug in a handler is logged, and answered; the next request is heard."""
        self.handler.answer = lambda iq: 1 / 0
        for child in ("<x xmlns='u'/>", "<y xmlns='u'/>"):
            with self.subTest(child):
                self.assertIn("<internal-server-error ", self.ask(child))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.handler.answer = lambda iq: None
        self.assertIn("type='result'", self.ask("<x xmlns='u'/>"))

    def test_not_understood(self) -> None:
        """A request that no handler takes is answered; a message or an answer is not."""
        self.assertIn("<service-unavailable ", self.ask("<unknown xmlns='u'/>"))
        self.romeo.send(f"<message to='{DOMAIN}'/><iq to='{DOMAIN}' type='result' id='2'/>")
        self.assertEqual(self.romeo.received(), [])

    def test_once(self) -> None:
        """What a handler answers by itself is not answered again."""

        def answer(iq: Element) -> None:
            self.handler.send(toResponse(iq, "result"))
            iq.handled = True  # type: ignore[attr-defined]  # as wokkel has it

        self.handler.answer = answer
        self.assertEqual(self.ask("<y xmlns='u'/>").count("<iq"), 1)


class SayingTests(BridgeCase):
    """What handlers say."""

    def test_text(self) -> None:
        """They may send what is written already, and several stanzas in one."""
        message = "<message to='romeo@montague.lit'/>"
        for sent in (message, message.encode(), f" {message}\n{message}"):
            self.handler.send(sent)
        self.assertEqual(len(self.romeo.received()), 4)

    def test_not_for_others(self) -> None:
        """They speak for their own domain only, and in stanzas."""
        for sent in (
            "<message from='juliet@montague.lit' to='romeo@montague.lit'/>",
            f"<message from='x@sub.{DOMAIN}' to='romeo@montague.lit'/>",
            "<message from='a..b' to='romeo@montague.lit'/>",
            "<message to='a..b'/>",
            "<message/>",
            "<stream:features/>",
            "<log/>",
            "<message to='romeo@montague.lit'",
            "</stream:stream>",
            "<a></b>",
            "text",
        ):
            with self.subTest(sent):
                self.assertRaises(ValueError, self.handler.send, sent)
        self.assertEqual(self.romeo.received(), [])
        self.handler.send("<presence/>")
        self.handler.send("<message to='romeo@montague.lit'/>")
        self.assertEqual(len(self.romeo.received()), 1)

    def test_asks(self) -> None:
        """They may ask, and are answered; or told that nobody did."""
        ping = PingClientProtocol()
        ping.setHandlerParent(self.component.manager)
        answer = ping.ping(JID("montague.lit"))
        self.assertIsNone(self.successResultOf(answer))
        request = Question()
        request.timeout = 5
        asked = self.handler.request(request)
        (iq,) = self.romeo.received()
        self.assertIn("type='get'", iq)
        self.house.clock.advance(5)
        self.failureResultOf(asked, NoAnswer)

    def test_protocols(self) -> None:
        """Wokkel's own protocols for messages and presence work as they are."""
        heard: list[str] = []

        class Bot(MessageProtocol):
            def onMessage(self, message: Element) -> None:
                heard.append(str(message.body))

        class Rooms(PresenceProtocol):
            def availableReceived(self, presence: AvailablePresence) -> None:
                heard.append(presence.sender.full())
                self.available(presence.sender, sender=JID(f"room@{DOMAIN}/me"))

        Bot().setHandlerParent(self.component.manager)
        Rooms().setHandlerParent(self.component.manager)
        self.romeo.send(f"<message to='{DOMAIN}'><body>wherefore?</body></message>")
        self.romeo.send(f"<presence to='room@{DOMAIN}/romeo'/>")
        self.assertEqual(heard, ["wherefore?", "romeo@montague.lit/1"])
        self.assertIn(f"from='room@{DOMAIN}/me'", self.romeo.received()[0])
