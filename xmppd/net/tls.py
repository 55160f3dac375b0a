"""TLS: contexts for our domains, and the facts of an established connection. The one place where
OpenSSL's contexts are made. A connection's own facts are read from any transport under TLS,
Twisted's or ours: both hand out OpenSSL's connection with ``getHandle()``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLContextFactory, ISystemHandle
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.net.certificate import (
    Identity,
    ascii_domain,
    load_identity,
    make_identity,
    read_file,
    xmpp_addresses,
)

Kind = Literal["client", "server", "http", "client or http"]

ALPN: dict[Kind, bytes] = {
    "client": b"xmpp-client",
    "server": b"xmpp-server",
    "http": b"http/1.1",
}
"""Protocol names of :xep:`0368`, and that of HTTP: there is no other version of it (HT-10)."""

CHALLENGE = b"acme-tls/1"
"""What an authority asks for that looks whether a name is ours (:rfc:`8737`)."""

_SPOKEN: dict[Kind, tuple[bytes, ...]] = {
    **{kind: (name,) for kind, name in ALPN.items()},
    "client or http": (ALPN["client"], ALPN["http"]),
}

_MINIMUM = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_OPTIONS = (
    SSL.OP_NO_SSLv3
    | SSL.OP_NO_TLSv1
    | SSL.OP_NO_TLSv1_1
    | SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_NO_TICKET
    | SSL.OP_CIPHER_SERVER_PREFERENCE
)
"""No tickets: a session is never resumed, so every connection shows its certificate anew."""

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What :rfc:`9325#section-4.2` recommends for TLS 1.2; TLS 1.3 has no bad ones."""

_INVALID_PURPOSE = 26
"""X509_V_ERR_INVALID_PURPOSE."""

_UNSPECIFIED = 1
"""X509_V_ERR_UNSPECIFIED: it was not verified."""

PROVISIONAL_DAYS = 30
"""The life of a certificate that stands for one which an authority has yet to sign."""

_verification_errors: WeakKeyDictionary[SSL.Connection, int] = WeakKeyDictionary()


@dataclass(frozen=True)
class PeerCertificate:
    """A certificate that a peer has shown.

    Attributes:
        certificate: Its private key is the peer's.
        verify_error: OpenSSL's X509_V_ERR, 0 for none.
    """

    certificate: x509.Certificate
    verify_error: int

    @property
    def verified(self) -> bool:
        """Whether a trusted authority has signed it, and it is valid now."""
        return self.verify_error == 0


class NoApplicationProtocol(SSL.Error):
    """An error that has OpenSSL refuse a peer whose protocols are not spoken here.

    Its arguments are as those of all errors of OpenSSL.

    Spec: :rfc:`7301#section-3.2`
    """

    def __init__(self) -> None:
        super().__init__([("SSL routines", "", "no application protocol")])


@implementer(IOpenSSLContextFactory)
class ContextFactory:
    """The context factory for ``startTLS``, of Twisted's transports and of ours; it stays over
    reloads.

    Args:
        kind: The kind of peer that connects.
        direct_tls: TLS begins with the first byte, so that ALPN alone says what is spoken.
        challenges: Contexts for an authority that looks for one of these names.
    """

    def __init__(
        self, kind: Kind, *, direct_tls: bool, challenges: Mapping[bytes, SSL.Context]
    ) -> None:
        self.kind = kind
        self.direct_tls = direct_tls
        self._challenges = challenges
        self._by_domain: dict[bytes, SSL.Context] = {}

    def getContext(self) -> SSL.Context:
        """The first domain's context; the client's SNI may choose another."""
        return next(iter(self._by_domain.values()))

    def use(self, contexts: dict[bytes, SSL.Context]) -> None:
        """Use other certificates from the next handshake on."""
        self._by_domain = contexts

    def choose_context(self, connection: SSL.Connection) -> None:
        """Choose a context when a client has named the domain it wants (:rfc:`6066#section-3`)."""
        context = self._by_domain.get((connection.get_servername() or b"").lower())
        if context is not None:
            connection.set_context(context)

    def choose_protocol(
        self, connection: SSL.Connection, offered: list[bytes]
    ) -> bytes | SSL._NoOverlappingProtocols:
        """Choose a protocol of those that a client has offered (:rfc:`7301`). Behind STARTTLS the
        protocol is clear, and another one no reason to fail.

        An authority that looks for a name of ours is shown what it looks for; under TLS 1.3, since
        OpenSSL has chosen the certificate before that under 1.2.

        Raises:
            NoApplicationProtocol: None of them is spoken here; the handshake ends with that alert.
        """
        for ours in _SPOKEN[self.kind]:
            if ours in offered:
                return ours
        if CHALLENGE in offered:
            context = self._challenges.get((connection.get_servername() or b"").lower())
            if context is not None:
                connection.set_context(context)
                return CHALLENGE
        if self.direct_tls:
            raise NoApplicationProtocol
        return SSL.NO_OVERLAPPING_PROTOCOLS


class TLS:
    """The contexts of all our domains, for each kind of listener.

    All files are read when it is made, and never again, so that those that were checked are used.

    Args:
        settings: Versions, ciphers, and the authorities for clients' certificates.
        domains: The first one that has a certificate answers clients that name none of them.
    """

    def __init__(self, settings: TLSSettings, domains: Sequence[DomainSettings]) -> None:
        """Read all files.

        Raises:
            ValueError: One sentence: which file or setting, what is wrong with it, what to do.
        """
        self._settings = settings
        self._identities = _identities(domains)
        self._client_authorities = _client_authorities(settings.client_ca)
        self._factories: dict[tuple[Kind, bool], ContextFactory] = {}
        self._challenges: dict[bytes, SSL.Context] = {}

    def identity(self, domain: str) -> tuple[DomainSettings, Identity] | None:
        """The certificate of a domain, with its files; None if it has none. A service below a
        domain has the one that names it.
        """
        return self._identities.get(ascii_domain(domain).encode("ascii"))

    def renew(self, domain: str) -> None:
        """Read the files of one domain again; its certificate is shown from the next handshake on.

        Raises:
            ValueError: They cannot be used; then everything stays as it was.
        """
        files, _ = _own(self._identities)[ascii_domain(domain).encode("ascii")]
        self.show_identity(domain, load_identity(files.chain_file, files.key_file))

    def show_identity(self, domain: str, identity: Identity) -> None:
        """Show this certificate of a domain from the next handshake on, whatever is in its files.

        Raises:
            ValueError: OpenSSL refuses it; then everything stays as it was.
        """
        own = _own(self._identities)
        files, _ = own[ascii_domain(domain).encode("ascii")]
        own[ascii_domain(domain).encode("ascii")] = (files, identity)
        before, self._identities = self._identities, _by_name(own)
        try:
            fresh = [(factory, self._contexts(factory)) for factory in self._factories.values()]
        except ValueError:
            self._identities = before
            raise
        for factory, contexts in fresh:
            factory.use(contexts)

    def show_challenge(self, name: str, identity: Identity) -> None:
        """Show a certificate to an authority that looks for this name, until it is hidden; may be
        called in any thread.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.key)
        self._challenges[name.encode("ascii")] = context

    def hide_challenges(self) -> None:
        """Show none of them any more."""
        self._challenges.clear()

    def expires(self, domain: str) -> float | None:
        """The time when a domain's certificate ends, in seconds since 1970; None without one."""
        found = self.identity(domain)
        return None if found is None else found[1].ends

    def context_factory(self, kind: Kind, *, direct_tls: bool = False) -> ContextFactory:
        """The context factory for ``startTLS``.

        Args:
            kind: The kind of peer that connects.
            direct_tls: TLS begins with the first byte.

        Raises:
            ValueError: OpenSSL refuses a setting or a certificate.
        """
        if (kind, direct_tls) not in self._factories:
            factory = ContextFactory(kind, direct_tls=direct_tls, challenges=self._challenges)
            factory.use(self._contexts(factory))
            self._factories[kind, direct_tls] = factory
        return self._factories[kind, direct_tls]

    def use(self, other: "TLS") -> None:
        """Use the certificates of another TLS for new connections; its contexts are not touched.

        Raises:
            ValueError: OpenSSL refuses one; then everything stays as it was.
        """
        fresh = [(factory, other._contexts(factory)) for factory in self._factories.values()]
        self._settings, self._identities = other._settings, other._identities
        self._client_authorities = other._client_authorities
        for factory, contexts in fresh:
            factory.use(contexts)

    def _contexts(self, factory: ContextFactory) -> dict[bytes, SSL.Context]:
        made: dict[str, SSL.Context] = {}
        for files, identity in self._identities.values():
            if files.name not in made:
                made[files.name] = _context(self._settings, self._client_authorities, factory)
                show(made[files.name], files, identity)
        return {name: made[files.name] for name, (files, _) in self._identities.items()}


def tls_version(transport: ISystemHandle) -> str | None:
    """The version spoken, such as ``TLSv1.3``; None in the clear."""
    connection = _connection(transport)
    return None if connection is None else connection.get_protocol_version_name()


def application_protocol(transport: ISystemHandle) -> bytes:
    """The protocol that was chosen in the handshake (:rfc:`7301`); empty without one."""
    connection = _connection(transport)
    return b"" if connection is None else connection.get_alpn_proto_negotiated()


class ChannelBindings(Mapping[str, bytes]):
    """The channel bindings of a connection, by their registered names.

    Which there are, every login says; the data of one is made when somebody binds to it.

    Args:
        connection: Its handshake is done.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self._data: dict[str, bytes | None] = {}  # None: nobody has asked for it
        if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
            self._data["tls-exporter"] = None
        shown: bytes | None = connection.get_context().get_app_data()
        if shown is not None:
            self._data["tls-server-end-point"] = shown

    def __getitem__(self, type: str) -> bytes:
        data = self._data[type]
        if data is None:
            data = self._connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
            self._data[type] = data
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


def channel_bindings(transport: ISystemHandle) -> Mapping[str, bytes]:
    """The channel bindings of this connection; none in the clear.

    ``tls-exporter`` (:rfc:`9266`) is there under TLS 1.3 only: below, it is safe only with an
    extension we cannot see. ``tls-server-end-point`` is :rfc:`5929#section-4`.
    """
    connection = _connection(transport)
    return {} if connection is None else ChannelBindings(connection)


def peer_certificate(transport: ISystemHandle) -> PeerCertificate | None:
    """The certificate that the peer has shown, if it has shown one; look at ``verified``."""
    connection = _connection(transport)
    if connection is None:
        return None
    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return None
    return PeerCertificate(certificate, _verification_errors.get(connection, _UNSPECIFIED))


def peer_chain(transport: ISystemHandle) -> tuple[x509.Certificate, ...]:
    """All certificates that the peer has shown, its own first; their signatures are not checked.

    OpenSSL lists the first one among the others only where the peer is the server.
    """
    connection = _connection(transport)
    if connection is None:
        return ()
    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return ()
    chain = connection.get_peer_cert_chain(as_cryptography=True) or []
    return (certificate, *(above for above in chain if above != certificate))


_Identities = dict[bytes, tuple[DomainSettings, Identity]]


def _identities(domains: Sequence[DomainSettings]) -> _Identities:
    """The certificates by name, as SNI spells it; those of the domains come first, in their
    order.
    """
    identities = {
        ascii_domain(domain.name).encode("ascii"): (domain, _identity(domain))
        for domain in domains
        if domain.certificate
    }
    if not identities:
        raise ValueError("no domain has a certificate: configure one, or turn TLS off")
    return _by_name(identities)


def _identity(domain: DomainSettings) -> Identity:
    """The certificate of a domain; until an authority has signed one, or if it has not renewed it
    in time, one that only we have signed.
    """
    try:
        return load_identity(domain.chain_file, domain.key_file)
    except ValueError:
        if domain.acme:
            return make_identity(domain.name, days=PROVISIONAL_DAYS)
        raise


def _by_name(own: _Identities) -> _Identities:
    """The certificates by domain, and by each further name in them that is no domain's own."""
    named = dict(own)
    for files, identity in own.values():
        for name in xmpp_addresses(identity.certificate).dns_names:
            named.setdefault(name.lower().encode("ascii", "replace"), (files, identity))
    return named


def _own(identities: _Identities) -> _Identities:
    """The certificates by domain only."""
    return {
        name: found
        for name, found in identities.items()
        if name == ascii_domain(found[0].name).encode("ascii")
    }


def new_context(method: int, settings: TLSSettings) -> SSL.Context:
    """A context with all that both ends have in common.

    Raises:
        ValueError: OpenSSL does not know the ciphers.
    """
    context = SSL.Context(method)
    context.set_min_proto_version(_MINIMUM[settings.minimum_version])
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 10 KB less for an idle connection.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    _set_ciphers(context, settings.ciphers)
    return context


def _context(
    settings: TLSSettings, client_authorities: Sequence[X509], factory: ContextFactory
) -> SSL.Context:
    """A context without its certificate; once used it cannot be changed."""
    context = new_context(SSL.TLS_SERVER_METHOD, settings)
    context.set_alpn_select_callback(factory.choose_protocol)
    context.set_tlsext_servername_callback(factory.choose_context)
    if factory.kind == "server":
        context.set_default_verify_paths()
        context.set_verify(SSL.VERIFY_PEER, _note_server_verification)
    elif client_authorities:
        store = context.get_cert_store()
        assert store is not None, "a context has one"
        for authority in client_authorities:
            store.add_cert(authority)
            context.add_client_ca(authority)
        context.set_verify(SSL.VERIFY_PEER, _note_verification)
    return context


def _set_ciphers(context: SSL.Context, ciphers: str) -> None:
    names = [name for name in ciphers.split(":") if name]
    suites = ":".join(name for name in names if name.startswith("TLS_"))
    older = ":".join(name for name in names if not name.startswith("TLS_"))
    try:
        context.set_cipher_list((older or _CIPHERS).encode())
        if suites:
            context.set_tls13_ciphersuites(suites.encode())
    except SSL.Error as error:
        raise ValueError(
            f"OpenSSL has no ciphers {ciphers!r}: choose from openssl ciphers -v, or leave this "
            "empty"
        ) from error


def _client_authorities(file: str) -> tuple[X509, ...]:
    """The authorities that sign certificates of clients; none if clients are not asked for one."""
    if not file:
        return ()
    pem = read_file(Path(file))
    try:
        return tuple(map(X509.from_cryptography, x509.load_pem_x509_certificates(pem)))
    except ValueError as error:
        raise ValueError(
            f"{file} has no certificate in PEM format: use the authority that signs your "
            "clients' certificates"
        ) from error


def show(context: SSL.Context, files: DomainSettings, identity: Identity) -> None:
    """Have a context show a certificate.

    Raises:
        ValueError: OpenSSL refuses it.
    """
    try:
        context.use_certificate(identity.certificate)
        for certificate in identity.intermediates:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(identity.key)
        context.check_privatekey()
        # Kept with the context: a reload makes new ones, and SNI chooses among them.
        context.set_app_data(_end_point(identity.certificate))
    except SSL.Error as error:
        raise ValueError(
            f"OpenSSL rejects {files.chain_file} ({_reason(error)}): use a certificate with a "
            "stronger key"
        ) from error


def tls_flaw(why_lost: Failure) -> str:
    """The reason why TLS has failed, in OpenSSL's words; empty if a connection was lost
    otherwise.
    """
    error = why_lost.value
    return _reason(error) if isinstance(error, SSL.Error) and error.args else ""


def refuses_certificate(flaw: str) -> bool:
    """Whether TLS has failed since the peer rejects the certificate that it was shown."""
    refusal = "alert" in flaw and ("certificate" in flaw or "unknown ca" in flaw)
    return refusal and "required" not in flaw


def _reason(error: SSL.Error) -> str:
    queue = error.args[0] if error.args else ()
    return ", ".join(reason for _, _, reason in queue) or "no reason given"


def _note_verification(
    connection: SSL.Connection, certificate: X509, error: int, depth: int, ok: int
) -> bool:
    """Note OpenSSL's verdict on a client's certificate; the handshake goes on in any case."""
    if not _verification_errors.get(connection):  # The first error tells most.
        _verification_errors[connection] = error
    return True


def _note_server_verification(
    connection: SSL.Connection, certificate: X509, error: int, depth: int, ok: int
) -> bool:
    """Note OpenSSL's verdict on another server's certificate, which is not one for clients.

    Public authorities no longer sign certificates for both.
    """
    if error == _INVALID_PURPOSE and depth == 0:
        error = 0
    return _note_verification(connection, certificate, error, depth, ok)


def _connection(transport: ISystemHandle) -> SSL.Connection | None:
    handle = transport.getHandle()
    return handle if isinstance(handle, SSL.Connection) else None


def _end_point(certificate: x509.Certificate) -> bytes | None:
    """The certificate's hash, made with the hash of its signature; None where there is none
    (Ed25519).
    """
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
