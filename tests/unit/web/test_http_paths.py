"""The place of paths."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.web.http_path import HTTPPath, HTTPPaths, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse


def path(text: str, *methods: str) -> HTTPPath:
    """A part that serves this."""

    def handle(request: HTTPRequest) -> HTTPResponse:
        return HTTPResponse()

    return HTTPPath(path=text, methods=methods or ("GET",), access=anybody, handle=handle)


class PathTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.paths = HTTPPaths()

    def found(self, text: str) -> str | None:
        guarded = self.paths.find(text)
        return None if guarded is None else guarded.part.path

    def test_find(self) -> None:
        """A path itself goes before the one above it that has all below."""
        for text in ("/a", "/a/", "/a/b/c", "/d/e/"):
            self.paths.put(path(text), "one")
        for asked, found in (
            ("/a", "/a"), ("/a/", "/a/"), ("/a/b", "/a/"), ("/a/b/c", "/a/b/c"),
            ("/a/b/c/d", "/a/"), ("/d/e", None), ("/d/e/f/g", "/d/e/"), ("/", None), ("/ab", None),
        ):  # fmt: skip
            with self.subTest(asked=asked):
                self.assertEqual(self.found(asked), found)

    def test_taken(self) -> None:
        """A path is there once, and nobody is below what another plugin has."""
        self.paths.put(path("/a/"), "one")
        self.paths.put(path("/b/c"), "one")
        self.paths.put(path("/a/b"), "one")
        for owner, text in (("one", "/a/"), ("two", "/b/c"), ("two", "/a/c"), ("two", "/b/")):
            with self.subTest(text=text), self.assertRaises(ValueError):
                self.paths.put(path(text), owner)

    def test_no_paths(self) -> None:
        """What is no path, or has a method nobody sends, is no part."""
        for part in (path("a"), path("/a//b"), path("/a", "FETCH"), path("/a", "HEAD")):
            with self.assertRaises(ValueError):
                self.paths.put(part, "one")

    def test_take_out(self) -> None:
        """A path that was taken out is not there any more, and another may have it."""
        take_out = self.paths.put(path("/a"), "one")
        take_out()
        self.assertIsNone(self.found("/a"))
        self.paths.put(path("/a"), "two")
