"""SharedGroupChanges: an administrator changes a group, and everybody online sees it (RO-14)."""

from xml.etree.ElementTree import fromstring

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.presence.shared_group_changes import VIEWERS_PER_SLICE
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import done
from xmppd.testing.house import House

ROMEO, JULIET, TYBALT = "romeo@montague.lit", "juliet@montague.lit", "tybalt@montague.lit"


class SharedGroupChangesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(romeo={}, juliet={}, tybalt={})
        self.changes = self.house.server.shared_group_changes
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")

    def save(self, *members: str, visible_to: str = "members") -> None:
        done(self.changes.save(SharedGroup("lovers", "Lovers", members, visible_to)))

    def test_comes(self) -> None:
        """Two who are put into one group have each other in their rosters, and see each other."""
        self.save(ROMEO, JULIET)
        push, presence = self.romeo.received()
        self.assertIn(f"<item jid='{JULIET}' subscription='both'><group>Lovers</group>", push)
        self.assertEqual(presence, f"<presence from='{JULIET}/1' to='{ROMEO}'/>")
        self.assertIn(f"from='{ROMEO}/1'", self.juliet.received()[1])
        self.assertEqual(self.tybalt.received(), [])

    def test_goes(self) -> None:
        """Who leaves the group leaves the others' rosters, and is seen to go."""
        self.save(ROMEO, JULIET)
        self.romeo.received()
        self.juliet.received()
        self.save(JULIET)
        for client, other in ((self.romeo, JULIET), (self.juliet, ROMEO)):
            presence, push = client.received()
            self.assertIn(f"<item jid='{other}' subscription='remove'/>", push)
            self.assertIn("type='unavailable'", presence)

    def test_versions(self) -> None:
        """Each push has a version and an id of its own, also of a state that comes back (§2.6.3).

        Who is cut off between two of them is given the whole roster when they return.
        """
        self.romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        self.romeo.received()
        for members in ((ROMEO, JULIET, TYBALT), (ROMEO,), (ROMEO, JULIET, TYBALT)):
            self.save(*members)
        pushes = [fromstring(text) for text in self.romeo.received() if text.startswith("<iq")]
        versions = [push[0].get("ver") or "" for push in pushes]
        self.assertEqual(len(set(versions)), 6)
        self.assertEqual(len({push.get("id") for push in pushes}), 6)
        for version in versions:
            self.romeo.send(
                f"<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver='{version}'/></iq>"
            )
            (answer,) = self.romeo.received()
            self.assertEqual("<query" in answer, version != versions[-1])

    def test_everybody_sees(self) -> None:
        """A group for everybody is seen by all, and its members see only each other."""
        self.save(ROMEO, visible_to="everybody")
        self.assertIn(f"jid='{ROMEO}' subscription='to'", self.tybalt.received()[0])
        self.assertEqual(self.romeo.received(), [])

    def test_friends_anyway(self) -> None:
        """Two who are friends without the group do not see each other go with it."""
        house = House(romeo={"juliet": "both"}, juliet={"romeo": "both"})
        romeo, _ = house.connect("romeo", "juliet")
        changes = house.server.shared_group_changes
        done(changes.save(SharedGroup("lovers", "Lovers", (ROMEO, JULIET))))
        self.assertIn("<group>Lovers</group>", romeo.received()[0])
        done(changes.delete("lovers"))
        self.assertEqual(
            [stanza.partition("<item")[2] for stanza in romeo.received()],
            [f" jid='{JULIET}' subscription='both'/></query></iq>"],
        )

    def test_another_name(self) -> None:
        """A group that is called something else is pushed, and nobody comes or goes."""
        self.save(ROMEO, JULIET)
        self.romeo.received()
        done(self.changes.save(SharedGroup("lovers", "Star-crossed", (ROMEO, JULIET))))
        (push,) = self.romeo.received()
        self.assertIn("<group>Star-crossed</group>", push)

    def test_removed_account(self) -> None:
        """An account that is removed leaves the rosters of its groups."""
        self.save(ROMEO, JULIET)
        self.romeo.received()
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.assertIn("subscription='remove'", "".join(self.romeo.received()))

    def test_slices(self) -> None:
        """A large group is shown in slices; others have their turn between them."""
        names = [f"guest{number}" for number in range(VIEWERS_PER_SLICE)]
        house = House(romeo={})
        for name in names:
            house.add(name)
        clients = house.connect(*names, "romeo")
        members = tuple(client.jid.bare for client in clients if client.jid is not None)
        changes = house.server.shared_group_changes
        Deferred.fromCoroutine(changes.save(SharedGroup("guests", "Guests", members)))
        self.assertNotEqual(clients[0].received(), [])
        self.assertEqual(clients[-1].received(), [])
        house.clock.advance(0)
        self.assertNotEqual(clients[-1].received(), [])

    def test_leaves_between_slices(self) -> None:
        """Who is taken out and logs off at once is no ghost to anybody."""
        names = [f"guest{number}" for number in range(2 * VIEWERS_PER_SLICE)]
        house = House(romeo={})
        members = tuple(house.add(name).bare for name in (*names, "abram"))
        changes = house.server.shared_group_changes
        done(changes.save(SharedGroup("guests", "Guests", members)))
        *guests, abram = house.connect(*names, "abram")
        for guest in guests:
            guest.received()
        Deferred.fromCoroutine(changes.save(SharedGroup("guests", "Guests", members[:-1])))
        abram.abort()
        house.clock.pump([0, 0, 0])
        gone = "<presence from='abram@montague.lit/1'"
        for guest in guests:
            self.assertEqual([s.startswith(gone) for s in guest.received()].count(True), 1)
