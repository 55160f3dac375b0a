"""A plugin that tells what only the garbage collector could find; for :mod:`bench.gone`."""

import gc

from xmppd.host.statistics import Statistic
from xmppd.plugin.place import AtUnload, Part


def plug() -> list[Part]:
    """The collector rests, and counts what there is for it when it is asked to."""
    gc.disable()
    return [Statistic("objects_in_cycles", gc.collect), AtUnload(gc.enable)]
