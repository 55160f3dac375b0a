"""What services are told (PN-4), how often (PN-5), and which registrations end (PN-6, PN-7)."""

from collections.abc import Mapping

from msgspec import to_builtins

from tests.plugins.push.service import (
    BODY,
    DOMAIN,
    GAP_S,
    JULIET,
    NS,
    OPTIONS,
    PUBSUB,
    ROMEO,
    SERVICE,
    PushCase,
    config,
    enable,
)
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply, Row
from xmppd.config.scopes import ROLES
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd_plugins.push import publisher
from xmppd_plugins.push.publisher import ANSWER_S, MAX_REFUSALS, MAX_UNREACHED_S
from xmppd_plugins.push.registrations import PushRecord, Registrations

CALL = "<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>"
SEALED = "<encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>"


class FailureCase(PushCase):
    """Juliet's only device is away."""

    def setUp(self) -> None:
        super().setUp()
        self.away()

    def records(self) -> list[PushRecord]:
        """How it went."""
        return list(done(Registrations(self.house.store.database).records(JULIET)).values())

    def counts(self) -> Mapping[str, float]:
        """The metrics."""
        numbers = self.house.server.metrics.numbers()
        return {name: number for name, number in numbers if name.startswith("push_")}

    def register(self, *nodes: str) -> None:
        """Juliet's phone comes, registers nodes, and leaves again."""
        phone = self.house.bind("juliet", "phone")
        for node in nodes or ("phone",):
            self.assertEqual(enable(phone, node), "result")
        phone.send("</stream:stream>")

    def another(self, wait_s: float = GAP_S) -> int:
        """Send another message, and count the notifications."""
        self.send()
        told = len(self.service.heard())
        self.wait(wait_s)
        return told


class ContentTests(FailureCase):
    """What a notification says when nothing is included."""

    def test_nothing(self) -> None:
        """That there is a message, and how many; neither from whom nor what."""
        self.send(BODY)
        (told,) = self.service.heard()
        self.assertEqual(told.sender, JULIET)
        self.assertEqual(told.node, "phone")
        self.assertEqual(told.fields, {"message-count": "1", "last-message-body": "New message"})
        self.assertNotIn("romeo", told.wire)
        self.assertNotIn("Wherefore", told.wire)
        self.assertIn(f"<notification xmlns='{NS}'>", told.wire)

    def test_count(self) -> None:
        """Each message counts, though not each is told."""
        for number in range(3):
            self.send(id=str(number))
        self.wait(GAP_S)
        self.assertEqual([told.count for told in self.service.heard()], [1, 3])

    def test_options(self) -> None:
        """Options for publishing are handed on as they were written; without a node there is
        none.
        """
        (phone,) = self.house.connect("juliet/phone")
        enable(phone, "", inside=OPTIONS)
        enable(phone, "phone", inside=OPTIONS)
        phone.send("</stream:stream>")
        self.send()
        told = {each.node: each for each in self.service.heard()}
        self.assertEqual(set(told), {None, "phone"})
        for each in told.values():
            self.assertIn("<publish-options><x xmlns='jabber:x:data' type='submit'>", each.wire)
            self.assertIn("<field var='secret'><value>eruio234</value></field>", each.wire)
            self.assertIn(f"{PUBSUB}#publish-options", each.wire)


class SenderTests(FailureCase):
    """The sender is included."""

    settings = {"include": "sender"}

    def test_sender(self) -> None:
        """Of a message, but not of what is none."""
        self.send(BODY)
        (told,) = self.service.heard()
        self.assertEqual((told.fields["last-message-sender"], told.body),
                         (f"{ROMEO}/1", "New message"))  # fmt: skip


class BodyTests(FailureCase):
    """The text is included."""

    settings = {"include": "body", "min_gap_s": 0}

    def test_body(self) -> None:
        """Its beginning; nothing of what is encrypted, or a call."""
        for children, body in (
            ("<body>a &amp; b</body>", "a & b"),
            (f"<body>{'é' * 300}</body>", "é" * 200),
            (f"<body>I cannot read this</body>{SEALED}", "New message"),
            (SEALED, "New message"),
            (CALL, "New message"),
        ):
            self.send(children)
            (told,) = self.service.heard()
            self.assertEqual(told.body, body)
            self.assertEqual(told.fields["last-message-sender"], f"{ROMEO}/1")

    def test_other_settings(self) -> None:
        """Other settings are in force at once."""
        self.house.reload(config(include="nothing", min_gap_s=0))
        self.send()
        self.assertEqual(self.service.bodies(), ["New message"])


class GapTests(FailureCase):
    """One notification in a while (PN-5)."""

    def test_gap(self) -> None:
        """The first is sent at once, the last when its time has come, and none between."""
        for _ in range(3):
            self.send()
        self.assertEqual(len(self.service.heard()), 1)
        self.wait(GAP_S - 1)
        self.assertEqual(len(self.service.heard()), 0)
        self.wait(1)
        self.assertEqual(len(self.service.heard()), 1)
        self.send()
        self.assertEqual(len(self.service.heard()), 0)
        self.wait(60)
        self.assertEqual(len(self.service.heard()), 1)

    def test_call(self) -> None:
        """A call does not wait, and counts what waited."""
        self.send()
        self.send()
        self.send(CALL)
        self.assertEqual([told.count for told in self.service.heard()], [1, 1 + 1])
        self.wait(60)
        self.assertEqual(len(self.service.heard()), 0)

    def test_too_many_calls(self) -> None:
        """More calls than anybody makes wait like all else."""
        self.patch(publisher, "MAX_URGENT", 2)
        for _ in range(5):
            self.send(CALL)
        self.assertEqual(len(self.service.heard()), 1 + 2)
        self.wait(GAP_S)
        self.assertEqual(len(self.service.heard()), 1)

    def test_each_registration(self) -> None:
        """Each registration has a time of its own."""
        self.register("other")
        self.send()
        self.send()
        self.assertEqual(len(self.service.heard()), 2)


class FailingTests(FailureCase):
    """Services that do not take what they are told (PN-6)."""

    def test_refused(self) -> None:
        """A registration that is refused three times in a row ends."""
        for answer in ("cancel item-not-found", "auth not-authorized"):
            self.service.answer = answer
            self.register()
            for number in range(MAX_REFUSALS):
                self.assertEqual(len(self.records()), 1)
                self.assertEqual(self.another(), 2, number)  # in the domain's name as well
            self.assertEqual(self.records(), [])
            self.assertEqual(self.another(), 0)

    def test_not_in_a_row(self) -> None:
        """Not so if it was taken meanwhile; the failures are counted all the same."""
        for answer in ("cancel gone", "cancel gone", "", "cancel gone", "cancel gone"):
            self.service.answer = answer
            self.another()
        (record,) = self.records()
        self.assertEqual((record.sent, record.failed, record.failures), (1, 4, 2))
        self.assertEqual(record.last_error, "gone")

    def test_unreached(self) -> None:
        """One that cannot be reached is tried with each event, and ends after a week."""
        for answer in ("wait resource-constraint", "cancel remote-server-not-found", None):
            with self.subTest(answer):
                self.service.answer = answer
                self.register()
                for _ in range(5):
                    self.assertEqual(self.another(ANSWER_S + 1), 1)
                self.assertEqual(len(self.records()), 1)
                self.house.wall_ahead_s += MAX_UNREACHED_S
                self.another(ANSWER_S + 1)
                self.assertEqual(self.records(), [])

    def test_reached_again(self) -> None:
        """One that was reached again meanwhile stays."""
        self.service.answer = "wait resource-constraint"
        self.another()
        self.service.answer = ""
        self.another()
        self.house.wall_ahead_s += MAX_UNREACHED_S
        self.service.answer = "wait resource-constraint"
        self.another()
        self.assertEqual(len(self.records()), 1)

    def test_by_domain(self) -> None:
        """A service that takes notifications from the domain only is told in its name, from then on
        at once.
        """
        self.service.accepts = (DOMAIN,)
        for expected in ([JULIET, DOMAIN], [DOMAIN]):
            self.send()
            self.assertEqual([told.sender for told in self.service.heard()], expected)
            self.wait(GAP_S)
        (record,) = self.records()
        self.assertEqual((record.sent, record.failed), (2, 0))

    def test_dismissed(self) -> None:
        """A registration ends when its service says so, and only then."""
        affiliation = f"<affiliation jid='{JULIET}' affiliation='{{}}'/>"
        for sender, node, kind, left in (
            ("other.lit", "phone", "none", 1),
            (SERVICE, "other", "none", 1),
            (SERVICE, "phone", "publish-only", 1),
            (f"somebody@{SERVICE}", "phone", "none", 1),
            (SERVICE, "phone", "none", 0),
        ):
            self.service.ends[0][1].send(
                f"<message from='{sender}' to='{JULIET}'><pubsub xmlns='{PUBSUB}' node='{node}'>"
                f"{affiliation.format(kind)}</pubsub></message>"
            )
            self.assertEqual(len(self.records()), left)
        self.assertEqual(self.another(), 0)

    def test_metrics(self) -> None:
        """They are counted."""
        for answer in ("", "cancel gone", "wait resource-constraint"):
            self.service.answer = answer
            self.another()
        counts = self.counts()
        self.assertEqual(counts["push_sent"], 1)
        self.assertEqual(counts["push_failed{reason=refused}"], 1)
        self.assertEqual(counts["push_failed{reason=unreached}"], 1)

    def test_command(self) -> None:
        """Its owner and administrators see how it went, but not the node, which is as good as a
        password (PN-9).
        """
        self.another()
        self.service.answer = "wait resource-constraint"
        self.another()
        (row,) = self.given(Actor(JID.parse(f"{JULIET}/1"), ROLES["user"]))
        assert isinstance(row, Row)
        shown = to_builtins(row)
        self.assertEqual(len(shown.pop("device")), 16)
        self.assertEqual(
            shown,
            {
                "service": SERVICE,
                "unseen": 2,
                "sent": 1,
                "failed": 1,
                "last_error": "resource-constraint",
            },
        )
        self.assertEqual(len(self.given(SHELL)), 1)
        self.assertRaises(Refused, self.given, Actor(JID.parse(f"{ROMEO}/1"), ROLES["user"]))

    def given(self, actor: Actor) -> list[Reply]:
        """What somebody is shown of Juliet's registrations."""

        async def run() -> list[Reply]:
            table = self.house.server.commands
            asked = table.asked("push list", {"account": JULIET}, actor)
            return [reply async for reply in table.replies(*asked)]

        return done(run())


class HangingTests(FailureCase):
    """Services that say nothing (PN-7)."""

    settings = {"min_gap_s": 0}

    def test_limits(self) -> None:
        """So many may have no answer, from one service and from all; what is beyond is dropped."""
        self.service.answer = None
        self.patch(publisher, "MAX_OUTSTANDING_PER_SERVICE", 3)
        for _ in range(5):
            self.send()
        self.assertEqual(len(self.service.heard()), 3)
        self.assertEqual(self.counts()["push_failed{reason=crowded}"], 2)
        self.wait(ANSWER_S)
        self.patch(publisher, "MAX_OUTSTANDING", 2)
        for _ in range(5):
            self.send()
        self.assertEqual(len(self.service.heard()), 2)

    def test_nobody_waits(self) -> None:
        """Messages arrive meanwhile, and requests are answered."""
        self.service.answer = None
        (desk,) = self.house.connect("juliet/desk")
        for _ in range(200):
            self.send()
        self.assertEqual(len(desk.received()), 200)
        self.romeo.raw()


class CrowdTests(FailureCase):
    """More registrations than are remembered."""

    def test_lanes(self) -> None:
        """When so many were told lately, others are told without a time between."""
        self.patch(publisher, "MAX_LANES", 0)
        for _ in range(3):
            self.send()
        self.assertEqual([told.count for told in self.service.heard()], [1, 2, 3])
