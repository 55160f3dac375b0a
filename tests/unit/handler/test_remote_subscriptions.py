"""Subscriptions between an account and somebody on another server, or at a component."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.presence.test_remote_presences import JULIET, ROMEO, gone, presence
from xmppd.cluster.cluster import alone
from xmppd.events import OWNER, On
from xmppd.handler.presence_subscribe_handler import SubscriptionAsked
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, ns
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Elsewhere, done
from xmppd.testing.house import House

NOT_FOUND = (
    "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
)


class RemoteSubscriptionTests(SynchronousTestCase):
    """Romeo is here, Juliet is not; in his roster she is as each test says."""

    def build(self, subscription: str = "", *, ask: bool = False, pending: bool = False) -> None:
        """Romeo is available, and nobody has looked at anything."""
        self.house = House("montague.lit", romeo={})
        self.elsewhere = Elsewhere(self.house)
        request = presence(JULIET, ROMEO, "subscribe").encode() if pending else None
        if subscription:
            item = RosterItem(JULIET, subscription=subscription, ask=ask, pending_in=request)
            done(self.house.store.rosters.save_roster_items(ROMEO, [item]))
        (self.romeo,) = self.house.connect("romeo")
        self.elsewhere.heard()

    def item(self) -> RosterItem | None:
        """What the store knows of Juliet."""
        items = done(self.house.store.rosters.roster(ROMEO)).items
        return next((item for item in items if item.jid == JULIET), None)

    def got(self) -> list[str]:
        """The presence that came to Romeo."""
        return [stanza for stanza in self.romeo.received() if stanza.startswith("<presence")]

    def test_friendship(self) -> None:
        """Asked there and agreed here, then the other way round; each sees the other."""
        self.build()
        self.romeo.send(f"<presence to='{JULIET}/any' type='subscribe'/>")
        self.assertEqual(self.elsewhere.heard(), [presence(ROMEO, JULIET, "subscribe")])
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO, "subscribed"))
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.assertEqual(
            self.got(),
            [presence(JULIET, ROMEO, "subscribed"), presence(f"{JULIET}/balcony", ROMEO)],
        )
        self.elsewhere.send(presence(f"{JULIET}/balcony", f"{ROMEO}/1", "subscribe"))
        self.assertEqual(self.got(), [presence(JULIET, ROMEO, "subscribe")])
        self.romeo.send(f"<presence to='{JULIET}' type='subscribed'/>")
        self.assertEqual(
            self.elsewhere.heard(),
            [presence(ROMEO, JULIET, "subscribed"), presence(f"{ROMEO}/1", JULIET)],
        )
        self.assertEqual(self.item(), RosterItem(JULIET, subscription="both"))

    def test_already_subscribed(self) -> None:
        """Who sees Romeo already, and asks again, is answered and told; he hears nothing (PS-6)."""
        self.build("from")
        self.elsewhere.send(presence(JULIET, ROMEO, "subscribe"))
        self.assertEqual(
            self.elsewhere.heard(),
            [presence(ROMEO, JULIET, "subscribed"), presence(f"{ROMEO}/1", JULIET)],
        )
        self.assertEqual(self.got(), [])

    def test_asked(self) -> None:
        """Plugins hear of a request that waits for an answer, and of no other."""
        events: list[SubscriptionAsked] = []
        self.build()
        self.house.server.events.put(On(SubscriptionAsked, events.append), OWNER)
        self.elsewhere.send(presence(JULIET, ROMEO, "subscribe"))
        asked = SubscriptionAsked(JID.parse(JULIET), JID.parse(ROMEO))
        self.assertEqual(events, [asked])
        self.romeo.send(f"<presence to='{JULIET}' type='subscribed'/>")
        self.elsewhere.send(presence(JULIET, ROMEO, "subscribe"))
        self.assertEqual(events, [asked])

    def test_request_twice(self) -> None:
        """A request that is repeated is shown once, and waits once."""
        self.build()
        for _ in range(2):
            self.elsewhere.send(presence(JULIET, ROMEO, "subscribe"))
        self.assertEqual(self.got(), [presence(JULIET, ROMEO, "subscribe")])

    def test_nobody(self) -> None:
        """For an account that does not exist a probe is refused (PM-6), and all else is ignored
        (PS-2).
        """
        self.build()
        self.elsewhere.send(presence(f"{JULIET}/balcony", "tybalt@montague.lit", "probe"))
        refusal = presence("tybalt@montague.lit", JULIET, "unsubscribed")
        self.assertEqual(self.elsewhere.heard(), [refusal])
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            self.elsewhere.send(presence(JULIET, "tybalt@montague.lit", kind))
        self.assertEqual(self.elsewhere.heard(), [])

    def test_unasked(self) -> None:
        """What answers nothing changes nothing, and is not shown (PS-13)."""
        for kind in ("subscribed", "unsubscribed", "unsubscribe"):
            self.build()
            self.elsewhere.send(presence(JULIET, ROMEO, kind))
            self.assertEqual((self.romeo.received(), self.item()), ([], None))

    def test_unsubscribe(self) -> None:
        """Who wants to see Romeo no more sees each of his sessions leave (PS-9)."""
        self.build("both")
        self.elsewhere.send(presence(JULIET, ROMEO, "unsubscribe"))
        self.assertEqual(self.elsewhere.heard(), [gone(f"{ROMEO}/1", JULIET)])
        self.assertEqual(self.item(), RosterItem(JULIET, subscription="to"))

    def test_no_way(self) -> None:
        """A request that cannot leave is answered, and waits no less (PR-17)."""
        self.build()
        table = self.house.server.routing_table
        table.foreign, table.foreign_error = None, RoutingTable((), alone(), Clock()).foreign_error
        self.romeo.send(f"<presence to='{JULIET}' type='subscribe'/>")
        self.assertIn("<remote-server-not-found", "".join(self.got()))
        self.assertEqual(self.item(), RosterItem(JULIET, ask=True))

    def test_request_comes_back(self) -> None:
        """An error that answers a request is shown; the request waits on (PR-18)."""
        self.build("none", ask=True)
        error = presence(JULIET, ROMEO, "error", NOT_FOUND)
        self.elsewhere.send(error)
        self.assertEqual(len(self.got()), 1)
        self.assertEqual(self.item(), RosterItem(JULIET, ask=True))
        self.assertEqual(self.elsewhere.heard(), [])

    def test_probe_comes_back(self) -> None:
        """An error that answers a probe is not shown; the contact is taken to be away (PR-18)."""
        self.build("both")
        self.elsewhere.send(presence(f"{JULIET}/balcony", ROMEO))
        self.romeo.raw()
        self.elsewhere.send(presence(JULIET, ROMEO, "error", NOT_FOUND))
        self.assertEqual(self.romeo.received(), [gone(f"{JULIET}/balcony", f"{ROMEO}/1")])
        self.assertEqual(self.item(), RosterItem(JULIET, subscription="both"))

    def test_error_of_a_stranger(self) -> None:
        """An error from somebody who is no contact is dropped (PR-16)."""
        self.build("both")
        for to in (ROMEO, "tybalt@montague.lit"):
            self.elsewhere.send(presence("paris@verona.lit", to, "error", NOT_FOUND))
        self.assertEqual((self.romeo.received(), self.elsewhere.heard()), ([], []))

    def test_error_to_a_session(self) -> None:
        """An error to a full JID is delivered there (PR-14)."""
        self.build()
        self.elsewhere.send(presence("rooms@verona.lit/x", f"{ROMEO}/1", "error", NOT_FOUND))
        self.assertEqual(len(self.got()), 1)

    def test_lost_answer(self) -> None:
        """That we agreed was lost: their next request is agreed to again, and all is well."""
        self.build("none", pending=True)
        self.romeo.send(f"<presence to='{JULIET}' type='subscribed'/>")
        self.elsewhere.heard()
        self.elsewhere.send(presence(JULIET, ROMEO, "subscribe"))
        self.assertEqual(self.elsewhere.heard()[0], presence(ROMEO, JULIET, "subscribed"))

    def test_other_side_forgot(self) -> None:
        """Their answer to the probe says that we are not subscribed: our roster follows."""
        self.build("to")
        self.elsewhere.send(presence(JULIET, ROMEO, "unsubscribed"))
        got = self.romeo.received()
        self.assertEqual(got[0], presence(JULIET, ROMEO, "unsubscribed"))
        self.assertIn(f"<item jid='{JULIET}' subscription='none'", got[1])
        self.assertEqual(self.item(), RosterItem(JULIET))

    def test_component(self) -> None:
        """A component is the other server of those at its domain, and may ask without a name."""
        house = House("montague.lit", romeo={})
        gateway = Elsewhere(house, "gateway.montague.lit")
        (romeo,) = house.connect("romeo")
        romeo.send("<presence to='gateway.montague.lit' type='subscribe'/>")
        self.assertEqual(gateway.heard(), [presence(ROMEO, "gateway.montague.lit", "subscribe")])
        gateway.send(presence("gateway.montague.lit", ROMEO, "subscribed"))
        gateway.send(presence("gateway.montague.lit", ROMEO, "subscribe"))
        romeo.send("<presence to='gateway.montague.lit' type='subscribed'/>")
        gateway.send(presence("gateway.montague.lit", ROMEO))
        self.assertIn(presence("gateway.montague.lit", ROMEO), romeo.received())
        self.assertEqual(
            gateway.heard(),
            [
                presence(ROMEO, "gateway.montague.lit", "subscribed"),
                presence(f"{ROMEO}/1", "gateway.montague.lit"),
            ],
        )
        gateway.lose("gateway.montague.lit")
        self.assertEqual(romeo.received(), [gone("gateway.montague.lit", f"{ROMEO}/1")])

    def test_account_removed(self) -> None:
        """When an account is removed, its contacts elsewhere are told that it is over."""
        self.build("both")
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.assertEqual(
            self.elsewhere.heard(),
            [
                gone(f"{ROMEO}/1", JULIET),
                presence(ROMEO, JULIET, "unsubscribe"),
                presence(ROMEO, JULIET, "unsubscribed"),
            ],
        )

    def test_transit(self) -> None:
        """What a component asks of somebody on another server goes there, and nobody is told."""
        self.build()
        self.house.server.routing_table.components["gateway.montague.lit"] = self.elsewhere
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"):
            asked = presence("icq@gateway.montague.lit", JULIET, kind)
            self.elsewhere.send(asked)
            self.assertEqual(self.elsewhere.heard(), [asked])


class ProbeTests(SynchronousTestCase):
    """Others ask for Romeo: Juliet may see him, Paris may not."""

    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={JULIET: "from"})
        self.elsewhere = Elsewhere(self.house)

    def probe(self, sender: str = JULIET) -> list[str]:
        """What the answers are."""
        self.elsewhere.heard()
        self.elsewhere.send(presence(sender, ROMEO, "probe"))
        return self.elsewhere.heard()

    def test_here(self) -> None:
        """All his available sessions are the answer, to the address that asked (PM-7)."""
        first, second = self.house.connect("romeo/1", "romeo/2")
        self.house.bind("romeo", "3")
        first.send("<presence><show>away</show></presence>")
        second.send("<presence to='paris@verona.lit'/>")
        self.assertEqual(
            self.probe(),
            [
                presence(f"{ROMEO}/1", JULIET, inside="<show>away</show>"),
                presence(f"{ROMEO}/2", JULIET),
            ],
        )
        self.assertEqual(
            self.probe(f"{JULIET}/balcony")[1], presence(f"{ROMEO}/2", f"{JULIET}/balcony")
        )

    def test_away(self) -> None:
        """When he is away, that is the answer, with what he said last."""
        (romeo,) = self.house.connect("romeo")
        romeo.send("<presence type='unavailable'><status>banished</status></presence>")
        status = "<status>banished</status>"
        self.assertEqual(self.probe(), [presence(ROMEO, JULIET, "unavailable", status)])

    def test_never_here(self) -> None:
        """Somebody elsewhere who may see him is answered, also when he never was here."""
        self.assertEqual(self.probe(), [gone(ROMEO, JULIET)])

    def test_not_subscribed(self) -> None:
        """Who may not see him hears that it is not subscribed; an approval in advance stays."""
        item = RosterItem("paris@verona.lit", approved=True)
        done(self.house.store.rosters.save_roster_items(ROMEO, [item]))
        self.house.connect("romeo")
        refusal = presence(ROMEO, "paris@verona.lit", "unsubscribed")
        self.assertEqual(self.probe("paris@verona.lit/1"), [refusal])
        items = done(self.house.store.rosters.roster(ROMEO)).items
        self.assertIn(item, items)

    def test_roster_result(self) -> None:
        """Contacts elsewhere stand in a roster like all others."""
        romeo = self.house.bind("romeo")
        romeo.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")
        self.assertIn(f"<item jid='{JULIET}' subscription='from'", "".join(romeo.received()))
