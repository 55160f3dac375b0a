"""The values of :xep:`0030`: identities, features and items of an entity."""

from dataclasses import dataclass

from xmppd.stanza import JID, Element


@dataclass(frozen=True, slots=True)
class DiscoIdentity:
    """An identity of an entity.

    Attributes:
        category: A registered word, such as ``server``.
        kind: Its ``type``, such as ``im``.
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
        jid: Its address.
        name: For people.
        node: Empty if it is no node.
    """

    jid: JID
    name: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class DiscoInfo:
    """The answer for an entity or a node, or a part of it.

    Attributes:
        identities: Its identities.
        features: Its features.
        forms: Further forms, each with a FORM_TYPE of its own (:xep:`0128`).
        items: Its items.
    """

    identities: tuple[DiscoIdentity, ...] = ()
    features: tuple[str, ...] = ()
    forms: tuple[Element, ...] = ()
    items: tuple[DiscoItem, ...] = ()


@dataclass(frozen=True, slots=True)
class DiscoQuestion:
    """A question of service discovery.

    Attributes:
        asker: Its sender.
        entity: The entity asked: a domain, or a bare JID.
        node: The node of it; empty for the entity itself.
    """

    asker: JID
    entity: JID
    node: str = ""
