"""Authority: the one that signs certificates, by ACME. The library ``acme`` enters here.

That library waits for each answer, so all of this is done in a thread.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JOSEError
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

from xmppd.acme.challenges import Challenges
from xmppd.acme.not_issued import NotIssued, Stopped, Suggestion
from xmppd.config.config import ACMESettings
from xmppd.host.clocks import wall_clock
from xmppd.host.data_directory import write_private
from xmppd.host.printable import printable
from xmppd.host.version import version

ANSWER_S = 20
"""A request to the authority takes no longer."""

ORDER_S = 120.0
"""An order that is not filled by then has failed."""

POLL_S = 1.0
NONCE_TRIES = 5
"""The library itself tries once more when a nonce is rejected, which is not always enough."""

MAX_DETAIL = 300
"""Letters of what an authority says."""

_A_WHILE = timedelta(seconds=2)

_NO_ACME = (requests.exceptions.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError)
"""What the library raises for a page, or for JSON that is something else."""


class Authority:
    """An authority, and our account there, which is made with the first order.

    Args:
        settings: Where it is, and whom it may write to.
        account_file: Has the account's private key.
        shown: What the authority is shown.
        stopping: Is set when the server stops; then what is under way ends with :class:`Stopped`.
    """

    def __init__(
        self, settings: ACMESettings, account_file: Path, shown: Challenges, stopping: Event
    ) -> None:
        self._settings = settings
        self._account_file = account_file
        self._shown = shown
        self._stopping = stopping
        self._client: client.ClientV2 | None = None

    def issue(self, names: Sequence[str]) -> bytes:
        """Have a certificate issued.

        Args:
            names: As certificates spell them; the first one is its domain.

        Returns:
            PEM: the certificate, those that lead to its root, and its new private key.

        Raises:
            NotIssued: It is not.
        """
        with _told(self._settings):
            try:
                return self._issue(names)
            finally:
                self._shown.hide()

    def suggestion(self, pem: bytes) -> Suggestion:
        """When to renew a certificate.

        Raises:
            NotIssued: The authority does not say.
        """
        with _told(self._settings):
            at, again = self._session().renewal_time(pem)
            # Of the two only the first one knows its time zone.
            return Suggestion(None if at is None else at.timestamp(), again.timestamp())

    # -- an order -------------------------------------------------------------------------------

    def _issue(self, names: Sequence[str]) -> bytes:
        session = self._session()
        key = ec.generate_private_key(ec.SECP256R1())
        order = session.new_order(_signing_request(names, key))
        until = time.monotonic() + ORDER_S
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_PENDING:
                self._take_challenge(session, authorization)
        self._wait_for_names(session, order, until)
        return self._wait_for_chain(session, order, until).encode() + _pem(key)

    def _take_challenge(
        self, session: client.ClientV2, found: messages.AuthorizationResource
    ) -> None:
        """Show what the authority looks for, and tell it so."""
        name, key = found.body.identifier.value, session.net.key
        for offered in found.body.challenges:
            challenge = offered.chall
            if challenge.typ != self._shown.kind:
                continue
            if isinstance(challenge, challenges.HTTP01):
                self._shown.show_text(challenge.encode("token"), challenge.validation(key))
            else:
                self._shown.show_digest(name, challenge.validation(key))
            session.answer_challenge(offered, challenge.response(key))
            return
        raise NotIssued(
            f"the authority does not offer {self._shown.kind} for {name}; add a listener for "
            "another kind of challenge, or choose another acme.directory"
        )

    def _wait_for_names(
        self, session: client.ClientV2, order: messages.OrderResource, until: float
    ) -> None:
        refused: dict[str, str] = {}
        for found in order.authorizations:
            body = found.body
            while body.status == messages.STATUS_PENDING:
                self._pause(until)
                body = session.poll(found)[0].body
            if body.status != messages.STATUS_VALID:
                said = (each.error for each in body.challenges if each.error is not None)
                refused[body.identifier.value] = next(map(_detail, said), "no reason given")
        if refused:
            each = "; ".join(f"{name}: {why}" for name, why in refused.items())
            raise NotIssued(
                f"the authority cannot reach this server by {self._shown.kind} ({each}); check "
                f"that DNS leads these names to this machine, and that connections to "
                + ("port 80" if self._shown.kind == "http-01" else "port 443")
                + " there reach this server",
                refused,
            )

    def _wait_for_chain(
        self, session: client.ClientV2, order: messages.OrderResource, until: float
    ) -> str:
        try:
            session.begin_finalization(order)
        except messages.Error as error:
            if error.code != "orderNotReady":
                raise
        while True:
            self._pause(until)
            # It sleeps and compares times of day: so it is given a short time, again and again.
            a_while = datetime.fromtimestamp(wall_clock()) + _A_WHILE  # noqa: DTZ006  # as it has
            with suppress(errors.TimeoutError):
                return str(session.poll_finalization(order, a_while).fullchain_pem)

    def _pause(self, until: float) -> None:
        if time.monotonic() > until:
            raise NotIssued(f"the authority did not decide within {ORDER_S:g} s")
        if self._stopping.wait(POLL_S):
            raise Stopped

    # -- our account ----------------------------------------------------------------------------

    def _session(self) -> client.ClientV2:
        """What speaks for our account, which is made if there is none yet.

        It is made anew for each order: an authority may have moved, or have lost its memory.
        """
        if self._stopping.is_set():
            raise Stopped
        session = _reached(self._settings, self._account_key())
        if session.external_account_required() and not self._settings.eab_key_id:
            raise NotIssued(
                "the authority requires an account that you already have with it; set "
                "acme.eab_key_id "
                "and acme.eab_key_file to the key that it has given you, or choose another "
                "acme.directory"
            )
        account = messages.NewRegistration.from_data(
            contact=self._settings.contact,
            terms_of_service_agreed=True,
            external_account_binding=self._binding(session),
        )
        try:
            session.new_account(account)
        except errors.ConflictError as known:
            session.net.account = messages.RegistrationResource(uri=known.location, body=account)
        return session

    def _binding(self, session: client.ClientV2) -> dict[str, Any] | None:
        """What ties our account to one that an administrator has there (:rfc:`8555#section-7.3.4`);
        None for nothing.
        """
        settings = self._settings
        if not settings.eab_key_id:
            return None
        file = Path(settings.eab_key_file)
        assert session.net.key is not None, "it was made with one"
        public = session.net.key.public_key()
        try:
            key = file.read_text(encoding="ascii").strip()
            binding: dict[str, Any] = messages.ExternalAccountBinding.from_data(
                public, settings.eab_key_id, key, session.directory
            )
        except ValueError as error:
            raise NotIssued(
                f"acme.eab_key_file {file} has no key as the authority gives it (base64url)"
            ) from error
        return binding

    def _account_key(self) -> ec.EllipticCurvePrivateKey:
        if not self._account_file.exists():
            self._account_file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(self._account_file, _pem(ec.generate_private_key(ec.SECP256R1())))
        key = serialization.load_pem_private_key(self._account_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NotIssued(
                f"{self._account_file} is not an ECDSA key; remove it, and the server generates a "
                f"new one"
            )
        return key


def look_at(settings: ACMESettings) -> None:
    """Ask an authority whether it is one; nothing is made there.

    Raises:
        NotIssued: It is not, or does not answer.
    """
    with _told(settings):
        _reached(settings, ec.generate_private_key(ec.SECP256R1()))


def _reached(settings: ACMESettings, key: ec.EllipticCurvePrivateKey) -> client.ClientV2:
    """What speaks with the authority for the account of a key."""
    net = _Network(JWKEC(key=key), alg=ES256, user_agent=f"xmppd/{version()}", timeout=ANSWER_S)
    if settings.authorities:
        net.verify_ssl = settings.authorities  # type: ignore[assignment]  # or a path
    return client.ClientV2(_directory(settings.directory, net), net)


def _directory(url: str, net: client.ClientNetwork) -> messages.Directory:
    try:
        directory = client.ClientV2.get_directory(url, net)
        for needed in ("newNonce", "newAccount", "newOrder"):
            directory[needed]
    except (errors.ClientError, JOSEError, *_NO_ACME) as error:
        raise NotIssued(f"{url} is not an ACME directory; correct acme.directory") from error
    return directory


@contextmanager
def _told(settings: ACMESettings) -> Iterator[None]:
    """A context in which every failure becomes one sentence."""
    url = settings.directory
    try:
        yield
    except messages.Error as error:
        raise NotIssued(_refusal(error), _subproblems(error)) from error
    except errors.IssuanceError as error:
        raise NotIssued(f"the authority refused: {_detail(error.error)}") from error
    except requests.exceptions.SSLError as error:
        raise NotIssued(f"the certificate of the authority at {url} {_distrust(error)}") from error
    except requests.exceptions.RequestException as error:
        raise NotIssued(f"the authority at {url} does not answer ({_reason(error)})") from error
    except (errors.Error, JOSEError) as error:
        raise NotIssued(
            f"the authority at {url} sent an invalid answer ({type(error).__name__})"
        ) from error
    except OSError as error:
        raise NotIssued(f"{error.filename} cannot be used ({error.strerror})") from error


class _Network(client.ClientNetwork):
    """Sends requests again while their nonces are rejected."""

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(NONCE_TRIES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


@challenges.ChallengeResponse.register
class TLSALPN01Response(challenges.KeyAuthorizationChallengeResponse):
    """The answer to a :class:`TLSALPN01`."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TLSALPN01(challenges.KeyAuthorizationChallenge):
    """The challenge of :rfc:`8737`, which the library does not know."""

    response_cls = TLSALPN01Response
    typ = response_cls.typ

    def validation(self, account_key: JWK, **kwargs: Any) -> bytes:
        """The digest for the certificate."""
        return sha256(self.key_authorization(account_key).encode()).digest()


def _signing_request(names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    """A request for a certificate, in PEM."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _refusal(error: messages.Error) -> str:
    if error.code == "rateLimited":
        return f"the authority refused too many requests: {_detail(error)}"
    if error.code == "badNonce":
        return "the authority rejects its own nonces"
    return f"the authority refused: {_detail(error)}"


def _subproblems(error: messages.Error) -> dict[str, str]:
    """The names that a refusal is about, if it is about some."""
    return {
        each.identifier.value: _detail(each)
        for each in error.subproblems or ()
        if each.identifier is not None
    }


def _detail(error: messages.Error) -> str:
    """What the authority says: for people, and so it is cut."""
    said = error.detail or error.description or error.typ
    return printable(said.rstrip("."))[:MAX_DETAIL]


def _distrust(error: Exception) -> str:
    """Why the certificate of an authority is not believed, and what to do."""
    if "certificate has expired" in str(error):  # what OpenSSL calls it, several errors inside
        return "has expired; check the clock of this machine, or choose another acme.directory"
    return "is not trusted; correct acme.directory, or set acme.authorities"


def _reason(error: requests.exceptions.RequestException) -> str:
    """The reason why nothing was answered, without the objects that the library names."""
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {ANSWER_S} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "the connection failed"


__all__ = ["Authority", "look_at"]
