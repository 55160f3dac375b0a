"""When a push service is told of something, and when not (PN-3): each row of the rule."""

from typing import cast

from twisted.internet.defer import Deferred

from tests.plugins.asking import ask, condition
from tests.plugins.push.service import (
    ACK,
    BODY,
    DOMAIN,
    GAP_S,
    INACTIVE,
    JULIET,
    LATE_S,
    MARKER,
    ROMEO,
    TYPING,
    PushCase,
    enable,
    message,
)
from xmppd.stanza import ns
from xmppd.testing.client import Elsewhere, done
from xmppd_plugins.push.registrations import Registration
from xmppd_plugins.push.triggers import PushTriggers

CALL = "<{} xmlns='urn:xmpp:jingle-message:0' id='c'/>"
REACTIONS = "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>"
RETRACT = "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>"
EVENT = "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='x'/></event>"
ERROR = f"<error type='cancel'><gone xmlns='{ns.STANZA_ERRORS}'/></error>"
NOTHING = (
    (TYPING, "chat"),
    (RECEIPT, "chat"),
    (REACTIONS, "chat"),
    (MARKER, "chat"),
    (EVENT, "headline"),
    (BODY, "headline"),
    (ERROR, "error"),
    (BODY + "<no-store xmlns='urn:xmpp:hints'/>", "chat"),
)


class AwayTests(PushCase):
    """The device has no session."""

    def setUp(self) -> None:
        super().setUp()
        self.away()

    def test_message(self) -> None:
        """A message is told at once, and stored, and told once though both is so."""
        self.send()
        self.assertEqual(self.service.bodies(), ["New message"])
        self.assertEqual(len(done(self.house.store.offline.offline_messages(JULIET))), 1)
        self.wait(60)
        self.assertEqual(self.service.bodies(), [])

    def test_nothing(self) -> None:
        """What is no message to somebody is not told."""
        for children, kind in NOTHING:
            with self.subTest(children=children, kind=kind):
                self.send(children, kind)
                self.wait(60)
                self.assertEqual(self.service.heard(), [])

    def test_call(self) -> None:
        """A call is told at once, also just after something else, and so is its end."""
        self.send()
        self.send(CALL.format("propose"))
        self.send(CALL.format("retract"))
        self.assertEqual(self.service.bodies(), ["New message", "New message", None])

    def test_retraction(self) -> None:
        """A retraction is told without a text."""
        self.send(RETRACT)
        self.assertEqual(self.service.bodies(), [None])

    def test_subscription(self) -> None:
        """A request to see her is told, with the number of those that wait."""
        elsewhere = Elsewhere(self.house)
        elsewhere.send(f"<presence from='nurse@capulet.lit' to='{JULIET}' type='subscribe'/>")
        (told,) = self.service.heard()
        self.assertIsNone(told.body)
        self.assertEqual(told.fields["pending-subscription-count"], "1")

    def test_presence(self) -> None:
        """Other presence is not."""
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.service.heard(), [])

    def test_other_account(self) -> None:
        """Nobody is told of what is for others."""
        self.house.add("nurse")
        self.romeo.send(message(f"nurse@{DOMAIN}"))
        self.assertEqual(self.service.heard(), [])

    def test_desk(self) -> None:
        """It is told though another device of hers has it."""
        self.house.connect("juliet/desk")
        self.send()
        self.assertEqual(self.service.bodies(), ["New message"])

    def test_own(self) -> None:
        """Nobody is told of what she has sent herself, from another device, also to herself."""
        (desk,) = self.house.connect("juliet/desk")
        desk.send(message(ROMEO))
        desk.send(message(JULIET))
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_bounced(self) -> None:
        """Nor of a message that comes back to its sender."""
        self.send(kind="groupchat")
        self.assertEqual(self.service.heard(), [])
        self.assertIn("service-unavailable", self.romeo.raw().decode())


class AsleepTests(PushCase):
    """The device's session has lost its connection (:xep:`0198`)."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet = self.asleep()

    def test_message(self) -> None:
        """A message is told at once."""
        self.send()
        self.assertEqual(self.service.bodies(), ["New message"])

    def test_ended(self) -> None:
        """When the session ends, and the message is routed again, it is not told again."""
        self.send()
        self.assertEqual(self.service.bodies(), ["New message"])
        self.wait(3_600)
        self.assertTrue(self.juliet.session.closed)
        self.assertEqual(len(done(self.house.store.offline.offline_messages(JULIET))), 1)
        self.assertEqual(self.service.heard(), [])

    def test_copy(self) -> None:
        """It is told of what another device has got as well."""
        self.house.connect("juliet/desk")
        self.romeo.send(message(f"{JULIET}/desk"))
        self.assertEqual(self.service.bodies(), ["New message"])

    def test_request(self) -> None:
        """A request to the session is told; one by the server, or her own account, is not."""
        version = "<query xmlns='jabber:iq:version'/>"
        self.romeo.send(f"<iq type='get' id='v' to='{JULIET}/phone'>{version}</iq>")
        self.assertEqual(self.service.bodies(), [None])
        (desk,) = self.house.connect("juliet/desk")
        self.wait(60)
        desk.send(f"<iq type='get' id='v' to='{JULIET}/phone'>{version}</iq>")
        desk.send(
            f"<iq type='set' id='r'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='{ROMEO}' name='R'/></query></iq>"
        )
        self.assertEqual(self.service.heard(), [])

    def test_nothing(self) -> None:
        """News of the same kinds as before are not."""
        for children, kind in NOTHING:
            self.send(children, kind)
        self.romeo.send("<presence><show>away</show></presence>")
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_resumed(self) -> None:
        """When the client is back, it is told by its connection."""
        again = self.back(self.juliet)
        self.ack(again)
        self.send()
        self.ack(again)
        self.wait(60)
        self.assertEqual(self.service.heard(), [])


class ConnectedTests(PushCase):
    """The device's session is connected, and may be inactive or silent."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet = self.phone()

    def test_acknowledged(self) -> None:
        """A message that is acknowledged in time is not told."""
        for state in ("", INACTIVE):
            self.juliet.send(state)
            self.send()
            self.wait(LATE_S - 1)
            self.ack(self.juliet)
            self.wait(60)
            self.assertEqual(self.service.heard(), [])

    def test_late(self) -> None:
        """One that is not is told then, and once."""
        for state in ("", INACTIVE):
            self.juliet.send(state)
            self.send()
            self.wait(LATE_S - 1)
            self.assertEqual(self.service.heard(), [])
            self.wait(1)
            self.assertEqual(self.service.bodies(), ["New message"])
            self.wait(60)
            self.assertEqual(self.service.heard(), [])
            self.ack(self.juliet)

    def test_two(self) -> None:
        """If the first was acknowledged and the second was not, the second has its own time."""
        self.send(id="a")
        self.wait(10)
        self.ack(self.juliet)
        self.send(id="b")
        self.wait(LATE_S - 1)
        self.assertEqual(self.service.heard(), [])
        self.wait(1)
        self.assertEqual(len(self.service.heard()), 1)

    def test_news_wait(self) -> None:
        """News that wait for a client that nobody looks at are not what it has not acknowledged."""
        self.juliet.send(INACTIVE)
        self.send()
        self.ack(self.juliet)
        self.wait(1)
        self.romeo.send("<presence><show>away</show></presence>")
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_lost(self) -> None:
        """If the connection is lost meanwhile, what was not acknowledged is told at once."""
        self.send()
        self.juliet.abort()
        self.wait(0)
        self.assertEqual(self.service.bodies(), ["New message"])
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_lost_and_back(self) -> None:
        """Not so if the client is back in the same turn, by another connection."""
        self.send()
        again = self.back(self.juliet)
        self.ack(again)
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_lost_acknowledged(self) -> None:
        """What was acknowledged is not."""
        self.send()
        self.ack(self.juliet)
        self.juliet.abort()
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_closed(self) -> None:
        """A client that leaves without acknowledging is told; the message waits for it."""
        self.send()
        self.juliet.send("</stream:stream>")
        self.assertEqual(self.service.bodies(), ["New message"])
        self.assertEqual(len(done(self.house.store.offline.offline_messages(JULIET))), 1)

    def test_copy(self) -> None:
        """A carbon copy that is not acknowledged is told too."""
        carbons = "<enable xmlns='urn:xmpp:carbons:2'/>"
        self.assertEqual(condition(ask(self.juliet, "set", carbons)), "result")
        self.house.connect("juliet/desk")
        self.ack(self.juliet)
        self.romeo.send(message(f"{JULIET}/desk"))
        self.wait(LATE_S)
        self.assertEqual(self.service.bodies(), ["New message"])

    def test_without_stream_management(self) -> None:
        """A client that never acknowledges is told by its connection alone."""
        (tablet,) = self.house.connect("juliet/tablet")
        self.assertEqual(enable(tablet, "tablet"), "result")
        self.romeo.send(message(f"{JULIET}/tablet"))
        self.ack(self.juliet)
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_given_back(self) -> None:
        """What such a client's connection had not taken is told when its session ends."""
        (tablet,) = self.house.connect("juliet/tablet")
        self.assertEqual(enable(tablet, "tablet"), "result")
        self.juliet.send("</stream:stream>")
        tablet.stop_reading()
        self.romeo.send(message(f"{JULIET}/tablet"))
        self.assertEqual([told.node for told in self.service.heard()], ["phone"])
        tablet.abort()
        self.assertEqual([told.node for told in self.service.heard()], ["tablet"])


class SeenTests(PushCase):
    """The account has seen its messages on another device."""

    def displayed(self) -> None:
        """At her desk, Juliet looks at what Romeo has written."""
        self.desk.send(message(ROMEO, MARKER))

    def setUp(self) -> None:
        super().setUp()
        (self.desk,) = self.house.connect("juliet/desk")

    def test_before(self) -> None:
        """What is seen before its time has come is not told."""
        self.phone()
        self.send()
        self.wait(LATE_S / 2)
        self.displayed()
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_cleared(self) -> None:
        """If it was told, an empty notification says that nothing is unread, once."""
        self.asleep()
        self.send()
        self.assertEqual([told.count for told in self.service.heard()], [1])
        self.wait(GAP_S)
        self.displayed()
        (told,) = self.service.heard()
        self.assertEqual((told.count, told.body), (0, None))
        self.displayed()
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_waiting(self) -> None:
        """What waits because another was told just before is told no more, but for that."""
        self.asleep()
        self.send(id="a")
        self.send(id="b")
        self.assertEqual(len(self.service.heard()), 1)
        self.displayed()
        self.wait(60)
        self.assertEqual([(told.count, told.body) for told in self.service.heard()], [(0, None)])

    def test_own_marker(self) -> None:
        """The device that shows it is told nothing."""
        phone = self.phone()
        self.send()
        self.wait(LATE_S)
        self.assertEqual(len(self.service.heard()), 1)
        phone.send(ACK.format(1) + message(ROMEO, MARKER))
        self.wait(60)
        self.assertEqual(self.service.heard(), [])

    def test_seen_again(self) -> None:
        """That she has shown what was told is told, also if she shows more before its time."""
        self.asleep()
        self.send()
        self.assertEqual(len(self.service.heard()), 1)
        self.displayed()
        self.displayed()
        self.send()
        self.displayed()
        self.wait(60)
        self.assertEqual([(told.count, told.body) for told in self.service.heard()], [(0, None)])

    def test_many(self) -> None:
        """However many she shows at once, the store is asked once, and once behind the last."""
        self.away()
        self.send()
        self.service.heard()
        followers = self.house.server.followers.all()
        [found] = [each for each in followers if type(each).__name__ == PushTriggers.__name__]
        registrations = cast(PushTriggers, found).registrations
        seen, asked = registrations.seen, list[Deferred[None]]()

        async def slow(account: str) -> tuple[Registration, ...]:
            asked.append(Deferred())
            await asked[-1]
            return await seen(account)

        self.patch(registrations, "seen", slow)
        for _ in range(100):
            self.displayed()
        self.assertEqual(len(asked), 1)
        self.send()
        asked[0].callback(None)
        self.assertEqual(len(asked), 2)
        asked[1].callback(None)
        self.assertEqual(len(asked), 2)
        self.wait(60)
        self.assertEqual(self.service.bodies(), [None])
