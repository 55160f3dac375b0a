"""What the nodes of a service keep for their own sessions, on one database."""

import re
from dataclasses import replace

from msgspec import msgpack
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes, saving_config

JULIET = "juliet@montague.lit"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


def message(text: str) -> str:
    """A message to Juliet."""
    return f"<message to='{JULIET}' type='chat'><body>{text}</body></message>"


def said(data: bytes) -> list[str]:
    """What the messages in it say."""
    return [text.decode() for text in re.findall(b"<body>(.*?)</body>", data)]


class OwnRowsTests(SynchronousTestCase):
    """Romeo and Juliet are at node a; she may come back to her session."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", config=saving_config(), romeo={}, juliet={})
        self.romeo, self.juliet = self.nodes["a"].connect("romeo", "juliet")
        self.romeo.enable()
        self.previd = self.juliet.enable()

    def asleep_with(self, *texts: str) -> None:
        """Juliet is away for a moment; what comes for her is held."""
        self.juliet.abort()
        self.romeo.send("".join(map(message, texts)) + f"<r {SM}/>")
        self.assertIn(b"<a ", self.romeo.raw())

    def stored(self) -> list[str]:
        waiting = done(self.nodes["b"].store.offline.offline_messages(JULIET))
        return [text for each in waiting for text in said(each.stanza)]

    def come_back(self, node: str) -> tuple[Client, list[str]]:
        """Juliet resumes her session at a node; what she hears then."""
        again = self.nodes[node].logged_in("juliet")
        return again, said("".join(again.resume(self.previd, 0)).encode())

    def test_another_starts(self) -> None:
        """A node that starts leaves alone what another one holds: it comes once."""
        self.asleep_with("a", "b")
        self.nodes.start("c")
        self.assertEqual(self.stored(), [])
        _, heard = self.come_back("a")
        self.assertEqual(heard, ["a", "b"])
        (other,) = self.nodes["b"].connect("juliet/2")
        self.assertEqual(said(other.raw()), [])

    def test_another_stops(self) -> None:
        """A node that stops leaves alone what another one has saved."""
        self.asleep_with("a")
        self.nodes.stop("a")
        self.nodes.stop("b")
        self.nodes.start("a")
        _, heard = self.come_back("a")
        self.assertEqual(heard, ["a"])

    def test_another_stops_beside(self) -> None:
        """A node that stops leaves alone what a node that goes on holds."""
        self.asleep_with("a")
        self.nodes.stop("b")
        self.nodes.kill("a")
        self.nodes.start("b")
        self.nodes.start("a")
        self.assertEqual(self.stored(), ["a"])

    def test_resumed_elsewhere(self) -> None:
        """What a node has saved that is gone is resumed at any other, and not saved any more."""
        self.asleep_with("a", "b")
        self.nodes.stop("a")
        juliet, heard = self.come_back("b")
        self.assertEqual(heard, ["a", "b"])
        self.nodes.start("a")
        self.assertEqual(self.nodes["a"].server.session_manager.local_sessions(JULIET), ())
        juliet.send(f"<a {SM} h='2'/>")
        self.nodes.kill("b")
        self.nodes.start("b")
        self.assertEqual(self.stored(), [])

    def test_found_there(self) -> None:
        """Others find it there."""
        self.asleep_with()
        self.nodes.stop("a")
        juliet, _ = self.come_back("b")
        (nurse,) = self.nodes.start("c").connect("romeo/c")
        nurse.send(message("here?"))
        self.assertEqual(said(juliet.raw()), ["here?"])

    def test_lost_after_that(self) -> None:
        """It is held there from then on."""
        self.asleep_with("a")
        self.nodes.stop("a")
        self.come_back("b")
        self.nodes.kill("b")
        self.nodes.start("b")
        self.assertEqual(self.stored(), ["a"])

    def test_not_ones_own(self) -> None:
        """Nobody else resumes it, by whatever id."""
        self.asleep_with("a")
        self.nodes.stop("a")
        nurse = self.nodes["b"].logged_in("romeo")
        self.assertIn("item-not-found", nurse.resume(self.previd, 0)[0])
        self.assertEqual(self.come_back("b")[1], ["a"])

    def test_heir_is_faster(self) -> None:
        """Where its own node is back it is found there."""
        self.asleep_with("a")
        self.nodes.stop("a")
        self.nodes.start("a")
        (session,) = self.nodes["a"].server.session_manager.local_sessions(JULIET)
        self.assertTrue(session.detached)
        self.assertEqual(self.come_back("b")[1], ["a"])

    def test_damaged(self) -> None:
        """If it cannot be restored its messages come as any others that wait."""
        self.asleep_with("a")
        self.nodes.stop("a")
        store = self.nodes["b"].store.sessions
        (saved,) = [each for each in done(store.saved_sessions("a.1")) if each.account == JULIET]
        shell = msgpack.decode(saved.data)
        damaged = replace(saved, data=msgpack.encode({**shell, "sent": -1}))
        done(store.save_sessions("a.1", [damaged], theirs={}))
        juliet, heard = self.come_back("b")
        self.assertEqual(heard, [])
        juliet.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq><presence/>")
        self.assertEqual(said(juliet.raw()), ["a"])
