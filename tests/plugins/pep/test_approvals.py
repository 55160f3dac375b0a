"""The owner of an account's node says who may subscribe (NO-14)."""

from tests.plugins.pep.test_telling import JULIET, ROMEO, PEPCase
from tests.plugins.pep.verona import NEWS, Publisher, options
from tests.plugins.pubsub.verona import NS, form, result_of
from xmppd.testing.client import Elsewhere

FORM = f"{NS}#subscribe_authorization"


class ApprovalTests(PEPCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo.publish(NEWS, "before", beside=options(access_model="authorize"))
        self.assertEqual(self.subscribe(self.tybalt), "result")
        for person in (self.romeo, self.juliet):
            person.forget()

    def subscribe(self, who: Publisher) -> str:
        """Somebody asks to be told."""
        asked = f"<pubsub xmlns='{NS}'><subscribe node='{NEWS}' jid='{who.bare}'/></pubsub>"
        return result_of(who.ask("set", asked, ROMEO))

    def answer(
        self, who: Publisher, allowed: str = "1", of: str = "tybalt@montague.lit", to: str = ROMEO
    ) -> list[str]:
        """What comes of an answer."""
        filled = form(FORM, node=NEWS, subscriber_jid=of, allow=allowed)
        who.client.send(f"<message to='{to}' id='answer'>{filled}</message>")
        who.read()
        answers = [result_of(each) for each in who.came if each.get("id") == "answer"]
        who.came.clear()
        return answers

    def states(self, who: Publisher) -> list[str]:
        """The states of subscriptions that somebody was told of."""
        who.read()
        found = [each for tree in who.came for each in tree.iter(f"{{{NS}}}subscription")]
        return [each.get("subscription", "") for each in found]

    def test_asked(self) -> None:
        """The owner's clients are sent the form; what they are told is not taken for an answer."""
        self.assertEqual(self.answer(self.romeo, "0"), [])
        self.tybalt.forget()
        self.subscribe(self.tybalt)
        self.romeo.read()
        (asked,) = [each for each in self.romeo.came if each.tag == "message"]
        self.assertEqual(asked.get("from"), ROMEO)
        (x,) = asked.iter("{jabber:x:data}x")
        self.assertEqual(x.get("type"), "form")

    def test_approved(self) -> None:
        """Who was let in is told so, is sent what was published before, and told what comes; no
        client of the owner is sent the answer.
        """
        other = self.person("romeo/2")
        other.arrive()
        other.forget()
        self.assertEqual(self.answer(self.romeo), [])
        self.assertEqual(self.states(self.tybalt), ["subscribed"])
        self.assertEqual(self.tybalt.told(), [(ROMEO, "before")])
        other.read()
        self.assertEqual(other.came, [])
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.tybalt.told(), [(ROMEO, "hi")])

    def test_denied(self) -> None:
        """Who was denied is told so, and nothing else."""
        self.assertEqual(self.answer(self.romeo, "0"), [])
        self.assertEqual(self.states(self.tybalt), ["none"])
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.tybalt.told(), [])

    def test_nobody_asked(self) -> None:
        """An answer to who has not asked is refused."""
        self.assertEqual(self.answer(self.romeo, of=JULIET), ["item-not-found"])

    def test_nonsense(self) -> None:
        """A form that says nothing is refused; one that is cancelled goes its way as a message."""
        for filled, expected in ((form(FORM), ["bad-request"]), (form(FORM, node=NEWS), None)):
            self.romeo.client.send(f"<message to='{ROMEO}' id='answer'>{filled}</message>")
            self.romeo.read()
            answers = [result_of(each) for each in self.romeo.came if each.get("id") == "answer"]
            self.assertEqual(answers, expected or ["bad-request"])
            self.romeo.came.clear()
        cancelled = form(FORM).replace("'submit'", "'cancel'")
        self.juliet.client.send(f"<message to='{ROMEO}' id='answer'>{cancelled}</message>")
        self.romeo.read()
        self.assertEqual([each.get("id") for each in self.romeo.came], ["answer"])

    def test_others(self) -> None:
        """Nobody else lets anybody in; a stranger does not even learn that there is an account."""
        self.assertEqual(self.answer(self.juliet), ["forbidden"])
        self.assertEqual(self.answer(self.tybalt), ["service-unavailable"])
        self.assertEqual(
            self.answer(self.tybalt, to="nobody@montague.lit"), ["service-unavailable"]
        )
        self.assertEqual(self.states(self.tybalt), [])
        elsewhere = Elsewhere(self.house)
        filled = form(FORM, node=NEWS, subscriber_jid="tybalt@montague.lit", allow="1")
        elsewhere.send(f"<message from='nurse@capulet.lit/1' to='{ROMEO}'>{filled}</message>")
        self.assertIn("forbidden", "".join(elsewhere.heard()))
        self.assertEqual(self.states(self.tybalt), [])
