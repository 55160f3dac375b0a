"""Debian's prosody in a process of its own, as somebody else's server."""

import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import HOST, free_port
from xmppd.testing.signing_authority import SigningAuthority

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LOG_LINES_SHOWN = 60

CONFIG = """\
run_as_root = true
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ {s2s_port} }}
s2s_direct_tls_ports = {{ {s2s_direct_tls_port} }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{
    "disco", "roster", "saslauth", "tls", "ping", "offline", "dialback", "presence", "message",
    "pep"
}}
modules_disabled = {{ "limits" }}
network_settings = {{ connect_timeout = 5 }}
unbound = {{
    resolvconf = false, hoststxt = false, forward = {{ "{dns}" }},
    options = {{ ["do-not-query-localhost:"] = "no" }},
}}
s2s_require_encryption = true
s2s_secure_auth = {secure}
{settings}
storage = "internal"
authentication = "{authentication}"
log = {{ debug = "{directory}/prosody.log" }}
ssl = {{
    certificate = "{certificate}", key = "{key}", cafile = "{authority}", capath = "/nonexistent"
}}
VirtualHost "{domain}"
"""

MIGRATOR_CONFIG = """\
input {{
    hosts = {{
        ["{domain}"] = {{
            "accounts", "roster", "vcard", "private", "pep-pubsub", "archive-archive"
        }};
    }};
    type = "xep0227";
}}
output {{ type = "internal"; path = "{directory}/data" }}
"""


class Prosody:
    """A prosody that others may talk to, from :meth:`start` to :meth:`stop`.

    Args:
        directory: Where it keeps its files.
        domain: What it serves.
        authority: Whose certificates it believes.
        signer: Who signed its own.
        days: How long that is valid yet.
        named: Whom it names instead of the domain.
        dns: The name server it asks.
        secure: Whether nobody is believed without a valid certificate; else dialback is enough.
        settings: More lines of its configuration.
        authentication: How it keeps passwords.

    Attributes:
        port: For clients.
        s2s_port: For servers.
        s2s_direct_tls_port: For servers, with TLS from the first byte.
        log: The file with what it says.
        trust: PEM: what clients have to trust.
    """

    host = HOST
    direct_tls_port = 0

    def __init__(
        self,
        directory: Path,
        domain: str,
        *,
        authority: SigningAuthority,
        signer: SigningAuthority,
        days: float = 5,
        named: str = "",
        dns: tuple[str, int],
        secure: bool = True,
        settings: str = "",
        authentication: str = "internal_plain",
    ) -> None:
        if shutil.which("prosody") is None:
            raise AssertionError("prosody is not installed: apt-get install prosody lua-unbound")
        self.domain = domain
        self.port, self.s2s_port, self.s2s_direct_tls_port = (free_port() for _ in range(3))
        self.log = directory / "prosody.log"
        self.trust = signer.file
        certificate, key = signer.issue(
            domain, *filter(None, [named]), days=days, directory=directory
        )
        self._config = directory / "prosody.cfg.lua"
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "data").mkdir()
        self._config.write_text(
            CONFIG.format(
                directory=directory,
                domain=domain,
                port=self.port,
                s2s_port=self.s2s_port,
                s2s_direct_tls_port=self.s2s_direct_tls_port,
                certificate=certificate,
                key=key,
                authority=authority.file,
                dns=f"{dns[0]}@{dns[1]}",
                secure="true" if secure else "false",
                settings=settings,
                authentication=authentication,
            )
        )

    def certificate_of(self, domain: str) -> Path:
        """What a client has to trust."""
        return self.trust

    def start(self) -> None:
        """Be up on return."""
        with self.log.with_name("output").open("ab") as output:
            self._process = subprocess.Popen(
                ["prosody", "-F", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._config.parent,
            )
        for port in (self.port, self.s2s_port, self.s2s_direct_tls_port):
            self._wait_for(port)

    def _wait_for(self, port: int) -> None:
        assert self._process is not None
        until = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError(f"prosody does not listen on {port}:\n{self.last_words()}")

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "it runs"
        return self._process.pid

    def stop(self) -> None:
        """Stop, and be gone on return."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Be gone without a word."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def add_user(self, name: str, password: str) -> str:
        """Make an account, while it runs or not; its address."""
        subprocess.run(
            ["prosodyctl", "--config", self._config, "register", name, self.domain, password],
            check=True,
            capture_output=True,
        )
        return f"{name}@{self.domain}"

    def migrate(self, source: Path) -> None:
        """Take people from files of XEP-0227 by its own tool, as the manual says, before it starts.

        Args:
            source: The directory with the files. The tool reads those in its data directory, which
                is fixed in its text: a copy of it reads these.
        """
        directory = self._config.parent
        config, tool = directory / "migrator.cfg.lua", directory / "migrator"
        config.write_text(MIGRATOR_CONFIG.format(domain=self.domain, directory=directory))
        installed = shutil.which("prosody-migrator")
        assert installed is not None, "prosody brings it"
        text = Path(installed).read_text()
        tool.write_text(re.sub("CFG_DATADIR='[^']*'", f"CFG_DATADIR='{source}'", text))
        tool.chmod(0o700)
        done = subprocess.run(
            [tool, "--root", "--keep-going", f"--config={config}"],
            check=False,  # what it says at the end tells
            capture_output=True,
            text=True,
        )
        if "Done!" not in done.stderr:
            raise AssertionError(f"prosody-migrator failed:\n{done.stdout}\n{done.stderr}")

    def last_words(self) -> str:
        """The end of its log."""
        files = (self.log.with_name("output"), self.log)
        lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
        return "\n".join(lines[-LOG_LINES_SHOWN:])
