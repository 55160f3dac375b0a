"""Layout: which columns of a table are shown, and how wide each is.

A table that is wider than the terminal gives way in this order: headings fold, texts fold and
addresses are cut, down to :data:`MIN_CELLS`; then whole columns go, the least important first. The
first column says what a row is about, and stays.
"""

from collections.abc import Sequence

from xmppd.ctl.letters import begun, cut, folded, padded, width_of

GAP = "  "
MIN_CELLS = 20
"""What is left of an address or a text before a column goes."""

MAX_LINES = 5
"""Of one text in a table; what is longer is cut there."""


class Layout:
    """The columns that are shown, and their widths.

    Args:
        names: Of all columns.
        rows: The cells of the rows that are known, which set the widths.
        width: Cells of a line; None for any number.
        least: Columns that go first, the least important first; then go the last ones.
        fixed: Whether none may go.

    Attributes:
        left_out: The columns that are not shown.
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[Sequence[str]],
        width: int | None,
        least: Sequence[str] = (),
        *,
        fixed: bool = False,
    ) -> None:
        self._names = names
        widest = [max((width_of(row[at]) for row in rows), default=0) for at in range(len(names))]
        folds = [any(" " in row[at] for row in rows) for at in range(len(names))]
        natural = [max(wide, len(name)) for wide, name in zip(widest, names, strict=True)]
        minima = [
            max(min(wide, MIN_CELLS), *map(len, _pieces(name)))
            for wide, name in zip(widest, names, strict=True)
        ]
        self._folds = folds
        self._shown = list(range(len(names)))
        going = [at for name in least for at in self._shown[1:] if names[at] == name]
        going += [at for at in reversed(self._shown[1:]) if at not in going]
        if width is not None and not fixed:
            for at in going:
                if self._total([minima[each] for each in self._shown]) <= width:
                    break
                self._shown.remove(at)
        self.left_out = [name for at, name in enumerate(names) if at not in self._shown]
        self._widths = self._fitting(natural, minima, width)

    def _total(self, widths: Sequence[int]) -> int:
        return sum(widths) + len(GAP) * (len(widths) - 1)

    def _fitting(
        self, natural: Sequence[int], minima: Sequence[int], width: int | None
    ) -> list[int]:
        """The widths of the columns that are shown: the widest give way first."""
        wanted = [natural[at] for at in self._shown]
        if width is None or self._total(wanted) <= width:
            return wanted
        least = [minima[at] for at in self._shown]
        if len(least) == 1:
            return [min(wanted[0], width)]
        most = max(wanted)
        while most > 1 and self._total(widths := _capped(wanted, least, most)) > width:
            most -= 1
        slack = width - self._total(widths)
        for at, (has, wants) in enumerate(zip(widths, wanted, strict=True)):
            more = min(max(slack, 0), wants - has)
            widths[at] += more
            slack -= more
        return widths

    def heading(self) -> list[str]:
        """The lines of the heading."""
        cells = [
            _folded_name(self._names[at], width)
            for at, width in zip(self._shown, self._widths, strict=True)
        ]
        return self._lines(cells)

    def lines(self, row: Sequence[str]) -> list[str]:
        """The lines of a row."""
        cells = [
            _folded(row[at], width) if self._folds[at] else [cut(row[at], width)]
            for at, width in zip(self._shown, self._widths, strict=True)
        ]
        return self._lines(cells)

    def _lines(self, cells: Sequence[Sequence[str]]) -> list[str]:
        height = max(map(len, cells))
        lines = []
        for number in range(height):
            parts = [
                padded(cell[number] if number < len(cell) else "", width)
                for cell, width in zip(cells, self._widths, strict=True)
            ]
            lines.append(GAP.join(parts).rstrip())
        return lines


def _capped(wanted: Sequence[int], least: Sequence[int], most: int) -> list[int]:
    return [min(has, max(min(has, low), most)) for has, low in zip(wanted, least, strict=True)]


def _folded(text: str, width: int) -> list[str]:
    lines = folded(text, width)
    if len(lines) > MAX_LINES:
        lines[MAX_LINES - 1 :] = [begun(lines[MAX_LINES - 1], width)]
    return lines


def _pieces(name: str) -> list[str]:
    """The pieces of a name, where it may be folded."""
    first, *others = name.split("_")
    return [f"{first}_" if others else first, *(f"{each}_" for each in others[:-1]), *others[-1:]]


def _folded_name(name: str, width: int) -> list[str]:
    """The name of a column in lines: folded behind its underscores, and cut where it must be."""
    lines = [""]
    for piece in _pieces(name):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return [cut(line, width) for line in lines]


__all__ = ["GAP", "MIN_CELLS", "Layout"]
