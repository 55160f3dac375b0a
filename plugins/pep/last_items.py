"""LastItems: whoever becomes available, or wants more than before, is sent the newest items."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.handler.presence_subscribe_handler import Subscribed
from xmppd.presence.presence_manager import PresenceManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID
from xmppd.store.errors import StoreError
from xmppd_plugins.caps.clients import ClientCapabilities
from xmppd_plugins.pubsub.access import may_read
from xmppd_plugins.pubsub.nodes import Host, ServedNodes
from xmppd_plugins.pubsub.state import NodeName

from .counts import EventCounts
from .last_events import LastEvent, LastEvents

_log = Logger()


class LastItems:
    """Sends newest items of all whom a session sees (PE-14).

    Args:
        nodes: All nodes.
        events: With their newest items.
        capabilities: Know what clients want.
        presences: Know who may see whom.
        counts: Of notifications.
    """

    def __init__(
        self,
        nodes: ServedNodes,
        events: LastEvents,
        capabilities: ClientCapabilities,
        presences: PresenceManager,
        counts: EventCounts,
    ) -> None:
        self.nodes = nodes
        self.events = events
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
            found = await self.events.of(owners, names)
            others = {event.name.host for event in found} - {viewer.bare}
            seen = await self.presences.who_may_be_seen(viewer, others)
            closed = await self.nodes.store.closed_to(viewer) if others else ()
            readable = []
            for event in found:
                host = event.name.host
                if host == viewer.bare or (
                    host in seen
                    and event.name not in closed
                    and (event.is_for_all or await self._may_read(viewer, event.name))
                ):
                    readable.append(event)
            self._send_all(viewer, readable)

    async def _may_read(self, viewer: JID, name: NodeName) -> bool:
        state = await self.nodes.find(name)
        if state is None:
            return False
        host: Host = self.nodes.host(name.host)
        return may_read(state.config.access_model, await self.nodes.standing(host, state, viewer))

    def _send_all(self, viewer: JID, events: Sequence[LastEvent]) -> None:
        self.counts.last_items += len(events)
        session, address = self.routing_table.bound.get(viewer.full), viewer.wire
        for event in events:
            if session is None:
                self.routing_table.route(event.message.addressed(viewer))
            else:
                session.deliver(event.message, event.head + address + event.tail)


def _failed(failure: Failure) -> None:
    _log.failure("newest items could not be sent", failure)


__all__ = ["LastItems"]
