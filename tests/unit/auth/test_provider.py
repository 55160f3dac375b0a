"""Accounts and passwords, over a store."""

from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    ITERATIONS,
    JULIET,
    KEYS,
    PASSWORD,
    HereAndNow,
    Verona,
    run,
)
from xmppd.auth import provider as provider_module
from xmppd.auth.base import SASLError
from xmppd.auth.keys import SALT_BYTES, derive_keys
from xmppd.auth.provider import Passwords
from xmppd.store import key_kinds
from xmppd.store.accounts import AccountExists, NoSuchAccount
from xmppd.store.arrivals import Arrival

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


class KeyKindTests(SynchronousTestCase):
    """Accounts that have moved in with keys of their own (AU-16)."""

    def setUp(self) -> None:
        self.verona = Verona()

    def bring(self, name: str, iterations: int, salt: bytes, hash: str = "SHA-1") -> str:
        """Move somebody in, who has one key."""
        account, store = f"{name}@{DOMAIN}", self.verona.store
        key = derive_keys(PASSWORD.encode(), hash, salt, iterations)
        run(store.arrivals.add(Arrival(account, [key]), is_new=True))
        run(store.arrivals.finish(account, disabled=False))
        return account

    def seen(self, verona: Verona | None = None) -> set[tuple[int, int]]:
        """The kinds of keys that names have which nobody has."""
        provider = (verona or self.verona).provider
        keys = [run(provider.scram_keys(f"n{n}@{DOMAIN}", "SHA-1")) for n in range(60)]
        return {(key.iterations, len(key.salt)) for key in keys}

    def test_unknown_looks_like_them(self) -> None:
        """Rounds and salts do not tell who is there: a name that nobody has may have any that
        somebody has brought, always the same.
        """
        ours = (ITERATIONS, SALT_BYTES)
        self.assertEqual(self.seen(), {ours})
        account = self.bring("romeo", 10, b"a" * 24)
        self.bring("tybalt", 11, str(UUID(int=1)).encode())
        brought = {(10, 24), (11, 36)}
        self.assertEqual(self.seen(), {ours, *brought})
        key = run(self.verona.provider.scram_keys(account, "SHA-1"))
        self.assertIn((key.iterations, len(key.salt)), self.seen())
        salts = [
            run(self.verona.provider.scram_keys(f"n{n}@{DOMAIN}", "SHA-1")).salt for n in range(60)
        ]
        for salt in salts:
            if len(salt) == 36:
                self.assertEqual(str(UUID(salt.decode())).encode(), salt)
        elsewhere = run(self.verona.provider.scram_keys("a@other.example", "SHA-1"))
        self.assertEqual(elsewhere.iterations, ITERATIONS)

    def test_missing(self) -> None:
        """A hash of which somebody has no key is missing at that domain, over a restart too, until
        all have one.
        """
        provider, kinds = self.verona.provider, self.verona.store.key_kinds
        self.assertEqual(provider.missing_hashes(DOMAIN), frozenset())
        account = self.bring("romeo", 10, b"salt")
        self.assertEqual(provider.missing_hashes(DOMAIN), {"SHA-256", "SHA-512"})
        run(kinds.load([DOMAIN, "other.example"], forgets=True))
        self.assertEqual(provider.missing_hashes(DOMAIN), {"SHA-256", "SHA-512"})
        self.assertEqual(provider.missing_hashes("other.example"), frozenset())
        run(self.verona.store.accounts.set_keys(account, KEYS))
        run(kinds.load([DOMAIN]))
        self.assertEqual(provider.missing_hashes(DOMAIN), {"SHA-256", "SHA-512"})
        for _ in range(2):
            run(kinds.load([DOMAIN], forgets=True))
            self.assertEqual(provider.missing_hashes(DOMAIN), frozenset())

    def test_same_work(self) -> None:
        """PLAIN is checked by a hash that all have, so that a wrong password takes the same time,
        whether there is such an account or not.
        """
        self.bring("romeo", ITERATIONS, b"salt")
        asked = []

        class Noted(HereAndNow):
            async def __call__(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
                asked.append((args[0].hash, args[0].iterations))
                return await super().__call__(function, *args, **kwargs)

        self.patch(self.verona.provider, "_run_in_thread", Noted())
        for name in ("romeo", "juliet", "rosaline"):
            self.assertFalse(run(self.verona.provider.check_password(f"{name}@{DOMAIN}", "x")))
        self.assertEqual(set(asked), {("SHA-1", ITERATIONS)})

    def test_bounded(self) -> None:
        """Of a domain so many kinds are known; what is missing is noted all the same."""
        self.patch(key_kinds, "MAX_KINDS", 4)
        for number in range(6):
            self.bring(f"a{number}", 10 + number, b"salt")
        self.bring("b", 10, b"salt", hash="SHA-256")
        kinds = self.verona.store.key_kinds
        self.assertLess(len(kinds.of(DOMAIN, "SHA-1")), 5)
        self.assertEqual(kinds.missing(DOMAIN), {"SHA-1", "SHA-256", "SHA-512"})


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
