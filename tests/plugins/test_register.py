"""XEP-0077: In-Band Registration."""

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.account.stream_ends import StreamsClosed
from xmppd.auth.base import SASLError
from xmppd.stanza import Tree
from xmppd.store.accounts import AccountStore
from xmppd.store.store import Store
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config, memory_store
from xmppd.testing.network import Home
from xmppd_plugins.register.iq import FEATURE
from xmppd_plugins.register.registration import (
    HOUR_S,
    MAX_REMEMBERED_ADDRESSES,
    TAKEN_NAMES_PER_ACCOUNT,
    HourlyLimit,
)

NS = "{jabber:iq:register}"
PASSWORD = "wherefore art thou"
OTHER = "a rose is a rose is a rose"


def query(inside: str = "") -> str:
    """A request about registration."""
    return f"<query xmlns='jabber:iq:register'>{inside}</query>"


def credentials(name: str, password: str = PASSWORD) -> str:
    """A filled in form."""
    return query(f"<username>{name}</username><password>{password}</password>")


class SlowAccounts(AccountStore):
    """Accounts that take their time to be deleted: until the gate is opened."""

    gate: Deferred[None]

    async def delete_account(self, account: str) -> None:
        if not self.gate.called:
            waiting: Deferred[None] = Deferred()
            self.gate.addCallback(waiting.callback)
            await waiting
        await super().delete_account(account)


def house(
    tls: Mapping[str, object] | None = None, store: Store | None = None, **registration: object
) -> House:
    """A house with Romeo and Juliet, where registration is as configured."""
    config = house_config(
        "montague.lit", registration={"open": True, **registration}, tls=tls or {}
    )
    return House(
        config=config,
        store=store,
        plugins=("register",),
        romeo={"juliet": "both"},
        juliet={"romeo": "both"},
    )


def stranger(house: House, address: str = "192.0.2.1") -> Client:
    """Somebody who has opened a stream and not logged in."""
    client = house.unauthenticated(address)
    client.open("montague.lit")
    client.raw()
    return client


def exists(house: Home, name: str) -> bool:
    """Whether there is such an account."""
    return done(house.server.store.accounts.exists(house.jid(name).bare))


class StrangerTests(SynchronousTestCase):
    def test_form(self) -> None:
        """A stranger is told what to fill in."""
        answer = ask(stranger(house()), "get", query(), "montague.lit")
        names = [child.tag for child in answer[0]]
        self.assertEqual(names, [f"{NS}instructions", f"{NS}username", f"{NS}password"])
        self.assertIsNone(answer[0].findtext(f"{NS}password") or None)

    def test_register(self) -> None:
        """A stranger makes an account and can log in with it."""
        verona = house()
        answer = ask(stranger(verona), "set", credentials("Benvolio"))
        self.assertEqual(condition(answer), "result")
        check = verona.server.auth_provider.check_password("benvolio@montague.lit", PASSWORD)
        self.assertTrue(done(check))

    def test_feature(self) -> None:
        """The stream says whether one may register, and does not any more after login."""
        for offered in (True, False):
            with self.subTest(offered=offered):
                client = house(open=offered).unauthenticated()
                client.open("montague.lit")
                self.assertEqual(FEATURE in client.raw(), offered)
        client = house().unauthenticated()
        client.open("montague.lit")
        client.stanza_handler.authenticated(client.house.jid("romeo"))
        client.handler.restart()
        client.raw()
        client.open("montague.lit")
        self.assertNotIn(FEATURE, client.raw())

    def test_closed(self) -> None:
        """Where registration is closed, which is the default, nobody registers."""
        for verona in (house(open=False), House(plugins=("register",))):
            client = stranger(verona)
            self.assertEqual(condition(ask(client, "get", query())), "service-unavailable")
            answer = ask(client, "set", credentials("benvolio"))
            self.assertEqual(condition(answer), "service-unavailable")
            self.assertFalse(exists(verona, "benvolio"))

    def test_in_the_clear(self) -> None:
        """Where TLS is required, a password never comes in the clear, and nothing is offered."""
        client = house({"required": True}).unauthenticated()
        client.open("montague.lit")
        self.assertNotIn(FEATURE, client.raw())
        answer = ask(client, "set", credentials("benvolio"))
        self.assertEqual(condition(answer), "not-authorized")
        self.assertFalse(exists(client.house, "benvolio"))

    def test_refused(self) -> None:
        """Names and passwords that cannot be one, and requests that miss something."""
        cases = [
            (credentials(""), "not-acceptable"),
            (credentials("benvolio", ""), "not-acceptable"),
            (query("<username>benvolio</username>"), "not-acceptable"),
            (query(), "not-acceptable"),
            (query(f"<u xmlns='x'/><username>benvolio</username>{PASSWORD}"), "not-acceptable"),
            (
                query(f"<username xmlns='x'>b</username><password xmlns='x'>{PASSWORD}</password>"),
                "not-acceptable",
            ),
            (credentials("benvolio", "short"), "not-acceptable"),
            (credentials("benvolio", "x" * 1_024), "not-acceptable"),
            (credentials("benvolio", "tab\tin between"), "not-acceptable"),
            (credentials("ben volio"), "jid-malformed"),
            (credentials("benvolio@montague.lit"), "jid-malformed"),
            (credentials("benvolio/1"), "jid-malformed"),
            (credentials("b" * 1_024), "jid-malformed"),
            (query("<username>a</username>" * 2 + "<password>b</password>"), "bad-request"),
            (credentials("juliet"), "conflict"),
            (credentials("JULIET"), "conflict"),
            (query("<remove/>"), "unexpected-request"),
        ]
        client = stranger(house())
        for request, expected in cases:
            with self.subTest(request=request[:80]):
                answer = ask(client, "set", request)
                self.assertEqual(condition(answer), expected)
                self.assertNotIn(PASSWORD, "".join(answer.itertext()))
        self.assertFalse(exists(client.house, "benvolio"))

    def test_giant(self) -> None:
        """More than a stranger may send ends the stream."""
        client = stranger(house())
        client.send(f"<iq type='set' id='a'>{credentials('b' * 20_000)}</iq>")
        self.assertTrue(client.closed)

    def test_accounts_are_not_told(self) -> None:
        """A stranger who asks somebody else than the server is sent away, whoever that is."""
        verona = house()
        (juliet,) = verona.connect("juliet")
        juliet.raw()
        for to in ("juliet@montague.lit/1", "juliet@montague.lit", "nobody@montague.lit", "b.lit"):
            with self.subTest(to=to):
                client = stranger(verona)
                client.send(f"<iq type='get' id='a' to='{to}'>{query()}</iq>")
                self.assertIn(b"<not-authorized", client.raw())
                self.assertTrue(client.closed)
        self.assertEqual(juliet.raw(), b"")

    def test_no_password_in_logs(self) -> None:
        """What is logged about accounts never has a password in it."""
        with capturedLogs() as events:
            verona = house()
            for password in (PASSWORD, PASSWORD[:4], PASSWORD * 100):
                ask(stranger(verona), "set", credentials("benvolio", password))
            (romeo,) = verona.connect("romeo")
            ask(romeo, "set", credentials("romeo", PASSWORD))
            ask(romeo, "set", credentials("romeo", PASSWORD * 100))
        self.assertIn("romeo@montague.lit has a new password", map(formatEvent, events))
        self.assertNotIn(PASSWORD[:4], "".join(map(str, events)))


class RateTests(SynchronousTestCase):
    def test_per_address(self) -> None:
        """From one address so many accounts are made in an hour, over all its streams."""
        verona = house(per_address_per_hour=2)
        for name in ("a", "b"):
            answer = ask(stranger(verona), "set", credentials(name))
            self.assertEqual(condition(answer), "result")
        answer = ask(stranger(verona), "set", credentials("c"))
        self.assertEqual(condition(answer), "resource-constraint")
        self.assertFalse(exists(verona, "c"))
        other = ask(stranger(verona, "192.0.2.2"), "set", credentials("c"))
        self.assertEqual(condition(other), "result")

    def test_an_hour_later(self) -> None:
        """An hour later the address may make accounts again."""
        verona = house(per_address_per_hour=1)
        ask(stranger(verona), "set", credentials("a"))
        verona.clock.advance(HOUR_S)
        answer = ask(stranger(verona), "set", credentials("b"))
        self.assertEqual(condition(answer), "result")

    def test_failures_do_not_count(self) -> None:
        """Who asks for a name that is taken may try another one."""
        verona = house(per_address_per_hour=1)
        client = stranger(verona)
        self.assertEqual(condition(ask(client, "set", credentials("juliet"))), "conflict")
        self.assertEqual(condition(ask(client, "set", credentials("julia"))), "result")

    def test_taken_names_are_counted(self) -> None:
        """Nobody finds out by trying who has an account here."""
        client = stranger(house())
        for _ in range(5 * TAKEN_NAMES_PER_ACCOUNT):  # five accounts an hour may be made
            self.assertEqual(condition(ask(client, "set", credentials("juliet"))), "conflict")
        answer = ask(client, "set", credentials("juliet"))
        self.assertEqual(condition(answer), "resource-constraint")

    def test_networks(self) -> None:
        """All addresses of an IPv6 network count as one."""
        limit = HourlyLimit(Clock().seconds)
        limit.count("2001:db8::1")
        self.assertTrue(limit.reached("2001:db8::2", 1))
        self.assertFalse(limit.reached("2001:db8:0:1::2", 1))

    def test_memory(self) -> None:
        """Only so many addresses are remembered; the one counted longest ago is forgotten."""
        limit = HourlyLimit(Clock().seconds)
        for number in range(MAX_REMEMBERED_ADDRESSES + 1):
            limit.count(f"address {number}")
        self.assertEqual(len(limit), MAX_REMEMBERED_ADDRESSES)
        self.assertFalse(limit.reached("address 0", 1))
        self.assertTrue(limit.reached("address 1", 1))


class OwnerTests(SynchronousTestCase):
    def registered(self, answer: Tree) -> bool:
        """Whether an answer says so."""
        return answer.find(f"{NS}query/{NS}registered") is not None

    def test_registered(self) -> None:
        """An owner is told that they are registered, and under which name; never the password."""
        (romeo,) = house(open=False).connect("romeo")
        answer = ask(romeo, "get", query())
        self.assertTrue(self.registered(answer))
        self.assertEqual(answer[0].findtext(f"{NS}username"), "romeo")
        self.assertFalse(answer[0].findtext(f"{NS}password"))

    def test_change_password(self) -> None:
        """With a new password the old one is worth nothing any more."""
        verona = house()
        (romeo,) = verona.connect("romeo")
        check = verona.server.auth_provider.check_password
        for new, old in ((PASSWORD, OTHER), (OTHER, PASSWORD)):
            answer = ask(romeo, "set", credentials("romeo", new), "montague.lit")
            self.assertEqual(condition(answer), "result")
            self.assertTrue(done(check("romeo@montague.lit", new)))
            self.assertFalse(done(check("romeo@montague.lit", old)))

    def test_other_sessions_end(self) -> None:
        """Whoever else was logged in has to know the new password."""
        verona = house()
        here, there, juliet = verona.connect("romeo/here", "romeo/there", "juliet")
        half_way = verona.logged_in("romeo")
        here.raw()
        there.raw()
        here.send(f"<iq type='set' id='a'>{credentials('romeo')}</iq>")
        self.assertIn(b"type='result'", here.raw())
        self.assertIn(b"<reset ", there.raw())
        self.assertTrue(there.closed and half_way.closed)
        self.assertFalse(here.closed or juliet.closed)

    def test_change_refused(self) -> None:
        """Another's password, an empty or short one, and half a form change nothing."""
        cases = [
            (credentials("juliet"), "forbidden"),
            (credentials("benvolio"), "forbidden"),
            (credentials("romeo", ""), "bad-request"),
            (query(f"<password>{PASSWORD}</password>"), "bad-request"),
            (query(), "bad-request"),
            (credentials("romeo", "short"), "not-acceptable"),
            (credentials("romeo", "x" * 2_000), "not-acceptable"),
            (credentials("ro meo"), "jid-malformed"),
        ]
        verona = house()
        (romeo,) = verona.connect("romeo")
        ask(romeo, "set", credentials("romeo", OTHER))
        for request, expected in cases:
            with self.subTest(request=request[:80]):
                self.assertEqual(condition(ask(romeo, "set", request)), expected)
        check = verona.server.auth_provider.check_password
        self.assertTrue(done(check("romeo@montague.lit", OTHER)))
        self.assertFalse(exists(verona, "benvolio"))

    def test_changes_take_turns(self) -> None:
        """Whoever changes a password on and on waits for each change, and nobody else does."""
        verona = house()
        romeo, juliet = verona.connect("romeo", "juliet")
        romeo.raw()
        for number in range(8):
            romeo.send(f"<iq type='set' id='c{number}'>{credentials('romeo')}</iq>")
        self.assertEqual(romeo.raw().count(b"type='result'"), 3)
        juliet.send("<message to='romeo@montague.lit'><body>hi</body></message>")
        self.assertIn(b"<body>hi</body>", romeo.raw())
        self.assertEqual(condition(ask(stranger(verona), "get", query())), "result")
        for seconds in (1, 2, 4, 4, 4):
            self.assertEqual(romeo.raw(), b"")
            verona.clock.advance(seconds)
            self.assertEqual(romeo.raw().count(b"type='result'"), 1)

    def test_changes_by_many_streams(self) -> None:
        """Streams of one account take turns too; those that would wait long are told so."""
        verona = house()
        streams = verona.connect(*(f"romeo/{number}" for number in range(10)))
        for stream in streams:
            stream.raw()
            stream.send(f"<iq type='set' id='c'>{credentials('romeo', 'short')}</iq>")
            self.assertIn(b"not-acceptable", stream.raw())  # what is refused is not counted

        async def spare_all(*arguments: object, **more: object) -> StreamsClosed:
            return StreamsClosed(0)

        self.patch(verona.server.accounts.ends, "end", spare_all)
        for stream in streams:
            stream.send(f"<iq type='set' id='c'>{credentials('romeo')}</iq>")
        verona.clock.advance(20)
        answers = b"".join(stream.raw() for stream in streams)
        self.assertEqual(
            answers.count(b"type='result'") + answers.count(b"resource-constraint"), 10
        )
        self.assertIn(b"<resource-constraint", answers)

    def test_another_account(self) -> None:
        """Juliet's account answers nothing to Romeo."""
        (romeo,) = house().connect("romeo")
        for request in (credentials("juliet"), query("<remove/>")):
            answer = ask(romeo, "set", request, "juliet@montague.lit")
            self.assertEqual(condition(answer), "service-unavailable")
        self.assertTrue(exists(romeo.house, "juliet"))

    def test_not_allowed(self) -> None:
        """An administrator may keep both to himself."""
        (romeo,) = house(change_password=False, remove_account=False).connect("romeo")
        for request in (credentials("romeo"), query("<remove/>")):
            self.assertEqual(condition(ask(romeo, "set", request)), "not-allowed")
        self.assertTrue(exists(romeo.house, "romeo"))

    def test_remove(self) -> None:
        """Who removes the account is told so first; then every stream of it is closed."""
        verona = house()
        here, there = verona.connect("romeo/here", "romeo/there")
        here.raw()
        here.send(f"<iq type='set' id='a'>{query('<remove/>')}</iq>")
        data = here.raw()
        self.assertLess(data.index(b"type='result'"), data.index(b"<not-authorized"))
        self.assertEqual(data.count(b"type='result'"), 1)
        self.assertTrue(here.closed and there.closed)
        self.assertFalse(exists(verona, "romeo"))

    def test_two_removals(self) -> None:
        """Two clients of one account may remove it at once; meanwhile nobody logs in."""
        store = memory_store()
        store.accounts = slow = SlowAccounts(store.database, store.presences, store.belongings)
        slow.gate = Deferred()
        verona = house(store=store)
        clients = verona.connect("romeo/here", "romeo/there")
        for client in clients:
            client.send(f"<iq type='set' id='a'>{query('<remove/>')}</iq>")
        self.assertTrue(exists(verona, "romeo"))
        with self.assertRaises(SASLError):
            done(verona.server.auth_provider.may_log_in("romeo@montague.lit"))
        slow.gate.callback(None)
        self.assertFalse(exists(verona, "romeo"))
        self.assertEqual([client.closed for client in clients], [True, True])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_removed_meanwhile(self) -> None:
        """A client whose account was removed behind its back is told so."""
        verona = house()
        (romeo,) = verona.connect("romeo")
        done(verona.store.accounts.delete_account("romeo@montague.lit"))
        for request in (credentials("romeo"), query("<remove/>")):
            answer = ask(romeo, "set", request)
            self.assertEqual(condition(answer), "registration-required")

    def test_remove_before_binding(self) -> None:
        """Who has logged in need not bind a resource to remove the account."""
        verona = house()
        romeo = verona.logged_in("romeo")
        romeo.send(f"<iq type='set' id='a'>{query('<remove/>')}</iq>")
        self.assertIn(b"type='result'", romeo.raw())
        self.assertTrue(romeo.closed)
        self.assertFalse(exists(verona, "romeo"))

    def test_remove_and_something_else(self) -> None:
        """To remove an account by mistake is not so easy."""
        verona = house()
        (romeo,) = verona.connect("romeo")
        cases = [
            query("<remove/><username>romeo</username>"),
            query("<remove/><remove/>"),
            query("<remove xmlns='urn:other'/>"),
            "<query xmlns='urn:other'><remove/></query>",
        ]
        for request in cases:
            with self.subTest(request=request):
                self.assertEqual(ask(romeo, "set", request).get("type"), "error")
        self.assertTrue(exists(verona, "romeo"))
