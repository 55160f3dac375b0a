"""Tests of running a room: its configuration, lists, roles, and its end."""

from tests.plugins.muc.halls import (
    ORCHARD,
    SERVICE,
    RunningCase,
    bodies,
    codes,
    condition,
    rooms_config,
)
from xmppd.config.config import Config
from xmppd.store.errors import StoreError


class ConfigurationTests(RunningCase):
    def test_form(self) -> None:
        """An owner is given the form with all that can be configured; others are not."""
        romeo, juliet = self.opened("romeo", "juliet")
        form = self.ask(romeo, "", "owner", "get")
        for var in ("roomname", "membersonly", "whois", "roomowners"):
            self.assertIn(f"var='muc#roomconfig_{var}'", form)
        self.assertIn("romeo@montague.lit", form)
        self.assertEqual(condition(self.ask(juliet, "", "owner", "get")), "forbidden")

    def test_told_once(self) -> None:
        """A change is told to all by one message with all its codes (RM-57)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.assert_done(self.configure(romeo, roomname="Orchard", whois="anyone"))
        (notice,) = juliet.received()
        self.assertIn("type='groupchat'", notice)
        self.assertEqual(codes(notice), {104, 172})

    def test_nothing_new(self) -> None:
        """A form that changes nothing is told to nobody."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.assert_done(self.configure(romeo, moderatedroom="0"))
        self.assertEqual(juliet.received(), [])

    def test_wrong(self) -> None:
        """A form with a value that is none changes nothing (RM-57)."""
        romeo, juliet = self.opened("romeo", "juliet")
        answer = self.configure(romeo, membersonly="1", maxusers="-4")
        self.assertEqual(condition(answer), "not-acceptable")
        self.assertEqual(juliet.received(), [])

    def test_not_submitted(self) -> None:
        """A form that is not submitted changes nothing, and that is said."""
        romeo, juliet = self.opened("romeo", "juliet")
        for type in ("form", "result", "zzz"):
            answer = self.ask(romeo, f"<x xmlns='jabber:x:data' type='{type}'/>", "owner")
            self.assertEqual(condition(answer), "bad-request", type)
        self.assertEqual(juliet.received(), [])

    def test_cancelled(self) -> None:
        """A new room whose form is cancelled is not made (RM-24)."""
        romeo = self.client("romeo")
        self.enter(romeo, "Romeo")
        answer = self.ask(romeo, "<x xmlns='jabber:x:data' type='cancel'/>", "owner")
        self.assert_done(answer)
        self.assertIn("<destroy", self.told[0])
        self.assertIn(201, codes(self.enter(self.client("juliet"), "Juliet")[0]))

    def test_members_only(self) -> None:
        """Who is no member leaves a room that is for members from now on (RM-57)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        self.affiliate(romeo, "juliet", "member")
        juliet.raw(), nurse.raw()
        self.configure(romeo, membersonly="1")
        self.assertEqual(codes(nurse.received()[0]), {110, 322})
        self.assertEqual(codes(juliet.received()[0]), {322})
        self.assertEqual(condition(self.enter(nurse, "Nurse")[0]), "registration-required")

    def test_no_member_any_more(self) -> None:
        """Whose membership ends leaves a room for members, and all are told why (RM-4, RM-20)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        for name in ("juliet", "nurse"):
            self.affiliate(romeo, name, "member")
        self.configure(romeo, membersonly="1")
        juliet.raw(), nurse.raw()
        self.assert_done(self.affiliate(romeo, "nurse", "none"))
        (own,), (seen,) = nurse.received(), juliet.received()
        self.assertEqual((codes(own), codes(seen)), ({110, 321}, {321}))
        for each in (own, seen):
            self.assertIn("type='unavailable'", each)
            self.assertIn("<item affiliation='none' role='none'", each)
        self.assertEqual(condition(self.enter(nurse, "Nurse")[0]), "registration-required")

    def test_moderated(self) -> None:
        """Who has no affiliation has no voice in a room that is moderated from now on."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, moderatedroom="1")
        self.assertIn("role='visitor'", juliet.received()[0])
        self.say(juliet, "Ay me!")
        self.assertEqual(condition(juliet.received()[0]), "forbidden")
        self.configure(romeo, moderatedroom="0")
        self.assertIn("role='participant'", juliet.received()[0])

    def test_password(self) -> None:
        """A room with a password is entered by who knows it (RM-10)."""
        (romeo,) = self.opened("romeo")
        self.configure(romeo, roomsecret="rose")
        juliet = self.client("juliet")
        self.assertEqual(condition(self.enter(juliet, "Juliet")[0]), "not-authorized")
        wrong = self.enter(juliet, "Juliet", "<password>thorn</password>")
        self.assertEqual(condition(wrong[0]), "not-authorized")
        entered = self.enter(juliet, "Juliet", "<password>rose</password>")
        self.assertIn(110, codes(entered[-2]))

    def test_full(self) -> None:
        """A full room lets in nobody but admins and owners (RM-10)."""
        romeo, _ = self.opened("romeo", "juliet")
        self.configure(romeo, maxusers="2")
        nurse = self.client("nurse")
        self.assertEqual(condition(self.enter(nurse, "Nurse")[0]), "service-unavailable")
        self.affiliate(romeo, "nurse", "admin")
        self.assertIn(110, codes(self.enter(nurse, "Nurse")[-2]))

    def test_non_anonymous(self) -> None:
        """In a room that is not anonymous all see JIDs, and are told so at entering."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, whois="anyone")
        juliet.raw()
        received = self.enter(self.client("nurse"), "Nurse")
        self.assertIn("jid='romeo@montague.lit/1'", received[0])
        self.assertEqual(codes(received[2]), {100, 110})
        self.assertIn("jid='nurse@montague.lit/1'", juliet.received()[0])

    def test_quiet_presence(self) -> None:
        """Who is of a role that is not broadcast is seen by moderators only (RM-22)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        self.configure(romeo, presencebroadcast="moderator")
        gone = [each for each in juliet.received() if "unavailable" in each]
        self.assertIn("/Nurse'", gone[0])
        nurse.raw()
        romeo.raw()
        nurse.send(f"<presence to='{ORCHARD}/Nurse'><show>away</show></presence>")
        self.assertEqual(juliet.received(), [])
        self.assertIn("away", romeo.received()[0])
        self.configure(romeo, presencebroadcast="moderator participant visitor")
        self.assertIn("away", juliet.received()[0])

    def test_new_moderator_sees_all(self) -> None:
        """Moderators are shown who is hidden, from when they are to when they are none (RM-22)."""
        romeo, juliet, _ = self.opened("romeo", "juliet", "nurse")
        self.configure(romeo, presencebroadcast="moderator")
        juliet.raw()
        self.affiliate(romeo, "juliet", "admin")
        self.assertTrue(any("/Nurse'" in each for each in juliet.received()))
        self.affiliate(romeo, "juliet", "none")
        gone = [each for each in juliet.received() if "/Nurse'" in each]
        self.assertIn("unavailable", gone[0])

    def test_stays(self) -> None:
        """A room that is to stay is there with all it was when it was forgotten in between."""
        (romeo,) = self.opened("romeo")
        self.configure(romeo, persistentroom="1", roomname="Orchard", moderatedroom="1")
        romeo.send(f"<message type='groupchat' to='{ORCHARD}'><subject>Love</subject></message>")
        romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        self.house.clock.advance(700)
        received = self.enter(self.client("juliet"), "Juliet")
        self.assertIn("role='visitor'", received[0])
        self.assertEqual(codes(received[0]), {110})
        self.assertIn("<subject>Love</subject>", received[1])


class ListTests(RunningCase):
    def test_read(self) -> None:
        """Admins and owners read lists; who may not is refused (RM-5)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.affiliate(romeo, "nurse", "outcast", "<reason>Gossip</reason>")
        banned = self.ask(romeo, "<item affiliation='outcast'/>", type="get")
        self.assertIn("jid='nurse@montague.lit'", banned)
        self.assertIn("<reason>Gossip</reason>", banned)
        self.assertIn("<actor jid='romeo@montague.lit'", banned)
        refused = self.ask(juliet, "<item affiliation='outcast'/>", type="get")
        self.assertEqual(condition(refused), "forbidden")

    def test_roles(self) -> None:
        """Who has a role is listed with nick and JID."""
        romeo, _ = self.opened("romeo", "juliet")
        found = self.ask(romeo, "<item role='participant'/>", type="get")
        self.assertIn("nick='Juliet'", found)
        self.assertIn("jid='juliet@montague.lit/1'", found)

    def test_member(self) -> None:
        """Who becomes something in the room is shown as that, with the reason (RM-4)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.affiliate(romeo, "juliet", "admin", "<reason>Worthy</reason>")
        (own,) = juliet.received()
        self.assertIn("affiliation='admin' role='moderator'", own)
        self.assertIn("<actor nick='Romeo'", own)
        self.assertIn("<reason>Worthy</reason>", own)

    def test_not_in(self) -> None:
        """Of who is not in, a message tells those who see JIDs (RM-4)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.affiliate(romeo, "nurse", "member")
        (notice,) = [each for each in self.told if each.startswith("<message")]
        self.assertIn("affiliation='member' role='none' jid='nurse@montague.lit'", notice)
        self.assertEqual(juliet.received(), [])

    def test_ban(self) -> None:
        """A ban sends all sessions away, and keeps them out (RM-37)."""
        romeo, juliet = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        self.enter(desk, "Desk")
        romeo.raw(), juliet.raw(), desk.raw()
        self.affiliate(romeo, "juliet", "outcast")
        for client in (juliet, desk):
            self.assertIn({110, 301}, [codes(each) for each in client.received()])
        seen = [each for each in self.told if "unavailable" in each]
        self.assertEqual([codes(each) for each in seen], [{301}, {301}])
        self.assertIn("affiliation='outcast' role='none'", seen[0])
        self.assertEqual(condition(self.enter(juliet, "Juliet")[0]), "forbidden")

    def test_ban_of_a_domain(self) -> None:
        """A whole domain is banned, but for who is listed (RM-1)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        self.affiliate(romeo, "nurse", "member")
        juliet.raw(), nurse.raw()
        self.ask(romeo, "<item jid='montague.lit' affiliation='outcast'/>")
        self.assertEqual(codes(juliet.received()[0]), {110, 301})
        self.assertEqual(codes(nurse.received()[0]), {301})
        self.assertIn(110, codes(self.enter(nurse, "Nurse")[-2]))

    def test_by_nick(self) -> None:
        """Somebody who is in may be named by nick; one by both has to be one (RM-1)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.assert_done(self.ask(romeo, "<item nick='Juliet' affiliation='member'/>"))
        self.assertIn("affiliation='member'", juliet.received()[0])
        for item, error in (
            ("jid='nurse@montague.lit' nick='Juliet' affiliation='none'", "bad-request"),
            ("nick='Tybalt' affiliation='none'", "item-not-found"),
            ("affiliation='none'", "bad-request"),
            ("jid='@' affiliation='none'", "jid-malformed"),
            ("nick='Juliet' affiliation='king'", "bad-request"),
            ("nick='Juliet' role='none' affiliation='none'", "not-acceptable"),
            ("jid='juliet@montague.lit' role='none'", "not-acceptable"),
            ("nick='Tybalt' role='none'", "item-not-found"),
            ("nick='Juliet'", "bad-request"),
        ):
            self.assertEqual(condition(self.ask(romeo, f"<item {item}/>")), error, item)

    def test_all_or_nothing(self) -> None:
        """If one item is wrong nothing is done (RM-2)."""
        romeo, juliet = self.opened("romeo", "juliet")
        item = "<item nick='Juliet' affiliation='member'/>"
        for wrong in ("<item nick='Romeo' affiliation='outcast'/>", item * 500):
            self.assertIn("type='error'", self.ask(romeo, item + wrong))
        self.assertEqual(juliet.received(), [])

    def test_last_owner(self) -> None:
        """A room keeps an owner, whoever else goes in the same request (§4)."""
        romeo, _ = self.opened("romeo", "juliet")
        self.assertEqual(condition(self.affiliate(romeo, "romeo", "none")), "conflict")
        both = (
            "<item jid='juliet@montague.lit' affiliation='owner'/>"
            "<item jid='romeo@montague.lit' affiliation='none'/>"
        )
        self.assert_done(self.ask(romeo, both))

    def test_same(self) -> None:
        """Who is what they were already is told to nobody (RM-2)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.affiliate(romeo, "juliet", "member")
        juliet.raw()
        self.assert_done(self.affiliate(romeo, "juliet", "member"))
        self.assertEqual(juliet.received(), [])

    def test_owners_by_form(self) -> None:
        """A form may bring the whole list of admins (RM-57)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, roomadmins="juliet@montague.lit")
        self.assertIn("affiliation='admin'", juliet.received()[0])
        self.configure(romeo, roomadmins="nurse@montague.lit")
        self.assertTrue(any("affiliation='none'" in each for each in juliet.received()))

    def test_from_outside(self) -> None:
        """An owner who is not in changes lists all the same (RM-4)."""
        romeo, juliet = self.opened("romeo", "juliet")
        romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        juliet.raw()
        self.assert_done(self.affiliate(romeo, "juliet", "outcast"))
        self.assertEqual(codes(juliet.received()[0]), {110, 301})

    def test_store_is_away(self) -> None:
        """What cannot be stored does not happen, and is told to nobody (RM-3)."""
        romeo, juliet = self.opened("romeo", "juliet")

        def fail(*_: object) -> None:
            raise StoreError

        self.patch(self.house.store.database, "write", fail)
        answer = self.affiliate(romeo, "juliet", "outcast")
        self.assertEqual(condition(answer), "resource-constraint")
        self.assertEqual(juliet.received(), [])
        self.say(juliet, "Here still")
        self.assertEqual(bodies(juliet.received()), ["Here still"])


class RoleTests(RunningCase):
    def test_kick(self) -> None:
        """A kick is seen by all, with who did it and why (RM-37)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        kick = "<item nick='Juliet' role='none'><reason>Late</reason></item>"
        self.assert_done(self.ask(romeo, kick))
        (own,), (seen,) = juliet.received(), nurse.received()
        self.assertEqual((codes(own), codes(seen)), ({110, 307}, {307}))
        for each in (own, seen):
            self.assertIn("<actor nick='Romeo'", each)
            self.assertIn("<reason>Late</reason>", each)
        self.say(juliet, "Am I?")
        self.assertEqual(condition(juliet.received()[0]), "not-acceptable")

    def test_all_sessions(self) -> None:
        """A kick sends every session of the nick away, and is seen once (RM-37)."""
        romeo, phone, nurse = self.opened("romeo", "juliet", "nurse")
        desk = self.client("juliet/desk")
        self.enter(desk, "Juliet")
        phone.raw(), nurse.raw()
        self.ask(romeo, "<item nick='Juliet' role='none'/>")
        for client in (phone, desk):
            self.assertEqual(codes(client.received()[0]), {110, 307})
        self.assertEqual(len(nurse.received()), 1)

    def test_voice(self) -> None:
        """A moderator grants voice, and revokes it (§8.3)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, moderatedroom="1")
        juliet.raw()
        self.ask(romeo, "<item nick='Juliet' role='participant'/>")
        self.assertIn("role='participant'", juliet.received()[0])
        self.say(juliet, "Thanks")
        self.assertEqual(bodies(juliet.received()), ["Thanks"])
        self.ask(romeo, "<item nick='Juliet' role='visitor'/>")
        self.assertIn("role='visitor'", juliet.received()[0])

    def test_not_everybody(self) -> None:
        """Participants change no roles, and nobody kicks who is above them (§8)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        refused = self.ask(juliet, "<item nick='Nurse' role='none'/>")
        self.assertEqual(condition(refused), "forbidden")
        self.ask(romeo, "<item nick='Nurse' role='moderator'/>")
        refused = self.ask(nurse, "<item nick='Romeo' role='none'/>")
        self.assertEqual(condition(refused), "not-allowed")


class EndTests(RunningCase):
    def test_destroyed(self) -> None:
        """A room that is destroyed tells everybody where to go (RM-55)."""
        romeo, juliet = self.opened("romeo", "juliet")
        destroy = f"<destroy jid='tomb@{SERVICE}'><reason>Plague</reason></destroy>"
        self.assert_done(self.ask(romeo, destroy, "owner"))
        (own,) = juliet.received()
        self.assertIn("affiliation='none' role='none'", own)
        self.assertIn(f"<destroy jid='tomb@{SERVICE}'><reason>Plague</reason></destroy>", own)
        refused = self.enter(self.client("nurse"), "Nurse")[0]
        self.assertIn(
            f"<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:tomb@{SERVICE}", refused
        )

    def test_not_everybody(self) -> None:
        """Only owners destroy a room (RM-55)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.affiliate(romeo, "juliet", "admin")
        refused = self.ask(juliet, "<destroy/>", "owner")
        self.assertEqual(condition(refused), "forbidden")

    def test_never_opened(self) -> None:
        """A room that its owner has never opened is over some time after they have left (RM-24)."""
        romeo = self.client("romeo")
        self.enter(romeo, "Romeo")
        romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        romeo.raw()
        self.assertEqual(codes(self.enter(romeo, "Romeo")[0]), {110}, "it is there for a while")
        romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        self.house.clock.pump([60] * 11)
        self.assertIn(201, codes(self.enter(self.client("juliet"), "Juliet")[0]))


class FullListTests(RunningCase):
    def config(self) -> Config:
        return rooms_config(max_listed_per_room=2)

    def test_too_many(self) -> None:
        """The lists of a room are limited; who is on them already may become something else."""
        romeo, _ = self.opened("romeo", "juliet")
        self.assert_done(self.affiliate(romeo, "juliet", "member"))
        answer = self.affiliate(romeo, "nurse", "outcast")
        self.assertEqual(condition(answer), "resource-constraint")
        self.assertIn("at most 2 people", answer)
        self.assert_done(self.affiliate(romeo, "juliet", "admin"))
        self.assert_done(self.affiliate(romeo, "juliet", "none"))
        self.assert_done(self.affiliate(romeo, "nurse", "outcast"))
