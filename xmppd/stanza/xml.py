"""XML for handlers and plugins: elements to build, read and write. The one import of lxml."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element as Tree
from xml.parsers import expat

from lxml import etree
from lxml.etree import _Element as Element

from xmppd.stanza.names import local_name, namespace_of, put_names_right, qname
from xmppd.stanza.ns import CLIENT, XML
from xmppd.stanza.text import TEXT_ESCAPES, escape, find_unwritable

LANG = f"{{{XML}}}lang"
"""``xml:lang``."""

__all__ = ["Element", "Tree", "child", "dump", "element", "escape", "local_name", "namespace_of"]
__all__ += ["LANG", "find_unwritable", "parse", "qname", "read", "read_all", "write"]


def element(namespace: str, name: str, text: str | None = None, /, **attributes: str) -> Element:
    """A new element that declares its namespace as the default one.

    Args:
        namespace: Empty for the content namespace of whatever stream it will leave by.
        name: Without prefix.
        text: Its text.
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


def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        encoding="utf-8",
        collect_ids=False,
        remove_pis=True,
        recover=recover,
    )


_PARSER = _parser(recover=False)
_ANY_NAMESPACE = _parser(recover=True)


def parse(data: bytes) -> Element:
    """The element that these bytes are.

    A namespace may be any text: only libxml2 asks whether it is a URI, and the streams do not.

    Raises:
        ValueError: They are not one well-formed element.
    """
    try:
        return etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        if error.code != etree.ErrorTypes.WAR_NS_URI:
            raise ValueError(str(error)) from error
    check_whole(data)  # so that there is nothing else that libxml2 would have to recover from
    return etree.fromstring(data, _ANY_NAMESPACE)


def dump(found: Element) -> bytes:
    """The element as bytes, without its tail.

    In UTF-8, since no name can be written in ASCII that has other letters: a reference to a
    character means something in text and in values only.
    """
    return etree.tostring(found, encoding="UTF-8", with_tail=False)


def read(data: bytes) -> Tree:
    """The tree of a stanza that we have written, or passed on as it came.

    Raises:
        ValueError: It is not well-formed.
    """
    is_plain = b" xmlns=''" not in data and b' xmlns=""' not in data
    try:
        if is_plain:
            return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    (tree,) = read_all(data)
    return tree


def check_whole(data: bytes) -> None:
    """Whether these bytes are one element, at half the price of reading it.

    Raises:
        ValueError: They are not.
    """
    try:
        expat.ParserCreate(None, "}").Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error


def read_all(data: bytes) -> list[Tree]:
    """The trees of stanzas one behind another.

    Raises:
        ValueError: They are not well-formed.
    """
    try:
        trees = list(ElementTree.fromstring(b"<s xmlns='%b'>%b</s>" % (CLIENT.encode(), data)))
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    for tree in trees:
        put_names_right(tree, CLIENT, bare_is_content=False)
    return trees


class TooLarge(ValueError):
    """A tree that would be written in more bytes than it may take."""


def write(
    tree: Tree, *, attributes: dict[str, str] | None = None, max_bytes: int | None = None
) -> bytes:
    """A tree as bytes that mean the same on every stream.

    Namespaces are declared where they are used, which may take many times the bytes of a few
    prefixes; references take more than what they stand for.

    Args:
        tree: Its names spelled as in :mod:`xmppd.stanza.names` (FR-6).
        attributes: Stands in for the attributes of the outermost element.
        max_bytes: Its limit; None for a stanza that we have written before.

    Raises:
        TooLarge: It would be more.
    """
    writer = _Writer(max_bytes)
    writer.element(tree, None, tree.attrib if attributes is None else attributes)
    data = "".join(writer.out).encode()
    if max_bytes is not None and len(data) > max_bytes:
        raise TooLarge("a stanza that takes too many bytes to be written out")
    return data


class _Writer:
    __slots__ = ("_room", "out")

    def __init__(self, max_bytes: int | None) -> None:
        self.out: list[str] = []
        self._room = max_bytes

    def element(self, tree: Tree, scope: str | None, attributes: dict[str, str]) -> None:
        """Write an element where names without prefix are in ``scope``; None for the content's."""
        out, tag = self.out, tree.tag
        namespace: str | None
        if tag[0] == "{":
            namespace, _, name = tag[1:].partition("}")
        else:
            namespace, name = None if scope is None else "", tag
        out.append(f"<{name}")
        if namespace is not None and namespace != scope:
            self._declare("xmlns", namespace)
        if attributes:
            self._attributes(attributes)
        if not len(tree) and not tree.text:
            out.append("/>")
            return
        out.append(">")
        if tree.text:
            out.append(tree.text.translate(TEXT_ESCAPES))
        for inner in tree:
            self.element(inner, namespace, inner.attrib)
            if inner.tail:
                out.append(inner.tail.translate(TEXT_ESCAPES))
        out.append(f"</{name}>")

    def _attributes(self, attributes: dict[str, str]) -> None:
        prefixes = {XML: "xml"}
        for key, value in attributes.items():
            name = key
            if key[0] == "{":
                namespace, _, local = key[1:].partition("}")
                prefix = prefixes.get(namespace)
                if prefix is None:
                    prefix = prefixes[namespace] = f"a{len(prefixes)}"
                    self._declare(f"xmlns:{prefix}", namespace)
                name = f"{prefix}:{local}"
            self.out.append(f" {name}='{escape(value)}'")

    def _declare(self, name: str, namespace: str) -> None:
        """Declare a namespace; all else that is written takes about what it took before."""
        if self._room is not None:
            self._room -= len(namespace)
            if self._room < 0:
                raise TooLarge("namespaces that take too many bytes to be written out")
        self.out.append(f" {name}='{escape(namespace)}'")
