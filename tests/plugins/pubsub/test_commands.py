"""Administrators look after nodes."""

from tests.plugins.pubsub.verona import SERVICE, PubSubTestCase
from xmppd.command.command_context import SHELL
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.testing.client import done


class CommandTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "news", title="News", max_items="max")
        self.publish(self.romeo, "news", ("1", "a"), ("2", "b"))
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()

    def give(self, name: str, **given: str) -> list[Reply]:
        """What a command says."""
        commands = self.house.server.commands
        asked = commands.asked(name, {"service": SERVICE, **given}, SHELL)

        async def read() -> list[Reply]:
            return [reply async for reply in commands.replies(*asked)]

        return done(read())

    def shown(self, name: str, **given: str) -> list[str]:
        """The same as text."""
        return [str(reply) for reply in self.give(name, **given)]

    def test_nodes(self) -> None:
        """Each node has a row."""
        (row,) = self.shown("pubsub nodes")
        for part in ("node='news'", "title='News'", "items=2", "subscriptions=1", "romeo@"):
            self.assertIn(part, row)

    def test_items(self) -> None:
        """The newest items have one, the newest last."""
        rows = self.shown("pubsub items", node="news", most="1")
        self.assertEqual(len(rows), 1)
        self.assertIn("id='2'", rows[0])

    def test_config(self) -> None:
        """A configuration has a row for each field."""
        rows = self.shown("pubsub config", node="news")
        self.assertIn("ConfigRow(field='pubsub#max_items', value='max')", rows)

    def test_delete(self) -> None:
        """A node is deleted, and subscribers are told."""
        said = self.shown("pubsub delete", node="news")
        self.assertEqual(said, [f"node news of {SERVICE} was deleted"])
        self.assertEqual(len(self.events(self.juliet)), 1)

    def test_unknown(self) -> None:
        """What is not there is named."""
        error = self.assertRaises(Refused, self.give, "pubsub items", node="olds")
        self.assertEqual(str(error), f"{SERVICE} has no node olds")
        error = self.assertRaises(Refused, self.give, "pubsub nodes", service="montague.lit")
        self.assertIn(f"is not a PubSub service; use {SERVICE}", str(error))
