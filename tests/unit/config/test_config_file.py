"""The configuration file: what it may say, and what is said to those who make a mistake."""

import re
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import asdict, fields
from twisted.trial.unittest import SynchronousTestCase

from xmppd.auth.hashed_token import HASHED_TOKEN
from xmppd.config.checks import TOKEN_MECHANISMS
from xmppd.config.config import (
    ComponentSettings,
    Config,
    DomainSettings,
    ListenSettings,
    RemoteDomainSettings,
    RoleSettings,
    StreamSettings,
)
from xmppd.config.config_file import load
from xmppd.config.scopes import SCOPES
from xmppd.config.section import Section
from xmppd.config.table import ConfigError

REFERENCE = Path(__file__).parents[3] / "etc" / "xmppd.toml"
DOMAIN = '[[domain]]\nname = "example.org"\n'
SECURE = DOMAIN + 'certificate = "cert.pem"\n'


class FileCase(SynchronousTestCase):
    """A configuration file in a directory of its own."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = self.directory / "xmppd.toml"

    def load(self, text: str) -> Config:
        self.path.write_text(text, encoding="utf-8")
        return load(self.path)

    def test_others_may_write(self) -> None:
        """A file that others may write is not believed."""
        self.load(DOMAIN)
        self.path.chmod(0o666)
        error = self.assertRaises(ConfigError, load, self.path)
        self.assertIn(f"chmod o-w {self.path}.", str(error))

    def refusal(self, text: str) -> str:
        """What the administrator reads; always one sentence that begins with the file's name."""
        error = self.assertRaises(ConfigError, self.load, text)
        sentence = str(error)
        self.assertTrue(sentence.startswith(f"{self.path}:"), sentence)
        self.assertTrue(sentence.endswith("."), sentence)
        self.assertNotIn("\n", sentence)
        return re.sub(r"^:\d*:? ?", "", sentence.removeprefix(str(self.path)))

    def test_line(self) -> None:
        """The sentence about an option begins with its line."""
        error = self.assertRaises(ConfigError, self.load, '[stream]\n\nmax_depth = "deep"\n')
        self.assertTrue(str(error).startswith(f"{self.path}:3: stream.max_depth is "), str(error))


class TextTests(FileCase):
    """What is not TOML, or not as it is written."""

    def test_where(self) -> None:
        """The line is named, and how it is written right, in no word of Python and of no secret."""
        for text, says in (
            ('[domain]\nname = "a.lit"\n', "line 1: write [[domain]] with two brackets"),
            (DOMAIN + '[listen]\nendpoint = "epoll:5222"\n', "line 3: write [[listen]]"),
            (
                DOMAIN + '[listen]\nendpoint = "epoll:5222"\n[listen]\n',
                "line 3: write [[listen]] with two brackets, since there may be several.",
            ),
            (
                DOMAIN + "[stream]\nmax_depth = 9\n\n[stream]\n",
                "line 6: [stream] already appears in line 3; merge the two tables.",
            ),
            (
                DOMAIN + "[stream]\nmax_depth = 9\nmax_depth = 8\n",
                "line 5: max_depth appears twice; remove one of the two.",
            ),
            (
                "\ufeff" + DOMAIN,
                "the file begins with a byte order mark; save it as UTF-8 without one.",
            ),
            (
                DOMAIN + "data = rosebud\n",
                ('line 3, data, is not TOML: expected a value, such as "text", 10 or true; '
                "correct it there."),
            ),
            (
                DOMAIN + 'data = "rosebud\n',
                ("line 3, data, is not TOML: a string is not closed, or contains a character that "
                "is not allowed; correct it there."),
            ),
        ):  # fmt: skip
            with self.subTest(text):
                said = self.refusal(text)
                self.assertTrue(said.startswith(says), said)
                self.assertNotRegex(said, r"rosebud|\('|Cannot|\\n")

    def test_table_of_no_plugin(self) -> None:
        """A table whose plugin is not loaded is told as such, one that is misspelt otherwise."""
        self.assertEqual(
            self.refusal(DOMAIN + '[greeter]\ngreeting = "Ho"\n'),
            "[greeter] is neither a table of the server nor of a loaded plugin; correct the name, "
            "add its plugin to plugins.load, or remove the table.",
        )
        self.assertIn(
            '(did you mean "stream"?)', self.refusal(DOMAIN + "[streams]\nmax_depth = 9\n")
        )

    def test_one_port(self) -> None:
        """Two listeners at one port of one address are refused; others are not."""

        def listening(*endpoints: str) -> str:
            tables = (f"[[listen]]\nendpoint = '{each}'\n" for each in endpoints)
            return SECURE + 'key = "key.pem"\n' + "".join(tables)

        for one, other in (
            ("epoll:5222", "epoll:5222"),
            ("epoll:5222", "tcp:5222"),
            ("epoll:5222:interface=127.0.0.1", "haproxy:epoll:5222:interface=127.0.0.1"),
        ):
            self.assertIn(
                "listen[1] and listen[2] both use port 5222", self.refusal(listening(one, other))
            )
        self.load(
            listening(
                "epoll:5222:interface=127.0.0.1",
                r"epoll:5222:interface=\:\:1",
                "epoll:5223:reuseport=yes",
                "epoll:5223:reuseport=yes",
                "epoll:0",
                "epoll:0",
                "systemd:domain=INET:index=0",
                "systemd:domain=INET:index=1",
            )
        )


class LoadTests(FileCase):
    def test_domain_is_enough(self) -> None:
        """A file that names one domain is complete; everything else has a default."""
        config = self.load(DOMAIN)
        self.assertEqual(config.domain, (DomainSettings(name="example.org"),))
        self.assertEqual(config.stream, StreamSettings())

    def test_paths_are_relative_to_the_file(self) -> None:
        """A relative path means the same wherever the server is started from."""
        config = self.load(
            'data = "var"\n' + SECURE + 'key = "/etc/key.pem"\n'
            '[tls]\nclient_ca = "ca.pem"\n[plugins]\ndirectory = "mine"\n'
        )
        self.assertEqual(config.data, str(self.directory / "var"))
        self.assertEqual(config.domain[0].certificate, str(self.directory / "cert.pem"))
        self.assertEqual(config.domain[0].key, "/etc/key.pem")
        self.assertEqual(config.tls.client_ca, str(self.directory / "ca.pem"))
        self.assertEqual(config.plugins.directory, str(self.directory / "mine"))

    def test_database_lies_in_the_data_directory(self) -> None:
        """A SQLite file without a directory is kept with the server's other data."""
        self.assertEqual(
            self.load('data = "/srv/xmpp"\n' + DOMAIN).storage.url,
            "sqlite:////srv/xmpp/xmppd.sqlite",
        )

    def test_other_databases_keep_their_url(self) -> None:
        """The URL of a database server, or of one in memory, is used as it stands."""
        for url in ("postgresql://xmppd@db/xmppd", "sqlite://", "sqlite:///:memory:"):
            with self.subTest(url):
                text = DOMAIN + f'[storage]\nurl = "{url}"\n'
                self.assertEqual(self.load(text).storage.url, url)

    def test_whole_number_of_seconds(self) -> None:
        """Seconds may be written without a decimal point."""
        self.assertEqual(
            self.load(DOMAIN + "[stream]\nidle_timeout_s = 3\n").stream.idle_timeout_s, 3
        )

    def test_nothing_kept_for_the_absent(self) -> None:
        """Zero offline messages is a policy, not a mistake."""
        self.assertEqual(
            self.load(DOMAIN + "[offline]\nmax_messages = 0\n").offline.max_messages, 0
        )


class ReadingTests(FileCase):
    def test_missing(self) -> None:
        """Without a file, the answer says how to get one."""
        error = self.assertRaises(ConfigError, load, self.path)
        self.assertEqual(
            str(error),
            f"{self.path}: this file does not exist; run `xmppd setup` to write one, or name "
            "another with --config.",
        )

    def test_unreadable(self) -> None:
        """A directory in the file's place is named with the system's reason."""
        error = self.assertRaises(ConfigError, load, self.directory)
        self.assertIn("this is a directory", str(error))

    def test_not_utf8(self) -> None:
        """A file in another encoding is named as such."""
        self.path.write_bytes(b'admins = ["\xff"]')
        self.assertIn("not valid UTF-8", str(self.assertRaises(ConfigError, load, self.path)))

    def test_syntax(self) -> None:
        """A slip in the TOML is shown with its line."""
        self.assertIn(
            "line 2 is not TOML: expected `key = value`", self.refusal("admins = []\ndata\n")
        )
        self.assertIn("line 1, data, is not TOML", self.refusal("data = "))


class PluginTableTests(FileCase):
    """The tables of plugins, which alone know what stands in them."""

    def test_named(self) -> None:
        """The table of a plugin that is loaded is kept for it as it is."""
        text = '[plugins]\nload = ["guestbook"]\n[guestbook]\nmax = 3\n'
        self.assertEqual(self.load(text + DOMAIN).plugin_tables, {"guestbook": {"max": 3}})

    def test_not_named(self) -> None:
        """Of one that is not loaded nobody can say whether it is right."""
        self.assertIn(
            "[guestbook] is neither a table of the server nor of a loaded plugin; correct the "
            "name, add its plugin to plugins.load",
            self.refusal("[guestbook]\nmax = 3\n" + DOMAIN),
        )

    def test_no_table(self) -> None:
        """A plugin's name is no key."""
        text = 'guestbook = 3\n[plugins]\nload = ["guestbook"]\n'
        self.assertIn("guestbook is not an option; remove it", self.refusal(text + DOMAIN))


class MistakeTests(FileCase):
    """Each mistake, and the sentence it earns."""

    def test_unknown_keys(self) -> None:
        """An unknown key comes with the nearest one that exists."""
        for text, sentence in (
            (
                "[stream]\nmax_dept = 3",
                'stream.max_dept is not an option (did you mean "stream.max_depth"?).',
            ),
            ("[streamz]\n", 'streamz is not an option (did you mean "stream"?).'),
            (
                "max_depth = 3",
                "max_depth is not an option; write it in its own table, as stream.max_depth.",
            ),
            (
                DOMAIN + "zzz = 1",
                (
                    "domain.zzz is not an option; remove it, or use one of name, certificate, key, "
                    "acme, auth."
                ),
            ),
            ("[disko]\n", 'disko is not an option (did you mean "disco"?).'),
            (
                "[plugin_tables]\n",
                'plugin_tables is not an option (did you mean "plugins"?).',
            ),
        ):
            with self.subTest(text):
                self.assertEqual(self.refusal(text), sentence)

    def test_wrong_types(self) -> None:
        """A value of the wrong kind is named with the kind that is wanted."""
        for text, sentence in (
            ("[stream]\nmax_depth = '9'", "stream.max_depth is a string; it must be an integer."),
            (
                "[stream]\nmax_depth = true",
                "stream.max_depth is a boolean (true or false); it must be an integer.",
            ),
            (
                "[tls]\nrequired = 1",
                "tls.required is an integer; it must be a boolean (true or false).",
            ),
            ("stream = 3", "stream is an integer; it must be a table."),
            (
                "[plugins]\nload = ['disco', 3]",
                "plugins.load[2] is an integer; it must be a string.",
            ),
            ("[log.levels]\nxmppd = 3", "log.levels.* is an integer; it must be a string."),
            ("[[listen]]\nkind = 'client'", "listen[1] has no endpoint; add it."),
        ):
            with self.subTest(text):
                self.assertEqual(self.refusal(text), sentence)

    def test_single_brackets(self) -> None:
        """What is an array of tables is written with double brackets."""
        refusal = self.refusal(DOMAIN + "[s2s.domain]\nname = 'verona.lit'")
        self.assertIn("s2s.domain is a table; write it as [[s2s.domain]], with double", refusal)
        refusal = self.refusal(DOMAIN + "[admins]\nname = 'romeo'")
        self.assertIn("admins is a table; it must be an array.", refusal)

    def test_wrong_choices(self) -> None:
        """A word that is none of the choices is answered with the choices."""
        for text, sentence in (
            (
                "[log]\nlevel = 'loud'",
                (
                    "log.level cannot be 'loud'; use one of "
                    '"debug", "info", "warn", "error", "critical".'
                ),
            ),
            (
                "[[listen]]\nendpoint = 'tcp:1'\ntls = 'ssl'",
                'listen[1].tls cannot be \'ssl\'; use one of "none", "starttls", "direct".',
            ),
            (
                "[[listen]]\nendpoint = 'tcp:1'\nserve = ['wob']",
                (
                    "listen[1].serve[1] cannot be 'wob'; use one of "
                    '"web", "metrics", "api", "console", "acme".'
                ),
            ),
            (
                DOMAIN + "[log.levels]\nxmppd = 'loud'",
                "log.levels.xmppd is 'loud'; use one of debug, info, warn, error, critical.",
            ),
        ):
            with self.subTest(text):
                self.assertEqual(self.refusal(text), sentence)

    def test_numbers(self) -> None:
        """A limit of nothing, less than nothing or infinity is no limit."""
        for number in ("0", "-1", "-0.5", "nan", "inf"):
            with self.subTest(number):
                self.assertEqual(
                    self.refusal(DOMAIN + f"[stream]\nidle_timeout_s = {number}"),
                    f"stream.idle_timeout_s is {float(number)}; it must be greater than zero.",
                )
        self.assertIn("offline.max_bytes", self.refusal(DOMAIN + "[offline]\nmax_bytes = -1"))

    def test_zero_or_more(self) -> None:
        """A number that may be zero is said to be zero or more, if it is less."""
        self.assertIn(
            "offline.max_messages is -1; it must be zero or more.",
            self.refusal(DOMAIN + "[offline]\nmax_messages = -1"),
        )

    def test_domains(self) -> None:
        """There is at least one domain, each is a domain name, and none is there twice."""
        self.assertIn("no domain is configured", self.refusal(""))
        for name in ("", "a b", "a..b", "a_b", "-a", "x" * 64, "romeo@example.org", "[::"):
            with self.subTest(name):
                self.assertIn(
                    f'domain.name "{name}" is not a domain name',
                    self.refusal(f'[[domain]]\nname = "{name}"'),
                )
        for again in ("example.org", "EXAMPLE.org"):
            with self.subTest(again):
                self.assertEqual(
                    self.refusal(DOMAIN + f'[[domain]]\nname = "{again}"'),
                    f'domain.name "{again}" appears twice; remove one of the two.',
                )

    def test_domain_names(self) -> None:
        """A name in any script, a single label and a number are domain names, and are prepared."""
        for name, prepared in (
            ("Example.ORG", "example.org"),
            ("MÜNCHEN.example", "münchen.example"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
        ):
            with self.subTest(name):
                config = self.load(f'[[domain]]\nname = "{name}"')
                self.assertEqual(config.domain[0].name, prepared)

    def test_reserved_names(self) -> None:
        """What no account can be called need not be reserved, and may be a mistake in writing."""
        for name in ("a@b", "", "two words"):
            text = f'[registration]\nreserved_names = ["root", "{name}"]\n'
            self.assertIn(f'registration.reserved_names has "{name}"', self.refusal(DOMAIN + text))
        text = "[registration]\nreserved_names = []\nremoved_names_reserved_s = 0\n"
        self.assertEqual(self.load(DOMAIN + text).registration.reserved_names, ())

    def test_admins(self) -> None:
        """Administrators are accounts."""
        self.assertEqual(
            self.load('admins = ["Romeo@x.org/a"]\n' + DOMAIN).admins, ("romeo@x.org",)
        )
        for admin in ("romeo", "example.org/a", "@", ""):
            with self.subTest(admin):
                self.assertEqual(
                    self.refusal(f'admins = ["{admin}"]\n' + DOMAIN),
                    f'admins: "{admin}" is not an account address; '
                    'write it as "romeo@example.org".',
                )

    def test_roles(self) -> None:
        """A role has accounts, and what it may do: of one that is there already, that is known."""
        good = '[[role]]\nname = "helpdesk"\naccounts = ["a@x.org"]\nscopes = ["accounts:read"]\n'
        operator = '[[role]]\nname = "operator"\naccounts = ["a@x.org"]\n'
        self.assertEqual(len(self.load(DOMAIN + good + operator).role), 2)
        for text, why in (
            (good.replace("helpdesk", "Help desk"), "use lowercase letters"),
            (good + good, "appears twice"),
            (good.replace("helpdesk", "admin"), "admins lists the administrators"),
            (good.replace("helpdesk", "user"), "everyone is a user"),
            (good.replace('"accounts:read"', ""), 'role "helpdesk" has no scopes'),
            (good.replace("accounts:", "user:"), 'unknown scope "user:read"; use one of acc'),
            (good.replace("accounts:", "accountz:"), '(did you mean "accounts:read"?)'),
            (operator + 'scopes = ["keys:write"]\n', 'role "operator" has fixed scopes'),
            (good.replace("accounts:read", "account:read"), '(did you mean "accounts:read"?)'),
            (good.replace("a@x.org", "x.org"), 'role.accounts: "x.org" is not an account'),
            (good.replace("a@x.org", "a@x.org/1"), "is not an account address"),
        ):
            with self.subTest(why):
                self.assertIn(why, self.refusal(DOMAIN + text))

    def test_certificates(self) -> None:
        """TLS needs a certificate for every domain, and a key needs its certificate."""
        listen = "[[listen]]\nendpoint = 'tcp:0'\n"
        self.assertEqual(
            self.refusal(SECURE + '[[domain]]\nname = "example.net"\n' + listen),
            'listen.endpoint "tcp:0" has tls = "starttls" but domain "example.net" has no '
            "certificate; add certificate or acme = true to its [[domain]].",
        )
        self.load(SECURE + listen)
        self.load(DOMAIN + listen + "tls = 'none'\n[tls]\nrequired = false")
        self.assertEqual(
            self.refusal(DOMAIN + 'key = "key.pem"'),
            'domain.key of "example.org" is set without a certificate; add domain.certificate.',
        )

    def test_auth(self) -> None:
        """A domain names who knows its accounts; whoever is asked for passwords gets them."""
        self.assertEqual(self.load(DOMAIN).domain[0].auth, ("internal",))
        self.assertEqual(self.load(DOMAIN + 'auth = ["http"]').domain[0].auth, ("http",))
        for text, why in (
            ("auth = []", "is empty"),
            ('auth = ["http", "http"]', 'has "http" twice; remove one'),
            ('auth = ["http"]\n[auth]\nmechanisms = ["SCRAM-SHA-256"]', 'add "PLAIN" or'),
        ):
            with self.subTest(why):
                self.assertIn(why, self.refusal(DOMAIN + text))

    def test_acme(self) -> None:
        """An authority must be able to look, and its terms be agreed to; its certificates are
        among our data.
        """
        door = "[[listen]]\nendpoint = 'tcp:0'\nkind = 'http'\ntls = 'none'\nserve = ['acme']\n"
        agreed = "[acme]\nterms_agreed = true\n"
        domain = DOMAIN + "acme = true\n"
        config = self.load(domain + door + agreed)
        self.assertEqual(config.challenge, "http-01")
        self.assertEqual(
            config.domain[0].chain_file, Path(config.data) / "acme" / "example.org.pem"
        )
        handshakes = door.replace("'none'", "'direct'").replace("acme", "web")
        self.assertEqual(self.load(domain + handshakes + agreed).challenge, "tls-alpn-01")
        for text, why in (
            (domain + agreed, "needs a listener that the authority can reach"),
            (domain + door, "acme.terms_agreed is false"),
            (SECURE + "acme = true\n" + door + agreed, "remove one of the two"),
            (domain + door + agreed + 'directory = "http://x.org"', "https://"),
            (domain + door + agreed + 'contact = ["me@x.org"]', 'write it as "mailto:'),
        ):
            with self.subTest(why):
                self.assertIn(why, self.refusal(text))

    def test_http(self) -> None:
        """HTTP knows no STARTTLS, and is served only where it is spoken."""
        listen = "[[listen]]\nendpoint = 'tcp:0'\nkind = 'http'\n"
        self.assertIn("cannot use STARTTLS", self.refusal(SECURE + listen))
        self.load(SECURE + listen + "tls = 'direct'\nserve = ['web', 'metrics']\n")
        self.load(SECURE + listen + "tls = 'none'\n")
        self.assertIn(
            'set listen.kind = "http"',
            self.refusal(SECURE + "[[listen]]\nendpoint = 'tcp:0'\nserve = ['web']\n"),
        )
        self.load(SECURE + "[[listen]]\nendpoint = 'tcp:0'\ntls = 'direct'\nserve = ['web']\n")
        ips = "[web]\nips = ['192.0.2.7', '2001:db8::7']\n"
        self.assertIn("not an IP address", self.refusal(SECURE + "[web]\nips = ['example.org']\n"))
        starttls, direct = ("[[listen]]\nendpoint = 'tcp:0'\n", "tls = 'direct'\n")
        self.assertIn('listen.tls = "direct"; add one', self.refusal(SECURE + starttls + ips))
        self.load(SECURE + starttls + starttls + direct + ips)
        self.assertIn("web.url", self.refusal(SECURE + "[web]\nurl = 'chat.example.org'\n"))
        self.assertIn(
            "web.trusted_proxies",
            self.refusal(SECURE + "[web]\ntrusted_proxies = ['proxy.example.org']\n"),
        )

    def test_mechanisms(self) -> None:
        """Mechanisms are known ones, and there is one that can be used."""
        self.assertIn("is empty", self.refusal(DOMAIN + "[auth]\nmechanisms = []"))
        self.assertEqual(
            self.refusal(DOMAIN + "[auth]\nmechanisms = ['SCRAM-SHA1']"),
            'auth.mechanisms: unknown mechanism "SCRAM-SHA1" (did you mean "SCRAM-SHA-1"?).',
        )

    def test_tokens(self) -> None:
        """Mechanisms for tokens are known ones, and a token lives to see the next."""
        self.assertEqual(TOKEN_MECHANISMS, frozenset(HASHED_TOKEN))
        self.assertEqual(
            self.refusal(DOMAIN + "[tokens]\nmechanisms = ['HT-SHA-256-UNIQ']"),
            'tokens.mechanisms: unknown mechanism "HT-SHA-256-UNIQ"; use one of '
            f"{', '.join(sorted(TOKEN_MECHANISMS))}.",
        )
        self.assertIn("use one of HT-", self.refusal(DOMAIN + "[tokens]\nmechanisms = ['PLAIN']"))
        self.assertIn(
            "otherwise a token expires", self.refusal(DOMAIN + "[tokens]\nlifetime_s = 60.0")
        )
        self.load(DOMAIN + "[tokens]\nmechanisms = []")

    def test_nobody_could_log_in(self) -> None:
        """A door without TLS is refused, unless that is wanted, and something works there."""
        text = DOMAIN + "[[listen]]\nendpoint = 'tcp:0'\ntls = 'none'\n"
        self.assertIn("while TLS is required", self.refusal(text))
        text += "[tls]\nrequired = false\n[auth]\nmechanisms = "
        for only in ("['SCRAM-SHA-1-PLUS']", "['EXTERNAL', 'SCRAM-SHA-256-PLUS']"):
            with self.subTest(only):
                self.assertIn('without TLS at "tcp:0"', self.refusal(text + only))
        self.load(text + "['PLAIN']")

    def test_certificates_that_nobody_signs(self) -> None:
        """EXTERNAL is refused while no authority's certificates are accepted."""
        text = DOMAIN + "[auth]\nmechanisms = ['EXTERNAL', 'PLAIN']\n"
        self.assertIn("set tls.client_ca", self.refusal(text))
        self.load(text + "[tls]\nclient_ca = 'ca.pem'\n")

    def test_components(self) -> None:
        """A component has a domain of its own, a secret, and a door."""
        door = '[[listen]]\nendpoint = "tcp:5347"\nkind = "component"\ntls = "none"\n'
        component = '[[component]]\nname = "echo.example.org"\n'
        for text, sentence in (
            (
                component.replace("echo.", "") + "secret = 'x'\n" + door,
                (
                    'component.name "example.org" is already the name of a domain or a '
                    "component; choose another one."
                ),
            ),
            (
                component.replace("echo.", "a..") + "secret = 'x'\n" + door,
                (
                    'component.name "a..example.org" is not a domain name; '
                    'write it as in DNS, such as "gateway.example.org".'
                ),
            ),
            (
                component + door,
                (
                    'component "echo.example.org" has no secret; set component.secret or '
                    "component.secret_file."
                ),
            ),
            (
                component + "secret = 'x'\nsecret_file = 'y'\n" + door,
                (
                    'component "echo.example.org" has both component.secret and '
                    "component.secret_file; remove one of the two."
                ),
            ),
            (
                component + "secret = 'x'\nmax_connections = 0\n" + door,
                "component.max_connections is 0; it must be greater than zero.",
            ),
            (
                component + "secret = 'x'\n",
                (
                    'component "echo.example.org" has no listener; add a [[listen]] table with '
                    'kind = "component".'
                ),
            ),
            (
                component + "secret = 'x'\n" + door.replace("none", "starttls"),
                (
                    'listen.endpoint "tcp:5347" is for components, which cannot use STARTTLS; '
                    'set listen.tls = "none", or "direct".'
                ),
            ),
            (
                component + "secret_file = 'nowhere'\n" + door,
                (
                    f'component.secret_file "{self.directory}/nowhere" cannot be read (No such '
                    "file or directory); write the secret into this file, and let only root and "
                    "the user that runs xmppd read it."
                ),
            ),
        ):
            with self.subTest(sentence):
                self.assertEqual(self.refusal(SECURE + text), sentence)

    def test_secret_file(self) -> None:
        """A component's secret may stand in a file of its own; an empty one is no secret."""
        text = (
            SECURE + '[[listen]]\nendpoint = "tcp:5347"\nkind = "component"\ntls = "none"\n'
            '[[component]]\nname = "Echo.Example.org"\nsecret_file = "echo.secret"\n'
        )
        path = self.directory / "echo.secret"
        path.write_text("wherefore\n", encoding="utf-8")
        (component,) = self.load(text).component
        self.assertEqual((component.name, component.secret), ("echo.example.org", "wherefore"))
        path.write_text("\n", encoding="utf-8")
        self.assertIn("is empty; write the secret into it.", self.refusal(text))

    def test_plugins(self) -> None:
        """A plugin is loaded once."""
        self.assertEqual(
            self.refusal(DOMAIN + "[plugins]\nload = ['ping', 'disco', 'ping']"),
            'plugins.load names "ping" twice; remove one of the two.',
        )


class RemoteDomainTests(FileCase):
    """What is said of single domains of other servers."""

    def test_prepared(self) -> None:
        """Their names are prepared, and the file of authorities is found beside the file."""
        text = (
            '[s2s]\nauthorities = "ca.pem"\n[[s2s.domain]]\nname = "Bücher.EXAMPLE"\nblock = true'
        )
        s2s = self.load(f"{DOMAIN}{text}").s2s
        self.assertEqual(s2s.domain, (RemoteDomainSettings(name="bücher.example", block=True),))
        self.assertEqual(s2s.authorities, str(self.directory.absolute() / "ca.pem"))

    def test_mistakes(self) -> None:
        """Each mistake earns its sentence."""
        for text, sentence in (
            ('name = "a..b"', 's2s.domain.name "a..b" is not a domain name'),
            (
                'name = "example.org"',
                's2s.domain.name "example.org" is a domain of this server; remove this table.',
            ),
            (
                'name = "a.lit"\n[[s2s.domain]]\nname = "A.lit"',
                "appears twice; remove one of the two tables.",
            ),
            ('name = "a.lit"\nport = 0', "s2s.domain.port is 0; choose a port"),
            (
                'name = "a.lit"\nstanzas_per_s = 0.0',
                "must be greater than zero; to allow nothing, set block",
            ),
            (
                'name = "a.lit"\nblocked = true',
                's2s.domain.blocked is not an option (did you mean "s2s.domain.block"?).',
            ),
            ("block = true", "s2s.domain[1] has no name; add it."),
        ):
            with self.subTest(text):
                refusal = self.refusal(f"{DOMAIN}[[s2s.domain]]\n{text}\n")
                self.assertIn(sentence, refusal)

    def test_door_to_nowhere(self) -> None:
        """A listener for other servers, where there are none, is a contradiction."""
        text = '[[listen]]\nendpoint = "tcp:0"\nkind = "server"\ntls = "none"\n'
        self.assertIn("s2s.enabled is false", self.refusal(f"{DOMAIN}{text}[s2s]\nenabled = false"))


class AnyFileTests(FileCase):
    """Whatever is in the file, the answer is a configuration or a sentence."""

    values = st.sampled_from(
        ("''", "'x'", "0", "-1", "1.5", "true", "[]", "[0]", "['x']", "{}", "{a=1}")
    )
    keys = st.sampled_from(("name", "endpoint", "tls", "level", "load", "max_depth", "levels", "x"))
    sections = st.sampled_from((*(field.name for field in fields(Config)), "log.levels", "x"))

    def assert_answered(self, text: str) -> None:
        try:
            self.load(text)
        except ConfigError as error:
            self.assertRegex(str(error), f"^{self.path}:([0-9]+:)? ")

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text at all."""
        self.assert_answered(text)

    @given(keys, values)
    def test_any_top(self, key: str, value: str) -> None:
        """Any value for any key outside the tables."""
        self.assert_answered(f"{key} = {value}\n{DOMAIN}")

    @given(sections, keys, values, st.booleans())
    def test_any_table(self, section: str, key: str, value: str, several: bool) -> None:
        """Any value for any key in any table, or array of tables."""
        head = f"[[{section}]]" if several else f"[{section}]"
        self.assert_answered(f"{head}\n{key} = {value}\n{DOMAIN if section != 'domain' else ''}")

    @given(sections, values)
    def test_any_section(self, section: str, value: str) -> None:
        """Any value where a table belongs."""
        self.assert_answered(f"{section} = {value}\n")


UNITS = {
    "_s": r"second|so many|one\.$|how long that is|up to",
    "_per_s": "a second",
    "_bytes": "byte",
    "_per_hour": "hour",
}


class ReferenceTests(SynchronousTestCase):
    """etc/xmppd.toml, the administrator's manual."""

    samples = frozenset({"domain", "listen"})
    in_comments = frozenset(
        {"component", "role", "plugins.load", "plugin_tables", "cluster.secret"}
    )

    def setUp(self) -> None:
        self.text = REFERENCE.read_text(encoding="utf-8")
        self.table = tomllib.loads(self.text)

    def test_every_option_at_its_default(self) -> None:
        """The file has every option there is, no other, and each at its real default."""
        self.assert_same(Config(), self.table, "")

    def assert_same(self, section: Struct, table: dict[str, object], where: str) -> None:
        options = {
            key: value
            for key, value in asdict(section).items()
            if where + key not in self.in_comments
        }
        self.assertEqual(list(options), sorted(table, key=list(options).index))
        for key, default in options.items():
            documented = table[key]
            with self.subTest(where + key):
                if isinstance(default, Struct):
                    assert isinstance(documented, dict)
                    self.assert_same(default, documented, f"{key}.")
                elif not where and key in self.samples:
                    self.assert_sample(key, documented)
                elif isinstance(default, tuple):
                    self.assertEqual(list(default), documented)
                else:
                    self.assertEqual((type(default), default), (type(documented), documented))

    def assert_sample(self, key: str, documented: object) -> None:
        kinds: dict[str, type[Section]] = {
            "domain": DomainSettings,
            "listen": ListenSettings,
            "component": ComponentSettings,
        }
        kind = kinds[key]
        assert isinstance(documented, list)
        sample: dict[str, object] = documented[0]
        self.assertEqual([field.name for field in fields(kind)], list(sample))
        for field in fields(kind):
            if not field.required:
                found = sample[field.name]
                self.assertEqual(field.default, tuple(found) if isinstance(found, list) else found)

    def test_component(self) -> None:
        """What a component may be given stands there too, in comments: there is none by default."""
        text = self.commented("# [[component]]")
        self.assert_sample("component", tomllib.loads(text)["component"])
        self.assert_explained(text)

    def test_role(self) -> None:
        """So does a role, with an example of what it may do."""
        text = self.commented("# [[role]]")
        (sample,) = tomllib.loads(text)["role"]
        self.assertEqual([field.name for field in fields(RoleSettings)], list(sample))
        self.assertLessEqual(set(sample["scopes"]), set(SCOPES))
        self.assert_explained(text)

    def commented(self, head: str) -> str:
        """The example in comments that begins like this."""
        _, found, rest = self.text.partition(f"{head}\n")
        lines = (found + rest.partition("\n\n")[0]).splitlines()
        return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)

    def test_every_option_is_explained(self) -> None:
        """Above each option stands what it means."""
        self.assert_explained(self.text)

    def test_default_plugins(self) -> None:
        """Which plugins are loaded by default stands in one place: the file sends there."""
        above = self.text.partition('load = ["disco"')[0].splitlines()[-3:]
        self.assertIn("`xmppctl plugin list` shows", " ".join(above))

    def test_units(self) -> None:
        """What is said of an option names the unit that its name ends in."""
        said = ""
        for line in self.text.splitlines():
            key, equals, _ = line.partition(" = ")
            if line.startswith("#"):
                said += line
            elif equals:
                for unit, words in UNITS.items():
                    if key.endswith(unit):
                        self.assertRegex(said, f"(?i){words}", f"no unit is named for {key}")
                said = ""
            else:
                said = ""

    def assert_explained(self, text: str) -> None:
        above = ""
        for line in text.splitlines():
            if " = " in line and line[0].isalpha():
                self.assertTrue(above.startswith("# "), f"nothing explains {line}")
            above = line
