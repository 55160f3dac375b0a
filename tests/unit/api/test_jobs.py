"""Commands that nobody waits for: begun, looked at, ended; at whichever node they are."""

import json
from itertools import count
from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.api.api_client import Program, body_of
from xmppd.api import jobs
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Secret
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.store import jobs as kept
from xmppd.store.audit import AuditEntry
from xmppd.store.errors import StoreError
from xmppd.store.jobs import JobRecord
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes

GONE = {"note": "the replies are no longer kept"}
ENDED = jobs.ENDED_WITH_NODE


async def failing(*args: object) -> None:
    """A database that cannot be written to."""
    raise StoreError("the disk is full")


class Page(Row, frozen=True):
    """A page that was copied."""

    number: int


class Copyist:
    """Copies pages when it is told to.

    Args:
        house: Where.
        effect: What the audit takes copying for.
    """

    def __init__(self, house: House, effect: Literal["reads", "changes"] = "changes") -> None:
        self.wait: Deferred[str | None] = Deferred()
        self.ended = 0
        arguments = (
            Argument("--why", ""),
            Argument("--bodies", "", scope="content:read"),
            Argument("--secret", "", Secret()),
        )
        about = Description("copy", "", arguments, effect, area="data")
        house.server.commands.put(Command(about, self.copy, (Page,)), "tests")

    async def copy(self, context: CommandContext) -> Replies:
        """A page, and when it is time the rest; sentences that come before go on waiting."""
        try:
            yield Page(1)
            while sentence := await self.wait:
                yield sentence
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
        self.addCleanup(self.house.server.jobs.stop)

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
        rest = {"note": "the rest was copied"}
        page, gone = {"row": {"number": 1}}, {"note": "the other replies are no longer kept"}
        over = {"state": "done", "replies": 2}
        self.assertEqual(self.shown(ids[-2]), [page, rest, over])
        self.assertEqual(self.shown(ids[0]), [rest, gone, over])
        self.house.clock.advance(jobs.KEPT_S + 1)
        self.assertEqual(self.shown(ids[-1]), [rest, gone, over])
        self.house.clock.advance(kept.KEPT_S)
        self.program = Program(self.house, name="later")
        id = self.begin()
        rows = body_of(self.program.get("job list"))["rows"]
        self.assertEqual([row["job"] for row in rows], [id])
        self.assertEqual(self.program.get("job show", f"job={ids[-1]}").status, 404)

    def test_kept(self) -> None:
        """So many are kept written down."""
        add, begun = self.house.store.jobs.add, self.house.wall_clock()
        for number in range(kept.MAX_JOBS + 2):
            done(add(JobRecord(str(number), "copy", "t", (), "", begun + number, "done")))
        found = [job.id for job in done(self.house.store.jobs.jobs())]
        self.assertEqual((len(found), found[0], found[-1]), (kept.MAX_JOBS, "1001", "2"))

    def test_stop(self) -> None:
        """A server that stops ends what runs."""
        id = self.begin()
        self.house.stop_and_wait()
        self.assertEqual(self.copyist.ended, 1)
        self.program = Program(self.house.again(), name="later")
        self.assertEqual(self.shown(id), [GONE, {"state": ENDED, "replies": 1}])

    def test_killed(self) -> None:
        """What ran when its server was killed has ended with it, and whoever asks is told."""
        id = self.begin(bodies="1")
        before = self.begin()
        self.copyist.wait.callback(None)
        self.copyist.wait = Deferred()
        killed = self.begin()
        house = self.house.again()
        self.program = Program(house, name="later")
        self.assertEqual(self.shown(before)[-1], {"state": "done", "replies": 2})
        self.assertEqual(self.shown(killed), [{"state": ENDED, "replies": 0}])
        rows = {row["job"]: row["state"] for row in body_of(self.program.get("job list"))["rows"]}
        self.assertEqual(rows, {id: "done", before: "done", killed: ENDED})
        answer = self.program.post("job cancel", {"job": killed})
        self.assertEqual(answer.status, 409)
        self.assertIn(ENDED, body_of(answer)["detail"])
        few = Program(house, "server:read", "data:write", name="few")
        answer = few.get("job show", f"job={id}")
        self.assertEqual((answer.status, body_of(answer)["scope"]), (403, "content:read"))

    def test_progress(self) -> None:
        """How far a job has come is written down, with the last sentence, without its secrets."""
        id = self.begin(secret="swordfish")
        for seconds, written in ((1, 0), (jobs.NOTE_S, 3)):
            self.house.clock.advance(seconds)
            wait, self.copyist.wait = self.copyist.wait, Deferred()
            wait.callback("copied with swordfish")
            record = done(self.house.store.jobs.job(id))
            self.assertEqual(record and record.replies, written)
        self.program = Program(self.house.again(), name="later")
        said, gone = {"note": "copied with …"}, {"note": "the other replies are no longer kept"}
        self.assertEqual(self.shown(id), [said, gone, {"state": ENDED, "replies": 3}])

    def test_not_written(self) -> None:
        """What cannot be written down is not begun; one that runs goes on."""
        id = self.begin()
        database = self.house.store.database
        self.patch(database, "write", failing)
        answer = self.program.post("copy", {}, Prefer="respond-async")
        self.assertEqual(answer.status, 503, answer.text)
        self.assertEqual(self.copyist.ended, 0)
        self.copyist.wait.callback(None)
        self.assertEqual(self.shown(id)[-1], {"state": "done", "replies": 2})
        self.house.clock.advance(jobs.KEPT_S + 1)
        self.assertEqual(self.shown(id), [{"state": jobs.UNKNOWN, "replies": 0}])

    def test_endless(self) -> None:
        """What has no end is no job."""
        answer = self.program.post("trace", {"address": "montague.lit"}, Prefer="respond-async")
        self.assertEqual(answer.status, 400)


class ElsewhereTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes, self.numbers = Nodes("a", "b", "c"), count()
        self.copyists = [Copyist(self.nodes[name], "reads") for name in ("a", "b", "c")]
        self.at_b = Program(self.nodes["b"], name="other")
        begun = Program(self.nodes["a"]).post("copy", {}, Prefer="respond-async")
        self.job = body_of(begun)["job"]

    def ask(self, command: str, program: Program) -> tuple[int, dict[str, Any]]:
        """The status and body of the answer to a command on the job."""
        client = program.client()
        body, kind = json.dumps({"job": self.job}).encode(), "application/json"
        path = f"/api/v1/{command.replace(' ', '/')}"
        client.ask("POST", path, body, program.headers(Content_Type=kind))
        for _ in range(9):
            self.nodes.settle()
            self.nodes.clock.advance(1)
        answer = client.answer()
        return answer.status, body_of(answer)

    def shown(self, node: str) -> list[dict[str, Any]]:
        """What a node says about the job."""
        name = f"asks-{next(self.numbers)}"
        status, body = self.ask("job show", Program(self.nodes[node], name=name))
        self.assertEqual(status, 200, body)
        return [json.loads(row["says"]) for row in body["rows"]]

    def test_elsewhere(self) -> None:
        """A job is shown and ended at the node that has it, whichever is asked."""
        status, body = self.ask("job show", self.at_b)
        self.assertEqual((status, len(body["rows"])), (200, 2), body)
        (row,) = body_of(self.at_b.get("job list"))["rows"]
        self.assertEqual((row["job"], row["node"], row["state"]), (self.job, "a", "runs"))
        few = Program(self.nodes["b"], "server:read", name="few")
        status, body = self.ask("job show", few)
        self.assertEqual((status, body["scope"]), (403, "data:read"))
        self.assertEqual(self.ask("job cancel", self.at_b)[0], 200)
        self.assertEqual([copyist.ended for copyist in self.copyists], [1, 0, 0])

    def test_lost(self) -> None:
        """While nobody knows whether its node is lost, one asks again; then the job has ended with
        it, at each other node and when it is back.
        """
        self.addCleanup(self.copyists[0].wait.callback, None)  # in a server that nobody hears
        self.nodes.kill("a")
        status, body = self.ask("job show", self.at_b)
        self.assertEqual(status, 503, body)
        self.assertIn("node a, which has job", body["detail"])
        self.nodes.lose("a")
        for node in ("b", "c"):
            self.assertEqual(self.shown(node), [{"state": ENDED, "replies": 0}])
        (row,) = body_of(self.at_b.get("job list"))["rows"]
        self.assertEqual((row["node"], row["state"]), ("a", ENDED))
        self.nodes.start("a")
        for node in ("a", "b"):
            self.assertEqual(self.shown(node), [{"state": ENDED, "replies": 0}])
        self.assertEqual(self.ask("job cancel", self.at_b)[0], 409)

    def test_stopped(self) -> None:
        """A node that stops writes down how far its jobs have come."""
        self.nodes.stop("a")
        self.assertEqual(self.copyists[0].ended, 1)
        self.assertEqual(self.shown("c"), [GONE, {"state": ENDED, "replies": 1}])
