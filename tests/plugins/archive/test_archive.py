"""What is archived, and under which ids."""

from tests.plugins.archive.archives import (
    JULIET,
    ROMEO,
    ArchiveCase,
    chat,
    ids_in,
)
from xmppd.testing.client import Elsewhere, done
from xmppd_plugins.archive.entries import ALL, Selection


class AcceptedTests(ArchiveCase):
    def test_both(self) -> None:
        """A message is in the archives of both, at the same position (AR-2), once (AR-2a)."""
        self.say("Wherefore?")
        [sent] = done(self.archive.entries.page(ROMEO, ALL, 10))
        [received] = done(self.archive.entries.page(JULIET, ALL, 10))
        self.assertEqual(sent.position, received.position)
        self.assertEqual(sent.stanza, received.stanza)
        self.assertTrue(sent.is_sent)
        self.assertFalse(received.is_sent)

    def test_as_routed(self) -> None:
        """What is kept is what was routed, and so prepared, without an id of ours (AR-6)."""
        self.romeo.send("<message to='Juliet@Montague.lit' id='1'><body>Ay me!</body></message>")
        [entry] = done(self.archive.entries.page(JULIET, ALL, 10))
        self.assertEqual(
            entry.stanza,
            b"<message from='romeo@montague.lit/1' to='juliet@montague.lit' id='1'>"
            b"<body>Ay me!</body></message>",
        )

    def test_at_all_times(self) -> None:
        """It is found at once, when it is written and when it is indexed (QU-12)."""
        for step in (self.write, self.index, lambda: None):
            self.say("Ay", "me")
            step()
            self.say("So")
        self.assertEqual(self.said(JULIET), ["Ay", "me", "So"] * 3)
        self.assertEqual(self.said(ROMEO), ["Ay", "me", "So"] * 3)

    def test_own(self) -> None:
        """A note to oneself is there once (AR-5)."""
        self.say("Buy poison", to=ROMEO)
        self.index()
        self.say("Buy dagger", to=ROMEO)
        self.assertEqual(self.said(ROMEO, Selection(peer=ROMEO)), ["Buy poison", "Buy dagger"])

    def test_refused(self) -> None:
        """What was refused is in the sender's archive only, and the error is in none (AR-4)."""
        self.say("Boo", to="nobody@montague.lit")
        self.romeo.raw()
        self.assertEqual(self.said(ROMEO), ["Boo"])
        self.assertEqual(self.said("nobody@montague.lit"), [])

    def test_kept(self) -> None:
        """What waits for somebody who is away is in the archive with the same id."""
        self.juliet.send("</stream:stream>")
        self.say("Good night")
        [entry] = done(self.archive.entries.page(JULIET, ALL, 10))
        self.write()
        juliet = self.house.bind("juliet", "2")
        juliet.send("<presence/>")
        id = self.archive.id_of(JULIET, entry.position)
        self.assertEqual(ids_in(juliet.raw()), [(id, JULIET)])
        self.assertEqual(self.said(JULIET), ["Good night"])

    def test_worth(self) -> None:
        """Typing is not archived, nor are headlines."""
        self.romeo.send(
            f"<message to='{JULIET}' type='chat'>"
            "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )
        self.romeo.send(chat(JULIET, "News!", type="headline"))
        self.assertEqual(self.said(JULIET), [])

    def test_several_resources(self) -> None:
        """However many resources get it, it is there once, and all have the same id (AR-3)."""
        phone, tablet = self.house.connect("juliet/phone", "juliet/tablet")
        for each in (phone, tablet):
            each.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
            each.raw()
        self.juliet.raw()
        self.romeo.send(chat(f"{JULIET}/1", "Ay me!"))
        ids = {tuple(ids_in(each.raw())) for each in (self.juliet, phone, tablet)}
        [entry] = done(self.archive.entries.page(JULIET, ALL, 10))
        self.assertEqual(ids, {((self.archive.id_of(JULIET, entry.position), JULIET),)})

    def test_own_devices(self) -> None:
        """Copies of what I send have the id in my archive, and no recipient sees it (AR-22)."""
        (phone,) = self.house.connect("romeo/phone")
        phone.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        phone.raw()
        self.say("Ay me!")
        [entry] = done(self.archive.entries.page(ROMEO, ALL, 10))
        self.assertEqual(ids_in(phone.raw()), [(self.archive.id_of(ROMEO, entry.position), ROMEO)])
        [(_, by)] = ids_in(self.juliet.raw())
        self.assertEqual(by, JULIET)

    def test_elsewhere(self) -> None:
        """Conversations with others elsewhere are in the archive here; they see no id of ours."""
        elsewhere = Elsewhere(self.house)
        self.say("Is she worse?", to="nurse@capulet.lit")
        elsewhere.send(
            f"<message from='nurse@capulet.lit/1' to='{ROMEO}' type='chat'>"
            "<body>She is.</body></message>"
        )
        peer = Selection(peer="nurse@capulet.lit")
        self.assertEqual(self.said(ROMEO, peer), ["Is she worse?", "She is."])
        self.index()
        self.assertEqual(self.said(ROMEO, peer), ["Is she worse?", "She is."])
        self.assertNotIn("stanza-id", "".join(elsewhere.heard()))

    def test_restart(self) -> None:
        """Behind a restart all is there, under the same ids (QU-19)."""
        self.say("Ay", "me")
        before = done(self.archive.entries.page(JULIET, ALL, 10))
        ids = [self.archive.id_of(JULIET, each.position) for each in before]
        self.house = self.house.restarted()
        after = done(self.archive.entries.page(JULIET, ALL, 10))
        self.assertEqual(after, before)
        self.assertEqual(
            [self.archive.position_of(JULIET, id) for id in ids], [e.position for e in after]
        )
        self.assertEqual(self.said(ROMEO), ["Ay", "me"])


class ReturnedTests(ArchiveCase):
    """Messages that a session gives back when it ends."""

    def test_same_id(self) -> None:
        """Whoever gets it then gets it under the same id, and it is archived once (AR-3, AR-22)."""
        phone = self.house.bind("juliet", "phone")
        phone.send("<presence><priority>5</priority></presence>")
        phone.raw()
        phone.enable()
        self.say("Ay me!")
        ids = ids_in(phone.raw())
        self.assertEqual(len(ids), 1)
        phone.abort()
        self.house.clock.advance(1_000)
        self.assertEqual(ids_in(self.juliet.raw()), ids)
        self.assertEqual(self.said(JULIET), ["Ay me!"])

    def test_kept(self) -> None:
        """The same if nobody is there, and it waits (OA-3)."""
        self.juliet.enable()
        self.juliet.raw()
        self.say("Ay me!")
        ids = ids_in(self.juliet.raw())
        self.juliet.abort()
        self.house.clock.advance(1_000)
        juliet = self.house.bind("juliet", "2")
        juliet.send("<presence/>")
        got = juliet.raw()
        self.assertEqual(ids_in(got), ids)
        self.assertIn(b"<delay ", got)
        self.assertEqual(self.said(JULIET), ["Ay me!"])

    def test_restarted(self) -> None:
        """The same over a restart of the server."""
        id = self.juliet.enable()
        self.juliet.raw()
        self.say("Ay me!")
        ids = ids_in(self.juliet.raw())
        self.house = self.house.restarted()
        juliet = self.house.logged_in("juliet")
        got = "".join(juliet.resume(id, 0)).encode()
        self.assertEqual(ids_in(got), ids)
        self.assertEqual(self.said(JULIET), ["Ay me!"])


class ForgedTests(ArchiveCase):
    def forged(self, by: str, id: str = "forged") -> str:
        return f"<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{by}'/>"

    def test_cut_out(self) -> None:
        """An id in the recipient's name is cut out, whoever wrote it and however often (AR-20)."""
        for by in (JULIET, "JULIET@montague.lit"):
            self.romeo.send(chat(JULIET, "Ay me!", self.forged(by), self.forged(by, "another")))
            [(id, _)] = ids_in(self.juliet.raw())
            self.assertNotIn("forged", id)
        for entry in done(self.archive.entries.page(JULIET, ALL, 10)):
            self.assertNotIn(b"forged", entry.stanza or b"")

    def test_not_archived(self) -> None:
        """It is also cut out of what is not archived."""
        hint = "<no-store xmlns='urn:xmpp:hints'/>"
        self.romeo.send(chat(JULIET, "Ay me!", self.forged(JULIET), hint))
        self.assertNotIn(b"stanza-id", self.juliet.raw())

    def test_others_stay(self) -> None:
        """Ids of others stay, and so do those inside of other elements (AR-21)."""
        room = self.forged("room@conference.capulet.lit")
        inside = f"<forwarded xmlns='urn:xmpp:forward:0'>{self.forged(JULIET)}</forwarded>"
        unprepared = self.forged("@@")
        self.romeo.send(chat(JULIET, "Ay me!", room, inside, unprepared))
        got = self.juliet.raw()
        self.assertEqual(got.count(b"forged"), 3)
        self.assertEqual(got.count(b"<stanza-id"), 4)

    def test_in_sent(self) -> None:
        """One in the sender's own name is no id of the sender's archive."""
        (phone,) = self.house.connect("romeo/phone")
        phone.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        phone.raw()
        self.romeo.send(chat(JULIET, "Ay me!", self.forged(ROMEO)))
        [(id, _)] = ids_in(phone.raw())
        self.assertNotEqual(id, "forged")

    def test_in_sent_alone(self) -> None:
        """The same for who has one device only: it is archived without it."""
        self.romeo.send(chat(JULIET, "Ay me!", self.forged(ROMEO)))
        [entry] = done(self.archive.entries.page(ROMEO, ALL, 10))
        self.assertNotIn(b"forged", entry.stanza or b"")
