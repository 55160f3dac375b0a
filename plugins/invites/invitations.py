"""Invitations: makes them, knows them by their tokens, and has each used as often as it says."""

from base64 import b32encode
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from secrets import token_bytes, token_hex

from twisted.logger import Logger

from xmppd.account.accounts import Accounts
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.columns import digest
from xmppd.store.errors import ChangeRefused, QuotaExceeded, StoreError
from xmppd.store.sql import Connection, Database, Select, lock_owner
from xmppd_plugins.register.registration import HourlyLimit

from .invitation import Invitation
from .settings import InviteSettings
from .tables import (
    ADD,
    BY_DIGEST,
    BY_ID,
    FINISH,
    FORGET,
    FORGET_USES,
    GIVE_BACK,
    GUEST,
    INVITED_BY,
    MADE,
    PAGE,
    PAGE_OF,
    PROMISED,
    REVOKE,
    TAKE,
    TAKERS,
    Columns,
)
from .welcome import GuestWelcome

TOKEN_BYTES = 16
MAX_TOKEN_LENGTH = 64
WEEK_S = 604_800.0
TAKING_S = 120.0
"""The time for which one who is about to take an invitation up counts as one who has."""

MAX_WRONG_PER_HOUR = 100
"""Tokens that are none and may come from one network; then it is told nothing of others either."""

MAX_SHOWN = 10_000
"""Clients that have shown a token; who did so first has to show it again."""

PAGE_ROWS = 100
NOT_VALID = "This invitation is invalid or has expired."
_log = Logger()


class NotValid(ChangeRefused):
    """An error: an invitation was used up or revoked meanwhile."""


@dataclass(frozen=True)
class InvitationVoucher:
    """Lets somebody make an account who has shown the token of an invitation.

    Attributes:
        invitations: All of them.
        invitation: As it was when the token was shown: whether its time is over matters then only
            (:xep:`0445`).
    """

    invitations: "Invitations"
    invitation: Invitation

    @property
    def domain(self) -> str:
        """Of the account."""
        return self.invitation.domain

    @property
    def name(self) -> str:
        """The local part that it must have; empty for any."""
        return self.invitation.name

    @asynccontextmanager
    async def taken_up(self, account: JID) -> AsyncIterator[None]:
        """A context in which the account is made; then it is welcomed."""
        async with self.invitations.used_by(self.invitation, account):
            yield
        await self.invitations.greet(self.invitation, account)


class Invitations:
    """All invitations, of which the tokens are not kept.

    Args:
        database: Keeps them, for all nodes.
        accounts: All of them.
        welcome: Makes inviter and guest contacts, and has the guest join groups.
        settings: The limits.
        wall_clock: Seconds since 1970.
        wrong: Counts tokens that are none, by the address they come from.

    Attributes:
        shown: What lets clients in that have shown a token, by the id of their stream.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        welcome: GuestWelcome,
        settings: InviteSettings,
        wall_clock: Callable[[], float],
        wrong: HourlyLimit,
    ) -> None:
        self.accounts = accounts
        self.settings = settings
        self.shown: OrderedDict[str, InvitationVoucher] = OrderedDict()
        self._database = database
        self._welcome = welcome
        self._wall_clock = wall_clock
        self._wrong = wrong

    def use(self, settings: InviteSettings) -> None:
        """Take other limits."""
        self.settings = settings

    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._wall_clock()

    # -- making -----------------------------------------------------------------------------------

    async def make(self, invitation: Invitation, *, is_limited: bool) -> tuple[Invitation, str]:
        """Make an invitation.

        Args:
            invitation: As it is to be, for how long is said by ``expires``; its id is made here.
            is_limited: Whether the inviter may invite a few in a week only.

        Returns:
            It, and its token, which nobody can tell later.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: the inviter has invited enough this week; CONFLICT:
                the name is taken or promised; NOT_ACCEPTABLE: it is reserved.
        """
        if invitation.name:
            await self._check_name(JID.of(invitation.name, invitation.domain))
        token = b32encode(token_bytes(TOKEN_BYTES)).decode().rstrip("=").lower()
        made = replace(invitation, id=token_hex(6), made=self.now())
        most = self.settings.per_account_per_week

        def add(connection: Connection) -> None:
            owner = lock_owner(connection, made.inviter)
            if is_limited:
                week = {"owner": owner, "after": made.made - WEEK_S}
                count = connection.execute(MADE, week).scalar_one()
                if count + made.max_uses > most:
                    raise QuotaExceeded(f"an account may invite at most {most} people a week")
            connection.execute(ADD, {**made.row, "digest": _digest(token), "owner": owner})

        try:
            await self._database.write(add)
        except QuotaExceeded as error:
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        by = made.inviter or "an administrator"
        _log.info("{account} created invitation {invitation}", account=by, invitation=made.id)
        return made, token

    async def _check_name(self, account: JID) -> None:
        if self.accounts.names.is_reserved(account):
            raise StanzaError(Condition.NOT_ACCEPTABLE, "this name is reserved")
        if await self.accounts.store.exists(account.bare) or await self.is_promised(account):
            raise StanzaError(Condition.CONFLICT, "this name is already in use")

    # -- looking ----------------------------------------------------------------------------------

    def voucher(self, session: LocalClientSession) -> InvitationVoucher | None:
        """What lets the client of a stream in, if it has shown a token."""
        return self.shown.get(session.id)

    async def is_promised(self, account: JID) -> bool:
        """Whether a name is kept for somebody who was invited (:xep:`0445`, business rules)."""
        wanted = {"domain": account.domain, "called": account.local, "now": self.now()}
        return bool(await self._database.read(PROMISED, {**wanted, "since": self._counted_since()}))

    async def open(self, token: str, address: str) -> Invitation:
        """The invitation of a token, as long as it may be taken up.

        Args:
            token: As it was shown.
            address: The IP address it comes from; empty for another server, which limits that.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none, it is used up, its time is over, or it was
                revoked, which all are said alike; RESOURCE_CONSTRAINT: too many came from there
                that are none.
        """
        if address and self._wrong.reached(address, MAX_WRONG_PER_HOUR):
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, "Too many attempts. Wait an hour.")
        found = await self._find(BY_DIGEST, {"digest": _digest(token[:MAX_TOKEN_LENGTH])})
        if found is None or found.state(self.now()) != "open":
            if address:
                self._wrong.count(address)
            raise not_valid()
        return found

    async def find(self, id: str) -> Invitation | None:
        """The invitation of an id, whatever its state."""
        return await self._find(BY_ID, {"which": id})

    async def _find(self, query: Select[*Columns], wanted: dict[str, object]) -> Invitation | None:
        rows = await self._database.read(query, {**wanted, "since": self._counted_since()})
        return Invitation.of_row(rows[0]) if rows else None

    async def all_of(self, inviter: str | None) -> AsyncIterator[Invitation]:
        """Those of an account, or all, the oldest first; read page by page."""
        wanted: dict[str, object] = {"limit": PAGE_ROWS, "made": 0.0, "behind": ""}
        query = PAGE
        if inviter is not None:
            query, wanted["owner"] = PAGE_OF, digest(inviter)
        while True:
            wanted["since"] = self._counted_since()
            page = [Invitation.of_row(row) for row in await self._database.read(query, wanted)]
            for each in page:
                yield each
            if len(page) < PAGE_ROWS:
                return
            wanted["made"], wanted["behind"] = page[-1].made, page[-1].id

    async def takers(self, invitation: Invitation) -> Sequence[tuple[str, float]]:
        """The accounts that have taken an invitation up, and when."""
        wanted = {"which": invitation.id, "limit": invitation.max_uses}
        return await self._database.read(TAKERS, wanted)

    async def invited_by(self, account: JID) -> tuple[str, str, float] | None:
        """Who has invited the owner of an account, by which invitation, and when they came."""
        rows = await self._database.read(INVITED_BY, {"owner": digest(account.bare)})
        return rows[0] if rows else None

    def _counted_since(self) -> float:
        return self.now() - TAKING_S

    # -- taking up --------------------------------------------------------------------------------

    async def show(self, session: LocalClientSession, token: str) -> None:
        """Let the client of a stream make an account, since it has a token.

        Raises:
            StanzaError: As :meth:`open`.
        """
        found = await self.open(token, session.connection.address)
        if not found.with_account or found.domain != session.jid.domain:
            raise not_valid()
        self.shown[session.id] = InvitationVoucher(self, found)
        if len(self.shown) > MAX_SHOWN:
            self.shown.popitem(last=False)

    async def enter(self, token: str, address: str) -> InvitationVoucher:
        """What lets whoever has a token make an account.

        Raises:
            StanzaError: As :meth:`open`.
        """
        found = await self.open(token, address)
        if not found.with_account:
            raise not_valid()
        return InvitationVoucher(self, found)

    @asynccontextmanager
    async def used_by(self, invitation: Invitation, guest: JID) -> AsyncIterator[None]:
        """A context in which a guest takes an invitation up; if it is left by an error, they have
        not.

        Raises:
            StanzaError: ITEM_NOT_FOUND: others were quicker, or it was revoked.
        """
        who = {"which": invitation.id, "who": digest(guest.bare)}
        since = self._counted_since()
        row = {
            "invite": invitation.id, "taker": digest(guest.bare), "account": guest.bare,
            "since": self.now(), "done": False,
        }  # fmt: skip

        def take(connection: Connection) -> None:
            lock_owner(connection, f"invite {invitation.id}")
            connection.execute(GIVE_BACK, who)  # their own attempt of before
            found = connection.execute(BY_ID, {"which": invitation.id, "since": since}).first()
            now = None if found is None else Invitation.of_row(tuple(found))
            if now is None or now.revoked is not None or now.used >= now.max_uses:
                raise NotValid(NOT_VALID)
            connection.execute(TAKE.on(connection), row)

        def finish(connection: Connection) -> None:
            connection.execute(FINISH, who)

        def give_back(connection: Connection) -> None:
            connection.execute(GIVE_BACK, who)

        try:
            await self._database.write(take)
        except NotValid as error:
            raise not_valid() from error
        try:
            yield
        except BaseException:
            with suppress(StoreError):  # then it counts until its time is over
                await self._database.write(give_back)
            raise
        await self._database.write(finish)

    async def greet(self, invitation: Invitation, account: JID) -> None:
        """Note who has invited the owner of a new account, and do what else the invitation says."""
        row = {
            "owner": digest(account.bare), "inviter": invitation.inviter,
            "invite": invitation.id, "since": self.now(),
        }  # fmt: skip

        def note(connection: Connection) -> None:
            connection.execute(GUEST.on(connection), row)

        try:
            await self._database.write(note)
            await self._welcome.greet(invitation, account)
        except (StanzaError, StoreError):  # the account is made, and stays
            _log.failure("part of the welcome for {account} failed", account=account.bare)
        _log.info(
            "{account} was created with invitation {invitation}",
            account=account.bare, invitation=invitation.id,
        )  # fmt: skip

    # -- ending -----------------------------------------------------------------------------------

    async def revoke(self, id: str) -> None:
        """Let nobody take an invitation up any more."""
        change = {"which": id, "now": self.now()}

        def revoke(connection: Connection) -> None:
            connection.execute(REVOKE, change)

        await self._database.write(revoke)
        _log.info("invitation {invitation} was revoked", invitation=id)

    async def sweep(self) -> None:
        """Forget invitations that are over for long."""
        before = {"before": self.now() - self.settings.kept_s}

        def forget(connection: Connection) -> None:
            connection.execute(FORGET, before)
            connection.execute(FORGET_USES, before)

        await self._database.write(forget)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def not_valid() -> StanzaError:
    """The one error for tokens that are none, or not any more."""
    return StanzaError(Condition.ITEM_NOT_FOUND, NOT_VALID)


__all__ = [
    "MAX_WRONG_PER_HOUR",
    "NOT_VALID",
    "TAKING_S",
    "WEEK_S",
    "InvitationVoucher",
    "Invitations",
    "not_valid",
]
