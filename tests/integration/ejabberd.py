"""Debian's ejabberd in a process of its own, as somebody else's server."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.request import Request, urlopen

from tests.ports import HOST, free_port
from xmppd.testing.signing_authority import SigningAuthority

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0

CONFIG = """\
hosts: ["{domain}"]
loglevel: warning
certfiles: ["{certificate}"]
{storage}
auth_password_format: {format}
s2s_access: none
listen:
  - {{ port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true }}
  - {{ port: {http_port}, ip: "127.0.0.1", module: ejabberd_http,
      request_handlers: {{ /api: mod_http_api }} }}
api_permissions:
  "this machine": {{ who: [ {{ ip: "127.0.0.1/8" }} ], what: "*" }}
modules:
  mod_roster: {{}}
  mod_offline: {{}}
  mod_private: {{}}
  mod_privacy: {{}}
  mod_blocking: {{}}
  mod_vcard: {{ search: false }}
  mod_ping: {{}}
  mod_caps: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_mam: {{ default: always }}
  mod_admin_extra: {{}}
  mod_http_api: {{}}
  mod_pubsub: {{ plugins: [flat, pep], ignore_pep_from_offline: false }}
"""


class Ejabberd:
    """An ejabberd that people may talk to, from :meth:`start` to :meth:`stop`.

    Args:
        directory: Where it keeps its files.
        domain: What it serves.
        authority: Who signs its certificate.
        format: How it keeps passwords: ``plain`` or ``scram``.
        storage: Lines of its configuration: where it keeps things.

    Attributes:
        port: For clients.
    """

    host = HOST
    direct_tls_port = 0

    def __init__(
        self,
        directory: Path,
        domain: str,
        *,
        authority: SigningAuthority,
        format: str = "scram",
        storage: str = "auth_method: [internal]",
    ) -> None:
        self._script = shutil.which("ejabberdctl")
        if self._script is None:
            raise AssertionError("ejabberd is not installed: apt-get install ejabberd")
        self.domain = domain
        self.port, self._http_port = free_port(), free_port()
        self._directory, self._trust = directory, authority.file
        self._process: subprocess.Popen[bytes] | None = None
        certificate, key = authority.issue(domain, directory=directory)
        both = directory / "both.pem"
        both.write_text(key.read_text() + certificate.read_text())
        (directory / "ejabberd.yml").write_text(
            CONFIG.format(
                domain=domain,
                certificate=both,
                format=format,
                storage=storage,
                port=self.port,
                http_port=self._http_port,
            )
        )

    def certificate_of(self, domain: str) -> Path:
        """What a client has to trust."""
        return self._trust

    def start(self) -> None:
        """Be up on return."""
        assert self._script is not None
        libraries = re.search(r"ERL_LIBS='?([^'\n]+)", Path(self._script).read_text())
        assert libraries is not None
        emulator = [
            "erl",
            "-noinput",
            "+sbwt",
            "none",
            "+sbwtdcpu",
            "none",
            "+sbwtdio",
            "none",
            "-s",
            "ejabberd",
        ]
        with (self._directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*emulator, "-mnesia", "dir", f'"{self._directory}/mnesia"'],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                env={
                    **os.environ,
                    "EJABBERD_CONFIG_PATH": str(self._directory / "ejabberd.yml"),
                    "EJABBERD_LOG_PATH": str(self._directory / "ejabberd.log"),
                    "ERL_LIBS": libraries[1],
                    "ERL_CRASH_DUMP": str(self._directory / "crash.dump"),
                    "HOME": str(self._directory),
                },
            )
        until = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < until:
            try:
                for port in (self.port, self._http_port):
                    socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError(f"ejabberd does not start:\n{self.last_words()}")

    def stop(self) -> None:
        """Stop, and be gone on return."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def do(self, command: str, **arguments: str) -> object:
        """Give it a command of an administrator; its answer."""
        url = f"http://{HOST}:{self._http_port}/api/{command}"
        with urlopen(Request(url, json.dumps(arguments).encode()), timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def add_user(self, name: str, password: str) -> str:
        """Make an account while it runs; its address."""
        self.do("register", user=name, host=self.domain, password=password)
        return f"{name}@{self.domain}"

    def last_words(self) -> str:
        """The end of its log."""
        files = (self._directory / "output", self._directory / "ejabberd.log")
        return "\n".join(file.read_text()[-4_000:] for file in files if file.exists())
