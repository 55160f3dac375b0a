"""What the directory in Redis costs: memory of a session; CPU of a login, in Redis and at the node.

    python -m bench.directory [--sessions 50000] [--logins 5000]

A login enters the session and asks where 50 contacts are, of whom 10 are online; 20 of them are
under way at a time.
"""

import argparse
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from bench.compare import machine, table
from bench.meter import cpu_s
from tests.redis_server import RedisProcess, info
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.node import Node, NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_directory import RedisDirectory
from xmppd.cluster.redis_errors import RedisError
from xmppd.config.config import ClusterSettings
from xmppd.stanza import JID

CONTACTS, ONLINE = 50, 10
AT_ONCE = 20
USED = re.compile(r"used_memory:(\d+)")
NODE = NodeId("n1", 1)


def address(number: int) -> JID:
    """Somebody's session."""
    return JID.parse(f"user{number:07}@example.org/phone-{number:07}")


async def each(numbers: range, work: Callable[[int], Awaitable[object]]) -> None:
    """Do something for each number, some of them at once."""
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            await work(number)

    await gatherResults([Deferred.fromCoroutine(worker()) for _ in range(AT_ONCE)])


async def measure(server: RedisProcess, sessions: int, logins: int) -> str:
    """Fill the directory, then log in."""
    redis = Redis(ClusterSettings(redis=(server.url,)), reactor)
    await redis.open()
    directory = RedisDirectory(redis, "bench", MemoryMembership(NODE, {NODE.name: Node(id=NODE)}))

    async def enter(number: int) -> None:
        await directory.enter(address(number), conflict="replace", max_sessions=10)

    async def log_in(number: int) -> None:
        await enter(number)
        online = range(number - ONLINE, number)
        absent = range(10**6 + number, 10**6 + number + CONTACTS - ONLINE)
        await directory.nodes_of([address(each).bare for each in (*online, *absent)])

    def memory() -> int:
        found = USED.search(info(server))
        assert found is not None
        return int(found[1])

    assert server.process is not None
    costs = []
    before = memory()
    for numbers, work in (
        (range(sessions), enter),
        (range(sessions, sessions + logins), log_in),
    ):
        own_s, redis_s = time.process_time(), cpu_s([server.process.pid])
        await each(numbers, work)
        own_s, redis_s = time.process_time() - own_s, cpu_s([server.process.pid]) - redis_s
        costs.append([f"{1e6 * spent_s / len(numbers):.1f} µs" for spent_s in (redis_s, own_s)])
    size = (memory() - before) / (sessions + logins)
    await redis.close()
    rows = [
        ["a session entered", *costs[0]],
        [f"a login: entered, and {CONTACTS} contacts looked up, {ONLINE} online", *costs[1]],
    ]
    return f"{machine()}\n\n{size:.0f} bytes of Redis a session.\n\n" + table(
        ["", "Redis", "node"], rows
    )


def run(server: RedisProcess, sessions: int, logins: int) -> int:
    """Measure while the reactor runs; returns the exit status."""
    clock = cast(Any, reactor)
    failures: list[Failure] = []

    async def begin() -> None:
        try:
            print(await measure(server, sessions, logins))
        except RedisError:
            failures.append(Failure())
        clock.stop()

    clock.callWhenRunning(lambda: Deferred.fromCoroutine(begin()))
    clock.run()
    for failure in failures:
        failure.printTraceback(sys.stderr)
    return len(failures)


def main() -> int:
    """Have a Redis for the time of measuring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--logins", type=int, default=5_000)
    arguments = parser.parse_args()
    server = RedisProcess()
    try:
        return run(server.start(), arguments.sessions, arguments.logins)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
