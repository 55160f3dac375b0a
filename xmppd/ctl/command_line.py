"""The command line of xmppctl: made from descriptions of commands, whoever knows these."""

import argparse
import getpass
import sys
from collections.abc import Iterable
from pathlib import Path

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.refused import Refused
from xmppd.host.version import version

MAX_PASSWORD_BYTES = 10_000

Given = dict[str, str | bool | list[str]]

GROUPS = {
    "user": "accounts",
    "session": "who is connected",
    "device": "clients that have access to an account",
    "roster": "contacts of an account",
    "group": "shared groups",
    "s2s": "other servers",
    "cluster": "the nodes of this service",
    "key": "keys with which programs give commands",
    "audit": "what was changed, and by whom",
    "job": "commands that nobody waits for",
    "report": "what people reported",
    "explain": "why",
    "top": "who causes most",
    "plugin": "plugins",
    "certificate": "certificates that this server shows",
    "config": "the configuration",
    "db": "the database",
    "db quarantine": "records that could not be read",
}
"""The help of the words before the last one."""


def parser(descriptions: Iterable[Description]) -> argparse.ArgumentParser:
    """The command line, made from the descriptions of commands."""
    top = argparse.ArgumentParser(
        prog="xmppctl",
        description="Ask a server of this machine to do something.",
        parents=[common_options()],
    )
    top.set_defaults(config=None, data=None, json=False)
    top.add_argument("--version", action="version", version=f"xmppctl {version()}")
    places = {"": top.add_subparsers(metavar="command", required=True)}
    for name, what in GROUPS.items():
        _open(places, name, what)
    for about in descriptions:
        group, _, word = about.name.rpartition(" ")
        words = group.split()
        for count in range(1, len(words) + 1):
            if (name := " ".join(words[:count])) not in places:
                _open(places, name, "of a plugin")
        what = about.help.replace("%", "%%")
        _add(places[group].add_parser(word, help=what, parents=[common_options()]), about)
    return top


Places = dict[str, "argparse._SubParsersAction[argparse.ArgumentParser]"]


def _open(places: Places, name: str, what: str) -> None:
    """Add a word that others follow."""
    group, _, word = name.rpartition(" ")
    group_parser = places[group].add_parser(word, help=what)
    places[name] = group_parser.add_subparsers(metavar="command", required=True)


def common_options() -> argparse.ArgumentParser:
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
