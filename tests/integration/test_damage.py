"""Bytes of the database are flipped or cut off: the server starts, and logins bring the rest."""

import subprocess
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.people import PASSWORD
from tests.integration.processes import XMPPCTL, environment
from tests.integration.raw_client import RawClient
from tests.odd_stanzas import Meaning, meanings, odd_stanza
from tests.seeds import some_seed
from tests.unit.store.damage import KINDS, do_damage
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.stanza import ns
from xmppd.store.accounts import ACCOUNT
from xmppd.store.scram_keys import KEY
from xmppd.store.tables import PLUGIN_SCHEMA
from xmppd.testing.process import ServerProcess

ROUNDS = 2
MESSAGES = 6
NAMES = ("romeo", "juliet", "nurse", "mercutio")
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"

# Whoever has lost a password cannot log in, and a wrong version of a plugin's tables looks like a
# right one; the store's own tests damage them as well.
AMONG = tuple(kind for kind in KINDS if kind not in (ACCOUNT, KEY, PLUGIN_SCHEMA))


class DamagedSQLiteTests(SynchronousTestCase):
    """Friends on SQLite."""

    storage: str | None = None

    def setUp(self) -> None:
        self.seed = some_seed()
        self.chance = Random(self.seed)
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        settings = {"storage": {"url": self.storage}} if self.storage else {}
        self.server = ServerProcess(self.directory, **settings)
        self.server.start()
        self.addCleanup(lambda: self.server.pid and self.server.kill())
        self.url = self.storage or f"sqlite:///{self.directory}/data/xmppd.sqlite"
        for name in NAMES:
            self.server.add_user(name, PASSWORD)
        for name in NAMES[1:]:
            self.server.tell(
                "roster add", account="romeo@localhost", contact=f"{name}@localhost", mutual=True
            )

    def test_damage(self) -> None:
        """Whatever is damaged, the next login brings what is not, and the server starts."""
        for number in range(ROUNDS):
            self.fill(f"{number}.")
            (self.server.stop, self.server.kill)[self.chance.randrange(2)]()
            where = [do_damage(self.url, self.chance, AMONG) for _ in range(3)]
            what = f"seed {self.seed}, damaged: {where}"
            if number:
                self.look_offline(what)
            self.server.start()
            romeo, _ = self.log_in("romeo")
            juliet, got = self.log_in("juliet")
            bodies = [self.body(each) for each in got if each.name[1] == "message"]
            waited = [text for text in bodies if text.startswith(f"{number}.")]
            self.assertGreaterEqual(len(waited), MESSAGES - len(where), what)
            self.assertEqual(waited, sorted(waited), what)
            if not any("roster" in each for each in where):
                seen = [each.attributes.get(("", "from"), "") for each in got]
                self.assertIn("romeo@localhost/1", seen, what)
            self.server.tell("db quarantine delete", number="all")
            for client in (romeo, juliet):
                self.leave(client)

    def fill(self, before: str) -> None:
        """Have something of each kind, and messages that begin like that."""
        romeo, _ = self.log_in("romeo")
        mercutio, _ = self.log_in("mercutio")
        mercutio.send(f"<enable {SM} resume='true'/>".encode())
        mercutio.until(b"<enabled ")
        mercutio.close()
        nurse, _ = self.log_in("nurse")
        self.leave(nurse, b"<presence type='unavailable'><status>gone</status></presence>")
        for number in range(MESSAGES):
            for name in ("juliet", "mercutio"):
                to, text = f"{name}@localhost", f"{before}{number}"
                plain = f"<message to='{to}' type='chat'><body>{text}</body></message>"
                romeo.send((plain + odd_stanza(self.chance, "message", to=to)).encode())
        romeo.send(
            b"<presence to='juliet@localhost' type='subscribe'/><iq type='set' id='p'>"
            b"<query xmlns='jabber:iq:private'><x xmlns='urn:x'>kept</x></query></iq>"
        )
        self.catch_up(romeo, b"filled")
        self.server.tell("group save", group="staff", add=["juliet@localhost", "romeo@localhost"])
        self.leave(romeo)

    def log_in(self, name: str) -> tuple[RawClient, list[Meaning]]:
        """Somebody who has logged in, and all that came with that."""
        client = RawClient(self.server)
        client.log_in(name, PASSWORD, "1")
        client.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq><presence/>".encode())
        got = meanings(self.catch_up(client, b"here"))
        self.assertTrue(any(each.attributes.get(("", "id")) == "r" for each in got))
        return client, got

    def leave(self, client: RawClient, goodbye: bytes = b"") -> None:
        """Close the stream, and be gone on return."""
        client.send(goodbye + b"</stream:stream>")
        client.until(b"</stream:stream>")
        client.close()

    def catch_up(self, client: RawClient, id: bytes) -> bytes:
        """All that came until a ping is answered."""
        client.send(
            b"<iq type='get' id='%b' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>" % id
        )
        head = client.until(b" id='%b'" % id)
        return head + client.until(b">").replace(b">", b"/>").replace(b"//>", b"/>")

    def body(self, message: Meaning) -> str:
        """What a message says."""
        found = [m for m in message.content if isinstance(m, Meaning) and m.name[1] == "body"]
        return "".join(text for each in found for text in each.content if isinstance(text, str))

    def look_offline(self, what: str) -> None:
        """A command reads the database of a server that is down."""
        command = [*XMPPCTL, "db", "quarantine", "list"]
        done = subprocess.run(
            [*command, "--config", str(self.directory / "xmppd.toml")],
            cwd=self.directory, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertIn(done.stderr, ("", "no record is in quarantine.\n"), what)
        self.assertEqual(done.returncode, 0, what)


class DamagedPostgreSQLTests(DamagedSQLiteTests):
    """The same friends on PostgreSQL."""

    def setUp(self) -> None:
        self.storage = make_postgresql()
        self.addCleanup(drop_postgresql, self.storage)
        super().setUp()
