"""Commands by HTTP, at a server in a process of its own: what others make of its description."""

import json
import os
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from openapi_spec_validator import validate

from tests.integration.processes import PATIENCE_S, ProcessCase, environment

EXAMPLES = int(os.environ.get("XMPPD_API_EXAMPLES", "1"))
"""For each command; the few of ``make test`` are over soon."""

LISTEN = """
[[listen]]
endpoint = "tcp:0:interface=127.0.0.1"
kind = "http"
tls = "none"
serve = ["api"]
"""
LOAD = (
    'load = ["adhoc_commands", "pubsub", "muc", "pep", "archive", "push", "room_archive",'
    ' "guestbook"]'
)

# What would end the attack, or has no end.
LEFT_ALONE = r"^/(stop|trace|cluster/drain|key/revoke|plugin/.*|reload)$"
NOT_CHECKED = (
    # a text that is no address is refused by more than a schema says
    "positive_data_acceptance",
    # OPTIONS speaks for all commands at once
    "allow_header_conformance",
    # an endless query is refused before anybody looks for a key
    "missing_required_header",
)
SCHEMATHESIS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 411, 413, 415, 429, 431]
"""


class APIProcessCase(ProcessCase):
    """A server with commands by HTTP, and a key that may do everything."""

    def setUp(self) -> None:
        super().setUp()
        self.configure(LISTEN)
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace('load = ["ping"]', LOAD), encoding="utf-8")
        self.start()
        self.port = self.ports()[-1]
        made, _ = self.rows("key", "add", "tests", "--role", "admin")
        self.key = str(made["key"])

    def ask(self, method: str, path: str, given: object = None, **headers: str) -> HTTPResponse:
        """The answer to a request."""
        self.connection = connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        body = None if given is None else json.dumps(given)
        said = {"Authorization": f"Bearer {self.key}", **headers}
        if body is not None:
            said["Content-Type"] = "application/json"
        connection.request(method, f"/api/v1/{path}", body, said)
        return connection.getresponse()


class WayTests(APIProcessCase):
    def test_both(self) -> None:
        """What is done by HTTP is seen by xmppctl, and the other way; the audit has both."""
        given = {"account": "romeo@localhost", "password": "moon"}
        answer = self.ask("POST", "user/add", given)
        self.assertEqual((answer.status, json.load(answer)["rows"]), (200, []))
        printed = self.ctl("user", "add", "romeo", "--stdin", input="moon\n", status=1)
        self.ctl("user", "add", "juliet", "--stdin", input="moon\n")
        problem = json.load(self.ask("POST", "user/add", given))
        self.assertEqual(printed, f"xmppctl: {problem['detail']}\n")
        entries = self.rows("audit", "list", "--words", "user")
        self.assertEqual(
            [(entry["way"], entry["outcome"]) for entry in entries],
            [
                ("rest", "refused: romeo@localhost already exists"),
                ("xmppctl", "done"),
                ("rest", "done"),
            ],
        )
        self.ctl("key", "revoke", "tests")
        self.assertEqual(self.ask("GET", "user/list").status, 401)

    def test_events(self) -> None:
        """What has no end comes as it happens, and ends with its reader."""
        answer = self.ask("GET", "trace?address=localhost&stanzas=1", Accept="text/event-stream")
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        self.assertEqual(answer.headers["Transfer-Encoding"], "chunked")
        for _ in range(8):  # more than there are places
            self.connection.close()
            until = time.monotonic() + PATIENCE_S
            while self.ask("GET", "trace?address=localhost").status == 429:
                self.assertLess(time.monotonic(), until)
                self.connection.close()

    def test_secrets(self) -> None:
        """No password and no key is in the log or in the database's audit."""
        self.ask("POST", "user/add", {"account": "romeo@localhost", "password": "rosebud"})
        self.ask("POST", "user/add", {"account": "romeo@localhost", "password": "rosebud"})
        seen = self.text() + self.ctl("--json", "audit", "list")
        secret = self.key.rpartition("_")[2]
        self.assertNotIn("rosebud", seen)
        self.assertNotIn(secret, seen)
        for file in (self.directory / "data").iterdir():
            if file.is_file():
                self.assertNotIn(secret.encode(), file.read_bytes())


class DescriptionTests(APIProcessCase):
    def test_valid(self) -> None:
        """Others take the description for one of OpenAPI."""
        answer = self.ask("GET", "openapi.json")
        document = json.load(answer)
        validate(document)
        self.assertEqual(document["openapi"], "3.1.0")
        self.assertIn("/user/add", document["paths"])

    def test_attack(self) -> None:
        """Whatever may be asked, and may not, there is no 500 and no answer but those described."""
        config = self.directory / "schemathesis.toml"
        config.write_text(SCHEMATHESIS, encoding="utf-8")
        phases = "examples,coverage,fuzzing,stateful" if EXAMPLES > 1 else "fuzzing"
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config),
            "run", f"http://127.0.0.1:{self.port}/api/v1/openapi.json",
            "--header", f"Authorization: Bearer {self.key}",
            "--exclude-path-regex", LEFT_ALONE, "--exclude-checks", ",".join(NOT_CHECKED),
            "--phases", phases, "--max-examples", str(EXAMPLES), "--no-shrink",
            "--continue-on-failure", "--suppress-health-check", "all",
            "--request-timeout", str(PATIENCE_S), "--seed", os.environ.get("SEED", "1"),
        ]  # fmt: skip
        ended = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, env=environment(),
            check=False,
        )  # fmt: skip
        shown = "\n".join(line[:500] for line in ended.stdout.splitlines())
        self.assertEqual(ended.returncode, 0, shown[-20_000:] + ended.stderr)
        self.assertNotIn("Traceback", self.text())
        self.assertEqual(self.ask("GET", "status").status, 200)
