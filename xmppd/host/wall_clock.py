"""The wall clock: it tells the time of day, and is read nowhere else.

Nothing here needs more than the language itself: xmppctl loads it each time.
"""

import time


def wall_clock() -> float:
    """The time of day, in seconds since 1970: it may be set at any time, by hours or by days."""
    return time.time()


__all__ = ["wall_clock"]
