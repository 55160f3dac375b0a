"""The command line of xmppctl: its words, read by descriptions of commands, and its help.

It is read by whoever does the command, a running server or xmppctl itself; so xmppctl has to know
no command, and a plugin's commands are read as all others are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.kinds import Document, Flag
from xmppd.command.refused import Refused
from xmppd.ctl.letters import folded
from xmppd.stanza import Condition
from xmppd.stanza.phrases import listed

Given = dict[str, str | bool | list[str]]

PROGRAM = "xmppctl"
HELP = ("--help", "-h")
STDIN = "--stdin"
NEAR = 0.7
"""How much alike two words are, from 0 to 1, before one is proposed for the other."""

MARGIN = 30
"""Cells of a name in a help text; what is said of a longer one begins below it."""

GROUPS: Mapping[str, str] = {
    "user": "accounts",
    "session": "who is connected",
    "device": "clients that have access to an account",
    "roster": "contacts of an account",
    "group": "shared groups",
    "block": "addresses that an account has blocked",
    "privacy": "privacy lists of an account",
    "invite": "invitations",
    "s2s": "other servers",
    "cluster": "the nodes of this service",
    "component": "components, and services inside the server",
    "log": "the log",
    "console": "links to web pages, for administrators and users",
    "key": "keys with which programs run commands",
    "audit": "what was changed, and who did it",
    "job": "commands that run in the background",
    "vcard": "vCards: what others can read about the owner of an account",
    "report": "reports of abuse from users",
    "explain": "why a login, message, presence or session went wrong",
    "top": "who sends most, and which stages are busy",
    "offline": "messages that wait for accounts",
    "plugin": "plugins",
    "certificate": "the certificates of this server",
    "config": "the configuration",
    "db": "the database",
    "db quarantine": "records that could not be read",
    "archive": "message archives",
    "guestbook": "guestbooks",
    "pubsub": "PubSub nodes, and what accounts publish",
    "push": "services that wake clients",
    "room": "group chats",
    "upload": "uploaded files",
    "fault": "faults for tests of clients",
    "seen": "what clients sent and got, for tests of clients",
}
"""The help of the words before the last one."""

OF_PLUGIN = "commands of a plugin"

OWN_OPTIONS: Mapping[str, str] = {
    "--config FILE": "the server's configuration; by default run/xmppd.toml, or else "
    "/etc/xmppd/xmppd.toml",
    "--data DIR": "the data directory of a running server; xmppctl then reads no configuration",
    "--json": "print a JSON object on each line",
    "--wide": "print every column in full, however wide",
    "--columns A,B": "print only these columns, in this order",
    "--version": "the version of xmppctl",
    "--help": "list the commands, or the arguments of one command",
}
"""The options that xmppctl takes out of every command line itself."""


@dataclass
class WantedCommand:
    """A command that a command line asks for.

    Attributes:
        about: Its description.
        given: The values of its arguments.
        secret: The argument that has to be asked for; None if there is none.
        from_stdin: Whether that is read from standard input.
    """

    about: Description
    given: Given = field(default_factory=dict)
    secret: Argument | None = None
    from_stdin: bool = False


class CommandLine:
    """The command lines of some commands.

    Args:
        descriptions: Of all of them, by their names.
    """

    def __init__(self, descriptions: Mapping[str, Description]) -> None:
        self._descriptions = descriptions

    @cached_property
    def _commands(self) -> Mapping[tuple[str, ...], Description]:
        """By the words of their names; whoever names one needs it not."""
        return {tuple(name.split()): about for name, about in self._descriptions.items()}

    def read(self, words: Sequence[str], width: int) -> WantedCommand | str:
        """What some words ask for.

        Args:
            words: Without the options that are xmppctl's own.
            width: Of a line of help, in cells.

        Returns:
            A command, or the help that was asked for.

        Raises:
            Refused: They are not understood.
        """
        if words[:1] == ["help"] and "help" not in self._following(()):
            words = [*words[1:], HELP[0]]
        wants_help = any(word in HELP for word in words)
        named = [word for word in words if word not in HELP] if wants_help else list(words)
        about = self.command(named)
        if about is not None:
            length = len(about.name.split())
            return command_help(about, width) if wants_help else _read(about, named[length:])
        group = tuple(named)
        if not any(known[: len(group)] == group for known in self._commands):
            raise self._unknown(named)
        if wants_help or not named:
            return self._group_help(group, width)
        following = ", ".join(self._following(group))
        raise _not_understood(f"{PROGRAM} {' '.join(named)} needs a command: {following}")

    def command(self, words: Sequence[str]) -> Description | None:
        """The command whose name some words begin with; None if there is none."""
        lengths = range(1, len(words) + 1)
        found = (self._descriptions.get(" ".join(words[:length])) for length in lengths)
        return next((about for about in found if about is not None), None)

    def _following(self, group: tuple[str, ...]) -> dict[str, None]:
        """The words that may follow some words."""
        place = len(group)
        return dict.fromkeys(
            known[place]
            for known in self._commands
            if len(known) > place and known[:place] == group
        )

    def _unknown(self, words: Sequence[str]) -> Refused:
        """The refusal of words that are no command, with the one that is near."""
        place = next(
            at for at in range(len(words)) if words[at] not in self._following(tuple(words[:at]))
        )
        known = list(self._following(tuple(words[:place])))
        near = get_close_matches(words[place], known, 1, NEAR)
        before = "".join(f"{word} " for word in (PROGRAM, *words[:place]))
        said = " ".join(words[: place + 1])
        if near:
            return _not_understood(f'"{said}" is not a command; try: {before}{near[0]}')
        return _not_understood(f'"{said}" is not a command; {before}--help lists the commands')

    def _group_help(self, group: tuple[str, ...], width: int) -> str:
        """The help of all commands that begin with some words."""
        usage = " ".join((PROGRAM, *group, "COMMAND …"))
        lines = [f"usage: {usage}", ""]
        if not group:
            lines += ["Run a command on an xmppd server on this machine.", ""]
        for word in self._following(group):
            name = (*group, word)
            about = self._commands.get(name)
            what = GROUPS.get(" ".join(name), OF_PLUGIN) if about is None else about.help
            lines += _explained(word if about is not None else f"{word} …", what, width)
        return "\n".join([*lines, "", *_options_help(width)])


def command_help(about: Description, width: int) -> str:
    """The help of a command."""
    lines = folded(f"usage: {PROGRAM} {usage(about)}", width)
    lines += ["", *folded(f"{about.help[:1].upper()}{about.help[1:]}.", width), ""]
    for name, what in options(about):
        lines += _explained(name, what, width)
    if about.arguments:
        lines.append("")
    return "\n".join([*lines, *_options_help(width)])


def usage(about: Description) -> str:
    """A command with its arguments, in one line."""
    return " ".join((about.name, *(_usage(each) for each in about.arguments)))


def options(about: Description) -> Iterator[tuple[str, str]]:
    """What a command may be told: each with what it is."""
    for argument in about.arguments:
        what = argument.help
        if argument.kind.choices:
            what = f"{what} ({', '.join(argument.kind.choices)})"
        if argument.secret:
            yield (
                STDIN,
                f"read the {argument.key} from standard input instead of asking for it",
            )
        elif isinstance(argument.kind, Document):
            yield "FILE", what
        elif not argument.name.startswith("--"):
            yield argument.name, what
        else:
            yield _with_value(argument), what


def _usage(argument: Argument) -> str:
    if argument.secret:
        return f"[{STDIN}]"
    more = " …" if argument.most > 1 else ""
    if argument.required:
        return f"{_called(argument)}{more}"
    if not argument.name.startswith("--"):
        return f"[{argument.name}]{more}"
    return f"[{_with_value(argument)}]{more}"


def _called(argument: Argument) -> str:
    """What stands for an argument in a usage."""
    return "FILE" if isinstance(argument.kind, Document) else argument.name


def _with_value(argument: Argument) -> str:
    """An option with the name of its value."""
    if isinstance(argument.kind, Flag):
        return argument.name
    return f"{argument.name} {argument.key.upper()}"


def _options_help(width: int) -> list[str]:
    lines = ["options of every command:"]
    for name, what in OWN_OPTIONS.items():
        lines += _explained(name, what, width)
    return lines


def _explained(name: str, what: str, width: int) -> list[str]:
    """A name and what it is, in lines."""
    margin = min(MARGIN, width // 2)
    first, *others = folded(what, max(width - margin, 10)) if what else [""]
    begin = f"  {name}"
    if len(begin) + 2 > margin:
        lines = [begin, f"{' ' * margin}{first}"]
    else:
        lines = [f"{begin:<{margin}}{first}".rstrip()]
    return [*lines, *(f"{' ' * margin}{line}" for line in others)]


def _read(about: Description, words: Sequence[str]) -> WantedCommand:
    """A command with the values that the words behind it say."""
    asked = WantedCommand(about)
    by_name = {each.name: each for each in about.arguments if each.name.startswith("--")}
    placed = list[str]()
    left = iter(words)
    for word in left:
        if word == "--":
            placed += left
        elif word.startswith("--"):
            _take_option(asked, by_name, word, left)
        else:
            placed.append(word)
    _place(asked, placed)
    secret = next((each for each in about.arguments if each.secret), None)
    is_wanted = secret is not None and (
        secret.required or (secret.unless and secret.unless not in asked.given)
    )
    if is_wanted or asked.from_stdin:
        asked.secret = secret
    return asked


def _take_option(
    asked: WantedCommand, by_name: Mapping[str, Argument], word: str, left: Iterator[str]
) -> None:
    """Take an option, with its value if it has one."""
    name, equals, value = word.partition("=")
    secret = next((each for each in asked.about.arguments if each.secret), None)
    if secret is not None and name in (STDIN, f"--{secret.key}-stdin") and not equals:
        asked.from_stdin = True
        return
    argument = by_name.get(name)
    if argument is None or argument.secret:
        near = get_close_matches(name, by_name, 1, NEAR)
        raise _not_understood(
            f"{asked.about.name} has no option {name}"
            + (f"; try {near[0]}" if near else f"; {PROGRAM} {asked.about.name} --help lists them")
        )
    if isinstance(argument.kind, Flag):
        if equals:
            raise _not_understood(f"{name} takes no value", argument.key)
        asked.given[argument.key] = True
        return
    if not equals:
        given = next(left, None)
        if given is None:
            raise _not_understood(f"{name} needs a value", argument.key)
        value = given
    if argument.most > 1:
        values = asked.given.setdefault(argument.key, [])
        assert isinstance(values, list)
        values.append(value)
    elif argument.key in asked.given:
        raise _not_understood(f"{name} may be given only once", argument.key)
    else:
        asked.given[argument.key] = value


def _place(asked: WantedCommand, placed: list[str]) -> None:
    """Give the words without a name to the arguments in their order; one that takes several gets
    what the others leave.
    """
    wanted = [each for each in asked.about.arguments if each.required and not each.secret]
    if len(placed) < len(wanted):
        missing = [_called(each) for each in wanted[len(placed) :]]
        raise _not_understood(
            f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing; "
            f"usage: {PROGRAM} {usage(asked.about)}",
            wanted[len(placed)].key,
        )
    spare = len(placed) - len(wanted)
    wanted += [each for each in asked.about.arguments if _may_follow(each)][:spare]
    spare = len(placed) - len(wanted)
    for argument in wanted:
        count = 1
        if argument.most > 1:
            count, spare = 1 + spare, 0
        values, placed = placed[:count], placed[count:]
        asked.given[argument.key] = values if argument.most > 1 else values[0]
    if placed:
        secret = next((each.key for each in asked.about.arguments if each.secret), None)
        raise _not_understood(
            f'unexpected argument "{placed[0]}"; usage: {PROGRAM} {usage(asked.about)}'
            if secret is None or "@" in placed[0]
            else f"do not give a {secret} on the command line, where others can see it; type the "
            f"{secret} when asked, or use {STDIN}"
        )


def _may_follow(argument: Argument) -> bool:
    """Whether an argument may stand behind all others, without its name, or be left out."""
    return argument.kind.optional and not argument.name.startswith("--")


def _not_understood(text: str, argument: str = "") -> Refused:
    return Refused(text, Condition.BAD_REQUEST, argument=argument)


__all__ = [
    "GROUPS",
    "OWN_OPTIONS",
    "PROGRAM",
    "STDIN",
    "CommandLine",
    "Given",
    "WantedCommand",
    "command_help",
    "options",
    "usage",
]
