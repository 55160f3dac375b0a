"""Result set management (XEP-0059)."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import StanzaError, escape
from xmppd.stanza.rsm import LARGEST, RSM, PageRequest, page_of, page_request, page_set

USUAL, MOST = 50, 250
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1)


def asked(*parts: str) -> PageRequest | None:
    """The page that a request with these elements asks for."""
    query = ElementTree.fromstring(f"<query><set xmlns='{RSM}'>{''.join(parts)}</set></query>")
    return page_request(query, usual=USUAL, most=MOST)


def read(given: bytes) -> dict[str, str | None]:
    """What a ``<set/>`` of ours says."""
    tree = ElementTree.fromstring(given)
    said = {child.tag.rpartition("}")[2]: child.text for child in tree}
    first = tree.find(f"{{{RSM}}}first")
    return said | {"index": None if first is None else first.get("index")}


class RequestTests(SynchronousTestCase):
    """page_request."""

    def refused(self, *parts: str) -> str:
        """The text of the error that a request gets."""
        error = self.assertRaises(StanzaError, asked, *parts)
        self.assertEqual(error.condition.tag, "bad-request")
        return error.text or ""

    def test_none(self) -> None:
        """A request need not say anything of pages."""
        query = ElementTree.fromstring("<query><max>10</max></query>")
        self.assertIsNone(page_request(query, usual=USUAL, most=MOST))

    def test_size(self) -> None:
        """QU-7: A page has as many items as are asked for, within limits."""
        for text, most in (("0", 0), ("10", 10), (" 10\n", 10), ("250", 250), ("251", 250)):
            self.assertEqual(asked(f"<max>{text}</max>"), PageRequest(most))
        self.assertEqual(asked(f"<max>{LARGEST}</max>"), PageRequest(MOST))
        self.assertEqual(asked(), PageRequest(USUAL))

    def test_no_size(self) -> None:
        """QU-7: What is no number, or beyond all reason, is refused by its name."""
        for text in ("", "-1", "1.0", "ten", "٣", str(LARGEST + 1), "9" * 5_000, "1;drop"):
            self.assertIn("max", self.refused(f"<max>{text}</max>"))
        self.assertIn("index", self.refused("<index>-1</index>"))

    def test_places(self) -> None:
        """QU-8: An empty before asks for the last page; an empty after, as some write it, for the
        first.
        """
        self.assertEqual(asked("<before/>"), PageRequest(USUAL, before=""))
        self.assertEqual(asked("<before>a</before>"), PageRequest(USUAL, before="a"))
        self.assertEqual(asked("<after>a</after>"), PageRequest(USUAL, after="a"))
        self.assertEqual(asked("<after/>"), PageRequest(USUAL))
        self.assertEqual(asked("<index>7</index>"), PageRequest(USUAL, skipped=7))

    def test_two_places(self) -> None:
        """QU-7: A page is in one place only."""
        for parts in (("after", "before"), ("after", "index"), ("before", "index")):
            self.refused(*(f"<{name}>1</{name}>" for name in parts))


class PageTests(SynchronousTestCase):
    """page_of, and page_set."""

    @given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(1, 7))
    def test_forwards(self, ids: list[str], most: int) -> None:
        """Whoever goes on behind each last item is given every item once, in order."""
        found: list[str] = []
        request = PageRequest(most)
        while True:
            page = page_of(ids, request)
            if page.start == page.end:
                break
            self.assertEqual(page.start, len(found))
            found += ids[page.start : page.end]
            request = PageRequest(most, after=found[-1])
        self.assertEqual(found, ids)

    @given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(1, 7))
    def test_backwards(self, ids: list[str], most: int) -> None:
        """So is whoever begins at the end, and goes on before each first item."""
        found: list[str] = []
        request = PageRequest(most, before="")
        while True:
            self.assertTrue(request.is_backwards)
            page = page_of(ids, request)
            if page.start == page.end:
                break
            found = ids[page.start : page.end] + found
            request = PageRequest(most, before=found[0])
        self.assertEqual(found, ids)

    @given(st.lists(LINES, unique=True, max_size=9), st.integers(0, 12), st.integers(0, 12))
    def test_index(self, ids: list[str], most: int, skipped: int) -> None:
        """A page says where it stands, and how long the list is; an empty one has no ends."""
        page = page_of(ids, PageRequest(most, skipped=skipped))
        found = ids[skipped : skipped + most]
        self.assertEqual(ids[page.start : page.end], found)
        said = read(page.given)
        self.assertEqual(said["count"], str(len(ids)))
        if found:
            self.assertEqual((said["first"], said["last"]), (found[0], found[-1]))
            self.assertEqual(said["index"], str(skipped))
        else:
            self.assertEqual(set(said), {"count", "index"})

    def test_unknown(self) -> None:
        """A page next to an item that is gone cannot be found (§2.4)."""
        for request in (PageRequest(5, after="gone"), PageRequest(5, before="gone")):
            error = self.assertRaises(StanzaError, page_of, ["a", "b"], request)
            self.assertEqual(error.condition.tag, "item-not-found")

    def test_without_count(self) -> None:
        """What would be dear to count need not be said."""
        self.assertEqual(read(page_set("a", "b")), {"first": "a", "last": "b", "index": None})
        self.assertEqual(page_set(None, None), f"<set xmlns='{RSM}'></set>".encode())
        self.assertIn(escape("<&'\""), page_set("<&'\"", "b").decode())
