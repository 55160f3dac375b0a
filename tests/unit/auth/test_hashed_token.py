"""The HT mechanisms: what is proved, by which binding, and what is refused."""

import hmac

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import DOMAIN, JULIET, Verona, exchange, refusal, run
from xmppd.auth.base import Exchange
from xmppd.auth.hashed_token import HASHED_TOKEN, Claim, HashedTokenMechanism, usable
from xmppd.auth.login import UserAgent
from xmppd.auth.tokens import KeptToken, Tokens
from xmppd.config.config import TokenSettings
from xmppd.store.devices import Device

PHONE = UserAgent("d4565fa7-4d72-4749-b3d3-740edbf87770", "Balcony", "phone")
BINDINGS = {"tls-exporter": b"exported", "tls-server-end-point": b"a certificate"}
ALL = tuple(HASHED_TOKEN)


class TokenCase(SynchronousTestCase):
    """Juliet's phone."""

    def setUp(self) -> None:
        self.verona = Verona()
        self.tokens = Tokens(
            self.verona.store.devices,
            TokenSettings(),
            secret=b"of this server",
            now=lambda: self.verona.time,
        )

    def mechanism(
        self, name: str, bindings: dict[str, bytes] = BINDINGS, count: int | None = None
    ) -> HashedTokenMechanism:
        """An exchange of the phone's."""
        stream = exchange(encrypted=True, bindings=bindings)
        claim = Claim(PHONE.id, count)
        return HashedTokenMechanism(name, stream, self.verona.provider, self.tokens, claim)

    def issue(self, name: str) -> str:
        """A token for the phone."""
        return run(self.tokens.issue(JULIET, PHONE, name)).text


class HashedTokenTests(TokenCase):
    def test_each(self) -> None:
        """Each mechanism has its hash and its binding, and proves the server too."""
        for name in ALL:
            with self.subTest(name):
                _, _, bits, suffix = name.split("-")
                binding = {
                    "EXPR": "tls-exporter", "ENDP": "tls-server-end-point", "NONE": "",
                }[suffix]  # fmt: skip
                data = BINDINGS.get(binding, b"")
                token = self.issue(name).encode()
                mechanism = self.mechanism(name)
                proof = hmac.digest(token, b"Initiator" + data, f"sha{bits}")
                answer = run(mechanism.step(b"juliet\0" + proof))
                self.assertEqual(answer, hmac.digest(token, b"Responder" + data, f"sha{bits}"))
                self.assertEqual((mechanism.account, mechanism.binding), (JULIET, binding))

    def test_other_channel(self) -> None:
        """A proof that was made for one connection is none on another."""
        token = self.issue("HT-SHA-256-EXPR").encode()
        proof = hmac.digest(token, b"Initiatorexported", "sha256")
        other = self.mechanism("HT-SHA-256-EXPR", {**BINDINGS, "tls-exporter": b"another"})
        error = refusal(other.step(b"juliet\0" + proof))
        self.assertEqual((error.condition, error.account), ("not-authorized", JULIET))
        self.assertIsNone(other.account)

    def test_responder(self) -> None:
        """What the server says cannot be said back to it."""
        token = self.issue("HT-SHA-256-NONE").encode()
        proof = hmac.digest(token, b"Responder", "sha256")
        error = refusal(self.mechanism("HT-SHA-256-NONE").step(b"juliet\0" + proof))
        self.assertEqual(error.condition, "not-authorized")

    def test_malformed(self) -> None:
        """A message has a name, and a hash behind it."""
        for message in (b"", b"juliet", b"\0hash", b"\xff\0hash", b"x" * 10_000 + b"\0"):
            with self.subTest(message=message[:20]):
                error = refusal(self.mechanism("HT-SHA-256-NONE").step(message))
                self.assertEqual(error.condition, "malformed-request")
        error = refusal(self.mechanism("HT-SHA-256-NONE").step(b"a@b\0hash"))
        self.assertEqual(error.condition, "not-authorized")

    def test_usable(self) -> None:
        """Nothing is offered in the clear, nor what there is nothing to bind to."""
        self.assertEqual(usable(ALL, Exchange(DOMAIN)), ())
        none = usable(ALL, Exchange(DOMAIN, encrypted=True))
        self.assertEqual(none, ("HT-SHA-256-NONE", "HT-SHA-512-NONE"))
        self.assertEqual(usable(ALL, Exchange(DOMAIN, encrypted=True, bindings=BINDINGS)), ALL)


class SecretTests(TokenCase):
    """What a token is made of."""

    def texts(self, tokens: Tokens) -> set[str]:
        """What Juliet's phone may have, as this installation sees it."""
        held: tuple[KeptToken, ...] = run(tokens.held(JULIET, PHONE.id, "HT-SHA-256-NONE"))
        return {one.text for one in held}

    def test_both_are_needed(self) -> None:
        """The store without the secret, or the secret without the store, has no token."""
        text = self.issue("HT-SHA-256-NONE")
        self.assertIn(text, self.texts(self.tokens))
        thief = Tokens(
            self.verona.store.devices, TokenSettings(), secret=b"a guess", now=lambda: 0.0
        )
        self.assertNotIn(text, self.texts(thief))
        elsewhere = Tokens(
            Verona().store.devices,
            TokenSettings(),
            secret=b"of this server",
            now=lambda: 0.0,
        )
        self.assertNotIn(text, self.texts(elsewhere))

    def test_not_shown(self) -> None:
        """A token does not get into a log with what it belongs to."""
        issued = run(self.tokens.issue(JULIET, PHONE, "HT-SHA-256-NONE"))
        held = run(self.tokens.held(JULIET, PHONE.id, "HT-SHA-256-NONE"))
        self.assertNotIn(issued.text, repr(issued) + repr(held))

    def test_never_the_same(self) -> None:
        """No two tokens are the same, nor are what unknown devices are compared with."""
        self.assertNotEqual(self.issue("HT-SHA-256-NONE"), self.issue("HT-SHA-256-NONE"))
        nobody = run(self.tokens.held("nobody@x", "", "HT-SHA-256-NONE"))
        self.assertEqual(len({one.text for one in nobody}), len(nobody))

    def test_moved(self) -> None:
        """A row of the database that is moved to another account or device opens nothing."""
        text = self.issue("HT-SHA-256-NONE")
        (device,) = run(self.verona.store.devices.devices(JULIET))
        assert device.new is not None
        for account, id in ((f"tybalt@{DOMAIN}", PHONE.id), (JULIET, "another")):
            moved = Device(id, "", "", 0.0, 0.0)
            run(self.verona.store.devices.add_token(account, moved, device.new, max_devices=5))
            held = run(self.tokens.held(account, id, "HT-SHA-256-NONE"))
            self.assertNotIn(text, [one.text for one in held])
