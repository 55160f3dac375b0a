"""Certificates between servers: whether one proves that its owner is a domain
(:rfc:`6120#section-13.7.2`).

The chain is checked by cryptography's verifier: OpenSSL's has one purpose for clients and one for
servers, and public authorities no longer sign for both. Between servers either will do.
"""

import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from xmppd.net.certificate import (
    CertifiedAddresses,
    ascii_domain,
    xmpp_addresses,
)
from xmppd.stanza.jid import prepare_domain

MAX_CHAIN_LENGTH = 8
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_SERVICE = "_xmpp-server."
_USABLE = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }
)


def _is_authority(
    policy: Policy, certificate: x509.Certificate, says: x509.BasicConstraints
) -> None:
    if not says.ca:
        raise ValueError("the certificate that signed it is not an authority's")


def _may_sign(policy: Policy, certificate: x509.Certificate, uses: x509.KeyUsage | None) -> None:
    if uses is not None and not uses.key_cert_sign:
        raise ValueError("the key that signed it may not sign certificates")


# An authority of one's own, such as OpenSSL's command line makes, need not say what its key is for.
_OF_AUTHORITIES = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
)
_OF_SERVERS = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


@dataclass(frozen=True)
class Proof:
    """The names that a chain of certificates proves.

    Attributes:
        flaw: The reason why it proves nothing; empty if a trusted authority has signed it, and it
            is valid now.
        names: Those of its owner.
    """

    flaw: str
    names: CertifiedAddresses = field(default_factory=lambda: CertifiedAddresses((), ()))

    def flaw_for(self, domain: str) -> str:
        """The reason why it does not prove that its owner is this domain; empty if it does."""
        if self.flaw:
            return self.flaw
        return "" if is_for(self.names, domain) else "the certificate is for other names"


class Trust:
    """The authorities whose signatures count.

    Args:
        authorities: Their certificates; those of this machine if None.
        wall_clock: Seconds since 1970.
    """

    def __init__(
        self, authorities: Sequence[x509.Certificate] | None, wall_clock: Callable[[], float]
    ) -> None:
        self._wall_clock = wall_clock
        self.use(authorities)

    def use(self, authorities: Sequence[x509.Certificate] | None) -> None:
        """Take other authorities."""
        self._roots = None if authorities is None else list(authorities)

    def proof(self, chain: Sequence[x509.Certificate]) -> Proof:
        """The proof in these certificates, of which the first is the peer's own."""
        if not chain:
            return Proof("the other server sent no certificate")
        leaf, *above = chain[:MAX_CHAIN_LENGTH]
        if self._roots is None:
            self._roots = _of_this_machine()
        flaw = self._flaw(leaf, above, self._roots)
        return Proof(flaw) if flaw else Proof("", xmpp_addresses(leaf))

    def _flaw(
        self,
        leaf: x509.Certificate,
        above: list[x509.Certificate],
        roots: list[x509.Certificate],
    ) -> str:
        if not roots:
            return "no authority is trusted"
        builder = (
            PolicyBuilder()
            .store(Store(roots))
            .time(datetime.fromtimestamp(self._wall_clock(), UTC))
            .extension_policies(ca_policy=_OF_AUTHORITIES, ee_policy=_OF_SERVERS)
        )
        try:
            try:
                builder.build_client_verifier().verify(leaf, above)
            except VerificationError:
                # An authority may be appointed for servers only; then any name will do here.
                some_host = x509.DNSName(_some_host(leaf))
                builder.build_server_verifier(some_host).verify(leaf, above)
        except VerificationError as error:
            return f"the certificate is invalid: {_first_line(error)}"
        except ValueError as error:
            return f"the certificate is malformed: {_first_line(error)}"
        return "" if _may_speak(leaf) else "the certificate is for other uses"


def is_for(names: CertifiedAddresses, domain: str) -> bool:
    """Whether one of the names is the domain: an xmppAddr, an SRV-ID, a DNS-ID."""
    if domain in map(_prepared, names.xmpp_addresses):
        return True
    try:
        host = ascii_domain(domain)
    except ValueError:
        return False
    if f"{_SERVICE}{host}" in map(str.lower, names.srv_names):
        return True
    parent = host.partition(".")[2]
    wanted = {host, f"*.{parent}"} if "." in parent else {host}
    return not wanted.isdisjoint(map(str.lower, names.dns_names))


def _some_host(leaf: x509.Certificate) -> str:
    """A host that the certificate names; one that nobody has, if it names none."""
    names = xmpp_addresses(leaf).dns_names
    return names[0].replace("*", "any", 1) if names else "names.invalid"


def _prepared(address: str) -> str:
    try:
        return prepare_domain(address)
    except ValueError:
        return ""


def _may_speak(leaf: x509.Certificate) -> bool:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _USABLE.isdisjoint(uses)


def _first_line(error: Exception) -> str:
    """The first line of an error, without names that a peer has put into its certificate."""
    return str(error).partition(" (encountered processing")[0].partition("\n")[0][:200]


def _of_this_machine() -> list[x509.Certificate]:
    """The authorities that the distribution trusts; none if it has no list of them. One whose
    certificate cannot be read is left out.
    """
    paths = ssl.get_default_verify_paths()
    file = Path(paths.cafile or paths.openssl_cafile)
    found = []
    for written in _PEM.findall(file.read_bytes()) if file.is_file() else ():
        with suppress(ValueError):
            found.append(x509.load_pem_x509_certificate(written))
    return found
