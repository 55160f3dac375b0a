"""Names that strangers do not get (RG-1)."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.config.config import RegistrationSettings
from xmppd.store.accounts import AccountExists
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

PASSWORD = "wherefore art thou"
DAY_S = 86_400.0


class NamesTests(SynchronousTestCase):
    """Somebody registers by :xep:`0077`, from another address each time."""

    def setUp(self) -> None:
        self.house = self.make()
        self.count = 0

    def make(self, **registration: object) -> House:
        config = house_config(
            "montague.lit",
            "capulet.lit",
            registration={"open": True, **registration},
            contact={
                "abuse": ("xmpp:friar%20@montague.lit", "xmpp:friar@montague.lit?message"),
                "support": ("mailto:nurse@montague.lit", "XMPP:Peter@capulet.lit"),
            },
        )
        config = replace(config, admins=("escalus@montague.lit",))
        return House(config=config, plugins=("register",), romeo={})

    def registers(self, name: str, password: str = PASSWORD, domain: str = "montague.lit") -> str:
        """The condition that comes of it."""
        self.count += 1
        stranger = self.house.unauthenticated(f"192.0.2.{self.count}")
        stranger.open(domain)
        stranger.raw()
        fields = f"<username>{name}</username><password>{password}</password>"
        query = f"<query xmlns='jabber:iq:register'>{fields}</query>"
        return condition(ask(stranger, "set", query))

    def remove(self, name: str) -> None:
        """The account is removed."""
        done(self.house.server.accounts.remove(self.house.jid(name)))

    def test_administrators(self) -> None:
        """The name of an administrator who has no account, however it is written."""
        for name in ("escalus", "ESCALUS", "\uff25scalus"):
            self.assertEqual(self.registers(name), "not-acceptable")
        self.assertEqual(self.registers("escalus", domain="capulet.lit"), "result")

    def test_removed_administrator(self) -> None:
        """Also one who had an account, by whoever removed it, and with its password too."""
        escalus = self.house.jid("escalus")
        done(self.house.server.passwords.create(escalus.bare, PASSWORD))
        self.remove("escalus")
        self.house.clock.advance(100 * DAY_S)
        self.assertEqual(self.registers("escalus"), "not-acceptable")

    def test_roles(self) -> None:
        """The roles of RFC 2142 at every domain, and whatever else is configured."""
        for name in ("root", "Abuse", "postmaster", "webmaster", "hostmaster", "noc", "security",
                     "support", "info", "admin", "\uff52oot"):  # fmt: skip
            for domain in ("montague.lit", "capulet.lit"):
                self.assertEqual(self.registers(name, domain=domain), "not-acceptable")
        self.house = self.make(reserved_names=("Prince",))
        self.assertEqual(self.registers("prince"), "not-acceptable")
        self.assertEqual(self.registers("root"), "result")

    def test_contacts(self) -> None:
        """The addresses that people are told to write to."""
        self.assertEqual(self.registers("friar"), "not-acceptable")
        self.assertEqual(self.registers("peter", domain="capulet.lit"), "not-acceptable")
        for name in ("nurse", "peter"):
            self.assertEqual(self.registers(name), "result")

    def test_counted(self) -> None:
        """It counts like a name that is somebody's, so that nobody tries all of them."""
        self.house = self.make(per_address_per_hour=1)
        stranger = self.house.unauthenticated()
        stranger.open("montague.lit")
        stranger.raw()
        fields = f"<username>root</username><password>{PASSWORD}</password>"
        query = f"<query xmlns='jabber:iq:register'>{fields}</query>"
        answers = [condition(ask(stranger, "set", query)) for _ in range(11)]
        self.assertEqual(answers, ["not-acceptable"] * 10 + ["resource-constraint"])

    def test_who_runs_the_server(self) -> None:
        """Makes any account, at any time."""
        passwords = self.house.server.passwords
        self.remove("romeo")
        for name in ("escalus", "root", "friar", "romeo"):
            done(passwords.create(self.house.jid(name).bare, PASSWORD))
        with self.assertRaises(AccountExists):
            done(passwords.create(self.house.jid("root").bare, PASSWORD))

    def test_removed(self) -> None:
        """Who was removed lately is not made again by somebody else; later on by anybody."""
        done(self.house.server.accounts.set_password(self.house.jid("romeo"), "a rose is a rose"))
        self.remove("romeo")
        self.house.clock.advance(RegistrationSettings().removed_names_reserved_s - 1)
        self.assertEqual(self.registers("romeo"), "not-acceptable")
        self.house.clock.advance(1)
        self.assertEqual(self.registers("romeo"), "result")

    def test_without_a_password(self) -> None:
        """An account that had no password has no owner who could come back."""
        self.remove("romeo")
        self.assertEqual(self.registers("romeo"), "not-acceptable")

    def test_owner_comes_back(self) -> None:
        """Whoever knows the last password had the account, and may have it again."""
        romeo = self.house.jid("romeo")
        for password in (PASSWORD, "a rose is a rose"):
            done(self.house.server.accounts.set_password(romeo, password))
        self.remove("romeo")
        self.assertEqual(self.registers("romeo", PASSWORD), "not-acceptable")
        self.assertEqual(self.registers("romeo", "tab\tin between"), "not-acceptable")
        self.assertEqual(self.registers("romeo", "a rose is a rose"), "result")
        self.remove("romeo")
        self.assertEqual(self.registers("romeo", "a rose is a rose"), "result")

    def test_not_configured(self) -> None:
        """At 0 a name is free when its account is removed."""
        self.house = self.make(removed_names_reserved_s=0.0)
        self.remove("romeo")
        self.assertEqual(self.registers("romeo"), "result")
