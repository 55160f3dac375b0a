"""OAuthProvider: people by tokens that an issuer has given them (AU-7 to AU-9)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from twisted.logger import Logger

from xmppd.account.devices import Devices, opaque
from xmppd.auth.base import AuthProvider, BearerGrant, SASLError
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID

from .issuer import Issuer, IssuerAway
from .keys import BadToken, name_of_key
from .settings import AuthOAuthSettings

SKEW_S = 60.0
"""The difference between the clocks of the issuer and of this machine that is no matter."""

MAX_GRANTS = 10_000
"""Tokens that are asked about while they are in use; with more, the oldest is not asked about any
more."""

_log = Logger()


@dataclass
class TokenUse:
    """A token that somebody has logged in by.

    Attributes:
        account: Bare JID.
        token: The token, which is in memory only.
        expires: When it does, in seconds since 1970.
        devices: The installations that have logged in by it.
    """

    account: str
    token: str = field(repr=False)
    expires: float
    devices: set[str] = field(default_factory=set)


class OAuthProvider(AuthProvider):
    """Takes tokens, and has the access end of those who have logged in by one that is revoked.

    Args:
        settings: What a token has to say.
        issuer: Gives them.
        sessions: Those that are here.
        devices: Ends access.
        now: The time in seconds since 1970.
    """

    name = "oauth"

    def __init__(
        self,
        settings: AuthOAuthSettings,
        issuer: Issuer,
        sessions: SessionManager,
        devices: Devices,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._sessions = sessions
        self._devices = devices
        self._now = now
        self._uses: dict[str, TokenUse] = {}

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
            _log.info("a token for {domain} is refused: {why}", domain=domain, why=str(error))
            return None
        except IssuerAway as error:
            raise SASLError(
                "temporary-auth-failure", "Tokens cannot be checked just now."
            ) from error
        proof = sha256(token.encode()).hexdigest()[:32]
        use = TokenUse(account, token, _number(claims, "exp"))
        return BearerGrant(account, proof, partial(self._used, proof, use))

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
            raise BadToken("the issuer says that it is not good any more")
        return {"iss": self._settings.issuer, **said}

    def _check(self, claims: Mapping[str, object]) -> None:
        """Whether it is for us, and good now.

        Raises:
            BadToken: It is not.
        """
        if claims.get("iss") != self._settings.issuer:
            raise BadToken("it is of another issuer")
        audience = claims.get("aud")
        if self._settings.audience not in (audience if isinstance(audience, list) else [audience]):
            raise BadToken("it is for somebody else (aud)")
        if self._now() >= _number(claims, "exp") + SKEW_S:
            raise BadToken("it has expired")
        for name in ("nbf", "iat"):
            if name in claims and self._now() < _number(claims, name) - SKEW_S:
                raise BadToken(f"it is not good yet ({name})")
        scope = claims.get("scope")
        scopes = scope.split(" ") if isinstance(scope, str) else []
        if self._settings.scope and self._settings.scope not in scopes:
            raise BadToken("it is good for something else (scope)")

    def _account(self, claims: Mapping[str, object], domain: str) -> str:
        """The one account that an identity is: two that differ are never one (AU-8).

        Raises:
            BadToken: It is none of the domain.
        """
        said = claims.get(self._settings.claim)
        if not isinstance(said, str) or not said:
            raise BadToken(f"it has no {self._settings.claim}")
        address = said if self._settings.name == "address" else f"{said}@{domain}"
        try:
            jid = JID.parse(address)
        except ValueError as error:
            raise BadToken(f"its {self._settings.claim} is no name of an account") from error
        if not jid.local or jid.domain != domain or jid.bare != address:
            raise BadToken(f"its {self._settings.claim} is no account of {domain} as it is written")
        return jid.bare

    # -- tokens in use ----------------------------------------------------------------------------

    def _used(self, proof: str, use: TokenUse, device: str) -> None:
        use = self._uses.pop(proof, use)
        if device:
            use.devices.add(device)
        self._uses[proof] = use
        if len(self._uses) > MAX_GRANTS:
            del self._uses[next(iter(self._uses))]

    async def look_after(self) -> None:
        """End the access of those whose token was revoked since, and forget tokens that are over.

        While the issuer does not answer, nobody's access ends.
        """
        for proof, use in tuple(self._uses.items()):
            if self._now() >= use.expires + SKEW_S:
                del self._uses[proof]
                if self._settings.sessions_end_with_token:
                    await self._end(proof, use)
                continue
            if not self._settings.asks:
                continue
            try:
                said = await self._issuer.introspect(use.token)
            except IssuerAway:
                return
            # Whoever has no token that is good has none now, though it may have expired meanwhile.
            if said["active"] is not True and self._now() < use.expires - SKEW_S:
                self._uses.pop(proof, None)
                await self._end(proof, use)

    async def _end(self, proof: str, use: TokenUse) -> None:
        account = JID.parse(use.account)
        gone = set(use.devices)
        for session in self._sessions.sessions.values():  # also one that is about to be bound
            if session.login is not None and session.login.proof == proof:
                gone.add(session.device or session.id)
        for device in gone:
            await self._devices.revoke(account, opaque(account, device))
        _log.info(
            "{account} has no access any more by a token of the issuer: it is over",
            account=use.account,
        )


def _number(claims: Mapping[str, object], name: str) -> float:
    """A time.

    Raises:
        BadToken: It is none.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken(f"it does not say when ({name})")
    return float(value)


__all__ = ["MAX_GRANTS", "SKEW_S", "OAuthProvider", "TokenUse"]
