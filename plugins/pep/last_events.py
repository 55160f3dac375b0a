"""LastEvents: the newest items of accounts, in memory as they are told to whoever comes."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from xmppd.stanza import JID, Message
from xmppd_plugins.pubsub import events
from xmppd_plugins.pubsub.access import AccessModel
from xmppd_plugins.pubsub.config import NodeConfig, SendLast
from xmppd_plugins.pubsub.names import new_name
from xmppd_plugins.pubsub.nodes import ServedNodes
from xmppd_plugins.pubsub.state import NodeItem, NodeName

MAX_HOSTS = 10_000
"""Accounts in memory; the one asked for longest ago makes room."""

MAX_BYTES = 64 << 20
"""Of all that is in memory."""

MAX_EVENT_BYTES = 65_536
"""An event that is larger is read each time."""

AROUND_BYTES = 500
"""What an event takes in memory beside its bytes, about."""


class LastEvent(NamedTuple):
    """The newest item of a node.

    Attributes:
        name: Of the node.
        is_for_all: Whether all may read it who see the account.
        message: That tells of it, to nobody yet.
        head: Its bytes before an address.
        tail: Its bytes behind it.
    """

    name: NodeName
    is_for_all: bool
    message: Message
    head: bytes
    tail: bytes


class LastEvents:
    """Knows the events with the newest items (PE-14), so that a login costs a splice for each.

    They are remembered where no other server of the service writes to the database; there they are
    read each time, those of all accounts in one query.

    Args:
        nodes: All nodes.
        max_bytes: Of all that is in memory.
    """

    def __init__(self, nodes: ServedNodes, max_bytes: int = MAX_BYTES) -> None:
        self._store = nodes.store
        self._max_bytes = max_bytes
        self._known: OrderedDict[str, dict[str, LastEvent | None]] = OrderedDict()
        self._bytes = self._changes = 0
        self._store.writer.written.append(self._written)

    def stop(self) -> None:
        """Hear of no change any more."""
        self._store.writer.written.remove(self._written)

    def __len__(self) -> int:
        """The number of accounts of which there is something in memory."""
        return len(self._known)

    async def of(self, hosts: Iterable[str], names: AbstractSet[str]) -> list[LastEvent]:
        """The events of those nodes of some accounts that have one of these names, and an item that
        is sent to who comes.
        """
        found: list[LastEvent] = []
        unknown: list[str] = []
        for host in hosts:
            known = self._known.get(host)
            if known is None or not known.keys() >= names:
                unknown.append(host)
                continue
            self._known.move_to_end(host)
            found += [event for name in names if (event := known[name]) is not None]
        if unknown:
            found += await self._read(unknown, names)
        return found

    async def _read(self, hosts: Collection[str], names: Collection[str]) -> list[LastEvent]:
        changes = self._changes
        read: dict[str, dict[str, LastEvent | None]] = {}
        for name, config, item in await self._store.items.last_of(hosts, names):
            if _is_sent(config):
                read.setdefault(name.host, {})[name.node] = _event(name, config, item)
        if not self._store.database.shared and changes == self._changes:
            for host in hosts:
                self._remember(host, {**dict.fromkeys(names), **read.get(host, {})})
        return [event for events in read.values() for event in events.values() if event]

    def _remember(self, host: str, events: dict[str, LastEvent | None]) -> None:
        if any(_size(event) > MAX_EVENT_BYTES for event in events.values()):
            return
        known = self._known.setdefault(host, {})
        for node, event in events.items():
            self._bytes += _size(event) - (_size(known[node]) if node in known else 0)
            known[node] = event
        self._known.move_to_end(host)
        while len(self._known) > MAX_HOSTS or self._bytes > self._max_bytes:
            self.forget(next(iter(self._known)))

    def _written(self, name: NodeName) -> None:
        self._changes += 1
        known = self._known.get(name.host)
        if known is not None and name.node in known:
            self._bytes -= _size(known.pop(name.node))

    def forget(self, host: str) -> None:
        """Forget all events of an account."""
        self._bytes -= sum(map(_size, self._known.pop(host, {}).values()))


def _is_sent(config: NodeConfig) -> bool:
    """Whether a node sends its newest item to who comes."""
    return (
        config.send_last_published_item is SendLast.ON_SUB_AND_PRESENCE
        and config.deliver_notifications
    )


def _event(name: NodeName, config: NodeConfig, item: NodeItem) -> LastEvent:
    event = events.published(name.node, (item,), payloads=config.deliver_payloads, publisher=False)
    message = Message.make(
        None,
        JID.prepared(name.host),
        event,
        events.delayed(item),
        id=new_name(),
        type=config.notification_type.value,
    )
    is_for_all = config.access_model in (AccessModel.OPEN, AccessModel.PRESENCE)
    return LastEvent(name, is_for_all, message, *message.around_to())


def _size(event: LastEvent | None) -> int:
    """What an event takes in memory; that there is none takes little."""
    if event is None:
        return AROUND_BYTES // 5
    return AROUND_BYTES + 3 * len(event.tail)  # beside it the payload, which shows it once more


__all__ = ["LastEvent", "LastEvents"]
