"""What goes over xmppctl's socket: a JSON object a line, each with the id of its request.

A request is ``{"id": 1, "command": "user list", "arguments": {}}``. Its answers are any number of
``{"id": 1, "row": {…}}`` and ``{"id": 1, "note": "…"}``, and at the end either
``{"id": 1, "done": true}`` or ``{"id": 1, "error": "…"}``.
"""

from msgspec import Struct, field

MAX_REQUEST_BYTES = 1_048_576
MAX_ANSWER_BYTES = 8_388_608

Value = str | int | float | bool | list[str] | None
Row = dict[str, Value]
Reply = Row | str
"""A row of a table, or a sentence that says what was done."""


class Refused(Exception):
    """A command cannot be done; the text is one sentence for whoever gave it."""


class ControlRequest(Struct, forbid_unknown_fields=True):
    """A command with what it was told."""

    command: str
    id: int = 0
    arguments: dict[str, str | bool | list[str]] = field(default_factory=dict)


class Answer(Struct, omit_defaults=True):
    """One line of what comes back."""

    id: int
    row: Row | None = None
    note: str | None = None
    error: str | None = None
    done: bool = False


__all__ = [
    "MAX_ANSWER_BYTES",
    "MAX_REQUEST_BYTES",
    "Answer",
    "ControlRequest",
    "Refused",
    "Reply",
    "Row",
    "Value",
]
