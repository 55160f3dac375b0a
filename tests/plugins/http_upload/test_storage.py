"""Files that another service has: a bucket of S3, or a share service."""

import hmac
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, time
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree.ElementTree import Element

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.http_upload.upload_case import HOST, UploadCase
from xmppd.config.config import Config
from xmppd.plugin.plugin_error import PluginError
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.web import WebClient
from xmppd_plugins.http_upload.aws_signature import Signer
from xmppd_plugins.http_upload.slots import Slot
from xmppd_plugins.http_upload.storage import ExternalShare
from xmppd_plugins.http_upload.uploads import NS

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
BUCKET = "https://s3.eu-central-1.amazonaws.com/montague"
PATIENCE_S = 30.0
SHARE = "https://share.montague.lit/files"
NOON = 1_796_036_400.0


def slot(name: str = "a ♥.png", type: str = "image/png", size: int = 1234) -> Slot:
    """A slot for a file."""
    return Slot(bytes(range(16)), "romeo@montague.lit", name, size, type, "message", NOON, None)


class SignatureTests(SynchronousTestCase):
    def test_of_the_manual(self) -> None:
        """The example in Amazon's manual is signed as it is there."""
        signer = Signer("us-east-1", KEY, SECRET)
        url = signer.url(
            "GET", "https://examplebucket.s3.amazonaws.com/test.txt", 1_369_353_600.0, 86_400
        )
        self.assertTrue(
            url.endswith(
                "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
            ),
            url,
        )

    def test_as_botocore(self) -> None:
        """All others are signed, byte for byte, as Amazon's own library does."""
        signer = Signer("eu-central-1", KEY, SECRET)
        for method, lifetime_s, headers, query in (
            ("PUT", 300, {"Content-Length": "1234", "Content-Type": "image/png"}, {}),
            ("PUT", 60, {"Content-Length": "1"}, {}),
            ("PUT", 300, {"Content-Length": "9", "Content-Type": "text/plain; charset=utf-8"}, {}),
            ("DELETE", 300, {}, {}),
            (
                "GET",
                300,
                {},
                {
                    "response-content-disposition": "inline; filename*=UTF-8''a%20%E2%99%A5~.png",
                    "response-content-type": "image/png",
                },
            ),
        ):
            for url in (f"{BUCKET}/00ff", "https://montague.s3.example.org:9000/00ff"):
                with self.subTest(method=method, headers=str(headers), url=url):
                    ours = signer.url(method, url, time(), lifetime_s, headers=headers, query=query)
                    theirs = AWSRequest(method, url, headers=headers, params=query or None)
                    auth = S3SigV4QueryAuth(
                        Credentials(KEY, SECRET), "s3", "eu-central-1", expires=lifetime_s
                    )
                    auth.add_auth(theirs)
                    if _moment(ours) != _moment(theirs.url):  # a second has passed in between
                        ours = signer.url(
                            method, url, time(), lifetime_s, headers=headers, query=query
                        )
                    self.assertEqual(ours, theirs.url)


def _moment(url: str) -> list[str]:
    return parse_qs(urlsplit(url).query)["X-Amz-Date"]


class ShareTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """What a share service computes of path, size and type is what the URL says."""
        share = ExternalShare(f"{SHARE}/", "north")
        for type, said in (("image/png", "image/png"), ("", "application/octet-stream")):
            url = share.put_url(slot(type=type))
            path = unquote(urlsplit(url).path).removeprefix("/files/")
            self.assertEqual(path, "000102030405060708090a0b0c0d0e0f/a ♥.png")
            signed = f"{path}\0{1234}\0{said}".encode()
            [signature] = parse_qs(urlsplit(url).query)["v2"]
            self.assertEqual(signature, hmac.new(b"north", signed, "sha256").hexdigest())
        self.assertEqual(
            share.put_url(slot("rose.png")).partition("?v2=")[2],
            "be6645ee7054d89fa4a2941c74dc107e9577f7b96eeb98c82da87b442257e695",
        )


class ElsewhereCase(UploadCase):
    def setUp(self) -> None:
        self.secret = Path(mkdtemp()) / "secret"
        self.secret.write_text(f"{SECRET}\n")
        self.addCleanup(self.secret.parent.rmdir)
        self.addCleanup(self.secret.unlink)
        super().setUp()

    def urls(self, answer: Element) -> tuple[str, str]:
        """Those of a slot, which has no header."""
        put, get = answer.find(f".//{{{NS}}}put"), answer.find(f".//{{{NS}}}get")
        assert put is not None and get is not None, answer
        self.assertEqual(len(put), 0)
        return put.get("url", ""), get.get("url", "")


class ExternalTests(ElsewhereCase):
    limits = {"external_url": SHARE, "max_file_bytes": 1_000, "max_account_bytes": 2_500}

    def configured(self, **more: object) -> Config:
        return super().configured(secret_file=str(self.secret), **more)

    def test_slot(self) -> None:
        """A slot leads to the other service for both, and counts from then on (HU-4, HU-9)."""
        put, get = self.urls(self.ask("rose.png", 1_000, type="image/png"))
        self.assertTrue(put.startswith(f"{get}?v2="), put)
        self.assertTrue(get.startswith(f"{SHARE}/"), get)
        self.urls(self.ask("rose.png", 1_000))
        refused = self.ask("rose.png", 1_000)
        self.assertEqual(refused.get("type"), "error")
        self.assertEqual(self.files(), [])
        web = WebClient(self.house)
        path = f"/upload/{urlsplit(get).path.split('/')[-2]}/rose.png"
        self.assertEqual(web.get(path).status, 404)
        web.ask("PUT", path, b"x" * 1_000)
        self.assertEqual(web.answer().status, 403)

    def test_wrong(self) -> None:
        """A configuration that cannot work stops the start, with what to change."""
        for more, said in (
            ({"secret_file": "secret"}, "absolute path"),
            ({"external_url": "share.montague.lit"}, "not a service URL"),
            ({"s3_url": BUCKET}, "not both"),
            ({"external_url": "", "s3_url": BUCKET}, "s3_key is missing"),
            ({"secret_file": "/nowhere/secret"}, "cannot be read"),
        ):
            with self.subTest(said=said), self.assertRaisesRegex(PluginError, said):
                whole: dict[str, object] = {"secret_file": str(self.secret), **more}
                House(config=super().configured(**whole), plugins=("disco", "http_upload"))


class S3Tests(ElsewhereCase):
    """With moto's server, which speaks as S3 does, and believes every signature."""

    def setUp(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.addCleanup(self.moto.wait)
        self.addCleanup(self.moto.kill)
        self.url = f"http://127.0.0.1:{self.port}/montague"
        self.wait()
        self.assertEqual(self.http("PUT", self.url), 200)
        super().setUp()

    def wait(self) -> None:
        """Wait until it listens."""
        until = monotonic() + PATIENCE_S
        while monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.moto.poll() is None, "moto's server did not start"
            else:
                return

    def configured(self, **more: object) -> Config:
        return super().configured(
            s3_url=self.url, s3_region="eu-central-1", s3_key=KEY, secret_file=str(self.secret),
            **more,
        )  # fmt: skip

    def http(self, method: str, url: str, body: bytes = b"", **headers: str) -> int:
        """The status of an answer; what it says is in `answer`."""
        parts = urlsplit(url)
        client = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
        client.request(method, f"{parts.path}?{parts.query}", body, headers)
        self.answer = client.getresponse()
        self.body = self.answer.read()
        client.close()
        return self.answer.status

    def test_up_and_down(self) -> None:
        """A file goes to the bucket, and who asks here is sent there, where it is as safe to open;
        at its end it is removed there (HU-5, HU-7, HU-9).
        """
        put, get = self.urls(self.ask("a ♥.html", 5, type="text/html"))
        self.assertTrue(put.startswith(f"{self.url}/"), put)
        self.assertTrue(get.startswith(f"{HOST}/upload/"), get)
        self.assertIn("content-length%3Bcontent-type%3Bhost", put)
        self.assertEqual(self.http("PUT", put, b"<b>hi", **{"Content-Type": "text/html"}), 200)
        self.http("GET", self.url)
        self.assertIn(b"<Key>", self.body)
        answer = WebClient(self.house).get(urlsplit(get).path)
        self.assertEqual((answer.status, answer.headers["Cache-Control"]), (302, "no-store"))
        there = answer.headers["Location"]
        self.assertEqual(self.http("GET", there), 200)
        self.assertEqual(self.body, b"<b>hi")
        self.assertEqual(self.answer.headers["Content-Type"], "application/octet-stream")
        self.assertEqual(
            self.answer.headers["Content-Disposition"],
            "attachment; filename*=UTF-8''a%20%E2%99%A5.html",
        )
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.assertEqual(self.http("GET", self.url), 200)
        self.assertNotIn(b"<Key>", self.body)
        self.assertEqual(WebClient(self.house).get(urlsplit(get).path).status, 404)
