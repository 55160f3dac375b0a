"""Accounts: changes and removal, with all that follows for sessions and contacts."""

from dataclasses import dataclass

from twisted.logger import Logger

from xmppd.account.farewells import Farewells
from xmppd.account.names import Names
from xmppd.account.stream_ends import StreamEnds, StreamsClosed
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import SASLError
from xmppd.events import Events
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    StanzaError,
    StreamCondition,
)
from xmppd.stanza.date_time import date_time, to_the_minute
from xmppd.store.accounts import AccountStore

_log = Logger()


@dataclass(frozen=True, slots=True)
class AccountRemoved:
    """An account is gone, with all that belonged to it in the store."""

    account: JID


class Accounts:
    """The one way in which an account gets a new password, is disabled or is removed.

    Its owner, an administrator's client and ``xmppctl`` all come here.
    """

    def __init__(
        self,
        store: AccountStore,
        names: Names,
        attempts: AttemptLimiter,
        ends: StreamEnds,
        farewells: Farewells,
        events: Events,
    ) -> None:
        self.names = names
        self.store = store
        self.passwords = names.passwords
        self.attempts = attempts
        self.ends = ends
        self.farewells = farewells
        self.events = events

    async def set_password(
        self,
        account: JID,
        password: str,
        *,
        spare: LocalClientSession | None = None,
        address: str | None = None,
    ) -> StreamsClosed:
        """Give an account another password, and close its streams, which knew the old one.

        Mostly a password is changed because another may know it. Clients that know the new
        one come back at once.

        Args:
            account: Bare JID.
            password: The new one.
            spare: The session that asked for it; it stays.
            address: Of the client that asked for it, which takes its turn (AT-5); None for
                ``xmppctl``, which need not.

        Returns:
            What has become of its streams.

        Raises:
            ValueError: The password cannot be one.
            NoSuchAccount: There is none of this name.
            StanzaError: RESOURCE_CONSTRAINT: it was changed too often lately.
        """
        if address is not None:
            try:
                await self.attempts.change_turn(account.bare, address)
            except SASLError as error:
                raise StanzaError(Condition.RESOURCE_CONSTRAINT, error.text) from error
        async with self.attempts.derivation(account.bare, address or ""):
            await self.passwords.set_password(account.bare, password)
        ended = await self.ends.end(
            account, StreamCondition.RESET, "the password was changed", spare=spare
        )
        _log.info("{account} has a new password", account=account.bare)
        return ended

    async def disable(self, account: JID, until: float | None = None) -> StreamsClosed:
        """Disable an account, and close its streams, until it is enabled.

        Args:
            account: Bare JID.
            until: When it is enabled by itself, in seconds since 1970; None for never.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self.store.set_disabled(account.bare, True, until)
        how_long = "" if until is None else f" until {to_the_minute(until)}"
        ended = await self.ends.end(
            account, StreamCondition.NOT_AUTHORIZED, f"this account is disabled{how_long}"
        )
        if until is None:
            _log.info("{account} was disabled", account=account.bare)
        else:
            end = date_time(until)
            _log.info("{account} was disabled until {until}", account=account.bare, until=end)
        return ended

    async def enable(self, account: JID) -> None:
        """Enable a disabled account again.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self.store.set_disabled(account.bare, False)
        _log.info("{account} was enabled", account=account.bare)

    async def remove(self, account: JID, *, request: IQ | None = None) -> StreamsClosed:
        """Remove an account and all it owns, and take it out of its contacts' rosters.

        It is disabled first: nobody can log in meanwhile, and should that fail halfway, it can be
        begun again.

        Args:
            account: Bare JID.
            request: Of the account's own client; it is answered before that stream is closed.

        Returns:
            What has become of its streams.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self.store.set_disabled(account.bare, True)
        sessions, removed = self.ends.sessions, "this account is removed"
        asker = sessions.session(request.sender) if request is not None else None
        first = await self.ends.end(account, StreamCondition.NOT_AUTHORIZED, removed, spare=asker)
        if asker is not None:
            await self.farewells.say_goodbye(asker)
        await self.farewells.end_subscriptions(account)
        await self.names.keep(account)
        await self.store.delete_account(account.bare)
        await self.farewells.leave_groups()
        if asker is not None and request is not None:
            answer = request.result()
            answer.to = asker.jid if asker.bound else None
            asker.deliver(answer, answer.wire())
        last = await self.ends.end(account, StreamCondition.NOT_AUTHORIZED, removed, removed=True)
        self.forget(account)
        _log.info("{account} was removed", account=account.bare)
        return StreamsClosed(first.streams + last.streams, last.unasked)

    async def clear(self, account: JID) -> None:
        """Remove an account, so that one of the same name can move in: contacts are not told, and
        keep it (IM-6).

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self.store.set_disabled(account.bare, True)
        removed = "this account is replaced"
        await self.ends.end(account, StreamCondition.NOT_AUTHORIZED, removed, removed=True)
        await self.store.delete_account(account.bare)
        self.forget(account)

    def forget(self, account: JID) -> None:
        """Forget an account that was removed, here or at another node."""
        self.farewells.forget(account.bare)
        self.events.fire(AccountRemoved(account))
