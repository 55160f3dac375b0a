"""The example with most kinds of parts."""

from xml.etree import ElementTree

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.command_context import SHELL
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config
from xmppd_plugins.example_greeter import NS, GreeterSettings

PLUGINS = ("example_greeter",)
GREETING = GreeterSettings().greeting
MAX_GREETING_BYTES = GreeterSettings().max_greeting_bytes


class GreeterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=PLUGINS, romeo={})

    def greetings(self) -> list[str]:
        """What Romeo is told when he comes in."""
        romeo = self.house.bind("romeo")
        romeo.send("<presence/>")
        received = [stanza for stanza in romeo.received() if stanza.startswith("<message")]
        romeo.abort()
        return received

    def change(self, greeting: str) -> list[Reply]:
        """An administrator gives the command."""

        async def give() -> list[Reply]:
            table = self.house.server.commands
            asked = table.asked("greeting change", {"greeting": greeting}, SHELL)
            return [reply async for reply in table.replies(*asked)]

        return done(give())

    def test_once(self) -> None:
        """A newcomer is greeted, once."""
        self.assertEqual(
            self.greetings(),
            [
                (
                    "<message from='montague.lit' to='romeo@montague.lit/1'>"
                    f"<body>{GREETING}</body></message>"
                )
            ],
        )
        self.assertEqual(self.greetings(), [])

    def test_configured(self) -> None:
        """Another greeting may be configured, and while the server runs."""
        self.house.reload(house_config("montague.lit", example_greeter={"greeting": "Ho!"}))
        (greeting,) = self.greetings()
        self.assertIn("<body>Ho!</body>", greeting)
        self.assertEqual(dict(self.house.server.metrics.numbers())["greeted_accounts"], 1)

    def test_remembered(self) -> None:
        """Who was greeted is remembered over a reload of the plugin."""
        self.greetings()
        done(self.house.plugins.reload("example_greeter"))
        self.assertEqual(self.greetings(), [])

    def test_counted(self) -> None:
        """How many were greeted is a metric."""
        numbers = self.house.server.metrics
        self.greetings()
        self.greetings()
        self.assertEqual(dict(numbers.numbers())["greeted_accounts"], 1)

    def test_changed(self) -> None:
        """An administrator changes the greeting, and everybody can read it."""
        self.change("Good <morrow>")
        self.assertIn("<body>Good &lt;morrow&gt;</body>", self.greetings()[0])
        romeo = self.house.bind("romeo")
        romeo.send(f"<iq type='get' id='g' to='montague.lit'><greeting xmlns='{NS}'/></iq>")
        (answer,) = romeo.received()
        self.assertIn(f"<greeting xmlns='{NS}'>Good &lt;morrow&gt;</greeting>", answer)

    def test_no_greeting(self) -> None:
        """A greeting is not empty, and not longer than its limit."""
        self.change("x" * MAX_GREETING_BYTES)
        for greeting in ("", "  ", "x" * (MAX_GREETING_BYTES + 1)):
            with self.assertRaises(Refused):
                self.change(greeting)

    def test_full_domain(self) -> None:
        """A domain that may store nothing more keeps its greeting."""
        self.house = House(
            config=house_config("montague.lit", items={"max_bytes": 4}), plugins=PLUGINS
        )
        self.assertRaisesRegex(Refused, "nothing more", self.change, "Good morrow")

    def test_full_account(self) -> None:
        """An account that may store nothing more is left in peace."""
        config = house_config("montague.lit", items={"max_bytes": 4})
        self.house = House(config=config, plugins=PLUGINS, romeo={})
        self.assertEqual(self.greetings(), [])

    def test_form(self) -> None:
        """The command asks for the greeting, and can be run from a client."""
        config = house_config("montague.lit")
        house = House(
            config=replace(config, admins=("prince@montague.lit",)),
            plugins=(*PLUGINS, "adhoc_commands"),
            prince={},
            romeo={},
        )
        prince = house.bind("prince")
        command = "xmlns='http://jabber.org/protocol/commands' node='xmppd#greeting-change'"
        prince.send(f"<iq type='set' id='1' to='montague.lit'><command {command}/></iq>")
        (asked,) = prince.received()
        session = ElementTree.fromstring(asked)[0].attrib["sessionid"]
        self.assertIn("var='greeting'", asked)
        prince.send(
            f"<iq type='set' id='2' to='montague.lit'><command {command} sessionid='{session}'>"
            "<x xmlns='jabber:x:data' type='submit'>"
            "<field var='greeting'><value>Well met</value></field></x></command></iq>"
        )
        self.assertIn("new users of montague.lit now get this greeting", prince.received()[0])
        romeo = house.bind("romeo")
        romeo.send("<presence/>")
        self.assertIn(b"<body>Well met</body>", romeo.raw())
