"""Nodes are made, configured and removed."""

from xml.etree import ElementTree

from tests.plugins.pubsub.verona import NS, OWNER, SERVICE, PubSubTestCase, config, result_of
from xmppd.stanza import Tree
from xmppd.stanza.rsm import RSM
from xmppd.testing.client import Client

ITEMS = "http://jabber.org/protocol/disco#items"


class CreateTests(PubSubTestCase):
    def test_create(self) -> None:
        """Whoever may makes a node, once."""
        self.assertEqual(self.create(self.romeo, "news"), "result")
        self.assertEqual(self.create(self.juliet, "news"), "conflict")

    def test_instant(self) -> None:
        """A node without a name gets one that nobody guesses."""
        answer = self.ask(self.romeo, "set", "<create/>")
        (made,) = answer.iter(f"{{{NS}}}create")
        self.assertEqual(len(made.get("node", "")), 26)

    def test_configured(self) -> None:
        """It is made as the form says; what the form does not say is as usual."""
        self.create(self.romeo, "news", title="News", access_model="whitelist")
        answer = self.ask(self.romeo, "get", "<configure node='news'/>", OWNER)
        values = {
            line.get("var"): [value.text for value in line]
            for line in answer.iter("{jabber:x:data}field")
        }
        self.assertIn("News", str(values["pubsub#title"]))
        self.assertEqual(values["pubsub#publish_model"][0], "publishers")
        self.assertEqual(self.items_refused(), "not-allowed closed-node")

    def items_refused(self) -> str:
        return self.asked(self.tybalt, "get", "<items node='news'/>")

    def test_not_as_wanted(self) -> None:
        """What a form cannot have is said, and no node is made."""
        for values, condition in (
            ({"max_items": "10001"}, "not-acceptable"),
            ({"max_items": "-1"}, "not-acceptable"),
            ({"max_items": "many"}, "not-acceptable"),
            ({"access_model": "presence"}, "not-acceptable"),
            ({"deliver_payloads": "perhaps"}, "not-acceptable"),
            ({"node_type": "collection"}, "feature-not-implemented unsupported collections"),
        ):
            with self.subTest(values):
                self.assertEqual(self.create(self.romeo, "news", **values), condition)
        self.assertEqual(self.asked(self.romeo, "get", "<items node='news'/>"), "item-not-found")

    def test_max(self) -> None:
        """``max`` is as many as the service keeps."""
        self.assertEqual(self.create(self.romeo, "news", max_items="max"), "result")

    def test_long_name(self) -> None:
        """A name has 1,023 bytes at most."""
        self.assertEqual(self.create(self.romeo, "n" * 1_023), "result")
        self.assertEqual(self.create(self.romeo, "n" * 1_024), "not-acceptable")

    def test_no_name(self) -> None:
        """A request about a node names it."""
        self.assertEqual(self.asked(self.romeo, "get", "<items/>"), "bad-request nodeid-required")

    def test_other_form(self) -> None:
        """A form of something else is none."""
        form = config(title="News").replace("node_config", "register")
        inside = f"<create node='news'/><configure>{form}</configure>"
        self.assertEqual(self.asked(self.romeo, "set", inside), "bad-request")


class WhoMayTests(PubSubTestCase):
    settings = {"create": "admins", "max_nodes": 2}

    def test_admins(self) -> None:
        """Only administrators make nodes, if the settings say so."""
        self.assertEqual(self.create(self.romeo, "news"), "forbidden")
        self.assertEqual(self.publish(self.romeo, "news", ("1", "hi")), "item-not-found")
        self.assertEqual(self.create(self.prince, "news"), "result")

    def test_too_many(self) -> None:
        """A service has so many nodes at most."""
        self.create(self.prince, "1")
        self.create(self.prince, "2")
        self.assertEqual(self.create(self.prince, "3"), "resource-constraint")

    def test_admins_own_all(self) -> None:
        """An administrator is an owner of every node."""
        self.create(self.prince, "news")
        owners = "<affiliations node='news'><affiliation affiliation='owner' {}/></affiliations>"
        self.asked(self.prince, "set", owners.format("jid='romeo@montague.lit'"), OWNER)
        self.asked(
            self.romeo,
            "set",
            "<affiliations node='news'>"
            "<affiliation affiliation='none' jid='prince@montague.lit'/></affiliations>",
            OWNER,
        )
        self.assertEqual(self.asked(self.prince, "set", "<purge node='news'/>", OWNER), "result")


class ManageTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "news", notify_config="1")
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()

    def test_owners_only(self) -> None:
        """Nobody else configures, purges or deletes it, or sees who has to do with it."""
        for kind, inside in (
            ("get", "<configure node='news'/>"),
            ("set", f"<configure node='news'>{config(title='Mine')}</configure>"),
            ("set", "<purge node='news'/>"),
            ("set", "<delete node='news'/>"),
            ("get", "<affiliations node='news'/>"),
            ("get", "<subscriptions node='news'/>"),
        ):
            with self.subTest(inside):
                self.assertEqual(self.asked(self.juliet, kind, inside, OWNER), "forbidden")
                self.assertEqual(
                    self.asked(self.romeo, kind, inside.replace("news", "olds"), OWNER),
                    "item-not-found",
                )

    def test_configure(self) -> None:
        """What a form does not say stays; subscribers are told if the node tells that."""
        for values in ({"title": "News"}, {"description": "From Verona"}):
            inside = f"<configure node='news'>{config(**values)}</configure>"
            self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "result")
        answer = self.ask(self.romeo, "get", "<configure node='news'/>", OWNER)
        text = "".join(answer.itertext())
        self.assertIn("News", text)
        self.assertIn("From Verona", text)
        self.assertEqual(
            [event.tag.rpartition("}")[2] for event in self.events(self.juliet)],
            ["configuration"] * 2,
        )

    def test_cancel(self) -> None:
        """A form that is cancelled changes nothing."""
        inside = "<configure node='news'><x xmlns='jabber:x:data' type='cancel'/></configure>"
        self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "result")
        self.assertEqual(self.events(self.juliet), [])

    def test_shut_out(self) -> None:
        """Who may not read any more is subscribed no more, and told so."""
        inside = f"<configure node='news'>{config(access_model='whitelist')}</configure>"
        self.asked(self.romeo, "set", inside, OWNER)
        self.assertIn("subscription='none'", "".join(self.juliet.received()))
        self.publish(self.romeo, "news", ("1", "secret"))
        self.assertEqual(self.told(self.juliet), [])

    def test_fewer_items(self) -> None:
        """With a lower number the oldest items go, and subscribers are told."""
        for number in "123":
            self.publish(self.romeo, "news", (number, number))
        self.juliet.raw()
        inside = f"<configure node='news'>{config(max_items='1')}</configure>"
        self.asked(self.romeo, "set", inside, OWNER)
        self.assertEqual(self.items(self.juliet, "news"), [("3", "3")])

    def test_delete(self) -> None:
        """A node is gone with all it had, and subscribers are told where else to look."""
        self.publish(self.romeo, "news", ("1", "hi"))
        self.juliet.raw()
        inside = "<delete node='news'><redirect uri='xmpp:capulet.lit?;node=news'/></delete>"
        self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "result")
        (event,) = self.events(self.juliet)
        self.assertEqual(event.tag.rpartition("}")[2], "delete")
        self.assertEqual(event[0].get("uri"), "xmpp:capulet.lit?;node=news")
        self.create(self.tybalt, "news")
        self.assertEqual(self.items(self.tybalt, "news"), [])
        answer = self.ask(self.tybalt, "get", "<subscriptions node='news'/>", OWNER)
        self.assertEqual(list(answer.iter(f"{{{OWNER}}}subscription")), [])

    def test_purge(self) -> None:
        """All items go at once."""
        self.publish(self.romeo, "news", ("1", "hi"))
        self.juliet.raw()
        self.assertEqual(self.asked(self.romeo, "set", "<purge node='news'/>", OWNER), "result")
        (event,) = self.events(self.juliet)
        self.assertEqual(event.tag.rpartition("}")[2], "purge")
        self.assertEqual(self.items(self.romeo, "news"), [])

    def test_defaults(self) -> None:
        """Anybody is told how a new node is configured."""
        answer = self.ask(self.tybalt, "get", "<default/>", OWNER)
        self.assertEqual(result_of(answer), "result")
        self.assertIn("pubsub#access_model", {line.get("var") for line in answer.iter()})


class NonsenseTests(PubSubTestCase):
    def test_requests(self) -> None:
        """A request that is none is refused (NO-1)."""
        for kind, namespace, inside, condition in (
            ("set", NS, "", "bad-request"),
            ("set", NS, "<create node='a'/><create node='b'/>", "bad-request"),
            ("set", NS, "<create node='a'/><publish node='a'/>", "bad-request"),
            ("set", NS, "<publish node='a'/><configure/>", "bad-request"),
            ("get", NS, "<publish node='a'/>", "feature-not-implemented unsupported publish"),
            ("set", NS, "<collection/>", "feature-not-implemented unsupported collection"),
            ("set", OWNER, "<configure node='a'/>", "bad-request"),
        ):
            with self.subTest(inside):
                self.assertEqual(self.asked(self.romeo, kind, inside, namespace), condition)


class DiscoTests(PubSubTestCase):
    """Lists are read page by page (NO-22)."""

    def listed(self, client: Client, node: str = "", page: str = "") -> tuple[list[str], Tree]:
        """What disco lists: names of nodes or ids of items, and the whole answer."""
        of = f" node='{node}'" if node else ""
        query = f"<query xmlns='{ITEMS}'{of}>{page}</query>"
        client.send(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")
        answer = ElementTree.fromstring(client.received()[-1])
        found = answer.iter(f"{{{ITEMS}}}item")
        return [each.get("node") or each.get("name") or "" for each in found], answer

    def page(self, most: int, behind: str = "") -> str:
        """A request for a page."""
        return f"<set xmlns='{RSM}'><max>{most}</max>{behind}</set>"

    def test_nodes(self) -> None:
        """Nodes are listed by name, forwards and backwards; closed ones take no room."""
        for name in ("a", "b", "c", "d", "e"):
            closed = {"access_model": "whitelist"} if name in "bd" else {}
            self.create(self.romeo, name, **closed)
        for behind, names in (
            ("", ["a", "c"]),
            ("<after>c</after>", ["e"]),
            ("<after>b</after>", ["c", "e"]),
            ("<before/>", ["c", "e"]),
            ("<before>e</before>", ["a", "c"]),
        ):
            found, answer = self.listed(self.juliet, page=self.page(2, behind))
            self.assertEqual(found, names)
            self.assertEqual(answer.findtext(f".//{{{RSM}}}first"), names[0])
            self.assertEqual(answer.findtext(f".//{{{RSM}}}last"), names[-1])
        self.assertEqual(self.listed(self.romeo, page=self.page(2))[0], ["a", "b"])
        self.assertEqual(self.listed(self.juliet)[0], ["a", "c", "e"])
        _, answer = self.listed(self.juliet, page=self.page(2, "<index>1</index>"))
        self.assertEqual(result_of(answer), "feature-not-implemented")

    def test_items(self) -> None:
        """Items are listed in their order, the newest last."""
        self.create(self.romeo, "news")
        for id in "abcde":
            self.publish(self.romeo, "news", (id, id))
        for behind, ids in (
            ("", ["a", "b"]),
            ("<after>d</after>", ["e"]),
            ("<before/>", ["d", "e"]),
            ("<before>c</before>", ["a", "b"]),
        ):
            _, answer = self.listed(self.juliet, "news", self.page(2, behind))
            found = [each.get("name") for each in answer.iter(f"{{{ITEMS}}}item")]
            self.assertEqual(found, ids)
            self.assertEqual(answer.findtext(f".//{{{RSM}}}count"), "5")
        _, answer = self.listed(self.juliet, "news", self.page(2, "<after>x</after>"))
        self.assertEqual(result_of(answer), "item-not-found")
