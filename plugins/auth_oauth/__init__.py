"""Logins with OAuth tokens: OAUTHBEARER (:rfc:`7628`, :xep:`0493`).

``issuer.py`` reads the issuer's ``keys.py``, or asks it about a token; ``provider.py`` says whose a
token is, and ends what was begun by one that is revoked, as ``uses.py`` remembers.
"""

from twisted.internet.interfaces import IReactorTime

from xmppd.account.devices import Devices
from xmppd.auth.sealing import Sealing
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.plugin.service_access import caller_trusting, secret_in
from xmppd.session.session_manager import SessionManager
from xmppd.store.sql import Database, Tables

from .issuer import Issuer
from .provider import OAuthProvider
from .settings import AuthOAuthSettings
from .tables import metadata
from .uses import TokenUses


def plug(
    settings: AuthOAuthSettings,
    sessions: SessionManager,
    devices: Devices,
    database: Database,
    sealing: Sealing,
    clocks: Clocks,
    clock: IReactorTime,
) -> list[Part]:
    """A provider called oauth, for domains that name it."""
    caller = caller_trusting("auth_oauth", settings.authorities, clock, settings.timeout_s)
    issuer = Issuer(settings, secret_in("auth_oauth", settings.secret_file), caller, clock)
    uses = TokenUses(database, sealing, clocks.wall_clock)
    provider = OAuthProvider(settings, issuer, sessions, devices, uses, clocks.wall_clock)
    return [
        Tables(metadata),
        provider,
        AtUnload(caller.close_kept),
        repeatedly(provider.look_after, settings.checked_every_s, clock),
    ]
