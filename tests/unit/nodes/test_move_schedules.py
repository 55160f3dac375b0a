"""Sessions that change their node under way, by schedules made from a seed."""

import re
from collections import defaultdict
from random import Random
from xml.etree import ElementTree

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.routing import routing_table
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

ROMEO = "romeo@montague.lit"
NAMES = "abc"
STEPS = 60
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
_BODY = re.compile(r"<body>(\w+) (\d+)</body>")
_STANZAS = ("message", "presence", "iq")


class Phone:
    """Romeo's client, which resumes its session wherever it comes.

    Attributes:
        h: The stanzas that it has handled.
        heard: They, in order.
        failed: Answers to its attempts that were none of success.
    """

    def __init__(self, client: Client, id: str) -> None:
        self.client = client
        self.id = id
        self.h = 0
        self.heard: list[str] = []
        self.failed: list[str] = []
        self.resumed = True

    def resume(self, client: Client) -> None:
        """Come back on another connection; the one before is not read any more."""
        self.client.transport.abortConnection()
        self.client = client
        self.resumed = False
        resume = f"<resume {SM} previd='{self.id}' h='{self.h}'/>"
        client.handler.dataReceived(resume.encode())

    def read(self, random: Random) -> None:
        """Read what has come, and answer requests now and then."""
        data = self.client.transport.take().removesuffix(b"</stream:stream>")
        tree = ElementTree.fromstring(b"<s xmlns:stream='%b'>%b</s>" % (ns.STREAM.encode(), data))
        for element in tree:
            name = element.tag.rpartition("}")[2]
            text = ElementTree.tostring(element, encoding="unicode")
            if name == "resumed":
                self.resumed = True
            elif name == "failed":
                self.failed.append(text)
            elif self.resumed and name in _STANZAS:
                self.h += 1
                self.heard.append(text)
            elif self.resumed and name == "r" and random.random() < 0.5:
                self.client.handler.dataReceived(f"<a {SM} h='{self.h}'/>".encode())


class MoveSchedule:
    """One course of events: three senders, one at each node, number their messages to Romeo, whose
    session moves.

    Args:
        seed: Of all choices.
        siblings: Whether other clients of his come and go.
    """

    def __init__(self, seed: int, *, siblings: bool) -> None:
        self.random = random = Random(seed)  # it is to be the same each time
        senders = ("juliet", "nurse", "tybalt")
        both = {"romeo": "both"}
        self.nodes = Nodes(
            *NAMES,
            late_directory=True,
            romeo=dict.fromkeys(senders, "both"),
            juliet=both,
            nurse=both,
            tybalt=both,
        )
        self.senders = {
            name: self.nodes[node].connect(name)[0]
            for name, node in zip(senders, NAMES, strict=True)
        }
        self.sent = dict.fromkeys(senders, 0)
        self.shown = dict.fromkeys(senders, 0)
        self.told: dict[str, list[str]] = {name: [] for name in senders}
        self.idle = {
            node: [self.nodes[node].logged_in("romeo") for _ in range(12)] for node in NAMES
        }
        self.siblings: list[Client] = []
        (client,) = self.nodes["b"].connect("romeo/phone")
        self.phone = Phone(client, client.enable())
        self.others = [self.nodes[node].bind("romeo", f"r{node}") for node in NAMES]
        for sender in self.senders.values():
            sender.raw()
        client.raw()
        network = self.nodes.network
        network.choose = random.randrange
        network.held = True
        steps = [self.send] * 6 + [self.resume, self.hand_over, self.drop, self.show]
        steps += [self.arrive] * 6 + [self.pass_time] + [self.sibling] * siblings
        self.handing: list[Deferred[bool]] = []
        for _ in range(STEPS):
            random.choice(steps)()
            self.read()
        self.end()

    def send(self) -> None:
        """Somebody writes to Romeo, or to his phone."""
        name = self.random.choice(sorted(self.senders))
        self.sent[name] += 1
        to = self.random.choice((ROMEO, f"{ROMEO}/phone"))
        body = f"<body>{name} {self.sent[name]}</body>"
        message = f"<message to='{to}' type='chat'>{body}</message>"
        self.senders[name].handler.dataReceived(message.encode())

    def show(self) -> None:
        """A contact changes its presence."""
        name = self.random.choice(sorted(self.senders))
        self.shown[name] += 1
        presence = f"<presence><status>{self.shown[name]}</status></presence>"
        self.senders[name].handler.dataReceived(presence.encode())

    def resume(self) -> None:
        """His phone comes back at some node, whether its connection was lost or not."""
        idle = self.idle[self.random.choice(NAMES)]
        if idle:
            self.phone.resume(idle.pop())

    def drop(self) -> None:
        """Its connection is lost."""
        self.phone.client.transport.abortConnection()

    def hand_over(self) -> None:
        """A node hands his session over to another one."""
        for name in NAMES:
            server = self.nodes[name].server
            for session in server.session_manager.local_sessions(ROMEO):
                if session.detached:
                    to = self.random.choice([each for each in NAMES if each != name])
                    moving = server.moves.hand_over(session, self.nodes[to].id)
                    self.handing.append(Deferred.fromCoroutine(moving))

    def sibling(self) -> None:
        """Another client of his comes, or goes."""
        if self.siblings:
            self.siblings.pop().transport.abortConnection()
        elif self.others:
            client = self.others.pop()
            client.handler.dataReceived(b"<presence/>")
            self.siblings.append(client)

    def arrive(self) -> None:
        """Some of what is under way arrives."""
        self.nodes.network.arrive(self.random.choice((1, 3, 10, 30)))

    def pass_time(self) -> None:
        """A moment passes."""
        self.nodes.clock.advance(self.random.choice((0.05, 0.5, 1)))

    def read(self) -> None:
        """Everybody reads."""
        if self.random.random() < 0.8:
            self.phone.read(self.random)
        for name, client in self.senders.items():
            self.told[name] += re.findall(
                "<presence[^>]*/phone[^>]*>", client.transport.take().decode()
            )

    def end(self) -> None:
        """Let everything arrive, and his phone come back once more."""
        self.nodes.network.held = False
        for _ in range(15):
            self.nodes.clock.advance(1)
            self.nodes.settle()
        self.phone.read(self.random)
        self.phone.failed.clear()
        self.phone.resume(self.nodes[self.random.choice(NAMES)].logged_in("romeo"))
        for _ in range(15):
            self.nodes.clock.advance(1)
            self.nodes.settle()
            self.phone.read(self.random)

    def sessions(self) -> list[LocalClientSession]:
        """His phone's sessions, wherever they are."""
        return [
            session
            for house in self.nodes.houses.values()
            for session in house.server.session_manager.local_sessions(ROMEO)
            if session.jid.resource == "phone"
        ]

    def seen(self, name: str) -> list[int]:
        """The presences of a contact that his phone saw: the number of each; -1 is a goodbye."""
        seen = []
        for text in self.phone.heard:
            presence = ElementTree.fromstring(text)
            if presence.tag.endswith("presence") and name in (presence.get("from") or ""):
                status = presence.findtext("{*}status")
                seen.append(-1 if presence.get("type") else int(status or 0))
        return seen

    def faults(self) -> list[str]:
        """What has gone wrong: a message lost, or twice, or out of order."""
        faults = [f"resuming failed: {each}" for each in self.phone.failed]
        if len(self.sessions()) != 1:
            faults.append(f"{len(self.sessions())} sessions")
        heard: defaultdict[str, list[int]] = defaultdict(list)
        for name, number in _BODY.findall("".join(self.phone.heard)):
            heard[name].append(int(number))
        for name, count in self.sent.items():
            if heard[name] != list(range(1, count + 1)):
                faults.append(f"he heard {heard[name]} of {count} of {name}")
        waiting = done(self.nodes["a"].store.offline.offline_messages(ROMEO))
        faults += [f"stored: {each.stanza.decode()}" for each in waiting]
        for name, told in self.told.items():
            if told:
                faults.append(f"{name} was told {told}")
        for name, count in self.shown.items():
            seen = self.seen(name)
            if seen != sorted(set(seen)) or (seen or [0])[-1] != count:
                faults.append(f"he saw {seen} of {count} of {name}")
        if not all(each.called for each in self.handing):
            faults.append("a session is still being handed over")
        if any(len(house.server.moves.offers) for house in self.nodes.houses.values()):
            faults.append("a session is still offered")
        return faults


class MoveScheduleTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Each message comes once, in order of its sender, and nobody is told anything."""
        for seed in range(25):
            with self.subTest(seed=seed):
                self.assertEqual(MoveSchedule(seed, siblings=False).faults(), [])

    def test_siblings(self) -> None:
        """So it is while others of his clients come and go."""
        for seed in range(50):
            with self.subTest(seed=seed):
                self.assertEqual(MoveSchedule(seed, siblings=True).faults(), [])

    def test_three_ask_each_other(self) -> None:
        """Three nodes may ask each other at the same time whether all has been handled: none waits
        for what waits for its own question, however long it would (CL-16).
        """
        self.patch(routing_table, "SETTLE_S", 1_000.0)
        for seed in (1, 4, 28, 39, 41, 44):
            with self.subTest(seed=seed):
                self.assertEqual(MoveSchedule(seed, siblings=True).faults(), [])
