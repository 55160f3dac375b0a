"""A plugin that tells what only the garbage collector could find; for :mod:`bench.gone`."""

import gc
from collections.abc import Sequence

from xmppd.parts import AtUnload, Statistic
from xmppd.server import XMPPServer


def plug(server: XMPPServer) -> Sequence[object]:
    """The collector rests, and counts what there is for it when it is asked to."""
    gc.disable()
    return [Statistic("objects_in_cycles", gc.collect), AtUnload(gc.enable)]
