"""Accounts and passwords, over a store."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    ITERATIONS,
    JULIET,
    KEYS,
    PASSWORD,
    Verona,
    run,
)
from xmppd.auth import provider as provider_module
from xmppd.auth.base import SASLError
from xmppd.auth.keys import SALT_BYTES, derive_keys
from xmppd.auth.provider import Passwords
from xmppd.store.accounts import AccountExists, NoSuchAccount

NOBODY = f"rosaline@{DOMAIN}"
ROMEO = f"romeo@{DOMAIN}"


class ScramKeysTests(SynchronousTestCase):
    """SQLAuthProvider.scram_keys."""

    def test_known(self) -> None:
        """A known account has its own keys."""
        self.assertEqual(run(Verona().provider.scram_keys(JULIET, "SHA-512")), KEYS[2])

    def test_unknown(self) -> None:
        """An unknown account has keys of the shape of any other, for each hash its own."""
        provider = Verona().provider
        for known in KEYS:
            with self.subTest(known.hash):
                unknown = run(provider.scram_keys(NOBODY, known.hash))
                self.assertEqual(unknown.iterations, ITERATIONS)
                self.assertEqual(len(unknown.salt), SALT_BYTES)
                self.assertEqual(len(unknown.stored_key), len(known.stored_key))
                self.assertEqual(len(unknown.server_key), len(known.server_key))
        salts = {run(provider.scram_keys(NOBODY, keys.hash)).salt for keys in KEYS}
        self.assertEqual(len(salts), len(KEYS))

    def test_stable(self) -> None:
        """The same secret makes the same keys on another node, another secret does not."""
        first = run(Verona().provider.scram_keys(NOBODY, "SHA-1"))
        self.assertEqual(run(Verona().provider.scram_keys(NOBODY, "SHA-1")), first)
        other = run(Verona(secret=b"of another").provider.scram_keys(NOBODY, "SHA-1"))
        self.assertNotEqual(other.salt, first.salt)


class CheckPasswordTests(SynchronousTestCase):
    """SQLAuthProvider.check_password; PBKDF2 is counted, since it is what takes time."""

    def setUp(self) -> None:
        self.verona = Verona()

    def _check(self, account: str, password: str) -> tuple[bool, int]:
        before = self.verona.pbkdf2.calls
        right = run(self.verona.provider.check_password(account, password))
        return right, self.verona.pbkdf2.calls - before

    def test_same_work(self) -> None:
        """A wrong password and an unknown account cost one PBKDF2 each."""
        for _ in range(2):
            self.assertEqual(self._check(JULIET, "wrong"), (False, 1))
            self.assertEqual(self._check(NOBODY, PASSWORD), (False, 1))

    def test_remembered(self) -> None:
        """A password that was right costs nothing the second time; a wrong one still fails."""
        self.assertEqual(self._check(JULIET, PASSWORD), (True, 1))
        self.assertEqual(self._check(JULIET, PASSWORD), (True, 0))
        self.assertEqual(self._check(JULIET, "wrong"), (False, 1))
        self.assertEqual(self._check(JULIET, PASSWORD), (True, 0))

    def test_new_password(self) -> None:
        """A new password makes the old one worthless at once."""
        self._check(JULIET, PASSWORD)
        new = derive_keys(b"new", "SHA-256", b"salt", ITERATIONS)
        run(self.verona.store.accounts.set_keys(JULIET, [new]))
        self.assertEqual(self._check(JULIET, PASSWORD), (False, 1))
        self.assertEqual(self._check(JULIET, "new"), (True, 1))

    def test_memory_is_bounded(self) -> None:
        """When too many passwords are remembered, the one not used for longest is forgotten."""
        run(self.verona.store.accounts.create_account(ROMEO, KEYS))
        self.patch(provider_module, "MAX_REMEMBERED_PASSWORDS", 1)
        self._check(JULIET, PASSWORD)
        self._check(ROMEO, PASSWORD)
        self.assertEqual(self._check(ROMEO, PASSWORD), (True, 0))
        self.assertEqual(self._check(JULIET, PASSWORD), (True, 1))

    def test_only_keys_of_sha_1(self) -> None:
        """An account with keys of one hash only, as imported, is checked with that."""
        run(self.verona.store.accounts.set_keys(JULIET, KEYS[:1]))
        self.assertEqual(self._check(JULIET, PASSWORD), (True, 1))

    def test_prepared(self) -> None:
        """One password typed in two ways of Unicode is one password (RFC 8265)."""
        keys = derive_keys("Käthe ".encode() + b"B", "SHA-256", b"salt", ITERATIONS)
        run(self.verona.store.accounts.set_keys(JULIET, [keys]))
        self.assertTrue(self._check(JULIET, "Ka\u0308the\u00a0B")[0])


class MayLogInTests(SynchronousTestCase):
    """SQLAuthProvider.may_log_in."""

    def test_who(self) -> None:
        """Who exists, and whom no administrator has closed the account of."""
        verona = Verona()
        self.assertTrue(run(verona.provider.may_log_in(JULIET)))
        self.assertFalse(run(verona.provider.may_log_in(NOBODY)))
        run(verona.store.accounts.set_disabled(JULIET, True))
        with self.assertRaises(SASLError):
            run(verona.provider.may_log_in(JULIET))
        run(verona.store.accounts.set_disabled(JULIET, False))
        self.assertTrue(run(verona.provider.may_log_in(JULIET)))


class PasswordsTests(SynchronousTestCase):
    """Passwords."""

    def setUp(self) -> None:
        self.verona = Verona()
        self.passwords = Passwords(
            self.verona.store.accounts, iterations=ITERATIONS, run_in_thread=self.verona.pbkdf2
        )

    def test_create(self) -> None:
        """A new account has keys for every hash, each with its own salt, and no password."""
        run(self.passwords.create(ROMEO, "it is the east"))
        credentials = run(self.verona.store.accounts.credentials(ROMEO))
        assert credentials is not None
        self.assertEqual(set(credentials.keys), {"SHA-1", "SHA-256", "SHA-512"})
        self.assertEqual(len({keys.salt for keys in credentials.keys.values()}), 3)
        self.assertNotIn("the east", repr(credentials))
        self.assertTrue(run(self.verona.provider.check_password(ROMEO, "it is the east")))

    def test_exists(self) -> None:
        """A name is given once."""
        with self.assertRaises(AccountExists):
            run(self.passwords.create(JULIET, "mine now"))

    def test_set_password(self) -> None:
        """A password can be changed, of an account that exists."""
        run(self.passwords.set_password(JULIET, "new"))
        self.assertTrue(run(self.verona.provider.check_password(JULIET, "new")))
        self.assertFalse(run(self.verona.provider.check_password(JULIET, PASSWORD)))
        with self.assertRaises(NoSuchAccount):
            run(self.passwords.set_password(NOBODY, "new"))

    def test_impossible(self) -> None:
        """An empty, endless or unprintable password is refused, and not repeated in the error."""
        for password in ("", "secret\x07", "secret" * 200):
            with self.subTest(password[:8]):
                with self.assertRaises(ValueError) as caught:
                    run(self.passwords.set_password(JULIET, password))
                self.assertNotIn("secret", repr(caught.exception))
                self.assertIsNone(caught.exception.__cause__)
