"""What is taken back is gone from the archives, and where it was there is a tombstone."""

from tests.plugins.archive.archives import JULIET, ROMEO, ArchiveCase, body_of, chat
from tests.plugins.test_disco import ask, features
from xmppd.testing.client import Client, done
from xmppd_plugins.archive.entries import ALL, ArchiveEntry
from xmppd_plugins.archive.retractions import MAX_SEARCHES, RETRACT, TOMBSTONES
from xmppd_plugins.disco import INFO


class RetractionTests(ArchiveCase):
    plugins = ("archive", "carbons", "disco")

    def retract(self, id: str, *, sender: Client | None = None, to: str = JULIET) -> None:
        (sender or self.romeo).send(
            f"<message to='{to}' type='chat' id='back'><retract xmlns='{RETRACT}' id='{id}'/>"
            "<fallback xmlns='urn:xmpp:fallback:0'/></message>"
        )

    def page(self, owner: str) -> list[ArchiveEntry]:
        return done(self.archive.entries.page(owner, ALL, 100))

    def test_both(self) -> None:
        """In the archives of both ends only ids are left, at the same position (AR-10, AR-11)."""
        for steps in range(3):
            origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>"
            self.romeo.send(chat(JULIET, "I hate you", origin, id=f"m{steps}"))
            [self.write, self.index, lambda: None][steps]()
            before = [self.page(owner)[-1].position for owner in (ROMEO, JULIET)]
            self.retract(f"m{steps}")
            for owner, position in zip((ROMEO, JULIET), before, strict=True):
                buried, retraction = self.page(owner)[-2:]
                self.assertEqual(buried.position, position)
                self.assertTrue(buried.is_tombstone)
                self.assertEqual(
                    buried.stanza,
                    f"<message from='{ROMEO}/1' to='{JULIET}' type='chat' id='m{steps}'>"
                    "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>"
                    f"<retracted xmlns='{RETRACT}' stamp='{self.stamp(retraction)}' id='back'/>"
                    "</message>".encode(),
                )
                self.assertIn(b"<retract ", retraction.stanza or b"")

    def stamp(self, entry: ArchiveEntry) -> str:
        text = (self.page(ROMEO)[-2].stanza or b"").decode()
        return text.partition("stamp='")[2].partition("'")[0]

    def test_restart(self) -> None:
        """It stays so over a restart."""
        self.romeo.send(chat(JULIET, "I hate you", id="m"))
        self.retract("m")
        self.house = self.house.restarted()
        for owner in (ROMEO, JULIET):
            self.assertTrue(self.page(owner)[0].is_tombstone)
            self.assertNotIn(b"hate", self.page(owner)[0].stanza or b"")

    def test_origin_id(self) -> None:
        """A message is also known by its origin-id."""
        origin = "<origin-id xmlns='urn:xmpp:sid:0' id='its &amp; origin'/>"
        self.romeo.send(chat(JULIET, "I hate you", origin, id="m"))
        self.retract("its &amp; origin")
        self.assertTrue(self.page(JULIET)[0].is_tombstone)

    def test_only_its_author(self) -> None:
        """Nobody takes back what somebody else has said, nor what is said elsewhere."""
        self.romeo.send(chat(JULIET, "I love you", id="m"))
        self.retract("m", sender=self.juliet, to=ROMEO)
        self.retract("m", to=ROMEO)
        self.assertEqual([body_of(each) for each in self.page(JULIET)], ["I love you", ""])
        self.assertFalse(any(each.is_tombstone for each in self.page(ROMEO)))

    def test_latest(self) -> None:
        """Of two messages of one id the later one is meant; a correction changes nothing (AR-9)."""
        self.romeo.send(chat(JULIET, "first", id="m"))
        replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
        self.romeo.send(chat(JULIET, "corrected", replace, id="n"))
        self.assertEqual([body_of(each) for each in self.page(JULIET)], ["first", "corrected"])
        self.romeo.send(chat(JULIET, "second", id="m"))
        self.retract("m")
        self.assertEqual(
            [body_of(each) for each in self.page(JULIET)], ["first", "corrected", "", ""]
        )

    def test_far_back(self) -> None:
        """It is found among many."""
        self.romeo.send(chat(JULIET, "I hate you", id="m"))
        self.say(*map(str, range(450)))
        self.retract("m")
        for _ in range(10):
            self.house.clock.advance(0)
        self.assertTrue(self.page(JULIET)[0].is_tombstone)

    def test_unknown(self) -> None:
        """One that names nothing is archived, and that is all."""
        self.say("a")
        self.retract("x")
        self.retract("")
        self.assertEqual(self.said(JULIET), ["a", "", ""])

    def test_many(self) -> None:
        """The number of searches under way has a limit, beyond which nothing is searched."""
        self.romeo.send(chat(JULIET, "I hate you", id="m"))
        self.say(*map(str, range(250)))
        for _ in range(MAX_SEARCHES):  # each waits for a turn, at both ends
            self.retract("m")
        self.romeo.send(chat(JULIET, "I loathe you", id="n"))
        self.retract("n")
        for _ in range(10):
            self.house.clock.advance(0)
        said = self.said(JULIET)
        self.assertEqual((said[0], "I loathe you" in said), ("", True))

    def test_announced(self) -> None:
        """Clients know by their account that this is done."""
        said = features(ask(self.romeo, INFO, ROMEO))
        self.assertLessEqual({RETRACT, TOMBSTONES}, set(said))
