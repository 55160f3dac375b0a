"""OAuthProvider: people by tokens that an issuer has given them (AU-7 to AU-9)."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.account.devices import Devices, device_name, opaque
from xmppd.auth.base import AuthProvider, BearerGrant, SASLError
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID
from xmppd.store.errors import StoreError

from .issuer import Issuer, IssuerAway
from .keys import BadToken, name_of_key
from .settings import AuthOAuthSettings
from .uses import TokenUse, TokenUses

SKEW_S = 60.0
"""The difference between the clocks of the issuer and of this machine that is no matter."""

MAX_ASKED = 10_000
"""Tokens that are asked about in one look; others have their turn at the next one."""

_log = Logger()


class OAuthProvider(AuthProvider):
    """Takes tokens, and has the access end of those who have logged in by one that is revoked.

    Args:
        settings: What a token has to say.
        issuer: Gives them.
        sessions: Those that are here.
        devices: Ends access.
        uses: The tokens that they have logged in by.
        now: The time in seconds since 1970.
    """

    name = "oauth"

    def __init__(
        self,
        settings: AuthOAuthSettings,
        issuer: Issuer,
        sessions: SessionManager,
        devices: Devices,
        uses: TokenUses,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._sessions = sessions
        self._devices = devices
        self._uses = uses
        self._now = now

    def has_passwords(self, domain: str) -> bool:
        """It has none."""
        return False

    def takes_tokens(self, domain: str) -> bool:
        """It does."""
        return True

    def token_hints(self, domain: str) -> Mapping[str, str]:
        """Where a client gets a token, and for what (:xep:`0493`)."""
        hints = {"openid-configuration": self._issuer.metadata_url}
        return {**hints, "scope": self._settings.scope} if self._settings.scope else hints

    async def check_token(self, domain: str, token: str) -> BearerGrant | None:
        """The account that the issuer has given this token to."""
        try:
            claims = await self._claims(token)
            self._check(claims)
            account = self._account(claims, domain)
        except BadToken as error:
            _log.info("refused a token for {domain}: {why}", domain=domain, why=str(error))
            return None
        except IssuerAway as error:
            raise SASLError(
                "temporary-auth-failure", "The server cannot check tokens at the moment."
            ) from error
        proof = sha256(token.encode()).hexdigest()[:32]
        use = TokenUse(proof, account, token, _number(claims, "exp"))
        return BearerGrant(account, proof, partial(self._used, use))

    async def _claims(self, token: str) -> Mapping[str, object]:
        """What is said of a token by whoever has given it."""
        if self._settings.by == "introspection":
            return await self._introspected(token)
        keys = await self._issuer.keys_for(name_of_key(token))
        claims = keys.claims(token, self._settings.algorithms)
        if self._settings.asks:
            await self._introspected(token)
        return claims

    async def _introspected(self, token: str) -> Mapping[str, object]:
        said = await self._issuer.introspect(token)
        if said["active"] is not True:
            raise BadToken("the issuer says that the token is no longer valid")
        return {"iss": self._settings.issuer, **said}

    def _check(self, claims: Mapping[str, object]) -> None:
        """Whether it is for us, and good now.

        Raises:
            BadToken: It is not.
        """
        if claims.get("iss") != self._settings.issuer:
            raise BadToken("the token is from another issuer")
        audience = claims.get("aud")
        if self._settings.audience not in (audience if isinstance(audience, list) else [audience]):
            raise BadToken("the token is for another service (aud)")
        if self._now() >= _number(claims, "exp") + SKEW_S:
            raise BadToken("the token has expired")
        for name in ("nbf", "iat"):
            if name in claims and self._now() < _number(claims, name) - SKEW_S:
                raise BadToken(f"the token is not valid yet ({name})")
        scope = claims.get("scope")
        scopes = scope.split(" ") if isinstance(scope, str) else []
        if self._settings.scope and self._settings.scope not in scopes:
            raise BadToken("the token is for something else (scope)")

    def _account(self, claims: Mapping[str, object], domain: str) -> str:
        """The one account that an identity is: two that differ are never one (AU-8).

        Raises:
            BadToken: It is none of the domain.
        """
        said = claims.get(self._settings.claim)
        if not isinstance(said, str) or not said:
            raise BadToken(f"the token has no {self._settings.claim}")
        address = said if self._settings.name == "address" else f"{said}@{domain}"
        try:
            jid = JID.parse(address)
        except ValueError as error:
            raise BadToken(
                f"the token's {self._settings.claim} is not a valid account name"
            ) from error
        if not jid.local or jid.domain != domain or jid.bare != address:
            raise BadToken(
                f"the token's {self._settings.claim} must be written as in the account's "
                f"address (at {domain}, in lower case)"
            )
        return jid.bare

    # -- tokens in use ----------------------------------------------------------------------------

    def _used(self, use: TokenUse, device: str) -> None:
        """Look after a token from now on, unless nothing could become of it."""
        if self._settings.asks or self._settings.sessions_end_with_token:
            self._uses.note(use, device)
            Deferred.fromCoroutine(self._write())  # which never fails

    async def _write(self) -> None:
        try:
            await self._uses.write()
        except StoreError as error:
            _log.warn("tokens in use could not be written yet: {why}", why=str(error))

    async def look_after(self) -> None:
        """End the access of those whose token was revoked since, and forget tokens that are over.

        While the issuer does not answer, nobody's access ends.

        Raises:
            StoreError: Nobody knows now which there are.
        """
        await self._uses.write()
        await self._forget_expired()
        if self._settings.asks:
            with suppress(IssuerAway):
                await self._ask()
        await self._end_here()

    async def _forget_expired(self) -> None:
        now = self._now() - SKEW_S
        while page := await self._uses.expired(now):
            for use in page:
                if self._settings.sessions_end_with_token and not use.over:
                    await self._end(use)
                await self._uses.forget(use)

    async def _ask(self) -> None:
        """Ask about all tokens that no node has asked about lately."""
        before, asked = self._now() - self._settings.checked_every_s / 2, 0
        while asked < MAX_ASKED and (page := await self._uses.due(before)):
            for use in page[: MAX_ASKED - asked]:
                if await self._uses.claim(use, before) and await self._is_revoked(use):
                    await self._end(use)
                    await self._uses.revoked(use)
                asked += 1

    async def _is_revoked(self, use: TokenUse) -> bool:
        """Whether the issuer says so; one that we cannot show it any more is no proof either.

        Whoever has no token that is good has none now, though it may have expired meanwhile.
        """
        if not use.token:
            return True
        said = await self._issuer.introspect(use.token)
        return said["active"] is not True and self._now() < use.expires - SKEW_S

    async def _end_here(self) -> None:
        """End sessions here that were nowhere when their token ended: a server that was down, or a
        node that was on its way, has them again.
        """
        here = {
            session.login.proof: session
            for session in self._sessions.sessions.values()
            if session.login is not None and session.login.proof and session.account is not None
        }
        known = await self._uses.known(here)
        for proof, session in here.items():
            over = known.get(proof, self._settings.sessions_end_with_token)
            if over and session.account is not None and not self._uses.is_unwritten(proof):
                name = device_name(session)
                await self._devices.revoke(session.account.to_bare(), opaque(session.account, name))

    async def _end(self, use: TokenUse) -> None:
        account = JID.parse(use.account)
        for device in await self._uses.devices(use):
            await self._devices.revoke(account, opaque(account, device or use.proof))
        _log.info(
            "closed the sessions of {account}: the issuer's token has expired",
            account=use.account,
        )


def _number(claims: Mapping[str, object], name: str) -> float:
    """A time.

    Raises:
        BadToken: It is none.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken(f"the token's {name} is missing or is not a number")
    return float(value)


__all__ = ["MAX_ASKED", "SKEW_S", "OAuthProvider"]
