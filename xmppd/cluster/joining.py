"""Joining: a node that would not fit the others does not join them."""

from collections.abc import Iterable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from xmppd.cluster.lease_board import NameTaken
from xmppd.cluster.leases import RENEW_EVERY_S, LeasedMembership
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import Node

LOOK_S = 0.05


class JoinError(Exception):
    """An error: a node cannot join; the text is one sentence that says what to change."""


async def join(membership: LeasedMembership, clock: IReactorTime) -> None:
    """Join the nodes that are in.

    A name that is taken is asked for again for as long as a lease lasts: its node may have been
    killed, and started again without its data directory.

    Raises:
        BoardAway: Redis does not answer.
        JoinError: This node would not fit the others, or one of its name is alive.
    """
    state = await membership.board.read(())
    check_fits(membership.node, state.nodes)
    await _join_when_name_is_free(membership, clock)
    try:
        check_fits(membership.node, membership.nodes.values())  # one that joined at the same time
    except JoinError:
        await membership.leave()
        raise


async def _join_when_name_is_free(membership: LeasedMembership, clock: IReactorTime) -> None:
    until = clock.seconds() + membership.lease_s + RENEW_EVERY_S
    while True:
        try:
            await membership.join()
        except NameTaken as error:
            if clock.seconds() >= until:
                raise JoinError(
                    f'cluster.node "{membership.node.id.name}" is the name of another running '
                    "node; give this one another name, or stop the other"
                ) from error
            await deferLater(clock, RENEW_EVERY_S)
        else:
            return


async def may_act(membership: Membership, clock: IReactorTime) -> None:
    """Wait until a node that has joined may act: what it does while it starts, such as reading its
    plugins, may have taken longer than its lease.

    Raises:
        JoinError: The other nodes have declared it dead meanwhile.
    """
    while not membership.speaks:
        if membership.fenced:
            raise JoinError(
                "this node took so long to start that the others declared it dead; start it "
                "again, and if that does not help, increase cluster.lease_s"
            )
        await deferLater(clock, LOOK_S)


def check_fits(node: Node, others: Iterable[Node]) -> None:
    """Refuse a node that would be at odds with one of the others.

    Raises:
        JoinError: It would.
    """
    for other in others:
        if other.id.name == node.id.name:
            continue
        name = other.id.name
        if other.secret != node.secret:
            raise JoinError(
                f'cluster.secret_file differs from that of node "{name}"; copy the file from there'
            )
        if other.domains != node.domains:
            raise JoinError(
                f'[[domain]] differs from node "{name}"; all nodes must serve the same domains'
            )
        if other.database != node.database:
            raise JoinError(
                f'storage.url differs from node "{name}"; all nodes must use the same database'
            )
        if abs(other.protocol - node.protocol) > 1:
            older = "this node" if node.protocol < other.protocol else f'node "{name}"'
            raise JoinError(
                f'node "{name}" uses version {other.protocol} of the protocol between nodes, and '
                f"this node version {node.protocol}; upgrade xmppd at {older} first, one release "
                "at a time"
            )
        if bool(other.address) != bool(node.address):
            theirs, ours = ("direct", "redis") if other.address else ("redis", "direct")
            raise JoinError(
                f'cluster.links is "{ours}" here, but "{theirs}" at node "{name}"; all nodes '
                "must use the same value"
            )


__all__ = ["JoinError", "check_fits", "join"]
