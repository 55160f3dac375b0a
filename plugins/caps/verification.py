"""Verification: the hash of what an entity says it is and can do (:xep:`0115`, §5)."""

from base64 import b64encode
from hashlib import sha1, sha224, sha256, sha384, sha512
from itertools import chain

from xmppd.disco.info import DiscoIdentity, DiscoInfo
from xmppd.stanza import Element, qname
from xmppd.stanza.form import DATA
from xmppd.stanza.xml import LANG

DISCO_INFO = "http://jabber.org/protocol/disco#info"
MAX_FEATURES = 1_000
"""Of one software; more are not looked at."""

_FIELD, _VALUE, _FORM = qname(DATA, "field"), qname(DATA, "value"), qname(DATA, "x")
_HASHES = {
    "sha-1": sha1, "sha-224": sha224, "sha-256": sha256, "sha-384": sha384, "sha-512": sha512,
}  # fmt: skip


def verification_string(info: DiscoInfo, hash: str = "sha-1") -> str:
    """The value of ``ver``: disco#info in one order only, hashed (§5.1)."""
    identities = sorted((i.category, i.kind, i.lang, i.name) for i in info.identities)
    parts = ["/".join(identity) for identity in identities]
    parts += sorted(info.features)
    forms = [fields for fields in map(_fields, info.forms) if fields.get("FORM_TYPE")]
    for form in sorted(forms, key=_form_type):
        parts.append(_form_type(form))
        for var in sorted(form.keys() - {"FORM_TYPE"}):
            parts += [var, *sorted(form[var])]
    text = "".join(f"{part}<" for part in parts)
    return b64encode(_HASHES[hash](text.encode(), usedforsecurity=False).digest()).decode()


def verifies(info: DiscoInfo, ver: str, hash: str) -> bool:
    """Whether this is what the hash was made of, and could be nothing else (§5.4, EC-3)."""
    identities = [(i.category, i.kind, i.lang, i.name) for i in info.identities]
    forms = [[var, *values] for form in info.forms for var, values in _fields(form).items()]
    parts = chain(info.features, *identities, *forms)
    if hash not in _HASHES or any("<" in part for part in parts if part):
        return False
    if len(set(identities)) < len(identities) or len(set(info.features)) < len(info.features):
        return False
    types = [fields["FORM_TYPE"] for fields in map(_fields, info.forms) if "FORM_TYPE" in fields]
    if any(len(set(each)) != 1 for each in types) or len({each[0] for each in types}) < len(types):
        return False
    return verification_string(info, hash) == ver


def info_of(query: Element) -> DiscoInfo:
    """What an entity says of itself.

    Raises:
        ValueError: It says too much.
    """
    features = [each.get("var") or "" for each in query.iterfind(qname(DISCO_INFO, "feature"))]
    if len(features) > MAX_FEATURES:
        raise ValueError(f"more than {MAX_FEATURES} features")
    identities = tuple(
        DiscoIdentity(
            each.get("category") or "",
            each.get("type") or "",
            each.get("name") or "",
            each.get(LANG) or "",
        )
        for each in query.iterfind(qname(DISCO_INFO, "identity"))
    )
    return DiscoInfo(identities, tuple(features), tuple(query.iterfind(_FORM)))


def _fields(form: Element) -> dict[str, list[str]]:
    """A form's values by field."""
    return {
        field.get("var", ""): [value.text or "" for value in field.iterfind(_VALUE)]
        for field in form.iterfind(_FIELD)
    }


def _form_type(form: dict[str, list[str]]) -> str:
    return form["FORM_TYPE"][0]


__all__ = ["DISCO_INFO", "info_of", "verification_string", "verifies"]
