"""The values of :xep:`0030`: identities, features and items of an entity."""

from dataclasses import dataclass

from xmppd.stanza import JID, Element
from xmppd.stanza.rsm import PageRequest


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
        page: The ``<set/>`` that says which page of them these are (:xep:`0059`); empty: they are
            all, or the first ones if none was asked for.
    """

    identities: tuple[DiscoIdentity, ...] = ()
    features: tuple[str, ...] = ()
    forms: tuple[Element, ...] = ()
    items: tuple[DiscoItem, ...] = ()
    page: bytes = b""


@dataclass(frozen=True, slots=True)
class DiscoQuestion:
    """A question of service discovery.

    Attributes:
        asker: Its sender.
        entity: The entity asked: a domain, or a bare JID.
        node: The node of it; empty for the entity itself.
        page: Which of the items are wanted; None: all. Whoever says much gives that page, others
            give all their items.
        wants_items: Whether it is about items; whoever says much says none if it is not.
    """

    asker: JID
    entity: JID
    node: str = ""
    page: PageRequest | None = None
    wants_items: bool = True
