"""An issuer of tokens, for the tests: its keys, its answers, and what it was asked."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

URL = "https://issuer.example"
AUDIENCE = "xmpp://verona.lit"
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


class TokenIssuer:
    """Gives tokens, tells its keys, and says which of its tokens are good.

    Args:
        url: Its own.
        now: The time in seconds since 1970.

    Attributes:
        asked: The paths at which it was asked.
        active: What it says of a token that it is asked about; of others, that they are not good.
        status: Of its answers.
        credentials: What it was shown with the last question.
    """

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self.url = url
        self.now = now
        self.asked: list[str] = []
        self.active: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.credentials: str | None = None
        self.named_issuer = url
        self._keys: dict[str, Any] = {}
        self.rotate("first")

    def rotate(self, id: str, *, kind: str = "RSA") -> None:
        """Sign by another key from now on; those before are gone."""
        key = RSA_KEY if not self._keys and kind == "RSA" else None
        if key is None:
            key = ec.generate_private_key(ec.SECP256R1())  # type: ignore[assignment]  # or this
        self._keys = {id: key}

    def claims(self, **others: Any) -> dict[str, Any]:
        """What a good token says, with changes; None leaves out."""
        now = self.now()
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "romeo", "iat": now, "exp": now + 600}
        return {name: value for name, value in {**said, **others}.items() if value is not None}

    def token(self, **others: Any) -> str:
        """A token, signed by its key of now."""
        ((id, key),) = self._keys.items()
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return str(jwt.encode(self.claims(**others), key, algorithm, {"kid": id}))

    def answer(self, path: str, body: bytes = b"", credentials: str | None = None) -> str:
        """What it says there."""
        self.asked.append(path)
        self.credentials = credentials
        if path == "/.well-known/openid-configuration":
            return json.dumps(
                {
                    "issuer": self.named_issuer,
                    "jwks_uri": f"{self.url}/keys",
                    "introspection_endpoint": f"{self.url}/introspect",
                }
            )
        if path == "/introspect":
            (token,) = parse_qs(body.decode())["token"]
            said = self.active.get(token)
            return json.dumps({"active": said is not None, **(said or {})})
        return json.dumps({"keys": [{"kty": "oct", "k": "eA", "kid": "x"}, None, *self.public()]})

    def public(self) -> list[dict[str, Any]]:
        """Its keys, as it tells them."""
        told = []
        for id, key in self._keys.items():
            kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            told.append({**kind.to_jwk(key.public_key(), as_dict=True), "kid": id, "use": "sig"})
        return told


__all__ = ["AUDIENCE", "URL", "TokenIssuer"]
