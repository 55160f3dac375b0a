"""Subscriptions and affiliations."""

from xml.etree import ElementTree

from tests.plugins.pubsub.verona import NS, OWNER, PubSubTestCase, form, result_of
from xmppd.stanza import Tree
from xmppd.stanza.form import DATA
from xmppd.stanza.xml import local_name
from xmppd.testing.client import Client, done

COMMANDS = "http://jabber.org/protocol/commands"
ITEMS = "http://jabber.org/protocol/disco#items"
JULIET = "juliet@montague.lit"


def options(**values: str) -> str:
    """A form of a subscription's options."""
    return form(f"{NS}#subscribe_options", **values)


class SubscribeTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "news", send_last_published_item="on_sub")

    def test_answer(self) -> None:
        """The answer says what came of it."""
        answer = self.ask(self.juliet, "set", f"<subscribe node='news' jid='{JULIET}'/>")
        (told,) = answer.iter(f"{{{NS}}}subscription")
        self.assertEqual(told.attrib, {"node": "news", "jid": JULIET, "subscription": "subscribed"})

    def test_somebody_else(self) -> None:
        """People subscribe themselves only."""
        for jid in ("tybalt@montague.lit", f"{JULIET}/elsewhere"):
            inside = f"<subscribe node='news' jid='{jid}'/>"
            self.assertEqual(self.asked(self.juliet, "set", inside), "bad-request invalid-jid")
        self.assertEqual(
            self.asked(self.juliet, "set", "<subscribe node='news'/>"), "bad-request jid-required"
        )

    def test_resource(self) -> None:
        """A resource may subscribe for itself, and only that is told."""
        full = f"{JULIET}/1"
        inside = f"<subscribe node='news' jid='{full}'/>"
        self.assertEqual(self.asked(self.juliet, "set", inside), "result")
        (other,) = self.house.connect("juliet/2")
        other.raw()
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [("1", "a")])
        self.assertEqual(self.told(other), [])

    def test_all_resources(self) -> None:
        """An account's subscription is for all of its clients."""
        self.subscribe(self.juliet, "news", "juliet")
        (other,) = self.house.connect("juliet/2")
        other.raw()
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual((self.told(self.juliet), self.told(other)), ([("1", "a")],) * 2)

    def test_last_item(self) -> None:
        """A new subscriber is sent the last item, and when it was published; so is one who renews
        the subscription.
        """
        self.publish(self.romeo, "news", ("1", "a"))
        self.publish(self.romeo, "news", ("2", "b"))
        for _ in range(2):
            self.subscribe(self.juliet, "news", "juliet")
            (event,) = self.later
            self.assertIn("2", [item.get("id") for item in event.iter(f"{{{NS}#event}}item")])
            self.assertIsNotNone(event.find("{urn:xmpp:delay}delay"))

    def test_once(self) -> None:
        """Whoever subscribes twice has one subscription."""
        self.subscribe(self.juliet, "news", "juliet")
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [("1", "a")])

    def test_unsubscribe(self) -> None:
        """Whoever has unsubscribed is told nothing any more."""
        inside = f"<unsubscribe node='news' jid='{JULIET}'/>"
        self.assertEqual(
            self.asked(self.juliet, "set", inside), "unexpected-request not-subscribed"
        )
        self.subscribe(self.juliet, "news", "juliet")
        self.assertEqual(self.asked(self.tybalt, "set", inside), "forbidden")
        self.assertEqual(self.asked(self.juliet, "set", inside), "result")
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])

    def test_options(self) -> None:
        """A subscriber says whether to be told."""
        quiet = f"<options>{options(deliver='0')}</options>"
        self.subscribe(self.juliet, "news", "juliet", quiet)
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])
        shown = self.ask(self.juliet, "get", f"<options node='news' jid='{JULIET}'/>")
        self.assertIn("pubsub#deliver", {line.get("var") for line in shown.iter()})
        loud = f"<options node='news' jid='{JULIET}'>{options(deliver='1')}</options>"
        self.assertEqual(self.asked(self.juliet, "set", loud), "result")
        self.publish(self.romeo, "news", ("2", "b"))
        self.assertEqual(self.told(self.juliet), [("2", "b")])

    def test_words(self) -> None:
        """Who wants it is told in words as well: the title of what has one, else its text."""
        self.subscribe(
            self.juliet, "news", "juliet", f"<options>{options(include_body='1')}</options>"
        )
        self.subscribe(self.tybalt, "news", "tybalt")
        self.publish(self.romeo, "news", ("1", "it is the &lt;east&gt;"))
        self.assertIn("<body>it is the &lt;east&gt;</body>", "".join(self.juliet.received()))
        self.assertNotIn("<body>", "".join(self.tybalt.received()))
        entry = "<title>A sun</title><summary>and more</summary>"
        atom = f"<entry xmlns='http://www.w3.org/2005/Atom'>{entry}</entry>"
        self.ask(self.romeo, "set", f"<publish node='news'><item>{atom}</item></publish>")
        self.assertIn("<body>A sun</body>", "".join(self.juliet.received()))
        self.subscribe(self.juliet, "news", "juliet")
        (last,) = self.later
        self.assertEqual(last.findtext("body"), "A sun")

    def test_wrong_options(self) -> None:
        """Options that are none, or that are not there, are refused (NO-13)."""
        for values, condition in (
            ({"deliver": "maybe"}, "bad-request invalid-options"),
            ({"expire": "tomorrow"}, "bad-request invalid-options"),
            ({"include_body": "maybe"}, "bad-request invalid-options"),
            ({"digest": "1"}, "feature-not-implemented unsupported subscription-options"),
            ({"show-values": "dnd"}, "feature-not-implemented unsupported subscription-options"),
        ):
            with self.subTest(values):
                beside = f"<options>{options(**values)}</options>"
                self.assertEqual(self.subscribe(self.juliet, "news", "juliet", beside), condition)

    def test_lease(self) -> None:
        """A subscription ends when it was to end."""
        until = f"<options>{options(expire='2000-01-01T00:00:00Z')}</options>"
        self.subscribe(self.juliet, "news", "juliet", until)
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])
        self.wait(minutes=61)
        self.assertIn("subscription='none'", "".join(self.juliet.received()))
        answer = self.ask(self.romeo, "get", "<subscriptions node='news'/>", OWNER)
        self.assertEqual(list(answer.iter(f"{{{OWNER}}}subscription")), [])

    def test_own(self) -> None:
        """People are told what they have subscribed to, and what they are to nodes."""
        self.subscribe(self.juliet, "news", "juliet")
        answer = self.ask(self.juliet, "get", "<subscriptions/>")
        self.assertEqual(
            [(each.get("node"), each.get("jid")) for each in answer.iter(f"{{{NS}}}subscription")],
            [("news", JULIET)],
        )
        answer = self.ask(self.romeo, "get", "<affiliations/>")
        self.assertEqual(
            [each.attrib for each in answer.iter(f"{{{NS}}}affiliation")],
            [{"node": "news", "affiliation": "owner"}],
        )

    def test_none(self) -> None:
        """A node may have no subscriptions at all."""
        self.create(self.romeo, "shelf", subscribe="0")
        self.assertEqual(
            self.subscribe(self.juliet, "shelf", "juliet"),
            "feature-not-implemented unsupported subscribe",
        )

    def test_account_removed(self) -> None:
        """A removed account leaves nothing behind to whoever has its name later."""
        self.subscribe(self.juliet, "news", "juliet")
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.house.add("juliet")
        (self.juliet,) = self.house.connect("juliet")
        self.juliet.raw()
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])


class ApprovalTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "club", access_model="authorize", notify_sub="1")

    def knock(self) -> str:
        """Juliet wants to subscribe; returns what Romeo is sent."""
        self.subscribe(self.juliet, "club", "juliet")
        (raw,) = self.romeo.received()
        return raw

    def answer(self, allowed: str, jid: str = JULIET) -> None:
        filled = form(
            f"{NS}#subscribe_authorization", node="club", subscriber_jid=jid, allow=allowed
        )
        self.romeo.send(f"<message to='pubsub.montague.lit' id='a'>{filled}</message>")

    def test_pending(self) -> None:
        """Until an owner has approved, nothing is read and nothing told."""
        self.assertIn("subscribe_authorization", self.knock())
        self.assertEqual(
            self.subscribe(self.juliet, "club", "juliet"), "not-authorized pending-subscription"
        )
        self.assertEqual(
            self.asked(self.juliet, "get", "<items node='club'/>"), "not-authorized not-subscribed"
        )
        self.publish(self.romeo, "club", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])

    def test_approved(self) -> None:
        """Then the subscriber is told so, and of what comes."""
        self.knock()
        self.answer("1")
        self.assertIn("subscription='subscribed'", "".join(self.juliet.received()))
        self.publish(self.romeo, "club", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [("1", "a")])
        self.assertEqual(self.items(self.juliet, "club"), [("1", "a")])

    def test_denied(self) -> None:
        """Who was denied is told so, and may ask again."""
        self.knock()
        self.answer("false")
        self.assertIn("subscription='none'", "".join(self.juliet.received()))
        self.romeo.raw()
        self.assertIn("subscribe_authorization", self.knock())

    def test_cancelled(self) -> None:
        """Who cancels the form has not answered, and may do that later."""
        self.knock()
        cancelled = form(f"{NS}#subscribe_authorization").replace("'submit'", "'cancel'")
        self.romeo.send(f"<message to='pubsub.montague.lit' id='a'>{cancelled}</message>")
        self.assertEqual(self.romeo.received(), [])
        self.answer("1")
        self.assertIn("subscription='subscribed'", "".join(self.juliet.received()))

    def test_nobody_asked(self) -> None:
        """An answer to who has not asked is refused."""
        self.answer("1", "tybalt@montague.lit")
        self.assertIn("item-not-found", "".join(self.romeo.received()))

    def test_not_an_owner(self) -> None:
        """Nobody else approves."""
        self.knock()
        filled = form(
            f"{NS}#subscribe_authorization", node="club", subscriber_jid=JULIET, allow="1"
        )
        self.juliet.send(f"<message to='pubsub.montague.lit' id='a'>{filled}</message>")
        self.assertIn("forbidden", "".join(self.juliet.received()))

    def command(self, person: Client, inside: str = "", more: str = "") -> Tree:
        """What the command answers; what else comes is there for later."""
        command = f"<command xmlns='{COMMANDS}' node='{NS}#get-pending' {more}>{inside}</command>"
        person.send(f"<iq type='set' id='c' to='pubsub.montague.lit'>{command}</iq>")
        came = [ElementTree.fromstring(each) for each in person.received()]
        self.later = [each for each in came if each.tag == "message"]
        (answer,) = [each for each in came if each.tag == "iq"]
        return answer

    def test_sent_again(self) -> None:
        """By a command an owner has all who wait sent again, and nobody else does."""
        for person, name in ((self.juliet, "juliet"), (self.tybalt, "tybalt")):
            self.subscribe(person, "club", name)
        for owner in (self.romeo, self.prince):
            owner.raw()
            listed = self.command(owner)
            self.assertEqual([each.text for each in listed.iter(f"{{{DATA}}}value")][1:], ["club"])
            chosen = form(f"{NS}#subscribe_authorization", node="club")
            answer = self.command(owner, chosen, "sessionid='1'")
            self.assertEqual(answer[0].get("status"), "completed")
            told = [each.findtext(".//*[@var='pubsub#subscriber_jid']/*") for each in self.later]
            self.assertEqual(told, [JULIET, "tybalt@montague.lit"])
        listed = self.command(self.juliet)
        self.assertEqual(listed[0].get("status"), "completed")
        self.assertEqual(result_of(self.command(self.juliet, chosen)), "forbidden")

    def test_command_is_found(self) -> None:
        """The command is found where commands are looked for."""
        query = f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>"
        self.romeo.send(f"<iq type='get' id='d' to='pubsub.montague.lit'>{query}</iq>")
        self.assertIn(f"node='{NS}#get-pending'", "".join(self.romeo.received()))

    def test_nonsense(self) -> None:
        """A form that does not say it is refused."""
        filled = form(f"{NS}#subscribe_authorization", node="club", allow="1")
        self.romeo.send(f"<message to='pubsub.montague.lit' id='a'>{filled}</message>")
        self.assertIn("bad-request", "".join(self.romeo.received()))


class AffiliationTests(PubSubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.create(self.romeo, "news", access_model="whitelist")

    def affiliate(self, name: str, affiliation: str) -> str:
        inside = (
            f"<affiliations node='news'><affiliation jid='{name}@montague.lit'"
            f" affiliation='{affiliation}'/></affiliations>"
        )
        return self.asked(self.romeo, "set", inside, OWNER)

    def test_member(self) -> None:
        """A member is let in, and told so."""
        self.assertEqual(self.affiliate("juliet", "member"), "result")
        self.assertIn("affiliation='member'", "".join(self.juliet.received()))
        self.assertEqual(self.subscribe(self.juliet, "news", "juliet"), "result")
        self.assertEqual(self.publish(self.juliet, "news", ("1", "a")), "forbidden")

    def test_publisher(self) -> None:
        """A publisher publishes, and retracts only own items."""
        self.affiliate("juliet", "publisher")
        self.assertEqual(self.publish(self.juliet, "news", ("1", "a")), "result")
        self.publish(self.romeo, "news", ("2", "b"))
        for id, condition in (("1", "result"), ("2", "forbidden")):
            retract = f"<retract node='news'><item id='{id}'/></retract>"
            self.assertEqual(self.asked(self.juliet, "set", retract), condition)
        self.assertEqual(self.publish(self.juliet, "news", ("2", "mine")), "forbidden")

    def test_outcast(self) -> None:
        """An outcast loses the subscription, and is let in no more."""
        self.affiliate("juliet", "member")
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()
        self.affiliate("juliet", "outcast")
        self.assertIn("subscription='none'", "".join(self.juliet.received()))
        self.assertEqual(self.subscribe(self.juliet, "news", "juliet"), "forbidden")
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])

    def test_no_member(self) -> None:
        """Who is no member of a closed node any more loses the subscription (NO-15)."""
        self.affiliate("juliet", "member")
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()
        self.affiliate("juliet", "none")
        self.assertIn("subscription='none'", "".join(self.juliet.received()))
        self.publish(self.romeo, "news", ("1", "a"))
        self.assertEqual(self.told(self.juliet), [])

    def test_last_owner(self) -> None:
        """A node has an owner."""
        self.assertEqual(self.affiliate("romeo", "none"), "not-acceptable")
        self.affiliate("juliet", "owner")
        self.assertEqual(self.affiliate("romeo", "none"), "result")
        self.assertEqual(self.affiliate("romeo", "owner"), "forbidden")

    def test_list(self) -> None:
        """An owner sees who is what."""
        self.affiliate("juliet", "member")
        answer = self.ask(self.romeo, "get", "<affiliations node='news'/>", OWNER)
        found = {
            each.get("jid"): each.get("affiliation")
            for each in answer.iter(f"{{{OWNER}}}affiliation")
        }
        self.assertEqual(found, {"romeo@montague.lit": "owner", JULIET: "member"})

    def test_nonsense(self) -> None:
        """Words that are none are refused, and nothing is changed."""
        self.assertEqual(self.affiliate("juliet", "friend"), "bad-request")
        inside = "<affiliations node='news'><affiliation affiliation='owner'/></affiliations>"
        self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "bad-request jid-required")

    def test_subscriptions(self) -> None:
        """An owner subscribes others, and ends that; they are told."""
        for state in ("subscribed", "none"):
            inside = (
                f"<subscriptions node='news'><subscription jid='{JULIET}'"
                f" subscription='{state}'/></subscriptions>"
            )
            self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "result")
            self.assertIn(f"subscription='{state}'", "".join(self.juliet.received()))


class GoneTests(PubSubTestCase):
    def test_gone(self) -> None:
        """Who is gone for good is subscribed no more (NO-20)."""
        self.create(self.romeo, "news")
        self.subscribe(self.juliet, "news", "juliet")
        self.juliet.raw()
        for condition, left in (("recipient-unavailable", 1), ("gone", 0)):
            self.juliet.send(
                "<message type='error' to='pubsub.montague.lit' id='e'><error type='cancel'>"
                f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
            )
            answer = self.ask(self.romeo, "get", "<subscriptions node='news'/>", OWNER)
            self.assertEqual(len(list(answer.iter(f"{{{OWNER}}}subscription"))), left)


class DiscoTests(PubSubTestCase):
    def disco(self, what: str, node: str = "") -> list[tuple[str, dict[str, str]]]:
        about = f" node='{node}'" if node else ""
        query = f"<query xmlns='http://jabber.org/protocol/disco#{what}'{about}/>"
        self.juliet.send(f"<iq type='get' id='d' to='pubsub.montague.lit'>{query}</iq>")

        (answer,) = map(ElementTree.fromstring, self.juliet.received())
        if answer.get("type") == "error":
            return [(result_of(answer), {})]
        return [(local_name(each.tag), dict(each.attrib)) for each in answer[0]]

    def test_service(self) -> None:
        """The service says what it is, and which nodes it has that everybody may know of."""
        self.create(self.romeo, "news", title="News")
        self.create(self.romeo, "secret", access_model="whitelist")
        said = self.disco("info")
        self.assertIn("pubsub", [each.get("category") for _, each in said])
        self.assertIn(f"{NS}#publish-options", [each.get("var") for _, each in said])
        self.assertEqual(
            [each for name, each in self.disco("items") if name == "item"],
            [{"jid": "pubsub.montague.lit", "node": "news", "name": "News"}],
        )

    def test_node(self) -> None:
        """A node says what it is, and which items it has."""
        self.create(self.romeo, "news", title="News")
        self.publish(self.romeo, "news", ("1", "a"))
        said = self.disco("info", "news")
        self.assertIn(("identity", {"category": "pubsub", "type": "leaf", "name": "News"}), said)
        self.assertEqual([each.get("name") for name, each in self.disco("items", "news")], ["1"])

    def test_unknown(self) -> None:
        """Of a node that is not there, or that nobody may know of, nothing is said."""
        self.create(self.romeo, "secret", access_model="whitelist")
        for node in ("nothing", "secret"):
            self.assertEqual(self.disco("info", node), [("item-not-found", {})])
