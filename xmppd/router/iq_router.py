"""IQRouter: requests and answers to the server, an account, a session, or an address elsewhere."""

from collections.abc import Awaitable

from mypy_extensions import mypyc_attr
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.disco.disco import Disco, Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import Undo
from xmppd.handler.iq_handler import Answer, Asked, IQHandler, Pulling, To
from xmppd.presence.presence_manager import PresenceManager
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import IQ, JID, Condition, Element, Later, StanzaError, StreamError
from xmppd.stanza.guests import is_guest
from xmppd.store.accounts import AccountStore
from xmppd.store.errors import StoreError

REQUESTS = ("get", "set")
ANSWERS = ("result", "error")
FORESEEN = (StanzaError, StreamError, StoreError)
"""The exceptions that a handler may raise, which the PacketRouter answers."""

_CUT_SHORT = "the connection was lost before the answer was complete: ask again"

_log = Logger()


class DuplicateHandler(ValueError):
    """An error: two handlers for the same query."""


@mypyc_attr(allow_interpreted_subclasses=True)
class IQRouter:
    """Finds the handler or the route of an iq.

    Args:
        disco: Lists the features of the handlers.

    Attributes:
        handlers: By ``{namespace}name`` of the query.
        stanzas: The number that it was given.
    """

    def __init__(
        self,
        routing_table: RoutingTable,
        requests: Requests,
        accounts: AccountStore,
        presences: PresenceManager,
        sessions: SessionManager,
        disco: Disco,
    ) -> None:
        self.routing_table = routing_table
        self.requests = requests
        self.accounts = accounts
        self.presences = presences
        self.sessions = sessions
        self.disco = disco
        self.handlers: dict[str, IQHandler] = {}
        self.stanzas = 0
        self._owners: dict[str, str] = {}

    def put(self, part: IQHandler, owner: str) -> Undo:
        """Add a handler for its query, and its features to disco.

        Raises:
            DuplicateHandler: Another handler answers it already.
        """
        query = part.query
        if query in self.handlers:
            raise DuplicateHandler(f"two handlers for {query}")
        self.handlers[query] = part
        self._owners[query] = owner
        undo = [
            self.disco.put(Says(DiscoInfo(features=part.features), of), owner)
            for of in (Of.SERVER, Of.ACCOUNT)
            if part.features and (of is Of.SERVER or To.ACCOUNTS_SEEN in part.to)
        ]

        def take_out() -> None:
            for forget in undo:
                forget()
            del self.handlers[query], self._owners[query]

        return take_out

    def route(self, iq: IQ) -> Later:
        """Answer the request, or deliver it.

        Raises:
            StanzaError: The request cannot be answered or delivered.
        """
        if iq.type in REQUESTS:
            return self._request(iq)
        if iq.type not in ANSWERS:
            raise StanzaError(Condition.BAD_REQUEST, "an iq must be get, set, result or error")
        if self.requests.answered(iq) or self.routing_table.route(iq):
            return None
        return self.routing_table.route_if_found(iq)

    def _request(self, iq: IQ) -> Later:
        to = iq.to
        if iq.id is None or len(iq.payload.tree) != 1:
            raise StanzaError(
                Condition.BAD_REQUEST, "a request must have an id and exactly one child"
            )
        if to is None or (
            to.domain in self.routing_table.domains and (to.resource is None or to.local is None)
        ):
            return self._answer(iq)
        if self.routing_table.route(iq):  # IQ-11, IQ-16
            return None
        finding = self.routing_table.find_way(iq)
        if finding is None:
            raise self.routing_table.unreached(iq)
        return self._deliver_behind(finding, iq)

    async def _deliver_behind(self, finding: Awaitable[None], iq: IQ) -> None:
        """Deliver a request once the way to its addressee is found (CL-11)."""
        await finding
        if not self.routing_table.route(iq):
            raise self.routing_table.unreached(iq)

    def _answer(self, iq: IQ) -> Later:
        """Answer on the server's or the account's behalf (IQ-9, IQ-10, IQ-19)."""
        handler = self.handlers.get(iq.payload.tree[0].tag)
        if handler is None:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
        asked = self._asked(iq, handler)
        if not asked.own and asked.address.local is not None:
            return self._answer_for_account(handler, iq, asked)
        if (To.OWN_ACCOUNT if asked.own else To.SERVER) not in handler.to:
            raise refused(handler)
        return self._ask(handler, iq, asked)

    def _asked(self, iq: IQ, handler: IQHandler) -> Asked:
        """The addressee of a request; without an address it is the own account, if the handler
        answers for that (:rfc:`6120#section-10.3.3`), and else the server.
        """
        asker, to = self.sessions.session(iq.sender), iq.to
        if to is not None:
            address = to if to.resource is None else to.to_bare()
            return Asked(address, to.bare == iq.sender.bare and to.local is not None, asker)
        account = None if asker is None else asker.account
        if account is None or To.OWN_ACCOUNT not in handler.to:
            return Asked(JID.prepared(iq.sender.domain), False, asker)
        return Asked(account, True, asker)

    def _ask(self, handler: IQHandler, iq: IQ, asked: Asked) -> Later:
        try:
            answer = handler.on_get(iq, asked) if iq.type == "get" else handler.on_set(iq, asked)
        except FORESEEN:
            raise
        except Exception as error:
            raise self._blamed(iq) from error
        if answer is None or isinstance(answer, (bytes, Element, IQ, Pulling)):
            return self._reply(iq, answer)
        return self._reply_later(iq, answer)

    async def _answer_for_account(self, handler: IQHandler, iq: IQ, asked: Asked) -> None:
        """Answer on behalf of another's account."""
        account = asked.address
        is_by_sessions = handler.goes_by_sessions or is_guest(account.bare)
        if is_by_sessions and await self._goes_to_another_node(iq):
            return
        try:
            later = await self._ask_for_account(handler, iq, asked)
            if later is not None:
                await later
        except StanzaError as error:
            if await self._is_stranger(iq.sender, account):
                raise StanzaError(Condition.SERVICE_UNAVAILABLE) from error  # IQ-18
            raise

    async def _ask_for_account(self, handler: IQHandler, iq: IQ, asked: Asked) -> Later:
        """Ask the handler, if the sender may know of the account."""
        account = asked.address
        try:
            await self._check_admits(account, iq.sender)
            if not await self._answers(handler, account, iq.sender):
                raise refused(handler)
        except StanzaError:
            unseen = handler.unseen(iq)
            if unseen is None:
                raise
            return self._reply(iq, unseen)
        return self._ask(handler, iq, asked)

    async def _goes_to_another_node(self, iq: IQ) -> bool:
        """Whether another node has sessions of the account, and is sent the request (CL-11)."""
        if self.routing_table.pass_on(iq):
            return True
        finding = self.routing_table.find_way(iq)
        if finding is None:
            return False
        await finding
        return self.routing_table.pass_on(iq)

    async def _answers(self, handler: IQHandler, account: JID, sender: JID) -> bool:
        """Whether the handler answers this sender for another's account."""
        if To.ACCOUNTS in handler.to or (To.GUESTS in handler.to and is_guest(account.bare)):
            return True
        return To.ACCOUNTS_SEEN in handler.to and await self.presences.can_see(sender, account)

    async def check_admits(self, iq: IQ) -> None:
        """Refuse a request to an account that does not exist, or that denies the sender (IQ-8).

        Raises:
            StanzaError: SERVICE_UNAVAILABLE, as in :rfc:`6121#section-8.5.1`.
        """
        to = iq.to
        if to is not None and to.local is not None and to.bare != iq.sender.bare:
            await self._check_admits(to, iq.sender)

    async def _check_admits(self, account: JID, sender: JID) -> None:
        if not await self._is_somebody(account.bare) or await self.presences.privacy_lists.denies(
            account, "iq", sender
        ):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    async def _is_somebody(self, account: str) -> bool:
        """Whether there is such an account, or a guest that is here."""
        if is_guest(account):
            return account in self.routing_table.users
        return await self.accounts.exists(account)

    async def _is_stranger(self, sender: JID, account: JID) -> bool:
        """Whether the sender may not know that there is this account."""
        if self.routing_table.is_local(sender):
            return False
        return not await self.presences.can_see(sender, account)

    async def _reply_later(self, iq: IQ, later: Awaitable[Answer]) -> None:
        try:
            answer = await later
        except FORESEEN:
            raise
        except Exception as error:
            raise self._blamed(iq) from error
        replying = self._reply(iq, answer)
        if replying is not None:
            await replying

    def _blamed(self, iq: IQ) -> StanzaError:
        """The error for the sender when a handler has failed; it is logged."""
        owner = self._owners.get(iq.query_tag or "", "a service, or what is gone,")
        _log.failure("{owner} failed on {stanza}", owner=owner, stanza=iq)
        return StanzaError(Condition.INTERNAL_SERVER_ERROR)

    def _reply(self, iq: IQ, answer: Answer) -> Later:
        if isinstance(answer, Pulling):
            session = self.sessions.session(iq.sender)
            if session is not None:
                return self.pull(iq, answer, session)
            for each in answer.stanzas:  # whoever has no connection here is sent all at once
                self.routing_table.route(each)
            answer = answer.answer
        stanza = answer if isinstance(answer, IQ) else iq.result(answer)
        if self.routing_table.route(stanza):
            return None
        return self.routing_table.answer_unrouted(stanza)

    def pull(self, iq: IQ, pulling: Pulling, session: LocalClientSession) -> Later:
        """Have the session that asks pull the stanzas before the answer.

        Returns:
            An awaitable until it may ask for more; None if it may now (SE-13).
        """
        Deferred.fromCoroutine(self._answer_pulled(iq, pulling, session))
        return session.room_to_pull()

    async def _answer_pulled(self, iq: IQ, pulling: Pulling, session: LocalClientSession) -> None:
        """Answer behind what was pulled; an error says that it is not all."""
        try:
            if not await session.pull(pulling.stanzas):
                raise StanzaError(Condition.RESOURCE_CONSTRAINT, _CUT_SHORT)
            answer = iq.result(pulling.answer)
        except StanzaError as error:
            answer = iq.error(error)
        except Exception:
            answer = iq.error(self._blamed(iq))
        session.deliver(answer, answer.wire())


def refused(handler: IQHandler) -> StanzaError:
    """The error for a request to an addressee for which its handler does not answer."""
    if handler.refusal is Condition.SERVICE_UNAVAILABLE:  # as if there were no such account
        return StanzaError(handler.refusal)
    return StanzaError(handler.refusal, "this belongs to someone else")
