"""Data forms (:xep:`0004`): fields, forms to fill in, and their submitted values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xmppd.stanza.error import Condition, StanzaError
from xmppd.stanza.jid import JID, effort
from xmppd.stanza.phrases import either
from xmppd.stanza.xml import Element, Tree, child, element, qname

DATA = "jabber:x:data"
MAX_VALUES = 1_000
MAX_PREPARING_US = 50_000
"""The microseconds that preparing the addresses in one form may take: enough for about 1,000 with a
few letters beyond ASCII, and for any number without.
"""
MAX_VALUE_LENGTH = 10_000

_BOOLEANS = frozenset(("0", "1", "false", "true"))
_FORM_TYPE = "FORM_TYPE"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form.

    Attributes:
        var: Its name.
        label: For people.
        type: As in :xep:`0004`, §3.3.
        required: Whether the form cannot do without.
        options: What a list lets one choose from.
        labels: How these are called for people; empty if they speak for themselves.
        values: Its values: those it has already, or the result.
    """

    var: str
    label: str = ""
    type: str = "text-single"
    required: bool = False
    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def form(form_type: str, title: str, instructions: str, *fields: Field) -> Element:
    """A form to fill in; it has no instructions if these are empty."""
    made = element(DATA, "x", type="form")
    child(made, "title", title)
    if instructions:
        child(made, "instructions", instructions)
    return _filled(made, form_type, fields)


def result(form_type: str, *fields: Field) -> Element:
    """The result of a form, or of a query."""
    return _filled(element(DATA, "x", type="result"), form_type, fields)


def submission(form_type: str, *fields: Field) -> Element:
    """A form that is filled in."""
    return _filled(element(DATA, "x", type="submit"), form_type, fields)


def table(
    form_type: str, columns: Sequence[Field], rows: Iterable[Sequence[tuple[str, ...]]]
) -> Element:
    """The result of a form where that is a table (§3.4).

    Args:
        form_type: Whose fields these are.
        columns: What each column is called, and of which type it is.
        rows: For each column its values.
    """
    made = _filled(element(DATA, "x", type="result"), form_type, ())
    reported = child(made, "reported")
    for column in columns:
        child(reported, "field", var=column.var, label=column.label, type=column.type)
    for row in rows:
        item = child(made, "item")
        for column, values in zip(columns, row, strict=True):
            field = child(item, "field", var=column.var)
            for value in values:
                child(field, "value", value)
    return made


def _filled(made: Element, form_type: str, fields: tuple[Field, ...]) -> Element:
    for field in (Field(_FORM_TYPE, type="hidden", values=(form_type,)), *fields):
        attributes = {"var": field.var, "type": field.type}
        if field.label:
            attributes["label"] = field.label
        line = child(made, "field", **attributes)
        if field.required:
            child(line, "required")
        for value in field.values:
            child(line, "value", value)
        for label, option in zip(field.labels or field.options, field.options, strict=True):
            child(child(line, "option", label=label), "value", option)
    return made


def submitted(answer: Tree, asked: Element) -> dict[str, list[str]]:
    """The values of a submitted form, of the fields that were asked for and no others.

    Args:
        answer: The submitted ``<x/>``.
        asked: The fields of the form, which say what is required and what may be in it.

    Raises:
        ValueError: It is not an answer to that form; the text says which field is wrong, never its
            value.
    """
    brought = {line.get("var", ""): line for line in answer.iterfind(qname(DATA, "field"))}
    values: dict[str, list[str]] = {}
    limit_us = effort.spent_us + MAX_PREPARING_US
    for line in asked.iterfind(qname(DATA, "field")):
        var = line.get("var", "")
        if var == _FORM_TYPE:
            _check_form_type(brought.get(var), line)
        else:
            values[var] = _values(brought.get(var), line, limit_us)
    return values


def values_of(answer: Tree | Element, form_type: str) -> dict[str, list[str]]:
    """The values of a form's fields by their names.

    Raises:
        StanzaError: BAD_REQUEST: it is another form, or too large.
    """
    values: dict[str, list[str]] = {}
    for line in answer.iterfind(qname(DATA, "field")):
        found = [value.text or "" for value in line.iterfind(qname(DATA, "value"))]
        if len(found) > MAX_VALUES or any(len(value) > MAX_VALUE_LENGTH for value in found):
            raise StanzaError(Condition.BAD_REQUEST, f"{line.get('var')} is too long")
        values[line.get("var") or ""] = found
    if values.pop(_FORM_TYPE, [form_type]) != [form_type]:
        raise StanzaError(Condition.BAD_REQUEST, f"the form must have the type {form_type}")
    return values


def _check_form_type(came: Tree | None, asked: Element) -> None:
    value = qname(DATA, "value")
    if came is not None and came.findtext(value) != asked.findtext(value):
        raise ValueError("this form has another type")


def _values(came: Tree | None, asked: Element, limit_us: int) -> list[str]:
    """The values of one field, each checked; an empty one is none, except in a text of lines."""
    type, var = asked.get("type", ""), asked.get("var", "")
    found = [] if came is None else [line.text or "" for line in came.iter(qname(DATA, "value"))]
    values = found if type == "text-multi" else [value for value in found if value]
    if not any(values) and asked.find(qname(DATA, "required")) is not None:
        raise ValueError(f"{var} is required")
    if len(values) > (MAX_VALUES if type.endswith("-multi") else 1):
        raise ValueError(f"{var} has too many values")
    if any(len(value) > MAX_VALUE_LENGTH for value in values):
        raise ValueError(f"{var} is too long")
    return [_checked(value, type, asked, limit_us) for value in values]


def _checked(value: str, type: str, asked: Element, limit_us: int) -> str:
    """A value as its type has it: a JID prepared, a choice one of those offered."""
    var = asked.get("var", "")
    if type.startswith("jid-"):
        if effort.spent_us >= limit_us:
            raise ValueError(f"{var} has too many addresses with letters beyond ASCII")
        try:
            return JID.parse(value.strip()).full
        except ValueError as error:
            raise ValueError(f"{var} is not an address ({error})") from error
    if type.startswith("list-"):
        offered = [option.text or "" for option in asked.iterfind(".//" + qname(DATA, "value"))]
        if value not in offered:
            raise ValueError(f"{var} must be {either(offered)}")
    if type == "boolean" and value not in _BOOLEANS:
        raise ValueError(f"{var} is neither true nor false")
    return value
