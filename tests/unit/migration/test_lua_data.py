"""Lua's data is read, and none of it is run (IM-2)."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.migration.readers import lua_data
from xmppd.migration.readers.lua_data import LuaData


class LuaDataTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each kind of value, in each way to write it."""
        for text, value in (
            ("nil", None), ("true", True), ("false", False), ("-1", -1), ("1e3", 1000.0),
            ("10000.0", 10000.0), ("0x10", 16), (".5", 0.5), ('"a\\nb"', "a\nb"),
            ("'it\\'s'", "it's"), ('"\\195\\169"', "é"), ('"\\xc3\\xa9"', "é"),
            ('"\\u{e9}"', "é"), ('"a\\z \n  b"', "ab"), ('"a\\\nb"', "a\nb"), ("[[a]b]]", "a]b"),
            ("[==[a]]b]==]", "a]]b"), ("{}", {}), ("{1,2;3,}", {1: 1, 2: 2, 3: 3}),
            ("{a=1, ['b c']=2, [false]={true}}", {"a": 1, "b c": 2, False: {1: True}}),
            ("{ -- a remark\n1, --[[ one\nmore ]] 2 }", {1: 1, 2: 2}),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertEqual(LuaData(f"return {text};\n".encode()).value(), value)

    def test_items(self) -> None:
        """A list, one value after the other."""
        data = LuaData(b'item({1});\nitem("x")\n')
        self.assertEqual(list(data.items()), [{1: 1}, "x"])
        self.assertEqual(list(LuaData(b"").items()), [])

    def test_code(self) -> None:
        """What is no data is refused, with its line."""
        for text in (
            "os.execute('x')", "return os.time()", "return (1)", "return 1 + 1", "return {f()}",
            "return function() end", "x = 1", "return 'a' .. 'b'", "return {[{}]=1}", "return",
            "return {1", "return 'a", "return '\\300'", "return '\\q'", "return 1; return 2", "",
            "return '\xff'", "return {[nil]=1}", "return setmetatable({}, {})",
        ):  # fmt: skip
            with self.subTest(text), self.assertRaisesRegex(ValueError, "^line 2: "):
                LuaData(b"\n" + text.encode("latin-1")).value()

    def test_bounds(self) -> None:
        """Depth and length have a limit."""
        self.patch(lua_data, "MAX_TOKEN_BYTES", 10)
        for text, why in (("{" * 60, "levels of tables"), ('"' + "a" * 11, "more than 10 bytes")):
            with self.assertRaisesRegex(ValueError, why):
                LuaData(f"return {text}".encode()).value()
