"""People come from Prosody: damaged records stop nothing but themselves."""

import sqlite3
from contextlib import closing

from tests.unit.migration.movers import MovingCase
from xmppd.command.refused import Refused
from xmppd.testing.client import done

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
ACCOUNT = 'return { ["password"] = "x" };\n'
MESSAGE = (
    'item({{ ["name"] = "message"; ["attr"] = {{}}; {{ "{body}"; ["name"] = "body"; '
    '["attr"] = {{}} }}; ["when"] = 1600000000 }});\n'
)


class FilesTests(MovingCase):
    def write(self, files: dict[str, str]) -> None:
        """Files of a data directory."""
        for name, text in files.items():
            path = self.directory / "montague%2elit" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def test_damaged(self) -> None:
        """A file or an entry that cannot be read is named with its line; all others come."""
        self.write(
            {
                "accounts/juliet.dat": 'return { password = "x"; created = 1e300 };\n',
                "accounts/romeo.dat": ACCOUNT,
                "vcard/romeo.dat": "return os.execute('x');\n",
                "offline/romeo.list": MESSAGE.format(body="one")
                + "item({ oops oops });\n"
                + MESSAGE.format(body="two"),
                "roster/juliet.dat": "return { [false",
                "offline/juliet.list": MESSAGE.format(body="x").replace("1600000000", "1e300"),
                "archive/romeo.list": MESSAGE.format(body="x").replace("1600000000", "1e999"),
                "archive/juliet.list": MESSAGE.format(body="x").replace("1600000000", "-1"),
            }
        )
        rooms = self.directory / "rooms%2elit" / "config"
        rooms.mkdir(parents=True)
        (rooms / "orchard.dat").write_text("return {};\n")
        said = self.bring(self.directory, "prosody")
        self.assertRegex(
            said[0],
            f"{JULIET} was imported, but: .*roster/juliet.dat, line 1: .*; offline: not a valid "
            "time: 1e.* s after 1970; archive: not a valid time: -1",
        )
        self.assertRegex(said[1], "vcard/romeo.dat, line 1: .*; .*offline/romeo.list, line 2: ")
        self.exported(self.house, "out")
        kept = done(self.house.store.offline.offline_messages(ROMEO))
        self.assertEqual(len(kept), 2)
        told = self.told(self.directory, "prosody")
        self.assertEqual(told[0], "not imported: rooms of rooms.lit: 1")

    def test_nobody(self) -> None:
        """Where no accounts are is said so."""
        with self.assertRaisesRegex(Refused, "name its data_path"):
            self.bring(self.directory, "prosody")


class SQLTests(MovingCase):
    def test_damaged(self) -> None:
        """A row that cannot be read is named; all others come."""
        path = self.directory / "prosody.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                """
                CREATE TABLE prosody (host, user, store, key, type, value);
                CREATE TABLE prosodyarchive (sort_id INTEGER PRIMARY KEY, host, user, store, key,
                    "when", "with", type, value);
                INSERT INTO prosody VALUES
                    ('montague.lit', 'romeo', 'accounts', 'password', 'string', 'x'),
                    ('montague.lit', 'romeo', 'roster', 'juliet@montague.lit', 'json', '{'),
                    ('montague.lit', 'romeo', 'roster', 'nurse@montague.lit', 'json',
                     '{"subscription": "to"}'),
                    ('rooms.lit', 'orchard', 'config', '', 'json', '{}');
                INSERT INTO prosodyarchive VALUES
                    (1, 'montague.lit', 'romeo', 'offline', 'a', 1, '', 'xml', '<message>'),
                    (2, 'montague.lit', 'romeo', 'offline', 'b', 1, '', 'xml',
                     '<message><body/></message>');
                """
            )
        (said,) = self.bring(path, "prosody")
        self.assertIn("roster, key 'juliet@montague.lit': ", said)
        self.assertIn("offline, sort_id 1: a malformed element", said)
        self.assertEqual(set(self.subscriptions(ROMEO)), {"nurse@montague.lit"})
        self.assertEqual(len(done(self.house.store.offline.offline_messages(ROMEO))), 1)
        self.assertEqual(self.told(path, "prosody")[0], "not imported: rooms of rooms.lit: 1")

    def test_other_database(self) -> None:
        """A database of something else is said to be none."""
        path = self.directory / "other.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE a (b)")
        for source in (path, self.directory / "nowhere"):
            with self.assertRaisesRegex(
                Refused, "not a database of Prosody|nowhere does not exist"
            ):
                self.bring(source, "prosody")
