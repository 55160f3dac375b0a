"""AuthProviders: who knows the accounts of a domain, several in their order (AU-11 to AU-14)."""

import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from twisted.logger import Logger

from xmppd.auth.base import AuthProvider, BearerGrant, SASLError
from xmppd.auth.provider import INTERNAL
from xmppd.events import Undo
from xmppd.stanza import JID
from xmppd.stanza.guests import is_guest
from xmppd.store.accounts import AccountExists, AccountStore
from xmppd.store.errors import STORE_FAILS, StoreError
from xmppd.store.scram_keys import ScramKeys

MAX_REMEMBERED = 10_000
REMEMBERED_S = 60.0
"""The time for which a password that was right is not asked for again."""

_log = Logger()


class AuthProviders(AuthProvider):
    """The place of providers, and one of all of them: for each account it asks those of its domain.

    All are asked about a wrong password, whether they know the account or not; so the answer takes
    the same time. What somebody else knows is remembered for a minute, by a hash whose key is only
    in memory.

    Args:
        internal: The accounts of our own store.
        store: Has a row for each account, whoever knows its password.
        orders: The names of the providers of each domain, in order.
        seconds: The steady clock.
    """

    name = "all"

    def __init__(
        self,
        internal: AuthProvider,
        store: AccountStore,
        orders: Mapping[str, Sequence[str]],
        seconds: Callable[[], float],
    ) -> None:
        self._internal = internal
        self._store = store
        self._orders = orders
        self._seconds = seconds
        self._there: dict[str, AuthProvider] = {INTERNAL: internal}
        self._process_key = secrets.token_bytes(32)
        self._seals: dict[str, tuple[bytes, float]] = {}

    def put(self, part: AuthProvider, owner: str) -> Undo:
        """Ask it about accounts of the domains that name it.

        Raises:
            ValueError: It has no name, or that of another.
        """
        if not part.name or part.name in self._there:
            raise ValueError(f'provider "{part.name}" already exists, or its name is invalid')
        self._there[part.name] = part
        return partial(self._take_out, part.name)

    def _take_out(self, name: str) -> None:
        del self._there[name]
        self._seals.clear()

    def missing(self) -> dict[str, str]:
        """The domains that name a provider which is not there, and its name."""
        return {
            domain: name
            for domain, names in self._orders.items()
            for name in names
            if name not in self._there
        }

    def has_keys(self, domain: str) -> bool:
        """Whether all providers of a domain that have passwords have keys of them: whoever has none
        cannot log in by them.
        """
        having = [name for name in self.names(domain) if self._may_have_passwords(name, domain)]
        return bool(having) and all(
            name in self._there and self._there[name].has_keys(domain) for name in having
        )

    def missing_hashes(self, domain: str) -> frozenset[str]:
        """Those of which one of them has no keys of some accounts."""
        there = [self._there[name] for name in self.names(domain) if name in self._there]
        return frozenset[str]().union(*(each.missing_hashes(domain) for each in there))

    def has_passwords(self, domain: str) -> bool:
        """Whether one provider of a domain has passwords."""
        return any(self._may_have_passwords(name, domain) for name in self.names(domain))

    def _may_have_passwords(self, name: str, domain: str) -> bool:
        """Whether a provider has; one that is not there may, and then nobody can say."""
        return name not in self._there or self._there[name].has_passwords(domain)

    def takes_tokens(self, domain: str) -> bool:
        """Whether one provider of a domain takes tokens."""
        return any(True for _ in self._taking_tokens(domain))

    def _taking_tokens(self, domain: str) -> Iterator[AuthProvider]:
        for name in self.names(domain):
            if name in self._there and self._there[name].takes_tokens(domain):
                yield self._there[name]

    async def check_token(self, domain: str, token: str) -> BearerGrant | None:
        """What the first provider says that the token grants, which is an account of the domain.

        Raises:
            SASLError: ``temporary-auth-failure``: nothing, but one could not be asked.
        """
        away: SASLError | None = None
        for provider in self._taking_tokens(domain):
            try:
                grant = await provider.check_token(domain, token)
            except SASLError as error:
                away = error
                continue
            if grant is None or _domain(grant.account) != domain or is_guest(grant.account):
                continue
            await self._appear(grant.account, provider.name)
            return grant
        if away is not None:
            raise away
        return None

    def token_hints(self, domain: str) -> Mapping[str, str]:
        """Those of the first provider that takes tokens."""
        return next((each.token_hints(domain) for each in self._taking_tokens(domain)), {})

    async def scram_keys(self, account: str, hash: str) -> ScramKeys:
        """The keys of the first provider of the domain that has some."""
        domain = _domain(account)
        for name in self.names(domain):
            provider = self._there.get(name)
            if provider is not None and provider.has_keys(domain):
                return await provider.scram_keys(account, hash)
        raise SASLError("invalid-mechanism", "This domain has no keys.")

    async def check_password(self, account: str, password: str) -> bool:
        """Whether one of them knows this password.

        Raises:
            SASLError: ``temporary-auth-failure``: none does, but one could not be asked.
        """
        away: SASLError | None = None
        domain = _domain(account)
        for name in self.names(domain):
            if not self._may_have_passwords(name, domain):
                continue
            try:
                if await self._is_known(name, account, password):
                    return True
            except SASLError as error:
                away = error
            except StoreError as error:
                away = SASLError("temporary-auth-failure", STORE_FAILS)
                away.__cause__ = error
        if away is not None:
            raise away
        return False

    async def _is_known(self, name: str, account: str, password: str) -> bool:
        provider = self._there.get(name)
        if provider is None:
            raise SASLError(
                "temporary-auth-failure", "The server cannot check passwords at the moment."
            )
        if provider is self._internal:
            return await provider.check_password(account, password)
        if is_guest(account):
            return False
        seal = hmac.digest(self._process_key, f"{name}\0{account}\0{password}".encode(), "sha256")
        known, until = self._seals.get(account, (b"", 0.0))
        if not (hmac.compare_digest(known, seal) and self._seconds() < until):
            if not await provider.check_password(account, password):
                return False
            self._remember(account, seal)
        await self._appear(account, name)
        return True

    async def _appear(self, account: str, name: str) -> None:
        """Make an account at its first login; it has no keys, so nobody logs in by those."""
        if not await self._store.exists(account):
            with suppress(AccountExists):
                await self._store.create_account(account, ())
                _log.info(
                    "{account} was created, because it exists in {name}", account=account, name=name
                )

    def _remember(self, account: str, seal: bytes) -> None:
        self._seals.pop(account, None)
        if len(self._seals) >= MAX_REMEMBERED:
            del self._seals[next(iter(self._seals))]
        self._seals[account] = (seal, self._seconds() + REMEMBERED_S)

    async def may_log_in(self, account: str) -> bool:
        """Whether the account is there, and no administrator has closed it."""
        return await self._internal.may_log_in(account)

    def names(self, domain: str) -> Sequence[str]:
        """Those of the providers of a domain, in order."""
        return self._orders.get(domain, (INTERNAL,))


def _domain(account: str) -> str:
    return JID.parse(account).domain
