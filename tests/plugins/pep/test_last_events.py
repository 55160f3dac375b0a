"""What was published last is in memory as it is told, and is never another than what is stored."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.plugins.pep.verona import NEWS, TUNE, Publisher, options
from tests.plugins.pubsub.verona import NS, OWNER, config
from xmppd.stanza import JID
from xmppd.store.database import Parameters
from xmppd.store.memory import MemoryDatabase
from xmppd.store.sql import Select, Tables
from xmppd.store.store import Store
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd_plugins.pep.defaults import USUAL
from xmppd_plugins.pep.last_events import MAX_EVENT_BYTES, MAX_HOSTS, LastEvents
from xmppd_plugins.pubsub.config import WhenFull
from xmppd_plugins.pubsub.nodes import ServedNodes
from xmppd_plugins.pubsub.state import NewItem, NodeName, NodeState
from xmppd_plugins.pubsub.store import PubSubStore
from xmppd_plugins.pubsub.tables import metadata

ROMEO = "romeo@montague.lit"


class CountingDatabase(MemoryDatabase):
    """Counts how often items of nodes are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    @override
    async def read(self, query: Select[*tuple[Any, ...]], parameters: Parameters) -> Sequence[Any]:
        self.reads += "pubsub_items" in str(query)
        return await super().read(query, parameters)

    def since(self) -> int:
        """How often since the last time."""
        reads, self.reads = self.reads, 0
        return reads


class LoginTests(SynchronousTestCase):
    """Juliet sees Romeo, and comes again and again."""

    def setUp(self) -> None:
        self.database = CountingDatabase()
        self.house = House(
            plugins=("disco", "vcard", "caps", "pubsub", "pep", "avatars"),
            store=Store(self.database, Clock()),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.romeo = Publisher(self.house.bind("romeo"), ROMEO)
        self.romeo.arrive()
        self.comes()

    def comes(self, *wants: str) -> list[str]:
        """What Juliet is told who comes and goes."""
        juliet = Publisher(self.house.bind("juliet"), "juliet@montague.lit")
        juliet.arrive(*(f"{each}+notify" for each in wants or (NEWS, TUNE)))
        told = juliet.told()
        juliet.client.send("</stream:stream>")
        return sorted(words for _, words in told)

    def test_read_once(self) -> None:
        """Who has come before is sent the newest items without a look at the store."""
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.comes(), ["hi"])
        self.database.since()
        for _ in range(3):
            self.assertEqual(self.comes(), ["hi"])
        self.assertEqual(self.database.since(), 0)
        self.assertEqual(self.comes("urn:other"), [])
        self.assertEqual(self.comes("urn:other", TUNE), [])
        self.assertEqual(self.database.since(), 1)

    def test_changed(self) -> None:
        """Whatever becomes of a node, it is what who comes then is sent."""
        self.romeo.publish(NEWS, "one", "1", options(max_items="2"))
        self.romeo.publish(TUNE, "la")
        self.assertEqual(self.comes(), ["la", "one"])
        self.romeo.publish(NEWS, "two", "2")
        self.assertEqual(self.comes(), ["la", "two"])
        retract = f"<retract node='{NEWS}'><item id='2'/></retract>"
        self.romeo.ask("set", f"<pubsub xmlns='{NS}'>{retract}</pubsub>")
        self.assertEqual(self.comes(), ["la", "one"])
        for form, told in (
            (config(access_model="whitelist"), ["la"]),
            (config(access_model="presence"), ["la", "one"]),
            (config(send_last_published_item="never"), ["la"]),
            (config(send_last_published_item="on_sub_and_presence"), ["la", "one"]),
            (config(deliver_notifications="0"), ["la"]),
            (config(deliver_notifications="1"), ["la", "one"]),
        ):
            configure = f"<configure node='{NEWS}'>{form}</configure>"
            self.romeo.ask("set", f"<pubsub xmlns='{OWNER}'>{configure}</pubsub>")
            self.assertEqual(self.comes(), told, form)
        self.romeo.ask("set", f"<pubsub xmlns='{OWNER}'><purge node='{TUNE}'/></pubsub>")
        self.assertEqual(self.comes(), ["one"])
        self.romeo.ask("set", f"<pubsub xmlns='{OWNER}'><delete node='{NEWS}'/></pubsub>")
        self.assertEqual(self.comes(), [])

    def test_removed(self) -> None:
        """Of an account that is removed nothing is remembered for the next one of its name."""
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.comes(), ["hi"])
        done(self.house.server.accounts.remove(JID.parse(ROMEO)))
        self.house.add("romeo", {"juliet": "both"})
        self.assertEqual(self.comes(), [])


class MemoryTests(SynchronousTestCase):
    """What is in memory has a limit."""

    def setUp(self) -> None:
        self.database = CountingDatabase()
        store = Store(self.database, Clock())
        done(store.open())
        done(store.tables.put(Tables(metadata), "pubsub"))
        self.store = PubSubStore(store.database)

    def events(self, max_bytes: int = 1 << 20) -> LastEvents:
        """With so much room."""
        return LastEvents(ServedNodes(self.store, lambda: 0.0), max_bytes)

    def publish(self, host: str, size: int) -> None:
        """Have somebody publish an item."""
        name = NodeName(host, NEWS)
        done(self.store.create(NodeState(name, USUAL, 0.0, host), None, max_nodes=1))
        payload = b"<entry>%b</entry>" % (b"x" * size)
        item = NewItem("current", host, 0.0, payload)
        full = WhenFull.DISCARD_OLDEST
        done(self.store.items.publish(name, None, [item], most=1, when_full=full))

    def test_many(self) -> None:
        """Those of whom nobody has asked longest make room."""
        events = self.events()
        for number in range(MAX_HOSTS + 10):
            done(events.of([f"{number}@x"], {NEWS}))
        self.assertEqual(len(events), MAX_HOSTS)
        self.database.since()
        done(events.of([f"{MAX_HOSTS + 9}@x"], {NEWS}))
        self.assertEqual(self.database.since(), 0)
        done(events.of(["0@x"], {NEWS}))
        self.assertEqual(self.database.since(), 1)

    def test_large(self) -> None:
        """There is room for so many bytes; what is very large takes none."""
        events = self.events(max_bytes=100_000)
        hosts = [f"{number}@x" for number in range(10)]
        for host in hosts:
            self.publish(host, 8_000)
        for host in hosts:
            (event,) = done(events.of([host], {NEWS}))
            self.assertEqual(event.name.host, host)
        self.assertEqual(len(events), 3)
        self.publish("large@x", MAX_EVENT_BYTES)
        self.assertEqual(len(done(events.of(["large@x"], {NEWS}))), 1)
        self.assertEqual(len(events), 3)
        for host in hosts:
            events.forget(host)
        self.assertEqual(len(events), 0)

    def test_many_names(self) -> None:
        """Nodes are found among any number of accounts and names."""
        hosts = [f"{number}@x" for number in range(600)]
        self.publish(hosts[-1], 5)
        names = {NEWS, *(f"urn:{number}" for number in range(600))}
        (event,) = done(self.events().of(hosts, names))
        self.assertEqual(event.name, NodeName(hosts[-1], NEWS))
