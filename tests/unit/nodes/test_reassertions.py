"""All sessions are entered in the directory again, in time and at a pace."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.membership import NodeLost
from xmppd.cluster.node import Node, NodeId
from xmppd.nodes.reassertions import AT_ONCE, Reassertions
from xmppd.session.local_client_session import LocalClientSession
from xmppd.testing.house import House

LOST = NodeLost(Node(id=NodeId("b", 1)))


class Directory:
    """Notes who is entered.

    Attributes:
        entered: The ids of sessions, and whether all was lost before.
        away: The number of questions that it does not answer from now on.
    """

    def __init__(self) -> None:
        self.entered: list[tuple[str, bool]] = []
        self.away = 0

    async def reassert(self, session: LocalClientSession, *, rebuild: bool = False) -> None:
        if self.away:
            self.away -= 1
            raise DirectoryAway("no answer")
        self.entered.append((session.id, rebuild))


class ReassertionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.directory = Directory()
        self.sessions: dict[str, LocalClientSession] = {}
        self.reassertions = Reassertions(self.sessions, self.directory, self.clock)

    def add(self, count: int) -> None:
        manager = House().server.session_manager
        for number in range(count):
            session = manager.open(None, "montague.lit")  # type: ignore[arg-type]
            session.serial = number + 1
            self.sessions[session.id] = session

    def test_all(self) -> None:
        """Each session is entered once, 50 in each hundredth of a second; then that is done."""
        self.add(3 * AT_ONCE)
        done = Deferred.fromCoroutine(self.reassertions.after_loss())
        self.assertEqual(len(self.directory.entered), AT_ONCE)
        self.clock.advance(0.01)
        self.assertEqual(len(self.directory.entered), 2 * AT_ONCE)
        self.assertNoResult(done)
        self.clock.advance(0.01)
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.directory.entered, [(id, True) for id in self.sessions])

    def test_node_lost(self) -> None:
        """After a loss they are told from those that a directory has lost; of several losses that
        come while others are entered one more round is enough.
        """
        self.add(AT_ONCE + 1)
        rounds = [Deferred.fromCoroutine(self.reassertions.node_lost(LOST)) for _ in range(4)]
        self.clock.pump([0.01] * 4)
        self.assertEqual(self.directory.entered, 2 * [(id, False) for id in self.sessions])
        for each in rounds:
            self.successResultOf(each)

    def test_away(self) -> None:
        """While the directory is away they wait, and nobody is left out."""
        self.add(2)
        self.directory.away = 3
        done = Deferred.fromCoroutine(self.reassertions.after_loss())
        self.clock.advance(1.0)
        self.assertEqual(len(self.directory.entered), 1)
        self.assertNoResult(done)
        self.clock.pump([1.0, 0.01])
        self.successResultOf(done)
        self.assertEqual({id for id, _ in self.directory.entered}, set(self.sessions))

    def test_ended_meanwhile(self) -> None:
        """A session that has ended meanwhile, or is not entered yet, is none of its business."""
        self.add(AT_ONCE + 2)
        *_, new, ended = self.sessions
        self.sessions[new].serial = 0
        done = Deferred.fromCoroutine(self.reassertions.after_loss())
        del self.sessions[ended]
        self.clock.pump([0.01, 0.01])
        self.successResultOf(done)
        self.assertEqual(len(self.directory.entered), AT_ONCE)
