"""The server is killed while people move in; the next try goes on, and nothing is to be seen."""

import random
import re
import sqlite3
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import pbkdf2_hmac, sha1
from hmac import digest
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from sqlalchemy import make_url
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.openfire import in_database
from tests.integration.processes import PATIENCE_S, XMPPCTL, environment
from tests.seeds import some_seed
from tests.unit.migration.test_ejabberd_sql import SCHEMA
from xmppd.testing.process import ServerProcess

DOMAIN = "montague.lit"
PEOPLE = 60
KILLS = 2
MESSAGES = 3
PLUGINS = ("disco", "vcard", "private_storage", "archive", "ping")
SALT, ITERATIONS = b"0123456789abcdef", 4096
SALTED = pbkdf2_hmac("sha1", b"wherefore", SALT, ITERATIONS)
STORED = sha1(digest(SALTED, b"Client Key", "sha1")).digest()
SERVER = digest(SALTED, b"Server Key", "sha1")
CARD = "<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>"
MESSAGE = (
    "<message xmlns='jabber:client' from='{0}@montague.lit/x' to='{0}@montague.lit' type='chat' "
    "id='{1}'><body>{1}</body></message>"
)
_UNSTABLE = re.compile(rb" id='[^']*'|\d{4}-\d\d-\d\dT[0-9:.]+Z")
"""Under which name and when something was stored, if its source does not say that, is another each
time.
"""


def people() -> Iterator[tuple[str, str]]:
    """Everybody, and whom they have as a contact."""
    names = [f"n{number:03}" for number in range(PEOPLE)]
    yield from zip(names, [*names[1:], names[0]], strict=True)


def texts(*values: bytes) -> list[str]:
    """Bytes in Base64."""
    return [b64encode(value).decode() for value in values]


def of_openfire(directory: Path) -> tuple[str, Path]:
    """The tables of an Openfire, in SQLite."""
    path = directory / "openfire.sqlite"
    in_database(make_url(f"sqlite:///{path}"), DOMAIN, "wherefore")
    stored, server, salt = texts(STORED, SERVER, SALT)
    with closing(sqlite3.connect(path)) as database, database:
        for number, (name, contact) in enumerate(people(), 1_000):
            database.execute(
                "INSERT INTO ofUser (username, storedKey, serverKey, salt, iterations, "
                "creationDate) VALUES (?, ?, ?, ?, ?, '001600000000000')",
                (name, stored, server, salt, ITERATIONS),
            )
            database.execute("INSERT INTO ofVCard VALUES (?, ?)", (name, CARD.format(name)))
            database.execute(
                "INSERT INTO ofRoster VALUES (?, ?, ?, 3, -1, -1, 'a', NULL)",
                (number, name, f"{contact}@{DOMAIN}"),
            )
            for each in range(MESSAGES):
                database.execute(
                    "INSERT INTO ofOffline VALUES (?, ?, '001600000000000', 1, ?)",
                    (name, number * 10 + each, MESSAGE.format(name, each)),
                )
    return "openfire", path


def of_ejabberd(directory: Path) -> tuple[str, Path]:
    """The tables of an ejabberd, in SQLite."""
    path = directory / "ejabberd.sqlite"
    stored, server, salt = texts(STORED, SERVER, SALT)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA)
        database.execute("DELETE FROM users")
        for name, contact in people():
            database.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)",
                (name, DOMAIN, stored, server, salt, ITERATIONS),
            )
            database.execute(
                "INSERT INTO vcard VALUES (?, ?, ?)", (name, DOMAIN, CARD.format(name))
            )
            database.execute(
                "INSERT INTO rosterusers VALUES (?, ?, ?, 'a', 'B', 'N', '', 'N', '', '')",
                (name, DOMAIN, f"{contact}@{DOMAIN}"),
            )
            for each in range(MESSAGES):
                database.execute(
                    "INSERT INTO spool (username, server_host, xml) VALUES (?, ?, ?)",
                    (name, DOMAIN, MESSAGE.format(name, each)),
                )
    return "ejabberd", path


def of_ejabberd_dump(directory: Path) -> tuple[str, Path]:
    """What an ejabberd writes of its Mnesia."""
    path = directory / "dump.txt"
    stored, server, salt = texts(STORED, SERVER, SALT)
    head = (
        "{tables,[{passwd,[{attributes,[us,password]}]},{vcard,[{attributes,[us,vcard]}]},"
        "{roster,[{attributes,[usj,us,jid,name,subscription,ask,groups,askmessage,xs]}]}]}."
    )
    lines = [head]
    for name, contact in people():
        us = f'{{<<"{name}">>,<<"{DOMAIN}">>}}'
        other = f'{{<<"{contact}">>,<<"{DOMAIN}">>,<<>>}}'
        keys = f'{{scram,<<"{stored}">>,<<"{server}">>,<<"{salt}">>,sha,{ITERATIONS}}}'
        lines.append(f"{{passwd,{us},{keys}}}.")
        lines.append(f'{{roster,{{{us},{other}}},{us},{other},<<"a">>,both,none,[],<<>>,[]}}.')
        card = (
            f'{{xmlel,<<"vCard">>,[{{<<"xmlns">>,<<"vcard-temp">>}}],'
            f'[{{xmlel,<<"FN">>,[],[{{xmlcdata,<<"{name}">>}}]}}]}}'
        )
        lines.append(f"{{vcard,{us},{card}}}.")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "ejabberd", path


def of_prosody(directory: Path) -> tuple[str, Path]:
    """The files of a Prosody."""
    host = directory / "prosody" / "montague%2elit"
    for kind in ("accounts", "roster", "offline"):
        (host / kind).mkdir(parents=True)
    for name, contact in people():
        (host / "accounts" / f"{name}.dat").write_text(
            f'return {{ ["stored_key"] = "{STORED.hex()}"; ["server_key"] = "{SERVER.hex()}"; '
            f'["salt"] = "{SALT.decode()}"; ["iteration_count"] = {ITERATIONS}; }};\n'
        )
        (host / "roster" / f"{name}.dat").write_text(
            f'return {{ ["{contact}@{DOMAIN}"] = {{ ["subscription"] = "both"; ["name"] = "a"; '
            '["groups"] = {}; }; };\n'
        )
        (host / "offline" / f"{name}.list").write_text(
            "".join(
                'item({ ["name"] = "message"; '
                f'["attr"] = {{ ["from"] = "{name}@{DOMAIN}/x"; ["to"] = "{name}@{DOMAIN}" }}; '
                f'{{ "{each}"; ["name"] = "body"; ["attr"] = {{}} }}; ["when"] = 1600000000 }});\n'
                for each in range(MESSAGES)
            )
        )
    return "prosody", host.parent


class KilledTests(SynchronousTestCase):
    """A share of kill -9 at random points, for each kind of source."""

    def setUp(self) -> None:
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.random = random.Random(some_seed())

    def server(self, name: str) -> ServerProcess:
        """An empty server."""
        directory = self.directory / name
        directory.mkdir()
        server = ServerProcess(directory, DOMAIN, plugins={"load": list(PLUGINS)})
        self.addCleanup(server.stop)
        server.start()
        return server

    def begin(self, server: ServerProcess, kind: str, source: Path) -> "subprocess.Popen[bytes]":
        """An import that is under way."""
        process = subprocess.Popen(
            [*XMPPCTL, "--data", str(server.directory / "data"), "import", kind, str(source)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        self.addCleanup(process.wait, PATIENCE_S)
        return process

    def written(self, server: ServerProcess) -> dict[str, bytes]:
        """All that is there, person by person."""
        out = server.directory / "out"
        server.tell("export", format="xep0227", directory=str(out))
        return {
            file.name: _UNSTABLE.sub(b"", file.read_bytes())
            for file in (out / DOMAIN).glob("n*.xml")
        }

    def check(self, made: Callable[[Path], tuple[str, Path]]) -> None:
        """Killed a few times or not at all, it comes to the same."""
        kind, source = made(self.directory)
        at_once, again = self.server("at-once"), self.server("again")
        began = time.monotonic()
        self.assertEqual(self.begin(at_once, kind, source).wait(PATIENCE_S), 0)
        took_s = time.monotonic() - began
        for _ in range(KILLS):
            process = self.begin(again, kind, source)
            time.sleep(self.random.uniform(0.2, 1.0) * took_s)
            again.kill()
            process.wait(PATIENCE_S)
            again.start()
        self.assertEqual(self.begin(again, kind, source).wait(PATIENCE_S), 0)
        wanted, found = self.written(at_once), self.written(again)
        self.assertEqual(len(wanted), PEOPLE)
        self.assertEqual(sorted(found), sorted(wanted))
        for name, text in wanted.items():
            self.assertEqual(found[name], text, name)

    def test_openfire(self) -> None:
        """From an Openfire."""
        self.check(of_openfire)

    def test_ejabberd(self) -> None:
        """From the database of an ejabberd."""
        self.check(of_ejabberd)

    def test_ejabberd_dump(self) -> None:
        """From a dump of an ejabberd."""
        self.check(of_ejabberd_dump)

    def test_prosody(self) -> None:
        """From the files of a Prosody."""
        self.check(of_prosody)


__all__ = ["KilledTests"]
