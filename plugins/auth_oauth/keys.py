"""Keys of an issuer, and the tokens that are signed by them (AU-7); the one import of PyJWT."""

from collections.abc import Mapping, Sequence

from xmppd.plugin.plugin_error import PluginError

try:
    import jwt
except ImportError as error:
    raise PluginError(
        f"the plugin auth_oauth needs {error.name}: pip install 'xmppd[oauth]'"
    ) from error

MAX_KEYS = 100
"""More keys of one issuer are not looked at."""

_PUBLIC = ("RSA", "EC", "OKP")


class BadToken(Exception):
    """An error: a token proves nothing here; the text says why, for the log."""


class Keys:
    """The public keys of an issuer, by their names; what is no such key is left out.

    Args:
        given: As a set of keys has them (:rfc:`7517`).
    """

    def __init__(self, given: Sequence[object]) -> None:
        self._known: dict[str | None, jwt.PyJWK] = {}
        for each in given[:MAX_KEYS]:
            if not isinstance(each, dict) or each.get("kty") not in _PUBLIC:
                continue
            if each.get("use", "sig") != "sig":
                continue
            id = each.get("kid")
            try:
                self._known[id if isinstance(id, str) else None] = jwt.PyJWK(each)
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                continue  # the others are as good

    def has(self, id: str | None) -> bool:
        """Whether there is one of this name; without a name, whether there is just one."""
        return self._of(id) is not None

    def _of(self, id: str | None) -> "jwt.PyJWK | None":
        if id is None and len(self._known) == 1:
            return next(iter(self._known.values()))
        return self._known.get(id)

    def claims(self, token: str, algorithms: Sequence[str]) -> Mapping[str, object]:
        """What a token says that is signed by one of them. Whom it is for, and how long it is good,
        is not looked at here.

        Raises:
            BadToken: It is not.
        """
        key = self._of(name_of_key(token))
        if key is None:
            raise BadToken("the issuer does not have the key that signed the token")
        try:
            claims: Mapping[str, object] = jwt.decode(
                token,
                key,
                algorithms=list(algorithms),
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise BadToken(f"the signature is invalid ({error})") from error
        return claims


def name_of_key(token: str) -> str | None:
    """The name of the key that a token says it is signed by.

    Raises:
        BadToken: It is no token that is signed.
    """
    try:
        name = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BadToken("not a signed token") from error
    return name if isinstance(name, str) else None


__all__ = ["BadToken", "Keys", "name_of_key"]
