"""Commands while the server is down: one without listeners is made over the same store."""

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing, suppress
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from xmppd.cluster.lease_board import BoardAway
from xmppd.command.argument import Arguments
from xmppd.command.command import Description
from xmppd.command.command_context import SHELL
from xmppd.command.command_table import CommandTable
from xmppd.command.exit_status import NO_SERVER
from xmppd.command.kinds import Surface
from xmppd.command.refused import Refused
from xmppd.command.roles import Roles
from xmppd.config import config_file
from xmppd.config.config import Config
from xmppd.config.permissions import PRIVATE
from xmppd.config.table import ConfigError
from xmppd.ctl.check import as_user
from xmppd.ctl.checkup import CheckupCommands
from xmppd.ctl.client import named
from xmppd.ctl.command_line import CommandLine, WantedCommand
from xmppd.ctl.commands import DECLARED, DESCRIPTIONS, of_server
from xmppd.ctl.completion import place_of
from xmppd.ctl.files import FileCommands
from xmppd.ctl.protocol import Answer, ControlRequest, Line, head_of, line_of
from xmppd.ctl.reading import ask_secret, read
from xmppd.events import OWNER
from xmppd.host.data_directory import DataDirectory, DataDirectoryError, InUse
from xmppd.host.machine import IReactor, Machine
from xmppd.plugin.library import commands
from xmppd.plugin.seams import Seams
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import Condition
from xmppd.store.errors import StoreError
from xmppd.store.store import make_store
from xmppd.trace.trace import Trace

Take = Callable[[Answer], None]
"""Gets each line of an answer."""


def answer(path: Path, request: ControlRequest, take: Take, *, data: str = "") -> None:
    """Answer a request as a server would that runs.

    Args:
        path: The configuration.
        request: It has words.
        take: Gets each line of the answer.
        data: The data directory that was named instead of a configuration; empty if none was.

    Raises:
        ConfigError: The configuration is wrong.
        Refused: It is not understood, cannot be done, or needs a server that runs.
    """
    if request.complete:
        place = place_of(request.words or [""], DESCRIPTIONS.values())
        choices = () if place.kind is None else place.kind.choices
        for word in sorted({*place.words, *choices}):
            if word.startswith((request.words or [""])[-1]):
                take(Answer(request.id, note=word))
        return
    try:
        asked = read(request, DESCRIPTIONS)
    except Refused:
        name, plugin = _of_plugin(path, request.words or [])
        if not plugin:
            raise
        raise _no_server(
            data or config_file.load(path).data,
            f"{name}, a command of the plugin {plugin}, needs a running server",
        ) from None
    if isinstance(asked, Answer):
        take(asked)
        return
    if asked.about.needs == "server" or data:
        name, named = asked.about.name, data or config_file.load(path).data
        if asked.about.needs == "server":
            raise _no_server(named, f"{name} needs one")
        raise _no_server(named, f"without one, {name} needs --config instead of --data")
    if asked.secret is not None:
        _check_before_secret(asked, config_file.load(path))
        take(ask_secret(request, asked))
        return
    rows = DECLARED[asked.about.name].rows
    take(Answer(request.id, head=head_of(asked.about, rows)))
    perform(path, asked.about, asked.given, take)


def _no_server(data: str, what: str) -> Refused:
    return Refused(
        f"no server is running ({named(data)}), and {what}",
        Condition.SERVICE_UNAVAILABLE,
        NO_SERVER,
        code="no-server",
    )


def _of_plugin(path: Path, words: Sequence[str]) -> tuple[str, str]:
    """The command of a plugin that some words name, or the words before its last one, and the
    plugin; two empty texts if they name none.
    """
    named = [word for word in words if not word.startswith("-")]
    if CommandLine(DESCRIPTIONS).command(named) is not None:
        return "", ""
    directory = ""
    with suppress(ConfigError):
        directory = config_file.load(path).plugins.directory
    found = commands(Path(directory) if directory else None)
    names = {tuple(name.split()): plugin for name, plugin in found.items()}
    ours = {name.split()[0] for name in DESCRIPTIONS}
    for length in range(len(named), 0, -1):
        begun = tuple(named[:length])
        is_ours = length == 1 and begun[0] in ours
        for name, plugin in names.items():
            if name[:length] == begun and not is_ours:
                return " ".join(begun), plugin
    return "", ""


def _check_before_secret(asked: WantedCommand, config: Config) -> None:
    """Look at what can be seen without the store, which is opened only once."""
    assert asked.secret is not None
    domains = tuple(domain.name for domain in config.domain)
    given = {**asked.given, asked.secret.key: ""}
    Arguments(asked.about.arguments, given, Surface(domains, short_names=True))


def perform(path: Path, about: Description, given: Mapping[str, object], take: Take) -> None:
    """Do a command, in a reactor that runs for it.

    Root does it as the user of the data directory, so that no file there is root's afterwards. What
    concerns the configuration makes no files, and root alone may open ports to see whether they are
    free.

    Args:
        path: The configuration.
        about: The command.
        given: The values of its arguments.
        take: Gets each line of the answer.

    Raises:
        ConfigError: The configuration is wrong.
        Refused: It cannot be done.
    """
    failures: list[Failure] = []

    async def work(reactor: IReactor) -> None:
        async with aclosing(run(reactor, path, about, given)) as lines:
            async for line in lines:
                if isinstance(line, str):
                    take(Answer(0, note=line))
                else:
                    take(Answer(0, row=line))

    def begin(reactor: IReactor) -> Deferred[None]:
        return Deferred.fromCoroutine(work(reactor)).addErrback(failures.append)

    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    with ExitStack() as until, suppress(SystemExit):
        if about.area != "config":
            until.enter_context(as_user(DataDirectory(Path(config_file.load(path).data)).owner))
        react(begin)
    if failures:
        failures[0].raiseException()


async def run(
    reactor: IReactor,
    path: Path,
    about: Description,
    given: Mapping[str, object],
) -> AsyncGenerator[Line, None]:
    """Do the command, with the data directory locked.

    Raises:
        ConfigError: The configuration is wrong.
        Refused: It cannot be done.
    """
    async with AsyncExitStack() as opened:
        if about.needs == "file":
            table = CommandTable((), Roles())
            commands = [
                *FileCommands(path, reactor).commands(),
                *CheckupCommands(path, reactor).commands(),
            ]
        else:
            server = await _server(reactor, config_file.load(path), opened)
            table = server.commands
            commands = of_server(server, Trace(server, Seams(server.stages)))
        for command in commands:
            table.put(command, OWNER)
        async with aclosing(table.replies(*table.asked(about.name, given, SHELL))) as replies:
            async for reply in replies:
                yield line_of(reply)


async def _server(reactor: IReactor, config: Config, opened: AsyncExitStack) -> XMPPServer:
    opened.callback(os.umask, os.umask(PRIVATE))
    directory = DataDirectory(Path(config.data))
    if config.cluster.enabled:
        await _refuse_if_nodes_live(reactor, config)
    try:
        directory.lock()
        opened.callback(directory.release)
        storage = config.storage
        store = make_store(storage.url, reactor=reactor)
        opened.push_async_callback(store.close)
        await store.open(upgrade=storage.upgrade, may_create=directory.is_new)
        machine = Machine(reactor, directory.secret())
        opened.callback(machine.stop)
        server = XMPPServer(config, store, machine)
        opened.push_async_callback(server.stop)
        await server.start()
    except InUse as error:
        raise Refused(
            f"the data directory {directory.path} is in use, yet no server answers there; "
            "it may be starting or stopping: try again"
        ) from error
    except (DataDirectoryError, StoreError) as error:
        raise Refused(str(error).rstrip(".")) from error
    return server


async def _refuse_if_nodes_live(reactor: IReactor, config: Config) -> None:
    """Leave it to the nodes that are there: what is changed here they would not know.

    If Redis cannot be asked the lock on the database decides.
    """
    from xmppd.cluster.redis_look import living_nodes

    try:
        nodes = await living_nodes(config.cluster, reactor)
    except BoardAway:
        return
    if nodes:
        names = ", ".join(sorted(node.name for node in nodes))
        raise Refused(
            f"nodes of this service are running, but none on this machine answers; run xmppctl on "
            f"the machine of one of them: {names}"
        )
