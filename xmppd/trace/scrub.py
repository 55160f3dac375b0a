"""A stanza as it may be shown: its elements, and nothing that a user wrote."""

from xml.etree import ElementTree

from xmppd.stanza import Stanza, Tree
from xmppd.stanza.phrases import counted
from xmppd.stanza.xml import local_name, write

_COMMAND = "{http://jabber.org/protocol/commands}command"
MAX_SHOWN_CHARACTERS = 2_000
_PLAIN = frozenset(("type", "id", "node", "ver", "hash", "var", "subscription", "ask"))
"""Attributes with the kind of an element, not with a user's text."""


def shown(stanza: Stanza, *, bodies: bool) -> str:
    """The stanza's element as text.

    Args:
        stanza: Not changed.
        bodies: Whether to show text and attributes too; passwords are never shown.

    Returns:
        The element without its addresses, which may differ from the real ones.
    """
    tree = _scrubbed(stanza.payload.tree, bodies=bodies, secret=False)
    tree.attrib.pop("to", None)
    text = write(tree).decode()
    if len(text) > MAX_SHOWN_CHARACTERS:
        return f"{text[:MAX_SHOWN_CHARACTERS]}… ({counted(len(text), 'character')})"
    return text


def _scrubbed(element: Tree, *, bodies: bool, secret: bool) -> Tree:
    named = local_name(element.tag) + element.get("var", "").lower()
    # What is filled in for a command may be a secret of any name: a form does not say so.
    secret = secret or "password" in named or element.tag == _COMMAND
    clear = bodies and not secret
    copy = ElementTree.Element(
        element.tag,
        {key: value if clear or key in _PLAIN else "…" for key, value in element.items()},
    )
    copy.text = element.text if clear else _measured(element.text)
    for child in element:
        inner = _scrubbed(child, bodies=bodies, secret=secret)
        inner.tail = child.tail if clear else _measured(child.tail)
        copy.append(inner)
    return copy


def _measured(text: str | None) -> str | None:
    """The length of a text, instead of the text."""
    return f"({counted(len(text), 'character')})" if text and text.strip() else None


__all__ = ["shown"]
