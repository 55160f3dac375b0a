"""XEP-0494: Client Access Management, and the same as commands."""

from xml.etree.ElementTree import Element

from twisted.internet.defer import Deferred

from tests.plugins.asking import ask, condition
from tests.unit.login.logins import BIND, HEADER, LAPTOP, PHONE, agent, authenticate
from tests.unit.login.test_fast import ROMEO, TokenCase, by_token
from xmppd.account.devices import opaque
from xmppd.command.roles import Roles
from xmppd.roster.roster import Roster
from xmppd.stanza import JID
from xmppd.testing.client import Client, done
from xmppd_plugins.client_access import NS

TABLET = "7d9f41f1-9fd4-4a5e-8d1b-3f6f5d0c8a11"
COMMANDS = "http://jabber.org/protocol/commands"
LIST = f"<list xmlns='{NS}'/>"


def revoke(id: str) -> str:
    """A request to end a client's access."""
    return f"<revoke xmlns='{NS}' id='{id}'/>"


class AccessCase(TokenCase):
    """Romeo's phone came by a token, his laptop by the password; Juliet is an administrator."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("adhoc_commands", "client_access"):
            done(self.house.plugins.load(name))
        token = self.token()
        for handler in tuple(self.house.server.client_connections.handlers):
            handler.transport.abortConnection()
        self.phone_token = token
        self.phone = self.arrive(by_token(token, BIND))
        self.laptop = self.arrive(authenticate(None, BIND, agent=agent(LAPTOP, "Garden", "laptop")))
        (self.juliet,) = self.house.connect("juliet")

    def arrive(self, login: str) -> Client:
        """Somebody who logs in like that."""
        client = self.house.unauthenticated(encrypted=True)
        client.send(HEADER + login)
        client.raw()
        client.jid = client.session.jid
        return client

    def clients(self, asker: Client | None = None) -> dict[str, Element]:
        """What somebody is told, by name of the device."""
        answer = ask(asker or self.laptop, "get", LIST)
        return {one.findtext(f"{{{NS}}}user-agent/{{{NS}}}device") or "": one for one in answer[0]}


class ClientAccessTests(AccessCase):
    def test_list(self) -> None:
        """Each client is listed once, with how it came, and without its own id."""
        clients = self.clients()
        self.assertEqual(set(clients), {"phone", "laptop"})
        phone, laptop = clients["phone"], clients["laptop"]
        self.assertEqual([one.tag.partition("}")[2] for one in phone.find(f"{{{NS}}}auth") or ()],
                         ["fast"])  # fmt: skip
        self.assertEqual([one.tag.partition("}")[2] for one in laptop.find(f"{{{NS}}}auth") or ()],
                         ["password"])  # fmt: skip
        self.assertEqual(phone.findtext(f"{{{NS}}}user-agent/{{{NS}}}software"), "Balcony")
        self.assertEqual((phone.get("connected"), phone.get("type")), ("true", "session"))
        self.assertEqual(phone.findtext(f"{{{NS}}}first-seen"), "2023-11-14T22:13:20Z")
        self.assertNotIn(phone.get("id"), (PHONE, "", None))

    def test_away(self) -> None:
        """A client with a token is listed while it is away, until the token expires."""
        self.phone.abort()
        phone = self.clients()["phone"]
        self.assertEqual(phone.get("connected"), "false")
        self.house.clock.advance(21 * 86_400)
        self.laptop = self.arrive(authenticate(None, BIND, agent=agent(LAPTOP, "", "laptop")))
        self.assertEqual(set(self.clients()), {"laptop"})

    def test_last_seen(self) -> None:
        """While a client is here, it was seen when it last said something."""
        self.house.clock.advance(60)
        self.phone.send("<presence/>")
        phone = self.clients()["phone"]
        self.assertEqual(phone.findtext(f"{{{NS}}}last-seen"), "2023-11-14T22:14:20Z")

    def test_revoke(self) -> None:
        """A client that is revoked is thrown out, and its token is worth nothing."""
        id = self.clients()["phone"].get("id", "")
        self.assertEqual(ask(self.laptop, "set", revoke(id)).get("type"), "result")
        self.assertTrue(self.phone.closed)
        self.assertIn(b"<not-authorized", self.phone.raw())
        self.assertFalse(self.works(self.phone_token))
        self.assertEqual(set(self.clients()), {"laptop"})
        self.assertEqual(condition(ask(self.laptop, "set", revoke(id))), "item-not-found")

    def test_about_to_come(self) -> None:
        """A client that is revoked while it logs in does not get in."""
        roster: Deferred[Roster] = Deferred()
        token = self.token(device=TABLET)
        tablet = self.house.unauthenticated(encrypted=True)
        self.patch(self.house.server.roster_manager, "roster", lambda account: roster)
        tablet.send(HEADER + by_token(token, BIND, device=TABLET))
        tablet.raw()
        done(self.house.server.devices.revoke(JID.parse(ROMEO), opaque(JID.parse(ROMEO), TABLET)))
        self.assertTrue(tablet.closed)

    def test_knows_password(self) -> None:
        """Of a client that knows the password people are told that revoking is not enough."""
        id = self.clients()["laptop"].get("id", "")
        answer = ask(self.phone, "set", revoke(id))
        self.assertEqual(condition(answer), "service-unavailable password-reset-required")
        self.assertTrue(self.laptop.closed)

    def test_oneself(self) -> None:
        """Who revokes itself has no token any more, and stays until it leaves."""
        id = self.clients(self.phone)["phone"].get("id", "")
        self.assertEqual(ask(self.phone, "set", revoke(id)).get("type"), "result")
        self.assertFalse(self.phone.closed)
        self.assertFalse(self.works(self.phone_token))

    def test_own_only(self) -> None:
        """Nobody sees or ends the clients of others."""
        id = self.clients()["phone"].get("id", "")
        self.assertNotIn("phone", self.clients(self.juliet))
        self.assertEqual(condition(ask(self.juliet, "set", revoke(id))), "item-not-found")
        for type, child in (("get", LIST), ("set", revoke(id))):
            self.assertEqual(condition(ask(self.juliet, type, child, ROMEO)), "forbidden")
        self.assertEqual(ask(self.laptop, "get", LIST, ROMEO).get("type"), "result")
        self.assertFalse(self.phone.closed)


class CommandTests(AccessCase):
    def setUp(self) -> None:
        super().setUp()
        self.house.server.commands.roles = Roles([JID.parse("juliet@montague.lit")])
        done(self.house.plugins.reload("adhoc_commands"))

    def execute(self, client: Client, node: str, **values: str) -> Element:
        """Run a command, with its form filled in if it has one."""
        asked = f"<command xmlns='{COMMANDS}' node='{NS}#{node}'"
        answer = ask(client, "set", f"{asked}/>", "montague.lit")
        if not values or answer.get("type") == "error":
            return answer
        fields = "".join(
            f"<field var='{var}'><value>{value}</value></field>" for var, value in values.items()
        )
        form = f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"
        session = answer[0].get("sessionid")
        return ask(client, "set", f"{asked} sessionid='{session}'>{form}</command>", "montague.lit")

    def lines(self, answer: Element) -> list[str]:
        """The lines of a list."""
        field = "{jabber:x:data}field[@var='devices']/{jabber:x:data}value"
        return [value.text or "" for value in answer.findall(f".//{field}")]

    def called(self, name: str) -> str:
        """What a client of Romeo's is called."""
        (line,) = [one for one in self.lines(self.execute(self.laptop, "own")) if name in one]
        return line.partition(":")[0]

    def test_own(self) -> None:
        """Everybody lists and revokes their own clients."""
        lines = self.lines(self.execute(self.laptop, "own"))
        self.assertEqual(len(lines), 2)
        phone = "phone, Balcony, online now by HT-SHA-256-NONE, token until 2023-12-05T22:13:20Z"
        self.assertIn(phone, "\n".join(lines))
        answer = self.execute(self.laptop, "revoke-own", device=self.called("phone"))
        self.assertIn("revoked 1 device", "".join(answer.itertext()))
        self.assertTrue(self.phone.closed)

    def test_administrators(self) -> None:
        """Administrators do so for everybody, and nobody else does."""
        answer = self.execute(self.juliet, "others", accountjid=ROMEO)
        self.assertEqual(len(self.lines(answer)), 2)
        answer = self.execute(
            self.juliet, "revoke-others", accountjid=ROMEO, device=self.called("laptop")
        )
        self.assertIn("change it", "".join(answer.itertext()))
        for node in ("others", "revoke-others"):
            self.assertEqual(condition(self.execute(self.phone, node)), "forbidden")
        answer = self.execute(self.juliet, "revoke-others", accountjid=ROMEO, device="x")
        self.assertEqual(condition(answer), "item-not-found")
