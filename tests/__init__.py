"""The tests. What chance tries is the same in each run; ``make fuzz`` tries something new."""

import signal
from contextlib import suppress

# A shell's background job ignores SIGINT, and so would every server that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The parser is also tested on interpreters that have nothing installed.
with suppress(ModuleNotFoundError):
    from hypothesis import HealthCheck, settings

    # A busy machine is no mistake of ours: neither a slow example nor slow making of one is.
    settings.register_profile(
        "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("repeatable")
