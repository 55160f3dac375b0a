"""What the server promises whatever happens, under random logins, losses, changes and waits."""

from collections import Counter
from collections.abc import Sequence
from itertools import count, cycle
from random import Random
from xml.etree import ElementTree

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.handler.presence_subscribe_handler import TYPES
from xmppd.roster.subscription import SUBSCRIBED
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import JID, Presence, ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes, SharedMemoryDatabase

DOMAIN = "verona.lit"
PEOPLE = ("romeo", "juliet", "nurse")
RESOURCES = ("1", "2")
FULL = tuple(f"{name}@{DOMAIN}/{resource}" for name in PEOPLE for resource in RESOURCES)
ADDRESSES = (*FULL, *(f"{name}@{DOMAIN}" for name in PEOPLE))
DELAY = f"{{{ns.DELAY}}}delay"
PING = f"{{{ns.PING}}}ping"


class Somebody:
    """A client, and what it has seen.

    Attributes:
        wire: Its wire.
        sees: For each full JID, whether the last presence from there said that it is available.
        broadcasts: The number of the newest broadcast it saw of somebody.
        over: For each full JID, the number of the newest broadcast it had seen at its goodbye.
        newest: For each full JID, the number of the newest broadcast it saw from there.
        available: Whether it is itself, as the server has it.
        presence: The number of its presence, as the server has it.
        answers: Whether it answers pings.
    """

    def __init__(self, wire: Client, *, answers: bool) -> None:
        self.wire = wire
        self.answers = answers
        self.sees: dict[str, bool] = {}
        self.broadcasts: dict[Somebody, int] = {}
        self.over: dict[str, int] = {}
        self.newest: dict[str, int] = {}
        self.presence: int | None = None
        self.live: Counter[int] = Counter()

    @property
    def session(self) -> LocalClientSession:
        """Its session."""
        return self.wire.session

    @property
    def jid(self) -> str:
        return self.session.jid.full

    @property
    def account(self) -> str:
        return self.session.jid.bare

    def waits(self) -> bool:
        """Whether a stanza of its has not been done with."""
        return self.wire.handler._waiting


def number_of(presence: Presence | None) -> int | None:
    """The number that a presence carries."""
    text = None if presence is None else presence.payload.tree.findtext("status")
    return int(text[1:]) if text else None


class Promises(RuleBasedStateMachine):
    """The house and everybody in it.

    Attributes:
        at_once: Whether who is told of a presence is told when it is said.
    """

    at_once = True
    house: House
    houses: Sequence[House]

    @initialize(slow=st.booleans(), late=st.booleans(), both=st.booleans())
    def build(self, slow: bool, late: bool, both: bool) -> None:
        self.store = SlowStore()
        self.open()
        self.turns: list[Deferred[None]] = []
        self.prepare()
        kind = "both" if both else "none"
        for name in PEOPLE:
            self.house.add(name, {other: kind for other in PEOPLE if other != name} if both else {})
        self.store.slow, self.store.late = slow, late
        self.here: list[Somebody] = []
        self.numbers = count(1)
        self.gone: dict[Somebody, int] = {}
        self.told_by: dict[int, Somebody] = {}
        self.private: set[tuple[str, str]] = set()
        self.messages: dict[int, Somebody] = {}
        self.outcomes: dict[int, set[str]] = {}
        self.stored: set[int] = set()
        self.allowed = self.allowed_now()

    def open(self) -> None:
        """Open the house, or several that are one service."""
        self.house = House(DOMAIN, store=self.store)
        self.houses = (self.house,)

    def prepare(self) -> None:
        """What a variant does differently."""

    def next_house(self) -> House:
        """The house to which the next client comes."""
        return self.house

    # -- what may happen ------------------------------------------------------------------------

    @rule(name=st.sampled_from(PEOPLE), resource=st.sampled_from(RESOURCES), answers=st.booleans(),
          priority=st.sampled_from((-1, 0, 0, 1)), shy=st.booleans())  # fmt: skip
    def log_in(self, name: str, resource: str, answers: bool, priority: int, shy: bool) -> None:
        wire = self.next_house().logged_in(name)
        somebody = Somebody(wire, answers=answers)
        self.here.append(somebody)
        text = (
            f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'><resource>{resource}</resource>"
            f"</bind></iq><iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>"
        )
        if not shy:
            text += self.presence(somebody, priority)
        self.send(somebody, text)

    def presence(self, one: Somebody, priority: int, to: str = "") -> str:
        mark = "d" if to else "b"
        to = f" to='{to}'" if to else ""
        number = next(self.numbers)
        self.told_by[number] = one
        return (
            f"<presence{to}><status>{mark}{number}</status>"
            f"<priority>{priority}</priority></presence>"
        )

    def bound(self) -> list[Somebody]:
        return [one for one in self.here if one.session.bound]

    def pick(self, data: st.DataObject) -> Somebody:
        return data.draw(st.sampled_from(self.bound()), label="who")

    @precondition(lambda self: self.bound())
    @rule(data=st.data(), priority=st.sampled_from((-1, 0, 0, 1)))
    def become_available(self, data: st.DataObject, priority: int) -> None:
        one = self.pick(data)
        self.send(one, self.presence(one, priority))

    @precondition(lambda self: self.bound())
    @rule(data=st.data())
    def become_unavailable(self, data: st.DataObject) -> None:
        self.send(self.pick(data), "<presence type='unavailable'/>")

    @precondition(lambda self: self.bound())
    @rule(data=st.data(), to=st.sampled_from(ADDRESSES), goodbye=st.booleans())
    def tell_in_private(self, data: st.DataObject, to: str, goodbye: bool) -> None:
        one = self.pick(data)
        if goodbye:
            self.send(
                one, f"<presence to='{to}' type='unavailable'><status>private</status></presence>"
            )
        else:
            if "/" not in to:  # who comes later hears the goodbye without the greeting
                self.private.update((one.jid, full) for full in FULL if full.startswith(to))
            self.send(one, self.presence(one, 0, to))

    @precondition(lambda self: self.bound())
    @rule(data=st.data(), to=st.sampled_from(PEOPLE), kind=st.sampled_from(sorted(TYPES)))
    def subscribe(self, data: st.DataObject, to: str, kind: str) -> None:
        self.send(self.pick(data), f"<presence to='{to}@{DOMAIN}' type='{kind}'/>")

    @precondition(lambda self: self.bound())
    @rule(data=st.data(), to=st.sampled_from(PEOPLE))
    def remove(self, data: st.DataObject, to: str) -> None:
        self.send(
            self.pick(data),
            f"<iq type='set' id='x'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='{to}@{DOMAIN}' subscription='remove'/></query></iq>",
        )

    @precondition(lambda self: self.bound())
    @rule(data=st.data(), to=st.sampled_from(ADDRESSES), kind=st.sampled_from(("chat", "normal")))
    def write(self, data: st.DataObject, to: str, kind: str) -> None:
        one, number = self.pick(data), next(self.numbers)
        self.messages[number] = one
        self.outcomes[number] = set()
        self.send(
            one, f"<message to='{to}' type='{kind}' id='m{number}'><body>{number}</body></message>"
        )

    @precondition(lambda self: self.here)
    @rule(data=st.data(), how=st.sampled_from(("reset", "closed", "broken", "idle")))
    def leave(self, data: st.DataObject, how: str) -> None:
        one = data.draw(st.sampled_from(self.here), label="who")
        if how == "reset":
            one.wire.abort()
        elif how == "closed":
            one.wire.send("</stream:stream>")
        else:
            one.wire.send("<presence></message>" if how == "broken" else "<unknown/>")
        self.look()

    @rule(seconds=st.sampled_from((1, 31)))
    def wait(self, seconds: int) -> None:
        self.house.clock.advance(seconds)
        self.look()

    @precondition(lambda self: self.store.waiting)
    @rule(times=st.integers(1, 5))
    def store_answers(self, times: int) -> None:
        for _ in range(times):
            self.store.release()
            self.look()

    # -- what is seen ---------------------------------------------------------------------------

    def send(self, one: Somebody, text: str) -> None:
        one.wire.send(text)
        self.look()

    def allowed_now(self) -> set[tuple[str, str]]:
        """Who may see whom, from the rosters in memory or else the store."""
        pairs: set[tuple[str, str]] = set()
        for name in PEOPLE:
            bare = f"{name}@{DOMAIN}"
            loaded = [house.server.roster_manager.loaded(bare) for house in self.houses]
            items = [item for roster in loaded if roster for item in roster.items.values()]
            if not any(loaded):
                items += done(self.store.written.rosters.roster(bare)).items
            pairs.update((i.jid, bare) for i in items if i.subscription in SUBSCRIBED)
            pairs.add((bare, bare))
        return pairs

    def look(self) -> None:
        """Let everybody read, and hold what they read against the promises."""
        self.allowed |= self.allowed_now()
        more = True
        while more:
            read = [self.read(one) for one in self.here]
            more = any(read)
        self.note_stored()
        for one in self.here:
            self.note_presence(one)
        self.here = [one for one in self.here if not one.wire.closed]
        if self.settled():
            self.allowed = self.allowed_now()

    def note_presence(self, one: Somebody) -> None:
        now = None if one.wire.closed else number_of(one.session.presence)
        if one.presence is not None and now is None:
            self.gone[one] = one.presence
        one.presence = now

    def settled(self) -> bool:
        return not self.store.waiting and not self.turns

    def note_stored(self) -> None:
        for name in PEOPLE:
            for kept in done(self.store.written.offline.offline_messages(f"{name}@{DOMAIN}")):
                number = int(ElementTree.fromstring(kept.stanza).findtext("body", ""))
                self.stored.add(number)
                self.outcomes[number].add("stored")

    def read(self, one: Somebody) -> bool:
        data = one.wire.raw()
        if not data:
            return False
        data = data.removesuffix(b"</stream:stream>")
        tree = ElementTree.fromstring(b"<s xmlns:stream='%b'>%b</s>" % (ns.STREAM.encode(), data))
        for stanza in tree:
            if stanza.tag == "presence":
                self.saw_presence(one, stanza)
            elif stanza.tag == "message":
                self.saw_message(one, stanza)
            elif stanza.find(PING) is not None and one.answers and not one.wire.closed:
                one.wire.send(f"<iq type='result' id='{stanza.get('id')}' to='{DOMAIN}'/>")
        return True

    def saw_presence(self, one: Somebody, stanza: ElementTree.Element) -> None:
        sender, kind = stanza.get("from", ""), stanza.get("type")
        if "/" not in sender or kind not in (None, "unavailable"):
            return
        if kind is None:
            text = stanza.findtext("status", "")
            mark, number = text[0], int(text[1:])
            if mark == "b":
                other = self.told_by[number]
                late = self.at_once and number <= self.gone.get(other, 0)
                over = late or number <= one.over.get(sender, 0)
                assert not over, f"{one.jid} sees {sender}, who is gone"
                one.newest[sender] = number
                newest = one.broadcasts.get(other, 0)
                assert number >= newest, f"{one.jid} sees {sender} {number} after {newest}"
                one.broadcasts[other] = number
                pair = (one.account, sender.partition("/")[0])
                assert pair in self.allowed, f"{one.jid} may not see {sender}"
            one.sees[sender] = True
        else:
            if stanza.findtext("status") == "private":
                one.sees.pop(sender, None)  # the broadcast, if there was one, is not over
                return
            if sender == one.jid:
                one.sees.clear()  # who goes away forgets what it saw
                return
            told = (sender, one.jid) in self.private
            twice = one.sees.get(sender) is False
            assert told or not twice, f"{one.jid} saw {sender} leave twice"
            one.sees[sender] = False
            one.over[sender] = one.newest.get(sender, 0)

    def saw_message(self, one: Somebody, stanza: ElementTree.Element) -> None:
        number = int(stanza.findtext("body", "0"))
        if stanza.get("type") == "error":
            number = int(stanza.get("id", "")[1:])
            self.outcomes[number].add("bounced")
        elif stanza.find(DELAY) is not None:
            self.outcomes[number].add("stored")
        else:
            self.outcomes[number].add("delivered")
            one.live[number] += 1
            assert one.live[number] == 1, f"{one.jid} got {number} twice"

    # -- what is promised -----------------------------------------------------------------------

    @invariant()
    def available_is_available(self) -> None:
        """Route available <=> session's presence available; nobody else is in the table."""
        if not hasattr(self, "here"):
            return
        reachable: set[Session] = set()
        for table in (house.server.routing_table for house in self.houses):
            for routes in table.users.values():
                assert set(routes.available) == {
                    s for s in routes.sessions.values() if s.presence is not None
                }
            reachable.update(table.bound.values(), table.unbound.values())
        here = {session for session in reachable if isinstance(session, LocalClientSession)}
        assert here == {one.session for one in self.here}

    @invariant()
    def one_outcome(self) -> None:
        """A message is delivered, stored or bounced: exactly one of them."""
        if not hasattr(self, "here"):
            return
        for number, outcome in self.outcomes.items():
            assert len(outcome) <= 1, f"message {number}: {outcome}"
            sender = self.messages[number]
            if self.settled() and not sender.wire.closed:
                assert outcome, f"message {number} is lost"

    @invariant()
    def nobody_sees_ghosts(self) -> None:
        """Whoever is seen is here: each available is followed by an unavailable."""
        if not hasattr(self, "here") or not self.settled():
            return
        here = {one.jid for one in self.here}
        for one in self.here:
            for sender, seen in one.sees.items():
                if not seen:
                    continue
                assert sender in here, f"{one.jid} still sees {sender}"
                other = next(who for who in self.here if who.jid == sender)
                told = any(jid.bare == one.account for jid in self.owed(other))
                assert other.presence is not None or told, f"{one.jid} sees {sender}, unavailable"

    def owed(self, one: Somebody) -> list[JID]:
        """Whom it told in private."""
        return [
            jid
            for house in self.houses
            for jid in house.server.presence_manager.directed._sent.get(one.jid, {}).values()
        ]

    @invariant()
    def nothing_is_left(self) -> None:
        """What nobody needs any more is forgotten."""
        if not hasattr(self, "here") or not self.settled():
            return
        here = {one.jid for one in self.here}
        for server in (house.server for house in self.houses):
            assert not server.presence_subscribe_handler._turns
            assert set(server.presence_manager.directed._sent) <= here
        count = sum(house.server.session_manager.bound for house in self.houses)
        assert count == len(self.bound())

    def teardown(self) -> None:
        """Everybody leaves; the last word is always unavailable."""
        if not hasattr(self, "here"):
            return
        self.settle()
        self.store.slow = False
        while self.here:
            self.here[0].wire.abort()
            self.settle()
            self.nobody_sees_ghosts()
        self.one_outcome()
        self.house.clock.advance(100)

    def settle(self) -> None:
        """Nothing waits any more."""
        while not self.settled():
            if self.store.waiting:
                self.store_answers(1)
            else:
                self.take_turns()
        self.look()

    def take_turns(self) -> None:
        """Whoever tells its contacts in slices goes on."""
        turns, self.turns = self.turns, []
        for turn in turns:
            turn.callback(None)
        self.look()


class PromisesOfNodes(Promises):
    """The same, where everybody comes to the next of three nodes, and what these say to each other
    arrives in any order.
    """

    def open(self) -> None:
        database = SharedMemoryDatabase()
        self.store = SlowStore(database)
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            domain=DOMAIN,
            late_directory=True,
            database=database,
            make_store=lambda: SlowStore(database, pace=self.store),
        )
        self.houses = tuple(self.nodes.houses.values())
        self.house = self.houses[0]
        self._next = cycle(self.houses)

    @rule(seed=st.integers())
    def overtake(self, seed: int) -> None:
        """From now on other things overtake each other."""
        self.nodes.network.choose = Random(seed).randrange  # no secret

    def next_house(self) -> House:
        return next(self._next)


class SlicedPromises(Promises):
    """The same, where a broadcast reaches one contact in a turn."""

    at_once = False

    def prepare(self) -> None:
        self.house.server.broadcasts.contacts_per_slice = 1
        self.house.server.broadcasts.next_turn = self.next_turn

    def next_turn(self) -> Deferred[None]:
        self.turns.append(Deferred())
        return self.turns[-1]

    @precondition(lambda self: self.turns)
    @rule()
    def others_had_their_turn(self) -> None:
        self.take_turns()


for _promises in (Promises, PromisesOfNodes, SlicedPromises):
    _promises.TestCase.settings = settings(
        phases=(Phase.generate,),  # to make what fails small may take minutes: add Phase.shrink
        database=None,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class PromiseTests(SynchronousTestCase):
    def test_promises(self) -> None:
        """Whatever happens, nobody sees ghosts and no message is lost or doubled."""
        self.hold(Promises)

    def test_promises_of_nodes(self) -> None:
        """Nor if they are at different nodes of one service."""
        self.hold(PromisesOfNodes)

    def test_promises_in_slices(self) -> None:
        """Nor while broadcasts are on their way for many turns."""
        self.hold(SlicedPromises)

    def hold(self, promises: type[Promises]) -> None:
        try:
            promises.TestCase("runTest").runTest()
        except AssertionError as error:
            self.fail("\n".join([str(error), *getattr(error, "__notes__", ())]))
