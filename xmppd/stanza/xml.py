"""XML for handlers and plugins: elements to build, read and write. The one door to lxml."""

from xml.etree.ElementTree import Element as Tree

from lxml import etree
from lxml.etree import _Element as Element

from xmppd.stanza.ns import CLIENT, XML

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})
LANG = f"{{{XML}}}lang"
"""``xml:lang``."""

__all__ = ["Element", "Tree", "child", "dump", "element", "escape", "local_name", "namespace_of"]
__all__ += ["LANG", "parse", "qname", "write"]


def qname(namespace: str, name: str) -> str:
    """``{namespace}name``, as elements and handlers spell it."""
    return f"{{{namespace}}}{name}"


def local_name(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2]


def namespace_of(tag: str) -> str:
    """The namespace of ``{namespace}name``; empty for the stream's content namespace."""
    return tag[1:].partition("}")[0] if tag[:1] == "{" else ""


def escape(text: str) -> str:
    """Text as it stands in an element or an attribute value."""
    return text.translate(_ESCAPES)


def element(namespace: str, name: str, text: str | None = None, /, **attributes: str) -> Element:
    """A new element that declares its namespace as the default one.

    Args:
        namespace: Empty for the content namespace of whatever stream it will leave by.
        name: Without prefix.
        text: What it says.
        attributes: Without namespace.
    """
    if namespace:
        made = etree.Element(qname(namespace, name), nsmap={None: namespace}, attrib=attributes)
    else:
        made = etree.Element(name, attrib=attributes)
    made.text = text
    return made


def child(parent: Element, name: str, text: str | None = None, /, **attributes: str) -> Element:
    """A new last child in the namespace of its parent."""
    namespace = namespace_of(str(parent.tag))
    made = etree.SubElement(parent, qname(namespace, name) if namespace else name, attributes)
    made.text = text
    return made


_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, encoding="utf-8", collect_ids=False, remove_pis=True
)


def parse(data: bytes) -> Element:
    """The element that these bytes are.

    Raises:
        ValueError: They are not one well-formed element.
    """
    try:
        return etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error


def dump(found: Element) -> bytes:
    """The element as bytes, without what follows it."""
    return etree.tostring(found, with_tail=False)


def write(tree: Tree, *, attributes: dict[str, str] | None = None) -> bytes:
    """A tree of the stream parser as bytes.

    Args:
        tree: As the parser built it; names without a namespace belong to the stream's own. Inside
            an element of another namespace they are those of a client's stanza that is forwarded
            (:xep:`0297`), whatever stream it leaves by.
        attributes: Stands in for the attributes of the outermost element.
    """
    out: list[str] = []
    _write(tree, "", tree.attrib if attributes is None else attributes, out)
    return "".join(out).encode()


def _write(tree: Tree, outer: str, attributes: dict[str, str], out: list[str]) -> None:
    namespace, name = namespace_of(tree.tag), local_name(tree.tag)
    out.append(f"<{name}")
    if namespace != outer:
        out.append(f" xmlns='{escape(namespace or CLIENT)}'")
    for number, (key, value) in enumerate(attributes.items()):
        out.append(_attribute(key, value, number))
    if not len(tree) and not tree.text:
        out.append("/>")
        return
    out.append(">")
    out.append(escape(tree.text or ""))
    for inner in tree:
        _write(inner, namespace, inner.attrib, out)
        out.append(escape(inner.tail or ""))
    out.append(f"</{name}>")


def _attribute(key: str, value: str, number: int) -> str:
    if key[0] != "{":
        return f" {key}='{escape(value)}'"
    if key == LANG:
        return f" xml:lang='{escape(value)}'"
    namespace = escape(namespace_of(key))
    return f" xmlns:a{number}='{namespace}' a{number}:{local_name(key)}='{escape(value)}'"
