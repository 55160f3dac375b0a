"""Cards and avatars of rooms (XEP-0486)."""

from base64 import b64encode
from hashlib import sha1

from tests.plugins.muc.halls import ORCHARD, SERVICE, RoomsCase, codes, condition
from xmppd.testing.client import Client
from xmppd_plugins.muc.card import MAX_CARD_BYTES

PICTURE = b"\x89PNG and more"
INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


class CardTests(RoomsCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.opened("romeo", "juliet")

    def ask(self, client: Client, kind: str, inner: str, to: str = ORCHARD) -> str:
        """The answer to a request."""
        client.raw()
        client.send(f"<iq type='{kind}' id='c' to='{to}'>{inner}</iq>")
        return next(each for each in client.received() if each.startswith("<iq"))

    def card(self, inner: str = "") -> str:
        return f"<vCard xmlns='vcard-temp'>{inner}</vCard>"

    def photo(self, picture: bytes = PICTURE) -> str:
        """A card with a picture."""
        text = b64encode(picture).decode()
        return self.card(f"<PHOTO><TYPE>image/png</TYPE><BINVAL>\n{text}</BINVAL></PHOTO>")

    def test_avatar(self) -> None:
        """An owner's card is shown to everybody, and its avatar is announced (RM-68)."""
        self.assertIn("type='result'", self.ask(self.romeo, "set", self.photo()))
        (told,) = self.juliet.received()
        self.assertEqual(codes(told), {104})
        hash = sha1(PICTURE, usedforsecurity=False).hexdigest()
        nurse = self.client("nurse")
        self.assertIn(f"<value>{hash}</value>", self.ask(nurse, "get", INFO))
        self.assertIn(b64encode(PICTURE).decode(), self.ask(nurse, "get", self.card()))

    def test_removed(self) -> None:
        """An empty card takes the avatar away."""
        self.ask(self.romeo, "set", self.photo())
        self.ask(self.romeo, "set", self.card())
        self.assertNotIn("avatarhash", self.ask(self.juliet, "get", INFO))
        self.assertNotIn("PHOTO", self.ask(self.juliet, "get", self.card()))

    def test_without_avatar(self) -> None:
        """Who is in is not told of a card whose avatar is no other one."""
        self.ask(self.romeo, "set", self.card("<FN>Orchard</FN>"))
        self.assertEqual(self.juliet.received(), [])
        self.assertIn("Orchard", self.ask(self.juliet, "get", self.card()))

    def test_refused(self) -> None:
        """A card is an owner's, of a room that there is, with a picture, and not too large."""
        large = self.card(f"<NOTE>{'x' * MAX_CARD_BYTES}</NOTE>")
        for client, inner, to, expected in (
            (self.juliet, self.photo(), ORCHARD, "forbidden"),
            (self.romeo, self.photo(), f"tomb@{SERVICE}", "item-not-found"),
            (self.romeo, self.card("<PHOTO><BINVAL>?</BINVAL></PHOTO>"), ORCHARD, "bad-request"),
            (self.romeo, large, ORCHARD, "not-acceptable"),
        ):
            with self.subTest(expected):
                self.assertEqual(condition(self.ask(client, "set", inner, to)), expected)

    def test_announced(self) -> None:
        """Service and rooms say that they have cards."""
        for address in (SERVICE, ORCHARD):
            answer = self.ask(self.juliet, "get", INFO, address)
            self.assertEqual(answer.count("var='vcard-temp'") + answer.count('var="vcard-temp"'), 1)
