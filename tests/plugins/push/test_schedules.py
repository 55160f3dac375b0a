"""Push under whatever happens to a phone: nothing is told twice, and nothing is missed."""

from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from tests.plugins.push.service import LATE_S, MARKER, ROMEO, PushCase, message
from xmppd.testing.client import Client

STEPS = st.lists(
    st.one_of(
        st.sampled_from(("send", "send", "ack", "lose", "back", "leave", "come", "see")),
        st.sampled_from((1, 10, 30, 1_000)),
    ),
    max_size=20,
)


class ScheduleTests(PushCase):
    """Juliet's phone loses its connection, comes back, leaves; sometimes she reads at her desk."""

    settings = {"min_gap_s": 0, "include": "body"}

    def begin(self) -> None:
        """Juliet has a phone and a desk, and Romeo has said nothing yet."""
        self.setUp()
        self.juliet: Client = self.phone()
        self.sit_down()
        self.sent = 0
        self.told: list[str] = []
        self.missed = ""  # what was said last, if her phone may not have got it

    def sit_down(self) -> None:
        """At her desk she is sent nothing itself, so that what her phone gives back is stored."""
        (self.desk,) = self.house.connect("juliet/desk")
        self.desk.send("<presence><priority>-1</priority></presence>")

    def step(self, what: str | int) -> None:
        """Something happens, if it can."""
        session = self.juliet.session
        if isinstance(what, int):
            self.wait(what)
            if self.romeo.closed:  # everybody was silent for too long
                (self.romeo,) = self.house.connect("romeo")
                self.sit_down()
        elif what == "send":
            self.sent += 1
            self.missed = f"text {self.sent}"
            self.send(f"<body>{self.missed}</body>", id=str(self.sent))
        elif what == "see":
            self.desk.send(message(ROMEO, MARKER))
            self.missed = ""
        elif what == "come" and session.closed:
            (self.juliet,) = self.house.connect("juliet/phone")
            self.resume_id = self.juliet.enable()
        elif what == "back" and session.detached and not session.closed:
            self.juliet = self.back(self.juliet)
            self.missed = ""
        elif not self.juliet.closed:
            self.connected(what)
        self.listen()

    def connected(self, what: str) -> None:
        """Something happens to a phone that is connected."""
        if what == "ack":
            self.ack(self.juliet)
            self.missed = ""
        elif what == "lose":
            self.juliet.abort()
            self.wait(0)
        elif what == "leave":
            self.juliet.send("</stream:stream>")

    def listen(self) -> None:
        """Hear what the service is told."""
        bodies = [told.body for told in self.service.heard()]
        self.told += [body for body in bodies if body is not None]

    @tries(max_examples=60, deadline=None)
    @given(STEPS)
    def test_schedules(self, steps: list[str | int]) -> None:
        """Each message is told once at most; the last one is, if nobody has got or seen it."""
        self.begin()
        for what in steps:
            self.step(what)
        self.step(int(LATE_S) + 1)
        self.assertEqual(len(set(self.told)), len(self.told), str((steps, self.told)))
        if self.missed:
            self.assertIn(self.missed, self.told, str(steps))
