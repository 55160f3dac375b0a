"""xmppctl's side of the socket: sends a request, and reads the answers.

It is loaded for each command, so it needs the standard library's core only, and knows no command.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from xmppd.command.exit_status import NO_SERVER, REFUSED

ANSWER_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 8_388_608


class Failed(Exception):
    """An error: a command was refused, or could not be given; the text is a sentence.

    Args:
        text: Without a full stop.
        code: The same in a word.
        status: With which xmppctl ends.
        argument: The argument that is wrong; empty if it is none.
    """

    def __init__(
        self, text: str, code: str = "", status: int = REFUSED, argument: str = ""
    ) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.argument = argument


def named(directory: str) -> str:
    """A data directory, in words, which say so if it does not exist."""
    try:
        os.stat(directory)  # noqa: PTH116  # pathlib takes time to import
    except FileNotFoundError:
        return f"the data directory {directory} does not exist"
    except OSError:  # nobody may look
        pass
    return f"data directory {directory}"


class NoServer(Failed):
    """An error: no server listens on the socket.

    Args:
        path: The socket.
    """

    def __init__(self, path: str) -> None:
        directory = path.rpartition("/")[0] or "."
        super().__init__(f"no server is running ({named(directory)})", "no-server", NO_SERVER)


def answers(
    path: str, request: Mapping[str, object], *, timeout_s: float | None = ANSWER_TIMEOUT_S
) -> Iterator[dict[str, Any]]:
    """Send a request to a server; returns the lines of its answer.

    Args:
        path: Its socket.
        request: As the protocol has it.
        timeout_s: The time that the next line may take; None for no limit.

    Raises:
        NoServer: There is none.
        Failed: It refuses, or does not answer.
    """
    with _connected(path, timeout_s) as connection, connection.makefile("rb") as lines:
        try:
            connection.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            while True:
                answer = json.loads(lines.readline(MAX_ANSWER_BYTES))
                if "error" in answer:
                    raise Failed(
                        answer["error"],
                        answer.get("code", ""),
                        answer.get("status", REFUSED),
                        answer.get("argument", ""),
                    )
                if answer.get("head", {}).get("answers") == "stream":
                    connection.settimeout(None)
                if answer.get("done") and request.get("words") == ["stop"]:
                    lines.readline(1)  # comes when the process ends
                yield answer
                if answer.get("done"):
                    return
        except TimeoutError as error:
            raise Failed(
                f"the server did not answer within {timeout_s:.0f} s", "timeout"
            ) from error
        except (OSError, ValueError) as error:
            raise Failed("the server closed the connection before it answered", "gone") from error


def _connected(path: str, timeout_s: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        connection.close()
        raise NoServer(path) from error
    except PermissionError as error:
        connection.close()
        raise Failed(
            f"{path} belongs to another user; run xmppctl as the server's user, or as root",
            "forbidden",
        ) from error
    except OSError as error:
        connection.close()
        raise Failed(f"{path} cannot be reached ({error.strerror or error})", "gone") from error
    return connection


__all__ = ["ANSWER_TIMEOUT_S", "MAX_ANSWER_BYTES", "Failed", "NoServer", "answers", "named"]
