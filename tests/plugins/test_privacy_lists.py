"""XEP-0016: Privacy Lists."""

from collections.abc import Iterable
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.support import SlowStore, next_turn
from xmppd.config.config import PrivacySettings
from xmppd.privacy.privacy_list import NS
from xmppd.privacy.privacy_list_manager import MAX_LISTS
from xmppd.stanza import qname
from xmppd.store.rosters import RosterItem
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

MOST = PrivacySettings().max_items_per_list
ACTIVE = "<active name='l'/>"
DENY_ROMEO = "<item type='jid' value='romeo@montague.lit' action='deny' order='1'/>"


def query(inside: str) -> str:
    """A request."""
    return f"<query xmlns='{NS}'>{inside}</query>"


def listed(name: str, *items: str) -> str:
    """A list with these items."""
    return f"<list name='{name}'>{''.join(items)}</list>"


def denied(kind: str = "", of: str = "", order: int = 1) -> str:
    """An item that denies somebody, or everybody, one kind of stanza, or all."""
    inside = f"<{kind}/>" if kind else ""
    return f"<item {of} action='deny' order='{order}'>{inside}</item>"


def put(client: Client, inside: str) -> str:
    """Set something; how that was answered. Pushes that came before are left out."""
    client.raw()
    client.send(f"<iq type='set' id='a'>{query(inside)}</iq>")
    client.house.clock.advance(0)  # long lists take some turns
    answers = [ElementTree.fromstring(stanza) for stanza in client.received()]
    return next(condition(answer) for answer in answers if answer.get("id") == "a")


def use(client: Client, *items: str, name: str = "l") -> None:
    """Make a list with these items the client's active one."""
    put(client, listed(name, *items))
    put(client, f"<active name='{name}'/>")


def names(client: Client, kind: str) -> list[str | None]:
    """The names that the server gives, of one kind."""
    answer = ask(client, "get", query(""))
    return [tree.get("name") for tree in answer[0] if tree.tag == qname(NS, kind)]


def presences(stanzas: Iterable[str]) -> list[tuple[str | None, str]]:
    """Who is seen to come and go: sender and type."""
    trees = [ElementTree.fromstring(stanza) for stanza in stanzas]
    return [(t.get("from"), t.get("type", "here")) for t in trees if t.tag == "presence"]


class ListsCase(SynchronousTestCase):
    """Romeo and Juliet see each other; Tybalt and Nurse know neither."""

    def setUp(self) -> None:
        self.house = House(
            plugins=("privacy_lists", "disco", "ping", "last_activity"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")
        for client in (self.romeo, self.juliet, self.tybalt):
            client.raw()


class ManagingTests(ListsCase):
    def test_disco(self) -> None:
        """The server says that it knows privacy lists (§3)."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        answer = ask(self.juliet, "get", info, "montague.lit")
        self.assertIn(NS, [feature.get("var") for feature in answer[0]])

    def test_names(self) -> None:
        """The names of all lists come with the active and the default one (§2.3)."""
        for name in ("public", "private"):
            self.assertEqual(put(self.juliet, listed(name, DENY_ROMEO)), "result")
        self.assertEqual(put(self.juliet, "<active name='private'/>"), "result")
        self.assertEqual(put(self.juliet, "<default name='public'/>"), "result")
        self.assertEqual(names(self.juliet, "list"), ["public", "private"])
        self.assertEqual(names(self.juliet, "active"), ["private"])
        self.assertEqual(names(self.juliet, "default"), ["public"])

    def test_whole_list(self) -> None:
        """A list comes back as it was set, in its order."""
        kinds = "<message/><presence-out/>"
        items = (
            "<item action='allow' order='9'/>",
            f"<item action='deny' order='2' type='subscription' value='none'>{kinds}</item>",
        )
        put(self.juliet, listed("l", *items))
        answer = ask(self.juliet, "get", query(listed("l")))
        (found,) = answer[0]
        self.assertEqual([item.get("order") for item in found], ["2", "9"])
        self.assertEqual(found[0].attrib["value"], "none")
        self.assertEqual(
            [kind.tag for kind in found[0]], [qname(NS, "message"), qname(NS, "presence-out")]
        )

    def test_kept(self) -> None:
        """Lists are there after a restart of the server, and so is the default."""
        put(self.juliet, listed("l", DENY_ROMEO, "<item action='allow' order='2'/>"))
        put(self.juliet, "<default name='l'/>")
        again = House(plugins=("privacy_lists",), store=self.house.store)
        (juliet,) = again.connect("juliet")
        self.assertEqual(names(juliet, "default"), ["l"])
        answer = ask(juliet, "get", query(listed("l")))
        self.assertEqual(len(answer[0][0]), 2)

    def test_unknown_names(self) -> None:
        """A list that is not there cannot be fetched, used or removed."""
        self.assertEqual(condition(ask(self.juliet, "get", query(listed("x")))), "item-not-found")
        for inside in (listed("x"), "<active name='x'/>", "<default name='x'/>"):
            with self.subTest(inside=inside):
                self.assertEqual(put(self.juliet, inside), "item-not-found")

    def test_one_at_a_time(self) -> None:
        """More than one thing in a request is refused (§2.1, §2.3)."""
        two = listed("a") + listed("b")
        self.assertEqual(condition(ask(self.juliet, "get", query(two))), "bad-request")
        for inside in (two, "<active/><default/>", "", "<other/>"):
            with self.subTest(inside=inside):
                self.assertEqual(put(self.juliet, inside), "bad-request")

    def test_malformed(self) -> None:
        """A list that does not follow the rules is refused, and nothing of it is kept."""
        bad = [
            "<item order='1'/>",
            "<item action='maybe' order='1'/>",
            "<item action='deny'/>",
            "<item action='deny' order='-1'/>",
            "<item action='deny' order='one'/>",
            "<item action='deny' order='4294967296'/>",
            "<item action='deny' order='99999999999999999999999'/>",
            "<item action='deny' order='1' type='name' value='x'/>",
            "<item action='deny' order='1' type='jid'/>",
            "<item action='deny' order='1' type='jid' value='@'/>",
            "<item action='deny' order='1' type='subscription' value='maybe'/>",
            "<item action='deny' order='1' type='group'/>",
            "<item action='deny' order='1'><presence/></item>",
            "<item action='deny' order='1'/><item action='allow' order='1'/>",
            "<rule action='deny' order='1'/>",
        ]
        for items in bad:
            with self.subTest(items=items):
                self.assertEqual(put(self.juliet, listed("l", items)), "bad-request")
        self.assertEqual(put(self.juliet, f"<list>{DENY_ROMEO}</list>"), "bad-request")
        self.assertEqual(put(self.juliet, listed("x" * 256, DENY_ROMEO)), "bad-request")
        self.assertEqual(names(self.juliet, "list"), [])

    def test_unknown_group(self) -> None:
        """A rule for a group that the roster does not have is refused; shared groups count."""
        item = "<item type='group' value='Enemies' action='deny' order='1'/>"
        self.assertEqual(put(self.juliet, listed("l", item)), "item-not-found")
        group = SharedGroup("e", "Enemies", ("juliet@montague.lit", "tybalt@montague.lit"))
        done(self.house.server.shared_groups.save(group))
        self.assertEqual(put(self.juliet, listed("l", item)), "result")

    def test_too_long(self) -> None:
        """A list of ten thousand rules is refused; the largest that is not, works."""

        def rules(count: int) -> str:
            return "".join(f"<item action='deny' order='{n}'/>" for n in range(count))

        self.assertEqual(put(self.juliet, listed("l", rules(MOST + 1))), "resource-constraint")
        self.assertEqual(put(self.juliet, listed("l", rules(MOST))), "result")
        self.juliet.raw()
        self.juliet.send(f"<iq type='set' id='a'>{query(listed('l', rules(10_000)))}</iq>")
        self.assertIn(b"policy-violation", self.juliet.raw())  # already as a stanza

    def test_limit(self) -> None:
        """The administrator says how long a list may be; a longer one is not even looked into."""
        house = House(
            config=house_config("montague.lit", privacy={"max_items_per_list": 3}),
            plugins=("privacy_lists", "blocking"),
            romeo={},
        )
        romeo = house.connect("romeo")[0]
        wrong = "<item type='jid' value='@' action='deny' order='1'/>"
        self.assertEqual(put(romeo, listed("l", *[wrong] * 4)), "resource-constraint")
        self.assertEqual(put(romeo, listed("l", *[denied(order=n) for n in range(3)])), "result")
        for name in ("block", "unblock"):
            items = "<item jid='@'/>" * 4
            answer = ask(romeo, "set", f"<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>")
            self.assertEqual(condition(answer), "resource-constraint")

    def test_others_go_on(self) -> None:
        """A list of international addresses is read a slice at a time: nobody else waits for it."""
        letters = [".".join(chr(0xAC00 + 30 * n + i) for i in range(30)) for n in range(50)]
        items = [
            f"<item type='jid' value='{text}' action='deny' order='{n}'/>"
            for n, text in enumerate(letters)
        ]
        self.juliet.send(f"<iq type='set' id='slow'>{query(listed('l', *items))}</iq>")
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual(condition(ask(self.romeo, "get", query(""))), "result")  # meanwhile
        turns = 0
        while not (received := self.juliet.received()):
            next_turn(self.house.clock)
            turns += 1
        self.assertGreater(turns, 1)
        self.assertIn("type='result'", "".join(received))
        rules = ask(self.juliet, "get", query("<list name='l'/>"))[0][0]
        self.assertEqual([rule.get("value") for rule in rules], letters)

    def test_too_many(self) -> None:
        """An account has only so many lists."""
        for number in range(MAX_LISTS):
            self.assertEqual(put(self.juliet, listed(f"l{number}", DENY_ROMEO)), "result")
        self.assertEqual(put(self.juliet, listed("more", DENY_ROMEO)), "resource-constraint")
        self.assertEqual(put(self.juliet, listed("l0", DENY_ROMEO)), "result")

    def test_push(self) -> None:
        """Every resource is told the name of a list that is changed, and nothing more (§2.2)."""
        other = self.house.bind("juliet", "2")
        put(self.juliet, listed("l", DENY_ROMEO))
        (push,) = other.received()
        tree = ElementTree.fromstring(push)
        self.assertEqual((tree.get("type"), tree.get("to")), ("set", "juliet@montague.lit/2"))
        self.assertEqual([(t.get("name"), len(t)) for t in tree[0]], [("l", 0)])
        other.send(f"<iq type='result' id='{tree.get('id')}'/>")
        self.assertEqual(other.received(), [])

    def test_others(self) -> None:
        """Nobody sees or changes the lists of somebody else."""
        for type in ("get", "set"):
            answer = ask(self.romeo, type, query("<active/>"), "juliet@montague.lit")
            self.assertEqual(condition(answer), "forbidden")

    def test_store_fails(self) -> None:
        """A list that could not be kept is not there, and the client is told."""
        store = SlowStore()
        house = House(plugins=("privacy_lists",), store=store, juliet={}, romeo={})
        juliet, romeo = house.connect("juliet", "romeo")
        put(juliet, listed("l", DENY_ROMEO))
        with self.subTest("a guest"):
            done(store.accounts.delete_account("romeo@montague.lit"))
            self.assertEqual(put(romeo, listed("l", DENY_ROMEO)), "not-allowed")
            self.assertEqual(names(romeo, "list"), [])


class ConflictTests(ListsCase):
    """What one resource may not do to another (§2.2, rule 11)."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.house.bind("juliet", "2")
        for name in ("one", "two"):
            put(self.juliet, listed(name, DENY_ROMEO))

    def test_remove_active(self) -> None:
        """A list that is active at another resource cannot be removed; one's own can."""
        put(self.other, "<active name='one'/>")
        self.assertEqual(put(self.juliet, listed("one")), "conflict")
        self.assertEqual(put(self.other, listed("one")), "result")
        self.assertEqual(names(self.other, "active"), [])

    def test_change_default(self) -> None:
        """The default list cannot be changed or declined while it is in force elsewhere."""
        self.assertEqual(put(self.juliet, "<default name='one'/>"), "result")
        for inside in ("<default name='two'/>", "<default/>", listed("one")):
            with self.subTest(inside=inside):
                self.assertEqual(put(self.juliet, inside), "conflict")
        self.assertEqual(put(self.juliet, "<default name='one'/>"), "result")
        put(self.other, "<active name='two'/>")
        self.assertEqual(put(self.juliet, "<default name='two'/>"), "result")
        self.assertEqual(put(self.juliet, "<default/>"), "result")
        self.assertEqual(names(self.juliet, "default"), [])

    def test_one_session(self) -> None:
        """An active list is one session's own, and takes the place of the default one whole."""
        put(self.juliet, "<default name='one'/>")
        put(self.other, listed("none", "<item action='allow' order='1'/>"))
        put(self.other, "<active name='none'/>")
        self.romeo.send("<message type='chat' to='juliet@montague.lit/2'><body>2</body></message>")
        self.assertEqual(len([s for s in self.other.received() if "<body>2" in s]), 1)
        self.romeo.raw()
        self.romeo.send("<message type='chat' to='juliet@montague.lit/1'><body>1</body></message>")
        self.assertIn("service-unavailable", self.romeo.received()[0])
        put(self.other, "<active/>")
        self.romeo.send("<message type='chat' to='juliet@montague.lit/2'><body>2</body></message>")
        self.assertIn("service-unavailable", self.romeo.received()[0])


class BlockingTests(ListsCase):
    """What a list keeps away (§2.8 to §2.13), and what becomes of it (§2.14)."""

    def outcome(self, stanza: str, by: Client | None = None) -> tuple[str, str]:
        """What Juliet gets of a stanza of Romeo's, and what he gets: conditions or tags."""
        by = by or self.romeo
        for client in (by, self.juliet):
            client.raw()
        by.send(stanza)
        return self.words(self.juliet), self.words(by)

    def words(self, client: Client) -> str:
        trees = [ElementTree.fromstring(stanza) for stanza in client.received()]
        return " ".join(f"{t.tag}:{condition(t)}".rstrip(":") for t in trees)

    MESSAGE = "<message type='chat' to='{}'><body>hi</body></message>"
    PING = "<iq type='get' id='p' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>"
    FULL = "juliet@montague.lit/1"
    BARE = "juliet@montague.lit"

    def test_kinds(self) -> None:
        """Each kind of stanza is denied by itself; the others come through."""
        stanzas = {
            "message": self.MESSAGE.format(self.FULL),
            "iq": self.PING.format(self.FULL),
            "presence-in": "<presence><status>x</status></presence>",
        }
        for kind in stanzas:
            use(self.juliet, denied(kind))
            for other, stanza in stanzas.items():
                with self.subTest(denied=kind, sent=other):
                    got, answer = self.outcome(stanza)
                    self.assertEqual(got == "", other == kind, got)
                    if other == kind and kind != "presence-in":
                        self.assertIn("service-unavailable", answer)

    def test_subjects(self) -> None:
        """A JID in each form, a subscription, a group, and everybody."""
        done(
            self.house.server.roster_manager.save(
                done(self.house.server.roster_manager.roster(self.house.jid("juliet"))),
                RosterItem("romeo@montague.lit", groups=("Lovers",), subscription="both"),
            )
        )
        cases = [
            ("type='jid' value='romeo@montague.lit/1'", True),
            ("type='jid' value='romeo@montague.lit/2'", False),
            ("type='jid' value='romeo@montague.lit'", True),
            ("type='jid' value='ROMEO@Montague.lit'", True),
            ("type='jid' value='montague.lit'", True),
            ("type='jid' value='montague.lit/1'", False),
            ("type='jid' value='capulet.lit'", False),
            ("type='subscription' value='both'", True),
            ("type='subscription' value='from'", False),
            ("type='subscription' value='none'", False),
            ("type='group' value='Lovers'", True),
            ("", True),
        ]
        for subject, denies in cases:
            with self.subTest(subject=subject):
                use(self.juliet, denied("message", subject))
                got, _ = self.outcome(self.MESSAGE.format(self.FULL))
                self.assertEqual(got == "", denies)

    def test_strangers(self) -> None:
        """Who is not in the roster at all has the subscription none."""
        use(self.juliet, denied("message", "type='subscription' value='none'"))
        self.assertEqual(self.outcome(self.MESSAGE.format(self.FULL), self.tybalt)[0], "")
        self.assertNotEqual(self.outcome(self.MESSAGE.format(self.FULL), self.romeo)[0], "")

    def test_order(self) -> None:
        """The first rule in order decides, not the most particular, nor the first written."""
        use(
            self.juliet,
            denied("", "", 5),
            "<item type='jid' value='romeo@montague.lit' action='allow' order='4'/>",
            denied("", "type='jid' value='romeo@montague.lit/1'", 6),
        )
        self.assertNotEqual(self.outcome(self.MESSAGE.format(self.FULL))[0], "")
        self.assertEqual(self.outcome(self.MESSAGE.format(self.FULL), self.tybalt)[0], "")

    def test_like_nobody(self) -> None:
        """Who is denied gets what an account that does not exist would answer, to the letter."""
        put(self.juliet, listed("l", DENY_ROMEO))
        put(self.juliet, "<default name='l'/>")
        stanzas = [self.MESSAGE, self.PING, "<message to='{}'><body>x</body></message>"]
        stanzas += [self.MESSAGE.replace("chat", kind) for kind in ("groupchat", "headline")]
        stanzas += ["<iq type='get' id='v' to='{}'><vCard xmlns='vcard-temp'/></iq>"]
        for stanza in stanzas:
            for resource in ("", "/1", "/2"):
                with self.subTest(stanza=stanza, resource=resource):
                    answers = []
                    for name in ("juliet", "rosaline"):
                        self.romeo.raw()
                        self.romeo.send(stanza.format(f"{name}@montague.lit{resource}"))
                        answers.append([s.replace(name, "x") for s in self.romeo.received()])
                    self.assertEqual(*answers)
                    self.assertEqual(self.juliet.received(), [])

    def test_answers_are_dropped(self) -> None:
        """A result from somebody denied is dropped, and nobody is told."""
        use(self.juliet, DENY_ROMEO)
        result = "<iq type='result' id='x' to='juliet@montague.lit/1'/>"
        self.assertEqual(self.outcome(result), ("", ""))

    def test_away(self) -> None:
        """The default list holds while nobody is here: what it denies is not kept (rule 2)."""
        put(self.juliet, listed("l", denied("message", "type='subscription' value='both'")))
        put(self.juliet, "<default name='l'/>")
        self.juliet.abort()
        self.romeo.raw()
        self.romeo.send(self.MESSAGE.format(self.BARE))
        self.assertIn("service-unavailable", self.romeo.received()[0])
        self.tybalt.send(self.MESSAGE.format(self.BARE))
        self.assertEqual(self.tybalt.received(), [])
        waiting = done(self.house.store.offline.offline_messages("juliet@montague.lit"))
        self.assertEqual(len(waiting), 1)

    def test_default_at_once(self) -> None:
        """The default list holds from the moment a session is bound."""
        put(self.juliet, listed("l", denied("message")))
        put(self.juliet, "<default name='l'/>")
        self.juliet.abort()
        again = self.house.bind("juliet", "3")
        self.romeo.send(self.MESSAGE.format("juliet@montague.lit/3"))
        self.assertEqual(again.received(), [])

    def test_another_resource_wants_it(self) -> None:
        """A message to the account goes to the resource that lets it in, if one does."""
        (other,) = self.house.connect("juliet/2")
        use(self.juliet, denied("message"))
        other.raw()
        self.romeo.send(self.MESSAGE.format(self.BARE))
        self.assertIn("hi", other.received()[-1])
        self.assertEqual(self.juliet.received(), [])
        self.romeo.raw()
        self.romeo.send(self.MESSAGE.format(self.FULL))
        self.assertIn("service-unavailable", self.romeo.received()[0])
        self.assertEqual(other.received(), [])

    def test_subscriptions(self) -> None:
        """A rule for everything also denies subscriptions; one for presence does not (§2.13)."""
        use(self.juliet, denied("presence-in"))
        self.tybalt.send("<presence type='subscribe' to='juliet@montague.lit'/>")
        self.assertIn("subscribe", self.juliet.received()[-1])
        self.tybalt.send("<presence type='unsubscribe' to='juliet@montague.lit'/>")
        put(self.juliet, listed("d", denied()))
        put(self.juliet, "<active/>")
        put(self.juliet, "<default name='d'/>")
        self.assertEqual(
            self.outcome("<presence type='subscribe' to='juliet@montague.lit'/>", self.tybalt),
            ("", "iq:set"),  # the push of Tybalt's own roster
        )
        roster = done(self.house.store.rosters.roster("juliet@montague.lit"))
        self.assertEqual([item.jid for item in roster.items], ["romeo@montague.lit"])

    def test_probe(self) -> None:
        """A probe by somebody denied is not answered at all (§2.14)."""
        put(self.juliet, listed("d", DENY_ROMEO))
        put(self.juliet, "<default name='d'/>")
        self.assertEqual(
            self.outcome("<presence type='probe' to='juliet@montague.lit'/>"), ("", "")
        )

    def test_own_words(self) -> None:
        """What the owner sends to somebody denied everything is not acceptable (§2.14)."""
        use(self.juliet, "<item type='subscription' value='both' action='deny' order='1'/>")
        self.romeo.raw()
        for stanza in (
            "<message to='romeo@montague.lit'><body>x</body></message>",
            "<iq type='get' id='x' to='romeo@montague.lit/1'><ping xmlns='urn:xmpp:ping'/></iq>",
            "<presence to='romeo@montague.lit'/>",
            "<presence type='subscribe' to='romeo@montague.lit'/>",
        ):
            with self.subTest(stanza=stanza):
                answer, _ = self.outcome(stanza, self.juliet)
                self.assertIn("not-acceptable", answer)
                self.assertNotIn("blocked", answer)
                self.assertEqual(self.romeo.received(), [])

    def test_own_presence(self) -> None:
        """Directed presence obeys a rule about outgoing presence; messages do not."""
        use(self.juliet, denied("presence-out"))
        self.juliet.raw()
        self.juliet.send("<presence to='tybalt@montague.lit'/>")
        self.assertIn("not-acceptable", self.juliet.received()[0])
        self.juliet.send("<message to='tybalt@montague.lit'><body>x</body></message>")
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual([s for s in self.tybalt.received() if "<presence" in s], [])

    def test_nobody_denies_themselves(self) -> None:
        """One's own resources and server are never denied, whatever the rules say (§2.1)."""
        (other,) = self.house.connect("juliet/2")
        use(self.juliet, denied("", "", 0))
        use(other, denied("", "", 0))
        self.juliet.raw()
        other.raw()
        self.juliet.send("<message type='chat' to='juliet@montague.lit/2'><body>x</body></message>")
        self.assertIn("<body>x", other.received()[0])
        self.juliet.send("<presence><status>new</status></presence>")
        self.assertIn("new", other.received()[0])
        self.juliet.raw()
        self.assertEqual(condition(ask(self.juliet, "get", query(""))), "result")
        ping = ask(self.juliet, "get", "<ping xmlns='urn:xmpp:ping'/>", "montague.lit")
        self.assertEqual(condition(ping), "result")


class PresenceTests(ListsCase):
    """What contacts see when a list comes into force, changes, or goes."""

    def seen(self, client: Client) -> list[tuple[str | None, str]]:
        return presences(client.received())

    def test_out(self) -> None:
        """Who may no longer see somebody sees them leave, and come back when they may (§2.11)."""
        put(self.juliet, listed("l", denied("presence-out")))
        self.romeo.raw()
        put(self.juliet, "<active name='l'/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "unavailable")])
        self.juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(self.seen(self.romeo), [])
        put(self.juliet, "<active/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "here")])

    def test_in(self) -> None:
        """Whoever is no longer let in is seen to leave; and to come back (§2.10)."""
        put(self.juliet, listed("l", denied("presence-in")))
        self.juliet.raw()
        self.juliet.send(f"<iq type='set' id='a'>{query(ACTIVE)}</iq>")
        self.assertEqual(self.seen(self.juliet), [("romeo@montague.lit/1", "unavailable")])
        self.juliet.send(f"<iq type='set' id='a'>{query('<active/>')}</iq>")
        self.assertEqual(self.seen(self.juliet), [("romeo@montague.lit/1", "here")])

    def test_edited(self) -> None:
        """A list that is in force is obeyed as it is now, at each session that uses it (rule 8)."""
        use(self.juliet, denied("presence-out", "type='jid' value='tybalt@montague.lit'"))
        self.romeo.raw()
        put(self.juliet, listed("l", denied("presence-out")))
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "unavailable")])
        put(self.juliet, listed("l"))
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "here")])

    def test_strangers_see_nothing(self) -> None:
        """Who may not see the account is told nothing when a list changes."""
        use(self.juliet, denied("presence-out"))
        put(self.juliet, "<active/>")
        self.assertEqual(self.seen(self.tybalt), [])

    def test_told_in_person(self) -> None:
        """Who was told in person sees the session leave, too, and only once."""
        self.juliet.send("<presence to='tybalt@montague.lit'/>")
        self.tybalt.raw()
        use(self.juliet, denied("presence-out"))
        self.assertEqual(self.seen(self.tybalt), [("juliet@montague.lit/1", "unavailable")])
        self.juliet.abort()
        self.assertEqual(self.seen(self.tybalt), [])

    def test_goodbye(self) -> None:
        """Who saw a session leave because of a list hears nothing when it really goes."""
        use(self.juliet, denied("presence-out"))
        self.romeo.raw()
        self.juliet.send("<presence type='unavailable'/>")
        self.assertEqual(self.seen(self.romeo), [])

    def test_group(self) -> None:
        """A contact moved to another group sees what that group may, from then on (rule 9)."""
        roster = (
            "<query xmlns='jabber:iq:roster'><item jid='romeo@montague.lit'>"
            "<group>{}</group></item></query>"
        )
        ask_roster = "<iq type='set' id='g'>{}</iq>"
        self.juliet.send(ask_roster.format(roster.format("Friends")))
        self.juliet.send(ask_roster.format(roster.format("Enemies")))
        use(self.juliet, denied("presence-out", "type='group' value='Enemies'"))
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "unavailable")])
        self.juliet.send(ask_roster.format(roster.format("Friends")))
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "here")])
        self.juliet.send("<presence/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "here")])
        self.juliet.send(ask_roster.format(roster.format("Enemies")))
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "unavailable")])
        self.juliet.send("<presence type='unavailable'/>")
        self.assertEqual(self.seen(self.romeo), [])

    def test_group_in(self) -> None:
        """A contact moved to a group that is not let in is seen to leave, and the other way."""
        roster = (
            "<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='romeo@montague.lit'>"
            "<group>{}</group></item></query></iq>"
        )
        self.juliet.send(roster.format("Enemies"))
        put(self.juliet, listed("l", denied("presence-in", "type='group' value='Enemies'")))
        self.juliet.send(roster.format("Friends"))
        put(self.juliet, "<active name='l'/>")
        self.juliet.raw()
        self.juliet.send(roster.format("Enemies"))
        self.assertEqual(self.seen(self.juliet), [("romeo@montague.lit/1", "unavailable")])
        self.juliet.send(roster.format("Friends"))
        self.assertEqual(self.seen(self.juliet), [("romeo@montague.lit/1", "here")])

    def test_subscription(self) -> None:
        """Who is granted a subscription sees what a list for that subscription allows."""
        use(self.juliet, denied("presence-out", "type='subscription' value='from'"))
        self.tybalt.send("<presence type='subscribe' to='juliet@montague.lit'/>")
        self.juliet.send("<presence type='subscribed' to='tybalt@montague.lit'/>")
        self.assertEqual([s for s in self.seen(self.tybalt) if s[0] == "juliet@montague.lit/1"], [])
        self.juliet.send("<presence/>")
        self.assertEqual(self.seen(self.tybalt), [])
        self.tybalt.send("<presence type='subscribed' to='juliet@montague.lit'/>")
        self.juliet.send("<presence type='subscribe' to='tybalt@montague.lit'/>")
        self.assertEqual(self.seen(self.tybalt)[-1], ("juliet@montague.lit/1", "here"))

    def test_unsubscribed(self) -> None:
        """Who did not see a session is not told that it goes when a subscription ends."""
        use(self.juliet, denied("presence-out"))
        self.romeo.raw()
        self.juliet.send("<presence type='unsubscribed' to='romeo@montague.lit'/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit", "unsubscribed")])

    def test_one_resource(self) -> None:
        """A rule for a single resource of a contact keeps presence from that one alone."""
        (other,) = self.house.connect("romeo/2")
        rule = denied("presence-out", "type='jid' value='romeo@montague.lit/1'")
        put(self.juliet, listed("l", rule))
        self.romeo.raw()
        other.raw()
        put(self.juliet, "<active name='l'/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/1", "unavailable")])
        self.assertEqual(self.seen(other), [])
        self.juliet.send("<presence><show>dnd</show></presence>")
        self.assertEqual(self.seen(self.romeo), [])
        self.assertEqual(self.seen(other), [("juliet@montague.lit/1", "here")])
        self.romeo.send("<presence type='unavailable'/>")
        self.romeo.send("<presence/>")
        self.assertNotIn(("juliet@montague.lit/1", "here"), self.seen(self.romeo))

    def test_login(self) -> None:
        """Who comes later is told of nobody who hides, and of nobody they do not let in."""
        use(self.juliet, denied("presence-out"))
        self.romeo.abort()
        romeo = self.house.bind("romeo", "1")
        romeo.send("<presence/>")
        self.assertNotIn("juliet@montague.lit/1", [name for name, _ in self.seen(romeo)])
        put(self.juliet, listed("out", denied("presence-in")))
        put(self.juliet, "<active/>")
        put(self.juliet, "<default name='out'/>")
        self.juliet.abort()
        juliet = self.house.bind("juliet", "1")
        juliet.send("<presence/>")
        self.assertEqual([s for s in self.seen(juliet) if s[0] == "romeo@montague.lit/1"], [])

    def test_probe(self) -> None:
        """A probe finds only the resources that show themselves."""
        (other,) = self.house.connect("juliet/2")
        use(self.juliet, denied("presence-out"))
        self.romeo.raw()
        self.romeo.send("<presence type='probe' to='juliet@montague.lit'/>")
        self.assertEqual(self.seen(self.romeo), [("juliet@montague.lit/2", "here")])
        other.abort()

    def test_last_activity(self) -> None:
        """Whoever may not see the account's presence learns nothing of when it was here."""
        put(self.juliet, listed("l", denied("presence-out")))
        put(self.juliet, "<default name='l'/>")
        answer = ask(self.romeo, "get", "<query xmlns='jabber:iq:last'/>", "juliet@montague.lit")
        self.assertEqual(condition(answer), "forbidden")
        items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        answer = ask(self.romeo, "get", items, "juliet@montague.lit")
        self.assertEqual(len(answer[0]), 0)

    def test_shared_groups(self) -> None:
        """Who sees an account by a shared group obeys its list as well."""
        group = SharedGroup("g", "G", ("juliet@montague.lit", "tybalt@montague.lit"))
        done(self.house.server.shared_group_changes.save(group))
        self.assertEqual(self.seen(self.tybalt)[-1], ("juliet@montague.lit/1", "here"))
        use(self.juliet, denied("presence-out", "type='group' value='G'"))
        self.assertEqual(self.seen(self.tybalt), [("juliet@montague.lit/1", "unavailable")])
        for _ in range(2):
            self.juliet.send("<presence><show>xa</show></presence>")
        self.assertEqual(self.seen(self.tybalt), [])
        self.assertEqual(len(self.seen(self.romeo)), 2)
        put(self.juliet, "<active/>")
        self.assertEqual(self.seen(self.tybalt), [("juliet@montague.lit/1", "here")])
