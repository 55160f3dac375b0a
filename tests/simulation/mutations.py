"""Rules of the cluster, each left out: what the simulation has to notice.

Each function is given what patches an attribute, and leaves one rule out.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from tests.simulation import simulated_redis
from tests.simulation.simulated_bus import SimulatedLinks
from tests.simulation.simulated_redis import RedisState
from tests.simulation.world import SimulatedNode
from xmppd.cluster.conversation import Conversation
from xmppd.cluster.entries.presence import Apart
from xmppd.cluster.frame import FrameKind, header, read_header
from xmppd.cluster.leases import LeasedMembership
from xmppd.cluster.membership import NodeLost
from xmppd.cluster.node import Location
from xmppd.cluster.redis_connection import Reply
from xmppd.cluster.redis_scripts import BIND, RELEASE
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.nodes.reassertions import Reassertions
from xmppd.routing.interest import Interest
from xmppd.routing.locations import Locations
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import Presence

Patch = Callable[[Any, str, object], object]
LATE_S = 0.5


def release_without_serial(patch: Patch) -> None:
    """RELEASE takes out whoever has the resource."""

    def release(state: RedisState, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        places = state.accounts.get(keys[0], {})
        if arguments[0] in places:
            return RedisState.release(state, keys, (arguments[0], places[arguments[0]]))
        return 0

    scripts = {**simulated_redis.SCRIPTS, RELEASE.digest: release}
    patch(simulated_redis, "SCRIPTS", scripts)


def read_before_write(patch: Patch) -> None:
    """A login has looked who is there before others can find it."""

    def bind(state: RedisState, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        before = dict(state.accounts.get(keys[0], {}))
        reply = RedisState.bind(state, keys, arguments)
        place = state.accounts.get(keys[0], {}).get(arguments[0])
        if place is not None and place != before.get(arguments[0]):
            state.accounts[keys[0]] = before
            state.time.after(LATE_S, _write, state, keys[0], arguments[0], place)
        return reply

    patch(simulated_redis, "SCRIPTS", {**simulated_redis.SCRIPTS, BIND.digest: bind})


def _write(state: RedisState, key: str, resource: str, place: str) -> None:
    state.accounts.setdefault(key, {})[resource] = place


def unbind_forgotten(patch: Patch) -> None:
    """An Unbind that overtakes its BIND is forgotten."""
    patch(Locations, "_is_void", lambda *_: False)


def interest_without_serial(patch: Patch) -> None:
    """Interest is removed by any goodbye."""

    def unnote(interest: Interest, account: str, gone: Location) -> None:
        known = interest.elsewhere.pop(account, ())
        left = tuple(each for each in known if each.node != gone.node)
        if left:
            interest.elsewhere[account] = left

    patch(Interest, "unnote", unnote)


def goodbye_by_interest(patch: Patch) -> None:
    """A goodbye goes only where contacts are known to be."""

    def say_goodbye(
        interest: Interest,
        session: LocalClientSession,
        gone: Presence,
        people: Collection[str],
        apart: Collection[Apart] = (),
    ) -> None:
        session.count += 1
        interest.tell(session, gone, people)

    patch(Interest, "say_goodbye", say_goodbye)


def no_assertion(patch: Patch) -> None:
    """Sessions are not asserted after a node is lost."""

    async def node_lost(self: Reassertions, event: NodeLost) -> None:
        pass

    patch(Reassertions, "node_lost", node_lost)
    patch(Locations, "_some", lambda self: [])  # nor, some time later, by the way


def no_second_read(patch: Patch) -> None:
    """The directory is not read again when a message was stored."""

    async def tell_others(*_: object, **__: object) -> None:
        pass

    patch(OfflineMessageFlood, "tell_others", tell_others)


def acknowledged_early(patch: Patch) -> None:
    """A frame is acknowledged when it has come."""
    receive = Conversation.receive

    def received(self: Conversation, frame: bytes) -> None:
        receive(self, frame)
        kind, _, _ = read_header(frame)
        if self.carrier is not None and kind != FrameKind.ACKNOWLEDGEMENT:
            came = self._inbox._received
            self.carrier.send(header(FrameKind.ACKNOWLEDGEMENT, 0, came))

    patch(Conversation, "receive", received)


def fenced_without_link(patch: Patch) -> None:
    """A node is declared dead although its link is alive."""
    patch(SimulatedLinks, "dead", lambda self, node: True)


def lease_by_wall_clock(patch: Patch) -> None:
    """How long a lease lasts is told by the time of day."""
    patch(SimulatedNode, "lease_clock", lambda self: self.wall_clock())


def handled_without_lease(patch: Patch) -> None:
    """A node goes on when its lease has run out."""
    patch(LeasedMembership, "speaks", property(lambda self: not self.fenced))


ALL = (
    release_without_serial,
    read_before_write,
    unbind_forgotten,
    interest_without_serial,
    goodbye_by_interest,
    no_assertion,
    no_second_read,
    acknowledged_early,
    fenced_without_link,
    lease_by_wall_clock,
    handled_without_lease,
)
