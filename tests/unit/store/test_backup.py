"""The database in SQLite as one file, while a server writes to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.unit.store.databases import sqlite_url
from xmppd.store.backup import back_up
from xmppd.store.errors import StoreError
from xmppd.store.store import Store, make_store

ROMEO, JULIET = "romeo@montague.lit", "juliet@capulet.lit"


class BackupTests(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.url = sqlite_url(self)
        self.store = make_store(self.url, reactor=reactor)
        await self.store.open(upgrade=True)
        self.addCleanup(self.store.close)
        self.target = Path(self.mktemp())

    async def opened(self, path: Path) -> Store:
        store = make_store(f"sqlite:///{path}", reactor=reactor)
        await store.open(upgrade=False)
        self.addCleanup(store.close)
        return store

    async def test_consistent(self) -> None:
        """What is committed is in one file of its owner, and what comes later is not."""
        await self.store.accounts.create_account(ROMEO, ())
        back_up(self.url, self.target)
        await self.store.accounts.create_account(JULIET, ())
        self.assertEqual(self.target.stat().st_mode & 0o777, 0o600)
        self.assertEqual(list(self.target.parent.glob(f"{self.target.name}?*")), [])
        copy = await self.opened(self.target)
        self.assertTrue(await copy.accounts.exists(ROMEO))
        self.assertFalse(await copy.accounts.exists(JULIET))

    async def test_not_over_another(self) -> None:
        """A file that is there stays as it is."""
        self.target.write_text("precious")
        with self.assertRaises(FileExistsError):
            back_up(self.url, self.target)
        self.assertEqual(self.target.read_text(), "precious")

    def test_after_a_kill(self) -> None:
        """What one that was killed has left is in nobody's way."""
        self.target.with_name(f"{self.target.name}.part").write_text("half")
        back_up(self.url, self.target)
        with closing(sqlite3.connect(self.target)) as copy:
            self.assertEqual(copy.execute("SELECT count(*) FROM accounts").fetchall(), [(0,)])

    def test_refused(self) -> None:
        """What cannot be backed up so is said, and leaves nothing."""
        damaged = Path(self.mktemp())
        damaged.write_bytes(b"SQLite format 3\0" + os.urandom(9_000))
        for url, why in (
            ("postgresql://postgres@/x", "pg_dump"),
            (f"sqlite:///{damaged}", "failed: file is not a database|damaged"),
            (f"sqlite:///{self.target}/nowhere", "failed: unable to open"),
        ):
            with self.subTest(url), self.assertRaisesRegex(StoreError, why):
                back_up(url, self.target)
        with self.assertRaises(OSError):
            back_up(self.url, self.target / "nowhere" / "file")
        self.assertEqual(list(self.target.parent.glob(f"{self.target.name}*")), [])
