"""PrivacyData: privacy lists and blocked addresses of whoever moves."""

from collections.abc import AsyncIterator, Collection

from xmppd.migration.user_data import UserData
from xmppd.privacy.privacy_list import NS, PrivacyList
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.stanza import JID, Condition, StanzaError, Tree, escape, qname

BLOCKING = "urn:xmpp:blocking"
_QUERY, _BLOCKLIST = qname(NS, "query"), qname(BLOCKING, "blocklist")


class PrivacyData(UserData):
    """The lists of an account, of which the default one has whom it blocks.

    Args:
        lists: Keeps them.
    """

    tags = (_QUERY, _BLOCKLIST)

    def __init__(self, lists: PrivacyListManager) -> None:
        self._lists = lists

    async def written(self, account: JID) -> AsyncIterator[bytes]:
        """All lists, and the name of the default one."""
        known = await self._lists.lists(account)
        if not known.lists:
            return
        yield b"<query xmlns='%b'>" % NS.encode()
        if known.default_name is not None:
            yield b"<default name='%b'/>" % escape(known.default_name).encode()
        for name in sorted(known.lists):
            yield known.lists[name].wire()
        yield b"</query>\n"

    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Keep the lists, or block who is blocked; a list that cannot be read is left out."""
        if tree.tag == _BLOCKLIST:
            return await self._block(account, tree)
        left_out = []
        for each in tree.findall(qname(NS, "list")):
            try:
                self._lists.check_length(len(each))
                _put_in_order(each)
                await self._lists.save(account, PrivacyList.from_tree(each))
            except (ValueError, StanzaError) as error:
                left_out.append(f"the list {each.get('name')!r}: {error}")
        default = tree.find(qname(NS, "default"))
        if default is not None:
            try:
                await self._lists.set_default(account, default.get("name"))
            except StanzaError as error:
                if error.condition is not Condition.ITEM_NOT_FOUND:
                    raise
                left_out.append(f"the default list {default.get('name')!r}, which does not exist")
        return left_out

    async def _block(self, account: JID, tree: Tree) -> list[str]:
        blocked, left_out = [], []
        self._lists.check_length(len(tree))
        for each in tree:
            try:
                blocked.append(JID.parse(each.get("jid") or ""))
            except ValueError as error:
                left_out.append(f"{each.get('jid')!r}: {error}")
        if blocked:
            await self._lists.block(account, blocked)
        return left_out


def _put_in_order(tree: Tree) -> None:
    """Number the items of a list anew, if several have one number: some servers give all that they
    block the same.
    """
    orders = [each.get("order", "") for each in tree]
    if len(set(orders)) < len(orders) and all(map(str.isdecimal, orders)):
        for number, item in enumerate(sorted(tree, key=lambda item: int(item.get("order", ""))), 1):
            item.set("order", str(number))


__all__ = ["BLOCKING", "PrivacyData"]
