"""Roster get and set (RFC 6121 §2)."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support import next_turn
from xmppd.stanza import ns
from xmppd.store.database import Database
from xmppd.store.rosters import RosterData, RosterItem, RosterStore
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config, memory_store

DOMAIN = "montague.lit"
ROMEO = f"romeo@{DOMAIN}"


def version_in(stanza: str) -> str:
    """The version that a roster or a push has."""
    return stanza.partition(" ver='")[2].partition("'")[0]


class RosterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            DOMAIN,
            config=house_config(DOMAIN, roster={"max_items": 4, "max_groups_per_item": 2}),
            romeo={"juliet": "both", "tybalt": "to"},
            juliet={"romeo": "both"},
        )
        self.romeo = self.house.bind("romeo")

    def get(self, client: Client, ver: str | None = None) -> str:
        """What a roster get is answered with."""
        known = "" if ver is None else f" ver='{ver}'"
        client.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'{known}/></iq>")
        (answer,) = client.received()
        return answer

    def set(self, items: str, client: Client | None = None, to: str = "") -> list[str]:
        """What a roster set brings: pushes and the answer."""
        client = client or self.romeo
        to = f" to='{to}'" if to else ""
        client.send(f"<iq type='set' id='s'{to}><query xmlns='{ns.ROSTER}'>{items}</query></iq>")
        return client.received()

    def assert_refused(self, condition: str, stanzas: list[str]) -> None:
        (error,) = stanzas
        self.assertIn("type='error'", error)
        self.assertIn(f"<{condition} ", error)

    def test_get(self) -> None:
        """The owner gets every contact with its state, and the roster's version."""
        answer = self.get(self.romeo)
        self.assertRegex(answer, f"<query xmlns='{ns.ROSTER}' ver='[0-9]+'>")
        self.assertIn(f"<item jid='juliet@{DOMAIN}' subscription='both'/>", answer)
        self.assertIn(f"<item jid='tybalt@{DOMAIN}' subscription='to'/>", answer)

    def test_versions(self) -> None:
        """Who has this version already gets nothing; who has another gets all (§2.6)."""
        empty = f"<iq from='{ROMEO}' to='{ROMEO}/1' type='result' id='r'/>"
        first = version_in(self.get(self.romeo))
        self.assertEqual(self.get(self.romeo, first), empty)
        self.set(f"<item jid='nurse@{DOMAIN}'/>")
        second = version_in(self.get(self.romeo))
        self.assertNotEqual(first, second)
        for old in ("", first, "never heard of"):
            self.assertEqual(version_in(self.get(self.romeo, old)), second)
        self.assertEqual(self.get(self.romeo, second), empty)

    def test_versions_of_shared_groups(self) -> None:
        """A version changes with what shared groups add, too."""
        group = SharedGroup("house", "The house", (ROMEO, f"nurse@{DOMAIN}"))
        before = version_in(self.get(self.romeo))
        done(self.house.server.shared_groups.save(group))
        answer = self.get(self.romeo, before)
        self.assertIn("<group>The house</group>", answer)
        self.assertNotIn("<query", self.get(self.romeo, version_in(answer)))

    def test_only_ones_own(self) -> None:
        """A roster belongs to its account (RO-13)."""
        item = f"<item jid='x@{DOMAIN}'/>"
        for to in (f"juliet@{DOMAIN}", DOMAIN):
            self.assert_refused("forbidden", self.set(item, to=to))

    def test_wrong_sets(self) -> None:
        """One contact at a time, with an address, names and groups that can be (§2.3.3)."""
        long = "x" * 1024
        for items, condition in (
            ("", "bad-request"),
            ("<item jid='a@x'/><item jid='b@x'/>", "bad-request"),
            ("<item/>", "bad-request"),
            ("<item jid='@'/>", "jid-malformed"),
            ("<item jid='a@x'><group>g</group><group>g</group></item>", "bad-request"),
            ("<item jid='a@x'><group/></item>", "not-acceptable"),
            (f"<item jid='a@x'><group>{long}</group></item>", "not-acceptable"),
            (f"<item jid='a@x' name='{long}'/>", "not-acceptable"),
            (
                "<item jid='a@x'><group>1</group><group>2</group><group>3</group></item>",
                "not-acceptable",
            ),
            ("<item jid='a@x' subscription='remove'/>", "item-not-found"),
        ):
            with self.subTest(items=items[:60]):
                self.assert_refused(condition, self.set(items))

    def test_limit(self) -> None:
        """A roster is full at its limit; what is in it can still be changed."""
        self.set("<item jid='a@x'/>")
        self.set("<item jid='b@x'/>")
        self.assert_refused("resource-constraint", self.set("<item jid='c@x'/>"))
        self.romeo.send("<presence to='d@x' type='subscribe'/>")
        self.assert_refused("resource-constraint", self.romeo.received())
        (answer,) = self.set("<item jid='b@x' name='B'/>")
        self.assertIn("type='result'", answer)

    def test_subscription_is_not_set(self) -> None:
        """A client never sets the subscription, and never loses it (RO-12)."""
        self.get(self.romeo)
        push, _ = self.set(f"<item jid='juliet@{DOMAIN}' subscription='none' name='J'/>")
        self.assertIn(f"<item jid='juliet@{DOMAIN}' subscription='both' name='J'/>", push)

    def test_pushed_where_it_was_asked_for(self) -> None:
        """Each resource that has asked for the roster, and no other, gets a push (RO-10)."""
        phone = self.house.bind("romeo", "phone")
        self.get(phone)
        (answer,) = self.set("<item jid='a@x'/>")
        self.assertIn("type='result'", answer)
        (push,) = phone.received()
        self.assertIn("<item jid='a@x' subscription='none'/>", push)


class LongRosterTests(SynchronousTestCase):
    """A roster that is too long for one turn of the reactor (CH-8)."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={f"n{number}": "both" for number in range(7)})
        self.house.server.broadcasts.contacts_per_slice = 3
        self.romeo = self.house.bind("romeo")
        self.other = self.house.bind("romeo", "2")

    def ask(self) -> None:
        """Ask for the roster."""
        self.romeo.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")

    def change(self, name: str) -> None:
        """Another of Romeo's clients names a contact."""
        item = f"<item jid='n0@{DOMAIN}' name='{name}'/>"
        self.other.send(f"<iq type='set' id='s'><query xmlns='{ns.ROSTER}'>{item}</query></iq>")

    def test_slices(self) -> None:
        """It comes whole, after some turns in which others are served."""
        self.ask()
        for _ in range(2):
            self.assertEqual(self.romeo.received(), [])
            next_turn(self.house.clock)
        (answer,) = self.romeo.received()
        self.assertEqual(answer.count("<item "), 7)
        roster = self.house.server.roster_manager._loaded[ROMEO]
        self.assertEqual(version_in(answer), roster.version_text)

    def test_changed_meanwhile(self) -> None:
        """It is of one version, and later ones are pushed behind it."""
        for changes in (1, 2, 5):
            self.setUp()
            self.ask()
            for number in range(changes):
                self.change(f"name{number}")
                for _ in range(2):
                    next_turn(self.house.clock)
            self.house.clock.advance(0)
            self.change("last")
            answer, *pushes = self.romeo.received()
            shown = re.findall("name='name([0-9])'", answer)
            self.assertEqual(len(shown), 1)
            self.assertEqual(len(pushes), changes - int(shown[0]))
            self.assertIn("name='last'", pushes[-1])


class SharedGroupTests(SynchronousTestCase):
    """People who see each other without asking."""

    def setUp(self) -> None:
        store = memory_store()
        store.rosters = self.rosters = Listening(store.database)
        self.house = House(DOMAIN, store=store, romeo={}, juliet={}, nurse={}, stranger={})
        group = SharedGroup("house", "House", (ROMEO, f"juliet@{DOMAIN}", f"nurse@{DOMAIN}"))
        done(self.house.server.shared_groups.save(group))

    def test_shown(self) -> None:
        """Members stand in each other's rosters, and in nobody else's (RO-6, RO-7)."""
        romeo, stranger = self.house.bind("romeo"), self.house.bind("stranger")
        for client in (romeo, stranger):
            client.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")
        (answer,) = romeo.received()
        for name in ("juliet", "nurse"):
            self.assertIn(
                f"<item jid='{name}@{DOMAIN}' subscription='both'><group>House</group></item>",
                answer,
            )
        (answer,) = stranger.received()
        self.assertNotIn("<item", answer)

    def test_nobody_is_loaded(self) -> None:
        """A presence goes to members who are here; no roster of others is read (RO-3, RO-14)."""
        (romeo,) = self.house.connect("romeo")
        (juliet,) = self.house.connect("juliet")
        (stanza,) = romeo.received()
        self.assertIn(f"from='juliet@{DOMAIN}/1'", stanza)
        romeo.abort()
        (stanza,) = juliet.received()
        self.assertEqual(
            stanza,
            f"<presence from='{ROMEO}/1' to='juliet@{DOMAIN}' type='unavailable'/>",
        )
        self.assertEqual(sorted(self.rosters.read), [f"juliet@{DOMAIN}", ROMEO])
        self.assertEqual(done(self.house.store.rosters.roster(ROMEO)).items, ())

    def test_not_to_be_removed(self) -> None:
        """What a group brings cannot be removed, but what one added oneself can (RO-8)."""
        romeo = self.house.bind("romeo")
        remove = (
            f"<iq type='set' id='x'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='nurse@{DOMAIN}' subscription='remove'/></query></iq>"
        )
        romeo.send(remove)
        self.assertIn("<not-acceptable ", "".join(romeo.received()))
        romeo.send(remove.replace(" subscription='remove'", " name='N'"))
        romeo.received()
        romeo.send(remove)
        self.assertIn("type='result'", "".join(romeo.received()))

    def test_still_seen(self) -> None:
        """Who loses a subscription but is in the same group sees no goodbye (PS-9)."""
        item = RosterItem(f"juliet@{DOMAIN}", subscription="from")
        done(self.house.store.rosters.save_roster_items(ROMEO, [item]))
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.send(f"<presence to='juliet@{DOMAIN}' type='unsubscribed'/>")
        self.assertNotIn("unavailable", "".join(juliet.received()))

    def test_probe(self) -> None:
        """A member's probe is answered, a stranger's is not (PM-5, PM-6)."""
        self.house.connect("romeo")
        juliet, stranger = self.house.bind("juliet"), self.house.bind("stranger")
        for client in (juliet, stranger):
            client.send(f"<presence type='probe' to='{ROMEO}'/>")
        self.assertEqual(
            juliet.received(), [f"<presence from='{ROMEO}/1' to='juliet@{DOMAIN}/1'/>"]
        )
        self.assertEqual(stranger.received(), [])


class Listening(RosterStore):
    """Rosters that note who is asked for."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.read: list[str] = []

    async def roster(self, account: str) -> RosterData:
        self.read.append(account)
        return await super().roster(account)


class GuestTests(SynchronousTestCase):
    """ANONYMOUS: an account that no store knows (BI-4)."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={})
        (self.romeo,) = self.house.connect("romeo")
        (self.guest,) = self.house.connect("guest")

    def test_nothing_is_kept(self) -> None:
        """A guest keeps no contacts, asks nobody, and leaves nothing behind."""
        item = f"<item jid='{ROMEO}' subscription='{{}}'/>"
        for text in (
            *(
                f"<iq type='set' id='s'><query xmlns='{ns.ROSTER}'>{item.format(kind)}</query></iq>"
                for kind in ("none", "remove")
            ),
            *(
                f"<presence to='{ROMEO}' type='{kind}'/>"
                for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed")
            ),
        ):
            self.guest.send(text)
            self.assertIn("<not-allowed ", "".join(self.guest.received()))
        self.guest.abort()
        account = f"guest@{DOMAIN}"
        self.assertEqual(done(self.house.store.rosters.roster(account)).items, ())
        self.assertEqual(done(self.house.store.presences.last_presence([account])), {})
        self.assertEqual(done(self.house.store.rosters.roster(ROMEO)).items, ())

    def test_nobody_asks_a_guest(self) -> None:
        """A request to a guest is ignored like one to nobody."""
        self.romeo.send(f"<presence to='guest@{DOMAIN}' type='subscribe'/>")
        self.assertNotIn("<presence", "".join(self.romeo.received()))
        self.assertEqual(self.guest.received(), [])

    def test_messages(self) -> None:
        """A guest can be written to while it is here, and not afterwards."""
        message = f"<message to='guest@{DOMAIN}' type='chat'><body>hi</body></message>"
        self.romeo.send(message)
        self.assertIn("<body>hi</body>", "".join(self.guest.received()))
        self.guest.send("<presence type='unavailable'/>")
        self.romeo.send(message)
        self.assertIn("<service-unavailable ", "".join(self.romeo.received()))
        self.assertEqual(done(self.house.store.offline.offline_messages(f"guest@{DOMAIN}")), [])

    def test_directed_presence(self) -> None:
        """A guest tells in private, as one who enters a room does, and its goodbye follows."""
        self.guest.send(f"<presence to='{ROMEO}/1'/>")
        self.guest.abort()
        self.assertEqual(
            [stanza.partition(" to=")[2] for stanza in self.romeo.received()],
            [f"'{ROMEO}/1'/>", f"'{ROMEO}/1' type='unavailable'/>"],
        )
