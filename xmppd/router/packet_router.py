"""PacketRouter: message, presence or iq, and the one place that answers errors."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from mypy_extensions import mypyc_attr
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.host.clocks import Clocks
from xmppd.message.unread import owed
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.session.backlog import Waiting
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, Later, Message, Presence, Stanza, StanzaError
from xmppd.stanza.delay import Stood
from xmppd.store.errors import STORE_FAILS, StoreError

_NOWHERE: Mapping[Stanza, Stood] = MappingProxyType({})
_log = Logger()


class Router(Protocol):
    """The router of one kind of stanza.

    Attributes:
        stanzas: The number that it was given.
    """

    stanzas: int

    def route(self, stanza: Any, /) -> Later:
        """Route a stanza of its kind; raises the errors that are answered."""


@mypyc_attr(allow_interpreted_subclasses=True)
class PacketRouter:
    """Gives each stanza to the router of its kind (PK-1), and answers the errors that it raises.

    Attributes:
        on_taken_back: Called when all stanzas that were taken back have been routed.
        not_stored: The number of messages that were bounced since the store failed.
        homeless: The number of stanzas that were taken back and have not been routed yet.
        errors: How often each condition was answered.
    """

    def __init__(
        self,
        message_router: MessageRouter,
        presence_router: PresenceRouter,
        iq_router: IQRouter,
        interceptors: InterceptorManager,
        clocks: Clocks,
    ) -> None:
        self.message_router = message_router
        self.presence_router = presence_router
        self.iq_router = iq_router
        self.routing_table = message_router.routing_table
        self.followers = message_router.followers
        self.interceptors = interceptors
        self.clocks = clocks
        self.on_taken_back: Callable[[], None] = _nothing_to_do
        self.not_stored = self.homeless = 0
        self.errors: Counter[Condition] = Counter()
        self._taking_back: dict[Deferred[None], set[str]] = {}  # with the senders, full JIDs
        self._routers: dict[type[Stanza], Router] = {
            Message: message_router,
            Presence: presence_router,
            IQ: iq_router,
        }

    def route(self, stanza: Stanza) -> Later:
        """Route a stanza whose sender is stamped, and tell the followers of the sender's account.
        It never raises, and its result never fails.
        """
        try:
            if self.interceptors.incoming[stanza.__class__]:
                seen = self.interceptors.come_in(stanza)
                if seen is None:
                    return None
                stanza = seen
            if stanza.to is not None:
                session = self.routing_table.bound.get(stanza.sender.full)
                if session is not None and session.privacy is not None:
                    session.privacy.check_out(stanza)  # PL-4
                if isinstance(stanza, Message):
                    known = self.followers
                    asked = known.of.get(stanza.sender.bare, known.of_all)
                    if asked is not None:
                        room = known.room(asked) if asked.limiting else None
                        if room is not None:
                            return self._finish(stanza, self._route_behind(room, stanza))
                        known.sent(stanza, asked)
        except Exception as error:
            return self._answer_failure(stanza, error)
        return self.route_on(stanza)

    async def _route_behind(self, room: Awaitable[None], message: Message) -> None:
        """Route a message for which followers had no room, when they have."""
        await room
        asked = self.followers.of.get(message.sender.bare, self.followers.of_all)
        if asked is not None:
            self.followers.sent(message, asked)
        later = self.route_on(message)
        if later is not None:
            await later

    def route_on(self, stanza: Stanza) -> Later:
        """Route a stanza that has come in before, here or at another node. It never raises, and its
        result never fails.
        """
        router = self._routers[stanza.__class__]
        router.stanzas += 1
        try:
            later = router.route(stanza)
        except Exception as error:
            return self._answer_failure(stanza, error)
        return None if later is None else self._finish(stanza, later)

    @property
    def stanzas(self) -> int:
        """The number that all routers were given."""
        return sum(router.stanzas for router in self._routers.values())

    def take_back(
        self, unread: Iterable[Waiting], session: JID, stood: Mapping[Stanza, Stood] = _NOWHERE
    ) -> None:
        """Route the unread stanzas of a session that is gone again (SE-12).

        Interceptors saw it come in, and do not see it a second time. It goes on by itself, in
        order, and ahead of later ones (MR-7); :meth:`finish` waits for it.

        Args:
            unread: In the order in which it came.
            session: Full JID.
            stood: The positions of messages in its queue, if it acknowledges.
        """
        self.route_again(owed(unread, session, self.clocks, stood))

    def route_again(self, stanzas: Iterable[Stanza]) -> None:
        """Route stanzas again that have come in before and have not arrived, in order."""
        senders: set[str] = set()
        work = Deferred.fromCoroutine(self._route_again(stanzas, senders))
        self._taking_back[work] = senders
        work.addBoth(self._taken_back, work)

    def _taken_back(self, _: object, work: Deferred[None]) -> None:
        self._taking_back.pop(work)
        if not self._taking_back:
            self.on_taken_back()

    @property
    def taking_back(self) -> bool:
        """Whether stanzas that were taken back have yet to be routed."""
        return bool(self._taking_back)

    def takes_back_from(self, sender: JID) -> bool:
        """Whether stanzas of this sender are among them."""
        return any(sender.full in senders for senders in self._taking_back.values())

    async def finish(self, sender: JID | None = None) -> None:
        """Wait until all stanzas that were taken back have been routed; or all of one sender."""
        while works := [
            work
            for work, senders in self._taking_back.items()
            if sender is None or sender.full in senders
        ]:
            await works[0]

    async def _route_again(self, stanzas: Iterable[Stanza], senders: set[str]) -> None:
        works = []
        for stanza in stanzas:
            if self.routing_table.give_back(stanza):
                continue
            senders.add(stanza.sender.full)
            later = self.route_on(stanza)
            if later is not None:
                self.homeless += 1
                works.append(Deferred.fromCoroutine(_wait(later)))
        for work in works:
            await work
            self.homeless -= 1

    async def _finish(self, stanza: Stanza, later: Awaitable[None]) -> None:
        try:
            await later
        except Exception as error:
            answering = self._answer_failure(stanza, error)
            if answering is not None:
                await answering

    def bounce(self, stanza: Stanza, error: StanzaError) -> None:
        """Answer a stanza that a route had taken and could not deliver with an error.

        Of presence only requests, probes and presence to a full JID, such as a room's, are
        answered.
        """
        if not stanza.answerable or (isinstance(stanza, Presence) and not _waits(stanza)):
            return
        self.errors[error.condition] += 1
        answer = stanza.error(error)
        answering = self.return_error(answer)
        if answering is not None:
            Deferred.fromCoroutine(answering)  # an answer never fails

    def _answer_failure(self, stanza: Stanza, error: Exception) -> Later:
        """Answer with an error, unless the stanza is an answer itself
        (:rfc:`6120#section-8.3.1`).
        """
        if isinstance(error, StoreError):  # the store has logged it (ST-2)
            self.not_stored += isinstance(stanza, Message)
            error = StanzaError(Condition.RESOURCE_CONSTRAINT, STORE_FAILS)
        elif not isinstance(error, StanzaError):
            _log.failure("{stanza} failed", stanza=stanza)
            error = StanzaError(Condition.INTERNAL_SERVER_ERROR)
        if not stanza.answerable:
            return None
        self.errors[error.condition] += 1
        return self.return_error(stanza.error(error))

    def return_error(self, error: Stanza) -> Later:
        """Deliver an error in the name of a stanza's addressee: no list is asked (PL-1).

        The PresenceRouter knows which errors of presence an account is told (PR-18).
        """
        if isinstance(error, IQ) and self.iq_router.requests.answered(error):
            return None
        answering = None
        session = None if error.to is None else self.routing_table.bound.get(error.to.full)
        if isinstance(session, LocalClientSession):
            session.connection.counts.errors += 1
        if session is not None and session.privacy is not None:
            session.deliver(error, error.wire(), ours=True)
        elif isinstance(error, Presence):
            answering = self.presence_router.refuse(error)
        elif self.routing_table.hand_over(error, ours=True):
            return None  # followers are told there
        elif self.routing_table.pass_on(error, ours=True):
            return None  # and so they are there
        elif not self.routing_table.route(error):
            answering = self.routing_table.answer_unrouted(error)
        if isinstance(error, Message):
            self.followers.answered(error)
        return answering


def _nothing_to_do() -> None:
    """Do nothing, since nothing waits for it."""


async def _wait(later: Awaitable[None]) -> None:
    await later


def _waits(presence: Presence) -> bool:
    if presence.type is None:
        return presence.to is not None and presence.to.resource is not None
    return presence.type in ("subscribe", "probe")
