"""Verification: the hash of what an entity says it is and can do (:xep:`0115` and :xep:`0390`)."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha1, sha3_256, sha3_512, sha224, sha256, sha384, sha512
from itertools import chain

from xmppd.disco.info import DiscoIdentity, DiscoInfo
from xmppd.stanza import Element, qname
from xmppd.stanza.form import DATA
from xmppd.stanza.stanza import Capabilities
from xmppd.stanza.xml import LANG

CAPS_2 = "urn:xmpp:caps"
"""The namespace of :xep:`0390`, and of the nodes of its hashes."""

DISCO_INFO = "http://jabber.org/protocol/disco#info"
MAX_FEATURES = 1_000
"""Of one software; more are not looked at."""

_FIELD, _VALUE, _FORM = qname(DATA, "field"), qname(DATA, "value"), qname(DATA, "x")
_FEATURE, _IDENTITY = qname(DISCO_INFO, "feature"), qname(DISCO_INFO, "identity")
_TABLE = (qname(DATA, "reported"), qname(DATA, "item"))
_HASHES = {
    "sha-1": sha1, "sha-224": sha224, "sha-256": sha256, "sha-384": sha384, "sha-512": sha512,
}  # fmt: skip
_HASHES_2 = {"sha-256": sha256, "sha3-256": sha3_256, "sha-512": sha512, "sha3-512": sha3_512}

Fields = dict[str, list[str]]


def verification_string(info: DiscoInfo, hash: str = "sha-1") -> str:
    """The value of ``ver``: disco#info in one order only, hashed (:xep:`0115`, §5.1)."""
    identities = sorted((i.category, i.kind, i.lang, i.name) for i in info.identities)
    parts = ["/".join(identity) for identity in identities]
    parts += sorted(info.features)
    for form in sorted(_typed(info.forms), key=_form_type):
        parts.append(_form_type(form))
        for var in sorted(form.keys() - {"FORM_TYPE"}):
            parts += [var, *sorted(form[var])]
    text = "".join(f"{part}<" for part in parts)
    return b64encode(_HASHES[hash](text.encode(), usedforsecurity=False).digest()).decode()


def verifies(info: DiscoInfo, ver: str, hash: str) -> bool:
    """Whether this is what the hash was made of, and could be nothing else (§5.4, EC-3)."""
    identities = [(i.category, i.kind, i.lang, i.name) for i in info.identities]
    typed = _typed(info.forms)
    forms = [[var, *values] for form in typed for var, values in form.items()]
    parts = chain(info.features, *identities, *forms)
    if hash not in _HASHES or any("<" in part for part in parts if part):
        return False
    if len(set(identities)) < len(identities) or len(set(info.features)) < len(info.features):
        return False
    types = [form["FORM_TYPE"] for form in typed]
    if any(len(set(each)) != 1 for each in types) or len({each[0] for each in types}) < len(types):
        return False
    return verification_string(info, hash) == ver


def hash_2(info: DiscoInfo, hash: str) -> str:
    """The hash of disco#info by :xep:`0390`, §4.1, in which each string says where it ends."""
    identities = [_strings(i.category, i.kind, i.lang, i.name) + b"\x1e" for i in info.identities]
    forms = [
        _joined(
            _strings(var) + _joined(map(_strings, values)) + b"\x1e"
            for var, values in _fields(form)
        )
        + b"\x1d"
        for form in info.forms
    ]
    parts = (map(_strings, info.features), identities, forms)
    hashed = _HASHES_2[hash](b"".join(_joined(part) + b"\x1c" for part in parts))
    return b64encode(hashed.digest()).decode()


def proves(query: Element, info: DiscoInfo, of: Capabilities) -> bool:
    """Whether an answer is what a hash was made of, and the hash could be of nothing else (EC-3).

    Args:
        query: The answer.
        info: The same, read.
        of: Has the hash.
    """
    if of.edition == 1:
        return verifies(info, of.ver, of.hash)
    if of.hash not in _HASHES_2 or not _is_covered(query):
        return False
    # An identity is in the language of what it stands in (XEP-0390, §4.1); many do not know that.
    languages = {"", language_around(query)}
    return any(hash_2(in_language(info, each), of.hash) == of.ver for each in languages)


def language_around(query: Element) -> str:
    """The language of an answer: its own, or that of its stanza, which has its stream's; empty if
    none is said.
    """
    found: Element | None = query
    while found is not None:
        language = found.get(LANG)
        if language is not None:
            return language
        found = found.getparent()
    return ""


def in_language(info: DiscoInfo, language: str) -> DiscoInfo:
    """The same, with identities that name no language in this one."""
    if not language:
        return info
    identities = tuple(replace(each, lang=each.lang or language) for each in info.identities)
    return replace(info, identities=identities)


def node_of(found: Capabilities) -> str:
    """The node under which the answer is to be had; empty: the software itself."""
    if found.edition == 2:
        return f"{CAPS_2}#{found.hash}.{found.ver}"
    return f"{found.node}#{found.ver}" if found.hash else ""


def info_of(query: Element) -> DiscoInfo:
    """What an entity says of itself.

    Raises:
        ValueError: It says too much.
    """
    features = [each.get("var") or "" for each in query.iterfind(_FEATURE)]
    if len(features) > MAX_FEATURES:
        raise ValueError(f"more than {MAX_FEATURES} features")
    identities = tuple(
        DiscoIdentity(
            each.get("category") or "",
            each.get("type") or "",
            each.get("name") or "",
            each.get(LANG) or "",
        )
        for each in query.iterfind(_IDENTITY)
    )
    return DiscoInfo(identities, tuple(features), tuple(query.iterfind(_FORM)))


def _is_covered(query: Element) -> bool:
    """Whether nothing is said that a hash of :xep:`0390` does not cover (§4.1)."""
    forms = query.findall(_FORM)
    return (
        all(each.tag in (_FEATURE, _IDENTITY, _FORM) for each in query)
        and not any(line.tag in _TABLE for form in forms for line in form)
        and len(_typed(forms)) == len(forms)
    )


def _fields(form: Element) -> Iterable[tuple[str, list[str]]]:
    """A form's values by field."""
    for field in form.iterfind(_FIELD):
        yield field.get("var") or "", [value.text or "" for value in field.iterfind(_VALUE)]


def _typed(forms: Iterable[Element]) -> list[Fields]:
    """The forms that say what they are, in a field that is hidden; others do not count (§5.4)."""
    return [
        dict(_fields(form))
        for form in forms
        if any(
            field.get("var") == "FORM_TYPE"
            and field.get("type") == "hidden"
            and field.find(_VALUE) is not None
            for field in form.iterfind(_FIELD)
        )
    ]


def _form_type(form: Fields) -> str:
    return form["FORM_TYPE"][0]


def _strings(*strings: str) -> bytes:
    return b"".join(each.encode() + b"\x1f" for each in strings)


def _joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(sorted(parts))


__all__ = [
    "CAPS_2",
    "DISCO_INFO",
    "hash_2",
    "info_of",
    "node_of",
    "proves",
    "verification_string",
    "verifies",
]
