"""Tests of entering rooms, being there and leaving."""

from tests.plugins.muc.halls import (
    MUC,
    ORCHARD,
    SERVICE,
    RoomsCase,
    codes,
    condition,
    rooms_config,
)
from xmppd.config.config import Config
from xmppd.testing.client import Elsewhere


class EnteringTests(RoomsCase):
    def test_first(self) -> None:
        """Who enters a room that is not there makes it, and is told so (RM-24)."""
        romeo = self.client("romeo")
        own, subject = self.enter(romeo, "Romeo")
        self.assertIn(f"from='{ORCHARD}/Romeo'", own)
        self.assertIn("affiliation='owner' role='moderator'", own)
        self.assertEqual(codes(own), {110, 201})
        self.assertIn("<subject/>", subject.replace("<subject />", "<subject/>"))

    def test_order(self) -> None:
        """Who enters sees the others, then themselves, then the subject (RM-12)."""
        self.opened("romeo", "juliet")
        received = self.enter(self.client("nurse"), "Nurse")
        kinds = [each.partition(" ")[0] for each in received]
        self.assertEqual(kinds, ["<presence", "<presence", "<presence", "<message"])
        self.assertIn("/Romeo'", received[0])
        self.assertIn("/Juliet'", received[1])
        self.assertEqual(codes(received[2]), {110})

    def test_jids(self) -> None:
        """Moderators are shown who has entered; others are not (RM-13)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.enter(self.client("nurse"), "Nurse")
        self.assertIn("jid='nurse@montague.lit/1'", romeo.received()[0])
        self.assertNotIn("nurse@montague.lit", juliet.received()[0])

    def test_prepared_nick(self) -> None:
        """A nick that is written otherwise than it is shown is said to be another (RM-20)."""
        self.opened("romeo")
        received = self.enter(self.client("juliet"), "Juliet\N{IDEOGRAPHIC SPACE}C")
        self.assertEqual(codes(received[-2]), {110, 210})

    def test_forged(self) -> None:
        """What only the room may say is taken out of presence (RM-41)."""
        (romeo,) = self.opened("romeo")
        juliet = self.client("juliet")
        juliet.send(
            f"<presence to='{ORCHARD}/Juliet'><x xmlns='{MUC}'/><show>away</show>"
            f"<x xmlns='{MUC}#user'><item affiliation='owner' role='moderator'/></x>"
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></presence>"
        )
        (seen,) = romeo.received()
        self.assertIn("<show>away</show>", seen)
        self.assertNotIn("owner", seen)
        self.assertNotIn("forged", seen)

    def test_slow(self) -> None:
        """What happens while somebody enters comes behind what they are shown first (RM-21)."""
        romeo, nurse = self.opened("romeo", "nurse")
        juliet = self.client("juliet")
        juliet.stop_reading()
        juliet.send(f"<presence to='{ORCHARD}/Juliet'><x xmlns='{MUC}'/></presence>")
        self.say(romeo, "Good morrow")
        nurse.send(f"<presence to='{ORCHARD}/Nurse' type='unavailable'/>")
        juliet.read_on()
        received = juliet.received()
        self.assertIn("/Romeo'", received[0])
        self.assertEqual(codes(received[1]), {110})
        self.assertIn("subject", received[2])
        self.assertIn("Good morrow", received[3])
        self.assertEqual(len(received), 4, "nurse, who was not seen, is not seen to leave")


class RefusalTests(RoomsCase):
    def refused(self, received: list[str]) -> str:
        """The condition of the only answer."""
        (error,) = received
        self.assertIn("type='error'", error)
        self.assertIn(f"by='{ORCHARD}'", error)
        return condition(error)

    def test_no_nick(self) -> None:
        """Nobody enters without a nick (RM-10)."""
        romeo = self.client("romeo")
        romeo.send(f"<presence to='{ORCHARD}'><x xmlns='{MUC}'/></presence>")
        self.assertEqual(self.refused(romeo.received()), "jid-malformed")

    def test_locked(self) -> None:
        """Nobody enters a room that its owner has yet to open (RM-24)."""
        self.enter(self.client("romeo"), "Romeo")
        self.assertEqual(self.refused(self.enter(self.client("juliet"), "J")), "item-not-found")

    def test_taken(self) -> None:
        """Nobody takes a nick that looks like somebody else's (RM-11)."""
        self.opened("romeo")
        self.assertEqual(self.refused(self.enter(self.client("juliet"), "rOMEO")), "conflict")

    def test_stranger(self) -> None:
        """Who does not say that they enter does not (RM-18)."""
        self.opened("romeo")
        juliet = self.client("juliet")
        juliet.send(f"<presence to='{ORCHARD}/Juliet'/>")
        self.assertEqual(self.refused(juliet.received()), "not-acceptable")

    def test_from_elsewhere(self) -> None:
        """Who has no account here makes no room (RM-25)."""
        elsewhere = Elsewhere(self.house)
        elsewhere.send(
            f"<presence from='tybalt@capulet.lit/1' to='{ORCHARD}/T'><x xmlns='{MUC}'/></presence>"
        )
        self.assertEqual(self.refused(elsewhere.heard()), "not-allowed")


class InstantTests(RoomsCase):
    def config(self) -> Config:
        return rooms_config(instant=True)

    def test_open(self) -> None:
        """Where rooms are open at once, others may enter a new one (RM-24)."""
        self.enter(self.client("romeo"), "Romeo")
        received = self.enter(self.client("juliet"), "Juliet")
        self.assertEqual(codes(received[1]), {110})


class PresenceTests(RoomsCase):
    def test_update(self) -> None:
        """Another presence is shown to all, and to oneself as one's own (RM-17)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send(f"<presence to='{ORCHARD}/Juliet'><show>dnd</show></presence>")
        (seen,), (own,) = romeo.received(), juliet.received()
        self.assertIn("<show>dnd</show>", seen)
        self.assertEqual(codes(seen), set())
        self.assertEqual(codes(own), {110})

    def test_again(self) -> None:
        """Who enters once more is shown everything again; others are told nothing (RM-14)."""
        romeo, juliet = self.opened("romeo", "juliet")
        received = self.enter(juliet, "Juliet")
        self.assertEqual([codes(each) for each in received], [set(), {110}, set()])
        self.assertEqual(romeo.received(), [])

    def test_nick(self) -> None:
        """A new nick is told as such (RM-17)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send(f"<presence to='{ORCHARD}/Capulet'/>")
        gone, here = romeo.received()
        self.assertIn("type='unavailable'", gone)
        self.assertIn("nick='Capulet'", gone)
        self.assertEqual(codes(gone), {303})
        self.assertIn(f"from='{ORCHARD}/Capulet'", here)
        self.assertEqual([codes(each) for each in juliet.received()], [{110, 303}, {110}])

    def test_same_nick(self) -> None:
        """A nick may be written otherwise by who has it (RM-11)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send(f"<presence to='{ORCHARD}/JULIET'/>")
        self.assertEqual(len(romeo.received()), 2)
        self.assertEqual([codes(each) for each in juliet.received()], [{110, 303}, {110}])

    def test_taken_nick(self) -> None:
        """A nick that somebody else has is not given away (RM-17)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send(f"<presence to='{ORCHARD}/Romeo'/>")
        (error,) = juliet.received()
        self.assertEqual(condition(error), "conflict")
        self.assertEqual(romeo.received(), [])

    def test_probe(self) -> None:
        """An occupant is shown another one whom they ask for, a stranger is not (RM-18)."""
        romeo, juliet = self.opened("romeo", "juliet")
        nurse = self.client("nurse")
        for client in (romeo, nurse):
            client.send(f"<presence to='{ORCHARD}/Juliet' type='probe'/>")
        (seen,) = romeo.received()
        self.assertIn(f"from='{ORCHARD}/Juliet'", seen)
        self.assertEqual(nurse.received(), [])
        self.assertEqual(juliet.received(), [])


class LeavingTests(RoomsCase):
    def test_goodbye(self) -> None:
        """Who leaves is seen to leave, with what they say last (RM-19)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send(
            f"<presence to='{ORCHARD}/Juliet' type='unavailable'><status>Good night</status>"
            "</presence>"
        )
        (seen,), (own,) = romeo.received(), juliet.received()
        self.assertIn("<status>Good night</status>", seen)
        self.assertIn("role='none'", seen)
        self.assertEqual(codes(own), {110})

    def test_ends(self) -> None:
        """Who loses the connection has left (RM-33)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.abort()
        (seen,) = romeo.received()
        self.assertIn("type='unavailable'", seen)

    def test_not_in(self) -> None:
        """A goodbye to a room in which one is not is nothing (RM-19)."""
        (romeo,) = self.opened("romeo")
        juliet = self.client("juliet")
        juliet.send(f"<presence to='{ORCHARD}/Juliet' type='unavailable'/>")
        self.assertEqual(juliet.received() + romeo.received(), [])

    def test_last(self) -> None:
        """A room that is not to stay is gone when the last one has left it."""
        (romeo,) = self.opened("romeo")
        romeo.send(f"<presence to='{ORCHARD}/Romeo' type='unavailable'/>")
        romeo.raw()
        self.assertIn(201, codes(self.enter(self.client("juliet"), "Juliet")[0]))


class SeveralSessionsTests(RoomsCase):
    def test_second(self) -> None:
        """Two sessions of an account under one nick are one occupant (RM-15)."""
        romeo, phone = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        received = self.enter(desk, "Juliet")
        self.assertEqual([codes(each) for each in received], [set(), {110}, set()])
        self.assertEqual(len(romeo.received()), 1)
        phone.raw()
        phone.send(f"<presence to='{ORCHARD}/Juliet' type='unavailable'/>")
        (own,) = phone.received()
        self.assertEqual(codes(own), {110})
        self.assertEqual(romeo.received(), [], "desk stays, and is the one that is seen")

    def test_priority(self) -> None:
        """Others see the session of the highest priority, then the newest (RM-15)."""
        romeo, phone = self.opened("romeo", "juliet")
        phone.send(
            f"<presence to='{ORCHARD}/Juliet'><show>away</show><priority>5</priority></presence>"
        )
        romeo.raw()
        desk = self.client("juliet/desk")
        self.enter(desk, "Juliet")
        self.assertEqual(romeo.received(), [])
        phone.send(f"<presence to='{ORCHARD}/Juliet' type='unavailable'/>")
        (seen,) = romeo.received()
        self.assertNotIn("type='unavailable'", seen)
        self.assertNotIn("away", seen)

    def test_two_nicks(self) -> None:
        """Two nicks of an account are two occupants (RM-16)."""
        romeo, _ = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        self.enter(desk, "Desk")
        (seen,) = romeo.received()
        self.assertIn(f"from='{ORCHARD}/Desk'", seen)

    def test_one_renames(self) -> None:
        """One of two sessions that takes another nick leaves the old one to the other (RM-17)."""
        romeo, phone = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        self.enter(desk, "Juliet")
        romeo.raw(), phone.raw()
        phone.send(f"<presence to='{ORCHARD}/Phone'/>")
        self.assertEqual([codes(each) for each in phone.received()], [{110, 303}, {110}])
        (seen,) = romeo.received()
        self.assertIn(f"from='{ORCHARD}/Phone'", seen)

    def test_joins_the_other(self) -> None:
        """A session that takes the nick of its other session is shown itself, and others see one
        leave (RM-17).
        """
        romeo, phone = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        self.enter(desk, "Desk")
        romeo.raw(), phone.raw(), desk.raw()
        phone.send(f"<presence to='{ORCHARD}/Desk'><priority>-1</priority></presence>")
        gone, own = phone.received()
        self.assertEqual((codes(gone), codes(own)), ({110, 303}, {110}))
        (seen,) = romeo.received()
        self.assertEqual(codes(seen), {303})


class BlockedTests(RoomsCase):
    """People of some servers enter no room."""

    def config(self) -> Config:
        return rooms_config(create="all", blocked_domains=("capulet.lit",))

    def test_blocked(self) -> None:
        """They enter no room, and make none (RM-10)."""
        (romeo,) = self.opened("romeo")
        elsewhere = Elsewhere(self.house)
        for domain, room, expected in (
            ("capulet.lit", ORCHARD, "not-allowed"),
            ("capulet.lit", f"cave@{SERVICE}", "not-allowed"),
            ("verona.lit", ORCHARD, None),
        ):
            elsewhere.send(
                f"<presence from='t@{domain}/1' to='{room}/T'><x xmlns='{MUC}'/></presence>"
            )
            heard = elsewhere.heard()
            self.assertEqual(f"<{expected} " in heard[0], expected is not None, heard[0])
        (seen,) = romeo.received()
        self.assertIn("t@verona.lit/1", seen)
