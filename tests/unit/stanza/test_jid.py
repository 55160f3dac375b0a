"""Addresses: what they cost, at most, whoever makes them up."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, jid


class LimitTests(SynchronousTestCase):
    """A peer may name any address."""

    def test_few_bytes_are_kept(self) -> None:
        """Many long addresses take no more room than many short ones: all are forgotten in time."""
        self.patch(jid, "MAX_INTERNED_BYTES", 1 << 20)
        self.patch(jid, "_interned", jid._Interned())
        JID.parse("romeo@montague.lit")
        most = 0
        for number in range(1_000):
            JID.parse(f"romeo@montague.lit/{number}" + "\N{ROSE}" * 250)
            most = max(most, len(jid._interned))
        self.assertLess(most, 100)
        self.assertNotIn("romeo@montague.lit", jid._interned)

    def test_as_long_as_in_dns(self) -> None:
        """A domain that no name in DNS can be is refused before its labels are prepared."""
        label = "é" * 58  # "xn--", and one letter or more for each of these
        for text in (".".join(["é"] * 300), ".".join([label] * 5), "a." * 127 + "b"):
            with self.assertRaisesRegex(ValueError, "longer than a name in DNS"):
                JID.parse(text)
        self.assertEqual(JID.parse("a." * 126 + "b").domain, "a." * 126 + "b")
        self.assertEqual(JID.parse("É.example").domain, "é.example")

    def test_scope(self) -> None:
        """An IPv6 address brings no text of its own into addresses and logs."""
        self.assertEqual(JID.parse("[FE80::1]").domain, "[fe80::1]")
        for text in ("[fe80::1%eth0]", "[fe80::1%<'\n2026 info: all is well>]"):
            with self.assertRaisesRegex(ValueError, "scope"):
                JID.parse(text)
