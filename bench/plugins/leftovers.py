"""A plugin that tells what only the garbage collector could find; for :mod:`bench.gone`."""

import gc

from xmppd.host.metrics import Metric
from xmppd.plugin.place import AtUnload, Part


def plug() -> list[Part]:
    """The collector rests, and counts what there is for it when it is asked to."""
    gc.disable()
    cycles = Metric("objects_in_cycles", "What only the collector finds.", "gauge", gc.collect)
    return [cycles, AtUnload(gc.enable)]
