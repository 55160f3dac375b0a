"""ServedNodes: those that are served here, one of which is changed by one request at a time."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from xmppd.cluster.claims import Owned
from xmppd.cluster.node import Node
from xmppd.host.locks import Locks
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.claim_tokens import Deposed

from .access import Affiliation, Standing
from .config import NodeConfig, NodeForm
from .state import Follow, NodeName, NodeState
from .store import PubSubStore
from .subscription_forms import SubscriptionForm
from .tables import KIND

MOVED = "another node of the service took over this PubSub node; try again"

MAX_IN_MEMORY = 10_000
"""Nodes whose affiliations and subscriptions are in memory; the one used longest ago makes room."""


class Host(Protocol):
    """Somebody who has nodes: a service, or an account.

    Attributes:
        jid: Its address.
        form: The form of its nodes' configuration.
        subscription_form: The form of options of subscriptions to them.
        max_nodes: How many it may have.
        max_bytes: How large the items of all of them may be together.
    """

    jid: JID
    form: NodeForm
    subscription_form: SubscriptionForm
    max_nodes: int
    max_bytes: int

    def defaults(self, node: str) -> NodeConfig:
        """The configuration of a new node of this name."""

    def check_create(self, who: JID, *, by_publishing: bool = False) -> None:
        """Let somebody make a node.

        Args:
            who: Wants one.
            by_publishing: Whether they want to publish, and there is no such node.

        Raises:
            StanzaError: They may not.
        """

    def check_config(self, node: str, config: NodeConfig) -> None:
        """Let a node be configured so.

        Raises:
            StanzaError: It may not.
        """

    def is_owner(self, who: JID) -> bool:
        """Whether somebody is an owner of all its nodes, whatever these say."""

    async def relation(self, who: JID, config: NodeConfig) -> tuple[bool, bool]:
        """Whether somebody sees the host's presence, and is in one of its groups that a node lets
        in.
        """

    async def tell(
        self,
        recipients: Sequence[str],
        *children: bytes,
        cause: JID | None,
        type: str | None = None,
    ) -> None:
        """Send a message to each of them; it counts for who has caused it, if anybody has."""

    async def tell_event(
        self,
        state: NodeState,
        follows: Sequence[Follow],
        event: Callable[[], bytes],
        body: bytes = b"",
        *,
        cause: JID | None,
    ) -> None:
        """Tell an event to who has subscribed, and to whom the host tells its events besides.

        Args:
            state: The node.
            follows: Subscriptions whose owners want to be told.
            event: Writes the event, once somebody is told.
            body: The same in words, for those who want it.
            cause: Who has caused it, for whom it counts; None if only time has.
        """


class ServedNodes(Owned):
    """All nodes that are served here. On however many nodes the service is, each is served at one
    of them (CL-77), so that what is published there comes to all in one order (NO-17).

    Args:
        store: Keeps them.
        now: Tells the time, in seconds since 1970.

    Attributes:
        hosts: Services, by JID: each of their nodes is served at one server of the service. Those
            of accounts are served at each, and the store sees to it that they do not get in each
            other's way.
        account: Makes the host that an account is; None if it is none.
    """

    kind = KIND

    def __init__(self, store: PubSubStore, now: Callable[[], float]) -> None:
        self.store = store
        self.now = now
        self.hosts: dict[str, Host] = {}
        self.account: Callable[[JID], Host | None] = no_account
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

    def host(self, jid: str) -> Host:
        """Who has nodes under an address.

        Raises:
            StanzaError: ITEM_NOT_FOUND: nobody.
        """
        host = self.hosts.get(jid) or self.account(JID.prepared(jid))
        if host is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND)
        return host

    def lives_once(self, name: NodeName) -> bool:
        """Whether a node is served at one server of the service; else it is at each."""
        return name.host in self.hosts

    # -- for one request --------------------------------------------------------------------------

    def alone(self, name: NodeName) -> AbstractAsyncContextManager[Host, None]:
        """A context in which nobody else does anything with a node; gives its host.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is no such host any more.
        """
        return _Alone(self, name, self._locks.held(name.thing))

    def token(self, name: NodeName) -> int | None:
        """The token with which a node is written; None for one that is served everywhere.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: it is served elsewhere by now.
        """
        token = self._tokens.get(name.thing)
        if token is None and self.lives_once(name):
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
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the node does not exist")
        return state

    def remember(self, state: NodeState) -> None:
        """Keep a node in memory."""
        self._states[state.name.thing] = state
        if len(self._states) > MAX_IN_MEMORY:
            self._states.popitem(last=False)

    def forget(self, name: NodeName) -> None:
        """Have a node be read again when it is used."""
        self._states.pop(name.thing, None)

    def forget_host(self, jid: JID) -> None:
        """Forget all nodes of somebody who is gone."""
        of_host = f"{jid.full} "
        for thing in [thing for thing in self._states if thing.startswith(of_host)]:
            del self._states[thing]

    async def standing(self, host: Host, state: NodeState, who: JID) -> Standing:
        """What somebody is to a node."""
        if host.is_owner(who):
            return Standing(Affiliation.OWNER)
        sees, in_group = await host.relation(who, state.config)
        is_subscribed = state.is_subscribed(who, self.now())
        return Standing(state.affiliation(who), is_subscribed, sees, in_group)


def kept(host: Host, config: NodeConfig) -> int:
    """How many items a node keeps."""
    return host.form.max_items if config.max_items is None else config.max_items


class _Alone(AbstractAsyncContextManager[Host, None]):
    """What is done with a node while nobody else does anything."""

    __slots__ = ("_lock", "_name", "_nodes")

    def __init__(
        self, nodes: ServedNodes, name: NodeName, lock: AbstractAsyncContextManager[None]
    ) -> None:
        self._nodes = nodes
        self._name = name
        self._lock = lock

    async def __aenter__(self) -> Host:
        nodes, name = self._nodes, self._name
        host = nodes.host(name.host)
        await self._lock.__aenter__()
        if nodes.store.database.shared and not nodes.lives_once(name):
            nodes.forget(name)  # another server may have changed it
        return host

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        nodes, name = self._nodes, self._name
        try:
            if isinstance(error, Deposed):
                nodes.lost(name.thing)
                raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, MOVED) from error
            if error is not None and not isinstance(error, StanzaError):
                nodes.forget(name)  # what has failed half-way is read again
        finally:
            await self._lock.__aexit__(None, None, None)


def no_account(jid: JID) -> None:
    """Say that no account has nodes."""


__all__ = ["MAX_IN_MEMORY", "Host", "ServedNodes", "kept", "no_account"]
