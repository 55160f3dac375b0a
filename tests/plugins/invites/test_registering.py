"""Somebody without an account has a token, and makes one."""

import re

from twisted.logger import capturedLogs, formatEvent

from tests.plugins.asking import ask, condition
from tests.plugins.invites.invite_case import (
    ADMIN,
    JULIET,
    PASSWORD,
    ROMEO,
    InviteCase,
    actor,
    preauth,
    register,
    stranger,
    token_of,
)
from xmppd.stanza import JID
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import done
from xmppd_plugins.invites.invitations import MAX_WRONG_PER_HOUR, WEEK_S
from xmppd_plugins.invites.iq import FEATURE
from xmppd_plugins.register.iq import FEATURE as REGISTER


class RegisteringTests(InviteCase):
    def test_comes(self) -> None:
        """Who shows a token registers, though registration is closed, and has who invited them as
        a contact; that one is told at once.
        """
        (romeo,) = self.house.connect("romeo")
        romeo.send("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>")
        romeo.raw()
        juliet = stranger(self.house)
        self.assertEqual(preauth(juliet, self.invited()), "result")
        self.assertEqual(register(juliet, "juliet"), "result")
        check = self.house.server.auth_provider.check_password(JULIET, PASSWORD)
        self.assertTrue(done(check))
        self.assertEqual(self.contacts(ROMEO), {JULIET: "both"})
        self.assertEqual(self.contacts(JULIET), {ROMEO: "both"})
        (push,) = romeo.received()
        self.assertIn('subscription="both"', push.replace("'", '"'))
        self.house.connect("juliet/1")
        self.assertIn(f'from="{JULIET}/1"', romeo.received()[-1].replace("'", '"'))

    def test_offered(self) -> None:
        """The stream says that there are tokens, and that one may register by one."""
        client = self.house.unauthenticated()
        client.open("montague.lit")
        offered = client.raw()
        self.assertIn(FEATURE, offered)
        self.assertIn(REGISTER, offered)

    def test_without(self) -> None:
        """Who shows none, or a wrong one, does not register; it takes no more than a right one
        afterwards.
        """
        juliet = stranger(self.house)
        form = "<query xmlns='jabber:iq:register'/>"
        self.assertEqual(condition(ask(juliet, "get", form)), "service-unavailable")
        for wrong in ("", "nonsense", "x" * 5_000):
            self.assertEqual(preauth(juliet, wrong), "item-not-found")
        self.assertEqual(register(juliet, "juliet"), "service-unavailable")
        self.assertEqual(preauth(juliet, self.invited()), "result")
        self.assertEqual(condition(ask(juliet, "get", form)), "result")

    def test_over(self) -> None:
        """A token that was used, revoked, or whose time is over is as one that never was."""
        used, revoked = self.invited(), self.invite(actor(ROMEO))
        late = self.invited(expires="1h")
        first = stranger(self.house)
        preauth(first, used)
        register(first, "juliet")
        self.give("revoke", id=revoked.id)
        self.house.wall_ahead_s += 3_601
        answers = set()
        for token in (used, token_of(revoked), late, "nonsense"):
            client = stranger(self.house)
            client.send(
                f"<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>"
            )
            (answer,) = client.received()
            answers.add(re.sub(" to='[^']*'", "", answer))
        self.assertEqual(len(answers), 1, answers)

    def test_not_used_by_a_failure(self) -> None:
        """Who asks for a taken name, or has too short a password, has not used the invitation."""
        juliet = stranger(self.house)
        preauth(juliet, self.invited())
        self.assertEqual(register(juliet, "romeo"), "conflict")
        self.assertEqual(register(juliet, "admin"), "not-acceptable")
        self.assertEqual(register(juliet, "juliet", "short"), "not-acceptable")
        self.assertEqual(register(juliet, "juliet"), "result")

    def test_once(self) -> None:
        """Of two who show the same token one gets in."""
        token, both = self.invited(), [stranger(self.house), stranger(self.house)]
        self.assertEqual([preauth(each, token) for each in both], ["result", "result"])
        said = [
            register(each, name) for each, name in zip(both, ("juliet", "rosaline"), strict=True)
        ]
        self.assertEqual(said, ["result", "item-not-found"])
        self.assertFalse(self.exists("rosaline@montague.lit"))

    def test_several(self) -> None:
        """An invitation for several is used by as many, who are listed."""
        made = self.invite(actor(ROMEO), uses="2")
        names = ("juliet", "rosaline", "susan")
        said = []
        for name in names:
            client = stranger(self.house)
            said.append(preauth(client, token_of(made)))
            if said[-1] == "result":
                register(client, name)
        self.assertEqual(said, ["result", "result", "item-not-found"])
        _, *guests = self.give("show", id=made.id)
        self.assertEqual(
            [guest.account for guest in guests],  # type: ignore[union-attr]
            ["juliet@montague.lit", "rosaline@montague.lit"],
        )

    def test_time_is_up_meanwhile(self) -> None:
        """Whose token was right when it was shown may take their time (XEP-0445)."""
        juliet = stranger(self.house)
        preauth(juliet, self.invited())
        self.house.wall_ahead_s += WEEK_S + 1
        self.assertEqual(register(juliet, "juliet"), "result")

    def test_revoked_meanwhile(self) -> None:
        """Who has shown a token that is revoked before they register does not get in."""
        juliet, made = stranger(self.house), self.invite(actor(ROMEO))
        preauth(juliet, token_of(made))
        self.give("revoke", id=made.id)
        self.assertEqual(register(juliet, "juliet"), "item-not-found")
        self.assertFalse(self.exists(JULIET))

    def test_promised(self) -> None:
        """A name that an invitation promises is kept for its guest, who can have no other."""
        made = self.invite(ADMIN, name="Juliet")
        self.assertEqual(made.uri, f"xmpp:juliet@montague.lit?register;preauth={token_of(made)}")
        other = stranger(self.house)
        preauth(other, self.invited())
        self.assertEqual(register(other, "juliet"), "not-acceptable")
        juliet = stranger(self.house)
        preauth(juliet, token_of(made))
        form = ask(juliet, "get", "<query xmlns='jabber:iq:register'/>")
        self.assertEqual(form.findtext(".//{jabber:iq:register}username"), "juliet")
        self.assertEqual(register(juliet, "rosaline"), "not-acceptable")
        self.assertEqual(register(juliet, "juliet"), "result")

    def test_groups(self) -> None:
        """A guest joins the groups that the invitation names, if they are still there."""
        changes = self.house.server.shared_group_changes
        for name in ("house", "gone"):
            done(changes.save(SharedGroup(name, name)))
        made = self.invite(ADMIN, group=["house", "gone"], no_contact=True)
        done(changes.delete("gone"))
        juliet = stranger(self.house)
        preauth(juliet, token_of(made))
        register(juliet, "juliet")
        self.assertEqual(changes.groups.groups["house"].members, (JULIET,))
        self.assertEqual((self.contacts(JULIET), list(changes.groups.groups)), ({}, ["house"]))

    def test_inviter_is_gone(self) -> None:
        """When an account is removed, nobody comes in its name any more."""
        token = self.invited()
        done(self.house.server.accounts.remove(JID.parse(ROMEO)))
        self.assertEqual(preauth(stranger(self.house), token), "item-not-found")

    def test_full_roster(self) -> None:
        """Who is invited by somebody whose roster is full has an account all the same."""
        self.house = self.furnish(roster={"max_items": 1})
        self.house.add("tybalt", {})
        done(
            self.house.server.presence_subscribe_handler.befriend(
                JID.parse(ROMEO), JID.parse("tybalt@montague.lit")
            )
        )
        juliet = stranger(self.house)
        preauth(juliet, self.invited())
        self.assertEqual(register(juliet, "juliet"), "result")
        self.assertEqual(self.contacts(JULIET), {})
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_guessing(self) -> None:
        """Who guesses at tokens is told nothing of right ones either, for an hour."""
        token = self.invited()
        client = stranger(self.house)
        for _ in range(MAX_WRONG_PER_HOUR):
            preauth(client, "nonsense")
        self.assertEqual(preauth(client, token), "resource-constraint")
        self.assertEqual(preauth(stranger(self.house, "198.51.100.7"), token), "result")
        self.house.clock.advance(3_601)
        self.assertEqual(preauth(stranger(self.house), token), "result")

    def test_with_account(self) -> None:
        """Who has an account needs no token for one."""
        (romeo,) = self.house.connect("romeo")
        self.assertEqual(preauth(romeo, self.invited()), "unexpected-request")

    def test_contacts_only(self) -> None:
        """Where people do not bring others here, their tokens make no accounts."""
        self.house = self.furnish(invites={"with_account": False})
        made = self.invite(actor(ROMEO))
        self.assertNotIn("ibr", made.uri)
        self.assertEqual(preauth(stranger(self.house), token_of(made)), "item-not-found")
        self.assertIn(";ibr=y", self.invite(ADMIN).uri)

    def test_token_is_not_kept(self) -> None:
        """No token is in the log, or in the database."""
        with capturedLogs() as logged:
            made = self.invite(actor(ROMEO))
            juliet = stranger(self.house)
            preauth(juliet, token_of(made))
            register(juliet, "juliet")
        told = "\n".join(str(formatEvent(event)) for event in logged)
        self.assertIn(made.id, told)
        self.assertNotIn(token_of(made), told)

    def test_unload(self) -> None:
        """Without the plugin, registration is closed again."""
        juliet = stranger(self.house)
        preauth(juliet, self.invited())
        done(self.house.plugins.unload("invites"))
        self.assertEqual(register(juliet, "juliet"), "service-unavailable")
