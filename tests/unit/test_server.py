"""The server as a whole: what a reload changes, and how long a stop takes."""

from msgspec.structs import fields, replace
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support import EVERYTHING, SlowStore
from xmppd.config.config import (
    ComponentStreamSettings,
    Config,
    LogSettings,
    PluginSettings,
    RoleSettings,
)
from xmppd.config.section import Mark, Section, is_marked, type_of
from xmppd.server.own_settings import settings_of
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate


class ReloadTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """New limits hold for new connections; those there were keep theirs."""
        house = House("montague.lit", romeo={})
        (before,) = house.connect("romeo/before")
        deep = "<message><body>" + "<b>" * 8 + "</b>" * 8 + "</body></message>"
        house.server.reload(house_config("montague.lit", stream={"max_depth": 5}))
        (after,) = house.connect("romeo/after")
        before.send(deep)
        after.send(deep)
        self.assertFalse(before.closed)
        self.assertTrue(after.closed)

    def test_every_table(self) -> None:
        """Each table of which a key applies at once is handed to a stage that goes by it."""
        handed = {part.table for part in settings_of(House("montague.lit").server)}
        elsewhere = {ComponentStreamSettings, PluginSettings, LogSettings}
        for field in fields(Config):
            table = type_of(field)
            if not isinstance(table, type) or not issubclass(table, Section):
                continue
            marks = [is_marked(each, Mark.RESTART) for each in (field, *fields(table))]
            if not marks[0] and not all(marks[1:]):
                self.assertIn(table, handed | elsewhere)

    def test_offline_quota(self) -> None:
        """From now on no message is kept for those who are away."""
        house = House("montague.lit", romeo={}, juliet={})
        (romeo,) = house.connect("romeo")
        house.server.reload(house_config("montague.lit", offline={"max_messages": 0}))
        romeo.send("<message to='juliet@montague.lit' type='chat'><body>art thou</body></message>")
        self.assertIn("service-unavailable", romeo.received()[0])

    def test_doors(self) -> None:
        """From now on fewer may come from one address."""
        house = House("montague.lit")
        house.server.reload(house_config("montague.lit", stream={"max_streams_per_address": 1}))
        first, second = house.unauthenticated(), house.unauthenticated()
        first.open("montague.lit")
        second.open("montague.lit")
        self.assertEqual((first.closed, second.closed), (False, True))

    def test_admins(self) -> None:
        """Whoever is an administrator from now on gives commands, and gets what is written to the
        server; whoever was one does not any more.
        """
        house = House("montague.lit", romeo={}, juliet={})
        admins = replace(house.server.config, admins=("romeo@montague.lit",))
        house.server.reload(admins)
        romeo, juliet = house.connect("romeo", "juliet")
        role = RoleSettings(name="operator", accounts=("romeo@montague.lit",))
        new = replace(admins, admins=("juliet@montague.lit",), role=(role,))
        house.server.reload(new)
        self.assertEqual(
            [house.server.commands.actor(house.jid(each)).admin for each in ("romeo", "juliet")],
            [False, True],
        )
        self.assertIn("sessions:write", house.server.commands.actor(house.jid("romeo")).scopes)
        juliet.send("<message to='montague.lit'><body>to whom it may concern</body></message>")
        self.assertIn("to whom it may concern", "".join(map(str, juliet.received())))
        self.assertEqual(romeo.received(), [])
        self.assertTrue(house.server.names.is_reserved(house.jid("juliet")))
        self.assertFalse(house.server.names.is_reserved(house.jid("romeo")))

    def test_asked_for(self) -> None:
        """What is looked up where it is needed is there."""
        house = House("montague.lit")
        house.server.reload(house_config("montague.lit", registration={"open": True}))
        self.assertTrue(house.server.config.registration.open)


class StopTests(SynchronousTestCase):
    """A stop ends, whatever the store and peers do (ST-7)."""

    LIMIT_S = 30

    def setUp(self) -> None:
        self.store = store = SlowStore()
        self.addCleanup(store.release_all)
        self.house = House("montague.lit", store=self.store, romeo={}, juliet={}, nurse={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def stop(self) -> tuple[int, list[str]]:
        """How many seconds it takes, and what the log says of it."""
        with capturedLogs() as lines:
            stopped = self.house.stop()
            seconds = 0
            while not stopped.called:
                self.assertLess(seconds, self.LIMIT_S)
                self.house.clock.advance(1)
                seconds += 1
        self.successResultOf(stopped)
        return seconds, [str(formatEvent(line)) for line in lines]

    def wait_for(self, juliet: Client, count: int) -> None:
        """So many messages wait for a client that does not read."""
        juliet.stop_reading()
        for number in range(count):
            self.romeo.send(
                f"<message to='juliet@montague.lit/1' type='chat'><body>{number}</body></message>"
            )

    def test_silent_store(self) -> None:
        """With a store that says nothing; what is lost by that is said."""
        self.romeo.enable()
        self.store.slow = self.store.late = True
        self.romeo.send("<message to='nurse@montague.lit' type='chat'><body>x</body></message>")
        _, lines = self.stop()
        said = "\n".join(lines)
        self.assertIn("handling stanzas that clients had sent took more than 13 s; the", said)

    def test_unread(self) -> None:
        """Messages that nobody has read and the store does not take are counted."""
        for broken in (False, True):
            with self.subTest(broken=broken):
                self.setUp()
                self.wait_for(self.juliet, 3)
                if broken:
                    self.store.broken = EVERYTHING
                else:
                    self.store.slow = self.store.late = True
                _, lines = self.stop()
                self.assertIn("the database failed or was too slow: 3;", "\n".join(lines))

    def test_sessions(self) -> None:
        """Sessions that cannot be saved are counted, with what their clients have not got."""
        self.juliet.enable()
        self.romeo.send("<message to='juliet@montague.lit/1'><body>x</body></message>")
        self.store.broken = EVERYTHING
        _, lines = self.stop()
        self.assertIn(
            "sessions that were not saved: 1, unacknowledged stanzas: 1;", "\n".join(lines)
        )

    def test_stubborn_component(self) -> None:
        """A component that does not hang up keeps other servers from nothing: they are told."""
        config = house_config(
            "verona.lit", component=[{"name": "echo.verona.lit", "secret": "secret"}]
        )
        verona, mantua = House(config=config, romeo={}), House("mantua.lit", juliet={})
        network = federate(verona, mantua)
        verona.service("echo.verona.lit", "secret")
        (romeo,) = verona.connect("romeo@verona.lit")
        romeo.send("<message to='juliet@mantua.lit'><body>x</body></message>")
        network.settle()
        self.assertTrue(mantua.server.server_connections.handlers)
        romeo.abort()
        stopped = verona.stop()
        network.settle()
        self.assertFalse(mantua.server.server_connections.handlers)
        self.assertNoResult(stopped)

    def test_nothing_wrong(self) -> None:
        """Nothing is said, and nothing waited for, when all goes well."""
        self.romeo.abort()
        self.juliet.abort()
        seconds, lines = self.stop()
        self.assertEqual((seconds, [line for line in lines if "not" in line]), (0, []))
        self.assertEqual(self.house.clock.getDelayedCalls(), [])
