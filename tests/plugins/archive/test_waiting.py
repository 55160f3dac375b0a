"""Messages that wait for somebody are kept beside the archive, whatever becomes of that (OA-1)."""

from tests.plugins.archive.archives import JULIET, ROMEO, chat, ids_in
from tests.plugins.archive.queries import QueryCase
from tests.plugins.archive.test_expiry import ExpiryCase
from xmppd.testing.client import Client, done
from xmppd.testing.house import House
from xmppd_plugins.archive.retractions import RETRACT


def bodies_in(data: bytes) -> list[str]:
    """What was said in what somebody was sent."""
    return [each.partition("</body>")[0] for each in data.decode().split("<body>")[1:]]


def come(house: House) -> bytes:
    """What Juliet is sent when she comes."""
    juliet = house.bind("juliet", "2")
    juliet.send("<presence/>")
    return juliet.raw()


def waiting_in(house: House) -> int:
    """The number of messages that wait for Juliet."""
    return len(done(house.store.offline.offline_messages(JULIET)))


class GoneTests(ExpiryCase):
    """Something waits for Juliet while the archive loses it."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet.send("<presence type='unavailable'/></stream:stream>")
        self.say("a", "b")
        self.write()

    def comes(self, house: House | None = None) -> list[str]:
        """What she reads when she comes."""
        return bodies_in(come(house or self.house))

    def test_unloaded(self) -> None:
        """OA-1a: what waits when the archive is switched off is delivered all the same."""
        done(self.house.plugins.unload("archive"))
        self.assertEqual(self.comes(), ["a", "b"])

    def test_started_without(self) -> None:
        """So it is at a start without the archive."""
        done(self.house.plugins.unload("archive"))
        self.assertEqual(self.comes(self.house.restarted()), ["a", "b"])

    def test_expired(self) -> None:
        """What is too old for the archive, and waits, waits on."""
        self.house.reload(self.config(max_age_days=1))
        self.pass_days(2)
        self.assertEqual(self.give("expire"), ["messages deleted: 4"])
        self.assertEqual(self.said(JULIET), [])
        self.assertEqual(self.comes(), ["a", "b"])

    def test_deleted(self) -> None:
        """So does what its owner, or an administrator, has deleted there."""
        self.give("delete", account=JULIET)
        self.assertEqual(self.said(JULIET), [])
        self.assertEqual(self.comes(), ["a", "b"])

    def test_taken_back(self) -> None:
        """What its author takes back waits no more; that it was taken back does (AR-10)."""
        self.romeo.send(chat(JULIET, "I hate you", id="m"))
        self.romeo.send(chat(JULIET, "c", id="n"))
        retract = f"<retract xmlns='{RETRACT}' id='m'/>"
        self.romeo.send(f"<message to='{JULIET}' type='chat' id='back'>{retract}</message>")
        came = come(self.house)
        self.assertEqual(bodies_in(came), ["a", "b", "c"])
        self.assertIn(b"<retract", came)

    def test_not_theirs_to_take_back(self) -> None:
        """Nobody takes back what somebody else has said."""
        self.romeo.send(chat(JULIET, "I love you", id="m"))
        (nurse,) = self.house.connect("nurse")
        retract = f"<retract xmlns='{RETRACT}' id='m'/>"
        nurse.send(f"<message to='{JULIET}' type='chat'>{retract}</message>")
        self.assertEqual(self.comes(), ["a", "b", "I love you"])


class SleepingTests(QueryCase):
    """Juliet's phone sleeps, and wakes up or does not."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet.send("</stream:stream>")
        (self.phone,) = self.house.connect("juliet/phone")
        self.resume_id = self.phone.enable()
        self.phone.raw()

    def sleep(self) -> None:
        """Its connection is lost."""
        self.phone.abort()

    def time_out(self) -> None:
        """It does not come back in time."""
        self.house.clock.advance(3_600)
        self.assertTrue(self.phone.session.closed)

    def desk(self) -> Client:
        """She has another device, with carbons and no wish for messages of its own."""
        desk = self.house.bind("juliet", "desk")
        desk.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        desk.send("<presence><priority>-1</priority></presence>")
        desk.raw()
        return desk

    def test_asleep(self) -> None:
        """OA-8: While it sleeps a message waits in its session, is in the archive, and is no
        offline message; another device finds it by a query at once.
        """
        self.sleep()
        self.say("a")
        self.assertEqual(self.said(JULIET), ["a"])
        self.assertEqual(waiting_in(self.house), 0)
        self.assertEqual(self.ask(client=self.house.bind("juliet", "2")).said, ["a"])

    def test_negative(self) -> None:
        """OA-8: If nobody of hers wants messages, one is in the archive and waits."""
        self.phone.send("<presence><priority>-1</priority></presence>")
        self.say("a")
        self.assertEqual(self.said(JULIET), ["a"])
        self.assertEqual(waiting_in(self.house), 1)

    def test_timed_out(self) -> None:
        """OA-7: When a session ends, what nobody else has becomes an offline message, under the
        same id, and is in the archive once.
        """
        self.sleep()
        self.say("a")
        self.time_out()
        self.assertEqual(waiting_in(self.house), 1)
        came = come(self.house)
        self.assertEqual(bodies_in(came), ["a"])
        asked = self.ask(client=self.house.bind("juliet", "3"))
        self.assertEqual(ids_in(came), [(asked.ids[0], JULIET)])
        self.assertEqual(self.said(JULIET), ["a"])

    def test_timed_out_copied(self) -> None:
        """OA-7: What another device had as a copy does not."""
        desk = self.desk()
        self.sleep()
        self.say("a")
        self.assertEqual(bodies_in(desk.raw()), ["a"])
        self.time_out()
        self.assertEqual(waiting_in(self.house), 0)
        self.assertEqual(desk.raw().count(b"<body>"), 0)
        self.assertEqual(self.said(ROMEO), ["a"])
