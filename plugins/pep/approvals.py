"""Approvals: owners of accounts' nodes say who may subscribe, by a message to the account."""

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.presence.presence_manager import PresenceManager
from xmppd.router.packet_router import PacketRouter
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Condition, Message, Stanza, StanzaError
from xmppd.store.errors import StoreError
from xmppd_plugins.pubsub.messages import Approval
from xmppd_plugins.pubsub.names import SUBSCRIBE_AUTHORIZATION
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.subscription_forms import answer_in

S = TypeVar("S", bound=Stanza)
_MARK = SUBSCRIBE_AUTHORIZATION.encode()
_log = Logger()


class AccountApprovals(PacketInterceptor):
    """Takes the answers of owners out of messages to accounts, before clients see them (NO-14).

    Args:
        requests: Have them done.
        presences: Know who may know that there is such an account.
        router: Takes errors to who has sent the answer.
    """

    incoming_kinds = (Message,)

    def __init__(
        self, requests: PubSubRequests, presences: PresenceManager, router: PacketRouter
    ) -> None:
        self.requests = requests
        self.presences = presences
        self.router = router

    def incoming(self, stanza: S, session: JID) -> S | None:
        """Take an answer, whose message goes nowhere else."""
        to = stanza.to
        if to is None or _MARK not in stanza.payload.raw or not stanza.answerable:
            return stanza
        if to.local is None or not to.is_bare or not self.presences.routing_table.is_local(to):
            return stanza
        answer = answer_in(stanza.xml, to, stanza.sender)
        if answer is None:
            return stanza
        Deferred.fromCoroutine(self._approve(stanza, answer)).addErrback(_failed)
        return None

    async def _approve(self, stanza: Stanza, approval: Approval) -> None:
        try:
            await self.requests.approve(approval)
        except StanzaError as refusal:
            is_known = await self.presences.can_see(stanza.sender, JID.prepared(approval.host))
            error = refusal if is_known else StanzaError(Condition.SERVICE_UNAVAILABLE)
            later = self.router.route(stanza.error(error))
            if later is not None:
                await later


def _failed(failure: Failure) -> None:
    """Log a bug; the store has logged what it failed at, and the owner may answer again."""
    if not failure.check(StoreError):
        _log.failure("an answer to a subscription request could not be handled", failure)


__all__ = ["AccountApprovals"]
