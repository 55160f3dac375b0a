"""What administrators do with block lists, privacy lists and memberships of accounts."""

from tests.unit.ctl.offices import Office
from tests.unit.ctl.test_commands import OfficeCase
from xmppd.testing.house import House

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
BLOCKLIST = "<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/></iq>"
HOSTILE = ('"><script>ran()</script>', "\u202egnp.exe\u2066", "x" * 10_001, "@", "")
"""What is no address."""


class BlockTests(OfficeCase):
    def setUp(self) -> None:
        self.house = House(
            "montague.lit",
            plugins=("blocking", "privacy_lists"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.office = Office(self.house)
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def blocked(self) -> list[object]:
        """What Romeo has blocked."""
        return [row["jid"] for row in self.office.rows("block list", account="romeo")]

    def test_block(self) -> None:
        """Who is blocked for an account is heard no more there, and its clients are told."""
        self.romeo.send(BLOCKLIST)
        self.romeo.raw()
        said = self.office.replies("block add", account="romeo", jid=["juliet", "evil.example"])
        self.assertEqual(said, [f"{ROMEO} blocks {JULIET}", f"{ROMEO} blocks evil.example"])
        self.assertEqual(self.blocked(), [JULIET, "evil.example"])
        told = "".join(self.romeo.received())
        self.assertIn(f"<block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/>", told)
        self.juliet.send(f"<message to='{ROMEO}'><body>hist</body></message>")
        self.assertNotIn("hist", "".join(self.romeo.received()))
        gone = self.office.says("block remove", account="romeo", jid="juliet")
        self.assertEqual(gone, f"{ROMEO} does not block {JULIET} any more")
        told = "".join(self.romeo.received())
        self.assertIn(f"<unblock xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/>", told)
        self.juliet.send(f"<message to='{ROMEO}'><body>hist</body></message>")
        self.assertIn("hist", "".join(self.romeo.received()))
        self.assertEqual(self.blocked(), ["evil.example"])

    def test_refused(self) -> None:
        """No account, oneself, nobody who is blocked, and no address: each in a sentence."""
        for name in ("block list", "block add", "block remove", "privacy list"):
            told = {} if name.endswith("list") else {"jid": "x@y.lit"}
            said = self.office.refusal(name, account="nobody", **told)
            self.assertIn("nobody@montague.lit does not exist", said)
        for jid, why in (
            ("romeo", "cannot block itself"),
            *((hostile, "") for hostile in HOSTILE),
        ):
            said = self.office.refusal("block add", account="romeo", jid=[jid])
            self.assertIn(why, said)
        said = self.office.refusal("block remove", account="romeo", jid=["x@y.lit"])
        self.assertIn(f"{ROMEO} does not block x@y.lit", said)
        self.assertEqual(self.blocked(), [])

    def test_many(self) -> None:
        """An account blocks no more than its owner could."""
        most = self.house.server.config.privacy.max_items_per_list
        for begin in range(0, most, 1_000):
            few = [f"p{number}@x.lit" for number in range(begin, min(begin + 1_000, most))]
            self.office.replies("block add", account="romeo", jid=few)
        said = self.office.refusal("block add", account="romeo", jid="one@more.lit")
        self.assertIn(f"at most {most:,}".replace(",", ""), said)

    def set_list(self, name: str, items: str) -> None:
        """Romeo's client makes a list."""
        inside = f"<list name='{name}'>{items}</list>"
        self.romeo.send(
            f"<iq type='set' id='l'><query xmlns='jabber:iq:privacy'>{inside}</query></iq>"
        )

    def use(self, kind: str, name: str) -> None:
        """It uses one."""
        inside = f"<{kind} name='{name}'/>"
        self.romeo.send(
            f"<iq type='set' id='u'><query xmlns='jabber:iq:privacy'>{inside}</query></iq>"
        )

    def test_lists(self) -> None:
        """Lists are shown with what they say and who uses them; the default one is another, and one
        is deleted, also while it is in force.
        """
        self.set_list(
            "work",
            f"<item action='deny' order='1' type='jid' value='{JULIET}'><message/></item>"
            "<item action='allow' order='2'/>",
        )
        self.set_list("none", "<item action='deny' order='7' type='group' value='x'/>")
        self.set_list("all", "<item action='deny' order='7' type='subscription' value='none'/>")
        self.use("active", "work")
        rows = {row["name"]: row for row in self.office.rows("privacy list", account="romeo")}
        self.assertEqual(set(rows), {"work", "all"})  # the roster has no group x
        self.assertEqual(
            rows["work"]["rules"], [f"deny jid {JULIET}: message", "allow everybody: everything"]
        )
        self.assertEqual(rows["all"]["rules"], ["deny subscription none: everything"])
        self.assertEqual(rows["work"]["used_by"], [self.romeo.session.jid.resource])
        self.juliet.send(f"<message to='{ROMEO}'><body>hist</body></message>")
        self.assertNotIn("hist", "".join(self.romeo.received()))
        said = self.office.says("privacy delete", account="romeo", name="work", dry_run=True)
        self.assertIn("which has 2 rules, would be deleted", said)
        self.office.says("privacy delete", account="romeo", name="work")
        self.juliet.send(f"<message to='{ROMEO}'><body>hist</body></message>")
        self.assertIn("hist", "".join(self.romeo.received()))
        self.office.says("privacy default", account="romeo", name="all")
        (row,) = self.office.rows("privacy list", account="romeo")
        self.assertEqual((row["name"], row["default"], row["used_by"]), ("all", True, []))
        self.assertIn("no default", self.office.says("privacy default", account="romeo"))
        self.assertFalse(self.office.rows("privacy list", account="romeo")[0]["default"])
        for name in ("privacy delete", "privacy default"):
            for hostile in ("work", *HOSTILE[:2]):
                said = self.office.refusal(name, account="romeo", name=hostile)
                self.assertIn(f"{ROMEO} has no list {hostile}", said)


class MemberTests(OfficeCase):
    def test_join_and_leave(self) -> None:
        """An account comes into a shared group and goes; its page shows only those it is in."""
        for name in ("house", "feast"):
            self.office.says("group save", group=name)
        said = self.office.says("group join", account="romeo", group="house")
        self.assertEqual(said, f"{ROMEO} is in the group house")
        self.office.says("group join", account="juliet", group="house")
        (row,) = self.office.rows("group list", account="romeo")
        self.assertEqual((row["group"], row["members"]), ("house", [ROMEO, JULIET]))
        self.assertEqual(len(self.office.rows("group list")), 2)
        said = self.office.refusal("group join", account="romeo", group="house")
        self.assertIn("already in the group", said)
        said = self.office.says("group leave", account="romeo", group="house")
        self.assertEqual(said, f"{ROMEO} is not in the group house any more")
        self.assertEqual(self.office.rows("group list", account="romeo"), [])
        said = self.office.refusal("group leave", account="romeo", group="house")
        self.assertIn("is not in the group", said)

    def test_refused(self) -> None:
        """Neither an account nor a group is made by it."""
        self.office.says("group save", group="house")
        for given, why in (
            ({"account": "nobody", "group": "house"}, "nobody@montague.lit does not exist"),
            ({"account": "romeo", "group": "ball"}, "group ball does not exist"),
            ({"account": "romeo", "group": '"><script>'}, '"><script> does not exist'),
            ({"account": "romeo"}, "group is missing"),
            ({"account": '"><script>', "group": "house"}, "is not an address"),
        ):
            with self.subTest(given):
                self.assertIn(why, self.office.refusal("group join", **given))
        self.assertEqual([row["members"] for row in self.office.rows("group list")], [[]])
