"""OAUTHBEARER: a token that somebody else has given (:rfc:`7628`, :xep:`0493`)."""

from json import dumps

from xmppd.auth.base import AuthProvider, BearerGrant, Exchange, SASLError
from xmppd.auth.message import admit, check_authzid, malformed, not_authorized, text_of

SEPARATOR = "\x01"
_SCHEME = "bearer "


class BearerMechanism:
    """One message with the token. One that does not do is answered with where to get another, which
    the client acknowledges before it is refused.

    Nobody guesses a token, so that these attempts neither wait nor count (AU-15).
    """

    binding = ""

    def __init__(self, exchange: Exchange, provider: AuthProvider) -> None:
        self.account: str | None = None
        self.grant: BearerGrant | None = None
        self._domain = exchange.domain
        self._provider = provider
        self._is_refused = False

    async def step(self, response: bytes) -> bytes:
        """Check the token; nothing more is said on success."""
        if self._is_refused:
            raise not_authorized()
        authzid, token = _parts(text_of(response))
        grant = await self._provider.check_token(self._domain, token) if token else None
        if grant is None:
            self._is_refused = True
            hints = {"status": "invalid_token", **self._provider.token_hints(self._domain)}
            return dumps(hints).encode()
        check_authzid(authzid, grant.account)
        self.account = await admit(self._provider, grant.account)
        self.grant = grant
        return b""

    def let_in(self, device: str) -> str:
        """Note who was let in by the token; returns its name, and empty without one."""
        if self.grant is None:
            return ""
        self.grant.used_by(device)
        return self.grant.proof


def _parts(message: str) -> tuple[str, str]:
    """The authorization identity and the token, either of which may be empty."""
    header, *pairs = message.split(SEPARATOR)
    if len(pairs) < 2 or pairs[-2:] != ["", ""]:
        raise malformed("not a GS2 header with key=value pairs")
    flag, _, rest = header.partition(",")
    authzid, comma, more = rest.partition(",")
    if flag not in ("n", "y") or not comma or more or not (not authzid or authzid[:2] == "a="):
        raise malformed("without a GS2 header")
    found = [pair.removeprefix("auth=") for pair in pairs if pair.startswith("auth=")]
    if len(found) != 1:
        raise malformed("without auth")
    return _unescaped(authzid[2:]), _token(found[0])


def _token(auth: str) -> str:
    """The token; empty if the client asks where to get one."""
    if not auth.strip():
        return ""
    if not auth.lower().startswith(_SCHEME.strip()):
        raise SASLError("malformed-request", "The server accepts only bearer tokens.")
    return auth[len(_SCHEME) :].strip()


def _unescaped(name: str) -> str:
    """A name as GS2 writes it (:rfc:`5801#section-4`)."""
    text = name.replace("=2C", ",").replace("=3D", "\0")
    if "=" in text:
        raise malformed("wrongly escaped")
    return text.replace("\0", "=")


__all__ = ["BearerMechanism"]
