"""Queries as their sender writes them, and the form that tells what may be asked (QU-2, QU-3)."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from xmppd.stanza import JID, Condition, StanzaError, Tree, qname
from xmppd.stanza.date_time import microseconds_of
from xmppd.stanza.form import DATA
from xmppd.stanza.result import MAM
from xmppd.stanza.rsm import PageRequest, page_request

from .query import MAX_IDS, MAX_RESULTS, USUAL_RESULTS, Filters, Query
from .words import words_in

FULL_TEXT = "urn:xmpp:fulltext:0"
MAX_SOUGHT = 20
"""Words of a search."""

_WORDS = f"{{{FULL_TEXT}}}fulltext"

_FIELDS = {
    "with": "jid-single",
    "start": "text-single",
    "end": "text-single",
    "before-id": "text-single",
    "after-id": "text-single",
    "ids": "list-multi",
    "include-groupchat": "boolean",
}
_OPEN = (
    "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/>"
    "</validate>"
)
_BOOLEANS = {"0": False, "false": False, "1": True, "true": True}
_VALUE = qname(DATA, "value")

T = TypeVar("T")
Values = Mapping[str, list[str]]


def query_form(*, full_text: bool) -> bytes:
    """The answer to who asks which fields there are; none of them is required.

    Args:
        full_text: Whether messages can be searched.
    """
    sought = f"<field type='text-single' var='{_WORDS}'/>" if full_text else ""
    fields = "".join(
        f"<field type='{kind}' var='{name}'>{_OPEN if name == 'ids' else ''}</field>"
        for name, kind in _FIELDS.items()
    )
    return (
        f"<query xmlns='{MAM}'><x xmlns='{DATA}' type='form'><field type='hidden' var='FORM_TYPE'>"
        f"<value>{MAM}</value></field>{fields}{sought}</x></query>"
    ).encode()


def read_query(tree: Tree, *, full_text: bool) -> Query:
    """The query that an element is.

    Args:
        tree: The element.
        full_text: Whether messages can be searched.

    Raises:
        StanzaError: It is none. FEATURE_NOT_IMPLEMENTED: for a field that there is not, and a page
            by its number; NOT_ACCEPTABLE: for too many ids or words; BAD_REQUEST: for all else. The
            text names the field.
    """
    form = tree.find(qname(DATA, "x"))
    values = {} if form is None else _values(form, full_text=full_text)
    page = page_request(tree, usual=USUAL_RESULTS, most=MAX_RESULTS)
    if page is not None and page.skipped is not None:
        raise StanzaError(
            Condition.FEATURE_NOT_IMPLEMENTED,
            "the server cannot find a page by the index of its first message",
        )
    return Query(_filters(values), page or PageRequest(USUAL_RESULTS))


def _values(form: Tree, *, full_text: bool) -> Values:
    """The values of each field; a field without any is as good as none."""
    values: dict[str, list[str]] = {}
    for field in form.iterfind(qname(DATA, "field")):
        name = field.get("var", "")
        if name in values:
            raise _unclear(name, "appears twice")
        is_known = name in _FIELDS or name == "FORM_TYPE" or (full_text and name == _WORDS)
        if not is_known:
            raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, f"unknown field {name[:100]}")
        found = [value.text or "" for value in field.iterfind(_VALUE)]
        values[name] = [value.strip() for value in found if value.strip()]
    form_type = values.pop("FORM_TYPE", [MAM])
    if form_type != [MAM]:
        raise _unclear("FORM_TYPE", f"must be {MAM}")
    return values


def _filters(values: Values) -> Filters:
    ids = values.get("ids") or None
    if ids is not None and len(ids) > MAX_IDS:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"ids may have at most {MAX_IDS} values")
    groupchat = _one(values, "include-groupchat", _boolean)
    return Filters(
        peer=_one(values, "with", JID.parse),
        since=_one(values, "start", _moment),
        until=_one(values, "end", _moment),
        after=_one(values, "after-id", str),
        before=_one(values, "before-id", str),
        ids=None if ids is None else tuple(dict.fromkeys(ids)),
        groupchat=groupchat is not False,
        words=_one(values, _WORDS, _sought) or (),
    )


def _one(values: Values, name: str, read: Callable[[str], T]) -> T | None:
    """The value of a field that has one at most."""
    found = values.get(name)
    if not found:
        return None
    if len(found) > 1:
        raise _unclear(name, "must have one value")
    try:
        return read(found[0])
    except ValueError as error:
        raise _unclear(name, f"has an invalid value ({error})") from error


def _sought(text: str) -> tuple[str, ...]:
    words = tuple(words_in(text))
    if not words:
        raise ValueError("contains no word")
    if len(words) > MAX_SOUGHT:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"may have at most {MAX_SOUGHT} words")
    return words


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError("must be true or false")
    return _BOOLEANS[text]


def _moment(text: str) -> int:
    moment = microseconds_of(text)
    if moment < 0:
        raise ValueError("must be after 1970")
    return moment


def _unclear(name: str, text: str) -> StanzaError:
    return StanzaError(Condition.BAD_REQUEST, f"{name} {text}")


__all__ = ["FULL_TEXT", "query_form", "read_query"]
