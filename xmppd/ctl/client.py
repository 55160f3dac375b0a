"""xmppctl's side of the socket: sends a command, and reads the answers."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import DecodeError, json

from xmppd.command.command import Description
from xmppd.command.refused import Refused
from xmppd.ctl.protocol import MAX_ANSWER_BYTES, Answer, ControlRequest, Line

ANSWER_TIMEOUT_S = 60.0
DESCRIPTION_TIMEOUT_S = 5.0
"""Of a server that takes longer the commands are known as well."""


class NoServer(Exception):
    """An error: no server listens on the socket."""


def ask(
    path: Path,
    command: str,
    arguments: Mapping[str, str | bool | list[str]],
    *,
    timeout_s: float | None = ANSWER_TIMEOUT_S,
) -> Iterator[Line]:
    """Give a command to a server.

    Args:
        path: Its socket.
        command: Its name.
        arguments: Its values.
        timeout_s: The time that the next line may take; None for no limit.

    Raises:
        NoServer: There is none.
        Refused: It refuses, or does not answer.
    """
    for answer in _answers(path, ControlRequest(command, 1, dict(arguments)), timeout_s):
        yield answer.row if answer.row is not None else answer.note or ""


def describe(path: Path, words: str) -> list[Description]:
    """The descriptions of a server's commands that begin with these words.

    Raises:
        NoServer: There is none.
        Refused: It does not answer.
    """
    request = ControlRequest(words, 1, describe=True)
    answers = _answers(path, request, DESCRIPTION_TIMEOUT_S)
    return [answer.description for answer in answers if answer.description is not None]


def _answers(path: Path, request: ControlRequest, timeout_s: float | None) -> Iterator[Answer]:
    """All answers but the last one, which ends them."""
    with _connected(path, timeout_s) as connection, connection.makefile("rb") as lines:
        try:
            connection.sendall(json.encode(request) + b"\n")
            while True:
                line = lines.readline(MAX_ANSWER_BYTES)
                answer = json.decode(line, type=Answer)
                if answer.error is not None:
                    raise Refused(answer.error, status=answer.status)
                if answer.done:
                    break
                yield answer
            if request.command == "stop" and not request.describe:
                lines.readline(1)  # comes when the process ends
        except TimeoutError as error:
            raise Refused(f"the server did not answer within {timeout_s:.0f} s") from error
        except (OSError, DecodeError) as error:
            raise Refused("the server went away before it had answered") from error


def _connected(path: Path, timeout_s: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        connection.close()
        raise NoServer from error
    except OSError as error:
        connection.close()
        raise Refused(f"{path} cannot be reached ({error.strerror or error})") from error
    return connection
