"""What the tables of rooms do, asked of each database."""

from collections.abc import Awaitable

from msgspec.structs import fields, replace

from tests.unit.store.contract import JULIET, LONG_BARE, LONG_FULL, ROMEO, Asking
from xmppd.stanza import JID
from xmppd.store.claim_tokens import Deposed
from xmppd.store.errors import QuotaExceeded
from xmppd.store.sql import Connection, update
from xmppd.store.tables import Tables
from xmppd_plugins.muc.config import AllowPM, RoomConfig, Whois
from xmppd_plugins.muc.ranks import Role, RoomAffiliation
from xmppd_plugins.muc.state import (
    Affiliated,
    AffiliationChange,
    Destroyed,
    Hat,
    KeptOccupant,
    KeptRoom,
    RoomChange,
)
from xmppd_plugins.muc.store import DAMAGED, NoSuchRoom, RoomExists, RoomStore
from xmppd_plugins.muc.tables import MAX_CHANGES, affiliations, metadata, occupants, rooms

SERVICE = "conference.montague.lit"
COVEN, ORCHARD = JID.parse(f"coven@{SERVICE}"), JID.parse(f"orchard@{SERVICE}")
OUTCAST, NONE, MEMBER, ADMIN, OWNER = RoomAffiliation
TYBALT, CAPULET = "tybalt@capulet.lit", "capulet.lit"

CONFIG = RoomConfig(
    roomname="The coven '\"",
    roomdesc="A dark cave\n𝔘",
    lang="en",
    pubsub="xmpp:pubsub.montague.lit?;node=coven",
    contactjid=(ROMEO,),
    persistentroom=True,
    publicroom=False,
    membersonly=True,
    moderatedroom=True,
    passwordprotectedroom=True,
    roomsecret="cauldronburn",
    whois=Whois.ANYONE,
    changesubject=True,
    allowinvites=True,
    allow_voice_requests=False,
    allow_visitor_status=False,
    allow_visitor_nickchange=True,
    allow_registration=True,
    allowpm=AllowPM.MODERATORS,
    presencebroadcast=frozenset((Role.MODERATOR,)),
    maxusers=None,
    getmemberlist=frozenset((Role.MODERATOR, Role.VISITOR)),
    enablelogging=True,
    mam=False,
    maxhistoryfetch=100,
    slow_mode_duration=60,
    show_unavailable_members=True,
    lock_nicks=True,
    hats=False,
    tell_affected=False,
    mentions=False,
    avatarhash="da39a3ee5e6b4b0d3255bfef95601890afd80709",
)
"""All that may be said of a room, and nothing as it is in a new one."""

WHOLE = KeptRoom(
    COVEN,
    CONFIG,
    b"\x00key",
    1.5,
    ROMEO,
    True,
    b"<message><subject>Fire!</subject></message>",
    7,
    (
        Affiliated(JULIET, ADMIN, "Juliet", version=3),
        Affiliated(CAPULET, OUTCAST, reason="a plague", actor=ROMEO, version=4),
        Affiliated(ROMEO, OWNER, version=5),
        Affiliated(LONG_BARE, MEMBER, "n" * 1_023, version=7),
    ),
    (Hat("urn:a", "First"), Hat("urn:b", "Second", 327.25, (JULIET, ROMEO))),
    (
        KeptOccupant(f"{ROMEO}/1", "Romeo", Role.MODERATOR, b"<presence/>", 2, "a.1"),
        KeptOccupant(LONG_FULL, "Long", Role.VISITOR, b"", 3),
    ),
)
"""A room with something in every place."""


class StoreContract(Asking):
    """A plugin that is loaded, in an open store."""

    async def shelf(self, *made: KeptRoom) -> RoomStore:
        """The rooms, some of which there are."""
        await self.store.tables.put(Tables(metadata), "muc")
        store = RoomStore(self.store.database)
        for each in made:
            await store.create(each, 1, max_rooms=10)
        return store

    async def another_store(self) -> None:
        """Open the database anew: nothing is remembered."""
        raise NotImplementedError

    async def fails(self, work: Awaitable[object], kind: type[Exception]) -> None:
        """Have something fail."""
        try:
            await work
        except kind:
            return
        self.fail(f"no {kind.__name__}")

    async def whole(self, store: RoomStore, room: JID = COVEN) -> KeptRoom:
        """A room that there is."""
        found = await store.load(room)
        assert found is not None, "there is one"
        return found

    def plain(self, room: JID, **values: object) -> KeptRoom:
        """A room with little in it."""
        made = KeptRoom(
            room, RoomConfig(), b"key", 1.0, ROMEO, affiliated=(Affiliated(ROMEO, OWNER),)
        )
        return replace(made, **values)

    async def test_whole(self) -> None:
        """A room is read as it was made, in every field."""
        for field in fields(RoomConfig):
            default = getattr(RoomConfig(), field.name)
            self.assertNotEqual(getattr(CONFIG, field.name), default, field.name)
        store = await self.shelf(WHOLE)
        self.assertEqual(await store.load(COVEN), WHOLE)
        self.assertIs((await self.whole(store)).locked, True)
        self.assertIsNone(await store.load(ORCHARD))

    async def test_again(self) -> None:
        """It is the same when the database was closed meanwhile."""
        await self.shelf(WHOLE)
        await self.another_store()
        self.assertEqual(await RoomStore(self.store.database).load(COVEN), WHOLE)

    async def test_exists(self) -> None:
        """A room is made once."""
        store = await self.shelf(WHOLE)
        await self.fails(store.create(self.plain(COVEN), 1, max_rooms=10), RoomExists)
        self.assertEqual(await store.load(COVEN), WHOLE)

    async def test_too_many(self) -> None:
        """One account makes so many rooms at most; nobody else is held up by that."""
        store = await self.shelf(WHOLE)
        await self.fails(store.create(self.plain(ORCHARD), 1, max_rooms=1), QuotaExceeded)
        for creator in (JULIET, "", ""):
            name = JID.of(f"room{await store.count(SERVICE)}", SERVICE)
            await store.create(self.plain(name, creator=creator), 1, max_rooms=1)

    async def test_config(self) -> None:
        """Each part is changed alone, and the others stay (RM-57)."""
        store = await self.shelf(WHOLE)
        for change, kept in (
            (RoomChange(config=RoomConfig()), replace(WHOLE, config=RoomConfig())),
            (RoomChange(locked=False), replace(WHOLE, config=RoomConfig(), locked=False)),
            (
                RoomChange(subject=b""),
                replace(WHOLE, config=RoomConfig(), locked=False, subject=b""),
            ),
        ):
            self.assertEqual(await store.change(COVEN, 1, change), WHOLE.version)
            self.assertEqual(await store.load(COVEN), kept)

    async def test_affiliated(self) -> None:
        """Each change of a list has a version, and is told to who asks since when."""
        store = await self.shelf(WHOLE)
        change = (Affiliated(TYBALT, OUTCAST, reason="rude"), Affiliated(JULIET, NONE))
        self.assertEqual(await store.change(COVEN, 1, RoomChange(affiliated=change)), 9)
        self.assertEqual(await store.change(COVEN, 1, RoomChange(affiliated=change[:0])), 9)
        room = await self.whole(store)
        self.assertEqual(room.version, 9)
        self.assertIn(Affiliated(TYBALT, OUTCAST, reason="rude", version=8), room.affiliated)
        self.assertNotIn(JULIET, [each.jid for each in room.affiliated])
        changes = [AffiliationChange(8, TYBALT, OUTCAST), AffiliationChange(9, JULIET, NONE)]
        self.assertEqual(await store.changes(COVEN, 7), changes)
        self.assertEqual(await store.changes(COVEN, 8), changes[1:])
        self.assertEqual(await store.changes(COVEN, 9), [])

    async def test_noted(self) -> None:
        """Another nick is no change of a list."""
        store = await self.shelf(WHOLE)
        noted = Affiliated(JULIET, ADMIN, "Jule", version=3)
        self.assertEqual(await store.change(COVEN, 1, RoomChange(noted=(noted,))), 7)
        self.assertEqual((await self.whole(store)).affiliated[0], noted)
        self.assertEqual(await store.changes(COVEN, 0), [])

    async def test_many_changes(self) -> None:
        """The last thousand changes are kept."""
        store = await self.shelf(self.plain(COVEN))
        for turn in range(3):
            many = [Affiliated(f"{turn}-{each}@capulet.lit", MEMBER) for each in range(400)]
            await store.change(COVEN, 1, RoomChange(affiliated=tuple(many)))
        found = await store.changes(COVEN, 0)
        self.assertEqual(len(found), MAX_CHANGES)
        self.assertEqual((found[0].version, found[-1].version), (201, 1_200))

    async def test_hats(self) -> None:
        """A hat is changed with all who have it, and goes from all."""
        store = await self.shelf(WHOLE)
        other = Hat("urn:b", "Third", None, (TYBALT,))
        await store.change(COVEN, 1, RoomChange(hats=(other,), no_hats=("urn:a", "urn:x")))
        self.assertEqual((await self.whole(store)).hats, (other,))

    async def test_card(self) -> None:
        """A card is kept beside the room, and goes with it."""
        store = await self.shelf(WHOLE)
        self.assertEqual(await store.card(COVEN), b"")
        for card in (b"<vCard>1</vCard>", b"<vCard>2</vCard>", b""):
            await store.change(COVEN, 1, RoomChange(card=card))
            self.assertEqual(await store.card(COVEN), card)
        await store.change(COVEN, 1, RoomChange(card=b"<vCard/>"))
        await store.destroy(COVEN, 1)
        self.assertEqual(await store.card(COVEN), b"")

    async def test_occupants(self) -> None:
        """Sessions come, say something else, and go (RM-60)."""
        store = await self.shelf(WHOLE)
        romeo, other = WHOLE.occupants
        changed = replace(romeo, nick="Montague")
        came = KeptOccupant(f"{JULIET}/1", "Juliet", Role.PARTICIPANT, b"<presence/>", 9)
        change = RoomChange(came=(changed, came), left=(other.session, "x@y/z"))
        await store.change(COVEN, 1, change)
        self.assertEqual((await self.whole(store)).occupants, (changed, came))
        self.assertEqual(await store.occupied(SERVICE, 10), [COVEN.full])
        await store.change(COVEN, 1, RoomChange(left=(romeo.session, came.session)))
        self.assertEqual(await store.occupied(SERVICE, 10), [])

    async def test_nobody_else(self) -> None:
        """Nobody is in but those who came, if that is said (RM-60)."""
        store = await self.shelf(WHOLE)
        came = KeptOccupant(f"{JULIET}/1", "Juliet", Role.PARTICIPANT, b"<presence/>", 9, "b.2")
        await store.change(COVEN, 1, RoomChange(came=(came,), empty=True))
        self.assertEqual((await self.whole(store)).occupants, (came,))

    async def test_destroyed(self) -> None:
        """A room goes with all it had, and says for a while where its people went (RM-55)."""
        store = await self.shelf(WHOLE, self.plain(ORCHARD))
        await store.destroy(COVEN, 1, Destroyed(ORCHARD.full, "fire"), until=100.0)
        self.assertIsNone(await store.load(COVEN))
        self.assertEqual(await store.forward(COVEN, 99.0), Destroyed(ORCHARD.full, "fire"))
        self.assertIsNone(await store.forward(COVEN, 100.0))
        await store.forget_destroyed(99.0)
        self.assertIsNotNone(await store.forward(COVEN, 99.0))
        await store.forget_destroyed(100.0)
        self.assertIsNone(await store.forward(COVEN, 99.0))
        await store.destroy(ORCHARD, 1)
        self.assertIsNone(await store.forward(ORCHARD, 0.0))
        await store.create(self.plain(COVEN), 1, max_rooms=10)
        self.assertEqual(await store.load(COVEN), self.plain(COVEN))

    async def test_gone(self) -> None:
        """Nothing is kept of a room that is gone."""
        store = await self.shelf(WHOLE)
        await store.destroy(COVEN, 1)
        await self.fails(store.change(COVEN, 1, RoomChange(came=WHOLE.occupants)), NoSuchRoom)
        await store.create(self.plain(COVEN), 1, max_rooms=10)
        self.assertEqual(await store.load(COVEN), self.plain(COVEN))

    async def test_lists(self) -> None:
        """Rooms are listed by name and page, those that are public apart."""
        hidden = RoomConfig(publicroom=False, roomname="Hidden")
        names = [JID.of(name, SERVICE) for name in ("a", "b", "c", "ä")]
        configs = [RoomConfig(), hidden, RoomConfig(), RoomConfig()]
        made = [self.plain(jid, config=config) for jid, config in zip(names, configs, strict=True)]
        store = await self.shelf(*reversed(made), self.plain(JID.parse("a@other.lit")))
        found = [name for name, _ in await store.all(SERVICE, 3)]
        self.assertEqual(found, [each.full for each in names[:3]])
        self.assertEqual(await store.all(SERVICE, 3, found[-1]), [(names[3].full, RoomConfig())])
        public = [name for name, _ in await store.public(SERVICE, 9)]
        self.assertEqual(public, [each.full for each in names if each.local != "b"])
        self.assertEqual(await store.count(SERVICE), 4)
        self.assertEqual(await store.count(SERVICE, public=True), 3)
        await store.change(names[0], 1, RoomChange(config=hidden))
        self.assertEqual(await store.count(SERVICE, public=True), 2)

    async def test_of_person(self) -> None:
        """Rooms are found by who is affiliated with them, and not banned."""
        banned = self.plain(ORCHARD, affiliated=(Affiliated(JULIET, OUTCAST),))
        store = await self.shelf(WHOLE, banned)
        for who, names in ((JULIET, [COVEN.full]), (TYBALT, [])):
            found = await store.rooms_of(SERVICE, JID.parse(f"{who}/1"), 9)
            self.assertEqual([name for name, _ in found], names)

    async def test_account_removed(self) -> None:
        """What an account was to rooms goes with it, but not a ban."""
        ban = Affiliated(ROMEO, OUTCAST, reason="rude", actor=JULIET)
        store = await self.shelf(WHOLE, self.plain(ORCHARD, affiliated=(ban,)))
        await self.store.accounts.create_account(ROMEO, ())
        await self.store.accounts.delete_account(ROMEO)
        room = await self.whole(store)
        self.assertNotIn(ROMEO, [each.jid for each in room.affiliated])
        self.assertEqual([hat.people for hat in room.hats], [(), (JULIET,)])
        self.assertEqual((await self.whole(store, ORCHARD)).affiliated, (ban,))

    async def test_orphans(self) -> None:
        """Rooms that nobody owns any more are found."""
        store = await self.shelf(WHOLE, self.plain(ORCHARD, affiliated=()))
        self.assertEqual(await store.orphans(SERVICE, 9), [(ORCHARD.full, RoomConfig())])
        await store.change(COVEN, 1, RoomChange(affiliated=(Affiliated(ROMEO, ADMIN),)))
        found = [name for name, _ in await store.orphans(SERVICE, 9)]
        self.assertEqual(found, [COVEN.full, ORCHARD.full])

    async def test_deposed(self) -> None:
        """Whoever had a room before its present owner writes nothing (ST-10)."""
        store = await self.shelf(WHOLE)
        await store.change(COVEN, 2, RoomChange(locked=True))
        await self.fails(store.change(COVEN, 1, RoomChange(locked=False)), Deposed)
        await self.fails(store.destroy(COVEN, 1), Deposed)
        self.assertEqual(await store.load(COVEN), WHOLE)

    async def test_damaged(self) -> None:
        """A room whose configuration cannot be read lets in nobody new, and keeps the rest."""
        store = await self.shelf(WHOLE)

        def damage(connection: Connection) -> None:
            connection.execute(update(rooms).values(config="{"))
            king = affiliations.c.jid == JULIET
            connection.execute(update(affiliations).where(king).values(affiliation="king"))
            connection.execute(update(occupants).values(role="king"))

        await self.store.database.write(damage)
        room = await self.whole(store)
        self.assertEqual(room.config, DAMAGED)
        self.assertEqual(room.affiliated, WHOLE.affiliated[1:])
        self.assertEqual(room.occupants, ())
