"""What is offered, and the two mechanisms without a password."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    JULIET,
    ScramClient,
    Verona,
    exchange,
    log_in,
    refusal,
    run,
)
from xmppd.auth.anonymous import MAX_TRACE_CHARACTERS, AnonymousMechanism
from xmppd.auth.base import AuthProvider, Exchange
from xmppd.auth.external import ExternalMechanism
from xmppd.auth.mechanisms import MECHANISMS, begin, offered
from xmppd.config.config import AuthSettings

ALL = tuple(MECHANISMS)
SCRAM = ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1")
PLUS = tuple(f"{name}-PLUS" for name in SCRAM)
PROVIDER = Verona().provider


class OfferedTests(SynchronousTestCase):
    """offered."""

    def test_in_the_clear(self) -> None:
        """Without TLS there is SCRAM, and PLAIN only if the administrator does not require TLS."""
        self.assertEqual(offered(ALL, exchange(), PROVIDER), (*SCRAM, "ANONYMOUS"))
        self.assertEqual(
            offered(ALL, exchange(), PROVIDER, tls_required=False), (*SCRAM, "PLAIN", "ANONYMOUS")
        )

    def test_under_tls(self) -> None:
        """Under TLS the default is all of SCRAM and PLAIN, and -PLUS only with a binding."""
        configured = AuthSettings().mechanisms
        stream = exchange(encrypted=True)
        self.assertEqual(offered(configured, stream, PROVIDER), (*SCRAM, "PLAIN"))
        bound = replace(stream, bindings={"tls-exporter": b"x"})
        self.assertEqual(offered(configured, bound, PROVIDER), (*PLUS, *SCRAM, "PLAIN"))

    def test_missing(self) -> None:
        """What some accounts have no keys for is left out, unless nothing by which a password is
        proved would be left.
        """
        stream = exchange(encrypted=True, bindings={"tls-exporter": b"x"})
        strong = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "EXTERNAL")
        for missing, configured, expected in (
            ({"SHA-256", "SHA-512"}, AuthSettings().mechanisms,
             ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN")),
            ({"SHA-1", "SHA-256", "SHA-512"}, AuthSettings().mechanisms, ("PLAIN",)),
            ({"SHA-256", "SHA-512"}, strong, strong[:2]),
        ):  # fmt: skip
            with self.subTest(missing=missing, configured=configured):
                provider = Verona().provider
                self.patch(provider, "missing_hashes", lambda _, of=missing: frozenset(of))
                self.assertEqual(offered(configured, stream, provider), expected)

    def test_external(self) -> None:
        """EXTERNAL is offered to who has a certificate for an account here."""
        for addresses, usable in [
            ((), False),
            ((JULIET,), True),
            (("juliet@montague.example",), False),
            ((DOMAIN, f"{JULIET}/balcony", "@@"), False),
        ]:
            with self.subTest(addresses):
                stream = exchange(encrypted=True, certificate_addresses=addresses)
                self.assertEqual("EXTERNAL" in offered(ALL, stream, PROVIDER), usable)

    def test_only_what_is_configured(self) -> None:
        """What the administrator does not name is not there, and the order is hers."""
        self.assertEqual(
            offered(("PLAIN", "SCRAM-SHA-1"), exchange(encrypted=True), PROVIDER),
            ("PLAIN", "SCRAM-SHA-1"),
        )

    def test_what_providers_can(self) -> None:
        """Passwords, keys and tokens are each offered where there are some; tokens only by TLS."""
        stream = exchange(encrypted=True)
        self.assertEqual(offered(ALL, stream, _Can(passwords=True)), ("PLAIN", "ANONYMOUS"))
        self.assertEqual(offered(ALL, stream, _Can(tokens=True)), ("OAUTHBEARER", "ANONYMOUS"))
        both = offered(ALL, stream, _Can(passwords=True, tokens=True))
        self.assertEqual(both, ("OAUTHBEARER", "PLAIN", "ANONYMOUS"))
        in_clear = offered(ALL, exchange(), _Can(tokens=True), tls_required=False)
        self.assertEqual(in_clear, ("ANONYMOUS",))


class _Can(AuthProvider):
    def __init__(self, *, passwords: bool = False, tokens: bool = False) -> None:
        self.passwords, self.tokens = passwords, tokens

    def has_passwords(self, domain: str) -> bool:
        return self.passwords

    def takes_tokens(self, domain: str) -> bool:
        return self.tokens


class BeginTests(SynchronousTestCase):
    """begin."""

    def test_not_offered(self) -> None:
        """What was not offered cannot be chosen, known or not."""
        for name in ("PLAIN", "X-TRUST-ME", ""):
            with self.subTest(name), self.assertRaises(Exception) as caught:
                begin(name, exchange(offered=SCRAM), Verona().provider)
            self.assertEqual(caught.exception.args[0], "invalid-mechanism")

    def test_every_name(self) -> None:
        """Each SCRAM name logs in with its hash and its binding."""
        for name in (*SCRAM, *PLUS):
            with self.subTest(name):
                plus = name.endswith("-PLUS")
                stream = exchange(offered=ALL, bindings={"tls-exporter": b"x"})
                client = ScramClient(
                    name.removeprefix("SCRAM-").removesuffix("-PLUS"),
                    gs2_header="p=tls-exporter,," if plus else "n,,",
                    channel=b"x" if plus else b"",
                )
                mechanism = begin(name, stream, Verona().provider)
                self.assertTrue(client.accepts(log_in(mechanism, client)))


class ExternalTests(SynchronousTestCase):
    """ExternalMechanism."""

    def _stream(self, *addresses: str) -> Exchange:
        return exchange(encrypted=True, certificate_addresses=addresses)

    def test_one_address(self) -> None:
        """With one account in the certificate she need not say which; she may."""
        for authzid in ("", JULIET, f"JULIET@{DOMAIN}"):
            with self.subTest(authzid):
                stream = self._stream(JULIET, JULIET, "juliet@elsewhere.example", "no address@")
                mechanism = ExternalMechanism(stream, Verona().provider)
                self.assertEqual(run(mechanism.step(authzid.encode())), b"")
                self.assertEqual(mechanism.account, JULIET)

    def test_many_addresses(self) -> None:
        """With several accounts in the certificate she must say which (XEP-0178)."""
        stream = self._stream(f"nurse@{DOMAIN}", JULIET)
        error = refusal(ExternalMechanism(stream, Verona().provider).step(b""))
        self.assertEqual(error.condition, "invalid-authzid")
        mechanism = ExternalMechanism(stream, Verona().provider)
        run(mechanism.step(JULIET.encode()))
        self.assertEqual(mechanism.account, JULIET)

    def test_somebody_else(self) -> None:
        """A certificate is for those that it names."""
        for authzid in (f"romeo@{DOMAIN}", "juliet@elsewhere.example", DOMAIN, "@", "juliet"):
            with self.subTest(authzid):
                stream = self._stream(JULIET, "juliet@elsewhere.example")
                mechanism = ExternalMechanism(stream, Verona().provider)
                error = refusal(mechanism.step(authzid.encode()))
                self.assertEqual(error.condition, "invalid-authzid")
                self.assertIsNone(mechanism.account)

    def test_no_account(self) -> None:
        """A certificate does not make an account, nor open one that is closed."""
        verona = Verona()
        stream = self._stream(f"nurse@{DOMAIN}")
        error = refusal(ExternalMechanism(stream, verona.provider).step(b""))
        self.assertEqual(error.condition, "not-authorized")
        run(verona.store.accounts.set_disabled(JULIET, True))
        error = refusal(ExternalMechanism(self._stream(JULIET), verona.provider).step(b""))
        self.assertEqual(error.condition, "account-disabled")

    def test_malformed(self) -> None:
        """An authorization identity is text."""
        error = refusal(ExternalMechanism(self._stream(JULIET), Verona().provider).step(b"\xff"))
        self.assertEqual(error.condition, "malformed-request")


class AnonymousTests(SynchronousTestCase):
    """AnonymousMechanism."""

    def test_a_new_name_each_time(self) -> None:
        """Everybody gets a name of their own at the domain, whatever they call themselves."""
        names = set()
        for trace in (b"", b"sirhc", "\u263a".encode() * MAX_TRACE_CHARACTERS):
            mechanism = AnonymousMechanism(exchange(), Verona().provider)
            self.assertEqual(run(mechanism.step(trace)), b"")
            assert mechanism.account is not None
            self.assertTrue(mechanism.account.endswith(f"@{DOMAIN}"))
            names.add(mechanism.account)
        self.assertEqual(len(names), 3)

    def test_trace_is_bounded(self) -> None:
        """A trace is 255 characters of text at most (RFC 4505)."""
        for trace in (b"x" * (MAX_TRACE_CHARACTERS + 1), b"\xff"):
            with self.subTest(trace[:4]):
                mechanism = AnonymousMechanism(exchange(), Verona().provider)
                self.assertEqual(refusal(mechanism.step(trace)).condition, "malformed-request")
                self.assertIsNone(mechanism.account)
