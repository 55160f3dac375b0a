"""What a command is: its words, its arguments, what it needs, and what it does."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from xmppd.config.config import Config
from xmppd.config.config_file import ConfigError
from xmppd.ctl.protocol import Refused, Reply
from xmppd.host.machine import IReactor
from xmppd.net.listen_endpoint import ListenEndpoint, ListenError
from xmppd.plugin.plugin_manager import PluginError, PluginManager
from xmppd.server import XMPPServer
from xmppd.stanza import JID, StanzaError
from xmppd.store.base import AccountExists, NoSuchAccount, QuotaExceeded, StoreError
from xmppd.trace.trace import Trace

MAX_TEXT_LENGTH = 10_000
MAX_TEXTS = 1_000


class Running(Protocol):
    """What only a server that runs can do."""

    @property
    def endpoints(self) -> Sequence[ListenEndpoint]:
        """Where clients come in."""

    @property
    def plugins(self) -> PluginManager:
        """Its plugins."""

    def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration again.

        Returns:
            The keys that have changed and hold from now on; those that need a restart.

        Raises:
            ConfigError: It cannot be used; nothing has changed.
        """

    def stop(self) -> None:
        """Begin to stop."""


class CommandContext:
    """What a command finds on the context it works at.

    Attributes:
        path: The configuration file.
        config: What it said when it was read.
        reactor: Whose endpoints the file names.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        reactor: IReactor,
        server: XMPPServer | None = None,
        running: Running | None = None,
    ) -> None:
        self.path = path
        self.config = config
        self.reactor = reactor
        self._server = server
        self._running = running
        self._trace: Trace | None = None

    @property
    def server(self) -> XMPPServer:
        """The server; while it is down, one without doors over the same store."""
        if self._server is None:
            raise Refused("this needs the server's store")
        return self._server

    @property
    def trace(self) -> Trace:
        """Those who trace the server."""
        if self._trace is None:
            self._trace = Trace(self.server)
        return self._trace

    @property
    def running(self) -> Running:
        """The server's life."""
        if self._running is None:
            raise Refused("this needs a server that runs")
        return self._running


@dataclass(frozen=True)
class Argument:
    """What a command has to be told.

    Attributes:
        name: As on the command line: with two dashes it may be left out.
        help: For people.
        kind: ``text``; ``texts`` if it may be given more than once; ``flag``; or ``secret``, which
            is asked for and never stands on the command line.
        choices: The only values; empty for any.
    """

    name: str
    help: str
    kind: Literal["text", "texts", "flag", "secret"] = "text"
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in a request."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def required(self) -> bool:
        """Whether it may not be left out."""
        return not self.name.startswith("--")


class Arguments:
    """What a command was told, checked.

    Args:
        wanted: What it may be told.
        given: What it was told.

    Raises:
        Refused: Something is missing, unknown, too large, or of another kind.
    """

    def __init__(self, wanted: Sequence[Argument], given: Mapping[str, object]) -> None:
        known = {argument.key: argument for argument in wanted}
        for key in given:
            if key not in known:
                raise Refused(f"there is no argument {key}")
        for key, argument in known.items():
            if key in given:
                _check(argument, given[key])
            elif argument.required:
                raise Refused(f"{key} is missing")
        self._given = given

    def text(self, key: str, default: str = "") -> str:
        """A text, or the default if it was not given."""
        value = self._given.get(key, default)
        return value if isinstance(value, str) else default

    def number(self, key: str, default: int, most: int) -> int:
        """A whole number, or the default if it was not given.

        Raises:
            Refused: It is none, or not between 1 and the most it may be.
        """
        text = self.text(key, str(default))
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
            raise Refused(f"{key} is a number from 1 to {most}")
        return int(text)

    def texts(self, key: str) -> list[str]:
        """All texts that were given."""
        value = self._given.get(key, [])
        return value if isinstance(value, list) else []

    def flag(self, key: str) -> bool:
        """Whether the flag was set."""
        return self._given.get(key) is True

    def given(self, key: str) -> bool:
        """Whether there was such an argument."""
        return key in self._given


def _check(argument: Argument, value: object) -> None:
    key = argument.key
    if argument.kind == "flag":
        good = isinstance(value, bool)
    elif argument.kind == "texts":
        good = (
            isinstance(value, list)
            and len(value) <= MAX_TEXTS
            and all(isinstance(text, str) and len(text) <= MAX_TEXT_LENGTH for text in value)
        )
    else:
        good = isinstance(value, str) and len(value) <= MAX_TEXT_LENGTH
    if not good:
        raise Refused(f"{key} is of the wrong kind, or too long")
    if argument.choices and value not in argument.choices:
        raise Refused(f"{key} is one of {', '.join(argument.choices)}")


@dataclass(frozen=True)
class Command:
    """A command of xmppctl.

    Attributes:
        name: Its words, such as ``user add``.
        help: One line for people.
        run: Does it; a generator of replies.
        arguments: What it has to be told.
        needs: ``file``: the configuration only; ``store``: the store, with or without a server that
            runs; ``server``: one that runs.
        answers: ``table``: rows of a table; ``sentences``: each row has one in ``says``, for
            people; ``stream``: the same, but nobody knows when the next one comes.
    """

    name: str
    help: str
    run: Callable[[CommandContext, Arguments], AsyncGenerator[Reply, None]]
    arguments: tuple[Argument, ...] = ()
    needs: Literal["file", "store", "server"] = "store"
    answers: Literal["table", "sentences", "stream"] = "table"


async def replies(
    command: Command, context: CommandContext, given: Mapping[str, object]
) -> AsyncGenerator[Reply, None]:
    """Run a command; whoever asks closes what is returned, whatever happens.

    Raises:
        Refused: It cannot be done, for a reason that the administrator should know.
    """
    try:
        async with aclosing(command.run(context, Arguments(command.arguments, given))) as found:
            async for reply in found:
                yield reply
    except NoSuchAccount as error:
        raise Refused("there is no such account") from error
    except AccountExists as error:
        raise Refused("there is such an account already") from error
    except StanzaError as error:
        raise Refused(error.text or "it is refused") from error
    except (ConfigError, ListenError, PluginError, QuotaExceeded, StoreError) as error:
        raise Refused(str(error).rstrip(".")) from error


def account(context: CommandContext, text: str) -> JID:
    """The account that somebody means.

    Raises:
        Refused: It is none of ours.
    """
    jid = address(text if "@" in text else f"{text}@{context.server.domains[0]}")
    if jid.local is None or not jid.is_bare or jid.domain not in context.server.domains:
        raise Refused(f'"{text}" is no account of {", ".join(context.server.domains)}')
    return jid


def address(text: str) -> JID:
    """An address.

    Raises:
        Refused: It cannot be one.
    """
    try:
        return JID.parse(text)
    except ValueError as error:
        raise Refused(f'"{text}" is no address ({error})') from error


__all__ = [
    "Argument",
    "Arguments",
    "Command",
    "CommandContext",
    "Refused",
    "Reply",
    "Running",
    "account",
    "address",
    "replies",
]
