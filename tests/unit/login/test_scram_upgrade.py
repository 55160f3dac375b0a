"""Upgrade tasks: better keys of the same password, brought by whoever has logged in with it."""

import hashlib
from base64 import b64decode
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import ScramClient
from tests.unit.login.logins import (
    BIND,
    HEADER,
    Answer,
    agent,
    authenticate,
    response,
    text_of,
)
from tests.unit.login.test_fast import by_token, request_token
from xmppd.auth.keys import derive_keys
from xmppd.login.fast import NS as FAST
from xmppd.login.sasl2 import NS as SASL2
from xmppd.login.scram_upgrade import NS, SCRAM
from xmppd.stanza import JID
from xmppd.store.scram_keys import ScramKeys
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config

ROMEO = "romeo@montague.lit"
SHA_1 = derive_keys(PASSWORD.encode(), "SHA-1", b"pepper", 16)
ASK = "".join(f"<upgrade xmlns='{NS}'>UPGR-SCRAM-SHA-{bits}</upgrade>" for bits in (512, 256))


class UpgradeTests(SynchronousTestCase):
    """A house where Romeo has an old account."""

    def setUp(self) -> None:
        self.make((SHA_1,))

    def make(self, keys: Sequence[ScramKeys]) -> None:
        """The house, with these keys of Romeo's."""
        self.house = House(config=house_config("montague.lit", auth={"scram_iterations": 20}))
        done(self.house.store.accounts.create_account(ROMEO, keys))
        self.client = self.house.unauthenticated(encrypted=True)
        self.client.send(HEADER)

    def say(self, words: str) -> Answer:
        """What is answered."""
        self.client.send(words)
        return Answer(self.client.raw())

    def keys(self) -> dict[str, ScramKeys]:
        """Romeo's keys."""
        credentials = done(self.house.store.accounts.credentials(ROMEO))
        assert credentials is not None
        return credentials.keys

    def task(self, answer: Answer) -> str:
        """The one task that is to be done."""
        (task,) = answer["continue"].findall(f"{{{SASL2}}}tasks/{{{SASL2}}}task")
        return task.text or ""

    def next(self, task: str) -> Answer:
        """Begin a task."""
        return self.say(f"<next xmlns='{SASL2}' task='{task}'/>")

    def hash(self, salted: bytes) -> Answer:
        """Answer it."""
        return self.say(
            f"<task-data xmlns='{SASL2}'><hash xmlns='{SCRAM}'>{text_of(salted)}</hash></task-data>"
        )

    def do(self, task: str, password: str = PASSWORD) -> Answer:
        """Do a task as a client does."""
        salt = self.next(task)["task-data"].find(f"{{{SCRAM}}}salt")
        assert salt is not None
        algorithm = task.removeprefix("UPGR-SCRAM-SHA-")
        return self.hash(
            hashlib.pbkdf2_hmac(
                f"sha{algorithm}",
                password.encode(),
                b64decode(salt.text or ""),
                int(salt.get("iterations", "0")),
            )
        )

    def test_offered(self) -> None:
        """Both are offered to everybody, as far as the mechanisms are allowed."""
        upgrades = self.say("")["features"].findall(f".//{{{NS}}}upgrade")
        self.assertEqual([one.text for one in upgrades],
                         ["UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512"])  # fmt: skip
        config = house_config("montague.lit", auth={"mechanisms": ("SCRAM-SHA-256-PLUS", "PLAIN")})
        client = House(config=config).unauthenticated()
        client.send(HEADER)
        self.assertEqual(client.raw().count(b"UPGR-"), 1)

    def test_both(self) -> None:
        """One task after the other; then the client is let in, and bound, and logs in by them."""
        scram = ScramClient("SHA-1", username="romeo", password=PASSWORD)
        answer = self.say(authenticate(scram.first(), BIND, ASK, mechanism="SCRAM-SHA-1"))
        answer = self.say(response(scram.final(answer.challenge)))
        self.assertTrue(scram.accepts(answer.additional))
        self.assertEqual(self.task(answer), "UPGR-SCRAM-SHA-256")
        answer = self.do("UPGR-SCRAM-SHA-256")
        self.assertEqual(self.task(answer), "UPGR-SCRAM-SHA-512")
        self.assertIsNone(self.client.session.account)
        answer = self.do("UPGR-SCRAM-SHA-512")
        self.assertTrue(answer.identifier.startswith(f"{ROMEO}/Balcony/"))
        self.assertEqual(set(self.keys()), {"SHA-1", "SHA-256", "SHA-512"})
        self.assertEqual(self.keys()["SHA-1"], SHA_1)
        for hash in ("SHA-256", "SHA-512"):
            self.assertEqual(self.keys()[hash].iterations, 20)
            self.assertTrue(self.logs_in(hash))

    def logs_in(self, hash: str) -> bool:
        """Whether Romeo is let in by SCRAM with this hash."""
        client = self.house.unauthenticated()
        scram = ScramClient(hash, username="romeo", password=PASSWORD)
        client.send(HEADER + authenticate(scram.first(), mechanism=f"SCRAM-{hash}"))
        client.send(response(scram.final(Answer(client.raw()).challenge)))
        return b"<success" in client.raw()

    def test_more_iterations(self) -> None:
        """A key with too few iterations is replaced; one with enough is not asked for."""
        weak = derive_keys(PASSWORD.encode(), "SHA-256", b"pepper", 19)
        strong = derive_keys(PASSWORD.encode(), "SHA-512", b"pepper", 20)
        self.make((SHA_1, weak, strong))
        self.say(authenticate(None, ASK))
        self.assertIn("success", self.do("UPGR-SCRAM-SHA-256").names)
        self.assertEqual(self.keys()["SHA-512"], strong)
        self.assertEqual(self.keys()["SHA-256"].iterations, 20)

    def test_nothing_to_do(self) -> None:
        """Who asks for nothing, for what is unknown, or for what there is, is let in at once."""
        for ask in ("", f"<upgrade xmlns='{NS}'>UPGR-BLOOP</upgrade>"):
            self.setUp()
            self.assertIn("success", self.say(authenticate(None, ask)).names)
        done(self.house.server.passwords.set_password(ROMEO, PASSWORD))
        self.client = self.house.unauthenticated()
        self.assertIn("success", self.say(HEADER + authenticate(None, ASK)).names)

    def test_password_only(self) -> None:
        """Who has no more than a token changes no key."""
        answer = self.say(authenticate(None, request_token(), agent=agent()))
        token = answer["success"].find(f"{{{FAST}}}token")
        assert token is not None
        self.client = self.house.unauthenticated(encrypted=True)
        answer = self.say(HEADER + by_token(token.get("token", ""), ASK))
        self.assertIn("success", answer.names)
        self.assertEqual(set(self.keys()), {"SHA-1"})

    def test_mistakes(self) -> None:
        """A task that is not done as it should be fails the login, and changes nothing."""
        for words, condition in (
            ([f"<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-512'/>"], "malformed-request"),
            ([f"<next xmlns='{SASL2}'/>"], "malformed-request"),
            ([f"<task-data xmlns='{SASL2}'/>"], "malformed-request"),
            ([response(b"\0romeo\0" + PASSWORD.encode())], "malformed-request"),
            ([f"<abort xmlns='{SASL2}'/>"], "aborted"),
            ([f"<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-256'/>"] * 2, "malformed-request"),
            ([f"<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-256'/>",
              f"<task-data xmlns='{SASL2}'/>"], "malformed-request"),
            ([f"<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-256'/>",
              f"<task-data xmlns='{SASL2}'><hash xmlns='{SCRAM}'>!</hash></task-data>"],
             "incorrect-encoding"),
        ):  # fmt: skip
            with self.subTest(words=words):
                self.setUp()
                self.say(authenticate(None, ASK))
                for word in words:
                    answer = self.say(word)
                self.assertEqual(answer.failure, condition)
                self.assertEqual(set(self.keys()), {"SHA-1"})
                self.assertIsNone(self.client.session.account)
                self.assertFalse(self.client.closed)

    def test_no_second_login(self) -> None:
        """While a task is to be done, no other login begins."""
        self.say(authenticate(None, ASK))
        self.assertEqual(self.say(authenticate()).stream_error, "policy-violation")

    def test_password_changed_meanwhile(self) -> None:
        """A key of the old password is not added to those of a new one."""
        self.say(authenticate(None, ASK))
        done(self.house.server.accounts.set_password(JID.parse(ROMEO), "another rose"))
        keys = self.keys()
        self.assertEqual(self.do("UPGR-SCRAM-SHA-256").failure, "not-authorized")
        self.assertEqual(self.keys(), keys)

    def test_disabled_meanwhile(self) -> None:
        """Whose account is closed while it does its tasks is not let in."""
        self.say(authenticate(None, ASK.replace("512", "256")))
        done(self.house.server.accounts.disable(JID.parse(ROMEO)))
        self.assertEqual(self.do("UPGR-SCRAM-SHA-256").failure, "account-disabled")
