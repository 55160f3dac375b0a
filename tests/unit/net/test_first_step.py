"""The first step of work that may have to wait."""

import sys
from contextvars import ContextVar

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from xmppd.net.first_step import _go_on, first_step

PLACE = ContextVar("place", default="nowhere")


class FirstStepTests(SynchronousTestCase):
    def test_done_at_once(self) -> None:
        """What need not wait is done, also if it waits for what is there already."""
        done: list[str] = []

        async def work() -> None:
            done.append(await succeed("aye"))

        self.assertIsNone(first_step(work()))
        self.assertEqual(done, ["aye"])

    def test_fails_at_once(self) -> None:
        """What fails before it waits is raised."""

        async def work() -> None:
            raise ValueError("villain")

        with self.assertRaisesRegex(ValueError, "villain"):
            first_step(work())

    def test_waits(self) -> None:
        """Each wait ends with its result or its failure, and the last step ends the rest."""
        waits: list[Deferred[int]] = [Deferred() for _ in range(3)]
        came: list[object] = []

        async def work() -> None:
            came.append(await waits[0])
            try:
                await waits[1]
            except ValueError as error:
                came.append(str(error))
            came.append(await waits[2])

        rest = first_step(work())
        assert rest is not None
        waits[0].callback(1)
        waits[1].errback(ValueError("villain"))
        self.assertNoResult(rest)
        waits[2].callback(3)
        self.assertIsNone(self.successResultOf(rest))
        self.assertEqual(came, [1, "villain", 3])

    def test_fails_later(self) -> None:
        """What it raises after a wait is the failure of the rest."""
        wait: Deferred[None] = Deferred()

        async def work() -> None:
            await wait
            raise ValueError("villain")

        rest = first_step(work())
        assert rest is not None
        wait.callback(None)
        self.assertEqual(str(self.failureResultOf(rest, ValueError).value), "villain")

    def test_cancelled(self) -> None:
        """Who cancels the rest cancels what it waits for."""
        wait: Deferred[None] = Deferred()
        rest = first_step(_awaited(wait))
        assert rest is not None
        failures: list[object] = []
        rest.addErrback(failures.append)
        rest.cancel()
        self.assertTrue(wait.called)
        self.assertEqual(len(failures), 1)

    def test_collected(self) -> None:
        """Work that nobody can go on with ends once, whatever of it is collected first."""
        ended: list[str] = []

        async def work() -> None:
            try:
                await Deferred[None]()
            finally:
                ended.append("work")

        for work_first in (True, False):
            unraised: list[object] = []
            self.patch(sys, "unraisablehook", unraised.append)
            going_on = work()
            rest = _go_on(going_on, going_on.send(None))
            next(rest)
            if work_first:
                going_on.close()
            rest.close()
            self.assertEqual(ended, ["work"])
            ended.clear()
            self.assertEqual(unraised, [])

    def test_context(self) -> None:
        """What it sets is seen by itself, also after a wait, and by nobody else."""
        wait: Deferred[None] = Deferred()
        seen: list[str] = []

        async def work() -> None:
            PLACE.set("Verona")
            await wait
            seen.append(PLACE.get())

        first_step(work())
        seen.append(PLACE.get())
        wait.callback(None)
        self.assertEqual(seen, ["nowhere", "Verona"])


async def _awaited(wait: Deferred[None]) -> None:
    await wait
