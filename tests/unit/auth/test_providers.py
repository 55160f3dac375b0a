"""Providers of accounts: several in order, and accounts that appear with their first login."""

from base64 import b64encode

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import JULIET, PASSWORD, Verona, refusal, run
from xmppd.auth.base import AuthProvider, BearerGrant, SASLError
from xmppd.auth.providers import MAX_REMEMBERED, REMEMBERED_S, AuthProviders
from xmppd.stanza.guests import new_guest
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BALTHASAR = "balthasar@capulet.example"


class Town(AuthProvider):
    """Knows everybody by one password, if it is awake."""

    name = "town"

    def __init__(self, *, asleep: bool = False) -> None:
        self.asleep = asleep
        self.asked: list[str] = []

    async def check_password(self, account: str, password: str) -> bool:
        """Whether it is that password."""
        self.asked.append(account)
        if self.asleep:
            raise SASLError("temporary-auth-failure", "It sleeps.")
        return password == "open"


class ProviderTests(SynchronousTestCase):
    """AuthProviders."""

    def setUp(self) -> None:
        self.verona, self.clock, self.town = Verona(), Clock(), Town()
        self.providers = self.made("town", "internal")

    def made(self, *order: str) -> AuthProviders:
        """With the providers of capulet.example in this order."""
        providers = AuthProviders(
            self.verona.provider,
            self.verona.store.accounts,
            {"capulet.example": order, "montague.lit": ("internal",)},
            self.clock.seconds,
        )
        providers.put(self.town, "town")
        return providers

    def check(self, account: str, password: str) -> bool:
        return run(self.providers.check_password(account, password))

    def test_in_order(self) -> None:
        """Each is asked in its turn, until one knows the password."""
        self.assertTrue(self.check(JULIET, PASSWORD))
        self.assertEqual(self.town.asked, [JULIET])
        self.assertTrue(self.check(BALTHASAR, "open"))
        self.providers = self.made("internal", "town")
        self.assertTrue(self.check(JULIET, PASSWORD))
        self.assertEqual(self.town.asked, [JULIET, BALTHASAR])

    def test_all_are_asked(self) -> None:
        """A wrong password costs the same questions, whether the account exists or not."""
        questions = []
        for account in (JULIET, "nobody@capulet.example"):
            self.town.asked, self.verona.pbkdf2.calls = [], 0
            self.assertFalse(self.check(account, "wrong"))
            questions.append((len(self.town.asked), self.verona.pbkdf2.calls))
        self.assertEqual(questions[0], questions[1])

    def test_appears(self) -> None:
        """An account that somebody else knows is there from its first login on; with a wrong
        password it does not appear.
        """
        self.assertFalse(self.check(BALTHASAR, "wrong"))
        self.assertFalse(run(self.verona.store.accounts.exists(BALTHASAR)))
        self.assertTrue(self.check(BALTHASAR, "open"))
        self.assertTrue(run(self.providers.may_log_in(BALTHASAR)))
        self.assertFalse(run(self.verona.provider.check_password(BALTHASAR, "open")))

    def test_disabled(self) -> None:
        """An administrator closes an account here, whoever knows its password."""
        self.check(BALTHASAR, "open")
        run(self.verona.store.accounts.set_disabled(BALTHASAR, True))
        error = refusal(self.providers.may_log_in(BALTHASAR))
        self.assertEqual(error.condition, "account-disabled")

    def test_guest(self) -> None:
        """A name that guests are given is nobody's, whatever others know."""
        guest = new_guest("capulet.example").bare
        self.assertFalse(self.check(guest, "open"))

    def test_away(self) -> None:
        """One that cannot be asked is no reason to refuse whom another knows, nor to say that a
        password is wrong.
        """
        self.town.asleep = True
        self.assertTrue(self.check(JULIET, PASSWORD))
        error = refusal(self.providers.check_password(JULIET, "wrong"))
        self.assertEqual(error.condition, "temporary-auth-failure")

    def test_remembered(self) -> None:
        """A right password is not asked for again for a minute; another one is."""
        for _ in range(3):
            self.check(BALTHASAR, "open")
        self.assertEqual(len(self.town.asked), 1)
        self.check(BALTHASAR, "wrong")
        self.clock.advance(REMEMBERED_S)
        self.check(BALTHASAR, "open")
        self.assertEqual(len(self.town.asked), 3)

    def test_bounded(self) -> None:
        """No more than so many are remembered; the oldest makes room."""
        for number in range(MAX_REMEMBERED + 1):
            self.providers._remember(f"a{number}@capulet.example", b"")
        self.assertEqual(len(self.providers._seals), MAX_REMEMBERED)
        self.assertNotIn("a0@capulet.example", self.providers._seals)

    def test_keys(self) -> None:
        """Keys are used where all have them."""
        self.assertFalse(self.providers.has_keys("capulet.example"))
        self.assertTrue(self.providers.has_keys("montague.lit"))
        self.assertTrue(run(self.providers.scram_keys("a@montague.lit", "SHA-256")))

    def test_tokens(self) -> None:
        """A token is of the first that knows it; its account appears, and is one of that domain.
        Those who have no passwords are not asked about one, and leave the others their keys.
        """
        mint = _Mint()
        self.providers = self.made("internal", "mint")
        self.providers.put(mint, "mint")
        domain = "capulet.example"
        self.assertTrue(self.providers.takes_tokens(domain) and self.providers.has_keys(domain))
        self.assertTrue(self.check(JULIET, PASSWORD))
        self.assertFalse(self.check(JULIET, "wrong"))
        grant = run(self.providers.check_token(domain, BALTHASAR))
        self.assertEqual(None if grant is None else grant.account, BALTHASAR)
        self.assertTrue(run(self.verona.store.accounts.exists(BALTHASAR)))
        for other in ("romeo@montague.lit", new_guest(domain).bare, ""):
            self.assertIsNone(run(self.providers.check_token(domain, other)))
        error = refusal(self.providers.check_token(domain, "away"))
        self.assertEqual(error.condition, "temporary-auth-failure")
        self.assertFalse(self.providers.takes_tokens("montague.lit"))
        self.assertIsNone(run(self.providers.check_token("montague.lit", BALTHASAR)))

    def test_missing(self) -> None:
        """A provider that is named and not there is told; until it is, nobody can say."""
        take_out = self.providers.put(_named("squire"), "squire")
        self.providers = self.made("squire")
        self.assertEqual(self.providers.missing(), {"capulet.example": "squire"})
        error = refusal(self.providers.check_password(BALTHASAR, "open"))
        self.assertEqual(error.condition, "temporary-auth-failure")
        take_out()

    def test_one_name(self) -> None:
        """A name is given once."""
        self.assertRaises(ValueError, self.providers.put, Town(), "another")
        self.assertRaises(ValueError, self.providers.put, _named("internal"), "another")
        self.assertRaises(ValueError, self.providers.put, _named(""), "another")


class _Mint(AuthProvider):
    """Its tokens are addresses."""

    name = "mint"

    def has_passwords(self, domain: str) -> bool:
        return False

    def takes_tokens(self, domain: str) -> bool:
        return True

    async def check_token(self, domain: str, token: str) -> BearerGrant | None:
        if token == "away":
            raise SASLError("temporary-auth-failure")
        return BearerGrant(token) if token else None


def _named(name: str) -> Town:
    town = Town()
    town.name = name
    return town


class HouseTests(SynchronousTestCase):
    """What clients and administrators see of it."""

    def setUp(self) -> None:
        domain = [{"name": "montague.lit", "auth": ["town"]}]
        config = house_config("montague.lit", domain=domain, registration={"open": True})
        self.house = House(config=config, plugins=("register",))
        self.house.server.auth_provider.put(Town(), "town")

    def test_login(self) -> None:
        """PLAIN is offered only, and no registration; who logs in has a whole account."""
        client = self.house.unauthenticated(encrypted=True)
        client.open("montague.lit")
        offered = client.raw().decode()
        self.assertIn("<mechanism>PLAIN</mechanism>", offered)
        self.assertNotIn("SCRAM", offered)
        self.assertNotIn("iq-register", offered)
        message = b64encode(b"\0romeo\0open").decode()
        client.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{message}</auth>")
        self.assertIn(b"<success", client.raw())
        accounts = self.house.server.store.accounts
        self.assertTrue(done(accounts.exists("romeo@montague.lit")))
        self.assertEqual(done(accounts.count_accounts("montague.lit")), 1)

    def test_no_password_here(self) -> None:
        """An account of such a domain is neither made here nor given a password."""
        passwords = self.house.server.passwords
        for work in (passwords.create, passwords.set_password):
            error = self.assertRaises(ValueError, done, work("romeo@montague.lit", "but soft"))
            self.assertIn("town manages the accounts of montague.lit", str(error))
