"""Where strangers may have us connect to."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd.resolve import public_address
from xmppd.resolve.public_address import flaw_of, is_own, is_public

PUBLIC = ("1.1.1.1", "8.8.8.8", "193.0.6.139", "2606:4700::1", "2a00:1450:4001::5")
PRIVATE = {
    "this machine": ("127.0.0.1", "127.255.255.254", "::1"),
    "a network of one's own": ("10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.1.1", "fd00::1"),
    "this network": ("0.0.0.0", "0.1.2.3", "::"),
    "the cable": ("169.254.169.254", "fe80::1", "fe80::1%eth0"),
    "a provider's NAT": ("100.64.0.1", "100.127.255.255"),
    "many machines": ("224.0.0.1", "233.252.0.1", "239.1.1.1", "ff02::1", "ff0e::1"),
    "everybody": ("255.255.255.255",),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    "measurements": ("198.18.0.1", "2001:2::1"),
    "nothing yet": ("240.0.0.1", "4000::1", "64:ff9b:1::1", "100::1", "5f00::1"),
    "relays": ("192.88.99.1",),
    "sites": ("fec0::1",),
    "tunnels": ("2001::7f00:1",),
    "an IPv4 address in IPv6": (
        "::ffff:127.0.0.7",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::192.168.0.1",
        "2002:7f00:1::1",
        "2002:a00:1::",
    ),
}


class PublicTests(SynchronousTestCase):
    def test_public(self) -> None:
        """Addresses that are the same for everybody are public, also behind NAT64 and 6to4."""
        for address in (*PUBLIC, "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"):
            with self.subTest(address):
                self.assertTrue(is_public(address))

    def test_private(self) -> None:
        """All others are not."""
        for meaning, addresses in PRIVATE.items():
            for address in addresses:
                with self.subTest(address, meaning=meaning):
                    self.assertFalse(is_public(address))
                    self.assertEqual(flaw_of(address), "not a public address")

    @given(st.ip_addresses(v=4).map(str))
    def test_mapped(self, address: str) -> None:
        """However an IPv4 address is written in IPv6, it is as public as it is."""
        value = int(IPv4Address(address))
        for prefix in (0xFFFF << 32, 0, 0x64FF9B << 96, 0x2002 << 112):
            shift = 80 if prefix >> 112 == 0x2002 else 0
            inside = IPv6Address(prefix | value << shift)
            if inside not in (IPv6Address("::"), IPv6Address("::1")):
                self.assertEqual(is_public(str(inside)), is_public(address), inside)


class OwnTests(SynchronousTestCase):
    def test_own(self) -> None:
        """What this machine is called is known without a list."""
        self.assertTrue(is_own("127.0.0.1"))
        self.assertFalse(is_own("8.8.8.8"))
        self.assertFalse(is_own("2606:4700::1"))

    def test_public_and_own(self) -> None:
        """A public address of this machine is refused as well."""
        self.patch(public_address, "is_public", bool)
        self.assertEqual(flaw_of("127.0.0.1"), "this machine itself")
        self.assertEqual(flaw_of("8.8.8.8"), "")
