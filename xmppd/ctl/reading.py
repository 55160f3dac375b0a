"""reading: what is done about the words of a command line, by whoever reads them."""

from collections.abc import Mapping
from pathlib import Path

from xmppd.command.command import Description
from xmppd.command.kinds import Document, FileName
from xmppd.ctl.command_line import CommandLine, Given, WantedCommand
from xmppd.ctl.protocol import MAX_WIDTH, MIN_WIDTH, Answer, ControlRequest


def read(
    request: ControlRequest, descriptions: Mapping[str, Description]
) -> Answer | WantedCommand:
    """A command with its values, which lacks at most its secret; or the answer to a request that
    asks for no command yet.

    Args:
        request: It has words.
        descriptions: Of all commands that there are, by their names.

    Raises:
        Refused: It is not understood.
    """
    width = min(max(request.width, MIN_WIDTH), MAX_WIDTH)
    asked = CommandLine(descriptions).read(request.words or (), width)
    if isinstance(asked, str):
        return Answer(request.id, help=asked)
    for argument in asked.about.arguments:
        named = asked.given.get(argument.key)
        if isinstance(argument.kind, FileName) and isinstance(named, str):
            asked.given[argument.key] = str(Path(request.directory) / named)
        elif isinstance(argument.kind, Document) and isinstance(named, str):
            if request.document is None:
                return Answer(request.id, document=named)
            asked.given[argument.key] = request.document
    if asked.secret is not None and request.secret is not None:
        given: Given = {**asked.given, asked.secret.key: request.secret}
        return WantedCommand(asked.about, given)
    return asked


def ask_secret(request: ControlRequest, asked: WantedCommand) -> Answer:
    """The answer that has somebody type what a command lacks, which is good otherwise."""
    assert asked.secret is not None
    return Answer(request.id, secret=asked.secret.key, from_stdin=asked.from_stdin)


__all__ = ["ask_secret", "read"]
