"""OfflineMessageStrategy: stores, bounces or drops a message that no session can take."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred

from xmppd.config.config import OfflineSettings
from xmppd.message.decision import (
    NO_ROOM,
    UNTOLD,
    Cell,
    Decision,
    KnownAccount,
    decided,
    settle,
)
from xmppd.message.follower import Course, Follower, Remark, Sought
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.stanza import JID, Condition, Message, StanzaError
from xmppd.stanza.delay import Returned, Stood, stamped
from xmppd.stanza.phrases import counted
from xmppd.store.accounts import AccountStore
from xmppd.store.errors import QuotaExceeded
from xmppd.store.held import StanzaPlace
from xmppd.store.offline import OfflineMessage, check_room


class OfflineMessageStrategy(Follower):
    """The rules of :rfc:`6121#section-8.5` and :xep:`0160` for messages to accounts that are away.

    It is a stage, and no follower, since its refusal is told to the sender; but it explains itself
    like a follower.

    Attributes:
        stanzas: The number of messages that have come to it.
    """

    def __init__(
        self,
        accounts: AccountStore,
        flood: OfflineMessageFlood,
        privacy_lists: PrivacyListManager,
        can_see: Callable[[JID, JID], Awaitable[bool]],
        wall_clock: Callable[[], float],
        settings: OfflineSettings,
    ) -> None:
        self.accounts = accounts
        self.flood = flood
        self.store = flood.store
        self.routing_table = flood.routing_table
        self.privacy_lists = privacy_lists
        self.can_see = can_see
        self.wall_clock = wall_clock
        self.settings = settings
        self.stanzas = 0

    def use(self, settings: OfflineSettings) -> None:
        """Take other limits; stored messages stay."""
        self.settings = settings

    async def decide(self, message: Message, decision: Decision) -> Decision:
        """Decide about a message that is to be kept, or refused since nobody is here: by then the
        store has said whether the account exists and denies the sender (OM-1, OM-3, MR-10).
        """
        to = message.to
        assert to is not None, "it is addressed"
        exists = await self.accounts.exists(to.bare)
        denies = exists and await self.privacy_lists.denies(to, "message", message.sender)
        return await self._hushed(settle(decision, message, KnownAccount(exists, denies)), message)

    async def _hushed(self, decision: Decision, message: Message) -> Decision:
        """Drop a message instead of refusing it, if its sender may not know that a resource is not
        here (MR-10). A room elsewhere is told that its occupant is gone.
        """
        if not (decision.bounced and decision.row.tells):
            return decision
        to, sender = message.to, message.sender
        assert to is not None, "it is addressed"
        if message.type == "groupchat" and not self.routing_table.is_local(sender):
            return decision
        return decision if await self.can_see(sender, to) else decided(message, UNTOLD)

    async def find_room(self, message: Message, decision: Decision) -> Decision:
        """Decide about it with regard to its room, as storing it will do itself (OM-4)."""
        to, sender = message.to, message.sender
        assert to is not None, "it is addressed"
        domain = None if self.routing_table.is_local(sender) else sender.domain
        use = await self.store.offline_use(to.bare, sender.bare, domain)
        size = len(stamped(message, to.domain, self.wall_clock()).wire())
        try:
            check_room(
                use,
                size,
                max_messages=self.settings.max_messages,
                max_bytes=self.settings.max_bytes,
            )
        except QuotaExceeded as error:
            return decided(message, NO_ROOM, text=str(error))
        return decision

    async def explain(self, course: Course) -> Sequence[Remark]:
        """Say how much waits for the account already."""
        if course.is_sent or course.decision.cell is not Cell.KEPT:
            return ()
        waiting = await self.store.offline_messages(course.account)
        if not waiting:
            return ()
        says = f"{course.account} has {use(waiting)} stored already; it may keep {self.quota()}"
        return [Remark("waiting", says, "OM-4")]

    async def locate(self, sought: Sought) -> Sequence[Remark]:
        """Say whether it waits for its addressee."""
        waiting = await self.store.offline_messages(sought.to.bare)
        if not any(map(sought.is_it, _readable(waiting))):
            return ()
        return [
            Remark(
                "kept",
                f"the message is stored until a client of {sought.to.bare} is online",
                "OM-2",
            )
        ]

    def quota(self) -> str:
        """The quota of an account, as part of a sentence."""
        limits = self.settings
        return _of_bytes(limits.max_messages, limits.max_bytes)

    def undeliverable(self, message: Message, decision: Decision) -> None:
        """Bounce or drop a message that no session gets and that is not kept.

        Raises:
            StanzaError: It is bounced.
        """
        self.stanzas += 1
        if decision.bounced:
            raise decision.refusal()

    async def nobody_there(self, message: Message, decision: Decision) -> Decision:
        """Keep a message, in its account's turn, which ends as soon as its place in the order is
        settled (OM-1 to OM-5).

        Returns:
            The decision about it.

        Raises:
            StanzaError: It is bounced.
        """
        self.stanzas += 1
        to = message.to
        assert to is not None, "it is addressed"
        lines = self.flood.lines
        holder = lines.open[to.bare].holder
        decision = await self.decide(message, decision)
        if decision.bounced:
            raise decision.refusal()
        if decision.cell is not Cell.KEPT:
            return decision
        if isinstance(message.payload, Returned):
            await _held(message.payload.stood)
        now, sender = self.wall_clock(), message.sender
        storing: Coroutine[Deferred[object], object, int] = self.store.store_offline(
            to.bare,
            stamped(message, to.domain, now).wire(),
            sender=sender.bare,
            sender_domain=None if self.routing_table.is_local(sender) else sender.domain,
            stored=now,
            max_messages=self.settings.max_messages,
            max_bytes=self.settings.max_bytes,
            place=_place(message),
            origin=message.payload.origin,
        )
        self.flood.storing(to)
        if self.routing_table.directory.shared:
            storing = self._store_and_tell(storing, to)
        written = lines.writes(to.bare, Deferred.fromCoroutine(storing))
        if self.store.writes_in_order:
            lines.leave(to.bare, holder)
        try:
            await written
        except QuotaExceeded as error:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE, str(error)) from error
        if isinstance(message.payload, Returned) and message.payload.stood.kept is not None:
            message.payload.stood.kept.over = True
        lines.leave(to.bare, holder)
        await self.flood.stored(to)
        return decision

    async def _store_and_tell(self, storing: Awaitable[int], to: JID) -> int:
        """Store a message, and tell the nodes where its account is by then: later ones that go
        there come behind (MR-7).
        """
        number = await storing
        await self.flood.tell_of_stored(to)
        return number


def _readable(waiting: Collection[OfflineMessage]) -> Iterator[Message]:
    """Those of these messages that can be read."""
    for each in waiting:
        with suppress(ValueError):
            yield Message.from_bytes(each.stanza)


def use(waiting: Collection[OfflineMessage]) -> str:
    """The use of the quota, as part of a sentence."""
    return _of_bytes(len(waiting), sum(len(each.stanza) for each in waiting))


def _of_bytes(messages: int, size_bytes: int) -> str:
    return f"{counted(messages, 'message')} of {counted(size_bytes, 'byte')}"


async def _held(stood: Stood) -> None:
    """Wait while the message is being held: once stored it is not held any more, and that needs its
    number in the store.
    """
    if stood.kept is not None and stood.kept.writing is not None:
        await stood.kept.writing


def _place(message: Message) -> StanzaPlace | None:
    """The position of a message in the queue of a session that has ended, if it was in one."""
    if not isinstance(message.payload, Returned):
        return None
    kept, key, position = message.payload.stood
    if kept is None or kept.over:
        return StanzaPlace(0, held=False, key=key, position=position)
    return StanzaPlace(kept.number, held=kept.held, key=key, position=position)
