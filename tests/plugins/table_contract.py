"""What plugins keep of invitations, of accounts that are to end and of tokens, on each database."""

from dataclasses import replace

from twisted.internet.defer import Deferred, gatherResults

from tests.unit.store.databases import OnDatabase
from xmppd.auth.sealing import Sealing
from xmppd.stanza import JID, StanzaError
from xmppd.store.sql import Tables
from xmppd.testing.house import House
from xmppd_plugins.account import tables as account_tables
from xmppd_plugins.account.endings import AccountEndings
from xmppd_plugins.account.resets import PasswordResets
from xmppd_plugins.account.settings import AccountPageSettings
from xmppd_plugins.auth_oauth import tables as oauth_tables
from xmppd_plugins.auth_oauth import uses as oauth_uses
from xmppd_plugins.auth_oauth.uses import TokenUse, TokenUses
from xmppd_plugins.invites import tables as invite_tables
from xmppd_plugins.invites.invitation import Invitation
from xmppd_plugins.invites.invitations import Invitations
from xmppd_plugins.invites.settings import InviteSettings
from xmppd_plugins.invites.welcome import GuestWelcome
from xmppd_plugins.register.registration import HourlyLimit

DOMAIN = "montague.lit"
ROMEO, JULIET = JID.parse(f"romeo@{DOMAIN}"), JID.parse(f"juliet@{DOMAIN}")
DAY_S = 86_400.0
PLUGINS = {"invites": invite_tables, "account": account_tables, "auth_oauth": oauth_tables}


class TableContract(OnDatabase):
    """What they do, whichever database it is."""

    async def furnish(self) -> None:
        """Have the tables, and a time that stands still."""
        for name, tables in PLUGINS.items():
            await self.store.tables.put(Tables(tables.metadata), name)
        self.now = 1_000_000.0
        self.house = House(DOMAIN)

    def time(self) -> float:
        """The time, in seconds since 1970."""
        return self.now

    def invitations(self) -> Invitations:
        """All of them."""
        server = self.house.server
        welcome = GuestWelcome(
            server.store.accounts.exists,
            server.presence_subscribe_handler,
            server.shared_group_changes,
        )
        return Invitations(
            self.store.database,
            server.accounts,
            welcome,
            InviteSettings(per_account_per_week=2),
            self.time,
            HourlyLimit(self.time),
        )

    def invitation(self, **others: object) -> Invitation:
        """One of Romeo's, for one guest."""
        made = Invitation(
            id="", inviter=ROMEO.bare, domain=DOMAIN, name="", groups=(), is_contact=True,
            with_account=True, max_uses=1, made=0.0, expires=self.now + DAY_S, revoked=None, used=0,
        )  # fmt: skip
        return replace(made, **others)  # type: ignore[arg-type]  # as it has them

    async def test_invitations(self) -> None:
        """An invitation is found by its token and in its order, and counts for its inviter; it is
        revoked, and forgotten.
        """
        await self.furnish()
        every = self.invitations()
        made = []
        for _ in range(2):
            self.now += 1
            made.append(await every.make(self.invitation(), is_limited=True))
        with self.assertRaises(StanzaError):
            await every.make(self.invitation(), is_limited=True)
        for (found, token), number in zip(made, (0, 1), strict=True):
            self.assertEqual((await every.open(token, "")).id, found.id)
            listed = [each async for each in every.all_of(ROMEO.bare)]
            self.assertEqual(listed[number].id, found.id)
        await every.revoke(made[0][0].id)
        with self.assertRaises(StanzaError):
            await every.open(made[0][1], "")
        promised, _ = await every.make(self.invitation(inviter="", name="tybalt"), is_limited=False)
        self.assertTrue(await every.is_promised(JID.parse(f"tybalt@{DOMAIN}")))
        self.now += DAY_S + every.settings.kept_s + 1
        await every.sweep()
        self.assertEqual([each async for each in every.all_of(None)], [])
        self.assertIsNone(await every.find(promised.id))

    async def test_one_guest(self) -> None:
        """However many take up one invitation at the same moment, one does; whoever does not get to
        the end gives it back.
        """
        await self.furnish()
        every = self.invitations()
        found, _ = await every.make(self.invitation(), is_limited=False)

        async def take(name: str, *, fails: bool = False) -> bool:
            try:
                async with every.used_by(found, JID.parse(f"{name}@{DOMAIN}")):
                    if fails:
                        raise ValueError(name)
            except (StanzaError, ValueError):
                return False
            return True

        self.assertFalse(await take("mercutio", fails=True))
        taken = await gatherResults(
            [Deferred.fromCoroutine(take(f"guest{number}")) for number in range(8)]
        )
        self.assertEqual(sum(taken), 1)
        ((who, _),) = await every.takers(found)
        self.assertRegex(who, r"^guest\d@")

    async def test_endings(self) -> None:
        """An account that is to end is listed until it is taken back, or its time has come."""
        await self.furnish()
        endings = AccountEndings(
            self.store.database, self.house.server.accounts, AccountPageSettings(), self.time
        )
        for account in (ROMEO, JULIET, ROMEO):
            self.now += 1
            await endings.ask(account)
        self.assertEqual([who for who, _ in await endings.all(9)], [JULIET.bare, ROMEO.bare])
        self.assertEqual(await endings.due(ROMEO), self.now + 7 * DAY_S)
        await endings.take_back(JULIET)
        self.assertIsNone(await endings.due(JULIET))
        self.house.add("romeo")
        self.now += 7 * DAY_S
        await endings.sweep()
        self.assertFalse(await self.house.server.store.accounts.exists(ROMEO.bare))

    async def test_resets(self) -> None:
        """Of an account's links the last one holds, once, and not for longer than was said."""
        await self.furnish()
        resets = PasswordResets(self.store.database, self.time)
        first, _ = await resets.make(ROMEO, DAY_S)
        second, _ = await resets.make(ROMEO, DAY_S)
        self.assertIsNone(await resets.whose(first))
        self.assertEqual(await resets.whose(second), ROMEO)
        used = await gatherResults([Deferred.fromCoroutine(resets.use(second)) for _ in range(4)])
        self.assertEqual(sum(used), 1)
        third, _ = await resets.make(ROMEO, DAY_S)
        self.now += DAY_S
        self.assertIsNone(await resets.whose(third))
        await resets.sweep()

    async def test_tokens(self) -> None:
        """A token in use is asked about by one, known as revoked, and forgotten with its account
        or when it is over.
        """
        await self.furnish()
        self.patch(oauth_uses, "MAX_TOKENS_PER_ACCOUNT", 2)
        uses = TokenUses(self.store.database, Sealing(b"rosebud"), self.time)
        for number in range(3):
            use = TokenUse(f"0{number}" * 16, ROMEO.bare, f"token {number}", self.now + number)
            for device in ("", "phone"):
                uses.note(use, device)
        await uses.write()
        kept = await uses.due(self.now)
        self.assertEqual(sorted(use.token for use in kept), ["token 1", "token 2"])
        self.assertEqual(sorted(await uses.devices(kept[0])), ["", "phone"])
        self.now += 10
        before = self.now - 5
        claims = [Deferred.fromCoroutine(uses.claim(kept[0], before)) for _ in range(4)]
        self.assertEqual(sum(await gatherResults(claims)), 1)
        self.assertEqual([use.proof for use in await uses.due(before)], [kept[1].proof])
        await uses.revoked(kept[0])
        self.assertEqual(
            await uses.known([kept[0].proof, kept[1].proof, "ff" * 16]),
            {kept[0].proof: True, kept[1].proof: False},
        )
        for use in await uses.expired(self.now + 9):
            await uses.forget(use)
        self.assertEqual(await uses.expired(self.now + 9), [])


__all__ = ["TableContract"]
