"""Erlang's terms are read, and none of them is run (IM-2)."""

from io import BytesIO

from twisted.trial.unittest import SynchronousTestCase

from xmppd.migration.readers import erlang_terms
from xmppd.migration.readers.erlang_terms import terms_of, value_of


class ValueTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each kind of value, in each way to write it."""
        for text, value in (
            ("none", "none"), ("'two words'", "two words"), ("-12", -12), ("1.5e3", 1500.0),
            ("<<>>", b""), ('<<"a\\"b\\n">>', b'a"b\n'), ("<<195,\n 169>>", "é".encode()),
            ('<<"é">>', "é".encode()), ('<<"\\x{e9}"/utf8>>', "é".encode()),
            ('<<"\\x{e9}\\351">>', b"\xe9\xe9"), ('<<"one"\n   "two">>', b"onetwo"),
            ('"text"', b"text"), ("[]", []), ("{}", ()), ("[a,{b,1}]", ["a", ("b", 1)]),
            ("#{a => 1,b => []}", {"a": 1, "b": []}),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertEqual(value_of(f" {text}.\n".encode()), value)

    def test_beginning(self) -> None:
        """Whose a record is, is known before the rest of it is read."""
        self.assertEqual(value_of(b"{passwd,{<<1>>,x},<0.1.0>}.", 2), ("passwd", (b"\x01", "x")))
        self.assertEqual(value_of(b"{passwd,1}.", 2), ("passwd", 1))

    def test_no_data(self) -> None:
        """What is no data is refused."""
        for text in (
            'os:cmd("x")', "<0.1.0>", "#Ref<0.1.2>", "fun() -> ok end", "{a", "a}", "[a}",
            "{a b}", "{,a}", "{a,}", "{a,,b}", "1 2", "", "Variable", "1 + 1", '<<"a', "<<256>>",
            "#{a}", "#{[] => 1}", '<<"\\x{110000}"/utf8>>',
        ):  # fmt: skip
            with self.subTest(text), self.assertRaises(ValueError):
                value_of(f"{text}.".encode())

    def test_depth(self) -> None:
        """Values in one another have a limit."""
        deep = erlang_terms.MAX_DEPTH
        value_of(b"[" * deep + b"]" * deep)
        with self.assertRaisesRegex(ValueError, "levels of values"):
            value_of(b"[" * (deep + 1))


class TermsTests(SynchronousTestCase):
    def lines(self, text: bytes) -> list[tuple[bytes | None, int]]:
        """The terms of a file, each with its line."""
        return [(term.data, term.line) for term in terms_of(BytesIO(text))]

    def test_terms(self) -> None:
        """Each is where it was said to be."""
        text = b'{a,\n "b.c"}.\n\n  \n{d}.\n{"e".\n'
        self.assertEqual(
            self.lines(text), [(b'{a,\n "b.c"}.\n', 1), (b"{d}.\n", 5), (b'{"e".\n', 6)]
        )
        for term in terms_of(BytesIO(text)):
            assert term.data is not None
            self.assertEqual(text[term.offset :][: len(term.data)], term.data)

    def test_cut_off(self) -> None:
        """A file that ends in the midst of a term says where that has begun."""
        with self.assertRaisesRegex(ValueError, "line 3: .* has no end"):
            self.lines(b"{a}.\n\n{b,\n c")

    def test_too_long(self) -> None:
        """One that is longer than any may be is not in memory, and the next one is found."""
        self.patch(erlang_terms, "MAX_TERM_BYTES", 10)
        text = b"{a}.\n{" + b"b,\n" * 20 + b"b}.\n{c}.\n[" + b"x" * 50 + b"].\n{d}.\n"
        self.assertEqual(
            self.lines(text),
            [(b"{a}.\n", 1), (None, 2), (b"{c}.\n", 23), (None, 24), (b"{d}.\n", 25)],
        )
