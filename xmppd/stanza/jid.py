"""JIDs: addresses, prepared once and compared as they are."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

import idna
from precis_i18n import get_profile

from xmppd.stanza.xml import escape

MAX_PART_BYTES = 1023
MAX_INTERNED_BYTES = 64 << 20
MAX_DNS_NAME_BYTES = 253


_SIMPLE = re.compile(
    r"(?:([a-z0-9!#$%()*+,\-.;=?\[\\\]^_`{|}~]{1,1023})@)?"
    r"((?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?)*)"
    r"(?:/([!-~]{1,1023}))?\Z"
)
_SIMPLE_LOCAL = re.compile(r"[a-z0-9!#$%()*+,\-.;=?\[\\\]^_`{|}~]{1,1023}\Z").match
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\Z")
_FORBIDDEN_LOCAL = re.compile(r"[\"&'/:<>@\s]")
_ACE = "xn--"
"""Before labels that are Unicode in DNS's own spelling; ours is the other one."""
_DOTS = re.compile("[。．｡]")
_local_profile = get_profile("UsernameCaseMapped")
_resource_profile = get_profile("OpaqueString")


@dataclass(frozen=True, slots=True, eq=False)
class JID:
    """An address. Made by :meth:`parse` only, so that whoever holds one may trust it.

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
    def of(local: str | None, domain: str, resource: str | None = None) -> "JID":
        """The JID with these parts, which may be unprepared.

        Raises:
            ValueError: A part cannot be prepared.
        """
        bare = domain if local is None else f"{prepare_local(local)}@{domain}"
        return JID.parse(bare if resource is None else f"{bare}/{resource}")

    @property
    def is_bare(self) -> bool:
        """Whether no resource is named."""
        return self.resource is None

    def to_bare(self) -> "JID":
        """The same address without its resource."""
        return self if self.resource is None else JID.parse(self.bare)

    def with_resource(self, resource: str) -> "JID":
        """The full JID of this account's resource.

        Raises:
            ValueError: The resource cannot be prepared.
        """
        return JID.parse(f"{self.bare}/{resource}")


class _Interned(dict[str, JID]):
    """The addresses in use, by any text that names them; when it is too much, all are forgotten."""

    size_bytes = 0

    def __missing__(self, text: str) -> JID:
        jid = _parse(text)
        if self.size_bytes > MAX_INTERNED_BYTES:
            self.clear()
            self.size_bytes = 0
        self.size_bytes += _size_bytes(text, jid)
        self[text] = jid = self.setdefault(jid.full, jid)
        return jid


def _size_bytes(text: str, jid: JID) -> int:
    """What it takes to keep an address, about: its parts and its whole are kept as text, too."""
    return 400 + len(jid.wire) * (4 if text.isascii() and jid.full.isascii() else 16)


_interned = _Interned()


def _made(local: str | None, domain: str, resource: str | None) -> JID:
    bare = domain if local is None else f"{local}@{domain}"
    full = bare if resource is None else f"{bare}/{resource}"
    return JID(local, domain, resource, bare, full, escape(full).encode())


def _parse(text: str) -> JID:
    simple = _SIMPLE.match(text)
    if simple is not None and len(simple[2]) <= MAX_DNS_NAME_BYTES and _ACE not in simple[2]:
        return _made(*simple.groups())
    bare, slash, resource = text.partition("/")
    local, at, domain = bare.rpartition("@")
    return _made(
        prepare_local(local) if at else None,
        prepare_domain(domain),
        prepare_resource(resource) if slash else None,
    )


def _bounded(part: str, name: str) -> str:
    if not part:
        raise ValueError(f"the {name} is empty")
    if len(part.encode()) > MAX_PART_BYTES:
        raise ValueError(f"the {name} is longer than {MAX_PART_BYTES} bytes")
    return part


def prepare_local(text: str) -> str:
    """A localpart, case-mapped and normalised (:rfc:`7622#section-3.3`).

    Raises:
        ValueError: It cannot be one.
    """
    if _SIMPLE_LOCAL(text):
        return text
    try:
        local = _local_profile.enforce(_bounded(text, "localpart"))
    except UnicodeEncodeError as error:
        raise ValueError(f"the localpart {text!r} is not allowed: {error.reason}") from error
    if _FORBIDDEN_LOCAL.search(local):
        raise ValueError(f"the localpart {text!r} has a character that no localpart may have")
    return _bounded(local, "localpart")


def prepare_domain(text: str) -> str:
    """A domain in lower case and Unicode form, or an IP literal (:rfc:`7622#section-3.2`).

    Raises:
        ValueError: It cannot be one.
    """
    text = _DOTS.sub(".", _bounded(text, "domain")).removesuffix(".")
    if text.startswith("["):
        if not text.endswith("]"):
            raise ValueError(f"the domain {text!r} is no address literal")
        return f"[{_ipv6(text[1:-1])}]"
    text = text.lower()
    labels = text.split(".")
    if _dns_bytes(labels) > MAX_DNS_NAME_BYTES:  # before the work: preparing a label takes its time
        raise ValueError("the domain is longer than a name in DNS can be")
    plain = _ACE not in text
    prepared = [label if plain and _LABEL.match(label) else _label(label) for label in labels]
    return _bounded(".".join(prepared), "domain")


def _ipv6(text: str) -> IPv6Address:
    address = IPv6Address(text)
    if address.scope_id is not None:  # it may be any text, and means something on one machine only
        raise ValueError("the domain is an address with a scope")
    return address


def _dns_bytes(labels: list[str]) -> int:
    """At least so long is a name in DNS, where labels are in ASCII with ``xn--`` before them."""
    return sum(len(label) + (1 if label.isascii() else 5) for label in labels) - 1


def _label(label: str) -> str:
    if not label:
        raise ValueError("the domain has an empty label")
    try:
        return idna.decode(idna.encode(label, uts46=True))
    except idna.IDNAError as error:
        raise ValueError(f"the domain label {label!r} is not allowed: {error}") from error


def prepare_resource(text: str) -> str:
    """A resourcepart, normalised (:rfc:`7622#section-3.4`).

    Raises:
        ValueError: It cannot be one.
    """
    try:
        return _bounded(_resource_profile.enforce(_bounded(text, "resource")), "resource")
    except UnicodeEncodeError as error:
        raise ValueError(f"the resource {text!r} is not allowed: {error.reason}") from error
