"""The console script ``xmppctl``.

It knows no command: a server that runs reads the words of the command line, and answers. What that
takes is loaded each time, so it is little: no argparse, no pathlib, nothing of Twisted, nothing of
the server. Only when no server runs, or none is needed, xmppctl loads all of it and does the
command itself.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from typing import Any

from xmppd.command.exit_status import NOT_UNDERSTOOD, REFUSED
from xmppd.ctl.client import Failed, NoServer, answers
from xmppd.ctl.printer import (
    AnyPrinter,
    Paper,
    Shape,
    UnknownColumn,
    folded_lines,
    json_text,
    printer,
    utc_now,
)

CONFIG_FILES = ("run/xmppd.toml", "/etc/xmppd/xmppd.toml")
SOCKET = "xmppctl.sock"
MAX_PASSWORD_BYTES = 10_000
USUAL_WIDTH = 80
MIN_WIDTH = 20

COMPLETE = "--complete"
"""The option by which the completions of shells ask for words; those of the line follow."""

COMP_LINE = "COMP_LINE"
BASH_SAYS = 4
"""The words with which bash asks what a word may be (``complete -C xmppctl xmppctl``)."""

_VALUED = ("--config", "--data", "--columns")
_PLAIN = ("--json", "--wide", "--version")
_HELP = ("--help", "-h")

Take = Callable[[Mapping[str, Any]], None]


class NotTOML(Failed):
    """An error: a configuration is not TOML; whoever says how it is written right is asked."""


class Typed:
    """A command line, and the options in it that are xmppctl's own.

    Args:
        words: All of it.

    Attributes:
        words: What is left for whoever does the command.
        options: The options that were taken out, with their values.
        completes: Whether the last word is to be completed.

    Raises:
        Failed: One of them lacks its value.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words: list[str] = []
        self.options: dict[str, str] = {}
        self.completes = words[:1] == [COMPLETE]
        if self.completes:
            self._read(words[1:-1])
            self.words += words[-1:]
        else:
            self._read(words)

    def _read(self, words: Sequence[str]) -> None:
        left = iter(words)
        for word in left:
            name, equals, value = word.partition("=")
            if word == "--":
                self.words += [word, *left]
            elif word in _PLAIN:
                self.options[word] = ""
            elif name in _VALUED:
                given = value if equals else next(left, None)
                if given is None:
                    raise Failed(f"{name} needs a value", "bad-request", NOT_UNDERSTOOD)
                self.options[name] = given
            else:
                self.words.append(word)

    @property
    def json(self) -> bool:
        """Whether programs read the answer."""
        return "--json" in self.options

    @property
    def data(self) -> str:
        """The data directory that is named; empty if none is."""
        return self.options.get("--data", "")

    @property
    def config(self) -> str:
        """The configuration file, named or found."""
        named = self.options.get("--config")
        return named or next((path for path in CONFIG_FILES if _exists(path)), CONFIG_FILES[-1])

    @property
    def columns(self) -> list[str]:
        """The columns that are wanted; empty for all that have room."""
        return [name for name in self.options.get("--columns", "").split(",") if name]

    @property
    def wants_help(self) -> bool:
        """Whether it only asks what there is: that is told to everybody."""
        words = self.words
        return self.completes or words[:1] in ([], ["help"]) or any(word in _HELP for word in words)

    def socket(self) -> str:
        """The socket of the server.

        Raises:
            Failed: The configuration does not tell.
        """
        return f"{self.data or data_directory(self.config)}/{SOCKET}"


def main() -> None:
    """Do the command of the command line; ends with a status (:mod:`xmppd.command.exit_status`)."""
    line = None
    try:
        line = _typed(sys.argv)
        if "--version" in line.options:
            from xmppd.host.version import version

            sys.stdout.write(f"xmppctl {version()}\n")
            return
        if isinstance(sys.stdout, TextIOWrapper):
            # Characters that the terminal cannot show are spelled out.
            sys.stdout.reconfigure(errors="backslashreplace")
        status = Dialogue(line).hold()
        sys.stdout.flush()
    except Failed as error:
        _say(error, json="--json" in sys.argv if line is None else line.json)
        status = error.status
    except BrokenPipeError:
        # Whoever read the answer has gone; Python would say so once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = REFUSED
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _typed(argv: Sequence[str]) -> Typed:
    """The line that was typed, or that bash asks about."""
    if COMP_LINE in os.environ and len(argv) == BASH_SAYS:
        text = os.environ[COMP_LINE][: int(os.environ.get("COMP_POINT", "0")) or None]
        return Typed([COMPLETE, *words_of(text)])
    return Typed(argv[1:])


class Dialogue:
    """One command: what is asked, and what is printed of the answer.

    Args:
        line: The command line.
    """

    def __init__(self, line: Typed) -> None:
        self._line = line
        self._printer: AnyPrinter | None = None
        self._secret = ""
        self._document: str | None = None
        self._from_stdin = self._elsewhere = False
        self._status = 0

    def hold(self) -> int:
        """Do the command; returns the status to end with.

        Raises:
            Failed: It was refused, or could not be given.
        """
        line = self._line
        for word in line.words:
            if not _is_unicode(word):
                raise Failed(
                    f"{word} is not valid UTF-8; check the terminal's encoding",
                    "bad-request",
                    NOT_UNDERSTOOD,
                )
        request = self._request()
        try:
            self._ask(request)
            if self._document is not None:
                request["document"] = text_in(self._document)
                self._ask(request)
            if self._secret:
                request["secret"] = secret(self._secret, from_stdin=self._from_stdin)
                self._secret = ""
                self._ask(request)
            if self._printer is not None:
                self._printer.finish()
        except UnknownColumn as error:
            raise Failed(str(error), "bad-request", NOT_UNDERSTOOD) from error
        except Failed:
            if self._printer is not None:
                self._printer.finish(broken_off=True)
            raise
        return self._status

    def _request(self) -> dict[str, Any]:
        line = self._line
        if line.completes:
            return {"words": line.words, "complete": True}
        words = line.words or ["--help"]
        return {"words": words, "width": terminal_width(), "directory": _directory()}

    def _ask(self, request: dict[str, Any]) -> None:
        """Have a server answer, or answer here if there is none, or none does this command."""
        try:
            if not self._elsewhere:
                for answer in answers(self._line.socket(), request):
                    self._take(answer)
                if not self._elsewhere:
                    return
        except (NoServer, NotTOML):
            self._elsewhere = True
        except Failed as error:
            at_work = error.code not in ("no-config", "config", "forbidden")
            if at_work or not (self._line.wants_help or error.code == "no-config"):
                raise
            self._elsewhere = True
        answered_here(self._line, request, self._take)

    def _take(self, answer: Mapping[str, Any]) -> None:
        if "row" in answer or "note" in answer:
            self._paper().take(answer["row"] if "row" in answer else answer["note"])
        elif "head" in answer:
            self._begin(answer["head"])
        elif "help" in answer:
            sys.stdout.write(f"{answer['help']}\n")
        elif "secret" in answer:
            self._secret, self._from_stdin = answer["secret"], answer.get("from_stdin", False)
        elif "document" in answer:
            self._document = answer["document"]
        elif "elsewhere" in answer:
            self._elsewhere = True
        else:
            self._status = answer.get("status", 0)

    def _begin(self, head: Mapping[str, Any]) -> None:
        line = self._line
        if isinstance(sys.stdout, TextIOWrapper):
            if head["answers"] == "stream":
                sys.stdout.reconfigure(line_buffering=True)  # whole lines, also into a pipe
            elif head["answers"] == "document" and not sys.stdout.isatty():
                sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        width = None if "--wide" in line.options else terminal_width()
        paper = Paper(sys.stdout, sys.stderr, width, line.columns, utc_now())
        shape = Shape(head["answers"], head.get("least", ()), head.get("empty", ""))
        self._printer = printer(paper, shape, json=line.json)

    def _paper(self) -> "AnyPrinter | _Words":
        return self._printer or _Words()


class _Words:
    """Prints the words of a completion."""

    def take(self, reply: object) -> None:
        sys.stdout.write(f"{reply}\n")


def answered_here(line: Typed, request: Mapping[str, Any], take: Take) -> None:
    """Answer a request without a server, by all that a server has.

    Raises:
        Failed: It was refused.
    """
    from pathlib import Path

    from msgspec import convert, to_builtins

    from xmppd.command.refused import Refused
    from xmppd.config.table import ConfigError
    from xmppd.ctl import offline
    from xmppd.ctl.protocol import Answer, ControlRequest

    def built(answer: Answer) -> None:
        take(to_builtins(answer))

    try:
        path = Path(absolute(line.config))
        offline.answer(path, convert(dict(request), ControlRequest), built, data=line.data)
    except ConfigError as error:
        code = "config" if _exists(line.config) else "no-config"
        raise Failed(str(error).rstrip("."), code) from error
    except Refused as error:
        raise Failed(str(error), error.code, error.status, error.argument) from error


# --- what it stands on -------------------------------------------------------------------------


def data_directory(config: str) -> str:
    """The data directory that a configuration names; all else in it is the server's to judge.

    Raises:
        Failed: It cannot be read.
    """
    import tomllib

    try:
        with open(config, "rb") as file:
            data = tomllib.load(file).get("data", "data")
    except FileNotFoundError as error:
        raise Failed(
            f"{config} does not exist; run `xmppd setup` to write one, or name another file with "
            "--config",
            "no-config",
        ) from error
    except IsADirectoryError as error:
        raise Failed(f"{config} is a directory; name the file in it", "config") from error
    except OSError as error:
        raise Failed(
            f"{config} cannot be read ({error.strerror}); run xmppctl as root, or as the "
            "server's user",
            "config",
        ) from error
    except ValueError as error:
        raise NotTOML(f"{config} is not valid TOML ({error})", "config") from error
    return os.path.join(os.path.dirname(absolute(config)), str(data))


def absolute(path: str) -> str:
    """The path from the root; also in a directory that is gone, if it does not depend on that.

    Raises:
        Failed: It does.
    """
    if os.path.isabs(path):
        return path
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise Failed(
            f"{path} cannot be found, because the current directory no longer exists; change to "
            "another one",
            "config",
        ) from error


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except OSError:
        return False


def _directory() -> str:
    """Where the words are written; empty in a directory that is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def text_in(path: str) -> str:
    """What is in a file.

    Raises:
        Failed: It cannot be read, or is not UTF-8.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError as error:
        raise Failed(f"{path} does not exist", "bad-request", NOT_UNDERSTOOD) from error
    except (OSError, ValueError) as error:
        raise Failed(f"{path} cannot be read ({error})", "bad-request", NOT_UNDERSTOOD) from error


def secret(name: str, *, from_stdin: bool) -> str:
    """A secret, as somebody types it twice, or as a program writes it on a line.

    Raises:
        Failed: There is no terminal to ask, or it is not UTF-8.
    """
    if from_stdin:
        text = sys.stdin.buffer.readline(MAX_PASSWORD_BYTES)
        typed = text.decode("utf-8", "surrogateescape").rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise Failed(
            f"cannot ask for the {name} without a terminal; use --stdin",
            "bad-request",
            NOT_UNDERSTOOD,
            name,
        )
    else:
        import getpass

        typed = getpass.getpass(f"{name.capitalize()}: ")
        if getpass.getpass("Again: ") != typed:
            raise Failed("the two entries differ", "bad-request", NOT_UNDERSTOOD, name)
    if not _is_unicode(typed):
        raise Failed(
            f"the {name} is not valid UTF-8; check the terminal's encoding",
            "bad-request",
            NOT_UNDERSTOOD,
            name,
        )
    return typed


def terminal_width() -> int:
    """The cells of a line of the terminal; as usual without one."""
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return max(width, MIN_WIDTH) if width else USUAL_WIDTH


def words_of(line: str) -> list[str]:
    """The words of a line behind the program's name; the last one is being written, and may be
    empty.
    """
    import shlex

    reader = shlex.shlex(line, posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.commenters = True, ""
    words = []
    try:
        words += list(reader)
    except ValueError:
        words += line.split()  # a quotation that is not closed
    if not line or line[-1].isspace():
        words.append("")
    return words[1:]


def _is_unicode(text: str) -> bool:
    """Whether all of it is UTF-8; Python keeps other bytes as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _say(error: Failed, *, json: bool) -> None:
    """Say on standard error what went wrong."""
    if json:
        said = {"error": str(error), "code": error.code}
        text = json_text(said | ({"argument": error.argument} if error.argument else {}))
        sys.stderr.write(f"{text}\n")
        return
    width = terminal_width() if sys.stderr.isatty() else None
    sentence, _, below = str(error).partition("\n")
    for part in [f"xmppctl: {sentence.rstrip('.')}.", *below.splitlines()]:
        is_code = part.startswith(" ")  # and carets below it
        for line in folded_lines(part, None if is_code else width):
            sys.stderr.write(f"{line}\n")
