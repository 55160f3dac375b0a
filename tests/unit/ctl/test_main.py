"""xmppctl's command line: what it takes out itself, what is read of the rest, and what it costs."""

import contextlib
import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.argument import Argument
from xmppd.command.command import Description
from xmppd.command.exit_status import NO_SERVER, NOT_UNDERSTOOD, REFUSED
from xmppd.command.kinds import Choice, Document, Number
from xmppd.command.refused import Refused
from xmppd.ctl import main as main_module
from xmppd.ctl.client import Failed
from xmppd.ctl.command_line import CommandLine, WantedCommand
from xmppd.ctl.commands import DESCRIPTIONS
from xmppd.ctl.completion import place_of
from xmppd.ctl.main import Typed, secret, words_of

ROOT = Path(__file__).parents[3]
OURS = CommandLine(DESCRIPTIONS)
HEAVY = ("twisted", "msgspec", "sqlalchemy", "cryptography", "lxml", "argparse", "pathlib",
         "asyncio", "inspect", "logging", "xmppd.stanza", "xmppd.config", "xmppd.server",
         "wcwidth")  # fmt: skip


def asked(*words: str, line: CommandLine = OURS) -> WantedCommand:
    """The command that some words ask for."""
    found = line.read(words, 80)
    assert isinstance(found, WantedCommand)
    return found


class CompletionTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Words of commands, then options, then choices; only what may stand there."""
        for line, found in (
            ("xmppctl us", ["user"]),
            ("xmppctl user del", ["delete"]),
            ("xmppctl user --json del", ["delete"]),
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
                self.assertEqual(offered(line), found)
        self.assertIn("status", offered("xmppctl "))

    def test_choice_that_is_required(self) -> None:
        """A word that has to be one of a few is offered in its place."""
        about = Description(
            "room affiliation", "", (Argument("room", ""), Argument("rank", "", Choice(("a", "b"))))
        )
        self.assertEqual(offered("xmppctl room affiliation x ", about), ["a", "b"])
        self.assertEqual(offered("xmppctl room affiliation ", about), [])

    def test_asked(self) -> None:
        """Bash asks by the environment, and the server is asked for all of its commands."""
        asked = []

        def answers(path: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
            asked.append((path, request["words"], request["complete"]))
            yield {"note": "guest"}
            yield {"done": True}

        self.patch(main_module, "answers", answers)
        self.patch(sys, "argv", ["xmppctl", "xmppctl", "gu", "xmppctl"])
        self.patch(
            os, "environ", {"COMP_LINE": "xmppctl --data d gu -- and more", "COMP_POINT": "19"}
        )
        out = StringIO()
        with contextlib.redirect_stdout(out):
            self.assertRaises(SystemExit, main_module.main)
        self.assertEqual(asked, [("d/xmppctl.sock", ["gu"], True)])
        self.assertEqual(out.getvalue(), "guest\n")


def offered(line: str, *descriptions: Description) -> list[str]:
    """The words that may end a line, as far as descriptions tell."""
    words = words_of(line)
    place = place_of(words, descriptions or DESCRIPTIONS.values())
    choices = () if place.kind is None else place.kind.choices
    return sorted(word for word in {*place.words, *choices} if word.startswith(words[-1]))


class TypedTests(SynchronousTestCase):
    """The options that xmppctl takes out itself."""

    def test_own(self) -> None:
        """They may stand anywhere; what follows two dashes is nobody's option."""
        for line in (
            ["--json", "user", "list", "--columns", "account", "--data=d"],
            ["user", "--data", "d", "list", "--columns=account", "--json"],
        ):
            typed = Typed(line)
            self.assertEqual(typed.words, ["user", "list"])
            self.assertEqual((typed.json, typed.data, typed.columns), (True, "d", ["account"]))
        self.assertEqual(Typed(["x", "--", "--json"]).words, ["x", "--", "--json"])
        self.assertRaises(Failed, Typed, ["user", "list", "--config"])

    def test_data_directory(self) -> None:
        """It is read from the configuration, whatever else is wrong in that."""
        path = Path(self.mktemp())
        path.write_text('data = "there"\n[nonsense]\n')
        self.assertEqual(
            Typed(["--config", str(path)]).socket(),
            f"{path.absolute().parent}/there/xmppctl.sock",
        )
        path.write_text("data =")
        self.assertIn(
            "is not valid TOML",
            str(self.assertRaises(Failed, main_module.data_directory, str(path))),
        )

    def test_no_directory(self) -> None:
        """Who stands in a directory that is gone is told so, and may name files from the root."""
        here, gone = Path.cwd(), Path(self.mktemp())
        gone.mkdir()
        os.chdir(gone)
        self.addCleanup(os.chdir, here)
        gone_path = here / gone
        gone_path.rmdir()
        self.assertEqual(main_module.absolute("/etc/xmppd.toml"), "/etc/xmppd.toml")
        error = self.assertRaises(Failed, main_module.absolute, "run/xmppd.toml")
        self.assertIn("the current directory no longer exists", str(error))
        self.assertEqual(Typed([]).config, "/etc/xmppd/xmppd.toml")


class CommandLineTests(SynchronousTestCase):
    def test_every_command(self) -> None:
        """Each command of the table is understood, with what it requires and no more; each has
        help.
        """
        for name, about in DESCRIPTIONS.items():
            with self.subTest(name):
                required = [a for a in about.arguments if a.required and not a.secret]
                words = [*name.split(), *((*a.kind.choices, "/dev/null")[0] for a in required)]
                self.assertIs(asked(*words).about, about)
                if not any(
                    argument.most > 1 or argument.kind.optional for argument in about.arguments
                ):
                    self.assertRaises(Refused, asked, *words, "too much")
                text = OURS.read([*name.split(), "--help"], 80)
                assert isinstance(text, str)
                self.assertLessEqual(max(map(len, text.splitlines())), 80)
                for argument in about.arguments:
                    shown = "FILE" if isinstance(argument.kind, Document) else argument.name
                    self.assertIn("--stdin" if argument.secret else shown, text)

    def test_values(self) -> None:
        """Options have their values behind a blank or an equals sign, anywhere behind the words."""
        arguments = (Argument("book", "100% leather"), Argument("--times", "", Number(1, 9)))
        about = Description("guest book sign", "sign", arguments)
        line = CommandLine({about.name: about})
        for words in (["red", "--times", "2"], ["--times=2", "red"], ["--times", "2", "--", "red"]):
            found = asked("guest", "book", "sign", *words, line=line)
            self.assertEqual(found.given, {"book": "red", "times": "2"})
        self.assertEqual(
            asked("guest", "book", "sign", "--", "--times", line=line).given, {"book": "--times"}
        )

    def test_not_understood(self) -> None:
        """What is wrong is said in a sentence, with what is near or may be said."""
        for words, why in (
            (["dance"], '"dance" is not a command; xmppctl --help lists the commands'),
            (["user", "liste"], '"user liste" is not a command; try: xmppctl user list'),
            (["user"], "xmppctl user needs a command: add, delete"),
            (["user", "show"], "account is missing; usage: xmppctl user show account …"),
            (["user", "list", "--stat", "x"], "user list has no option --stat; try --state"),
            (["user", "list", "--state"], "--state needs a value"),
            (["user", "list", "--rows", "1", "--rows", "2"], "--rows may be given only once"),
            (["user", "list", "romeo"], 'unexpected argument "romeo"; usage: xmppctl user list'),
            (["user", "delete", "romeo", "--dry-run=no"], "--dry-run takes no value"),
            (
                ["user", "add", "a@x.lit", "b@x.lit"],
                'unexpected argument "b@x.lit"; usage: xmppctl',
            ),
            (["user", "add", "romeo", "secret"], "do not give a password on the command line"),
        ):
            with self.subTest(words):
                refused = self.assertRaises(Refused, OURS.read, words, 80)
                self.assertIn(why, str(refused))
                self.assertEqual(refused.status, NOT_UNDERSTOOD)

    def test_help_word(self) -> None:
        """Whoever writes help in the first place gets it."""
        for words, same in ((["help"], ["--help"]), (["help", "user"], ["user", "--help"])):
            self.assertEqual(OURS.read(words, 80), OURS.read(same, 80))

    def test_several(self) -> None:
        """What may be given more than once is a list, whether it may be left out or not."""
        for words, key in (
            (["user", "delete", "romeo", "juliet"], "account"),
            (["group", "save", "g", "--add", "romeo", "--add", "juliet"], "add"),
        ):
            self.assertEqual(asked(*words).given[key], ["romeo", "juliet"])

    def test_secret(self) -> None:
        """A password is asked for, or read from standard input."""
        found = asked("user", "add", "romeo")
        assert found.secret is not None
        self.assertEqual((found.secret.key, found.from_stdin), ("password", False))
        self.assertTrue(asked("user", "add", "romeo", "--stdin").from_stdin)
        self.assertIsNotNone(asked("user", "password", "romeo").secret)
        self.assertIsNone(asked("user", "password", "romeo", "--generate").secret)

    def test_quick(self) -> None:
        """What asks a server loads nothing of it, and nothing that takes long."""
        path = f"import sys; sys.path.append({str(ROOT)!r})"
        code = f"{path}; import xmppd.ctl.main; print(*sys.modules)"
        alone = [sys.executable, "-I", "-S", "-c", code]
        loaded = subprocess.run(alone, check=True, capture_output=True, text=True).stdout.split()
        self.assertIn("json", loaded)
        self.assertEqual([name for name in HEAVY if name in loaded], [])


class SecretTests(SynchronousTestCase):
    """How xmppctl comes by a password."""

    def asked(self, *answers: str) -> str:
        remaining = iter(answers)
        self.patch(getpass, "getpass", lambda prompt: next(remaining))
        self.patch(sys, "stdin", Terminal())
        return secret("password", from_stdin=False)

    def test_asked(self) -> None:
        """Somebody at a terminal types it twice."""
        self.assertEqual(self.asked("rose", "rose"), "rose")
        self.assertIn("differ", str(self.assertRaises(Failed, self.asked, "rose", "nose")))

    def test_stdin(self) -> None:
        """A program writes it on a line."""
        self.patch(sys, "stdin", stdin(b"a rose \nand more"))
        self.assertEqual(secret("password", from_stdin=True), "a rose ")

    def test_not_unicode(self) -> None:
        """What is not UTF-8 is refused in a sentence, wherever it comes from."""
        self.patch(sys, "stdin", stdin("rosé\n".encode("latin-1")))
        failed = self.assertRaises(Failed, secret, "password", from_stdin=True)
        self.assertIn("the password is not valid UTF-8", str(failed))
        self.patch(sys, "argv", ["xmppctl", "roster", "add", "ros\udce9"])
        err = StringIO()
        with contextlib.redirect_stderr(err):
            ended = self.assertRaises(SystemExit, main_module.main)
        self.assertEqual(ended.code, NOT_UNDERSTOOD)
        self.assertIn("ros\\udce9 is not valid UTF-8", err.getvalue())

    def test_nobody(self) -> None:
        """Without a terminal nobody is waited for."""
        self.patch(sys, "stdin", stdin(b"rose"))
        failed = self.assertRaises(Failed, secret, "password", from_stdin=False)
        self.assertIn("--stdin", str(failed))


def stdin(data: bytes) -> TextIOWrapper:
    """A pipe that something was written into."""
    return TextIOWrapper(BytesIO(data))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class ErrorTests(SynchronousTestCase):
    """How an error is said, and told by a program."""

    def ended(self, *words: str) -> tuple[int, str]:
        self.patch(sys, "argv", ["xmppctl", *words])
        err = StringIO()
        with contextlib.redirect_stderr(err):
            ended = self.assertRaises(SystemExit, main_module.main)
        return ended.code, err.getvalue()

    def test_no_server(self) -> None:
        """Without a server that is the sentence, the code and the status."""
        directory = Path(self.mktemp())
        directory.mkdir()
        status, said = self.ended("--data", str(directory), "status")
        self.assertEqual(status, NO_SERVER)
        self.assertIn(f"no server is running (data directory {directory})", said)
        directory.rmdir()
        status, said = self.ended("--data", str(directory), "status")
        self.assertEqual(status, NO_SERVER)
        self.assertIn(f"the data directory {directory} does not exist", said)
        status, said = self.ended("--data", str(directory), "--json", "status")
        self.assertEqual(json.loads(said)["code"], "no-server")

    def test_no_toml(self) -> None:
        """A configuration that is not TOML is told by its line, and how it is written right."""
        path = Path(self.mktemp())
        path.write_text('data = "d"\n[domain]\nname = "a.lit"\n[domain]\n')
        status, said = self.ended("--config", str(path), "status")
        self.assertEqual(status, REFUSED)
        self.assertIn("line 2: write [[domain]] with two brackets", said)
        self.assertNotIn("declare", said)
