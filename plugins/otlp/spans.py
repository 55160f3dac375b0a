"""The way of a stanza as spans of OpenTelemetry, in the JSON of OTLP."""

from collections.abc import Iterator
from secrets import token_hex

from xmppd.trace.passage import Passage, Step

Span = dict[str, object]

_INTERNAL, _SERVER = 1, 2
_ERROR = 2


def spans_of(passage: Passage, ended_s: float) -> Iterator[Span]:
    """The spans of a passage: one for each stage that a stanza came to, below the one that called
    it. Of what the stanza says, and of who has sent it to whom, nothing is in them.

    Args:
        passage: It has ended.
        ended_s: When, in seconds since 1970.
    """
    trace = token_hex(16)
    began_us = round(ended_s * 1e6) - (passage.steps[0].took_us or 0)
    above: list[str] = []
    for step in passage.steps:
        span = token_hex(8)
        del above[step.depth :]
        start_us = began_us + step.began_us
        yield {
            "traceId": trace,
            "spanId": span,
            **({"parentSpanId": above[-1]} if above else {}),
            "name": step.stage,
            "kind": _INTERNAL if above else _SERVER,
            "startTimeUnixNano": f"{start_us}000",
            "endTimeUnixNano": f"{start_us + (step.took_us or 0)}000",
            "attributes": _attributes(step, passage.omitted if not above else 0),
            **({"status": {"code": _ERROR}} if step.code == "failed" else {}),
        }
        above.append(span)


def _attributes(step: Step, omitted: int) -> list[object]:
    found: list[object] = [
        attribute("xmpp.stanza", step.stanza.name),
        attribute("xmpp.outcome", step.code),
    ]
    if step.waited:
        found.append({"key": "xmpp.waited", "value": {"boolValue": True}})
    if omitted:
        found.append({"key": "xmpp.omitted_stages", "value": {"intValue": str(omitted)}})
    return found


def attribute(key: str, value: str) -> object:
    """An attribute that is a text."""
    return {"key": key, "value": {"stringValue": value}}


__all__ = ["Span", "attribute", "spans_of"]
