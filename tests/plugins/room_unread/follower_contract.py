"""What the table of who follows which room does, asked of each database."""

from tests.unit.store.contract import JULIET, ROMEO, Asking
from xmppd.stanza import JID
from xmppd.store.tables import Tables
from xmppd_plugins.archive.tables import metadata as archive
from xmppd_plugins.inbox.entries import InboxEntries, Moved
from xmppd_plugins.inbox.entries import metadata as inbox
from xmppd_plugins.muc.config import RoomConfig
from xmppd_plugins.muc.ranks import RoomAffiliation
from xmppd_plugins.muc.state import Affiliated, KeptRoom, RoomFollower
from xmppd_plugins.muc.store import RoomStore
from xmppd_plugins.muc.tables import metadata as muc
from xmppd_plugins.room_unread.table import FollowedRoom, FollowerTable, metadata

ORCHARD, TOMB = "orchard@conference.capulet.lit", "tomb@conference.capulet.lit"
CONFIG = RoomConfig(roomname="Orchard", persistentroom=True)
MEMBER, OUTCAST = RoomAffiliation.MEMBER, RoomAffiliation.OUTCAST


class FollowerTableContract(Asking):
    """The plugins that are needed are loaded, in an open store."""

    async def table(self) -> FollowerTable:
        """The followers, once the plugin is loaded."""
        for name, tables in (
            ("archive", archive), ("inbox", inbox), ("muc", muc), ("room_unread", metadata)
        ):  # fmt: skip
            await self.store.tables.put(Tables(tables), name)
        return FollowerTable(self.store.database)

    async def room(self, *affiliated: Affiliated) -> None:
        """Keep the orchard."""
        kept = KeptRoom(JID.parse(ORCHARD), CONFIG, b"key", 5.0, affiliated=affiliated)
        await RoomStore(self.store.database).create(kept, 1, max_rooms=1)

    async def test_followed(self) -> None:
        """Who follows a room has a nick and a wish there, which change, and follows it no more."""
        table = await self.table()
        jule, all_of_it = RoomFollower("Jule"), RoomFollower("", wants_all=True)
        await table.change(JULIET, {ORCHARD: jule, TOMB: all_of_it}, (), 10)
        await table.change(ROMEO, {ORCHARD: all_of_it}, (), 10)
        self.assertEqual(await table.followed(JULIET), {ORCHARD: jule, TOMB: all_of_it})
        self.assertEqual(await table.followers(ORCHARD), {JULIET: jule, ROMEO: all_of_it})
        await table.change(JULIET, {ORCHARD: all_of_it}, [TOMB, "none@capulet.lit"], 20)
        self.assertEqual(await table.followed(JULIET), {ORCHARD: all_of_it})
        self.assertEqual(await table.one(ORCHARD, JULIET), all_of_it)
        self.assertIsNone(await table.one(TOMB, JULIET))
        self.assertEqual(await table.displayed(ORCHARD, JULIET), 10)

    async def test_read(self) -> None:
        """What was read moves on, many at once, and never back; of who follows nothing it is not
        kept.
        """
        table = await self.table()
        for account in (JULIET, ROMEO):
            await table.change(account, {ORCHARD: RoomFollower()}, (), 10)
        await table.read({(ORCHARD, JULIET): 30, (ORCHARD, ROMEO): 5, (TOMB, ROMEO): 7})
        self.assertEqual(await table.displayed(ORCHARD, JULIET), 30)
        self.assertEqual(await table.displayed(ORCHARD, ROMEO), 10)
        self.assertIsNone(await table.displayed(TOMB, ROMEO))

    async def test_shown(self) -> None:
        """A room is shown with what its reader is to it, or else their server, and with what it has
        sent them; one that there is not is not shown.
        """
        table = await self.table()
        await self.room(Affiliated(JULIET, MEMBER), Affiliated("capulet.lit", OUTCAST))
        for account in (JULIET, ROMEO, "nurse@capulet.lit"):
            await table.change(account, {ORCHARD: RoomFollower(), TOMB: RoomFollower()}, (), 10)
        moved = Moved()
        moved.by(20, speaks=True, own=False)
        await InboxEntries(self.store.database).note({(JULIET, ORCHARD): moved})
        for account, affiliation, mentions in (
            (JULIET, MEMBER, 1),
            ("nurse@capulet.lit", OUTCAST, None),
            (ROMEO, RoomAffiliation.NONE, None),
        ):
            found = FollowedRoom(ORCHARD, False, 10, CONFIG, 5.0, affiliation, mentions)
            self.assertEqual(await table.shown(account), [found])

    async def test_account_gone(self) -> None:
        """With an account goes what it follows."""
        table = await self.table()
        await self.store.accounts.create_account(JULIET, [])
        await table.change(JULIET, {ORCHARD: RoomFollower()}, (), 10)
        await self.store.accounts.delete_account(JULIET)
        self.assertEqual(await table.followed(JULIET), {})
