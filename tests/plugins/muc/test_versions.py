"""Versions of a room's lists (XEP-0463), and who is told what they have become."""

import re
from importlib import import_module

from tests.plugins.muc.halls import ORCHARD, SERVICE, RunningCase, codes
from xmppd.stanza import JID, Presence, Tree
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd_plugins.muc.config import RoomConfig, Whois
from xmppd_plugins.muc.known_lists import MAX_ITEMS, lists_since
from xmppd_plugins.muc.ranks import Role, RoomAffiliation, RoomStanding
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.state import Affiliated, AffiliationChange, KeptRoom
from xmppd_plugins.muc.versions import version_name

MAV = "urn:xmpp:muc:affiliations:1"


def known(since: str = "") -> Tree:
    """What who enters says of the lists they know."""
    asked = f"<mav xmlns='{MAV}' since='{since}'/>".encode()
    return Presence.make(None, JID.parse("a@b"), asked).payload.tree[0]


class VersionCase(RunningCase):
    """Romeo owns a room for all in which everybody is known; Juliet is a member."""

    def setUp(self) -> None:
        super().setUp()
        (self.romeo,) = self.opened("romeo")
        self.configure(self.romeo, whois="anyone", persistentroom="1")
        self.affiliate(self.romeo, "juliet", "member")
        self.juliet = self.client("juliet")
        self.juliet.raw()

    def lists(self, client: Client, since: str | None = None) -> list[str]:
        """Enter with the lists as they were known; returns all that came."""
        known = "" if since is None else f" since='{since}'"
        return self.enter(client, "Visitor", f"<mav xmlns='{MAV}'{known}/>")

    def leave(self, client: Client) -> None:
        client.send(f"<presence type='unavailable' to='{ORCHARD}/Visitor'/>")
        client.raw()

    def until(self, received: list[str]) -> str:
        """The version in one's own presence."""
        (own,) = [each for each in received if 110 in codes(each)]
        (found,) = re.findall(r"<mav [^>]*until='([^']*)'/>", own)
        return str(found)


class VersionTests(VersionCase):
    def test_all(self) -> None:
        """Who knows nothing gets all lists that they may read, before anything else (RM-76)."""
        self.affiliate(self.romeo, "nurse", "outcast")
        received = self.lists(self.juliet)
        self.assertTrue(received[0].startswith("<message"))
        self.assertNotIn("since=", received[0])
        self.assertNotIn("nurse", received[0], "bans are not for members")
        self.assertIn("<item affiliation='owner' jid='romeo@montague.lit'/>", received[0])
        self.assertIn("<item affiliation='member' jid='juliet@montague.lit'/>", received[0])
        self.assertIn(f"until='{self.until(received)}'", received[0])
        self.assertNotIn("<mav", "".join(self.romeo.received()), "nobody sees what was asked")

    def test_new(self) -> None:
        """Who knows a version gets what is new since then, and nothing if nothing is (RM-76)."""
        version = self.until(self.lists(self.juliet))
        self.leave(self.juliet)
        received = self.lists(self.juliet, version)
        self.assertNotIn("<message from='orchard@conference.montague.lit' to", received[0])
        self.assertEqual(self.until(received), version)
        self.leave(self.juliet)
        self.affiliate(self.romeo, "nurse", "member")
        self.affiliate(self.romeo, "tybalt", "outcast")
        self.affiliate(self.romeo, "nurse", "none")
        (told, *_) = received = self.lists(self.juliet, version)
        self.assertIn(f"since='{version}' until='{self.until(received)}'", told)
        self.assertEqual(told.count("<item"), 2)
        self.assertIn("<item affiliation='none' jid='nurse@montague.lit'/>", told)
        self.assertIn("<item affiliation='none' jid='tybalt@montague.lit'/>", told)

    def test_steps(self) -> None:
        """Each change that is told leads from one version to the next (RM-76)."""
        version = self.until(self.lists(self.juliet))
        self.affiliate(self.romeo, "nurse", "member")
        (notice,) = self.juliet.received()
        found = re.findall(r"<mav [^>]*since='([^']*)' until='([^']*)'/>", notice)
        self.assertEqual(found[0][0], version)
        self.affiliate(self.romeo, "juliet", "admin")
        (own,) = self.juliet.received()
        self.assertIn(f"since='{found[0][1]}'", own)

    def test_unknown(self) -> None:
        """Who knows a version that there is none, or of a room before, gets all (RM-76)."""
        version = self.until(self.lists(self.juliet))
        for since in ("", "other", "0-0", version + "9", version.partition("-")[0] + "--1"):
            self.leave(self.juliet)
            told = self.lists(self.juliet, since)[0]
            self.assertNotIn("since=", told)
            self.assertIn("romeo", told)

    def test_again(self) -> None:
        """Who enters again is told as who enters (RM-14)."""
        self.lists(self.juliet)
        self.assertIn("<item affiliation='owner'", self.lists(self.juliet)[0])

    def test_not_theirs(self) -> None:
        """Who may read no list is told so, and enters (RM-76)."""
        nurse = self.client("nurse")
        nurse.raw()
        self.configure(self.romeo, whois="moderators")
        received = self.lists(nurse)
        self.assertIn("type='error'", received[0])
        self.assertIn("<forbidden", received[0])
        self.assertTrue(self.until(received))

    def test_new_room(self) -> None:
        """Who makes a room knows its lists."""
        received = self.enter(self.juliet, "J", f"<mav xmlns='{MAV}'/>", f"cave@{SERVICE}")
        self.assertIn("jid='juliet@montague.lit'", received[0])

    def test_removed_meanwhile(self) -> None:
        """Whose account was removed while nobody had the room is not taken for a member (RM-76)."""
        self.affiliate(self.romeo, "nurse", "member")
        version = self.until(self.lists(self.juliet))
        self.leave(self.juliet)
        self.romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        self.house.clock.advance(700)
        done(self.house.server.accounts.remove(self.house.jid("nurse")))
        told = self.lists(self.juliet, version)[0]
        self.assertNotIn("since=", told)
        self.assertNotIn("nurse", told)

    def test_store_is_away(self) -> None:
        """Who wants to know while nothing can be read does not enter (RM-76)."""

        async def changes(*_: object) -> None:
            raise StoreError("away")

        self.patch(import_module("xmppd_plugins.muc.store").RoomStore, "changes", changes)
        self.assertIn("type='error'", self.lists(self.juliet)[0])
        self.assertEqual(self.romeo.received(), [])


class AffectedTests(VersionCase):
    def test_told(self) -> None:
        """Who becomes something while not in is told so by the room (RM-4)."""
        self.affiliate(self.romeo, "juliet", "admin", "<reason>Worthy</reason>")
        (told,) = self.juliet.received()
        self.assertTrue(told.startswith(f"<message from='{ORCHARD}'"), told)
        self.assertEqual(codes(told), {101})
        self.assertIn("affiliation='admin'", told)
        self.assertIn("<reason>Worthy</reason>", told)

    def test_not_told(self) -> None:
        """Who is in sees it, and who has done it knows; a room may be quiet about it (RM-4)."""
        self.enter(self.juliet, "Juliet")
        self.juliet.raw()
        self.affiliate(self.romeo, "juliet", "admin")
        self.assertNotIn(101, codes("".join(self.juliet.received())))
        self.juliet.send(f"<presence type='unavailable' to='{ORCHARD}/Juliet'/>")
        self.juliet.raw()
        self.affiliate(self.juliet, "juliet", "member")
        self.assertNotIn(101, codes("".join(self.told)))
        self.configure(self.romeo, tell_affected="0")
        self.affiliate(self.romeo, "juliet", "none")
        self.assertEqual(self.juliet.received(), [])


class PartTests(RunningCase):
    def test_parts(self) -> None:
        """Long lists come in parts, of which only the last one is a version (RM-76)."""
        people = [Affiliated(f"p{n}@x.lit", RoomAffiliation.MEMBER) for n in range(MAX_ITEMS + 1)]
        config = RoomConfig(whois=Whois.ANYONE)
        room = Room(
            KeptRoom(
                JID.parse(ORCHARD), config, b"k" * 32, 0.0, version=9, affiliated=tuple(people)
            ),
            1_000,
        )
        standing = RoomStanding(RoomAffiliation.MEMBER, Role.PARTICIPANT)
        first, last = lists_since(room, standing, known(), ())
        (between,) = re.findall(r"until='([^']*)'", first.wire().decode())
        self.assertIn(
            f"since='{between}' until='{version_name(room.key, 9)}'", last.wire().decode()
        )
        self.assertEqual(last.wire().count(b"<item"), 1)
        log = [AffiliationChange(9, "p0@x.lit", RoomAffiliation.MEMBER)]
        self.assertEqual(len(lists_since(room, standing, known(between), log)), 2)
