"""Passwords that are written in more ways than one (PW-1, PW-2)."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    HASHES,
    ITERATIONS,
    JULIET,
    ScramClient,
    Verona,
    exchange,
    log_in,
    run,
)
from xmppd.auth.base import SASLError
from xmppd.auth.keys import derive_keys, make_keys, password_forms, prepare_password
from xmppd.auth.plain import PlainMechanism
from xmppd.auth.provider import Passwords
from xmppd.auth.saslprep import saslprep
from xmppd.auth.scram import ScramMechanism
from xmppd.store.devices import Device, Token
from xmppd.store.errors import StoreError

MAPPED = {
    "x\N{SUPERSCRIPT TWO}": "x2",
    "\N{ROMAN NUMERAL NINE}": "IX",
    "\N{LATIN SMALL LIGATURE FI}n": "fin",
    "\N{FULLWIDTH LATIN SMALL LETTER A}\N{FULLWIDTH DIGIT ONE}": "a1",
    "I\N{SOFT HYPHEN}X": "IX",
    "\N{FEMININE ORDINAL INDICATOR}": "a",
    "a\N{NO-BREAK SPACE}b": "a b",
    "a\N{IDEOGRAPHIC SPACE}b": "a b",
    "Ka\N{COMBINING DIAERESIS}the": "K\N{LATIN SMALL LETTER A WITH DIAERESIS}the",
    "zero\N{ZERO WIDTH JOINER}width": "zerowidth",
    "\N{KELVIN SIGN}": "K",
}
"""What is typed, and the form that RFC 4013 has of it."""

WITHOUT = ("\N{PILE OF POO}", "rose \N{ROSE}", "\N{LATIN CAPITAL LETTER SHARP S}")
"""What SASLprep, which knows Unicode 3.2, has no form of, and OpaqueString has."""


class SaslprepTests(SynchronousTestCase):
    def test_mapped(self) -> None:
        """What has a form is mapped to it; the form itself is not mapped any further."""
        for typed, form in MAPPED.items():
            with self.subTest(typed=typed):
                self.assertEqual(saslprep(typed), form)
                self.assertEqual(saslprep(form), form)

    def test_examples_of_the_rfc(self) -> None:
        """The examples of RFC 4013, §3."""
        self.assertEqual(saslprep("I\u00adX"), "IX")
        self.assertEqual(saslprep("user"), "user")
        self.assertEqual(saslprep("USER"), "USER")
        self.assertEqual(saslprep("\u00aa"), "a")
        self.assertEqual(saslprep("\u2168"), "IX")
        for refused in ("\u0007", "\u0627\u0031"):
            with self.assertRaises(ValueError):
                saslprep(refused)

    def test_refused(self) -> None:
        """Of nothing, of what is not for text, and of both directions at once there is no form."""
        for refused in (
            "", "\N{SOFT HYPHEN}", "a\0", "\x7f", "\ue000", "\ufffe", "\ud800", "\ufff9", "\u2ff0",
            "\u200e", "\U000e0041", "\u0221", "\u0627a\u0627", "\u06271",
            *WITHOUT,
        ):  # fmt: skip
            with self.subTest(refused=refused), self.assertRaises(ValueError) as caught:
                saslprep(refused)
            if refused.strip("\N{SOFT HYPHEN}"):
                self.assertNotIn(refused, str(caught.exception))

    @given(st.text())
    def test_stable(self, text: str) -> None:
        """What has a form keeps it; a form is plain text, and never empty."""
        try:
            form = saslprep(text)
        except ValueError:
            return
        self.assertTrue(form)
        self.assertEqual(unicodedata.ucd_3_2_0.normalize("NFKC", form), form)

    @given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
    def test_ascii(self, text: str) -> None:
        """Plain ASCII stays as it is, with and without looking."""
        self.assertEqual(saslprep(text), text)
        self.assertEqual(password_forms(text), (text.encode(),))

    @given(st.text())
    def test_forms(self, text: str) -> None:
        """A password has one or two forms, the one that keys are made of first; or none."""
        try:
            forms = password_forms(text)
        except ValueError:
            return
        self.assertIn(len(forms), (1, 2))
        self.assertEqual(prepare_password(text), forms[0])
        self.assertEqual(len(set(forms)), len(forms))


class LoginTests(SynchronousTestCase):
    """Juliet's password, as she types it, and as her client prepares it."""

    def setUp(self) -> None:
        self.verona = Verona()
        self.passwords = Passwords(
            self.verona.store.accounts, iterations=ITERATIONS, run_in_thread=self.verona.pbkdf2
        )

    def plain(self, password: str) -> bool:
        """Whether PLAIN lets her in."""
        mechanism = PlainMechanism(exchange(), self.verona.provider)
        try:
            run(mechanism.step(f"\0juliet\0{password}".encode()))
        except SASLError:
            return False
        return mechanism.account == JULIET

    def scram(self, password: str) -> list[str]:
        """The hashes with which SCRAM lets her in."""
        works = []
        for hash in HASHES:
            mechanism = ScramMechanism(hash, exchange(), self.verona.provider)
            try:
                log_in(mechanism, ScramClient(hash, password=password))
            except SASLError:
                continue
            works.append(hash)
        return works

    def test_every_mechanism(self) -> None:
        """A client that prepares as RFC 5802 says, and PLAIN with either way of writing."""
        for typed, form in MAPPED.items():
            with self.subTest(typed=typed):
                run(self.passwords.set_password(JULIET, typed))
                self.assertEqual(self.scram(form), list(HASHES))
                self.assertTrue(self.plain(typed))
                self.assertTrue(self.plain(form))
                self.assertFalse(self.plain(typed + "x"))

    def test_no_form(self) -> None:
        """A password that SASLprep knows nothing of works as it is."""
        for typed in WITHOUT:
            with self.subTest(typed=typed):
                run(self.passwords.set_password(JULIET, typed))
                self.assertEqual(self.scram(typed), list(HASHES))
                self.assertTrue(self.plain(typed))

    def set_old_keys(self, password: str) -> None:
        """Keys as they were made before: of the OpaqueString."""
        old = password_forms(password)[-1]
        run(self.verona.store.accounts.set_keys(JULIET, make_keys(old, ITERATIONS)))

    def test_renewed(self) -> None:
        """Keys of the other form are renewed by PLAIN, once; then SCRAM works too."""
        typed = "\N{ROMAN NUMERAL NINE}"
        self.set_old_keys(typed)
        self.assertEqual(self.scram("IX"), [])
        self.assertFalse(self.plain("x"))
        self.assertEqual(self.scram("IX"), [])
        self.assertTrue(self.plain(typed))
        self.assertEqual(self.scram("IX"), list(HASHES))
        before = run(self.verona.store.accounts.credentials(JULIET))
        for password in (typed, "IX"):
            self.assertTrue(self.plain(password))
        self.assertEqual(run(self.verona.store.accounts.credentials(JULIET)), before)

    def test_tokens_stay(self) -> None:
        """Devices keep their tokens: the password is the same."""
        self.set_old_keys("\N{ROMAN NUMERAL NINE}")
        phone, token = Device("phone", "", "", 1.0, 1.0), Token(b"nonce", "HT", 1.0, 2.0)
        run(self.verona.store.devices.add_token(JULIET, phone, token, max_devices=1))
        self.assertTrue(self.plain("\N{ROMAN NUMERAL NINE}"))
        (kept,) = run(self.verona.store.devices.devices(JULIET))
        self.assertEqual(kept.tokens, (token,))

    def test_interrupted(self) -> None:
        """If the server is killed in the middle of it, the next login makes an end of it."""
        typed = "\N{ROMAN NUMERAL NINE}"
        self.set_old_keys(typed)
        add_key, calls = self.verona.store.accounts.add_key, 0

        async def dies(*args: object) -> bool:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise StoreError("the disk is gone")
            return await add_key(*args)  # type: ignore[arg-type]

        self.patch(self.verona.store.accounts, "add_key", dies)
        self.assertTrue(self.plain(typed))
        self.patch(self.verona.store.accounts, "add_key", add_key)
        self.assertTrue(self.plain(typed))
        self.assertEqual(self.scram("IX"), list(HASHES))

    def test_new_password_meanwhile(self) -> None:
        """Keys of a password that was changed meanwhile are not overwritten."""
        typed = "\N{ROMAN NUMERAL NINE}"
        self.set_old_keys(typed)
        new = make_keys(b"new", ITERATIONS)
        add_key = self.verona.store.accounts.add_key

        async def late(*args: object) -> bool:
            await self.verona.store.accounts.set_keys(JULIET, new)
            return await add_key(*args)  # type: ignore[arg-type]

        self.patch(self.verona.store.accounts, "add_key", late)
        self.plain(typed)
        credentials = run(self.verona.store.accounts.credentials(JULIET))
        assert credentials is not None
        self.assertEqual(credentials.keys, {key.hash: key for key in new})

    def test_same_work(self) -> None:
        """A password with two forms costs two PBKDF2, whether there is such an account or not."""
        for account in (JULIET, f"rosaline@{DOMAIN}"):
            before = self.verona.pbkdf2.calls
            check = self.verona.provider.check_password(account, "\N{ROMAN NUMERAL NINE}")
            self.assertFalse(run(check))
            self.assertEqual(self.verona.pbkdf2.calls - before, 2)

    def test_match(self) -> None:
        """A key is known by either form of its password."""
        form = "I\N{SUPERSCRIPT TWO}".encode()
        for prepared in (b"I2", form):
            key = derive_keys(prepared, "SHA-256", b"salt", ITERATIONS)
            self.assertTrue(run(self.passwords.match(key, form.decode())))
