"""Mistakes of those who write or name a plugin: where they are, and what to write instead."""

import linecache
import re
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from xmppd.components.service_domains import DomainTaken
from xmppd.plugin import library
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.public import TOPICS, names_of
from xmppd.stanza.phrases import or_rather

OTHER_NAMES = {
    "admin_adhoc": "service_administration",
    "blocklist": "blocking",
    "cloud_notify": "push",
    "csi": "client_state",
    "http_file_share": "http_upload",
    "lastactivity": "last_activity",
    "mam": "archive",
    "private": "private_storage",
    "server_contact_info": "contact_addresses",
    "time": "entity_time",
    "turn_external": "external_services",
    "vcard_legacy": "vcard",
}
"""What other servers call a plugin of ours."""

ALWAYS_THERE = frozenset(
    ("bosh", "c2s", "dialback", "offline", "posix", "roster", "s2s", "saslauth", "smacks", "tls",
     "websocket")
)  # fmt: skip
"""What is a plugin elsewhere, and no plugin here."""

ABSENT = frozenset(("irc", "mix", "proxy65", "sip", "spam_filter"))
"""What other servers have, and this version has not."""

_FROM = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")


def no_such_plugin(name: str, directory: Path | None) -> PluginError:
    """There is no plugin of this name."""
    near = get_close_matches(name, library.available(directory), n=1)
    if name in OTHER_NAMES:
        advice = or_rather(OTHER_NAMES[name])
    elif name in ABSENT:
        advice = "; that is not a feature of this version"
    elif name in ALWAYS_THERE:
        advice = "; this feature is always on in xmppd"
    elif near:
        advice = or_rather(near[0])
    else:
        advice = (
            "; correct the name (xmppctl plugin list --all, on a running server, lists all plugins)"
        )
        if directory:
            advice = f"{advice}, or put its file into {directory}"
    return PluginError(f"plugin {name} does not exist{advice}")


def failed(name: str, error: Exception, module: ModuleType | None) -> PluginError:
    """A plugin fails when it is loaded: the line at which it does, and what may help.

    Args:
        name: Of the plugin.
        error: As it was raised.
        module: The plugin's; None if it could not be imported.
    """
    if isinstance(error, DomainTaken):
        return PluginError(f"plugin {name} cannot be loaded: {error}")
    place, excerpt = _place(name, error, module)
    said = f"plugin {name} cannot be loaded: {type(error).__name__}{place}"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if text:
        said = f"{said}: {text}"
    return PluginError(f"{said}{_advice(error)}", excerpt)


def _place(name: str, error: Exception, module: ModuleType | None) -> tuple[str, str]:
    """The line at which it fails, in words, and that line above a caret."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        text = (error.text or "").rstrip("\n")
        begin = (error.offset or 1) - 1
        end = (error.end_offset or 0) - 1 if error.end_lineno == error.lineno else 0
        return f" in line {error.lineno} of {error.filename}", _marked(text, begin, end)
    roots = tuple(library.module_names(name))
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        inside = str(frame.f_globals.get("__name__", ""))
        if inside in roots or inside.startswith(tuple(f"{root}." for root in roots)):
            file = frame.f_code.co_filename
            return f" in line {line} of {file}", _excerpt(error, file, line)
    plug = getattr(getattr(module, "plug", None), "__code__", None)
    if plug is None:
        return "", ""
    linecache.checkcache(plug.co_filename)
    text = linecache.getline(plug.co_filename, plug.co_firstlineno).rstrip("\n")
    return f" in plug, line {plug.co_firstlineno} of {plug.co_filename}", _marked(
        text, 0, len(text)
    )


def _excerpt(error: Exception, file: str, line: int) -> str:
    """A line of a traceback, with what failed in it underlined."""
    linecache.checkcache(file)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file and frame.lineno == line:
            text = linecache.getline(file, line).rstrip("\n")
            begin, end = (_letters(text, column) for column in (frame.colno, frame.end_colno))
            return _marked(text, begin, end if frame.end_lineno == line else len(text))
    return ""


def _letters(text: str, column: int | None) -> int:
    """Python counts columns in bytes."""
    return len(text.encode()[: column or 0].decode(errors="ignore"))


def _marked(text: str, begin: int, end: int) -> str:
    """A line of code, and carets below it."""
    if not text.strip():
        return ""
    code = text.lstrip()
    begin = max(0, begin - (len(text) - len(code)))
    marks = max(1, min(end - (len(text) - len(code)), len(code)) - begin)
    return f"    {code}\n    {' ' * begin}{'^' * marks}"


def _advice(error: Exception) -> str:
    """What the author may have meant."""
    if isinstance(error, ModuleNotFoundError):
        return _other_module(error.name or "")
    if isinstance(error, ImportError) and (found := _FROM.search(str(error))):
        return _other_name(*found.groups())
    if isinstance(error, NameError):
        return _import_of(error.name or "")
    if isinstance(error, AttributeError) and error.name:
        near = get_close_matches(error.name, dir(error.obj), n=1)
        return or_rather(near[0]) if near else ""
    return ""


def _other_module(name: str) -> str:
    top = name.partition(".")[0]
    if top == library.LOCAL:
        return "; plugins.directory has no such file"
    if top not in ("xmppd", library.PACKAGE):
        return f"; install the package that has it, with {sys.prefix}/bin/python -m pip install"
    modules = {module for topic in TOPICS for module in topic.names}
    near = get_close_matches(name, modules, n=1)
    return or_rather(near[0]) if near else ""


def _other_name(name: str, module: str) -> str:
    if advice := _import_of(name):
        return advice
    near = get_close_matches(name, dir(sys.modules.get(module)), n=1)
    return or_rather(near[0]) if near else ""


def _import_of(name: str) -> str:
    """Where a name is that plugins may use."""
    homes: Iterable[str] = (
        module for topic in TOPICS for module, known, _ in names_of(topic) if known == name
    )
    home = next(iter(homes), None)
    return f"; write `from {home} import {name}`" if home else ""


__all__ = ["failed", "no_such_plugin"]
