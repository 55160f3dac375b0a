"""Commands by HTTP: what they answer, what they refuse and how, and their limits."""

from collections.abc import Callable
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.api.api_client import JSON, ROOT, Program, body_of, lines_of
from xmppd.api import answers
from xmppd.api.api import LOOK_AT_KEY_EVERY_S, MAX_COMMANDS, MAX_STREAMS
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Flag, Hidden, Number, Text
from xmppd.command.other_nodes import Incomplete
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config.config import ListenSettings
from xmppd.stanza import Condition
from xmppd.store.errors import StoreError
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.web import WebAnswer, WebClient

ROMEO = "romeo@montague.lit"
PROBLEM = "application/problem+json"


class Step(Row, frozen=True):
    """A step."""

    number: int


class APICase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={}, juliet={})
        self.program = Program(self.house)

    def put(
        self, about: Description, run: Callable[[CommandContext], Replies], *rows: type[Row]
    ) -> None:
        """Have one more command."""
        self.house.server.commands.put(Command(about, run, rows), "ball")

    def assert_problem(self, answer: WebAnswer, status: int, said: str, **more: str) -> None:
        """It is refused like this."""
        self.assertEqual(answer.status, status, answer.text)
        self.assertEqual(answer.headers["Content-Type"], PROBLEM)
        body = body_of(answer)
        self.assertEqual(body.pop("status"), status)
        self.assertIn(said, body.pop("detail"))
        self.assertTrue(body.pop("title"))
        self.assertEqual(body, more)


class AnswerTests(APICase):
    def test_get(self) -> None:
        """What only reads may be asked for by GET, with arguments in the query."""
        answer = self.program.get("user list", f"domain=montague.lit&rows=1&state={'registered'}")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, JSON))
        body = body_of(answer)
        self.assertEqual([row["account"] for row in body["rows"]], ["juliet@montague.lit"])
        self.assertEqual(body["notes"], [])
        both = f"account={quote(ROMEO)}&account=juliet@montague.lit"
        self.assertEqual(len(body_of(self.program.get("user show", both))["rows"]), 2)

    def test_post(self) -> None:
        """What changes something is asked for by POST, with arguments in an object."""
        answer = self.program.post("user add", {"account": "paris@montague.lit", "password": "x"})
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(body_of(answer)["notes"], ["paris@montague.lit was added"])
        answer = self.program.post("user list", {"rows": 1.0})
        self.assertEqual(len(body_of(answer)["rows"]), 1)
        self.assertEqual(self.program.post("user list", b"").status, 200)

    def test_whole(self) -> None:
        """A change is made to its end, also for who does not wait for that."""
        wait: Deferred[None] = Deferred()
        steps = []

        async def dance(context: CommandContext) -> Replies:
            yield "left"
            await wait
            steps.append("right")
            yield "right"

        self.put(Description("dance", "", effect="changes"), dance)
        client = self.program.client()
        client.ask("POST", f"{ROOT}dance", b"", self.program.headers())
        client.transport.abortConnection()
        wait.callback(None)
        self.assertEqual(steps, ["right"])

    def test_nobody_waits(self) -> None:
        """What only reads ends when nobody waits for it any more."""
        wait: Deferred[None] = Deferred()
        steps = []

        async def look(context: CommandContext) -> Replies:
            await wait
            for number in range(9):
                steps.append(number)
                yield Step(number)

        self.put(Description("look", ""), look, Step)
        client = self.program.client()
        client.ask("GET", f"{ROOT}look", headers=self.program.headers())
        client.transport.abortConnection()
        wait.callback(None)
        self.assertEqual(steps, [0])

    def test_missing_node(self) -> None:
        """What a node has not answered is said in a note, beside what the others have."""

        async def look(context: CommandContext) -> Replies:
            yield Step(1)
            raise Incomplete(["b"])

        self.put(Description("look", ""), look, Step)
        body = body_of(self.program.get("look"))
        self.assertEqual(body["rows"], [{"number": 1}])
        self.assertIn("b did not answer", body["notes"][0])
        answer = self.program.get("look", Accept="application/x-ndjson")
        self.assertEqual([*map(list, lines_of(answer))], [["row"], ["note"], ["done"]])

    def test_head(self) -> None:
        """HEAD is GET without the body, and keeps no place."""
        for accept in ("application/json", "application/x-ndjson"):
            for _ in range(MAX_COMMANDS + 1):
                client = self.program.client()
                client.ask("HEAD", f"{ROOT}status", headers=self.program.headers(Accept=accept))
                self.assertIn(client.answer(has_body=False).status, (200, 404))


class LineTests(APICase):
    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Deferred[Step]] = []
        self.ended = 0

        async def count(context: CommandContext) -> Replies:
            for number in range(context.arguments.number("most", 3)):
                yield Step(number)
            if context.arguments.flag("fail"):
                raise Refused("the music stopped")

        async def watch(context: CommandContext) -> Replies:
            try:
                while True:
                    self.waiting.append(Deferred())
                    yield await self.waiting[-1]
            finally:
                self.ended += 1

        arguments = (Argument("--most", "", Number(0, 99_999)), Argument("--fail", "", Flag()))
        self.put(Description("count", "", arguments), count, Step)
        self.put(Description("watch", "", answers="stream"), watch, Step)

    def test_too_many(self) -> None:
        """More than fits into one answer is refused with what to do; by line it is whole."""
        answer = self.program.get("count", "most=10001")
        self.assert_problem(answer, 400, "more than 10000 rows: ask for fewer, or send Accept")
        answer = self.program.get("count", "most=10001", Accept="application/x-ndjson")
        found = lines_of(answer)
        self.assertEqual((len(found), found[-1]), (10_002, {"done": True}))
        self.assertEqual(found[1], {"row": {"number": 1}})

    def test_refused(self) -> None:
        """What is refused at once has its status; what is refused later says so in its last
        line.
        """
        ndjson = "application/x-ndjson"
        answer = self.program.get("count", "most=0&fail=true", Accept=ndjson)
        self.assert_problem(answer, 400, "the music stopped.")
        found = lines_of(self.program.get("count", "most=1&fail=1", Accept=ndjson))
        self.assertEqual(found, [{"row": {"number": 0}}, {"error": "the music stopped."}])

    def tell(self, came: Step | Failure) -> None:
        """Have something come for all who watch."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(came)

    def watch(self, accept: str = "text/event-stream") -> WebClient:
        """A client that watches."""
        client = self.program.client()
        client.ask("GET", f"{ROOT}watch", headers=self.program.headers(Accept=accept))
        return client

    def test_events(self) -> None:
        """What has no end comes as events, with a comment where there is silence."""
        client = self.watch()
        head = client.raw()
        self.assertIn(b"Content-Type: text/event-stream\r\n", head)
        self.assertIn(b"X-Accel-Buffering: no\r\n", head)
        self.tell(Step(7))
        self.assertIn(b'data: {"row":{"number":7}}\n\n', client.raw())
        self.house.clock.advance(answers.COMMENT_S)
        self.assertIn(b": nothing new\n\n", client.raw())
        self.tell(Step(8))
        self.assertIn(b'data: {"row":{"number":8}}\n\n', client.raw())
        client.transport.abortConnection()
        self.assertEqual(self.ended, 1)

    def test_lines(self) -> None:
        """Or as lines."""
        client = self.watch("application/json")
        self.assertIn(b"Content-Type: application/x-ndjson\r\n", client.raw())
        self.tell(Step(7))
        self.assertIn(b'{"row":{"number":7}}\n', client.raw())
        client.transport.abortConnection()
        self.assertEqual(self.ended, 1)

    def test_revoked(self) -> None:
        """What has no end ends when the key that was shown for it is revoked; not when the store
        fails, of which somebody may just be looking for the reason.
        """
        client = self.watch("application/json")

        async def fail(*arguments: object) -> None:
            raise StoreError("away")

        patch = self.patch(self.house.store.api_keys, "api_key", fail)
        self.house.clock.advance(LOOK_AT_KEY_EVERY_S)
        self.tell(Step(7))
        patch.restore()
        self.program.post("key revoke", {"name": "tests"})
        self.tell(Step(8))
        self.house.clock.advance(LOOK_AT_KEY_EVERY_S)
        self.tell(Step(9))
        said = client.raw()
        self.assertIn(b'{"row":{"number":8}}', said)
        self.assertNotIn(b'{"row":{"number":9}}', said)
        self.assertIn(b'{"error":"this key was revoked', said)
        self.assertEqual(self.ended, 1)

    def test_places(self) -> None:
        """So many at a time, and then there is room again."""
        watching = [self.watch() for _ in range(MAX_STREAMS)]
        answer = self.program.get("watch")
        self.assert_problem(answer, 429, "already in progress")
        self.assertEqual(answer.headers["Retry-After"], "1")
        for client in watching:
            client.transport.abortConnection()
        client = self.watch()
        self.assertIn(b"200 OK", client.raw())
        self.assertEqual(self.ended, MAX_STREAMS)
        client.transport.abortConnection()

    def test_bug(self) -> None:
        """A bug while events are on their way is logged once, and ends them."""
        client = self.watch()
        self.tell(Failure(LookupError()))
        self.assertIn(b'data: {"error":"the command failed', client.raw())
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)


class RefusalTests(APICase):
    def test_who(self) -> None:
        """Without a key, or with a wrong one, nothing is said but that."""
        client = self.program.client
        for path in ("user/list", "nothing", "openapi.json"):
            with self.subTest(path):
                answer = client().get(ROOT + path)
                self.assert_problem(answer, 401, "Send a key")
                self.assertEqual(answer.headers["WWW-Authenticate"], 'Bearer realm="xmppd"')
        for shown in ("Bearer x", f"Bearer {self.program.key[:-1]}", f"Bearer {'x' * 9_000}"):
            answer = client().get(f"{ROOT}user/list", {"Authorization": shown})
            self.assert_problem(answer, 401, "This key is unknown")
            self.assertIn("invalid_token", answer.headers["WWW-Authenticate"])
        for shown in ("Basic cm9tZW86eA==", "", "Bearer", self.program.key):
            answer = client().get(f"{ROOT}user/list", {"Authorization": shown})
            self.assert_problem(answer, 401, "Send a key")
        answer = client().get(f"{ROOT}user/list?key={self.program.key}")
        self.assertEqual(answer.status, 401)

    def test_guessing(self) -> None:
        """Who guesses is told to stop, in the end."""
        self.program.address = "127.0.0.9"
        guess = {"Authorization": f"Bearer xmppd_{'0' * 16}_{'x' * 43}"}
        for _ in range(101):
            client = self.program.client()
            client.ask("GET", f"{ROOT}user/list", headers=guess)
            self.house.clock.advance(5)
            answer = client.answer()
        self.assert_problem(answer, 429, "too many wrong keys")

    def test_in_clear(self) -> None:
        """A key does not go over a network in clear text."""
        self.program.address = "192.0.2.1"
        self.assert_problem(self.program.get("user list"), 403, "unencrypted: use https")

    def test_scope(self) -> None:
        """Who lacks a scope is told which, by the sentence that others are told too."""
        program = Program(self.house, "accounts:read", name="watch")
        self.assertEqual(program.get("user list").status, 200)
        answer = program.post("user add", {"account": "x@montague.lit", "password": "y"})
        self.assert_problem(
            answer, 403, "administrator rights or the scope accounts:write.", scope="accounts:write"
        )
        self.assert_problem(program.get("session list"), 403, "", scope="sessions:read")
        program = Program(self.house, "trace:read", name="trace")
        answer = program.get("trace", "address=montague.lit&bodies=true")
        self.assert_problem(answer, 403, "", argument="bodies", scope="content:read")

    def test_revoked(self) -> None:
        """A key that was revoked is no key from then on."""
        self.assertEqual(self.program.get("user list").status, 200)
        self.program.post("key revoke", {"name": "tests"})
        self.assertEqual(self.program.get("user list").status, 401)

    def test_no_more_than_its_own(self) -> None:
        """A key makes no key that may do more."""
        program = Program(self.house, "keys:write", "accounts:read", name="maker")
        given = {"name": "more", "scope": ["accounts:write"]}
        answer = program.post("key add", given)
        self.assert_problem(answer, 403, "", argument="scope", scope="accounts:write")
        self.assertEqual(program.post("key add", {**given, "scope": ["keys:write"]}).status, 200)

    def test_arguments(self) -> None:
        """What is wrong about an argument is said of it, in xmppctl's words."""
        text = "is of the wrong kind, or too long."
        for given, said, argument in (
            ({}, "account is missing.", "account"),
            ({"account": ROMEO, "password": "x", "y": "z"}, "unknown argument y.", "y"),
            ({"account": 7, "password": "x"}, f"account {text}", "account"),
            ({"account": None, "password": "x"}, f"account {text}", "account"),
            ({"account": ["a@montague.lit"], "password": "x"}, f"account {text}", "account"),
            (
                {"account": "romeo", "password": "x"},
                "is not an account address; write it",
                "account",
            ),
            ({"account": ROMEO, "password": "x\0"}, "invalid characters", "password"),
            ({"account": ROMEO, "password": "x" * 10_001}, f"password {text}", "password"),
        ):
            with self.subTest(given):
                answer = self.program.post("user add", given)
                self.assert_problem(answer, 400, said, argument=argument)
                self.assertNotIn("xxx", answer.text)
        wrong: tuple[tuple[dict[str, object], str], ...] = (
            ({"rows": "1"}, "rows"), ({"rows": True}, "rows"), ({"rows": 1.5}, "rows"),
            ({"rows": 0}, "rows"), ({"rows": 10**30}, "rows"), ({"rows": [1]}, "rows"),
        )  # fmt: skip
        for rows, argument in wrong:
            with self.subTest(rows):
                answer = self.program.post("user list", rows)
                self.assert_problem(answer, 400, argument, argument=argument)
        answer = self.program.post("user show", {"account": ROMEO})
        self.assert_problem(answer, 400, "account must be a list.", argument="account")

    def test_bodies(self) -> None:
        """What is not a JSON object, too large or of another type is refused."""
        for body, kind, status, said in (
            (b"[]", JSON, 400, "not a JSON object"),
            (b"{", JSON, 400, "not a JSON object"),
            (b'{"a": "\\ud800"}', JSON, 400, ""),
            (b"\xff", JSON, 400, "not a JSON object"),
            (b"[" * 100_000, JSON, 400, "not a JSON object"),
            (b"a=b", "application/x-www-form-urlencoded", 415, f"Content-Type: {JSON}"),
            (b" " * 1_048_577, JSON, 413, "larger than 1048576 bytes"),
        ):
            with self.subTest(body[:20]):
                answer = self.program.post("user list", body, Content_Type=kind)
                self.assertEqual(answer.status, status, answer.text)
                self.assertIn(said, body_of(answer)["detail"])
        answer = self.program.post("user list?rows=1", {})
        self.assert_problem(answer, 400, "arguments of a POST in its body")

    def test_queries(self) -> None:
        """The same for queries."""
        for query, said, more in (
            ("rows=x", "rows must be a number", {"argument": "rows"}),
            ("rows=1&rows=2", "rows may be given only once", {"argument": "rows"}),
            ("rows", "rows must be a number", {"argument": "rows"}),
            ("state=%ff", "The query is malformed", {}),
            ("&".join(["a=b"] * 3_000), "The query is malformed", {}),
        ):
            with self.subTest(query[:20]):
                self.assert_problem(self.program.get("user list", query), 400, said, **more)

    def test_methods(self) -> None:
        """What changes something, or takes something hidden, is not asked for by GET."""

        async def nothing(context: CommandContext) -> Replies:
            yield "nothing"

        self.put(Description("peek", "", (Argument("--at", "", Hidden()),)), nothing)
        for command in ("user add", "stop", "peek"):
            answer = self.program.get(command)
            if answer.status != 404:
                self.assert_problem(answer, 405, "with POST")
                self.assertEqual(answer.headers["Allow"], "POST")
        client = self.program.client()
        client.ask("DELETE", f"{ROOT}user/add", headers=self.program.headers())
        self.assert_problem(client.answer(), 405, "does not allow the method")

    def test_statuses(self) -> None:
        """Each refusal has its status."""

        async def refuse(context: CommandContext) -> Replies:
            for condition in context.arguments.texts("condition"):
                raise Refused("no", Condition[condition])
            yield ""

        self.put(Description("refuse", "", (Argument("condition", "", Text()),)), refuse)
        for name, status in (
            ("ITEM_NOT_FOUND", 404), ("CONFLICT", 409), ("NOT_ACCEPTABLE", 400),
            ("NOT_ALLOWED", 403), ("RESOURCE_CONSTRAINT", 429), ("SERVICE_UNAVAILABLE", 503),
        ):  # fmt: skip
            self.assert_problem(self.program.get("refuse", f"condition={name}"), status, "no.")
        for path in ("user", "user/list/", "user%20list", "nothing", "%00"):
            answer = self.program.get(path)
            self.assertIn(answer.status, (400, 404), path)

    def test_store_fails(self) -> None:
        """Without a database it is said to try again; nothing of the reason."""

        async def fail(*arguments: object) -> None:
            raise StoreError("secret")

        self.patch(self.house.store.api_keys, "api_key", fail)
        answer = self.program.get("user list")
        self.assert_problem(answer, 503, "Try again later.")
        self.assertNotIn("secret", answer.text)

    def test_bug(self) -> None:
        """A bug is a 500 for this one, and a line in the log with the plugin's name."""

        async def stumble(context: CommandContext) -> Replies:
            if context.listening:
                raise LookupError("rosebud")
            yield ""

        self.put(Description("stumble", ""), stumble)
        self.assert_problem(
            self.program.get("stumble"), 500, "the command failed; the server's log"
        )
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_places(self) -> None:
        """So many commands at a time, and then there is room again."""
        wait: Deferred[None] = Deferred()

        async def linger(context: CommandContext) -> Replies:
            await wait
            yield "done"

        self.put(Description("linger", ""), linger)
        waiting = [self.program.client() for _ in range(MAX_COMMANDS)]
        for client in waiting:
            client.ask("GET", f"{ROOT}linger", headers=self.program.headers())
        answer = self.program.get("user list")
        self.assert_problem(answer, 429, f"{MAX_COMMANDS} commands are in progress")
        wait.callback(None)
        self.assertEqual([client.answer().status for client in waiting], [200] * MAX_COMMANDS)
        self.assertEqual(self.program.get("user list").status, 200)

    def test_asked_twice(self) -> None:
        """A request with a name is done once."""
        given = {"account": "paris@montague.lit", "password": "x"}
        self.assertEqual(self.program.post("user add", given, Idempotency_Key="a").status, 200)
        answer = self.program.post("user add", given, Idempotency_Key="a")
        self.assert_problem(answer, 409, "(number 1 in the audit): done")
        answer = self.program.post("user add", given, Idempotency_Key="a" * 201)
        self.assert_problem(answer, 400, "Idempotency-Key")

    def test_elsewhere(self) -> None:
        """Where only the web is served there are no commands, and the other way."""
        listen = ListenSettings(endpoint="", kind="http", tls="none")
        self.assertNotIn("api", listen.sites)
        client = WebClient(self.house, "127.0.0.1")
        client.ask("GET", f"{ROOT}user/list", headers=self.program.headers())
        self.assertEqual(client.answer().status, 404)
        self.assertEqual(self.program.client().get("/ws").status, 404)

    def test_secrets(self) -> None:
        """No key and no password is in the log, the audit, or what is refused."""
        with capturedLogs() as events:
            for _ in range(2):
                answer = self.program.post("user add", {"account": ROMEO, "password": "rosebud"})
                self.assertNotIn("rosebud", answer.text)
            self.program.client().get(f"{ROOT}x", {"Authorization": "Bearer xmppd_rosebud"})
        entries = done(self.house.store.audit.entries(before=99, limit=9))
        self.assertEqual(len(entries), 2)
        for text in (repr(events), repr(entries)):
            self.assertNotIn("rosebud", text)
            self.assertNotIn(self.program.key.split("_", 2)[2], text)
        self.assertEqual({entry.actor for entry in entries}, {"key tests"})
        self.assertEqual({entry.address for entry in entries}, {"127.0.0.1"})
