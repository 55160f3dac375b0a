"""xmppd, configured for measuring: in-band registration open, every limit out of the way.

    python -m bench.ours start|stop --directory DIR [--fresh]

Runs under the interpreter that the environment variable BENCH_PYTHON names, else under the one
that runs this. How Python was built changes the result by a third: measure on Debian's.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.server import COMPONENT, COMPONENT_SECRET, HOST, Server, ServerError, main
from xmppd.config.config import PluginSettings

ROOT = Path(__file__).resolve().parent.parent

CONFIG = """\
data = "{directory}/data"

[[domain]]
name = "p.test"
certificate = "{certificate}"
key = "{key}"

[[listen]]
endpoint = "epoll:{port}:interface={host}"
kind = "client"
tls = "starttls"

[[listen]]
endpoint = "epoll:{component_port}:interface={host}"
kind = "component"
tls = "none"

[[component]]
name = "{component}"
secret = "{component_secret}"

[component_stream]
stanzas_per_s = 1e9
bytes_per_s = 1e12

[tls]
required = false

[stream]
stanzas_per_s = 1e9
stanzas_burst = 1_000_000_000
bytes_per_s = 1e12
bytes_burst = 1_000_000_000_000
idle_timeout_s = 86_400.0
max_unauthenticated = 1_000_000
max_streams_per_address = 1_000_000

[auth]
mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
scram_iterations = 4096

[registration]
open = true
per_address_per_hour = 1_000_000_000
min_password_length = 1

[sessions]
max_per_account = 10

[muc]
messages_per_s = 0
max_rooms_per_account = 1_000_000
large_room_occupants = 5_000

[storage]
url = "{database}"

[plugins]
load = [{plugins}]

[log]
level = "{level}"
{more}"""


ARCHIVE = ("archive", "inbox", "displayed_sync", "room_archive", "room_unread")
"""The plugins that archive messages, and those that load the archive because they need it."""


class Xmppd(Server):
    """This server, as one process on SQLite. It keeps passwords hashed only."""

    name = "xmppd"
    usual_port = 14_222
    hashed_domain = Server.domain
    root = ROOT
    """The checkout that runs."""
    level = "warn"
    """Of its log, from its next start on."""

    @property
    def data(self) -> Path:
        """The directory of its database and its control socket."""
        return self.directory / "data"

    @property
    def database(self) -> str:
        """Its URL."""
        return f"sqlite:///{self.data}/xmppd.sqlite"

    def more(self) -> str:
        """What more its configuration has."""
        return ""

    def check_installed(self) -> None:
        """Check that the interpreter has all that xmppd imports."""
        imports = "import twisted, OpenSSL, lxml, sqlalchemy, alembic, msgspec"
        if subprocess.run([python(), "-c", imports], check=False, capture_output=True).returncode:
            raise ServerError(
                f"{python()} lacks what xmppd needs: run make test once, or set BENCH_PYTHON"
            )

    def version(self) -> str:
        """The revision, and the Python it runs on."""
        git = ["git", "-C", str(self.root), "describe", "--always", "--dirty", "--exclude=*"]
        revision = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
        return f"xmppd {revision or 'of unknown revision'} on {python_version()}"

    def configure(self) -> None:
        """Write xmppd.toml."""
        self.data.mkdir(exist_ok=True)
        self._config.write_text(
            CONFIG.format(
                directory=self.directory,
                host=HOST,
                port=self.port,
                component_port=self.component_port,
                component=COMPONENT,
                component_secret=COMPONENT_SECRET,
                certificate=self.certificate,
                key=self.key,
                database=self.database,
                level=self.level,
                plugins=", ".join(map(json.dumps, plugins(archives=self.archives))),
                more=self.more(),
            )
        )

    def command(self) -> list[str]:
        """Run twistd in the foreground."""
        # Not the twistd script: the interpreter may be one beside which none was installed.
        twistd = "from twisted.scripts.twistd import run; run()"
        return [python(), "-c", twistd, "-n", "--pidfile=", "xmppd", "--config", str(self._config)]

    def environment(self) -> dict[str, str]:
        """This checkout, installed or not; compiled, as what is installed is."""
        inherited = os.environ.get("PYTHONPATH")
        path = f"{self.root}:{inherited}" if inherited else str(self.root)
        return {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}

    @property
    def _config(self) -> Path:
        return self.directory / "xmppd.toml"


class Beside(Xmppd):
    """Another revision of this server, measured beside it.

    Args:
        directory: As for all.
        root: Its checkout.
    """

    name = "beside"
    usual_port = 17_222

    def __init__(self, directory: Path, root: Path) -> None:
        super().__init__(directory)
        self.root = root.resolve()


def plugins(*, archives: bool) -> tuple[str, ...]:
    """The plugins that are loaded: those that usually are, with the archive or without it."""
    usual = tuple(name for name in PluginSettings().load if name not in ARCHIVE)
    return (*usual, *ARCHIVE) if archives else usual


def python() -> str:
    """The interpreter xmppd runs under."""
    wanted = os.environ.get("BENCH_PYTHON") or sys.executable
    found = shutil.which(wanted)
    if found is None:
        raise ServerError(f"there is no {wanted}, which BENCH_PYTHON names")
    return found


def python_version() -> str:
    """Which Python that is, and where."""
    command = [python(), "-c", "import platform; print(platform.python_version())"]
    version = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"Python {version} ({Path(python()).resolve()})"


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", (Xmppd,)))
