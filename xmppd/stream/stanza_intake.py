"""Stanza intake: every stream checks headers, keeps a language and makes stanzas with this."""

from collections.abc import Container

from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Message,
    Payload,
    Presence,
    Stanza,
    StanzaError,
    StreamCondition,
    StreamError,
    Tree,
    escape,
    ns,
    qname,
)
from xmppd.stanza.jid import prepare_domain
from xmppd.stanza.splice import without_attribute
from xmppd.stanza.xml import LANG, TooLarge, local_name
from xmppd.stream.stream_parser import Received, StreamOpened

KINDS: dict[str, type[Stanza]] = {kind.name: kind for kind in (Message, Presence, IQ)}
MAX_LANG_LENGTH = 35
"""The room that :rfc:`5646#section-4.4.1` asks for."""

WRITTEN_ANEW_BYTES = 16_384
"""The bytes that a stanza may take when it has to be written anew, if it was not nearly as large
before; else half as many again. Servers accept twice as many from one another as from clients.
"""

_STREAM = qname(ns.STREAM, "stream")


class Language:
    """The language of a stream, which its stanzas are in that name none (SC-5)."""

    __slots__ = ("_in_bytes", "_name")

    def __init__(self) -> None:
        self._name: str | None = None
        self._in_bytes = b""

    def speak(self, lang: str) -> None:
        """Take it from a header, unless that names no valid language."""
        if len(lang) <= MAX_LANG_LENGTH:
            self._name = lang
            self._in_bytes = f" xml:lang='{escape(lang)}'".encode()

    def typed(self, kind: type[Stanza], received: Received, sender: JID) -> Stanza:
        """A stanza in this language, with this sender in place of its own ``from``.

        Args:
            kind: Its kind.
            received: The element, its ``from`` taken off.
            sender: Its sender.

        Raises:
            StanzaError: JID_MALFORMED: ``to`` is no address; POLICY_VIOLATION: it has to be written
                anew and would become too large (FR-9).
        """
        tree, raw = received.tree, received.raw
        attributes = tree.attrib
        to_text = attributes.get("to")
        try:
            to = JID.parse(to_text) if to_text else None
        except ValueError as error:
            raise StanzaError(Condition.JID_MALFORMED, str(error)) from error
        if self._name is not None and LANG not in attributes:
            attributes[LANG] = self._name
            if raw is not None:
                at = kind.after_name
                raw = raw[:at] + self._in_bytes + raw[at:]
        written_to = to
        if (to.full if to is not None else None) != to_text:  # it is spelled in a way of its own
            written_to = None
            if raw is not None:
                raw = without_attribute(raw, b"to")
        if raw is None:
            return _written_anew(kind, received, sender)
        payload = Payload(raw, written_to, tree)
        return kind(to, sender, attributes.get("id"), attributes.get("type"), payload)


def _written_anew(kind: type[Stanza], received: Received, sender: JID) -> Stanza:
    size_bytes = received.size_bytes if received.raw is None else len(received.raw)
    try:
        return kind.from_tree(
            received.tree, sender, max_bytes=max(size_bytes * 3 // 2, WRITTEN_ANEW_BYTES)
        )
    except TooLarge as error:
        raise StanzaError(Condition.POLICY_VIOLATION, str(error)) from error


def served(domain: str | None, domains: Container[str]) -> str | None:
    """The domain of ours with this name; None if there is none."""
    if domain in domains:  # as nearly every client writes it
        return domain
    try:
        prepared = prepare_domain(domain or "")
    except ValueError:
        return None
    return prepared if prepared in domains else None


def check_header(header: StreamOpened, namespace: str, whose: str) -> None:
    """Whether a header is one of an XMPP stream of this kind and of version 1.0.

    Args:
        header: As it came.
        namespace: Of its stanzas.
        whose: The kind of peer, for people.

    Raises:
        StreamError: It is not (SC-2, SC-3, SC-5).
    """
    check_namespaces(header, namespace, whose)
    major = header.attributes.get("version", "0.9").partition(".")[0]
    if not major.isdecimal() or not major.strip("0"):
        raise StreamError(
            StreamCondition.UNSUPPORTED_VERSION, "this server supports only version 1.0"
        )


def check_namespaces(header: StreamOpened, namespace: str, whose: str) -> None:
    """Whether a header is one of an XMPP stream of this kind.

    Args:
        header: As it came.
        namespace: Of its stanzas. A header may leave it out, if the stanzas declare
            it themselves (:rfc:`6120#section-4.8.2`), but not have another one instead.
        whose: The kind of peer, for people.

    Raises:
        StreamError: It is not (SC-2, SC-3).
    """
    if header.tag != _STREAM:
        if local_name(header.tag) == "stream":
            raise StreamError(
                StreamCondition.INVALID_NAMESPACE, f"the namespace of a stream must be {ns.STREAM}"
            )
        raise StreamError(StreamCondition.BAD_FORMAT, "a stream begins with <stream:stream>")
    if header.namespace not in (namespace, ns.STREAM, "") and (
        namespace not in header.prefixes.values()
    ):
        raise StreamError(
            StreamCondition.INVALID_NAMESPACE, f"{whose} must use the namespace {namespace}"
        )


def stream_error_in(tree: Tree) -> str:
    """The condition that a stream error of the peer's names, for the log."""
    known = {condition.value for condition in StreamCondition}
    names = [local_name(child.tag) for child in tree]
    return next((name for name in names if name in known), "undefined-condition")
