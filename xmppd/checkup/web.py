"""What stands on the web for clients: host-meta, WebSocket, and what a proxy lets through."""

import http.client
import json
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_bytes
from urllib.parse import urlsplit

from xmppd.checkup.checked import Checked, Found, Sight
from xmppd.checkup.knock import PATIENCE_S, unverified
from xmppd.net.certificate import ascii_domain
from xmppd.resolve.question import LookupFailed

HOST_META = "/.well-known/host-meta.json"
WEB_SOCKET = "urn:xmpp:alt-connections:websocket"
UPLOAD = "/upload/checkup"
MAX_BYTES = 65_536
UPLOAD_BYTES = 104_857_600
"""The largest file that http_upload takes, unless its table says otherwise."""


@dataclass(frozen=True)
class SiteAnswer:
    """What HTTP has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoWeb(Exception):
    """An error: nobody answers by HTTP; the text says what happened."""


class Silent(NoWeb):
    """An error: nobody answers in time; a proxy that has room for a file waits for it."""


async def look(sight: Sight) -> Found:
    """Look at the web of each domain, if anything is served there."""
    if not any("web" in listen.sites for listen in sight.config.listen):
        return
    for domain in sight.domains:
        async for found in _host_meta(sight, domain):
            yield found


async def _host_meta(sight: Sight, domain: str) -> Found:
    url = f"https://{ascii_domain(domain)}{HOST_META}"
    try:
        answer = await _ask(sight, ascii_domain(domain), sight.https_port, HOST_META)
    except (NoWeb, LookupFailed) as error:
        yield _warn(
            url,
            f"clients in browsers cannot find this server ({error}): add a listener at port 443, "
            "or let the domain's web server pass on /.well-known/host-meta",
        )
        return
    if answer.status != 200:
        yield _warn(
            url,
            f"the answer is {answer.status}, so clients in browsers cannot find this server: let "
            "the domain's web server pass on /.well-known/host-meta and host-meta.json",
        )
        return
    if answer.headers.get("access-control-allow-origin") != "*":
        yield _bad(
            url,
            "pages of other sites may not read it: let the domain's web server send "
            '"Access-Control-Allow-Origin: *" with it, or pass the answer on unchanged',
        )
    socket = _web_socket(answer.body)
    if not socket:
        yield _bad(
            url,
            "host-meta does not name a WebSocket: the domain's web server probably serves a file "
            "of its own; let it pass the request on to xmppd instead",
        )
        return
    async for found in _reach(sight, socket):
        yield found


def _web_socket(body: bytes) -> str:
    """The URL of a WebSocket in host-meta; empty if there is none."""
    try:
        links = json.loads(body)["links"]
        named = [link["href"] for link in links if link["rel"] == WEB_SOCKET]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(named[0]) if named else ""


async def _reach(sight: Sight, url: str) -> Found:
    """Open the WebSocket, and announce a large file to the same host."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or sight.https_port
    if parts.scheme != "wss":
        yield _bad(url, "browsers refuse this from pages with TLS: set web.url to https://…")
        return
    wanted = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "xmpp",
        "Sec-WebSocket-Key": b64encode(token_bytes(16)).decode(),
    }
    try:
        answer = await _ask(sight, host, port, parts.path, headers=wanted)
    except (NoWeb, LookupFailed) as error:
        yield _bad(
            url,
            f"the WebSocket cannot be opened ({error}): check that web.url leads to this server",
        )
        return
    if answer.status != 101 or answer.headers.get("sec-websocket-protocol") != "xmpp":
        yield _bad(
            url,
            f"the WebSocket cannot be opened (the answer is {answer.status}): let the proxy pass "
            "on the headers Upgrade, Connection and Sec-WebSocket-Protocol",
        )
    else:
        yield Checked("web", "ok", url, "the WebSocket can be opened")
    if "http_upload" in sight.config.plugins.load:
        yield await _upload(sight, host, port)


async def _upload(sight: Sight, host: str, port: int) -> Checked:
    """Announce the largest file that may come: a proxy with a limit refuses it at once."""
    table = sight.config.plugin_tables.get("http_upload", {})
    size, url = int(table.get("max_file_bytes", UPLOAD_BYTES)), f"https://{host}{UPLOAD}"
    headers = {"Content-Length": str(size), "Expect": "100-continue"}
    try:
        answer = await _ask(sight, host, port, UPLOAD, method="PUT", headers=headers)
    except Silent:
        return Checked("web", "ok", url, f"files of {size} bytes get through")
    except (NoWeb, LookupFailed) as error:
        return _warn(
            url, f"files cannot be uploaded ({error}): check that web.url leads to this server"
        )
    if answer.status == 413:
        return _bad(
            url,
            f"a file of {size} bytes is refused as too large: raise the limit of the proxy (nginx: "
            "client_max_body_size), or lower http_upload.max_file_bytes",
        )
    return Checked("web", "ok", url, f"files of {size} bytes get through")


async def _ask(
    sight: Sight,
    host: str,
    port: int,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> SiteAnswer:
    """Ask one of a host's addresses by HTTPS.

    Raises:
        NoWeb: Nobody answers.
        LookupFailed: The host has no address.
    """
    addresses = await sight.names.addresses(host)
    answer = await sight.run_in_thread(_asked, addresses[0], host, port, method, path, headers)
    assert isinstance(answer, SiteAnswer)
    return answer


class _At(http.client.HTTPSConnection):
    """HTTPS to an address, in the name of a host."""

    def __init__(self, address: str, host: str, port: int) -> None:
        super().__init__(address, port, timeout=PATIENCE_S)
        self._name = host

    def connect(self) -> None:
        """Connect, and ask for the host in TLS."""
        http.client.HTTPConnection.connect(self)
        self.sock = unverified().wrap_socket(self.sock, server_hostname=self._name)


def _asked(
    address: str,
    host: str,
    port: int,
    method: str,
    path: str,
    headers: Mapping[str, str] | None,
) -> SiteAnswer:
    connection = _At(address, host, port)
    try:
        name = host if port == 443 else f"{host}:{port}"
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for key, value in {
            "Host": name,
            "Origin": "https://checkup.invalid",
            **(headers or {}),
        }.items():
            connection.putheader(key, value)
        connection.endheaders()
        response = connection.getresponse()
        found = {key.lower(): value for key, value in response.getheaders()}
        body = b"" if response.status == 101 else response.read(MAX_BYTES)
        return SiteAnswer(response.status, found, body)
    except TimeoutError as error:
        raise Silent(f"no answer within {PATIENCE_S:g} s") from error
    except ssl.SSLError as error:
        raise NoWeb(f"TLS fails: {error.reason}") from error
    except OSError as error:
        raise NoWeb(error.strerror or "the connection was lost") from error
    except http.client.HTTPException as error:
        raise NoWeb(f"the answer is not HTTP: {type(error).__name__}") from error
    finally:
        connection.close()


def _warn(about: str, says: str) -> Checked:
    return Checked("web", "warn", about, says)


def _bad(about: str, says: str) -> Checked:
    return Checked("web", "bad", about, says)
