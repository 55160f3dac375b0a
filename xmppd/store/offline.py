"""Offline messages: kept for accounts that are away (:xep:`0160`)."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from operator import attrgetter

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from xmppd.host.clocks import wall_clock
from xmppd.store import held
from xmppd.store.accounts import accounts
from xmppd.store.cache import Cache
from xmppd.store.checks import check_bytes, check_integer, check_moment, check_text
from xmppd.store.columns import (
    NUMBER,
    ORDERED,
    OWNER,
    digest,
    digest_column,
    insert_unless,
    lock_owner,
    metadata,
)
from xmppd.store.database import Database, Parameters
from xmppd.store.errors import QuotaExceeded
from xmppd.store.healing import RecordStore
from xmppd.store.held import HeldMessage, StanzaPlace
from xmppd.store.kind import Kind, RecordPlace
from xmppd.store.prepared import Prepared
from xmppd.store.usage import MESSAGES, NOTHING, Use, usage, use_of

MAX_CACHED_ACCOUNTS = 10_000
NO_LIMIT = 2**31 - 1
"""More rows than there are."""

MESSAGES_PER_PAGE = 1_000
"""Those that are freed in one transaction."""

# An id is never given twice: a late deletion must not hit another message.
offline_messages = Table(
    "offline_messages",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    digest_column("owner", primary_key=False),
    Column("stored", Double, nullable=False),
    Column("size", Integer, nullable=False),
    Column("stanza", LargeBinary, nullable=False),
    Column("sender", LargeBinary),
    Column("sender_domain", LargeBinary),
    Column("session", LargeBinary),
    Column("position", BigInteger),
    Column("holder", ORDERED),
    Column("origin", ORDERED),
    Index(None, "owner", "id"),
    Index(
        None,
        "holder",
        sqlite_where=text("holder IS NOT NULL"),
        postgresql_where=text("holder IS NOT NULL"),
    ),
    # So a message is stored once that comes once more, since a node was lost.
    Index(
        "uq_offline_messages_origin",
        "owner",
        "origin",
        unique=True,
        sqlite_where=text("origin IS NOT NULL"),
        postgresql_where=text("origin IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

_MESSAGE = (
    offline_messages.c.id,
    offline_messages.c.stanza,
    offline_messages.c.stored,
    offline_messages.c.session,
    offline_messages.c.position,
    offline_messages.c.origin,
)
_PAGE: Select[int, bytes, float, bytes | None, int | None, str | None] = (
    select(*_MESSAGE)
    .where(offline_messages.c.owner == OWNER, offline_messages.c.id > bindparam("after"))
    .order_by(offline_messages.c.id)
    .limit(bindparam("limit"))
)
_TAKEN_PAGE = _PAGE.where(offline_messages.c.holder == bindparam("by"))
_FREE_OR_OURS: Select[int] = (
    select(offline_messages.c.id)
    .where(
        offline_messages.c.owner == OWNER,
        or_(offline_messages.c.holder.is_(None), offline_messages.c.holder == bindparam("by")),
    )
    .limit(1)
)
# Rows are locked in the order of their ids, here and where they are deleted: so who waits for a row
# has none that another waits for.
_FREE = (
    select(offline_messages.c.id)
    .where(offline_messages.c.owner == bindparam("whose"), offline_messages.c.holder.is_(None))
    .order_by(offline_messages.c.id)
    .with_for_update()
    .cte("chosen")
)
_TAKE: Prepared[()] = Prepared(
    update(offline_messages)
    .where(offline_messages.c.id.in_(select(_FREE.c.id)))
    .values(holder=bindparam("by"))
)
_TO_GIVE_BACK = (
    select(offline_messages.c.id)
    .where(
        offline_messages.c.owner == bindparam("whose"),
        offline_messages.c.holder == bindparam("by"),
        offline_messages.c.id.not_in(bindparam("kept", expanding=True)),
    )
    .order_by(offline_messages.c.id)
    .with_for_update()
    .cte("chosen")
)
_GIVE_BACK: Update = (
    update(offline_messages)
    .where(offline_messages.c.id.in_(select(_TO_GIVE_BACK.c.id)))
    .values(holder=None)
)
_HOLDERS: Select[str | None] = (
    select(offline_messages.c.holder).where(offline_messages.c.holder.is_not(None)).distinct()
)
_LEFT = (
    select(offline_messages.c.id)
    .where(offline_messages.c.holder == bindparam("by"))
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    .cte("chosen")
)
_GIVE_BACK_LEFT: ReturningUpdate[bytes] = (
    update(offline_messages)
    .where(offline_messages.c.id.in_(select(_LEFT.c.id)))
    .values(holder=None)
    .returning(offline_messages.c.owner)
)
_NAMES: Select[str] = select(accounts.c.account).where(
    accounts.c.owner.in_(bindparam("owners", expanding=True))
)
_USE: Select[bytes, int, int] = select(usage.c.share, usage.c.count, usage.c.bytes).where(
    usage.c.owner == OWNER,
    usage.c.share.in_((bindparam("all"), bindparam("sender"), bindparam("domain"))),
)
_COUNTED: Prepared[bytes, int, int] = Prepared(_USE)
_WRITTEN = (
    "owner", "stored", "size", "stanza", "sender", "sender_domain", "session", "position", "origin",
)  # fmt: skip
_ADD: Prepared[int] = Prepared(
    insert_unless(
        offline_messages,
        (offline_messages.c.owner, offline_messages.c.origin),
        text("origin IS NOT NULL"),
        offline_messages.c.id,
    ),
    _WRITTEN,
)
_KNOWN: Select[int] = select(offline_messages.c.id).where(
    offline_messages.c.owner == OWNER, offline_messages.c.origin == bindparam("origin")
)
_FORGET: Prepared[()] = Prepared(
    delete(offline_messages).where(
        offline_messages.c.owner == OWNER, offline_messages.c.id == bindparam("message")
    )
)
_PLACE: Prepared[()] = Prepared(
    update(offline_messages)
    .where(offline_messages.c.id == bindparam("message"))
    .values(session=bindparam("key"), position=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class OfflineMessage:
    """A message that waits for its recipient.

    Attributes:
        id: Given by the store, rising.
        stanza: The whole message, addressed, as bytes.
        stored: Seconds since 1970.
        key: Of the session that was given it last; empty if that cannot be resumed.
        position: The lowest count of handled stanzas by which its client has it; 0 if unknown.
        origin: By which nodes know it (:class:`~xmppd.routing.origins.Origins`); empty if it has
            none.
    """

    id: int
    stanza: bytes
    stored: float
    key: bytes = b""
    position: int = 0
    origin: str = ""

    def kept(self, account: str) -> RecordPlace:
        """The key of its row."""
        return RecordPlace(OFFLINE_MESSAGE, {"id": self.id}, {"stanza": self.stanza})


@dataclass(frozen=True, slots=True)
class Shares:
    """The numbers of messages that wait for an account.

    Attributes:
        all: Together.
        of_sender: Of one sender.
        of_domain: Of all senders of its domain; nothing if that is not counted.
    """

    all: Use = NOTHING
    of_sender: Use = NOTHING
    of_domain: Use = NOTHING


def has_share(theirs: int, more: int, free: int) -> bool:
    """Whether a sender that has so many places may have more, where so many are free.

    Half of the free places are for one sender, and half of the rest for the next one: so no sender
    takes the last free place from those that have none.
    """
    return theirs + more <= free


def check_room(used: Shares, more_bytes: int, *, max_messages: int, max_bytes: int) -> None:
    """Refuse one more message beside those that wait, if there is no room (OM-4).

    Args:
        used: By those that wait.
        more_bytes: Of the message.
        max_messages: That may wait for the account.
        max_bytes: The same in bytes.

    Raises:
        QuotaExceeded: There is no room, or the sender has had its share of it.
    """
    free, free_bytes = max_messages - used.all.count, max_bytes - used.all.bytes
    if free < 1 or more_bytes > free_bytes:
        raise QuotaExceeded("too many messages wait for this account already")
    for share in (used.of_sender, used.of_domain):
        if not has_share(share.count, 1, free) or not has_share(
            share.bytes, more_bytes, free_bytes
        ):
            raise QuotaExceeded("too many messages of yours wait for this account already")


class OfflineStore(RecordStore):
    """The messages that wait for accounts.

    Args:
        database: Keeps them.
        now: Tells the time in seconds since 1970.
    """

    def __init__(self, database: Database, now: Callable[[], float] = wall_clock) -> None:
        super().__init__(database, now)
        self._nothing_waits: Cache[bool] = Cache(MAX_CACHED_ACCOUNTS)

    @property
    def writes_in_order(self) -> bool:
        """Whether changes are written in the order of their calls, without waiting for each."""
        return self._database.alone

    async def store_offline(
        self,
        account: str,
        stanza: bytes,
        *,
        sender: str,
        sender_domain: str | None = None,
        stored: float,
        max_messages: int,
        max_bytes: int,
        place: StanzaPlace | None = None,
        origin: str = "",
    ) -> int:
        """Keep one message, if there is room. The cost does not depend on how many there are.

        Args:
            account: Bare JID of the recipient.
            stanza: The message.
            sender: Bare JID; of a sender's messages only its share is kept.
            sender_domain: The same for all senders of this domain, if it is given.
            stored: The time when it came, in seconds since 1970.
            max_messages: The number that may wait for the account.
            max_bytes: The same in bytes.
            place: Its position in the queue of a session that has ended; if it was held for that,
                it is held no more.
            origin: By which nodes know it, if they do; the account's message of this origin is
                stored once.

        Returns:
            Its id; 0 if it was stored before, and has arrived by now.

        Raises:
            QuotaExceeded: There is no room; the text says for whom.
        """
        change = partial(
            store,
            account=account,
            stanza=stanza,
            sender=sender,
            sender_domain=sender_domain,
            stored=stored,
            max_messages=max_messages,
            max_bytes=max_bytes,
            place=place,
            origin=origin,
        )
        self.something_waits(account)
        try:
            return await self._database.write(change)
        finally:
            self.something_waits(account)  # a look meanwhile saw none yet

    async def offline_use(self, account: str, sender: str, sender_domain: str | None) -> Shares:
        """The use of an account's quota, in all and by a sender."""
        shares = _shares(sender, sender_domain)
        use = {"owner": digest(account), **shares}
        return _use(await self._database.read(_USE, use), shares)

    async def offline_messages(
        self, account: str, *, holder: str = "", after: int = 0, limit: int | None = None
    ) -> list[OfflineMessage]:
        """The messages that wait, oldest first.

        Args:
            account: Bare JID.
            holder: Only those that this node has taken, if it is given.
            after: Only those behind the one of this id.
            limit: So many at most; None for all.
        """
        if account in self._nothing_waits:
            return []
        owner = {"owner": digest(account)}
        page = {**owner, "by": holder, "after": after, "limit": limit or NO_LIMIT}
        query = _TAKEN_PAGE if holder else _PAGE

        async def read() -> list[OfflineMessage]:
            return list(starmap(_message, await self._database.read(query, page)))

        waiting = await self._sound(read, (OFFLINE_MESSAGE,), owner, account)
        if not (waiting or after or holder) and self._database.alone:
            self._nothing_waits[account] = True
        return waiting

    async def take_offline(
        self, account: str, node: str, *, limit: int = NO_LIMIT
    ) -> list[OfflineMessage]:
        """Take all messages that wait for sessions of a node: then no other node gets them, until
        they are given back (ST-9).

        All of them, though they are read a few at a time: so nobody has later ones before the first
        ones are known to have arrived.

        Args:
            account: Bare JID.
            node: Its id as text.
            limit: So many at most are returned.

        Returns:
            The oldest that the node has taken, now and before.
        """
        names = {"owner": digest(account), "by": node}
        if not await self._database.read(_FREE_OR_OURS, names):
            return []
        names = {"whose": names["owner"], "by": node}
        await self._database.write(partial(_take, names=names))
        return await self.offline_messages(account, holder=node, limit=limit)

    async def give_back(self, account: str, node: str, *, kept: Collection[int] = ()) -> None:
        """Give back the messages of an account that a node has taken, except some."""
        names = {"whose": digest(account), "by": node, "kept": list(kept)}
        await self._database.write(partial(_update, statement=_GIVE_BACK, names=names))

    async def holders(self) -> set[str]:
        """All nodes that have taken messages."""
        found = await self._database.read(_HOLDERS, {})
        return {holder for (holder,) in found if isinstance(holder, str)}

    async def free_taken(self, node: str, *, limit: int = MESSAGES_PER_PAGE) -> set[str] | None:
        """Give back messages that a node has taken which is gone.

        Args:
            node: Several others may do this for it at the same time.
            limit: So many at most.

        Returns:
            The accounts whose messages they are; None if none are left.
        """
        return await self._database.write(partial(_free, node=node, limit=limit))

    async def delete_offline(self, account: str, ids: Iterable[int]) -> None:
        """Delete messages, which have arrived."""
        await self._database.write(partial(delete_messages, account=account, ids=tuple(ids)))

    def something_waits(self, account: str) -> None:
        """Look into the database the next time, since there may be messages in it."""
        self._nothing_waits.forget(account)


def store(
    connection: Connection,
    account: str,
    stanza: bytes,
    sender: str,
    sender_domain: str | None,
    stored: float,
    max_messages: int,
    max_bytes: int,
    place: StanzaPlace | None = None,
    origin: str = "",
) -> int:
    """Keep a message, if there is room; returns its id. See :meth:`OfflineStore.store_offline`."""
    owner = lock_owner(connection, account)
    shares = _shares(sender, sender_domain)
    used = _use(_COUNTED.on(connection, {"owner": owner, **shares}), shares)
    try:
        check_room(used, len(stanza), max_messages=max_messages, max_bytes=max_bytes)
    except QuotaExceeded:
        if not origin or _known(connection, owner, origin) is None:
            raise
    row = {
        "owner": owner,
        "stored": stored,
        "size": len(stanza),
        "stanza": stanza,
        "sender": shares["sender"],
        "sender_domain": None if sender_domain is None else shares["domain"],
        "session": None if place is None else place.key,
        "position": None if place is None else place.position,
        "origin": origin or None,
    }
    if place is not None and place.held:
        held.forget(connection, (place.number,))
    return _add(connection, row)


def add_message(connection: Connection, message: HeldMessage) -> int:
    """Keep a message that was held, whatever the account's quota; returns its id."""
    row = {
        "owner": digest(message.account),
        "stored": message.came,
        "size": len(message.stanza),
        "stanza": message.stanza,
        "sender": None,
        "sender_domain": None,
        "session": message.key,
        "position": message.position,
        "origin": message.origin or None,
    }
    return _add(connection, row)


def _add(connection: Connection, row: Parameters) -> int:
    """Add a message, unless that of its origin is there; returns its id."""
    added = _ADD.on(connection, row)
    message = added[0][0] if added else _known(connection, row["owner"], row["origin"])
    return message or 0


def _known(connection: Connection, owner: object, origin: object) -> int | None:
    """The id of an account's message of this origin."""
    found: int | None = connection.execute(_KNOWN, {"owner": owner, "origin": origin}).scalar()
    return found


def delete_messages(connection: Connection, account: str, ids: Sequence[int]) -> None:
    """Delete messages."""
    owner = digest(account)
    for message in sorted(ids):  # in order: so nobody waits for one who waits for them
        _FORGET.on(connection, {"owner": owner, "message": message})


def _take(connection: Connection, names: Parameters) -> None:
    _TAKE.on(connection, names)


def _update(connection: Connection, statement: Update, names: Parameters) -> None:
    connection.execute(statement, names)


def _free(connection: Connection, node: str, limit: int) -> set[str] | None:
    owners = set(connection.execute(_GIVE_BACK_LEFT, {"by": node, "limit": limit}).scalars())
    if not owners:
        return None
    return set(connection.execute(_NAMES, {"owners": list(owners)}).scalars())


def place_messages(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    """Write the positions of messages."""
    for place in sorted(places, key=attrgetter("number")):
        _PLACE.on(connection, place.parameters)


def _shares(sender: str, sender_domain: str | None) -> dict[str, bytes]:
    """The names under which a sender's messages are counted, as parameters of a query.

    No message is counted under the domain ``None``.
    """
    of_domain = digest("@" + (sender_domain or ""))
    return {"all": MESSAGES, "sender": digest(sender), "domain": of_domain}


def _use(rows: Iterable[tuple[bytes, int, int]], shares: dict[str, bytes]) -> Shares:
    used = {share: use_of(count, size) for share, count, size in rows}
    return Shares(*(used.get(shares[name], NOTHING) for name in ("all", "sender", "domain")))


def _message(
    id: int,
    stanza: bytes,
    stored: float,
    session: bytes | None,
    position: int | None,
    origin: str | None,
) -> OfflineMessage:
    key = b"" if session is None else check_bytes("session", session)
    at = 0 if position is None else check_integer("position", position)
    checked = check_bytes("stanza", stanza), check_moment("stored", stored)
    known_as = "" if origin is None else check_text("origin", origin)
    return OfflineMessage(id, *checked, key, at, known_as)


OFFLINE_MESSAGE = Kind(
    "offline message",
    offline_messages,
    ("id", "stanza", "stored", "session", "position", "origin"),
    _message,
    ("id",),
    {"stored": 0.0, "session": None, "position": None, "origin": None},
)

__all__ = [
    "OFFLINE_MESSAGE",
    "OfflineMessage",
    "OfflineStore",
    "Shares",
    "add_message",
    "check_room",
    "delete_messages",
    "has_share",
    "offline_messages",
    "place_messages",
    "store",
]
