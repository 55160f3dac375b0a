"""People by tokens of an OAuth issuer, with OAUTHBEARER (:rfc:`7628`, :xep:`0493`).

``issuer.py`` reads the issuer's ``keys.py``, or asks it about a token; ``provider.py`` says whose a
token is, and ends what was begun by one that is revoked.
"""

from pathlib import Path
from typing import cast

from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool
from twisted.web.iweb import IAgent

from xmppd.account.devices import Devices
from xmppd.host.clocks import Clocks
from xmppd.net.outgoing_trust import trust_root
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.repeatedly import repeatedly
from xmppd.session.session_manager import SessionManager

from .issuer import Issuer
from .provider import OAuthProvider
from .settings import AuthOAuthSettings


def plug(
    settings: AuthOAuthSettings,
    sessions: SessionManager,
    devices: Devices,
    clocks: Clocks,
    clock: IReactorTime,
) -> list[Part]:
    """A provider called oauth, for domains that name it."""
    reactor = cast(IReactorTCP, clock)
    pool = HTTPConnectionPool(reactor)
    try:
        policy = BrowserLikePolicyForHTTPS(trust_root(settings.authorities))
    except ValueError as error:
        raise PluginError(f"auth_oauth.authorities: {error}") from error
    agent = Agent(reactor, policy, connectTimeout=settings.timeout_s, pool=pool)
    issuer = Issuer(settings, _secret(settings.secret_file), cast(IAgent, agent), clock)
    provider = OAuthProvider(settings, issuer, sessions, devices, clocks.wall_clock)
    return [
        provider,
        AtUnload(pool.closeCachedConnections),
        repeatedly(provider.look_after, settings.checked_every_s, clock),
    ]


def _secret(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"auth_oauth.secret_file {file} cannot be read ({error})") from error
