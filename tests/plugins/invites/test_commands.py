"""Who invites, by the shell, by programs and by a client's forms."""

from typing import cast

from msgspec import to_builtins

from tests.plugins.asking import ask, condition
from tests.plugins.invites.invite_case import (
    ADMIN,
    COMMANDS,
    JULIET,
    NURSE,
    ROMEO,
    InviteCase,
    actor,
    fields,
    preauth,
    register,
    stranger,
    token_of,
)
from xmppd.command.command_context import Actor
from xmppd.stanza import Condition
from xmppd.testing.client import done
from xmppd_plugins.invites.commands import InvitationRow
from xmppd_plugins.invites.invitations import WEEK_S


class CommandTests(InviteCase):
    def rows(self, actor: Actor = ADMIN, /, **arguments: object) -> list[InvitationRow]:
        """What is listed."""
        return cast(list[InvitationRow], self.give("list", actor, **arguments))

    def test_made(self) -> None:
        """The shell invites for the server, and for somebody; people for themselves."""
        made = self.invite()
        self.assertEqual(made.uri, f"xmpp:montague.lit?register;preauth={token_of(made)}")
        self.assertEqual(made.expires, "2023-11-21T22:13:20Z")
        for made in (self.invite(actor(ROMEO)), self.invite(**{"from": ROMEO})):
            self.assertEqual(made.uri, f"xmpp:{ROMEO}?roster;preauth={token_of(made)};ibr=y")
        self.assertRegex(token_of(made), "^[a-z2-7]{26}$")

    def test_week(self) -> None:
        """People invite five in a week, however these were invited; operators any number."""
        first = self.invite(actor(ROMEO), uses="3")
        self.invite(actor(ROMEO), uses="2")
        self.give("revoke", actor(ROMEO), id=first.id)
        self.assertIs(self.refused("create", actor(ROMEO)), Condition.RESOURCE_CONSTRAINT)
        self.invite(actor(NURSE))
        self.invite(actor(ROMEO, "operator"), uses="1000")
        self.assertIs(self.refused("create", actor(ROMEO)), Condition.RESOURCE_CONSTRAINT)

    def test_next_week(self) -> None:
        """A week later there are five again."""
        self.invite(actor(ROMEO), uses="5")
        self.house.wall_ahead_s += WEEK_S + 1
        self.invite(actor(ROMEO))

    def test_nobody_invites(self) -> None:
        """Where people are not to invite, only those do who have the scope."""
        self.house = self.furnish(invites={"per_account_per_week": 0})
        self.assertIs(self.refused("create", actor(ROMEO)), Condition.RESOURCE_CONSTRAINT)
        self.invite(ADMIN)

    def test_refused(self) -> None:
        """What people may not say, and what cannot be, is refused."""
        for name, who, given, why in (
            ("create", actor(ROMEO), {"from": NURSE}, Condition.FORBIDDEN),
            ("create", actor(ROMEO), {"name": "x"}, Condition.FORBIDDEN),
            ("create", actor(ROMEO), {"group": ["x"]}, Condition.FORBIDDEN),
            ("create", actor(ROMEO), {"expires": "8d"}, Condition.NOT_ACCEPTABLE),
            ("create", actor("nobody@montague.lit"), {}, Condition.ITEM_NOT_FOUND),
            ("create", ADMIN, {"from": "nobody@montague.lit"}, Condition.ITEM_NOT_FOUND),
            ("create", ADMIN, {"group": ["x"]}, Condition.ITEM_NOT_FOUND),
            ("create", ADMIN, {"name": "romeo"}, Condition.CONFLICT),
            ("create", ADMIN, {"name": "postmaster"}, Condition.NOT_ACCEPTABLE),
            ("create", ADMIN, {"name": "a@b"}, Condition.NOT_ACCEPTABLE),
            ("create", ADMIN, {"uses": "0"}, Condition.BAD_REQUEST),
            ("revoke", ADMIN, {"id": "x"}, Condition.ITEM_NOT_FOUND),
            ("who", ADMIN, {"account": ROMEO}, Condition.ITEM_NOT_FOUND),
            ("who", actor(ROMEO), {"account": ROMEO}, Condition.FORBIDDEN),
            ("list", actor(ROMEO), {"from": NURSE}, Condition.FORBIDDEN),
        ):
            with self.subTest(name=name, given=given):
                self.assertIs(self.refused(name, who, **given), why)
        self.invite(ADMIN, name="juliet")
        self.assertIs(self.refused("create", ADMIN, name="juliet"), Condition.CONFLICT)

    def test_own(self) -> None:
        """People see and revoke their own invitations, and nobody else's."""
        own, other = self.invite(actor(ROMEO)), self.invite(actor(NURSE))
        self.assertEqual([row.id for row in self.rows(actor(ROMEO))], [own.id])
        self.assertEqual({row.id for row in self.rows()}, {own.id, other.id})
        self.assertEqual([row.id for row in self.rows(**{"from": NURSE})], [other.id])
        for name in ("show", "revoke"):
            refused = self.refused(name, actor(ROMEO), id=other.id)
            self.assertIs(refused, Condition.ITEM_NOT_FOUND)
        would = self.give("revoke", actor(ROMEO), id=own.id, dry_run=True)
        self.assertEqual(would, [f"invitation {own.id} would be revoked"])
        self.assertEqual(len(self.rows(actor(ROMEO))), 1)
        self.give("revoke", actor(ROMEO), id=own.id)
        self.assertEqual(self.rows(actor(ROMEO)), [])
        (row,) = self.rows(actor(ROMEO), all=True)
        self.assertEqual(
            (row.state, row.inviter, row.for_account), ("revoked", ROMEO, "any at montague.lit")
        )
        self.assertIs(self.refused("revoke", actor(ROMEO), id=own.id), Condition.CONFLICT)

    def test_many(self) -> None:
        """More invitations than a page has are all listed, each once."""
        made = [self.invite(ADMIN).id for _ in range(201)]
        self.assertEqual(sorted(row.id for row in self.rows()), sorted(made))

    def test_who(self) -> None:
        """Who invited whom is known until the guest's account is removed."""
        made = self.invite(actor(ROMEO))
        juliet = stranger(self.house)
        preauth(juliet, token_of(made))
        register(juliet, "juliet")
        (row,) = self.give("who", account=JULIET)
        self.assertEqual(
            to_builtins(row),
            {
                "account": JULIET,
                "inviter": ROMEO,
                "invitation": made.id,
                "since": "2023-11-14T22:13:20Z",
            },
        )
        self.house.wall_ahead_s += 6 * WEEK_S
        self.house.clock.advance(3_600)
        self.assertEqual(self.rows(all=True), [])
        self.assertEqual(self.give("who", account=JULIET), [row])
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.assertIs(self.refused("who", account=JULIET), Condition.ITEM_NOT_FOUND)

    def test_kept(self) -> None:
        """An invitation that is over is still shown for a month, with who came by it."""
        made = self.invite(actor(ROMEO))
        juliet = stranger(self.house)
        preauth(juliet, token_of(made))
        register(juliet, "juliet")
        self.house.wall_ahead_s += 3 * WEEK_S
        self.house.clock.advance(3_600)
        invitation, guest = self.give("show", id=made.id)
        shown = cast(InvitationRow, invitation)
        self.assertEqual((shown.state, shown.used), ("used", 1))
        self.assertEqual(to_builtins(guest), {"account": JULIET, "since": "2023-11-14T22:13:20Z"})


class FormTests(InviteCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.nurse = self.house.connect("romeo", "nurse")

    def execute(self, node: str, inside: str = "", session: str = "") -> str:
        """Begin a command, or go on with it."""
        more = f" sessionid='{session}'" if session else ""
        return f"<command xmlns='{COMMANDS}' node='urn:xmpp:invite#{node}'{more}>{inside}</command>"

    def test_invite(self) -> None:
        """A client has its user's invitation at once (XEP-0401)."""
        answer = ask(self.romeo, "set", self.execute("invite"), "montague.lit")
        self.assertEqual(answer[0].get("status"), "completed")
        told = fields(answer)
        self.assertEqual(told["FORM_TYPE"], "urn:xmpp:invite#invitation")
        self.assertEqual(told["expire"], "2023-11-21T22:13:20Z")
        self.assertRegex(told["uri"], f"^xmpp:{ROMEO}\\?roster;preauth=[a-z2-7]+;ibr=y$")

    def test_create_account(self) -> None:
        """An administrator invites somebody of a name, who is no contact unless that is said."""
        refused = ask(self.romeo, "set", self.execute("create-account"), "montague.lit")
        self.assertEqual(condition(refused), "forbidden")
        first = ask(self.nurse, "set", self.execute("create-account"), "montague.lit")
        session = first[0].get("sessionid", "")
        names = [each.get("var") for each in first.iter("{jabber:x:data}field")]
        self.assertEqual(names, ["FORM_TYPE", "username", "roster-subscription"])
        form = (
            "<x xmlns='jabber:x:data' type='submit'>"
            "<field var='username'><value>juliet</value></field></x>"
        )
        filled = self.execute("create-account", form, session)
        told = fields(ask(self.nurse, "set", filled, "montague.lit"))
        self.assertRegex(told["uri"], f"^xmpp:{JULIET}\\?register;preauth=[a-z2-7]+$")
        token = told["uri"].partition("preauth=")[2]
        juliet = stranger(self.house)
        preauth(juliet, token)
        register(juliet, "juliet")
        self.assertEqual(self.contacts(NURSE), {})
