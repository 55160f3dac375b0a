"""IQInboxHandler: conversations of an account, that with the newest message first (UN-5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from xmppd.handler.iq_handler import Asked, IQHandler, Pulling, To
from xmppd.stanza import IQ, JID, Condition, Message, Stanza, StanzaError, Tree, escape, qname
from xmppd.stanza.guests import is_guest
from xmppd.stanza.pulled import Pulled
from xmppd.stanza.result import Results
from xmppd.stanza.rsm import PageRequest, page_request, page_set
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.ids import microseconds_of
from xmppd_plugins.archive.query import ENTRIES_PER_TURN, MAX_PAGE_BYTES, RESULT_OVERHEAD_BYTES
from xmppd_plugins.archive.routed import without_author

from .entries import LAST_OF_ALL, InboxEntry, Totals
from .inbox import AccountInbox, OtherConversation

NS = "urn:xmpp:inbox:1"
USUAL = 100
MOST = 250

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MESSAGE = b"<message>"


@dataclass(frozen=True)
class IQInboxHandler(IQHandler):
    """Send the conversations of the own account, behind them the answer (:xep:`0430`)."""

    inbox: AccountInbox

    query = qname(NS, "inbox")
    to = To.OWN_ACCOUNT
    refusal: ClassVar[Condition] = Condition.FORBIDDEN
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> Pulling:
        if is_guest(asked.address.bare):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE, "guests cannot use this")
        tree, owner = iq.payload.tree[0], asked.address
        unread_only = _said(tree, "unread-only", usual=False)
        with_messages = _said(tree, "messages", usual=True)
        page = page_request(tree, usual=USUAL, most=MOST) or PageRequest(MOST)
        await self.inbox.unread.of(owner.bare)
        others = await self.inbox.others_of(owner.bare)
        found = await self._page(owner.bare, page, others, unread_only=unread_only)
        totals = await self.inbox.totals(owner.bare, others)
        near = found[::-1] if page.is_backwards else found
        messages = await self._messages(owner.bare, near) if with_messages else [b""] * len(near)
        shown = list(zip(near, messages, strict=False))  # no more than the page has room for
        if page.is_backwards:
            shown.reverse()
        given = Shown(self.inbox.unread.archive, owner, iq.sender, iq.id)
        count = totals.unread if unread_only else totals.conversations
        return Pulling(given.conversations(shown), given.fin(shown, totals, count))

    async def _messages(self, owner: str, found: Sequence[InboxEntry]) -> list[bytes]:
        """What was said last in each of these conversations, as far as a page has room for that."""
        unread, entries = self.inbox.unread, self.inbox.unread.archive.entries
        messages: list[bytes] = []
        size = 0
        for begin in range(0, len(found), ENTRIES_PER_TURN):
            if begin:
                await unread.next_turn()
            few = found[begin : begin + ENTRIES_PER_TURN]
            own = [each.spoken for each in few if each.spoken and not each.archive]
            stanzas = {each.position: each.stanza or b"" for each in await entries.at(owner, own)}
            for each in few:
                if each.archive:
                    said = await entries.at(each.archive, [each.spoken] if each.spoken else [])
                    stanza = without_author(said[0].stanza or b"") if said else b""
                else:
                    stanza = stanzas.get(each.spoken, b"")
                size += RESULT_OVERHEAD_BYTES + len(stanza)
                if messages and size > MAX_PAGE_BYTES:
                    return messages
                messages.append(stanza)
        return messages

    async def _page(
        self,
        owner: str,
        request: PageRequest,
        others: Sequence[OtherConversation],
        *,
        unread_only: bool,
    ) -> list[InboxEntry]:
        """The conversations of a page.

        Raises:
            StanzaError: ITEM_NOT_FOUND: what it begins or ends at is no id of these archives.
        """
        before, after = LAST_OF_ALL, -1
        archives = [owner, *(each.entry.archive for each in others)]
        if request.after is not None:
            before = self._position(archives, request.after)
        if request.before:
            after = self._position(archives, request.before)
        return await self.inbox.page(
            owner,
            request.most,
            others,
            after=after,
            before=before,
            skipped=request.skipped or 0,
            unread_only=unread_only,
            backwards=request.is_backwards,
        )

    def _position(self, archives: Sequence[str], id: str) -> int:
        for owner in archives:
            position = self.inbox.unread.archive.position_of(owner, id)
            if position is not None:
                return position
        raise StanzaError(Condition.ITEM_NOT_FOUND, "the message does not exist")


@dataclass(frozen=True)
class Shown:
    """What is shown of an inbox.

    Attributes:
        archive: Gives the ids.
        owner: Bare JID of its account.
        asker: The full JID that has asked.
        id: Of the request.
    """

    archive: Archive
    owner: JID
    asker: JID
    id: str | None

    def conversations(self, shown: Sequence[tuple[InboxEntry, bytes]]) -> Iterator[Stanza]:
        """Each conversation, with what was said last if that is known."""
        own = Results(self.owner, self.asker, self.id)
        for each, message in shown:
            entry = (
                f"<entry xmlns='{NS}' unread='{each.unread}' jid='{escape(each.name)}'"
                f" id='{self._id(each, each.last)}'/>"
            ).encode()
            result = b"</message>"
            if message:
                id = self._id(each, each.spoken).encode()
                results = own
                if each.archive:  # it is the room's, by its id there
                    results = Results(JID.prepared(each.archive), self.asker, self.id)
                try:
                    made = results.result(message, id, microseconds_of(each.spoken))
                    result = made.payload.raw[len(_MESSAGE) :]
                except ValueError:
                    pass  # it is damaged, which a query of the archive logs
            yield Message(self.asker, self.owner, None, None, Pulled(_MESSAGE + entry + result))

    def fin(self, shown: Sequence[tuple[InboxEntry, bytes]], totals: Totals, count: int) -> bytes:
        """The answer behind them."""
        ids = [self._id(each, each.last) for each, _ in shown]
        page = page_set(ids[0], ids[-1], count=count) if ids else page_set(None, None, count=count)
        numbers = (
            f"total='{totals.conversations}' unread='{totals.unread}'"
            f" all-unread='{totals.all_unread}'"
        )
        return f"<fin xmlns='{NS}' {numbers}>".encode() + page + b"</fin>"

    def _id(self, entry: InboxEntry, position: int) -> str:
        return self.archive.id_of(entry.archive or self.owner.bare, position)


def _said(tree: Tree, name: str, *, usual: bool) -> bool:
    """What an attribute says.

    Raises:
        StanzaError: BAD_REQUEST: neither yes nor no.
    """
    text = tree.get(name)
    if text is None:
        return usual
    if text not in _BOOLEANS:
        raise StanzaError(Condition.BAD_REQUEST, f"{name} must be true or false")
    return _BOOLEANS[text]


__all__ = ["IQInboxHandler"]
