"""XEP-0313 in rooms: an archive of each room, for people who were absent.

``memory`` has what is said kept by the plugin ``archive``, each room's in an archive of its own;
``requests`` answers who asks for it. ``retractions`` and ``moderation`` take back what its author,
or a moderator, does not want said any more.
"""

from xmppd.disco.disco import EntitiesOf, Says
from xmppd.host.turns import Turns
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.query import ArchiveReader
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.names import SUBDOMAIN

from .commands import RoomArchiveCommands
from .memory import RoomArchive
from .moderate_all import ModerateAll
from .moderation import IQModerateHandler, IQOldModerateHandler, Moderation
from .requests import IQRoomMetadataHandler, IQRoomQueryHandler, RoomReader
from .retractions import RoomRetractions


def plug(hall: Hall, archive: Archive, reader: ArchiveReader, turns: Turns) -> list[Part]:
    """The parts of this plugin."""
    rooms, before = hall.rooms, hall.rooms.memory
    retractions = RoomRetractions(archive)
    keeps_destroyed = hall.settings.keep_destroyed
    memory = RoomArchive(hall.clocks, archive, retractions, keeps_destroyed=keeps_destroyed)
    moderation = Moderation(hall, memory, retractions)
    rooms.memory = memory
    room_reader = RoomReader(hall, memory, reader, turns.next)
    handlers = [
        IQRoomQueryHandler(room_reader),
        IQRoomMetadataHandler(room_reader),
        IQModerateHandler(moderation),
        IQOldModerateHandler(moderation),
    ]
    hall.handlers |= {handler.query: handler for handler in handlers}
    hall.room_commands[ModerateAll.node] = ModerateAll(hall, archive.entries, moderation)

    async def recall() -> None:
        for room in tuple(rooms.loaded.values()):
            if room is not None:
                await memory.recall(room)

    def stop() -> None:
        rooms.memory = before
        for handler in handlers:
            del hall.handlers[handler.query]
        del hall.room_commands[ModerateAll.node]

    return [
        AtUnload(stop),
        RoomArchiveCommands(archive, hall).command(),
        AtLoad(recall),
        *(
            Says(of=EntitiesOf(SUBDOMAIN + domain), answer=room_reader.says)
            for domain in sorted(hall.commands.domains)
        ),
    ]
