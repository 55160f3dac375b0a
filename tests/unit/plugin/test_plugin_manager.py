"""The PluginManager: parts are put in place, taken out, guarded; files are found and read again."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.claims_contract import Shelf
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.command_form import CommandForm, Filled
from xmppd.command.reply import Replies
from xmppd.components.service_domains import Component
from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.events import OWNER, On
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.metrics import Metric
from xmppd.message.follower import Follower
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import PLUGIN_LIMIT_S, AtLoad, AtUnload, NotInTime, Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.plugin_manager import VOICE_S, PluginManager, PluginsChanged
from xmppd.plugin.seams import Replace
from xmppd.presence.presence_manager import PresenceManager
from xmppd.router.presence_router import PresenceRouter
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session_manager import SessionBound, SessionClosed
from xmppd.session.session_state import SessionState
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Later,
    Message,
    Presence,
    Stanza,
    StanzaError,
    StreamCondition,
    StreamError,
)
from xmppd.stream.inline_feature import bind_feature
from xmppd.stream.stream_feature import StreamFeature
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

NAME = "mercutio"
parts_of: dict[str, tuple[object, ...]] = {}
"""What the plugins that :meth:`PluginTestCase.load` writes are made of."""


class Bug(Exception):
    """What a plugin did not foresee."""


class Handler(IQHandler):
    """Answers, says no, or fails, as its query asks."""

    query = "{urn:test}query"
    to = To.SERVER | To.OWN_ACCOUNT
    features = ("urn:test",)

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        match iq.payload.tree[0].get("do"):
            case "fail":
                raise Bug
            case "refuse":
                raise StanzaError(Condition.NOT_ALLOWED)
        return b"<fine xmlns='urn:test'/>"

    async def on_set(self, iq: IQ, asked: Asked) -> bytes:
        return self.on_get(iq, asked)


class Interceptor(PacketInterceptor):
    """Sees everything, and changes nothing."""

    incoming_kinds = outgoing_kinds = (Message, Presence, IQ)


class Nobody:
    """A component where nothing arrives."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        return False


async def run(context: CommandContext) -> Replies:
    """A command that does nothing."""
    yield "done"


JOKE = Description("joke", "tell a joke", who="everybody")


def number(name: str) -> Metric:
    """A metric of one."""
    return Metric(name, "Always one.", "gauge", lambda: 1.0)


class Nosy(PresenceManager):
    """Sees everybody."""

    async def can_see(self, viewer: JID, account: JID) -> bool:
        return True


class MutePresenceRouter(PresenceRouter):
    """Routes no presence."""

    def route(self, presence: Presence) -> Later:
        return None


ONE_OF_EACH: tuple[tuple[str, Callable[[], Part]], ...] = (
    ("handler", Handler),
    ("interceptor", Interceptor),
    ("follower", Follower),
    ("owned", Shelf),
    ("listener", lambda: On(SessionBound, print)),
    ("stream feature", lambda: StreamFeature(lambda negotiation: b"<f/>")),
    ("inline feature", lambda: bind_feature("urn:test")),
    ("disco", lambda: Says(DiscoInfo(features=("urn:test:more",)))),
    ("session state", lambda: SessionState("jokes", lambda s: None, lambda data: print)),
    ("offer", lambda: Offer(Nobody())),
    ("command", lambda: Command(JOKE, run)),
    (
        "command form",
        lambda: CommandForm("urn:joke", "Joke", "joke", "urn:joke", lambda filled: {}),
    ),
    ("metric", lambda: number("jokes")),
    ("component", lambda: Component("jokes.montague.lit", Nobody(), "Jokes")),
    ("replacement", lambda: Replace(PresenceRouter, MutePresenceRouter)),
)


def registries(server: XMPPServer, plugins: PluginManager) -> dict[str, object]:
    """Everything that a plugin can change of a server."""
    return {
        "offers": dict(plugins.offers.by_class),
        "disco": dict(server.disco._rows),
        "commands": dict(server.commands.commands),
        "command forms": dict(server.command_forms.brought),
        "metrics": dict(server.metrics._rows),
        "session states": dict(server.saved_sessions._states),
        "handlers": dict(server.iq_router.handlers),
        "incoming": dict(server.interceptors.incoming),
        "followers": server.followers.all(),
        "owned": dict(server.cluster.claims._parts),
        "outgoing": dict(server.interceptors.outgoing),
        "interceptors": {n: repr(v) for n, v in vars(server.interceptors).items()},
        "listeners": dict(server.events._listeners),
        "stream features": server.stream_features.rows,
        "inline features": repr(vars(server.inline_features)),
        "components": dict(server.routing_table.components),
        "stages": {kind: type(stage) for kind, stage in server.stages.items()},
    }


class PluginTestCase(SynchronousTestCase):
    """A house, and plugins made of given parts."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        config = house_config("montague.lit", plugins={"directory": str(self.directory)})
        self.house = House(config=config, romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.server = self.house.server
        self.plugins = self.house.plugins
        self.addCleanup(sys.modules.pop, f"xmppd_local.{NAME}", None)
        self.logged = self.enterContext(capturedLogs())

    def registries(self) -> dict[str, object]:
        """Everything that a plugin can change."""
        return registries(self.server, self.plugins)

    def write(self, text: str, name: str = NAME) -> None:
        """Write the file of a plugin."""
        (self.directory / f"{name}.py").write_text(dedent(text))

    def load(self, *parts: object, name: str = NAME) -> None:
        """Load a plugin that is made of these parts."""
        parts_of[name] = parts
        self.addCleanup(parts_of.pop, name, None)
        self.addCleanup(sys.modules.pop, f"xmppd_local.{name}", None)
        self.write(
            f"""
            from {__name__} import parts_of

            def plug():
                return parts_of[{name!r}]
            """,
            name,
        )
        done(self.plugins.load(name))

    def assert_blamed(self, bugs: int = 1) -> None:
        """The log has these failures, and each line names the plugin."""
        self.assertEqual(len(self.flushLoggedErrors(Bug)), bugs)
        lines = [formatEvent(event) for event in self.logged if "log_failure" in event]
        self.assertEqual(len(lines), bugs)
        for line in lines:
            self.assertIn(NAME, line)


class PlacingTests(PluginTestCase):
    """Every kind of part."""

    def test_one_of_each(self) -> None:
        """Each kind of part is put in its place, and taken out without a trace."""
        before = self.registries()
        for kind, make in ONE_OF_EACH:
            with self.subTest(kind):
                self.load(make())
                self.assertNotEqual(self.registries(), before)
                done(self.plugins.unload(NAME))
                self.assertEqual(self.registries(), before)

    def test_all_at_once(self) -> None:
        """A plugin may have parts of all kinds."""
        before = self.registries()
        self.load(*(make() for _, make in ONE_OF_EACH))
        done(self.plugins.unload(NAME))
        self.assertEqual(self.registries(), before)

    def test_failing_plug(self) -> None:
        """If one part cannot be put in place, those before it are taken out again."""
        before = self.registries()
        parts = [make() for _, make in ONE_OF_EACH]
        with self.assertRaisesRegex(PluginError, f"plugin {NAME} cannot be loaded: TypeError"):
            self.load(*parts, "no part")
        self.flushLoggedErrors(TypeError)
        self.assertEqual(self.registries(), before)
        self.assertEqual(self.plugins.loaded, {})

    def test_failing_generator(self) -> None:
        """So they are if ``plug`` itself fails half-way."""
        before = self.registries()
        self.write(
            """
            from xmppd.disco.disco import Says

            def plug():
                yield Says()
                raise LookupError
            """
        )
        with self.assertRaisesRegex(PluginError, "LookupError"):
            done(self.plugins.load(NAME))
        self.flushLoggedErrors(LookupError)
        self.assertEqual(self.registries(), before)
        self.assertNotIn(f"xmppd_local.{NAME}", sys.modules)

    def test_endless_plug(self) -> None:
        """A ``plug`` that waits for ever is given up, so that others can be loaded and stopped."""
        before = self.registries()
        self.write(
            """
            from twisted.internet.defer import Deferred

            async def plug():
                await Deferred()
            """
        )
        loading = Deferred.fromCoroutine(self.plugins.load(NAME))
        other = Deferred.fromCoroutine(self.plugins.load("ping"))
        self.house.clock.advance(PLUGIN_LIMIT_S - 1)
        self.assertNoResult(other)
        self.house.clock.advance(1)
        why = str(self.failureResultOf(loading, PluginError).value)
        self.assertEqual(why, f"plugin {NAME} cannot be loaded: plug did not finish within 60 s")
        self.successResultOf(other)
        done(self.plugins.unload("ping"))
        self.assertEqual(self.registries(), before)

    def test_unwanted(self) -> None:
        """What is taken, or cannot be what it says, is refused, and leaves nothing behind."""
        self.load(Handler(), Command(JOKE, run), number("jokes"),
                  Component("jokes.montague.lit", Nobody()),
                  Offer(Nobody()), Replace(PresenceRouter, MutePresenceRouter))  # fmt: skip
        before = self.registries()
        for part, why in (
            (Handler(), "DuplicateHandler"),
            (Command(JOKE, run), "joke already exists"),
            (number("jokes"), "a metric jokes already exists"),
            (Component("jokes.montague.lit", Nobody()), "jokes.montague.lit already exists"),
            (Component("montague.lit", Nobody()), "is a domain of accounts"),
            (Component("Rooms.Montague.Lit", Nobody()), "should be written rooms.montague.lit"),
            (Component("room@montague.lit", Nobody()), "is not a domain"),
            (Component("a..b", Nobody()), "empty label"),
            (
                Replace(PresenceRouter, MutePresenceRouter),
                "another plugin replaced the PresenceRouter",
            ),
            (Replace(PresenceManager, MutePresenceRouter), "is not a subclass of PresenceManager"),
            (Replace(str, str), "plugins cannot replace a str"),
            (
                Replace(PresenceManager, Nosy),
                "Nosy overrides can_see, which plugins cannot replace",
            ),
            (Offer(Nobody()), "a Nobody is offered already"),
        ):
            with self.subTest(why):
                with self.assertRaisesRegex(PluginError, why):
                    self.load(part, name="tybalt")
                self.flushLoggedErrors(ValueError)
                self.assertEqual(self.registries(), before)

    def test_replace(self) -> None:
        """A stage becomes a subclass for everybody who holds it, and itself again."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.raw()
        self.load(Replace(PresenceRouter, MutePresenceRouter))
        romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(juliet.received(), [])
        done(self.plugins.unload(NAME))
        romeo.send("<presence><show>dnd</show></presence>")
        self.assertEqual(len(juliet.received()), 1)

    def test_at_unload(self) -> None:
        """A plugin is told when it is taken out, after what it put in place later is gone."""
        left: list[int] = []
        before = len(self.server.metrics._rows)
        self.load(
            AtUnload(lambda: left.append(len(self.server.metrics._rows))),
            number("x"),
        )
        done(self.plugins.unload(NAME))
        self.assertEqual(left, [before])

    def test_at_load(self) -> None:
        """What is called at load is waited for, behind the parts before it and ahead of others."""
        gate = Deferred[None]()
        seen: list[int] = []

        async def look() -> None:
            seen.append(len(self.server.metrics._rows))
            await gate

        before = len(self.server.metrics._rows)
        gate.callback(None)
        self.load(number("x"), AtLoad(look), number("y"))
        self.assertEqual((seen, len(self.server.metrics._rows)), ([before + 1], before + 2))

    def test_at_load_fails(self) -> None:
        """If it fails the plugin is not loaded, and nothing of it stays."""

        async def fail() -> None:
            raise Bug

        before = self.registries()
        with self.assertRaises(PluginError):
            self.load(Handler(), AtLoad(fail))
        self.assertEqual(self.registries(), before)
        self.flushLoggedErrors(Bug)

    def test_at_failed_load(self) -> None:
        """If a part cannot be put in place, what is called at unload is called if it stands before
        that part: one behind it may store what was never read.
        """
        stopped: list[str] = []
        with self.assertRaises(PluginError):
            self.load(
                AtUnload(lambda: stopped.append("before")),
                number("x"),
                number("x"),
                AtUnload(lambda: stopped.append("behind")),
            )
        self.flushLoggedErrors()
        self.assertEqual(stopped, ["before"])

    def test_endless(self) -> None:
        """What does not end is given up, at load and at unload."""

        async def wait() -> None:
            await Deferred[None]()

        before = self.registries()
        done(self.plugins.load("ping"))
        parts_of["slow"] = (number("x"), AtUnload(wait))
        self.addCleanup(parts_of.pop, "slow")
        self.addCleanup(sys.modules.pop, "xmppd_local.slow", None)
        plug = f"from {__name__} import parts_of\ndef plug(): return parts_of['slow']\n"
        self.write(plug, "slow")
        done(self.plugins.load("slow"))
        unloading = Deferred.fromCoroutine(self.plugins.unload("slow"))
        other = Deferred.fromCoroutine(self.plugins.unload("ping"))
        self.house.clock.advance(PLUGIN_LIMIT_S)
        self.successResultOf(unloading)
        self.successResultOf(other)
        self.assertEqual(len(self.flushLoggedErrors(NotInTime)), 1)
        parts_of["slow"] = (number("x"), AtLoad(wait))
        loading = Deferred.fromCoroutine(self.plugins.load("slow"))
        self.house.clock.advance(PLUGIN_LIMIT_S)
        why = str(self.failureResultOf(loading, PluginError).value)
        self.assertIn(
            "the plugin's function that is called at load did not finish within 60 s", why
        )
        self.assertEqual(self.registries(), before)

    def test_at_stop(self) -> None:
        """When the server stops, a plugin stores what it has once all else has been said, and that
        is waited for.
        """
        said: list[str] = []
        self.house.connect("romeo")

        async def keep() -> None:
            await self.server.store.items.set_item(
                "x", "urn:x", "k", b"v", max_items=1, max_bytes=9
            )
            said.append("kept")

        self.load(On(SessionClosed, lambda event: said.append("closed")), AtUnload(keep))
        self.house.stop_and_wait()
        self.assertEqual(said, ["closed", "kept"])
        again = self.house.again()
        self.assertEqual(done(again.store.items.get_item("x", "urn:x", "k")), b"v")

    def test_something_left_behind(self) -> None:
        """A step of taking out that fails is logged, and the others are taken all the same."""

        def fail() -> None:
            raise Bug

        before = self.registries()
        self.load(Handler(), AtUnload(fail), Says())
        done(self.plugins.unload(NAME))
        self.assertEqual(self.registries(), before)
        self.assert_blamed()

    def test_twice(self) -> None:
        """A plugin is loaded once, and what is not loaded cannot be taken out or reloaded."""
        with self.assertRaisesRegex(PluginError, f"plugin {NAME} is not loaded"):
            done(self.plugins.unload(NAME))
        with self.assertRaisesRegex(PluginError, f"plugin {NAME} is not loaded"):
            done(self.plugins.reload(NAME))
        self.load()
        with self.assertRaisesRegex(PluginError, f"plugin {NAME} is already loaded"):
            done(self.plugins.load(NAME))

    def test_event(self) -> None:
        """Whoever wants to know hears of each plugin that comes or goes."""
        heard: list[PluginsChanged] = []
        self.server.events.put(On(PluginsChanged, heard.append), OWNER)
        self.load()
        done(self.plugins.unload(NAME))
        self.assertEqual(heard, [PluginsChanged(NAME)] * 2)


class GuardTests(PluginTestCase):
    """A plugin fails: that is logged with its name, and the server goes on."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.romeo.raw()

    def assert_works(self) -> None:
        """Messages go on."""
        self.romeo.send("<message to='juliet@montague.lit'><body>hi</body></message>")
        self.assertEqual(len(self.juliet.received()), 1)

    def ask(self, what: str, type: str = "get", client: Client | None = None) -> str:
        """The answer of the handler."""
        client = client or self.romeo
        client.send(f"<iq type='{type}' id='1'><query xmlns='urn:test' do='{what}'/></iq>")
        (answer,) = client.received()
        return answer

    def test_handler(self) -> None:
        """A handler that fails, at once or later, has its sender told that it is our bug."""
        self.load(Handler())
        for type in ("get", "set"):
            self.assertIn("<fine", self.ask("answer", type))
            self.assertIn("<not-allowed", self.ask("refuse", type))
            self.assertIn("<internal-server-error", self.ask("fail", type))
        self.assert_blamed(2)
        self.assert_works()

    def test_session_state(self) -> None:
        """A session outlives the server without the state of a plugin that fails."""

        def fail(data: object) -> None:
            raise Bug

        def fail_later(data: bytes) -> Callable[[object], None]:
            return fail

        def state(name: str, dump: object, load: object) -> SessionState:
            return SessionState(name, dump, load)  # type: ignore[arg-type]  # it fails

        def kept(session: object) -> bytes:
            return b"x"

        self.load(state("a", fail, fail), state("b", kept, fail), state("c", kept, fail_later))
        session = self.romeo.session
        self.assertIsNone(self.server.saved_sessions._dumped("a", session))
        for name in ("b", "c"):
            self.server.saved_sessions._loaded(name, b"x")(session)
        self.assert_blamed(3)

    def test_metric(self) -> None:
        """A number that fails is left out, and the others are shown."""

        def fail() -> float:
            raise Bug

        self.load(Metric("none", "None.", "gauge", fail), number("one"))
        shown = dict(self.server.metrics.numbers())
        self.assertEqual((shown.get("none"), shown["one"]), (None, 1.0))
        self.assert_blamed()

    def test_interceptor(self) -> None:
        """A stanza passes an interceptor that fails as if it were not there."""

        class Failing(Interceptor):
            def incoming(self, stanza: Stanza, session: JID) -> Stanza:  # type: ignore[override]
                raise Bug

            outgoing = incoming  # type: ignore[assignment]

        self.load(Failing())
        self.assert_works()
        self.assert_blamed(2)

    def test_interceptor_drops(self) -> None:
        """What an interceptor drops, or refuses on the way out, is gone without a word."""

        class Dropping(PacketInterceptor):
            outgoing_kinds = (Message,)

            def outgoing(self, stanza: Stanza, session: JID) -> None:
                if stanza.id == "no":
                    raise StanzaError(Condition.NOT_ALLOWED)

        self.load(Dropping())
        for id in ("no", "drop"):
            self.romeo.send(
                f"<message id='{id}' to='juliet@montague.lit'><body>hi</body></message>"
            )
            self.assertEqual(self.juliet.received(), [])
            self.assertEqual(self.romeo.received(), [])

    def test_listener(self) -> None:
        """A listener that fails, at once or later, keeps nobody else from hearing."""

        def listen(event: SessionBound) -> None:
            raise Bug

        async def listen_later(event: SessionBound) -> None:
            raise Bug

        heard: list[object] = []
        self.load(
            On(SessionBound, listen), On(SessionBound, listen_later), On(SessionBound, heard.append)
        )
        self.house.bind("romeo", "2")
        self.assertEqual(len(heard), 1)
        self.assert_blamed(2)

    def test_stream_feature(self) -> None:
        """A stream feature that fails is not offered; who takes it loses its own stream only."""

        def advertise(negotiation: object) -> bytes:
            raise Bug

        def take(negotiation: object, element: object) -> Later:
            raise Bug

        async def take_later(negotiation: object, element: object) -> None:
            raise Bug

        def refuse(negotiation: object, element: object) -> Later:
            raise StreamError(StreamCondition.POLICY_VIOLATION)

        elements = (("{u}now", take), ("{u}later", take_later), ("{u}no", refuse))
        self.load(StreamFeature(advertise, elements=elements))
        self.assertIn(b"<bind", self.features())
        for name, told in (
            ("now", b"<internal-server-error"),
            ("later", b"<internal-server-error"),
            ("no", b"<policy-violation"),
        ):
            stranger = self.house.unauthenticated()
            stranger.open("montague.lit")
            stranger.send(f"<{name} xmlns='u'/>")
            self.assertIn(told, stranger.raw())
        self.flushLoggedErrors(StreamError)
        self.assertGreaterEqual(len(self.flushLoggedErrors(Bug)), 6)
        self.assert_works()

    def features(self) -> bytes:
        """What a stream offers after login."""
        client = self.house.logged_in("romeo")
        client.handler.restart()
        client.open("montague.lit")
        return client.raw()

    def test_component(self) -> None:
        """What a component fails to take has not arrived, and its sender is told."""

        class Failing:
            def deliver(self, stanza: Stanza, wire: bytes) -> bool:
                raise Bug

        self.load(Component("jokes.montague.lit", Failing()))
        self.romeo.send("<iq type='get' id='1' to='jokes.montague.lit'><a xmlns='b'/></iq>")
        self.assertIn("<service-unavailable", self.romeo.received()[0])
        self.assert_blamed()

    def test_command(self) -> None:
        """A command that fails, or whose form does, is answered as our bug."""

        async def fail(context: CommandContext) -> Replies:
            yield "begun"
            raise Bug

        async def refuse(context: CommandContext) -> Replies:
            for condition in (Condition.NOT_ALLOWED,):
                raise StanzaError(condition)
            yield ""

        def fail_to_tell(filled: Filled) -> dict[str, object]:
            raise Bug

        self.load(
            Command(Description("fail", "", who="everybody"), fail),
            Command(Description("refuse", "", who="everybody"), refuse),
            CommandForm("c", "C", "refuse", "c", fail_to_tell),
        )
        done(self.house.plugins.load("adhoc_commands"))
        for node, told in (
            ("xmppd#fail", "<internal-server-error"),
            ("xmppd#refuse", "<not-allowed"),
            ("c", "<internal-server-error"),
        ):
            self.romeo.send(
                f"<iq type='set' id='1' to='montague.lit'><command node='{node}' "
                "xmlns='http://jabber.org/protocol/commands'/></iq>"
            )
            self.assertIn(told, self.romeo.received()[0])
        self.assert_blamed(2)

    def test_disco(self) -> None:
        """A form or node that fails is not there; the server's disco#info goes on."""

        def fail(*arguments: object) -> None:
            raise Bug

        done(self.house.plugins.load("disco"))
        self.load(Says(answer=fail), Says(answer=fail, nodes=True))
        query = "<query xmlns='http://jabber.org/protocol/disco#info'"
        self.romeo.send(f"<iq type='get' id='1' to='montague.lit'>{query}/></iq>")
        self.assertIn("<identity", self.romeo.received()[0])
        self.romeo.send(f"<iq type='get' id='1' to='montague.lit'>{query} node='n'/></iq>")
        self.assertIn("<item-not-found", self.romeo.received()[0])
        self.assert_blamed(2)


class FindingTests(PluginTestCase):
    """Where plugins come from."""

    FEATURE = """
        from xmppd.disco.disco import Says
        from xmppd.disco.info import DiscoInfo

        def plug():
            return [Says(DiscoInfo(features=("urn:{}",)))]
        """

    def features(self) -> list[str]:
        """What the plugins list."""
        server = JID.parse("montague.lit")
        said = self.server.disco.server(DiscoQuestion(server, server))
        return list(said.features)

    def test_directory(self) -> None:
        """A file in the configured directory is a plugin, and comes before ours of its name."""
        self.addCleanup(sys.modules.pop, "xmppd_local.ping", None)
        self.write(self.FEATURE.format("mine"), "ping")
        done(self.plugins.load("ping"))
        self.assertEqual(self.features(), ["urn:mine"])
        self.assertNotIn("{urn:xmpp:ping}ping", self.server.iq_router.handlers)

    def test_others_may_write(self) -> None:
        """A plugin that others may write is not run, nor one from where they may put another."""
        self.addCleanup(sys.modules.pop, "xmppd_local.ping", None)
        self.write(self.FEATURE.format("mine"), "ping")
        directory = self.directory
        for path in (directory.absolute(), directory.absolute() / "ping.py"):
            with self.subTest(path):
                mode = path.stat().st_mode
                path.chmod(mode | 0o002)
                error = self.failureResultOf(
                    Deferred.fromCoroutine(self.plugins.load("ping")), PluginError
                ).value
                self.assertIn(f"chmod o-w {path}", str(error))
                path.chmod(mode)
        done(self.plugins.load("ping"))

    def test_ours(self) -> None:
        """Without such a file the one that comes with the server is taken."""
        done(self.plugins.load("ping"))
        self.assertIn("{urn:xmpp:ping}ping", self.server.iq_router.handlers)

    def test_entry_point(self) -> None:
        """An installed package names its plugins as entry points, also if it was installed after
        others were looked for.
        """
        site = Path(self.mktemp())
        site.mkdir()
        sys.path.insert(0, str(site))
        self.addCleanup(sys.path.remove, str(site))
        os.utime(site, ns=(0, 0))
        self.failureResultOf(Deferred.fromCoroutine(self.plugins.load("fairies")), PluginError)
        (site / "queen_mab-1.dist-info").mkdir(parents=True)
        (site / "queen_mab-1.dist-info" / "METADATA").write_text("Name: queen_mab\nVersion: 1\n")
        (site / "queen_mab-1.dist-info" / "entry_points.txt").write_text(
            "[xmppd.plugins]\nfairies = queen_mab\n"
        )
        (site / "queen_mab.py").write_text(dedent(self.FEATURE.format("mab")))
        done(self.plugins.load("fairies"))
        self.assertEqual(self.features(), ["urn:mab"])
        done(self.plugins.reload("fairies"))
        self.assertEqual(self.features(), ["urn:mab"])
        done(self.plugins.unload("fairies"))
        self.assertNotIn("queen_mab", sys.modules)

    def test_reload(self) -> None:
        """A changed file is picked up at once, also when nothing but its words changed."""
        for version in ("1", "2", "3"):
            self.write(self.FEATURE.format(version))
            if version == "1":
                done(self.plugins.load(NAME))
            else:
                done(self.plugins.reload(NAME))
            self.assertEqual(self.features(), [f"urn:{version}"])
        self.assertFalse((self.directory / "__pycache__").exists())

    def test_reload_of_ours(self) -> None:
        """A plugin of ours can be reloaded too."""
        done(self.plugins.load("ping"))
        before = self.server.iq_router.handlers["{urn:xmpp:ping}ping"]
        done(self.plugins.reload("ping"))
        self.assertIsNot(self.server.iq_router.handlers["{urn:xmpp:ping}ping"], before)

    def test_broken_reload(self) -> None:
        """A file that is broken now leaves the old plugin in place, and can be mended."""
        self.write(self.FEATURE.format("1"))
        done(self.plugins.load(NAME))
        for broken in (
            "this is no Python",
            "x = 1",
            "def plug():\n    yield 1",
        ):
            with self.subTest(broken):
                self.write(broken)
                with self.assertRaisesRegex(PluginError, NAME):
                    done(self.plugins.reload(NAME))
                self.flushLoggedErrors()
                self.assertEqual(self.features(), ["urn:1"])
                self.assertIn(f"xmppd_local.{NAME}", sys.modules)
        self.write(self.FEATURE.format("2"))
        done(self.plugins.reload(NAME))
        self.assertEqual(self.features(), ["urn:2"])

    def test_broken_file(self) -> None:
        """A file that is no Python is refused in one sentence, and can be mended."""
        self.write("this is no Python")
        with self.assertRaisesRegex(PluginError, f"^plugin {NAME} cannot be loaded: Syntax"):
            done(self.plugins.load(NAME))
        self.flushLoggedErrors(SyntaxError)
        self.assertNotIn(f"xmppd_local.{NAME}", sys.modules)
        self.write(self.FEATURE.format("1"))
        done(self.plugins.load(NAME))
        self.assertEqual(self.features(), ["urn:1"])

    def test_unknown(self) -> None:
        """A name that nobody knows is refused in one sentence."""
        with self.assertRaisesRegex(PluginError, "^plugin benvolio does not exist; "):
            done(self.plugins.load("benvolio"))

    def test_no_name(self) -> None:
        """A path is no name: a plugin comes from its directory and nowhere else."""
        (self.directory.parent / "outside.py").write_text(dedent(self.FEATURE.format("outside")))
        for name in ("../outside", "a.b", "", "a b"):
            with self.assertRaisesRegex(PluginError, "is not a valid plugin name"):
                done(self.plugins.load(name))
        self.assertEqual(self.features(), [])

    def test_missing_dependency(self) -> None:
        """A plugin that imports what is not installed says so."""
        self.write("import queen_mab")
        with self.assertRaisesRegex(PluginError, "queen_mab"):
            done(self.plugins.load(NAME))
        self.flushLoggedErrors(ModuleNotFoundError)


class SilentTests(SynchronousTestCase):
    """A node that has no lease just now."""

    def setUp(self) -> None:
        self.house = House(plugins=())
        self.voice = Deferred[None]()
        membership = self.house.server.cluster.membership
        self.patch(membership, "speaks", False)
        self.patch(membership, "voice", lambda: self.voice)
        self.loading = Deferred.fromCoroutine(self.house.plugins.load("ping"))

    def test_waits(self) -> None:
        """A plugin that is to be loaded waits until the node may act."""
        self.assertNoResult(self.loading)
        self.voice.callback(None)
        self.successResultOf(self.loading)
        self.assertIn("ping", self.house.plugins.loaded)

    def test_waits_no_longer(self) -> None:
        """It does not wait for ever: if it stores something, that is refused then."""
        self.house.clock.advance(VOICE_S)
        self.successResultOf(self.loading)
