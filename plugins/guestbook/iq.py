"""Requests about guestbooks: to an account, or to its book at the service."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, child, element, qname

from .book import NS, Guestbook
from .entries import LATEST
from .watchers import Watchers, shown

PREFIX = "guestbook."
"""The domain of the service is this and the domain of the accounts."""


@dataclass(frozen=True)
class BookHandler(IQHandler):
    """The base of handlers for a book: of an account, or at the service, where the router does not
    know whose book it is.
    """

    guestbook: Guestbook

    async def owner(self, iq: IQ, asked: Asked) -> JID:
        """The account whose book it is, which the asker may see."""
        if not asked.service:
            return asked.address
        owner = owner_at(asked.address)
        await self.guestbook.check_seen(iq.sender, owner)
        return owner


@dataclass(frozen=True)
class IQGuestbookHandler(BookHandler):
    """Show a book page by page, the latest entries first, and to its owner the visitors."""

    watchers: Watchers

    query = qname(NS, "guestbook")
    to = To.OWN_ACCOUNT | To.ACCOUNTS_SEEN
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> Element:
        before = iq.payload.tree[0].get("before", str(LATEST))
        if not (before.isascii() and before.isdecimal() and len(before) <= len(str(LATEST))):
            raise StanzaError(Condition.BAD_REQUEST, "before must be the number of an entry")
        owner = await self.owner(iq, asked)
        answer = element(NS, "guestbook")
        for entry in await self.guestbook.page(owner, min(int(before), LATEST)):
            shown(entry, child(answer, "entry"))
        if asked.own:
            for visitor in self.watchers.visitors.get(owner.bare, ()):
                child(answer, "visitor", jid=visitor)
        return answer


@dataclass(frozen=True)
class IQSignHandler(BookHandler):
    """Sign a book."""

    query = qname(NS, "sign")
    to = To.OWN_ACCOUNT | To.ACCOUNTS_SEEN

    async def on_set(self, iq: IQ, asked: Asked) -> Element:
        owner = await self.owner(iq, asked)
        words = iq.payload.tree[0].text or ""
        return shown(await self.guestbook.sign(owner, iq.sender, words), element(NS, "signed"))


class IQServiceGuestbookHandler(IQGuestbookHandler):
    """Show a book at the service."""

    to = To.ENTITIES


class IQServiceSignHandler(IQSignHandler):
    """Sign a book at the service."""

    to = To.ENTITIES


@dataclass(frozen=True)
class IQWatchHandler(IQHandler):
    """Let the session that asks watch the book of its account, or watch it no more."""

    watchers: Watchers

    query = qname(NS, "watch")
    to = To.OWN_ACCOUNT

    def on_set(self, iq: IQ, asked: Asked) -> None:
        if iq.payload.tree[0].get("on") in ("false", "0"):
            self.watchers.unwatch(asked.session)
        else:
            self.watchers.watch(asked.session)


def owner_at(book: JID) -> JID:
    """The account of a book at the service."""
    return JID.of(book.local, book.domain.removeprefix(PREFIX))


__all__ = [
    "PREFIX",
    "IQGuestbookHandler",
    "IQServiceGuestbookHandler",
    "IQServiceSignHandler",
    "IQSignHandler",
    "IQWatchHandler",
    "owner_at",
]
