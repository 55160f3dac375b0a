"""Rooms, as they move with the accounts."""

from collections.abc import AsyncIterator

from xmppd.migration.service_data import ServiceData

from .commands import RoomCommands
from .written_room import read_room


class RoomData(ServiceData):
    """The rooms of all services, without what was said there.

    Args:
        commands: Write them, and make them.
    """

    file = "rooms.jsonl"

    def __init__(self, commands: RoomCommands) -> None:
        self._commands = commands

    async def written(self) -> AsyncIterator[bytes]:
        """A line for each."""
        async for line in self._commands.everything():
            yield line

    async def take(self, line: bytes) -> None:
        """Make a room."""
        await self._commands.asker.make(read_room(line))


__all__ = ["RoomData"]
