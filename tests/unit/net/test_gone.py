"""What is gone is gone: a connection that is closed leaves nothing for the garbage collector."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.login.logins import agent, authenticate
from xmppd.stanza import jid
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config
from xmppd.testing.network import federate

DOMAIN, ELSEWHERE = "montague.lit", "mantua.lit"
SECRET = "of the echo"  # nobody else's
TIMES = 3


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """The collector does nothing by itself, and nothing is left for it at first."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def left() -> Counter[str]:
    """What only the collector finds just now, as far as it is ours; tests have cycles of theirs."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(
        kind.__qualname__
        for kind in map(type, gc.garbage)
        if kind.__module__.startswith("xmppd.") and kind.__module__ != "xmppd.testing.house"
    )
    gc.garbage.clear()
    return found


class GoneCase(SynchronousTestCase):
    def setUp(self) -> None:
        config = house_config(
            DOMAIN,
            component=[{"name": f"echo.{DOMAIN}", "secret": SECRET}],
            stream={"stanzas_per_s": 10.0, "stanzas_burst": 5, "max_streams_per_address": 20},
            stream_management={"resume_s": 30.0},
        )
        plugins = ("carbons", "client_state", "ping")
        self.house = House(DOMAIN, config=config, plugins=plugins, romeo={"juliet": "both"})
        self.house.add("juliet", {"romeo": "both"})
        done(self.house.server.passwords.set_password(self.house.jid("romeo").bare, PASSWORD))

    def wait(self, seconds: int = 60) -> None:
        """Until whatever had to wait has been done."""
        for _ in range(seconds):
            self.house.clock.advance(1)

    def assert_nothing_left(self, story: Callable[[], None]) -> None:
        """However often it happens."""
        story()  # what is kept for the next time is made the first time
        with collector_at_rest():
            for _ in range(TIMES):
                story()
            self.assertEqual(left(), Counter())


class ClientTests(GoneCase):
    """Clients."""

    def test_rule_itself(self) -> None:
        """What is left behind would be seen."""

        def story() -> None:
            stranger = self.house.unauthenticated()
            stranger.handler.cycle = stranger.handler  # type: ignore[attr-defined]
            stranger.abort()

        with collector_at_rest():
            story()
            self.assertEqual(left()["ConnectionHandler"], 1)

    def test_silent(self) -> None:
        """Nobody says a word, or nobody hears the end of it."""
        self.assert_nothing_left(lambda: self.house.unauthenticated().abort())

        def story() -> None:
            self.house.unauthenticated()
            self.wait(200)

        self.assert_nothing_left(story)

    def test_streams(self) -> None:
        """A stream that ends, breaks off, is torn, or is not well-formed."""
        for what in ("", "</stream:stream>", "<iq type='get'><que", "<a></b>", "<?", "\0"):
            with self.subTest(what):

                def story(what: str = what) -> None:
                    stranger = self.house.unauthenticated()
                    stranger.open(DOMAIN)
                    stranger.send(what)
                    if not stranger.transport.lost:
                        stranger.abort()
                    self.wait(10)

                self.assert_nothing_left(story)

    def test_addresses(self) -> None:
        """What a stream is called before it has a resource is not kept when it is gone."""
        self.house.unauthenticated().abort()
        before = len(jid._interned)
        for _ in range(TIMES):
            stranger = self.house.unauthenticated()
            stranger.open(DOMAIN)
            stranger.abort()
        self.assertEqual(len(jid._interned), before)

    def test_refused(self) -> None:
        """There are too many from one address."""
        connections = [self.house.unauthenticated() for _ in range(20)]
        for stranger in connections:
            stranger.open(DOMAIN)

        def story() -> None:
            one_too_many = self.house.unauthenticated()
            one_too_many.open(DOMAIN)
            self.wait(10)

        self.assert_nothing_left(story)

    def test_logins(self) -> None:
        """A login that succeeds, and one that fails, by SASL2."""
        for message in (None, "\0romeo\0wrong", "nonsense"):
            with self.subTest(message):

                def story(message: str | None = message) -> None:
                    client = self.house.unauthenticated(encrypted=True)
                    client.open(DOMAIN)
                    client.send(authenticate(message, agent=agent()))
                    client.send("</stream:stream>")
                    self.wait(10)

                self.assert_nothing_left(story)

    def test_sessions(self) -> None:
        """A session that ends, or whose wire is lost, or that is replaced, or reads slowly."""

        def ends() -> None:
            (romeo,) = self.house.connect("romeo")
            romeo.send("</stream:stream>")

        def lost() -> None:
            (romeo,) = self.house.connect("romeo")
            romeo.abort()

        def replaced() -> None:
            self.house.connect("romeo")
            (romeo,) = self.house.connect("romeo")
            self.wait(10)
            romeo.abort()

        def slow() -> None:
            romeo, juliet = self.house.connect("romeo", "juliet")
            romeo.stop_reading()
            juliet.send(f"<message to='romeo@{DOMAIN}/1'><body>a</body></message>")
            romeo.abort()
            juliet.abort()

        def throttled() -> None:
            (romeo,) = self.house.connect("romeo")
            romeo.send("<presence/>" * 20)
            romeo.abort()

        for story in (ends, lost, replaced, slow, throttled):
            with self.subTest(story.__name__):
                self.assert_nothing_left(story)

    def test_resumption(self) -> None:
        """A session that is resumed, is given up, or ends while it sleeps."""

        def resumed() -> None:
            (romeo,) = self.house.connect("romeo")
            id = romeo.enable()
            romeo.abort()
            again = self.house.logged_in("romeo")
            again.resume(id, 0)
            again.send("</stream:stream>")

        def given_up() -> None:
            (romeo,) = self.house.connect("romeo")
            romeo.enable()
            romeo.abort()
            self.wait(60)

        def replaced() -> None:
            (romeo,) = self.house.connect("romeo")
            romeo.enable()
            romeo.abort()
            (again,) = self.house.connect("romeo")
            again.abort()

        def unacknowledged() -> None:
            romeo, juliet = self.house.connect("romeo", "juliet")
            romeo.enable()
            juliet.send(f"<message to='romeo@{DOMAIN}/1'><body>a</body></message>")
            romeo.abort()
            juliet.abort()
            self.wait(60)

        for story in (resumed, given_up, replaced, unacknowledged):
            with self.subTest(story.__name__):
                self.assert_nothing_left(story)


class ServiceTests(GoneCase):
    """Components and other servers."""

    def test_components(self) -> None:
        """A component that is let in, one that is not, and one that is lost."""

        def let_in() -> None:
            echo = self.house.service(f"echo.{DOMAIN}", SECRET)
            echo.send("</stream:stream>")
            self.wait(10)

        def wrong_secret() -> None:
            self.house.service(f"echo.{DOMAIN}", "wrong")
            self.wait(10)

        def lost() -> None:
            self.house.service(f"echo.{DOMAIN}", SECRET).abort()
            self.wait(10)

        for story in (let_in, wrong_secret, lost):
            with self.subTest(story.__name__):
                self.assert_nothing_left(story)

    def test_servers(self) -> None:
        """Two servers that find each other, prove who they are, and lose each other."""
        there = House(ELSEWHERE, friar={})
        network = federate(self.house, there)
        (romeo,), (friar,) = self.house.connect("romeo"), there.connect("friar")

        def story() -> None:
            romeo.send(f"<message to='friar@{ELSEWHERE}'><body>a</body></message>")
            friar.send(f"<message to='romeo@{DOMAIN}'><body>b</body></message>")
            self.assertIn("<body>a</body>", friar.raw().decode())
            self.assertIn("<body>b</body>", romeo.raw().decode())
            network.abort(ELSEWHERE)
            self.wait(10)
            there.clock.advance(10)
            network.houses[ELSEWHERE] = there

        self.assert_nothing_left(story)

    def test_nobody_there(self) -> None:
        """A server that is not found."""
        federate(self.house)
        (romeo,) = self.house.connect("romeo")

        def story() -> None:
            romeo.send(f"<message to='friar@{ELSEWHERE}'><body>a</body></message>")
            self.assertIn("<error", romeo.raw().decode())
            self.wait(10)

        self.assert_nothing_left(story)
