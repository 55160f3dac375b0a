"""A room of a real server that is stopped or killed, and started again."""

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.managed import Managed
from xmppd.testing.process import ServerProcess

PASSWORD = "a rose"
ROOM = b"orchard@conference.localhost"
JOIN = b"<presence to='" + ROOM + b"/%b'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
SAY = b"<message type='groupchat' to='" + ROOM + b"'><body>%b</body></message>"
PING = b"<iq type='get' id='p' to='" + ROOM + b"/Romeo'><ping xmlns='urn:xmpp:ping'/></iq>"


class RoomTests(SynchronousTestCase):
    """Romeo, whose client may resume its session, is in the orchard."""

    def setUp(self) -> None:
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        self.server = ServerProcess(
            directory, "localhost", plugins={"load": ["ping", "muc"]}, muc={"instant": True}
        )
        self.addCleanup(self.server.stop)
        self.server.start()
        self.server.add_user("romeo", PASSWORD)
        self.romeo = self.peer()
        self.romeo.log_in("romeo", PASSWORD)
        self.romeo.enable()
        self.romeo.send(JOIN % b"Romeo")
        self.romeo.until(b"<subject")
        self.romeo.send(SAY % b"before")
        self.romeo.until(b"before</body>")
        self.romeo.handled = 3  # itself, the subject and what was said

    def peer(self) -> Managed:
        """A connection that does not outlive the test."""
        peer = Managed(self.server.direct_tls_port)
        self.addCleanup(peer.close)
        return peer

    def test_stopped(self) -> None:
        """Who was in is in when the server is back, and is told nothing (RM-60)."""
        self.server.stop()
        self.server.start()
        back = self.peer()
        back.resume(self.romeo, "romeo", PASSWORD)
        back.send(SAY % b"after")
        heard = back.until(b"after</body>")
        self.assertNotIn(b"<presence", heard)
        self.assertEqual(heard.count(b"<message"), 1)

    def test_killed(self) -> None:
        """After a kill nobody is in, and who asks is told so (RM-60)."""
        self.server.kill()
        self.server.start()
        back = self.peer()
        back.log_in("romeo", PASSWORD)
        back.send(PING)
        self.assertIn(b"<not-acceptable", back.until(b"</iq>"))
