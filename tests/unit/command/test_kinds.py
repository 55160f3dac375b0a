"""The kinds of arguments."""

from collections.abc import Iterator, Mapping

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.argument import Argument, Arguments
from xmppd.command.kinds import (
    AccountName,
    Address,
    AnyOf,
    ArgumentKind,
    Choice,
    Document,
    DomainName,
    Duration,
    FileName,
    Flag,
    GroupName,
    Hidden,
    Moment,
    Number,
    OptionName,
    PluginName,
    Secret,
    Surface,
    Text,
)
from xmppd.command.refused import Refused
from xmppd.stanza import Condition

HERE = Surface(("montague.lit", "verona.lit"))


def kinds(of: type[ArgumentKind]) -> Iterator[type[ArgumentKind]]:
    """A kind's own kinds."""
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


# A kind, what may be given, and what may not with the condition of the refusal.
KINDS: tuple[tuple[ArgumentKind, object, dict[str, Condition]], ...] = (
    (Text(), "any words", {"x" * 10_001: Condition.BAD_REQUEST}),
    (Secret(), " rose ", {"x" * 10_001: Condition.BAD_REQUEST}),
    (Flag(), "true", {"perhaps": Condition.BAD_REQUEST}),
    (Number(1, 10, "s"), "10", {"11": Condition.BAD_REQUEST, "0": Condition.BAD_REQUEST,
                                "-1": Condition.BAD_REQUEST, "²": Condition.BAD_REQUEST,
                                "": Condition.BAD_REQUEST, "1" * 5_000: Condition.BAD_REQUEST}),
    (Duration(86_400), "24h", {"25h": Condition.NOT_ACCEPTABLE, "1w": Condition.NOT_ACCEPTABLE,
                               "0s": Condition.NOT_ACCEPTABLE, "": Condition.NOT_ACCEPTABLE,
                               "9" * 10 + "s": Condition.NOT_ACCEPTABLE}),
    (Moment(), "2026-10-31T12:00:00Z", {"2026-13-31T12:00:00Z": Condition.BAD_REQUEST,
                                        "yesterday": Condition.BAD_REQUEST}),
    (Hidden(), "rosebud", {"x" * 10_001: Condition.BAD_REQUEST}),
    (Document(), "rosebud\n" * 2_000, {"x" * 200_001: Condition.BAD_REQUEST}),
    (OptionName(), "tls", {"x" * 10_001: Condition.BAD_REQUEST}),
    (FileName(), "/tmp/x", {"x" * 10_001: Condition.BAD_REQUEST}),  # only a name
    (Choice(("a", "b")), "b", {"c": Condition.BAD_REQUEST}),
    (AnyOf(("a", "b")), "b", {"c": Condition.BAD_REQUEST}),
    (Address(), "montague.lit", {"a@@b": Condition.BAD_REQUEST}),
    (AccountName(), "romeo@verona.lit", {"a@@b": Condition.BAD_REQUEST,
                                         "romeo@elsewhere.lit": Condition.ITEM_NOT_FOUND,
                                         "romeo@verona.lit/1": Condition.NOT_ACCEPTABLE,
                                         "romeo": Condition.NOT_ACCEPTABLE}),
    (DomainName(), "Verona.lit", {"elsewhere.lit": Condition.ITEM_NOT_FOUND,
                                  "a..b": Condition.BAD_REQUEST}),
    (DomainName(ours=False), "elsewhere.lit", {"a b": Condition.BAD_REQUEST}),
    (GroupName(), "montagues", {"x" * 10_001: Condition.BAD_REQUEST}),
    (PluginName(), "ping", {"x" * 10_001: Condition.BAD_REQUEST}),
)  # fmt: skip


def mismatch(schema: Mapping[str, object], value: object) -> str | None:
    """Why a value is not what a schema describes; None if it is."""
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    return None if error is None else str(error.message)


def told(argument: Argument, given: object) -> Arguments:
    """A command with this one argument was told this."""
    return Arguments([argument], {"it": given}, HERE)


class KindTests(SynchronousTestCase):
    def test_check(self) -> None:
        """Each kind takes what it is for, and refuses all else with the right condition."""
        for kind, good, wrong in KINDS:
            argument = Argument("it", "", kind)
            with self.subTest(kind):
                self.assertTrue(told(argument, good).given("it"))
                for bad, condition in (*wrong.items(), (7, Condition.BAD_REQUEST)):
                    refused = self.assertRaises(Refused, told, argument, bad)
                    self.assertEqual(refused.condition, condition)

    def test_values(self) -> None:
        """What was given is read as what it is."""
        self.assertEqual(told(Argument("it", "", Number(1, 9)), "7").number("it", 1), 7)
        self.assertTrue(told(Argument("it", "", Flag()), True).flag("it"))
        self.assertFalse(told(Argument("it", "", Flag()), "0").flag("it"))
        account = Argument("it", "", AccountName(), most=2)
        twice = told(account, ["Romeo@verona.lit", "romeo@verona.lit"])
        self.assertEqual([jid.bare for jid in twice.jids("it")], ["romeo@verona.lit"])
        self.assertRaisesRegex(Refused, "at most 2", told, account, ["a", "b", "c"])
        self.assertRaisesRegex(Refused, "wrong kind", told, account, [])
        domain = Argument("--it", "", DomainName())
        self.assertEqual(Arguments([domain], {}, HERE).domains("it"), HERE.domains)
        self.assertEqual(told(domain, "VERONA.lit").domains("it"), ("verona.lit",))

    def test_seconds(self) -> None:
        """A time with its unit is read in seconds."""
        for text, seconds in (("90d", 7_776_000), ("12h", 43_200), ("5m", 300), ("7s", 7)):
            told_so = told(Argument("it", "", Duration(10**9)), text)
            self.assertEqual(told_so.number("it", 0), seconds)

    def test_every_kind(self) -> None:
        """All kinds are tried here."""
        self.assertEqual({type(kind) for kind, _, _ in KINDS}, set(kinds(ArgumentKind)))

    def test_schema(self) -> None:
        """What JSON Schema says of a kind is so: its type, and what it says of a good value."""
        for kind, good, wrong in KINDS:
            value = {"boolean": True, "integer": 10}.get(str(kind.schema["type"]), good)
            with self.subTest(kind):
                given = kind.of_json("it", value)
                self.assertTrue(told(Argument("it", "", kind), given).given("it"))
                self.assertIsNone(mismatch(kind.schema, value))
                others: tuple[object, ...] = (None, [], {}, 1.5)
                for other in others:
                    self.assertRaises(Refused, kind.of_json, "it", other)
                    self.assertIsNotNone(mismatch(kind.schema, other))
                for bad in wrong:
                    if "format" not in kind.schema and mismatch(kind.schema, bad):
                        self.assertRaises(Refused, told, Argument("it", "", kind), bad)
        several = Argument("it", "some", Choice(("a", "b")), most=2)
        self.assertIsNone(mismatch(several.schema, ["a", "b"]))
        for bad_list in ([], ["c"], ["a"] * 3, "a"):
            self.assertIsNotNone(mismatch(several.schema, bad_list))
