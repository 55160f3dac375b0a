"""What others, or one's own client, cannot fill."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.handler import presence_subscribe_handler
from xmppd.stanza import ns
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House, house_config


def added(client: Client, jid: str, words: str = "") -> str:
    """What adding a contact with this name and these groups is answered."""
    client.send(
        f"<iq type='set' id='s'><query xmlns='{ns.ROSTER}'><item jid='{jid}'{words}</query></iq>"
    )
    return client.received()[-1]


class RosterTests(SynchronousTestCase):
    """Rosters, which are in memory while their owners are online."""

    def test_words(self) -> None:
        """A contact's name and groups take four kilobytes at most, in bytes as they are kept."""
        house = House(romeo={})
        (romeo,) = house.connect("romeo")
        rose = "\N{ROSE}"
        few = f" name='{rose * 512}'><group>{rose * 512}</group></item>"
        many = f" name='{rose * 512}'><group>{rose * 513}</group></item>"
        self.assertIn("type='result'", added(romeo, "juliet@capulet.lit", few))
        self.assertIn("<not-acceptable", added(romeo, "juliet@capulet.lit", many))

    def test_requests_of_strangers(self) -> None:
        """Strangers who ask take none of the room of contacts, and have only so much themselves."""
        self.patch(presence_subscribe_handler, "MAX_REQUESTS", 2)
        config = house_config("montague.lit", roster={"max_items": 2})
        house = House(config=config, romeo={}, a={}, b={}, c={})
        (romeo,) = house.connect("romeo")
        connections = house.connect("a", "b", "c")
        for client in connections:
            client.send("<presence type='subscribe' to='romeo@montague.lit'/>")
        self.assertIn("<resource-constraint", connections[2].received()[-1])
        self.assertEqual(len(house.server.roster_manager._loaded["romeo@montague.lit"].items), 2)
        for contact in ("x@capulet.lit", "y@capulet.lit"):
            self.assertIn("type='result'", added(romeo, contact, "/>"))
        self.assertIn("<resource-constraint", added(romeo, "z@capulet.lit", "/>"))

    def test_whatever_makes_a_contact(self) -> None:
        """A full roster takes no contact more, be it set, asked for, approved or approved ahead."""
        house = House(
            config=house_config("montague.lit", roster={"max_items": 2}), romeo={}, a={}, b={}
        )
        romeo, a, b = house.connect("romeo", "a", "b")
        for client in (a, b):
            client.send("<presence type='subscribe' to='romeo@montague.lit'/>")
        added(romeo, "x@capulet.lit", "/>")
        romeo.send("<presence type='subscribed' to='a@montague.lit'/>")  # the last one
        self.assertNotIn("<error", "".join(romeo.received()))
        full = "<resource-constraint"
        for kind, contact in (
            ("subscribed", "b@montague.lit"),
            ("subscribed", "y@capulet.lit"),
            ("subscribe", "y@capulet.lit"),
        ):
            with self.subTest(kind=kind, contact=contact):
                romeo.send(f"<presence type='{kind}' to='{contact}'/>")
                self.assertIn(full, romeo.received()[-1])
        self.assertIn(full, added(romeo, "b@montague.lit", " name='B'/>"))
        self.assertNotIn(full, added(romeo, "x@capulet.lit", " name='X'/>"))
        roster = house.server.roster_manager._loaded["romeo@montague.lit"]
        self.assertEqual(roster.count, 2)
        self.assertEqual([item.jid for item in roster.requests], ["b@montague.lit"])

    def test_share_of_a_domain(self) -> None:
        """However many strangers somebody makes up at its own domain, others may still ask."""
        self.patch(presence_subscribe_handler, "MAX_REQUESTS", 100)
        self.patch(presence_subscribe_handler, "MAX_REQUESTS_BYTES", 20_000)
        house = House(romeo={}, juliet={})
        elsewhere = Elsewhere(house)
        (juliet,) = house.connect("juliet")
        long = f"<status>{'x' * 1_000}</status>"
        request = "<presence type='subscribe' to='romeo@montague.lit' from='{}@{}'>{}</presence>"
        for number in range(100):
            elsewhere.send(request.format(number, "evil.lit", long))
        answers = elsewhere.heard()
        self.assertEqual(len(answers), 50)
        self.assertIn("<resource-constraint", answers[0])
        for name in ("verona.lit", "mantua.lit"):
            for number in range(10):
                elsewhere.send(request.format(number, name, "<status>hi</status>"))
        self.assertEqual(elsewhere.heard(), [])
        juliet.send("<presence type='subscribe' to='romeo@montague.lit'/>")
        self.assertNotIn("type='error'", "".join(juliet.received()))
        items = done(house.store.rosters.roster("romeo@montague.lit")).items
        self.assertEqual(len(items), 71)
        requests = {item.jid: item.pending_in or b"" for item in items}
        self.assertLess(sum(map(len, requests.values())), 20_000)
        self.assertIn(b"xxx", requests["0@evil.lit"])
        self.assertNotIn(b"xxx", requests["49@evil.lit"])  # but it is asked
        self.assertIn(b"type='subscribe'", requests["49@evil.lit"])
        self.assertIn(b"hi", requests["9@mantua.lit"])

    def test_long_request(self) -> None:
        """A request is handed out as it came; what waits of it is not more than is decent."""
        house = House(romeo={}, tybalt={})
        romeo, tybalt = house.connect("romeo", "tybalt")
        for length, kept in ((3_900, True), (100_000, False)):
            status = f"<status>{'x' * length}</status>"
            tybalt.send(f"<presence type='subscribe' to='romeo@montague.lit'>{status}</presence>")
            self.assertIn(status, romeo.received()[0])
            (item,) = done(house.store.rosters.roster("romeo@montague.lit")).items
            self.assertIs(status.encode() in (item.pending_in or b""), kept)
            self.assertIn(b"type='subscribe'", item.pending_in or b"")
            tybalt.send("<presence type='unsubscribe' to='romeo@montague.lit'/>")
            romeo.raw()

    def test_request_of_a_contact(self) -> None:
        """Whoever is in the roster already may always ask."""
        self.patch(presence_subscribe_handler, "MAX_REQUESTS", 0)
        house = House(romeo={}, juliet={})
        done(
            house.store.rosters.save_roster_items(
                "romeo@montague.lit", [RosterItem("juliet@montague.lit")]
            )
        )
        romeo, juliet = house.connect("romeo", "juliet")
        juliet.send("<presence type='subscribe' to='romeo@montague.lit'/>")
        self.assertIn("subscribe", romeo.received()[-1])
