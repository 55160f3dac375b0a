"""A push service and its clients that others have written, on real sockets (:xep:`0357`)."""

import asyncio
import contextlib
from typing import Any, ClassVar
from xml.etree import ElementTree

from slixmpp import ComponentXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from tests.integration.people import PATIENCE_S, PLUGINS, Person, ServerCase, people
from xmppd.testing.process import ServerProcess

SECRET = "wherefore art thou"
DOMAIN = "push.verona.lit"
PUBSUB = "http://jabber.org/protocol/pubsub"
NS = "urn:xmpp:push:0"
DATA = "jabber:x:data"
MORE = (*PLUGINS, "xep_0198", "xep_0352")
OPTIONS = (
    f"<x xmlns='{DATA}' type='submit'><field var='FORM_TYPE'>"
    f"<value>{PUBSUB}#publish-options</value></field>"
    "<field var='secret'><value>eruio234</value></field></x>"
)


class AppServer(ComponentXMPP):
    """A push service, written with slixmpp: it takes what is published to it.

    Args:
        server: Where it connects.
    """

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(DOMAIN, SECRET, server.host, server.component_port)
        self.published: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        path = MatchXPath(f"{{{self.default_ns}}}iq/{{{PUBSUB}}}pubsub")
        self.register_handler(Callback("publish", path, self.take))

    def take(self, request: Any) -> None:
        """Keep the fields of a summary and of the options, and answer."""
        tree = request.xml
        publish = tree.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}publish")
        assert publish is not None, request
        fields = {
            field.get("var", ""): field.findtext(f"{{{DATA}}}value") or ""
            for field in tree.iter(f"{{{DATA}}}field")
        }
        self.published.put_nowait({**fields, "node": publish.get("node", "")})
        request.reply().send()

    async def arrive(self) -> "AppServer":
        """Connect, and be let in."""
        came = asyncio.ensure_future(self.wait_until("session_start", PATIENCE_S))
        await asyncio.sleep(0)
        self.connect()
        await came
        return self

    async def next(self) -> dict[str, str]:
        """The next notification."""
        return await asyncio.wait_for(self.published.get(), PATIENCE_S)


class PushTests(ServerCase):
    settings: ClassVar[dict[str, object]] = {
        "component": [{"name": DOMAIN, "secret": SECRET, "title": "Push"}],
        "push": {"min_gap_s": 0, "unacked_s": 0.5},
    }

    async def service(self) -> AppServer:
        """The service, which is connected."""
        service = AppServer(self.server)
        self.present.append(service)  # type: ignore[arg-type]  # is aborted likewise
        return await service.arrive()

    async def phone(self, node: str) -> Person:
        """Juliet's phone, which has registered a node of the service."""
        phone = self.person(f"{self.account('juliet')}/phone", plugins=MORE)
        await phone.arrive()
        await self.ask(
            phone, f"<enable xmlns='{NS}' jid='{DOMAIN}' node='{node}'>{OPTIONS}</enable>"
        )
        return phone

    async def ask(self, person: Person, request: str) -> Any:
        """The answer to a request to somebody's own account."""
        iq = person.make_iq_set(ElementTree.fromstring(request), ito=person.boundjid.bare)
        return await iq.send(timeout=PATIENCE_S)

    def rows(self, account: str) -> list[Any]:
        """What ``xmppctl push list`` shows."""
        return list(self.server.tell("push list", account=account))

    async def expect_row(self, account: str, wanted: tuple[str, int, int]) -> None:
        """Wait until ``xmppctl push list`` shows this of the one registration: the server notes the
        outcome after the service has answered, which it may do while we ask.
        """
        row: tuple[Any, ...] = ()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while row != wanted:
                    (found,) = await asyncio.to_thread(self.rows, account)
                    row = found["service"], found["sent"], found["failed"]
        self.assertEqual(row, wanted)

    @people
    async def test_asleep(self) -> None:
        """Somebody who has lost the network is told of a message, and that is all that is said;
        when the phone is back, the message is there.
        """
        service = await self.service()
        phone = await self.phone("pocket")
        features = await phone["xep_0030"].get_info(jid=phone.boundjid.bare)
        self.assertIn(NS, features["disco_info"]["features"])
        (romeo,) = await self.arrivals("romeo")
        phone.end_session_on_disconnect = False
        await phone.lose()
        romeo.say(phone.boundjid.bare, "She speaks")
        told = await service.next()
        self.assertEqual(told["node"], "pocket")
        self.assertEqual(told["secret"], "eruio234")
        self.assertEqual((told["message-count"], told["last-message-body"]), ("1", "New message"))
        self.assertNotIn("She speaks", str(told))
        back = asyncio.ensure_future(phone.wait_until("session_resumed", PATIENCE_S))
        await asyncio.sleep(0)
        phone.connect(self.server.host, self.server.port)
        await back
        self.assertEqual((await phone.expect("message"))["body"], "She speaks")
        await self.expect_row(phone.boundjid.bare, (DOMAIN, 1, 0))

    @people
    async def test_away(self) -> None:
        """Somebody who has logged out is told, and not any more once that was disabled."""
        service = await self.service()
        phone = await self.phone("drawer")
        account = phone.boundjid.bare
        await phone.leave()
        (romeo,) = await self.arrivals("romeo")
        romeo.say(account, "She speaks")
        self.assertEqual((await service.next())["node"], "drawer")
        again = await self.person(f"{account}/phone", plugins=MORE).arrive()
        await self.ask(again, f"<disable xmlns='{NS}' jid='{DOMAIN}'/>")
        await again.leave()
        romeo.say(account, "O speak again")
        await romeo.catch_up()
        self.assertTrue(service.published.empty())
