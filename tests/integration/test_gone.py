"""What connections over real sockets and TLS leave behind when they are closed: nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from bench.gone import KINDS, left_by, made

COUNT = 40


class GoneTests(SynchronousTestCase):
    def test_nothing_left(self) -> None:
        """The garbage collector finds no more after many connections than it does after one."""
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        server = made(Path(directory.name))
        self.addCleanup(server.stop)
        for kind in KINDS:
            with self.subTest(kind.__name__):
                left_by(server, kind, 1)
                # Now and then a thread of the store leaves three, however many there were.
                self.assertLess(left_by(server, kind, COUNT).objects, 0.5)
