"""The description of all commands in OpenAPI 3.1, made from their table (CR-9)."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.json import schema_components

from xmppd.api.answers import EVENTS, MAX_ROWS, NDJSON
from xmppd.api.given import JSON
from xmppd.api.problem import PROBLEM
from xmppd.command.command import Command
from xmppd.command.reply import Row
from xmppd.host.version import version
from xmppd.web.request import REASONS

Schema = Mapping[str, Any]

REFUSALS = (400, 401, 403, 404, 409, 411, 413, 415, 429, 503)
_BEFORE_IT_IS_READ = 431
"""Of a request that is too large to see which command it names: the answer is plain text."""

_OF_BODIES = (409, 411, 413, 415)

_PROBLEM: Schema = {
    "type": "object",
    "description": "Why something is refused (RFC 9457).",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "The sentence that xmppctl prints."},
        "argument": {"type": "string", "description": "The argument that is wrong."},
        "scope": {"type": "string", "description": "The scope that the key lacks."},
    },
}

_REQUEST_NAME: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Your name for this request: the server runs it once, and answers a second one with a "
        "conflict."
    ),
    "schema": {"type": "string", "maxLength": 200},
}


_PREFER: Schema = {
    "name": "Prefer",
    "in": "header",
    "description": "With `respond-async` the command runs as a job in the background.",
    "schema": {"type": "string"},
}

_JOB: Schema = {
    "description": "The command has started; the header Location says where to read its answer.",
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["job"],
                "properties": {"job": {"type": "string"}},
            }
        }
    },
}


def document(commands: Iterable[Command], root: str) -> Schema:
    """The description.

    Args:
        commands: All there are.
        root: The path above them.
    """
    known = sorted(commands, key=lambda command: command.name)
    kinds = {kind for command in known for kind in command.rows}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    references, schemas = schema_components(ordered, ref_template="#/components/schemas/{name}")
    rows = dict(zip(ordered, references, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "xmppd",
            "version": version(),
            "description": "The commands of this server, as xmppctl has them.",
        },
        "servers": [{"url": root}],
        "paths": {f"/{command.name.replace(' ', '/')}": _path(command, rows) for command in known},
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "responses": {
                **{str(status): _refusal(status) for status in REFUSALS},
                str(_BEFORE_IT_IS_READ): {
                    "description": REASONS[_BEFORE_IT_IS_READ],
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                },
            },
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key that `xmppctl key add` has created.",
                }
            },
        },
    }


def _path(command: Command, rows: Mapping[type[Row], Schema]) -> Schema:
    about = command.about
    hidden = any(each.hidden for each in about.arguments)
    found = {"post": _operation(command, rows, "post")}
    if about.effect == "reads" and not hidden:
        found["get"] = _operation(command, rows, "get")
    return found


def _operation(command: Command, rows: Mapping[type[Row], Schema], method: str) -> dict[str, Any]:
    about = command.about
    words = about.name.replace(" ", "_").replace("-", "_")
    operation: dict[str, Any] = {
        "operationId": f"{words}_{method}",
        "summary": about.help,
        "tags": [about.name.partition(" ")[0]],
        "security": [{"key": [about.scope]}],
        "x-effect": about.effect,
        "responses": _responses(command, rows, method),
    }
    if method == "get":
        operation["parameters"] = [
            {
                "name": argument.key,
                "in": "query",
                "required": argument.required,
                "schema": argument.schema,
            }
            for argument in about.arguments
        ]
        return operation
    operation["requestBody"] = {
        "required": any(argument.required for argument in about.arguments),
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "properties": {each.key: each.schema for each in about.arguments},
                    "required": [each.key for each in about.arguments if each.required],
                    "additionalProperties": False,
                }
            }
        },
    }
    operation["parameters"] = [_REQUEST_NAME, _PREFER] if about.effect != "reads" else [_PREFER]
    return operation


def _responses(command: Command, rows: Mapping[type[Row], Schema], method: str) -> Schema:
    refusals = [status for status in REFUSALS if method == "post" or status not in _OF_BODIES]
    refusals.append(_BEFORE_IT_IS_READ)
    return {
        "200": {"description": "The command is done.", "content": _content(command, rows)},
        **({"202": _JOB} if method == "post" else {}),
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in refusals},
    }


def _content(command: Command, rows: Mapping[type[Row], Schema]) -> Schema:
    by_line = {"schema": {"type": "string"}}
    if command.about.answers == "stream":
        return {NDJSON: by_line, EVENTS: by_line}
    kinds = [_of_node(rows[kind]) if command.about.asks == "all" else rows[kind]
             for kind in command.rows]  # fmt: skip
    items: Schema = {"anyOf": kinds} if kinds else {"not": {}}
    answer = {
        "type": "object",
        "required": ["rows", "notes"],
        "properties": {
            "rows": {"type": "array", "items": items, "maxItems": MAX_ROWS},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    }
    content: dict[str, Any] = {JSON: {"schema": answer}}
    if command.about.effect == "reads":
        content[NDJSON] = by_line
    return content


def _of_node(row: Schema) -> Schema:
    """A row that says, where there are several nodes, which of them has it."""
    return {"allOf": [row, {"properties": {"node": {"type": "string"}}}]}


def _refusal(status: int) -> Schema:
    return {
        "description": REASONS[status],
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


__all__ = ["REFUSALS", "document"]
