"""A plugin that counts the objects that only the garbage collector could find; for
:mod:`bench.gone`.
"""

import gc

from xmppd.host.metrics import Metric
from xmppd.plugin.place import AtUnload, Part


def plug() -> list[Part]:
    """Stop the collector, and count objects in cycles when asked to."""
    gc.disable()
    cycles = Metric("objects_in_cycles", "What only the collector finds.", "gauge", gc.collect)
    return [cycles, AtUnload(gc.enable)]
