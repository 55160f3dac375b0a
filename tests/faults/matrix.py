"""Run faults: whether everybody sees what they should while something goes wrong.

    python -m tests.faults.matrix [FAULT …] [--links direct|redis] [--seed N]

Without a name all of them are run, in both ways in which nodes speak to each other.
"""

import argparse
import asyncio
import os
import sys
import time
from contextlib import ExitStack
from random import Random, SystemRandom

from tests.faults.faults import FAULTS, Fault
from tests.faults.field import CutNodes, Field
from tests.postgresql_server import PostgresProcess
from tests.redis_server import MASTER, RedisProcess, Sentinels
from xmppd.testing.process import NotStarted

WAYS = ("direct", "redis")


def run(fault: Fault, links: str, seed: int, database: str = "") -> tuple[list[str], str]:
    """Have it happen.

    Args:
        fault: What happens.
        links: The way between nodes.
        seed: Chooses the rest.
        database: URL of an empty one, instead of one that is made.

    Returns:
        What was wrong, and what was counted.
    """
    with ExitStack() as stack:
        redis = RedisProcess(tcp=True)
        sentinels, postgresql, settings = None, None, dict[str, object]()
        if fault.needs == "postgresql":
            postgresql = PostgresProcess().start()
            stack.callback(postgresql.stop)
            database = postgresql.url
        nodes = CutNodes(links, redis, database)
        stack.callback(nodes.take_away)
        if fault.needs == "sentinels":
            sentinels = Sentinels(redis)
            stack.callback(sentinels.stop)
            sentinels.start()
            settings = {"redis": [f"redis://{MASTER}"], "sentinels": list(sentinels.urls)}
        try:
            field = Field(nodes, Random(seed), **settings)
        except NotStarted as error:
            return [str(error)], "not started"
        field.sentinels, field.postgresql = sentinels, postgresql
        try:
            wrong = asyncio.run(field.run(fault.run))
        except AssertionError as error:
            wrong = [str(error)]
        if wrong:
            wrong += [*nodes.troubles(), f"logs: {nodes.keep_logs()}"]
        return wrong, "; ".join((*field.notes, field.summary()))


def main() -> None:
    """Run them, and say what was wrong."""
    parser = argparse.ArgumentParser(description="Faults under load.")
    parser.add_argument("fault", nargs="*", help=", ".join(FAULTS))
    parser.add_argument("--links", choices=WAYS)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    failed = 0
    for name in options.fault or FAULTS:
        fault = FAULTS[name]
        for links in [options.links] if options.links else WAYS:
            if links in fault.links:
                began = time.monotonic()
                wrong, counts = run(fault, links, options.seed)
                failed += bool(wrong)
                took = time.monotonic() - began
                word = "FAIL" if wrong else "ok"
                say(f"{word:5} {name} ({links}, {took:.0f} s, seed {options.seed}): {counts}")
                for line in wrong:
                    say(f"      {line}")
    say(f"{failed} failed" if failed else "all is well")
    os._exit(bool(failed))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
