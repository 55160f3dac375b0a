"""Tokens, as a client sees them: how they are got, shown, followed by others, and lost."""

import hmac
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.test_providers import Town
from tests.unit.login.logins import BIND, HEADER, LAPTOP, PHONE, Answer, agent, authenticate, plain
from xmppd.auth.tokens import MAX_TOKENS_PER_DEVICE, SEEN_EVERY_S
from xmppd.login.fast import MAX_COUNT
from xmppd.login.fast import NS as FAST
from xmppd.stanza import JID
from xmppd.store.devices import MAX_SPENT_TOKENS, DeviceStore
from xmppd.store.store import Store
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, House, house_config, memory_store

NONE = "HT-SHA-256-NONE"
DAY_S = 86_400.0
ROMEO = "romeo@montague.lit"


def request_token(mechanism: str = NONE) -> str:
    """What asks for one."""
    return f"<request-token xmlns='{FAST}' mechanism='{mechanism}'/>"


def proof(token: str, name: str = "romeo", role: str = "Initiator") -> bytes:
    """What the client says that knows a token."""
    return f"{name}\0".encode() + hmac.digest(token.encode(), role.encode(), "sha256")


def by_token(
    token: str,
    *inline: str,
    name: str = "romeo",
    device: str = PHONE,
    mechanism: str = NONE,
    **attributes: str,
) -> str:
    """An ``<authenticate/>`` with a token."""
    written = "".join(f" {key}='{value}'" for key, value in attributes.items())
    fast = f"<fast xmlns='{FAST}'{written}/>"
    return authenticate(proof(token, name), fast, *inline, mechanism=mechanism, agent=agent(device))


class TokenCase(SynchronousTestCase):
    """A house where Romeo and Juliet have passwords, and come by TLS."""

    def setUp(self) -> None:
        self.house = self.make()

    def make(self, store: Store | None = None, **tables: dict[str, object]) -> House:
        """A house, configured like that."""
        tables.setdefault("auth", {"failures_before_delay": 1_000})
        house = House(config=house_config("montague.lit", **tables), store=store)
        for name in ("romeo", "juliet"):
            done(house.server.passwords.create(f"{name}@montague.lit", PASSWORD))
        return house

    def say(self, words: str, client: Client | None = None) -> Answer:
        """What is answered to somebody new under TLS who says this behind the header."""
        client = client or self.house.unauthenticated(encrypted=True)
        client.send(HEADER + words)
        return Answer(client.raw())

    def token_of(self, answer: Answer) -> str:
        """The token that came; empty if none did."""
        found = answer["success"].findall(f"{{{FAST}}}token")
        self.assertLessEqual(len(found), 1)
        return found[0].get("token", "") if found else ""

    def token(self, name: str = "romeo", device: str = PHONE, mechanism: str = NONE) -> str:
        """A new token of somebody who has logged in with the password."""
        words = authenticate(plain(name), request_token(mechanism), agent=agent(device))
        token = self.token_of(self.say(words))
        self.assertTrue(token)
        return token

    def works(self, token: str, **how: str) -> bool:
        """Whether it lets its device in."""
        return self.refusal(token, **how) == ""

    def refusal(self, token: str, **how: str) -> str:
        """The condition by which it is refused; empty if it lets its device in."""
        answer = self.say(by_token(token, **how))
        return "" if "success" in answer.names else answer.failure


class IssueTests(TokenCase):
    """Getting a token (XEP-0484 §3.2, §3.3)."""

    def test_offered(self) -> None:
        """Mechanisms for tokens stand in the inline list, and not among those for passwords."""
        answer = self.say("")
        offered = answer["features"].findall(f".//{{{FAST}}}fast/{{{FAST}}}mechanism")
        self.assertEqual([one.text for one in offered], [NONE])
        self.assertIsNone(answer["features"].find(f".//{{{FAST}}}fast").get("tls-0rtt"))  # type: ignore[union-attr]
        self.assertEqual(str(answer).count("HT-"), 1)

    def test_not_in_clear(self) -> None:
        """Without TLS tokens are neither offered, nor given, nor taken."""
        token = self.token()
        client = self.house.unauthenticated()
        answer = self.say("", client)
        self.assertNotIn(FAST, str(answer))
        answer = self.say(by_token(token), self.house.unauthenticated())
        self.assertEqual(answer.failure, "invalid-mechanism")
        words = authenticate(None, request_token(), agent=agent())
        self.assertEqual(self.token_of(self.say(words, self.house.unauthenticated())), "")

    def test_switched_off(self) -> None:
        """An administrator may do without tokens."""
        self.house = self.make(tokens={"mechanisms": ()})
        self.assertNotIn(FAST, str(self.say("")))
        words = authenticate(None, request_token(), agent=agent())
        self.assertEqual(self.token_of(self.say(words)), "")

    def test_expiry(self) -> None:
        """A token comes with the time of its end."""
        answer = self.say(authenticate(None, request_token(), agent=agent()))
        token = answer["success"].find(f"{{{FAST}}}token")
        assert token is not None
        self.assertEqual(token.get("expiry"), "2023-12-05T22:13:20Z")
        self.assertGreaterEqual(len(token.get("token", "")), 43)

    def test_nothing_to_give(self) -> None:
        """Who does not say which client it is, or wants what is not offered, gets no token."""
        for words in (
            authenticate(None, request_token()),
            authenticate(None, request_token("HT-SHA-256-EXPR"), agent=agent()),
            authenticate(None, request_token("PLAIN"), agent=agent()),
            authenticate(None, agent=agent()),
        ):
            self.assertEqual(self.token_of(self.say(words)), "")

    def test_guests(self) -> None:
        """A guest, whose account ends with the session, gets none."""
        self.house = self.make(auth={"mechanisms": ("ANONYMOUS",)})
        words = authenticate("", request_token(), mechanism="ANONYMOUS", agent=agent())
        self.assertEqual(self.token_of(self.say(words)), "")

    def test_failure(self) -> None:
        """A login that fails brings none."""
        self.say(authenticate(plain(password="no"), request_token(), agent=agent()))
        self.assertEqual(done(self.house.store.devices.devices(ROMEO)), [])

    def test_not_in_the_store(self) -> None:
        """What the store has is not the token, and with another secret makes another one."""
        token = self.token()
        (device,) = done(self.house.store.devices.devices(ROMEO))
        self.assertNotIn(token, repr(device))
        thief = House(store=self.house.store)
        thief.server.tokens._secret = b"a guess"
        (kept,) = device.tokens
        held = done(thief.server.tokens.held(ROMEO, PHONE, NONE))
        self.assertNotIn(token, [one.text for one in held])
        self.assertEqual(held[0].token, kept)


class LoginTests(TokenCase):
    """Logging in by a token (§3.4)."""

    def test_one_round_trip(self) -> None:
        """A device that comes back is online after its first words, and knows that we are we."""
        token = self.token()
        client = self.house.unauthenticated(encrypted=True)
        answer = self.say(by_token(token, BIND), client)
        self.assertEqual(answer.names, ["features", "success", "features"])
        self.assertTrue(answer.identifier.startswith(f"{ROMEO}/Balcony/"))
        self.assertEqual(answer.additional, hmac.digest(token.encode(), b"Responder", "sha256"))
        login = client.session.login
        assert login is not None
        self.assertEqual((login.mechanism, login.agent.id), (NONE, PHONE))

    def test_again(self) -> None:
        """It works again and again; also one that was never used, when another has come."""
        token = self.token()
        for _ in range(3):
            self.assertTrue(self.works(token))

    def test_restart(self) -> None:
        """Tokens survive a restart."""
        token = self.token()
        self.house = House(config=house_config("montague.lit"), store=self.house.store)
        self.assertTrue(self.works(token))

    def test_somebody_elses(self) -> None:
        """A token is of one account, one device and one mechanism."""
        token = self.token()
        self.token("juliet")
        self.token(device=LAPTOP)
        self.assertFalse(self.works(token, name="juliet"))
        self.assertFalse(self.works(token, device=LAPTOP))
        tokens = self.house.server.tokens
        tokens.use(replace(tokens.settings, mechanisms=(NONE, "HT-SHA-512-NONE")))
        other = self.token(mechanism="HT-SHA-512-NONE")
        self.assertFalse(self.works(other))
        self.assertFalse(self.works(token[:-1]))

    def test_nobody_is_told(self) -> None:
        """Unknown accounts, devices and tokens are answered alike, and looked at alike."""
        token = self.token()
        answers = {
            str(self.say(by_token(*how, **more)))
            for how, more in (
                ((token + "x",), {}),
                ((token,), {"name": "nobody"}),
                ((token,), {"device": LAPTOP}),
            )
        }
        self.assertEqual(len(answers), 1)
        tokens = self.house.server.tokens
        for account, device in ((ROMEO, PHONE), (ROMEO, LAPTOP), ("nobody@montague.lit", PHONE)):
            held = done(tokens.held(account, device, NONE))
            self.assertEqual(len(held), MAX_TOKENS_PER_DEVICE + MAX_SPENT_TOKENS)

    def test_malformed(self) -> None:
        """What makes no sense is told so."""
        token = self.token()
        fast = f"<fast xmlns='{FAST}'/>"
        for words, condition in (
            (authenticate(b"romeo", fast, mechanism=NONE, agent=agent()), "malformed-request"),
            (authenticate(b"\0x", fast, mechanism=NONE, agent=agent()), "malformed-request"),
            (authenticate(b"\xff\0x", fast, mechanism=NONE, agent=agent()), "malformed-request"),
            (authenticate(proof(token), fast, mechanism=NONE), "malformed-request"),
            (authenticate(proof(token), mechanism=NONE, agent=agent()), "invalid-mechanism"),
            (by_token(token, mechanism="HT-SHA-256-EXPR"), "invalid-mechanism"),
            (authenticate(None, fast, agent=agent()), "invalid-mechanism"),
            (by_token(token, count="-1"), "malformed-request"),
            (by_token(token, count="x"), "malformed-request"),
            (by_token(token, count=str(MAX_COUNT + 1)), "malformed-request"),
            (by_token(token, count="9" * 5_000), "malformed-request"),
        ):
            with self.subTest(words=words[:300]):
                self.assertEqual(self.say(words).failure, condition)
        self.assertTrue(self.works(token))

    def test_guesses_do_not_count(self) -> None:
        """Wrong tokens keep nobody waiting: neither the right one, nor the password."""
        self.house = self.make(auth={"failures_before_lockout": 3, "failures_before_delay": 1})
        token = self.token()
        for _ in range(10):
            self.assertFalse(self.works("a guess"))
        self.assertTrue(self.works(token))
        self.assertIn("success", self.say(authenticate(None, agent=agent(LAPTOP))).names)

    def test_guesses_end_a_stream(self) -> None:
        """One stream guesses as often as with passwords."""
        client = self.house.unauthenticated(encrypted=True)
        self.say("", client)
        for _ in range(3):
            client.send(by_token("a guess"))
        self.assertEqual(Answer(client.raw()).stream_error, "policy-violation")

    def test_disabled(self) -> None:
        """A closed account's devices stay out, and their tokens are gone when it is opened."""
        token = self.token()
        accounts, romeo = self.house.server.accounts, JID.parse(ROMEO)
        done(accounts.disable(romeo))
        self.assertFalse(self.works(token))
        done(accounts.enable(romeo))
        self.assertFalse(self.works(token))


class EndTests(TokenCase):
    """A token that its client was given and that has ended is ``credentials-expired`` (FA-2)."""

    def used(self) -> str:
        """A token that Romeo's phone has used."""
        token = self.token()
        self.assertTrue(self.works(token))
        return token

    def assert_ended(self, token: str, **how: str) -> None:
        """It is told from one that never was, for its own client and mechanism only."""
        self.assertEqual(self.refusal(token, **how), "credentials-expired")
        self.assertEqual(self.refusal(token + "x", **how), "not-authorized")
        self.assertEqual(self.refusal(token, device=LAPTOP), "not-authorized")
        self.assertEqual(self.refusal(token, name="juliet"), "not-authorized")

    def test_invalidated(self) -> None:
        """By its client, which then logs in with the password on the same stream."""
        token = self.token()
        fast = f"<fast xmlns='{FAST}' invalidate='true'/>"
        self.say(authenticate(proof(token), fast, mechanism=NONE, agent=agent()))
        self.assert_ended(token)
        client = self.house.unauthenticated(encrypted=True)
        self.say(by_token(token), client)
        client.send(authenticate(None, agent=agent()))
        self.assertIn("success", Answer(client.raw()).names)

    def test_superseded(self) -> None:
        """By one that was used, or in the place of which another was given."""
        old = self.used()
        unused, new = self.token(), self.token()
        self.assert_ended(unused)
        self.assertTrue(self.works(old))
        self.assertTrue(self.works(new))
        self.assert_ended(old)
        self.assert_ended(unused)

    def test_with_the_password(self) -> None:
        """With the password, by whatever way it was changed; both the one in use and the next."""
        tokens = [self.used(), self.token()]
        accounts = self.house.server.accounts
        done(accounts.set_password(JID.parse(ROMEO), "another rose by any name"))
        for token in tokens:
            self.assert_ended(token)
        self.house = House(config=house_config("montague.lit"), store=self.house.store)
        for token in tokens:
            self.assert_ended(token)

    def test_revoked(self) -> None:
        """By its owner, by an administrator, or because the account was closed for a while."""
        token = self.used()
        self.assertTrue(done(self.house.server.tokens.revoke(ROMEO, PHONE)))
        self.assert_ended(token)
        token = self.used()
        done(self.house.server.accounts.disable(JID.parse(ROMEO)))
        self.assert_ended(token)

    def test_too_many_devices(self) -> None:
        """Whose device was seen longest ago and made room for another."""
        tokens = self.house.server.tokens
        tokens.use(replace(tokens.settings, max_devices=1))
        token = self.used()
        self.house.clock.advance(1)
        self.token(device=LAPTOP)
        self.assertEqual(self.refusal(token), "credentials-expired")

    def test_account_of_before(self) -> None:
        """With the account all is forgotten: the next of its name has nothing to do with it."""
        token = self.used()
        done(self.house.server.accounts.remove(JID.parse(ROMEO)))
        self.assertEqual(self.refusal(token), "not-authorized")
        done(self.house.server.passwords.create(ROMEO, PASSWORD))
        self.assertEqual(self.refusal(token), "not-authorized")

    def test_bounded(self) -> None:
        """The last few of a device, and so many devices without tokens, are known; no more."""
        first = self.used()
        for _ in range(MAX_SPENT_TOKENS + 1):
            self.used()
        self.assertEqual(self.refusal(first), "not-authorized")
        (phone,) = done(self.house.store.devices.devices(ROMEO))
        self.assertEqual(len(phone.spent), MAX_SPENT_TOKENS)
        for number in range(100):
            device = f"{number:08}-4d72-4749-b3d3-740edbf87770"
            self.token(device=device)
            done(self.house.server.tokens.revoke(ROMEO, device))
            self.house.clock.advance(1)
        most = 2 * self.house.server.tokens.settings.max_devices
        self.assertLessEqual(len(done(self.house.store.devices.devices(ROMEO))), most)


class SeenTests(TokenCase):
    """When a device was seen last."""

    def test_nothing_new(self) -> None:
        """A phone that comes and goes costs no write each time, unless that is some time ago."""
        token = self.token()
        self.assertTrue(self.works(token))
        store, notes = self.house.store, []
        use = store.devices.use_token

        async def use_token(*args: Any) -> bool:
            notes.append(args)
            return await use(*args)

        self.patch(store.devices, "use_token", use_token)
        self.assertTrue(self.works(token))
        self.assertEqual(notes, [])
        self.house.clock.advance(SEEN_EVERY_S)
        self.assertTrue(self.works(token))
        self.assertEqual(len(notes), 1)
        self.assertTrue(self.works(token, count="1"))
        self.assertEqual(len(notes), 2)


class RotationTests(TokenCase):
    """One token follows the other (§3.5)."""

    def test_due(self) -> None:
        """After a day a device that comes back is given a new token; the old one works until the
        new one is used.
        """
        token = self.token()
        self.assertEqual(self.token_of(self.say(by_token(token))), "")
        self.house.clock.advance(DAY_S)
        lost = self.token_of(self.say(by_token(token)))
        new = self.token_of(self.say(by_token(token)))
        self.assertNotIn("", (lost, new))
        self.assertFalse(self.works(lost))
        self.assertTrue(self.works(new))
        self.assertFalse(self.works(token))
        self.assertTrue(self.works(new))

    def test_requested_as_well(self) -> None:
        """Who asks for a token and is due for one gets one, not two."""
        token = self.token()
        self.house.clock.advance(DAY_S)
        new = self.token_of(self.say(by_token(token, request_token())))
        self.assertTrue(self.works(new))
        self.assertFalse(self.works(token))

    def test_expired(self) -> None:
        """Whoever has the right token too late is told so, and nobody else is."""
        token = self.token()
        self.house.clock.advance(21 * DAY_S)
        self.assertEqual(self.say(by_token(token)).failure, "credentials-expired")
        self.assertEqual(self.say(by_token(token + "x")).failure, "not-authorized")
        self.assertEqual(done(self.house.server.tokens.devices(ROMEO)), [])

    def test_policy_changes(self) -> None:
        """Times in the configuration hold for tokens that are given from then on."""
        house = self.house
        house.server.reload(
            house_config("montague.lit", tokens={"lifetime_s": 60.0, "rotation_s": 10.0})
        )
        token = self.token()
        house.clock.advance(10)
        self.assertTrue(self.token_of(self.say(by_token(token))))
        house.clock.advance(51)
        self.assertEqual(self.say(by_token(token)).failure, "credentials-expired")


class ElsewhereTests(TokenCase):
    """Accounts whose password somebody else keeps, who may close them without a word."""

    def setUp(self) -> None:
        domain = [{"name": "montague.lit", "auth": ["town"]}]
        self.house = House(config=house_config("montague.lit", domain=domain))
        self.house.server.auth_provider.put(Town(), "town")

    def test_ends(self) -> None:
        """However often its token is followed by another, or the client asks for one, a device
        shows the password again after the lifetime of the first.
        """
        words = authenticate(plain("romeo", "open"), request_token(), agent=agent())
        token = self.token_of(self.say(words))
        for day in range(1, 21):
            self.house.clock.advance(DAY_S)
            asked = (request_token(),) if day % 2 else ()
            token = self.token_of(self.say(by_token(token, *asked))) or token
        self.assertTrue(self.works(token))
        self.house.clock.advance(DAY_S)
        self.assertEqual(self.refusal(token), "credentials-expired")
        self.assertTrue(self.token_of(self.say(words)))


class CountTests(TokenCase):
    """Replayed logins (§3.4, §6)."""

    def test_replay(self) -> None:
        """The same login a second time is refused, and so is one of an earlier count."""
        token = self.token()
        self.assertTrue(self.works(token, count="2"))
        for count in ("2", "1", "0"):
            self.assertFalse(self.works(token, count=count))
        self.assertTrue(self.works(token, count="3"))

    def test_once_counted(self) -> None:
        """A client that counts is not replayed by leaving the count out."""
        token = self.token()
        self.assertTrue(self.works(token))
        self.assertTrue(self.works(token, count="1"))
        self.assertFalse(self.works(token))

    def test_new_token(self) -> None:
        """Each token is counted for itself."""
        token = self.token()
        self.assertTrue(self.works(token, count=str(MAX_COUNT)))
        self.assertTrue(self.works(self.token(), count="1"))

    def test_stored_first(self) -> None:
        """The count is in the store before the client is let in."""
        written: Deferred[None] = Deferred()

        class Slow(DeviceStore):
            async def use_token(
                self, account: str, id: str, nonce: bytes, count: int | None, seen: float
            ) -> bool:
                used = await super().use_token(account, id, nonce, count, seen)
                await written
                return used

        store = memory_store()
        store.devices = Slow(store.database)
        self.house = self.make(store)
        token = self.token()
        client = self.house.unauthenticated(encrypted=True)
        answer = self.say(by_token(token, count="7"), client)
        self.assertEqual(answer.names, ["features"])
        written.callback(None)
        self.assertIn(b"<success", client.raw())

    def test_lost_meanwhile(self) -> None:
        """For a device that is lost while its count is stored nothing is done any more."""
        written: Deferred[None] = Deferred()

        class Slow(DeviceStore):
            async def use_token(
                self, account: str, id: str, nonce: bytes, count: int | None, seen: float
            ) -> bool:
                await written
                return await super().use_token(account, id, nonce, count, seen)

        store = memory_store()
        store.devices = Slow(store.database)
        self.house = self.make(store)
        token = self.token()
        client = self.house.unauthenticated(encrypted=True)
        self.say(by_token(token, BIND, request_token()), client)
        client.abort()
        written.callback(None)
        self.assertEqual(self.house.server.session_manager.bound, 0)
        (device,) = done(self.house.store.devices.devices(ROMEO))
        self.assertIsNone(device.new)
        self.assertNotIn(client.handler, self.house.server.client_connections.handlers)
        self.assertFalse(
            self.house.server.client_connections.login_queue.is_in_progress(client.handler)
        )


class RevocationTests(TokenCase):
    """Tokens that are worth nothing any more."""

    def test_invalidate(self) -> None:
        """A client that logs out for good ends its token by using it once more (§3.6)."""
        for yes in ("true", "1"):
            token = self.token()
            self.house.clock.advance(DAY_S)
            self.assertEqual(self.token_of(self.say(by_token(token, invalidate=yes))), "")
            self.assertFalse(self.works(token))

    def test_invalidate_and_request(self) -> None:
        """It may have another one in its place."""
        token = self.token()
        new = self.token_of(self.say(by_token(token, request_token(), invalidate="true")))
        self.assertFalse(self.works(token))
        self.assertTrue(self.works(new))

    def test_new_password(self) -> None:
        """With a new password all tokens are gone; they may be in the wrong hands too."""
        token = self.token()
        done(self.house.server.accounts.set_password(JID.parse(ROMEO), "another rose"))
        self.assertFalse(self.works(token))

    def test_account_removed(self) -> None:
        """Who gets a name that was somebody's gets none of their tokens."""
        token = self.token()
        done(self.house.server.accounts.remove(JID.parse(ROMEO)))
        self.assertFalse(self.works(token))
        done(self.house.server.passwords.create(ROMEO, PASSWORD))
        self.assertFalse(self.works(token))

    def test_too_many_devices(self) -> None:
        """One device too many, and who was away longest has to give its password again."""
        self.house = self.make(tokens={"max_devices": 2})
        devices = [f"d4565fa7-4d72-4749-b3d3-74000000000{number}" for number in range(3)]
        tokens = []
        for device in devices[:2]:
            tokens.append(self.token(device=device))
            self.house.clock.advance(1)
        self.assertTrue(self.works(tokens[0], device=devices[0]))
        self.token(device=devices[2])
        self.assertTrue(self.works(tokens[0], device=devices[0]))
        self.assertFalse(self.works(tokens[1], device=devices[1]))
