"""The table ``[auth_oauth]`` of the configuration."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from xmppd.config.section import Section

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures that a key proves which is no secret: a token that is signed by none of these is
none."""

_HERE = ("127.0.0.1", "::1", "localhost")
_MAIL = ("email", "mail")


class AuthOAuthSettings(Section, frozen=True):
    """``[auth_oauth]``: who gives tokens to people of domains with ``auth = ["oauth"]``.

    Attributes:
        issuer: Its URL, as its tokens have it.
        audience: Whom its tokens have to be for.
        by: How they are checked: by its public keys, or by asking it about each.
        keys_url: Where its keys are; empty for what it says itself.
        introspection_url: Where it is asked about tokens; empty for what it says itself.
        client_id: By which name it is asked.
        secret_file: The absolute path of the password of that.
        authorities: The absolute path of who signs its certificate; empty for those that this
            machine trusts.
        algorithms: By which its tokens may be signed.
        claim: What in a token names the account; never a mail address.
        name: What is there: the part before the @, or the whole address.
        scope: What a token has to be good for; empty for anything.
        checked_every_s: How often it is asked whether tokens in use were revoked.
        sessions_end_with_token: Whether a session ends when its token expires.
        timeout_s: It has to answer within this time.
    """

    issuer: str = ""
    audience: str = ""
    by: Literal["keys", "introspection"] = "keys"
    keys_url: str = ""
    introspection_url: str = ""
    client_id: str = ""
    secret_file: str = ""
    authorities: str = ""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    claim: str = "sub"
    name: Literal["user", "address"] = "user"
    scope: str = ""
    checked_every_s: float = 300.0
    sessions_end_with_token: bool = False
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        for key in ("issuer", "keys_url", "introspection_url"):
            url = getattr(self, key)
            if (url or key == "issuer") and not is_safe(url):
                raise ValueError(
                    f"{key} must begin with https://, unless the issuer is on this machine"
                    if url
                    else "issuer is missing; write its address into the table [auth_oauth], as "
                    'issuer = "https://login.example.org"'
                )
        if not self.audience:
            raise ValueError(
                "audience is empty; set it to the audience of the tokens for this server, or "
                "tokens for other services would be valid here"
            )
        for algorithm in self.algorithms:
            if algorithm not in ALGORITHMS:
                raise ValueError(
                    f'algorithms has "{algorithm}"; use some of {", ".join(ALGORITHMS)}'
                )
        if not self.claim or self.claim in _MAIL:
            raise ValueError(
                f'claim must not be "{self.claim}", because mail addresses can be reassigned; '
                'use "sub", or "preferred_username" if the issuer never reassigns it'
            )
        if bool(self.client_id) != bool(self.secret_file):
            raise ValueError("client_id and secret_file go together: set both, or neither")
        if self.asks and not self.client_id:
            raise ValueError(
                "client_id is missing: the server needs it to ask the issuer about tokens"
            )
        for path in (self.secret_file, self.authorities):
            if path and not Path(path).is_absolute():
                raise ValueError(f"{path} must be an absolute path")

    @property
    def asks(self) -> bool:
        """Whether the issuer is asked about tokens: so it may say that one was revoked."""
        return self.by == "introspection" or bool(self.introspection_url)


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what is read there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
    )


__all__ = ["ALGORITHMS", "AuthOAuthSettings", "is_safe"]
