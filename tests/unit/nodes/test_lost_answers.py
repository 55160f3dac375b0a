"""What is done again when the directory had lost something, or another node did not answer."""

from collections.abc import Awaitable, Collection, Mapping
from copy import deepcopy

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.nodes.test_arrivals import availability
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.accounts import RosterStored
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.memory_claim_board import MemoryClaimBoard
from xmppd.cluster.node import Location, NodeId
from xmppd.nodes.reassertions import AGAIN_AFTER_S
from xmppd.routing.siblings import MEET_S
from xmppd.session.session_manager import REPLACED
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"


async def away(accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
    """Say nothing, as a directory that is away."""
    raise DirectoryAway("no answer")


class AwayLater:
    """A directory that says once that an account is nowhere, and is away from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def nodes_of(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        """The nodes of these accounts."""
        self.asked += 1
        return {} if self.asked == 1 else await away(accounts)


class AnswersTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes(
            "a",
            "b",
            plugins=("blocking",),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            nurse={},
        )
        self.a, self.b = self.nodes["a"], self.nodes["b"]

    def cut(self, *, mend: bool = False) -> None:
        """Have nothing come from one node to the other, or mend that."""
        for here, there in ((self.a, self.b), (self.b, self.a)):
            bus = here.server.cluster.bus
            assert isinstance(bus, MemoryBus)
            if mend:
                bus.mend(there.id)
            else:
                bus.cut.add(there.id)
        self.nodes.settle()


class LossTests(AnswersTestCase):
    """Redis has lost what was there, and nobody had noticed (CL-140)."""

    def lose_all(self) -> None:
        self.nodes.directory.accounts.clear()

    def notice(self) -> None:
        """Both nodes notice, and say again what they have."""
        for house in (self.a, self.b):
            done(house.server.cluster.membership.on_loss())
        self.nodes.settle()

    def test_newcomers(self) -> None:
        """Who came meanwhile, and was not told of anybody, sees who is there, and is seen."""
        (romeo,) = self.a.connect("romeo")
        self.lose_all()
        (juliet,) = self.b.connect("juliet")
        self.assertEqual(availability(romeo), [])
        self.notice()
        self.assertEqual(availability(romeo), [f"+{JULIET}/1"])
        self.assertEqual(availability(juliet), [f"+{ROMEO}/1"])

    def test_siblings(self) -> None:
        """Two sessions of an account know of each other, though the second was not told."""
        self.a.connect("romeo/orchard")
        self.lose_all()
        self.b.connect("romeo/balcony")
        self.notice()
        for house in (self.a, self.b):
            self.assertEqual(len(house.server.routing_table.sessions(ROMEO)), 2)

    def test_stored(self) -> None:
        """A message that was stored, since its recipient was not found, is given to it."""
        (romeo,), (nurse,) = self.a.connect("romeo"), self.b.connect("nurse")
        self.lose_all()
        nurse.send(f"<message to='{ROMEO}' type='chat'><body>lost?</body></message>")
        self.assertEqual(romeo.received(), [])
        self.notice()
        self.assertIn("lost?", "".join(romeo.received()))

    def test_given_back(self) -> None:
        """A place that was given back, and is there again, is given back again."""
        (romeo,) = self.a.connect("romeo")
        before = deepcopy(self.nodes.directory.accounts)
        romeo.abort()
        self.nodes.directory.accounts.update(before)
        self.notice()
        self.assertEqual(self.nodes.directory.accounts, {})

    def test_claims_are_not_taken(self) -> None:
        """While Redis does not take what lives here, that is tried again each second (CL-79)."""
        board = self.a.server.cluster.claims._board
        assert isinstance(board, MemoryClaimBoard)
        claimed = self.a.server.cluster.claims.owner("sweep", "x.1")
        assert isinstance(claimed, Awaitable), "it is looked up"
        done(claimed)
        board.away = True
        saying = Deferred.fromCoroutine(self.a.server._enter_all())
        self.nodes.clock.advance(AGAIN_AFTER_S)
        self.assertNoResult(saying)
        board.away = False
        self.nodes.clock.advance(AGAIN_AFTER_S)
        self.successResultOf(saying)


class LateTests(AnswersTestCase):
    """Another node does not answer in time."""

    def late_login(self) -> Client:
        """Romeo logs in at b, and node a does not say in time what he has there."""
        client = self.b.logged_in("romeo")
        client.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>2</resource></bind></iq>"
        )
        self.nodes.clock.advance(MEET_S)
        client.send("<presence/>")
        client.raw()
        return client

    def test_lists_are_read_again(self) -> None:
        """Whom he has blocked there meanwhile he has blocked here, when that has answered
        (CL-141).
        """
        (romeo,) = self.a.connect("romeo/1")
        self.cut()
        self.late_login()
        romeo.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            f"<item jid='{JULIET}'/></block></iq>"
        )
        self.nodes.clock.advance(5)
        lists = self.b.server.privacy_lists.loaded(ROMEO)
        self.assertEqual(() if lists is None else lists.blocked, ())
        self.cut(mend=True)
        lists = self.b.server.privacy_lists.loaded(ROMEO)
        assert lists is not None, "he is there"
        self.assertEqual([jid.bare for jid in lists.blocked], [JULIET])

    def test_hidden_by_another_node(self) -> None:
        """A session that is shown on by a roster which another node has changed is hidden when that
        is read again (CL-142).
        """
        (romeo,), (desk,) = self.a.connect("romeo/1"), self.b.connect("romeo/2")
        (juliet,) = self.b.connect("juliet")
        self.nodes.settle()
        self.cut()
        romeo.send(f"<presence to='{JULIET}' type='unsubscribed'/>")
        juliet.raw()
        desk.send("<presence><show>away</show></presence>")
        self.assertEqual(availability(juliet), [f"+{ROMEO}/2"])
        self.cut(mend=True)
        self.assertIn(f"-{ROMEO}/2", availability(juliet))

    def test_both_halves_or_none(self) -> None:
        """While it cannot be found out where the contact is, a subscription stays as it is
        (CL-143).
        """
        (romeo,) = self.a.connect("romeo")
        self.cut()
        self.patch(self.a.server.cluster.directory, "nodes_of", away)
        romeo.send(f"<presence to='{JULIET}' type='unsubscribed'/>")
        self.nodes.clock.advance(3)
        self.assertIn("remote-server-timeout", "".join(romeo.received()))
        for owner, contact in ((ROMEO, JULIET), (JULIET, ROMEO)):
            (item,) = done(self.a.store.rosters.roster(owner)).items
            self.assertEqual((item.jid, item.subscription), (contact, "both"))

    def test_not_known_any_more(self) -> None:
        """If that is known no more when one half has been changed, the other is changed all the
        same (CL-143).
        """
        (romeo,) = self.a.connect("romeo")
        self.cut()
        self.patch(self.a.server.cluster.directory, "nodes_of", AwayLater().nodes_of)
        romeo.send(f"<presence to='{JULIET}' type='unsubscribed'/>")
        self.nodes.clock.advance(3)
        self.assertNotIn("error", "".join(romeo.received()))
        (item,) = done(self.a.store.rosters.roster(ROMEO)).items
        self.assertEqual(item.subscription, "to")
        (item,) = done(self.a.store.rosters.roster(JULIET)).items
        self.assertEqual(item.subscription, "from")

    def test_request_not_known_any_more(self) -> None:
        """A request is refused then, and can be made again."""
        (romeo,), (nurse,) = self.a.connect("romeo"), self.b.connect("nurse")
        self.cut()
        self.patch(self.a.server.cluster.directory, "nodes_of", AwayLater().nodes_of)
        romeo.send("<presence to='nurse@montague.lit' type='subscribe'/>")
        self.nodes.clock.advance(3)
        self.assertIn("remote-server-timeout", "".join(romeo.received()))
        self.cut(mend=True)
        self.patch(self.a.server.cluster.directory, "nodes_of", AwayLater().nodes_of)
        romeo.send("<presence to='nurse@montague.lit' type='subscribe'/>")
        self.nodes.settle()
        self.assertIn("type='subscribe'", "".join(nurse.received()))

    def test_all_are_told(self) -> None:
        """While the directory is away, all nodes are told what was changed (CL-145)."""
        told: list[NodeId] = []

        def tell(node: NodeId, entry: BusEntry) -> None:
            told.append(node)

        server = self.a.server
        self.patch(server.cluster.directory, "nodes_of", away)
        self.patch(server.cluster.bus, "tell", tell)
        telling = server.routing_table.tell_nodes_of(ROMEO, RosterStored(ROMEO, 2))
        assert telling is not None, "they have to be found"
        done(telling)
        self.assertEqual(told, [self.b.id])

    def test_login_that_never_came(self) -> None:
        """Where another node has found a login that failed, nobody is any more when the last
        session has gone (CL-34).
        """
        self.a.connect("juliet")
        (romeo,) = self.b.connect("romeo")
        elsewhere = self.b.server.routing_table.elsewhere
        (place,) = elsewhere[JULIET]
        self.b.server.routing_table.interest.note(JULIET, Location(self.a.id, place.serial + 9))
        done(self.a.server.locations.end(f"{JULIET}/1", place.serial + 9, REPLACED))
        self.nodes.settle()
        self.assertEqual(elsewhere, {})
        self.assertIn(f"-{JULIET}/1", availability(romeo))
