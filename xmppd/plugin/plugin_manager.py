"""PluginManager: finds plugins, puts their parts in place, takes them out again."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

from twisted.logger import Logger

from xmppd.components.internal_component import InternalComponent
from xmppd.config.permissions import Writable, check_unwritable
from xmppd.handler.iq_handler import IQHandler
from xmppd.parts import (
    AtUnload,
    Command,
    Component,
    DiscoExtension,
    DiscoFeature,
    DiscoItem,
    DiscoNode,
    On,
    Parts,
    Replace,
    Statistic,
)
from xmppd.plugin.plugin_guard import guarded
from xmppd.server import XMPPServer
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session_state import SessionState
from xmppd.stanza import JID
from xmppd.stream.inline_feature import InlineFeature
from xmppd.stream.stream_feature import StreamFeature

ENTRY_POINTS = "xmppd.plugins"
PACKAGE = "xmppd_plugins"
Undo = Callable[[], None]
T = TypeVar("T")
_log = Logger()


class PluginError(Exception):
    """A plugin cannot be loaded or unloaded; the text is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class PluginsChanged:
    """A plugin was put in place, or taken out."""

    name: str


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
        self._place(name, self._read(name))

    def unload(self, name: str) -> None:
        """Take a plugin's parts out again, last first.

        Raises:
            PluginError: It is not loaded.
        """
        if name not in self.loaded:
            raise PluginError(f"the plugin {name} is not loaded")
        take_out(name, self.loaded.pop(name))
        _forget(self._modules.pop(name))
        _log.info("unloaded the plugin {name}", name=name)
        self.server.events.fire(PluginsChanged(name))

    def reload(self, name: str) -> None:
        """Read a plugin's file again, and put what it says now in the place of what it said.

        Raises:
            PluginError: It was not loaded, or what it says now fails; then the old one is back.
        """
        if name not in self.loaded:
            raise PluginError(f"the plugin {name} is not loaded")
        old = self._modules[name]
        _forget(old)
        try:
            new = self._read(name)
        except PluginError:
            sys.modules[old.__name__] = old
            raise
        self.unload(name)
        sys.modules[new.__name__] = new
        try:
            self._place(name, new)
        except PluginError:
            sys.modules[old.__name__] = old
            self._place(name, old)
            raise

    def _read(self, name: str) -> ModuleType:
        """The plugin's module, run anew."""
        if not name.isidentifier():
            raise PluginError(f"{name!r} is no name of a plugin: letters, digits and _")
        importlib.invalidate_caches()
        try:
            return self._find(name)
        except PluginError:
            raise
        except Writable as error:
            raise PluginError(f"the plugin {name} is not loaded, since {error}") from error
        except Exception as error:
            raise _cannot(name, error) from error

    def _place(self, name: str, module: ModuleType) -> None:
        undo: list[Undo] = []
        try:
            for part in module.plug(self.server):
                undo.append(self._put(part, name))  # noqa: PERF401  # kept when the next one fails
        except Exception as error:
            take_out(name, undo)
            _forget(module)
            raise _cannot(name, error) from error
        self.loaded[name] = undo
        self._modules[name] = module
        _log.info("loaded the plugin {name}", name=name)
        self.server.events.fire(PluginsChanged(name))

    def _find(self, name: str) -> ModuleType:
        if self.directory is not None and (self.directory / f"{name}.py").is_file():
            for path in (self.directory, self.directory / f"{name}.py"):
                check_unwritable(path)
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

    def _put(self, part: object, plugin: str) -> Undo:
        """Put one part in its place; how to take it out again."""
        server = self.server
        part = guarded(part, plugin)
        match part:
            case IQHandler():
                server.iq_router.add(part)
                return partial(server.iq_router.remove, part)
            case StreamFeature():
                server.stream_features.add(part)
                return partial(server.stream_features.remove, part)
            case InlineFeature():
                server.inline_features.add(part)
                return partial(server.inline_features.remove, part)
            case On(event, listener):
                server.events.on(event, listener, plugin=plugin)
                return partial(server.events.off, event, listener, plugin=plugin)
            case AtUnload(call):
                return call
            case PacketInterceptor():
                server.interceptors.add(part, plugin=plugin)
                return partial(server.interceptors.remove, part)
        return self._put_rare(part)

    def _put_rare(self, part: object) -> Undo:
        match part:
            case SessionState():
                return _keyed(self.server.saved_sessions.states, part.name, part)
            case InternalComponent():
                return self._internal_component(part)
            case Component():
                return self._component(part)
            case Replace():
                return self._replace(part)
        return _shelved(self.server.parts, part)

    def _component(self, component: Component) -> Undo:
        routing_table = self.server.routing_table
        address = JID.parse(component.domain)
        if address.full != address.domain or address.full != component.domain:
            raise ValueError(f"{component.domain} is no domain, or not written as {address.domain}")
        if component.domain in routing_table.domains:
            raise ValueError(f"{component.domain} is a domain of users")
        take_route = _keyed(routing_table.components, component.domain, component.route)
        take_item = _listed(self.server.parts.items, DiscoItem(address, component.name))

        def take_both() -> None:
            take_item()
            take_route()

        return take_both

    def _internal_component(self, component: InternalComponent) -> Undo:
        take_route = self._component(Component(component.jid.full, component, component.name))

        def stop_it() -> None:
            take_route()
            component.stopped()

        component.started()
        return stop_it

    def _replace(self, replace: Replace) -> Undo:
        """The stage becomes an instance of the subclass; everybody who holds it holds that."""
        if not issubclass(replace.by, replace.stage):
            raise ValueError(f"{replace.by.__name__} is no subclass of {replace.stage.__name__}")
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


def _shelved(parts: Parts, part: object) -> Undo:
    """Put a part where whoever asks for its kind will look."""
    match part:
        case DiscoFeature():
            return _listed(parts.features, part)
        case DiscoItem():
            return _listed(parts.items, part)
        case DiscoExtension():
            return _listed(parts.extensions, part)
        case DiscoNode():
            return _listed(parts.nodes, part)
        case Command():
            return _keyed(parts.commands, part.node, part)
        case Statistic():
            return _keyed(parts.statistics, part.name, part)
    raise TypeError(f"{part!r} is no part of a plugin")


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


def _cannot(name: str, error: Exception) -> PluginError:
    """Log why a plugin cannot be loaded, with its trace, and say it in one sentence."""
    _log.failure("the plugin {name} cannot be loaded", name=name)
    return PluginError(f"the plugin {name} cannot be loaded: {error!r}")


def _forget(module: ModuleType) -> None:
    """Whoever imports the module next reads its file again."""
    sys.modules.pop(module.__name__, None)


class _AsWritten(SourceFileLoader):
    """Loads a plugin from its source, whatever bytecode lies about.

    Bytecode is told from its source by size and whole seconds: a file that is changed and reloaded
    at once may look unchanged.
    """

    def path_stats(self, path: object) -> NoReturn:
        raise OSError(f"no bytecode for {path}")


def _from_file(name: str, path: Path) -> ModuleType:
    module_name = f"xmppd_local_{name}"
    loader = _AsWritten(module_name, str(path))
    spec = importlib.util.spec_from_file_location(module_name, path, loader=loader)
    assert spec is not None, "a loader is given"
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        _forget(module)
        raise
    return module
