"""Store: everything that outlives a restart, in one database."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from secrets import token_hex

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger

from xmppd.host.clocks import wall_clock
from xmppd.store.accounts import AccountStore
from xmppd.store.api_keys import APIKeyStore
from xmppd.store.arrivals import ArrivalStore
from xmppd.store.audit import AuditStore
from xmppd.store.belongings import Belongings
from xmppd.store.claim_tokens import ClaimTokenStore
from xmppd.store.database import Database
from xmppd.store.devices import DeviceStore
from xmppd.store.engine import parse_url
from xmppd.store.errors import AnotherVersion, StoreError
from xmppd.store.former_accounts import FormerAccountStore
from xmppd.store.items import ItemStore
from xmppd.store.jobs import JobStore
from xmppd.store.key_kinds import KeyKindStore
from xmppd.store.last_presences import PresenceStore
from xmppd.store.offline import NO_LIMIT, OfflineStore
from xmppd.store.postgresql import PostgreSQLDatabase
from xmppd.store.quarantine import QuarantineStore
from xmppd.store.readings import ReadingStore
from xmppd.store.rosters import RosterStore
from xmppd.store.sessions import SessionStore
from xmppd.store.shared_groups import SharedGroupStore
from xmppd.store.sqlite import SQLiteDatabase
from xmppd.store.tables import PluginTables
from xmppd.store.watched import Watched

NS = "urn:xmppd:database"
"""What the store keeps for itself."""

_log = Logger()


class Store:
    """All stored things, one attribute for each; a stage is handed those that it needs.

    An account is named by its bare JID as text. Every method of these is a coroutine: SQLite
    answers frequent reads without waiting, a database across the network is waited for in a thread.
    When a change has returned it is safe on disk, unless its method says otherwise.

    Args:
        database: Keeps everything.
        clock: The reactor's.
        now: Tells the time in seconds since 1970.

    Attributes:
        database: The same, watched.
        belongings: The tables whose rows go with an account.
        accounts: The accounts.
        former_accounts: The reserved names of removed ones.
        rosters: Their rosters.
        shared_groups: The shared groups.
        offline: Messages for accounts that are away.
        key_kinds: The kinds of keys that those have brought.
        arrivals: Accounts that move in.
        presences: The last presences of accounts.
        devices: The devices that may log in by a token.
        items: Small values of accounts and plugins.
        sessions: Saved sessions and held messages.
        claim_tokens: The highest token that each claimed thing has had.
        api_keys: The keys with which programs give commands.
        audit: Which commands have changed something.
        jobs: Commands that nobody waits for.
        readings: What each node has counted lately.
        quarantine: Records that could not be read.
        tables: The place of plugins' own tables.
    """

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        now: Callable[[], float] = wall_clock,
    ) -> None:
        self._closed = False
        self._watched = Watched(database, clock)
        self.database: Database = self._watched
        self.belongings = Belongings()
        self.presences = PresenceStore(self.database, clock, now)
        self.accounts = AccountStore(self.database, self.presences, self.belongings, now)
        self.former_accounts = FormerAccountStore(self.database, now)
        self.rosters = RosterStore(self.database, now)
        self.shared_groups = SharedGroupStore(self.database, now)
        self.offline = OfflineStore(self.database, now)
        self.devices = DeviceStore(self.database, now)
        self.items = ItemStore(self.database, now)
        self.key_kinds = KeyKindStore(self.database, self.items)
        self.arrivals = ArrivalStore(self.accounts, self.offline, self.items, self.key_kinds, now)
        self.sessions = SessionStore(self.database, self.offline, now)
        self.claim_tokens = ClaimTokenStore(self.database, now)
        self.api_keys = APIKeyStore(self.database, now)
        self.audit = AuditStore(self.database, now)
        self.jobs = JobStore(self.database, now)
        self.readings = ReadingStore(self.database, now)
        self.quarantine = QuarantineStore(self.database)
        self.tables = PluginTables(self.database, self.belongings, now)

    @property
    def watched(self) -> Watched:
        """What counts the calls of the database."""
        return self._watched

    @property
    def kept(self) -> Mapping[type, object]:
        """The stored things by their class, which is how a plugin asks for one."""
        return {
            AccountStore: self.accounts,
            FormerAccountStore: self.former_accounts,
            RosterStore: self.rosters,
            SharedGroupStore: self.shared_groups,
            OfflineStore: self.offline,
            PresenceStore: self.presences,
            DeviceStore: self.devices,
            ItemStore: self.items,
            SessionStore: self.sessions,
            QuarantineStore: self.quarantine,
            Database: self.database,
        }

    async def open(self, *, upgrade: bool = True, may_create: bool = True) -> None:
        """Open the database. Call it once, before anything else.

        Args:
            upgrade: Whether older tables may be brought up to date.
            may_create: Whether a database may be made that is not there, or has nothing in it.

        Raises:
            StoreError: It cannot be used; the text is one sentence for an administrator.
        """
        await self.database.open(upgrade, may_create)
        self._closed = False
        await self.tables.open(may_upgrade=upgrade)
        self.presences.open()

    async def identity(self) -> str:
        """A text that only this database has, by whichever URL it is reached."""
        key, items = "identity", self.items
        while (value := await items.get_item("", NS, key)) is None:
            made = token_hex(16).encode()
            with suppress(AnotherVersion):  # another node has made one
                await items.set_item(
                    "", NS, key, made, max_items=NO_LIMIT, max_bytes=NO_LIMIT, expected={key: None}
                )
        return value.decode()

    def write_while(
        self, may_write: Callable[[], bool], voice: Callable[[], Deferred[None]]
    ) -> None:
        """Write only while this is so, if other nodes write to the database as well.

        Args:
            may_write: Whether it is so now.
            voice: An awaitable until it is so again, which need not come.
        """
        self._watched.may_write = may_write
        self._watched.voice = voice

    def write_to_the_end(self) -> None:
        """Write what is left, since this node has left the others in order (ST-11)."""
        self._watched.may_write = lambda: True

    def abandon(self) -> None:
        """Write nothing more, and read nothing, since other nodes take this one for dead."""
        self._watched.abandon()
        self.presences.abandon()

    async def close(self) -> None:
        """Write all that is queued, and close the database."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.presences.close()
            await self.database.close()
        except StoreError as error:
            _log.error("the database could not be closed in order: {error}", error=error)


def make_store(
    url: str,
    *,
    reactor: IReactorTime,
    pool_threads: int = 4,
    taken_over: Callable[[str], None] = lambda why: None,
    shared: bool = False,
) -> Store:
    """The store for a URL, still to be opened.

    Args:
        url: ``sqlite:///path`` or ``postgresql://user:password@host/database``.
        reactor: Tells the time, and threads report to it.
        pool_threads: Threads, and connections, to PostgreSQL.
        taken_over: Called, with the reason, when another server has taken the database, and this
            one may not use it any more.
        shared: Whether other nodes of the service use the same database.

    Raises:
        StoreError: The URL is not one of a database we can use.
    """
    parsed = parse_url(url)
    threads = IReactorFromThreads(reactor)
    if parsed.get_backend_name() == "postgresql":
        server = PostgreSQLDatabase(parsed, threads, pool_threads, taken_over, shared=shared)
        return Store(server, reactor)
    if shared:
        raise StoreError(
            "A cluster needs a database that all nodes share, but storage.url is an SQLite file: "
            "use postgresql://…; `xmppctl db copy` copies everything there."
        )
    return Store(SQLiteDatabase(parsed, threads), reactor)


__all__ = ["Store", "make_store"]
