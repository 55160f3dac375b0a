"""The faults, each by its name: what is done, and what has to be so afterwards.

What everybody sees of it the judge compares; here stands what else is promised.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tests.faults.field import Field
from tests.faults.judge import Excuse
from tests.faults.races import one_resource, subscription
from tests.integration.cut_proxy import Direction
from tests.integration.node_processes import LEASE_S

LOST_WITHIN_S = 1.5
"""Behind the end of its lease a node is lost within so long; a busy machine has as much again."""

KILLED = frozenset({Excuse.DOUBLED, Excuse.LATE, Excuse.AGAIN})


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        links: The ways between nodes with which it can.
        needs: What of the field has to be another: "sentinels" or "postgresql".
    """

    run: Callable[[Field], Awaitable[None]]
    links: tuple[str, ...] = ("direct", "redis")
    needs: str = ""


async def _is_lost(field: Field, name: str) -> None:
    for node in field.all():
        if node.name != name and node.pid:
            took = await field.line(node, rf"node {name}\.1 is lost")
            field.note(f"node {node.name} saw that {name} is lost after {took:.1f} s")
            assert took < LEASE_S + 2 * LOST_WITHIN_S, took


def _kill(name: str) -> Callable[[Field], Awaitable[None]]:
    async def kill(field: Field) -> None:
        """A node is killed by kill -9; half of its people come back, the others stay away."""
        field.excuses |= KILLED
        gone = [client for client in field.crowd.at(name) if client.role.name in STAY_AWAY]
        field.kill(name)
        for client in gone:
            client.go_away()
        await _is_lost(field, name)
        await field.chat(field.grace_s)
        await field.all_see_leave(*gone)
        for client in gone:
            client.come_back()
        await field.do(field[name].start)
        await field.all_back()

    return kill


STAY_AWAY = ("nurse", "tybalt", "paris")


async def kill_two(field: Field) -> None:
    """Two nodes are killed at once."""
    field.excuses |= KILLED
    for name in ("a", "b"):
        field.kill(name)
    for name in ("a", "b"):
        await field.line(field["c"], rf"node {name}\.1 is lost")
    await field.all_back()
    for name in ("a", "b"):
        await field.do(field[name].start)


async def kill_all(field: Field) -> None:
    """All three nodes are killed at once, and started at once."""
    field.excuses |= KILLED | {Excuse.REPLACED}
    for node in field.all():
        field.kill(node.name)
    await field.do(field.start_all)
    await field.all_back()


async def kill_and_start(field: Field) -> None:
    """A node is killed, and started again within a second."""
    field.excuses |= KILLED
    field.kill("b")
    await field.do(field["b"].start)
    for name in ("a", "c"):
        await field.line(field[name], r"node b\.2 is in")
    await field.all_back()


async def pause(field: Field) -> None:
    """A node stands still for less than its lease (SIGSTOP)."""
    field["b"].pause()
    await field.chat(LEASE_S - 1.0)
    field["b"].go_on()
    await field.chat(1.0)


async def pause_long(field: Field) -> None:
    """A node stands still for much longer than its lease."""
    field.excuses |= KILLED
    field["b"].pause()
    await _is_lost(field, "b")
    await field.chat(20.0)
    field["b"].go_on()
    await field.line(field["b"], "this node has started again")
    await field.all_back()


async def _cut(field: Field, direction: Direction) -> None:
    field.cut_link("a", "b", direction)
    for name in ("a", "b"):
        await field.line(field[name], "go through Redis for now")
    await field.chat(3.0)
    field.mend_links()
    for name, other in (("a", "b"), ("b", "a")):
        await field.line(field[name], f"connected to node {other}")
    _nobody_lost(field)


def _nobody_lost(field: Field) -> None:
    lost = [line for node in field.all() for line in node.logged("is lost|anew|no lease")]
    assert not lost, lost


async def cut(field: Field) -> None:
    """The link between two nodes is cut."""
    await _cut(field, Direction.BOTH)


async def cut_one_way(field: Field) -> None:
    """The link between two nodes is cut in one direction."""
    await _cut(field, Direction.FORTH)


async def redis_stopped(field: Field) -> None:
    """Redis is stopped, and started again with what it knew."""
    await field.do(field.redis.ask, "SAVE")
    field.redis.kill()
    await field.chat(LEASE_S)
    await field.do(field.redis.start)
    await field.chat(2.0)
    _nobody_lost(field)


async def redis_hung(field: Field) -> None:
    """Redis takes connections and answers nothing, for twice the time of a lease."""
    field.redis.hang()
    await field.chat(2 * LEASE_S)
    field.redis.go_on()
    await field.chat(2.0)


async def redis_empty(field: Field) -> None:
    """Redis is restarted, and knows nothing."""
    field.excuses |= {Excuse.AGAIN}
    await field.do(field.redis.restart_empty)
    for node in field.all():
        await field.line(node, "Redis may have lost its data")
    await field.chat(2.0)
    _nobody_lost(field)


async def redis_fails_over(field: Field) -> None:
    """Sentinels make a replica the master that has not heard of what was written last."""
    field.excuses |= {Excuse.AGAIN}
    if field.links == "redis":  # no session is found at another node meanwhile
        field.excuses |= {Excuse.REPLACED, Excuse.LATE}
    sentinels = field.sentinels
    assert sentinels is not None
    replica = sentinels.replica
    replica.hang()  # what is written from now on is lost
    for client in field.crowd.at("b")[:2]:
        client.break_off()
    await field.all_back()
    field.redis.kill()
    replica.go_on()
    await field.do(sentinels.wait_for_failover)
    for node in field.all():
        await field.line(node, "Redis may have lost its data")
    await field.chat(2.0)
    await field.all_back()


async def redis_cut_one_way(field: Field) -> None:
    """What Redis answers does not come to one node."""
    if field.links == "redis":
        field.excuses |= KILLED
    field.nodes.to_redis["b"].cut(Direction.BACK)
    await field.line(field["b"], "Redis does not answer node b")
    await field.chat(2 * LEASE_S)
    field.nodes.to_redis["b"].mend()
    await field.line(field["b"], r"Redis answers node b\.\d again|it starts again")
    await field.all_back()


async def database_restarted(field: Field) -> None:
    """PostgreSQL is restarted: what needs it is said again."""
    field.excuses |= {Excuse.DOUBLED, Excuse.LATE, Excuse.AGAIN}
    assert field.postgresql is not None
    await field.do(field.postgresql.restart)
    await field.chat(2.0)
    await field.all_back()
    _nobody_lost(field)


async def resumed_elsewhere(field: Field) -> None:
    """Clients lose their connections again and again, and come back at any node."""
    clients = [each for each in field.crowd.clients.values() if each.role.manages]
    for _ in range(20):
        field.random.choice(clients).break_off()
        await field.chat(0.2)
    await field.all_back()
    _nobody_anew(field)


async def redis_cut(field: Field) -> None:
    """One node is cut from Redis, for twice the time of a lease."""
    if field.links == "redis":
        field.excuses |= KILLED
    field.nodes.to_redis["b"].cut()
    await field.line(field["b"], "Redis does not answer node b")
    await field.chat(2 * LEASE_S)
    field.nodes.to_redis["b"].mend()
    await field.line(field["b"], r"Redis answers node b\.\d again|it starts again")
    if field.links == "direct":
        _nobody_lost(field)
    await field.all_back()


async def rolling_restart(field: Field) -> None:
    """All nodes are stopped and started, one after the other: all resume, nobody sees it."""
    for node in field.all():
        await field.do(node.stop)
        await field.all_back()
        await field.do(node.start)
        await field.chat(1.0)
    _nobody_anew(field)


async def drain(field: Field) -> None:
    """Nodes are drained, one after the other, and take clients again: nobody sees that."""
    for node in field.all():
        asked = next(each for each in field.all() if each is not node)
        order = partial(asked.tell, "cluster drain", node=node.name)
        said = await field.do(order)
        field.note(str(said[-1]))
        await field.all_back()
        assert not field.crowd.at(node.name), "somebody is at a node that was drained"
        await field.do(partial(order, cancel=True))
        await field.chat(1.0)
    _nobody_anew(field)


def _nobody_anew(field: Field) -> None:
    anew = [stay.who for stay in field.crowd.history.stays if stay.number > 1 and stay.is_resumable]
    assert not anew, f"began anew: {anew}"


FAULTS: dict[str, Fault] = {
    "kill-a": Fault(_kill("a")),
    "kill-b": Fault(_kill("b")),
    "kill-c": Fault(_kill("c")),
    "kill-two": Fault(kill_two),
    "kill-all": Fault(kill_all),
    "kill-and-start": Fault(kill_and_start),
    "pause": Fault(pause),
    "pause-long": Fault(pause_long),
    "cut": Fault(cut, links=("direct",)),
    "cut-one-way": Fault(cut_one_way, links=("direct",)),
    "redis-stopped": Fault(redis_stopped),
    "redis-hung": Fault(redis_hung),
    "redis-empty": Fault(redis_empty),
    "redis-cut": Fault(redis_cut),
    "redis-cut-one-way": Fault(redis_cut_one_way),
    "redis-fails-over": Fault(redis_fails_over, needs="sentinels"),
    "database-restarted": Fault(database_restarted, needs="postgresql"),
    "resumed-elsewhere": Fault(resumed_elsewhere),
    "rolling-restart": Fault(rolling_restart),
    "drain": Fault(drain),
    "one-resource": Fault(one_resource),
    "subscription": Fault(subscription),
}
