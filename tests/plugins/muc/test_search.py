"""Searching for rooms (XEP-0433)."""

import re

from tests.plugins.muc.halls import SERVICE, RoomsCase
from xmppd.command.command_context import SHELL
from xmppd.testing.client import Client, done
from xmppd_plugins.muc.search import public_rooms
from xmppd_plugins.muc.store import RoomStore

SEARCH = "urn:xmpp:channel-search:0:search"
ADDRESS = "{urn:xmpp:channel-search:0:order}address"


class SearchCase(RoomsCase):
    """The coven and the orchard are for everybody, the tomb is not."""

    def setUp(self) -> None:
        super().setUp()
        for room, *changes in (
            ("coven", "roomname=Three Witches", "roomdesc=A dark cave", "whois=anyone"),
            ("orchard", "roomname=Below the Balcony", "roomsecret=rope"),
            ("tomb", "roomname=Dark Tomb", "publicroom=0"),
        ):
            address = f"{room}@{SERVICE}"
            self.give("room create", room=address, owner="romeo@montague.lit")
            self.give("room config", room=address, set=changes)
        self.romeo = self.client("romeo")

    def give(self, name: str, **given: object) -> None:
        """Have a command done."""
        commands = self.house.server.commands

        async def read() -> None:
            async for _ in commands.replies(*commands.asked(name, given, SHELL)):
                pass

        done(read())

    def ask(self, client: Client, inner: str) -> str:
        """What the service answers."""
        client.raw()
        client.send(
            f"<iq type='get' id='s' to='{SERVICE}'><search xmlns='{SEARCH}'>{inner}</search></iq>"
        )
        return "".join(client.received())

    def search(self, page: str = "", **fields: str) -> str:
        """What it answers to a form."""
        lines = "".join(
            f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items()
        )
        form = f"<x xmlns='jabber:x:data' type='submit'>{lines}</x>"
        part = f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>" if page else ""
        return self.ask(self.romeo, part + form)

    def found(self, page: str = "", **fields: str) -> list[str]:
        """The rooms that are found."""
        answer = self.search(page, **fields)
        self.assertIn("type='result'", answer)
        return re.findall("<item address=.([a-z]+)@", answer)


class SearchTests(SearchCase):
    def test_form(self) -> None:
        """Who does not know the form is shown it."""
        self.assertIn("sindescription", self.ask(self.romeo, ""))

    def test_words(self) -> None:
        """A room is found by all words, in name, description or address, whatever their case."""
        for words, rooms in (
            ("witches", ["coven"]),
            ("WITCHES cave", ["coven"]),
            ("witches balcony", []),
            ("orchard", ["orchard"]),
            ("dark", ["coven"]),
        ):
            with self.subTest(words):
                self.assertEqual(self.found(q=words), rooms)

    def test_places(self) -> None:
        """Words are searched for where the asker says."""
        self.assertEqual(self.found(q="cave", sindescription="0"), [])
        self.assertEqual(self.found(q="coven", sinaddress="false"), [])
        self.assertEqual(self.found(q="three", sinname="0"), [])

    def test_all(self) -> None:
        """All rooms that are for everybody are found, by address or by who is in, in pages."""
        self.enter(self.romeo, "Romeo", "<password>rope</password>", f"orchard@{SERVICE}")
        self.assertEqual(self.found(all="1", key=ADDRESS), ["coven", "orchard"])
        self.assertEqual(self.found(all="1"), ["orchard", "coven"])
        page = "<max>1</max>"
        self.assertEqual(self.found(page, all="1", key=ADDRESS), ["coven"])
        page += f"<after>coven@{SERVICE}</after>"
        self.assertEqual(self.found(page, all="1", key=ADDRESS), ["orchard"])

    def test_item(self) -> None:
        """Of a room it is said how it is."""
        self.enter(self.romeo, "Romeo", "<password>rope</password>", f"orchard@{SERVICE}")
        answer = self.search(q="orchard")
        for part in (
            "<name>Below the Balcony</name>",
            "<nusers>1</nusers>",
            "<is-open>false</is-open>",
            "<anonymity-mode>muc_semianonymous</anonymity-mode>",
        ):
            self.assertIn(part, answer)
        self.assertIn("anonymity}none</anonymity-mode>", self.search(q="coven"))

    def test_wrong(self) -> None:
        """A search that makes no sense is refused by what is wrong with it."""
        for fields, name in (
            ({"q": "a"}, "invalid-search-terms"),
            ({"q": " "}, "invalid-search-terms"),
            ({"q": "word " * 11}, "invalid-search-terms"),
            ({"q": "word", "all": "1"}, "conflicting-fields"),
            ({}, "no-search-conditions"),
            ({"all": "1", "key": "size"}, "invalid-sort-key"),
        ):
            with self.subTest(name):
                self.assertIn(name, self.search(**fields))
        self.assertIn("bad-request", self.search(q="word", sinname="perhaps"))

    def test_many(self) -> None:
        """A search looks at so many rooms, by address, and at no more."""
        store = RoomStore(self.house.server.store.database)
        for most in (0, 1, 2, 3):
            looking = public_rooms(store, {}, SERVICE, most)
            rooms = [each.address.partition("@")[0] for each in done(looking)]
            self.assertEqual(rooms, ["coven", "orchard"][:most])

    def test_announced(self) -> None:
        """The service says that it can be searched."""
        query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        self.romeo.send(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")
        self.assertIn(SEARCH, "".join(self.romeo.received()))


class WordSearchTests(SearchCase):
    def words(self, words: str) -> str:
        """The answer to a search by the older form."""
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            "<value>jabber:iq:search</value></field>"
            f"<field var='words'><value>{words}</value></field></x>"
        )
        return self.search_by(f"<query xmlns='jabber:iq:search'>{form}</query>", "set")

    def search_by(self, query: str, kind: str) -> str:
        self.romeo.raw()
        self.romeo.send(f"<iq type='{kind}' id='w' to='{SERVICE}'>{query}</iq>")
        return "".join(self.romeo.received())

    def test_found(self) -> None:
        """Rooms are found by words with the form of XEP-0055 too (RM-67)."""
        asked = self.search_by("<query xmlns='jabber:iq:search'/>", "get")
        self.assertIn("var='words'", asked)
        answer = self.words("balcony")
        self.assertIn(f"<value>orchard@{SERVICE}</value>", answer)
        self.assertIn("<value>Below the Balcony</value>", answer)
        self.assertNotIn("coven", answer)

    def test_wrong(self) -> None:
        """A search without words, or without the form, is refused."""
        self.assertIn("not-acceptable", self.words("a"))
        self.assertIn("bad-request", self.search_by("<query xmlns='jabber:iq:search'/>", "set"))
