"""Messages that waited, handed to the resource that came back; forgotten when they have arrived."""

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.routing.requests import Requests
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionClosed
from xmppd.session.sleepers import SessionResumed
from xmppd.stanza import IQ, JID, Later, Message, ns
from xmppd.stanza.delay import Stored, out_of_store
from xmppd.store.base import OfflineMessage, OfflineStore, Quarantine, StoreError
from xmppd.store.quarantine import set_aside, sift

_log = Logger()
_PING = f"<ping xmlns='{ns.PING}'/>".encode()


class Shelf(OfflineStore, Quarantine, Protocol):
    """Where messages wait, and what cannot be read is set aside."""


class OfflineMessageFlood:
    """Delivers offline messages with the first presence that wants them (:xep:`0160`, PU-14).

    They are deleted only when the client has answered a ping sent behind them: whoever answers has
    read what came before. A connection that dies halfway loses nothing.
    """

    def __init__(
        self,
        store: Shelf,
        requests: Requests,
        *,
        answer_timeout_s: float,
    ) -> None:
        self.store = store
        self.requests = requests
        self.routing_table = requests.routing_table
        self.answer_timeout_s = answer_timeout_s
        self._flooding: dict[str, LocalClientSession] = {}
        self._flooded: dict[LocalClientSession, list[int]] = {}
        self._more: set[str] = set()
        self._dry: set[LocalClientSession] = set()

    def flood(self, session: LocalClientSession) -> Later:
        """Flood a session whose priority is not negative, once for as long as it is available.

        While one resource is being flooded no other is: nobody gets a message twice.
        """
        if session.flooded or session.account is None or not _wants(session):
            return None
        if self._busy(session.account.bare):
            return None
        session.flooded = True
        return self._flood(session, session.account)

    async def stored(self, account: JID) -> None:
        """A message was stored; whoever has come meanwhile gets it."""
        if self._busy(account.bare):
            self._more.add(account.bare)
            return
        for session in self._here(account):
            session.flooded = False
        await self._next(account)

    def resumed(self, event: SessionResumed) -> Later:
        """A session has its client back, and may want what nobody was there to take."""
        return self.flood(event.session)

    def sweep(self) -> None:
        """Flood those whose messages could not be read when they came, since the store failed."""
        dry, self._dry = self._dry, set()
        for session in dry:
            later = self.flood(session)
            if later is not None:
                Deferred.fromCoroutine(later).addErrback(self._failed, session, session.jid)

    def closed(self, event: SessionClosed) -> Later:
        """If it was being flooded, nobody needs to wait for its answer."""
        session = event.session
        self._dry.discard(session)
        if session.account is None or self._flooding.get(session.account.bare) is not session:
            return None
        return self._forget_arrived(session, session.account)

    def given(self, session: LocalClientSession) -> list[int]:
        """What a session was flooded with and has not answered yet, if it acknowledges at all."""
        return self._flooded.get(session, [])

    def _arrived(self, session: LocalClientSession) -> list[int]:
        """What of that it has acknowledged."""
        unread = {
            stanza.payload.number
            for stanza, _, _ in session.unread()
            if isinstance(stanza.payload, Stored)
        }
        return [number for number in self.given(session) if number not in unread]

    async def _forget_arrived(self, session: LocalClientSession, account: JID) -> None:
        arrived = self._arrived(session)
        if arrived:
            await self.store.delete_offline(account.bare, arrived)
        await self._lost(session, account)

    def _busy(self, account: str) -> bool:
        session = self._flooding.get(account)
        return session is not None and (not session.closed or session in self._flooded)

    def _here(self, account: JID) -> list[LocalClientSession]:
        available = self.routing_table.available(account.bare)
        return [session for session in available if isinstance(session, LocalClientSession)]

    async def _next(self, account: JID) -> None:
        """The turn of the account's next resource that was not flooded yet, if there is one."""
        for session in self._here(account):
            later = self.flood(session)
            if later is not None:
                await later
                return

    async def _flood(self, session: LocalClientSession, account: JID) -> None:
        self._flooding[account.bare] = session
        try:
            waiting = await self._waiting(account.bare)
        except StoreError:
            session.flooded = False
            self._done(session, account)
            self._dry.add(session)
            return
        except BaseException:
            self._done(session, account)
            raise
        if not waiting:
            self._done(session, account)
        elif not _wants(session):  # it left while we read, or sleeps
            session.flooded = False
            self._done(session, account)
            await self._next(account)
        else:
            self._deliver(waiting, session, account)

    async def _waiting(self, account: str) -> list[tuple[int, Message]]:
        """What is stored and can be read, also what was stored while we read; with its ids."""
        while True:
            self._more.discard(account)
            stored = await self.store.offline_messages(account)
            messages, damaged = sift(stored, _read) if stored else ([], ())
            if damaged:
                await set_aside(self.store, account, damaged)
            if account not in self._more:
                return messages

    def _deliver(
        self, messages: list[tuple[int, Message]], session: LocalClientSession, account: JID
    ) -> None:
        for _, stanza in messages:
            session.deliver(stanza, stanza.wire())
        ids = [id for id, _ in messages]
        if session.management is not None:
            self._flooded[session] = ids
        server = JID.parse(account.domain)
        timeout_s = self.answer_timeout_s
        if session.management is not None:  # its ping waits with the messages for it to come back
            timeout_s += session.management.max_s
        answer = self.requests.ask(session.jid, server, _PING, timeout_s=timeout_s)
        answer.addCallback(self._answered, session, account, ids)

    def _answered(
        self, answer: IQ | None, session: LocalClientSession, account: JID, ids: list[int]
    ) -> Deferred[None]:
        work = self._forget(session, account, ids) if answer else self._lost(session, account)
        return Deferred.fromCoroutine(work).addErrback(self._failed, session, account)

    async def _forget(self, session: LocalClientSession, account: JID, ids: list[int]) -> None:
        """They have arrived. Look whether more came meanwhile."""
        await self.store.delete_offline(account.bare, ids)
        if self._flooding.get(account.bare) is session:
            await self._flood(session, account)

    async def _lost(self, session: LocalClientSession, account: JID) -> None:
        """Nobody knows what arrived: it stays stored, for another resource or another day."""
        if self._flooding.get(account.bare) is session:
            self._done(session, account)
            await self._next(account)

    def _failed(self, failure: Failure, session: LocalClientSession, account: JID) -> None:
        if not failure.check(StoreError):  # which the store has logged
            _log.failure("messages of {account} stay stored", failure, account=account)
        self._done(session, account)

    def _done(self, session: LocalClientSession, account: JID) -> None:
        self._flooded.pop(session, None)
        if self._flooding.get(account.bare) is session:
            del self._flooding[account.bare]
            self._more.discard(account.bare)


def _read(message: OfflineMessage) -> tuple[int, Message]:
    return message.id, out_of_store(message.stanza, message.id)


def _wants(session: LocalClientSession) -> bool:
    if session.presence is None or session.priority < 0:
        return False
    return not session.closed and not session.asleep
