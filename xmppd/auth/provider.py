"""SQLAuthProvider: the accounts of the store for SASL, and their passwords for administrators."""

import hmac
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

from xmppd.auth.base import AuthProvider, RunInThread, SASLError
from xmppd.auth.keys import (
    ALGORITHMS,
    SALT_BYTES,
    keys_match,
    make_keys,
    password_forms,
    prepare_password,
)
from xmppd.stanza.date_time import to_the_minute
from xmppd.stanza.guests import is_guest
from xmppd.store.accounts import AccountStore, Credentials
from xmppd.store.errors import StoreError
from xmppd.store.key_kinds import KeyKind, KeyKindStore
from xmppd.store.scram_keys import ScramKeys

INTERNAL = "internal"
"""The name of our own store among the providers of a domain."""

MAX_REMEMBERED_PASSWORDS = 10_000

# For PLAIN any hash would do, since the password is known: the quickest to compute comes first.
_PLAIN_HASHES = ("SHA-256", "SHA-512", "SHA-1")
_UUID_CHARACTERS = 36


class SQLAuthProvider(AuthProvider):
    """The accounts of our own store.

    An unknown account gets a salt derived from the server's secret: the same today, after a restart
    and on every node with that secret. It looks like an account made now, or like one that has come
    from elsewhere to its domain. Accounts made under another ``scram_iterations`` can be told from
    it until they get a new password.

    Args:
        store: The accounts.
        key_kinds: The kinds of keys that accounts have brought.
        secret: The server's own; the same on every node, and over restarts.
        iterations: PBKDF2 rounds of accounts made now.
        run_in_thread: Runs PBKDF2.
    """

    def __init__(
        self,
        store: AccountStore,
        key_kinds: KeyKindStore,
        *,
        secret: bytes,
        iterations: int,
        run_in_thread: RunInThread,
    ) -> None:
        self._store = store
        self._key_kinds = key_kinds
        self._secret = secret
        self._iterations = iterations
        self._run_in_thread = run_in_thread
        self._process_key = secrets.token_bytes(32)
        self._seals: dict[str, bytes] = {}

    name = "internal"

    def has_keys(self, domain: str) -> bool:
        """It has keys of all its accounts."""
        return True

    def missing_hashes(self, domain: str) -> frozenset[str]:
        """Those of which accounts that have moved in have brought no keys."""
        return self._key_kinds.missing(domain)

    async def scram_keys(self, account: str, hash: str) -> ScramKeys:
        """The account's keys; if there is none, keys that nobody can satisfy."""
        return self._keys(account, await self._store.credentials(account), hash)

    async def check_password(self, account: str, password: str) -> bool:
        """Whether this is the password: by PBKDF2 once, then by a seal that is kept in memory.

        Keys that are of another form of it than those that are made now are renewed (PW-2).
        """
        try:
            forms = password_forms(password)
        except ValueError:
            return False
        credentials = await self._store.credentials(account)
        plain_hash = self._plain_hash(account, credentials)
        keys = self._keys(account, credentials, plain_hash)
        seal = hmac.digest(self._process_key, keys.stored_key + forms[0], "sha256")
        if hmac.compare_digest(self._seals.get(account, b""), seal):
            return True
        for form in forms:
            if await self._run_in_thread(keys_match, keys, form):
                break
        else:
            return False
        if form is not forms[0] and credentials is not None:
            with suppress(StoreError):  # then it is tried again with the next login
                await self._renew(account, credentials, forms[0], plain_hash)
        else:
            self._remember(account, seal)
        return True

    async def _renew(
        self, account: str, known: Credentials, prepared: bytes, plain_hash: str
    ) -> None:
        """Give an account keys of the right form of its password, unless it gets a new one.

        The key that PLAIN is checked by comes last: should the server be killed before that, the
        next login renews them all.
        """
        made = await self._run_in_thread(make_keys, prepared, self._iterations)
        keys = dict(known.keys)
        for key in sorted(made, key=lambda key: key.hash == plain_hash):
            if not await self._store.add_key(account, key, keys):
                return
            keys[key.hash] = key

    async def may_log_in(self, account: str) -> bool:
        """Whether the account exists and is not disabled."""
        credentials = await self._store.credentials(account)
        if credentials is None:
            return False
        if credentials.disabled:
            until = credentials.disabled_until
            how_long = "" if until is None else f" until {to_the_minute(until)}"
            raise SASLError("account-disabled", f"This account is closed{how_long}.")
        return True

    def _keys(self, account: str, credentials: Credentials | None, hash: str) -> ScramKeys:
        if credentials is None or hash not in credentials.keys:
            return self._unsatisfiable(account, hash)
        return credentials.keys[hash]

    def _unsatisfiable(self, account: str, hash: str) -> ScramKeys:
        """Keys that belong to no password: to find one would be to invert the hash."""

        def derived(purpose: str) -> bytes:
            message = f"{purpose}\0{hash}\0{account}".encode()
            return hmac.digest(self._secret, message, ALGORITHMS[hash])

        kinds = self._key_kinds.of(_domain(account), hash)
        kinds = [KeyKind(hash, self._iterations, SALT_BYTES), *kinds]
        kind = kinds[int.from_bytes(derived("kind")) % len(kinds)]
        return ScramKeys(
            hash=hash,
            salt=_salt(derived("salt"), kind.salt_bytes),
            iterations=kind.iterations,
            stored_key=derived("stored key"),
            server_key=derived("server key"),
        )

    def _plain_hash(self, account: str, credentials: Credentials | None) -> str:
        """The hash by which a password is checked: for all accounts of a domain the same, if each
        has keys of one, so that it takes the same time.
        """
        missing = self.missing_hashes(_domain(account))
        hashes = sorted(_PLAIN_HASHES, key=lambda hash: hash in missing)
        keys = credentials.keys if credentials is not None else {}
        return next((hash for hash in hashes if hash in keys), hashes[0])

    def _remember(self, account: str, seal: bytes) -> None:
        """Keep the seal of a right password. It is of the stored key too: a new one breaks it."""
        self._seals.pop(account, None)
        if len(self._seals) >= MAX_REMEMBERED_PASSWORDS:
            del self._seals[next(iter(self._seals))]
        self._seals[account] = seal


def _domain(account: str) -> str:
    return account.rpartition("@")[2]


def _salt(random: bytes, length: int) -> bytes:
    """A salt of a length; those of Prosody are the text of a UUID."""
    if length == _UUID_CHARACTERS:
        return str(UUID(bytes=random[:16], version=4)).encode()
    return (random * (length // len(random) + 1))[:length]


class Passwords:
    """New accounts and new passwords, for registration and administrators.

    Args:
        store: The accounts.
        iterations: PBKDF2 rounds.
        run_in_thread: Runs PBKDF2.
        keepers: The names of those who know the passwords of a domain.
    """

    def __init__(
        self,
        store: AccountStore,
        *,
        iterations: int,
        run_in_thread: RunInThread,
        keepers: Callable[[str], Sequence[str]] = lambda domain: (INTERNAL,),
    ) -> None:
        self._keepers = keepers
        self._store = store
        self._iterations = iterations
        self._run_in_thread = run_in_thread

    def are_kept(self, domain: str) -> bool:
        """Whether passwords of a domain are kept here: else accounts are made elsewhere."""
        return INTERNAL in self._keepers(domain)

    async def keeper(self, account: str) -> str:
        """Who else keeps the password of an account that its owner has logged in to, such as
        ``ldap``; empty if it is kept here.
        """
        names = self._keepers(account.partition("@")[2])
        others = [name for name in names if name != INTERNAL]
        if others and INTERNAL in names:
            known = await self._store.credentials(account)
            others = others if known is not None and not known.keys else []
        return " or ".join(others)

    async def create(self, account: str, password: str) -> None:
        """Add an account.

        Raises:
            ValueError: The password cannot be one, or the name is of those that guests are given.
            AccountExists: There is one of this name.
        """
        if is_guest(account):
            raise ValueError("names of this form are reserved for guests")
        self._refuse_elsewhere(account)
        await self._store.create_account(account, await self.keys(password))

    async def set_password(self, account: str, password: str) -> None:
        """Give an account another password.

        Raises:
            ValueError: The password cannot be one.
            NoSuchAccount: There is none of this name.
        """
        self._refuse_elsewhere(account)
        await self._store.set_keys(account, await self.keys(password))

    def why_not(self, domain: str) -> str:
        """Why nobody here gives a password to accounts of a domain; empty if that can be done."""
        if self.are_kept(domain):
            return ""
        names = " or ".join(self._keepers(domain))
        return f"{names} manages the accounts of {domain}: change accounts and passwords there"

    def _refuse_elsewhere(self, account: str) -> None:
        why = self.why_not(account.partition("@")[2])
        if why:
            raise ValueError(why)

    async def match(self, key: ScramKeys, password: str) -> bool:
        """Whether a key is of this password, in whichever form.

        Raises:
            ValueError: The password cannot be one.
        """
        for form in password_forms(password):
            if await self._run_in_thread(keys_match, key, form):
                return True
        return False

    async def keys(self, password: str) -> tuple[ScramKeys, ...]:
        """Keys of a password for every hash.

        Raises:
            ValueError: It cannot be one.
        """
        prepared = prepare_password(password)
        return await self._run_in_thread(make_keys, prepared, self._iterations)
