"""Keys of programs: only digests are kept, guessing is slow, and none does more than its maker."""

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.auth.api_keys import WrongKey
from xmppd.auth.base import SASLError
from xmppd.command.command_context import SHELL, Actor
from xmppd.config.config import RoleSettings
from xmppd.config.scopes import OWN, ROLES
from xmppd.stanza import JID
from xmppd.store import api_keys
from xmppd.store.api_keys import APIKey, KeyRefused
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"
ESCALUS = "escalus@montague.lit"


class KeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        role = RoleSettings(
            name="helpdesk", accounts=("paris@montague.lit",), scopes=("keys:write",)
        )
        config = replace(house_config("montague.lit"), admins=(ESCALUS,), role=(role,))
        self.house = House(config=config, escalus={}, paris={}, romeo={})
        self.keys = self.house.server.api_keys

    def make(self, name: str = "deploy", *scopes: str, maker: Actor = SHELL) -> str:
        """The text of a new key."""
        made = self.keys.make(name, scopes or ("accounts:write",), 3_600.0, maker)
        return done(made)[1]

    def actor(self, text: str, address: str = HERE) -> Actor:
        """Whoever shows a key; waits as long as that takes."""
        asking = Deferred.fromCoroutine(self.keys.actor(text, address))
        while not asking.called:
            self.house.clock.advance(1)
        return done(asking)

    def person(self, name: str) -> Actor:
        """A person with a client."""
        return self.house.server.commands.actor(JID.parse(f"{name}@montague.lit/1"))

    def kept(self) -> APIKey:
        """The only key, as it is kept."""
        (key,) = done(self.keys.store.api_keys())
        return key

    def test_known_again(self) -> None:
        """Who shows a key is its actor, with its scopes, and its use is noted once an hour."""
        text = self.make()
        actor = self.actor(text)
        self.assertEqual((actor.who, actor.way, actor.address), ("key deploy", "rest", HERE))
        self.assertEqual(actor.scopes, {"accounts:write"})
        used = self.kept().used
        self.house.clock.advance(60)
        self.actor(text)
        self.assertEqual(self.kept().used, used)
        self.assertIsNotNone(used)

    def test_only_a_digest(self) -> None:
        """Nothing that is kept, nor two keys, tell what the key is."""
        text = self.make()
        self.assertNotIn(text.split("_", 2)[2], repr(self.kept()))
        self.assertNotEqual(text, self.make("other"))

    def test_wrong(self) -> None:
        """What is no key, one with another secret, one that is over or revoked, is refused."""
        text = self.make()
        wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
        for each in ("", "xmppd_", text + "x", text.upper(), wrong, wrong.replace("_", "-")):
            with self.subTest(each):
                self.assertRaises(WrongKey, self.actor, each)
        self.house.clock.advance(3_601)
        self.assertRaises(WrongKey, self.actor, text)
        text = self.make("other")
        self.assertTrue(done(self.keys.store.revoke_api_key("other")))
        self.assertFalse(done(self.keys.store.revoke_api_key("other")))
        self.assertRaises(WrongKey, self.actor, text, ELSEWHERE)

    def test_guessing(self) -> None:
        """Guesses take turns, and in the end nobody is listened to from there; who has shown the
        key before is not held up at home.
        """
        text = self.make()
        self.actor(text)
        guess = f"xmppd_{'0' * 16}_{'x' * 43}"
        for _ in range(4):
            self.assertRaises(WrongKey, self.actor, guess, ELSEWHERE)
        began = self.house.clock.seconds()
        self.assertRaises(WrongKey, self.actor, guess, ELSEWHERE)
        self.assertGreater(self.house.clock.seconds(), began)
        for _ in range(95):
            self.assertRaises(WrongKey, self.actor, guess, ELSEWHERE)
        self.assertRaises(SASLError, self.actor, guess, ELSEWHERE)
        self.assertRaises(SASLError, self.actor, text, ELSEWHERE)
        began = self.house.clock.seconds()
        self.actor(text, HERE)
        self.assertEqual(self.house.clock.seconds(), began)

    def test_one_budget(self) -> None:
        """Guesses at keys count as those at passwords do: there is no second budget."""
        guess = f"xmppd_{'0' * 16}_{'x' * 43}"
        for _ in range(100):
            self.assertRaises(WrongKey, self.actor, guess, ELSEWHERE)
        attempts = self.house.server.attempts
        turn = Deferred.fromCoroutine(attempts.turn("romeo@montague.lit", ELSEWHERE))
        self.failureResultOf(turn, SASLError)

    def test_person_behind(self) -> None:
        """A key can do no more than whoever made it can do now."""
        text = self.make("deploy", "accounts:write", "keys:write", maker=self.person("escalus"))
        self.assertEqual(self.kept().account, ESCALUS)
        self.assertEqual(self.actor(text).scopes, {"accounts:write", "keys:write"})
        self.house.server.commands.roles._scopes = {ESCALUS: ROLES["operator"]}
        self.assertEqual(self.actor(text).scopes, set())
        self.house.server.commands.roles._scopes = {ESCALUS: ROLES["admin"]}
        done(self.house.store.accounts.set_disabled(ESCALUS, True))
        self.assertEqual(self.actor(text).scopes, set())

    def test_key_of_a_key(self) -> None:
        """What is made by a key has the same person behind it."""
        text = self.make("deploy", "keys:write", maker=self.person("escalus"))
        self.make("more", "keys:write", maker=self.actor(text))
        self.assertEqual({key.account for key in done(self.keys.store.api_keys())}, {ESCALUS})

    def test_nobody_behind(self) -> None:
        """Who has no account here can have no key, and nobody's key is for an own account."""
        stranger = Actor(JID.parse("x@elsewhere.lit/1"), ROLES["admin"])
        self.assertRaises(KeyRefused, self.make, maker=stranger)
        self.assertRaises(KeyRefused, self.make, "own", OWN)

    def test_names(self) -> None:
        """No two keys have one name, and there is a limit to them."""
        self.make()
        self.assertRaises(KeyRefused, self.make)
        self.patch(api_keys, "MAX_KEYS", 2)
        self.make("second")
        self.assertRaises(KeyRefused, self.make, "third")

    def test_role(self) -> None:
        """A role of one's own gives its scopes, and what is everybody's."""
        self.assertEqual(self.person("paris").scopes, {"keys:write", OWN})
        self.assertEqual(self.person("romeo").scopes, {OWN})
