"""Privileges of components that the administrator trusts like the server itself (:xep:`0356`)."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.components.component_elsewhere import ComponentSeat
from xmppd.components.delegation import FORWARD
from xmppd.handler.iq_handler import Asked
from xmppd.handler.iq_roster_handler import IQRosterHandler
from xmppd.handler.presence_update_handler import SessionAvailable, SessionUnavailable
from xmppd.presence.privacy_changes import PrivacySwitched, shows
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster import item_bytes
from xmppd.roster.roster_manager import ContactChanged, RosterChanged
from xmppd.router.iq_router import IQRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session import Session
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    ErrorType,
    Message,
    Presence,
    Stanza,
    StanzaError,
    Tree,
    escape,
    ns,
    qname,
)
from xmppd.stanza.copies import COPIES
from xmppd.stanza.names import local_name, namespace_of, put_names_right
from xmppd.store.accounts import AccountStore

NS = "urn:xmpp:privilege:2"
TOLD_PER_TURN = 100
"""Accounts of which a new component is told in one turn."""

_PRIVILEGE = qname(NS, "privilege")
_FORWARDED_MESSAGE = "/".join(
    (_PRIVILEGE, qname(FORWARD, "forwarded"), qname(ns.CLIENT, "message"))
)
_ROSTER = IQRosterHandler.query
_WHOSE = "this is possible only for accounts of this server"
_STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
_SERVERS_OWN = ("urn:xmpp:mam:", "urn:xmpp:privilege:", "urn:xmpp:delegation:", "urn:xmpp:sm:")
"""Namespaces, whatever their version, that only a server sends to its clients and components."""

_log = Logger()
S = TypeVar("S", bound=Stanza)


@dataclass(frozen=True)
class Privilege:
    """The privileges of one component.

    Attributes:
        component: Its domain.
        roster: ``none``, ``get``, ``set`` or ``both``; with ``get`` it is told of changes.
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
        """The element that tells the component of its privileges."""
        granted = (("roster", self.roster), ("message", self.message), ("presence", self.presence))
        return "".join(
            f"<perm access='{access}' type='{type}'/>" for access, type in granted if type != "none"
        )


class Voice:
    """Sends messages in the name of accounts here, for one component (CO-14).

    Args:
        privilege: The component's.
        routing_table: Knows our domains.
        accounts: Knows which accounts there are.
        privacy_lists: Those of the accounts.
    """

    def __init__(
        self,
        privilege: Privilege,
        routing_table: RoutingTable,
        accounts: AccountStore,
        privacy_lists: PrivacyListManager,
    ) -> None:
        self.privilege = privilege
        self.routing_table = routing_table
        self.accounts = accounts
        self.privacy_lists = privacy_lists

    def is_wanted(self, stanza: Stanza) -> bool:
        """Whether the component wants to send a message in an account's name with this."""
        to = stanza.to
        return (
            isinstance(stanza, Message)
            and to is not None
            and to.full == to.domain
            and self.routing_table.is_local(to)
            and stanza.payload.tree.find(_PRIVILEGE) is not None
        )

    async def message(self, envelope: Stanza) -> Stanza:
        """The message inside, in its sender's name.

        Raises:
            StanzaError: FORBIDDEN: it is not granted, or not in the name of an account of ours, or
                holds elements that only a server writes. NOT_ACCEPTABLE: its sender has blocked its
                addressee.
        """
        message, sender, to = self._inside(envelope)
        credentials = await self.accounts.credentials(sender.bare)
        if credentials is None or credentials.disabled:
            raise StanzaError(Condition.FORBIDDEN, _WHOSE)
        if await self.privacy_lists.denies(sender, "message", self.privilege.component):
            raise StanzaError(Condition.FORBIDDEN, _WHOSE)
        if await self.privacy_lists.denies(sender, "other", to):
            raise StanzaError(Condition.NOT_ACCEPTABLE, type=ErrorType.CANCEL)
        return message

    def _inside(self, envelope: Stanza) -> tuple[Stanza, JID, JID]:
        """The message inside with its sender and addressee, checked as far as possible without
        waiting.
        """
        if self.privilege.message != "outgoing":
            raise StanzaError(Condition.FORBIDDEN)
        inner = envelope.payload.tree.findall(_FORWARDED_MESSAGE)
        if len(inner) != 1:
            raise StanzaError(Condition.FORBIDDEN, "wrap one message at a time")
        try:
            sender = JID.parse(inner[0].get("from", ""))
            message = envelope.from_tree(_as_content(inner[0]), sender)
        except ValueError as error:
            raise StanzaError(Condition.FORBIDDEN, str(error)) from error
        if sender.local is None or not sender.is_bare or not self.routing_table.is_local(sender):
            raise StanzaError(Condition.FORBIDDEN, _WHOSE)
        if message.to is None:
            raise StanzaError(Condition.FORBIDDEN, 'the stanza has no address in "to"')
        for child in inner[0]:
            if is_servers_own(child, self.routing_table.domains):
                raise StanzaError(
                    Condition.FORBIDDEN, f"only servers may write <{local_name(child.tag)}/>"
                )
        return message, sender, message.to


def is_servers_own(child: Tree, domains: Collection[str]) -> bool:
    """Whether only a server puts this into a message of an account: clients believe it.

    Args:
        child: Of a message.
        domains: Ours.
    """
    namespace = namespace_of(child.tag)
    if child.tag == _STANZA_ID:
        try:
            return JID.parse(child.get("by", "")).domain in domains
        except ValueError:
            return True
    return child.tag in COPIES or namespace.startswith(_SERVERS_OWN)


class Privileges(PacketInterceptor):
    """Lets components do what the configuration grants them, and nothing else (CO-14).

    Each of them is a viewer like any other: it does not see what an account hides from it, nor an
    invisible session, whatever it is granted.

    Args:
        granted: By domain of the component.
        next_turn: Waits for the next turn of the reactor.
    """

    incoming_kinds = (IQ,)

    def __init__(
        self,
        granted: Mapping[str, Privilege],
        routing_table: RoutingTable,
        iq_router: IQRouter,
        accounts: AccountStore,
        privacy_lists: PrivacyListManager,
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.granted = granted
        self.routing_table = routing_table
        self.iq_router = iq_router
        self.accounts = accounts
        self.privacy_lists = privacy_lists
        self.next_turn = next_turn
        self._pushing = DeferredLock()
        self._seen: dict[Privilege, set[Session]] = {
            privilege: set()
            for privilege in granted.values()
            if privilege.presence == "managed_entity"
        }

    def incoming(self, stanza: S, session: JID) -> S | None:
        privilege = self.granted.get(stanza.sender.full)
        to = stanza.to
        if privilege is None or to is None or not self.routing_table.is_local(to):
            return stanza
        if isinstance(stanza, IQ) and stanza.query_tag == _ROSTER and stanza.answerable:
            return self._roster(stanza, privilege, to)
        return stanza

    # -- rosters ----------------------------------------------------------------------------------

    def _roster(self, iq: IQ, privilege: Privilege, to: JID) -> None:
        if privilege.roster not in (iq.type, "both") or to.local is None or to.resource is not None:
            raise StanzaError(Condition.FORBIDDEN)
        Deferred.fromCoroutine(self._answer(iq, to))  # it answers all itself

    async def _answer(self, iq: IQ, account: JID) -> None:
        """Answer as the account itself would be answered, if it does not deny the component."""
        try:
            if not await self.accounts.exists(account.bare):
                raise StanzaError(Condition.ITEM_NOT_FOUND)
            if await self.privacy_lists.denies(account, "iq", iq.sender):
                raise StanzaError(Condition.SERVICE_UNAVAILABLE)
            answer = iq.result(await self._ask_roster(iq, Asked(account, own=True, asker=None)))
        except StanzaError as error:
            answer = iq.error(error)
        self.routing_table.route(answer)

    async def _ask_roster(self, iq: IQ, asked: Asked) -> bytes | None:
        handler = self.iq_router.handlers[_ROSTER]
        assert isinstance(handler, IQRosterHandler)
        if iq.type == "get":
            return await handler.on_get(iq, asked)
        await handler.on_set(iq, asked)
        return None

    def roster_changed(self, event: RosterChanged) -> None:
        """Push the change to the components that may read rosters, in order."""
        for privilege in self.granted.values():
            if privilege.reads_rosters:
                pushing = self._push(event, privilege.component)
                self._pushing.run(Deferred.fromCoroutine, pushing).addErrback(_push_failed)

    async def _push(self, event: RosterChanged, component: JID) -> None:
        if await self.privacy_lists.denies(event.account, "other", component):
            return
        item = b"<item jid='%b' subscription='remove'/>" % escape(event.jid).encode()
        if event.item is not None:
            item = item_bytes(event.item)
        query = b"<query xmlns='%b'>%b</query>" % (ns.ROSTER.encode(), item)
        push = IQ.make(component, event.account, query, id="push", type="set")
        self.routing_table.route(push)

    # -- presence ---------------------------------------------------------------------------------

    def changed(self, event: SessionAvailable | SessionUnavailable | PrivacySwitched) -> None:
        """Tell components that a session has come, gone, hidden or shown itself."""
        self._look(event.session)

    def contact_changed(self, event: ContactChanged) -> None:
        """Follow a contact to other groups, which the owner's lists may name."""
        if event.jid in self.granted:
            for session in self.routing_table.sessions_here(event.roster.account.bare):
                self._look(session)

    async def greet(self, privilege: Privilege, newcomer: ComponentSeat) -> None:
        """Send a component that has connected the presence of all sessions: some in each turn, no
        faster than it reads.
        """
        if privilege not in self._seen:
            return
        self._seen[privilege].clear()
        for number, bare in enumerate(tuple(self.routing_table.users), 1):
            for session in self.routing_table.available_here(bare):
                self._show(session, privilege)
            if number % TOLD_PER_TURN == 0:
                await self.next_turn()
                free = newcomer.free()
                if free is not None:
                    await free
                if newcomer.closed:
                    return

    def left(self, privilege: Privilege) -> None:
        """Forget a component that has gone."""
        if privilege in self._seen:
            self._seen[privilege].clear()

    def _look(self, session: Session) -> None:
        for privilege in self._seen:
            self._show(session, privilege)

    def _show(self, session: Session, privilege: Privilege) -> None:
        """Send a component the presence of a session as it may see it, if that has changed."""
        seen, component = self._seen[privilege], privilege.component
        if session.presence is not None and shows(session.privacy, component):
            if session not in seen and self.routing_table.route(
                session.presence.addressed(component)
            ):
                seen.add(session)
        elif session in seen:
            seen.remove(session)
            gone = Presence.make(component, session.jid, type="unavailable")
            self.routing_table.route(gone)


def _push_failed(failure: Failure) -> None:
    _log.failure("a component did not get a roster change", failure)


def _as_content(forwarded: Tree) -> Tree:
    """A forwarded stanza of a client as one that stands by itself."""
    tree = deepcopy(forwarded)
    put_names_right(tree, ns.CLIENT, bare_is_content=False)
    return tree
