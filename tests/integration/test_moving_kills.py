"""The server is killed while people move in; the next try goes on, and nothing is to be seen."""

import random
import re
import subprocess
import time
from os import environ
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import PATIENCE_S, XMPPCTL, environment
from tests.seeds import some_seed
from tests.unit.migration.sources import DOMAIN, PEOPLE, SOURCES
from xmppd.testing.process import ServerProcess

KILLS = int(environ.get("XMPPD_IMPORT_KILLS", "2"))
"""For each kind of source; ``make kills`` has a hundred and more in all."""

PLUGINS = ("disco", "vcard", "private_storage", "archive", "ping")
_UNSTABLE = re.compile(rb" id='[^']*'|\d{4}-\d\d-\d\dT[0-9:.]+Z")
"""Under which name and when something was stored, if its source does not say that, is another each
time.
"""
_UNSTABLE_KEYS = re.compile(rb"<(?:salt|server-key|stored-key)>[^<]*|" + _UNSTABLE.pattern)


class KilledTests(SynchronousTestCase):
    """A share of kill -9 at random points, for each kind of source."""

    def setUp(self) -> None:
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.random = random.Random(some_seed())

    def server(self, name: str) -> ServerProcess:
        """An empty server."""
        directory = self.directory / name
        directory.mkdir()
        server = ServerProcess(directory, DOMAIN, plugins={"load": list(PLUGINS)})
        self.addCleanup(server.stop)
        server.start()
        return server

    def begin(self, server: ServerProcess, kind: str, source: Path) -> "subprocess.Popen[bytes]":
        """An import that is under way."""
        process = subprocess.Popen(
            [*XMPPCTL, "--data", str(server.directory / "data"), "import", kind, str(source)]
            + ["--host", DOMAIN] * (kind == "openfire"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        self.addCleanup(process.wait, PATIENCE_S)
        return process

    def written(self, server: ServerProcess, unstable: "re.Pattern[bytes]") -> dict[str, bytes]:
        """All that is there, person by person, without what is another each time."""
        out = server.directory / "out"
        server.tell("export", format="xep0227", directory=str(out))
        return {file.name: unstable.sub(b"", file.read_bytes()) for file in out.glob("n*.xml")}

    def check(
        self,
        source: str,
        unstable: "re.Pattern[bytes]" = _UNSTABLE,
    ) -> None:
        """Killed a few times or not at all, it comes to the same."""
        kind, path = SOURCES[source](self.directory)
        at_once, again = self.server("at-once"), self.server("again")
        began = time.monotonic()
        self.assertEqual(self.begin(at_once, kind, path).wait(PATIENCE_S), 0)
        took_s = time.monotonic() - began
        for _ in range(KILLS):
            process = self.begin(again, kind, path)
            time.sleep(self.random.uniform(0.2, 1.0) * took_s)
            again.kill()
            process.wait(PATIENCE_S)
            again.start()
        self.assertEqual(self.begin(again, kind, path).wait(PATIENCE_S), 0)
        wanted, found = (self.written(each, unstable) for each in (at_once, again))
        self.assertEqual(len(wanted), PEOPLE)
        self.assertEqual(sorted(found), sorted(wanted))
        for name, text in wanted.items():
            self.assertEqual(found[name], text, name)

    def test_openfire(self) -> None:
        """From the database of an Openfire."""
        self.check("openfire")

    def test_openfire_script(self) -> None:
        """From the script of the database that an Openfire brings."""
        self.check("openfire script")

    def test_openfire_xml(self) -> None:
        """From what a plugin of an Openfire writes: keys are made of passwords in clear, each time
        others.
        """
        self.check("openfire xml", unstable=_UNSTABLE_KEYS)

    def test_ejabberd(self) -> None:
        """From the database of an ejabberd."""
        self.check("ejabberd")

    def test_ejabberd_dump(self) -> None:
        """From a dump of an ejabberd."""
        self.check("ejabberd dump")

    def test_prosody(self) -> None:
        """From the files of a Prosody."""
        self.check("prosody")

    def test_prosody_database(self) -> None:
        """From the database of a Prosody."""
        self.check("prosody database")

    def test_mongooseim(self) -> None:
        """From the database of a MongooseIM."""
        self.check("mongooseim")

    def test_xep0227(self) -> None:
        """From a file of XEP-0227."""
        self.check("xep0227")


__all__ = ["KilledTests"]
