"""Public: the names that plugins may use, and the page of the manual that is made of them."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_args, get_origin

from xmppd.plugin.place import Part
from xmppd.plugin.seams import SEAMS

Names = Mapping[str, tuple[str, ...]]
"""Names by their module; a name may be followed by those of its members that are meant."""


@dataclass(frozen=True)
class Topic:
    """Names of one topic.

    Attributes:
        title: Its heading.
        about: What they have in common, in a sentence or two.
        names: The names.
    """

    title: str
    about: str
    names: Names


def _parts() -> Names:
    """The kinds of parts, by their modules."""
    found: dict[str, tuple[str, ...]] = {}
    for kind in (get_origin(each) or each for each in get_args(Part)):
        found[kind.__module__] = (*found.get(kind.__module__, ()), kind.__name__)
    return found


def _seams() -> Names:
    """The stages that may be replaced, with the methods of each."""
    return {
        stage.__module__: (" ".join([stage.__name__, *(method.__name__ for method in seam)]),)
        for stage, seam in SEAMS.items()
    }


TOPICS: tuple[Topic, ...] = (
    Topic(
        "Parts",
        "What `plug` returns; {doc}`plugins` has a chapter with an example for each.",
        {
            **_parts(),
            "xmppd.plugin.repeatedly": ("repeatedly",),
            "xmppd.components.wokkel_bridge": ("WokkelComponent",),
        },
    ),
    Topic(
        "What `plug` may ask for",
        "Stages of the server, by class, with the methods and attributes that are promised; others "
        "may be asked for as well, and change with the server.",
        {
            "xmppd.routing.routing_table": ("RoutingTable route tell available",),
            "xmppd.router.packet_router": ("PacketRouter route",),
            "xmppd.routing.requests": ("Requests ask",),
            "xmppd.presence.presence_manager": ("PresenceManager can_see",),
            "xmppd.roster.roster_manager": ("RosterManager roster loaded",),
            "xmppd.session.session_manager": ("SessionManager session local_sessions close_all",),
            "xmppd.message.follower": ("Followers watch unwatch",),
            "xmppd.command.command_table": ("CommandTable actor domains",),
            "xmppd.components.service_domains": ("ServiceDomains",),
            "xmppd.disco.disco": ("Disco",),
            "xmppd.web.http_doors": ("HTTPDoors base_url",),
            "xmppd.cluster.claims": ("Claims owner mine",),
            "xmppd.nodes.plugin_messages": ("PluginMessages tell tell_all ask",),
            "xmppd.store.accounts": ("AccountStore exists",),
            "xmppd.store.items": ("ItemStore get_item get_items set_item",),
            "xmppd.store.personal_items": ("PersonalItems elements keep",),
            "xmppd.store.last_presences": ("PresenceStore",),
            "xmppd.store.database": ("Database read write append",),
            "xmppd.host.clocks": ("Clocks seconds wall_clock",),
            "xmppd.auth.base": ("RunInThread",),
            "xmppd.config.config": ("ContactSettings", "ItemSettings"),
        },
    ),
    Topic(
        "Stanzas, addresses, XML",
        "",
        {
            "xmppd.stanza": (),
            "xmppd.stanza.date_time": ("date_time", "exact_date_time", "microseconds_of"),
            "xmppd.stanza.form": (
                "Field", "form", "result", "submission", "submitted", "table", "values_of",
            ),
            "xmppd.stanza.guests": ("is_guest",),
            "xmppd.stanza.rsm": ("ListPage", "PageRequest", "page_of", "page_request", "page_set"),
            "xmppd.stanza.xml": ("find_unwritable", "read", "write"),
        },
    ),
    Topic(
        "Beside the parts",
        "What parts are made of, are given, and raise.",
        {
            "xmppd.plugin.place": ("Part",),
            "xmppd.handler.iq_handler": (
                "Asked address asker own server session service", "Pulling", "To",
            ),
            "xmppd.session.local_client_session": ("LocalClientSession jid",),
            "xmppd.session.session_state": ("Put",),
            "xmppd.disco.disco": ("DiscoAnswer", "EntitiesOf", "Of"),
            "xmppd.disco.info": ("DiscoIdentity", "DiscoInfo", "DiscoItem", "DiscoQuestion"),
            "xmppd.stream.stream_feature": ("Negotiation", "Stream", "after_login"),
            "xmppd.stream.inline_feature": ("InlinePlace", "bind_feature"),
            "xmppd.message.follower": ("Course", "Remark", "Sought"),
            "xmppd.auth.base": ("SASLError",),
            "xmppd.cluster.node": ("Node", "NodeId"),
            "xmppd.host.metrics": ("Histogram observe", "Label", "Reading"),
            "xmppd.web.http_path": ("anybody",),
            "xmppd.web.request": ("BodyLost", "HTTPError", "HTTPRequest", "HTTPResponse", "Pieces"),
            "xmppd.web.files": ("file_out",),
            "xmppd.config.section": ("Mark", "Section"),
        },
    ),
    Topic(
        "Commands",
        "",
        {
            "xmppd.command.argument": ("DRY_RUN", "Argument", "Arguments"),
            "xmppd.command.command": ("Description",),
            "xmppd.command.command_context": (
                "Actor admin owns", "CommandContext actor arguments dry_run",
            ),
            "xmppd.command.command_form": ("Filled",),
            "xmppd.command.kinds": (
                "AccountName", "Address", "AnyOf", "Choice", "Document", "DomainName", "Duration",
                "FileName", "Flag", "GroupName", "Hidden", "Moment", "Number", "PluginName",
                "Secret", "Text",
            ),
            "xmppd.command.refused": ("Refused",),
            "xmppd.command.reply": ("Replies", "Row"),
            "xmppd.config.scopes": ("AREAS",),
        },
    ),
    Topic(
        "What is kept",
        "Tables of a plugin are made by {mod}`xmppd.store.sql`, which has the following, and names "
        "of SQLAlchemy and Alembic: what those promise holds for them.",
        {
            "xmppd.store.sql": (),
            "xmppd.store.steps": ("Operations",),
            "xmppd.store.claim_tokens": ("Deposed", "raise_token"),
            "xmppd.store.errors": ("ChangeRefused", "QuotaExceeded", "StoreError", "TablesRefused"),
            "xmppd.store.items": ("Item",),
            "xmppd.store.readable": ("readable",),
        },
    ),
    Topic(
        "Events",
        "Each with the fields that {doc}`plugins` names.",
        {
            "xmppd.session.session_manager": ("SessionBound", "SessionClosed", "SessionMoved"),
            "xmppd.session.resumable_sessions": (
                "SessionDetached", "SessionResumed", "StanzaWaits",
            ),
            "xmppd.handler.presence_update_handler": (
                "PresenceChanged", "SessionAvailable", "SessionUnavailable",
            ),
            "xmppd.presence.remote_presences": ("RemotePresence",),
            "xmppd.router.message_router": ("MessageUnheard",),
            "xmppd.roster.roster_manager": ("ContactChanged", "RosterChanged"),
            "xmppd.handler.presence_subscribe_handler": (
                "Subscribed", "SubscriptionAsked", "Unsubscribed",
            ),
            "xmppd.privacy.privacy_list_manager": ("BlocklistChanged", "PrivacyListChanged"),
            "xmppd.presence.privacy_changes": ("PrivacySwitched",),
            "xmppd.account.accounts": ("AccountRemoved",),
            "xmppd.components.components": ("ComponentConnected", "ComponentDisconnected"),
            "xmppd.routing.remote_server": ("RemoteServerLost",),
            "xmppd.cluster.membership": ("NodeFenced", "NodeJoined", "NodeLeft", "NodeLost"),
            "xmppd.plugin.plugin_manager": ("PluginUnloads", "PluginsChanged"),
        },
    ),
    Topic(
        "Stages that may be replaced",
        "With the methods that a subclass may override.",
        _seams(),
    ),
    Topic(
        "Testing",
        "",
        {
            "xmppd.testing.house": (
                "House add bind clock connect plugins reload restarted server wall_ahead_s",
                "PASSWORD",
                "house_config",
            ),
            "xmppd.testing.client": (
                "Client abort at_login closed jid look raw received send session",
                "Elements find find_all",
                "ComponentClient",
                "Elsewhere heard lose send",
                "done",
            ),
            "xmppd.testing.network": ("federate",),
            "xmppd.testing.web": ("WebAnswer", "WebClient"),
            "xmppd.testing.process": ("ServerProcess",),
        },
    ),
)  # fmt: skip

_INTRO = """\
# What a plugin may use

<!-- made by `python -m xmppd.manual` from xmppd/plugin/public.py and the docstrings -->

The names that are there for plugins and their tests, each by the module that it is imported from.
{doc}`plugins` shows how they are used.

**What stays.** A name on this page stays where it is, and does what is said of it. What it takes
today it takes tomorrow; arguments, fields and members may be added, and those that are added may
be left out. Of a class that has members behind its name, these are promised; of one that has
none, what its page of the reference shows. When something has to go all the same, it is listed
under "Removals" in {doc}`changes`, with what to write instead; from version 1.0 on, only in a
version with another first number.

**What does not.** All else in `xmppd` may be imported, and may be another in the next version:
names that are not here, those that begin with `_`, the arguments with which the server makes its
stages, tables of the store, other plugins (but what they have an
{class}`~xmppd.plugin.offers.Offer` of), and the texts of log lines and errors.
"""

_END = """\
## All modules

[The reference](reference/modules) has every module, public or not, for those who want to know how
something is done, or who change xmppd itself.

```{toctree}
:hidden:

All modules <reference/modules>
```
"""

_OTHERS: Names = {
    "Element": ("an element that is built, of lxml",),
    "Operations": ("what a step changes tables with, of Alembic",),
    "Tree": ("an element that is read, of ElementTree",),
}
"""What is said of names that other projects have made."""

_FAR = re.compile(r":([a-z]+):(?=`(?:~?xmppd\.|[0-9]))")
_NEAR = re.compile(r":[a-z]+:`[.~]?([A-Za-z_]+)`")
_RULES = re.compile(
    r",? ?\((?:[A-Z]+-\d+(?:(?: to |, | and )[A-Z]+-\d+)*)\)|, [A-Z]+-\d+(?=\))| \(§[0-9.]+\)"
)


def public_page() -> str:
    """The page of the manual."""
    lines = _INTRO.splitlines()
    for topic in TOPICS:
        lines += ["", f"## {topic.title}", ""]
        if topic.about:
            lines += [topic.about, ""]
        lines += ["| from | name | |", "|---|---|---|"]
        for module, name, members in names_of(topic):
            found = [_reference(module, name), *(f"`.{member}`" for member in members)]
            lines.append(f"| `{module}` | {' '.join(found)} | {line_of(module, name)} |")
    return "\n".join([*lines, "", _END])


def names_of(topic: Topic) -> Iterator[tuple[str, str, list[str]]]:
    """Each name of a topic: its module, the name, and the members that are meant."""
    for module, names in topic.names.items():
        for each in names or _own(module):
            name, *members = each.split()
            yield module, name, members


def _own(module: str) -> Iterator[str]:
    """The names of a module for others, but for those of SQLAlchemy and Alembic."""
    for name in import_module(module).__all__:
        if _is_ours(_home(module, name)) or name in _OTHERS:
            yield name


def _home(module: str, name: str) -> str:
    """The module in which a name is made."""
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    from_there = node.module or ""
                    return _home(from_there, alias.name) if _is_ours(from_there) else from_there
    return module


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "xmppd"


@cache
def _source(module: str) -> str:
    file = Path(inspect.getfile(import_module(module)))  # it may be something beside the source
    return file.with_name(f"{file.name.partition('.')[0]}.py").read_text(encoding="utf-8")


def _reference(module: str, name: str) -> str:
    """A link to a name in the reference, where it is made."""
    home, value = _home(module, name), getattr(import_module(module), name)
    if _is_ours(home) and (inspect.isclass(value) or inspect.isfunction(value)):
        return f"{{{'class' if inspect.isclass(value) else 'func'}}}`~{home}.{name}`"
    return f"`{name}`"


def line_of(module: str, name: str) -> str:
    """The first sentence that is said of a name, without a full stop; empty if there is none."""
    home = _home(module, name)
    said = _said(home).get(name, "") if _is_ours(home) else " ".join(_OTHERS.get(name, ()))
    text = _RULES.sub("", " ".join(said.partition("\n\n")[0].split()))
    sentence = re.split(r"(?<=[a-z)`])\. ", text)[0].rstrip(".:")
    sentence = _NEAR.sub(r"`\1`", _FAR.sub(r"{\1}", sentence))
    return sentence.replace("``", "`").replace("|", "\\|")


@cache
def _said(module: str) -> Mapping[str, str]:
    """What a module says of its names: in their docstrings, or in a string behind them."""
    body = ast.parse(_source(module)).body
    found = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = ast.get_docstring(node) or ""
        elif (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found[ast.unparse(target)] = str(after.value.value)
    return found


__all__ = ["TOPICS", "Topic", "line_of", "names_of", "public_page"]
