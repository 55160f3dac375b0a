"""StoredMessages: messages in the store that another node had to do with."""

from collections.abc import Collection

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.bus import Outcome
from xmppd.cluster.entries.stanzas import MessagesWait
from xmppd.cluster.membership import NodeLeft, NodeLost
from xmppd.cluster.node import NodeId
from xmppd.message.held_messages import HeldMessages
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.router.packet_router import PacketRouter
from xmppd.session.saved_sessions import SavedSessions
from xmppd.stanza import IQ, JID
from xmppd.store.errors import StoreError

_log = Logger()


class StoredMessages:
    """Takes messages that other nodes have stored, and makes those wait for their accounts that a
    node which is gone had taken or held (CL-51, CL-52).

    Every node does that for a lost one, without regard to the others: each message is found by one
    of them, and what one has begun another ends.

    Args:
        flood: Gives messages to sessions here, and tells the other nodes.
        held_messages: What was held becomes offline messages.
        saved_sessions: The sessions that nodes have saved.
        packet_router: Bounces requests in the queues of sessions that nobody takes up.
        clock: Tells when nobody will.
    """

    def __init__(
        self,
        flood: OfflineMessageFlood,
        held_messages: HeldMessages,
        saved_sessions: SavedSessions,
        packet_router: PacketRouter,
        clock: IReactorTime,
    ) -> None:
        self.flood = flood
        self.routing_table = flood.routing_table
        self.membership = flood.routing_table.membership
        self.held_messages = held_messages
        self.saved_sessions = saved_sessions
        self.packet_router = packet_router
        self.clock = clock
        self._giving_up: dict[str, IDelayedCall] = {}

    def wait(self, sender: NodeId, entry: MessagesWait) -> Outcome:
        """Give an account's sessions here what another node has stored, or given back."""
        if entry.account in self.routing_table.users:
            return self.flood.wait_here(JID.prepared(entry.account))
        return None if entry.again else self.flood.tell_others((entry.account,), again=True)

    # -- at a start -------------------------------------------------------------------------------

    async def take_up(self) -> None:
        """Recover what earlier lives of this node have left, but for saved sessions, and give up
        what others have saved that do not come back.
        """
        sessions, offline = self.held_messages.store, self.held_messages.offline
        nodes = await sessions.nodes()
        for node in nodes | await offline.holders():
            if self.membership.is_heir_of(node):
                await self._recover(node)
        for node in nodes:
            if not self.membership.is_heir_of(node):
                self._give_up_later(node)

    def stop(self) -> None:
        """Give nothing up any more."""
        for call in self._giving_up.values():
            call.cancel()
        self._giving_up.clear()

    # -- when a node is gone ----------------------------------------------------------------------

    def lost(self, event: NodeLost) -> None:
        """Recover what a lost node had taken or held."""
        node = str(event.node.id)
        Deferred.fromCoroutine(self._recover(node)).addErrback(self._failed, node)
        self._give_up_later(node)

    def left(self, event: NodeLeft) -> None:
        """Wait for a node that has left, which may come back to the sessions that it has saved."""
        self._give_up_later(str(event.node.id))

    async def _recover(self, node: str) -> None:
        """Make messages wait for their accounts that a node has held or taken which is gone, some
        in each transaction.
        """
        count = 0
        while held := await self.held_messages.store.recover_messages(node):
            count += len(held)
            await self._tell({message.account for message in held})
        while (freed := await self.flood.store.free_taken(node)) is not None:
            await self._tell(freed)
        if count:
            _log.info("recovered messages: {count}", count=count)

    def _give_up_later(self, node: str) -> None:
        """Give up what a node has saved, if no node has taken it up when its clients could not come
        back to it any more.
        """
        known = self._giving_up.pop(node, None)
        if known is not None:
            known.cancel()
        after_s = self.saved_sessions.resumable_sessions.settings.resume_s
        self._giving_up[node] = self.clock.callLater(after_s, self._give_up, node)

    def _give_up(self, node: str) -> None:
        del self._giving_up[node]
        if self.saved_sessions.is_gone(node):
            Deferred.fromCoroutine(self._give_up_all(node)).addErrback(self._failed, node)

    async def _give_up_all(self, node: str) -> None:
        await self._recover(node)
        while (lost := await self.saved_sessions.give_up(node)) is not None:
            await self.held_messages.take_up((), lost)
            for each in lost:
                requests = [waiting for _, waiting in each.unread if isinstance(waiting[0], IQ)]
                self.packet_router.take_back(requests, each.jid)
            await self._tell({each.jid.bare for each in lost})

    async def _tell(self, accounts: Collection[str]) -> None:
        """Have the sessions of accounts get what waits for them now, wherever they are."""
        for account in accounts:
            if account in self.routing_table.users:
                await self.flood.wait_here(JID.prepared(account))
        await self.flood.tell_others(accounts)

    def _failed(self, failure: Failure, node: str) -> None:
        if not failure.check(StoreError):  # which the store has logged
            _log.failure(
                "messages that node {node} left in the store could not be recovered",
                failure,
                node=node,
            )
