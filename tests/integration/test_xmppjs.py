"""@xmpp/client from npm: what many people write their clients with, for browsers and for node."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

from tests.integration.cable import Cable
from tests.integration.people import PASSWORD, PATIENCE_S, ServerCase, people

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "xmppjs"
MODULES = ROOT / ".node" / "node_modules"
LATENCY_S = 0.002
"""As any network has; without, the client overlooks an answer at times (docs/testing.md)."""


class JavaScriptPerson:
    """Somebody with that client, in a process of its own.

    Attributes:
        events: All that it has told so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []
        self._new: list[dict[str, Any]] = []

    async def sees(self, event: str) -> dict[str, Any]:
        """The next time that it tells of this, whatever it tells besides."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (found := self._take(event)) is None:
                    line = await self._process.stdout.readline()
                    if not line:
                        break
                    self._new.append(json.loads(line))
                    self.events.append(self._new[-1])
                else:
                    return found
        except TimeoutError:
            pass
        raise AssertionError(f"no {event}, but: {self.events}")

    def _take(self, event: str) -> dict[str, Any] | None:
        for told in self._new:
            if told["event"] == event:
                self._new.remove(told)
                return told
        return None

    def does(self, **what: object) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    def count(self, event: str) -> int:
        """How often it has told of something."""
        return sum(told["event"] == event for told in self.events)

    async def end(self) -> None:
        """Be rid of the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class JavaScriptTests(ServerCase):
    domains: ClassVar[tuple[str, ...]] = ("localhost",)
    settings: ClassVar[dict[str, object]] = {
        "auth": {"scram_iterations": 4096}  # strophe.js takes no fewer
    }

    async def talk(self, scheme: str, port: int, path: str = "") -> None:
        """Log in, write, be written to, be cut off, resume, and leave in good order."""
        cable = await Cable(port, latency_s=LATENCY_S).lay()
        (juliet,) = await self.arrivals("juliet")
        romeo = self.account("romeo")
        client = await self.start(
            f"{scheme}://localhost:{cable.begin}{path}", romeo.partition("@")[0]
        )
        try:
            online = await client.sees("online")
            self.assertTrue(online["jid"].startswith(f"{romeo}/"))
            await client.sees("available")
            client.does(to=juliet.boundjid.bare, body="what light is this?")
            await juliet.expect("message", body="what light is this?", sender=online["jid"])
            juliet.say(online["jid"], "ay me")
            self.assertEqual((await client.sees("message"))["body"], "ay me")

            cable.sever()
            await client.sees("disconnect")
            juliet.say(online["jid"], "art thou gone?")
            await client.sees("resumed")
            self.assertEqual((await client.sees("message"))["body"], "art thou gone?")
            client.does(to=juliet.boundjid.bare, body="I am here")
            await juliet.expect("message", body="I am here", sender=online["jid"])

            for event, times in (("online", 1), ("resumed", 1), ("message", 2), ("fail", 0)):
                self.assertEqual(client.count(event), times, client.events)
            client.does(stop=True)
            await client.sees("offline")
            errors = [told["text"] for told in client.events if told["event"] == "error"]
            self.assertEqual([text for text in errors if "StreamError" in text], [])
            await juliet.saw_nothing("message")
        finally:
            await client.end()
            await cable.take_away()

    async def start(self, service: str, username: str) -> JavaScriptPerson:
        """The client's process; it trusts the server's certificate."""
        return await self.run_script("talk.mjs", service, "localhost", username, PASSWORD)

    async def run_script(self, script: str, *arguments: str) -> JavaScriptPerson:
        """The process of a script."""
        node = shutil.which("node")
        if node is None or not (MODULES / "@xmpp" / "client").is_dir():
            self.fail('node and @xmpp/client are not here: run "sh etc/dev.sh clients"')
        process = await asyncio.create_subprocess_exec(
            node,
            "--experimental-global-webcrypto",  # Debian 12's is so old that it has to be told
            "--no-warnings",
            str(SCRIPTS / script),
            str(MODULES),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(self.server.certificate)},
        )
        return JavaScriptPerson(process)

    @people
    async def test_starttls(self) -> None:
        """Over STARTTLS it logs in, talks, and comes back to its session when it was cut off."""
        await self.talk("xmpp", self.server.port)

    @people
    async def test_direct_tls(self) -> None:
        """So it does where TLS begins with the first byte."""
        await self.talk("xmpps", self.server.direct_tls_port)

    @people
    async def test_web_socket(self) -> None:
        """So it does over WebSocket, as it would in a browser."""
        await self.talk("wss", self.server.https_port, "/ws")

    @people
    async def test_strophe(self) -> None:
        """strophe.js logs in by BOSH and by WebSocket, talks, and leaves in good order."""
        (juliet,) = await self.arrivals("juliet")
        romeo = self.account("romeo")
        for scheme, path in (("https", "/bosh"), ("https", "/http-bind/"), ("wss", "/ws")):
            service = f"{scheme}://localhost:{self.server.https_port}{path}"
            client = await self.run_script("strophe.mjs", service, f"{romeo}/strophe", PASSWORD)
            try:
                online = await client.sees("online")
                for number in range(3):
                    client.does(to=juliet.boundjid.bare, body=f"{path} {number}")
                    await juliet.expect("message", body=f"{path} {number}", sender=online["jid"])
                    juliet.say(online["jid"], f"ay me {number}")
                    self.assertEqual((await client.sees("message"))["body"], f"ay me {number}")
                client.does(stop=True)
                await client.sees("offline")
                self.assertEqual(client.count("error"), 0, client.events)
            finally:
                await client.end()
        await juliet.saw_nothing("message")
