"""Graphs: how a few numbers went, as drawings for a page and as values for a script.

A script of the page draws the same by uPlot, where the package has that, with a scale and the
values below the pointer; without it the drawings of the server stay.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from operator import itemgetter

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


Point = tuple[float, float]
Values = Sequence[float | None]
"""Of a line, one for each time between two readings; None where the server was not there."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A line as paths of a drawing.

    Attributes:
        line: The line; empty without two values.
        area: What is below it.
    """

    line: str
    area: str


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line of a graph.

    Attributes:
        title: What it is.
        last: Its newest value, with its unit; empty while there is none.
        drawing: The line itself.
    """

    title: str
    last: str
    drawing: Drawing


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


def values(page: str, kept: Sequence[Readings]) -> dict[str, list[list[float | None]]]:
    """The values of each line of each graph of a page, one for each time between two readings."""
    pairs = list(pairwise(kept))
    return {
        kind.key: [[measured(measure, *pair) for pair in pairs] for _, measure in kind.lines]
        for kind in GRAPHS[page]
    }


def measured(measure: Measure, before: Readings, now: Readings) -> float | None:
    """A number of the time between two readings; None if the server has ended between them."""
    return round(measure(before, now), 2) if before.life == now.life else None


def graphs(page: str, kept: Sequence[Readings], stamp: Callable[[float], float]) -> list[Graph]:
    """The graphs of a page.

    Args:
        page: One of :data:`GRAPHS`.
        kept: The readings, the oldest first.
        stamp: Tells the time of day of a moment, in seconds since 1970.
    """
    found = values(page, kept)
    moments = [each.at for each in kept[1:]]
    days = kept and kept[-1].at - kept[0].at > 86_400
    begins = (
        datetime.fromtimestamp(stamp(moments[0]), UTC).strftime("%d %b %H:%M" if days else "%H:%M")
        if moments
        else ""
    )
    return [_graph(kind, moments, found[kind.key], begins) for kind in GRAPHS[page]]


def _graph(
    kind: GraphKind, moments: Sequence[float], lines: Sequence[Values], begins: str
) -> Graph:
    most = max((value for line in lines for value in line if value is not None), default=None)
    drawn_lines = tuple(
        DrawnLine(title, _last(kind, line), drawn(moments, line, most or 0.0))
        for (title, _), line in zip(kind.lines, lines, strict=True)
    )
    highest = "" if most is None else said(kind, most)
    return Graph(kind.key, kind.title, kind.unit, drawn_lines, highest, begins)


def _last(kind: GraphKind, line: Values) -> str:
    value = line[-1] if line else None
    return "" if value is None else said(kind, value)


def said(kind: GraphKind, value: float) -> str:
    """A value with its unit."""
    return f"{cells.number(round(value, 1))} {kind.unit}".rstrip()


def drawn(
    moments: Sequence[float],
    line: Values,
    most: float = 0.0,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Drawing:
    """A line through values, as the paths of a drawing; with gaps where there are none.

    Args:
        moments: When the values were so, in their order.
        line: The values.
        most: What is at the upper edge; nothing for the highest of them.
        width: Of the drawing.
        height: Of the drawing.
    """
    known = [value for value in line if value is not None]
    if len(known) < 2:
        return Drawing("", "")
    begin, scale = moments[0], (height - TOP) / (most or max(known) or 1.0)
    step = width / ((moments[-1] - begin) or 1.0)
    runs: list[list[Point]] = [[]]
    for at, value in zip(moments, line, strict=True):
        if value is not None:
            runs[-1].append((step * (at - begin), height - 1 - value * scale))
        elif runs[-1]:
            runs.append([])
    if len(known) * POINT > width:
        runs = [_highest(run) for run in runs]
    lines, areas = [], []
    for run in filter(None, runs):
        line_through = " L".join(f"{x:.1f} {y:.1f}" for x, y in run)
        lines.append(f"M{line_through}")
        areas.append(f"M{line_through} L{run[-1][0]:.1f} {height} L{run[0][0]:.1f} {height} Z")
    return Drawing(" ".join(lines), " ".join(areas))


def _highest(run: Sequence[Point]) -> list[Point]:
    """Of the points that are close together the highest, and where the line begins and ends."""
    found = [
        min(some, key=itemgetter(1)) for _, some in groupby(run, lambda each: each[0] // POINT)
    ]
    found[0], found[-1] = (run[0][0], found[0][1]), (run[-1][0], found[-1][1])
    return found


def for_a_script(
    pages: Iterable[str], kept: Sequence[Readings], stamp: Callable[[float], float]
) -> Mapping[str, object]:
    """The same as values: the end of each step as seconds since 1970, and the lines.

    Args:
        pages: Those whose graphs are wanted.
        kept: The readings, the oldest first.
        stamp: Tells the time of day of a moment, in seconds since 1970.
    """
    found: dict[str, list[list[float | None]]] = {}
    for page in pages:
        found.update(values(page, kept))
    return {"at": [round(stamp(each.at)) for each in kept[1:]], "graphs": found}


__all__ = [
    "GRAPHS",
    "NODES",
    "OVERVIEW",
    "SERVER",
    "Drawing",
    "Graph",
    "GraphKind",
    "drawn",
    "for_a_script",
    "graphs",
    "measured",
    "values",
]
