"""The console script ``xmppctl``."""

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import aclosing, suppress
from io import TextIOWrapper
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.refused import Refused
from xmppd.config import config_file
from xmppd.config.table import ConfigError
from xmppd.ctl import offline
from xmppd.ctl.client import ANSWER_TIMEOUT_S, NoServer, ask, describe
from xmppd.ctl.commands import DESCRIPTIONS, GROUPS
from xmppd.ctl.printer import JSONPrinter, Printer, SentencePrinter, printer
from xmppd.ctl.protocol import Line
from xmppd.host.data_directory import DataDirectory
from xmppd.host.log_lines import printable
from xmppd.host.machine import IReactor, version

CONFIG_FILES = (Path("run/xmppd.toml"), Path("/etc/xmppd/xmppd.toml"))
MAX_PASSWORD_BYTES = 10_000

Given = dict[str, str | bool | list[str]]
Paper = Printer | SentencePrinter | JSONPrinter


def main() -> None:
    """Do the command of the command line.

    It ends the process: 0 done, 1 refused, 2 not understood, 3 done, and a node did not answer.
    """
    options = parser(*_of_plugins(sys.argv[1:])).parse_args()
    command: Description = options.command
    if isinstance(sys.stdout, TextIOWrapper):
        # Whole lines, also into a pipe; characters that the terminal cannot show are spelled out.
        line_buffering = True if command.answers == "stream" else None
        sys.stdout.reconfigure(line_buffering=line_buffering, errors="backslashreplace")
    paper = printer(sys.stdout, command.answers, json=options.json)
    try:
        told = given(command, options)
        try:
            for reply in _asked(command, told, options):
                paper.take(reply)
        except NoServer:
            _offline(command, told, options, paper)
        paper.finish()
    except (ConfigError, Refused) as error:
        paper.finish()
        text = "\n".join(map(printable, str(error).rstrip(".").splitlines()))
        sys.stderr.write(f"xmppctl: {text}.\n")
        sys.exit(error.status if isinstance(error, Refused) else 1)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


# --- the command line --------------------------------------------------------------------------


def parser(*more: Description) -> argparse.ArgumentParser:
    """The command line, made from the descriptions of commands.

    Args:
        more: Commands beside our own.
    """
    top = argparse.ArgumentParser(
        prog="xmppctl",
        description="Ask a server of this machine to do something.",
        parents=[_common()],
    )
    top.set_defaults(config=None, data=None, json=False)
    top.add_argument("--version", action="version", version=f"xmppctl {version()}")
    places = {"": top.add_subparsers(metavar="command", required=True)}
    for name, what in GROUPS.items():
        _open(places, name, what)
    for about in (*DESCRIPTIONS.values(), *more):
        group, _, word = about.name.rpartition(" ")
        words = group.split()
        for count in range(1, len(words) + 1):
            if (name := " ".join(words[:count])) not in places:
                _open(places, name, "of a plugin")
        what = about.help.replace("%", "%%")
        _add(places[group].add_parser(word, help=what, parents=[_common()]), about)
    return top


Places = dict[str, "argparse._SubParsersAction[argparse.ArgumentParser]"]


def _open(places: Places, name: str, what: str) -> None:
    """Add a word that others follow."""
    group, _, word = name.rpartition(" ")
    group_parser = places[group].add_parser(word, help=what)
    places[name] = group_parser.add_subparsers(metavar="command", required=True)


def _of_plugins(line: list[str]) -> list[Description]:
    """The server's descriptions of commands that are not known here, if this is none that is."""
    options, more = _common().parse_known_args(line)
    words = [word for word in more if not word.startswith("-")]
    named = f"{' '.join(words)} "
    if not words or any(named.startswith(f"{name} ") for name in DESCRIPTIONS):
        return []
    try:
        found = describe(_socket(options), words[0])
    except (ConfigError, NoServer, Refused):
        return []  # the words are not understood, then
    return [about for about in found if about.name not in DESCRIPTIONS]


def _common() -> argparse.ArgumentParser:
    """The options before and behind a command; made anew, since defaults are kept in it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--config", type=Path, metavar="FILE", help="the server's configuration")
    common.add_argument(
        "--data", type=Path, metavar="DIR", help="its data directory, while it runs"
    )
    common.add_argument("--json", action="store_true", help="a JSON object on each line")
    return common


def _add(place: argparse.ArgumentParser, about: Description) -> None:
    place.set_defaults(command=about)
    for argument in about.arguments:
        argument.kind.add(place, argument.name, argument.help.replace("%", "%%"), argument.most)


def given(command: Description, options: argparse.Namespace) -> Given:
    """The arguments of the command line, and those that are asked for.

    Raises:
        Refused: There is no terminal to ask, or a value is not UTF-8.
    """
    told: Given = {}
    for argument in command.arguments:
        if argument.secret:
            if not (argument.required or options.stdin):
                continue
            told[argument.key] = _secret(argument, from_stdin=options.stdin)
        elif (value := getattr(options, argument.key)) not in (None, False):
            told[argument.key] = value
    for key, value in told.items():
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and not _is_unicode(text) for text in texts):
            raise Refused(f"the {key} is not written in UTF-8; see to the terminal's encoding")
    return told


def _is_unicode(text: str) -> bool:
    """Whether all of it is UTF-8; Python keeps other bytes as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _secret(argument: Argument, *, from_stdin: bool) -> str:
    if from_stdin:
        line = sys.stdin.buffer.readline(MAX_PASSWORD_BYTES)
        return line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Refused(f"there is nobody to ask for the {argument.key}; use --stdin")
    first = getpass.getpass(f"{argument.key.capitalize()}: ")
    if getpass.getpass("Again: ") != first:
        raise Refused("these two differ")
    return first


# --- where it is done --------------------------------------------------------------------------


def _asked(command: Description, told: Given, options: argparse.Namespace) -> Iterator[Line]:
    """Give the command to the server.

    Raises:
        NoServer: There is none, or none is needed.
    """
    if command.needs == "file":
        raise NoServer
    timeout_s = None if command.answers == "stream" else ANSWER_TIMEOUT_S
    yield from ask(_socket(options), command.name, told, timeout_s=timeout_s)


def _socket(options: argparse.Namespace) -> Path:
    data = getattr(options, "data", None)
    return DataDirectory(data or Path(config_file.load(_path(options)).data)).socket


def _path(options: argparse.Namespace) -> Path:
    named: Path | None = getattr(options, "config", None)
    if named is not None:
        return named.absolute()
    return next((path for path in CONFIG_FILES if path.exists()), CONFIG_FILES[-1]).absolute()


def _offline(command: Description, told: Given, options: argparse.Namespace, paper: Paper) -> None:
    """Do the command without a server."""
    if command.needs == "server" or options.data is not None:
        raise Refused("no server runs there; start it first, or use --config")
    path = _path(options)
    settings = config_file.load(path)
    failures: list[Failure] = []

    async def work(reactor: IReactor) -> None:
        asked = offline.run(reactor, path, settings, command, told)
        async with aclosing(asked) as replies:  # also if it is not read to the end
            async for reply in replies:
                paper.take(reply)

    def begin(reactor: IReactor) -> Deferred[None]:
        return Deferred.fromCoroutine(work(reactor)).addErrback(failures.append)

    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    with suppress(SystemExit):
        react(begin)
    if failures:
        failures[0].raiseException()
