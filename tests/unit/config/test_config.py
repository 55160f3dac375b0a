"""The configuration while the server runs: what a change of it does, and when."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.changes import changed, merged
from xmppd.config.config import (
    Config,
    DomainSettings,
    ListenSettings,
    OfflineSettings,
    StreamSettings,
    name_server,
)


class NameServerTests(SynchronousTestCase):
    def test_written(self) -> None:
        """A name server is an IP address, with its port or without."""
        for text, address in (
            ("192.0.2.1", ("192.0.2.1", 53)),
            ("192.0.2.1:5353", ("192.0.2.1", 5353)),
            ("2001:db8::1", ("2001:db8::1", 53)),
            ("[2001:db8::1]", ("2001:db8::1", 53)),
            ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ):
            with self.subTest(text):
                self.assertEqual(name_server(text), address)

    def test_none(self) -> None:
        """A name is none, and neither is a port that no port has."""
        for text in ("dns.example.org", "192.0.2.1:0", "192.0.2.1:65536", "", "[::1]:x"):
            with self.subTest(text):
                self.assertRaises(ValueError, name_server, text)


class ChangedTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """A file that says the same changes nothing."""
        self.assertEqual(changed(Config(), Config()), ([], []))

    def test_now_and_later(self) -> None:
        """Limits apply at once; addresses and storage need a restart."""
        new = Config(
            data="elsewhere",
            listen=(ListenSettings(endpoint="tcp:0"),),
            stream=StreamSettings(max_depth=9),
            offline=OfflineSettings(max_messages=9),
        )
        self.assertEqual(
            changed(Config(), new),
            (["offline.max_messages", "stream.max_depth"], ["data", "listen"]),
        )

    def test_certificates(self) -> None:
        """A new certificate applies at once; a new domain does not."""
        domain = DomainSettings(name="example.org", certificate="old.pem", key="old.key")
        old = Config(domain=(domain,))
        renewed = Config(domain=(replace(domain, certificate="new.pem", key="new.key"),))
        self.assertEqual(changed(old, renewed), (["domain.certificate", "domain.key"], []))
        more = Config(domain=(domain, DomainSettings(name="example.net")))
        self.assertEqual(changed(old, more)[1], ["domain.name"])

    def test_login(self) -> None:
        """Limits on guessing apply at once; the choice of mechanisms does not."""
        old = Config()
        new = replace(old, auth=replace(old.auth, mechanisms=("PLAIN",), lockout_s=1.0))
        self.assertEqual(changed(old, new), (["auth.lockout_s"], ["auth.mechanisms"]))

    def test_queues(self) -> None:
        """What a port keeps from when it was opened needs a restart."""
        new = Config(stream=StreamSettings(max_queued_bytes=9))
        self.assertEqual(changed(Config(), new), ([], ["stream.max_queued_bytes"]))

    def test_tables_of_plugins(self) -> None:
        """What the tables of plugins say applies at once, and so does what they no longer say."""
        old = Config(plugin_tables={"guestbook": {"max": 3, "size": 9}})
        new = Config(plugin_tables={"guestbook": {"max": 4}})
        self.assertEqual(changed(old, new), (["guestbook.max", "guestbook.size"], []))
        self.assertEqual(merged(old, new), new)

    def test_merged(self) -> None:
        """After a reload the server has the new values of what applies at once, and no others."""
        domain = DomainSettings(name="example.org", certificate="old.pem")
        old = Config(domain=(domain,))
        renewed = replace(domain, certificate="new.pem")
        new = Config(
            data="elsewhere",
            domain=(renewed, DomainSettings(name="example.net")),
            stream=StreamSettings(max_depth=9, max_queued_bytes=9),
            auth=replace(old.auth, mechanisms=("PLAIN",), lockout_s=1.0),
        )
        result = merged(old, new)
        self.assertEqual(result.domain, (renewed,))
        self.assertEqual(result.stream, StreamSettings(max_depth=9))
        self.assertEqual(result.auth, replace(old.auth, lockout_s=1.0))
        self.assertEqual(result.data, old.data)
        self.assertEqual(changed(old, result)[1], [])
