"""Whoever sees an account is told what it publishes, if their client wants that."""

from collections import Counter
from xml.etree.ElementTree import tostring

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pep.verona import NEWS, TUNE, Publisher, options
from tests.plugins.pubsub.verona import NS, OWNER, form
from tests.plugins.test_client_capabilities import presence, said, ver
from xmppd.command.command_context import SHELL
from xmppd.testing.client import Elsewhere, done
from xmppd.testing.house import House

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"


class PEPCase(SynchronousTestCase):
    """Romeo and Juliet see each other; Tybalt sees nobody."""

    def setUp(self) -> None:
        self.house = House(
            plugins=("disco", "blocking", "privacy_lists", "invisible", "caps", "pubsub", "pep"),
            romeo={"juliet": "both", "nurse@capulet.lit": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = map(self.person, ("romeo", "juliet", "tybalt"))
        for somebody in (self.romeo, self.juliet, self.tybalt):
            somebody.arrive()
            somebody.forget()

    def person(self, name: str) -> Publisher:
        """Somebody who is connected, and has not sent presence."""
        account, _, resource = name.partition("/")
        return Publisher(self.house.bind(account, resource or "1"), f"{account}@montague.lit")


class TellTests(PEPCase):
    def test_contacts(self) -> None:
        """Contacts and the own clients are told, strangers are not."""
        self.assertEqual(self.romeo.publish(NEWS, "hi"), "result")
        self.assertEqual(self.romeo.told(), [(ROMEO, "hi")])
        self.assertEqual(self.juliet.told(), [(ROMEO, "hi")])
        self.assertEqual(self.tybalt.told(), [])

    def test_filtered(self) -> None:
        """Only clients that want a node are told of it."""
        other = self.person("juliet/2")
        other.arrive(f"{TUNE}+notify")
        other.forget()
        self.romeo.publish(NEWS, "hi")
        self.romeo.publish(TUNE, "la")
        self.assertEqual(self.juliet.told(), [(ROMEO, "hi")])
        self.assertEqual(other.told(), [(ROMEO, "la")])

    def test_counted(self) -> None:
        """How many notifications there were is counted, and how many clients did not want."""
        other = self.person("juliet/2")
        other.arrive(f"{TUNE}+notify")
        before = self.counts()
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.counts() - before, Counter(pep_told=2, pep_filtered=1))
        self.person("juliet/3").arrive()
        self.assertEqual(
            self.counts() - before, Counter(pep_told=2, pep_filtered=1, pep_last_items=1)
        )

    def test_counted_for(self) -> None:
        """They count for who has published."""
        before = self.romeo.client.handler.counts.so_far().deliveries
        self.romeo.publish(NEWS, "hi")
        deliveries = self.romeo.client.handler.counts.so_far().deliveries - before
        self.assertEqual(deliveries, 1 + 2)  # the answer, and two clients that want it

    def counts(self) -> Counter[str]:
        """The numbers of notifications."""
        numbers = self.house.server.metrics.numbers()
        return Counter({name: int(number) for name, number in numbers if name.startswith("pep_")})

    def test_every_client(self) -> None:
        """Each of somebody's clients is told, with whatever priority, once."""
        other = self.person("juliet/2")
        other.arrive(priority=-1)
        other.forget()
        self.romeo.publish(NEWS, "hi")
        self.assertEqual((self.juliet.told(), other.told()), ([(ROMEO, "hi")],) * 2)

    def test_not_available(self) -> None:
        """A client that has not sent presence, or has left, is told nothing."""
        absent = self.person("juliet/2")
        self.juliet.client.send("<presence type='unavailable'/>")
        self.romeo.publish(NEWS, "hi")
        self.assertEqual((self.juliet.told(), absent.told()), ([], []))

    def test_retract(self) -> None:
        """A retracted item, a purge and a deleted node are told to the same."""
        self.romeo.publish(NEWS, "hi", "1")
        for inside, namespace in (
            (f"<retract node='{NEWS}' notify='1'><item id='1'/></retract>", NS),
            (f"<purge node='{NEWS}'/>", f"{NS}#owner"),
            (f"<delete node='{NEWS}'/>", f"{NS}#owner"),
        ):
            self.romeo.ask("set", f"<pubsub xmlns='{namespace}'>{inside}</pubsub>")
        self.assertEqual(
            self.juliet.told(),
            [(ROMEO, "hi"), (ROMEO, "1 is gone"), (ROMEO, "purge"), (ROMEO, "delete")],
        )

    def test_private(self) -> None:
        """Of a private node only the own clients are told."""
        beside = options(access_model="whitelist")
        self.romeo.publish(NEWS, "secret", beside=beside)
        self.assertEqual(self.juliet.told(), [])
        self.assertEqual(self.romeo.told(), [(ROMEO, "secret")])
        self.assertEqual(self.juliet.items(NEWS, ROMEO), ["not-allowed closed-node"])

    def test_subscribed(self) -> None:
        """Who has subscribed is told whatever the client wants, and nobody twice (PE-5)."""
        self.romeo.publish(TUNE, "la", beside=options(access_model="open"))
        for somebody in (self.juliet, self.tybalt):
            somebody.arrive(f"{TUNE}+notify")
        other = self.person("tybalt/2")
        other.arrive()
        for somebody in (self.juliet, self.tybalt):
            subscribe = f"<subscribe node='{TUNE}' jid='{somebody.bare}'/>"
            somebody.ask("set", f"<pubsub xmlns='{NS}'>{subscribe}</pubsub>", ROMEO)
        for somebody in (self.juliet, self.tybalt, other):
            somebody.forget()
        self.romeo.publish(TUNE, "di")
        told = [somebody.told() for somebody in (self.juliet, self.tybalt, other)]
        self.assertEqual(told, [[(ROMEO, "di")]] * 3)

    def test_much(self) -> None:
        """Items that are asked for by their ids fit into one answer as well (NO-10)."""
        ids, words = "abcdef", "la" * 100_000
        for id in ids:
            beside = options(max_items="10")
            self.assertEqual(self.romeo.publish(TUNE, words, id, beside=beside), "result")
        wanted = "".join(f"<item id='{id}'/>" for id in ids)
        inside = f"<items node='{TUNE}'>{wanted}</items>"
        answer = self.romeo.ask("get", f"<pubsub xmlns='{NS}'>{inside}</pubsub>")
        self.assertEqual([item.get("id") for item in answer.iter(f"{{{NS}}}item")], list("abcde"))

    def test_show(self) -> None:
        """Who has subscribed may want to be told only while showing itself so."""
        self.romeo.publish(TUNE, "la")
        wanted = form(f"{NS}#subscribe_options", **{"show-values": ("online", "chat")})
        subscribe = f"<subscribe node='{TUNE}' jid='{self.juliet.bare}'/>"
        inside = f"<pubsub xmlns='{NS}'>{subscribe}<options>{wanted}</options></pubsub>"
        self.assertEqual(self.juliet.ask("set", inside, ROMEO).get("type"), "result")
        for show, told in (("away", []), ("chat", [(ROMEO, "chat")]), ("", [(ROMEO, "")])):
            inside = f"<show>{show}</show>" if show else ""
            self.juliet.client.send(f"<presence>{inside}</presence>")
            self.juliet.forget()
            self.romeo.publish(TUNE, show)
            self.assertEqual(self.juliet.told(), told)

    def test_follower_removed(self) -> None:
        """An account that is removed leaves no subscription behind (PE-18)."""
        self.romeo.publish(TUNE, "la")
        subscribe = f"<subscribe node='{TUNE}' jid='{self.juliet.bare}'/>"
        self.juliet.ask("set", f"<pubsub xmlns='{NS}'>{subscribe}</pubsub>", ROMEO)
        listed = f"<pubsub xmlns='{OWNER}'><subscriptions node='{TUNE}'/></pubsub>"
        self.assertIn(JULIET, tostring(self.romeo.ask("get", listed), "unicode"))
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.assertNotIn(JULIET, tostring(self.romeo.ask("get", listed), "unicode"))

    def test_unseen(self) -> None:
        """Who has subscribed and may not see the account any more is told nothing (PE-7)."""
        self.romeo.publish(TUNE, "la")
        subscribe = f"<subscribe node='{TUNE}' jid='{self.juliet.bare}'/>"
        answer = self.juliet.ask("set", f"<pubsub xmlns='{NS}'>{subscribe}</pubsub>", ROMEO)
        self.assertEqual(answer.get("type"), "result")
        self.juliet.forget()
        self.romeo.publish(TUNE, "di")
        self.assertEqual(self.juliet.told(), [(ROMEO, "di")])
        self.romeo.client.send(f"<presence to='{self.juliet.bare}' type='unsubscribed'/>")
        self.juliet.forget()
        self.romeo.publish(TUNE, "da")
        self.assertEqual(self.juliet.told(), [])

    def test_blocked(self) -> None:
        """Whom the account blocks is told nothing (PE-8)."""
        self.romeo.ask("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block>")
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.juliet.told(), [])

    def test_blocking(self) -> None:
        """Whoever blocks the account is told nothing."""
        self.juliet.ask("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{ROMEO}'/></block>")
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.juliet.told(), [])

    def test_unsubscribed(self) -> None:
        """Who does not see the account any more is told nothing."""
        self.romeo.client.send(f"<presence type='unsubscribed' to='{JULIET}'/>")
        self.juliet.forget()
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.juliet.told(), [])


class LastItemTests(PEPCase):
    def test_outcast(self) -> None:
        """Who is shut out of a node is not sent what is in it (PE-7)."""
        self.romeo.publish(NEWS, "hi")
        shut_out = f"<affiliation jid='{JULIET}' affiliation='outcast'/>"
        inside = f"<affiliations node='{NEWS}'>{shut_out}</affiliations>"
        answer = self.romeo.ask("set", f"<pubsub xmlns='{OWNER}'>{inside}</pubsub>")
        self.assertEqual(answer.get("type"), "result")
        late = self.person("juliet/3")
        late.arrive()
        self.assertEqual(late.told(), [])

    def test_login(self) -> None:
        """Whoever comes is sent the newest item of each node that the client wants, once."""
        self.romeo.publish(NEWS, "old")
        self.romeo.publish(NEWS, "new")
        self.romeo.publish(TUNE, "la")
        again = self.person("juliet/2")
        again.arrive()
        self.assertEqual(again.told(), [(ROMEO, "new")])
        again.client.send(presence(ver(f"{NEWS}+notify")))
        self.assertEqual(again.told(), [])

    def test_own(self) -> None:
        """Own nodes too, also private ones."""
        self.romeo.publish(
            NEWS,
            "mine",
            beside=options(
                access_model="whitelist", send_last_published_item="on_sub_and_presence"
            ),
        )
        again = self.person("romeo/2")
        again.arrive()
        self.assertEqual(again.told(), [(ROMEO, "mine")])
        other = self.person("juliet/2")
        other.arrive()
        self.assertEqual(other.told(), [])

    def test_publisher_is_away(self) -> None:
        """It does not matter whether the publisher is online."""
        self.romeo.publish(NEWS, "hi")
        self.romeo.client.abort()
        again = self.person("juliet/2")
        again.arrive()
        self.assertEqual(again.told(), [(ROMEO, "hi")])

    def test_more_wanted(self) -> None:
        """A client that wants more than before is sent what is new in that (EC-5)."""
        self.romeo.publish(NEWS, "hi")
        self.romeo.publish(TUNE, "la")
        self.juliet.forget()
        self.juliet.arrive(f"{NEWS}+notify", f"{TUNE}+notify")
        self.assertEqual(self.juliet.told(), [(ROMEO, "la")])

    def test_delay(self) -> None:
        """It says when it was published."""
        self.romeo.publish(NEWS, "hi")
        again = self.person("juliet/2")
        again.arrive()
        (message,) = [each for each in again.came if each.tag == "message"]
        self.assertIsNotNone(message.find("{urn:xmpp:delay}delay"))

    def test_approved(self) -> None:
        """Whoever is let in is sent what was published before (PE-16)."""
        self.romeo.publish(NEWS, "hi")
        self.tybalt.client.send(f"<presence type='subscribe' to='{ROMEO}'/>")
        self.romeo.client.send("<presence type='subscribed' to='tybalt@montague.lit'/>")
        self.assertEqual(self.tybalt.told(), [(ROMEO, "hi")])

    def test_stranger(self) -> None:
        """Directed presence shows nobody what was published (PE-17)."""
        self.romeo.publish(NEWS, "hi")
        self.romeo.client.send("<presence to='tybalt@montague.lit'/>")
        again = self.person("tybalt/2")
        again.arrive()
        self.assertEqual(again.told(), [])

    def test_resumed(self) -> None:
        """After a restart, a session that goes on is sent nothing again (EC-7, PE-15)."""
        self.romeo.publish(NEWS, "hi")
        self.house = self.house.restarted()
        again = self.person("juliet")
        again.arrive()
        self.assertEqual(again.told(), [(ROMEO, "hi")])


class ElsewhereTests(PEPCase):
    def setUp(self) -> None:
        super().setUp()
        self.elsewhere = Elsewhere(self.house)

    def arrive(self) -> None:
        """The nurse comes online, with a client that wants news."""
        features = (f"{NEWS}+notify", "urn:nurse")
        address = " from='nurse@capulet.lit/1' to='romeo@montague.lit'"
        self.elsewhere.send(presence(ver(*features), more=address))
        (asked,) = [each for each in self.elsewhere.heard() if "disco#info" in each]
        id = asked.partition(" id=")[2][1:].partition('"')[0].partition("'")[0]
        self.elsewhere.send(f"<iq type='result' id='{id}'{address}>{said(features)}</iq>")

    def heard(self) -> list[str]:
        """The events that the other server has got."""
        return [each for each in self.elsewhere.heard() if "pubsub#event" in each]

    def test_told(self) -> None:
        """A contact on another server is told, at the address whose client wants that."""
        self.arrive()
        self.romeo.publish(NEWS, "hi")
        self.romeo.publish(TUNE, "la")
        (told,) = self.heard()
        self.assertIn("nurse@capulet.lit/1", told)
        self.assertIn("hi", told)

    def test_last_item(self) -> None:
        """When it comes, it is sent what was published before."""
        self.romeo.publish(NEWS, "hi")
        self.arrive()
        (told,) = self.heard()
        self.assertIn("hi", told)

    def test_let_in(self) -> None:
        """A contact that is let in when it is here already is sent what was published before."""
        for id, type in (("1", "unsubscribe"), ("2", "subscribe")):
            self.elsewhere.send(
                f"<presence id='{id}' type='{type}' from='nurse@capulet.lit' to='{ROMEO}'/>"
            )
        self.romeo.publish(NEWS, "hi")
        self.arrive()
        self.assertEqual(self.heard(), [])
        self.romeo.client.send("<presence type='subscribed' to='nurse@capulet.lit'/>")
        (told,) = self.heard()
        self.assertIn("hi", told)

    def test_from_elsewhere(self) -> None:
        """What contacts on other servers publish comes as any headline."""
        self.elsewhere.send(
            "<message type='headline' from='nurse@capulet.lit' to='romeo@montague.lit'>"
            f"<event xmlns='{NS}#event'><items node='{NEWS}'><item id='1'>"
            "<entry xmlns='urn:verona'>hi</entry></item></items></event></message>"
        )
        self.assertEqual(self.romeo.told(), [("nurse@capulet.lit", "hi")])


class ExplainTests(PEPCase):
    def explain(self, watcher: str, node: str = NEWS) -> list[str]:
        """Why somebody is told of what Romeo publishes, or is not."""
        commands = self.house.server.commands
        given = {"owner": ROMEO, "watcher": watcher, "node": node}

        async def read() -> list[str]:
            replies = commands.replies(*commands.asked("explain event", given, SHELL))
            return [getattr(reply, "says", "") async for reply in replies]

        return done(read())

    def test_told(self) -> None:
        """Each client is told, or does not want to be."""
        self.romeo.publish(NEWS, "hi")
        other = self.person("juliet/2")
        other.arrive(f"{TUNE}+notify")
        self.person("juliet/3").client.send("<presence/>")
        self.assertEqual(
            self.explain(JULIET),
            [
                f"{JULIET}/1 is notified.",
                f"{JULIET}/2 does not want notifications of {NEWS}.",
                f"{JULIET}/3 has not announced its capabilities, so it is not notified.",
            ],
        )

    def test_not_told(self) -> None:
        """Whoever is not told hears why."""
        self.assertEqual(self.explain(JULIET), [f"{ROMEO} has published nothing at {NEWS}."])
        self.romeo.publish(NEWS, "hi", beside=options(access_model="whitelist"))
        (said,) = self.explain(JULIET)
        self.assertIn("access model, whitelist", said)
        (said,) = self.explain("tybalt@montague.lit")
        self.assertIn(f"{ROMEO} is not visible to this address", said)
        self.romeo.ask("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block>")
        (said,) = self.explain(JULIET)
        self.assertIn(f"{ROMEO} or its privacy list blocks", said)

    def test_away(self) -> None:
        """Whoever is away hears when it comes."""
        self.romeo.publish(NEWS, "hi")
        self.juliet.client.abort()
        (said,) = self.explain(JULIET)
        self.assertIn("when it comes", said)


class AccessTests(PEPCase):
    def test_strangers(self) -> None:
        """A stranger reads open nodes only, and learns nothing else of the account (PE-1)."""
        keys = "eu.siacs.conversations.axolotl.devicelist"
        self.romeo.publish(keys, "keys")
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.tybalt.items(keys, ROMEO), ["keys"])
        for node, to in ((NEWS, ROMEO), ("none", ROMEO), (keys, "nobody@montague.lit")):
            self.assertEqual(self.tybalt.items(node, to), ["service-unavailable"])

    def test_contacts(self) -> None:
        """A contact reads what presence lets it read, and is told what is not there."""
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.juliet.items(NEWS, ROMEO), ["hi"])
        self.assertEqual(self.juliet.items("none", ROMEO), ["item-not-found"])

    def test_only_the_owner_writes(self) -> None:
        """Nobody else publishes at an account."""
        item = "<item id='1'><entry xmlns='urn:verona'>hi</entry></item>"
        query = f"<pubsub xmlns='{NS}'><publish node='{NEWS}'>{item}</publish></pubsub>"
        answer = self.juliet.ask("set", query, ROMEO)
        self.assertIn("forbidden", "".join(each.tag for each in answer.iter()))
        answer = self.tybalt.ask("set", query, ROMEO)
        self.assertIn("service-unavailable", "".join(each.tag for each in answer.iter()))

    def test_bookmarks(self) -> None:
        """Bookmarks are private, whatever a client says (PE-3)."""
        node = "urn:xmpp:bookmarks:1"
        refused = self.romeo.publish(node, "a", beside=options(access_model="open"))
        self.assertEqual(refused, "conflict precondition-not-met")
        wanted = options(
            persist_items="true",
            max_items="max",
            send_last_published_item="never",
            access_model="whitelist",
        )
        for id in "ab":
            self.assertEqual(self.romeo.publish(node, id, id, beside=wanted), "result")
        self.assertEqual(self.romeo.items(node), ["a", "b"])
        self.assertEqual(self.juliet.items(node, ROMEO), ["not-allowed closed-node"])

    def test_removed(self) -> None:
        """An account that is removed leaves nothing to whoever has its name later."""
        self.romeo.publish(NEWS, "hi")
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.house.add("romeo", {"juliet": "both"})
        again = self.person("romeo")
        again.arrive()
        self.assertEqual(again.items(NEWS), ["item-not-found"])

    def test_disco(self) -> None:
        """An account says that it publishes, and which nodes somebody may read."""
        self.romeo.publish(NEWS, "hi")
        self.romeo.publish("urn:xmpp:bookmarks:1", "a")
        info = "http://jabber.org/protocol/disco#info"
        answer = self.juliet.ask("get", f"<query xmlns='{info}'/>", ROMEO)
        said = [each.attrib for each in answer[0]]
        self.assertIn({"category": "pubsub", "type": "pep"}, said)
        self.assertIn({"var": f"{NS}#filtered-notifications"}, said)
        items = "http://jabber.org/protocol/disco#items"
        for somebody, expected in (
            (self.juliet, [NEWS]),
            (self.romeo, [NEWS, "urn:xmpp:bookmarks:1"]),
        ):
            answer = somebody.ask("get", f"<query xmlns='{items}'/>", ROMEO)
            self.assertEqual([each.get("node") for each in answer[0] if each.get("node")], expected)
