"""Resource binding (RFC 6120 §7)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"


def bind(client: Client, resource: str | None = None) -> str:
    """Ask for a resource; the answer."""
    inner = "" if resource is None else f"<resource>{resource}</resource>"
    client.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'>{inner}</bind></iq>")
    (answer,) = client.received() or [""]
    return answer


def bound(answer: str) -> str:
    """The JID that an answer tells."""
    return answer.partition("<jid>")[2].partition("</jid>")[0]


class BindTests(SynchronousTestCase):
    def house(self, **sessions: object) -> House:
        """A house with this configuration of sessions."""
        return House(DOMAIN, config=house_config(DOMAIN, sessions=sessions), romeo={})

    def test_asked_for(self) -> None:
        """The first thing a client hears is the full JID that it asked for (BI-6)."""
        answer = bind(self.house().logged_in("romeo"), "orchard")
        self.assertEqual(bound(answer), f"romeo@{DOMAIN}/orchard")
        self.assertIn("type='result' id='b'", answer)

    def test_chosen(self) -> None:
        """Without a wish, or with an empty one, the server chooses, each time another (BI-2)."""
        house = self.house()
        answers = {bound(bind(house.logged_in("romeo"), wish)) for wish in (None, None, "")}
        self.assertEqual(len(answers), 3)
        self.assertTrue(all(jid.startswith(f"romeo@{DOMAIN}/") for jid in answers))

    def test_prepared(self) -> None:
        """A resource is prepared (RFC 7622): composed, with its case; one that cannot be is not."""
        self.assertEqual(
            bound(bind(self.house().logged_in("romeo"), "Cafe\u0301")), f"romeo@{DOMAIN}/Café"
        )
        for wrong in ("x" * 1024, "a\u2028b"):
            self.assertIn("<bad-request ", bind(self.house().logged_in("romeo"), wrong))

    def test_once(self) -> None:
        """A stream is bound once (BI-1), and only when it has logged in (BI-3)."""
        house = self.house()
        client = house.logged_in("romeo")
        bind(client, "1")
        self.assertIn("<not-allowed ", bind(client, "2"))
        stranger = house.unauthenticated()
        stranger.open(DOMAIN)
        stranger.raw()
        self.assertIn("<not-authorized ", bind(stranger, "1"))

    def test_legacy_session(self) -> None:
        """Old clients ask for a session, and get it (RFC 3921 §3)."""
        client = self.house().bind("romeo")
        client.send(f"<iq type='set' id='s'><session xmlns='{ns.SESSION}'/></iq>")
        self.assertEqual(
            client.received(),
            [f"<iq from='romeo@{DOMAIN}' to='romeo@{DOMAIN}/1' type='result' id='s'/>"],
        )

    def test_kick(self) -> None:
        """The one who had the resource goes, and hears why (BI-5)."""
        house = self.house(conflict="kick")
        old = house.bind("romeo")
        self.assertEqual(bound(bind(house.logged_in("romeo"), "1")), f"romeo@{DOMAIN}/1")
        self.assertTrue(old.closed)
        self.assertIn(b"<conflict ", old.raw())

    def test_refuse(self) -> None:
        """Who comes later is refused, and may ask for another resource."""
        house = self.house(conflict="refuse")
        old = house.bind("romeo")
        client = house.logged_in("romeo")
        self.assertIn("<conflict ", bind(client, "1"))
        self.assertEqual(bound(bind(client, "2")), f"romeo@{DOMAIN}/2")
        self.assertFalse(old.closed)

    def test_rename(self) -> None:
        """Who comes later gets another resource, also in place of a very long one."""
        house = self.house(conflict="rename")
        for resource in ("1", "x" * 1023):
            house.bind("romeo", resource)
            jid = bound(bind(house.logged_in("romeo"), resource))
            self.assertTrue(jid.startswith(f"romeo@{DOMAIN}/{resource[:200]}-"), jid)

    def test_limit(self) -> None:
        """An account has so many sessions and no more; closing one makes room."""
        house = self.house(max_per_account=2)
        first, _ = house.bind("romeo", "1"), house.bind("romeo", "2")
        client = house.logged_in("romeo")
        self.assertIn("<resource-constraint ", bind(client, "3"))
        first.abort()
        self.assertEqual(bound(bind(client, "3")), f"romeo@{DOMAIN}/3")

    def test_lost_while_binding(self) -> None:
        """A client that is lost while its roster is read is bound to nothing."""
        store = SlowStore()
        house = House(DOMAIN, store=store, romeo={})
        store.slow = True
        client = house.logged_in("romeo")
        bind(client, "1")
        client.abort()
        store.release_all()
        self.assertEqual(house.server.routing_table.bound, {})
        self.assertEqual(house.server.session_manager.bound, 0)

    def test_conflict_while_binding(self) -> None:
        """Two who ask for one resource at once: the later has it, the other hears why."""
        store = SlowStore()
        house = House(DOMAIN, store=store, romeo={})
        store.slow = True
        first, second = house.logged_in("romeo"), house.logged_in("romeo")
        bind(first, "1")
        bind(second, "1")
        store.release_all()
        self.assertTrue(first.closed)
        self.assertEqual(bound("".join(second.received())), f"romeo@{DOMAIN}/1")
        self.assertIs(
            house.server.routing_table.bound[f"romeo@{DOMAIN}/1"],
            second.session,
        )
