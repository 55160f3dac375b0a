"""What each command of xmppctl does."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from tests.unit.ctl.test_warned import rsa_identity
from tests.unit.login.logins import BIND, HEADER
from tests.unit.login.test_fast import TokenCase, by_token
from xmppd.auth.base import SASLError
from xmppd.command.argument import MANY, Arguments
from xmppd.command.kinds import Surface
from xmppd.command.refused import Refused
from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.ctl import announcing
from xmppd.ctl.command_line import GROUPS
from xmppd.ctl.commands import DESCRIPTIONS
from xmppd.ctl.users import ACCOUNT
from xmppd.net.tls import TLS
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config


class OfficeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.office = Office(self.house)


class TableTests(OfficeCase):
    def test_words(self) -> None:
        """The words before the last one of each command are explained, and there are few."""
        for name in DESCRIPTIONS:
            with self.subTest(name):
                group = name.rpartition(" ")[0]
                self.assertLess(group.count(" "), 2)
                self.assertTrue(not group or group in GROUPS)
                self.assertNotIn(name, GROUPS)

    def test_arguments_are_checked(self) -> None:
        """What is missing, unknown, of the wrong kind or too much is refused in a sentence."""
        for given, why in (
            ({}, "account is missing"),
            ({"account": "romeo", "x": "y"}, "unknown argument x"),
            ({"account": 7}, "account is of the wrong kind"),
            ({"account": []}, "account is of the wrong kind"),
            ({"account": "r" * 10_001}, "account is of the wrong kind, or too long"),
            ({"account": "romeo@elsewhere.lit"}, "this server does not serve elsewhere.lit"),
            ({"account": "romeo@montague.lit/orchard"}, "has a resource; write the account as"),
            ({"account": "@"}, '"@" is not an address'),
            ({"account": ["romeo", "@@"]}, '"@@" is not an address'),
        ):
            with self.subTest(given):
                self.assertIn(why, self.office.refusal("user delete", **given))
        self.assertIn(
            "members or everybody", self.office.refusal("group save", group="g", visible_to="x")
        )
        many = ["romeo"] * (MANY + 1)
        self.assertIn(
            "add may be given at most 1000 times",
            self.office.refusal("group save", group="g", add=many),
        )

    def test_short_name(self) -> None:
        """At the server's machine an account of the first domain may be named without it."""
        served = ("montague.lit",)
        told = Arguments([ACCOUNT], {"account": "Romeo"}, Surface(served, short_names=True))
        self.assertEqual(told.jid("account").bare, "romeo@montague.lit")
        self.assertRaises(Refused, Arguments, [ACCOUNT], {"account": "Romeo"}, Surface(served))

    def test_needs(self) -> None:
        """Each command is done by a server, by one that runs, or by a configuration alone."""
        needs = {about.name: about.needs for about in DESCRIPTIONS.values()}
        server, files = set(self.office.table.commands), set(self.office.files.commands)
        self.assertEqual(set(needs), server | files)
        self.assertEqual({name for name in needs if needs[name] == "file"}, files)
        store = set(House("mantua.lit").server.commands.commands)
        self.assertLessEqual({name for name in needs if needs[name] == "store"}, store)


class UserTests(OfficeCase):
    def test_add(self) -> None:
        """An account is added once, and its password is not one of nothing."""
        said = self.office.says("user add", account="tybalt", password="prince of cats")
        self.assertEqual(said, "tybalt@montague.lit was added")
        self.assertTrue(done(self.house.store.accounts.exists("tybalt@montague.lit")))
        self.assertIn("already", self.office.refusal("user add", account="tybalt", password="x"))
        self.assertIn("password", self.office.refusal("user add", account="paris", password=""))

    def test_list(self) -> None:
        """Accounts are listed with who is here and who is disabled."""
        self.house.connect("romeo")
        done(self.house.store.accounts.set_disabled("juliet@montague.lit", True))
        juliet, romeo = self.office.rows("user list")
        self.assertEqual((romeo["account"], romeo["sessions"]), ("romeo@montague.lit", 1))
        self.assertEqual((juliet["disabled"], romeo["disabled"]), (True, False))
        self.assertRegex(str(juliet["created"]), r"^2023-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(len(self.office.rows("user list", domain="montague.lit")), 2)
        self.assertIn("does not serve", self.office.refusal("user list", domain="x.lit"))

    def test_list_is_paged(self) -> None:
        """More accounts than fit into one page are all listed."""
        for number in range(1_001):
            done(self.house.store.accounts.create_account(f"n{number:04}@montague.lit", []))
        self.assertEqual(len(self.office.rows("user list")), 1_003)
        behind = self.office.rows("user list", after="n0998@montague.lit", rows="3")
        self.assertEqual(
            [row["account"] for row in behind],
            ["n0999@montague.lit", "n1000@montague.lit", "romeo@montague.lit"],
        )

    def test_delete(self) -> None:
        """Who is deleted is told so, and is gone."""
        (romeo,) = self.house.connect("romeo")
        said = self.office.says("user delete", account="romeo")
        self.assertIn("1 stream", said)
        self.assertIn(b"<not-authorized", romeo.raw())
        self.assertFalse(done(self.house.store.accounts.exists("romeo@montague.lit")))
        self.assertIn("does not exist", self.office.refusal("user delete", account="romeo"))

    def test_password(self) -> None:
        """A new password ends what was opened with the old one."""
        romeo, other = self.house.connect("romeo/a", "romeo/b")
        said = self.office.says("user password", account="romeo", password="by any other name")
        self.assertIn("2 streams", said)
        for client in (romeo, other):
            self.assertIn(b"<reset", client.raw())

    def test_password_generated(self) -> None:
        """A password may be generated: it is told once, is another each time, and lets in."""
        found = list[str]()
        for _ in range(2):
            made, said = self.office.replies("user password", account="romeo", generate="true")
            assert isinstance(made, dict)
            self.assertEqual(made["account"], "romeo@montague.lit")
            found.append(str(made["password"]))
            self.assertRegex(found[-1], r"\A[a-z2-9]{4}(-[a-z2-9]{4}){3}\Z")
            self.assertIn("was changed", str(said))
        self.assertNotEqual(*found)
        provider = self.office.house.server.auth_provider
        self.assertTrue(done(provider.check_password("romeo@montague.lit", found[-1])))
        for refusal in (
            self.office.refusal("user password", account="romeo"),
            self.office.refusal("user password", account="romeo", generate="true", password="x"),
        ):
            self.assertIn("either password or generate", refusal)

    def test_disable(self) -> None:
        """Who is disabled is out until enabled."""
        (romeo,) = self.house.connect("romeo")
        self.office.says("user disable", account="romeo")
        self.assertIn(b"<not-authorized", romeo.raw())
        credentials = done(self.house.store.accounts.credentials("romeo@montague.lit"))
        assert credentials is not None
        self.assertTrue(credentials.disabled)
        self.assertIn("enabled", self.office.says("user enable", account="romeo"))

    def test_disable_until(self) -> None:
        """Who is disabled until a time is told so, and can log in from then on, without anybody
        doing anything, also after a restart.
        """
        romeo = "romeo@montague.lit"
        (client,) = self.house.connect("romeo")
        self.assertIn(
            f"{romeo} was disabled until 2023-11-14T23:13:20Z; closed 1 stream",
            self.office.says("user disable", account="romeo", **{"for": "1h"}),
        )
        self.assertIn(b"disabled until 2023-11-14 23:14 UTC", client.raw())
        self.assertEqual(self.of_user("disabled", "disabled_until"), [True, "2023-11-14T23:13:20Z"])
        said = self.office.says("user disable", account="romeo", until="2023-11-15T00:00:00+01:00")
        self.assertIn(f"{romeo} is now disabled until 2023-11-14T23:00:00Z", said)
        said = self.office.says("user disable", account="romeo", until="2023-11-14T23:00:00Z")
        self.assertIn(f"{romeo} is already disabled until 2023-11-14T23:00:00Z", said)
        error = self.failureResultOf(
            Deferred.fromCoroutine(self.house.server.auth_provider.may_log_in(romeo)), SASLError
        ).value
        self.assertEqual(error.condition, "account-disabled")
        self.assertEqual(error.text, "This account is closed until 2023-11-14 23:00 UTC.")
        before, self.house = self.house, self.house.restarted()
        self.office = Office(self.house)
        (row,) = self.office.rows("user list", state="disabled")
        self.assertEqual(row["disabled_until"], "2023-11-14T23:00:00Z")
        for house in (before, self.house):  # the store goes by the clock of the first one
            house.clock.advance(3_600)
        self.assertEqual(self.of_user("disabled", "disabled_until"), [False, None])
        self.assertEqual(self.office.rows("user list", state="disabled"), [])
        self.assertTrue(done(self.house.server.auth_provider.may_log_in(romeo)))
        self.assertIn("enabled", self.office.says("user enable", account="romeo"))

    def of_user(self, *columns: str) -> list[object]:
        """What is said of Romeo."""
        (row,) = self.office.rows("user show", account="romeo")
        return [row[column] for column in columns]

    def test_disable_until_never(self) -> None:
        """A time that is over, far away, none, or said twice disables nobody."""
        for given, why in (
            ({"until": "2023-11-14T22:13:19Z"}, "until must be in the future"),
            ({"until": "2034-01-01T00:00:00Z"}, "at most ten years from now"),
            ({"until": "tomorrow"}, "until must be a time such as"),
            ({"until": '"><script>'}, "until must be a time such as"),
            ({"until": "2023-11-31T00:00:00Z"}, "until must be a time such as"),
            ({"for": "0d"}, "for must be a duration such as"),
            ({"for": "4000d"}, "for must be a duration such as"),
            ({"for": "=1h"}, "for must be a duration such as"),
            ({"for": "1h" * 5_001}, "too long"),
            ({"for": "1h", "until": "2023-11-15T00:00:00Z"}, "until or for, and not both"),
        ):
            with self.subTest(given):
                said = self.office.refusal("user disable", account="romeo", **given)
                self.assertIn(why, said)
        self.assertEqual(self.of_user("disabled"), [False])

    def test_enable_forgets(self) -> None:
        """Who is enabled does not wait for what was tried before."""
        attempts, romeo = self.house.server.attempts, "romeo@montague.lit"
        done(attempts.failed(romeo, "192.0.2.1"))
        self.assertEqual(attempts._accounts.count(romeo), 1)
        self.office.says("user enable", account="romeo")
        self.assertEqual(attempts._accounts.count(romeo), 0)

    def test_several(self) -> None:
        """What is done to several accounts is done to all of them, or to none."""
        both = ["romeo", "juliet"]
        self.assertIn(
            "does not exist", self.office.refusal("user disable", account=[*both, "paris"])
        )
        self.assertEqual(self.office.rows("user list", state="disabled"), [])
        self.assertEqual(len(self.office.replies("user disable", account=both)), 2)
        self.assertEqual(len(self.office.rows("user list", state="disabled")), 2)
        self.assertEqual(len(self.office.rows("user list", rows="1")), 1)

    def test_online(self) -> None:
        """Who is here is listed and counted: all, or those who are active, or idle."""
        romeo, _ = self.house.connect("romeo", "juliet")
        romeo.send("<presence><show>away</show></presence>")
        away, here = "romeo@montague.lit", "juliet@montague.lit"
        for state, accounts in (("online", [here, away]), ("active", [here]), ("idle", [away])):
            with self.subTest(state):
                rows = self.office.rows("user online", state=state)
                self.assertEqual([row["account"] for row in rows], accounts)
                (count,) = self.office.rows("user count", state=state)
                self.assertEqual(count["accounts"], len(accounts))
        self.assertEqual(len(self.office.rows("user online", rows="1")), 1)

    def test_show(self) -> None:
        """Of an account is shown where it is, since when, and how many contacts it has."""
        self.house.connect("romeo/orchard")
        romeo, juliet = self.office.rows("user show", account=["romeo", "juliet"])
        self.assertEqual((romeo["resources"], romeo["addresses"]), (["orchard"], ["192.0.2.1"]))
        self.assertEqual((romeo["contacts"], romeo["last_login"]), (1, "2023-11-14T22:13:20Z"))
        self.assertEqual((juliet["resources"], juliet["last_login"]), ([], None))
        self.assertEqual((juliet["created"], juliet["devices"]), ("2023-11-14T22:13:20Z", 0))
        self.office.replies("user disable", account=["juliet"])
        (juliet,) = self.office.rows("user show", account=["juliet"])
        self.assertIs(juliet["disabled"], True)

    def test_unlock(self) -> None:
        """The failed logins of an account that there is are forgotten."""
        self.assertIn("romeo@montague.lit", self.office.says("user unlock", account="romeo"))
        self.assertIn("does not exist", self.office.refusal("user unlock", account="tybalt"))


class AnnounceTests(OfficeCase):
    def test_announced(self) -> None:
        """Everybody who is here is told, and nobody of another domain, or who is not available."""
        config = house_config("montague.lit", "capulet.lit")
        self.house = House(config=config, romeo={})
        self.house.add("juliet@capulet.lit")
        self.office = Office(self.house)
        romeo, away = self.house.connect("romeo")[0], self.house.bind("romeo", "2")
        (juliet,) = self.house.connect("juliet@capulet.lit")
        (row,) = self.office.rows("announce", text="Fly < now", domain="montague.lit")
        self.assertEqual(row, {"domain": "montague.lit", "sessions": 1})
        message = romeo.look().find("message[@type='headline']")
        self.assertEqual(message.get("from"), "montague.lit")
        self.assertEqual(message.findtext("body"), "Fly < now")
        self.assertEqual((away.look(), juliet.look()), ([], []))
        rows = self.office.rows("announce", text="Fly", subject="Urgent")
        self.assertEqual([row["sessions"] for row in rows], [1, 1])
        self.assertEqual(juliet.look().find("message/subject").text, "Urgent")

    def test_in_turns(self) -> None:
        """Many are told in several turns of the reactor, each once."""
        self.patch(announcing, "AT_ONCE", 2)
        people = self.house.connect("romeo", "romeo/2", "romeo/3", "juliet", "juliet/2")
        for client in people:
            client.raw()
        (row,) = self.office.rows("announce", text="Fly")
        self.assertEqual(row["sessions"], 5)
        self.assertEqual([len(client.look().find_all("message")) for client in people], [1] * 5)

    def test_refused(self) -> None:
        """What no client could read is refused."""
        for text in ("x" * (announcing.MAX_TEXT_BYTES + 1), "\x07"):
            with self.assertRaises(Refused):
                self.office.rows("announce", text=text)


class SessionTests(OfficeCase):
    def test_list(self) -> None:
        """Who is connected is listed: all, or of one account."""
        self.house.connect("romeo/orchard", "juliet/balcony")
        (row,) = self.office.rows("session list", account="romeo")
        self.assertEqual(row["jid"], "romeo@montague.lit/orchard")
        self.assertEqual((row["address"], row["available"]), ("192.0.2.1", True))
        self.assertEqual(row["state"], "connected")
        self.assertEqual(len(self.office.rows("session list")), 2)

    def test_pages(self) -> None:
        """So many are listed in the order of their JIDs, and the next ones behind the last."""
        self.house.connect("romeo/c", "juliet/b", "romeo/a", "romeo/b")
        found, after = list[object](), dict[str, object]()
        for count in (2, 2, 0):
            rows = self.office.rows("session list", rows="2", **after)
            self.assertEqual(len(rows), count)
            found += [row["jid"] for row in rows]
            after = {"after": found[-1]}
        self.assertEqual(
            found,
            ["juliet@montague.lit/b", *(f"romeo@montague.lit/{each}" for each in "abc")],
        )

    def test_find(self) -> None:
        """Those are listed that have words in their JID, their address, or their client's name."""
        self.house.connect("romeo/orchard", "juliet/balcony")
        for words, count in (("ORCH", 1), ("192.0.2", 2), ("@montague", 2), ("*", 0), ("%", 0)):
            self.assertEqual(len(self.office.rows("session list", find=words)), count, words)
        self.assertEqual(len(self.office.rows("session list", find="o", account="juliet")), 1)

    def test_sleeping(self) -> None:
        """One whose client is away is listed as sleeping, and can be ended."""
        (romeo,) = self.house.connect("romeo/orchard")
        romeo.enable()
        romeo.abort()
        (row,) = self.office.rows("session list")
        self.assertEqual((row["state"], row["address"]), ("detached", "192.0.2.1"))
        statistics = {row["statistic"]: row["value"] for row in self.office.rows("stats")}
        self.assertEqual((statistics["sessions"], statistics["sessions_detached"]), (1, 1))
        self.assertIn(
            "ended 1 session of", self.office.says("session end", jid="romeo@montague.lit")
        )
        self.assertEqual(self.office.rows("session list"), [])

    def test_end(self) -> None:
        """One session is ended, or all of an account, and told why."""
        a, b, c = self.house.connect("romeo/a", "romeo/b", "romeo/c")
        said = self.office.says("session end", jid="romeo@montague.lit/a", reason="go home")
        self.assertIn("ended 1 session of", said)
        self.assertIn(b"go home", a.raw())
        self.assertFalse(b.closed)
        self.office.says("session end", jid="romeo@montague.lit")
        self.assertTrue(b.closed and c.closed)
        for jid in ("romeo@montague.lit", "romeo@montague.lit/a"):
            self.assertIn("has no session", self.office.refusal("session end", jid=jid))


class RosterTests(OfficeCase):
    def setUp(self) -> None:
        super().setUp()
        self.house.add("tybalt")

    def test_show(self) -> None:
        """A roster is shown, shared contacts included."""
        self.office.says("group save", group="house", add=["romeo", "tybalt"])
        juliet, tybalt = self.office.rows("roster show", account="romeo")
        self.assertEqual((juliet["contact"], juliet["shared"]), ("juliet@montague.lit", False))
        self.assertEqual((tybalt["groups"], tybalt["shared"]), (["house"], True))
        self.assertIn("does not exist", self.office.refusal("roster show", account="nobody"))

    def test_add(self) -> None:
        """A contact that is added is pushed to the client, and subscribed to nothing."""
        (romeo,) = self.house.connect("romeo")
        said = self.office.says(
            "roster add", account="romeo", contact="tybalt@montague.lit", name="T", group=["a", "b"]
        )
        self.assertIn("subscription none", said)
        (push,) = romeo.received()
        for part in ("subscription='none'", "name='T'", "<group>b</group>"):
            self.assertIn(part, push)

    def test_add_mutual(self) -> None:
        """If asked for, both see each other at once."""
        romeo, tybalt = self.house.connect("romeo", "tybalt")
        self.office.says("roster add", account="romeo", contact="tybalt@montague.lit", mutual=True)
        for client, other in ((romeo, "tybalt"), (tybalt, "romeo")):
            push, presence = client.received()
            self.assertIn("subscription='both'", push)
            self.assertIn(f"from='{other}@montague.lit/1'", presence)

    def test_add_refused(self) -> None:
        """Nobody is made to see whom they cannot agree with."""
        for contact, mutual, why in (
            ("x@elsewhere.lit", True, "must agree"),
            ("nobody@montague.lit", True, "does not exist"),
            ("romeo@montague.lit", False, "its own contact"),
        ):
            with self.subTest(contact):
                given = {"account": "romeo", "contact": contact, "mutual": mutual}
                self.assertIn(why, self.office.refusal("roster add", **given))

    def test_full(self) -> None:
        """A roster does not grow beyond its limit."""
        config = house_config("montague.lit", roster={"max_items": 1})
        office = Office(House(config=config, romeo={"juliet": "both"}))
        why = office.refusal("roster add", account="romeo", contact="x@y.lit")
        self.assertIn("1 contact,", why)

    def test_full_of_the_other(self) -> None:
        """Nobody is made to see somebody whose roster has no room for them."""
        config = house_config("montague.lit", roster={"max_items": 1})
        office = Office(House(config=config, romeo={}, tybalt={"juliet": "both"}))
        given = {"account": "romeo", "contact": "tybalt@montague.lit", "mutual": True}
        self.assertIn("1 contact,", office.refusal("roster add", **given))
        self.assertEqual(office.rows("roster show", account="romeo"), [])

    def test_words(self) -> None:
        """A contact's name and groups are what a client could have given them as well."""
        given = {"account": "romeo", "contact": "x@y.lit"}
        cases: dict[str, dict[str, object]] = {
            "is empty": {"group": [""]},
            "appears twice": {"group": ["a", "a"]},
            "longer than 1023": {"name": "n" * 1_024},
            "too long": {"name": "n" * 1_023, "group": [letter * 1_023 for letter in "abcd"]},
            "at most 32 groups": {"group": [str(number) for number in range(33)]},
            "does not allow": {"name": "\x1b[2J"},
        }
        for why, words in cases.items():
            with self.subTest(why):
                self.assertIn(why, self.office.refusal("roster add", **given, **words))

    def test_words_of_groups(self) -> None:
        """A shared group is shown by a name that can be written, to groups that there are."""
        save = self.office.refusal
        self.assertIn("is empty", save("group save", group=""))
        self.assertIn("is empty", save("group save", group="g", display=""))
        self.assertIn("does not allow", save("group save", group="g", display="\x07"))
        self.assertIn('group "h"', save("group save", group="g", also=["h"]))

    def test_strangers_take_no_room(self) -> None:
        """What strangers have asked does not count against the owner's contacts."""
        house = House(
            config=house_config("montague.lit", roster={"max_items": 1}), romeo={}, paris={}
        )
        (paris,) = house.connect("paris")
        paris.send("<presence type='subscribe' to='romeo@montague.lit'/>")
        said = Office(house).says("roster add", account="romeo", contact="juliet@capulet.lit")
        self.assertIn("is in the roster of romeo", said)

    def test_remove(self) -> None:
        """A contact that is removed is gone on both sides, and both hear of it."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.office.says("roster remove", account="romeo", contact="juliet@montague.lit")
        self.assertIn("subscription='remove'", romeo.received()[-1])
        self.assertIn("subscription='none'", juliet.received()[-1])
        given = {"account": "romeo", "contact": "juliet@montague.lit"}
        self.assertIn("not in the roster", self.office.refusal("roster remove", **given))

    def test_groups(self) -> None:
        """A shared group is made, changed, listed and deleted."""
        self.office.says("group save", group="house", add=["romeo", "tybalt"], display="House")
        self.office.says("group save", group="house", remove=["tybalt"], visible_to="everybody")
        (row,) = self.office.rows("group list")
        self.assertEqual(row["members"], ["romeo@montague.lit"])
        self.assertEqual((row["display"], row["visible_to"]), ("House", "everybody"))
        self.assertIn(
            "does not exist", self.office.refusal("group save", group="g", add=["nobody"])
        )
        self.office.says("group delete", group="house")
        self.assertEqual(self.office.rows("group list"), [])
        self.assertIn("does not exist", self.office.refusal("group delete", group="house"))


class HouseTests(OfficeCase):
    def test_status(self) -> None:
        """The state of the server is one row."""
        self.house.connect("romeo")
        (row,) = self.office.rows("status")
        self.assertEqual((row["domains"], row["sessions"]), (["montague.lit"], 1))

    def test_certificates_in_status(self) -> None:
        """The state of the server has the key of each domain's certificate, and what RSA costs."""
        file = Path(self.mktemp())
        file.write_bytes(rsa_identity("montague.lit"))
        domain = DomainSettings(name="montague.lit", certificate=str(file))
        self.house.server.tls = TLS(TLSSettings(), (domain,))
        (row,) = self.office.rows("status")
        self.assertEqual(
            row["certificates"],
            [("montague.lit RSA 2048 (a TLS handshake takes 1.6 to 2.5 times as much CPU time as "
              "with ECDSA P-256)")],
        )  # fmt: skip

    def test_stats(self) -> None:
        """Numbers say how much is going on."""
        self.house.connect("romeo", "juliet")
        numbers = {row["statistic"]: row["value"] for row in self.office.rows("stats")}
        self.assertEqual(numbers["sessions"], 2)
        self.assertEqual(numbers["accounts{domain=montague.lit}"], 2)

    def test_plugins(self) -> None:
        """A plugin is loaded, read again and taken out while the server runs."""
        self.office.says("plugin load", plugin="ping")
        (row,) = self.office.rows("plugin list")
        self.assertEqual((row["plugin"], row["loaded"]), ("ping", True))
        self.assertIn("XEP-0199", str(row["about"]))
        every = {str(row["plugin"]): row for row in self.office.rows("plugin list", all=True)}
        self.assertLessEqual({"ping", "muc", "example_greeter"}, set(every))
        self.assertFalse(every["muc"]["loaded"])
        self.assertEqual([name for name, row in every.items() if not row["about"]], [])
        self.office.says("plugin reload", plugin="ping")
        self.office.says("plugin unload", plugin="ping")
        self.assertIn(
            "plugin pong does not exist", self.office.refusal("plugin load", plugin="pong")
        )

    def test_stop(self) -> None:
        """The server is told to stop."""
        self.office.says("stop")
        self.assertTrue(self.office.life.stopped)

    def test_reload(self) -> None:
        """What changed is listed with when it holds."""
        self.assertEqual(
            self.office.replies("reload")[:2],
            [
                {"key": "log.level", "effect": "takes effect now"},
                {"key": "data", "effect": "needs a restart"},
            ],
        )

    def test_config_check(self) -> None:
        """A mistake is found without a server, and said with the name of the file."""
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name) / "xmppd.toml"
        office = Office(House(), path)
        domain = '[[domain]]\nname = "localhost"\n'
        clear = "[tls]\nrequired = false\n"
        for text, why in (
            ("x = 1\n", "x is not an option"),
            (f'{domain}certificate = "no.crt"\n', "domain.certificate"),
            (domain, "no listener is configured"),
            (f'{domain}[[listen]]\nendpoint = "xyz"\ntls = "none"\n{clear}', "listen.endpoint"),
        ):
            with self.subTest(why):
                path.write_text(text)
                refusal = office.refusal("config check")
                self.assertIn(why, refusal)
                self.assertIn(str(path), refusal)


class WaitingTests(OfficeCase):
    def test_list_and_delete(self) -> None:
        """Messages that wait are listed without what they say, and deleted: one, or all."""
        juliet = "juliet@montague.lit"
        [romeo] = self.house.connect("romeo")
        for body in ("soft", "but soft", "what light"):
            romeo.send(f"<message to='{juliet}' type='chat'><body>{body}</body></message>")
        rows = self.office.rows("offline list", account=juliet)
        self.assertEqual(len(rows), 3)
        self.assertNotIn("soft", str(rows))
        first = {"account": juliet, "id": str(rows[0]["id"])}
        said = self.office.says("offline delete", **first, dry_run=True)
        self.assertEqual(said, "would delete 1 message")
        self.assertEqual(self.office.says("offline delete", **first), "deleted 1 message")
        refused = self.office.refusal("offline delete", **first)
        self.assertEqual(refused, f"no message {first['id']} waits for {juliet}")
        said = self.office.says("offline delete", account=juliet, id="all")
        self.assertEqual(said, "deleted 2 messages")
        self.assertEqual(self.office.rows("offline list", account=juliet), [])


class DeviceTests(TokenCase):
    """The clients that have access, and their end."""

    def setUp(self) -> None:
        super().setUp()
        self.office = Office(self.house)
        self.phone_token = self.token()
        for handler in tuple(self.house.server.client_connections.handlers):
            handler.transport.abortConnection()

    def arrive(self) -> Client:
        """Romeo's phone, by its token."""
        phone = self.house.unauthenticated(encrypted=True)
        phone.send(HEADER + by_token(self.phone_token, BIND))
        return phone

    def test_list(self) -> None:
        """Clients are listed whether they are here or not."""
        for name in ("device list", "device revoke"):
            said = self.office.refusal(name, account="nobody")
            self.assertIn("nobody@montague.lit does not exist", said)
        (row,) = self.office.rows("device list", account="romeo")
        self.assertEqual((row["name"], row["software"], row["sessions"]), ("phone", "Balcony", 0))
        self.assertEqual(row["token_expires"], "2023-12-05T22:13:20Z")
        self.arrive()
        self.house.bind("romeo")
        here, other = self.office.rows("device list", account="romeo")
        self.assertEqual({here["sessions"], other["sessions"]}, {1})
        self.assertEqual({here["token_expires"], other["token_expires"]},
                         {None, "2023-12-05T22:13:20Z"})  # fmt: skip

    def test_revoke(self) -> None:
        """One is revoked, or all, with sessions and tokens."""
        phone, other = self.arrive(), self.house.bind("romeo")
        (id,) = {
            str(row["device"])
            for row in self.office.rows("device list", account="romeo")
            if row["name"] == "phone"
        }
        self.assertIn(
            "does not have that device",
            self.office.refusal("device revoke", account="romeo", device="x"),
        )
        said = self.office.says("device revoke", account="romeo", device=id)
        self.assertIn("revoked 1 device", said)
        self.assertTrue(phone.closed)
        self.assertFalse(other.closed)
        self.assertFalse(self.works(self.phone_token))
        self.office.says("device revoke", account="romeo")
        self.assertTrue(other.closed)
        self.assertIn("no device", self.office.refusal("device revoke", account="romeo"))

    def test_show(self) -> None:
        """A session is shown with how it logged in, from where, and how it is."""
        phone = self.arrive()
        jid = phone.session.jid.full
        phone.send("<presence><show>away</show></presence>")
        self.house.clock.advance(7)
        (row,) = self.office.rows("session show", jid=jid)
        self.assertEqual((row["mechanism"], row["binding"]), ("HT-SHA-256-NONE", ""))
        self.assertEqual((row["software"], row["device"]), ("Balcony", "phone"))
        self.assertEqual((row["state"], row["idle_s"], row["encrypted"]), ("away", 7, True))
        self.assertIn(
            "the session does not exist",
            self.office.refusal("session show", jid="romeo@montague.lit"),
        )
        phone.send("<presence type='unavailable'/>")
        (row,) = self.office.rows("session show", jid=jid)
        self.assertEqual(row["state"], "unavailable")

    def test_end_and_revoke(self) -> None:
        """Whoever ends a session may take its token with it."""
        jid = self.arrive().session.jid.full
        self.office.says("session end", jid=jid)
        self.assertTrue(self.works(self.phone_token))
        self.arrive()
        self.office.says("session end", jid=jid, revoke=True)
        self.assertFalse(self.works(self.phone_token))
