"""What xmppctl prints, and how wide."""

import json
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.widths import (
    ASIAN,
    LONG,
    NOW,
    WIDTHS,
    drawn,
    file_of,
    page,
    row_kinds,
    row_of,
)
from xmppd.command.command import Description
from xmppd.command.reply import Row
from xmppd.ctl.letters import begun, cut, folded, width_of
from xmppd.ctl.printer import (
    ROWS_AT_ONCE,
    DocumentPrinter,
    JSONPrinter,
    Line,
    Paper,
    Printer,
    RecordPrinter,
    SentencePrinter,
    Shape,
    UnknownColumn,
    age,
    printer,
    shown,
)

EVIL = "a\x1b[2J\x9b31m\u202eb\u200f\ud800\U000e0041"


TABLE = Shape()


class Terminal(StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def printed(
    *replies: Line,
    shape: Shape = TABLE,
    width: int | None = 80,
    columns: tuple[str, ...] = (),
    as_json: bool = False,
) -> tuple[list[str], str]:
    """The lines of an answer, and what is said beside it."""
    out, err = StringIO(), StringIO()
    paper = printer(Paper(out, err, width, columns, NOW), shape, json=as_json)
    for reply in replies:
        paper.take(reply)
    paper.finish()
    return out.getvalue().splitlines(), err.getvalue()


class TableTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Rows stand under each other, and a sentence behind them."""
        lines, _ = printed({"a": "long value", "b": True}, {"a": None, "b": 3}, "that is all")
        self.assertEqual(
            lines, ["a           b", "long value  yes", "-           3", "that is all."]
        )

    def test_one_row(self) -> None:
        """A list stays a list with one row."""
        lines, _ = printed({f"key{number}": number for number in range(8)})
        self.assertEqual(len(lines), 2)

    def test_empty(self) -> None:
        """An empty list says so, where it does not disturb a program."""
        shape = Shape(empty="nobody is online")
        self.assertEqual(printed(shape=shape), ([], "nobody is online.\n"))
        self.assertEqual(printed(shape=shape, as_json=True), ([], ""))
        self.assertEqual(printed({"a": 1}, shape=shape)[1], "")
        err = StringIO()
        printer(Paper(StringIO(), err), shape, json=False).finish(broken_off=True)
        self.assertEqual(err.getvalue(), "")

    def test_many_rows(self) -> None:
        """A long table is printed as it comes, with one heading."""
        rows: list[Line] = [{"n": number} for number in range(ROWS_AT_ONCE + 2)]
        lines, _ = printed(*rows)
        self.assertEqual(len(lines), ROWS_AT_ONCE + 3)
        self.assertEqual(lines.count("n"), 1)

    def test_least_important(self) -> None:
        """What has no room goes, the least important first, and is named; the first one stays."""
        row: Line = dict.fromkeys(("account", "address", "software", "since"), "x" * 25)
        lines, said = printed(row, shape=Shape(least=("software",)))
        self.assertEqual(lines[0].split(), ["account", "address", "since"])
        self.assertEqual(said, "not shown: software (--wide shows all)\n")
        lines, _ = printed(row, shape=Shape(least=("software", "account", "since")), width=50)
        self.assertEqual(lines[0].split(), ["account", "address"])
        lines, said = printed(row, width=None)
        self.assertEqual((len(lines[0].split()), said), (4, ""))

    def test_columns(self) -> None:
        """Columns that are named are shown, in that order; one that is not there is refused."""
        row: Line = {"account": LONG, "sessions": 1, "created": "2026-11-30T11:00:00Z"}
        lines, said = printed(row, columns=("sessions", "account"))
        self.assertEqual((lines[0].split(), said), (["sessions", "account"], ""))
        self.assertEqual(printed(row, columns=("sessions",), as_json=True)[0], ['{"sessions": 1}'])
        error = self.assertRaises(UnknownColumn, printed, row, columns=("age",))
        self.assertIn("the columns are account, sessions, created", str(error))

    def test_cut(self) -> None:
        """An address that is too long is cut in its middle, a text folds, and a heading too."""
        lines, _ = printed(
            {"account": LONG, "queued_stanzas": 3, "reason": "it was a wrong password " * 20},
            width=52,
        )
        self.assertLessEqual(max(map(width_of, lines)), 60)
        self.assertEqual(lines[0].split(), ["account", "queued_", "reason"])
        self.assertEqual(lines[1].split(), ["stanzas"])
        self.assertEqual(lines[2].split()[:2], ["mercutiome…erona.lit", "3"])

    def test_times(self) -> None:
        """Beside a time stands how long ago that was."""
        lines, _ = printed({"since": "2026-11-30T09:00:00.123456Z"})
        self.assertEqual(lines[1], "2026-11-30T09:00:00Z (3 h ago)")
        for time, words in (
            (NOW.replace(second=1), "in 1 s"),
            (NOW.replace(hour=11, minute=58), "2 min ago"),
            (NOW.replace(day=1), "29 d ago"),
            (NOW, "0 s ago"),
        ):
            self.assertEqual(age(time, NOW), words)


class RecordTests(SynchronousTestCase):
    def test_record(self) -> None:
        """One thing is shown as a list of what there is about it."""
        shape = Shape("record")
        lines, _ = printed(
            {"version": "1", "listening": ["5222 client"] * 12}, shape=shape, width=40
        )
        self.assertEqual(lines[0], "version    1")
        self.assertEqual(lines[1], "listening  5222 client, 5222 client,")
        self.assertLessEqual(max(map(len, lines)), 40)
        lines, _ = printed({"account": "romeo"}, {"account": "juliet"}, shape=shape)
        self.assertEqual(lines, ["account  romeo", "", "account  juliet"])

    def test_copied(self) -> None:
        """What is copied, such as a link or a key that is shown once, stays whole in one line."""
        for text in (f"https://{'x' * 90}", f"xmpp:{'x' * 90}", f"xmppd_{'x' * 90}"):
            lines, _ = printed({"what": text}, shape=Shape("record"), width=40)
            self.assertEqual(lines, [f"what  {text}"])


class LetterTests(SynchronousTestCase):
    """How wide letters are drawn."""

    def test_width(self) -> None:
        """Letters of East Asia take two cells, marks none."""
        self.assertEqual(width_of("羅密歐"), 6)
        self.assertEqual(width_of("Romeo\u0301"), 5)

    def test_cut(self) -> None:
        """What is cut takes no more than asked, and no mark is parted from its letter."""
        for text in (LONG, ASIAN, "e\u0301" * 90):
            for width in (1, 2, 7, 20, 79):
                self.assertLessEqual(width_of(cut(text, width)), width)
                self.assertLessEqual(width_of(begun(text, width)), width)
        self.assertEqual(cut("e\u0301" * 9, 3), "e\u0301…e\u0301")
        self.assertEqual(cut("romeo", 5), "romeo")

    def test_folded(self) -> None:
        """A sentence is folded between its words; a word without end is cut."""
        self.assertEqual(folded("it was the lark", 8), ["it was", "the lark"])
        self.assertEqual(folded(f"from {LONG} today", 20)[1][:3], "mer")
        self.assertLessEqual(max(map(width_of, folded(f"{ASIAN} und {LONG}", 30))), 30)
        self.assertEqual(folded("", 10), [""])
        self.assertEqual(folded("at noon (3 s ago)", 12), ["at noon", "(3 s ago)"])


class SafeTests(SynchronousTestCase):
    def test_terminal_is_safe(self) -> None:
        """What a user wrote cannot move the administrator's cursor."""
        self.assertEqual(shown("a\x1b[2J\nb"), "a\\x1b[2J\\nb")
        self.assertEqual(shown("Ромео"), "Ромео")

    def test_every_way_is_safe(self) -> None:
        """As table, record, sentence, note or JSON: none writes a control character, or turns the
        text.
        """
        for answers in ("table", "record", "sentences", "stream"):
            for as_json in (False, True):
                with self.subTest(answers, as_json=as_json):
                    lines, _ = printed({"says": EVIL}, EVIL, shape=Shape(answers), as_json=as_json)
                    self.assertTrue("".join(lines).isprintable())
                    if as_json:
                        row, note = map(json.loads, lines)
                        self.assertEqual((row["says"], note["note"]), (EVIL, EVIL))

    def test_long(self) -> None:
        """Three thousand letters take a few lines at most, whether in one word or in many."""
        for text in ("a" * 3_000, "\x1b[31m" * 600, "la " * 1_000):
            for answers, most in (("table", 6), ("record", 30), ("sentences", 30)):
                with self.subTest(answers, text=text[:4]):
                    lines, _ = printed({"says": text, "n": 1}, shape=Shape(answers))
                    self.assertLessEqual(len(lines), most)
                    self.assertLessEqual(max(map(width_of, lines)), 80)


class WidthTests(SynchronousTestCase):
    """Every command, those of plugins too, with names that are long, Asian, evil, or none."""

    def test_every_command(self) -> None:
        """No line is wider than asked, and none loses what it is about."""
        for about, kind in row_kinds():
            for text in ("x" * 90, LONG, ASIAN, EVIL, "la " * 1_000, ""):
                for width in WIDTHS:
                    with self.subTest(about.name, text=text[:5], width=width):
                        self.check_drawn(about, kind, text, width)

    def check_drawn(self, about: Description, kind: type[Row], text: str, width: int) -> None:
        lines = drawn(about, kind, text, width)
        if about.answers == "document":
            self.assertEqual(lines[0], text)
            return
        self.assertLessEqual(max(map(width_of, lines)), width)
        self.assertTrue("".join(lines).isprintable())
        first = next(iter(row_of(kind, text)))
        if about.answers == "table":
            self.assertEqual(lines[0].split()[0], first)

    def test_as_before(self) -> None:
        """It is what the files have; ``python -m tests.unit.ctl.widths`` writes them anew."""
        for width in WIDTHS:
            shown = file_of(width).read_text(encoding="utf-8").splitlines()
            self.assertEqual(shown, list(page(width)), f"tests.unit.ctl.widths, {width}")


class OtherPrinterTests(SynchronousTestCase):
    def test_sentences(self) -> None:
        """Where a row has a sentence, people get that."""
        lines, _ = printed(
            {"code": "sees", "says": "she sees\x1b him."}, "that is all", shape=Shape("sentences")
        )
        self.assertEqual(lines, ["she sees\\x1b him.", "that is all."])

    def test_document(self) -> None:
        """A document goes out as it is, however wide; only a terminal is spared what it would
        obey.
        """
        parts = ("<a>", "x" * 3_000 + " y\n\x9b z", "</a>")
        out = StringIO()
        paper = printer(Paper(out, out, 80), Shape("document"), json=False)
        for part in parts:
            paper.take(part)
        paper.take({"says": "{}"})
        paper.finish()
        self.assertEqual(out.getvalue(), "".join(f"{part}\n" for part in (*parts, "{}")))
        terminal = Terminal()
        printer(Paper(terminal, terminal, 80), Shape("document"), json=False).take("<b>\n\x9b")
        self.assertEqual(terminal.getvalue(), "<b>\n\\x9b\n")

    def test_record_with_a_text(self) -> None:
        """A text of several lines keeps them."""
        lines, _ = printed({"path": "/x", "text": "a = 1\n\x1b b = 2\n"}, shape=Shape("record"))
        self.assertEqual(lines, ["path  /x", "text", "a = 1", "\\x1b b = 2"])

    def test_json(self) -> None:
        """Programs get an object a line."""
        lines, _ = printed({"a": ["x"]}, "done", as_json=True)
        self.assertEqual(lines, ['{"a": ["x"]}', '{"note": "done"}'])

    def test_which(self) -> None:
        """The printer is that of the answer."""
        paper = Paper(StringIO(), StringIO())
        for answers, kind in (
            ("table", Printer),
            ("record", RecordPrinter),
            ("sentences", SentencePrinter),
            ("stream", SentencePrinter),
            ("document", DocumentPrinter),
        ):
            self.assertIsInstance(printer(paper, Shape(answers), json=False), kind)
            self.assertIsInstance(printer(paper, Shape(answers), json=True), JSONPrinter)
