"""What queries find, asked of each database by the test cases that mix this in."""

from random import Random
from unittest.mock import patch

from tests.plugins.archive.store_contract import JULIET, NURSE, ROMEO, StoreCase, at_once, words_of
from xmppd.stanza import JID
from xmppd.stanza.rsm import PageRequest
from xmppd.store.sql import delete
from xmppd_plugins.archive import archive as archive_module
from xmppd_plugins.archive import entries
from xmppd_plugins.archive.entries import ALL, ArchiveEntry, Selection
from xmppd_plugins.archive.ids import microseconds_of
from xmppd_plugins.archive.query import ArchiveReader, Filters, Query
from xmppd_plugins.archive.routed import read_back
from xmppd_plugins.archive.settings import ArchiveSettings
from xmppd_plugins.archive.tables import stanzas
from xmppd_plugins.archive.word_index import WordIndex

OTHER = JID.parse("juliet@montague.lit/2")
PEERS = (None, JULIET.to_bare(), JULIET, OTHER, NURSE.to_bare(), JID.parse("nobody@x.lit"))
SEEDS = range(6)


class QueryContract(StoreCase):
    """Whatever is asked for is what somebody finds who looks at each message."""

    async def test_any_query(self) -> None:
        """Any filters and any page, whatever is in memory, written or indexed."""
        archive = await self.opened()
        reader = ArchiveReader(archive, WordIndex(archive, at_once), at_once)
        for seed in SEEDS:
            choose = Random(seed)
            await self.chat(choose)
            said = await archive.entries.page(ROMEO.bare, ALL, 1_000)
            for _ in range(25):
                filters, wanted = self.filters(choose, said)
                await self.look(reader, choose, filters, wanted)

    async def test_count(self) -> None:
        """QU-15: A large archive is counted some in each turn; nothing is counted twice that is
        being written meanwhile.
        """
        archive, turns = await self.opened(), []

        async def next_turn() -> None:
            turns.append(1)
            self.say(ROMEO, JULIET, "meanwhile")
            await archive.writer.flush()

        self.say(ROMEO, JULIET, *map(str, range(7)))
        await archive.writer.flush()
        await archive.indexer.index()
        self.say(ROMEO, JULIET, "and one")
        with patch.object(entries, "COUNTED_PER_TURN", 3):
            for selection in (ALL, Selection(peer=JULIET.bare)):
                before = len(await archive.entries.page(ROMEO.bare, selection, 100))
                counted = await archive.entries.count(ROMEO.bare, selection, next_turn)
                after = len(await archive.entries.page(ROMEO.bare, selection, 100))
                self.assertLessEqual(before, counted)
                self.assertLessEqual(counted, after)
        self.assertGreaterEqual(len(turns), 4)

    async def test_words(self) -> None:
        """QU-18: Messages are found by their words, whether these are indexed or not; what was
        deleted, or has another stanza by now, is not.
        """
        self.settings = ArchiveSettings(full_text=True)
        archive = await self.opened()
        words = WordIndex(archive, at_once)
        await words.open()
        await words.open()  # which finds it
        reader = ArchiveReader(archive, words, at_once)
        texts = ("Good night, good night", "GOOD-BYE", "Góod morning", "nothing")
        for _ in range(2):
            self.say(ROMEO, JULIET, *texts)
            self.say(NURSE, JULIET, "good grief")
            await archive.write_all()
            with patch.object(archive_module, "SETTLED_S", -10.0):
                await words.index()
            self.say(JULIET, ROMEO, "Is it good?")
        self.assertGreater(await words.indexed_to(), 0)
        romeos = ["Good night, good night", "GOOD-BYE", "Góod morning", "Is it good?"]
        for backwards in (False, True):
            for wanted, found in (
                (("good",), romeos * 2),
                (("night", "good"), [texts[0]] * 2),
                (("goo",), []),
                (("good", "nothing"), []),
            ):
                said = await self.searched(reader, Filters(words=wanted), backwards=backwards)
                self.assertEqual(said, found)
            only = Filters(words=("good",), peer=JULIET)
            self.assertEqual(len(await self.searched(reader, only, backwards=backwards)), 8)
        counted = await reader.answer(ROMEO.bare, Query(Filters(words=("good",)), PageRequest(0)))
        self.assertEqual((counted.total, counted.complete), (8, False))
        oldest = await archive.entries.first(ROMEO.bare)
        assert oldest is not None
        await archive.bury(ROMEO.bare, oldest.position, b"<message from='romeo@montague.lit/1'/>")
        night = Filters(words=("night",))
        self.assertEqual(await self.searched(reader, night, backwards=False), [texts[0]])
        self.assertEqual(len(await self.known(words, "night")), 1)
        self.assertEqual(len(await self.known(words, "morning")), 2)
        await archive.database.write(lambda connection: connection.execute(delete(stanzas)))
        self.assertEqual(await self.known(words, "morning"), [])
        archive.settings = ArchiveSettings()
        await words.open()  # which leaves nothing of it
        await words.open()
        self.assertEqual(await words.indexed_to(), 0)

    async def known(self, words: WordIndex, word: str) -> list[int]:
        """What the index knows of Romeo's messages."""
        return await words.find(ROMEO.bare, [word], ALL, 10, backwards=False)

    async def searched(
        self, reader: ArchiveReader, filters: Filters, *, backwards: bool
    ) -> list[str]:
        """What is found in Romeo's archive, in pages of two."""
        found: list[ArchiveEntry] = []
        page = PageRequest(2, before="" if backwards else None)
        while True:
            answer = await reader.answer(ROMEO.bare, Query(filters, page))
            found = answer.entries + found if backwards else found + answer.entries
            if answer.complete:
                return list(map(words_of, found))
            id = self.archive.id_of(ROMEO.bare, answer.entries[0 if backwards else -1].position)
            page = PageRequest(2, None if backwards else id, id if backwards else None)

    async def chat(self, choose: Random) -> None:
        """Some messages, some of them written."""
        for _ in range(30):
            peer = choose.choice((JULIET, JULIET, OTHER, NURSE))
            one, other = choose.sample((ROMEO, peer), 2)
            self.say(one, other, str(choose.random()))
            if choose.random() < 0.1:
                await self.archive.writer.flush()
            if choose.random() < 0.05:
                await self.archive.indexer.index()

    def filters(
        self, choose: Random, said: list[ArchiveEntry]
    ) -> tuple[Filters, list[ArchiveEntry]]:
        """Some filters, and the entries that they let through."""
        wanted = list(said)
        given: dict[str, object] = {}
        peer = choose.choice(PEERS)
        if peer is not None:
            given["peer"] = peer
            wanted = [each for each in wanted if is_with(each, peer)]
        for name, sign in (("after", 1), ("before", -1)):
            if choose.random() < 0.3:
                at = choose.choice(said).position
                given[name] = self.archive.id_of(ROMEO.bare, at)
                wanted = [each for each in wanted if sign * (each.position - at) > 0]
        for name, sign in (("since", 1), ("until", -1)):
            if choose.random() < 0.3:
                moment = microseconds_of(choose.choice(said).position)
                given[name] = moment
                wanted = [e for e in wanted if sign * (microseconds_of(e.position) - moment) >= 0]
        if choose.random() < 0.2:
            few = choose.sample(said, 5)
            given["ids"] = tuple(self.archive.id_of(ROMEO.bare, each.position) for each in few)
            wanted = [each for each in wanted if each in few]
        return Filters(**given), wanted  # type: ignore[arg-type]

    async def look(
        self, reader: ArchiveReader, choose: Random, filters: Filters, wanted: list[ArchiveEntry]
    ) -> None:
        """Read all that is wanted, page by page, in one of both directions."""
        backwards, most = choose.random() < 0.5, choose.randint(1, 100)
        page = PageRequest(most, before="" if backwards else None)
        found: list[ArchiveEntry] = []
        while True:
            answer = await reader.answer(ROMEO.bare, Query(filters, page))
            self.assertLessEqual(len(answer.entries), most)
            found = answer.entries + found if backwards else found + answer.entries
            if answer.complete:
                break
            end = answer.entries[0 if backwards else -1]
            id = self.archive.id_of(ROMEO.bare, end.position)
            page = PageRequest(most, None if backwards else id, id if backwards else None)
        self.assertEqual(list(map(words_of, found)), list(map(words_of, wanted)), filters)
        counted = await reader.answer(ROMEO.bare, Query(filters, PageRequest(0)))
        if filters.peer is None or filters.peer.resource is None:  # else it is about that
            self.assertEqual(counted.total, len(wanted))


def is_with(entry: ArchiveEntry, peer: JID) -> bool:
    """Whether a message is from or to somebody."""
    message = read_back(entry.stanza or b"")
    other = message.to if entry.is_sent else message.sender
    assert other is not None
    return peer in (other, other.to_bare())


__all__ = ["QueryContract"]
