"""XEP-0133: Service Administration."""

from msgspec.structs import replace
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.ctl.users import MAX_ACCOUNTS_AT_ONCE
from xmppd.stanza import Tree
from xmppd.stanza.xml import local_name
from xmppd.store.last_presences import LastPresence
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd_plugins.service_administration import NS

COMMANDS = "http://jabber.org/protocol/commands"
PASSWORD = "wherefore art thou"


def execute(client: Client, node: str, inside: str = "", session: str = "") -> Tree:
    """Ask for a command."""
    attribute = f" sessionid='{session}'" if session else ""
    request = f"<command xmlns='{COMMANDS}' node='{NS}#{node}'{attribute}>{inside}</command>"
    return ask(client, "set", request, "montague.lit")


def fill(client: Client, node: str, **fields: str | list[str]) -> Tree:
    """Ask for a command, fill in its form, and send it."""
    lines = ""
    for var, values in fields.items():
        listed = [values] if isinstance(values, str) else values
        inside = "".join(f"<value>{value}</value>" for value in listed)
        lines += f"<field var='{var.replace('_verify', '-verify')}'>{inside}</field>"
    session = execute(client, node)[0].get("sessionid", "")
    return execute(client, node, f"<x xmlns='jabber:x:data' type='submit'>{lines}</x>", session)


def shown(answer: Tree) -> dict[str, list[str]]:
    """The fields of a result."""
    return {
        field.get("var", ""): [value.text or "" for value in field]
        for field in answer.iter("{jabber:x:data}field")
        if field.get("var") != "FORM_TYPE"
    }


class AdministrationTests(SynchronousTestCase):
    def setUp(self) -> None:
        config = replace(house_config("montague.lit"), admins=("escalus@montague.lit",))
        self.house = House(
            config=config,
            plugins=("adhoc_commands", "service_administration"),
            escalus={},
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.escalus, self.romeo = self.house.connect("escalus", "romeo")

    def exists(self, name: str) -> bool:
        """Whether there is such an account."""
        return done(self.house.store.accounts.exists(f"{name}@montague.lit"))

    def knows(self, name: str, password: str) -> bool:
        """Whether this is the account's password."""
        check = self.house.server.auth_provider.check_password
        return done(check(f"{name}@montague.lit", password))

    def test_only_administrators(self) -> None:
        """Nobody else runs any of the commands."""
        self.assertEqual(len(self.house.server.command_forms.brought), 18)
        for node in self.house.server.command_forms.brought:
            with self.subTest(node=node):
                answer = execute(self.romeo, node.partition("#")[2])
                self.assertEqual(condition(answer), "forbidden")

    def test_no_password_is_told(self) -> None:
        """There is no command that shows a password."""
        answer = execute(self.escalus, "get-user-password")
        self.assertEqual(condition(answer), "item-not-found")

    def test_add_user(self) -> None:
        """An administrator adds an account, which can log in."""
        answer = fill(
            self.escalus, "add-user",
            accountjid="Paris@montague.lit", password=PASSWORD, password_verify=PASSWORD,
        )  # fmt: skip
        self.assertEqual(answer[0].get("status"), "completed")
        self.assertNotIn(PASSWORD, "".join(answer.itertext()))
        self.assertTrue(self.knows("paris", PASSWORD))

    def test_add_user_refused(self) -> None:
        """Accounts that exist, cannot be, or are not ours; and passwords that differ."""
        cases = [
            ("romeo@montague.lit", PASSWORD, "conflict"),
            ("paris@capulet.lit", PASSWORD, "item-not-found"),
            ("montague.lit", PASSWORD, "not-acceptable"),
            ("paris@montague.lit/1", PASSWORD, "not-acceptable"),
            ("paris@montague.lit", "something else", "not-acceptable"),
            ("paris@@montague.lit", PASSWORD, "bad-request bad-payload"),
            ("", PASSWORD, "bad-request bad-payload"),
            ("paris@montague.lit", "", "bad-request bad-payload"),
        ]
        for jid, again, expected in cases:
            with self.subTest(jid=jid, again=again):
                answer = fill(
                    self.escalus, "add-user",
                    accountjid=jid, password=PASSWORD, password_verify=again,
                )  # fmt: skip
                self.assertEqual(condition(answer), expected)
                self.assertNotIn(PASSWORD, "".join(answer.itertext()))
        self.assertFalse(self.exists("paris"))

    def test_delete_user(self) -> None:
        """Deleted accounts are gone, with their sessions and subscriptions."""
        (juliet,) = self.house.connect("juliet")
        fill(self.escalus, "delete-user", accountjids=["romeo@montague.lit"])
        self.assertFalse(self.exists("romeo"))
        self.assertTrue(self.romeo.closed)
        self.assertIn(b"unsubscribed", juliet.raw())

    def test_all_or_nothing(self) -> None:
        """If one of the accounts does not exist, nothing happens to the others."""
        for node in ("delete-user", "disable-user", "get-user-roster"):
            answer = fill(
                self.escalus, node, accountjids=["romeo@montague.lit", "nobody@montague.lit"]
            )
            self.assertEqual(condition(answer), "item-not-found")
        self.assertTrue(self.exists("romeo"))
        self.assertFalse(self.romeo.closed)

    def test_not_oneself(self) -> None:
        """No administrator locks himself out."""
        for node in ("delete-user", "disable-user"):
            accounts = ["romeo@montague.lit", "escalus@montague.lit"]
            answer = fill(self.escalus, node, accountjids=accounts)
            self.assertEqual(condition(answer), "not-allowed")
        self.assertTrue(self.exists("escalus") and self.exists("romeo"))

    def test_too_many(self) -> None:
        """One command is for so many accounts."""
        accounts = [f"{number}@montague.lit" for number in range(MAX_ACCOUNTS_AT_ONCE + 1)]
        answer = fill(self.escalus, "delete-user", accountjids=accounts)
        self.assertEqual(condition(answer), "not-acceptable")

    def test_disable_and_reenable(self) -> None:
        """A disabled account is thrown out and counted, until it is enabled again."""
        may_log_in = self.house.server.auth_provider.may_log_in
        fill(self.escalus, "disable-user", accountjids="romeo@montague.lit")
        self.assertTrue(self.romeo.closed)
        number = shown(execute(self.escalus, "get-disabled-users-num"))
        self.assertEqual(number, {"disabledusersnum": ["1"]})
        listed = shown(fill(self.escalus, "get-disabled-users-list"))
        self.assertEqual(listed, {"disableduserjids": ["romeo@montague.lit"]})
        fill(self.escalus, "reenable-user", accountjids="romeo@montague.lit")
        self.assertTrue(done(may_log_in("romeo@montague.lit")))

    def test_end_user_session(self) -> None:
        """A full JID ends that session; a bare JID ends them all; the account stays."""
        other, third = self.house.connect("romeo/2", "romeo/3")
        answer = fill(self.escalus, "end-user-session", accountjids="romeo@montague.lit/2")
        self.assertIn("ended 1 session", "".join(answer.itertext()))
        self.assertEqual([self.romeo.closed, other.closed, third.closed], [False, True, False])
        fill(self.escalus, "end-user-session", accountjids="romeo@montague.lit")
        self.assertTrue(self.romeo.closed and third.closed)
        self.assertTrue(self.exists("romeo"))
        self.assertFalse(self.escalus.closed)

    def test_end_no_session(self) -> None:
        """To end what is not there, or is no user's session, ends nothing."""
        stranger = self.house.unauthenticated()
        stranger.open("montague.lit")
        jid = stranger.session.jid.full
        answer = fill(self.escalus, "end-user-session", accountjids=[jid, "x@y.lit", "x@y.lit/1"])
        self.assertEqual(condition(answer), "item-not-found")
        self.assertFalse(stranger.closed)

    def test_change_user_password(self) -> None:
        """A new password throws out who knows the old one; never the administrator."""
        for name, client in (("romeo", self.romeo), ("escalus", self.escalus)):
            answer = fill(
                self.escalus, "change-user-password",
                accountjid=f"{name}@montague.lit", password=PASSWORD,
            )  # fmt: skip
            self.assertNotIn(PASSWORD, "".join(answer.itertext()))
            self.assertTrue(self.knows(name, PASSWORD))
            self.assertEqual(client.closed, name == "romeo")

    def test_change_password_refused(self) -> None:
        """Nobody's password is not changed, nor to one that cannot be."""
        cases = [
            ("nobody@montague.lit", PASSWORD, "item-not-found"),
            ("romeo@capulet.lit", PASSWORD, "item-not-found"),
            ("romeo@montague.lit", "x" * 2_000, "not-acceptable"),
        ]
        for jid, password, expected in cases:
            with self.subTest(jid=jid):
                answer = fill(
                    self.escalus, "change-user-password", accountjid=jid, password=password
                )
                self.assertEqual(condition(answer), expected)

    def test_get_user_roster(self) -> None:
        """The rosters of accounts, in their order."""
        answer = fill(
            self.escalus, "get-user-roster",
            accountjids=["romeo@montague.lit", "juliet@montague.lit"],
        )  # fmt: skip
        items = [item.get("jid") for item in answer.iter("{jabber:iq:roster}item")]
        self.assertEqual(items, ["juliet@montague.lit", "romeo@montague.lit"])

    def test_get_user_lastlogin(self) -> None:
        """Since when somebody is here, when somebody left, and nothing of who never was."""
        last = LastPresence(1_600_000_000.0, None)
        done(self.house.store.presences.save_last_presence("juliet@montague.lit", last))
        self.house.add("paris")
        answer = fill(
            self.escalus, "get-user-lastlogin",
            accountjids=[f"{name}@montague.lit" for name in ("romeo", "juliet", "paris")],
        )  # fmt: skip
        times = shown(answer)["lastlogin"]
        self.assertEqual(times, ["2023-11-14T22:13:20Z", "2020-09-13T12:26:40Z", ""])

    def test_announce(self) -> None:
        """The lines of an announcement reach those who are online."""
        self.escalus.send("<presence type='unavailable'/>")
        self.escalus.raw()
        fill(self.escalus, "announce", announcement=["Fly", "to Mantua"])
        body = self.romeo.look().find("message[@type='headline']/body")
        self.assertEqual(body.text, "Fly\nto Mantua")

    def test_user_stats(self) -> None:
        """How many contacts, from where, and with which resources."""
        answer = fill(self.escalus, "user-stats", accountjid="romeo@montague.lit")
        self.assertEqual(
            shown(answer),
            {
                "accountjid": ["romeo@montague.lit"],
                "ipaddresses": ["192.0.2.1"],
                "rostersize": ["1"],
                "onlineresources": ["1"],
            },
        )

    def test_numbers(self) -> None:
        """How many are registered, online, active and idle."""
        juliet = self.house.bind("juliet")
        self.house.bind("romeo", "2").send("<presence><show>away</show></presence>")
        self.romeo.send("<presence><show>xa</show></presence>")
        self.escalus.send("<presence><show>dnd</show></presence>")
        numbers: dict[str, list[str]] = {}
        for node in ("registered", "online", "active", "idle"):
            numbers |= shown(execute(self.escalus, f"get-{node}-users-num"))
        self.assertEqual(
            numbers,
            {
                "registeredusersnum": ["3"],
                "onlineusersnum": ["3"],
                "activeusersnum": ["1"],
                "idleusersnum": ["2"],
            },
        )
        self.assertFalse(juliet.closed)

    def test_lists(self) -> None:
        """Who is registered and who is online, as many as were asked for."""
        for number in range(30):
            self.house.add(f"watchman{number:02}")
        everybody = shown(fill(self.escalus, "get-registered-users-list", max_items="none"))
        self.assertEqual(len(everybody["registereduserjids"]), 33)
        some = shown(fill(self.escalus, "get-registered-users-list", max_items="25"))
        self.assertEqual(some["registereduserjids"], everybody["registereduserjids"][:25])
        online = shown(fill(self.escalus, "get-online-users-list"))
        self.assertEqual(online, {"onlineuserjids": ["escalus@montague.lit", "romeo@montague.lit"]})

    def test_max_items(self) -> None:
        """Nobody asks for more than is offered."""
        for wrong in ("1000000", "-1", "all"):
            answer = fill(self.escalus, "get-registered-users-list", max_items=wrong)
            self.assertEqual(condition(answer), "bad-request bad-payload")

    def test_no_password_in_logs(self) -> None:
        """The log says who ran which command, and never a password."""
        with capturedLogs() as events:
            fill(
                self.escalus, "add-user",
                accountjid="paris@montague.lit", password=PASSWORD, password_verify=PASSWORD,
            )  # fmt: skip
            fill(
                self.escalus, "change-user-password",
                accountjid="paris@montague.lit", password=PASSWORD,
            )  # fmt: skip
        told = "\n".join(map(formatEvent, events))
        self.assertIn("ad-hoc: escalus@montague.lit ran the command user add", told)
        self.assertNotIn(PASSWORD, "".join(map(str, events)))

    def test_forms(self) -> None:
        """Each form says what it is for, and hides passwords while they are typed."""
        types: dict[str | None, str | None] = {}
        for node in self.house.server.command_forms.brought:
            answer = execute(self.escalus, node.partition("#")[2])
            for field in answer.iter("{jabber:x:data}field"):
                types[field.get("var")] = field.get("type")
            names = [local_name(part.tag) for part in answer[0]]
            self.assertIn(names, (["actions", "x"], ["x"]))
        self.assertEqual(types["password"], "text-private")
        self.assertEqual(types["FORM_TYPE"], "hidden")
