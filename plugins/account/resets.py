"""PasswordResets: links with which people choose a password who have forgotten theirs (ON-4)."""

from base64 import b32encode
from collections.abc import Callable
from hashlib import sha256
from secrets import token_bytes

from twisted.logger import Logger

from xmppd.stanza import JID
from xmppd.store.sql import Connection, Database, digest

from .tables import FORGET, RESET, USE, WHOSE

TOKEN_BYTES = 16
MAX_TOKEN_LENGTH = 64
_log = Logger()


class PasswordResets:
    """The links, of which only digests are kept; an account has one at most.

    Args:
        database: Keeps them, for all nodes.
        wall_clock: Seconds since 1970.
    """

    def __init__(self, database: Database, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._wall_clock = wall_clock

    async def make(self, account: JID, lifetime_s: float) -> tuple[str, float]:
        """Make a link in place of the one before; returns its token, which nobody can tell later,
        and when its time is over, in seconds since 1970.
        """
        token = b32encode(token_bytes(TOKEN_BYTES)).decode().rstrip("=").lower()
        expires = self._wall_clock() + lifetime_s
        row = {
            "owner": digest(account.bare), "account": account.bare,
            "digest": _digest(token), "expires": expires,
        }  # fmt: skip

        def save(connection: Connection) -> None:
            connection.execute(RESET.on(connection), row)

        await self._database.write(save)
        _log.info("a link to reset the password of {account} was created", account=account.bare)
        return token, expires

    async def whose(self, token: str) -> JID | None:
        """The account of a token; None if it holds for none (any more)."""
        rows = await self._database.read(WHOSE, {"which": _digest(token)})
        if not rows or rows[0][1] <= self._wall_clock():
            return None
        return JID.parse(rows[0][0])

    async def use(self, token: str) -> bool:
        """Use a token up; returns whether it held, as it does for the first one only."""
        wanted = {"which": _digest(token), "now": self._wall_clock()}

        def use(connection: Connection) -> bool:
            return connection.execute(USE, wanted).rowcount == 1

        return await self._database.write(use)

    async def sweep(self) -> None:
        """Forget what is over."""
        now = {"now": self._wall_clock()}

        def forget(connection: Connection) -> None:
            connection.execute(FORGET, now)

        await self._database.write(forget)


def _digest(token: str) -> bytes:
    return sha256(token[:MAX_TOKEN_LENGTH].encode()).digest()


__all__ = ["PasswordResets"]
