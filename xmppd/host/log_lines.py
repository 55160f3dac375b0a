"""The forms of a line of the log: text for people, logfmt and JSON for programs (ME-6)."""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import cast

from twisted.logger import LogEvent, formatEvent, formatTime

from xmppd.host.printable import printable
from xmppd.stanza.phrases import counted

MAX_VALUE_LENGTH = 2_000
"""Characters of one value; what is longer is cut."""

MAX_LETTERS_IN_SENTENCE = 500
"""The same for a value in the sentence, so that one does not hide what stands behind it."""

_OF_TWISTED = "log_"
_BARE = re.compile(r"[\w.:/@+-]+\Z")
_FIELD = re.compile(r"\{[^{}]*\}")
_NAME = re.compile(r"\{(\w+)")
_NO_WORD = re.compile(r"[^a-z0-9]+")


def text_line(event: LogEvent) -> str | None:
    """``2026-10-31T12:00:00+0100 info  xmppd.service: …``; only a failure takes more lines."""
    text = _message(event)
    if not text:
        return None
    text = printable(text)
    if "repeated" in event:
        text += f" ({counted(event['repeated'], 'time')} more, as before)"
    if "log_failure" in event:
        lines = event["log_failure"].getTraceback().rstrip().splitlines()
        text = "\n".join((text, *map(printable, lines)))
    time, level = formatTime(event["log_time"]), event["log_level"].name
    return f"{time} {level:<8} {event['log_namespace']}: {text}\n"


def json_line(event: LogEvent) -> str | None:
    """One object."""
    fields = _fields(event)
    return None if fields is None else json.dumps(fields) + "\n"


def logfmt_line(event: LogEvent) -> str | None:
    """``key=value`` for each field, in quotes where that is necessary."""
    fields = _fields(event)
    if fields is None:
        return None
    return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items()) + "\n"


LINES: Mapping[str, Callable[[LogEvent], str | None]] = {
    "text": text_line,
    "logfmt": logfmt_line,
    "json": json_line,
}


@lru_cache(1_000)
def event_name(format: str) -> str:
    """The name of what has happened: the words of its sentence, without what fills them in; or
    what fills it in, if that is all.
    """
    if not _NO_WORD.sub("", _FIELD.sub("", format).lower()):
        return "_".join(_NAME.findall(format))
    return _NO_WORD.sub("_", _FIELD.sub(" ", format).lower()).strip("_")


def _message(event: LogEvent) -> str:
    long = {
        name: f"{text[:MAX_LETTERS_IN_SENTENCE]}…"
        for name, value in event.items()
        if not name.startswith(_OF_TWISTED) and not isinstance(value, int | float)
        if len(text := str(value)) > MAX_LETTERS_IN_SENTENCE
    }
    shown = {**event, **long} if long else event
    return " ".join(formatEvent(shown).splitlines())  # a peer's text does not begin a line


def sentence(event: LogEvent) -> str:
    """What has happened, on one line, without time, level or traceback."""
    text = printable(_message(event))[:MAX_VALUE_LENGTH]
    return f"{text} ({counted(event['repeated'], 'time')} more)" if "repeated" in event else text


def _fields(event: LogEvent) -> dict[str, object] | None:
    message = _message(event)
    if not message:
        return None
    fields: dict[str, object] = {
        "time": formatTime(event["log_time"]),
        "level": event["log_level"].name,
        "logger": event["log_namespace"],
        "event": event_name(cast(str, event.get("log_format") or "")),
        "message": message[:MAX_VALUE_LENGTH],
    }
    for name, value in event.items():
        if name.startswith(_OF_TWISTED) or name in fields:
            continue
        fields[name] = value if isinstance(value, int | float) else f"{value}"[:MAX_VALUE_LENGTH]
    if "log_failure" in event:
        fields["trace"] = event["log_failure"].getTraceback().rstrip()
    return fields


def _quoted(value: object) -> str:
    text = json.dumps(value) if isinstance(value, bool) else f"{value}"
    return text if _BARE.match(text) else json.dumps(text)


__all__ = ["LINES", "event_name", "json_line", "logfmt_line", "sentence", "text_line"]
