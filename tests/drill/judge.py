"""Judges whether two commands have named a cause: in a sentence at 80 columns, and by its code."""

import asyncio
import json
import time
from dataclasses import dataclass

from wcwidth import wcswidth

from tests.drill.page import Row
from tests.drill.town import Town

COLUMNS = 80
LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Verdict:
    """What came of the commands of a row.

    Attributes:
        printed: What they have printed for people.
        codes: The codes that they have given to programs.
        too_wide: Lines that are.
        found: Whether the sentence is there.
        coded: Whether the code is.
    """

    printed: str
    codes: frozenset[str]
    too_wide: tuple[str, ...] = ()
    found: bool = False
    coded: bool = False

    @property
    def good(self) -> bool:
        """Whether the cause was named."""
        return self.found and self.coded and not self.too_wide

    def __str__(self) -> str:
        missing = [
            word
            for word, there in (
                ("the sentence", self.found),
                (f"the code (there are {', '.join(sorted(self.codes))})", self.coded),
            )
            if not there
        ]
        missing += [f"room for the line: {line}" for line in self.too_wide]
        return f"missing: {'; '.join(missing)}\n{self.printed}" if missing else self.printed


async def judged(town: Town, row: Row) -> Verdict:
    """Give the commands of a row, and look at what they say."""
    printed, codes = "", set[str]()
    for command in row.commands:
        out, errors = await town.xmppctl(*command)
        printed += out + errors
        lines, _ = await town.xmppctl("--json", *command)
        for line in lines.splitlines():
            codes |= _codes(json.loads(line))
    return Verdict(
        printed,
        frozenset(codes),
        tuple(line for line in printed.splitlines() if wcswidth(line) > COLUMNS),
        row.pattern.search(" ".join(printed.split())) is not None,
        row.code in codes,
    )


def _codes(row: dict[str, object]) -> set[str]:
    """The codes in an object that a command gives."""
    found = {str(row["code"])} if "code" in row else set()
    wrong = row.get("wrong", ())
    assert isinstance(wrong, list | tuple)
    found |= set(map(str, wrong))
    if row.get("step") == "remedy":
        found.add(str(row["what"]))
    if row.get("result") == "bad":
        found.add(str(row["topic"]))
    return found


async def until_said(town: Town, row: Row, patience_s: float) -> Verdict:
    """The same, again and again until they name it, or for so long."""
    end = time.monotonic() + patience_s
    while not (verdict := await judged(town, row)).good and time.monotonic() < end:
        await asyncio.sleep(LOOK_EVERY_S)
    return verdict


__all__ = ["Verdict", "judged", "until_said"]
