"""PLAIN, as a client meets it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    JULIET,
    PASSWORD,
    Verona,
    exchange,
    refusal,
    run,
)
from xmppd.auth.base import SASLError
from xmppd.auth.message import MAX_MESSAGE_BYTES
from xmppd.auth.plain import PlainMechanism


def plain(username: str = "juliet", password: str = PASSWORD, authzid: str = "") -> bytes:
    """The one message of PLAIN."""
    return f"{authzid}\0{username}\0{password}".encode()


class PlainTests(SynchronousTestCase):
    """PlainMechanism."""

    def _refused(self, message: bytes, verona: Verona | None = None) -> SASLError:
        mechanism = PlainMechanism(exchange(), (verona or Verona()).provider)
        error = refusal(mechanism.step(message))
        self.assertIsNone(mechanism.account)
        return error

    def test_right_password(self) -> None:
        """The right password lets her in, also if she says who she wants to be."""
        for message in (plain(), plain("JULIET"), plain(authzid=JULIET)):
            with self.subTest(message):
                mechanism = PlainMechanism(exchange(), Verona().provider)
                self.assertEqual(run(mechanism.step(message)), b"")
                self.assertEqual(mechanism.account, JULIET)

    def test_wrong_password(self) -> None:
        """A wrong password and an unknown name are refused in the same words."""
        wrong, unknown = self._refused(plain(password="x")), self._refused(plain("rosaline"))
        self.assertEqual((wrong.condition, wrong.account), ("not-authorized", JULIET))
        self.assertEqual((unknown.condition, unknown.text), (wrong.condition, wrong.text))
        self.assertEqual(unknown.account, f"rosaline@{DOMAIN}")

    def test_impossible_name(self) -> None:
        """A name that no account can have sounds like a wrong password."""
        self.assertEqual(self._refused(plain("a b")).text, self._refused(plain("rosaline")).text)

    def test_closed(self) -> None:
        """A disabled account tells its owner, and nobody else."""
        verona = Verona()
        run(verona.store.accounts.set_disabled(JULIET, True))
        self.assertEqual(self._refused(plain(), verona).condition, "account-disabled")
        self.assertEqual(self._refused(plain(password="x"), verona).condition, "not-authorized")

    def test_authzid_of_somebody_else(self) -> None:
        """Juliet cannot act for Romeo."""
        for authzid in (f"romeo@{DOMAIN}", "juliet", "@", f"{JULIET}/balcony"):
            with self.subTest(authzid):
                self.assertEqual(self._refused(plain(authzid=authzid)).condition, "invalid-authzid")

    def test_malformed(self) -> None:
        """What is not three parts of UTF-8, or has no name or no password, is refused."""
        for message in (
            b"",
            b"juliet",
            b"\0juliet",
            b"\0juliet\0",
            b"\0\0password",
            b"\0juliet\0pass\0word",
            b"\0juliet\0\xff",
            b"\0juliet\0" + b"x" * MAX_MESSAGE_BYTES,
        ):
            with self.subTest(message[:20]):
                self.assertEqual(self._refused(message).condition, "malformed-request")

    def test_password_nobody_can_have(self) -> None:
        """A password of control characters, or an endless one, is a wrong one."""
        for password in ("\x07", "x" * 2000, "\u200b"):
            with self.subTest(password[:5]):
                self.assertEqual(
                    self._refused(plain(password=password)).condition, "not-authorized"
                )

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=40))
    def test_any_bytes(self, message: bytes) -> None:
        """Whatever is sent, it is refused and nothing breaks."""
        self.assertIsInstance(self._refused(message), SASLError)
        self.assertIsInstance(self._refused(b"\0" + message + b"\0x"), SASLError)
