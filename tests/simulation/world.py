"""A world: three nodes of one service, their clients, and a schedule that is played."""

from collections.abc import Iterator
from random import Random
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from typing_extensions import override

from tests.simulation.late_database import LateDatabase
from tests.simulation.person import Person
from tests.simulation.schedule import DOMAIN, NAMES, PEOPLE, Schedule
from tests.simulation.simulated_bus import SimulatedBus, SimulatedLinks, Wires
from tests.simulation.simulated_redis import (
    SLOW_S,
    RedisState,
    SimulatedClaimBoard,
    SimulatedLeaseBoard,
    SimulatedRedis,
    WayToRedis,
)
from tests.simulation.simulated_time import DriftingClock, SimulatedTime
from tests.simulation.steps import Step
from xmppd.cluster.bus import Outcome
from xmppd.cluster.claims import Claims
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.entries.accounts import Unbind
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.leases import LeasedMembership
from xmppd.cluster.membership import NodeFenced, NodeLeft, NodeLost
from xmppd.cluster.memory_claim_board import MemoryClaimBoard
from xmppd.cluster.node import Node, NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_directory import RedisDirectory
from xmppd.cluster.tally import NoTally
from xmppd.events import OWNER, On
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionBound
from xmppd.store.rosters import RosterItem
from xmppd.store.store import Store
from xmppd.testing.client import done
from xmppd.testing.house import SOME_AFTERNOON, House, house_config
from xmppd.testing.network import Network
from xmppd.testing.nodes import SharedMemoryDatabase

LEASE_S, GRACE_S = 5.0, 30.0
AGAIN_AFTER_S = 0.5
UNDER_WAY_S = 20.0
"""The longest that something is, while a wire is cut or a process stands still."""

QUIET_S = 120.0
"""Grace, leases, and all that is tried again for a while, are over when all has been well for so
long."""

CONFIG = house_config(
    DOMAIN, cluster={"grace_s": GRACE_S, "lease_s": LEASE_S}, sessions={"max_per_account": 20}
)


class Door:
    """Where clients come in.

    Attributes:
        is_open: Whether they do.
    """

    is_open = True

    async def close(self) -> None:
        """Let nobody in."""
        self.is_open = False

    async def open_again(self) -> None:
        """Let everybody in again."""
        self.is_open = True


class SimulatedNode(House):
    """One life of a node.

    Args:
        world: That it lives in.
        name: The node's.
        before: The generation of its former life; 0 if there was none.

    Attributes:
        node: Its name and generation.
        started: Whether clients may come.
        heard_of: The nodes that it was told are gone.
        unbound: The highest serial of each full JID that it was told is replaced.
    """

    clock: DriftingClock

    def __init__(self, world: "World", name: str, before: int) -> None:
        self.world = world
        self.name = name
        self.before = before
        self.started = False
        self.heard_of: set[str] = set()
        self.unbound: dict[str, int] = {}
        clock = DriftingClock(world.time, world.rates[name])
        conditions, random = world.schedule.conditions, world.random(f"store of {name}")
        self.database = LateDatabase(world.database, world.time, clock, random, conditions.store_s)
        self.database.longest_s = 0.0  # while it is opened
        store = Store(self.database, clock, self.wall_clock)
        super().__init__(
            DOMAIN, config=CONFIG, plugins=("blocking",), store=store, clock=clock,
            wall_ahead_s=SOME_AFTERNOON - 1_000.0,
        )  # fmt: skip
        self.database.on_write = self._written
        self.door = Door()
        self.server.drain.doors = (self.door,)
        self.server.drain.targets._random = world.random(f"lots of {name}")
        self._take, self.server.cluster.bus.take = self.server.cluster.bus.take, self._taken
        self.server.events.put(On(NodeLost, self._hear), OWNER)
        self.server.events.put(On(NodeLeft, self._hear), OWNER)
        self.server.events.put(On(SessionBound, self._bound), OWNER)
        self.server.events.put(On(NodeFenced, self._fenced), OWNER)

    @property
    def id(self) -> NodeId:
        """Its name and generation."""
        return self.membership.id

    @override
    def join(self) -> Cluster:
        world = self.world
        self.network = Quiet()
        self.way = WayToRedis(
            world.redis, self.name, self.clock, world.random(f"way of {self.name}")
        )
        node = Node(id=NodeId(self.name, self.before), instance=self.name)
        self.membership = LeasedMembership(
            SimulatedLeaseBoard(self.way), node, LEASE_S, self.clock, self.lease_clock
        )
        world.join(self.membership, self.way)
        if world.schedule.conditions.links:
            self.membership.links = SimulatedLinks(world.wires, self.membership, self.clock)
        else:
            self.membership.silence_s = GRACE_S
        bus = SimulatedBus(world.wires, self.membership, self.clock, BusSettings((DOMAIN,)))
        self.membership.on_voice = (bus.go_on,)
        directory = RedisDirectory(cast(Redis, SimulatedRedis(self.way)), "x", self.membership)
        board = SimulatedClaimBoard(self.way, MemoryClaimBoard(world.redis.claims, self.membership))
        claims = Claims(board, self.membership, bus)
        return Cluster(self.membership, directory, bus, claims, NoTally())

    def lease_clock(self) -> float:
        """By which it is told how long the lease lasts."""
        return self.clock.seconds()

    @override
    def begin(self, starting: Deferred[None]) -> None:
        self.database.longest_s = self.world.schedule.conditions.store_s
        starting.addCallback(self._started)

    def _started(self, _: None) -> None:
        self.started = True

    def _taken(self, sender: NodeId, entry: BusEntry) -> Outcome:
        if not self.membership.is_in(sender):
            self.world.fault(f"S6: {self.id} handles something of {sender}, which is gone")
        if isinstance(entry, Unbind):
            self.unbound[entry.session] = max(entry.serial, self.unbound.get(entry.session, 0))
        return self._take(sender, entry)

    def _bound(self, event: SessionBound) -> None:
        full, serial = event.session.jid.full, event.session.serial
        if serial <= self.unbound.get(full, 0):
            self.world.fault(f"S5: {self.id} binds {full}, and was told that it is replaced")

    def _written(self) -> None:
        if self.id in self.world.known_gone:
            self.world.fault(f"S6: {self.id} writes to the store, and others know it is gone")

    def _hear(self, event: NodeLost | NodeLeft) -> None:
        self.world.known_gone.setdefault(event.node.id, self.world.time.now)
        self.heard_of.add(str(event.node.id))
        self.world.node_event(f"{self.id}: {event.__class__.__name__} {event.node.id}")

    def _fenced(self, event: NodeFenced) -> None:
        """Begin anew, as the service does."""
        self.world.node_event(f"{self.id} is fenced")
        self.server.drop()
        self.world.end_life(self)
        self.world.time.after(AGAIN_AFTER_S, self.world.start, self.name)

    def sessions(self) -> Iterator[LocalClientSession]:
        """The sessions here that have a resource."""
        return (each for each in self.server.session_manager.sessions.values() if each.bound)


class World:
    """Plays a schedule.

    Args:
        schedule: What happens.

    Attributes:
        time: The true one.
        nodes: The present life of each node whose process is there, by name.
        people: Clients by number.
        sent: The messages that were sent, by number: by whom, and to whom.
        known_gone: When somebody first knew that a node is gone.
        was_violent: Whether a process was killed or stopped, a wire cut, or Redis not well.
        changed: Pairs of accounts of which one has changed what the other may see.
        crossed: Those of which both have, while what either had said may have been under way.
        ended: Lives that are over, kept for the same reason as what they left undone.
        faults: What was found to be wrong while it was played.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.time = SimulatedTime()
        self.database = SharedMemoryDatabase()
        self.store = Store(self.database, Clock(), lambda: SOME_AFTERNOON + self.time.now)
        self.redis = RedisState(self.time)
        self.redis.on_fenced = self._declared_dead
        drift = self.random("clocks")
        self.rates = {name: 1 + drift.uniform(-0.02, 0.02) for name in NAMES}
        self.wires = Wires(self.time, self.random("wires"), schedule.conditions.frames_s)
        self.nodes: dict[str, SimulatedNode] = {}
        self.ended: list[SimulatedNode] = []
        self.generations: dict[str, int] = {}
        self.people: dict[int, Person] = {}
        self.sent: dict[int, Sent] = {}
        self.known_gone: dict[NodeId, float] = {}
        self.was_violent = self.was_lossy = False
        self.changed: set[frozenset[str]] = set()
        self.crossed: set[frozenset[str]] = set()
        self._changed_at: dict[tuple[str, str], float] = {}
        self.faults: list[str] = []
        self._add_people()
        for name in NAMES:
            self.start(name)

    def random(self, what: str) -> Random:
        """A source of chance of its own, so that one thing more or less changes little else."""
        return Random(f"{self.schedule.seed} {what}")  # the same each time

    def _add_people(self) -> None:
        for name in PEOPLE:
            done(self.store.accounts.create_account(self.jid(name), []))
            items = [
                RosterItem(self.jid(other), subscription="both")
                for other in PEOPLE
                if other != name
            ]
            done(self.store.rosters.save_roster_items(self.jid(name), items))

    def fault(self, what: str) -> None:
        """Note that something is wrong."""
        if what not in self.faults:
            self.faults.append(what)

    # -- nodes ------------------------------------------------------------------------------------

    def join(self, membership: LeasedMembership, way: WayToRedis) -> None:
        """Have a node be in, without waiting: that is not what is played."""
        way.is_quick = True
        done(membership.join())
        way.is_quick = False

    def end_life(self, node: SimulatedNode) -> None:
        """Have a process be gone."""
        node.clock.ended = True
        self.ended.append(node)
        self.wires.ends.pop(node.id, None)
        if self.nodes.get(node.name) is node:
            del self.nodes[node.name]
        for person in self.people.values():
            if person.node == str(node.id):
                person.listen(self.time.now)
                person.gone = True
                person.ended_at = person.ended_at or self.time.now

    def _declared_dead(self, target: NodeId, by: NodeId) -> None:
        silent_s = self.wires.silent_for_s(by.name, target)
        if self.schedule.conditions.links and silent_s < LEASE_S - SLOW_S:
            self.fault(f"S6: {by} declares {target} dead, of which it has heard {silent_s} s ago")

    # -- steps ------------------------------------------------------------------------------------

    def jid(self, name: str) -> str:
        """The bare JID of a name."""
        return f"{name}@{DOMAIN}"

    def log_in(self, client: int, full: str, node: str, *, managed: bool) -> None:
        """A client connects to a node."""
        there = self._open(node)
        if there is not None:
            account = full.partition("/")[0]
            connection = there.logged_in(account)
            person = Person(client, full, str(there.id), connection, managed=managed)
            self.people[client] = person
            person.present(f"first of {client}")
            person.begin()

    def _open(self, node: str) -> SimulatedNode | None:
        """A node to which clients may connect now."""
        there = self.nodes.get(node)
        if there is None or not there.started or there.clock.stopped or not there.door.is_open:
            return None
        return there if there.membership.speaks else None

    def person(self, client: int) -> Person | None:
        """The client of this number, if it has a session and a connection."""
        person = self.people.get(client)
        return person if person is not None and person.ready else None

    def resume(self, client: int, node: str) -> None:
        """A client comes back to its session."""
        person = self.people.get(client)
        if person is None or person.gone or not person.id:
            return
        if not (person.deaf or person.client.transport.lost):
            return
        there = self._open(node or NodeId.parse(person.node).name)
        if there is not None:
            person.resume(str(there.id), there.logged_in(person.account))

    def note_sent(self, person: Person, number: int, to: str) -> None:
        """Note that a message is about to be sent."""
        self.sent[number] = Sent(person, to, self.time.now)

    def note_change(self, person: Person, whom: str) -> None:
        """Note that an account changes what another one may see."""
        account, other = person.account, self.jid(whom)
        self.changed.add(frozenset((account, other)))
        self._changed_at[account, other] = self.time.now
        before = self._changed_at.get((other, account))
        if before is not None and self.was_violent and self.time.now - before < UNDER_WAY_S:
            self.crossed.add(frozenset((account, other)))

    def new_password(self, name: str, node: str) -> None:
        """An account gets another password."""
        there = self._open(node)
        if there is not None:
            changing = there.server.accounts.set_password(there.jid(name), "new")
            Deferred.fromCoroutine(changing).addErrback(lambda failure: None)

    def kill(self, node: str) -> None:
        """A process is gone; the last one stays."""
        there = self.nodes.get(node)
        if there is not None and len(self.nodes) > 1:
            self.was_violent = self.was_lossy = True
            self.end_life(there)

    def start(self, node: str) -> None:
        """A process begins, unless it runs."""
        if node in self.nodes:
            return
        if node in self.redis.away:
            self.time.after(1.0, self.start, node)
            return
        house = SimulatedNode(self, node, self.generations.get(node, 0))
        self.generations[node] = house.id.generation
        self.nodes[node] = house

    def pause(self, node: str, for_s: float) -> None:
        """A process stands still."""
        there = self.nodes.get(node)
        if there is not None:
            self.was_violent = True
            there.clock.stop_for(for_s)

    def drain(self, node: str, for_s: float) -> None:
        """A node hands over all that it has, and takes clients again after a while."""
        there = self._open(node)
        if there is not None:
            there.server.drain.begin()
            self.time.after(for_s, there.clock.happen, self._take_clients, there)

    def _take_clients(self, node: SimulatedNode) -> None:
        cancelling = Deferred.fromCoroutine(node.server.drain.cancel())
        cancelling.addErrback(lambda failure: self.fault(f"{node.id}: {failure.value!r}"))

    def set_time_of_day(self, node: str, by_s: float) -> None:
        """A machine's time of day is set, which concerns nobody."""
        there = self.nodes.get(node)
        if there is not None:
            there.wall_ahead_s += by_s

    def cut(self, one: str, other: str, for_s: float) -> None:
        """Nothing comes from one node to another."""
        self.was_violent = True
        self.wires.cut(one, other)
        self.time.after(for_s, self.wires.mend, one, other)

    def redis_away(self, nodes: tuple[str, ...], for_s: float) -> None:
        """Redis does not answer these nodes; without links, nothing comes to them."""
        self.was_violent = self.was_lossy = True
        new = set(nodes) - self.redis.away
        self.redis.away |= new
        pairs = [(a, b) for a in NAMES for b in NAMES if a != b and new & {a, b}]
        if self.schedule.conditions.links:
            pairs = []
        for pair in pairs:
            self.wires.cut(*pair)
        self.time.after(for_s, self._redis_back, new, pairs)

    def _redis_back(self, nodes: set[str], pairs: list[tuple[str, str]]) -> None:
        self.redis.away -= nodes
        for pair in pairs:
            self.wires.mend(*pair)

    def redis_slow(self, for_s: float) -> None:
        """Redis takes its time."""
        self.was_violent = True
        self.redis.slow_until = max(self.redis.slow_until, self.time.now + for_s)

    def redis_empty(self) -> None:
        """Redis has lost everything."""
        self.was_violent = True
        self.redis.empty()

    def redis_fails_over(self, lost_s: float) -> None:
        """Another Redis takes over, which lacks what was written lately."""
        self.was_violent = True
        self.redis.fail_over(lost_s)

    # -- playing ----------------------------------------------------------------------------------

    def play(self, until: float | None = None) -> None:
        """Play the schedule, and go on until all is quiet, or until a moment."""
        begin = self.time.now
        for step in self.schedule.steps:
            self.time.at(begin + step.at, self.step, step)
        last = self.schedule.steps[-1].at if self.schedule.steps else 0.0
        if until is not None:
            self._turn_until(begin + until)
            return
        self._turn_until(begin + last + 20.0 + QUIET_S)
        while any(node.server.routing_table.siblings.arriving for node in self.nodes.values()):
            self._turn_until(self.time.now + 0.1)  # a place is being looked at
            if self.time.now > begin + last + 40.0 + QUIET_S:
                break

    def step(self, step: Step) -> None:
        """Have a step happen."""
        self.redis.keep()
        step.play(self)

    def heard(self, person: Person, data: bytes) -> None:
        """Take note of what a client hears."""

    def node_event(self, what: str) -> None:
        """Take note of what becomes of a node."""

    def _turn_until(self, end: float) -> None:
        turn, time = self.time.turn, self.time
        while turn(end):
            for person in tuple(self.people.values()):
                if person.has_news:
                    self._listen(person)
        time.now = max(time.now, end)

    def _listen(self, person: Person) -> None:
        known = len(person.got)
        if person.has_something:
            self.heard(person, person.client.transport.value())
        person.listen(self.time.now)
        if len(person.got) > known and NodeId.parse(person.node) in self.known_gone:
            self.fault(f"S6: {person.full} gets a message of {person.node}, which is gone")

    def sessions(self) -> Iterator[tuple[SimulatedNode, LocalClientSession]]:
        """All sessions, each with its node."""
        for node in self.nodes.values():
            for session in node.sessions():
                yield node, session


class Sent:
    """A message that was sent.

    Attributes:
        by: The client.
        to: Bare or full JID.
        at: When.
        node: Of the sender.
    """

    def __init__(self, by: Person, to: str, at: float) -> None:
        self.by = by
        self.to = to
        self.at = at
        self.node = by.node


class Quiet(Network):
    """A network in which nothing is: what is under way is so by the world's time."""

    @override
    def later(self, call: object, *args: object) -> None:
        raise AssertionError("nothing goes by this")
