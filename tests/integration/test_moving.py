"""People move here from somebody else's server, log in with the old password, and find it all."""

import asyncio
import atexit
from collections.abc import Callable, Coroutine
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from xml.etree import ElementTree

from sqlalchemy import make_url
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.ejabberd import Ejabberd
from tests.integration.movers import PLUGINS, ask, populate
from tests.integration.people import Person
from tests.integration.prosody import Prosody
from tests.integration.sql_sources import SCHEMAS, copy_rows, copy_tables, in_postgresql, url_file
from tests.mariadb_server import MariaProcess
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.testing.process import ServerProcess
from xmppd.testing.signing_authority import SigningAuthority

DOMAIN = "montague.lit"
PASSWORD = "the inconstant moøn"
NAMES = ("romeo", "juliet", "tybalt", "mercutio")
HERE = ("disco", "caps", "pubsub", "pep", "archive", "vcard", "private_storage", "blocking", "ping")
NEWS = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:news'/></pubsub>"
ALSO = ((NEWS, "l'&#233;t&#233;"),)
PATIENCE_S = 120.0

MODULES = """
modules_enabled = {
    "disco", "roster", "saslauth", "tls", "ping", "offline", "presence", "message", "pep",
    "private", "vcard", "blocklist", "mam", "carbons"
}
default_archive_policy = true
"""


def waited(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do something with clients of slixmpp, which have a loop of their own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(work(), PATIENCE_S))
    finally:
        loop.close()


def temporary() -> Path:
    """A directory with a short path: that of a Unix socket may have 107 characters."""
    directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
    atexit.register(rmtree, directory, ignore_errors=True)
    return directory


class MovingCase(SynchronousTestCase):
    """An empty server of ours, which serves the same domain."""

    def setUp(self) -> None:
        self.directory = temporary()
        here = self.directory / "here"
        here.mkdir()
        plugins = {"load": list(HERE)}
        self.server = ServerProcess(here, DOMAIN, plugins=plugins)
        self.server.start()
        self.addCleanup(self.server.stop)

    def bring(self, format: str, source: Path, **options: Any) -> list[str]:
        """Import; what was said."""
        lines = self.server.tell("import", format=format, source=str(source), **options)
        return [line if isinstance(line, str) else str(line["says"]) for line in lines]

    def written(self, name: str) -> bytes:
        """What our own export has of somebody."""
        out = self.directory / "again"
        self.server.tell("export", format="xep0227", directory=str(out))
        return (out / f"{name}@{DOMAIN}.xml").read_bytes()

    def check(self, mechanism: str | None = None, *, is_all: bool = True) -> None:
        """Everybody finds what they had.

        Args:
            mechanism: By which they log in; None for what the client likes best of what is offered,
                which has to do: many clients take its refusal for a wrong password.
            is_all: Whether nodes and archives have come along.
        """
        waited(lambda: self._found(mechanism, is_all))

    async def _found(self, mechanism: str | None, is_all: bool) -> None:
        romeo, juliet = (
            Person(self.server, f"{name}@{DOMAIN}", PASSWORD, mechanism=mechanism, plugins=PLUGINS)
            for name in ("romeo", "juliet")
        )
        await juliet.arrive()
        await romeo.log_in()
        self.assertEqual([each for each in romeo.inbox if each.name == "failure"], [])
        await romeo.get_roster()
        items = {str(jid): romeo.client_roster[jid] for jid in romeo.client_roster}
        about = items[f"juliet@{DOMAIN}"]
        self.assertEqual(about["name"], "J & é")
        self.assertEqual(about["groups"], ["Fair"])
        self.assertEqual(about["subscription"], "both")
        self.assertTrue(items[f"mercutio@{DOMAIN}"]["pending_out"])
        romeo.send_presence()
        await romeo.catch_up()
        came = b"".join(ElementTree.tostring(each.xml) for each in romeo.inbox).decode()
        self.assertIn("Draw!", came)
        self.assertIn("Wherefore &lt;art&gt; thou?", came)
        for asked, answer in (
            ("<vCard xmlns='vcard-temp'/>", "Romeo M&#248;"),
            ("<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>", "&#233;"),
            ("<blocklist xmlns='urn:xmpp:blocking'/>", "paris@capulet.example"),
            ("<blocklist xmlns='urn:xmpp:blocking'/>", "sampson@capulet.example"),
            *(ALSO * is_all),
        ):
            iq = romeo.make_iq_get()
            iq.append(ElementTree.fromstring(asked))
            self.assertIn(answer, ElementTree.tostring((await iq.send()).xml).decode())
        if is_all:
            await ask(romeo, "<query xmlns='urn:xmpp:mam:2'/>")
            told = b"".join(ElementTree.tostring(each.xml) for each in romeo.inbox).decode()
            self.assertIn("What man art thou?", told)
        for each in (romeo, juliet):
            await each.leave()


def left_prosody(directory: Path, settings: str = "") -> Path:
    """The data directory of a prosody that people have left.

    Args:
        directory: For its files.
        settings: Of its host.
    """
    there = directory / "there"
    there.mkdir()
    authority = SigningAuthority(directory, "authority")
    prosody = Prosody(
        there,
        DOMAIN,
        authority=authority,
        signer=authority,
        dns=("127.0.0.1", 53),
        settings=MODULES,
    )
    with (there / "prosody.cfg.lua").open("a") as file:
        file.write(settings)
    prosody.start()
    try:
        for name in (*NAMES, "a_b-c.d"):
            prosody.add_user(name, PASSWORD)
        waited(lambda: populate(prosody, DOMAIN, PASSWORD))
    finally:
        prosody.stop()
    return there / "data"


@lru_cache(maxsize=1)
def prosody_database() -> Path:
    """The file of SQLite of one, with passwords hashed."""
    data = left_prosody(
        temporary(),
        'authentication = "internal_hashed"\nstorage = "sql"\n'
        'sql = { driver = "SQLite3", database = "prosody.sqlite" }\n',
    )
    return data / "prosody.sqlite"


class FromProsodyTests(MovingCase):
    """From Debian's prosody."""

    def test_files(self) -> None:
        """Its files, with passwords in clear."""
        said = self.bring("prosody", left_prosody(self.directory))
        self.assertEqual(len(said), 6, said)
        self.assertEqual([line for line in said if "was imported" not in line], said[5:])
        self.assertEqual([line for line in said if "but" in line], [])
        self.check("SCRAM-SHA-256")

    def assert_all_come(self, source: Path) -> None:
        said = self.bring("prosody", source)
        self.assertEqual([line for line in said if "but" in line], [])
        self.check()

    def test_sqlite(self) -> None:
        """Its database in SQLite."""
        self.assert_all_come(prosody_database())

    def test_postgresql(self) -> None:
        """The same tables in PostgreSQL."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        copy_tables(prosody_database(), make_url(url).set(drivername="postgresql+psycopg"))
        self.assert_all_come(url_file(self.directory, url))

    def test_mariadb(self) -> None:
        """The same tables in MariaDB."""
        maria = MariaProcess()
        self.addCleanup(maria.stop)
        url = maria.start().url
        copy_tables(prosody_database(), make_url(url).set(drivername="mysql+pymysql"))
        self.assert_all_come(url_file(self.directory, url))


@lru_cache(maxsize=2)
def ejabberd_database(schema: str, format: str) -> Path:
    """The file of SQLite that an ejabberd has left.

    Args:
        schema: ``new`` if each row has its domain, or ``old``.
        format: How it keeps passwords.
    """
    directory = temporary()
    path = directory / "ejabberd.sqlite"
    storage = SQLITE.format(path=path, is_new="true" if schema == "new" else "false")
    leave(directory, format=format, storage=storage)
    return path


SQLITE = """\
auth_method: [sql]
default_db: sql
sql_type: sqlite
sql_database: "{path}"
new_sql_schema: {is_new}
"""


def leave(
    directory: Path, write: Callable[[Ejabberd], object] = lambda _: None, **options: str
) -> None:
    """Run an ejabberd that people leave.

    Args:
        directory: For its files.
        write: Has it write down what it has.
        options: For it.
    """
    there = directory / "there"
    there.mkdir()
    authority = SigningAuthority(directory, "authority")
    ejabberd = Ejabberd(there, DOMAIN, authority=authority, **options)
    ejabberd.start()
    try:
        for name in NAMES:
            ejabberd.add_user(name, PASSWORD)
        waited(lambda: populate(ejabberd, DOMAIN, PASSWORD))
        write(ejabberd)
    finally:
        ejabberd.stop()


class FromEjabberdSQLTests(MovingCase):
    """From the tables of Debian's ejabberd, in each database that it knows."""

    def assert_all_come(self, source: Path, **options: str) -> None:
        said = self.bring("ejabberd", source, **options)
        self.assertEqual([line for line in said if "but" in line], [])
        self.check()
        self.assertIn(b"<jid>nurse@montague.lit</jid>", self.written("romeo"))

    def test_sqlite(self) -> None:
        """A file of SQLite, with hashed passwords."""
        self.assert_all_come(ejabberd_database("new", "scram"))

    def test_postgresql(self) -> None:
        """PostgreSQL."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        in_postgresql(url, "pg.new.sql", ejabberd_database("new", "scram"))
        self.assert_all_come(url_file(self.directory, url))

    def test_mariadb(self) -> None:
        """MariaDB, which is MySQL to its clients."""
        maria = MariaProcess()
        self.addCleanup(maria.stop)
        maria.start().run((SCHEMAS / "mysql.new.sql").read_text())
        copy_rows(
            ejabberd_database("new", "scram"), make_url(maria.url).set(drivername="mysql+pymysql")
        )
        self.assert_all_come(url_file(self.directory, maria.url))

    def test_old_schema(self) -> None:
        """Tables that do not say of which domain people are, with passwords in clear."""
        self.assert_all_come(ejabberd_database("old", "plain"), host=DOMAIN)


class FromEjabberdTests(MovingCase):
    """From Debian's ejabberd, by what it writes."""

    def dump(self, format: str) -> Path:
        """The dump of one."""
        path = self.directory / "dump.txt"
        leave(self.directory, lambda each: each.do("dump", file=str(path)), format=format)
        return path

    def exported(self, format: str) -> Path:
        """The main file of the export of one: nodes and archives are not in there."""
        out = self.directory / "out"
        out.mkdir()
        leave(self.directory, lambda each: each.do("export_piefxis", dir=str(out)), format=format)
        return min(out.glob("*.xml"), key=lambda path: len(path.name))

    def test_dump(self) -> None:
        """A dump, with hashed passwords: everything is in there."""
        path = self.dump("scram")
        self.assertEqual([line for line in self.bring("ejabberd", path) if "but" in line], [])
        self.check()
        self.assertIn(b"<jid>nurse@montague.lit</jid>", self.written("romeo"))

    def test_dump_plain(self) -> None:
        """A dump, with passwords in clear, some of which ejabberd writes as numbers."""
        self.bring("ejabberd", self.dump("plain"))
        self.check("SCRAM-SHA-512")

    def test_hashed(self) -> None:
        """Keys whose base64 it has written in base64 are those of the password."""
        said = self.bring("xep0227", self.exported("scram"))
        self.assertEqual([line for line in said if "but" in line], [])
        self.check(is_all=False)

    def test_plain(self) -> None:
        """Passwords in clear."""
        self.bring("xep0227", self.exported("plain"))
        self.check("SCRAM-SHA-512", is_all=False)
