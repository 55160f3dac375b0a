"""XEP-0012: Last Activity. How long ago was an account last here, and how long is the server up?"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import IQ, JID, Condition, Element, Stanza, StanzaError, element, qname

NS = "jabber:iq:last"
QUERY = qname(NS, "query")
S = TypeVar("S", bound=Stanza)


@dataclass(frozen=True)
class IQLastActivityHandler(IQHandler):
    """Answer with whole seconds: of uptime for the server (§5), of absence for an account (§3)."""

    presences: PresenceManager
    clocks: Clocks

    query = QUERY
    to = To.SERVER | To.OWN_ACCOUNT | To.ACCOUNTS_SEEN
    refusal = Condition.FORBIDDEN
    features = (NS,)
    goes_by_sessions = True

    def on_get(self, iq: IQ, asked: Asked) -> Element | Awaitable[Element]:
        if asked.server:
            return _seconds(self.clocks.seconds() - self.clocks.started)
        return self._account(iq.sender, asked.address)

    async def _account(self, viewer: JID, account: JID) -> Element:
        if self.presences.shown(account.bare, viewer):
            return element(NS, "query", seconds="0")
        last = await self.presences.last_presence(account)
        if last is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "this account has never been online")
        return _seconds(self.presences.absent_s(account, last), last.status)


@dataclass(frozen=True, eq=False)
class LastActivityInterceptor(PacketInterceptor):
    """Keeps the question from resources whose presence the sender may not see (§4).

    It is forbidden whether the resource is there or not, so that the answer tells nothing. The
    roster of an account that is online is in memory; without a roster there is no resource to ask
    here, but maybe on another node: then the viewer's own roster says whom it sees.
    """

    presences: PresenceManager
    rosters: RosterManager
    routing_table: RoutingTable

    incoming_kinds = (IQ,)

    def incoming(self, stanza: S, session: JID) -> S:
        to = stanza.to
        if (
            to is not None
            and to.resource is not None
            and to.local is not None
            and isinstance(stanza, IQ)
            and stanza.query_tag == QUERY
            and stanza.answerable
            and self.routing_table.is_local(to)
            and not self._may_ask(stanza.sender, to)
        ):
            raise StanzaError(Condition.FORBIDDEN)
        return stanza

    def _may_ask(self, viewer: JID, to: JID) -> bool:
        if viewer.bare == to.bare or self.presences.directed.knows(to, viewer):
            return True
        roster = self.rosters.loaded(to.bare)
        if roster is not None or not self.routing_table.directory.shared:
            return roster is not None and roster.may_be_seen_by(viewer)
        own = self.rosters.loaded(viewer.bare)
        return own is not None and own.sees(to.to_bare())


def _seconds(passed_s: float, status: str | None = None) -> Element:
    return element(NS, "query", status, seconds=str(int(passed_s)))


def plug(
    presences: PresenceManager, rosters: RosterManager, routing_table: RoutingTable, clocks: Clocks
) -> list[Part]:
    """The parts of this feature."""
    return [
        IQLastActivityHandler(presences, clocks),
        LastActivityInterceptor(presences, rosters, routing_table),
    ]
