"""Guesses slow down the guesser, and keep nobody else out (AT-1 to AT-7)."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    JULIET,
    PASSWORD,
    ScramClient,
    Verona,
    exchange,
    refusal,
    run,
)
from xmppd.auth.attempts import (
    DERIVATIONS_PER_NETWORK,
    MAX_BEGUN,
    MAX_DELAY_ELSEWHERE_S,
    MAX_HOMES,
    NO_TALLY,
    PATIENCE_S,
    AttemptLimiter,
    network_of,
)
from xmppd.auth.base import SASLError
from xmppd.cluster.memory_tally import MemoryTally
from xmppd.cluster.tally import Tally
from xmppd.config.config import AuthSettings
from xmppd.store.accounts import NoSuchAccount

ROMEO = f"romeo@{DOMAIN}"
NOBODY = f"rosaline@{DOMAIN}"
STRANGER, HOME, NEW = "192.0.2.1", "198.51.100.7", "203.0.113.9"
SENT_AWAY = PATIENCE_S + 1


class House:
    """Verona with a limiter; who sleeps there turns the clock."""

    def __init__(
        self, *, time_stands: bool = False, tally: Tally = NO_TALLY, **limits: float
    ) -> None:
        self.time_stands = time_stands
        self.verona = Verona()
        self.slept: list[float] = []
        config = AuthSettings(**limits)  # type: ignore[arg-type]
        self.limiter = AttemptLimiter(
            self.verona.store.accounts,
            config,
            clocks=self.verona.clocks,
            sleep=self._sleep,
            tally=tally,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.time_stands:
            self.verona.time += seconds

    def wait(self, address: str = STRANGER, account: str = JULIET) -> float:
        """How long one has to wait for a turn; SENT_AWAY if there is none."""
        self.slept.clear()
        try:
            run(self.limiter.turn(account, address))
        except SASLError as error:
            assert error.condition == "temporary-auth-failure"
            return SENT_AWAY
        return sum(self.slept)

    def fail(self, times: int, address: str = STRANGER, account: str | None = JULIET) -> None:
        """Fail as often, without waiting."""
        for _ in range(times):
            run(self.limiter.failed(account, address))

    def log_in(
        self, password: str = PASSWORD, address: str = HOME, mechanism: str = "PLAIN"
    ) -> str | None:
        """Log in as Juliet."""
        stream = exchange(offered=(mechanism,), address=address)
        attempt = self.limiter.begin(mechanism, stream, self.verona.provider)
        if mechanism == "PLAIN":
            run(attempt.step(f"\0juliet\0{password}".encode()))
        else:
            client = ScramClient(mechanism.removeprefix("SCRAM-"), password=password)
            run(attempt.step(client.final(run(attempt.step(client.first())))))
        return attempt.account

    def time_to_log_in(self, address: str, mechanism: str = "PLAIN") -> float:
        """How long Juliet waits there with the right password."""
        self.slept.clear()
        assert self.log_in(address=address, mechanism=mechanism) == JULIET
        return sum(self.slept)


class GuesserTests(SynchronousTestCase):
    """Growing delays for where guesses come from."""

    def test_grows(self) -> None:
        """From the third failure on a guesser waits 1, 2, 4 seconds, and 4 ever after."""
        house = House()
        waits = []
        for _ in range(9):
            waits.append(house.wait())
            house.fail(1)
        self.assertEqual(waits, [0, 0, 0, 1, 2, 4, 4, 4, 4])

    def test_whatever_the_account(self) -> None:
        """Failures from one network count together."""
        house = House()
        for n in range(5):
            house.fail(1, account=f"guess{n}@{DOMAIN}")
        self.assertEqual(house.wait(account=ROMEO), 4)
        self.assertEqual(house.wait(NEW, ROMEO), 0)

    def test_prefix(self) -> None:
        """All of a /64 is one guesser, and the next /64 is another."""
        house = House()
        for n in range(5):
            house.fail(1, f"2001:db8::{n}", f"guess{n}@{DOMAIN}")
        self.assertEqual(house.wait("2001:db8::ffff:1", ROMEO), 4)
        self.assertEqual(house.wait("2001:db8:0:1::1", ROMEO), 0)

    def test_many_at_once(self) -> None:
        """Attempts at the same moment take turns; those that would wait long are sent away."""
        house = House(time_stands=True)
        house.fail(4)
        waits = [house.wait(account=f"guess{n}@{DOMAIN}") for n in range(8)]
        self.assertEqual(waits, [2, 4, 6, 8, 10] + [SENT_AWAY] * 3)

    def test_all_at_once(self) -> None:
        """Guesses that are begun before the first has failed take turns as well (AT-4)."""
        house = House(time_stands=True)
        waits = [house.wait() for _ in range(MAX_BEGUN + 10)]
        self.assertEqual(waits[: MAX_BEGUN - 1], [0] * (MAX_BEGUN - 1))
        self.assertIn(SENT_AWAY, waits)
        self.assertEqual(house.wait(account=ROMEO), 0)

    def test_no_guesses(self) -> None:
        """What comes to nothing for another reason is not counted, however often it does."""
        house = House(time_stands=True)
        stream = exchange(offered=("SCRAM-SHA-1",), address=STRANGER)
        for _ in range(3 * MAX_BEGUN):
            mechanism = house.limiter.begin("SCRAM-SHA-1", stream, house.verona.provider)
            run(mechanism.step(b"n,,n=juliet,r=abc"))
            refusal(mechanism.step(b"nonsense"))
        self.assertEqual(house.wait(), 0)

    def test_bindings(self) -> None:
        """Nor is a channel binding that there is not, or none where there is one (AT-7)."""
        house = House()
        bindings = {"tls-exporter": b"exported"}
        names = ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1")
        stream = exchange(offered=names, bindings=bindings, address=STRANGER)
        for _ in range(10):
            for name, header in zip(names, ("p=tls-unique,,", "y,,"), strict=True):
                mechanism = house.limiter.begin(name, stream, house.verona.provider)
                first = ScramClient(gs2_header=header).first()
                self.assertEqual(refusal(mechanism.step(first)).condition, "not-authorized")
        self.assertEqual(house.wait(account=ROMEO), 0)

    def test_nameless_failures(self) -> None:
        """A message that names nobody who could be counts for where it comes from."""
        house = House()
        house.fail(3, account=None)
        self.assertEqual(house.wait(account=ROMEO), 1)

    def test_sent_away(self) -> None:
        """After too many failures nobody may try from there, for lockout_s after the last."""
        house = House(failures_before_lockout=20, lockout_s=600.0)
        house.fail(20)
        house.verona.time += 599
        self.assertEqual(house.wait(account=ROMEO), SENT_AWAY)
        house.verona.time += 1
        self.assertEqual(house.wait(account=ROMEO), 0)

    def test_being_sent_away_is_no_failure(self) -> None:
        """Whoever comes too early is sent away, as often as they like, and nothing is counted."""
        house = House(failures_before_lockout=8, lockout_s=600.0)
        house.fail(8)
        for _ in range(100):
            house.verona.time += 5.0
            house.wait()
        house.verona.time += 100
        self.assertEqual(house.wait(), 0)

    def test_forgotten(self) -> None:
        """After lockout_s without a failure all is forgotten."""
        house = House(lockout_s=100.0)
        house.fail(9)
        house.verona.time += 99
        house.fail(1)
        self.assertEqual(house.wait(), 4)
        house.verona.time += 100
        self.assertEqual(house.wait(), 0)

    def test_other_limits(self) -> None:
        """Other limits hold at once, for what was counted before too."""
        house = House(failures_before_delay=3)
        house.fail(2)
        self.assertEqual(house.wait(), 0)
        house.limiter.use(AuthSettings(failures_before_delay=2))
        house.fail(1)
        self.assertEqual(house.wait(), 2)


class OwnerTests(SynchronousTestCase):
    """A right password always gets in within a few seconds."""

    def test_at_a_new_address(self) -> None:
        """The owner gets in from where nobody has guessed, while one guesser is at it."""
        for mechanism in ("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"):
            house = House()
            house.fail(99)
            self.assertLessEqual(house.time_to_log_in(NEW, mechanism), MAX_DELAY_ELSEWHERE_S)

    def test_many_addresses(self) -> None:
        """Also while thousands of networks guess, at the same moment, and however often."""
        house = House(time_stands=True)
        for n in range(5_000):
            address = f"10.0.{n // 256}.{n % 256}"
            house.wait(address)
            house.fail(3, address)
        self.assertLessEqual(house.time_to_log_in(NEW), MAX_DELAY_ELSEWHERE_S)
        self.assertEqual(house.time_to_log_in(NEW), 0)

    def test_strangers_wait_for_their_answer(self) -> None:
        """Guesses at one account are slowed from wherever they come, each for itself."""
        house = House(time_stands=True)
        for n in range(5):
            house.fail(1, f"192.0.2.{n}")
        waits = [house.wait(f"203.0.113.{n}") for n in range(50)]
        self.assertEqual(waits, [MAX_DELAY_ELSEWHERE_S] * 50)
        self.assertEqual(house.wait("203.0.113.1", ROMEO), 0)

    def test_nobody(self) -> None:
        """An account that does not exist is slowed like any other."""
        waits = []
        for account in (JULIET, NOBODY):
            house = House()
            for n in range(6):
                house.fail(1, f"192.0.{n}.1", account)
                waits.append(house.wait(f"192.1.{n}.1", account))
        self.assertEqual(waits[:6], waits[6:])
        self.assertEqual(waits[-1], MAX_DELAY_ELSEWHERE_S)

    def test_at_home(self) -> None:
        """Where she logged in before, nothing that others do slows her down."""
        house = House()
        house.log_in()
        house.fail(1_000)
        house.fail(1_000, HOME, ROMEO)
        for n in range(1_000):
            house.fail(1, f"10.0.{n // 256}.{n % 256}")
        for mechanism in ("PLAIN", "SCRAM-SHA-1"):
            self.assertEqual(house.time_to_log_in(HOME, mechanism), 0)

    def test_old_password_at_home(self) -> None:
        """A client with an old password is slowed down, and nobody else there is."""
        house = House()
        house.log_in()
        house.fail(5, HOME)
        self.assertEqual(house.wait(HOME), 4)
        self.assertEqual(house.wait(HOME, ROMEO), 0)
        self.assertEqual(house.wait(NEW), 0)

    def test_right_in_the_end(self) -> None:
        """What failed before at the same place is forgiven to whoever gets it right."""
        house = House()
        house.log_in()
        house.fail(5, HOME)
        house.log_in()
        self.assertEqual(house.wait(HOME), 0)

    def test_no_home_for_a_guesser(self) -> None:
        """Somebody who guesses on at the owner's home is a stranger there in the end."""
        house = House(failures_before_lockout=10)
        house.log_in()
        house.fail(10, HOME)
        house.fail(10, HOME)
        self.assertEqual(house.wait(HOME), SENT_AWAY)

    def test_never_locked(self) -> None:
        """However many guess, the account is open."""
        house = House(failures_before_lockout=5)
        for n in range(200):
            house.fail(1, f"10.0.0.{n}")
        self.assertTrue(run(house.verona.provider.may_log_in(JULIET)))

    def test_unlock(self) -> None:
        """An administrator may have an account's failures forgotten."""
        house = House()
        for n in range(9):
            house.fail(1, f"10.0.0.{n}")
        self.assertGreater(house.wait(NEW), 0)
        run(house.limiter.unlock(JULIET))
        self.assertEqual(house.wait(HOME), 0)
        with self.assertRaises(NoSuchAccount):
            run(house.limiter.unlock(NOBODY))


class NodesTests(SynchronousTestCase):
    """Guesses at several nodes (CL-90)."""

    def setUp(self) -> None:
        tally = MemoryTally(lambda: 0.0)
        self.here, self.there = House(tally=tally), House(tally=tally)

    def test_network(self) -> None:
        """Whoever guesses at one node is slowed down at the next from the first guess on."""
        self.here.fail(8)
        self.assertEqual(self.there.wait(account=ROMEO), 0)
        self.there.fail(1, account=ROMEO)
        self.assertEqual(self.there.wait(account=ROMEO), 4)

    def test_account(self) -> None:
        """So are guesses at one account from many networks."""
        for n in range(9):
            self.here.fail(1, f"10.0.0.{n}")
        self.there.fail(1, "10.1.0.1")
        self.assertEqual(self.there.wait(NEW), MAX_DELAY_ELSEWHERE_S)

    def test_unlock(self) -> None:
        """What an administrator has forgotten is forgotten by all of them."""
        for n in range(9):
            self.here.fail(1, f"10.0.0.{n}")
        run(self.here.limiter.unlock(JULIET))
        self.there.fail(1, "10.1.0.1")
        self.assertEqual(self.there.wait(NEW), 0)

    def test_home(self) -> None:
        """Failures at home count there, at that node only."""
        for house in (self.here, self.there):
            house.time_to_log_in(HOME)
        self.here.fail(8, HOME)
        self.assertEqual(self.there.wait(HOME), 0)


class MemoryTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """No more is remembered than remembered_addresses, of each kind."""
        house = House(remembered_addresses=3)
        house.fail(4)
        for n in range(10):
            address, account = f"203.0.113.{n}", f"user{n}@{DOMAIN}"
            house.wait(f"10.0.0.{n}", account)
            house.fail(1, address, f"guess{n}@{DOMAIN}")
            run(house.limiter.change_turn(account, address))
            house.limiter.succeeded(account, address)
            house.fail(1, address, account)
        self.assertEqual(house.wait(), 0)
        self.assertEqual([len(counts) for counts in house.limiter._all], [3] * 5)
        self.assertEqual(len(house.limiter._homes), 3)

    def test_homes(self) -> None:
        """One account pushes no other account's homes out: it has so many itself."""
        house = House(remembered_addresses=2)
        house.log_in()
        for n in range(3 * MAX_HOMES):
            house.limiter.succeeded(ROMEO, f"10.0.0.{n}")
        self.assertEqual(len(house.limiter._homes[ROMEO]), MAX_HOMES)
        house.fail(99, HOME, NOBODY)
        self.assertEqual(house.wait(HOME), 0)

    def test_guests(self) -> None:
        """Guests, who prove nothing, are at home nowhere."""
        house = House()
        stream = exchange(offered=("ANONYMOUS",), address=HOME)
        run(house.limiter.begin("ANONYMOUS", stream, house.verona.provider).step(b""))
        self.assertEqual(house.limiter._homes, {})


class BeginTests(SynchronousTestCase):
    """AttemptLimiter.begin: a mechanism whose end is counted."""

    def test_success(self) -> None:
        """A right password lets in as without a limiter."""
        self.assertEqual(House().log_in(), JULIET)

    def test_failures_count(self) -> None:
        """Wrong passwords slow the next attempt before the password is looked at."""
        for mechanism in ("PLAIN", "SCRAM-SHA-1"):
            house = House(failures_before_lockout=7)
            for _ in range(7):
                with self.assertRaises(SASLError):
                    house.log_in("wrong", STRANGER, mechanism)
            self.assertEqual(house.slept, [1, 2, 4, 4])
            looked_at = house.verona.pbkdf2.calls
            with self.assertRaises(SASLError) as caught:
                house.log_in(address=STRANGER)
            self.assertEqual(caught.exception.condition, "temporary-auth-failure")
            self.assertEqual(house.verona.pbkdf2.calls, looked_at)

    def test_scram_waits_too(self) -> None:
        """SCRAM waits for its turn before it names the salt; what is malformed is no guess."""
        house = House()
        house.fail(5)
        stream = exchange(offered=("SCRAM-SHA-1",), address=STRANGER)
        mechanism = house.limiter.begin("SCRAM-SHA-1", stream, house.verona.provider)
        run(mechanism.step(b"n,,n=juliet,r=abc"))
        self.assertEqual(house.slept, [4.0])
        self.assertEqual(refusal(mechanism.step(b"nonsense")).condition, "malformed-request")
        self.assertEqual(house.limiter._networks.count(STRANGER), 5)

    def test_not_offered(self) -> None:
        """What was not offered cannot be begun."""
        for name in ("PLAIN", "EXTERNAL"):
            with self.assertRaises(SASLError):
                House().limiter.begin(name, exchange(), Verona().provider)


class ChangeTests(SynchronousTestCase):
    """New passwords (AT-5)."""

    def change(self, house: House, address: str = HOME, account: str = JULIET) -> float:
        """How long one waits for the turn to change a password."""
        house.slept.clear()
        try:
            run(house.limiter.change_turn(account, address))
        except SASLError:
            return SENT_AWAY
        return sum(house.slept)

    def test_one_stream(self) -> None:
        """A few are done at once; then one waits between them, a little and not for ever."""
        house = House()
        self.assertEqual([self.change(house) for _ in range(8)], [0, 0, 0, 1, 1, 3, 4, 4])
        house.verona.time += 3_600
        self.assertEqual(self.change(house), 0)

    def test_many_streams(self) -> None:
        """Streams of one account take turns, wherever they are; others do not wait for them."""
        house = House(time_stands=True)
        waits = [self.change(house, f"10.0.0.{n}") for n in range(20)]
        self.assertEqual(waits[:3], [0, 0, 0])
        self.assertEqual(waits[-10:], [SENT_AWAY] * 10)
        self.assertEqual(self.change(house, NEW, ROMEO), 0)

    def test_many_accounts(self) -> None:
        """So do many accounts of one network."""
        house = House(time_stands=True)
        waits = [self.change(house, HOME, f"user{n}@{DOMAIN}") for n in range(20)]
        self.assertEqual(waits[-10:], [SENT_AWAY] * 10)

    def test_no_failures(self) -> None:
        """Changes do not slow down logins, nor failures changes."""
        house = House()
        for _ in range(8):
            self.change(house)
        self.assertEqual(house.wait(HOME), 0)
        house.fail(9, NEW, ROMEO)
        self.assertEqual(self.change(house, NEW, ROMEO), 0)


class DerivationTests(SynchronousTestCase):
    """PBKDF2 runs once at a time for an account, and a few times for a network."""

    def setUp(self) -> None:
        self.limiter = House().limiter
        self.running: list[str] = []
        self.ends: list[Deferred[None]] = []

    def tearDown(self) -> None:
        for end in self.ends:
            if not end.called:
                end.callback(None)
        self.assertEqual(self.running, [])

    def derive(self, account: str, address: str) -> Deferred[None]:
        """Begin one; it ends when what is returned is called."""
        end = Deferred[None]()
        self.ends.append(end)

        async def work() -> None:
            async with self.limiter.derivation(account, address):
                self.running.append(account)
                try:
                    await end
                finally:
                    self.running.remove(account)

        Deferred.fromCoroutine(work()).addErrback(lambda failure: failure.trap(ValueError))
        return end

    def test_account(self) -> None:
        """Those of one account follow each other, from wherever they come."""
        ends = [self.derive(JULIET, f"10.0.0.{n}") for n in range(5)]
        for end in ends:
            self.assertEqual(self.running, [JULIET])
            end.callback(None)
        self.assertEqual(self.running, [])

    def test_network(self) -> None:
        """A network with a thousand of them keeps nobody else waiting."""
        ends = [self.derive(f"user{n}@{DOMAIN}", STRANGER) for n in range(1_000)]
        self.assertEqual(len(self.running), DERIVATIONS_PER_NETWORK)
        self.derive(JULIET, HOME)
        self.assertIn(JULIET, self.running)
        for end in ends:
            end.callback(None)
        self.assertEqual(self.running, [JULIET])

    def test_whoever_waits_holds_nobody_up(self) -> None:
        """Guesses at an account that wait for a place of their network do not hold the account."""
        for n in range(10):
            self.derive(f"user{n}@{DOMAIN}", STRANGER)
        self.derive(JULIET, STRANGER)
        self.derive(JULIET, HOME)
        self.assertIn(JULIET, self.running)

    def test_nothing_is_kept(self) -> None:
        """When all are done nothing is left of them, whatever came of it."""
        ends = [self.derive(JULIET, HOME) for _ in range(5)]
        ends[0].errback(ValueError())
        for end in ends[1:]:
            end.callback(None)
        self.assertEqual(self.limiter._derivations, {})


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
