"""The names that the certificate of a domain should have."""

from collections.abc import Iterable, Sequence

from xmppd.net.certificate import ascii_domain


def names_of(
    domain: str, domains: Sequence[str], others: Iterable[str], leave_out: Iterable[str]
) -> list[str]:
    """The names for the certificate of a domain, as certificates spell them; itself is the first.

    Args:
        domain: The domain.
        domains: All that are served.
        others: Services, and the host of the web; each goes with the domain that it is below, or
            with the first one.
        leave_out: Names that no certificate is wanted for.
    """
    theirs = sorted(
        {other for other in others if other not in domains and _home(other, domains) == domain}
    )
    left_out = {ascii_domain(name) for name in leave_out}
    names = [ascii_domain(name) for name in (domain, *theirs)]
    return [names[0], *(name for name in names[1:] if name not in left_out)]


def _home(name: str, domains: Sequence[str]) -> str:
    """The nearest domain above a name, or the first of all."""
    above = [domain for domain in domains if name.endswith(f".{domain}")]
    return max(above, key=len, default=domains[0])
