"""Where chance in tests comes from: the same in each run, unless SEED says otherwise.

What fails names its seed, so that it can be seen again; ``make fuzz`` takes a new one.
"""

import os


def some_seed() -> int:
    """The seed of this run."""
    return int(os.environ.get("SEED", "1"))
