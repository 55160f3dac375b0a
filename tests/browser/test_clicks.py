"""The clicks of each task in the console are as many as the manual says, and never more than there.

A way is written with ``>`` between its steps: what is clicked; ``?romeo`` for a search, and
``Name=value`` for a field, which are typed; ``[text] End…`` for what is in a row with this text.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from select import select

from playwright.sync_api import Locator, Page, expect

from tests.browser.browser_case import PATIENCE_MS
from tests.browser.test_console import ConsoleCase, started
from xmppd.testing.process import ServerProcess

MANUAL = Path(__file__).parents[2] / "docs" / "console.md"

WAYS: dict[str, tuple[str, str]] = {
    "accounts: list": ("Users", "romeo@localhost"),
    "one account, found by its name": ("?romeo", "Last login"),
    "account: add": ("Users > Add > Account=paris@localhost > Password=x > Add", "was added"),
    "account: another password": ("?paris > Password > Password=y > Password", "changed"),
    "account: disable": ("?paris > Disable > Disable", "disabled"),
    "account: disable until a time": (
        "?paris > Disable > Until=2030-10-31T12:00 > Disable", "until 2030-10-31T12:00:00Z",
    ),
    "account: delete": ("?paris > Delete… > Delete", "deleted"),
    "name and e-mail address of an account": (
        "?romeo > Set: vCard > Name=Romeo M. > Email=romeo@x.lit > Set", "romeo@x.lit",
    ),
    "contacts of an account": ("?romeo", "Contacts"),
    "contact: add": ("?romeo > Add: Contacts > Contact=juliet@localhost > Add", "juliet@localhost"),
    "contact: remove": ("?romeo > [juliet@localhost] Remove > Remove", "removed"),
    "messages that wait": ("?juliet", "Messages that wait"),
    "messages that wait: delete all": (
        "?juliet > Delete…: Messages that wait > ID=all > Delete… > Delete", "deleted",
    ),
    "shared groups: list": ("Groups", "Shared groups"),
    "shared group: make": ("Groups > Save > Group=watch > Save", "watch"),
    "shared group: change": ("Groups > [watch] Save > Display=The watch > Save", "watch"),
    "shared group: delete": ("Groups > [watch] Delete… > Delete", "deleted"),
    "shared group: add a member": (
        "?romeo > Join: Shared groups > Group=feast > Join", "is in the group feast",
    ),
    "addresses that an account has blocked": ("?romeo", "spam.example"),
    "sessions: list": ("Sessions", "romeo@localhost/orchard"),
    "session: details": ("Sessions > [orchard] Show", "Mechanism"),
    "session: end": ("Sessions > [orchard] End… > End", "ended 1 session"),
    "message to everyone online": ("Sessions > Announce > Text=hear! > Announce", ""),
    "streams with other servers": ("Other servers", "Streams with other servers"),
    "components": ("Components", "conference.localhost"),
    "rooms: list": ("Rooms", "hall@conference.localhost"),
    "room: details": ("Rooms > [hall] Show", "hall"),
    "room: make": (
        "Rooms > Create > Room=den@conference.localhost > Owner=romeo@localhost > Create", "den",
    ),
    "room: affiliation": (
        "Rooms > [hall] Affiliation > Person=juliet@localhost > Affiliation=admin > Affiliation",
        "juliet",
    ),
    "room: destroy": ("Rooms > [hall] Destroy… > Destroy", "destroyed"),
    "how the server is": ("", "Messages"),
    "all numbers, with caches and database": ("Numbers", "store_seconds"),
    "what is in the database": ("Data", "What the database holds"),
    "properties: list": ("Configuration", "log.level"),
    "property: change": ("Configuration > +[log]level = \"info\" > Plan > Apply", "log.level"),
    "log": ("Log", "Warnings and errors"),
    "who changed what": ("Audit", "user add"),
    "certificates": ("Certificates", "localhost"),
    "plugins: list": ("Plugins", "vcard4"),
    "plugin: reload": ("Plugins > [vcard4] Reload", "was reloaded"),
    "plugin: take out": ("Plugins > [vcard4] Unload", "unloaded"),
    "nodes": ("Nodes", "Sessions"),
    "server: stop": ("This server > Stop… > Stop", ""),
}  # fmt: skip
"""Each task with its way from the overview, and what is there at its end."""


class ClicksTests(ConsoleCase):
    def console(self) -> ServerProcess:
        """A server of its own, since it is stopped."""
        return started()

    def furnish(self) -> None:
        """What the tasks are about."""
        for command, told in (
            ("room create", {"room": "hall@conference.localhost", "owner": "romeo@localhost"}),
            ("roster add", {"account": "romeo@localhost", "contact": "capulet@localhost"}),
            ("group save", {"group": "feast"}),
            ("block add", {"account": "romeo@localhost", "jid": "spam.example"}),
        ):
            self.server.tell(command, **told)
        romeo = self.client("romeo", "orchard")
        romeo.send(b"<message to='juliet@localhost' type='chat'><body>soft</body></message>")
        romeo.send(b"<iq type='get' id='r'><ping xmlns='urn:xmpp:ping'/></iq>")
        romeo.until(b"id='r'")

    def test_as_the_manual_says(self) -> None:
        """Each task takes as many clicks as its row has, and other consoles need no fewer."""
        self.furnish()
        page = self.page()
        rows = dict(self.rows())
        self.assertEqual(list(WAYS), list(rows))
        for task, (way, end) in WAYS.items():
            page.goto(self.root)
            clicks = sum(self.step(page, step) for step in filter(None, way.split(" > ")))
            if end:
                expect(page.locator("main")).to_contain_text(end)
            there, here = rows[task]
            self.assertEqual(clicks, here, task)
            for other in there:
                self.assertLessEqual(here, other, task)
        ended = os.pidfd_open(self.server.pid)
        self.addCleanup(os.close, ended)
        self.assertTrue(select([ended], [], [], PATIENCE_MS / 1_000)[0], "it has not stopped")
        self.wrong = [each for each in self.wrong if "ERR_CONNECTION" not in each]

    def rows(self) -> Iterator[tuple[str, tuple[list[int], int]]]:
        """The tasks of the manual, each with the clicks of the others and here."""
        text = MANUAL.read_text(encoding="utf-8").partition("## Clicks")[2].partition("\n## ")[0]
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == 4 and cells[3].isdigit():
                others = [int(cell) for cell in cells[1:3] if cell.isdigit()]
                yield cells[0], (others, int(cells[3]))

    def step(self, page: Page, step: str) -> int:
        """Take a step; returns how many clicks that was."""
        if step.startswith("?"):
            page.get_by_role("searchbox", name="Find a user").fill(step[1:])
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_contain_text(f"{step[1:]}@localhost")
            return 0
        if step.startswith("+"):
            text = page.get_by_label("xmppd.toml")
            table, key = step[1:].split("]", 1)
            text.fill(f"{text.input_value()}\n{table}]\n{key}\n")
            return 0
        if re.fullmatch(r"\w[\w ]*=.*", step):
            self.fill(page, *step.split("=", 1))
            return 0
        row, name = re.fullmatch(r"(?:\[(.*)\] )?(.*)", step).groups()  # type: ignore[union-attr]
        within = page.locator("tr", has_text=row).first if row else page
        self.button(within, name).click()
        return 1

    def fill(self, page: Page, label: str, value: str) -> None:
        """Fill in a field."""
        field = page.locator("main").get_by_label(label, exact=True)
        if field.evaluate("(each) => each.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)

    def button(self, within: Page | Locator, name: str) -> Locator:
        """What has this name: in the page before the menu."""
        places = [within.locator("main"), within.locator("body")]
        for place in places if isinstance(within, Page) else [within]:
            for found in (
                place.get_by_role("button", name=name, exact=True),
                place.get_by_role("link", name=name, exact=True),
            ):
                if found.count():
                    return found.first
        raise AssertionError(f"nothing is called {name} at {within}")


__all__ = ["ClicksTests"]
