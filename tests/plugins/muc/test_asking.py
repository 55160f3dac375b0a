"""What people ask of a room: voice, registration, invitations, a name."""

import re

from tests.plugins.muc.halls import MUC, ORCHARD, SERVICE, RoomsCase, condition
from xmppd.testing.client import Client
from xmppd_plugins.muc.approval import AGAIN_S, MAX_OPEN
from xmppd_plugins.muc.invites import MAX_INVITED

REGISTER = "jabber:iq:register"
UNIQUE = f"<unique xmlns='{MUC}#unique'/>"


def form(form_type: str, **fields: str) -> str:
    """A form that is filled in; names are without ``muc#``."""
    lines = "".join(
        f"<field var='muc#{var}'><value>{value}</value></field>" for var, value in fields.items()
    )
    kind = f"<field var='FORM_TYPE'><value>{form_type}</value></field>"
    return f"<x xmlns='jabber:x:data' type='submit'>{kind}{lines}</x>"


class AskingCase(RoomsCase):
    """A room that Romeo owns."""

    people = ("romeo", "juliet", "nurse", "tybalt")

    def configure(self, owner: Client, **fields: str) -> None:
        """Have the room be otherwise."""
        lines = {f"roomconfig_{name}": value for name, value in fields.items()}
        filled = form(f"{MUC}#roomconfig", **lines)
        self.asks(owner, "set", f"<query xmlns='{MUC}#owner'>{filled}</query>")
        owner.raw()

    def asks(self, client: Client, kind: str, inner: str, to: str = ORCHARD) -> str:
        """Ask something, and return the answer."""
        client.raw()
        client.send(f"<iq type='{kind}' id='q' to='{to}'>{inner}</iq>")
        (answer,) = [each for each in client.received() if "<iq" in each[:4]]
        return answer

    def says(self, client: Client, inner: str) -> list[str]:
        """Send the room itself a message; returns what comes back."""
        client.raw()
        client.send(f"<message to='{ORCHARD}'>{inner}</message>")
        return client.received()


class VoiceTests(AskingCase):
    """Asking for voice (RM-52)."""

    ASK = form(f"{MUC}#request", role="participant")

    def moderated(self, *names: str) -> list[Client]:
        """The room, where visitors are without voice."""
        clients = self.opened("romeo", *names)
        self.configure(clients[0], moderatedroom="1")
        for client in clients:
            client.raw()
        return clients

    def allow(self, nick: str, allowed: str) -> str:
        return form(f"{MUC}#request", role="participant", roomnick=nick, request_allow=allowed)

    def test_granted(self) -> None:
        """A visitor asks, moderators are asked, and who is allowed has voice."""
        romeo, juliet = self.moderated("juliet")
        self.assertEqual(self.says(juliet, self.ASK), [])
        (asked,) = romeo.received()
        for word in ("muc#request_allow", "juliet@montague.lit/", "Juliet", "participant"):
            self.assertIn(word, asked)
        self.says(romeo, self.allow("Juliet", "true"))
        (told,) = juliet.received()
        self.assertIn("role='participant'", told)

    def test_refused(self) -> None:
        """Who is not allowed has no voice, and the first answer counts."""
        romeo, juliet = self.moderated("juliet")
        self.says(juliet, self.ASK)
        self.assertEqual(self.says(romeo, self.allow("Juliet", "0")), [])
        (late,) = self.says(romeo, self.allow("Juliet", "1"))
        self.assertEqual(condition(late), "item-not-found")
        self.assertEqual(juliet.received(), [])

    def test_again(self) -> None:
        """A visitor asks once in five minutes."""
        romeo, juliet = self.moderated("juliet")
        self.says(juliet, self.ASK)
        (refused,) = self.says(juliet, self.ASK)
        self.assertEqual(condition(refused), "resource-constraint")
        for _ in range(int(AGAIN_S / 60)):
            self.house.clock.advance(60)
            romeo.send(" "), juliet.send(" ")
        romeo.raw()
        self.assertEqual(self.says(juliet, self.ASK), [])
        self.assertEqual(len(romeo.received()), 1)

    def test_not_theirs(self) -> None:
        """Visitors do not answer, nor strangers, and who has voice does not ask."""
        romeo, juliet = self.moderated("juliet")
        self.says(juliet, self.ASK)
        for client, inner, expected in (
            (juliet, self.allow("Juliet", "1"), "forbidden"),
            (romeo, self.ASK, "not-allowed"),
            (romeo, self.allow("Tybalt", "1"), "item-not-found"),
            (romeo, self.allow("Juliet", "perhaps"), "bad-request"),
            (romeo, form(f"{MUC}#request", role="moderator"), "bad-request"),
            (self.client("nurse"), self.ASK, "not-acceptable"),
        ):
            with self.subTest(expected):
                self.assertEqual(condition(self.says(client, inner)[0]), expected)

    def test_switched_off(self) -> None:
        """Where the room says so, nobody may ask."""
        romeo, juliet = self.moderated("juliet")
        self.configure(romeo, allow_voice_requests="0")
        juliet.raw()
        self.assertEqual(condition(self.says(juliet, self.ASK)[0]), "forbidden")

    def test_nobody_there(self) -> None:
        """While no moderator is in, nobody can be asked."""
        romeo, juliet = self.moderated("juliet")
        romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        self.assertEqual(condition(self.says(juliet, self.ASK)[-1]), "recipient-unavailable")


class RegistrationTests(AskingCase):
    """Registering with a room (RM-59)."""

    def wants(self, nick: str) -> str:
        filled = form(f"{MUC}#register", register_roomnick=nick)
        return f"<query xmlns='{REGISTER}'>{filled}</query>"

    def registers(self, client: Client, nick: str) -> str:
        """How registering ends."""
        answer = self.asks(client, "set", self.wants(nick))
        return "result" if "type='result'" in answer else condition(answer)

    def test_form(self) -> None:
        """Who is not registered gets a form, who is their nick."""
        self.opened("romeo")
        juliet = self.client("juliet")
        empty = f"<query xmlns='{REGISTER}'/>"
        self.assertIn("muc#register_roomnick", self.asks(juliet, "get", empty))
        self.assertEqual(self.registers(juliet, "Jule"), "result")
        answer = self.asks(juliet, "get", empty)
        self.assertIn("<registered", answer)
        self.assertIn("<username>Jule</username>", answer)

    def test_member(self) -> None:
        """Who registers in an open room is a member, and all there see it."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.assertEqual(self.registers(juliet, "Juliet"), "result")
        (told,) = romeo.received()
        self.assertIn("affiliation='member'", told)

    def test_nick_is_kept(self) -> None:
        """Nobody else enters by a nick that is kept, or one like it, or registers it."""
        self.opened("romeo")
        juliet, tybalt = self.client("juliet"), self.client("tybalt")
        self.registers(juliet, "Jule")
        self.assertEqual(condition(self.enter(tybalt, "jule")[0]), "conflict")
        self.assertEqual(self.registers(tybalt, "JULE"), "conflict")
        self.assertEqual(self.registers(tybalt, "Romeo"), "conflict")
        self.assertEqual(self.registers(juliet, "Juliet"), "result")
        self.assertEqual(self.registers(tybalt, "Jule"), "result")

    def test_no_nick(self) -> None:
        """A registration has a nick."""
        self.opened("romeo")
        juliet = self.client("juliet")
        self.assertEqual(self.registers(juliet, " "), "not-acceptable")
        answer = self.asks(juliet, "set", f"<query xmlns='{REGISTER}'/>")
        self.assertEqual(condition(answer), "bad-request")

    def test_removed(self) -> None:
        """A member who ends that is none any more, and an owner keeps all but the nick."""
        romeo, juliet = self.opened("romeo", "juliet")
        remove = f"<query xmlns='{REGISTER}'><remove/></query>"
        self.assertEqual(condition(self.asks(juliet, "set", remove)), "item-not-found")
        self.registers(juliet, "Juliet")
        romeo.raw()
        self.asks(juliet, "set", remove)
        self.assertIn("affiliation='none'", romeo.received()[0])
        self.registers(romeo, "Romeo")
        self.asks(romeo, "set", remove)
        owners = f"<query xmlns='{MUC}#admin'><item affiliation='owner'/></query>"
        self.assertIn("romeo@montague.lit", self.asks(romeo, "get", owners))

    def test_banned(self) -> None:
        """Outcasts do not register."""
        (romeo,) = self.opened("romeo")
        ban = "<item affiliation='outcast' jid='tybalt@montague.lit'/>"
        self.asks(romeo, "set", f"<query xmlns='{MUC}#admin'>{ban}</query>")
        tybalt = self.client("tybalt")
        self.assertEqual(self.registers(tybalt, "Tybalt"), "forbidden")

    def test_asked(self) -> None:
        """Where membership lets people in, who leads the room is asked."""
        (romeo,) = self.opened("romeo")
        self.configure(romeo, membersonly="1")
        juliet = self.client("juliet")
        self.assertEqual(self.registers(juliet, "Juliet"), "result")
        (asked,) = romeo.received()
        self.assertIn("juliet@montague.lit", asked)
        self.assertEqual(condition(self.enter(juliet, "Juliet")[0]), "registration-required")
        answer = form(f"{MUC}#register", register_allow="1", register_jid="juliet@montague.lit")
        self.assertEqual(condition(self.says(juliet, answer)[0]), "forbidden")
        self.says(romeo, answer)
        self.assertIn("affiliation='member'", self.enter(juliet, "Juliet")[-2])

    def test_nobody_in(self) -> None:
        """While nobody of them is in, owners are asked wherever they are."""
        (romeo,) = self.opened("romeo")
        self.configure(romeo, membersonly="1", persistentroom="1")
        romeo.send(f"<presence type='unavailable' to='{ORCHARD}/Romeo'/>")
        romeo.raw()
        self.registers(self.client("juliet"), "Juliet")
        (asked,) = romeo.received()
        self.assertIn("muc#register_allow", asked)

    def test_at_once(self) -> None:
        """A room may let who registers be a member at once."""
        (romeo,) = self.opened("romeo")
        self.configure(romeo, membersonly="1", allow_registration="1")
        juliet = self.client("juliet")
        self.registers(juliet, "Juliet")
        self.assertIn("affiliation='member'", self.enter(juliet, "Juliet")[-2])

    def test_many(self) -> None:
        """Of many who ask, the oldest are forgotten."""
        (romeo,) = self.opened("romeo")
        self.configure(romeo, membersonly="1")
        for number in range(MAX_OPEN + 1):
            self.house.add(f"guest{number}", {})
            client = self.client(f"guest{number}")
            self.assertEqual(self.registers(client, f"Guest {number}"), "result")
        for number, expected in ((0, "item-not-found"), (MAX_OPEN, "")):
            answer = form(
                f"{MUC}#register",
                register_allow="0",
                register_jid=f"guest{number}@montague.lit",
            )
            found = [condition(each) for each in self.says(romeo, answer)]
            self.assertEqual(found, [expected] if expected else [])


class InvitationTests(AskingCase):
    """Invitations by way of a room (RM-54)."""

    def invite(self, *names: str, inner: str = "") -> str:
        invites = "".join(f"<invite to='{name}@montague.lit'>{inner}</invite>" for name in names)
        return f"<x xmlns='{MUC}#user'>{invites}</x>"

    def test_invited(self) -> None:
        """Who is invited hears it from the room, with all that was said to it."""
        romeo, juliet = *self.opened("romeo"), self.client("juliet")
        said = "<reason>Come!</reason><continue thread='t1'/>"
        self.assertEqual(self.says(romeo, self.invite("juliet", inner=said)), [])
        (invited,) = juliet.received()
        self.assertIn(f"from='{ORCHARD}'", invited)
        self.assertIn("<invite from='romeo@montague.lit'>", invited.replace('"', "'"))
        for word in ("Come!", "t1"):
            self.assertIn(word, invited)

    def test_password(self) -> None:
        """Who is invited is told the password."""
        romeo, juliet = *self.opened("romeo"), self.client("juliet")
        self.configure(romeo, roomsecret="cauldronburn")
        self.says(romeo, self.invite("juliet"))
        self.assertIn("<password>cauldronburn</password>", juliet.received()[0])

    def test_members_only(self) -> None:
        """Who is invited into a room for members is one."""
        romeo, juliet = *self.opened("romeo"), self.client("juliet")
        self.configure(romeo, membersonly="1")
        self.says(romeo, self.invite("juliet"))
        self.assertIn("affiliation='member'", self.enter(juliet, "Juliet")[-2])

    def test_refused(self) -> None:
        """Invitations are from who is in and may invite, and to people who are not banned."""
        romeo, juliet = self.opened("romeo", "juliet")
        nurse = self.client("nurse")
        ban = "<item affiliation='outcast' jid='tybalt@montague.lit'/>"
        self.asks(romeo, "set", f"<query xmlns='{MUC}#admin'>{ban}</query>")
        self.asks(
            romeo,
            "set",
            f"<query xmlns='{MUC}#admin'><item affiliation='member' jid='juliet@montague.lit'/>"
            "</query>",
        )
        self.configure(romeo, membersonly="1")
        for client, inner, expected in (
            (nurse, self.invite("juliet"), "not-acceptable"),
            (juliet, self.invite("nurse"), "forbidden"),
            (romeo, self.invite("nurse", "tybalt"), "not-allowed"),
            (romeo, f"<x xmlns='{MUC}#user'><invite to='@'/></x>", "jid-malformed"),
            (romeo, self.invite(*["nurse"] * (MAX_INVITED + 1)), "not-acceptable"),
        ):
            with self.subTest(inner[:90]):
                self.assertEqual(condition(self.says(client, inner)[0]), expected)
        self.assertEqual(nurse.received(), [])

    def test_declined(self) -> None:
        """Who has invited is told that somebody does not come, once."""
        romeo, juliet = *self.opened("romeo"), self.client("juliet")
        self.says(romeo, self.invite("juliet"))
        decline = (
            f"<x xmlns='{MUC}#user'><decline to='romeo@montague.lit/1'>"
            "<reason>Too late</reason></decline></x>"
        )
        juliet.raw()
        self.assertEqual(self.says(juliet, decline), [])
        (told,) = romeo.received()
        self.assertIn("juliet@montague.lit", told)
        self.assertIn("Too late", told)
        self.assertEqual(condition(self.says(juliet, decline)[0]), "item-not-found")
        self.assertEqual(romeo.received(), [])

    def test_not_invited(self) -> None:
        """Who was not invited has nothing to decline."""
        romeo, juliet = *self.opened("romeo"), self.client("juliet")
        decline = f"<x xmlns='{MUC}#user'><decline to='romeo@montague.lit'/></x>"
        self.assertEqual(condition(self.says(juliet, decline)[0]), "item-not-found")
        self.assertEqual(romeo.received(), [])


class NameTests(AskingCase):
    def test_unique(self) -> None:
        """The service has names that no room has (RM-25)."""
        romeo = self.client("romeo")
        answers = [self.asks(romeo, "get", UNIQUE, SERVICE) for _ in range(2)]
        names = {name for each in answers for name in re.findall(r">([a-z2-7]{26})<", each)}
        self.assertEqual(len(names), 2)
