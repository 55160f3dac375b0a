"""Public addresses: the only ones to which a peer can make us connect.

The sender of a stanza to ``x@example.net`` chooses where this server connects to, and so does the
owner of a name in DNS. Neither may reach through us an address that they cannot reach themselves.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_DOCUMENTATION = IPv6Network("3fff::/20")
_RELAYS = IPv4Network("192.88.99.0/24")
_ANY_PORT = 9


def flaw_of(address: str) -> str:
    """The reason why a peer cannot make us connect there; empty if it can.

    Args:
        address: An IP address.
    """
    if not is_public(address):
        return "not a public address"
    return "this machine itself" if is_own(address) else ""


def is_public(text: str) -> bool:
    """Whether an address is that of one machine, the same from everywhere.

    An address of IPv6 that stands for one of IPv4 (mapped, NAT64 or 6to4) is judged as that one.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is None:
            return (
                address in _GLOBAL_UNICAST and address.is_global and address not in _DOCUMENTATION
            )
        address = inner
    return address.is_global and not address.is_multicast and address not in _RELAYS


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that one of IPv6 stands for, if it does."""
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def is_own(text: str) -> bool:
    """Whether this machine has the address: then it is also the local address of a socket connected
    to it.

    Nothing is sent.
    """
    address = ip_address(text)
    with socket(AF_INET if address.version == 4 else AF_INET6, SOCK_DGRAM) as way:
        try:
            way.connect((text, _ANY_PORT))
        except OSError:
            return False
        return ip_address(way.getsockname()[0]) == address


__all__ = ["flaw_of", "is_own", "is_public"]
