"""Seams: the methods of stages that may be replaced or watched, in one table, by class."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from xmppd.events import Undo
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.presence.presence_manager import PresenceManager
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.stanza import Stanza

Method = Callable[..., object]

NEAR = 0.75
"""How much alike the name of a method is to one of a seam, from 0 to 1, if that is meant."""

SEAMS: Mapping[type, tuple[Method, ...]] = {
    PacketRouter: (PacketRouter.route,),
    InterceptorManager: (InterceptorManager.come_in, InterceptorManager.go_out),
    MessageRouter: (MessageRouter.route,),
    PresenceRouter: (PresenceRouter.route,),
    IQRouter: (IQRouter.route,),
    OfflineMessageStrategy: (
        OfflineMessageStrategy.undeliverable,
        OfflineMessageStrategy.nobody_there,
    ),
    PresenceUpdateHandler: (PresenceUpdateHandler.process, PresenceUpdateHandler.broadcast),
    PresenceSubscribeHandler: (PresenceSubscribeHandler.process,),
    PresenceManager: (
        PresenceManager.handle_probe,
        PresenceManager.deliver,
        PresenceManager.deliver_to_interested,
        PresenceManager.say_goodbye,
    ),
    RoutingTable: (RoutingTable.route,),
}
"""The stages that may be replaced and watched, with the methods that a subclass may override: each
takes a stanza.
"""


@dataclass(frozen=True)
class Replace:
    """Puts a subclass of ours in the place of a stage, without a restart.

    The stage keeps what it holds and becomes an instance of the subclass, which therefore has no
    ``__init__`` or ``__slots__`` of its own.

    Attributes:
        stage: The class of the stage, one of :data:`SEAMS`.
        by: A subclass of it, which overrides no other methods than those of its seam.
    """

    stage: type
    by: type


Call = Callable[[], object]
Watch = Callable[[Method, Call, Stanza, tuple[object, ...]], object]
"""Gets the method of the seam, a function that calls it, the stanza and further arguments; returns
the call's result.
"""


class Seams:
    """The place of replacements, and of a watch on all stages.

    A stage changes its class and nothing else, for which
    :func:`~xmppd.server.replaceable.replaceable` has prepared it: one that is neither replaced nor
    watched is exactly as it was made.

    Args:
        stages: By the class they were made of.
    """

    def __init__(self, stages: Mapping[type, object]) -> None:
        self.stages = {kind: stages[kind] for kind in SEAMS}
        self._made_of = {kind: self.stages[kind].__class__ for kind in SEAMS}
        self._replaced: dict[type, type] = {}
        self._watch: Watch | None = None

    def put(self, part: Replace, owner: str) -> Undo:
        """Make the stage an instance of the subclass, for all that refer to it.

        Raises:
            ValueError: It is no such stage or subclass, another plugin has replaced it, or a method
                is misspelt and would never be called.
        """
        stage, by = part.stage, part.by
        if not issubclass(by, stage):
            raise ValueError(f"{by.__name__} is not a subclass of {stage.__name__}")
        if stage not in SEAMS:
            raise ValueError(f"plugins cannot replace a {stage.__name__}")
        if stage in self._replaced:
            raise ValueError(f"another plugin replaced the {stage.__name__}")
        seam = {method.__name__ for method in SEAMS[stage]}
        other = sorted(name for name in by.__dict__ if _is_refused(name, stage, seam))
        if other:
            raise ValueError(f"{by.__name__} overrides {other[0]}, which plugins cannot replace")
        misspelt = [
            (name, near[0])
            for name, value in by.__dict__.items()
            if inspect.isroutine(value) and not hasattr(stage, name)
            if (near := get_close_matches(name, seam, 1, NEAR))
        ]
        if misspelt:
            name, meant = misspelt[0]
            raise ValueError(
                f"{stage.__name__} has no method {name}; write {meant} in {by.__name__}"
            )
        self._replaced[stage] = by
        self._become(stage)

        def take_out() -> None:
            del self._replaced[stage]
            self._become(stage)

        return take_out

    def watch(self, watch: Watch) -> Undo:
        """Call this for every call of a seam, replaced or not."""
        assert self._watch is None, "one watches, for as many as want to know"
        self._watch = watch
        for stage in SEAMS:
            self._become(stage)

        def take_out() -> None:
            self._watch = None
            for stage in SEAMS:
                self._become(stage)

        return take_out

    def _become(self, stage: type) -> None:
        kind = self._replaced.get(stage) or self._made_of[stage]
        if self._watch is not None:
            kind = _watched(kind, SEAMS[stage], self._watch)
        self.stages[stage].__class__ = kind


def _is_refused(name: str, stage: type, seam: set[str]) -> bool:
    """Whether a name in a subclass overrides more than a seam, or is for what attributes are kept
    in: then the stage could not become an instance of it.
    """
    if name.startswith("__"):
        return name in ("__init__", "__slots__")
    return name not in seam and hasattr(stage, name)


def _watched(kind: type, seam: tuple[Method, ...], watch: Watch) -> type:
    """A subclass in which each method of the seam calls the watch."""
    return type(kind.__name__, (kind,), {m.__name__: _by_way_of(watch, m, kind) for m in seam})


def _by_way_of(watch: Watch, method: Method, kind: type) -> Method:
    inner: Method = getattr(kind, method.__name__)

    def call(stage: object, stanza: Stanza, *more: object, **named: object) -> object:
        return watch(method, partial(inner, stage, stanza, *more, **named), stanza, more)

    return call


__all__ = ["SEAMS", "Call", "Method", "Replace", "Seams", "Watch"]
