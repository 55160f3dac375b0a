"""Nicks, and the ids that stay when they change."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, StanzaError
from xmppd_plugins.muc.nicks import check_nick, folded
from xmppd_plugins.muc.occupant_ids import new_key, occupant_id
from xmppd_plugins.muc.settings import RoomSettings

ROOM, OTHER_ROOM = (
    JID.parse("coven@conference.verona.lit"),
    JID.parse("orchard@conference.verona.lit"),
)
ROMEO, JULIET = JID.parse("romeo@verona.lit/orchard"), JID.parse("juliet@verona.lit/balcony")


class NickTests(SynchronousTestCase):
    """What a nick may be (RM-11)."""

    def condition(self, text: str) -> str:
        error: StanzaError = self.assertRaises(StanzaError, check_nick, text)
        return error.condition.tag

    def test_shown_as_sent(self) -> None:
        """A nick is shown as it was sent."""
        for nick in ("Romeo", "thirdwitch", "Ромео", "✨ Juliet ✨"):
            self.assertEqual(check_nick(nick), nick)

    def test_empty(self) -> None:
        """A nick has more than white space."""
        for text in ("", " ", "\u2003\u00a0"):
            self.assertEqual(self.condition(text), "not-acceptable")

    def test_unseen(self) -> None:
        """A nick has no characters that nobody sees, or that turn others around."""
        for text in ("Ro\x07meo", "Romeo\u202e", "Ro\u200bmeo", "\u2066Romeo\u2069"):
            with self.subTest(ascii(text)):
                self.assertEqual(self.condition(text), "not-acceptable")

    def test_long(self) -> None:
        """A nick has up to 1,023 bytes."""
        self.assertEqual(check_nick("é" * 511), "é" * 511)
        self.assertEqual(self.condition("é" * 512), "jid-malformed")

    def test_look_alikes(self) -> None:
        """Nicks that look alike are taken for the same."""
        for one, other in (
            ("Romeo", "romeo"),
            ("Romeo", "Ｒｏｍｅｏ"),
            ("STRASSE", "straße"),
            ("Ⅳ witch", "iv  witch"),
            ("Å", "A\u030a"),
        ):
            with self.subTest(f"{one} {other}"):
                self.assertEqual(folded(one), folded(other))

    def test_others(self) -> None:
        """Nicks that differ in a letter are two."""
        for one, other in (("Romeo", "Romea"), ("Romeo", "Roméo"), ("a b", "ab")):
            self.assertNotEqual(folded(one), folded(other))


class OccupantIdTests(SynchronousTestCase):
    """By which others know an account again (RM-43)."""

    def test_stays(self) -> None:
        """An account has one id in a room, from whatever client, and it has 43 characters."""
        key = new_key()
        id = occupant_id(key, ROOM, ROMEO)
        self.assertEqual(occupant_id(key, ROOM.with_resource("Romeo"), ROMEO.to_bare()), id)
        self.assertRegex(id, "^[A-Za-z0-9_-]{43}$")

    def test_differs(self) -> None:
        """It is another one for another account, in another room, and in a room made anew."""
        key = new_key()
        ids = {
            occupant_id(key, ROOM, ROMEO),
            occupant_id(key, ROOM, JULIET),
            occupant_id(key, OTHER_ROOM, ROMEO),
            occupant_id(new_key(), ROOM, ROMEO),
        }
        self.assertEqual(len(ids), 4)


class RoomSettingsTests(SynchronousTestCase):
    def test_admins(self) -> None:
        """Administrators of rooms are bare JIDs, as they are compared."""
        self.assertEqual(RoomSettings(admins=("romeo@verona.lit",)).admins, ("romeo@verona.lit",))
        for wrong in ("verona.lit", "romeo@verona.lit/1", "Romeo@verona.lit", "@", ""):
            with self.subTest(wrong):
                self.assertRaises(ValueError, RoomSettings, admins=(wrong,))

    def test_blocked_domains(self) -> None:
        """Blocked domains are written as they are compared."""
        settings = RoomSettings(blocked_domains=("capulet.lit",))
        self.assertEqual(settings.blocked_domains, ("capulet.lit",))
        for wrong in ("Capulet.lit", "romeo@capulet.lit", ""):
            with self.subTest(wrong):
                self.assertRaises(ValueError, RoomSettings, blocked_domains=(wrong,))
