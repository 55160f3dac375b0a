"""The tool that says what a change of the store costs."""

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import TestCase

from bench.store import AT_ONCE, NODE, rows
from xmppd.store.store import make_store


class StoreTests(TestCase):
    async def test_every_change(self) -> None:
        """Each kind of change is made, and has a cost for each number at once."""
        clock = IReactorTime(reactor)
        store = make_store(f"sqlite:///{Path(self.mktemp()).resolve()}", reactor=clock)
        await store.open()
        self.addCleanup(store.close)
        found = await rows(store, changes=100, full=100)
        self.assertEqual([row[0] for row in found][:2], ["held message", "the same, acknowledged"])
        for row in found:
            self.assertEqual(len(row), 1 + len(AT_ONCE))
            self.assertNotIn("–", row)
        self.assertEqual(await store.sessions.recover_messages(NODE), [])  # all are acknowledged
