"""Tests of rooms where several nodes are one service."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.muc.halls import (
    INSTANT,
    MUC,
    ORCHARD,
    bodies,
    codes,
    condition,
    rooms_config,
)
from xmppd.cluster.claims import Claims
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.command.command_context import SHELL
from xmppd.command.reply import Reply
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import NodeHouse, Nodes
from xmppd_plugins.muc.goodbyes import AGAIN_S
from xmppd_plugins.muc.roll import ROLL_S
from xmppd_plugins.muc.snapshot import WITHIN_S
from xmppd_plugins.muc.tables import KIND
from xmppd_plugins.muc.way import WAIT_S

MUC_USER = f"{MUC}#user"


class NodesCase(SynchronousTestCase):
    """Romeo, Juliet and the nurse, each at another of three nodes, are in the orchard."""

    def setUp(self) -> None:
        plugins = ("disco", "ping", "muc")
        self.nodes = Nodes(
            "a", "b", "c", plugins=plugins, config=rooms_config(), romeo={}, juliet={}, nurse={}
        )
        self.romeo = self.come("a", "romeo")
        self.romeo.send(f"<iq type='set' id='open' to='{ORCHARD}'>{INSTANT}</iq>")
        self.juliet, self.nurse = self.come("b", "juliet"), self.come("c", "nurse")
        self.all = (self.romeo, self.juliet, self.nurse)
        self.hush()

    def come(self, node: str, name: str) -> Client:
        """A client at a node that has entered the orchard."""
        (client,) = self.nodes[node].connect(name)
        self.enter(client, name.capitalize())
        return client

    def enter(self, client: Client, nick: str) -> list[str]:
        client.raw()
        client.send(f"<presence to='{ORCHARD}/{nick}'><x xmlns='{MUC}'/></presence>")
        self.nodes.settle()
        return client.received()

    def say(self, client: Client, body: str) -> None:
        client.send(f"<message type='groupchat' to='{ORCHARD}'><body>{body}</body></message>")
        self.nodes.settle()

    def hush(self) -> None:
        self.nodes.settle()
        for client in self.all:
            client.raw()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        while seconds > 0:
            self.nodes.clock.advance(min(seconds, 1))
            self.nodes.settle()
            seconds -= 1

    def claims(self, house: NodeHouse) -> Claims:
        return house.server.cluster.claims

    def owner(self) -> str:
        """The name of the node that has the orchard."""
        (name,) = [
            name
            for name, house in self.nodes.houses.items()
            if name in self.nodes.members and self.claims(house).mine(KIND, ORCHARD)
        ]
        return name

    def others(self) -> list[Client]:
        """Those who are not at that node."""
        owner = self.owner()
        return [each for each, name in zip(self.all, "abc", strict=True) if name != owner]


class OneRoomTests(NodesCase):
    def test_all_see_all(self) -> None:
        """Wherever somebody enters, they see all who are in (RM-70)."""
        seen = self.enter(self.nurse, "Nurse")
        self.assertEqual(len([each for each in seen if each.startswith("<presence")]), 3)

    def test_one_order(self) -> None:
        """All hear the same, with the same ids, in one order (RM-70)."""
        for number in range(5):
            for client in self.all:
                client.send(
                    f"<message type='groupchat' to='{ORCHARD}'><body>{number}</body></message>"
                )
        self.nodes.settle()
        heard = [
            [each.replace(f"to='{client.jid}'", "") for each in client.received()]
            for client in self.all
        ]
        self.assertEqual(len(heard[0]), 15)
        self.assertEqual(heard[0], heard[1])
        self.assertEqual(heard[0], heard[2])

    def test_one_entry(self) -> None:
        """What is said goes to each other node once, however many people are there (RM-70)."""
        for number in range(20):
            house = self.nodes["abc"[number % 3]]
            house.add(f"guest{number}")
            (guest,) = house.connect(f"guest{number}")
            self.enter(guest, f"G{number}")
        told: list[object] = []
        bus = self.nodes[self.owner()].server.cluster.bus
        tell = bus.tell
        self.patch(bus, "tell", lambda node, entry: (told.append(entry), tell(node, entry))[1])
        self.say(self.romeo, "Hark")
        self.assertEqual([type(each).__name__ for each in told].count("DeliveredToMany"), 2)

    def test_counted(self) -> None:
        """What is said counts for who says it by how many hear it, whichever node has the room."""
        tables = [house.server.routing_table for house in self.nodes.houses.values()]
        for client in self.all:
            for table in tables:
                table.take_fan_out()
            before = client.handler.counts.fan_out
            self.say(client, "Hark")
            own = client.handler.counts.fan_out - before
            caused = sum(table.take_fan_out().get(str(client.jid), 0) for table in tables)
            self.assertEqual(own + caused, len(self.all) - 1)  # one is the message itself

    def test_announcement(self) -> None:
        """What is announced at one node is said in rooms that others have (RM-78)."""
        node = next(name for name in "abc" if name != self.owner())
        commands = self.nodes[node].server.commands
        command, context = commands.asked("room announce", {"text": "Peace!"}, SHELL)

        async def give() -> list[Reply]:
            return [reply async for reply in commands.replies(command, context)]

        done(give())
        self.nodes.settle()
        for client in self.all:
            self.assertEqual(bodies(client.received()), ["Peace!"])

    def test_private(self) -> None:
        """A private message comes to its reader's node, and to nobody else (RM-50)."""
        self.juliet.send(f"<message type='chat' to='{ORCHARD}/Nurse'><body>Nurse?</body></message>")
        self.nodes.settle()
        self.assertEqual(bodies(self.nurse.received()), ["Nurse?"])
        self.assertEqual(bodies(self.romeo.received()), [])

    def test_request(self) -> None:
        """A request to somebody at another node comes back answered (RM-53)."""
        self.juliet.send(
            f"<iq type='get' id='v' to='{ORCHARD}/Nurse'><query xmlns='jabber:iq:version'/></iq>"
        )
        self.nodes.settle()
        (asked,) = self.nurse.received()
        id = asked.partition(" id='")[2].partition("'")[0]
        self.nurse.send(f"<iq type='result' id='{id}' to='{ORCHARD}/Juliet'/>")
        self.nodes.settle()
        (answer,) = self.juliet.received()
        self.assertIn(f"from='{ORCHARD}/Nurse'", answer)
        self.assertIn("type='result'", answer)

    def test_kick(self) -> None:
        """Who is sent away is so at once, wherever they are (RM-37)."""
        self.romeo.send(
            f"<iq type='set' id='k' to='{ORCHARD}'><query xmlns='{MUC}#admin'>"
            "<item nick='Nurse' role='none'/></query></iq>"
        )
        self.nodes.settle()
        (own,) = self.nurse.received()
        self.assertEqual(codes(own), {110, 307})
        (seen,) = self.juliet.received()
        self.assertEqual(codes(seen), {307})
        self.say(self.nurse, "Me?")
        self.assertEqual(condition(self.nurse.received()[0]), "not-acceptable")

    def test_configured(self) -> None:
        """A configuration is told at all nodes (RM-57)."""
        self.romeo.send(
            f"<iq type='set' id='c' to='{ORCHARD}'><query xmlns='{MUC}#owner'>"
            "<x xmlns='jabber:x:data' type='submit'>"
            f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>"
            "<field var='muc#roomconfig_roomname'><value>Orchard</value></field>"
            "</x></query></iq>"
        )
        self.nodes.settle()
        for client in (self.juliet, self.nurse):
            (notice,) = client.received()
            self.assertEqual(codes(notice), {104})

    def test_leaves(self) -> None:
        """A session that ends at any node has left (RM-33)."""
        for client, stays in ((self.nurse, self.juliet), (self.juliet, self.romeo)):
            client.abort()
            self.nodes.settle()
            (gone,) = stays.received()
            self.assertIn("type='unavailable'", gone)
            self.hush()


class CutOffTests(NodesCase):
    """The node of the room and another one do not reach each other for a while."""

    def setUp(self) -> None:
        super().setUp()
        owner = self.owner()
        self.host = self.all["abc".index(owner)]
        self.away, self.near = self.others()
        node = "abc"[self.all.index(self.away)]
        here, there = (self.nodes[name].server.cluster.bus for name in (owner, node))
        assert isinstance(here, MemoryBus) and isinstance(there, MemoryBus)
        self.ends = (here, there)

    def cut(self) -> None:
        here, there = self.ends
        here.cut.add(there.id)
        there.cut.add(here.id)

    def mend(self) -> None:
        here, there = self.ends
        here.mend(there.id)
        there.mend(here.id)
        self.nodes.settle()

    def heard(self, client: Client) -> list[str]:
        """What a client has heard, without its own address."""
        return [each.replace(f"to='{client.jid}'", "") for each in client.received()]

    def test_talk(self) -> None:
        """All hear the same in one order, with the same ids, when they reach each other again; what
        was said meanwhile is said once (RM-70).
        """
        self.cut()
        for number in range(3):
            self.say(self.host, f"host {number}")
            self.say(self.near, f"near {number}")
        self.say(self.away, "away")
        self.wait(WAIT_S - 2)
        self.assertEqual(self.away.received(), [])
        self.mend()
        self.wait(1)
        heard = [self.heard(client) for client in self.all]
        self.assertEqual(len(heard[0]), 7)
        self.assertEqual(bodies(heard[0])[-1], "away")
        self.assertEqual(heard[0], heard[1])
        self.assertEqual(heard[0], heard[2])

    def test_for_long(self) -> None:
        """Whoever is told to try again because of that may have been heard; nobody is out, nor in
        twice, and all hear the same (RM-70).
        """
        self.cut()
        self.say(self.away, "away")
        self.wait(WAIT_S + 1)
        (refused,) = self.away.received()
        self.assertEqual(condition(refused), "remote-server-timeout")
        self.mend()
        self.wait(ROLL_S + 1)
        self.hush()
        self.say(self.away, "again")
        self.say(self.host, "here")
        for client in self.all:
            self.assertEqual(bodies(client.received()), ["again", "here"])

    def test_goodbye(self) -> None:
        """Who leaves meanwhile has left, once (RM-79)."""
        nick = str(self.away.jid).partition("@")[0].capitalize()
        self.cut()
        self.away.send(f"<presence to='{ORCHARD}/{nick}' type='unavailable'/>")
        self.wait(2 * WAIT_S)
        self.mend()
        self.wait(AGAIN_S + WAIT_S)
        gone = [each for each in self.host.received() if "type='unavailable'" in each]
        self.assertEqual(len(gone), 1)
        self.assertIn(f"from='{ORCHARD}/{nick}'", gone[0])


class MovingTests(NodesCase):
    def test_drained(self) -> None:
        """When the node of a room drains, another one has it, and nobody is told (RM-71)."""
        owner = self.owner()
        ids = {client: client.enable() for client in self.all}
        self.nodes[owner].server.drain.begin()
        self.wait(5)
        self.assertNotEqual(self.owner(), owner)
        here = self.others()
        for client in [each for each in self.all if not each.closed]:
            self.assertEqual(client.received(), [])
        moved = [each for each in self.all if each.closed]
        (left,) = moved
        back = self.nodes[self.owner()].logged_in(str(left.jid).partition("@")[0])
        back.resume(ids[left], 0)
        self.nodes.settle()
        back.raw()
        (speaker, *_) = [each for each in here if not each.closed]
        self.say(speaker, "Still here")
        self.assertEqual(bodies(back.received()), ["Still here"])
        self.say(back, "Me too")
        self.assertEqual(bodies(speaker.received()), ["Still here", "Me too"])

    def test_resumed_elsewhere(self) -> None:
        """Who resumes a session at another node is told there what happens, and nobody else is told
        anything (RM-71).
        """
        owner = self.owner()
        mover = self.others()[0]
        id = mover.enable()
        name = str(mover.jid).partition("@")[0]
        mover.abort()
        for to in [each for each in "abc" if each != "abc"[self.all.index(mover)]] + [owner]:
            back = self.nodes[to].logged_in(name)
            back.resume(id, 0)
            self.nodes.settle()
            self.wait(120)
            back.raw()
            for other in self.all:
                if other is not mover:
                    self.assertEqual([each for each in other.received() if "presence" in each], [])
            speaker = next(each for each in self.all if each is not mover)
            self.say(speaker, to)
            self.assertEqual(bodies(back.received()), [to])
            back.abort()


class LostNodeTests(NodesCase):
    def lose_owner(self) -> list[Client]:
        """The node of the room is lost; returns who is at others."""
        here = self.others()
        owner = self.owner()
        self.wait(WITHIN_S * 2)
        self.hush()
        self.nodes.lose(owner)
        self.nodes.settle()
        return here

    def test_goes_on(self) -> None:
        """When the node of a room is killed, another one has it, and who is in is told nothing
        (RM-71).
        """
        first, second = self.lose_owner()
        self.owner()
        self.say(first, "Still here")
        self.assertEqual(bodies(first.received()), ["Still here"])
        self.assertEqual(bodies(second.received()), ["Still here"])

    def test_grace(self) -> None:
        """People of the lost node are seen to leave when the grace is over, once (CL-36, RM-71)."""
        first, second = self.lose_owner()
        grace_s = self.nodes.config.cluster.grace_s
        self.wait(grace_s - 1)
        self.assertEqual(first.received() + second.received(), [])
        self.wait(2)
        for client in (first, second):
            (gone,) = client.received()
            self.assertIn("type='unavailable'", gone)
            self.assertEqual(codes(gone), {333})
        self.wait(120)
        self.assertEqual(first.received() + second.received(), [])

    def test_comes_back(self) -> None:
        """Who comes back within the grace, and enters again, has not left (RM-71)."""
        owner = self.owner()
        name = ("romeo", "juliet", "nurse")["abc".index(owner)]
        first, second = self.lose_owner()
        node = next(each for each in "abc" if each != owner)
        back = self.come(node, name)
        self.nodes.settle()
        before = first.received() + second.received()
        self.assertEqual([each for each in before if "unavailable" in each], [])
        self.wait(200)
        self.assertEqual(first.received() + second.received(), [])
        self.say(back, "Back")
        self.assertEqual(bodies(first.received()), ["Back"])

    def test_left_meanwhile(self) -> None:
        """Who leaves while nobody has the room has left when somebody has it (RM-71)."""
        here = self.others()
        owner = self.owner()
        self.wait(WITHIN_S * 2)
        self.hush()
        first, second = here
        nick = str(first.jid).partition("@")[0].capitalize()
        self.nodes.kill(owner)
        first.send(f"<presence to='{ORCHARD}/{nick}' type='unavailable'/>")
        self.wait(WAIT_S + 1)
        self.nodes.lose(owner)
        self.wait(ROLL_S + 1)
        (gone,) = second.received()
        self.assertIn(f"from='{ORCHARD}/{nick}'", gone)
        self.assertIn("type='unavailable'", gone)

    def test_goodbye(self) -> None:
        """Who leaves while nobody has the room has left also if their own node has it then
        (RM-79).
        """
        leaving, owner = self.others(), self.owner()
        house = self.nodes["abc"[self.all.index(leaving[0])]]
        house.add("guest")
        (guest,) = house.connect("guest")
        self.enter(guest, "Guest")
        self.wait(WITHIN_S * 2)
        guest.raw()
        self.nodes.kill(owner)
        nicks = [str(each.jid).partition("@")[0].capitalize() for each in leaving]
        for each, nick in zip(leaving, nicks, strict=True):
            each.send(f"<presence to='{ORCHARD}/{nick}' type='unavailable'/>")
        self.wait(WAIT_S + 1)
        self.nodes.lose(owner)
        self.wait(AGAIN_S + WAIT_S)
        self.assertIn(self.owner(), ["abc"[self.all.index(each)] for each in leaving])
        gone = [each for each in guest.received() if "type='unavailable'" in each]
        self.assertEqual(len(gone), 2, "one of them at the node that has the room")
        for nick in nicks:
            self.assertIn(f"from='{ORCHARD}/{nick}'", "".join(gone))

    def test_goodbye_and_back(self) -> None:
        """Who leaves while nobody has the room, and is in again, stays (RM-79)."""
        first, second = self.others()
        owner = self.owner()
        self.wait(WITHIN_S * 2)
        nick = str(first.jid).partition("@")[0].capitalize()
        self.nodes.kill(owner)
        first.send(f"<presence to='{ORCHARD}/{nick}' type='unavailable'/>")
        self.wait(WAIT_S + 1)
        self.nodes.lose(owner)
        self.nodes.settle()
        self.enter(first, nick)
        self.wait(self.nodes.config.cluster.grace_s + 2 * ROLL_S)
        self.hush()
        self.say(second, "Are you there?")
        self.assertEqual(bodies(first.received()), ["Are you there?"])

    def test_waits(self) -> None:
        """What is for a room that no node has waits for five seconds, then its sender is told to
        wait (RM-70).
        """
        first, _ = self.others()
        self.nodes.kill(self.owner())
        self.say(first, "Hello?")
        self.wait(WAIT_S - 1)
        self.assertEqual(first.received(), [])
        self.wait(2)
        (error,) = first.received()
        self.assertEqual(condition(error), "remote-server-timeout")
        self.assertIn("type='wait'", error)

    def test_found_in_time(self) -> None:
        """What waits when a node is lost goes to the next one that has the room (RM-70)."""
        first, second = self.others()
        owner = self.owner()
        self.wait(WITHIN_S * 2)
        self.hush()
        self.nodes.kill(owner)
        self.say(first, "Hello?")
        self.wait(2)
        self.nodes.lose(owner)
        self.wait(1)
        self.assertEqual(bodies(second.received()), ["Hello?"])
        self.assertEqual(bodies(first.received()), ["Hello?"])
