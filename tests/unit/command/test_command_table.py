"""The place of commands, and who may give which."""

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import SHELL, Actor, CommandContext
from xmppd.command.command_form import CommandForm, CommandForms, Filled, own_form
from xmppd.command.command_table import CommandTable
from xmppd.command.kinds import AccountName, Flag, Secret
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.command.roles import Roles
from xmppd.config.config import RoleSettings
from xmppd.host.seldom import EACH_S, Seldom
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.testing.client import done

ACCOUNT = Argument("account", "whose", AccountName())
FORBIDDEN = Condition.FORBIDDEN
ADMIN, ROMEO = JID.parse("escalus@montague.lit/1"), JID.parse("romeo@montague.lit/1")


async def dance(context: CommandContext) -> Replies:
    """A step after the other."""
    for step in ("left", "right"):
        yield step


class TableCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = CommandTable(("montague.lit",), Roles([ADMIN.to_bare()]))

    def run_as(self, actor: Actor, name: str, **given: object) -> list[object]:
        """All that somebody is answered."""

        async def collect() -> list[object]:
            replies = self.table.replies(*self.table.asked(name, given, actor))
            return [reply async for reply in replies]

        return done(collect())

    def refusal(self, actor: Actor, name: str, **given: object) -> Condition:
        """Why somebody is refused."""
        refused: Refused = self.assertRaises(Refused, self.run_as, actor, name, **given)
        return refused.condition


class PlaceTests(TableCase):
    def test_put(self) -> None:
        """A command is there until it is taken out."""
        undo = self.table.put(Command(Description("ball dance", "dance"), dance), "ball")
        self.assertEqual(self.run_as(SHELL, "ball dance"), ["left", "right"])
        undo()
        self.assertEqual(self.refusal(SHELL, "ball dance"), Condition.ITEM_NOT_FOUND)

    def test_logged(self) -> None:
        """Who gives a command is logged; the same question only now and then, with how many lines
        were left out; what changes something always is.
        """
        now = [0.0]
        self.table.untold = Seldom(lambda: now[0]).untold
        for about in (
            Description("ball dance", "dance"),
            Description("ball end", "end it", effect="changes"),
        ):
            self.table.put(Command(about, dance), "ball")
        with capturedLogs() as events:
            for _ in range(3):
                self.run_as(SHELL, "ball dance")
                self.run_as(SHELL, "ball end")
            now[0] += EACH_S
            self.run_as(SHELL, "ball dance")
        said = [(event["command"], event["more"]) for event in events]
        left_out = " (similar lines left out: 2)"
        self.assertEqual(
            said, [("ball dance", ""), *[("ball end", "")] * 3, ("ball dance", left_out)]
        )

    def test_taken(self) -> None:
        """No name is given twice, nor one that continues another, nor one that is none."""
        self.table.put(Command(Description("ball dance", "dance"), dance), "ball")
        for name in ("ball dance", "ball", "ball dance slow", "Ball", "", "a b c d", "-x"):
            with self.subTest(name):
                command = Command(Description(name, "dance"), dance)
                self.assertRaises(ValueError, self.table.put, command, "other")

    def test_arguments(self) -> None:
        """Each argument has a name of its own that a command line can have; one is secret."""
        for names in (("--json",), ("wide",), ("a", "--a"), ("a-b",), ("A",), ("-a",)):
            with self.subTest(names):
                about = Description("dance", "", tuple(Argument(name, "") for name in names))
                self.assertRaises(ValueError, self.table.put, Command(about, dance), "ball")
        secrets = (Argument("old", "", Secret()), Argument("new", "", Secret()))
        command = Command(Description("dance", "", secrets), dance)
        self.assertRaises(ValueError, self.table.put, command, "ball")
        self.assertEqual(self.table.commands, {})

    def test_ends_without_dry_run(self) -> None:
        """What ends something can say before what would happen; and each is about some area."""
        for about in (Description("end", "", effect="ends"), Description("a", "", area="moon")):
            self.assertRaises(ValueError, self.table.put, Command(about, dance), "ball")
        self.table.put(Command(Description("end", "", (DRY_RUN,), "ends"), dance), "ball")

    def test_owner_of_nothing(self) -> None:
        """A command for owners has an argument that says of which account."""
        several = Argument("account", "whose", AccountName(), most=2)
        optional = Argument("--account", "whose", AccountName())
        for argument in (several, optional, Argument("account", "whose")):
            about = Description("own", "", (argument,), who="owner")
            self.assertRaises(ValueError, self.table.put, Command(about, dance), "ball")

    def test_taken_nodes(self) -> None:
        """No node is given twice, nor one that is a command's own."""
        forms = CommandForms(self.table)
        undo = forms.put(CommandForm("n", "N", "dance", "n", lambda filled: {}), "ball")
        for node in ("n", "xmppd#dance"):
            form = CommandForm(node, "N", "dance", "n", lambda filled: {})
            self.assertRaises(ValueError, forms.put, form, "other")
        undo()
        self.assertEqual(forms.brought, {})


class FormTests(TableCase):
    def test_changed_meanwhile(self) -> None:
        """A form that was asked before its command wanted more is told what is missing."""
        about = Description("own", "", (ACCOUNT,), who="owner")
        self.table.put(Command(about, dance), "ball")
        admin = self.table.actor(ADMIN)
        told = own_form(about, admin).told(Filled({}, ADMIN, "montague.lit"))
        self.assertEqual(self.refusal(admin, "own", **told), Condition.BAD_REQUEST)

    def test_owner_is_not_asked(self) -> None:
        """Who may give a command for the own account only is not asked for it."""
        about = Description("own", "", (ACCOUNT,), who="owner")
        romeo = self.table.actor(ROMEO)
        form = own_form(about, romeo)
        self.assertEqual(form.fields, ())
        told = form.told(Filled({}, ROMEO, "montague.lit"))
        self.assertEqual(told, {"account": "romeo@montague.lit"})
        self.assertEqual(len(own_form(about, self.table.actor(ADMIN)).fields), 1)


class WhoTests(TableCase):
    def test_admins(self) -> None:
        """What is for administrators, at the machine or from a client, is for nobody else."""
        self.table.put(Command(Description("dance", "dance"), dance), "ball")
        for actor in (SHELL, self.table.actor(ADMIN)):
            self.assertEqual(len(self.run_as(actor, "dance")), 2)
        self.assertEqual(self.refusal(self.table.actor(ROMEO), "dance"), Condition.FORBIDDEN)

    def test_owner(self) -> None:
        """People may do to their own account what they may not do to others'."""
        self.table.put(Command(Description("own", "", (ACCOUNT,), who="owner"), dance), "ball")
        romeo = self.table.actor(ROMEO)
        self.assertEqual(len(self.run_as(romeo, "own", account="romeo@montague.lit")), 2)
        refusal = self.refusal(romeo, "own", account="escalus@montague.lit")
        self.assertEqual(refusal, Condition.FORBIDDEN)
        admin = self.table.actor(ADMIN)
        self.assertEqual(len(self.run_as(admin, "own", account="romeo@montague.lit")), 2)

    def test_everybody(self) -> None:
        """What is for everybody is for guests and strangers as well."""
        self.table.put(Command(Description("dance", "", who="everybody"), dance), "ball")
        stranger = self.table.actor(JID.parse("x@elsewhere.lit/1"))
        self.assertEqual(len(self.run_as(stranger, "dance")), 2)


class RunTests(TableCase):
    def test_nobody_listens(self) -> None:
        """What only reads ends when nobody listens; what changes something is done to its end."""
        for effect, count in (("reads", 1), ("changes", 2)):
            about = Description(f"dance {effect}", "", effect=effect)  # type: ignore[arg-type]
            self.table.put(Command(about, dance), "ball")
            command, context = self.table.asked(about.name, {}, SHELL)
            context.listening = False

            async def collect(command: Command, context: CommandContext) -> list[object]:
                return [reply async for reply in self.table.replies(command, context)]

            self.assertEqual(len(done(collect(command, context))), count)

    def test_bug(self) -> None:
        """A bug is its owner's, costs nothing but the answer, and no secret is logged."""
        secret = Argument("password", "", Secret())

        async def stumble(context: CommandContext) -> Replies:
            yield "begun"
            raise LookupError

        async def refuse(context: CommandContext) -> Replies:
            yield "begun"
            raise StanzaError(Condition.GONE, "over")

        self.table.put(Command(Description("stumble", "", (secret,)), stumble), "ball")
        self.table.put(Command(Description("leave", ""), refuse), "ball")
        with capturedLogs() as events:
            refusal = self.refusal(SHELL, "stumble", password="rosebud")
        self.assertEqual(refusal, Condition.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)
        self.assertNotIn("rosebud", "".join(map(str, events)))
        self.assertEqual(self.refusal(SHELL, "leave"), Condition.GONE)


class ScopeTests(TableCase):
    """What somebody may do who is no administrator."""

    def setUp(self) -> None:
        helpdesk = RoleSettings(name="h", accounts=(ROMEO.bare,), scopes=("accounts:read",))
        operators = RoleSettings(name="operator", accounts=("paris@montague.lit",))
        roles = Roles([ADMIN.to_bare()], [helpdesk, operators])
        self.table = CommandTable(("montague.lit",), roles)
        bodies = Argument("--bodies", "", Flag(), scope="content:read")
        for about in (
            Description("look", "", (bodies,), area="accounts"),
            Description("change", "", effect="changes", area="accounts"),
            Description("own", "", (ACCOUNT,), who="owner", area="accounts"),
        ):
            self.table.put(Command(about, dance), "ball")

    def test_scope(self) -> None:
        """Reading is one scope, changing another; the refusal names what is lacking."""
        romeo = self.table.actor(ROMEO)
        self.assertEqual(len(self.run_as(romeo, "look")), 2)
        self.assertEqual(len(self.run_as(romeo, "look", bodies=False)), 2)
        self.assertEqual(len(self.run_as(romeo, "own", account=ADMIN.bare)), 2)
        for name, given, scope, argument in (
            ("change", {}, "accounts:write", ""),
            ("look", {"bodies": True}, "content:read", "bodies"),
        ):
            refused: Refused = self.assertRaises(Refused, self.run_as, romeo, name, **given)
            self.assertIn(scope, str(refused))
            self.assertEqual((refused.scope, refused.argument), (scope, argument))
            self.assertIs(refused.condition, Condition.FORBIDDEN)

    def test_key(self) -> None:
        """What everybody may do with their own account is nothing for a key, which has none."""
        key = Actor(None, frozenset(("server:read",)), "rest", "key deploy")
        self.assertEqual(self.refusal(key, "own", account=ROMEO.bare), Condition.FORBIDDEN)
        key = Actor(None, frozenset(("accounts:read",)), "rest", "key deploy")
        self.assertEqual(len(self.run_as(key, "own", account=ROMEO.bare)), 2)
        self.assertEqual(self.refusal(key, "own", account="romeo"), Condition.NOT_ACCEPTABLE)

    def test_mightier(self) -> None:
        """Nobody changes an account that may do more than they, and so becomes it."""
        about = Description("set", "", (ACCOUNT,), "changes", area="accounts")
        self.table.put(Command(about, dance), "ball")
        helper = Actor(None, frozenset(("accounts:write",)), "rest", "key helper")
        for account in (ADMIN.bare, "paris@montague.lit"):
            refused: Refused = self.assertRaises(
                Refused, self.run_as, helper, "set", account=account
            )
            self.assertIn("has rights that you lack", str(refused))
            self.assertEqual((refused.condition, refused.argument), (FORBIDDEN, "account"))
        self.assertEqual(len(self.run_as(helper, "set", account="nurse@montague.lit")), 2)
        self.assertEqual(len(self.run_as(SHELL, "set", account=ADMIN.bare)), 2)
        self.assertEqual(len(self.run_as(self.table.actor(ADMIN), "set", account=ADMIN.bare)), 2)

    def test_operator(self) -> None:
        """Who looks after the server reads all but what people write, and keys."""
        scopes = self.table.actor(JID.parse("paris@montague.lit/1")).scopes
        self.assertLessEqual({"accounts:read", "sessions:write", "s2s:write"}, scopes)
        self.assertFalse({"content:read", "keys:read", "accounts:write"} & scopes)
