"""The entry point for twistd, and the console script ``xmppd``."""

import argparse
import pwd
import sys
from pathlib import Path
from typing import cast

from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.scripts import twistd

from xmppd.command.exit_status import NOT_UNDERSTOOD
from xmppd.host.log import Log
from xmppd.host.machine import IReactor, collect_nothing, keep_steady_time
from xmppd.host.version import version
from xmppd.net.certificate import make_self_signed
from xmppd.plugin.new_plugin import write_plugin
from xmppd.plugin.plugin_error import PluginError
from xmppd.setup.answers import QUESTIONS, AnswerError, of_file
from xmppd.setup.setting_up import NotSetUp, SetupPlaces, set_up
from xmppd.testing import temporary

CONFIG_FILES = (Path("etc/xmppd.toml"), Path("/etc/xmppd/xmppd.toml"))
DATA = Path("/var/lib/xmppd")
WORDS = ("setup", "run", "new-plugin", "temporary")

TEMPLATE = """\
# A server for trying things out on this machine. Every option, with its default and what it means,
# is in etc/xmppd.toml of the project. Paths are relative to this file.

data = "data"

# Accounts that may administer the server from their client.
admins = []

[[domain]]
name = "localhost"
# We signed this certificate ourselves, so clients will ask whether to trust it.
certificate = "localhost.crt"
key = "localhost.key"

# TLS once the client has asked for it: the usual port.
[[listen]]
endpoint = "epoll:5222"
tls = "starttls"

# TLS from the first byte.
[[listen]]
endpoint = "epoll:5223"
tls = "direct"

# HTTP, with TLS: a web client connects to wss://localhost:5443/ws.
[[listen]]
endpoint = "epoll:5443"
kind = "http"
tls = "direct"

# Other servers could not reach a domain that is called "localhost".
[s2s]
enabled = false
"""


class Options(usage.Options):
    """The options behind ``twistd xmppd``."""

    optParameters = [["config", "c", None, "The configuration file."]]

    parent: usage.Options

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.log = Log()

    @property
    def path(self) -> Path:
        """The configuration file, named or found."""
        if self["config"]:
            return Path(self["config"]).absolute()
        return next((path for path in CONFIG_FILES if path.exists()), CONFIG_FILES[-1]).absolute()

    def observer(self) -> ILogObserver | None:
        """The log: to stdout in the foreground, else to a file; None if syslog is to have it."""
        if self.parent["syslog"]:
            return None
        name = self.parent["logfile"]
        if name == "-" or (not name and self.parent["nodaemon"]):
            return self.log.to_stdout()
        return self.log.to_file(name or "twistd.log", self._becomes())

    def _becomes(self) -> tuple[int, int] | None:
        """The user and group that twistd will change to; None if it keeps its own."""
        uid, gid = self.parent["uid"], self.parent["gid"]
        if uid is None:
            return None if gid is None else (-1, gid)
        return uid, pwd.getpwuid(uid).pw_gid if gid is None else gid


def makeService(options: Options) -> IService:
    """The server as a service; nothing is open yet, since twistd forks after this.

    Raises:
        StartError: The configuration cannot be used.
    """
    collect_nothing()
    from twisted.internet import reactor

    from xmppd.service import XMPPService

    ours = cast(IReactor, reactor)
    keep_steady_time(ours)
    return XMPPService(options.path, ours, options.log, options.observer)


# --- the console script ------------------------------------------------------------------------


def command_line() -> argparse.ArgumentParser:
    """The words of the console script, and their options."""
    parser = argparse.ArgumentParser(prog="xmppd", description="An XMPP server")
    parser.add_argument("--version", action="version", version=f"xmppd {version()}")
    words = parser.add_subparsers(dest="word", required=True)
    _add_setup(words.add_parser("setup", help="ask a few questions, and set up a server"))
    start = words.add_parser("run", help="run a server until Ctrl-C")
    start.add_argument("--config", type=Path, help="the configuration file")
    new = words.add_parser("new-plugin", help="create a new plugin, with a test")
    new.add_argument("name", help="the plugin's name, such as word_filter")
    new.add_argument(
        "--directory", type=Path, default=Path(), help="where to create xmppd-NAME (default: here)"
    )
    temporary.add_options(
        words.add_parser("temporary", help="run a server for tests, until the parent process ends")
    )
    return parser


def main() -> None:
    """``xmppd setup``, ``xmppd run``, ``xmppd new-plugin``, ``xmppd temporary``."""
    word = next(iter(sys.argv[1:]), "")
    if not word.startswith("-") and word not in WORDS:
        why = f'"{word}" is not a command' if word else "a command is missing"
        sys.stderr.write(f"xmppd: {why}; xmppd --help lists the commands.\n")
        sys.exit(NOT_UNDERSTOOD)
    arguments = command_line().parse_args()
    if arguments.word == "run":
        run(arguments.config)
    elif arguments.word == "new-plugin":
        new_plugin(arguments.name, arguments.directory)
    elif arguments.word == "temporary":
        temporary.run(arguments)
    elif arguments.trial:
        make_trial(arguments.directory)
    else:
        setup(arguments)


def _add_setup(make: argparse.ArgumentParser) -> None:
    """The options of a set-up: one for each question, but for the password."""
    make.add_argument(
        "--config", type=Path, default=CONFIG_FILES[-1], help="the configuration file to write"
    )
    make.add_argument("--data", type=Path, default=DATA, help="the data directory")
    make.add_argument("--answers", type=Path, metavar="FILE", help="answers, in TOML")
    make.add_argument("--stdin", action="store_true", help="read the password from standard input")
    make.add_argument(
        "--yes", action="store_true", help="ask nothing; fail if an answer is missing"
    )
    for question in QUESTIONS:
        if not question.hidden:
            make.add_argument(f"--{question.name}", help=question.help or question.text)
    trial = make.add_argument_group("set up a trial server on this machine, without questions")
    trial.add_argument(
        "--trial",
        action="store_true",
        help="set up a server on localhost in DIRECTORY; keep existing files",
    )
    trial.add_argument(
        "--directory",
        type=Path,
        default=Path("run"),
        help="the directory of the trial server (default: run)",
    )


def setup(arguments: argparse.Namespace) -> None:
    """Set a server up, by the answers that are given and those of whoever sits there."""
    try:
        given = of_file(arguments.answers) if arguments.answers else {}
        for question in QUESTIONS:
            answer = getattr(arguments, question.name, None)
            if answer is not None:
                given[question.name] = answer
        if arguments.stdin:
            given["password"] = sys.stdin.readline().rstrip("\n")
        ask = not (arguments.yes or arguments.answers) and sys.stdin.isatty()
        places = SetupPlaces(arguments.config.absolute(), arguments.data.absolute())
        set_up(places, given, ask=ask)
    except (NotSetUp, AnswerError) as error:
        sys.exit(f"xmppd: {error}.")
    except (EOFError, KeyboardInterrupt):
        sys.exit("xmppd: nothing was written.")


def make_trial(directory: Path) -> None:
    """Make a configuration, a certificate and a data directory where they are missing."""
    try:
        made = _missing(directory)
    except OSError as error:
        sys.exit(f"{error.filename} cannot be created ({error.strerror}).")
    for path in made:
        sys.stdout.write(f"made {path}\n")


def _missing(directory: Path) -> list[Path]:
    """Make the missing files; returns their names."""
    made = []
    data, configuration = directory / "data", directory / "xmppd.toml"
    certificate, key = directory / "localhost.crt", directory / "localhost.key"
    if not data.exists():
        data.mkdir(mode=0o700, parents=True)
        made.append(data)
    if not key.exists():
        make_self_signed("localhost", certificate, key)
        made += [certificate, key]
    if not configuration.exists():
        configuration.write_text(TEMPLATE, encoding="utf-8")
        made.append(configuration)
    return made


def new_plugin(name: str, directory: Path) -> None:
    """Write the beginning of a plugin, and say what to do with it."""
    try:
        made = write_plugin(name, directory)
    except PluginError as error:
        sys.exit(f"xmppd: {error}.")
    except OSError as error:
        if not directory.is_dir():
            sys.exit(f"xmppd: the directory {directory} does not exist.")
        sys.exit(f"xmppd: {directory} cannot be written ({error.strerror}).")
    for path in sorted(made.rglob("*.*")):
        sys.stdout.write(f"made {path}\n")
    sys.stdout.write(
        f"\nIts test: cd {made} && {sys.executable} -m pip install -e . && "
        f"{sys.executable} -m unittest discover tests\n"
    )


def run(config: Path | None) -> None:
    """Run in the foreground, as ``twistd -n xmppd`` does."""
    named = ["--config", str(config)] if config else []
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "xmppd", *named]
    twistd.run()
