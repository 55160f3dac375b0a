"""People who follow rooms, and what their inboxes show."""

from collections.abc import Sequence
from typing import cast

from tests.plugins.asking import ask, condition
from tests.plugins.inbox.inboxes import MARKERS, Answer, ask_inbox
from tests.plugins.muc.halls import ORCHARD, RunningCase
from tests.plugins.room_archive.orchards import ids
from xmppd.store.gathered import GATHER_S
from xmppd.testing.client import Client
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.room import Room

BOOKMARKS = "urn:xmpp:bookmarks:1"
DISPLAYED = "urn:xmpp:mds:displayed:0"
PUBSUB = "http://jabber.org/protocol/pubsub"
PLUGINS = (
    "disco", "caps", "private_storage", "pubsub", "pep", "bookmarks", "notification_settings",
    "archive", "inbox", "displayed_sync", "muc", "room_archive", "room_unread",
)  # fmt: skip


def publish(client: Client, node: str, item: str, payload: str) -> str:
    """Publish an item in a node of the own account; how that was answered."""
    made = f"<publish node='{node}'><item id='{item}'>{payload}</item></publish>"
    return condition(ask(client, "set", f"<pubsub xmlns='{PUBSUB}'>{made}</pubsub>"))


def bookmark(
    client: Client,
    nick: str = "Nurse",
    *,
    autojoin: bool = True,
    room: str = ORCHARD,
    setting: str = "",
) -> str:
    """Bookmark a room; how that was answered."""
    notify = f"<notify xmlns='urn:xmpp:notification-settings:1'>{setting}</notify>"
    extensions = f"<extensions>{notify}</extensions>" if setting else ""
    joins = "true" if autojoin else "false"
    payload = (
        f"<conference xmlns='{BOOKMARKS}' autojoin='{joins}'><nick>{nick}</nick>"
        f"{extensions}</conference>"
    )
    return publish(client, BOOKMARKS, room, payload)


def forget_bookmark(client: Client, room: str = ORCHARD) -> str:
    """Take a bookmark back; how that was answered."""
    retract = f"<retract node='{BOOKMARKS}'><item id='{room}'/></retract>"
    return condition(ask(client, "set", f"<pubsub xmlns='{PUBSUB}'>{retract}</pubsub>"))


def display(client: Client, id: str, room: str = ORCHARD) -> str:
    """Publish that something was displayed that a room has given an id; how that was answered."""
    shown = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{room}' id='{id}'/>"
    return publish(client, DISPLAYED, room, f"<displayed xmlns='{DISPLAYED}'>{shown}</displayed>")


class ReaderCase(RunningCase):
    """Romeo owns the orchard, which stays, and is in; the nurse is elsewhere, and online."""

    plugins: tuple[str, ...] = PLUGINS

    def setUp(self) -> None:
        super().setUp()
        (self.romeo,) = self.opened("romeo")
        self.assert_done(self.configure(self.romeo, persistentroom="1", tell_affected="0"))
        self.nurse = self.client("nurse")
        self.nurse.raw()

    def orchard(self) -> Room:
        """The orchard, as the server has it."""
        offers = self.house.plugins.offers.by_class
        (hall,) = [each for kind, each in offers.items() if kind.__name__ == Hall.__name__]
        room = cast("Hall", hall).rooms.loaded[ORCHARD]
        assert room is not None
        return room

    def wait(self, seconds: float = GATHER_S) -> None:
        """Let all be written that was noted."""
        for _ in range(10):
            self.house.clock.advance(0)
        self.house.clock.advance(seconds)

    def says(self, *texts: str, client: Client | None = None) -> list[str]:
        """Have Romeo, or somebody else, say something to all; returns the ids of that."""
        speaker = client or self.romeo
        speaker.raw()
        for text in texts:
            self.say(speaker, text)
        found = ids(speaker.received())
        self.wait()
        return found

    def marks(self, client: Client, id: str) -> None:
        """Have somebody who is in send a marker."""
        client.send(
            f"<message type='groupchat' to='{ORCHARD}'><displayed xmlns='{MARKERS}' id='{id}'/>"
            "</message>"
        )
        self.wait()

    def inbox(self, client: Client | None = None, attributes: str = "", page: str = "") -> Answer:
        """The inbox of the nurse, or of somebody else."""
        return ask_inbox(client or self.nurse, attributes, page)

    def unread(self, client: Client | None = None) -> dict[str, int]:
        """How many messages she has not read, by whom they are of."""
        return self.inbox(client).unread

    def bodies(self, shown: Answer) -> Sequence[str]:
        """What was said last in each of these conversations."""
        return [each.body for each in shown.conversations]


__all__ = ["DISPLAYED", "ReaderCase", "bookmark", "display", "forget_bookmark", "publish"]
