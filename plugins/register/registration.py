"""SelfRegistration: the rules by which people make accounts for themselves, by whichever way."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from xmppd.account.accounts import Accounts
from xmppd.auth.attempts import network_of
from xmppd.auth.keys import prepare_password
from xmppd.auth.provider import Passwords
from xmppd.config.config import RegistrationSettings
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.accounts import AccountExists
from xmppd.store.errors import StoreError

HOUR_S = 3_600.0
MAX_REMEMBERED_ADDRESSES = 10_000
TAKEN_NAMES_PER_ACCOUNT = 10
"""Taken names that may be asked for, for each account that may be made."""


class HourlyLimit:
    """Counts of what was done from each address within the last hour. When there are too many
    addresses, the one that was counted longest ago is forgotten.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._counted: dict[str, list[float]] = {}

    def __len__(self) -> int:
        return len(self._counted)

    def reached(self, address: str, limit: int) -> bool:
        """Whether the limit is reached."""
        return len(self._recent(network_of(address))) >= limit

    def count(self, address: str) -> None:
        """Count once more."""
        network = network_of(address)
        times = self._recent(network)
        self._counted.pop(network, None)
        if len(self._counted) >= MAX_REMEMBERED_ADDRESSES:
            del self._counted[next(iter(self._counted))]
        self._counted[network] = [*times, self._seconds()]

    def uncount(self, address: str) -> None:
        """Count once less, since it was not done after all."""
        times = self._counted.get(network_of(address))
        if times:
            times.pop()

    def _recent(self, network: str) -> list[float]:
        since = self._seconds() - HOUR_S
        return [time for time in self._counted.get(network, ()) if time > since]


class Voucher(Protocol):
    """Lets somebody make an account, whether registration is open or not."""

    @property
    def domain(self) -> str:
        """Of the account."""

    @property
    def name(self) -> str:
        """The local part that it must have; empty for any."""

    def taken_up(self, account: JID) -> AbstractAsyncContextManager[None]:
        """A context in which the account is made: whoever enters it uses the voucher up, unless
        nothing comes of it.

        Raises:
            StanzaError: It does not hold any more.
        """


class Gate(Protocol):
    """Knows who is let in though registration is closed."""

    def voucher(self, session: LocalClientSession) -> Voucher | None:
        """What lets the client of a stream in, if anything does."""

    async def is_promised(self, account: JID) -> bool:
        """Whether a name is kept for somebody who is to be let in."""


class SelfRegistration:
    """Makes accounts for those who ask for their own.

    Args:
        accounts: Changes passwords, and removes accounts.
        passwords: Makes accounts.
        settings: Of registration.
        seconds: The steady clock.

    Attributes:
        made: Accounts made from each address.
        taken: Taken names asked for from each address.
        gate: Of the plugin that invites; None without one.
    """

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        settings: RegistrationSettings,
        seconds: Callable[[], float],
    ) -> None:
        self.accounts = accounts
        self.passwords = passwords
        self.settings = settings
        self.made = HourlyLimit(seconds)
        self.taken = HourlyLimit(seconds)
        self.gate: Gate | None = None

    def use(self, settings: RegistrationSettings) -> None:
        """Take other settings."""
        self.settings = settings

    @property
    def possible(self) -> bool:
        """Whether there are people who may register."""
        return self.settings.open or self.gate is not None

    def check_kept(self, domain: str) -> None:
        """Refuse to make accounts of a domain whose passwords are kept elsewhere (AU-12).

        Raises:
            StanzaError: SERVICE_UNAVAILABLE.
        """
        if not self.passwords.are_kept(domain):
            raise closed()

    async def create(
        self, account: JID, password: str, address: str, voucher: Voucher | None = None
    ) -> None:
        """Make an account.

        Args:
            account: Bare JID.
            password: Its password.
            address: The IP address of whoever asks; those of one network may make a few in an hour.
            voucher: What lets them in: they are not counted.

        Raises:
            StanzaError: SERVICE_UNAVAILABLE: registration is closed; CONFLICT: the name is taken;
                NOT_ACCEPTABLE: it is reserved, or the password is too short or cannot be one;
                RESOURCE_CONSTRAINT: there were too many from there.
        """
        self.check_kept(account.domain)
        if voucher is None and not self.settings.open:
            raise closed()
        if voucher is not None and not _is_for(voucher, account):
            raise StanzaError(Condition.NOT_ACCEPTABLE, "The invitation is for another name.")
        self.check_password(password)
        most = self.settings.per_address_per_hour
        counted = voucher is None
        if (counted and self.made.reached(address, most)) or self.taken.reached(
            address, most * TAKEN_NAMES_PER_ACCOUNT
        ):
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT, "Too many registrations. Try again in an hour."
            )
        if counted:
            self.made.count(address)  # at once: many streams may be at it
        try:
            async with nullcontext() if voucher is None else voucher.taken_up(account):
                await self._create(account, password, address, voucher)
        except (StanzaError, StoreError):
            if counted:
                self.made.uncount(address)
            raise

    async def _create(
        self, account: JID, password: str, address: str, voucher: Voucher | None
    ) -> None:
        try:
            if await self.accounts.store.exists(account.bare):
                raise AccountExists(account.bare)
            async with self.accounts.attempts.derivation(account.bare, address):
                if not await self._is_free(account, password, voucher):
                    self.taken.count(address)
                    raise StanzaError(Condition.NOT_ACCEPTABLE, "This name is reserved.")  # RG-1
                await self.passwords.create(account.bare, password)
        except AccountExists as error:
            self.taken.count(address)
            raise StanzaError(Condition.CONFLICT, "This name is already in use.") from error
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error
        self.accounts.attempts.succeeded(account.bare, address)  # its user has chosen it

    async def _is_free(self, account: JID, password: str, voucher: Voucher | None) -> bool:
        if not await self.accounts.names.may_register(account, password):
            return False
        is_own = voucher is not None and bool(voucher.name)
        return is_own or self.gate is None or not await self.gate.is_promised(account)

    def check_password(self, password: str) -> None:
        """Refuse a password that is too short once it is prepared.

        Raises:
            StanzaError: NOT_ACCEPTABLE: it is, or it cannot be one.
        """
        try:
            length = len(prepare_password(password).decode())
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error
        if length < self.settings.min_password_length:
            # COMPAT Conversations: knows these words, and asks for another password.
            raise StanzaError(Condition.NOT_ACCEPTABLE, "Please use a longer password.")


def closed() -> StanzaError:
    """The error for whoever may not register."""
    return StanzaError(Condition.SERVICE_UNAVAILABLE, "registration is closed")


def _is_for(voucher: Voucher, account: JID) -> bool:
    return account.domain == voucher.domain and voucher.name in ("", account.local)


__all__ = [
    "HOUR_S",
    "MAX_REMEMBERED_ADDRESSES",
    "TAKEN_NAMES_PER_ACCOUNT",
    "Gate",
    "HourlyLimit",
    "SelfRegistration",
    "Voucher",
    "closed",
]
