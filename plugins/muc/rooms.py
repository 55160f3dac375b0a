"""Rooms: all that are here, each of which lives at one node of the service."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from xmppd.cluster.claims import Claims, Owned
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Node, NodeId
from xmppd.stanza import JID, Condition, StanzaError

from .config import RoomConfig
from .occupant_ids import new_key
from .room import Room

KIND = "muc"
KEPT_S = 600.0
"""How long a room stays in memory when nobody is in it any more, and how long one that nobody has
configured is there at all."""


class Rooms(Owned):
    """The rooms of all services that are here (RM-60).

    Args:
        claims: Know which node has a room.
        seconds: The steady clock.
        large_occupants: From how many on a room is large.

    Attributes:
        loaded: By bare JID; None where it is known that there is no such room.
    """

    kind = KIND

    def __init__(self, claims: Claims, seconds: Callable[[], float], large_occupants: int) -> None:
        self.claims = claims
        self.seconds = seconds
        self.large_occupants = large_occupants
        self.loaded: dict[str, Room | None] = {}
        self._empty_since: dict[str, float] = {}

    # -- as things that live once -----------------------------------------------------------------

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        await self._load(name)

    async def lay_down(self, name: str) -> bytes:
        self.lost(name)
        return b""

    def lost(self, name: str) -> None:
        self.loaded.pop(name, None)
        self._empty_since.pop(name, None)

    def absent(self, node: Node) -> None:
        """Do nothing: each occupant of a lost node leaves when its server says so."""

    async def _load(self, name: str) -> None:
        """The one place at which a room comes into memory."""
        self.loaded[name] = None

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
        if name not in self.loaded and self.claims.mine(KIND, name) is not None:
            await self._load(name)
        return owner

    def create(self, jid: JID, config: RoomConfig) -> Room:
        """Make a room, for the time being in memory only."""
        room = Room(jid, config, key=new_key(), large_occupants=self.large_occupants)
        self.loaded[jid.full] = room
        return room

    async def settle(self, name: str) -> None:
        """Forget a room that does not exist; note since when nobody is in one that does."""
        room = self.loaded.get(name)
        if room is None:
            await self.forget(name)
        elif room.sessions:
            self._empty_since.pop(name, None)
        elif room.config.persistentroom or room.locked:
            self._empty_since.setdefault(name, self.seconds())
        else:
            await self.forget(name)

    async def forget(self, name: str) -> None:
        """Have a room be nobody's: it is read again when somebody wants it."""
        self.lost(name)
        with suppress(DirectoryAway):  # it is void when this node is gone
            await self.claims.end(KIND, name)

    async def forget_empty(self) -> None:
        """Forget the rooms in which nobody was for long."""
        before = self.seconds() - KEPT_S
        for name in [name for name, since in self._empty_since.items() if since <= before]:
            await self.forget(name)


__all__ = ["KEPT_S", "KIND", "Rooms"]
