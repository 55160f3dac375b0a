"""What people are told while the store fails: to try again; and the log has no trace of it."""

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask
from tests.support import EVERYTHING, SlowStore
from tests.unit.auth.support import ScramClient
from tests.unit.login.logins import BIND, HEADER, LAPTOP, agent, authenticate, plain
from tests.unit.login.test_fast import TokenCase, by_token, request_token
from xmppd.config.config import Config
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
NURSE = f"nurse@{DOMAIN}"
ROSTER_SET = f"<query xmlns='{ns.ROSTER}'><item jid='a@x' name='a'/></query>"
FORM = "<username>romeo</username><password>wherefore art thou</password>"
WAIT = "<error type='wait'><resource-constraint "


def open_config() -> Config:
    """A house where everybody may register."""
    return house_config(DOMAIN, registration={"open": True})


class StanzaTests(SynchronousTestCase):
    """A stanza that needs the store (ST-2)."""

    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(
            config=open_config(),
            store=self.store,
            plugins=("register", "vcard", "private_storage", "blocking", "privacy_lists"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            nurse={},
        )
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def test_message(self) -> None:
        """A message that cannot be stored comes back, and the next one arrives."""
        self.store.broken = EVERYTHING
        self.romeo.send(f"<message to='{NURSE}' id='1'><body>hi</body></message>")
        (error,) = self.romeo.received()
        self.assertIn(WAIT, error)
        self.assertNotIn("the disk is gone", error)
        self.romeo.send(f"<message to='juliet@{DOMAIN}'><body>hi</body></message>")
        self.assertIn("<body>hi</body>", self.juliet.received()[0])

    def test_requests(self) -> None:
        """So does every request, whichever part of the server answers it."""
        self.store.broken = EVERYTHING
        for kind, payload in (
            ("set", ROSTER_SET),
            ("get", "<vCard xmlns='vcard-temp'/>"),
            ("set", "<vCard xmlns='vcard-temp'/>"),
            ("set", "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>"),
            ("get", "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>"),
            ("set", "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.lit'/></block>"),
            ("set", f"<query xmlns='jabber:iq:register'>{FORM}</query>"),
        ):
            with self.subTest(payload):
                self.romeo.send(f"<iq type='{kind}' id='1'>{payload}</iq>")
                (answer,) = self.romeo.received()
                self.assertIn(WAIT, answer)
        self.assertFalse(self.romeo.closed)

    def test_subscription(self) -> None:
        """A request for presence comes back too."""
        self.store.broken = EVERYTHING
        self.romeo.send(f"<presence type='subscribe' to='{NURSE}'/>")
        (error,) = self.romeo.received()
        self.assertIn(WAIT, error)

    def test_binding(self) -> None:
        """Who cannot be bound may try again on the same stream."""
        nurse = self.house.logged_in("nurse")
        self.store.broken = EVERYTHING
        bind = f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>"
        nurse.send(bind)
        self.assertIn(WAIT, nurse.received()[0])
        self.store.broken = set()
        nurse.send(bind)
        self.assertIn("type='result'", nurse.received()[0])

    def test_registration(self) -> None:
        """Who registers is told to try again, and is not counted as somebody who has."""
        self.store.broken = EVERYTHING
        query = f"<query xmlns='jabber:iq:register'>{FORM.replace('romeo', 'tybalt')}</query>"
        stranger = self.house.unauthenticated()
        stranger.open(DOMAIN)
        stranger.raw()
        for _ in range(self.house.server.config.registration.per_address_per_hour + 1):
            stranger.send(f"<iq type='set' id='1'>{query}</iq>")
            self.assertIn(WAIT, stranger.received()[0])
        self.store.broken = set()
        stranger.send(f"<iq type='set' id='1'>{query}</iq>")
        self.assertIn("type='result'", stranger.received()[0])

    def test_plugin_that_raises(self) -> None:
        """What a plugin's handler does not expect is no bug of it."""
        self.store.broken = {"get_items"}
        self.romeo.send("<iq type='get' id='1'><query xmlns='jabber:iq:privacy'/></iq>")
        self.romeo.raw()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_first_presence(self) -> None:
        """Who logs in meanwhile is seen; the messages that waited come when they can be read."""
        ask(self.romeo, "get", "<vCard xmlns='vcard-temp'/>")
        self.romeo.send(f"<message to='{NURSE}' type='chat'><body>later</body></message>")
        nurse = self.house.bind("nurse")
        self.store.broken = {"offline_messages", "last_presence"}
        nurse.send("<presence/>")
        self.assertNotIn("<error", "".join(nurse.received()))
        self.assertTrue(nurse.session.settled)
        self.store.broken = set()
        self.house.server.client_connections.sweep()
        self.assertIn("<body>later</body>", "".join(nurse.received()))

    def test_no_ghost(self) -> None:
        """Who has failed to change the roster and is lost then is still seen to leave."""
        self.store.broken = EVERYTHING
        self.romeo.send(f"<iq type='set' id='1'>{ROSTER_SET}</iq>")
        self.romeo.abort()
        self.assertIn("type='unavailable'", "".join(self.juliet.received()))

    def test_undone(self) -> None:
        """A contact that could not be changed, added or removed is what it was."""
        juliet = f"<item jid='juliet@{DOMAIN}'"
        roster = done(self.house.server.roster_manager.roster(self.house.jid("romeo")))
        before = dict(roster.items)
        self.store.broken = {"save_roster_items", "delete_roster_item"}
        for item in (
            f"{juliet} name='J'/>",
            f"{juliet} subscription='remove'/>",
            "<item jid='a@x'/>",
        ):
            self.romeo.send(f"<iq type='set' id='1'><query xmlns='{ns.ROSTER}'>{item}</query></iq>")
            self.assertIn(WAIT, self.romeo.received()[0])
            self.assertEqual(roster.items, before)
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertIn("<show>away</show>", self.juliet.received()[0])


class LoginTests(TokenCase):
    """A login that needs the store (ST-2)."""

    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = self.make(self.store)

    def auth(self, client: Client, mechanism: str, message: bytes | str) -> str:
        """What SASL answers."""
        initial = b64encode(message if isinstance(message, bytes) else message.encode()).decode()
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='{mechanism}'>{initial}</auth>")
        return client.raw().decode()

    def stranger(self) -> Client:
        """Somebody under TLS who has opened a stream."""
        client = self.house.unauthenticated(encrypted=True)
        client.open(DOMAIN)
        client.raw()
        return client

    def test_sasl(self) -> None:
        """SASL says that it is for the time being; then the same stream may log in."""
        for mechanism, message in (
            ("PLAIN", plain()),
            ("SCRAM-SHA-256", ScramClient("romeo").first()),
        ):
            with self.subTest(mechanism):
                client = self.stranger()
                self.store.broken = EVERYTHING
                self.assertIn("<temporary-auth-failure/>", self.auth(client, mechanism, message))
                self.store.broken = set()
                self.assertIn("<success", self.auth(client, "PLAIN", plain()))

    def test_no_guess(self) -> None:
        """Nobody is locked out by it."""
        self.store.broken = EVERYTHING
        for _ in range(30):
            answer = self.say(authenticate(agent=agent()))
            self.assertEqual(answer.failure, "temporary-auth-failure")
        self.store.broken = set()
        self.assertIn("success", self.say(authenticate(agent=agent())).names)

    def test_sasl2(self) -> None:
        """So does SASL2, whatever of a login it is that fails; then the client may come again."""
        for broken in ("credentials", "roster", "get_items"):
            with self.subTest(broken):
                self.store.broken = {broken}
                self.house.server.privacy_lists.forget("romeo@montague.lit")
                self.house.server.roster_manager.forget("romeo@montague.lit")
                answer = self.say(authenticate(None, BIND, agent=agent()))
                self.assertEqual(answer.failure, "temporary-auth-failure")
                self.assertNotIn("success", answer.names)
                if broken != "credentials":
                    self.assertEqual(answer.stream_error, "resource-constraint")
        self.store.broken = set()
        self.assertIn("success", self.say(authenticate(None, BIND, agent=agent())).names)

    def test_token(self) -> None:
        """A login by token whose count cannot be written is not let in; the token stays good."""
        token = self.token()
        for broken in ("device", "use_token"):
            with self.subTest(broken):
                self.store.broken = {broken}
                answer = self.say(by_token(token, count="1"))
                self.assertEqual(answer.failure, "temporary-auth-failure")
        self.store.broken = set()
        self.assertTrue(self.works(token, count="1"))

    def test_no_token(self) -> None:
        """Who asks for a token that cannot be stored is let in without one."""
        self.store.broken = {"add_token"}
        words = authenticate(None, request_token(), BIND, agent=agent(LAPTOP))
        self.assertEqual(self.token_of(self.say(words)), "")

    def test_resuming(self) -> None:
        """A stream that asks for a session and cannot be told what was handled may come again."""
        client = self.house.bind("romeo")
        id = client.enable()
        client.send(f"<message to='juliet@{DOMAIN}'><body>hi</body></message>")
        client.abort()
        again = self.house.logged_in("romeo")
        self.store.broken = EVERYTHING
        again.send(f"<resume xmlns='{ns.STREAM_MANAGEMENT}' previd='none' h='0'/>")
        self.assertNotIn(b"<internal-server-error", again.raw())
        self.store.broken = set()
        third = self.house.logged_in("romeo")
        self.assertIn("<resumed", third.resume(id, 0)[0])

    def test_header(self) -> None:
        """Who has said nothing but hello needs no store."""
        self.store.broken = EVERYTHING
        client = self.house.unauthenticated(encrypted=True)
        client.send(HEADER)
        self.assertIn(b"<mechanism>PLAIN</mechanism>", client.raw())


class HintTests(SynchronousTestCase):
    """What a message says about being kept (:xep:`0334`, OM-3)."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={}, nurse={f"romeo@{DOMAIN}": "from"})
        (self.romeo,) = self.house.connect("romeo")

    def outcome(self, *children: str, kind: str = "chat") -> tuple[int, str]:
        """How many messages wait then, and what came back."""
        body = "".join(
            f"<{child} xmlns='urn:xmpp:hints'/>" if child[0] != "<" else child for child in children
        )
        self.romeo.send(f"<message to='{NURSE}' type='{kind}' id='1'>{body}</message>")
        waiting = done(self.house.store.offline.offline_messages(NURSE))
        done(self.house.store.offline.delete_offline(NURSE, [one.id for one in waiting]))
        return len(waiting), "".join(self.romeo.received())

    def test_no_permanent_store(self) -> None:
        """It waits like any other: the hint is about archives."""
        self.assertEqual(self.outcome("<body>hi</body>", "no-permanent-store"), (1, ""))
        nurse = self.house.bind("nurse")
        self.romeo.send(
            f"<message to='{NURSE}' type='chat'><body>hi</body>"
            "<no-permanent-store xmlns='urn:xmpp:hints'/></message>"
        )
        nurse.send("<presence/>")
        self.assertIn("<body>hi</body>", "".join(nurse.received()))

    def test_no_store(self) -> None:
        """Its sender learns that it did not arrive, whatever other hints say."""
        for children in (
            ("<body>hi</body>", "no-store"),
            ("<body>hi</body>", "no-store", "no-permanent-store"),
            ("<body>hi</body>", "no-store", "store"),
            ("<x xmlns='urn:example:x'/>", "no-store"),
        ):
            with self.subTest(children):
                kept, told = self.outcome(*children)
                self.assertEqual(kept, 0)
                self.assertIn("<error type='cancel'><service-unavailable", told)

    def test_nothing_to_say(self) -> None:
        """Nobody is told about what would not have been kept anyway."""
        composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        for children in ((composing, "no-store"), ("no-store",), (composing,)):
            with self.subTest(children):
                self.assertEqual(self.outcome(*children), (0, ""))
        self.assertEqual(self.outcome("<body>hi</body>", "no-store", kind="headline"), (0, ""))
