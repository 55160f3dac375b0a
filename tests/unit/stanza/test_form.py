"""Data forms (XEP-0004)."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import dump, jid
from xmppd.stanza.form import (
    MAX_PREPARING_US,
    MAX_VALUE_LENGTH,
    MAX_VALUES,
    Field,
    form,
    result,
    submitted,
)
from xmppd.stanza.jid import effort

ASKED = form(
    "urn:capulets",
    "A ball",
    "Say who comes.",
    Field("host", "Host", "jid-single", required=True),
    Field("guests", "Guests", "jid-multi"),
    Field("masks", "Masks", "boolean"),
    Field("dance", "Dance", "list-single", options=("galliard", "pavane")),
    Field("note", "Note", "text-multi"),
    Field("title", "Title"),
)
HOST = ("host", "capulet@verona.lit")


def read(*fields: tuple[str, ...], form_type: str = "urn:capulets") -> dict[str, list[str]]:
    """The values of an answer, given as names and values."""
    answer = ElementTree.fromstring(
        dump(result(form_type, *(Field(var, values=tuple(values)) for var, *values in fields)))
    )
    return submitted(answer, ASKED)


class FormTests(SynchronousTestCase):
    def test_form(self) -> None:
        """A form says what it is for, and what each field needs."""
        text = dump(ASKED).decode()
        self.assertIn('<x xmlns="jabber:x:data" type="form"><title>A ball</title>', text)
        self.assertIn("<value>urn:capulets</value>", text)
        self.assertIn('<field var="host" type="jid-single" label="Host"><required/></field>', text)
        self.assertIn('<option label="pavane"><value>pavane</value></option>', text)

    def test_values(self) -> None:
        """Each field that was asked for has its values, if only none."""
        values = read(HOST, ("guests", "Tybalt@verona.lit", "paris@verona.lit/1"), ("masks", "1"))
        self.assertEqual(
            values,
            {
                "host": ["capulet@verona.lit"],
                "guests": ["tybalt@verona.lit", "paris@verona.lit/1"],
                "masks": ["1"],
                "dance": [],
                "note": [],
                "title": [],
            },
        )

    def test_dear_addresses(self) -> None:
        """A form of a thousand addresses that take long to prepare is refused before they are."""
        jid._label.cache_clear()
        names = [".".join(chr(0xAC00 + 11 * n + i) for i in range(40)) for n in range(900)]
        spent_us = effort.spent_us
        with self.assertRaisesRegex(ValueError, "guests has too many addresses with letters"):
            read(HOST, ("guests", *names))
        self.assertLess(effort.spent_us - spent_us, 2 * MAX_PREPARING_US)

    def test_not_asked(self) -> None:
        """A field nobody asked for is not looked at."""
        self.assertNotIn("romeo", read(HOST, ("romeo", "uninvited")))

    def test_lines(self) -> None:
        """A text of lines keeps its empty ones."""
        self.assertEqual(read(HOST, ("note", "a", "", "b"))["note"], ["a", "", "b"])

    def test_wrong(self) -> None:
        """What does not fit its field is refused, and not repeated."""
        cases: list[tuple[tuple[str, ...], ...]] = [
            (),
            (("host", ""),),
            (("host", "not an address@"),),
            (("host", "a@b.lit", "c@b.lit"),),
            (HOST, ("guests", "ok@b.lit", "@")),
            (HOST, ("masks", "perhaps")),
            (HOST, ("dance", "waltz")),
            (HOST, ("title", "one", "two")),
            (HOST, ("title", "x" * (MAX_VALUE_LENGTH + 1))),
            (HOST, ("note", *["x"] * (MAX_VALUES + 1))),
        ]
        for fields in cases:
            with self.subTest(fields=str(fields)[:60]):
                error = self.assertRaises(ValueError, read, *fields)
                self.assertNotIn("waltz", str(error))

    def test_another_form(self) -> None:
        """An answer to another form is none to this one."""
        with self.assertRaises(ValueError):
            read(HOST, form_type="urn:montagues")
