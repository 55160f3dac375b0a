"""What a sender was told is safe, when the server is killed."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.login import resumption
from xmppd.message import held_messages
from xmppd.message.held_messages import GAP_S
from xmppd.message.worth import fate
from xmppd.session import stream_management
from xmppd.stanza import Message, ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


def message(text: str, to: str = JULIET, kind: str = "chat") -> str:
    """A message that says something."""
    return f"<message to='{to}' type='{kind}'><body>{text}</body></message>"


class CustodyCase(SynchronousTestCase):
    """Romeo and Juliet, who acknowledge what they get when they are told to."""

    def setUp(self) -> None:
        self.store = SlowStore()
        both = {"juliet": "both"}
        self.house = House(DOMAIN, store=self.store, romeo=both, juliet={"romeo": "both"}, nurse={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        for client in (self.romeo, self.juliet):
            client.raw()
        self.romeo_id = self.romeo.enable()
        self.previd = self.juliet.enable()

    def asks(self, client: Client) -> int | None:
        """What a client is told was handled, in the round in which it asks or in the next; None if
        nothing yet.
        """
        client.send(f"<r {SM}/>")
        self.house.clock.advance(GAP_S)
        h = re.search(rb"<a [^>]*h='(\d+)'", client.raw())
        return int(h[1]) if h else None

    def acknowledge(self, h: int) -> None:
        self.juliet.send(f"<a {SM} h='{h}'/>")

    def killed(self) -> list[str]:
        """What waits for Juliet when the server was killed and has started again."""
        self.house = self.house.again()
        waiting = done(self.store.offline.offline_messages(JULIET))
        return re.findall("<body>(.*?)</body>", " ".join(each.stanza.decode() for each in waiting))

    def sweep(self) -> None:
        self.house.server.held_messages.sweep()


class KilledTests(CustodyCase):
    """The server is killed."""

    def test_unacknowledged(self) -> None:
        """What was accepted and not acknowledged waits in the store, in order, once."""
        self.romeo.send(message("a") + message("b"))
        self.assertEqual(self.asks(self.romeo), 2)
        self.romeo.send(message("c"))
        self.assertEqual(self.asks(self.romeo), 3)
        self.assertEqual(self.killed(), ["a", "b", "c"])
        self.assertEqual(self.killed(), ["a", "b", "c"])

    def test_stamped(self) -> None:
        """It says when it came."""
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.killed()
        (stored,) = done(self.store.offline.offline_messages(JULIET))
        self.assertIn(b"stamp='2023-11-14T22:13:20Z'", stored.stanza)

    def test_asleep(self) -> None:
        """So it is for a client that is away."""
        self.juliet.abort()
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.assertEqual(self.killed(), ["a"])

    def test_never_asked(self) -> None:
        """What its sender was never told about is not written: it sends that again."""
        self.romeo.send(message("a"))
        self.assertEqual(self.killed(), [])

    def test_acknowledged_before(self) -> None:
        """What its recipient has acknowledged is not written at all."""
        self.romeo.send(message("a"))
        self.acknowledge(1)
        self.asks(self.romeo)
        self.assertEqual(self.killed(), [])

    def test_acknowledged_after(self) -> None:
        """What its recipient acknowledges later is forgotten."""
        self.romeo.send(message("a") + message("b"))
        self.asks(self.romeo)
        self.acknowledge(1)
        self.sweep()
        self.assertEqual(self.killed(), ["b"])

    def test_given_up(self) -> None:
        """What found another place is not kept twice."""
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.juliet.send("</stream:stream>")
        self.sweep()
        self.assertEqual(self.killed(), ["a"])

    def test_resumed(self) -> None:
        """What was resent when a client came back is forgotten when it is acknowledged."""
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.juliet.abort()
        self.juliet = self.house.logged_in("juliet")
        self.juliet.resume(self.previd, 0)
        self.acknowledge(1)
        self.sweep()
        self.assertEqual(self.killed(), [])

    def test_resumed_and_killed(self) -> None:
        """Until then it is kept."""
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.juliet.abort()
        self.juliet = self.house.logged_in("juliet")
        self.juliet.resume(self.previd, 0)
        self.sweep()
        self.assertEqual(self.killed(), ["a"])

    def test_several_resources(self) -> None:
        """What two resources have is kept once, until one has acknowledged it."""
        (other,) = self.house.connect("juliet/2")
        other.enable()
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.assertEqual(self.killed(), ["a"])

    def test_one_of_several(self) -> None:
        """One of them is enough."""
        (other,) = self.house.connect("juliet/2")
        self.acknowledge(1)
        other.enable()
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        other.send(f"<a {SM} h='1'/>")
        self.acknowledge(2)
        self.sweep()
        self.assertEqual(self.killed(), [])

    def test_received(self) -> None:
        """A client that says what it had got of a lost session does not get it again."""
        self.romeo.send(message("a") + message("b") + message("c"))
        self.asks(self.romeo)
        self.assertEqual(self.killed(), ["a", "b", "c"])
        thief = self.house.logged_in("romeo")
        self.assertIn("item-not-found", thief.resume(self.previd, 3)[0])
        juliet = self.house.logged_in("juliet")
        self.assertIn("item-not-found", juliet.resume(self.previd, 2)[0])
        (left,) = done(self.store.offline.offline_messages(JULIET))
        self.assertIn(b"<body>c</body>", left.stanza)

    def test_resuming_acknowledges(self) -> None:
        """What a sender that comes back is told was handled is safe as well."""
        previd = self.house.bind("romeo", "2").enable()
        romeo = self.house.logged_in("romeo")
        romeo.resume(previd, 0)
        romeo.send(message("a"))
        romeo.abort()
        romeo = self.house.logged_in("romeo")
        self.assertIn("h='1'", romeo.resume(previd, 0)[0])
        self.assertEqual(self.killed(), ["a"])

    def test_ended_sender(self) -> None:
        """So is what a sender is told whose session has ended."""
        self.romeo.send(message("a") + "</stream:stream>")
        self.assertEqual(self.killed(), ["a"])

    def test_what_is_kept(self) -> None:
        """What would not wait for somebody who is away is not kept, nor what is in the store."""
        state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        self.romeo.send(f"<message to='{JULIET}' type='chat'>{state}</message>")
        self.romeo.send(message("news", kind="headline") + message("x", "@") + "<presence/>")
        self.assertEqual(self.asks(self.romeo), 4)
        self.assertEqual(self.killed(), [])

    def test_own_account(self) -> None:
        """What somebody says to themselves is kept too."""
        (other,) = self.house.connect("juliet/2")
        other.enable()
        self.juliet.send("<message type='chat'><body>a</body></message>")
        self.asks(self.juliet)
        self.assertEqual(self.killed(), ["a"])

    def test_many_recipients(self) -> None:
        """However many people somebody writes to before asking."""
        self.patch(stream_management, "MAX_TOLD", 2)
        for number in range(4):
            self.romeo.send(message("x", f"nobody-{number}@{DOMAIN}", "headline"))
        self.romeo.send(message("a"))
        management = self.romeo.session.management
        assert management is not None
        self.assertIsNone(management.told.to)
        self.asks(self.romeo)
        self.assertEqual(self.killed(), ["a"])

    def comes_back(self, h: int) -> list[str]:
        """What Juliet's phone is given, whose session is gone: it says what it has, and logs in."""
        juliet = self.house.logged_in("juliet")
        self.assertIn("<failed", juliet.resume(self.previd, h)[0])
        juliet.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>1</resource></bind></iq>"
            "<presence/>"
        )
        return re.findall("<body>(.*?)</body>", juliet.raw().decode())

    def test_killed_twice(self) -> None:
        """What a client says that it has does not come again, however often the server is killed,
        or stopped, before it can say so.
        """
        for ends in ("kk", "skk", "sskk", "kskk"):
            self.setUp()
            self.romeo.send(message("a") + message("b") + message("c"))
            self.asks(self.romeo)
            for end in ends:
                self.house = self.house.restarted() if end == "s" else self.house.again()
            self.assertEqual(self.comes_back(2), ["c"], ends)

    def test_never_asked_about(self) -> None:
        """Behind an orderly stop that is so for what nobody had asked about as well."""
        self.romeo.send(message("a") + message("b"))
        self.house = self.house.restarted().again()
        self.assertEqual(self.comes_back(1), ["b"])

    def test_sent_later(self) -> None:
        """So it is for what was held before it was sent: the store knows first by which count the
        client has it.
        """
        self.juliet.abort()
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.juliet = self.house.logged_in("juliet")
        self.store.slow = True
        self.juliet.send(f"<resume {SM} previd='{self.previd}' h='0'/>")
        self.assertNotIn(b"<body>", self.juliet.raw())
        self.romeo.send(message("b"))
        self.assertNotIn(b"<body>", self.juliet.raw())
        self.store.release_all()
        self.assertEqual(self.juliet.raw().count(b"<body>"), 2)
        self.store.slow = False
        self.house = self.house.again()
        self.assertEqual(self.comes_back(1), [])

    def test_from_the_store(self) -> None:
        """So it is for what had waited for it."""
        self.juliet.send("</stream:stream>")
        self.romeo.send(message("a") + message("b"))
        self.juliet = self.house.bind("juliet")
        self.previd = self.juliet.enable()
        self.juliet.send("<presence/>")
        h = len(self.juliet.received()) - 2  # all but the last message, and a ping
        self.house = self.house.again().again()
        self.assertEqual(self.comes_back(h), ["b"])

    def test_ended(self) -> None:
        """So it is when its session has ended and what it had not acknowledged was stored."""
        self.romeo.send(message("a") + message("b"))
        self.asks(self.romeo)
        self.juliet.abort()
        self.house.clock.advance(400)
        self.house.server.client_connections.sweep()
        self.assertEqual(done(self.store.sessions.recover_messages("")), [])
        self.house = self.house.again()
        self.assertEqual(self.comes_back(1), ["b"])

    def test_two_places(self) -> None:
        """What finds a place with another session is held for that one, until it has it."""
        (desk,) = self.house.connect("juliet/desk")
        previd = desk.enable()
        desk.send("<presence><priority>-1</priority></presence>")
        self.romeo.send(message("a") + message("b"))
        self.asks(self.romeo)
        desk.send("<presence/>")
        seen = len(desk.received())
        self.juliet.send("</stream:stream>")
        self.assertEqual(len(done(self.store.offline.offline_messages(JULIET))), 0)
        h = len(desk.received()) + seen
        desk.send(f"<a {SM} h='{h - 1}'/>")
        self.assertEqual(self.killed(), ["b"])
        self.previd = previd
        self.assertEqual(self.comes_back(h), [])

    def test_store_fails_when_sent(self) -> None:
        """Nothing waits for a store that fails."""
        self.juliet.abort()
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.store.broken = {"place_messages"}
        self.juliet = self.house.logged_in("juliet")
        told = self.juliet.resume(self.previd, 0)
        self.assertIn("<body>a</body>", told[1])

    def test_slow_reader(self) -> None:
        """What waits for a client without stream management to read is held, until it has read."""
        (nurse,) = self.house.connect("nurse")
        nurse.stop_reading()
        to = f"nurse@{DOMAIN}"
        for text in "abc":
            self.romeo.send(message(text, to))
            self.asks(self.romeo)
        held = self.house.server.held_messages._written[nurse.session]
        self.assertEqual(len(held), 3)
        self.sweep()
        self.assertEqual(len(held), 3)
        self.house = self.house.again()
        waiting = done(self.store.offline.offline_messages(to))
        texts = [re.findall(b"<body>(.*)</body>", each.stanza) for each in waiting]
        self.assertEqual(texts, [[b"a"], [b"b"], [b"c"]])

    def test_slow_reader_reads(self) -> None:
        """When it has read, or its session ended, nothing of that is held any more."""
        to = f"nurse@{DOMAIN}"
        for ends in (False, True):
            (nurse,) = self.house.connect("nurse")
            nurse.stop_reading()
            self.romeo.send(message("a", to))
            self.asks(self.romeo)
            if ends:
                nurse.abort()
            else:
                nurse.read_on()
            self.sweep()
            self.assertEqual(self.house.server.held_messages._written, {})
            self.assertEqual(done(self.store.sessions.recover_messages("")), [])
            self.assertEqual(len(done(self.store.offline.offline_messages(to))), int(ends))

    def test_many_wait(self) -> None:
        """However much waits there that is not held, it is looked at once, not at each question."""
        (nurse,) = self.house.connect("nurse")
        nurse.stop_reading()
        to = f"nurse@{DOMAIN}"
        typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        self.romeo.send(message("a", to))
        for _ in range(20):
            self.romeo.send(f"<message to='{to}' type='chat'>{typing}</message>")
        looked: list[Message] = []
        look = fate
        self.patch(held_messages, "fate", lambda each: looked.append(each) or look(each))
        for _ in range(3):
            self.romeo.send(f"<message to='{to}' type='chat'>{typing}</message>")
            self.asks(self.romeo)
        self.assertEqual(len(looked), 24)
        nurse.read_on()
        self.sweep()
        self.assertEqual(self.house.server.held_messages._written, {})

    def test_together(self) -> None:
        """What several have sent, and leaves in one piece, is held for each, and all forgotten."""
        (nurse, friar) = self.house.connect("nurse", "romeo/cell")
        friar.enable()
        to = f"nurse@{DOMAIN}"
        self.romeo.send(message("a", to) + message("b", to))
        friar.send(message("c", to))
        piece = nurse.raw()
        handler = nurse.handler
        handler.unsent = lambda: [piece]  # type: ignore[method-assign]
        for client in (self.romeo, friar):
            self.asks(client)
        self.assertEqual(len(self.store.held), 3)
        handler.unsent = list  # type: ignore[method-assign]
        self.sweep()
        self.assertEqual(len(self.store.held), 0)

    def test_not_yet_sent(self) -> None:
        """So it is with what the kernel has not taken."""
        (nurse,) = self.house.connect("nurse")
        handler = nurse.handler
        self.romeo.send(message("a", f"nurse@{DOMAIN}"))
        piece = nurse.raw()
        handler.unsent = lambda: [piece]  # type: ignore[method-assign]
        handler.take_unsent = lambda: [piece]  # type: ignore[method-assign]
        self.asks(self.romeo)
        self.assertEqual(len(self.house.server.held_messages._written[nurse.session]), 1)
        nurse.abort()
        self.sweep()
        self.assertEqual(done(self.store.sessions.recover_messages("")), [])
        (kept,) = done(self.store.offline.offline_messages(f"nurse@{DOMAIN}"))
        self.assertIn(b"<body>a</body>", kept.stanza)

    def test_orderly_stop(self) -> None:
        """A server that stops in order has them with its sessions, and holds them again."""
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        self.house = self.house.restarted()
        self.assertEqual(done(self.store.offline.offline_messages(JULIET)), [])
        self.assertEqual(self.killed(), ["a"])


class MovingTests(CustodyCase):
    """The server is killed while a message is on its way from one place to another."""

    def setUp(self) -> None:
        super().setUp()
        self.store.late = True

    def comes_back(self, previd: str, h: int) -> list[str]:
        """What Juliet is given who asks for a session, says what she has, and logs in."""
        juliet = self.house.logged_in("juliet")
        juliet.send(f"<resume {SM} previd='{previd}' h='{h}'/>")
        self.store.release_all()
        juliet.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>1</resource></bind></iq>"
            "<presence/>"
        )
        self.store.release_all()
        return re.findall("<body>(.*?)</body>", juliet.raw().decode())

    def kill(self) -> None:
        """Whatever was not written is not written any more."""
        self.store.slow = False
        self.store.waiting.clear()
        self.house = self.house.again()

    def test_stored_meanwhile(self) -> None:
        """Whoever leaves and asks for that session at once does not get again what is just being
        stored.
        """
        self.romeo.send(message("a") + message("b"))
        self.store.slow = True
        self.juliet.send("</stream:stream>")
        self.assertEqual(self.comes_back(self.previd, 1), ["b"])

    def test_held_meanwhile(self) -> None:
        """What is just being held when its session ends is not held any more once it is stored."""
        self.romeo.send(message("a"))
        self.store.slow = True
        self.assertIsNone(self.asks(self.romeo))
        self.juliet.send("</stream:stream>")
        self.store.release_last()  # whether there is such an account is read ahead of that
        while self.store.waiting:
            self.store.release()
            self.assertLessEqual(self.copies(), 1)
        self.assertEqual(self.copies(), 1)
        self.store.slow = False
        self.assertEqual(self.killed(), ["a"])

    def copies(self) -> int:
        """How often a message would be there if the server were killed now."""
        stored = done(self.store.written.offline.offline_messages(JULIET))
        return len(stored) + len(self.store.held)

    def test_sent_meanwhile(self) -> None:
        """What is just being held when it is sent is not sent before the store knows by which
        count.
        """
        self.store.late = False
        self.juliet.abort()
        self.romeo.send(message("a"))
        self.store.slow = True
        self.assertIsNone(self.asks(self.romeo))
        juliet = self.house.logged_in("juliet")
        juliet.send(f"<resume {SM} previd='{self.previd}' h='0'/>")
        told = juliet.raw()
        while b"<body>" not in told:
            self.store.release()
            told += juliet.raw()
        self.kill()
        self.assertEqual(self.comes_back(self.previd, 1), [])

    def test_resumed_meanwhile(self) -> None:
        """So it is with a session that is resumed again while the store is told where a message
        stands: it stands elsewhere then, since of presence only the newest is kept.
        """
        self.juliet.abort()
        self.romeo.send("<presence/>" + message("a"))
        self.asks(self.romeo)
        self.store.slow = True
        told = b""
        for _ in range(2):
            juliet = self.house.logged_in("juliet")
            juliet.send(f"<resume {SM} previd='{self.previd}' h='0'/>")
            told = juliet.raw()
            self.assertNotIn(b"<body>", told)
            self.romeo.send("<presence/>")
        while b"<body>" not in told:
            self.store.release()
            told += juliet.raw()
        self.assertLess(told.index(b"<body>"), told.index(b"<presence"))
        self.kill()
        self.assertEqual(self.comes_back(self.previd, 1), [])

    def test_fails_meanwhile(self) -> None:
        """What could not be held, and was sent again meanwhile, is held when that is tried again:
        before that its sender is told nothing.
        """
        self.juliet.abort()
        self.romeo.send(message("a"))
        self.store.slow = True
        self.assertIsNone(self.asks(self.romeo))
        juliet = self.house.logged_in("juliet")
        juliet.send(f"<resume {SM} previd='{self.previd}' h='0'/>")
        self.store.fail()
        self.store.slow = False
        self.store.release_all()
        self.assertNotIn(b"<a ", self.romeo.raw())
        self.house.clock.advance(resumption.RETRY_S)
        self.assertIn(b"<a ", self.romeo.raw())
        self.assertEqual(self.killed(), ["a"])

    def test_stopped_meanwhile(self) -> None:
        """What is saved with a session when the server stops is not held beside that."""
        self.juliet.abort()
        (friar,) = self.house.connect("romeo/cell")
        friar.enable()
        self.store.late = False
        self.store.slow = True
        friar.send(message("a"))
        self.assertIsNone(self.asks(friar))
        friar.send(message("b") + "</stream:stream>")
        stopping = self.house.stop()
        while self.house.server.client_connections.handlers:
            self.house.clock.advance(1)
        self.store.release_all()
        done(stopping)
        self.store.slow = False
        self.house = self.house.again()
        self.assertEqual(done(self.store.offline.offline_messages(JULIET)), [])
        self.assertEqual(self.killed(), ["a", "b"])

    def test_asked_meanwhile(self) -> None:
        """What is held already, and has come to another session, is not held a second time for
        whoever asks while what others have sent has not found its place.
        """
        (desk, nurse) = self.house.connect("juliet/desk", "nurse")
        previd = desk.enable()
        desk.send("<presence><priority>-1</priority></presence>")
        nurse.enable()
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        desk.send("<presence/>")
        desk.abort()
        self.juliet.send(message("b", f"nurse@{DOMAIN}"))
        self.store.slow = True
        nurse.send("</stream:stream>")
        self.juliet.send("</stream:stream>")
        self.romeo.send(message("x", f"juliet@{DOMAIN}", "headline"))
        self.assertIsNotNone(self.asks(self.romeo))
        self.store.slow = False
        self.store.release_all()
        self.assertEqual(len(self.store.held), 1)
        desk = self.house.logged_in("juliet")
        told = desk.resume(previd, 0)
        desk.send(f"<a {SM} h='{sum(each[:2] != '<r' for each in told[1:])}'/>")
        self.assertEqual(len(self.store.held), 0)

    def test_acknowledged_and_left(self) -> None:
        """What a client has acknowledged before it left is forgotten when it is told that its
        session is gone: it will not say again that it has it.
        """
        for before in (True, False):
            self.setUp()
            self.store.slow = not before
            self.romeo.send(message("a"))
            self.asks(self.romeo)
            self.store.slow = True
            self.acknowledge(1)
            self.juliet.send("</stream:stream>")
            juliet = self.house.logged_in("juliet")
            juliet.send(f"<resume {SM} previd='{self.previd}' h='1'/>")
            while b"<failed" not in juliet.raw():
                self.store.release()
            self.kill()
            self.assertEqual(done(self.store.offline.offline_messages(JULIET)), [])

    def test_given_to_another(self) -> None:
        """So it is with what finds a place with another session."""
        (desk,) = self.house.connect("juliet/desk")
        previd = desk.enable()
        desk.send("<presence><priority>-1</priority></presence>")
        self.romeo.send(message("a"))
        self.asks(self.romeo)
        desk.send("<presence/>")
        h = len(desk.received())
        self.store.slow = True
        self.juliet.send("</stream:stream>")
        told = desk.raw()
        while b"<body>" not in told:
            self.store.release()
            told += desk.raw()
        h += len(re.findall(rb"<(?:message|presence|iq)\b", told))
        self.kill()
        self.assertEqual(self.comes_back(previd, h), [])


class LookingTests(CustodyCase):
    """What is in a queue is looked at before its sender is told that it is safe."""

    def test_no_tree(self) -> None:
        """That leaves no tree of it behind, however many elements are in it."""
        self.romeo.send(message("a") + message("b", "juliet@montague.lit/1"))
        self.assertEqual(self.asks(self.romeo), 2)
        kept = [each for each, _, _ in self.juliet.session.unread() if isinstance(each, Message)]
        self.assertEqual(len(kept), 2)
        for each in kept:
            self.assertIsNone(each.payload._tree)


class RoundTests(CustodyCase):
    """Somebody has asked a moment ago: who asks now waits for the next round."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.send(message("first") + f"<r {SM}/>")
        self.acknowledge(1)
        self.romeo.raw()
        self.assertEqual(len(self.store.held), 0)

    def round(self) -> int | None:
        """The next round begins; returns what Romeo is told was handled."""
        self.house.clock.advance(GAP_S / 2)
        h = re.search(rb"<a [^>]*h='(\d+)'", self.romeo.raw())
        return int(h[1]) if h else None

    def test_waits(self) -> None:
        """What is not acknowledged by then is held, and its sender told then."""
        self.romeo.send(message("a") + f"<r {SM}/>")
        self.assertIsNone(self.round())
        self.assertEqual(len(self.store.held), 0)
        self.assertEqual(self.round(), 2)
        self.assertEqual(self.killed(), ["a"])

    def test_acknowledged_meanwhile(self) -> None:
        """What is acknowledged by then is not written, nor what was sent behind the question."""
        self.store.broken = {"hold_messages"}
        self.romeo.send(message("a") + f"<r {SM}/>")
        self.assertIsNone(self.round())
        self.romeo.send(message("b"))
        self.acknowledge(2)
        self.assertEqual(self.round(), 2)

    def test_given_back_meanwhile(self) -> None:
        """What a session has given back by then is held where it has come since."""
        (desk,) = self.house.connect("juliet/desk")
        desk.enable()
        desk.send("<presence><priority>-1</priority></presence>")
        self.romeo.send(message("a") + f"<r {SM}/>")
        self.assertIsNone(self.round())
        desk.send("<presence/>")
        self.juliet.send("</stream:stream>")
        self.assertIn("<body>a</body>", " ".join(desk.received()))
        self.assertEqual(self.round(), 2)
        self.assertEqual(self.killed(), ["a"])

    def test_nothing_to_hold(self) -> None:
        """Who has nothing that might be lost is told at once."""
        self.romeo.send(f"<presence/><r {SM}/>")
        self.assertIn(b" h='2'", self.romeo.raw())
        self.romeo.send(message("a"))
        self.acknowledge(3)
        self.romeo.send(f"<r {SM}/>")
        self.assertIn(b" h='3'", self.romeo.raw())


class WritingTests(CustodyCase):
    """The store takes its time."""

    def setUp(self) -> None:
        super().setUp()
        (self.nurse,) = self.house.connect("nurse")
        self.store.slow = True
        self.romeo.send(message("a"))

    def test_waits(self) -> None:
        """The sender is told when it is safe, not before; and once for all it has asked about."""
        self.assertIsNone(self.asks(self.romeo))
        self.romeo.send(message("b"))
        self.store.release_all()
        self.assertIn(b" h='1'", self.romeo.raw())

    def test_reads_on(self) -> None:
        """Meanwhile the sender talks to whoever is online, and answers come in order: each with
        the count of when it was asked, none ahead of what is safe.
        """
        self.assertIsNone(self.asks(self.romeo))
        for text in "bc":
            self.romeo.send(message(text, f"nurse@{DOMAIN}") + message(text))
            self.assertIsNone(self.asks(self.romeo))
        self.assertEqual(self.nurse.raw().count(b"<body>"), 2)
        self.assertEqual(self.juliet.raw().count(b"<body>"), 3)
        self.store.release()
        self.assertEqual(re.findall(rb"h='(\d+)'", self.romeo.raw()), [b"1"])
        self.assertIsNone(self.asks(self.romeo))
        self.store.release()
        self.assertEqual(re.findall(rb"h='(\d+)'", self.romeo.raw()), [b"3", b"5", b"5"])
        self.store.slow = False
        self.assertEqual(self.killed(), ["a", "b", "c"])

    def test_many_questions(self) -> None:
        """However often it asks while nothing can be said, little is kept of it."""
        self.patch(resumption, "MAX_ASKED", 3)
        for _ in range(10):
            self.romeo.send(message("x"))
            self.assertIsNone(self.asks(self.romeo))
        management = self.romeo.session.management
        assert management is not None
        self.assertEqual(list(management.asked), [2, 3, 11])
        self.store.release_all()
        self.assertEqual(re.findall(rb"h='(\d+)'", self.romeo.raw()), [b"2", b"3", b"11"])

    def test_another_wire(self) -> None:
        """What was asked on a wire that is lost is not answered on the next one."""
        previd = self.romeo_id
        self.asks(self.romeo)
        self.romeo.abort()
        romeo = self.house.logged_in("romeo")
        romeo.send(f"<resume {SM} previd='{previd}' h='0'/>")
        self.assertNotIn(b"resumed", romeo.raw())
        self.store.release_all()
        self.store.slow = False
        told = romeo.raw()
        self.assertIn(b"<resumed", told)
        self.assertNotIn(b"<a ", told)

    def test_on_its_way(self) -> None:
        """What a lost session had not read is not safe before it has found another place."""
        self.store.late = True
        self.juliet.send("</stream:stream>")
        self.assertIsNone(self.asks(self.romeo))
        self.store.slow = False
        self.store.release_all()
        self.assertIn(b"<a ", self.romeo.raw())
        self.assertEqual(self.killed(), ["a"])

    def test_on_its_way_for_others(self) -> None:
        """What others have sent, and is on its way to another place, keeps nobody waiting."""
        self.nurse.enable()
        self.juliet.send("</stream:stream>")
        self.assertTrue(self.house.server.packet_router.taking_back)
        self.assertIsNone(self.asks(self.romeo))
        self.assertEqual(self.asks(self.nurse), 0)
        self.store.release_all()
        self.assertIn(b" h='1'", self.romeo.raw())

    def test_acknowledged_meanwhile(self) -> None:
        """What is acknowledged while it is written is forgotten then."""
        self.asks(self.romeo)
        self.acknowledge(1)
        self.store.release_all()
        self.store.slow = False
        self.sweep()
        self.assertEqual(self.killed(), [])

    def test_broken(self) -> None:
        """If it cannot be written nothing is acknowledged, and it is tried again soon."""
        self.store.broken = {"hold_messages"}
        self.assertIsNone(self.asks(self.romeo))
        self.assertFalse(self.romeo.closed)
        self.store.broken.clear()
        self.store.slow = False
        self.assertIsNone(self.asks(self.romeo))
        self.house.clock.advance(resumption.RETRY_S)
        self.assertEqual(re.findall(rb"h='(\d+)'", self.romeo.raw()), [b"1", b"1"])
        self.assertEqual(self.killed(), ["a"])

    def test_forgotten_at_once(self) -> None:
        """What is acknowledged is forgotten without anybody waiting for the sweep, and what is
        acknowledged meanwhile goes with the next writing.
        """
        self.store.slow = False
        self.romeo.send(message("b") + message("c"))
        self.asks(self.romeo)
        self.store.slow = self.store.late = True
        for h in (1, 2, 3):
            self.acknowledge(h)
        self.assertEqual(len(self.store.waiting), 1)
        self.store.release()
        self.assertEqual(len(self.store.waiting), 1)
        self.store.release_all()
        self.store.slow = False
        self.assertEqual(done(self.store.sessions.recover_messages("")), [])
