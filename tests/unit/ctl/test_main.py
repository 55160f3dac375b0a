"""xmppctl's command line and what it prints."""

import contextlib
import getpass
import json
import os
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.kinds import Choice, Number
from xmppd.command.refused import Refused
from xmppd.ctl import main as main_module
from xmppd.ctl.command_line import given, parser
from xmppd.ctl.commands import DESCRIPTIONS
from xmppd.ctl.completion import completions, words_of
from xmppd.ctl.main import understood
from xmppd.ctl.printer import ROWS_AT_ONCE, JSONPrinter, Printer, printer, shown

OURS = parser(DESCRIPTIONS.values())
HEAVY = ("xmppd.server", "sqlalchemy", "alembic", "cryptography", "twisted.internet.reactor")


class CompletionTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Words of commands, then options, then choices; only what may stand there."""
        for line, found in (
            ("xmppctl us", ["user"]),
            ("xmppctl user del", ["delete"]),
            ("xmppctl --json user del", ["delete"]),
            ("xmppctl --config user user en", ["enable"]),
            ("xmppctl db quarantine s", ["show"]),
            ("xmppctl user list --s", ["--state"]),
            ("xmppctl user list --state ", ["disabled", "registered"]),
            ("xmppctl user list --state disabled --s", []),
            ("xmppctl user add --s", ["--stdin"]),
            ("xmppctl session end romeo@x.lit --r", ["--reason", "--revoke"]),
            ("xmppctl key add deploy --scope accounts:r", ["accounts:read"]),
            ("xmppctl key add --scope accounts:read --scope s2s:", ["s2s:read", "s2s:write"]),
            ("xmppctl user delete --dry", ["--dry-run"]),
            ("xmppctl user delete --dry-run ", []),
            ("xmppctl nothing ", []),
            ("xmppctl user delete 'rom", []),
            ("xmppctl --j", ["--json"]),
            ("xmppctl stop ", []),
        ):
            with self.subTest(line):
                self.assertEqual(completions(words_of(line), DESCRIPTIONS.values()), found)
        self.assertIn("status", completions(words_of("xmppctl "), DESCRIPTIONS.values()))

    def test_choice_that_is_required(self) -> None:
        """A word that has to be one of a few is offered in its place."""
        about = Description(
            "room affiliation", "", (Argument("room", ""), Argument("rank", "", Choice(("a", "b"))))
        )
        self.assertEqual(completions(words_of("xmppctl room affiliation x "), [about]), ["a", "b"])
        self.assertEqual(completions(words_of("xmppctl room affiliation "), [about]), [])

    def test_asked(self) -> None:
        """Bash asks by the environment, and the server is asked for all of its commands."""
        asked = []

        def describe(path: Path, words: str) -> list[Description]:
            asked.append(words)
            return [Description("guest leave", "go")]

        self.patch(main_module, "describe", describe)
        self.patch(main_module, "_socket", lambda options: Path("socket"))
        self.patch(sys, "argv", ["xmppctl", "xmppctl", "gu", "xmppctl"])
        self.patch(os, "environ", {"COMP_LINE": "xmppctl gu -- and more", "COMP_POINT": "10"})
        out = StringIO()
        with contextlib.redirect_stdout(out):
            main_module.main()
        self.assertEqual((asked, out.getvalue()), ([""], "guest\n"))


class CommandLineTests(SynchronousTestCase):
    def test_every_command(self) -> None:
        """Each command of the table is understood, options before and behind it."""
        for name, about in DESCRIPTIONS.items():
            with self.subTest(name):
                required = [a for a in about.arguments if a.required and not a.secret]
                words = [*name.split(), *("x" for _ in required)]
                for line in (["--json", *words], [*words, "--json"]):
                    options = OURS.parse_args([*line, "--config", "f.toml"])
                    self.assertIs(options.command, about)
                    self.assertTrue(options.json)
                    self.assertEqual(str(options.config), "f.toml")

    def test_commands_of_plugins(self) -> None:
        """What a server says of a plugin's commands is understood like our own."""
        arguments = (Argument("book", "100% leather"), Argument("--times", "", Number(1, 9)))
        signed = Description("guest book sign", "sign 100%", arguments)
        line = ["guest", "book", "sign", "red", "--times", "2", "--json"]
        options = parser([signed, Description("guest leave", "go")]).parse_args(line)
        self.assertIs(options.command, signed)
        self.assertEqual(given(signed, options), {"book": "red", "times": "2"})
        out = StringIO()
        with contextlib.redirect_stdout(out):
            self.assertRaises(SystemExit, parser([signed]).parse_args, ["guest", "book", "-h"])
        self.assertIn("sign 100%", out.getvalue())

    def test_who_knows(self) -> None:
        """The server is asked for the commands of the first word, a plugin's among them; what it
        does not know is one of ours, or not understood.
        """
        greet = Description("user greet", "greet")
        server_has = [DESCRIPTIONS["user add"], greet]
        asked: list[str] = []

        def describe(path: Path, words: str) -> list[Description]:
            asked.append(words)
            return server_has if words == "user" else []

        self.patch(main_module, "describe", describe)
        self.patch(main_module, "_socket", lambda options: Path())
        for line, about in (
            (["--json", "user", "greet"], greet),
            (["user", "add", "romeo"], server_has[0]),
            (["user", "delete", "romeo"], DESCRIPTIONS["user delete"]),
            (["status"], DESCRIPTIONS["status"]),
        ):
            self.assertIs(understood(line).command, about)
        self.assertEqual(asked, ["user", "user", "user", "status"])
        with contextlib.redirect_stderr(StringIO()) as err:
            self.assertRaises(SystemExit, understood, ["user", "gret"])
        self.assertIn("invalid choice: 'gret'", err.getvalue())

    def test_quick(self) -> None:
        """What the server knows is asked of it without loading what does it."""
        code = "import sys, xmppd.ctl.main; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
        self.assertEqual([name for name in HEAVY if name in loaded], [])

    def test_several(self) -> None:
        """What may be given more than once is a list, whether it may be left out or not."""
        for words, key in (
            (["user", "delete", "romeo", "juliet"], "account"),
            (["group", "save", "g", "--add", "romeo", "--add", "juliet"], "add"),
        ):
            options = OURS.parse_args(words)
            self.assertEqual(given(options.command, options)[key], ["romeo", "juliet"])

    def test_passwords(self) -> None:
        """A password has no place on the command line, where others could see it."""
        with contextlib.redirect_stderr(StringIO()):
            error = self.assertRaises(
                SystemExit, OURS.parse_args, ["user", "add", "romeo", "secret"]
            )
        self.assertEqual(error.code, 2)
        options = OURS.parse_args(["user", "add", "romeo", "--stdin"])
        self.assertTrue(options.stdin)


class SecretTests(SynchronousTestCase):
    """How xmppctl comes by a password."""

    def given(self, *words: str) -> object:
        options = OURS.parse_args(["user", "add", "romeo", *words])
        return given(options.command, options)["password"]

    def asked(self, *answers: str) -> object:
        remaining = iter(answers)
        self.patch(getpass, "getpass", lambda prompt: next(remaining))
        self.patch(sys, "stdin", Terminal())
        return self.given()

    def test_asked(self) -> None:
        """Somebody at a terminal types it twice."""
        self.assertEqual(self.asked("rose", "rose"), "rose")
        self.assertIn("differ", str(self.assertRaises(Refused, self.asked, "rose", "nose")))

    def test_stdin(self) -> None:
        """A program writes it on a line."""
        self.patch(sys, "stdin", stdin(b"a rose \nand more"))
        self.assertEqual(self.given("--stdin"), "a rose ")

    def test_not_unicode(self) -> None:
        """What is not UTF-8 is refused in a sentence, wherever it comes from."""
        self.patch(sys, "stdin", stdin("rosé\n".encode("latin-1")))
        refused = self.assertRaises(Refused, self.given, "--stdin")
        self.assertIn("the password is not written in UTF-8", str(refused))
        options = OURS.parse_args(["roster", "add", "romeo", "x@y", "--group", "ros\udce9"])
        refused = self.assertRaises(Refused, given, options.command, options)
        self.assertIn("the group is not written in UTF-8", str(refused))

    def test_nobody(self) -> None:
        """Without a terminal nobody is waited for."""
        self.patch(sys, "stdin", stdin(b"rose"))
        self.assertIn("--stdin", str(self.assertRaises(Refused, self.given)))


def stdin(data: bytes) -> TextIOWrapper:
    """A pipe that something was written into."""
    return TextIOWrapper(BytesIO(data))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class PrinterTests(SynchronousTestCase):
    def printed(self, *replies: object) -> list[str]:
        out = StringIO()
        printer = Printer(out)
        for reply in replies:
            printer.take(reply)  # type: ignore[arg-type]
        printer.finish()
        return out.getvalue().splitlines()

    def test_table(self) -> None:
        """Rows stand under each other, and a sentence behind them."""
        self.assertEqual(
            self.printed({"a": "long value", "b": True}, {"a": None, "b": 3}, "that is all"),
            ["a           b", "long value  yes", "-           3", "that is all."],
        )

    def test_wide_row(self) -> None:
        """One row with many columns is a list."""
        row = {f"key{number}": number for number in range(8)}
        self.assertEqual(self.printed(row)[0], "key0  0")

    def test_many_rows(self) -> None:
        """A long table is printed as it comes, with one heading."""
        lines = self.printed(*({"n": number} for number in range(ROWS_AT_ONCE + 2)))
        self.assertEqual(len(lines), ROWS_AT_ONCE + 3)
        self.assertEqual(lines.count("n"), 1)

    def test_terminal_is_safe(self) -> None:
        """What a user wrote cannot move the administrator's cursor."""
        self.assertEqual(shown("a\x1b[2J\nb"), "a\\x1b[2J\\nb")
        self.assertEqual(shown("Ромео"), "Ромео")

    def test_every_way_is_safe(self) -> None:
        """As table, sentence, note or JSON: none writes a control character or turns the text."""
        text = "a\x1b[2J\x9b31m\u202eb\ud800\U000e0041"
        for answers in ("table", "sentences"):
            for as_json in (False, True):
                with self.subTest(answers, as_json=as_json):
                    out = StringIO()
                    paper = printer(out, answers, json=as_json)
                    paper.take({"says": text})
                    paper.take(text)
                    paper.finish()
                    self.assertTrue(out.getvalue().replace("\n", "").isprintable())
                    if as_json:
                        row, note = map(json.loads, out.getvalue().splitlines())
                        self.assertEqual((row["says"], note["note"]), (text, text))

    def test_sentences(self) -> None:
        """Where a row has a sentence, people get that."""
        out = StringIO()
        paper = printer(out, "sentences", json=False)
        paper.take({"code": "sees", "says": "she sees\x1b him."})
        paper.take("that is all")
        paper.finish()
        self.assertEqual(out.getvalue(), "she sees\\x1b him.\nthat is all.\n")
        self.assertIsInstance(printer(out, "sentences", json=True), JSONPrinter)
        self.assertIsInstance(printer(out, "table", json=False), Printer)

    def test_json(self) -> None:
        """Programs get an object a line."""
        out = StringIO()
        printer = JSONPrinter(out)
        printer.take({"a": ["x"]})
        printer.take("done")
        printer.finish()
        self.assertEqual(out.getvalue(), '{"a": ["x"]}\n{"note": "done"}\n')
