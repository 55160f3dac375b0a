"""The table ``[auth_ldap]``, and what is said of it."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from xmppd_plugins.auth_ldap.settings import AuthLDAPSettings, LDAPServer

GOOD: dict[str, Any] = {"servers": ("ldaps://directory.example",), "base": "ou=people,dc=example"}


class SettingTests(SynchronousTestCase):
    """AuthLDAPSettings."""

    def refused(self, **changed: Any) -> str:
        """Why a table is."""
        return str(self.assertRaises(ValueError, AuthLDAPSettings, **{**GOOD, **changed}))

    def test_servers(self) -> None:
        """A server has a host or a socket, and what else it has stands in keys of its own."""
        for url, kind, host, port, path in (
            ("ldaps://a.example", "ldaps", "a.example", 636, ""),
            ("ldap://a.example:1389", "ldap", "a.example", 1389, ""),
            ("ldap://[::1]", "ldap", "::1", 389, ""),
            ("ldapi://%2Frun%2Fslapd%2Fldapi", "ldapi", "", 0, "/run/slapd/ldapi"),
        ):
            with self.subTest(url):
                AuthLDAPSettings(**{**GOOD, "servers": (url,)})
                self.assertEqual(LDAPServer.of(url), LDAPServer(url, kind, host, port, path))
        self.assertIn("servers is empty", self.refused(servers=()))
        for url in ("a.example", "https://a.example", "ldap://", "ldap://a.example:x", "ldapi://"):
            with self.subTest(url):
                self.assertIn(f'servers has "{url}"', self.refused(servers=(url,)))
        self.assertIn(
            "use options such as base", self.refused(servers=("ldap://a.example/dc=example",))
        )

    def test_clear(self) -> None:
        """Passwords go by TLS, or stay on this machine."""
        for url in ("ldap://localhost", "ldap://127.0.0.1", "ldapi://%2Frun%2Fldapi"):
            AuthLDAPSettings(**{**GOOD, "servers": (url,)}, tls=False)
        self.assertIn("unencrypted", self.refused(servers=("ldap://a.example",), tls=False))

    def test_names_of_entries(self) -> None:
        """Entries are named whole."""
        for key in ("base", "bind_dn", "group_base"):
            with self.subTest(key):
                said = self.refused(**{key: "people", "secret_file": "/x" * (key == "bind_dn")})
                self.assertIn(f"{key} must be the name of an entry", said)
        self.assertIn("base must", self.refused(base=""))

    def test_files(self) -> None:
        """Files are named by absolute paths; a name and its password go together."""
        self.assertIn("absolute path", self.refused(authorities="ca.pem"))
        self.assertIn("go together", self.refused(bind_dn="cn=x"))
        self.assertIn("go together", self.refused(secret_file="/etc/secret"))


__all__ = ["SettingTests"]
