"""Guests write to accounts and services of this server only, unless the administrator allows
more.
"""

from typing import ClassVar

from typing_extensions import override

from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import KINDS, PacketInterceptor, S
from xmppd.stanza import JID, Condition, Stanza, StanzaError
from xmppd.stanza.guests import is_guest


class GuestsStay(PacketInterceptor):
    """Refuses stanzas from guests to other servers (BI-7, :xep:`0175`, §3)."""

    incoming_kinds: ClassVar[tuple[type[Stanza], ...]] = KINDS

    def __init__(self, routing_table: RoutingTable) -> None:
        self.routing_table = routing_table

    @override
    def incoming(self, stanza: S, session: JID) -> S:
        to = stanza.to
        if to is not None and is_guest(session.full) and not self._is_here(to.domain):
            raise StanzaError(Condition.NOT_ALLOWED, "guests may not write to other servers")
        return stanza

    def _is_here(self, domain: str) -> bool:
        return domain in self.routing_table.domains or domain in self.routing_table.components


__all__ = ["GuestsStay"]
