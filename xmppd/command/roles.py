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
        found = {admin.bare: ROLES["admin"] for admin in admins}
        names = {bare: ["admin"] for bare in found}
        for role in settings:
            scopes = _USER.union(role.scopes or ROLES.get(role.name, ()))
            for account in role.accounts:
                bare = JID.parse(account).bare
                found[bare] = found.get(bare, _USER) | scopes
                names.setdefault(bare, []).append(role.name)
        self._scopes: Mapping[str, frozenset[str]] = found
        self._names: Mapping[str, list[str]] = names

    def scopes_of(self, jid: JID) -> frozenset[str]:
        """All that somebody with this address may do."""
        return self._scopes.get(jid.bare, _USER)

    def roles_of(self, jid: JID) -> list[str]:
        """The names of the roles that somebody has beside everybody's."""
        return list(dict.fromkeys(self._names.get(jid.bare, ())))


__all__ = ["Roles"]
