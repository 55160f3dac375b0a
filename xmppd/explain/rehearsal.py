"""Rehearsal: the routers' own code over copies of the sessions, which note what they would get."""

from collections.abc import Iterable, Sequence

from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.router.carbons import Carbons
from xmppd.router.message_router import MessageRouter
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.s2s.foreign_routes import ForeignRoutes
from xmppd.server import XMPPServer
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import JID, Condition, Message, Stanza, StanzaError
from xmppd.stanza.carbon import is_carbon
from xmppd.store.base import (
    Damaged,
    OfflineMessage,
    OfflineStore,
    Quarantined,
    QuotaExceeded,
    Shares,
    StanzaPlace,
    check_room,
)


class Rehearsal:
    """One message on its way through the MessageRouter, with nobody there to hear it.

    Attributes:
        delivered: The sessions that would get it.
        copied: Those of the recipient's that would get a copy.
        left: The domains whose route would get it: components, or the way to other servers.
        stored: The accounts for which it would be kept.
        full: The account that has no room for it; None if none was asked in vain.
        error: With what it would be answered; None if with nothing.
    """

    def __init__(self, server: XMPPServer, accounts: Iterable[JID]) -> None:
        self.server = server
        self.delivered: list[JID] = []
        self.copied: list[JID] = []
        self.left: list[str] = []
        self.stored: list[str] = []
        self.full: str | None = None
        self.error: StanzaError | None = None
        self.router = self._router(self._table(accounts))

    async def route(self, message: Message) -> None:
        """Route it."""
        try:
            later = self.router.route(message)
            if later is not None:
                await later
        except StanzaError as error:
            self.error = error

    def _table(self, accounts: Iterable[JID]) -> RoutingTable:
        table, real = RoutingTable(self.server.domains), self.server.routing_table
        for bare in {account.bare for account in accounts}:
            for session in real.sessions(bare):
                extra = Extra(session, self)
                table.add(extra)
                table.refresh(extra)
        for domain in real.components:
            table.components[domain] = Exit(self, open=domain not in real.away)
        table.away = real.away
        if real.foreign is not None:
            table.foreign = WayOut(self, self.server.foreign_routes)
            table.foreign_error = table.foreign.unreached
        return table

    def _router(self, table: RoutingTable) -> MessageRouter:
        """A router like the server's own, and of the same class, if a plugin has replaced it."""
        server, real = self.server, self.server.offline_message_strategy
        shelf = Shelf(server.store, self)
        requests = Requests(table, server.clock)
        flood = OfflineMessageFlood(shelf, requests, server.turns.next, server.config.stream)
        strategy = real.__class__(
            table,
            server.store,
            shelf,
            flood,
            server.privacy_lists,
            server.wall_clock,
            real.settings,
        )
        return server.message_router.__class__(table, strategy, Carbons(table), server.admins)


class Extra:
    """Stands in for a session."""

    def __init__(self, session: Session, rehearsal: Rehearsal) -> None:
        self.jid = session.jid
        self.presence = session.presence
        self.presence_around_to = session.presence_around_to
        self.priority = session.priority
        self.interested = session.interested
        self.privacy = session.privacy
        self.carbons = session.carbons
        self._closed = isinstance(session, LocalClientSession) and session.closed
        self._rehearsal = rehearsal

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Note it, if the session would take it."""
        if self.privacy is not None and not self.privacy.lets_in(stanza):
            return False
        return self.deliver_ours(stanza, wire)

    def deliver_ours(self, stanza: Stanza, wire: bytes) -> bool:
        """Note it, if there is a connection."""
        if self._closed:
            return False
        copy = isinstance(stanza, Message) and is_carbon(stanza, self.jid.bare)
        got = self._rehearsal.copied if copy else self._rehearsal.delivered
        got.append(self.jid)
        return True


class Exit:
    """Stands in for the route to a component.

    Args:
        rehearsal: Notes what leaves.
        open: Whether anything does.
    """

    def __init__(self, rehearsal: Rehearsal, *, open: bool) -> None:
        self._rehearsal = rehearsal
        self._open = open

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Note it, if somebody is there."""
        if self._open and stanza.to is not None:
            self._rehearsal.left.append(stanza.to.domain)
        return self._open


class WayOut:
    """Stands in for the route to other servers."""

    def __init__(self, rehearsal: Rehearsal, routes: ForeignRoutes) -> None:
        self._rehearsal = rehearsal
        self._routes = routes

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Note it, if it would leave or wait."""
        if stanza.to is None or self._obstacle(stanza) is not None:
            return False
        self._rehearsal.left.append(stanza.to.domain)
        return True

    def unreached(self, stanza: Stanza) -> StanzaError:
        """Why it would come back."""
        return self._obstacle(stanza) or StanzaError(Condition.REMOTE_SERVER_NOT_FOUND)

    def _obstacle(self, stanza: Stanza) -> StanzaError | None:
        domain = "" if stanza.to is None else stanza.to.domain
        return self._routes.obstacle(stanza.sender.domain, domain)


class Shelf:
    """Stands in for the store of messages that wait: knows what is there, and keeps nothing."""

    writes_in_order = True

    def __init__(self, store: OfflineStore, rehearsal: Rehearsal) -> None:
        self._store = store
        self._rehearsal = rehearsal

    async def store_offline(
        self,
        account: str,
        stanza: bytes,
        *,
        sender: str,
        sender_domain: str | None = None,
        stored: float,
        max_messages: int,
        max_bytes: int,
        place: StanzaPlace | None = None,
    ) -> int:
        """Note it, if there is room."""
        use = await self._store.offline_use(account, sender, sender_domain)
        try:
            check_room(use, len(stanza), max_messages=max_messages, max_bytes=max_bytes)
        except QuotaExceeded:
            self._rehearsal.full = account
            raise
        self._rehearsal.stored.append(account)
        return 0

    async def offline_use(self, account: str, sender: str, sender_domain: str | None) -> Shares:
        """As it is."""
        return await self._store.offline_use(account, sender, sender_domain)

    async def offline_messages(
        self, account: str, *, after: int = 0, limit: int | None = None
    ) -> list[OfflineMessage]:
        """Nothing is handed out."""
        return []

    async def delete_offline(self, account: str, ids: Iterable[int]) -> None:
        """Nothing is forgotten."""

    async def set_aside(self, account: str, damaged: Sequence[Damaged]) -> list[Quarantined]:
        """Nothing is read, so nothing is unreadable."""
        return []


__all__ = ["Rehearsal"]
