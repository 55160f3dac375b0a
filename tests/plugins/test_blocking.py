"""XEP-0191: Blocking Command, and XEP-0377: Blocking Command Reports."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.plugins.test_privacy_lists import denied, listed, presences, put
from xmppd.config.config import PrivacySettings
from xmppd.privacy import reports as reports_module
from xmppd.privacy.reports import MAX_PER_REPORTER, MAX_TEXT_LENGTH, Report, Reports
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, memory_store

NS = "urn:xmpp:blocking"
MOST = PrivacySettings().max_items_per_list
ROMEO = "romeo@montague.lit"
MESSAGE = "<message type='chat' to='{}'><body>hi</body></message>"


def element(name: str, *jids: str, inside: str = "") -> str:
    """A request that names these."""
    items = "".join(f"<item jid='{jid}'>{inside}</item>" for jid in jids)
    return f"<{name} xmlns='{NS}'>{items}</{name}>"


def command(client: Client, name: str, *jids: str, inside: str = "") -> str:
    """Block or unblock somebody; how that was answered. What came before it stays unread."""
    client.send(f"<iq type='set' id='b'>{element(name, *jids, inside=inside)}</iq>")
    stanzas = [ElementTree.fromstring(stanza) for stanza in client.received()]
    return next(condition(stanza) for stanza in stanzas if stanza.get("id") == "b")


def blocklist(client: Client) -> list[str | None]:
    """Whom the client's account blocks."""
    return [item.get("jid") for item in ask(client, "get", element("blocklist"))[0]]


def pushes(client: Client) -> list[tuple[str, list[str | None]]]:
    """What the client is told of its blocklist."""
    trees = [ElementTree.fromstring(stanza) for stanza in client.received()]
    sets = [tree[0] for tree in trees if tree.get("type") == "set" and NS in tree[0].tag]
    return [(tree.tag.partition("}")[2], [item.get("jid") for item in tree]) for tree in sets]


class BlockingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("blocking", "disco", "ping", "vcard"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")
        for client in (self.romeo, self.juliet, self.tybalt):
            client.raw()


class BlocklistTests(BlockingCase):
    def test_disco(self) -> None:
        """The server says that it can block and take reports (§3.1; XEP-0377 §3)."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        answer = ask(self.juliet, "get", info, "montague.lit")
        features = [feature.get("var") for feature in answer[0]]
        self.assertLessEqual({NS, "urn:xmpp:reporting:1"}, set(features))

    def test_empty(self) -> None:
        """Who blocks nobody gets an empty list (§3.2)."""
        self.assertEqual(blocklist(self.juliet), [])

    def test_block_and_unblock(self) -> None:
        """Those who are blocked are listed until they are unblocked."""
        self.assertEqual(command(self.juliet, "block", ROMEO, "rooms.lit"), "result")
        self.assertEqual(sorted(map(str, blocklist(self.juliet))), sorted([ROMEO, "rooms.lit"]))
        self.assertEqual(command(self.juliet, "block", "ROMEO@montague.lit"), "result")
        self.assertEqual(len(blocklist(self.juliet)), 2)
        self.assertEqual(command(self.juliet, "unblock", ROMEO), "result")
        self.assertEqual(blocklist(self.juliet), ["rooms.lit"])
        self.assertEqual(command(self.juliet, "unblock", "nobody@x.lit"), "result")
        command(self.juliet, "block", ROMEO)
        self.assertEqual(command(self.juliet, "unblock"), "result")
        self.assertEqual(blocklist(self.juliet), [])

    def test_kept(self) -> None:
        """A block holds across sessions and restarts (§3.3)."""
        command(self.juliet, "block", ROMEO)
        house = House(plugins=("blocking",), store=self.house.store)
        juliet, romeo = house.connect("juliet", "romeo")
        self.assertEqual(blocklist(juliet), [ROMEO])
        romeo.raw()
        romeo.send(MESSAGE.format("juliet@montague.lit"))
        self.assertIn("service-unavailable", romeo.received()[0])

    def test_pushes(self) -> None:
        """Resources that have asked for the list hear of each change, and no others (§3.3-3.5)."""
        asked, silent = self.house.bind("juliet", "2"), self.house.bind("juliet", "3")
        blocklist(asked)
        command(self.juliet, "block", ROMEO, "x.lit")
        self.assertEqual(pushes(asked), [("block", [ROMEO, "x.lit"])])
        command(self.juliet, "unblock", ROMEO)
        self.assertEqual(pushes(asked), [("unblock", [ROMEO])])
        command(self.juliet, "unblock")
        self.assertEqual(pushes(asked), [("unblock", [])])
        self.assertEqual(silent.received(), [])
        asked.abort()
        command(self.juliet, "block", ROMEO)

    def test_refused(self) -> None:
        """A block that names nobody, or not well (§3.3)."""
        self.assertEqual(command(self.juliet, "block"), "bad-request")
        self.assertEqual(command(self.juliet, "block", ""), "bad-request")
        self.assertEqual(command(self.juliet, "block", "@"), "jid-malformed")
        self.assertEqual(command(self.juliet, "unblock", "@"), "jid-malformed")
        answer = ask(self.juliet, "set", f"<block xmlns='{NS}'><other/></block>")
        self.assertEqual(condition(answer), "bad-request")
        for name, type in (("block", "set"), ("unblock", "set"), ("blocklist", "get")):
            answer = ask(self.romeo, type, element(name, "x.lit"), "juliet@montague.lit")
            self.assertEqual(condition(answer), "forbidden")
        self.assertEqual(blocklist(self.juliet), [])

    def test_full(self) -> None:
        """Beyond the limit nobody more can be blocked, and all others stay so."""
        for start in range(0, MOST, 500):
            names = [f"u{n}@x.lit" for n in range(start, start + 500)]
            self.assertEqual(command(self.juliet, "block", *names), "result")
        self.assertEqual(command(self.juliet, "block", ROMEO), "resource-constraint")
        self.assertEqual(len(blocklist(self.juliet)), MOST)

    def test_self(self) -> None:
        """To block oneself or the server has no effect (§5)."""
        self.assertEqual(command(self.juliet, "block", "juliet@montague.lit"), "result")
        other = self.house.bind("juliet", "2")
        self.juliet.send(MESSAGE.format("juliet@montague.lit/2"))
        self.assertIn("hi", other.received()[0])
        self.assertEqual(command(self.juliet, "block", "montague.lit"), "result")
        ping = ask(self.juliet, "get", "<ping xmlns='urn:xmpp:ping'/>", "montague.lit")
        self.assertEqual(condition(ping), "result")
        self.romeo.raw()
        self.romeo.send(MESSAGE.format("juliet@montague.lit/1"))
        self.assertIn("service-unavailable", self.romeo.received()[0])

    def test_guest(self) -> None:
        """An account that is none blocks nobody."""
        done(self.house.store.accounts.delete_account("tybalt@montague.lit"))
        self.assertEqual(command(self.tybalt, "block", ROMEO), "not-allowed")
        self.assertEqual(blocklist(self.tybalt), [])


class BlockedTests(BlockingCase):
    def test_like_nobody(self) -> None:
        """Who is blocked cannot tell the account from one that does not exist (§3.3)."""
        command(self.juliet, "block", ROMEO)
        stanzas = [
            MESSAGE,
            "<message to='{}'><body>x</body></message>",
            "<message type='groupchat' to='{}'><body>x</body></message>",
            "<message type='headline' to='{}'><body>x</body></message>",
            "<iq type='get' id='a' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
            "<iq type='get' id='a' to='{}'><vCard xmlns='vcard-temp'/></iq>",
            "<iq type='get' id='a' to='{}'><x xmlns='urn:unknown'/></iq>",
            "<iq type='result' id='a' to='{}'/>",
            "<presence to='{}'/>",
        ]
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

    def test_presence(self) -> None:
        """Of presence, who is blocked gets nothing, whatever they ask (§3.3)."""
        command(self.juliet, "block", ROMEO, "tybalt@montague.lit")
        self.romeo.raw()
        for kind in ("probe", "unsubscribe", "subscribed", "unsubscribed"):
            self.romeo.send(f"<presence type='{kind}' to='juliet@montague.lit'/>")
        self.tybalt.send("<presence type='subscribe' to='juliet@montague.lit'/>")
        self.juliet.send("<presence><status>x</status></presence>")
        self.assertEqual(presences(self.romeo.received()), [])
        self.assertEqual(presences(self.tybalt.received()), [])
        self.assertEqual(presences(self.juliet.received()), [("juliet@montague.lit/1", "here")])

    def test_roster(self) -> None:
        """Who is blocked cannot speak, but what they end is over in the owner's roster (§3.3)."""
        command(self.juliet, "block", ROMEO)
        self.romeo.raw()
        for kind, left in (("unsubscribe", "to"), ("unsubscribed", "none")):
            with self.subTest(kind):
                self.romeo.send(f"<presence type='{kind}' to='juliet@montague.lit'/>")
                [push] = self.juliet.received()
                self.assertIn(f"<item jid='{ROMEO}' subscription='{left}'/>", push)

    def test_unavailable_first(self) -> None:
        """Who is blocked sees the account leave; and return when unblocked (§3.3, §3.4)."""
        command(self.juliet, "block", ROMEO)
        self.assertEqual(
            presences(self.romeo.received()), [("juliet@montague.lit/1", "unavailable")]
        )
        self.romeo.send("<presence><status>x</status></presence>")
        self.assertEqual(self.juliet.received(), [])
        self.romeo.raw()
        self.juliet.send(f"<iq type='set' id='b'>{element('unblock', ROMEO)}</iq>")
        self.assertEqual(presences(self.romeo.received()), [("juliet@montague.lit/1", "here")])
        self.assertEqual(presences(self.juliet.received()), [("romeo@montague.lit/1", "here")])

    def test_strangers(self) -> None:
        """Who may not see the account is not told that it is blocked (§3.3)."""
        command(self.juliet, "block", "tybalt@montague.lit")
        command(self.juliet, "unblock", "tybalt@montague.lit")
        self.assertEqual(self.tybalt.received(), [])

    def test_own_words(self) -> None:
        """What one sends to somebody one blocks comes back, and says why (§3.3)."""
        command(self.juliet, "block", ROMEO)
        self.romeo.raw()
        for stanza in (
            MESSAGE.format(ROMEO),
            "<iq type='get' id='a' to='romeo@montague.lit/1'><ping xmlns='urn:xmpp:ping'/></iq>",
            f"<presence to='{ROMEO}'/>",
        ):
            with self.subTest(stanza=stanza):
                self.juliet.raw()
                self.juliet.send(stanza)
                (answer,) = self.juliet.received()
                error = ElementTree.fromstring(answer)
                self.assertEqual(condition(error), "not-acceptable blocked")
                self.assertIn("urn:xmpp:blocking:errors", answer)
                self.assertIn("type='cancel'", answer)
        self.assertEqual(self.romeo.received(), [])

    def test_away(self) -> None:
        """What somebody blocked writes to an account that is away is not kept for it."""
        command(self.juliet, "block", ROMEO)
        self.juliet.abort()
        self.romeo.raw()
        self.romeo.send(MESSAGE.format("juliet@montague.lit"))
        self.assertIn("service-unavailable", self.romeo.received()[0])
        self.assertEqual(done(self.house.store.offline.offline_messages("juliet@montague.lit")), [])

    def test_waiting(self) -> None:
        """What waited already is not delivered from somebody who is blocked meanwhile."""
        self.juliet.send("<presence type='unavailable'/>")
        self.tybalt.send(MESSAGE.format("juliet@montague.lit"))
        command(self.juliet, "block", "tybalt@montague.lit")
        self.juliet.send("<presence/>")
        self.assertEqual([s for s in self.juliet.received() if "hi" in s], [])

    def test_unblocked(self) -> None:
        """Who is unblocked is heard again (§3.4)."""
        command(self.juliet, "block", ROMEO)
        command(self.juliet, "unblock")
        self.juliet.raw()
        self.romeo.send(MESSAGE.format("juliet@montague.lit"))
        self.assertIn("hi", self.juliet.received()[-1])

    def test_both(self) -> None:
        """Two who block each other see and hear nothing of each other."""
        command(self.juliet, "block", ROMEO)
        command(self.romeo, "block", "juliet@montague.lit")
        command(self.juliet, "unblock")
        self.juliet.raw()
        self.romeo.raw()
        self.juliet.send("<presence><status>x</status></presence>")
        self.romeo.send("<presence><status>x</status></presence>")
        self.assertEqual(len(self.juliet.received()), 1)
        self.assertEqual(len(self.romeo.received()), 1)

    def test_account_removed(self) -> None:
        """A new account of an old name blocks nobody."""
        command(self.juliet, "block", ROMEO)
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.house.add("juliet")
        (juliet,) = self.house.connect("juliet")
        self.assertEqual(blocklist(juliet), [])


class PrivacyListsTests(BlockingCase):
    """With privacy lists beside it (§5): the default list is the blocklist."""

    def setUp(self) -> None:
        super().setUp()
        done(self.house.plugins.load("privacy_lists"))

    def test_default_list(self) -> None:
        """A block is a rule of the default list, before all others; nothing else changes there."""
        allow = "<item action='allow' order='0' type='jid' value='romeo@montague.lit'/>"
        put(self.juliet, listed("l", allow, denied("message", "", 1)))
        put(self.juliet, "<default name='l'/>")
        self.assertEqual(blocklist(self.juliet), [])
        command(self.juliet, "block", ROMEO)
        answer = ask(self.juliet, "get", f"<query xmlns='jabber:iq:privacy'>{listed('l')}</query>")
        items = [(i.get("order"), i.get("action"), i.get("value")) for i in answer[0][0]]
        self.assertEqual(items, [("1", "deny", ROMEO), ("2", "allow", ROMEO), ("3", "deny", None)])
        command(self.juliet, "unblock")
        self.assertEqual(blocklist(self.juliet), [])

    def test_changed_list(self) -> None:
        """A default list that is edited or replaced changes the blocklist, which is told."""
        asked = self.house.bind("juliet", "2")
        put(asked, "<active/>")
        blocklist(asked)
        put(self.juliet, listed("l", denied("", f"type='jid' value='{ROMEO}'")))
        put(self.juliet, "<default name='l'/>")
        self.assertEqual(pushes(asked), [("block", [ROMEO])])
        put(self.juliet, listed("l", denied("", "type='jid' value='x.lit'")))
        self.assertEqual(pushes(asked), [("block", ["x.lit"]), ("unblock", [ROMEO])])

    def test_names(self) -> None:
        """A block makes a default list where there is none, and never takes another's name."""
        put(self.juliet, listed("blocked", denied("message")))
        command(self.juliet, "block", ROMEO)
        names = ask(self.juliet, "get", "<query xmlns='jabber:iq:privacy'/>")[0]
        self.assertEqual([n.get("name") for n in names], ["blocked-2", "blocked", "blocked-2"])
        command(self.juliet, "unblock")
        names = ask(self.juliet, "get", "<query xmlns='jabber:iq:privacy'/>")[0]
        self.assertEqual([n.get("name") for n in names], ["blocked"])


class ReportTests(BlockingCase):
    """XEP-0377."""

    def reports(self) -> list[Report]:
        return done(self.house.server.reports.of("montague.lit"))

    def test_report(self) -> None:
        """A report is kept with all it says."""
        report = (
            "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>"
            "<text xml:lang='en'> Never came trouble </text><third-party/>"
            f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROMEO}' id='28482'/></report>"
        )
        self.assertEqual(command(self.juliet, "block", ROMEO, inside=report), "result")
        self.assertEqual(
            self.reports(),
            [
                Report(
                    "juliet@montague.lit", ROMEO, "urn:xmpp:reporting:spam",
                    self.house.wall_clock(), "Never came trouble", ("28482",), ("third-party",),
                )
            ],
        )  # fmt: skip
        self.assertEqual(blocklist(self.juliet), [ROMEO])

    def test_bad_report(self) -> None:
        """A report that is none hinders no block, and a long one is cut (§6)."""
        for number, report in enumerate(("<report xmlns='urn:xmpp:reporting:1'/>", "<report/>")):
            self.assertEqual(command(self.juliet, "block", f"u{number}@x", inside=report), "result")
        self.assertEqual(self.reports(), [])
        long = (
            "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'>"
            f"<text>{'x' * 5_000}</text></report>"
        )
        command(self.juliet, "block", ROMEO, inside=long)
        self.assertEqual([len(report.text) for report in self.reports()], [MAX_TEXT_LENGTH])

    def test_limits(self) -> None:
        """There is room for so many reports, and for so many of one person; the oldest goes."""
        most = 2 * MAX_PER_REPORTER
        self.patch(reports_module, "MAX_REPORTS", most)
        reports = Reports(memory_store().items)

        def add(reporter: str, number: int) -> None:
            reported = f"u{number}@x.lit"
            done(reports.add(Report(f"{reporter}@montague.lit", reported, "spam", number)))

        for number in range(MAX_PER_REPORTER + 1):
            add("juliet", number)
        kept = done(reports.of("montague.lit"))
        self.assertEqual(len(kept), MAX_PER_REPORTER)
        self.assertEqual(kept[0].reported, "u1@x.lit")
        add("juliet", MAX_PER_REPORTER)
        self.assertEqual(len(done(reports.of("montague.lit"))), MAX_PER_REPORTER)
        for number in range(most):
            add(f"r{number}", 1_000 + number)
        kept = done(reports.of("montague.lit"))
        self.assertEqual(len(kept), most)
        self.assertEqual(kept[0].reporter, "r0@montague.lit")


class RosterTests(BlockingCase):
    def test_contact_stays(self) -> None:
        """Blocking is polite: the contact stays in the roster, with its subscription (§4)."""
        command(self.juliet, "block", ROMEO)
        roster = done(self.house.store.rosters.roster("juliet@montague.lit"))
        self.assertEqual(roster.items, (RosterItem(ROMEO, subscription="both"),))
