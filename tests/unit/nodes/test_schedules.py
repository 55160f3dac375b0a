"""Random schedules: everybody sees who is here, and everybody's goodbye once.

People come and go at three nodes, while what nodes say to each other, and what the directory
answers, is under way for as long as it likes.
"""

from collections.abc import Iterator
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from xmppd.presence.introductions import Introductions
from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes

NAMES = ("a", "b", "c")
PEOPLE = ("romeo", "juliet", "nurse")
SCHEDULES = 60


class Person:
    """A client, and what it has heard.

    Attributes:
        presence: The number in its last presence; None while it is unavailable.
    """

    def __init__(self, node: str, client: Client, resource: str) -> None:
        self.node, self.client, self.resource = node, client, resource
        self.presence: int | None = None
        self.heard: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        self.client.handler.dataReceived(text.encode())

    def listen(self) -> None:
        """Note what has come: from whom, and the number in it; ``-`` is a goodbye."""
        for stanza in self.client.received():
            if stanza.startswith("<presence"):
                sender = stanza.partition(" from='")[2].partition("'")[0]
                status = stanza.partition("<status>")[2].partition("<")[0]
                self.heard.append((sender, "-" if "unavailable" in stanza else status))


class Schedule:
    """One of them.

    Args:
        seed: Makes it.
        kills: Whether nodes are lost.
    """

    def __init__(self, seed: int, *, kills: bool = False) -> None:
        self.random = Random(seed)  # no secret
        self.nodes = Nodes(
            *NAMES,
            late_directory=True,
            romeo={"juliet": "both", "nurse": "both"},
            juliet={"romeo": "both", "nurse": "both"},
            nurse={"romeo": "both", "juliet": "both"},
        )
        self.network = self.nodes.network
        self.network.choose = self.random.randrange
        self.alive = list(NAMES)
        self.kills = kills
        self.count = 0
        self.people: list[Person] = []

    def play(self, steps: int = 25) -> list[str]:
        """Play it to its end; returns what is wrong then."""
        for _ in range(steps):
            self.network.held = True
            self.step()
            self.network.arrive(self.random.choice((0, 1, 3, 10, 50)))
        self.network.held = False
        self.nodes.settle()
        for _ in range(5):
            self.nodes.clock.advance(10)
            self.nodes.settle()
        return list(self.faults())

    def step(self) -> None:
        """Somebody does something."""
        online = [each for each in self.people if not each.client.closed]
        dice = self.random.random()
        if dice < 0.4 or not online:
            self.come()
        elif dice < 0.7:
            self.show(self.random.choice(online))
        elif dice < 0.8:
            somebody = self.random.choice(online)
            somebody.say("<presence type='unavailable'/>")
            somebody.presence = None
        elif dice < 0.85:
            self.nodes.clock.advance(2.5)  # nobody waits for another node for longer
        elif dice < 0.95 or not self.kills or len(self.alive) < 2:
            self.random.choice(online).client.transport.abortConnection()
        else:
            self.kill()

    def come(self) -> None:
        """Somebody logs in somewhere."""
        node, name = self.random.choice(self.alive), self.random.choice(PEOPLE)
        resource = self.random.choice(("1", "1", "2"))
        person = Person(node, self.nodes[node].logged_in(name), resource)
        self.people.append(person)
        person.say(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource></bind>"
            "</iq>"
        )
        self.show(person)

    def show(self, person: Person) -> None:
        """Somebody sends presence."""
        self.count += 1
        person.presence = self.count
        person.say(f"<presence><status>{self.count}</status></presence>")

    def kill(self) -> None:
        """A node is gone, and the others notice later."""
        node = self.random.choice(self.alive)
        self.alive.remove(node)
        self.nodes.kill(node)
        self.people = [each for each in self.people if each.node != node]
        self.network.arrive(self.random.choice((0, 10, 50)))
        self.nodes.lose(node)

    def faults(self) -> Iterator[str]:
        """Whatever is not as it should be."""
        online = [each for each in self.people if not each.client.closed]
        shown = {
            each.client.session.jid.full: str(each.presence)
            for each in online
            if each.presence is not None
        }
        for person in online:
            person.listen()
            own = person.client.session.jid.full
            sees: dict[str, str] = {}
            for sender, what in person.heard:
                if what != "-":
                    sees[sender] = what
                elif sender == own:
                    sees.clear()
                elif sees.pop(sender, None) is None:
                    yield f"{own} hears a goodbye of {sender}, who was not there"
            if person.presence is not None and sees != shown:
                yield f"{own} at {person.node} sees {sees}, and there are {shown}"
        if not online:
            for name in self.alive:
                interest = self.nodes[name].server.routing_table.interest
                if interest.elsewhere or interest.known_at:
                    yield f"{name} is still interested in {interest.elsewhere}"


class ScheduleTests(SynchronousTestCase):
    def first_fault(self, *, kills: bool = False, seeds: int = SCHEDULES) -> str:
        """The first fault of these schedules; empty if there is none."""
        for seed in range(seeds):
            for fault in Schedule(seed, kills=kills).play():
                return f"seed {seed}: {fault}"
        return ""

    def test_everybody_is_seen(self) -> None:
        """Everybody sees everybody who is here, as they are, and hears each goodbye once."""
        self.assertEqual(self.first_fault(), "")

    def test_nodes_are_lost(self) -> None:
        """So they do when nodes are lost on the way, after the grace."""
        self.assertEqual(self.first_fault(kills=True, seeds=30), "")

    def test_without_answers(self) -> None:
        """If newcomers were not answered, they would not see who is there (CL-31)."""
        self.patch(Introductions, "_take", lambda *args: None)
        self.assertNotEqual(self.first_fault(), "")
