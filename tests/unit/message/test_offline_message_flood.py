"""What waits comes before what comes later, whatever the store takes its time for."""

import re
from itertools import chain
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore, next_turn
from xmppd.message.offline_message_flood import BYTES_PER_SLICE, GRACE_S, MESSAGES_PER_SLICE
from xmppd.stanza import ns
from xmppd.store.errors import StoreError
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
JULIET = f"juliet@{DOMAIN}"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


def message(text: object, to: str = JULIET, kind: str = "chat") -> str:
    """A message that says something."""
    return f"<message to='{to}' type='{kind}'><body>{text}</body></message>"


class FloodCase(SynchronousTestCase):
    """Romeo writes to Juliet while she comes and goes; the store answers when it is told to."""

    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(DOMAIN, store=self.store, romeo={}, juliet={})
        (self.romeo,) = self.house.connect("romeo")
        self.said = 0

    def say(self, to: str = JULIET, kind: str = "chat") -> None:
        """Romeo says the next thing."""
        self.romeo.send(message(self.said, to, kind))
        self.said += 1

    def heard(self, *clients: Client) -> list[int]:
        data = b"".join(client.raw() for client in clients)
        return [int(text) for text in re.findall(rb"<body>(\d+)</body>", data)]

    def kept(self) -> int:
        return len(done(self.store.offline.offline_messages(JULIET)))

    def answer(self, client: Client, data: bytes) -> None:
        """Answer every ping of the server's."""
        for id in re.findall(rb"id='(xmppd-\d+)'", data):
            client.send(b"<iq type='result' id='%b' to='%b'/>" % (id, DOMAIN.encode()))


class SliceTests(FloodCase):
    """A flood that is too long for one turn of the reactor (CH-8)."""

    def setUp(self) -> None:
        super().setUp()
        for number in range(4 * MESSAGES_PER_SLICE + 7):
            self.store_message(number)
        self.said = 4 * MESSAGES_PER_SLICE + 7

    def store_message(self, number: int, words: str = "") -> None:
        text = f"<message from='n{number}@{DOMAIN}/1' to='{JULIET}'><body>{number}</body>{words}"
        storing = self.store.offline.store_offline(
            JULIET, f"{text}</message>".encode(), sender=f"n{number}", stored=1.0,
            max_messages=1_000, max_bytes=10_000_000,
        )  # fmt: skip
        done(storing)

    def turns(self, client: Client) -> list[list[int]]:
        """What comes in each turn of the reactor."""
        found = [self.heard(client)]
        while self.house.clock.calls and self.house.clock.calls[0].getTime() <= (
            self.house.clock.seconds()
        ):
            next_turn(self.house.clock)
            found.append(self.heard(client))
        return found

    def test_slices(self) -> None:
        """Each turn has a slice; what comes meanwhile comes behind, in order."""
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.say()
        turns = self.turns(juliet)
        self.assertEqual([len(turn) for turn in turns], [50, 50, 50, 50, 8])
        self.assertEqual(list(chain(*turns)), list(range(self.said)))

    def test_bytes(self) -> None:
        """Of long messages a turn has fewer."""
        done(self.store.offline.delete_offline(JULIET, range(1, 1_000)))
        for number in range(20):
            self.store_message(number, "x" * (BYTES_PER_SLICE // 3))
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertEqual([len(turn) for turn in self.turns(juliet)], [2] * 10)

    def test_one_ping(self) -> None:
        """The client is asked once, behind all of them, and then they are forgotten."""
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        while self.house.clock.calls[0].getTime() <= self.house.clock.seconds():
            next_turn(self.house.clock)
        data = juliet.raw()
        self.assertEqual(data.count(b"urn:xmpp:ping"), 1)
        self.answer(juliet, data)
        self.assertEqual(self.kept(), 0)

    def test_lost(self) -> None:
        """If the client is lost amid it, another one gets everything, in order."""
        for acknowledges in (False, True):
            for turns in range(4):
                with self.subTest(acknowledges=acknowledges, turns=turns):
                    self.setUp()
                    juliet = self.house.bind("juliet")
                    if acknowledges:
                        juliet.enable("")
                    juliet.send("<presence/>")
                    for _ in range(turns):
                        next_turn(self.house.clock)
                    other = self.house.bind("juliet", "2")
                    other.send("<presence/>")
                    juliet.abort()
                    self.say()
                    self.house.clock.advance(0)
                    self.assertEqual(self.heard(other), list(range(self.said)))

    def test_store_fails(self) -> None:
        """If the store fails amid it, the rest comes when it is there again, once."""
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.store.slow = True
        next_turn(self.house.clock)
        self.store.waiting.pop(0).errback(StoreError("the disk is full"))
        self.store.slow = False
        got = self.heard(juliet)
        self.assertEqual(got, list(range(len(got))))
        self.house.server.offline_message_flood.sweep()
        self.house.clock.advance(0)
        self.assertEqual(self.heard(juliet), list(range(len(got), self.said)))

    def test_a_full_queue(self) -> None:
        """A flood that is larger than what may wait for a client does not close it."""
        config = house_config(
            DOMAIN,
            stream={"stanzas_per_s": 0.0, "bytes_per_s": 0.0, "max_queued_bytes": 20_000},
            stream_management={"max_unacked_stanzas": 10, "max_unacked_bytes": 20_000},
        )
        for acknowledges in (False, True):
            house = House(DOMAIN, config=config, store=self.store)
            juliet = house.bind("juliet")
            if acknowledges:
                juliet.enable()
            else:
                juliet.stop_reading()
            juliet.send("<presence/>")
            house.clock.advance(0)
            self.assertFalse(juliet.closed)
            if not acknowledges:
                juliet.read_on()
            self.assertEqual(self.heard(juliet), list(range(self.said)))
            juliet.abort()


class OrderTests(FloodCase):
    """Nothing overtakes."""

    def test_while_read(self) -> None:
        """What comes while the stored is being read goes behind it."""
        self.say()
        juliet = self.house.bind("juliet")
        self.store.slow = True
        juliet.send("<presence/>")
        self.say()
        self.say(f"{JULIET}/1")
        self.assertEqual(self.heard(juliet), [])
        self.store.release_all()
        self.assertEqual(self.heard(juliet), [0, 1, 2])

    def test_before_it_is_read(self) -> None:
        """So it does while a session is still told who is there."""
        self.house.add("nurse", {"juliet": "both"})
        done(
            self.store.rosters.save_roster_items(
                JULIET, [RosterItem(f"nurse@{DOMAIN}", "", (), "both")]
            )
        )
        self.say()
        juliet = self.house.bind("juliet")
        self.store.slow = True
        juliet.send("<presence/>")
        self.assertEqual(len(self.store.waiting), 1)  # when the nurse was last here
        self.say()
        self.store.release_all()
        self.assertEqual(self.heard(juliet), [0, 1])

    def test_while_stored(self) -> None:
        """What comes while another one is stored goes behind it, also if somebody has come."""
        other = self.house.bind("romeo", "2")
        juliet = self.house.bind("juliet")
        self.store.slow = self.store.late = True
        self.say()
        self.store.release()  # there is such an account; now it is being stored
        juliet.send("<presence/>")
        other.send(message(1))
        self.assertEqual(self.heard(juliet), [])
        self.store.release_all()
        self.assertEqual(self.heard(juliet), [0, 1])

    def test_unanswered(self) -> None:
        """What is stored while a flood waits for its answer comes at once, and only that."""
        self.say()
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertEqual(self.heard(juliet), [0])
        juliet.send("<presence><priority>-1</priority></presence>")
        self.say()
        self.assertEqual(self.kept(), 2)
        juliet.send("<presence/>")
        self.assertEqual(self.heard(juliet), [1])

    def test_replaced(self) -> None:
        """What a dead session's client had not got comes before what is sent to its successor."""
        for to in (JULIET, f"{JULIET}/1"):
            for delay in range(12):
                juliet = self.house.bind("juliet")
                juliet.send("<presence/>")
                juliet.raw()
                juliet.enable()
                first = self.said
                for _ in range(5):
                    self.say(to)
                juliet.abort()
                again = self.house.logged_in("juliet")
                self.store.slow = self.store.late = True
                again.send(
                    f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>1</resource></bind>"
                    "</iq>"
                )
                self.store.release(delay)
                self.say(to)
                self.store.release(delay)
                again.send("<presence/>")
                self.say(to)
                self.store.release_all()
                self.say(to)
                self.store.slow = self.store.late = False
                self.assertEqual(self.heard(again), list(range(first, self.said)), (to, delay))
                self.answer(again, again.raw())
                done(self.store.offline.delete_offline(JULIET, range(1000)))
                again.send("</stream:stream>")

    def test_never_available(self) -> None:
        """Who never becomes available gets what is sent to it, after a while in any case."""
        self.store.slow = self.store.late = True
        self.say()
        self.store.slow = False
        juliet = self.house.bind("juliet")
        self.store.release_all()
        self.say(f"{JULIET}/1")
        self.assertEqual(self.heard(juliet), [])
        self.house.clock.advance(GRACE_S)
        self.say(f"{JULIET}/1")
        self.assertEqual(self.heard(juliet), [2])
        self.assertEqual(self.house.server.offline_message_flood.lines.open, {})

    def test_denied_meanwhile(self) -> None:
        """What such a resource denies comes back to its sender, and is not stored for it."""
        plugins = ("privacy_lists",)
        done(self.house.plugins.load(*plugins))
        self.store.slow = self.store.late = True
        self.say()
        self.store.slow = False
        juliet = self.house.bind("juliet")
        juliet.send(
            "<iq type='set' id='1'><query xmlns='jabber:iq:privacy'><list name='alone'>"
            "<item action='deny' order='1'><message/></item></list></query></iq>"
            "<iq type='set' id='2'><query xmlns='jabber:iq:privacy'><active name='alone'/></query>"
            "</iq>"
        )
        self.store.release_all()
        self.romeo.raw()
        self.say(f"{JULIET}/1")
        self.assertIn("service-unavailable", "".join(self.romeo.received()))

    def test_kept_from_nobody(self) -> None:
        """Nobody can have what is for such a resource stored for ever, however often they write to
        the account.
        """
        juliet = self.house.bind("juliet")
        for _ in range(4):
            self.say()
            self.house.clock.advance(GRACE_S / 2)
            self.say(f"{JULIET}/1")
        self.assertEqual(self.heard(juliet), [3, 5, 7])

    def test_random(self) -> None:
        """In any order of events each is heard once, and in order."""
        for seed in range(200):
            self.setUp()
            random = Random(seed)
            heard: list[int] = []
            juliet: Client | None = None
            self.store.slow, self.store.late = True, random.random() < 0.5
            for _ in range(40):
                step = random.randrange(5)
                if step == 0:
                    self.say(random.choice((JULIET, f"{JULIET}/1")))
                elif step == 1 and juliet is None:
                    slow, self.store.slow = self.store.slow, False
                    juliet = self.house.bind("juliet")
                    self.store.slow = slow
                    juliet.send("<presence/>")
                elif step == 2 and juliet is not None:
                    juliet.send("<presence><status>x</status></presence>")
                else:
                    self.store.release(random.randrange(3))
                if juliet is not None:
                    data = juliet.raw()
                    heard += [int(text) for text in re.findall(rb"<body>(\d+)</body>", data)]
                    self.answer(juliet, data)
            self.store.release_all()
            self.store.slow = False
            juliet = juliet or self.house.bind("juliet")
            juliet.send("<presence/>")
            heard += self.heard(juliet)
            self.assertEqual(heard, list(range(self.said)), f"seed {seed}")


class AnswerTests(FloodCase):
    """How a flood ends."""

    def test_acknowledged(self) -> None:
        """An acknowledgement is an answer: what it covers is forgotten."""
        for _ in range(3):
            self.say()
        juliet = self.house.bind("juliet")
        juliet.enable()
        juliet.send("<presence/>")
        self.assertEqual(self.heard(juliet), [0, 1, 2])
        juliet.send(f"<a {SM} h='3'/>")  # its own presence, and two of them
        self.assertEqual(self.kept(), 1)
        juliet.send(f"<a {SM} h='4'/>")
        self.assertEqual(self.kept(), 0)

    def test_confirmed_while_another_reads(self) -> None:
        """What one resource is just about to have confirmed no other is given."""
        self.say()
        first = self.house.bind("juliet", "1")
        first.send("<presence/>")
        data = first.raw()
        second = self.house.bind("juliet", "2")
        self.store.slow = self.store.late = True
        self.answer(first, data)
        self.store.late = False
        second.send("<presence/>")
        self.store.waiting.reverse()
        self.store.release_all()
        self.store.slow = False
        self.assertEqual(self.heard(second), [])
        self.assertEqual(self.kept(), 0)

    def test_asleep(self) -> None:
        """Who lost its connection before it was flooded has it when it comes back, in order."""
        self.say()
        juliet = self.house.bind("juliet")
        previd = juliet.enable()
        self.store.slow = True
        juliet.send("<presence/>")
        juliet.raw()
        juliet.abort()
        self.say()
        self.store.release_all()
        self.store.slow = False
        juliet = self.house.logged_in("juliet")
        data = " ".join(juliet.resume(previd, 1))
        self.assertEqual(re.findall("<body>(.*?)</body>", data), ["0", "1"])

    def test_lines_are_closed(self) -> None:
        """Whoever leaves while it is waited for leaves no trace."""
        self.say()
        juliet = self.house.bind("juliet")
        self.store.slow = True
        juliet.send("<presence/>")
        juliet.abort()
        self.store.release_all()
        self.assertEqual(self.house.server.offline_message_flood.lines.open, {})
        self.assertEqual(self.house.server.offline_message_flood._given, {})
