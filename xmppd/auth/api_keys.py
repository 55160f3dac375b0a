"""APIKeys: makes the keys with which programs give commands, and knows them again (CR-6)."""

import hmac
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from hashlib import sha256
from secrets import token_hex, token_urlsafe

from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import AuthProvider, SASLError
from xmppd.command.command_context import Actor
from xmppd.command.roles import Roles
from xmppd.config.scopes import OWN
from xmppd.stanza import JID
from xmppd.store.api_keys import APIKey, APIKeyStore, KeyRefused
from xmppd.store.errors import StoreError

USE_NOTED_S = 3_600.0
"""The use of a key is noted so often at most."""

_TEXT = re.compile(r"xmppd_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


class WrongKey(Exception):
    """An error: a text is no key, or one that is over; which of these is not said."""


class APIKeys:
    """The keys of programs, of which only digests are kept.

    Args:
        store: Keeps them, for all nodes.
        roles: What the people behind them may do.
        provider: Says whether they may log in.
        attempts: Slows down guessing, as for passwords.
        now: Tells the time in seconds since 1970.
    """

    def __init__(
        self,
        store: APIKeyStore,
        roles: Roles,
        provider: AuthProvider,
        attempts: AttemptLimiter,
        now: Callable[[], float],
    ) -> None:
        self.store = store
        self._roles = roles
        self._provider = provider
        self._attempts = attempts
        self._now = now

    async def make(
        self, name: str, scopes: Collection[str], lifetime_s: float, maker: Actor
    ) -> tuple[APIKey, str]:
        """Make a key.

        Args:
            name: For people; no other key has it.
            scopes: What it may do.
            lifetime_s: Then it is over.
            maker: Who makes it.

        Returns:
            The key, and its text, which nobody can tell later.

        Raises:
            KeyRefused: There is one of this name, there are too many, or its maker is not from
                here.
        """
        id = token_hex(8)
        text = f"xmppd_{id}_{token_urlsafe(32)}"
        now = self._now()
        key = APIKey(
            id=id,
            name=name,
            digest=_digest(text),
            scopes=tuple(sorted(scopes)),
            made_by=maker.who,
            account=maker.account if maker.jid is None else maker.jid.bare,
            made=now,
            expires=now + lifetime_s,
        )
        if not await self.scopes_of(key):
            raise KeyRefused(f"{key.account} does not exist, so the key would have no owner.")
        await self.store.add_api_key(key)
        return key, text

    async def actor(self, text: str, address: str) -> Actor:
        """Whoever shows this key.

        Args:
            text: As it was shown.
            address: The IP address it came from.

        Raises:
            WrongKey: It is none.
            SASLError: Somebody guesses there; or the key comes too often.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise WrongKey("not a key")
        guessed = f"key {found[1]}"  # no account is called so
        await self._attempts.turn(guessed, address)
        try:
            key = await self.store.api_key(found[1])
        except StoreError:
            self._attempts.came_to_nothing(guessed, address)
            raise
        if key is None or not hmac.compare_digest(key.digest, _digest(text)):
            await self._attempts.failed(guessed, address)
            raise WrongKey("unknown key")
        self._attempts.succeeded(guessed, address)
        if key.expires <= self._now():
            raise WrongKey(f"key {key.name} has expired")
        scopes = await self.scopes_of(key)
        await self._note_use(key)
        return Actor(None, scopes, "rest", f"key {key.name}", address, key.account)

    async def may_still(self, text: str, scope: str) -> bool:
        """Whether a key that somebody has shown is still one, and has this scope.

        Raises:
            StoreError: The store failed.
        """
        found = _TEXT.fullmatch(text)
        key = None if found is None else await self.store.api_key(found[1])
        if key is None or key.expires <= self._now():
            return False
        return scope in await self.scopes_of(key)

    async def scopes_of(self, key: APIKey) -> frozenset[str]:
        """All that a key may do just now: not more than the person behind it."""
        scopes = frozenset(key.scopes) - {OWN}
        if key.account:
            scopes &= self._roles.scopes_of(JID.parse(key.account))
            if scopes and not await self._is_open(key.account):
                return frozenset()
        return scopes

    async def _is_open(self, account: str) -> bool:
        try:
            return await self._provider.may_log_in(account)
        except SASLError:
            return False

    async def _note_use(self, key: APIKey) -> None:
        now = self._now()
        if key.used is None or now - key.used > USE_NOTED_S:
            with suppress(StoreError):  # the store has logged it
                await self.store.note_use(key.id, now)


def _digest(text: str) -> bytes:
    """The digest of a key: it has 256 bits that nobody can guess, so this may be a quick one."""
    return sha256(text.encode()).digest()


__all__ = ["APIKeys", "WrongKey"]
