"""Reasons why somebody is seen, or is not: each is seeded, found, and proved by what happens."""

from collections.abc import Callable
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_privacy_lists import denied, put, use
from xmppd.explain.finding import Finding
from xmppd.explain.presence import explain_presence
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Presence
from xmppd.store.last_presences import LastPresence
from xmppd.store.rosters import RosterItem
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House, house_config

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
BOTH = {"romeo": {"juliet": "both"}, "juliet": {"romeo": "both"}}
Explained = tuple[str, str]


class Street:
    """Romeo's presence and Juliet's eyes, with something wrong between them."""

    def __init__(self, **people: dict[str, str]) -> None:
        self.house = House("montague.lit")
        for name, contacts in (people or BOTH).items():
            self.house.add(name, contacts)
        self.server = self.house.server
        self.clients: list[Client] = []

    def here(self, *names: str) -> "Street":
        """These are available."""
        self.clients += self.house.connect(*names)
        return self

    def item(self, owner: str, contact: str, **changes: object) -> "Street":
        """Something stands in a roster."""
        roster = done(self.server.roster_manager.look(JID.parse(owner)))
        item = replace(roster.items.get(contact) or RosterItem(contact), **changes)  # type: ignore[arg-type]
        done(self.server.roster_manager.save(roster, item))
        return self

    def group(self, *members: str, visible_to: str = "members", also: str = "") -> "Street":
        """There is a shared group."""
        group = SharedGroup("montagues", "Montagues", members, visible_to, (also,) * bool(also))
        done(self.server.shared_groups.save(group))
        return self

    def explained(self, owner: str = ROMEO, watcher: str = JULIET) -> list[Finding]:
        """What is said of it."""
        return done(explain_presence(self.server, JID.parse(owner), JID.parse(watcher)))

    def seen(self, owner: str = ROMEO, watcher: str = JULIET) -> bool:
        """Whether a presence that the owner sends now does arrive at the watcher's clients."""
        for client in self.clients:
            client.raw()
        for session in self.server.routing_table.available(JID.parse(owner).bare):
            client = next(c for c in self.clients if c.jid == session.jid)
            client.send("<presence><show>away</show></presence>")
        prefix = f"from='{owner}"
        return any(
            prefix in stanza and "type=" not in stanza
            for client in self.clients
            if client.jid is not None and client.jid.full.startswith(watcher)
            for stanza in client.received()
            if stanza.startswith("<presence")
        )


def elsewhere() -> Street:
    """Juliet is on a server that no route leads to."""
    street = Street(romeo={"juliet@capulet.lit": "both"})
    street.server.routing_table.foreign = None
    return street.here("romeo")


def disabled() -> Street:
    """Romeo's account is closed."""
    street = Street().here("juliet")
    done(street.server.accounts.disable(JID.parse(ROMEO)))
    return street


def silent(name: str) -> Street:
    """Both are connected, and one of them has not sent presence."""
    street = Street().here("juliet" if name == "romeo" else "romeo")
    street.clients.append(street.house.bind(name))
    return street


def pending() -> Street:
    """Juliet has asked."""
    street = Street(romeo={}, juliet={}).here("romeo", "juliet")
    street.clients[1].send(f"<presence type='subscribe' to='{ROMEO}'/>")
    return street


def approved() -> Street:
    """Romeo would say yes."""
    street = Street(romeo={}, juliet={}).here("romeo", "juliet")
    street.clients[0].send(f"<presence type='subscribed' to='{JULIET}'/>")
    return street


def directed() -> Street:
    """Romeo has told her in person."""
    street = Street(romeo={}, juliet={}).here("romeo", "juliet")
    street.clients[0].send(f"<presence to='{JULIET}'/>")
    return street


def left() -> Street:
    """Romeo was here."""
    street = Street().here("romeo", "juliet")
    street.clients.pop(0).send("<presence type='unavailable'><status>bye</status></presence>")
    return street


def gone() -> Street:
    """Romeo's last session is gone, and his presence is stored."""
    street = Street().here("juliet")
    done(
        street.house.server.presence_manager.last_presences.save(
            ROMEO, LastPresence(1_700_000_000.0, "detached")
        )
    )
    return street


def lost_request() -> Street:
    """Juliet believes she has asked."""
    return Street(romeo={}, juliet={}).item(JULIET, ROMEO, ask=True).here("romeo", "juliet")


def asked_back() -> Street:
    """Romeo has asked, Juliet has not."""
    street = Street(romeo={}, juliet={}).here("romeo", "juliet")
    street.clients[0].send(f"<presence type='subscribe' to='{JULIET}'/>")
    return street


def one_way_group() -> Street:
    """Everybody sees Juliet, and nobody Romeo."""
    return Street(romeo={}, juliet={}).group(JULIET, visible_to="everybody").here("romeo", "juliet")


def both_ways_group() -> Street:
    """The two are in one group."""
    return Street(romeo={}, juliet={}).group(ROMEO, JULIET).here("romeo", "juliet")


CASES: tuple[tuple[Callable[[], Street], str, str, Explained], ...] = (
    (lambda: Street().here("romeo", "juliet"), ROMEO, JULIET, ("sees", "subscription")),
    (lambda: Street().here("romeo/a", "romeo/b"), f"{ROMEO}/a", ROMEO, ("sees", "self")),
    (both_ways_group, ROMEO, JULIET, ("sees", "group")),
    (directed, ROMEO, JULIET, ("sees", "directed")),
    (elsewhere, ROMEO, "juliet@capulet.lit", ("sees_nothing", "watcher_unreachable")),
    (elsewhere, "juliet@capulet.lit", ROMEO, ("sees_nothing", "owner_unreachable")),
    (lambda: Street().here("juliet"), "rome@montague.lit", JULIET,
     ("sees_nothing", "owner_unknown")),
    (lambda: Street().here("romeo"), ROMEO, "june@montague.lit",
     ("sees_nothing", "watcher_unknown")),
    (pending, ROMEO, JULIET, ("sees_nothing", "pending")),
    (lost_request, ROMEO, JULIET, ("sees_nothing", "request_lost")),
    (lambda: Street(romeo={}, juliet={"romeo": "to"}).here("romeo", "juliet"), ROMEO, JULIET,
     ("sees_nothing", "rosters_disagree")),
    (approved, ROMEO, JULIET, ("sees_nothing", "not_asked")),
    (lambda: Street(romeo={"juliet": "to"}, juliet={"romeo": "from"}).here("romeo", "juliet"),
     ROMEO, JULIET, ("sees_nothing", "one_way")),
    (one_way_group, ROMEO, JULIET, ("sees_nothing", "group_one_way")),
    (asked_back, ROMEO, JULIET, ("sees_nothing", "other_way_pending")),
    (lambda: Street(romeo={"juliet": "none"}, juliet={}).here("romeo", "juliet"), ROMEO, JULIET,
     ("sees_nothing", "none")),
    (lambda: Street(romeo={}, juliet={}).here("romeo", "juliet"), ROMEO, JULIET,
     ("sees_nothing", "strangers")),
    (disabled, ROMEO, JULIET, ("sees_unavailable", "owner_disabled")),
    (lambda: Street().here("juliet"), ROMEO, JULIET, ("sees_unavailable", "owner_never_here")),
    (gone, ROMEO, JULIET, ("sees_unavailable", "owner_away")),
    (left, ROMEO, JULIET, ("sees_unavailable", "owner_not_available")),
    (lambda: silent("romeo"), ROMEO, JULIET, ("sees_unavailable", "owner_not_available")),
    (lambda: Street().here("romeo/a", "juliet"), f"{ROMEO}/b", JULIET,
     ("sees_unavailable", "resource_gone")),
    (lambda: Street().here("romeo"), ROMEO, JULIET, ("sees_nothing", "watcher_away")),
    (lambda: silent("juliet"), ROMEO, JULIET, ("sees_nothing", "watcher_not_available")),
    (lambda: Street().here("romeo", "juliet/a"), ROMEO, f"{JULIET}/b",
     ("sees_nothing", "watcher_resource_gone")),
)  # fmt: skip
"""What is wrong; whose presence; who looks; the outcome and the cause."""


class CauseTests(SynchronousTestCase):
    def test_causes(self) -> None:
        """Each cause is found among everything else that is so, and what is said does happen."""
        for number, (seed, owner, watcher, (outcome, cause)) in enumerate(CASES):
            with self.subTest(f"{number}: {cause}"):
                street = seed()
                findings = street.explained(owner, watcher)
                deciding = [finding.code for finding in findings if finding.decides]
                self.assertEqual((findings[0].code, deciding), (outcome, [cause]))
                expected = outcome == "sees" and cause != "directed"
                self.assertEqual(street.seen(owner, watcher), expected)

    def test_component(self) -> None:
        """Who is behind a route of somebody else's is not for us to explain."""
        street = elsewhere()
        street.server.routing_table.components["capulet.lit"] = Nowhere()
        self.assertEqual(street.explained("juliet@capulet.lit", ROMEO)[0].code, "unknown")
        self.assertEqual(street.explained(ROMEO, "juliet@capulet.lit")[0].code, "sees")

    def test_blocked_server(self) -> None:
        """Nothing goes to a server that is blocked, or comes from there (SV-4)."""
        street = Street(romeo={"juliet@capulet.lit": "both"}).here("romeo")
        juliet = "juliet@capulet.lit"
        cause = street.explained(ROMEO, juliet)[1]
        self.assertEqual(cause.code, "watcher_unreachable")
        self.assertIn("cannot be reached", cause.says)
        self.assertIn("see xmppctl s2s why capulet.lit", cause.says)
        config = house_config(s2s={"domain": [{"name": "capulet.lit", "block": True}]})
        street.server.foreign_routes.policies.use(config.s2s)
        for owner, watcher in ((ROMEO, juliet), (juliet, ROMEO)):
            outcome, cause, *_ = street.explained(owner, watcher)
            self.assertEqual(outcome.code, "sees_nothing")
            self.assertIn("s2s.domain blocks it", cause.says)

    def test_told_from_elsewhere(self) -> None:
        """What the other server has said of somebody, we know (RP-3)."""
        street = elsewhere()
        server = Elsewhere(street.house)
        server.send(f"<presence from='juliet@capulet.lit/balcony' to='{ROMEO}'/>")
        findings = street.explained("juliet@capulet.lit", ROMEO)
        told = [finding.says for finding in findings if finding.code == "told"]
        self.assertEqual(told, [f"{ROMEO}/1 got the presence of juliet@capulet.lit: balcony"])


class Nowhere:
    def deliver(self, stanza: object, wire: bytes) -> bool:
        return True


class FactTests(SynchronousTestCase):
    """What is said beside the cause."""

    def codes(self, street: Street) -> set[str]:
        return {finding.code for finding in street.explained()}

    def test_rosters(self) -> None:
        """A watcher whose own roster does not know is told so."""
        street = Street(romeo={"juliet": "both"}, juliet={"romeo": "none"}).here("romeo", "juliet")
        self.assertIn("watcher_unaware", self.codes(street))
        self.assertNotIn("watcher_unaware", self.codes(Street().here("romeo", "juliet")))

    def test_directed_too(self) -> None:
        """Presence that was sent in person beside a subscription is mentioned."""
        street = Street().here("romeo", "juliet")
        street.clients[0].send(f"<presence to='{JULIET}/1'/>")
        self.assertIn("directed_too", self.codes(street))

    def test_sessions(self) -> None:
        """Each session is named with its state and priority, silent ones too."""
        street = Street().here("romeo/a", "juliet")
        street.house.bind("romeo", "b")
        street.clients[0].send("<presence><show>dnd</show><priority>-3</priority></presence>")
        says = " ".join(finding.says for finding in street.explained())
        self.assertIn("romeo@montague.lit/a is available (dnd) with priority -3", says)
        self.assertIn("b is connected and has sent no presence", says)

    def test_not_interested(self) -> None:
        """A client that has not asked for its roster is mentioned."""
        street = Street().here("romeo")
        juliet = street.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertIn("not_interested", self.codes(street))

    def test_queue(self) -> None:
        """A client that does not read is mentioned, with what waits for it."""
        street = Street().here("romeo", "juliet")
        choke(street.clients[1], paused=True)
        street.clients[0].send("<presence/>")
        self.assertIn("queue", self.codes(street))
        choke(street.clients[1], paused=False)
        self.assertNotIn("queue", self.codes(street))

    def test_plugins(self) -> None:
        """Plugins that might stop a presence are named, and not asked."""
        street = Street().here("romeo", "juliet")
        street.server.interceptors.put(Curtain(), "curtain")
        found = [f for f in street.explained() if f.code == "interceptor"]
        self.assertEqual(len(found), 1)
        self.assertIn("curtain may change or stop a presence that leaves", found[0].says)

    def test_leaves_no_trace(self) -> None:
        """Nothing is sent and no roster stays in memory because somebody asked."""
        street = Street().here("juliet")
        street.clients[0].raw()
        street.explained()
        self.assertIsNone(street.server.roster_manager.loaded(ROMEO))
        self.assertEqual(street.clients[0].raw(), b"")


def choke(client: Client, *, paused: bool) -> None:
    """The client's transport says that enough is waiting, or that all has left."""
    producer = client.transport.producer
    assert producer is not None
    if paused:
        producer.pauseProducing()
    else:
        producer.resumeProducing()


class Curtain(PacketInterceptor):
    outgoing_kinds = (Presence,)

    def outgoing(self, stanza: object, session: JID) -> None:
        raise AssertionError("nobody should ask")


class PrivacyTests(SynchronousTestCase):
    """Privacy lists and invisibility."""

    def setUp(self) -> None:
        self.street = Street().here("romeo", "juliet")
        done(self.street.house.plugins.load("privacy_lists", "invisible"))

    def test_hidden(self) -> None:
        """A list keeps presence from the watcher, or the session is invisible (PL-6, PL-10)."""
        romeo = self.street.clients[0]
        use(romeo, denied("presence-out"))
        found = self.street.explained()
        self.assertEqual([f.code for f in found[:2]], ["sees_unavailable", "hidden"])
        self.assertFalse(self.street.seen())
        put(romeo, "<active/>")
        self.assertTrue(self.street.seen())
        romeo.send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
        self.assertEqual(self.street.explained()[1].code, "invisible")
        self.assertFalse(self.street.seen())

    def test_not_let_in(self) -> None:
        """The watcher's own list lets no presence in (PL-3)."""
        use(self.street.clients[1], denied("presence-in"))
        self.assertEqual(self.street.explained()[1].code, "not_let_in")
        self.assertFalse(self.street.seen())
