"""People come from the tables of ejabberd and MongooseIM, whole or damaged."""

import json
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path

from tests.unit.migration.movers import MovingCase
from xmppd.auth.keys import make_keys
from xmppd.command.refused import Refused
from xmppd.testing.client import done

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
PASSWORD = "Rosæ"
SCHEMA = """
CREATE TABLE users (username text, server_host text, password text, serverkey text, salt text,
    iterationcount integer);
CREATE TABLE rosterusers (username text, server_host text, jid text, nick text, subscription text,
    ask text, askmessage text, server text, subscribe text, type text);
CREATE TABLE spool (username text, server_host text, xml text, seq INTEGER PRIMARY KEY,
    created_at TIMESTAMP);
CREATE TABLE vcard (username text, server_host text, vcard text);
CREATE TABLE archive (id INTEGER PRIMARY KEY, username text, server_host text, timestamp bigint,
    xml text);
CREATE TABLE muc_room (name text, host text, server_host text, opts text);
CREATE TABLE sr_group (name text, server_host text, opts text);
INSERT INTO users VALUES ('romeo', 'montague.lit', 'x', '', '', 0);
INSERT INTO users VALUES ('juliet', 'montague.lit', 'y', '', '', 0);
"""
MONGOOSE = """
CREATE TABLE users (username text, server text, password text, pass_details text);
CREATE TABLE rosterusers (username text, server text, jid text, nick text, subscription text,
    ask text, askmessage blob);
CREATE TABLE offline_message (id integer, timestamp bigint, expire bigint, server text,
    username text, from_jid text, packet blob, permanent_fields blob);
CREATE TABLE mam_message (id bigint, user_id integer, message blob);
INSERT INTO mam_message VALUES (1, 1, x'83');
"""
MESSAGE = "<message from=''juliet@montague.lit''><body>{}</body></message>"


class SQLCase(MovingCase):
    def database(self, *statements: str, schema: str = SCHEMA) -> Path:
        """A file of SQLite."""
        path = self.directory / "people.sqlite"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(";".join((schema, *statements)))
        return path


class EjabberdSQLTests(SQLCase):
    def test_damaged(self) -> None:
        """A row that cannot be read is named, and all others are there."""
        said = self.bring(
            self.database(
                "INSERT INTO rosterusers VALUES ('romeo', 'montague.lit', 'juliet@montague.lit', "
                "CAST(x'ff' AS TEXT), 'T', 'N', '', 'N', '', '')",
                "INSERT INTO rosterusers VALUES ('romeo', 'montague.lit', 'nurse@montague.lit', "
                "'N', 'T', 'N', '', 'N', '', '')",
                "INSERT INTO vcard VALUES ('romeo', 'montague.lit', '<vCard>')",
                "INSERT INTO archive VALUES (1, 'romeo', 'montague.lit', 1, '<message')",
                *(
                    f"INSERT INTO spool VALUES ('romeo', 'montague.lit', '{xml}', NULL, NULL)"
                    for xml in (MESSAGE.format("one"), "<message", MESSAGE.format("two"))
                ),
            ),
            "ejabberd",
        )
        self.assertEqual(said[0], f"{JULIET} was imported")
        self.assertRegex(
            said[1],
            f"^{ROMEO} was imported, but: rosterusers: not valid UTF-8; vcard: a malformed "
            "element: .*; spool: a malformed element: .*; archive: a malformed element",
        )
        self.assertEqual(set(self.subscriptions(ROMEO)), {"nurse@montague.lit"})
        romeo = self.house.bind("romeo")
        romeo.send("<presence/>")
        came = romeo.raw()
        self.assertLess(came.index(b"one"), came.index(b"two"))

    def test_left_behind(self) -> None:
        """What is of no person is said by name."""
        lines = self.told(
            self.database(
                "INSERT INTO muc_room VALUES ('orchard', 'rooms.lit', 'montague.lit', '[]')",
                "INSERT INTO sr_group VALUES ('all', 'montague.lit', '[]')",
            ),
            "ejabberd",
        )
        self.assertEqual(
            lines[:-1], ["not imported: rooms of rooms.lit: 1", "not imported: shared groups: 1"]
        )

    def test_roster_only(self) -> None:
        """Who has a roster and no password, since something else knew it, is there and listed."""
        said = self.bring(
            self.database(
                "INSERT INTO rosterusers VALUES ('nurse', 'montague.lit', 'juliet@montague.lit', "
                "'', 'T', 'N', '', 'N', '', '')",
            ),
            "ejabberd",
        )
        self.assertEqual(len(said), 4)
        self.assertIn("xmppctl user password nurse@montague.lit", said[2])

    def test_several_forms(self) -> None:
        """A newer version has a row for each form of a password."""
        keys = make_keys(PASSWORD.encode(), 10)
        rows = [
            f"INSERT INTO users VALUES ('nurse', 'montague.lit', '{text(each.stored_key)}', "
            f"'{text(each.server_key)}', '{text(each.salt)}', 10)"
            for each in keys
        ]
        self.bring(self.database(*rows), "ejabberd")
        self.assertTrue(self.knows("nurse@montague.lit", PASSWORD))

    def test_many(self) -> None:
        """More people than are asked for at once, and more messages."""
        people = ", ".join(f"('p{n}', 'montague.lit', 'x', '', '', 0)" for n in range(1_500))
        waits = ", ".join(
            f"('p7', 'montague.lit', '{MESSAGE.format(n)}', NULL, NULL)" for n in range(150)
        )
        source = self.database(
            f"INSERT INTO users VALUES {people}", f"INSERT INTO spool VALUES {waits}"
        )
        said = self.bring(source, "ejabberd", only=["p7@montague.lit"])
        self.assertEqual(said, ["p7@montague.lit was imported"])
        kept = done(self.house.store.offline.offline_messages("p7@montague.lit", limit=500))
        self.assertEqual(len(kept), 150)

    def test_refused(self) -> None:
        """What cannot be asked is said, with what to do."""
        text = self.directory / "wrong.url"
        for written, why in (
            ("nonsense", "has no URL of a database"),
            ("oracle://a:b@c/d", "has no URL|xmppd cannot import from oracle"),
            ("sqlite:////x", "name that file instead"),
            ("postgresql://postgres:hush@/x?host=/nowhere", r"postgres:\*\*\*@.* failed"),
        ):
            text.write_text(written)
            with self.subTest(written), self.assertRaisesRegex(Refused, why) as caught:
                self.bring(text, "ejabberd")
            self.assertNotIn("hush", str(caught.exception))
        with self.assertRaisesRegex(Refused, "has no table .users."):
            self.bring(self.database(schema="CREATE TABLE a (b)"), "ejabberd")
        old = SCHEMA.replace("server_host text, ", "").replace("'montague.lit', ", "")
        with self.assertRaisesRegex(Refused, "--host DOMAIN"):
            self.bring(self.database(schema=old), "ejabberd")
        said = self.bring(self.database(schema=old), "ejabberd", host="montague.lit")
        self.assertEqual(said, [f"{JULIET} was imported", f"{ROMEO} was imported"])


class MongooseIMTests(SQLCase):
    def test_passwords(self) -> None:
        """Keys in each form that MongooseIM has had."""
        sha1, sha256 = (
            next(k for k in make_keys(PASSWORD.encode(), 10) if k.hash == hash)
            for hash in ("SHA-1", "SHA-256")
        )
        document = {
            "iteration_count": 10,
            "sha224": {name: text(bytes(28)) for name in ("salt", "stored_key", "server_key")},
            "sha256": {
                "salt": text(sha256.salt),
                "stored_key": text(sha256.stored_key),
                "server_key": text(sha256.server_key),
            },
        }
        old = ",".join(map(text, (sha1.stored_key, sha1.server_key, sha1.salt)))
        forms = {
            "json": json.dumps(document),
            "one": f"==SCRAM==,{old},10",
            "many": (
                f"==MULTI_SCRAM==,10,===SHA1==={text(sha1.salt)}|{text(sha1.stored_key)}|"
                f"{text(sha1.server_key)},==SHA224==aa|bb|cc"
            ),
        }
        rows = [
            f"INSERT INTO users VALUES ('{name}', 'montague.lit', '', '{details}')"
            for name, details in forms.items()
        ]
        bad = "INSERT INTO users VALUES ('odd', 'montague.lit', '', '[1]')"
        said = self.bring(self.database(*rows, bad, schema=MONGOOSE), "mongooseim")
        for name in forms:
            with self.subTest(name):
                self.assertTrue(self.knows(f"{name}@montague.lit", PASSWORD))
        self.assertIn("password: the keys have an unknown format", said[2] + said[3])

    def test_rest(self) -> None:
        """What waits comes along; its archive has a form that is not read, and that is said."""
        source = self.database(
            "INSERT INTO users VALUES ('romeo', 'montague.lit', 'x', NULL)",
            "INSERT INTO offline_message VALUES (1, 1600000000000000, NULL, 'montague.lit', "
            f"'romeo', 'j', CAST('{MESSAGE.format('one')}' AS BLOB), NULL)",
            schema=MONGOOSE,
        )
        said = self.told(source, "mongooseim")
        self.assertIn("not imported: archived messages", said[0])
        romeo = self.house.bind("romeo")
        romeo.send("<presence/>")
        self.assertIn(b"2020-09-13T12:26:40", romeo.raw())


def text(data: bytes) -> str:
    """Bytes in base64."""
    return b64encode(data).decode()
