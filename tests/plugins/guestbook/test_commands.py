"""Commands about guestbooks, from the shell and by forms."""

from msgspec import to_builtins

from tests.plugins.asking import ask, condition
from tests.plugins.guestbook.books import JULIET, ROMEO, BookCase, book, entries, sign
from xmppd.command.command_context import Actor
from xmppd.command.refused import Refused
from xmppd.config.scopes import ROLES
from xmppd.stanza import JID, Condition
from xmppd.testing.client import Client
from xmppd_plugins.guestbook.book import NS

COMMANDS = "http://jabber.org/protocol/commands"


def actor(account: str) -> Actor:
    """A client that is no administrator."""
    return Actor(JID.parse(f"{account}/1"), ROLES["user"])


class ShellTests(BookCase):
    def test_signed(self) -> None:
        """The shell signs for the server, reads and erases."""
        said = f"montague.lit has signed the guestbook of {ROMEO} as number 1"
        self.assertEqual(self.give("sign", account="romeo", words="Welcome"), [said])
        self.assertEqual(entries(book(self.juliet)), [("montague.lit", "Welcome")])
        sign(self.juliet)
        (row,) = self.give("list", account=ROMEO, before="2")
        self.assertEqual(
            to_builtins(row),
            {"number": 1, "by": "montague.lit", "at": "2023-11-14T22:13:20Z", "words": "Welcome"},
        )
        self.assertEqual(len(self.give("list", account=ROMEO)), 2)
        self.assertEqual(self.give("erase", account=ROMEO), ["entries erased: 2"])
        self.assertEqual(self.give("list", account=ROMEO), [])

    def test_refused(self) -> None:
        """What cannot be written is refused in one sentence."""
        for words in ("", "x" * 501, "\x00", "\x1b[31m"):
            with self.assertRaisesRegex(Refused, "an entry"):
                self.give("sign", account=ROMEO, words=words)
        with self.assertRaisesRegex(Refused, "the account does not exist"):
            self.give("sign", account="nobody", words="Welcome")

    def test_others(self) -> None:
        """Others do what they may: contacts sign and read, and the owner erases."""
        self.give("sign", actor(JULIET), account=ROMEO, words="Ay me!")
        self.assertEqual(len(self.give("list", actor(JULIET), account=ROMEO)), 1)
        for name, who, more, error in (
            ("sign", "tybalt@montague.lit", {"words": "!"}, Condition.SERVICE_UNAVAILABLE),
            ("list", "tybalt@montague.lit", {}, Condition.SERVICE_UNAVAILABLE),
            ("erase", JULIET, {}, Condition.FORBIDDEN),
        ):
            with self.assertRaises(Refused) as refused:
                self.give(name, actor(who), account=ROMEO, **more)
            self.assertIs(refused.exception.condition, error)
        self.assertEqual(self.give("erase", actor(ROMEO), account=ROMEO), [_erased(1)])

    def test_only_that(self) -> None:
        """An entry of somebody else's book is not erased by its number."""
        sign(self.juliet)
        erased = self.give("erase", actor(JULIET), account=JULIET, number="1")
        self.assertEqual((erased, len(entries(book(self.romeo)))), ([_erased(0)], 1))


def _erased(count: int) -> str:
    return f"entries erased: {count}"


class FormTests(BookCase):
    def fill(self, client: Client, node: str, **values: str) -> str:
        """Fill in a form; the condition of its error, or its note."""
        first = ask(client, "set", f"<command xmlns='{COMMANDS}' node='{node}'/>", "montague.lit")
        if first.get("type") == "error":
            return condition(first)
        fields = "".join(
            f"<field var='{var}'>"
            + "".join(f"<value>{line}</value>" for line in value.splitlines())
            + "</field>"
            for var, value in values.items()
        )
        session = first[0].get("sessionid")
        answer = ask(
            client,
            "set",
            f"<command xmlns='{COMMANDS}' node='{node}' sessionid='{session}'>"
            f"<x xmlns='jabber:x:data' type='submit'>{fields}</x></command>",
            "montague.lit",
        )
        return answer.findtext(f".//{{{COMMANDS}}}note") or condition(answer)

    def test_form(self) -> None:
        """A client signs by a form, which has lines."""
        note = self.fill(self.juliet, f"{NS}#sign", account=ROMEO, words="Ay me!\nO Romeo")
        self.assertIn("has signed", note)
        self.assertEqual(entries(book(self.romeo)), [(JULIET, "Ay me!\nO Romeo")])

    def test_stranger(self) -> None:
        """A form does not help somebody who may not see the account."""
        answer = self.fill(self.tybalt, f"{NS}#sign", account=ROMEO, words="Villain")
        self.assertEqual(answer, "service-unavailable")
        self.assertEqual(entries(book(self.romeo)), [])
