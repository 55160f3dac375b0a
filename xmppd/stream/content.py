"""Elements at stanza level: their content namespace is taken off, their bytes kept if possible."""

import re
from xml.etree.ElementTree import Element as Tree

from xmppd.stanza import ns
from xmppd.stanza.names import namespace_of, put_names_right
from xmppd.stanza.splice import without_attribute
from xmppd.stream.element_parser import ElementParser, ParserPool
from xmppd.stream.stream_header import StreamOpened, canonical

MAX_IDLE_PARSERS = 32
_AMPERSAND = ord("&")

_PREFIXES = {"stream": ns.STREAM}
_PREFIXES_OF_SERVERS = {"stream": ns.STREAM, "db": ns.DIALBACK}
_shared_pool = ParserPool(canonical(_PREFIXES), MAX_IDLE_PARSERS)
_shared_pools = {
    frozenset(_PREFIXES.items()): _shared_pool,
    frozenset(_PREFIXES_OF_SERVERS.items()): ParserPool(
        canonical(_PREFIXES_OF_SERVERS), MAX_IDLE_PARSERS
    ),
}
_empty_default = re.compile(rb"[ \t\r\n]xmlns[ \t\r\n]*=[ \t\r\n]*(?:''|\"\")").search
_prefix = re.compile(rb"[</ \t\r\n](?:stream|db):").search


class Received:
    """An element at stanza level, complete.

    Attributes:
        tree: As built in C, its names spelled as in :mod:`xmppd.stanza.names` (FR-6).
        raw: Its bytes as they came, but without ``from``, if they mean the same on every stream
            and may be spliced: they begin with the bare name and lean on nothing that the header
            declared. Else None, and the tree is written when it is passed on.
        size_bytes: The number of its bytes, if ``raw`` is None.
    """

    __slots__ = ("raw", "size_bytes", "tree")

    def __init__(self, raw: bytes | None, tree: Tree, size_bytes: int = 0) -> None:
        self.raw = raw
        self.tree = tree
        self.size_bytes = size_bytes

    def __repr__(self) -> str:
        return f"<Received {self.tree.tag}>"


class Content:
    """The content of one stream: parses its elements, and takes the content namespace off their
    names.

    Behind a usual header, elements are parsed as if it did not declare the content namespace, so
    that it is off already. That tells all names but those that stand bare in an element of another
    namespace, which takes a prefix, and those in no namespace; an element in which there may be
    such is read again, behind the header as it is.

    Args:
        header: The header of the stream. One that declares anything else than is usual gets
            parsers of its own, and its elements are not handed on as they came.
        namespace: The content namespace, whether the header declares it or the elements do.

    Attributes:
        pool: The parsers for its elements.

    Spec: :rfc:`6120#section-4.8.2`
    """

    __slots__ = ("_header", "_mention", "_namespace", "_shared", "pool")

    def __init__(self, header: StreamOpened, namespace: str) -> None:
        self._header = header
        self._namespace = namespace
        pool = None
        if header.namespace == namespace:
            pool = _shared_pools.get(frozenset(header.prefixes.items()))
        self._shared = pool is not None
        # An odd stream keeps no parser: each would hold on to all names its peer has thought of.
        self.pool = ParserPool(self._canonical, 0) if pool is None else pool
        # What is in every element that declares it again, unless it spells it with "&#".
        self._mention = namespace.encode()

    @property
    def _canonical(self) -> bytes:
        return canonical(self._header.prefixes, self._header.namespace)

    def received(self, data: bytes, tree: Tree, *, opaque: bool = False) -> Received:
        """The element, its names spelled as in :mod:`xmppd.stanza.names`.

        Args:
            data: All of its bytes and no others.
            tree: The same, read by a parser of the pool.
            opaque: Whether there is a CDATA section in them.
        """
        if not self._shared:
            put_names_right(tree, self._namespace, bare_is_content=False)
            return Received(None, tree, len(data))
        find = data.find
        declared = find(self._mention) >= 0 or (_AMPERSAND in data and find(b"&#") >= 0)
        if (
            find(b"xmlns:") >= 0
            or ((find(b"''") >= 0 or find(b'""') >= 0) and _empty_default(data))
            or ((find(b"stream:") >= 0 or find(b"db:") >= 0) and _prefix(data))
        ):
            return self._read_again(data, opaque=opaque or declared)
        renamed = declared and put_names_right(tree, self._namespace, bare_is_content=True)
        if renamed or opaque or tree.tag[0] == "{":
            return Received(None, tree, len(data))
        if "from" in tree.attrib:
            return Received(without_attribute(data, b"from"), tree, len(data))
        return Received(data, tree)

    def _read_again(self, data: bytes, *, opaque: bool) -> Received:
        """Read an element again in which a bare name may not be content."""
        parser = ElementParser(self._canonical)
        parser.feed(data)
        tree = parser.take()
        put_names_right(tree, self._namespace, bare_is_content=False)
        if (
            opaque
            or tree.tag[0] == "{"
            or _empty_default(data)
            or _prefix(data)
            or any(namespace_of(found.tag) == self._namespace for found in tree.iter())
        ):
            return Received(None, tree, len(data))
        if "from" in tree.attrib:
            return Received(without_attribute(data, b"from"), tree, len(data))
        return Received(data, tree)
