"""The manual of commands and options, made from their tables: pages, and pages for ``man``.

``python -m xmppd.ctl.manual`` writes them into the checkout that one stands in.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from msgspec.structs import fields

from xmppd.command.exit_status import MEANINGS
from xmppd.command.reply import Row
from xmppd.config.reference import Option, kind_of, options
from xmppd.ctl.command_line import GROUPS, OWN_OPTIONS, usage
from xmppd.ctl.command_line import options as options_of
from xmppd.ctl.commands import DECLARED
from xmppd.ctl.declared import Declared
from xmppd.ctl.finding_codes import codes
from xmppd.plugin.public import public_page

EFFECTS = {
    "reads": "Only reads",
    "changes": "Changes something",
    "ends": "Irreversible",
}
NEEDS = {
    "file": "Does not ask the server",
    "store": "Works with or without a server",
    "server": "Needs a running server",
}
CODES: Mapping[str, str] = {
    "bad-request": "a value has the wrong kind, or a word is unknown",
    "config": "the configuration cannot be read",
    "conflict": "the thing already exists, or the command was already done",
    "feature-not-implemented": "this server does not support the command",
    "forbidden": "whoever ran the command has no right to run it",
    "gone": "the server cannot be reached, or closed the connection before it answered",
    "incomplete": "everything possible was done, but a node of the service did not answer",
    "internal-server-error": "the command failed; the log says why",
    "item-not-found": "what the command is about does not exist",
    "jid-malformed": "an address is malformed",
    "no-config": "no configuration was found",
    "no-server": "no server is running",
    "not-acceptable": "the present state does not allow the command",
    "not-allowed": "this command cannot be run here",
    "not-authorized": "the request lacks valid credentials",
    "policy-violation": "a limit of the server forbids the command",
    "recipient-unavailable": "the account or session is not online",
    "redirect": "the thing has moved elsewhere",
    "registration-required": "only members may do this",
    "remote-server-not-found": "the other server does not exist",
    "remote-server-timeout": "another server, or a node, did not answer in time",
    "resource-constraint": "a limit is reached",
    "service-unavailable": "the command cannot be done now; try again later",
    "subscription-required": "only contacts may do this",
    "timeout": "the server did not answer in time",
    "undefined-condition": "another error; the sentence says which",
    "unexpected-request": "the request came out of order",
}
"""The words of errors, and what each means."""

_COMMANDS_INTRO = """\
Every command of the server itself. Plugins add others, such as those on rooms, invitations and
archives: `xmppctl --help` lists them while the server is running. The fields are those of an object
that `--json` prints, and of a row that the HTTP interface sends ({doc}`api`). Existing fields and
codes do not change; new ones may be added.

| words | meaning |
|---|---|
| Only reads | changes nothing in the server or its data; some of these commands write new files |
| Needs a running server | asks the server |
| Works with or without a server | if no server is running, `xmppctl` works on the database |
| Does not ask the server | works whether it is running or not; to change the database, stop it |

With `--json` an error is an object on standard error: `error` is a sentence, `code` is one of the
words below, and `argument`, where it applies, is the argument that is wrong. A message that
belongs to no row is printed as `{"note": "…"}`.
"""

_CODES_INTRO = """\
## What explain and status say

Each row has a field `code`, by which programs recognise the finding. The sentence is for people and
may change in the next version; … stands for a part that varies. Existing codes do not change; new
ones may be added.
"""

_OPTIONS_INTRO = """\
Every option of the server itself in `xmppd.toml`. `xmppctl config options NAME` shows the same in a
terminal, with the options of loaded plugins, and `xmppctl config show` the values in effect. A
change of an option marked with * needs a restart; all others take effect with `xmppctl reload`.
"""

WRITTEN_BY = "made by `python -m xmppd.manual` from the tables of the program"


def commands_page() -> str:
    """The page on commands: what each is told, and what it answers to programs."""
    lines = [
        "# Commands",
        "",
        f"<!-- {WRITTEN_BY} -->",
        "",
        *_COMMANDS_INTRO.splitlines(),
        "",
        "| code | |",
        "|---|---|",
        *(f"| `{code}` | {what} |" for code, what in CODES.items()),
        "",
        "| status | when xmppctl exits with it |",
        "|---|---|",
        *(f"| {status} | {what} |" for status, what in MEANINGS.items()),
        "",
    ]
    for group, what in {"": "the server", **GROUPS}.items():
        found = [each for name, each in DECLARED.items() if name.rpartition(" ")[0] == group]
        if found:
            lines += [f"## {what[:1].upper()}{what[1:]}", ""]
        for declared in found:
            lines += _command(declared)
    lines += [*_CODES_INTRO.splitlines(), "", "| command | code | |", "|---|---|---|"]
    lines += (f"| `{each.command}` | `{each.code}` | {_cell(each.says)} |" for each in codes())
    return "\n".join(lines).rstrip() + "\n"


def _command(declared: Declared[Any]) -> Iterator[str]:
    """The part of the page on one command."""
    about = declared.about
    yield from (f"### {about.name}", "", "```text", f"xmppctl {usage(about)}", "```", "")
    what = f"{about.help[:1].upper()}{about.help[1:]}"
    yield f"{what}. {EFFECTS[about.effect]}. {NEEDS[about.needs]}. Scope: `{about.scope}`."
    yield ""
    if about.arguments:
        yield from ("| argument | |", "|---|---|")
        for name, meaning in options_of(about):
            yield f"| `{name}` | {_cell(meaning)} |"
        yield ""
    for row in declared.rows:
        yield from ("| field | is | |", "|---|---|---|")
        meanings = _attributes(row)
        for field in fields(row):
            meaning = meanings.get(field.name, "")
            yield f"| `{field.encode_name}` | {_cell(_kind(field.type))} | {_cell(meaning)} |"
        yield ""


def _kind(kind: object) -> str:
    """The kind of a field, in words."""
    said = kind_of(kind)
    return f"{said} or null" if NoneType in get_args(kind) else said


def _attributes(row: type[Row]) -> dict[str, str]:
    """What the docstring of a class says of its attributes."""
    found: dict[str, str] = {}
    name = ""
    _, _, text = (row.__doc__ or "").partition("Attributes:\n")
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent == 8 and ": " in line:
            name, _, said = line.strip().partition(": ")
            found[name] = said
        elif indent > 8 and name:
            found[name] += f" {line.strip()}"
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def options_page() -> str:
    """The page on options: one table for each table of the file."""
    lines = [
        "# Options",
        "",
        f"<!-- {WRITTEN_BY} -->",
        "",
        *_OPTIONS_INTRO.splitlines(),
        "",
    ]
    table = None
    for option in options():
        place, _, name = option.name.rpartition(".")
        if place != table:
            table = place
            heading = f"`{place}`" if place else "The file itself"
            lines += ["", f"## {heading}", ""]
            lines += ["| option | kind | default | |", "|---|---|---|---|"]
        star = "*" if option.restart else ""
        default = f"`{_cell(option.default)}`" if option.default else ""
        cells = (f"`{name}`{star}", _cell(option.kind), default, _cell(option.help))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


# --- for man -----------------------------------------------------------------------------------


def roff(text: str) -> str:
    """A text in which nothing is a command of roff."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain


def man_page(name: str, section: int, what: str, parts: Iterable[str]) -> str:
    """A page for man."""
    head = f'.TH {name.upper()} {section} "" xmppd\n.SH NAME\n{roff(name)} \\- {roff(what)}\n'
    return f'.\\" {WRITTEN_BY}\n{head}' + "".join(f"{part}\n" for part in parts)


def man_item(name: str, what: str) -> str:
    """An entry of a list, with what it means."""
    return f".TP\n.B {roff(name)}\n{roff(what)}"


def xmppctl_page() -> str:
    """xmppctl(1)."""

    def parts() -> Iterator[str]:
        yield ".SH SYNOPSIS\n.B xmppctl\n.I COMMAND\n[argument ...]"
        yield ".SH DESCRIPTION"
        yield roff(
            "Runs a command on an xmppd server on this machine. Commands about accounts, "
            "rosters, groups, the configuration and the database also work while no server is "
            "running. Plugins may add commands: xmppctl --help lists them all."
        )
        yield ".SH OPTIONS"
        yield from (man_item(name, what) for name, what in OWN_OPTIONS.items())
        yield ".SH COMMANDS"
        for declared in DECLARED.values():
            about = declared.about
            yield man_item(usage(about), f"{about.help[:1].upper()}{about.help[1:]}.")
            if about.arguments:
                yield ".RS"
                yield from (man_item(name, what) for name, what in options_of(about))
                yield ".RE"
        yield ".SH EXIT STATUS"
        yield from (man_item(str(status), what) for status, what in MEANINGS.items())
        yield ".SH SEE ALSO\n.BR xmppd (1),\n.BR xmppd.toml (5)"

    return man_page("xmppctl", 1, "run commands on an XMPP server", parts())


def toml_page() -> str:
    """xmppd.toml(5)."""

    def parts() -> Iterator[str]:
        yield ".SH DESCRIPTION"
        yield roff(
            "The configuration of xmppd, in TOML: /etc/xmppd/xmppd.toml unless you name another "
            "file. An option that the file does not set has its default. xmppctl config check "
            "checks the file for mistakes; xmppctl config show shows the values in effect."
        )
        table = ""
        yield ".SH OPTIONS"
        for option in options():
            place = option.name.rpartition(".")[0]
            if place != table:
                table = place
                yield f".SS [{roff(place)}]"
            yield man_item(_signature(option), option.help)
        yield ".SH SEE ALSO\n.BR xmppd (1),\n.BR xmppctl (1)"

    return man_page("xmppd.toml", 5, "the configuration of an XMPP server", parts())


def _signature(option: Option) -> str:
    """An option with its kind, its default, and whether a change needs a restart."""
    default = f", by default {option.default}" if option.default else ""
    restart = ", needs a restart" if option.restart else ""
    return f"{option.name.rpartition('.')[2]} ({option.kind}{default}{restart})"


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/commands.md": commands_page,
    "docs/options.md": options_page,
    "docs/public.md": public_page,
    "etc/man/xmppctl.1": xmppctl_page,
    "etc/man/xmppd.toml.5": toml_page,
}
"""The files that are made from the tables, and the functions that make them."""


def write(root: Path, pages: Mapping[str, Callable[[], str]] = PAGES) -> None:
    """Write the files below a directory."""
    for name, page in pages.items():
        (root / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())

__all__ = [
    "CODES",
    "PAGES",
    "commands_page",
    "man_item",
    "man_page",
    "options_page",
    "roff",
    "toml_page",
    "write",
    "xmppctl_page",
]
