"""What every Directory promises to nodes that share it, in memory and in Redis alike."""

from collections.abc import Awaitable, Mapping

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from xmppd.cluster.directory import (
    CLOSED_S,
    AccountClosed,
    Directory,
    DirectoryAway,
    Entered,
    ResourceTaken,
    TooManySessions,
)
from xmppd.cluster.node import Location, NodeId
from xmppd.stanza import JID

ROMEO = JID.parse("romeo@montague.lit/balcony")
A, B, C = (NodeId(name, 1) for name in "abc")


def odd(account: str, resource: str) -> JID:
    """An address that nobody has prepared."""
    return JID("", account, resource, account, f"{account}/{resource}", b"")


ODD = (
    odd("a b@x y", "z  z"),
    odd("line\u2028end@x\u0085", "\u2029\u00a0"),
    odd("star*?[a]@x", "!closed"),
    odd("x\r\nFLUSHALL\r\n@x", "\r\n$1\r\n\x00\x01"),
    odd("!closed@x", "x"),
    odd(f"{'é' * 511}@{'d' * 1023}", "漢" * 341),
    odd("a@x", "1.1.1"),
    odd("a@x", " "),
)


class DirectoryCase(TestCase):
    """A TestCase for coroutines."""

    async def fails(self, work: Awaitable[object], error: type[Exception]) -> Exception:
        """The error with which it fails."""
        try:
            await work
        except error as raised:
            return raised
        raise AssertionError(f"{error.__name__} was not raised")


class DirectoryContract:
    """Mixed into a DirectoryCase, which brings directories.

    Attributes:
        a, b, c: Those of three nodes.
    """

    a: Directory
    b: Directory
    c: Directory

    async def lose(self, node: NodeId) -> None:
        """Have a node be fenced."""
        raise NotImplementedError

    async def wait_s(self, seconds: float) -> None:
        """Have this time go by, for the directory."""
        raise NotImplementedError

    async def lose_all(self) -> None:
        """Have the directory lose everything."""
        raise NotImplementedError

    @property
    def case(self) -> DirectoryCase:
        """This, as what it is mixed into."""
        assert isinstance(self, DirectoryCase)
        return self

    async def enter(
        self, directory: Directory, jid: JID = ROMEO, conflict: str = "kick", most: int = 10
    ) -> int:
        return (await directory.enter(jid, conflict=conflict, max_sessions=most)).serial

    async def sessions(self, account: str = ROMEO.bare) -> Mapping[str, Location]:
        """As all three see them."""
        one, *others = [await each.sessions_of(account) for each in (self.a, self.b, self.c)]
        for other in others:
            self.case.assertEqual(one, other)
        return one

    async def test_entered(self) -> None:
        """Who entered is seen by all nodes, as being where it is."""
        test = self.case
        entered = await self.a.enter(ROMEO, conflict="kick", max_sessions=10)
        test.assertEqual(entered.others, {})
        place = Location(A, entered.serial)
        test.assertEqual(await self.sessions(), {"balcony": place})
        test.assertEqual(await self.b.nodes_of([ROMEO.bare]), {ROMEO.bare: (place,)})
        test.assertEqual(await self.a.nodes_of([ROMEO.bare]), {})
        test.assertEqual(await self.b.nodes_of(["nobody@montague.lit"]), {})
        test.assertEqual(await self.b.nodes_of([]), {})

    async def test_others(self) -> None:
        """Who enters learns of all other sessions of the account."""
        first = await self.enter(self.a)
        tomb = await self.b.enter(
            JID.parse("romeo@montague.lit/tomb"), conflict="kick", max_sessions=10
        )
        self.case.assertEqual(tomb.others, {"balcony": Location(A, first)})

    async def test_replaced(self) -> None:
        """Who replaces another one is told whom; and the first one's end is not the second's."""
        test = self.case
        first = await self.enter(self.a)
        second = await self.b.enter(ROMEO, conflict="kick", max_sessions=1)
        test.assertEqual(second.others, {"balcony": Location(A, first)})
        test.assertGreater(second.serial, first)
        await self.a.leave(ROMEO, first)
        await self.a.leave(ROMEO, second.serial)
        test.assertEqual(await self.sessions(), {"balcony": Location(B, second.serial)})

    async def test_at_the_same_time(self) -> None:
        """Of two who enter at the same time one replaces the other, and serials never repeat."""
        test = self.case
        work = [
            Deferred.fromCoroutine(each.enter(ROMEO, conflict="kick", max_sessions=10))
            for each in (self.a, self.b, self.c) * 5
        ]
        entered = await gatherResults(work)
        test.assertEqual(len({each.serial for each in entered}), 15)
        replaced = sorted(each.others["balcony"].serial for each in entered if each.others)
        last = max(each.serial for each in entered)
        test.assertEqual(replaced, sorted({each.serial for each in entered} - {last}))
        test.assertEqual([each.serial for each in (await self.sessions()).values()], [last])

    async def test_kept(self) -> None:
        """With other policies the first session keeps its resource, and the second is told where
        that is.
        """
        test = self.case
        first = await self.enter(self.a)
        for conflict in ("refuse", "rename"):
            error = await test.fails(self.enter(self.b, conflict=conflict), ResourceTaken)
            assert isinstance(error, ResourceTaken)
            test.assertEqual(error.holder, Location(A, first))
        test.assertEqual(await self.sessions(), {"balcony": Location(A, first)})

    async def test_limit(self) -> None:
        """An account has as many sessions as it may; who replaces one is not one more."""
        test = self.case
        serials = {str(n): await self.enter(self.a, ROMEO.with_resource(str(n))) for n in range(3)}
        tomb = ROMEO.with_resource("tomb")
        error = await test.fails(self.enter(self.b, tomb, most=3), TooManySessions)
        assert isinstance(error, TooManySessions)
        test.assertEqual(error.others, {r: Location(A, n) for r, n in serials.items()})
        await self.enter(self.b, ROMEO.with_resource("1"), most=3)
        await self.a.leave(ROMEO.with_resource("0"), serials["0"])
        await self.enter(self.b, tomb, most=3)

    async def test_closed(self) -> None:
        """While an account is being closed nobody enters it, and all who are there are named."""
        test = self.case
        first = await self.enter(self.a)
        found = await self.b.close_account(ROMEO.bare)
        test.assertEqual(found, {"balcony": Location(A, first)})
        await test.fails(self.enter(self.c), AccountClosed)
        test.assertEqual(await self.sessions(), found)
        await self.a.leave(ROMEO, first)
        test.assertEqual(await self.sessions(), {})
        await test.fails(self.enter(self.c), AccountClosed)
        await self.wait_s(CLOSED_S)
        await self.enter(self.c)

    async def test_left(self) -> None:
        """Who leaves is nowhere, whether or not that is said once more."""
        serial = await self.enter(self.a)
        await self.a.leave(ROMEO, serial)
        await self.a.leave(ROMEO, serial)
        self.case.assertEqual(await self.sessions(), {})
        self.case.assertEqual(await self.b.nodes_of([ROMEO.bare]), {})

    async def test_moved(self) -> None:
        """A session moves once, with its serial; the mover may ask again."""
        test = self.case
        place = Location(A, await self.enter(self.a))
        test.assertTrue(await self.b.move(ROMEO, place))
        test.assertFalse(await self.c.move(ROMEO, place))
        test.assertTrue(await self.b.move(ROMEO, place))
        test.assertEqual(await self.sessions(), {"balcony": Location(B, place.serial)})
        await self.a.leave(ROMEO, place.serial)
        test.assertEqual(await self.sessions(), {"balcony": Location(B, place.serial)})
        await self.b.leave(ROMEO, place.serial)
        test.assertFalse(await self.c.move(ROMEO, place))
        test.assertEqual(await self.sessions(), {})

    async def test_asserted(self) -> None:
        """Who is in is so under its serial; who lost its place ends; who was replaced by somebody
        that is lost comes in anew.
        """
        test = self.case
        first = await self.enter(self.a)
        for rebuild in (False, True):
            test.assertEqual(await self.a.reassert(ROMEO, first, rebuild=rebuild), Entered(first))
        second = await self.enter(self.b)
        for rebuild in (False, True):
            refused = self.a.reassert(ROMEO, first, rebuild=rebuild)
            error = await test.fails(refused, ResourceTaken)
            assert isinstance(error, ResourceTaken)
            test.assertEqual(error.holder, Location(B, second))
        test.assertEqual(await self.sessions(), {"balcony": Location(B, second)})
        await self.lose(B)
        third = await self.a.reassert(ROMEO, first, rebuild=False)
        test.assertGreater(third.serial, second)
        test.assertEqual(third.others, {})
        found = await self.c.nodes_of([ROMEO.bare])
        test.assertEqual(found, {ROMEO.bare: (Location(A, third.serial),)})

    async def test_rebuilt(self) -> None:
        """When the directory has lost everything, sessions come back as they were, and of two of
        one JID the later one stays, in whatever order they come; who replaces another one is told.
        """
        test = self.case
        first, second = await self.enter(self.a), await self.enter(self.b)
        await self.lose_all()
        test.assertEqual(await self.sessions(), {})
        earlier = await self.a.reassert(ROMEO, first, rebuild=True)
        later = await self.b.reassert(ROMEO, second, rebuild=True)
        test.assertEqual(earlier, Entered(first))
        test.assertEqual(later, Entered(second, {"balcony": Location(A, first)}))
        test.assertEqual(await self.sessions(), {"balcony": Location(B, second)})
        await self.lose_all()
        later = await self.b.reassert(ROMEO, second, rebuild=True)
        test.assertEqual(later, Entered(second))
        await test.fails(self.a.reassert(ROMEO, first, rebuild=True), ResourceTaken)
        test.assertEqual(await self.sessions(), {"balcony": Location(B, second)})
        test.assertGreater(await self.enter(self.c), second)

    async def test_lost(self) -> None:
        """Of a lost node nobody is anywhere: nor counted, nor in the way."""
        test = self.case
        await self.enter(self.b)
        await self.enter(self.b, ROMEO.with_resource("tomb"))
        await self.lose(B)
        test.assertEqual(await self.a.sessions_of(ROMEO.bare), {})
        test.assertEqual(await self.a.nodes_of([ROMEO.bare]), {})
        test.assertEqual(await self.a.close_account("romeo@montague.lit"), {})
        await self.wait_s(CLOSED_S)
        entered = await self.a.enter(ROMEO, conflict="refuse", max_sessions=1)
        test.assertEqual(entered.others, {})
        test.assertEqual(
            await self.c.sessions_of(ROMEO.bare), {"balcony": Location(A, entered.serial)}
        )
        await test.fails(self.enter(self.c, ROMEO.with_resource("x"), most=1), TooManySessions)

    async def test_fenced(self) -> None:
        """A node that is fenced, and does not know it yet, enters nobody."""
        test = self.case
        first = await self.enter(self.a)
        await self.lose(B)
        await test.fails(self.enter(self.b), DirectoryAway)
        await test.fails(self.b.move(ROMEO, Location(A, first)), DirectoryAway)
        await test.fails(self.b.reassert(ROMEO, first + 1, rebuild=True), DirectoryAway)
        test.assertEqual(await self.a.sessions_of(ROMEO.bare), {"balcony": Location(A, first)})

    async def test_oldest_first(self) -> None:
        """An account's nodes come with their highest serial, the node of the oldest session
        first.
        """
        serials = [
            await self.enter(directory, ROMEO.with_resource(str(n)))
            for n, directory in enumerate((self.b, self.a, self.b, self.a))
        ]
        found = await self.c.nodes_of([ROMEO.bare])
        self.case.assertEqual(
            found, {ROMEO.bare: (Location(B, serials[2]), Location(A, serials[3]))}
        )

    async def test_many(self) -> None:
        """Thousands may be asked for at once, and each is found."""
        names = [f"user{n}@montague.lit" for n in range(2_500)]
        online = names[::50]
        for name in online:
            await self.enter(self.a, JID.parse(f"{name}/x"))
        found = await self.b.nodes_of(names)
        self.case.assertEqual(set(found), set(online))

    async def test_any_name(self) -> None:
        """A JID may be anything: it is never a command, nor anybody else's."""
        test = self.case
        for jid in ODD:
            serial = await self.enter(self.a, jid)
            place = Location(A, serial)
            assert jid.resource is not None
            test.assertEqual((await self.sessions(jid.bare))[jid.resource], place)
        found = await self.b.nodes_of([jid.bare for jid in ODD])
        test.assertEqual(set(found), {jid.bare for jid in ODD})
        for jid in ODD:
            assert jid.resource is not None
            place = (await self.sessions(jid.bare))[jid.resource]
            test.assertTrue(await self.b.move(jid, place))
            test.assertEqual(
                await self.b.reassert(jid, place.serial, rebuild=False), Entered(place.serial)
            )
            await self.b.leave(jid, place.serial)
        test.assertEqual(await self.c.nodes_of([jid.bare for jid in ODD]), {})

    async def test_swept(self) -> None:
        """The sessions of a lost node are taken out, each after it was told; all others stay."""
        test = self.case
        told = dict[str, Mapping[str, Location]]()
        stays = await self.enter(self.a)
        await self.enter(self.b, ROMEO.with_resource("tomb"))
        for jid in ODD:
            await self.enter(self.b, jid)
        test.assertEqual(await self.a.strangers(), {})
        await self.lose(B)
        test.assertEqual(await self.a.strangers(), {B: len(ODD) + 1})

        async def fail(_: object) -> None:
            raise ZeroDivisionError

        async def tell(found: Mapping[str, Mapping[str, Location]]) -> None:
            told.update(found)

        await self.a.look_through(A, tell)
        test.assertEqual(told, {ROMEO.bare: {"balcony": Location(A, stays)}})
        told.clear()
        await test.fails(self.a.sweep(B, fail), ZeroDivisionError)
        await self.a.sweep(B, tell)
        test.assertEqual(
            {account: set(found) for account, found in told.items()},
            {
                **{jid.bare: {jid.resource} for jid in ODD},
                "a@x": {"1.1.1", " "},
                ROMEO.bare: {"tomb"},
            },
        )
        test.assertEqual({place.node for each in told.values() for place in each.values()}, {B})
        told.clear()
        await self.c.sweep(B, tell)
        test.assertEqual(told, {})
        test.assertEqual(await self.a.strangers(), {})
        test.assertEqual(await self.c.sessions_of(ROMEO.bare), {"balcony": Location(A, stays)})


__all__ = ["ROMEO", "A", "B", "C", "DirectoryCase", "DirectoryContract"]
