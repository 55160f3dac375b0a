"""StoredCounts: how much of some kinds the store has, counted now and then."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, func, select
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.host.metrics import Label, Metric
from xmppd.store.accounts import accounts
from xmppd.store.columns import digest
from xmppd.store.database import Database
from xmppd.store.errors import StoreError
from xmppd.store.offline import offline_messages

GOOD_FOR_S = 300.0
"""The time for which counts are good enough: to count again reads whole indexes."""

_log = Logger()


class StoredCounts:
    """The numbers of accounts and of offline messages.

    Args:
        database: Has them.
        domains: All that are served.
        clock: The reactor's.
    """

    def __init__(self, database: Database, domains: Sequence[str], clock: IReactorTime) -> None:
        self._database = database
        self._domains = tuple(domains)
        self._clock = clock
        self._counted_at: float | None = None
        self._counting: Deferred[None] | None = None
        self._accounts: Mapping[tuple[str, ...], int] = {}
        self._offline: Mapping[tuple[str, ...], int] = {}

    def metrics(self) -> Iterator[Metric]:
        """What was counted; nothing before :meth:`refresh`."""
        yield Metric(
            "accounts",
            "Accounts that exist, counted every five minutes.",
            "gauge",
            lambda: self._accounts,
            labels=(Label("domain", self._domains),),
        )
        yield Metric(
            "offline_messages",
            "Messages that are kept for accounts, counted every five minutes.",
            "gauge",
            lambda: self._offline,
        )

    async def refresh(self) -> None:
        """Have them counted if they are old; the first time, wait for that."""
        now = self._clock.seconds()
        if self._counted_at is not None and now - self._counted_at < GOOD_FOR_S:
            return
        is_first, self._counted_at = self._counted_at is None, now
        self._counting = Deferred.fromCoroutine(self._count())
        if is_first:
            await self._counting

    async def _count(self) -> None:
        # A change, so that a thread does it: the reactor reads SQLite itself.
        try:
            found, waiting = await self._database.write(self._counts)
        except StoreError as error:
            _log.debug("nothing was counted: {error}", error=error)
            return
        self._accounts = {(domain,): found.get(digest(domain), 0) for domain in self._domains}
        self._offline = {(): waiting}

    @staticmethod
    def _counts(connection: Connection) -> tuple[dict[bytes, int], int]:
        rows = connection.execute(
            select(accounts.c.domain, func.count()).group_by(accounts.c.domain)
        )
        kept = connection.execute(select(func.count()).select_from(offline_messages))
        return {bytes(domain): count for domain, count in rows}, kept.scalar_one()
