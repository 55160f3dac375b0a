"""How much of who follows which room is known, and what waits."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

from tests.plugins.inbox.inboxes import ask_inbox
from tests.plugins.muc.halls import ORCHARD
from tests.plugins.room_unread.readers import ReaderCase, bookmark, display
from xmppd.store import gathered
from xmppd.store.errors import StoreError
from xmppd.store.sql import Connection
from xmppd.testing.client import Client, done

T = TypeVar("T")
NURSE = "nurse@montague.lit"
PEOPLE = ("a", "b", "c")


def loaded(name: str) -> ModuleType:
    """A module of the plugin, as the house has loaded it."""
    return sys.modules[f"xmppd_plugins.room_unread.{name}"]


class LimitTests(ReaderCase):
    people = ("romeo", "nurse", *PEOPLE)

    def clients(self) -> list[Client]:
        return [self.client(name) for name in PEOPLE]

    def test_followers(self) -> None:
        """A room in memory knows so many who follow it; the others have it in their inboxes all the
        same (RM-80).
        """
        for name in ("table", "followers"):
            self.assertEqual(loaded(name).MAX_FOLLOWERS, 10_000)
            self.patch(loaded(name), "MAX_FOLLOWERS", 2)
        clients = self.clients()
        for client in clients:
            bookmark(client)
        known = self.orchard().followers
        self.assertEqual(len(known), 2)
        bookmark(clients[0], "Another")
        self.assertEqual({each.nick for each in known.values()}, {"Another", "Nurse"})
        self.says("Ay me")
        self.assertEqual([ask_inbox(each).unread for each in clients], [{"orchard": 1}] * 3)
        self.house = self.house.restarted()
        for name in ("table", "followers"):
            self.patch(loaded(name), "MAX_FOLLOWERS", 2)
        self.opened("romeo")
        self.assertEqual(len(self.orchard().followers), 2)

    def test_waiting(self) -> None:
        """Whom there is no time to look at is looked at when they ask (RM-80)."""
        self.patch(loaded("followers"), "MAX_WAITING", 1)
        for name in PEOPLE:
            self.assert_done(self.affiliate(self.romeo, name, "member"))
        self.wait()
        self.assertEqual(set(self.orchard().followers), {"romeo@montague.lit"})
        for client in self.clients():
            self.unread(client)
        self.assertEqual(len(self.orchard().followers), 4)

    def test_known(self) -> None:
        """Whose rooms are not known to be kept any more is looked at once more (RM-80)."""
        self.patch(loaded("followers"), "MAX_KNOWN", 1)
        clients = self.clients()
        for client in (*clients, *clients):
            self.unread(client)
        bookmark(clients[0])
        self.assertEqual(self.unread(clients[0]), {})
        self.says("Ay me")
        self.assertEqual(self.unread(clients[0]), {"orchard": 1})

    def test_many_rooms(self) -> None:
        """So many rooms of an account count of those in whose lists it is (RM-80)."""
        self.patch(loaded("followers"), "MAX_ROOMS", 1)
        for name in ("orchard", "tomb"):
            room = f"{name}@conference.montague.lit"
            if name == "tomb":
                self.opened_by(self.romeo, room)
            item = f"<item jid='{NURSE}' affiliation='member'/>"
            self.assert_done(self.ask(self.romeo, item, room=room))
        self.wait()
        self.says("Ay me")
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_large_bookmarks(self) -> None:
        """While bookmarks are too many to be read, what they were counts (RM-80)."""
        bookmark(self.nurse)
        self.patch(sys.modules["xmppd_plugins.bookmarks"], "MAX_BYTES", 10)
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))
        self.assert_done(self.affiliate(self.romeo, "nurse", "none"))
        self.wait()
        self.says("Ay me")
        self.assertEqual(self.unread(), {"orchard": 1})


class StoreAwayTests(ReaderCase):
    """The database takes nothing for a while."""

    def setUp(self) -> None:
        super().setUp()
        bookmark(self.nurse)
        self.enter(self.nurse, "Nurse")
        self.is_away = False
        database = self.house.store.database
        write = database.write

        async def writes(change: Callable[[Connection], T], *limit: float) -> T:
            if self.is_away and "room_unread" in change.__module__:
                raise StoreError("away")
            return await write(change, *limit)

        self.patch(database, "write", writes)

    def test_kept(self) -> None:
        """What was read meanwhile is noted when it does again (RM-81)."""
        (first, _) = self.says("1", "2")
        self.is_away = True
        self.marks(self.nurse, first)
        self.is_away = False
        self.wait()
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_most(self) -> None:
        """So much waits for that; the rest is noted with the next (RM-81)."""
        self.patch(gathered, "MAX_GATHERED", 0)
        self.says("1")
        self.says("2", client=self.nurse)
        self.assertEqual(self.unread(), {"orchard": 2})
        self.patch(gathered, "MAX_GATHERED", 1)
        self.says("3", client=self.nurse)
        self.assertEqual(self.unread(), {"orchard": 0})

    def test_published(self) -> None:
        """What a client publishes meanwhile it publishes again some time (RM-81)."""
        (first, _) = self.says("1", "2")
        self.is_away = True
        display(self.nurse, first)
        self.is_away = False
        display(self.nurse, first)
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_stopped(self) -> None:
        """A server that is stopped has noted what was read (RM-81)."""
        (first, _) = self.says("1", "2")
        self.nurse.send(
            f"<message type='groupchat' to='{ORCHARD}'>"
            f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{first}'/></message>"
        )
        self.house = self.house.restarted()
        self.assertEqual(self.unread(self.client("nurse")), {"orchard": 1})
        done(self.house.plugins.unload("room_unread"))
