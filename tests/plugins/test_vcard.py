"""XEP-0054: vcard-temp."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.unit.ctl.offices import Office
from xmppd.stanza import Tree
from xmppd.testing.house import House, house_config

CARD = "<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><BINVAL>aGk=</BINVAL></PHOTO></vCard>"
EMPTY = "<vCard xmlns='vcard-temp'/>"


def name_on(answer: Tree) -> str | None:
    """The name on the card that came."""
    return answer.findtext("{vcard-temp}vCard/{vcard-temp}FN")


class VCardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=("vcard",), romeo={}, juliet={}, nurse={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def test_own_card(self) -> None:
        """What I put on my card is there when I look again."""
        self.assertEqual(condition(ask(self.juliet, "set", CARD)), "result")
        self.assertEqual(name_on(ask(self.juliet, "get", EMPTY)), "Juliet")

    def test_own_address(self) -> None:
        """My card may be addressed by my own bare JID as well."""
        ask(self.juliet, "set", CARD, "juliet@montague.lit")
        answer = ask(self.juliet, "get", EMPTY, "juliet@montague.lit")
        self.assertEqual(name_on(answer), "Juliet")

    def test_no_card_yet(self) -> None:
        """Whoever has no card yet is given an empty one, as clients expect (§3.1)."""
        self.assertEqual(len(ask(self.juliet, "get", EMPTY)[0]), 0)

    def test_card_of_somebody_offline(self) -> None:
        """Cards are shown to everybody, also while their owner is away."""
        ask(self.juliet, "set", CARD)
        self.juliet.abort()
        answer = ask(self.romeo, "get", EMPTY, "juliet@montague.lit")
        self.assertEqual(name_on(answer), "Juliet")
        self.assertEqual(answer.get("from"), "juliet@montague.lit")

    def test_existence_is_not_told(self) -> None:
        """Who has no card and who has no account look the same."""
        nobody = ask(self.romeo, "get", EMPTY, "tybalt@montague.lit")
        no_card = ask(self.romeo, "get", EMPTY, "nurse@montague.lit")
        for answer in (nobody, no_card):
            del answer.attrib["from"]
        self.assertEqual(condition(no_card), "service-unavailable")
        self.assertEqual([c.attrib for c in nobody.iter()], [c.attrib for c in no_card.iter()])
        self.assertEqual([c.tag for c in nobody.iter()], [c.tag for c in no_card.iter()])

    def test_card_of_the_server(self) -> None:
        """The server itself has no card."""
        answer = ask(self.romeo, "get", EMPTY, "montague.lit")
        self.assertEqual(condition(answer), "service-unavailable")

    def test_card_of_another_cannot_be_set(self) -> None:
        """Nobody changes somebody else's card."""
        ask(self.juliet, "set", CARD)
        for to in ("juliet@montague.lit", "montague.lit"):
            with self.subTest(to=to):
                answer = ask(self.romeo, "set", CARD.replace("Juliet", "Romeo"), to)
                self.assertEqual(condition(answer), "forbidden")
        self.assertEqual(name_on(ask(self.juliet, "get", EMPTY)), "Juliet")

    def test_empty_card(self) -> None:
        """An empty card is none, and is what its owner is given."""
        ask(self.juliet, "set", CARD)
        self.assertEqual(condition(ask(self.juliet, "set", EMPTY)), "result")
        self.assertEqual(len(ask(self.juliet, "get", EMPTY)[0]), 0)

    def test_wrong_name_or_namespace(self) -> None:
        """Something that only looks like a card is not known."""
        for query in ("<vCard xmlns='vcard'/>", "<vcard xmlns='vcard-temp'/>", "<vCard/>"):
            with self.subTest(query=query):
                self.assertEqual(condition(ask(self.juliet, "set", query)), "service-unavailable")

    def test_markup_in_a_card(self) -> None:
        """What is text on a card stays text."""
        ask(self.juliet, "set", CARD.replace("Juliet", "&lt;/vCard&gt;&lt;a/&gt;"))
        answer = ask(self.romeo, "get", EMPTY, "juliet@montague.lit")
        self.assertEqual(name_on(answer), "</vCard><a/>")


class LimitTests(SynchronousTestCase):
    def house(self, **items: int) -> House:
        """A house with such limits."""
        config = house_config("montague.lit", items=items)
        return House(config=config, plugins=("vcard",), juliet={})

    def test_large_card(self) -> None:
        """A card that is too large is refused, and the old one stays."""
        (juliet,) = self.house(max_item_bytes=200).connect("juliet")
        ask(juliet, "set", CARD)
        answer = ask(juliet, "set", CARD.replace("Juliet", "J" * 200))
        self.assertEqual(condition(answer), "not-acceptable")
        self.assertIn("200 bytes", answer.findtext("error/{*}text") or "")
        self.assertEqual(name_on(ask(juliet, "get", EMPTY)), "Juliet")

    def test_quota(self) -> None:
        """A card for which the account has no room is refused."""
        (juliet,) = self.house(max_bytes=50).connect("juliet")
        answer = ask(juliet, "set", CARD)
        self.assertEqual(condition(answer), "resource-constraint")
        self.assertIn("50 bytes", answer.findtext("error/{*}text") or "")


class CommandTests(SynchronousTestCase):
    """What administrators see of cards, and change."""

    def setUp(self) -> None:
        self.house = House(plugins=("vcard",), romeo={}, juliet={})
        (self.juliet,) = self.house.connect("juliet")
        self.office = Office(self.house)

    def test_show(self) -> None:
        """A card is shown as what it says; nothing where there is none."""
        self.assertEqual(self.office.rows("vcard show", account="juliet"), [])
        inside = (
            "<FN>Juliet C.</FN><EMAIL><USERID>j@x.lit</USERID></EMAIL>"
            "<EMAIL><HOME/><USERID> juliet@y.lit </USERID></EMAIL><TEL><NUMBER/></TEL>"
            "<ORG><ORGNAME>Capulet</ORGNAME></ORG>"
            "<PHOTO><TYPE>image/png</TYPE><BINVAL>aGk=</BINVAL></PHOTO>"
        )
        ask(self.juliet, "set", f"<vCard xmlns='vcard-temp'>{inside}</vCard>")
        (row,) = self.office.rows("vcard show", account="juliet")
        shown = {key: value for key, value in row.items() if value}
        self.assertEqual(
            shown,
            {
                "account": "juliet@montague.lit",
                "name": "Juliet C.",
                "email": ["j@x.lit", "juliet@y.lit"],
                "organization": "Capulet",
                "photo_type": "image/png",
                "photo_bytes": 2,
            },
        )

    def test_set(self) -> None:
        """What is named is changed or removed, and all else on the card stays."""
        ask(self.juliet, "set", CARD)
        given = {"name": "Juliet M.", "email": "j@x.lit", "remove": ["photo", "phone"]}
        self.office.says("vcard set", account="juliet", **given)
        self.assertEqual(name_on(ask(self.juliet, "get", EMPTY)), "Juliet M.")
        self.office.says("vcard set", account="juliet", nickname="<&>", remove="name")
        (row,) = self.office.rows("vcard show", account="juliet")
        found = [row[key] for key in ("name", "nickname", "email", "photo_bytes")]
        self.assertEqual(found, ["", "<&>", ["j@x.lit"], 0])
        self.office.says("vcard set", account="romeo", name="Romeo")
        answer = ask(self.juliet, "get", EMPTY, "romeo@montague.lit")
        self.assertEqual(name_on(answer), "Romeo")

    def test_delete(self) -> None:
        """A card is deleted, and was said to be before."""
        ask(self.juliet, "set", CARD)
        said = self.office.says("vcard delete", account="juliet", dry_run=True)
        self.assertIn("would be deleted", said)
        self.assertEqual(len(self.office.rows("vcard show", account="juliet")), 1)
        self.office.says("vcard delete", account="juliet")
        self.assertEqual(self.office.rows("vcard show", account="juliet"), [])
        self.assertIn("has no vCard", self.office.refusal("vcard delete", account="juliet"))

    def test_refused(self) -> None:
        """What cannot stand on a card changes nothing; what looks like code is text."""
        ask(self.juliet, "set", CARD)
        for given, why in (
            ({}, "nothing is to be changed"),
            ({"name": " "}, "name is empty"),
            ({"note": "x" * 1_024}, "note may have at most 1023 characters"),
            ({"note": "x" * 10_001}, "note is of the wrong kind, or too long"),
            ({"title": "a\x00b"}, "title has characters that XML does not allow"),
            ({"remove": "FN"}, "remove must be"),
            ({"name": "J", "remove": "name"}, "name cannot be both"),
        ):
            with self.subTest(given):
                said = self.office.refusal("vcard set", account="juliet", **given)
                self.assertIn(why, said)
        for name in ("vcard show", "vcard delete"):
            self.assertIn("does not exist", self.office.refusal(name, account="nobody"))
        self.assertEqual(name_on(ask(self.juliet, "get", EMPTY)), "Juliet")
        for hostile in ('"><script>ran()</script>', "\u202egnp.exe\u2066", "]]>", "&x;"):
            self.office.says("vcard set", account="juliet", name=hostile)
            self.assertEqual(name_on(ask(self.juliet, "get", EMPTY)), hostile)
            (row,) = self.office.rows("vcard show", account="juliet")
            self.assertEqual(row["name"], hostile)

    def test_quota(self) -> None:
        """A card is no larger than its owner could make it."""
        house = House(
            config=house_config("montague.lit", items={"max_item_bytes": 500}),
            plugins=("vcard",),
            romeo={},
        )
        said = Office(house).refusal("vcard set", account="romeo", note="x" * 600)
        self.assertIn("at most 500 bytes", said)
