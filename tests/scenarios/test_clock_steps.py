"""The time of day is set, forward or back, while the server runs: nobody notices.

Each story is told once with nothing done to the clock, and once for each step; what everybody sees
is the same.
"""

import re
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.stanza.date_time import date_time
from xmppd.testing import Client, House, done

DOMAIN = "montague.lit"
JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
DAY_S, HOUR_S = 86_400.0, 3_600.0
STEPS_S = (-DAY_S, -2 * HOUR_S, -60.0, 60.0, 2 * HOUR_S, DAY_S)

Step = Callable[[House], None]


def message(text: str, to: str = JULIET) -> str:
    """A message that says something."""
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


def nothing(house: House) -> None:
    """Leave the clock alone."""


def bodies(client: Client) -> list[str]:
    """What the messages say that came since somebody looked."""
    return re.findall("<body>(.*?)</body>", client.raw().decode())


class StepCase(SynchronousTestCase):
    """What steps of the clock are compared with."""

    def assert_unnoticed(self, story: Callable[[Step], object]) -> None:
        """What everybody saw is the same, whatever was done to the clock."""
        usual = story(nothing)
        for step_s in STEPS_S:

            def step(house: House, by_s: float = step_s) -> None:
                house.wall_ahead_s += by_s

            with self.subTest(step_s=step_s):
                self.assertEqual(story(step), usual)

    def people(self) -> tuple[House, Client, Client]:
        """Romeo and Juliet, who see each other."""
        house = House(DOMAIN, romeo={"juliet": "both"}, juliet={"romeo": "both"})
        romeo, juliet = house.connect("romeo", "juliet")
        romeo.raw()
        return house, romeo, juliet

    def wait(self, house: House, seconds: int) -> None:
        """Let time pass, with what is done meanwhile."""
        for _ in range(seconds):
            house.clock.advance(1)


class ResumptionTests(StepCase):
    def test_asleep(self) -> None:
        """A session sleeps for the time agreed on, no less and no more."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            juliet.enable("resume='true' max='120'")
            juliet.lose()
            step(house)
            self.wait(house, 100)
            asleep = len(house.server.sleepers)
            step(house)
            self.wait(house, 40)
            return asleep, len(house.server.sleepers), romeo.received()

        self.assertEqual(story(nothing)[:2], (1, 0))  # type: ignore[index]
        self.assert_unnoticed(story)

    def test_restart(self) -> None:
        """So it is when the server is stopped and started meanwhile."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            id = juliet.enable("resume='true' max='120'")
            romeo.send(message("a"))
            juliet.lose()
            self.wait(house, 30)
            house = house.restarted()
            step(house)
            self.wait(house, 30)
            house = house.restarted()
            juliet = house.logged_in("juliet")
            back = juliet.resume(id, 0)
            return len(house.server.sleepers), back[0][:9], "<body>a<" in back[1]

        self.assert_unnoticed(story)

    def test_stopped(self) -> None:
        """So it is when the clock is set while the server is down, and that time counts."""
        for down_s, left in ((60, 1), (110, 0)):

            def story(step: Step, down_s: int = down_s) -> object:
                house, _, juliet = self.people()
                juliet.enable("resume='true' max='120'")
                juliet.lose()
                house.shut_down()
                house.clock.advance(down_s)
                step(house)
                house = house.again()
                self.wait(house, 16)
                return len(house.server.sleepers)

            self.assertEqual(story(nothing), left)
            self.assert_unnoticed(story)

    def test_stamps(self) -> None:
        """A message that waited says how long ago it came, by the clock as it is now."""
        house, romeo, juliet = self.people()
        id = juliet.enable()
        juliet.lose()
        romeo.send(message("a"))
        house.clock.advance(100)
        house.wall_ahead_s += DAY_S
        (came,) = [s for s in house.logged_in("juliet").resume(id, 0) if "<body>" in s]
        self.assertIn(f"stamp='{date_time(house.wall_clock() - 100)}'", came)


class CustodyTests(StepCase):
    def test_killed(self) -> None:
        """What a sender was told is handled is in the store, whenever it came."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            romeo.enable()
            juliet.enable()
            for text in "abc":
                romeo.send(message(text))
                step(house)
            romeo.send(f"<r {SM}/>")
            romeo.send(message("d"))
            step(house)
            romeo.send(f"<r {SM}/>")
            stored = done(house.again().store.offline_messages(JULIET))
            return re.findall("<body>(.*?)</body>", str([each.stanza for each in stored]))

        self.assertEqual(story(nothing), ["a", "b", "c", "d"])
        self.assert_unnoticed(story)

    def test_asked(self) -> None:
        """A client is asked what it has got after the same time."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            juliet.enable()
            romeo.send(message("a"))
            juliet.raw()
            step(house)
            asked = []
            for _ in range(60):
                house.clock.advance(1)
                asked.append(b"<r " in juliet.raw())
            return asked.index(True)

        self.assert_unnoticed(story)
