"""What the tables of nodes do, asked of each database."""

from collections.abc import Awaitable

from tests.unit.store.contract import JULIET, ROMEO, Asking
from xmppd.stanza import JID
from xmppd.store.claim_tokens import Deposed
from xmppd.store.errors import QuotaExceeded
from xmppd.store.sql import Connection, update
from xmppd.store.tables import Tables
from xmppd_plugins.pubsub.access import Affiliation
from xmppd_plugins.pubsub.config import NodeConfig, WhenFull
from xmppd_plugins.pubsub.state import (
    Follow,
    FollowOptions,
    FollowState,
    NewItem,
    NodeName,
    NodeState,
)
from xmppd_plugins.pubsub.store import PubSubStore
from xmppd_plugins.pubsub.tables import NodeExists, NodeFull, metadata, nodes, roles

HOST = JID.parse("pubsub.montague.lit")
NEWS = NodeName(HOST.full, "news")
ODD = NodeName(HOST.full, "𝔘 ' \n" + "n" * 1_000)


class StoreContract(Asking):
    """A plugin that is loaded, in an open store."""

    async def shelf(self, *names: NodeName) -> PubSubStore:
        """The nodes, some of which there are."""
        await self.store.tables.put(Tables(metadata), "pubsub")
        store = PubSubStore(self.store.database)
        for name in names:
            await self.make(store, name)
        return store

    async def make(self, store: PubSubStore, name: NodeName, most: int = 10) -> NodeState:
        """Make a node."""
        state = NodeState(name, NodeConfig(title=name.node), 1.5, ROMEO)
        state.affiliations[ROMEO] = Affiliation.OWNER
        await store.create(state, 1, max_nodes=most)
        return state

    async def fails(self, work: Awaitable[object], kind: type[Exception]) -> None:
        """Have something fail."""
        try:
            await work
        except kind:
            return
        self.fail(f"no {kind.__name__}")

    async def put(self, store: PubSubStore, *ids: str, most: int = 10, token: int = 1) -> list[str]:
        """Publish; returns the ids of those that made room."""
        new = [NewItem(id, ROMEO, 2.5, f"<a>{id}</a>".encode(), 100.0) for id in ids]
        kept = await store.items.publish(
            NEWS, token, new, most=most, when_full=WhenFull.DISCARD_OLDEST
        )
        return kept.gone

    async def ids(self, store: PubSubStore) -> list[str]:
        """The ids of all items, the newest last."""
        return [item.id for item in await store.items.page(NEWS, 100)]

    async def test_node(self) -> None:
        """A node is read as it was made, whatever its name."""
        store = await self.shelf()
        for name in (NEWS, ODD):
            made = await self.make(store, name)
            self.assertEqual(await store.node(name), made)
        self.assertIsNone(await store.node(NodeName(HOST.full, "olds")))
        self.assertIsNone(await store.node(NodeName("montague.lit", "news")))

    async def test_exists(self) -> None:
        """A node is made once."""
        store = await self.shelf(NEWS)
        await self.fails(self.make(store, NEWS), NodeExists)

    async def test_too_many(self) -> None:
        """A host has so many nodes at most."""
        store = await self.shelf(NEWS)
        await self.fails(self.make(store, ODD, most=1), QuotaExceeded)

    async def test_items(self) -> None:
        """Items are in the order in which they were published, and rise for ever."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", "b")
        await self.put(store, "c", "a")
        self.assertEqual(await self.ids(store), ["b", "c", "a"])
        page = await store.items.page(NEWS, 2)
        self.assertEqual([item.id for item in page], ["c", "a"])
        self.assertEqual(page[1].payload, b"<a>a</a>")
        self.assertEqual((page[1].publisher, page[1].published), (ROMEO, 2.5))
        older = await store.items.page(NEWS, 5, before=page[0].position)
        self.assertEqual([item.id for item in older], ["b"])
        oldest = await store.items.page(NEWS, 2, newest=False)
        self.assertEqual([item.id for item in oldest], ["b", "c"])
        self.assertEqual((await store.items.totals(NEWS)).items, 3)

    async def test_room_bytes(self) -> None:
        """No more is read than there is room for, from either end; one is read in any case."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", "b", "c")
        size = NewItem("a", ROMEO, 2.5, b"<a>a</a>").size
        for room, newest, oldest in (
            (1, ["c"], ["a"]),
            (2 * size - 1, ["c"], ["a"]),
            (2 * size, ["b", "c"], ["a", "b"]),
            (3 * size, ["a", "b", "c"], ["a", "b", "c"]),
        ):
            for wanted, from_newest in ((newest, True), (oldest, False)):
                page = await store.items.page(NEWS, 9, room_bytes=room, newest=from_newest)
                self.assertEqual([item.id for item in page], wanted)

    async def test_heads(self) -> None:
        """Items are listed without what is in them."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", "b", "c")
        heads = await store.items.heads(NEWS, 2)
        self.assertEqual([(head.id, head.size) for head in heads], [("b", 73), ("c", 73)])
        by_id = await store.items.heads_by_id(NEWS, ("a", "x"))
        self.assertEqual([head.publisher for head in by_id.values()], [ROMEO])

    async def test_totals(self) -> None:
        """How many items a node has, and how large they are, is counted as they come and go."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", "b", "c")
        self.assertEqual(await store.items.totals(NEWS), (3, 3 * 73))
        await self.put(store, "c", "dd")
        self.assertEqual(await store.items.totals(NEWS), (4, 4 * 73 + 2))
        await store.items.retract(NEWS, 1, ("a", "x"))
        self.assertEqual(await store.items.totals(NEWS), (3, 3 * 73 + 2))
        await self.put(store, "e", most=2)
        self.assertEqual(await store.items.totals(NEWS), (2, 2 * 73 + 2))
        await store.items.trim(NEWS, 1, 1)
        self.assertEqual(await store.items.totals(NEWS), (1, 73))
        await store.items.purge(NEWS, 1)
        self.assertEqual(await store.items.totals(NEWS), (0, 0))

    async def test_host_full(self) -> None:
        """The items of all nodes of a host together have a limit, at which nothing is changed."""
        store = await self.shelf(NEWS, ODD)
        await self.put(store, "a")
        new = [NewItem("b", ROMEO, 2.5, b"<a>b</a>")]
        for limit, kind in ((2 * 73 - 1, QuotaExceeded), (2 * 73, None)):
            adding = store.items.publish(
                ODD, 1, new, most=9, when_full=WhenFull.REJECT, host_bytes=limit
            )
            if kind is None:
                await adding
            else:
                await self.fails(adding, kind)
                self.assertEqual(await store.items.totals(ODD), (0, 0))
        self.assertEqual(await store.items.totals(ODD), (1, 73))

    async def test_room(self) -> None:
        """The oldest make room, as many as it takes."""
        store = await self.shelf(NEWS)
        self.assertEqual(await self.put(store, "a", "b", most=2), [])
        self.assertEqual(await self.put(store, "c", "d", most=3), ["a"])
        self.assertEqual(await self.ids(store), ["b", "c", "d"])
        self.assertEqual(await store.items.trim(NEWS, 1, 1), ["b", "c"])
        self.assertEqual(await store.items.trim(NEWS, 1, 1), [])

    async def test_replaced(self) -> None:
        """One that takes the place of the oldest is the newest: the next oldest makes room."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", "b", "c", most=3)
        self.assertEqual(await self.put(store, "a", "d", most=3), ["b"])
        self.assertEqual(await self.ids(store), ["c", "a", "d"])
        self.assertEqual((await store.items.totals(NEWS)).items, 3)

    async def test_full(self) -> None:
        """A node that is full keeps what it has."""
        store = await self.shelf(NEWS)
        await self.put(store, "a")
        new = [NewItem("b", ROMEO, 2.5, b"<a/>")]
        adding = store.items.publish(NEWS, 1, new, most=1, when_full=WhenFull.REJECT)
        await self.fails(adding, NodeFull)
        self.assertEqual(await self.ids(store), ["a"])

    async def test_retract(self) -> None:
        """Those that there are go, and are named."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", "b", "c")
        self.assertEqual(sorted(await store.items.retract(NEWS, 1, ("a", "c", "x"))), ["a", "c"])
        self.assertEqual(await self.ids(store), ["b"])

    async def test_many_ids(self) -> None:
        """However many ids are asked for, those that there are are found."""
        store = await self.shelf(NEWS)
        await self.put(store, "1", "700")
        found = await store.items.by_id(NEWS, [str(number) for number in range(1_000)])
        self.assertEqual(sorted(found), ["1", "700"])

    async def test_overdue(self) -> None:
        """What is over is found, items and subscriptions."""
        store = await self.shelf(NEWS, ODD)
        await self.put(store, "a")
        await store.follow(ODD, 1, [Follow(JULIET, expires=50.0)])
        self.assertEqual(await store.overdue(49.0, 10), [])
        self.assertEqual(set(await store.overdue(101.0, 10)), {NEWS, ODD})
        self.assertEqual(await store.items.expired(NEWS, 101.0, 10), ["a"])

    async def test_people(self) -> None:
        """Affiliations and subscriptions are changed one by one, and found by whose they are."""
        store = await self.shelf(NEWS)
        await store.affiliate(NEWS, 1, {JULIET: Affiliation.MEMBER, ROMEO: Affiliation.NONE})
        options = FollowOptions(deliver=False, include_body=True, show_values=("away", "xa"))
        full = Follow(f"{JULIET}/1", FollowState.PENDING, options, 9.0)
        await store.follow(NEWS, 1, [full, Follow(JULIET)])
        state = await store.node(NEWS)
        assert state is not None
        self.assertEqual(state.affiliations, {JULIET: Affiliation.MEMBER})
        self.assertEqual(state.follows, {JULIET: Follow(JULIET), full.jid: full})
        who = JID.parse(JULIET)
        self.assertEqual(await store.affiliations_of(HOST, who, 9), [("news", Affiliation.MEMBER)])
        self.assertEqual(await store.pending(HOST, 9), ["news"])
        found = await store.follows_of(HOST, who, 9)
        self.assertEqual({follow.jid for _, follow in found}, {JULIET, full.jid})
        await store.follow(NEWS, 1, [Follow(JULIET, FollowState.NONE)])
        self.assertEqual([each for _, each in await store.follows_of(HOST, who, 9)], [full])

    async def test_configured(self) -> None:
        """Another configuration takes the place of the former one."""
        store = await self.shelf(NEWS)
        config = NodeConfig(title="News", max_items=None, contact=(ROMEO,))
        await store.configure(NEWS, 1, config)
        state = await store.node(NEWS)
        assert state is not None
        self.assertEqual(state.config, config)

    async def test_deleted(self) -> None:
        """A node goes with all it had."""
        store = await self.shelf(NEWS, ODD)
        await self.put(store, "a")
        await store.delete(NEWS, 1)
        self.assertIsNone(await store.node(NEWS))
        self.assertEqual(await self.ids(store), [])
        self.assertEqual([name for name, _ in await store.nodes(HOST, 10)], [ODD.node])

    async def test_purged(self) -> None:
        """All items go."""
        store = await self.shelf(NEWS)
        await self.put(store, "a")
        await store.items.purge(NEWS, 1)
        self.assertEqual(await store.items.totals(NEWS), (0, 0))

    async def test_deposed(self) -> None:
        """Whoever had a node before its present owner writes nothing (ST-10)."""
        store = await self.shelf(NEWS)
        await self.put(store, "a", token=2)
        await self.fails(self.put(store, "b", token=1), Deposed)
        self.assertEqual(await self.ids(store), ["a"])

    async def test_damaged(self) -> None:
        """A node has its items also if its configuration and affiliations cannot be read."""
        store = await self.shelf(NEWS)
        await self.put(store, "a")

        def damage(connection: Connection) -> None:
            connection.execute(update(nodes).values(config="{"))
            connection.execute(update(roles).values(affiliation="king"))

        await self.store.database.write(damage)
        self.assertIsNotNone(await store.node(NEWS))
        self.assertEqual(await self.ids(store), ["a"])
