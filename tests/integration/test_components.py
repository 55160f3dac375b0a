"""Components that others have written, on real sockets."""

import asyncio
from typing import Any, ClassVar

from slixmpp import ComponentXMPP, Message
from slixmpp.exceptions import IqError

from tests.integration.people import PATIENCE_S, ServerCase, people
from xmppd.server_process import ServerProcess

SECRET = "wherefore art thou"


class Echo(ComponentXMPP):
    """A component written with slixmpp, which says what it hears.

    Args:
        server: Where it connects.
        domain: Its own.
    """

    def __init__(self, server: ServerProcess, domain: str, secret: str = SECRET) -> None:
        super().__init__(domain, secret, server.host, server.component_port)
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.heard: list[str] = []
        self.add_event_handler("message", self.answer)

    def answer(self, message: Message) -> None:
        """Say it back."""
        self.heard.append(message["body"])
        if message["type"] in ("chat", "normal"):
            message.reply(message["body"]).send()

    async def arrive(self) -> "Echo":
        """Connect, and be let in."""
        came = asyncio.ensure_future(self.wait_until("session_start", PATIENCE_S))
        await asyncio.sleep(0)
        self.connect()
        await came
        return self

    async def lose(self) -> None:
        """Have the connection break."""
        gone = asyncio.ensure_future(self.wait_until("disconnected", PATIENCE_S))
        await asyncio.sleep(0)
        self.abort()
        await gone


class SlixmppTests(ServerCase):
    """A ComponentXMPP of slixmpp."""

    settings: ClassVar[dict[str, object]] = {
        "component": [
            {"name": "echo.verona.lit", "secret": SECRET, "title": "Echo"},
            {"name": "pair.verona.lit", "secret": SECRET, "max_connections": 2},
        ]
    }

    def component(self, domain: str = "echo.verona.lit", secret: str = SECRET) -> Any:
        component = Echo(self.server, domain, secret)
        self.present.append(component)  # type: ignore[arg-type]  # is aborted likewise
        return component

    @people
    async def test_there_and_back(self) -> None:
        """What somebody says to a component is heard, and what it says is heard."""
        await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        romeo.say("anybody@echo.verona.lit/desk", "ay me")
        answer = await romeo.expect("message", sender="anybody@echo.verona.lit/desk")
        self.assertEqual(answer["body"], "ay me")

    @people
    async def test_both_ask(self) -> None:
        """Each can ask the other, and both can ask the server."""
        component = await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        await romeo["xep_0199"].ping("echo.verona.lit", timeout=PATIENCE_S)
        await component["xep_0199"].ping(
            romeo.boundjid, ifrom="echo.verona.lit", timeout=PATIENCE_S
        )
        info = await component["xep_0030"].get_info(
            "verona.lit", ifrom="echo.verona.lit", timeout=PATIENCE_S
        )
        self.assertIn(("server", "im", None, "xmppd"), info["disco_info"]["identities"])

    @people
    async def test_listed(self) -> None:
        """Whoever looks around at the server finds the component by its name."""
        await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        items = await romeo["xep_0030"].get_items("verona.lit", timeout=PATIENCE_S)
        self.assertIn(("echo.verona.lit", None, "Echo"), items["disco_items"]["items"])

    @people
    async def test_hangs_up(self) -> None:
        """When a component is gone, senders are told; when it is back, it is there."""
        component = await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        await component.lose()
        with self.assertRaises(IqError) as raised:
            await romeo["xep_0199"].ping("echo.verona.lit", timeout=PATIENCE_S)
        self.assertEqual(raised.exception.condition, "remote-server-timeout")
        await self.component().arrive()
        await romeo["xep_0199"].ping("echo.verona.lit", timeout=PATIENCE_S)

    @people
    async def test_wrong_secret(self) -> None:
        """Without the secret nobody is let in."""
        component = self.component(secret="therefore")
        told = asyncio.ensure_future(component.wait_until("stream_error", PATIENCE_S))
        await asyncio.sleep(0)
        component.connect()
        self.assertEqual((await told)["condition"], "not-authorized")

    @people
    async def test_fail_over(self) -> None:
        """Of two connections, the one that is left takes over."""
        pair = [await self.component("pair.verona.lit").arrive() for _ in range(2)]
        crowd = await self.arrivals("romeo", "juliet", "nurse", "tybalt")
        for person in crowd:
            for number in range(10):
                person.say("pair.verona.lit", f"{person.boundjid.bare} {number}")
                await person.expect("message", body=f"{person.boundjid.bare} {number}")
        for person in crowd:
            own = [[t for t in each.heard if t.startswith(person.boundjid.bare)] for each in pair]
            self.assertIn([], own)
        await pair[0].lose()
        for person in crowd:
            person.say("pair.verona.lit", "still there?")
            await person.expect("message", body="still there?")

    @people
    async def test_presence(self) -> None:
        """Presence goes to a component and comes from it, and both can be subscribed to."""
        component = await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        came = asyncio.ensure_future(component.wait_until("presence_subscribe", PATIENCE_S))
        await asyncio.sleep(0)
        romeo.send_presence_subscription("nurse@echo.verona.lit", ptype="subscribe")
        request = await came
        self.assertEqual(request["from"].bare, romeo.boundjid.bare)
        component.send_presence_subscription(
            pto=romeo.boundjid.bare, pfrom="nurse@echo.verona.lit", ptype="subscribed"
        )
        component.send_presence(pto=romeo.boundjid.bare, pfrom="nurse@echo.verona.lit/1")
        await romeo.expect("presence", type="available", sender="nurse@echo.verona.lit/1")
