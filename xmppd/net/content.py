"""What arrives at stanza level: its content namespace taken off, its bytes kept if they may be."""

import re
from xml.etree.ElementTree import Element as Tree

from xmppd.net.element_parser import ParserPool
from xmppd.net.stream_header import StreamHeader, canonical
from xmppd.stanza import ns

MAX_IDLE_PARSERS = 32
_AMPERSAND = ord("&")

_CANONICAL = canonical({"stream": ns.STREAM})
_CANONICAL_OF_SERVERS = canonical({"stream": ns.STREAM, "db": ns.DIALBACK})
_shared_pool = ParserPool(_CANONICAL, MAX_IDLE_PARSERS)
_shared_pools = {
    _CANONICAL: _shared_pool,
    _CANONICAL_OF_SERVERS: ParserPool(_CANONICAL_OF_SERVERS, MAX_IDLE_PARSERS),
}
_empty_default = re.compile(rb"[ \t\r\n]xmlns[ \t\r\n]*=[ \t\r\n]*(?:''|\"\")").search
_prefix = re.compile(rb"[</ \t\r\n](?:stream|db):").search
_sender = re.compile(
    rb"<[a-z]+(?:[ \t\r\n]+[^ \t\r\n=<>\"']+[ \t\r\n]*=[ \t\r\n]*(?:'[^']*'|\"[^\"]*\"))*?"
    rb"([ \t\r\n]+from[ \t\r\n]*=[ \t\r\n]*(?:'[^']*'|\"[^\"]*\"))"
).match


class Received:
    """An element at stanza level, complete.

    Attributes:
        tree: As built in C. Names of the content namespace carry none, all others ``{ns}name``.
        raw: Its bytes as they came, if they mean the same on every stream and may be spliced:
            they begin with the bare name and lean on nothing that the header declared. A client
            has no business to write ``from``; what another server sends is given without it.
            Else None, and whoever passes it on writes the tree.
    """

    __slots__ = ("raw", "tree")

    def __init__(self, raw: bytes | None, tree: Tree) -> None:
        self.raw = raw
        self.tree = tree

    def __repr__(self) -> str:
        return f"<Received {self.tree.tag}>"


class Content:
    """The content of one stream: how its elements are parsed and which names lose a namespace.

    Elements are parsed behind a header that does not declare the content namespace, so that it is
    off already, unless an element declares it itself or gives it a prefix.

    Args:
        header: The header of the stream. One that declares more prefixes than are usual gets
            parsers of its own, and its elements are not handed on as they came.

    Attributes:
        pool: The parsers for its elements.

    Spec: :rfc:`6120#section-4.8.2`
    """

    __slots__ = ("_from_servers", "_mention", "_shared", "_strip", "pool")

    def __init__(self, header: StreamHeader) -> None:
        namespace = header.opened.namespace
        self._strip = f"{{{namespace}}}"
        self._from_servers = namespace == ns.SERVER
        pool = _shared_pools.get(header.canonical)
        self._shared = pool is not None
        # An odd stream keeps no parser: each would hold on to all names its peer has thought of.
        self.pool = ParserPool(header.canonical, 0) if pool is None else pool
        # What is in every element that declares it again, unless it spells it with "&#".
        plain = self._shared and namespace.replace(":", "").isalnum()
        self._mention = namespace.encode() if plain else b""

    def received(self, data: bytes, tree: Tree, *, opaque: bool = False) -> Received:
        """The element with its names as they shall be.

        Args:
            data: All of its bytes and no others.
            tree: What they say.
            opaque: Whether there is a CDATA section in them.
        """
        find = data.find
        mentioned = find(self._mention) >= 0 or (_AMPERSAND in data and find(b"&#") >= 0)
        renamed = mentioned and self._take_off(tree)
        if (
            renamed
            or opaque
            or not self._shared
            or tree.tag[0] == "{"
            or ((find(b"''") >= 0 or find(b'""') >= 0) and _empty_default(data))
            or ((find(b"stream:") >= 0 or find(b"db:") >= 0) and _prefix(data))
        ):
            return Received(None, tree)
        if tree.get("from") is not None:
            return Received(_without_sender(data) if self._from_servers else None, tree)
        return Received(data, tree)

    def _take_off(self, tree: Tree) -> bool:
        """Rename what is in the content namespace; whether there was anything."""
        strip = self._strip
        found = [element for element in tree.iter() if element.tag.startswith(strip)]
        for element in found:
            element.tag = element.tag[len(strip) :]
        return bool(found)


def _without_sender(data: bytes) -> bytes | None:
    """An element's bytes without its ``from``; None if its name is not as plain as a stanza's."""
    found = _sender(data)
    return None if found is None else data[: found.start(1)] + data[found.end(1) :]
