"""Metrics: counts and measurements, for ``xmppctl stats`` and other readers."""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from twisted.logger import Logger

from xmppd.events import Undo

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_log = Logger()


class Histogram:
    """A histogram: the counts of values, by their size.

    Args:
        bounds: The upper bound of each bucket, in rising order; one more takes larger values.

    Attributes:
        counts: The number in each bucket.
        total: The sum of all.
    """

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class Label:
    """A label, which tells the series of a metric apart: a closed set.

    An address, a room or another server is never one: there is no end of them.

    Attributes:
        name: Such as ``result``.
        values: All that it may be; of plugins and their paths there may be more later.
    """

    name: str
    values: Collection[str]


Number = float | Histogram
Reading = Number | Mapping[tuple[str, ...], Number]
"""The reading of a metric: one number, or one for each combination of its labels' values."""


@dataclass(frozen=True)
class Metric:
    """A count or a measurement.

    Counting is done where it happens, and is no more than an addition; a metric is read only when
    it is shown.

    Attributes:
        name: Its name without its unit.
        help: The same in a sentence.
        kind: A ``counter`` only grows, a ``gauge`` comes and goes, a ``histogram`` shows a
            :class:`Histogram`.
        sample: Its reading just now; empty while there is none.
        unit: A base unit, or nothing for what is counted in pieces.
        labels: In the order in which the keys of its reading have their values.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    sample: Callable[[], Reading]
    unit: Literal["", "seconds", "bytes"] = ""
    labels: tuple[Label, ...] = ()

    @property
    def full_name(self) -> str:
        """The name with its unit, such as ``late_seconds``."""
        return f"{self.name}_{self.unit}" if self.unit else self.name


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a metric.

    Attributes:
        metric: Shows it.
        labels: The value of each of its labels.
        value: The number.
    """

    metric: Metric
    labels: tuple[str, ...]
    value: Number


class Metrics:
    """The place of all metrics, by their full names."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Metric, str]] = {}

    def put(self, part: Metric, owner: str) -> Undo:
        """Add a metric.

        Raises:
            ValueError: The name is taken, or invalid.
        """
        name = part.full_name
        for word in (name, *(label.name for label in part.labels)):
            if not _NAME.fullmatch(word):
                raise ValueError(
                    f"{word!r} is not a valid name: use lowercase letters, digits and _"
                )
        if not part.help or any(label.values == () for label in part.labels):
            raise ValueError(f"{name} has no help text, or has a label without values")
        if name in self._rows:
            raise ValueError(f"a metric {name} already exists")
        self._rows[name] = part, owner

        def take_out() -> None:
            del self._rows[name]

        return take_out

    def __iter__(self) -> Iterator[Metric]:
        """All of them, as they were put."""
        return (part for part, _ in self._rows.values())

    def samples(self, *, growing: bool = False) -> Iterator[Sample]:
        """All present numbers, or only those that never shrink; a metric that fails is left out."""
        for part, owner in self._rows.values():
            if growing and part.kind == "gauge":
                continue
            try:
                found = list(_samples(part))
            except Exception:
                _log.failure("{owner} failed to report {name}", owner=owner, name=part.full_name)
            else:
                yield from found

    def numbers(self, *, growing: bool = False) -> Iterator[tuple[str, float]]:
        """The same for people: each number with its name; of a histogram the count, and the sum."""
        for sample in self.samples(growing=growing):
            name = sample.metric.full_name
            names = (label.name for label in sample.metric.labels)
            labels = dict(zip(names, sample.labels, strict=True))
            if isinstance(sample.value, Histogram):
                yield series(f"{name}_count", labels), sample.value.count
                yield series(f"{name}_sum", labels), round(sample.value.total, 4)
            else:
                yield series(name, labels), sample.value


def series(name: str, labels: Mapping[str, str]) -> str:
    """The name of one number among those of a metric, such as ``logins{result=failed}``."""
    told = ",".join(f"{label}={value}" for label, value in labels.items())
    return f"{name}{{{told}}}" if told else name


def _samples(metric: Metric) -> Iterator[Sample]:
    reading = metric.sample()
    if not isinstance(reading, Mapping):
        reading = {(): reading}
    for values, number in reading.items():
        if len(values) != len(metric.labels):
            raise ValueError(f"{values} are not the labels of {metric.full_name}")
        for label, value in zip(metric.labels, values, strict=True):
            if value not in label.values:
                raise ValueError(f"{label.name} is never {value!r}")
        if isinstance(number, Histogram) is not (metric.kind == "histogram"):
            raise TypeError(f"{metric.full_name} is not a {metric.kind}")
        yield Sample(metric, values, number)


__all__ = ["Histogram", "Label", "Metric", "Metrics", "Sample", "series"]
