"""What a session that enters is shown, as fast as it reads."""

import re
from importlib import import_module
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.muc.halls import MUC, ORCHARD, RoomsCase, bodies, rooms_config
from xmppd.config.config import Config
from xmppd.stanza import JID, Message, Presence, Stanza
from xmppd.testing.client import Client, Elsewhere
from xmppd_plugins.muc.entrance import MAX_MESSAGES, Entrance
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.occupant import Said
from xmppd_plugins.muc.room import Room

ROOM = JID.parse(ORCHARD)
MANY = 10_000


def nick(number: int) -> JID:
    """The address of an occupant."""
    return JID.prepared(f"{ORCHARD}/n{number}")


def message(number: int) -> Message:
    """Something that is said."""
    body = f"<body>{number}</body>".encode()
    return Message.make(None, nick(1), body, type="groupchat")


def presence(number: int, type: str | None = None, text: str = "") -> Presence:
    """A presence of an occupant."""
    status = (f"<status>{text}</status>".encode(),) if text else ()
    return Presence.make(None, nick(number), *status, type=type)


class EntranceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.is_over = False
        self.entrance = Entrance(
            [nick(1), nick(2), nick(3)], self.show, (), lambda: [message(0)], self.over
        )

    def show(self, occupant: JID) -> Presence:
        return Presence.make(None, occupant)

    def over(self) -> None:
        self.is_over = True

    def drawn(self) -> list[str]:
        """All that is left, in short."""
        return [self.short(each) for each in self.entrance.stanzas()]

    def short(self, stanza: Stanza) -> str:
        text = re.findall(r"<(?:body|status)>(.*?)<", stanza.wire().decode())
        return " ".join(filter(None, (stanza.sender.resource, stanza.type, *text)))

    def test_order(self) -> None:
        """What happens meanwhile waits behind history and subject (RM-12)."""
        self.entrance.add(message(1))
        self.assertEqual(self.drawn(), ["n1", "n2", "n3", "n1 groupchat 0", "n1 groupchat 1"])
        self.assertTrue(self.is_over)

    def test_thousand_messages(self) -> None:
        """A thousand messages wait behind it; older ones are left to the archive (RM-21)."""
        for number in range(1, MAX_MESSAGES + 3):
            self.entrance.add(message(number))
        waited = [each.rpartition(" ")[2] for each in self.drawn()[4:]]
        self.assertEqual(MAX_MESSAGES, 1_000)
        self.assertEqual(waited, [str(number) for number in range(3, MAX_MESSAGES + 3)])

    def test_more_while_drawn(self) -> None:
        """What has been drawn makes room for more (RM-21)."""
        stanzas = self.entrance.stanzas()
        for number in range(1, MAX_MESSAGES + 1):
            self.entrance.add(message(number))
        drawn = [self.short(next(stanzas)) for _ in range(5)]
        self.assertEqual(drawn[-1], "n1 groupchat 1")
        self.entrance.add(message(MAX_MESSAGES + 1))
        left = [self.short(each) for each in stanzas]
        self.assertEqual((left[0], len(left)), ("n1 groupchat 2", MAX_MESSAGES))

    def test_last_presence(self) -> None:
        """Of each occupant the last presence waits; who was not shown is shown as they are, or not
        at all (RM-21).
        """
        stanzas = self.entrance.stanzas()
        self.assertEqual(self.short(next(stanzas)), "n1")
        for number in range(5):
            self.entrance.add(presence(1, None, str(number)))
        self.entrance.add(presence(2, "unavailable"))
        self.entrance.add(presence(3, None, "away"))
        self.entrance.add(presence(4))
        self.entrance.add(presence(4, "unavailable"))
        left = [self.short(each) for each in stanzas]
        self.assertEqual(left, ["n3", "n1 groupchat 0", "n1 4"])

    def test_ended(self) -> None:
        """Nothing more is shown to who has left."""
        stanzas = self.entrance.stanzas()
        next(stanzas)
        self.entrance.add(message(1))
        self.entrance.end()
        self.assertEqual(list(stanzas), [])
        self.assertFalse(self.is_over)


class CrowdTests(RoomsCase):
    """A room of ten thousand people of another server, all of which are shown."""

    def config(self) -> Config:
        return rooms_config(large_room_occupants=2 * MANY, messages_per_s=0.0)

    def setUp(self) -> None:
        super().setUp()
        self.elsewhere = Elsewhere(self.house)
        (self.romeo,) = self.opened("romeo")
        self.romeo.send(
            f"<iq type='set' id='c' to='{ORCHARD}'><query xmlns='{MUC}#owner'>"
            "<x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_maxusers'>"
            "<value>none</value></field></x></query></iq>"
        )
        self.romeo.raw()
        room = self.room()
        participant = import_module("xmppd_plugins.muc.ranks").Role.PARTICIPANT
        for number in range(MANY):
            sender = JID.prepared(f"p{number}@capulet.lit/1")
            said = Said(Presence.make(None, sender))
            session = room.admit(sender, said, nick(number), f"id{number}", participant, 2)
            session.heard = self.house.clock.seconds()
        self.juliet = self.client("juliet")

    def room(self) -> Room:
        offers = self.house.plugins.offers.by_class
        (hall,) = [each for kind, each in offers.items() if kind.__name__ == Hall.__name__]
        found = cast("Hall", hall).rooms.loaded[ORCHARD]
        assert found is not None
        return found

    def test_managed(self) -> None:
        """Who enters with stream management is shown all as fast as they acknowledge; they are not
        cut off, and nobody waits for them (RM-21).
        """
        self.juliet.enable()
        self.juliet.send(f"<presence to='{ORCHARD}/Juliet'><x xmlns='{MUC}'/></presence>")
        self.say(self.romeo, "Welcome")
        self.assertEqual(bodies(self.romeo.received()), ["Welcome"])
        seen, handled = "", 0
        for _ in range(200):
            came = self.juliet.received()
            if not came:
                break
            stanzas = [each for each in came if each.startswith(("<presence", "<message"))]
            handled += len(stanzas)
            seen += "".join(stanzas)
            self.juliet.send(f"<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
            self.house.clock.advance(0)
        self.assertFalse(self.juliet.closed)
        self.assertEqual(seen.count("<presence"), MANY + 2)
        self.assertLess(seen.rindex("<presence"), seen.index("Welcome"))
        self.assertIn("code='110'", seen)

    def test_acknowledges_nothing(self) -> None:
        """Who reads and acknowledges nothing is shown no more than may wait for that, and is told
        the rest when it does (RM-21).
        """
        self.juliet.enable()
        self.juliet.send(f"<presence to='{ORCHARD}/Juliet'><x xmlns='{MUC}'/></presence>")
        came = self.read_all(self.juliet)
        self.assertFalse(self.juliet.closed)
        count = sum(each.startswith("<presence") for each in came)
        self.juliet.send(f"<a xmlns='urn:xmpp:sm:3' h='{count}'/>")
        rest = self.read_all(self.juliet)
        total = count + sum(each.startswith("<presence") for each in rest)
        self.assertEqual(total, MANY + 2)

    def read_all(self, client: Client) -> list[str]:
        came: list[str] = []
        for _ in range(200):
            more = client.received()
            if not more:
                break
            came += more
            self.house.clock.advance(0)
        return came
