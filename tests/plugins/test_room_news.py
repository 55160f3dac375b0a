"""Tests of telling that something was said in a room (XEP-0437)."""

import re
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred

from tests.plugins.muc.halls import ORCHARD, SERVICE, RunningCase
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client
from xmppd_plugins.room_news import RAI


class NewsCase(RunningCase):
    """Romeo owns the orchard, in which he is; Nurse is a member, and online."""

    plugins: tuple[str, ...] = ("disco", "muc", "room_news")

    def setUp(self) -> None:
        super().setUp()
        (self.romeo,) = self.opened("romeo")
        self.assert_done(self.configure(self.romeo, persistentroom="1", tell_affected="0"))
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))
        self.nurse = self.client("nurse")
        self.nurse.raw()

    def want(self, client: Client) -> list[str]:
        """Begin to want to be told; returns the rooms that are named."""
        client.send(f"<presence to='{SERVICE}'><rai xmlns='{RAI}'/></presence>")
        return self.named(client)

    def named(self, client: Client) -> list[str]:
        """The rooms of which a client is told."""
        return re.findall(r"<activity>(.*?)</activity>", "".join(client.received()))


class NewsTests(NewsCase):
    def test_once(self) -> None:
        """A member is told once that something was said, and again after being in (RM-63)."""
        self.assertEqual(self.want(self.nurse), [])
        self.say(self.romeo, "Ay me")
        self.assertEqual(self.named(self.nurse), [ORCHARD])
        self.say(self.romeo, "O")
        self.assertEqual(self.named(self.nurse), [])
        self.enter(self.nurse, "Nurse")
        self.say(self.romeo, "You are here")
        self.assertEqual(self.named(self.nurse), [])
        self.nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        self.nurse.raw()
        self.say(self.romeo, "Gone?")
        self.assertEqual(self.named(self.nurse), [ORCHARD])

    def test_only_that(self) -> None:
        """Nothing of what was said is told; it comes from the service (RM-63)."""
        self.want(self.nurse)
        self.say(self.romeo, "Secret")
        (told,) = self.nurse.received()
        self.assertTrue(told.startswith(f"<message from='{SERVICE}'"), told)
        self.assertNotIn("Secret", told)

    def test_before(self) -> None:
        """Who begins to want it is told what there is already, after restarts too (RM-63)."""
        self.say(self.romeo, "Ay me")
        self.assertEqual(self.named(self.nurse), [], "she has not asked to subscribe for it")
        self.romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        self.house.clock.advance(700)
        self.assertEqual(self.want(self.nurse), [ORCHARD])
        self.enter(self.nurse, "Nurse")
        self.nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        self.nurse.raw()
        self.assertEqual(self.want(self.nurse), [])

    def test_while_it_is_read(self) -> None:
        """What is said while it is read what there is already is told once (RM-63)."""
        table = import_module("xmppd_plugins.room_news.table").NewsTable
        rooms, turn = table.rooms, Deferred[None]()

        async def slow(self: Any, person: str) -> Any:
            await turn
            return await rooms(self, person)

        self.patch(table, "rooms", slow)
        for _ in range(2):
            self.assertEqual(self.want(self.nurse), [])
        self.say(self.romeo, "Ay me")
        self.assertEqual(self.named(self.nurse), [ORCHARD])
        turn.callback(None)
        self.assertEqual(self.named(self.nurse), [])

    def test_withdrawn(self) -> None:
        """Who says goodbye to the service is told no more (RM-63)."""
        self.want(self.nurse)
        self.nurse.send(f"<presence type='unavailable' to='{SERVICE}'/>")
        self.say(self.romeo, "Ay me")
        self.assertEqual(self.named(self.nurse), [])

    def test_not_theirs(self) -> None:
        """Who has nothing to do with a room, or not any more, is not told (RM-63)."""
        juliet = self.client("juliet")
        self.want(juliet)
        self.say(self.romeo, "Ay me")
        self.assertEqual(self.named(juliet), [])
        self.affiliate(self.romeo, "nurse", "outcast")
        self.assertEqual(self.want(self.nurse), [])
        self.affiliate(self.romeo, "nurse", "member")
        self.assertEqual(self.want(self.nurse), [], "what was for who was banned is over")

    def test_no_news(self) -> None:
        """Neither a correction nor a state is news (RM-63)."""
        self.want(self.nurse)
        replace = "<replace xmlns='urn:xmpp:message-correct:0' id='a'/>"
        typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        for inner in (f"<body>Ay</body>{replace}", typing):
            self.romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{inner}</message>")
        self.assertEqual(self.named(self.nurse), [])

    def test_new_member(self) -> None:
        """Who becomes a member is told of what is said from then on (RM-63)."""
        juliet = self.client("juliet")
        self.want(juliet)
        self.say(self.romeo, "Ay me")
        self.affiliate(self.romeo, "juliet", "member")
        self.say(self.romeo, "Juliet!")
        self.assertEqual(self.named(juliet), [ORCHARD])

    def test_store_is_away(self) -> None:
        """What could not be noted was not told either; the next message is told (RM-63)."""
        self.want(self.nurse)
        table = import_module("xmppd_plugins.room_news.table").NewsTable
        add = table.add

        async def fail(*_: object) -> None:
            raise StoreError("away")

        self.patch(table, "add", fail)
        self.say(self.romeo, "Ay me")
        self.assertEqual(self.named(self.nurse), [])
        self.assertTrue(self.flushLoggedErrors(StoreError))
        self.patch(table, "add", add)
        self.say(self.romeo, "O Romeo")
        self.assertEqual(self.named(self.nurse), [ORCHARD])

    def test_announced(self) -> None:
        """The service says that it can (RM-63)."""
        query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        self.nurse.send(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")
        self.assertIn(RAI, "".join(self.nurse.received()))
