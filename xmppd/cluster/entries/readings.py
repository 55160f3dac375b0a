"""Entries of what a node has counted, for the graphs of another one."""

from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import BusEntry

MAX_SPAN = 16
"""The characters that the word for a time may have."""


class ReadingsWanted(BusEntry, tag="gw", frozen=True):
    """How did that node do lately? The answer is :class:`ReadingsGiven`.

    Attributes:
        over: The word for the time that is meant.
    """

    over: Annotated[str, Meta(max_length=MAX_SPAN)]


class ReadingsGiven(BusEntry, tag="gg", frozen=True):
    """The answer to :class:`ReadingsWanted`.

    Attributes:
        ago_s: How long ago each value was measured, the oldest first: clocks of nodes differ.
        lines: The values, by the name of the graph; None where the node was not there.
    """

    ago_s: list[float]
    lines: dict[str, list[float | None]]


__all__ = ["ReadingsGiven", "ReadingsWanted"]
