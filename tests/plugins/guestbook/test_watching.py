"""Sessions that watch their guestbook."""

from tests.plugins.asking import condition
from tests.plugins.guestbook.books import (
    JULIET,
    ROMEO,
    BookCase,
    book,
    sign,
    visitors,
    watch,
)
from tests.unit.login.logins import authenticate, plain
from xmppd.command.command_context import SHELL
from xmppd.login.bind2 import NS as BIND2
from xmppd.stanza import JID
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD
from xmppd_plugins.guestbook.book import NS
from xmppd_plugins.guestbook.watchers import MAX_VISITORS


def write(client: Client, to: str = ROMEO) -> None:
    """Write a message."""
    client.send(f"<message to='{to}' type='chat'><body>Hist!</body></message>")


class WatchTests(BookCase):
    def test_told(self) -> None:
        """Who watches is told of each entry; others are not."""
        other = self.house.bind("romeo", "2")
        watch(self.romeo), watch(self.romeo)
        sign(self.juliet)
        (notice,) = self.romeo.received()
        self.assertIn(f"<signed xmlns='{NS}'", notice)
        self.assertIn(f"from='{ROMEO}'", notice)
        self.assertIn("Ay me!</signed>", notice)
        self.assertEqual(other.received(), [])
        watch(self.romeo, "on='false'")
        sign(self.juliet)
        self.assertEqual(self.romeo.received(), [])

    def test_visitors(self) -> None:
        """Who writes to an account that watches its book is a visitor, whom the owner sees."""
        write(self.juliet)
        watch(self.romeo)
        self.assertEqual(visitors(book(self.romeo)), [])
        write(self.tybalt), write(self.juliet), write(self.tybalt), write(self.romeo)
        self.romeo.raw()
        self.assertEqual(visitors(book(self.romeo)), [JULIET, "tybalt@montague.lit"])
        self.assertEqual(visitors(book(self.juliet)), [])

    def test_bounded(self) -> None:
        """Only the latest visitors are remembered."""
        watch(self.romeo)
        for number in range(MAX_VISITORS + 2):
            self.house.add(f"servant{number}")
            write(self.house.bind(f"servant{number}"))
        self.romeo.raw()
        found = visitors(book(self.romeo))
        self.assertEqual((len(found), found[0]), (MAX_VISITORS, "servant2@montague.lit"))

    def test_closed(self) -> None:
        """With the last session that watches all is forgotten."""
        watch(self.romeo)
        write(self.juliet)
        self.romeo.abort()
        self.assertEqual(self.house.server.followers.of, {})
        (self.romeo,) = self.house.connect("romeo")
        self.assertEqual(visitors(book(self.romeo)), [])
        self.assertEqual(dict(self.house.server.metrics.numbers())["guestbook_watchers"], 0)

    def test_explained(self) -> None:
        """It is explained what a message would do."""
        self.assertNotIn("visitor", self.explained())
        watch(self.romeo)
        self.assertIn(f"the sender becomes a visitor of {ROMEO}", self.explained())
        self.assertEqual(visitors(book(self.romeo)), [])

    def explained(self) -> str:
        """What is said of a message from Juliet to Romeo."""

        async def run() -> str:
            table = self.house.server.commands
            asked = table.asked("explain message", {"sender": JULIET, "to": ROMEO}, SHELL)
            return str([reply async for reply in table.replies(*asked)])

        return done(run())

    def test_inline(self) -> None:
        """A client watches from the moment it binds a resource."""
        done(self.house.server.passwords.set_password(ROMEO, PASSWORD))
        client = self.house.unauthenticated(encrypted=True)
        client.open("montague.lit")
        inline = f"<bind xmlns='{BIND2}'><watch xmlns='{NS}'/></bind>"
        client.send(authenticate(plain(), inline))
        client.raw()
        self.assertEqual(dict(self.house.server.metrics.numbers())["guestbook_watchers"], 1)

    def test_announced(self) -> None:
        """The stream says after login that there are guestbooks."""
        client = self.house.unauthenticated()
        client.open("montague.lit")
        self.assertNotIn(f"<guestbook xmlns='{NS}'/>".encode(), client.raw())
        client.stanza_handler.authenticated(JID.parse(ROMEO))
        client.handler.restart()
        client.open("montague.lit")
        self.assertIn(f"<guestbook xmlns='{NS}'/>".encode(), client.raw())

    def test_restart(self) -> None:
        """A session that is resumed after a restart still watches."""
        id = self.romeo.enable()
        watch(self.romeo)
        self.romeo.send("<r xmlns='urn:xmpp:sm:3'/>")
        house = self.house.restarted()
        romeo = house.logged_in("romeo")
        romeo.resume(id, 1)
        (juliet,) = house.connect("juliet")
        romeo.raw()
        sign(juliet)
        self.assertIn(f"<signed xmlns='{NS}'", str(romeo.received()))

    def test_forged(self) -> None:
        """Only the server says that a book was signed."""
        self.juliet.send(f"<message to='{ROMEO}'><signed xmlns='{NS}'>forged</signed></message>")
        (answer,) = self.juliet.received()
        self.assertIn("forbidden", answer)
        self.juliet.send(f"<message to='{ROMEO}'><body>{NS}</body></message>")
        self.assertEqual(len(self.romeo.received()), 1)

    def test_not_another(self) -> None:
        """Nobody watches somebody else's book."""
        self.juliet.send(f"<iq type='set' id='w' to='{ROMEO}'><watch xmlns='{NS}'/></iq>")
        (answer,) = self.juliet.received()
        self.assertIn("service-unavailable", answer)
        self.assertEqual(condition(sign(self.juliet)), "result")
        self.assertEqual(self.juliet.received(), [])
