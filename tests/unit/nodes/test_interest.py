"""What nodes know of each other's people, when what they say is under way for long."""

from collections.abc import Collection, Mapping

from msgspec.msgpack import Encoder
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.nodes.test_arrivals import availability
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.presence import Apart, SentPresence, Telling
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.node import Location
from xmppd.presence import introductions
from xmppd.presence.sightings import Sightings
from xmppd.routing.interest import MAX_PEOPLE, Interest, pieces
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Presence
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes

ROMEO = "romeo@montague.lit/1"


async def away(accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
    """Say nothing, as a directory that is away."""
    raise DirectoryAway("no answer")


class LateTests(SynchronousTestCase):
    """Juliet is at node b, and comes back to it; Romeo, who is at node a, is seen by her."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            romeo={"juliet": "from"},
            juliet={"romeo": "to", "nurse": "both"},
            nurse={"juliet": "both"},
        )
        self.answer = Deferred[None]()

    def bus(self, name: str) -> MemoryBus:
        """A node's end of the bus."""
        bus = self.nodes[name].server.cluster.bus
        assert isinstance(bus, MemoryBus)
        return bus

    def cut(self, sender: str, to: str) -> None:
        """What a node says to another is under way until it is mended."""
        self.bus(sender).cut.add(self.nodes[to].id)

    def mend(self, sender: str, to: str) -> None:
        """Now it arrives."""
        self.bus(sender).mend(self.nodes[to].id)
        self.nodes.settle()

    def come(self, node: str, name: str) -> Client:
        """A client that is available."""
        (client,) = self.nodes[node].connect(name)
        return client

    def juliet_comes_back(self) -> Client:
        """Juliet is back at her node, which has not heard yet who else is where."""
        directory = self.nodes["b"].server.cluster.directory
        nodes_of = directory.nodes_of

        async def answer_later(
            accounts: Collection[str],
        ) -> Mapping[str, tuple[Location, ...]]:
            await self.answer
            return await nodes_of(accounts)

        self.patch(directory, "nodes_of", answer_later)
        return self.come("b", "juliet")

    def shown_and_gone(self) -> list[str]:
        """Romeo comes, and leaves, while Juliet comes back: what she hears."""
        self.come("a", "nurse")
        juliet = self.come("b", "juliet")
        self.cut("a", "b")
        romeo = self.come("a", "romeo")
        juliet.abort()
        juliet = self.juliet_comes_back()
        juliet.raw()
        self.cut("b", "a")
        self.mend("a", "b")
        romeo.abort()
        self.answer.callback(None)
        self.mend("b", "a")
        return availability(juliet)

    def test_shown_by_accident(self) -> None:
        """Whoever was shown to somebody who had just come back is taken back as well (CL-35)."""
        heard = self.shown_and_gone()
        self.assertEqual([each for each in heard if ROMEO in each], [f"+{ROMEO}", f"-{ROMEO}"])

    def test_goodbye_by_interest(self) -> None:
        """If a goodbye went only where people are known to be, his ghost would stay."""

        def say_goodbye(
            interest: Interest,
            session: LocalClientSession,
            gone: Presence,
            people: Collection[str],
            apart: Collection[Apart] = (),
        ) -> None:
            session.count += 1
            interest.tell(session, gone, people)

        self.patch(Interest, "say_goodbye", say_goodbye)
        heard = self.shown_and_gone()
        self.assertEqual([each for each in heard if ROMEO in each], [f"+{ROMEO}"])

    def replaced(self) -> list[str]:
        """Juliet changes, and takes her resource from another node, while what the old one says is
        late: what Nurse hears of that.
        """
        nurse, juliet = self.come("a", "nurse"), self.come("b", "juliet")
        self.cut("b", "a")
        juliet.send("<presence><show>away</show></presence>")
        self.come("c", "juliet")
        nurse.raw()
        self.mend("b", "a")
        return availability(nurse)

    def test_old_presence(self) -> None:
        """What an old session has said, its goodbye too, says nothing of a later one (CL-33)."""
        self.assertEqual(self.replaced(), [])

    def test_old_presence_without_order(self) -> None:
        """If presences were not compared, she would be seen to leave, who is there."""

        def shows(
            sightings: Sightings, viewer: LocalClientSession, sent: SentPresence, mark: int
        ) -> bool:
            viewer.seen[sent.session] = mark
            return True

        self.patch(Sightings, "shows", shows)
        juliet = "juliet@montague.lit/1"
        self.assertEqual(self.replaced(), [f"+{juliet}", f"-{juliet}"])

    def changed(self) -> list[str]:
        """Juliet's old goodbye is late; Romeo comes meanwhile, and changes when it has come: what
        she hears.
        """
        self.come("a", "nurse")
        juliet = self.come("b", "juliet")
        self.cut("b", "a")
        juliet.abort()
        juliet = self.juliet_comes_back()
        romeo = self.come("a", "romeo")
        self.mend("b", "a")
        juliet.raw()
        romeo.send("<presence><show>away</show></presence>")
        return availability(juliet)

    def test_old_goodbye(self) -> None:
        """The late goodbye of an old session does not undo what the directory has said of a new one
        (CL-34).
        """
        self.assertEqual(self.changed(), [f"+{ROMEO}"])

    def test_changes_while_it_is_introduced(self) -> None:
        """Who changes its presence before another node has answered is seen as it is: that node was
        not known to have anybody, since the directory did not answer (CL-144).
        """
        directory = self.nodes["a"].server.cluster.directory
        self.patch(directory, "nodes_of", away)
        juliet = self.come("b", "juliet")
        self.cut("a", "b")
        romeo = self.come("a", "romeo")
        juliet.raw()
        romeo.send("<presence><show>away</show></presence>")
        self.mend("a", "b")
        self.nodes.settle()
        self.assertIn("<show>away</show>", juliet.received()[-1])


class InterestTests(SynchronousTestCase):
    def test_size(self) -> None:
        """A presence for many takes 40 bytes for each of them at most, the presence included."""
        presence = Presence.make(
            None,
            JID.parse("romeo.montague@example.org/orchard-12345"),
            b"<show>away</show><status>Gone for lunch</status><priority>5</priority>",
            b"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' "
            b"ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>",
        )
        people = [f"juliet.capulet.{number:04d}@example.org" for number in range(67)]
        entry = Telling(SentPresence.of(presence, 1_795_000_000_000_000, 7), people)
        self.assertLessEqual(len(Encoder().encode(entry)) / len(people), 40)

    def test_swept(self) -> None:
        """Where people are with whom nobody here has to do any more is forgotten."""
        self.patch(introductions, "MIN_SWEPT", 3)
        guests = [f"g{number}" for number in range(5)]
        nodes = Nodes("a", "b", host=dict.fromkeys(guests, "both"), romeo={"g0": "both"})
        for guest in guests:
            nodes["a"].add(guest, {"host": "both"})
        nodes["b"].connect(*guests)
        (host,) = nodes["a"].connect("host")
        server = nodes["a"].server
        self.assertEqual(len(server.routing_table.elsewhere), 5)
        server.presence_manager.introductions.sweep()
        self.assertEqual(len(server.routing_table.elsewhere), 5)
        nodes["a"].connect("romeo")
        host.abort()
        server.presence_manager.introductions._kept = 0
        server.presence_manager.introductions.sweep()
        self.assertEqual(list(server.routing_table.elsewhere), ["g0@montague.lit"])

    def test_pieces(self) -> None:
        """Many people of one node are told by several entries."""
        people = [f"c{number}@montague.lit" for number in range(2 * MAX_PEOPLE + 1)]
        self.assertEqual([len(piece) for piece in pieces(people)], [MAX_PEOPLE, MAX_PEOPLE, 1])
