"""Registering push services (PN-1), and how registrations follow devices (PN-2)."""

from tests.plugins.asking import ask, condition
from tests.plugins.push import registrations_contract as contract
from tests.plugins.push.service import (
    DOMAIN,
    JULIET,
    NS,
    OPTIONS,
    PLUGINS,
    SERVICE,
    PushCase,
    PushService,
    disable,
    enable,
    message,
)
from tests.unit.login.logins import HEADER, agent, authenticate, plain
from tests.unit.store import databases
from xmppd.stanza import JID
from xmppd.testing.client import Client, done
from xmppd.testing.house import House
from xmppd_plugins.push.registrations import MAX_REGISTRATIONS, Registrations

DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


class EnableTests(PushCase):
    """``<enable/>`` and ``<disable/>``."""

    def setUp(self) -> None:
        super().setUp()
        (self.juliet,) = self.house.connect("juliet/phone")

    def kept(self) -> list[tuple[str, str]]:
        """The services and nodes that are registered."""
        registrations = Registrations(self.house.store.database)
        return [(each.service, each.node) for each in done(registrations.of(JULIET))]

    def test_disco(self) -> None:
        """The account says that it does that, and so does the server."""
        for to in (JULIET, DOMAIN):
            answer = ask(self.juliet, "get", DISCO, to)
            self.assertIn(NS, [feature.get("var") for feature in answer[0]])

    def test_enable(self) -> None:
        """A service is registered once, however often it is asked for; another node is another."""
        for node in ("a", "a", "b", ""):
            self.assertEqual(enable(self.juliet, node), "result")
        self.assertEqual(set(self.kept()), {(SERVICE, "a"), (SERVICE, "b"), (SERVICE, "")})
        self.assertEqual(len(self.kept()), 3)

    def test_disable(self) -> None:
        """One node is forgotten, or all of a service, or nothing."""
        for node in ("a", "b", "c"):
            enable(self.juliet, node)
        enable(self.juliet, "a", "other.lit")
        self.assertEqual(disable(self.juliet, node="b"), "result")
        self.assertEqual(disable(self.juliet, node="b"), "result")
        self.assertEqual(len(self.kept()), 3)
        self.assertEqual(disable(self.juliet), "result")
        self.assertEqual(self.kept(), [("other.lit", "a")])

    def test_forgotten(self) -> None:
        """A service that was disabled is told nothing, and the account is not followed."""
        enable(self.juliet)
        disable(self.juliet)
        self.juliet.send("</stream:stream>")
        self.romeo.send(message())
        self.assertEqual(self.service.heard(), [])
        self.assertNotIn(JULIET, self.house.server.followers.of)

    def test_wrong(self) -> None:
        """What cannot be registered is refused, and nothing is changed."""
        other = OPTIONS.replace("#publish-options", "#other")
        long = OPTIONS.replace("eruio234", "x" * 4_096)
        for node, jid, inside, error in (
            ("a", "", "", "bad-request"),
            ("a", "a@b@c", "", "jid-malformed"),
            ("a" * 4_000, SERVICE, "", "not-acceptable"),
            ("a", SERVICE, other, "bad-request"),
            ("a", SERVICE, "<x xmlns='jabber:x:data' type='submit'/>", "bad-request"),
            ("a", SERVICE, long, "not-acceptable"),
        ):
            with self.subTest(error=error, inside=inside[:20]):
                self.assertEqual(enable(self.juliet, node, jid, inside), error)
        self.assertEqual(disable(self.juliet, ""), "bad-request")
        self.assertEqual(disable(self.juliet, "@"), "jid-malformed")
        self.assertEqual(self.kept(), [])

    def test_too_many(self) -> None:
        """An account has a limited number; replacing one needs no room."""
        for number in range(MAX_REGISTRATIONS):
            self.assertEqual(enable(self.juliet, str(number)), "result")
        self.assertEqual(enable(self.juliet, "more"), "resource-constraint")
        self.assertEqual(enable(self.juliet, "0"), "result")
        self.assertEqual(len(self.kept()), MAX_REGISTRATIONS)

    def test_others(self) -> None:
        """Nobody registers anything for somebody else, or at the server."""
        enabling = f"<enable xmlns='{NS}' jid='{SERVICE}'/>"
        for to in (JULIET, DOMAIN):
            self.assertEqual(condition(ask(self.romeo, "set", enabling, to)), "service-unavailable")
        self.assertEqual(self.kept(), [])

    def test_account_removed(self) -> None:
        """It goes with the account, and nobody inherits it with the name."""
        enable(self.juliet)
        done(self.house.server.accounts.remove(JID.parse(JULIET)))
        self.house.add("juliet")
        self.romeo.send(message())
        self.assertEqual((self.service.heard(), self.kept()), ([], []))
        self.assertNotIn(JULIET, self.house.server.followers.of)


class DeviceTests(PushCase):
    """A registration belongs to a device."""

    def test_resource(self) -> None:
        """A new session of the same resource is one of the device: it is told itself."""
        self.away()
        (phone,) = self.house.connect("juliet/phone")
        phone.enable()
        self.send()
        self.ack(phone)
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_other_resource(self) -> None:
        """One of another resource is another device."""
        self.away()
        self.house.connect("juliet/tablet")
        self.send()
        self.assertEqual(len(self.service.heard()), 1)

    def test_client_id(self) -> None:
        """A client that has said which it is is one device, whatever its resource is."""
        phone = self.arrive("one")
        self.assertEqual(enable(phone), "result")
        phone.send("</stream:stream>")
        phone = self.arrive("two")
        phone.enable()
        self.send()
        self.ack(phone)
        self.wait(60)
        self.assertEqual(self.service.heard(), [])
        phone.send("</stream:stream>")
        self.send()
        self.assertEqual(len(self.service.heard()), 1)

    def arrive(self, resource: str) -> Client:
        """Juliet's phone, which says which client it is (:xep:`0388`)."""
        client = self.house.unauthenticated(encrypted=True)
        done(self.house.server.accounts.set_password(JID.parse(JULIET), "rose"))
        client.send(HEADER + authenticate(plain("juliet", "rose"), agent=agent()))
        self.assertIn(b"<success", client.raw())
        bind = f"<resource>{resource}</resource>"
        client.send(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"{bind}</bind></iq><presence/>"
        )
        client.raw()
        return client

    def test_restart(self) -> None:
        """Registrations outlive the server, and a session that sleeps is still the device's."""
        phone = self.asleep()
        for how in ("stopped", "killed"):
            self.house = self.house.restarted() if how == "stopped" else self.house.again()
            self.service = PushService(self.house)
            (self.romeo,) = self.house.connect("romeo")
            if how == "stopped":
                again = self.back(phone)
                self.send(id="back")
                self.ack(again)
                self.wait(60)
                self.assertEqual(self.service.heard(), [])
                again.abort()
            self.send(id=how)
            self.assertEqual(len(self.service.heard()), 1, how)

    def test_reloaded(self) -> None:
        """The same if the plugin is unloaded, and loaded again: meanwhile nobody is told."""
        self.asleep()
        done(self.house.plugins.unload("push"))
        self.send()
        self.assertEqual(self.service.heard(), [])
        done(self.house.plugins.load("push"))
        self.send()
        self.assertEqual(len(self.service.heard()), 1)

    def test_guests(self) -> None:
        """Nothing is kept for a guest."""
        from_guest = House(DOMAIN, plugins=PLUGINS)
        guest = from_guest.bind("guest-" + "1" * 32)
        self.assertEqual(enable(guest), "not-allowed")


class SQLiteTests(databases.OnSQLite, contract.RegistrationsContract):
    """In a file."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.RegistrationsContract):
    """On a server."""
