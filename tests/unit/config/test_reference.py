"""The reference of the configuration."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import ComponentSettings, Config, StorageSettings
from xmppd.config.reference import HIDDEN, Option, in_toml, options, without_secrets


class ReferenceTests(SynchronousTestCase):
    def test_all(self) -> None:
        """Every option there is has a kind, a default if it may be left out, and words."""
        found = {option.name: option for option in options()}
        self.assertEqual([option.name for option in found.values() if not option.help], [])
        self.assertEqual(len(found), len(options()))
        self.assertEqual(
            found["stream.max_depth"],
            Option(
                "stream.max_depth", "integer", "64", False,
                "How deeply elements in a stanza may be nested.",
            ),
        )  # fmt: skip
        self.assertEqual(found["tls.minimum_version"].kind, '"1.2" or "1.3"')
        self.assertTrue(found["tls.minimum_version"].restart)
        self.assertEqual(found["admins"].kind, "array of string")
        self.assertEqual(found["domain.name"].default, "")
        self.assertIn("The accounts that have this role", found["role.accounts"].help)
        self.assertIn("fast and for Linux only", found["listen.endpoint"].help)
        self.assertIn("after the @", found["s2s.domain.name"].help)

    def test_toml(self) -> None:
        """Values are written as the file has them."""
        for value, text in (
            (True, "true"), (3, "3"), (1.5, "1.5"), ('a "b"', '"a \\"b\\""'), ((1, 2), "[1, 2]"),
            ({"a": ("x",)}, '{a = ["x"]}'),
        ):  # fmt: skip
            self.assertEqual(in_toml(value), text)

    def test_secrets(self) -> None:
        """Secrets are hidden, wherever they stand; what only looks like one is not."""
        config = Config(
            component=(ComponentSettings(name="gateway.lit", secret="rosebud"),),
            storage=StorageSettings(url="postgresql://xmppd:rosebud@db/xmppd"),
            plugin_tables={"share": {"token": "rosebud", "list": [{"api_password": "rosebud"}]}},
        )
        shown = str(without_secrets("", config))
        self.assertNotIn("rosebud", shown)
        self.assertIn(f"postgresql://{HIDDEN}@db/xmppd", shown)
        self.assertEqual(without_secrets("component.secret_file", "/etc/s"), "/etc/s")
        self.assertEqual(without_secrets("component.secret", ""), "")
