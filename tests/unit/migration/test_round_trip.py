"""What moves out and in again is the same (IM-1)."""

from xml.etree import ElementTree

from tests.unit.migration.movers import PLUGINS, MovingCase
from xmppd.migration.readers import xep0227
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
PASSWORD = "the inconstant moøn"


ROSTER = (
    "<query xmlns='jabber:iq:roster'><item jid='juliet@montague.lit' name='J &amp; &lt;3'>"
    "<group>Fair</group><group>Capulet</group></item></query>"
)
PRIVATE = (
    "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><a b='&apos;'/></exodus></query>"
)
PUBLISH = (
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
    "<publish node='{}'><item id='{}'>{}</item></publish></pubsub>"
)
BOOKMARK = "<conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/>"
PREFERENCES = (
    "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always/>"
    "<never><jid>nurse@capulet.lit</jid></never></prefs>"
)
TO_ROMEO = "<message to='romeo@montague.lit' type='chat'><body>{}</body></message>"
DRAW = "<presence to='romeo@montague.lit' type='subscribe'><status>Draw!</status></presence>"


def populated() -> House:
    """A house in which Romeo has some of everything."""
    house = House(plugins=PLUGINS, juliet={"romeo": "both"}, tybalt={})
    done(house.server.passwords.create(ROMEO, PASSWORD))
    both = [RosterItem(JULIET, subscription="both")]
    done(house.store.rosters.save_roster_items(ROMEO, both))
    juliet, romeo, tybalt = house.connect("juliet", "romeo", "tybalt")
    ask(romeo, ROSTER)
    ask(romeo, PRIVATE)
    ask(romeo, "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>")
    ask(romeo, "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.lit'/></block>")
    ask(romeo, PUBLISH.format("urn:news", "1", "<entry xmlns='urn:news'>l'été</entry>"))
    ask(romeo, PREFERENCES)
    room = "orchard@conference.montague.lit"
    ask(romeo, PUBLISH.format("urn:xmpp:bookmarks:1", room, BOOKMARK))
    romeo.send("<presence/>")
    juliet.send("<presence/>")
    juliet.send(TO_ROMEO.format("What man art thou?"))
    romeo.send("<presence to='paris@montague.lit' type='subscribe'/>")
    romeo.send("<presence type='unavailable'><status>gone</status></presence>")
    romeo.abort()
    house.clock.advance(1_000)
    juliet.send(TO_ROMEO.format("Wherefore art thou?"))
    tybalt.send(DRAW)
    house.clock.advance(10)
    return house


def ask(client: Client, query: str) -> None:
    """Have something set."""
    client.send(f"<iq type='set' id='1'>{query}</iq>")
    answer = client.raw()
    assert b"type='result'" in answer, answer


class RoundTripTests(MovingCase):
    def setUp(self) -> None:
        super().setUp()
        self.before = populated()
        self.first = self.exported(self.before, "first")

    def assert_same(self) -> None:
        """The house writes the same files as the one that was left."""
        second = self.exported(self.house, "second")
        self.assertEqual(set(second), set(self.first))
        for name, data in self.first.items():
            self.assertEqual(second[name].split(b"><"), data.split(b"><"), name)

    def test_the_same(self) -> None:
        """An empty server writes the same files as the one that people have left."""
        said = self.bring(self.directory / "first")
        self.assertEqual(
            said, [f"{name}@montague.lit was imported" + MISSING.get(name, "")
                   for name in ("juliet", "romeo", "tybalt")])  # fmt: skip
        self.assert_same()
        text = self.first["montague.lit/romeo.xml"].decode()
        for part in (
            "What man art thou?", "Wherefore", "l'été", "orchard@", "exodus:prefs", "Draw!",
            "tybalt@capulet", "<FN>Romeo</FN>", "J &amp; &lt;3", "gone", "SCRAM-SHA-256",
            "ask='subscribe'", "default='roster'", "<jid>nurse@capulet.lit</jid>",
        ):  # fmt: skip
            self.assertIn(part, text)
        self.assertNotIn(PASSWORD, text)

    def test_log_in(self) -> None:
        """The old password is the password here."""
        self.bring(self.directory / "first")
        self.assertTrue(self.knows(ROMEO, PASSWORD))
        self.assertFalse(self.knows(ROMEO, "a rose"))
        self.assertTrue(done(self.house.server.auth_provider.may_log_in(ROMEO)))

    def test_in_parts(self) -> None:
        """However often somebody long is cut, it is the same."""
        self.patch(xep0227, "PART_BYTES", 1)
        self.bring(self.directory / "first")
        self.assert_same()

    def test_again(self) -> None:
        """Again is harmless: who is there stays as they are."""
        self.bring(self.directory / "first")
        said = self.bring(self.directory / "first")
        self.assertEqual(said[1], f"{ROMEO}: the account already exists, and was not changed")
        self.assert_same()

    def test_replaced(self) -> None:
        """Somebody who is there gives way, if that is wanted."""
        done(self.house.server.passwords.create(ROMEO, "another"))
        (romeo,) = self.house.connect("romeo")
        self.bring(self.directory / "first", replace=True)
        self.assertTrue(romeo.closed)
        self.assert_same()

    def test_dry_run(self) -> None:
        """It says what would be, and nothing is."""
        said = self.bring(self.directory / "first", dry_run=True)
        self.assertEqual(said[1], f"{ROMEO} would be imported")
        self.assertEqual(done(self.house.store.accounts.count_accounts("montague.lit")), 0)

    def test_only(self) -> None:
        """One person is taken."""
        said = self.bring(self.directory / "first", only=[ROMEO])
        self.assertEqual(said, [f"{ROMEO} was imported"])

    def test_private(self) -> None:
        """Nobody else may read the files."""
        modes = {path.stat().st_mode & 0o777 for path in (self.directory / "first").rglob("*.xml")}
        self.assertEqual(modes, {0o600})

    def test_well_formed(self) -> None:
        """The files are XML, with one root each."""
        roots = {name: ElementTree.fromstring(data).tag for name, data in self.first.items()}
        self.assertEqual(roots["server-data.xml"], "{urn:xmpp:pie:0}server-data")
        self.assertEqual(roots["montague.lit.xml"], "{urn:xmpp:pie:0}host")
        self.assertEqual(roots["montague.lit/romeo.xml"], "{urn:xmpp:pie:0}user")


MISSING = {
    name: (
        ", but: the password could not be imported: set one with xmppctl user password "
        f"{name}@montague.lit"
    )
    for name in ("juliet", "tybalt")
}
