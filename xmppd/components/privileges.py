"""What a component may do that the administrator trusts like the server itself (:xep:`0356`)."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred

from xmppd.components.delegation import FORWARD
from xmppd.handler.iq_roster_handler import IQRosterHandler
from xmppd.handler.presence_update_handler import SessionAvailable, SessionUnavailable
from xmppd.roster.roster import item_bytes
from xmppd.roster.roster_manager import RosterChanged
from xmppd.router.iq_router import IQRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session import Session
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Message,
    Presence,
    Stanza,
    StanzaError,
    Tree,
    escape,
    ns,
    qname,
)
from xmppd.store.base import AccountStore

NS = "urn:xmpp:privilege:2"
_PRIVILEGE = qname(NS, "privilege")
_FORWARDED_MESSAGE = "/".join(
    (_PRIVILEGE, qname(FORWARD, "forwarded"), qname(ns.CLIENT, "message"))
)
_ROSTER = IQRosterHandler.query

S = TypeVar("S", bound=Stanza)


@dataclass(frozen=True)
class Privilege:
    """What one component may do.

    Attributes:
        component: Its domain.
        roster: ``none``, ``get``, ``set`` or ``both``; whoever may get is told of changes.
        message: ``none`` or ``outgoing``.
        presence: ``none`` or ``managed_entity``.
    """

    component: JID
    roster: str
    message: str
    presence: str

    @property
    def reads_rosters(self) -> bool:
        """Whether it may see rosters, and so is told of changes."""
        return self.roster in ("get", "both")

    def announcement(self) -> str:
        """What the component is told that it may do."""
        granted = (("roster", self.roster), ("message", self.message), ("presence", self.presence))
        return "".join(
            f"<perm access='{access}' type='{type}'/>" for access, type in granted if type != "none"
        )


class Privileges(PacketInterceptor):
    """Lets components do what the configuration grants them, and nothing else (CO-14).

    Args:
        granted: By domain of the component.
    """

    incoming_kinds = (IQ, Message)

    def __init__(
        self,
        granted: Mapping[str, Privilege],
        routing_table: RoutingTable,
        iq_router: IQRouter,
        accounts: AccountStore,
    ) -> None:
        self.granted = granted
        self.routing_table = routing_table
        self.iq_router = iq_router
        self.accounts = accounts

    def incoming(self, stanza: S, session: JID) -> S | None:
        privilege = self.granted.get(stanza.sender.full)
        to = stanza.to
        if privilege is None or to is None or not self.routing_table.is_local(to):
            return stanza
        if isinstance(stanza, Message) and to.full == to.domain:
            return self._message(stanza, privilege)
        if isinstance(stanza, IQ) and stanza.query_tag == _ROSTER and stanza.answerable:
            return self._roster(stanza, privilege, to)
        return stanza

    # -- messages in somebody's name --------------------------------------------------------------

    def _message(self, stanza: S, privilege: Privilege) -> S:
        """The message inside, which goes on as its sender's.

        Raises:
            StanzaError: FORBIDDEN: that is not granted, or in nobody's name whom we serve.
        """
        if stanza.payload.tree.find(_PRIVILEGE) is None:
            return stanza
        inner = stanza.payload.tree.find(_FORWARDED_MESSAGE)
        if privilege.message != "outgoing" or inner is None:
            raise StanzaError(Condition.FORBIDDEN)
        try:
            sender = JID.parse(inner.get("from", ""))
            message = stanza.from_tree(_as_content(inner), sender)
        except ValueError as error:
            raise StanzaError(Condition.FORBIDDEN, str(error)) from error
        if not sender.is_bare or not self.routing_table.is_local(sender) or message.to is None:
            raise StanzaError(Condition.FORBIDDEN, "only in the name of an account of this server")
        return message

    # -- rosters ----------------------------------------------------------------------------------

    def _roster(self, iq: IQ, privilege: Privilege, to: JID) -> None:
        if privilege.roster not in (iq.type, "both") or to.local is None or to.resource is not None:
            raise StanzaError(Condition.FORBIDDEN)
        Deferred.fromCoroutine(self._answer(iq, to))  # it answers all itself

    async def _answer(self, iq: IQ, account: JID) -> None:
        """As the account itself would be answered."""
        try:
            if not await self.accounts.exists(account.bare):
                raise StanzaError(Condition.ITEM_NOT_FOUND)
            answer = iq.result(await self._ask_roster(iq.with_sender(account)))
        except StanzaError as error:
            answer = iq.error(error)
        self.routing_table.route(answer)

    async def _ask_roster(self, iq: IQ) -> bytes | None:
        handler = self.iq_router.handlers[_ROSTER]
        assert isinstance(handler, IQRosterHandler)
        if iq.type == "get":
            return await handler.on_get(iq)
        await handler.on_set(iq)
        return None

    def roster_changed(self, event: RosterChanged) -> None:
        """Push the change to whoever may read rosters."""
        item = b"<item jid='%b' subscription='remove'/>" % escape(event.jid).encode()
        if event.item is not None:
            item = item_bytes(event.item)
        query = b"<query xmlns='%b'>%b</query>" % (ns.ROSTER.encode(), item)
        for privilege in self.granted.values():
            if privilege.reads_rosters:
                self.routing_table.route(
                    IQ.make(privilege.component, event.account, query, id="push", type="set")
                )

    # -- presence ---------------------------------------------------------------------------------

    def arrived(self, event: SessionAvailable) -> None:
        """Tell that somebody is here."""
        for privilege in self.granted.values():
            self._tell(event.session, privilege)

    def gone(self, event: SessionUnavailable) -> None:
        """Tell that somebody is here no more."""
        for privilege in self.granted.values():
            if privilege.presence == "managed_entity":
                self.routing_table.route(
                    Presence.make(privilege.component, event.session.jid, type="unavailable")
                )

    def greet(self, privilege: Privilege) -> None:
        """Tell a component that has connected who is here."""
        for bare in tuple(self.routing_table.users):
            for session in self.routing_table.available(bare):
                self._tell(session, privilege)

    def _tell(self, session: Session, privilege: Privilege) -> None:
        if privilege.presence == "managed_entity" and session.presence is not None:
            self.routing_table.route(session.presence.addressed(privilege.component))


def _as_content(forwarded: Tree) -> Tree:
    """A forwarded stanza with the namespace of clients taken off, as the parser would."""
    tree, client = deepcopy(forwarded), f"{{{ns.CLIENT}}}"
    for element in tree.iter():
        element.tag = element.tag.removeprefix(client)
    return tree
