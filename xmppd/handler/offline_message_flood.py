"""Messages that waited, handed to the resource that came back; forgotten when they have arrived."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.routing.requests import Requests
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import IQ, JID, Later, Message, ns
from xmppd.store.base import OfflineStore

_log = Logger()
_PING = f"<ping xmlns='{ns.PING}'/>".encode()


class OfflineMessageFlood:
    """Delivers offline messages with the first presence that wants them (:xep:`0160`, PU-14).

    They are deleted only when the client has answered a ping sent behind them: whoever answers has
    read what came before. A connection that dies halfway loses nothing.
    """

    def __init__(
        self,
        store: OfflineStore,
        requests: Requests,
        *,
        answer_timeout_s: float,
    ) -> None:
        self.store = store
        self.requests = requests
        self.answer_timeout_s = answer_timeout_s
        self._flooding: dict[str, LocalClientSession] = {}

    def start(self, session: LocalClientSession) -> Later:
        """Flood a session whose priority is not negative, once for as long as it is available.

        While one resource is being flooded no other is: nobody gets a message twice.
        """
        if session.flooded or session.priority < 0 or session.account is None:
            return None
        other = self._flooding.get(session.account.bare)
        if other is not None and not other.closed:
            return None
        session.flooded = True
        return self._flood(session, session.account)

    async def again(self, session: Session) -> None:
        """A message was stored although this session is there by now: it had come meanwhile."""
        if isinstance(session, LocalClientSession) and session.flooded:
            session.flooded = False
            later = self.start(session)
            if later is not None:
                await later

    async def _flood(self, session: LocalClientSession, account: JID) -> None:
        self._flooding[account.bare] = session
        waiting = await self.store.offline_messages(account.bare)
        if not waiting or session.closed:
            self._done(session, account)
            return
        for message in waiting:
            stanza = Message.from_bytes(message.stanza)
            session.deliver(stanza, stanza.wire())
        server = JID.parse(account.domain)
        answer = self.requests.ask(session.jid, server, _PING, timeout_s=self.answer_timeout_s)
        answer.addCallback(self._answered, session, account, [message.id for message in waiting])

    def _answered(
        self, answer: IQ | None, session: LocalClientSession, account: JID, ids: list[int]
    ) -> Deferred[None] | None:
        if answer is None:
            self._done(session, account)
            return None
        return Deferred.fromCoroutine(self._arrived(session, account, ids))

    def _done(self, session: LocalClientSession, account: JID) -> None:
        if self._flooding.get(account.bare) is session:
            del self._flooding[account.bare]

    async def _arrived(self, session: LocalClientSession, account: JID, ids: list[int]) -> None:
        """Forget what has arrived, and look whether more came meanwhile."""
        try:
            await self.store.delete_offline(account.bare, ids)
        except Exception:
            _log.failure("delivered messages of {account} stay stored", account=account)
            self._done(session, account)
        else:
            await self._flood(session, account)
