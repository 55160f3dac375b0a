"""CertificateEnds: our certificates that end soon, or have ended."""

from dataclasses import dataclass
from datetime import UTC, datetime

from twisted.logger import Logger

from xmppd.host.clocks import Clocks
from xmppd.net.certificate import xmpp_addresses
from xmppd.net.tls import TLS
from xmppd.stanza.phrases import counted

SOON_S = 21 * 86_400.0
"""The log has a line a day for a certificate that ends within this time."""

TOLD_EACH_S = 86_400.0

_log = Logger()


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """The end of a domain's certificate.

    Attributes:
        domain: That shows it.
        names: The hosts for which it is.
        left_s: The seconds until then; negative if it has ended.
        day: That of its end, such as ``2026-12-21``.
    """

    domain: str
    names: tuple[str, ...]
    left_s: float
    day: str

    @property
    def says(self) -> str:
        """The end in a sentence."""
        names = ", ".join(self.names) or "no host"
        when = f"expired on {self.day}"
        if self.left_s > 0:
            when = f"expires in {counted(round(self.left_s / 86_400), 'day')}, on {self.day}"
        return (
            f"the certificate of {self.domain} (for {names}) {when}: renew it, then run xmppctl "
            "reload"
        )


class CertificateEnds:
    """The certificates of our domains, by the time that they are still good.

    Args:
        tls: Has them; None if there are none.
        domains: All that are served.
        clocks: Tell the time of day, by which certificates end.
    """

    def __init__(self, tls: TLS | None, domains: tuple[str, ...], clocks: Clocks) -> None:
        self._tls = tls
        self._domains = domains
        self._clocks = clocks
        self._next = clocks.seconds()

    def soon(self) -> list[CertificateEnd]:
        """Those that end within :data:`SOON_S`."""
        now, found = self._clocks.wall_clock(), list[CertificateEnd]()
        for domain in self._domains:
            ends = None if self._tls is None else self._tls.expires(domain)
            if ends is not None and ends - now < SOON_S:
                day = datetime.fromtimestamp(ends, UTC).date().isoformat()
                found.append(CertificateEnd(domain, self._names(domain), ends - now, day))
        return found

    def _names(self, domain: str) -> tuple[str, ...]:
        shown = None if self._tls is None else self._tls.identity(domain)
        return () if shown is None else xmpp_addresses(shown[1].certificate).dns_names

    def look(self) -> None:
        """Log those that end soon, once a day."""
        now = self._clocks.seconds()
        if now >= self._next:
            self._next = now + TOLD_EACH_S
            for end in self.soon():
                _log.warn(
                    "the certificate of {domain} expires on {day}: renew it, then run xmppctl "
                    "reload",
                    domain=end.domain, day=end.day,
                )  # fmt: skip


__all__ = ["SOON_S", "TOLD_EACH_S", "CertificateEnd", "CertificateEnds"]
