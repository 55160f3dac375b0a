"""JIDs: addresses that are prepared once and then compared as text."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

import idna

from xmppd.stanza.profiles import local_profile, resource_profile
from xmppd.stanza.xml import escape

LOCAL = "part before the @"
"""What people call a localpart."""

MAX_PART_BYTES = 1023
MAX_ADDRESS_BYTES = 3 * MAX_PART_BYTES + 2
MAX_INTERNED_BYTES = 64 << 20
MAX_DNS_NAME_BYTES = 253
MAX_LABEL_LENGTH = 63
"""Of a label of a domain, in ASCII or not: one that is not is longer still in DNS."""

MAX_CACHED_LABELS = 16_384
LABEL_US = 40
"""The microseconds that preparing a label takes, about, whatever its length."""

KNOWN_LABEL_US = 1
"""The same for a label that was prepared before."""

CHARACTER_US = 3
"""The same for each character of a label, localpart or resource, in addition."""


_SIMPLE = re.compile(
    r"(?:([a-z0-9!#$%()*+,\-.;=?\[\\\]^_`{|}~]{1,1023})@)?"
    r"((?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?)*)"
    r"(?:/([!-~]{1,1023}))?\Z"
)
_SIMPLE_LOCAL = re.compile(r"[a-z0-9!#$%()*+,\-.;=?\[\\\]^_`{|}~]{1,1023}\Z").match
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\Z")
_FORBIDDEN_LOCAL = re.compile(r"[\"&'/:<>@\s]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_ACE = "xn--"
"""The prefix of labels in the ASCII form of DNS; ours is the Unicode form."""
_DOTS = re.compile("[。．｡]")


class Effort:
    """The time that preparing addresses has taken so far. Plain addresses, which nearly all are,
    take none.

    Attributes:
        spent_us: An estimate in microseconds that is the same on every machine.
    """

    __slots__ = ("spent_us",)

    def __init__(self) -> None:
        self.spent_us = 0


effort = Effort()


@dataclass(frozen=True, slots=True, eq=False)
class JID:
    """An address, prepared: :meth:`parse` is the only way to make one from text.

    Attributes:
        local: The part before ``@``, prepared; None for a domain or domain/resource.
        domain: The domain, prepared.
        resource: The part after ``/``, prepared; None in a bare JID.
        bare: ``local@domain`` as text: the key of routes and accounts.
        full: The whole address as text; equal to ``bare`` in a bare JID.
        wire: ``full`` in UTF-8, escaped for an attribute value.

    Spec: :rfc:`7622`
    """

    local: str | None
    domain: str
    resource: str | None
    bare: str
    full: str
    wire: bytes

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, JID) and self.full == other.full)

    def __hash__(self) -> int:
        return hash(self.full)

    def __str__(self) -> str:
        return self.full

    @staticmethod
    def parse(text: str) -> "JID":
        """The JID that this text names.

        Raises:
            ValueError: The text is not an address; the message says which part is wrong.
        """
        return _interned[text]

    @staticmethod
    def prepared(full: str) -> "JID":
        """The JID whose ``full`` this is: it was prepared before, and is not again.

        For addresses that we keep ourselves, in memory or in the store, never for those a peer
        sends.

        Raises:
            ValueError: It is damaged, and no address any more.
        """
        jid = _interned.get(full) or _prepared.get(full)
        return _prepared.add(full, _taken_apart(full)) if jid is None else jid

    @staticmethod
    def of(local: str | None, domain: str, resource: str | None = None) -> "JID":
        """The JID with these parts, which may be unprepared.

        Raises:
            ValueError: A part cannot be prepared.
        """
        bare = domain if local is None else f"{prepare_local(local)}@{domain}"
        return JID.parse(bare if resource is None else f"{bare}/{resource}")

    @staticmethod
    def of_stream(domain: str, id: str) -> "JID":
        """The address of a stream before it has a resource.

        It never comes again, so it is not kept among the addresses in use.

        Args:
            domain: Prepared.
            id: Of our own making.
        """
        return _made(None, domain, id)

    @property
    def is_bare(self) -> bool:
        """Whether no resource is named."""
        return self.resource is None

    def to_bare(self) -> "JID":
        """The same address without its resource."""
        return self if self.resource is None else JID.prepared(self.bare)

    def with_resource(self, resource: str) -> "JID":
        """The full JID of this account's resource.

        Raises:
            ValueError: The resource cannot be prepared.
        """
        return JID.parse(f"{self.bare}/{resource}")


class _Interned(dict[str, JID]):
    """The addresses in use, by any text that names them; when they are too many, all are
    forgotten.
    """

    def __init__(self) -> None:
        self.size_bytes = 0

    def __missing__(self, text: str) -> JID:
        return self.add(text, _parse(text))

    def add(self, text: str, jid: JID) -> JID:
        """Keep what this text names; an address that is known already stays the same object."""
        if self.size_bytes > MAX_INTERNED_BYTES:
            self.clear()
            self.size_bytes = 0
        self.size_bytes += _size_bytes(text, jid)
        self[text] = jid = self.setdefault(jid.full, jid)
        return jid


def _size_bytes(text: str, jid: JID) -> int:
    """About how many bytes an address takes: its parts and its whole are kept as text, too."""
    return 400 + len(jid.wire) * (4 if text.isascii() and jid.full.isascii() else 16)


_interned = _Interned()
_prepared = _Interned()
"""Addresses made by ``prepared``: a text that a peer writes is not looked for here."""


def _made(local: str | None, domain: str, resource: str | None) -> JID:
    bare = domain if local is None else f"{local}@{domain}"
    full = bare if resource is None else f"{bare}/{resource}"
    return JID(local, domain, resource, bare, full, escape(full).encode())


def _parts(text: str) -> tuple[str | None, str, str | None]:
    bare, slash, resource = text.partition("/")
    local, at, domain = bare.rpartition("@")
    return local if at else None, domain, resource if slash else None


def _taken_apart(full: str) -> JID:
    local, domain, resource = _parts(full)
    if not domain or local == "" or resource == "" or _CONTROL.search(full):
        raise ValueError(f"{full!r} is not an address")
    return _made(local, domain, resource)


def _parse(text: str) -> JID:
    if len(text) > MAX_ADDRESS_BYTES:
        raise ValueError(f"the address is longer than {MAX_ADDRESS_BYTES} bytes")
    simple = _SIMPLE.match(text)
    if simple is not None and len(simple[2]) <= MAX_DNS_NAME_BYTES and _ACE not in simple[2]:
        return _made(*simple.groups())
    local, domain, resource = _parts(text)
    return _made(
        None if local is None else prepare_local(local),
        prepare_domain(domain),
        None if resource is None else prepare_resource(resource),
    )


def _bounded(part: str, name: str) -> str:
    if not part:
        raise ValueError(f"the {name} is empty")
    if len(part) > MAX_PART_BYTES or len(part.encode()) > MAX_PART_BYTES:
        raise ValueError(f"the {name} is longer than {MAX_PART_BYTES} bytes")
    return part


def prepare_local(text: str) -> str:
    """A localpart, case-mapped and normalised (:rfc:`7622#section-3.3`).

    Raises:
        ValueError: It cannot be one.
    """
    if _SIMPLE_LOCAL(text):
        return text
    _bounded(text, LOCAL)
    effort.spent_us += CHARACTER_US * len(text)
    try:
        local = local_profile.enforce(text)
    except UnicodeEncodeError as error:
        raise ValueError(_unfit(f"the {LOCAL}, {text!r},", f"the {LOCAL}", error)) from error
    if found := _FORBIDDEN_LOCAL.search(local):
        which = "another @" if found[0] == "@" else repr(found[0])
        raise ValueError(f"the part before the @ must not contain {which}")
    return _bounded(local, LOCAL)


def prepare_domain(text: str) -> str:
    """A domain in lower case and Unicode form, or an IP literal (:rfc:`7622#section-3.2`).

    Raises:
        ValueError: It cannot be one.
    """
    text = _DOTS.sub(".", _bounded(text, "domain")).removesuffix(".")
    if text.startswith("["):
        if not text.endswith("]"):
            raise ValueError(f"the domain {text!r} is not an address literal")
        return f"[{_ipv6(text[1:-1])}]"
    text = text.lower()
    labels = text.split(".")
    if _dns_bytes(labels) > MAX_DNS_NAME_BYTES:  # before the work: preparing a label takes its time
        raise ValueError("the domain is longer than a name in DNS can be")
    effort.spent_us += 0 if text.isascii() else KNOWN_LABEL_US * len(labels)
    plain = _ACE not in text
    prepared = [label if plain and _LABEL.match(label) else _label(label) for label in labels]
    return _bounded(".".join(prepared), "domain")


def _ipv6(text: str) -> IPv6Address:
    address = IPv6Address(text)
    if address.scope_id is not None:  # it may be any text, and means something on one machine only
        raise ValueError("the domain is an address with a scope")
    return address


def _dns_bytes(labels: list[str]) -> int:
    """The least length of a name in DNS, where labels are in ASCII with ``xn--`` before them."""
    return sum(len(label) + (1 if label.isascii() else 5) for label in labels) - 1


@lru_cache(MAX_CACHED_LABELS)
def _label(label: str) -> str:
    if not label:
        raise ValueError("the domain has an empty label")
    if len(label) > MAX_LABEL_LENGTH:
        raise ValueError(f"the domain has a label of more than {MAX_LABEL_LENGTH} characters")
    effort.spent_us += LABEL_US + CHARACTER_US * len(label)
    try:
        return idna.decode(idna.encode(label, uts46=True))
    except idna.InvalidCodepoint as error:
        raise ValueError(
            f"the domain label {label!r} has a character that no domain may have"
        ) from error
    except idna.IDNAError as error:
        raise ValueError(f"the domain label {label!r} is not allowed: {error}") from error


def prepare_resource(text: str) -> str:
    """A resourcepart, normalised (:rfc:`7622#section-3.4`).

    Raises:
        ValueError: It cannot be one.
    """
    _bounded(text, "resource")
    effort.spent_us += CHARACTER_US * len(text)
    try:
        return _bounded(resource_profile.enforce(text), "resource")
    except UnicodeEncodeError as error:
        raise ValueError(_unfit(f"the resource {text!r}", "the resource", error)) from error


def _unfit(what: str, part: str, error: UnicodeEncodeError) -> str:
    """Why a part cannot be prepared, in a sentence."""
    if not error.reason.startswith("DISALLOWED"):
        return f"{what} is not allowed: {error.reason}"
    character = error.object[error.start : error.start + 1]
    return f"{part} must not contain {'a space' if character == ' ' else repr(character)}"
