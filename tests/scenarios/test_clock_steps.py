"""The time of day is set, forward or back, while the server runs: nobody notices.

Each story is told once with nothing done to the clock, and once for each step; what everybody sees
is the same.
"""

import re
from collections.abc import Callable, Mapping

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from xmppd.auth.base import SASLError
from xmppd.message.held_messages import GAP_S
from xmppd.stanza import ns
from xmppd.stanza.date_time import date_time
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate

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


def _sent_away(failure: Failure) -> None:
    failure.trap(SASLError, CancelledError)


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

    def people(self, **tables: Mapping[str, object]) -> tuple[House, Client, Client]:
        """Romeo and Juliet, who see each other; the configuration may differ."""
        house = House(
            DOMAIN,
            config=house_config(DOMAIN, **tables),
            plugins=("last_activity",),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
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
            juliet.abort()
            step(house)
            self.wait(house, 100)
            detached = len(house.server.resumable_sessions)
            step(house)
            self.wait(house, 40)
            return detached, len(house.server.resumable_sessions), romeo.received()

        self.assertEqual(story(nothing)[:2], (1, 0))  # type: ignore[index]
        self.assert_unnoticed(story)

    def test_restart(self) -> None:
        """So it is when the server is stopped and started meanwhile."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            id = juliet.enable("resume='true' max='120'")
            romeo.send(message("a"))
            juliet.abort()
            self.wait(house, 30)
            house = house.restarted()
            step(house)
            self.wait(house, 30)
            house = house.restarted()
            juliet = house.logged_in("juliet")
            back = juliet.resume(id, 0)
            return len(house.server.resumable_sessions), back[0][:9], "<body>a<" in back[1]

        self.assert_unnoticed(story)

    def test_stopped(self) -> None:
        """So it is when the clock is set while the server is down, and that time counts."""
        for down_s, left in ((60, 1), (110, 0)):

            def story(step: Step, down_s: int = down_s) -> object:
                house, _, juliet = self.people()
                juliet.enable("resume='true' max='120'")
                juliet.abort()
                house.stop_and_wait()
                house.clock.advance(down_s)
                step(house)
                house = house.again()
                self.wait(house, 16)
                return len(house.server.resumable_sessions)

            self.assertEqual(story(nothing), left)
            self.assert_unnoticed(story)

    def test_stamps(self) -> None:
        """A message that waited says how long ago it came, by the clock as it is now."""
        house, romeo, juliet = self.people()
        id = juliet.enable()
        juliet.abort()
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
            house.clock.advance(GAP_S)
            stored = done(house.again().store.offline.offline_messages(JULIET))
            return re.findall("<body>(.*?)</body>", str([each.stanza for each in stored]))

        self.assertEqual(story(nothing), ["a", "b", "c", "d"])
        self.assert_unnoticed(story)

    def test_asked(self) -> None:
        """A client is asked what it has got after the same time."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            juliet.enable()
            romeo.send(f"<iq type='get' id='q' to='{JULIET}/1'><query xmlns='urn:x'/></iq>")
            juliet.raw()
            step(house)
            asked = []
            for _ in range(60):
                house.clock.advance(1)
                asked.append(b"<r " in juliet.raw())
            return asked.index(True)

        self.assert_unnoticed(story)


class ConnectedTests(StepCase):
    def test_throttled(self) -> None:
        """Who sends too fast is read at the same rate as before."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people(stream={"stanzas_per_s": 1.0, "stanzas_burst": 2})
            romeo.send("".join(map(message, "abcdefgh")))
            step(house)
            read = []
            for _ in range(6):
                house.clock.advance(1)
                read.append("".join(bodies(juliet)))
                romeo.send(message("x"))
            return read

        self.assert_unnoticed(story)

    def test_throttled_in_bytes(self) -> None:
        """So it is with who sends too much."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people(stream={"bytes_per_s": 100.0, "bytes_burst": 100})
            romeo.send(message("a" * 300))
            romeo.send(message("b"))
            step(house)
            read = []
            for _ in range(9):
                house.clock.advance(1)
                read.append("".join(bodies(juliet)))
            return read

        self.assert_unnoticed(story)

    def test_silent(self) -> None:
        """Who is silent is pinged, and given up, after the same time."""

        def story(step: Step) -> object:
            house, _, juliet = self.people(
                stream={"idle_timeout_s": 60.0, "ping_timeout_s": 20.0, "close_timeout_s": 5.0}
            )
            seen = []
            for second in range(120):
                if second in (10, 70, 85):
                    step(house)
                house.clock.advance(1)
                seen.append((b"are-you-there" in juliet.raw(), juliet.closed))
            return [second for second, what in enumerate(seen) if what != seen[second - 1]]

        self.assert_unnoticed(story)

    def test_stranger(self) -> None:
        """Who does not log in is sent away after the same time."""

        def story(step: Step) -> object:
            house, _, _ = self.people(stream={"negotiation_timeout_s": 30.0})
            stranger = house.unauthenticated()
            stranger.open(DOMAIN)
            step(house)
            seconds = 0
            while not stranger.transport.lost:
                house.clock.advance(1)
                seconds += 1
            return seconds

        self.assert_unnoticed(story)

    def test_waits_for_its_turn(self) -> None:
        """Who waits until others have logged in is let in at the same time."""

        def story(step: Step) -> list[int]:
            house, _, _ = self.people()
            window = house.server.client_connections.login_queue.window
            window.size = 0.5
            strangers = [house.unauthenticated() for _ in range(3)]
            for stranger in strangers:
                stranger.open(DOMAIN)
            window.size = 0
            step(house)
            let_in = []
            for _ in range(240):
                house.clock.advance(0.05)
                window.size = 0  # and one more with the next tick: there is room for one
                let_in.append(sum(bool(stranger.raw()) for stranger in strangers))
            return let_in

        usual = story(nothing)
        self.assertEqual((usual[0], sum(usual)), (1, 3))
        self.assert_unnoticed(story)

    def test_guesses(self) -> None:
        """Who guesses waits as long for the next attempt as before."""

        def story(step: Step) -> object:
            house, _, _ = self.people()
            attempts = house.server.attempts
            for _ in range(9):
                done(attempts.failed(JULIET, "192.0.2.1"))
            step(house)
            let_in = []
            for _ in range(20):
                waiting = Deferred.fromCoroutine(attempts.turn(JULIET, "192.0.2.1"))
                outcome: list[object] = []
                waiting.addCallbacks(outcome.append, _sent_away)
                house.clock.advance(1)
                let_in.append(len(outcome))
                waiting.cancel()
            return let_in

        self.assert_unnoticed(story)

    def test_last_activity(self) -> None:
        """How long the server is up, and how long somebody has been away, is what it was."""

        def story(step: Step) -> list[str]:
            house, romeo, juliet = self.people()
            juliet.send("</stream:stream>")
            romeo.raw()
            house.clock.advance(50)
            step(house)
            house.clock.advance(50)
            answers = []
            query = "<query xmlns='jabber:iq:last'/>"
            for whom in (JULIET, DOMAIN):
                romeo.send(f"<iq type='get' id='1' to='{whom}'>{query}</iq>")
                answers += romeo.received()
            return answers

        juliet, server = story(nothing)
        self.assertIn("seconds='100'", juliet)
        self.assertIn("seconds='100'", server)
        self.assert_unnoticed(story)


class FloodTests(StepCase):
    def test_unanswered(self) -> None:
        """Messages that waited, and were not answered for, wait again after the same time."""

        def story(step: Step) -> object:
            house, romeo, juliet = self.people()
            juliet.send("</stream:stream>")
            for text in "ab":
                romeo.send(message(text))
                step(house)
            (juliet,) = house.connect("juliet/2")
            step(house)
            self.wait(house, 65)
            juliet.send("</stream:stream>")
            step(house)
            back = house.bind("juliet", "3")
            back.send("<presence/>")
            return bodies(back)

        self.assertEqual(story(nothing), ["a", "b"])
        self.assert_unnoticed(story)


class Silent(Protocol):
    """A server that takes what it is told and never answers."""

    def buildProtocol(self, addr: IAddress | None) -> "Silent":
        """There is one for all."""
        return self


class FederationTests(StepCase):
    def to_silence(self, **s2s: float) -> tuple[House, Client]:
        """Romeo, who writes to somebody whose server does not answer."""
        strict = {"require_tls": False, "require_valid_certificate": False}
        verona = House(DOMAIN, config=house_config(DOMAIN, s2s={**strict, **s2s}), romeo={})
        mantua = House("mantua.lit")
        federate(verona, mantua)
        self.patch(mantua.server.listeners, "listener", lambda listen: Silent())
        (romeo,) = verona.connect("romeo")
        romeo.send(message("a", "friar@mantua.lit"))
        return verona, romeo

    def came_back(self, house: House, romeo: Client, step: Step) -> list[int]:
        """In which seconds something comes back to Romeo."""
        came = []
        for second in range(100):
            if second in (3, 20, 50):
                step(house)
            house.clock.advance(1)
            if "<error" in romeo.raw().decode():
                came.append(second)
            if second == 60:
                romeo.send(message("b", "friar@mantua.lit"))
        return came

    def test_queued(self) -> None:
        """What waits for another server comes back after the same time."""

        def story(step: Step) -> object:
            house, romeo = self.to_silence(max_queue_age_s=10.0, connect_timeout_s=90.0)
            return self.came_back(house, romeo, step)

        self.assertTrue(story(nothing))
        self.assert_unnoticed(story)

    def test_given_up(self) -> None:
        """A server that does not answer is given up, and tried again, after the same time."""

        def story(step: Step) -> object:
            house, romeo = self.to_silence(max_queue_age_s=90.0, connect_timeout_s=10.0)
            return self.came_back(house, romeo, step)

        self.assertTrue(story(nothing))
        self.assert_unnoticed(story)

    def test_dialback(self) -> None:
        """Two servers reach each other, one by the time of yesterday."""
        for step_s in STEPS_S:
            with self.subTest(step_s=step_s):
                verona, mantua = House(DOMAIN, romeo={}), House("mantua.lit", friar={})
                federate(verona, mantua)
                (romeo,), (friar,) = verona.connect("romeo"), mantua.connect("friar")
                mantua.wall_ahead_s += step_s
                romeo.send(message("a", "friar@mantua.lit"))
                self.assertEqual(bodies(friar), ["a"])
                verona.wall_ahead_s += step_s
                friar.send(message("b", ROMEO))
                self.assertEqual(bodies(romeo), ["b"])
