"""Guestbooks: who signs and reads them, and how much they hold."""

from tests.plugins.asking import ask, condition
from tests.plugins.guestbook.books import BOOK, JULIET, ROMEO, BookCase, book, entries, sign
from tests.plugins.test_disco import ask as discover
from tests.plugins.test_disco import features, identities, items
from xmppd.testing.client import done
from xmppd_plugins.disco import INFO, ITEMS
from xmppd_plugins.guestbook.book import NS, PAGE
from xmppd_plugins.guestbook.settings import MAX_ENTRIES, GuestbookSettings


class SignTests(BookCase):
    def test_contact(self) -> None:
        """A contact signs, and both read it."""
        answer = sign(self.juliet, "O &lt;gentle&gt; Romeo")
        self.assertEqual(answer[0].get("at"), "2023-11-14T22:13:20Z")
        for client, to in ((self.juliet, ROMEO), (self.romeo, ""), (self.romeo, ROMEO)):
            self.assertEqual(entries(book(client, to)), [(JULIET, "O <gentle> Romeo")])

    def test_owner(self) -> None:
        """The owner signs as well."""
        sign(self.romeo, to="")
        self.assertEqual(entries(book(self.juliet)), [(ROMEO, "Ay me!")])

    def test_stranger(self) -> None:
        """Who may not see an account learns nothing, not even whether it exists."""
        for to in (ROMEO, "nobody@montague.lit", BOOK, "nobody@guestbook.montague.lit"):
            for answer in (sign(self.tybalt, to=to), book(self.tybalt, to)):
                self.assertEqual(condition(answer), "service-unavailable", to)
        self.assertEqual(entries(book(self.romeo)), [])

    def test_too_long(self) -> None:
        """An entry has a limit in bytes, and is not empty."""
        most = GuestbookSettings().max_entry_bytes
        self.assertEqual(condition(sign(self.juliet, "ä" * (most // 2))), "result")
        for words in ("ä" * (most // 2) + "x", "", " \n "):
            self.assertEqual(condition(sign(self.juliet, words)), "not-acceptable")

    def test_full(self) -> None:
        """A book has a limit of entries, until some are erased."""
        self.configure(max_entries=2)
        sign(self.juliet), sign(self.juliet)
        self.assertEqual(condition(sign(self.juliet)), "resource-constraint")
        self.give("erase", account=ROMEO, number="1")
        self.assertEqual(condition(sign(self.juliet)), "result")

    def test_limits_change(self) -> None:
        """A limit that is changed by SIGHUP holds at once, and what was written stays."""
        sign(self.juliet, "12345678")
        self.configure(max_entry_bytes=4)
        self.assertEqual(condition(sign(self.juliet, "12345")), "not-acceptable")
        self.assertEqual(condition(sign(self.juliet, "1234")), "result")
        self.assertEqual(len(entries(book(self.romeo))), 2)
        self.assertEqual(self.limits(), ["100", "4"])
        with self.assertRaisesRegex(ValueError, f"at most {MAX_ENTRIES}"):
            GuestbookSettings(max_entries=MAX_ENTRIES + 1)

    def limits(self) -> list[str]:
        """The limits that disco tells of."""
        data = "{jabber:x:data}"
        answer = discover(self.romeo, INFO, "montague.lit")
        return [
            field.findtext(f"{data}value", "")
            for field in answer.iter(f"{data}field")
            if field.get("var") != "FORM_TYPE"
        ]

    def test_pages(self) -> None:
        """A book is read page by page, the latest entries first."""
        for number in range(PAGE + 5):
            sign(self.juliet, str(number))
        page = book(self.romeo)
        self.assertEqual(len(entries(page)), PAGE)
        last = list(page[0])[-1].get("number", "")
        self.assertEqual([words for _, words in entries(book(self.romeo, "", last))], list("43210"))
        for wrong in ("x", "-1", "9" * 30, "²", "9" * 5_000):
            self.assertEqual(condition(book(self.romeo, "", wrong)), "bad-request")

    def test_faded(self) -> None:
        """Old entries are erased, if that is wished."""
        for words in ("old", "young"):
            self.give("sign", account=ROMEO, words=words)
            self.house.clock.advance(3_600)
        self.assertEqual(len(self.give("list", account=ROMEO)), 2)
        self.configure(kept_s=8_000.0)
        self.house.clock.advance(3_600)
        (entry,) = self.give("list", account=ROMEO)
        self.assertIn("young", str(entry))

    def test_faded_at_load(self) -> None:
        """What has grown old while the plugin was not loaded is erased when it is."""
        self.configure(kept_s=10.0)
        self.give("sign", account=ROMEO, words="old")
        done(self.house.plugins.unload("guestbook"))
        self.house.clock.advance(11)
        done(self.house.plugins.load("guestbook"))
        self.assertEqual(self.give("list", account=ROMEO), [])

    def test_removed(self) -> None:
        """Who removes an account removes its book, and nobody inherits it with the name."""
        sign(self.juliet)
        sign(self.romeo, to=JULIET)
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.house.add("romeo", {"juliet": "both"})
        (romeo,) = self.house.connect("romeo")
        self.assertEqual(entries(book(romeo)), [])
        self.assertEqual(len(entries(book(self.juliet, JULIET))), 1)

    def test_no_account(self) -> None:
        """Where there is no account there is no book."""
        done(self.house.store.accounts.delete_account(ROMEO))
        self.assertEqual(condition(sign(self.romeo, to="")), "item-not-found")

    def test_counted(self) -> None:
        """What was signed, and what was not, is counted."""
        self.configure(max_entries=1, max_entry_bytes=4)
        sign(self.juliet, "Ay"), sign(self.juliet, "me"), sign(self.juliet, "too long")
        numbers = dict(self.house.server.metrics.numbers())
        for result in ("signed", "refused", "full"):
            self.assertEqual(numbers[f"guestbook_signatures{{result={result}}}"], 1)
        self.assertEqual(numbers["guestbook_entry_bytes_count"], 1)
        self.assertEqual(numbers["guestbook_entry_bytes_sum"], 2)


class ServiceTests(BookCase):
    def test_message(self) -> None:
        """A message to a book is an entry of it."""
        self.juliet.send(f"<message to='{BOOK}'><body>Good night</body></message>")
        self.juliet.send(f"<message to='{BOOK}' type='error'><body>no</body></message>")
        self.juliet.send(f"<message to='{BOOK}'><composing/></message>")
        self.assertEqual(entries(book(self.romeo)), [(JULIET, "Good night")])
        self.assertEqual(self.juliet.received(), [])

    def test_refused(self) -> None:
        """A message to nobody's book, or to the service, comes back."""
        for client, to, error in (
            (self.tybalt, BOOK, b"service-unavailable"),
            (self.juliet, "guestbook.montague.lit", b"service-unavailable"),
            (self.juliet, "nobody@guestbook.montague.lit", b"service-unavailable"),
        ):
            client.send(f"<message to='{to}'><body>Good night</body></message>")
            self.assertIn(error, client.raw(), to)

    def test_requests(self) -> None:
        """A book is signed and read at the service as well."""
        sign(self.juliet, to=BOOK)
        for client in (self.juliet, self.romeo):
            self.assertEqual(entries(book(client, BOOK)), [(JULIET, "Ay me!")])

    def test_disco(self) -> None:
        """The service is found, and a book by those who may see its owner."""
        found = items(discover(self.juliet, ITEMS, "montague.lit"))
        self.assertIn({"jid": "guestbook.montague.lit", "name": "Guestbooks"}, found)
        self.assertEqual(items(discover(self.juliet, ITEMS, "guestbook.montague.lit")), [])
        (identity,) = identities(discover(self.juliet, INFO, BOOK))
        self.assertEqual(identity["name"], f"Guestbook of {ROMEO}")
        self.assertIn(NS, features(discover(self.juliet, INFO, BOOK)))
        self.assertEqual(
            condition(discover(self.tybalt, INFO, BOOK)),
            condition(discover(self.tybalt, INFO, "nobody@guestbook.montague.lit")),
        )
        for to in ("montague.lit", ROMEO):
            self.assertIn(NS, features(discover(self.juliet, INFO, to)))

    def test_not_loaded(self) -> None:
        """Without the plugin nobody has a book."""
        done(self.house.plugins.unload("guestbook"))
        self.assertEqual(condition(sign(self.juliet)), "service-unavailable")
        answer = ask(self.juliet, "get", f"<guestbook xmlns='{NS}'/>", BOOK)
        self.assertEqual(condition(answer), "remote-server-not-found")
