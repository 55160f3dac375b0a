"""The end of an account's streams, on all nodes: other password, disabled, removed, revoked."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import ScramClient
from tests.unit.login.logins import BIND, HEADER, Answer, agent, authenticate, plain, response
from tests.unit.nodes.orders import Orders
from tests.unit.nodes.test_logins import bound, faults
from xmppd.account import stream_ends
from xmppd.account.accounts import AccountRemoved
from xmppd.account.stream_ends import END_S, StreamsClosed
from xmppd.cluster.directory import CLOSED_S
from xmppd.command.command_context import SHELL
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.events import OWNER, On
from xmppd.stanza import JID, StreamCondition, StreamError
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD
from xmppd.testing.nodes import Nodes

ROMEO = JID.parse("romeo@montague.lit")
ANOTHER = "another rose by any name"


def service(*names: str) -> Nodes:
    """Nodes at which Romeo has a password."""
    nodes = Nodes(*names, late_directory=True)
    done(nodes["a"].server.passwords.create(ROMEO.bare, PASSWORD))
    return nodes


def log_in(nodes: Nodes, name: str, password: str = PASSWORD, *more: str, who: str = "") -> Client:
    """A client that has said how it logs in, and asked for a resource."""
    client = nodes[name].unauthenticated()
    client.send(HEADER)
    client.raw()
    client.handler.dataReceived(
        authenticate(plain(password=password), BIND, *more, agent=who).encode()
    )
    return client


class EndsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = service("a", "b", "c")
        self.accounts = self.nodes["a"].server.accounts

    def ended(self, work: Deferred[StreamsClosed]) -> StreamsClosed:
        """What became of the streams, once all nodes have answered."""
        self.nodes.settle()
        return self.successResultOf(work)

    def set_password(self, asker: Client | None = None) -> Deferred[StreamsClosed]:
        spare = None if asker is None else asker.session
        return Deferred.fromCoroutine(self.accounts.set_password(ROMEO, ANOTHER, spare=spare))

    def test_password(self) -> None:
        """With another password all streams of the account end, on every node, but that which asked
        for it; who knows the new one comes back at once.
        """
        here, there, elsewhere = (log_in(self.nodes, name) for name in "abc")
        self.assertEqual(self.ended(self.set_password(here)), StreamsClosed(2))
        self.assertFalse(here.closed)
        for client in (there, elsewhere):
            self.assertEqual(Answer(client.raw()).stream_error, "reset")
        self.assertEqual(Answer(log_in(self.nodes, "b").raw()).failure, "not-authorized")
        back = log_in(self.nodes, "b", ANOTHER)
        self.assertIn(b"<bound ", back.raw())
        self.assertFalse(back.closed)

    def test_disabled(self) -> None:
        """A disabled account has no stream on any node."""
        (client,) = self.nodes["b"].connect("romeo")
        client.raw()
        disabling = Deferred.fromCoroutine(self.accounts.disable(ROMEO))
        self.assertEqual(self.ended(disabling), StreamsClosed(1))
        self.assertEqual(Answer(client.raw()).stream_error, "not-authorized")
        self.assertEqual(bound(self.nodes), {})

    def test_disabled_until(self) -> None:
        """One that is disabled for a while can log in at no node, and then at each."""
        until = self.nodes["a"].server.wall_clock() + 120
        self.ended(Deferred.fromCoroutine(self.accounts.disable(ROMEO, until)))
        for name in "abc":
            self.assertEqual(Answer(log_in(self.nodes, name).raw()).failure, "account-disabled")
        self.nodes.clock.advance(120)
        for name in "abc":
            self.assertIn(b"<bound ", log_in(self.nodes, name).raw())

    def test_proves_itself_meanwhile(self) -> None:
        """Who was about to prove to know the password, which is another by then, is not let in."""
        scram = ScramClient("SHA-256", username="romeo", password=PASSWORD)
        client = self.nodes["b"].unauthenticated()
        client.send(HEADER + authenticate(scram.first(), mechanism="SCRAM-SHA-256"))
        challenge = Answer(client.raw()).challenge
        self.ended(self.set_password())
        client.send(response(scram.final(challenge)))
        self.assertEqual(Answer(client.raw()).stream_error, "reset")

    def test_many_ended_meanwhile(self) -> None:
        """Nor is somebody of whose account that is not known any more, since many others' streams
        were closed after.
        """
        self.patch(stream_ends, "MAX_REMEMBERED", 2)
        ends = self.nodes["b"].server.accounts.ends
        began = ends.now()
        for name in ("romeo", "juliet", "nurse"):
            ends.end_here(f"{name}@montague.lit", StreamError(StreamCondition.RESET))
        self.assertRaises(StreamError, ends.check, ROMEO, began)
        ends.check(ROMEO, ends.now())

    def silence(self, name: str) -> None:
        """Have a node not answer any more."""
        self.nodes[name].server.cluster.bus.take = lambda sender, entry: Deferred()

    def test_node_is_silent(self) -> None:
        """A node that does not answer is named after five seconds. Nobody logs in there, or
        anywhere, for a minute: what its clients have proved may be what was true before.
        """
        self.silence("b")
        work = self.set_password()
        self.nodes.settle()
        self.assertNoResult(work)
        self.nodes.clock.advance(END_S)
        self.assertEqual(self.ended(work), StreamsClosed(0, ("b",)))
        refused = log_in(self.nodes, "c", ANOTHER)
        self.assertEqual(Answer(refused.raw()).stream_error, "reset")
        self.nodes.clock.advance(CLOSED_S)
        self.assertIn(b"<bound ", log_in(self.nodes, "c", ANOTHER).raw())

    def test_command(self) -> None:
        """The command that closes streams counts those of all nodes, and names a node that does not
        answer.
        """
        for _ in range(2):
            log_in(self.nodes, "b")
        self.nodes.settle()
        said = [f"{ROMEO} was disabled; closed 2 streams"]
        self.assertEqual(self.successResultOf(self.disable()), said)
        self.silence("c")
        disabling = self.disable()
        self.nodes.clock.advance(END_S)
        self.nodes.settle()
        refused = self.failureResultOf(disabling, Refused).value
        self.assertIn("c did not answer", str(refused))
        self.assertEqual(refused.status, INCOMPLETE)

    def disable(self) -> Deferred[list[str]]:
        """What is said to an administrator who closes the account."""

        async def run() -> list[str]:
            table = self.nodes["a"].server.commands
            asked = table.asked("user disable", {"account": [ROMEO.bare]}, SHELL)
            return [str(reply) async for reply in table.replies(*asked)]

        work = Deferred.fromCoroutine(run())
        self.nodes.settle()
        return work

    def test_removed(self) -> None:
        """Of an account that was removed at one node nothing is remembered at another."""
        (client,) = self.nodes["b"].connect("romeo")
        removed: list[AccountRemoved] = []
        server = self.nodes["b"].server
        server.events.put(On(AccountRemoved, removed.append), OWNER)
        self.ended(Deferred.fromCoroutine(self.accounts.remove(ROMEO)))
        self.assertTrue(client.closed)
        self.assertEqual(removed, [AccountRemoved(ROMEO)])
        self.assertIsNone(server.roster_manager.loaded(ROMEO.bare))
        self.assertIsNone(server.privacy_lists.loaded(ROMEO.bare))

    def test_removed_by_its_owner(self) -> None:
        """An owner's other clients end on all nodes; the one that asks for it is answered first."""
        self.nodes = Nodes("a", "b", plugins=("register",), late_directory=True, romeo={})
        (here,), (there,) = self.nodes["a"].connect("romeo/1"), self.nodes["b"].connect("romeo/2")
        self.nodes.settle()
        here.raw()
        here.send("<iq type='set' id='x'><query xmlns='jabber:iq:register'><remove/></query></iq>")
        self.assertEqual(Answer(here.raw()).names, ["presence"] * 2 + ["iq", "error"])
        self.assertTrue(there.closed)
        self.assertFalse(done(self.nodes["a"].store.accounts.exists(ROMEO.bare)))

    def test_revoked(self) -> None:
        """The streams of a client end whose access is revoked, on every node; others stay."""
        here, there = log_in(self.nodes, "a"), log_in(self.nodes, "b", who=agent())
        self.nodes.settle()
        devices = self.nodes["a"].server.devices
        (known,) = done(self.nodes["b"].server.devices.of(ROMEO))
        work = Deferred.fromCoroutine(devices.revoke(ROMEO, known.id))
        self.nodes.settle()
        revoked = self.successResultOf(work)
        assert revoked is not None
        self.assertEqual(revoked.ended, StreamsClosed(1))
        self.assertTrue(revoked.knows_password)
        self.assertTrue(there.closed)
        self.assertFalse(here.closed)
        work = Deferred.fromCoroutine(devices.revoke(ROMEO, known.id))
        self.nodes.settle()
        self.assertIsNone(self.successResultOf(work))


class LoginUnderWayTests(SynchronousTestCase):
    def test_every_order(self) -> None:
        """Nobody is there by the old password, whatever overtakes what."""
        for order in Orders():
            nodes = service("a", "b")
            client = nodes["b"].unauthenticated()
            client.send(HEADER)
            nodes.network.choose = order.choose
            client.handler.dataReceived(authenticate(None, BIND).encode())
            accounts = nodes["a"].server.accounts
            Deferred.fromCoroutine(accounts.set_password(ROMEO, ANOTHER))
            nodes.settle()
            self.assertTrue(client.closed)
            self.assertEqual(bound(nodes), {})
            self.assertEqual(list(faults(nodes)), [])
