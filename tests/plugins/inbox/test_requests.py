"""Asking for an inbox (UN-5)."""

from tests.plugins.asking import ask, condition
from tests.plugins.inbox.inboxes import JULIET, NS, NURSE, ROMEO, InboxCase, chat, marker
from xmppd.stanza.guests import is_guest
from xmppd.testing.client import done
from xmppd_plugins.archive.entries import ALL

DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>"


class InboxTests(InboxCase):
    """Juliet asks for hers."""

    def names(self, attributes: str = "", page: str = "") -> list[str]:
        """With whom the conversations are that she is shown."""
        shown = self.inbox(attributes, page).conversations
        return [each.jid.partition("@")[0] for each in shown]

    def ids(self) -> list[str]:
        """The ids of the last messages."""
        return [each.id for each in self.inbox().conversations]

    def fill(self, *names: str) -> None:
        """Others write to her, one after the other."""
        for name in names:
            self.house.add(name)
            self.write_to(self.house.bind(name), name)
        self.juliet.raw()

    def test_disco(self) -> None:
        """The account announces it."""
        answer = ask(self.juliet, "get", DISCO, JULIET)
        self.assertIn(NS, [feature.get("var") for feature in answer[0]])

    def test_empty(self) -> None:
        """Who speaks with nobody has an empty one."""
        answer = self.inbox()
        self.assertEqual((answer.conversations, answer.totals), ([], (0, 0, 0)))

    def test_shown(self) -> None:
        """Each conversation is shown with its unread messages, the last id, and what was said last;
        that with the newest message first.
        """
        self.write_to(self.romeo, "a", "b")
        self.write_to(self.nurse, "c")
        self.juliet.send(chat(ROMEO, "O Romeo"))
        answer = self.inbox()
        last = done(self.archive.entries.last(JULIET))
        assert last is not None
        first, second = answer.conversations
        self.assertEqual(first, (ROMEO, 0, self.archive.id_of(JULIET, last.position), "O Romeo"))
        self.assertEqual((second.jid, second.unread, second.body), (NURSE, 1, "c"))
        self.assertEqual(answer.totals, (2, 1, 1))

    def test_spoken(self) -> None:
        """The last id is that of a receipt as well; what is shown is what was said last."""
        self.write_to(self.romeo, "a")
        (before,) = self.ids()
        self.romeo.send(f"<message to='{JULIET}' type='chat'>{RECEIPT}</message>")
        (shown,) = self.inbox().conversations
        self.assertNotEqual(shown.id, before)
        self.assertEqual(shown.body, "a")

    def test_without_messages(self) -> None:
        """On request the messages are left out."""
        self.write_to(self.romeo, "a")
        (shown,) = self.inbox("messages='false'").conversations
        self.assertEqual((shown.unread, shown.body), (1, ""))

    def test_unread_only(self) -> None:
        """On request only those are shown that have unread messages; the totals are the same."""
        self.write_to(self.romeo, "a")
        self.write_to(self.nurse, "b")
        self.juliet.send(marker(ROMEO, "a"))
        answer = self.inbox("unread-only='true'")
        self.assertEqual([each.jid for each in answer.conversations], [NURSE])
        self.assertEqual(answer.totals, (2, 1, 1))
        self.assertEqual(answer.fin[0].findtext(".//{*}count"), "1")

    def test_pages(self) -> None:
        """They are given in pages, in both directions (:xep:`0059`)."""
        self.fill("a", "b", "c", "d")
        d, c, b, a = self.ids()
        self.assertEqual(self.names(page="<max>2</max>"), ["d", "c"])
        self.assertEqual(self.names(page=f"<max>2</max><after>{c}</after>"), ["b", "a"])
        self.assertEqual(self.names(page=f"<max>2</max><after>{a}</after>"), [])
        self.assertEqual(self.names(page="<max>2</max><before/>"), ["b", "a"])
        self.assertEqual(self.names(page=f"<max>2</max><before>{b}</before>"), ["d", "c"])
        self.assertEqual(self.names(page=f"<max>2</max><before>{d}</before>"), [])
        self.assertEqual(self.names(page="<max>2</max><index>1</index>"), ["c", "b"])
        fin = self.inbox(page="<max>2</max>").fin[0][0]
        self.assertEqual([child.text for child in fin], [d, c, "4"])

    def test_large(self) -> None:
        """A page ends early when it has a mebibyte, whatever its direction; whoever goes on misses
        nothing, and totals are of all.
        """
        names = [f"f{number}" for number in range(6)]
        for name in names:
            self.house.add(name)
            client = self.house.bind(name)
            client.send(chat(JULIET, name + "x" * 230_000))
        first = self.inbox()
        self.assertEqual(len(first.conversations), 4)
        self.assertEqual(first.totals, (6, 6, 6))
        rest = self.names(page=f"<after>{first.conversations[-1].id}</after>")
        shown = [each.jid.partition("@")[0] for each in first.conversations]
        self.assertEqual(shown + rest, names[::-1])
        last = self.inbox(page="<before/>").conversations
        self.assertEqual([each.jid.partition("@")[0] for each in last], names[3::-1])
        before = self.names(page=f"<before>{last[0].id}</before>")
        self.assertEqual(before, names[:3:-1])
        self.assertEqual(len(self.inbox("messages='false'").conversations), 6)

    def test_moved_meanwhile(self) -> None:
        """A conversation that goes on between two pages is missed by neither."""
        self.fill("a", "b", "c")
        c, *_ = self.ids()
        (romeo,) = self.house.connect("c/2")
        self.write_to(romeo, "more")
        self.assertEqual(self.names(page=f"<after>{c}</after>"), ["b", "a"])

    def test_wrong(self) -> None:
        """What is no question for an inbox is refused."""
        self.write_to(self.romeo, "a")
        for attributes, page, error in (
            ("messages='perhaps'", "", "bad-request"),
            ("unread-only=''", "", "bad-request"),
            ("", "<max>many</max>", "bad-request"),
            ("", "<after>unheard-of</after>", "item-not-found"),
            ("", f"<before>{'0' * 32}</before>", "item-not-found"),
        ):
            inside = f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>" if page else ""
            query = f"<inbox xmlns='{NS}' {attributes}>{inside}</inbox>"
            with self.subTest(query=query):
                self.assertEqual(condition(ask(self.juliet, "get", query)), error)

    def test_others(self) -> None:
        """Nobody sees somebody else's."""
        query = f"<inbox xmlns='{NS}'/>"
        answer = condition(ask(self.romeo, "get", query, JULIET))
        self.assertIn(answer, ("forbidden", "service-unavailable"))

    def test_guests(self) -> None:
        """A guest has none."""
        guest = self.house.bind("guest-" + "1" * 32)
        self.assertTrue(is_guest(guest.session.jid.bare))
        answer = ask(guest, "get", f"<inbox xmlns='{NS}'/>")
        self.assertEqual(condition(answer), "service-unavailable")

    def test_message_gone(self) -> None:
        """If the message is not in the archive any more, the conversation is shown without it."""
        self.write_to(self.romeo, "a")
        real = self.archive.entries.at

        async def nothing(owner: str, positions: object) -> list[object]:
            return []

        self.patch(self.archive.entries, "at", nothing)
        (shown,) = self.inbox().conversations
        self.assertEqual((shown.unread, shown.body), (1, ""))
        self.patch(self.archive.entries, "at", real)
        self.assertEqual(len(done(self.archive.entries.page(JULIET, ALL, 10))), 1)
