"""Two servers, people on both, and a way between them that loses what is on it, at random.

Whatever happens, each "available" that a client sees from the other side is followed by one
"unavailable"; and when the servers can talk again, logins mend what the two sides disagree about.
"""

from collections import deque
from collections.abc import Iterator
from itertools import count
from xml.etree import ElementTree

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.roster.subscription import SUBSCRIBED, SUBSCRIBED_TO
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.stanza import JID, Condition, Stanza, StanzaError, ns
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import KINDS, Client, done
from xmppd.testing.house import House

DOMAINS = ("montague.lit", "capulet.lit")
PEOPLE = ("romeo@montague.lit", "benvolio@montague.lit", "juliet@capulet.lit", "nurse@capulet.lit")
TYPES = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")
RESOURCES = ("1", "2")
BOUNCED = ("subscribe", "probe")


class Way:
    """The way from one server to another: what is on it has not arrived."""

    def __init__(self, start: House) -> None:
        self.start = start
        self.under_way: deque[tuple[Stanza, bytes]] = deque()

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Something leaves the server."""
        self.under_way.append((stanza, wire))
        return True

    def lose(self, domain: str) -> None:
        """What is on it comes back, and the other server is lost."""
        lost, self.under_way = self.under_way, deque()
        for stanza, _ in lost:
            if stanza.type in BOUNCED:
                route(self.start, stanza.error(StanzaError(Condition.REMOTE_SERVER_TIMEOUT)))
        self.start.server.events.fire(RemoteServerLost(self.start.domain, domain))


def route(house: House, stanza: Stanza) -> None:
    """A stanza comes to a server."""
    later = house.server.packet_router.route(stanza)
    if later is not None:
        Deferred.fromCoroutine(later)


class Somebody:
    """A client, and whom of the other server it sees.

    Attributes:
        broadcast: Those who told its account.
        in_person: Those who told it by its full JID.
    """

    def __init__(self, wire: Client, jid: str) -> None:
        self.wire = wire
        self.jid = jid
        self.available = True
        self.broadcast: set[str] = set()
        self.in_person: set[str] = set()

    def read(self) -> None:
        """Take note of what came."""
        for text in self.wire.received() if not self.wire.transport.lost else ():
            stanza = ElementTree.fromstring(text)
            sender = stanza.get("from", "")
            if stanza.tag == "presence" and "/" in sender and not self.is_of_here(sender):
                self.note(stanza.get("type"), sender, stanza.findtext("status") or "")

    def is_of_here(self, sender: str) -> bool:
        return JID.parse(sender).domain == JID.parse(self.jid).domain

    def note(self, kind: str | None, sender: str, status: str) -> None:
        if kind is None:
            (self.in_person if status.startswith("d") else self.broadcast).add(sender)
        elif kind == "unavailable":
            assert sender in self.sees, f"{self.jid} sees not {sender}, who is said to be gone"
            self.broadcast.discard(sender)
            self.in_person.discard(sender)

    @property
    def account(self) -> str:
        return self.jid.partition("/")[0]

    @property
    def sees(self) -> set[str]:
        return self.broadcast | self.in_person


class AcrossServers(RuleBasedStateMachine):
    """Both servers, and everybody there."""

    @initialize(friends=st.booleans(), here=st.booleans())
    def build(self, friends: bool, here: bool) -> None:
        self.houses = {domain: House(domain, plugins=("blocking",)) for domain in DOMAINS}
        self.open_ways()
        for name in PEOPLE:
            others = [other for other in PEOPLE if other.partition("@")[2] not in name]
            self.house(name).add(name, dict.fromkeys(others, "both") if friends else {})
        self.here: dict[str, Somebody] = {}
        self.numbers = count(1)
        for name in PEOPLE if here else ():
            self.log_in(name, "1")
            self.settle()

    def open_ways(self) -> None:
        self.ways = {domain: Way(house) for domain, house in self.houses.items()}
        for domain, house in self.houses.items():
            house.server.routing_table.foreign = self.ways[domain]

    def house(self, jid: str) -> House:
        return self.houses[JID.parse(jid).domain]

    # -- what may happen ------------------------------------------------------------------------

    @rule(name=st.sampled_from(PEOPLE), resource=st.sampled_from(RESOURCES))
    def log_in(self, name: str, resource: str) -> None:
        jid = f"{name}/{resource}"
        if jid not in self.here:
            client = self.house(name).bind(name, resource)
            self.here[jid] = Somebody(client, jid)
            client.send(
                f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>{self.presence('b')}"
            )

    def presence(self, mark: str, to: str = "") -> str:
        to = f" to='{to}'" if to else ""
        return f"<presence{to}><status>{mark}{next(self.numbers)}</status></presence>"

    def pick(self, data: st.DataObject) -> Somebody:
        return self.here[data.draw(st.sampled_from(sorted(self.here)), label="who")]

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        one = self.pick(data)
        one.available = True
        one.wire.send(self.presence("b"))

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def become_unavailable(self, data: st.DataObject) -> None:
        one = self.pick(data)
        one.read()
        one.available = False
        one.broadcast.clear()
        one.wire.send("<presence type='unavailable'/>")

    @precondition(lambda self: self.here)
    @rule(data=st.data(), to=st.sampled_from(PEOPLE), resource=st.sampled_from(RESOURCES))
    def tell_in_person(self, data: st.DataObject, to: str, resource: str) -> None:
        self.pick(data).wire.send(self.presence("d", f"{to}/{resource}"))

    @precondition(lambda self: self.here)
    @rule(data=st.data(), to=st.sampled_from(PEOPLE), kind=st.sampled_from(TYPES))
    def subscribe(self, data: st.DataObject, to: str, kind: str) -> None:
        one = self.pick(data)
        saw = self.believes_to_see(one, to)
        one.wire.send(f"<presence to='{to}' type='{kind}'/>")
        self.ends_with_goodbye(one, to, saw)

    @precondition(lambda self: self.here)
    @rule(data=st.data(), to=st.sampled_from(PEOPLE))
    def remove(self, data: st.DataObject, to: str) -> None:
        one = self.pick(data)
        saw = self.believes_to_see(one, to)
        one.wire.send(
            f"<iq type='set' id='x'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='{to}' subscription='remove'/></query></iq>"
        )
        self.ends_with_goodbye(one, to, saw)

    def believes_to_see(self, one: Somebody, contact: str) -> bool:
        item = self.roster(one.account).get(contact)
        return item is not None and item.subscription in SUBSCRIBED_TO

    def ends_with_goodbye(self, one: Somebody, contact: str, saw: bool) -> None:
        """Who ends a subscription sees the contact leave at once."""
        if saw and not self.believes_to_see(one, contact):
            one.read()
            assert not [jid for jid in one.sees if jid.startswith(contact)], (one.jid, contact)

    @precondition(lambda self: self.here)
    @rule(data=st.data(), to=st.sampled_from(PEOPLE), verb=st.sampled_from(("block", "unblock")))
    def block(self, data: st.DataObject, to: str, verb: str) -> None:
        """An account wants to have nothing to do with somebody, or changes its mind."""
        one = self.pick(data)
        one.wire.send(
            f"<iq type='set' id='b'><{verb} xmlns='urn:xmpp:blocking'><item jid='{to}'/></{verb}>"
            "</iq>"
        )
        for own in self.here.values() if verb == "block" else ():
            if own.account == one.account != to:
                own.read()
                assert not [jid for jid in own.sees if jid.startswith(to)], (own.jid, to)

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def log_out(self, data: st.DataObject) -> None:
        one = self.pick(data)
        one.wire.abort()
        del self.here[one.jid]

    @rule(domain=st.sampled_from(DOMAINS), times=st.sampled_from((1, 3, 1_000)))
    def arrive(self, domain: str, times: int) -> None:
        """Some of what is on the way arrives, or all."""
        self.carry(domain, times)

    @rule(domain=st.sampled_from(DOMAINS))
    def lose(self, domain: str) -> None:
        """A server finds that it cannot reach the other one."""
        (other,) = set(DOMAINS) - {domain}
        self.ways[domain].lose(other)

    def carry(self, domain: str, times: int) -> None:
        (other,) = set(DOMAINS) - {domain}
        way = self.ways[domain].under_way
        for _ in range(min(times, len(way))):
            tree = ElementTree.fromstring(way.popleft()[1])
            stanza = KINDS[tree.tag].from_tree(tree, JID.parse(tree.attrib["from"]))
            route(self.houses[other], stanza)

    # -- what must hold -------------------------------------------------------------------------

    @invariant()
    def nobody_leaves_twice(self) -> None:
        for one in self.here.values():
            one.read()

    def teardown(self) -> None:
        """The way is free again: everybody leaves, and comes back, one after the other."""
        if not hasattr(self, "here"):
            return
        self.settle()
        for name in PEOPLE:
            house = self.house(name)
            done(house.server.privacy_changes.unblock(house.jid(name), None))
        self.settle()
        self.come_after_both_were_lost()
        self.leave_one_side()
        for jid in sorted(self.here):
            self.here.pop(jid).wire.abort()
        self.settle()
        for name in PEOPLE:
            self.log_in(name, "1")
            self.settle()
        self.rosters_agree()
        self.everybody_is_seen()

    def settle(self) -> None:
        while any(way.under_way for way in self.ways.values()):
            for domain in DOMAINS:
                self.carry(domain, 1_000)
        self.nobody_leaves_twice()

    def come_after_both_were_lost(self) -> None:
        """What was known is not trusted any more: who comes now asks, and sees who is there."""
        for domain in DOMAINS:
            self.lose(domain)
        for name in PEOPLE:
            self.log_in(name, "3")
            self.settle()
        for owner, contact, item in self.pairs():
            theirs = self.roster(contact).get(owner, RosterItem(owner))
            if item.subscription in SUBSCRIBED_TO and theirs.subscription in SUBSCRIBED:
                table = self.house(contact).server.routing_table
                there = {session.jid.full for session in table.available(contact)}
                assert there <= self.here[f"{owner}/3"].sees, (owner, contact, there)

    def leave_one_side(self) -> None:
        """Those of one server go, unheard, and it is lost: who stays sees nobody there any more."""
        for jid in [jid for jid in self.here if jid.partition("/")[0].endswith(DOMAINS[0])]:
            self.here.pop(jid).wire.abort()
        self.ways[DOMAINS[0]].under_way.clear()
        self.ways[DOMAINS[1]].lose(DOMAINS[0])
        for one in self.here.values():
            one.read()
            assert not one.sees, f"{one.jid} still sees {one.sees}"

    def pairs(self) -> Iterator[tuple[str, str, RosterItem]]:
        for owner in PEOPLE:
            for contact, item in self.roster(owner).items():
                if contact.partition("@")[2] not in owner:
                    yield owner, contact, item

    def roster(self, owner: str) -> dict[str, RosterItem]:
        return {
            item.jid: item for item in done(self.house(owner).store.rosters.roster(owner)).items
        }

    def rosters_agree(self) -> None:
        """Who believes to see somebody does; and who waits for an answer is waited for."""
        for owner, contact, item in self.pairs():
            theirs = self.roster(contact).get(owner, RosterItem(owner))
            if item.subscription in SUBSCRIBED_TO:
                assert theirs.subscription in SUBSCRIBED, (owner, item, theirs)
            if item.ask:
                assert theirs.pending_in is not None, (owner, item, theirs)

    def everybody_is_seen(self) -> None:
        for owner, contact, item in self.pairs():
            if item.subscription in SUBSCRIBED_TO:
                assert f"{contact}/1" in self.here[f"{owner}/1"].sees, (owner, contact)


AcrossServers.TestCase.settings = settings(
    phases=(Phase.generate,),  # to make what fails small may take minutes: add Phase.shrink then
    database=None,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class AcrossServersTests(SynchronousTestCase):
    def test_across_servers(self) -> None:
        """Nobody on the other side is a ghost, and what was lost is mended."""
        try:
            AcrossServers.TestCase("runTest").runTest()
        except AssertionError as error:
            self.fail("\n".join([str(error), *getattr(error, "__notes__", ())]))
