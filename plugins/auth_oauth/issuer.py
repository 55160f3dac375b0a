"""Issuer: what is read from whoever gives tokens, and what it says about one."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import NoReturn, cast
from urllib.parse import quote, urlencode

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.net.http_caller import HTTPCaller, NotAnswered

from .keys import Keys
from .settings import AuthOAuthSettings, is_safe

MAX_QUESTIONS = 8
"""Questions under way at the same time; others wait for their turn, as long as for an answer."""

KEYS_KEPT_S = 3_600.0
"""The time for which keys are not read again, unless a token names one that is not among them; and
for which what the issuer says of itself is."""

REFETCH_S = 60.0
"""Keys that nobody knows are not looked for more often than this."""

METADATA = "/.well-known/openid-configuration"

_log = Logger()


class IssuerAway(Exception):
    """An error: the issuer does not answer, or not in a way that can be understood."""


class Issuer:
    """Whoever gives tokens.

    Args:
        settings: Where it is.
        secret: The password of ``client_id``.
        caller: Asks it.
        clock: The reactor's.
    """

    def __init__(
        self, settings: AuthOAuthSettings, secret: str, caller: HTTPCaller, clock: IReactorTime
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._caller = caller
        self._clock = clock
        self._turns = DeferredSemaphore(MAX_QUESTIONS)
        self._reading = DeferredLock()
        self._keys: tuple[Keys, float] | None = None
        self._metadata: tuple[Mapping[str, object], float] | None = None
        self._tried_at = clock.seconds() - REFETCH_S

    @property
    def metadata_url(self) -> str:
        """What a client is told, which gets a token there."""
        return self._settings.issuer.rstrip("/") + METADATA

    async def keys_for(self, id: str | None) -> Keys:
        """Its keys; read again if they are old, or if none has this name, though not too often.

        Raises:
            IssuerAway: There are none.
        """
        keys = self._fresh_keys()
        if keys is None or not (keys.has(id) or self._clock.seconds() - self._tried_at < REFETCH_S):
            await self._reading.run(self._read_keys, self._keys)
            keys = self._fresh_keys()
        if keys is None:
            raise IssuerAway("the issuer's keys are unreadable")
        return keys

    def _fresh_keys(self) -> Keys | None:
        if self._keys is None or self._clock.seconds() - self._keys[1] >= KEYS_KEPT_S:
            return None
        return self._keys[0]

    def _read_keys(self, before: tuple[Keys, float] | None) -> Deferred[None]:
        async def read() -> None:
            if self._keys is not before:
                return  # somebody else has read them while we waited
            if self._fresh_keys() is None and self._clock.seconds() - self._tried_at < 1.0:
                return  # nor does anybody ask again at once who has got no answer
            self._tried_at = self._clock.seconds()
            url = self._settings.keys_url or await self._said("jwks_uri")
            status, said = await self._ask("GET", url)
            if status != 200 or not isinstance(said.get("keys"), list):
                self._fails(url, f"the issuer sent no keys (status {status})")
            self._keys = Keys(cast(list[object], said["keys"])), self._clock.seconds()

        return Deferred.fromCoroutine(read()).addErrback(lambda why: why.trap(IssuerAway) and None)

    async def introspect(self, token: str) -> Mapping[str, object]:
        """What it says about a token (:rfc:`7662`).

        Raises:
            IssuerAway: Nothing.
        """
        url = self._settings.introspection_url or await self._said("introspection_endpoint")
        body = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        name = f"{quote(self._settings.client_id, safe='')}:{quote(self._secret, safe='')}"
        headers = {
            "Authorization": f"Basic {b64encode(name.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        status, said = await self._ask("POST", url, body, headers)
        if status != 200 or not isinstance(said.get("active"), bool):
            self._fails(url, f"the issuer answered {status} to a request about a token")
        return said

    async def _said(self, name: str) -> str:
        """A URL that it says itself, in what it says about itself."""
        url = self.metadata_url
        now = self._clock.seconds()
        if self._metadata is None or now - self._metadata[1] >= KEYS_KEPT_S:
            status, said = await self._ask("GET", url)
            if status != 200 or said.get("issuer") != self._settings.issuer:
                self._fails(
                    url,
                    f"the issuer's metadata cannot be used (status {status}): its issuer must be "
                    f"{self._settings.issuer}",
                )
            self._metadata = said, now
        found = self._metadata[0].get(name)
        if not isinstance(found, str) or not is_safe(found):
            self._fails(url, f"the issuer's metadata has no {name} that begins with https://")
        return found

    # -- requests ---------------------------------------------------------------------------------

    async def _ask(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, object]]:
        try:
            await self._turns.acquire().addTimeout(self._settings.timeout_s, self._clock)
        except DeferredTimeoutError as error:
            raise IssuerAway("too many requests are waiting") from error
        sent = {"Accept": "application/json", **(headers or {})}
        try:
            status, said = await self._caller.ask(method, url, body, sent)
        except NotAnswered as error:
            self._fails(url, str(error))
        finally:
            self._turns.release()
        try:
            decoded = json.loads(said)
        except (ValueError, RecursionError):
            decoded = None
        return status, decoded if isinstance(decoded, dict) else {}

    def _fails(self, url: str, why: str) -> NoReturn:
        _log.warn("{url} cannot verify tokens: {why}", url=url, why=why)
        raise IssuerAway(why)


__all__ = ["KEYS_KEPT_S", "METADATA", "REFETCH_S", "Issuer", "IssuerAway"]
