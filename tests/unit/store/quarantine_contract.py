"""What becomes of records that cannot be read, asked of every store and every database."""

import random
from dataclasses import replace
from typing import Any

from alembic import command
from alembic.config import Config
from msgspec import msgpack
from sqlalchemy import (
    Engine,
    column,
    create_engine,
    insert,
    literal,
    select,
    table,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType
from twisted.trial.unittest import SynchronousTestCase

from tests.seeds import some_seed
from tests.unit.store.contract import JULIET, KEYS, ROMEO, Asking
from tests.unit.store.damage import do_damage
from xmppd.command.deed import Deed
from xmppd.stanza import Message
from xmppd.stanza.ns import XML
from xmppd.store import quarantine
from xmppd.store.api_keys import APIKey
from xmppd.store.columns import digest, metadata
from xmppd.store.devices import Device, Token
from xmppd.store.engine import parse_url
from xmppd.store.errors import Unreadable
from xmppd.store.held import HeldMessage
from xmppd.store.items import Item
from xmppd.store.jobs import JobRecord
from xmppd.store.kind import Damaged, Fragment, Record
from xmppd.store.last_presences import LastPresence
from xmppd.store.migrate import SCRIPTS, prepare
from xmppd.store.offline import OfflineMessage
from xmppd.store.readable import readable
from xmppd.store.readings import KeptReading
from xmppd.store.rosters import RosterItem
from xmppd.store.sessions import SavedSession
from xmppd.store.shared_groups import SharedGroup
from xmppd.store.store import Store

DOMAIN = ROMEO.rpartition("@")[2]
DEVICE = Device("id", "Gajim", "desk", 1.0, 2.0)
TOKEN = Token(b"nonce", "HT-SHA-256-NONE", 1.0, 2.0)
FRAGMENT = Fragment("stanza of a saved session", f"{ROMEO}/orchard", b"<mess")
CONTACT = RosterItem(JULIET, "Juliet", ("Friends",), "both", pending_in=b"<presence")


class QuarantineContract(Asking):
    async def test_only_what_is_bad(self) -> None:
        """What can be read comes back in order; the rest is set aside, whatever reading raised."""
        ids = [await self.wait(text) for text in (b"good", b"bad", b"better", b"worse")]
        self.assertEqual(await self.read(), ["good", "better"])
        self.assertEqual(await self.read(), ["good", "better"])
        left = [message.id for message in await self.store.offline.offline_messages(ROMEO)]
        self.assertEqual(left, [ids[0], ids[2]])
        entries = await self.store.quarantine.quarantined()
        self.assertEqual(
            [(e.kind, e.account, e.name, e.reason) for e in entries],
            [
                ("offline message", ROMEO, str(ids[1]), "KeyError: b'bad'"),
                ("offline message", ROMEO, str(ids[3]), "KeyError: b'worse'"),
            ],
        )
        fields = await self.store.quarantine.quarantined_fields(entries[0].number)
        assert fields is not None
        self.assertEqual(fields["stanza"], b"bad")
        self.assertEqual(await self.store.quarantine.count_quarantined(), 2)

    async def wait(self, stanza: bytes) -> int:
        return await self.store.offline.store_offline(
            ROMEO, stanza, sender=JULIET, stored=1.0, max_messages=99, max_bytes=9_999
        )

    async def read(self) -> list[str]:
        known = {b"good": "good", b"better": "better"}
        found = await self.store.offline.offline_messages(ROMEO)
        return await readable(self.store.items, ROMEO, found, lambda message: known[message.stanza])

    async def test_what_stands_in_its_place(self) -> None:
        """Something else may take the place of what is bad, so that nothing moves up."""
        for text in (b"good", b"bad", b"better"):
            await self.wait(text)
        found = await self.store.offline.offline_messages(ROMEO)

        def read(message: OfflineMessage) -> bytes:
            if message.stanza == b"bad":
                raise ValueError("bad")
            return message.stanza

        values = await readable(self.store.items, ROMEO, found, read, instead=lambda _: b"-")
        self.assertEqual(values, [b"good", b"-", b"better"])

    async def test_part_of_a_contact(self) -> None:
        """A contact whose request cannot be read stays one, in a new version of the roster."""
        version = await self.store.rosters.save_roster_items(ROMEO, [CONTACT])

        def read(item: RosterItem) -> RosterItem:
            raise Unreadable("no", field="pending_in", rest=replace(item, pending_in=None))

        items = (await self.store.rosters.roster(ROMEO)).items
        rest = replace(CONTACT, pending_in=None)
        self.assertEqual(await readable(self.store.items, ROMEO, items, read), [rest])
        found = await self.store.rosters.roster(ROMEO)
        self.assertEqual(found.items, (rest,))
        self.assertGreater(found.version, version)
        (entry,) = await self.store.quarantine.quarantined()
        self.assertEqual((entry.kind, entry.name), ("contact", JULIET))

    async def test_each_kind(self) -> None:
        """Contacts, items, sessions and parts of them are moved, and nothing beside them."""
        other = replace(CONTACT, jid="nurse@capulet.lit")
        await self.store.rosters.save_roster_items(ROMEO, [CONTACT, other])
        await self.set_item("k", b"bad")
        await self.set_item("l", b"good")
        sessions = [SavedSession(key, ROMEO, key) for key in (b"bad", b"good")]
        await self.store.sessions.save_sessions("", sessions, theirs={})
        damaged: list[Record | Fragment] = [
            CONTACT,
            Item("urn:x", "k", b"bad"),
            sessions[0],
            FRAGMENT,
        ]
        moved = await self.store.items.set_aside(ROMEO, [Damaged(each, "bad") for each in damaged])
        self.assertEqual(
            [(entry.kind, entry.name) for entry in moved],
            [
                ("contact", JULIET),
                ("item", "urn:x, k"),
                ("saved session", b"bad".hex()),
                (FRAGMENT.kind, FRAGMENT.name),
            ],
        )
        self.assertEqual((await self.store.rosters.roster(ROMEO)).items, (other,))
        self.assertEqual(await self.store.items.get_items(ROMEO, "urn:x"), {"l": b"good"})
        self.assertEqual(
            [each.key for each in await self.store.sessions.saved_sessions("")], [b"good"]
        )

    async def test_replaced(self) -> None:
        """What has been written anew since it was read stays where it is."""
        await self.set_item("k", b"good")
        moved = await self.store.items.set_aside(
            ROMEO, [Damaged(Item("urn:x", "k", b"bad"), "bad")]
        )
        moved += await self.store.items.set_aside(
            ROMEO, [Damaged(OfflineMessage(7, b"", 0.0), "bad")]
        )
        self.assertEqual(moved, [])
        self.assertEqual(await self.store.items.get_item(ROMEO, "urn:x", "k"), b"good")

    async def test_once(self) -> None:
        """A part of something that is read again and again is set aside once."""
        for expected in (1, 0):
            moved = await self.store.items.set_aside(ROMEO, [Damaged(FRAGMENT, "bad")])
            self.assertEqual(len(moved), expected)
        self.assertEqual(await self.store.quarantine.count_quarantined(), 1)

    async def test_pages(self) -> None:
        """They are listed by number, a page at a time, of one account or of all."""
        for account in (ROMEO, JULIET, ROMEO):
            data = str(await self.store.quarantine.count_quarantined()).encode()
            await self.store.items.set_aside(
                account, [Damaged(replace(FRAGMENT, data=data), "bad")]
            )
        numbers = [entry.number for entry in await self.store.quarantine.quarantined()]
        self.assertEqual(numbers, sorted(set(numbers)))
        page = await self.store.quarantine.quarantined(after=numbers[0], limit=1)
        self.assertEqual([entry.number for entry in page], numbers[1:2])
        his = await self.store.quarantine.quarantined(account=ROMEO)
        self.assertEqual([entry.number for entry in his], [numbers[0], numbers[2]])
        self.assertEqual(await self.store.quarantine.forget_quarantined([*numbers[:2], 999]), 2)
        self.assertEqual([e.number for e in await self.store.quarantine.quarantined()], numbers[2:])
        self.assertIsNone(await self.store.quarantine.quarantined_fields(numbers[0]))

    async def test_bounded(self) -> None:
        """When there are too many, or they are too large, the oldest make way."""
        self.patch(quarantine, "MAX_QUARANTINED", 3)
        self.patch(quarantine, "MAX_QUARANTINED_BYTES", 1_000)
        for number in range(5):
            fragment = replace(FRAGMENT, data=b"%d" % number)
            await self.store.items.set_aside(ROMEO, [Damaged(fragment, "bad")])
        kept = [
            await self.data(entry.number) for entry in await self.store.quarantine.quarantined()
        ]
        self.assertEqual(kept, [b"2", b"3", b"4"])
        large = replace(FRAGMENT, data=b"x" * 990)
        await self.store.items.set_aside(ROMEO, [Damaged(large, "bad")])
        entries = await self.store.quarantine.quarantined()
        self.assertEqual(await self.data(entries[-1].number), large.data)
        self.assertLessEqual(sum(entry.size_bytes for entry in entries), 1_000)

    async def data(self, number: int) -> object:
        fields = await self.store.quarantine.quarantined_fields(number)
        assert fields is not None
        return fields["data"]

    async def test_with_the_account(self) -> None:
        """What is set aside of an account goes with it."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        for account in (ROMEO, JULIET):
            await self.store.items.set_aside(account, [Damaged(FRAGMENT, "bad")])
        await self.store.accounts.delete_account(ROMEO)
        self.assertEqual([e.account for e in await self.store.quarantine.quarantined()], [JULIET])

    async def test_words(self) -> None:
        """What an entry says stands in one line, whatever the record has."""
        fragment = Fragment("x", "a\n\x00\x1b[2J" * 100, b"")
        await self.store.items.set_aside(ROMEO, [Damaged(fragment, "bad")])
        (entry,) = await self.store.quarantine.quarantined()
        self.assertTrue(entry.name.isprintable())
        self.assertLess(len(entry.name), 300)


async def fill(store: Store) -> None:
    """Have two good records of each kind."""
    for account in (ROMEO, f"benvolio@{DOMAIN}"):
        await store.accounts.create_account(account, KEYS)
        contacts = [RosterItem(JULIET, "J", ("Friends",), "both", pending_in=b"<p/>")]
        contacts.append(RosterItem("nurse@capulet.lit"))
        await store.rosters.save_roster_items(account, contacts)
        for text in (b"<a/>", b"<b/>"):
            await store.offline.store_offline(
                account, text, sender=JULIET, stored=1.0, max_messages=9, max_bytes=999
            )
            await store.items.set_item(
                account, "urn:x", text.decode(), text, max_items=9, max_bytes=999
            )
        await store.presences.save_last_presence(account, LastPresence(5.0, "gone"))
        await store.devices.add_token(account, DEVICE, TOKEN, max_devices=5)
        await store.devices.add_token(account, replace(DEVICE, id="other"), TOKEN, max_devices=5)
    for name in ("staff", "zoo"):
        await store.shared_groups.save_shared_group(SharedGroup(name, name, (ROMEO, JULIET)))
    await store.sessions.save_sessions(
        "", [SavedSession(key, ROMEO, b"data") for key in (b"a", b"b")], theirs={}
    )
    held = [HeldMessage(b"key", 7, ROMEO, text, 1.5) for text in (b"<c/>", b"<d/>")]
    await store.sessions.hold_messages("", held, arrived=())
    for name in ("deploy", "watch"):
        await store.api_keys.revoke_api_key(name)
        await store.api_keys.add_api_key(
            APIKey(name, name, bytes(32), ("server:read",), "xmppctl", ROMEO, 1.0, 2.0, 1.5)
        )
    for name in ("stop", "reload"):
        await store.audit.begin(Deed("root", "xmppctl", "", "a", name, "{}", "done"))
        if await store.jobs.job(name) is None:
            await store.jobs.add(
                JobRecord(name, name, "root", ("data:read",), "a.1", 1e9, "runs", 1, "one")
            )
    for number in range(2):
        await store.readings.save("a", KeptReading(number, 1.5e9, "[]"))
    await store.accounts.accounts(DOMAIN)  # writes last presences


class DamageContract(Asking):
    """Values in the database that nobody wrote."""

    url: str

    async def another_store(self) -> None:
        """Open the database anew: nothing is remembered."""
        raise NotImplementedError

    async def fill(self) -> None:
        """Have two good records of each kind."""
        await fill(self.store)

    async def read_all(self) -> dict[str, Any]:
        """Read everything; nothing may raise."""
        store = self.store
        return {
            "credentials": await store.accounts.credentials(ROMEO),
            "accounts": await store.accounts.accounts(DOMAIN),
            "roster": (await store.rosters.roster(ROMEO)).items,
            "groups": await store.shared_groups.shared_groups(),
            "messages": await store.offline.offline_messages(ROMEO),
            "last": await store.presences.last_presence([ROMEO, f"benvolio@{DOMAIN}"]),
            "devices": await store.devices.devices(ROMEO),
            "device": await store.devices.device(ROMEO, "id"),
            "used": await store.devices.use_token(ROMEO, "id", b"?", 1, 1.0),
            "item": await store.items.get_item(ROMEO, "urn:x", "<a/>"),
            "items": await store.items.get_items(ROMEO, "urn:x"),
            "sessions": await store.sessions.saved_sessions(""),
            "held": await store.sessions.recover_messages(""),
            "keys": await store.api_keys.api_keys(),
            "key": await store.api_keys.api_key("deploy"),
            "audit": await store.audit.entries(before=9, limit=9),
            "jobs": await store.jobs.jobs(),
            "job": await store.jobs.job("stop"),
            "readings": await store.readings.readings("a"),
        }

    def damage(self, table: str, column: str, value: object, where: str = "") -> None:
        """Put something in a column behind the store's back."""
        engine = create_engine(parse_url(self.url))
        found = metadata.tables[table]
        with engine.begin() as connection:
            changed = update(found).values({column: type_coerce(value, NullType())})
            if where:
                changed = changed.where(found.c[where.partition("=")[0]] == where.partition("=")[2])
            connection.execute(changed)
        engine.dispose()

    async def test_nothing_raises(self) -> None:
        """Whatever bytes are truncated or flipped, everything else can be read."""
        seed = some_seed()
        chance = random.Random(seed)
        await self.fill()
        for _ in range(40):
            where = [do_damage(self.url, chance) for _ in range(chance.randint(1, 3))]
            await self.another_store()
            try:
                first = await self.read_all()
                quarantined = await self.store.quarantine.count_quarantined()
                again = await self.read_all()
            except Exception as error:
                raise AssertionError(f"seed {seed}: {where} stopped reading") from error
            self.assertEqual(first["roster"], again["roster"], f"seed {seed}: {where}")
            self.assertEqual(
                await self.store.quarantine.count_quarantined(), quarantined, f"seed {seed}"
            )
            for entry in await self.store.quarantine.quarantined():
                self.assertIsNotNone(await self.store.quarantine.quarantined_fields(entry.number))


class MendedContract(SynchronousTestCase):
    """A database of before xml: attributes were written as what they are."""

    engine: Engine

    # As the old writer wrote it; an innocent text that looks like it has to stay.
    WRONG = (
        f"<message from='{ROMEO}/a' to='{JULIET}' xmlns:a2='{XML}' a2:base='u'><x xmlns='urn:x'"
        f" xmlns:a0='{XML}' a0:space='preserve' xmlns:a1='{XML}' a1:id='i'/>"
        f"<body> xmlns:a0=&apos;{XML}&apos; a0:id=</body></message>"
    ).encode()

    def mend(self) -> None:
        """Have a database of the revision before, and start."""
        config = Config()
        config.set_main_option("script_location", SCRIPTS)
        config.set_main_option("path_separator", "os")
        owner = {"owner": digest(JULIET)}
        wrong = self.WRONG
        rows = {
            "offline_messages": {"stored": 1.0, "stanza": wrong, "size": 1},
            "held_messages": {
                "account": JULIET, "session": b"", "position": 0, "came": 1.0, "stanza": wrong,
            },
            "items": {
                "space": b"s", "item": b"i", "namespace": "n", "key": "k", "size": 1,
                "value": wrong,
            },
            "roster_items": {
                "contact": b"c", "jid": "c", "name": "", "groups": "[]", "subscription": "none",
                "ask": False, "approved": False, "pending_in": wrong,
            },
            "sessions": {"key": b"k", "account": JULIET, "taken": False, "data": self.session()},
        }  # fmt: skip
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0003")
            for name_of, row in rows.items():
                values = owner | row
                columns = [column(name, literal(value).type) for name, value in values.items()]
                connection.execute(insert(table(name_of, *columns)).values(values))
        prepare(self.engine, upgrade=True)

    def session(self) -> bytes:
        """A session as it was saved then."""
        seen = [["a@b", self.WRONG, True, False]]
        return msgpack.encode(
            {
                "jid": f"{JULIET}/b",
                "until": 1e12,
                "sent": 7,
                "unacknowledged": [[b"<message/>", 1.0, True, False, False]] * 2,
                "waiting": [[self.WRONG, 1.0, True, False, False]],
                "state": {"seen": msgpack.encode(seen), "directed": b'["a@b"]'},
            }
        )

    def column(self, name: str) -> bytes:
        """What is in a column now."""
        table, _, column = name.partition(".")
        found = metadata.tables[table].c[column]
        with self.engine.connect() as connection:
            data: bytes = connection.execute(select(found)).scalar_one()
            return data

    def test_mended(self) -> None:
        """Whatever was stored can be read, and says what its sender said."""
        self.mend()
        for name in (
            "offline_messages.stanza",
            "held_messages.stanza",
            "items.value",
            "roster_items.pending_in",
        ):
            with self.subTest(name):
                self.assert_mended(self.column(name))

    def test_session(self) -> None:
        """Also what is deep in a saved session; how long it sleeps is said as it is today."""
        self.mend()
        shell = msgpack.decode(self.column("sessions.data"))
        self.assert_mended(shell["waiting"][0][0])
        self.assert_mended(msgpack.decode(shell["state"]["seen"])[0][1])
        self.assertEqual(shell["state"]["directed"], b'["a@b"]')
        self.assertNotIn("until", shell)
        self.assertEqual((shell["positions"], shell["outstanding"]), ([6, 7], 2))
        self.assertAlmostEqual(shell["saved"][1] + shell["left_s"], 1e12)

    def assert_mended(self, data: bytes) -> None:
        """It is the message that was wrong."""
        tree = Message.from_bytes(data).payload.tree
        self.assertEqual(tree.get(f"{{{XML}}}base"), "u")
        self.assertEqual(
            dict(tree[0].items()), {f"{{{XML}}}space": "preserve", f"{{{XML}}}id": "i"}
        )
        self.assertEqual(tree[1].text, f" xmlns:a0='{XML}' a0:id=")
