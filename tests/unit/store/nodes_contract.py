"""What every store does for several nodes of one service, asked of each of them by the test cases
that mix this in.
"""

from functools import partial

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, gatherResults

from tests.unit.store.contract import JULIET, KEYS, ROMEO, Asking
from xmppd.store.claim_tokens import Deposed, raise_token
from xmppd.store.errors import QuotaExceeded
from xmppd.store.held import HeldMessage
from xmppd.store.readings import MAX_NODES, MAX_READINGS, KeptReading
from xmppd.store.sessions import SavedSession

A, B = "a.1", "b.7"


class OwnRowsContract(Asking):
    """Saved sessions and held messages."""

    async def hold(self, node: str, *texts: str) -> list[int]:
        """Hold messages for a session of Romeo's at a node."""
        messages = [HeldMessage(b"key", 7, ROMEO, text.encode(), 1.5) for text in texts]
        return await self.store.sessions.hold_messages(node, messages, arrived=())

    async def save(self, node: str, *keys: bytes) -> None:
        sessions = [SavedSession(key, ROMEO, b"data") for key in keys]
        await self.store.sessions.save_sessions(node, sessions, theirs={})

    async def saved(self, node: str) -> list[bytes]:
        return [each.key for each in await self.store.sessions.saved_sessions(node)]

    async def recovered(self, node: str, limit: int = 9) -> list[str]:
        found = await self.store.sessions.recover_messages(node, limit=limit)
        return [each.stanza.decode() for each in found]

    async def test_own(self) -> None:
        """A node that stops keeps its sessions, and forgets nothing of another's."""
        await self.hold(A, "a")
        await self.save(A, b"1", b"2")
        await self.hold(B, "b")
        await self.save(A, b"3")
        self.assertEqual(await self.store.sessions.nodes(), {A, B})
        self.assertEqual((await self.saved(A), await self.saved(B)), ([b"3"], []))
        self.assertEqual((await self.recovered(A), await self.recovered(B)), ([], ["b"]))

    async def test_pages(self) -> None:
        """Much is had a few at a time, and what was had is not had again."""
        await self.save(A, *(bytes([number]) for number in (3, 1, 4, 2, 5)))
        await self.hold(A, "a", "b", "c")
        saved = self.store.sessions.saved_sessions
        first = await saved(A, limit=2)
        rest = await saved(A, after=first[-1].key)
        self.assertEqual([each.key[0] for each in (*first, *rest)], [1, 2, 3, 4, 5])
        pages = [await self.recovered(A, limit=2) for _ in range(3)]
        self.assertEqual(pages, [["a", "b"], ["c"], []])
        waiting = await self.store.offline.offline_messages(ROMEO)
        self.assertEqual([each.stanza for each in waiting], [b"a", b"b", b"c"])

    async def test_recovered_once(self) -> None:
        """However many nodes recover what one has held, each message waits once."""
        await self.hold(A, *map(str, range(40)))
        at_once = [
            Deferred.fromCoroutine(self.store.sessions.recover_messages(A, limit=9))
            for _ in range(8)
        ]
        found = [each.stanza for page in await gatherResults(at_once) for each in page]
        while page := await self.store.sessions.recover_messages(A):
            found += [each.stanza for each in page]
        waiting = [each.stanza for each in await self.store.offline.offline_messages(ROMEO)]
        self.assertCountEqual(found, [b"%d" % number for number in range(40)])
        self.assertCountEqual(waiting, found)

    async def test_origin(self) -> None:
        """An account's message of one origin waits once, however often it is kept or recovered,
        also if there is no room for another.
        """
        held = [HeldMessage(b"", 0, ROMEO, b"<message/>", 1.5, origin="a.1/7")]
        for node in (A, B):
            await self.store.sessions.hold_messages(node, held, arrived=())
            await self.store.sessions.recover_messages(node)
        keep = partial(
            self.store.offline.store_offline, stanza=b"<message/>", sender=JULIET, stored=2.0,
            max_messages=1, max_bytes=99,
        )  # fmt: skip
        await keep(ROMEO, origin="a.1/7")
        await keep(JULIET, origin="a.1/7")
        (waiting,) = await self.store.offline.offline_messages(ROMEO)
        self.assertEqual((waiting.stored, waiting.origin), (1.5, "a.1/7"))
        self.assertEqual(len(await self.store.offline.offline_messages(JULIET)), 1)
        with self.assertRaises(QuotaExceeded):
            await keep(ROMEO, origin="a.1/8")

    async def test_adopted(self) -> None:
        """What former nodes have saved is another's from then on, and nobody else's is."""
        await self.save("a.1", b"1")
        await self.save("a.2", b"2")
        await self.save(B, b"3")
        await self.store.sessions.adopt_sessions("a.3", {"a.1", "a.2"})
        self.assertEqual((await self.saved("a.3"), await self.saved(B)), ([b"1", b"2"], [b"3"]))
        self.assertEqual(await self.store.sessions.nodes(), {"a.3", B})

    async def test_taken_once(self) -> None:
        """Of all nodes that would restore a session one gets it."""
        await self.save(A, b"1", b"2")
        session = await self.store.sessions.saved_session(b"1")
        assert session is not None
        self.assertEqual((session.node, session.account, session.data), (A, ROMEO, b"data"))
        self.assertIsNone(await self.store.sessions.saved_session(b"nobody's"))
        taking = [
            Deferred.fromCoroutine(self.store.sessions.take_session(session, f"b.{number}"))
            for number in range(8)
        ]
        self.assertEqual((await gatherResults(taking)).count(True), 1)
        self.assertEqual(await self.saved(A), [b"2"])

    async def test_taken_from_its_heir(self) -> None:
        """Who adopted it first keeps it."""
        await self.save("a.1", b"1")
        session = await self.store.sessions.saved_session(b"1")
        assert session is not None
        await self.store.sessions.adopt_sessions("a.2", {"a.1"})
        self.assertFalse(await self.store.sessions.take_session(session, B))
        self.assertEqual(await self.saved("a.2"), [b"1"])

    async def test_taken_up(self) -> None:
        """Taking up some of a node's sessions leaves its others, and another's, alone."""
        await self.save(A, b"1", b"2")
        await self.save(B, b"3")
        take_up = self.store.sessions.take_up_sessions
        await take_up(A, [b"1", b"3"], held=[HeldMessage(b"1", 1, ROMEO, b"<a/>", 1.5)], lost=[])
        self.assertEqual((await self.saved(A), await self.saved(B)), ([b"2"], [b"3"]))
        self.assertEqual(await self.recovered(B), [])
        self.assertEqual(await self.recovered(A), ["<a/>"])

    async def offered(self) -> SavedSession:
        """A session that node A offers: what was held and stored for it is in it."""
        first, second = await self.hold(A, "a", "b")
        await self.keep(1)
        (stored,) = await self.store.offline.offline_messages(ROMEO)
        session = SavedSession(b"1", ROMEO, b"data", A)
        await self.store.sessions.offer_session(A, session, theirs=[stored.id], held=[first])
        self.assertEqual(await self.store.offline.offline_messages(ROMEO), [])
        self.assertGreater(second, first)
        return session

    async def test_offered(self) -> None:
        """An offered session belongs to its node beside the others, and is offered again anew."""
        await self.save(A, b"2")
        session = await self.offered()
        await self.store.sessions.offer_session(A, session, theirs=[], held=[])
        self.assertEqual(await self.saved(A), [b"1", b"2"])
        self.assertEqual(await self.recovered(A), ["b"])

    async def test_taken_back(self) -> None:
        """Its node takes it back, with its messages held; nobody can take it then."""
        session = await self.offered()
        held = [HeldMessage(b"1", 1, ROMEO, b"<a/>", 1.5)]
        numbers = await self.store.sessions.take_back_session(A, b"1", held=held)
        assert numbers is not None
        self.assertEqual(len(numbers), 1)
        self.assertFalse(await self.store.sessions.take_session(session, B))
        self.assertEqual(await self.recovered(A), ["b", "<a/>"])

    async def test_taken_back_too_late(self) -> None:
        """When another node has taken it, nothing is held for it here."""
        session = await self.offered()
        self.assertTrue(await self.store.sessions.take_session(session, B))
        held = [HeldMessage(b"1", 1, ROMEO, b"<a/>", 1.5)]
        self.assertIsNone(await self.store.sessions.take_back_session(A, b"1", held=held))
        self.assertEqual(await self.recovered(A), ["b"])
        self.assertEqual(await self.saved(B), [b"1"])

    async def test_taken_and_taken_back(self) -> None:
        """Of a node that takes it and its own that takes it back, one has it."""
        session = await self.offered()
        sessions = self.store.sessions
        taking = [Deferred.fromCoroutine(sessions.take_session(session, B))]
        back = Deferred.fromCoroutine(sessions.take_back_session(A, b"1", held=[]))
        (is_taken,) = await gatherResults(taking)
        self.assertEqual(is_taken, await back is None)


class TakenContract(Asking):
    """Offline messages that a node has taken for its sessions."""

    async def taken(self, node: str, limit: int = 99) -> list[int]:
        taken = await self.store.offline.take_offline(ROMEO, node, limit=limit)
        return [each.id for each in taken]

    async def ids(self) -> list[int]:
        return [each.id for each in await self.store.offline.offline_messages(ROMEO)]

    async def test_nothing(self) -> None:
        """Where nothing waits nothing is taken, and what comes later is found."""
        self.assertEqual(await self.taken(A), [])
        await self.keep(1)
        self.assertEqual(await self.taken(A), await self.ids())

    async def test_taken(self) -> None:
        """What one node has taken no other gets; what came later another may take."""
        await self.keep(3)
        first, second, third = await self.ids()
        self.assertEqual(await self.taken(A, limit=2), [first, second])
        self.assertEqual(await self.taken(B), [])
        rest = await self.store.offline.offline_messages(ROMEO, holder=A, after=second)
        self.assertEqual([each.id for each in rest], [third])
        await self.keep(1)
        self.assertEqual(await self.taken(B), (await self.ids())[3:])
        self.assertEqual(await self.taken(A), [first, second, third])  # its own it gets again
        self.assertEqual(await self.store.offline.holders(), {A, B})

    async def test_whole(self) -> None:
        """It is the message that was stored."""
        await self.keep(1)
        waiting = await self.store.offline.offline_messages(ROMEO)
        self.assertEqual(await self.store.offline.take_offline(ROMEO, A), waiting)

    async def test_at_once(self) -> None:
        """However many nodes ask at once, all that waits is given to exactly one of them."""
        await self.keep(5)
        ids = await self.ids()
        asking = [Deferred.fromCoroutine(self.taken(f"n.{number}")) for number in range(8)]
        self.assertCountEqual(await gatherResults(asking), [ids, *[[]] * 7])

    async def test_at_once_with_arrivals(self) -> None:
        """Nobody waits for ever while messages arrive, and are given back and taken, at once."""
        await self.keep(5)
        ids = await self.taken(A)
        offline = self.store.offline
        works = [
            work
            for id in ids[::-1]
            for work in (
                self.taken(f"n.{id}"),
                offline.delete_offline(ROMEO, [id, ids[0]]),
                offline.give_back(ROMEO, A, kept=[id]),
            )
        ]
        await gatherResults(list(map(Deferred.fromCoroutine, works)))
        self.assertEqual(await self.ids(), [])

    async def test_given_back(self) -> None:
        """What a node gives back others may take; what it keeps, and what others have, not."""
        await self.keep(3)
        first, second, third = await self.taken(A)
        await self.keep(1)
        (fourth,) = await self.taken(B)
        await self.store.offline.give_back(ROMEO, A, kept=[second])
        self.assertEqual(await self.taken("c.1"), [first, third])
        self.assertEqual(await self.taken(A), [second])
        await self.store.offline.give_back(ROMEO, A)
        await self.store.offline.give_back(JULIET, "c.1")
        self.assertEqual(await self.taken(A), [second])
        self.assertEqual(await self.taken(B), [fourth])

    async def test_arrived(self) -> None:
        """What has arrived is gone, also for who has not taken it."""
        await self.keep(3)
        first, second, third = await self.taken(A)
        await self.store.offline.delete_offline(ROMEO, {third, first})
        await self.store.offline.give_back(ROMEO, A)
        self.assertEqual(await self.taken(B), [second])

    async def test_freed(self) -> None:
        """What a lost node had taken is free again, a few at a time, and its accounts are told."""
        for account in (ROMEO, JULIET):
            await self.store.accounts.create_account(account, KEYS)
        await self.keep(3)
        await self.store.offline.store_offline(
            JULIET, b"<m/>", sender=ROMEO, stored=1.0, max_messages=9, max_bytes=99
        )
        await self.taken("a.1")
        await self.keep(1)
        await self.taken("a.11")
        await self.store.offline.take_offline(JULIET, "a.1")
        told: set[str] = set()
        pages = 0
        while (freed := await self.store.offline.free_taken("a.1", limit=2)) is not None:
            told |= freed
            pages += 1
        self.assertEqual((pages, told), (2, {ROMEO, JULIET}))
        self.assertEqual(await self.store.offline.holders(), {"a.11"})
        self.assertEqual(await self.taken(B), (await self.ids())[:3])


class ClaimTokenContract(Asking):
    async def test_never_had(self) -> None:
        """What nobody has had yet has no token."""
        self.assertEqual(await self.store.claim_tokens.highest_token("s2s", "a@b"), 0)

    async def test_rises(self) -> None:
        """A token is used as often as its owner likes, and by nobody who was owner before."""
        tokens = self.store.claim_tokens
        for token in (3, 3, 8):
            await tokens.raise_token("s2s", "a@b", token)
        await self.refuses(Deposed, tokens.raise_token("s2s", "a@b", 7))
        self.assertEqual(await tokens.highest_token("s2s", "a@b"), 8)

    async def test_one_thing(self) -> None:
        """Things of another kind, or another name, have tokens of their own."""
        tokens = self.store.claim_tokens
        await tokens.raise_token("s2s", "a@b", 8)
        await tokens.raise_token("s2s", "a@c", 1)
        await tokens.raise_token("muc", "a@b", 2)
        self.assertEqual(await tokens.highest_token("muc", "a@b"), 2)

    async def test_deposed(self) -> None:
        """What an owner writes with a token that is not the highest any more is not written."""

        def write(connection: Connection, token: int, text: bytes) -> None:
            raise_token(connection, "muc", "room", token)
            connection.exec_driver_sql(f"UPDATE accounts SET account = '{text.decode()}'")

        database = self.store.database
        await self.store.accounts.create_account(ROMEO, KEYS)
        await database.write(partial(write, token=2, text=b"second"))
        await self.refuses(Deposed, database.write(partial(write, token=1, text=b"first")))
        (found,) = await self.store.accounts.accounts("montague.lit")
        self.assertEqual(found.account, "second")


class ReadingContract(Asking):
    """What nodes have counted."""

    async def count(self, node: str, *numbers: int, at: float = 1e9) -> None:
        kept = (KeptReading(number, at, f"[{number}]") for number in numbers)
        await self.store.readings.save(node, *kept)

    async def numbers(self, node: str) -> list[int]:
        return [each.number for each in await self.store.readings.readings(node)]

    async def counting(self) -> list[str]:
        return [name for name, _ in await self.store.readings.nodes()]

    async def test_ring(self) -> None:
        """A node has a limited number of readings, in their order, whatever its clock said."""
        await self.count("a", 0, 1, at=9e9)
        await self.count("a", 2, at=1.0)
        await self.count("b", 7)
        self.assertEqual(await self.numbers("a"), [0, 1, 2])
        await self.count("a", MAX_READINGS, MAX_READINGS + 1)
        self.assertEqual(await self.numbers("a"), [2, MAX_READINGS, MAX_READINGS + 1])
        self.assertEqual(await self.numbers("b"), [7])
        [newest, *_] = reversed(await self.store.readings.readings("a"))
        number = MAX_READINGS + 1
        self.assertEqual(newest, KeptReading(number, 1e9, f"[{number}]"))
        self.assertEqual(await self.numbers("c"), [])

    async def test_gone(self) -> None:
        """Of a node that has been gone for long nothing is left; of others all is."""
        await self.count("old", 1, at=10.0)
        await self.count("present", 1, 2, at=10.0)
        await self.count("lately", 1, at=10.0)
        await self.count("lately", 2, at=30.0)
        await self.store.readings.forget_gone(("present", "new"), 20.0)
        self.assertEqual(await self.counting(), ["lately", "present"])
        self.assertEqual(await self.numbers("lately"), [1, 2])

    async def test_many_gone(self) -> None:
        """However many names nodes have had lately, a limited number of them is kept."""
        for number in range(MAX_NODES + 2):
            await self.count(f"gone-{number:03}", 1, at=100.0 + number)
        await self.count("present", 1, at=1.0)
        await self.store.readings.forget_gone(("present",), 20.0)
        found = await self.counting()
        self.assertEqual(len(found), MAX_NODES + 1)
        self.assertEqual(found[0], f"gone-{MAX_NODES + 1:03}")
        self.assertEqual(found[-2:], ["gone-002", "present"])


class NodesContract(OwnRowsContract, TakenContract, ClaimTokenContract, ReadingContract):
    """All of it."""
