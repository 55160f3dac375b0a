"""What every store does for several nodes of one service, asked of each of them by the test cases
that mix this in.
"""

from functools import partial

from sqlalchemy import Connection

from tests.unit.store.contract import KEYS, ROMEO, Asking
from xmppd.store.claim_tokens import Deposed, raise_token


class ClaimTokenContract(Asking):
    async def test_never_had(self) -> None:
        """What nobody has had yet has no token."""
        self.assertEqual(await self.store.claim_tokens.highest_token("s2s", "a@b"), 0)

    async def test_rises(self) -> None:
        """A token is used as often as its owner likes, and by nobody who was owner before."""
        tokens = self.store.claim_tokens
        for token in (3, 3, 8):
            await tokens.raise_token("s2s", "a@b", token)
        await self.refuses(Deposed, tokens.raise_token("s2s", "a@b", 7))
        self.assertEqual(await tokens.highest_token("s2s", "a@b"), 8)

    async def test_one_thing(self) -> None:
        """Things of another kind, or another name, have tokens of their own."""
        tokens = self.store.claim_tokens
        await tokens.raise_token("s2s", "a@b", 8)
        await tokens.raise_token("s2s", "a@c", 1)
        await tokens.raise_token("muc", "a@b", 2)
        self.assertEqual(await tokens.highest_token("muc", "a@b"), 2)

    async def test_deposed(self) -> None:
        """What an owner writes with a token that is not the highest any more is not written."""

        def write(connection: Connection, token: int, text: bytes) -> None:
            raise_token(connection, "muc", "room", token)
            connection.exec_driver_sql(f"UPDATE accounts SET account = '{text.decode()}'")

        database = self.store.database
        await self.store.accounts.create_account(ROMEO, KEYS)
        await database.write(partial(write, token=2, text=b"second"))
        await self.refuses(Deposed, database.write(partial(write, token=1, text=b"first")))
        (found,) = await self.store.accounts.accounts("montague.lit")
        self.assertEqual(found.account, "second")


class NodesContract(ClaimTokenContract):
    """All of it."""
