"""What moves out and in again is the same (IM-1)."""

import base64
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
        text = self.first["romeo@montague.lit.xml"].decode()
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
        """Each file is a whole document, and the main one is made of the hosts of others."""
        roots = {ElementTree.fromstring(data).tag for data in self.first.values()}
        self.assertEqual(roots, {"{urn:xmpp:pie:0}server-data"})
        found = ElementTree.fromstring(self.first["server-data.xml"])
        self.assertEqual(
            [each.attrib for each in found],
            [
                {"href": f"{name}@montague.lit.xml", "xpointer": "element(/1/1)"}
                for name in ("juliet", "romeo", "tybalt")
            ],
        )

    def test_one_file(self) -> None:
        """The file of somebody is enough for them."""
        source = self.directory / "first" / "romeo@montague.lit.xml"
        self.assertEqual(self.bring(source), [f"{ROMEO} was imported"])
        self.assertTrue(self.knows(ROMEO, PASSWORD))

    def test_keys_twice(self) -> None:
        """Ejabberd takes the first element of credentials, and undoes its base64 twice."""
        user = ElementTree.fromstring(self.first["romeo@montague.lit.xml"])[0][0]
        first, *others = (each for each in user if each.tag.endswith("}scram-credentials"))
        self.assertEqual(first.get("mechanism"), "SCRAM-SHA-1")
        same = next(each for each in others if each.get("mechanism") == "SCRAM-SHA-1")
        self.assertNotEqual(first.tag, same.tag)
        self.assertEqual(
            [base64.b64decode(each.text or "").decode() for each in first[1:]],
            [each.text for each in same[1:]],
        )

    def test_names(self) -> None:
        """Whatever the names are, each has a file that is found: one with its name, if it has room
        for that, and one that needs no quoting.
        """
        names = ("a%25b", "a#b?", "l'é", "a\\20b", "[x]", "é" * 200, "..")
        accounts = [f"{name}@montague.lit".replace("'", "") for name in names]
        for account in accounts:
            done(self.before.server.passwords.create(account, PASSWORD))
        files = self.exported(self.before, "again")
        for account in accounts:
            self.assertEqual(f"{account}.xml" in files, len(account) < 200, account)
        self.bring(self.directory / "again")
        for account in accounts:
            self.assertTrue(self.knows(account, PASSWORD), account)
        for element in ElementTree.fromstring(files["server-data.xml"]):
            self.assertIn(element.get("href"), files)

    def test_former_layout(self) -> None:
        """Files that an earlier version has written, parts that make one document, are read."""
        head = "xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'"
        inside = "<xi:include href='montague.lit/nurse.xml'/>"
        former = self.directory / "former"
        (former / "montague.lit").mkdir(parents=True)
        for name, text in (
            ("server-data.xml", f"<server-data {head}><xi:include href='m.xml'/></server-data>"),
            ("m.xml", f"<host {head} jid='montague.lit'>{inside}</host>"),
            ("montague.lit/nurse.xml", f"<user {head} name='nurse' password='x'/>"),
        ):  # fmt: skip
            (former / name).write_text(text)
        self.bring(former)
        self.assertTrue(self.knows("nurse@montague.lit", "x"))


MISSING = {
    name: (
        ", but: the password could not be imported: set one with xmppctl user password "
        f"{name}@montague.lit"
    )
    for name in ("juliet", "tybalt")
}
