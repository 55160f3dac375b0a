"""PluginMessages: what the nodes of a service say to each other for plugins."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import DecodeError, Struct
from msgspec.msgpack import Encoder
from msgspec.msgpack import decode as unpack

from xmppd.cluster.bus import Unreachable, ask_all
from xmppd.cluster.claims import Claims
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.things import PluginAnswer, PluginAsked, PluginRefusal, PluginTold
from xmppd.cluster.node import NodeId
from xmppd.events import Undo
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Condition, StanzaError

ASK_S = 5.0
"""How long another node may take to answer."""

ATTEMPTS = 3
"""How many nodes are asked in turn, each of which says that a thing is elsewhere."""

M = TypeVar("M", bound=Struct)
A = TypeVar("A", bound=Struct)
_pack = Encoder().encode


@dataclass(frozen=True)
class Tell(Generic[M]):
    """Takes messages that a plugin sends from node to node, by its :class:`PluginMessages`.

    Attributes:
        message: Their class: a frozen struct of msgspec.
        take: Called with each. What it returns is the answer for who asked: another struct, or
            something to wait for that gives one. It may raise a StanzaError, which is raised for
            who asked.
    """

    message: type[M]
    take: Callable[[M], Awaitable[Struct | None] | Struct | None]


class PluginMessages:
    """Carries messages of plugins to the nodes of an account, or to the node that has a thing.

    On a single server that is a call.

    Args:
        routing_table: Knows the nodes of accounts.
        claims: Know who has what.
    """

    def __init__(self, routing_table: RoutingTable, claims: Claims) -> None:
        self._routing_table = routing_table
        self._claims = claims
        self._tells: dict[str, Tell[Any]] = {}
        self._kinds: dict[type[Struct], str] = {}

    def put(self, part: Tell[Any], owner: str) -> Undo:
        """Take messages of this class from now on.

        Raises:
            ValueError: The plugin has another class of that name.
        """
        kind = f"{owner}.{part.message.__name__}"
        if kind in self._tells:
            raise ValueError(f"messages of the class {part.message.__name__} are taken already")
        self._tells[kind] = part
        self._kinds[part.message] = kind

        def take_out() -> None:
            del self._tells[kind], self._kinds[part.message]

        return take_out

    async def tell(self, account: JID, message: Struct) -> None:
        """Have all nodes at which an account has sessions take a message, this one first.

        From one node they come in order. If somebody fails to take it that is logged there.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: it cannot be found out where the account is.
        """
        kind, bare = self._kinds[type(message)], account.bare
        if bare in self._routing_table.users:
            with suppress(StanzaError):
                await _answer(self._tells[kind].take(message))
        nodes = await self._routing_table.nodes_of(bare)
        if nodes:
            entry = PluginTold(bare, kind, _pack(message))
            for place in nodes:
                self._routing_table.bus.tell(place.node, entry)

    def tell_node(self, node: NodeId, account: JID, message: Struct) -> None:
        """Have one other node take a message about an account.

        From one node those about an account come in order.
        """
        entry = PluginTold(account.bare, self._kinds[type(message)], _pack(message))
        self._routing_table.bus.tell(node, entry)

    async def tell_all(self, account: JID, message: Struct) -> None:
        """Have all nodes take a message about an account, this one first, wherever the account is.

        From one node those about an account come in order.
        """
        kind = self._kinds[type(message)]
        with suppress(StanzaError):
            await _answer(self._tells[kind].take(message))
        entry = PluginTold(account.bare, kind, _pack(message))
        for node in self._routing_table.membership.nodes.values():
            self._routing_table.bus.tell(node.id, entry)

    async def all_take(self, account: JID, message: Struct) -> bool:
        """Have all other nodes take a message about an account, and wait until they have; returns
        whether all of them have in time.
        """
        entry = PluginTold(account.bare, self._kinds[type(message)], _pack(message))
        table = self._routing_table
        others = [node.id for node in table.membership.nodes.values()]
        return len(await ask_all(table.bus, others, entry, ASK_S)) == len(others)

    async def ask(self, thing: tuple[str, str], message: Struct, answer: type[A]) -> A:
        """Have the node that has a thing take a message, and answer it.

        Args:
            thing: Its kind (:class:`~xmppd.cluster.claims.Owned`) and its name.
            message: Of a class for which there is a :class:`Tell`.
            answer: The class of the answer.

        Raises:
            StanzaError: What was raised there; or REMOTE_SERVER_TIMEOUT: no node has it, or that
                one does not answer, and may have taken it all the same.
        """
        kind = self._kinds[type(message)]
        try:
            for _ in range(ATTEMPTS):
                owner = await self._owner(thing)
                if owner == self._routing_table.membership.id:
                    done = await _answer(self._tells[kind].take(message))
                    if not isinstance(done, answer):
                        raise TypeError(f"{kind} is answered by {done!r}")
                    return done
                entry = PluginAsked(thing, kind, _pack(message))
                found = await self._routing_table.bus.ask(owner, entry, ASK_S)
                if isinstance(found, PluginAnswer):
                    return unpack(found.data, type=answer)
                if isinstance(found, PluginRefusal):
                    raise found.error()
                self._claims.forget(*thing)
        except (DirectoryAway, Unreachable, DecodeError) as error:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, str(error)) from error
        raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, f"nobody has {' '.join(thing)}")

    async def _owner(self, thing: tuple[str, str]) -> NodeId:
        owner = self._claims.owner(*thing)
        return await owner if isinstance(owner, Awaitable) else owner

    # -- from other nodes -------------------------------------------------------------------------

    async def told(self, sender: NodeId, entry: PluginTold) -> None:
        """Take a message for an account here; one that no plugin here knows is for nobody."""
        tell = self._tells.get(entry.kind)
        if tell is not None:
            with suppress(StanzaError):
                await _answer(tell.take(unpack(entry.data, type=tell.message)))

    async def asked(
        self, sender: NodeId, entry: PluginAsked
    ) -> PluginAnswer | PluginRefusal | None:
        """Take a message for a thing, if that is here."""
        tell = self._tells.get(entry.kind)
        if tell is None or await self._owner(entry.thing) != self._routing_table.membership.id:
            return None
        try:
            message = unpack(entry.data, type=tell.message)
            return PluginAnswer(_pack(await _answer(tell.take(message))))
        except StanzaError as error:
            return PluginRefusal.of(error)


async def _answer(found: Awaitable[Struct | None] | Struct | None) -> Struct | None:
    return await found if isinstance(found, Awaitable) else found


__all__ = ["PluginMessages", "Tell"]
