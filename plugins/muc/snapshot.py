"""Snapshot: who is in the rooms that are here, as it is kept for who takes them up next."""

from functools import partial
from itertools import islice

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.node import NodeId
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Presence
from xmppd.store.claim_tokens import Deposed
from xmppd.store.errors import StoreError

from .occupant import OccupantSession, Said
from .occupant_ids import occupant_id
from .room import Room
from .state import KeptOccupant, RoomChange
from .store import NoSuchRoom, RoomStore

WITHIN_S = 0.5
"""How long a change waits for others of the same room, to be kept with them."""

MAX_ROWS = 1_000
"""Sessions that are written in one transaction."""

MAX_CHANGED = 10_000
"""Sessions of one room that have changed while nothing could be written; beyond that all that are
in are written anew.
"""

_log = Logger()


class Snapshot:
    """Keeps which sessions are in each room (RM-60).

    Where other nodes may take up a room when this one is lost, every change is kept within a second
    (RM-65). A single server keeps them when it lays a room down, and forgets them when it has taken
    it up: when it is killed, nobody is in.

    Args:
        store: Keeps them.
        routing_table: Knows who is ours, and the nodes.
        clock: The reactor's.
    """

    def __init__(self, store: RoomStore, routing_table: RoutingTable, clock: IReactorTime) -> None:
        self.store = store
        self.routing_table = routing_table
        self.membership = routing_table.membership
        self.is_shared = routing_table.directory.shared
        self.clock = clock
        self._tokens: dict[Room, int] = {}
        self._changed: dict[Room, set[str]] = {}
        self._anew: set[Room] = set()
        self._alone = DeferredLock()
        self._next: IDelayedCall | None = None

    # -- who was in -------------------------------------------------------------------------------

    async def take_up(self, room: Room, token: int, kept: tuple[KeptOccupant, ...]) -> None:
        """Have those be in a room who were when it was laid down, or lost; nobody is told. What can
        not be read of them is as if it was not there.
        """
        for each in kept:
            try:
                said = Presence.from_bytes(each.presence)
                sender, nick = JID.prepared(each.session), f"{room.jid.full}/{each.nick}"
                id = occupant_id(room.key, room.jid, sender)
                heard = Said(said, said.priority)
                node = self._node(each.node)
            except ValueError:
                continue
            session = room.admit(sender, heard, JID.prepared(nick), id, each.role, each.number)
            session.node, session.heard = node, self.clock.seconds()
        if kept and not self.is_shared:
            await self.store.change(room.jid, token, RoomChange(empty=True))
        self.watch(room, token)

    def _node(self, text: str) -> NodeId | None:
        """The other node where a session is; None if it is here, or at none."""
        if text == "" or self.membership.is_heir_of(text):
            return None  # what a former life of this one has saved is here
        return NodeId.parse(text)

    # -- who is in --------------------------------------------------------------------------------

    def watch(self, room: Room, token: int) -> None:
        """Keep what changes in a room from now on, with the token of its owner."""
        self._tokens[room] = token
        if self.is_shared:
            room.noted = partial(self._note, room)

    def forget(self, room: Room) -> None:
        """Keep nothing of it any more: somebody else has it, or it is over."""
        self._tokens.pop(room, None)
        self._changed.pop(room, None)
        self._anew.discard(room)

    def _note(self, room: Room, session: JID) -> None:
        if room not in self._tokens:
            return
        changed = self._changed.setdefault(room, set())
        if len(changed) < MAX_CHANGED:
            changed.add(session.full)
        else:
            self._anew.add(room)
        if self._next is None:
            self._next = self.clock.callLater(WITHIN_S, self._due)

    def _due(self) -> None:
        Deferred.fromCoroutine(self._write_all()).addErrback(_failed).addBoth(self._written)

    def _written(self, _: object) -> None:
        self._next = self.clock.callLater(WITHIN_S, self._due) if self._changed else None

    async def _write_all(self) -> None:
        for room in tuple(self._changed):
            try:
                await self._write(room)
            except StoreError:
                return  # the store has logged it, and there is a next time
            except (Deposed, NoSuchRoom):
                self.forget(room)

    async def lay_down(self, room: Room) -> None:
        """Keep all that is not kept yet, since this node has the room no more."""
        if not self.is_shared and room.sessions:
            self._changed[room], self._anew = set(), {*self._anew, room}
        try:
            await self._write(room)
        except (StoreError, Deposed, NoSuchRoom):
            _log.warn("the occupants of {room} may not have been stored", room=room.jid)
        self.forget(room)

    async def _write(self, room: Room) -> None:
        await self._alone.acquire()
        try:
            while room in self._changed:
                await self._write_some(room)
        finally:
            self._alone.release()

    async def _write_some(self, room: Room) -> None:
        changed, is_anew = self._changed[room], room in self._anew
        if is_anew:
            changed = self._changed[room] = set(room.sessions)
        some = tuple(islice(changed, MAX_ROWS))
        here = [room.sessions[each] for each in some if each in room.sessions]
        left = tuple(each for each in some if each not in room.sessions)
        changed.difference_update(some)
        self._anew.discard(room)
        if not changed:
            del self._changed[room]
        what = RoomChange(came=tuple(map(self._kept, here)), left=left, empty=is_anew)
        try:
            await self.store.change(room.jid, self._tokens[room], what)
        except StoreError:
            if room in self._tokens:
                self._changed.setdefault(room, set()).update(some)
                self._anew.update((room,) if is_anew else ())
            raise

    def _kept(self, session: OccupantSession) -> KeptOccupant:
        occupant, node = session.occupant, session.node or self.membership.id
        is_ours = self.routing_table.is_local(session.jid)
        return KeptOccupant(
            session.jid.full,
            occupant.nick,
            occupant.role,
            session.presence.wire(),
            session.number,
            str(node) if is_ours else "",
        )

    def stop(self) -> None:
        """Write no more; what is laid down is written first."""
        if self._next is not None and self._next.active():
            self._next.cancel()


def _failed(failure: Failure) -> None:
    _log.failure("the occupants of rooms could not be stored", failure)


__all__ = ["MAX_CHANGED", "MAX_ROWS", "WITHIN_S", "Snapshot"]
