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

from xmppd.config import config_file
from xmppd.config.config_file import ConfigError
from xmppd.ctl import offline
from xmppd.ctl.client import ANSWER_TIMEOUT_S, NoServer, ask
from xmppd.ctl.command import Argument, Command
from xmppd.ctl.commands import GROUPS, TABLE
from xmppd.ctl.printer import JSONPrinter, Printer, SentencePrinter, printer
from xmppd.ctl.protocol import Refused, Reply
from xmppd.host.data_directory import DataDirectory
from xmppd.host.log import printable
from xmppd.host.machine import IReactor, version

CONFIG_FILES = (Path("run/xmppd.toml"), Path("/etc/xmppd/xmppd.toml"))
MAX_PASSWORD_BYTES = 10_000

Given = dict[str, str | bool | list[str]]
Paper = Printer | SentencePrinter | JSONPrinter


def main() -> None:
    """Do what the command line says; ends the process: 0 done, 1 refused, 2 not understood."""
    options = parser().parse_args()
    command: Command = options.command
    if isinstance(sys.stdout, TextIOWrapper):
        # Whole lines, also into a pipe; and what the terminal cannot show is spelled out.
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
        sys.exit(f"xmppctl: {text}.")
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


# --- the command line --------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The command line, made from the table."""
    top = argparse.ArgumentParser(
        prog="xmppctl",
        description="Ask a server of this machine to do something.",
        parents=[_common()],
    )
    top.set_defaults(config=None, data=None, json=False)
    top.add_argument("--version", action="version", version=f"xmppctl {version()}")
    places = {"": top.add_subparsers(metavar="command", required=True)}
    for name, what in GROUPS.items():
        group, _, word = name.rpartition(" ")
        group_parser = places[group].add_parser(word, help=what)
        places[name] = group_parser.add_subparsers(metavar="command", required=True)
    for command in TABLE.values():
        group, _, word = command.name.rpartition(" ")
        _add(places[group].add_parser(word, help=command.help, parents=[_common()]), command)
    return top


def _common() -> argparse.ArgumentParser:
    """What may stand before and behind a command; made anew, since defaults are kept in it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--config", type=Path, metavar="FILE", help="the server's configuration")
    common.add_argument(
        "--data", type=Path, metavar="DIR", help="its data directory, while it runs"
    )
    common.add_argument("--json", action="store_true", help="a JSON object on each line")
    return common


def _add(place: argparse.ArgumentParser, command: Command) -> None:
    place.set_defaults(command=command)
    for argument in command.arguments:
        if argument.kind == "secret":
            place.add_argument(
                "--stdin",
                "--password-stdin",
                action="store_true",
                help=f"read the {argument.name} from standard input",
            )
        elif argument.kind == "flag":
            place.add_argument(argument.name, action="store_true", help=argument.help)
        else:
            action = "append" if argument.kind == "texts" else "store"
            choices = argument.choices or None
            place.add_argument(argument.name, action=action, choices=choices, help=argument.help)


def given(command: Command, options: argparse.Namespace) -> Given:
    """What the command line says, and what has to be asked for.

    Raises:
        Refused: There is nobody to ask, or something is not UTF-8.
    """
    told: Given = {}
    for argument in command.arguments:
        if argument.kind == "secret":
            told[argument.key] = _secret(argument, from_stdin=options.stdin)
        elif (value := getattr(options, argument.key)) not in (None, False):
            told[argument.key] = value
    for key, value in told.items():
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and not _is_unicode(text) for text in texts):
            raise Refused(f"the {key} is not written in UTF-8; see to the terminal's encoding")
    return told


def _is_unicode(text: str) -> bool:
    """Whether it holds no bytes that Python could not read as UTF-8 and keeps as they are."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _secret(argument: Argument, *, from_stdin: bool) -> str:
    if from_stdin:
        line = sys.stdin.buffer.readline(MAX_PASSWORD_BYTES)
        return line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Refused(f"there is nobody to ask for the {argument.name}; use --stdin")
    first = getpass.getpass(f"{argument.name.capitalize()}: ")
    if getpass.getpass("Again: ") != first:
        raise Refused("these two differ")
    return first


# --- where it is done --------------------------------------------------------------------------


def _asked(command: Command, told: Given, options: argparse.Namespace) -> Iterator[Reply]:
    """Have the server do it.

    Raises:
        NoServer: There is none, or none is needed.
    """
    if command.needs == "file":
        raise NoServer
    data = options.data or Path(config_file.load(_path(options)).data)
    timeout_s = None if command.answers == "stream" else ANSWER_TIMEOUT_S
    yield from ask(DataDirectory(data).socket, command.name, told, timeout_s=timeout_s)


def _path(options: argparse.Namespace) -> Path:
    if options.config is not None:
        named: Path = options.config
        return named.absolute()
    return next((path for path in CONFIG_FILES if path.exists()), CONFIG_FILES[-1]).absolute()


def _offline(command: Command, told: Given, options: argparse.Namespace, paper: Paper) -> None:
    """Do it ourselves."""
    if command.needs == "server" or options.data is not None:
        raise Refused("no server runs there; start it first, or use --config")
    path = _path(options)
    settings = config_file.load(path)
    failures: list[Failure] = []

    async def work(reactor: IReactor) -> None:
        asked = offline.run(reactor, path, settings, command, told)
        async with aclosing(asked) as replies:  # also if nobody reads on
            async for reply in replies:
                paper.take(reply)

    def begin(reactor: IReactor) -> Deferred[None]:
        return Deferred.fromCoroutine(work(reactor)).addErrback(failures.append)

    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    with suppress(SystemExit):
        react(begin)
    if failures:
        failures[0].raiseException()


__all__ = ["given", "main", "parser"]
