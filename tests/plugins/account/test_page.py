"""People look after their account by a browser."""

from tests.plugins.account.account_case import OTHER, ROMEO, ROOT, AccountCase
from tests.unit.pages.browser import SecureBrowser, seen
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD

WEEK_S = 604_800.0


class AccountPageTests(AccountCase):
    def change(self, **fields: str) -> int:
        """The status of the answer to a new password."""
        filled = {"current": PASSWORD, "new": OTHER, "again": OTHER, **fields}
        return self.browser.post(f"{ROOT}password", filled).status

    def test_found(self) -> None:
        """Password managers find the form (RFC 8615's change-password), and so do people."""
        for path, status, there in (
            ("/.well-known/change-password", 302, f"{ROOT}#password"),
            ("/account", 303, ROOT),
        ):
            answer = self.browser.get(path)
            self.assertEqual((answer.status, answer.headers["Location"]), (status, there))
        self.assertIn("/account/login", self.browser.get(ROOT).headers["Location"])

    def test_seen(self) -> None:
        """The owner sees the devices that are here."""
        self.house.connect("romeo")
        said = self.log_in()
        self.assertIn(ROMEO, seen(said))
        self.assertIn("online", seen(said))

    def test_client_named(self) -> None:
        """A client that says what it is by its service discovery alone is shown by that."""
        (romeo,) = self.house.connect("romeo")
        self.log_in()
        self.assertIn("A client without a name", seen(self.browser.get(ROOT)))
        caps = "<c xmlns='http://jabber.org/protocol/caps' node='https://conversejs.org' ver='1'/>"
        romeo.send(f"<presence>{caps}</presence>")
        self.assertIn("https://conversejs.org", seen(self.browser.get(ROOT)))

    def test_password(self) -> None:
        """A new password is set by whoever knows the present one; devices and other browsers are
        logged out, this one stays.
        """
        (client,) = self.house.connect("romeo")
        other = SecureBrowser(self.house)
        other.log_in(ROOT, ROMEO, PASSWORD)
        self.log_in()
        self.assertEqual(self.change(), 303)
        self.assertTrue(self.is_password(OTHER))
        self.assertIn("Your password was changed", seen(self.browser.get(ROOT)))
        self.assertTrue(client.closed)
        self.assertEqual(other.get(ROOT).status, 303)

    def test_password_refused(self) -> None:
        """A wrong present password, a short new one, or two that differ change nothing."""
        self.log_in()
        for status, fields in (
            (401, {"current": OTHER}),
            (400, {"new": "x", "again": "x"}),
            (400, {"again": "x"}),
        ):
            self.assertEqual(self.change(**fields), status)
        self.assertTrue(self.is_password(PASSWORD))

    def test_device(self) -> None:
        """A device is logged out; that of somebody else is none."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.log_in()
        for account in ("juliet@montague.lit", ROMEO):
            (row,) = self.tell("device list", account=account)
            self.browser.post(f"{ROOT}revoke", {"device": row["device"]})
        self.assertTrue(romeo.closed)
        self.assertFalse(juliet.closed)

    def test_invitation(self) -> None:
        """The owner invites, is shown the link once, and revokes."""
        self.log_in()
        made = self.browser.post(f"{ROOT}invite", {})
        self.assertRegex(seen(made), "https://chat.montague.lit/invite/#[a-z2-7]{26}")
        (row,) = self.tell("invite list")
        self.assertEqual(row["inviter"], ROMEO)
        self.assertNotIn("/invite/#", seen(self.browser.get(ROOT)))
        self.browser.post(f"{ROOT}revoke-invitation", {"id": row["id"]})
        self.assertEqual(self.tell("invite list"), [])

    def test_invited_enough(self) -> None:
        """Who has invited enough this week is told so."""
        self.log_in()
        for _ in range(5):
            self.browser.post(f"{ROOT}invite", {})
        answer = self.browser.follow(self.browser.post(f"{ROOT}invite", {}))
        self.assertIn("An account may invite at most 5 people a week.", seen(answer))

    def test_audit(self) -> None:
        """What is changed there is in the audit, as from everywhere."""
        self.log_in()
        self.browser.post(f"{ROOT}invite", {})
        (row, *_) = self.tell("audit list")
        self.assertEqual((row["command"], row["actor"]), ("invite create", ROMEO))

    def test_end(self) -> None:
        """An account ends a week after its owner has asked for that with the password."""
        self.log_in()
        self.assertEqual(self.browser.post(f"{ROOT}end", {"current": OTHER}).status, 401)
        self.assertEqual(self.tell("user ending"), [])
        answer = self.browser.follow(self.browser.post(f"{ROOT}end", {"current": PASSWORD}))
        self.assertIn("This account ends on 2023-11-21 22:13 UTC", seen(answer))
        (row,) = self.tell("user ending")
        self.assertEqual(row["account"], ROMEO)
        self.house.wall_ahead_s += WEEK_S - 4_000
        self.house.clock.advance(3_600)
        self.assertTrue(self.exists())
        self.house.wall_ahead_s += 500
        self.house.clock.advance(3_600)
        self.assertFalse(self.exists())
        self.assertEqual(self.tell("user ending"), [])

    def test_stays(self) -> None:
        """An owner who has changed their mind keeps the account, and all that is in it."""
        self.log_in()
        self.browser.post(f"{ROOT}end", {"current": PASSWORD})
        self.browser.post(f"{ROOT}stay", {})
        self.house.wall_ahead_s += 2 * WEEK_S
        self.house.clock.advance(3_600)
        self.assertTrue(self.exists())

    def test_not_here(self) -> None:
        """What clients may not do by XMPP, browsers may not either."""
        self.house = self.furnish(registration={"change_password": False, "remove_account": False})
        self.browser = SecureBrowser(self.house)
        said = seen(self.log_in())
        self.assertNotIn("Change the password", said)
        self.assertNotIn("Delete my account", said)
        self.assertEqual(self.change(), 403)
        self.assertEqual(self.browser.post(f"{ROOT}end", {"current": PASSWORD}).status, 403)

    def test_nobody(self) -> None:
        """Who has not logged in, or comes from another site, does nothing."""
        self.log_in()
        self.browser.origin = "https://capulet.lit"
        self.assertEqual(self.change(), 403)
        stranger = SecureBrowser(self.house)
        stranger.get(f"{ROOT}login")
        for path in ("password", "revoke", "delete-file", "invite", "end", "stay"):
            answer = stranger.post(f"{ROOT}{path}", {})
            self.assertEqual(answer.headers["Location"], f"{ROOT}login")
        self.assertTrue(self.is_password(PASSWORD))

    def test_only_what_is_there(self) -> None:
        """Where nobody invites or uploads, the page says nothing of it."""
        done(self.house.plugins.unload("invites"))
        said = seen(self.log_in())
        self.assertNotIn("Invite", said)
        self.assertNotIn("Files", said)
