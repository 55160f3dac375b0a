"""Nodes are stopped and started, one after the other, under people who resume their sessions."""

from random import Random
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.testing.nodes import Nodes

NAMES = "abc"
PEOPLE = ("romeo/1", "romeo/2", "juliet/1", "nurse/1", "tybalt/1", "paris/1")
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class Resumer:
    """A client that comes back whenever its connection is closed.

    Attributes:
        told: The presences it was sent, but for the first ones.
        failed: Whether it could not resume.
    """

    def __init__(self, nodes: Nodes, name: str, random: Random) -> None:
        self.nodes = nodes
        self.account, _, self.resource = name.partition("/")
        self.random = random
        (self.client,) = nodes[random.choice(NAMES)].connect(name)
        self.id = self.client.enable()
        self.h = 0
        self.told: list[str] = []
        self.failed: list[str] = []

    @property
    def node(self) -> str:
        """Where it is."""
        return next(name for name, house in self.nodes.houses.items() if house is self.client.house)

    def read(self) -> None:
        """Read what has come."""
        data = self.client.transport.take().removesuffix(b"</stream:stream>")
        tree = ElementTree.fromstring(b"<s xmlns:stream='%b'>%b</s>" % (ns.STREAM.encode(), data))
        for element in tree:
            name = element.tag.rpartition("}")[2]
            if name == "failed":
                self.failed.append(ElementTree.tostring(element, encoding="unicode"))
            elif name in ("message", "presence", "iq"):
                self.h += 1
                if name == "presence":
                    self.told.append(f"{element.get('from')} {element.get('type', 'here')}")

    def come_back(self) -> None:
        """Resume at some node that is there."""
        self.read()
        if self.client.transport.lost:
            there = sorted(self.nodes.members)
            self.client = self.nodes[self.random.choice(there)].logged_in(self.account)
            self.client.resume(self.id, self.h)


class RollingRestart:
    """All three nodes are stopped and started.

    Args:
        seed: Of all choices.
    """

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)  # it is to be the same each time
        names = {name.partition("/")[0] for name in PEOPLE}
        self.nodes = Nodes(*NAMES, late_directory=True)
        for name in names:
            self.nodes["a"].add(name, dict.fromkeys(names - {name}, "both"))
        self.people = [Resumer(self.nodes, name, random) for name in PEOPLE]
        self.settle()
        for each in self.people:
            each.read()
            each.told.clear()
        self.nodes.network.choose = random.randrange
        for name in NAMES:
            if random.random() < 0.5:
                random.choice(self.people).client.transport.abortConnection()
            self.nodes.stop(name)
            self.come_back()
            self.pass_time(random.choice((1, 40)))
            self.nodes.start(name)
            self.pass_time(2)
            self.come_back()
        self.pass_time(40)
        self.come_back()

    def settle(self) -> None:
        """Let all that is under way arrive."""
        self.nodes.settle()

    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.nodes.clock.advance(1)
            self.settle()

    def come_back(self) -> None:
        """Whose connection is closed comes back, in any order."""
        for each in self.random.sample(self.people, len(self.people)):
            each.come_back()
            self.settle()
        for each in self.people:
            each.read()

    def faults(self) -> list[str]:
        """What has gone wrong."""
        faults = [f"{each.account}/{each.resource} failed: {each.failed}"
                  for each in self.people if each.failed]  # fmt: skip
        faults += [f"{each.account}/{each.resource} was told {each.told}"
                   for each in self.people if each.told]  # fmt: skip
        return faults


class RollingRestartTests(SynchronousTestCase):
    def test_quiet(self) -> None:
        """All resume, and nobody is sent any presence."""
        for seed in range(15):
            with self.subTest(seed=seed):
                self.assertEqual(RollingRestart(seed).faults(), [])
