"""Failed logins: guesses slow down the guesser, and keep nobody else out (AT-1 to AT-7).

The counts, and the attempts that they slow down:

- Failures from a **network** (:func:`network_of`), whatever the account. From
  ``failures_before_delay`` on attempts from there take turns, at a distance that doubles with every
  failure up to ``max_delay_s``; at ``failures_before_lockout`` all from there are refused until
  nothing was counted for ``lockout_s``.
- Failures at an **account** from elsewhere than its homes. Attempts from there wait a little for
  their answer, each by itself: at most :data:`MAX_DELAY_ELSEWHERE_S`, however many guess at it from
  however many networks. An account is never locked, so nobody can lock out its owner.
- Failures at an account from a network that is its **home**, since its password came from there.
  There nothing else counts, and they count nowhere else: guesses of others do not slow down the
  owner at home, and a client with an old password slows down no other client there.

Failures of networks, and at accounts from elsewhere, are counted by all nodes of a service together
(CL-90), so that a guesser gains nothing by going from one to another.

An account that does not exist is counted as if it did, so that limits do not tell it apart. Only
wrong proofs are counted. A malformed message is no guess, nor is a right proof that is refused, nor
a token (FA-6), nor a channel binding that there is not (AT-7).
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TypeGuard

from twisted.internet.defer import DeferredSemaphore

from xmppd.auth.base import AuthProvider, BindingRefused, Exchange, Mechanism, SASLError
from xmppd.auth.login_failures import LoginFailure, LoginFailures
from xmppd.auth.mechanisms import begin
from xmppd.cluster.tally import NoTally, Tally
from xmppd.config.config import AuthSettings
from xmppd.host.clocks import Clocks
from xmppd.store.accounts import AccountStore, NoSuchAccount
from xmppd.store.scram_keys import ScramKeys

MAX_KEPT_NETWORKS = 4_096

PATIENCE_S = 10.0
"""A login that comes this much too early waits for its turn; one that comes earlier is refused."""

MAX_DELAY_ELSEWHERE_S = 2.0
"""The longest that a login from elsewhere waits because others guess at the same account."""

MAX_HOMES = 20
"""Networks that are remembered as an account's; with more the one longest ago is forgotten."""

MAX_BEGUN = 16
"""Attempts from one network at one account elsewhere that may be under way without delay."""

DERIVATIONS_PER_NETWORK = 2
"""The number of PBKDF2 of one network at the same time; of one account, one."""

NO_TALLY = NoTally()

_WITH_PASSWORD = ("SCRAM-", "PLAIN")


@dataclass(slots=True)
class _Record:
    count: int = 0
    counted_at: float = 0.0
    next_turn: float = 0.0


class _Counts:
    """Counts by key, and the turns that follow from them; the oldest count makes room.

    Args:
        settings: The limits.
        now: The time on the steady clock.
        free: The count up to which there is no delay; None for ``failures_before_delay``.
    """

    def __init__(
        self, settings: AuthSettings, now: Callable[[], float], free: int | None = None
    ) -> None:
        self._settings = settings
        self._now = now
        self._free = free
        self._records: dict[str, _Record] = {}

    def use(self, settings: AuthSettings) -> None:
        """Take other limits."""
        self._settings = settings

    def __len__(self) -> int:
        return len(self._records)

    def count(self, key: str) -> int:
        """The count of this key."""
        record = self._current(key)
        return 0 if record is None else record.count

    def delay_s(self, key: str) -> float:
        """The distance between two turns."""
        record = self._current(key)
        return 0.0 if record is None else self._distance_s(record)

    def left_s(self, key: str) -> float:
        """The seconds until the count of this key is forgotten."""
        record = self._current(key)
        if record is None:
            return 0.0
        return record.counted_at + self._settings.lockout_s - self._now()

    def wait_s(self, key: str) -> float:
        """The seconds that an attempt would have to wait now."""
        record = self._current(key)
        return 0.0 if record is None else max(0.0, record.next_turn - self._now())

    def take_turn(self, key: str) -> None:
        """Take the next turn, so that the attempt after this one waits longer."""
        record = self._current(key)
        if record is not None:
            record.next_turn = max(record.next_turn, self._now()) + self._distance_s(record)

    def add(self, key: str) -> int:
        """Count one more; returns the count."""
        now = self._now()
        record = self._current(key) or _Record()
        record.count += 1
        record.counted_at = now
        record.next_turn = max(record.next_turn, now + self._distance_s(record))
        self._records.pop(key, None)
        self._records[key] = record
        if len(self._records) > self._settings.remembered_addresses:
            del self._records[next(iter(self._records))]
        return record.count

    def raise_to(self, key: str, count: int) -> None:
        """Have counted as much as this, at least."""
        record = self._current(key)
        if record is not None and record.count < count:
            record.count = count
            record.next_turn = max(record.next_turn, self._now() + self._distance_s(record))

    def take_back(self, key: str) -> None:
        """Count one less."""
        record = self._current(key)
        if record is not None:
            record.count -= 1
            if record.count <= 0:
                del self._records[key]

    def forget(self, key: str) -> None:
        """Forget the count of this key."""
        self._records.pop(key, None)

    def _current(self, key: str) -> _Record | None:
        record = self._records.get(key)
        if record is not None and self._now() >= record.counted_at + self._settings.lockout_s:
            del self._records[key]
            return None
        return record

    def _distance_s(self, record: _Record) -> float:
        free = self._settings.failures_before_delay if self._free is None else self._free
        beyond = record.count - free
        return 0.0 if beyond < 0 else min(self._settings.max_delay_s, 2.0 ** min(beyond, 30))


class AttemptLimiter:
    """The counts of failed logins of this server, and the delays that follow from them.

    Args:
        store: Keeps the locks of before.
        settings: The limits; ``remembered_addresses`` bounds each of the counts.
        clocks: Counts go by the steady one.
        sleep: Waits for so many seconds.
        locks_out: Whether a network that fails too often is refused; else it is only slowed down.
        tally: The counts of all nodes.

    Attributes:
        failures: The last failed logins of accounts, for administrators.
    """

    def __init__(
        self,
        store: AccountStore,
        settings: AuthSettings,
        *,
        clocks: Clocks,
        sleep: Callable[[float], Awaitable[object]],
        locks_out: bool = True,
        tally: Tally = NO_TALLY,
    ) -> None:
        self._store = store
        self._locks_out = locks_out
        self._tally = tally
        self._settings = settings
        self._sleep = sleep
        self._networks = _Counts(settings, clocks.seconds)
        self._accounts = _Counts(settings, clocks.seconds)
        self._at_home = _Counts(settings, clocks.seconds)
        self._begun = _Counts(settings, clocks.seconds, free=MAX_BEGUN)
        self._changes = _Counts(settings, clocks.seconds)
        self._homes: dict[str, dict[str, None]] = {}
        self._derivations: dict[str, DeferredSemaphore] = {}
        self._now = clocks.seconds
        self.failures = LoginFailures()

    def use(self, settings: AuthSettings) -> None:
        """Take other limits; the counts stay."""
        self._settings = settings
        for counts in self._all:
            counts.use(settings)

    @property
    def _all(self) -> tuple[_Counts, ...]:
        return (self._networks, self._accounts, self._at_home, self._begun, self._changes)

    def begin(self, name: str, exchange: Exchange, provider: AuthProvider) -> Mechanism:
        """A new exchange of this mechanism that takes its turn, and whose end is counted.

        Raises:
            SASLError: ``invalid-mechanism``: it was not offered.
        """
        if not name.startswith(_WITH_PASSWORD):
            return begin(name, exchange, provider)  # there is nothing to guess
        patient = _PatientProvider(provider, self, exchange.address)
        mechanism = begin(name, exchange, patient)
        return _CountedMechanism(mechanism, patient, self, exchange.address)

    # -- attempts ---------------------------------------------------------------------------------

    async def turn(self, account: str, address: str) -> None:
        """Wait until an attempt at this account from this address may be made.

        Raises:
            SASLError: ``temporary-auth-failure``: it comes more than :data:`PATIENCE_S` too early,
                or from a network that has guessed too often.
        """
        network = network_of(address)
        pair = _pair(account, network)
        if self._is_home(account, network):
            await self._wait(self._take_turns((self._at_home, pair)))
            return
        if self._is_too_many(self._networks.count(network)):
            raise _too_early()
        at_least_s = min(self._accounts.delay_s(account), MAX_DELAY_ELSEWHERE_S)
        # Counted until it ends: guesses that are made all at once are guesses too.
        self._begun.add(pair)
        try:
            wait_s = self._take_turns((self._networks, network), (self._begun, pair))
        except SASLError:
            self._begun.take_back(pair)
            raise
        await self._wait(max(wait_s, at_least_s))

    def _is_too_many(self, failures: int) -> bool:
        return self._locks_out and failures >= self._settings.failures_before_lockout

    async def failed(self, account: str | None, address: str) -> None:
        """Count a failure.

        Args:
            account: The account that was tried; None if none was named.
            address: The address it came from.
        """
        network = network_of(address)
        if account is None:
            await self._count(self._networks, network)
            return
        pair = _pair(account, network)
        if self._is_home(account, network):
            if self._is_too_many(self._at_home.add(pair)):
                self._homes[account].pop(network)
            return
        self._begun.take_back(pair)
        await self._count(self._networks, network)
        await self._count(self._accounts, account)

    async def _count(self, counts: _Counts, key: str) -> None:
        """Count a failure, here and with the other nodes."""
        counts.add(key)
        of_all = await self._tally.add(self._shared_key(counts, key), self._settings.lockout_s)
        counts.raise_to(key, of_all)

    def _shared_key(self, counts: _Counts, key: str) -> str:
        return f"{'network' if counts is self._networks else 'account'} {key}"

    def came_to_nothing(self, account: str, address: str) -> None:
        """Take back the turn of an attempt that has ended and was no guess."""
        self._begun.take_back(_pair(account, network_of(address)))

    def succeeded(self, account: str, address: str) -> None:
        """Remember that the account is at home there, and forget earlier failures there."""
        network = network_of(address)
        pair = _pair(account, network)
        self._begun.forget(pair)
        self._at_home.forget(pair)
        homes = self._homes.pop(account, {})
        homes.pop(network, None)
        homes[network] = None
        if len(homes) > MAX_HOMES:
            del homes[next(iter(homes))]
        self._homes[account] = homes
        if len(self._homes) > self._settings.remembered_addresses:
            del self._homes[next(iter(self._homes))]

    async def unlock(self, account: str) -> None:
        """Forget an account's failures: for administrators.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        if not await self._store.exists(account):
            raise NoSuchAccount(account)
        self._accounts.forget(account)
        await self._tally.forget(self._shared_key(self._accounts, account))

    def _is_home(self, account: str, network: str) -> bool:
        return network in self._homes.get(account, ())

    def _take_turns(self, *turns: tuple[_Counts, str]) -> float:
        """Take a turn of each; returns the seconds until the last of them."""
        wait_s = max(counts.wait_s(key) for counts, key in turns)
        if wait_s > PATIENCE_S:
            raise _too_early()
        for counts, key in turns:
            counts.take_turn(key)
        return wait_s

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await self._sleep(seconds)

    # -- for administrators -----------------------------------------------------------------------

    def note(self, account: str, address: str, mechanism: str, condition: str) -> None:
        """Note a login that has failed, whatever the reason."""
        self.failures.note(account, LoginFailure(self._now(), address, mechanism, condition))

    def delay_elsewhere_s(self, account: str) -> float:
        """The seconds that a login waits which comes from elsewhere than a home of the account."""
        return min(self._accounts.delay_s(account), MAX_DELAY_ELSEWHERE_S)

    def locked_s(self, address: str) -> float:
        """The seconds for which nobody may log in from an address, if nothing else fails there."""
        network = network_of(address)
        if not self._is_too_many(self._networks.count(network)):
            return 0.0
        return self._networks.left_s(network)

    # -- new passwords ----------------------------------------------------------------------------

    async def change_turn(self, account: str, address: str) -> None:
        """Wait until the account may be given another password from this address.

        Changes are counted, for the account and for the network, and take turns as failures do.

        Raises:
            SASLError: ``temporary-auth-failure``: it comes more than :data:`PATIENCE_S` too early.
        """
        keys = (account, network_of(address))
        wait_s = self._take_turns(*((self._changes, key) for key in keys))
        for key in keys:
            self._changes.add(key)
        await self._wait(wait_s)

    def derivation(self, account: str, address: str) -> AbstractAsyncContextManager[None]:
        """A context in which PBKDF2 may run: once for each account, and a few times for each
        network.

        Others wait in the order in which they came; each of them is a stream that waits.
        """
        # In this order: a call that waits for an account holds a place of its own network only.
        wanted = ((network_of(address), DERIVATIONS_PER_NETWORK), (account, 1))
        return _Derivation(self._derivations, wanted)


class _Derivation:
    """The places of one derivation, held while it runs.

    A class: each login with a password has one, and three generators in its place were a tenth of
    the work of that.

    Args:
        all: The places by what they are of, while some are held.
        wanted: What to hold a place of, in this order, and how many there are.
    """

    __slots__ = ("_all", "_held", "_wanted")

    def __init__(
        self, all: dict[str, DeferredSemaphore], wanted: tuple[tuple[str, int], ...]
    ) -> None:
        self._all = all
        self._wanted = wanted
        self._held: list[tuple[str, DeferredSemaphore]] = []

    async def __aenter__(self) -> None:
        try:
            for key, places in self._wanted:
                semaphore = self._all.get(key)
                if semaphore is None:
                    semaphore = self._all[key] = DeferredSemaphore(places)
                await semaphore.acquire()
                self._held.append((key, semaphore))
        except BaseException:  # It waits no more.
            self._leave()
            raise

    async def __aexit__(self, *reason: object) -> None:
        self._leave()

    def _leave(self) -> None:
        for key, semaphore in reversed(self._held):
            semaphore.release()
            if semaphore.tokens == semaphore.limit:
                self._all.pop(key, None)


class _PatientProvider(AuthProvider):
    """An AuthProvider that waits for its turn before it looks at an account.

    Attributes:
        tried: The account at which it has had a turn.
        named: The account for which it was asked.
    """

    def __init__(self, provider: AuthProvider, limiter: AttemptLimiter, address: str) -> None:
        self.tried: str | None = None
        self.named: str | None = None
        self._provider = provider
        self._limiter = limiter
        self._address = address

    async def _turn(self, account: str) -> None:
        self.named = account
        await self._limiter.turn(account, self._address)
        self.tried = account

    async def scram_keys(self, account: str, hash: str) -> ScramKeys:
        await self._turn(account)
        return await self._provider.scram_keys(account, hash)

    async def check_password(self, account: str, password: str) -> bool:
        await self._turn(account)
        async with self._limiter.derivation(account, self._address):
            return await self._provider.check_password(account, password)

    async def may_log_in(self, account: str) -> bool:
        return await self._provider.may_log_in(account)


class _CountedMechanism:
    """A Mechanism that tells the limiter how it ended."""

    def __init__(
        self,
        mechanism: Mechanism,
        provider: _PatientProvider,
        limiter: AttemptLimiter,
        address: str,
    ) -> None:
        self._mechanism = mechanism
        self._provider = provider
        self._limiter = limiter
        self._address = address

    @property
    def account(self) -> str | None:
        """The account that has proved itself."""
        return self._mechanism.account

    @property
    def binding(self) -> str:
        """The channel binding of the proof."""
        return self._mechanism.binding

    async def step(self, response: bytes) -> bytes:
        """Take the step; count it if it was the last."""
        try:
            answer = await self._mechanism.step(response)
        except Exception as error:
            if isinstance(error, SASLError):
                error.account = error.account or self._provider.named
            if _is_guess(error):
                await self._limiter.failed(error.account, self._address)
            elif self._provider.tried is not None:
                self._limiter.came_to_nothing(self._provider.tried, self._address)
            raise
        if self._mechanism.account is not None:
            self._limiter.succeeded(self._mechanism.account, self._address)
        return answer


def _is_guess(error: Exception) -> TypeGuard[SASLError]:
    """Whether an attempt has ended since its proof was wrong."""
    return (
        isinstance(error, SASLError)
        and error.condition == "not-authorized"
        and not isinstance(error, BindingRefused)
    )


def _too_early() -> SASLError:
    return SASLError("temporary-auth-failure", "Too many attempts. Try again later.")


def _pair(account: str, network: str) -> str:
    return f"{account} {network}"


@lru_cache(MAX_KEPT_NETWORKS)
def network_of(address: str) -> str:
    """The network that one guesser has: an IPv4 address, or 2^64 addresses of IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return f"{IPv6Address(int(ip) >> 64 << 64)}/64"
