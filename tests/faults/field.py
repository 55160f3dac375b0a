"""The field: three nodes whose ways can be cut, with people at them, for one fault."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from shutil import copy
from tempfile import mkdtemp
from typing import TypeVar

from tests.faults.client import Client
from tests.faults.crowd import Crowd
from tests.faults.judge import Excuse, Judge
from tests.integration.cut_proxy import CutProxy, Direction
from tests.integration.node_processes import LEASE_S, NodeProcess, NodeProcesses, start_at_once
from tests.postgresql_server import PostgresProcess
from tests.redis_server import RedisProcess, Sentinels

T = TypeVar("T")
NAMES = ("a", "b", "c")
QUIET_S = 120.0
"""How long it may take until everybody has what they should have; on a busy machine."""


class CutNodes(NodeProcesses):
    """Nodes that reach Redis, and each other, by ways that may be cut.

    Attributes:
        to_node: The way to each node, for the others.
        to_redis: The way of each node to Redis.
    """

    def __init__(self, links: str, redis: RedisProcess, database: str = "") -> None:
        super().__init__(links, redis=redis, database=database)
        self.to_node: dict[str, CutProxy] = {}
        self.to_redis: dict[str, CutProxy] = {}

    def node(self, name: str, **settings: object) -> NodeProcess:
        """A node that is not started yet, with other settings of ``[cluster]``."""
        ways: dict[str, object] = {}
        if "redis" not in settings:
            way = self.to_redis[name] = CutProxy(lambda: self.redis.port)
            way.start()
            ways["redis"] = [f"redis://127.0.0.1:{way.port}"]
        if self.links == "direct":
            way = self.to_node[name] = CutProxy(partial(self._door, name))
            way.start()
            ways["address"] = f"127.0.0.1:{way.port}"
        return super().node(name, **{**ways, **settings})

    def _door(self, name: str) -> int:
        return self.nodes[name].door

    def troubles(self) -> list[str]:
        """What they have logged that somebody should look at."""
        return [
            f"{name}: {line}"
            for name, node in self.nodes.items()
            for line in node.logged(r"Traceback|Error|\[\w+#(error|warn|critical)\]")[:20]
        ]

    def keep_logs(self) -> Path:
        """Put their logs where somebody may read them afterwards."""
        kept = Path(mkdtemp(prefix="xmppd-fault-", dir="/tmp"))
        for name, node in self.nodes.items():
            copy(node.log, kept / f"{name}.log")
        return kept

    def take_away(self) -> None:
        """Nothing is left of them."""
        for way in (*self.to_node.values(), *self.to_redis.values()):
            way.stop()
        super().take_away()


class Field:
    """Three nodes and a crowd, and what can be done to them.

    Args:
        nodes: The three; they are started here.
        random: Chooses what happens.
        settings: Other ones of ``[cluster]``.

    Attributes:
        excuses: What the fault may cause; it says so itself.
        notes: What was measured.
        sentinels: Of Redis, if the fault needs some.
        postgresql: Of the nodes, if the fault stops it.
    """

    def __init__(self, nodes: CutNodes, random: Random, **settings: object) -> None:
        self.nodes = nodes
        self.random = random
        self.excuses: set[Excuse] = set()
        self.notes: list[str] = []
        self.sentinels: Sentinels | None = None
        self.postgresql: PostgresProcess | None = None
        made = [nodes.node(name, **settings) for name in NAMES]
        start_at_once(made)
        nodes.until_they_know(*made)
        self.crowd = Crowd(nodes, random)
        self.crowd.move_in(made[0])

    @property
    def links(self) -> str:
        """The way between the nodes."""
        return self.nodes.links

    @property
    def redis(self) -> RedisProcess:
        """That they use."""
        return self.nodes.redis

    def __getitem__(self, name: str) -> NodeProcess:
        return self.nodes.nodes[name]

    def all(self) -> Iterable[NodeProcess]:
        """The nodes."""
        return self.nodes.nodes.values()

    # -- doing things ---------------------------------------------------------------------------

    async def run(self, fault: Callable[["Field"], object]) -> list[str]:
        """Have something happen while everybody chats; what was wrong with what they saw."""
        async with self.crowd.at_work():
            if not await self.crowd.until(lambda: self.crowd.is_here):
                return [f"not everybody is here: {self._absent()}"]
            await self.chat(1.0)
            happening = fault(self)
            assert asyncio.iscoroutine(happening)
            await happening
            await self.chat(1.0)
            return await self._settled()

    async def _settled(self) -> list[str]:
        """What is wrong when nothing is under way any more, or should not be."""
        crowd = self.crowd
        crowd.calm = True
        judge = self.judge
        quiet = await crowd.until(lambda: crowd.is_quiet and not any(judge.missing()), QUIET_S)
        wrong = [] if quiet or crowd.is_quiet else [f"not at rest: {self._absent()}"]
        return [*wrong, *judge.verdict()]

    def _absent(self) -> dict[str, list[str]]:
        return {
            jid: client.refused[-3:]
            for jid, client in self.crowd.clients.items()
            if not client.is_away and not (client.is_online and client.is_quiet)
        }

    async def chat(self, seconds: float) -> None:
        """Let them chat for so long."""
        await asyncio.sleep(seconds)

    async def do(self, work: Callable[..., T], *args: object) -> T:
        """Do something that blocks."""
        return await asyncio.to_thread(work, *args)

    def kill(self, name: str) -> None:
        """Kill a node."""
        self.note(f"node {name} was killed at {time.monotonic():.2f}")
        self[name].kill()

    def start_all(self) -> None:
        """Start all nodes at once."""
        start_at_once(list(self.all()))

    async def line(self, node: NodeProcess, pattern: str, count: int = 1) -> float:
        """Wait until so many lines in a node's log are like this; how long it took, in seconds.

        Raises:
            AssertionError: It was not so in time.
        """
        began = time.monotonic()
        if not await self.crowd.until(lambda: len(node.logged(pattern)) >= count):
            raise AssertionError(f"node {node.name} has not logged {pattern}: see {node.log}")
        return time.monotonic() - began

    async def all_back(self) -> None:
        """Wait until everybody who was not sent away is online."""
        if not await self.crowd.until(lambda: self.crowd.is_here):
            raise AssertionError(f"not back: {self._absent()}")

    def note(self, text: str) -> None:
        """Say what was measured."""
        self.notes.append(text)

    @property
    def judge(self) -> Judge:
        """Of all that has happened."""
        return Judge(self.crowd.history, self.grace_s, frozenset(self.excuses))

    async def all_see_leave(self, *clients: Client) -> None:
        """Wait until everybody has been told that these clients are gone."""

        def wrong() -> list[str]:
            return [line for client in clients for line in self.judge.not_told(client.role.jid)]

        if not await self.crowd.until(lambda: not wrong()):
            raise AssertionError("; ".join(wrong()))

    @property
    def grace_s(self) -> float:
        """How long people of a lost node may be away."""
        return 2 * LEASE_S

    def cut_link(self, one: str, other: str, direction: Direction) -> None:
        """Cut the link between two nodes: both ways, or from the one to the other."""
        back = {Direction.FORTH: Direction.BACK, Direction.BACK: Direction.FORTH}
        self.nodes.to_node[other].cut(direction)
        self.nodes.to_node[one].cut(back.get(direction, direction))

    def mend_links(self) -> None:
        """All links may be made again."""
        for way in self.nodes.to_node.values():
            way.mend()

    def summary(self) -> str:
        """What was counted."""
        history = self.crowd.history
        messages, delays = history.messages.values(), history.delays_s()
        resumed = sum(stay.resumed for stay in history.stays)
        begun = len(history.stays) - len(self.crowd.clients)
        presences = sum(len(stay.seen) for stay in history.stays)
        longest, median = (delays[-1], delays[len(delays) // 2]) if delays else (0.0, 0.0)
        return (
            f"{len(messages)} messages, {sum(each.is_safe for each in messages)} acknowledged,"
            f" {sum(each.is_bounced for each in messages)} bounced, under way for"
            f" {median * 1000:.0f} ms and at most {longest:.1f} s; {presences} presences;"
            f" {resumed} resumed, {begun} began anew"
        )
