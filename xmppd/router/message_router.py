"""Messages: to a session, to an account, or to somebody elsewhere (:rfc:`6121#section-8`)."""

from collections.abc import Collection

from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.router.carbons import Carbons
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session import Session
from xmppd.stanza import JID, Condition, Later, Message, StanzaError, Tree
from xmppd.stanza.stanza import Copies

TYPES = frozenset(("normal", "chat", "groupchat", "headline", "error"))


class MessageRouter:
    """Finds the resources a message is for; if there is none, the offline strategy decides.

    Attributes:
        admins: Who gets what is written to the server itself (MR-4).
    """

    def __init__(
        self,
        routing_table: RoutingTable,
        offline: OfflineMessageStrategy,
        carbons: Carbons,
        admins: tuple[JID, ...],
    ) -> None:
        self.routing_table = routing_table
        self.offline = offline
        self.carbons = carbons
        self.admins = admins
        self._lines = offline.flood.lines
        self._turn_of = ""  # the account whose turn it is, while its message is routed

    def route(self, message: Message) -> Later:
        """Deliver, store or bounce a message.

        Raises:
            StanzaError: It is bounced.
        """
        to = message.to
        if to is None:
            to = message.sender.to_bare()  # :rfc:`6120#section-10.3.1`
            message = message.addressed(to)
        if to.domain not in self.routing_table.domains:
            return self._leave(message)
        if to.local is None:
            return self._to_the_server(message)
        in_turn = to.bare == self._turn_of
        if not in_turn and to.bare in self._lines.open:
            return self._route_in_turn(message, to)
        kind = message.type if message.type in TYPES else "normal"
        if to.resource is not None:
            held_back = in_turn and kind == "chat" and self.offline.flood.holds_back(to)
            # Whoever keeps the message keeps its bytes only: so it is looked at before that.
            tree = message.payload.tree if to.bare in self.routing_table.carbons else None
            if not held_back and self.routing_table.route(message):  # §8.5.3.1
                self._copy_beside(message, to, tree)
                return None
            if kind != "chat" or not self._wanted(message, to):  # §8.5.3.2.1
                return self._undeliverable(message, kind, to)
        if kind in ("groupchat", "error"):
            return self._undeliverable(message, kind, to)
        sessions = [s for s in self.routing_table.available(to.bare) if s.priority >= 0]
        wanting = [s for s in sessions if s.privacy is None or s.privacy.lets_in(message)]
        if self._to_account(message, kind, wanting):
            return None
        if sessions and not wanting:
            return self._undeliverable(message, kind, to)  # PL-3
        if not in_turn and kind != "headline":
            return self._route_in_turn(message, to)
        later = self.offline.nobody_there(message, kind, to)
        return self._copy_after(later, message) if to.bare in self.routing_table.carbons else later

    async def _route_in_turn(self, message: Message, to: JID) -> None:
        """Behind what is stored for the account, or is just being stored (MR-7)."""
        turn = self._lines.join(to.bare)
        if turn is not None:
            await turn
        holder = self._lines.open[to.bare].holder
        try:
            await self.offline.flood.catch_up(to.to_bare())
            later = self._route_now(message, to)
            if later is not None:
                await later
        finally:
            self._lines.leave(to.bare, holder)

    def _route_now(self, message: Message, to: JID) -> Later:
        self._turn_of = to.bare
        try:
            return MessageRouter.route(self, message)  # a plugin's router has seen it
        finally:
            self._turn_of = ""

    def _undeliverable(self, message: Message, kind: str, to: JID) -> None:
        """What is not bounced is dropped, and copied all the same (CA-3)."""
        self.offline.undeliverable(message, kind, to)
        self.carbons.received(message)

    async def _copy_after(self, later: Later, message: Message) -> None:
        """It is stored for whoever comes next; those who are here get copies (CA-3)."""
        if later is not None:
            await later
        self.carbons.received(message)

    def _leave(self, message: Message) -> None:
        if not self.routing_table.route(message):
            raise self.routing_table.unreached(message)

    def _wanted(self, message: Message, to: JID) -> bool:
        """Whether the session of this address, if there is one, does not deny the message."""
        session = self.routing_table.bound.get(to.full)
        return session is None or session.privacy is None or session.privacy.lets_in(message)

    def _to_account(self, message: Message, kind: str, sessions: list[Session]) -> bool:
        """To those of them that want it most (RT-16, RT-17, §8.5.2.1.1); whether it arrived."""
        if len(sessions) > 1 and kind != "headline":
            sessions = _most_wanted(sessions)
        if not sessions:
            return False
        wire = message.wire()
        to = sessions[0].jid
        tree = message.payload.tree if to.bare in self.routing_table.carbons else None
        shared = message.for_several() if len(sessions) > 1 else message
        arrived = [session.deliver(shared, wire) for session in sessions]
        if not any(arrived):
            return False
        self._copy_beside(message, to, tree, sessions, sum(arrived))
        return True

    def _copy_beside(
        self,
        message: Message,
        to: JID,
        tree: Tree | None,
        got: Collection[Session] = (),
        count: int = 1,
    ) -> None:
        """Several have it: the last that ends without having read it gives it back (SE-12)."""
        if count > 1 or tree is not None:
            message.payload.copies = Copies(to.bare, count)
        if tree is not None:
            self.carbons.received(message, got, tree=tree, shared=message.payload.copies)

    def _to_the_server(self, message: Message) -> Later:
        """What is written to the server goes to its administrators (MR-4)."""
        to = message.to
        if to is None or to.resource is not None or not self.admins or not message.answerable:
            if message.answerable:
                raise StanzaError(Condition.SERVICE_UNAVAILABLE)
            return None
        return self._to_admins(message)

    async def _to_admins(self, message: Message) -> None:
        """To each of them; it bounces only if nobody takes it."""
        refusals: list[StanzaError] = []
        for admin in self.admins:
            try:
                later = self.route(message.addressed(admin))
                if later is not None:
                    await later
            except StanzaError as error:
                refusals.append(error)
        if len(refusals) == len(self.admins):
            raise refusals[0]


def _most_wanted(sessions: list[Session]) -> list[Session]:
    highest = max(session.priority for session in sessions)
    return [session for session in sessions if session.priority == highest]
