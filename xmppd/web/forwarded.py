"""Who asks, where proxies in front say so (HT-11)."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether an IP address is in one of these networks."""
    if not networks:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)


def asker(
    peer: str, header: Callable[[str], str], proxies: Sequence[Network]
) -> tuple[str, bool | None]:
    """The address of whoever asks, and whether their way is encrypted; None if nobody says.

    Args:
        peer: The address of the connection.
        header: The value of a header, several joined by commas.
        proxies: Those that are believed.
    """
    if not is_in(peer, proxies):
        return peer, None
    scheme = header("x-forwarded-proto").rpartition(",")[2].strip().lower()
    address = peer
    for text in reversed(header("x-forwarded-for").split(",")):
        try:
            address = str(ip_address(text.strip()))
        except ValueError:
            break
        if not is_in(address, proxies):
            break
    return address, scheme == "https" if scheme else None
