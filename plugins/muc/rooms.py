"""Rooms: all that are here, each of which lives at one node of the service."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from xmppd.cluster.claims import Claims, Owned
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Node, NodeId
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.claim_tokens import Deposed
from xmppd.store.errors import QuotaExceeded

from .changes import changed
from .effects import Effect
from .memory import RoomMemory
from .ranks import RoomAffiliation
from .room import Room
from .settings import RoomSettings
from .snapshot import Snapshot
from .state import Destroyed, KeptRoom, RoomChange, heir
from .store import NoSuchRoom, RoomExists
from .tables import KIND
from .teller import RoomTeller

STOPPED = 332
KEPT_S = 600.0
"""How long a room stays in memory when nobody is in it any more, and how long one that nobody has
configured is there at all."""

PAGE = 500
"""Rooms that are taken up before it is asked for more."""

MOVED = "another node of the service took over this room; try again"


class Rooms(Owned):
    """The rooms of all services that are here (CL-77).

    Args:
        snapshot: Keeps who is in; its store keeps all else.
        memory: What they remember.
        claims: Know which node has a room.
        teller: Tells people.
        seconds: The steady clock.
        settings: The limits.

    Attributes:
        memory: What they remember; a plugin may put another one into its place.
        loaded: By bare JID; None where it is known that there is no such room.
        taken_up: Called with a room in which somebody was before it came here.
        furnish: Each is called with a room that is about to be used here.
        node_gone: Called with a node whose people have not come back in time.
    """

    kind = KIND

    def __init__(
        self,
        snapshot: Snapshot,
        memory: RoomMemory,
        claims: Claims,
        teller: RoomTeller,
        seconds: Callable[[], float],
        settings: RoomSettings,
    ) -> None:
        self.store = snapshot.store
        self.snapshot = snapshot
        self.memory = memory
        self.claims = claims
        self.teller = teller
        self.seconds = seconds
        self.settings = settings
        self.loaded: dict[str, Room | None] = {}
        self.taken_up: Callable[[Room], None] = _nobody_looks
        self.node_gone: Callable[[NodeId], None] = _nobody_looks
        self.furnish: list[Callable[[Room], Awaitable[None]]] = []
        self._tokens: dict[str, int] = {}
        self._empty_since: dict[str, float] = {}

    # -- as things that live once -----------------------------------------------------------------

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        self._tokens[name] = token
        await self._load(name)

    async def lay_down(self, name: str) -> bytes:
        room = self.loaded.pop(name, None)
        if room is not None:
            self.teller.show_all(room)
            await self.snapshot.lay_down(room)
        await self.memory.settle(JID.prepared(name))
        self.lost(name)
        return b""  # all of it is in the store

    def lost(self, name: str) -> None:
        room = self.loaded.pop(name, None)
        if room is not None:
            self.snapshot.forget(room)
        self._tokens.pop(name, None)
        self._empty_since.pop(name, None)

    def absent(self, node: Node) -> None:
        self.node_gone(node.id)

    async def _load(self, name: str) -> None:
        """Have a room in memory as it is kept: there is no other way for it to come there.

        If nobody is in it, one that is not to stay, or was never opened, is over.
        """
        kept, token = await self.store.load(JID.prepared(name)), self._tokens[name]
        room = None
        if kept is not None:
            room = Room(kept, self.settings.large_room_occupants)
            await self.snapshot.take_up(room, token, kept.occupants)
            if not room.sessions and (kept.locked or not kept.config.persistentroom):
                await self.store.destroy(kept.jid, token)
                await self._forget(kept.jid)
                self.snapshot.forget(room)
                room = None
            else:
                await self._pass_on(room)
                await self.memory.recall(room)
                await self._furnish(room)
        self.loaded[name] = room
        if room is not None and room.sessions:
            self.taken_up(room)

    async def _furnish(self, room: Room) -> None:
        """Have other plugins add what they know of a room."""
        for add in self.furnish:
            await add(room)

    async def _pass_on(self, room: Room) -> None:
        """Have a room whose owners are all gone be its oldest admin's (RM-66)."""
        owner = heir(room.affiliated.values())
        if owner is not None:
            await self.change(room, RoomChange(affiliated=(owner,)))

    async def take_up_occupied(self, services: Iterable[str]) -> None:
        """Have rooms taken up in which somebody is, and that no node has: those that a single
        server had when it was stopped, and those of a lost node.
        """
        for service in services:
            names = await self.store.occupied(service, PAGE)
            while names:
                for name in names:
                    await self._take_up_unowned(name)
                names = await self.store.occupied(service, PAGE, names[-1])

    async def _take_up_unowned(self, name: str) -> None:
        with suppress(DirectoryAway, StanzaError):  # then when somebody wants it
            if await self.claims.is_nobodys(KIND, name):
                await self.owner(name)
        if name in self.loaded:
            await self.settle(name)

    def close_all(self) -> None:
        """Have everybody leave, since there are no rooms any more (RM-56)."""
        for room in self.loaded.values():
            if room is not None:
                self.teller.tell(room.close(codes=(STOPPED,)))

    # -- for the services -------------------------------------------------------------------------

    async def owner(self, name: str) -> NodeId:
        """The node that has a room; if it is this one, the room is loaded.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: nobody can say.
        """
        try:
            found = self.claims.owner(KIND, name)
            owner = await found if isinstance(found, Awaitable) else found
        except DirectoryAway as error:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, str(error)) from error
        return owner

    async def create(self, kept: KeptRoom) -> Room:
        """Make a room, and keep it.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: its creator has made too many; or another node has it.
        """
        name, most = kept.jid.full, self.settings.max_rooms_per_account
        try:
            token = self._token(name)
            await self.store.create(kept, token, max_rooms=most)
        except QuotaExceeded as error:
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        except (Deposed, RoomExists) as error:
            raise self._moved(name) from error
        await self._forget(kept.jid)
        room = Room(kept, self.settings.large_room_occupants)
        await self._furnish(room)
        self.loaded[name] = room
        self.snapshot.watch(room, token)
        return room

    async def change(self, room: Room, what: RoomChange, actor: str = "") -> list[Effect]:
        """Have something of a room be otherwise: when it is kept so, and not before (RM-3).

        Returns:
            What is told of it.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: another node has the room by now;
                RESOURCE_CONSTRAINT: its lists would be too long.
        """
        self._check_lists(room, what)
        try:
            version = await self.store.change(room.jid, self._token(room.jid.full), what)
        except (Deposed, NoSuchRoom) as error:
            raise self._moved(room.jid.full) from error
        return changed(room, what, version, actor)

    async def destroy(self, room: Room, where: Destroyed | None = None, until: float = 0.0) -> None:
        """Have a room be no more; whoever is in it is told by who does that.

        Args:
            room: It.
            where: Where its people go.
            until: For how long that is told, in seconds since 1970.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: another node has the room by now.
        """
        name = room.jid.full
        try:
            await self.store.destroy(room.jid, self._token(name), where, until)
        except Deposed as error:
            raise self._moved(name) from error
        self.snapshot.forget(room)
        self.loaded[name] = None
        await self._forget(room.jid)

    async def _forget(self, room: JID) -> None:
        """Forget what was said in a room that is no more, unless that is to be kept."""
        if not self.settings.keep_destroyed:
            await self.memory.forget(room)

    def _check_lists(self, room: Room, what: RoomChange) -> None:
        most = self.settings.max_listed_per_room
        new = sum(
            each.affiliation is not RoomAffiliation.NONE and each.jid not in room.affiliated
            for each in what.affiliated
        )
        if new and len(room.affiliated) + new > most:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT, f"a room's lists may have at most {most} people"
            )

    def _token(self, name: str) -> int:
        token = self._tokens.get(name)
        if token is None:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, MOVED)
        return token

    def _moved(self, name: str) -> StanzaError:
        self.lost(name)
        return StanzaError(Condition.REMOTE_SERVER_TIMEOUT, MOVED)

    # -- rooms in which nobody is -----------------------------------------------------------------

    async def settle(self, name: str) -> None:
        """Forget a room that is not there, or not to stay when nobody is in it; note since when
        nobody is in another.
        """
        room = self.loaded.get(name)
        if room is None:
            await self.forget(name)
        elif room.sessions:
            self._empty_since.pop(name, None)
        elif room.locked or room.config.persistentroom:
            self._empty_since.setdefault(name, self.seconds())
        else:
            await self._end(room)

    async def _end(self, room: Room) -> None:
        """Have a room be no more in which nobody is."""
        with suppress(StanzaError):
            await self.destroy(room)
        await self.forget(room.jid.full)

    async def forget(self, name: str) -> None:
        """Have a room be nobody's: it is read again when somebody wants it."""
        self.lost(name)
        with suppress(DirectoryAway):  # it is void when this node is gone
            await self.claims.end(KIND, name)

    def long_empty(self) -> list[str]:
        """The rooms in which nobody was for long, by bare JID."""
        before = self.seconds() - KEPT_S
        return [name for name, since in self._empty_since.items() if since <= before]

    async def put_away(self, name: str) -> None:
        """Forget a room in which nobody is; one that was never opened is over."""
        room = self.loaded.get(name)
        if room is None or room.sessions:
            return
        if room.locked:
            await self._end(room)
        else:
            await self.forget(name)


def _nobody_looks(at: Room | NodeId) -> None:
    """Do nothing: nobody has people leave yet."""


__all__ = ["KEPT_S", "Rooms"]
