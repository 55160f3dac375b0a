"""Guests, who come in by ANONYMOUS: they are nobody's account, and leave nothing behind (BI-4)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.config.config import Config
from xmppd.stanza import ns
from xmppd.stanza.guests import is_guest, new_guest
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate

DOMAIN = "montague.lit"
INFO = "http://jabber.org/protocol/disco#info"
PLUGINS = (
    "blocking", "disco", "last_activity", "ping", "private_storage", "register", "vcard",
)  # fmt: skip
VCARD = "<vCard xmlns='vcard-temp'><FN>somebody</FN></vCard>"
PRIVATE = "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'>mine</x></query>"


def settings(**auth: object) -> Config:
    """A server that lets guests in, and everybody register."""
    return house_config(
        DOMAIN,
        auth={"mechanisms": ("ANONYMOUS", "PLAIN"), **auth},
        registration={"open": True},
    )


def come_in(house: House, resource: str = "g") -> Client:
    """A guest with a resource who has sent presence."""
    client = house.unauthenticated()
    client.open(DOMAIN)
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='ANONYMOUS'>=</auth>")
    client.open(DOMAIN)
    client.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource>"
                "</bind></iq><presence/>")  # fmt: skip
    client.jid = client.session.jid
    client.raw()
    return client


def bare(client: Client) -> str:
    """Whose client it is."""
    return client.session.jid.bare


class NameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(config=settings(), plugins=PLUGINS, romeo={})
        self.guest = come_in(self.house)

    def test_form(self) -> None:
        """A guest's name tells that it is one; the names of accounts do not."""
        self.assertTrue(is_guest(bare(self.guest)))
        self.assertNotEqual(bare(self.guest), bare(come_in(self.house)))
        for name in ("guest", "guest-1", "guest-" + "A" * 32, "guest-" + "0" * 33, "0" * 32):
            self.assertFalse(is_guest(f"{name}@{DOMAIN}"))
        self.assertFalse(is_guest("guest-" + "0" * 32))

    def test_nobody_registers_it(self) -> None:
        """Neither a stranger nor an administrator can make an account of a guest's name."""
        for account in (self.guest.session.jid.to_bare(), new_guest(DOMAIN)):
            name = (account.local or "").upper()  # it is prepared before it is looked at
            fields = f"<username>{name}</username><password>a long password</password>"
            thief = self.house.unauthenticated()
            thief.open(DOMAIN)
            thief.raw()
            answer = ask(thief, "set", f"<query xmlns='jabber:iq:register'>{fields}</query>")
            self.assertEqual(condition(answer), "not-acceptable")
            with self.assertRaises(ValueError):
                done(self.house.server.passwords.create(account.bare, "a long password"))
            self.assertFalse(done(self.house.store.accounts.exists(account.bare)))

    def test_messages_are_the_guests(self) -> None:
        """What is written to a guest comes to the guest, and comes back when it is gone."""
        (romeo,) = self.house.connect("romeo")
        message = f"<message type='chat' to='{bare(self.guest)}'><body>hi</body></message>"
        romeo.send(message)
        self.assertIn("<body>hi</body>", "".join(self.guest.received()))
        self.guest.abort()
        romeo.send(message)
        self.assertIn("service-unavailable", "".join(romeo.received()))

    def test_owns_no_account(self) -> None:
        """A guest can neither give its name a password nor remove it."""
        local = self.guest.session.jid.local
        fields = f"<username>{local}</username><password>a long password</password>"
        for inside in (fields, "<remove/>"):
            answer = ask(self.guest, "set", f"<query xmlns='jabber:iq:register'>{inside}</query>")
            self.assertEqual(condition(answer), "registration-required")


class LeavingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(config=settings(), plugins=PLUGINS, romeo={})
        self.guest = come_in(self.house)
        (self.romeo,) = self.house.connect("romeo")

    def assert_nothing_is_left(self, name: str) -> None:
        """The store has nothing that belongs to this name."""
        store = self.house.store
        for namespace in ("vcard-temp", "jabber:iq:private", "jabber:iq:privacy"):
            self.assertEqual(done(store.items.get_items(name, namespace)), {})
        self.assertEqual(done(store.offline.offline_messages(name)), [])
        self.assertEqual(done(store.presences.last_presence([name])), {})
        self.assertEqual(done(store.rosters.roster(name)).items, ())
        self.assertEqual(done(store.devices.devices(name)), [])
        self.assertEqual(done(store.sessions.saved_sessions("")), [])
        self.assertEqual(done(store.sessions.recover_messages("")), [])

    def test_nothing_is_kept(self) -> None:
        """What a guest wants to keep is refused, and nothing of it is there when it has left."""
        block = "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.lit'>{}</item></block>"
        report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>"
        for query in (VCARD, PRIVATE, block.format(""), block.format(report)):
            self.assertEqual(condition(ask(self.guest, "set", query)), "not-allowed")
        self.guest.send("<presence type='unavailable'><status>bye</status></presence>")
        self.guest.abort()
        self.assert_nothing_is_left(bare(self.guest))
        self.assertEqual(done(self.house.store.items.get_items(DOMAIN, "urn:xmpp:reporting:1")), {})

    def test_settings_are_empty(self) -> None:
        """A client that asks for its settings finds that there are none, and goes on."""
        asked = "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>"
        self.assertEqual(condition(ask(self.guest, "get", asked)), "result")

    def test_killed(self) -> None:
        """Messages that a guest had not acknowledged when the server was killed wait for nobody."""
        self.guest.enable()
        self.romeo.enable()
        self.romeo.send(
            f"<message type='chat' to='{bare(self.guest)}'><body>hi</body></message>"
            f"<r xmlns='{ns.STREAM_MANAGEMENT}'/>"
        )
        self.assertIn(b" h='1'/>", self.romeo.raw())
        self.house = self.house.again()
        self.assert_nothing_is_left(bare(self.guest))

    def test_restarted(self) -> None:
        """A guest may resume its session after a restart; when it does not, nothing is left."""
        previd = self.guest.enable()
        name, self.house = bare(self.guest), self.house.restarted()
        self.house.clock.advance(400)
        self.house.server.client_connections.sweep()
        self.assertTrue(previd)
        self.assertEqual(self.house.server.routing_table.users, {})
        self.assert_nothing_is_left(name)


class EverybodyTests(SynchronousTestCase):
    """A group that is visible to everybody is so to every account, and to nobody else (RO-19)."""

    def setUp(self) -> None:
        self.house = House(config=settings(), plugins=PLUGINS, romeo={}, juliet={}, tybalt={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.group = SharedGroup("all", "All", (f"juliet@{DOMAIN}",), visible_to="everybody")

    def save(self) -> None:
        done(self.house.server.shared_group_changes.save(self.group))

    def test_guest_sees_nobody(self) -> None:
        """Neither addresses nor presence: of who is here, who comes, who goes, and who changes."""
        early = come_in(self.house)
        self.save()
        late = come_in(self.house)
        self.juliet.send("<presence><status>on the balcony</status></presence>")
        (tybalt,) = self.house.connect("tybalt")
        for guest in (early, late):
            guest.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")
            guest.send(f"<presence to='juliet@{DOMAIN}' type='probe'/>")
            self.juliet.send("<presence/>")
            received = "".join(guest.received())
            self.assertNotIn(f"jid='juliet@{DOMAIN}'", received)
            self.assertNotIn(f"from='juliet@{DOMAIN}/", received)
        self.juliet.abort()
        for guest in (early, late):
            self.assertEqual(guest.received(), [])
        self.assertIn(f"from='juliet@{DOMAIN}/1'", "".join(tybalt.received()))

    def test_accounts_do(self) -> None:
        """Every account sees it as before, whether it was here first or comes later."""
        self.save()
        self.assertIn(f"jid='juliet@{DOMAIN}'", "".join(self.romeo.received()))
        tybalt = self.house.bind("tybalt")
        tybalt.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq><presence/>")
        received = "".join(tybalt.received())
        self.assertIn(f"<item jid='juliet@{DOMAIN}'", received)
        self.assertIn(f"from='juliet@{DOMAIN}/1'", received)

    def test_named(self) -> None:
        """A guest who stands in a group itself is a member, as an administrator wanted it."""
        guest = come_in(self.house)
        guest.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")
        members = (f"juliet@{DOMAIN}", bare(guest))
        done(self.house.server.shared_group_changes.save(SharedGroup("two", "Two", members)))
        self.assertIn(f"jid='juliet@{DOMAIN}'", "".join(guest.received()))

    def test_other_servers(self) -> None:
        """Somebody of another server sees no member, by a probe or by asking about them."""
        elsewhere = Elsewhere(self.house)
        self.save()
        elsewhere.send(f"<presence from='x@mantua.lit' to='juliet@{DOMAIN}' type='probe'/>")
        elsewhere.send(
            f"<iq from='x@mantua.lit/1' to='juliet@{DOMAIN}' type='get' id='d'>"
            f"<query xmlns='{INFO}'/></iq>"
        )
        heard = "".join(elsewhere.heard())
        self.assertNotIn("/1'", heard.replace("x@mantua.lit/1", ""))
        self.assertIn("service-unavailable", heard)


class IdentityTests(SynchronousTestCase):
    """What a guest is, to whoever asks (:xep:`0175`, §5)."""

    def setUp(self) -> None:
        self.house = House(config=settings(), plugins=PLUGINS, romeo={})
        self.guest = come_in(self.house)
        (self.romeo,) = self.house.connect("romeo")

    def test_anonymous(self) -> None:
        """The guest itself and others learn that the account is anonymous."""
        for client, to in ((self.guest, ""), (self.guest, bare(self.guest)),
                           (self.romeo, bare(self.guest))):  # fmt: skip
            answer = ask(client, "get", f"<query xmlns='{INFO}'/>", to)
            identities = [one.attrib for one in answer.iter(f"{{{INFO}}}identity")]
            self.assertEqual(identities, [{"category": "account", "type": "anonymous"}])

    def test_accounts(self) -> None:
        """An account is registered."""
        answer = ask(self.romeo, "get", f"<query xmlns='{INFO}'/>", f"romeo@{DOMAIN}")
        identities = [one.attrib for one in answer.iter(f"{{{INFO}}}identity")]
        self.assertEqual(identities, [{"category": "account", "type": "registered"}])

    def test_gone(self) -> None:
        """A guest who has left is answered for like an account that does not exist."""
        name = bare(self.guest)
        self.guest.abort()
        for to in (name, new_guest(DOMAIN).bare, f"nobody@{DOMAIN}"):
            answer = ask(self.romeo, "get", f"<query xmlns='{INFO}'/>", to)
            self.assertEqual(condition(answer), "service-unavailable")

    def test_no_more_than_that(self) -> None:
        """Nobody learns by asking which clients a guest has, or when it was here."""
        listing = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        self.assertEqual(len(ask(self.romeo, "get", listing, bare(self.guest))[0]), 0)
        answer = ask(self.romeo, "get", "<query xmlns='jabber:iq:last'/>", bare(self.guest))
        self.assertEqual(condition(answer), "forbidden")


class OutsideTests(SynchronousTestCase):
    """Guests and other servers (BI-7)."""

    STANZAS = (
        "<message to='x@mantua.lit' type='chat'><body>hi</body></message>",
        "<message to='mantua.lit' type='error'/>",
        "<presence to='room@mantua.lit/me'/>",
        "<presence to='x@mantua.lit' type='unavailable'/>",
        "<presence to='x@mantua.lit' type='subscribe'/>",
        "<presence to='x@mantua.lit' type='probe'/>",
        "<iq to='mantua.lit' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq to='x@mantua.lit/1' type='result' id='1'/>",
    )

    def test_stays(self) -> None:
        """Nothing that a guest sends leaves, and it is told so where there is an answer to give."""
        house = House(config=settings(), plugins=PLUGINS, romeo={})
        elsewhere, guest = Elsewhere(house), come_in(house)
        for stanza in self.STANZAS:
            with self.subTest(stanza=stanza):
                guest.send(stanza)
                answer = "".join(guest.received())
                answered = "type='error'" not in stanza and "type='result'" not in stanza
                self.assertEqual("<not-allowed " in answer, answered)
        guest.abort()
        self.assertEqual(elsewhere.heard(), [])

    def test_here(self) -> None:
        """It speaks to accounts, to other guests, to the server and to its services."""
        house = House(config=settings(), plugins=PLUGINS, romeo={})
        rooms = Elsewhere(house, "rooms.montague.lit")
        guest, other = come_in(house), come_in(house)
        (romeo,) = house.connect("romeo")
        guest.send("<message to='rooms.montague.lit'><body>hi</body></message>")
        self.assertEqual(len(rooms.heard()), 1)
        for client in (romeo, other):
            guest.send(f"<message to='{bare(client)}'><body>hi</body></message>")
            self.assertIn("<body>hi</body>", "".join(client.received()))
        self.assertEqual(condition(ask(guest, "get", "<ping xmlns='urn:xmpp:ping'/>")), "result")

    def test_let_out(self) -> None:
        """The administrator may let guests out."""
        house = House(config=settings(guests_to_other_servers=True), plugins=PLUGINS)
        elsewhere, guest = Elsewhere(house), come_in(house)
        guest.send("<message to='x@mantua.lit'><body>hi</body></message>")
        self.assertEqual(len(elsewhere.heard()), 1)

    def test_accounts_go_where_they_like(self) -> None:
        """A server that lets guests in keeps nobody else at home."""
        verona = House(config=settings(), romeo={})
        mantua = House("mantua.lit", juliet={})
        federate(verona, mantua)
        (romeo,), (juliet,) = verona.connect("romeo"), mantua.connect("juliet")
        romeo.send("<message to='juliet@mantua.lit'><body>hi</body></message>")
        self.assertIn("<body>hi</body>", "".join(juliet.received()))
