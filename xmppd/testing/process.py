"""ServerProcess: a server in its own process, for tests of XMPP clients; it leaves nothing behind.

::

    with ServerProcess(directory) as server:
        server.add_user("romeo", "a rose by any other name")
        my_client.connect(server.host, server.port)
"""

import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from json import dumps
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from xmppd.ctl.asking import ask
from xmppd.ctl.protocol import Line
from xmppd.net.certificate import make_self_signed

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 10.0
LOG_LINES_SHOWN = 40
ROOT = Path(__file__).parents[2]
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


class PortKind(NamedTuple):
    """A kind of listener that a server for tests has.

    Attributes:
        kind: Of the peers that it is for.
        tls: As in the configuration.
    """

    kind: str
    tls: str


STARTTLS, DIRECT_TLS = PortKind("client", "starttls"), PortKind("client", "direct")
PORT_KINDS = (STARTTLS, DIRECT_TLS, PortKind("http", "direct"), PortKind("component", "none"))

# The settings of a server for tests that differ from the defaults: no limits on rates.
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "stream": {"stanzas_per_s": 1e6, "bytes_per_s": 1e9},
    "auth": {
        "scram_iterations": 4096,
        "failures_before_delay": 1_000_000,
        "failures_before_lockout": 1_000_000,
    },
    "registration": {"open": True, "per_address_per_hour": 1_000_000},
}


class NotStarted(Exception):
    """The server did not start; the text says why, and ends with the last lines of its log."""


class ServerProcess:
    """A server that clients may connect to, from :meth:`start` to :meth:`stop`.

    It listens on ports of the loopback interface that were free, with TLS, and certificates that it
    has signed itself. Everybody may register. Its ports are its own from the beginning, and stay
    when it is stopped or killed and started again: nobody else gets them meanwhile, and whoever
    connects then is refused.

    Args:
        directory: The directory of its files; it goes on with those that it finds there. A short
            path: a Unix socket is made below it.
        domains: The domains it serves.
        settings: Other settings than the defaults, table by table as in the file:
            ``sessions={"conflict": "refuse"}``. A key outside all tables is given as it is:
            ``admins=["romeo@localhost"]``, and so are the tables of an array:
            ``component=[{"name": "echo.localhost", "secret": "…"}]``. What else a domain of these
            is to have goes with its name: ``domain=[{"name": "localhost", "auth": ["http"]}]``.

    Attributes:
        start_timeout_s: How long a start may take.
        host: The address to connect to.
        port: For STARTTLS.
        direct_tls_port: For TLS from the first byte.
        https_port: For HTTP, with TLS.
        component_port: For components, in clear; 0 if there are none.
        directory: The directory of its files.
        domains: The domains it serves.
        log: The file of its log.
    """

    start_timeout_s = 30.0
    host = HOST

    def __init__(
        self, directory: Path, *domains: str, **settings: Mapping[str, object] | object
    ) -> None:
        self.directory = directory.absolute()
        self.domains = domains or ("localhost",)
        self.log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._notified: socket.socket | None = None
        self._held: list[socket.socket] = []
        weakref.finalize(self, _let_go, self._held)
        kinds = [each for each in PORT_KINDS if each.kind != "component" or "component" in settings]
        self._ports = {kind: self._hold_port() for kind in kinds}
        self.port, self.direct_tls_port, self.https_port, *component = self._ports.values()
        self.component_port = next(iter(component), 0)
        self._make_certificates()
        self._config = self.directory / "xmppd.toml"
        self._config.write_text(self._configuration(settings), encoding="utf-8")

    @property
    def domain(self) -> str:
        """The first domain it serves."""
        return self.domains[0]

    @property
    def certificate(self) -> Path:
        """PEM file: the certificate that a client has to trust, as if it were an authority."""
        return self.certificate_of(self.domain)

    def certificate_of(self, domain: str) -> Path:
        """The same for another of its domains."""
        return self.directory / f"{domain}.crt"

    @property
    def pid(self) -> int:
        """The process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    # -- its life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and wait until it is up.

        Raises:
            NotStarted: It is not.
        """
        path = self.directory / "notified"
        path.unlink(missing_ok=True)
        gone, held = os.pipe()  # the server holds one end, so the other tells when it ends
        try:
            with self.log.open("ab") as log:
                self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._notified.bind(str(path))  # for as long as it runs, as systemd's is
                self._process = subprocess.Popen(  # noqa: S603  # no part of it came from outside
                    [sys.executable, "-c", TWISTD, *self._arguments()],
                    env=_environment(path),
                    pass_fds=(held,),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                os.close(held)
                self._await(self._notified, gone)
        finally:
            os.close(gone)

    def stop(self) -> None:
        """Stop it in order, and wait until it has ended; clients are told."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, as in a power failure."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # -- what it can be told --------------------------------------------------------------------

    def add_user(self, name: str, password: str) -> str:
        """Make an account.

        Args:
            name: ``romeo``, or ``romeo@montague.lit`` for another than the first domain.
            password: Its password.

        Returns:
            Its address.
        """
        account = name if "@" in name else f"{name}@{self.domain}"
        self.tell("user add", account=account, password=password)
        return account

    def tell(self, command: str, **arguments: str | bool | list[str]) -> list[Line]:
        """Do what ``xmppctl`` can do, such as ``tell("roster add", account=…, contact=…)``.

        Raises:
            Refused: It cannot be done.
        """
        return list(ask(self.directory / "data" / "xmppctl.sock", command, arguments))

    def ports(self, kind: str) -> list[int]:
        """The ports at which it listens, in the order of its configuration.

        Args:
            kind: The kind of peer: ``client``.
        """
        # Its own comes first; other nodes of its service may not answer yet.
        told = ask(self.directory / "data" / "xmppctl.sock", "status", {})
        status = next(line for line in told if isinstance(line, dict))
        listening = status["listening"]
        assert isinstance(listening, list)
        lines = [line.split() for line in listening]
        return [int(where.rpartition(":")[2]) for where, whom, _ in lines if whom == kind]

    # -- behind it ------------------------------------------------------------------------------

    def _arguments(self) -> list[str]:
        return ["--nodaemon", "--pidfile=", "xmppd", "--config", str(self._config)]

    def _await(self, started: socket.socket, gone: int) -> None:
        """Wait until it is up, or has ended."""
        poller = select.poll()
        poller.register(started, select.POLLIN)
        poller.register(gone, select.POLLHUP)
        events = dict(poller.poll(self.start_timeout_s * 1000))
        if started.fileno() not in events:
            self.kill()
            why = "ended" if gone in events else f"is not up after {self.start_timeout_s:.0f} s"
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise NotStarted("\n".join([f"the server {why}:", *lines[-LOG_LINES_SHOWN:]]))

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
        if self._notified is not None:
            self._notified.close()

    def _make_certificates(self) -> None:
        """Make a certificate for each domain that has none."""
        for domain in self.domains:
            if not self.certificate_of(domain).exists():
                make_self_signed(domain, self.certificate_of(domain), self._key_of(domain))

    def _hold_port(self) -> int:
        """A port that is free, and kept from everybody else who does not share it as we do."""
        held = socket.socket()
        self._held.append(held)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((HOST, 0))
        port: int = held.getsockname()[1]
        return port

    def _key_of(self, domain: str) -> Path:
        return self.directory / f"{domain}.key"

    def _files_of(self, domain: str) -> tuple[Path, Path]:
        """The certificate of a domain that the server shows, and its key."""
        return self.certificate_of(domain), self._key_of(domain)

    def _configuration(self, settings: Mapping[str, Mapping[str, object] | object]) -> str:
        tables = {name: dict(table) for name, table in SETTINGS.items()}
        lines = ["data = 'data'"]
        arrays: list[tuple[str, Mapping[str, object]]] = []
        for name, value in settings.items():
            if isinstance(value, Mapping):
                tables.setdefault(name, {}).update(value)
            elif isinstance(value, list) and value and isinstance(value[0], Mapping):
                arrays += [(name, table) for table in value if name != "domain"]
            else:
                lines.append(f"{name} = {_toml(value)}")
        for domain in self.domains:
            certificate, key = self._files_of(domain)
            table: dict[str, object] = {
                "name": domain,
                "certificate": str(certificate),
                "key": str(key),
            }
            others = settings.get("domain", ())
            if not isinstance(others, list | tuple):
                raise NotStarted(
                    f'domain is an array of tables: write domain=[{{name="{domain}", …}}]'
                )
            for other in others:
                if other.get("name") not in self.domains:
                    raise NotStarted(
                        f'domain has a table for "{other.get("name")}"; this server has '
                        f"{' and '.join(self.domains)}"
                    )
                table.update(other if other["name"] == domain else {})
            arrays.append(("domain", table))
        for (kind, tls), port in self._ports.items():
            listen = {"endpoint": endpoint_at(port), "kind": kind, "tls": tls}
            arrays.append(("listen", listen))
        for name, one in sorted(arrays, key=lambda each: each[0] in settings):
            lines += [f"[[{name}]]", *_pairs(one)]
        for name, table in tables.items():
            lines += [f"[{name}]", *_pairs(table)]
        return "\n".join(lines) + "\n"


def endpoint_at(port: int) -> str:
    """The endpoint of a server at a port that is held for it."""
    return f"epoll:{port}:interface={HOST}:reuseport=yes"


def _let_go(held: list[socket.socket]) -> None:
    """Let others have the ports."""
    for each in held:
        each.close()


def _environment(notify_socket: Path) -> dict[str, str]:
    """The environment of this process, changed so that the server runs the same code."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "NOTIFY_SOCKET": str(notify_socket),
    }


def _pairs(table: Mapping[str, object]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items()]


def _toml(value: object) -> str:
    """The settings as TOML; values are written as in JSON."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_toml(key)} = {_toml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(inner) for inner in value)}]"
    return dumps(value, ensure_ascii=False)
