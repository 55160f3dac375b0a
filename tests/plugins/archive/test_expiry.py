"""What goes from archives: by age, by number, by size, with the account, and on request."""

from pathlib import Path
from xml.etree import ElementTree

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from tests.plugins.archive.archives import JULIET, ROMEO, ArchiveCase
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply, columns_of
from xmppd.config.scopes import ROLES
from xmppd.stanza import JID
from xmppd.store.errors import StoreError
from xmppd.store.sql import select
from xmppd.testing.client import done
from xmppd_plugins.archive import EXPIRE_S, LOOK_AT_DISK_S
from xmppd_plugins.archive.archive import SETTLED_S
from xmppd_plugins.archive.entries import ALL, Selection
from xmppd_plugins.archive.ids import microseconds_of
from xmppd_plugins.archive.settings import ArchiveSettings
from xmppd_plugins.archive.tables import archives, entries, stanzas

NURSE = "nurse@montague.lit"
DAY_S = 86_400.0


class ExpiryCase(ArchiveCase):
    """Romeo, Juliet, and time that passes."""

    def setUp(self) -> None:
        super().setUp()
        self.house.wall_ahead_s = 1_700_000_000.0
        self.house.add("nurse")

    def give(self, name: str, *, actor: Actor = SHELL, peer: str = "", **given: str) -> list[Reply]:
        """The answer of a command."""
        arguments: dict[str, object] = {**given, **({"with": peer} if peer else {})}

        async def run() -> list[Reply]:
            table = self.house.server.commands
            asked = table.asked(f"archive {name}", arguments, actor)
            return [reply async for reply in table.replies(*asked)]

        work = Deferred.fromCoroutine(run())
        for _ in range(100):  # turns
            self.house.clock.advance(0)
        return done(work)

    def pass_days(self, days: float) -> None:
        self.house.wall_ahead_s += days * DAY_S

    def rows(self) -> tuple[int, int, int]:
        """The numbers of archives, entries and stanzas in the database."""
        database = self.archive.database
        tables = (archives.c.number, entries.c.position, stanzas.c.position)
        one, two, three = (len(done(database.read(select(column), {}))) for column in tables)
        return one, two, three


class ExpiryTests(ExpiryCase):
    def test_nothing(self) -> None:
        """By default nothing goes, however old it is."""
        self.say("a", "b")
        self.pass_days(3_650)
        self.assertEqual(self.give("expire"), ["messages deleted: 0"])
        self.assertEqual(self.said(JULIET), ["a", "b"])
        self.assertEqual(self.rows(), (2, 4, 2))

    def test_age(self) -> None:
        """What is older than it may be goes from both archives, and from the disk (AR-13)."""
        self.house.reload(self.config(max_age_days=30))
        self.say("old", "older")
        self.pass_days(20)
        self.say("new")
        self.pass_days(11)
        self.assertEqual(self.give("expire"), ["messages deleted: 4"])
        for owner in (ROMEO, JULIET):
            self.assertEqual(self.said(owner), ["new"])
        self.assertEqual(self.rows(), (2, 2, 1))

    def test_hourly(self) -> None:
        """That is done each hour."""
        self.house.reload(self.config(max_age_days=1))
        self.say("old")
        self.index()
        self.pass_days(2)
        self.house.clock.advance(EXPIRE_S)
        self.assertEqual(self.said(JULIET), [])
        self.assertEqual(self.rows(), (2, 0, 0))

    def test_number(self) -> None:
        """An archive keeps the newest of its messages; those of others keep theirs."""
        self.house.reload(self.config(max_messages=3))
        self.say("a", "b", "c")
        self.say("d", "e", to=NURSE)
        self.pass_days(1)
        self.assertEqual(self.give("expire"), ["messages deleted: 2"])
        self.assertEqual(self.said(ROMEO), ["c", "d", "e"])
        self.assertEqual(self.said(JULIET), ["a", "b", "c"])
        self.assertEqual(self.rows(), (3, 8, 5))
        self.assertEqual(self.give("expire"), ["messages deleted: 0"])

    def test_bytes(self) -> None:
        """The same in bytes."""
        self.say("a" * 1_000, "b" * 1_000, "c" * 1_000)
        self.house.reload(self.config(max_bytes=2_500))
        self.give("expire")
        self.assertEqual([said[0] for said in self.said(JULIET)], ["b", "c"])

    def test_ids_are_not_given_again(self) -> None:
        """What comes behind that has a higher position, also behind a restart (OA-9)."""
        self.say("a")
        last = self.archive.positions.last
        self.house.reload(self.config(max_age_days=1))
        self.pass_days(3)
        self.give("expire")
        self.pass_days(-30)
        self.house = self.house.restarted()
        self.assertGreater(self.archive.positions.next(), last)

    def test_not_yet_indexed(self) -> None:
        """What is in memory is not taken for something of nobody."""
        self.say("a")
        self.write()
        self.house.wall_ahead_s += SETTLED_S
        self.house.clock.advance(EXPIRE_S)
        self.index()
        self.assertEqual(self.said(JULIET), ["a"])

    def test_settings(self) -> None:
        """A time that nobody can mean is refused."""
        with self.assertRaisesRegex(ValueError, "max_age_days must be at most 36500"):
            ArchiveSettings(max_age_days=36_501)
        with self.assertRaisesRegex(ValueError, "at most 10000"):
            ArchiveSettings(flush_ms=10_001)


class DiskTests(ExpiryCase):
    def test_full(self) -> None:
        """While the disk is nearly full messages are delivered and not archived, and the log says
        so once (AR-13).
        """
        self.patch(self.archive.database, "free_bytes", lambda: 1.0)
        with capturedLogs() as lines:
            self.house.clock.advance(LOOK_AT_DISK_S)
            self.house.clock.advance(LOOK_AT_DISK_S)
        self.assertEqual(["no longer archived" in (formatEvent(e) or "") for e in lines], [True])
        self.say("a")
        self.assertIn(b"<body>a</body></message>", self.juliet.raw())
        self.patch(self.archive.database, "free_bytes", lambda: 1e12)
        self.house.clock.advance(LOOK_AT_DISK_S)
        self.say("b")
        self.assertEqual(self.said(JULIET), ["b"])

    def test_gone(self) -> None:
        """A disk that cannot be asked changes nothing, and is asked again."""

        def gone() -> float:
            raise StoreError("The file is gone.")

        self.patch(self.archive.database, "free_bytes", gone)
        self.house.clock.advance(LOOK_AT_DISK_S)
        self.patch(self.archive.database, "free_bytes", lambda: 1.0)
        self.house.clock.advance(LOOK_AT_DISK_S)
        self.assertTrue(self.archive.is_paused)


class RemovedTests(ExpiryCase):
    def remove(self, account: str) -> None:
        done(self.house.server.accounts.remove(JID.parse(account)))

    def test_gone(self) -> None:
        """Who gets the name of an account that was removed begins with nothing; what others have
        said with it is theirs (AR-14).
        """
        self.say("a")
        self.index()
        self.say("b")
        self.remove(JULIET)
        self.house.add("juliet")
        self.assertEqual(self.said(JULIET), [])
        self.say("c")
        self.assertEqual(self.said(JULIET), ["c"])
        self.index()
        self.assertEqual(self.said(JULIET), ["c"])
        self.assertEqual(self.said(ROMEO), ["a", "b", "c"])

    def test_rows(self) -> None:
        """Its rows go with the next run; a stanza stays while another archive has it."""
        self.say("a")
        self.say("b", to=ROMEO)
        self.index()
        self.remove(JULIET)
        self.pass_days(1)
        self.give("expire")
        self.assertEqual(self.rows(), (1, 2, 2))
        self.remove(ROMEO)
        self.give("expire")
        self.assertEqual(self.rows(), (0, 0, 0))

    def test_unloaded(self) -> None:
        """That holds while the archive is not loaded."""
        self.say("a")
        done(self.house.plugins.unload("archive"))
        self.remove(JULIET)
        done(self.house.plugins.load("archive"))
        self.house.add("juliet")
        self.say("b")
        self.assertEqual(self.said(JULIET), ["b"])


class CommandTests(ExpiryCase):
    def test_show(self) -> None:
        """How much an archive has, and since when."""
        self.assertEqual(self.give("show", account=ROMEO), [f"the archive of {ROMEO} is empty"])
        self.say("a", "b")
        [row] = self.give("show", account=ROMEO)
        assert not isinstance(row, str)
        shown = columns_of(row)
        sizes = [len(e.stanza or b"") for e in done(self.archive.entries.page(ROMEO, ALL, 10))]
        self.assertEqual((shown["messages"], shown["bytes"]), (2, sum(sizes)))
        self.assertLessEqual(shown["first"], shown["last"])

    def test_export(self) -> None:
        """All of an archive as XEP-0227 has it, the oldest first."""
        self.say("a &lt; b", "c")
        text = "".join(map(str, self.give("export", account=JULIET)))
        tree = ElementTree.fromstring(text)
        mam, forward = "{urn:xmpp:mam:2}", "{urn:xmpp:forward:0}"
        results = tree.findall(
            "{urn:xmpp:pie:0}host/{urn:xmpp:pie:0}user[@name='juliet']/"
            f"{{urn:xmpp:pie:0#mam}}archive/{mam}result"
        )
        bodies = [each.findtext(".//{jabber:client}body") for each in results]
        self.assertEqual(bodies, ["a < b", "c"])
        page = done(self.archive.entries.page(JULIET, ALL, 10))
        ids = [self.archive.id_of(JULIET, entry.position) for entry in page]
        self.assertEqual([each.get("id") for each in results], ids)
        self.assertTrue(all(each.find(f"{forward}forwarded") is not None for each in results))

    def test_export_of_others(self) -> None:
        """No administrator reads others' conversations by a client; everybody exports their own."""
        self.say("a")
        admin = Actor(JID.parse(ROMEO), ROLES["admin"])
        with self.assertRaisesRegex(Refused, "may not read the archives"):
            self.give("export", actor=admin, account=JULIET)
        self.assertEqual(len(self.give("export", actor=admin, account=ROMEO)), 3)

    def test_delete(self) -> None:
        """An archive is emptied, or loses what was before a moment, or one conversation."""
        self.say("a")
        self.say("b", to=NURSE)
        self.pass_days(1)
        self.say("c")
        moment = microseconds_of(done(self.archive.entries.page(ROMEO, ALL, 9))[1].position)
        self.assertGreater(moment, 0)
        self.give("delete", account=ROMEO, peer=NURSE)
        self.assertEqual(self.said(ROMEO), ["a", "c"])
        self.assertEqual(self.said(ROMEO, Selection(peer=NURSE)), [])
        self.give("delete", account=ROMEO, before="2023-11-15T00:00:00Z")
        self.assertEqual(self.said(ROMEO), ["c"])
        said = self.give("delete", account=ROMEO)
        self.assertEqual(said, [f"messages deleted from the archive of {ROMEO}: 1"])
        self.assertEqual(self.said(ROMEO), [])
        self.assertEqual(self.said(JULIET), ["a", "c"])
        with self.assertRaises(Refused):
            self.give("delete", account=ROMEO, before="yesterday")

    def test_check(self) -> None:
        """Damage is found: what is missing, and what is no message any more (QU-14)."""
        self.say("a", "b", "c")
        self.index()
        positions = [each.position for each in done(self.archive.entries.page(ROMEO, ALL, 9))]
        self.damage(f"DELETE FROM archive_stanzas WHERE position = {positions[0]}")
        self.damage(f"UPDATE archive_stanzas SET stanza = x'3c3c' WHERE position = {positions[1]}")
        *rows, last = self.give("check")
        self.assertEqual(last, "damaged messages: 4")
        shown = [columns_of(row) for row in rows if not isinstance(row, str)]
        self.assertEqual({row["account"] for row in shown}, {ROMEO, JULIET})
        self.assertEqual(sum(row["damage"] == "the message is missing" for row in shown), 2)
        ids = {self.archive.id_of(owner, at) for owner in (ROMEO, JULIET) for at in positions[:2]}
        self.assertEqual({row["id"] for row in shown}, ids)

    def damage(self, statement: str) -> None:
        """Change something behind the archive's back."""
        done(self.archive.database.write(lambda c: c.exec_driver_sql(statement).rowcount))


class ImportTests(ExpiryCase):
    def export(self, account: str) -> str:
        """A file with what an archive has."""
        path = str(self.mktemp())
        lines = map(str, self.give("export", account=account))
        Path(path).write_text("".join(lines), encoding="utf-8")
        return path

    def test_moved(self) -> None:
        """What was exported is there again, with its times and peers, under new ids (AR-15)."""
        self.say("a &lt; b", "c")
        self.say("d", to=NURSE)
        before = done(self.archive.entries.page(ROMEO, ALL, 10))
        path = self.export(ROMEO)
        self.give("delete", account=ROMEO)
        said = self.give("import", account=ROMEO, file=path)
        self.assertEqual(said, [f"messages added to the archive of {ROMEO}: 3"])
        after = done(self.archive.entries.page(ROMEO, ALL, 10))
        self.assertEqual([each.stanza for each in after], [each.stanza for each in before])
        self.assertEqual([each.flags for each in after], [each.flags for each in before])
        self.assertEqual(self.said(ROMEO, Selection(peer=NURSE)), ["d"])
        self.pass_days(1)
        self.say("e")
        self.assertEqual(self.said(ROMEO)[-1], "e")
        for then, now in zip(before, after, strict=True):
            late_us = microseconds_of(now.position) - microseconds_of(then.position)
            self.assertTrue(0 <= late_us < 10)

    def test_same_moments(self) -> None:
        """Messages of several people at the same moments do not get into each other's archives."""
        self.say("for Juliet")
        self.say("for the nurse", to=NURSE)
        files = {owner: self.export(owner) for owner in (JULIET, NURSE)}
        for _ in range(2):
            for owner, path in files.items():
                self.give("import", account=owner, file=path)
        self.assertEqual(self.said(JULIET), ["for Juliet"] * 3)
        self.assertEqual(self.said(NURSE), ["for the nurse"] * 3)
        self.assertEqual(self.give("check"), ["damaged messages: 0"])

    def test_many(self) -> None:
        """A long one is added in slices."""
        self.say(*map(str, range(450)))
        path = self.export(ROMEO)
        self.give("import", account=JULIET, file=path)
        self.assertEqual(len(self.said(JULIET)), 900)

    def test_former(self) -> None:
        """Who imports gets nothing of who had the name before (AR-14)."""
        self.say("secret")
        self.index()
        done(self.house.server.accounts.remove(JID.parse(JULIET)))
        self.house.add("juliet")
        self.pass_days(-1)
        self.say("a", to=NURSE)
        path = Path(self.export(NURSE))
        path.write_text(path.read_text().replace("nurse@", "juliet@"))
        self.pass_days(1)
        self.give("import", account=JULIET, file=str(path))
        self.assertEqual(self.said(JULIET), ["a"])

    def test_refused(self) -> None:
        """What is no file, no XML, or not of this account, is told; nobody names files by a
        client.
        """
        self.say("a")
        path = self.export(ROMEO)
        with self.assertRaisesRegex(Refused, "does not exist"):
            self.give("import", account=ROMEO, file=f"{path}.not")
        Path(f"{path}.cut").write_text(Path(path).read_text()[:-10] + "<&")
        with self.assertRaisesRegex(Refused, "malformed or incomplete XML"):
            self.give("import", account=ROMEO, file=f"{path}.cut")
        said = self.give("import", account=NURSE, file=path)
        self.assertEqual(
            said[1], f"messages skipped, because they are unreadable or not from or to {NURSE}: 1"
        )
        with self.assertRaisesRegex(Refused, "own machine"):
            actor = Actor(JID.parse(ROMEO), ROLES["admin"])
            self.give("import", actor=actor, account=ROMEO, file=path)
