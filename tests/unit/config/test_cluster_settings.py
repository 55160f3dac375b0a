"""The table ``[cluster]``: what it may say, and what is said to those who make a mistake."""

from socket import gethostname

from tests.unit.config.test_config_file import DOMAIN, FileCase
from xmppd.config.config import ClusterSettings, host_and_port
from xmppd.config.redis_url import RedisURL

SECRET = "0123456789abcdef" * 2
NODE = '[cluster]\nredis = ["redis://127.0.0.1"]\nsecret_file = "secret"\n'
DOOR = '[[listen]]\nendpoint = "tcp:0"\nkind = "node"\ntls = "direct"\n'


class ClusterCase(FileCase):
    """A configuration file with a secret beside it."""

    def setUp(self) -> None:
        super().setUp()
        self.secret = self.directory / "secret"
        self.secret.write_text(f"{SECRET}\n", encoding="utf-8")
        self.secret.chmod(0o600)


class ClusterTests(ClusterCase):
    def test_alone(self) -> None:
        """Without the table a server is alone, and needs no secret."""
        config = self.load(DOMAIN)
        self.assertEqual(config.cluster, ClusterSettings())
        self.assertFalse(config.cluster.enabled)

    def test_node(self) -> None:
        """A Redis and a secret are enough; the node is called as its machine is."""
        config = self.load(DOMAIN + NODE + 'authorities = "ca.pem"\n')
        settings = config.cluster
        self.assertTrue(settings.enabled)
        self.assertEqual(settings.node, gethostname())
        self.assertEqual(settings.secret, SECRET.encode())
        self.assertEqual(settings.secret_file, str(self.secret))
        self.assertEqual(settings.authorities, str(self.directory / "ca.pem"))
        self.assertEqual(config.links, "redis")

    def test_links(self) -> None:
        """Nodes have connections of their own where there is a listener and an address for them,
        unless the file says otherwise.
        """
        both = DOOR + NODE + 'address = "10.0.0.5:5280"\n'
        self.assertEqual(self.load(DOMAIN + both).links, "direct")
        self.assertEqual(self.load(DOMAIN + both + 'links = "redis"\n').links, "redis")
        self.assertEqual(self.load(DOMAIN + DOOR + NODE + 'links = "redis"\n').links, "redis")

    def test_urls(self) -> None:
        """A URL may name user, password, port and database; none of the secrets is shown."""
        full = RedisURL.parse("rediss://xmppd:p%40ss%2F@[2001:db8::1]:6380/2")
        self.assertEqual(full, RedisURL("2001:db8::1", 6380, "xmppd", "p@ss/", 2, tls=True))
        self.assertEqual(str(full), "rediss://[2001:db8::1]:6380/2")
        self.assertNotIn("p@ss", repr(full))
        self.assertEqual(RedisURL.parse("redis://db"), RedisURL("db", 6379))
        self.assertEqual(RedisURL.parse("redis://Master:1"), RedisURL("Master", 1))
        text = 'sentinels = ["redis://10.0.0.9", "redis://10.0.0.8:1"]\n'
        settings = self.load(DOMAIN + NODE + text).cluster
        self.assertEqual([url.port for url in settings.sentinel_urls], [26_379, 1])
        self.assertEqual(settings.redis_urls, (RedisURL("127.0.0.1", 6379),))

    def test_sockets(self) -> None:
        """A Redis on this machine may be reached by its socket."""
        url = RedisURL.parse("unix://xmppd:p%40ss@/run/redis/re%20dis.sock")
        self.assertEqual(url, RedisURL("", 0, "xmppd", "p@ss", path="/run/redis/re dis.sock"))
        self.assertEqual(str(url), "unix:///run/redis/re dis.sock")
        for text in ("unix://host/path", "unix://", "unix:///path?db=1", f"unix:///{'x' * 107}"):
            with self.subTest(text):
                self.assertRaises(ValueError, RedisURL.parse, text)

    def test_addresses(self) -> None:
        """An address is a host and its port."""
        for text, address in (
            ("10.0.0.5:5280", ("10.0.0.5", 5280)),
            ("[2001:db8::1]:1", ("2001:db8::1", 1)),
            ("a.example.org:5222", ("a.example.org", 5222)),
        ):
            self.assertEqual(host_and_port(text), address)
        for text in ("", ":1", "a", "a:b", "a:70000", "a b:1", "x@a:1", "a:1/b"):
            with self.subTest(text):
                self.assertRaises(ValueError, host_and_port, text)


class ClusterMistakeTests(ClusterCase):
    """Each mistake, and the sentence it earns."""

    def test_sentences(self) -> None:
        """What cannot work, or contradicts something else, is refused before anything starts."""
        address = 'address = "10.0.0.5:5280"\n'
        for text, sentence in (
            (
                '[cluster]\nnode = "a"',
                "cluster.redis is empty, so this server would have no other nodes;",
            ),
            (DOOR, 'listen.endpoint "tcp:0" is for nodes, but this server is not a node;'),
            (NODE + DOOR, "cluster.address is empty,"),
            (NODE + address, "cluster.address is set, but there is no listener for nodes;"),
            (
                NODE + 'links = "direct"',
                'cluster.links is "direct", but there is no listener for nodes',
            ),
            (NODE + 'links = "direct"\n' + DOOR, "cluster.address is empty,"),
            (NODE + address + DOOR.replace("direct", "starttls"), "which cannot use STARTTLS;"),
            (NODE + 'address = "here"', 'cluster.address "here" is not a valid address; write it'),
            (
                NODE + 'client_address = "a:b"',
                'cluster.client_address "a:b" is not a valid address;',
            ),
            (
                NODE + 'links = "udp"',
                'cluster.links cannot be \'udp\'; use one of "auto", "redis",',
            ),
            (NODE + 'name = "a b"', 'cluster.name "a b" is not a valid name;'),
            (NODE + 'node = "{}"', 'cluster.node "{}" is not a valid name;'),
            (NODE + f'node = "{"n" * 64}"', "use letters, digits and hyphens."),
            (NODE + "lease_s = 1.9", "cluster.lease_s is 1.9; it must be from 2 s to 60 s."),
            (NODE + "lease_s = 61.0", "cluster.lease_s is 61; it must be from 2 s to 60 s."),
            (NODE + "grace_s = 4.0", "cluster.grace_s is 4, less than cluster.lease_s;"),
            (
                NODE + "drain_s = 3601.0",
                "cluster.drain_s is 3601; it must be at most 3600 seconds.",
            ),
            (
                NODE + "window_bytes = 1000",
                "cluster.window_bytes is 1000; it must be from 1048576 to",
            ),
            (
                NODE + "window_entries = 99",
                "cluster.window_entries is 99; it must be from 100 to 50000.",
            ),
            (
                NODE + 'secret = "x"',
                'cluster.secret is not an option (did you mean "cluster.secret_file"?)',
            ),
            (
                NODE.partition("secret")[0],
                "cluster.secret_file is missing; create a file with `openssl",
            ),
        ):
            with self.subTest(text):
                self.assertIn(sentence, self.refusal(DOMAIN + text))

    def test_urls(self) -> None:
        """What is no URL of a Redis is refused, and its password is not shown."""
        for url, why in (
            ("db:6379", "begins with redis://, rediss:// or unix://"),
            ("http://user:hidden@db", "begins with redis://, rediss:// or unix://"),
            ("redis://", "the URL has no host"),
            ("redis://db/x", "only a database number may follow"),
            ("redis://db/0?x=1", "nothing may follow"),
            ("redis://user:hidden/@db", "the port is not a number; in a password write / as %2F"),
        ):
            for key in ("redis", "sentinels"):
                with self.subTest(url, key=key):
                    text = NODE if key == "sentinels" else NODE.replace("redis://127.0.0.1", url)
                    more = f'sentinels = ["{url}"]\n' if key == "sentinels" else ""
                    refusal = self.refusal(DOMAIN + text + more)
                    self.assertIn(f"cluster.{key} has an invalid URL", refusal)
                    self.assertIn(why, refusal)
                    self.assertNotIn("hidden", refusal)
        twice = NODE.replace('"redis://127.0.0.1"', '"redis://a", "redis://a"')
        self.assertIn("cluster.redis names the same Redis twice;", self.refusal(DOMAIN + twice))

    def test_secret(self) -> None:
        """The secret is long enough, and nobody else can read or write it."""
        for mode, words in ((0o604, "others may read "), (0o602, "others may write ")):
            self.secret.chmod(mode)
            self.assertIn(words, self.refusal(DOMAIN + NODE))
        self.secret.chmod(0o600)
        for content in ("", "x" * 31, f"{'x' * 31}\n\n", "x" * 1025):
            self.secret.write_text(content, encoding="utf-8")
            self.assertIn("must have 32 to 1024 bytes;", self.refusal(DOMAIN + NODE))
        self.secret.unlink()
        self.assertIn("cannot be read (No such file or directory);", self.refusal(DOMAIN + NODE))
