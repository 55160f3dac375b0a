"""AccountExport: somebody takes along what the server keeps of them, as a file (ON-5)."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from twisted.logger import Logger

from xmppd.migration.exporter import Exporter
from xmppd.stanza import JID
from xmppd.store.accounts import AccountInfo, AccountStore
from xmppd.web.request import HTTPResponse, Pieces

MAX_EXPORTS = 4
"""Files that are being sent at the same time, on this node."""

_log = Logger()


class AccountExport:
    """Writes somebody's account as :xep:`0227` has it while it is sent, so that nothing of it lies
    around anywhere.

    Args:
        exporter: Writes accounts.
        accounts: All there are.
    """

    def __init__(self, exporter: Exporter, accounts: AccountStore) -> None:
        self._exporter = exporter
        self._accounts = accounts
        self._under_way = 0

    async def file(self, account: JID) -> HTTPResponse | None:
        """The file; None if too many are sent just now, or the account is gone."""
        info = await self._accounts.info(account.bare)
        if info is None or self._under_way >= MAX_EXPORTS:
            return None
        self._under_way += 1
        _log.info("{account} exported its data", account=account.bare)
        name = quote(f"{account.bare}.xml", safe="")
        headers = (
            ("Content-Type", "application/xml; charset=utf-8"),
            ("Content-Disposition", f"attachment; filename*=UTF-8''{name}"),
            ("Cache-Control", "no-store"),
        )
        return HTTPResponse(200, Pieces(self._pieces(info), None, self._over), headers)

    async def _pieces(self, info: AccountInfo) -> AsyncIterator[bytes]:
        async for piece in self._exporter.person(info):
            if piece:  # an empty one would end the file
                yield piece

    def _over(self) -> None:
        self._under_way -= 1


__all__ = ["MAX_EXPORTS", "AccountExport"]
