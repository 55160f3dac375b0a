"""Guessing is slow, and ends at a locked door."""

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
from xmppd.auth.attempts import PATIENCE_S, AttemptLimiter, network_of
from xmppd.auth.base import SASLError
from xmppd.config import Auth
from xmppd.store.base import NoSuchAccount

ROMEO = f"romeo@{DOMAIN}"
NOBODY = f"rosaline@{DOMAIN}"
STRANGER, HOME = "192.0.2.1", "198.51.100.7"


class House:
    """Verona with a limiter; who sleeps there turns the clock."""

    def __init__(self, *, time_stands: bool = False, **limits: float) -> None:
        self.time_stands = time_stands
        self.verona = Verona()
        self.slept: list[float] = []
        config = Auth(**limits)  # type: ignore[arg-type]
        self.limiter = AttemptLimiter(
            self.verona.store, config, clocks=self.verona.clocks, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.time_stands:
            self.verona.time += seconds

    def wait(self, address: str = STRANGER, account: str = JULIET) -> float:
        """How long one has to wait; more than PATIENCE_S if one is sent away."""
        self.slept.clear()
        try:
            run(self.limiter.turn(account, address))
        except SASLError as error:
            assert error.condition == "temporary-auth-failure"
            return PATIENCE_S + 1
        return sum(self.slept)

    def fail(self, times: int, address: str = STRANGER, account: str | None = JULIET) -> None:
        """Fail as often."""
        for _ in range(times):
            run(self.limiter.failed(account, address))

    def log_in(self, password: str = PASSWORD, address: str = HOME) -> str | None:
        """Log in as Juliet with PLAIN."""
        stream = exchange(offered=("PLAIN",), address=address)
        mechanism = self.limiter.begin("PLAIN", stream, self.verona.provider)
        run(mechanism.step(f"\0juliet\0{password}".encode()))
        return mechanism.account

    def locked_until(self, account: str = JULIET) -> float:
        """What an administrator sees."""
        (info,) = [i for i in run(self.verona.store.accounts(DOMAIN)) if i.account == account]
        return info.locked_until


class DelayTests(SynchronousTestCase):
    """Growing delays."""

    def test_grows(self) -> None:
        """From the third failure on one waits 1, 2, 4, 8 seconds, then is sent away."""
        house = House()
        waits = []
        for _ in range(8):
            waits.append(house.wait())
            house.fail(1)
        self.assertEqual(waits, [0, 0, 0, 1, 2, 4, 8, PATIENCE_S + 1])

    def test_other_limits(self) -> None:
        """Other limits hold at once, for what was counted before too."""
        house = House(failures_before_delay=3)
        house.fail(2)
        self.assertEqual(house.wait(), 0)
        house.limiter.use(Auth(failures_before_delay=2))
        house.fail(1)
        self.assertEqual(house.wait(), 2)

    def test_limit(self) -> None:
        """However often one failed, after max_delay_s one may try again."""
        house = House(max_delay_s=30.0, failures_before_lockout=10_000)
        house.fail(2_000)
        house.verona.time += 30.0 - PATIENCE_S - 0.1
        self.assertGreater(house.wait(), PATIENCE_S)
        house.verona.time += 0.1
        self.assertAlmostEqual(house.wait(), PATIENCE_S)

    def test_many_at_once(self) -> None:
        """Attempts at the same moment take turns, per account and per address."""
        for rush in ("an account", "an address"):
            with self.subTest(rush):
                house = House(time_stands=True)
                if rush == "an account":
                    house.fail(3, HOME)
                    house.fail(2, "203.0.113.1")
                    rushing = [(f"192.0.2.{n}", JULIET) for n in range(10)]
                else:
                    house.fail(3, account=ROMEO)
                    house.fail(2, account=NOBODY)
                    rushing = [(STRANGER, f"guess{n}@{DOMAIN}") for n in range(10)]
                waits = [house.wait(address, account) for address, account in rushing]
                self.assertEqual(waits, [4, 8] + [PATIENCE_S + 1] * 8)

    def test_account_from_many_addresses(self) -> None:
        """Failures at one account count together, wherever they come from."""
        house = House()
        for n in range(5):
            house.fail(1, address=f"192.0.2.{n}")
        self.assertEqual(house.wait("203.0.113.1"), 4)
        self.assertEqual(house.wait("203.0.113.1", ROMEO), 0)

    def test_address_at_many_accounts(self) -> None:
        """Failures from one address count together, whatever the account."""
        house = House()
        for n in range(5):
            house.fail(1, account=f"guess{n}@{DOMAIN}")
        self.assertEqual(house.wait(account=ROMEO), 4)
        self.assertEqual(house.wait(HOME, ROMEO), 0)

    def test_nameless_failures(self) -> None:
        """A message that names nobody counts for its address."""
        house = House()
        house.fail(3, account=None)
        self.assertEqual(house.wait(account=ROMEO), 1)

    def test_unknown_account(self) -> None:
        """An account that does not exist is slowed like any other, and locked like any other."""
        house = House(failures_before_lockout=8)
        for account in (JULIET, NOBODY):
            with self.subTest(account):
                waits = []
                for n in range(10):
                    waits.append(house.wait(f"192.0.{n}.1", account))
                    house.fail(1, f"192.0.{n}.1", account)
                    house.verona.time += 1
                self.assertEqual(
                    waits, [0, 0, 0, 0, 1, 3, 7, PATIENCE_S + 1, 0, 0], (account, waits)
                )

    def test_forgotten(self) -> None:
        """After lockout_s without a failure all is forgotten."""
        house = House(lockout_s=100.0)
        house.fail(9)
        house.verona.time += 99
        house.fail(1)
        self.assertGreater(house.wait(), PATIENCE_S)
        house.verona.time += 100
        self.assertEqual(house.wait(), 0)
        house.fail(1)
        self.assertEqual(house.wait(), 0)

    def test_success_clears_the_account_only(self) -> None:
        """A right password clears the account's count; the address keeps its own."""
        house = House()
        house.fail(4)
        house.limiter.succeeded(JULIET, HOME)
        self.assertEqual(house.wait("203.0.113.1"), 0)
        self.assertEqual(house.wait(STRANGER, ROMEO), 2)

    def test_at_home(self) -> None:
        """Where she logged in before, strangers cannot slow her down; her own failure can."""
        house = House()
        house.log_in()
        house.fail(7)
        house.fail(7, HOME, ROMEO)
        self.assertEqual(house.wait(HOME), 0)
        house.fail(1, HOME)
        self.assertGreater(house.wait(HOME), PATIENCE_S)

    def test_bounded(self) -> None:
        """No more is remembered than remembered_addresses, of accounts, addresses and homes."""
        house = House(remembered_addresses=3)
        house.fail(4)
        for n in range(10):
            house.fail(1, f"203.0.113.{n}", f"guess{n}@{DOMAIN}")
            house.limiter.succeeded(f"user{n}@{DOMAIN}", f"198.51.100.{n}")
        self.assertEqual(house.wait(), 0)
        self.assertEqual(len(house.limiter._accounts), 3)
        self.assertEqual(len(house.limiter._networks), 3)
        self.assertEqual(len(house.limiter._familiar), 3)


class LockoutTests(SynchronousTestCase):
    """The locked door."""

    def test_locked(self) -> None:
        """After too many failures the account is locked in the store, for lockout_s."""
        house = House(failures_before_lockout=20, lockout_s=600.0)
        house.fail(19)
        self.assertEqual(house.locked_until(), 0)
        house.fail(1)
        self.assertEqual(house.locked_until(), house.verona.time + 600)
        self.assertFalse(run(house.verona.provider.may_log_in(JULIET)))
        house.verona.time += 600
        self.assertTrue(run(house.verona.provider.may_log_in(JULIET)))

    def test_not_prolonged(self) -> None:
        """Failures while it lasts do not prolong a lock, nor count towards the next."""
        house = House(failures_before_lockout=5, lockout_s=600.0)
        house.fail(5)
        until = house.locked_until()
        house.verona.time += 599
        house.fail(50)
        self.assertEqual(house.locked_until(), until)
        house.verona.time += 1
        house.fail(4)
        self.assertEqual(house.locked_until(), until)
        self.assertTrue(run(house.verona.provider.may_log_in(JULIET)))
        house.fail(1)
        self.assertGreater(house.locked_until(), until)

    def test_unlock(self) -> None:
        """An administrator lifts the lock, and the count with it."""
        house = House(failures_before_lockout=5)
        house.fail(5)
        run(house.limiter.unlock(JULIET))
        self.assertEqual(house.locked_until(), 0)
        self.assertEqual(house.wait(HOME), 0)
        self.assertEqual(house.log_in(), JULIET)
        house.fail(5)
        self.assertGreater(house.locked_until(), 0)
        with self.assertRaises(NoSuchAccount):
            run(house.limiter.unlock(NOBODY))

    def test_one_guesser_does_not_lock_for_ever(self) -> None:
        """At the defaults one who guesses on and on leaves the door open for longer than shut."""
        house = House()
        opened = shut = 0.0
        while opened + shut < 50_000:
            before = house.verona.time
            locked = house.locked_until() > before
            if house.wait() <= PATIENCE_S:
                house.fail(1)
            house.verona.time += 5.0
            if locked:
                shut += house.verona.time - before
            else:
                opened += house.verona.time - before
        self.assertGreater(shut, 0)
        self.assertGreater(opened, shut)


class BeginTests(SynchronousTestCase):
    """AttemptLimiter.begin: a mechanism whose end is counted."""

    def test_success(self) -> None:
        """A right password lets in as without a limiter."""
        self.assertEqual(House().log_in(), JULIET)

    def test_failures_count(self) -> None:
        """Wrong passwords slow the next attempt before the password is looked at."""
        house = House(failures_before_lockout=1_000)
        for _ in range(7):
            with self.assertRaises(SASLError):
                house.log_in("wrong")
        self.assertEqual(sum(house.slept), 1 + 2 + 4 + 8)
        looked_at = house.verona.pbkdf2.calls
        with self.assertRaises(SASLError) as caught:
            house.log_in()
        self.assertEqual(caught.exception.condition, "temporary-auth-failure")
        self.assertEqual(house.verona.pbkdf2.calls, looked_at)

    def test_being_sent_away_is_no_failure(self) -> None:
        """Who comes too early is sent away, as often as he likes, and nothing is counted."""
        house = House(failures_before_lockout=8)
        house.fail(7)
        for _ in range(100):
            with self.assertRaises(SASLError):
                house.log_in("wrong", STRANGER)
        self.assertEqual(house.locked_until(), 0)
        house.verona.time += 16
        self.assertEqual(house.log_in(), JULIET)

    def test_scram_waits_too(self) -> None:
        """SCRAM waits for its turn before it names the salt."""
        house = House()
        house.fail(5)
        stream = exchange(offered=("SCRAM-SHA-1",), address=STRANGER)
        mechanism = house.limiter.begin("SCRAM-SHA-1", stream, house.verona.provider)
        run(mechanism.step(b"n,,n=juliet,r=abc"))
        self.assertEqual(house.slept, [4.0])
        self.assertEqual(refusal(mechanism.step(b"nonsense")).condition, "malformed-request")
        self.assertEqual(house.wait(account=ROMEO), 8)

    def test_not_offered(self) -> None:
        """What was not offered cannot be begun."""
        with self.assertRaises(SASLError):
            House().limiter.begin("PLAIN", exchange(), Verona().provider)


class NetworkTests(SynchronousTestCase):
    """network_of."""

    def test_networks(self) -> None:
        """An IPv4 address is one guesser, and so is an IPv6 network of 64 bits."""
        for address, network in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("", ""),
        ]:
            with self.subTest(address):
                self.assertEqual(network_of(address), network)
