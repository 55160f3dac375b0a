"""Names of files are for people, and browsers open only what they do not run."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd_plugins.http_upload.names import MAX_NAME_BYTES, clean_name, disposition, is_media_type


class NameTests(SynchronousTestCase):
    def test_clean(self) -> None:
        """Names are shown without paths and without what nobody sees (HU-8)."""
        for said, shown in (
            ("a.png", "a.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\boot.ini", "boot.ini"),
            (".htaccess", "htaccess"),
            ("gpj\u202egnp.exe", "gpjgnp.exe"),
            ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
            ("", "file"),
            ("..", "file"),
            ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ):
            self.assertEqual(clean_name(said), shown)

    @given(st.text())
    def test_any(self, said: str) -> None:
        """Whatever is said, a name is short, is no path, and fits into a header."""
        name = clean_name(said)
        self.assertTrue(0 < len(name.encode()) <= MAX_NAME_BYTES, name)
        self.assertFalse(set("/\\\r\n\0") & set(name))
        self.assertTrue(disposition(name, "image/png").isascii())

    def test_types(self) -> None:
        """A media type is one, or it is refused."""
        for good in ("image/png", 'text/plain; charset="utf-8"', "application/x-a+b;v=1"):
            self.assertTrue(is_media_type(good))
        for bad in ("image", "a/b\n", "a/b; c", "/", "a/b\x00", "a" * 300 + "/b"):
            self.assertFalse(is_media_type(bad))
