"""The drill itself: the page has all incidents, and some of them are made to happen."""

import asyncio

from twisted.trial.unittest import SynchronousTestCase

from tests.drill.__main__ import drilled
from tests.drill.incidents import INCIDENTS
from tests.drill.page import MAX_COMMANDS, rows
from tests.drill.town import Town

FEW = 5
QUICK = (
    "he does not see her: the roster",
    "he does not see her: she is invisible",
    "one user cannot log in",
    "two clients throw each other out",
    "a component is gone",
    "nothing goes to them: DNS",
    "nothing goes to them: they block us",
    "nothing comes from them: dialback",
    "the configuration was edited and not read",
    "a plugin fails",
)
"""Incidents that take a second at most; ``make drill`` has all of them, and 200 clients."""


class DrillTests(SynchronousTestCase):
    """The table of incidents in the manual."""

    def test_all_of_them(self) -> None:
        """Each incident of the manual can be made to happen, and the manual has all of those, with
        two commands at most.
        """
        self.assertEqual(sorted(row.name for row in rows()), sorted(INCIDENTS))
        for row in rows():
            self.assertLessEqual(len(row.commands), MAX_COMMANDS, row.name)

    def test_quick(self) -> None:
        """The commands of the manual name the cause, in a sentence and by its code."""

        async def drill() -> None:
            town = Town()
            try:
                await town.build(FEW)
                for row in rows():
                    if row.name in QUICK:
                        verdict = await drilled(town, row)
                        self.assertTrue(verdict.good, f"{row.name}:\n{verdict}")
            finally:
                await town.end()

        asyncio.run(drill())
