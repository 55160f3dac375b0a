"""Certificates that have expired."""

from pathlib import Path

from xmppd.command.refused import Refused
from xmppd.net.certificate import Identity, load_authorities
from xmppd.net.tls import TLS
from xmppd.stanza import Condition

EXPIRED = ".expired.crt"
"""The end of the name of a file beside a domain's certificate: one with the same key."""


class WrongCertificates:
    """Has domains show certificates that a client must refuse.

    Args:
        tls: Shows them; None without TLS.
    """

    def __init__(self, tls: TLS | None) -> None:
        self._tls = tls
        self._domains: set[str] = set()

    def show_expired(self, domain: str) -> None:
        """Show the one that has expired, from the next handshake on.

        Raises:
            Refused: There is none.
        """
        found = None if self._tls is None else self._tls.identity(domain)
        if self._tls is None or found is None:
            raise Refused(f"{domain} has no certificate", Condition.ITEM_NOT_FOUND)
        files, present = found
        self._tls.show_identity(domain, expired(files.chain_file.with_suffix(EXPIRED), present))
        self._domains.add(domain)

    def show_right(self) -> None:
        """Show those again that are in the files."""
        for domain in self._domains:
            assert self._tls is not None, "it has shown others"
            self._tls.renew(domain)
        self._domains.clear()


def expired(file: Path, present: Identity) -> Identity:
    """The certificate of a file, with the key of the present one.

    Raises:
        Refused: It cannot be read.
    """
    try:
        return Identity(load_authorities(file)[0], present.intermediates, present.key)
    except ValueError as error:
        raise Refused(
            f"no expired certificate could be made ({error})", Condition.ITEM_NOT_FOUND
        ) from error
