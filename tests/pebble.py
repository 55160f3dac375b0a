"""Pebble, an authority that speaks ACME, with the names that a test wants: both are Debian's."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.ports import HOST, free_port
from xmppd.testing.signing_authority import SigningAuthority

PATIENCE_S = 30.0


class Pebble:
    """An authority in a process, and its name server in another.

    Args:
        directory: Where its files are written.
        http_port: Where it looks for names by http-01.
        tls_port: Where it looks for names by tls-alpn-01.
        rejected_nonces: Of a hundred that are right.
        accounts: Keys by their names, of which one has to be shown by whoever wants an account.
        days: How long its own certificate is valid yet.

    Attributes:
        url: Of its directory.
        authority: Signs the certificate of that URL.
    """

    def __init__(
        self,
        directory: Path,
        *,
        http_port: int = 1,
        tls_port: int = 1,
        rejected_nonces: int = 5,
        accounts: Mapping[str, str] | None = None,
        days: float = 90,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self.authority = SigningAuthority(directory, "pebble")
        self._port, self._management = free_port(), free_port()
        self._names, self._names_management = free_port(), free_port()
        self.url = f"https://localhost:{self._port}/dir"
        self._rejected_nonces = rejected_nonces
        certificate, key = self.authority.issue("localhost", days=days)
        settings = {
            "listenAddress": f"{HOST}:{self._port}",
            "managementListenAddress": f"{HOST}:{self._management}",
            "certificate": str(certificate),
            "privateKey": str(key),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(accounts),
            "externalAccountMACKeys": dict(accounts or {}),
        }
        self._file = directory / "pebble.json"
        self._file.write_text(json.dumps({"pebble": settings}), encoding="utf-8")
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> str:
        """The table ``[acme]`` of a server that believes it."""
        return (
            f'[acme]\ndirectory = "{self.url}"\nterms_agreed = true\n'
            f'authorities = "{self.authority.file}"\n'
        )

    def start(self) -> None:
        """Be there on return; all names lead to 127.0.0.1."""
        self._run(
            "pebble-challtestsrv", "-defaultIPv4", HOST, "-defaultIPv6", "", "-http01", "",
            "-https01", "", "-tlsalpn01", "", "-dns01", f"{HOST}:{self._names}",
            "-management", f"{HOST}:{self._names_management}",
        )  # fmt: skip
        self._run("pebble", "-config", str(self._file), "-dnsserver", f"{HOST}:{self._names}")
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._names_answer("clear-a", host="nobody.invalid")
                for port in (self._port, self._management):
                    socket.create_connection((HOST, port), PATIENCE_S).close()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Be gone on return; all that it knew is forgotten."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_S)
        self._processes.clear()

    def lead_away(self, name: str) -> None:
        """Have a name lead to an address where nobody is."""
        self._names_answer("add-a", host=name, addresses=["127.0.0.2"])

    def lead_here(self, name: str) -> None:
        """Have it lead to this machine again."""
        self._names_answer("clear-a", host=name)

    def root(self) -> str:
        """The certificate, in PEM, that those which it signs lead to."""
        url = f"https://localhost:{self._management}/roots/0"
        context = ssl.create_default_context(cafile=str(self.authority.file))
        with urllib.request.urlopen(url, context=context, timeout=PATIENCE_S) as answer:
            text: str = answer.read().decode()
        return text

    def _names_answer(self, what: str, **said: object) -> None:
        url = f"http://{HOST}:{self._names_management}/{what}"
        request = urllib.request.Request(url, json.dumps(said).encode())
        with urllib.request.urlopen(request, timeout=PATIENCE_S):
            pass

    def _run(self, *command: str) -> None:
        with (self._directory / f"{command[0]}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={
                        **os.environ,
                        "PEBBLE_VA_NOSLEEP": "1",
                        "PEBBLE_AUTHZREUSE": "0",
                        "PEBBLE_WFE_NONCEREJECT": str(self._rejected_nonces),
                    },
                )
            )
