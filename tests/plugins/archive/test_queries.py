"""Queries of an archive: what is found, and in which pages."""

import tracemalloc
from unittest.mock import patch
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.archive.archives import JULIET, ROMEO, chat
from tests.plugins.archive.queries import (
    Answer,
    QueryCase,
    after,
    before,
    fields,
    page,
    query,
)
from tests.plugins.archive.store_contract import at_once
from xmppd.stanza.date_time import exact_date_time
from xmppd.stanza.guests import new_guest
from xmppd.stanza.rsm import PageRequest
from xmppd.testing.client import done
from xmppd_plugins.archive.entries import ALL
from xmppd_plugins.archive.ids import microseconds_of
from xmppd_plugins.archive.query import (
    ENTRIES_PER_TURN,
    MAX_PAGE_BYTES,
    MAX_RESULTS,
    ArchiveReader,
    Filters,
    Query,
)
from xmppd_plugins.archive.word_index import WordIndex

MERCUTIO = "mercutio@montague.lit"


class PageTests(QueryCase):
    """Pages (XEP-0059, QU-7 to QU-10)."""

    def setUp(self) -> None:
        super().setUp()
        self.say(*"abcdefg")
        self.all = self.ask()

    def test_all(self) -> None:
        """Who asks for nothing in particular gets all of it, in order of time."""
        self.assertEqual(self.all.said, list("abcdefg"))
        self.assertEqual((self.all.first, self.all.last), (self.all.ids[0], self.all.ids[-1]))
        self.assertTrue(self.all.complete)
        self.assertIsNone(self.all.total)
        self.assertEqual(self.ask(client=self.juliet).said, list("abcdefg"))

    def test_forwards(self) -> None:
        """Each page begins behind the last message of the one before."""
        pages, place = [], ""
        while True:
            answer = self.ask(page(place, max=3))
            pages.append("".join(answer.said))
            if answer.complete:
                break
            place = after(answer.last)
        self.assertEqual(pages, ["abc", "def", "g"])

    def test_backwards(self) -> None:
        """QU-8: So it is from the end, where an empty before begins; a page is in order of time all
        the same.
        """
        pages, place = [], "<before/>"
        while True:
            answer = self.ask(page(place, max=3))
            pages.append("".join(answer.said))
            if answer.complete:
                break
            place = before(answer.first)
        self.assertEqual(pages, ["efg", "bcd", "a"])

    def test_just_all(self) -> None:
        """QU-9: A page that is just full is complete if nothing lies beyond."""
        self.assertTrue(self.ask(page(max=7)).complete)
        self.assertTrue(self.ask(page("<before/>", max=7)).complete)
        self.assertFalse(self.ask(page(max=6)).complete)

    def test_flipped(self) -> None:
        """QU-8: A flipped page is the same one, its messages written from the last to the first."""
        ids = self.all.ids
        for place, said in ((after(ids[1]), "edc"), (before(ids[5]), "edc"), ("<before/>", "gfe")):
            plain = self.ask(page(place, max=3))
            flipped = self.ask(page(place, max=3), "<flip-page/>")
            self.assertEqual("".join(flipped.said), said)
            self.assertEqual(flipped.ids[::-1], plain.ids)
            self.assertEqual(flipped[2:], plain[2:])

    def test_none(self) -> None:
        """QU-10: A page without messages has no ends (ejabberd#3644, where Gajim stops)."""
        self.assertEqual(
            self.ask(page(after(self.all.last))), Answer([], [], True, None, None, None, "", "")
        )

    def test_count(self) -> None:
        """QU-10: Who asks for no messages is told their number, as Gajim does; that is complete if
        there are none.
        """
        self.assertEqual(self.ask(page(max=0)), Answer([], [], False, None, None, "7", "", ""))
        answer = self.ask(page(after(self.all.last), max=0))
        self.assertEqual((answer.total, answer.complete), ("0", True))
        answer = self.ask(fields(("ids", self.all.ids[:2])), page(max=0))
        self.assertEqual((answer.total, answer.complete), ("2", False))

    def test_usual_size(self) -> None:
        """QU-7: 50 messages are a page if nothing is said, and never more than 250."""
        self.say(*map(str, range(260)))
        self.assertEqual(len(self.ask().said), 50)
        answer = self.ask(page(max=1_000_000))
        self.assertEqual(len(answer.said), 250)
        self.assertFalse(answer.complete)
        self.assertEqual(len(self.ask(page(after(answer.last), max=250)).said), 17)

    def test_large(self) -> None:
        """QU-13: A page ends early when it has a mebibyte, whatever its direction; whoever goes on
        misses nothing.
        """
        self.say(*(f"{n}{'x' * 150_000}" for n in range(9)))
        for begin, place in (("", after), ("<before/>", before)):
            answer = self.ask(page(begin, max=100))
            self.assertLess(sum(map(len, answer.said)), 1_048_576)
            self.assertFalse(answer.complete)
            last = answer.last if place is after else answer.first
            rest = self.ask(page(place(last), max=100))
            self.assertTrue(rest.complete)
            self.assertEqual(len(answer.said) + len(rest.said), 16)

    def test_large_by_ids(self) -> None:
        """QU-13: So does a page of messages that are asked for one by one; those that it has no
        room for are in memory some at a time, however many they are.
        """
        self.say(*("x" * 15_000 for _ in range(6 * ENTRIES_PER_TURN)))
        self.index()
        entries = done(self.archive.entries.page(ROMEO, ALL, 1_000))
        ids = [self.archive.id_of(ROMEO, each.position) for each in entries[7:]]
        del entries
        reader = ArchiveReader(self.archive, WordIndex(self.archive, at_once), at_once)
        for place in (None, ""):
            wanted = Query(Filters(ids=tuple(ids)), PageRequest(250, before=place))
            tracemalloc.start()
            found = done(reader.answer(ROMEO, wanted))
            _, most_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertLess(most_bytes, 3 * MAX_PAGE_BYTES)
            given = [self.archive.id_of(ROMEO, each.position) for each in found.entries]
            self.assertIn(len(given), range(60, 70))
            self.assertEqual(given, ids[: len(given)] if place is None else ids[-len(given) :])
            self.assertFalse(found.complete)

    def test_one_too_large(self) -> None:
        """One message that is larger than a page is given all the same, and the next behind it."""
        with patch("xmppd_plugins.archive.query.MAX_PAGE_BYTES", 100):
            answer = self.ask(page(max=5))
            self.assertEqual(answer.said, ["a"])
            self.assertFalse(answer.complete)
            answer = self.ask(page(after(self.all.ids[5])))
            self.assertEqual(answer.said, ["g"])
            self.assertTrue(answer.complete)

    def test_unwritten(self) -> None:
        """QU-12: What is not yet written, or not yet indexed, is found like all else (Openfire
        monitoring#38).
        """
        self.write()
        self.say("h")
        self.index()
        self.say("i")
        self.write()
        self.say("j")
        pages, place = "", "<before/>"
        while place:
            answer = self.ask(page(place, max=2))
            pages = "".join(answer.said) + pages
            place = "" if answer.complete else before(answer.first)
        self.assertEqual(pages, "abcdefghij")

    def test_metadata(self) -> None:
        """QU-16: Metadata tell the first and the last message, and their times."""
        self.romeo.send("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
        [answer] = self.romeo.received()
        start, end = ElementTree.fromstring(answer)[0]
        entries = done(self.archive.entries.page(ROMEO, ALL, 10))
        for found, entry, id in (
            (start, entries[0], self.all.first),
            (end, entries[-1], self.all.last),
        ):
            stamp = exact_date_time(microseconds_of(entry.position))
            self.assertEqual(found.attrib, {"id": id, "timestamp": stamp})

    def test_empty_metadata(self) -> None:
        """QU-16: Of an empty archive they tell nothing."""
        self.house.add("mercutio")
        mercutio = self.house.bind("mercutio")
        mercutio.send("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
        [answer] = mercutio.received()
        self.assertEqual(len(ElementTree.fromstring(answer)[0]), 0)
        self.assertTrue(self.ask(client=mercutio).complete)

    @settings(max_examples=25)
    @given(st.data())
    def test_any_page(self, data: st.DataObject) -> None:
        """Whatever page is asked for is a part of the whole, and says truly whether there is
        more.
        """
        draw, ids = data.draw, self.all.ids
        most = draw(st.integers(1, 8))
        low, high = draw(st.integers(-1, 6)), draw(st.integers(0, 7))
        place = draw(st.sampled_from(("<before/>", "", "after", "before")))
        at = draw(st.integers(0, 6))
        given = [("after-id", ids[low])] if low >= 0 else []
        given += [("before-id", ids[high])] if high < 7 else []
        wanted = list(range(low + 1, high))
        if place == "after":
            place, wanted = after(ids[at]), [n for n in wanted if n > at]
        elif place == "before":
            place, wanted = before(ids[at]), [n for n in wanted if n < at]
        backwards = place.startswith("<before")
        answer = self.ask(fields(*given), page(place, max=most))
        found = wanted[-most:] if backwards else wanted[:most]
        self.assertEqual(answer.ids, [ids[n] for n in found])
        self.assertEqual(answer.complete, len(found) == len(wanted))
        self.assertEqual(answer.first, ids[found[0]] if found else None)


class FilterTests(QueryCase):
    """QU-3 to QU-6."""

    def setUp(self) -> None:
        super().setUp()
        self.house.add("mercutio")
        (self.mercutio,) = self.house.connect("mercutio")
        self.say("a")
        self.house.clock.advance(10)
        self.say("b", to=MERCUTIO)
        self.house.clock.advance(10)
        self.mercutio.send(chat(f"{ROMEO}/1", "c"))
        self.house.clock.advance(10)
        self.say("d", sender=self.juliet, to=ROMEO)
        self.say("e", to=ROMEO)
        self.all = self.ask()
        self.assertEqual(self.all.said, list("abcde"))

    def found(self, *given: tuple[str, str] | tuple[str, list[str]]) -> str:
        """What is found by these fields, in one word."""
        answer = self.ask(fields(*given))
        self.assertEqual(answer.error, "")
        return "".join(answer.said)

    def test_with(self) -> None:
        """QU-4: A conversation is what was said to somebody, and by them."""
        self.assertEqual(self.found(("with", JULIET)), "ad")
        self.assertEqual(self.found(("with", "Mercutio@Montague.lit")), "bc")
        self.assertEqual(self.found(("with", "nobody@montague.lit")), "")

    def test_with_resource(self) -> None:
        """QU-4: A full JID is that of one resource, as it stands in the message."""
        self.assertEqual(self.found(("with", f"{MERCUTIO}/1")), "c")
        self.assertEqual(self.found(("with", f"{MERCUTIO}/2")), "")

    def test_with_oneself(self) -> None:
        """QU-4: The own JID finds notes to oneself, and not all of the archive."""
        self.assertEqual(self.found(("with", ROMEO)), "e")

    def test_rare(self) -> None:
        """A resource that hardly ever spoke is found behind a thousand messages of another."""
        self.say(*["x"] * 200, sender=self.juliet, to=ROMEO)
        other = self.house.bind("juliet", "rare")
        other.send(chat(ROMEO, "y"))
        self.say(*["x"] * 200, sender=self.juliet, to=ROMEO)
        for begin in ("", "<before/>"):
            answer = self.ask(fields(("with", f"{JULIET}/rare")), page(begin, max=10))
            self.assertEqual(answer.said, ["y"])
            self.assertTrue(answer.complete)

    def test_occupant(self) -> None:
        """A conversation with an occupant of a room is found by their address in it."""
        pm = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
        for nick in ("nurse", "tybalt"):
            self.romeo.send(chat(f"ball@rooms.lit/{nick}", nick, pm))
        self.assertEqual(self.found(("with", "ball@rooms.lit/nurse")), "nurse")

    def test_times(self) -> None:
        """QU-5: Both ends of a time are in it, to the microsecond, in any zone."""
        entries = done(self.archive.entries.page(ROMEO, ALL, 10))
        times = [microseconds_of(each.position) for each in entries]
        b, c = exact_date_time(times[1]), exact_date_time(times[2])
        self.assertEqual(self.found(("start", b), ("end", c)), "bc")
        self.assertEqual(self.found(("start", exact_date_time(times[1] + 1))), "cde")
        self.assertEqual(self.found(("end", exact_date_time(times[2] - 1))), "ab")
        self.assertEqual(self.found(("start", "1970-01-01T02:00:00+02:00")), "abcde")
        self.assertEqual(self.found(("start", "9999-12-31T23:59:59Z")), "")
        self.assertEqual(self.found(("end", "1970-01-01T00:00:00Z")), "")
        self.assertEqual(self.found(("start", c), ("end", b)), "")

    def test_ids(self) -> None:
        """Messages are found by their ids, in order of time, however they are asked for."""
        ids = self.all.ids
        self.assertEqual(self.found(("ids", [ids[3], ids[0], ids[3]])), "ad")
        self.assertEqual(self.found(("ids", ids), ("with", MERCUTIO)), "bc")
        self.assertEqual(
            self.found(("ids", ids), ("after-id", ids[1]), ("before-id", ids[4])), "cd"
        )
        answer = self.ask(fields(("ids", ids)), page(after(ids[0]), max=2))
        self.assertEqual((answer.said, answer.complete), (["b", "c"], False))
        answer = self.ask(fields(("ids", ids)), page("<before/>", max=2))
        self.assertEqual((answer.said, answer.complete), (["d", "e"], False))

    def test_place_outside(self) -> None:
        """QU-6: A message that is in the archive and not wanted is a place in it all the same."""
        ids = self.all.ids
        answer = self.ask(fields(("with", MERCUTIO)), page(after(ids[0]), max=1))
        self.assertEqual((answer.said, answer.complete), (["b"], False))
        answer = self.ask(fields(("with", MERCUTIO)), page(before(ids[4]), max=1))
        self.assertEqual((answer.said, answer.complete), (["c"], False))

    def test_groupchat(self) -> None:
        """QU-3: Clients may ask for rooms' messages or not; accounts have none of them."""
        for word in ("true", "false", "1", "0"):
            self.assertEqual(self.found(("include-groupchat", word)), "abcde")

    def test_empty_fields(self) -> None:
        """A field that was left empty says nothing."""
        self.assertEqual(self.found(("with", ""), ("start", []), ("ids", [])), "abcde")

    def test_careless_form(self) -> None:
        """QU-3: A form need not say that it is submitted, nor which of its fields is hidden
        (Conversations#1411).
        """
        form = fields(("with", JULIET)).replace(" type='submit'", "")
        self.assertEqual(self.ask(form).said, ["a", "d"])

    def test_form(self) -> None:
        """QU-2: Who asks is told which fields there are, and that ids are for the client to say."""
        self.romeo.send("<iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>")
        [answer] = self.romeo.received()
        form = ElementTree.fromstring(answer)[0][0]
        data = "{jabber:x:data}"
        self.assertEqual(form.get("type"), "form")
        found = {field.get("var"): field.get("type") for field in form.iter(f"{data}field")}
        self.assertEqual(
            found,
            {
                "FORM_TYPE": "hidden",
                "with": "jid-single",
                "start": "text-single",
                "end": "text-single",
                "before-id": "text-single",
                "after-id": "text-single",
                "ids": "list-multi",
                "include-groupchat": "boolean",
            },
        )
        validate = "{http://jabber.org/protocol/xdata-validate}"
        ids = form.find(f"{data}field[@var='ids']")
        assert ids is not None
        self.assertIsNotNone(ids.find(f"{validate}validate/{validate}open"))
        self.assertIsNone(form.find(f".//{data}required"))


class RefusedTests(QueryCase):
    """What bad input gets."""

    def setUp(self) -> None:
        super().setUp()
        self.say("a", "b")
        self.all = self.ask()

    def refused(self, condition: str, *parts: str, text: str = "", to: str = "") -> None:
        """A query is refused, and named is what is wrong with it."""
        answer = self.ask(*parts, to=to)
        self.assertEqual(answer.error, condition, answer)
        self.assertIn(text, answer.text)
        self.assertEqual(answer.said, [])

    def test_another_archive(self) -> None:
        """QU-1: The archive of somebody else is nobody's business, not even an administrator's."""
        self.refused("forbidden", to=JULIET)
        self.refused("service-unavailable", to="nobody@montague.lit")
        for child in ("<metadata xmlns='urn:xmpp:mam:2'/>", "<query xmlns='urn:xmpp:mam:2'/>"):
            self.romeo.send(f"<iq type='get' id='q' to='{JULIET}'>{child}</iq>")
            self.assertIn("<forbidden", self.romeo.received()[0])

    def test_own_archive(self) -> None:
        """QU-1: One's own is asked with its address or without, from any resource."""
        other = self.house.bind("romeo", "other")
        self.assertEqual(self.ask(client=other).said, ["a", "b"])
        self.assertEqual(self.ask(client=other, to=ROMEO).said, ["a", "b"])

    def test_unknown_ids(self) -> None:
        """QU-6: An id that is not in the archive is not found, whatever it stands for: one of
        another archive, one that was never given, and what is no id at all (ejabberd#2924).
        """
        theirs = self.ask(client=self.juliet).ids[0]
        never = self.archive.id_of(ROMEO, 2**60)
        for id in (theirs, never, "1", "'; drop table", "é" * 32, "0" * 32, "f" * 4_000):
            escaped = id.replace("'", "&apos;")
            self.refused("item-not-found", page(after(escaped)))
            self.refused("item-not-found", page(before(escaped)))
            for name in ("after-id", "before-id", "ids"):
                self.refused("item-not-found", fields((name, escaped)))
        known = self.all.ids[0]
        self.refused("item-not-found", fields(("ids", [known, never])))
        self.assertEqual(self.all.ids[0], known.lower())
        self.refused("item-not-found", page(after(known.upper())))

    def test_unknown_field(self) -> None:
        """QU-3: A field that there is not is not overlooked."""
        self.refused("feature-not-implemented", fields(("{urn:x}mood", "sad")), text="{urn:x}mood")
        self.refused("feature-not-implemented", fields(("{urn:xmpp:fulltext:0}fulltext", "Ay")))

    def test_wrong_form(self) -> None:
        """QU-3: A form of another type is no query."""
        form = fields(("with", JULIET)).replace("<value>urn:xmpp:mam:2", "<value>urn:xmpp:mam:1")
        self.refused("bad-request", form, text="FORM_TYPE")

    def test_wrong_values(self) -> None:
        """QU-3, QU-5: A value that is none is refused, and its field named."""
        for name, value in (
            ("with", "@"),
            ("with", "romeo@"),
            ("start", "yesterday"),
            ("start", "1969-12-31T23:59:59Z"),
            ("end", "2024-02-30T00:00:00Z"),
            ("include-groupchat", "maybe"),
        ):
            self.refused("bad-request", fields((name, value)), text=name)
        self.refused("bad-request", fields(("with", [JULIET, ROMEO])), text="with")
        self.refused("bad-request", fields(("start", "x"), ("start", "x")), text="start")

    def test_wrong_pages(self) -> None:
        """QU-7: So is a page that cannot be."""
        id = self.all.ids[0]
        self.refused("bad-request", page(after(id), before(id)), text="before")
        self.refused("bad-request", page("<max>-1</max>"), text="max")
        self.refused("bad-request", page("<max>2147483649</max>"), text="max")
        self.refused("feature-not-implemented", page("<index>1</index>"), text="index")

    def test_too_many_ids(self) -> None:
        """At most 1,000 messages are asked for one by one."""
        ids = [f"{n:032x}" for n in range(1_001)]
        self.refused("not-acceptable", fields(("ids", ids)), text="1000")
        self.refused("item-not-found", fields(("ids", ids[:1_000])))

    def test_many_ids(self) -> None:
        """Many messages that are asked for one by one are read in several turns."""
        self.say(*map(str, range(300)))
        self.index()
        ids = self.ask(page(max=250)).ids
        answer = self.ask(fields(("ids", ids)), page(max=MAX_RESULTS))
        self.assertEqual(answer.ids, ids)
        self.assertTrue(answer.complete)

    def test_guest(self) -> None:
        """A guest has no archive, and nothing is announced (AR-1, AR-24)."""
        guest = self.house.bind(new_guest("montague.lit").bare)
        self.assertEqual(self.ask(client=guest).error, "service-unavailable")
        info = "http://jabber.org/protocol/disco#info"
        bare = guest.session.jid.bare
        guest.send(f"<iq type='get' id='d' to='{bare}'><query xmlns='{info}'/></iq>")
        [answer] = guest.received()
        self.assertIn("anonymous", answer)
        self.assertNotIn("urn:xmpp:mam:2", answer)


class WireTests(QueryCase):
    """What is written to whom."""

    def setUp(self) -> None:
        super().setUp()
        self.say("a", "b")

    def test_envelope(self) -> None:
        """QU-11: A result repeats the client's word, as it was written, and comes from the archive
        to the resource that has asked.
        """
        self.romeo.raw()
        self.romeo.send(query(queryid="f&lt;27"))
        *results, fin = map(ElementTree.fromstring, self.romeo.received())
        self.assertEqual(
            fin.attrib, {"from": ROMEO, "to": f"{ROMEO}/1", "id": "q", "type": "result"}
        )
        for each in results:
            self.assertEqual(each.attrib, {"from": ROMEO, "to": f"{ROMEO}/1"})
            self.assertEqual(each[0].get("queryid"), "f<27")

    def test_what_was_said(self) -> None:
        """AR-23: A result has its id twice: as attribute, and once in the message itself (ejabberd
        #4544), which is otherwise as it was sent.
        """
        self.romeo.send(
            f"<message to='{JULIET}' type='chat' id='1'><body>c</body><x xmlns='u'/></message>"
        )
        self.juliet.raw()
        self.juliet.send(query(page("<before/>", max=1)))
        result = ElementTree.fromstring(self.juliet.received()[0])[0]
        message = result[0][1]
        ids = [each.attrib for each in message.findall("{urn:xmpp:sid:0}stanza-id")]
        self.assertEqual(ids, [{"id": result.get("id"), "by": JULIET}])
        self.assertEqual(
            message.attrib, {"from": f"{ROMEO}/1", "to": JULIET, "type": "chat", "id": "1"}
        )
        self.assertIsNotNone(message.find("{u}x"))

    def test_same_id(self) -> None:
        """A result has the id that the live message had (AR-22)."""
        self.juliet.raw()
        self.say("c")
        live = ElementTree.fromstring(self.juliet.received()[0])
        id = live.find("{urn:xmpp:sid:0}stanza-id")
        assert id is not None
        answer = self.ask(page("<before/>", max=1), client=self.juliet)
        self.assertEqual(answer.ids, [id.get("id")])

    def test_nobody_else(self) -> None:
        """QU-13: Nobody else gets a copy of a result, and it is not archived."""
        other = self.house.bind("romeo", "other")
        other.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq><presence/>")
        other.raw()
        self.romeo.raw()
        self.assertEqual(len(self.ask().said), 2)
        self.assertEqual(other.received(), [])
        self.assertEqual(len(self.ask().said), 2)

    def test_blocked(self) -> None:
        """What was said by somebody who is blocked since is one's own all the same."""
        self.romeo.send(
            "<iq type='set' id='l'><query xmlns='jabber:iq:privacy'><list name='no'>"
            "<item action='deny' order='1'/></list></query></iq><iq type='set' id='a'>"
            "<query xmlns='jabber:iq:privacy'><active name='no'/></query></iq>"
        )
        self.assertEqual(self.ask().said, ["a", "b"])

    def test_damaged(self) -> None:
        """QU-14: What is no message any more is left out, and said to be, and the page goes on
        (ejabberd#898).
        """
        self.say("c")
        entries = done(self.archive.entries.page(ROMEO, ALL, 10))
        entries[1] = entries[1]._replace(stanza=b"<message><body>b</message>")
        entries[0] = entries[0]._replace(stanza=None)

        async def damaged(*args: object, **more: object) -> object:
            return entries

        with patch.object(self.archive.entries, "page", damaged):
            answer = self.ask()
        self.assertEqual(answer.said, ["c"])
        self.assertTrue(answer.complete)
        self.assertIsNotNone(answer.first)

    def test_counted(self) -> None:
        """QU-13: Stream management counts results like all stanzas, and nothing is held of them."""
        self.romeo.raw()
        self.romeo.enable()
        self.ask()
        management = self.romeo.session.management
        assert management is not None
        self.assertEqual(management.sent, 3)
        self.assertEqual(management.held, {})

    def test_in_between(self) -> None:
        """What comes while somebody reads slowly is behind what was written, and before the answer;
        it is found by the next query.
        """
        self.romeo.raw()
        self.romeo.stop_reading()
        self.romeo.send(query())
        self.say("c", sender=self.juliet, to=ROMEO)
        self.romeo.read_on()
        kinds = ["result" if "<result" in s else s[1:3] for s in self.romeo.received()]
        self.assertEqual(kinds, ["me", "result", "result", "iq"])
        self.assertEqual(self.ask().said, ["a", "b", "c"])

    def test_many_at_once(self) -> None:
        """QU-15: Fifty queries at once are answered one after the other, and what comes behind them
        is read then.
        """
        self.romeo.raw()
        queries = "".join(query(id=f"q{number}") for number in range(50))
        self.romeo.send(f"{queries}{chat(JULIET, 'c')}")
        answers = [
            ElementTree.fromstring(each).get("id")
            for each in self.romeo.received()
            if each.startswith("<iq")
        ]
        self.assertEqual(answers, [f"q{number}" for number in range(50)])
        self.assertEqual(self.ask().said, ["a", "b", "c"])

    def test_announced(self) -> None:
        """AR-24: An account says what it can do, ids in live messages included."""
        disco = "http://jabber.org/protocol/disco#info"
        self.romeo.raw()
        self.romeo.send(f"<iq type='get' id='d' to='{ROMEO}'><query xmlns='{disco}'/></iq>")
        [answer] = self.romeo.received()
        found = {each.get("var") for each in ElementTree.fromstring(answer)[0]}
        for feature in ("mam:2", "mam:2#extended", "mam:2#groupchat-field", "sid:0"):
            self.assertIn(f"urn:xmpp:{feature}", found)
        self.assertNotIn("urn:xmpp:mam:2#groupchat-available", found)
        self.assertIn("http://jabber.org/protocol/rsm", found)
