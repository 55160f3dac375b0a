"""Questions and answers of a set-up, and the configuration that is made of them."""

import os
import tomllib
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config import config_file
from xmppd.net.certificate import make_self_signed
from xmppd.setup.answers import AnswerError, Answers, answers, of_file
from xmppd.setup.doors import SetupDoor, doors_of
from xmppd.setup.written import configuration, records, unreached

GIVEN = {"domain": "verona.lit", "terms": "yes"}


def answered(**given: str) -> Answers:
    """The answers, with nobody to ask."""
    return answers({**GIVEN, **given}, ask=False)


class AnswerTests(SynchronousTestCase):
    """answers, with and without somebody to ask."""

    def refusal(self, **given: str) -> str:
        return str(self.assertRaises(AnswerError, answered, **given))

    def test_defaults(self) -> None:
        """A domain, and agreeing to terms, are enough."""
        found = answered()
        self.assertEqual(found.admin, "admin@verona.lit")
        self.assertEqual([door.port for door in found.doors], [5222, 5223, 5269, 443])
        self.assertTrue(found.acme)
        self.assertEqual(found.database, "sqlite:///xmppd.sqlite")

    def test_wrong(self) -> None:
        """What cannot be an answer is refused by the name of its question, in a sentence."""
        for given, why in (
            ({"domain": "verona"}, 'domain: "verona" is not a domain'),
            ({"admin": "romeo@mantua.lit"}, "admin: "),
            ({"listeners": "servers"}, "none of the listeners is for clients"),
            ({"listeners": "clients windows"}, '"windows" is not one of clients'),
            ({"listeners": "clients:70000"}, '"70000" is not a port'),
            ({"listeners": "clients web:5222"}, "two listeners have the same port"),
            ({"certificate": "nowhere.pem"}, "nowhere.pem is not a file"),
            ({"terms": "no"}, "requires that you agree to its terms"),
            ({"admin": "romeo@elsewhere.lit"}, "is not at the domain"),
            ({"contact": "me"}, '"me" is not a mail address'),
            ({"database": "mysql://"}, 'database: write "sqlite"'),
        ):
            with self.subTest(why):
                self.assertIn(why, self.refusal(**given))

    def test_missing(self) -> None:
        """What is missing is said, with the ways to give it."""
        error = self.assertRaises(AnswerError, answers, {}, ask=False)
        self.assertIn("--domain", str(error))
        self.assertIn("XMPPD_DOMAIN", str(error))

    def test_environment(self) -> None:
        """The environment answers what nothing else does: an image is set up by it."""
        with mock.patch.dict(
            os.environ, XMPPD_DOMAIN="mantua.lit", XMPPD_CERTIFICATE="self-signed"
        ):
            found = answers({"domain": "verona.lit"}, ask=False)
        self.assertEqual((found.domain, found.certificate), ("verona.lit", "self-signed"))

    def test_asked_again(self) -> None:
        """Who is asked may make mistakes, and is asked again; what does not matter is not asked."""
        said = iter(["verona", "verona.lit", "", "", "self-signed", ""])
        with (
            mock.patch("builtins.input", lambda prompt: next(said)),
            mock.patch("getpass.getpass", lambda prompt: "pass"),
            mock.patch("sys.stdout.write") as told,
        ):
            found = answers({}, ask=True)
        self.assertEqual((found.domain, found.password), ("verona.lit", "pass"))
        self.assertEqual(list(said), [])
        self.assertIn("is not a domain", told.call_args_list[0].args[0])

    def test_file(self) -> None:
        """A file of answers has questions only, and texts."""
        file = Path(self.mktemp())
        for text, why in (
            ('answered = "verona.lit"', "unknown answer answered"),
            ("domain = 7", "write it between quotes"),
            ("domain =", "is not valid TOML"),
        ):
            with self.subTest(why):
                file.write_text(text, encoding="utf-8")
                self.assertIn(why, str(self.assertRaises(AnswerError, of_file, file)))
        file.write_text('domain = "verona.lit"', encoding="utf-8")
        self.assertEqual(of_file(file), {"domain": "verona.lit"})


class WrittenTests(SynchronousTestCase):
    """What is written, and said."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def text(self, **given: str) -> str:
        return configuration(answered(**given), self.directory / "data", self.directory / "own")

    def test_read(self) -> None:
        """Each kind of answers makes a configuration that a start takes."""
        make_self_signed("verona.lit", self.directory / "own.crt", self.directory / "own.key")
        file = self.directory / "xmppd.toml"
        for given in (
            {"contact": "me@verona.lit"},
            {"certificate": "self-signed", "listeners": "clients"},
            {
                "certificate": str(self.directory / "own.crt"),
                "key": str(self.directory / "own.key"),
            },
            {"listeners": "clients servers-tls acme", "database": "postgresql://u:p@h/x"},
        ):
            with self.subTest(given):
                file.write_text(self.text(**given), encoding="utf-8")
                config = config_file.load(file)
                self.assertEqual(config.admins, ("admin@verona.lit",))
                self.assertEqual(config.s2s.enabled, given.get("listeners") != "clients")

    def test_quoted(self) -> None:
        """What an answer has in it stays an answer."""
        database = 'postgresql://u:"\nadmins = ["x"]\\@h/x'
        table = tomllib.loads(self.text(database=database))
        self.assertEqual(table["storage"]["url"], database)

    def test_records(self) -> None:
        """The records of DNS name each port, and hosts as DNS spells them."""
        said = records(answered(domain="Bücher.example", listeners="clients:5333 servers"))
        self.assertIn("_xmpp-client._tcp.xn--bcher-kva.example. 3600 IN SRV 0 5 5333", said)
        self.assertIn("_xmpp-server._tcp.xn--bcher-kva.example. 3600 IN SRV 0 5 5269", said)
        self.assertNotIn("_xmpps-client", said)

    def test_unreached(self) -> None:
        """Where an authority connects to another port than the listener's, it is said which."""
        for listeners, said in (
            ("clients web", ""),
            ("clients web:5443 acme", ""),
            ("clients web:5443", "port 443 of verona.lit, but the listener web has port 5443"),
            ("clients web acme:8080", "port 80 of verona.lit, but the listener acme has port 8080"),
            ("clients", ""),  # refused, since nobody answers the authority
        ):
            with self.subTest(listeners):
                found = unreached(answered(listeners=listeners))
                self.assertIn(said, found)
                self.assertEqual(bool(said), bool(found))
        self.assertEqual(
            unreached(answered(listeners="clients web:1", certificate="self-signed")), ""
        )

    def test_doors(self) -> None:
        """Doors may have commas between them, and other ports."""
        self.assertEqual(
            doors_of("clients, web:8443"), (SetupDoor("clients", 5222), SetupDoor("web", 8443))
        )
