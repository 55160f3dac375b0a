"""LastItems: whoever becomes available, or wants more than before, is sent the newest items."""

from collections.abc import Collection, Iterable
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.handler.presence_subscribe_handler import Subscribed
from xmppd.presence.presence_manager import PresenceManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Message
from xmppd.store.errors import StoreError
from xmppd_plugins.caps.clients import ClientCapabilities
from xmppd_plugins.pubsub import events
from xmppd_plugins.pubsub.access import AccessModel, may_read
from xmppd_plugins.pubsub.config import NodeConfig, SendLast
from xmppd_plugins.pubsub.engine import new_name
from xmppd_plugins.pubsub.nodes import Host, ServedNodes
from xmppd_plugins.pubsub.state import NodeItem, NodeName

from .counts import EventCounts

_log = Logger()
Last = tuple[NodeName, NodeConfig, NodeItem]


class LastItems:
    """Sends newest items: one query for all whom a session sees (PE-14).

    Args:
        nodes: All nodes.
        capabilities: Know what clients want.
        presences: Know who may see whom.
        counts: Of notifications.
    """

    def __init__(
        self,
        nodes: ServedNodes,
        capabilities: ClientCapabilities,
        presences: PresenceManager,
        counts: EventCounts,
    ) -> None:
        self.nodes = nodes
        self.capabilities = capabilities
        self.presences = presences
        self.routing_table = presences.routing_table
        self.counts = counts

    def wanted(self, session: LocalClientSession, names: frozenset[str]) -> None:
        """Send a session what it wants from now on."""
        roster = self.presences.rosters.loaded(session.jid.bare)
        if not names or session.presence is None or roster is None:
            return
        owners = [session.jid.bare]
        owners += [jid.bare for jid in roster.subscribed_to if self.routing_table.is_local(jid)]
        self._begin(session.jid, names, owners)

    def elsewhere(self, account: JID, contact: JID, names: frozenset[str]) -> None:
        """Send one contact of an account, wherever it is, what its client wants from now on."""
        if names:
            self._begin(contact, names, (account.bare,))

    def subscribed(self, event: Subscribed) -> None:
        """Send somebody who sees an account from now on what that has published (PE-16)."""
        viewers = [
            (session.jid, self.capabilities.wanted(session))
            for session in self.routing_table.available_here(event.subscriber.bare)
        ]
        for viewer, names in viewers or self.capabilities.elsewhere(event.subscriber.bare):
            self.elsewhere(event.contact, viewer, names)

    def _begin(self, viewer: JID, names: frozenset[str], owners: Iterable[str]) -> None:
        Deferred.fromCoroutine(self._send(viewer, names, owners)).addErrback(_failed)

    async def _send(self, viewer: JID, names: frozenset[str], owners: Iterable[str]) -> None:
        with suppress(StoreError):  # the store has logged it
            found = await self.nodes.store.items.last_of(owners)
            wanted = [
                last
                for last in found
                if last[0].node in names
                and last[1].send_last_published_item is SendLast.ON_SUB_AND_PRESENCE
            ]
            others = {last[0].host for last in wanted} - {viewer.bare}
            seen = await self.presences.who_may_be_seen(viewer, others)
            closed = await self.nodes.store.closed_to(viewer) if others else set()
            stem = new_name()  # one for all: it costs as much as the rest of a message
            for number, last in enumerate(wanted):
                if last[0] not in closed and await self._may_read(viewer, last, seen):
                    self._send_item(viewer, f"{stem}{number}", *last)

    async def _may_read(self, viewer: JID, last: Last, seen: Collection[str]) -> bool:
        name, config, _ = last
        if name.host == viewer.bare:
            return True
        if name.host not in seen:
            return False
        if config.access_model in (AccessModel.OPEN, AccessModel.PRESENCE):
            return True
        state = await self.nodes.find(name)
        if state is None:
            return False
        host: Host = self.nodes.host(name.host)
        return may_read(config.access_model, await self.nodes.standing(host, state, viewer))

    def _send_item(
        self, viewer: JID, id: str, name: NodeName, config: NodeConfig, item: NodeItem
    ) -> None:
        event = events.published(
            name.node, (item,), payloads=config.deliver_payloads, publisher=False
        )
        sender = JID.prepared(name.host)
        message = Message.make(
            viewer,
            sender,
            event,
            events.delayed(item),
            id=id,
            type=config.notification_type.value,
        )
        self.counts.last_items += 1
        self.routing_table.route(message)


def _failed(failure: Failure) -> None:
    _log.failure("newest items could not be sent", failure)


__all__ = ["LastItems"]
