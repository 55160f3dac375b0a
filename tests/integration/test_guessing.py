"""Guessing from other machines, as far as this one can be several: each has a loopback address."""

import socket
import ssl
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from tests.integration.people import PASSWORD, ServerCase
from xmppd.config.config import AuthSettings
from xmppd.stanza import ns

HEADER = (
    b"<stream:stream xmlns='jabber:client' to='verona.lit' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
FEW_SECONDS = 5.0


class GuessingTests(ServerCase):
    settings: ClassVar[dict[str, Any]] = {
        "auth": {
            "scram_iterations": 64,
            "failures_before_delay": AuthSettings().failures_before_delay,
            "failures_before_lockout": AuthSettings().failures_before_lockout,
        }
    }

    def attempt(self, source: str, account: str, password: str) -> str:
        """What comes of one login with PLAIN from this address: ``success``, or a condition."""
        context = ssl.create_default_context(cafile=str(self.server.certificate))
        with (
            socket.create_connection(
                (self.server.host, self.server.direct_tls_port), 15, source_address=(source, 0)
            ) as plain,
            context.wrap_socket(plain, server_hostname="verona.lit") as wire,
        ):
            message = b64encode(f"\0{account.partition('@')[0]}\0{password}".encode()).decode()
            login = f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{message}</auth>"
            wire.sendall(HEADER + login.encode())
            data = b""
            while b"<success" not in data and b"</failure>" not in data:
                more = wire.recv(65_536)
                self.assertTrue(more, data)
                data += more
        if b"<success" in data:
            return "success"
        return data.partition(b"<failure")[2].partition(b"<")[2].partition(b"/>")[0].decode()

    def seconds_to_log_in(self, source: str, account: str) -> float:
        """How long the right password takes from this address."""
        began = time.monotonic()
        self.assertEqual(self.attempt(source, account, PASSWORD), "success")
        return time.monotonic() - began

    def test_from_one_address(self) -> None:
        """Somebody guesses from one address, all at once: it is slowed, and the owner is not."""
        romeo, juliet = self.account("romeo"), self.account("juliet")
        self.assertLess(self.seconds_to_log_in("127.0.1.1", romeo), FEW_SECONDS)
        with ThreadPoolExecutor(24) as guessers:
            guesses = [
                guessers.submit(self.attempt, "127.0.1.2", romeo, f"guess {n}") for n in range(24)
            ]
            for source in ("127.0.1.1", "127.0.1.3"):
                self.assertLess(self.seconds_to_log_in(source, romeo), FEW_SECONDS)
            self.assertLess(self.seconds_to_log_in("127.0.1.3", juliet), FEW_SECONDS)
            outcomes = [guess.result() for guess in guesses]
        self.assertIn("temporary-auth-failure", outcomes)
        self.assertNotIn("success", outcomes)

    def test_from_many_addresses(self) -> None:
        """Many guess from many addresses: the owner gets in, from home and from elsewhere."""
        romeo = self.account("romeo")
        self.seconds_to_log_in("127.0.2.1", romeo)
        sources = [f"127.0.3.{n}" for n in range(1, 61)]
        with ThreadPoolExecutor(30) as guessers:
            guesses = [
                guessers.submit(self.attempt, source, romeo, f"guess {n}")
                for n in range(3)
                for source in sources
            ]
            self.assertLess(self.seconds_to_log_in("127.0.2.1", romeo), FEW_SECONDS)
            self.assertLess(self.seconds_to_log_in("127.0.2.2", romeo), FEW_SECONDS)
            self.assertEqual({guess.result() for guess in guesses}, {"not-authorized"})
        self.assertLess(self.seconds_to_log_in("127.0.2.3", romeo), FEW_SECONDS)
