"""What one message from node to node costs by a link, and by what could be there instead: CPU of
the sender, of the receiver, and of Redis.

    python -m bench.links [--batch 1 10 100] [--seconds 3] [--repeat 3]

Each turn of the sender's reactor has so many messages of some 330 bytes for the other node, at a
fixed rate; the receiver unpacks and checks them, and makes stanzas of them. ``null`` is the sender
without a bus: its timer alone, which is in the figures of the others. ``hub`` and ``stock`` are
links, on our endpoints and on Twisted's; ``streams`` is the bus by Redis; ``pubsub`` and ``lists``
are buses by Redis that were not chosen.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, cast

from msgspec import structs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import deferLater

from bench.buses import ChannelBus, ListBus
from bench.meter import cpu_s, percentiles
from tests.redis_server import RedisProcess
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.stanzas import Routed
from xmppd.cluster.link_bus import LinkBus, LinkSettings
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.node import Node, NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.stream_bus import StreamBus
from xmppd.config.config import ClusterSettings
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.node_dialer import NodeDialer
from xmppd.net.node_tls import NodeTLS
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub

BY_REDIS = ("streams", "pubsub", "lists")
WAYS = ("null", "hub", "hub-tls", "stock", "stock-tls", *BY_REDIS)
TURNS_PER_S = {1: 2_000, 10: 500, 100: 100}
MEET_S = 0.5
WARM_UP_S = 2.5
AT_LAST_S = 0.3
SENDER, RECEIVER = "sender", "receiver"
DOMAIN = "example.org"
ROMEO, JULIET = f"romeo.montague@{DOMAIN}/orchard-12345", f"juliet.capulet@{DOMAIN}"
RAW = (
    b"<message type='chat' id='a1b2c3d4e5' xml:lang='en'><body>Hello there, shall we meet at the "
    b"balcony at noon &amp; talk?</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
    b"<request xmlns='urn:xmpp:receipts'/></message>"
)
ROOT = Path(__file__).resolve().parent.parent
Record = dict[str, Any]


class End:
    """One of the two nodes, in a process of its own.

    Args:
        name: Of the node.
        way: How they are connected.
        redis: The URL of Redis, if they need one.
        redis_pid: Its process.
    """

    def __init__(self, name: str, way: str, redis: str, redis_pid: int) -> None:
        self.id = NodeId(name, 1)
        self.members: dict[str, Node] = {}
        self.membership = MemoryMembership(self.id, self.members)
        self.connected = way != "null"
        self.in_hub = way.startswith("hub")
        self.tls = NodeTLS() if way.endswith("tls") else None
        self.count = 0
        self.delays_s: list[float] = []
        self.redis_pid = redis_pid
        self.redis = Redis(ClusterSettings(redis=(redis,)), reactor) if way in BY_REDIS else None
        self.bus = self._by_redis(way, self.redis) if self.redis is not None else self._by_links()
        self.bus.take = self.take

    def _by_links(self) -> LinkBus:
        clock = cast(Any, reactor)
        return LinkBus(
            self.membership,
            clock,
            at_end_of_turn_of_hub(clock) if self.in_hub else at_end_of_turn(clock),
            BusSettings((DOMAIN,)),
            LinkSettings(NodeDialer(clock, in_hub=self.in_hub).dial, self.tls, b"bench", 5.0),
        )

    def _by_redis(self, way: str, redis: Redis) -> "StreamBus | ChannelBus":
        clock, settings = cast(Any, reactor), BusSettings((DOMAIN,))
        if way == "streams":
            return StreamBus(redis, "bench", self.membership, clock, settings)
        kind = ListBus if way == "lists" else ChannelBus
        return kind(redis, self.membership, clock, settings)

    def take(self, sender: NodeId, entry: BusEntry) -> None:
        """Make the stanza again, as whoever routes it would."""
        assert isinstance(entry, Routed)
        stanza = entry.stanza()
        self.count += 1
        self.delays_s.append(time.monotonic() - float(stanza.id or 0))

    async def listen(self) -> Record:
        """Open the door; returns what the other one has to know."""
        if self.redis is not None:
            await self.redis.open()
            self.bus.start()
        if isinstance(self.bus, ChannelBus):
            await self.bus.ready
        if not isinstance(self.bus, LinkBus):
            return {"name": self.id.name}
        kind = EPollServerEndpoint if self.in_hub else TCP4ServerEndpoint
        port = await kind(cast(Any, reactor), 0, interface="127.0.0.1").listen(self.bus.door)
        where = cast(Any, port.getHost())
        return {
            "name": self.id.name,
            "address": f"127.0.0.1:{where.port}",
            "certificate": "" if self.tls is None else self.tls.digest,
        }

    def meet(self, record: Record) -> None:
        """Connect with the other node."""
        node = Node(id=NodeId(record.pop("name"), 1))
        self.members[node.id.name] = structs.replace(node, **record)
        if self.redis is None:
            self.bus.start()

    @property
    def redis_cpu_s(self) -> float:
        """What Redis has worked so far."""
        return cpu_s([self.redis_pid]) if self.redis is not None else 0.0

    def send(self, batch: int) -> None:
        """One turn's messages."""
        there = NodeId(RECEIVER, 1)
        for _ in range(batch if self.connected else 0):
            self.bus.tell(there, Routed(0, JULIET, ROMEO, str(time.monotonic()), "chat", RAW))
        self.count += batch


async def live(end: End, batch: int, seconds: float) -> None:
    """Be one of the two nodes, and say in the end what that has cost."""
    clock = cast(Any, reactor)
    if end.connected:
        print(json.dumps(await end.listen()), flush=True)
        end.meet(json.loads(sys.stdin.readline()))
    if end.id.name == SENDER:
        await deferLater(clock, MEET_S)
        pace(end.send, batch)
    await deferLater(clock, WARM_UP_S)
    end.delays_s.clear()
    began_s, began_redis_s, count = time.process_time(), end.redis_cpu_s, end.count
    await deferLater(clock, seconds)
    result = {"cpu_s": time.process_time() - began_s, "count": end.count - count}
    result["redis_s"] = end.redis_cpu_s - began_redis_s
    print(json.dumps({**result, **percentiles(end.delays_s)}), flush=True)
    await deferLater(clock, AT_LAST_S)
    clock.stop()


def pace(send: Callable[[int], None], batch: int) -> None:
    """Send at a fixed rate; a timer that is late does not make two turns of one."""
    clock = cast(Any, reactor)
    began = clock.seconds()
    turns = count(1)

    def turn() -> None:
        send(batch)
        due = began + next(turns) / TURNS_PER_S[batch]
        clock.callLater(max(0.0, due - clock.seconds()), turn)

    turn()


def child(end: Callable[[], End], batch: int, seconds: float) -> None:
    """Run one of the two nodes."""
    clock = cast(Any, reactor)

    def begin() -> None:
        living = Deferred.fromCoroutine(live(end(), batch, seconds))
        living.addErrback(lambda failure: (failure.printTraceback(sys.stderr), os._exit(1)))

    clock.callWhenRunning(begin)
    clock.run()


def once(way: str, batch: int, seconds: float) -> dict[str, float]:
    """One run: microseconds of CPU for a message, of both ends and of Redis; the median delay."""
    if way not in BY_REDIS:
        return between(way, batch, seconds, "", 0)
    redis = RedisProcess().start()
    try:
        assert redis.process is not None
        return between(way, batch, seconds, redis.url, redis.process.pid)
    finally:
        redis.stop()


def between(way: str, batch: int, seconds: float, redis: str, redis_pid: int) -> dict[str, float]:
    """One run, by a Redis that is there."""
    names = (SENDER,) if way == "null" else (RECEIVER, SENDER)
    ends = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.links"),
                *("--end", name, way, str(batch), str(seconds), redis, str(redis_pid)),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        )
        for name in names
    ]  # fmt: skip
    if way != "null":
        said = [cast(Any, end.stdout).readline() for end in ends]
        for end, line in zip(ends, reversed(said), strict=True):
            cast(Any, end.stdin).write(line)
            cast(Any, end.stdin).flush()
    results = [json.loads(end.communicate()[0]) for end in ends]
    costs_us = [1e6 * result["cpu_s"] / max(result["count"], 1) for result in results]
    return {
        "sender": costs_us[-1],
        "receiver": costs_us[0] if way != "null" else 0.0,
        "redis": 1e6 * results[0]["redis_s"] / max(results[0]["count"], 1),
        "p50_ms": results[0].get("p50_ms", 0.0),
        "per_s": results[0]["count"] / seconds,
    }


def main() -> None:
    """Measure each way, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=list(TURNS_PER_S))
    parser.add_argument("--way", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--end", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.end:
        name, way, batch, seconds, redis, pid = arguments.end
        child(lambda: End(name, way, redis, int(pid)), int(batch), float(seconds))
        return
    print(
        f"| {'way':9} | batch | sender µs | Redis µs | receiver µs | sum µs | p50 ms | messages/s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for batch in arguments.batch:
        for way in arguments.way:
            runs = [once(way, batch, arguments.seconds) for _ in range(arguments.repeat)]
            at = {key: median(run[key] for run in runs) for key in runs[0]}
            print(
                f"| {way:9} | {batch:5} | {at['sender']:9.2f} | {at['redis']:8.2f} "
                f"| {at['receiver']:11.2f} "
                f"| {at['sender'] + at['redis'] + at['receiver']:6.2f} | {at['p50_ms']:6.3f} "
                f"| {at['per_s']:10.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
