"""The manual of commands and options, and what shells complete."""

import ast
import os
import pty
import select
import subprocess
from pathlib import Path
from typing import IO

from twisted.trial.unittest import SynchronousTestCase

from xmppd.ctl import client, main
from xmppd.ctl.commands import DECLARED
from xmppd.ctl.finding_codes import codes
from xmppd.ctl.manual import CODES, commands_page
from xmppd.manual import PAGES
from xmppd.stanza import Condition

ROOT = Path(__file__).parents[3]

SHOWN_WITHIN_S = 60.0


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

    def test_fish(self) -> None:
        """So does fish, which asks with all words, the last of which is being written."""
        place, asked = self.xmppctl()
        script = f"source {ROOT}/etc/completion/xmppctl.fish; complete -C 'xmppctl user show ro'"
        found = subprocess.run(
            ["fish", "--no-config", "-c", script],
            check=True, capture_output=True, text=True, env=self.environment(place),
        ).stdout.split()  # fmt: skip
        self.assertEqual(found, ["romeo@verona.lit", "rosaline@verona.lit"])
        self.assertEqual(asked.read_text(), "--complete|user|show|ro\n")

    def test_zsh(self) -> None:
        """And zsh, as somebody types at a terminal: what a tab makes of the line is what is run."""
        place, asked = self.xmppctl()
        (place / ".zshrc").write_text(
            f"fpath=({ROOT}/etc/completion $fpath); autoload -Uz compinit; compinit -u -D\n"
            "PS1='what now? '\n"
        )
        ours, theirs = pty.openpty()
        shell = subprocess.Popen(
            ["zsh", "-d", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, env=self.environment(place) | {"ZDOTDIR": str(place)},
        )  # fmt: skip
        os.close(theirs)
        self.addCleanup(shell.kill)
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            read_until(terminal, b"what now? ")
            terminal.write(b"xmppctl user show rom\t\rexit\r")
            read_until(terminal, None)
        self.assertEqual(shell.wait(), 0)
        self.assertEqual(
            asked.read_text(), "--complete|user|show|rom\nuser|show|romeo@verona.lit\n"
        )

    def xmppctl(self) -> tuple[Path, Path]:
        """A directory with a program of this name, and the file in which it writes its words."""
        place = Path(self.mktemp())
        place.mkdir()
        asked = place.absolute() / "asked"
        (place / "xmppctl").write_text(
            f"#!/bin/sh\n(IFS='|'; echo \"$*\" >>{asked})\n"
            f"last=$(tail -n 1 {asked}); last=${{last##*|}}\n"
            '[ "$1" = --complete ] || exit 0\n'
            "for word in romeo@verona.lit rosaline@verona.lit; do\n"
            '    case $word in "$last"*) echo $word ;; esac\n'
            "done\n"
        )
        (place / "xmppctl").chmod(0o755)
        return place.absolute(), asked

    def environment(self, place: Path) -> dict[str, str]:
        """One in which that program is found, and nothing of whoever runs the tests."""
        return {"PATH": f"{place}:{os.environ['PATH']}", "HOME": str(place), "TERM": "xterm"}


def read_until(terminal: IO[bytes], wanted: bytes | None) -> None:
    """Read what a terminal shows until something is there; None for its end."""
    shown = b""
    while wanted is None or wanted not in shown:
        if not select.select([terminal], [], [], SHOWN_WITHIN_S)[0]:
            raise AssertionError(f"it waits, and shows {shown!r}")
        try:
            more = terminal.read(4_096)
        except OSError:  # nobody is at the other end
            more = b""
        if not more:
            assert wanted is None, shown
            return
        shown += more
