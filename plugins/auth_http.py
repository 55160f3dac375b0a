"""Passwords that an HTTP service checks: one POST for each login (AU-10)."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.auth.base import AuthProvider, SASLError
from xmppd.config.section import Section
from xmppd.net.http_caller import HTTPCaller, NotAnswered
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.service_access import caller_trusting, secret_in
from xmppd.stanza import JID

_HERE = ("127.0.0.1", "::1", "localhost")
_log = Logger()


class AuthHTTPSettings(Section, frozen=True):
    """``[auth_http]``: the service that knows passwords of domains with ``auth = ["http"]``.

    Attributes:
        url: Where it is asked; with https, unless it is on this machine.
        secret_file: The absolute path of the secret by which it knows us.
        authorities: The absolute path of who signs its certificate; empty for those that this
            machine trusts.
        timeout_s: A login waits no longer for it.
        failures_before_pause: After so many failures in a row it is not asked for a while.
        pause_s: That while.
    """

    url: str = ""
    secret_file: str = ""
    authorities: str = ""
    timeout_s: float = 3.0
    failures_before_pause: int = 5
    pause_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
            raise ValueError(
                "url must begin with https://, unless the service is on this machine"
                if self.url
                else "url is missing; write the address of the service into the table [auth_http], "
                'as url = "https://auth.example.org/xmpp"'
            )
        for path in (self.secret_file, self.authorities):
            if path and not Path(path).is_absolute():
                raise ValueError(f"{path} must be an absolute path")


class HTTPAuthProvider(AuthProvider):
    """Asks an HTTP service whether a password is right: it answers 200, or 403.

    Any other answer, or none in time, is no answer: the client may try again. After some of these
    in a row the service is left in peace for a while.

    Args:
        settings: Where it is, and how long it may take.
        secret: By which it knows us; empty for none.
        caller: Asks it.
        clock: The reactor's.
    """

    name = "http"

    def __init__(
        self, settings: AuthHTTPSettings, secret: str, caller: HTTPCaller, clock: IReactorTime
    ) -> None:
        self._settings = settings
        self._caller = caller
        self._clock = clock
        self._failures = 0
        self._paused_until = clock.seconds()
        self._headers = {"Content-Type": "application/json"}
        if secret:
            self._headers["Authorization"] = f"Bearer {secret}"

    async def check_password(self, account: str, password: str) -> bool:
        """Whether the service knows the account, by this password.

        Raises:
            SASLError: ``temporary-auth-failure``: it does not answer.
        """
        if self._clock.seconds() < self._paused_until:
            raise _away()
        jid = JID.parse(account)
        said = {"account": account, "user": jid.local, "domain": jid.domain, "password": password}
        try:
            status, _ = await self._caller.ask(
                "POST", self._settings.url, json.dumps(said).encode(), self._headers
            )
        except NotAnswered as error:
            self._failed(str(error))
            raise _away() from error
        if status not in (200, 403):
            self._failed(f"the answer is {status}")
            raise _away()
        self._failures = 0
        return status == 200

    def _failed(self, why: str) -> None:
        self._failures += 1
        _log.warn("{url} cannot check passwords: {why}", url=self._settings.url, why=why)
        if self._failures >= self._settings.failures_before_pause:
            self._paused_until = self._clock.seconds() + self._settings.pause_s


def _away() -> SASLError:
    return SASLError("temporary-auth-failure", "The server cannot check passwords at the moment.")


def plug(settings: AuthHTTPSettings, clock: IReactorTime) -> list[Part]:
    """A provider called http, for domains that name it."""
    caller = caller_trusting("auth_http", settings.authorities, clock, settings.timeout_s)
    provider = HTTPAuthProvider(
        settings, secret_in("auth_http", settings.secret_file), caller, clock
    )
    return [provider, AtUnload(caller.close_kept)]
