"""People take their data along by a browser."""

from pathlib import Path
from xml.etree import ElementTree

from twisted.internet.defer import Deferred

from tests.plugins.account.account_case import ROMEO, ROOT, AccountCase
from tests.unit.migration.movers import TURNS
from xmppd.command.command_context import SHELL
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House
from xmppd_plugins.account import export as module

PIE = "{urn:xmpp:pie:0}"


class ExportTests(AccountCase):
    """The file of somebody's data (ON-5)."""

    def test_file(self) -> None:
        """Whoever gives the password has a file with their contacts, and with nobody else's; it
        moves in as it is.
        """
        self.tell("roster add", account=ROMEO, contact="juliet@montague.lit", mutual=True)
        self.log_in()
        answer = self.browser.post(f"{ROOT}export", {"current": PASSWORD})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertIn("romeo%40montague.lit.xml", answer.headers["Content-Disposition"])
        (user,) = ElementTree.fromstring(answer.body).iter(f"{PIE}user")
        self.assertEqual(user.get("name"), "romeo")
        self.assertIn("juliet@montague.lit", answer.text)
        self.assertEqual(answer.text.count("<user "), 1)
        there = House("montague.lit")
        path = Path(self.mktemp())
        path.write_bytes(answer.body)

        async def bring() -> list[object]:
            table = there.server.commands
            told = {"format": "xep0227", "source": str(path.absolute())}
            return [each async for each in table.replies(*table.asked("import", told, SHELL))]

        work = Deferred.fromCoroutine(bring())
        there.clock.pump([0.0] * TURNS)
        self.assertIn("imported 1 account", str(self.successResultOf(work)))
        self.assertTrue(done(there.server.auth_provider.check_password(ROMEO, PASSWORD)))

    def test_refused(self) -> None:
        """Nobody has it without the password, or without having logged in."""
        self.assertEqual(self.browser.post(f"{ROOT}export", {"current": PASSWORD}).status, 303)
        self.log_in()
        for wrong in ("", "guessed"):
            answer = self.browser.post(f"{ROOT}export", {"current": wrong})
            self.assertEqual(answer.status, 401)
            self.assertNotIn("<user", answer.text)

    def test_so_many(self) -> None:
        """So many are sent at the same time; one that is over makes room."""
        self.log_in()
        for _ in range(3):
            self.assertEqual(self.browser.post(f"{ROOT}export", {"current": PASSWORD}).status, 200)
        self.patch(module, "MAX_EXPORTS", 0)
        answer = self.browser.post(f"{ROOT}export", {"current": PASSWORD})
        self.assertEqual(answer.status, 429)
        self.assertIn("try again in a minute", answer.text)


__all__ = ["ExportTests"]
