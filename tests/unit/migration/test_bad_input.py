"""What each source gets that is none, is cut off, is damaged, or has no end: a sentence with the
file and the line, and no more memory than others; what is whole comes, and the next run goes on.
"""

import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.unit.migration.movers import MovingCase
from tests.unit.migration.sources import DOMAIN, SOURCES
from xmppd.command.refused import Refused
from xmppd.migration.readers import ejabberd_dump, erlang_terms, lua_data, sql_source
from xmppd.stanza import xml_file
from xmppd.testing.client import done

LINE = 40_001
ROMEO = f"romeo@{DOMAIN}"
MAX_PEAK_BYTES = 30 << 20
"""Of what is in memory while a source is read that would need many times as much."""

PIE = f"<server-data xmlns='urn:xmpp:pie:0'><host jid='{DOMAIN}'>\n"
CARD = "<vCard xmlns='vcard-temp'>"
LAUGHS = (
    "<!DOCTYPE a [<!ENTITY b 'ha'>"
    + "".join(f"<!ENTITY b{n} '{f'&b{n - 1};' * 10}'>" for n in range(1, 10))
    + "]>\n"
)
DUMP = (
    "{tables,[{passwd,[{attributes,[us,password]}]},{vcard,[{attributes,[us,vcard]}]},"
    "{roster,[{attributes,[usj,us,jid,name,subscription,ask,groups,askmessage,xs]}]}]}.\n"
)
US = f'{{<<"romeo">>,<<"{DOMAIN}">>}}'
ACCOUNT = 'return { ["password"] = "x" };\n'
SCRIPT = "CREATE MEMORY TABLE PUBLIC.OFUSER(USERNAME VARCHAR(64),PLAINPASSWORD VARCHAR(32))\n"


class BadInputCase(MovingCase):
    def refused(self, path: Path, kind: str, **given: object) -> str:
        """The sentence that an import of this ends with."""
        with self.assertRaises(Refused) as caught:
            self.bring(path, kind, host=DOMAIN, **given)
        return str(caught.exception)

    def count(self) -> int:
        """How many have come."""
        return done(self.house.store.accounts.count_accounts(DOMAIN))

    def text(self, name: str, text: str | bytes) -> Path:
        """A file."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def assert_little(self, work: Callable[[], object]) -> None:
        """Fail if something takes much memory."""
        tracemalloc.start()
        try:
            work()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, MAX_PEAK_BYTES)


class NoSourceTests(BadInputCase):
    """What is no source of its kind is said so by name, and nobody has come."""

    def test_nothing(self) -> None:
        """A directory that is empty, a file that is none, a file of something else."""
        empty = self.directory / "empty"
        empty.mkdir()
        other = self.text("other.txt", "To be, or not to be\n")
        for kind in ("ejabberd", "mongooseim", "openfire", "prosody", "xep0227"):
            for path in (empty, self.directory / "nowhere", other):
                with self.subTest(kind, path=path.name):
                    said = self.refused(path, kind)
                    self.assertIn(str(self.directory), said)
                    why = "accounts imported before that: 0" if path.exists() else "does not exist"
                    self.assertIn(why, said)
        self.assertEqual(self.count(), 0)

    def test_cut_off(self) -> None:
        """What was whole before the end is there; all of it is, the next time."""
        for source, is_refused in (
            ("ejabberd", True), ("ejabberd dump", True), ("openfire", True),
            ("openfire script", False), ("openfire xml", True), ("prosody database", True),
            ("xep0227", True),
        ):  # fmt: skip
            with self.subTest(source):
                directory = self.directory / source.replace(" ", "-")
                directory.mkdir()
                kind, path = SOURCES[source](directory)
                whole = path.read_bytes()
                path.write_bytes(whole[: len(whole) * 3 // 4])
                if is_refused:
                    said = self.refused(path, kind)
                    self.assertIn(str(path), said)
                else:
                    said = "; ".join(self.told(path, kind, host=DOMAIN, dry_run=True))
                if path.suffix in (".xml", ".txt", ".script"):
                    self.assertRegex(said, r"line \d+")


class LuaTests(BadInputCase):
    """Files of Prosody."""

    def bring_one(self, name: str, text: str | bytes) -> str:
        """What is said of Romeo, with one more file of his."""
        self.text("montague%2elit/accounts/romeo.dat", ACCOUNT)
        self.text(f"montague%2elit/{name}", text)
        (said,) = self.bring(self.directory, "prosody", replace=True)
        self.assertTrue(self.knows(ROMEO, "x"))
        return said

    def test_encoding(self) -> None:
        """Letters that are none, in line 40,001."""
        bad = b"return {" + b"\n" * (LINE - 1) + b'"\xff"; };'
        said = self.bring_one("vcard/romeo.dat", bad)
        self.assertIn(f"vcard/romeo.dat, line {LINE}: a text that is not UTF-8", said)
        item = b'item({ ["name"] = "message"; ["attr"] = {}; ["when"] = 1 });\n'
        said = self.bring_one("offline/romeo.list", item * (LINE - 1) + b'item({ "\xff" });\n')
        self.assertIn(f"offline/romeo.list, line {LINE}: a text that is not UTF-8", said)

    def test_code(self) -> None:
        """A program is named, not run."""
        made = self.directory / "made"
        code = f"os.execute('touch {made}'); return {{}}\n"
        said = self.bring_one("roster/romeo.dat", code)
        self.assertIn("roster/romeo.dat, line 1: return is missing", said)
        self.assertFalse(made.exists())

    def test_endless(self) -> None:
        """A value without an end takes little memory, as does a list of damaged entries."""
        self.patch(lua_data, "MAX_VALUES", 100_000)
        said = ""

        def bring(name: str, text: str) -> None:
            nonlocal said
            said = self.bring_one(name, text)

        self.assert_little(lambda: bring("roster/romeo.dat", "return {" + "{1}," * 600_000))
        self.assertIn("roster/romeo.dat, line 1: more than 100000 values in one", said)
        self.assert_little(lambda: bring("archive/romeo.list", "item(x)\n" * 50_000))
        self.assertIn("archive/romeo.list, line 1: ", said)
        self.assertRegex(said, r"and 499\d\d more")
        self.assertLess(len(said), 20_000)


class TermsTests(BadInputCase):
    """A dump of ejabberd."""

    def test_encoding(self) -> None:
        """Letters that are none, in line 40,001."""
        record = f"{{vcard,{US},\n\n<<255>>}}.\n"
        lines = DUMP + f'{{passwd,{US},<<"x">>}}.\n' + "\n" * (LINE - 3) + record
        (said,) = self.bring(self.text("dump.txt", lines), "ejabberd")
        self.assertIn(f"vcard: line {LINE}: a value is not an element", said)
        names = f'{{passwd,{{<<255>>,<<"{DOMAIN}">>}},<<"x">>}}.\n'
        path = self.text("dump.txt", DUMP + "\n" * (LINE - 2) + names)
        self.assertIn(
            f"not imported: line {LINE}: a text is not UTF-8", self.told(path, "ejabberd")
        )

    def test_endless(self) -> None:
        """A value without an end takes little memory, as do somebody's contacts, and records of
        nobody.
        """
        self.patch(erlang_terms, "MAX_VALUES", 50_000)
        self.patch(ejabberd_dump, "MAX_PERSON_BYTES", 1_000_000)
        contact = (
            f'{{roster,{US},{US},{{<<"NAME">>,<<"x.lit">>,<<>>}},<<>>,both,none,[],<<>>,[]}}.\n'
        )
        lines = [DUMP, f'{{passwd,{US},<<"x">>}}.\n']
        lines.append(f"{{vcard,{US},[{'[],' * 300_000}a]}}.\n")
        lines += [contact.replace("NAME", f"c{number}") for number in range(10_000)]
        lines += ["{vcard,oops oops}.\n"] * 20_000
        path = self.text("dump.txt", "".join(lines))
        del lines
        said: list[str] = []
        self.assert_little(lambda: said.extend(self.bring(path, "ejabberd")))
        self.assertIn("vcard: line 3: more than 50000 values in one", said[0])
        self.assertRegex(said[0], r"roster: line \d+: more than 1000000 bytes of records")
        told = self.told(path, "ejabberd", replace=True)
        self.assertIn("not imported: and 19950 more", told)


class XMLTests(BadInputCase):
    """Files of XEP-0227, and of a plugin of Openfire."""

    def people(self, inside: str | bytes, name: str = "people.xml") -> Path:
        """A file with somebody who has this."""
        inside = inside if isinstance(inside, bytes) else inside.encode()
        head = f"{PIE}<user name='romeo' password='x'>".encode()
        return self.text(name, head + inside + b"</user></host></server-data>")

    def test_encoding(self) -> None:
        """Letters that are none, in line 40,001."""
        bad = b"\n" * (LINE - 2) + b"<vCard xmlns='vcard-temp'><FN>\xff</FN></vCard>"
        said = self.refused(self.people(bad), "xep0227")
        self.assertIn(f"people.xml, line {LINE}: malformed or incomplete XML", said)
        text = b"<Openfire>" + b"\n" * (LINE - 1) + b"<User><Username>\xff</Username></User>"
        said = self.refused(self.text("of.xml", text), "openfire")
        self.assertIn(f"of.xml, line {LINE}: malformed or incomplete XML", said)

    def test_entities(self) -> None:
        """A document type, with a billion laughs or another file, is not read at all."""
        of_file = "<!DOCTYPE a [<!ENTITY b9 SYSTEM '/etc/passwd'>]>\n"
        for entities in (LAUGHS, of_file):
            for name, kind, text in (
                ("people.xml", "xep0227", f"{PIE}<user name='romeo' password='&b9;'/>"),
                ("of.xml", "openfire", "<Openfire><User><Username>&b9;</Username></User>"),
            ):
                with self.subTest(kind, entities=entities[:30]):
                    path = self.text(name, entities + text)
                    self.assert_little(partial(self.refused, path, kind))
                    said = self.refused(path, kind)
                    self.assertIn(f"{name}, line 1: the file has a document type", said)
        self.assertEqual(self.count(), 0)

    def test_endless(self) -> None:
        """Many elements in one, a tag and a comment without an end, any number of entries."""
        self.patch(xml_file, "MAX_HELD_ELEMENTS", 50_000)
        for inside, why in (
            (f"{CARD}{'<a/>' * 600_000}", "line 2: one element contains more than 50000 elements"),
            (
                f"<a b='{'x' * (24 << 20)}",
                "line 2: a tag or a comment is longer than 16777216 bytes",
            ),
            (
                f"<!-- {'x' * (24 << 20)}",
                "line 2: a tag or a comment is longer than 16777216 bytes",
            ),
        ):
            path = self.people(inside)
            with self.subTest(why):
                self.assertIn(why, self.refused(path, "xep0227"))
        path = self.text("of.xml", f"<Openfire><User>{'<a/>' * 600_000}")
        self.assert_little(lambda: self.refused(path, "openfire"))
        waiting = "<message xmlns='jabber:client' from='a b@x'/>" * 20_000
        path = self.people(f"<offline-messages>{waiting}</offline-messages>")
        del waiting
        said: list[str] = []
        self.assert_little(lambda: said.extend(self.bring(path, "xep0227")))
        self.assertRegex(said[0], r"an offline message: .*and 199\d\d more")


class RowsTests(BadInputCase):
    """Databases, and the script of one."""

    def test_encoding(self) -> None:
        """Letters that are none, in line 40,001, or a row."""
        bad = SCRIPT.encode() + b"\n" * (LINE - 2) + b"INSERT INTO OFUSER VALUES('\xff','x')\n"
        told = self.told(self.text("openfire.script", bad), "openfire", host=DOMAIN)
        self.assertIn(f"not imported: line {LINE}: ", told[0])

    def test_endless(self) -> None:
        """More rows of somebody than there can be are refused, not read."""
        self.patch(sql_source, "MAX_ROWS", 1_000)
        for source, table, values in (
            ("ejabberd", "rosterusers",
             f"'n000', '{DOMAIN}', 'c' || x || '@x.lit', 'a', 'B', 'N', '', 'N', '', ''"),
            ("mongooseim", "rosterusers",
             f"'n000', '{DOMAIN}', 'c' || x || '@x.lit', '', 'B', 'N', ''"),
            ("openfire", "ofRoster", "x, 'n000', 'c' || x || '@x.lit', 3, -1, -1, 'a', NULL"),
            ("prosody database", "prosody",
             f"'{DOMAIN}', 'n000', 'roster', 'c' || x || '@x.lit', 'json', '{{}}'"),
        ):  # fmt: skip
            directory = self.directory / table / source.replace(" ", "-")
            directory.mkdir(parents=True)
            kind, path = SOURCES[source](directory)
            with closing(sqlite3.connect(path)) as database, database:
                database.execute(
                    "WITH RECURSIVE n(x) AS (SELECT 100000 UNION ALL SELECT x + 1 FROM n "
                    f"WHERE x < 102000) INSERT INTO {table} SELECT {values} FROM n"
                )
            with self.subTest(source):
                said = self.refused(path, kind, only=[f"n001@{DOMAIN}"])
                self.assertIn("more than 1000 rows for ", said)
                self.assertIn("n000", said)

    def test_script_lines(self) -> None:
        """Any number of damaged lines takes little memory."""
        path = self.text("openfire.script", SCRIPT + "INSERT INTO OFUSER VALUES(x)\n" * 30_000)
        told: list[str] = []
        self.assert_little(lambda: told.extend(self.told(path, "openfire", host=DOMAIN)))
        self.assertEqual(told[-2], "not imported: and 29950 more")
