"""Values of commands as cells: whatever the column, what others wrote is text."""

import re

from msgspec import json
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.console.console_case import HOSTILE
from xmppd.console.shown import Heard, as_csv, shown, value

COLUMNS = (
    "jid", "nick", "status", "state", "outcome", "software", "name", "file", "plugin", "message",
    "says", "reason", "arguments",
)  # fmt: skip
TAGS = {"ul", "li", "bdi", "span", "a"}


class HostileValueTests(SynchronousTestCase):
    def test_columns(self) -> None:
        """In each column, alone or as one of several, it is cut, isolated and not markup."""
        for column in COLUMNS:
            for name in HOSTILE:
                told = json.encode({"name": name}).decode()
                for found in (name, [name], told if column == "arguments" else name):
                    with self.subTest(column=column, name=name[:20]):
                        cell = str(value(column, found, href=f"/console/user?account={name}"[:90]))
                        self.assertNotIn("<script", cell)
                        self.assertLessEqual(set(re.findall(r"<(\w+)", cell)), TAGS)
                        self.assertNotIn("x" * 201, cell)
                        self.assertIn("<bdi>", cell)
                        for turn in "\u202e\u2066":
                            self.assertNotIn(turn, cell.partition("<bdi>")[2])

    def test_file(self) -> None:
        """In a file nothing begins what a spreadsheet would compute, and headings are ours."""
        answer = Heard([dict.fromkeys(COLUMNS, name) for name in HOSTILE])
        text = as_csv(answer).decode()
        self.assertNotRegex(text, r'(?m)(^|,)"?[=+@-]')
        self.assertEqual(len(shown(answer).lines), len(HOSTILE))
