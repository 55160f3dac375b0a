"""What has to hold when a schedule has been played and all is quiet: each returns sentences."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import permutations

from tests.simulation.person import Person
from tests.simulation.schedule import PEOPLE
from tests.simulation.world import Sent, SimulatedNode, World
from xmppd.cluster.conversations import Conversations
from xmppd.cluster.node import Location, NodeId
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import done

READ_WITHIN_S = 15.0
"""What a client has sent is read by then, if its connection lasts."""

_STATUS = re.compile(rb"<status>([^<]*)</status>")
_BODY = re.compile(rb"<body>(\d+)</body>")


class Truth:
    """What there is when all is quiet.

    Attributes:
        world: That was played.
        sessions: All sessions, each with its node.
        items: The rosters in the store, by account and contact.
        blocked: Whom each account blocks.
        stored_for: The numbers of the messages that wait, by account.
        stored: All of them.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        for node in world.nodes.values():
            node.database.longest_s = 0.0  # what is asked here is not waited for
        self.sessions = list(world.sessions())
        self.items: dict[str, dict[str, RosterItem]] = {}
        self.blocked: dict[str, set[str]] = {}
        self.stored_for: dict[str, list[int]] = {}
        somebody = next(iter(world.nodes.values()))
        for bare in map(world.jid, PEOPLE):
            roster = done(world.store.rosters.roster(bare))
            self.items[bare] = {item.jid: item for item in roster.items}
            _, lists = done(somebody.server.privacy_lists._read(JID.prepared(bare)))
            self.blocked[bare] = {jid.bare for jid in lists.blocked}
            for waiting in done(world.store.offline.offline_messages(bare)):
                self.stored_for.setdefault(bare, []).extend(_numbers(waiting.stanza))
        self.stored = [number for numbers in self.stored_for.values() for number in numbers]

    def may_see(self, viewer: str, account: str) -> bool:
        """Whether an account may see another one."""
        if viewer == account:
            return True
        ours, theirs = self.items[account].get(viewer), self.items[viewer].get(account)
        if ours is None or ours.subscription not in ("from", "both"):
            return False
        if theirs is None or theirs.subscription not in ("to", "both"):
            return False
        return viewer not in self.blocked[account] and account not in self.blocked[viewer]

    def nodes_of(self, bare: str, *, available: bool = False) -> set[NodeId]:
        """The nodes with sessions of an account, or with available ones."""
        return {
            node.id
            for node, session in self.sessions
            if session.jid.bare == bare and (session.presence is not None or not available)
        }

    def agree(self, viewer: str, account: str) -> bool:
        """Whether both halves of a subscription say the same."""
        ours, theirs = self.items[account].get(viewer), self.items[viewer].get(account)
        is_seen = ours is not None and ours.subscription in ("from", "both")
        sees = theirs is not None and theirs.subscription in ("to", "both")
        return is_seen == sees

    def session(self, person: Person) -> LocalClientSession | None:
        """The session of a client that is connected and hears."""
        if person.gone or person.deaf or person.client.transport.lost:
            return None
        for _, session in self.sessions:
            if session.connection is person.client.handler:
                return session
        return None

    def held(self) -> set[int]:
        """The numbers of messages that wait for a client that may come back to its session."""
        waiting: list[bytes] = []
        for _, session in self.sessions:
            if session.backlog is not None:
                waiting += [wire for _, wire, _ in session.backlog.waiting()]
            if session.management is not None:
                waiting += [wire for _, wire, _ in session.management.unacknowledged()]
        return {number for wire in waiting for number in _numbers(wire)}


Invariant = Callable[[Truth], Iterator[str]]


def _numbers(wire: bytes) -> list[int]:
    return [int(number) for number in _BODY.findall(wire)]


# -- S1, S2: messages -----------------------------------------------------------------------------


def nothing_is_lost(truth: Truth) -> Iterator[str]:
    """S1: a message that the server has taken over is delivered, stored or bounced."""
    for number, count in Counter(truth.stored).items():
        if count > 1:
            yield f"S1: message {number} is stored {count} times"
    arrived = truth.held() | set(truth.stored)
    for person in truth.world.people.values():
        arrived.update(number for number, _ in person.got)
    for number, sent in truth.world.sent.items():
        if number in arrived or number in sent.by.bounced:
            continue
        if number in sent.by.acknowledged or (_is_read(sent) and not truth.world.was_violent):
            yield f"S1: message {number} from {sent.by.full} to {sent.to} is lost"


def _is_read(sent: Sent) -> bool:
    """Whether the server has read it, as far as that can be known: the connection lasted."""
    ended_at = sent.by.ended_at
    return not sent.by.managed and (ended_at is None or ended_at > sent.at + READ_WITHIN_S)


def nothing_waits_in_vain(truth: Truth) -> Iterator[str]:
    """S1: messages wait only for who is not there."""
    held = truth.held()
    for bare, waiting in truth.stored_for.items():
        numbers = [number for number in waiting if number not in held]
        for _, session in truth.sessions:
            if session.jid.bare == bare and session.presence is not None and numbers:
                yield f"S1: messages {numbers} wait for {bare}, and {session.jid.full} is there"


def nothing_comes_twice(truth: Truth) -> Iterator[str]:
    """S1: at most once, but for a process that is killed at the wrong moment."""
    world = truth.world
    if world.was_violent:
        return
    for person in world.people.values():
        counts = Counter(number for number, _ in person.got)
        for number, count in counts.items():
            if count > 1:
                yield f"S1: {person} got message {number} {count} times"
    for number, (at, person) in _first_to_get(world).items():
        if person.ended_at is not None and person.ended_at < at + READ_WITHIN_S:
            continue  # it may not have acknowledged it
        if number in truth.stored:
            yield f"S1: message {number} is stored, and {person} has got it"
        for other in world.people.values():
            late = other.came_at is not None and other.came_at > at
            if late and any(each == number for each, _ in other.got):
                yield f"S1: {person} got message {number}, and so did {other}, who came later"


def _first_to_get(world: World) -> dict[int, tuple[float, Person]]:
    """When each message was given to somebody first, and to whom."""
    first: dict[int, tuple[float, Person]] = {}
    for person in world.people.values():
        for number, at in person.got:
            if number not in first or at < first[number][0]:
                first[number] = at, person
    return first


def messages_keep_their_order(truth: Truth) -> Iterator[str]:
    """S2: what one client sends to one address comes to each session in its order."""
    world = truth.world
    for person in world.people.values():
        last: dict[tuple[int, str], int] = {}
        seen: set[int] = set()
        for number, _ in person.got:
            if number in seen or number not in world.sent:
                continue
            seen.add(number)
            sent = world.sent[number]
            key = sent.by.number, sent.to
            if last.get(key, 0) > number:
                yield f"S2: {person} got message {number} of {sent.by} behind {last[key]}"
            last[key] = max(number, last.get(key, 0))


# -- S3, S4: presence -----------------------------------------------------------------------------


def everybody_is_seen(truth: Truth) -> Iterator[str]:
    """S3: who is available is seen by those who may see it, as it is, and by nobody else."""
    world = truth.world
    shown = {
        session.jid.full: (session, _status(session))
        for _, session in truth.sessions
        if session.presence is not None
    }
    for person in world.people.values():
        session = truth.session(person)
        if session is None or session.presence is None:
            continue
        visible = {
            full: text
            for full, (other, text) in shown.items()
            if truth.may_see(person.account, other.jid.bare)
        }
        for full in sorted(visible.keys() | person.sees.keys()):
            if not truth.agree(person.account, full.partition("/")[0]):
                continue  # S7 says whether that is right
            seen, there = person.sees.get(full), visible.get(full)
            if seen != there:
                yield f"S3: {person} at {person.node} sees {full} as {seen}, and it is {there}"


def goodbyes_are_heard_once(truth: Truth) -> Iterator[str]:
    """S4: nobody is told that somebody has gone whom it did not see."""
    world = truth.world
    for person in world.people.values():
        for ghost in person.ghosts:
            if frozenset((person.account, ghost.partition("/")[0])) not in truth.world.changed:
                yield f"S4: {person} hears a goodbye of {ghost}, whom it did not see"


def _status(session: LocalClientSession) -> str:
    assert session.presence is not None
    found = _STATUS.search(session.presence.wire())
    return found[1].decode() if found else ""


# -- S5: one of each ------------------------------------------------------------------------------


def all_are_one(truth: Truth) -> Iterator[str]:
    """S5: a full JID has one session; what lives once has one owner."""
    where = defaultdict[str, list[str]](list)
    for node, session in truth.sessions:
        where[session.jid.full].append(str(node.id))
    for full, nodes in where.items():
        if len(nodes) > 1:
            yield f"S5: {full} has sessions at {', '.join(nodes)}"


# -- S7: rosters ----------------------------------------------------------------------------------


def rosters_agree(truth: Truth) -> Iterator[str]:
    """S7: rosters in memory are those of the store; both halves of a subscription agree, unless
    what both have said has crossed on its way, of which :rfc:`6121#appendix-A` knows nothing.
    """
    world = truth.world
    for node in world.nodes.values():
        for bare in node.server.routing_table.users:
            roster = node.server.roster_manager.loaded(bare)
            if roster is None:
                yield f"S7: {node.id} has no roster of {bare}, who is there"
            elif _as_set(roster.items.values()) != _as_set(truth.items[bare].values()):
                yield f"S7: {node.id} has another roster of {bare} than the store"
    if world.was_lossy:
        return
    for one, other in permutations(map(world.jid, PEOPLE), 2):
        if not (truth.agree(one, other) or frozenset((one, other)) in world.crossed):
            mine, theirs = truth.items[one].get(other), truth.items[other].get(one)
            yield f"S7: {one} has {mine} of {other}, who has {theirs}"


def _as_set(items: object) -> set[tuple[object, ...]]:
    assert hasattr(items, "__iter__")
    return {
        (
            item.jid,
            item.name,
            item.subscription,
            item.ask,
            item.pending_in is not None,
            item.approved,
        )
        for item in items
    }


# -- S8: nothing is left --------------------------------------------------------------------------


def directory_is_true(truth: Truth) -> Iterator[str]:
    """S8: the directory has the sessions that there are, and nodes know where contacts are."""
    world = truth.world
    there = {
        (session.jid.full, str(Location(node.id, session.serial)))
        for node, session in truth.sessions
    }
    listed = {
        (f"{key.removeprefix('x:u:')}/{resource}", place)
        for key, places in world.redis.accounts.items()
        for resource, place in places.items()
    }
    for full, place in sorted(there - listed):
        yield f"S8: {full} is at {place}, and not in the directory"
    heard_of = set().union(*(node.heard_of for node in world.nodes.values()))
    living = {str(node.id) for node in world.nodes.values()}
    for full, place in sorted(listed - there):
        node_id = place.rpartition(".")[0]
        if node_id not in living | heard_of:
            continue  # all who knew that it is gone are gone as well: nobody's, and in nobody's way
        yield f"S8: {full} is in the directory at {place}, and not there"


def interest_is_true(truth: Truth) -> Iterator[str]:
    """S8: a node knows where those are whom its people see, and of nobody who is not there."""
    for node in truth.world.nodes.values():
        interest = node.server.routing_table.interest
        for bare, places in interest.elsewhere.items():
            for place in places:
                if place.node not in truth.nodes_of(bare):
                    yield f"S8: {node.id} believes that {bare} is at {place}"
        for bare in interest.known_at:
            if node.id not in truth.nodes_of(bare):
                yield f"S8: {node.id} believes that others know of {bare}, who is not here"
        for viewer, bare in permutations(truth.items, 2):
            if node.id in truth.nodes_of(viewer, available=True) and truth.may_see(viewer, bare):
                known = {place.node for place in interest.elsewhere.get(bare, ())}
                for missing in truth.nodes_of(bare, available=True) - known - {node.id}:
                    yield f"S8: {node.id} does not know that {bare} is at {missing}"


def nothing_waits(truth: Truth) -> Iterator[str]:
    """S8: nothing waits any more."""
    world = truth.world
    for node in world.nodes.values():
        for what, waits in _waiting(node):
            if waits:
                yield f"S8: at {node.id} wait {what}: {waits}"


def _waiting(node: SimulatedNode) -> Iterator[tuple[str, object]]:
    server = node.server
    bus = server.cluster.bus
    assert isinstance(bus, Conversations)
    for other, state in bus.states().items():
        yield f"entries for {other}", state.entries
        yield f"entries of {other}", state.unhandled
        yield f"dropped entries for {other}", state.dropped
    yield "a start", not node.started
    yield "a lease", not node.membership.speaks
    yield "a whole directory", not node.membership.complete
    yield "logins", dict(server.routing_table.siblings.arriving)
    yield (
        "lines of messages",
        [
            bare
            for bare, line in server.offline_message_flood.lines.open.items()
            if line.holder or line.writes or line.awaited
        ],
    )
    yield (
        "ways that turn",
        [bare for bare, way in server.routing_table.ways.taken.items() if way.turning],
    )
    yield "places to be given back", dict(server.locations._leaving)
    yield "places to be looked for", dict(server.locations._untidy)
    yield "lines of entries", dict(server.entry_handler._lines)


ALL: tuple[Invariant, ...] = (
    nothing_is_lost,
    nothing_waits_in_vain,
    nothing_comes_twice,
    messages_keep_their_order,
    everybody_is_seen,
    goodbyes_are_heard_once,
    all_are_one,
    rosters_agree,
    directory_is_true,
    interest_is_true,
    nothing_waits,
)


def faults(world: World) -> list[str]:
    """All that is wrong in a world that is quiet."""
    truth = Truth(world)
    return world.faults + [fault for invariant in ALL for fault in invariant(truth)]
