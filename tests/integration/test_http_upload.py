"""Files by HTTPS, with a server in a process of its own."""

import re
import ssl
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.people import PASSWORD
from tests.integration.raw_client import RawClient
from xmppd.testing.process import ServerProcess

NS = "urn:xmpp:http:upload:0"
PATIENCE_S = 60.0
SLOT = re.compile(
    rb"<put url='([^']*)'><header name='Authorization'>([^<]*)</header></put><get url='([^']*)'/>"
)


class UploadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        limits = {"max_file_bytes": 5_000_000, "max_account_bytes_per_day": 9_000_000}
        self.server = ServerProcess(self.directory, http_upload=limits)
        self.server.start()
        self.addCleanup(lambda: self.server.pid and self.server.kill())
        self.server.add_user("romeo", PASSWORD)

    def slot(self, size: int) -> tuple[str, dict[str, str]]:
        """The URL of a file, and the headers with which it is uploaded."""
        romeo = RawClient(self.server)
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", PASSWORD, "1")
        romeo.send(
            f"<iq type='get' id='u' to='upload.localhost'><request xmlns='{NS}'"
            f" filename='a.png' content-type='image/png' size='{size}'/></iq>".encode()
        )
        said = SLOT.search(romeo.until(b"</slot></iq>"))
        assert said is not None
        put, authorization, get = (part.decode() for part in said.groups())
        self.assertEqual(put, get)
        return put, {"Authorization": authorization}

    def connection(self) -> HTTPConnection:
        """With the server; its certificate is its own."""
        context = ssl.create_default_context(cafile=str(self.server.certificate_of("localhost")))
        connection = HTTPSConnection(
            "localhost", self.server.https_port, context=context, timeout=PATIENCE_S
        )
        self.addCleanup(connection.close)
        return connection

    def ask(self, method: str, url: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """The status and body of the answer."""
        connection = self.connection()
        parts = urlsplit(url)
        self.assertEqual(parts.scheme, "https")
        connection.request(method, parts.path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def files(self) -> list[Path]:
        """All that is in the directory."""
        return [each for each in (self.directory / "data/uploads").rglob("*") if each.is_file()]

    def test_killed(self) -> None:
        """A file that was stored is there after a kill; what was cut off by that leaves nothing,
        and takes no room any more (HU-3, HU-5).
        """
        picture = bytes(range(256)) * 10_000
        url, may = self.slot(len(picture))
        self.assertEqual(self.ask("PUT", url, picture, **may), (201, b""))
        begun, may_go_on = self.slot(5_000_000)
        connection = self.connection()
        connection.putrequest("PUT", urlsplit(begun).path)
        for name, value in (*may_go_on.items(), ("Content-Length", "5000000")):
            connection.putheader(name, value)
        connection.endheaders(bytes(1_000_000))
        connection.sock.settimeout(PATIENCE_S)
        while len(self.files()) < 2:
            connection.send(bytes(1_000))
        self.server.kill()
        self.server.start()
        port = f":{self.server.https_port}/"
        status, body = self.ask("GET", re.sub(r":\d+/", port, url))
        self.assertEqual((status, body == picture), (200, True))
        self.assertEqual(len(self.files()), 1)
        self.assertEqual(self.ask("PUT", begun, bytes(5_000_000), **may_go_on), (201, b""))
