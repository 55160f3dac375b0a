"""Store, bounce or drop: what becomes of a message that found nobody."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from xmppd.config.config import OfflineSettings
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Condition, Later, Message, StanzaError
from xmppd.stanza.delay import Returned, Stood, stamped
from xmppd.stanza.xml import local_name, namespace_of
from xmppd.store.base import AccountStore, OfflineStore, QuotaExceeded, StanzaPlace

HINTS = "urn:xmpp:hints"
CHAT_STATES = "http://jabber.org/protocol/chatstates"


class OfflineMessageStrategy:
    """What :rfc:`6121#section-8.5` and :xep:`0160` say of messages for those who are away."""

    def __init__(
        self,
        routing_table: RoutingTable,
        accounts: AccountStore,
        store: OfflineStore,
        flood: OfflineMessageFlood,
        privacy_lists: PrivacyListManager,
        wall_clock: Callable[[], float],
        settings: OfflineSettings,
    ) -> None:
        self.routing_table = routing_table
        self.accounts = accounts
        self.store = store
        self.flood = flood
        self.privacy_lists = privacy_lists
        self.wall_clock = wall_clock
        self.settings = settings

    def use(self, settings: OfflineSettings) -> None:
        """Go by other limits from now on; what is stored stays."""
        self.settings = settings

    def undeliverable(self, message: Message, kind: str, to: JID) -> None:
        """A message that only one resource could have taken, and it is not there.

        Raises:
            StanzaError: SERVICE_UNAVAILABLE, unless the message is an error or a headline.
        """
        if kind not in ("error", "headline"):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    def nobody_there(self, message: Message, kind: str, to: JID) -> Later:
        """A message to an account none of whose resources wants it (OM-1 to OM-5).

        A headline is gone, and nobody learns from it whether there is such an account.
        """
        return None if kind == "headline" else self._store(message, to)

    async def _store(self, message: Message, to: JID) -> None:
        """In the account's turn, which ends as soon as the order of what is stored is settled."""
        lines = self.flood.lines
        holder = lines.open[to.bare].holder
        if not await self.accounts.exists(to.bare) or await self.privacy_lists.denies(
            to, "message", message.sender
        ):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
        if not worth_storing(message):
            if _means_something(message):
                raise StanzaError(Condition.SERVICE_UNAVAILABLE, "it is not to be kept")  # OM-3
            return
        if isinstance(message.payload, Returned):
            await _held(message.payload.stood)
        now, sender = self.wall_clock(), message.sender
        storing = self.store.store_offline(
            to.bare,
            stamped(message, to.domain, now).wire(),
            sender=sender.bare,
            sender_domain=None if self.routing_table.is_local(sender) else sender.domain,
            stored=now,
            max_messages=self.settings.max_messages,
            max_bytes=self.settings.max_bytes,
            place=_place(message),
        )
        self.flood.storing(to)
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


async def _held(stood: Stood) -> None:
    """Wait while the message is being held: what is stored is not held any more, and before it has
    a number nobody can say so to the store.
    """
    if stood.kept is not None and stood.kept.writing is not None:
        await stood.kept.writing


def _place(message: Message) -> StanzaPlace | None:
    """Where a message stood in the queue of a session that has ended, if it was in one."""
    if not isinstance(message.payload, Returned):
        return None
    kept, key, position = message.payload.stood
    if kept is None or kept.over:
        return StanzaPlace(0, held=False, key=key, position=position)
    return StanzaPlace(kept.number, held=kept.held, key=key, position=position)


def worth_storing(message: Message) -> bool:
    """Whether a message means anything later, and its sender lets it wait (OM-3).

    ``no-permanent-store`` is about archives (:xep:`0334#no-permanent-store`): what waits is gone
    when it has arrived.
    """
    return "no-store" not in _hints(message) and _means_something(message)


def _means_something(message: Message) -> bool:
    """Whether it is more than mere chat states (:xep:`0160`), or says itself that it is."""
    tags = [child.tag for child in message.payload.tree]
    return "store" in _hints(message) or any(
        namespace_of(tag) not in (CHAT_STATES, HINTS) and tag != "thread" for tag in tags
    )


def _hints(message: Message) -> set[str]:
    tags = [child.tag for child in message.payload.tree]
    return {local_name(tag) for tag in tags if namespace_of(tag) == HINTS}
