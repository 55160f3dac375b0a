"""What counts as unread (UN-2), and what is read (UN-3, UN-4)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.inbox.inboxes import JULIET, NURSE, ROMEO, InboxCase, ask_inbox, chat, marker
from xmppd.store import gathered
from xmppd.store.errors import StoreError
from xmppd.store.sql import Connection
from xmppd.testing.client import done
from xmppd_plugins.archive.entries import Selection
from xmppd_plugins.inbox.entries import MAX_UNREAD, inbox

RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>"
REACTIONS = "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>"
TYPING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
REPLACE = "<replace xmlns='urn:xmpp:message-correct:0' id='a'/>"
SEALED = "<encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>"
NO_STORE = "<no-store xmlns='urn:xmpp:hints'/>"


class CountTests(InboxCase):
    """What counts."""

    def test_each(self) -> None:
        """Each message that says something counts, by whom it is of."""
        self.write_to(self.romeo, "a", "b")
        self.write_to(self.nurse, "c")
        self.romeo.send(f"<message to='{JULIET}' type='chat'>{SEALED}</message>")
        self.assertEqual(self.unread(), {"romeo": 3, "nurse": 1})

    def test_nothing(self) -> None:
        """Others do not, archived or not."""
        for children in (RECEIPT, REACTIONS, TYPING, REPLACE + "<body>b</body>"):
            self.romeo.send(f"<message to='{JULIET}' type='chat'>{children}</message>")
        self.romeo.send(chat(JULIET, "secret", NO_STORE))
        self.romeo.send(chat(JULIET, "news", type="headline"))
        self.assertEqual(self.unread(), {"romeo": 0})

    def test_own(self) -> None:
        """What somebody has sent counts for nobody but the other, copies included."""
        (tomb,) = self.house.connect("juliet/tomb")
        tomb.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        self.juliet.send(chat(NURSE, "Good nurse"))
        self.juliet.send(chat(JULIET, "Ay me"))
        self.assertEqual(self.unread(), {"nurse": 0, "juliet": 0})
        self.assertEqual(ask_inbox(self.nurse).unread, {"juliet": 1})

    def test_away(self) -> None:
        """It counts once, whether it is delivered, kept, or given back by a session that ends."""
        self.juliet.enable()
        self.write_to(self.romeo, "a")
        self.juliet.abort()
        self.write_to(self.romeo, "b")
        self.house.clock.advance(10_000)
        self.write_to(self.romeo, "c")
        (self.juliet,) = self.house.connect("juliet")
        self.assertEqual(self.unread(), {"romeo": 3})

    def test_bounced(self) -> None:
        """What comes back was never there."""
        self.romeo.send(chat(f"{JULIET}/nowhere", "a", type="normal"))
        self.assertEqual(self.unread(), {})

    def test_most(self) -> None:
        """It goes up to a limit."""
        self.write_to(self.romeo, "a")

        def change(connection: Connection) -> None:
            connection.execute(inbox.update().values(unread=MAX_UNREAD))

        done(self.house.store.database.write(change))
        self.write_to(self.romeo, "b", "c")
        self.assertEqual(self.unread()["romeo"], MAX_UNREAD)

    def test_restart(self) -> None:
        """It outlives the server."""
        self.write_to(self.romeo, "a", "b")
        self.romeo.send(chat(JULIET, "c"))  # and is not written yet
        self.house = self.house.restarted()
        (self.juliet,) = self.house.connect("juliet")
        self.assertEqual(self.unread(), {"romeo": 3})

    def test_account_removed(self) -> None:
        """Nobody inherits it with the name."""
        self.write_to(self.romeo, "a")
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.house.add("juliet")
        (self.juliet,) = self.house.connect("juliet")
        self.assertEqual(self.unread(), {})

    def test_store_fails(self) -> None:
        """What could not be written is counted later, of a limited number of conversations."""
        database = self.house.store.database
        write = database.write
        self.patch(gathered, "MAX_GATHERED", 2)

        async def refuse(change: object, *limit: float) -> None:
            raise StoreError("it is away")

        self.patch(database, "write", refuse)
        self.write_to(self.romeo, "a", "b")  # which is one more in the inbox of each
        self.house.clock.advance(1)
        self.write_to(self.romeo, "c")
        self.write_to(self.nurse, "d")
        self.patch(database, "write", write)
        self.assertEqual(self.unread(), {"romeo": 3})


class ReadTests(InboxCase):
    """What is read."""

    def setUp(self) -> None:
        super().setUp()
        self.write_to(self.romeo, "a", "b", "c")
        self.write_to(self.nurse, "d")

    def test_all(self) -> None:
        """A marker of the last message, at any device, and the conversation is read."""
        (tomb,) = self.house.connect("juliet/tomb")
        tomb.send(marker(ROMEO, "c"))
        self.assertEqual(self.unread(), {"romeo": 0, "nurse": 1})

    def test_part(self) -> None:
        """A marker of one before leaves those behind it, however many messages do not count."""
        self.romeo.send(f"<message to='{JULIET}' type='chat'>{RECEIPT}</message>")
        self.juliet.send(marker(ROMEO, "a"))
        self.assertEqual(self.unread()["romeo"], 2)
        self.juliet.send(marker(ROMEO, "b"))
        self.assertEqual(self.unread()["romeo"], 1)

    def test_many(self) -> None:
        """Of many markers at once the last ones count, and those of too many conversations wait
        for the next one.
        """
        self.limit("MAX_MARKERS", 2)
        self.limit("SEARCHED", (1, 100))
        for id in "cab":  # the first is looked at when it comes, and that takes some turns
            self.juliet.send(marker(ROMEO, id))
        self.limit("MAX_MARKED", 0)
        self.juliet.send(marker(NURSE, "d"))
        self.turn()
        self.assertEqual(self.unread(), {"romeo": 0, "nurse": 1})

    def test_forward(self) -> None:
        """It never goes back."""
        self.juliet.send(marker(ROMEO, "b"))
        self.juliet.send(marker(ROMEO, "a"))
        self.assertEqual(self.unread()["romeo"], 1)
        self.write_to(self.romeo, "e")
        self.assertEqual(self.unread()["romeo"], 2)

    def test_unknown(self) -> None:
        """A marker of a message that nobody finds is one of the last that came."""
        self.juliet.send(chat(ROMEO, "not this one").replace("<body>", f"{NO_STORE}<body>"))
        self.juliet.send(marker(ROMEO, "unheard-of"))
        self.assertEqual(self.unread()["romeo"], 0)

    def test_too_far(self) -> None:
        """One is looked for among the last ones only."""
        self.limit("SEARCHED", (1, 1))
        self.juliet.send(marker(ROMEO, "a"))
        self.turn()
        self.assertEqual(self.unread()["romeo"], 0)

    def test_pages(self) -> None:
        """Many are looked at some at a time."""
        self.limit("SEARCHED", (1, 1, 2))
        self.limit("PER_TURN", 1)
        self.juliet.send(marker(ROMEO, "a"))
        self.turn()
        self.assertEqual(self.unread()["romeo"], 2)

    def turn(self) -> None:
        """Let the reactor turn for a while."""
        for _ in range(10):
            self.house.clock.advance(0)

    def test_reply(self) -> None:
        """Whoever answers has read; whoever sends a receipt, or looks elsewhere, has not."""
        self.juliet.send(f"<message to='{ROMEO}' type='chat'>{RECEIPT}</message>")
        self.juliet.send(marker(ROMEO, "c", "received"))
        self.juliet.send(f"<message to='{ROMEO}' type='chat'>{TYPING}</message>")
        self.assertEqual(self.unread()["romeo"], 3)
        self.juliet.send(chat(ROMEO, "O Romeo"))
        self.assertEqual(self.unread()["romeo"], 0)
        self.write_to(self.romeo, "e")
        self.assertEqual(self.unread()["romeo"], 1)

    def test_theirs(self) -> None:
        """That the other has read says nothing."""
        self.juliet.send(chat(ROMEO, "f", id="f"))
        self.write_to(self.romeo, "g")
        self.romeo.send(marker(JULIET, "f"))
        self.assertEqual(self.unread()["romeo"], 1)

    def test_read(self) -> None:
        """Other plugins may say what was read."""
        first, *_ = done(self.archive.entries.page(JULIET, Selection(peer=ROMEO), 1))
        done(self.follower.read(JULIET, ROMEO, first.position))
        self.assertEqual(self.unread()["romeo"], 2)


STEPS = st.lists(
    st.one_of(
        st.just(("write",)),
        st.just(("receipt",)),
        st.just(("reply",)),
        st.tuples(st.just("read"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.floats(0, 0.3)),
    ),
    max_size=25,
)


class AnyOrderTests(InboxCase):
    """UnreadMessages is what was not displayed, whatever came in which order."""

    @settings(max_examples=40, deadline=None)
    @given(STEPS)
    def test_any_order(self, steps: list[tuple[object, ...]]) -> None:
        """As a model of it says that only remembers the messages."""
        self.setUp()
        written, read = 0, 0
        for what, *how in steps:
            if what == "write":
                written += 1
                self.romeo.send(chat(JULIET, "a", id=f"m{written}"))
            elif what == "receipt":
                self.romeo.send(f"<message to='{JULIET}' type='chat'>{RECEIPT}</message>")
            elif what == "reply":
                self.juliet.send(chat(ROMEO, "b"))
                read = written
            elif what == "read":
                number = int(str(how[0]))
                self.juliet.send(marker(ROMEO, f"m{number}"))
                if written:
                    read = max(read, number if 0 < number <= written else written)
            else:
                self.house.clock.advance(float(str(how[0])))
        self.assertEqual(self.unread().get("romeo", 0), written - read)
