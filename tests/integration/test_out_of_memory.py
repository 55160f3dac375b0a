"""A server that may have so much memory and no more, and is asked for more."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.raw_client import QuickClient
from xmppd.testing.process import ServerProcess

PLUGIN = '''
"""Takes all memory there is, a megabyte at a time, when it is asked to."""

import resource
from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler

ROOM_BYTES = 200_000_000
hoarded = []


@dataclass(frozen=True)
class Hoard(IQHandler):
    """Answers no more."""

    query = "{urn:example:hoard}hoard"

    def on_get(self, iq, asked):
        own = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + ROOM_BYTES, resource.RLIM_INFINITY))
        while True:
            hoarded.append(bytearray(1_000_000))


def plug():
    """One handler."""
    return [Hoard()]
'''


class OutOfMemoryTests(SynchronousTestCase):
    def test_stop(self) -> None:
        """It stops in order, says why, and ends with a status that has it started again."""
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        plugins = Path(directory.name) / "plugins"
        plugins.mkdir()
        (plugins / "hoard.py").write_text(PLUGIN)
        server = ServerProcess(
            Path(directory.name), plugins={"load": ["hoard"], "directory": str(plugins)}
        )
        server.start()
        self.addCleanup(server.stop)
        server.add_user("romeo", "secret")
        server.add_user("juliet", "secret")
        juliet = QuickClient(server)
        juliet.open()
        juliet.log_in("juliet", "secret", "1")
        juliet.send(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        juliet.until(b"/>")
        romeo = QuickClient(server)
        romeo.open()
        romeo.log_in("romeo", "secret", "1")
        romeo.send(b"<iq type='get' id='1'><hoard xmlns='urn:example:hoard'/></iq>")
        self.assertIn(b"system-shutdown", juliet.until(b"</stream:stream>"))
        process = server._process
        assert process is not None
        self.assertEqual(process.wait(30), 1)
        log = server.log.read_text()
        self.assertIn("out of memory: the server is stopping", log)
        self.assertIn("saved sessions: 1", log)
