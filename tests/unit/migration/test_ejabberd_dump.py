"""People come from a dump of ejabberd: what an old or damaged one has, and what is said of it."""

from pathlib import Path

from tests.unit.migration.movers import MovingCase
from xmppd.command.refused import Refused
from xmppd.testing.client import done

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
HEAD = """{tables,[{passwd,[{record_name,passwd},{attributes,[us,password]}]},
         {roster,[{record_name,roster},{attributes,[usj,us,jid,name,subscription,ask,groups,
                                                    askmessage,xs]}]},
         {vcard,[{record_name,vcard},{attributes,[us,vcard]}]},
         {pubsub_node,[{attributes,[nodeid,id,parents,type,owners,options]}]},
         {pubsub_item,[{attributes,[itemid,nodeidx,creation,modification,payload]}]},
         {privacy,[{record_name,privacy},{attributes,[us,default,lists]}]}]}.
"""
US = '{<<"romeo">>,<<"montague.lit">>}'
PASSWORD = '{passwd,{<<"romeo">>,<<"montague.lit">>},<<"x">>}.\n'
CONTACT = (
    '{{roster,{us},{us},{{<<"{name}">>,<<"montague.lit">>,<<>>}},{text},to,none,[],<<>>,[]}}.\n'
)


class EjabberdDumpTests(MovingCase):
    def dump(self, text: str, head: str = HEAD) -> Path:
        """A file with such records."""
        path = self.directory / "dump.txt"
        path.write_text(head + text)
        return path

    def test_damaged(self) -> None:
        """A record that cannot be read is named with its line, and all others are there."""
        bad = '<<"\\xff">>'
        said = self.bring(
            self.dump(
                PASSWORD
                + CONTACT.format(us=US, name="juliet", text=bad)
                + CONTACT.format(us=US, name="nurse", text="<<>>")
                + "{vcard,oops oops}.\n"
                + PASSWORD.replace("romeo", "juliet")
            ),
            "ejabberd",
        )
        self.assertEqual(
            said,
            [
                f"{JULIET} was imported",
                f"{ROMEO} was imported, but: roster: line 9: a text is not UTF-8",
            ],
        )
        self.assertEqual(set(self.subscriptions(ROMEO)), {"nurse@montague.lit"})

    def test_left_behind(self) -> None:
        """What is of no person, or cannot be read, is said by name."""
        lines = self.told(
            self.dump(
                PASSWORD
                + '{muc_room,{<<"orchard">>,<<"conference.montague.lit">>},[]}.\n'
                + '{push_session,{<<"romeo">>,<<"montague.lit">>},{1,2,3}}.\n'
                + "{vcard,oops oops}.\n" * 55
            ),
            "ejabberd",
        )
        self.assertIn("not imported: and 5 more", lines)
        self.assertEqual(
            [line for line in lines if line.startswith("not imported")][:3],
            [
                "not imported: records of push_session: 1",
                "not imported: rooms of conference.montague.lit: 1",
                "not imported: line 11: two values without a comma",
            ],
        )

    def test_refused(self) -> None:
        """What is no dump, or not all of one, is refused before anybody has moved in."""
        for text, head, why in (
            (PASSWORD + "{passwd,{<<", HEAD, "dump.txt, line 9: .* is the file whole"),
            ("", "{config,a}.\n", "dump.txt, line 1: not a dump of ejabberd"),
            ("", "root:x:0:0\n", "dump.txt, line 1: .* has no end"),
            ("", "{tables,[]}.\n", "not a dump of ejabberd with accounts"),
        ):
            with self.subTest(why), self.assertRaisesRegex(Refused, why):
                self.bring(self.dump(text, head), "ejabberd")
        self.assertEqual(done(self.house.store.accounts.count_accounts("montague.lit")), 0)
        with self.assertRaisesRegex(Refused, "does not exist"):
            self.bring(self.directory / "nowhere", "ejabberd")

    def test_no_password(self) -> None:
        """Who has a roster and no password, since something else knew it, is there and listed."""
        (said,) = self.bring(
            self.dump(CONTACT.format(us=US, name="nurse", text="<<>>")), "ejabberd"
        )
        self.assertIn(f"xmppctl user password {ROMEO}", said)

    def test_old(self) -> None:
        """An old one, with texts as lists, and keys that do not name their hash."""
        text = (
            PASSWORD.replace("<<", "")
            .replace(">>", "")
            .replace(
                '"x"',
                '{scram,"kNOoCP/qR87kXLZa5NBkcmWaBlA=","kNOoCP/qR87kXLZa5NBkcmWaBlA=",'
                '"c2FsdA==",4096}',
            )
            + '{vcard,{"romeo","montague.lit"},{xmlelement,"vCard",[{"xmlns","vcard-temp"}],[]}}.\n'
        )
        self.assertEqual(self.bring(self.dump(text), "ejabberd"), [f"{ROMEO} was imported"])

    def test_blocked_alike(self) -> None:
        """Whom it has blocked all have one place in the list, and each has its own here."""
        items = ",".join(
            f'{{listitem,jid,{{<<"{name}">>,<<"x.lit">>,<<>>}},deny,0,true,false,false,false,false}}'
            for name in ("paris", "sampson")
        )
        lists = f'{{privacy,{US},<<"Blocked">>,[{{<<"Blocked">>,[{items}]}}]}}.\n'
        self.assertEqual(
            self.bring(self.dump(PASSWORD + lists), "ejabberd"), [f"{ROMEO} was imported"]
        )
        romeo = self.house.bind("romeo")
        romeo.send("<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
        self.assertEqual(romeo.raw().count(b"x.lit"), 2)

    def test_oldest_first(self) -> None:
        """Items of a node come in the order of their times, not in that of the table."""
        node = (
            f'{{pubsub_node,{{{US[:-1]},<<>>}},<<"urn:news">>}},1,[],<<"pep">>,[],'
            "[{max_items,2},{persist_items,true}]}.\n"
        )
        item = (
            '{{pubsub_item,{{<<"{id}">>,1}},1,{at},{at},'
            '[{{xmlel,<<"e">>,[{{<<"xmlns">>,<<"urn:news">>}}],[]}}]}}.\n'
        )
        at = '{{{{1,2,{}}},{{<<"romeo">>,<<"montague.lit">>,<<>>}}}}'
        text = PASSWORD + node + "".join(item.format(id=id, at=at.format(id)) for id in (3, 1, 2))
        self.assertEqual(self.bring(self.dump(text), "ejabberd"), [f"{ROMEO} was imported"])
        exported = self.exported(self.house, "out")["romeo@montague.lit.xml"]
        kept = [id for id in (1, 2, 3) if f"item id='{id}'".encode() in exported]
        self.assertEqual(kept, [2, 3])
