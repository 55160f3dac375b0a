"""EventCounts: how many people are told of events."""

from dataclasses import dataclass

from xmppd.host.metrics import Metric


@dataclass
class EventCounts:
    """How many notifications there were, at this server of the service.

    Attributes:
        told: Those of events, as they happened.
        filtered: Those that a client did not get who sees the account, since it did not want them.
        last_items: Those of items that were published before.
    """

    told: int = 0
    filtered: int = 0
    last_items: int = 0

    def metrics(self) -> list[Metric]:
        """The counts as metrics."""
        return [
            Metric("pep_told", "Notifications of events.", "counter", lambda: self.told),
            Metric(
                "pep_filtered",
                "Notifications that clients did not want.",
                "counter",
                lambda: self.filtered,
            ),
            Metric(
                "pep_last_items",
                "Notifications of what was published before.",
                "counter",
                lambda: self.last_items,
            ),
        ]


__all__ = ["EventCounts"]
