"""Tokens: given to a device so that it need not know the password, and checked at its logins.

A token is not stored. The store has random bytes, this installation has a secret, and a token is
the HMAC of both, of the account, the device and the mechanism. With the store alone one has no
token, nor anything to compute one from; with the secret alone one lacks the random bytes. Since the
mechanisms are HMACs keyed by the token itself, a hash of the token would not do: it would either be
of no use to us, or of the same use to a thief.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

from xmppd.auth.login import UserAgent
from xmppd.config.config import TokenSettings
from xmppd.store.devices import MAX_SPENT_TOKENS, Device, DeviceStore, Token

NONCE_BYTES = 16
MAX_TOKENS_PER_DEVICE = 2
SEEN_EVERY_S = 600.0
"""The precision of the time when a device was seen last."""

_NO_TOKEN = Token(b"", "", 0, 0)


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token that a device may have.

    Attributes:
        text: The token as the client has it: never written anywhere.
        token: Its record in the store.
        ended: Whether it has expired or was revoked.
    """

    text: str = field(repr=False)
    token: Token
    ended: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """A token on its way to its device.

    Attributes:
        text: The token.
        expires: The time of its end, in seconds since 1970.
    """

    text: str = field(repr=False)
    expires: float


class Tokens:
    """The tokens of all accounts (FA-1 to FA-5).

    Args:
        store: The devices.
        settings: The lifetime of tokens, and the limit of devices.
        secret: This installation's own; the same on every node, and over restarts.
        now: The time in seconds since 1970.
    """

    def __init__(
        self,
        store: DeviceStore,
        settings: TokenSettings,
        *,
        secret: bytes,
        now: Callable[[], float],
    ) -> None:
        self.store = store
        self.settings = settings
        self._secret = secret
        self._now = now

    async def held(self, account: str, device: str, mechanism: str) -> tuple[KeptToken, ...]:
        """The tokens that a device may use with this mechanism, also those that have ended. They
        are always as many, some of them made up: so it takes the same time whether there is such an
        account and such a device.
        """
        known = await self.store.device(account, device)
        tokens = [] if known is None else [*known.tokens, *known.spent]
        tokens = [token for token in tokens if token.mechanism == mechanism]
        tokens += [_NO_TOKEN] * (MAX_TOKENS_PER_DEVICE + MAX_SPENT_TOKENS - len(tokens))
        spent = () if known is None else known.spent
        return tuple(self._held(account, device, token, token in spent) for token in tokens)

    def _held(self, account: str, device: str, token: Token, spent: bool) -> KeptToken:
        nonce = token.nonce or secrets.token_bytes(NONCE_BYTES)
        text = self._text(account, device, token.mechanism, nonce)
        return KeptToken(text, token, spent or token.expires <= self._now())

    def use(self, settings: TokenSettings) -> None:
        """Go by other settings, with the tokens that are issued from now on."""
        self.settings = settings

    async def redeem(self, account: str, device: str, held: KeptToken, count: int | None) -> bool:
        """Note that a token was used; safe in the store on return.

        A phone that logs in all day is noted once in :data:`SEEN_EVERY_S`, unless it counts.

        Returns:
            False if it is worth nothing any more, or was counted already.
        """
        if count is None and await self._is_nothing_new(account, device, held.token):
            return True
        return await self.store.use_token(account, device, held.token.nonce, count, self._now())

    async def _is_nothing_new(self, account: str, device: str, token: Token) -> bool:
        """Whether the device has used this token lately, and never counted."""
        known = await self.store.device(account, device)
        if known is None or known.current is None or known.current.nonce != token.nonce:
            return False
        ago_s = abs(self._now() - known.last_seen)  # the time of day may have been set back
        return not known.current.count and ago_s < SEEN_EVERY_S

    async def issue(
        self, account: str, agent: UserAgent, mechanism: str, expires: float | None = None
    ) -> Issued:
        """A new token for a device; safe in the store on return.

        Args:
            account: Bare JID.
            agent: The device.
            mechanism: For which it is.
            expires: When it ends, in seconds since 1970; None for after its lifetime.
        """
        now = self._now()
        ends = now + self.settings.lifetime_s if expires is None else expires
        token = Token(secrets.token_bytes(NONCE_BYTES), mechanism, now, ends)
        device = Device(agent.id, agent.software, agent.device, now, now)
        await self.store.add_token(account, device, token, max_devices=self.settings.max_devices)
        return Issued(self._text(account, agent.id, mechanism, token.nonce), token.expires)

    async def follow_up(
        self, account: str, agent: UserAgent, expires: float | None = None
    ) -> Issued | None:
        """A new token for a device that has just used one, if that one is due for rotation.

        Args:
            account: Bare JID.
            agent: The device.
            expires: As for :meth:`issue`.
        """
        device = await self.store.device(account, agent.id)
        used = device.current if device is not None else None
        if used is None or self._now() - used.issued < self.settings.rotation_s:
            return None
        return await self.issue(account, agent, used.mechanism, expires)

    async def expiry(self, account: str, device: str) -> float | None:
        """When the token ends that a device used last; None if there is none."""
        known = await self.store.device(account, device)
        return None if known is None or known.current is None else known.current.expires

    async def invalidate(self, account: str, device: str) -> None:
        """End the token that a device used last."""
        await self.store.end_token(account, device)

    async def revoke(self, account: str, device: str) -> bool:
        """End all tokens of a device; returns whether it had any."""
        return await self.store.end_device(account, device)

    async def devices(self, account: str) -> list[Device]:
        """The devices that could log in just now, the one that was seen last first."""
        now = self._now()
        return [
            device
            for device in await self.store.devices(account)
            if any(token.expires > now for token in device.tokens)
        ]

    def _text(self, account: str, device: str, mechanism: str, nonce: bytes) -> str:
        message = f"token\0{account}\0{device}\0{mechanism}\0".encode() + nonce
        return urlsafe_b64encode(hmac.digest(self._secret, message, "sha256")).decode().rstrip("=")
