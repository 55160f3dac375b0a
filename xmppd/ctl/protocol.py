"""The protocol of xmppctl's socket: a JSON object a line, each with the id of its request.

A request is ``{"id": 1, "command": "user list", "arguments": {}}``. Its answers are any number of
``{"id": 1, "row": {…}}`` and ``{"id": 1, "note": "…"}``, and at the end either
``{"id": 1, "done": true}`` or ``{"id": 1, "error": "…", "code": "…", "status": 1}``.

xmppctl itself knows no command. It sends the words of its command line, ``{"id": 1, "words":
["user", "list"]}``, and the server reads them. Before the rows it says what they are (``"head"``).
It may also answer with the text of a ``"help"``; that a ``"secret"`` is needed, whereupon the
request is sent again with that; or that the command is done ``"elsewhere"``: without a server. With
``"complete": true`` nothing is done: each note is a word that may stand in the place of the last
one.
"""

from collections.abc import Iterable

from msgspec import Struct, field

from xmppd.command.command import STATES, Description
from xmppd.command.reply import Reply, Row, columns_of
from xmppd.ctl.printer import Line, Shown

MAX_REQUEST_BYTES = 1_048_576

MIN_WIDTH, MAX_WIDTH = 20, 10_000
USUAL_WIDTH = 80


class ControlRequest(Struct, forbid_unknown_fields=True):
    """A command with its arguments, or the words of a command line.

    Attributes:
        id: Of the request; each of its answers has it.
        command: Its name, if it is not named by words.
        arguments: Its values.
        words: Of the command line, without the options that are xmppctl's own.
        secret: What somebody was asked for.
        document: What is in the file that was asked for.
        directory: Where the words were written; names of files are as seen from there.
        width: Cells of a line of help.
        complete: Whether only the last word is to be completed.
    """

    command: str = ""
    id: int = 0
    arguments: dict[str, str | bool | list[str]] = field(default_factory=dict)
    words: list[str] | None = None
    secret: str | None = None
    document: str | None = None
    directory: str = ""
    width: int = USUAL_WIDTH
    complete: bool = False


class AnswerHead(Struct, omit_defaults=True):
    """What the rows of an answer are.

    Attributes:
        answers: As in a command's description.
        least: Columns that a narrow terminal leaves out, the least important first.
        empty: What an answer without rows says.
    """

    answers: str
    least: tuple[str, ...] = ()
    empty: str = ""


class Answer(Struct, omit_defaults=True):
    """One line of an answer.

    Attributes:
        id: Of the request.
        row: A row, by column.
        note: A sentence.
        head: What the rows are.
        help: A text as it is to be printed.
        secret: The name of what has to be asked for.
        document: The name of a file, of which the text is wanted.
        from_stdin: Whether the secret is read from standard input.
        elsewhere: Whether it is done without a server.
        error: Why it was refused.
        code: The same in a word.
        argument: The argument that is wrong.
        status: With which xmppctl ends.
        done: Whether this is the last line.
    """

    id: int
    row: dict[str, Shown] | None = None
    note: str | None = None
    head: AnswerHead | None = None
    help: str | None = None
    secret: str | None = None
    document: str | None = None
    from_stdin: bool = False
    elsewhere: bool = False
    error: str | None = None
    code: str = ""
    argument: str = ""
    status: int = 0
    done: bool = False


def line_of(reply: Reply) -> Line:
    """A reply as a line of the answer."""
    if isinstance(reply, str):
        return reply
    return columns_of(reply)


def head_of(about: Description, rows: Iterable[type[Row]]) -> AnswerHead:
    """What the answer of a command is, with rows of these classes."""
    least = dict.fromkeys(name for row in rows for name in row.least)
    return AnswerHead(about.answers, tuple(least), about.empty)


def badness(about: Description, line: Line) -> int:
    """The place among :data:`STATES` of what a row says of a server; 0 if it says nothing."""
    state = "" if isinstance(line, str) else line.get(about.ends_by)
    return STATES.index(str(state)) if state in STATES else 0


__all__ = [
    "MAX_REQUEST_BYTES",
    "MAX_WIDTH",
    "MIN_WIDTH",
    "USUAL_WIDTH",
    "Answer",
    "AnswerHead",
    "ControlRequest",
    "Line",
    "Shown",
    "badness",
    "head_of",
    "line_of",
]
