"""A plugin to copy: a notice board, written with wokkel, that runs inside the server.

``Noticeboard`` knows nothing of xmppd: the same class would serve behind wokkel's own component.
"""

from collections import deque

from xmppd.components.wokkel_bridge import WokkelComponent  # before wokkel, which it makes work

# isort: split
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish.domish import Element
from wokkel.disco import DiscoHandler
from wokkel.generic import VersionHandler
from wokkel.ping import PingHandler
from wokkel.pubsub import PubSubService, Subscription

from xmppd.plugin.place import Part
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable

DOMAIN = "board"
"""The label in front of the server's first domain."""
MAX_BOARDS = 100
MAX_NOTICES = 20
MAX_READERS = 1_000


class Board:
    """The notices, and the subscribers."""

    def __init__(self) -> None:
        self.notices: deque[Element] = deque(maxlen=MAX_NOTICES)
        self.readers: dict[str, JID] = {}


class Noticeboard(PubSubService):  # type: ignore[misc]  # wokkel has no types
    """Boards (:xep:`0060`'s nodes) on which all may publish notices; kept in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.boards: dict[str, Board] = {}
        self.discoIdentity["name"] = "Notice board"
        self.pubSubFeatures = ["publish", "retrieve-items", "subscribe"]

    def getNodes(self, sender: JID, service: JID) -> Deferred[list[str]]:
        """The names of the boards."""
        return succeed(list(self.boards))

    def publish(self, sender: JID, service: JID, node: str, items: list[Element]) -> Deferred[None]:
        """Publish notices, and send them to the subscribers."""
        if node not in self.boards and len(self.boards) == MAX_BOARDS:
            raise StanzaError("resource-constraint")
        board = self.boards.setdefault(node, Board())
        board.notices.extend(items)
        no_collections: list[Subscription] = []
        self.notifyPublish(
            service, node, [(reader, no_collections, items) for reader in board.readers.values()]
        )
        return succeed(None)

    def subscribe(
        self, sender: JID, service: JID, node: str, subscriber: JID
    ) -> Deferred[Subscription]:
        """Add a subscriber."""
        if subscriber.userhost() != sender.userhost():
            raise StanzaError("forbidden")
        board = self._board(node)
        if len(board.readers) == MAX_READERS:
            raise StanzaError("resource-constraint")
        board.readers[subscriber.full()] = subscriber
        return succeed(Subscription(node, subscriber, "subscribed"))

    def unsubscribe(self, sender: JID, service: JID, node: str, subscriber: JID) -> Deferred[None]:
        """Remove a subscriber."""
        if subscriber.userhost() != sender.userhost():
            raise StanzaError("forbidden")
        self._board(node).readers.pop(subscriber.full(), None)
        return succeed(None)

    def items(
        self, sender: JID, service: JID, node: str, max_items: int | None, wanted: list[str]
    ) -> Deferred[list[Element]]:
        """Return the notices."""
        notices = [each for each in self._board(node).notices if not wanted or each["id"] in wanted]
        return succeed(notices[-max_items:] if max_items else notices)

    def _board(self, node: str) -> Board:
        if node not in self.boards:
            raise StanzaError("item-not-found")
        return self.boards[node]


def plug(router: PacketRouter, routing_table: RoutingTable, clock: IReactorTime) -> list[Part]:
    """The parts of this plugin."""
    return [
        WokkelComponent(
            router,
            clock,
            f"{DOMAIN}.{routing_table.domain}",
            DiscoHandler(),
            PingHandler(),
            VersionHandler("Notice board", "1.0"),
            Noticeboard(),
            name="Notice board",
        )
    ]
