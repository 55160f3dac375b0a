"""Preferences of whoever moves, as they stand in a ``<user/>`` of :xep:`0227`."""

from collections.abc import AsyncIterator, Collection

from xmppd.migration.user_data import UserData
from xmppd.stanza import JID, Tree, qname
from xmppd.stanza.result import MAM

from .preference_requests import read, written
from .preferences import Preferences


class PreferenceData(UserData):
    """What an account wants, if that is not what everybody has.

    Args:
        preferences: Know it.
    """

    tags = (qname(MAM, "prefs"),)

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    async def written(self, account: JID) -> AsyncIterator[bytes]:
        """What it wants."""
        wanted = self._preferences.of(account.bare)
        if wanted != self._preferences.everybodys:
            yield written(wanted) + b"\n"

    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Go by it from now on."""
        wanted = read(tree)
        if not self._preferences.may_change and wanted != self._preferences.everybodys:
            return ["all accounts of this server share one setting"]
        await self._preferences.set(account, wanted)
        return ()


__all__ = ["PreferenceData"]
