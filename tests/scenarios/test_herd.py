"""Everybody comes at once, or leaves at once: who hears what, counted."""

import re
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from bench.load import random_friendships
from tests.support import SlowStore
from xmppd.stanza import Stanza
from xmppd.store.last_presences import LastPresence
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
ELSEWHERE = "nurse@capulet.lit"
USERS, CONTACTS = 300, 30
PRESENCE = re.compile(rb"<presence\b[^>]*\bfrom='u(\d+)@[^>]*>")


class Elsewhere:
    """Another server: keeps what comes."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        self.came.append(wire)
        return True


class HerdTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(DOMAIN, store=self.store)
        self.elsewhere = self.house.server.routing_table.foreign = Elsewhere()
        self.contacts: dict[int, set[int]] = {number: set() for number in range(USERS)}
        for one, other in random_friendships(USERS, CONTACTS):
            self.contacts[one].add(other)
            self.contacts[other].add(one)
        for number, contacts in self.contacts.items():
            roster = {f"u{contact}": "both" for contact in contacts} | {ELSEWHERE: "from"}
            self.house.add(f"u{number}", roster)
            last = LastPresence(1.0, "gone for lunch")
            done(self.store.presences.save_last_presence(f"u{number}@{DOMAIN}", last))

    def come(self) -> list[Client]:
        """All bind a resource, then all become available."""
        herd = [self.house.bind(f"u{number}") for number in range(USERS)]
        for client in herd:
            client.send("<presence/>")
        return herd

    def heard(self, herd: list[Client], kind: bytes = b"") -> Counter[tuple[int, int]]:
        """How often each of them heard such a presence of each other one."""
        heard: Counter[tuple[int, int]] = Counter()
        for hearer, client in enumerate(herd):
            for presence in PRESENCE.finditer(client.raw()):
                speaker = int(presence[1])
                if speaker != hearer and (b"type='unavailable'" in presence[0]) == bool(kind):
                    heard[hearer, speaker] += 1
        return heard

    @property
    def pairs(self) -> set[tuple[int, int]]:
        """Who has to hear of whom."""
        return {(one, other) for one, contacts in self.contacts.items() for other in contacts}

    def test_greetings(self) -> None:
        """Of those who come at once everybody hears of each contact, once."""
        heard = self.heard(self.come())
        self.assertEqual(heard, Counter(self.pairs))

    def test_greetings_with_a_slow_store(self) -> None:
        """So it is when the store takes so long that all have come before it answers."""
        herd = [self.house.bind(f"u{number}") for number in range(USERS)]
        self.store.slow = True
        for client in herd:
            client.send("<presence/>")
        self.store.release_all()
        self.assertEqual(self.heard(herd), Counter(self.pairs))

    def test_statuses_of_those_who_came(self) -> None:
        """Nobody is told the last status of somebody who has come meanwhile."""
        herd = [self.house.bind(f"u{number}") for number in range(USERS)]
        self.store.slow = self.store.late = True
        for client in herd:
            client.send("<presence/>")
        self.store.release_all()
        for client in herd:
            self.assertNotIn(b"lunch", client.raw())

    def test_stop(self) -> None:
        """When all leave at a stop, only those elsewhere hear of it, once of each (BOOT-4)."""
        herd = self.come()
        for client in herd:
            client.raw()
        self.elsewhere.came.clear()
        before = self.house.wall_clock()
        stopped = self.house.stop()
        for client in herd:
            data = client.raw()
            self.assertIn(b"<system-shutdown ", data)
            self.assertNotIn(b"<presence", data)
            client.abort()
        self.successResultOf(stopped)
        self.assertEqual(len(self.elsewhere.came), USERS)
        self.assertTrue(all(b"type='unavailable'" in wire for wire in self.elsewhere.came))
        left = done(
            self.store.presences.last_presence([f"u{number}@{DOMAIN}" for number in range(USERS)])
        )
        self.assertEqual({last.seen for last in left.values()}, {before})
