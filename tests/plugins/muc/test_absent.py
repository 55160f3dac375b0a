"""Tests of occupants who cannot be reached any more."""

from tests.plugins.muc.halls import MUC, ORCHARD, RoomsCase, codes, rooms_config
from xmppd.config.config import Config
from xmppd.testing.client import Elsewhere, done

TYBALT = "tybalt@capulet.lit/1"


def error(tag: str, kind: str = "message", text: str = "") -> str:
    """An error of tybalt's for something of the room."""
    inner = f"<{tag} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    if text:
        inner += f"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{text}</text>"
    return (
        f"<{kind} type='error' from='{TYBALT}' to='{ORCHARD}/Romeo'>"
        f"<error type='cancel'>{inner}</error></{kind}>"
    )


class AbsentCase(RoomsCase):
    """Tybalt, of another server, is in the orchard."""

    def setUp(self) -> None:
        super().setUp()
        (self.romeo,) = self.opened("romeo")
        self.elsewhere = Elsewhere(self.house)
        self.come()

    def come(self) -> None:
        self.elsewhere.send(
            f"<presence from='{TYBALT}' to='{ORCHARD}/Tybalt'><x xmlns='{MUC}'/></presence>"
        )
        self.elsewhere.heard()
        self.romeo.raw()

    def left(self) -> list[set[int]]:
        """The codes with which somebody was seen to leave."""
        return [codes(each) for each in self.romeo.received() if "unavailable" in each]


class ErrorTests(AbsentCase):
    def test_gone(self) -> None:
        """Who is not there any more leaves, with 333, and the text of the error (RM-30)."""
        self.elsewhere.send(error("item-not-found", text="no such client"))
        (gone,) = self.romeo.received()
        self.assertEqual(codes(gone), {333})
        self.assertIn("<status>no such client</status>", gone)

    def test_long_text(self) -> None:
        """Of the text no more than 256 bytes are said (RM-30)."""
        self.elsewhere.send(error("gone", text="\N{EURO SIGN}" * 1_000))
        (gone,) = self.romeo.received()
        self.assertIn("\N{EURO SIGN}" * 85 + "<", gone)

    def test_others(self) -> None:
        """Another error, or one of a request, sends nobody away (RM-30)."""
        self.elsewhere.send(error("policy-violation"))
        self.elsewhere.send(error("service-unavailable", "iq").replace("<iq", "<iq id='1'"))
        self.assertEqual(self.romeo.received(), [])

    def test_of_a_stranger(self) -> None:
        """An error of who is not in says nothing (RM-33)."""
        self.elsewhere.send(error("gone").replace(TYBALT, "paris@capulet.lit/1"))
        self.assertEqual(self.romeo.received(), [])


class LostServerTests(AbsentCase):
    def config(self) -> Config:
        return rooms_config(lost_server_s=60.0)

    def lose(self) -> None:
        self.elsewhere.lose("capulet.lit", ORCHARD.partition("@")[2])

    def test_all_leave(self) -> None:
        """People of a server that stays lost leave together (RM-31)."""
        self.lose()
        self.house.clock.advance(59)
        self.assertEqual(self.left(), [])
        self.house.clock.advance(1)
        self.assertEqual(self.left(), [{333}])

    def test_heard_again(self) -> None:
        """Who is heard again meanwhile stays (RM-31)."""
        self.lose()
        self.house.clock.advance(30)
        self.elsewhere.send(f"<presence from='{TYBALT}' to='{ORCHARD}/Tybalt'/>")
        self.romeo.raw()
        self.house.clock.advance(60)
        self.assertEqual(self.left(), [])

    def test_later_loss(self) -> None:
        """A server that is lost a moment later has all the time that there is, too (RM-31)."""
        self.elsewhere.lose("mantua.lit", ORCHARD.partition("@")[2])
        self.house.clock.advance(30)
        self.lose()
        self.house.clock.advance(59)
        self.assertEqual(self.left(), [])
        self.house.clock.advance(1)
        self.assertEqual(self.left(), [{333}])

    def test_of_another_domain(self) -> None:
        """That a server does not speak to the accounts here any more says nothing of the rooms."""
        self.elsewhere.lose("capulet.lit", "montague.lit")
        self.house.clock.advance(120)
        self.assertEqual(self.left(), [])


class SilentTests(AbsentCase):
    def wait(self, minutes: int) -> None:
        """Let time pass; romeo is there all the while."""
        for _ in range(minutes):
            self.house.clock.advance(60)
            self.romeo.send(" ")

    def asked(self) -> list[str]:
        """The first ping, when an hour is over."""
        self.wait(60)
        self.house.clock.advance(1)
        return self.pinged()

    def pinged(self) -> list[str]:
        """Pings of the room to tybalt, by their ids."""
        return [
            each.partition(" id='")[2].partition("'")[0]
            for each in self.elsewhere.heard()
            if "urn:xmpp:ping" in each
        ]

    def test_answers(self) -> None:
        """Who has said nothing for an hour is asked, and stays if there is an answer, also one
        that says that it knows no such question (RM-32).
        """
        (id,) = self.asked()
        self.elsewhere.send(error("service-unavailable", "iq").replace("<iq", f"<iq id='{id}'"))
        self.wait(10)
        self.assertEqual(self.pinged(), [])
        self.assertEqual(self.left(), [])

    def test_is_gone(self) -> None:
        """Whose server knows nothing of them leaves (RM-32)."""
        (id,) = self.asked()
        answer = error("item-not-found", "iq").replace("<iq", f"<iq id='{id}'")
        self.elsewhere.send(answer.replace(f"{ORCHARD}/Romeo", ORCHARD))
        self.assertEqual(self.left(), [{333}])

    def test_never_answers(self) -> None:
        """Who does not answer twice leaves (RM-32)."""
        self.asked()
        self.wait(1)
        self.assertEqual(self.left(), [])
        self.wait(2)
        self.assertEqual(self.left(), [{333}])

    def test_ours(self) -> None:
        """Nobody of ours is asked: we are told when they go (RM-33)."""
        self.wait(62)
        self.assertEqual([each for each in self.romeo.received() if "ping" in each], [])


class StopTests(RoomsCase):
    def test_unloaded(self) -> None:
        """When there are no rooms any more, everybody is told so (RM-56)."""
        romeo, juliet = self.opened("romeo", "juliet")
        done(self.house.plugins.unload("muc"))
        for client in (romeo, juliet):
            (own,) = client.received()
            self.assertEqual(codes(own), {110, 332})
