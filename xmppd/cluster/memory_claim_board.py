"""A board of claims in memory: that of a single node, and of nodes that live in one process."""

from typing_extensions import override

from xmppd.cluster.claims import ClaimBoard, Ownership
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId


class MemoryClaims:
    """What all nodes see of it.

    Attributes:
        claims: Who has what.
        tokens: The last one of each kind.
    """

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], Ownership] = {}
        self.tokens: dict[str, int] = {}

    def empty(self) -> None:
        """Lose everything."""
        self.claims.clear()
        self.tokens.clear()

    def next_token(self, kind: str, above: int) -> int:
        """A token for a thing of this kind."""
        self.tokens[kind] = token = max(self.tokens.get(kind, 0), above) + 1
        return token


class MemoryClaimBoard(ClaimBoard):
    """One node's way to it.

    Args:
        state: Shared by all nodes.
        membership: Who is in.

    Attributes:
        away: Whether it does not answer this node.
    """

    def __init__(self, state: MemoryClaims, membership: Membership) -> None:
        self.state = state
        self.membership = membership
        self.away = False

    @override
    async def look(self, kind: str, name: str) -> NodeId | None:
        claim = self._reached().claims.get((kind, name))
        return claim.owner if claim is not None and self._is_in(claim.owner) else None

    @override
    async def own(self, kind: str, name: str, id: NodeId, above: int) -> Ownership:
        state = self._reached()
        held = state.claims.get((kind, name))
        if held is not None and self._is_in(held.owner):
            return held
        if not self.membership.speaks:
            raise DirectoryAway(f"{id} has no lease")
        above = max(above, held.token if held else 0)
        claim = state.claims[kind, name] = Ownership(id, state.next_token(kind, above))
        return claim

    @override
    async def own_again(self, kind: str, name: str, claim: Ownership) -> Ownership:
        state = self._reached()
        held = state.claims.get((kind, name))
        if held is not None and held.token >= claim.token:
            return held
        state.claims[kind, name] = claim
        state.tokens[kind] = max(state.tokens.get(kind, 0), claim.token)
        return claim

    @override
    async def hand_over(self, kind: str, name: str, claim: Ownership, to: NodeId | None) -> int:
        state = self._reached()
        if state.claims.get((kind, name)) != claim:
            return 0
        if to is None:
            del state.claims[kind, name]
            return 0
        state.claims[kind, name] = Ownership(to, state.next_token(kind, claim.token))
        return state.claims[kind, name].token

    @override
    async def void(self, *, remove: bool) -> int:
        claims = self._reached().claims
        void = [thing for thing, claim in claims.items() if not self._is_in(claim.owner)]
        if remove:
            for thing in void:
                del claims[thing]
        return len(void)

    def _is_in(self, node: NodeId) -> bool:
        return node == self.membership.id or self.membership.is_in(node)

    def _reached(self) -> MemoryClaims:
        if self.away:
            raise DirectoryAway("no answer")
        return self.state


__all__ = ["MemoryClaimBoard", "MemoryClaims"]
