"""People come in from a file: what is taken, what is left out, and what is said of it."""

from base64 import b64encode
from pathlib import Path

from tests.unit.migration.movers import PLUGINS, MovingCase, give
from xmppd.auth.keys import make_keys
from xmppd.command.refused import Refused
from xmppd.migration import importer
from xmppd.migration.pie import written_account
from xmppd.migration.readers import xep0227
from xmppd.stanza.xml import read
from xmppd.store.arrivals import ArrivalStore, forget_pages
from xmppd.store.errors import StoreError
from xmppd.store.sql import Connection
from xmppd.testing.client import done
from xmppd.testing.house import House

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
PASSWORD = "Rosæ"
KEYS = make_keys(PASSWORD.encode(), 10)
ITEM = "<item jid='{}' subscription='{}'/>"


def person(name: str, inside: str = "", password: str = " password='x'") -> str:
    """Somebody with a password, and more."""
    return f"<user name='{name}'{password}>{inside}</user>"


def roster(*contacts: tuple[str, str]) -> str:
    """A roster."""
    return (
        f"<query xmlns='jabber:iq:roster'>{''.join(ITEM.format(*each) for each in contacts)}"
        "</query>"
    )


def scram(hash: str, *, times: int = 1) -> str:
    """The keys of the password, so often in base64."""
    (keys,) = (keys for keys in KEYS if keys.hash == hash)

    def text(data: bytes) -> str:
        for _ in range(times):
            data = b64encode(data)
        return data.decode()

    return (
        f"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-{hash}'>"
        f"<iter-count>10</iter-count><salt>{text(keys.salt)}</salt>"
        f"<server-key>{text(keys.server_key)}</server-key>"
        f"<stored-key>{text(keys.stored_key)}</stored-key></scram-credentials>"
    )


class PasswordTests(MovingCase):
    """People log in here with the password they had (IM-3, IM-4)."""

    def test_plain(self) -> None:
        self.bring(self.file(person("romeo", password=f" password='{PASSWORD}'")))
        self.assertTrue(self.knows(ROMEO, PASSWORD))

    def test_keys(self) -> None:
        """Keys are taken as they are, whichever hash they are of, in base64 once or twice."""
        for number, hash in enumerate(("SHA-1", "SHA-256", "SHA-512")):
            for times in (1, 2):
                name = f"r{number}{times}"
                with self.subTest(hash, times=times):
                    self.bring(self.file(person(name, scram(hash, times=times), "")))
                    self.assertTrue(self.knows(f"{name}@montague.lit", PASSWORD))

    def test_none(self) -> None:
        """Whoever has no password that can be taken is there, and listed."""
        other = scram("SHA-1").replace("SCRAM-SHA-1", "SCRAM-SHA-256")
        wrong = scram("SHA-1").replace(">10<", ">0<")
        for inside in ("", other, wrong, scram("SHA-1").replace("SCRAM-", "CRAM-")):
            with self.subTest(inside):
                (said,) = self.bring(self.file(person("romeo", inside, "")), replace=True)
                self.assertIn(f"xmppctl user password {ROMEO}", said)
                self.assertTrue(done(self.house.store.accounts.exists(ROMEO)))

    def test_disabled(self) -> None:
        """Who could not log in there cannot here."""
        account = "<account xmlns='urn:xmppd:account' disabled='true'/>"
        self.bring(self.file(person("romeo", account)))
        credentials = done(self.house.store.accounts.credentials(ROMEO))
        assert credentials is not None
        self.assertTrue(credentials.disabled)

    def test_disabled_until(self) -> None:
        """Nor can who could not for a while, for as long."""
        until = "2023-11-14T22:23:20Z"
        account = f"<account xmlns='urn:xmppd:account' disabled='true' disabled-until='{until}'/>"
        self.bring(self.file(person("romeo", account)))
        info = done(self.house.store.accounts.info(ROMEO))
        assert info is not None
        written = until.replace("Z", ".000000Z")
        self.assertIn(f" disabled='true' disabled-until='{written}'", written_account(info, None))
        self.house.clock.advance(600)
        credentials = done(self.house.store.accounts.credentials(ROMEO))
        assert credentials is not None
        self.assertFalse(credentials.disabled)


class AddressTests(MovingCase):
    """Addresses are prepared again (IM-5)."""

    def test_none(self) -> None:
        """Who has no address is listed, and the others are there."""
        people = person("ro meo") + person("juliet") + person("")
        said = self.bring(self.file(people))
        self.assertIn("ro meo@montague.lit: the address is invalid", said[0])
        self.assertEqual(said[1], f"{JULIET} was imported")

    def test_two_become_one(self) -> None:
        """Nothing of two people is mixed: the second one stays outside, whatever is wanted."""
        cards = [f"<vCard xmlns='vcard-temp'><FN>{number}</FN></vCard>" for number in (1, 2)]
        for replace in (False, True):
            for at_once in (1, 64):
                self.patch(importer, "PARTS_AT_ONCE", at_once)
                self.house = House(plugins=PLUGINS)
                done(self.house.server.passwords.create(ROMEO, "before")) if replace else None
                people = person("Romeo", cards[0]) + person("romeo", cards[1])
                said = self.bring(self.file(people), replace=replace)
                with self.subTest(replace=replace, at_once=at_once):
                    self.assertEqual(said[0], f"{ROMEO} was imported")
                    self.assertIn("romeo@montague.lit: ", said[1])
                    card = done(self.house.server.personal_items.elements(ROMEO, "vcard-temp"))
                    self.assertIn(b"1", card[""])

    def test_other_domain(self) -> None:
        """A domain that is not served here is said so, unless it has another name here."""
        path = self.file(person("romeo", roster(("juliet@montague.lit/x", "to"))))
        path.write_text(path.read_text().replace("montague.lit", "old.example"))
        (said,) = self.bring(path)
        self.assertIn("this server does not serve old.example", said)
        self.bring(path, domain=["old.example=montague.lit"])
        self.assertEqual(self.subscriptions(ROMEO), {JULIET: "to"})

    def test_renamed_inside(self) -> None:
        """The new name stands in all that comes along."""
        message = (
            "<offline-messages><message xmlns='jabber:client' from='juliet@old.example/b' "
            "to='romeo@old.example' type='chat'><body>at old.example</body></message>"
            "</offline-messages>"
        )
        path = self.file(person("romeo", message))
        path.write_text(path.read_text().replace("jid='montague.lit'", "jid='old.example'"))
        self.bring(path, domain=["old.example=montague.lit"])
        (kept,) = done(self.house.store.offline.offline_messages(ROMEO))
        tree = read(kept.stanza)
        self.assertEqual((tree.get("from"), tree.get("to")), (f"{JULIET}/b", ROMEO))
        self.assertEqual(tree.findtext("body"), "at old.example")

    def test_nonsense(self) -> None:
        """What is no renaming is said so."""
        for text in ("old.example", "=montague.lit", "old.example=", "a=b c"):
            with self.subTest(text), self.assertRaisesRegex(Refused, "OLD=NEW"):
                self.bring(self.file(""), domain=[text])

    def test_guests(self) -> None:
        """Names that guests are given are nobody's."""
        name = f"guest-{'0' * 32}"
        for each in (name, "anon-x"):
            self.bring(self.file(person(each)))
        self.assertEqual(done(self.house.store.accounts.count_accounts("montague.lit")), 1)


class ContactTests(MovingCase):
    """Rosters come along as far as both sides say the same (IM-6)."""

    def test_agreement(self) -> None:
        """Where one side says less, that holds, and it is listed; contacts elsewhere stay."""
        for theirs, mine in (("both", "both"), ("from", "to"), ("to", "from"), ("none", "none")):
            self.house = House(plugins=PLUGINS)
            with self.subTest(theirs):
                said = self.bring(
                    self.file(
                        person("romeo", roster((JULIET, "both"), ("b@verona.lit", "both")))
                        + person("juliet", roster((ROMEO, theirs)))
                    )
                )
                self.assertEqual(self.subscriptions(ROMEO), {JULIET: mine, "b@verona.lit": "both"})
                self.assertEqual(self.subscriptions(JULIET), {ROMEO: theirs})
                self.assertEqual(len(said), 2 + (mine != "both"))

    def test_states(self) -> None:
        """A state that is not known shows nothing, and one that cannot be is the nearest."""
        odd = roster((JULIET, "odd"), ("gone@verona.lit", "remove"), ("b@@", "both"))
        (said,) = self.bring(
            self.file(person("romeo", odd.replace("'odd'", "'odd' ask='subscribe'")))
        )
        self.assertIn("contact 'b@@'", said)
        (item,) = done(self.house.store.rosters.roster(ROMEO)).items
        self.assertEqual((item.jid, item.subscription, item.ask), (JULIET, "none", True))

    def test_requests(self) -> None:
        """Who has asked waits for the answer, and the first client hears of it."""
        ask = (
            f"<presence xmlns='jabber:client' type='subscribe' from='{JULIET}'>"
            "<status>hi</status></presence>"
        )
        self.bring(self.file(person("romeo", ask)))
        romeo = self.house.bind("romeo")
        romeo.send("<presence/>")
        self.assertIn(b"<status>hi</status>", romeo.raw())


class SourceTests(MovingCase):
    """A file that cannot be read is named, with the line, and nothing outside of it is read."""

    def refused(self, path: Path) -> str:
        with self.assertRaises(Refused) as caught:
            self.bring(path)
        return str(caught.exception)

    def test_document_type(self) -> None:
        """Whatever a document type would bring is not read."""
        path = self.file(person("romeo", "<vCard xmlns='vcard-temp'><FN>&e;</FN></vCard>"))
        entity = "<!DOCTYPE server-data [<!ENTITY e SYSTEM '/etc/passwd'>]>\n"
        path.write_text(entity + path.read_text())
        self.assertIn("people.xml, line 1: the file has a document type", self.refused(path))

    def test_include(self) -> None:
        """Files beside it are read, and no others."""
        inside = "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{}'/>"
        (self.directory / "ro meo.xml").write_text(
            "<user xmlns='urn:xmpp:pie:0' name='romeo' password='x'/>"
        )
        (self.directory / "again.xml").write_text(inside.format("again.xml"))
        self.bring(self.file(inside.format("ro%20meo.xml")))
        self.assertTrue(self.knows(ROMEO, "x"))
        for href, why in (
            ("../x.xml", "outside"), ("/etc/passwd", "outside"),
            ("file:///etc/passwd", "same directory"), ("http://127.0.0.1/x", "same directory"),
            ("", "same directory"), ("x.xml' parse='text", "same directory"),
            ("nowhere.xml", "cannot be read"), ("again.xml", "include each other"),
        ):  # fmt: skip
            with self.subTest(href):
                self.assertRegex(self.refused(self.file(inside.format(href))), why)

    def test_include_by_link(self) -> None:
        """A link that leads out is outside."""
        (self.directory / "out.xml").symlink_to("/etc/passwd")
        inside = "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='out.xml'/>"
        self.assertIn("outside", self.refused(self.file(inside)))

    def test_include_inside(self) -> None:
        """In somebody's own data it is data."""
        inside = "<a xmlns='urn:a'><include xmlns='http://www.w3.org/2001/XInclude' href='x'/></a>"
        private = f"<query xmlns='jabber:iq:private'>{inside}</query>"
        self.bring(self.file(person("romeo", private)))
        kept = done(self.house.server.personal_items.elements(ROMEO, "jabber:iq:private"))
        self.assertIn(b"include", kept["{urn:a}a"])

    def test_cut_off(self) -> None:
        """What stands before the end is there, and the next time it goes on."""
        whole = self.file(person("romeo") + "\n" * 40_000 + person("juliet"))
        text = whole.read_text()
        cut = self.directory / "cut.xml"
        cut.write_text(text[: text.index("juliet") + 3])
        self.assertIn("cut.xml, line 40001: malformed or incomplete XML", self.refused(cut))
        self.assertEqual(self.bring(whole)[1:], [f"{JULIET} was imported"])

    def test_too_large(self) -> None:
        """An element that fits nowhere is refused before it is in memory."""
        self.patch(xep0227, "MAX_ELEMENT_BYTES", 1 << 20)
        path = self.file(person("romeo", f"<vCard xmlns='vcard-temp'>{'<FN/>' * 500_000}</vCard>"))
        self.assertIn("an element is longer than 1048576 bytes", self.refused(path))

    def test_too_deep(self) -> None:
        path = self.file(person("romeo", "<a>" * 500 + "</a>" * 500))
        self.assertIn("line 1: more than 200 levels of elements", self.refused(path))

    def test_other_file(self) -> None:
        path = self.directory / "other.xml"
        path.write_text("<html/>")
        self.assertIn("not a file of user data", self.refused(path))
        self.assertIn("does not exist", self.refused(self.directory / "nowhere"))

    def test_unknown(self) -> None:
        """What nothing here keeps is listed."""
        (said,) = self.bring(self.file(person("romeo", "<x xmlns='urn:x'/>")))
        self.assertIn("x (urn:x): no loaded plugin stores this", said)

    def test_export_over(self) -> None:
        """An export goes into no directory that has something in it."""
        with self.assertRaisesRegex(Refused, "is not empty"):
            self.file("")
            give(self.house, "export", format="xep0227", directory=str(self.directory))


class MemoryTests(MovingCase):
    def test_pages(self) -> None:
        """However many come, the database keeps in memory only what some have brought."""
        forgotten: list[str] = []

        def counting(connection: Connection) -> None:
            forget_pages(connection)
            forgotten.append(connection.dialect.name)

        self.patch(importer, "PARTS_AT_ONCE", 1)
        self.patch(importer, "FORGET_AFTER_PARTS", 2)
        self.patch(importer, "forget_pages", counting)
        self.bring(self.file("".join(person(f"r{n}") for n in range(5))), dry_run=True)
        self.assertEqual(forgotten, [])
        self.bring(self.file("".join(person(f"r{n}") for n in range(5))))
        self.assertEqual(forgotten, ["sqlite"] * 2)


class CutOffTests(MovingCase):
    """Whoever is cut off begins again with the person that was under way (IM-1)."""

    def test_half(self) -> None:
        """An account that is half there is closed; the next time it is whole, and as at once."""
        card = "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>"
        waits = (
            "<offline-messages><message xmlns='jabber:client' from='juliet@montague.lit'>"
            "<body>hi</body></message></offline-messages>"
        )
        path = self.file(person("romeo", card + waits))

        async def killed(*_: object, **__: object) -> None:
            raise StoreError("The power is gone.")

        finish = ArrivalStore.finish
        self.patch(ArrivalStore, "finish", killed)
        self.assertRaises(Refused, self.bring, path)
        credentials = done(self.house.store.accounts.credentials(ROMEO))
        assert credentials is not None
        self.assertTrue(credentials.disabled)
        self.patch(ArrivalStore, "finish", finish)
        self.assertEqual(self.bring(path), [f"{ROMEO} was imported"])
        self.assertEqual(len(done(self.house.store.offline.offline_messages(ROMEO))), 1)
        self.assertTrue(done(self.house.server.auth_provider.may_log_in(ROMEO)))
