"""What the tests of auth share: a small town, a run on the spot, and clients."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import ParamSpec, TypeVar

from xmppd.auth.base import Exchange, Mechanism, SASLError
from xmppd.auth.keys import derive_keys
from xmppd.auth.provider import SQLAuthProvider
from xmppd.host.clocks import Clocks
from xmppd.testing.house import memory_store

P = ParamSpec("P")
T = TypeVar("T")

DOMAIN = "capulet.example"
JULIET = f"juliet@{DOMAIN}"
PASSWORD = "wherefore art thou"
ITERATIONS = 4096
HASHES = ("SHA-1", "SHA-256", "SHA-512")

# Made once: it is PBKDF2 that takes a test's time.
KEYS = tuple(derive_keys(PASSWORD.encode(), hash, b"a salt of verona", 4096) for hash in HASHES)


class HereAndNow:
    """A RunInThread that runs on the spot, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it, now."""
        self.calls += 1
        return function(*args, **kwargs)


class Verona:
    """A store with Juliet in it, its provider, and a clock that a test may set."""

    def __init__(self, *, secret: bytes = b"of this server") -> None:
        self.time = 1_000_000.0
        self.clocks = Clocks(lambda: self.time, lambda: self.time)
        self.store = memory_store(lambda: self.time)
        self.pbkdf2 = HereAndNow()
        run(self.store.accounts.create_account(JULIET, KEYS))
        self.provider = SQLAuthProvider(
            self.store.accounts,
            self.store.key_kinds,
            secret=secret,
            iterations=ITERATIONS,
            run_in_thread=self.pbkdf2,
        )


def run(coroutine: Coroutine[object, object, T]) -> T:
    """What a coroutine that never waits returns or raises."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value  # type: ignore[no-any-return]  # StopIteration does not say of what
    raise AssertionError("it waits")


def refusal(coroutine: Coroutine[object, object, object]) -> SASLError:
    """The SASLError that a coroutine raises."""
    try:
        run(coroutine)
    except SASLError as error:
        return error
    raise AssertionError("it was not refused")


class ScramClient:
    """A client of RFC 5802 that can be told to do anything wrong."""

    NONCE = "fyko+d2lbbFgONRv9qkxdawL"

    def __init__(
        self,
        hash: str = "SHA-256",
        *,
        username: str = "juliet",
        password: str = PASSWORD,
        gs2_header: str = "n,,",
        channel: bytes = b"",
    ) -> None:
        self._hash = hash
        self._algorithm = hash.replace("-", "").lower()
        self._password = password.encode()
        self._gs2_header = gs2_header
        self._channel = gs2_header.encode() + channel
        self.bare = f"n={username},r={self.NONCE}"
        self.server_signature = b""

    def first(self) -> bytes:
        """client-first-message."""
        return (self._gs2_header + self.bare).encode()

    def final(self, server_first: bytes, *, extension: str = "", nonce: str = "") -> bytes:
        """client-final-message."""
        attributes = attributes_of(server_first)
        salt, iterations = b64decode(attributes["s"]), int(attributes["i"])
        salted = salted_password(self._algorithm, self._password, salt, iterations)
        channel, nonce = b64encode(self._channel).decode(), nonce or f"r={attributes['r']}"
        without_proof = f"c={channel},{nonce}{extension}"
        message = f"{self.bare},{server_first.decode()},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", self._algorithm)
        stored_key = hashlib.new(self._algorithm, client_key).digest()
        signature = hmac.digest(stored_key, message, self._algorithm)
        server_key = hmac.digest(salted, b"Server Key", self._algorithm)
        self.server_signature = hmac.digest(server_key, message, self._algorithm)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def accepts(self, server_final: bytes) -> bool:
        """Whether the server knows the password too."""
        return server_final == b"v=" + b64encode(self.server_signature)


@lru_cache
def salted_password(algorithm: str, password: bytes, salt: bytes, iterations: int) -> bytes:
    """Hi() of RFC 5802, computed once for all tests."""
    return hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)


def attributes_of(message: bytes) -> dict[str, str]:
    """A SCRAM message, taken apart."""
    return dict(part.split("=", 1) for part in message.decode().split(","))


def exchange(**fields: object) -> Exchange:
    """A stream to Juliet's server."""
    return Exchange(**{"domain": DOMAIN, **fields})  # type: ignore[arg-type]


def log_in(mechanism: Mechanism, client: ScramClient) -> bytes:
    """The whole exchange."""
    return run(mechanism.step(client.final(run(mechanism.step(client.first())))))
