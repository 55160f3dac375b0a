"""Graphs: how a few numbers went, as drawings for a page and as values for a script.

A script of the page draws the same by uPlot, where the package has that, with a scale and the
values below the pointer; without it the drawings of the server stay.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from operator import itemgetter

from msgspec import Struct

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
        GraphKind("node-sessions", "Sessions", "", (("", at_its_end("sessions")),)),
        GraphKind("node-late", "How late each node is", "ms", (("", mean_ms("late")),)),
        GraphKind("entries", "Entries on the way to other nodes", "",
                  (("", at_its_end("entries")),)),
        GraphKind("lag", "How long the oldest entry waits", "ms",
                  (("", at_its_end("lag_s", _MS)),)),
    ),
}  # fmt: skip
"""The graphs of each page: of the server that shows it; those of :data:`NODES` have a line for each
node.
"""

COLOURS = 6
"""Lines of one graph that are told apart by their colour."""


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


class NodeLines(Struct, frozen=True):
    """The lines of the graphs of a page, of one node.

    Attributes:
        node: Its name; empty where there is one server.
        at: The end of each step, in seconds since 1970.
        graphs: The values of each line, by the name of the graph.
        is_gone: Whether the node is not there any more.
    """

    node: str
    at: list[float]
    graphs: Mapping[str, Sequence[Values]]
    is_gone: bool = False

    def after(self, moment: float) -> "NodeLines":
        """What is left of them when all until a moment is left out."""
        first = bisect_right(self.at, moment)
        graphs = {key: [line[first:] for line in lines] for key, lines in self.graphs.items()}
        return NodeLines(self.node, self.at[first:], graphs, self.is_gone)


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line of a graph.

    Attributes:
        title: What it is, or whose.
        colour: The number of its colour; ``again`` behind it where another line has the same one.
        last: Its newest value, with its unit; empty while there is none.
        drawing: The line itself.
        gone_since: When the last was measured of a node that is gone; else empty.
    """

    title: str
    colour: str
    last: str
    drawing: Drawing
    gone_since: str = ""


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


def lines_of(
    page: str, kept: Sequence[Readings], stamp: Callable[[float], float], node: str = ""
) -> NodeLines:
    """The lines of the graphs of a page.

    Args:
        page: One of :data:`GRAPHS`.
        kept: The readings of a node, the oldest first.
        stamp: Tells the time of day of a moment, in seconds since 1970.
        node: Its name.
    """
    return NodeLines(node, [round(stamp(each.at), 1) for each in kept[1:]], values(page, kept))


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


def graphs(page: str, several: Sequence[NodeLines]) -> list[Graph]:
    """The graphs of a page.

    Args:
        page: One of :data:`GRAPHS`.
        several: The lines of one node, or of each.
    """
    edges = [edge for lines in several for edge in lines.at[:1] + lines.at[-1:]]
    over = min(edges, default=0.0), max(edges, default=0.0)
    return [_graph(kind, several, over) for kind in GRAPHS[page]]


def _graph(kind: GraphKind, several: Sequence[NodeLines], over: tuple[float, float]) -> Graph:
    found = [
        (lines, title or lines.node, values)
        for lines in several
        for (title, _), values in zip(kind.lines, lines.graphs[kind.key], strict=True)
    ]
    known = (value for _, _, values in found for value in values if value is not None)
    most = max(known, default=None)
    drawn_lines = tuple(
        DrawnLine(
            title,
            _colour(number),
            _last(kind, values),
            drawn(lines.at, values, most or 0.0, over),
            _time(lines.at[-1], over) if lines.is_gone and lines.at else "",
        )
        for number, (lines, title, values) in enumerate(found)
    )
    begins = _time(over[0], over) if over[0] else ""
    highest = "" if most is None else said(kind, most)
    return Graph(kind.key, kind.title, kind.unit, drawn_lines, highest, begins)


def _colour(number: int) -> str:
    again, colour = divmod(number, COLOURS)
    return f"{colour + 1} again" if again else f"{colour + 1}"


def _last(kind: GraphKind, line: Values) -> str:
    value = line[-1] if line else None
    return "" if value is None else said(kind, value)


def _time(at: float, over: tuple[float, float]) -> str:
    """A time of day, with the day if there are several."""
    days = over[1] - over[0] > 86_400
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M" if days else "%H:%M")


def said(kind: GraphKind, value: float) -> str:
    """A value with its unit."""
    return f"{cells.number(round(value, 1))} {kind.unit}".rstrip()


def drawn(
    moments: Sequence[float],
    line: Values,
    most: float = 0.0,
    over: tuple[float, float] | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Drawing:
    """A line through values, as the paths of a drawing; with gaps where there are none.

    Args:
        moments: When the values were so, in their order.
        line: The values.
        most: What is at the upper edge; nothing for the highest of them.
        over: The moments at the left and the right edge; nothing for the first and the last.
        width: Of the drawing.
        height: Of the drawing.
    """
    known = [value for value in line if value is not None]
    if len(known) < 2:
        return Drawing("", "")
    begin, end = over or (moments[0], moments[-1])
    scale, step = (height - TOP) / (most or max(known) or 1.0), width / ((end - begin) or 1.0)
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


__all__ = [
    "GRAPHS",
    "NODES",
    "OVERVIEW",
    "SERVER",
    "Drawing",
    "Graph",
    "GraphKind",
    "NodeLines",
    "drawn",
    "graphs",
    "lines_of",
    "measured",
    "values",
]
