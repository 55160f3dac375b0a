"""Whose messages are archived, as each account says (XEP-0441, AR-12)."""

from xml.etree import ElementTree

from tests.plugins.archive.archives import JULIET, ROMEO, chat
from tests.plugins.archive.queries import QueryCase
from xmppd.config.config import Config
from xmppd.stanza import jid
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import done
from xmppd.testing.house import house_config
from xmppd_plugins.archive.preferences import MAX_JIDS
from xmppd_plugins.archive.tables import PREFERENCES, SAVE_PREFERENCES

MERCUTIO = "mercutio@montague.lit"
MAM = "{urn:xmpp:mam:2}"


class PreferenceCase(QueryCase):
    """Romeo has preferences."""

    def setUp(self) -> None:
        super().setUp()
        self.house.add("mercutio")
        (self.mercutio,) = self.house.connect("mercutio")
        self.romeo.raw()

    def want(self, default: str = "always", always: str = "", never: str = "") -> str:
        """What Romeo is answered when he wants that."""
        lists = "".join(
            f"<{name}>{''.join(f'<jid>{each}</jid>' for each in jids.split())}</{name}>"
            for name, jids in (("always", always), ("never", never))
        )
        self.romeo.raw()
        self.romeo.send(
            f"<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='{default}'>{lists}"
            "</prefs></iq>"
        )
        return self.read(self.romeo.received()[-1])

    def wants(self) -> str:
        """What Romeo is told he wants."""
        self.romeo.raw()
        self.romeo.send("<iq type='get' id='p'><prefs xmlns='urn:xmpp:mam:2'/></iq>")
        return self.read(self.romeo.received()[-1])

    def read(self, answer: str) -> str:
        """An answer in short: the default, who always, and who never; or an error."""
        tree = ElementTree.fromstring(answer)
        error = tree.find("error")
        if error is not None:
            return error[0].tag.rpartition("}")[2]
        always, never = (tree[0].find(f"{MAM}{name}") for name in ("always", "never"))
        assert always is not None and never is not None, "both are always there"
        lists = ",".join(each.text or "" for each in always), ",".join(e.text or "" for e in never)
        return " ".join((tree[0].attrib["default"], *lists)).strip()

    def stored(self) -> int:
        """The number of accounts that want something."""
        return len(done(self.archive.database.read(PREFERENCES, {})))

    def exchange(self) -> str:
        """What is kept in Romeo's archive of a message each way, with a contact and a stranger."""
        before = self.said(ROMEO)
        self.say("a")
        self.say("b", sender=self.juliet, to=ROMEO)
        self.say("c", to=MERCUTIO)
        self.say("d", sender=self.mercutio, to=f"{ROMEO}/1")
        return "".join(self.said(ROMEO)[len(before) :])


class PreferenceTests(PreferenceCase):
    def test_default(self) -> None:
        """Everything is archived, and whoever asks is told so (Converse#1676)."""
        self.assertEqual(self.wants(), "always")
        self.assertEqual(self.exchange(), "abcd")

    def test_never(self) -> None:
        """Nothing is archived for an account that does not want it; its peers' archives have it."""
        self.assertEqual(self.want("never"), "never")
        self.assertEqual(self.exchange(), "")
        self.assertEqual(self.said(JULIET), ["a", "b"])
        self.assertEqual(self.wants(), "never")

    def test_no_id(self) -> None:
        """What is not archived has no id (AR-22), and waits all the same for who is away."""
        self.want("never")
        self.say("b", sender=self.juliet, to=ROMEO)
        self.assertNotIn("stanza-id", self.romeo.received()[-1])
        self.romeo.send("<presence type='unavailable'/>")
        self.say("c", sender=self.juliet, to=ROMEO)
        self.romeo.raw()
        self.ask()
        self.romeo.send("<presence/>")
        self.assertIn("<body>c</body>", "".join(self.romeo.received()))

    def test_roster(self) -> None:
        """Only messages of contacts, those of a shared group and oneself are archived."""
        self.want("roster")
        self.assertEqual(self.exchange(), "ab")
        self.say("me", to=ROMEO)
        self.assertEqual(self.said(ROMEO)[-1], "me")
        group = SharedGroup("friends", "Friends", (ROMEO, MERCUTIO))
        done(self.house.server.shared_groups.save(group))
        self.assertEqual(self.exchange(), "abcd")

    def test_away(self) -> None:
        """It holds for who is away."""
        self.want("roster")
        self.romeo.send("</stream:stream>")
        self.say("b", sender=self.juliet, to=ROMEO)
        self.say("d", sender=self.mercutio, to=ROMEO)
        self.assertEqual(self.said(ROMEO), ["b"])

    def test_lists(self) -> None:
        """Who is named goes by that, and not by the default; never is stronger, also than what a
        sender would like.
        """
        self.assertEqual(
            self.want("never", always=JULIET, never=MERCUTIO), f"never {JULIET} {MERCUTIO}"
        )
        self.assertEqual(self.exchange(), "ab")
        self.want("always", always=f"{MERCUTIO} {JULIET}", never=MERCUTIO)
        self.assertEqual(self.exchange(), "ab")
        self.mercutio.send(chat(ROMEO, "e", "<store xmlns='urn:xmpp:hints'/>"))
        self.assertNotIn("e", self.said(ROMEO))

    def test_resources(self) -> None:
        """A full JID is that one only, a bare one all of its resources."""
        self.want("never", always=f"{MERCUTIO}/1")
        self.assertEqual(self.exchange(), "d")

    def test_prepared(self) -> None:
        """JIDs are answered as they are compared; twice the same is once."""
        answer = self.want(never="Juliet@Montague.LIT juliet@montague.lit")
        self.assertEqual(answer, f"always  {JULIET}")
        self.assertEqual(self.wants(), answer)
        self.assertEqual(self.exchange(), "cd")

    def test_again(self) -> None:
        """What everybody has takes no place, so that clients may set it at each login as Monal
        does.
        """
        self.want("never")
        self.assertEqual(self.stored(), 1)
        self.assertEqual(self.want("always"), "always")
        self.assertEqual(self.stored(), 0)
        self.assertEqual(self.exchange(), "abcd")

    def test_restart(self) -> None:
        """It outlives a restart."""
        self.want("never", always=JULIET)
        self.house = self.house.restarted()
        self.romeo, self.juliet, self.mercutio = self.house.connect("romeo", "juliet", "mercutio")
        self.assertEqual(self.wants(), f"never {JULIET}")
        self.assertEqual(self.exchange(), "ab")

    def test_removed(self) -> None:
        """It goes with the account, and a new one of the name begins as everybody does."""
        self.want("never")
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.assertEqual(self.stored(), 0)
        done(self.house.store.accounts.create_account(ROMEO, []))
        (self.romeo,) = self.house.connect("romeo")
        self.assertEqual(self.wants(), "always")

    def test_refused(self) -> None:
        """What makes no sense is refused, and nothing is changed."""
        self.want("roster", never=MERCUTIO)
        many = " ".join(f"{n}@a.lit" for n in range(MAX_JIDS + 1))
        for condition, answer in (
            ("bad-request", self.want("sometimes")),
            ("bad-request", self.want("")),
            ("jid-malformed", self.want(never=f"{JULIET} romeo@")),
            ("jid-malformed", self.want(always="@")),
            ("not-acceptable", self.want(never=many)),
            ("not-acceptable", self.want(always=many)),
        ):
            self.assertEqual(answer, condition)
        self.assertEqual(self.wants(), f"roster  {MERCUTIO}")
        self.assertNotEqual(self.want(never=many.partition(" ")[2]), "not-acceptable")

    def test_dear(self) -> None:
        """JIDs that take long to be prepared are not prepared without end."""
        jid._label.cache_clear()
        names = [".".join(chr(0xAC00 + 11 * n + i) for i in range(40)) for n in range(900)]
        many = " ".join(names)
        self.assertEqual(self.want(never=many), "not-acceptable")

    def test_others(self) -> None:
        """Nobody else is told, or may change them."""
        for kind in ("get", "set"):
            self.juliet.raw()
            self.juliet.send(
                f"<iq type='{kind}' id='p' to='{ROMEO}'>"
                "<prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>"
            )
            self.assertIn("<forbidden", self.juliet.received()[-1])

    def test_damaged(self) -> None:
        """A row that cannot be read is as if it said nothing; others hold."""
        self.want("never")
        damaged = {"owner": b"x" * 32, "document": "{"}
        done(
            self.archive.database.write(
                lambda connection: connection.execute(SAVE_PREFERENCES.on(connection), damaged)
            )
        )
        self.house = self.house.restarted()
        (self.romeo,) = self.house.connect("romeo")
        self.assertEqual(self.wants(), "never")


class FixedTests(PreferenceCase):
    """Everybody has what the administrator wants."""

    def config(self, **tables: object) -> Config:
        return house_config("montague.lit", archive={"default": "roster", "preferences": False})

    def test_fixed(self) -> None:
        """It is told to who asks, and may not be changed."""
        self.assertEqual(self.wants(), "roster")
        self.assertEqual(self.want("never"), "not-allowed")
        self.assertEqual(self.want("roster"), "not-allowed")
        self.assertEqual(self.exchange(), "ab")
