"""The console script ``xmppctl``."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path

from xmppd.command.command import STATES, Description
from xmppd.command.refused import Refused
from xmppd.config import config_file
from xmppd.config.table import ConfigError
from xmppd.ctl.client import ANSWER_TIMEOUT_S, NoServer, ask, describe
from xmppd.ctl.command_line import Given, common_options, given, parser
from xmppd.ctl.completion import completions, words_of
from xmppd.ctl.printer import printer
from xmppd.ctl.protocol import Line
from xmppd.host.data_directory import DataDirectory
from xmppd.host.log_lines import printable

COMP_LINE = "COMP_LINE"
BASH_SAYS = 4
"""The words with which bash asks what a word may be: ours, and three."""

CONFIG_FILES = (Path("run/xmppd.toml"), Path("/etc/xmppd/xmppd.toml"))


def main() -> None:
    """Do the command of the command line.

    It ends the process: 0 done, 1 refused, 2 not understood, 3 done, and a node did not answer.
    A command that looks how the server is, such as ``status``, ends with 1 for warnings and 2 for
    trouble.
    """
    if COMP_LINE in os.environ and len(sys.argv) == BASH_SAYS:
        complete(os.environ[COMP_LINE][: int(os.environ.get("COMP_POINT", "0")) or None])
        return
    options = understood(sys.argv[1:])
    command: Description = options.command
    if isinstance(sys.stdout, TextIOWrapper):
        # Whole lines, also into a pipe; characters that the terminal cannot show are spelled out.
        line_buffering = True if command.answers == "stream" else None
        sys.stdout.reconfigure(line_buffering=line_buffering, errors="backslashreplace")
    paper = printer(sys.stdout, command.answers, json=options.json)
    try:
        told, worst = given(command, options), 0
        try:
            for reply in _asked(command, told, options):
                paper.take(reply)
                worst = max(worst, _badness(command, reply))
        except NoServer:
            _offline(command, told, options, paper.take)
        paper.finish()
        if worst:
            sys.exit(worst)
    except (ConfigError, Refused) as error:
        paper.finish()
        text = "\n".join(map(printable, str(error).rstrip(".").splitlines()))
        sys.stderr.write(f"xmppctl: {text}.\n")
        sys.exit(error.status if isinstance(error, Refused) else 1)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def understood(line: list[str]) -> argparse.Namespace:
    """The command that a line names, and what it says for that.

    A server that runs describes its commands. Where that is not enough, since it does not run, or
    help is wanted, those of our own are read too, which takes its time: they bring all stages.
    """
    options, more = common_options().parse_known_args(line)
    words = [word for word in more if not word.startswith("-")]
    found = _described(words, options)
    named = f"{' '.join(words)} "
    if not any(named.startswith(f"{about.name} ") for about in found):
        from xmppd.ctl.commands import DESCRIPTIONS

        found = [*DESCRIPTIONS.values(), *(on for on in found if on.name not in DESCRIPTIONS)]
    return parser(found).parse_args(line)


def complete(line: str) -> None:
    """Print the words that may stand at the end of a line, for bash (``complete -C``).

    The server is asked, which knows its plugins' commands; if it does not run, our own are read.
    """
    words = words_of(line)
    options, _ = common_options().parse_known_args(words[:-1])
    try:
        known = describe(_socket(options), "")
    except (ConfigError, NoServer, Refused):
        from xmppd.ctl.commands import DESCRIPTIONS

        known = list(DESCRIPTIONS.values())
    for word in completions(words, known):
        sys.stdout.write(f"{word}\n")


def _described(words: list[str], options: argparse.Namespace) -> list[Description]:
    """The server's commands that begin with the first word."""
    if not words:
        return []
    try:
        return describe(_socket(options), words[0])
    except (ConfigError, NoServer, Refused):
        return []  # whoever gives the command is told


def _badness(command: Description, reply: Line) -> int:
    """The place among :data:`STATES` of what a row says of a server; 0 if it says nothing."""
    state = "" if isinstance(reply, str) else reply.get(command.ends_by)
    return STATES.index(str(state)) if state in STATES else 0


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


def _offline(
    command: Description, told: Given, options: argparse.Namespace, take: Callable[[Line], None]
) -> None:
    """Do the command without a server."""
    if command.needs == "server" or options.data is not None:
        raise Refused("no server runs there; start it first, or use --config")
    from xmppd.ctl.offline import perform

    perform(_path(options), command, told, take)
