"""RedisDirectory: where the sessions of accounts are, in Redis."""

from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from typing_extensions import override

from xmppd.cluster.directory import (
    CLOSED_S,
    AccountClosed,
    Directory,
    DirectoryAway,
    DirectoryIncomplete,
    Entered,
    Found,
    ResourceTaken,
    TooManySessions,
    by_node,
)
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import Location, NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_connection import Reply, many, text
from xmppd.cluster.redis_errors import RedisError, RedisRefusal
from xmppd.cluster.redis_scripts import (
    BIND,
    CLOSE,
    MOVE,
    REASSERT,
    RELEASE,
    ROUTES,
    STRANGERS,
    SWEEP,
)
from xmppd.cluster.script import Script
from xmppd.stanza import JID

T = TypeVar("T")

MAX_ACCOUNTS_A_CALL = 1_000
"""Redis looks for this many accounts in a row, which takes it some two milliseconds."""

SWEEP_PAGE = 500
"""Keys that it looks at in a row when it sweeps."""

MAX_GONE_NODES = 1_000
"""Generations that are remembered to be gone, so that nobody has to look again."""

ATTEMPTS = 3
"""How often an account is entered anew because places in it turned out to be void."""


class RedisDirectory(Directory):
    """One node's view of the directory.

    A place of a generation that is not in any more is nobody's, from the moment that this is known
    here (CL-72). Of one that is not known here it is looked up who is in: it may have joined just
    now.

    Args:
        redis: What belongs to an account is at one of its servers, found by the bare JID.
        prefix: Of all keys of this cluster.
        membership: Who is in.
    """

    def __init__(self, redis: Redis, prefix: str, membership: Membership) -> None:
        self._redis = redis
        self._sessions = f"{prefix}:u:"
        self._closed = f"{prefix}:closed:"
        self._fenced = f"{prefix}:fenced"
        self._membership = membership
        self._highest = 0
        self._gone: dict[NodeId, None] = {}

    # -- one session ------------------------------------------------------------------------------

    @override
    async def enter(self, jid: JID, *, conflict: str, max_sessions: int) -> Entered:
        resource = jid.resource or ""
        keys = (self._sessions + jid.bare, self._closed + jid.bare, self._fenced)
        void: dict[str, str] = {}
        for _ in range(ATTEMPTS):
            arguments = (resource, str(self._membership.id), conflict, max_sessions, self._highest)
            reply = await self._call(BIND, jid.bare, keys, *arguments, *_pairs(void))
            done, *more = many(reply)
            if done == b"closed":
                raise AccountClosed(f"{jid.bare} is being closed")
            serial, places = more
            others, void = await self._sorted(_by_resource(places))
            if done == b"bound":
                return Entered(self._noted(serial), others)
            if done == b"taken" and resource in others:
                raise ResourceTaken(others[resource])
            if done == b"full" and not void:
                raise TooManySessions(others)
        raise DirectoryAway(f"the sessions of {jid.bare} change too fast")

    @override
    async def leave(self, jid: JID, serial: int) -> None:
        place = str(Location(self._membership.id, serial))
        await self._call(RELEASE, jid.bare, (self._sessions + jid.bare,), jid.resource or "", place)

    @override
    async def move(self, jid: JID, old: Location) -> bool:
        id = self._membership.id
        keys = (self._sessions + jid.bare, self._fenced)
        places = (str(old), str(Location(id, old.serial)))
        moved = await self._call(MOVE, jid.bare, keys, jid.resource or "", *places, str(id))
        return moved == 1

    @override
    async def reassert(self, jid: JID, serial: int, *, rebuild: bool) -> Entered:
        resource = jid.resource or ""
        keys = (self._sessions + jid.bare, self._fenced)
        void: dict[str, str] = {}
        for _ in range(ATTEMPTS):
            arguments = (resource, str(self._membership.id), serial, int(rebuild), self._highest)
            reply = await self._call(REASSERT, jid.bare, keys, *arguments, *_pairs(void))
            entered, held = many(reply)
            places = {} if held is None else {resource: text(held)}
            others, void = await self._sorted(places)
            if entered is not None:
                return Entered(self._noted(entered), others)
            if others:
                raise ResourceTaken(others[resource])
        raise DirectoryAway(f"the sessions of {jid.bare} change too fast")

    # -- accounts ---------------------------------------------------------------------------------

    @override
    async def sessions_of(self, account: str) -> Mapping[str, Location]:
        try:
            shard = self._redis.shard_of(account)
            reply = await self._redis.execute("HGETALL", self._sessions + account, shard=shard)
        except RedisError as error:
            raise DirectoryAway(str(error)) from None
        living, _ = await self._sorted(_by_resource(reply))
        return living

    @override
    async def nodes_of(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        shards = defaultdict[int, list[str]](list)
        for account in accounts:
            shards[self._redis.shard_of(account)].append(account)
        asked = [page for found in shards.values() for page in pages(found, MAX_ACCOUNTS_A_CALL)]
        places = dict[str, list[Location]]()
        if len(asked) == 1:
            places = await self._routes(asked[0])
        else:
            for page in await _together([self._routes(each) for each in asked]):
                places.update(page)
        id = self._membership.id
        await self._meet(place.node for found in places.values() for place in found)
        nodes = {
            account: by_node([each for each in found if self._is_in(each.node)], but=id)
            for account, found in places.items()
        }
        there = {account: found for account, found in nodes.items() if found}
        if not self._membership.complete and len(there) < len(set(accounts)):
            raise DirectoryIncomplete(there)
        return there

    async def _routes(self, accounts: Sequence[str]) -> dict[str, list[Location]]:
        """The places of accounts that have one key each at the same server."""
        keys = [self._sessions + account for account in accounts]
        reply = many(await self._call(ROUTES, accounts[0], keys))
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {
            accounts[index]: list(filter(None, (_location(text(each)) for each in many(places))))
            for index, places in pairs
            if isinstance(index, int)
        }

    @override
    async def close_account(self, account: str) -> Mapping[str, Location]:
        keys = (self._sessions + account, self._closed + account)
        reply = await self._call(CLOSE, account, keys, int(CLOSED_S))
        living, _ = await self._sorted(_by_resource(reply))
        return living

    @override
    async def look_through(self, node: NodeId, found: Found) -> None:
        for shard in range(len(self._redis.servers)):
            async for words in self._scan(SWEEP, shard, str(node)):
                page = defaultdict[str, dict[str, Location]](dict)
                for account, resource, place in _threes(words):
                    page[account][resource] = Location.parse(place)
                if page:
                    await found(page)

    @override
    async def strangers(self) -> Mapping[NodeId, int]:
        counts = Counter[NodeId]()
        await self._membership.refresh()
        if not self._membership.complete:
            return counts
        ids = [str(node.id) for node in (self._membership.node, *self._membership.nodes.values())]
        for shard in range(len(self._redis.servers)):
            async for words in self._scan(STRANGERS, shard, *ids):
                for place in map(_location, map(text, words)):
                    if place is not None:
                        counts[place.node] += 1
        return counts

    async def _scan(
        self, script: Script, shard: int, *arguments: str
    ) -> AsyncIterator[list[Reply]]:
        """What a script finds in each page of the keys of a server."""
        cursor: Reply = b"0"
        while True:
            given: tuple[str | int, ...] = (text(cursor), SWEEP_PAGE, self._sessions, *arguments)
            cursor, words = many(await self._ask(script, (), *given, shard=shard))
            yield many(words)
            if cursor == b"0":
                return

    @override
    async def sweep(self, node: NodeId, found: Found) -> None:
        async def forget(page: Mapping[str, Mapping[str, Location]]) -> None:
            await found(page)
            for account, sessions in page.items():
                await self._forget(account, sessions)

        await self.look_through(node, forget)

    async def _forget(self, account: str, sessions: Mapping[str, Location]) -> None:
        for resource, place in sessions.items():
            await self._call(RELEASE, account, (self._sessions + account,), resource, str(place))

    # -- who is in --------------------------------------------------------------------------------

    def _is_in(self, node: NodeId) -> bool:
        return node == self._membership.id or self._membership.is_in(node)

    def _is_known(self, node: NodeId) -> bool:
        """Whether it is known here what has become of a generation."""
        membership = self._membership
        if self._is_in(node) or node in self._gone or node.name == membership.id.name:
            return True
        later = membership.nodes.get(node.name)
        return later is not None and later.id.generation > node.generation

    async def _meet(self, nodes: Iterable[NodeId]) -> None:
        """See what has become of generations that are not known here.

        Raises:
            DirectoryAway: It does not answer.
        """
        unknown = {node for node in nodes if not self._is_known(node)}
        if not unknown:
            return
        if not await self._membership.refresh():
            raise DirectoryAway(f"the state of node {min(unknown)} is unknown")
        for node in unknown:
            if not self._is_in(node):
                if len(self._gone) >= MAX_GONE_NODES:
                    del self._gone[next(iter(self._gone))]
                self._gone[node] = None

    async def _sorted(
        self, places: Mapping[str, str]
    ) -> tuple[dict[str, Location], dict[str, str]]:
        """The sessions that there are, and the places that are void."""
        found = {resource: _location(place) for resource, place in places.items()}
        await self._meet(place.node for place in found.values() if place is not None)
        # While nodes come back to an empty directory, who is not in yet may be soon (CL-75).
        complete = self._membership.complete
        living = {
            resource: place
            for resource, place in found.items()
            if place is not None and (not complete or self._is_in(place.node))
        }
        return living, {r: place for r, place in places.items() if r not in living}

    # -- Redis ------------------------------------------------------------------------------------

    def _noted(self, serial: Reply) -> int:
        """A serial; those to come shall be higher, also if the clock of Redis is set back."""
        number = int(text(serial))
        self._highest = max(self._highest, number)
        return number

    async def _call(
        self, script: Script, account: str, keys: Sequence[str], *arguments: str | int
    ) -> Reply:
        return await self._ask(script, keys, *arguments, shard=self._redis.shard_of(account))

    async def _ask(
        self, script: Script, keys: Sequence[str], *arguments: str | int, shard: int
    ) -> Reply:
        try:
            return await self._redis.call(script, keys, *arguments, shard=shard)
        except RedisRefusal as refusal:
            if refusal.word == "FENCED":
                await self._membership.refresh()
            raise DirectoryAway(str(refusal)) from None
        except RedisError as error:
            raise DirectoryAway(str(error)) from None


async def _together(work: Iterable[Coroutine[Deferred[Any], Any, T]]) -> list[T]:
    """All results; if one fails, its error."""
    try:
        return await gatherResults(
            [Deferred.fromCoroutine(each) for each in work], consumeErrors=True
        )
    except FirstError as error:
        error.subFailure.raiseException()


def _location(place: str) -> Location | None:
    """The location that somebody has written; None if it is none."""
    try:
        return Location.parse(place)
    except ValueError:
        return None


def _by_resource(reply: Reply) -> dict[str, str]:
    """A hash, as Redis tells it."""
    words = [text(word) for word in many(reply)]
    return dict(zip(words[::2], words[1::2], strict=True))


def _pairs(places: Mapping[str, str]) -> Iterator[str]:
    for resource, place in places.items():
        yield resource
        yield place


def _threes(words: list[Reply]) -> Iterator[tuple[str, str, str]]:
    every = iter(map(text, words))
    return zip(every, every, every, strict=True)


def pages(accounts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """These, so many at once."""
    for start in range(0, len(accounts), size):
        yield accounts[start : start + size]


__all__ = ["RedisDirectory"]
