"""ComponentTrust: the namespaces and privileges that are granted to each component."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred

from xmppd.components.component_elsewhere import ComponentSeat
from xmppd.components.delegation import NS as DELEGATION
from xmppd.components.delegation import Delegated, Delegations
from xmppd.components.privileges import NS as PRIVILEGE
from xmppd.components.privileges import Privilege, Privileges, Voice
from xmppd.config.config import ComponentSettings
from xmppd.events import On
from xmppd.handler.presence_update_handler import SessionAvailable, SessionUnavailable
from xmppd.presence.privacy_changes import PrivacySwitched
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster_manager import ContactChanged, RosterChanged
from xmppd.router.iq_router import IQRouter
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID
from xmppd.store.accounts import AccountStore


class ComponentTrust:
    """Namespaces to answer for (:xep:`0355`) and privileges (:xep:`0356`), by component.

    Attributes:
        components: As configured.
        domain: The server's own, for stanzas in its own name.
        delegated: The namespaces that components answer in the server's place.
        granted: The privileges of components, by domain.
        privileges: Serves the grants; None if there are none.
    """

    def __init__(
        self,
        components: tuple[ComponentSettings, ...],
        routing_table: RoutingTable,
        iq_router: IQRouter,
        accounts: AccountStore,
        privacy_lists: PrivacyListManager,
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.components = components
        self.domain = JID.parse(routing_table.domain)
        self.routing_table = routing_table
        self.iq_router = iq_router
        self.accounts = accounts
        self.privacy_lists = privacy_lists
        self.delegated: dict[str, Delegated] = {}
        self.granted: dict[str, Privilege] = {}
        for component in components:
            for text in component.delegate:
                delegated = Delegated.parse(JID.parse(component.name), text)
                self.delegated[delegated.namespace] = delegated
            privilege = _privilege(component)
            if privilege.announcement():
                self.granted[component.name] = privilege
        self.privileges: Privileges | None = None
        if self.granted:
            self.privileges = Privileges(
                self.granted, routing_table, iq_router, accounts, privacy_lists, next_turn
            )

    def interceptors(self, requests: Requests) -> Iterator[PacketInterceptor]:
        """The interceptors that serve the grants, if there are any."""
        if self.delegated:
            yield Delegations(
                self.delegated, self.domain, self.routing_table, requests, self.iq_router
            )
        if self.privileges is not None:
            yield self.privileges

    def listeners(self) -> Iterator[On[Any]]:
        """The events that privileged components are told of, if there are any."""
        if self.privileges is not None:
            yield On(RosterChanged, self.privileges.roster_changed)
            yield On(ContactChanged, self.privileges.contact_changed)
            for event in (SessionAvailable, SessionUnavailable, PrivacySwitched):
                yield On(event, self.privileges.changed)

    def voice(self, component: ComponentSettings) -> Voice:
        """The voice of a component: sends messages in the name of accounts as far as it may."""
        return Voice(_privilege(component), self.routing_table, self.accounts, self.privacy_lists)

    def announced(self, component: JID) -> Iterator[bytes]:
        """The elements that tell a component of its grants."""
        delegated = "".join(
            each.announcement() for each in self.delegated.values() if each.component == component
        )
        if delegated:
            yield f"<delegation xmlns='{DELEGATION}'>{delegated}</delegation>".encode()
        privilege = self.granted.get(component.domain)
        if privilege is not None:
            granted = privilege.announcement()
            yield f"<privilege xmlns='{PRIVILEGE}'>{granted}</privilege>".encode()

    def tell_who_is_here(self, domain: str, seat: ComponentSeat) -> None:
        """Send a component that has one more connection, here or at another node, the presence of
        all sessions here, if that is granted.
        """
        privilege = self.granted.get(domain)
        if privilege is not None and self.privileges is not None:
            Deferred.fromCoroutine(self.privileges.greet(privilege, seat))

    def forget(self, domain: str) -> None:
        """Forget a component whose last connection is gone."""
        privilege = self.granted.get(domain)
        if privilege is not None and self.privileges is not None:
            self.privileges.left(privilege)


def _privilege(component: ComponentSettings) -> Privilege:
    jid = JID.parse(component.name)
    return Privilege(jid, component.roster, component.message, component.presence)
