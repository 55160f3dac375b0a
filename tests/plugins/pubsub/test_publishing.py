"""Items are published, told, read and retracted."""

from typing import ClassVar

from tests.plugins.pubsub.verona import ENTRY, NS, PubSubTestCase, form, result_of
from xmppd.testing.client import done


def options(**values: str) -> str:
    """Publish options."""
    filled = form(f"{NS}#publish-options", **values)
    return f"<publish-options>{filled}</publish-options>"


class PublishTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "news")
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()

    def test_told(self) -> None:
        """Subscribers are told, by a headline from the service, with an id."""
        self.publish(self.romeo, "news", ("1", "hi"))
        (raw,) = self.juliet.received()
        self.assertIn("type='headline'", raw)
        self.assertIn("from='pubsub.montague.lit' to='juliet@montague.lit'", raw)
        self.assertIn(f"<item id='1'>{ENTRY.format('hi')}</item>", raw)

    def test_kept(self) -> None:
        """Anybody may read what was published, the newest last."""
        self.publish(self.romeo, "news", ("1", "a"), ("2", "b"))
        self.publish(self.romeo, "news", ("3", "c"))
        self.assertEqual(self.items(self.tybalt, "news"), [("1", "a"), ("2", "b"), ("3", "c")])

    def test_replaced(self) -> None:
        """An item of the same id takes the other's place, and is the newest (NO-3)."""
        for id, words in (("1", "a"), ("2", "b"), ("1", "c")):
            self.publish(self.romeo, "news", (id, words))
        self.assertEqual(self.items(self.tybalt, "news"), [("2", "b"), ("1", "c")])

    def test_id(self) -> None:
        """An item without an id gets one, which its publisher is told."""
        inside = f"<publish node='news'><item>{ENTRY.format('hi')}</item></publish>"
        (item,) = self.ask(self.romeo, "set", inside).iter(f"{{{NS}}}item")
        self.assertEqual(self.items(self.romeo, "news"), [(item.get("id"), "hi")])

    def test_nonsense(self) -> None:
        """What is no item is refused, and nothing is told (NO-2)."""
        entry = ENTRY.format("hi")
        for inside, condition in (
            ("", "bad-request item-required"),
            ("<item id='1'/>", "bad-request payload-required"),
            (f"<item id='1'>{entry}{entry}</item>", "bad-request invalid-payload"),
            (f"<item id='{'i' * 1_024}'>{entry}</item>", "not-acceptable"),
            (f"<item>{entry}</item>" * 21, "not-allowed max-items-exceeded"),
        ):
            with self.subTest(inside[:40]):
                publish = f"<publish node='news'>{inside}</publish>"
                self.assertEqual(self.asked(self.romeo, "set", publish), condition)
        self.assertEqual(self.told(self.juliet), [])

    def test_strangers(self) -> None:
        """Who is no publisher publishes nothing."""
        self.assertEqual(self.publish(self.juliet, "news", ("1", "hi")), "forbidden")

    def test_retract(self) -> None:
        """A retracted item is gone, and subscribers are told; there is none to retract twice."""
        self.publish(self.romeo, "news", ("1", "a"), ("2", "b"))
        self.juliet.raw()
        retract = "<retract node='news'><item id='1'/></retract>"
        self.assertEqual(self.asked(self.romeo, "set", retract), "result")
        self.assertEqual(self.told(self.juliet), [("1", "gone")])
        self.assertEqual(self.items(self.romeo, "news"), [("2", "b")])
        self.assertEqual(self.asked(self.romeo, "set", retract), "item-not-found")
        self.assertEqual(self.asked(self.juliet, "set", retract.replace("1", "2")), "forbidden")

    def test_restart(self) -> None:
        """What was published, and who has subscribed, outlives the server."""
        self.publish(self.romeo, "news", ("1", "a"))
        self.house = self.house.restarted()
        self.connect()
        self.publish(self.romeo, "news", ("2", "b"))
        self.assertEqual(self.told(self.juliet), [("2", "b")])
        self.assertEqual(self.items(self.juliet, "news"), [("1", "a"), ("2", "b")])

    def test_options(self) -> None:
        """Options are preconditions: one that is not met is named, and nothing is published
        (NO-8).
        """
        for values, condition in (
            ({"access_model": "open"}, "result"),
            ({"persist_items": "true", "max_items": "20"}, "result"),
            ({"access_model": "whitelist"}, "conflict precondition-not-met"),
            ({"max_items": "max"}, "conflict precondition-not-met"),
            ({"no_such": "1"}, "conflict precondition-not-met"),
        ):
            with self.subTest(values):
                got = self.publish(self.romeo, "news", ("1", "a"), beside=options(**values))
                self.assertEqual(got, condition)

    def test_created_by_publishing(self) -> None:
        """Publishing makes a node as its options say, for who may make one."""
        beside = options(access_model="whitelist", max_items="max")
        self.assertEqual(self.publish(self.romeo, "keys", ("1", "a"), beside=beside), "result")
        self.assertEqual(self.publish(self.romeo, "keys", ("2", "b"), beside=beside), "result")
        refused = self.asked(self.juliet, "get", "<items node='keys'/>")
        self.assertEqual(refused, "not-allowed closed-node")

    def test_bare_notification(self) -> None:
        """A node without payloads in its events tells that there is something."""
        self.create(self.romeo, "bells", deliver_payloads="0")
        self.subscribe(self.juliet, "bells", "juliet")
        self.juliet.raw()
        self.assertEqual(self.publish(self.romeo, "bells", ("1", "ding")), "result")
        self.assertEqual(self.told(self.juliet), [("1", "")])
        self.assertEqual(self.items(self.juliet, "bells"), [("1", "ding")])

    def test_transient(self) -> None:
        """A node that keeps nothing tells what is published, and has no items."""
        self.create(self.romeo, "winds", persist_items="0")
        self.subscribe(self.juliet, "winds", "juliet")
        self.juliet.raw()
        self.publish(self.romeo, "winds", ("1", "north"))
        self.assertEqual(self.told(self.juliet), [("1", "north")])
        self.assertEqual(self.items(self.juliet, "winds"), [])
        retract = "<retract node='winds'><item id='1'/></retract>"
        self.assertEqual(
            self.asked(self.romeo, "set", retract),
            "feature-not-implemented unsupported persistent-items",
        )

    def test_counted(self) -> None:
        """What somebody publishes counts for them, by how many are told."""
        self.create(self.romeo, "news")
        for name, client in (("juliet", self.juliet), ("tybalt", self.tybalt)):
            self.subscribe(client, "news", name)
        before = self.romeo.handler.counts.so_far()
        self.publish(self.romeo, "news", ("1", "a"))
        grown = self.romeo.handler.counts.so_far()
        self.assertEqual(grown.stanzas - before.stanzas, 1)
        self.assertEqual(grown.deliveries - before.deliveries, 1 + 2)  # and the answer

    def test_publisher_is_named(self) -> None:
        """An item names its publisher if the node says so, and never a resource (NO-19)."""
        self.create(self.romeo, "said", itemreply="publisher")
        self.subscribe(self.juliet, "said", "juliet")
        self.juliet.raw()
        self.publish(self.romeo, "said", ("1", "a"))
        (event,) = self.events(self.juliet)
        self.assertEqual(event[0].get("publisher"), "romeo@montague.lit")


class RoomTests(PubSubTestCase):
    """Nodes that are full."""

    def fill(self, when_full: str) -> str:
        self.create(self.romeo, "news", max_items="2", publish_node_full=when_full)
        self.subscribe(self.juliet, "news", "juliet")
        self.publish(self.romeo, "news", ("1", "a"), ("2", "b"))
        self.juliet.raw()
        return self.publish(self.romeo, "news", ("3", "c"))

    def test_discard(self) -> None:
        """The oldest makes room, and nobody is told."""
        self.assertEqual(self.fill("discard-oldest"), "result")
        self.assertEqual(self.items(self.romeo, "news"), [("2", "b"), ("3", "c")])
        self.assertEqual(self.told(self.juliet), [("3", "c")])

    def test_retract(self) -> None:
        """The oldest makes room, and that is told."""
        self.assertEqual(self.fill("retract-oldest"), "result")
        self.assertEqual(self.told(self.juliet), [("1", "gone"), ("3", "c")])

    def test_reject(self) -> None:
        """Nothing makes room; an item may still be replaced."""
        self.assertEqual(self.fill("reject"), "conflict node-full")
        self.assertEqual(self.publish(self.romeo, "news", ("1", "d")), "result")
        self.assertEqual(self.items(self.romeo, "news"), [("2", "b"), ("1", "d")])

    def test_too_many_at_once(self) -> None:
        """No more is published at once than a node keeps."""
        self.create(self.romeo, "one", max_items="1")
        self.assertEqual(
            self.publish(self.romeo, "one", ("1", "a"), ("2", "b")),
            "not-allowed max-items-exceeded",
        )

    def test_expired(self) -> None:
        """An item whose time is over goes, and subscribers are told (NO-7)."""
        self.create(self.romeo, "today", item_expire="60")
        self.subscribe(self.juliet, "today", "juliet")
        self.publish(self.romeo, "today", ("1", "a"))
        self.juliet.raw()
        self.wait(minutes=61)
        self.assertEqual(self.told(self.juliet), [("1", "gone")])
        self.assertEqual(self.items(self.romeo, "today"), [])


class SizeTests(PubSubTestCase):
    settings: ClassVar[dict[str, object]] = {"create": "local", "max_payload_bytes": 100}

    def test_payload(self) -> None:
        """A payload that is too large is refused, with the limit."""
        self.create(self.romeo, "news")
        inside = f"<publish node='news'><item>{ENTRY.format('a' * 100)}</item></publish>"
        answer = self.ask(self.romeo, "set", inside)
        self.assertEqual(result_of(answer), "not-acceptable payload-too-big")
        self.assertIn("100 bytes", "".join(answer.itertext()))


class QuotaTests(PubSubTestCase):
    settings: ClassVar[dict[str, object]] = {"create": "local", "max_bytes": 500}

    def test_full(self) -> None:
        """All nodes of a service keep so many bytes together; what would be more is refused with
        the limit, and changes nothing, until something is retracted.
        """
        for node in ("news", "more"):
            self.create(self.romeo, node)
        self.publish(self.romeo, "news", ("1", "a" * 300))
        item = f"<item id='2'>{ENTRY.format('b' * 100)}</item>"
        answer = self.ask(self.romeo, "set", f"<publish node='more'>{item}</publish>")
        self.assertEqual(result_of(answer), "resource-constraint")
        self.assertIn("at most 500 bytes", "".join(answer.itertext()))
        self.assertEqual(self.items(self.romeo, "more"), [])
        retract = "<retract node='news'><item id='1'/></retract>"
        self.assertEqual(self.asked(self.romeo, "set", retract), "result")
        answer = self.ask(self.romeo, "set", f"<publish node='more'>{item}</publish>")
        self.assertEqual(result_of(answer), "result")


class ReadTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "news")
        for number in range(5):
            self.publish(self.romeo, "news", (str(number), str(number)))

    def ids(self, how: str = "", inside: str = "", page: str = "") -> list[str]:
        rsm = f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>" if page else ""
        node = f"<items node='news' {how}>{inside}</items>{rsm}"
        answer = self.ask(self.juliet, "get", node)
        if result_of(answer) != "result":
            return [result_of(answer)]
        return [item.get("id", "") for item in answer.iter(f"{{{NS}}}item")]

    def test_newest(self) -> None:
        """The newest are asked for by their number."""
        self.assertEqual(self.ids("max_items='2'"), ["3", "4"])

    def test_by_id(self) -> None:
        """Items are asked for by id; those that are not there are left out."""
        self.assertEqual(self.ids(inside="<item id='3'/><item id='9'/><item id='1'/>"), ["3", "1"])

    def test_both(self) -> None:
        """By number and by id is too much."""
        self.assertEqual(self.ids("max_items='2'", "<item id='3'/>"), ["bad-request"])

    def test_pages(self) -> None:
        """Pages begin with the newest (NO-10)."""
        self.assertEqual(self.ids(page="<max>2</max>"), ["4", "3"])
        self.assertEqual(self.ids(page="<max>2</max><after>3</after>"), ["2", "1"])
        self.assertEqual(self.ids(page="<max>2</max><before>1</before>"), ["3", "2"])
        self.assertEqual(self.ids(page="<max>2</max><before/>"), ["1", "0"])
        self.assertEqual(self.ids(page="<after>9</after>"), ["item-not-found"])
        self.assertEqual(self.ids(page="<index>1</index>"), ["feature-not-implemented"])

    def test_number(self) -> None:
        """A number is one."""
        self.assertEqual(self.ids("max_items='many'"), ["bad-request"])


class LargeTests(PubSubTestCase):
    def test_answer(self) -> None:
        """An answer has a mebibyte of items at most: the newest, or the first of a page (NO-10)."""
        self.create(self.romeo, "news")
        for number in range(8):
            self.publish(self.romeo, "news", (str(number), "a" * 200_000))
        found = [id for id, _ in self.items(self.juliet, "news")]
        self.assertEqual(found, ["3", "4", "5", "6", "7"])
        page = "<set xmlns='http://jabber.org/protocol/rsm'><max>8</max></set>"
        found = [id for id, _ in self.items(self.juliet, "news", beside=page)]
        self.assertEqual(found, ["7", "6", "5", "4", "3"])
        wanted = "".join(f"<item id='{number}'/>" for number in range(8))
        answer = self.ask(self.juliet, "get", f"<items node='news'>{wanted}</items>")
        found = [item.get("id") or "" for item in answer.iter(f"{{{NS}}}item")]
        self.assertEqual(found, ["0", "1", "2", "3", "4"])


class UnloadTests(PubSubTestCase):
    def test_reload(self) -> None:
        """A plugin that is loaded again serves the same nodes."""
        self.create(self.romeo, "news")
        self.publish(self.romeo, "news", ("1", "a"))
        done(self.house.plugins.reload("pubsub"))
        self.assertEqual(self.items(self.romeo, "news"), [("1", "a")])
