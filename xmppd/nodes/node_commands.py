"""NodeCommands: commands at other nodes, and those that other nodes give here."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count

from msgspec import ValidationError, convert
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from xmppd.cluster.bus import Bus, Unreachable
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.entries.commands import (
    MAX_REPLIES,
    CommandGiven,
    CommandMore,
    CommandReplies,
    CommandUnread,
)
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.node import NodeId
from xmppd.command.command_context import NODE
from xmppd.command.command_table import CommandTable
from xmppd.command.other_nodes import NO_OTHERS, Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Reply, Row, columns_of
from xmppd.stanza import Condition

ANSWER_S = 5.0
"""The time that a node may take for the next replies of a command."""

PAUSE_S = 2.0
"""A node that has no further reply for so long answers with none, and is asked again."""

UNREAD_S = 30.0
"""A command whose replies nobody has asked for is over."""

MAX_COMMANDS = 64
"""Commands of other nodes that are under way here."""

_log = Logger()


@dataclass
class _Running:
    """A command of another node.

    Attributes:
        name: Its words.
        work: Fills the replies.
        stops: Whether it ends when nobody asks any more; one that changes something does not.
        unread: Whether nobody asks any more.
        replies: Those that were not asked for yet, at most :data:`MAX_REPLIES`.
        changed: Fires when there is a reply, or no more to come.
        room: Fires when replies were taken.
        last: The last answer, once all replies are there.
        end: Ends it if nobody asks.
    """

    name: str
    end: IDelayedCall
    stops: bool = True
    unread: bool = False
    work: "Deferred[None] | None" = None
    replies: list[Reply] = field(default_factory=list)
    changed: "Deferred[None] | None" = None
    room: "Deferred[None] | None" = None
    last: CommandReplies | None = None


class NodeCommands:
    """Gives commands to other nodes, whose replies are asked for a hundred at a time, so that they
    wait where they are made; and does those of other nodes.

    Who may give a command is decided by the node that takes it from a person; among each other
    nodes trust that.

    Args:
        cluster: The other nodes.
        commands: Those of this node.
        clock: Tells when nobody asks any more.
    """

    def __init__(self, cluster: Cluster, commands: CommandTable, clock: IReactorTime) -> None:
        self.membership = cluster.membership
        self.bus: Bus = cluster.bus
        self.commands = commands
        self.clock = clock
        self._numbers = count(1)
        self._running: dict[tuple[NodeId, int], _Running] = {}

    # -- commands to others -----------------------------------------------------------------------

    @property
    def here(self) -> str:
        """The name of this node."""
        return self.membership.id.name

    @property
    def nodes(self) -> Sequence[str]:
        """The names of the others."""
        return sorted(self.membership.nodes)

    async def replies(self, node: str, name: str, given: Mapping[str, object]) -> Replies:
        """Run a command at another node, for what is there only.

        Raises:
            Refused: That node refuses it.
            Unanswered: It does not answer.
        """
        there = self.membership.nodes.get(node)
        if there is None:
            raise Unanswered(f"unknown node {node}")
        number = next(self._numbers)
        wanted: BusEntry = CommandGiven(number, name, convert(given, _GIVEN))
        rows = self.commands.commands[name].rows
        is_done = False
        try:
            while not is_done:
                answer = await self._ask(there.id, wanted)
                is_done, wanted = answer.done, CommandMore(number)
                for reply in answer.replies:
                    yield reply if isinstance(reply, str) else _row(rows, reply)
                if answer.refusal:
                    raise Refused(answer.refusal, _condition(answer.condition))
        finally:
            if not is_done:
                self.bus.tell(there.id, CommandUnread(number))

    async def _ask(self, node: NodeId, entry: BusEntry) -> CommandReplies:
        try:
            answer = await self.bus.ask(node, entry, ANSWER_S)
        except Unreachable as error:
            raise Unanswered(str(error)) from error
        if not isinstance(answer, CommandReplies):
            raise Unanswered(f"node {node} did not answer the question")
        return answer

    # -- commands of others -----------------------------------------------------------------------

    async def given(self, sender: NodeId, entry: CommandGiven) -> CommandReplies:
        """Begin a command of another node; returns its first replies."""
        if len(self._running) >= MAX_COMMANDS:
            return _refusal(Refused(f"{MAX_COMMANDS} commands are in progress at {self.here}"))
        key = sender, entry.number
        running = _Running(entry.name, self.clock.callLater(UNREAD_S, self._stop, key))
        self._running[key] = running
        command = self.commands.commands.get(entry.name)
        if command is not None and command.about.effect != "reads":
            _log.info("node {node}: {command}", node=sender.name, command=entry.name)
        running.work = Deferred.fromCoroutine(self._run(running, entry))
        running.work.addErrback(lambda failure: failure.trap(CancelledError))
        return await self._more(key, running)

    async def more(self, sender: NodeId, entry: CommandMore) -> CommandReplies:
        """Further replies of a command."""
        key = sender, entry.number
        running = self._running.get(key)
        if running is None:
            return _refusal(Refused(f"{self.here} no longer knows the command"))
        running.end.reset(UNREAD_S)
        return await self._more(key, running)

    def unread(self, sender: NodeId, entry: CommandUnread) -> None:
        """End a command whose replies nobody reads."""
        self._stop((sender, entry.number))

    async def _more(self, key: tuple[NodeId, int], running: _Running) -> CommandReplies:
        """Wait for some replies, for a moment."""
        if not running.replies and running.last is None:
            running.changed = Deferred()
            pause = self.clock.callLater(PAUSE_S, running.changed.callback, None)
            await running.changed
            running.changed = None
            if pause.active():
                pause.cancel()
        replies = running.replies
        self._make_room(running)
        lines = [each if isinstance(each, str) else columns_of(each) for each in replies]
        if running.last is None or running.replies:
            return CommandReplies(lines, done=False)
        self._stop(key)
        last = running.last
        return CommandReplies(lines, True, last.refusal, last.condition)

    async def _run(self, running: _Running, entry: CommandGiven) -> None:
        """Do a command for its replies, of which a limited number wait."""
        last = CommandReplies([], done=True)
        try:
            command, context = self.commands.asked(entry.name, entry.given, NODE)
            context.others = NO_OTHERS
            running.stops = command.about.effect == "reads"
            async with aclosing(self.commands.replies(command, context)) as found:
                async for reply in found:
                    if running.unread:
                        continue
                    running.replies.append(reply)
                    self._tell(running)
                    if len(running.replies) >= MAX_REPLIES:
                        running.room = Deferred()
                        await running.room
        except Refused as error:
            last = _refusal(error)
        running.last = last
        self._tell(running)

    def _tell(self, running: _Running) -> None:
        if running.changed is not None and not running.changed.called:
            running.changed.callback(None)

    def _make_room(self, running: _Running) -> None:
        running.replies = []
        room, running.room = running.room, None
        if room is not None:
            room.callback(None)

    def _stop(self, key: tuple[NodeId, int]) -> None:
        running = self._running.pop(key, None)
        if running is None:
            return
        running.unread = True
        if running.end.active():
            running.end.cancel()
        if running.work is not None and running.stops:
            running.work.cancel()
        self._make_room(running)


_GIVEN = dict[str, str | bool | list[str]]


def _row(kinds: tuple[type[Row], ...], columns: Mapping[str, object]) -> Row:
    """The row of another node, which is of one of the command's kinds.

    Raises:
        Unanswered: It is not: that node has another version of the command.
    """
    for kind in kinds:
        try:
            return convert(columns, kind)
        except ValidationError:
            continue
    raise Unanswered("the row is of another version")


def _refusal(error: Refused) -> CommandReplies:
    return CommandReplies([], True, str(error), error.condition.name)


def _condition(name: str) -> Condition:
    return Condition.__members__.get(name, Condition.INTERNAL_SERVER_ERROR)


__all__ = ["NodeCommands"]
