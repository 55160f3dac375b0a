"""``xmppd temporary``: a server for tests in any language.

It prints one line of JSON when it is ready, and is gone when its parent is. On the socket
``control`` it speaks the protocol of :mod:`xmppd.ctl.protocol`: all commands of the server, faults
and views among them; and :data:`OWN`, by which the server is stopped, killed and started.
"""

import argparse
import json
import os
import select
import signal
import socketserver
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Lock, Thread
from typing import Any

from xmppd.command.exit_status import NOT_UNDERSTOOD, REFUSED
from xmppd.command.refused import Refused
from xmppd.ctl.client import Failed, answers
from xmppd.ctl.protocol import MAX_REQUEST_BYTES
from xmppd.testing.process import NotStarted
from xmppd.testing.temporary_server import TemporaryServer

OWN: Mapping[str, tuple[Callable[[TemporaryServer], None], str]] = {
    "server stop": (TemporaryServer.stop, "it has stopped"),
    "server kill": (TemporaryServer.kill, "it was killed"),
    "server start": (TemporaryServer.start, "it is up"),
}
"""The commands that are not the server's, with what they say when they are done."""


class Mistake(Exception):
    """An error: an option is wrong; the text is a sentence without a full stop."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``xmppd temporary``."""
    parser.add_argument(
        "--accounts", default="", metavar="NAME:PASSWORD,…", help="accounts to create"
    )
    parser.add_argument(
        "--domain", action="append", help="the domain to serve (default: localhost)"
    )
    parser.add_argument(
        "--component", action="append", default=[], metavar="DOMAIN:SECRET", help="a component"
    )
    parser.add_argument(
        "--peer",
        metavar="DOMAIN",
        help="also run a server for this domain; the two can reach each other",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TOML",
        help="an option of the configuration, such as sessions.conflict='refuse'",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="keep the server's files in this directory"
    )
    parser.add_argument(
        "--parent",
        type=int,
        metavar="PID",
        help="end when this process ends (default: the parent process)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Serve until the parent is gone, or this process is told to end."""
    end, told = os.pipe()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: os.write(told, b"."))
    try:
        with ExitStack() as until:
            parent = os.pidfd_open(arguments.parent or os.getppid())
            keep: Path | None = arguments.keep
            if keep is None:
                directory = Path(mkdtemp(prefix="xmppd-"))
                until.callback(rmtree, directory, ignore_errors=True)
            else:
                directory = keep.absolute()
                directory.mkdir(parents=True, exist_ok=True)
            server = made(arguments, directory)
            peer = server.federated(arguments.peer) if arguments.peer else None
            ready = up(server, until)
            ready["accounts"] = [
                server.add_user(name, password) for name, password in accounts(arguments.accounts)
            ]
            if peer is not None:
                ready["peer"] = up(peer, until)
            sys.stdout.write(f"{json.dumps(ready)}\n")
            sys.stdout.flush()
            if wait_for_any(parent, end) == parent:
                for each in filter(None, (server, peer)):
                    each.kill()  # nobody is there who could want an orderly end
    except (Mistake, NotStarted, Refused, OSError) as error:
        sys.stderr.write(f"xmppd: {error}\n")
        sys.exit(NOT_UNDERSTOOD if isinstance(error, Mistake) else REFUSED)


def made(arguments: argparse.Namespace, directory: Path) -> TemporaryServer:
    """The server that the options describe.

    Raises:
        Mistake: They do not describe one.
    """
    accounts(arguments.accounts)
    settings: dict[str, Any] = {}
    for text in arguments.set:
        try:
            settings = merged(settings, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise Mistake(f"--set {text} is not TOML ({error})") from error
    components = [
        {"name": name, "secret": secret}
        for name, secret in (pair("--component", each) for each in arguments.component)
    ]
    if components:
        settings["component"] = components
    domains = arguments.domain or ["localhost"]
    return TemporaryServer(directory, *domains, keep=arguments.keep is not None, **settings)


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both settings, table by table."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict) and isinstance(other[name], dict):
            both[name] = {**one[name], **other[name]}
    return both


def accounts(text: str) -> list[tuple[str, str]]:
    """The names and passwords in ``romeo:secret,juliet:secret``.

    Raises:
        Mistake: They are written otherwise.
    """
    return [pair("--accounts", each) for each in text.split(",") if each]


def pair(option: str, text: str) -> tuple[str, str]:
    """Both sides of a colon.

    Raises:
        Mistake: There are not two.
    """
    name, _, secret = text.partition(":")
    if not name or not secret:
        form = "DOMAIN:SECRET" if option == "--component" else "NAME:PASSWORD"
        raise Mistake(f'{option}: "{text}" does not have the form {form}')
    return name, secret


def up(server: TemporaryServer, until: ExitStack) -> dict[str, object]:
    """Start a server and its control address, until the stack ends; returns what is to be known."""
    until.enter_context(server)
    control = ControlAddress(server)
    until.callback(control.close)
    Thread(target=control.serve_forever, daemon=True).start()
    return {
        "host": server.host,
        "port": server.port,
        "direct_tls_port": server.direct_tls_port,
        "https_port": server.https_port,
        "component_port": server.component_port,
        "domain": server.domain,
        "domains": list(server.domains),
        "certificate": str(server.certificate),
        "control": control.address,
        "log": str(server.log),
        "pid": os.getpid(),
    }


def wait_for_any(*descriptors: int) -> int:
    """Wait until one of these is readable; returns which."""
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return poller.poll()[0][0]


class ControlAddress(socketserver.ThreadingUnixStreamServer):
    """The control address of a server, which is there while the server is not.

    Args:
        server: The server.

    Attributes:
        address: Its path.
    """

    daemon_threads = True

    def __init__(self, server: TemporaryServer) -> None:
        self.server = server
        self.address = str(server.directory / "control.sock")
        self._alone = Lock()
        Path(self.address).unlink(missing_ok=True)
        super().__init__(self.address, ControlConversation)

    def close(self) -> None:
        """Serve nobody any more."""
        self.shutdown()
        self.server_close()

    def answers(self, line: bytes) -> Iterator[dict[str, Any]]:
        """The lines that answer a request."""
        try:
            request = json.loads(line)
            number = request.pop("id", 0)
        except (ValueError, AttributeError):
            yield {"id": 0, "error": "this is no request", "code": "bad-request", "status": 2}
            return
        try:
            if request.get("command") in OWN:
                yield {"id": number, "note": self._do(request["command"])}
                yield {"id": number, "done": True}
                return
            socket = self.server.directory / "data" / "xmppctl.sock"
            for answer in answers(str(socket), request):
                yield {**answer, "id": number}
        except Failed as error:
            yield {
                "id": number,
                "error": str(error),
                "code": error.code,
                "argument": error.argument,
                "status": error.status,
            }
        except NotStarted as error:
            yield {"id": number, "error": str(error), "code": "not-started", "status": REFUSED}

    def _do(self, command: str) -> str:
        """Do one of our own."""
        work, says = OWN[command]
        with self._alone:
            if command == "server start":
                self.server.stop()
            work(self.server)
        return says


class ControlConversation(socketserver.StreamRequestHandler):
    """One connection: a request a line."""

    server: ControlAddress

    def handle(self) -> None:
        """Answer each request."""
        while line := self.rfile.readline(MAX_REQUEST_BYTES):
            for answer in self.server.answers(line):
                self.wfile.write(json.dumps(answer).encode() + b"\n")


__all__ = ["OWN", "Mistake", "add_options", "run"]
