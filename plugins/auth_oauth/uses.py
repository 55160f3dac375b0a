"""TokenUses: the tokens that people have logged in by, for all nodes and over restarts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from xmppd.auth.sealing import Sealing
from xmppd.store.many import MAX_NAMES_PER_QUERY, owner_parameters
from xmppd.store.sql import Connection, Database, lock_owner

from .tables import (
    CLAIM,
    DEVICE,
    DEVICES,
    DUE,
    EXPIRED,
    FORGET,
    FORGET_DEVICES,
    KNOWN,
    OVER,
    SPARE,
    TOKEN,
)

MAX_TOKENS_PER_ACCOUNT = 100
"""More tokens of one account are not looked after: those that expire last are."""

MAX_UNWRITTEN = 10_000
"""Logins that wait to be written; with more, the oldest is not looked after."""

PAGE = 100
"""Tokens that are read at once."""

_PURPOSE = "auth_oauth"


@dataclass(frozen=True)
class TokenUse:
    """A token that somebody has logged in by.

    Attributes:
        proof: Names it.
        account: Bare JID.
        token: The token; empty if it cannot be unsealed any more.
        expires: When it does, in seconds since 1970.
        over: Whether it was revoked.
    """

    proof: str
    account: str
    token: str = field(repr=False)
    expires: float
    over: bool = False


class TokenUses:
    """Keeps them until they expire, sealed (AU-9).

    Args:
        database: Keeps them.
        sealing: Encrypts the tokens.
        now: The time in seconds since 1970.
    """

    def __init__(self, database: Database, sealing: Sealing, now: Callable[[], float]) -> None:
        self._database = database
        self._sealing = sealing
        self._now = now
        self._unwritten: dict[tuple[str, str], TokenUse] = {}

    # -- at a login -------------------------------------------------------------------------------

    def note(self, use: TokenUse, device: str) -> None:
        """Remember that a device has logged in by a token, until that is written."""
        self._unwritten[use.proof, device] = use
        if len(self._unwritten) > MAX_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]

    def is_unwritten(self, proof: str) -> bool:
        """Whether a login by this token waits to be written."""
        return any(proof == each for each, _ in self._unwritten)

    async def write(self) -> None:
        """Write what waits for it.

        Raises:
            StoreError: It waits on.
        """
        for (proof, device), use in tuple(self._unwritten.items()):
            if self._unwritten.get((proof, device)) is not use:
                continue  # somebody else has written it meanwhile
            await self._database.write(partial(self._save, use=use, device=device))
            if self._unwritten.get((proof, device)) is use:
                del self._unwritten[proof, device]

    def _save(self, connection: Connection, use: TokenUse, device: str) -> None:
        owner, proof = lock_owner(connection, use.account), bytes.fromhex(use.proof)
        row = {
            "proof": proof, "owner": owner, "account": use.account,
            "sealed": self._sealing.seal(_PURPOSE, use.token.encode()),
            "expires": use.expires, "asked": self._now(), "over": False,
        }  # fmt: skip
        connection.execute(TOKEN.on(connection), row)
        connection.execute(
            DEVICE.on(connection), {"proof": proof, "device": device, "owner": owner}
        )
        wanted = {"of_owner": owner, "kept": MAX_TOKENS_PER_ACCOUNT}
        for (spare,) in connection.execute(SPARE, wanted).fetchall():
            _forget(connection, spare)

    # -- looking after them -----------------------------------------------------------------------

    async def due(self, before: float) -> Sequence[TokenUse]:
        """Some tokens that nobody has asked about since then."""
        rows = await self._database.read(DUE, {"before": before, "limit": PAGE})
        return [self._use(*row) for row in rows]

    async def claim(self, use: TokenUse, before: float) -> bool:
        """Ask about a token ourselves; returns False if another node does."""
        wanted = {"which": bytes.fromhex(use.proof), "before": before, "now": self._now()}

        def claim(connection: Connection) -> bool:
            return connection.execute(CLAIM, wanted).rowcount == 1

        return await self._database.write(claim)

    async def expired(self, now: float) -> Sequence[TokenUse]:
        """Some tokens that have expired by then."""
        rows = await self._database.read(EXPIRED, {"now": now, "limit": PAGE})
        return [self._use(*row) for row in rows]

    async def known(self, proofs: Iterable[str]) -> dict[str, bool]:
        """Which of these there are, and whether each was revoked."""
        found = dict[str, bool]()
        remaining = map(bytes.fromhex, proofs)
        while page := list(islice(remaining, MAX_NAMES_PER_QUERY)):
            wanted = owner_parameters(page, "proof")
            rows = await self._database.read(KNOWN[len(wanted)], wanted)
            found |= {proof.hex(): bool(over) for proof, over in rows}
        return found

    async def devices(self, use: TokenUse) -> Sequence[str]:
        """The installations that have logged in by a token; empty for one without an id."""
        rows = await self._database.read(DEVICES, {"which": bytes.fromhex(use.proof)})
        return [device for (device,) in rows]

    async def revoked(self, use: TokenUse) -> None:
        """Note that a token was revoked, for sessions that are nowhere just now."""
        wanted = {"which": bytes.fromhex(use.proof)}

        def note(connection: Connection) -> None:
            connection.execute(OVER, wanted)

        await self._database.write(note)

    async def forget(self, use: TokenUse) -> None:
        """Forget a token."""
        proof = bytes.fromhex(use.proof)
        await self._database.write(partial(_forget, proof=proof))

    def _use(
        self, proof: bytes, account: str, sealed: bytes, expires: float, over: bool
    ) -> TokenUse:
        token = self._sealing.unseal(_PURPOSE, sealed) or b""
        return TokenUse(proof.hex(), account, token.decode(), expires, bool(over))


def _forget(connection: Connection, proof: bytes) -> None:
    connection.execute(FORGET, {"which": proof})
    connection.execute(FORGET_DEVICES, {"which": proof})


__all__ = ["MAX_TOKENS_PER_ACCOUNT", "MAX_UNWRITTEN", "TokenUse", "TokenUses"]
