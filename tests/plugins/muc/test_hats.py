"""Hats of rooms (XEP-0317)."""

from importlib import import_module

from tests.plugins.muc.halls import ORCHARD, RunningCase, codes, condition
from xmppd.testing.client import Client, done
from xmppd_plugins.muc.hat_commands import MAX_TITLE_BYTES, MAX_URI_BYTES
from xmppd_plugins.muc.hats import MAX_HATS, RoomHats
from xmppd_plugins.muc.state import Hat

COMMANDS = "http://jabber.org/protocol/commands"
HATS = "urn:xmpp:hats:0:commands"
POET = "http://verona.lit/hats#poet"


class HatCase(RunningCase):
    """Romeo owns the orchard; Juliet is in."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.opened("romeo", "juliet")

    def command(self, client: Client, name: str, inner: str = "") -> str:
        """Give a command of the room, and return the answer; all that came is in ``told``."""
        client.raw()
        node = f"{HATS}:{name}"
        client.send(
            f"<iq type='set' id='h' to='{ORCHARD}'><command xmlns='{COMMANDS}' node='{node}'"
            f">{inner}</command></iq>"
        )
        self.told = client.received()
        (answer,) = [each for each in self.told if each.startswith("<iq")]
        return answer

    def filled(self, client: Client, name: str, **values: str) -> str:
        """Give one with its form filled in, at once."""
        fields = "".join(
            f"<field var='hats#{var}'><value>{value}</value></field>"
            for var, value in values.items()
        )
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            f"<value>{HATS}</value></field>{fields}</x>"
        )
        return self.command(client, name, form)

    def poet(self, *wearers: str) -> None:
        """There is a hat of poets, and these have it."""
        self.filled(self.romeo, "create", uri=POET, title="Poet", hue="171.43")
        for name in wearers:
            self.filled(self.romeo, "assign", uri=POET, jid=f"{name}@montague.lit/any")
        self.juliet.raw()


class HatTests(HatCase):
    def test_create(self) -> None:
        """A hat is made by a form, and all are told that there is one more (RM-74)."""
        form = self.command(self.romeo, "create")
        self.assertIn("status='executing'", form)
        for var in ("title", "uri", "hue"):
            self.assertIn(f"var='hats#{var}'", form)
        done = self.filled(self.romeo, "create", uri=POET, title="Poet")
        self.assertIn("status='completed'", done)
        self.assertEqual([codes(each) for each in self.juliet.received()], [{104}])
        self.filled(self.romeo, "create", uri=POET, title="Poet")
        self.assertEqual(self.juliet.received(), [], "it is so already")
        listed = self.command(self.juliet, "list")
        self.assertIn(f"<value>{POET}</value>", listed)

    def test_worn(self) -> None:
        """Who has a hat is shown with it to all, also to who comes later (RM-74)."""
        self.poet("juliet")
        self.filled(self.romeo, "assign", uri=POET, jid="nurse@montague.lit")
        self.assertEqual(self.juliet.received(), [], "who is not in is not shown")
        worn = f"<hat uri='{POET}' title='Poet' hue='171.43'/></hats>"
        entered = self.enter(self.client("nurse"), "Nurse")
        self.assertNotIn("<hats", entered[0])
        self.assertIn(worn, entered[1])
        self.assertIn(worn, entered[2])
        self.juliet.raw()
        self.juliet.send(f"<presence to='{ORCHARD}/Julia'/>")
        gone, there = self.juliet.received()
        self.assertNotIn("<hats", gone)
        self.assertIn(worn, there)

    def test_changed(self) -> None:
        """A hat that is called otherwise, is taken away or is gone is shown so (RM-74)."""
        self.poet("juliet")
        self.filled(self.romeo, "create", uri=POET, title="Bard")
        shown, notice = self.juliet.received()
        self.assertIn("title='Bard'/>", shown)
        self.assertEqual(codes(notice), {104})
        self.filled(self.romeo, "unassign", uri=POET, jid="juliet@montague.lit")
        (shown,) = self.juliet.received()
        self.assertNotIn("<hats", shown)
        self.filled(self.romeo, "assign", uri=POET, jid="juliet@montague.lit")
        self.juliet.raw()
        self.filled(self.romeo, "destroy", uri=POET)
        shown, notice = self.juliet.received()
        self.assertNotIn("<hats", shown)
        self.assertEqual(codes(notice), {104})

    def test_forged(self) -> None:
        """Hats that a client says it wears are taken out (RM-41)."""
        forged = f"<hats xmlns='urn:xmpp:hats:0'><hat uri='{POET}' title='Poet'/></hats>"
        self.juliet.send(f"<presence to='{ORCHARD}/Juliet'><status>I</status>{forged}</presence>")
        self.assertNotIn("<hat", self.romeo.raw().decode())

    def test_kept(self) -> None:
        """Hats are there again when the room was forgotten in between (RM-74)."""
        self.configure(self.romeo, persistentroom="1")
        self.poet("juliet")
        for client, nick in ((self.romeo, "Romeo"), (self.juliet, "Juliet")):
            client.send(f"<presence type='unavailable' to='{ORCHARD}/{nick}'/>")
        self.house.clock.advance(700)
        self.assertIn("title='Poet'", self.enter(self.juliet, "Juliet")[0])

    def test_switched_off(self) -> None:
        """A room whose owner wants no hats has none to see, until they are wanted (RM-74)."""
        self.poet("juliet")
        self.configure(self.romeo, hats="0")
        shown, notice = self.juliet.received()
        self.assertNotIn("<hats", shown)
        self.assertEqual(codes(notice), {104})
        self.assertEqual(condition(self.command(self.juliet, "list")), "item-not-found")
        refused = self.filled(self.romeo, "create", uri=POET, title="P")
        self.assertEqual(condition(refused), "item-not-found")
        self.configure(self.romeo, hats="1")
        self.assertIn("title='Poet'", self.juliet.received()[0])

    def test_removed_account(self) -> None:
        """Whose account is removed has no hat any more (RM-66)."""
        self.poet("nurse")
        done(self.house.server.accounts.remove(self.house.jid("nurse")))
        self.assertNotIn("nurse", self.command(self.romeo, "list-assigned"))

    def test_listed(self) -> None:
        """Who has which hat is for those who see JIDs; hats are for those who belong (RM-74)."""
        self.poet("juliet")
        assigned = self.command(self.romeo, "list-assigned")
        self.assertIn("<value>juliet@montague.lit</value>", assigned)
        self.assertIn("<value>171.43</value>", assigned)
        self.assertEqual(condition(self.command(self.juliet, "list-assigned")), "forbidden")
        nurse = self.client("nurse")
        self.assertEqual(condition(self.command(nurse, "list")), "forbidden")

    def test_refused(self) -> None:
        """Only admins and owners look after hats, which have an address, a title and an angle."""
        self.poet()
        for client, name, values, expected in (
            (self.juliet, "create", {"uri": "u", "title": "t"}, "forbidden"),
            (self.juliet, "assign", {"uri": POET, "jid": "juliet@montague.lit"}, "forbidden"),
            (self.romeo, "create", {"uri": "u"}, "bad-request"),
            (self.romeo, "create", {"uri": "u", "title": " "}, "not-acceptable"),
            (self.romeo, "create", {"uri": "u" * 1_001, "title": "t"}, "not-acceptable"),
            (self.romeo, "create", {"uri": "u", "title": "t" * 201}, "not-acceptable"),
            (self.romeo, "create", {"uri": "u", "title": "t", "hue": "361"}, "not-acceptable"),
            (self.romeo, "create", {"uri": "u", "title": "t", "hue": "nan"}, "not-acceptable"),
            (self.romeo, "assign", {"uri": "other", "jid": "nurse@montague.lit"}, "bad-request"),
            (self.romeo, "assign", {"uri": POET, "jid": "montague.lit"}, "not-acceptable"),
            (self.romeo, "unassign", {"uri": POET, "jid": "nurse@montague.lit"}, "item-not-found"),
            (self.romeo, "shred", {"uri": POET}, "item-not-found"),
        ):
            with self.subTest(name=name, values=values):
                self.assertEqual(condition(self.filled(client, name, **values)), expected)
        self.assertEqual((MAX_URI_BYTES, MAX_TITLE_BYTES), (1_000, 200))

    def test_limits(self) -> None:
        """A room has so many hats, and so many people have one."""
        for number in range(MAX_HATS):
            self.filled(self.romeo, "create", uri=f"u{number}", title="t")
        refused = self.filled(self.romeo, "create", uri="more", title="t")
        self.assertEqual(condition(refused), "resource-constraint")
        self.assertIn("completed", self.filled(self.romeo, "create", uri="u0", title="other"))

    def test_many_people(self) -> None:
        """So many people have one hat."""
        self.poet()
        self.patch(import_module("xmppd_plugins.muc.hat_commands"), "MAX_PEOPLE", 1)
        self.assertIn("completed", self.filled(self.romeo, "assign", uri=POET, jid="a@x.lit"))
        self.assertIn("completed", self.filled(self.romeo, "assign", uri=POET, jid="a@x.lit"))
        refused = self.filled(self.romeo, "assign", uri=POET, jid="b@x.lit")
        self.assertEqual(condition(refused), "resource-constraint")

    def test_cancelled(self) -> None:
        """A command that is cancelled is over; one has no second form."""
        node = f"{HATS}:create"
        for action, expected in (("cancel", "canceled"), ("next", "bad-action")):
            self.romeo.send(
                f"<iq type='set' id='h' to='{ORCHARD}'><command xmlns='{COMMANDS}' "
                f"node='{node}' action='{action}'/></iq>"
            )
            self.assertIn(expected, self.romeo.raw().decode())

    def test_discovered(self) -> None:
        """A room lists the commands that are for who asks, and the hash of its hats (RM-75)."""

        def discover(client: Client, what: str, node: str = "") -> str:
            client.raw()
            asked = f" node='{node}'" if node else ""
            client.send(
                f"<iq type='get' id='d' to='{ORCHARD}'>"
                f"<query xmlns='http://jabber.org/protocol/disco#{what}'{asked}/></iq>"
            )
            return client.raw().decode()

        self.assertNotIn("hats#hash", discover(self.juliet, "info"))
        self.poet()
        said = discover(self.juliet, "info")
        for part in ("var='urn:xmpp:hats:0'", f"var='{COMMANDS}'", "hats#hash"):
            self.assertIn(part, said)
        self.assertIn(f"{HATS}:create", discover(self.romeo, "items", COMMANDS))
        listed = discover(self.juliet, "items", COMMANDS)
        self.assertNotIn(f"{HATS}:create", listed)
        self.assertIn(f"{HATS}:list'", listed)
        self.assertIn("command-node", discover(self.romeo, "info", f"{HATS}:create"))
        self.assertIn("item-not-found", discover(self.juliet, "info", f"{HATS}:create"))


class RoomHatsTests(RunningCase):
    def test_change(self) -> None:
        """What is only worn by others is the same hats; the hash is of which there are."""
        hats = RoomHats([Hat("a", "A"), Hat("b", "B", 7.0, ("romeo@montague.lit",))])
        before = hats.hash
        self.assertFalse(hats.change([Hat("a", "A", None, ("romeo@montague.lit",))], ()))
        self.assertEqual(
            hats.worn("romeo@montague.lit"),
            b"<hats xmlns='urn:xmpp:hats:0'><hat uri='a' title='A'/>"
            b"<hat uri='b' title='B' hue='7'/></hats>",
        )
        self.assertEqual(hats.hash, before)
        self.assertTrue(hats.change((), ["a"]))
        self.assertNotEqual(hats.hash, before)
        self.assertTrue(hats.change((), ["b"]))
        self.assertEqual((hats.hash, hats.worn("romeo@montague.lit")), ("", b""))
