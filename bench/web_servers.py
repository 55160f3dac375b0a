"""The three servers with a listener of HTTP, each with WebSocket, BOSH and files."""

import socket
import time

from bench.ours import Beside, Xmppd
from bench.peers import Ejabberd, Prosody
from bench.server import HOST, START_TIMEOUT_S, Server, ServerError

HTTP_OFFSET = 60

OURS = """
[[listen]]
endpoint = "epoll:{http}:interface={host}"
kind = "http"
tls = "none"
serve = ["web", "metrics"]

[web]
url = "http://p.test:{http}"
max_connections_per_address = 100_000
max_silent_connections = 100_000

[http_upload]
max_account_bytes_per_day = 1_000_000_000_000
max_account_bytes = 1_000_000_000_000
max_account_files_per_day = 1_000_000
min_free_bytes = 0
"""
PROSODY = """
http_ports = {{ {http} }}
http_interfaces = {{ "{host}" }}
http_max_content_size = 20000000
consider_websocket_secure = true
consider_bosh_secure = true
bosh_max_polling = 0
"""
PROSODY_UPLOAD = """
Component "upload.p.test" "http_file_share"
    http_file_share_size_limit = 20000000
    http_file_share_daily_quota = 1000000000000
    http_host = "p.test"
    http_external_url = "http://p.test:{http}/"
"""
EJABBERD = """\
  - port: {http}
    ip: "{host}"
    module: ejabberd_http
    request_handlers:
      /ws: ejabberd_http_ws
      /bosh: mod_bosh
      /upload: mod_http_upload
"""
EJABBERD_MODULES = """\
  mod_bosh: {{}}
  mod_http_upload:
    put_url: "http://@HOST@:{http}/upload"
    docroot: "{directory}/upload"
    max_size: 20000000
    thumbnail: false
"""


class WebServer(Server):
    """A server that speaks HTTP as well.

    Attributes:
        ws_path: Of WebSocket.
        bosh_path: Of BOSH.
    """

    ws_path = "/ws"
    bosh_path = "/bosh"

    @property
    def http_port(self) -> int:
        """The port of HTTP."""
        return self.port + HTTP_OFFSET

    def start(self) -> int:
        """Start it, and wait until it listens for HTTP as well."""
        pid = super().start()
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            try:
                socket.create_connection((HOST, self.http_port), 1.0).close()
            except OSError:
                time.sleep(0.1)
            else:
                return pid
        raise ServerError(f"{self.name} does not listen for HTTP: see {self.output}")


class WebXmppd(WebServer, Xmppd):
    """This server."""

    def more(self) -> str:
        """A listener of HTTP."""
        return OURS.format(http=self.http_port, host=HOST)


class WebBeside(WebXmppd, Beside):
    """Another revision of this server."""


class WebProsody(WebServer, Prosody):
    """Prosody with WebSocket and BOSH."""

    ws_path = "/xmpp-websocket"
    bosh_path = "/http-bind"

    def configure(self) -> None:
        """Write prosody.cfg.lua, with a listener of HTTP."""
        super().configure()
        text = self._config.read_text()
        http = {"http": self.http_port, "host": HOST}
        text = text.replace("http_ports = { }\n", PROSODY.format(**http))
        text = text.replace('"smacks"', '"smacks", "websocket", "bosh"')
        self._config.write_text(text + PROSODY_UPLOAD.format(**http))


class WebEjabberd(WebServer, Ejabberd):
    """The other peer, with WebSocket and BOSH."""

    def configure(self) -> None:
        """Write ejabberd.yml, with a listener of HTTP."""
        super().configure()
        text = self._config.read_text()
        http = {"http": self.http_port, "host": HOST, "directory": self.directory}
        text = text.replace("shaper_rules:\n", EJABBERD.format(**http) + "shaper_rules:\n")
        self._config.write_text(text + EJABBERD_MODULES.format(**http))


__all__ = ["WebBeside", "WebEjabberd", "WebProsody", "WebServer", "WebXmppd"]
