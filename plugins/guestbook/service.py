"""GuestbookService: a domain at which each account has its book under an address of its own."""

from xmppd.components.service import Service
from xmppd.components.service_domains import ServiceDomains
from xmppd.disco.disco import DiscoAnswer
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoQuestion
from xmppd.stanza import Later, Message

from .book import NS, Guestbook
from .iq import PREFIX, IQServiceGuestbookHandler, IQServiceSignHandler, owner_at
from .watchers import Watchers

IDENTITY = DiscoIdentity("component", "generic", "Guestbooks")


class GuestbookService(Service):
    """Takes messages to a book as entries in it: whoever has no client for guestbooks signs
    romeo's by a message to ``romeo@guestbook.`` and his domain.

    Args:
        services: Its place.
        domain: That of the accounts.
        guestbook: All books.
        watchers: Know the visitors.
    """

    def __init__(
        self, services: ServiceDomains, domain: str, guestbook: Guestbook, watchers: Watchers
    ) -> None:
        super().__init__(
            services,
            PREFIX + domain,
            IDENTITY,
            IQServiceGuestbookHandler(guestbook, watchers),
            IQServiceSignHandler(guestbook),
        )
        self.guestbook = guestbook

    def message(self, message: Message) -> Later:
        to, words = message.to, message.payload.tree.findtext("body")
        if to is None or to.local is None:
            return super().message(message)
        if words is None or not message.answerable:
            return None  # somebody types, or an entry of ours came back
        return self._sign(message, words)

    async def _sign(self, message: Message, words: str) -> None:
        assert message.to is not None, "it is for a book"
        owner = owner_at(message.to)
        await self.guestbook.check_seen(message.sender, owner)
        await self.guestbook.sign(owner, message.sender, words)

    def says(self, question: DiscoQuestion) -> DiscoAnswer:
        if question.node or question.entity.local is None:
            return None  # who has a book is not listed
        return self._book(question)

    async def _book(self, question: DiscoQuestion) -> DiscoInfo | None:
        owner = owner_at(question.entity)
        if not await self.guestbook.presences.can_see(question.asker, owner):
            return None
        return DiscoInfo((DiscoIdentity("hierarchy", "leaf", f"Guestbook of {owner}"),), (NS,))


__all__ = ["GuestbookService"]
