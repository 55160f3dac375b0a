"""Stanzas that are legal and that nobody would write, and what they mean to plain expat.

``odd_stanza(Random(seed))`` is one of them as a client may send it, ``odd_stanzas`` the same for
hypothesis, which makes what fails as small as it can. Whatever becomes of one on its way,
:func:`meanings` of the bytes that come out is that of those that went in.
"""

from collections.abc import Iterator, Mapping, Sequence
from pyexpat import ParserCreate
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

CLIENT = "jabber:client"
SERVER = "jabber:server"
COMPONENT = "jabber:component:accept"
STREAM = "http://etherx.jabber.org/streams"
DIALBACK = "jabber:server:dialback"
XML = "http://www.w3.org/XML/1998/namespace"
MAX_DEPTH = 5

_SPACE = ("", "", "", " ", "\n", "\t ", "\r\n")
_NAMES = ("x", "y", "body", "message", "error", "query", "stream", "a1", "x-y", "_", "ὰβ", "ns.x")
_ATTRIBUTE_NAMES = ("a", "b", "to", "from", "id", "type", "lang", "xmlns1", "ά", "space")
_PREFIXES = ("a", "a0", "a1", "ns0", "x", "message", "stream", "db", "β", "xmlnsx")
_NAMESPACES = (
    "urn:example:x", "urn:example:y", "x", "DAV:", " ", "it's", 'a "b"', "a&b<c>", "urn:ὰ",
    "\n", "\t", CLIENT, SERVER, COMPONENT, STREAM, DIALBACK, "urn:xmpp:forward:0",
    "http://www.w3.org/1999/xhtml", "urn:xmpp:delay", "jabber:client ", "Jabber:client",
)  # fmt: skip
_WORDS = (
    "hi", " ", "", "]]", "]]>", "'", '"', "<", ">", "&", "&amp;", "</message>", "\n", "\t", "\r",
    "\r\n", "ὰβγ", "😀", "\u0301", "\u202e", "\ufffd", "\x7f", "\x85", "\u2028", "xmlns=''",
    "xmlns:a='b'", " from='x'", "jabber:client", "stream:", "<![CDATA[", "<!--", "&#10;",
)  # fmt: skip
_XML_ATTRIBUTES = ("lang", "space", "base", "id", "odd")
_TYPES: Mapping[str, Sequence[str | None]] = {
    "message": (None, "normal", "chat", "headline", "groupchat", "error", "odd"),
    "presence": (None, "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed",
                 "probe", "error"),
    "iq": ("get", "set", "result", "error"),
}  # fmt: skip
_TEXTS: Mapping[str, Sequence[str]] = {
    "message": ("body", "subject", "thread"),
    "presence": ("show", "status"),
    "iq": (),
}
ANY = "any type"


def odd_stanza(
    random: Random,
    name: str | None = None,
    *,
    to: str | None = None,
    sender: str | None = None,
    type: str | None = ANY,
    id: str | None = None,
    depth: int = MAX_DEPTH,
    content: str = CLIENT,
) -> str:
    """A stanza as a client, a server or a component may write it, its ``from`` aside.

    Args:
        random: Where the oddness comes from.
        name: ``message``, ``presence`` or ``iq``; one of them, if it is left open.
        to: An address, which will be spelled in odd ways; None for none.
        sender: The same for ``from``.
        type: None for none; one that the stanza may have, if it is left open.
        id: A plain one, by which it is found again; else it is odd, or there is none.
        depth: Elements inside one another, the stanza included.
        content: The content namespace of the stream that it is written for.
    """
    name = name or random.choice(tuple(_TYPES))
    if type == ANY:
        type = random.choice(_TYPES[name])
    attributes = []
    if to is not None:
        attributes.append(("to", _spelled(random, to)))
    if sender is not None:
        attributes.append(("from", _spelled(random, sender)))
    if type is not None:
        attributes.append(("type", _value(random, type)))
    if id is not None:
        attributes.append(("id", id))
    elif name == "iq" or random.random() < 0.5:
        attributes.append(("id", _value(random, "i" + _text(random))))
    return _Writer(random, content).stanza(name, attributes, type, depth)


def odd_element(random: Random, depth: int = MAX_DEPTH) -> str:
    """An element of a namespace of its own, as there may be one in any stanza of a client."""
    return _Writer(random, CLIENT).inner(_Scope(CLIENT, {}), depth, foreign=True)


odd_stanzas = st.randoms(use_true_random=False).map(odd_stanza)
"""The same for hypothesis: anything goes."""


class _Scope(NamedTuple):
    """What names mean inside of an element."""

    default: str
    prefixes: Mapping[str, str]


class _Writer:
    def __init__(self, random: Random, content: str) -> None:
        self.random = random
        self.content = content

    def stanza(
        self, name: str, attributes: list[tuple[str, str]], type: str | None, depth: int
    ) -> str:
        """One stanza with some content that is usual, and some that is not."""
        random = self.random
        scope = _Scope(self.content, {})
        written = name
        if random.random() < 0.1:  # the content namespace once more, by a prefix or as it is
            if random.random() < 0.5:
                attributes.append(("xmlns", self.content))
            else:
                written = "c:" + name
                scope = _Scope(self.content, {"c": self.content})
                attributes.append(("xmlns:c", self.content))
        if random.random() < 0.5:
            scope = self._declared(scope, attributes)
        self._attributes(scope, attributes, plain=False)
        return self._element(written, attributes, self._inside(name, type, scope, depth))

    def _inside(self, name: str, type: str | None, scope: _Scope, depth: int) -> list[str]:
        random = self.random
        if name == "iq":
            if type in ("get", "set"):
                return [self.inner(scope, depth - 1, foreign=True)]
            return [self.inner(scope, depth - 1)] if random.random() < 0.7 else []
        content = [
            self._element(text, self._some_attributes(scope), [self.text()])
            for text in _TEXTS[name]
            if random.random() < 0.5
        ]
        content += [self.inner(scope, depth - 1) for _ in range(random.choice((0, 1, 1, 2, 3)))]
        random.shuffle(content)
        return content

    def inner(self, scope: _Scope, depth: int, *, foreign: bool = False) -> str:
        """An element somewhere inside, in any namespace or in none."""
        random = self.random
        attributes: list[tuple[str, str]] = []
        way = random.random()
        if foreign or way < 0.35:
            scope = _Scope(
                random.choice(_NAMESPACES[:2] if foreign else _NAMESPACES), scope.prefixes
            )
            attributes.append(("xmlns", self.value(scope.default)))
        elif way < 0.5:
            scope = _Scope("", scope.prefixes)
            attributes.append(("xmlns", ""))
        if random.random() < 0.4:
            scope = self._declared(scope, attributes)
        name = random.choice(_NAMES)
        if not foreign and scope.prefixes and random.random() < 0.5:
            name = f"{random.choice(tuple(scope.prefixes))}:{name}"
        self._attributes(scope, attributes)
        content = [self.text()] if random.random() < 0.5 else []
        if depth > 1:
            for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
                content += [self.inner(scope, depth - 1), self.text()]
        return self._element(name, attributes, content)

    def _declared(self, scope: _Scope, attributes: list[tuple[str, str]]) -> _Scope:
        """The scope with one or two prefixes more."""
        prefixes = dict(scope.prefixes)
        taken = {name for name, _ in attributes}
        for _ in range(self.random.choice((1, 1, 2))):
            prefix, uri = self.random.choice(_PREFIXES), self.random.choice(_NAMESPACES)
            if f"xmlns:{prefix}" not in taken:
                taken.add(f"xmlns:{prefix}")
                prefixes[prefix] = uri
                attributes.append((f"xmlns:{prefix}", self.value(uri)))
        return _Scope(scope.default, prefixes)

    def _some_attributes(self, scope: _Scope) -> list[tuple[str, str]]:
        attributes: list[tuple[str, str]] = []
        self._attributes(scope, attributes)
        return attributes

    def _attributes(
        self, scope: _Scope, attributes: list[tuple[str, str]], *, plain: bool = True
    ) -> None:
        """Add attributes, no two with the same name in the same namespace."""
        random = self.random
        taken = {("", name) for name, _ in attributes}
        for _ in range(random.choice((0, 0, 1, 1, 2, 4))):
            way = random.random()
            prefix, uri = "", ""
            if way < 0.3:
                prefix, uri = "xml", XML
            elif way < 0.7 and scope.prefixes:
                prefix = random.choice(tuple(scope.prefixes))
                uri = scope.prefixes[prefix]
            elif not plain:
                continue
            name = random.choice(_XML_ATTRIBUTES if prefix == "xml" else _ATTRIBUTE_NAMES)
            if (uri, name) not in taken:
                taken.add((uri, name))
                value = self.value(_text(random))
                attributes.append((f"{prefix}:{name}" if prefix else name, value))
        random.shuffle(attributes)

    def _element(self, name: str, attributes: list[tuple[str, str]], content: list[str]) -> str:
        random = self.random
        head = name
        for key, value in attributes:
            quote = '"' if "'" in value else "'"
            equals = random.choice(("=", "=", "=", " = ", "\n="))
            head += f"{random.choice((' ', ' ', ' ', '  ', chr(10)))}{key}{equals}"
            head += quote + value + quote
        space = random.choice(_SPACE)
        inside = "".join(content)
        if not inside and random.random() < 0.8:
            return f"<{head}{space}/>"
        return f"<{head}{space}>{inside}</{name}{random.choice(_SPACE)}>"

    def value(self, text: str) -> str:
        """A text as an attribute value, in double quotes only if it has single ones."""
        return _value(self.random, text)

    def text(self) -> str:
        """Some text, written with references, with CDATA sections, or both."""
        random = self.random
        out = []
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            word = random.choice(_WORDS)
            if random.random() < 0.15 and "]]>" not in word and "\r" not in word:
                out.append(f"<![CDATA[{word}]]>")
            else:
                out.append(_referenced(random, word, "<>&\r"))
        return "".join(out)


def _text(random: Random) -> str:
    return "".join(random.choice(_WORDS) for _ in range(random.choice((0, 1, 1, 2))))


def _value(random: Random, text: str) -> str:
    return _referenced(random, text, "<&\"'\t\n\r")


def _spelled(random: Random, address: str) -> str:
    """An address in a spelling that is prepared to the same: case, and references."""
    bare, slash, resource = address.partition("/")
    if random.random() < 0.2:
        bare = bare.upper()
    return _value(random, bare + slash + resource)


def _referenced(random: Random, text: str, special: str) -> str:
    """A text with references for what is special, and now and then for what is not."""
    named = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;"}
    out = []
    for character in text:
        if character not in special and random.random() < 0.97:
            out.append(character)
            continue
        ways = [f"&#{ord(character)};", f"&#x{ord(character):x};", f"&#x000{ord(character):X};"]
        out.append(random.choice([*ways, *([named[character]] * 3 if character in named else [])]))
    return "".join(out)


# -- what it means ---------------------------------------------------------------------------------


class Meaning(NamedTuple):
    """An element, as far as the Namespaces in XML say that it means anything.

    Attributes:
        name: ``(namespace, name)``. The namespace of an element that is in the content namespace of
            its stream, as are all around it, is ``content``.
        attributes: Values by ``(namespace, name)``.
        content: Texts and elements, no two texts beside one another.
    """

    name: tuple[str, str]
    attributes: dict[tuple[str, str], str]
    content: list["str | Meaning"]

    def all(self) -> Iterator["Meaning"]:
        """It and all inside of it."""
        yield self
        for inner in self.content:
            if isinstance(inner, Meaning):
                yield from inner.all()

    def on(self, content: str) -> "Meaning":
        """The same on a stream of this content namespace, which may be that of some names in it."""
        if self.name[0] not in ("content", content):
            return self
        inner = [each if isinstance(each, str) else each.on(content) for each in self.content]
        return Meaning(("content", self.name[1]), self.attributes, inner)

    def quoted(self) -> "Meaning":
        """A client's stanza inside of something else, where its namespace has to be said."""
        if self.name[0] != "content":
            return self
        inner = [each if isinstance(each, str) else each.quoted() for each in self.content]
        return Meaning((CLIENT, self.name[1]), self.attributes, inner)

    def child(self, name: str) -> "Meaning | None":
        """Its first child of this name in the content namespace."""
        for each in self.content:
            if isinstance(each, Meaning) and each.name == ("content", name):
                return each
        return None

    def without(self, *names: str) -> "Meaning":
        """The same without these attributes, which have no namespace."""
        kept = {key: value for key, value in self.attributes.items() if key not in _bare(names)}
        return self._replace(attributes=kept)


def _bare(names: Sequence[str]) -> set[tuple[str, str]]:
    return {("", name) for name in names}


def meanings(data: bytes | str, content: str = CLIENT) -> list[Meaning]:
    """What these elements mean on a stream of this content namespace, to plain expat.

    Raises:
        ExpatError: They are not namespace-well-formed.
    """
    header = f"<stream:stream xmlns='{content}' xmlns:stream='{STREAM}' xmlns:db='{DIALBACK}'>"
    raw = data.encode() if isinstance(data, str) else data
    return read_stream(header.encode() + raw + b"</stream:stream>", content)


def read_stream(data: bytes, content: str = CLIENT) -> list[Meaning]:
    """What the elements mean of a stream that is there from its header to its end."""
    return _Reader(content).read(data)


class _Reader:
    def __init__(self, content: str) -> None:
        self.namespace = content
        self.open = [Meaning(("content", ""), {}, [])]

    def read(self, data: bytes) -> list[Meaning]:
        # No name and no namespace has this separator in it.
        parser = ParserCreate("UTF-8", "\x0c")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(data, True)
        (stream,) = self.open[0].content
        assert isinstance(stream, Meaning)
        return [inner for inner in stream.content if isinstance(inner, Meaning)]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, local = _split(name)
        inside_content = len(self.open) == 2 or self.open[-1].name[0] == "content"
        if namespace == self.namespace and inside_content and len(self.open) > 1:
            namespace = "content"
        made = Meaning((namespace, local), {_split(key): v for key, v in attributes.items()}, [])
        self.open[-1].content.append(made)
        self.open.append(made)

    def _end(self, name: str) -> None:
        self.open.pop()

    def _text(self, text: str) -> None:
        content = self.open[-1].content
        if content and isinstance(content[-1], str):
            content[-1] += text
        else:
            content.append(text)


def _split(name: str) -> tuple[str, str]:
    namespace, separator, local = name.rpartition("\x0c")
    return (namespace, local) if separator else ("", name)
