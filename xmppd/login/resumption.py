"""Resumption: the elements of stream management on a stream (:xep:`0198`)."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.events import Events
from xmppd.message.held_messages import HeldMessages
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import ResumableSessions, SessionResumed
from xmppd.session.stream_management import WRAP, StreamManagement
from xmppd.stanza import JID, Condition, StreamCondition, StreamError, Tree, escape, ns, qname
from xmppd.store.errors import StoreError
from xmppd.stream.inline_feature import InlineFeature, InlinePlace, bind_feature
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

_NS = ns.STREAM_MANAGEMENT
_FEATURE = f"<sm xmlns='{_NS}'/>".encode()
_COUNT = re.compile(r"[0-9]{1,10}\Z").match
_TRUE = ("true", "1")
_log = Logger()

OUTCOMES = ("resumed", "gone", "refused")

MAX_ASKED = 1_000
"""``<r/>`` that wait for an answer on one stream; for one more, another one gets none."""

RETRY_S = 1.0
"""The time after which the store is tried again with messages that are to be safe."""


class SessionsElsewhere(Protocol):
    """The sessions at other nodes of the service."""

    async def take_over(self, id: str, account: JID, h: int) -> int | None:
        """Have a session be here that another node has, or has left in the store.

        Args:
            id: By which its client resumes it.
            account: Whose it must be (RS-6).
            h: The count of stanzas that its client has got.

        Returns:
            The number of its client's stanzas that were handled, if it has ended lately at another
            node.

        Raises:
            StoreError: The store cannot say where it is.
        """


class NothingElsewhere:
    """There is no other node, and no session there."""

    async def take_over(self, id: str, account: JID, h: int) -> int | None:
        """Do nothing."""
        return None


class Resumption:
    """Takes ``<enable/>``, ``<r/>``, ``<a/>`` and ``<resume/>``; all streams share one.

    :meth:`enable` and :meth:`resume` return their answers, so that they can stand inside of another
    element as well, where :xep:`0386` and :xep:`0388` have them.

    Attributes:
        others: Those at other nodes.
        outcomes: How often each of :data:`OUTCOMES` has come of ``<resume/>``.
    """

    def __init__(
        self,
        resumable_sessions: ResumableSessions,
        held_messages: HeldMessages,
        flood: OfflineMessageFlood,
        events: Events,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.resumable_sessions = resumable_sessions
        self.held_messages = held_messages
        self.flood = flood
        self.events = events
        self.sleep = sleep
        self.others: SessionsElsewhere = NothingElsewhere()
        self.outcomes: Counter[str] = Counter()

    def feature(self) -> StreamFeature:
        """Its row in the table. Elements that come too early are answered, hence no ``needs``."""
        return StreamFeature(
            advertise=_offer,
            elements=(
                (qname(_NS, "enable"), self._enable),
                (qname(_NS, "resume"), self._resume),
                (qname(_NS, "r"), self._requested),
                (qname(_NS, "a"), self._acknowledged),
            ),
        )

    def inline_features(self) -> tuple[InlineFeature, ...]:
        """Its inline features: to resume instead of binding, or to enable with it."""
        return (
            InlineFeature(
                InlinePlace.AUTHENTICATE,
                advertise=_FEATURE,
                elements=((qname(_NS, "resume"), self.resume),),
                written=self.flush,
            ),
            bind_feature(_NS, (qname(_NS, "enable"), self.enable)),
        )

    # -- enabling ---------------------------------------------------------------------------------

    def enable(self, negotiation: Negotiation, tree: Tree) -> bytes:
        """Begin to count and to keep (§3).

        Args:
            negotiation: The stream.
            tree: The ``<enable/>``.

        Returns:
            ``<enabled/>``: stanzas behind it on the stream are counted. Or ``<failed/>``, and
            nothing has changed: there is no resource yet, or it is enabled already.
        """
        session = negotiation.session
        if not session.bound or session.management is not None:
            return failed(Condition.UNEXPECTED_REQUEST)
        if tree.get("resume") not in _TRUE:
            self.resumable_sessions.manage(session, None)
            return f"<enabled xmlns='{_NS}'/>".encode()
        wish = tree.get("max", "")
        max_s = self.resumable_sessions.settings.resume_s
        if _COUNT(wish):
            max_s = min(max_s, int(wish))
        id = self.resumable_sessions.manage(session, max_s)
        return f"<enabled xmlns='{_NS}' id='{id}' resume='true' max='{max_s:.0f}'/>".encode()

    def _enable(self, negotiation: Negotiation, tree: Tree) -> None:
        negotiation.write(self.enable(negotiation, tree))

    # -- acknowledging ----------------------------------------------------------------------------

    def _requested(self, negotiation: Negotiation, tree: Tree) -> None:
        session, management = negotiation.session, _managed(negotiation)
        asked = management.asked
        asked.append(management.handled)
        if len(asked) > 1:  # answers go in order, and one waits already
            if len(asked) > MAX_ASKED:
                del asked[-2]  # the last answer acknowledges what this one would have
            return
        securing = self.held_messages.secure_all(session)
        if securing is None:
            negotiation.write(management.answer())
        else:
            answering = self._answer_when(securing, session, management)
            Deferred.fromCoroutine(answering).addErrback(_failed, session)

    async def _answer_when(
        self,
        securing: Awaitable[None] | None,
        session: LocalClientSession,
        management: StreamManagement,
    ) -> None:
        """Acknowledge only messages that are safe, so that the client keeps the others (RS-10).

        Meanwhile its stream is read, and further ``<r/>`` wait behind this one.
        """
        asked, failures = management.asked, 0
        while True:
            covered = len(asked)
            try:
                if securing is not None:
                    await securing
            except StoreError as error:
                failures += 1
                if failures == 1:
                    _log.error(
                        "{jid} could not be sent <a/>: {error}", jid=session.jid.full, error=error
                    )
                await self.sleep(RETRY_S)
            else:
                if asked is management.asked:
                    for _ in range(covered):
                        session.connection.write(management.answer())
            if not asked or asked is not management.asked or session.closed:
                return
            securing = self.held_messages.secure_all(session)

    def _acknowledged(self, negotiation: Negotiation, tree: Tree) -> None:
        h = _count(tree)
        if h is None:
            raise StreamError(StreamCondition.BAD_FORMAT, "h must be a number of stanzas")
        management = _managed(negotiation)
        self._take(negotiation.session, management, h)
        again = management.request_again()
        if again:
            negotiation.write(again)

    def _take(self, session: LocalClientSession, management: StreamManagement, h: int) -> None:
        arrived = management.acknowledge(h)
        if management.held:
            self.held_messages.arrived(management, arrived)
        self.flood.acknowledged(session, arrived)

    # -- resuming ---------------------------------------------------------------------------------

    async def resume(self, negotiation: Negotiation, tree: Tree) -> bytes:
        """Give a session back to its client (§5).

        Its stanzas are not written before :meth:`flush` is called: the answer comes first.

        Args:
            negotiation: The stream; it has no resource yet.
            tree: The ``<resume/>``.

        Returns:
            ``<resumed/>``, and the stream has the session; or ``<failed/>``, and the client may
            bind a resource.

        Raises:
            StreamError: UNDEFINED_CONDITION: the client acknowledges more than it was sent.
        """
        fresh = negotiation.session
        account, h, id = fresh.account, _count(tree), tree.get("previd", "")
        if account is None or fresh.bound:
            return self._refused(Condition.UNEXPECTED_REQUEST)
        if h is None:
            return self._refused(Condition.BAD_REQUEST)
        session, handled = await self._find(id, account, h)
        while session is not None and not fresh.closed:
            management = session.management
            if management is None:
                break
            management.check(h)
            if not session.detached:
                self.resumable_sessions.replace(session)
            elif management.work is not None:
                await management.work
                session, handled = await self._find(id, account, h)
            elif (securing := self.held_messages.secure_all(session)) is not None:
                await self.held_messages.secured(session, securing)
                session, handled = await self._find(id, account, h)
            else:
                self._take(session, management, h)
                self._attach(session, negotiation)
                return (
                    f"<resumed xmlns='{_NS}' previd='{escape(id)}' h='{management.handled}'/>"
                ).encode()
        forget = partial(self.held_messages.forget_received, id, account, h)
        await self.flood.when_stored(account, forget)
        self.outcomes["gone"] += 1
        return failed(Condition.ITEM_NOT_FOUND, handled)

    def _refused(self, condition: Condition) -> bytes:
        self.outcomes["refused"] += 1
        return failed(condition)

    async def _find(
        self, id: str, account: JID, h: int
    ) -> tuple[LocalClientSession | None, int | None]:
        """The session, which may have been at another node; or the number of its client's stanzas
        that were handled, if it has ended lately.
        """
        session, handled = self.resumable_sessions.find(id, account), None
        if session is None:
            handled = await self.others.take_over(id, account, h)
            session = self.resumable_sessions.find(id, account)
        if session is None:
            here = self.resumable_sessions.handled(id, account)
            return None, handled if here is None else here
        return session, None

    def flush(self, negotiation: Negotiation) -> None:
        """Send the client the stanzas it has not got, once it has its answer."""
        negotiation.session.wire_is_free()

    async def _resume(self, negotiation: Negotiation, tree: Tree) -> None:
        negotiation.write(await self.resume(negotiation, tree))
        self.flush(negotiation)

    def _attach(self, session: LocalClientSession, negotiation: Negotiation) -> None:
        wire = negotiation.session.connection
        self.outcomes["resumed"] += 1
        negotiation.take_over(session)
        self.resumable_sessions.resume(session, wire)
        self.events.fire(SessionResumed(session))


def _offer(negotiation: Negotiation) -> bytes:
    """The feature, unless it was enabled with the login."""
    if Stream.AUTHENTICATED in negotiation.stream and negotiation.session.management is None:
        return _FEATURE
    return b""


def failed(condition: Condition, handled: int | None = None) -> bytes:
    """The ``<failed/>`` with its reason, and perhaps with how much was handled before the end."""
    h = "" if handled is None else f" h='{handled}'"
    return (
        f"<failed xmlns='{_NS}'{h}><{condition.tag} xmlns='{ns.STANZA_ERRORS}'/></failed>".encode()
    )


def _failed(failure: Failure, session: LocalClientSession) -> None:
    _log.failure("{jid} could not be sent <a/>", failure, jid=session.jid.full)


def _managed(negotiation: Negotiation) -> StreamManagement:
    management = negotiation.session.management
    if management is None:
        raise StreamError(
            StreamCondition.UNSUPPORTED_STANZA_TYPE, "stream management is not enabled"
        )
    return management


def _count(tree: Tree) -> int | None:
    """The ``h`` of an element; None if it has no valid one."""
    text = tree.get("h", "")
    return int(text) if _COUNT(text) and int(text) < WRAP else None
