"""The protocol of xmppctl's socket: a JSON object a line, each with the id of its request.

A request is ``{"id": 1, "command": "user list", "arguments": {}}``. Its answers are any number of
``{"id": 1, "row": {…}}`` and ``{"id": 1, "note": "…"}``, and at the end either
``{"id": 1, "done": true}`` or ``{"id": 1, "error": "…"}``.

With ``"describe": true`` nothing is done: each command that begins with these words is described
instead, as ``{"id": 1, "description": {…}}``.
"""

from typing import TypeAlias

from msgspec import Struct, field

from xmppd.command.command import Description
from xmppd.command.reply import Reply, columns_of

MAX_REQUEST_BYTES = 1_048_576
MAX_ANSWER_BYTES = 8_388_608

Shown: TypeAlias = str | int | float | bool | list[str] | None
Line: TypeAlias = dict[str, Shown] | str
"""A row as it arrives, by column; or a sentence."""


class ControlRequest(Struct, forbid_unknown_fields=True):
    """A command with its arguments."""

    command: str
    id: int = 0
    arguments: dict[str, str | bool | list[str]] = field(default_factory=dict)
    describe: bool = False


class Answer(Struct, omit_defaults=True):
    """One line of an answer."""

    id: int
    row: dict[str, Shown] | None = None
    note: str | None = None
    description: Description | None = None
    error: str | None = None
    status: int = 1
    done: bool = False


def line_of(reply: Reply) -> Line:
    """A reply as a line of the answer."""
    if isinstance(reply, str):
        return reply
    return columns_of(reply)
