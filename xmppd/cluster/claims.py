"""Claims: who has a thing that lives only once in the service."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.bus import Bus, Unreachable
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.things import OwnedAt, TakeUp
from xmppd.cluster.membership import Membership, NodeFenced, NodeLost
from xmppd.cluster.node import Node, NodeId
from xmppd.stanza import Later

TAKE_UP_S = 10.0
"""How long another node may take to take up a thing, which reads the store."""

MOVED_AT_ONCE = 16
"""Things that are being given to other nodes at the same time."""

MAX_KNOWN = 10_000
"""Things whose owners are known here although they are elsewhere."""

_log = Logger()


class Ownership(NamedTuple):
    """Who has a thing.

    Attributes:
        owner: That node.
        token: Rises with every owner of a thing; goes with all that is written for it.
    """

    owner: NodeId
    token: int


class Owned(Protocol):
    """A kind of things each of which lives at one node only.

    Attributes:
        kind: Its name, such as ``s2s``: small letters and digits.
    """

    kind: str

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        """Begin to serve a thing.

        Args:
            name: Its name.
            token: Goes with all that is written for it: the store refuses a lower one.
            state: What :meth:`lay_down` gave, if it comes from another node; None if it has to be
                read from the store.
        """

    async def lay_down(self, name: str) -> bytes:
        """Serve it no more, since it moves to another node; returns what must not be forgotten."""

    def lost(self, name: str) -> None:
        """Forget it and write nothing: it has another owner, or may have."""

    def absent(self, node: Node) -> None:
        """Note that a node was lost some time ago: those of its people who have not come back in
        that time are gone from all things here.
        """


class ClaimBoard(Protocol):
    """Where it is written who has what.

    Every method raises :class:`DirectoryAway` if it cannot be asked. What a node had that is not in
    any more nobody has.
    """

    async def look(self, kind: str, name: str) -> NodeId | None:
        """Who has a thing; None if nobody has it."""

    async def own(self, kind: str, name: str, id: NodeId, above: int) -> Ownership:
        """Have a node get a thing that nobody has, with a token above all before and this one.

        Returns:
            Who has it from now on, which may be another one.
        """

    async def own_again(self, kind: str, name: str, claim: Ownership) -> Ownership:
        """Say again who has a thing, since the board may have lost it: the higher token counts.

        Returns:
            Who has it from now on.
        """

    async def hand_over(self, kind: str, name: str, claim: Ownership, to: NodeId | None) -> int:
        """Have another node get a thing, or nobody, if this is who has it.

        Returns:
            The token of the next owner; 0 if there is none.
        """

    async def void(self, *, remove: bool) -> int:
        """The number of things whose owners are not in any more.

        Args:
            remove: Whether these claims are taken out; tokens go on rising all the same.
        """


async def _none_used(kind: str, name: str) -> int:
    return 0


class Claims:
    """The owners of things that live once, as one node knows them.

    While not all is written on the board again that nodes have, nobody gets anything new (CL-79). A
    thing that nobody has goes to the node with the highest lot among those that are in, do not
    drain and take its kind: whoever asks, it is the same one.

    Args:
        board: Where that is written, for all nodes.
        membership: Who is in.
        bus: Asks others to take something up.

    Attributes:
        highest_token: The highest token that an owner of a thing has used, from the store.
    """

    def __init__(self, board: ClaimBoard, membership: Membership, bus: Bus) -> None:
        self.highest_token: Callable[[str, str], Awaitable[int]] = _none_used
        self._board = board
        self._membership = membership
        self._bus = bus
        self._parts: dict[str, Owned] = {}
        self._mine: dict[tuple[str, str], int] = {}
        self._known: dict[tuple[str, str], NodeId] = {}
        self._locks: dict[tuple[str, str], DeferredLock] = {}

    def put(self, part: Owned, owner: str) -> Callable[[], Later]:
        """Take up things of this kind from now on.

        Returns:
            A function that does so no more, and gives all that is here of it to other nodes.

        Raises:
            ValueError: The kind is another's.
        """
        if part.kind in self._parts:
            raise ValueError(f"things of the kind {part.kind} are taken up already")
        self._parts[part.kind] = part
        self._say_kinds()

        def take_out() -> Later:
            del self._parts[part.kind]
            self._say_kinds()
            names = [name for kind, name in self.all_mine() if kind == part.kind]
            return self._part_with(part, names) if names else None

        return take_out

    def _say_kinds(self) -> None:
        self._membership.describe(kinds=tuple(sorted(self._parts)))

    async def _part_with(self, part: Owned, names: list[str]) -> None:
        for name in names:
            with suppress(DirectoryAway):
                await self._give_up(part, name)

    # -- whose is it ------------------------------------------------------------------------------

    def mine(self, kind: str, name: str) -> int | None:
        """The token of a thing that is ours at this moment; None if it is not."""
        return self._mine.get((kind, name)) if self._membership.speaks else None

    def all_mine(self) -> Iterator[tuple[str, str]]:
        """Kind and name of all that is ours."""
        yield from tuple(self._mine)

    def owner(self, kind: str, name: str) -> NodeId | Awaitable[NodeId]:
        """The node that has a thing; if none has it, one gets it (CL-77).

        It may be an awaitable, which raises :class:`DirectoryAway` if that is not known and cannot
        be asked for, or no node takes things of this kind.
        """
        key = (kind, name)
        if key in self._mine:
            return self._membership.id
        known = self._known.get(key)
        if known is not None and self._membership.is_in(known):
            return known
        return self._find(kind, name)

    def forget(self, kind: str, name: str) -> None:
        """Ask anew the next time who has a thing, since a node that was said to have it has not."""
        self._known.pop((kind, name), None)

    async def _find(self, kind: str, name: str) -> NodeId:
        owner = await self._board.look(kind, name)
        if owner is not None and owner != self._membership.id:
            return self._noted(kind, name, owner)
        if owner is None and not self._membership.complete:
            raise DirectoryAway("what each node owns is not known again yet")
        for node in self._by_lot(kind, name) if owner is None else (owner,):
            found = await self._have(node, kind, name)
            if found is not None:
                return self._noted(kind, name, found)
        raise DirectoryAway(f"no node takes up {kind} {name}")

    async def _have(self, node: NodeId, kind: str, name: str) -> NodeId | None:
        """The owner of a thing, after this node was asked to take it up; None if it does not."""
        if node == self._membership.id:
            return await self._take_up(kind, name)
        try:
            answer = await self._bus.ask(node, TakeUp(kind, name), TAKE_UP_S)
        except Unreachable:
            return None
        return NodeId.parse(answer.owner) if isinstance(answer, OwnedAt) and answer.owner else None

    def _noted(self, kind: str, name: str, owner: NodeId) -> NodeId:
        if owner != self._membership.id:
            self._known.pop((kind, name), None)
            if len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[kind, name] = owner
        return owner

    def _by_lot(self, kind: str, name: str) -> list[NodeId]:
        """The nodes that may get a thing, the one with the highest lot first."""
        membership = self._membership
        nodes = [
            node.id
            for node in membership.nodes.values()
            if kind in node.kinds and not node.draining
        ]
        if kind in self._parts and not (membership.node.draining and nodes):
            nodes.append(membership.id)
        thing = f"{kind} {name} ".encode()
        return sorted(nodes, key=lambda id: sha256(thing + str(id).encode()).digest(), reverse=True)

    # -- here -------------------------------------------------------------------------------------

    async def asked_to_take_up(self, sender: NodeId, entry: TakeUp) -> OwnedAt:
        """Take up a thing, since another node says so."""
        if self._membership.node.draining and not entry.token:
            return OwnedAt("")
        claim = Ownership(self._membership.id, entry.token) if entry.token else None
        owner = await self._take_up(entry.kind, entry.name, entry.state, claim)
        return OwnedAt(str(owner) if owner else "")

    async def _take_up(
        self, kind: str, name: str, state: bytes | None = None, claim: Ownership | None = None
    ) -> NodeId | None:
        """Take up a thing; returns whose it is, or None if it is nobody's and not for us."""
        part, id = self._parts.get(kind), self._membership.id
        if part is None:
            return None
        async with self._alone(kind, name):
            if (kind, name) in self._mine:
                return id
            if claim is None:
                above = await self.highest_token(kind, name)
                claim = await self._board.own(kind, name, id, above)
            if claim.owner == id:
                try:
                    await part.take_up(name, claim.token, state)
                except BaseException:
                    await self._board.hand_over(kind, name, claim, None)
                    raise
                self._mine[kind, name] = claim.token
                self._known.pop((kind, name), None)
            return claim.owner

    async def give_up(self, kind: str, name: str, to: NodeId | None = None) -> None:
        """Give a thing that is ours to another node: to this one, or to that with the highest lot.

        Raises:
            DirectoryAway: It stays nobody's until that is back; what it was is in the store.
        """
        await self._give_up(self._parts[kind], name, to)

    async def _give_up(self, part: Owned, name: str, to: NodeId | None = None) -> None:
        kind = part.kind
        async with self._alone(kind, name):
            token = self._mine.pop((kind, name), None)
            if token is None:
                return
            id = self._membership.id
            state = await part.lay_down(name)
            next_one = to or next((node for node in self._by_lot(kind, name) if node != id), None)
            claim = Ownership(id, token)
            token = await self._board.hand_over(kind, name, claim, next_one)
            if next_one is not None and token:
                # If this is not answered, it reads the store when it is asked for the thing.
                with suppress(Unreachable):
                    await self._bus.ask(next_one, TakeUp(kind, name, token, state), TAKE_UP_S)

    async def give_up_all(self) -> None:
        """Give everything to other nodes that take it, since this one drains."""
        await self._move(lambda node: node != self._membership.id)

    async def balance(self) -> int:
        """Give what another node would get if nobody had it to that node; returns the number of
        these things.
        """
        return await self._move(lambda node: True)

    async def _move(self, may_be: Callable[[NodeId], bool]) -> int:
        """Give things to the nodes with the highest lots that may be, a few at a time; those of
        which this is here stay.
        """
        moving = iter(tuple(self._mine))
        moved = 0

        async def move_some() -> None:
            nonlocal moved
            for kind, name in moving:
                to = next(filter(may_be, self._by_lot(kind, name)), self._membership.id)
                if to == self._membership.id:
                    continue
                giving = Deferred.fromCoroutine(self.give_up(kind, name, to))
                done = await giving.addCallbacks(
                    lambda _: 1, _not_moved, errbackArgs=(f"{kind} {name}",)
                )
                moved += done

        await gatherResults([Deferred.fromCoroutine(move_some()) for _ in range(MOVED_AT_ONCE)])
        return moved

    async def end(self, kind: str, name: str) -> None:
        """Have a thing that is ours be nobody's, since there is nothing more to do for it.

        Raises:
            DirectoryAway: The board still has it as ours; it is void when this node is gone.
        """
        async with self._alone(kind, name):
            token = self._mine.pop((kind, name), None)
            if token is not None:
                claim = Ownership(self._membership.id, token)
                await self._board.hand_over(kind, name, claim, None)

    # -- the board --------------------------------------------------------------------------------

    async def assert_all(self) -> None:
        """Say again what is ours, since the board may have lost it; what has a later owner is lost.

        Raises:
            DirectoryAway: The board cannot be asked.
        """
        for kind, name in self.all_mine():
            async with self._alone(kind, name):
                await self._assert(kind, name)

    async def _assert(self, kind: str, name: str) -> None:
        token = self._mine.get((kind, name))
        if token is not None:
            claim = Ownership(self._membership.id, token)
            if await self._board.own_again(kind, name, claim) != claim:
                self._lose(kind, name)

    async def differing(self, *, repair: bool) -> int:
        """Compare what is ours with the board; returns how many things another node has there, or
        nobody.

        Args:
            repair: Whether to say again that they are ours; what has a later owner is lost.

        Raises:
            DirectoryAway: The board cannot be asked.
        """
        count = 0
        for kind, name in self.all_mine():
            async with self._alone(kind, name):
                if (kind, name) not in self._mine:
                    continue
                if await self._board.look(kind, name) != self._membership.id:
                    count += 1
                    if repair:
                        await self._assert(kind, name)
        return count

    async def is_nobodys(self, kind: str, name: str) -> bool:
        """Whether nobody has a thing; nobody gets it for that.

        Raises:
            DirectoryAway: The board cannot be asked.
        """
        return await self._board.look(kind, name) is None

    async def void(self, *, remove: bool) -> int:
        """Count what is written on the board of nodes that are not in any more.

        Args:
            remove: Whether to take it out.

        Raises:
            DirectoryAway: The board cannot be asked.
        """
        return await self._board.void(remove=remove)

    @asynccontextmanager
    async def _alone(self, kind: str, name: str) -> AsyncIterator[None]:
        """Nobody else does anything to this thing meanwhile."""
        lock = self._locks.setdefault((kind, name), DeferredLock())
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop((kind, name), None)

    def _lose(self, kind: str, name: str) -> None:
        if self._mine.pop((kind, name), None) is not None:
            self._parts[kind].lost(name)

    # -- nodes ------------------------------------------------------------------------------------

    def node_lost(self, event: NodeLost) -> None:
        """Tell all parts that a node was lost, and the time is over in which its people may come
        back; what it had goes to others when it is asked for.
        """
        for part in tuple(self._parts.values()):
            part.absent(event.node)

    def fenced(self, _: NodeFenced) -> None:
        """Forget everything: it has other owners, or will have (CL-78)."""
        for kind, name in self.all_mine():
            self._lose(kind, name)


def _not_moved(failure: Failure, thing: str) -> int:
    if not failure.check(DirectoryAway):
        _log.failure("{thing} could not be released", failure, thing=thing)
    return 0


__all__ = ["MAX_KNOWN", "ClaimBoard", "Claims", "Owned", "Ownership"]
