"""ServedNodes: those that are served here, one of which is changed by one request at a time."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from xmppd.cluster.claims import Owned
from xmppd.cluster.node import Node
from xmppd.host.locks import Locks
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.claim_tokens import Deposed

from .access import Affiliation, Standing
from .config import NodeConfig, NodeForm
from .state import NodeName, NodeState
from .tables import KIND, PubSubStore

MOVED = "another node of the service has it by now; try again"

MAX_IN_MEMORY = 10_000
"""Nodes whose affiliations and subscriptions are in memory; the one used longest ago makes room."""


class Host(Protocol):
    """Somebody who has nodes: a service.

    Attributes:
        jid: Its address.
        form: The form of its nodes' configuration.
        max_nodes: How many it may have.
    """

    jid: JID
    form: NodeForm
    max_nodes: int

    def defaults(self, node: str) -> NodeConfig:
        """The configuration of a new node of this name."""

    def check_create(self, who: JID) -> None:
        """Let somebody make a node.

        Raises:
            StanzaError: They may not.
        """

    def is_owner(self, who: JID) -> bool:
        """Whether somebody is an owner of all its nodes, whatever these say."""

    async def tell(
        self, recipients: Sequence[str], *children: bytes, type: str | None = None
    ) -> None:
        """Send a message to each of them."""


class ServedNodes(Owned):
    """All nodes that are served here. On however many nodes the service is, each is served at one
    of them (CL-77), so that what is published there comes to all in one order (NO-17).

    Args:
        store: Keeps them.
        now: Tells the time, in seconds since 1970.

    Attributes:
        hosts: By JID.
    """

    kind = KIND

    def __init__(self, store: PubSubStore, now: Callable[[], float]) -> None:
        self.store = store
        self.now = now
        self.hosts: dict[str, Host] = {}
        self._tokens: dict[str, int] = {}
        self._states: OrderedDict[str, NodeState] = OrderedDict()
        self._locks = Locks()

    # -- as things that live once -----------------------------------------------------------------

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        self._states.pop(name, None)
        self._tokens[name] = token

    async def lay_down(self, name: str) -> bytes:
        async with self._locks.held(name):
            self.lost(name)
        return b""

    def lost(self, name: str) -> None:
        self._tokens.pop(name, None)
        self._states.pop(name, None)

    def absent(self, node: Node) -> None:
        """Do nothing: nobody is in a node."""

    # -- for one request --------------------------------------------------------------------------

    @asynccontextmanager
    async def alone(self, name: NodeName) -> AsyncIterator[Host]:
        """A context in which nobody else does anything with a node; gives its host.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is no such host any more.
        """
        async with self._locks.held(name.thing):
            host = self.hosts.get(name.host)
            if host is None:
                raise StanzaError(Condition.ITEM_NOT_FOUND)
            try:
                yield host
            except StanzaError:
                raise
            except Deposed as error:
                self.lost(name.thing)
                raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, MOVED) from error
            except BaseException:
                self.forget(name)  # what has failed half-way is read again
                raise

    def token(self, name: NodeName) -> int:
        """The token with which a node is written.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: it is served elsewhere by now.
        """
        token = self._tokens.get(name.thing)
        if token is None:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, MOVED)
        return token

    async def find(self, name: NodeName) -> NodeState | None:
        """A node; None if there is none of this name."""
        state = self._states.get(name.thing)
        if state is not None:
            self._states.move_to_end(name.thing)
            return state
        state = await self.store.node(name)
        if state is not None:
            self.remember(state)
        return state

    async def found(self, name: NodeName) -> NodeState:
        """A node.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none of this name.
        """
        state = await self.find(name)
        if state is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "there is no such node")
        return state

    def remember(self, state: NodeState) -> None:
        """Keep a node in memory."""
        self._states[state.name.thing] = state
        if len(self._states) > MAX_IN_MEMORY:
            self._states.popitem(last=False)

    def forget(self, name: NodeName) -> None:
        """Have a node be read again when it is used."""
        self._states.pop(name.thing, None)

    def standing(self, host: Host, state: NodeState, who: JID) -> Standing:
        """What somebody is to a node."""
        affiliation = Affiliation.OWNER if host.is_owner(who) else state.affiliation(who)
        return Standing(affiliation, state.is_subscribed(who, self.now()))


__all__ = ["MAX_IN_MEMORY", "Host", "ServedNodes"]
