"""Page and Panel: what the console has, its own and what plugins bring; and the place of both."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from xmppd.events import Undo

PLACES = ("", "People", "Network", "Server")
"""The headings of the menu; pages without one are above them all."""

MAX_ROWS = 100
"""Rows of one table, if its panel does not say otherwise; what is beyond is in the file."""

_PATH = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A box on a page: what a command answers. It is shown to those who may give the command.

    Attributes:
        page: The path of the page.
        title: Above it.
        command: The command, which only reads.
        given: What it is given always.
        about: The argument that is told what the page is about; empty for none.
        columns: Those that are shown; empty for all.
        acts: Commands that are offered above it, for what the page is about.
        each: Commands that are offered for each row, or above it for a record. An argument of
            theirs takes the column of its name.
        takes: The column that an argument takes instead.
        only: Those of these commands that are offered for some rows only: for those that have this
            value in this column.
        at_once: Those of them that their button gives, without a form: commands that can be taken
            back, and are told nothing but what the row has.
        opens: The path of a page that is about what the first column has.
        onward: The argument that leads to the rows behind these, and the column of the last one
            that it is told; None if there is none. Such a command also takes ``--rows``; where it
            asks all nodes, the rows are in the order of this column.
        finds: The argument that takes words to look for; empty for none.
        most: The rows that are shown at once.
    """

    page: str
    title: str
    command: str
    given: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    columns: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    takes: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[str, object]] = field(default_factory=dict)
    at_once: tuple[str, ...] = ()
    opens: str = ""
    onward: tuple[str, str] | None = None
    finds: str = ""
    most: int = MAX_ROWS


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the console: its panels, and commands that are offered there.

    Attributes:
        path: Its name, in small letters.
        title: Of the page, and in the menu.
        place: One of :data:`PLACES`.
        says: A sentence below the title.
        acts: Commands that are offered; where the page is about something, their first argument is
            that.
        about: What a page is about that is no list, such as ``account``: it is not in the menu, but
            opened from others.
    """

    path: str
    title: str
    place: str = "Server"
    says: str = ""
    acts: tuple[str, ...] = ()
    about: str = ""


class ConsolePages:
    """The place of pages and panels.

    Attributes:
        pages: By path, in the order of the menu.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self._panels: list[Panel] = []

    def put(self, part: Page | Panel, owner: str) -> Undo:
        """Add one.

        Raises:
            ValueError: The path of a page is taken, or none; or it has no place in the menu.
        """
        if isinstance(part, Panel):
            self._panels.append(part)
            return lambda: self._panels.remove(part)
        if not _PATH.fullmatch(part.path) or part.path in self.pages or part.path in TAKEN:
            raise ValueError(f"{part.path!r} is not a valid path for a page, or already exists")
        if part.place not in PLACES:
            raise ValueError(f"the menu has no place {part.place}")
        self.pages[part.path] = part

        def take_out() -> None:
            del self.pages[part.path]

        return take_out

    def panels(self, path: str) -> list[Panel]:
        """The panels of a page."""
        return [panel for panel in self._panels if panel.page == path]


TAKEN = (
    "configuration",
    "do",
    "find",
    "graphs",
    "live",
    "login",
    "logout",
    "static",
    "stream",
    "theme",
    "why",
)
"""Paths that the console has itself."""

__all__ = ["MAX_ROWS", "PLACES", "ConsolePages", "Page", "Panel"]
