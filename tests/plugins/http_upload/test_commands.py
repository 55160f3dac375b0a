"""Administrators and owners look after files."""

from tests.plugins.http_upload.upload_case import UploadCase
from xmppd.command.command_context import SHELL
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.testing.client import done
from xmppd_plugins.http_upload.commands import UploadRow, UploadSizesRow


class CommandTests(UploadCase):
    def give(self, name: str, **given: str) -> list[Reply]:
        """What a command says."""
        commands = self.house.server.commands
        asked = commands.asked(name, given, SHELL)

        async def read() -> list[Reply]:
            return [reply async for reply in commands.replies(*asked)]

        return done(read())

    def rows(self) -> list[UploadRow]:
        """The files of Romeo."""
        found = self.give("upload list", account="romeo@montague.lit")
        return [row for row in found if isinstance(row, UploadRow)]

    def test_list_and_delete(self) -> None:
        """Files are listed, and one or all are deleted."""
        given = self.upload("a.png", b"xyz", type="image/png")
        self.house.clock.advance(1)
        self.upload("b", b"x")
        first, second = self.rows()
        self.assertEqual((first.name, first.type, first.bytes), ("a.png", "image/png", 3))
        self.assertEqual((second.name, second.type, second.bytes), ("b", "", 1))
        self.assertIn(first.id, given.get)
        self.give("upload delete", account="romeo@montague.lit", id=first.id)
        self.assertEqual((self.get(given).status, len(self.rows())), (404, 1))
        error = self.assertRaises(
            Refused, self.give, "upload delete", account="romeo@montague.lit", id="x"
        )
        self.assertEqual(str(error), "romeo@montague.lit has no file x")
        self.give("upload delete", account="romeo@montague.lit", id="all")
        self.assertEqual((self.rows(), self.files()), ([], []))

    def test_sizes(self) -> None:
        """Files are added up, and where they are is said with it."""
        self.upload("a", b"xyz")
        self.assertEqual(self.give("upload sizes"), [UploadSizesRow(3, str(self.directory))])

    def test_counted(self) -> None:
        """What was uploaded is counted."""
        self.upload("a", b"xyz")
        counted = dict(self.house.server.metrics.numbers())
        self.assertEqual((counted["uploads"], counted["upload_bytes"]), (1, 3))
