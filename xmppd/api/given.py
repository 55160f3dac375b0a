"""Given: the values of a command's arguments, as a query or a body has them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from msgspec import DecodeError, ValidationError, json

from xmppd.api.problem import Problem
from xmppd.command.argument import MANY, Argument
from xmppd.command.command import Description
from xmppd.stanza.text import find_unwritable
from xmppd.web.request import HTTPError, HTTPRequest

JSON = "application/json"
MAX_BODY_BYTES = 1_048_576
"""Of a command; ``web.max_body_bytes`` if that is less."""

_object = json.Decoder(dict[str, object])


def of_query(about: Description, query: str) -> Mapping[str, object]:
    """The values in the query of a URL.

    Raises:
        Refused: One is not of its kind.
        Problem: It is no query.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=2 * MANY)
    except ValueError as error:
        raise Problem(400, f"The query is malformed ({error}).") from error
    texts: dict[str, list[str]] = {}
    for name, value in pairs:
        texts.setdefault(name, []).append(value)
    for name, values in texts.items():
        for value in values:
            _check_text(name, value)
    several = {argument.key for argument in about.arguments if argument.most > 1}
    for name, values in texts.items():
        if len(values) > 1 and name not in several:
            raise Problem(400, f"{name} may be given only once.", name)
    return {name: values if name in several else values[0] for name, values in texts.items()}


async def of_body(about: Description, request: HTTPRequest, max_bytes: int) -> Mapping[str, object]:
    """The values in the body of a request, each of the JSON type of its kind.

    Raises:
        Refused: One is not of its kind.
        HTTPError: The body is too large, or no object of JSON.
    """
    if request.query:
        raise Problem(400, "Put the arguments of a POST in its body, not in its URL.")
    body = await _read(request, min(max_bytes, MAX_BODY_BYTES))
    if not body:
        return {}
    if request.header("content-type").partition(";")[0].strip().lower() != JSON:
        raise Problem(415, f"The body must be a JSON object, with Content-Type: {JSON}.")
    try:
        given = _object.decode(body)
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not a JSON object ({error}).") from error
    known = {argument.key: argument for argument in about.arguments}
    return {
        key: _value(known[key], value) if key in known else value for key, value in given.items()
    }


def _value(argument: Argument, value: object) -> object:
    if argument.most == 1:
        return _one(argument, value)
    if not isinstance(value, list):
        raise Problem(400, f"{argument.key} must be a list.", argument.key)
    return [_one(argument, each) for each in value]


def _one(argument: Argument, value: object) -> object:
    taken = argument.kind.of_json(argument.key, value)
    if isinstance(taken, str):
        _check_text(argument.key, taken)
    return taken


def _check_text(key: str, text: str) -> None:
    """Let pass what a form could have, and a terminal: no database takes a NUL."""
    if not text.isprintable() and find_unwritable(text):
        raise Problem(400, f"{key} has invalid characters.", key)


async def _read(request: HTTPRequest, most: int) -> bytes:
    if request.stream.length is not None and request.stream.length > most:
        raise _too_large(most)
    body = bytearray()
    async for piece in request.stream:
        body += piece
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def _too_large(most: int) -> HTTPError:
    return Problem(413, f"The body is larger than {most} bytes.")


__all__ = ["JSON", "MAX_BODY_BYTES", "of_body", "of_query"]
