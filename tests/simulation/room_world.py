"""A room at three nodes, and people who come, go, talk and sleep; what each of them must have seen
is known, and compared.
"""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from itertools import combinations, count
from random import Random
from typing import cast

from tests.plugins.muc.halls import MUC, bodies, codes, condition
from xmppd.session.local_client_session import LocalClientSession
from xmppd.testing.client import Client
from xmppd.testing.house import house_config
from xmppd.testing.nodes import NodeHouse, Nodes
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.snapshot import WITHIN_S

ROOM = "coven@conference.verona.lit"
NAMES = ("romeo", "juliet", "nurse", "tybalt", "paris")
NODES = ("a", "b", "c")
STEPS = 40
MODERATED = (
    f"<iq type='set' id='open' to='{ROOM}'><query xmlns='{MUC}#owner'>"
    "<x xmlns='jabber:x:data' type='submit'>"
    f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>"
    "<field var='muc#roomconfig_persistentroom'><value>1</value></field>"
    "<field var='muc#roomconfig_moderatedroom'><value>1</value></field>"
    "</x></query></iq>"
)
_NICK = re.compile(rf" from='{re.escape(ROOM)}/([^']*)'")
_ID = re.compile(r"<stanza-id [^>]*id='([^']*)'")


class Person:
    """Somebody with one client, and what it has seen.

    Attributes:
        client: Its connection; None while there is none.
        resumes_by: The id of its session; empty if it has none.
        nick: Its own in the room; empty if it is not in.
        has_voice: Whether it may speak there.
        present: The nicks that it sees there.
        heard: What was said, with the ids that the room has given it.
        faults: What it should not have seen.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.client: Client | None = None
        self.resumes_by = ""
        self.handled = 0
        self.nick = ""
        self.has_voice = False
        self.present: set[str] = set()
        self.heard: dict[str, str] = {}
        self.refusals: list[str] = []
        self.faults: list[str] = []

    @property
    def jid(self) -> str:
        """Full JID."""
        return f"{self.name}@verona.lit/1"

    def read(self) -> None:
        """Look at what has come."""
        for stanza in self.client.received() if self.client is not None else ():
            kind = stanza[1:].partition(" ")[0].partition(">")[0]
            self.handled += kind in ("presence", "message", "iq")
            found = _NICK.search(stanza)
            if kind == "presence" and found and "type='error'" not in stanza:
                self._see(found[1], stanza)
            elif kind == "message" and found and "type='groupchat'" in stanza:
                self._hear(stanza)
            elif "type='error'" in stanza:
                self.refusals.append(condition(stanza))

    def _see(self, nick: str, presence: str) -> None:
        if "type='unavailable'" not in presence:
            self.present.add(nick)
        elif nick not in self.present:
            self.faults.append(f"{self.name} sees {nick} leave, who was not there")
        elif nick == self.nick and 303 not in codes(presence):
            self.present.clear()
        else:
            self.present.remove(nick)

    def _hear(self, message: str) -> None:
        if f"<delay xmlns='urn:xmpp:delay' from='{ROOM}'" in message:
            return  # it was said before they have entered
        for body in bodies([message]):
            if body in self.heard:
                self.faults.append(f"{self.name} hears {body} twice")
            found = _ID.search(message)
            self.heard[body] = found[1] if found else ""

    def lost(self) -> None:
        """It has no session any more."""
        self.client, self.resumes_by, self.nick, self.handled = None, "", "", 0
        self.present.clear()


class RoomWorld:
    """Plays one schedule.

    Args:
        seed: Of it.

    Attributes:
        tale: What was done.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.nodes = Nodes(
            *NODES,
            domain="verona.lit",
            plugins=("muc",),
            config=house_config("verona.lit", muc={"messages_per_s": 0}),
        )
        for name in NAMES:
            self.nodes["a"].add(name, {})
        self.people = [Person(name) for name in NAMES]
        self.owner = self.people[0]
        self.numbers = count(1)
        self.owed: list[tuple[str, Person, str]] = []  # what was said, and who has to hear it
        self.tale: list[str] = []
        self._enter(self.owner)
        self._send(self.owner, MODERATED)
        self.owner.has_voice = True

    # -- the schedule -----------------------------------------------------------------------------

    def play(self) -> list[str]:
        """Do all of it; returns what was wrong."""
        steps: tuple[tuple[int, Callable[[], None]], ...] = (
            (8, self.enter),
            (3, self.leave),
            (3, self.rename),
            (10, self.say),
            (4, self.voice),
            (3, self.show),
            (4, self.sleep),
            (5, self.resume),
            (1, self.hang_up),
            (1, self.lose),
            (1, self.drain),
        )
        weights = [weight for weight, _ in steps]
        for _ in range(STEPS):
            (_, step) = self.random.choices(steps, weights)[0]
            step()
            self._settle()
        return [*self._wake_all(), *self.faults()]

    def _one(self, those: Callable[[Person], object]) -> Person | None:
        found = [each for each in self.people if those(each)]
        return self.random.choice(found) if found else None

    def _tell(self, what: str) -> None:
        self.tale.append(what)

    def _settle(self, seconds: float = 0.0) -> None:
        """Let all arrive, and have everybody look."""
        self.nodes.settle()
        while seconds > 0:
            self.nodes.clock.advance(min(1.0, seconds))
            self.nodes.settle()
            seconds -= 1
        for person in self.people:
            person.read()
            if person.client is not None and person.client.closed:
                person.client = None
            if person.client is None and person.resumes_by and not self._has_session(person):
                self._tell(f"{person.name}'s session is over")
                person.lost()

    def _has_session(self, person: Person) -> bool:
        return any(
            isinstance(house.server.routing_table.bound.get(person.jid), LocalClientSession)
            for name, house in self.nodes.houses.items()
            if name in self.nodes.members
        )

    def _send(self, person: Person, stanza: str) -> None:
        assert person.client is not None
        person.client.send(stanza)
        self._settle()

    # -- steps ------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Somebody enters, who may have to log in first."""
        person = self._one(lambda each: not each.nick and (each.client or not each.resumes_by))
        if person is not None:
            self._enter(person)

    def _enter(self, person: Person) -> None:
        if person.client is None:
            node = self.random.choice(NODES)
            (person.client,) = self.nodes[node].connect(person.name)
            person.resumes_by, person.handled = person.client.enable(), 0
            self._tell(f"{person.name} comes to {node}")
        person.nick = f"{person.name}{next(self.numbers)}"
        person.has_voice = person is self.owner
        self._tell(f"{person.name} enters as {person.nick}")
        to = f"{ROOM}/{person.nick}"
        self._send(person, f"<presence to='{to}'><x xmlns='{MUC}'/></presence>")

    def leave(self) -> None:
        """Somebody leaves."""
        person = self._one(lambda each: each.nick and each.client)
        if person is not None:
            self._tell(f"{person.name} leaves")
            self._send(person, f"<presence to='{ROOM}/{person.nick}' type='unavailable'/>")
            person.nick = ""

    def rename(self) -> None:
        """Somebody with voice takes another nick."""
        person = self._one(lambda each: each.nick and each.client and each.has_voice)
        if person is not None:
            nick = f"{person.name}{next(self.numbers)}"
            self._tell(f"{person.name} is {nick} from now on")
            self._send(person, f"<presence to='{ROOM}/{nick}'/>")
            person.nick = nick

    def show(self) -> None:
        """Somebody is away."""
        person = self._one(lambda each: each.nick and each.client)
        if person is not None:
            self._send(person, f"<presence to='{ROOM}/{person.nick}'><show>away</show></presence>")

    def say(self) -> None:
        """Somebody says something, who may have no voice."""
        person = self._one(lambda each: each.nick and each.client)
        if person is None:
            return
        body = f"{person.name}-{next(self.numbers)}"
        self._tell(f"{person.name} says {body}")
        person.refusals.clear()
        listeners = [each for each in self.people if each.nick]
        self._send(person, f"<message type='groupchat' to='{ROOM}'><body>{body}</body></message>")
        if person.has_voice:
            self.owed += [(body, each, each.resumes_by) for each in listeners]
        elif person.refusals != ["forbidden"] or self._is_heard(body):
            person.faults.append(f"{person.name} says {body} without voice: {person.refusals}")

    def _is_heard(self, body: str) -> bool:
        return any(body in each.heard for each in self.people)

    def voice(self) -> None:
        """The owner gives voice, or takes it."""
        person = self._one(lambda each: each.nick and each is not self.owner)
        if person is None or self.owner.client is None or not self.owner.nick:
            return
        role = self.random.choice(("visitor", "participant"))
        self._tell(f"{person.name} is a {role}")
        self._send(
            self.owner,
            f"<iq type='set' id='v' to='{ROOM}'><query xmlns='{MUC}#admin'>"
            f"<item nick='{person.nick}' role='{role}'/></query></iq>",
        )
        person.has_voice = role == "participant"

    def sleep(self) -> None:
        """Somebody's connection is lost; the session stays."""
        person = self._one(lambda each: each.client)
        if person is not None and person.client is not None:
            self._tell(f"{person.name} is cut off")
            person.client.abort()
            person.client = None

    def resume(self) -> None:
        """Somebody comes back to the session, at any node."""
        person = self._one(lambda each: each.client is None and each.resumes_by)
        if person is not None:
            self._resume(person, self.random.choice(NODES))

    def _resume(self, person: Person, node: str) -> None:
        self._tell(f"{person.name} comes back at {node}")
        client = self.nodes[node].logged_in(person.name)
        handled = person.handled
        client.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{person.resumes_by}' h='{handled}'/>")
        self.nodes.settle()
        person.client = client

    def hang_up(self) -> None:
        """Somebody logs off."""
        person = self._one(lambda each: each.client)
        if person is not None and person.client is not None:
            self._tell(f"{person.name} logs off")
            person.client.send("</stream:stream>")
            self._settle()
            person.lost()

    def lose(self) -> None:
        """A node is killed; another life of it comes when the grace is over."""
        name = self.random.choice(NODES)
        self._settle(2 * WITHIN_S + 1)
        self._tell(f"{name} is killed")
        house = self.nodes[name]
        for person in self.people:
            if person.client is not None and person.client.house is house:
                person.client = None
        self.nodes.lose(name)
        self._settle(self.nodes.config.cluster.grace_s + 12)
        self.nodes.start(name)

    def drain(self) -> None:
        """A node is stopped in an orderly way, and started again."""
        name = self.random.choice(NODES)
        self._tell(f"{name} is stopped")
        self.nodes.stop(name)
        self._settle(1)
        self.nodes.start(name)
        self._settle(1)

    # -- what must be so --------------------------------------------------------------------------

    def _wake_all(self) -> Iterator[str]:
        for person in [each for each in self.people if each.client is None and each.resumes_by]:
            self._resume(person, "a")
            self._settle()
            if not self._is_back(person):
                yield f"{person.name} cannot resume"

    def _is_back(self, person: Person) -> bool:
        return person.client is not None and person.client.session.jid.full == person.jid

    def inside(self) -> set[str]:
        """The nicks of all who are in, as the room itself says."""
        for name, house in self.nodes.houses.items():
            if name in self.nodes.members:
                room = hall_of(house).rooms.loaded.get(ROOM)
                if room is not None:
                    return {each.nick for each in room.occupants.values()}
        return set()

    def faults(self) -> Iterator[str]:
        """What is not as it must be."""
        for person in self.people:
            yield from person.faults
        for body, person, session in self.owed:
            if person.resumes_by == session and body not in person.heard:
                yield f"{person.name} has not heard {body}"
        yield from self._orders()
        inside = self.inside()
        wanted = {each.nick for each in self.people if each.nick}
        if inside != wanted:
            yield f"{sorted(inside)} are in, and should be {sorted(wanted)}"
        for person in self.people:
            if person.nick and person.present != wanted:
                yield f"{person.name} sees {sorted(person.present)} and not {sorted(wanted)}"

    def _orders(self) -> Iterator[str]:
        for one, other in combinations(self.people, 2):
            mine = [(body, id) for body, id in one.heard.items() if body in other.heard]
            theirs = [(body, id) for body, id in other.heard.items() if body in one.heard]
            if mine != theirs:
                yield f"{one.name} heard {mine}, {other.name} {theirs}"


def hall_of(house: NodeHouse) -> Hall:
    """The rooms of a house, whose plugin may have been read anew since this was imported."""
    offers = house.plugins.offers.by_class
    (hall,) = [each for kind, each in offers.items() if kind.__name__ == Hall.__name__]
    return cast("Hall", hall)


def main() -> int:
    """Play as many schedules as the command line says; the first that fails is told."""
    parser = ArgumentParser(prog="python -m tests.simulation.room_world")
    parser.add_argument("--seeds", type=int, default=300, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    told = parser.parse_args()
    for seed in range(told.first, told.first + told.seeds):
        world = RoomWorld(seed)
        found = world.play()
        if found:
            sys.stdout.write("\n".join((f"seed {seed}:", *world.tale, *found, "")))
            return 1
    return 0


__all__ = ["RoomWorld"]

if __name__ == "__main__":
    sys.exit(main())
