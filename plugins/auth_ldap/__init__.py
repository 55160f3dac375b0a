"""Passwords from an LDAP directory, and its groups as shared groups (AU-1 to AU-6).

``provider.py`` finds the entry of somebody who logs in, and has the directory try the password
there. ``directory.py`` knows its servers and keeps connections with them, each a ``connection.py``.
``groups.py`` has the directory's groups in rosters.
"""

from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from xmppd.config.config import Config
from xmppd.net.outgoing_trust import TrustRoot, trust_root
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.repeatedly import repeatedly
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.store.accounts import AccountStore

from .directory import LDAPDirectory
from .groups import DirectoryGroups
from .provider import LDAPAuthProvider
from .settings import AuthLDAPSettings

FIRST_S = 1.0
"""The time until groups are looked at for the first time."""


def plug(
    settings: AuthLDAPSettings,
    config: Config,
    accounts: AccountStore,
    changes: SharedGroupChanges,
    clock: IReactorTime,
) -> list[Part]:
    """A provider called ldap, for domains that name it."""
    trust, secret = _trust(settings.authorities), _secret(settings.secret_file)
    reading = LDAPDirectory(settings, secret, trust, clock, as_reader=True)
    trying = LDAPDirectory(settings, "", trust, clock, as_reader=False)
    parts: list[Part] = [
        LDAPAuthProvider(settings, reading, trying, clock),
        AtUnload(reading.close),
        AtUnload(trying.close),
    ]
    if settings.group_base:
        domains = tuple(each.name for each in config.domain if LDAPAuthProvider.name in each.auth)
        groups = DirectoryGroups(settings, reading, changes, accounts, domains, clock)
        parts.append(repeatedly(groups.follow, settings.groups_every_s, clock, first_s=FIRST_S))
    return parts


def _trust(authorities: str) -> TrustRoot | None:
    try:
        return trust_root(authorities)
    except ValueError as error:
        raise PluginError(f"auth_ldap.authorities: {error}") from error


def _secret(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"auth_ldap.secret_file {file} cannot be read ({error})") from error
