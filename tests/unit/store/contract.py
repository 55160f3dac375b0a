"""What every store does, asked of each of them by the test cases that mix this in."""

from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from itertools import count as naturals

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from xmppd.store.accounts import AccountExists, NoSuchAccount
from xmppd.store.devices import Device, Token
from xmppd.store.errors import AnotherVersion, QuotaExceeded
from xmppd.store.former_accounts import FormerAccount
from xmppd.store.held import HeldMessage, StanzaPlace
from xmppd.store.last_presences import LastPresence
from xmppd.store.offline import OfflineMessage, Shares
from xmppd.store.rosters import RosterData, RosterItem
from xmppd.store.scram_keys import ScramKeys
from xmppd.store.sessions import SavedSession
from xmppd.store.shared_groups import SharedGroup
from xmppd.store.store import Store
from xmppd.store.usage import Use

ROMEO = "romeo@montague.lit"
JULIET = "juliet@capulet.lit"
KEYS = (
    ScramKeys("SHA-1", b"salt\x00'", 4096, b"stored\x00", b"server"),
    ScramKeys("SHA-256", b"pepper", 10_000, bytes(range(32)), bytes(32)),
)
# As long as an address may be; the characters do not compress, nor are they ASCII.
LONG_LOCAL = "".join(chr(0x4E00 + 7 * number) for number in range(341))
LONG_DOMAIN = "".join(chr(0x5E00 + 11 * number) for number in range(341))
LONG_RESOURCE = "".join(chr(0xAC00 + 13 * number) for number in range(341))
LONG_BARE = f"{LONG_LOCAL}@{LONG_DOMAIN}"
LONG_FULL = f"{LONG_BARE}/{LONG_RESOURCE}"
STRANGERS = map("{}@anywhere.lit".format, naturals())
HOSTILE = ("", "'", '"; DROP TABLE items; --', "a\\b%_", "{urn:x}y", "𝔘𝔫𝔦\u202e", "?", ":owner")


class Asking(TestCase):
    """A test case with an open store, of which each class makes its own kind."""

    store: Store

    def keep(self, count: int, size: int = 10) -> Deferred[list[object]]:
        """Store so many messages for Romeo at once; the results come with the failures."""
        waiting = [
            Deferred.fromCoroutine(
                self.store.offline.store_offline(
                    ROMEO,
                    bytes(size),
                    sender=next(STRANGERS),
                    stored=1.0,
                    max_messages=5,
                    max_bytes=1000,
                )
            ).addErrback(lambda failure: failure.trap(QuotaExceeded))
            for _ in range(count)
        ]
        return gatherResults(waiting)

    async def set_item(self, key: str, value: bytes | None, *, namespace: str = "urn:x") -> None:
        """Keep an item of Romeo within three of them and a hundred bytes."""
        await self.store.items.set_item(ROMEO, namespace, key, value, max_items=3, max_bytes=100)

    async def refuses(
        self, error: type[Exception], coroutine: Coroutine[Deferred[object], object, object]
    ) -> None:
        """The call ends in this error."""
        await self.assertFailure(Deferred.fromCoroutine(coroutine), error)


class AccountContract(Asking):
    async def test_create(self) -> None:
        """A new account has its keys and may log in."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertEqual(credentials.account, ROMEO)
        self.assertEqual(credentials.keys, {key.hash: key for key in KEYS})
        self.assertIs(credentials.disabled, False)
        self.assertTrue(await self.store.accounts.exists(ROMEO))

    async def test_absent(self) -> None:
        """An account that is not there has no credentials, before and after it was asked for."""
        self.assertIsNone(await self.store.accounts.credentials(ROMEO))
        self.assertFalse(await self.store.accounts.exists(ROMEO))
        await self.store.accounts.create_account(ROMEO, KEYS)
        self.assertTrue(await self.store.accounts.exists(ROMEO))

    async def test_without_keys(self) -> None:
        """An account without keys exists; it just cannot prove itself."""
        await self.store.accounts.create_account(ROMEO, ())
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertEqual(credentials.keys, {})

    async def test_create_twice(self) -> None:
        """A name is given once, and the first account keeps its keys."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.refuses(AccountExists, self.store.accounts.create_account(ROMEO, KEYS[:1]))
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertEqual(len(credentials.keys), 2)

    async def test_new_password(self) -> None:
        """A new password replaces all keys, and is known at once."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.store.accounts.credentials(ROMEO)
        new = replace(KEYS[0], salt=b"new")
        await self.store.accounts.set_keys(ROMEO, [new])
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertEqual(credentials.keys, {"SHA-1": new})

    async def test_disable(self) -> None:
        """An account that is closed says so at once, and is opened again."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.store.accounts.set_disabled(ROMEO, True)
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertIs(credentials.disabled, True)
        await self.store.accounts.set_disabled(ROMEO, False)
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertIs(credentials.disabled, False)

    async def test_disable_until(self) -> None:
        """An account that is disabled until a time is enabled from then on, wherever one looks;
        when that was is still known, until it is disabled or enabled once more.
        """
        await self.store.accounts.create_account(ROMEO, KEYS)
        now = 1_000_000.0
        self.patch(self.store.accounts, "_now", lambda: now)
        await self.store.accounts.set_disabled(ROMEO, True, now + 60)
        for passed_s, disabled in ((0, True), (59.9, True), (60, False), (0, True), (61, False)):
            now = 1_000_000.0 + passed_s
            for known in (
                await self.store.accounts.credentials(ROMEO),
                await self.store.accounts.credentials(ROMEO),  # out of the cache
                await self.store.accounts.info(ROMEO),
                *await self.store.accounts.accounts("montague.lit"),
            ):
                assert known is not None
                self.assertEqual((known.disabled, known.disabled_until), (disabled, 1_000_060.0))
        for again, until in ((True, None), (False, now + 60)):
            await self.store.accounts.set_disabled(ROMEO, again, until)
            credentials = await self.store.accounts.credentials(ROMEO)
            assert credentials is not None
            self.assertEqual((credentials.disabled, credentials.disabled_until), (again, None))

    async def test_change_nobody(self) -> None:
        """Who is not there cannot be changed or removed."""
        for change in (
            self.store.accounts.set_keys(ROMEO, KEYS),
            self.store.accounts.set_disabled(ROMEO, True),
            self.store.accounts.delete_account(ROMEO),
        ):
            await self.refuses(NoSuchAccount, change)

    async def test_pages(self) -> None:
        """The accounts of a domain come in order of their names, page by page."""
        names = ["a!b@x.lit", "a@x.lit", "b@x.lit", "é@x.lit", "漢@x.lit"]
        for name in [*reversed(names), "a@y.lit", "b@sub.x.lit"]:
            await self.store.accounts.create_account(name, ())
        first = [info.account for info in await self.store.accounts.accounts("x.lit", limit=2)]
        second = await self.store.accounts.accounts("x.lit", after=first[-1], limit=10)
        self.assertEqual(first + [info.account for info in second], names)
        self.assertEqual(await self.store.accounts.count_accounts("x.lit"), 5)
        self.assertEqual(await self.store.accounts.count_accounts("z.lit"), 0)

    async def test_info(self) -> None:
        """A list of accounts tells when each was made and was last here."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        [info] = await self.store.accounts.accounts("montague.lit")
        self.assertGreater(info.created, 1_700_000_000)
        self.assertIsNone(info.last_seen)
        await self.store.presences.save_last_presence(ROMEO, LastPresence(12.5, None))
        await self.store.accounts.set_disabled(ROMEO, True)
        [info] = await self.store.accounts.accounts("montague.lit")
        self.assertEqual((info.last_seen, info.disabled), (12.5, True))

    async def test_long_name(self) -> None:
        """A name may be as long as the RFC allows, in any script (RFC 7622 §3.1)."""
        await self.store.accounts.create_account(LONG_BARE, KEYS)
        self.assertTrue(await self.store.accounts.exists(LONG_BARE))
        self.assertFalse(await self.store.accounts.exists(LONG_BARE[:-1]))
        [info] = await self.store.accounts.accounts(LONG_DOMAIN)
        self.assertEqual(info.account, LONG_BARE)

    async def test_race_for_a_name(self) -> None:
        """Of many who want a name at once one gets it."""
        creating = [
            Deferred.fromCoroutine(self.store.accounts.create_account(ROMEO, KEYS)).addCallbacks(
                lambda _: "created", lambda failure: failure.trap(AccountExists)
            )
            for _ in range(20)
        ]
        outcomes = await gatherResults(creating)
        self.assertEqual(outcomes.count("created"), 1)
        self.assertEqual(outcomes.count(AccountExists), 19)


class DeletionContract(Asking):
    async def fill(self) -> None:
        """Give Romeo one of everything."""
        await self.store.rosters.save_roster_items(ROMEO, [RosterItem(JULIET)])
        await self.store.offline.store_offline(
            ROMEO, b"<m/>", sender=JULIET, stored=1, max_messages=9, max_bytes=99
        )
        await self.store.presences.save_last_presence(ROMEO, LastPresence(1.0, "gone"))
        await self.set_item("k", b"v")
        await self.store.shared_groups.save_shared_group(
            SharedGroup("staff", "Staff", (ROMEO, JULIET))
        )

    async def assert_owns_nothing(self) -> None:
        """Nothing bears Romeo's name."""
        self.assertEqual(await self.store.rosters.roster(ROMEO), RosterData(0, ()))
        self.assertEqual(await self.store.offline.offline_messages(ROMEO), [])
        self.assertEqual(await self.store.presences.last_presence([ROMEO]), {})
        self.assertEqual(await self.store.items.get_items(ROMEO, "urn:x"), {})
        self.assertEqual((await self.store.shared_groups.shared_groups())[0].members, (JULIET,))

    async def test_delete(self) -> None:
        """An account takes all that is its own with it, and leaves the others alone."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.store.accounts.create_account(JULIET, KEYS)
        await self.store.rosters.save_roster_items(JULIET, [RosterItem(ROMEO)])
        await self.fill()
        await self.store.accounts.delete_account(ROMEO)
        self.assertIsNone(await self.store.accounts.credentials(ROMEO))
        await self.assert_owns_nothing()
        self.assertTrue(await self.store.accounts.exists(JULIET))
        self.assertEqual(len((await self.store.rosters.roster(JULIET)).items), 1)

    async def test_nothing_is_inherited(self) -> None:
        """A new account of an old name starts with nothing, whatever was written in between."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.store.accounts.delete_account(ROMEO)
        await self.fill()
        await self.store.accounts.create_account(ROMEO, KEYS[:1])
        await self.assert_owns_nothing()
        self.assertEqual((await self.store.rosters.roster(ROMEO)).version, 0)
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials
        self.assertEqual(list(credentials.keys), ["SHA-1"])

    async def test_refused_creation_harms_nobody(self) -> None:
        """Who tries to take a name that is taken does not empty the account."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.fill()
        await self.refuses(AccountExists, self.store.accounts.create_account(ROMEO, ()))
        self.assertEqual(len((await self.store.rosters.roster(ROMEO)).items), 1)
        self.assertEqual(len(await self.store.offline.offline_messages(ROMEO)), 1)


class RosterContract(Asking):
    async def test_empty(self) -> None:
        """A roster that never was has version 0 and nobody in it."""
        self.assertEqual(await self.store.rosters.roster(ROMEO), RosterData(0, ()))

    async def test_every_field(self) -> None:
        """What is kept of a contact comes back as it was."""
        item = RosterItem(
            JULIET, "Jülìet 'J'", ("Friends", 'A "b"', "漢"), "both", True, b"<p\x00/>", True
        )
        await self.store.rosters.save_roster_items(ROMEO, [item])
        [found] = (await self.store.rosters.roster(ROMEO)).items
        self.assertEqual(found, item)
        self.assertIs(found.ask, True)
        await self.store.rosters.save_roster_items(ROMEO, [RosterItem(JULIET)])
        self.assertEqual((await self.store.rosters.roster(ROMEO)).items, (RosterItem(JULIET),))

    async def test_version(self) -> None:
        """Each change raises the version; what changes nothing does not."""
        save, delete = self.store.rosters.save_roster_items, self.store.rosters.delete_roster_item
        first = await save(ROMEO, [RosterItem("a@x"), RosterItem("b@x")])
        second = await save(ROMEO, [RosterItem("a@x", "A")])
        self.assertLess(0, first)
        self.assertLess(first, second)
        self.assertEqual(await save(ROMEO, []), second)
        self.assertEqual(await delete(ROMEO, "nobody@x"), second)
        third = await delete(ROMEO, "a@x")
        self.assertLess(second, third)
        self.assertEqual(
            await self.store.rosters.roster(ROMEO), RosterData(third, (RosterItem("b@x"),))
        )
        fourth = await delete(ROMEO, "b@x")
        self.assertLess(third, fourth)
        self.assertEqual(await self.store.rosters.roster(ROMEO), RosterData(fourth, ()))
        self.assertEqual(await delete(JULIET, "b@x"), 0)

    async def test_version_raised_from_outside(self) -> None:
        """A roster gets a new version without a change of its own."""
        first = await self.store.rosters.raise_roster_version(ROMEO)
        self.assertLess(0, first)
        second = await self.store.rosters.save_roster_items(ROMEO, [RosterItem("a@x")])
        third = await self.store.rosters.raise_roster_version(ROMEO)
        self.assertLess(first, second)
        self.assertLess(second, third)
        self.assertEqual((await self.store.rosters.roster(ROMEO)).version, third)

    async def test_version_names_one_state(self) -> None:
        """A roster that was removed and made again has none of its old versions."""
        save, versions = self.store.rosters.save_roster_items, set[int]()
        for _ in range(2):
            await self.store.accounts.create_account(ROMEO, ())
            versions.update([await save(ROMEO, [RosterItem(f"{n}@x")]) for n in range(3)])
            await self.store.accounts.delete_account(ROMEO)
        self.assertEqual(len(versions), 6)

    async def test_who_may_be_seen(self) -> None:
        """Of any number of accounts it is told which let somebody see them, in one go."""
        names = [f"c{number}@x" for number in range(700)]
        states = ("none", "to", "from", "both")
        for number in range(0, 700, 70):
            item = RosterItem(ROMEO, subscription=states[number // 70 % 4])
            await self.store.rosters.save_roster_items(names[number], [item, RosterItem(JULIET)])
        seen = await self.store.rosters.who_may_be_seen(ROMEO, names)
        self.assertEqual(seen, {names[n] for n in (140, 210, 420, 490)})
        self.assertEqual(await self.store.rosters.who_may_be_seen(JULIET, names), set())
        self.assertEqual(await self.store.rosters.who_may_be_seen(ROMEO, []), set())

    async def test_expected_version(self) -> None:
        """A change that was decided from another version than the roster has is refused, whatever
        it is, and changes nothing; one from the roster's own is made.
        """
        rosters = self.store.rosters
        first = await rosters.save_roster_items(ROMEO, [RosterItem("a@x")], expected=0)
        second = await rosters.save_roster_items(ROMEO, [RosterItem("b@x")], expected=first)
        for stale in (0, first, second + 1):
            for change in (
                rosters.save_roster_items(ROMEO, [RosterItem("c@x")], expected=stale),
                rosters.save_roster_items(ROMEO, [], expected=stale),
                rosters.delete_roster_item(ROMEO, "a@x", expected=stale),
                rosters.delete_roster_item(ROMEO, "nobody@x", expected=stale),
                rosters.raise_roster_version(ROMEO, expected=stale),
            ):
                with self.assertRaises(AnotherVersion):
                    await change
        kept = RosterData(second, (RosterItem("a@x"), RosterItem("b@x")))
        self.assertEqual(await rosters.roster(ROMEO), kept)
        third = await rosters.delete_roster_item(ROMEO, "a@x", expected=second)
        fourth = await rosters.raise_roster_version(ROMEO, expected=third)
        self.assertEqual(await rosters.roster(ROMEO), RosterData(fourth, (RosterItem("b@x"),)))

    async def test_version_of_a_removed_roster(self) -> None:
        """A change that was decided before the account was removed brings nothing back."""
        await self.store.accounts.create_account(ROMEO, ())
        version = await self.store.rosters.save_roster_items(ROMEO, [RosterItem("a@x")])
        await self.store.accounts.delete_account(ROMEO)
        with self.assertRaises(AnotherVersion):
            await self.store.rosters.save_roster_items(ROMEO, [RosterItem("b@x")], expected=version)
        self.assertEqual(await self.store.rosters.roster(ROMEO), RosterData(0, ()))

    async def test_expected_version_race(self) -> None:
        """Of several changes from one version one is made."""
        version = 0
        for _ in range(3):
            saving = [
                Deferred.fromCoroutine(
                    self.store.rosters.save_roster_items(
                        ROMEO, [RosterItem(f"c{number}@x")], expected=version
                    )
                ).addErrback(lambda failure: failure.trap(AnotherVersion))
                for number in range(8)
            ]
            outcomes = await gatherResults(saving)
            versions = [each for each in outcomes if each is not AnotherVersion]
            self.assertEqual(len(versions), 1)
            [version] = versions

    async def test_versions_are_told_once(self) -> None:
        """Changes made at once each get a version of their own."""
        saving = [
            Deferred.fromCoroutine(
                self.store.rosters.save_roster_items(ROMEO, [RosterItem(f"c{number}@x")])
            )
            for number in range(30)
        ]
        self.assertEqual(len(set(await gatherResults(saving))), 30)
        self.assertEqual(len((await self.store.rosters.roster(ROMEO)).items), 30)

    async def test_large(self) -> None:
        """A roster of a thousand long names comes back whole, in the order of the addresses."""
        items = [RosterItem(f"{number:04}{LONG_FULL[4:]}", "n" * 200) for number in range(1000)]
        await self.store.rosters.save_roster_items(ROMEO, items[::-1])
        self.assertEqual((await self.store.rosters.roster(ROMEO)).items, tuple(items))

    async def test_hostile_names(self) -> None:
        """Quotes and signs that mean something to SQL are letters like any other."""
        items = [RosterItem(f"{text}@x", text, (text,)) for text in HOSTILE]
        await self.store.rosters.save_roster_items(ROMEO, items)
        self.assertEqual(set((await self.store.rosters.roster(ROMEO)).items), set(items))

    async def test_shared_groups(self) -> None:
        """A shared group keeps the order of its members, is replaced, and goes."""
        staff = SharedGroup("staff", "Die 'Leute'", (ROMEO, JULIET), "everybody", ("z", "y"))
        await self.store.shared_groups.save_shared_group(SharedGroup("zoo", "Zoo"))
        await self.store.shared_groups.save_shared_group(staff)
        self.assertEqual(
            await self.store.shared_groups.shared_groups(), [staff, SharedGroup("zoo", "Zoo")]
        )
        fewer = replace(staff, members=(JULIET, JULIET), display_name="D")
        await self.store.shared_groups.save_shared_group(fewer)
        await self.store.shared_groups.delete_shared_group("zoo")
        await self.store.shared_groups.delete_shared_group("nothing")
        self.assertEqual(
            await self.store.shared_groups.shared_groups(), [replace(fewer, members=(JULIET,))]
        )


class OfflineContract(Asking):
    async def test_order(self) -> None:
        """Messages wait in the order they came, and are forgotten one by one."""
        ids = [
            await self.store.offline.store_offline(
                ROMEO,
                b"<m>\x00%d</m>" % number,
                sender=JULIET,
                stored=number,
                max_messages=9,
                max_bytes=999,
            )
            for number in range(3)
        ]
        self.assertEqual(ids, sorted(set(ids)))
        await self.store.offline.delete_offline(ROMEO, [ids[1]])
        self.assertEqual(
            await self.store.offline.offline_messages(ROMEO),
            [
                OfflineMessage(ids[0], b"<m>\x000</m>", 0.0),
                OfflineMessage(ids[2], b"<m>\x002</m>", 2.0),
            ],
        )
        await self.store.offline.delete_offline(ROMEO, iter(ids))
        await self.store.offline.delete_offline(ROMEO, [])
        self.assertEqual(await self.store.offline.offline_messages(ROMEO), [])

    async def test_ids_are_not_reused(self) -> None:
        """Who forgets a message twice does not forget a later one."""
        first = await self.store.offline.store_offline(
            ROMEO, b"a", sender=JULIET, stored=1, max_messages=9, max_bytes=9
        )
        await self.store.offline.delete_offline(ROMEO, [first])
        await self.store.offline.store_offline(
            ROMEO, b"b", sender=JULIET, stored=1, max_messages=9, max_bytes=9
        )
        await self.store.offline.delete_offline(ROMEO, [first])
        self.assertEqual(len(await self.store.offline.offline_messages(ROMEO)), 1)

    async def test_only_ones_own(self) -> None:
        """Nobody forgets another's messages."""
        his = await self.store.offline.store_offline(
            ROMEO, b"a", sender=JULIET, stored=1, max_messages=9, max_bytes=9
        )
        await self.store.offline.delete_offline(JULIET, [his])
        self.assertEqual(len(await self.store.offline.offline_messages(ROMEO)), 1)

    async def test_offline_asked_again(self) -> None:
        """However often it was found that nothing waits, what comes after that is found."""
        for _ in range(2):
            self.assertEqual(await self.store.offline.offline_messages(ROMEO), [])
            self.assertEqual(await self.store.offline.offline_messages(ROMEO), [])
            his = await self.store.offline.store_offline(
                ROMEO, b"a", sender=JULIET, stored=1, max_messages=9, max_bytes=9
            )
            self.assertEqual(
                [m.id for m in await self.store.offline.offline_messages(ROMEO)], [his]
            )
            await self.store.offline.delete_offline(ROMEO, [his])

    async def test_offline_bytes(self) -> None:
        """Bytes of all messages count, and room is there again once some are gone."""
        store = partial(self.store.offline.store_offline, stored=1.0, max_messages=9, max_bytes=10)
        first = await store(ROMEO, b"12345", sender="a")
        await store(ROMEO, b"12345", sender="b")
        await self.refuses(QuotaExceeded, store(ROMEO, b"1", sender="c"))
        await store(JULIET, b"1234567890", sender="a")
        await self.store.offline.delete_offline(ROMEO, [first])
        await store(ROMEO, b"1", sender="c")

    async def test_shares(self) -> None:
        """A sender has half of the room, the next one half of the rest, and so on."""
        kept = [await self.keep_of(f"sender{number}@x.lit", 100) for number in range(10)]
        self.assertEqual(kept, [50, 25, 13, 6, 3, 2, 1, 0, 0, 0])
        first = (await self.store.offline.offline_messages(ROMEO))[0]
        await self.store.offline.delete_offline(ROMEO, [first.id, first.id, 0])
        self.assertEqual(await self.keep_of("sender0@x.lit", 9), 0)
        self.assertEqual(await self.keep_of("sender11@x.lit", 9), 1)

    async def test_share_in_bytes(self) -> None:
        """Long messages count by their bytes; the first one of a sender may take all there is."""
        self.assertEqual(await self.keep_of("a@x.lit", 20, size=60), 8)
        self.assertEqual(await self.keep_of("b@x.lit", 20, size=60), 4)
        used = await self.store.offline.offline_use(ROMEO, "a@x.lit", None)
        self.assertEqual(used, Shares(Use(12, 720), Use(8, 480), Use()))
        self.assertEqual(await self.keep_of("c@x.lit", 1, size=280), 1)

    async def test_share_of_a_domain(self) -> None:
        """However many names somebody makes up at its own domain, all of them have one share."""
        kept = [await self.keep_of(f"{n}@evil.lit", 10, domain="evil.lit") for n in range(20)]
        self.assertEqual(sum(kept), 50)
        self.assertEqual(await self.keep_of("evil.lit", 5), 5)
        self.assertEqual(await self.keep_of("paris@verona.lit", 5, domain="verona.lit"), 5)
        used = await self.store.offline.offline_use(ROMEO, "0@evil.lit", "evil.lit")
        self.assertEqual((used.of_domain.count, used.all.count), (50, 60))

    async def test_counted_whatever_happens(self) -> None:
        """What is held, recovered or forgotten with its account is counted like everything else."""
        await self.keep_of("a@x.lit", 7)
        await self.store.sessions.hold_messages(
            "", [HeldMessage(b"k", 1, ROMEO, b"<m/>", 1.0)], arrived=[]
        )
        await self.store.sessions.recover_messages("")
        used = await self.store.offline.offline_use(ROMEO, "a@x.lit", "x.lit")
        self.assertEqual(used, Shares(Use(8, 74), Use(7, 70), Use()))
        await self.store.accounts.create_account(ROMEO, [])  # whatever bore this name is gone
        self.assertEqual(await self.store.offline.offline_use(ROMEO, "a@x.lit", None), Shares())
        self.assertEqual(await self.keep_of("a@x.lit", 60), 50)
        waiting = await self.store.offline.offline_messages(ROMEO)
        await self.store.sessions.save_sessions(
            "", [], theirs={ROMEO: [each.id for each in waiting]}
        )
        self.assertEqual(await self.store.offline.offline_use(ROMEO, "a@x.lit", None), Shares())

    async def keep_of(
        self, sender: str, count: int, *, size: int = 10, domain: str | None = None
    ) -> int:
        """Try to store so many messages of a sender where there is room for 100; how many were."""
        kept = 0
        for _ in range(count):
            try:
                await self.store.offline.store_offline(
                    ROMEO,
                    bytes(size),
                    sender=sender,
                    sender_domain=domain,
                    stored=1.0,
                    max_messages=100,
                    max_bytes=1_000,
                )
            except QuotaExceeded:
                return kept
            kept += 1
        return kept

    async def test_pages(self) -> None:
        """Messages can be had a few at a time."""
        await self.keep_of("a@x.lit", 5)
        ids = [message.id for message in await self.store.offline.offline_messages(ROMEO)]
        first = await self.store.offline.offline_messages(ROMEO, limit=2)
        second = await self.store.offline.offline_messages(ROMEO, after=first[-1].id, limit=2)
        third = await self.store.offline.offline_messages(ROMEO, after=second[-1].id, limit=2)
        self.assertEqual([each.id for each in (*first, *second, *third)], ids)
        self.assertEqual(await self.store.offline.offline_messages(ROMEO, after=ids[-1]), [])
        self.assertEqual(
            len(await self.store.offline.offline_messages(ROMEO)), 5
        )  # it was not empty

    async def test_offline_quota_race(self) -> None:
        """Of many messages that come at once only as many are kept as there is room for."""
        outcomes = await self.keep(30)
        self.assertEqual(outcomes.count(QuotaExceeded), 25)
        self.assertEqual(len(await self.store.offline.offline_messages(ROMEO)), 5)


class PresenceContract(Asking):
    async def test_many(self) -> None:
        """A thousand contacts are asked for at once, and only those who were here answer."""
        names = [f"c{number}@x" for number in range(1100)]
        for number in range(0, 1100, 2):
            await self.store.presences.save_last_presence(names[number], LastPresence(number, None))
        self.assertEqual(
            await self.store.presences.last_presence(names),
            {names[number]: LastPresence(number, None) for number in range(0, 1100, 2)},
        )
        self.assertEqual(await self.store.presences.last_presence([]), {})
        self.assertEqual(await self.store.presences.last_presence([ROMEO, ROMEO]), {})

    async def test_latest_counts(self) -> None:
        """The last of several goodbyes is the one that is remembered."""
        await self.store.presences.save_last_presence(ROMEO, LastPresence(1.0, "one"))
        await self.store.presences.save_last_presence(ROMEO, LastPresence(2.5, "'two' 漢"))
        self.assertEqual(
            await self.store.presences.last_presence([JULIET, ROMEO]),
            {ROMEO: LastPresence(2.5, "'two' 漢")},
        )


class ItemContract(Asking):
    async def test_values(self) -> None:
        """A value is kept by its namespace and key, replaced, and forgotten."""
        await self.set_item("k", b"\x00\xff'")
        await self.set_item("k", b"other", namespace="urn:y")
        self.assertEqual(await self.store.items.get_item(ROMEO, "urn:x", "k"), b"\x00\xff'")
        await self.set_item("k", b"")
        self.assertEqual(await self.store.items.get_items(ROMEO, "urn:x"), {"k": b""})
        await self.set_item("k", None)
        await self.set_item("k", None)
        self.assertIsNone(await self.store.items.get_item(ROMEO, "urn:x", "k"))
        self.assertEqual(await self.store.items.get_items(ROMEO, "urn:y"), {"k": b"other"})

    async def test_hostile_keys(self) -> None:
        """Any text is a key, however long."""
        for key in (*HOSTILE, "k" * 10_000):
            await self.store.items.set_item(
                ROMEO, key, key, key.encode(), max_items=99, max_bytes=99_999
            )
        for key in (*HOSTILE, "k" * 10_000):
            self.assertEqual(await self.store.items.get_items(ROMEO, key), {key: key.encode()})

    async def test_item_count(self) -> None:
        """No more items than allowed, in all namespaces together; replacing one is no more."""
        for key, namespace in (("a", "urn:x"), ("b", "urn:x"), ("a", "urn:y")):
            await self.set_item(key, b"1", namespace=namespace)
        await self.refuses(QuotaExceeded, self.set_item("c", b"1"))
        await self.set_item("a", b"2")
        await self.set_item("b", None)
        await self.set_item("c", b"1")

    async def test_item_bytes(self) -> None:
        """Bytes of keys and values count; a value that grows too large leaves the old one."""
        await self.set_item("12345", b"x" * 94)
        await self.refuses(QuotaExceeded, self.set_item("1", b"1"))
        await self.refuses(QuotaExceeded, self.set_item("12345", b"y" * 96))
        self.assertEqual(await self.store.items.get_item(ROMEO, "urn:x", "12345"), b"x" * 94)
        await self.set_item("12345", b"y" * 95)

    async def test_item_quota_race(self) -> None:
        """Of many items that come at once only as many are kept as there is room for."""
        setting = [
            Deferred.fromCoroutine(self.set_item(f"k{number}", b"v")).addErrback(
                lambda failure: failure.trap(QuotaExceeded)
            )
            for number in range(20)
        ]
        self.assertEqual((await gatherResults(setting)).count(QuotaExceeded), 17)
        self.assertEqual(len(await self.store.items.get_items(ROMEO, "urn:x")), 3)

    async def test_who_has_one(self) -> None:
        """Of any number of accounts it is told which have a value of some key."""
        names = [f"c{number}@x" for number in range(600)]
        for name, space, key in (
            (names[1], "urn:x", "a"), (names[550], "urn:x", "a"), (names[2], "urn:x", "b"),
            (names[3], "urn:y", "a"),
        ):  # fmt: skip
            await self.store.items.set_item(name, space, key, b"", max_items=9, max_bytes=99)
        having = await self.store.items.who_has_item(names, "urn:x", "a")
        self.assertEqual(having, {names[1], names[550]})

    async def test_expected_values(self) -> None:
        """A change that was decided from other values than those that are kept is refused."""
        change = partial(self.store.items.set_item, ROMEO, "urn:x", max_items=9, max_bytes=999)
        await change("a", b"1", expected={"a": None})
        await change("b", b"1", expected={"a": b"1", "b": None})
        for expected in ({"a": None}, {"a": b"2"}, {"a": b"1", "b": b"2"}, {"c": b""}):
            for value in (b"2", None):
                with self.assertRaises(AnotherVersion):
                    await change("a", value, expected=expected)
        kept = await self.store.items.get_items(ROMEO, "urn:x")
        self.assertEqual(kept, {"a": b"1", "b": b"1"})
        await change("a", None, expected={"a": b"1"})
        await change("b", b"2", expected={"a": None, "b": b"1", "c": None})
        self.assertEqual(await self.store.items.get_items(ROMEO, "urn:x"), {"b": b"2"})

    async def test_expected_value_race(self) -> None:
        """Of several changes from one value one is made."""
        change = partial(self.store.items.set_item, ROMEO, "urn:x", max_items=9, max_bytes=999)
        for value in (None, b"1", b"2"):
            await change("a", value)
            changing = [
                Deferred.fromCoroutine(change("a", new, expected={"a": value})).addErrback(
                    lambda failure: failure.trap(AnotherVersion)
                )
                for new in (b"3", b"4", b"5", b"6")
            ]
            outcomes = await gatherResults(changing)
            self.assertEqual(outcomes.count(AnotherVersion), 3)

    async def test_owner_without_account(self) -> None:
        """Something may be kept for a domain or a room."""
        await self.store.items.set_item("room@muc.x", "n", "k", b"v", max_items=1, max_bytes=9)
        self.assertEqual(await self.store.items.get_item("room@muc.x", "n", "k"), b"v")


PHONE = Device("d4565fa7-4d72-4749-b3d3-740edbf87770", "Balcony", "Romeo's phone", 10.5, 10.5)
LAPTOP = Device("2a9c0a5e-6f0e-4a0d-9d1f-0b5f2ad0c3b7", "", "", 11.0, 11.0)
TOKEN = Token(b"\x00\xff nonce", "HT-SHA-256-NONE", 10.5, 99.25)
NEXT = Token(b"another", "HT-SHA-256-EXPR", 20.0, 109.0)


class TokenContract(Asking):
    """Devices and their tokens."""

    async def add(self, device: Device, token: Token, max_devices: int = 5) -> None:
        """Give Romeo's device a token."""
        await self.store.devices.add_token(ROMEO, device, token, max_devices=max_devices)

    async def use(self, nonce: bytes, count: int | None = None, seen: float = 30.0) -> bool:
        """Use a token of the phone."""
        return await self.store.devices.use_token(ROMEO, PHONE.id, nonce, count, seen)

    async def phone(self) -> Device:
        """The phone as it is kept."""
        device = await self.store.devices.device(ROMEO, PHONE.id)
        assert device is not None
        return device

    async def test_devices(self) -> None:
        """Devices are kept with their tokens, and listed with the one that was seen last first."""
        self.assertEqual(await self.store.devices.devices(ROMEO), [])
        self.assertIsNone(await self.store.devices.device(ROMEO, PHONE.id))
        await self.add(LAPTOP, NEXT)
        await self.add(PHONE, TOKEN)
        phone, laptop = replace(PHONE, new=TOKEN), replace(LAPTOP, new=NEXT)
        self.assertEqual(await self.store.devices.devices(ROMEO), [laptop, phone])
        self.assertEqual(await self.phone(), phone)
        self.assertIsNone(await self.store.devices.device(JULIET, PHONE.id))
        await self.use(TOKEN.nonce)
        self.assertEqual([one.id for one in await self.store.devices.devices(ROMEO)],
                         [PHONE.id, LAPTOP.id])  # fmt: skip

    async def test_new_token(self) -> None:
        """A new token takes the place of one that was not used, never of the one in use."""
        await self.add(PHONE, TOKEN)
        await self.use(TOKEN.nonce)
        await self.add(PHONE, replace(NEXT, nonce=b"lost"))
        renamed = replace(PHONE, name="Romeo's new phone", first_seen=40.0, last_seen=40.0)
        await self.add(renamed, NEXT)
        lost = (replace(NEXT, nonce=b"lost"),)
        expected = replace(renamed, first_seen=10.5, current=TOKEN, new=NEXT, spent=lost)
        self.assertEqual(await self.phone(), expected)
        self.assertFalse(await self.use(b"lost"))

    async def test_use(self) -> None:
        """Using the new token ends the old one; using the old one does not end the new one."""
        await self.add(PHONE, TOKEN)
        self.assertTrue(await self.use(TOKEN.nonce))
        await self.add(PHONE, NEXT)
        self.assertTrue(await self.use(TOKEN.nonce))
        self.assertTrue(await self.use(NEXT.nonce, seen=50.0))
        self.assertFalse(await self.use(TOKEN.nonce))
        self.assertFalse(await self.use(b"never"))
        self.assertFalse(
            await self.store.devices.use_token(JULIET, PHONE.id, NEXT.nonce, None, 1.0)
        )
        self.assertEqual(
            await self.phone(), replace(PHONE, last_seen=50.0, current=NEXT, spent=(TOKEN,))
        )

    async def test_count(self) -> None:
        """The count of a token rises, and is never left out once it was there."""
        await self.add(PHONE, TOKEN)
        self.assertTrue(await self.use(TOKEN.nonce))
        self.assertFalse(await self.use(TOKEN.nonce, 0))
        self.assertTrue(await self.use(TOKEN.nonce, 1))
        self.assertTrue(await self.use(TOKEN.nonce, 2**31 - 1))
        for count in (1, 2**31 - 1, None):
            self.assertFalse(await self.use(TOKEN.nonce, count))

    async def test_race(self) -> None:
        """Of many who replay one login at the same time, one gets in."""
        await self.add(PHONE, TOKEN)
        asking = [Deferred.fromCoroutine(self.use(TOKEN.nonce, 1)) for _ in range(8)]
        self.assertEqual(sum(await gatherResults(asking)), 1)

    async def test_bounded(self) -> None:
        """The device that was seen longest ago makes room, and is known for some time still."""
        for number in range(8):
            device = replace(PHONE, id=str(number), last_seen=float(number))
            await self.add(device, TOKEN, max_devices=3)
        devices = await self.store.devices.devices(ROMEO)
        self.assertEqual([device.id for device in devices], ["7", "6", "5", "4", "3", "2"])
        self.assertEqual([len(device.tokens) for device in devices], [1, 1, 1, 0, 0, 0])
        self.assertEqual([device.spent for device in devices][2:4], [(), (TOKEN,)])

    async def test_forget(self) -> None:
        """A token, or both of a device, are ended; those of others are not."""
        await self.add(PHONE, TOKEN)
        await self.add(LAPTOP, TOKEN)
        await self.use(TOKEN.nonce)
        await self.add(PHONE, NEXT)
        await self.store.devices.end_token(ROMEO, PHONE.id)
        await self.store.devices.end_token(ROMEO, "nowhere")
        self.assertFalse(await self.use(TOKEN.nonce))
        self.assertTrue(await self.store.devices.end_device(ROMEO, PHONE.id))
        self.assertFalse(await self.store.devices.end_device(ROMEO, PHONE.id))
        self.assertFalse(await self.use(NEXT.nonce))
        phone = await self.phone()
        self.assertEqual((phone.tokens, phone.spent), ((), (NEXT, TOKEN)))
        laptop = await self.store.devices.device(ROMEO, LAPTOP.id)
        self.assertEqual(laptop, replace(LAPTOP, new=TOKEN))

    async def test_gone_with_the_account(self) -> None:
        """A new password and closing an account end the tokens, removing it takes them; opening
        it does neither.
        """
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.add(PHONE, TOKEN)
        await self.store.accounts.set_disabled(ROMEO, False)
        self.assertEqual((await self.phone()).tokens, (TOKEN,))
        await self.store.accounts.set_disabled(ROMEO, True)
        self.assertEqual(await self.phone(), replace(PHONE, spent=(TOKEN,)))
        await self.add(PHONE, NEXT)
        await self.store.accounts.set_keys(ROMEO, KEYS)
        self.assertEqual(await self.phone(), replace(PHONE, spent=(NEXT, TOKEN)))
        await self.add(PHONE, TOKEN)
        await self.store.accounts.delete_account(ROMEO)
        self.assertEqual(await self.store.devices.devices(ROMEO), [])
        await self.add(PHONE, TOKEN)
        await self.store.accounts.create_account(ROMEO, KEYS)
        self.assertEqual(await self.store.devices.devices(ROMEO), [])

    async def test_add_key(self) -> None:
        """A key is added beside those it was proved with, and to no others; tokens stay."""
        known = {key.hash: key for key in KEYS}
        added = ScramKeys("SHA-512", b"salt", 20_000, b"stored", b"server")
        better = replace(KEYS[1], iterations=20_000)
        self.assertFalse(await self.store.accounts.add_key(ROMEO, added, known))
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.add(PHONE, TOKEN)
        self.assertTrue(await self.store.accounts.add_key(ROMEO, added, known))
        self.assertFalse(await self.store.accounts.add_key(ROMEO, better, known))
        known["SHA-512"] = added
        self.assertTrue(await self.store.accounts.add_key(ROMEO, better, known))
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials is not None
        self.assertEqual(credentials.keys, {**known, "SHA-256": better})
        self.assertEqual(len(await self.store.devices.devices(ROMEO)), 1)


class FormerAccountContract(Asking):
    """Names of accounts that were removed."""

    async def test_kept(self) -> None:
        """A name is kept with a key of its account, over its removal."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        self.assertIsNone(await self.store.former_accounts.former_account(ROMEO))
        await self.store.former_accounts.reserve_name(ROMEO, until=100.5, now=10.0)
        await self.store.accounts.delete_account(ROMEO)
        former = await self.store.former_accounts.former_account(ROMEO)
        assert former is not None
        self.assertEqual(former.until, 100.5)
        self.assertIn(former.key, KEYS)
        self.assertIsNone(await self.store.former_accounts.former_account(JULIET))

    async def test_without_a_key(self) -> None:
        """Also of an account that had none."""
        await self.store.accounts.create_account(ROMEO, [])
        await self.store.former_accounts.reserve_name(ROMEO, until=100.0, now=10.0)
        self.assertEqual(
            await self.store.former_accounts.former_account(ROMEO), FormerAccount(100.0, None)
        )

    async def test_made_again(self) -> None:
        """When an account of this name is made, it is over."""
        await self.store.former_accounts.reserve_name(ROMEO, until=100.0, now=10.0)
        await self.store.accounts.create_account(ROMEO, KEYS)
        self.assertIsNone(await self.store.former_accounts.former_account(ROMEO))

    async def test_over(self) -> None:
        """Those that are over are forgotten with the next; one that is renewed is not."""
        await self.store.former_accounts.reserve_name(ROMEO, until=100.0, now=10.0)
        await self.store.former_accounts.reserve_name(ROMEO, until=200.0, now=50.0)
        await self.store.former_accounts.reserve_name(JULIET, until=150.0, now=100.0)
        self.assertEqual(
            await self.store.former_accounts.former_account(ROMEO), FormerAccount(200.0, None)
        )
        await self.store.former_accounts.reserve_name(ROMEO, until=300.0, now=150.0)
        self.assertIsNone(await self.store.former_accounts.former_account(JULIET))


class SessionContract(Asking):
    async def hold(self, *texts: str, arrived: tuple[int, ...] = ()) -> list[int]:
        """Hold messages for Romeo's session."""
        messages = [HeldMessage(b"key", 7, ROMEO, text.encode(), 1.5) for text in texts]
        return await self.store.sessions.hold_messages("", messages, arrived=arrived)

    async def test_sessions(self) -> None:
        """Sessions are found as they were saved, until they are taken up."""
        romeo = SavedSession(bytes(range(32)), ROMEO, b"\x00'" * 100_000)
        juliet = SavedSession(b"k", LONG_BARE, b"")
        await self.store.sessions.save_sessions("", [romeo, juliet], theirs={})
        for _ in range(2):
            self.assertCountEqual(await self.store.sessions.saved_sessions(""), [romeo, juliet])
        self.assertEqual(
            await self.store.sessions.take_up_sessions("", [romeo.key, b"k"], held=[], lost=[]), []
        )
        self.assertEqual(await self.store.sessions.saved_sessions(""), [])

    async def test_taken_up(self) -> None:
        """What the sessions have is held from then on; what no session has waits."""
        await self.store.sessions.save_sessions("", [SavedSession(b"a", ROMEO, b"")], theirs={})
        held = [HeldMessage(b"key", n, ROMEO, b"<%d/>" % n, 1.5) for n in (1, 2)]
        lost = [HeldMessage(b"other", 9, ROMEO, b"<lost/>", 1.5)]
        (first, second) = await self.store.sessions.take_up_sessions(
            "", [b"a"], held=held, lost=lost
        )
        (waiting,) = await self.store.offline.offline_messages(ROMEO)
        self.assertEqual((waiting.stanza, waiting.key, waiting.position), (b"<lost/>", b"other", 9))
        await self.hold(arrived=(first,))
        recovered = await self.store.sessions.recover_messages("")
        self.assertEqual([each.stanza for each in recovered], [b"<2/>"])
        self.assertNotEqual(first, second)

    async def test_places(self) -> None:
        """The store knows where a message stands in the queue of a session, also when it is held
        no more; of what is gone it learns nothing.
        """
        first, second = await self.hold("a", "b")
        await self.store.sessions.place_messages(
            [StanzaPlace(first, True, b"phone", 2**32 - 1), StanzaPlace(99, True, b"x", 1)]
        )
        await self.store.offline.store_offline(
            ROMEO, b"b", sender=JULIET, stored=2.5, max_messages=9, max_bytes=999,
            place=StanzaPlace(second, True, b"desk", 4),
        )  # fmt: skip
        await self.store.offline.store_offline(
            ROMEO, b"c", sender=JULIET, stored=2.5, max_messages=9, max_bytes=999
        )
        await self.store.sessions.recover_messages("")
        await self.store.sessions.recover_messages("")
        waiting = await self.store.offline.offline_messages(ROMEO)
        self.assertEqual(
            [(each.stanza, each.key, each.position) for each in waiting],
            [(b"b", b"desk", 4), (b"c", b"", 0), (b"a", b"phone", 2**32 - 1)],
        )
        await self.store.sessions.place_messages(
            [StanzaPlace(waiting[1].id, False, b"phone", 8), StanzaPlace(999, False, b"x", 1)]
        )
        placed = (await self.store.offline.offline_messages(ROMEO))[1]
        self.assertEqual((placed.key, placed.position), (b"phone", 8))

    async def test_only_the_last(self) -> None:
        """What was saved before is replaced."""
        await self.store.sessions.save_sessions("", [SavedSession(b"a", ROMEO, b"")], theirs={})
        await self.store.sessions.save_sessions("", [SavedSession(b"b", ROMEO, b"")], theirs={})
        self.assertEqual(
            [each.key for each in await self.store.sessions.saved_sessions("")], [b"b"]
        )
        await self.store.sessions.save_sessions("", [], theirs={})
        self.assertEqual(await self.store.sessions.saved_sessions(""), [])

    async def test_theirs(self) -> None:
        """Offline messages that a session has are forgotten with its saving, and no others."""
        await self.keep(3)
        first, second, third = await self.store.offline.offline_messages(ROMEO)
        theirs = {ROMEO: [first.id, third.id], JULIET: [second.id]}
        await self.store.sessions.save_sessions("", [], theirs=theirs)
        self.assertEqual(await self.store.offline.offline_messages(ROMEO), [second])

    async def test_held(self) -> None:
        """Messages are held in their order until they are acknowledged, or become offline ones."""
        first, second = await self.hold("a", "b")
        (third,) = await self.hold("c", arrived=(first, 999))
        self.assertEqual(await self.store.offline.offline_messages(ROMEO), [])
        recovered = await self.store.sessions.recover_messages("")
        waiting = await self.store.offline.offline_messages(ROMEO)
        self.assertEqual(
            [(each.stanza, each.stored) for each in waiting], [(b"b", 1.5), (b"c", 1.5)]
        )
        expected = [HeldMessage(b"key", 7, ROMEO, each.stanza, 1.5, each.id) for each in waiting]
        self.assertEqual(recovered, expected)
        self.assertEqual(await self.store.sessions.recover_messages(""), [])
        self.assertEqual(await self.hold(arrived=(second, third)), [])
        self.assertNotIn((await self.hold("d"))[0], (first, second, third))

    async def test_saved_and_held(self) -> None:
        """What is saved with its session need not be held any more."""
        await self.hold("a")
        await self.store.sessions.save_sessions("", [], theirs={})
        self.assertEqual(await self.store.sessions.recover_messages(""), [])

    async def test_with_the_account(self) -> None:
        """Sessions and messages end with their account."""
        await self.store.accounts.create_account(ROMEO, KEYS)
        await self.store.sessions.save_sessions(
            "", [SavedSession(b"a", ROMEO, b""), SavedSession(b"b", JULIET, b"")], theirs={}
        )
        await self.hold("a")
        await self.store.accounts.delete_account(ROMEO)
        self.assertEqual(
            [each.key for each in await self.store.sessions.saved_sessions("")], [b"b"]
        )
        self.assertEqual(await self.store.sessions.recover_messages(""), [])


class IdentityContract(Asking):
    async def test_same(self) -> None:
        """A database is called the same, whoever asks, also if many ask at once."""
        asked = [Deferred.fromCoroutine(self.store.identity()) for _ in range(5)]
        [name] = {str(each) for each in await gatherResults(asked)}
        self.assertEqual(len(name), 32)
        self.assertEqual(await self.store.identity(), name)


class Contract(
    AccountContract,
    DeletionContract,
    RosterContract,
    OfflineContract,
    PresenceContract,
    ItemContract,
    TokenContract,
    FormerAccountContract,
    SessionContract,
    IdentityContract,
):
    """All of it."""
