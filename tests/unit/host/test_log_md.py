"""The manual's list of what the log says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.log_lines import event_name

ROOT = Path(__file__).parents[3]
LEVELS = ("info", "warn", "error", "critical", "failure")
_SAID = re.compile(r"\{(\w+)")


def rows() -> Iterator[str]:
    """A row for each sentence that is logged, as the manual has it."""
    for root in ("xmppd", "plugins"):
        for path in sorted((ROOT / root).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                by, level = node.func.value, node.func.attr
                if not (isinstance(by, ast.Name) and by.id == "_log" and level in LEVELS):
                    continue
                said = node.args[0]
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    yield row(said.value, level)


def row(sentence: str, level: str) -> str:
    """One row."""
    fields = {*_SAID.findall(sentence)} | ({"trace"} if level == "failure" else set())
    shown = ", ".join(f"`{field}`" for field in sorted(fields))
    level = "critical" if level == "failure" else level
    return f"| `{event_name(sentence)}` | {level} | {shown} |"


class ManualTests(SynchronousTestCase):
    def test_every_event(self) -> None:
        """The manual has each event with its fields, and none that there is not."""
        text = (ROOT / "docs" / "log.md").read_text()
        listed = re.findall(r"^\| `.*$", text.partition("## All events")[2], re.MULTILINE)
        self.assertEqual(listed, sorted(set(rows())), "docs/log.md")
        self.assertGreater(len(listed), 100)
