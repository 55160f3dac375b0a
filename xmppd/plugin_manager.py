"""PluginManager: finds plugins, puts their parts in place, takes them out again."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from twisted.logger import Logger

from xmppd.handler.iq_handler import IQHandler
from xmppd.net.stream_feature import StreamFeature
from xmppd.parts import (
    Command,
    Component,
    DiscoExtension,
    DiscoFeature,
    DiscoItem,
    On,
    Replace,
    Statistic,
)
from xmppd.server import XMPPServer
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID

ENTRY_POINTS = "xmppd.plugins"
PACKAGE = "xmppd_plugins"
Undo = Callable[[], None]
T = TypeVar("T")
_log = Logger()


class PluginError(Exception):
    """A plugin cannot be loaded or unloaded; the text is one sentence that names it."""


class PluginManager:
    """The plugins of a server.

    A name is looked for in the configured directory, among the entry points ``xmppd.plugins``, and
    in the package ``xmppd_plugins``, in this order.

    Attributes:
        loaded: For each plugin, by name, how to take out what it put in place.
    """

    def __init__(self, server: XMPPServer, directory: str = "") -> None:
        self.server = server
        self.directory = Path(directory) if directory else None
        self.loaded: dict[str, list[Undo]] = {}
        self._modules: dict[str, ModuleType] = {}

    def load(self, name: str) -> None:
        """Find a plugin and put its parts in place: all of them, or none.

        Raises:
            PluginError: There is none of this name, it is loaded already, or it fails.
        """
        if name in self.loaded:
            raise PluginError(f"the plugin {name} is loaded already")
        undo: list[Undo] = []
        try:
            module = self._find(name)
            undo.extend(self._put(part) for part in module.plug(self.server))
        except Exception as error:
            take_out(name, undo)
            if isinstance(error, PluginError):
                raise
            _log.failure("the plugin {name} cannot be loaded", name=name)
            raise PluginError(f"the plugin {name} cannot be loaded: {error!r}") from error
        self.loaded[name] = undo
        self._modules[name] = module
        _log.info("loaded the plugin {name}", name=name)

    def unload(self, name: str) -> None:
        """Take a plugin's parts out again, last first.

        Raises:
            PluginError: It is not loaded.
        """
        if name not in self.loaded:
            raise PluginError(f"the plugin {name} is not loaded")
        take_out(name, self.loaded.pop(name))
        sys.modules.pop(self._modules.pop(name).__name__, None)
        _log.info("unloaded the plugin {name}", name=name)

    def reload(self, name: str) -> None:
        """Take a plugin out, read its file again, and put it back.

        Raises:
            PluginError: It was not loaded, or cannot be loaded any more; then it is out.
        """
        self.unload(name)
        importlib.invalidate_caches()
        self.load(name)

    def _find(self, name: str) -> ModuleType:
        if self.directory is not None and (self.directory / f"{name}.py").is_file():
            return _from_file(name, self.directory / f"{name}.py")
        for entry_point in entry_points(group=ENTRY_POINTS, name=name):
            found: ModuleType = entry_point.load()
            return found
        try:
            return importlib.import_module(f"{PACKAGE}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{PACKAGE}.{name}":
                raise
            raise PluginError(f"there is no plugin {name}") from error

    def _put(self, part: object) -> Undo:  # noqa: PLR0911  # one for each kind of part
        """Put one part in its place; how to take it out again."""
        server, parts = self.server, self.server.parts
        match part:
            case IQHandler():
                server.iq_router.add(part)
                return partial(server.iq_router.remove, part)
            case StreamFeature():
                server.stream_features.add(part)
                return partial(server.stream_features.remove, part)
            case On(event, listener):
                server.events.on(event, listener)
                return partial(server.events.off, event, listener)
            case DiscoFeature():
                return _listed(parts.features, part)
            case DiscoItem():
                return _listed(parts.items, part)
            case DiscoExtension():
                return _listed(parts.extensions, part)
            case Command():
                return _keyed(parts.commands, part.node, part)
            case Statistic():
                return _keyed(parts.statistics, part.name, part)
            case Component():
                return self._component(part)
            case Replace():
                return self._replace(part)
            case PacketInterceptor():
                server.interceptors.add(part)
                return partial(server.interceptors.remove, part)
        raise TypeError(f"{part!r} is no part of a plugin")

    def _component(self, component: Component) -> Undo:
        routing_table = self.server.routing_table
        if component.domain in routing_table.domains:
            raise ValueError(f"{component.domain} is a domain of users")
        take_route = _keyed(routing_table.components, component.domain, component.route)
        item = DiscoItem(JID.parse(component.domain), component.name)
        take_item = _listed(self.server.parts.items, item)

        def take_both() -> None:
            take_item()
            take_route()

        return take_both

    def _replace(self, replace: Replace) -> Undo:
        """The stage becomes an instance of the subclass; everybody who holds it holds that."""
        for stage in vars(self.server).values():
            if stage.__class__ is replace.stage:
                stage.__class__ = replace.by
                return partial(setattr, stage, "__class__", replace.stage)
        raise ValueError(f"no stage is a {replace.stage.__name__}, or another plugin replaced it")


def take_out(name: str, undo: list[Undo]) -> None:
    """Undo everything, last first, whatever goes wrong on the way."""
    for step in reversed(undo):
        try:
            step()
        except Exception:
            _log.failure("the plugin {name} leaves something behind", name=name)


def _listed(places: list[T], part: T) -> Undo:
    places.append(part)
    return partial(places.remove, part)


def _keyed(places: dict[str, T], key: str, part: T) -> Undo:
    if key in places:
        raise ValueError(f"{key} is taken")
    places[key] = part

    def take_out() -> None:
        del places[key]

    return take_out


def _from_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"xmppd_local_{name}", path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
