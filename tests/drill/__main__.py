"""The drill: ``python -m tests.drill [--clients 200] [WORD…]``; words choose incidents."""

import argparse
import asyncio
import sys
import time

from tests.drill.incidents import INCIDENTS
from tests.drill.judge import Verdict, judged, until_said
from tests.drill.page import Row, rows
from tests.drill.town import CLIENTS, Town

PATIENCE_S = 30.0


def say(line: str) -> None:
    """Print it, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def drilled(town: Town, row: Row) -> Verdict:
    """Begin an incident, and see whether its commands name it; before, they must not."""
    before = await judged(town, row)
    assert not before.good, f"it is said before it is so:\n{before.printed}"
    async with INCIDENTS[row.name](town):
        return await until_said(town, row, PATIENCE_S)


async def drill(clients: int, words: list[str]) -> int:
    """All incidents, or those of which the name has one of the words; how many stay unnamed."""
    chosen = [row for row in rows() if not words or any(word in row.name for word in words)]
    town, bad = Town(), 0
    try:
        await town.build(clients)
        for row in chosen:
            began = time.monotonic()
            verdict = await drilled(town, row)
            word = "ok  " if verdict.good else "FAIL"
            bad += not verdict.good
            say(f"{word}  {row.name} ({time.monotonic() - began:.1f} s)")
            for command in row.commands:
                say(f"      $ xmppctl {' '.join(command)}")
            say("".join(f"      {line}\n" for line in str(verdict).splitlines()))
    finally:
        await town.end()
    say(f"{len(chosen) - bad} incidents were named, {bad} were not")
    return bad


def main() -> None:
    """The drill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("words", nargs="*")
    told = parser.parse_args()
    sys.exit(bool(asyncio.run(drill(told.clients, told.words))))


if __name__ == "__main__":
    main()
