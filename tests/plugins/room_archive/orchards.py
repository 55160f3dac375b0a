"""A room with an archive."""

import re

from tests.plugins.archive.archives import archive_of, body_of
from tests.plugins.archive.queries import Answer, query, read_answer
from tests.plugins.muc.halls import ORCHARD, RunningCase
from xmppd.testing.client import Client, done
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.entries import ALL


class OrchardCase(RunningCase):
    """Romeo owns the orchard, which stays and has an archive."""

    plugins: tuple[str, ...] = ("disco", "ping", "archive", "muc", "room_archive")

    def kept(self, *others: str, **config: str) -> list[Client]:
        """Romeo and others in the room, which is configured so; nobody has anything to read."""
        clients = self.opened("romeo", *others)
        self.assert_done(self.configure(clients[0], **{"persistentroom": "1", **config}))
        for client in clients:
            client.raw()
        return clients

    @property
    def archive(self) -> Archive:
        """All archives."""
        return archive_of(self.house)

    def in_archive(self, room: str = ORCHARD) -> list[str]:
        """The texts in the archive of a room."""
        return list(map(body_of, done(self.archive.entries.page(room, ALL, 1_000))))

    def query(self, client: Client, *parts: str, room: str = ORCHARD) -> Answer:
        """What somebody gets for a query of the room."""
        return read_answer(self.results(client, *parts, room=room))

    def results(self, client: Client, *parts: str, room: str = ORCHARD) -> list[str]:
        """The stanzas of that."""
        client.raw()
        client.send(query(*parts, to=room))
        came = client.received()
        for _ in range(100):
            if any(each.startswith("<iq") for each in came):
                break
            self.house.clock.advance(0)
            came += client.received()
        return came


def ids(received: list[str]) -> list[str]:
    """The ids that the room has given to what was heard, in order."""
    return re.findall(r"<stanza-id [^>]*id='([0-9a-f]{32})'", "".join(received))


__all__ = ["OrchardCase", "ids"]
