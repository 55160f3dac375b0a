"""Messages that wait in the store, and resources that come for them at several nodes."""

import re

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.nodes.orders import Orders
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.stanzas import MessagesWait
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.stanza import JID, ns
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

JULIET = "juliet@montague.lit"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class WaitingCase(SynchronousTestCase):
    """Romeo is at node c; Juliet comes and goes at the others."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={}, juliet={})
        (self.romeo,) = self.nodes["c"].connect("romeo")
        self.said = 0

    def say(self, count: int = 1, to: str = JULIET) -> None:
        """Romeo says so many things more."""
        for _ in range(count):
            self.romeo.send(f"<message to='{to}' type='chat'><body>{self.said}</body></message>")
            self.said += 1

    def keep(self, count: int = 1) -> None:
        """Somebody's messages are stored for Juliet, without a word to anybody."""
        for _ in range(count):
            text = f"<message from='x@y.lit' to='{JULIET}'><body>{self.said}</body></message>"
            done(
                self.nodes["c"].store.offline.store_offline(
                    JULIET, text.encode(), sender="x@y.lit", stored=1.0,
                    max_messages=999, max_bytes=999_999,
                )
            )  # fmt: skip
            self.said += 1

    def heard(self, *clients: Client) -> list[int]:
        self.nodes.settle()
        data = b"".join(client.raw() for client in clients)
        return [int(text) for text in re.findall(rb"<body>(\d+)</body>", data)]

    def kept(self) -> list[int]:
        waiting = done(self.nodes["c"].store.offline.offline_messages(JULIET))
        found = (re.search(rb"<body>(\d+)</body>", each.stanza) for each in waiting)
        return [int(each[1]) for each in found if each is not None]

    def holders(self) -> set[str]:
        return done(self.nodes["c"].store.offline.holders())

    def answer(self, client: Client) -> list[int]:
        """Answer the ping that came behind messages; returns these."""
        data = client.raw()
        for id in re.findall(rb"id='(xmppd-[^']+)'", data):
            client.send(b"<iq type='result' id='%b' to='montague.lit'/>" % id)
        return [int(text) for text in re.findall(rb"<body>(\d+)</body>", data)]


class TakenTests(WaitingCase):
    """What waits is given to one session, wherever it is."""

    def test_at_once(self) -> None:
        """However many resources come at the same time, each message is given to one of them, in
        order.
        """
        self.keep(120)
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        for client in (first, second):
            client.handler.dataReceived(b"<presence/>")
        heard = [self.heard(first), self.heard(second)]
        for _ in range(9):
            self.nodes.clock.advance(0)
            heard[0] += self.heard(first)
            heard[1] += self.heard(second)
        self.assertEqual(sorted(heard[0] + heard[1]), list(range(120)))
        self.assertEqual(heard, [sorted(heard[0]), sorted(heard[1])])

    def test_arrived(self) -> None:
        """What was acknowledged is gone, and nothing is marked any more."""
        self.say(2)
        first = self.nodes["a"].bind("juliet", "1")
        first.send("<presence/>")
        self.assertEqual(self.holders(), {"a.1"})
        self.assertEqual(self.answer(first), [0, 1])
        self.assertEqual((self.kept(), self.holders()), ([], set()))

    def test_second(self) -> None:
        """While one resource may answer no other is given the same, at whichever node."""
        self.say(2)
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        first.send("<presence/>")
        second.send("<presence/>")
        self.assertEqual((self.heard(first), self.heard(second)), ([0, 1], []))

    def test_lost_connection(self) -> None:
        """If it is lost without having answered, one at another node gets them."""
        self.say(2)
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        first.send("<presence/>")
        second.send("<presence/>")
        self.heard(second)
        first.abort()
        self.assertEqual(self.answer(second), [0, 1])
        self.assertEqual((self.kept(), self.holders()), ([], set()))

    def test_nobody_left(self) -> None:
        """If there is no other, the next one gets them, at whichever node."""
        self.say(2)
        first = self.nodes["a"].bind("juliet", "1")
        first.send("<presence/>")
        first.abort()
        self.assertEqual(self.holders(), set())
        second = self.nodes["b"].bind("juliet", "2")
        second.send("<presence/>")
        self.assertEqual(self.heard(second), [0, 1])

    def test_amid(self) -> None:
        """If it leaves amid many, the rest goes to another node behind what it did not answer."""
        self.keep(120)
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        first.send("<presence/>")
        self.nodes.settle()
        first.abort()
        second.send("<presence/>")
        heard = []
        for _ in range(9):
            heard += self.heard(second)
            self.nodes.clock.advance(0)
        self.assertEqual(heard, list(range(120)))

    def test_later_ones(self) -> None:
        """What comes later comes behind what waits, also if another node decides about it."""
        self.keep(120)
        self.nodes["b"].bind("juliet", "2")
        first = self.nodes["a"].bind("juliet", "1")
        first.send("<presence/>")
        self.say()
        heard = []
        for _ in range(9):
            heard += self.heard(first)
            self.nodes.clock.advance(0)
        self.assertEqual(heard, list(range(121)))

    def test_cannot_be_given_back(self) -> None:
        """What could not be given back while the store failed is given back later."""
        self.say()
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        first.send("<presence/>")
        second.send("<presence/>")
        offline = self.nodes["a"].store.offline
        self.patch(offline, "give_back", lambda *args, **more: fail(StoreError("the disk is full")))
        first.abort()
        self.assertEqual((self.heard(second), self.holders()), ([], {"a.1"}))
        del offline.give_back
        self.nodes["a"].server.offline_message_flood.sweep()
        self.assertEqual(self.heard(second), [0])

    def test_lost_node(self) -> None:
        """If its node is lost, one at another node gets them."""
        self.say(2)
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        first.send("<presence/>")
        second.send("<presence/>")
        self.assertEqual(self.heard(second), [])
        self.nodes.lose("a")
        self.assertEqual(self.answer(second), [0, 1])
        self.assertEqual((self.kept(), self.holders()), ([], set()))

    def test_started_again(self) -> None:
        """If its node is started again, one at another node gets them as well."""
        self.say(2)
        first, second = self.nodes["a"].bind("juliet", "1"), self.nodes["b"].bind("juliet", "2")
        first.send("<presence/>")
        second.send("<presence/>")
        self.nodes.kill("a")
        self.nodes.start("a")
        self.assertEqual(self.heard(second), [0, 1])


class ToldTests(WaitingCase):
    """A message is stored while somebody logs in at another node."""

    def setUp(self) -> None:
        super().setUp()
        (self.juliet,) = self.nodes["b"].connect("juliet")
        self.keep()

    def stored(self) -> None:
        """Node a has stored it, where nobody knew that she is here."""
        flood = self.nodes["a"].server.offline_message_flood
        done(flood.tell_of_stored(JID.parse(JULIET)))
        done(flood.stored(JID.parse(JULIET)))

    def test_found(self) -> None:
        """It is found."""
        self.stored()
        self.assertEqual(self.heard(self.juliet), [0])

    def test_once(self) -> None:
        """However often that is said, it comes once."""
        self.stored()
        self.stored()
        self.assertEqual(self.heard(self.juliet), [0])

    def test_not_available_yet(self) -> None:
        """Who is about to become available gets it then."""
        other = self.nodes["a"].bind("juliet", "2")
        self.juliet.abort()
        self.stored()
        other.send("<presence/>")
        self.assertEqual(self.heard(other), [0])

    def test_directory_away(self) -> None:
        """While the directory does not answer every node is told."""
        directory = self.nodes["a"].server.cluster.directory
        self.patch(directory, "nodes_of", lambda accounts: fail(DirectoryAway("no answer")))
        self.stored()
        self.assertEqual(self.heard(self.juliet), [0])

    def test_left_meanwhile(self) -> None:
        """A node that she has just left tells the one where she is now, and that is all."""
        bus = self.nodes["c"].server.cluster.bus
        bus.tell(self.nodes["a"].id, MessagesWait(JULIET))
        self.assertEqual(self.heard(self.juliet), [0])
        self.keep()
        bus.tell(self.nodes["a"].id, MessagesWait(JULIET, again=True))
        self.assertEqual(self.heard(self.juliet), [])


class GoneTests(WaitingCase):
    """A node that is gone had a session of Juliet's, which may come back to it."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.enable()
        (self.other,) = self.nodes["b"].connect("juliet/2")
        (self.juliet,) = self.nodes["a"].connect("juliet/1")
        self.other.raw()
        self.previd = self.juliet.enable()
        self.hold()

    def hold(self) -> None:
        """Node a holds what is in her session's queue only."""
        (local,) = self.nodes["a"].connect("romeo/a")
        local.enable()
        local.send(f"<message to='{JULIET}/1' type='chat'><body>7</body></message><r {SM}/>")
        self.assertIn(b"<a ", local.raw())

    def test_lost(self) -> None:
        """What a lost node has held comes to a session elsewhere, once."""
        self.nodes.lose("a")
        self.assertEqual(self.answer(self.other), [7])
        self.assertEqual(self.kept(), [])

    def test_left(self) -> None:
        """What a node that has stopped has saved is given up when its time is over."""
        self.nodes.stop("a")
        self.assertEqual(self.heard(self.other), [])
        resume_s = self.nodes.config.stream_management.resume_s
        self.nodes.clock.advance(resume_s + 1)
        self.assertEqual(self.answer(self.other), [7])
        self.assertEqual(self.kept(), [])

    def test_back_in_time(self) -> None:
        """A node that comes back in time takes it up."""
        self.nodes.stop("a")
        self.nodes.start("a")
        self.nodes.clock.advance(self.nodes.config.stream_management.resume_s / 2)
        again = self.nodes["a"].logged_in("juliet")
        self.assertIn("<body>7</body>", "".join(again.resume(self.previd, 0)))
        self.nodes.clock.advance(self.nodes.config.stream_management.resume_s)
        self.assertEqual(self.heard(self.other), [])

    def test_all_were_stopped(self) -> None:
        """So it is for a node of which another, when it starts, finds only what it has saved."""
        for name in ("c", "a", "b"):
            self.nodes.stop(name)
        self.nodes.start("b")
        self.nodes.clock.advance(self.nodes.config.stream_management.resume_s + 1)
        other = self.nodes["b"].bind("juliet", "2")
        other.send("<presence/>")
        self.assertEqual(self.heard(other), [7])


class MeetingTests(SynchronousTestCase):
    """Romeo writes to Juliet at the moment when she logs in at another node; all that nodes and the
    directory say arrives in every order that there is.
    """

    def outcomes(self) -> set[tuple[str, ...]]:
        """What she hears, and what waits when all is quiet, in each order."""
        found = set()
        for order in Orders():
            nodes = Nodes("a", "b", late_directory=True, romeo={}, juliet={})
            (romeo,) = nodes["a"].connect("romeo")
            juliet = nodes["b"].logged_in("juliet")
            nodes.network.choose = order.choose
            juliet.handler.dataReceived(
                f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq><presence/>".encode()
            )
            romeo.handler.dataReceived(
                f"<message to='{JULIET}' type='chat'><body>now</body></message>".encode()
            )
            nodes.settle()
            data = juliet.raw()
            for id in re.findall(rb"id='(xmppd-[^']*)'", data):
                juliet.send(b"<iq type='result' id='%b' to='montague.lit'/>" % id)
            waiting = done(nodes["a"].store.offline.offline_messages(JULIET))
            heard = ["heard"] * data.count(b"<body>now</body>")
            found.add((*heard, *["waits" for _ in waiting]))
        return found

    def test_once(self) -> None:
        """She gets it once."""
        self.assertEqual(self.outcomes(), {("heard",)})

    def test_second_read(self) -> None:
        """If nobody looked into the directory again when it was stored, it would wait for her next
        login in some order.
        """

        async def nobody(*args: object, **more: object) -> None:
            """Tell nobody."""

        self.patch(OfflineMessageFlood, "tell_others", nobody)
        self.assertIn(("waits",), self.outcomes())
