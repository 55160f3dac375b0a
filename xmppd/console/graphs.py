"""Graphs: how a few numbers went, as drawings for a page and as values for a script.

A script of the page draws the same by uPlot, where the package has that, with a scale and the
values below the pointer; without it the drawings of the server stay.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from xmppd.console.readings import Measure, Readings, at_its_end, mean_ms, per_second
from xmppd.pages import cells

WIDTH, HEIGHT, TOP = 600, 120, 4
POINT = 7
"""The width of a point of a drawing; where there are more values, each point is the highest of
several.
"""


@dataclass(frozen=True, slots=True)
class GraphKind:
    """A graph that there is.

    Attributes:
        key: Its name.
        title: For people.
        unit: Of its values.
        lines: Its lines: each with what it is, and how its values are measured.
    """

    key: str
    title: str
    unit: str
    lines: tuple[tuple[str, Measure], ...]


_SESSIONS = GraphKind(
    "sessions", "Sessions", "",
    (("connected", lambda before, now: now.sessions - now.detached),
     ("detached", at_its_end("detached"))),
)  # fmt: skip
_LATE = GraphKind("late", "How late the server is", "ms", (("loop lag", mean_ms("late")),))
_KIB, _MIB, _MS, _PERCENT = 1 / 1_024, 1 / 1_048_576, 1_000.0, 100.0

OVERVIEW, SERVER, NODES = "", "server", "nodes"
"""The pages that have graphs, by their paths."""

GRAPHS: Mapping[str, tuple[GraphKind, ...]] = {
    OVERVIEW: (
        _SESSIONS,
        GraphKind(
            "stanzas", "Stanzas a second", "/s",
            (("messages", per_second("messages")), ("presence changes", per_second("presences"))),
        ),
        GraphKind("copies", "Presence copies a second", "/s", (("copies", per_second("copies")),)),
        _LATE,
    ),
    SERVER: (
        GraphKind("processor", "Processor", "%",
                  (("of one core", per_second("processor_s", _PERCENT)),)),
        GraphKind("memory", "Memory", "MiB", (("in use", at_its_end("memory_bytes", _MIB)),)),
        GraphKind(
            "traffic", "Traffic a second", "KiB/s",
            (("in", per_second("in_bytes", _KIB)), ("out", per_second("out_bytes", _KIB))),
        ),
        GraphKind("store", "Time that a database call takes", "ms",
                  (("a call", mean_ms("store")),)),
    ),
    NODES: (
        _SESSIONS,
        _LATE,
        GraphKind("entries", "Entries on the way to other nodes", "",
                  (("entries", at_its_end("entries")),)),
        GraphKind("lag", "How long the oldest entry waits", "ms",
                  (("lag", at_its_end("lag_s", _MS)),)),
    ),
}  # fmt: skip
"""The graphs of each page: of the server that shows it."""


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line of a graph.

    Attributes:
        title: What it is.
        last: Its newest value, with its unit; empty while there is none.
        path: Of the drawing; empty without two values.
    """

    title: str
    last: str
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph of a page.

    Attributes:
        key: Its name.
        title: For people.
        unit: Of its values.
        lines: Its lines.
        most: The highest value, which is at the upper edge, with its unit; empty without values.
        begins: The moment at the left edge.
    """

    key: str
    title: str
    unit: str
    lines: tuple[DrawnLine, ...]
    most: str
    begins: str


def values(page: str, kept: Sequence[Readings]) -> dict[str, list[list[float]]]:
    """The values of each line of each graph of a page, one for each time between two readings."""
    pairs = list(pairwise(kept))
    return {
        kind.key: [[round(measure(*pair), 2) for pair in pairs] for _, measure in kind.lines]
        for kind in GRAPHS[page]
    }


def graphs(page: str, kept: Sequence[Readings], stamp: Callable[[float], float]) -> list[Graph]:
    """The graphs of a page.

    Args:
        page: One of :data:`GRAPHS`.
        kept: The readings, the oldest first.
        stamp: Tells the time of day of a moment, in seconds since 1970.
    """
    found = values(page, kept)
    days = kept and kept[-1].at - kept[0].at > 86_400
    begins = (
        datetime.fromtimestamp(stamp(kept[0].at), UTC).strftime("%d %b %H:%M" if days else "%H:%M")
        if kept
        else ""
    )
    return [_graph(kind, found[kind.key], begins) for kind in GRAPHS[page]]


def _graph(kind: GraphKind, lines: Sequence[Sequence[float]], begins: str) -> Graph:
    most = max((value for line in lines for value in line), default=None)
    drawn_lines = tuple(
        DrawnLine(title, said(kind, line[-1]) if line else "", drawn(line, most or 0.0))
        for (title, _), line in zip(kind.lines, lines, strict=True)
    )
    highest = "" if most is None else said(kind, most)
    return Graph(kind.key, kind.title, kind.unit, drawn_lines, highest, begins)


def said(kind: GraphKind, value: float) -> str:
    """A value with its unit."""
    return f"{cells.number(round(value, 1))} {kind.unit}".rstrip()


def drawn(
    line: Sequence[float], most: float = 0.0, width: int = WIDTH, height: int = HEIGHT
) -> str:
    """A line through values, as the path of a drawing; empty without two.

    Args:
        line: The values.
        most: What is at the upper edge; nothing for the highest of them.
        width: Of the drawing.
        height: Of the drawing.
    """
    several = -(-len(line) * POINT // width)
    if several > 1:
        line = [max(line[at : at + several]) for at in range(0, len(line), several)]
    if len(line) < 2:
        return ""
    scale = (height - TOP) / (most or max(line) or 1.0)
    step = width / (len(line) - 1)
    points = (f"{step * at:.1f} {height - 1 - value * scale:.1f}" for at, value in enumerate(line))
    return f"M{' L'.join(points)}"


def for_a_script(
    pages: Iterable[str], kept: Sequence[Readings], stamp: Callable[[float], float]
) -> Mapping[str, object]:
    """The same as values: the end of each step as seconds since 1970, and the lines.

    Args:
        pages: Those whose graphs are wanted.
        kept: The readings, the oldest first.
        stamp: Tells the time of day of a moment, in seconds since 1970.
    """
    found: dict[str, list[list[float]]] = {}
    for page in pages:
        found.update(values(page, kept))
    return {"at": [round(stamp(each.at)) for each in kept[1:]], "graphs": found}


__all__ = [
    "GRAPHS",
    "NODES",
    "OVERVIEW",
    "SERVER",
    "Graph",
    "GraphKind",
    "drawn",
    "for_a_script",
    "graphs",
    "values",
]
