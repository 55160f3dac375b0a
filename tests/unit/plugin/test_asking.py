"""``plug`` is given what it asks for: stages, settings, and what other plugins offer."""

import sys

from twisted.internet.defer import Deferred

from tests.unit.plugin.plugging import SAYS, DirectoryCase
from xmppd.events import OWNER, On
from xmppd.plugin.plugin_manager import PluginsChanged
from xmppd.testing.client import done
from xmppd.testing.house import house_config

SHELF = """
    from xmppd.plugin.offers import Offer

    class Shelf:
        books = {!r}

    def plug():
        return [Offer(Shelf())]
    """
READER = f"""{SAYS}
from xmppd_local.shelf import Shelf

def plug(shelf: Shelf):
    return [Says(DiscoInfo(features=("urn:test:" + shelf.books,)))]
"""
gates: list[Deferred[None]] = []


class StageTests(DirectoryCase):
    """What the server has."""

    def test_by_class(self) -> None:
        """Stages are told by their class, whatever the parameter is called, also in quotes."""
        self.write(
            "curious.py",
            """
            from xmppd.config.config import ItemSettings
            from xmppd.routing.routing_table import RoutingTable
            from xmppd.store.items import ItemStore
            from twisted.internet.interfaces import IReactorTime

            def plug(table: RoutingTable, s: "ItemStore", clock: IReactorTime, quota: ItemSettings):
                given.extend((table, s, clock, quota))
                return []

            given = []
            """,
        )
        done(self.plugins.load("curious"))
        server = self.house.server
        expected = [server.routing_table, server.store.items, server.clock, server.config.items]
        self.assertEqual(sys.modules["xmppd_local.curious"].given, expected)

    def test_every_stage(self) -> None:
        """Each stage is what its class says."""
        for kind, stage in self.house.server.stages.items():
            if kind.__module__.startswith("xmppd.") and not getattr(kind, "_is_protocol", False):
                self.assertIsInstance(stage, kind)

    def test_no_stage(self) -> None:
        """A class that is no stage is told in one sentence, and so is a parameter without one."""
        for parameters, why in (
            (
                "server: XMPPServer",
                "plugin wrong asks for XMPPServer, but neither the server nor a plugin has it",
            ),
            (
                "number: int",
                "plugin wrong asks for int, but neither the server nor a plugin has it",
            ),
            ("server", "plugin wrong does not say which class server is"),
        ):
            with self.subTest(parameters):
                self.write(
                    "wrong.py",
                    "from xmppd.server.xmpp_server import XMPPServer\n"
                    f"def plug({parameters}):\n    return []",
                )
                self.assertIn(why, self.refused("wrong"))

    def test_waits(self) -> None:
        """A plugin that has to wait is in place when it has; the next one waits for it."""
        gate: Deferred[None] = Deferred()
        gates.append(gate)
        self.addCleanup(gates.clear)
        self.write(
            "slow.py",
            f"""{SAYS}
import tests.unit.plugin.test_asking as test

async def plug():
    await test.gates[0]
    return [Says(DiscoInfo(features=("urn:test:slow",)))]
""",
        )
        self.write("next.py", f"{SAYS}def plug():\n    return [Says()]")
        slow = Deferred.fromCoroutine(self.plugins.load("slow"))
        following = Deferred.fromCoroutine(self.plugins.load("next"))
        self.assertEqual((list(self.plugins.loaded), self.features()), ([], []))
        gate.callback(None)
        self.successResultOf(slow)
        self.successResultOf(following)
        self.assertEqual(list(self.plugins.loaded), ["slow", "next"])
        self.assertEqual(self.features(), ["urn:test:slow"])


class SettingsTests(DirectoryCase):
    """What the configuration says."""

    def setUp(self) -> None:
        super().setUp()
        self.write(
            "open.py",
            f"""{SAYS}
from xmppd.config.config import RegistrationSettings

def plug(options: RegistrationSettings):
    return [Says(DiscoInfo(features=(f"urn:test:{{options.open}}",)))]
""",
        )
        self.write("still.py", "def plug():\n    return []")
        done(self.plugins.load("open", "still"))
        self.house.plugins = self.plugins

    def test_others(self) -> None:
        """A plugin whose settings are others is plugged anew, and nobody else is."""
        before = self.plugins.loaded["still"]
        self.assertEqual(self.features(), ["urn:test:False"])
        self.house.reload(house_config("montague.lit", registration={"open": True}))
        self.assertEqual(self.features(), ["urn:test:True"])
        self.assertIs(self.plugins.loaded["still"], before)

    def test_same(self) -> None:
        """What is as it was changes nothing."""
        before = dict(self.plugins.loaded)
        self.house.reload(house_config("montague.lit", presence={"suppress_repeated": True}))
        self.assertEqual(self.plugins.loaded, before)


class OfferTests(DirectoryCase):
    """What another plugin has."""

    def setUp(self) -> None:
        super().setUp()
        self.write("shelf.py", SHELF.format("a"))
        self.write("reader.py", READER)

    def test_order(self) -> None:
        """A plugin that is needed is loaded first, named or not, and named anywhere."""
        for names in (("reader",), ("reader", "shelf"), ("shelf", "reader")):
            with self.subTest(names):
                done(self.plugins.load(*names))
                self.assertEqual(list(self.plugins.loaded), ["shelf", "reader"])
                self.assertEqual(self.features(), ["urn:test:a"])
                done(self.plugins.unload_all())

    def test_unload(self) -> None:
        """A plugin that is needed does not go before the one that needs it."""
        done(self.plugins.load("reader"))
        self.assertEqual(
            self.why(self.plugins.unload("shelf")),
            "plugin shelf is needed by reader; unload that one first",
        )
        done(self.plugins.unload("reader"))
        done(self.plugins.unload("shelf"))

    def test_reload(self) -> None:
        """Those that need each other are reloaded together, in order."""
        done(self.plugins.load("reader"))
        heard: list[str] = []
        self.house.server.events.put(On(PluginsChanged, lambda e: heard.append(e.name)), OWNER)
        self.write("shelf.py", SHELF.format("b"))
        done(self.plugins.reload("shelf"))
        self.assertEqual(self.features(), ["urn:test:b"])
        self.assertEqual(heard, ["reader", "shelf", "shelf", "reader"])

    def test_broken_reload(self) -> None:
        """If one of them does not load any more, both are as they were."""
        done(self.plugins.load("reader"))
        self.write("shelf.py", SHELF.format("b"))
        self.write("reader.py", "def plug(server):\n    return []")
        self.assertIn("which class", self.why(self.plugins.reload("shelf")))
        self.assertEqual(self.features(), ["urn:test:a"])
        self.assertEqual(list(self.plugins.loaded), ["shelf", "reader"])

    def test_needs_more(self) -> None:
        """A plugin that needs another one now, and then fails, leaves that out again."""
        self.write("alone.py", "def plug():\n    return []")
        done(self.plugins.load("alone"))
        self.write("alone.py", f"{READER}\n    raise LookupError".replace("return [", "x = ["))
        self.assertIn("LookupError", self.why(self.plugins.reload("alone")))
        self.flushLoggedErrors(LookupError)
        self.assertEqual(list(self.plugins.loaded), ["alone"])
        self.assertNotIn("xmppd_local.shelf", sys.modules)

    def test_failing(self) -> None:
        """If a plugin fails, those that were loaded for it go as well."""
        self.write("reader.py", f"{READER}\n    raise LookupError".replace("return [", "x = ["))
        self.assertIn("LookupError", self.refused("reader"))
        self.flushLoggedErrors(LookupError)
        self.assertEqual(self.plugins.loaded, {})
        self.assertNotIn("xmppd_local.shelf", sys.modules)

    def test_nothing_offered(self) -> None:
        """A class that its plugin does not offer is told in one sentence."""
        self.write("shelf.py", "class Shelf: pass\ndef plug():\n    return []")
        self.assertIn(
            "asks for Shelf, but neither the server nor a plugin has it", self.refused("reader")
        )
        self.assertEqual(self.plugins.loaded, {})
