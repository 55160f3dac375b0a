"""Stanzas: an immutable header over a payload that nobody edits.

A payload keeps its bytes, complete but for ``from`` (and mostly ``to``), so that handing a stanza
on is a splice. Immutable by habit and by mypy: a frozen dataclass would cost five times as much to
make.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from typing import ClassVar, Self

from mypy_extensions import mypyc_attr

from xmppd.stanza import ns
from xmppd.stanza.copy_count import Copies
from xmppd.stanza.error import Condition, StanzaError
from xmppd.stanza.fate import Fate
from xmppd.stanza.jid import JID
from xmppd.stanza.splice import without_attribute
from xmppd.stanza.xml import LANG, Element, Tree, dump, escape, parse, read, write

MAX_SOFTWARE_LENGTH = 200
MAX_SHARED_CAPABILITIES = 4_096
"""Kinds of software that share their capabilities."""

MAX_CAPABILITIES_LENGTH = 1_023
"""Of each part of them; a longer one says nothing."""

_CAPABILITIES = "{http://jabber.org/protocol/caps}c"
_CAPABILITIES_2 = "{urn:xmpp:caps}c"
_HASH = "{urn:xmpp:hashes:2}hash"
_HASHES_2 = ("sha-256", "sha3-256", "sha-512", "sha3-512")
_PRIORITY = re.compile(r"[+-]?[0-9]{1,9}\Z").match


@mypyc_attr(allow_interpreted_subclasses=True)
class Archived:
    """The place of a message in the archive.

    Attributes:
        position: Its number there, in the order of time.
    """

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


@mypyc_attr(allow_interpreted_subclasses=True)  # there are kinds of it, also in plugins
class Payload:
    """A stanza's bytes and, on demand, its trees.

    Attributes:
        raw: The whole element without ``from``, its name unprefixed and in no namespace: it takes
            on the content namespace of the stream it leaves by.
        to: The address written in ``raw``; None if there is none.
        copies: The count of an account's sessions that have the message; None if only one has it.
        again: Whether a session that has ended gave the message back.
        passed_on: How often one node of the service has passed the stanza on to another.
        fate: What becomes of the message beside its delivery; None until somebody asks
            (:func:`xmppd.message.worth.fate`).
        archived: The message's place in the archive; None if it has none.
        origin: By which nodes know a message that one has passed on to another; else empty.
    """

    __slots__ = ("_tree", "_xml", "archived", "copies", "fate", "origin", "passed_on", "raw", "to")
    again: ClassVar[bool] = False

    def __init__(self, raw: bytes, to: JID | None = None, tree: Tree | None = None) -> None:
        self.raw = raw
        self.to = to
        self.copies: Copies | None = None
        self.passed_on = 0
        self.fate: Fate | None = None
        self.archived: Archived | None = None
        self.origin = ""
        self._tree = tree
        self._xml: Element | None = None

    @property
    def tree(self) -> Tree:
        """The element as the stream parser built it, for a cheap look at tags and text."""
        if self._tree is None:
            self._tree = read(self.raw)
        return self._tree

    @property
    def xml(self) -> Element:
        """The element in lxml, for handlers that look deeper."""
        if self._xml is None:
            self._xml = parse(self.raw)
        return self._xml

    def forget_trees(self) -> None:
        """Keep only the bytes; for a payload that is kept for long."""
        self._tree = self._xml = None

    def without_to(self) -> Self:
        """The same payload, ready for any address."""
        if self.to is None:
            return self
        raw = without_attribute(self.raw, b"to")
        if raw is None:
            tree = self.tree
            attributes = {key: value for key, value in tree.attrib.items() if key != "to"}
            raw = write(tree, attributes=attributes)
        payload = self.__class__(raw)
        payload.stays(self)
        return payload

    def changed(self, raw: bytes) -> Self:
        """The same payload with other bytes, and the same address in them."""
        payload = self.__class__(raw, self.to)
        payload.stays(self)
        return payload

    def stays(self, other: "Payload") -> None:
        """Be to the server what another payload of the same stanza is."""
        self.copies, self.passed_on = other.copies, other.passed_on
        self.fate, self.archived, self.origin = other.fate, other.archived, other.origin


class Stanza:
    """A message, presence or iq: what all three kinds have in common.

    Attributes:
        to: Its addressee; None if the client named none.
        sender: Its sender; stamped by us, never taken from a client.
        id: The id that its sender gave it.
        type: Its ``type`` as written; None if absent.
        payload: Its bytes and trees.
        name: Of its element.
        after_name: Where its bytes have room for attributes.
        place: Of its kind, where kinds are counted.
    """

    __slots__ = ("id", "payload", "sender", "to", "type")
    name: ClassVar[str]
    place: ClassVar[int]
    after_name: ClassVar[int]

    def __init_subclass__(cls) -> None:
        cls.after_name = len(cls.name) + 1

    def __init__(
        self, to: JID | None, sender: JID, id: str | None, type: str | None, payload: Payload
    ) -> None:
        self.to = to
        self.sender = sender
        self.id = id
        self.type = type
        self.payload = payload

    def __repr__(self) -> str:
        return f"<{self.name} {self.type or ''} {self.sender} -> {self.to} id={self.id}>"

    @classmethod
    def make(
        cls,
        to: JID | None,
        sender: JID,
        *children: bytes,
        id: str | None = None,
        type: str | None = None,
    ) -> Self:
        """A stanza of our own, around children that are bytes already."""
        head = f"<{cls.name}"
        if type is not None:
            head += f" type='{type}'"
        if id is not None:
            head += f" id='{escape(id)}'"
        if children:
            raw = b"%b>%b</%b>" % (head.encode(), b"".join(children), cls.name.encode())
        else:
            raw = head.encode() + b"/>"
        return cls(to, sender, id, type, Payload(raw))

    @classmethod
    def from_tree(
        cls,
        tree: Tree,
        sender: JID,
        *,
        address: Callable[[str], JID] = JID.parse,
        max_bytes: int | None = None,
    ) -> Self:
        """A stanza written anew from its tree, so that its bytes mean what we have read.

        Args:
            tree: As the parser built it.
            sender: Its sender, whatever its own ``from`` says.
            address: Makes a JID of ``to``.
            max_bytes: Its limit; None for a stanza that we have written before.

        Raises:
            ValueError: ``to`` is no JID.
            TooLarge: It would take more bytes.
        """
        attributes = {key: value for key, value in tree.attrib.items() if key not in ("from", "to")}
        to_text = tree.get("to")
        to = address(to_text) if to_text else None
        raw = write(tree, attributes=attributes, max_bytes=max_bytes)
        payload = Payload(raw, tree=tree)
        return cls(to, sender, tree.get("id"), tree.get("type"), payload)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A stanza that we wrote ourselves, read back with its sender.

        Raises:
            ValueError: It is not one any more.
        """
        tree = read(data)
        if tree.tag != cls.name:
            raise ValueError(f"not a {cls.name}")
        sender = JID.prepared(tree.get("from", ""))
        raw = without_attribute(data, b"from")
        if raw is not None and "to" in tree.attrib:
            raw = without_attribute(raw, b"to")
        if raw is None:
            return cls.from_tree(tree, sender, address=JID.prepared)
        text = tree.get("to")
        to = JID.prepared(text) if text else None
        return cls(to, sender, tree.get("id"), tree.get("type"), Payload(raw, tree=tree))

    @classmethod
    def from_wire(
        cls,
        sender: JID,
        id: str | None,
        type: str | None,
        wire: bytes,
        kind: type[Payload] = Payload,
    ) -> Self:
        """A stanza again from the bytes that :meth:`wire` made, without parsing them.

        Args:
            sender: As it is written in them.
            id: The same.
            type: The same.
            wire: Made by :meth:`wire`.
            kind: Of its payload.

        Raises:
            ValueError: They are others.
        """
        at, written = cls.after_name, b" from='%b'" % sender.wire
        if not wire.startswith(written, at):
            raise ValueError("the stanza does not begin with its sender")
        rest = wire[at + len(written) :]
        to = None
        if rest.startswith(b" to='"):
            address, _, rest = rest[5:].partition(b"'")
            to = JID.prepared(unescape(address.decode()))
        return cls(to, sender, id, type, kind(wire[:at] + rest))

    @property
    def xml(self) -> Element:
        """The whole stanza in lxml; names of the stream's namespace are in none."""
        return self.payload.xml

    @property
    def lang(self) -> str | None:
        """The language of its text, if it has an ``xml:lang``."""
        return self.payload.tree.get(LANG)

    def addressed(self, to: JID, sender: JID | None = None) -> Self:
        """The same payload in another envelope."""
        return self.__class__(
            to, sender or self.sender, self.id, self.type, self.payload.without_to()
        )

    def for_several(self) -> Self:
        """The same stanza without an address, for several sessions that get the same bytes."""
        return self.__class__(None, self.sender, self.id, self.type, self.payload)

    def with_sender(self, sender: JID) -> Self:
        """The same stanza with another sender."""
        return self.__class__(self.to, sender, self.id, self.type, self.payload)

    def with_child(self, child: bytes) -> Self:
        """The same stanza with one more child, behind the others.

        It stays what it was to the server, such as a message that was stamped, or that a session
        gave back.
        """
        raw = self.payload.raw
        if raw.endswith(b"/>"):
            raw = b"%b></%b>" % (raw[:-2], self.name.encode())
        at = raw.rindex(b"</")
        payload = self.payload.changed(raw[:at] + child + raw[at:])
        return self.__class__(self.to, self.sender, self.id, self.type, payload)

    def without_children(self, unwanted: Callable[[Tree], bool]) -> Self:
        """The same stanza without some of its children; itself if it has none of them."""
        tree = self.payload.tree
        wanted = [child for child in tree if not unwanted(child)]
        if len(wanted) == len(tree):
            return self
        left = tree.makeelement(tree.tag, {k: v for k, v in tree.attrib.items() if k != "from"})
        left.text = tree.text
        left.extend(wanted)
        if self.payload.to is None:
            left.attrib.pop("to", None)
        payload = self.payload.changed(write(left))
        return self.__class__(self.to, self.sender, self.id, self.type, payload)

    def wire(self) -> bytes:
        """The stanza as bytes, addressed."""
        payload, to, at = self.payload, self.to, self.after_name
        if payload.to is not to:
            payload = payload.without_to()
        raw = payload.raw
        if payload.to is not None or to is None:
            return b"%b from='%b'%b" % (raw[:at], self.sender.wire, raw[at:])
        return b"%b from='%b' to='%b'%b" % (raw[:at], self.sender.wire, to.wire, raw[at:])

    @property
    def size(self) -> int:
        """The number of its bytes, without an address."""
        return len(self.payload.without_to().raw) + len(b" from=''") + len(self.sender.wire)

    def around_to(self) -> tuple[bytes, bytes]:
        """The bytes before and behind the address: ``head + to.wire + tail`` is a stanza.

        So a presence to a thousand contacts costs a thousand splices.
        """
        raw, at = self.payload.without_to().raw, self.after_name
        return b"%b from='%b' to='" % (raw[:at], self.sender.wire), b"'" + raw[at:]

    def error(self, error: StanzaError) -> Self:
        """The error that answers this stanza (:rfc:`6120#section-8.3`)."""
        sender = self.sender.to_bare() if self.to is None else self.to
        return self.make(self.sender, sender, error_bytes(error), id=self.id, type="error")

    @property
    def answerable(self) -> bool:
        """Whether an error may answer it: not an error or a result (:rfc:`6120#section-8.3.1`)."""
        return self.type not in ("error", "result")


class Message(Stanza):
    """A message, delivered now or later (:rfc:`6121#section-5`)."""

    __slots__ = ()
    name = "message"
    place = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a presence's software: a hash of its service discovery (:xep:`0115`,
    :xep:`0390`).

    Attributes:
        node: The URI of the software; empty if only :xep:`0390` is told.
        ver: The hash; with older software, its version.
        hash: By which algorithm; empty with older software.
        edition: 1: it is made as :xep:`0115` says; 2: as :xep:`0390` does.
        software: The name of the software: that URI, unless it is very long.
    """

    node: str
    ver: str
    hash: str
    edition: int = 1
    software: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "software", self.node[:MAX_SOFTWARE_LENGTH])


@lru_cache(MAX_SHARED_CAPABILITIES)
def capabilities(node: str, ver: str, hash: str, edition: int = 1) -> Capabilities:
    """The capabilities that are written so; all sessions of one software share them."""
    return Capabilities(node, ver, hash, edition)


class Presence(Stanza):
    """A presence: availability, a subscription stanza or a probe (:rfc:`6121#section-4`)."""

    __slots__ = ()
    name = "presence"
    place = 1

    @property
    def priority(self) -> int:
        """The priority, from -128 to 127; 0 without one (:rfc:`6121#section-4.7.2.3`).

        Raises:
            ValueError: It says something that is no priority.
        """
        text = (self.payload.tree.findtext("priority") or "0").strip()
        if not _PRIORITY(text) or not -128 <= int(text) <= 127:
            raise ValueError("a priority must be a number from -128 to 127")
        return int(text)

    @property
    def show(self) -> str | None:
        """``away``, ``chat``, ``dnd`` or ``xa``; None for plainly available."""
        return self.payload.tree.findtext("show")

    @property
    def capabilities(self) -> Capabilities | None:
        """The capabilities of its software, by the newer way if it says both; None if it does not
        say.
        """
        first, second = map(self.payload.tree.find, (_CAPABILITIES, _CAPABILITIES_2))
        node = "" if first is None else first.get("node", "")
        if len(node) > MAX_CAPABILITIES_LENGTH:
            return None
        if second is not None:
            told = {each.get("algo", ""): each.text or "" for each in second.iterfind(_HASH)}
            for hash in _HASHES_2:
                if 0 < len(told.get(hash, "")) <= MAX_CAPABILITIES_LENGTH:
                    return capabilities(node, told[hash].strip(), hash, 2)
        if first is None:
            return None
        ver, hash = first.get("ver", ""), first.get("hash", "")
        if max(len(ver), len(hash)) > MAX_CAPABILITIES_LENGTH:
            return None
        return capabilities(node, ver, hash)


class IQ(Stanza):
    """A request or its answer (:rfc:`6120#section-8.2.3`)."""

    __slots__ = ()
    name = "iq"
    place = 2

    @property
    def query_tag(self) -> str | None:
        """``{namespace}name`` of its child; None if it has none."""
        tree = self.payload.tree
        return tree[0].tag if len(tree) else None

    @property
    def query(self) -> Element:
        """The child of a request or an answer.

        Raises:
            StanzaError: BAD_REQUEST if there is none.
        """
        for inner in self.payload.xml:
            return inner
        raise StanzaError(Condition.BAD_REQUEST, "an iq must have exactly one child")

    def result(self, answer: Element | bytes | None = None) -> "IQ":
        """The answer: ``to`` and ``from`` swapped, the id kept."""
        sender = self.sender.to_bare() if self.to is None else self.to
        if answer is not None and not isinstance(answer, bytes):
            answer = dump(answer)
        children = () if answer is None else (answer,)
        return IQ.make(self.sender, sender, *children, id=self.id, type="result")


def error_bytes(error: StanzaError) -> bytes:
    """The ``<error/>`` child of a stanza."""
    tag = error.condition.tag
    condition = f"<{tag} xmlns='{ns.STANZA_ERRORS}'/>"
    if error.uri:
        condition = f"<{tag} xmlns='{ns.STANZA_ERRORS}'>{escape(error.uri)}</{tag}>"
    text = application = ""
    if error.text:
        text = f"<text xmlns='{ns.STANZA_ERRORS}' xml:lang='en'>{escape(error.text)}</text>"
    if error.application:
        namespace, name = error.application
        application = f"<{name} xmlns='{namespace}'"
        if error.attribute:
            attribute, value = error.attribute
            application += f" {attribute}='{escape(value)}'"
        application += f">{error.inner}</{name}>" if error.inner else "/>"
    return f"<error type='{error.type.value}'>{condition}{text}{application}</error>".encode()
