"""nginx, Caddy and HAProxy in front, each as the manual says it."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from base64 import b64encode
from http.client import HTTPSConnection
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import monotonic
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.integration.people import PASSWORD
from tests.integration.raw_client import RawClient
from tests.integration.test_http_upload import NS, SLOT
from tests.ports import free_port
from xmppd.testing.process import ServerProcess

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
REAL = "192.0.2.7"
PROGRAMS = f"{os.environ.get('PATH', '')}:/usr/sbin"

NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/proxy.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory};
    proxy_temp_path {directory};
    fastcgi_temp_path {directory};
    uwsgi_temp_path {directory};
    scgi_temp_path {directory};
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
{block}
    }}
}}
"""


def block(language: str) -> str:
    """The manual's example."""
    text = (ROOT / "docs" / "administration.md").read_text()
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def changed(text: str, old: str, new: str) -> str:
    """An example with what is another way here."""
    assert old in text, f"the manual's example has no {old!r}"
    return text.replace(old, new)


class ProxyCase(SynchronousTestCase):
    """A server that only the proxy reaches by HTTP."""

    def setUp(self) -> None:
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.directory.chmod(0o755)
        self.port = free_port()
        listen = [{"endpoint": "epoll:0:interface=127.0.0.1", "kind": "http", "tls": "none"}]
        web = {"url": f"https://localhost:{self.port}", "trusted_proxies": ["127.0.0.1"]}
        self.server = ServerProcess(self.directory, web=web, listen=listen)
        self.server.start()
        self.addCleanup(self.server.stop)
        self.server.add_user("romeo", PASSWORD)
        self.behind = self.server.ports("http")[0]
        self.context = ssl.create_default_context(cafile=str(self.server.certificate))

    def put_in_front(self, program: str, *arguments: str, **environment: str) -> None:
        """Start a proxy, and wait until it listens."""
        path = shutil.which(program, path=PROGRAMS)
        if path is None:
            self.fail(f'{program} is not here: run "sh etc/dev.sh proxies"')
        log = (self.directory / "proxy.out").open("wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [path, *arguments], stdout=log, stderr=log, env={**os.environ, **environment}
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        until = monotonic() + PATIENCE_S
        while monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                said = (self.directory / "proxy.out").read_text()
                self.assertIsNone(process.poll(), said)
            else:
                return
        self.fail(f"{program} does not listen")

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, bytes, str]:
        """Status, body and type of an answer."""
        client = HTTPSConnection("localhost", self.port, context=self.context, timeout=PATIENCE_S)
        client.request(method, path, body or None, headers)
        answer = client.getresponse()
        said = answer.status, answer.read(), answer.headers.get("Content-Type", "")
        client.close()
        return said

    def everything(self, address: str = REAL) -> None:
        """All that people do through it; whoever says to be somebody else is this address."""
        status, meta, _ = self.ask("GET", "/.well-known/host-meta")
        self.assertEqual(status, 200)
        self.assertIn(f"wss://localhost:{self.port}/ws".encode(), meta)
        self.web_socket(address)
        self.bosh()
        self.files()

    def web_socket(self, address: str) -> None:
        """Log in, with TLS that ends in front, and from the address that the proxy tells."""
        uri = f"wss://localhost:{self.port}/ws"
        opening = f"<open xmlns='{FRAMING}' to='localhost' version='1.0'/>"
        token = b64encode(f"\0romeo\0{PASSWORD}".encode()).decode()
        with connect(
            uri,
            ssl=self.context,
            subprotocols=[Subprotocol("xmpp")],
            additional_headers={"X-Forwarded-For": REAL},
            compression=None,
            proxy=None,
        ) as client:

            def until(end: str) -> str:
                while end not in (text := str(client.recv(PATIENCE_S))):
                    pass
                return text

            client.send(opening)
            features = until("features")
            self.assertNotIn("-PLUS", features)
            self.assertIn("PLAIN", features)
            client.send(
                f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>"
            )
            until("<success")
            client.send(opening)
            until("features")
            client.send(
                "<iq xmlns='jabber:client' type='set' id='b'>"
                "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
            )
            until("<jid>")
            rows = [line for line in self.server.tell("session list") if isinstance(line, dict)]
            [session] = [row for row in rows if "jid" in row]
            self.assertEqual(session["address"], address)
            client.send(f"<close xmlns='{FRAMING}'/>")
            until("<close")

    def bosh(self) -> None:
        """A session by BOSH, whose features come at once."""
        body = (
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='localhost' wait='5'"
            " hold='1' ver='1.11' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>"
        )
        status, said, kind = self.ask(
            "POST", "/bosh", body.encode(), **{"Content-Type": "text/xml; charset=utf-8"}
        )
        self.assertEqual((status, kind), (200, "text/xml; charset=utf-8"))
        self.assertIn(b"SCRAM-SHA-256", said)

    def files(self) -> None:
        """A file of 2 MiB, which is more than some proxies take unasked."""
        content = bytes(range(256)) * 8_192
        romeo = RawClient(self.server)
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", PASSWORD, "1")
        romeo.send(
            f"<iq type='get' id='u' to='upload.localhost'><request xmlns='{NS}'"
            f" filename='a.png' content-type='image/png' size='{len(content)}'/></iq>".encode()
        )
        said = SLOT.search(romeo.until(b"</slot></iq>"))
        assert said is not None
        put, authorization, get = (part.decode() for part in said.groups())
        self.assertTrue(put.startswith(f"https://localhost:{self.port}/"), put)
        path = urlsplit(put).path
        status, _, _ = self.ask("PUT", path, content, Authorization=authorization)
        self.assertEqual(status, 201)
        status, whole, kind = self.ask("GET", urlsplit(get).path)
        self.assertEqual((status, kind, whole), (200, "image/png", content))
        status, part, _ = self.ask("GET", path, Range="bytes=100-199")
        self.assertEqual((status, part), (206, content[100:200]))


class ProxyTests(ProxyCase):
    def test_nginx(self) -> None:
        """All goes through nginx."""
        config = self.directory / "nginx.conf"
        config.write_text(
            NGINX.format(
                directory=self.directory,
                port=self.port,
                certificate=self.server.certificate,
                key=self.directory / "localhost.key",
                block=changed(block("nginx"), "127.0.0.1:5280", f"127.0.0.1:{self.behind}"),
            )
        )
        self.put_in_front("nginx", "-c", str(config), "-p", str(self.directory))
        self.everything()

    def test_caddy(self) -> None:
        """All goes through Caddy."""
        text = changed(block("caddy"), "127.0.0.1:5280", f"127.0.0.1:{self.behind}")
        pair = f"{self.server.certificate} {self.directory}/localhost.key"
        text = changed(
            text, "chat.example.org {", f"https://localhost:{self.port} {{\n    tls {pair}"
        )
        config = self.directory / "Caddyfile"
        config.write_text("{\n    admin off\n    auto_https disable_redirects\n}\n" + text)
        self.put_in_front(
            "caddy", "run", "--adapter", "caddyfile", "--config", str(config),
            XDG_DATA_HOME=str(self.directory), XDG_CONFIG_HOME=str(self.directory),
            HOME=str(self.directory),
        )  # fmt: skip
        self.everything("127.0.0.1")  # it believes nobody who says so

    def test_haproxy(self) -> None:
        """All goes through HAProxy."""
        pem = self.directory / "both.pem"
        key = self.directory / "localhost.key"
        pem.write_text(self.server.certificate.read_text() + key.read_text())
        text = changed(block("cfg"), "127.0.0.1:5280", f"127.0.0.1:{self.behind}")
        text = changed(text, "bind :443", f"bind 127.0.0.1:{self.port}")
        text = changed(text, "/etc/haproxy/chat.example.org.pem", str(pem))
        config = self.directory / "haproxy.cfg"
        config.write_text(text)
        self.put_in_front("haproxy", "-db", "-f", str(config))
        self.everything()
