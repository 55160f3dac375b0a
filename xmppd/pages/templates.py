"""Templates: pages out of files with gaps, in which whatever is filled in is text (CN-5).

This is the one import of Jinja2, and of what it escapes with.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from xmppd.pages import cells

HERE = Path(__file__).parent / "templates"

_FILTERS: Mapping[str, Callable[..., object]] = {
    "text": cells.text,
    "arguments": cells.arguments,
    "heading": cells.heading,
    "span": cells.span,
    "size": cells.size,
    "number": cells.number,
    "moment": cells.moment,
}


class Templates:
    """The templates of a site, and those that all sites have.

    Args:
        directory: The site's own; it may use, or extend, those of all.
    """

    def __init__(self, directory: Path) -> None:
        self._environment = _environment(directory)

    def render(self, name: str, values: Mapping[str, object]) -> bytes:
        """A page.

        Args:
            name: Of the template.
            values: What it is filled with; all of it is escaped.
        """
        return self._environment.get_template(name).render(values).encode()


@cache
def _environment(directory: Path) -> Environment:
    """Compiled templates, which all servers of a process share; a gap that nothing fills is an
    error.
    """
    environment = Environment(
        loader=FileSystemLoader((directory, HERE)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(_FILTERS)
    return environment


__all__ = ["HERE", "Markup", "Templates", "escape"]
