"""AccountInbox: conversations of an account, with those kept elsewhere (UN-1, RM-81)."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from xmppd.message.muting import Muting
from xmppd.stanza import JID

from .entries import LAST_OF_ALL, MAX_CONVERSATIONS, InboxEntry, Totals
from .unread import UnreadMessages


class OtherConversation(NamedTuple):
    """A conversation whose messages are not in the archive of the account, as a room's are.

    Attributes:
        entry: It.
        kept_unread: The unread messages of the account's own archive with the same address, which
            are shown as a part of it; None if there is nothing there.
    """

    entry: InboxEntry
    kept_unread: int | None


class OtherConversations(Protocol):
    """Knows such conversations."""

    async def of(self, account: str, *, told_only: bool = False) -> Sequence[OtherConversation]:
        """Those of an account.

        Args:
            account: Its bare JID.
            told_only: Whether only those are wanted of which it is told all messages.

        Raises:
            StoreError: They cannot be read.
        """

    async def displayed(self, account: str, peer: str, id: str) -> bool:
        """Note that an account has displayed a conversation up to a message.

        Args:
            account: Its bare JID.
            peer: That of the conversation.
            id: Of the message in the archive of the conversation.

        Returns:
            Whether that is news.

        Raises:
            StoreError: It cannot be noted.
        """


class AccountInbox:
    """All conversations of accounts, whoever keeps them.

    Args:
        unread: Counts what is in the accounts' own archives.
        muting: Knows what accounts do not want to be told of.

    Attributes:
        others: Those that a plugin keeps elsewhere; None if there is none.
    """

    def __init__(self, unread: UnreadMessages, muting: Muting) -> None:
        self.unread = unread
        self.muting = muting
        self.others: OtherConversations | None = None

    async def others_of(
        self, account: str, *, told_only: bool = False
    ) -> Sequence[OtherConversation]:
        """The conversations of an account that are kept elsewhere."""
        if self.others is None:
            return ()
        return await self.others.of(account, told_only=told_only)

    async def displayed(self, account: str, peer: str, id: str) -> bool:
        """Note that an account has displayed a conversation that is kept elsewhere; returns whether
        there is one, and that is news.
        """
        return self.others is not None and await self.others.displayed(account, peer, id)

    async def page(
        self,
        owner: str,
        limit: int,
        others: Sequence[OtherConversation],
        *,
        after: int = -1,
        before: int = LAST_OF_ALL,
        skipped: int = 0,
        unread_only: bool = False,
        backwards: bool = False,
    ) -> list[InboxEntry]:
        """Conversations of an account, that with the newest message first.

        Args:
            owner: Bare JID of the account.
            limit: So many at most.
            others: Those that are kept elsewhere.
            after: Only those whose last message is behind this position.
            before: Only those whose last message is before this one.
            skipped: Not the first ones of these.
            unread_only: Only those with unread messages.
            backwards: The oldest of these, if there are more; else the newest.
        """
        if others:
            more, skipped_own = limit + len(others) + skipped, 0
        else:
            more, skipped_own = limit, skipped
        own = await self.unread.conversations.page(
            owner,
            more,
            after=after,
            before=before,
            skipped=skipped_own,
            unread_only=unread_only,
            backwards=backwards,
        )
        if not others:
            return own
        names = {each.entry.name for each in others}
        found = [each for each in own if each.name not in names]
        for other in others:
            entry = other.entry
            if after < entry.last < before and entry.unread >= unread_only:
                found.append(entry)
        found.sort(key=_last, reverse=not backwards)
        wanted = found[skipped : skipped + limit]
        return wanted[::-1] if backwards else wanted

    async def totals(self, owner: str, others: Sequence[OtherConversation]) -> Totals:
        """What there is of an account."""
        conversations, unread, all_unread = await self.unread.conversations.totals(owner)
        for other in others:
            kept, now = other.kept_unread, other.entry.unread
            conversations += kept is None
            unread += bool(now) - bool(kept)
            all_unread += now - (kept or 0)
        return Totals(conversations, unread, all_unread)

    async def to_be_told(self, account: str) -> int:
        """The number of unread messages that an account is told of, without those of conversations
        that it has muted (PN-8); of those in which it is told of mentions these count.
        """
        count = await self.unread.of(account)
        settings = await self.muting.of(account)
        muted = {peer for peer, how in settings.items() if not how.tells_mentions}
        if muted and count:
            for each in await self.unread.conversations.page(
                account, MAX_CONVERSATIONS, unread_only=True
            ):
                if JID.prepared(each.name).bare in muted:
                    count -= each.unread
        for other in await self.others_of(account, told_only=True):
            if other.entry.name not in settings:
                count += other.entry.unread - (other.kept_unread or 0)
        return count


def _last(entry: InboxEntry) -> int:
    return entry.last


__all__ = ["AccountInbox", "OtherConversation", "OtherConversations"]
