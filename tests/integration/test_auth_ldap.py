"""auth_ldap: people with slixmpp log in to a real server, which asks Debian's slapd."""

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.people import Person, Refused, people
from tests.integration.processes import ProcessCase
from tests.slapd_server import GROUPS, PEOPLE, READER, SlapdProcess
from xmppd.testing.process import ServerProcess

DOMAIN = "verona.lit"
TABLE = """\
[auth_ldap]
servers = ["ldaps://localhost"]
base = "ou=people,dc=verona,dc=lit"
"""


class LDAPTests(SynchronousTestCase):
    """A domain whose people a directory knows."""

    present: list[Person]

    def setUp(self) -> None:
        names = ("romeo", "juliet", "джульетта")
        self.slapd = SlapdProcess(
            {name: f"of {name}" for name in names}, {"lovers": ["romeo", "juliet"]}
        )
        self.addCleanup(self.slapd.remove)
        self.slapd.start()
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)

    def started(self, url: str, **others: Any) -> ServerProcess:
        """A server that asks the directory there."""
        table = {
            "servers": [url],
            "authorities": str(self.slapd.authority.file),
            "base": PEOPLE,
            "bind_dn": READER,
            "secret_file": str(self.slapd.reader_file),
            "refusal_s": 0.05,
            "group_base": GROUPS,
            **others,
        }
        server = ServerProcess(
            self.directory,
            DOMAIN,
            domain=[{"name": DOMAIN, "auth": ["ldap"]}],
            auth_ldap=table,
            plugins={"load": ["ping", "auth_ldap"]},
        )
        server.start()
        self.addCleanup(server.stop)
        return server

    def person(self, server: ServerProcess, name: str, password: str) -> Person:
        """Somebody who is about to come."""
        person = Person(server, f"{name}@{DOMAIN}", password)
        self.present.append(person)
        return person

    @people
    async def test_login(self) -> None:
        """Whom the directory knows is in by PLAIN under TLS, with a name in any script; a wrong
        password and an unknown name get the same answer.
        """
        server = self.started(f"ldaps://localhost:{self.slapd.tls_port}")
        for name in ("romeo", "джульетта"):
            person = await self.person(server, name, f"of {name}").arrive()
            self.assertEqual(person["feature_mechanisms"].mech.name, "PLAIN")
        refusals = []
        for name in ("romeo", "nobody"):
            person = self.person(server, name, "a thorn")
            with self.assertRaises(Refused):
                await person.log_in()
            refusals.append(str(await person.expect("failure")))
        self.assertEqual(refusals[0], refusals[1])
        self.assertIn("not-authorized", refusals[0])

    @people
    async def test_away_and_back(self) -> None:
        """While the directory is away, clients are told to try again, and those who are in stay;
        then all goes on.
        """
        server = self.started(f"ldap://localhost:{self.slapd.port}")
        romeo = await self.person(server, "romeo", "of romeo").arrive()
        self.slapd.stop()
        juliet = self.person(server, "juliet", "of juliet")
        with self.assertRaises(Refused):
            await juliet.log_in()
        await juliet.expect("failure", condition="temporary-auth-failure")
        await romeo.catch_up()
        self.slapd.start()
        await self.person(server, "juliet", "of juliet").arrive()

    @people
    async def test_groups(self) -> None:
        """Members of a group of the directory see each other, from the next look at it on."""
        server = self.started(self.slapd.socket_url, groups_every_s=0.5)
        romeo = await self.person(server, "romeo", "of romeo").arrive()
        await self.person(server, "juliet", "of juliet").arrive()
        await romeo.expect("presence", type="available", sender=self.present[-1].boundjid)
        self.assertEqual(romeo.client_roster[f"juliet@{DOMAIN}"]["groups"], ["lovers"])


class StartTests(ProcessCase):
    """What is said of a configuration with a mistake."""

    def test_sentences(self) -> None:
        """A mistake is told with its key and what to change."""
        text = self.config.read_text("utf-8").replace(
            'name = "localhost"', 'name = "localhost"\nauth = ["ldap"]'
        )
        text = text.replace('load = ["ping"]', 'load = ["auth_ldap"]') + TABLE
        reader = 'bind_dn = "cn=x"\nsecret_file = "/none"'
        for old, new, said in (
            ("ldaps://localhost", "localhost", 'auth_ldap.servers has "localhost"'),
            ("[auth_ldap]", f"[auth_ldap]\n{reader}", "secret_file /none cannot be read"),
        ):
            with self.subTest(new):
                self.config.write_text(text.replace(old, new), encoding="utf-8")
                self.assertIn(said, self.ctl("config", "check", status=1))
        self.config.write_text(text, encoding="utf-8")
        self.ctl("config", "check")


__all__ = ["LDAPTests", "StartTests"]
