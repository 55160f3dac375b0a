"""Exposition: all metrics as a program that watches the server reads them (ME-1 to ME-4)."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from xmppd.host.metrics import Histogram, Metric, Sample

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def exposition(samples: Iterable[Sample], *, open_metrics: bool) -> str:
    """All metrics with their numbers, in the format of Prometheus or in OpenMetrics."""
    lines: list[str] = []
    for metric, found in groupby(samples, key=lambda sample: sample.metric):
        lines += _head(metric, open_metrics=open_metrics)
        for sample in found:
            lines += _numbers(sample)
    if open_metrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _name(metric: Metric) -> str:
    return f"xmppd_{metric.full_name}"


def _head(metric: Metric, *, open_metrics: bool) -> Iterator[str]:
    name, kind = _name(metric), metric.kind
    family = f"{name}_total" if kind == "counter" and not open_metrics else name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {family} {text}"
    yield f"# TYPE {family} {kind}"
    if open_metrics and metric.unit:
        yield f"# UNIT {family} {metric.unit}"


def _numbers(sample: Sample) -> Iterator[str]:
    metric, name = sample.metric, _name(sample.metric)
    pairs = [
        f'{label.name}="{value}"' for label, value in zip(metric.labels, sample.labels, strict=True)
    ]
    said = f"{{{','.join(pairs)}}}" if pairs else ""
    if not isinstance(sample.value, Histogram):
        suffix = "_total" if metric.kind == "counter" else ""
        yield f"{name}{suffix}{said} {_number(sample.value)}"
        return
    count = 0
    bounds = (*map(str, map(float, sample.value.bounds)), "+Inf")
    for bound, more in zip(bounds, sample.value.counts, strict=True):
        count += more
        labels = ",".join([*pairs, f'le="{bound}"'])
        yield f"{name}_bucket{{{labels}}} {count}"
    yield f"{name}_sum{said} {sample.value.total}"
    yield f"{name}_count{said} {count}"


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
