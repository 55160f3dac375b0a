"""What a plugin is made of, beside handlers, interceptors and stream features.

A plugin's ``plug(server)`` returns such parts; the PluginManager puts each in its place, and takes
it out again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from xmppd.session.session import Route
from xmppd.stanza import IQ, JID, Element, Later


@dataclass(frozen=True)
class On:
    """Calls the listener with every event of a kind.

    Attributes:
        event: The kind.
        listener: A function, or a coroutine function if it has to wait; nobody waits for it.
    """

    event: type
    listener: Callable[[Any], Later]


@dataclass(frozen=True)
class AtUnload:
    """Calls a function when the plugin is taken out: to stop what it started."""

    call: Callable[[], None]


@dataclass(frozen=True)
class DiscoFeature:
    """A feature that :xep:`0030` lists.

    Attributes:
        var: The feature.
        account: Whether it is listed on accounts instead of on the server.
    """

    var: str
    account: bool = False


@dataclass(frozen=True)
class DiscoItem:
    """An item that :xep:`0030` lists on the server."""

    jid: JID
    name: str
    node: str = ""


@dataclass(frozen=True)
class DiscoExtension:
    """A form that goes with the server's disco#info (:xep:`0128`).

    Attributes:
        form: Gets the domain that is asked, returns its form; None if it has none just now.
    """

    form: Callable[[str], Element | None]


@dataclass(frozen=True)
class DiscoIdentity:
    """What an entity is.

    Attributes:
        category: A registered word, such as ``server``.
        kind: What it is among those, such as ``im``; its ``type`` on the wire.
        name: For people.
        lang: Language of the name; empty: that of the stream.
    """

    category: str
    kind: str
    name: str = ""
    lang: str = ""


@dataclass(frozen=True)
class DiscoInfo:
    """What disco#info says of an entity.

    Attributes:
        identities: What it is; at least one.
        features: What it can do, each once.
        forms: What else there is to know, each with a FORM_TYPE of its own (:xep:`0128`).
    """

    identities: tuple[DiscoIdentity, ...]
    features: tuple[str, ...]
    forms: tuple[Element, ...] = ()


@dataclass(frozen=True)
class DiscoNode:
    """Answers for nodes of the server.

    Attributes:
        info: Gets the request and the node, returns what disco#info says; None if it does not know
            the node.
        items: The same for disco#items.
    """

    info: Callable[[IQ, str], DiscoInfo | None]
    items: Callable[[IQ, str], tuple[DiscoItem, ...] | None]


@dataclass(frozen=True)
class Component:
    """A service under a domain of its own: gets every stanza for it, and is an item of the server.

    Attributes:
        domain: Its domain, such as ``conference.example.org``.
        route: Where its stanzas go.
        name: For people.
    """

    domain: str
    route: Route
    name: str = ""


@dataclass(frozen=True)
class Command:
    """An ad-hoc command (:xep:`0050`).

    Attributes:
        node: What it is called.
        name: For people.
        form: The form to fill in, asked of whoever wants to run it; None if it needs none.
        run: Does it: gets the request and the values of the form, returns a note for people or a
            result form. Raises StanzaError.
        admins_only: Whether only the administrators of the configuration may run it.
    """

    node: str
    name: str
    run: Callable[[IQ, dict[str, list[str]]], Awaitable[Element | str]]
    form: Callable[[IQ], Element] | None = None
    admins_only: bool = True


@dataclass(frozen=True)
class Statistic:
    """A number that ``xmppctl stats`` shows.

    Attributes:
        name: With its unit, such as ``sessions`` or ``offline_bytes``.
        sample: The number just now.
    """

    name: str
    sample: Callable[[], float]


@dataclass(frozen=True)
class Replace:
    """Puts a subclass of ours in the place of a stage, without a restart.

    The stage keeps what it holds and becomes an instance of the subclass, which therefore has no
    ``__init__`` of its own.

    Attributes:
        stage: The class of the stage, such as ``PresenceRouter``.
        by: A subclass of it.
    """

    stage: type
    by: type


class Parts:
    """The parts that need no place of their own: kept in lists, for whoever asks.

    Attributes:
        features: What disco lists beside what handlers say of themselves.
        items: What disco lists as items of the server.
        extensions: Forms of the server's disco#info.
        nodes: Who answers for nodes of the server.
        commands: By node.
        statistics: By name.
    """

    def __init__(self) -> None:
        self.features: list[DiscoFeature] = []
        self.items: list[DiscoItem] = []
        self.extensions: list[DiscoExtension] = []
        self.nodes: list[DiscoNode] = []
        self.commands: dict[str, Command] = {}
        self.statistics: dict[str, Statistic] = {}
