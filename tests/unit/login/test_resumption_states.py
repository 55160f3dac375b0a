"""Stream management together with carbons and client state."""

from tests.plugins.test_carbons import carbons_of, in_a_word
from tests.plugins.test_client_state import ACTIVE, INACTIVE, TYPING, status
from tests.unit.login.test_resumption import JULIET, ROMEO, ResumptionCase, message, sm
from xmppd.session.stream_management import REQUEST
from xmppd.testing.client import done


class StateTests(ResumptionCase):
    """Juliet's phone, and a laptop of hers; both want copies, and the phone acknowledges."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("carbons", "client_state"):
            done(self.house.plugins.load(name))
        (self.laptop,) = self.house.connect("juliet/laptop")
        for client in (self.juliet, self.laptop):
            carbons_of(self.house).enable(client.session)
        self.juliet.send(sm("r"))
        self.juliet.raw()
        management = self.juliet.session.management
        assert management is not None
        self.seen = management.sent
        self.juliet.send(sm("a", h=self.seen))
        self.laptop.raw()

    def messages(self, client_stanzas: list[str]) -> list[str]:
        return [in_a_word(each) for each in client_stanzas if each.startswith("<message")]

    def test_asked_when_woken(self) -> None:
        """A client that nobody looks at is asked in the turn that wakes it, at its end, and in
        no turn of its own.
        """
        self.juliet.send(INACTIVE)
        self.romeo.send(status("1"))
        self.wait(30)
        self.assertEqual(self.juliet.raw(), b"")
        self.romeo.send(message("a"))
        told = self.juliet.raw()
        self.assertTrue(told.endswith(REQUEST), told)
        self.assertEqual(told.count(b"<r "), 1)
        self.romeo.send(message("b"))
        self.wait(30)
        self.assertNotIn(b"<r ", self.juliet.raw())

    def test_asked_for_any_kind(self) -> None:
        """So it is whatever has woken it."""
        self.juliet.send(INACTIVE)
        self.romeo.send(status("1"))
        self.romeo.send(f"<iq to='{JULIET}/1' type='get' id='q'><q xmlns='y'/></iq>")
        self.assertTrue(self.juliet.raw().endswith(REQUEST))

    def test_held(self) -> None:
        """What was held is counted when it is written, and can be acknowledged."""
        self.juliet.send(INACTIVE)
        self.romeo.send(status("1") + f"<message to='{JULIET}' type='chat'>{TYPING}</message>")
        self.assertEqual(self.juliet.raw(), b"")
        self.romeo.send(message("hi"))
        self.assertEqual(len(self.juliet.received()), 3)
        self.juliet.send(sm("a", h=self.seen + 3))
        self.assertFalse(self.juliet.closed)
        self.assertEqual(self.juliet.session.unread(), [])

    def test_resumed(self) -> None:
        """Who comes back is active, keeps carbons, and gets the latest of what was held."""
        self.juliet.send(INACTIVE)
        self.romeo.send(status("1") + status("2"))
        self.juliet.abort()
        self.romeo.send(status("3"))
        self.assertEqual(self.come_back(self.seen), ["resumed", "3"])
        self.romeo.send(status("4"))
        self.assertEqual(self.read(self.juliet), ["4"])
        self.laptop.send(message("hi", ROMEO))
        self.assertEqual(self.messages(self.juliet.received()), ["sent"])
        self.juliet.send(INACTIVE)
        self.romeo.send(status("5"))
        self.juliet.send(ACTIVE)
        self.assertEqual(self.read(self.juliet), ["5"])

    def test_copies_wait(self) -> None:
        """Copies wait for a client that comes back, and are copies still."""
        self.juliet.abort()
        self.romeo.send(message("hi", f"{JULIET}/laptop"))
        self.juliet = self.house.logged_in("juliet")
        self.assertEqual(self.messages(self.juliet.resume(self.previd, self.seen)), ["received"])
        self.juliet.abort()
        self.wait(301)
        self.assertEqual(self.messages(self.laptop.received()), ["itself"])
        self.assertEqual(self.stored(), [])

    def test_copied_once(self) -> None:
        """A message that nobody came back for goes to nobody who has had a copy."""
        (tablet,) = self.house.connect("juliet/tablet")
        carbons_of(self.house).enable(tablet.session)
        self.laptop.send("<presence><priority>5</priority></presence>")
        self.juliet.abort()
        self.romeo.send(message("hi", f"{JULIET}/1"))
        for client in (self.laptop, tablet):
            self.assertEqual(self.messages(client.received()), ["received"])
        self.wait(301)
        for client in (self.laptop, tablet):
            self.assertEqual(self.messages(client.received()), [])
        self.assertEqual(self.stored(), [])

    def test_all_asleep(self) -> None:
        """What all devices sleep through waits, once, also over a restart."""
        for restarts in (False, True):
            self.setUp()
            laptop = self.laptop.enable()
            self.juliet.abort()
            self.laptop.abort()
            self.romeo.send(message("hi", f"{JULIET}/1"))
            self.wait(100)
            if restarts:
                self.house = self.house.restarted()
            self.house.clock.advance(100)
            again = self.house.logged_in("juliet")
            again.resume(laptop, 0)
            again.abort()
            self.house.clock.advance(150)
            self.house.server.client_connections.sweep()
            self.assertEqual(self.stored(), [], restarts)
            self.house.clock.advance(200)
            self.house.server.client_connections.sweep()
            self.assertEqual(self.stored(), ["hi"], restarts)

    def test_held_for_the_other(self) -> None:
        """What a device that ends has not read is held for the one that has a copy of it."""
        for client in (self.romeo, self.laptop):
            client.raw()
            client.enable()
        self.romeo.send(message("hi", f"{JULIET}/1") + sm("r"))
        self.juliet.send("</stream:stream>")
        self.house = self.house.again()
        self.assertEqual(self.stored(), ["hi"])
