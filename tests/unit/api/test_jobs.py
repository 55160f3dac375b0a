"""Commands that nobody waits for: begun, looked at, ended; at whichever node they are."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.api.api_client import Program, body_of
from xmppd.api import jobs
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.store.audit import AuditEntry
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes


class Page(Row, frozen=True):
    """A page that was copied."""

    number: int


class Copyist:
    """Copies pages when it is told to.

    Args:
        house: Where.
    """

    def __init__(self, house: House) -> None:
        self.wait: Deferred[None] = Deferred()
        self.ended = 0
        arguments = (Argument("--why", ""), Argument("--bodies", "", scope="content:read"))
        about = Description("copy", "", arguments, "changes", area="data")
        house.server.commands.put(Command(about, self.copy, (Page,)), "tests")

    async def copy(self, context: CommandContext) -> Replies:
        """A page, and when it is time the rest."""
        try:
            yield Page(1)
            await self.wait
            yield "the rest was copied"
            if context.arguments.given("why"):
                raise Refused(context.arguments.text("why"))
        finally:
            self.ended += 1


class JobTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit")
        self.copyist = Copyist(self.house)
        self.program = Program(self.house)

    def begin(self, **given: str) -> str:
        """The id of a job that has begun."""
        answer = self.program.post("copy", given, Prefer="respond-async")
        self.assertEqual(answer.status, 202, answer.text)
        id: str = body_of(answer)["job"]
        self.assertEqual(answer.headers["Location"], f"/api/v1/job/show?job={id}")
        return id

    def shown(self, id: str) -> list[dict[str, Any]]:
        """What a job has answered, and how it is."""
        answer = self.program.get("job show", f"job={id}")
        self.assertEqual(answer.status, 200, answer.text)
        return [json.loads(row["says"]) for row in body_of(answer)["rows"]]

    def entries(self) -> list[AuditEntry]:
        """The audit."""
        return done(self.house.store.audit.entries(before=10**9, limit=10))

    def test_done(self) -> None:
        """A job goes on when its client is gone, and can be asked for, also when it is over."""
        id = self.begin()
        runs, page = {"state": "runs", "replies": 1}, {"row": {"number": 1}}
        self.assertEqual(self.shown(id), [page, runs])
        (row,) = body_of(self.program.get("job list"))["rows"]
        self.assertEqual(
            (row["job"], row["command"], row["actor"], row["scopes"]),
            (id, "copy", "key tests", ["data:write"]),
        )
        self.copyist.wait.callback(None)
        note = {"note": "the rest was copied"}
        self.assertEqual(self.shown(id), [page, note, {"state": "done", "replies": 2}])
        self.assertEqual([entry.outcome for entry in self.entries()], ["done"])

    def test_refused(self) -> None:
        """Why it was refused is said where its state is."""
        id = self.begin(why="there is no ink")
        self.copyist.wait.callback(None)
        self.assertEqual(self.shown(id)[-1]["state"], "refused: there is no ink")

    def test_cancel(self) -> None:
        """A job ends where it is, and the audit says so."""
        id = self.begin()
        self.assertEqual(self.program.post("job cancel", {"job": id, "dry_run": True}).status, 200)
        self.assertEqual(self.copyist.ended, 0)
        self.assertEqual(self.program.post("job cancel", {"job": id}).status, 200)
        self.assertEqual((self.copyist.ended, self.shown(id)[-1]["state"]), (1, "cancelled"))
        self.assertEqual(self.program.post("job cancel", {"job": id}).status, 409)
        outcomes = {entry.command: entry.outcome for entry in reversed(self.entries())}
        self.assertEqual(outcomes["copy"], "aborted")

    def test_scopes(self) -> None:
        """What a job answers is for those who might give its command."""
        id = self.begin(bodies="1")
        for scopes, lacking in ((("server:read",), "content:read"), (("content:read",), "server:")):
            program = Program(self.house, *scopes, name=scopes[0].replace(":", "-"))
            answer = program.get("job show", f"job={id}")
            self.assertEqual(answer.status, 403)
            self.assertIn(lacking, body_of(answer)["scope"])
        self.copyist.wait.callback(None)

    def test_limits(self) -> None:
        """So many run, so many are kept for some time, with the last of their replies."""
        self.patch(jobs, "MAX_KEPT", 2)
        ids = [self.begin() for _ in range(jobs.MAX_RUNNING)]
        self.assertEqual(self.program.post("copy", {}, Prefer="respond-async").status, 429)
        self.copyist.wait.callback(None)
        rows = body_of(self.program.get("job list"))["rows"]
        self.assertEqual([row["job"] for row in rows], ids[-2:])
        self.assertEqual(self.program.get("job show", f"job={ids[0]}").status, 404)
        self.house.clock.advance(jobs.KEPT_S + 1)
        self.assertEqual(body_of(self.program.get("job list"))["rows"], [])
        self.begin()

    def test_stop(self) -> None:
        """A server that stops ends what runs."""
        self.begin()
        self.house.stop_and_wait()
        self.assertEqual(self.copyist.ended, 1)

    def test_endless(self) -> None:
        """What has no end is no job."""
        answer = self.program.post("trace", {"address": "montague.lit"}, Prefer="respond-async")
        self.assertEqual(answer.status, 400)


class ElsewhereTests(SynchronousTestCase):
    def test_elsewhere(self) -> None:
        """A job is shown and ended at the node that has it, whichever is asked."""
        nodes = Nodes("a", "b")
        copyists = [Copyist(nodes[name]) for name in ("a", "b")]
        at_a, at_b = Program(nodes["a"]), Program(nodes["b"], name="other")
        id = body_of(at_a.post("copy", {}, Prefer="respond-async"))["job"]

        def ask(command: str, program: Program) -> tuple[int, dict[str, Any]]:
            client = program.client()
            body, kind = json.dumps({"job": id}).encode(), "application/json"
            path = f"/api/v1/{command.replace(' ', '/')}"
            client.ask("POST", path, body, program.headers(Content_Type=kind))
            for _ in range(9):
                nodes.settle()
                nodes.clock.advance(1)
            answer = client.answer()
            return answer.status, body_of(answer)

        status, body = ask("job show", at_b)
        self.assertEqual((status, len(body["rows"])), (200, 2), body)
        few = Program(nodes["b"], "server:read", name="few")
        status, body = ask("job show", few)
        self.assertEqual((status, body["scope"]), (403, "data:write"))
        self.assertEqual(ask("job cancel", at_b)[0], 200)
        self.assertEqual([copyist.ended for copyist in copyists], [1, 0])
