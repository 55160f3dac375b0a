"""docs/plugins.md: what it tells authors to write works."""

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from shutil import rmtree
from typing import TypeGuard
from unittest import TestCase, TestResult, TestSuite, defaultTestLoader

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.login.logins import authenticate, plain
from xmppd.cluster.membership import NodeFenced
from xmppd.cluster.node import ALONE
from xmppd.command.roles import Roles
from xmppd.config.config import Config
from xmppd.login.bind2 import NS as BIND2
from xmppd.message.follower import ANSWERED, Course
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import JID, Message
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, House, house_config

ROOT = Path(__file__).parents[3]
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS: list[str] = FENCED.findall((ROOT / "docs" / "plugins.md").read_text(encoding="utf-8"))

PLUG = "\ndef plug("
QUOTE = "urn:example:quote"
NAMES = {"class Shelf": "shelf", "class Tickets": "tickets"}
"""Plugins from which others import, by words of theirs."""


def block(words: str) -> str:
    """The first block of code that has these words."""
    return next(block for block in BLOCKS if words in block)


def is_case(kind: object) -> TypeGuard[type[TestCase]]:
    """Whether these are tests, and not only what such are derived from."""
    return isinstance(kind, type) and issubclass(kind, TestCase) and kind.__module__ == "example"


def name_of(code: str) -> str:
    """The name of the file in which a plugin is: its tables have it, and others import from it."""
    if found := re.search(r'Table\(\s*"(\w+)"', code):
        return found[1]
    return next((name for words, name in NAMES.items() if words in code), "example")


class ExampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        config = self.config(items={"max_bytes": 60, "max_item_bytes": 70})
        self.house = House(
            config=config, romeo={"juliet": "both"}, juliet={"romeo": "both"}, tybalt={}
        )

    def config(self, **tables: Mapping[str, object]) -> Config:
        """A configuration that has plugins in a directory."""
        return house_config("montague.lit", plugins={"directory": str(self.directory)}, **tables)

    def load(self, code: str) -> None:
        """Load a plugin of this code, as it stands."""
        for words, name in NAMES.items():
            if f"xmppd_local.{name} import" in code:
                self.write(block(words))
        self.name = self.write(code)
        self.plugins = self.house.plugins
        done(self.plugins.load(self.name))
        self.module = sys.modules[f"xmppd_local.{self.name}"]

    def write(self, code: str) -> str:
        """Write a plugin into the directory; returns its name."""
        name = name_of(code)
        (self.directory / f"{name}.py").write_text(code)
        self.addCleanup(sys.modules.pop, f"xmppd_local.{name}", None)
        return name

    def connect(self, *names: str) -> list[Client]:
        """Clients that have heard of each other."""
        clients = self.house.connect(*names)
        for client in clients:
            client.raw()
        return clients

    def test_plugins(self) -> None:
        """Every plugin of the guide is loaded as it stands, alone or beside that whose class it
        imports.
        """
        codes = [code for code in BLOCKS if PLUG in code]
        self.assertGreater(len(codes), 30)
        for code in codes:
            with self.subTest(code):
                self.setUp()
                self.load(code)
                done(self.plugins.unload(self.name))

    def test_readme(self) -> None:
        """So is the plugin of the README, which answers."""
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        (code,) = (code for code in FENCED.findall(text) if PLUG in code)
        self.load(code)
        (romeo,) = self.connect("romeo")
        romeo.send("<iq type='get' id='1'><knock xmlns='urn:example:knock'/></iq>")
        self.assertEqual(romeo.look().find("iq/{urn:example:knock}knock").text, "Who is there?")

    def test_others(self) -> None:
        """What else the guide shows is run as it stands, and tests in it pass."""
        directory = Path("plugins")
        directory.mkdir()
        self.addCleanup(rmtree, directory)
        for name, words in (("day", "class IQDayHandler"), ("quote", "class IQQuoteHandler")):
            (directory / f"{name}.py").write_text(block(words))
            self.addCleanup(sys.modules.pop, f"xmppd_local.{name}", None)
        tests = TestSuite()
        codes = [code for code in BLOCKS if PLUG not in code]
        for code in codes:
            with self.subTest(code):
                made = {"__name__": "example"}
                exec(compile(code, "docs/plugins.md", "exec"), made)
                cases = [kind for kind in made.values() if is_case(kind)]
                tests.addTests(map(defaultTestLoader.loadTestsFromTestCase, cases))
        outcome = TestResult()
        tests.run(outcome)
        self.assertEqual((outcome.testsRun, outcome.errors + outcome.failures), (1, []))

    def test_day(self) -> None:
        """The first example is complete."""
        self.load(block("class IQDayHandler"))
        (romeo,) = self.connect("romeo")
        romeo.send("<iq type='get' id='1' to='montague.lit'><day xmlns='urn:example:day'/></iq>")
        self.assertRegex(romeo.received()[0], r">\w+day</day>")

    def test_table(self) -> None:
        """A plugin has a table of its own."""
        self.write(block("class QuotesSettings"))
        self.house.reload(self.config(example={"max_quote_bytes": 5}))
        done(self.house.plugins.load("example"))
        sampled = dict(self.house.server.metrics.numbers())
        self.assertEqual(sampled["max_quote_bytes"], 5)
        with self.assertRaisesRegex(PluginError, "example: nobody reads a quotation"):
            self.house.reload(self.config(example={"max_quote_bytes": 65_537}))

    def test_settings(self) -> None:
        """The plugin that goes by a table hears when it has changed."""
        self.load(block("class Helpers"))
        metrics = self.house.server.metrics
        self.assertEqual(dict(metrics.numbers())["helpers"], 0)
        self.house.server.reload(
            house_config("montague.lit", contact={"support": ("xmpp:friar@montague.lit",)})
        )
        self.assertEqual(dict(metrics.numbers())["helpers"], 1)

    def test_quote(self) -> None:
        """The quotation is kept, within its quota, and told to contacts alone."""
        self.load(block("class IQQuoteHandler"))
        romeo, juliet, tybalt = self.connect("romeo", "juliet", "tybalt")

        def ask(client: Client, type: str, text: str = "") -> str:
            to = "to='romeo@montague.lit'"
            client.send(f"<iq type='{type}' id='1' {to}><quote xmlns='{QUOTE}'>{text}</quote></iq>")
            return client.received()[0]

        self.assertIn("type='result'", ask(romeo, "set", "But soft!"))
        self.assertIn("But soft!", ask(juliet, "get"))
        self.assertIn("<service-unavailable", ask(tybalt, "get"))
        self.assertIn("<forbidden", ask(juliet, "set", "O Romeo!"))
        self.assertIn("<resource-constraint", ask(romeo, "set", "x" * 20))
        self.assertIn("<not-acceptable", ask(romeo, "set", "x" * 31))

    def test_tables(self) -> None:
        """Visitors are kept, by time, in a table of the plugin's, which gets a column later."""
        self.load(block("class Visitors"))
        plugins, visitors = self.plugins, self.module.Visitors(self.house.store.database)
        romeo, juliet = JID.parse("romeo@montague.lit"), JID.parse("juliet@montague.lit/1")
        for seen in (1.0, 3.0, 2.0):
            done(visitors.note(romeo, juliet, seen))
        expected = [(3.0, juliet.bare), (2.0, juliet.bare)]
        self.assertEqual(done(visitors.latest(romeo, 2)), expected)
        self.write(block("def add_note"))
        done(plugins.reload("visitors"))
        self.assertEqual(done(visitors.latest(romeo, 2)), expected)
        self.write(block("class Visitors"))
        with self.assertRaisesRegex(PluginError, "cannot be loaded: The tables .* version 1"):
            done(plugins.reload("visitors"))
        self.assertIn("visitors", plugins.loaded)
        done(plugins.unload("visitors"))
        done(self.house.server.accounts.remove(romeo))
        rows = done(self.house.store.belongings.rows(self.house.store.database, romeo.bare))
        self.assertEqual(rows, [])

    def test_at_load(self) -> None:
        """A plugin reads its table when that is there."""
        self.load(block("AtLoad(read)"))
        self.assertEqual(dict(self.house.server.metrics.numbers())["guests"], 0)

    def test_headlines(self) -> None:
        """Headlines are kept from everybody, and nothing else is."""
        self.load(block("class NoHeadlines"))
        romeo, juliet = self.connect("romeo", "juliet")
        for type in ("headline", "chat"):
            romeo.send(f"<message type='{type}' to='juliet@montague.lit'><body>x</body></message>")
        (message,) = juliet.received()
        self.assertIn("type='chat'", message)

    def test_inline_feature(self) -> None:
        """A client is put to bed inside of its login."""
        self.load(block("def sleep"))
        done(self.house.server.passwords.create("nurse@montague.lit", PASSWORD))
        client = self.house.unauthenticated()
        client.open("montague.lit")
        sleep = f"<bind xmlns='{BIND2}'><sleep xmlns='urn:example:nap'/></bind>"
        client.send(authenticate(plain("nurse"), sleep))
        self.assertIn(b"<bound xmlns='urn:xmpp:bind:0'><asleep ", client.raw())

    def test_bound_extra(self) -> None:
        """A client is told the moment at which it was bound, and need not ask."""
        self.load(block("async def around"))
        done(self.house.server.passwords.create("nurse@montague.lit", PASSWORD))
        client = self.house.unauthenticated()
        client.open("montague.lit")
        client.send(authenticate(plain("nurse"), f"<bind xmlns='{BIND2}'/>"))
        self.assertIn(b"<bound xmlns='urn:xmpp:bind:0'><moment ", client.raw())

    def test_stream_feature(self) -> None:
        """The message of the day is announced to those who have logged in."""
        self.load(block("def advertise"))
        client = self.house.logged_in("romeo")
        client.handler.restart()
        client.open("montague.lit")
        self.assertIn(b">Peace, ho!</motd>", client.raw())

    def test_echo(self) -> None:
        """The component sends each message back."""
        self.load(block("class Echo"))
        (romeo,) = self.connect("romeo")
        romeo.send("<message to='a@echo.example.org' type='chat'><body>hi</body></message>")
        (message,) = romeo.received()
        self.assertIn("from='a@echo.example.org'", message)
        self.assertIn("<body>hi</body>", message)

    def test_parrot(self) -> None:
        """So does the one with the plumbing done."""
        self.load(block("class Parrot"))
        (romeo,) = self.connect("romeo")
        romeo.send("<message to='a@parrot.example.org' type='chat'><body>hi</body></message>")
        self.assertIn("<body>hi</body>", romeo.received()[0])

    def test_oracle(self) -> None:
        """The service answers questions and messages, and disco finds its cave."""
        done(self.house.plugins.load("disco"))
        self.load(block("class Oracle"))
        (romeo,) = self.connect("romeo")
        romeo.send("<message to='oracle.example.org' type='chat'><body>Will she?</body></message>")
        self.assertIn("<body>Perhaps.</body>", romeo.received()[0])
        items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        for query, answer in (
            ("<question xmlns='urn:example:oracle'/>", ">Perhaps.<"),
            (items, "cave@oracle"),
        ):
            romeo.send(f"<iq type='get' id='1' to='oracle.example.org'>{query}</iq>")
            self.assertIn(answer, romeo.received()[0])

    def test_replace(self) -> None:
        """Nobody asks the administrators, who are asked nothing; others can be asked."""
        self.house.add("prince")
        self.load(block("class QuietPresenceRouter"))
        prince, juliet, tybalt = self.connect("prince", "juliet", "tybalt")
        for name in ("prince", "juliet"):
            tybalt.send(f"<presence type='subscribe' to='{name}@montague.lit'/>")
        self.assertEqual(prince.received(), [])
        self.assertIn("type='subscribe'", juliet.received()[0])

    def test_follower(self) -> None:
        """Who has written to the administrators is remembered, also if they were away."""
        self.house.add("prince")
        self.load(block("class Visits"))
        (follower,) = self.house.server.followers.of["prince@montague.lit"].following
        (romeo,) = self.connect("romeo")
        for name in ("prince", "juliet"):
            romeo.send(f"<message to='{name}@montague.lit'><body>hi</body></message>")
        prince = JID.parse("prince@montague.lit")
        message = Message.make(prince, JID.parse("romeo@montague.lit"))
        course = Course(message, message.payload.tree, prince.bare, ANSWERED)
        self.assertEqual([remark.code for remark in done(follower.explain(course))], ["visited"])

    def test_owned(self) -> None:
        """Numbers are drawn where the thing is, and it goes on with those where it goes."""
        self.load(block("class Tickets"))
        claims = self.house.server.cluster.claims
        owner = claims.owner("tickets", "hall")
        assert isinstance(owner, Awaitable)
        self.assertEqual(done(owner), ALONE)
        tickets = claims._parts["tickets"]
        drawn = vars(tickets)["drawn"]
        drawn["hall"] = 7
        self.assertEqual(done(tickets.lay_down("hall")), b"7")
        done(tickets.take_up("hall", 2, b"7"))
        self.assertEqual(drawn, {"hall": 7})
        claims.fenced(NodeFenced(ALONE))
        self.assertEqual(drawn, {})

    def test_tell(self) -> None:
        """A number is drawn where the numbers are."""
        self.load(block("class Tickets") + block("class Numbers"))
        numbers = self.house.server.cluster.claims._parts["numbers"]
        draw: Callable[[str], Awaitable[int]] = getattr(numbers, "draw")  # noqa: B009
        self.assertEqual([done(draw("hall")) for _ in range(2)], [1, 2])

    def test_listener(self) -> None:
        """Whoever has a resource is welcomed."""
        self.load(block("def welcome"))
        romeo = self.house.logged_in("romeo")
        romeo.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.assertIn("<body>Welcome!</body>", "".join(romeo.received()))

    def test_says(self) -> None:
        """Features, an item, a form and a node are added to what disco says."""
        done(self.house.plugins.load("disco"))
        self.load(block("def leap"))
        (romeo,) = self.connect("romeo")

        def ask(what: str, node: str = "", to: str = "montague.lit") -> str:
            query = f"<query xmlns='http://jabber.org/protocol/disco#{what}'{node}/>"
            romeo.send(f"<iq type='get' id='1' to='{to}'>{query}</iq>")
            return romeo.received()[0]

        self.assertIn("urn:example:year#leap", ask("info"))
        self.assertIn("urn:example:year", ask("info"))
        self.assertIn("urn:example:year", ask("info", to="romeo@montague.lit"))
        self.assertIn("news.example.org", ask("items"))
        self.assertIn("name='Today'", ask("info", " node='today'"))
        self.assertIn("item-not-found", ask("info", " node='tomorrow'"))

    def test_command(self) -> None:
        """An administrator ends all sessions of an account, but not their own."""
        self.load(block("class Kicked"))
        romeo, juliet = self.connect("romeo", "juliet")
        answer = self.run_form("xmppd#kick", romeo, "account", "juliet@montague.lit")
        self.assertIn("accounts that were kicked: 1.", answer)
        self.assertTrue(juliet.closed)
        answer = self.run_form("xmppd#kick", romeo, "account", "romeo@montague.lit")
        self.assertIn("do not kick yourself", answer)

    def test_command_form(self) -> None:
        """A command goes by another name, with other fields."""
        self.load(block("CommandForm("))
        (romeo,) = self.connect("romeo")
        self.run_form("urn:example:delete", romeo, "accountjids", "juliet@montague.lit")
        self.assertFalse(done(self.house.store.accounts.exists("juliet@montague.lit")))

    def run_form(self, node: str, client: Client, var: str, value: str) -> str:
        """An administrator asks for a form, fills in a field, and is answered."""
        server = self.house.server
        server.commands.roles = Roles([self.house.jid("romeo")])
        if "adhoc_commands" not in self.house.plugins.loaded:
            done(self.house.plugins.load("adhoc_commands"))
        commands = "http://jabber.org/protocol/commands"

        def run(inside: str, session: str = "") -> str:
            client.send(
                f"<iq type='set' id='1' to='montague.lit'><command node='{node}'{session} "
                f"xmlns='{commands}'>{inside}</command></iq>"
            )
            return "".join(client.received())

        (session,) = re.findall(r"( sessionid=['\"][^'\"]+['\"])", run(""))
        field = f"<field var='{var}'><value>{value}</value></field>"
        return run(f"<x xmlns='jabber:x:data' type='submit'>{field}</x>", session)

    def test_metric(self) -> None:
        """What was told is counted by how it ended."""
        self.load(block("told = dict.fromkeys"))
        self.module.told["kept"] += 2
        numbers = dict(self.house.server.metrics.numbers())
        self.assertEqual(
            (numbers["quotes{result=kept}"], numbers["quotes{result=refused}"]), (2, 0)
        )

    def test_session_state(self) -> None:
        """Who was curious is saved, and curious again."""
        self.load(block("return curious.add"))
        (romeo,) = self.connect("romeo")
        self.module.curious.add(romeo.session)
        saved = self.house.server.saved_sessions._dumped("urn:example:curious", romeo.session)
        self.module.curious.clear()
        assert saved is not None
        self.house.server.saved_sessions._loaded("urn:example:curious", saved)(romeo.session)
        self.assertEqual(self.module.curious, {romeo.session})

    def test_at_unload(self) -> None:
        """What was started every hour is done no more."""
        self.load(block("repeatedly(seen.clear"))
        metrics = self.house.server.metrics
        self.assertEqual(dict(metrics.numbers())["remembered"], 1)
        self.house.clock.advance(3_600)
        self.assertEqual(dict(metrics.numbers())["remembered"], 0)
        timers = len(self.house.clock.getDelayedCalls())
        done(self.plugins.unload("example"))
        self.assertEqual(len(self.house.clock.getDelayedCalls()), timers - 1)

    def test_service_data(self) -> None:
        """What is of no account comes along when a server moves."""
        self.load(block("class CollectionData"))
        (data,) = self.house.server.service_data.all()
        done(data.take(b"Wherefore art thou?\n"))
        self.assertRaises(ValueError, done, data.take(b"\n"))

        async def written() -> list[bytes]:
            return [line async for line in data.written()]

        self.assertEqual(done(written()), [b"Wherefore art thou?"])
        done(self.plugins.unload("example"))
        self.assertEqual(self.house.server.service_data.all(), [])

    def test_offer(self) -> None:
        """A plugin puts a book on another one's shelf, and takes it away again."""
        self.load(block("import Shelf"))
        shelf = self.plugins.offers.by_class[sys.modules["xmppd_local.shelf"].Shelf]
        self.assertEqual(shelf.__dict__, {"books": ["Romeus and Juliet"]})
        done(self.plugins.unload("example"))
        self.assertEqual(shelf.__dict__, {"books": []})
