"""What the overview says of all nodes together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xmppd.console.shown import Heard
from xmppd.presence.broadcast_counts import OTHERS

MAX_ACCOUNTS = 6
"""Who causes most."""

WELL, TROUBLE = "well", "trouble"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How this server is, and whether all nodes are well.

    Attributes:
        here: The row of the node that is asked; empty if it is not known.
        node: Its name, if there are several.
        wrong: What needs somebody, at any of them.
        is_trouble: Whether some of it does not work.
    """

    here: Row
    node: str
    wrong: Sequence[str]
    is_trouble: bool

    @classmethod
    def of(cls, status: Heard, node: str) -> "ServiceState":
        """The state that the nodes tell.

        Args:
            status: What each of them answers.
            node: The name of the one that is asked; empty if there is one only.
        """
        well = {row.get("node", "") for row in status.rows if row["state"] == WELL}
        wrong = [note for note in status.notes if not well or _says(note) not in well]
        here = next((row for row in status.rows if row.get("node", node) == node), {})
        is_trouble = any(row["state"] == TROUBLE for row in status.rows)
        return cls(here, node if len(status.rows) > 1 else "", wrong, is_trouble)


def _says(note: str) -> str:
    """Who says it, where there are several."""
    node, colon, _ = note.partition(": ")
    return node if colon else ""


def by_account(rows: Iterable[Row]) -> list[Row]:
    """Who causes most presence at all nodes together; all others are the last row.

    Args:
        rows: Those of each node.
    """
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        counts = sums.setdefault(row["account"], {"broadcasts": 0, "copies": 0})
        for key in counts:
            counts[key] += row[key]
    total = sum(counts["copies"] for counts in sums.values()) or 1
    others = sums.pop(OTHERS, {"broadcasts": 0, "copies": 0})
    ranked = sorted(sums.items(), key=lambda item: item[1]["copies"], reverse=True)
    for _, counts in ranked[MAX_ACCOUNTS:]:
        others = {key: others[key] + counts[key] for key in others}
    last = [(OTHERS, others)] if others["broadcasts"] else []
    return [
        {"account": account, **counts, "percent": round(100 * counts["copies"] / total, 1)}
        for account, counts in (*ranked[:MAX_ACCOUNTS], *last)
    ]


__all__ = ["MAX_ACCOUNTS", "ServiceState", "by_account"]
