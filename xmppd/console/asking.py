"""Asking: a command as a form, what was filled in as its arguments, and as a line of a shell."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Description
from xmppd.command.kinds import (
    Address,
    Document,
    DomainName,
    FileName,
    Flag,
    Moment,
    Number,
    Secret,
)
from xmppd.pages.cells import heading
from xmppd.pages.page_site import Form

MAX_LINES = 1_000
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AskedField:
    """A field of a form.

    Attributes:
        key: Of the argument.
        label: Its name.
        help: For people.
        type: Of the input: ``text``, ``password``, ``checkbox``, ``number``, ``datetime-local``,
            ``select``, ``checkboxes`` or ``textarea``, of which each line is one value.
        required: Whether it has to be filled in.
        value: What is in it.
        options: Of a ``select``, or of ``checkboxes``.
        secret: Whether what is in it is never shown.
        wrong: Whether this is what was refused.
    """

    key: str
    label: str
    help: str
    type: str
    required: bool
    value: str = ""
    options: tuple[str, ...] = ()
    secret: bool = False
    wrong: bool = False


def is_for_pages(about: Description) -> bool:
    """Whether a command can be given on a page: none that reads a file of the server's machine."""
    return not any(isinstance(each.kind, FileName) for each in about.arguments)


def fields(
    about: Description, form: Form, domains: tuple[str, ...], wrong: str = ""
) -> Iterator[AskedField]:
    """The fields of a command, with what was filled in before.

    Args:
        about: The command.
        form: What was filled in.
        domains: Ours.
        wrong: The key of what was refused; empty for nothing.
    """
    for argument in about.arguments:
        if argument == DRY_RUN:
            continue  # it is asked before, in any case
        kind = argument.kind
        options = kind.choices
        if isinstance(kind, DomainName) and kind.ours:
            options = domains
        yield AskedField(
            argument.key,
            heading(argument.key),
            argument.help,
            _type(argument, options),
            argument.required,
            "" if argument.hidden else _value(argument, form.get(argument.key, ())),
            options,
            argument.hidden,
            argument.key == wrong,
        )


def _type(argument: Argument, options: tuple[str, ...]) -> str:
    kind = argument.kind
    if argument.most > 1 and kind.choices:
        return "checkboxes"
    if argument.most > 1 or isinstance(kind, Document):
        return "textarea"
    if options:
        return "select"
    if isinstance(kind, Secret):
        return "password"
    if isinstance(kind, Flag):
        return "checkbox"
    if isinstance(kind, Number):
        return "number"
    if isinstance(kind, Moment):
        return "datetime-local"
    return "email" if isinstance(kind, Address) else "text"


def _value(argument: Argument, values: Sequence[str]) -> str:
    """What is in a field; a moment as browsers write one."""
    value = "\n".join(values)
    return value.removesuffix("Z") if isinstance(argument.kind, Moment) else value


def _in_utc(text: str) -> str:
    """A moment of a browser, which has no zone, and no seconds if they are none."""
    if not _WITHOUT_ZONE.fullmatch(text):
        return text
    return f"{text}:00Z" if text.count(":") == 1 else f"{text}Z"


def given(about: Description, form: Form) -> dict[str, object]:
    """The arguments that were filled in; a field left empty has none."""
    found: dict[str, object] = {}
    for argument in about.arguments:
        values = form.get(argument.key, [])
        if argument.most > 1:
            lines = [line.strip() for value in values for line in value.splitlines()]
            kept = [line for line in lines if line]
            if kept:
                found[argument.key] = kept[: argument.most + 1]
        elif values and values[0]:
            is_whole = isinstance(argument.kind, Secret | Document)
            value = values[0] if is_whole else values[0].strip()
            found[argument.key] = _in_utc(value) if isinstance(argument.kind, Moment) else value
    return found


def is_filled(about: Description, told: Mapping[str, object]) -> bool:
    """Whether all is there that a command must be told."""
    return all(each.key in told for each in about.arguments if each.required)


def in_a_shell(about: Description, told: Mapping[str, object]) -> str:
    """The same in a terminal, as one line to copy (CN-7)."""
    words = ["xmppctl", *about.name.split()]
    for argument in about.arguments:
        value = told.get(argument.key)
        if isinstance(argument.kind, Secret):
            if argument.required or value is not None:
                words.append("--stdin")
            continue
        if value is None:
            if argument.required:
                words.append(argument.key.upper())
            continue
        if argument.hidden:
            value = "FILE" if isinstance(argument.kind, Document) else "…"
        if isinstance(argument.kind, Flag):
            words += [argument.name] if value in (True, "1", "true") else []
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [argument.name] if not argument.required else []
            words.append(shlex.quote(str(each)))
    return " ".join(words)


__all__ = ["AskedField", "fields", "given", "in_a_shell", "is_filled", "is_for_pages"]
