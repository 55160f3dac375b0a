"""PresenceRouter: broadcasts, directed presence, subscriptions, probes and errors."""

from mypy_extensions import mypyc_attr

from xmppd.handler.presence_subscribe_handler import TYPES as SUBSCRIPTION_TYPES
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.presence.presence_manager import PresenceManager, hears
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Condition, Later, Presence, StanzaError


@mypyc_attr(allow_interpreted_subclasses=True)
class PresenceRouter:
    """Finds whose job a presence is (PR-4 to PR-14).

    Attributes:
        stanzas: The number that it was given.
    """

    def __init__(
        self,
        update_handler: PresenceUpdateHandler,
        subscribe_handler: PresenceSubscribeHandler,
        presences: PresenceManager,
        rosters: RosterManager,
        routing_table: RoutingTable,
    ) -> None:
        self.update_handler = update_handler
        self.subscribe_handler = subscribe_handler
        self.presences = presences
        self.rosters = rosters
        self.routing_table = routing_table
        self.stanzas = 0

    def route(self, presence: Presence) -> Later:
        """Give a presence to the handler of its type, or deliver it.

        Raises:
            StanzaError: BAD_REQUEST: its type is not one of RFC 6121.
        """
        kind, to = presence.type, presence.to
        if kind is None or kind == "unavailable":
            if to is None:
                return self.update_handler.process(presence)  # PR-5
            return self._directed(presence, to)
        if kind in SUBSCRIPTION_TYPES:
            return self.subscribe_handler.process(presence)  # PR-11
        if kind == "probe":
            return self._probe(presence)
        if kind == "error":
            return self.refuse(presence)
        raise StanzaError(Condition.BAD_REQUEST, f"{kind} is not a type of presence")

    def _directed(self, presence: Presence, to: JID) -> Later:
        """Route directed presence (PR-6 to PR-10, :rfc:`6121#section-4.6`)."""
        sender = presence.sender
        if not self.routing_table.is_local(sender):
            return self.presences.deliver_from_elsewhere(presence)  # PR-4, PR-7
        if presence.type == "unavailable":
            self.presences.directed.withdrawn(sender, to)
        elif not self._told_anyway(sender, to):
            self.presences.directed.sent(sender, to)
        return self.presences.deliver_everywhere(presence)

    def refuse(self, error: Presence) -> Later:
        """Deliver an error for a presence that could not be handled (PR-14, PR-16)."""
        to = error.to
        if to is None:
            return None
        if to.resource is not None or not self.routing_table.is_local(to):
            if not self.routing_table.route(error):
                return self.routing_table.route_if_found(error)
        elif not self.routing_table.is_local(error.sender):
            self.subscribe_handler.failed(error)  # PR-18
        return None

    def _told_anyway(self, sender: JID, to: JID) -> bool:
        """Whether the contact hears "unavailable" of the sender by its roster (DP-1).

        A single resource may not be available, so that no broadcast reaches it.
        """
        session = self.routing_table.bound.get(sender.full)
        if session is None or session.presence is None or to.resource is not None:
            return False
        roster = self.rosters.loaded(sender.bare)
        return roster is not None and hears(roster, session.privacy, to)

    def _probe(self, presence: Presence) -> Later:
        to = presence.to
        if to is None:
            raise StanzaError(Condition.BAD_REQUEST, 'a probe must have an address in "to"')
        if self.routing_table.is_local(to):
            return self.presences.handle_probe(presence)  # PR-13
        self.presences.remote.asked(presence.sender, to)
        self.routing_table.route(presence)  # PR-12
        return None
