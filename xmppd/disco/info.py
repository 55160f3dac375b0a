"""The values of :xep:`0030`: what an entity is, what it can do, and what belongs to it."""

from dataclasses import dataclass

from xmppd.stanza import JID, Element


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class DiscoItem:
    """An entity, or a node of one, that belongs to another.

    Attributes:
        jid: Where it is asked.
        name: For people.
        node: Empty if it is no node.
    """

    jid: JID
    name: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class DiscoInfo:
    """What is said of an entity or a node; all of it, or a part.

    Attributes:
        identities: What it is.
        features: What it can do.
        forms: What else there is to know, each with a FORM_TYPE of its own (:xep:`0128`).
        items: What belongs to it.
    """

    identities: tuple[DiscoIdentity, ...] = ()
    features: tuple[str, ...] = ()
    forms: tuple[Element, ...] = ()
    items: tuple[DiscoItem, ...] = ()


@dataclass(frozen=True, slots=True)
class DiscoQuestion:
    """What somebody wants to know.

    Attributes:
        asker: Who asks.
        entity: Of whom: a domain, or a bare JID.
        node: Of which node of it; empty: of the entity itself.
    """

    asker: JID
    entity: JID
    node: str = ""
