"""Readings: what the server has counted by a moment, as far as pages show it."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from xmppd.host.metrics import Histogram, Metrics, Reading

_READ = frozenset(
    (
        "cluster_lag_seconds",
        "cluster_queued_entries",
        "login_seconds",
        "logins_waiting",
        "loop_late_seconds",
        "presence_broadcasts",
        "presence_copies",
        "process_cpu_seconds",
        "process_resident_memory_bytes",
        "queued_bytes",
        "sessions",
        "stanzas",
        "store_seconds",
        "traffic_bytes",
    )
)
"""The metrics that are read, with one that adds up what others go by."""


class Readings(Struct, frozen=True, array_like=True):
    """What has been counted by a moment.

    They are kept in the store by the order of these attributes: a new one goes to the end.

    Attributes:
        at: The moment, on the steady clock.
        life: Names the life of the process: what is counted begins anew with each.
        sessions: Clients that are bound, with those that are detached.
        detached: These.
        messages: That came to be routed.
        presences: The same.
        copies: Of presences, to contacts.
        broadcasts: What these are copies of.
        queued_bytes: That wait for slow readers.
        late: How often the loop was looked at, and how late it was in all, in seconds.
        logins: How many, and the time they took in all, in seconds.
        waiting: Logins that wait for their turn.
        processor_s: Of the process.
        memory_bytes: The same.
        in_bytes: That came by all connections.
        out_bytes: That went.
        store: Calls of the database: how many, and the time they took in all, in seconds.
        entries: That other nodes have not handled.
        lag_s: For so long the oldest of these waits.
    """

    at: float = 0.0
    life: str = ""
    sessions: float = 0.0
    detached: float = 0.0
    messages: float = 0.0
    presences: float = 0.0
    copies: float = 0.0
    broadcasts: float = 0.0
    queued_bytes: float = 0.0
    late: tuple[int, float] = (0, 0.0)
    logins: tuple[int, float] = (0, 0.0)
    waiting: float = 0.0
    processor_s: float = 0.0
    memory_bytes: float = 0.0
    in_bytes: float = 0.0
    out_bytes: float = 0.0
    store: tuple[int, float] = (0, 0.0)
    entries: float = 0.0
    lag_s: float = 0.0


Measure = Callable[[Readings, Readings], float]
"""A number of the time between two readings of one life."""


def readings(metrics: Metrics, at: float, life: str) -> Readings:
    """What is counted now.

    Args:
        metrics: Have all there are.
        at: Now, on the steady clock.
        life: Of this process.
    """
    # In their order, as a scrape reads them: some go by what one before has added up.
    read = {each.full_name: each.sample() for each in metrics if each.full_name in _READ}

    def of(name: str, *labels: str) -> float:
        return _sum(read[name], *labels)

    return Readings(
        at,
        life,
        of("sessions"),
        of("sessions", "detached"),
        of("stanzas", "message", "in"),
        of("stanzas", "presence", "in"),
        of("presence_copies"),
        of("presence_broadcasts"),
        of("queued_bytes"),
        _of_histogram(read["loop_late_seconds"]),
        _of_histogram(read["login_seconds"]),
        of("logins_waiting"),
        of("process_cpu_seconds"),
        of("process_resident_memory_bytes"),
        of("traffic_bytes", "in"),
        of("traffic_bytes", "out"),
        _of_histogram(read["store_seconds"]),
        of("cluster_queued_entries"),
        of("cluster_lag_seconds"),
    )


def at_its_end(key: str, times: float = 1.0) -> Measure:
    """What was so at the later reading, in another unit if it is multiplied."""

    def measure(before: Readings, now: Readings) -> float:
        return times * float(getattr(now, key))

    return measure


def per_second(key: str, times: float = 1.0) -> Measure:
    """How much was counted each second, in another unit if it is multiplied."""

    def measure(before: Readings, now: Readings) -> float:
        seconds = now.at - before.at
        grown: float = getattr(now, key) - getattr(before, key)
        return times * grown / seconds if seconds > 0 else 0.0

    return measure


def mean_ms(key: str) -> Measure:
    """How long one took of those that were counted, in milliseconds."""

    def measure(before: Readings, now: Readings) -> float:
        (count, total), (more, all_of_it) = getattr(before, key), getattr(now, key)
        return 1_000.0 * (all_of_it - total) / (more - count) if more > count else 0.0

    return measure


def _sum(reading: Reading, *labels: str) -> float:
    if isinstance(reading, Mapping):
        return sum(
            _sum(number) for key, number in reading.items() if all(label in key for label in labels)
        )
    return float(reading.count) if isinstance(reading, Histogram) else float(reading)


def _of_histogram(reading: Reading) -> tuple[int, float]:
    found = reading.values() if isinstance(reading, Mapping) else (reading,)
    histograms = [each for each in found if isinstance(each, Histogram)]
    return sum(each.count for each in histograms), sum(each.total for each in histograms)


__all__ = ["Measure", "Readings", "at_its_end", "mean_ms", "per_second", "readings"]
