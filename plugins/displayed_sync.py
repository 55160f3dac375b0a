"""XEP-0490: Message Displayed Synchronization. What one device has shown is read for all.

Clients publish that in a node of their account, which ``plugins/pep`` keeps and tells to their
others, or put it into a message, from which it is published here (UN-6). The account's inbox
follows it, and what push services were told is cleared (UN-3).
"""

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.message.unread_counts import UnreadCounts
from xmppd.plugin.place import AtUnload, Part
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Message, Stanza, StanzaError, parse, qname
from xmppd.stanza.form import Field, submission
from xmppd.stanza.guests import is_guest
from xmppd.stanza.xml import write
from xmppd.store.errors import StoreError
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.inbox.inbox import AccountInbox
from xmppd_plugins.inbox.unread import UnreadMessages
from xmppd_plugins.pep.faces import NodeFaces
from xmppd_plugins.pubsub.config import PREFIX
from xmppd_plugins.pubsub.engine import MAX_PER_PUBLISH
from xmppd_plugins.pubsub.names import PUBLISH_OPTIONS
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import NodeName

NODE = "urn:xmpp:mds:displayed:0"
MAX_ITEMS = 10
"""The newest items, which are looked at when one is published."""

ASSIST = "urn:xmpp:mds:server-assist:0"
MAX_WAITING = MAX_PER_PUBLISH
"""Conversations of an account that wait to be published; then the one that waits longest goes."""

_ID = qname("urn:xmpp:sid:0", "stanza-id")
_DISPLAYED = qname(NODE, "displayed")
_IN_ROOM = qname("http://jabber.org/protocol/muc#user", "x")
S = TypeVar("S", bound=Stanza)
_log = Logger()


class DisplayedSync:
    """Reads conversations up to what was published as displayed.

    Args:
        requests: Lead to the node.
        archive: Knows whose ids these are.
        unread: Counts what is in the accounts' archives.
        inbox: Has what is elsewhere beside.
        counts: Those who want to know that something was read.
    """

    def __init__(
        self,
        requests: PubSubRequests,
        archive: Archive,
        unread: UnreadMessages,
        inbox: AccountInbox,
        counts: UnreadCounts,
    ) -> None:
        self.store = requests.store
        self.archive = archive
        self.unread = unread
        self.inbox = inbox
        self.counts = counts

    async def changed(self, account: JID) -> None:
        """Take what was published, if it is news."""
        owner = account.bare
        is_news = False
        await self.unread.moved.flush()
        for item in await self.store.items.page(NodeName(owner, NODE), MAX_ITEMS):
            for stanza_id in parse(item.payload).iterfind(_ID) if item.payload else ():
                by, id = stanza_id.get("by"), stanza_id.get("id") or ""
                if by == owner:
                    is_news |= await self._read(owner, item.id, id)
                elif by == item.id:
                    is_news |= await self.inbox.displayed(owner, by, id)
        if is_news:
            await self.counts.has_read(owner)

    async def _read(self, owner: str, peer: str, id: str) -> bool:
        """Read a conversation up to a message in its owner's archive; returns whether that is
        news.
        """
        position = self.archive.position_of(owner, id)
        conversation = await self.unread.conversations.one(owner, peer)
        if not position or conversation is None or position <= conversation.displayed:
            return False
        await self.unread.read(owner, peer, position)
        return True


class DisplayedAssist(PacketInterceptor):
    """Takes what was displayed out of messages, before anybody else sees it, and publishes it in
    the sender's node (UN-6). No message waits for that.

    Args:
        requests: Lead to the node.
    """

    incoming_kinds = (Message,)

    def __init__(self, requests: PubSubRequests) -> None:
        self.engine = requests.engine
        self._waiting: dict[str, dict[str, bytes]] = {}  # by account, by conversation

    def incoming(self, stanza: S, session: JID) -> S | None:
        """Take it out of a message; a message that is nothing else goes nowhere."""
        shown = stanza.payload.tree.find(_DISPLAYED)
        if shown is None:
            return stanza
        if stanza.type != "error" and not is_guest(session.bare):
            peer = stanza.to or session
            in_room = stanza.payload.tree.find(_IN_ROOM) is not None
            self._note(session, peer.full if in_room else peer.bare, write(shown))
        rest = stanza.without_children(lambda each: each.tag == _DISPLAYED)
        return rest if len(rest.payload.tree) else None

    def _note(self, who: JID, peer: str, payload: bytes) -> None:
        """Have it published, behind what is on its way."""
        is_first = who.bare not in self._waiting
        waiting = self._waiting.setdefault(who.bare, {})
        waiting.pop(peer, None)
        waiting[peer] = payload
        if len(waiting) > MAX_WAITING:
            del waiting[next(iter(waiting))]
        if is_first:
            Deferred.fromCoroutine(self._publish(who)).addErrback(_failed)

    async def _publish(self, who: JID) -> None:
        private = Field(f"{PREFIX}access_model", values=("whitelist",))
        options = submission(PUBLISH_OPTIONS, private)
        try:
            while waiting := self._waiting[who.bare]:
                self._waiting[who.bare] = {}
                items = list(waiting.items())
                await self.engine.publish(NodeName(who.bare, NODE), who, items, options)
        finally:
            del self._waiting[who.bare]


def _failed(failure: Failure) -> None:
    """Log a bug; failures of the store were logged, and refusals are the account's own affair."""
    if not failure.check(StoreError, StanzaError):
        _log.failure("the displayed state could not be published", failure)


def plug(
    requests: PubSubRequests,
    faces: NodeFaces,
    archive: Archive,
    unread: UnreadMessages,
    inbox: AccountInbox,
    counts: UnreadCounts,
) -> list[Part]:
    """The parts of this feature."""
    faces.changed[NODE] = DisplayedSync(requests, archive, unread, inbox, counts).changed

    def stop() -> None:
        del faces.changed[NODE]

    return [
        AtUnload(stop),
        DisplayedAssist(requests),
        Says(DiscoInfo(features=(ASSIST,)), Of.ACCOUNT),
    ]
