"""PluginManager: loads plugins, gives them what they ask for, and takes them out again."""

import sys
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from xmppd.config.config import Config
from xmppd.config.permissions import Writable
from xmppd.config.settings import table_of
from xmppd.events import OWNER
from xmppd.host.metrics import Label, Metric
from xmppd.plugin import library, mistakes
from xmppd.plugin.library import NoSuchPlugin
from xmppd.plugin.offers import Offers
from xmppd.plugin.place import NotInTime, Places, TakeOut, in_time
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.seams import Seams
from xmppd.plugin.supply import Supply, is_section, own_table, wanted_by
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza.phrases import listed
from xmppd.store.errors import StoreError, TablesRefused

VOICE_S = 10.0
"""The time for which a plugin that is to be loaded waits until this node may act."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class PluginsChanged:
    """A plugin was put in place, or taken out."""

    name: str


@dataclass(frozen=True, slots=True)
class PluginUnloads:
    """Somebody has a plugin taken out, and not only until it is read again or the server is back:
    it may still say so to those who have to do with it.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that is loaded.

    Attributes:
        module: Has its ``plug``.
        given: The objects that ``plug`` was given, by class.
        needs: The plugins that offer some of these.
        undo: Takes out each of its parts, the first one first.
    """

    module: ModuleType
    given: Mapping[type, object]
    needs: frozenset[str]
    undo: tuple[TakeOut, ...]


class PluginManager:
    """The plugins of a server, loaded and unloaded one after another.

    Args:
        server: Its stages are given to them.

    Attributes:
        config: Has their tables, and the directory of the administrator's plugins.
        loaded: By name, in the order in which they were put in place.
        seams: The place of replaced stages.
        offers: What they offer to one another.
    """

    def __init__(self, server: XMPPServer) -> None:
        self.server = server
        self.config = server.config
        self.loaded: dict[str, Plugin] = {}
        self.seams = Seams(server.stages)
        self.offers = Offers()
        self._supply = Supply(server.stages, self.offers)
        self._places = Places(server, self.seams, self.offers)
        self._lock = DeferredLock()
        self._known: set[str] = set()
        server.metrics.put(self._metric(), OWNER)

    def _metric(self) -> Metric:
        def loaded() -> Mapping[tuple[str, ...], int]:
            self._known.clear()
            self._known.update(self.config.plugins.load, self.loaded)
            return {(name,): int(name in self.loaded) for name in sorted(self._known)}

        return Metric(
            "plugin_loaded",
            "1 for each plugin that is loaded, 0 for the others that the configuration names.",
            "gauge",
            loaded,
            labels=(Label("plugin", self._known),),
        )

    def use(self, config: Config) -> None:
        """Take another configuration.

        Plugins that are loaded get their changed tables by :meth:`use_settings`.

        Raises:
            PluginTableError: One that is loaded could not take its table; then nothing changes.
        """
        for name, plugin in self.loaded.items():
            own_table(config, name, plugin.given)
        self.config = config

    async def load(self, *names: str) -> None:
        """Put the parts of these plugins in place, and of those that they need: all, or none.

        Raises:
            PluginError: There is none of this name, it is loaded already, or it fails.
        """
        await self._alone(self._load_all(names))

    async def unload(self, name: str) -> None:
        """Take a plugin's parts out again, last first.

        Raises:
            PluginError: It is not loaded, or others need it.
        """
        await self._alone(self._unload(name))

    async def unload_all(self) -> None:
        """Take out all of them, last first, since the server stops: their files are not read anew
        by one that goes on in this process.
        """

        async def each() -> None:
            for name in reversed(tuple(self.loaded)):
                await self._undo(name)

        await self._alone(each())

    async def reload(self, name: str) -> None:
        """Read a plugin's files again, and replace its parts by those of now.

        Plugins that need it are reloaded as well.

        Raises:
            PluginError: It was not loaded, or fails now; then the old one is back.
        """
        await self._alone(self._reload(name))

    async def use_settings(self) -> None:
        """Plug those plugins anew whose settings have changed and are not handed to a part of
        theirs.

        Raises:
            PluginError: Some fail, and are not loaded any more; the others are.
        """
        await self._alone(self._use_settings())

    async def _alone(self, work: Awaitable[None]) -> None:
        async def do() -> None:
            await work

        await self._lock.run(Deferred.fromCoroutine, do())

    # -- one after another ------------------------------------------------------------------------

    async def _load_all(self, names: Iterable[str]) -> None:
        before, seen = set(self.loaded), set(self.loaded)
        try:
            for name in names:
                if name in seen:
                    raise PluginError(f"plugin {name} is already loaded")
                seen.add(name)
                if name not in self.loaded:  # it is there if one of these needs it
                    await self._plug(name, self._read(name))
        except PluginError:
            await self._take_out_all_but(before)
            raise

    async def _until_it_may_act(self) -> None:
        """Wait for a while until this node has a lease, since plugins store what they need: reading
        one takes time in which no lease is renewed.
        """
        membership = self.server.cluster.membership
        if membership.speaks:
            return
        voice = membership.voice()
        voice.addTimeout(VOICE_S, self.server.clock)
        with suppress(defer.TimeoutError):
            await voice

    async def _unload(self, name: str) -> None:
        self._check_loaded(name)
        needing = [each for each, plugin in self.loaded.items() if name in plugin.needs]
        if needing:
            raise PluginError(
                f"plugin {name} is needed by {listed(needing)}; unload "
                f"{'that one' if len(needing) == 1 else 'those'} first"
            )
        self.server.events.fire(PluginUnloads(name))
        await self._take_out(name)

    async def _reload(self, name: str) -> None:
        self._check_loaded(name)
        group = self._with_those_that_need({name})
        old = {each: self.loaded[each].module for each in group}
        kept: dict[str, ModuleType] = {}
        for each in group:
            kept |= library.forget(each)
        try:
            new = {each: self._read(each) for each in group}
        except PluginError:
            _bring_back(group, kept)
            raise
        before = set(self.loaded)
        failed = await self._plug_again(new)
        if failed:
            await self._take_out_all_but(before)
            _bring_back(group, kept)
            failed += await self._plug_again(old)
            raise _one_of(failed)

    async def _use_settings(self) -> None:
        changed = {
            name
            for name, plugin in self.loaded.items()
            if any(
                table_of(self.config, kind, name) != given
                and not self.server.settings.hands(kind, name)
                for kind, given in plugin.given.items()
                if is_section(kind)
            )
        }
        group = self._with_those_that_need(changed)
        failed = await self._plug_again({name: self.loaded[name].module for name in group})
        if failed:
            raise _one_of(failed)

    async def _plug_again(self, modules: dict[str, ModuleType]) -> list[PluginError]:
        """Take out the parts of these plugins, and put their new parts in; one that fails does not
        keep it from the others.

        Returns:
            The errors of those that are not loaded any more.
        """
        for name in reversed(modules):
            if name in self.loaded:
                await self._undo(name)
        failed = []
        for name, module in modules.items():
            if name not in self.loaded:
                try:
                    await self._plug(name, module)
                except PluginError as error:
                    failed.append(error)
        return failed

    def _check_loaded(self, name: str) -> None:
        if name not in self.loaded:
            raise PluginError(f"plugin {name} is not loaded")

    def _with_those_that_need(self, names: set[str]) -> list[str]:
        """These plugins, and all that need one of them, in the order in which they were put in
        place.
        """
        found = set(names)
        for name, plugin in self.loaded.items():  # one that needs another comes later
            if plugin.needs & found:
                found.add(name)
        return [name for name in self.loaded if name in found]

    # -- one plugin -------------------------------------------------------------------------------

    def _read(self, name: str) -> ModuleType:
        return _module(name, self.config)

    async def _plug(self, name: str, module: ModuleType, on_the_way: tuple[str, ...] = ()) -> None:
        """Put the parts of one plugin in place, behind those of the plugins that it needs."""
        undo: list[TakeOut] = []
        try:
            wanted = wanted_by(name, module)
            own = own_table(self.config, name, wanted.values())
            needs = self._supply.needed(wanted.values())
            for other in needs:
                if other == name or other in on_the_way:
                    raise PluginError(f"plugins {name} and {other} need each other")
                if other not in self.loaded:
                    await self._plug(other, self._read(other), (*on_the_way, name))
            await self._until_it_may_act()
            given = {
                kind: self._supply.given(name, kind, self.config, own) for kind in wanted.values()
            }
            parts = module.plug(**{word: given[kind] for word, kind in wanted.items()})
            if isinstance(parts, Awaitable):
                parts = await in_time(parts, self.server.clock, "plug")
            if not isinstance(parts, Iterable):
                raise PluginError(
                    f"plugin {name} cannot be loaded: its plug returns {type(parts).__name__}; "
                    "return a list of parts instead"
                )
            for part in parts:
                undo.append(await self._places.put(part, name))  # noqa: PERF401  # when the next fails
        except Exception as error:
            await self._undo_all(name, undo)
            library.forget(name)
            if isinstance(error, PluginError):
                raise
            if isinstance(error, (NotInTime, StoreError, TablesRefused)):  # they say it to people
                raise PluginError(f"plugin {name} cannot be loaded: {error}") from error
            raise _cannot(name, error, module) from error
        self.loaded[name] = Plugin(module, given, frozenset(needs), tuple(undo))
        _log.info("loaded plugin {name}", name=name)
        self.server.events.fire(PluginsChanged(name))

    async def _take_out(self, name: str) -> None:
        await self._undo(name)
        library.forget(name)

    async def _take_out_all_but(self, names: set[str]) -> None:
        """Whatever was loaded since, last first."""
        for name in [each for each in reversed(self.loaded) if each not in names]:
            await self._take_out(name)

    async def _undo(self, name: str) -> None:
        await self._undo_all(name, self.loaded.pop(name).undo)
        _log.info("unloaded plugin {name}", name=name)
        self.server.events.fire(PluginsChanged(name))

    async def _undo_all(self, name: str, undo: Iterable[TakeOut]) -> None:
        """Undo everything, last first, also if one of them fails."""
        for step in reversed(tuple(undo)):
            try:
                later = step()
                if later is not None:
                    await in_time(later, self.server.clock, "what undoes a part of the plugin")
            except Exception:
                _log.failure("plugin {name} was not unloaded completely", name=name)


def import_ahead(config: Config) -> None:
    """Import the plugins that will be loaded, which takes some time; what is wrong with one is said
    when it is loaded.
    """
    for name in config.plugins.load:
        with suppress(PluginError):
            _module(name, config)


def _module(name: str, config: Config) -> ModuleType:
    if not name.isidentifier():
        raise PluginError(f"{name!r} is not a valid plugin name: use letters, digits and _")
    try:
        directory = config.plugins.directory
        return library.read(name, Path(directory) if directory else None)
    except NoSuchPlugin as error:
        raise mistakes.no_such_plugin(name, Path(directory) if directory else None) from error
    except Writable as error:
        library.forget(name)
        raise PluginError(f"plugin {name} was not loaded: {error}") from error
    except PluginError:
        library.forget(name)
        raise
    except Exception as error:
        library.forget(name)
        raise _cannot(name, error) from error


def _bring_back(names: Iterable[str], modules: Mapping[str, ModuleType]) -> None:
    """The modules of plugins as they were before these were forgotten."""
    for name in names:
        library.forget(name)
    sys.modules.update(modules)


def _one_of(failed: list[PluginError]) -> PluginError:
    """One error with the sentences of all."""
    if len(failed) == 1:
        return failed[0]
    excerpts = (error.excerpt for error in failed if error.excerpt)
    return PluginError("; ".join(error.sentence for error in failed), "\n".join(excerpts))


def _cannot(name: str, error: Exception, module: ModuleType | None = None) -> PluginError:
    """Log why a plugin cannot be loaded, with its trace, and say where it fails."""
    _log.failure("plugin {name} cannot be loaded", name=name)
    return mistakes.failed(name, error, module)


__all__ = ["VOICE_S", "Plugin", "PluginManager", "PluginUnloads", "PluginsChanged", "import_ahead"]
