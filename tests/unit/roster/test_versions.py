"""Two nodes change one roster: neither loses what the other has changed (CL-41)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from sqlalchemy import Connection, Select
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.seeds import some_seed
from xmppd.events import On
from xmppd.roster.roster import Roster
from xmppd.roster.roster_manager import Change, ContactChanged, RosterManager
from xmppd.stanza import JID, Condition, ErrorType, Presence, StanzaError, ns
from xmppd.store.database import Columns, Parameters, T
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes, SharedMemoryDatabase

JULIET = "juliet@montague.lit"
NURSE = "nurse@montague.lit"


def in_group(group: str) -> Callable[[RosterItem | None], Change]:
    """Put a contact into one more group."""

    def decide(item: RosterItem | None) -> Change:
        item = item or RosterItem(JULIET)
        return Change(replace(item, groups=(*item.groups, group)))

    return decide


class TwoNodesTests(SynchronousTestCase):
    """Romeo is at both."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.romeo = self.nodes["a"].jid("romeo")
        (self.phone,) = self.nodes["a"].connect("romeo/phone")
        (self.desk,) = self.nodes["b"].connect("romeo/desk")
        self.phone.received(), self.desk.received()

    def manager(self, node: str) -> RosterManager:
        """The rosters of a node."""
        return self.nodes[node].server.roster_manager

    def roster(self, node: str) -> Roster:
        """Romeo's roster at a node."""
        roster = self.manager(node).loaded(self.romeo.bare)
        assert roster is not None, "he is there"
        return roster

    def stored(self) -> dict[str, RosterItem]:
        """What the store has of Romeo's roster."""
        kept = done(self.nodes["a"].store.rosters.roster(self.romeo.bare))
        return {item.jid: item for item in kept.items}

    def request(self, jid: str) -> RosterItem:
        """Somebody who has asked to see Romeo, and is no contact."""
        asked = Presence.make(self.romeo, JID.parse(jid), type="subscribe")
        return RosterItem(jid, pending_in=asked.wire())

    def change(self, node: str, jid: str, decide: Callable[[RosterItem | None], Change]) -> None:
        """Decide something at a node."""
        done(self.manager(node).change(self.roster(node), jid, decide))

    def test_decided_again(self) -> None:
        """What another node has changed is read, and the change is made of that."""
        self.change("a", JULIET, in_group("Capulets"))
        self.change("b", JULIET, in_group("Friends"))
        self.assertEqual(self.stored()[JULIET].groups, ("Capulets", "Friends"))
        self.assertEqual(self.roster("b").items, self.stored())

    def test_by_clients(self) -> None:
        """Clients at both nodes lose no contact, and each is told what it did not know."""
        for client, jid in ((self.phone, "benvolio@x"), (self.desk, "mercutio@x")):
            client.send(
                f"<iq type='set' id='s'><query xmlns='{ns.ROSTER}'><item jid='{jid}'/></query></iq>"
            )
        told = "".join(self.desk.received())
        self.assertIn("jid='benvolio@x'", told)
        self.assertIn("jid='mercutio@x'", told)
        self.assertLess(told.index("jid='benvolio@x'"), told.index("jid='mercutio@x'"))
        self.assertEqual(self.stored().keys(), {JULIET, "benvolio@x", "mercutio@x"})
        self.desk.send(f"<iq type='get' id='g'><query xmlns='{ns.ROSTER}'/></iq>")
        answer = self.desk.received()[-1]
        pushed = told.rpartition("ver='")[2].partition("'")[0]
        self.assertIn(f"ver='{pushed}'", answer)

    def test_no_longer_needed(self) -> None:
        """What another node has done already is told here, and not done twice."""
        self.change("a", NURSE, lambda _: Change(RosterItem(NURSE, name="Angelica")))
        version = done(self.nodes["a"].store.rosters.roster(self.romeo.bare)).version

        def once(item: RosterItem | None) -> Change | None:
            return Change(RosterItem(NURSE)) if item is None else None

        before = done(self.manager("b").change(self.roster("b"), NURSE, once))
        self.assertEqual(before, RosterItem(NURSE, name="Angelica"))
        self.assertIn("name='Angelica'", "".join(self.desk.received()))
        self.assertEqual(self.roster("b").version, version)

    def test_refused_again(self) -> None:
        """Where another node took the last place there is no room, and nothing of it is left."""
        house = self.nodes["b"]
        most = house.server.config.roster.max_items - 2
        done(
            self.nodes["a"].store.rosters.save_roster_items(
                self.romeo.bare, [RosterItem(f"c{number}@x") for number in range(most)]
            )
        )
        done(self.manager("b").reread(self.romeo, 2**62))
        self.change("a", NURSE, lambda _: Change(RosterItem(NURSE)))
        with self.assertRaises(StanzaError) as refused:
            self.change("b", "late@x", lambda _: Change(RosterItem("late@x")))
        self.assertIs(refused.exception.condition, Condition.RESOURCE_CONSTRAINT)
        self.assertEqual(self.roster("b").items, self.stored())

    def test_gives_up(self) -> None:
        """If the roster is another one each time, the client is told to try again."""
        asked: list[RosterItem | None] = []

        def late(item: RosterItem | None) -> Change:
            asked.append(item)
            self.change("a", JULIET, in_group(f"{len(asked)}"))
            return in_group("Friends")(item)

        with self.assertRaises(StanzaError) as refused:
            self.change("b", JULIET, late)
        self.assertIs(refused.exception.condition, Condition.RESOURCE_CONSTRAINT)
        self.assertIs(refused.exception.type, ErrorType.WAIT)
        self.assertEqual(len(asked), 4)
        self.assertEqual(self.stored()[JULIET].groups, ("1", "2", "3", "4"))
        self.assertEqual(self.roster("b").items, self.stored())

    def test_subscriptions(self) -> None:
        """Two stanzas that move one contact at two nodes are both heard: neither undoes the other,
        and whoever may not see Romeo any more is told that he is gone, once.
        """
        (juliet,) = self.nodes["b"].connect("juliet")
        juliet.received()
        self.phone.send(f"<presence to='{JULIET}' type='unsubscribe'/>")
        self.desk.send(f"<presence to='{JULIET}' type='unsubscribed'/>")
        self.assertEqual(self.stored()[JULIET], RosterItem(JULIET, subscription="none"))
        gone = [each for each in juliet.received() if "type='unavailable'" in each]
        self.assertEqual(len([each for each in gone if "/desk" in each]), 1)

    def test_hidden_after_all(self) -> None:
        """Who was let see the account on another node, while this one refused it, sees it leave."""
        self.change("a", NURSE, lambda _: Change(self.request(NURSE)))
        done(self.manager("b").reread(self.romeo, self.roster("a").version))
        self.nodes["a"].add("nurse", {"romeo": "to"})
        (nurse,) = self.nodes["b"].connect("nurse")
        self.change("a", NURSE, lambda _: Change(RosterItem(NURSE, subscription="from")))
        nurse.received()
        self.desk.send(f"<presence to='{NURSE}' type='unsubscribed'/>")
        told = "".join(nurse.received())
        self.assertEqual(told.count("type='unavailable'"), 1)
        self.assertIn("type='unsubscribed'", told)
        self.assertEqual(self.stored()[NURSE], RosterItem(NURSE))

    def test_reread(self) -> None:
        """What another node has stored is taken into the same object, and its clients and those who
        look at contacts are told; what is known already is not read again.
        """
        seen: list[ContactChanged] = []
        self.nodes["b"].server.events.put(On(ContactChanged, seen.append), "tests")
        before = self.roster("b")
        self.change("a", JULIET, in_group("Friends"))
        self.change("a", "hidden@x", lambda _: Change(self.request("hidden@x")))
        done(self.manager("b").reread(self.romeo, self.roster("a").version))
        self.assertIs(self.roster("b"), before)
        self.assertEqual(before.items, self.stored())
        self.assertEqual({change.jid for change in seen}, {JULIET, "hidden@x"})
        (push,) = self.desk.received()
        self.assertIn("<group>Friends</group>", push)
        self.assertIn(f"ver='{before.version}'", push)
        self.patch(self.nodes["b"].store.rosters, "roster", None)
        done(self.manager("b").reread(self.romeo, self.roster("a").version))
        done(self.manager("b").reread(self.nodes["b"].jid("nobody"), 5))

    def test_shared_groups(self) -> None:
        """A contact that a shared group changes is shown with a version that nobody else gave."""
        self.change("a", JULIET, in_group("Friends"))
        done(self.manager("b").show(self.roster("b"), [JULIET]))
        self.assertEqual(self.roster("b").items, self.stored())
        self.assertLess(self.roster("a").version, self.roster("b").version)


class SlowDatabase(SharedMemoryDatabase):
    """Several servers use it; it does what it is asked when it is told to, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.waiting: list[Deferred[None]] = []

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        await self._wait()
        return await super().read(query, parameters)

    @override
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        await self._wait()
        return await super().write(change, limit_s)

    async def _wait(self) -> None:
        if self.slow:
            turn: Deferred[None] = Deferred()
            self.waiting.append(turn)
            await turn


class NothingIsLostTests(SynchronousTestCase):
    def test_change_that_waits(self) -> None:
        """Who may not see the account any more does not see it for a moment, because the roster is
        read again for another change, before that is stored.
        """
        database = SlowDatabase()
        nodes = Nodes("a", "b", database=database, romeo={"juliet": "both", "nurse": "both"})
        self.connect(nodes)
        here, there = nodes["a"], nodes["b"]
        self.successResultOf(self.begin(there, NURSE, "Capulets"))
        database.slow = True
        changes = [self.begin(here, NURSE, "Friends"), self.begin(here, JULIET, "Friends")]
        roster = here.server.roster_manager.loaded("romeo@montague.lit")
        assert roster is not None, "he is there"
        while database.waiting:
            self.assertEqual(roster.items[JULIET].groups, ("Friends",))
            database.waiting.pop(0).callback(None)
        for change in changes:
            self.successResultOf(change)
        self.assertEqual(roster.items[NURSE].groups, ("Capulets", "Friends"))
        self.assertEqual(roster.items[JULIET].groups, ("Friends",))

    def test_nothing_is_lost(self) -> None:
        """In whatever order the store does what the nodes ask: each change that was reported as
        made is in the roster, once, and none that was not; and every node has what is stored.
        """
        for seed in range(some_seed(), some_seed() + 60):
            with self.subTest(seed=seed):
                self.play(Random(seed))

    def play(self, chance: Random) -> None:
        """Have three nodes change two contacts."""
        database = SlowDatabase()
        nodes = Nodes("a", "b", "c", database=database, romeo={"juliet": "both", "nurse": "to"})
        houses = list(nodes.houses.values())
        romeo = houses[0].jid("romeo")
        self.connect(nodes)
        database.slow = True
        made: list[tuple[str, str, Deferred[RosterItem | None]]] = []
        for number in range(chance.randint(2, 9)):
            house = chance.choice(houses)
            jid = chance.choice((JULIET, NURSE))
            made.append((jid, str(number), self.begin(house, jid, str(number))))
            for _ in range(chance.randint(0, 3)):
                self.let_one(database, chance)
        while database.waiting:
            self.let_one(database, chance)
        database.slow = False
        stored = done(houses[0].store.rosters.roster(romeo.bare))
        for contact in stored.items:
            expected = [
                name for jid, name, change in made
                if jid == contact.jid and not isinstance(self.outcome(change), StanzaError)
            ]  # fmt: skip
            self.assertEqual(sorted(contact.groups), sorted(expected))
        for house in houses:
            done(house.server.roster_manager.reread(romeo, stored.version))
            roster = house.server.roster_manager.loaded(romeo.bare)
            assert roster is not None, "he is there"
            self.assertEqual(roster.items, {item.jid: item for item in stored.items})
            self.assertEqual(roster.unstored, {})

    def connect(self, nodes: Nodes) -> None:
        """Have Romeo be at each node."""
        for name, house in nodes.houses.items():
            house.connect(f"romeo/{name}")

    def begin(self, house: House, jid: str, group: str) -> Deferred[RosterItem | None]:
        """Change a contact at a node."""
        rosters = house.server.roster_manager
        roster = rosters.loaded(house.jid("romeo").bare)
        assert roster is not None, "he is there"

        def decide(item: RosterItem | None) -> Change:
            assert item is not None, "nobody removes it"
            return Change(replace(item, groups=(*item.groups, group)))

        return Deferred.fromCoroutine(rosters.change(roster, jid, decide))

    def let_one(self, database: SlowDatabase, chance: Random) -> None:
        """Have the store do one of the things that it was asked."""
        if database.waiting:
            database.waiting.pop(chance.randrange(len(database.waiting))).callback(None)

    def outcome(self, change: Deferred[RosterItem | None]) -> object:
        """What came of a change: the contact before, or the error."""
        results: list[object] = []
        change.addBoth(lambda result: results.append(getattr(result, "value", result)))
        (result,) = results
        change.addCallback(lambda _: None)
        return result
