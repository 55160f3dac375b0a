"""What happens while the store takes its time."""

import sys
from itertools import product

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.scenarios.spread import Spread, SpreadStore
from tests.support import SlowStore
from xmppd.roster.subscription import State, state_of
from xmppd.stanza import ns
from xmppd.testing.client import done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"
MIRROR = {
    State.NONE: State.NONE, State.NONE_OUT: State.NONE_IN, State.NONE_IN: State.NONE_OUT,
    State.NONE_OUT_IN: State.NONE_OUT_IN, State.TO: State.FROM, State.FROM: State.TO,
    State.TO_IN: State.FROM_OUT, State.FROM_OUT: State.TO_IN, State.BOTH: State.BOTH,
}  # fmt: skip


class RaceCase(SynchronousTestCase):
    is_ordered = True
    """Whether what two clients say at once has an order; at two nodes no clock says which it is."""

    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(DOMAIN, store=self.store, romeo={}, juliet={})

    def release_from(self, end: int) -> None:
        """Answer all, always the first (0) or the last (-1) of those who wait."""
        while self.store.waiting:
            self.store.waiting.pop(end).callback(None)
        self.store.slow = False

    def forget(self, account: str) -> None:
        """Have a roster read again the next time, wherever it is in memory."""
        self.house.server.roster_manager.forget(account)

    def state(self, owner: str, contact: str) -> State:
        """How the contact stands in the owner's roster, as the store has it."""
        items = {item.jid: item for item in done(self.store.rosters.roster(owner)).items}
        return state_of(items.get(contact))

    def assert_agreed(self) -> State:
        """Memory and store, Romeo's side and Juliet's say the same."""
        mine, theirs = self.state(ROMEO, JULIET), self.state(JULIET, ROMEO)
        self.assertIs(theirs, MIRROR[mine])
        roster = done(self.house.server.roster_manager.roster(self.house.jid("romeo")))
        self.assertIs(state_of(roster.items.get(JULIET)), mine)
        return mine


class RaceTests(RaceCase):
    def test_two_stanzas_at_once(self) -> None:
        """What two resources of Romeo say of Juliet at once happens in the order it was said, or at
        two nodes in one order on both sides.
        """
        for end in (0, -1):
            for kinds in (("subscribe", "unsubscribe"), ("unsubscribe", "subscribe")):
                with self.subTest(end=end, kinds=kinds):
                    self.setUp()
                    clients = self.house.connect("romeo/1", "romeo/2")
                    self.store.slow = True
                    for client, kind in zip(clients, kinds, strict=True):
                        client.send(f"<presence to='{JULIET}' type='{kind}'/>")
                    self.release_from(end)
                    after = {"subscribe": State.NONE_OUT, "unsubscribe": State.NONE}
                    last = kinds[1:] if self.is_ordered else kinds
                    self.assertIn(self.assert_agreed(), [after[kind] for kind in last])

    def test_both_ask_at_once(self) -> None:
        """Romeo and Juliet ask each other at once: both requests wait."""
        for end in (0, -1):
            with self.subTest(end=end):
                self.setUp()
                romeo, juliet = self.house.connect("romeo", "juliet")
                self.store.slow = True
                romeo.send(f"<presence to='{JULIET}' type='subscribe'/>")
                juliet.send(f"<presence to='{ROMEO}' type='subscribe'/>")
                self.release_from(end)
                self.assertIs(self.assert_agreed(), State.NONE_OUT_IN)

    def test_removed_while_asked(self) -> None:
        """Romeo removes Juliet while she asks: one after the other, and she is not left waiting."""
        for end in (0, -1):
            with self.subTest(end=end):
                self.setUp()
                romeo, juliet = self.house.connect("romeo", "juliet")
                romeo.send(f"<presence to='{JULIET}' type='subscribe'/>")
                juliet.send(f"<presence to='{ROMEO}' type='subscribed'/>")
                self.store.slow = True
                romeo.send(
                    f"<iq type='set' id='x'><query xmlns='{ns.ROSTER}'>"
                    f"<item jid='{JULIET}' subscription='remove'/></query></iq>"
                )
                juliet.send(f"<presence to='{ROMEO}' type='subscribe'/>")
                self.release_from(end)
                if self.assert_agreed() is State.NONE_IN:
                    self.assertIn("type='subscribe'", "".join(romeo.received()))
                else:
                    self.assertIn("type='unsubscribed'", "".join(juliet.received()))

    def test_lost_while_the_roster_is_read(self) -> None:
        """Whoever is lost while its roster is read again is still said goodbye for."""
        self.house = House(
            DOMAIN, store=SlowStore(), romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        self.store = self.house.store  # type: ignore[assignment]
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.forget(ROMEO)
        self.store.slow = True
        romeo.abort()
        self.assertEqual(juliet.received(), [])
        self.release_from(0)
        (stanza,) = juliet.received()
        self.assertIn("type='unavailable'", stanza)
        self.assertEqual(self.house.server.routing_table.available(ROMEO), ())

    def test_comes_and_goes_while_the_roster_is_read(self) -> None:
        """An available presence that waits for its roster is not told once its sender is lost."""
        self.house = House(
            DOMAIN, store=SlowStore(), romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        self.store = self.house.store  # type: ignore[assignment]
        (juliet,) = self.house.connect("juliet")
        romeo = self.house.bind("romeo")
        self.forget(ROMEO)
        self.store.slow = True
        romeo.send("<presence/>")
        romeo.abort()
        self.release_from(0)
        self.assertEqual(juliet.received(), [])

    def test_lost_while_it_hides(self) -> None:
        """Who is lost while the end of a subscription is stored is seen to leave, once."""
        for by, answers in product(("romeo", "juliet"), range(6)):
            with self.subTest(by=by, answers=answers):
                self.store = SlowStore()
                self.house = House(
                    DOMAIN, store=self.store, romeo={"juliet": "both"}, juliet={"romeo": "both"}
                )
                romeo, phone, juliet = self.house.connect("romeo", "romeo/phone", "juliet")
                self.store.slow = True
                if by == "romeo":
                    phone.send(f"<presence to='{JULIET}' type='unsubscribed'/>")
                else:
                    juliet.send(f"<presence to='{ROMEO}' type='unsubscribe'/>")
                self.store.release(answers)
                romeo.abort()
                self.release_from(0)
                seen = "".join(juliet.received())
                self.assertEqual(seen.count(f"from='{ROMEO}/1'"), 1)
                self.assert_agreed()

    def test_many_ask_for_one_roster(self) -> None:
        """A roster that many ask for at once is read once, and who asked first has it first."""
        rosters = self.house.server.roster_manager
        self.store.slow = True
        order: list[int] = []

        async def ask(number: int) -> None:
            await rosters.roster(self.house.jid("romeo"))
            order.append(number)

        for number in range(3):
            self.assertNoResult(Deferred.fromCoroutine(ask(number)))
        self.assertEqual(len(self.store.waiting), 1)
        self.store.release()
        self.assertEqual(order, [0, 1, 2])

    def test_store_fails(self) -> None:
        """A change that could not be stored is told as failed, and undone in memory."""
        (romeo,) = self.house.connect("romeo")
        self.store.broken = {"save_roster_items"}
        romeo.send(
            f"<iq type='set' id='x'><query xmlns='{ns.ROSTER}'><item jid='a@x'/></query></iq>"
        )
        (answer,) = romeo.received()
        self.assertIn("<error type='wait'><resource-constraint ", answer)
        roster = done(self.house.server.roster_manager.roster(self.house.jid("romeo")))
        self.assertEqual(roster.items, {})
        romeo.send("<presence><show>away</show></presence>")
        self.assertIn("<show>away</show>", "".join(romeo.received()))

    def test_forgotten_roster(self) -> None:
        """Contacts whose rosters have to be read again are seen all the same."""
        self.house = House(
            DOMAIN, store=self.store, nurse={"tybalt": "both"}, tybalt={"nurse": "both"}
        )
        self.house.connect("nurse")
        self.forget(f"nurse@{DOMAIN}")
        tybalt = self.house.bind("tybalt")
        tybalt.send("<presence/>")
        self.assertEqual(
            [stanza.partition("'")[2].partition("'")[0] for stanza in tybalt.received()],
            [f"tybalt@{DOMAIN}/1", f"nurse@{DOMAIN}/1"],
        )

    def test_wire_waits(self) -> None:
        """While a stanza waits for the store, the next one of that client does not overtake it."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.store.slow = True
        romeo.send(f"<presence to='{JULIET}' type='subscribe'/><message to='{JULIET}/1'/>")
        self.assertEqual(juliet.received(), [])
        self.release_from(0)
        self.assertEqual(
            [stanza.partition(" ")[0] for stanza in juliet.received()], ["<presence", "<message"]
        )


class RacesOnNodesTests(RaceCase):
    """The same, with everybody at another of three nodes."""

    is_ordered = False

    def setUp(self) -> None:
        module = sys.modules[__name__]
        self.patch(module, "SlowStore", SpreadStore)
        self.patch(module, "House", Spread)
        super().setUp()

    @override
    def release_from(self, end: int) -> None:
        house: object = self.house
        assert isinstance(house, Spread), "it is patched"
        house.nodes.settle()
        while self.store.waiting:
            self.store.waiting.pop(end).callback(None)
            house.nodes.settle()
        self.store.slow = False

    @override
    def forget(self, account: str) -> None:
        house: object = self.house
        assert isinstance(house, Spread), "it is patched"
        for node in house.nodes.houses.values():
            node.server.roster_manager.forget(account)


for _name, _test in vars(RaceTests).items():
    if _name.startswith("test_"):
        setattr(RacesOnNodesTests, _name, _test)
