"""The parts of plugins, and the table of their places."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Never, Protocol, TypeVar

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime

from xmppd.auth.base import AuthProvider
from xmppd.cluster.claims import Owned
from xmppd.command.command import Command
from xmppd.command.command_form import CommandForm
from xmppd.components.internal_component import InternalComponent
from xmppd.components.service import Service
from xmppd.components.service_domains import Component
from xmppd.config.settings import Settings
from xmppd.disco.disco import Says
from xmppd.events import On, Undo
from xmppd.handler.iq_handler import IQHandler
from xmppd.host.metrics import Metric
from xmppd.message.follower import Follower
from xmppd.migration.service_data import ServiceData
from xmppd.migration.user_data import UserData
from xmppd.nodes.plugin_messages import Tell
from xmppd.pages.page import Page, Panel
from xmppd.plugin.offers import Offer, Offers
from xmppd.plugin.seams import Replace, Seams
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session_state import SessionState
from xmppd.stanza import Later
from xmppd.store.tables import Tables
from xmppd.stream.bound_extra import BoundExtra
from xmppd.stream.inline_feature import InlineFeature
from xmppd.stream.stream_feature import StreamFeature
from xmppd.web.http_path import HTTPPath

PLUGIN_LIMIT_S = 60.0
"""The time that a plugin may have something waited for while it is loaded or taken out."""

T = TypeVar("T")
P_contra = TypeVar("P_contra", contravariant=True)


TakeOut = Callable[[], Later]


class Place(Protocol[P_contra]):
    """A place, where parts of a kind are put. It decides what a part that fails may cost."""

    def put(self, part: P_contra, owner: str) -> TakeOut | Awaitable[TakeOut]:
        """Put a part there.

        Args:
            part: Of its kind.
            owner: The plugin that it belongs to; ``xmppd`` for the server's own.

        Returns:
            A function that takes it out again, and may wait.

        Raises:
            ValueError: It cannot be put there: another part is in its way, or it makes no sense.
        """


@dataclass(frozen=True)
class AtLoad:
    """Calls a function when the parts before it are in place, and waits for it: to read what the
    plugin's tables have. If it fails, the plugin is not loaded.
    """

    call: Callable[[], Later]


class NotInTime(Exception):
    """An error: a plugin takes too long; the text is a sentence."""


async def in_time(work: Awaitable[T], clock: IReactorTime, what: str) -> T:
    """The result of work of a plugin, for which no other plugin is loaded.

    Raises:
        NotInTime: It took too long.
    """

    async def wait() -> T:
        return await work

    try:
        return await defer.Deferred.fromCoroutine(wait()).addTimeout(PLUGIN_LIMIT_S, clock)
    except defer.TimeoutError as error:
        raise NotInTime(f"{what} did not finish within {PLUGIN_LIMIT_S:.0f} s") from error


class Loading:
    """The place of functions that are called at load."""

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock

    async def put(self, part: AtLoad, owner: str) -> Undo:
        """Call it; nothing of that is undone."""
        later = part.call()
        if later is not None:
            await in_time(later, self.clock, "the plugin's function that is called at load")
        return _nothing_to_undo


def _nothing_to_undo() -> None:
    """Do nothing: whoever has something to undo has an :class:`AtUnload` as well."""


@dataclass(frozen=True)
class AtUnload:
    """Calls a function when the plugin is taken out, and waits for it: to stop what it started, and
    to store what it has in memory.
    """

    call: Callable[[], Later]


class Unloading:
    """The place of functions that are called at unload."""

    def put(self, part: AtUnload, owner: str) -> TakeOut:
        """Call it when it is taken out."""
        return part.call


Part = (
    AuthProvider
    | IQHandler
    | PacketInterceptor
    | Follower
    | Owned
    | Tell[Any]
    | On[Any]
    | StreamFeature
    | InlineFeature
    | BoundExtra
    | Says
    | Component
    | InternalComponent
    | Service
    | Command
    | CommandForm
    | HTTPPath
    | Page
    | Panel
    | Metric
    | SessionState
    | Settings[Any]
    | Offer
    | AtLoad
    | AtUnload
    | Replace
    | Tables
    | UserData
    | ServiceData
)
"""Whatever a plugin brings: what its ``plug`` returns is a list of these."""


class Places:
    """The one table of kinds of parts, each with its place in a server."""

    def __init__(self, server: XMPPServer, seams: Seams, offers: Offers) -> None:
        self.table: Mapping[type, Place[Never]] = {
            AuthProvider: server.auth_provider,
            IQHandler: server.iq_router,
            PacketInterceptor: server.interceptors,
            Follower: server.followers,
            Owned: server.cluster.claims,
            Tell: server.plugin_messages,
            On: server.events,
            StreamFeature: server.stream_features,
            InlineFeature: server.inline_features,
            BoundExtra: server.bound_extras,
            Says: server.disco,
            Component: server.service_domains,
            InternalComponent: server.service_domains,
            Service: server.service_domains,
            Command: server.commands,
            CommandForm: server.command_forms,
            HTTPPath: server.http_paths,
            Page: server.console_pages,
            Panel: server.console_pages,
            Metric: server.metrics,
            SessionState: server.saved_sessions,
            Settings: server.settings,
            Offer: offers,
            AtLoad: Loading(server.clock),
            AtUnload: Unloading(),
            Replace: seams,
            Tables: server.store.tables,
            UserData: server.user_data,
            ServiceData: server.service_data,
        }

    async def put(self, part: Part, owner: str) -> TakeOut:
        """Put a part in the place of its kind, which may be that of a class it is derived from.

        Raises:
            TypeError: It is no part.
            ValueError: There is no place for it.
            TablesRefused: Its tables are of a later version, or others than it says.
            StoreError: The database cannot be used.
        """
        for kind in type(part).__mro__:
            if kind in self.table:
                undo = self.table[kind].put(part, owner)  # type: ignore[arg-type]  # of this kind
                return await undo if isinstance(undo, Awaitable) else undo
        raise TypeError(f"{part!r} is not a part of a plugin")


__all__ = [
    "PLUGIN_LIMIT_S",
    "AtLoad",
    "AtUnload",
    "NotInTime",
    "Part",
    "Place",
    "Places",
    "TakeOut",
    "in_time",
]
