"""LeasedMembership: a node that may act while the others can rely on its being alive."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from xmppd.cluster.bus import Unreachable
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.membership import LeaseRenewed, LeaseState, Renew
from xmppd.cluster.lease_board import (
    BoardAway,
    BoardState,
    GenerationFenced,
    LeaseBoard,
    NotOnBoard,
    Renewal,
)
from xmppd.cluster.membership import (
    Membership,
    NodeFenced,
    NodeJoined,
    NodeLeft,
    NodeLost,
    nothing_to_close,
    nothing_to_enter,
    nothing_to_hand_over,
)
from xmppd.cluster.node import Node, NodeId
from xmppd.host.clocks import UNKNOWN, boot_clock

RENEW_EVERY_S = 1.0
MARGIN_S = 0.5
"""A lease is believed to end so much earlier than the board has it end: for what clocks differ."""

ASK_WITHIN_S = 1.0
MAX_ASKED_AT_ONCE = 16
MAX_DEAD_REMEMBERED = 1_000

_log = Logger()


class NodeLinks(Protocol):
    """Connections to other nodes, where there are some beside the board."""

    def linked(self, node: NodeId) -> bool:
        """Whether there is a connection to a node."""

    def dead(self, node: NodeId) -> bool:
        """Whether nothing has come from a node for the time of a lease."""

    def refuses(self, node: NodeId) -> bool:
        """Whether a node's address refuses connections: its process is gone."""

    async def ask_beside(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        """Ask a node, which answers also while it may not act otherwise.

        Raises:
            Unreachable: There is no connection, or no answer in time.
        """


class LeasedMembership(Membership):
    """The membership of a node whose lease is renewed each second, and looked at in each turn.

    Its lease is valid until so many seconds after it was asked for, by a clock that goes on while
    the machine sleeps: never longer than the others wait before they declare it dead (CL-61).

    Args:
        board: On which all nodes are written.
        node: This one: what it says of itself, with the last generation that it has had.
        lease_s: The time of a lease.
        clock: The reactor's.
        boot_clock: Goes on while the machine sleeps, or this process is stopped.

    Attributes:
        node: This one, as it stands on the board, or will after the next renewal.
        era: Of the board.
        fenced: Whether this life is over.
        links: Connections to other nodes; None if all goes by the board's Redis.
        silence_s: After so long without a lease, wires are closed.
        isolation_s: After so long in which only others renew the lease, clients are handed over.
        on_voice: Called when it may act again.
    """

    def __init__(
        self,
        board: LeaseBoard,
        node: Node,
        lease_s: float,
        clock: IReactorTime,
        boot_clock: Callable[[], float] = boot_clock,
    ) -> None:
        self.board = board
        self.id = node.id
        self.node = node
        self.lease_s = lease_s
        self.clock = clock
        self.nodes: Mapping[str, Node] = {}
        self.era = ""
        self.fenced = False
        self.links: NodeLinks | None = None
        self.silence_s = 2 * lease_s
        self.on_voice: tuple[Callable[[], None], ...] = ()
        self.on_silence = nothing_to_close
        self.on_loss = nothing_to_enter
        self.on_isolation: Callable[[bool], None] = nothing_to_hand_over
        self.isolation_s = 30.0
        self._renewed_by_others_since: float | None = None
        self._boot_clock = boot_clock
        self._valid_until = self._renewed_at = self._steady_since = UNKNOWN
        self._version = 0
        self._is_over = self._is_silent = self._is_away = self._is_isolated = False
        self._has_joined = self._met_others = self._has_news = False
        self._awaited: frozenset[NodeId] = frozenset()
        self._dead: dict[NodeId, None] = {}
        self._complete = True
        self._voices: list[Deferred[None]] = []
        self._fire: Callable[[object], None] | None = None
        self._held: list[object] = []
        self._timer: IDelayedCall | None = None
        self._turn: Deferred[None] | None = None
        self._asked: list[Deferred[bool]] = []

    # -- for the stages -------------------------------------------------------------------------

    @property
    @override
    def speaks(self) -> bool:
        return self._boot_clock() < self._valid_until

    @property
    @override
    def complete(self) -> bool:
        return self._complete and self.board.is_of(self.era)

    @override
    def is_in(self, node: NodeId) -> bool:
        known = self.nodes.get(node.name)
        return known is not None and known.id == node

    @override
    def describe(self, **fields: object) -> None:
        """Say something else of this node: it is written at once if the board answers, else as soon
        as it does.
        """
        self.node = replace(self.node, **fields)
        self._has_news = True
        if self._has_joined and self._turn is None and not self._is_over:
            self._take_turn()

    @override
    def voice(self) -> Deferred[None]:
        voice = Deferred[None]()
        if self.speaks:
            voice.callback(None)
        elif not self.fenced:
            self._voices.append(voice)
        return voice

    @override
    async def refresh(self) -> bool:
        if self._is_over:
            return False
        seen = Deferred[bool]()
        self._asked.append(seen)
        if self._turn is None:
            self._take_turn()
        return await seen

    @property
    @override
    def lease_age_s(self) -> float:
        return self._boot_clock() - self._renewed_at

    @property
    def without_redis(self) -> bool:
        """Whether the board does not answer this node."""
        return self._is_away

    @override
    def listen(self, fire: Callable[[object], None]) -> None:
        """Call this with each event from now on, and with those that there were before."""
        self._fire = fire
        held, self._held = self._held, []
        for event in held:
            fire(event)

    # -- in and out -----------------------------------------------------------------------------

    async def join(self) -> None:
        """Join, and renew the lease from now on.

        Raises:
            BoardAway: It does not answer.
            NameTaken: Another node is called so.
        """
        asked_at = self._boot_clock()
        self.id, renewal = await self.board.join(self.node, self.lease_s)
        self._has_joined = True
        self.era = renewal.era
        self.node = replace(self.node, id=self.id, entered=self.era)
        self._renewed(asked_at)
        await self.board.describe(self.node)  # that there are no sessions to enter, in this era
        await self._look(renewal.version)
        self._held.clear()  # who was in before has not joined
        self._next_turn()

    @override
    async def leave(self) -> None:
        if self._is_over:
            return
        self._end()
        if self._turn is not None:
            await self._turn
        if self._has_joined and not self.fenced:
            try:
                await self.board.leave(self.id)
            except BoardAway as error:
                _log.warn(
                    "node {id} has left, but could not record this in Redis: {error}",
                    id=self.id,
                    error=error,
                )

    def _end(self) -> None:
        self._is_over = True
        self._valid_until = UNKNOWN
        self._voices.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _be_fenced(self) -> None:
        """Speak no more: for the others this life is over."""
        if not self.fenced:
            self.fenced = True
            self._end()
            _log.error("the other nodes fenced node {id}: it starts again", id=self.id)
            self.on_silence()
            self._tell(NodeFenced(self.id))

    # -- each second ----------------------------------------------------------------------------

    def _next_turn(self) -> None:
        if not self._is_over and self._timer is None:
            self._timer = self.clock.callLater(RENEW_EVERY_S, self._take_turn)

    def _take_turn(self) -> None:
        """Renew the lease; whoever wants to know who is in is told afterwards."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        asked, self._asked = self._asked, []
        turn = Deferred.fromCoroutine(self._renew())
        self._turn = turn
        turn.addErrback(_failed)
        turn.addCallback(lambda _: self._turn_is_over(asked))

    def _turn_is_over(self, asked: list[Deferred[bool]]) -> None:
        self._turn = None
        for seen in asked:
            seen.callback(not self._is_away)
        if self._asked and not self._is_over:
            self._take_turn()
        else:
            self._next_turn()

    async def _renew(self) -> None:
        asked_at = self._boot_clock()
        try:
            try:
                renewal = await self.board.renew(self.id, self.lease_s)
                has_lost = renewal.era != self.era
            except NotOnBoard:
                has_lost = True
            if has_lost:
                renewal = await self._join_again()
            self._board_is_back()
            await self._take(renewal, asked_at)
            await self._write_news()
        except GenerationFenced:
            self._be_fenced()
        except BoardAway as error:
            self._board_is_away(error)
            await self._go_on_without(asked_at)
        self._notice_silence()

    async def _write_news(self) -> None:
        """Write what this node says of itself, if that is something else than before."""
        while self._has_news and not self._is_over:
            self._has_news = False
            try:
                await self.board.describe(self.node)
            except BoardAway:
                self._has_news = True
                raise
            except NotOnBoard:
                return  # it is written when this node is on the board again
            self._see_if_complete()

    async def _join_again(self) -> Renewal:
        """Write our record again, and who is dead: the board may have lost either."""
        self.era, self.node = "", replace(self.node, entered="")
        _, renewal = await self.board.join(
            self.node, self.lease_s, again=True, fenced=tuple(self._dead)
        )
        return renewal

    async def _take(self, renewal: Renewal, asked_at: float) -> None:
        if self._is_over:
            return
        self._renewed(asked_at)
        if renewal.era != self.era:
            self._begin_era(renewal.era, asked_at)
        if renewal.version != self._version:
            await self._look(renewal.version)
        if asked_at - self._steady_since >= self.lease_s:
            await self._fence(renewal)

    def _renewed(self, asked_at: float) -> None:
        if asked_at - self._renewed_at > self.lease_s - MARGIN_S:
            self._steady_since = asked_at
        self._renewed_at = asked_at
        self._extend(asked_at)

    def _extend(self, asked_at: float) -> None:
        """Act until the lease ends that was asked for at this moment."""
        was_silent = not self.speaks
        self._valid_until = max(self._valid_until, asked_at + self.lease_s - MARGIN_S)
        if was_silent and self.speaks:
            self._is_silent = False
            voices, self._voices = self._voices, []
            for voice in voices:
                voice.callback(None)
            for go_on in self.on_voice:
                go_on()

    def _notice_silence(self) -> None:
        if self._is_over or self._is_silent or self.speaks:
            return
        if self._boot_clock() - self._valid_until >= self.silence_s:
            self._is_silent = True
            _log.error("node {id} has had no lease for too long", id=self.id)
            self.on_silence()

    # -- who is in ------------------------------------------------------------------------------

    async def _look(self, version: int) -> None:
        """Read who is in, and tell what has changed."""
        known = tuple(node.id for node in self.nodes.values())
        state = await self.board.read(known)
        if self._is_over:
            return
        self._version = version
        own = next((node for node in state.nodes if node.id == self.id), None)
        if own is not None:
            self.node = replace(self.node, number=own.number)
        before = self.nodes
        on_board = {node.id.name: node for node in state.nodes if node.id.name != self.id.name}
        awaited = {node.id.name: node for node in self._awaited_of(on_board, state)}
        self._awaited = frozenset(node.id for node in awaited.values())
        self.nodes = {**awaited, **on_board}
        self._met_others = self._met_others or bool(self.nodes)
        self._see_if_complete()
        for node in before.values():
            if not self.is_in(node.id):
                self._is_gone(node, has_left=node.id in state.left)
        for node in self.nodes.values():
            was = before.get(node.id.name)
            if was is None or was.id != node.id:
                _log.info("node {id} has joined", id=node.id)
                self._tell(NodeJoined(node))

    def _awaited_of(self, on_board: Mapping[str, Node], state: BoardState) -> Iterator[Node]:
        """The nodes that the board has lost: they come back, or can be fenced."""
        for name, node in self.nodes.items():
            if name not in on_board and node.id not in state.fenced and node.id not in state.left:
                yield node

    def _is_gone(self, node: Node, *, has_left: bool) -> None:
        self._dead[node.id] = None
        while len(self._dead) > MAX_DEAD_REMEMBERED:
            del self._dead[next(iter(self._dead))]
        if has_left:
            _log.info("node {id} has left", id=node.id)
            self._tell(NodeLeft(node))
        else:
            _log.warn("node {id} is lost", id=node.id)
            self._tell(NodeLost(node))

    async def _fence(self, renewal: Renewal) -> None:
        """Declare those dead whose lease has run out and from whom nothing comes (CL-62)."""
        for node in tuple(self.nodes.values()):
            if not (node.id.name in renewal.late or node.id in self._awaited):
                continue
            if self.links is not None and not self.links.dead(node.id):
                continue
            if await self.board.fence(node.id, self.id, renewal.era):
                _log.warn("node {id} has fenced node {other}", id=self.id, other=node.id)
            await self._look(self._version)

    def _tell(self, event: object) -> None:
        if self._fire is None:
            self._held.append(event)
        else:
            self._fire(event)

    # -- what the board has lost ----------------------------------------------------------------

    def _begin_era(self, era: str, began_at: float) -> None:
        """Enter all sessions again: what was written before may be lost (CL-64)."""
        _log.warn("Redis may have lost its data: this node lists all its sessions there again")
        self.era = era
        self._steady_since = began_at
        self._version = -1  # whoever was in may be missing
        self._complete = False
        entering = Deferred.fromCoroutine(self._enter_all(era))
        entering.addErrback(_failed)

    async def _enter_all(self, era: str) -> None:
        await self.on_loss()
        if self.era == era and not self._is_over:
            self.describe(entered=era)

    def _see_if_complete(self) -> None:
        nodes = (self.node, *self.nodes.values())
        self._complete = not self._awaited and all(node.entered == self.era for node in nodes)

    # -- without Redis --------------------------------------------------------------------------

    def _board_is_away(self, error: BoardAway) -> None:
        if not self._is_away:
            self._is_away = True
            _log.error("Redis does not answer node {id}: {error}", id=self.id, error=error)

    def _board_is_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("Redis answers node {id} again", id=self.id)
        if self._is_isolated:
            self._is_isolated = False
            self.on_isolation(False)
        self._renewed_by_others_since = None

    async def _go_on_without(self, asked_at: float) -> None:
        """Act on without Redis, if nobody can be there who would fence this node (CL-63)."""
        if self.links is None:
            if not self._met_others:
                self._extend(asked_at)
            return
        others = tuple(self.nodes.values())
        for start in range(0, len(others), MAX_ASKED_AT_ONCE):
            some = others[start : start + MAX_ASKED_AT_ONCE]
            asked = [Deferred.fromCoroutine(self._ask(self.links, node.id)) for node in some]
            states: list[LeaseState] = await gatherResults(asked)
            if LeaseState.FENCED in states:
                self._be_fenced()
                return
            if LeaseState.RENEWED in states:
                self._extend(asked_at)
                self._notice_isolation(asked_at)
                return
            if any(state != LeaseState.AWAY for state in states):
                return
        if not self._is_over:
            self._extend(asked_at)

    def _notice_isolation(self, now: float) -> None:
        """Note that only others renew the lease: Redis is there, and not for this node (CL-123)."""
        since = self._renewed_by_others_since
        if since is None:
            self._renewed_by_others_since = now
        elif not self._is_isolated and now - since >= self.isolation_s:
            self._is_isolated = True
            _log.error("Redis answers other nodes, but not node {id}, which now drains", id=self.id)
            self.on_isolation(True)

    async def _ask(self, links: NodeLinks, node: NodeId) -> LeaseState:
        """Have another node renew our lease; one whose process is gone has no Redis either."""
        try:
            answer = await links.ask_beside(node, Renew(), ASK_WITHIN_S)
        except Unreachable:
            return LeaseState.AWAY if links.refuses(node) else LeaseState.UNKNOWN
        return answer.state if isinstance(answer, LeaseRenewed) else LeaseState.UNKNOWN

    async def renew_for(self, sender: NodeId, entry: Renew) -> LeaseRenewed:
        """Renew the lease of a node that Redis does not answer."""
        if sender in self._dead:
            return LeaseRenewed(LeaseState.FENCED)
        if self._is_away:
            return LeaseRenewed(LeaseState.AWAY)
        try:
            await self.board.renew(sender, self.lease_s)
        except GenerationFenced:
            return LeaseRenewed(LeaseState.FENCED)
        except NotOnBoard:
            return LeaseRenewed(LeaseState.UNKNOWN)
        except BoardAway:
            return LeaseRenewed(LeaseState.AWAY)
        return LeaseRenewed(LeaseState.RENEWED)


def _failed(failure: Failure) -> None:
    _log.failure("the lease was not renewed", failure)


__all__ = ["MARGIN_S", "RENEW_EVERY_S", "LeasedMembership", "NodeLinks"]
