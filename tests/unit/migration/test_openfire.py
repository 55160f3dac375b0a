"""People come from Openfire: its XML, and what a damaged database has, and what is said of it."""

from base64 import b64encode
from pathlib import Path

from sqlalchemy import create_engine, make_url

from tests.integration.openfire import KEY, encrypted, in_database
from tests.unit.migration.movers import MovingCase
from xmppd.command.refused import Refused
from xmppd.migration.readers import hsqldb_script
from xmppd.migration.readers.openfire_password import keys_of, opened
from xmppd.testing.client import done

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
PASSWORD = "Rosæ"
XML = """<?xml version="1.0" encoding="UTF-8"?>
<Openfire>
  <User><Username>romeo</Username><Password>Rosæ</Password><Email>r@m.lit</Email>
    <Name>Romeo</Name><CreationDate>1125601449177</CreationDate>
    <ModifiedDate>1125601449177</ModifiedDate>
    <Roster>
      <Item jid="juliet@montague.lit" askstatus="-1" recvstatus="-1" substatus="3" name="J">
        <Group>Fair</Group></Item>
      <Item jid="nurse@montague.lit" askstatus="0" recvstatus="-1" substatus="0"/>
      <Item jid="tybalt@capulet.lit" askstatus="-1" recvstatus="1" substatus="0"/>
      <Item jid="gone@montague.lit" askstatus="-1" recvstatus="-1" substatus="-1"/>
      <Item jid="odd@montague.lit" askstatus="-1" recvstatus="-1" substatus="odd"/>
    </Roster></User>
  <User><Username>juliet</Username><Password>x</Password><Roster>
      <Item jid="romeo@montague.lit" askstatus="-1" recvstatus="-1" substatus="3"/></Roster></User>
</Openfire>
"""
SECURITY = (
    "<security><encrypt><blowfish><kdf>pbkdf2</kdf><salt>{}</salt></blowfish></encrypt></security>"
)
HEAD = """CREATE SCHEMA PUBLIC AUTHORIZATION DBA
CREATE MEMORY TABLE PUBLIC.OFUSER(USERNAME VARCHAR(64) NOT NULL,\
PLAINPASSWORD VARCHAR(32),ITERATIONS DECIMAL(3,1),CONSTRAINT OFUSER_PK PRIMARY KEY(USERNAME))
CREATE MEMORY TABLE PUBLIC.OFVCARD(USERNAME VARCHAR(64),VCARD LONGVARCHAR)
CREATE USER SA PASSWORD DIGEST ''
INSERT INTO BLOCKS VALUES(0,2147483647,0)
"""


class XMLTests(MovingCase):
    def write(self, text: str) -> Path:
        """A file of the plugin."""
        path = self.directory / "openfire.xml"
        path.write_text(text)
        return path

    def test_people(self) -> None:
        """Passwords, contacts in every state, and a card of what it knows."""
        said = self.bring(self.write(XML), "openfire", host="montague.lit")
        self.assertRegex(said[0], f"^{ROMEO} was imported, but: contact: invalid literal")
        self.assertEqual(said[1:2], [f"{JULIET} was imported"])
        self.assertTrue(self.knows(ROMEO, PASSWORD))
        self.assertEqual(
            self.subscriptions(ROMEO),
            {JULIET: "both", "nurse@montague.lit": "none", "tybalt@capulet.lit": "none"},
        )
        items = {i.jid: i for i in done(self.house.store.rosters.roster(ROMEO)).items}
        self.assertEqual((items[JULIET].name, items[JULIET].groups), ("J", ("Fair",)))
        self.assertTrue(items["nurse@montague.lit"].ask)
        self.assertIsNotNone(items["tybalt@capulet.lit"].pending_in)
        card = done(self.house.server.personal_items.elements(ROMEO, "vcard-temp"))[""]
        self.assertIn(b"<FN>Romeo</FN><EMAIL><USERID>r@m.lit</USERID></EMAIL>", card)

    def test_refused(self) -> None:
        """A file of something else, or without a domain, is said so."""
        with self.assertRaisesRegex(Refused, "--host"):
            self.bring(self.write(XML), "openfire")
        for text, why in (
            ("<html/>", "openfire.xml, line 1: not an export of Openfire"),
            (XML[:-30], "openfire.xml, line .*: malformed or incomplete XML"),
            (XML.replace("<Openfire>", "<!DOCTYPE a><Openfire>"), "document type"),
        ):
            with self.subTest(why), self.assertRaisesRegex(Refused, why):
                self.bring(self.write(text), "openfire", host="montague.lit")


class DatabaseTests(MovingCase):
    def database(self, *statements: str) -> Path:
        """A file of SQLite with Openfire's tables, to which something was done."""
        path = self.directory / "openfire.sqlite"
        in_database(make_url(f"sqlite:///{path}"), "montague.lit", PASSWORD)
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()
        return path

    def test_all(self) -> None:
        """Everybody has the old password, however it was kept."""
        self.bring(self.database(), "openfire")
        for name in ("romeo", "juliet", "tybalt", "mercutio"):
            with self.subTest(name):
                self.assertTrue(self.knows(f"{name}@montague.lit", PASSWORD))

    def test_wrong_key(self) -> None:
        """A key of passwords that opens none stops it before anybody is taken: where keys of SCRAM
        are known as well, and where they are not.
        """
        other = "UPDATE ofProperty SET propValue = 'other' WHERE name = 'passwordKey'"
        no_keys = "UPDATE ofUser SET storedKey = NULL"
        only_some = "DELETE FROM ofUser WHERE username <> 'juliet'"
        for statements in ((other,), (other, no_keys), (other, no_keys, only_some)):
            with self.subTest(statements):
                (self.directory / "openfire.sqlite").unlink(missing_ok=True)
                source = self.database(*statements)
                with self.assertRaisesRegex(Refused, "passwordKey in ofProperty does not decrypt"):
                    self.bring(source, "openfire")
                people = self.house.store.accounts.accounts("montague.lit", limit=9)
                self.assertEqual(done(people), [])

    def test_salted_key(self) -> None:
        """Version 5.1 makes the key with a salt that is in another file, beside the source or where
        Openfire has it: without it nobody is taken, with it everybody has the old password.
        """
        salt = bytes(range(32))
        new = encrypted(PASSWORD, salt=salt)
        salted = f"UPDATE ofUser SET encryptedPassword = '{new}' WHERE encryptedPassword <> ''"
        text = SECURITY.format(b64encode(salt).decode())
        for also, where in (
            ((), "security.xml"),
            (("UPDATE ofUser SET storedKey = NULL",), "../conf/security.xml"),
        ):
            with self.subTest(where):
                (self.directory / "openfire.sqlite").unlink(missing_ok=True)
                source = self.database(salted, *also)
                with self.assertRaisesRegex(Refused, "need its file conf/security.xml"):
                    self.bring(source, "openfire")
                file = self.directory / where
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
                self.addCleanup(file.unlink, missing_ok=True)
                self.bring(source, "openfire", replace=True)
                for name in ("romeo", "juliet", "mercutio"):
                    self.assertTrue(self.knows(f"{name}@montague.lit", PASSWORD), name)
                file.unlink()

    def test_bad_salt(self) -> None:
        """A file without a salt is none; one that is damaged, or has a document type, is named."""
        source = self.database()
        file = self.directory / "security.xml"
        file.write_text("<security><encrypt><algorithm>Blowfish</algorithm></encrypt></security>")
        self.bring(source, "openfire")
        for text, why in (
            ("<security>\n<encrypt>", "security.xml, line 2: malformed or incomplete XML"),
            (f"<!DOCTYPE a>{SECURITY}", "security.xml, line 1: the file has a document type"),
            (SECURITY, "security.xml, the value is not valid Base64"),
        ):
            file.write_text(text)
            with self.subTest(why), self.assertRaisesRegex(Refused, why):
                self.bring(source, "openfire")

    def test_right_key_alone(self) -> None:
        """Where nobody has keys, the right key opens all; one damaged password stops nothing."""
        damaged = "UPDATE ofUser SET encryptedPassword = '00' WHERE username = 'romeo'"
        source = self.database("UPDATE ofUser SET storedKey = NULL", damaged)
        said = self.bring(source, "openfire")
        self.assertTrue(self.knows(JULIET, PASSWORD))
        self.assertTrue(
            [line for line in said if "the key in ofProperty does not decrypt it" in line]
        )

    def test_no_key(self) -> None:
        """Without a key whoever has keys of SCRAM comes with these, and others are listed."""
        source = self.database("DELETE FROM ofProperty WHERE name = 'passwordKey'")
        said = self.bring(source, "openfire")
        self.assertTrue(self.knows(ROMEO, PASSWORD))
        self.assertIn("no key decrypts it", said[0])
        self.assertIn(f"xmppctl user password {JULIET}", said[0])

    def test_damaged(self) -> None:
        """A row that cannot be read is named, and all others are there."""
        said = self.bring(
            self.database(
                "UPDATE ofVCard SET vcard = '<vCard>'",
                "UPDATE ofPrivacyList SET list = '<list'",
                "UPDATE ofRoster SET sub = 'x' WHERE rosterID = 2",
                "UPDATE ofMessageArchive SET body = NULL",
                "UPDATE ofUser SET storedKey = 'AAAA' WHERE username = 'mercutio'",
                "INSERT INTO ofUserFlag VALUES ('tybalt', 'lockout', NULL, NULL)",
                "INSERT INTO ofUserFlag VALUES ('mercutio', 'lockout', NULL, '001700001000000')",
            ),
            "openfire",
        )
        self.assertRegex(said[1], "password: the keys use an unknown hash; .*mercutio@montague.lit")
        for part in ("ofRoster: ", "ofVCard: ", "ofPrivacyList: ", "ofMessageArchive: "):
            self.assertIn(part, said[2])
        for name, until in (("tybalt", None), ("mercutio", 1_700_001_000.0)):
            credentials = done(self.house.store.accounts.credentials(f"{name}@montague.lit"))
            assert credentials is not None
            self.assertEqual((credentials.disabled, credentials.disabled_until), (True, until))

    def test_domain(self) -> None:
        """A domain that the properties do not say is asked for."""
        source = self.database("DELETE FROM ofProperty WHERE name = 'xmpp.domain'")
        with self.assertRaisesRegex(Refused, "--host DOMAIN"):
            self.bring(source, "openfire")
        self.assertEqual(len(self.bring(source, "openfire", host="montague.lit")), 4)


class PasswordTests(MovingCase):
    def test_opened(self) -> None:
        """A password is opened by its key, and by no other; nonsense is refused."""
        (key,) = keys_of(KEY, None)
        self.assertEqual(opened(encrypted(PASSWORD), key), PASSWORD)
        for text in (encrypted(PASSWORD, "another"), "00", "", "xyz", encrypted(PASSWORD)[:-2]):
            with self.subTest(text), self.assertRaises(ValueError):
                opened(text, key)
        with self.assertRaises(ValueError):
            opened(encrypted("romeo\u0000\ufdd0\u200e"), key)


class ScriptTests(MovingCase):
    def script(self, text: str, head: str = HEAD) -> Path:
        """A script of HSQLDB."""
        path = self.directory / "openfire.script"
        path.write_text(head + text)
        return path

    def test_damaged(self) -> None:
        """A line that cannot be read is named, and all others are there."""
        self.patch(hsqldb_script, "MAX_LINE_BYTES", 500)
        source = self.script(
            "INSERT INTO OFUSER VALUES('romeo','it''s \\u00e9',1.5E0)\n"
            "INSERT INTO OFUSER VALUES('juliet',CURRENT_USER,NULL)\n"
            "INSERT INTO OFUSER VALUES('nurse')\n"
            f"INSERT INTO OFVCARD VALUES('romeo','{'x' * 1_200}')\n"
            "INSERT INTO OFVCARD VALUES('romeo','<vCard xmlns=\"vcard-temp\"><FN>R</FN></vCard>')\n"
        )
        (said,) = self.bring(source, "openfire", host="montague.lit")
        self.assertEqual(said, f"{ROMEO} was imported")
        self.assertTrue(self.knows(ROMEO, "it's é"))
        self.assertEqual(
            self.told(source, "openfire", host="montague.lit")[:3],
            [
                "not imported: line 7: an invalid value of a row",
                "not imported: line 8: a row of OFUSER does not have the columns of its table",
                "not imported: line 9: the line has more than 500 bytes",
            ],
        )

    def test_not_stopped(self) -> None:
        """What was not shut down has more than the script: that is refused."""
        source = self.script("INSERT INTO OFUSER VALUES('romeo','x',NULL)\n")
        for ending in (".lck", ".log"):
            beside = source.with_suffix(ending)
            beside.touch()
            with self.subTest(ending), self.assertRaisesRegex(Refused, "stop Openfire first"):
                self.bring(source, "openfire", host="montague.lit")
            beside.unlink()
        self.assertEqual(len(self.bring(source.parent, "openfire", host="montague.lit")), 1)

    def test_refused(self) -> None:
        """What is no script, or has its rows elsewhere, is said so."""
        for head, why in (
            ("nonsense\n", "not a script of HSQLDB"),
            (HEAD.replace("OFUSER", "OTHER"), "no table ofUser"),
            (HEAD.replace("MEMORY TABLE PUBLIC.OFUSER", "CACHED TABLE PUBLIC.OFUSER"),
             "no table ofUser"),
        ):  # fmt: skip
            with self.subTest(why), self.assertRaisesRegex(Refused, why):
                self.bring(self.script("", head), "openfire", host="montague.lit")
