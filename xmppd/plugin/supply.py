"""Supply: what a plugin asks for in the signature of its ``plug``, and gets."""

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import TypeGuard

from xmppd.config.config import Config
from xmppd.config.section import Section
from xmppd.config.settings import table_of
from xmppd.config.table import ConfigError
from xmppd.plugin import library
from xmppd.plugin.offers import Offers
from xmppd.plugin.plugin_error import PluginError, PluginTableError
from xmppd.stanza.phrases import or_rather


class Supply:
    """The objects that a plugin may ask for, by class.

    Args:
        stages: Those of the server.
        offers: Those of other plugins.
    """

    def __init__(self, stages: Mapping[type, object], offers: Offers) -> None:
        self._stages = stages
        self._offers = offers

    def needed(self, wanted: Iterable[type]) -> list[str]:
        """The plugins whose offers are needed, for classes that are neither stages nor settings."""
        found = (
            library.plugin_of(kind)
            for kind in wanted
            if kind not in self._stages and not is_section(kind)
        )
        return list(dict.fromkeys(name for name in found if name is not None))

    def given(self, name: str, kind: type, config: Config, own: Section | None) -> object:
        """The object of a class for a plugin.

        Args:
            name: Of the plugin.
            kind: The class.
            config: The file.
            own: The plugin's own table of it; None if it has none.

        Raises:
            PluginError: There is none.
        """
        if is_section(kind):
            settings = own if type(own) is kind else config.of(kind)
            if settings is not None:
                return settings
        for table in (self._stages, self._offers.by_class):
            if kind in table:
                return table[kind]
        word = str(getattr(kind, "__name__", kind))
        near = get_close_matches(word, [each.__name__ for each in self._stages], n=1)
        raise PluginError(
            f"plugin {name} asks for {word}, but neither the server nor a plugin has it"
            f"{or_rather(near[0]) if near else ''}"
        )


def wanted_by(name: str, module: ModuleType) -> dict[str, type]:
    """The classes that a plugin asks for: those of the parameters of its ``plug``.

    Raises:
        PluginError: A parameter has none, or there is no ``plug``.
    """
    if not callable(getattr(module, "plug", None)):
        raise PluginError(
            f"plugin {name} has no function plug; write one that returns a list of parts"
        )
    wanted = {}
    for word, parameter in inspect.signature(module.plug, eval_str=True).parameters.items():
        if parameter.annotation is parameter.empty:
            raise PluginError(
                f"plugin {name} does not say which class {word} is; annotate this parameter of "
                "its plug"
            )
        wanted[word] = parameter.annotation
    return wanted


def is_section(kind: type) -> TypeGuard[type[Section]]:
    """Whether it is the struct of a table; an interface of zope's is no class at all."""
    return isinstance(kind, type) and issubclass(kind, Section)


def own_table(config: Config, name: str, wanted: Iterable[type]) -> Section | None:
    """The table ``[NAME]`` of a plugin, if its ``plug`` asks for one by a struct of its own.

    Raises:
        PluginTableError: The table is wrong, or the plugin has none.
    """
    own = [kind for kind in wanted if is_section(kind) and library.plugin_of(kind) == name]
    if not own and name in config.plugin_tables:
        raise PluginTableError(
            f"{name} is not an option, because the plugin has no settings; remove the table."
        )
    if not own:
        return None
    if name in config.__struct_fields__:
        raise PluginTableError(
            f"plugin {name} cannot have the table {name}: the server itself uses it."
        )
    try:
        return table_of(config, own[0], name)
    except ConfigError as error:
        raise PluginTableError(str(error)) from error


__all__ = ["Supply", "is_section", "own_table", "wanted_by"]
