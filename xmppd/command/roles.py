"""Roles: who has which scopes (CR-5)."""

from collections.abc import Iterable, Mapping

from xmppd.config.config import RoleSettings
from xmppd.config.scopes import ROLES
from xmppd.stanza import JID

_USER = ROLES["user"]


class Roles:
    """The scopes of people: those of their roles, and of everybody's.

    Args:
        admins: Bare JIDs of the administrators.
        settings: Who has other roles.
    """

    def __init__(self, admins: Iterable[JID] = (), settings: Iterable[RoleSettings] = ()) -> None:
        self.use(admins, settings)

    def use(self, admins: Iterable[JID], settings: Iterable[RoleSettings]) -> None:
        """Go by others from now on."""
        found = dict.fromkeys((admin.bare for admin in admins), ROLES["admin"])
        for role in settings:
            scopes = _USER.union(role.scopes or ROLES.get(role.name, ()))
            for account in role.accounts:
                bare = JID.parse(account).bare
                found[bare] = found.get(bare, _USER) | scopes
        self._scopes: Mapping[str, frozenset[str]] = found

    def scopes_of(self, jid: JID) -> frozenset[str]:
        """All that somebody with this address may do."""
        return self._scopes.get(jid.bare, _USER)


__all__ = ["Roles"]
