"""Memory runs out somewhere: whoever survives it says so, which ends the server (BOOT-5)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from xml.etree.ElementTree import ParseError

from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import OWNER, On
from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session_manager import SessionBound
from xmppd.stanza import IQ, JID, Element, Message, Stanza
from xmppd.store.readable import sift
from xmppd.stream.element_parser import NO_MEMORY, stream_error
from xmppd.testing.house import House

DOMAIN = "montague.lit"
S = TypeVar("S", bound=Stanza)


def runs_out(*args: object, **kwargs: object) -> None:
    """There is none left."""
    raise MemoryError


@dataclass(frozen=True)
class Handler(IQHandler):
    """Answers at once, or after a while."""

    query = "{urn:example:memory}memory"

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        raise MemoryError

    async def on_set(self, iq: IQ, asked: Asked) -> Element:
        raise MemoryError


@dataclass(frozen=True, eq=False)
class Interceptor(PacketInterceptor):
    """Looks at messages."""

    incoming_kinds = (Message,)

    def incoming(self, stanza: S, session: JID) -> S:
        raise MemoryError


class DoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={}, juliet={})

    def assert_told(self, story: Callable[[], object]) -> None:
        """The log is told, so that the server stops."""
        story()
        self.assertTrue(self.flushLoggedErrors(MemoryError))

    def ask(self, kind: str) -> None:
        (romeo,) = self.house.connect("romeo")
        romeo.send(f"<iq type='{kind}' id='1'><memory xmlns='urn:example:memory'/></iq>")

    def test_handlers(self) -> None:
        """A handler of ours or of a plugin, which answers at once or not."""
        for owner in (OWNER, "hoard"):
            leave = self.house.server.iq_router.put(Handler(), owner)
            for kind in ("get", "set"):
                with self.subTest(kind):
                    self.assert_told(lambda kind=kind: self.ask(kind))  # type: ignore[misc]
            leave()

    def test_interceptor(self) -> None:
        """An interceptor."""
        (romeo,) = self.house.connect("romeo")
        self.house.server.interceptors.put(Interceptor(), "hoard")
        self.assert_told(lambda: romeo.send(f"<message to='juliet@{DOMAIN}'/>"))

    def test_listener(self) -> None:
        """Who hears of events."""
        self.house.server.events.put(On(SessionBound, runs_out), OWNER)
        self.assert_told(lambda: self.house.bind("romeo"))

    def test_stages(self) -> None:
        """A stage of the pipeline."""
        (romeo,) = self.house.connect("romeo")
        message = f"<message to='juliet@{DOMAIN}'><body>a</body></message>"
        for stage, method in (
            (self.house.server.message_router, "route"),
            (self.house.server.offline_message_strategy, "nobody_there"),
            (self.house.server.store.offline, "store_offline"),
        ):
            with self.subTest(method):
                self.patch(stage, method, runs_out)
                self.assert_told(lambda: romeo.send(message))

    def test_stream(self) -> None:
        """What belongs to no stanza."""
        stranger = self.house.unauthenticated()
        self.patch(self.house.server.stream_context.features, "advertised", runs_out)
        self.assert_told(lambda: stranger.open(DOMAIN))


class MistakenTests(SynchronousTestCase):
    """What has another meaning elsewhere."""

    def test_parser(self) -> None:
        """To expat it is one more mistake in what it reads; it is not the peer's."""
        error = ParseError()
        error.code = NO_MEMORY
        self.assertRaises(MemoryError, stream_error, error)

    def test_record(self) -> None:
        """A record that there was no memory for is not damaged."""
        self.assertRaises(MemoryError, sift, [b"a"], runs_out)
