"""The manual of commands and options, and what shells complete."""

import ast
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.ctl import client, main
from xmppd.ctl.commands import DECLARED
from xmppd.ctl.finding_codes import codes
from xmppd.ctl.manual import CODES, commands_page
from xmppd.manual import PAGES
from xmppd.stanza import Condition

ROOT = Path(__file__).parents[3]


class ManualTests(SynchronousTestCase):
    def test_written(self) -> None:
        """The manual says what the program does; `python -m xmppd.manual` writes it."""
        for name, page in PAGES.items():
            with self.subTest(name):
                self.assertEqual((ROOT / name).read_text(encoding="utf-8"), page())

    def test_commands(self) -> None:
        """Each command is there, with each field of its rows."""
        page = commands_page()
        for name, declared in DECLARED.items():
            part = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
            for row in declared.rows:
                for field in row.__struct_encode_fields__:
                    self.assertIn(f"| `{field}` |", part)

    def test_codes(self) -> None:
        """Every word that an error may have is explained: stanza errors, and those of xmppctl."""
        known = {condition.tag for condition in Condition} | {"incomplete"}
        for module in (client, main):
            tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                if ast.unparse(call.func) in ("Failed", "super().__init__") and len(call.args) > 1:
                    word = call.args[1]
                    known |= {str(word.value)} if isinstance(word, ast.Constant) else set()
        self.assertIn("no-server", known)
        self.assertEqual(set(CODES), known)

    def test_findings(self) -> None:
        """So is every word of what explain and status find, with those of plugins."""
        page = commands_page()
        for command, code in (
            ("explain presence", "strangers"),
            ("explain presence", "owner_unreachable"),
            ("explain message", "quota"),
            ("explain message", "held"),
            ("explain login", "locked"),
            ("explain session", "ended"),
            ("status", "store-fails"),
            ("explain message, plugin carbons", "copied"),
        ):
            self.assertIn(f"| `{command}` | `{code}` | ", page)
        self.assertLess(len([each for each in codes() if each.says == "…"]), 5)

    def test_roff(self) -> None:
        """The pages for man are read without a complaint."""
        for name in ("etc/man/xmppctl.1", "etc/man/xmppd.1", "etc/man/xmppd.toml.5"):
            for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
                if line[:1] in (".", "'"):
                    self.assertRegex(line, r'^\.(\\"|TH|SH|SS|TP|B|BR|I|RS|RE|br)( |$)')


class CompletionFileTests(SynchronousTestCase):
    def test_bash(self) -> None:
        """Bash offers what xmppctl says, also behind a character at which it breaks words."""
        script = f"""
            xmppctl() {{ printf 'romeo@verona.lit\\nrosaline@verona.lit\\n'; }}
            . {ROOT}/etc/completion/xmppctl
            COMP_LINE='xmppctl user show romeo@ver' COMP_POINT=27
            _xmppctl xmppctl ver @
            printf '%s\\n' "${{COMPREPLY[0]}}"
            COMP_LINE='xmppctl user show ro' COMP_POINT=20
            _xmppctl xmppctl ro show
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        found = subprocess.run(
            ["bash", "-c", script], check=True, capture_output=True, text=True
        ).stdout.split()
        self.assertEqual(found, ["verona.lit", "romeo@verona.lit", "rosaline@verona.lit"])
