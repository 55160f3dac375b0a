"""OAUTHBEARER: messages of RFC 7628, and what comes of them."""

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import JULIET, exchange, refusal, run
from xmppd.auth.base import AuthProvider, BearerGrant, SASLError
from xmppd.auth.bearer import BearerMechanism

GOOD = b"n,,\x01auth=Bearer moonlight\x01\x01"


class Moon(AuthProvider):
    """Has given one token to Juliet."""

    def __init__(self) -> None:
        self.used: list[str] = []
        self.is_closed = self.is_away = False

    async def check_token(self, domain: str, token: str) -> BearerGrant | None:
        """Whether it is that one."""
        if self.is_away:
            raise SASLError("temporary-auth-failure")
        return BearerGrant(JULIET, "a proof", self.used.append) if token == "moonlight" else None

    def token_hints(self, domain: str) -> dict[str, str]:
        """Where it hangs."""
        return {"openid-configuration": f"https://moon.example/{domain}"}

    async def may_log_in(self, account: str) -> bool:
        """Unless she is closed."""
        if self.is_closed:
            raise SASLError("account-disabled")
        return True


class BearerTests(SynchronousTestCase):
    """BearerMechanism."""

    def setUp(self) -> None:
        self.moon = Moon()
        self.mechanism = BearerMechanism(exchange(encrypted=True), self.moon)

    def test_token(self) -> None:
        """A token lets its owner in, whatever else a client says of the server it means."""
        for message in (
            GOOD,
            b"y,,\x01auth=bearer moonlight\x01\x01",
            b"n,a=juliet@capulet.example,\x01host=x.lit\x01port=1\x01auth=Bearer moonlight\x01\x01",
        ):
            with self.subTest(message):
                mechanism = BearerMechanism(exchange(encrypted=True), self.moon)
                self.assertEqual(run(mechanism.step(message)), b"")
                self.assertEqual(mechanism.account, JULIET)
                self.assertEqual(mechanism.let_in("a phone"), "a proof")
        self.assertEqual(self.moon.used, ["a phone"] * 3)

    def test_refused(self) -> None:
        """One that does not do, or none, is answered with where to get another; only after that the
        attempt has failed, whatever the client says to it.
        """
        for token in (b"Bearer sunlight", b"Bearer ", b"Bearer", b""):
            for then in (b"\x01", b"", GOOD):
                with self.subTest(token=token, then=then):
                    mechanism = BearerMechanism(exchange(encrypted=True), self.moon)
                    said = json.loads(run(mechanism.step(b"n,,\x01auth=%b\x01\x01" % token)))
                    self.assertEqual(
                        said,
                        {
                            "status": "invalid_token",
                            "openid-configuration": "https://moon.example/capulet.example",
                        },
                    )
                    self.assertEqual(refusal(mechanism.step(then)).condition, "not-authorized")
                    self.assertIsNone(mechanism.account)
                    self.assertEqual(mechanism.let_in(""), "")

    def test_malformed(self) -> None:
        """What is no message of this mechanism is told as such."""
        for message in (
            b"", b"n,,", b"\x01auth=Bearer moonlight\x01\x01", b"n,,\x01auth=Bearer moonlight\x01",
            b"p=tls-exporter,,\x01auth=Bearer moonlight\x01\x01", b"n,,\x01host=x\x01\x01",
            b"n,,\x01auth=Bearer moonlight\x01auth=Bearer sunlight\x01\x01",
            b"n,b=x,\x01auth=Bearer moonlight\x01\x01", b"n,a==,\x01auth=Bearer moonlight\x01\x01",
            b"n,,\x01auth=Basic moonlight\x01\x01", b"n,,\x01auth=\xff\x01\x01",
            b"n,,\x01auth=Bearer " + b"x" * 8_192 + b"\x01\x01",
        ):  # fmt: skip
            with self.subTest(message[:40]):
                mechanism = BearerMechanism(exchange(encrypted=True), self.moon)
                self.assertEqual(refusal(mechanism.step(message)).condition, "malformed-request")

    def test_for_somebody_else(self) -> None:
        """Nobody acts for another by their own token."""
        message = b"n,a=romeo@capulet.example,\x01auth=Bearer moonlight\x01\x01"
        self.assertEqual(refusal(self.mechanism.step(message)).condition, "invalid-authzid")

    def test_closed(self) -> None:
        """An account that an administrator has closed stays closed."""
        self.moon.is_closed = True
        self.assertEqual(refusal(self.mechanism.step(GOOD)).condition, "account-disabled")
        self.assertIsNone(self.mechanism.account)

    def test_away(self) -> None:
        """If nobody can say, that is no refusal."""
        self.moon.is_away = True
        self.assertEqual(refusal(self.mechanism.step(GOOD)).condition, "temporary-auth-failure")


__all__ = ["BearerTests"]
