"""The STUN and TURN servers that clients are told of: whether they answer, and take our credentials
(:rfc:`8489`, :rfc:`8656`).
"""

import hmac
import socket
import struct
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import md5
from pathlib import Path
from secrets import token_bytes, token_hex

from xmppd.checkup.checked import Checked, Found, Sight
from xmppd.resolve.question import LookupFailed

PORT = 3478
PATIENCE_S = 2.0
TRIES = 3
LIFETIME_S = 600

_COOKIE = 0x2112A442
_HEADER = struct.Struct(">HHI12s")
_BINDING, _ALLOCATE, _REFRESH = 0x0001, 0x0003, 0x0004
_SUCCESS = 0x0100
_USERNAME, _INTEGRITY, _ERROR, _LIFETIME = 0x0006, 0x0008, 0x0009, 0x000D
_REALM, _NONCE, _TRANSPORT = 0x0014, 0x0015, 0x0019
_INTEGRITY_BYTES = 24
_UDP = b"\x11\0\0\0"
_UNAUTHORIZED = 401


class NoRelay(Exception):
    """An error: a server does not do what it is there for; the text says what to change."""


async def look(sight: Sight) -> Found:
    """Ask each server that is reached by UDP, as a client would."""
    if "external_services" not in sight.config.plugins.load:
        return
    for service in sight.config.plugin_tables.get("external_services", {}).get("service", ()):
        if service.get("type") in ("stun", "turn") and service.get("transport", "udp") == "udp":
            yield await _server(sight, service)


async def _server(sight: Sight, service: Mapping[str, object]) -> Checked:
    host, port = str(service.get("host", "")), int(str(service.get("port") or PORT))
    about = f"{service['type']} {host}:{port}"
    try:
        secret = _secret(service) if service["type"] == "turn" else ""
        addresses = await sight.names.addresses(host)
        await sight.run_in_thread(_ask, addresses[0], port, secret, sight.wall_clock())
    except LookupFailed as error:
        says = f"{host} has no address ({error}): add an A or AAAA record for it"
        return Checked("turn", "bad", about, says)
    except NoRelay as error:
        return Checked("turn", "bad", about, str(error))
    except OSError as error:
        says = (
            f"cannot reach the relay ({error.strerror}): check that it is running and that the "
            "port is open"
        )
        return Checked("turn", "bad", about, says)
    does = "the relay accepts this server's credentials" if secret else "the server answers"
    return Checked("turn", "ok", about, does)


def _secret(service: Mapping[str, object]) -> str:
    file = str(service.get("secret_file", ""))
    return (
        Path(file).read_text(encoding="utf-8").strip() if file else str(service.get("secret", ""))
    )


def _ask(address: str, port: int, secret: str, now: float) -> None:
    """Ask a server who we are, or have it relay if there is a secret."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.settimeout(PATIENCE_S)
        way.connect((address, port))
        if not secret:
            _said(way, _BINDING, {})
            return
        name = f"{now + LIFETIME_S:.0f}:{token_hex(8)}"
        password = b64encode(hmac.digest(secret.encode(), name.encode(), "sha1")).decode()
        _, told = _said(way, _ALLOCATE, {_TRANSPORT: _UDP})
        realm, nonce = told.get(_REALM, b""), told.get(_NONCE, b"")
        known = {_USERNAME: name.encode(), _REALM: realm, _NONCE: nonce}
        key = md5(b":".join((name.encode(), realm, password.encode())), usedforsecurity=False)
        kind, told = _said(way, _ALLOCATE, {_TRANSPORT: _UDP, **known}, key.digest())
        if kind != _ALLOCATE | _SUCCESS:
            raise NoRelay(_why(told))
        _said(way, _REFRESH, {_LIFETIME: bytes(4), **known}, key.digest())


def _why(told: Mapping[int, bytes]) -> str:
    error = told.get(_ERROR, bytes(4))
    code = error[2] * 100 + error[3] if len(error) > 3 else 0
    if code == _UNAUTHORIZED:
        return (
            "the relay rejects this server's credentials: set external_services.service.secret "
            "to its static-auth-secret, and check that both clocks are right"
        )
    return f"the relay refuses (error {code}): see its log"


def _said(
    way: socket.socket, kind: int, said: Mapping[int, bytes], key: bytes = b""
) -> tuple[int, dict[int, bytes]]:
    """Say something, again if it is lost; the kind of the answer, and what it says.

    Raises:
        NoRelay: There is no answer.
    """
    transaction = token_bytes(12)
    body = b"".join(_attribute(number, value) for number, value in said.items())
    message = _HEADER.pack(kind, len(body), _COOKIE, transaction) + body
    if key:
        length = len(body) + _INTEGRITY_BYTES
        message = _HEADER.pack(kind, length, _COOKIE, transaction) + body
        message += _attribute(_INTEGRITY, hmac.digest(key, message, "sha1"))
    for _ in range(TRIES):
        way.send(message)
        try:
            answer = way.recv(4_096)
        except TimeoutError:
            continue
        if len(answer) >= _HEADER.size and answer[8:20] == transaction:
            return int.from_bytes(answer[:2]), dict(_attributes(answer[_HEADER.size :]))
    raise NoRelay(
        "the server does not answer: check that it is running, and that its port is open for UDP"
    )


def _attribute(number: int, value: bytes) -> bytes:
    return struct.pack(">HH", number, len(value)) + value + bytes(-len(value) % 4)


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    while len(body) >= 4:
        number, length = struct.unpack_from(">HH", body)
        yield number, body[4 : 4 + length]
        body = body[4 + length + -length % 4 :]
