"""How often may one guess? Failures are counted, guesses slowed, and an account locked in the end.

Failures are counted per account, and per address whatever the account. From
``failures_before_delay`` on attempts take turns, at a distance that doubles with every failure up
to ``max_delay_s``; a right password clears the account's count, and ``lockout_s`` without a failure
clears either. At ``failures_before_lockout`` the account is locked for ``lockout_s`` in the store,
where every node and an administrator sees it.

Whoever knows your name can thus slow you down, and lock you out: that is the price of any limit per
account. It is kept low:

- Where you logged in before and did not fail since, you do not wait, whatever strangers do to your
  account or from your address. So a client with an old password slows down nobody else at home.
- A lock ends by itself: failures while it lasts neither count nor prolong it, and after it the
  count starts from nothing. At the defaults, with turns at ``max_delay_s``, one guesser needs
  longer for the next lock than a lock lasts.

An account that does not exist is counted as if it did, so that limits do not tell it apart.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from xmppd.auth.base import AuthProvider, Exchange, Mechanism, SASLError
from xmppd.auth.mechanisms import begin
from xmppd.clocks import Clocks
from xmppd.config import Auth
from xmppd.store.base import AccountStore, NoSuchAccount, ScramKeys

MAX_KEPT_NETWORKS = 4_096

PATIENCE_S = 10.0
"""Who comes this much too early waits for their turn; who comes earlier is sent away."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last_failure: float = 0.0
    next_turn: float = 0.0
    counted_from: float = 0.0


class _Failures:
    """Failures of accounts or of addresses; when there are too many, who failed first is forgotten.

    Args:
        config: The limits.
        now: The time on the steady clock.
    """

    def __init__(self, config: Auth, now: Callable[[], float]) -> None:
        self._config = config
        self._now = now
        self._records: dict[str, _Record] = {}

    def use(self, config: Auth) -> None:
        """Count by these limits from now on."""
        self._config = config

    def __len__(self) -> int:
        return len(self._records)

    def wait_s(self, key: str) -> float:
        """How much too early an attempt would be now."""
        record = self._current(key)
        return 0.0 if record is None else max(0.0, record.next_turn - self._now())

    def take_turn(self, key: str) -> None:
        """Whoever comes next has to wait for longer."""
        record = self._current(key)
        if record is not None:
            record.next_turn = max(record.next_turn, self._now()) + self._delay_s(record)

    def add(self, key: str) -> int:
        """Count a failure.

        Returns:
            How many there are now.
        """
        now = self._now()
        record = self._current(key) or _Record()
        if now >= record.counted_from:
            record.failures += 1
            record.last_failure = now
            record.next_turn = max(record.next_turn, now + self._delay_s(record))
        self._keep(key, record)
        return record.failures

    def rest(self, key: str, until: float) -> None:
        """Start from nothing, and count no failure before then."""
        self._keep(key, _Record(last_failure=until, counted_from=until))

    def forget(self, key: str) -> None:
        """Start from nothing."""
        self._records.pop(key, None)

    def _current(self, key: str) -> _Record | None:
        record = self._records.get(key)
        if record is not None and self._now() >= record.last_failure + self._config.lockout_s:
            del self._records[key]
            return None
        return record

    def _delay_s(self, record: _Record) -> float:
        beyond = record.failures - self._config.failures_before_delay
        return 0.0 if beyond < 0 else min(self._config.max_delay_s, 2.0 ** min(beyond, 30))

    def _keep(self, key: str, record: _Record) -> None:
        self._records.pop(key, None)
        self._records[key] = record
        if len(self._records) > self._config.remembered_addresses:
            del self._records[next(iter(self._records))]


class AttemptLimiter:
    """The counts of this node, and what follows from them.

    Args:
        store: Where locks are kept.
        config: The limits; ``remembered_addresses`` also bounds the accounts that are remembered.
        clocks: Failures are counted by the steady one; a lock ends at a time of day.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        store: AccountStore,
        config: Auth,
        *,
        clocks: Clocks,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._store = store
        self._config = config
        self._clocks = clocks
        self._sleep = sleep
        self._accounts = _Failures(config, clocks.seconds)
        self._networks = _Failures(config, clocks.seconds)
        self._familiar: dict[tuple[str, str], None] = {}

    def use(self, config: Auth) -> None:
        """Go by these limits from now on; what was counted stays counted."""
        self._config = config
        self._accounts.use(config)
        self._networks.use(config)

    def begin(self, name: str, exchange: Exchange, provider: AuthProvider) -> Mechanism:
        """A new exchange of this mechanism that takes its turn, and whose end is counted.

        Raises:
            SASLError: ``invalid-mechanism``: it was not offered.
        """
        patient = _PatientProvider(provider, self, exchange.address)
        return self.counted(begin(name, exchange, patient), exchange.address)

    def counted(self, mechanism: Mechanism, address: str) -> Mechanism:
        """The exchange, such that its end is counted; waiting for its turn is its own business."""
        return _CountedMechanism(mechanism, self, address)

    async def turn(self, account: str, address: str) -> None:
        """Wait until an attempt at this account from this address may be made.

        Raises:
            SASLError: ``temporary-auth-failure``: it comes more than :data:`PATIENCE_S` too early.
        """
        network = network_of(address)
        if (account, network) in self._familiar:
            return
        wait_s = max(self._accounts.wait_s(account), self._networks.wait_s(network))
        if wait_s > PATIENCE_S:
            raise SASLError("temporary-auth-failure", "Too many attempts. Try again later.")
        self._accounts.take_turn(account)
        self._networks.take_turn(network)
        if wait_s:
            await self._sleep(wait_s)

    async def failed(self, account: str | None, address: str) -> None:
        """Count a failure, and lock the account if it is one too many.

        Args:
            account: What was tried; None if nothing was named.
            address: Where it came from.
        """
        network = network_of(address)
        self._networks.add(network)
        if account is None:
            return
        self._familiar.pop((account, network), None)
        if self._accounts.add(account) >= self._config.failures_before_lockout:
            await self._lock(account)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the account's failures, and remember that it is at home at this address."""
        self._accounts.forget(account)
        key = (account, network_of(address))
        self._familiar.pop(key, None)
        self._familiar[key] = None
        if len(self._familiar) > self._config.remembered_addresses:
            del self._familiar[next(iter(self._familiar))]

    async def unlock(self, account: str) -> None:
        """Lift an account's lock, and forget its failures: for administrators.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._store.set_locked(account, 0)
        self._accounts.forget(account)

    async def _lock(self, account: str) -> None:
        until = self._clocks.seconds() + self._config.lockout_s
        self._accounts.rest(account, until)
        try:
            await self._store.set_locked(account, self._clocks.stamp(until))
        except NoSuchAccount:
            return  # it was guessed at all the same, and nobody is to see the difference


class _PatientProvider:
    """An AuthProvider that waits for its turn before it looks at an account."""

    def __init__(self, provider: AuthProvider, limiter: AttemptLimiter, address: str) -> None:
        self._provider = provider
        self._limiter = limiter
        self._address = address

    async def scram_keys(self, account: str, hash: str) -> ScramKeys:
        await self._limiter.turn(account, self._address)
        return await self._provider.scram_keys(account, hash)

    async def check_password(self, account: str, password: str) -> bool:
        await self._limiter.turn(account, self._address)
        return await self._provider.check_password(account, password)

    async def may_log_in(self, account: str) -> bool:
        return await self._provider.may_log_in(account)


class _CountedMechanism:
    """A Mechanism that tells the limiter how it ended."""

    def __init__(self, mechanism: Mechanism, limiter: AttemptLimiter, address: str) -> None:
        self._mechanism = mechanism
        self._limiter = limiter
        self._address = address

    @property
    def account(self) -> str | None:
        """Who has proved themselves."""
        return self._mechanism.account

    @property
    def binding(self) -> str:
        """What the proof is bound to."""
        return self._mechanism.binding

    async def step(self, response: bytes) -> bytes:
        """Take the step; count it if it was the last."""
        try:
            answer = await self._mechanism.step(response)
        except SASLError as error:
            if error.condition != "temporary-auth-failure":
                await self._limiter.failed(error.account, self._address)
            raise
        if self._mechanism.account is not None:
            self._limiter.succeeded(self._mechanism.account, self._address)
        return answer


@lru_cache(MAX_KEPT_NETWORKS)
def network_of(address: str) -> str:
    """What one guesser holds: an IPv4 address, or 2^64 addresses of IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return f"{IPv6Address(int(ip) >> 64 << 64)}/64"
