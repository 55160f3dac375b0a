"""Sessions that change their node: resumed elsewhere, or handed over."""

import re
from base64 import b64encode
from collections.abc import Iterator
from itertools import count, product
from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.auth.login import Login, UserAgent
from xmppd.cluster.entries.stanzas import KINDS, Delivered
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.node import Location
from xmppd.login.sasl2 import NS as SASL2
from xmppd.nodes.moves import ANSWER_S
from xmppd.nodes.session_offers import ADOPT_S
from xmppd.routing.hints import HINT_S as PASS_ON_S
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, ns
from xmppd.stanza.copies import CARBONS
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

ROMEO = "romeo@montague.lit"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
CHAT = "<message to='{to}' type='chat'><body>{text}</body></message>"


def said(stanzas: list[str] | bytes) -> list[str]:
    """What the messages among these say."""
    text = stanzas.decode() if isinstance(stanzas, bytes) else "".join(stanzas)
    return re.findall("<body>(.*?)</body>", text)


def presences(stanzas: list[str]) -> list[str]:
    """The presences among these."""
    return [each for each in stanzas if each.startswith("<presence")]


class Verona:
    """Romeo is at node b, and Juliet at each of the three.

    Args:
        late_directory: Whether the directory's answers are under way for a while.
    """

    def __init__(self, *, late_directory: bool = True, plugins: tuple[str, ...] = ()) -> None:
        both = {"juliet": "both", "nurse": "both", "tybalt": "both"}
        self.nodes = Nodes(
            "a", "b", "c", late_directory=late_directory, plugins=plugins,
            romeo=both, juliet={"romeo": "both"}, nurse={"romeo": "both"}, tybalt={"romeo": "both"},
        )  # fmt: skip
        (self.at_a,) = self.nodes["a"].connect("juliet")
        (self.at_b,) = self.nodes["b"].connect("nurse")
        (self.at_c,) = self.nodes["c"].connect("tybalt")
        self.contacts = (self.at_a, self.at_b, self.at_c)
        (self.romeo,) = self.nodes["b"].connect("romeo")
        self.id = self.romeo.enable()
        self.settle()
        self.hear()

    def settle(self) -> None:
        """Let everything arrive."""
        self.nodes.settle()

    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.nodes.clock.advance(1)
            self.settle()

    def hear(self) -> list[list[str]]:
        """What each contact has heard since the last time."""
        self.settle()
        return [client.received() for client in self.contacts]

    def write(self, client: Client, text: str) -> None:
        """Somebody writes to Romeo, and it is under way."""
        client.handler.dataReceived(CHAT.format(to=ROMEO, text=text).encode())

    def resume(self, node: str, h: int = 0, name: str = "romeo") -> tuple[Client, list[str]]:
        """Romeo comes back to his session at a node; what he is sent then."""
        client = self.nodes[node].logged_in(name)
        return client, client.resume(self.id, h)

    def session(self, node: str) -> LocalClientSession:
        """His only session at a node."""
        (session,) = self.nodes[node].server.session_manager.local_sessions(ROMEO)
        return session

    def session_of(self, node: str, resource: str) -> LocalClientSession:
        """One of his sessions."""
        session = self.nodes[node].server.routing_table.bound[f"{ROMEO}/{resource}"]
        assert isinstance(session, LocalClientSession)
        return session

    def stored(self) -> list[str]:
        """The messages that wait for him."""
        waiting = done(self.nodes["a"].store.offline.offline_messages(ROMEO))
        return said(b"".join(each.stanza for each in waiting))

    def at(self) -> list[str]:
        """The nodes that live and have a session of his."""
        return [
            name
            for name, house in self.nodes.houses.items()
            if house.id in self.nodes.ends and house.server.session_manager.local_sessions(ROMEO)
        ]

    def bus(self, node: str) -> MemoryBus:
        """What a node says to others."""
        bus = self.nodes[node].server.cluster.bus
        assert isinstance(bus, MemoryBus)
        return bus

    def hand_over(self, node: str) -> "Deferred[bool]":
        """Node b hands his session over to another one."""
        session = self.session("b")
        server = self.nodes["b"].server
        if not session.detached:
            server.resumable_sessions.detach(session)
        moving = server.moves.hand_over(session, self.nodes[node].id)
        return Deferred.fromCoroutine(moving)


class ResumedElsewhereTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.verona = Verona()

    def test_asleep(self) -> None:
        """A session that sleeps on another node is resumed, with all that came for it."""
        verona = self.verona
        verona.romeo.abort()
        verona.write(verona.at_a, "one")
        verona.settle()
        client, stanzas = verona.resume("a")
        self.assertIn("<resumed", stanzas[0])
        self.assertEqual(said(stanzas), ["one"])
        self.assertEqual(verona.at(), ["a"])
        self.assertEqual([presences(heard) for heard in verona.hear()], [[], [], []])
        place = verona.nodes.directory.accounts[ROMEO]["1"]
        self.assertEqual(place, Location(verona.nodes["a"].id, client.session.serial))

    def test_awake(self) -> None:
        """So is one whose connection seems alive: that is closed, and nobody is told."""
        verona = self.verona
        _, stanzas = verona.resume("c", 0)
        self.assertIn("<resumed", stanzas[0])
        self.assertIn(b"<conflict", verona.romeo.raw())
        self.assertEqual(verona.at(), ["c"])
        self.assertEqual([presences(heard) for heard in verona.hear()], [[], [], []])

    def test_thrice(self) -> None:
        """It goes from node to node, and what was not acknowledged with it."""
        verona = self.verona
        for number, node in enumerate("abcbac"):
            verona.write(verona.at_a, str(number))
            verona.settle()
            _, stanzas = verona.resume(node)
            self.assertEqual(said(stanzas), [str(each) for each in range(number + 1)])
            self.assertEqual(verona.at(), [node])

    def test_acknowledged(self) -> None:
        """What its client has got is not sent again, and held nowhere."""
        verona = self.verona
        verona.at_a.enable()
        verona.write(verona.at_a, "one")
        verona.write(verona.at_a, "two")
        verona.at_a.send(f"<r {SM}/>")
        client, stanzas = verona.resume("a", 1)
        self.assertEqual(said(stanzas), ["two"])
        client.send(f"<a {SM} h='2'/>")
        for name in "abc":
            verona.nodes.kill(name)
        verona.nodes.start("a")
        self.assertEqual(verona.stored(), [])

    def test_not_acknowledged(self) -> None:
        """What its client has not got is held by the node that has it, once."""
        verona = self.verona
        verona.at_a.enable()
        verona.write(verona.at_a, "one")
        verona.at_a.send(f"<r {SM}/>")
        verona.resume("a")
        verona.nodes.lose("b")
        self.assertEqual(verona.stored(), [])
        verona.nodes.lose("a")
        verona.pass_time(1)
        self.assertEqual(verona.stored(), ["one"])

    def test_too_high(self) -> None:
        """A client that says it has got more than it was sent is told so, and may try again."""
        verona = self.verona
        client = verona.nodes["a"].logged_in("romeo")
        client.send(f"<resume {SM} previd='{verona.id}' h='7'/>")
        self.assertIn(b"handled-count-too-high", client.raw())
        _, stanzas = verona.resume("c")
        self.assertIn("<resumed", stanzas[0])

    def test_not_ones_own(self) -> None:
        """Nobody else resumes it, by whatever id."""
        _, stanzas = self.verona.resume("a", name="juliet")
        self.assertIn("item-not-found", stanzas[0])
        self.assertEqual(self.verona.at(), ["b"])

    def test_ended(self) -> None:
        """Of one that has ended its node still knows how much was handled."""
        verona = self.verona
        verona.nodes["b"].connect("romeo/2")
        verona.romeo.send("<presence/>")
        verona.session_of("b", "1").connection.close()
        verona.settle()
        _, stanzas = verona.resume("a")
        self.assertIn("<failed", stanzas[0])
        self.assertIn("h='1'", stanzas[0])
        self.assertIn("item-not-found", stanzas[0])

    def test_large(self) -> None:
        """Its queue may be larger than what nodes say to each other at once."""
        verona = self.verona
        verona.romeo.abort()
        texts = [str(number) + "x" * 250_000 for number in range(8)]
        for text in texts:
            verona.write(verona.at_a, text)
            verona.settle()
        _, stanzas = verona.resume("a")
        self.assertEqual(said(stanzas), texts)

    def test_inactive(self) -> None:
        """It is active again, as on one node."""
        verona = Verona(plugins=("client_state",))
        verona.romeo.send("<inactive xmlns='urn:xmpp:csi:0'/>")
        client, _ = verona.resume("a")
        self.assertFalse(client.session.inactive)

    def test_inline(self) -> None:
        """With SASL2 it is the same."""
        verona = self.verona
        verona.write(verona.at_a, "one")
        verona.settle()
        client = verona.nodes["a"].unauthenticated(encrypted=True)
        password = "wherefore art thou"
        done(verona.nodes["a"].server.passwords.set_password(ROMEO, password))
        proof = b64encode(f"\0romeo\0{password}".encode()).decode()
        client.open("montague.lit")
        client.raw()
        client.send(
            f"<authenticate xmlns='{SASL2}' mechanism='PLAIN'>"
            f"<initial-response>{proof}</initial-response>"
            f"<resume {SM} previd='{verona.id}' h='0'/></authenticate>"
        )
        heard = client.raw()
        self.assertIn(b"<success", heard)
        self.assertIn(b"<resumed", heard)
        self.assertEqual(said(heard), ["one"])
        self.assertEqual(verona.at(), ["a"])


class PresenceTests(SynchronousTestCase):
    """Romeo's session has moved from b to a."""

    def setUp(self) -> None:
        self.verona = Verona()
        self.client, _ = self.verona.resume("a")
        self.verona.hear()

    def test_changes(self) -> None:
        """Everybody hears his next presence once, and his goodbye."""
        self.client.send("<presence><show>away</show></presence>")
        for heard in self.verona.hear():
            self.assertEqual(len(presences(heard)), 1)
            self.assertIn("away", heard[0])
        self.client.send("</stream:stream>")
        for heard in self.verona.hear():
            self.assertEqual(len(presences(heard)), 1)
            self.assertIn("unavailable", heard[0])

    def test_former_node_goes(self) -> None:
        """That his former node leaves concerns nobody."""
        self.verona.nodes.stop("b")
        self.verona.pass_time(40)
        for client in (self.verona.at_a, self.verona.at_c):
            self.assertEqual(client.received(), [])

    def test_new_node_is_lost(self) -> None:
        """If his new node is lost he is gone, once."""
        self.verona.nodes.lose("a")
        self.verona.pass_time(40)
        for client in (self.verona.at_b, self.verona.at_c):
            gone = [each for each in presences(client.received()) if "romeo@" in each]
            self.assertEqual(len(gone), 1)
            self.assertIn("unavailable", gone[0])

    def test_sees_others(self) -> None:
        """He hears of his contacts as before, wherever they are."""
        for contact in self.verona.contacts:
            contact.send("<presence><show>away</show></presence>")
            self.assertEqual(len(presences(self.client.received())), 1)
            contact.abort()
            heard = presences(self.client.received())
            self.assertEqual(len(heard), 1)
            self.assertIn("unavailable", heard[0])

    def test_changed_under_way(self) -> None:
        """What has changed of them while he was moved he hears once, whenever that was."""
        for steps in range(25):
            with self.subTest(steps=steps):
                self.change_under_way(Verona(), steps)

    def test_leaves_at_once(self) -> None:
        """If he becomes unavailable as soon as he is back, his contacts hear it, wherever they are:
        also before his new node has introduced him there.
        """
        verona = self.verona
        again = verona.nodes["c"].logged_in("romeo")
        resume = f"<resume {SM} previd='{verona.id}' h='0'/>"
        again.handler.dataReceived(f"{resume}<presence type='unavailable'/>".encode())
        for heard in verona.hear():
            self.assertEqual(sum("unavailable" in each for each in presences(heard)), 1)

    def test_leaves_under_way(self) -> None:
        """If he leaves before his new node has introduced him, nobody goes on to know of him: also
        if the directory does not say any more who is where.
        """
        for steps in range(25):
            with self.subTest(steps=steps):
                verona = Verona()
                network = verona.nodes.network
                again = verona.nodes["c"].logged_in("romeo")
                network.held = True
                again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
                network.arrive(steps)
                verona.nodes.directories["c"].away = True
                again.handler.dataReceived(b"</stream:stream>")
                network.held = False
                verona.settle()
                verona.pass_time(10)
                for heard in verona.hear():
                    self.assertEqual(sum("unavailable" in each for each in presences(heard)), 1)
                for house in verona.nodes.houses.values():
                    table = house.server.routing_table
                    self.assertLessEqual(table.interest.known_at.keys(), table.users.keys())

    def test_hides_under_way(self) -> None:
        """A contact that has become unavailable meanwhile, and is connected still, is gone for him
        once.
        """
        for steps in range(25):
            with self.subTest(steps=steps):
                verona = Verona()
                network = verona.nodes.network
                again = verona.nodes["c"].logged_in("romeo")
                network.held = True
                again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
                network.arrive(steps)
                verona.at_a.handler.dataReceived(b"<presence type='unavailable'/>")
                network.held = False
                heard = presences(again.received())
                self.assertEqual(sum("unavailable" in each for each in heard), 1)

    def test_comes_under_way(self) -> None:
        """A contact that comes meanwhile, at the node to which he moves or at another, sees him
        once, and he sees it once.
        """
        for steps, node in product(range(25), "abc"):
            with self.subTest(steps=steps, node=node):
                verona = Verona()
                network = verona.nodes.network
                network.choose = Random(f"{node} {steps}").randrange  # the same each time
                coming = verona.nodes[node].bind("tybalt", "new")
                coming.raw()
                again = verona.nodes["c"].logged_in("romeo")
                network.held = True
                again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
                network.arrive(steps)
                coming.handler.dataReceived(b"<presence/>")
                network.held = False
                seen = [each for each in presences(coming.received()) if f"'{ROMEO}/1'" in each]
                self.assertEqual(len(seen), 1, seen)
                seen = [each for each in presences(again.received()) if "/new'" in each]
                self.assertEqual(len(seen), 1, seen)

    def test_own_other_comes_under_way(self) -> None:
        """Another client of his that logs in meanwhile at the node to which he moves finds him
        there, and they see each other.
        """
        for steps in range(25):
            with self.subTest(steps=steps):
                verona = Verona()
                verona.nodes["c"].bind("romeo", "0")  # so the node knows of his sessions
                network = verona.nodes.network
                again = verona.nodes["c"].logged_in("romeo")
                coming = verona.nodes["c"].logged_in("romeo")
                network.held = True
                again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
                network.arrive(steps)
                bind = f"<bind xmlns='{ns.BIND}'><resource>2</resource></bind>"
                login = f"<iq type='set' id='b'>{bind}</iq><presence/>"
                coming.handler.dataReceived(login.encode())
                network.held = False
                verona.settle()
                for client, other in ((coming, "1"), (again, "2")):
                    seen = [each for each in presences(client.received())
                            if f"from='{ROMEO}/{other}'" in each]  # fmt: skip
                    self.assertEqual(len(seen), 1, seen)
                    self.assertIs(verona.session_of("c", other).closed, False)

    def change_under_way(self, verona: Verona, steps: int) -> None:
        """His contacts change after some steps of his move."""
        network = verona.nodes.network
        again = verona.nodes["c"].logged_in("romeo")
        network.held = True
        again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
        network.arrive(steps)
        for contact in (verona.at_a, verona.at_b):
            contact.handler.dataReceived(b"<presence><show>dnd</show></presence>")
        verona.at_c.handler.dataReceived(b"</stream:stream>")
        network.held = False
        heard = presences(again.received())
        self.assertEqual(len(heard), 3)
        self.assertEqual(sum("<show>dnd</show>" in each for each in heard), 2)
        self.assertEqual(sum("unavailable" in each for each in heard), 1)


class StateTests(SynchronousTestCase):
    """What belongs to a session moves with it."""

    def moved(self, verona: Verona) -> Client:
        client, stanzas = verona.resume("a")
        self.assertIn("<resumed", stanzas[0])
        return client

    def test_carbons(self) -> None:
        """It has carbons, and gets copies of what comes for others at other nodes."""
        verona = Verona(plugins=("carbons",))
        verona.romeo.send(f"<iq type='set' id='c'><enable xmlns='{CARBONS}'/></iq>")
        client = self.moved(verona)
        verona.nodes["c"].connect("romeo/c")
        client.received()
        verona.at_c.send(CHAT.format(to=f"{ROMEO}/c", text="psst"))
        self.assertEqual(said(client.received()), ["psst"])

    def test_invisible(self) -> None:
        """It stays invisible, and shows itself when it wants to."""
        verona = Verona(plugins=("invisible",))
        verona.romeo.send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
        verona.hear()
        client = self.moved(verona)
        self.assertEqual([presences(heard) for heard in verona.hear()], [[], [], []])
        client.send("<iq type='set' id='v'><visible xmlns='urn:xmpp:invisible:1'/></iq><presence/>")
        for heard in verona.hear():
            self.assertEqual(len(presences(heard)), 1)

    def test_active_list(self) -> None:
        """Its active list is in force, also while it is moved."""
        verona = Verona(plugins=("privacy_lists",))
        verona.romeo.send(
            "<iq type='set' id='l'><query xmlns='jabber:iq:privacy'><list name='l'>"
            "<item type='jid' value='juliet@montague.lit' action='deny' order='1'><message/></item>"
            "</list></query></iq>"
            "<iq type='set' id='a'><query xmlns='jabber:iq:privacy'><active name='l'/></query></iq>"
        )
        client = self.moved(verona)
        client.received()
        verona.at_a.send(CHAT.format(to=f"{ROMEO}/1", text="denied"))
        verona.at_c.send(CHAT.format(to=f"{ROMEO}/1", text="allowed"))
        self.assertEqual(said(client.received()), ["allowed"])

    def test_directed(self) -> None:
        """Those who have its directed presence, wherever they are, hear its goodbye once."""
        verona = Verona()
        strangers = []
        for name in "abc":
            verona.nodes["a"].add(f"stranger-{name}")
            (stranger,) = verona.nodes[name].connect(f"stranger-{name}")
            strangers.append(stranger)
            verona.romeo.send(f"<presence to='{stranger.jid}'/>")
            self.assertEqual(len(presences(stranger.received())), 1)
        client = self.moved(verona)
        verona.nodes.stop("b")
        verona.pass_time(40)
        for name, stranger in zip("abc", strangers, strict=True):
            if name != "b":
                self.assertEqual(stranger.received(), [])
        client.send("</stream:stream>")
        verona.settle()
        for name, stranger in zip("abc", strangers, strict=True):
            if name != "b":
                self.assertEqual(len(presences(stranger.received())), 1)

    def test_handed(self) -> None:
        """Whoever has sent it directed presence, wherever they are, is seen to leave, once."""
        verona = Verona()
        strangers = []
        for name in "abc":
            verona.nodes["a"].add(f"stranger-{name}")
            (stranger,) = verona.nodes[name].connect(f"stranger-{name}")
            stranger.send(f"<presence to='{ROMEO}/1'/>")
            strangers.append(stranger)
        verona.romeo.raw()
        client = self.moved(verona)
        client.received()
        for stranger in strangers:
            stranger.send("</stream:stream>")
            heard = presences(client.received())
            self.assertEqual(len(heard), 1, stranger.jid)
            self.assertIn("unavailable", heard[0])

    def test_login(self) -> None:
        """It is known as that of its client's installation."""
        verona = Verona()
        verona.romeo.session.login = Login("PLAIN", "", UserAgent("phone"))
        handing = verona.hand_over("a")
        verona.settle()
        self.assertTrue(done(handing))
        self.assertEqual(verona.session("a").device, "phone")

    def test_stored(self) -> None:
        """Stored messages that it was given are deleted when its client acknowledges them."""
        verona = Verona()
        verona.romeo.send("<presence type='unavailable'/>")
        verona.at_c.send(CHAT.format(to=ROMEO, text="later"))
        verona.romeo.send("<presence/>")
        self.assertEqual(said(verona.romeo.received()), ["later"])
        client, stanzas = verona.resume("a")
        self.assertEqual(said(stanzas), ["later"])
        count = client.session.management
        assert count is not None
        client.send(f"<a {SM} h='{count.sent}'/>")
        for name in "abc":
            verona.nodes.kill(name)
        verona.nodes.start("a")
        self.assertEqual(verona.stored(), [])


class UnderWayTests(SynchronousTestCase):
    """Something happens after each of the steps that a session takes from b to a."""

    def under_way(self) -> Iterator[tuple[Verona, Client]]:
        """Romeo is about to resume at a, one step further each time; one message waits for him,
        which its sender has been told is safe.
        """
        for steps in count():
            verona = Verona()
            verona.at_c.enable()
            verona.romeo.abort()
            verona.write(verona.at_c, "one")
            verona.at_c.send(f"<r {SM}/>")
            self.assertIn(b"<a ", verona.at_c.raw())
            network = verona.nodes.network
            network.held = True
            client = verona.nodes["a"].logged_in("romeo")
            client.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
            network.arrive(steps)
            is_over = b"<resumed" in client.transport.value()
            with self.subTest(steps=steps):
                yield verona, client
                there = [
                    house for house in verona.nodes.houses.values() if house.id in verona.nodes.ends
                ]
                self.assertFalse(any(len(house.server.moves.offers) for house in there))
            if is_over:
                self.assertGreater(steps, 5)
                return

    def go_on(self, verona: Verona) -> None:
        """All that is under way arrives, and some time passes."""
        verona.nodes.network.held = False
        verona.pass_time(12)

    def come_back(self, verona: Verona, nodes: str) -> list[str]:
        """What he hears when he comes back to one of these nodes, or begins anew."""
        for name in nodes:
            _, stanzas = verona.resume(name)
            if "<resumed" in stanzas[0]:
                return said(stanzas)
        client = verona.nodes[nodes[0]].bind("romeo", "new")
        client.send("<presence/>")
        verona.pass_time(1)
        return said(client.raw())

    def test_new_node_lost(self) -> None:
        """The node that takes it is lost: it sleeps on, or its messages are stored."""
        for verona, _ in self.under_way():
            verona.nodes.lose("a")
            self.go_on(verona)
            self.assertEqual(self.come_back(verona, "bc"), ["one"])

    def test_new_node_lost_for_good(self) -> None:
        """If the node that takes it is lost, and he does not come back, his contacts at other nodes
        hear that he is gone, once, after the grace; or he sleeps on, and they hear nothing.
        """
        for verona, _ in self.under_way():
            verona.hear()
            verona.nodes.lose("a")
            self.go_on(verona)
            verona.pass_time(25)
            for client in (verona.at_b, verona.at_c):
                heard = presences(client.received())
                self.assertEqual(len(heard), not verona.at(), heard)
                self.assertTrue(all("unavailable" in each for each in heard))

    def test_former_node_lost(self) -> None:
        """The node that has it is lost: it is where it is, or its messages are stored."""
        for verona, _ in self.under_way():
            verona.nodes.lose("b")
            self.go_on(verona)
            self.assertEqual(self.come_back(verona, "ac"), ["one"])

    def test_comes_back(self) -> None:
        """Its client comes back to the node that has it: it gets it there; if the node where it was
        before has asked too late, once more.
        """
        for verona, client in self.under_way():
            client.transport.abortConnection()
            again = verona.nodes["b"].logged_in("romeo")
            again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
            self.go_on(verona)
            stanzas = again.received()
            self.assertIn("<resumed", stanzas[0])
            self.assertEqual(said(stanzas), ["one"])
            if again.closed:
                self.assertEqual(self.come_back(verona, "b"), ["one"])
            self.assertEqual(verona.at(), ["b"])

    def test_two_at_once(self) -> None:
        """Its client comes back at two nodes at once: one of them has it in the end, and the client
        there has all.
        """
        for verona, client in self.under_way():
            again = verona.nodes["c"].logged_in("romeo")
            again.handler.dataReceived(f"<resume {SM} previd='{verona.id}' h='0'/>".encode())
            self.go_on(verona)
            (node,) = verona.at()
            self.assertEqual(said({"a": client, "c": again}[node].received()), ["one"])

    def test_account_closed(self) -> None:
        """His account is disabled: the session ends, wherever it is by then, and his contacts hear
        that once.
        """
        for verona, client in self.under_way():
            server = verona.nodes["c"].server
            changing = Deferred.fromCoroutine(server.accounts.disable(JID.parse(ROMEO)))
            self.go_on(verona)
            self.assertTrue(changing.called)
            self.assertEqual(verona.at(), [])
            self.assertTrue(client.closed)
            for heard in verona.hear():
                self.assertEqual(sum("unavailable" in each for each in presences(heard)), 1)
            for house in verona.nodes.houses.values():
                table = house.server.routing_table
                self.assertLessEqual(table.interest.known_at.keys(), table.users.keys())
            self.assertEqual(verona.stored() or said(client.received()), ["one"])

    def test_replaced(self) -> None:
        """Somebody takes its resource at a third node: it ends, and its messages go there."""
        for verona, _ in self.under_way():
            new = verona.nodes["c"].logged_in("romeo")
            bind = f"<bind xmlns='{ns.BIND}'><resource>1</resource></bind>"
            new.handler.dataReceived(f"<iq type='set' id='b'>{bind}</iq><presence/>".encode())
            self.go_on(verona)
            self.assertEqual(verona.at(), ["c"])
            self.assertEqual(said(new.received()), ["one"])

    def test_directory_away(self) -> None:
        """The directory does not answer for a while: it is found, and entered later."""
        for verona, client in self.under_way():
            for directory in verona.nodes.directories.values():
                directory.away = True
            verona.nodes.network.held = False
            verona.pass_time(3)
            for directory in verona.nodes.directories.values():
                directory.away = False
            verona.pass_time(30)
            stanzas = client.received()
            self.assertIn("<resumed", stanzas[0])
            self.assertEqual(said(stanzas), ["one"])
            place = verona.nodes.directory.accounts[ROMEO]["1"]
            self.assertEqual(place.node, verona.nodes["a"].id)

    def test_stops(self) -> None:
        """The node that has it is stopped: it is saved once, and found."""
        for verona, _ in self.under_way():
            verona.nodes.network.held = False
            verona.nodes.stop("b")
            verona.pass_time(1)
            self.assertEqual(self.come_back(verona, "ca"), ["one"])


class HandOverTests(SynchronousTestCase):
    """Node b hands Romeo's session over, before his client has come back."""

    def setUp(self) -> None:
        self.verona = Verona()

    def is_moved(self, node: str, seconds: int = 0) -> bool:
        """Whether it is at the other node, as node b says after some time."""
        handing = self.verona.hand_over(node)
        self.verona.settle()
        self.verona.pass_time(seconds)
        return done(handing)

    def test_asleep(self) -> None:
        """It is there, asleep, and found by its client at any node; nobody hears of it."""
        verona = self.verona
        verona.write(verona.at_c, "one")
        verona.settle()
        self.assertTrue(self.is_moved("a"))
        self.assertEqual(verona.at(), ["a"])
        self.assertTrue(verona.session("a").detached)
        verona.write(verona.at_c, "two")
        verona.settle()
        _, stanzas = verona.resume("c")
        self.assertEqual(said(stanzas), ["one", "two"])
        self.assertEqual([presences(heard) for heard in verona.hear()], [[], [], []])

    def test_left_alone(self) -> None:
        """If his client does not come back, it ends there when its time is over."""
        verona = self.verona
        self.assertTrue(self.is_moved("a"))
        left_s = verona.nodes["a"].server.resumable_sessions.left_s(verona.session("a"))
        self.assertLessEqual(left_s, verona.nodes.config.stream_management.resume_s)
        verona.pass_time(int(left_s) + 20)
        self.assertEqual(verona.at(), [])
        for heard in verona.hear():
            self.assertEqual(len(presences(heard)), 1)
            self.assertIn("unavailable", heard[0])

    def test_not_resumable(self) -> None:
        """One that cannot be resumed stays."""
        (session,) = [each.session for each in verona_connect(self.verona, "b", "romeo/plain")]
        server = self.verona.nodes["b"].server
        self.assertFalse(done(server.moves.hand_over(session, self.verona.nodes["a"].id)))

    def test_store_fails(self) -> None:
        """If the store fails it stays, and can be resumed."""
        verona = self.verona
        store = verona.nodes["b"].store.sessions

        async def fail(*args: object, **more: object) -> None:
            raise StoreError("full")

        self.patch(store, "offer_session", fail)
        verona.write(verona.at_c, "one")
        verona.settle()
        self.assertFalse(self.is_moved("a"))
        _, stanzas = verona.resume("b")
        self.assertEqual(said(stanzas), ["one"])

    def test_ends_meanwhile(self) -> None:
        """If it ends while it is written to the store, and that fails, what it has is stored."""
        verona = self.verona
        verona.write(verona.at_c, "one")
        verona.settle()
        writing = Deferred[None]()

        async def fail(*args: object, **more: object) -> None:
            await writing
            raise StoreError("full")

        self.patch(verona.nodes["b"].store.sessions, "offer_session", fail)
        handing = verona.hand_over("a")
        verona.write(verona.at_c, "two")
        verona.settle()
        verona.session("b").connection.close()
        writing.callback(None)
        verona.settle()
        self.assertFalse(done(handing))
        self.assertEqual(verona.at(), [])
        self.assertEqual(verona.stored(), ["one", "two"])

    def test_no_answer(self) -> None:
        """If the other node does not answer it stays, and what came meanwhile is the last."""
        verona = self.verona
        verona.write(verona.at_c, "one")
        verona.settle()
        verona.bus("b").cut.add(verona.nodes["a"].id)
        handing = verona.hand_over("a")
        verona.settle()
        verona.write(verona.at_c, "two")
        verona.pass_time(int(ANSWER_S) + 1)
        self.assertFalse(done(handing))
        verona.bus("b").mend(verona.nodes["a"].id)
        verona.pass_time(5)
        _, stanzas = verona.resume("b")
        self.assertEqual(said(stanzas), ["one", "two"])
        self.assertEqual(verona.at(), ["b"])

    def test_answer_is_late(self) -> None:
        """If the other node cannot say that it has it, the store does; what came for it is passed
        on when they hear each other again.
        """
        verona = self.verona
        verona.bus("a").cut.add(verona.nodes["b"].id)
        handing = verona.hand_over("a")
        verona.settle()
        verona.write(verona.at_b, "one")
        verona.pass_time(int(ADOPT_S))
        verona.bus("a").mend(verona.nodes["b"].id)
        verona.pass_time(20)
        self.assertTrue(handing.called)
        self.assertEqual(verona.at(), ["a"])
        _, stanzas = verona.resume("a")
        self.assertEqual(said(stanzas), ["one"])

    def test_taken_and_lost(self) -> None:
        """If the other node is lost when it has it, it has ended: what it had is stored, and so is
        what has come since.
        """
        verona = self.verona
        verona.write(verona.at_c, "one")
        verona.settle()
        verona.bus("a").cut.add(verona.nodes["b"].id)
        verona.hand_over("a")
        verona.settle()
        verona.write(verona.at_b, "two")
        verona.nodes.lose("a")
        verona.pass_time(15)
        self.assertEqual(verona.at(), [])
        waiting = done(verona.nodes["c"].store.offline.offline_messages(ROMEO))
        self.assertEqual(sorted(said(b"".join(each.stanza for each in waiting))), ["one", "two"])

    def test_passed_on(self) -> None:
        """What still comes for it is passed on for a minute."""
        verona = self.verona
        self.assertTrue(self.is_moved("a"))
        client, _ = verona.resume("a")
        self.late("<message {} type='chat'><body>one</body></message>")
        self.assertEqual(said(client.received()), ["one"])
        self.late("<iq {} type='result' id='1'/>")
        self.assertIn("type='result'", client.received()[0])
        verona.nodes.clock.advance(PASS_ON_S + 1)
        self.late("<iq {} type='result' id='1'/>")
        self.assertEqual(client.received(), [])

    def late(self, stanza: str) -> None:
        """Node c believes that it is at node b."""
        sender, to = "juliet@montague.lit/1", f"{ROMEO}/1"
        wire = stanza.format(f"from='{sender}' to='{to}'").encode()
        kind = [each.name for each in KINDS].index(stanza[1:].partition(" ")[0])
        entry = Delivered(to, kind, sender, None, None, wire)
        self.verona.bus("c").tell(self.verona.nodes["b"].id, entry)
        self.verona.settle()

    def test_one_of_two(self) -> None:
        """A message that two of his clients have, and neither has read, is stored once."""
        verona = self.verona
        (other,) = verona_connect(verona, "c", "romeo/2")
        other.enable()
        verona.write(verona.at_a, "both")
        verona.settle()
        self.assertTrue(self.is_moved("a"))
        verona.session_of("c", "2").connection.close()
        verona.settle()
        self.assertEqual(verona.stored(), [])
        verona.session("a").connection.close()
        verona.pass_time(2)
        self.assertEqual(verona.stored(), ["both"])

    def test_read_by_the_other(self) -> None:
        """One that the other has read is not."""
        verona = self.verona
        (other,) = verona_connect(verona, "b", "romeo/2")
        verona.write(verona.at_a, "both")
        self.assertEqual(said(other.received()), ["both"])
        session = verona.session_of("b", "1")
        server = verona.nodes["b"].server
        server.resumable_sessions.detach(session)
        handing = Deferred.fromCoroutine(server.moves.hand_over(session, verona.nodes["a"].id))
        verona.settle()
        self.assertTrue(done(handing))
        verona.session("a").connection.close()
        verona.pass_time(2)
        self.assertEqual(verona.stored(), [])
        self.assertEqual(said(other.received()), [])


def verona_connect(verona: Verona, node: str, *names: str) -> list[Client]:
    """Further clients, that have heard all that they are told at first."""
    clients = verona.nodes[node].connect(*names)
    verona.settle()
    for client in (*clients, *verona.contacts):
        client.raw()
    return clients
