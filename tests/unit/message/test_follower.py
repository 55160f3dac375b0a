"""Those who follow messages: whom they are asked for, and when."""

import gc
from typing import ClassVar
from weakref import WeakKeyDictionary

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_carbons import carbons_of, in_a_word
from xmppd.config.config import OfflineSettings
from xmppd.message.decision import Cell
from xmppd.message.follower import ANSWERED, Course, Follower
from xmppd.stanza import JID, Message
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"


def text(to: str, kind: str = "chat", content: str = "<body>Wherefore?</body>") -> str:
    """A message as a client writes it."""
    return f"<message to='{to}' type='{kind}'>{content}</message>"


class Notes(Follower):
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []
        self.courses: list[Course] = []

    def prepare(self, course: Course) -> None:
        self._note("prepare", course)

    def follow(self, course: Course) -> None:
        self._note("follow", course)
        self.courses.append(course)

    def _note(self, word: str, course: Course) -> None:
        account = course.account.partition("@")[0]
        self.asked.append(
            (word, "sender" if course.is_sent else "recipient", account, course.decision.cell.value)
        )

    def take(self) -> list[tuple[str, str, str, str]]:
        """What it was asked since it was last looked at."""
        asked, self.asked = self.asked, []
        return asked


class NotesOfAll(Notes):
    """The same of everybody."""

    of_all: ClassVar[bool] = True


class Stamping(Follower):
    """Puts a stamp into what it prepares."""

    def prepare(self, course: Course) -> None:
        course.message = course.message.with_child(b"<stamp/>")


class Failing(Follower):
    """Fails whatever it is asked."""

    def prepare(self, course: Course) -> None:
        raise ZeroDivisionError

    follow = prepare

    async def explain(self, course: Course) -> list[object]:  # type: ignore[override]
        raise ZeroDivisionError


class FollowerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(DOMAIN, plugins=("carbons", "blocking"), romeo={}, juliet={}, nurse={})
        self.followers = self.house.server.followers
        self.romeo, self.juliet = self.house.connect("romeo/orchard", "juliet/balcony")
        self.notes = Notes()
        self.followers.put(self.notes, "notes")
        self.received()

    def received(self) -> list[str]:
        """What Juliet's balcony got."""
        self.romeo.raw()
        return self.juliet.received()


class EndsTests(FollowerCase):
    """At which end a follower is asked, and what it is told."""

    def test_nobody(self) -> None:
        """Of accounts that it does not watch, it hears nothing."""
        self.followers.watch(self.notes, f"nurse@{DOMAIN}")
        self.romeo.send(text(JULIET))
        self.assertEqual(self.notes.take(), [])

    def test_sender(self) -> None:
        """At the sender's end a message is on its way, whatever becomes of it."""
        self.followers.watch(self.notes, ROMEO)
        there = Cell.HANDED_ON.value
        for to in (JULIET, f"{JULIET}/gone", "nobody@elsinore.lit", f"nobody@{DOMAIN}"):
            self.romeo.send(text(to))
            asked = [each for each in self.notes.take() if each[1] == "sender"]
            expected = [(word, "sender", "romeo", there) for word in ("prepare", "follow")]
            self.assertEqual(asked, expected)

    def test_recipient(self) -> None:
        """At the recipient's it was delivered, stored or dropped."""
        for account in (JULIET, f"nurse@{DOMAIN}"):
            self.followers.watch(self.notes, account)
        for to, kind, name, letter in (
            (JULIET, "chat", "juliet", "D"),
            (f"{JULIET}/balcony", "groupchat", "juliet", "D"),
            (f"{JULIET}/gone", "headline", "juliet", "S"),
            (f"nurse@{DOMAIN}", "chat", "nurse", "O"),
            (f"nurse@{DOMAIN}", "headline", "nurse", "S"),
        ):
            self.romeo.send(text(to, kind))
            expected = [(word, "recipient", name, letter) for word in ("prepare", "follow")]
            self.assertEqual(self.notes.take(), expected)

    def test_got(self) -> None:
        """It is told which sessions have it."""
        self.house.connect("juliet/tomb")
        self.followers.watch(self.notes, JULIET)
        self.romeo.send(text(JULIET))
        self.romeo.send(text(f"{JULIET}/balcony"))
        forked, single = self.notes.courses
        self.assertEqual((len(forked.got), len(single.got)), (2, 1))
        assert forked.copies is not None and single.copies is not None
        self.assertEqual((forked.copies.left, single.copies.left), (2, 1))

    def test_settled(self) -> None:
        """What is not worth storing was dropped, and that is what is told."""
        self.followers.watch(self.notes, f"nurse@{DOMAIN}")
        state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        self.romeo.send(text(f"nurse@{DOMAIN}", content=state))
        self.assertEqual([letter for *_, letter in self.notes.take()], ["O", "S"])

    def test_bounced(self) -> None:
        """Of what comes back its recipient's followers hear nothing, and its sender's hear that."""
        for account in (ROMEO, JULIET):
            self.followers.watch(self.notes, account)
        self.romeo.send(text(JULIET, "groupchat"))
        ends = [(word, end, name) for word, end, name, _ in self.notes.take()]
        self.assertEqual(
            ends,
            [
                ("prepare", "sender", "romeo"), ("follow", "sender", "romeo"),
                ("prepare", "recipient", "romeo"), ("follow", "recipient", "romeo"),
            ],
        )  # fmt: skip
        self.assertIs(self.notes.courses[-1].decision, ANSWERED)

    def test_full(self) -> None:
        """Nor is what the store refuses followed."""
        self.house.server.offline_message_strategy.use(OfflineSettings(max_messages=0))
        self.followers.watch(self.notes, f"nurse@{DOMAIN}")
        self.romeo.send(text(f"nurse@{DOMAIN}"))
        self.assertEqual([word for word, *_ in self.notes.take()], ["prepare"])

    def test_own_account(self) -> None:
        """A message to the own account has one end."""
        self.followers.watch(self.notes, ROMEO)
        for to in (ROMEO, f"{ROMEO}/orchard"):
            self.romeo.send(text(to))
            self.assertEqual([end for _, end, _, _ in self.notes.take()], ["recipient"] * 2)

    def test_given_back(self) -> None:
        """What a session had not read is followed again where it goes, not where it came from."""
        for account in (ROMEO, JULIET):
            self.followers.watch(self.notes, account)
        self.juliet.stop_reading()
        self.romeo.send(text(JULIET))
        self.notes.take()
        self.juliet.abort()
        self.assertEqual(
            self.notes.take(),
            [("prepare", "recipient", "juliet", "O"), ("follow", "recipient", "juliet", "O")],
        )

    def test_again(self) -> None:
        """Its recipient's end can tell that it has followed it before, however it was delivered."""
        self.followers.watch(self.notes, JULIET)
        for managed in (True, False):
            with self.subTest(managed=managed):
                if managed:
                    self.juliet.enable("resume='false'")
                self.juliet.stop_reading()
                self.romeo.send(text(f"{JULIET}/balcony"))
                self.juliet.abort()
                self.assertEqual([each.is_again for each in self.notes.courses], [False, True])
                self.notes.courses.clear()
                (self.juliet,) = self.house.connect("juliet/balcony")

    def test_bounced_again(self) -> None:
        """What a follower remembers with the course of a message goes with it, followed or not."""
        remembered = WeakKeyDictionary[Course, str]()
        self.notes.prepare = lambda course: remembered.__setitem__(course, "x")  # type: ignore[method-assign]
        self.followers.watch(self.notes, f"nobody@{DOMAIN}")
        self.romeo.send(text(f"nobody@{DOMAIN}"))
        self.assertIn("service-unavailable", self.romeo.received()[-1])
        gc.collect()
        self.assertEqual(len(remembered), 0)

    def test_refused(self) -> None:
        """What the sender's own list stops was not sent."""
        block = f"<block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block>"
        self.romeo.send(f"<iq type='set' id='b'>{block}</iq>")
        self.followers.watch(self.notes, ROMEO)
        self.romeo.send(text(JULIET))
        self.assertEqual([end for _, end, _, _ in self.notes.take()], ["recipient"] * 2)


class PlaceTests(FollowerCase):
    """Being put in place, and taken out."""

    def test_one_look_up(self) -> None:
        """An account has one entry, whoever watches it, and none when nobody does any more."""
        others = [Notes(), Notes()]
        for each in others:
            self.followers.put(each, "others")
        for each in (self.notes, *others, *others):
            self.followers.watch(each, JULIET)
        self.assertEqual(self.followers.of[JULIET].following, (self.notes, *others))
        for each in (self.notes, *others, *others):
            self.followers.unwatch(each, JULIET)
        self.assertEqual(self.followers.of, {})

    def test_of_all(self) -> None:
        """Who follows all is asked for each account of ours, and for nobody else's."""
        everything = NotesOfAll()
        take_out = self.followers.put(everything, "archive")
        self.assertEqual(self.followers.of, {})
        self.romeo.send(text(JULIET))
        accounts = [(end, name) for word, end, name, _ in everything.take() if word == "follow"]
        self.assertEqual(accounts, [("sender", "romeo"), ("recipient", "juliet")])
        self.romeo.send(text("nobody@elsinore.lit", "headline"))
        ends = [end for word, end, _, _ in everything.take() if word == "follow"]
        self.assertEqual(ends[0], "sender")
        self.followers.watch(self.notes, JULIET)
        self.assertEqual(self.followers.of[JULIET].following, (self.notes, everything))
        take_out()
        self.assertEqual(self.followers.of[JULIET].following, (self.notes,))
        self.assertIsNone(self.followers.of_all)

    def test_taken_out(self) -> None:
        """Who is taken out is asked no more."""
        stamping = Stamping()
        take_out = self.followers.put(stamping, "stamps")
        self.followers.watch(stamping, JULIET)
        take_out()
        self.romeo.send(text(JULIET))
        self.assertNotIn("stamp", self.received()[0])
        self.assertEqual(self.followers.of, {})

    def test_watched_before(self) -> None:
        """An account that is named before the follower is in its place is followed then."""
        late = Notes()
        self.followers.watch(late, JULIET)
        self.assertEqual(self.followers.of, {})
        self.followers.put(late, "late")
        self.assertEqual(self.followers.of[JULIET].following, (late,))


class PrepareTests(FollowerCase):
    """A follower that changes bytes."""

    def setUp(self) -> None:
        super().setUp()
        stamping = Stamping()
        self.followers.put(stamping, "stamps")
        for account in (JULIET, f"nurse@{DOMAIN}"):
            self.followers.watch(stamping, account)

    def test_delivered(self) -> None:
        """What is delivered to one session or several is what was prepared; also what is copied."""
        (tomb,) = self.house.connect("juliet/tomb")
        carbons_of(self.house).enable(tomb.session)
        self.received()
        self.romeo.send(text(JULIET))
        self.romeo.send(text(f"{JULIET}/balcony"))
        self.assertEqual([each.count("<stamp/>") for each in self.received()], [1, 1])
        itself, copy = tomb.received()[-2:]
        self.assertEqual((in_a_word(itself), in_a_word(copy)), ("itself", "received"))
        self.assertEqual((itself.count("<stamp/>"), copy.count("<stamp/>")), (1, 1))

    def test_stored(self) -> None:
        """So it is with what is stored, once."""
        self.romeo.send(text(f"nurse@{DOMAIN}"))
        (stored,) = done(self.house.store.offline.offline_messages(f"nurse@{DOMAIN}"))
        self.assertEqual(stored.stanza.count(b"<stamp/>"), 1)

    def test_given_back(self) -> None:
        """What a session gives back stays what it is to the server: it is not stamped again."""
        self.juliet.enable("resume='false'")
        self.romeo.send(text(JULIET))
        self.juliet.abort()
        (stored,) = done(self.house.store.offline.offline_messages(JULIET))
        self.assertEqual(stored.stanza.count(b"<delay"), 1)

    def test_sent(self) -> None:
        """What is prepared for the sender's account is what that sees, and nobody else."""
        stamping = Stamping()
        self.followers.put(stamping, "more")
        self.followers.watch(stamping, ROMEO)
        (hall,) = self.house.connect("romeo/hall")
        carbons_of(self.house).enable(hall.session)
        hall.raw()
        self.romeo.send(text(f"{JULIET}/balcony"))
        (copy,) = hall.received()
        self.assertEqual((in_a_word(copy), copy.count("<stamp/>")), ("sent", 1))
        self.assertEqual(self.received()[-1].count("<stamp/>"), 1)


class FailingTests(FollowerCase):
    """A follower with a bug."""

    def setUp(self) -> None:
        super().setUp()
        failing = Failing()
        self.followers.put(failing, "buggy")
        for account in (ROMEO, JULIET, f"nurse@{DOMAIN}"):
            self.followers.watch(failing, account)

    def check(self, client: Client, count: int) -> None:
        errors = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(len(errors), count)

    def test_delivered(self) -> None:
        """It costs a line of the log each time, and nobody a message."""
        self.romeo.send(text(JULIET))
        self.assertEqual(len(self.received()), 1)
        self.check(self.romeo, 4)

    def test_stored(self) -> None:
        """Nor is one not stored, or one that watches with it not asked."""
        self.followers.watch(self.notes, f"nurse@{DOMAIN}")
        self.romeo.send(text(f"nurse@{DOMAIN}"))
        self.assertEqual(len(done(self.house.store.offline.offline_messages(f"nurse@{DOMAIN}"))), 1)
        self.assertEqual([word for word, *_ in self.notes.take()], ["prepare", "follow"])
        self.check(self.romeo, 4)

    def test_explained(self) -> None:
        """Others explain themselves all the same."""
        message = Message.make(JID.parse(JULIET), JID.parse(ROMEO), b"<body/>", type="chat")
        decision = self.house.server.message_router.decide(message)
        course = Course(message, message.payload.tree, JULIET, decision)
        self.assertEqual(done(self.followers.explain(course)), [])
        self.check(self.romeo, 1)
