"""ask: gives a command to a server of this machine, for programs in Python."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from xmppd.command.refused import Refused
from xmppd.ctl.client import Failed, NoServer, answers
from xmppd.ctl.printer import Line


def ask(
    path: Path, command: str, arguments: Mapping[str, str | bool | list[str]]
) -> Iterator[Line]:
    """Give a command to a server; returns its rows and sentences.

    Args:
        path: Its socket.
        command: Its name.
        arguments: Its values.

    Raises:
        NoServer: There is none.
        Refused: It refuses, or does not answer.
    """
    try:
        for answer in answers(str(path), {"command": command, "arguments": dict(arguments)}):
            if not answer.get("done"):
                yield answer["row"] if "row" in answer else answer["note"]
    except NoServer:
        raise
    except Failed as error:
        raise Refused(
            str(error), status=error.status, code=error.code, argument=error.argument
        ) from error


__all__ = ["NoServer", "ask"]
