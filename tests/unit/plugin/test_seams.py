"""Where stages are replaced and watched."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.plugin.seams import SEAMS, Call, Method, Replace, Seams
from xmppd.router.message_router import MessageRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.server.replaceable import class_of
from xmppd.stanza import Later, Message, Stanza
from xmppd.testing.house import House


class Loud(MessageRouter):
    """Notes what it routes."""

    def route(self, message: Message) -> Later:
        heard.append(message.id)
        return super().route(message)


heard: list[str | None] = []


class SeamsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(romeo={}, juliet={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.romeo.raw()
        self.seams: Seams = self.house.plugins.seams
        self.addCleanup(heard.clear)
        self.seen: list[str] = []
        self.before = self.classes()

    def say(self, id: str) -> int:
        """How much of a message arrives."""
        self.romeo.send(f"<message id='{id}' to='juliet@montague.lit'><body>x</body></message>")
        return len(self.juliet.received())

    def watch(self, method: Method, call: Call, stanza: Stanza, more: tuple[object, ...]) -> object:
        """Note who is called."""
        self.seen.append(method.__qualname__)
        return call()

    def classes(self) -> list[type]:
        """What the stages are just now."""
        return [type(self.house.server.stages[kind]) for kind in SEAMS]

    def test_table(self) -> None:
        """Each stage of the table is in the house, and has the methods of its seam."""
        stages = self.house.server.stages
        self.assertEqual([class_of(stages[kind]) for kind in SEAMS], list(SEAMS))
        for kind, methods in SEAMS.items():
            for method in methods:
                self.assertIs(getattr(kind, method.__name__), method)

    def test_watched(self) -> None:
        """Who watches sees each seam that a stanza comes by, and changes nothing."""
        leave = self.seams.watch(self.watch)
        self.assertEqual(self.say("1"), 1)
        self.assertIn("PacketRouter.route", self.seen)
        self.assertIn("MessageRouter.route", self.seen)
        leave()
        self.seen.clear()
        self.assertEqual((self.say("2"), self.seen), (1, []))
        self.assertEqual(self.classes(), self.before)

    def test_replaced_and_watched(self) -> None:
        """A stage may be replaced while it is watched, and be watched no more while it is."""
        leave = self.seams.watch(self.watch)
        give_back = self.seams.put(Replace(MessageRouter, Loud), "loud")
        self.say("both")
        self.assertEqual((heard, self.seen.count("MessageRouter.route")), (["both"], 1))
        leave()
        self.say("loud")
        self.assertEqual((heard, self.seen.count("MessageRouter.route")), (["both", "loud"], 1))
        give_back()
        self.say("none")
        self.assertEqual(heard, ["both", "loud"])
        self.assertEqual(self.classes(), self.before)

    def test_each(self) -> None:
        """Each stage of the table may be replaced, with all that it holds."""
        for stage in SEAMS:
            with self.subTest(stage.__name__):
                by = type("Other", (stage,), {})
                give_back = self.seams.put(Replace(stage, by), "a")
                self.assertIs(type(self.house.server.stages[stage]), by)
                self.assertEqual(self.say(stage.__name__), 1)
                give_back()
        self.assertEqual(self.classes(), self.before)

    def test_no_seam(self) -> None:
        """A subclass may have methods of its own, and override none but those of the seam."""

        class Helped(PresenceRouter):
            def help(self) -> None: ...

        class Made(PresenceRouter):
            def __init__(self) -> None: ...

        class Kept(PresenceRouter):
            __slots__ = ("kept",)

        class Inside(PresenceRouter):
            def _probe(self, presence: object) -> None: ...

        class Misspelt(PresenceRouter):
            def rout(self, presence: object) -> None: ...

        self.seams.put(Replace(PresenceRouter, Helped), "a")()
        error = self.assertRaises(
            ValueError, self.seams.put, Replace(PresenceRouter, Misspelt), "a"
        )
        self.assertEqual(str(error), "PresenceRouter has no method rout; write route in Misspelt")
        for by, name in ((Made, "__init__"), (Kept, "__slots__"), (Inside, "_probe")):
            with self.subTest(name):
                error = self.assertRaises(
                    ValueError, self.seams.put, Replace(PresenceRouter, by), "a"
                )
                self.assertIn(f"overrides {name}, which plugins cannot replace", str(error))
        self.assertEqual(self.classes(), self.before)
