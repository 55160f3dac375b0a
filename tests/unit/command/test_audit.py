"""What changes something is written down, whichever way it came."""

from collections.abc import Mapping
from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import NODE, SHELL, Actor, CommandContext
from xmppd.command.kinds import Secret
from xmppd.command.other_nodes import Incomplete
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Reply
from xmppd.config.scopes import ROLES
from xmppd.stanza import JID, Condition
from xmppd.store.audit import AuditEntry
from xmppd.store.errors import StoreError
from xmppd.testing.client import done
from xmppd.testing.house import House

ADMIN = Actor(JID.parse("escalus@montague.lit/1"), ROLES["admin"], address="192.0.2.7")
PASSWORD = Argument("password", "secret", Secret())


class AuditTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit")
        self.table = self.house.server.commands
        self.done: list[str] = []
        self.written_first: list[int] = []

    def put(self, name: str, effect: str = "changes", *more: Argument) -> None:
        """Have a command that notes that it was done, and fails when it is told to."""

        async def run(context: CommandContext) -> Replies:
            self.written_first.append(len(self.entries()))
            yield "begun"
            self.done.append(name)
            if "why" in context.given:
                raise Refused(str(context.given["why"]))
            if "missing" in context.given:
                raise Incomplete(["b"])
            if "bug" in context.given:
                raise LookupError

        arguments = (*(Argument(f"--{each}", "") for each in ("why", "missing", "bug")), *more)
        about = Description(name, "", arguments, effect)  # type: ignore[arg-type]
        self.table.put(Command(about, run), "ball")

    def give(
        self, name: str, actor: Actor = SHELL, request: str = "", **given: object
    ) -> list[Reply]:
        """All that is answered."""

        async def collect(given: Mapping[str, object]) -> list[Reply]:
            command, context = self.table.asked(name, given, actor)
            context.request = request
            return [reply async for reply in self.table.replies(command, context)]

        return done(collect(given))

    def entries(self) -> list[AuditEntry]:
        """What is written down by now."""
        return done(self.house.store.audit.entries(before=10**9, limit=100))

    def test_logged(self) -> None:
        """The log says who ran which command, by which way and for whom, once and without
        secrets; another node that does it as well says nothing.
        """
        self.put("ball open", "reads", Argument("--fun", ""), PASSWORD)
        with capturedLogs() as log:
            self.give("ball open", ADMIN, fun="much", password="rosebud")
            self.give("ball open", NODE, fun="much", password="rosebud")
        (line,) = [event for event in log if event.get("command") == "ball open"]
        said = formatEvent(line)
        self.assertIn("ad-hoc: escalus@montague.lit ran the command ball open", said)
        self.assertIn('"fun":"much"', said)
        self.assertNotIn("rosebud", said)

    def test_written_down(self) -> None:
        """Who, by which way, from where, what, and what came of it; nothing of a secret."""
        self.put("dance", "changes", PASSWORD)
        self.give("dance", ADMIN, password="rosebud")
        (entry,) = self.entries()
        self.assertEqual(self.written_first, [1])
        self.assertEqual(
            (entry.actor, entry.way, entry.address, entry.command, entry.outcome),
            ("escalus@montague.lit", "ad-hoc", "192.0.2.7", "dance", "done"),
        )
        self.assertEqual(entry.arguments, '{"password":"…"}')
        why = "rosebud is too short"
        self.assertRaises(Refused, self.give, "dance", ADMIN, password="rosebud", why=why)
        refused, _ = self.entries()
        self.assertEqual(refused.outcome, "refused: … is too short")

    def test_outcomes(self) -> None:
        """A refusal, a bug and a node that does not answer are told apart."""
        self.put("dance")
        self.assertRaises(Refused, self.give, "dance", why="the floor is wet")
        self.assertRaises(Incomplete, self.give, "dance", missing="1")
        self.assertRaises(Refused, self.give, "dance", bug="1")
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)
        bug, missing, refused = (entry.outcome for entry in self.entries())
        self.assertEqual(refused, "refused: the floor is wet")
        self.assertTrue(missing.startswith("done, but b did not answer"))
        self.assertTrue(bug.startswith("refused: the command failed"))

    def test_broken_off(self) -> None:
        """What is not read to its end was not done to its end."""
        self.put("dance")

        async def read_once() -> None:
            replies = self.table.replies(*self.table.asked("dance", {}, SHELL))
            await anext(replies)
            await replies.aclose()

        done(read_once())
        self.assertEqual([entry.outcome for entry in self.entries()], ["aborted"])

    def test_not_written_down(self) -> None:
        """Reading, dry runs, and what another node has written down already are not."""
        self.put("look", "reads")
        self.put("leave", "ends", DRY_RUN)
        self.give("look")
        self.give("leave", dry_run=True)
        self.put("dance")
        self.give("dance", NODE)
        self.assertEqual(self.done, ["look", "leave", "dance"])
        self.assertEqual(self.entries(), [])

    def test_may_not(self) -> None:
        """Who may not give a command leaves no trace, or anybody could push others' out."""
        self.put("dance")
        romeo = self.table.actor(JID.parse("romeo@montague.lit/1"))
        self.assertRaises(Refused, self.give, "dance", romeo)
        self.assertEqual(self.entries(), [])

    def test_asked_twice(self) -> None:
        """A request with a name is done once, and the second is told what came of the first."""
        self.put("dance")
        other = replace(ADMIN, jid=JID.parse("paris@montague.lit/1"))
        self.give("dance", ADMIN, "first")
        with self.assertRaises(Refused) as caught:
            self.give("dance", ADMIN, "first")
        self.assertIs(caught.exception.condition, Condition.CONFLICT)
        self.assertIn("(number 1 in the audit): done", str(caught.exception))
        self.give("dance", ADMIN, "second")
        self.give("dance", other, "first")
        self.assertEqual(len(self.done), 3)

    def test_database_fails(self) -> None:
        """From afar nothing is done that cannot be written down; at the machine it is, with a line
        in the log.
        """

        async def fail(*arguments: object) -> None:
            raise StoreError("The disk is full.")

        self.put("dance")
        self.patch(self.house.store.database, "write", fail)
        with self.assertRaises(Refused) as caught:
            self.give("dance", ADMIN)
        self.assertIs(caught.exception.condition, Condition.SERVICE_UNAVAILABLE)
        self.assertEqual(self.done, [])
        with capturedLogs() as events:
            self.give("dance", SHELL)
        self.assertEqual(self.done, ["dance"])
        self.assertEqual([event["command"] for event in events if "error" in event], ["dance"])

    def test_long(self) -> None:
        """What is written down is cut, and has no characters that cannot be shown."""
        self.put("dance", "changes", Argument("words", ""))
        self.give("dance", words="\u202e" + "x" * 9_000)
        (entry,) = self.entries()
        self.assertLess(len(entry.arguments), 2_100)
        self.assertTrue(entry.arguments.isprintable())
        self.assertIn(r"\u202e", entry.arguments)
